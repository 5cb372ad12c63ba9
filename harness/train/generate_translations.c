/* generate_translations.c — texts in, texts out: the best translation, or the best few of a beam. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/generate_inside.h"
#include "train/loop.h"
#include "train/search.h"
#include "train/translate.h"

enum { BATCH = 64 };
static const int64_t alive_ns = 1000000000; /* a sign of life so often */

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
                               .language = talk_language(t),
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
    for (size_t i = 0; i < talk_prompts(t); i++) {
        source[i].token = talk_encode(t, v, talk_prompt(t, i), &source[i].tokens);
        if (source[i].tokens > TALK_READ)
            return err_status(t->err, EXIT_USAGE, "%s: found %d tokens, expected up to %d",
                              talk_place(t, i, place), source[i].tokens, TALK_READ);
    }
    return true;
}

static bool translate_searching(struct talk *t, const struct translator *with,
                                const struct utterance *source, size_t i)
{
    const struct vocabulary *v = talk_language(t)->vocabulary[1];
    struct utterance said[BEAM];
    int n = 0;
    if (source->tokens > 0 && !translate_beam(with, source, t->spec.beam, said, &n, t->err))
        return false;
    json_t *others = json_array();
    for (int k = 1; k < n; k++)
        json_array_append_new(others, json_pack("{s:o, s:f}", "text",
                                                talk_spelled(v, said[k].token, said[k].tokens),
                                                "score", said[k].score));
    t->report(
        json_pack("{s:{s:s, s:o, s:i, s:f, s:o}}", "said", "prompt", talk_prompt(t, i), "text",
                  n ? talk_spelled(v, said[0].token, said[0].tokens) : json_string(""), "tokens",
                  n ? said[0].tokens : 0, "score", n ? said[0].score : 0.0, "others", others));
    for (int k = 0; k < n; k++)
        free(said[k].token);
    return true;
}

/* Empty texts have empty translations, and no network is asked about them. */
static bool translate_greedily(struct talk *t, const struct translator *with,
                               const struct utterance *source)
{
    const size_t n = talk_prompts(t);
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
            json_pack("{s:{s:s, s:o, s:i}}", "said", "prompt", talk_prompt(t, i), "text",
                      one ? talk_spelled(talk_language(t)->vocabulary[1], one->token, one->tokens)
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
    if (beam > 1 && language_at_once(talk_language(t)))
        return err_status(
            t->err, EXIT_USAGE,
            "--beam: %s:%s says all of a text at once, expected a network that goes on "
            "from what it has said",
            s->plugin, s->variant);
    return s->count <= beam ||
           err_status(t->err, EXIT_USAGE,
                      "--count %d: %s:%s finds %d translation%s of a text, "
                      "expected --beam %d or more",
                      s->count, s->plugin, s->variant, beam, beam > 1 ? "s" : "", s->count);
}

bool answer_translations(struct talk *t)
{
    const size_t n = talk_prompts(t);
    if (n == 0)
        return err_status(t->err, EXIT_USAGE,
                          "%s:%s translates: expected --prompt, or a text a line", t->spec.plugin,
                          t->spec.variant);
    if (!check_translating(t))
        return false;
    struct utterance *source = xcalloc(n, sizeof *source);
    const struct translator with = translator_of(t);
    bool fine = read_sources(t, talk_language(t)->vocabulary[0], source);
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
