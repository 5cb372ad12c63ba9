/* b_conv.c — speed of the convolutions: LeNet-5's layers, one image to a lane, and layers of later
 * networks in NHWC, all three passes.
 *
 *     b_conv [--isa ISA] [--algo auto|direct|winograd2|winograd4] [--threads N] [--vs | --fused]
 *            [PART]
 *
 * PART is a part of the layers' names. GFLOP/s are those of the direct algorithm, whatever ran,
 * with the taps that fall on padding; the fastest of many calls, and per cent of the FMA peak
 * measured beside them. --vs calls oneDNN in turns and ends with the geometric mean of the ratios
 * and the worst: conv_peer.h says what of it is timed. --fused adds a residual to the gradient of
 * the data and takes it through a ReLU, as it is where a block of ResNet begins. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tests/conv_peer.h"
#include "tests/peak.h"

enum { PASSES = 3, BURST = 4, MOST_ROUNDS = 40, LEAST_ROUNDS = 4 };
static const int64_t bench_ns = 150000000; /* for each figure */
static const char *const pass_names[PASSES] = {"forward", "data", "weights"};

struct layer {
    const char *name;
    bool first; /* the network's: its data needs no gradient */
    struct kn_conv c;
};

#define CONV(n, h, ci, co, k, s, p)                                                       \
    {                                                                                     \
        .N = n, .H = h, .W = h, .C = ci, .O = co, .KH = k, .KW = k, .stride = s, .pad = p \
    }
#define LANES(n, h, ci, co, k, s, p)                                                       \
    {                                                                                      \
        .N = n, .H = h, .W = h, .C = ci, .O = co, .KH = k, .KW = k, .stride = s, .pad = p, \
        .lanes = true                                                                      \
    }
#define DEPTH(n, h, ch, k, s, p)                                                           \
    {                                                                                      \
        .N = n, .H = h, .W = h, .C = ch, .O = ch, .KH = k, .KW = k, .stride = s, .pad = p, \
        .groups = ch                                                                       \
    }

/* clang-format off */
static const struct layer layers[] = {
    {"lenet C1 lanes b128",           true,  LANES(128, 32, 1, 6, 5, 1, 0)},
    {"lenet C1 pad 2 lanes b128",     true,  LANES(128, 28, 1, 6, 5, 1, 2)},
    {"lenet C3 lanes b128",           false, LANES(128, 14, 6, 16, 5, 1, 0)},
    {"lenet C5 lanes b128",           false, LANES(128, 5, 16, 120, 5, 1, 0)},
    {"resnet20 16ch 3x3 b128",        false, CONV(128, 32, 16, 16, 3, 1, 1)},
    {"resnet20 32ch 3x3 b128",        false, CONV(128, 16, 32, 32, 3, 1, 1)},
    {"resnet20 64ch 3x3 b128",        false, CONV(128, 8, 64, 64, 3, 1, 1)},
    {"vgg-cifar 128ch 3x3 b64",       false, CONV(64, 16, 128, 128, 3, 1, 1)},
    {"vgg-cifar 512ch 3x3 b64",       false, CONV(64, 4, 512, 512, 3, 1, 1)},
    {"vgg-cifar 512ch@2 3x3 b64",     false, CONV(64, 2, 512, 512, 3, 1, 1)},
    {"vgg16 conv1_1 3->64 b8",        true,  CONV(8, 224, 3, 64, 3, 1, 1)},
    {"vgg16 conv1_2 64 b4",           false, CONV(4, 224, 64, 64, 3, 1, 1)},
    {"vgg16 conv3 256 b8",            false, CONV(8, 56, 256, 256, 3, 1, 1)},
    {"vgg16 conv5 512 b16",           false, CONV(16, 14, 512, 512, 3, 1, 1)},
    {"alexnet 11x11s4 b32",           true,  CONV(32, 227, 3, 64, 11, 4, 0)},
    {"alexnet 5x5 b32",               false, CONV(32, 27, 64, 192, 5, 1, 2)},
    {"resnet 7x7s2 b16",              true,  CONV(16, 224, 3, 64, 7, 2, 3)},
    {"resnet 3x3 64@56 b16",          false, CONV(16, 56, 64, 64, 3, 1, 1)},
    {"resnet 3x3 512@7 b16",          false, CONV(16, 7, 512, 512, 3, 1, 1)},
    {"resnet 3x3s2 128->256 b16",     false, CONV(16, 28, 128, 256, 3, 2, 1)},
    {"resnet50 1x1 64->256 b16",      false, CONV(16, 56, 64, 256, 1, 1, 0)},
    {"resnet50 1x1 1024->256 b16",    false, CONV(16, 14, 1024, 256, 1, 1, 0)},
    {"resnet50 1x1s2 512->1024 b16",  false, CONV(16, 28, 512, 1024, 1, 2, 0)},
    {"resnet50 1x1 256->64@56 b8",    false, CONV(8, 56, 256, 64, 1, 1, 0)},
    {"resnet50 1x1 64->256@56 b8",    false, CONV(8, 56, 64, 256, 1, 1, 0)},
    {"resnet50 1x1 256->128@56 b8",   false, CONV(8, 56, 256, 128, 1, 1, 0)},
    {"resnet50 1x1 512->128@28 b8",   false, CONV(8, 28, 512, 128, 1, 1, 0)},
    {"resnet50 1x1 1024->256@14 b8",  false, CONV(8, 14, 1024, 256, 1, 1, 0)},
    {"resnet50 1x1 2048->512@7 b8",   false, CONV(8, 7, 2048, 512, 1, 1, 0)},
    {"inception 5x5 32->64@28 b16",   false, CONV(16, 28, 32, 64, 5, 1, 2)},
    {"effnet stem 3->32@112 b8",      true,  CONV(8, 224, 3, 32, 3, 2, 1)},
    {"effnet 1x1 32->16@112 b8",       false, CONV(8, 112, 32, 16, 1, 1, 0)},
    {"effnet 1x1 16->96@112 b8",       false, CONV(8, 112, 16, 96, 1, 1, 0)},
    {"effnet 1x1 96->24@56 b8",        false, CONV(8, 56, 96, 24, 1, 1, 0)},
    {"effnet 1x1 24->144@56 b8",       false, CONV(8, 56, 24, 144, 1, 1, 0)},
    {"effnet 1x1 144->24@56 b8",       false, CONV(8, 56, 144, 24, 1, 1, 0)},
    {"effnet 1x1 144->40@28 b8",       false, CONV(8, 28, 144, 40, 1, 1, 0)},
    {"effnet 1x1 40->240@28 b8",       false, CONV(8, 28, 40, 240, 1, 1, 0)},
    {"effnet 1x1 240->40@28 b8",       false, CONV(8, 28, 240, 40, 1, 1, 0)},
    {"effnet 1x1 240->80@14 b8",       false, CONV(8, 14, 240, 80, 1, 1, 0)},
    {"effnet 1x1 80->480@14 b8",       false, CONV(8, 14, 80, 480, 1, 1, 0)},
    {"effnet 1x1 480->112@14 b8",      false, CONV(8, 14, 480, 112, 1, 1, 0)},
    {"effnet 1x1 112->672@14 b8",      false, CONV(8, 14, 112, 672, 1, 1, 0)},
    {"effnet 1x1 672->192@7 b8",       false, CONV(8, 7, 672, 192, 1, 1, 0)},
    {"effnet 1x1 192->1152@7 b8",      false, CONV(8, 7, 192, 1152, 1, 1, 0)},
    {"effnet 1x1 1152->320@7 b8",      false, CONV(8, 7, 1152, 320, 1, 1, 0)},
    {"effnet 1x1 320->1280@7 b8",      false, CONV(8, 7, 320, 1280, 1, 1, 0)},
    {"effnet dw3x3 96@112 s2 b8",     false, DEPTH(8, 112, 96, 3, 2, 1)},
    {"effnet dw3x3 480@14 b8",        false, DEPTH(8, 14, 480, 3, 1, 1)},
    {"effnet dw5x5 672@14 b8",        false, DEPTH(8, 14, 672, 5, 1, 2)},
    {"dcgan 4x4s2 128->64 b64",       false, CONV(64, 32, 128, 64, 4, 2, 1)},
};
/* clang-format on */

static double flops(const struct kn_conv *c)
{
    return 2.0 * c->N * c->OH * c->OW * c->O * c->KH * c->KW * (c->C / conv_groups(c));
}

/* One pass of a layer. */
struct job {
    struct kn_conv c;
    int pass, threads;
    bool fused;
    float *x, *w, *y, *dx, *dw, *bias;
    void *work;
    double ns, peer_ns; /* of the fastest call */
    int peer_algo;      /* -1: it has none */
};

static void call(const struct job *j, const struct crew *crew)
{
    const struct kn_epilogue bias = {.bias = j->bias};
    const struct kn_epilogue block = {.residual = j->x, .grad = KN_ACT_RELU, .y = j->x};
    if (j->pass == CONV_FORWARD)
        kn->conv_f32(&j->c, &bias, crew, j->x, j->w, j->y, j->work);
    else if (j->pass == CONV_GRAD_DATA)
        kn->conv_grad_data_f32(&j->c, j->fused ? &block : NULL, crew, j->y, j->w, j->dx, j->work);
    else
        kn->conv_grad_weight_f32(&j->c, crew, j->x, j->y, j->dw, j->work);
    crew_wait(crew);
}

static void burst(void *arg, const struct crew *crew)
{
    struct job *j = arg;
    for (int i = 0; i < BURST; i++) {
        crew_wait(crew);
        const int64_t start = clock_ns();
        call(j, crew);
        if (crew->thread == 0)
            j->ns = fmin(j->ns, (double)(clock_ns() - start));
    }
}

static double peer_burst(const struct peer_conv *p, int pass)
{
    double best = INFINITY;
    for (int i = 0; i < BURST; i++) {
        const int64_t start = clock_ns();
        peer_run(p, pass);
        best = fmin(best, (double)(clock_ns() - start));
    }
    return best;
}

/* The peer's fastest algorithm, in *p; -1 if there is none. */
static int peer_best(const struct job *j, struct peer_conv *p)
{
    int best = -1;
    double least = INFINITY;
    for (int a = 0; a < PEER_ALGOS; a++) {
        struct peer_conv one;
        if (!peer_new(&j->c, j->pass, a, j->threads, &one))
            continue;
        const double ns = fmin(peer_burst(&one, j->pass), peer_burst(&one, j->pass));
        peer_free(&one);
        if (ns < least) {
            least = ns;
            best = a;
        }
    }
    if (best >= 0)
        peer_new(&j->c, j->pass, best, j->threads, p);
    return best;
}

static void measure(struct job *j, bool vs)
{
    struct peer_conv p = {0};
    const size_t bytes = kn->conv_work_f32(&j->c, j->pass, j->threads);
    j->work = mem_map(bytes + 64);
    j->ns = j->peer_ns = INFINITY;
    j->peer_algo = vs ? peer_best(j, &p) : -1;
    const int64_t begin = clock_ns(), room = bench_ns * (vs ? 2 : 1);
    for (int r = 0; r < MOST_ROUNDS && (r < LEAST_ROUNDS || clock_ns() - begin < room); r++) {
        crew_run(j->threads, burst, j);
        if (j->peer_algo >= 0)
            j->peer_ns = fmin(j->peer_ns, peer_burst(&p, j->pass));
    }
    if (j->peer_algo >= 0)
        peer_free(&p);
    mem_unmap(j->work, bytes + 64);
}

static float *tensor(size_t n, uint64_t stream)
{
    float *p = mem_map(n * sizeof(float));
    kn->uniform_f32(n, 0, 1, stream, -1, 1, p);
    return p;
}

/* What the command line asks for, and what --vs found. */
struct bench {
    const char *isa, *part;
    int algo, threads;
    bool vs, fused;
    double peak, logs, worst;
    int ratios;
    char worst_name[64];
};

static void show(struct bench *b, const struct layer *l, const struct job *j)
{
    const double rate = flops(&j->c) / j->ns, ratio = j->peer_ns / j->ns;
    char how[KN_HOW];
    kn->conv_how(&j->c, j->pass, how);
    printf("%-29s %-8s %9.0f %6.0f %4.0f%%  %-16s", l->name, pass_names[j->pass], j->ns / 1e3, rate,
           100 * rate / b->peak, how);
    if (j->peer_algo >= 0)
        printf(" %6.0f %-8s %5.2f", flops(&j->c) / j->peer_ns, peer_algos[j->peer_algo], ratio);
    printf("\n");
    fflush(stdout);
    if (j->peer_algo < 0)
        return;
    b->logs += log(ratio);
    b->ratios++;
    if (ratio < b->worst) {
        b->worst = ratio;
        snprintf(b->worst_name, sizeof b->worst_name, "%s %s", l->name, pass_names[j->pass]);
    }
}

static void bench(struct bench *b, const struct layer *l)
{
    struct job j = {.c = l->c, .threads = b->threads, .fused = b->fused};
    struct kn_conv *const c = &j.c;
    c->algo = b->algo;
    c->OH = (c->H + 2 * c->pad - c->KH) / c->stride + 1;
    c->OW = (c->W + 2 * c->pad - c->KW) / c->stride + 1;
    const size_t nx = (size_t)c->N * (size_t)(c->H * c->W * c->C),
                 ny = (size_t)c->N * (size_t)(c->OH * c->OW * c->O),
                 nw = (size_t)c->O * (size_t)(c->KH * c->KW * (c->C / conv_groups(c)));
    j.x = tensor(nx, 1), j.w = tensor(nw, 2), j.y = tensor(ny, 3);
    j.dx = tensor(nx, 4), j.dw = tensor(nw, 5), j.bias = tensor((size_t)c->O, 6);
    for (j.pass = 0; j.pass < PASSES; j.pass++)
        if (j.pass != CONV_GRAD_DATA || !l->first) {
            measure(&j, b->vs);
            show(b, l, &j);
        }
    float *const tensors[] = {j.x, j.w, j.y, j.dx, j.dw, j.bias};
    const size_t sizes[] = {nx, nw, ny, nx, nw, (size_t)c->O};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        mem_unmap(tensors[i], sizes[i] * sizeof(float));
}

static bool parse(int argc, char **argv, struct bench *b)
{
    static const char *const algos[] = {"auto", "direct", "winograd2", "winograd4"};
    for (int i = 1; i < argc; i++) {
        const char *const value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--vs") == 0) {
            b->vs = true;
        } else if (strcmp(argv[i], "--fused") == 0) {
            b->fused = true;
        } else if (strcmp(argv[i], "--isa") == 0) {
            b->isa = value, i++;
        } else if (strcmp(argv[i], "--threads") == 0) {
            b->threads = atoi(value), i++;
        } else if (strcmp(argv[i], "--algo") == 0) {
            b->algo = 0, i++;
            while (b->algo < 4 && strcmp(value, algos[b->algo]) != 0)
                b->algo++;
        } else {
            b->part = argv[i];
        }
    }
    return b->threads >= 1 && b->algo < 4 && !(b->vs && b->fused);
}

int main(int argc, char **argv)
{
    struct err err;
    struct bench b = {.part = "", .threads = 2, .worst = INFINITY};
    const char *why = NULL;
    if (!parse(argc, argv, &b)) {
        fprintf(stderr,
                "usage: b_conv [--isa ISA] [--algo auto|direct|winograd2|winograd4] "
                "[--threads N] [--vs | --fused] [PART OF A NAME]\n");
        return 2;
    }
    if (!kn_init(b.isa, &err)) {
        fprintf(stderr, "b_conv: %s\n", err.text);
        return 2;
    }
    if (b.vs && !peer_load(&why)) {
        fprintf(stderr, "b_conv: --vs: %s\n", why);
        return 2;
    }
    b.peak = peak_gflops(b.threads);
    printf("%s, %d threads, FMA peak %.0f GFLOP/s\n", kn->isa, b.threads, b.peak);
    printf("%-29s %-8s %9s %6s %5s  %-16s%s\n", "layer", "pass", "us", "GF/s", "peak", "how",
           b.vs ? " oneDNN algo     ratio" : "");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strstr(layers[i].name, b.part))
            bench(&b, &layers[i]);
    if (b.ratios)
        printf("against oneDNN: geometric mean %.2f of %d, worst %.2f (%s)\n",
               exp(b.logs / b.ratios), b.ratios, b.worst, b.worst_name);
    return 0;
}
