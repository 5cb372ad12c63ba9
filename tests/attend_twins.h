/* attend_twins.h — what the tests of attention share: the equations of one query, written out with
 * primitive operations, and two programs that must agree: outputs assigned to "result.…", all
 * gradients, and the bits for any number of threads. */
#ifndef ATTEND_TWINS_H
#define ATTEND_TWINS_H

#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 21, MOST = 8 };

/* 0 to S, each of them: 11 divides no S + 1 of a test. */
static inline int length_of(int n, int S) { return n * 11 % (S + 1); }

#define P(g, name, ...) \
    nn_param(g, name, NN_SHAPE(__VA_ARGS__), ((struct nn_init){NN_INIT_UNIFORM, 0.5f}))

static inline nn_value row(nn_value x) { return nn_reshape(x, NN_SHAPE(1, nn_dim(x, -1))); }

/* 1 where key j counts; [N,S] */
static inline nn_value mask_of(struct nn_graph *g, bool masked, int S)
{
    static float mask[BATCH * MOST];
    for (int i = 0; i < BATCH * S; i++)
        mask[i] = !masked || i % S < length_of(i / S, S) ? 1.0f : 0.0f;
    return nn_const(g, "mask", NN_SHAPE(BATCH, S), mask);
}

/* Softmax over the keys that count, 0 where none does. */
static inline nn_value softmax_masked(nn_value e, nn_value mask)
{
    const nn_value far = nn_scale(nn_offset(mask, -1), 1e4f);
    return nn_mul(nn_softmax(nn_add(nn_mul(e, mask), far)), mask);
}

/* Of one query [N,A]: y [N,1,E], and alpha [N,1,S]. v without a graph: dot. */
static inline nn_value attend_one(nn_value q, nn_value keys, nn_value values, nn_value v,
                                  float scale, nn_value mask, nn_value *alpha)
{
    nn_value e = {0};
    for (int j = 0; j < nn_dim(keys, 1); j++) {
        const nn_value k = nn_at(keys, j);
        nn_value score = v.graph ? nn_mul(nn_tanh(nn_add(q, k)), v) : nn_scale(nn_mul(q, k), scale);
        score = nn_reshape(nn_sum(score, 1), NN_SHAPE(1));
        e = j ? nn_concat(e, score, 1) : score;
    }
    *alpha = row(softmax_masked(e, mask));
    return nn_matmul(*alpha, values);
}

struct run {
    struct nn_graph *g;
    struct program *p;
};

/* Parameters by their names; integers are lengths: "steps" up to T, others up to S. */
static inline void set_values(struct program *p, int T, int S)
{
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++) {
        struct rng r = rng_make(3, rng_stream(t->name));
        for (size_t k = 0; k < t->elements; k++)
            ((float *)t->data)[k] = (float)rng_unit(&r) - 0.5f;
    }
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t n = 0; n < t->elements; n++)
            ((int32_t *)t->data)[n] = length_of((int)n, strcmp(t->name, "steps") ? S : T);
}

/* A parameter of the shape of x; what is assigned to it can be looked at. An x that could not be made
 * stays so, and finish() says why. */
static inline nn_value like(const char *name, nn_value x)
{
    if (!x.graph)
        return x;
    return nn_param(x.graph, name, node_of(x)->shape, NN_ZEROS);
}

/* The sum of x times what was drawn for `name`. */
static inline nn_value probe(const char *name, nn_value x)
{
    return nn_sum(nn_sum(nn_flatten(nn_mul(x, like(name, x))), 1), 0);
}

static inline struct run finish(struct nn_graph *g, const char *name, int threads, int T, int S)
{
    struct run r = {.g = g};
    struct err err = {0};
    r.p = program_new(g, &(struct program_options){.threads = threads, .train = true, .seed = 1},
                      &err);
    if (!r.p) {
        printf("Bail out! %s: %s\n", name, err.text);
        exit(EXIT_FAILURE);
    }
    set_values(r.p, T, S);
    return r;
}

static inline void release(struct run *r)
{
    program_free(r->p);
    graph_free(r->g);
}

static inline double worst_of(const struct tensor *a, const struct tensor *b)
{
    double worst = 0;
    const float *x = a->data, *y = b->data;
    for (size_t i = 0; i < a->elements; i++) {
        const double error = fabs((double)x[i] - (double)y[i]) / (1 + fabs((double)y[i]));
        worst = error <= worst ? worst : error;
    }
    return worst;
}

/* Of what was assigned, "result.…", and of all gradients. */
static inline void check_twins(const char *name, struct run *a, struct run *b)
{
    struct err err = {0};
    const struct tensor *t;
    double values = 0, grads = 0;
    int checked = 0;
    program_count(a->p);
    ok(program_run(a->p) && program_run(b->p), "%s: runs", name);
    ok(program_audit(a->p, &err), "%s: FLOPs as counted: %s", name, err.text);
    for (int i = 0; (t = program_tensor(b->p, TENSOR_PARAM, i)); i++)
        if (strncmp(t->name, "result.", 7) == 0) {
            const double worst = worst_of(program_find(a->p, TENSOR_PARAM, t->name), t);
            values = worst <= values ? values : worst; /* keeps NaN */
        }
    for (int i = 0; (t = program_tensor(b->p, TENSOR_GRAD, i)); i++, checked++) {
        const double worst = worst_of(program_find(a->p, TENSOR_GRAD, t->name), t);
        if (!(worst < 1e-5))
            printf("# %s: %g\n", t->name, worst);
        grads = worst <= grads ? grads : worst;
    }
    is_near(values, 0, 3e-6, "%s: as written out", name);
    is_near(grads, 0, 1e-5, "%s: %d gradients", name, checked);
}

static inline bool same_bits(struct program *a, struct program *b)
{
    const struct tensor *t;
    bool same = true;
    for (int kind = TENSOR_PARAM; kind <= TENSOR_GRAD; kind++)
        for (int i = 0; (t = program_tensor(a, kind, i)); i++)
            same &= memcmp(t->data, program_find(b, kind, t->name)->data,
                           t->elements * sizeof(float)) == 0;
    return same;
}

static inline void check(const char *name,
                         struct run (*make_run)(const void *form, bool fused, int threads),
                         const void *form)
{
    struct run one = make_run(form, true, 1), twin = make_run(form, false, 1);
    check_twins(name, &one, &twin);
    for (int threads = 2; threads <= 4; threads++) {
        struct run more = make_run(form, true, threads);
        (void)program_run(more.p);
        ok(same_bits(one.p, more.p), "%s: the same bits with %d threads", name, threads);
        release(&more);
    }
    release(&twin);
    release(&one);
}

/* test() on every instruction set here. */
static inline int on_all_isas(void (*test)(void))
{
    for (int t = 0; kn_tables[t]; t++) {
        struct err err = {0};
        if (!kn_runs_here(kn_tables[t]))
            continue;
        ok(kn_init(kn_tables[t]->isa, &err), "%s: chosen%s", kn_tables[t]->isa, err.text);
        test();
    }
    return done();
}

#endif
