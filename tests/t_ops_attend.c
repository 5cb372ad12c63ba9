/* t_ops_attend — nn_attend against the papers' equations, written out query by query and key by key
 * with primitive operations: outputs, weights, and the gradients of query, keys, values and v;
 * masked and not; the same bits for 1, 2 and 3 threads. */
#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 21, MOST = 8 };

struct form {
    const char *name;
    int T, S, A, E; /* T 0: one query, without an axis of its own; E 0: the values are the keys */
    bool dot, masked;
    float scale;
};

/* clang-format off */
static const struct form forms[] = {
    {"additive",               3, 5, 19, 12, .masked = false},
    {"additive, masked",       4, 6, 16, 17, .masked = true},
    {"additive, one query",    0, 5,  8, 33, .masked = true},
    {"additive, one key",      3, 1, 33, 16, .masked = true},
    {"additive, keys only",    3, 4, 15,  0, .masked = true},
    {"additive, one number",   2, 3,  1,  1, .masked = false},
    {"dot",                    3, 5, 19, 12, .dot = true},
    {"dot, scaled, masked",    3, 6, 40,  7, .dot = true, .masked = true, .scale = 0.25f},
    {"dot, keys only, masked", 1, 7, 17,  0, .dot = true, .masked = true},
    {"dot, one query",         0, 4, 31,  0, .dot = true},
};
/* clang-format on */
enum { FORMS = sizeof forms / sizeof *forms };

static int length_of(int n, int S) { return n * 5 % (S + 1); } /* 0 to S */

#define P(g, name, ...) \
    nn_param(g, name, NN_SHAPE(__VA_ARGS__), ((struct nn_init){NN_INIT_UNIFORM, 0.5f}))

/* ------------------------------------------------- the equations, written out */

static nn_value row(nn_value x) { return nn_reshape(x, NN_SHAPE(1, nn_dim(x, -1))); }

/* 1 where key j counts; [N,S] */
static nn_value mask_of(struct nn_graph *g, bool masked, int S)
{
    static float mask[BATCH * MOST];
    for (int i = 0; i < BATCH * S; i++)
        mask[i] = !masked || i % S < length_of(i / S, S) ? 1.0f : 0.0f;
    return nn_const(g, "mask", NN_SHAPE(BATCH, S), mask);
}

/* Softmax over the keys that count, 0 where none does. */
static nn_value softmax_masked(nn_value e, nn_value mask)
{
    const nn_value far = nn_scale(nn_offset(mask, -1), 1e4f);
    return nn_mul(nn_softmax(nn_add(nn_mul(e, mask), far)), mask);
}

/* Of one query [N,A]: y [N,1,E], and alpha [N,1,S]. v without a graph: dot. */
static nn_value attend_one(nn_value q, nn_value keys, nn_value values, nn_value v, float scale,
                           nn_value mask, nn_value *alpha)
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

static nn_value attend_written_out(const struct form *f, nn_value query, nn_value keys,
                                   nn_value values, nn_value v, nn_value *alpha)
{
    const nn_value mask = mask_of(query.graph, f->masked, f->S);
    const float scale = f->scale == 0.0f ? 1.0f : f->scale;
    nn_value y = {0};
    for (int t = 0; t < (f->T ? f->T : 1); t++) {
        nn_value weights;
        const nn_value q = f->T ? nn_at(query, t) : query,
                       c = attend_one(q, keys, values, v, scale, mask, &weights);
        y = t ? nn_concat(y, c, 1) : c;
        *alpha = t ? nn_concat(*alpha, weights, 1) : weights;
    }
    if (f->T)
        return y;
    *alpha = nn_reshape(*alpha, NN_SHAPE(f->S));
    return nn_reshape(y, NN_SHAPE(nn_dim(y, -1)));
}

/* ------------------------------------------------------------- two programs */

struct run {
    struct nn_graph *g;
    struct program *p;
};

static void set_values(struct program *p, int S)
{
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++) {
        struct rng r = rng_make(3, rng_stream(t->name));
        for (size_t k = 0; k < t->elements; k++)
            ((float *)t->data)[k] = 2.0f * (float)rng_unit(&r) - 1.0f;
    }
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t n = 0; n < t->elements; n++)
            ((int32_t *)t->data)[n] = length_of((int)n, S);
}

/* A parameter of the shape of x; what is assigned to it can be looked at. */
static nn_value like(const char *name, nn_value x)
{
    return nn_param(x.graph, name, node_of(x)->shape, NN_ZEROS);
}

/* The sum of x times what was drawn for `name`. */
static nn_value probe(const char *name, nn_value x)
{
    return nn_sum(nn_sum(nn_flatten(nn_mul(x, like(name, x))), 1), 0);
}

static nn_value make_attend(struct nn_graph *g, const struct form *f, bool fused, nn_value *alpha)
{
    nn_value length = {0}, values = {0}, v = {0};
    if (f->masked)
        length = nn_input(g, "length", NN_I32, NN_SCALAR);
    const nn_value query = f->T ? P(g, "query", BATCH, f->T, f->A) : P(g, "query", BATCH, f->A);
    const nn_value keys = P(g, "keys", BATCH, f->S, f->A);
    if (f->E)
        values = P(g, "values", BATCH, f->S, f->E);
    if (!f->dot)
        v = P(g, "v", f->A);
    if (!fused)
        return attend_written_out(f, query, keys, f->E ? values : keys, v, alpha);
    const nn_value y =
        nn_attend(query, keys, .values = values, .v = v, .length = length, .scale = f->scale);
    *alpha = nn_attention(y);
    return y;
}

static struct run finish(struct nn_graph *g, const char *name, int threads, int S)
{
    struct run r = {.g = g};
    struct err err = {0};
    r.p = program_new(g, &(struct program_options){.threads = threads, .train = true, .seed = 1},
                      &err);
    if (!r.p) {
        printf("Bail out! %s: %s\n", name, err.text);
        exit(EXIT_FAILURE);
    }
    set_values(r.p, S);
    return r;
}

static struct run make(const void *form, bool fused, int threads)
{
    const struct form *const f = form;
    struct nn_graph *g = graph_new(BATCH);
    nn_value alpha;
    const nn_value y = make_attend(g, f, fused, &alpha);
    nn_row(g, "result");
    nn_minimize(probe("probe", y));
    nn_assign(like("y", y), y);
    nn_assign(like("alpha", alpha), alpha);
    return finish(g, f->name, threads, f->S);
}

static void release(struct run *r)
{
    program_free(r->p);
    graph_free(r->g);
}

static double worst_of(const struct tensor *a, const struct tensor *b)
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
static void check_twins(const char *name, struct run *a, struct run *b)
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

static bool same_bits(struct program *a, struct program *b)
{
    const struct tensor *t;
    bool same = true;
    for (int kind = TENSOR_PARAM; kind <= TENSOR_GRAD; kind++)
        for (int i = 0; (t = program_tensor(a, kind, i)); i++)
            same &= memcmp(t->data, program_find(b, kind, t->name)->data,
                           t->elements * sizeof(float)) == 0;
    return same;
}

static void check(const char *name,
                  struct run (*make_run)(const void *form, bool fused, int threads),
                  const void *form)
{
    struct run one = make_run(form, true, 1), twin = make_run(form, false, 1);
    check_twins(name, &one, &twin);
    for (int threads = 2; threads <= 3; threads++) {
        struct run more = make_run(form, true, threads);
        (void)program_run(more.p);
        ok(same_bits(one.p, more.p), "%s: the same bits with %d threads", name, threads);
        release(&more);
    }
    release(&twin);
    release(&one);
}

static void test_all(void)
{
    for (int i = 0; i < FORMS; i++)
        check(forms[i].name, make, &forms[i]);
}

int main(void)
{
    for (int t = 0; kn_tables[t]; t++) {
        struct err err = {0};
        if (!kn_runs_here(kn_tables[t]))
            continue;
        ok(kn_init(kn_tables[t]->isa, &err), "%s: chosen%s", kn_tables[t]->isa, err.text);
        test_all();
    }
    return done();
}
