/* generate_task.c — see generate_task.h. Each kind of network has a way of its own to answer. */
#include "train/generate_task.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "train/checkpoint.h"
#include "train/dump.h"
#include "train/generate.h"
#include "train/loop.h"
#include "train/search.h"
#include "train/speaker.h"
#include "train/translate.h"
#include "train/wire.h"

enum {
    HEARD = 4096,     /* tokens of a prompt that running text goes on from: the last ones */
    READ = 2000,      /* tokens of a source, at most */
    CHARACTERS = 300, /* said if nothing is said about it */
    WORDS = 60,
    BATCH = 64
};
static const double temperature = 0.8;
static const int64_t alive_ns = 1000000000; /* a sign of life so often */

struct talk {
    struct generate_spec spec;
    const json_t *prompts;
    void (*say)(const char *what);
    void (*report)(json_t *json);
    struct plugin plugin;
    struct checkpoint checkpoint;
    struct prefix_wish wish;
    struct nn_graph *graph;
    struct program *program; /* holds the parameters */
    int64_t told;            /* when the last sign of life was given */
    struct err *err;
};

static const struct language *language_of_talk(const struct talk *t)
{
    return &t->checkpoint.language;
}

static const char *prompt_of(const struct talk *t, size_t i)
{
    return json_string_value(json_array_get(t->prompts, i));
}

static size_t prompts_of(const struct talk *t) { return json_array_size(t->prompts); }

/* A message may have been cut off within a character, and JSON takes none that is not whole. */
static json_t *message(char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0, step; i < n; i += step) {
        step = utf8_length(text + i, n - i, NULL);
        if (step == 0)
            text[i] = '?';
        step += step == 0;
    }
    return json_string(text);
}

__attribute__((format(printf, 2, 3))) static void remark(const struct talk *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->report(json_pack("{s:o}", "remark", message(text)));
}

static json_t *spelled(const struct vocabulary *v, const int32_t *token, int n)
{
    struct text text = {0};
    vocabulary_decode(v, token, (size_t)n, &text);
    json_t *j = json_string(text_str(&text));
    text_release(&text);
    return j;
}

/* --------------------------------------------------------------------- prompts */

/* Where prompt i was read. */
static const char *place_of(const struct talk *t, size_t i, char place[48])
{
    if (t->spec.line > 0)
        snprintf(place, 48, "standard input: line %zu", (size_t)t->spec.line + i);
    return t->spec.line > 0 ? place : "--prompt";
}

/* The first few tokens that the vocabulary does not have. */
static void tell_unknown(const struct talk *t, const struct vocabulary *v, const char *text)
{
    size_t left = strlen(text), unknown = 0;
    struct token token;
    struct text some = {0};
    while (vocabulary_next(vocabulary_kind(v), &text, &left, &token)) {
        if (vocabulary_find(v, token.bytes, token.n) >= 0)
            continue;
        if (unknown++ < 5)
            text_add(&some, "%s'%.40s'", unknown > 1 ? ", " : "", token.bytes);
    }
    if (unknown)
        remark(t, "%s%s: not in the vocabulary, %s", text_str(&some), unknown > 5 ? ", …" : "",
               vocabulary_special(v) ? "read as <unk>" : "left out");
    text_release(&some);
}

static int32_t *encode(const struct talk *t, const struct vocabulary *v, const char *text, int *n)
{
    size_t count;
    int32_t *token = vocabulary_encode(v, text, strlen(text), &count);
    tell_unknown(t, v, text);
    *n = count > INT32_MAX / 2 ? INT32_MAX / 2 : (int)count;
    return token;
}

/* ------------------------------------------------------- running text and lines */

struct telling {
    struct talk *t;
    const struct vocabulary *v;
    struct speaker *speaker;
    struct sampler sampler;
    const float *scores; /* of what comes next; NULL: nothing was heard yet */
    int32_t before;      /* the last token told, or -1 */
    struct text text;    /* told so far, the prompt too */
};

/* With the space in front that it has behind the one before it. */
static void tell(struct telling *s, int32_t token)
{
    const int32_t two[] = {s->before, token};
    struct text both = {0}, first = {0};
    if (s->before >= 0)
        vocabulary_decode(s->v, two, 1, &first);
    vocabulary_decode(s->v, s->before >= 0 ? two : two + 1, s->before >= 0 ? 2 : 1, &both);
    const char *piece = text_str(&both) + first.length;
    text_add(&s->text, "%s", piece);
    s->t->report(json_pack("{s:s}", "piece", piece));
    s->before = token;
    text_release(&both);
    text_release(&first);
}

static bool hear(struct telling *s, int32_t token)
{
    s->scores = speaker_hear(s->speaker, token, s->t->err);
    return s->scores != NULL;
}

/* What a text begins behind: <s>, or the end of a line. */
static int32_t beginning(const struct vocabulary *v)
{
    const int32_t line = vocabulary_find(v, "\n", 1);
    return vocabulary_special(v) ? TOKEN_BEGIN : line >= 0 ? line : 0;
}

static bool hear_prompt(struct telling *s, bool lines, const char *prompt)
{
    int n = 0;
    int32_t *token = prompt ? encode(s->t, s->v, prompt, &n) : NULL;
    const int from = n > HEARD ? n - HEARD : 0;
    if (from)
        remark(s->t, "the prompt has %d tokens: the last %d are read", n, HEARD);
    bool fine = (!lines && n > 0) || hear(s, beginning(s->v));
    for (int i = from; i < n && fine && !loop_stop; i++) {
        tell(s, token[i]);
        fine = hear(s, token[i]);
    }
    free(token);
    return fine;
}

static bool tell_one(struct telling *s, bool lines, int length, const char *prompt, int number)
{
    struct talk *t = s->t;
    s->before = -1;
    speaker_begin(s->speaker);
    s->sampler.random = rng_make((uint64_t)t->spec.seed, rng_stream("generate") + (uint64_t)number);
    bool fine = hear_prompt(s, lines, prompt);
    int said = 0;
    for (; fine && said < length && !loop_stop; said++) {
        const int32_t token = sampler_draw(&s->sampler, s->scores);
        if (lines && token == TOKEN_END)
            break;
        tell(s, token);
        fine = hear(s, token);
    }
    if (fine)
        t->report(json_pack("{s:{s:s?, s:o, s:i}}", "said", "prompt", prompt, "text",
                            json_string(text_str(&s->text)), "tokens", said));
    text_release(&s->text);
    return fine;
}

static int length_of(const struct talk *t, bool lines)
{
    const struct language *l = language_of_talk(t);
    const struct language_input *next = language_input(l, "next");
    if (t->spec.length >= 0)
        return t->spec.length;
    if (lines)
        return next && next->longest > 0 ? 2 * next->longest : CHARACTERS;
    return vocabulary_kind(l->vocabulary[0]) == TOKEN_WORDS ? WORDS : CHARACTERS;
}

static bool tell_texts(struct talk *t, bool lines)
{
    const int count = t->spec.count > 0 ? t->spec.count : 1, length = length_of(t, lines);
    struct telling s = {.t = t, .v = language_of_talk(t)->vocabulary[0]};
    if (t->spec.beam > 0)
        return err_status(t->err, EXIT_USAGE,
                          "--beam: %s:%s draws its text by chance, expected a "
                          "network that translates",
                          t->spec.plugin, t->spec.variant);
    if (prompts_of(t) > 1)
        return err_status(t->err, EXIT_USAGE, "expected one --prompt, found %zu", prompts_of(t));
    const char *prompt = prompts_of(t) ? prompt_of(t, 0) : NULL;
    struct prefix_wish w = t->wish;
    w.most =
        lines ? length + (prompt && strlen(prompt) < HEARD ? (int)strlen(prompt) : HEARD) + 1 : 0;
    if (!prompt)
        w.most = lines ? length + 1 : 0;
    s.speaker = speaker_new(&w, t->err);
    if (!s.speaker)
        return false;
    const unsigned never = vocabulary_special(s.v) ? NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN : 0;
    const unsigned no_end = vocabulary_special(s.v) && !lines ? 1u << TOKEN_END : 0;
    sampler_init(&s.sampler, vocabulary_count(s.v), never | no_end,
                 t->spec.temperature >= 0 ? t->spec.temperature : temperature, t->spec.top,
                 (uint64_t)t->spec.seed, 0);
    bool fine = true;
    for (int i = 0; i < count && fine && !loop_stop; i++)
        fine = tell_one(&s, lines, length, prompt, i);
    sampler_release(&s.sampler);
    speaker_free(s.speaker);
    return fine;
}

static bool tell_text(struct talk *t) { return tell_texts(t, false); }
static bool tell_lines(struct talk *t) { return tell_texts(t, true); }

/* -------------------------------------------------------------- names of a class */

static bool spell_class(struct talk *t, struct sampler *s, int class, int number, int most)
{
    const struct language *l = language_of_talk(t);
    struct prefix_wish w = t->wish;
    int32_t *token = xmalloc(((size_t)most + 1) * sizeof *token);
    w.of_class = class;
    s->random = rng_make((uint64_t)t->spec.seed,
                         rng_stream("generate") + ((uint64_t) class << 32) + (uint64_t)number);
    const int n = speaker_spell(&w, s, most, token, t->err);
    if (n >= 0)
        t->report(json_pack("{s:{s:s, s:o, s:i}}", "said", "prompt", l->class_name[class], "text",
                            spelled(l->vocabulary[0], token, n), "tokens", n));
    free(token);
    return n >= 0;
}

static int refuse_class(const struct talk *t, const char *prompt)
{
    const struct language *l = language_of_talk(t);
    struct text all = {0};
    for (int i = 0; i < l->classes; i++)
        text_add(&all, "%s%s", i ? " " : "", l->class_name[i]);
    err_status(t->err, EXIT_USAGE, "--prompt: found '%.60s', expected a class: %.500s", prompt,
               text_str(&all));
    text_release(&all);
    return -1;
}

/* Which class a prompt names, in whatever letters; -1 and *err. */
static int class_of(const struct talk *t, const char *prompt)
{
    const struct language *l = language_of_talk(t);
    for (int i = 0; i < l->classes; i++)
        if (strcasecmp(l->class_name[i], prompt) == 0)
            return i;
    return refuse_class(t, prompt);
}

/* Of the class that is asked for, or of each. */
static bool spell(struct talk *t)
{
    const struct language *l = language_of_talk(t);
    const int count = t->spec.count > 0 ? t->spec.count : 1;
    const int most = t->spec.length >= 0 ? t->spec.length : 2 * language_input(l, "next")->longest;
    const int asked = prompts_of(t) ? class_of(t, prompt_of(t, 0)) : -1;
    if (t->spec.beam > 0)
        return err_status(t->err, EXIT_USAGE, "--beam: names are drawn by chance");
    if (prompts_of(t) && asked < 0)
        return false;
    struct sampler s;
    sampler_init(&s, vocabulary_count(l->vocabulary[0]), NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN,
                 t->spec.temperature >= 0 ? t->spec.temperature : temperature, t->spec.top, 0, 0);
    bool fine = true;
    for (int class = 0; class < l->classes; class ++)
        for (int i = 0; i < count && fine && !loop_stop && (asked < 0 || class == asked); i++)
            fine = spell_class(t, &s, class, i, most);
    sampler_release(&s);
    return fine;
}

/* ---------------------------------------------------------------- translations */

static bool look(void *arg)
{
    struct talk *t = arg;
    const int64_t now = clock_ns();
    if (now - t->told > alive_ns) {
        t->told = now;
        t->say("translating");
    }
    return !loop_stop;
}

static struct translator translator_of(struct talk *t)
{
    return (struct translator){.plugin = &t->plugin,
                               .variant = t->wish.variant,
                               .language = language_of_talk(t),
                               .share = t->program,
                               .threads = t->spec.threads,
                               .batch = BATCH,
                               .most = t->spec.length > 0 ? t->spec.length : 0,
                               .look = look,
                               .arg = t};
}

static bool read_sources(struct talk *t, const struct vocabulary *v, struct utterance *source)
{
    char place[48];
    for (size_t i = 0; i < prompts_of(t); i++) {
        source[i].token = encode(t, v, prompt_of(t, i), &source[i].tokens);
        if (source[i].tokens > READ)
            return err_status(t->err, EXIT_USAGE, "%s: found %d tokens, expected up to %d",
                              place_of(t, i, place), source[i].tokens, READ);
    }
    return true;
}

static bool translate_searching(struct talk *t, const struct translator *with,
                                const struct utterance *source, size_t i)
{
    const struct vocabulary *v = language_of_talk(t)->vocabulary[1];
    struct utterance said[BEAM];
    int n = 0;
    if (source->tokens > 0 && !translate_beam(with, source, t->spec.beam, said, &n, t->err))
        return false;
    json_t *others = json_array();
    for (int k = 1; k < n; k++)
        json_array_append_new(others, json_pack("{s:o, s:f}", "text",
                                                spelled(v, said[k].token, said[k].tokens), "score",
                                                said[k].score));
    t->report(json_pack("{s:{s:s, s:o, s:i, s:f, s:o}}", "said", "prompt", prompt_of(t, i), "text",
                        n ? spelled(v, said[0].token, said[0].tokens) : json_string(""), "tokens",
                        n ? said[0].tokens : 0, "score", n ? said[0].score : 0.0, "others",
                        others));
    for (int k = 0; k < n; k++)
        free(said[k].token);
    return true;
}

/* Empty texts have empty translations, and no network is asked about them. */
static bool translate_greedily(struct talk *t, const struct translator *with,
                               const struct utterance *source)
{
    const size_t n = prompts_of(t);
    struct utterance *some = xcalloc(n + 1, sizeof *some), *said = xcalloc(n + 1, sizeof *said);
    int full = 0;
    bool done = true;
    assert(some && said); /* for clang-tidy, which does not take xcalloc()'s word */
    for (size_t i = 0; i < n; i++)
        if (source[i].tokens > 0)
            some[full++] = source[i];
    const bool fine = translate_greedy(with, some, full, said, &done, t->err);
    full = 0;
    for (size_t i = 0; i < n && fine && done; i++) {
        const struct utterance *one = source[i].tokens > 0 ? &said[full++] : NULL;
        t->report(
            json_pack("{s:{s:s, s:o, s:i}}", "said", "prompt", prompt_of(t, i), "text",
                      one ? spelled(language_of_talk(t)->vocabulary[1], one->token, one->tokens)
                          : json_string(""),
                      "tokens", one ? one->tokens : 0));
    }
    for (int i = 0; i < full && fine; i++)
        free(said[i].token);
    free(some);
    free(said);
    return fine;
}

/* What only networks do that draw, and more translations than are searched for. */
static bool check_translating(const struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    const int beam = s->beam > 0 ? s->beam : 1;
    if (s->temperature >= 0 || s->top > 0)
        return err_status(
            t->err, EXIT_USAGE,
            "--temperature, --top-k: %s:%s searches for the best translation, and draws "
            "none by chance",
            s->plugin, s->variant);
    return s->count <= beam ||
           err_status(t->err, EXIT_USAGE,
                      "--count %d: %s:%s finds %d translation%s of a text, "
                      "expected --beam %d or more",
                      s->count, s->plugin, s->variant, beam, beam > 1 ? "s" : "", s->count);
}

static bool translate(struct talk *t)
{
    const size_t n = prompts_of(t);
    if (n == 0)
        return err_status(t->err, EXIT_USAGE,
                          "%s:%s translates: expected --prompt, or a text a line", t->spec.plugin,
                          t->spec.variant);
    if (!check_translating(t))
        return false;
    struct utterance *source = xcalloc(n, sizeof *source);
    const struct translator with = translator_of(t);
    bool fine = read_sources(t, language_of_talk(t)->vocabulary[0], source);
    if (fine && t->spec.beam > 1)
        for (size_t i = 0; i < n && fine && !loop_stop; i++)
            fine = translate_searching(t, &with, &source[i], i);
    else if (fine)
        fine = translate_greedily(t, &with, source);
    for (size_t i = 0; i < n; i++)
        free(source[i].token);
    free(source);
    return fine;
}

/* --------------------------------------------------------------------- classes */

/* The network for a text of n tokens, its inputs filled; NULL and *err. */
static struct program *classifier(struct talk *t, struct nn_graph *g, const int32_t *token, int n)
{
    const struct program_options o = {
        .threads = t->spec.threads, .no_lanes = true, .share = t->program, .part = PROGRAM_LAST};
    if (graph_error(g))
        return err_set(t->err, "%s", graph_error(g)), NULL;
    struct program *p = program_new(g, &o, t->err);
    const struct tensor *in;
    for (int i = 0; p && (in = program_tensor(p, TENSOR_INPUT, i)); i++) {
        int32_t *to = in->data;
        if (strcmp(in->name, "tokens") == 0 && in->elements == (size_t)n)
            memcpy(to, token, (size_t)n * sizeof *to);
        else if (strcmp(in->name, "length") == 0 && in->elements == 1)
            *to = n;
        else if (strcmp(in->name, "label") != 0) {
            err_set(t->err, "the network's input '%s' is not a text of %d tokens", in->name, n);
            program_free(p);
            p = NULL;
        }
    }
    return p;
}

static int more_probable(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const double p = json_real_value(json_object_get(x, "probability")),
                 q = json_real_value(json_object_get(y, "probability"));
    return (p < q) - (p > q);
}

static json_t *classes_json(const struct language *l, const float *scores)
{
    json_t **one = xmalloc((size_t)l->classes * sizeof(json_t *)), *all = json_array();
    const double sum = search_log_sum(scores, l->classes);
    for (int k = 0; k < l->classes; k++)
        one[k] = json_pack("{s:s, s:f}", "name", l->class_name[k], "probability",
                           exp((double)scores[k] - sum));
    qsort(one, (size_t)l->classes, sizeof(json_t *), more_probable);
    for (int k = 0; k < l->classes; k++)
        json_array_append_new(all, one[k]);
    free(one);
    return all;
}

static bool classify_tokens(struct talk *t, size_t i, const int32_t *token, int n)
{
    const struct language *l = language_of_talk(t);
    struct nn_graph *g = prefix_net_graph(&t->wish, 1, 0, n);
    struct program *p = classifier(t, g, token, n);
    const struct tensor *out = p ? program_tensor(p, TENSOR_OUTPUT, 0) : NULL;
    bool fine = out && out->elements >= (size_t)l->classes;
    if (out && !fine)
        err_set(t->err, "the network scores %zu classes, expected %d", out->elements, l->classes);
    if (fine) {
        (void)program_run(p);
        t->report(json_pack("{s:{s:s, s:o}}", "said", "prompt", prompt_of(t, i), "classes",
                            classes_json(l, out->data)));
    }
    program_free(p);
    graph_free(g);
    return fine;
}

/* An empty line among others is of no class, and no reason to leave out those behind it. */
static bool classify_one(struct talk *t, size_t i)
{
    int n;
    char place[48];
    int32_t *token = encode(t, language_of_talk(t)->vocabulary[0], prompt_of(t, i), &n);
    bool fine = true;
    if (n == 0 && t->spec.line > 0)
        remark(t, "%s: no characters, left out", place_of(t, i, place));
    else if (n == 0 || n > READ)
        fine = err_status(t->err, EXIT_USAGE, "%s: found %d tokens, expected 1 to %d",
                          place_of(t, i, place), n, READ);
    else
        fine = classify_tokens(t, i, token, n);
    free(token);
    return fine;
}

/* Classes are neither drawn nor searched for: all of them are told. */
static bool check_classifying(const struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    const struct {
        const char *option;
        bool given;
    } idle[] = {{"--length", s->length >= 0},
                {"--count", s->count >= 0},
                {"--temperature", s->temperature >= 0},
                {"--top-k", s->top >= 0},
                {"--beam", s->beam >= 0}};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (idle[i].given)
            return err_status(t->err, EXIT_USAGE,
                              "%s: %s:%s tells the class of a text, expected a network that says "
                              "text",
                              idle[i].option, s->plugin, s->variant);
    return true;
}

static bool classify(struct talk *t)
{
    if (!check_classifying(t))
        return false;
    if (prompts_of(t) == 0)
        return err_status(t->err, EXIT_USAGE,
                          "%s:%s tells what a text is: expected --prompt, or a text a line",
                          t->spec.plugin, t->spec.variant);
    bool fine = true;
    for (size_t i = 0; i < prompts_of(t) && fine && !loop_stop; i++)
        fine = classify_one(t, i);
    return fine;
}

/* -------------------------------------------------------------------- all kinds */

static bool refuse(struct talk *t)
{
    const char *task = st_meta(&t->checkpoint.file, "task");
    return err_status(t->err, EXIT_USAGE, "%s:%s says nothing: its task is %s", t->spec.plugin,
                      t->spec.variant, task && *task ? task : "to tell images apart");
}

static bool (*const by_kind[])(struct talk *t) = {
    [LANGUAGE_SPELLING] = spell,   [LANGUAGE_NONE] = refuse,
    [LANGUAGE_TEXT] = tell_text,   [LANGUAGE_LINES] = tell_lines,
    [LANGUAGE_CLASSES] = classify, [LANGUAGE_TRANSLATIONS] = translate,
};

static bool open_network(struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    const struct nn_variant *v;
    if (!plugin_open(s->plugin_path, &t->plugin, t->err) ||
        !(v = plugin_variant(&t->plugin, s->variant, t->err)))
        return false;
    t->wish = (struct prefix_wish){
        .plugin = &t->plugin, .variant = v, .language = language_of_talk(t), .threads = s->threads};
    t->say("build()");
    t->graph = prefix_net_graph(&t->wish, 1, 1, 1);
    if (graph_error(t->graph))
        return err_set(t->err, "%s", graph_error(t->graph));
    const struct program_options o = {.threads = s->threads, .no_lanes = true};
    t->program = program_new(t->graph, &o, t->err);
    t->wish.share = t->program;
    return t->program && dump_load_params(s->from, t->program, t->err);
}

static bool answer(struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    t->say("reading the checkpoint");
    if (!kn_init(s->isa, t->err) ||
        !checkpoint_open(s->from, s->plugin, s->variant, &t->checkpoint, t->err))
        return false;
    const int kind = language_kind(language_of_talk(t));
    bool fine = kind == LANGUAGE_NONE ? refuse(t) : open_network(t);
    if (fine) {
        t->say("speaking");
        fine = by_kind[kind](t);
    }
    program_free(t->program);
    graph_free(t->graph);
    plugin_close(&t->plugin);
    checkpoint_close(&t->checkpoint);
    return fine;
}

void generate_task(const json_t *job, void (*say)(const char *what), void (*report)(json_t *json))
{
    struct err err = {0};
    struct talk t = {
        .prompts = json_object_get(job, "prompts"), .say = say, .report = report, .err = &err};
    const bool fine =
        wire_unpack(wire_generate, json_object_get(job, "spec"), &t.spec, &err) && answer(&t);
    if (fine)
        report(json_pack("{s:i}", "status", EXIT_OK));
    else
        report(json_pack("{s:i, s:o}", "status",
                         err.status > EXIT_INTERNAL ? err.status : EXIT_BENCH_FAILED, "error",
                         message(err.text)));
}
