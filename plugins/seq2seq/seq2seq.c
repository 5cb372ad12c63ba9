/* Sequence to sequence — a network reads, another one writes.
 *
 *     [1] Sutskever, Vinyals, Le: Sequence to Sequence Learning with Neural Networks.
 *         NIPS 2014, arXiv 1409.3215
 *     [2] Bahdanau, Cho, Bengio: Neural Machine Translation by Jointly Learning to Align
 *         and Translate. ICLR 2015, arXiv 1409.0473
 *     [3] Luong, Pham, Manning: Effective Approaches to Attention-based Neural Machine
 *         Translation. EMNLP 2015, arXiv 1508.04025
 *     [4] Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder.
 *         EMNLP 2014, arXiv 1406.1078
 *
 * An encoder reads the source; what it remembers at the end is where the decoder begins, which is
 * fed the target's tokens up to t - 1 and says token t (teacher forcing: while it learns, always
 * the right ones). What it knows of the source besides is its context c_t: nothing [1], the
 * encoder's last state at each step [4], or what it attends to: a mean of the encoder's states h_j,
 * weighed by how well they match the decoder's state before [2] or behind [3] the step.
 *
 * Sources end where source_length says; behind the target's end nothing is counted. Dropout is
 * between layers, not in time. */
#include "plugin.h"

enum { LAYERS = 4 };
enum context { NO_CONTEXT, LAST_STATE, ADDITIVE, DOT, GENERAL };

/* What the scores of the next token are a linear function of. */
enum readout {
    STATE,    /* s_t [1] */
    JOINED,   /* [s_t; c_t; y_t-1] */
    COMBINED, /* tanh(W [c_t; s_t]) [3] (5) */
    DEEP,     /* tanh(W [s_t; c_t; y_t-1]) */
    MAXOUT,   /* the larger of two linear functions of [s_t-1; y_t-1; c_t]: [2] A.2.2 */
};

struct net {
    int words[2], steps[2]; /* of source and target, where no data tells */
    nn_value (*cell)(nn_value x, struct nn_recurrent_opts o,
                     const char *at); /* nn_lstm_, nn_gru_ */
    int width, layers;                /* of embedded words; of encoder and decoder each */
    struct nn_recurrent_opts o;
    bool reverse;  /* the source is read from its end: [1] 3.3 */
    int both_ways; /* units of an encoder that reads from both ends, each way; 0: a stack of layers
                    */
    bool first_state; /* it leaves what it knows at the source's first word [2], not at both ends */
    enum context context;
    int keys; /* units of ADDITIVE */
    enum readout readout;
    int units; /* of the readout */
    float dropout, smoothing;
    struct nn_init init;
};

/* What has been read. */
struct source {
    nn_value length, states;       /* [N], [N,S,E] */
    nn_value h[LAYERS], c[LAYERS]; /* where the decoder's layers begin */
};

/* What is known when a token is to be said, [N,T,...]: the decoder's states, its contexts, and the
 * words before. */
struct known {
    nn_value s, c, y;
};

static bool has_cell(const struct net *m) { return m->cell == nn_lstm_; }

static nn_value embedded(struct nn_graph *g, const char *name, int which, const struct net *m)
{
    const int T = nn_length(g, name, m->steps[which]), V = nn_tokens(g, name, m->words[which]);
    const nn_value i = nn_input(g, name, NN_I32, NN_SHAPE(T));
    nn_row(g, "%s", name);
    const struct nn_init init = m->init.kind ? m->init : (struct nn_init){NN_INIT_NORMAL, 0.1f};
    const nn_value words = nn_param(g, "weight", NN_SHAPE(V, m->width), init);
    return nn_dropout(nn_gather(words, i), m->dropout);
}

/* ---------------------------------------------------------------- reading */

static void read_stacked(nn_value x, const struct net *m, struct source *s)
{
    struct nn_recurrent_opts o = m->o;
    o.length = s->length;
    o.reverse = m->reverse;
    for (int i = 0; i < m->layers; i++) {
        nn_row(x.graph, "encoder%d", i + 1);
        x = m->cell(i ? nn_dropout(x, m->dropout) : x, o, NN_HERE);
        s->h[i] = m->reverse ? nn_at(x, 0) : nn_last(x, s->length);
        if (has_cell(m))
            s->c[i] = nn_final_cell(x);
    }
    s->states = x;
}

/* What stands around a word is known from both sides [2]; the decoder begins with a layer's view of
 * the ends. */
static void read_both_ways(nn_value x, const struct net *m, struct source *s)
{
    struct nn_recurrent_opts o = m->o;
    o.hidden = m->both_ways;
    o.length = s->length;
    nn_row(x.graph, "encoder_forward");
    const nn_value forward = m->cell(x, o, NN_HERE);
    nn_row(x.graph, "encoder_backward");
    o.reverse = true;
    const nn_value backward = m->cell(x, o, NN_HERE), first = nn_at(backward, 0);
    s->states = nn_concat(forward, backward, 2);
    nn_row(x.graph, "begin");
    const nn_value ends = m->first_state ? first : nn_concat(nn_last(forward, s->length), first, 1);
    s->h[0] = nn_tanh(nn_linear(ends, m->o.hidden, .no_bias = m->o.no_bias));
}

static struct source read_source(struct nn_graph *g, const struct net *m)
{
    struct source s = {0};
    const nn_value x = embedded(g, "source", 0, m);
    s.length = nn_input(g, "source_length", NN_I32, NN_SCALAR);
    if (m->both_ways)
        read_both_ways(x, m, &s);
    else
        read_stacked(x, m, &s);
    return s;
}

/* ---------------------------------------------------------------- writing */

static nn_value write_stacked(nn_value x, const struct source *s, const struct net *m)
{
    struct nn_recurrent_opts o = m->o;
    for (int i = 0; i < m->layers; i++) {
        nn_row(x.graph, "decoder%d", i + 1);
        o.h0 = s->h[i];
        o.c0 = s->c[i];
        x = m->cell(i ? nn_dropout(x, m->dropout) : x, o, NN_HERE);
    }
    return x;
}

/* e_tj = v' tanh(W s_t-1 + U h_j): [2] A.1.2. U h is made once; the rest is inside of the loop. */
static nn_value write_attending(nn_value y, const struct source *s, const struct net *m)
{
    struct nn_recurrent_opts o = m->o;
    nn_row(y.graph, "keys");
    o.attend_keys = nn_linear(s->states, m->keys, .no_bias = m->o.no_bias);
    o.attend_values = s->states;
    o.attend_length = s->length;
    o.h0 = s->h[0];
    nn_row(y.graph, "decoder");
    const nn_value x = m->cell(y, o, NN_HERE);
    nn_show("attention", nn_attention(x));
    return x;
}

/* Global attention, [3] (7) and (8): h_j' s_t or h_j' W s_t. */
static nn_value look_back(nn_value x, const struct source *s, const struct net *m)
{
    nn_row(x.graph, "attention");
    if (m->context == GENERAL)
        x = nn_linear(x, nn_dim(s->states, 2), .no_bias = true);
    const nn_value c = nn_attend(x, s->states, .length = s->length);
    nn_show("attention", nn_attention(c));
    return c;
}

static struct known write_target(nn_value y, const struct source *s, const struct net *m)
{
    struct known k = {.y = y};
    if (m->context == ADDITIVE) {
        k.s = write_attending(y, s, m);
        k.c = nn_context(k.s);
        return k;
    }
    if (m->context == LAST_STATE)
        k.c = nn_repeat(s->h[0], 1, nn_dim(y, 1));
    k.s = write_stacked(m->context == LAST_STATE ? nn_concat(y, k.c, 2) : y, s, m);
    if (m->context == DOT || m->context == GENERAL)
        k.c = look_back(k.s, s, m);
    return k;
}

/* s_t-1, and where the decoder begins before its first step. */
static nn_value states_before(nn_value s, nn_value h0)
{
    const int T = nn_dim(s, 1);
    const nn_value first = nn_reshape(h0, NN_SHAPE(1, nn_dim(h0, 1)));
    return T > 1 ? nn_concat(first, nn_slice(s, 1, 0, T - 1), 1) : first;
}

/* max(a, b) of the halves: pairs in another order. */
static nn_value maxout(nn_value x)
{
    const int units = nn_dim(x, 2) / 2;
    const nn_value a = nn_slice(x, 2, 0, units), b = nn_slice(x, 2, units, 2 * units);
    return nn_add(a, nn_relu(nn_sub(b, a)));
}

static nn_value read_out(const struct known *k, const struct source *s, const struct net *m)
{
    const bool no_bias = m->o.no_bias;
    if (m->readout == JOINED)
        return nn_join(2, k->s, k->c, k->y);
    nn_row(k->s.graph, "readout");
    if (m->readout == COMBINED)
        return nn_tanh(nn_linear(nn_concat(k->c, k->s, 2), m->units, .no_bias = no_bias));
    if (m->readout == DEEP)
        return nn_tanh(nn_linear(nn_join(2, k->s, k->c, k->y), m->units, .no_bias = no_bias));
    if (m->readout == MAXOUT)
        return maxout(nn_linear(nn_join(2, states_before(k->s, s->h[0]), k->y, k->c), 2 * m->units,
                                .no_bias = no_bias));
    return k->s;
}

static void say(nn_value x, const struct net *m)
{
    struct nn_graph *g = x.graph;
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(nn_dim(x, 1)));
    nn_row(g, "output");
    const nn_value scores =
        nn_linear(x, nn_tokens(g, "next", m->words[1]), .no_bias = m->o.no_bias);
    nn_minimize(nn_smooth_cross_entropy(scores, next, m->smoothing));
    nn_metric("accuracy", nn_accuracy(scores, next));
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    if (m->init.kind)
        nn_default_init(g, m->init);
    const struct source s = read_source(g, m);
    const struct known k = write_target(embedded(g, "target", 1, m), &s, m);
    const nn_value x = read_out(&k, &s, m);
    say(m->readout == JOINED ? x : nn_dropout(x, m->dropout), m);
}

/* clang-format off */
#define NET(...)   (&(const struct net){__VA_ARGS__})
#define UNKNOWN    0, NULL, NULL, NULL
#define UNIFORM(a) {NN_INIT_UNIFORM, a}
#define LUONG      .cell = nn_lstm_, .layers = 4, .width = 1000, .o = {.hidden = 1000, .no_bias = true}, .init = UNIFORM(0.1f), \
                   .readout = COMBINED, .units = 1000
#define TOY        .cell = nn_gru_, .width = 32, .both_ways = 64, .o = {.hidden = 128}, .context = ADDITIVE, .keys = 64, .readout = JOINED
#define LSTM_STACK(layers_, hidden_) .cell = nn_lstm_, .layers = layers_, .o = {.hidden = hidden_}

static const struct nn_recipe recipe_sutskever = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 8, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 0.7f, .clip_norm = 5,
    .steps = {{5.0f, 1.0f / 2}, {5.5f, 1.0f / 4}, {6.0f, 1.0f / 8}, {6.5f, 1.0f / 16}, {7.0f, 1.0f / 32}},
    .note = "eight epochs for seven and a half; no beam search, no ensemble"
};
static const struct nn_recipe recipe_luong = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 10, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 1.0f, .clip_norm = 5,
    .steps = {{5, 1.0f / 2}, {6, 1.0f / 4}, {7, 1.0f / 8}, {8, 1.0f / 16}, {9, 1.0f / 32}},
    .note = "without dropout: the first rows of the paper's Table 1; sources longer than 50 words are kept"
};
static const struct nn_recipe recipe_multi30k = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 10, .optimizer = NN_ADAM, .rate = 1e-3f, .clip_norm = 1,
    .note = "always fed the right word (teacher forcing 1), where the tutorials toss a coin; lower case, "
            "words by our tokenizer for spaCy's"
};
static const struct nn_recipe recipe_plain = {
    NN_RECIPE_HEADER,
    .batch = 64, .epochs = 10, .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE, .rate = 1e-3f, .clip_norm = 1,
    .warmup_epochs = 1, .final_factor = 0.05f,
    .note = "two layers of 384 for four of 1000; Adam with one cycle of rates for SGD; dropout and label smoothing, which "
            "the paper has not: 29,000 sentences, not twelve millions"
};

#define TOY_RECIPE(epochs_) {                                                                                         \
    NN_RECIPE_HEADER,                                                                                                 \
    .batch = 64, .epochs = (epochs_), .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE, .rate = 3e-3f, .clip_norm = 1,  \
    .warmup_epochs = 0.5f, .final_factor = 0.01f,                                                                     \
    .note = "a tenth of the paper's units or less; Adam with one cycle of rates for Adadelta" }
static const struct nn_recipe recipe_toy = TOY_RECIPE(4), recipe_sums = TOY_RECIPE(14);
static const struct nn_recipe recipe_attention = {
    NN_RECIPE_HEADER,
    .batch = 64, .epochs = 8, .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE, .rate = 1e-3f, .clip_norm = 1,
    .warmup_epochs = 1, .final_factor = 0.05f,
    .note = "256 units each way and 512 for 1000, a layer of tanh for maxout; Adam with one cycle of rates for Adadelta; "
            "dropout and label smoothing, which the paper has not: 29,000 sentences, not twelve millions"
};
static const struct nn_recipe recipe_bahdanau = {
    NN_RECIPE_HEADER,
    .batch = 80, .epochs = 5, .optimizer = NN_ADAM, .rate = 1e-4f, .clip_norm = 1,
    .note = "Adam for Adadelta; all weights from one normal law, recurrent ones orthogonal, where the paper has a "
            "narrower one for the alignment"
};

static const struct nn_variant variants[] = {
    {"dates", "attention reads a dozen ways to write a day, and writes one",
     NET(.words = {48, 15}, .steps = {29, 11}, TOY), {188367, 2738400, UNKNOWN}, NULL, "dates"},
    {"addition", "attention learns to add numbers of up to three digits",
     NET(.words = {15, 14}, .steps = {7, 5}, TOY), {186990, 952576, UNKNOWN}, &recipe_sums, "addition:3"},
    {"reverse", "words of up to twenty letters backwards",
     NET(.words = {30, 30}, .steps = {20, 21}, TOY), {192606, 3674048, UNKNOWN}, NULL, "reverse:20"},
    {"plain", "two layers of LSTM read the source backwards, two write; no attention: [1] on a small scale",
     NET(.words = {8000, 8000}, .steps = {20, 20}, LSTM_STACK(2, 384), .width = 256, .reverse = true, .dropout = 0.3f, .smoothing = 0.1f,
         .init = UNIFORM(0.08f)),
     {11513664, 147947520, UNKNOWN}, &recipe_plain, "pairs"},
    {"attention", "GRU from both ends, and one that attends to what they know: [2] on a small scale",
     NET(.words = {8000, 8000}, .steps = {20, 20}, .cell = nn_gru_, .width = 256, .both_ways = 256, .o = {.hidden = 512},
         .context = ADDITIVE, .keys = 256, .readout = DEEP, .units = 384, .dropout = 0.3f, .smoothing = 0.1f),
     {10951872, 132132864, UNKNOWN}, &recipe_attention, "pairs"},
    {"luong", "plain, and general attention behind the decoder, without input feeding: [3] on a small scale",
     NET(.words = {8000, 8000}, .steps = {20, 20}, LSTM_STACK(2, 384), .width = 256, .reverse = true, .context = GENERAL,
         .readout = COMBINED, .units = 384, .dropout = 0.3f, .smoothing = 0.1f, .init = UNIFORM(0.08f)),
     {11956416, 157102080, UNKNOWN}, &recipe_plain, "pairs"},
    {"sutskever", "[1] as published: four layers of 1000, 160,000 and 80,000 words, no bias",
     NET(.words = {160000, 80000}, .steps = {25, 25}, .cell = nn_lstm_, .layers = 4, .width = 1000, .reverse = true,
         .o = {.hidden = 1000, .no_bias = true}, .init = UNIFORM(0.08f)),
     {384000000, 3600000000, 30.59, "BLEU", "WMT14 en-fr", "Sutskever et al. 2014, Table 1, a single reversed LSTM"},
     &recipe_sutskever, "pairs"},
    {"rnnsearch", "[2] as published: GRU of 1000 each way, alignment by 1000, maxout of 500, 30,000 words",
     NET(.words = {30000, 30000}, .steps = {30, 30}, .cell = nn_gru_, .width = 620, .both_ways = 1000, .first_state = true,
         .o = {.hidden = 1000, .no_bias = true, .reset_before = true, .recurrent = {NN_INIT_ORTHOGONAL, 1}},
         .context = ADDITIVE, .keys = 1000, .readout = MAXOUT, .units = 500, .init = {NN_INIT_NORMAL, 0.01f}),
     {80401000, 1269700000, 26.75, "BLEU", "WMT14 en-fr", "Bahdanau et al. 2015, Table 1, RNNsearch-50"}, &recipe_bahdanau, "pairs"},
    {"luong-base", "[3], Table 1, base: four layers of 1000, 50,000 words, no attention",
     NET(.words = {50000, 50000}, .steps = {30, 30}, .cell = nn_lstm_, .layers = 4, .width = 1000,
         .o = {.hidden = 1000, .no_bias = true}, .init = UNIFORM(0.1f)),
     {214000000, 3420000000, 11.3, "BLEU", "WMT14 en-de", "Luong et al. 2015, Table 1"}, &recipe_luong, "pairs"},
    {"luong-dot", "luong-base and global attention by dot products, behind the decoder; no input feeding",
     NET(.words = {50000, 50000}, .steps = {30, 30}, LUONG, .context = DOT),
     {216000000, 3481800000, UNKNOWN}, &recipe_luong, "pairs"},
    {"luong-general", "the same with a matrix between",
     NET(.words = {50000, 50000}, .steps = {30, 30}, LUONG, .context = GENERAL),
     {217000000, 3511800000, UNKNOWN}, &recipe_luong, "pairs"},
    {"multi30k-lstm", "two layers of 512 of a well-known tutorial, 7,853 and 5,893 words",
     NET(.words = {7853, 5893}, .steps = {20, 20}, .cell = nn_lstm_, .layers = 2, .width = 256, .o = {.hidden = 512},
         .dropout = 0.5f, .init = UNIFORM(0.08f)),
     {13898501, 207144960, 13.76, "BLEU", "multi30k de-en", "bentrevett/pytorch-seq2seq, notebook 1"}, &recipe_multi30k, "pairs:de-en"},
    {"multi30k-gru", "GRU of 512 that sees the source's last state at each step: [4] in the same tutorial",
     NET(.words = {7853, 5893}, .steps = {20, 20}, .cell = nn_gru_, .layers = 1, .width = 256, .o = {.hidden = 512},
         .context = LAST_STATE, .readout = JOINED, .dropout = 0.5f, .init = {NN_INIT_NORMAL, 0.01f}),
     {14219781, 213775360, 20.61, "BLEU", "multi30k de-en", "bentrevett/pytorch-seq2seq, notebook 2"}, &recipe_multi30k, "pairs:de-en"},
    {"multi30k-attention", "GRU of 512 each way and additive attention of the same tutorial",
     NET(.words = {7853, 5893}, .steps = {20, 20}, .cell = nn_gru_, .width = 256, .both_ways = 512, .o = {.hidden = 512},
         .context = ADDITIVE, .keys = 512, .readout = JOINED, .dropout = 0.5f, .init = {NN_INIT_NORMAL, 0.01f}),
     {20518405, 330308608, 28.30, "BLEU", "multi30k de-en", "bentrevett/pytorch-seq2seq, notebook 3"}, &recipe_multi30k, "pairs:de-en"},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2014,
    .name = "seq2seq",
    .title = "Sequence to sequence",
    .citation =
        "Sutskever, Vinyals, Le: Sequence to Sequence Learning with Neural Networks. NIPS "
        "2014; Bahdanau, Cho, Bengio: Neural Machine Translation by Jointly Learning to "
        "Align and Translate. ICLR 2015",
    .about =
        "One recurrent network reads a sentence into a vector, another writes its translation: "
        "no phrase table, no grammar. A year later the writer looks back at every word that "
        "was read, and long sentences lose their terror",
    .dataset = "sequences",
    .variants = variants,
    .recipe = &recipe_toy,
    .build = build,
};

NN_PLUGIN_NOTE(
    "seq2seq", 2014, "Sequence to sequence",
    "dates addition reverse plain attention luong sutskever rnnsearch luong-base luong-dot "
    "luong-general multi30k-lstm multi30k-gru multi30k-attention");
