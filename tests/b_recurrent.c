/* b_recurrent — ms per training step of a character model with one recurrent layer, for comparing
 * with other frameworks: the last line printed is the median.
 *
 *     b_recurrent [rnn|lstm|gru] [HIDDEN] [--batch N] [--length T] [--threads N] [--seconds S]
 * [--ops]
 *
 * 65 characters, embedded in HIDDEN numbers, the layer, scores and cross entropy at each of T = 64
 * steps, batch 64; forward, backward and Adam. --ops: a table of all ops. */
#include "nn.h"
#include "tests/step_bench.h"

enum { CHARACTERS = 65 };

struct options {
    struct step_bench bench;
    const char *cell;
    int hidden, length;
};

static void build(struct nn_graph *g, const struct options *o)
{
    const nn_value tokens = nn_input(g, "tokens", NN_I32, NN_SHAPE(o->length));
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(o->length));
    nn_row(g, "embedding");
    const nn_value x = nn_gather(
        nn_param(g, "weight", NN_SHAPE(CHARACTERS, o->hidden), ((struct nn_init){0})), tokens);
    nn_row(g, "hidden");
    const nn_value h = strcmp(o->cell, "rnn") == 0    ? nn_rnn(x, o->hidden)
                       : strcmp(o->cell, "lstm") == 0 ? nn_lstm(x, o->hidden)
                                                      : nn_gru(x, o->hidden);
    nn_row(g, "scores");
    nn_minimize(nn_cross_entropy(nn_linear(h, CHARACTERS), next));
}

static struct options options_of(int argc, char **argv)
{
    struct options o = {{64, 2, 2.0, false}, "lstm", 256, 64};
    int words = 0;
    for (int i = 1; i < argc; i++)
        if (step_bench_takes(&o.bench, argc, argv, &i))
            continue;
        else if (strcmp(argv[i], "--length") == 0 && i + 1 < argc)
            o.length = atoi(argv[++i]);
        else if (words++ == 0)
            o.cell = argv[i];
        else
            o.hidden = atoi(argv[i]);
    return o;
}

int main(int argc, char **argv)
{
    const struct options o = options_of(argc, argv);
    struct nn_graph *g = graph_new(o.bench.batch);
    build(g, &o);
    const int status = step_bench_adam(g, &o.bench, CHARACTERS);
    graph_free(g);
    return status;
}
