/* t_decode — a network asked for its next token says what it says when all of its steps are
 * computed: narrowed to the last step, cut at what the source alone decides, with rows that leave.
 */
#define _GNU_SOURCE
#include "base/mem.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "train/prefix_net.h"
#include "train/search.h"
#include "train/translate.h"

enum { H = 12, SOURCE = 9, TARGET = 11, ROWS = 20, S = 6, T = 5 };

static nn_value embedded(struct nn_graph *g, const char *name, int steps)
{
    const nn_value i = nn_input(g, name, NN_I32, NN_SHAPE(steps));
    nn_row(g, "%s", name);
    const struct nn_init init = {NN_INIT_NORMAL, 1.0f};
    return nn_gather(nn_param(g, "embedding", NN_SHAPE(nn_tokens(g, name, 10), H), init), i);
}

/* Luong, Pham, Manning 2015: what the decoder holds asks what the encoder holds. */
static nn_value attend(nn_value h, nn_value encoded)
{
    const nn_value at = nn_softmax(nn_matmul(h, nn_transpose(encoded)));
    nn_show("attention", at);
    return nn_matmul(at, encoded);
}

/* What the decoder sees of the source besides where it begins. */
enum seen { EVERYTHING, NOTHING, ITS_STEPS, ITS_END, INSIDE };

static void build(struct nn_graph *g, const void *config)
{
    const enum seen seen = *(const enum seen *)config;
    const int s = nn_length(g, "source", S), t = nn_length(g, "target", T);
    const nn_value source_length = nn_input(g, "source_length", NN_I32, NN_SCALAR);
    const nn_value source = embedded(g, "source", s), target = embedded(g, "target", t);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(t));
    nn_row(g, "encoder");
    const nn_value forth = nn_lstm(source, H, .length = source_length);
    nn_row(g, "encoder back");
    const nn_value back = nn_gru(source, H, .length = source_length, .reverse = true);
    nn_row(g, "bridge");
    const nn_value encoded = nn_tanh(nn_linear(nn_concat(forth, back, 2), H));
    struct nn_recurrent_opts o = {.hidden = H};
    o.h0 = nn_last(forth, source_length);
    o.c0 = nn_final_cell(forth);
    if (seen == INSIDE) {
        nn_row(g, "keys");
        o.attend_keys = nn_linear(encoded, H, .no_bias = true);
        o.attend_values = encoded;
        o.attend_length = source_length;
    }
    nn_value x = target;
    if (seen == ITS_END)
        x = nn_concat(x, nn_repeat(o.h0, 1, t), 2);
    nn_row(g, "decoder");
    nn_value h = nn_lstm_(x, o, NN_HERE);
    nn_row(g, "attention");
    if (seen == INSIDE)
        h = nn_concat(h, nn_context(h), 2);
    if (seen == EVERYTHING)
        h = nn_concat(h, attend(nn_linear(h, H), encoded), 2);
    if (seen == ITS_STEPS)
        h = nn_concat(h, nn_attend(nn_linear(h, H), encoded, .length = source_length), 2);
    nn_row(g, "mix");
    const nn_value mixed = nn_dropout(nn_tanh(nn_linear(h, H)), 0.5f);
    nn_row(g, "output");
    const nn_value scale = nn_param(g, "scale", NN_SHAPE(H), NN_ONES);
    const nn_value scores =
        nn_linear(nn_mul(nn_add(mixed, target), scale), nn_tokens(g, "next", 10));
    nn_minimize(nn_cross_entropy(scores, next));
    nn_metric("accuracy", nn_accuracy(scores, next));
}

static const enum seen seens[] = {EVERYTHING, NOTHING, ITS_STEPS, ITS_END, INSIDE};
static const struct nn_variant variants[] = {
    {.name = "attention of primitives", .config = &seens[0]},
    {.name = "no attention", .config = &seens[1]},
    {.name = "attention", .config = &seens[2]},
    {.name = "the last state", .config = &seens[3]},
    {.name = "attention inside", .config = &seens[4]}};
enum { VARIANTS = sizeof variants / sizeof *variants };
static const struct plugin plugin = {.facts = {.build = build}};
static const struct language language = {
    .inputs = 3,
    .input = {{"source", "source_length", SOURCE, S, true},
              {"target", "target_length", TARGET, T, true},
              {"next", "", TARGET, T, true}},
};

static int32_t source[ROWS][S], target[ROWS][T];
static const int32_t *sources[ROWS];
static int steps[ROWS];

static void draw(void)
{
    struct rng r = rng_make(3, 3);
    for (int i = 0; i < ROWS; i++) {
        sources[i] = source[i];
        steps[i] = 1 + (int)rng_below(&r, S);
        for (int k = 0; k < steps[i]; k++)
            source[i][k] = (int32_t)rng_below(&r, SOURCE);
        for (int k = 0; k < T; k++)
            target[i][k] = (int32_t)rng_below(&r, TARGET);
    }
}

struct whole {
    struct nn_graph *graph;
    struct program *program;
    float *scores; /* [ROWS][T][TARGET] */
};

static struct prefix_wish wish_of(const struct nn_variant *v, struct program *share)
{
    return (struct prefix_wish){.plugin = &plugin,
                                .variant = v,
                                .language = &language,
                                .share = share,
                                .threads = 2,
                                .batch = ROWS,
                                .source_steps = S,
                                .most = T};
}

static struct whole run_whole(const struct nn_variant *v)
{
    const struct prefix_wish w = wish_of(v, NULL);
    struct whole whole = {.graph = prefix_net_graph(&w, ROWS, S, T)};
    struct err err = {0};
    whole.program =
        program_new(whole.graph, &(struct program_options){.threads = 2, .seed = 5}, &err);
    if (!whole.program) {
        printf("Bail out! %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    program_keep_output(whole.program);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < S; k++)
            ((int32_t *)program_find(whole.program, TENSOR_INPUT, "source")->data)[i * S + k] =
                k < steps[i] ? source[i][k] : 0;
        ((int32_t *)program_find(whole.program, TENSOR_INPUT, "source_length")->data)[i] = steps[i];
        memcpy((int32_t *)program_find(whole.program, TENSOR_INPUT, "target")->data + i * T,
               target[i], sizeof target[i]);
    }
    (void)program_run(whole.program);
    whole.scores = program_tensor(whole.program, TENSOR_OUTPUT, 0)->data;
    return whole;
}

static void whole_release(struct whole *w)
{
    program_free(w->program);
    graph_free(w->graph);
}

/* The worst difference of rows row[0..n) behind `length` tokens. */
static double compare(const struct whole *w, const float *scores, const int *row, int n, int length)
{
    double worst = scores ? 0 : 1;
    for (int i = 0; i < n && scores; i++)
        for (int k = 0; k < TARGET; k++) {
            const float want = w->scores[(row[i] * T + length - 1) * TARGET + k];
            worst = fmax(worst, fabs((double)(scores[i * TARGET + k] - want)));
        }
    return worst;
}

static void test_same(const struct nn_variant *v)
{
    struct whole whole = run_whole(v);
    const struct prefix_wish w = wish_of(v, whole.program);
    struct err err = {0};
    struct prefix_net *net = prefix_net_new(&w, &err);
    ok(net != NULL, "%s: can be asked %s", v->name, err.text);
    if (!net)
        return;
    is_int(prefix_net_tokens(net), TARGET, "%s: tokens", v->name);
    prefix_net_read(net, ROWS, sources, steps);
    int row[ROWS], from[ROWS], n = ROWS;
    for (int i = 0; i < ROWS; i++)
        row[i] = from[i] = i;
    double worst = 0;
    for (int length = 1; length <= T; length++) {
        int32_t prefix[ROWS][T];
        for (int i = 0; i < n; i++)
            memcpy(prefix[i], target[row[i]], sizeof prefix[i]);
        const float *scores = prefix_net_scores(net, prefix[0], T, n, length, from, &err);
        worst = fmax(worst, compare(&whole, scores, row, n, length));
        int left = 0; /* every third leaves, so that the rows are halved on the way */
        for (int i = 0; i < n; i++)
            if (i % 3 != 1) {
                row[left] = row[i];
                from[left++] = i;
            }
        n = left;
    }
    is_near(worst, 0, 2e-6, "%s: the last step's scores, of %d rows down to %d", v->name, ROWS, n);
    prefix_net_free(net);
    whole_release(&whole);
}

static int convolutions(const struct program *p, const char *op)
{
    int count, n = 0;
    const struct program_step *s = program_steps(p, &count);
    for (int i = 0; i < count; i++)
        n += strcmp(s[i].op, op) == 0;
    return n;
}

/* What is left to be computed for one token. */
static void test_parts(void)
{
    struct whole whole = run_whole(&variants[0]);
    static const char *const fed[] = {"target", "next", NULL};
    struct program_options o = {
        .threads = 1, .share = whole.program, .fed = fed, .part = PROGRAM_GIVEN, .no_lanes = true};
    struct err err = {0};
    struct program *given = program_new(whole.graph, &o, &err);
    o.part = PROGRAM_LAST;
    o.given = given;
    struct program *last = program_new(whole.graph, &o, &err);
    ok(given && last, "both parts %s", err.text);
    is_int(convolutions(given, "lstm") + convolutions(given, "gru"), 2, "the encoders are given");
    is_int(convolutions(last, "lstm") + convolutions(last, "gru"), 1, "the decoder is run");
    is_int(program_tensor(last, TENSOR_OUTPUT, 0)->shape.dim[1], 1, "scores of one step");
    ok(!program_tensor(last, TENSOR_LOSS, 0) && !program_tensor(last, TENSOR_METRIC, 0),
       "and nothing to judge them by");
    double macs = 0, all = 0;
    int count;
    const struct program_step *s = program_steps(last, &count);
    for (int i = 0; i < count; i++)
        macs += s[i].macs;
    s = program_steps(whole.program, &count);
    for (int i = 0; i < count; i++)
        all += s[i].macs;
    ok(macs < 0.5 * all, "%.0f instead of %.0f multiply-adds", macs, all);
    o.given = NULL;
    struct program *alone = program_new(whole.graph, &o, &err);
    is_int(convolutions(alone, "lstm") + convolutions(alone, "gru"), 3,
           "nothing given: all is run");
    program_free(alone);
    program_free(last);
    program_free(given);
    whole_release(&whole);
}

static void test_refused(void)
{
    struct whole whole = run_whole(&variants[0]);
    struct prefix_wish w = wish_of(&variants[0], whole.program);
    struct language other = language;
    struct err err = {0};
    other.input[1].tokens++;
    w.language = &other;
    ok(!prefix_net_new(&w, &err), "another vocabulary: refused");
    ok(strstr(err.text, "cannot be shared") != NULL, "because of its parameters: %s", err.text);
    whole_release(&whole);
}

/* Greedily, and by a beam of one; one source alone, and among many. Attention of primitives looks
 * at padding too, so that sources must be as long there. */
static void test_translate(const struct nn_variant *v)
{
    struct whole whole = run_whole(v);
    struct language l = language;
    l.input[1].longest = l.input[2].longest = 12;
    struct translator t = {.plugin = &plugin,
                           .variant = v,
                           .language = &l,
                           .share = whole.program,
                           .lend = whole.program,
                           .threads = 1,
                           .batch = 7};
    struct utterance from[ROWS], said[ROWS], again[ROWS], one[4];
    struct err err = {0};
    bool done = false;
    for (int i = 0; i < ROWS; i++)
        from[i] = (struct utterance){source[i], v == variants ? S : steps[i], 0};
    ok(translate_greedy(&t, from, ROWS, said, &done, &err) && done, "%s: greedily %s", v->name,
       err.text);
    t.batch = ROWS;
    t.threads = 2;
    ok(translate_greedy(&t, from, ROWS, again, &done, &err) && done, "in one batch");
    int differ = 0, beams = 0, tokens = 0;
    for (int i = 0; i < ROWS; i++) {
        int n = 0;
        differ += said[i].tokens != again[i].tokens ||
                  memcmp(said[i].token, again[i].token, (size_t)said[i].tokens * 4) != 0;
        tokens += said[i].tokens;
        if (!translate_beam(&t, &from[i], 1, one, &n, &err) || n != 1)
            beams++;
        else {
            const bool cut_off = said[i].tokens == translate_most(&l, from[i].tokens);
            beams +=
                !cut_off && (one[0].tokens != said[i].tokens ||
                             memcmp(one[0].token, said[i].token, (size_t)said[i].tokens * 4) != 0);
            free(one[0].token);
        }
        free(again[i].token);
        free(said[i].token);
    }
    is_int(differ, 0, "batches of 7 and of %d say the same", ROWS);
    is_int(beams, 0, "so does a beam of one");
    ok(tokens > 0, "%d tokens", tokens);
    whole_release(&whole);
}

/* What nn_show() names, in a program that asks for it, and in no other. */
static void test_shown(void)
{
    struct whole whole = run_whole(&variants[0]);
    const struct translator t = {.plugin = &plugin,
                                 .variant = &variants[0],
                                 .language = &language,
                                 .share = whole.program,
                                 .threads = 2};
    const struct utterance from = {source[0], S, 0}, said = {target[0], 3, 0};
    float *at = translate_attention(&t, &from, &said);
    double worst = at ? 0 : 1;
    for (int i = 0; i < 3 && at; i++) {
        double sum = 0;
        for (int k = 0; k < S; k++)
            sum += (double)at[i * S + k];
        worst = fmax(worst, fabs(sum - 1));
    }
    is_near(worst, 0, 1e-6, "attention of three steps: each adds up to 1");
    free(at);
    ok(!program_tensor(whole.program, TENSOR_SHOWN, 0), "not kept where nobody asks");
    struct translator other = t;
    other.variant = &variants[1];
    ok(!translate_attention(&other, &from, &said), "of a network that shows none");
    const struct utterance nothing = {0};
    ok(!translate_attention(&t, &from, &nothing), "of nothing said");
    whole_release(&whole);
}

int main(void)
{
    struct err err;
    if (!kn_init(NULL, &err))
        return 1;
    draw();
    for (int i = 0; i < VARIANTS; i++)
        test_same(&variants[i]);
    test_parts();
    test_refused();
    test_shown();
    for (int i = 0; i < VARIANTS; i++)
        test_translate(&variants[i]);
    return done();
}
