/* nn.h — describe a network once, run it many times.
 *
 * A plugin's build() calls the functions below in the order in which the
 * paper's table lists its layers. Nothing is computed while building: every
 * call adds a node to the graph and infers its shape on the spot. The harness
 * then derives the backward pass, fuses, plans one arena and runs the result
 * step after step without allocating and without failing.
 *
 * Errors are sticky, as in cairo: the first one is kept with the file and line
 * of the call and the current row, later calls on its result do nothing, and
 * the harness reports it once. build() therefore contains no error handling.
 *
 *     plugins/resnet/resnet.c:36: conv3_1: add: [N,128,28,28] and [N,64,56,56] differ
 *
 * Conventions: images are NCHW in shapes (the library stores them as it likes),
 * sequences NTC. N is the batch; it is always axis 0 and never written in the
 * shape of an input. Negative axes count from the end.
 */
#ifndef NN_H
#define NN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) /* libnn.so exports these; all else is hidden */

enum { NN_MAX_RANK = 5 };

struct nn_graph;

/* A node's output. Passed by value; never freed; valid while its graph lives. */
typedef struct nn_value {
    struct nn_graph *graph;
    int32_t id; /* -1: the result of a failed call */
} nn_value;

enum nn_type { NN_F32, NN_I32 };

/* Ends at the first zero: NN_SHAPE(3, 224, 224) has rank 3. */
struct nn_shape {
    int32_t dim[NN_MAX_RANK + 1];
};
#define NN_SHAPE(...) ((struct nn_shape){.dim = {__VA_ARGS__}})
#define NN_SCALAR     ((struct nn_shape){.dim = {0}})

/* How a parameter starts. {0} means "the graph's default", see nn_default_init().
 * fan_in is the product of all axes of a weight but its first: [out,in], [O,C,KH,KW]. */
enum nn_init_kind {
    NN_INIT_DEFAULT,
    NN_INIT_CONST,          /* a */
    NN_INIT_NORMAL,         /* sigma a */
    NN_INIT_UNIFORM,        /* on [-a, a] */
    NN_INIT_FAN_IN_UNIFORM, /* on [-a/fan_in, a/fan_in]: LeCun 1998 with a = 2.4 */
    NN_INIT_HE_NORMAL,      /* sigma a sqrt(2/fan_in): He et al. 2015 */
    NN_INIT_GLOROT_UNIFORM, /* half-width a sqrt(6/(fan_in + fan_out)): Glorot & Bengio 2010 */
    NN_INIT_ORTHOGONAL,     /* of a matrix [out,in] each block of `in` rows a times an orthogonal one: Saxe 2014 */
    NN_INIT_IDENTITY,       /* the same blocks a times the identity: Le, Jaitly, Hinton 2015 */
};
struct nn_init {
    int32_t kind; /* enum nn_init_kind */
    float a;
};
#define NN_ZEROS ((struct nn_init){NN_INIT_CONST, 0.0f})
#define NN_ONES  ((struct nn_init){NN_INIT_CONST, 1.0f})

/* ------------------------------------------------------------------ leaves
 *
 * g may be the graph of a value that failed, NULL: nothing is added to it, and the leaf fails too. */

/* The table row that the following calls belong to, printf-style: "conv2_1".
 * It prefixes parameter names, error messages and the timing report. */
__attribute__((format(printf, 2, 3))) void nn_row(struct nn_graph *g, const char *fmt, ...);

/* Initial weights of every later layer that does not say otherwise; biases start
 * at 0. Glorot & Bengio's uniform law if never called. */
void nn_default_init(struct nn_graph *g, struct nn_init init);

/* A tensor that the dataset fills in at each step: [N, shape]. Image classification
 * sets give "image" (f32, [C,H,W] or flat) and "label" (i32, scalar; -1: not counted); what sequences
 * give stands in plugin.h, with nn_variant.task. */
#define nn_input(g, name, type, shape) nn_input_((g), (name), (type), (shape), NN_HERE)

/* What the opened data tells of the sequences that it gives as input `name`: how many different
 * values its integers have (the size of the vocabulary), and how many steps it has at most in the
 * program that is being built. `fallback` where no data is open (bench info, tests), or where the data
 * leaves the number of steps to the network (running text). Call them before nn_input(). */
int nn_tokens(struct nn_graph *g, const char *name, int fallback);
int nn_length(struct nn_graph *g, const char *name, int fallback);

/* A trained tensor; an optimizer or nn_assign() changes it. */
#define nn_param(g, name, shape, init) nn_param_((g), (name), (shape), (init), NN_HERE)

/* The same; it starts as `data` says, which is borrowed and must outlive the graph. */
#define nn_param_from(g, name, shape, data) nn_param_from_((g), (name), (shape), (data), NN_HERE)

/* A tensor that is kept with the parameters (saved, loaded, shared with evaluation) but neither
 * trained nor counted: running means. Ops and nn_assign() change it. */
#define nn_buffer(g, name, shape, init) nn_buffer_((g), (name), (shape), (init), NN_HERE)

/* [N, shape], carried from step to step within one program: zero at the start of an epoch and of an
 * evaluation, changed by nn_assign(), in evaluation too. Neither saved nor shared; no gradient passes,
 * which truncates back-propagation through time. A hidden state that is carried on:
 *     h0 = nn_state(g, "h", NN_SHAPE(H));  ...  nn_assign(h0, nn_last(y, length)); */
#define nn_state(g, name, shape) nn_state_((g), (name), (shape), NN_HERE)

/* A tensor that never changes. `data` is borrowed and must outlive the graph;
 * nn_random() draws it once from the run's seed. */
#define nn_const(g, name, shape, data)  nn_const_((g), (name), (shape), (data), NN_ZEROS, NN_HERE)
#define nn_random(g, name, shape, init) nn_const_((g), (name), (shape), 0, (init), NN_HERE)

/* Size of one axis: layers read their input's width instead of being told. 1 on failure. */
int nn_dim(nn_value x, int axis);
int nn_rank(nn_value x);

/* ------------------------------------------- layers, which own parameters */

/* y[n,o,i,j] = b[o] + sum_{c,u,v} w[o,c,u,v] x[n,c,i*stride+u-pad,j*stride+v-pad]
 * [N,C,H,W] -> [N,out,H',W'], H' = (H + 2 pad - kernel) / stride + 1.
 * Parameters <row>.weight [out,C,kernel,kernel] and <row>.bias [out]. */
struct nn_conv2d_opts {
    int32_t out, kernel, stride, pad; /* stride 0 means 1 */
    bool no_bias;
    const char *const *connect; /* C strings of `out` characters; 'X': input c feeds output o */
    const float *fixed;         /* [out,C,kernel,kernel]: weights that never change; borrowed */
    struct nn_init init;
    struct nn_init bias_init;   /* {0}: zeros */
    int32_t groups;             /* 0 means 1: output o of group k reads the C/groups inputs of group k only;
                                 * weight [out,C/groups,kernel,kernel]. groups = C = out: depthwise */
};
#define nn_conv2d(x, ...) nn_conv2d_((x), (struct nn_conv2d_opts){.out = __VA_ARGS__}, NN_HERE)

/* y = x w^T + b over the last axis: [N,...,in] -> [N,...,out].
 * Parameters <row>.weight [out,in] and <row>.bias [out]. */
struct nn_linear_opts {
    int32_t out;
    bool no_bias;
    struct nn_init init;
    struct nn_init bias_init; /* {0}: zeros */
};
#define nn_linear(x, ...) nn_linear_((x), (struct nn_linear_opts){.out = __VA_ARGS__}, NN_HERE)

/* Recurrent layers over sequences: x [N,T,C] -> h [N,T,H], H = hidden, from step 0 on, or, `reverse`, from
 * the last valid step to the first. With a = W x + b, the input's part, and U the hidden state's:
 *
 *     nn_rnn   h' = tanh(a + U h)                                          Elman 1990; .relu: max(0, .)
 *     nn_lstm  i,f,o = sigma(a + U h), g = tanh(a + U h)                   Gers et al. 2000
 *              c' = f c + i g, h' = o tanh(c')
 *              .no_forget: c' = c + i g, three gates i g o                 Hochreiter & Schmidhuber 1997
 *              .peepholes: + p c in i and f, + p c' in o                   Gers & Schmidhuber 2000
 *     nn_gru   r,z = sigma(a + U h), n = tanh(a + r (U h + b')), h' = (1 - z) n + z h    PyTorch, cuDNN
 *              .reset_before: n = tanh(a + U (r h))                        Cho et al. 2014
 *
 * Parameters, named and ordered as PyTorch's are (gates i f g o; r z n): <row>.weight_ih [G H,C],
 * <row>.weight_hh [G H,H], <row>.bias_ih and, without `one_bias`, <row>.bias_hh [G H] (added to it; b' of the
 * GRU's n; none with reset_before), neither with `no_bias`; <row>.peep [3,H] of i, f, o. A sample whose length
 * is shorter than T has zeros behind its end, and no gradient there. Both directions: two layers and nn_concat(a, b, 2).
 *
 * With attend_keys the layer attends to another sequence inside its loop, as the decoder of Bahdanau, Cho and
 * Bengio 2015 does; each step begins with
 *
 *     q = Wq h,  e_j = v . tanh(q + k_j),  alpha = softmax of e_j over j < attend_length[n]
 *     c = sum_j alpha_j values_j,          a = W [x; c] + b, then the cell as above
 *
 * weight_ih is [G H,C+E] then, x's columns before the context's, and there are <row>.query [A,H] and <row>.v [A].
 * The keys are what e_j needs of the other sequence: nn_linear(states, A, .no_bias = true). nn_context(y) are the
 * c_t, with gradient: an output layer reads nn_concat(y, nn_context(y), 2). nn_attention(y) are the alpha_t, to be
 * shown. A length of 0 gives c = 0, one outside [0, S] NaN, which ends the run. */
struct nn_recurrent_opts {
    int32_t hidden;
    nn_value length;       /* i32 [N]; {0}: every sample has T steps */
    nn_value h0, c0;       /* [N,H]; {0}: zeros */
    bool reverse, one_bias, no_bias;
    bool relu;             /* nn_rnn */
    bool no_forget, peepholes; /* nn_lstm; peepholes start at 0 */
    bool reset_before;     /* nn_gru */
    struct nn_init input, recurrent, bias; /* of weight_ih, weight_hh; bias {0}: zeros */
    /* Where bias_ih of the gate that keeps (nn_lstm's f, nn_gru's z) starts; or, for memories of up to
     * `span` steps, at the logarithms of 1 to span - 1, spread over the units, and nn_lstm's i at minus
     * these: Tallec & Ollivier 2018. */
    float forget_bias;
    int32_t span;
    nn_value attend_keys, attend_values; /* [N,S,A], [N,S,E]; {0}: no attention, or the keys are the values */
    nn_value attend_length;              /* i32 [N]: keys that take part, the first ones; {0}: all S */
};
#define nn_rnn(x, ...)  nn_rnn_((x), (struct nn_recurrent_opts){.hidden = __VA_ARGS__}, NN_HERE)
#define nn_lstm(x, ...) nn_lstm_((x), (struct nn_recurrent_opts){.hidden = __VA_ARGS__}, NN_HERE)
#define nn_gru(x, ...)  nn_gru_((x), (struct nn_recurrent_opts){.hidden = __VA_ARGS__}, NN_HERE)

/* Attention of the queries [N,T,A], or one each [N,A], of a sequence to another one's keys [N,S,A]:
 *
 *     e[t,j] = v . tanh(q_t + k_j)     with .v, a parameter [A]: additive     Bahdanau, Cho, Bengio 2015
 *     e[t,j] = scale q_t . k_j         without: dot                          Luong, Pham, Manning 2015
 *     alpha[t,:] = softmax of e[t,j] over j < length[n],  y_t = sum_j alpha[t,j] values_j
 *
 * y is [N,T,E], or [N,E]. It owns no parameters: Bahdanau's W and U are linear layers in front of query and
 * keys, and so is Luong's "general" W in front of the query. Gradients reach query, keys, values and v; what
 * backward needs of tanh is made again, no buffer has T S A elements. A length of 0 gives y = 0, one
 * outside [0, S] NaN, which ends the run.
 *     y = nn_attend(nn_linear(s, A, .no_bias = true), keys, .values = h, .v = v, .length = length); */
struct nn_attend_opts {
    nn_value keys;
    nn_value values; /* [N,S,E]; {0}: the keys themselves */
    nn_value v;      /* [A]; {0}: dot */
    nn_value length; /* i32 [N]: keys that take part, the first ones; {0}: all S */
    float scale;     /* of dot; 0 means 1 */
};
#define nn_attend(query, ...) nn_attend_((query), (struct nn_attend_opts){.keys = __VA_ARGS__}, NN_HERE)

/* Ioffe & Szegedy 2015: per channel (axis 1 of [N,C,H,W] or [N,C]) over batch and pixels,
 *
 *     y = gain (x - mean) / sqrt(var + epsilon) + bias
 *
 * with the batch's own mean and (biased) variance in training, with the running ones in evaluation;
 * running = (1 - momentum) running + momentum batch, the variance unbiased. Parameters <row>.gain
 * and <row>.bias, buffers <row>.running_mean and <row>.running_var, all [C]. A following
 * nn_add(y, residual), nn_relu() or nn_silu() costs nothing. nn_batch_norm(x, 1e-5f) is PyTorch's. */
struct nn_batch_norm_opts {
    float epsilon, momentum; /* momentum 0 means 0.1 */
    bool zero_gain;          /* gain starts at 0: Goyal et al. 2017, the last of a residual block */
};
#define nn_batch_norm(x, ...) \
    nn_batch_norm_((x), (struct nn_batch_norm_opts){.epsilon = __VA_ARGS__}, NN_HERE)

/* clang-format off */

/* Per channel (axis 1): a x + b, a (from 1) and b (from 0) trained: <row>.gain, <row>.bias [C]. */
#define nn_affine(x)      nn_affine_((x), NN_HERE)

/* ---------------------------------------------- operations, parameter-free */

#define nn_add(a, b)      nn_add_((a), (b), NN_HERE)       /* b may lack leading axes */
#define nn_sub(a, b)      nn_sub_((a), (b), NN_HERE)
#define nn_mul(a, b)      nn_mul_((a), (b), NN_HERE)
#define nn_scale(x, c)    nn_scale_((x), (c), NN_HERE)     /* c x   */
#define nn_offset(x, c)   nn_offset_((x), (c), NN_HERE)    /* x + c */
#define nn_neg(x)         nn_scale_((x), -1.0f, NN_HERE)
#define nn_dropout(x, p)  nn_dropout_((x), (p), NN_HERE)   /* training only; kept values / (1-p) */
#define nn_drop_path(x, p) nn_drop_path_((x), (p), NN_HERE) /* whole samples: stochastic depth, Huang 2016 */
#define nn_gate(x, s)     nn_gate_((x), (s), NN_HERE)      /* x[n,c,i,j] s[n,c]: squeeze-and-excitation */
#define nn_abs(x)         nn_abs_((x), NN_HERE)
#define nn_sqrt(x)        nn_sqrt_((x), NN_HERE)           /* gradient 0 at 0 */
#define nn_exp(x)         nn_exp_((x), NN_HERE)
#define nn_log(x)         nn_log_((x), NN_HERE)
#define nn_tanh(x)        nn_tanh_((x), NN_HERE)
#define nn_sigmoid(x)     nn_sigmoid_((x), NN_HERE)
#define nn_relu(x)        nn_relu_((x), NN_HERE)
#define nn_gelu(x)        nn_gelu_((x), NN_HERE)           /* x Phi(x): Hendrycks & Gimpel 2016 */
#define nn_gelu_tanh(x)   nn_gelu_tanh_((x), NN_HERE)      /* its tanh form, as in GPT-2 */
#define nn_silu(x)        nn_silu_((x), NN_HERE)           /* x sigmoid(x): "swish", Ramachandran 2017 */
#define nn_step(x)        nn_step_((x), NN_HERE)           /* x > 0; no gradient */
#define nn_softmax(x)     nn_softmax_((x), NN_HERE)        /* over the last axis */
#define nn_stop_grad(x)   nn_stop_grad_((x), NN_HERE)      /* x; no gradient passes */
#define nn_sum(x, axis)   nn_sum_((x), (axis), NN_HERE)    /* the axis disappears */
#define nn_mean(x, axis)  nn_mean_((x), (axis), NN_HERE)
#define nn_repeat(x, axis, n) nn_repeat_((x), (axis), (n), NN_HERE) /* a new axis, n times the same */
#define nn_matmul(a, b)   nn_matmul_((a), (b), NN_HERE)    /* [...,M,K] [K,P] -> [...,M,P]; or both batched */
#define nn_transpose(x)   nn_transpose_((x), NN_HERE)      /* swaps the last two axes      */
#define nn_flatten(x)     nn_flatten_((x), NN_HERE)        /* [N,...] -> [N,F], in logical order */
#define nn_reshape(x, s)  nn_reshape_((x), (s), NN_HERE)   /* [N,...] -> [N,s], in logical order */
#define nn_concat(a, b, axis) nn_concat_((a), (b), (axis), NN_HERE)
/* Up to six along one axis: nn_join(1, a, b, c, d). */
#define nn_join(axis, ...) \
    nn_join_((axis), (int)(sizeof((nn_value[]){__VA_ARGS__}) / sizeof(nn_value)), (nn_value[]){__VA_ARGS__}, NN_HERE)
/* Zeros before and behind along one axis: the parameter-free shortcut of He et al. 2015. */
#define nn_pad(x, axis, before, behind) nn_pad_((x), (axis), (before), (behind), NN_HERE)
#define nn_slice(x, axis, from, to) nn_slice_((x), (axis), (from), (to), NN_HERE)
#define nn_gather(t, i)   nn_gather_((t), (i), NN_HERE)    /* rows of t: [V,C] [N,T] -> [N,T,C] */
#define nn_pick(x, i)     nn_pick_((x), (i), NN_HERE)      /* x[n, i[n]]: [N,K] [N] -> [N]; 0 where i < 0 */
#define nn_last(x, length) nn_last_((x), (length), NN_HERE) /* x[n, length[n] - 1]: [N,T,H] -> [N,H]; {0}: T */
#define nn_at(x, t)       nn_at_((x), (t), NN_HERE)        /* step t: [N,T,H] -> [N,H] */
#define nn_final_cell(y)  nn_final_cell_((y), NN_HERE)     /* of nn_lstm(): c behind each sample's end, [N,H] */
#define nn_context(y)     nn_context_((y), NN_HERE)        /* of a recurrent layer that attends: c, [N,T,E] */
#define nn_attention(y)   nn_attention_((y), NN_HERE)      /* alpha of such, or nn_attend(): [N,T,S]; no gradient */
#define nn_sq_dist(x, c)  nn_sq_dist_((x), (c), NN_HERE)   /* |x[n] - c[k]|^2: [N,F] [K,F] -> [N,K] */

/* Mean of log sum_k e^x[n,k] - x[n,label[n]] over the rows with label >= 0: [N,K] [N] -> scalar. */
#define nn_cross_entropy(logits, label) nn_cross_entropy_((logits), (label), NN_HERE)
/* The same against (1 - s) one-hot + s / K: label smoothing, Szegedy et al. 2015. */
#define nn_smooth_cross_entropy(logits, label, s) nn_smooth_cross_entropy_((logits), (label), (s), NN_HERE)
/* Mean of (y - target)^2 over all elements of two values of one shape [N,...]. A sample whose first
 * target is NN_NO_TARGET is not counted: an evaluation's last batch is filled up with such. */
#define nn_mse(y, target) nn_mse_((y), (target), NN_HERE)
#define NN_NO_TARGET (-3.0e38f)
/* % of the rows with label >= 0 whose first largest score is the label's: [N,K] [N] -> scalar. */
#define nn_accuracy(scores, label) nn_accuracy_((scores), (label), NN_HERE)
/* clang-format on */

/* [N,C,H,W] -> [N,C,H',W'], H' as in nn_conv2d(). nn_avg_pool() divides by kernel^2, as if
 * what is outside of the image were zeros: padding, and what hangs over with `ceil`. */
struct nn_pool_opts {
    int32_t kernel, stride, pad; /* stride 0 means kernel */
    bool ceil; /* H' rounds up: a last window that begins inside the image or its left padding may hang over */
};
#define nn_max_pool(x, ...) nn_max_pool_((x), (struct nn_pool_opts){.kernel = __VA_ARGS__}, NN_HERE)
#define nn_avg_pool(x, ...) nn_avg_pool_((x), (struct nn_pool_opts){.kernel = __VA_ARGS__}, NN_HERE)
#define nn_sum_pool(x, ...) nn_sum_pool_((x), (struct nn_pool_opts){.kernel = __VA_ARGS__}, NN_HERE)

/* Mean of each image's channel: [N,C,H,W] -> [N,C]. */
#define nn_global_avg_pool(x) nn_global_avg_pool_((x), NN_HERE)

/* Krizhevsky et al. 2012, across channels: y[c] = x[c] / (k + alpha/size sum x[c']^2)^beta over the
 * `size` channels around c. alpha as in Caffe and PyTorch, divided by size; the paper's alpha 1e-4
 * with n = 5 is written alpha = 5e-4 in this form. nn_lrn(x, 5, .k = 2, .alpha = 5e-4f, .beta = .75f) */
struct nn_lrn_opts {
    int32_t size;
    float alpha, beta, k;
};
#define nn_lrn(x, ...) nn_lrn_((x), (struct nn_lrn_opts){.size = __VA_ARGS__}, NN_HERE)

/* ---------------------------------------------------------- what to learn */

/* Gradient learning: the optimizer of the recipe drives `loss` (a scalar) down. */
#define nn_minimize(loss) nn_minimize_((loss), NN_HERE)

/* Any other learning rule: after each step, param <- value. */
#define nn_assign(param, value) nn_assign_((param), (value), NN_HERE)

/* A scalar that the harness averages over an epoch and stores; the first one is the
 * plugin's quality. Names end in their unit if they have one: "accuracy" is in %. */
#define nn_metric(name, scalar) nn_metric_((name), (scalar), NN_HERE)

/* Keeps a value to be looked at behind a step: attention maps, gates. No effect on training, where it
 * is not kept. "attention" [N,T,S] is how much step t of what is said looks at step s of the source:
 * reports draw it. */
#define nn_show(name, x) nn_show_((name), (x), NN_HERE)

/* ------------------- the functions behind the macros (`at` is "file:line") */

#define NN_STR_(x) #x
#define NN_STR(x)  NN_STR_(x)
#define NN_HERE    __FILE__ ":" NN_STR(__LINE__)

/* clang-format off */
nn_value nn_input_(struct nn_graph *g, const char *name, int type, struct nn_shape s, const char *at);
nn_value nn_state_(struct nn_graph *g, const char *name, struct nn_shape s, const char *at);
nn_value nn_param_(struct nn_graph *g, const char *name, struct nn_shape s, struct nn_init init, const char *at);
nn_value nn_param_from_(struct nn_graph *g, const char *name, struct nn_shape s, const float *data, const char *at);
nn_value nn_buffer_(struct nn_graph *g, const char *name, struct nn_shape s, struct nn_init init, const char *at);
nn_value nn_const_(struct nn_graph *g, const char *name, struct nn_shape s, const float *data, struct nn_init init, const char *at);
nn_value nn_conv2d_(nn_value x, struct nn_conv2d_opts o, const char *at);
nn_value nn_linear_(nn_value x, struct nn_linear_opts o, const char *at);
nn_value nn_rnn_(nn_value x, struct nn_recurrent_opts o, const char *at);
nn_value nn_lstm_(nn_value x, struct nn_recurrent_opts o, const char *at);
nn_value nn_gru_(nn_value x, struct nn_recurrent_opts o, const char *at);
nn_value nn_attend_(nn_value query, struct nn_attend_opts o, const char *at);
nn_value nn_attention_(nn_value y, const char *at);
nn_value nn_context_(nn_value y, const char *at);
nn_value nn_affine_(nn_value x, const char *at);
nn_value nn_batch_norm_(nn_value x, struct nn_batch_norm_opts o, const char *at);
nn_value nn_add_(nn_value a, nn_value b, const char *at);
nn_value nn_sub_(nn_value a, nn_value b, const char *at);
nn_value nn_mul_(nn_value a, nn_value b, const char *at);
nn_value nn_scale_(nn_value x, float c, const char *at);
nn_value nn_offset_(nn_value x, float c, const char *at);
nn_value nn_dropout_(nn_value x, float p, const char *at);
nn_value nn_drop_path_(nn_value x, float p, const char *at);
nn_value nn_gate_(nn_value x, nn_value s, const char *at);
nn_value nn_abs_(nn_value x, const char *at);
nn_value nn_sqrt_(nn_value x, const char *at);
nn_value nn_exp_(nn_value x, const char *at);
nn_value nn_log_(nn_value x, const char *at);
nn_value nn_tanh_(nn_value x, const char *at);
nn_value nn_sigmoid_(nn_value x, const char *at);
nn_value nn_relu_(nn_value x, const char *at);
nn_value nn_gelu_(nn_value x, const char *at);
nn_value nn_gelu_tanh_(nn_value x, const char *at);
nn_value nn_silu_(nn_value x, const char *at);
nn_value nn_step_(nn_value x, const char *at);
nn_value nn_softmax_(nn_value x, const char *at);
nn_value nn_stop_grad_(nn_value x, const char *at);
nn_value nn_sum_(nn_value x, int axis, const char *at);
nn_value nn_mean_(nn_value x, int axis, const char *at);
nn_value nn_repeat_(nn_value x, int axis, int n, const char *at);
nn_value nn_matmul_(nn_value a, nn_value b, const char *at);
nn_value nn_transpose_(nn_value x, const char *at);
nn_value nn_flatten_(nn_value x, const char *at);
nn_value nn_reshape_(nn_value x, struct nn_shape s, const char *at);
nn_value nn_concat_(nn_value a, nn_value b, int axis, const char *at);
nn_value nn_join_(int axis, int count, const nn_value *x, const char *at);
nn_value nn_pad_(nn_value x, int axis, int before, int behind, const char *at);
nn_value nn_slice_(nn_value x, int axis, int from, int to, const char *at);
nn_value nn_gather_(nn_value table, nn_value i, const char *at);
nn_value nn_pick_(nn_value x, nn_value i, const char *at);
nn_value nn_last_(nn_value x, nn_value length, const char *at);
nn_value nn_at_(nn_value x, int t, const char *at);
nn_value nn_final_cell_(nn_value y, const char *at);
nn_value nn_sq_dist_(nn_value x, nn_value c, const char *at);
nn_value nn_cross_entropy_(nn_value logits, nn_value label, const char *at);
nn_value nn_smooth_cross_entropy_(nn_value logits, nn_value label, float s, const char *at);
nn_value nn_mse_(nn_value y, nn_value target, const char *at);
nn_value nn_accuracy_(nn_value scores, nn_value label, const char *at);
nn_value nn_max_pool_(nn_value x, struct nn_pool_opts o, const char *at);
nn_value nn_avg_pool_(nn_value x, struct nn_pool_opts o, const char *at);
nn_value nn_sum_pool_(nn_value x, struct nn_pool_opts o, const char *at);
nn_value nn_global_avg_pool_(nn_value x, const char *at);
nn_value nn_lrn_(nn_value x, struct nn_lrn_opts o, const char *at);
void nn_minimize_(nn_value loss, const char *at);
void nn_assign_(nn_value param, nn_value value, const char *at);
void nn_metric_(const char *name, nn_value scalar, const char *at);
void nn_show_(const char *name, nn_value x, const char *at);
/* clang-format on */

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
