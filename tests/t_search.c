/* t_search — greedy decoding, beam search and drawing on models made by hand, whose answers are
 * known. */
#include "tests/tap.h"
#include "train/search.h"

enum { PAD, UNKNOWN, BEGIN, END, A, B, C, TOKENS, STRIDE = 8 };

/* Probabilities of what comes behind the last token; rows of other tokens are END's. */
struct chain {
    double p[TOKENS][TOKENS];
    int asked, most_rows;
    const int *ends_in; /* NULL, or of each source after how many tokens it ends */
    int source[16];
};

static const float *chain_scores(void *arg, const int32_t *prefix, size_t stride, int n, int length,
                                 const int *from)
{
    static float scores[16 * TOKENS];
    struct chain *c = arg;
    c->asked++;
    c->most_rows = n > c->most_rows ? n : c->most_rows;
    for (int i = 0; i < n; i++) {
        if (from)
            c->source[i] = length == 1 ? from[i] : c->source[from[i]];
        const int last = prefix[(size_t)i * stride + (size_t)length - 1];
        for (int k = 0; k < TOKENS; k++) {
            double p = c->p[last][k];
            if (c->ends_in)
                p = k == (length > c->ends_in[c->source[i]] ? END : A + c->source[i] % 3);
            scores[i * TOKENS + k] = (float)(p > 0 ? log(p) : -1e9) + 3.0f; /* a constant a row */
        }
    }
    return scores;
}

static struct scorer scorer_of(struct chain *c)
{
    return (struct scorer){TOKENS, END, NEVER_PAD_OR_BEGIN, chain_scores, c};
}

static int32_t said[16 * STRIDE];
static int length[16];

static void test_greedy(void)
{
    static const int ends_in[] = {3, 1, 0, 5, 2};
    struct chain c = {.ends_in = ends_in};
    const struct scorer s = scorer_of(&c);
    const int most[] = {7, 7, 7, 4, 7};
    ok(search_greedy(&s, 5, BEGIN, most, STRIDE, said, length), "greedy: five sources at once");
    int wrong = 0;
    for (int i = 0; i < 5; i++) {
        const int n = ends_in[i] < most[i] ? ends_in[i] : most[i];
        wrong += length[i] != n;
        for (int k = 1; k <= n; k++)
            wrong += said[i * STRIDE + k] != A + i % 3;
    }
    is_int(wrong, 0,
           "each is told of its own source, whoever has ended before it, and stops at its most");
    is_int(c.asked, 4, "nobody is asked once all have ended");
    const int none[] = {0, 0, 0, 0, 0};
    c.asked = 0;
    ok(search_greedy(&s, 5, BEGIN, none, STRIDE, said, length) && c.asked == 0, "at most 0 tokens");
}

/* Behind <s> A looks best, but only B leads anywhere: p(A C) = 0.6 * 0.4, p(B C) = 0.4 * 1. */
static struct chain garden(void)
{
    struct chain c = {.asked = 0};
    c.p[BEGIN][A] = 0.6;
    c.p[BEGIN][B] = 0.4;
    c.p[A][A] = c.p[A][B] = 0.3;
    c.p[A][C] = 0.4;
    c.p[B][C] = 1.0;
    c.p[C][END] = 1.0;
    return c;
}

static void test_beam(void)
{
    struct chain c = garden();
    const struct scorer s = scorer_of(&c);
    const int most = 6;
    double score[4];
    ok(search_greedy(&s, 1, BEGIN, &most, STRIDE, said, length), "a garden path");
    ok(length[0] == 2 && said[1] == A && said[2] == C, "greedy walks into it: A C");
    const int found = search_beam(&s, 2, BEGIN, most, STRIDE, said, length, score);
    ok(found >= 1 && length[0] == 2 && said[0] == B && said[1] == C, "a beam of two does not: B C");
    is_near(score[0], log(0.4) / pow(8.0 / 6.0, 0.6), 1e-6,
            "its score: log p over the penalty of three tokens");
    ok(found == 2 && score[1] <= score[0], "the second is no better");
    is_int(search_beam(&s, 1, BEGIN, most, STRIDE, said, length, score), 1, "a beam of one");
    ok(length[0] == 2 && said[0] == A && said[1] == C, "is greedy");
    is_int(search_beam(&s, 2, BEGIN, 1, STRIDE, said, length, score), 2, "at most one token");
    ok(length[0] == 1 && length[1] == 1, "all end there");
}

/* Every sequence of at most three tokens scored: a beam as wide as all of them misses none. */
static double best_of_all(const struct chain *c)
{
    double best = -INFINITY;
    for (int n = 0; n <= 3; n++)
        for (int code = 0; code < 27; code++) {
            int last = BEGIN, digits = code;
            double log_p = 0;
            for (int k = 0; k < n; k++, digits /= 3) {
                log_p += log(c->p[last][A + digits % 3]);
                last = A + digits % 3;
            }
            log_p += log(c->p[last][END]);
            best = fmax(best, log_p / pow((6.0 + n) / 6.0, 0.6));
        }
    return best;
}

static void test_exhaustive(void)
{
    struct rng r = rng_make(7, 1);
    int wrong = 0, greedy_worse = 0;
    for (int trial = 0; trial < 50; trial++) {
        struct chain c = {.asked = 0};
        for (int from = BEGIN; from < TOKENS; from++) {
            double all = 0;
            for (int k = END; k < TOKENS; k++)
                all += c.p[from][k] = rng_unit(&r) + 0.01;
            for (int k = END; k < TOKENS; k++)
                c.p[from][k] /= all;
        }
        const struct scorer s = scorer_of(&c);
        double score[16], one[16];
        const int n = search_beam(&s, 16, BEGIN, 3, STRIDE, said, length, score);
        wrong += n < 1 || fabs(score[0] - best_of_all(&c)) > 1e-5;
        (void)search_beam(&s, 1, BEGIN, 3, STRIDE, said, length, one);
        greedy_worse += one[0] < score[0] - 1e-9;
    }
    is_int(wrong, 0, "a beam as wide as all beginnings finds the best of all sequences");
    ok(greedy_worse > 5, "greedy often does not: %d of 50", greedy_worse);
}

static void test_sampler(void)
{
    const float scores[TOKENS] = {9, 8, 7, 1, 3, 2, 3};
    struct sampler s;
    int wrong = 0, count[TOKENS] = {0};
    sampler_init(&s, TOKENS, NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN, 0, 0, 1, 1);
    for (int i = 0; i < 20; i++)
        wrong += sampler_draw(&s, scores) != A;
    sampler_release(&s);
    is_int(wrong, 0, "temperature 0: the first of the best");
    sampler_init(&s, TOKENS, NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN, 2.0, 1, 1, 1);
    for (int i = 0; i < 20; i++)
        wrong += sampler_draw(&s, scores) != A;
    sampler_release(&s);
    is_int(wrong, 0, "so are the best one's draws");
    sampler_init(&s, TOKENS, NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN, 1.0, 2, 1, 1);
    for (int i = 0; i < 2000; i++)
        count[sampler_draw(&s, scores)]++;
    sampler_release(&s);
    ok(count[A] + count[C] == 2000 && count[A] > 900 && count[C] > 900,
       "of the best two: %d and %d", count[A], count[C]);
    memset(count, 0, sizeof count);
    sampler_init(&s, TOKENS, NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN, 0.5, 0, 1, 1);
    for (int i = 0; i < 20000; i++)
        count[sampler_draw(&s, scores)]++;
    sampler_release(&s);
    const double all = 2 * exp(6) + exp(4) + exp(2);
    is_near(count[B] / 20000.0, exp(4) / all, 0.01, "temperature 0.5: exp(2 x) of each");
    is_near(count[END] / 20000.0, exp(2) / all, 0.005, "and of the least");
    is_int(count[PAD] + count[UNKNOWN] + count[BEGIN], 0, "what may not be said never is");
    int32_t first[50] = {0};
    for (int run = 0; run < 2; run++) {
        sampler_init(&s, TOKENS, 0, 1.5, 0, 42, 3);
        for (int i = 0; i < 50; i++) {
            const int32_t token = sampler_draw(&s, scores);
            wrong += run && token != first[i];
            first[i] = token;
        }
        sampler_release(&s);
    }
    is_int(wrong, 0, "the same seed draws the same");
}

static const float *no_scores(void *arg, const int32_t *prefix, size_t stride, int n, int length_,
                              const int *from)
{
    return (void)arg, (void)prefix, (void)stride, (void)n, (void)length_, (void)from, NULL;
}

static void test_ended(void)
{
    const struct scorer s = {TOKENS, END, 0, no_scores, NULL};
    const int most = 3;
    double score[2];
    ok(!search_greedy(&s, 1, BEGIN, &most, STRIDE, said, length), "greedy: ended from outside");
    is_int(search_beam(&s, 2, BEGIN, 3, STRIDE, said, length, score), -1, "so is a beam");
}

int main(void)
{
    test_greedy();
    test_beam();
    test_exhaustive();
    test_sampler();
    test_ended();
    return done();
}
