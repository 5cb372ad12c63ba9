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

static void all(void)
{
    global_means();
    gates();
}

int main(void)
{
    kn_init(NULL, NULL);
    in_all_ways(all);
    return done();
}
