/* roofline.c — every op of a profile under the roofs of its machine (Williams, Waterman &
 * Patterson: Roofline, CACM 52, 2009): the data, and what roofline.gp needs to know of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/report.h"

enum { NUMBERED = 9 }; /* the ops that take most time are numbered, and named in a list */

static bool is_slope(const struct run_metric *roof) { return strncmp(roof->name, "read_", 5) == 0; }
static bool is_flat(const struct run_metric *roof)
{
    return strncmp(roof->name, "peak_flops", 10) == 0;
}

bool report_has_roofs(const struct report_run *run)
{
    bool slope = false, flat = false;
    for (int i = 0; i < RUN_METRICS; i++) {
        slope = slope || is_slope(&run->roof[i]);
        flat = flat || is_flat(&run->roof[i]);
    }
    return slope && flat && run->layers_count > 0;
}

static bool can_stand(const struct run_layer *l)
{
    return l->flops > 0 && l->bytes > 0 && l->ns > 0;
}

/* 1 for the op that takes most time, … NUMBERED; 0 for the rest. */
static int rank_of(const struct report_run *run, int op)
{
    int rank = 1;
    for (int i = 0; i < run->layers_count; i++) {
        const struct run_layer *l = &run->layers[i], *mine = &run->layers[op];
        rank += can_stand(l) && (l->ns > mine->ns || (l->ns == mine->ns && i < op));
    }
    return rank <= NUMBERED ? rank : 0;
}

static double step_time(const struct report_run *run)
{
    double ns = 0;
    for (int i = 0; i < run->layers_count; i++)
        ns += run->layers[i].ns;
    return ns;
}

static bool write_ops(const struct report *r, const struct report_run *run, const char *name,
                      struct err *err)
{
    struct text t = {0};
    char file[64];
    const double all = step_time(run);
    report_provenance(r, &t, "ops of one step");
    text_add(&t,
             "# op\tnumber\tpass (0 forward, 1 backward, 2 other)\tFLOP/byte\tGFLOP/s\tshare of "
             "the step\tFLOPs\tbytes\tns\n");
    for (int i = 0; i < run->layers_count; i++) {
        const struct run_layer *l = &run->layers[i];
        char label[2 * RUN_NAME + 2];
        if (!can_stand(l))
            continue;
        snprintf(label, sizeof label, "%s%s%s", l->row, *l->row ? " " : "", l->op);
        report_label(&t, label);
        text_add(&t, "\t%d\t%d\t%.6g\t%.6g\t%.4g\t%.10g\t%.10g\t%.6g\n", rank_of(run, i),
                 l->pass < 2 ? l->pass : 2, l->flops / l->bytes, l->flops / l->ns, l->ns / all,
                 l->flops, l->bytes, l->ns);
    }
    snprintf(file, sizeof file, "%s.tsv", name);
    const bool good = report_file(r, file, &t, err);
    text_release(&t);
    return good;
}

/* "3  C1 conv2d 14 %", by number. */
static void add_list(struct text *t, const struct report_run *run)
{
    char line[NUMBERED][3 * RUN_NAME] = {0};
    int n = 0;
    for (int i = 0; i < run->layers_count; i++) {
        const struct run_layer *l = &run->layers[i];
        const int rank = can_stand(l) ? rank_of(run, i) : 0;
        if (rank == 0)
            continue;
        n = rank > n ? rank : n;
        snprintf(line[rank - 1], sizeof line[0], "%d  %s%s%s, %.0f %%", rank, l->row,
                 *l->row ? " " : "", l->op, 100 * l->ns / step_time(run));
    }
    text_add(t, "numbered = %d\narray op[%d] = [", n, n ? n : 1);
    for (int i = 0; i < n; i++) {
        text_add(t, i ? ", " : "");
        report_string(t, line[i]);
    }
    text_add(t, "]\n");
}

static void add_upper(struct text *t, const char *word)
{
    for (; *word; word++)
        text_add(t, "%c", *word >= 'a' && *word <= 'z' ? *word - 'a' + 'A' : *word);
}

/* Two arrays of gnuplot's: WHAT[n] of GFLOP/s or GB/s, the highest first, and WHAT_name[n]. What
 * one line could not be told from another by shares its line: "AVX512, AVX2". */
static void add_roofs(struct text *t, const struct report_run *run, const char *what,
                      bool (*wanted)(const struct run_metric *roof), size_t prefix)
{
    static const double apart = 1.05;
    struct text values = {0}, names = {0};
    double last = INFINITY;
    int n = 0;
    for (int i = 0; i < RUN_METRICS; i++) {
        const struct run_metric *roof = &run->roof[i];
        if (!wanted(roof) || !(roof->value > 0))
            continue;
        const bool same = n > 0 && last / roof->value < apart;
        if (!same)
            text_add(&values, "%s%.6g", n++ ? ", " : "", (last = roof->value) * 1e-9);
        text_add(&names, "%s", same ? ", " : n > 1 ? "', '" : "'");
        add_upper(&names, strlen(roof->name) > prefix ? roof->name + prefix : run->row.isa);
    }
    text_add(&names, n ? "'" : "");
    text_add(t, "%ss = %d\narray %s[%d] = [%s]\narray %s_name[%d] = [%s]\n", what, n, what, n,
             text_str(&values), what, n, text_str(&names));
    text_release(&values);
    text_release(&names);
}

bool report_roofline(const struct report *r, const struct report_run *run, const char *name,
                     struct err *err)
{
    struct text script = {0};
    char file[64];
    text_add(&script,
             "# %s.gp — every op of run %lld under the roofs measured with it.\nname = '%s'\n",
             name, (long long)run->row.id, name);
    add_roofs(&script, run, "slope", is_slope, strlen("read_"));
    add_roofs(&script, run, "flat", is_flat, strlen("peak_flops_"));
    add_list(&script, run);
    text_add(&script, "load 'roofline.gp'\n");
    snprintf(file, sizeof file, "%s.gp", name);
    const bool good = write_ops(r, run, name, err) && report_file(r, file, &script, err);
    text_release(&script);
    return good;
}
