/* markdown.c — the report for places that render Markdown: pull requests, wikis. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/report.h"
#include "report/samples.h"
#include "report/table.h"

static void add_pictures(const struct report *r, struct text *out)
{
    for (int i = 0; i < r->pictures_count; i++) {
        const struct report_picture *p = &r->pictures[i];
        text_add(out, "\n## %s\n\n", p->title);
        if (p->drawn)
            text_add(out, "![%s](%s.png)\n\n", p->title, p->name);
        text_add(out, "%s\n", p->caption);
    }
}

static void add_samples(const struct report *r, struct text *out)
{
    int shown = 0;
    for (int i = 0; i < r->runs_count && shown < REPORT_SAID; i++) {
        const struct report_run *run = &r->runs[i];
        if (!run->samples_count)
            continue;
        text_add(out, "%s\n### %s\n\n", shown++ ? "" : "\n## What the networks say\n", run->label);
        samples_markdown(run->samples, run->samples_count, run->row.id, out);
    }
}

static void add_facts(const struct report *r, struct text *out)
{
    static const struct table_column columns[] = {{"what", false, 0}, {"value", false, 0}};
    static const char *const shown[] = {"machine", "environment", "build", "data"};
    struct table *t = table_new(columns, 2);
    for (size_t g = 0; g < sizeof shown / sizeof *shown; g++)
        for (int i = 0; i < r->facts_count; i++)
            if (strcmp(r->facts[i].group, shown[g]) == 0) {
                table_cell(t, "%s: %s", r->facts[i].group, r->facts[i].key);
                table_cell(t, "%s", r->facts[i].value);
            }
    text_add(out, "\n## Where the numbers come from\n\n");
    table_markdown(t, out);
    table_free(t);
}

bool report_markdown(const struct report *r, struct err *err)
{
    struct text out = {0};
    struct store_row *rows = xcalloc((size_t)r->runs_count + 1, sizeof *rows);
    for (int i = 0; i < r->runs_count; i++)
        rows[i] = r->runs[i].row;
    text_add(&out, "# Architectures, side by side\n\n");
    struct table *t = report_runs(rows, r->runs_count);
    table_markdown(t, &out);
    table_free(t);
    if (*r->problem)
        text_add(&out, "\nNote: %s.\n", r->problem);
    add_pictures(r, &out);
    add_samples(r, &out);
    for (int i = 0; i < r->runs_count; i++) {
        if (!r->runs[i].layers_count)
            continue;
        text_add(&out, "\n### A step of %s\n\n", r->runs[i].label);
        t = report_layers_table(&r->runs[i]);
        table_markdown(t, &out);
        table_free(t);
    }
    add_facts(r, &out);
    text_add(&out, "\nMade by `%s`.\n", r->command);
    const bool good = report_file(r, "report.md", &out, err);
    text_release(&out);
    free(rows);
    return good;
}
