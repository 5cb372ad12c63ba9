/* plugin_check.c — see plugin_check.h: the caller's half, which loads nothing. */
#include "train/plugin_check.h"

#include <stdio.h>
#include <string.h>

#include "base/crew.h"
#include "train/frame.h"
#include "train/spawn.h"

static bool keep_report(void *arg, int type, const json_t *json)
{
    json_t **report = arg;
    if (type != FRAME_REPORT || *report)
        return false;
    *report = json_deep_copy(json);
    return true;
}

/* The worker's report on the plugin; NULL and *err where it died or refused. */
static json_t *ask(json_t *job, bool own_stdout, struct err *err)
{
    const char *path = json_string_value(json_object_get(job, "path"));
    json_t *report = NULL;
    struct spawn_end end;
    char why[256];
    const struct spawn s = {
        .job = job, .own_stdout = own_stdout, .frame = keep_report, .arg = &report};
    if (!spawn_worker(&s, &end, err))
        return NULL;
    if (*spawn_reason(&end, why) || !report) {
        json_decref(report);
        if (end.interrupted)
            err_status(err, EXIT_INTERRUPTED, "interrupted");
        else
            err_status(err, EXIT_BENCH_FAILED, "%s: %s", path, *why ? why : "ended without a word");
        return NULL;
    }
    const char *error = json_string_value(json_object_get(report, "error"));
    if (error) {
        err_status(err, (int)json_integer_value(json_object_get(report, "status")), "%s", error);
        json_decref(report);
        return NULL;
    }
    return report;
}

json_t *plugin_describe(const char *path, const char *variant, int batch, int threads,
                        struct err *err)
{
    json_t *job =
        json_pack("{s:s, s:s, s:s?, s:i, s:i}", "task", "describe", "path", path, "variant",
                  variant, "batch", batch, "threads", threads > 0 ? threads : crew_cores());
    json_t *report = ask(job, false, err);
    json_decref(job);
    return report;
}

bool plugin_check(const char *path, struct err *err)
{
    struct err why = {0};
    json_t *job = json_pack("{s:s, s:s}", "task", "check", "path", path);
    json_t *report = ask(job, true, &why);
    json_decref(job);
    if (!report) {
        printf("Bail out! %s\n", why.text);
        return err_status(err, why.status, "%s", why.text);
    }
    const bool fine = json_integer_value(json_object_get(report, "failed")) == 0;
    const char *refused = json_string_value(json_object_get(report, "refused"));
    if (refused)
        err_status(err, EXIT_PLUGIN, "%s", refused);
    json_decref(report);
    return fine;
}
