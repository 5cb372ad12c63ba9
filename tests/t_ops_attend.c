/* t_ops_attend — nn_attend against the papers' equations, written out query by query and key by key
 * with primitive operations: outputs, weights, and the gradients of query, keys, values and v;
 * masked and not; the same bits for 1 to 4 threads. */
#include "tests/attend_twins.h"

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

/* ------------------------------------------------- the equations, written out */

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

static struct run make(const void *form, bool fused, int threads)
{
    const struct form *const f = form;
    struct nn_graph *g = graph_new(BATCH);
    nn_value alpha = {0};
    const nn_value y = make_attend(g, f, fused, &alpha);
    nn_row(g, "result");
    nn_minimize(probe("probe", y));
    nn_assign(like("y", y), y);
    nn_assign(like("alpha", alpha), alpha);
    return finish(g, f->name, threads, f->T, f->S);
}

static void test_all(void)
{
    for (int i = 0; i < FORMS; i++)
        check(forms[i].name, make, &forms[i]);
}

int main(void) { return on_all_isas(test_all); }
