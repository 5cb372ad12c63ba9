/* Learning rates by hand-computed values; recipes: defaults, wishes, refusals; warm-up and spread
 * of step times. */
#include "tap.h"
#include "train/recipe.h"
#include "train/schedule.h"
#include "train/steady.h"

enum { PER_EPOCH = 10, ALL = 100 };

static double rate(const struct nn_recipe *r, long long s)
{
    return schedule_rate(r, s, PER_EPOCH, ALL);
}

static void check_constant(void)
{
    const struct nn_recipe r = {.schedule = NN_CONSTANT, .rate = 0.5f, .warmup_epochs = 2};
    is_near(rate(&r, 0), 0.5 / 20, 1e-9, "warm-up: the first step has 1/W of the rate");
    is_near(rate(&r, 9), 0.25, 1e-9, "warm-up: half way");
    is_near(rate(&r, 19), 0.5, 1e-9, "warm-up: its last step has the rate");
    is_near(rate(&r, 20), 0.5, 1e-9, "constant behind it");
    is_near(rate(&r, 99), 0.5, 1e-9, "constant to the end");
}

static void check_steps(void)
{
    const struct nn_recipe r = {
        .schedule = NN_STEPS, .rate = 2.0f, .steps = {{0, 0.5f}, {3, 0.25f}, {5.5f, 0.125f}}};
    is_near(rate(&r, 0), 1.0, 1e-9, "steps: a factor from epoch 0");
    is_near(rate(&r, 29), 1.0, 1e-9, "steps: until the epoch begins");
    is_near(rate(&r, 30), 0.5, 1e-9, "steps: from its first step");
    is_near(rate(&r, 54), 0.5, 1e-9, "steps: half an epoch, before");
    is_near(rate(&r, 55), 0.25, 1e-9, "steps: half an epoch, behind");
    is_near(rate(&r, 99), 0.25, 1e-9, "steps: the last one holds");
    const struct nn_recipe none = {.schedule = NN_STEPS, .rate = 2.0f};
    is_near(rate(&none, 50), 2.0, 1e-9, "steps: none given");
}

static void check_cosine(void)
{
    const struct nn_recipe r = {
        .schedule = NN_COSINE, .rate = 1.0f, .warmup_epochs = 1, .final_factor = 0.125f};
    is_near(rate(&r, 10), 1.0, 1e-9, "cosine: full rate behind the warm-up");
    is_near(schedule_rate(&r, 10 + 45, PER_EPOCH, 101), 0.125 + 0.875 / 2, 1e-9,
            "cosine: half way");
    is_near(rate(&r, 99), 0.125, 1e-9, "cosine: the last step has the final rate");
}

static void check_one_cycle(void)
{
    const struct nn_recipe r = {.schedule = NN_ONE_CYCLE, .rate = 1.0f, .final_factor = 0.5f};
    is_near(rate(&r, 29), 1.0, 1e-9, "one-cycle: rises for 30 %% of the run by default");
    is_near(rate(&r, 14), 0.5, 1e-9, "one-cycle: in a straight line");
    is_near(rate(&r, 99), 0.5, 1e-9, "one-cycle: the last step has the final rate");
    is_near(schedule_rate(&r, 30 + 35, PER_EPOCH, 101), 0.75, 1e-9, "one-cycle: falls straight");
    const struct nn_recipe long_rise = {
        .schedule = NN_ONE_CYCLE, .rate = 1.0f, .warmup_epochs = 20};
    double most = 0;
    for (int s = 0; s < ALL; s++)
        most = fmax(most, rate(&long_rise, s));
    is_near(most, 1.0, 1e-9, "a warm-up longer than the run still reaches the rate");
    is_near(schedule_rate(&r, 0, 1, 1), 1.0, 1e-9, "a run of one step");
}

/* ----------------------------------------------------------------- recipes */

static struct nn_recipe recipe_of(struct nn_recipe r)
{
    r.size = sizeof r;
    r.batch = r.batch ? r.batch : 32;
    r.epochs = r.epochs ? r.epochs : 4;
    r.optimizer = r.optimizer ? r.optimizer : NN_ADAM;
    r.rate = r.rate != 0 ? r.rate : 0.001f;
    return r;
}

static void check_defaults(void)
{
    static const struct run_spec none = {.epochs = -1, .batch = -1, .rate = -1};
    struct nn_recipe out;
    struct err err = {0};
    struct nn_recipe r = recipe_of((struct nn_recipe){0});
    ok(recipe_resolve(&r, &none, &out, &err), "Adam without numbers");
    is_near((double)out.momentum, 0.9, 1e-7, "beta1");
    is_near((double)out.beta2, 0.999, 1e-7, "beta2");
    is_near((double)out.epsilon, 1e-8, 1e-12, "epsilon");
    is_int(out.schedule, NN_CONSTANT, "constant rate");
    r = recipe_of((struct nn_recipe){.optimizer = NN_SGD});
    ok(recipe_resolve(&r, &none, &out, &err) && out.momentum == 0, "SGD has no momentum by itself");
}

static void check_wishes(void)
{
    static const struct run_spec spec = {.epochs = 8, .batch = 64, .rate = 0.25};
    struct nn_recipe out;
    struct err err = {0};
    const struct nn_recipe r = recipe_of((struct nn_recipe){
        .warmup_epochs = 1, .schedule = NN_STEPS, .steps = {{2, 0.1f}, {3, 0.01f}}});
    ok(recipe_resolve(&r, &spec, &out, &err), "the command line's wishes");
    ok(out.epochs == 8 && out.batch == 64 && out.rate == 0.25f, "are taken");
    ok(out.warmup_epochs == 2 && out.steps[0].epoch == 4 && out.steps[1].epoch == 6,
       "and the schedule is stretched with the epochs");
    json_t *json = recipe_json(&out);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    is_str(text,
           "{\"batch\":64,\"beta2\":0.999,\"epochs\":8,\"epsilon\":1e-8,\"momentum\":0.9,"
           "\"optimizer\":\"adam\",\"rate\":0.25,\"schedule\":\"steps\","
           "\"steps\":[[4.0,0.1],[6.0,0.01]],\"warmup_epochs\":2.0,\"weight_decay\":0.0}",
           "as JSON, in the decimals that were meant");
    free(text);
    json_decref(json);
}

static void check_refusals(void)
{
    static const struct run_spec none = {.epochs = -1, .batch = -1, .rate = -1};
    const struct {
        struct nn_recipe recipe;
        const char *text;
    } bad[] = {
        {{.batch = -3}, "recipe: batch: found -3, expected 1 to 1.04858e+06"},
        {{.optimizer = 9}, "recipe: optimizer: found 9, expected 1 to 3"},
        {{.schedule = 7}, "recipe: schedule: found 7, expected 1 to 4"},
        {{.rate = NAN}, "recipe: rate: found nan, expected 1e-30 to 1e+30"},
        {{.momentum = 1.5f}, "recipe: momentum: found 1.5, expected 0 to 0.999999"},
        {{.final_factor = 2}, "recipe: final_factor: found 2, expected 0 to 1"},
        {{.schedule = NN_STEPS, .steps = {{3, 0.1f}, {2, 0.1f}}},
         "recipe: steps[1]: found {2, 0.1}, expected rising epochs and factors of 0 or more"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct nn_recipe out;
        struct err err = {0};
        const struct nn_recipe r = recipe_of(bad[i].recipe);
        ok(!recipe_resolve(&r, &none, &out, &err) && err.status == EXIT_PLUGIN, "refused");
        is_str(err.text, bad[i].text, "and says what is wrong");
    }
}

/* -------------------------------------------------------------- step times */

static void check_steady(void)
{
    double t[200];
    for (int i = 0; i < 200; i++)
        t[i] = 100 + (i < 12 ? 50 - 4 * i : 0) + (i % 2 ? 0.25 : -0.25);
    const size_t warm = steady_warmup(t, 200);
    ok(warm > 12 && warm <= 24, "warm-up ends behind the slow steps (%zu)", warm);
    for (int i = 0; i < 200; i++)
        t[i] = i * i;
    is_int(steady_warmup(t, 200), STEADY_CAP, "it never steadies: the cap");
    is_int(steady_warmup(t, 30), 15, "or half of the steps");
    is_int(steady_warmup(t, 3), 1, "few steps: the first");
    is_int(steady_warmup(t, 1), 0, "one step: none");
    is_int(steady_warmup(t, 0), 0, "no step");
    const double odd[] = {9, 1, 5, 2, 100};
    const struct steady s = steady_of(odd, 5);
    ok(s.median == 5 && s.mad == 4 && s.min == 1, "median, deviation and least");
    const double even[] = {4, 1, 3, 2};
    is_near(steady_of(even, 4).median, 2.5, 0, "median of an even number");
    ok(isnan(steady_of(NULL, 0).median), "of nothing: NaN");
}

int main(void)
{
    check_constant();
    check_steps();
    check_cosine();
    check_one_cycle();
    check_defaults();
    check_wishes();
    check_refusals();
    check_steady();
    return done();
}
