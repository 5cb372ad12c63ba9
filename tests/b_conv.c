/* b_conv.c — speed of the convolutions: LeNet-5's layers, one image to a lane, and
 * layers of later networks in NHWC; each pass, one and two threads.
 *
 *     b_conv [ISA] [PART OF A NAME]
 *
 * GFLOP/s of the products that the layer defines (taps in the border not counted),
 * fastest of many calls, and per cent of the FMA peak measured beside them. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tests/peak.h"

enum { PASSES = 3, MOST_THREADS = 2 };
static const int64_t bench_ns = 150000000; /* for each figure */

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

/* clang-format off */
static const struct layer layers[] = {
    {"lenet C1 lanes b128",           true,  LANES(128, 32, 1, 6, 5, 1, 0)},
    {"lenet C1 pad 2 lanes b128",     true,  LANES(128, 28, 1, 6, 5, 1, 2)},
    {"lenet C3 lanes b128",           false, LANES(128, 14, 6, 16, 5, 1, 0)},
    {"lenet C5 lanes b128",           false, LANES(128, 5, 16, 120, 5, 1, 0)},
    {"lenet C3 nhwc b128",            false, CONV(128, 14, 6, 16, 5, 1, 0)},
    {"resnet20 16ch 3x3 b128",        false, CONV(128, 32, 16, 16, 3, 1, 1)},
    {"resnet20 32ch 3x3 b128",        false, CONV(128, 16, 32, 32, 3, 1, 1)},
    {"resnet20 64ch 3x3 b128",        false, CONV(128, 8, 64, 64, 3, 1, 1)},
    {"vgg-cifar 128ch 3x3 b64",       false, CONV(64, 16, 128, 128, 3, 1, 1)},
    {"vgg-cifar 512ch 3x3 b64",       false, CONV(64, 4, 512, 512, 3, 1, 1)},
    {"vgg16 conv1_1 3->64 b8",        true,  CONV(8, 224, 3, 64, 3, 1, 1)},
    {"vgg16 conv3 256 b8",            false, CONV(8, 56, 256, 256, 3, 1, 1)},
    {"alexnet 11x11s4 b32",           true,  CONV(32, 227, 3, 64, 11, 4, 0)},
    {"alexnet 5x5 b32",               false, CONV(32, 27, 64, 192, 5, 1, 2)},
    {"resnet 7x7s2 b16",              true,  CONV(16, 224, 3, 64, 7, 2, 3)},
    {"resnet 3x3s2 128->256 b16",     false, CONV(16, 28, 128, 256, 3, 2, 1)},
    {"resnet50 1x1 64->256 b16",      false, CONV(16, 56, 64, 256, 1, 1, 0)},
    {"resnet50 1x1 1024->256 b16",    false, CONV(16, 14, 1024, 256, 1, 1, 0)},
    {"inception 5x5 32->64@28 b16",   false, CONV(16, 28, 32, 64, 5, 1, 2)},
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
    return 2.0 * c->N * c->C * c->O * taps(c->H, c->OH, c->KH, c->stride, c->pad) *
           taps(c->W, c->OW, c->KW, c->stride, c->pad);
}

struct job {
    const struct kn_conv *c;
    int pass;
    float *x, *w, *y, *dx, *dw, *bias;
    void *work;
    double ns;  /* of the fastest call */
    bool going; /* thread 0 says so */
};

static void call(const struct job *j, const struct crew *crew)
{
    const struct kn_epilogue bias = {.bias = j->bias};
    if (j->pass == CONV_FORWARD)
        kn->conv_f32(j->c, &bias, crew, j->x, j->w, j->y, j->work);
    else if (j->pass == CONV_GRAD_DATA)
        kn->conv_grad_data_f32(j->c, NULL, crew, j->y, j->w, j->dx, j->work);
    else
        kn->conv_grad_weight_f32(j->c, crew, j->x, j->y, j->dw, j->work);
    crew_wait(crew);
}

static void time_calls(void *arg, const struct crew *crew)
{
    struct job *j = arg;
    const int64_t begin = clock_ns();
    for (;;) {
        crew_wait(crew);
        if (!j->going)
            return;
        const int64_t start = clock_ns();
        call(j, crew);
        const int64_t end = clock_ns();
        if (crew->thread != 0)
            continue;
        j->ns = fmin(j->ns, (double)(end - start));
        j->going = end - begin < bench_ns;
    }
}

static float *tensor(size_t n, uint64_t stream)
{
    float *p = mem_map(n * sizeof(float));
    kn->uniform_f32(n, 0, 1, stream, -1, 1, p);
    return p;
}

static void bench(const struct layer *l, const double peak[])
{
    struct kn_conv c = l->c;
    c.OH = (c.H + 2 * c.pad - c.KH) / c.stride + 1;
    c.OW = (c.W + 2 * c.pad - c.KW) / c.stride + 1;
    const size_t nx = (size_t)c.N * (size_t)(c.H * c.W * c.C),
                 ny = (size_t)c.N * (size_t)(c.OH * c.OW * c.O),
                 nw = (size_t)c.O * (size_t)(c.KH * c.KW * c.C);
    struct job j = {.c = &c};
    j.x = tensor(nx, 1), j.w = tensor(nw, 2), j.y = tensor(ny, 3);
    j.dx = tensor(nx, 4), j.dw = tensor(nw, 5), j.bias = tensor((size_t)c.O, 6);
    printf("%-28s", l->name);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        for (j.pass = 0; j.pass < PASSES; j.pass++) {
            if (j.pass == CONV_GRAD_DATA && l->first) {
                printf(" %14s      ", "-");
                continue;
            }
            const size_t bytes = kn->conv_work_f32(&c, j.pass, threads);
            j.work = mem_map(bytes);
            j.ns = INFINITY;
            j.going = true;
            crew_run(threads, time_calls, &j);
            mem_unmap(j.work, bytes);
            const double rate = flops(&c) / j.ns;
            printf(" %7.0f %4.0f %3.0f%%  ", j.ns / 1e3, rate, 100 * rate / peak[threads]);
            fflush(stdout);
        }
        printf(threads < MOST_THREADS ? " |" : "\n");
    }
    float *const tensors[] = {j.x, j.w, j.y, j.dx, j.dw, j.bias};
    const size_t sizes[] = {nx, nw, ny, nx, nw, (size_t)c.O};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        mem_unmap(tensors[i], sizes[i] * sizeof(float));
}

int main(int argc, char **argv)
{
    struct err err;
    const char *isa = argc > 1 && *argv[1] ? argv[1] : NULL, *part = argc > 2 ? argv[2] : "";
    if (!kn_init(isa, &err)) {
        fprintf(stderr, "b_conv: %s\n", err.text);
        return 2;
    }
    const double peak[] = {0, peak_gflops(1), peak_gflops(2)};
    printf("%s; peak %.0f GFLOP/s on one thread, %.0f on two\n", kn->isa, peak[1], peak[2]);
    printf("%-28s us GFLOP/s %%: one thread forward, data, weights | two threads\n", "");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strstr(layers[i].name, part))
            bench(&layers[i], peak);
    return 0;
}
