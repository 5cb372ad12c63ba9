/* b_seq2seq — ms per training step of Bahdanau's encoder and decoder, for comparing with other
 * frameworks: the last line printed is the median.
 *
 *     b_seq2seq [HIDDEN] [--batch N] [--length T] [--source S] [--vocabulary V] [--threads N]
 *               [--seconds S] [--ops]
 *
 * 4000 words a side, embedded in 256 numbers; an LSTM of HIDDEN = 256 over S = 20 words; one over T
 * = 20 that attends to its states inside the loop and begins where it ended; scores from state and
 * context and cross entropy at each step; batch 64; forward, backward and Adam. --ops: a table of
 * all ops. */
#include "nn.h"
#include "tests/step_bench.h"

enum { EMBEDDED = 256 };

struct options {
    struct step_bench bench;
    int hidden, length, source, vocabulary;
};

static nn_value embedded(struct nn_graph *g, const char *name, nn_value words, int vocabulary)
{
    nn_row(g, "%s", name);
    const nn_value table =
        nn_param(g, "weight", NN_SHAPE(vocabulary, EMBEDDED), ((struct nn_init){0}));
    return nn_gather(table, words);
}

static void build(struct nn_graph *g, const struct options *o)
{
    const nn_value source = nn_input(g, "source", NN_I32, NN_SHAPE(o->source));
    const nn_value target = nn_input(g, "target", NN_I32, NN_SHAPE(o->length));
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(o->length));
    const nn_value x = embedded(g, "source", source, o->vocabulary);
    const nn_value y = embedded(g, "target", target, o->vocabulary);
    nn_row(g, "encoder");
    const nn_value h = nn_lstm(x, o->hidden);
    nn_row(g, "keys");
    const nn_value keys = nn_linear(h, o->hidden, .no_bias = true);
    nn_row(g, "decoder");
    const nn_value s = nn_lstm(y, o->hidden, .h0 = nn_at(h, -1), .c0 = nn_final_cell(h),
                               .attend_keys = keys, .attend_values = h);
    nn_row(g, "scores");
    const nn_value both = nn_concat(s, nn_context(s), 2);
    nn_minimize(nn_cross_entropy(nn_linear(both, o->vocabulary), next));
}

static struct options options_of(int argc, char **argv)
{
    struct options o = {{64, 2, 2.0, false}, 256, 20, 20, 4000};
    for (int i = 1; i < argc; i++)
        if (step_bench_takes(&o.bench, argc, argv, &i))
            continue;
        else if (strcmp(argv[i], "--length") == 0 && i + 1 < argc)
            o.length = atoi(argv[++i]);
        else if (strcmp(argv[i], "--source") == 0 && i + 1 < argc)
            o.source = atoi(argv[++i]);
        else if (strcmp(argv[i], "--vocabulary") == 0 && i + 1 < argc)
            o.vocabulary = atoi(argv[++i]);
        else
            o.hidden = atoi(argv[i]);
    return o;
}

int main(int argc, char **argv)
{
    const struct options o = options_of(argc, argv);
    struct nn_graph *g = graph_new(o.bench.batch);
    build(g, &o);
    const int status = step_bench_adam(g, &o.bench, o.vocabulary);
    graph_free(g);
    return status;
}
