/* The value of every operation but those of images, against plain code in double
 * on logical indices (ops_test.h). */
#include "tests/ops_test.h"

/* ------------------------------------------------------------- elementwise */

static double d_scale(double x) { return -2.5 * x; }
static double d_offset(double x) { return x + 3.0; }
static double d_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double d_relu(double x) { return x > 0.0 ? x : 0.0; }
static double d_step(double x) { return x > 0.0; }
static double d_gelu(double x) { return 0.5 * x * (1.0 + erf(x / sqrt(2.0))); }
static double d_gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
static double d_silu(double x) { return x / (1.0 + exp(-x)); }
static double d_squash(double x) { return 1.7159 * tanh(2.0 / 3.0 * x); }
static double d_itself(double x) { return x; }

static nn_value f_scale(nn_value x) { return nn_scale(x, -2.5f); }
static nn_value f_offset(nn_value x) { return nn_offset(x, 3.0f); }
static nn_value f_abs(nn_value x) { return nn_abs(x); }
static nn_value f_sqrt(nn_value x) { return nn_sqrt(x); }
static nn_value f_exp(nn_value x) { return nn_exp(x); }
static nn_value f_log(nn_value x) { return nn_log(x); }
static nn_value f_tanh(nn_value x) { return nn_tanh(x); }
static nn_value f_sigmoid(nn_value x) { return nn_sigmoid(x); }
static nn_value f_relu(nn_value x) { return nn_relu(x); }
static nn_value f_step(nn_value x) { return nn_step(x); }
static nn_value f_gelu(nn_value x) { return nn_gelu(x); }
static nn_value f_gelu_tanh(nn_value x) { return nn_gelu_tanh(x); }
static nn_value f_silu(nn_value x) { return nn_silu(x); }
static nn_value f_stop(nn_value x) { return nn_stop_grad(x); }
static nn_value f_squash(nn_value x)
{
    return nn_scale(nn_tanh(nn_scale(x, 2.0f / 3.0f)), 1.7159f);
}

static const struct function {
    const char *name;
    nn_value (*f)(nn_value);
    double (*d)(double);
    float low, high;
} functions[] = {
    {"scale", f_scale, d_scale, -9, 9},
    {"offset", f_offset, d_offset, -9, 9},
    {"abs", f_abs, fabs, -9, 9},
    {"sqrt", f_sqrt, sqrt, 0, 9},
    {"exp", f_exp, exp, -20, 20},
    {"log", f_log, log, 1e-6f, 9},
    {"tanh", f_tanh, tanh, -9, 9},
    {"sigmoid", f_sigmoid, d_sigmoid, -20, 20},
    {"relu", f_relu, d_relu, -9, 9},
    {"step", f_step, d_step, -9, 9},
    {"gelu", f_gelu, d_gelu, -9, 9},
    {"gelu_tanh", f_gelu_tanh, d_gelu_tanh, -9, 9},
    {"silu", f_silu, d_silu, -9, 9},
    {"stop_grad", f_stop, d_itself, -9, 9},
    {"1.7159 tanh(2x/3)", f_squash, d_squash, -9, 9},
};

static void elementwise(void)
{
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        const struct function *f = &functions[k];
        begin();
        low = f->low;
        high = f->high;
        run(f->f(F("x", 3, 7, 5)));
        for (size_t i = 0; i < elements; i++)
            expect(i, f->d((double)floats("x")[i]));
        end(f->name, 2e-6);
    }
}

static nn_value f_add(nn_value a, nn_value b) { return nn_add(a, b); }
static nn_value f_sub(nn_value a, nn_value b) { return nn_sub(a, b); }
static nn_value f_mul(nn_value a, nn_value b) { return nn_mul(a, b); }
static double d_add(double a, double b) { return a + b; }
static double d_sub(double a, double b) { return a - b; }
static double d_mul(double a, double b) { return a * b; }

static void binary(void)
{
    static nn_value (*const f[])(nn_value, nn_value) = {f_add, f_sub, f_mul};
    static double (*const d[])(double, double) = {d_add, d_sub, d_mul};
    static const char *const names[] = {"add", "sub", "mul"};
    static const struct nn_shape shapes[] = {
        {{N, 31, 7}}, {{31, 7}}, {{7}}, {{0}}, /* b, to a [N,31,7] */
    };
    for (size_t k = 0; k < 12; k++) {
        begin();
        run(f[k % 3](F("a", 31, 7), nn_param(g, "b", shapes[k / 3], NN_ONES)));
        const size_t repeat = shape_elements(&shapes[k / 3]);
        for (size_t i = 0; i < elements; i++)
            expect(i, d[k % 3]((double)floats("a")[i], (double)floats("b")[i % repeat]));
        end(names[k % 3], 1e-7);
    }
}

/* ---------------------------------------------------------------- reductions */

static void sum_along(struct nn_shape shape, int axis, bool mean)
{
    begin();
    const nn_value x = nn_param(g, "x", shape, NN_ONES);
    run(mean ? nn_mean(x, axis) : nn_sum(x, axis));
    size_t inner = 1, n = (size_t)shape.dim[axis];
    for (int i = axis + 1; i < NN_MAX_RANK && shape.dim[i]; i++)
        inner *= (size_t)shape.dim[i];
    for (size_t i = 0; i < elements; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < n; k++)
            sum += (double)floats("x")[(i / inner * n + k) * inner + i % inner];
        expect(i, mean ? sum / (double)n : sum);
    }
    char what[64];
    snprintf(what, sizeof what, "%s of rank %d over axis %d", mean ? "mean" : "sum",
             shape_rank(&shape), axis);
    end(what, 1e-5);
}

static void sums(void)
{
    static const struct nn_shape shapes[] = {
        {{99999}}, {{6000, 7}}, {{1, 9}}, {{40, 50, 6}}, {{N, 3, 5, 4}}, {{2, 3, 4, 5, 6}},
    };
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        for (int axis = 0; axis < shape_rank(&shapes[k]); axis++)
            sum_along(shapes[k], axis, axis % 2);
}

static void repeat_along(struct nn_shape shape, int axis)
{
    enum { TIMES = 7 };
    begin();
    const nn_value x = nn_param(g, "x", shape, NN_ONES);
    run(nn_repeat(x, axis, TIMES));
    size_t inner = 1;
    for (int i = axis; i < NN_MAX_RANK && shape.dim[i]; i++)
        inner *= (size_t)shape.dim[i];
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i / inner / TIMES * inner + i % inner]);
    char what[64];
    snprintf(what, sizeof what, "repeat of rank %d along axis %d", shape_rank(&shape), axis);
    end(what, 0);
}

static void repeats(void)
{
    static const struct nn_shape shapes[] = {{{90}}, {{60, 7}}, {{4, 5, 6}}, {{N, 3, 5, 4}}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        for (int axis = 0; axis <= shape_rank(&shapes[k]); axis++)
            repeat_along(shapes[k], axis);
}

static void softmax(void)
{
    begin();
    high = 30.0f;
    run(nn_softmax(F("x", 3, 21)));
    for (size_t i = 0; i < elements; i++) {
        const float *row = floats("x") + i / 21 * 21;
        double sum = 0.0;
        for (size_t k = 0; k < 21; k++)
            sum += exp((double)row[k]);
        expect(i, exp((double)floats("x")[i]) / sum);
    }
    end("softmax", 2e-6);
}

/* ------------------------------------------------------------ matrix products */

static double dot(const float *a, size_t step_a, const float *b, size_t step_b, size_t n)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++)
        sum += (double)a[k * step_a] * (double)b[k * step_b];
    return sum;
}

static void products(void)
{
    begin();
    run(nn_matmul(F("a", 5, 9), P("b", 9, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, dot(floats("a") + i / 7 * 9, 1, floats("b") + i % 7, 7, 9));
    end("matmul [N,5,9] [9,7]", 1e-6);

    begin();
    run(nn_matmul(F("a", 5, 9), F("b", 9, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, dot(floats("a") + i / 7 * 9, 1, floats("b") + i / 35 * 63 + i % 7, 7, 9));
    end("matmul [N,5,9] [N,9,7]", 1e-6);

    begin();
    run(nn_linear(F("x", 5, 33), 20));
    for (size_t i = 0; i < elements; i++)
        expect(i, dot(floats("x") + i / 20 * 33, 1, floats("weight") + i % 20 * 33, 1, 33) +
                      (double)floats("bias")[i % 20]);
    end("linear", 1e-6);

    begin();
    run(nn_relu(nn_linear(F("x", 300), 10, .no_bias = true)));
    for (size_t i = 0; i < elements; i++)
        expect(i,
               d_relu(dot(floats("x") + i / 10 * 300, 1, floats("weight") + i % 10 * 300, 1, 300)));
    end("linear without bias, relu", 2e-6);

    begin();
    run(nn_sq_dist(F("x", 84), P("c", 10, 84)));
    for (size_t i = 0; i < elements; i++) {
        double sum = 0.0;
        for (size_t f = 0; f < 84; f++) {
            const double d =
                (double)floats("x")[i / 10 * 84 + f] - (double)floats("c")[i % 10 * 84 + f];
            sum += d * d;
        }
        expect(i, sum);
    }
    end("sq_dist", 1e-6);

    begin();
    run(nn_mse(F("x", 5, 3), F("t", 5, 3)));
    double squares = 0.0;
    for (size_t i = 0; i < N * 15; i++) {
        const double d = (double)floats("x")[i] - (double)floats("t")[i];
        squares += d * d / (N * 15);
    }
    expect(0, squares);
    end("mse", 1e-6);
}

/* --------------------------------------------------------------- arrangement */

static struct nn_shape to(int a, int b, int c) { return NN_SHAPE(a, b, c); }

static void arrangement(void)
{
    begin();
    run(nn_transpose(F("x", 3, 5, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i / 35 * 35 + i % 5 * 7 + i / 5 % 7]);
    end("transpose of images", 0.0);

    begin();
    run(nn_transpose(F("x", 5, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i / 35 * 35 + i % 5 * 7 + i / 5 % 7]);
    end("transpose", 0.0);

    begin();
    run(nn_flatten(F("x", 3, 5, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i]);
    end("flatten keeps the logical order", 0.0);

    begin();
    run(nn_reshape(F("x", 6, 35), to(3, 10, 7)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i]);
    end("reshape to images keeps it", 0.0);

    begin();
    run(nn_reshape(F("x", 3, 5, 8), to(10, 3, 4)));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i]);
    end("reshape of images to images keeps it", 0.0);

    begin();
    run(nn_concat(F("a", 2, 5, 3), F("b", 4, 5, 3), 1));
    for (size_t i = 0; i < elements; i++) {
        const size_t n = i / 90, at = i % 90;
        expect(i, (double)(at < 30 ? floats("a")[n * 30 + at] : floats("b")[n * 60 + at - 30]));
    }
    end("concat of channels", 0.0);

    begin();
    run(nn_slice(F("x", 9, 5), -2, 3, 7));
    for (size_t i = 0; i < elements; i++)
        expect(i, (double)floats("x")[i / 20 * 45 + 15 + i % 20]);
    end("slice", 0.0);
}

/* ------------------------------------------------------- integers as indices */

static void indices(void)
{
    begin();
    highest = 8;
    run(nn_gather(P("table", 9, 5), nn_slice(I("i", 6), 1, 1, 4)));
    for (size_t k = 0; k < elements; k++)
        expect(k, (double)floats(
                      "table")[integers("i")[k / 15 * 6 + 1 + k / 5 % 3] * 5 + (int)(k % 5)]);
    end("gather", 0.0);

    begin();
    lowest = -2;
    run(nn_pick(F("x", 3, 4), I("i", 3)));
    for (size_t k = 0; k < elements; k++) {
        const int32_t i = integers("i")[k];
        expect(k, i < 0 ? 0.0 : (double)floats("x")[k * 4 + (size_t)i]);
    }
    end("pick, 0 for negative indices", 0.0);

    begin();
    lowest = -1;
    highest = 4;
    run(nn_concat(nn_flatten(nn_gather(P("table", 4, 2), I("i", 0))),
                  nn_reshape(nn_pick(F("x", 4), I("k", 0)), to(1, 0, 0)), 1));
    size_t wrong = 0;
    for (size_t n = 0; n < N; n++) {
        const int32_t i = integers("i")[n], k = integers("k")[n];
        wrong += isnan(y[3 * n]) != (i < 0 || i >= 4) || isnan(y[3 * n + 2]) != (k >= 4);
    }
    is_int(wrong, 0, "gather and pick: %s: beyond the table there is NaN", way->name);
    worst = 0.0;
    expected = elements;
    end("gather and pick beyond", 0.0);
}

/* y = cross entropy, accuracy, of labels from `from` to `to`. */
static void judge(int32_t from, int32_t to)
{
    begin();
    lowest = from;
    highest = to;
    const nn_value x = F("x", 7), label = I("label", 0), one = nn_slice(F("one", 1), 0, 0, 1);
    const nn_value nothing = nn_flatten(nn_scale(one, 0.0f));
    run(nn_concat(nn_add(nothing, nn_cross_entropy(x, label)),
                  nn_add(nothing, nn_accuracy(x, label)), 1));
    double loss = 0.0, right = 0.0, rows = 0.0;
    for (size_t n = 0; n < N; n++) {
        const float *row = floats("x") + n * 7;
        const int32_t k = integers("label")[n];
        double sum = 0.0;
        int best = 0;
        for (int c = 0; c < 7; c++) {
            sum += exp((double)row[c]);
            best = row[c] > row[best] ? c : best;
        }
        if (k < 0)
            continue;
        loss += k < 7 ? log(sum) - (double)row[k] : NAN;
        right += best == k;
        rows++;
    }
    if (to >= 7) {
        ok(isnan(loss) && isnan(y[0]) && isnan(y[1]), "a label beyond the classes: %s: NaN",
           way->name);
        expected = 2;
        worst = 0.0;
    } else {
        expect(0, rows > 0.0 ? loss / rows : 0.0);
        expect(1, rows > 0.0 ? 100.0 * right / rows : 0.0);
    }
    end(from < 0 ? to < 0 ? "no labels at all" : "some labels are -1" : "cross_entropy, accuracy",
        1e-6);
}

/* ------------------------------------------------------------------- dropout */

static void dropout(void)
{
    enum { FEATURES = 1000 };
    begin();
    low = 1.0f;
    high = 2.0f;
    run(nn_dropout(F("x", FEATURES), 0.25f));
    double dropped = 0.0;
    for (size_t i = 0; i < elements; i++) {
        dropped += y[i] == 0.0f;
        expect(i, y[i] == 0.0f ? 0.0 : (double)floats("x")[i] / 0.75);
    }
    /* four standard deviations of N FEATURES draws */
    is_near(dropped / (N * FEATURES), 0.25, 4 * sqrt(0.25 * 0.75 / (N * FEATURES)),
            "dropout: %s: drops a quarter", way->name);
    float *again = xcalloc(elements, sizeof *again);
    program_run(p);
    program_read(p, program_find(p, TENSOR_PARAM, "result.y"), again);
    size_t same = 0;
    for (size_t i = 0; i < elements; i++)
        same += (again[i] == 0.0f) == (y[i] == 0.0f);
    /* two independent masks agree with probability 0.75^2 + 0.25^2 */
    is_near((double)same / (N * FEATURES), 0.625, 0.02, "dropout: %s: another mask each step",
            way->name);
    free(again);
    end("dropout scales what it keeps", 1e-6);
}

static void dropout_off(void)
{
    struct program_options forward = {.threads = 1};
    g = graph_new(N);
    const nn_value x = F("x", 50);
    nn_metric("difference", nn_mean(nn_mean(nn_abs(nn_sub(nn_dropout(x, 0.5f), x)), 1), 0));
    nn_metric("size", nn_mean(nn_mean(nn_abs(x), 1), 0));
    p = program_new(g, &forward, NULL);
    tolds = 0;
    low = 1.0f;
    high = 2.0f;
    fill(program_tensor(p, TENSOR_INPUT, 0));
    program_run(p);
    is_near((double)program_metric(p, 0), 0.0, 0.0, "dropout: off in evaluation");
    ok(program_metric(p, 1) > 1.0f, "dropout: and its input is not zero");
    free(told[0].values);
    program_free(p);
    graph_free(g);
}

/* ---------------------------------------------------------------------- bits */

/* Sums cut into pieces do not depend on who adds which. */
static void bits(void)
{
    float sum[3][7];
    for (int threads = 1; threads <= 3; threads++) {
        const struct way on = {"threads", {.threads = threads, .train = true}};
        way = &on;
        begin();
        run(nn_sum(P("x", 20000, 7), 0));
        memcpy(sum[threads - 1], y, sizeof sum[0]);
        for (size_t i = 0; i < elements; i++)
            expect(i, (double)sum[0][i]);
        end("a long sum", 0.0);
    }
    int differ = 0;
    for (int i = 0; i < 7; i++)
        differ += sum[0][i] != sum[1][i] || sum[0][i] != sum[2][i];
    is_int(differ, 0, "1, 2 and 3 threads: the same bits");
}

static void all(void)
{
    elementwise();
    binary();
    sums();
    repeats();
    softmax();
    products();
    arrangement();
    indices();
    judge(0, 6);
    judge(-2, 6);
    judge(-3, -1);
    judge(-1, 7);
    dropout();
}

int main(void)
{
    kn_init(NULL, NULL);
    in_all_ways(all);
    dropout_off();
    bits();
    return done();
}
