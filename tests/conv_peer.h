/* conv_peer.h — oneDNN's convolution for b_conv --vs, loaded at run time.
 *
 * Layouts are of its own choice and no reorder is timed; of its algorithms (direct, Winograd, auto)
 * the one that is fastest for a problem counts. A build without its header has no peer. */
#ifndef CONV_PEER_H
#define CONV_PEER_H

#include <dlfcn.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kernels/kernels.h"

enum { PEER_ALGOS = 3 };
static const char *const peer_algos[PEER_ALGOS] = {"direct", "winograd", "auto"};

/* One problem of the peer, ready to run. */
struct peer_conv {
    void *primitive, *descs[2], *memories[4]; /* a backward pass has a forward one for a hint */
};

#if __has_include(<dnnl.h>)
#include <dnnl.h>

#define PEER_CALLS(f)                                                                        \
    f(engine_create) f(stream_create) f(stream_wait) f(memory_desc_init_by_tag)              \
        f(convolution_forward_desc_init) f(convolution_backward_data_desc_init)              \
            f(convolution_backward_weights_desc_init) f(primitive_desc_create)               \
                f(primitive_desc_query_md) f(primitive_desc_destroy) f(memory_desc_get_size) \
                    f(memory_create) f(memory_destroy) f(memory_get_data_handle)             \
                        f(primitive_create) f(primitive_destroy) f(primitive_execute)

static struct {
#define FIELD(name) __typeof__(&dnnl_##name) name;
    PEER_CALLS(FIELD)
#undef FIELD
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} peer;

/* False with the reason in *why. */
static bool peer_load(const char **why)
{
    void *const so = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    *why = "libdnnl.so.2 is not installed";
    if (!so)
        return false;
    *why = "libdnnl.so.2 lacks a function";
    /* POSIX lets a function's address travel in a pointer to data. */
#define LOAD(name)                                          \
    {                                                       \
        void *const at = dlsym(so, "dnnl_" #name);          \
        if (!at)                                            \
            return false;                                   \
        peer.name = (__typeof__(&dnnl_##name))(intptr_t)at; \
    }
    PEER_CALLS(LOAD)
#undef LOAD
    *why = "oneDNN has no CPU engine";
    return peer.engine_create(&peer.engine, dnnl_cpu, 0) == dnnl_success &&
           peer.stream_create(&peer.stream, peer.engine, dnnl_stream_default_flags) == dnnl_success;
}

struct peer_shapes {
    dnnl_memory_desc_t x, w, b, y;
    dnnl_dims_t strides, pads, ends;
};

static struct peer_shapes peer_shapes(const struct kn_conv *c)
{
    struct peer_shapes s = {0};
    const int G = conv_groups(c);
    const dnnl_dims_t x = {c->N, c->C, c->H, c->W}, y = {c->N, c->O, c->OH, c->OW}, b = {c->O};
    const dnnl_dims_t w = {c->O, c->C, c->KH, c->KW};
    const dnnl_dims_t grouped = {G, c->O / G, c->C / G, c->KH, c->KW};
    peer.memory_desc_init_by_tag(&s.x, 4, x, dnnl_f32, dnnl_format_tag_any);
    peer.memory_desc_init_by_tag(&s.y, 4, y, dnnl_f32, dnnl_format_tag_any);
    peer.memory_desc_init_by_tag(&s.b, 1, b, dnnl_f32, dnnl_format_tag_any);
    peer.memory_desc_init_by_tag(&s.w, G > 1 ? 5 : 4, G > 1 ? grouped : w, dnnl_f32,
                                 dnnl_format_tag_any);
    s.strides[0] = s.strides[1] = c->stride;
    s.pads[0] = s.pads[1] = c->pad;
    s.ends[0] = (c->OH - 1) * c->stride + c->KH - c->H - c->pad;
    s.ends[1] = (c->OW - 1) * c->stride + c->KW - c->W - c->pad;
    return s;
}

static bool peer_describe(const struct kn_conv *c, int pass, dnnl_alg_kind_t algo,
                          struct peer_conv *p)
{
    const struct peer_shapes s = peer_shapes(c);
    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t forward = NULL, desc = NULL;
    if (peer.convolution_forward_desc_init(&d, dnnl_forward_training, algo, &s.x, &s.w, &s.b, &s.y,
                                           s.strides, s.pads, s.ends) != dnnl_success ||
        peer.primitive_desc_create(&forward, &d, NULL, peer.engine, NULL) != dnnl_success)
        return false;
    p->descs[0] = forward;
    if (pass == CONV_FORWARD)
        return true;
    const dnnl_status_t status =
        pass == CONV_GRAD_DATA
            ? peer.convolution_backward_data_desc_init(&d, algo, &s.x, &s.w, &s.y, s.strides,
                                                       s.pads, s.ends)
            : peer.convolution_backward_weights_desc_init(&d, algo, &s.x, &s.w, NULL, &s.y,
                                                          s.strides, s.pads, s.ends);
    if (status != dnnl_success ||
        peer.primitive_desc_create(&desc, &d, NULL, peer.engine, forward) != dnnl_success)
        return false;
    p->descs[1] = desc;
    return true;
}

enum { PEER_ARGS = 4 };
static const struct {
    int arg;
    dnnl_query_t query;
} peer_args[3][PEER_ARGS] = {
    {{DNNL_ARG_SRC, dnnl_query_src_md},
     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
     {DNNL_ARG_DST, dnnl_query_dst_md},
     {DNNL_ARG_BIAS, dnnl_query_weights_md}},
    {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
     {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md}},
    {{DNNL_ARG_SRC, dnnl_query_src_md},
     {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
     {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md}},
};

static void peer_free(struct peer_conv *p)
{
    for (int i = 0; i < PEER_ARGS; i++)
        if (p->memories[i])
            peer.memory_destroy(p->memories[i]);
    if (p->primitive)
        peer.primitive_destroy(p->primitive);
    for (int i = 0; i < 2; i++)
        if (p->descs[i])
            peer.primitive_desc_destroy(p->descs[i]);
    *p = (struct peer_conv){0};
}

/* False if it has no such algorithm for the problem; else peer_free() when done. */
static bool peer_new(const struct kn_conv *c, int pass, int algo, int threads, struct peer_conv *p)
{
    static const dnnl_alg_kind_t kinds[PEER_ALGOS] = {
        dnnl_convolution_direct, dnnl_convolution_winograd, dnnl_convolution_auto};
    *p = (struct peer_conv){0};
    omp_set_num_threads(threads);
    if (!peer_describe(c, pass, kinds[algo], p) ||
        peer.primitive_create((dnnl_primitive_t *)&p->primitive, p->descs[pass != CONV_FORWARD]) !=
            dnnl_success) {
        peer_free(p);
        return false;
    }
    for (int i = 0; i < PEER_ARGS && peer_args[pass][i].arg; i++) {
        const bool bias = peer_args[pass][i].arg == DNNL_ARG_BIAS;
        const dnnl_memory_desc_t *const md = peer.primitive_desc_query_md(
            p->descs[pass != CONV_FORWARD], peer_args[pass][i].query, bias);
        void *at = NULL;
        peer.memory_create((dnnl_memory_t *)&p->memories[i], md, peer.engine, DNNL_MEMORY_ALLOCATE);
        peer.memory_get_data_handle(p->memories[i], &at);
        kn->uniform_f32(peer.memory_desc_get_size(md) / sizeof(float), 0, 1, (uint64_t)i, -1, 1,
                        at);
    }
    return true;
}

static void peer_run(const struct peer_conv *p, int pass)
{
    dnnl_exec_arg_t args[PEER_ARGS];
    int n = 0;
    for (; n < PEER_ARGS && p->memories[n]; n++)
        args[n] = (dnnl_exec_arg_t){peer_args[pass][n].arg, p->memories[n]};
    peer.primitive_execute(p->primitive, peer.stream, n, args);
    peer.stream_wait(peer.stream);
}

#else

static bool peer_load(const char **why)
{
    *why = "built without dnnl.h";
    return false;
}
static bool peer_new(const struct kn_conv *c, int pass, int algo, int threads, struct peer_conv *p)
{
    (void)c, (void)pass, (void)algo, (void)threads, (void)p;
    return false;
}
static void peer_run(const struct peer_conv *p, int pass) { (void)p, (void)pass; }
static void peer_free(struct peer_conv *p) { (void)p; }

#endif
#endif
