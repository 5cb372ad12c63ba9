/* conv2d.c — two-dimensional convolution (cross-correlation) and its two gradients.
 *
 *     conv2d              y[n,o,i,j] = b[o] + sum_cuv w[o,c,u,v] x[n,c,i s + u - p,j s + v - p]
 *     conv2d_grad_data    dx = the same wires backwards, from dy and w
 *     conv2d_grad_weight  dw[o,c,u,v] = sum_nij dy[n,o,i,j] x[n,c,i s + u - p,j s + v - p]
 *
 * and db = sum_channel(dy). x [N,C,H,W], w [O,C,KH,KW] (stored [O,KH,KW,C]), y [N,O,H',W']
 * with H' = (H + 2 p - KH) / s + 1. s is attr.stride, p attr.pad. With attr.groups = G > 1 output o
 * sees the C / G inputs of its own group only, and w is [O,C/G,KH,KW]. attr.mask [O][C] is 0
 * where there is no wire: those weights are 0, stay 0, and count neither as parameters
 * nor as work. conv.h has the kernels, for either layout. */
#include <string.h>

#include "graph/ops/oplib.h"

static struct kn_conv conv_of(const struct node *x, const struct node *w, const struct node *y,
                              const struct attr *a)
{
    const int32_t *in = x->shape.dim, *weight = w->shape.dim, *out = y->shape.dim;
    return (struct kn_conv){
        .N = in[0],
        .C = in[1],
        .H = in[2],
        .W = in[3],
        .O = out[1],
        .OH = out[2],
        .OW = out[3],
        .KH = weight[2],
        .KW = weight[3],
        .stride = a->stride,
        .pad = a->pad,
        .groups = a->groups,
        .algo = a->algo,
        .lanes = x->layout == LANES,
        .mask = a->mask,
    };
}

static struct kn_conv forward_conv(const struct step *s)
{
    struct kn_conv c = conv_of(s->in_node[0], s->in_node[1], s->node, &s->node->attr);
    c.ld_y = s->node->ld;
    return c;
}

static struct kn_conv data_conv(const struct step *s)
{
    return conv_of(s->node, s->in_node[1], s->in_node[0], &s->node->attr);
}

static struct kn_conv weight_conv(const struct step *s)
{
    return conv_of(s->in_node[0], s->node, s->in_node[1], &s->node->attr);
}

static int pieces(const struct nn_graph *g, const struct node *n)
{
    const struct kn_conv c = conv_of(input_of(g, n, 0), input_of(g, n, 1), n, &n->attr);
    return (int)kn->conv_pieces(&c);
}

/* ----------------------------------------------------------------- running */

static void run(const struct step *s, const struct crew *crew)
{
    const struct kn_conv c = forward_conv(s);
    struct kn_epilogue e = epilogue_of(s);
    if (s->node->attr.pieces)
        e.moments = (float *)s->out + shape_moments_at(s->node);
    kn->conv_f32(&c, &e, crew, s->in[0], s->in[1], s->out, s->work);
}

static size_t work(const struct step *s, int threads)
{
    const struct kn_conv c = forward_conv(s);
    return kn->conv_work_f32(&c, CONV_FORWARD, threads);
}

static void run_data(const struct step *s, const struct crew *crew)
{
    const struct kn_conv c = data_conv(s);
    const struct kn_epilogue e = epilogue_of(s);
    kn->conv_grad_data_f32(&c, &e, crew, s->in[0], s->in[1], s->out, s->work);
}

static size_t work_data(const struct step *s, int threads)
{
    const struct kn_conv c = data_conv(s);
    return kn->conv_work_f32(&c, CONV_GRAD_DATA, threads);
}

static void run_weight(const struct step *s, const struct crew *crew)
{
    const struct kn_conv c = weight_conv(s);
    kn->conv_grad_weight_f32(&c, crew, s->in[0], s->in[1], s->out, s->work);
}

static size_t work_weight(const struct step *s, int threads)
{
    const struct kn_conv c = weight_conv(s);
    return kn->conv_work_f32(&c, CONV_GRAD_WEIGHT, threads);
}

static void how(const struct step *s, int threads, char how[KN_HOW])
{
    const struct kn_conv c = forward_conv(s);
    (void)threads;
    kn->conv_how(&c, CONV_FORWARD, how);
}

static void how_data(const struct step *s, int threads, char how[KN_HOW])
{
    const struct kn_conv c = data_conv(s);
    (void)threads;
    kn->conv_how(&c, CONV_GRAD_DATA, how);
}

static void how_weight(const struct step *s, int threads, char how[KN_HOW])
{
    const struct kn_conv c = weight_conv(s);
    (void)threads;
    kn->conv_how(&c, CONV_GRAD_WEIGHT, how);
}

static const char *kernel(const struct node *n)
{
    return n->layout == LANES ? "conv_f32 lanes" : "conv_f32";
}

static const char *kernel_data(const struct node *n)
{
    return n->layout == LANES ? "conv_grad_data_f32 lanes" : "conv_grad_data_f32";
}

static const char *kernel_weight(const struct node *n) { return (void)n, "conv_grad_weight_f32"; }

/* As conv.h allows; moments lie behind a dense output. */
static bool writes_apart(const struct node *n)
{
    const struct attr *a = &n->attr;
    return n->layout == PLAIN && a->groups == 1 && !a->residual_in && !a->y_in && !a->pieces;
}

/* ---------------------------------------------------------------- counting */

/* Input maps that feed output maps; a weight has the inputs of one group only. */
static double wires(const struct nn_shape *w, const uint8_t *mask)
{
    const int all = w->dim[0] * w->dim[1];
    int connected = mask ? 0 : all;
    for (int i = 0; mask && i < all; i++)
        connected += mask[i] != 0;
    return connected;
}

/* The three passes do the same multiplications: a wire's weights for each output pixel. */
static double count(const struct node *n, const struct nn_shape *w, const struct nn_shape *y)
{
    const double pixels = (double)y->dim[0] * y->dim[2] * y->dim[3];
    return pixels * w->dim[2] * w->dim[3] * wires(w, n->attr.mask);
}

static double macs(const struct nn_graph *g, const struct node *n)
{
    return count(n, &input_of(g, n, 1)->shape, &n->shape);
}

static double macs_data(const struct nn_graph *g, const struct node *n)
{
    return count(n, &input_of(g, n, 1)->shape, &input_of(g, n, 0)->shape);
}

static double macs_weight(const struct nn_graph *g, const struct node *n)
{
    return count(n, &n->shape, &input_of(g, n, 1)->shape);
}

static double flops(const struct nn_graph *g, const struct node *n)
{
    const double moments = n->attr.pieces ? 4.0 * (double)shape_elements(&n->shape) : 0.0;
    return 2.0 * n->op->macs(g, n) + epilogue_flops(n) + moments;
}

/* ---------------------------------------------------------------- gradient */

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0), w = in_of(g, id, 1);
    const int bias = g->node[id].attr.bias_in;
    const struct attr attr = attr_unfused(&g->node[id].attr);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_conv2d_grad_data, x.id, attr, dy, w);
    if (grad_wanted(g, id, 1))
        dx[1] = EMIT(g, &op_conv2d_grad_weight, w.id, attr, x, dy);
    if (bias && grad_wanted(g, id, bias))
        dx[bias] = EMIT(g, &op_sum_channel, g->node[id].in[bias], NO_ATTR, dy);
}

/* ------------------------------------------------------------ construction */

static bool output_shape(struct nn_graph *g, struct nn_conv2d_opts o, struct nn_shape *shape,
                         const char *at)
{
    char text[64];
    shape_text(shape, g->batch, text);
    if (o.out < 1 || o.kernel < 1 || o.stride < 1 || o.pad < 0) {
        graph_fail(g, at, "conv2d",
                   "out %d, kernel %d, stride %d, pad %d: wanted out, kernel and "
                   "stride >= 1 and pad >= 0",
                   o.out, o.kernel, o.stride, o.pad);
        return false;
    }
    shape->dim[1] = o.out;
    for (int axis = 2; axis < 4; axis++) {
        const int64_t room = (int64_t)shape->dim[axis] + 2 * (int64_t)o.pad - o.kernel;
        if (room < 0) {
            graph_fail(g, at, "conv2d", "a kernel of %d does not fit %s with pad %d", o.kernel,
                       text, o.pad);
            return false;
        }
        shape->dim[axis] = (int32_t)(room / o.stride + 1);
    }
    return true;
}

static bool groups_ok(struct nn_graph *g, const struct nn_conv2d_opts *o, int C, const char *at)
{
    if (o->groups < 1 || C % o->groups != 0 || o->out % o->groups != 0)
        graph_fail(g, at, "conv2d", "%d groups do not divide %d inputs and %d outputs", o->groups,
                   C, o->out);
    else if (o->groups > 1 && o->connect)
        graph_fail(g, at, "conv2d", "%d groups leave no choice to a connection table", o->groups);
    else
        return true;
    return false;
}

/* [O][C] from C strings of O characters; NULL after an error. */
static const uint8_t *mask_from(struct nn_graph *g, const char *const *connect, int C, int O,
                                const char *at)
{
    uint8_t *mask = arena_alloc(g->arena, (size_t)O * (size_t)C);
    for (int c = 0; c < C; c++) {
        const char *row = connect[c];
        if (!row || strlen(row) != (size_t)O || strspn(row, "X.") != (size_t)O) {
            graph_fail(g, at, "conv2d", "connect row %d is '%s', wanted %d characters X or .", c,
                       row ? row : "(none)", O);
            return NULL;
        }
        for (int out = 0; out < O; out++)
            mask[out * C + c] = row[out] == 'X';
    }
    return mask;
}

static nn_value weight_of(struct nn_graph *g, struct nn_conv2d_opts o, int C, const uint8_t *mask,
                          const char *at)
{
    const struct nn_shape shape = NN_SHAPE(o.out, C / o.groups, o.kernel, o.kernel);
    if (o.fixed)
        return nn_const_(g, "weight", shape, o.fixed, NN_ZEROS, at);
    const nn_value w = nn_param_(g, "weight", shape, o.init, at);
    if (!failed(w))
        node_of(w)->attr.mask = mask; /* so that it starts at 0 where there is no wire */
    return w;
}

nn_value nn_conv2d_(nn_value x, struct nn_conv2d_opts o, const char *at)
{
    if (!operand_ok(x, NN_F32, 4, 4, "conv2d", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    o.stride = o.stride ? o.stride : 1;
    o.groups = o.groups ? o.groups : 1;
    struct nn_shape shape = node_of(x)->shape;
    const int C = shape.dim[1];
    if (!output_shape(g, o, &shape, at) || !groups_ok(g, &o, C, at))
        return value_failed;
    if (o.fixed && o.connect)
        return graph_fail(g, at, "conv2d", "fixed weights have no connection table; write zeros");
    const uint8_t *mask = o.connect ? mask_from(g, o.connect, C, o.out, at) : NULL;
    if (o.connect && !mask)
        return value_failed;
    nn_value inputs[3] = {x, weight_of(g, o, C, mask, at)};
    if (!o.no_bias)
        inputs[2] = nn_param_(g, "bias", NN_SHAPE(o.out), bias_init(o.bias_init), at);
    const struct attr attr = {.kernel = o.kernel,
                              .stride = o.stride,
                              .pad = o.pad,
                              .groups = o.groups,
                              .connect = o.connect,
                              .mask = mask,
                              .bias_in = o.no_bias ? 0 : 2};
    return node_add(g, &op_conv2d, shape, NN_F32, attr, o.no_bias ? 2 : 3, inputs, at);
}

const struct op op_conv2d = {
    .name = "conv2d",
    .flags = OP_EPILOGUE,
    .grad = grad,
    .macs = macs,
    .flops = flops,
    .work = work,
    .run = run,
    .writes_apart = writes_apart,
    .kernel = kernel,
    .pieces = pieces,
    .how = how,
};

const struct op op_conv2d_grad_data = {
    .name = "conv2d_grad_data",
    .flags = OP_EPILOGUE,
    .macs = macs_data,
    .flops = flops,
    .work = work_data,
    .run = run_data,
    .kernel = kernel_data,
    .how = how_data,
};

const struct op op_conv2d_grad_weight = {
    .name = "conv2d_grad_weight",
    .macs = macs_weight,
    .flops = flops,
    .work = work_weight,
    .run = run_weight,
    .kernel = kernel_weight,
    .how = how_weight,
};
