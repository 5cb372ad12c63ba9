/* The value of the operations that the convolutional networks after LeNet-5 brought, against
 * plain code in double on logical indices (ops_test.h). */
#include "tests/ops_test.h"

/* "x" [N,C,H,W] as an image that is in lanes when the program uses them. */
static nn_value in_lanes(nn_value x)
{
    static const float one[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    return nn_conv2d(x, 3, .kernel = 1, .fixed = one, .no_bias = true);
}

/* -------------------------------------------------------- gates and their means */

static double mean_of(const float *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static void global_means(void)
{
    static const int sizes[][3] = {{3, 5, 4}, {3, 1, 1}, {3, 16, 15}};
    for (size_t k = 0; k < 3; k++) {
        const size_t pixels = (size_t)sizes[k][1] * (size_t)sizes[k][2];
        begin();
        run(nn_global_avg_pool(in_lanes(F("x", sizes[k][0], sizes[k][1], sizes[k][2]))));
        for (size_t i = 0; i < elements; i++)
            expect(i, mean_of(floats("x") + i * pixels, pixels));
        end("global_avg_pool", 1e-6);
    }
    begin();
    run(nn_global_avg_pool(F("x", 333, 3, 5)));
    for (size_t i = 0; i < elements; i++)
        expect(i, mean_of(floats("x") + i * 15, 15));
    end("global_avg_pool of many channels", 1e-6);
}

static void gates(void)
{
    begin();
    run(nn_gate(in_lanes(F("x", 3, 5, 4)), F("s", 3)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i] * (double)floats("s")[i / 20]);
    end("gate", 1e-7);
    begin();
    run(nn_gate(F("x", 333, 3, 5), F("s", 333)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i] * (double)floats("s")[i / 15]);
    end("gate of many channels", 1e-7);
}

/* ------------------------------------------------ local response normalisation */

static void responses(int size)
{
    begin();
    low = -3.0f;
    high = 3.0f;
    run(nn_lrn(in_lanes(F("x", 3, 5, 4)), size, .alpha = 2.0f, .beta = 0.75f, .k = 0.5f));
    for (size_t i = 0; i < elements; i++) {
        const int c = (int)(i / 20 % 3);
        const float *pixel = floats("x") + i - (size_t)c * 20;
        double sum = 0.0;
        for (int j = 0; j < 3; j++)
            if (j >= c - size / 2 && j <= c + (size - 1) / 2)
                sum += (double)pixel[j * 20] * (double)pixel[j * 20];
        expect(i, (double)floats("x")[i] / pow(0.5 + 2.0 / size * sum, 0.75));
    }
    end("lrn", 2e-6);
}

/* ---------------------------------------------------------------- arrangement */

/* Along the channels: of images in either layout, and of rows. */
static void joins(void)
{
    begin();
    const nn_value x = in_lanes(F("x", 3, 5, 4));
    run(nn_join(1, x, F("a", 1, 5, 4), nn_relu(x), F("b", 17, 5, 4)));
    for (size_t i = 0; i < elements; i++) {
        const size_t n = i / 480, c = i / 20 % 24, pixel = i % 20;
        const float own = c < 7 ? floats("x")[n * 60 + (c + 2) % 3 * 20 + pixel] : 0.0f;
        expect(i, c < 3    ? (double)floats("x")[n * 60 + c * 20 + pixel]
                  : c == 3 ? (double)floats("a")[n * 20 + pixel]
                  : c < 7  ? fmax(0.0, (double)own)
                           : (double)floats("b")[n * 340 + (c - 7) * 20 + pixel]);
    }
    end("join of channels", 0.0);
    begin();
    run(nn_join(2, F("a", 2, 3), F("b", 2, 1), F("c", 2, 2)));
    for (size_t i = 0; i < elements; i++) {
        const size_t row = i / 6, k = i % 6;
        expect(i, (double)(k < 3    ? floats("a")[row * 3 + k]
                           : k == 3 ? floats("b")[row]
                                    : floats("c")[row * 2 + k - 4]));
    }
    end("join of rows", 0.0);
}

/* Option A of He et al. 2015: every other pixel, and channels of zeros on either side. */
static void pads(void)
{
    begin();
    run(nn_pad(in_lanes(F("x", 3, 5, 4)), 1, 2, 1));
    for (size_t i = 0; i < elements; i++) {
        const size_t n = i / 120, c = i / 20 % 6;
        expect(i, c < 2 || c > 4 ? 0.0 : (double)floats("x")[n * 60 + (c - 2) * 20 + i % 20]);
    }
    end("pad of channels", 0.0);
    begin();
    run(nn_pad(F("x", 5), -1, 0, 3));
    for (size_t i = 0; i < elements; i++)
        expect(i, i % 8 < 5 ? (double)floats("x")[i / 8 * 5 + i % 8] : 0.0);
    end("pad of rows", 0.0);
}

/* ------------------------------------------------------------ stochastic depth */

/* Whole samples are kept and divided by 0.75, or gone; about a quarter of 16 x 32 draws. */
static void drop_paths(void)
{
    enum { STEPS = 32, SAMPLE = 60 };
    int gone = 0;
    begin();
    low = 1.0f;
    high = 2.0f;
    run(nn_drop_path(in_lanes(F("x", 3, 5, 4)), 0.25f));
    for (int step = 0; step < STEPS; step++) {
        expected = 0;
        for (size_t i = 0; i < elements; i++) {
            const bool dropped = y[i - i % SAMPLE] == 0.0f;
            gone += dropped && i % SAMPLE == 0;
            expect(i, dropped ? 0.0 : (double)floats("x")[i] / 0.75);
        }
        program_run(p);
        program_read(p, program_find(p, TENSOR_PARAM, "result.y"), y);
    }
    is_near((double)gone / (N * STEPS), 0.25, 4 * sqrt(0.25 * 0.75 / (N * STEPS)),
            "drop_path: %s: drops a quarter", way->name);
    end("drop_path keeps samples or drops them", 1e-6);
}

static void drop_path_off(void)
{
    const struct program_options evaluation = {.threads = 1};
    g = graph_new(N);
    const nn_value x = F("x", 50);
    nn_metric("difference", nn_mean(nn_mean(nn_abs(nn_sub(nn_drop_path(x, 0.5f), x)), 1), 0));
    p = program_new(g, &evaluation, NULL);
    tolds = 0;
    low = 1.0f;
    fill(program_tensor(p, TENSOR_INPUT, 0));
    program_run(p);
    is_near((double)program_metric(p, 0), 0.0, 0.0, "drop_path: off in evaluation");
    free(told[0].values);
    program_free(p);
    graph_free(g);
}

/* ------------------------------------------------------------ label smoothing */

/* Against the distribution written out: the mean of -sum_k t[k] log softmax(x)[k]. */
static double smooth_loss(float s, size_t K)
{
    double loss = 0.0, rows = 0.0;
    for (size_t n = 0; n < N; n++) {
        const float *x = floats("x") + n * K;
        const int32_t label = integers("label")[n];
        double sum = 0.0;
        for (size_t k = 0; k < K; k++)
            sum += exp((double)x[k]);
        for (size_t k = 0; k < K && label >= 0; k++)
            loss -= ((1.0 - (double)s) * (k == (size_t)label) + (double)s / (double)K) *
                    ((double)x[k] - log(sum));
        rows += label >= 0;
    }
    return rows > 0.0 ? loss / rows : 0.0;
}

static void smoothing(int32_t from, int32_t to, float s)
{
    begin();
    low = -9.0f;
    high = 9.0f;
    lowest = from;
    highest = to;
    run(nn_smooth_cross_entropy(F("x", 7), I("label", 0), s));
    expect(0, smooth_loss(s, 7));
    end(to < 0 ? "smooth_cross_entropy without labels" : "smooth_cross_entropy", 1e-6);
}

/* s = 0 is nn_cross_entropy() to the bit. */
static void not_smoothed(void)
{
    float loss[2];
    for (int k = 0; k < 2; k++) {
        begin();
        const nn_value x = F("x", 7), label = I("label", 0);
        run(k ? nn_smooth_cross_entropy(x, label, 0.0f) : nn_cross_entropy(x, label));
        loss[k] = y[0];
        expect(0, smooth_loss(0.0f, 7));
        end("cross_entropy", 1e-6);
    }
    ok(loss[0] == loss[1], "s = 0: %s: the bits of nn_cross_entropy()", way->name);
}

static void all(void)
{
    for (int size = 1; size < 7; size++)
        responses(size);
    smoothing(0, 6, 0.1f);
    smoothing(-2, 6, 0.3f);
    smoothing(-3, -1, 0.1f);
    not_smoothed();
    drop_paths();
    joins();
    pads();
    global_means();
    gates();
}

int main(void)
{
    kn_init(NULL, NULL);
    in_all_ways(all);
    drop_path_off();
    return done();
}
