/* prefix_net.c — see prefix_net.h. */
#include "train/prefix_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FEWEST_ROWS = 8, CLASSES = 24 };

static const char *const fed[] = {"target", "target_length", "tokens", "length", "next", NULL};

/* A program and the graph that it came from. */
struct built {
    struct nn_graph *graph;
    struct program *program;
};

struct prefix_net {
    struct prefix_wish wish;
    int tokens;
    struct built given; /* the source's part; none: there is no source */
    struct built
        *last[CLASSES];      /* [half][most + 1]: by how often the rows were halved, and by steps */
    int half;                /* of the rows that are left */
    int32_t *source, *steps; /* [batch][source_steps], [batch]: of the rows that are left */
};

static void built_release(struct built *b)
{
    program_free(b->program);
    graph_free(b->graph);
    *b = (struct built){0};
}

/* -------------------------------------------------------------------- building */

struct nn_graph *prefix_net_graph(const struct prefix_wish *w, int batch, int source, int prefix)
{
    struct nn_graph *g = graph_new(batch);
    for (int i = 0; i < w->language->inputs; i++) {
        const struct language_input *in = &w->language->input[i];
        const bool is_source = strcmp(in->name, "source") == 0;
        const int steps = is_source ? source : prefix;
        if (in->tokens > 0)
            graph_set_tokens(g, in->name, in->tokens);
        if (steps > 0 && strcmp(in->name, "label") != 0)
            graph_set_length(g, in->name, steps);
    }
    w->plugin->facts.build(g, w->variant->config);
    return g;
}

static bool is_prefix(const char *name)
{
    return strcmp(name, "target") == 0 || strcmp(name, "tokens") == 0;
}

/* What the network wants must be what it will be fed. */
static bool check_inputs(const struct prefix_wish *w, const struct program *p, int prefix,
                         struct err *err)
{
    static const struct {
        const char *name;
        bool steps, source;
    } known[] = {{"target", true, false},         {"tokens", true, false},
                 {"class", false, true},          {"source", true, true},
                 {"target_length", false, false}, {"length", false, false},
                 {"source_length", false, true}};
    const struct tensor *t;
    bool spoken_to = false;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        size_t k = 0;
        if (strcmp(t->name, "next") == 0)
            continue;
        while (k < sizeof known / sizeof *known && strcmp(known[k].name, t->name) != 0)
            k++;
        if (k == sizeof known / sizeof *known || t->type != NN_I32)
            return err_set(err, "the network's input '%s' is nothing that can be said", t->name);
        const int steps = known[k].source ? w->source_steps : prefix;
        const int found = t->shape.dim[1];
        if (found != (known[k].steps ? steps : 0) || (found && t->shape.dim[2]))
            return err_set(err, "the network wants %d steps of '%s', whatever it is told: %d",
                           found, t->name, steps);
        spoken_to = spoken_to || is_prefix(t->name);
    }
    return spoken_to || err_set(err, "the network does not read what it says");
}

/* Kernels read what the vocabulary has tokens for. */
static bool check_scores(const struct prefix_wish *w, const struct program *p, struct err *err)
{
    const struct tensor *out = program_tensor(p, TENSOR_OUTPUT, 0);
    const struct language_input *next = language_input(w->language, "next");
    const int wanted = next ? next->tokens : 0;
    int last = 0, rank = 0;
    for (; out && rank <= NN_MAX_RANK && out->shape.dim[rank]; rank++)
        last = out->shape.dim[rank];
    return (rank == 3 && out->shape.dim[1] == 1 && last == wanted) ||
           err_set(err, "the network scores %d tokens a step, expected %d", last, wanted);
}

static bool make(struct prefix_net *net, struct built *to, int part, int batch, int prefix,
                 struct err *err)
{
    const struct prefix_wish *w = &net->wish;
    const struct built *longest = net->last[0] ? &net->last[0][w->most] : NULL;
    struct program_options o = {
        .threads = w->threads,
        .no_lanes = true,
        .share = w->share,
        .part = part,
        .fed = fed,
    };
    if (part == PROGRAM_LAST) {
        o.back = w->spells;
        o.given = net->given.program;
        o.lend = longest && longest->program ? longest->program : w->lend;
    }
    struct built b = {.graph = prefix_net_graph(w, batch, w->source_steps, prefix)};
    const char *error = graph_error(b.graph);
    if (error)
        err_set(err, "%s", error);
    else
        b.program = program_new(b.graph, &o, err);
    if (b.program && part == PROGRAM_LAST &&
        (!check_inputs(w, b.program, prefix, err) || !check_scores(w, b.program, err))) {
        built_release(&b);
        return false;
    }
    if (b.program)
        *to = b;
    else
        graph_free(b.graph);
    return to->program != NULL;
}

static int rows_of(const struct prefix_net *net, int half) { return net->wish.batch >> half; }

/* The program for the rows that are left and so many steps. */
static struct program *last_of(struct prefix_net *net, int steps, struct err *err)
{
    struct built **of = &net->last[net->half];
    if (!*of)
        *of = xcalloc((size_t)net->wish.most + 1, sizeof **of);
    struct built *b = &(*of)[steps];
    if (!b->program && !make(net, b, PROGRAM_LAST, rows_of(net, net->half), steps, err))
        return NULL;
    return b->program;
}

struct prefix_net *prefix_net_new(const struct prefix_wish *w, struct err *err)
{
    struct prefix_net *net = xcalloc(1, sizeof *net);
    net->wish = *w;
    net->source = xcalloc((size_t)w->batch * (size_t)w->source_steps + 1, sizeof *net->source);
    net->steps = xcalloc((size_t)w->batch, sizeof *net->steps);
    bool fine = true;
    if (w->source_steps > 0)
        fine = make(net, &net->given, PROGRAM_GIVEN, w->batch, 1, err);
    /* the longest first: all others fit into its arena */
    const struct program *longest = fine ? last_of(net, w->most, err) : NULL;
    if (!longest) {
        prefix_net_free(net);
        return NULL;
    }
    const struct tensor *out = program_tensor(longest, TENSOR_OUTPUT, 0);
    net->tokens = out->shape.dim[2];
    return net;
}

void prefix_net_free(struct prefix_net *net)
{
    if (!net)
        return;
    for (int half = CLASSES; half-- > 0;) /* the longest of the most rows lends to all */
        for (int steps = 0; net->last[half] && steps <= net->wish.most; steps++)
            built_release(&net->last[half][steps]);
    for (int half = 0; half < CLASSES; half++)
        free(net->last[half]);
    built_release(&net->given);
    free(net->source);
    free(net->steps);
    free(net);
}

int prefix_net_tokens(const struct prefix_net *net) { return net->tokens; }

static struct program *longest_of(const struct prefix_net *net)
{
    return net->last[0][net->wish.most].program;
}

bool prefix_net_has_state(const struct prefix_net *net)
{
    return program_tensor(longest_of(net), TENSOR_STATE, 0) != NULL;
}

void prefix_net_clear(struct prefix_net *net) { program_clear_state(longest_of(net)); }

/* --------------------------------------------------------------------- running */

static void fill(const struct prefix_net *net, struct program *p, const int32_t *prefix,
                 size_t stride, int n, int length)
{
    const struct tensor *t;
    const int rows = program_batch(p);
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        int32_t *to = t->data;
        const size_t each = t->elements / (size_t)rows;
        const bool of_source = strncmp(t->name, "source", 6) == 0, is_length = t->shape.dim[1] == 0;
        const bool is_next = strcmp(t->name, "next") == 0;
        for (int r = 0; r < rows; r++, to += each)
            if (strcmp(t->name, "class") == 0)
                *to = net->wish.of_class;
            else if (is_length)
                *to = of_source ? net->steps[r] : length;
            else if (of_source)
                memcpy(to, net->source + (size_t)r * each, each * sizeof *to);
            else if (is_next || r >= n)
                for (size_t k = 0; k < each; k++)
                    to[k] = is_next ? -1 : 0;
            else
                memcpy(to, prefix + (size_t)r * stride, each * sizeof *to);
    }
}

void prefix_net_read(struct prefix_net *net, int rows, const int32_t *const *source,
                     const int *steps)
{
    const size_t S = (size_t)net->wish.source_steps;
    net->half = 0;
    memset(net->source, 0, (size_t)net->wish.batch * S * sizeof *net->source);
    for (int i = 0; i < net->wish.batch; i++) {
        net->steps[i] = i < rows ? steps[i] : 1;
        if (i < rows)
            memcpy(net->source + (size_t)i * S, source[i], (size_t)steps[i] * sizeof **source);
    }
    if (!net->given.program)
        return;
    fill(net, net->given.program, NULL, 0, 0, 1);
    (void)program_run(net->given.program);
}

/* Row from[i] becomes row i. */
static void keep_rows(struct prefix_net *net, int n, const int *from)
{
    const size_t S = (size_t)net->wish.source_steps;
    for (int i = 0; i < n; i++) {
        if (from[i] == i)
            continue;
        memcpy(net->source + (size_t)i * S, net->source + (size_t)from[i] * S,
               S * sizeof *net->source);
        net->steps[i] = net->steps[from[i]];
    }
    if (net->given.program)
        program_keep_rows(net->given.program, from, n);
}

bool prefix_net_are_finite(const float *x, size_t n)
{
    float sum = 0; /* x - x is 0 or NaN */
    for (size_t i = 0; i < n; i++)
        sum += x[i] - x[i];
    return sum == 0;
}

const float *prefix_net_scores(struct prefix_net *net, const int32_t *prefix, size_t stride, int n,
                               int length, const int *from, struct err *err)
{
    if (from)
        keep_rows(net, n, from);
    while (from && net->half + 1 < CLASSES && rows_of(net, net->half + 1) >= n &&
           rows_of(net, net->half + 1) >= FEWEST_ROWS)
        net->half++;
    struct program *p = last_of(net, length + net->wish.spells, err);
    if (!p)
        return NULL;
    fill(net, p, prefix, stride, n, length);
    (void)program_run(p);
    const float *scores = program_tensor(p, TENSOR_OUTPUT, 0)->data;
    if (prefix_net_are_finite(scores, (size_t)n * (size_t)net->tokens))
        return scores;
    err_set(err, "a score behind %d tokens is not finite", length);
    return NULL;
}
