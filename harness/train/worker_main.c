/* worker_main.c — the worker's side: takes its job from descriptor 3, speaks through
 * descriptor 4. Each task is a row of a table. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/frame.h"
#include "train/generate_task.h"
#include "train/loop.h"
#include "train/plugin_task.h"
#include "train/run.h"
#include "train/sample.h"
#include "train/spawn.h"
#include "train/wire.h"

/* ------------------------------------------------------------------ speaking */

/* When nobody listens any more there is nothing left to do. */
static void speak(int type, json_t *json)
{
    if (!frame_write(SPAWN_FRAMES, type, json))
        _exit(EXIT_INTERNAL);
}

static void say(const char *what) { speak(FRAME_PHASE, json_pack("{s:s}", "phase", what)); }

static void on_plan(void *arg, const struct run_plan *plan)
{
    (void)arg;
    speak(FRAME_PLAN, wire_pack(wire_plan, plan));
}

static void on_progress(void *arg, const struct run_progress *progress)
{
    (void)arg;
    speak(FRAME_PROGRESS, wire_pack(wire_progress, progress));
}

static void on_epoch(void *arg, const struct run_epoch *epoch)
{
    (void)arg;
    speak(FRAME_EPOCH, wire_pack(wire_epoch, epoch));
}

static void on_sample(void *arg, const struct run_sample *sample)
{
    (void)arg;
    speak(FRAME_SAMPLE, sample_json(sample));
}

static void on_layer(void *arg, const struct run_layer *layer)
{
    (void)arg;
    speak(FRAME_LAYER, wire_pack(wire_layer, layer));
}

static void on_counter(void *arg, const struct run_counter *counter)
{
    (void)arg;
    speak(FRAME_COUNTER, wire_pack(wire_counter, counter));
}

static void on_profile(void *arg, const struct run_profile *profile)
{
    (void)arg;
    speak(FRAME_PROFILE, wire_pack(wire_profile, profile));
}

static void on_end(void *arg, const struct run_end *end)
{
    (void)arg;
    speak(FRAME_END, wire_pack(wire_end, end));
}

/* --------------------------------------------------------------------- tasks */

static int task_run(const json_t *job)
{
    static const struct run_sink sink = {.plan = on_plan,
                                         .progress = on_progress,
                                         .epoch = on_epoch,
                                         .sample = on_sample,
                                         .layer = on_layer,
                                         .counter = on_counter,
                                         .profile = on_profile,
                                         .end = on_end};
    struct run_spec spec;
    struct err err = {0};
    if (!wire_unpack(wire_spec, json_object_get(job, "spec"), &spec, &err)) {
        fprintf(stderr, "bench worker: %s\n", err.text);
        return EXIT_INTERNAL;
    }
    loop_run(&spec, &sink, say);
    return EXIT_OK;
}

static int task_describe(const json_t *job)
{
    speak(FRAME_REPORT, plugin_task_describe(job, say));
    return EXIT_OK;
}

static int task_check(const json_t *job)
{
    speak(FRAME_REPORT, plugin_task_check(job, say));
    return EXIT_OK;
}

static void report(json_t *json) { speak(FRAME_REPORT, json); }

static int task_generate(const json_t *job)
{
    generate_task(job, say, report);
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(const json_t *job);
} tasks[] = {{"run", task_run},
           {"describe", task_describe},
           {"check", task_check},
           {"generate", task_generate}};

static void on_terminate(int number)
{
    (void)number;
    loop_stop = 1;
}

/* A stray `bench worker` has no job and no listener: it must say so, not wait. */
int worker_main(void)
{
    FILE *in = fcntl(SPAWN_FRAMES, F_GETFD) < 0 ? NULL : fdopen(SPAWN_JOB, "r");
    json_t *job = in ? json_loadf(in, 0, NULL) : NULL;
    if (in)
        fclose(in);
    const char *name = json_string_value(json_object_get(job, "task"));
    int status = EXIT_USAGE;
    fcntl(SPAWN_FRAMES, F_SETFD, FD_CLOEXEC);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_terminate}, NULL);
    for (size_t i = 0; name && i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(tasks[i].name, name) == 0)
            status = tasks[i].run(job);
    if (status == EXIT_USAGE)
        fprintf(stderr, "bench worker: started by the program itself only\n");
    json_decref(job);
    return status;
}
