/* The value of every operation on images, one by one and in lanes, and what is
 * counted as their work (ops_test.h). */
#include "tests/ops_test.h"

struct window {
    int C, H, W, O, kernel, stride, pad, groups;
};

static const char *const connect[] = {"X..X", ".XX.", "XX.."};
static float fixed[4 * 3 * 9];

/* Element (n, c, i, j) of "x", 0 outside. */
static double pixel(const struct window *w, size_t n, int c, int i, int j)
{
    if (i < 0 || i >= w->H || j < 0 || j >= w->W)
        return 0.0;
    return (double)floats(
        "x")[((n * (size_t)w->C + (size_t)c) * (size_t)w->H + (size_t)i) * (size_t)w->W +
             (size_t)j];
}

static double convolved(const struct window *w, const float *weight, size_t n, int o, int i, int j)
{
    const int inputs = w->C / w->groups;
    const int first = o / (w->O / w->groups) * inputs;
    double sum = 0.0;
    for (int c = 0; c < inputs; c++)
        for (int u = 0; u < w->kernel; u++)
            for (int v = 0; v < w->kernel; v++)
                sum +=
                    (double)weight[((o * inputs + c) * w->kernel + u) * w->kernel + v] *
                    pixel(w, n, first + c, i * w->stride + u - w->pad, j * w->stride + v - w->pad);
    return sum;
}

static size_t outputs(const struct window *w, int size)
{
    const int n = (size + 2 * w->pad - w->kernel) / w->stride + 1;
    return (size_t)n;
}

static void convolution(struct window w, const char *what, struct nn_conv2d_opts o)
{
    begin();
    o.out = w.O;
    o.kernel = w.kernel;
    o.stride = w.stride;
    o.pad = w.pad;
    o.groups = w.groups;
    run(nn_conv2d_(F("x", w.C, w.H, w.W), o, NN_HERE));
    const float *weight = o.fixed ? o.fixed : floats("weight");
    const size_t OH = outputs(&w, w.H);
    const size_t OW = outputs(&w, w.W);
    for (size_t e = 0; e < elements; e++) {
        const size_t j = e % OW, i = e / OW % OH, out = e / OW / OH % (size_t)w.O;
        const double b = o.no_bias ? 0.0 : (double)floats("bias")[out];
        expect(e, b + convolved(&w, weight, e / OW / OH / (size_t)w.O, (int)out, (int)i, (int)j));
    }
    const size_t area = (size_t)w.kernel * (size_t)w.kernel;
    for (int k = 0; o.connect && k < w.O * w.C; k++)
        if (o.connect[k % w.C][k / w.C] != 'X')
            worst += (double)fabsf(weight[(size_t)k * area]); /* no wire: no weight */
    end(what, 5e-6);
}

static void convolutions(void)
{
    convolution((struct window){1, 28, 27, 6, 5, 1, 2, 1}, "conv2d of one channel",
                (struct nn_conv2d_opts){.no_bias = false});
    convolution((struct window){3, 9, 8, 20, 3, 2, 1, 1}, "conv2d, stride 2, pad 1",
                (struct nn_conv2d_opts){.no_bias = true});
    convolution((struct window){19, 6, 7, 33, 3, 1, 1, 1}, "conv2d of 19 channels",
                (struct nn_conv2d_opts){.no_bias = false});
    convolution((struct window){3, 7, 7, 4, 3, 1, 0, 1}, "conv2d with a connection table",
                (struct nn_conv2d_opts){.connect = connect});
    convolution((struct window){3, 7, 7, 4, 3, 1, 0, 1}, "conv2d with fixed weights",
                (struct nn_conv2d_opts){.fixed = fixed});
    convolution((struct window){6, 7, 9, 8, 3, 1, 1, 2}, "conv2d in two groups",
                (struct nn_conv2d_opts){.no_bias = false});
    convolution((struct window){4, 7, 9, 12, 3, 2, 1, 4}, "conv2d, three outputs a channel",
                (struct nn_conv2d_opts){.no_bias = true});
    convolution((struct window){21, 8, 9, 21, 5, 2, 2, 21}, "conv2d depthwise",
                (struct nn_conv2d_opts){.no_bias = false});
}

enum pooling { MAX, AVG, SUM };

/* Of the window of output (i, j); padding is no candidate for a maximum. */
static double pooled(const struct window *w, enum pooling kind, size_t n, int c, int i, int j)
{
    double sum = 0.0, top = -INFINITY;
    for (int u = i * w->stride - w->pad; u < i * w->stride - w->pad + w->kernel; u++)
        for (int v = j * w->stride - w->pad; v < j * w->stride - w->pad + w->kernel; v++) {
            const double x = pixel(w, n, c, u, v);
            sum += x;
            if (u >= 0 && u < w->H && v >= 0 && v < w->W && x > top)
                top = x;
        }
    return kind == MAX ? top : kind == SUM ? sum : sum / (w->kernel * w->kernel);
}

/* over: the windows that `ceil` adds each way */
static void pooling(struct window w, enum pooling kind, bool in_lanes, size_t over)
{
    static const char *const names[] = {"max_pool", "avg_pool", "sum_pool"};
    static const float one[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    begin();
    const struct nn_pool_opts o = {w.kernel, w.stride, w.pad, .ceil = over};
    nn_value x = F("x", w.C, w.H, w.W);
    if (in_lanes) /* a convolution of few channels puts images into lanes */
        x = nn_conv2d(x, 3, .kernel = 1, .fixed = one, .no_bias = true);
    run(kind == MAX   ? nn_max_pool_(x, o, NN_HERE)
        : kind == AVG ? nn_avg_pool_(x, o, NN_HERE)
                      : nn_sum_pool_(x, o, NN_HERE));
    const size_t OH = outputs(&w, w.H) + over;
    const size_t OW = outputs(&w, w.W) + over, C = (size_t)w.C;
    for (size_t e = 0; e < elements; e++)
        expect(e, pooled(&w, kind, e / OW / OH / C, (int)(e / OW / OH % C), (int)(e / OW % OH),
                         (int)(e % OW)));
    end(names[kind], 1e-6);
}

static void poolings(void)
{
    for (int k = 0; k < 6; k++) {
        pooling((struct window){3, 8, 6, 0, 2, 2, 0, 1}, (enum pooling)(k % 3), k >= 3, 0);
        pooling((struct window){3, 9, 7, 0, 3, 2, 1, 1}, (enum pooling)(k % 3), k >= 3, 0);
        pooling((struct window){3, 8, 6, 0, 3, 2, 0, 1}, (enum pooling)(k % 3), k >= 3, 1);
        pooling((struct window){3, 9, 7, 0, 2, 2, 0, 1}, (enum pooling)(k % 3), k >= 3, 1);
    }
}

static void affine(bool image)
{
    begin();
    const nn_value x =
        image ? nn_conv2d(F("image", 3, 5, 4), 3, .kernel = 1, .no_bias = true) : F("image", 3);
    nn_row(g, "S2");
    run(nn_affine(x));
    const size_t pixels = image ? 20 : 1;
    for (size_t i = 0; i < elements; i++) {
        const size_t c = i / pixels % 3, first = i / pixels / 3 * 3 * pixels + i % pixels;
        double v = (double)floats("image")[i];
        for (size_t k = 0; image && k < 3; k++)
            v = (k ? v : 0.0) +
                (double)floats("weight")[c * 3 + k] * (double)floats("image")[first + k * pixels];
        expect(i, (double)floats("S2.gain")[c] * v + (double)floats("S2.bias")[c]);
    }
    end(image ? "affine of an image" : "affine", 1e-6);
}

/* -------------------------------------------------------------------- work */

static void counts(void)
{
    g = graph_new(N);
    nn_row(g, "conv");
    nn_value x = nn_conv2d(F("x", 3, 7, 7), 4, .kernel = 3, .connect = connect);
    is_int(graph_macs(g), 25 * 9 * 6, "macs: conv2d counts its six wires, not all twelve");
    is_int(graph_params(g), 6 * 9 + 4, "params: so do its weights");
    is_int(op_conv2d.flops(g, node_of(x)), N * (2 * 25 * 9 * 6 + 25 * 4), "flops: and the bias");
    nn_row(g, "groups");
    const double macs = graph_macs(g);
    const nn_value grouped = nn_conv2d(x, 6, .kernel = 3, .groups = 2);
    is_int(graph_macs(g) - macs, 9 * 9 * 6 * 2, "macs: of a group's inputs only");
    is_int(op_conv2d.flops(g, node_of(grouped)), N * (2 * 9 * 9 * 6 * 2 + 9 * 6), "flops: too");
    is_int(graph_params(g), 6 * 9 + 4 + 6 * 2 * 9 + 6, "params: too");
    nn_row(g, "linear");
    x = nn_linear(nn_flatten(x), 10);
    is_int(graph_macs(g), 25 * 9 * 6 + 9 * 9 * 6 * 2 + 1000, "macs: linear");
    const nn_value a = nn_reshape(x, NN_SHAPE(2, 5));
    const nn_value product = nn_matmul(a, nn_transpose(a));
    is_int(op_matmul.macs(g, node_of(product)), N * 2 * 5 * 2, "macs: a batch of products");
    graph_free(g);
}

static void all(void)
{
    convolutions();
    poolings();
    affine(false);
    affine(true);
}

int main(void)
{
    kn_init(NULL, NULL);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        fixed[i] = 0.1f * (float)((int)(i * 7 % 19) - 9);
    in_all_ways(all);
    counts();
    return done();
}
