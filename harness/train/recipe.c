/* recipe.c — see recipe.h. */
#include "train/recipe.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

const char *const optimizer_name[] = {"none", "sgd", "adam", "adamw"};
const char *const schedule_name[] = {"none", "constant", "steps", "cosine", "one-cycle"};

enum { RATE_STEPS = sizeof((struct nn_recipe *)0)->steps / sizeof(struct nn_rate_step) };

static void fill_int(int32_t *to, int32_t otherwise) { *to = *to ? *to : otherwise; }
static void fill(float *to, float otherwise) { *to = *to != 0 ? *to : otherwise; }

static void apply_defaults(struct nn_recipe *r)
{
    fill_int(&r->schedule, NN_CONSTANT);
    if (r->optimizer == NN_SGD)
        return;
    fill(&r->momentum, 0.9f);
    fill(&r->beta2, 0.999f);
    fill(&r->epsilon, 1e-8f);
}

/* A schedule keeps its shape when the run is made longer or shorter. */
static void stretch(struct nn_recipe *r, int epochs)
{
    const float factor = r->epochs > 0 ? (float)epochs / (float)r->epochs : 1.0f;
    r->epochs = epochs;
    r->warmup_epochs *= factor;
    for (int i = 0; i < RATE_STEPS; i++)
        r->steps[i].epoch *= factor;
}

static void apply_wishes(struct nn_recipe *r, const struct run_spec *s)
{
    if (s->batch > 0)
        r->batch = s->batch;
    if (s->epochs >= 0)
        stretch(r, s->epochs);
    if (s->rate > 0)
        r->rate = (float)s->rate;
    if (s->dump) { /* a single step, at the full rate, so that others can follow its update */
        r->schedule = NN_CONSTANT;
        r->warmup_epochs = 0;
    }
}

static bool check_range(const struct nn_recipe *r, struct err *err)
{
    const struct {
        const char *field;
        double found, least, most;
    } rule[] = {
        {"batch", r->batch, 1, 1 << 20},
        {"epochs", r->epochs, 0, 1e9},
        {"optimizer", r->optimizer, NN_SGD, NN_ADAMW},
        {"schedule", r->schedule, NN_CONSTANT, NN_ONE_CYCLE},
        {"rate", r->rate, 1e-30, 1e30},
        {"momentum", r->momentum, 0, 0.999999},
        {"beta2", r->beta2, 0, 0.9999999},
        {"epsilon", r->epsilon, 0, 1},
        {"weight_decay", r->weight_decay, 0, 1e6},
        {"clip_norm", r->clip_norm, 0, 1e30},
        {"warmup_epochs", r->warmup_epochs, 0, 1e9},
        {"final_factor", r->final_factor, 0, 1},
    };
    for (size_t i = 0; i < sizeof rule / sizeof rule[0]; i++)
        if (!(rule[i].found >= rule[i].least && rule[i].found <= rule[i].most)) /* NaN too */
            return err_status(err, EXIT_PLUGIN, "recipe: %s: found %g, expected %g to %g",
                              rule[i].field, rule[i].found, rule[i].least, rule[i].most);
    return true;
}

static bool is_last(const struct nn_rate_step *s) { return s->epoch == 0 && s->factor == 0; }

static bool check_steps(const struct nn_recipe *r, struct err *err)
{
    if (r->schedule != NN_STEPS)
        return true;
    for (int i = 0; i < RATE_STEPS && !is_last(&r->steps[i]); i++)
        if (!(r->steps[i].factor >= 0) || (i && !(r->steps[i].epoch > r->steps[i - 1].epoch)))
            return err_status(err, EXIT_PLUGIN,
                              "recipe: steps[%d]: found {%g, %g}, expected rising epochs and "
                              "factors of 0 or more",
                              i, (double)r->steps[i].epoch, (double)r->steps[i].factor);
    return true;
}

bool recipe_resolve(const struct nn_recipe *recipe, const struct run_spec *spec,
                    struct nn_recipe *out, struct err *err)
{
    struct nn_recipe r = *recipe;
    apply_wishes(&r, spec);
    apply_defaults(&r);
    if (!check_range(&r, err) || !check_steps(&r, err))
        return false;
    *out = r;
    return true;
}

/* A float as the decimal number that was meant: 0.1f is 0.1, not 0.100000001490116. */
static json_t *decimal(float v)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", (double)v);
    return json_real(strtod(text, NULL));
}

static json_t *steps_json(const struct nn_recipe *r)
{
    json_t *steps = json_array();
    for (int i = 0; i < RATE_STEPS && !is_last(&r->steps[i]); i++)
        json_array_append_new(
            steps, json_pack("[o,o]", decimal(r->steps[i].epoch), decimal(r->steps[i].factor)));
    return steps;
}

json_t *recipe_json(const struct nn_recipe *r)
{
    json_t *j =
        json_pack("{s:i, s:i, s:s, s:s}", "batch", r->batch, "epochs", r->epochs, "optimizer",
                  optimizer_name[r->optimizer], "schedule", schedule_name[r->schedule]);
    const struct {
        const char *name;
        float value;
        bool always;
    } real[] = {
        {"rate", r->rate, true},
        {"momentum", r->momentum, true},
        {"beta2", r->beta2, r->optimizer != NN_SGD},
        {"epsilon", r->epsilon, r->optimizer != NN_SGD},
        {"weight_decay", r->weight_decay, true},
        {"clip_norm", r->clip_norm, false},
        {"warmup_epochs", r->warmup_epochs, false},
        {"final_factor", r->final_factor, r->schedule >= NN_COSINE},
    };
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        if (real[i].always || real[i].value != 0)
            json_object_set_new(j, real[i].name, decimal(real[i].value));
    if (r->schedule == NN_STEPS)
        json_object_set_new(j, "steps", steps_json(r));
    if (r->ink_low != 0 || r->ink_high != 0)
        json_object_set_new(j, "ink",
                            json_pack("[o,o]", decimal(r->ink_low), decimal(r->ink_high)));
    if (r->augment && *r->augment)
        json_object_set_new(j, "augment", json_string(r->augment));
    return j;
}
