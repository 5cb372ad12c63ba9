/* generate_task.c — see generate_task.h. Each kind of network has a way of its own to answer. */
#include "train/generate_task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "train/dump.h"
#include "train/generate_inside.h"
#include "train/wire.h"

const struct language *talk_language(const struct talk *t) { return &t->checkpoint.language; }

const char *talk_prompt(const struct talk *t, size_t i)
{
    return json_string_value(json_array_get(t->prompts, i));
}

size_t talk_prompts(const struct talk *t) { return json_array_size(t->prompts); }

/* A message may have been cut off within a character, and JSON takes none that is not whole. */
static json_t *message(char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0, step; i < n; i += step) {
        step = text_utf8_length(text + i, n - i, NULL);
        if (step == 0)
            text[i] = '?';
        step += step == 0;
    }
    return json_string(text);
}

void talk_remark(const struct talk *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->report(json_pack("{s:o}", "remark", message(text)));
}

json_t *talk_spelled(const struct vocabulary *v, const int32_t *token, int n)
{
    struct text text = {0};
    vocabulary_decode(v, token, (size_t)n, &text);
    json_t *j = json_string(text_str(&text));
    text_release(&text);
    return j;
}

/* --------------------------------------------------------------------- prompts */

const char *talk_place(const struct talk *t, size_t i, char place[48])
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
        talk_remark(t, "%s%s: not in the vocabulary, %s", text_str(&some), unknown > 5 ? ", …" : "",
                    vocabulary_special(v) ? "read as <unk>" : "left out");
    text_release(&some);
}

int32_t *talk_encode(const struct talk *t, const struct vocabulary *v, const char *text, int *n)
{
    size_t count;
    int32_t *token = vocabulary_encode(v, text, strlen(text), &count);
    tell_unknown(t, v, text);
    *n = count > INT32_MAX / 2 ? INT32_MAX / 2 : (int)count;
    return token;
}

/* -------------------------------------------------------------------- all kinds */

static bool refuse(struct talk *t)
{
    const char *task = st_meta(&t->checkpoint.file, "task");
    if (task && language_spells(task))
        return err_status(t->err, EXIT_BENCH_FAILED, "%s: no vocabulary of its task, %s",
                          t->spec.from, task);
    return err_status(t->err, EXIT_USAGE, "%s:%s says nothing: its task is %s", t->spec.plugin,
                      t->spec.variant, task && *task ? task : "to tell images apart");
}

static bool (*const by_kind[])(struct talk *t) = {
    [LANGUAGE_SPELLING] = answer_spelling, [LANGUAGE_NONE] = refuse,
    [LANGUAGE_TEXT] = answer_text,         [LANGUAGE_LINES] = answer_lines,
    [LANGUAGE_CLASSES] = answer_classes,   [LANGUAGE_TRANSLATIONS] = answer_translations,
};

static bool open_network(struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    const struct nn_variant *v;
    if (!plugin_open(s->plugin_path, &t->plugin, t->err) ||
        !(v = plugin_variant(&t->plugin, s->variant, t->err)))
        return false;
    t->wish = (struct prefix_wish){
        .plugin = &t->plugin, .variant = v, .language = talk_language(t), .threads = s->threads};
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
    const int kind = language_kind(talk_language(t));
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
