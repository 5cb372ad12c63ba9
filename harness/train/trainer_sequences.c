/* trainer_sequences.c — see trainer_sequences.h. */
#include "train/trainer_sequences.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* Ops are timed in one program: the longest, which then gets all batches. */
static int most_buckets(const struct run_spec *s)
{
    return s->profile || s->profile_s > 0 || s->dump || s->counters ? 1 : BUCKETS;
}

bool trainer_open_sequences(struct trainer *t, const struct run_spec *spec, size_t items,
                            struct err *err)
{
    const struct sequence_wish wish = {.items = items, .data = spec->data};
    t->noise = spec->synthetic;
    t->buckets.count = 1;
    if (t->noise)
        return true;
    t->sequences = xcalloc(1, sizeof *t->sequences);
    if (!sequences_open(t->variant->task, &wish, t->sequences, err))
        return false;
    sequence_buckets_choose(&t->buckets, t->sequences, t->recipe.batch, most_buckets(spec));
    return true;
}

/* ---------------------------------------------------------------------- graphs */

static struct nn_graph *build(struct trainer *t, int bucket, struct err *err)
{
    struct nn_graph *g = graph_new(t->recipe.batch);
    if (t->sequences)
        sequence_facts(t->sequences, &t->buckets, bucket, g);
    t->plugin.facts.build(g, t->variant->config);
    if (graph_error(g))
        err_set(err, "%s", graph_error(g));
    return g;
}

static bool differ(const struct trainer *t, const struct nn_graph *a, const struct nn_graph *b)
{
    bool other = false;
    for (int i = 0; i < t->sequences->inputs; i++) {
        const char *name = t->sequences->input[i].name;
        const struct nn_shape x = graph_input(a, name), y = graph_input(b, name);
        other = other || memcmp(&x, &y, sizeof x) != 0;
    }
    return other && graph_params(a) == graph_params(b);
}

bool trainer_build_sequences(struct trainer *t, struct err *err)
{
    const int last = t->buckets.count - 1;
    t->graph = t->bucket[last].graph = build(t, last, err);
    if (graph_error(t->graph))
        return false;
    for (int b = 0; b < last; b++) {
        t->bucket[b].graph = build(t, b, err);
        if (graph_error(t->bucket[b].graph))
            return false;
    }
    if (last == 0 || differ(t, t->bucket[0].graph, t->graph))
        return true;
    for (int b = 0; b < last; b++)
        graph_free(t->bucket[b].graph);
    for (int b = 1; b <= last; b++)
        t->bucket[b].graph = NULL;
    t->bucket[0].graph = t->graph;
    sequence_buckets_join(&t->buckets);
    return true;
}

/* -------------------------------------------------------------------- programs */

static void feed_train(void *arg, const struct crew *crew, struct program *p)
{
    const struct trainer *t = arg;
    (void)p;
    sequence_feed_fill(&t->sequence_feed, crew,
                       &t->bucket[sequence_feed_bucket(&t->sequence_feed)].inputs);
}

static void feed_test(void *arg, const struct crew *crew, struct program *p)
{
    const struct trainer *t = arg;
    (void)p;
    sequence_feed_fill(&t->sequence_test_feed, crew,
                       &t->bucket[sequence_feed_bucket(&t->sequence_test_feed)].test_inputs);
}

static bool bind(struct trainer *t, int b, struct err *err)
{
    struct trainer_bucket *bucket = &t->bucket[b];
    return sequence_bind(t->sequences, &t->buckets, b, bucket->program, &bucket->inputs, err) &&
           sequence_bind(t->sequences, &t->buckets, b, bucket->test, &bucket->test_inputs, err);
}

bool trainer_share_sequences(struct trainer *t, const struct program_options *options,
                             struct err *err)
{
    const int last = t->buckets.count - 1;
    struct program_options o = *options;
    o.share = o.lend = t->program;
    t->bucket[last].program = t->program;
    t->bucket[last].test = t->test;
    if (!t->sequences) {
        trainer_draw_inputs(t->program, t->graph, options->seed, false);
        return true;
    }
    for (int b = 0; b < last; b++) {
        o.train = true;
        o.update_inside = options->update_inside;
        t->bucket[b].program = program_new(t->bucket[b].graph, &o, err);
        o.train = o.update_inside = false;
        t->bucket[b].test = t->bucket[b].program ? program_new(t->bucket[b].graph, &o, err) : NULL;
        if (!t->bucket[b].test)
            return false;
    }
    for (int b = 0; b <= last; b++) {
        struct program_hooks hooks = t->hooks;
        hooks.feed = feed_train;
        program_set_hooks(t->bucket[b].program, &hooks);
        program_set_hooks(t->bucket[b].test, &(struct program_hooks){.feed = feed_test, .arg = t});
        if (!bind(t, b, err))
            return false;
    }
    return true;
}

/* ----------------------------------------------------------------------- feeds */

bool trainer_feed_sequences(struct trainer *t, uint64_t seed, struct err *err)
{
    if (!t->sequences)
        return true;
    const struct sequence_bindings *b = &t->bucket[t->buckets.count - 1].inputs;
    size_t window = 0;
    for (int i = 0; i < b->count; i++)
        if (!b->of[i].is_length)
            window = b->of[i].steps;
    const int batch = t->recipe.batch;
    return sequence_feed_init(&t->sequence_feed, t->sequences, &t->buckets, SPLIT_TRAIN, batch,
                              window, true, seed, err) &&
           sequence_feed_init(&t->sequence_test_feed, t->sequences, &t->buckets, SPLIT_TEST, batch,
                              window, false, seed, err);
}

/* The longest bucket's graph and programs are t's own. */
void trainer_close_sequences(struct trainer *t)
{
    sequence_feed_release(&t->sequence_feed);
    sequence_feed_release(&t->sequence_test_feed);
    for (int b = 0; b < BUCKETS; b++) {
        struct trainer_bucket *bucket = &t->bucket[b];
        if (bucket->test != t->test)
            program_free(bucket->test);
        if (bucket->program != t->program)
            program_free(bucket->program);
        if (bucket->graph != t->graph)
            graph_free(bucket->graph);
    }
    if (t->sequences)
        sequences_close(t->sequences);
    free(t->sequences);
    t->sequences = NULL;
}

/* ----------------------------------------------------------------------- noise */

/* Steps of the longest input that is a sequence. */
static int32_t steps_of(const struct program *p)
{
    const struct tensor *t;
    int32_t most = 1;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        if (t->type == NN_I32 && t->shape.dim[1] > most)
            most = t->shape.dim[1];
        else if (t->type == NN_F32 && t->shape.dim[2] > 0 && t->shape.dim[1] > most)
            most = t->shape.dim[1];
    return most;
}

/* "source_length" is about "source"; "length" about the longest. */
static int32_t whole_length(const struct program *p, const char *name)
{
    char of[64];
    const size_t n = strlen(name) - strlen("_length");
    const struct tensor *t = NULL;
    if (strlen(name) > strlen("_length") && n < sizeof of) {
        memcpy(of, name, n);
        of[n] = '\0';
        t = program_find(p, TENSOR_INPUT, of);
    }
    return t && t->shape.dim[1] > 0 ? t->shape.dim[1] : steps_of(p);
}

static bool is_length(const char *name)
{
    const size_t n = strlen(name), k = strlen("length");
    return n >= k && strcmp(name + n - k, "length") == 0;
}

void trainer_draw_inputs(struct program *p, const struct nn_graph *g, uint64_t seed, bool poison)
{
    const struct tensor *t;
    const int classes = graph_classes(g) > 0 ? graph_classes(g) : 1;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        struct rng r = rng_make(seed, rng_stream(t->name));
        const int asked = graph_tokens(g, t->name), below = asked > 0 ? asked : classes;
        for (size_t k = 0; k < t->elements; k++)
            if (t->type == NN_F32)
                ((float *)t->data)[k] = poison ? NAN : (float)rng_normal(&r);
            else if (is_length(t->name))
                ((int32_t *)t->data)[k] = whole_length(p, t->name);
            else
                ((int32_t *)t->data)[k] = (int32_t)rng_below(&r, (uint32_t)below);
    }
}

/* ------------------------------------------------------------------ evaluation */

/* A batch's means count for its predictions: those of full batches and last ones, long sequences
 * and short ones alike. */
static void add_batch(struct score *s, const struct program *p, double counted)
{
    s->loss += counted * (double)program_loss(p);
    for (int i = 0; i < s->metrics; i++)
        s->metric[i].value += counted * (double)program_metric(p, i);
}

bool trainer_evaluate_sequences(struct trainer *t, bool (*look)(void *arg), void *arg,
                                struct score *score)
{
    struct score s = *score;
    struct sequence_feed *f = &t->sequence_test_feed;
    double all = 0;
    sequence_feed_start(f, 0);
    for (int b = 0; b < t->buckets.count; b++)
        program_clear_state(t->bucket[b].test);
    do {
        const struct trainer_bucket *b = &t->bucket[sequence_feed_bucket(f)];
        t->ran = b->test;
        if (!program_run(b->test))
            return false;
        const double counted = sequence_feed_counted(f, &b->test_inputs);
        add_batch(&s, b->test, counted);
        all += counted;
    } while ((!look || look(arg)) && sequence_feed_next(f));
    s.loss /= all;
    for (int i = 0; i < s.metrics; i++)
        s.metric[i].value /= all;
    *score = s;
    return true;
}
