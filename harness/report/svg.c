/* svg.c — makes gnuplot's SVG fit to stand inside a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/report.h"

/* Several pictures share one page, and gnuplot gives all of them the same ids: each gets the
 * picture's name in front, where it is defined and where it is used. */
static void add_with_ids(struct text *out, const char *s, size_t n, const char *name)
{
    static const char *const marks[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        for (size_t m = 0; m < sizeof marks / sizeof *marks && !length; m++)
            if (strncmp(s + i, marks[m], strlen(marks[m])) == 0)
                length = strlen(marks[m]);
        text_add_bytes(out, s + i, length ? length : 1);
        if (length)
            text_add(out, "%s-", name);
        i += length ? length : 1;
    }
}

static bool read_file(const char *path, struct text *content)
{
    char block[1 << 14];
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        text_add_bytes(content, block, n);
    const bool good = !ferror(f);
    fclose(f);
    return good;
}

bool svg_inline(const char *path, const char *name, const char *title, struct text *out)
{
    struct text file = {0};
    const bool read = read_file(path, &file);
    const char *const svg = strstr(text_str(&file), "<svg");
    const char *body = svg ? strstr(svg, "</desc>") : NULL,
               *box = svg ? strstr(svg, "viewBox") : NULL;
    if (read && body && box) {
        body += strlen("</desc>");
        const char *const end = strchr(strchr(box, '"') ? strchr(box, '"') + 1 : box, '"');
        text_add(out,
                 "<svg role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" "
                 "xmlns:xlink=\"http://www.w3.org/1999/xlink\" ");
        text_add_bytes(out, box, end ? (size_t)(end + 1 - box) : 0);
        text_add(out, " aria-label=\"");
        html_escape(out, title);
        text_add(out, "\">");
        add_with_ids(out, body, strlen(body), name);
    }
    text_release(&file);
    return read && body && box;
}
