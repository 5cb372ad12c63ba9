/* kernel_cases.c — at which sizes each kernel is measured: those of the networks at their
 * recipes' batch of 128, as `bench info` and the per-op tables show them, and one that no cache
 * holds. LeNet-5 and the filters run in the lanes layout: 8 groups of 16 images; the
 * same layers in NHWC are there for comparison. A kernel without a line here fails t_kernel_cases.
 */
#include "perf/kernel_cases.h"

#include <stdio.h>
#include <string.h>

const char CASE_LARGE[] = "larger than the caches";

enum {
    C1 = 128 * 6 * 28 * 28, /* LeNet-5's feature maps, elements of a batch */
    S2 = 128 * 6 * 14 * 14,
    C3 = 128 * 16 * 10 * 10,
    F6 = 128 * 84,
    OUTPUT = 128 * 10,
    HIDDEN = 128 * 512,             /* the perceptron's */
    RECTIFIED = 128 * 16 * 28 * 28, /* the filters' */
    LENET = 61706,                  /* parameters */
    PERCEPTRON = 669706,
    LARGE = 1 << 23 /* floats: 32 MiB an operand */
};

#define CASE(name, form, seen, ...) {KERNEL_##name, form, {__VA_ARGS__}, seen},
#define N_(name, n, seen)           CASE(name, "", seen, n)
#define BIG(name)                   CASE(name, "", CASE_LARGE, LARGE)
/* A fully connected layer of 128 samples: forward, gradients of data and of weights. */
#define LAYER(in, out, seen)                 \
    CASE(gemm_f32, "NT", seen, 128, out, in) \
    CASE(gemm_f32, "NN", seen, 128, in, out) \
    CASE(gemm_f32, "TN", seen, out, in, 128)
#define CONV(layout, seen, ...)                         \
    CASE(conv_f32, layout, seen, __VA_ARGS__)           \
    CASE(conv_grad_data_f32, layout, seen, __VA_ARGS__) \
    CASE(conv_grad_weight_f32, layout, seen, __VA_ARGS__)
#define POOL(seen, ...)                            \
    CASE(max_pool_f32, "", seen, __VA_ARGS__)      \
    CASE(max_pool_grad_f32, "", seen, __VA_ARGS__) \
    CASE(sum_pool_f32, "", seen, __VA_ARGS__)      \
    CASE(sum_pool_grad_f32, "", seen, __VA_ARGS__)

/* clang-format off */
const struct kernel_case kernel_cases[] = {
    /* matrix multiply: M N K; alone, as other libraries do it too, and with what is fused to it */
    LAYER(784, 512, "mlp:512-512 hidden1")
    LAYER(512, 512, "mlp:512-512 hidden2")
    LAYER(512,  10, "mlp:512-512 output")
    LAYER(784, 300, "mlp:300-100 hidden1")
    LAYER(300, 100, "mlp:300-100 hidden2")
    LAYER(100,  10, "mlp:300-100 output")
    LAYER(120,  84, "lenet5 F6")
    LAYER( 84,  10, "lenet5 output")
    LAYER(784,  10, "filters classifier")
    CASE(gemm_f32, "NT+bias+relu", "mlp:512-512 hidden1", 128, 512, 784, EPILOGUE_RELU)
    CASE(gemm_f32, "NT+bias+relu", "mlp:512-512 hidden2", 128, 512, 512, EPILOGUE_RELU)
    CASE(gemm_f32, "NT+bias",      "mlp:512-512 output",  128,  10, 512, EPILOGUE_BIAS)
    CASE(gemm_f32, "NN+relu_grad", "mlp:512-512 hidden2", 128, 512, 512, EPILOGUE_RELU_GRAD)
    CASE(gemm_f32, "NN+relu_grad", "mlp:512-512 output",  128, 512,  10, EPILOGUE_RELU_GRAD)
    CASE(gemm_f32, "NT+bias+tanh", "lenet5 F6",           128,  84, 120, EPILOGUE_TANH)
    CASE(gemm_f32, "NT+bias",      "lenet5 output",       128,  10,  84, EPILOGUE_BIAS)
    CASE(gemm_f32, "NN+tanh_grad", "lenet5 output",       128,  84,  10, EPILOGUE_TANH_GRAD)
    CASE(gemm_f32, "NT+bias",      "filters classifier",  128,  10, 784, EPILOGUE_BIAS)
    CASE(gemm_f32, "NN", CASE_LARGE, 1536, 1536, 1536)
    CASE(gemm_work_f32,   "NT", "mlp:512-512 hidden1", 128, 512, 784)
    CASE(gemm_packed_f32, "NT", "mlp:512-512 hidden1", 128, 512, 784)
    CASE(gemm_pack_f32,   "NT", "mlp:512-512 hidden1", 128, 512, 784)
    CASE(gemm_pack_f32,   "NT", CASE_LARGE, 128, 4096, 2048)

    /* convolution: N H W C, O, kernel, stride, pad */
    CONV("lanes", "lenet5 C1", 128, 28, 28, 1, 6, 5, 1, 2)
    CONV("lanes", "lenet5 C3", 128, 14, 14, 6, 16, 5, 1, 0)
    CONV("lanes", "lenet5 C5", 128, 5, 5, 16, 120, 5, 1, 0)
    CASE(conv_f32, "lanes", "filters:gabor", 128, 28, 28, 1, 16, 7, 1, 3)
    CASE(conv_f32, "lanes", "filters:sobel", 128, 28, 28, 1, 2, 3, 1, 0)
    CONV("nhwc", "lenet5 C1 --no-lanes", 128, 28, 28, 1, 6, 5, 1, 2)
    CONV("nhwc", "lenet5 C3 --no-lanes", 128, 14, 14, 6, 16, 5, 1, 0)
    CONV("nhwc", "lenet5 C5 --no-lanes", 128, 5, 5, 16, 120, 5, 1, 0)
    CASE(conv_f32, "nhwc", "filters:gabor --no-lanes", 128, 28, 28, 1, 16, 7, 1, 3)
    CONV("nhwc", CASE_LARGE, 64, 56, 56, 64, 64, 3, 1, 1)
    CASE(conv_work_f32, "lanes", "lenet5 C3", 128, 14, 14, 6, 16, 5, 1, 0)

    /* time loops of recurrent layers: N T H gates; forms "rnn", "lstm", "gru", and "lstm+attend"
     * to so many keys */
    CASE(recurrent_f32,      "rnn",  "rnn, row by row", 64, 28, 128, 1)
    CASE(recurrent_f32,      "lstm", "lstm, characters", 64, 64, 128, 4)
    CASE(recurrent_f32,      "lstm", "lstm, 256 units", 64, 64, 256, 4)
    CASE(recurrent_f32,      "gru",  "gru, 256 units", 64, 64, 256, 3)
    CASE(recurrent_f32,      "lstm", CASE_LARGE, 64, 64, 512, 4)
    CASE(recurrent_f32,      "lstm+attend", "seq2seq, 256 units", 64, 20, 256, 4, 20)
    CASE(recurrent_grad_f32, "lstm+attend", "seq2seq, 256 units", 64, 20, 256, 4, 20)
    CASE(recurrent_grad_f32, "rnn",  "rnn, row by row", 64, 28, 128, 1)
    CASE(recurrent_grad_f32, "lstm", "lstm, characters", 64, 64, 128, 4)
    CASE(recurrent_grad_f32, "lstm", "lstm, 256 units", 64, 64, 256, 4)
    CASE(recurrent_grad_f32, "lstm", CASE_LARGE, 64, 64, 512, 4)
    CASE(recurrent_work_f32, "lstm", "lstm, 256 units", 64, 64, 256, 4)

    /* attention: N T S A E; forms "tanh", "dot" */
    CASE(attend_f32,      "tanh", "seq2seq, 256 units", 64, 20, 20, 256, 256)
    CASE(attend_f32,      "dot",  "seq2seq, 256 units", 64, 20, 20, 256, 256)
    CASE(attend_f32,      "tanh", CASE_LARGE, 64, 16, 100, 512, 1024)
    CASE(attend_grad_f32, "tanh", "seq2seq, 256 units", 64, 20, 20, 256, 256)
    CASE(attend_grad_f32, "dot",  "seq2seq, 256 units", 64, 20, 20, 256, 256)
    CASE(attend_grad_f32, "tanh", CASE_LARGE, 64, 16, 100, 512, 1024)
    CASE(attend_work_f32, "tanh", "seq2seq, 256 units", 64, 20, 20, 256, 256)

    /* pooling: N H W C*lanes, kernel, stride, pad */
    POOL("lenet5 S2", 8, 28, 28, 96, 2, 2, 0)
    POOL("lenet5 S4", 8, 10, 10, 256, 2, 2, 0)
    CASE(sum_pool_f32, "", "filters:gabor pool", 8, 28, 28, 256, 4, 4, 0)
    POOL(CASE_LARGE, 64, 56, 56, 64, 2, 2, 0)
    POOL("resnet stem", 8, 112, 112, 64, 3, 2, 1)
    POOL("googlenet inception(3a)", 8, 28, 28, 192, 3, 1, 1)
    POOL("alexnet conv1", 32, 55, 55, 96, 3, 2, 0)

    /* local response normalisation: rows C size */
    CASE(lrn_f32,      "", "alexnet conv1", 8 * 55 * 55, 96, 5)
    CASE(lrn_grad_f32, "", "alexnet conv1", 8 * 55 * 55, 96, 5)
    CASE(lrn_f32,      "", "googlenet conv2", 8 * 56 * 56, 192, 5)
    CASE(lrn_grad_f32, "", "googlenet conv2", 8 * 56 * 56, 192, 5)
    CASE(lrn_f32,      "", CASE_LARGE, LARGE / 64, 64, 5)
    CASE(lrn_grad_f32, "", CASE_LARGE, LARGE / 64, 64, 5)

    /* rows of channels: rows C lanes */
    CASE(add_channel_f32,    "", "mlp:512-512 --no-fuse", 128, 512, 1)
    CASE(add_channel_f32,    "", CASE_LARGE, LARGE / 512, 512, 1)
    CASE(affine_channel_f32, "", "lenet5:original S2", 8 * 14 * 14, 6, 16)
    CASE(affine_channel_f32, "", "lenet5:original S4", 8 * 5 * 5, 16, 16)
    CASE(affine_channel_f32, "", CASE_LARGE, LARGE / 96, 6, 16)
    CASE(sum_channel_f32,    "", "lenet5 C1", 8 * 28 * 28, 6, 16)
    CASE(sum_channel_f32,    "", "lenet5 C3", 8 * 10 * 10, 16, 16)
    CASE(sum_channel_f32,    "", "lenet5 C5", 8, 120, 16)
    CASE(sum_channel_f32,    "", "lenet5 F6", 128, 84, 1)
    CASE(sum_channel_f32,    "", "mlp:512-512 hidden1", 128, 512, 1)
    CASE(sum_channel_f32,    "", "output", 128, 10, 1)
    CASE(sum_channel_f32,    "", CASE_LARGE, LARGE / 512, 512, 1)
    CASE(dot_channel_f32,    "", "lenet5:original S2", 8 * 14 * 14, 6, 16)
    CASE(dot_channel_f32,    "", CASE_LARGE, LARGE / 96, 6, 16)

    /* normalisation: rows C lanes; forms "", "relu", "silu" */
    CASE(norm_moments_f32, "",     "resnet:50 conv2_1", 8 * 56 * 56, 64, 1)
    CASE(norm_moments_f32, "",     CASE_LARGE, LARGE / 256, 256, 1)
    CASE(norm_f32,         "relu", "resnet:50 conv2_1", 8 * 56 * 56, 64, 1)
    CASE(norm_f32,         "silu", "efficientnet:b0 2", 8 * 56 * 56, 144, 1)
    CASE(norm_f32,         "relu", CASE_LARGE, LARGE / 256, 256, 1)
    CASE(norm_sums_f32,    "relu", "resnet:50 conv2_1", 8 * 56 * 56, 64, 1)
    CASE(norm_sums_f32,    "silu", "efficientnet:b0 2", 8 * 56 * 56, 144, 1)
    CASE(norm_sums_f32,    "relu", CASE_LARGE, LARGE / 256, 256, 1)
    CASE(norm_grad_f32,    "relu", "resnet:50 conv2_1", 8 * 56 * 56, 64, 1)
    CASE(norm_grad_f32,    "silu", "efficientnet:b0 2", 8 * 56 * 56, 144, 1)
    CASE(norm_grad_f32,    "relu", CASE_LARGE, LARGE / 256, 256, 1)

    /* elementwise */
    N_(fill_f32, HIDDEN, "no network yet")       BIG(fill_f32)
    N_(add_f32, OUTPUT, "lenet5:original output")            N_(add_f32, HIDDEN, "no network yet")  BIG(add_f32)
    N_(sub_f32, HIDDEN, "no network yet")                    BIG(sub_f32)
    N_(mul_f32, OUTPUT, "lenet5:original output")            BIG(mul_f32)
    N_(scale_f32, OUTPUT, "lenet5:original output")          BIG(scale_f32)
    N_(offset_f32, 128, "lenet5:original output")            BIG(offset_f32)
    N_(axpy_f32, HIDDEN, "no network yet")                   BIG(axpy_f32)
    N_(relu_f32, HIDDEN, "mlp:512-512 --no-fuse")            BIG(relu_f32)
    N_(relu_grad_f32, HIDDEN, "mlp:512-512 --no-fuse")       BIG(relu_grad_f32)
    N_(step_f32, HIDDEN, "no network yet")                   BIG(step_f32)
    N_(abs_f32, RECTIFIED, "filters rectify")                BIG(abs_f32)
    N_(abs_grad_f32, HIDDEN, "no network yet")               BIG(abs_grad_f32)
    N_(sqrt_f32, 128 * 26 * 26, "filters:sobel rectify")     BIG(sqrt_f32)
    N_(sqrt_grad_f32, HIDDEN, "no network yet")              BIG(sqrt_grad_f32)
    N_(exp_f32, OUTPUT, "lenet5:original output")            BIG(exp_f32)
    N_(log_f32, 128, "lenet5:original output")               BIG(log_f32)
    N_(log_grad_f32, 128, "lenet5:original output")          BIG(log_grad_f32)
    N_(tanh_f32, C1, "lenet5 C1 --no-fuse")                  N_(tanh_f32, F6, "lenet5 F6 --no-fuse") BIG(tanh_f32)
    N_(tanh_grad_f32, C1, "lenet5 C1")  N_(tanh_grad_f32, C3, "lenet5 C3")
    N_(tanh_grad_f32, F6, "lenet5 F6")                       BIG(tanh_grad_f32)
    N_(sigmoid_f32, S2, "no network yet")                    BIG(sigmoid_f32)
    N_(sigmoid_grad_f32, S2, "no network yet")               BIG(sigmoid_grad_f32)
    N_(gelu_f32, HIDDEN, "no network yet")                   BIG(gelu_f32)
    N_(gelu_grad_f32, HIDDEN, "no network yet")              BIG(gelu_grad_f32)
    N_(gelu_tanh_f32, HIDDEN, "no network yet")              BIG(gelu_tanh_f32)
    N_(gelu_tanh_grad_f32, HIDDEN, "no network yet")         BIG(gelu_tanh_grad_f32)
    N_(silu_f32, 16 * 96 * 28 * 28, "efficientnet expansion")      BIG(silu_f32)
    N_(silu_grad_f32, 16 * 96 * 28 * 28, "efficientnet expansion") BIG(silu_grad_f32)

    /* reductions, softmax: rows n */
    CASE(sum_f32,         "", "lenet5:original output", 128, 10)
    CASE(sum_f32,         "", CASE_LARGE, 1, LARGE)
    CASE(max_f32,         "", "no network yet", 128, 512)
    CASE(max_f32,         "", CASE_LARGE, 1, LARGE)
    CASE(sum_squares_f32, "", "clipping, mlp:512-512", 1, PERCEPTRON)
    CASE(sum_squares_f32, "", CASE_LARGE, 1, LARGE)
    CASE(sq_dist_f32,     "", "lenet5:original output", OUTPUT, 84)
    CASE(sq_dist_f32,     "", CASE_LARGE, 1, LARGE)
    CASE(dot_f32,         "", "no network yet", 128, 512)
    CASE(dot_f32,         "", CASE_LARGE, 1, LARGE)
    CASE(argmax_f32,      "", "accuracy", 128, 10)
    CASE(argmax_f32,      "", CASE_LARGE, 1, LARGE)
    CASE(softmax_f32,            "", "evaluation", 128, 10)
    CASE(softmax_f32,            "", CASE_LARGE, LARGE / 1024, 1024)
    CASE(softmax_grad_f32,       "", "no network yet", 128, 10)
    CASE(softmax_grad_f32,       "", CASE_LARGE, LARGE / 1024, 1024)
    CASE(cross_entropy_f32,      "", "loss", 128, 10)
    CASE(cross_entropy_f32,      "", CASE_LARGE, LARGE / 1024, 1024)
    CASE(cross_entropy_grad_f32, "", "loss", 128, 10)
    CASE(cross_entropy_grad_f32, "", CASE_LARGE, LARGE / 1024, 1024)

    /* layout and input: groups rows cols; n */
    CASE(transpose_f32, "", "lenet5 C1, to lanes", 8, 16, 28 * 28)
    CASE(transpose_f32, "", "lenet5 F6, from lanes", 8, 120, 16)
    CASE(transpose_f32, "", "filters, from lanes", 8, 784, 16)
    CASE(transpose_f32, "", CASE_LARGE, 1, 4096, 2048)
    N_(u8_to_f32, 128 * 784, "images")                       BIG(u8_to_f32)
    N_(uniform_f32, LENET, "initial weights")                BIG(uniform_f32)
    N_(normal_f32, PERCEPTRON, "initial weights")            BIG(normal_f32)
    N_(dropout_f32, HIDDEN, "no network yet")              BIG(dropout_f32)

    /* optimizers: n parameters */
    N_(sgd_f32, LENET, "lenet5")    N_(sgd_f32, PERCEPTRON, "mlp:512-512")  BIG(sgd_f32)
    N_(adam_f32, LENET, "lenet5")   N_(adam_f32, PERCEPTRON, "mlp:512-512") BIG(adam_f32)

    /* ceilings */
    N_(peak_f32, 20000, "the roof")
    N_(triad_f32, HIDDEN, "the roof")                        BIG(triad_f32)
};
/* clang-format on */

const int kernel_cases_count = (int)(sizeof kernel_cases / sizeof *kernel_cases);

const char *case_variant(const struct kernel_case *c, char b[CASE_TEXT])
{
    const int *d = c->d;
    char shape[CASE_SHAPE];
    snprintf(shape, sizeof shape, kernel_calls[c->kernel]->shape, d[0], d[1], d[2], d[3], d[4],
             d[5], d[6], d[7]);
    snprintf(b, CASE_TEXT, "%s%s%s", c->form, c->form[0] ? "/" : "", shape);
    return b;
}

const char *case_name(const struct kernel_case *c, int threads, char b[CASE_TEXT])
{
    char variant[CASE_TEXT];
    snprintf(b, CASE_TEXT, "%s/%s/t%d", kernel_names[c->kernel], case_variant(c, variant), threads);
    return b;
}

bool case_matches(const struct kernel_case *c, int threads, const char *glob)
{
    char name[CASE_TEXT];
    return text_matches(glob, kernel_names[c->kernel]) ||
           text_matches(glob, case_name(c, threads, name));
}

void case_json(const struct kernel_case *c, struct text *json)
{
    const char *name = kernel_calls[c->kernel]->dims;
    for (int i = 0; *name; i++) {
        const size_t length = strcspn(name, " ");
        text_add(json, "%s\"%.*s\":%d", i ? "," : "", (int)length, name, c->d[i]);
        name += length + (name[length] == ' ');
    }
}

double case_bytes(const struct kernel_case *c)
{
    const struct kernel_call *call = kernel_calls[c->kernel];
    size_t floats[CASE_OPERANDS] = {0};
    double bytes = 0;
    call->floats(c->d, floats);
    for (int k = 0; call->roles[k]; k++) {
        const char role = call->roles[k];
        bytes += (role == 'u' || role == 'q' ? 8.0
                  : strchr("kf", role)       ? 0
                                             : 4.0) *
                 (double)floats[k];
    }
    return bytes;
}
