/* t_steady.c — warm-up and steady state, decided from series whose truth is known. */
#include <math.h>

#include "base/rng.h"
#include "tap.h"
#include "train/steady.h"

enum { MOST = 4000 };
static double ns[MOST];
static char why[RUN_WHY];

/* Step times around 2 ms, with noise of so many parts. */
static void flat(size_t n, double noise, uint64_t seed)
{
    struct rng r = rng_make(seed, 7);
    for (size_t i = 0; i < n; i++)
        ns[i] = 2e6 * (1 + noise * rng_normal(&r));
}

static void scale(size_t from, size_t to, double by)
{
    for (size_t i = from; i < to; i++)
        ns[i] *= by;
}

static void judge(size_t n, int wanted, const char *word, const char *about)
{
    const int got = steady_judge(ns, n, why);
    ok(got == wanted && (*word ? strstr(why, word) != NULL : !*why), "%s: %s", about,
       *why ? why : "steady");
}

static void warm_up(void)
{
    flat(300, 0.002, 1);
    for (size_t i = 0; i < 20; i++)
        ns[i] *= 1 + exp(-(double)i / 4);
    const size_t warm = steady_warmup(ns, 300);
    ok(warm > 10 && warm < 40, "a start that settles over 20 steps: %zu are warm-up", warm);
    judge(300, RUN_STEADY, "", "and what follows is steady");
    is_int(steady_warmup(ns, 0), 0, "none of none");
    is_int(steady_warmup(ns, 1), 0, "none of one");
    is_int(steady_warmup(ns, 2), 1, "one of two");
    for (size_t n = 0; n < 300; n++)
        if (steady_warmup(ns, n) > steady_most(n) || (n > 0 && steady_most(n) >= n))
            ok(0, "%zu steps: %zu of at most %zu are warm-up", n, steady_warmup(ns, n),
               steady_most(n));
    ok(1, "never more than steady_most(), and one is always left");
}

static void steady(void)
{
    flat(300, 0, 1);
    judge(300, RUN_STEADY, "", "constant");
    int wrong = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        flat(400, 0.02, seed);
        wrong += steady_judge(ns, 400, why) != RUN_STEADY;
    }
    ok(wrong <= 2, "noise of 2 %%: %d of 200 called unsteady", wrong);
    wrong = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng r = rng_make(seed, 8);
        for (size_t i = 0; i < 400; i++) /* one-sided, as interruptions make it */
            ns[i] = 2e6 * (1 - 0.02 * log(1 - rng_unit(&r)));
        wrong += steady_judge(ns, 400, why) != RUN_STEADY;
    }
    ok(wrong <= 2, "one-sided noise: %d of 200 called unsteady", wrong);
    flat(400, 0.01, 3);
    for (size_t i = 60; i < 400; i += 40)
        ns[i] *= 8;
    judge(400, RUN_STEADY, "", "a spike every 40 steps is what medians are for");
}

static void unsteady(void)
{
    flat(600, 0.01, 1);
    for (size_t i = 0; i < 600; i++)
        ns[i] *= 1 + 0.12 * (double)i / 600;
    judge(600, RUN_UNSTEADY, "thirds", "a drift of 12 %");
    flat(600, 0.002, 2);
    for (size_t i = 0; i < 600; i++)
        ns[i] *= 1 + 0.02 * (double)i / 600;
    judge(600, RUN_STEADY, "", "a drift of 2 % is below the margin");
    flat(600, 0.01, 3);
    scale(350, 600, 1.15);
    judge(600, RUN_UNSTEADY, "two levels", "a step of 15 %");
    flat(600, 0.02, 4);
    scale(200, 400, 1.06);
    judge(600, RUN_UNSTEADY, "thirds", "slower by 6 % in the middle only");
    flat(600, 0.01, 5);
    for (size_t i = 0; i < 600; i += 2)
        ns[i] *= 1.3;
    judge(600, RUN_UNSTEADY, "two levels", "every second step slower by 30 %");
    flat(600, 0.01, 6);
    for (size_t i = 50; i < 600; i += 12)
        ns[i] *= 4;
    judge(600, RUN_UNSTEADY, "more than", "every twelfth step takes four times as long");
    flat(80, 0.001, 7);
    for (size_t i = 0; i < 80; i++)
        ns[i] *= exp(-0.02 * (double)i);
    judge(80, RUN_UNSTEADY, "no steady state", "never settles");
}

static void too_few(void)
{
    flat(20, 0.01, 1);
    judge(20, RUN_STEADY_UNKNOWN, "too few", "20 steps");
    judge(0, RUN_STEADY_UNKNOWN, "too few", "none");
    flat(60, 0.01, 1);
    judge(60, RUN_STEADY, "", "60 steps are enough");
}

int main(void)
{
    warm_up();
    steady();
    unsteady();
    too_few();
    return done();
}
