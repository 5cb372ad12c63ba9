/* runs.c — the comparison of runs that ends `bench run` and begins a report. */
#include <math.h>
#include <string.h>

#include "report/format.h"
#include "report/report.h"
#include "report/table.h"

/* clang-format off */
static const struct table_column columns[] = {
    {"plugin", false, 0},  {"year", true, 6},      {"parameters", true, 4}, {"MACs", true, 5},
    {"data", false, 8},    {"quality", true, 0},   {"best", true, 3},       {"published", true, 7},
    {"time", true, 1},     {"samples/s", true, 2}, {"step", true, 0},       {"±", true, 9},
};
/* clang-format on */
enum { COLUMNS = sizeof columns / sizeof *columns };

static void quality_cell(struct table *t, const struct store_row *r, double value, int tone)
{
    char b[FORMAT_TEXT];
    if (!isfinite(value))
        table_cell(t, "–");
    else
        table_cell(t, "%s%s", format_metric(r->metric, value, b),
                   format_is_percent(r->metric) ? " %" : "");
    table_tone(t, tone);
}

/* A published number on other data than ours is told with its data. */
static void published_cell(struct table *t, const struct store_row *r)
{
    char b[FORMAT_TEXT];
    if (!isfinite(r->published)) {
        table_cell(t, "–");
        return;
    }
    const bool same = strcmp(r->published_dataset, r->dataset) == 0;
    table_cell(t, "%s%s%s%s%s", format_digits(r->published, 4, b),
               format_is_percent(r->metric) ? " %" : "", same ? "" : " (",
               same ? "" : r->published_dataset, same ? "" : ")");
    table_tone(t, same ? TONE_PLAIN : TONE_DIM);
}

static void add_run(struct table *t, const struct store_row *r)
{
    char b[FORMAT_TEXT];
    const bool good = strcmp(r->status, "ok") == 0;
    table_cell(t, "%s%s%s", r->plugin, *r->variant ? ":" : "", r->variant);
    table_tone(t, TONE_STRONG);
    if (r->year)
        table_cell(t, "%d", r->year);
    else
        table_cell(t, "–");
    table_cell(t, "%s", format_count(r->params, b));
    table_cell(t, "%s", format_si(r->macs, b));
    table_cell(t, "%s%s", *r->dataset ? r->dataset : "–", r->synthetic ? " (synthetic)" : "");
    if (good) {
        quality_cell(t, r, r->last, TONE_GOOD);
    } else {
        table_cell(t, "%s", r->status);
        table_tone(t, TONE_BAD);
    }
    quality_cell(t, r, r->best, TONE_PLAIN);
    published_cell(t, r);
    table_cell(t, "%s", format_seconds(r->time_s, b));
    table_cell(t, "%s", format_si(r->samples_per_s, b));
    table_cell(t, "%s", format_seconds(r->step_ms * 1e-3, b));
    table_cell(t, "%s", format_seconds(r->step_ms_mad * 1e-3, b));
}

struct table *report_runs(const struct store_row *rows, int count)
{
    struct table *t = table_new(columns, COLUMNS);
    for (int i = 0; i < count; i++)
        add_run(t, &rows[i]);
    return t;
}

void report_table_runs(FILE *f, const struct store_row *rows, int count, bool color)
{
    bool measured = false, published = false;
    struct table *t = report_runs(rows, count);
    table_text(t, f, table_width(f), color);
    table_free(t);
    for (int i = 0; i < count; i++) {
        const struct store_row *r = &rows[i];
        measured = measured || isfinite(r->last);
        published = published || (isfinite(r->published) && *r->published_source);
        const bool twice = strcmp(r->status, r->reason) == 0; /* "interrupted" */
        if (strcmp(r->status, "ok") != 0)
            fprintf(f, "%s:%s %s%s%s\n", r->plugin, r->variant, r->status, twice ? "" : ": ",
                    twice        ? ""
                    : *r->reason ? r->reason
                                 : "no reason given");
    }
    if (measured)
        fprintf(f,
                "quality: %s on the test set after the last epoch; step: median, ± median absolute "
                "deviation\n",
                *rows[0].metric ? rows[0].metric : "the plugin's metric");
    for (int i = 0; published && i < count; i++) {
        const struct store_row *r = &rows[i];
        bool told = !isfinite(r->published) || !*r->published_source;
        for (int k = 0; k < i && !told; k++)
            told =
                strcmp(rows[k].plugin, r->plugin) == 0 && strcmp(rows[k].variant, r->variant) == 0;
        if (!told)
            fprintf(f, "published: %s:%s %.4g on %s (%s)\n", r->plugin, r->variant, r->published,
                    r->published_dataset, r->published_source);
    }
}
