/* t_audit.c — FLOPs counted twice: by the formula of each op, and by the kernels as
 * they run. Both agree on every op of every plugin and of random graphs, whatever
 * fusion, layout, threads and batch do; and where either is made wrong, the audit
 * says which op. Counting changes no bit. (Every op of ops.def by itself: ops_test.h.) */
#define _POSIX_C_SOURCE 200809L /* readlink */
#include <dirent.h>
#include <unistd.h>

#include "base/mem.h"
#include "graph/exec.h"
#include "kernels/count.h"
#include "tests/random_graph.h"
#include "tests/tap.h"
#include "train/plugin_load.h"

enum { GRAPHS = 60 };

/* ------------------------------------------------------------------ one step */

static void fill_inputs(struct program *p, bool partly)
{
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t e = 0; e < t->elements; e++)
            if (t->type == NN_F32)
                ((float *)t->data)[e] = (float)(e * 2654435761u % 1000) / 1000.0f - 0.4f;
            else
                ((int32_t *)t->data)[e] = partly && e % 3 == 0 ? -1 : (int32_t)(e % 2);
}

/* The step need not be finite to be counted. */
static bool audited(struct program *p, struct err *err)
{
    program_count(p);
    (void)!program_run(p);
    return program_audit(p, err);
}

/* All four ways; the number of them that passed. */
static int audit_ways(struct nn_graph *graph, bool partly, struct err *err)
{
    int passed = 0;
    for (int way = 0; way < 4; way++) {
        const struct program_options o = {
            .threads = 1 + way % 3, .train = true, .no_fuse = way & 1, .no_lanes = way & 2};
        struct program *p = program_new(graph, &o, err);
        if (!p)
            return passed;
        fill_inputs(p, partly);
        passed += audited(p, err);
        program_free(p);
    }
    return passed;
}

/* ------------------------------------------------------------------- plugins */

/* Larger variants would take minutes. They have the same ops, and each run audits its first step. */
static const double most_macs = 16e6;

static void check_variant(const struct plugin *plugin, const struct nn_variant *v)
{
    if (v->published.macs > most_macs)
        return;
    static const int batches[] = {32, 20}; /* 20: no lanes */
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        struct err err = {0};
        struct nn_graph *graph = graph_new(batches[i]);
        plugin->facts.build(graph, v->config);
        if (!is_int(audit_ways(graph, i == 1, &err), 4, "%s:%s, batch %d%s", plugin->facts.name,
                    v->name, batches[i], i == 1 ? " not full" : ""))
            printf("# %s\n", err.text);
        graph_free(graph);
    }
}

static void test_plugins(void)
{
    char self[4096] = "";
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    *(n > 0 ? strrchr(self, '/') : self) = '\0';
    char *folder = xprintf("%s/../plugins", self);
    DIR *d = opendir(folder);
    int found = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct plugin plugin;
        struct err err = {0};
        if (!strstr(e->d_name, ".so"))
            continue;
        char *path = xprintf("%s/%s", folder, e->d_name);
        if (ok(plugin_open(path, &plugin, &err), "%s opens", e->d_name)) {
            found++;
            for (int v = 0; v < plugin.variants; v++)
                check_variant(&plugin, &plugin.facts.variants[v]);
            plugin_close(&plugin);
        }
        free(path);
    }
    if (d)
        closedir(d);
    free(folder);
    ok(found > 0, "there are plugins");
}

/* ------------------------------------------------------------- random graphs */

static void test_random(void)
{
    int passed = 0;
    struct err err = {0};
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct nn_graph *graph = random_graph(seed, seed % 2 ? 16 : 7, seed % 3 == 0);
        passed += audit_ways(graph, seed % 5 == 0, &err);
        graph_free(graph);
    }
    if (!is_int(passed, 4 * GRAPHS, "random graphs, four ways each"))
        printf("# %s\n", err.text);
}

static void test_same_bits(void)
{
    struct err err = {0};
    bool same = true;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct nn_graph *graph = random_graph(seed, 16, true);
        const struct program_options o = {.threads = 2, .train = true, .seed = seed};
        struct program *counted = program_new(graph, &o, &err),
                       *plain = program_new(graph, &o, &err);
        size_t n, m;
        fill_inputs(counted, false);
        fill_inputs(plain, false);
        const struct kn_table *table = kn;
        same = same && audited(counted, &err) && program_run(plain) && kn == table;
        const float *a = program_grads(counted, &n), *b = program_grads(plain, &m);
        same = same && n == m && memcmp(a, b, n * sizeof *a) == 0;
        program_free(counted);
        program_free(plain);
        graph_free(graph);
    }
    ok(same, "a counted step has the same gradients, and leaves kn as it was");
}

/* -------------------------------------------------------------- wrong numbers */

static struct program *small_program(struct nn_graph **graph)
{
    struct err err = {0};
    struct nn_graph *g = *graph = graph_new(16);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(1, 12, 12));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "C1");
    x = nn_tanh(nn_conv2d(x, 6, .kernel = 5));
    nn_row(g, "F2");
    nn_minimize(nn_cross_entropy(nn_linear(nn_flatten(x), 10), label));
    const struct program_options o = {.threads = 2, .train = true};
    struct program *p = program_new(g, &o, &err);
    fill_inputs(p, false);
    return p;
}

static struct program_step *first_conv(struct program *p)
{
    struct program_step *t = p->told;
    while (strcmp(t->op, "conv2d") != 0)
        t++;
    return t;
}

static void test_wrong_formula(void)
{
    struct nn_graph *graph;
    struct program *p = small_program(&graph);
    struct program_step *conv = first_conv(p);
    for (int factor = -1; factor <= 1; factor += 2) {
        struct err err = {0};
        const double right = conv->flops;
        conv->flops = right * (1.0 + factor * 0.02);
        ok(!audited(p, &err) && strstr(err.text, "C1: conv2d"), "2 %% %s: %s",
           factor < 0 ? "too few" : "too many", err.text);
        conv->flops = right;
    }
    struct err err = {0};
    ok(audited(p, &err), "and the right formula passes again");
    program_free(p);
    graph_free(graph);
}

static const struct kn_table *whole;

/* A product that computes more than its arguments say. */
static void greedy_gemm(const struct kn_gemm *g, const struct crew *crew, void *work)
{
    kn_flops += crew->thread == 0 ? 0.05 * (double)g->M * g->N * g->K : 0.0;
    whole->gemm_f32(g, crew, work);
}

static void test_wrong_kernel(void)
{
    struct nn_graph *graph;
    struct err err = {0};
    struct program *p = small_program(&graph);
    whole = kn;
    struct kn_table table = *kn;
    table.gemm_f32 = greedy_gemm;
    kn = &table;
    ok(!audited(p, &err) && strstr(err.text, "F2: linear"), "a kernel that counts more: %s",
       err.text);
    kn = whole;
    program_free(p);
    graph_free(graph);
}

int main(void)
{
    struct err err = {0};
    if (!kn_init(NULL, &err))
        return 1;
    test_plugins();
    test_random();
    test_same_bits();
    test_wrong_formula();
    test_wrong_kernel();
    return done();
}
