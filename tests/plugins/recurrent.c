/* Two recurrent layers with all that they can be given: lengths, first states, both directions.
 * What the first leaves behind is where the second begins. For t_golden: PyTorch says what comes
 * out. */
#include <plugin.h>

enum { STEPS = 7, VALUES = 5, UNITS = 19, CLASSES = 6 };

struct net {
    nn_value (*layer)(nn_value x, struct nn_recurrent_opts o, const char *at);
    struct nn_recurrent_opts o;
    bool has_cell;
};

static nn_value state(nn_value x, const char *row)
{
    nn_row(x.graph, "%s", row);
    return nn_tanh(nn_linear(nn_at(x, 0), UNITS));
}

static void build_two(struct nn_graph *g, const struct net *m)
{
    const int T = nn_length(g, "values", STEPS);
    const nn_value x = nn_input(g, "values", NN_F32, NN_SHAPE(T, VALUES));
    const nn_value length = nn_input(g, "length", NN_I32, NN_SCALAR);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    struct nn_recurrent_opts o = m->o;
    o.hidden = UNITS;
    o.h0 = state(x, "begin");
    if (m->has_cell)
        o.c0 = state(x, "cell");
    o.length = length;
    nn_row(g, "first");
    nn_value y = m->layer(x, o, NN_HERE);
    o.h0 = o.reverse ? nn_at(y, 0) : nn_last(y, length);
    if (m->has_cell)
        o.c0 = nn_final_cell(y);
    o.length = (nn_value){0};
    nn_row(g, "second");
    y = m->layer(y, o, NN_HERE);
    nn_row(g, "output");
    y = nn_linear(y, CLASSES);
    nn_minimize(nn_cross_entropy(y, next));
    nn_metric("accuracy", nn_accuracy(y, next));
}

/* For the program's --init: small enough to be written down. */
static void build_adding(struct nn_graph *g)
{
    const int T = nn_length(g, "values", 4);
    const nn_value x = nn_input(g, "values", NN_F32, NN_SHAPE(T, 2));
    const nn_value target = nn_input(g, "target", NN_F32, NN_SHAPE(1));
    nn_row(g, "lstm");
    const nn_value h = nn_at(nn_lstm(x, 1), -1);
    nn_row(g, "linear");
    const nn_value loss = nn_mse(nn_linear(h, 1), target);
    nn_minimize(loss);
    nn_metric("mse", loss);
}

static void build(struct nn_graph *g, const void *config)
{
    if (config)
        build_two(g, config);
    else
        build_adding(g);
}

#define NET(...)  (&(const struct net){__VA_ARGS__})
#define LSTM(...) NET(.layer = nn_lstm_, .has_cell = true, .o = {__VA_ARGS__})
/* clang-format off */
static const struct nn_variant variants[] = {
    {.name = "rnn", .about = "tanh", .config = NET(.layer = nn_rnn_)},
    {.name = "rnn-relu", .about = "rectified", .config = NET(.layer = nn_rnn_, .o = {.relu = true})},
    {.name = "rnn-reverse", .about = "from behind", .config = NET(.layer = nn_rnn_, .o = {.reverse = true})},
    {.name = "lstm", .about = "Gers et al. 2000", .config = LSTM(.reverse = false)},
    {.name = "lstm-reverse", .about = "from behind", .config = LSTM(.reverse = true)},
    {.name = "lstm-peephole", .about = "gates see the cell", .config = LSTM(.peepholes = true)},
    {.name = "lstm-1997", .about = "never forgets", .config = LSTM(.no_forget = true)},
    {.name = "gru", .about = "as PyTorch has it", .config = NET(.layer = nn_gru_)},
    {.name = "gru-reverse", .about = "from behind", .config = NET(.layer = nn_gru_, .o = {.reverse = true})},
    {.name = "gru-before", .about = "Cho et al. 2014", .config = NET(.layer = nn_gru_, .o = {.reset_before = true})},
    {.name = "adding", .about = "one unit", .task = "adding:4"},
    {0},
};
/* clang-format on */
static const struct nn_recipe recipe = {NN_RECIPE_HEADER, .batch = 6, .epochs = 1,
                                        .optimizer = NN_SGD, .rate = 0.1f};

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,     .year = 2000,         .name = "recurrent",    .title = "recurrent",
    .citation = "nobody", .about = "for tests", .dataset = "sequences", .variants = variants,
    .recipe = &recipe,    .build = build,
};
NN_PLUGIN_NOTE("recurrent", 2000, "recurrent",
               "rnn rnn-relu rnn-reverse lstm lstm-reverse lstm-peephole lstm-1997 gru gru-reverse "
               "gru-before adding");
