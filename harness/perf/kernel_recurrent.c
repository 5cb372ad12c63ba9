/* kernel_recurrent.c — the time loops of recurrent layers for kernel_calls[]: N T H and how
 * many gates, the form is the cell. "lstm+attend" attends to S = T keys, with A = E = H.
 *
 * Truths are of one step, from the state that the kernel itself has left before it (or, backward,
 * from the gradient behind it): over many steps rounding grows as the weights please. */
#include <math.h>
#include <string.h>

#include "perf/kernel_products.h"
#include "perf/reference.h"

/* forward: a U y record; backward: gates U y-and-record dy dgates. With attention Wq, Wc, v, keys
 * and values follow U, and context, alpha, q, dkeys, dvalues, dv the record. */
enum { GATES, WEIGHT, Y, RECORD, DY = RECORD, DGATES };

static int cell_of(const char *form)
{
    return strcmp(form, "rnn") == 0        ? KN_RNN_TANH
           : strncmp(form, "lstm", 4) == 0 ? KN_LSTM
                                           : KN_GRU;
}

static size_t units(const int *d) { return (size_t)d[0] * (size_t)d[1] * (size_t)d[2]; }

/* How many keys a case attends to is its number d[KEYS], and part of its form. */
enum { KEYS = 4 };
static size_t keys(const int *d) { return (size_t)d[0] * (size_t)d[KEYS] * (size_t)d[2]; }

/* U; Wq, Wc and v. */
static size_t weights(const int *d)
{
    const size_t G = (size_t)d[3], H = (size_t)d[2];
    return d[KEYS] ? (2 * G + 1) * H * H + H : G * H * H;
}

static size_t record_floats(const int *d)
{
    const size_t plain = 2 * units(d) + (size_t)d[0] * (size_t)d[2];
    if (!d[KEYS])
        return plain;
    return plain + 2 * units(d) + (size_t)d[0] * (size_t)d[1] * (size_t)d[KEYS] + 2 * keys(d) +
           (size_t)d[2];
}

static void floats_forward(const int *d, size_t n[])
{
    n[GATES] = (size_t)d[3] * units(d);
    n[WEIGHT] = weights(d) + 2 * keys(d);
    n[Y] = units(d);
    n[RECORD] = record_floats(d);
}

static void floats_backward(const int *d, size_t n[])
{
    size_t forward[4];
    floats_forward(d, forward);
    n[GATES] = n[DGATES] = forward[GATES];
    n[WEIGHT] = forward[WEIGHT];
    n[Y] = forward[Y] + forward[RECORD];
    n[DY] = forward[Y];
}

static struct kn_recurrent sizes_of(const struct kernel_case *c)
{
    struct kn_recurrent r = {.cell = cell_of(c->form), .N = c->d[0], .T = c->d[1], .H = c->d[2]};
    r.attend.S = c->d[KEYS];
    r.attend.A = r.attend.E = c->d[KEYS] ? r.H : 0;
    r.ld_context_w = (size_t)r.H;
    return r;
}

static void attend_of(const struct kernel_job *j, struct kn_recurrent *r)
{
    const int *const d = j->c->d;
    const size_t G = (size_t)d[3], H = (size_t)d[2];
    if (!d[KEYS])
        return;
    r->query_w = r->w + G * H * H;
    r->context_w = r->query_w + H * H;
    r->attend.v = r->context_w + G * H * H;
    r->attend.keys = r->attend.v + H;
    r->attend.values = r->attend.keys + keys(d);
    r->attend.y = r->c_end + (size_t)d[0] * H;
    r->attend.alpha = r->attend.y + units(d);
    r->attend.dquery = r->attend.alpha + (size_t)d[0] * (size_t)d[1] * (size_t)d[KEYS];
    r->attend.dkeys = r->attend.dquery + units(d);
    r->attend.dvalues = r->attend.dkeys + keys(d);
    r->attend.dv = r->attend.dvalues + keys(d);
}

/* The record: h before each step, then c or q, then c at the end. */
static struct kn_recurrent recurrent_of(const struct kernel_job *j, float *record)
{
    struct kn_recurrent r = sizes_of(j->c);
    r.gates = j->x[GATES];
    r.w = j->x[WEIGHT];
    r.y = j->x[Y];
    r.before = record;
    r.extra = record + units(j->c->d);
    r.c_end = r.extra + units(j->c->d);
    attend_of(j, &r);
    return r;
}

static struct kn_recurrent backward_of(const struct kernel_job *j)
{
    struct kn_recurrent r = recurrent_of(j, j->x[Y] + units(j->c->d));
    r.dy = j->x[DY];
    r.dgates = j->x[DGATES];
    return r;
}

static size_t work(const struct kernel_case *c, int threads)
{
    const struct kn_recurrent r = sizes_of(c);
    return kn->recurrent_work_f32(&r, threads);
}

static double flops(const struct kernel_case *c)
{
    const double H = c->d[2], T = c->d[1], G = c->d[3];
    const double attention = (T - 1) * H * H + T * (G * H * H + 2.0 * c->d[KEYS] * H);
    return 2.0 * c->d[0] * ((T - 1) * G * H * H + (c->d[KEYS] ? attention : 0));
}

/* Weights as a layer has them: products of the size of one. */
static void prepare_forward(const struct kernel_job *j)
{
    for (size_t i = 0; i < weights(j->c->d); i++)
        j->x[WEIGHT][i] /= sqrtf((float)j->c->d[2]);
}

static void prepare_backward(const struct kernel_job *j)
{
    const struct kn_recurrent r = backward_of(j);
    prepare_forward(j);
    kn->recurrent_f32(&r, CREW_ALONE, j->work);
}

static void run_forward(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_recurrent r = recurrent_of(j, j->x[RECORD]);
    kn->recurrent_f32(&r, crew, j->work);
}

static void run_backward(const struct kernel_job *j, const struct crew *crew)
{
    const struct kn_recurrent r = backward_of(j);
    kn->recurrent_grad_f32(&r, crew, j->work);
}

/* ---- truths ----------------------------------------------------------------- */

/* Which number an index of y or of the gates is: row n T + t, gate, unit. */
struct spot {
    size_t row, gate, unit;
};

static struct spot spot_of(const struct kn_recurrent *r, size_t i, size_t gates)
{
    const size_t H = (size_t)r->H;
    return (struct spot){i / (gates * H), i / H % gates, i % H};
}

/* U h, and the context's part. */
static struct ref_sum hidden(const struct kn_recurrent *r, struct spot s, size_t gate)
{
    const size_t H = (size_t)r->H;
    struct ref_sum sum = {0};
    for (size_t k = 0; k < H; k++)
        ref_add(&sum, r->before[s.row * H + k], r->w[(gate * H + s.unit) * H + k]);
    for (size_t k = 0; k < (size_t)r->attend.E; k++)
        ref_add(&sum, r->attend.y[s.row * H + k], r->context_w[(gate * H + s.unit) * H + k]);
    return sum;
}

static double input(const struct kn_recurrent *r, struct spot s, size_t gate)
{
    const size_t H = (size_t)r->H, G = (size_t)kn_cell_gates(r->cell);
    return (double)r->gates[(s.row * G + gate) * H + s.unit];
}

/* A gate of the step, `size` growing by what rounding its sums may amount to. */
static double gate_of(const struct kn_recurrent *r, struct spot s, size_t gate, double *size)
{
    const struct ref_sum u = hidden(r, s, gate);
    const double a = input(r, s, gate),
                 reset = r->cell == KN_GRU && gate == 2 ? gate_of(r, s, 0, size) : 1;
    const bool tanh_gate = r->cell == KN_RNN_TANH || gate == 2; /* LSTM's g, GRU's n */
    *size += fabs(a) + u.size + 1;
    return tanh_gate ? tanh(a + reset * u.sum) : ref_sigmoid(a + u.sum);
}

static double want_h(const struct kn_recurrent *r, struct spot s, double *size)
{
    const size_t H = (size_t)r->H, at = s.row * H + s.unit;
    double g[4] = {0};
    for (size_t k = 0; k < (size_t)kn_cell_gates(r->cell); k++)
        g[k] = gate_of(r, s, k, size);
    if (r->cell == KN_RNN_TANH)
        return g[0];
    if (r->cell == KN_GRU)
        return (1 - g[1]) * g[2] + g[1] * (double)r->before[at];
    const double c = s.row % (size_t)r->T ? (double)r->extra[at - H] : 0;
    *size += fabs(c);
    return g[3] * tanh(g[1] * c + g[0] * g[2]);
}

static double want_forward(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_recurrent r = recurrent_of(j, j->x[RECORD]);
    const size_t gates = k == Y ? 1 : (size_t)kn_cell_gates(r.cell);
    const struct spot s = spot_of(&r, i, gates);
    double size = 0;
    if (k == GATES && r.cell == KN_RNN_TANH) {
        *bound = 0; /* y is all that it has */
        return (double)j->x[GATES][i];
    }
    const double want = k == Y ? want_h(&r, s, &size) : gate_of(&r, s, s.gate, &size);
    *bound = (16 + sqrt(r.H)) * REF_EPS * size;
    return want;
}

/* dh of a step from what follows. */
static double dh_of(const struct kn_recurrent *r, struct spot s, double *size)
{
    const size_t H = (size_t)r->H, G = (size_t)kn_cell_gates(r->cell);
    struct ref_sum sum = {0};
    const double dy = (double)r->dy[s.row * H + s.unit];
    if ((s.row + 1) % (size_t)r->T)
        for (size_t k = 0; k < G * H; k++)
            ref_add(&sum, r->dgates[(s.row + 1) * G * H + k], r->w[k * H + s.unit]);
    for (size_t k = 0; (s.row + 1) % (size_t)r->T && k < (size_t)r->attend.A; k++)
        ref_add(&sum, r->attend.dquery[(s.row + 1) * H + k], r->query_w[k * H + s.unit]);
    *size += fabs(dy) + sum.size;
    return dy + sum.sum;
}

/* The gradient by gate s.gate of an RNN or an LSTM, and what goes on to the step before. */
static double gate_grad(const struct kn_recurrent *r, struct spot s, double *carry, double *size)
{
    const size_t H = (size_t)r->H, at = s.row * H + s.unit;
    const double dh = dh_of(r, s, size);
    double g[4] = {0};
    for (size_t k = 0; k < (size_t)kn_cell_gates(r->cell); k++)
        g[k] = input(r, s, k);
    if (r->cell == KN_RNN_TANH)
        return dh * (1 - (double)r->y[at] * (double)r->y[at]);
    const double c = (double)r->extra[at], t = tanh(c);
    const double before = s.row % (size_t)r->T ? (double)r->extra[at - H] : 0;
    const double dc = *carry + dh * g[3] * (1 - t * t);
    *carry = dc * g[1];
    *size += fabs(dc) * (1 + fabs(before));
    const double d[] = {dc * g[2] * g[0] * (1 - g[0]), dc * before * g[1] * (1 - g[1]),
                        dc * g[0] * (1 - g[2] * g[2]), dh * t * g[3] * (1 - g[3])};
    return d[s.gate];
}

static double want_backward(const struct kernel_job *j, int k, size_t i, double *bound)
{
    const struct kn_recurrent r = backward_of(j);
    const size_t T = (size_t)r.T;
    struct spot s = spot_of(&r, i, (size_t)kn_cell_gates(r.cell));
    const size_t row = s.row;
    double carry = 0, want = 0, size = 0;
    (void)k;
    for (s.row = row / T * T + T; s.row-- > row;)
        want = gate_grad(&r, s, &carry, &size);
    *bound = (16 + sqrt(r.H)) * REF_EPS * size;
    return want;
}

/* ---- the table's lines ------------------------------------------------------ */

RUN(recurrent_work_f32, j->x[0][0] = (float)work(j->c, 1))

#define DIMS "N T H gates", "%dx%dx%dx%d"
const struct kernel_call call_recurrent_work_f32 = {
    DIMS, "w", 0, floats_sink, 0, run_recurrent_work_f32, 0, 0, 0, 0};
const struct kernel_call call_recurrent_f32 = {
    DIMS, "urws", true, floats_forward, prepare_forward, run_forward, 0, want_forward, flops, work};
const struct kernel_call call_recurrent_grad_f32 = {
    DIMS,         "rrrrw", true,          floats_backward, prepare_backward,
    run_backward, 0,       want_backward, flops,           work};
