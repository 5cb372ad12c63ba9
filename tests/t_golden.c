/* Our networks against an independent implementation (golden/make_golden.py: PyTorch in double
 * precision): the losses of ten steps within 1e-4 relative, of deep networks 1e-3; the first
 * gradients within 1e-4, from a lone picture 5e-4, and the running means after ten steps within
 * 1e-3 of their size; on every instruction set, fused or not, in either layout, by one thread or
 * two. The first step stays away from the kinks of rectifiers and poolings (make_golden.py sees to
 * it), so that rounding does not choose a side; later steps need not, and what flips there is why
 * deep networks and running means are given more: PyTorch's single precision is as far from its
 * double. Networks of sequences are told their vocabularies and lengths by the file. Both sides
 * leave dropout out: its masks are no part of a network's definition. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "tap.h"
#include "train/optimizer.h"
#include "train/plugin_load.h"
#include "train/recipe.h"

enum { STEPS = 10, ELEMENTS = 6, PARAMS = 384, INPUTS = 6 };
static const double grad_tolerance = 1e-4, shaky_grad_tolerance = 5e-4, buffer_tolerance = 1e-3;
/* Multiply-adds of a sample: more is a deep network, which single precision follows less well. */
static const double deep = 4e6;

/* How a network may run: bit 0 without fusing, bit 1 without lanes; usual runs on two threads. */
enum { WAYS = 4, ALL = 1, EXTREMES = 3, USUAL = 4 }; /* strides through the ways, 0: none */

/* ThreadSanitizer makes a step many times as long and looks for races, which the second step shows if
 * any does. */
#if defined __SANITIZE_THREAD__
enum { MOST_STEPS = 2 };
#else
enum { MOST_STEPS = STEPS };
#endif

/* What of that a network is worth on each kind of instruction set, by the multiply-adds of a
 * batch, so that the whole test ends within a minute. */
static const struct effort {
    double macs; /* at most */
    int widest, narrower, scalar, scalar_steps;
} efforts[] = {
    {2e7, ALL, EXTREMES, USUAL, STEPS},
    {2e8, ALL, EXTREMES, USUAL, 1},
    {4e8, EXTREMES, USUAL, 0, 0},
    {INFINITY, EXTREMES, 0, 0, 0},
};

/* ---------------------------------------------------------------- the file */

struct golden {
    char plugin[32], variant[32], optimizer[16];
    int batch, params, grads, losses, buffers, facts, inputs;
    unsigned pictures; /* stream of noise */
    double rate, momentum, decay, clip, loss[STEPS], macs;
    struct start {
        char name[64];
        unsigned stream;
        double scale, offset;
    } param[PARAMS];
    struct grad {
        char name[64];
        double norm, largest, projection, value[ELEMENTS];
        unsigned stream;
        size_t at[ELEMENTS];
    } grad[PARAMS];
    struct buffer {
        char name[64];
        double norm, projection;
        unsigned stream;
    } buffer[PARAMS];
    struct fact { /* what nn_tokens() or nn_length() says */
        char name[32];
        int tokens, steps;
    } fact[INPUTS];
    struct input {                /* floats, or integers of [low, high) */
        char name[32], until[32]; /* behind the end that input `until` tells they are `pad`; "-" */
        unsigned stream;
        int low, high, pad;
    } input[INPUTS]; /* none: image and label */
};

static bool take_grad(struct grad *g, const char *line)
{
    int used = 0;
    bool fine = sscanf(line, "grad %63s %lf %u %lf %lf%n", g->name, &g->norm, &g->stream,
                       &g->projection, &g->largest, &used) == 5;
    for (int i = 0; fine && i < ELEMENTS; i++) {
        int n = 0;
        fine = sscanf(line += used, " %zu:%lf%n", &g->at[i], &g->value[i], &n) == 2;
        used = n;
    }
    return fine;
}

static bool take_buffer(struct buffer *b, const char *line)
{
    return sscanf(line, "buffer %63s %lf %u %lf", b->name, &b->norm, &b->stream, &b->projection) ==
           4;
}

static bool take_input(struct input *i, const char *line)
{
    return sscanf(line, "input %31s %u %d %d %31s %d", i->name, &i->stream, &i->low, &i->high,
                  i->until, &i->pad) == 6;
}

/* Of sequences. */
static bool take_other(struct golden *g, const char *line)
{
    struct fact *f = &g->fact[g->facts];
    if (strncmp(line, "input", 5) == 0)
        return g->inputs < INPUTS && take_input(&g->input[g->inputs++], line);
    if (strncmp(line, "tokens", 6) == 0)
        return g->facts++ < INPUTS && sscanf(line, "tokens %31s %d", f->name, &f->tokens) == 2;
    if (strncmp(line, "length", 6) == 0)
        return g->facts++ < INPUTS && sscanf(line, "length %31s %d", f->name, &f->steps) == 2;
    return line[0] == '#';
}

static bool take_line(struct golden *g, const char *line)
{
    struct start *s = &g->param[g->params];
    int step;
    if (strncmp(line, "run", 3) == 0)
        return sscanf(line, "run %31s %31s %d %15s %lf %lf %lf %lf %u", g->plugin, g->variant,
                      &g->batch, g->optimizer, &g->rate, &g->momentum, &g->decay, &g->clip,
                      &g->pictures) == 9;
    if (strncmp(line, "param", 5) == 0)
        return g->params++ < PARAMS && sscanf(line, "param %63s %u %lf %lf", s->name, &s->stream,
                                              &s->scale, &s->offset) == 4;
    if (strncmp(line, "grad", 4) == 0)
        return g->grads < PARAMS && take_grad(&g->grad[g->grads++], line);
    if (strncmp(line, "loss", 4) == 0)
        return g->losses < STEPS && sscanf(line, "loss %d %lf", &step, &g->loss[g->losses]) == 2 &&
               step == g->losses++;
    if (strncmp(line, "buffer", 6) == 0)
        return g->buffers < PARAMS && take_buffer(&g->buffer[g->buffers++], line);
    return take_other(g, line);
}

static bool read_golden(const char *path, struct golden *g)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    bool fine = f != NULL;
    *g = (struct golden){0};
    while (fine && fgets(line, sizeof line, f))
        fine = take_line(g, line);
    if (f)
        fclose(f);
    return fine && g->losses == STEPS && g->grads == g->params;
}

/* --------------------------------------------------------------- the formulas */

static uint32_t scatter(uint32_t i, unsigned stream)
{
    return i * 2654435761u + stream * 40503u + 12345u;
}

static uint32_t bits(unsigned stream, size_t i)
{
    uint32_t x = scatter((uint32_t)i, stream);
    x = (x ^ x >> 15) * 2246822519u;
    x = (x ^ x >> 13) * 3266489917u;
    return (x ^ x >> 16) >> 8;
}

/* As noise() of make_golden.py: in [-1, 1), exact. */
static float noise(unsigned stream, size_t i) { return (float)bits(stream, i) * 0x1p-23f - 1.0f; }

static void set_images(struct program *p, unsigned pictures)
{
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image");
    const struct tensor *label = program_find(p, TENSOR_INPUT, "label");
    float *x = xmalloc(image->elements * sizeof *x);
    for (size_t i = 0; i < image->elements; i++)
        x[i] = noise(pictures, i);
    program_write(p, image, x);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = (int32_t)((scatter((uint32_t)i, 0) >> 16) % 10);
    free(x);
}

static void set_integers(const struct input *in, const struct tensor *t, const struct tensor *until)
{
    const size_t steps = t->elements / (size_t)t->shape.dim[0];
    const unsigned range = (unsigned)(in->high - in->low);
    int32_t *x = t->data;
    for (size_t i = 0; i < t->elements; i++) {
        const bool behind = until && i % steps >= (size_t)((int32_t *)until->data)[i / steps];
        x[i] = behind ? in->pad : in->low + (int32_t)(bits(in->stream, i) % range);
    }
}

/* Those of a sequence in the order of the file, so that lengths are there before what they end. */
static bool set_sequence(struct program *p, const struct input *in)
{
    const struct tensor *t = program_find(p, TENSOR_INPUT, in->name);
    const bool ends = strcmp(in->until, "-") != 0;
    const struct tensor *until = ends ? program_find(p, TENSOR_INPUT, in->until) : NULL;
    if (!t || (ends && !until))
        return false;
    if (in->high)
        set_integers(in, t, until);
    else
        for (size_t i = 0; i < t->elements; i++)
            ((float *)t->data)[i] = noise(in->stream, i);
    return true;
}

static bool set_inputs(struct program *p, const struct golden *g)
{
    bool fine = true;
    for (int i = 0; i < g->inputs; i++)
        fine = fine && set_sequence(p, &g->input[i]);
    if (g->inputs == 0)
        set_images(p, g->pictures);
    return fine;
}

static bool set_params(struct program *p, const struct golden *g)
{
    int n = 0;
    while (program_tensor(p, TENSOR_PARAM, n))
        n++;
    for (int k = 0; k < g->params; k++) {
        const struct start *s = &g->param[k];
        const struct tensor *t = program_find(p, TENSOR_PARAM, s->name);
        if (!t)
            return false;
        float *w = xmalloc(t->elements * sizeof *w);
        for (size_t i = 0; i < t->elements; i++)
            w[i] = (float)s->scale * noise(s->stream, i) + (float)s->offset;
        program_write(p, t, w);
        free(w);
    }
    return n == g->params;
}

/* ------------------------------------------------------------------ comparing */

static double far(double got, double want, double unit) { return fabs(got - want) / unit; }

/* Norm, and product with noise, of a tensor. */
static double measure(const float *x, size_t n, unsigned stream, double *projection)
{
    double squares = 0;
    *projection = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
        *projection += (double)x[i] * (double)noise(stream, i);
    }
    return sqrt(squares);
}

/* The largest deviation of one gradient: of norm and projection by the norm, of elements by the
 * largest element. One that is zero but for rounding, of a bias that batch norm takes off again,
 * is measured by a hundredth of the largest norm of all. */
static double grad_error(const struct program *p, const struct grad *g, double largest_norm)
{
    const struct tensor *t = program_find(p, TENSOR_GRAD, g->name);
    const bool idle = g->norm < 1e-9 * largest_norm;
    const double unit = idle ? 0.01 * largest_norm : g->norm, element = idle ? unit : g->largest;
    if (!t)
        return INFINITY;
    float *x = xmalloc(t->elements * sizeof *x);
    program_read(p, t, x);
    double projection;
    const double norm = measure(x, t->elements, g->stream, &projection);
    double worst = fmax(far(norm, g->norm, unit), far(projection, g->projection, unit));
    for (int i = 0; i < ELEMENTS; i++)
        worst = fmax(worst, g->at[i] < t->elements ? far((double)x[g->at[i]], g->value[i], element)
                                                   : (double)INFINITY);
    free(x);
    return worst;
}

static double worst_grad(const struct program *p, const struct golden *g, const char **name)
{
    double worst = 0, largest = 0;
    for (int k = 0; k < g->grads; k++)
        largest = fmax(largest, g->grad[k].norm);
    for (int k = 0; k < g->grads; k++) {
        const double error = grad_error(p, &g->grad[k], largest);
        if (!(error <= worst)) {
            worst = error;
            *name = g->grad[k].name;
        }
    }
    return worst;
}

static double worst_buffer(const struct program *p, const struct golden *g)
{
    double worst = 0;
    for (int k = 0; k < g->buffers; k++) {
        const struct buffer *b = &g->buffer[k];
        const struct tensor *t = program_find(p, TENSOR_BUFFER, b->name);
        if (!t)
            return INFINITY;
        float *x = xmalloc(t->elements * sizeof *x);
        double projection;
        program_read(p, t, x);
        const double norm = measure(x, t->elements, b->stream, &projection);
        worst =
            fmax(worst, fmax(far(norm, b->norm, b->norm), far(projection, b->projection, b->norm)));
        free(x);
    }
    return worst;
}

static float update(void *arg, const struct crew *crew, struct program *p)
{
    return optimizer_update(arg, crew, p);
}

static struct nn_recipe recipe_of(const struct golden *g)
{
    struct nn_recipe r = {
        .optimizer = NN_SGD,
        .rate = (float)g->rate,
        .momentum = (float)g->momentum,
        .beta2 = 0.999f,
        .epsilon = 1e-8f,
        .weight_decay = (float)g->decay,
        .clip_norm = (float)g->clip,
    };
    while (r.optimizer <= NN_ADAMW && strcmp(optimizer_name[r.optimizer], g->optimizer) != 0)
        r.optimizer++;
    return r;
}

/* Batch norm of a single picture has few numbers to go by, and without shortcuts many layers shake
 * gradients: PyTorch's single precision is then off by 8e-5 itself. */
static bool is_shaky(const struct golden *g)
{
    return g->batch == 1 || strcmp(g->variant, "plain-32") == 0;
}

static void compare(const struct golden *g, struct program *p, const char *what, int steps)
{
    struct optimizer o;
    size_t n;
    program_weights(p, &n);
    const struct nn_recipe recipe = recipe_of(g);
    optimizer_init(&o, &recipe, n);
    program_set_hooks(p, &(struct program_hooks){.update = update, .arg = &o});
    double worst_loss = 0, worst = 0;
    const char *name = "none";
    for (int s = 0; s < steps; s++) {
        optimizer_begin(&o, g->rate);
        if (!program_run(p)) {
            printf("# step %d: %s\n", s, program_blame(p));
            worst_loss = INFINITY;
            break;
        }
        worst_loss = fmax(worst_loss, far((double)program_loss(p), g->loss[s], fabs(g->loss[s])));
        if (s == 0)
            worst = worst_grad(p, g, &name);
    }
    const double worst_mean = steps == STEPS ? worst_buffer(p, g) : 0;
    printf("# %s: off by %.1e in losses, %.1e in gradients (%s), %.1e in running means\n", what,
           worst_loss, worst, name, worst_mean);
    is_near(worst_loss, 0, g->macs > deep ? 1e-3 : 1e-4, "%s: %d losses", what, steps);
    is_near(worst, 0, is_shaky(g) ? shaky_grad_tolerance : grad_tolerance, "%s: gradients", what);
    if (g->buffers && steps == STEPS)
        is_near(worst_mean, 0, buffer_tolerance, "%s: running means", what);
    optimizer_release(&o);
}

static void check_way(const struct golden *g, struct nn_graph *graph, int way, int steps)
{
    char what[128];
    struct err err = {0};
    const struct program_options options = {
        .threads = way == 0 ? 2 : 1, .train = true, .no_fuse = way & 1, .no_lanes = way & 2};
    snprintf(what, sizeof what, "%s:%s %s%s%s, %d thread%s", g->plugin, g->variant, kn->isa,
             options.no_fuse ? " unfused" : "", options.no_lanes ? " without lanes" : "",
             options.threads, options.threads > 1 ? "s" : "");
    struct program *p = program_new(graph, &options, &err);
    if (!ok(p != NULL, "%s: a program", what)) {
        printf("# %s\n", err.text);
        return;
    }
    if (ok(set_inputs(p, g), "%s: inputs by their names", what) &&
        ok(set_params(p, g), "%s: parameters by their names", what))
        compare(g, p, what, steps);
    program_free(p);
}

/* On the instruction set in use. */
static void check_set(struct golden *g, const struct plugin *plugin, const void *config,
                      bool is_widest)
{
    struct nn_graph *graph = graph_new(g->batch);
    const struct effort *e = efforts;
    for (const struct fact *f = g->fact; f < g->fact + g->facts; f++)
        f->tokens ? graph_set_tokens(graph, f->name, f->tokens)
                  : graph_set_length(graph, f->name, f->steps);
    plugin->facts.build(graph, config);
    graph_drop_dropout(graph);
    g->macs = graph_macs(graph);
    while (g->macs * g->batch > e->macs)
        e++;
    const bool scalar = kn->lanes == 1 && !is_widest;
    const int stride = is_widest ? e->widest : scalar ? e->scalar : e->narrower;
    for (int way = 0; stride && way < WAYS; way += stride)
        check_way(g, graph, way,
                  scalar && e->scalar_steps < MOST_STEPS ? e->scalar_steps : MOST_STEPS);
    graph_free(graph);
}

static void check_sets(struct golden *g, const struct plugin *plugin, const void *config)
{
    struct err err = {0};
    bool is_widest = true;
    for (int i = 0; kn_tables[i]; i++)
        if (kn_runs_here(kn_tables[i]) && kn_init(kn_tables[i]->isa, &err)) {
            check_set(g, plugin, config, is_widest);
            is_widest = false;
        }
}

/* That of the tree, or of tests/plugins; malloc'ed. */
static char *plugin_path(const char *folder, const char *plugin)
{
    char *so = xprintf("%s/../plugins/bench-%s.so", folder, plugin);
    if (access(so, R_OK) == 0)
        return so;
    free(so);
    return xprintf("%s/plugins/bench-%s.so", folder, plugin);
}

static void check_network(const char *folder, const char *name)
{
    static struct golden g;
    struct plugin plugin;
    struct err err = {0};
    char *tsv = xprintf("tests/golden/%s.tsv", name);
    if (!ok(read_golden(tsv, &g), "%s can be read", tsv))
        return;
    char *so = plugin_path(folder, g.plugin);
    free(tsv);
    if (!ok(plugin_open(so, &plugin, &err), "plugin %s", g.plugin)) {
        printf("# %s\n", err.text);
        return;
    }
    const struct nn_variant *v = plugin_variant(&plugin, g.variant, &err);
    if (ok(v != NULL, "variant %s", g.variant))
        check_sets(&g, &plugin, v->config);
    plugin_close(&plugin);
    free(so);
}

/* clang-format off */
static const char *const networks[] = {
    "mlp-300-100", "lenet5-modern", "lenet5-original", "filters-gabor", "alexnet-fashion",
    "alexnet-cifar", "vgg-fashion", "vgg-11-cifar", "vgg-13-cifar", "vgg-16-cifar", "vgg-19-cifar",
    "googlenet-fashion", "googlenet-cifar", "resnet-fashion", "resnet-20-fashion", "resnet-20",
    "resnet-20-b", "resnet-plain-20", "resnet-plain-32", "resnet-32", "resnet-32-b", "resnet-44",
    "resnet-44-b", "resnet-56", "resnet-56-b", "resnet-110", "resnet-18-cifar",
    "efficientnet-fashion", "efficientnet-cifar", "recurrent-rnn", "recurrent-rnn-relu",
    "recurrent-rnn-reverse", "recurrent-lstm", "recurrent-lstm-reverse", "recurrent-lstm-peephole",
    "recurrent-lstm-1997", "recurrent-gru", "recurrent-gru-reverse", "recurrent-gru-before",
    "rnn-row", "rnn-adding", "lstm-row", "lstm-adding", "lstm-char", "lstm-names", "lstm-peephole",
    "lstm-no-forget", "lstm-addition", "gru-row", "gru-adding", "gru-char", "gru-before",
    "seq2seq-plain", "seq2seq-dates",
};
/* clang-format on */

/* All networks, or those that are named. */
int main(int argc, char **argv)
{
    char folder[4096] = "";
    const ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    *(n > 0 ? strrchr(folder, '/') : folder) = '\0';
    if (argc > 1)
        for (int i = 1; i < argc; i++)
            check_network(folder, argv[i]);
    else
        for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
            check_network(folder, networks[i]);
    return done();
}
