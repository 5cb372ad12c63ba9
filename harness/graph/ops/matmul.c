/* matmul.c — matrix products: what linear layers and attention are made of.
 *
 *     linear  y = x w^T + b         [...,in] [out,in] [out] -> [...,out]
 *             dx = dy w    dw = dy^T x    db = sum_channel(dy)
 *     matmul  y = op(a) op(b)       op transposes its matrix if attr.ta, attr.tb
 *             [...,M,K] [K,P] -> [...,M,P], or both operands batched alike
 *             dop(a) = dy op(b)^T   dop(b) = op(a)^T dy   (and transposed if a or b is)
 *
 * A product is batched when b and y have rank 3 or more; otherwise every operand is
 * taken as [rows, last axis], which makes dw, the sum over batch and time, one deep
 * product. All of it is gemm_f32, the bias and whatever fuse.c has moved here being
 * its epilogue. */
#include "graph/ops/oplib.h"

/* The product of `s` or, with its input and output nodes, of a node not yet in a program. */
static struct kn_gemm gemm_of(const struct node *a, const struct node *b, const struct node *y,
                              bool ta, bool tb)
{
    const int rank = shape_rank(&y->shape);
    const bool batched = shape_rank(&b->shape) >= 3 && rank >= 3;
    const size_t N = shape_last(&y->shape), a_last = shape_last(&a->shape);
    const size_t M = batched ? (size_t)y->shape.dim[rank - 2] : shape_rows(&y->shape);
    const size_t products = batched ? shape_rows(&y->shape) / M : 1;
    const size_t a_rows = shape_rows(&a->shape) / products, K = ta ? a_rows : a_last;
    return (struct kn_gemm){
        .M = (int)M,
        .N = (int)N,
        .K = (int)K,
        .ta = ta,
        .tb = tb,
        .lda = a_last,
        .ldb = shape_last(&b->shape),
        .ldc = N,
        .batch = (int)products,
        .stride_a = batched ? M * K : 0,
        .stride_b = batched ? K * N : 0,
        .stride_c = batched ? M * N : 0,
    };
}

static struct kn_gemm gemm_of_step(const struct step *s, bool ta, bool tb)
{
    struct kn_gemm gemm = gemm_of(s->in_node[0], s->in_node[1], s->node, ta, tb);
    gemm.a = s->in[0];
    gemm.b = s->in[1];
    gemm.c = s->out;
    gemm.epilogue = epilogue_of(s);
    return gemm;
}

static double macs(const struct nn_graph *g, const struct node *n)
{
    const bool linear = n->op == &op_linear;
    const struct kn_gemm m = gemm_of(input_of(g, n, 0), input_of(g, n, 1), n,
                                     linear ? false : n->attr.ta, linear ? true : n->attr.tb);
    return (double)m.batch * m.M * m.N * m.K;
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    return 2.0 * macs(g, n) + epilogue_flops(n);
}

/* ------------------------------------------------------------------ matmul */

static void run_matmul(const struct step *s, const struct crew *crew)
{
    const struct kn_gemm gemm = gemm_of_step(s, s->node->attr.ta, s->node->attr.tb);
    kn->gemm_f32(&gemm, crew, s->work);
}

static size_t work_matmul(const struct step *s, int threads)
{
    const struct kn_gemm gemm = gemm_of_step(s, s->node->attr.ta, s->node->attr.tb);
    return kn->gemm_work_f32(&gemm, threads);
}

static void how_matmul(const struct step *s, int threads, char how[KN_HOW])
{
    const struct kn_gemm gemm = gemm_of_step(s, s->node->attr.ta, s->node->attr.tb);
    kn->gemm_how(&gemm, threads, how);
}

static const char *kernel_matmul(const struct node *n)
{
    static const char *const names[2][2] = {{"gemm_f32 NN", "gemm_f32 NT"},
                                            {"gemm_f32 TN", "gemm_f32 TT"}};
    return names[n->attr.ta][n->attr.tb];
}

static nn_value product(nn_value a, nn_value b, bool ta, bool tb, int like)
{
    const struct attr attr = {.ta = ta, .tb = tb};
    return EMIT(a.graph, &op_matmul, like, attr, a, b);
}

/* With A = op(a), B = op(b): dA = dy B^T, dB = A^T dy; da is dA, or its transpose B dy^T. */
static void grad_matmul(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value a = in_of(g, id, 0), b = in_of(g, id, 1);
    const bool ta = g->node[id].attr.ta, tb = g->node[id].attr.tb;
    if (grad_wanted(g, id, 0))
        dx[0] = ta ? product(b, dy, tb, true, a.id) : product(dy, b, false, !tb, a.id);
    if (grad_wanted(g, id, 1))
        dx[1] = tb ? product(dy, a, true, ta, b.id) : product(a, dy, !ta, false, b.id);
}

/* ------------------------------------------------------- matmul, and update */

/* Of the gradient: pieces that stay in the second cache beside the weights and moments they belong
 * to, and wide enough that packing x for each is a small part of it. */
enum { PIECE_ROWS = 64, PIECE_COLUMNS = 1024 };

static struct kn_gemm piece_of(const struct kn_gemm *whole, int row, int column, float *out)
{
    struct kn_gemm piece = *whole;
    piece.a += row;
    piece.b += column;
    piece.c = out;
    piece.M = (int)least((size_t)(whole->M - row), PIECE_ROWS);
    piece.N = (int)least((size_t)(whole->N - column), PIECE_COLUMNS);
    piece.ldc = (size_t)piece.N;
    return piece;
}

/* In floats, a thread: the piece, and what its product wants. */
static size_t piece_work(const struct kn_gemm *whole)
{
    const struct kn_gemm piece = piece_of(whole, 0, 0, NULL);
    return PIECE_ROWS * PIECE_COLUMNS + kn->gemm_work_f32(&piece, 1) / sizeof(float) + KN_LANES;
}

static size_t work_update(const struct step *s, int threads)
{
    const struct kn_gemm gemm = gemm_of_step(s, true, false);
    return (size_t)threads * piece_work(&gemm) * sizeof(float);
}

static void run_update(const struct step *s, const struct crew *crew)
{
    struct kn_gemm gemm = gemm_of_step(s, true, false);
    float *const out = (float *)s->work + (size_t)crew->thread * piece_work(&gemm);
    const size_t across = ((size_t)gemm.N + PIECE_COLUMNS - 1) / PIECE_COLUMNS;
    const size_t down = ((size_t)gemm.M + PIECE_ROWS - 1) / PIECE_ROWS;
    const struct range mine = share_of(crew, down * across, 1);
    for (size_t i = mine.from; i < mine.to; i++) {
        const int row = (int)(i / across) * PIECE_ROWS, column = (int)(i % across) * PIECE_COLUMNS;
        const struct kn_gemm piece = piece_of(&gemm, row, column, out);
        kn->gemm_f32(&piece, CREW_ALONE, out + PIECE_ROWS * PIECE_COLUMNS);
        const float *w = (const float *)s->out + (size_t)row * gemm.ldc + column;
        for (int r = 0; r < piece.M; r++)
            program_apply(s->state->program, crew->thread, w + (size_t)r * gemm.ldc,
                          (size_t)piece.N, out + (size_t)r * piece.ldc);
    }
}

static const char *kernel_update(const struct node *n)
{
    return (void)n, "gemm_f32 TN, its update";
}

nn_value nn_matmul_(nn_value a, nn_value b, const char *at)
{
    if (!operand_ok(a, NN_F32, 2, NN_MAX_RANK, "matmul", at) ||
        !operand_ok(b, NN_F32, 2, NN_MAX_RANK, "matmul", at) ||
        !operand_rows_ok(a, NN_F32, "matmul", at) || !operand_rows_ok(b, NN_F32, "matmul", at))
        return value_failed;
    struct nn_graph *g = a.graph;
    if (b.graph != g)
        return graph_fail(g, at, "matmul", "inputs belong to different graphs");
    const struct nn_shape *sa = &node_of(a)->shape, *sb = &node_of(b)->shape;
    const int ra = shape_rank(sa), rb = shape_rank(sb);
    bool match = sa->dim[ra - 1] == sb->dim[rb - 2] && (rb == 2 || ra == rb);
    for (int i = 0; i < rb - 2; i++)
        match = match && sa->dim[i] == sb->dim[i];
    char ta[64], tb[64];
    if (!match)
        return graph_fail(g, at, "matmul", "%s and %s do not multiply",
                          shape_text(sa, g->batch, ta), shape_text(sb, g->batch, tb));
    struct nn_shape shape = *sa;
    shape.dim[ra - 1] = sb->dim[rb - 1];
    return node_add(g, &op_matmul, shape, NN_F32, NO_ATTR, 2, (nn_value[]){a, b}, at);
}

const struct op op_matmul = {
    .name = "matmul",
    .flags = OP_EPILOGUE,
    .grad = grad_matmul,
    .macs = macs,
    .flops = flops,
    .work = work_matmul,
    .run = run_matmul,
    .kernel = kernel_matmul,
    .how = how_matmul,
};

/* w moves by its gradient a^T b: inputs a, b, w. Made by inside.c. */
const struct op op_matmul_update = {
    .name = "matmul_update",
    .flags = OP_UPDATES | OP_NO_GRAD,
    .macs = macs,
    .flops = flops,
    .work = work_update,
    .run = run_update,
    .kernel = kernel_update,
};

/* ------------------------------------------------------------------ linear */

static void run_linear(const struct step *s, const struct crew *crew)
{
    const struct kn_gemm gemm = gemm_of_step(s, false, true);
    kn->gemm_f32(&gemm, crew, s->work);
}

static size_t work_linear(const struct step *s, int threads)
{
    const struct kn_gemm gemm = gemm_of_step(s, false, true);
    return kn->gemm_work_f32(&gemm, threads);
}

static void how_linear(const struct step *s, int threads, char how[KN_HOW])
{
    const struct kn_gemm gemm = gemm_of_step(s, false, true);
    kn->gemm_how(&gemm, threads, how);
}

static const char *kernel_linear(const struct node *n) { return (void)n, "gemm_f32 NT"; }

static void grad_linear(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), w = in_of(g, id, 1);
    const int bias = g->node[id].attr.bias_in;
    if (grad_wanted(g, id, 0))
        dx[0] = product(dy, w, false, false, x.id);
    /* columns that are for another input: whoever multiplies them has all of dw (recurrent_attend.c) */
    if (grad_wanted(g, id, 1) && shape_last(&node_of(w)->shape) == shape_last(&node_of(x)->shape))
        dx[1] = product(dy, x, true, false, w.id);
    if (bias && grad_wanted(g, id, bias))
        dx[bias] = EMIT(g, &op_sum_channel, g->node[id].in[bias], NO_ATTR, dy);
}

nn_value nn_linear_(nn_value x, struct nn_linear_opts o, const char *at)
{
    if (!operand_ok(x, NN_F32, 2, NN_MAX_RANK, "linear", at) ||
        !operand_rows_ok(x, NN_F32, "linear", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    if (o.out < 1)
        return graph_fail(g, at, "linear", "%d outputs, wanted at least 1", o.out);
    struct nn_shape shape = node_of(x)->shape;
    const int last = shape_rank(&shape) - 1, in = shape.dim[last];
    shape.dim[last] = o.out;
    nn_value inputs[3] = {x, nn_param_(g, "weight", NN_SHAPE(o.out, in), o.init, at)};
    if (!o.no_bias)
        inputs[2] = nn_param_(g, "bias", NN_SHAPE(o.out), bias_init(o.bias_init), at);
    const struct attr attr = {.bias_in = o.no_bias ? 0 : 2};
    return node_add(g, &op_linear, shape, NN_F32, attr, o.no_bias ? 2 : 3, inputs, at);
}

const struct op op_linear = {
    .name = "linear",
    .flags = OP_EPILOGUE,
    .grad = grad_linear,
    .macs = macs,
    .flops = flops,
    .work = work_linear,
    .run = run_linear,
    .kernel = kernel_linear,
    .how = how_linear,
};
