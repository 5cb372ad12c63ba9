/* tasks.h — what recurrent networks are given and asked, the same for rnn, lstm and gru, which
 * differ in the layer between.
 *
 *     one to one     a whole picture as a single step            -> its class
 *     many to one    a picture, line by line or by pixels        -> its class
 *                    numbers, two of them marked                 -> their sum
 *                    a name, letter by letter                    -> its language
 *     many to many   a text                                      -> its next character
 *                    ten symbols, then nothing for a long time   -> the same symbols again
 *     one to many    a language                                  -> a name
 *
 * Numbers of tokens are those of the published networks; data that is open has its own. */
#ifndef TASKS_H
#define TASKS_H

#include "plugin.h"

/* clang-format off */
enum {
    CHARACTERS = 65,              /* of tiny Shakespeare */
    SYMBOLS = 10,                 /* of the copy task: eight, a blank and a mark */
    LETTERS = 57, LANGUAGES = 18, /* of PyTorch's tutorial of names */
};

struct net {
    void (*task)(struct nn_graph *g, const struct net *m);
    nn_value (*layer)(nn_value x, struct nn_recurrent_opts cell, const char *at); /* nn_rnn_, … */
    struct nn_recurrent_opts cell;
    int steps;      /* where the data leaves them open */
    int layers;     /* of stacked() */
    bool both_ways; /* names(): a second layer reads from the end */
    nn_value (*by_hand)(nn_value x, const struct net *m); /* instead of `layer`: h of the last step */
};
/* clang-format on */

static const nn_value all_steps; /* where lengths could be given */

/* ------------------------------------------------------------------ ends */

/* Tokens as vectors with a single 1: products with them count as such, which is how sizes of
 * character models are published. */
static inline nn_value one_hot(struct nn_graph *g, const char *name, int steps, int tokens)
{
    const int V = nn_tokens(g, name, tokens), T = nn_length(g, name, steps);
    const nn_value i = nn_input(g, name, NN_I32, NN_SHAPE(T));
    nn_row(g, "one_hot");
    return nn_gather(nn_random(g, name, NN_SHAPE(V, V), ((struct nn_init){NN_INIT_IDENTITY, 1})),
                     i);
}

/* A vector for each token, learnt: [N,T,width], or [N,width] of one token a sample (steps 0). */
static inline nn_value embedded(struct nn_graph *g, const char *name, int steps, int tokens,
                                int width, struct nn_init init)
{
    const int V = nn_tokens(g, name, tokens), T = steps ? nn_length(g, name, steps) : 0;
    const nn_value i = nn_input(g, name, NN_I32, NN_SHAPE(T));
    nn_row(g, "embedding");
    return nn_gather(nn_param(g, name, NN_SHAPE(V, width), init), i);
}

static inline void say_class(nn_value h, int classes)
{
    struct nn_graph *g = h.graph;
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "output");
    const nn_value y = nn_linear(h, nn_tokens(g, "label", classes));
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

static inline void say_number(nn_value h)
{
    struct nn_graph *g = h.graph;
    const nn_value target = nn_input(g, "target", NN_F32, NN_SHAPE(1));
    nn_row(g, "output");
    const nn_value loss = nn_mse(nn_linear(h, 1), target);
    nn_minimize(loss);
    nn_metric("mse", loss);
}

/* A token at each step. Where chance has its part the quality is the loss, in nats a token; else it
 * is the share that is right. */
enum quality { BY_LOSS, BY_ACCURACY };
static inline void say_tokens(nn_value h, int tokens, enum quality quality)
{
    struct nn_graph *g = h.graph;
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(nn_dim(h, 1)));
    nn_row(g, "output");
    const nn_value y = nn_linear(h, nn_tokens(g, "next", tokens));
    const nn_value loss = nn_cross_entropy(y, next);
    nn_minimize(loss);
    if (quality == BY_LOSS)
        nn_metric("loss", loss);
    nn_metric("accuracy", nn_accuracy(y, next));
}

/* ----------------------------------------------------------------- layers */

static inline nn_value layer(nn_value x, const struct net *m, nn_value length, bool reverse)
{
    struct nn_recurrent_opts cell = m->cell;
    nn_row(x.graph, reverse ? "backward" : "hidden");
    cell.length = length;
    cell.reverse = reverse;
    return m->layer(x, cell, NN_HERE);
}

/* What has been read when all has been read: [N,T,C] -> [N,H]. */
static inline nn_value read_all(nn_value x, const struct net *m)
{
    nn_row(x.graph, "hidden");
    return m->by_hand ? m->by_hand(x, m) : nn_last(layer(x, m, all_steps, false), all_steps);
}

/* The state goes on where the window before ended; no gradient passes there, which truncates
 * back-propagation through time. */
static inline nn_value carried_on(nn_value x, const struct net *m)
{
    struct nn_recurrent_opts cell = m->cell;
    const bool has_cell = m->layer == nn_lstm_;
    cell.h0 = nn_state(x.graph, "h", NN_SHAPE(cell.hidden));
    if (has_cell)
        cell.c0 = nn_state(x.graph, "c", NN_SHAPE(cell.hidden));
    const nn_value h = m->layer(x, cell, NN_HERE);
    nn_assign(cell.h0, nn_last(h, all_steps));
    if (has_cell)
        nn_assign(cell.c0, nn_final_cell(h));
    return h;
}

static inline nn_value stacked(nn_value x, const struct net *m)
{
    for (int i = 1; i <= m->layers; i++) {
        nn_row(x.graph, "hidden%d", i);
        x = carried_on(x, m);
    }
    return x;
}

/* ------------------------------------------------------------------ tasks */

static inline void picture(struct nn_graph *g, const struct net *m)
{
    const nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(784));
    say_class(read_all(nn_reshape(x, NN_SHAPE(m->steps, 784 / m->steps)), m), 10);
}

static inline void adding(struct nn_graph *g, const struct net *m)
{
    const int T = nn_length(g, "values", m->steps);
    say_number(read_all(nn_input(g, "values", NN_F32, NN_SHAPE(T, 2)), m));
}

static inline void copy(struct nn_graph *g, const struct net *m)
{
    const nn_value x = one_hot(g, "tokens", m->steps, SYMBOLS);
    say_tokens(layer(x, m, all_steps, false), SYMBOLS, BY_ACCURACY);
}

static inline void text(struct nn_graph *g, const struct net *m)
{
    const nn_value x = one_hot(g, "tokens", m->steps, CHARACTERS);
    say_tokens(stacked(x, m), CHARACTERS, BY_LOSS);
}

static inline void names(struct nn_graph *g, const struct net *m)
{
    const nn_value x = one_hot(g, "tokens", m->steps, LETTERS);
    const nn_value length = nn_input(g, "length", NN_I32, NN_SCALAR);
    nn_value h = nn_last(layer(x, m, length, false), length);
    if (m->both_ways) /* which ends at the first letter */
        h = nn_concat(h, nn_at(layer(x, m, length, true), 0), 1);
    say_class(h, LANGUAGES);
}

/* ---------------------------------------------------------------- recipes */

/* clang-format off */
/* Adam with one cycle that rises for a tenth of its epochs; gradients of more than 1 are clipped. */
#define ONE_CYCLE(batch_, epochs_, rate_, note_)                                                                       \
    {NN_RECIPE_HEADER, .batch = (batch_), .epochs = (epochs_), .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE,         \
     .rate = (rate_), .warmup_epochs = 0.1f * (epochs_), .final_factor = 0.01f, .clip_norm = 1, .note = (note_)}

#define NET(...)    (&(const struct net){__VA_ARGS__})
#define ORTHOGONAL  .recurrent = {NN_INIT_ORTHOGONAL, 1}
#define LARGE_INPUT .input = {NN_INIT_NORMAL, 1} /* of inputs that are one or two numbers; Glorot's law is for many */
#define UNKNOWN     0, NULL, NULL, NULL
/* clang-format on */

#endif
