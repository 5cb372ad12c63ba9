/* table.c — tables of UTF-8 cells, written as text, Markdown, HTML and CSV; see table.h. */
#define _GNU_SOURCE
#include "report/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"
#include "report/html.h"

enum { GAP = 2, SHORTEST = 8 }; /* spaces between columns; no column is cut below so many */

struct cell {
    char *text;
    int tone;
};

struct table {
    const struct table_column *columns;
    struct cell *cells;
    int count, filled, room;
};

struct table *table_new(const struct table_column *columns, int count)
{
    struct table *t = xcalloc(1, sizeof *t);
    t->columns = columns;
    t->count = count;
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->filled; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t);
}

void table_cell(struct table *t, const char *fmt, ...)
{
    if (t->filled == t->room) {
        t->room = t->room * 2 + 64;
        t->cells = xrealloc(t->cells, (size_t)t->room * sizeof *t->cells);
    }
    struct text text = {0};
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof small) {
        text.bytes = xmalloc((size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(text.bytes, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    t->cells[t->filled++] = (struct cell){text.bytes ? text.bytes : xstrdup(small), TONE_PLAIN};
}

void table_tone(struct table *t, int tone)
{
    assert(t->filled > 0);
    t->cells[t->filled - 1].tone = tone;
}

int table_rows(const struct table *t) { return t->filled / t->count; }

int table_width(FILE *f)
{
    struct winsize size = {0};
    if (!isatty(fileno(f)))
        return 0;
    const char *const columns = getenv("COLUMNS");
    long long asked;
    if (columns && text_to_int(columns, 20, 10000, &asked))
        return (int)asked;
    return ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* Length in bytes of the UTF-8 character at s, and its code point; a stray byte is itself. */
static int decode(const char *s, unsigned *point)
{
    static const struct {
        unsigned char mask, lead, bits;
        int bytes;
    } forms[] = {
        {0x80, 0x00, 0x7f, 1}, {0xe0, 0xc0, 0x1f, 2}, {0xf0, 0xe0, 0x0f, 3}, {0xf8, 0xf0, 0x07, 4}};
    const unsigned char lead = (unsigned char)*s;
    *point = lead;
    for (int i = 0; i < 4; i++) {
        if ((lead & forms[i].mask) != forms[i].lead)
            continue;
        unsigned p = lead & forms[i].bits;
        for (int k = 1; k < forms[i].bytes; k++) {
            if (((unsigned char)s[k] & 0xc0) != 0x80)
                return 1;
            p = p << 6 | ((unsigned char)s[k] & 0x3f);
        }
        *point = p;
        return forms[i].bytes;
    }
    return 1;
}

/* Control characters, also those of ISO 6429 above ASCII, and what turns the direction of the text
 * behind it must not reach a terminal: names and texts come from files. */
static bool is_shown(unsigned p)
{
    static const struct {
        unsigned from, to;
    } hidden[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (p >= hidden[i].from && p <= hidden[i].to)
            return false;
    return true;
}

/* Terminals give East Asian wide characters two columns and combining marks none. wcwidth()
 * would depend on the locale, so here are the blocks that names and paths can hold. */
static int point_columns(unsigned p)
{
    static const struct {
        unsigned from, to;
        int columns;
    } blocks[] = {
        {0x0300, 0x036f, 0}, {0x200b, 0x200f, 0}, {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},
        {0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (p >= blocks[i].from && p <= blocks[i].to)
            return blocks[i].columns;
    return 1;
}

int table_character(const char *utf8, int *columns)
{
    unsigned point;
    const int bytes = decode(utf8, &point);
    *columns = is_shown(point) ? point_columns(point) : -1;
    return bytes;
}

int table_columns_of(const char *utf8)
{
    int sum = 0;
    for (int columns; *utf8;) {
        utf8 += table_character(utf8, &columns);
        sum += columns > 0 ? columns : 0;
    }
    return sum;
}

/* Prints s in exactly `width` columns; what does not fit ends in an ellipsis. */
static void print_cell(FILE *f, const char *s, int width, bool right, const char *on, bool last)
{
    const int whole = table_columns_of(s), shown = whole > width ? width - 1 : whole;
    const int pad = width - (whole > width ? width : whole);
    fprintf(f, "%*s%s", right ? pad : 0, "", on);
    for (int used = 0, columns, bytes; *s; s += bytes) {
        bytes = table_character(s, &columns);
        if (used + columns > shown)
            break;
        used += columns > 0 ? columns : 0;
        if (columns >= 0)
            fwrite(s, 1, (size_t)bytes, f);
    }
    fprintf(f, "%s%s%*s", whole > width ? "…" : "", *on ? "\033[0m" : "", right || last ? 0 : pad,
            "");
}

static int total(const int *widths, int count)
{
    int sum = -GAP;
    for (int i = 0; i < count; i++)
        sum += widths[i] ? widths[i] + GAP : 0;
    return sum;
}

/* Makes the columns fit: drop by rank, then cut the widest. A width of 0 is a dropped column. */
static void fit(const struct table *t, int *widths, int width)
{
    while (width && total(widths, t->count) > width) {
        int worst = -1;
        for (int i = 0; i < t->count; i++)
            if (widths[i] && t->columns[i].rank &&
                (worst < 0 || t->columns[i].rank >= t->columns[worst].rank))
                worst = i;
        if (worst < 0)
            break;
        widths[worst] = 0;
    }
    while (width && total(widths, t->count) > width) {
        int widest = 0;
        for (int i = 1; i < t->count; i++)
            if (!t->columns[i].right && widths[i] > widths[widest])
                widest = i;
        if (widths[widest] <= SHORTEST)
            break;
        widths[widest]--;
    }
}

static void print_row(const struct table *t, FILE *f, const int *widths, int row, bool color)
{
    static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[31m"};
    int last = t->count - 1;
    while (last > 0 && !widths[last])
        last--;
    for (int c = 0; c <= last; c++) {
        const struct cell *cell = row < 0 ? NULL : &t->cells[row * t->count + c];
        const int tone = cell ? cell->tone : TONE_STRONG;
        if (!widths[c])
            continue;
        print_cell(f, cell ? cell->text : t->columns[c].title, widths[c], t->columns[c].right,
                   color ? codes[tone] : "", c == last);
        fprintf(f, "%*s", c == last ? 0 : GAP, "");
    }
    fputc('\n', f);
}

void table_text(const struct table *t, FILE *f, int width, bool color)
{
    int *widths = xcalloc((size_t)t->count, sizeof *widths);
    for (int c = 0; c < t->count; c++)
        widths[c] = table_columns_of(t->columns[c].title);
    for (int i = 0; i < t->filled; i++) {
        const int n = table_columns_of(t->cells[i].text);
        if (n > widths[i % t->count])
            widths[i % t->count] = n;
    }
    fit(t, widths, width);
    for (int row = -1; row < table_rows(t); row++)
        print_row(t, f, widths, row, color);
    free(widths);
}

/* A pipe ends a cell and a backslash, backtick, star, underscore or bracket means something. */
static void markdown_escape(struct text *out, const char *s)
{
    for (; *s; s++)
        text_add(out, strchr("|\\`*_<>[]", *s) ? "\\%c" : *s > 0 && *s < 0x20 ? " " : "%c", *s);
}

void table_markdown(const struct table *t, struct text *out)
{
    for (int row = -2; row < table_rows(t); row++) {
        for (int c = 0; c < t->count; c++) {
            text_add(out, c ? " | " : "| ");
            if (row == -1)
                text_add(out, t->columns[c].right ? "---:" : "---");
            else
                markdown_escape(out,
                                row < 0 ? t->columns[c].title : t->cells[row * t->count + c].text);
        }
        text_add(out, " |\n");
    }
}

void table_html(const struct table *t, struct text *out)
{
    static const char *const tones[] = {"", "strong", "dim", "good", "bad"};
    text_add(out, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (int c = 0; c < t->count; c++) {
        text_add(out, "<th scope=\"col\"%s>", t->columns[c].right ? " class=\"n\"" : "");
        html_escape(out, t->columns[c].title);
        text_add(out, "</th>");
    }
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (int i = 0; i < table_rows(t) * t->count; i++) {
        const int c = i % t->count, tone = t->cells[i].tone;
        text_add(out, "%s<td class=\"%s %s\">", c ? "" : "<tr>", t->columns[c].right ? "n" : "w",
                 tones[tone]);
        html_escape(out, t->cells[i].text);
        text_add(out, "</td>%s", c == t->count - 1 ? "</tr>\n" : "");
    }
    text_add(out, "</tbody></table></div>\n");
}

/* RFC 4180; an unknown value is an empty field. */
static void csv_field(FILE *f, const char *s)
{
    if (strcmp(s, "–") == 0)
        return;
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++)
        fprintf(f, *s == '"' ? "\"\"" : "%c", *s);
    fputc('"', f);
}

void table_csv(const struct table *t, FILE *f)
{
    for (int row = -1; row < table_rows(t); row++)
        for (int c = 0; c < t->count; c++) {
            csv_field(f, row < 0 ? t->columns[c].title : t->cells[row * t->count + c].text);
            fputs(c == t->count - 1 ? "\n" : ",", f);
        }
}
