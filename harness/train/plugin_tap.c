/* plugin_tap.c — does a plugin keep its word? The worker's half of plugin_check(): TAP
 * on standard output, one line a promise, what was found behind each broken one.
 *
 * Networks are fed noise rather than pictures, because any shape must do. */
#define _GNU_SOURCE
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "train/plugin_load.h"
#include "train/plugin_note.h"
#include "train/plugin_task.h"
#include "train/recipe.h"
#include "train/trainer.h"
#include "train/trainer_sequences.h"

enum { BATCH = 8, STEPS = 2, SEED = 7, ITEMS = 64 };
/* Multiply-adds of a batch: minutes in every check. Then only plans are made, of one sample, because
 * a batch may not even fit into memory. */
static const double too_large = 2e9;

struct check {
    const char *path;
    struct plugin plugin;
    const struct nn_variant *variant;
    struct nn_graph *graph; /* of the variant; programs borrow from it */
    bool large;
    void (*say)(const char *what);
    int run, failed;
};

/* --------------------------------------------------------------------- TAP */

__attribute__((format(printf, 4, 5))) static bool ok(struct check *c, bool pass, const char *why,
                                                     const char *fmt, ...)
{
    va_list ap;
    printf("%sok %d - ", pass ? "" : "not ", ++c->run);
    if (c->variant)
        printf("%s: ", c->variant->name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (!pass && why && *why)
        printf("# %s\n", why);
    fflush(stdout); /* what follows may crash */
    c->failed += !pass;
    return pass;
}

static void skip(struct check *c, const char *what, const char *why)
{
    printf("ok %d - %s: %s # SKIP %s\n", ++c->run, c->variant->name, what, why);
    fflush(stdout);
}

/* ----------------------------------------------------------------- programs */

static struct nn_graph *build(const struct check *c)
{
    struct nn_graph *g = graph_new(c->large ? 1 : BATCH);
    c->plugin.facts.build(g, c->variant->config);
    return g;
}

/* A fresh program, fed. NULL and *err as program_new(). */
static struct program *program_of(struct nn_graph *g, int threads, bool poison, struct err *err)
{
    const struct program_options o = {.threads = threads, .train = true, .seed = SEED};
    struct program *p = program_new(g, &o, err);
    if (p)
        trainer_draw_inputs(p, g, SEED, poison);
    return p;
}

/* ------------------------------------------------------------------- promises */

static void check_numbers(struct check *c)
{
    const struct nn_published *p = &c->variant->published;
    char why[128];
    const double params = graph_params(c->graph), macs = graph_macs(c->graph);
    snprintf(why, sizeof why, "found %.0f, published %.0f", params, p->params);
    if (p->params > 0)
        ok(c, params == p->params, why, "%.0f parameters, as published", p->params);
    else
        skip(c, "parameters", "none published");
    snprintf(why, sizeof why, "found %.0f, published %.0f", macs, p->macs);
    if (p->macs > 0)
        ok(c, macs == p->macs, why, "%.0f multiply-adds, as published", p->macs);
    else
        skip(c, "multiply-adds", "none published");
}

/* Two builds give the same ops on the same shapes. */
static void check_repeat_build(struct check *c, const struct program *a)
{
    struct err err = {0};
    struct nn_graph *again = build(c);
    struct program *b = program_of(again, 1, false, &err);
    int n, m = 0;
    const struct program_step *s = program_steps(a, &n), *t = b ? program_steps(b, &m) : NULL;
    bool same = b && n == m;
    for (int i = 0; same && i < n; i++)
        same = strcmp(s[i].op, t[i].op) == 0 && strcmp(s[i].row, t[i].row) == 0 &&
               strcmp(s[i].shape, t[i].shape) == 0;
    ok(c, same, err.text, "build() is repeatable");
    program_free(b);
    graph_free(again);
}

/* Weights after some steps of plain gradient descent; malloc'ed. NULL if one was not finite. */
static float *descend(const struct check *c, int threads, size_t *count, char why[ERR_TEXT])
{
    struct err err = {0};
    struct program *p = program_of(c->graph, threads, false, &err);
    snprintf(why, ERR_TEXT, "%s", err.text);
    if (!p)
        return NULL;
    float *w = program_weights(p, count), *copy = NULL;
    const float *g = program_grads(p, count);
    bool finite = true;
    for (int s = 0; s < STEPS && finite; s++) {
        finite = program_run(p);
        for (size_t i = 0; finite && i < *count; i++)
            w[i] -= 1e-3f * g[i];
    }
    if (finite)
        copy = memcpy(xmalloc(*count * sizeof *w), w, *count * sizeof *w);
    else
        snprintf(why, ERR_TEXT, "%s", program_blame(p));
    program_free(p);
    return copy;
}

static void check_repeat_run(struct check *c)
{
    static const struct {
        int threads;
        const char *what;
    } again[] = {{1, "two steps give the same bits again"},
                 {2, "two steps give the same bits with two threads"}};
    char why[ERR_TEXT];
    size_t n = 0, m = 0;
    float *first = descend(c, 1, &n, why);
    ok(c, first != NULL, why, "two steps are finite");
    if (!first)
        return;
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        float *second = descend(c, again[i].threads, &m, why);
        ok(c, second && n == m && memcmp(first, second, n * sizeof *first) == 0, why, "%s",
           again[i].what);
        free(second);
    }
    free(first);
}

/* ---------------------------------------------------------------- gradients */

/* The loss of a fresh program at w + h d, and how far along the gradient g that is from w: weights
 * are rounded, and where gradients are large, steps are so short that it counts. Fresh, so that
 * dropout draws the same. */
static double loss_at(const struct check *c, const float *w, double h, const float *d,
                      const float *g, size_t n, double *along)
{
    struct program *p = program_of(c->graph, 1, false, NULL);
    size_t count;
    float *to = program_weights(p, &count);
    *along = 0;
    for (size_t i = 0; i < n; i++) {
        to[i] = (float)((double)w[i] + h * (double)d[i]);
        *along += ((double)to[i] - (double)w[i]) * (double)g[i];
    }
    const double loss = program_run(p) ? (double)program_loss(p) : (double)NAN;
    program_free(p);
    return loss;
}

/* The change of the loss between w + h d and w - h d, by what the gradient foretells. */
static double slope_ratio(const struct check *c, const float *w, double h, const float *d,
                          const float *g, size_t n)
{
    double up, down;
    const double above = loss_at(c, w, h, d, g, n, &up), below = loss_at(c, w, -h, d, g, n, &down);
    return (above - below) / (up - down);
}

/* Along d_i = r_i g_i, r_i random in [0, 1): a direction along which the loss changes enough to be
 * seen in single precision, and which no wrong gradient has the right slope in. The slope is taken
 * over steps of several sizes, of which the best must agree: large ones leave the tangent, small
 * ones drown in rounding. Plain networks of many layers bend soonest: in twenty a step of 3e-3 is
 * 4 % off, one of 3e-4 0.5 %; in fifty-six, gradients a thousand times as large, 25 % and 1 to 4 %.
 */
static void check_gradient(struct check *c)
{
    static const double change[] = {3e-2, 3e-3, 3e-4, 1e-4}; /* of the loss, by the step */
    static const double tolerance = 0.04;
    struct err err = {0};
    if (graph_stops_gradients(c->graph)) {
        skip(c, "the gradient is the slope of the loss", "it stops on its way, as the plugin wants");
        return;
    }
    struct program *p = program_of(c->graph, 1, false, &err);
    if (!p || !program_run(p)) {
        ok(c, false, p ? program_blame(p) : err.text, "gradient");
        program_free(p);
        return;
    }
    size_t n;
    const float *w = program_weights(p, &n), *g = program_grads(p, &n);
    float *d = xmalloc(n * sizeof *d);
    struct rng r = rng_make(SEED, rng_stream("direction"));
    double slope = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        d[i] = (float)rng_unit(&r) * g[i];
        slope += (double)d[i] * (double)g[i];
    }
    for (size_t i = 0; i < sizeof change / sizeof change[0] && slope > 0; i++) {
        const double h = change[i] * fmax(fabs((double)program_loss(p)), 1e-3) / slope;
        const double ratio = slope_ratio(c, w, h, d, g, n);
        if (fabs(ratio - 1) < fabs(best - 1))
            best = ratio;
    }
    char why[128];
    snprintf(why, sizeof why, "slope by differences %g, by the gradient %g", best * slope, slope);
    ok(c, fabs(best - 1) < tolerance, why, "the gradient is the slope of the loss");
    free(d);
    program_free(p);
}

static bool has_floats(const struct program *p)
{
    const struct tensor *t;
    bool found = false;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        found = found || t->type == NN_F32;
    return found;
}

static void check_poison(struct check *c)
{
    struct program *p = program_of(c->graph, 1, true, NULL);
    if (!has_floats(p)) {
        skip(c, "NaN in the input is trapped", "all inputs are integers");
        program_free(p);
        return;
    }
    const bool trapped = !program_run(p);
    ok(c, trapped && *program_blame(p), trapped ? "but nobody is blamed" : "the loss was finite",
       "NaN in the input is trapped");
    program_free(p);
}

/* The whole way, with the plugin's own recipe, on some items of the variant's task where these are
 * generated; on drawn digits where the input fits them. */
static void check_training(struct check *c)
{
    struct trainer t;
    const bool images = !c->variant->task;
    char *what = xprintf("trains on %s", images ? "drawn digits" : c->variant->task);
    struct err err = {0};
    const struct run_spec spec = {.plugin_path = c->path,
                                  .plugin = c->plugin.facts.name,
                                  .variant = c->variant->name,
                                  .data = images ? "digits" : NULL,
                                  .epochs = -1,
                                  .batch = BATCH,
                                  .threads = 1,
                                  .seed = SEED};
    if (!trainer_open(&t, &spec, ITEMS, NULL, &err)) {
        skip(c, what, err.text);
        free(what);
        return;
    }
    trainer_start(&t, 0);
    bool finite = true;
    do
        finite = trainer_step(&t);
    while (finite && trainer_next(&t) && t.steps < ITEMS / BATCH);
    ok(c, finite, finite ? NULL : program_blame(t.ran), "%s", what);
    trainer_close(&t);
    free(what);
}

/* ------------------------------------------------------------------- variants */

static void check_recipe(struct check *c)
{
    static const struct run_spec no_wishes = {.epochs = -1};
    struct nn_recipe recipe;
    struct err err = {0};
    const bool fine =
        recipe_resolve(plugin_recipe(&c->plugin, c->variant), &no_wishes, &recipe, &err);
    ok(c, fine, err.text, "the recipe makes sense");
}

static void check_program(struct check *c)
{
    struct err err = {0};
    c->say("planning");
    struct program *p = program_of(c->graph, 1, false, &err);
    if (!ok(c, p != NULL, err.text, "gradients and plan"))
        return;
    check_repeat_build(c, p);
    program_free(p);
    c->say("a step");
    if (c->large) {
        skip(c, "steps", "too large for a quick check");
        return;
    }
    check_repeat_run(c);
    check_gradient(c);
    check_poison(c);
    check_training(c);
}

static void check_variant(struct check *c)
{
    check_recipe(c);
    c->say("build()");
    c->large = false;
    c->graph = build(c);
    if (graph_macs(c->graph) * BATCH > too_large) {
        graph_free(c->graph);
        c->large = true;
        c->graph = build(c);
    }
    const char *error = graph_error(c->graph);
    if (ok(c, !error, error, "build() makes a graph")) {
        check_numbers(c);
        check_program(c);
    }
    graph_free(c->graph);
}

static void check_file_name(struct check *c)
{
    const char *slash = strrchr(c->path, '/');
    char *expected = xprintf("bench-%s.so", c->plugin.facts.name);
    ok(c, strcmp(slash ? slash + 1 : c->path, expected) == 0, NULL, "the file is called %s",
       expected);
    free(expected);
}

json_t *plugin_task_check(const json_t *job, void (*say)(const char *what))
{
    struct check c = {.path = json_string_value(json_object_get(job, "path")), .say = say};
    struct nn_note_body note;
    struct err err = {0};
    if (!kn_init(NULL, &err))
        return json_pack("{s:s, s:i}", "error", err.text, "status", err.status);
    bool refused = true;
    printf("TAP version 13\n");
    if (ok(&c, note_read(c.path, &note, &err), err.text, "the ELF note can be read")) {
        say("loading the plugin");
        if (ok(&c, plugin_open(c.path, &c.plugin, &err), err.text,
               "the descriptor has our ABI, is complete, and says what the note says")) {
            refused = false;
            check_file_name(&c);
            for (c.variant = c.plugin.facts.variants; c.variant->name; c.variant++)
                check_variant(&c);
            plugin_close(&c.plugin);
        }
    }
    printf("1..%d\n", c.run);
    fflush(stdout);
    return json_pack("{s:i, s:s?}", "failed", c.failed, "refused", refused ? err.text : NULL);
}
