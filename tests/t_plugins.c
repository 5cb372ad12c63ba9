/* Every variant of every plugin: its graph has exactly the parameters and multiply-adds that the
 * plugin publishes, and those of the reference (golden/architectures.tsv), where it has a row. */
#include <stdlib.h>
#include <string.h>

#include "graph/program.h"
#include "kernels/kernels.h"
#include "tap.h"
#include "train/plugin_load.h"

static const char *const plugins[] = {"filters", "mlp",          "lenet5", "rnn",       "lstm",
                                      "gru",     "alexnet",      "vgg",    "googlenet", "seq2seq",
                                      "resnet",  "efficientnet", NULL};

static struct nn_graph *graph_of(const struct plugin *p, const struct nn_variant *v, int batch)
{
    struct nn_graph *g = graph_new(batch);
    p->facts.build(g, v->config);
    return g;
}

static void check_published(const struct plugin *p)
{
    for (const struct nn_variant *v = p->facts.variants; v->name; v++)
        for (int batch = 1; batch <= 32; batch *= 32) {
            struct nn_graph *g = graph_of(p, v, batch);
            const char *const error = graph_error(g);
            if (ok(!error, "%s:%s builds at batch %d", p->facts.name, v->name, batch)) {
                is_int(graph_params(g), v->published.params, "%s:%s: parameters as published",
                       p->facts.name, v->name);
                is_int(graph_macs(g), v->published.macs, "%s:%s: multiply-adds as published",
                       p->facts.name, v->name);
            } else {
                printf("# %s\n", error);
            }
            graph_free(g);
        }
}

/* Multiply-adds of one table row, forward, one sample. */
static double row_macs(struct nn_graph *g, const char *row)
{
    struct err err = {0};
    struct program *p = program_new(g, &(struct program_options){.threads = 1}, &err);
    double macs = 0;
    int steps = 0;
    const struct program_step *step = p ? program_steps(p, &steps) : NULL;
    for (int i = 0; i < steps; i++)
        if (strcmp(step[i].row, row) == 0)
            macs += step[i].macs;
    program_free(p);
    return macs;
}

/* "mlp:keras" or "filters:sobel/filters" against the numbers of its line. */
static void check_line(char *key, const char *id, double params, double macs)
{
    char *const colon = strchr(key, ':');
    *colon = '\0';
    char *const slash = strchr(colon + 1, '/');
    if (slash)
        *slash = '\0';
    char path[512];
    snprintf(path, sizeof path, "%s/plugins/bench-%s.so", getenv("BENCH_BUILD"), key);
    struct plugin p;
    struct err err = {0};
    if (!ok(plugin_open(path, &p, &err), "%s loads", key)) {
        printf("# %s\n", err.text);
        return;
    }
    const struct nn_variant *v = plugin_variant(&p, colon + 1, &err);
    if (ok(v, "%s has variant %s", key, colon + 1)) {
        struct nn_graph *g = graph_of(&p, v, 1);
        is_int(slash ? 0 : graph_params(g), params, "%s:%s: parameters of %s", key, v->name, id);
        is_int(slash ? row_macs(g, slash + 1) : graph_macs(g), macs, "%s:%s: multiply-adds of %s",
               key, v->name, id);
        graph_free(g);
    }
    plugin_close(&p);
}

int main(void)
{
    const char *const build = getenv("BENCH_BUILD");
    struct err err = {0};
    if (!build || !kn_init(NULL, &err)) {
        printf("Bail out! BENCH_BUILD is not set: run by `make check`\n");
        return EXIT_FAILURE;
    }
    for (int i = 0; plugins[i]; i++) {
        char path[512];
        struct plugin p;
        snprintf(path, sizeof path, "%s/plugins/bench-%s.so", build, plugins[i]);
        if (ok(plugin_open(path, &p, &err), "%s loads", plugins[i])) {
            check_published(&p);
            plugin_close(&p);
        } else {
            printf("# %s\n", err.text);
        }
    }
    FILE *f = fopen("tests/golden/architectures.tsv", "r");
    char line[512], key[128], id[64];
    double params, macs;
    int lines = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%127[^#\t]\t%63s\t%lf\t%lf", key, id, &params, &macs) == 4) {
            check_line(key, id, params, macs);
            lines++;
        }
    ok(lines >= 109, "the reference has a line for every variant (%d)", lines);
    if (f)
        fclose(f);
    return done();
}
