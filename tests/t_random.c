/* t_random — Philox against its authors' known answers; the vector kernels against one word
 * at a time: same bits on every instruction set, however a range is cut, across the
 * carry of the 32-bit counter; normal numbers against double, and their moments. */
#include "base/rng.h"
#include "perf/reference.h"
#include "tests/kernel_test.h"

enum { X, Y, W };

static const uint64_t seed = 0x0123456789abcdefu, stream = 0xfedcba9876543210u;

/* Where a chunk, a block, and the low word of the counter begin and end. */
static const uint64_t firsts[] = {0, 1, 2, 3, 5, 250, 255, 256, 1000, 0x3fffffff0u, 0x3fffffffdu};

enum { FIRSTS = sizeof firsts / sizeof *firsts };

static void test_uniform_f32(void)
{
    for (int f = 0; f < FIRSTS; f++) {
        const uint64_t first = firsts[f];
        EACH_LENGTH(n, 0)
        {
            float *const y = edge(Y, n);
            kn->uniform_f32(n, first, seed, stream, -0.3f, 0.7f, y);
            for (size_t i = 0; i < n; i++)
                expect((double)y[i],
                       (double)fmaf(ref_unit(seed, stream, first + i), 0.7f - -0.3f, -0.3f), 1e-40,
                       n, i);
            seen.guarded &= edges_intact();
        }
    }
}

static void test_dropout_f32(void)
{
    for (int f = 0; f < FIRSTS; f++) {
        const uint64_t first = firsts[f];
        EACH_LENGTH(n, 0)
        {
            const float *const x = edge_noise(X, n, -1, 1);
            float *const y = edge(Y, n), *const in_place = edge_copy(W, n, x);
            kn->dropout_f32(n, first, seed, stream, 0.3f, x, y);
            kn->dropout_f32(n, first, seed, stream, 0.3f, in_place, in_place);
            const float kept = 1.0f / (1.0f - 0.3f);
            for (size_t i = 0; i < n; i++)
                expect((double)y[i],
                       (double)(ref_unit(seed, stream, first + i) < 0.3f ? 0 * x[i] : kept * x[i]),
                       1e-40, n, i);
            expect_true(n == 0 || memcmp(y, in_place, n * sizeof *y) == 0, "the same in place");
            seen.guarded &= edges_intact();
        }
    }
    float x[99], y[99];
    for (int i = 0; i < 99; i++)
        x[i] = i % 3 ? 1.0f : NAN;
    for (int p = 0; p <= 1; p++) {
        kn->dropout_f32(99, 7, seed, stream, (float)p, x, y);
        for (int i = 0; i < 99; i++)
            expect_true(i % 3 ? y[i] == (float)(1 - p) : isnan(y[i]), "p = 0 and 1; NaN stays");
    }
}

/* Moments of a large sample, each within five times its standard deviation. */
static void check_moments(void)
{
    enum { N = 1 << 16 };
    float *const z = edge(Y, N);
    const int rounds = is_slow_machine() ? 1 : 16;
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, next = 0;
    for (int r = 0; r < rounds; r++) {
        kn->normal_f32(N, (uint64_t)r * N, seed, stream, 0, 1, z);
        for (int i = 0; i < N; i++) {
            const double a = (double)z[i];
            m1 += a;
            m2 += a * a;
            m3 += a * a * a;
            m4 += a * a * a * a;
            next += i ? a * (double)z[i - 1] : 0;
        }
    }
    const double n = (double)N * rounds;
    expect(m1 / n, 0, 5 * sqrt(1 / n), N, 1);
    expect(m2 / n, 1, 5 * sqrt(2 / n), N, 2);
    expect(m3 / n, 0, 5 * sqrt(15 / n), N, 3);
    expect(m4 / n, 3, 5 * sqrt(96 / n), N, 4);
    expect(next / n, 0, 5 * sqrt(1 / n), N, 5);
}

static void test_normal_f32(void)
{
    for (int f = 0; f < FIRSTS; f++) {
        const uint64_t first = firsts[f];
        EACH_LENGTH(n, 0)
        {
            float *const y = edge(Y, n);
            kn->normal_f32(n, first, seed, stream, 2, 0.5f, y);
            for (size_t i = 0; i < n; i++)
                expect((double)y[i], 2 + 0.5 * ref_normal(seed, stream, first + i), 0x1p-20, n, i);
            seen.guarded &= edges_intact();
        }
    }
    float whole[777], parts[777];
    kn->normal_f32(777, 3, seed, stream, 0, 1, whole);
    for (size_t i = 0; i < 777; i += 111)
        kn->normal_f32(111, 3 + i, seed, stream, 0, 1, parts + i);
    for (int i = 0; i < 777; i++)
        expect_true(whole[i] == parts[i], "the same however it is cut");
    check_moments();
}

/* Random123's kat_vectors, philox4x32 with ten rounds. */
static void check_known_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox(kat[i].counter, kat[i].key[0] | (uint64_t)kat[i].key[1] << 32, out);
        ok(memcmp(out, kat[i].out, sizeof out) == 0, "Philox4x32-10: known answer %d", i + 1);
    }
    struct rng r = rng_make(seed, stream);
    int same = 1;
    for (uint64_t i = 0; i < 1000; i++)
        same &= rng_u32(&r) == ref_word(seed, stream, i);
    ok(same, "rng_u32 draws the words of its stream in order");
}

static const struct kernel_test tests[] = {
#define IN_T_RANDOM(name) {#name, test_##name},
#include "tests/kernel_tests.def"
};

int main(void)
{
    check_known_answers();
    run_kernel_tests(tests, sizeof tests / sizeof *tests);
    return done();
}
