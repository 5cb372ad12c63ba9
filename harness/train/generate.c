/* generate.c — see generate.h. */
#include "train/generate.h"

#include <stdio.h>

#include "base/crew.h"
#include "train/frame.h"
#include "train/spawn.h"
#include "train/wire.h"

struct listening {
    const struct generate_sink *sink;
    json_t *end; /* the last word: {"status":…,"error":…} */
};

static bool hear(void *arg, int type, const json_t *json)
{
    struct listening *l = arg;
    const struct generate_sink *s = l->sink;
    const char *piece = json_string_value(json_object_get(json, "piece"));
    const char *remark = json_string_value(json_object_get(json, "remark"));
    const json_t *said = json_object_get(json, "said");
    if (type != FRAME_REPORT || l->end)
        return false;
    if (piece && s->piece)
        s->piece(s->arg, piece);
    if (remark && s->remark)
        s->remark(s->arg, remark);
    if (said && s->said)
        s->said(s->arg, said);
    if (json_object_get(json, "status"))
        l->end = json_deep_copy(json);
    return true;
}

static bool judge(const struct generate_spec *spec, const struct spawn_end *end, const json_t *last,
                  struct err *err)
{
    char why[256];
    const char *error = json_string_value(json_object_get(last, "error"));
    if (end->interrupted)
        return err_status(err, EXIT_INTERRUPTED, "interrupted");
    if (*spawn_reason(end, why) || !last)
        return err_status(err, EXIT_BENCH_FAILED, "%s:%s: %s", spec->plugin, spec->variant,
                          *why ? why : "ended without a word");
    return !error ||
           err_status(err, (int)json_integer_value(json_object_get(last, "status")), "%s", error);
}

bool generate_run(const struct generate_spec *spec, const char *const *prompt, size_t prompts,
                  const struct generate_sink *sink, struct err *err)
{
    struct generate_spec whole = *spec;
    whole.threads = spec->threads > 0 ? spec->threads : crew_cores();
    struct listening l = {.sink = sink};
    json_t *texts = json_array();
    for (size_t i = 0; i < prompts; i++)
        json_array_append_new(texts, json_string(prompt[i]));
    json_t *job = json_pack("{s:s, s:o, s:o}", "task", "generate", "spec",
                            wire_pack(wire_generate, &whole), "prompts", texts);
    struct spawn_end end = {0};
    const struct spawn s = {.job = job, .frame = hear, .arg = &l};
    const bool fine = wire_fits(wire_generate, &whole, err) && spawn_worker(&s, &end, err) &&
                      judge(spec, &end, l.end, err);
    json_decref(job);
    json_decref(l.end);
    return fine;
}
