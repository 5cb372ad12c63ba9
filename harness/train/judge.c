/* judge.c — see judge.h. */
#include "train/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/bleu.h"
#include "train/search.h"
#include "train/speaker.h"

enum { ROWS = 128 }; /* of a batch: more than training has, as nothing is kept for a gradient */

bool judge_can(const struct trainer *t)
{
    struct language l;
    if (!t->sequences)
        return false;
    language_of(t->sequences, &l);
    return language_kind(&l) == LANGUAGE_TRANSLATIONS;
}

/* ---------------------------------------------------------------- the test set */

/* A row's tokens as they are; `ends` of them left out at both sides. */
static struct utterance row_of(const struct series *s, uint32_t row, int ends)
{
    const int n = (int)(s->at[row + 1] - s->at[row]) - 2 * ends;
    return (struct utterance){.token = s->tokens + s->at[row] + ends, .tokens = n > 0 ? n : 0};
}

static struct utterance source_of(const struct sequences *s, uint32_t row)
{
    return row_of(&s->series[0], row, 0);
}

/* Without <s> and </s>. */
static struct utterance reference_of(const struct sequences *s, uint32_t row)
{
    return row_of(&s->series[1], row, 1);
}

/* Items that have a source: what the network can be asked about. */
static void choose_items(const struct sequences *s, struct judge *j)
{
    const size_t all = s->items[SPLIT_TEST];
    j->row = xmalloc((all + 1) * sizeof *j->row);
    for (size_t i = 0; i < all && j->items < JUDGE_ITEMS; i++)
        if (source_of(s, s->item[SPLIT_TEST][i]).tokens > 0)
            j->row[j->items++] = s->item[SPLIT_TEST][i];
    j->said = xcalloc((size_t)j->items + 1, sizeof *j->said);
}

/* --------------------------------------------------------------------- scoring */

static bool is_same(const struct utterance *a, const struct utterance *b)
{
    return a->tokens == b->tokens &&
           (a->tokens == 0 ||
            memcmp(a->token, b->token, (size_t)a->tokens * sizeof *a->token) == 0);
}

static double exact(const struct sequences *s, const struct judge *j)
{
    int same = 0;
    for (int i = 0; i < j->items; i++) {
        const struct utterance reference = reference_of(s, j->row[i]);
        same += is_same(&j->said[i], &reference);
    }
    return 100.0 * same / j->items;
}

static double bleu(const struct sequences *s, const struct judge *j)
{
    struct bleu b = {0};
    for (int i = 0; i < j->items; i++) {
        const struct utterance *said = &j->said[i];
        const struct utterance reference = reference_of(s, j->row[i]);
        int32_t *known = xmalloc(((size_t)said->tokens + 1) * sizeof *known);
        for (int k = 0; k < said->tokens; k++)
            known[k] = said->token[k] == TOKEN_UNKNOWN ? -1 : said->token[k];
        bleu_add(&b, known, (size_t)said->tokens, reference.token, (size_t)reference.tokens);
        free(known);
    }
    return bleu_score(&b);
}

static void add_metric(struct score *score, const char *name, double value)
{
    if (score->metrics == RUN_METRICS)
        return;
    struct run_metric *m = &score->metric[score->metrics++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->value = value;
}

static struct translator translator_of(struct trainer *t, const struct language *l)
{
    return (struct translator){.plugin = &t->plugin,
                               .variant = t->variant,
                               .language = l,
                               .share = t->program,
                               .lend = t->program,
                               .threads = t->plan.threads,
                               .batch = ROWS};
}

bool judge_translations(struct trainer *t, bool (*look)(void *arg), void *arg, struct score *score,
                        struct judge *j)
{
    const struct sequences *s = t->sequences;
    struct language l;
    language_of(s, &l);
    struct translator with = translator_of(t, &l);
    with.look = look;
    with.arg = arg;
    choose_items(s, j);
    struct utterance *source = xmalloc(((size_t)j->items + 1) * sizeof *source);
    for (int i = 0; i < j->items; i++)
        source[i] = source_of(s, j->row[i]);
    struct err err = {0};
    bool done = true;
    const bool fine = translate_greedy(&with, source, j->items, j->said, &done, &err);
    free(source);
    if (!fine)
        fprintf(stderr, "bench: translations are not judged: %s\n", err.text);
    if (!fine || !done || j->items == 0)
        judge_release(j);
    else
        add_metric(score, s->synthetic ? "exact" : "bleu", s->synthetic ? exact(s, j) : bleu(s, j));
    return done;
}

void judge_release(struct judge *j)
{
    for (int i = 0; i < j->items; i++)
        free(j->said[i].token);
    free(j->said);
    free(j->row);
    *j = (struct judge){0};
}

/* ------------------------------------------------------------- for people to see */

static const char **token_names(const struct vocabulary *v, const struct utterance *u)
{
    const char **name = xmalloc(((size_t)u->tokens + 1) * sizeof *name);
    for (int i = 0; i < u->tokens; i++)
        name[i] = vocabulary_token(v, u->token[i]);
    return name;
}

static struct text spelled(const struct vocabulary *v, const struct utterance *u)
{
    struct text text = {0};
    vocabulary_decode(v, u->token, (size_t)u->tokens, &text);
    return text;
}

static void tell_translation(const struct translator *with, const struct sequences *s, uint32_t row,
                             const struct utterance *said, const struct run_sink *sink)
{
    const struct utterance source = source_of(s, row), reference = reference_of(s, row);
    const struct vocabulary *from = s->vocabulary[0], *to = s->vocabulary[1];
    struct text text[] = {spelled(from, &source), spelled(to, &reference), spelled(to, said)};
    const char **source_token = token_names(from, &source), **said_token = token_names(to, said);
    float *attention = translate_attention(with, &source, said);
    const struct run_sample sample = {
        .source = text_str(&text[0]),
        .reference = text_str(&text[1]),
        .output = text_str(&text[2]),
        .source_token = source_token,
        .output_token = said_token,
        .sources = source.tokens,
        .outputs = said->tokens,
        .attention = attention,
    };
    sink->sample(sink->arg, &sample);
    free(attention);
    free(source_token);
    free(said_token);
    for (int i = 0; i < 3; i++)
        text_release(&text[i]);
}

/* From all over the test set. */
static void tell_translations(struct trainer *t, const struct language *l, const struct judge *j,
                              const struct run_sink *sink)
{
    const struct translator with = translator_of(t, l);
    const int n = j->items < RUN_SAMPLES ? j->items : RUN_SAMPLES;
    for (int i = 0; i < n; i++) {
        const int at = (int)((long long)i * j->items / n);
        tell_translation(&with, t->sequences, j->row[at], &j->said[at], sink);
    }
}

enum { CHARACTERS = 300, WORDS = 60, PROMPT_CHARACTERS = 20, PROMPT_WORDS = 5, NAMES = 10 };

struct speech {
    struct speaker *speaker;
    struct sampler sampler;
    struct err err;
};

/* Goes on behind `begin` and `prompt`, for `most` tokens or to </s>, by chance. */
static struct utterance say(struct speech *s, int32_t begin, const struct utterance *prompt,
                            int most)
{
    struct utterance said = {.token = xmalloc((size_t)most * sizeof *said.token)};
    speaker_begin(s->speaker);
    const float *scores = NULL;
    if (begin >= 0)
        scores = speaker_hear(s->speaker, begin, &s->err);
    for (int i = 0; i < prompt->tokens; i++)
        scores = speaker_hear(s->speaker, prompt->token[i], &s->err);
    while (scores && said.tokens < most) {
        const int32_t token = sampler_draw(&s->sampler, scores);
        if (begin == TOKEN_BEGIN && token == TOKEN_END)
            break;
        said.token[said.tokens++] = token;
        scores = speaker_hear(s->speaker, token, &s->err);
    }
    return said;
}

static void tell_text(const struct sequences *s, struct speech *with, const struct run_sink *sink)
{
    const struct vocabulary *v = s->vocabulary[0];
    const bool words = vocabulary_kind(v) == TOKEN_WORDS;
    const struct utterance whole = row_of(&s->series[0], SPLIT_TEST, 0);
    const int most = words ? PROMPT_WORDS : PROMPT_CHARACTERS;
    const struct utterance prompt = {whole.token, whole.tokens < most ? whole.tokens : most, 0};
    struct utterance said = say(with, -1, &prompt, words ? WORDS : CHARACTERS);
    struct text source = spelled(v, &prompt), output = spelled(v, &said);
    sink->sample(sink->arg,
                 &(struct run_sample){.source = text_str(&source), .output = text_str(&output)});
    text_release(&source);
    text_release(&output);
    free(said.token);
}

/* Lines of a text of their own: ten of them are one sample. */
static void tell_lines(const struct sequences *s, const struct language *l, struct speech *with,
                       const struct run_sink *sink)
{
    const int most = 2 * language_input(l, "tokens")->longest;
    struct text output = {0};
    for (int i = 0; i < NAMES; i++) {
        struct utterance said = say(with, TOKEN_BEGIN, &(struct utterance){0}, most);
        vocabulary_decode(s->vocabulary[0], said.token, (size_t)said.tokens, &output);
        text_add(&output, "%s", i + 1 < NAMES ? "\n" : "");
        free(said.token);
    }
    sink->sample(sink->arg, &(struct run_sample){.output = text_str(&output)});
    text_release(&output);
}

static void tell_speech(struct trainer *t, const struct language *l, const struct run_sink *sink)
{
    const bool lines = language_kind(l) == LANGUAGE_LINES;
    const struct prefix_wish w = {.plugin = &t->plugin,
                                  .variant = t->variant,
                                  .language = l,
                                  .share = t->program,
                                  .lend = t->program,
                                  .threads = t->plan.threads,
                                  .most = lines ? 2 * language_input(l, "tokens")->longest + 1 : 0};
    struct speech s = {.speaker = NULL};
    s.speaker = speaker_new(&w, &s.err);
    if (!s.speaker) {
        fprintf(stderr, "bench: no sample of what it says: %s\n", s.err.text);
        return;
    }
    const unsigned never = NEVER_PAD_OR_BEGIN | NEVER_UNKNOWN | (lines ? 0 : 1u << TOKEN_END);
    sampler_init(&s.sampler, vocabulary_count(l->vocabulary[0]),
                 vocabulary_special(l->vocabulary[0]) ? never : 0, 0.8, 0, (uint64_t)t->plan.seed,
                 rng_stream("sample"));
    if (lines)
        tell_lines(t->sequences, l, &s, sink);
    else
        tell_text(t->sequences, &s, sink);
    sampler_release(&s.sampler);
    speaker_free(s.speaker);
}

void judge_tell(struct trainer *t, const struct judge *j, const struct run_sink *sink)
{
    struct language l;
    if (!t->sequences || !sink->sample)
        return;
    language_of(t->sequences, &l);
    const int kind = language_kind(&l);
    if (kind == LANGUAGE_TRANSLATIONS)
        tell_translations(t, &l, j, sink);
    else if (kind == LANGUAGE_TEXT || kind == LANGUAGE_LINES)
        tell_speech(t, &l, sink);
}
