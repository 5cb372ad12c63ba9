/* b_depthwise.c — speed of the convolutions in groups: EfficientNet-B0's depthwise layers, and
 * AlexNet's two towers beside one tower's work without groups; each pass.
 *
 *     b_depthwise [--vs] [--threads N] [--rounds R] [PART OF A NAME]
 *
 * GFLOP/s of the products that the layer defines, taps in the border not counted, fastest round of
 * a millisecond; the roof is the time in which memory as fast as a copy of 32 MiB moves each tensor
 * once. --vs: oneDNN's best algorithm in layouts of its own choice, which take turns with ours, and
 * the ratio of the times. Without oneDNN's header or library only ours. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "tests/peak.h"

enum { PASSES = 3 };
static const char *const pass_names[PASSES] = {"forward", "data", "weights"};
static const double sample_ns = 1e6;

/* clang-format off */
#define CONV(n, h, ci, co, k, s, p, g) \
    {.N = n, .H = h, .W = h, .C = ci, .O = co, .KH = k, .KW = k, .stride = s, .pad = p, .groups = g}
#define DW(h, c, k, s) CONV(8, h, c, c, k, s, k / 2, c)
static const struct layer {
    const char *name;
    struct kn_conv c;
} layers[] = {
    {"b0 dw3x3 32@112",       DW(112,   32, 3, 1)},
    {"b0 dw3x3 96@112 s2",    DW(112,   96, 3, 2)},
    {"b0 dw3x3 144@56",       DW( 56,  144, 3, 1)},
    {"b0 dw5x5 144@56 s2",    DW( 56,  144, 5, 2)},
    {"b0 dw5x5 240@28",       DW( 28,  240, 5, 1)},
    {"b0 dw3x3 240@28 s2",    DW( 28,  240, 3, 2)},
    {"b0 dw3x3 480@14",       DW( 14,  480, 3, 1)},
    {"b0 dw5x5 480@14",       DW( 14,  480, 5, 1)},
    {"b0 dw5x5 672@14",       DW( 14,  672, 5, 1)},
    {"b0 dw5x5 672@14 s2",    DW( 14,  672, 5, 2)},
    {"b0 dw5x5 1152@7",       DW(  7, 1152, 5, 1)},
    {"b0 dw3x3 1152@7",       DW(  7, 1152, 3, 1)},
    {"alexnet conv2 2 groups", CONV(32, 27,  96, 256, 5, 1, 2, 2)},
    {"alexnet conv2 a tower",  CONV(32, 27,  48, 128, 5, 1, 2, 1)},
    {"alexnet conv4 2 groups", CONV(32, 13, 384, 384, 3, 1, 1, 2)},
    {"alexnet conv4 a tower",  CONV(32, 13, 192, 192, 3, 1, 1, 1)},
    {"alexnet conv5 2 groups", CONV(32, 13, 384, 256, 3, 1, 1, 2)},
    {"alexnet conv5 a tower",  CONV(32, 13, 192, 128, 3, 1, 1, 1)},
};
/* clang-format on */

/* Taps inside the image, over all targets of one axis. */
static double taps(int extent, int targets, int kernel, int stride, int pad)
{
    int n = 0;
    for (int q = 0; q < targets; q++)
        for (int v = 0; v < kernel; v++) {
            const int at = q * stride + v - pad;
            n += at >= 0 && at < extent;
        }
    return n;
}

static double flops(const struct kn_conv *c)
{
    return 2.0 * c->N * c->O * (c->C / c->groups) * taps(c->H, c->OH, c->KH, c->stride, c->pad) *
           taps(c->W, c->OW, c->KW, c->stride, c->pad);
}

struct sizes {
    size_t x, w, y;
};
static struct sizes sizes_of(const struct kn_conv *c)
{
    return (struct sizes){(size_t)c->N * (size_t)(c->H * c->W) * (size_t)c->C,
                          (size_t)c->O * (size_t)(c->KH * c->KW) * (size_t)(c->C / c->groups),
                          (size_t)c->N * (size_t)(c->OH * c->OW) * (size_t)c->O};
}

/* ---- ours ---------------------------------------------------------------- */

struct job {
    const struct kn_conv *c;
    int pass, calls;
    float *x, *w, *y;
    void *work;
};

static void call(const struct job *j, const struct crew *crew)
{
    if (j->pass == CONV_FORWARD)
        kn->conv_f32(j->c, NULL, crew, j->x, j->w, j->y, j->work);
    else if (j->pass == CONV_GRAD_DATA)
        kn->conv_grad_data_f32(j->c, NULL, crew, j->y, j->w, j->x, j->work);
    else
        kn->conv_grad_weight_f32(j->c, crew, j->x, j->y, j->w, j->work);
    crew_wait(crew);
}

static void calls(void *arg, const struct crew *crew)
{
    const struct job *j = arg;
    for (int i = 0; i < j->calls; i++)
        call(j, crew);
}

/* ---- oneDNN -------------------------------------------------------------- */

#if defined __has_include
#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>
#if DNNL_VERSION_MAJOR == 2
#define HAVE_DNNL 1
#endif
#endif
#endif

#ifdef HAVE_DNNL
/* clang-format off */
#define DNNL(D) \
    D(engine_create) D(stream_create) D(stream_wait) D(memory_create) D(memory_get_data_handle) \
    D(memory_desc_init_by_tag) D(convolution_forward_desc_init) \
    D(convolution_backward_data_desc_init) D(convolution_backward_weights_desc_init) \
    D(primitive_desc_create) D(primitive_desc_query_md) D(primitive_create) D(primitive_execute) \
    D(memory_destroy) D(primitive_destroy) D(memory_desc_get_size)
/* clang-format on */
static struct {
#define MEMBER(name) __typeof__(dnnl_##name) *name;
    DNNL(MEMBER)
} dnnl;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

static bool peer_load(void)
{
    void *const so = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return false;
#define LOAD(name)                                          \
    if (!(*(void **)&dnnl.name = dlsym(so, "dnnl_" #name))) \
        return false;
    DNNL(LOAD)
    return dnnl.engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
           dnnl.stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
}

struct peer {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[3];
};

static dnnl_memory_desc_t any(int rank, const dnnl_dims_t dims)
{
    dnnl_memory_desc_t d;
    dnnl.memory_desc_init_by_tag(&d, rank, dims, dnnl_f32, dnnl_format_tag_any);
    return d;
}

static dnnl_exec_arg_t argument(dnnl_primitive_desc_t d, dnnl_query_t what, int index)
{
    const dnnl_memory_desc_t *md = dnnl.primitive_desc_query_md(d, what, 0);
    dnnl_memory_t memory = NULL;
    void *at;
    dnnl.memory_create(&memory, md, engine, DNNL_MEMORY_ALLOCATE);
    dnnl.memory_get_data_handle(memory, &at);
    kn->uniform_f32(dnnl.memory_desc_get_size(md) / sizeof(float), 0, 1, 1, -1, 1, at);
    return (dnnl_exec_arg_t){index, memory};
}

static bool peer_new(const struct kn_conv *c, int pass, struct peer *p)
{
    const int g = c->groups, ranks = g > 1;
    const dnnl_dims_t x = {c->N, c->C, c->H, c->W}, y = {c->N, c->O, c->OH, c->OW},
                      flat = {c->O, c->C, c->KH, c->KW},
                      grouped = {g, c->O / g, c->C / g, c->KH, c->KW},
                      stride = {c->stride, c->stride}, pad = {c->pad, c->pad},
                      behind = {(c->OH - 1) * c->stride + c->KH - c->H - c->pad,
                                (c->OW - 1) * c->stride + c->KW - c->W - c->pad};
    const dnnl_memory_desc_t dx = any(4, x), dy = any(4, y),
                             dw = any(4 + ranks, ranks ? grouped : flat);
    dnnl_convolution_desc_t d, f;
    dnnl_primitive_desc_t hint = NULL, desc = NULL;
    const dnnl_alg_kind_t best = dnnl_convolution_auto;
    if (dnnl.convolution_forward_desc_init(&f, dnnl_forward_training, best, &dx, &dw, NULL, &dy,
                                           stride, pad, behind) != dnnl_success ||
        dnnl.primitive_desc_create(&hint, &f, NULL, engine, NULL) != dnnl_success)
        return false;
    d = f;
    if (pass == CONV_GRAD_DATA)
        dnnl.convolution_backward_data_desc_init(&d, best, &dx, &dw, &dy, stride, pad, behind);
    else if (pass == CONV_GRAD_WEIGHT)
        dnnl.convolution_backward_weights_desc_init(&d, best, &dx, &dw, NULL, &dy, stride, pad,
                                                    behind);
    if (dnnl.primitive_desc_create(&desc, &d, NULL, engine, pass ? hint : NULL) != dnnl_success ||
        dnnl.primitive_create(&p->primitive, desc) != dnnl_success)
        return false;
    const bool data = pass == CONV_GRAD_DATA, weight = pass == CONV_GRAD_WEIGHT;
    p->args[0] = argument(desc, data ? dnnl_query_diff_src_md : dnnl_query_src_md,
                          data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC);
    p->args[1] = argument(desc, weight ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
                          weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
    p->args[2] = argument(desc, pass ? dnnl_query_diff_dst_md : dnnl_query_dst_md,
                          pass ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST);
    return true;
}

static void peer_calls(const struct peer *p, int n)
{
    for (int i = 0; i < n; i++)
        dnnl.primitive_execute(p->primitive, stream, 3, p->args);
    dnnl.stream_wait(stream);
}

static void peer_free(struct peer *p)
{
    dnnl.primitive_destroy(p->primitive);
    for (int i = 0; i < 3; i++)
        dnnl.memory_destroy(p->args[i].memory);
}
#else
struct peer {
    int none;
};
static bool peer_load(void) { return false; }
static bool peer_new(const struct kn_conv *c, int pass, struct peer *p)
{
    return (void)c, (void)pass, (void)p, false;
}
static void peer_calls(const struct peer *p, int n) { (void)p, (void)n; }
static void peer_free(struct peer *p) { (void)p; }
#endif

/* ---- measuring ------------------------------------------------------------ */

static double time_ours(struct job *j, int threads, int n)
{
    j->calls = n;
    const int64_t start = clock_ns();
    crew_run(threads, calls, j);
    return (double)(clock_ns() - start) / n;
}

static double time_peer(const struct peer *p, int n)
{
    const int64_t start = clock_ns();
    peer_calls(p, n);
    return (double)(clock_ns() - start) / n;
}

static int calls_of(double ns) { return ns < sample_ns ? (int)(sample_ns / ns) + 1 : 1; }

static float *tensor(size_t n, uint64_t stream_of)
{
    float *p = mem_map(n * sizeof(float));
    kn->uniform_f32(n, 0, 1, stream_of, -1, 1, p);
    return p;
}

/* Bytes per nanosecond of a large copy on so many threads. */
static void copy(void *arg, const struct crew *crew)
{
    float *const all = arg;
    const size_t half = (size_t)1 << 22;
    size_t from, to;
    crew_share(crew, half, 16, &from, &to);
    kn->scale_f32(to - from, 1.5f, all + from, all + half + from);
}

static double memory_speed(int threads)
{
    float *const all = tensor((size_t)1 << 23, 9);
    double best = 0;
    for (int i = 0; i < 20; i++) {
        const int64_t start = clock_ns();
        crew_run(threads, copy, all);
        best = fmax(best, (double)(sizeof(float) << 23) / (double)(clock_ns() - start));
    }
    mem_unmap(all, sizeof(float) << 23);
    return best;
}

struct setting {
    int threads, rounds;
    bool vs;
    double memory;
};

/* Sum of the logarithms of the ratios, and how many. */
struct ratios {
    double logs, least;
    int n;
};

static void bench_pass(const struct setting *s, struct job *j, int pass, struct ratios *all)
{
    double our = INFINITY, their = INFINITY;
    struct peer peer;
    const struct sizes n = sizes_of(j->c);
    const size_t bytes = kn->conv_work_f32(j->c, pass, s->threads);
    j->pass = pass;
    j->work = mem_map(bytes + 64);
    const bool vs = s->vs && peer_new(j->c, pass, &peer);
    const int our_calls = calls_of(time_ours(j, s->threads, 1)),
              their_calls = vs ? calls_of((time_peer(&peer, 1), time_peer(&peer, 1))) : 0;
    for (int r = 0; r < s->rounds; r++) {
        our = fmin(our, time_ours(j, s->threads, our_calls));
        their = vs ? fmin(their, time_peer(&peer, their_calls)) : 0;
    }
    const double work = flops(j->c);
    const double roof = work * s->memory / ((double)(n.x + n.w + n.y) * sizeof(float));
    printf("%-24s %-8s %8.0f us %5.0f GFLOP/s, memory's roof %5.0f", "", pass_names[pass],
           our / 1e3, work / our, roof);
    if (vs) {
        printf("; oneDNN %5.0f, ratio %.2f", work / their, their / our);
        all->logs += log(their / our);
        all->least = fmin(all->least, their / our);
        all->n++;
        peer_free(&peer);
    }
    printf("\n");
    fflush(stdout);
    mem_unmap(j->work, bytes + 64);
}

static void bench(const struct setting *s, const struct layer *l, struct ratios *all)
{
    struct kn_conv c = l->c;
    c.OH = (c.H + 2 * c.pad - c.KH) / c.stride + 1;
    c.OW = (c.W + 2 * c.pad - c.KW) / c.stride + 1;
    const struct sizes n = sizes_of(&c);
    struct job j = {.c = &c, .x = tensor(n.x, 1), .w = tensor(n.w, 2), .y = tensor(n.y, 3)};
    printf("%s\n", l->name);
    for (int pass = 0; pass < PASSES; pass++)
        bench_pass(s, &j, pass, all);
    mem_unmap(j.x, n.x * sizeof(float));
    mem_unmap(j.w, n.w * sizeof(float));
    mem_unmap(j.y, n.y * sizeof(float));
}

int main(int argc, char **argv)
{
    struct setting s = {.threads = crew_cores(), .rounds = 25};
    struct ratios all = {.least = INFINITY};
    struct err err;
    const char *part = "";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--vs") == 0)
            s.vs = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            s.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            s.rounds = atoi(argv[++i]);
        else
            part = argv[i];
    if (!kn_init(NULL, &err) || s.threads < 1 || s.rounds < 1) {
        fprintf(stderr, "usage: b_depthwise [--vs] [--threads N] [--rounds N] [PART]\n");
        return 2;
    }
    omp_set_num_threads(s.threads);
    if (s.vs && !peer_load()) {
        fprintf(stderr, "b_depthwise: oneDNN 2 is not installed\n");
        s.vs = false;
    }
    s.memory = memory_speed(s.threads);
    printf("%s, %d threads; peak %.0f GFLOP/s, memory %.0f GB/s\n", kn->isa, s.threads,
           peak_gflops(s.threads), s.memory);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strstr(layers[i].name, part))
            bench(&s, &layers[i], &all);
    if (all.n)
        printf("ratio to oneDNN: geometric mean %.2f, least %.2f of %d\n", exp(all.logs / all.n),
               all.least, all.n);
    return 0;
}
