/* generate_text.c — what is drawn by chance, a token at a time: running text, lines, names of a
 * class. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/generate_inside.h"
#include "train/loop.h"
#include "train/search.h"
#include "train/speaker.h"

enum {
    HEARD = 4096,     /* tokens of a prompt that running text goes on from: the last ones */
    CHARACTERS = 300, /* said if nothing is said about it */
    WORDS = 60
};
static const double temperature = 0.8;

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
    int32_t *token = prompt ? talk_encode(s->t, s->v, prompt, &n) : NULL;
    const int from = n > HEARD ? n - HEARD : 0;
    if (from)
        talk_remark(s->t, "the prompt has %d tokens: the last %d are read", n, HEARD);
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
    const struct language *l = talk_language(t);
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
    struct telling s = {.t = t, .v = talk_language(t)->vocabulary[0]};
    if (t->spec.beam > 0)
        return err_status(t->err, EXIT_USAGE,
                          "--beam: %s:%s draws its text by chance, expected a "
                          "network that translates",
                          t->spec.plugin, t->spec.variant);
    if (talk_prompts(t) > 1)
        return err_status(t->err, EXIT_USAGE, "expected one --prompt, found %zu", talk_prompts(t));
    const char *prompt = talk_prompts(t) ? talk_prompt(t, 0) : NULL;
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

bool answer_text(struct talk *t) { return tell_texts(t, false); }
bool answer_lines(struct talk *t) { return tell_texts(t, true); }

/* -------------------------------------------------------------- names of a class */

static bool spell_class(struct talk *t, struct sampler *s, int class, int number, int most)
{
    const struct language *l = talk_language(t);
    struct prefix_wish w = t->wish;
    int32_t *token = xmalloc(((size_t)most + 1) * sizeof *token);
    w.of_class = class;
    s->random = rng_make((uint64_t)t->spec.seed,
                         rng_stream("generate") + ((uint64_t) class << 32) + (uint64_t)number);
    const int n = speaker_spell(&w, s, most, token, t->err);
    if (n >= 0)
        t->report(json_pack("{s:{s:s, s:o, s:i}}", "said", "prompt", l->class_name[class], "text",
                            talk_spelled(l->vocabulary[0], token, n), "tokens", n));
    free(token);
    return n >= 0;
}

static int refuse_class(const struct talk *t, const char *prompt)
{
    const struct language *l = talk_language(t);
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
    const struct language *l = talk_language(t);
    for (int i = 0; i < l->classes; i++)
        if (strcasecmp(l->class_name[i], prompt) == 0)
            return i;
    return refuse_class(t, prompt);
}

/* Of the class that is asked for, or of each. */
bool answer_spelling(struct talk *t)
{
    const struct language *l = talk_language(t);
    const int count = t->spec.count > 0 ? t->spec.count : 1;
    const int most = t->spec.length >= 0 ? t->spec.length : 2 * language_input(l, "next")->longest;
    const int asked = talk_prompts(t) ? class_of(t, talk_prompt(t, 0)) : -1;
    if (t->spec.beam > 0)
        return err_status(t->err, EXIT_USAGE, "--beam: names are drawn by chance");
    if (talk_prompts(t) && asked < 0)
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
