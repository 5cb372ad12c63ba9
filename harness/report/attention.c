/* attention.c — attention as a picture: see samples.h.
 *
 * Weights are rounded to LEVELS steps between 0 and the scale's end, and each level is one path of
 * small squares: most weights are nearly 0 and cost nothing, and a page with dozens of maps stays
 * small. Colours are page.css's, so a map follows the reader's theme. */
#include <math.h>
#include <string.h>

#include "report/assets.h"
#include "report/html.h"
#include "report/samples.h"
#include "report/table.h"

enum {
    LEVELS = 15,
    CELL = 18,   /* pixels from cell to cell, of which one is left free */
    LABEL = 20,  /* columns of a token's label at most */
    UPRIGHT = 2, /* labels above columns that are no longer stand upright, others lean */
    GAP = 7,     /* between labels and cells */
    SCALE = 36   /* height of the scale and the room above it */
};
static const double advance = 7.3;                /* pixels of a character of page.css's .map */
static const double lean_x = 0.64, lean_y = 0.77; /* cosine and sine of 50 degrees */

struct map {
    const struct run_sample *s;
    int rows, columns;
    double top;        /* the scale's end */
    double left, head; /* where the cells begin */
};

/* The largest weight, up to the next 1, 2, … 9 of its decade: what a scale's end can be called. */
static double scale_end(const struct run_sample *s, int rows, int columns)
{
    double most = 0;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++) {
            const double w = (double)s->attention[(size_t)i * (size_t)s->sources + (size_t)k];
            most = isfinite(w) && w > most ? w : most;
        }
    const double decade = most > 0 ? pow(10, floor(log10(most))) : 0;
    return decade > 0 ? ceil(most / decade - 1e-6) * decade : 0;
}

static int longest(const char *const *token, int count)
{
    int most = 0;
    for (int i = 0; i < count; i++) {
        struct text label = {0};
        samples_line(token[i], LABEL, true, &label);
        const int columns = table_columns_of(text_str(&label));
        most = columns > most ? columns : most;
        text_release(&label);
    }
    return most;
}

static void add_label(struct text *out, const char *token)
{
    struct text label = {0};
    samples_line(token, LABEL, true, &label);
    html_escape(out, text_str(&label));
    text_add(out, "</text>\n");
    text_release(&label);
}

static void add_labels(const struct map *m, bool upright, struct text *out)
{
    for (int i = 0; i < m->rows; i++) {
        text_add(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", m->left - GAP,
                 m->head + i * CELL + 0.5 * CELL + 4);
        add_label(out, m->s->output_token[i]);
    }
    for (int k = 0; k < m->columns; k++) {
        const double x = m->left + k * CELL + 0.5 * CELL, y = m->head - GAP;
        if (upright)
            text_add(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x, y);
        else
            text_add(out, "<text transform=\"translate(%.1f %.1f) rotate(-50)\">", x + 2, y);
        add_label(out, m->s->source_token[k]);
    }
}

/* -1: no number at all. */
static int level_of(float weight, double top)
{
    const double part = (double)weight / top;
    return !isfinite(part) ? -1 : part <= 0 ? 0 : part >= 1 ? LEVELS : (int)lrint(part * LEVELS);
}

static void add_level(const struct map *m, int level, struct text *out)
{
    const char *const cell = level < 0 ? "l17 17m0-17l-17 17" : "h17v17h-17z";
    bool any = false;
    for (int i = 0; i < m->rows; i++)
        for (int k = 0; k < m->columns; k++) {
            const size_t at = (size_t)i * (size_t)m->s->sources + (size_t)k;
            if (level_of(m->s->attention[at], m->top) != level)
                continue;
            if (!any && level < 0)
                text_add(out, "<path class=\"none\" d=\"");
            else if (!any)
                text_add(out, "<path fill-opacity=\"%.3g\" d=\"", (double)level / LEVELS);
            any = true;
            text_add(out, "M%d %d%s", k * CELL, i * CELL, cell);
        }
    text_add(out, any ? "\"/>\n" : "");
}

static void add_cells(const struct map *m, struct text *out)
{
    text_add(out,
             "<g transform=\"translate(%.1f %.1f)\">\n<rect x=\"-2.5\" y=\"-2.5\" width=\"%d\" "
             "height=\"%d\" rx=\"3\"/>\n",
             m->left + 0.5, m->head + 0.5, m->columns * CELL + 4, m->rows * CELL + 4);
    for (int level = -1; level <= LEVELS; level++)
        if (level != 0)
            add_level(m, level, out);
    text_add(out, "</g>\n");
}

/* 0, the levels side by side, and what the strongest stands for. */
static void add_scale(const struct map *m, struct text *out)
{
    const double x = m->left + 14, y = m->head + m->rows * CELL + SCALE - 14;
    text_add(out, "<g transform=\"translate(%.1f %.1f)\">\n", x, y);
    text_add(out,
             "<text class=\"soft\" x=\"-6\" y=\"0\" text-anchor=\"end\">0</text>\n"
             "<rect x=\"-.5\" y=\"-10.5\" width=\"%d\" height=\"11\"/>\n",
             8 * LEVELS + 1);
    for (int level = 1; level <= LEVELS; level++)
        text_add(out, "<path fill-opacity=\"%.3g\" d=\"M%d-10h8v10h-8z\"/>\n",
                 (double)level / LEVELS, 8 * (level - 1));
    text_add(out, "<text class=\"soft\" x=\"%d\" y=\"0\">%.2g</text>\n</g>\n", 8 * LEVELS + 7,
             m->top);
}

int attention_svg(const struct run_sample *s, bool alone, struct text *out)
{
    struct map m = {.s = s,
                    .rows = s->outputs < ATTENTION_SHOWN ? s->outputs : ATTENTION_SHOWN,
                    .columns = s->sources < ATTENTION_SHOWN ? s->sources : ATTENTION_SHOWN};
    m.top = s->attention ? scale_end(s, m.rows, m.columns) : 0;
    if (!(m.top > 0))
        return 0;
    const int beside = longest(s->output_token, m.rows),
              above = longest(s->source_token, m.columns);
    const bool upright = above <= UPRIGHT;
    m.left = beside * advance + GAP + 2;
    m.left = m.left > 20 ? m.left : 20;
    m.head = upright ? 24 : above * advance * lean_y + GAP + 12;
    double width = m.left + m.columns * CELL + (upright ? 4 : above * advance * lean_x);
    width = fmax(width, m.left + 14 + 8 * LEVELS + 70);
    text_add(out,
             "<svg class=\"map\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
             "height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"attention weights of %d "
             "output tokens, in rows, to %d source tokens, in columns\"%s>\n",
             width, m.head + m.rows * CELL + SCALE, width, m.head + m.rows * CELL + SCALE, m.rows,
             m.columns, alone ? " style=\"background: var(--paper)\"" : "");
    if (alone)
        text_add(out, "<style>\n%s</style>\n", page_css);
    add_labels(&m, upright, out);
    add_cells(&m, out);
    add_scale(&m, out);
    text_add(out, "</svg>\n");
    return (int)width;
}
