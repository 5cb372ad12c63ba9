/* roofline.c — every op of a profile under the roofs of its machine (Williams, Waterman &
 * Patterson: Roofline, CACM 52, 2009): the data, and what roofline.gp needs to know of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/report.h"

enum { LABELLED = 9 }; /* the ops that take most time have their names beside them */

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

/* How much time the op takes that is the n-th slowest of those that can stand. */
static double nth_time(const struct report_run *run, int n)
{
    double last = INFINITY;
    for (int k = 0; k < n; k++) {
        double next = 0;
        for (int i = 0; i < run->layers_count; i++) {
            const struct run_layer *l = &run->layers[i];
            next = can_stand(l) && l->ns < last && l->ns > next ? l->ns : next;
        }
        last = next;
    }
    return last;
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
    const double all = step_time(run), labelled = nth_time(run, LABELLED);
    report_provenance(r, &t, "ops of one step");
    text_add(&t,
             "# label\tpass (0 forward, 1 backward, 2 other)\tFLOP/byte\tGFLOP/s\tshare of the "
             "step\tFLOPs\tbytes\tns\n");
    for (int i = 0; i < run->layers_count; i++) {
        const struct run_layer *l = &run->layers[i];
        char label[2 * RUN_NAME + 2] = "";
        if (!can_stand(l))
            continue;
        if (l->ns >= labelled)
            snprintf(label, sizeof label, "%s%s%s", l->row, *l->row ? " " : "", l->op);
        report_label(&t, label);
        text_add(&t, "\t%d\t%.6g\t%.6g\t%.4g\t%.10g\t%.10g\t%.6g\n", l->pass < 2 ? l->pass : 2,
                 l->flops / l->bytes, l->flops / l->ns, l->ns / all, l->flops, l->bytes, l->ns);
    }
    snprintf(file, sizeof file, "%s.tsv", name);
    const bool good = report_file(r, file, &t, err);
    text_release(&t);
    return good;
}

/* Two arrays of gnuplot's: WHAT[n] of GFLOP/s or GB/s, and WHAT_name[n]. */
static void add_roofs(struct text *t, const struct report_run *run, const char *what,
                      bool (*wanted)(const struct run_metric *roof), size_t prefix)
{
    struct text values = {0}, names = {0};
    int n = 0;
    for (int i = 0; i < RUN_METRICS; i++) {
        const struct run_metric *roof = &run->roof[i];
        if (!wanted(roof) || !(roof->value > 0))
            continue;
        text_add(&values, "%s%.6g", n ? ", " : "", roof->value * 1e-9);
        text_add(&names, n++ ? ", " : "");
        const char *word = strlen(roof->name) > prefix ? roof->name + prefix : run->row.isa;
        char upper[RUN_NAME];
        size_t k = 0;
        for (; word[k] && k + 1 < sizeof upper; k++)
            upper[k] = word[k] >= 'a' && word[k] <= 'z' ? (char)(word[k] - 'a' + 'A') : word[k];
        upper[k] = '\0';
        report_string(&names, upper);
    }
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
    text_add(&script, "load 'roofline.gp'\n");
    snprintf(file, sizeof file, "%s.gp", name);
    const bool good = write_ops(r, run, name, err) && report_file(r, file, &script, err);
    text_release(&script);
    return good;
}
