/* b_step — ms per training step of a plugin, on data that lies in memory, for comparing with other
 * frameworks: the last line printed is the median.
 *
 *     b_step PLUGIN.so [VARIANT] [--batch N] [--threads N] [--seconds S] [--ops] [--no-fuse]
 *            [--no-lanes] [--keep-grads]
 *
 * Forward, loss, backward, and SGD with momentum and weight decay. --ops: a table of all ops;
 * --keep-grads: no weights are updated where their gradient is made. */
#include <dlfcn.h>

#include "plugin.h"
#include "tests/step_bench.h"

struct sgd {
    struct kn_sgd o;
    float *velocity;
};

static float update(void *arg, const struct crew *crew, struct program *p)
{
    struct sgd *s = arg;
    size_t count, from, to;
    float *w = program_weights(p, &count), poison = 0.0f;
    const float *g = program_grads(p, &count);
    struct program_range r;
    for (int i = 0; program_range(p, i, &r); i++) {
        crew_share(crew, r.count, 16, &from, &to);
        const size_t at = r.weight + from;
        poison += kn->sgd_f32(to - from, &s->o, g + r.grad + from, w + at, s->velocity + at);
    }
    return poison;
}

static float apply(void *arg, struct program *p, size_t at, size_t n, const float *g)
{
    struct sgd *s = arg;
    size_t count;
    return kn->sgd_f32(n, &s->o, g, program_weights(p, &count) + at, s->velocity + at);
}

static const struct nn_variant *find(const struct nn_plugin *plugin, const char *name)
{
    const struct nn_variant *v = plugin->variants;
    while (name && v->name && strcmp(v->name, name) != 0)
        v++;
    return v->name ? v : NULL;
}

static struct program *program_of(const char *path, const char *variant, int batch,
                                  const struct program_options *o, struct err *err)
{
    void *const so = dlopen(path, RTLD_NOW);
    const struct nn_plugin *const plugin = so ? dlsym(so, "nn_plugin") : NULL;
    const struct nn_variant *const v = plugin ? find(plugin, variant) : NULL;
    if (!v) {
        (void)(plugin ? err_set(err, "%s has no variant %s", path, variant)
                      : err_set(err, "%s", dlerror()));
        return NULL;
    }
    struct nn_graph *g = graph_new(batch);
    plugin->build(g, v->config);
    return kn_init(NULL, err) ? program_new(g, o, err) : NULL;
}

int main(int argc, char **argv)
{
    enum { CLASSES = 10 };
    struct step_bench bench = {128, 2, 1.5, false};
    int words = 0;
    const char *word[2] = {"PLUGIN.so"};
    struct program_options o = {.train = true, .update_inside = true, .seed = 1};
    for (int i = 1; i < argc; i++)
        if (step_bench_takes(&bench, argc, argv, &i))
            continue;
        else if (strcmp(argv[i], "--keep-grads") == 0)
            o.update_inside = false;
        else if (strcmp(argv[i], "--no-fuse") == 0)
            o.no_fuse = true;
        else if (strcmp(argv[i], "--no-lanes") == 0)
            o.no_lanes = true;
        else if (words < 2)
            word[words++] = argv[i];
    struct err err = {0};
    o.threads = bench.threads;
    struct program *p = program_of(word[0], word[1], bench.batch, &o, &err);
    if (!p) {
        fprintf(stderr, "b_step: %s\n", err.text);
        return EXIT_FAILURE;
    }
    size_t count;
    (void)program_weights(p, &count);
    struct sgd sgd = {{.rate = 1e-5f, .momentum = 0.9f, .weight_decay = 5e-4f, .clip = 1},
                      mem_map(count * 4)};
    program_set_hooks(p, &(struct program_hooks){.update = update, .apply = apply, .arg = &sgd});
    step_bench_fill(p, CLASSES);
    return step_bench_run(p, &bench) ? EXIT_SUCCESS : EXIT_FAILURE;
}
