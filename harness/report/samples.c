/* samples.c — see samples.h. */
#include "report/samples.h"

#include <string.h>

#include "report/html.h"
#include "report/table.h"

enum {
    PARTS = 3,
    NAME = 9,      /* columns of the longest of part_name */
    LONGEST = 400, /* columns of a text in Markdown */
    HALF = 540,    /* pixels of a map that fits into half a page */
    MARGIN = 2,
    GAP = 2
};

static const char *const part_name[PARTS] = {"source", "reference", "output"};

static const char *part(const struct run_sample *s, int which)
{
    const char *const text[PARTS] = {s->source, s->reference, s->output};
    return text[which] ? text[which] : "";
}

/* Whether there is anything to show: an output always, even if it is empty. */
static bool has_part(const struct run_sample *s, int which)
{
    return which == PARTS - 1 || *part(s, which);
}

static bool is_right(const struct run_sample *s)
{
    return *part(s, 1) && strcmp(part(s, 1), part(s, 2)) == 0;
}

/* ---- one line --------------------------------------------------------------------- */

/* How a character is shown in place of what it does; NULL: as it is. */
static const char *sign(const char *s, bool token, int columns)
{
    static const char *const signs[] = {" ␣", "\n↵", "\r␍", "\t⇥"};
    for (size_t i = token ? 0 : 1; i < sizeof signs / sizeof *signs; i++)
        if (*s == *signs[i])
            return signs[i] + 1;
    return columns < 0 ? "\xef\xbf\xbd" : NULL;
}

void samples_line(const char *s, int most, bool token, struct text *out)
{
    size_t whole = out->length; /* so much leaves room for the ellipsis */
    int used = 0;
    while (*s) {
        int columns;
        const int bytes = table_character(s, &columns);
        const char *const shown = sign(s, token, columns);
        columns = shown ? 1 : columns;
        if (most && used + columns > most) {
            out->length = whole;
            text_add(out, "…");
            return;
        }
        text_add_bytes(out, shown ? shown : s, shown ? strlen(shown) : (size_t)bytes);
        used += columns;
        whole = used < most ? out->length : whole;
        s += bytes;
    }
}

const char *samples_name(int64_t run, int ix, char text[SAMPLES_NAME])
{
    snprintf(text, SAMPLES_NAME, "attention_%lld_%d", (long long)run, ix + 1);
    return text;
}

/* ---- the terminal ----------------------------------------------------------------- */

void samples_text(FILE *f, const struct run_sample *s, int count, int width, bool color)
{
    static const int taken = MARGIN + NAME + GAP;
    const int room = width > taken + 10 ? width - taken : width ? 10 : 0;
    for (int i = 0; i < count; i++) {
        for (int p = 0; p < PARTS; p++) {
            if (!has_part(&s[i], p))
                continue;
            struct text line = {0};
            samples_line(part(&s[i], p), room, false, &line);
            const bool good = color && p == PARTS - 1 && is_right(&s[i]);
            fprintf(f, "%*s%s%-*s%s%*s%s%s%s\n", MARGIN, "", color ? "\033[2m" : "", NAME,
                    part_name[p], color ? "\033[0m" : "", GAP, "", good ? "\033[32m" : "",
                    line.length ? text_str(&line) : "–", good ? "\033[0m" : "");
            text_release(&line);
        }
        if (i + 1 < count)
            fputc('\n', f);
    }
}

/* ---- Markdown --------------------------------------------------------------------- */

void samples_markdown(const struct run_sample *s, int count, int64_t run, struct text *out)
{
    struct table_column columns[PARTS] = {{0}};
    int which[PARTS], shown = 0;
    for (int p = 0; p < PARTS; p++) {
        bool any = false;
        for (int i = 0; i < count; i++)
            any = any || has_part(&s[i], p);
        columns[shown].title = part_name[p];
        which[shown] = p;
        shown += any;
    }
    struct table *t = table_new(columns, shown);
    for (int i = 0; i < count; i++)
        for (int c = 0; c < shown; c++) {
            struct text line = {0};
            samples_line(part(&s[i], which[c]), LONGEST, false, &line);
            table_cell(t, "%s", line.length ? text_str(&line) : "–");
            text_release(&line);
        }
    table_markdown(t, out);
    table_free(t);
    for (int i = 0; i < count; i++) {
        struct text map = {0};
        char name[SAMPLES_NAME];
        if (attention_svg(&s[i], true, &map))
            text_add(out, "\n![attention of text %d](%s.svg)\n", i + 1, samples_name(run, i, name));
        text_release(&map);
    }
}

/* ---- the page --------------------------------------------------------------------- */

static void add_texts(const struct run_sample *s, struct text *out)
{
    text_add(out, "<dl>\n");
    for (int p = 0; p < PARTS; p++) {
        if (!has_part(s, p))
            continue;
        const bool good = p == PARTS - 1 && is_right(s);
        text_add(out, "<dt>%s</dt><dd dir=\"auto\"%s>", part_name[p],
                 good ? " class=\"good\"" : "");
        html_escape(out, *part(s, p) ? part(s, p) : "–");
        text_add(out, "</dd>\n");
    }
    text_add(out, "</dl>\n");
}

void samples_html(const struct run_sample *s, int count, int64_t run, struct text *out)
{
    text_add(out, "<div class=\"pictures\">\n");
    for (int i = 0; i < count; i++) {
        struct text map = {0};
        char name[SAMPLES_NAME];
        const int width = attention_svg(&s[i], false, &map);
        text_add(out, "<figure class=\"said%s\">\n", width > HALF ? " wide" : "");
        add_texts(&s[i], out);
        if (width)
            text_add(out, "<div class=\"scroll\">\n%s</div>\n<figcaption>", text_str(&map));
        if (width && (s[i].sources > ATTENTION_SHOWN || s[i].outputs > ATTENTION_SHOWN))
            text_add(out, "Weights of the first tokens of %d by %d. ", s[i].outputs, s[i].sources);
        if (width)
            text_add(out, "<a href=\"%s.svg\">SVG</a></figcaption>\n", samples_name(run, i, name));
        text_add(out, "</figure>\n");
        text_release(&map);
    }
    text_add(out, "</div>\n");
}
