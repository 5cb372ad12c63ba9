/* Networks for sequences made of primitive ops: small, quick, and good enough to learn a little. */
#include <plugin.h>

enum { WIDTH = 32, WINDOW = 8 };

static void adding(struct nn_graph *g)
{
    const int T = nn_length(g, "values", 6);
    const nn_value x = nn_input(g, "values", NN_F32, NN_SHAPE(T, 2));
    const nn_value target = nn_input(g, "target", NN_F32, NN_SHAPE(1));
    nn_row(g, "hidden");
    const nn_value h = nn_tanh(nn_linear(nn_flatten(x), WIDTH));
    nn_row(g, "output");
    const nn_value y = nn_linear(h, 1), loss = nn_mse(y, target);
    nn_minimize(loss);
    nn_metric("mse", loss);
}

static nn_value embedded(struct nn_graph *g, const char *name, int T)
{
    const int tokens = nn_tokens(g, name, 10);
    const nn_value i = nn_input(g, name, NN_I32, NN_SHAPE(T));
    nn_row(g, "%s", name);
    const struct nn_init init = {NN_INIT_NORMAL, 0.1f};
    return nn_gather(nn_param(g, "embedding", NN_SHAPE(tokens, WIDTH), init), i);
}

static void judge(nn_value scores, nn_value next)
{
    nn_minimize(nn_cross_entropy(scores, next));
    nn_metric("accuracy", nn_accuracy(scores, next));
}

static void copy(struct nn_graph *g)
{
    const int T = nn_length(g, "tokens", 22), tokens = nn_tokens(g, "next", 10);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    nn_value x = nn_flatten(embedded(g, "tokens", T));
    nn_row(g, "output");
    x = nn_linear(x, T * tokens);
    judge(nn_reshape(x, NN_SHAPE(T, tokens)), next);
}

/* The target's letters alone; the source is read, and does not help. */
static void translate(struct nn_graph *g)
{
    const int S = nn_length(g, "source", 5), T = nn_length(g, "target", 6);
    const nn_value source = embedded(g, "source", S), target = embedded(g, "target", T);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    (void)nn_input(g, "source_length", NN_I32, NN_SCALAR);
    (void)nn_input(g, "target_length", NN_I32, NN_SCALAR);
    nn_row(g, "mood");
    const nn_value mood = nn_linear(nn_mean(source, 1), WIDTH);
    nn_row(g, "output");
    judge(nn_linear(target, nn_tokens(g, "next", 10)), next);
    nn_metric("mood", nn_mean(nn_mean(mood, 1), 0));
}

/* A state that is carried on, and says something about the letters before. */
static void text(struct nn_graph *g)
{
    const int T = nn_length(g, "tokens", WINDOW);
    const nn_value x = embedded(g, "tokens", T), next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    nn_row(g, "state");
    const nn_value before = nn_state(g, "mean", NN_SHAPE(WIDTH));
    nn_assign(before, nn_add(nn_scale(before, 0.5f), nn_scale(nn_mean(x, 1), 0.5f)));
    nn_row(g, "context");
    const nn_value context = nn_tanh(nn_linear(before, WIDTH));
    nn_row(g, "output");
    judge(nn_linear(nn_tanh(x), nn_tokens(g, "next", 10)), next);
    nn_metric("context", nn_mean(nn_mean(context, 1), 0));
}

/* A state that matters: what an LSTM holds goes on into the next window. */
static void speak(struct nn_graph *g)
{
    const int T = nn_length(g, "tokens", WINDOW);
    const nn_value x = embedded(g, "tokens", T), next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    nn_row(g, "lstm");
    const nn_value h0 = nn_state(g, "h", NN_SHAPE(2 * WIDTH)),
                   c0 = nn_state(g, "c", NN_SHAPE(2 * WIDTH));
    const nn_value h = nn_lstm(x, 2 * WIDTH, .h0 = h0, .c0 = c0);
    nn_assign(h0, nn_last(h, (nn_value){0}));
    nn_assign(c0, nn_final_cell(h));
    nn_row(g, "output");
    judge(nn_linear(h, nn_tokens(g, "next", 10)), next);
}

/* No state: each line from its beginning. */
static void line(struct nn_graph *g)
{
    const int T = nn_length(g, "tokens", WINDOW);
    const nn_value x = embedded(g, "tokens", T), next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    nn_row(g, "gru");
    const nn_value h = nn_gru(x, 2 * WIDTH, .length = nn_input(g, "length", NN_I32, NN_SCALAR));
    nn_row(g, "output");
    judge(nn_linear(h, nn_tokens(g, "next", 10)), next);
}

/* Luong et al. 2015, and what it looks at. */
static void attend(struct nn_graph *g)
{
    const int S = nn_length(g, "source", 5), T = nn_length(g, "target", 6);
    const nn_value source = embedded(g, "source", S), target = embedded(g, "target", T);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    const nn_value length = nn_input(g, "source_length", NN_I32, NN_SCALAR);
    nn_row(g, "encoder");
    const nn_value read = nn_gru(source, 2 * WIDTH, .length = length);
    nn_row(g, "decoder");
    const nn_value h = nn_gru(target, 2 * WIDTH, .h0 = nn_last(read, length));
    nn_row(g, "attention");
    const nn_value at = nn_softmax(nn_matmul(nn_linear(h, 2 * WIDTH), nn_transpose(read)));
    nn_show("attention", at);
    nn_row(g, "output");
    judge(nn_linear(nn_concat(h, nn_matmul(at, read), 2), nn_tokens(g, "next", 10)), next);
}

static void name(struct nn_graph *g)
{
    const nn_value x = embedded(g, "tokens", nn_length(g, "tokens", 8));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "output");
    judge(nn_linear(nn_mean(x, 1), nn_tokens(g, "label", 10)), label);
}

static void wrong(struct nn_graph *g)
{
    const nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(3));
    nn_minimize(nn_mean(nn_mean(nn_linear(x, 1), 1), 0));
}

struct net {
    void (*build)(struct nn_graph *g);
};
static const struct net of_adding = {adding}, of_copy = {copy}, of_pairs = {translate},
                        of_text = {text}, of_names = {name}, of_wrong = {wrong},
                        of_speech = {speak}, of_lines = {line}, of_attention = {attend};

static void build(struct nn_graph *g, const void *config)
{
    ((const struct net *)config)->build(g);
}

static const struct nn_variant variants[] = {
    {.name = "adding", .about = "sum of two of six", .config = &of_adding, .task = "adding:6"},
    {.name = "copy", .about = "ten symbols", .config = &of_copy, .task = "copy:2"},
    {.name = "reverse", .about = "words", .config = &of_pairs, .task = "reverse:20"},
    {.name = "dates", .about = "days", .config = &of_pairs, .task = "dates"},
    {.name = "addition", .about = "numbers", .config = &of_pairs, .task = "addition:2"},
    {.name = "text", .about = "characters", .config = &of_text, .task = "text"},
    {.name = "names", .about = "languages", .config = &of_names, .task = "names"},
    {.name = "pairs", .about = "sentences", .config = &of_pairs, .task = "pairs"},
    {.name = "speak", .about = "characters", .config = &of_speech, .task = "text"},
    {.name = "words", .about = "words", .config = &of_speech, .task = "words"},
    {.name = "lines", .about = "names", .config = &of_lines, .task = "lines"},
    {.name = "attend", .about = "short words", .config = &of_attention, .task = "reverse:4"},
    {.name = "wrong", .about = "wants what no task gives", .config = &of_wrong, .task = "copy:2"},
    {.name = "no-task", .about = "a task nobody knows", .config = &of_copy, .task = "copi:2"},
    {0},
};
static const struct nn_recipe recipe = {NN_RECIPE_HEADER, .batch = 32, .epochs = 2,
                                        .optimizer = NN_ADAM, .rate = 3e-3f};

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,     .year = 2000,         .name = "sequences",    .title = "sequences",
    .citation = "nobody", .about = "for tests", .dataset = "sequences", .variants = variants,
    .recipe = &recipe,    .build = build,
};
NN_PLUGIN_NOTE(
    "sequences", 2000, "sequences",
    "adding copy reverse dates addition text names pairs speak words lines attend wrong no-task");
