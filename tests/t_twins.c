/* t_twins — variants that are the same function in other words: the papers' equations written out
 * with primitive ops, step by step (:unfused), and the layer that does all steps at once (:row).
 * From the same seed they have the same parameters, and then the same losses and gradients at every
 * step of gradient descent. */
#include <stdlib.h>

#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "train/plugin_load.h"

enum { BATCH = 24, STEPS = 5 };
static const double tolerance = 1e-5;
static const float rate = 0.1f;

static const struct {
    const char *plugin, *fused, *by_hand;
} twins[] = {{"rnn", "row", "unfused"}, {"lstm", "row", "unfused"}, {"gru", "row", "unfused"}};

struct net {
    struct nn_graph *graph;
    struct program *program;
};

static struct net open_net(const struct plugin *p, const char *variant, int threads)
{
    struct err err = {0};
    const struct nn_variant *v = plugin_variant(p, variant, &err);
    struct net n = {.graph = graph_new(BATCH)};
    if (v) {
        p->facts.build(n.graph, v->config);
        const struct program_options o = {.threads = threads, .train = true, .seed = 4};
        n.program = program_new(n.graph, &o, &err);
    }
    if (!ok(n.program, "%s:%s is planned", p->facts.name, variant))
        printf("# %s\n", err.text);
    return n;
}

static void close_net(struct net *n)
{
    program_free(n->program);
    graph_free(n->graph);
}

/* Other pictures at every step. */
static void feed(struct program *p, int step)
{
    struct rng r = rng_make(5 + (uint64_t)step, rng_stream("pictures"));
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image"),
                        *label = program_find(p, TENSOR_INPUT, "label");
    for (size_t i = 0; i < image->elements; i++)
        ((float *)image->data)[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = (int32_t)rng_below(&r, 10);
}

static void descend(struct program *p)
{
    size_t n;
    float *w = program_weights(p, &n);
    const float *g = program_grads(p, &n);
    for (size_t i = 0; i < n; i++)
        w[i] -= rate * g[i];
}

/* |a - b| by |b|, of all gradients of a kind: the worst of the parameters. */
static double apart(const struct program *a, const struct program *b, int kind)
{
    const struct tensor *t;
    double worst = 0;
    for (int i = 0; (t = program_tensor(b, kind, i)); i++) {
        const struct tensor *other = program_find(a, kind, t->name);
        double off = 0, size = 0;
        for (size_t k = 0; other && k < t->elements; k++) {
            const double x = ((float *)other->data)[k], y = ((float *)t->data)[k];
            off += (x - y) * (x - y);
            size += y * y;
        }
        const double here = other ? size > 0 ? sqrt(off / size) : sqrt(off) : INFINITY;
        worst = here <= worst ? worst : here;
    }
    return worst;
}

static int tensors(const struct program *p, int kind)
{
    int n = 0;
    while (program_tensor(p, kind, n))
        n++;
    return n;
}

static void compare(const struct plugin *p, const char *fused, const char *by_hand, int threads)
{
    struct net a = open_net(p, fused, threads), b = open_net(p, by_hand, 1);
    const char *const name = p->facts.name;
    double losses = 0, grads = 0;
    if (a.program && b.program) {
        is_int(tensors(a.program, TENSOR_PARAM), tensors(b.program, TENSOR_PARAM),
               "%s: as many parameters", name);
        is_near(apart(a.program, b.program, TENSOR_PARAM), 0, 0, "%s: which start alike", name);
        for (int step = 0; step < STEPS; step++) {
            feed(a.program, step);
            feed(b.program, step);
            if (!ok(program_run(a.program) && program_run(b.program), "%s: step %d", name, step))
                break;
            const double x = (double)program_loss(a.program), y = (double)program_loss(b.program);
            losses = fmax(losses, fabs(x - y) / fabs(y));
            grads = fmax(grads, apart(a.program, b.program, TENSOR_GRAD));
            descend(a.program);
            descend(b.program);
        }
        is_near(losses, 0, tolerance, "%s: losses of %d steps, %d threads", name, STEPS, threads);
        is_near(grads, 0, tolerance, "%s: gradients (off by %.1e)", name, grads);
    }
    close_net(&a);
    close_net(&b);
}

int main(void)
{
    struct err err = {0};
    const char *const build = getenv("BENCH_BUILD");
    if (!build || !kn_init(NULL, &err)) {
        printf("Bail out! BENCH_BUILD is not set: run by `make check`\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        char path[512];
        struct plugin p;
        snprintf(path, sizeof path, "%s/plugins/bench-%s.so", build, twins[i].plugin);
        if (!ok(plugin_open(path, &p, &err), "%s loads", twins[i].plugin)) {
            printf("# %s\n", err.text);
            continue;
        }
        for (int threads = 1; threads <= 2; threads++)
            compare(&p, twins[i].fused, twins[i].by_hand, threads);
        plugin_close(&p);
    }
    return done();
}
