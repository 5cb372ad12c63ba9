/* count.c — see count.h. */
#include "kernels/count.h"

#include <stddef.h>

#include "kernels/kernels.h"

_Thread_local double kn_flops;

static const struct kn_table *real; /* the table in use while its copy counts */

/* ------------------------------------------------------------------ the costs */

#define D(x) ((double)(x))

/* Of activations and their gradients, an element: outer tanh(inner v); y (1 - y) dy, … */
enum { relu = 1, relu_grad = 1, tanh_ = 3, tanh_grad = 4, sigmoid = 4, sigmoid_grad = 3,
       moments = 4 };

static double sum(double n) { return n > 0 ? n - 1 : 0; }
static double dot(double n) { return n + sum(n); }

/* Comparisons, or additions and a product, of a pooling window, for all channels. */
static double taps(const struct kn_pool *p) { return D(p->kernel_h) * D(p->kernel_w) * D(p->C); }

static double once(const struct crew *crew, double flops)
{
    return crew->thread == 0 ? flops : 0.0;
}

static double products(const struct kn_gemm *g) { return g->batch ? g->batch : 1; }

/* An element of the result. */
static double epilogue(const struct kn_epilogue *e)
{
    static const double act[] = {
        [KN_ACT_RELU] = relu, [KN_ACT_TANH] = tanh_, [KN_ACT_SIGMOID] = sigmoid};
    static const double grad[] = {
        [KN_ACT_RELU] = relu_grad, [KN_ACT_TANH] = tanh_grad, [KN_ACT_SIGMOID] = sigmoid_grad};
    if (!e)
        return 0.0;
    return e->accumulate + (e->bias != NULL) + (e->residual != NULL) + act[e->act] +
           grad[e->grad] + (e->moments ? moments : 0);
}

/* An element's activation behind a normalisation; its derivative, which begins with a x + b again. */
static double norm_act(int act)
{
    return act == KN_ACT_RELU ? relu : act == KN_ACT_SILU ? sigmoid + 1 : 0;
}

static double norm_slope(int act)
{
    return act == KN_ACT_RELU ? 2 + relu_grad : act == KN_ACT_SILU ? 2 + sigmoid + 5 : 0;
}

/* Multiply-adds of a convolution or either of its gradients. */
static double wires(const struct kn_conv *c)
{
    const int all = c->O * (c->C / conv_groups(c));
    int connected = c->mask ? 0 : all;
    for (int i = 0; c->mask && i < all; i++)
        connected += c->mask[i] != 0;
    return D(c->N) * D(c->OH) * D(c->OW) * D(c->KH) * D(c->KW) * D(connected);
}

/* Of a recurrent layer: products by U; the first step from zeros, or the last backward, is none. */
static double hidden_products(const struct kn_recurrent *r, bool all)
{
    return 2 * D(r->N) * D(r->T - (all ? 0 : 1)) * D(kn_cell_gates(r->cell)) * D(r->H) * D(r->H);
}

/* Its attention: a product by Wq as often as one by U, one by Wc each step, sums, and what attend.h says. */
static double loop_attend(const struct kn_recurrent *r)
{
    const struct kn_attend *const a = &r->attend;
    const double GH = kn_cell_gates(r->cell) * D(r->H), products = r->T - (r->h0 ? 0 : 1);
    const double step = GH * (2 * D(a->E) + 1) + D(a->S) * (4 * D(a->A) + 5 + 2 * D(a->E));
    return a->A ? D(r->N) * (2 * products * D(a->A) * D(r->H) + r->T * step) : 0;
}

static double loop_attend_grad(const struct kn_recurrent *r)
{
    const struct kn_attend *const a = &r->attend;
    const double GH = kn_cell_gates(r->cell) * D(r->H), products = r->T - (r->dh0 ? 0 : 1);
    const double step = (2 * GH + (a->dy ? 1 : 0)) * D(a->E) + D(a->S) * (14 * D(a->A) + 4 + 4 * D(a->E));
    const double by_v = (D(r->T) + D(a->S)) * D(a->A);
    return a->A ? D(r->N) * (2 * products * D(a->A) * D(r->H) + r->T * step + by_v) : 0;
}

static double units(const struct kn_recurrent *r) { return D(r->N) * D(r->T) * D(r->H); }

/* Of one unit's step, what follows the product: gates and new state; their derivatives. */
static double cell(const struct kn_recurrent *r)
{
    static const int plain[] = {[KN_RNN_TANH] = 2,
                                [KN_RNN_RELU] = 1 + relu,
                                [KN_LSTM] = 4 + 3 * sigmoid + 6,
                                [KN_LSTM_1997] = 3 + 2 * sigmoid + 5,
                                [KN_GRU] = 3 + 2 * sigmoid + 6,
                                [KN_GRU_BEFORE] = 3 + 2 * sigmoid + 5};
    return plain[r->cell] + (r->peep ? r->cell == KN_LSTM ? 6 : 4 : 0);
}

static double cell_grad(const struct kn_recurrent *r)
{
    static const int plain[] = {[KN_RNN_TANH] = 4, [KN_RNN_RELU] = 3, [KN_LSTM] = 24,
                                [KN_LSTM_1997] = 19, [KN_GRU] = 18, [KN_GRU_BEFORE] = 19};
    return plain[r->cell] + (r->peep ? r->cell == KN_LSTM ? 12 : 8 : 0);
}

/* Of attention: all scores, their softmax and what they weigh; dv is a sum over all of them too. */
static double attend(const struct kn_attend *a)
{
    const double score = (a->v ? 4 : 2) * D(a->A), each = score + 5 + 2 * D(a->E);
    return D(a->N) * D(a->T) * D(a->S) * each;
}

static double attend_grad(const struct kn_attend *a)
{
    const double key = (a->v ? 14 : 4) * D(a->A), once_each = (D(a->T) + D(a->S)) * D(a->A); /* by v, or scale */
    return D(a->N) * (D(a->T) * D(a->S) * (4 * D(a->E) + 4 + key) + once_each);
}

/* ------------------------------------------------------------------ the table */

/* Macros like N_X_Y hold parameters and arguments; one more expansion takes them apart. */
#define COST(...) COST_(__VA_ARGS__)
#define COST_(type, name, parameters, arguments, flops) \
    static type count_##name parameters                 \
    {                                                   \
        kn_flops += (flops);                            \
        CALL_##type(real->name arguments);              \
    }
#define CALL_void(call)   call
#define CALL_float(call)  return call
#define CALL_double(call) return call
#define CALL_size_t(call) return call
#include "kernels/costs.def"
#undef COST

void kn_count(bool on)
{
    static struct kn_table counting = {
#define KERNEL(type, name, parameters) .name = count_##name,
#include "kernels/kernels.def"
#undef KERNEL
    };
    if (on == (kn == &counting))
        return;
    if (!on) {
        kn = real;
        return;
    }
    real = kn;
    counting.isa = kn->isa;
    counting.lanes = kn->lanes;
    counting.gemm_how = kn->gemm_how;
    counting.conv_how = kn->conv_how;
    counting.conv_pieces = kn->conv_pieces;
    kn = &counting;
}
