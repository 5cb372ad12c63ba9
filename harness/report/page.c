/* page.c — the report as one HTML file that needs nothing else: style and pictures are inside,
 * no script, no font, no address outside. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "report/assets.h"
#include "report/format.h"
#include "report/html.h"
#include "report/report.h"
#include "report/samples.h"
#include "report/table.h"

static const char *fact(const struct report *r, const char *group, const char *key)
{
    return store_fact(r->facts, r->facts_count, group, key);
}

__attribute__((format(printf, 2, 3))) static void add_escaped(struct text *out, const char *fmt,
                                                              ...)
{
    char plain[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(plain, sizeof plain, fmt, ap);
    va_end(ap);
    html_escape(out, plain);
}

static void add_head(const struct report *r, struct text *out)
{
    char date[64];
    const time_t now = time(NULL);
    strftime(date, sizeof date, "%e %B %Y, %H:%M", localtime(&now));
    text_add(out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n<title>bench: %d "
             "run%s</title>\n<style>\n%s</style>\n"
             "</head>\n<body>\n<header>\n<h1>Architectures, side by side</h1>\n<p class=\"sub\">",
             r->runs_count, r->runs_count == 1 ? "" : "s", page_css);
    add_escaped(out, "%s · %s · %s", date,
                *fact(r, "machine", "cpu") ? fact(r, "machine", "cpu") : "unknown machine",
                *fact(r, "build", "commit") ? "commit " : "no commit");
    if (*fact(r, "build", "commit"))
        add_escaped(out, "%.12s", fact(r, "build", "commit"));
    text_add(out, "</p>\n</header>\n<main>\n");
}

/* Of those that can be compared at all. */
static const struct store_row *best_of(const struct report *r)
{
    const struct store_row *best = NULL;
    for (int i = 0; i < r->runs_count; i++)
        if (format_is_percent(r->runs[i].row.metric) && isfinite(r->runs[i].row.last) &&
            (!best || r->runs[i].row.last > best->last))
            best = &r->runs[i].row;
    return best;
}

static const struct store_row *fastest_of(const struct report *r)
{
    const struct store_row *fastest = NULL;
    for (int i = 0; i < r->runs_count; i++)
        if (isfinite(r->runs[i].row.samples_per_s) &&
            (!fastest || r->runs[i].row.samples_per_s > fastest->samples_per_s))
            fastest = &r->runs[i].row;
    return fastest;
}

static void add_card(struct text *out, const char *what, const char *value, const char *about)
{
    text_add(out, "<div class=\"card\"><span class=\"what\">%s</span><span class=\"value\">", what);
    html_escape(out, value);
    text_add(out, "</span><span class=\"about\">");
    html_escape(out, about);
    text_add(out, "</span></div>\n");
}

/* The three numbers that a reader looks for first. */
static void add_cards(const struct report *r, struct text *out)
{
    const struct store_row *best = best_of(r), *fastest = fastest_of(r);
    char b[FORMAT_TEXT], value[64], about[256];
    if (!best || !fastest || r->runs_count < 2)
        return;
    text_add(out, "<div class=\"cards\">\n");
    snprintf(value, sizeof value, "%s %%", format_fixed(best->last, 2, b));
    snprintf(about, sizeof about, "%s:%s on %s", best->plugin, best->variant, best->dataset);
    char best_what[96];
    snprintf(best_what, sizeof best_what, "best %.64s", best->metric);
    add_card(out, best_what, value, about);
    snprintf(value, sizeof value, "%s/s", format_si(fastest->samples_per_s, b));
    snprintf(about, sizeof about, "training samples, %s:%s", fastest->plugin, fastest->variant);
    add_card(out, "fastest", value, about);
    double total = 0;
    for (int i = 0; i < r->runs_count; i++)
        total += isfinite(r->runs[i].row.time_s) ? r->runs[i].row.time_s : 0;
    snprintf(about, sizeof about, "for all %d runs together", r->runs_count);
    add_card(out, "training time", format_seconds(total, b), about);
    text_add(out, "</div>\n");
}

static void add_comparison(const struct report *r, struct text *out)
{
    struct store_row *rows = xcalloc((size_t)r->runs_count + 1, sizeof *rows);
    bool synthetic = false;
    for (int i = 0; i < r->runs_count; i++) {
        rows[i] = r->runs[i].row;
        synthetic = synthetic || rows[i].synthetic;
    }
    text_add(out,
             "<section>\n<h2>Comparison</h2>\n<p>%s Quality is measured on the test set after the "
             "last epoch; the "
             "step time is a median, ± its median absolute deviation. Published numbers stand "
             "beside ours for "
             "orientation: where the data set in parentheses differs from ours, the two cannot be "
             "compared.",
             r->all ? "All good runs of the selection, newest first."
                    : "The newest good run of each network and data set; runs asked for by number "
                      "stand as they are.");
    if (synthetic)
        text_add(out, " Data marked <em>synthetic</em> were generated by this program.");
    text_add(out, "</p>\n");
    struct table *t = report_runs(rows, r->runs_count);
    table_html(t, out);
    table_free(t);
    if (r->more)
        text_add(out,
                 "<p class=\"note\">More runs match than are shown here; "
                 "<code>--last N</code> shows more.</p>\n");
    text_add(out, "</section>\n");
    free(rows);
}

static void add_picture(const struct report *r, const struct report_picture *p, struct text *out)
{
    char *path = xprintf("%s/%s.svg", r->folder, p->name);
    text_add(out, "<figure>\n<h3>");
    html_escape(out, p->title);
    text_add(out, "</h3>\n");
    if (!p->drawn || !svg_inline(path, p->name, p->title, out))
        text_add(out,
                 "<p class=\"note\">Not drawn; the script and its data are in this folder.</p>\n");
    text_add(out, "<figcaption>");
    html_escape(out, p->caption);
    text_add(out, " <a href=\"%s.gp\">script</a>", p->name);
    if (p->drawn)
        text_add(out, " · <a href=\"%s.svg\">SVG</a> · <a href=\"%s.png\">PNG</a>", p->name,
                 p->name);
    text_add(out, "</figcaption>\n</figure>\n");
    free(path);
}

static void add_pictures(const struct report *r, struct text *out)
{
    text_add(out, "<section>\n<h2>Pictures</h2>\n");
    if (*r->problem) {
        text_add(out, "<p class=\"note\">");
        add_escaped(out, "Note: %s.", r->problem);
        text_add(out, "</p>\n");
    }
    if (r->runs_count > REPORT_CURVES)
        text_add(out, "<p class=\"note\">Pictures show the first %d of %d runs.</p>\n",
                 REPORT_CURVES, r->runs_count);
    text_add(out, "<div class=\"pictures\">\n");
    for (int i = 0; i < r->pictures_count; i++)
        add_picture(r, &r->pictures[i], out);
    text_add(out, "</div>\n</section>\n");
}

static void add_layers(const struct report *r, struct text *out)
{
    int shown = 0;
    for (int i = 0; i < r->runs_count && shown < REPORT_LAYERS; i++) {
        if (!r->runs[i].layers_count)
            continue;
        text_add(out, shown++ ? "" : "<section>\n<h2>Time by layer</h2>\n");
        text_add(out, "<details><summary>");
        html_escape(out, r->runs[i].label);
        text_add(out, "</summary>\n");
        struct table *t = report_layers_table(&r->runs[i]);
        table_html(t, out);
        table_free(t);
        text_add(out, "</details>\n");
    }
    text_add(out, shown ? "</section>\n" : "");
}

static void add_samples(const struct report *r, struct text *out)
{
    int shown = 0, silent = 0;
    for (int i = 0; i < r->runs_count; i++) {
        const struct report_run *run = &r->runs[i];
        if (!run->samples_count)
            continue;
        if (shown == REPORT_SAID) {
            silent++;
            continue;
        }
        if (!shown++)
            text_add(out,
                     "<section>\n<h2>What the networks say</h2>\n<p>A few items of the test "
                     "set after training. Where a network attends to its source, a map shows "
                     "how much: a row for each token that it says, a column for each token of "
                     "the source; the stronger the colour, the larger the weight.</p>\n");
        text_add(out, "<h3 class=\"speaker\">");
        html_escape(out, run->label);
        text_add(out, "</h3>\n");
        samples_html(run->samples, run->samples_count, run->row.id, out);
    }
    if (silent)
        text_add(out,
                 "<p class=\"note\">%d more runs say something; <code>bench results show "
                 "RUN</code> tells what.</p>\n",
                 silent);
    text_add(out, shown ? "</section>\n" : "");
}

/* Machine, environment, build: what the numbers depend on. */
static void add_provenance(const struct report *r, struct text *out)
{
    static const char *const groups[][2] = {{"machine", "Machine"},
                                            {"environment", "Environment"},
                                            {"build", "Build"},
                                            {"data", "Data"}};
    text_add(out, "<section>\n<h2>Where the numbers come from</h2>\n<p>");
    add_escaped(out, "Of the newest run here; database %s.", r->database);
    if (r->machines > 1 || r->builds > 1)
        text_add(out,
                 " <strong>Careful:</strong> these runs come from more than one %s%s%s; times do "
                 "not compare.",
                 r->machines > 1 ? "machine" : "",
                 r->machines > 1 && r->builds > 1 ? " and more than one " : "",
                 r->builds > 1 ? "build" : "");
    text_add(out, "</p>\n<div class=\"facts\">\n");
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        text_add(out, "<dl><dt class=\"group\">%s</dt>", groups[g][1]);
        for (int i = 0; i < r->facts_count; i++) {
            if (strcmp(r->facts[i].group, groups[g][0]) != 0)
                continue;
            text_add(out, "\n<dt>");
            html_escape(out, r->facts[i].key);
            text_add(out, "</dt><dd>");
            html_escape(out, r->facts[i].value);
            text_add(out, "</dd>");
        }
        text_add(out, "</dl>\n");
    }
    text_add(out, "</div>\n</section>\n");
}

/* Of a command that made several runs, the first. */
static bool is_new_command(const struct report *r, int run)
{
    const char *command = r->runs[run].command;
    for (int i = 0; command && i < run; i++)
        if (r->runs[i].command && strcmp(r->runs[i].command, command) == 0)
            return false;
    return command != NULL;
}

static void add_commands(const struct report *r, struct text *out)
{
    text_add(out,
             "<section>\n<h2>To repeat</h2>\n<p>These commands make the same runs and this page "
             "again; one seed, one "
             "machine and one instruction set give the same losses to the last bit.</p>\n<pre>");
    for (int i = 0; i < r->runs_count; i++)
        if (is_new_command(r, i))
            add_escaped(out, "%s\n", r->runs[i].command);
    add_escaped(out, "%s\n", r->command);
    text_add(out,
             "</pre>\n<p>Each picture is drawn again by <code>gnuplot NAME.gp</code> in this "
             "folder, from the "
             "<code>.tsv</code> files beside it.</p>\n</section>\n");
}

bool report_page(const struct report *r, struct err *err)
{
    struct text out = {0};
    add_head(r, &out);
    add_cards(r, &out);
    add_comparison(r, &out);
    if (r->pictures_count)
        add_pictures(r, &out);
    add_samples(r, &out);
    add_layers(r, &out);
    add_provenance(r, &out);
    add_commands(r, &out);
    text_add(&out, "</main>\n<footer>Made by bench %s.</footer>\n</body>\n</html>\n",
             BENCH_VERSION);
    const bool good = report_file(r, "index.html", &out, err);
    text_release(&out);
    return good;
}
