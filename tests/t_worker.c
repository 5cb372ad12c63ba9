/* Runs in workers, heard from outside: what comes of a good one, of every bad one, of stopping
 * early, of interrupting; the same bits again; dumps and initial parameters. This program is its
 * own worker. Data: a few hundred images of bars that anybody can tell apart. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "said.h"
#include "tap.h"
#include "train/frame.h"
#include "train/run.h"
#include "train/safetensors.h"
#include "train/sample.h"

enum { SIDE = 28, TRAIN = 512, TEST = 80, BATCH = 32, STEPS = TRAIN / BATCH };

static char here[4096], folder[] = "/tmp/t_worker.XXXXXX";

/* ----------------------------------------------------------------------- data */

static void write_big(FILE *f, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc((int)(v >> shift & 255), f);
}

/* Image i shows a bright bar at a row that is its label, and some noise. */
static void write_images(const char *name, uint32_t items)
{
    char *path = xprintf("%s/%s-images-idx3-ubyte", folder, name);
    FILE *f = fopen(path, "w");
    free(path);
    write_big(f, 0x00000803);
    write_big(f, items);
    write_big(f, SIDE);
    write_big(f, SIDE);
    for (uint32_t i = 0; i < items; i++)
        for (uint32_t p = 0; p < SIDE * SIDE; p++)
            fputc(p / SIDE / 2 == i % 10 ? 250 : (int)((p * 2654435761u + i * 40503u) >> 26), f);
    fclose(f);
    path = xprintf("%s/%s-labels-idx1-ubyte", folder, name);
    f = fopen(path, "w");
    free(path);
    write_big(f, 0x00000801);
    write_big(f, items);
    for (uint32_t i = 0; i < items; i++)
        fputc((int)(i % 10), f);
    fclose(f);
}

/* ------------------------------------------------------------------- listening */

struct heard {
    struct run_plan plan;
    struct run_epoch epoch[4]; /* the first ones */
    struct run_end end;
    int plans, progresses, epochs, samples, layers, ends;
    bool same; /* every sample is said_plain() */
    size_t times;
    double layer_ns, step_ns; /* of a step, by its layers; of all steps */
    bool order;               /* nothing came before what it must follow */
    int interrupts;           /* to send at the first epoch */
};

static void on_plan(void *arg, const struct run_plan *plan)
{
    struct heard *h = arg;
    h->order = h->order && !h->plans++ && !h->epochs && !h->ends;
    h->plan = *plan;
}

static void on_progress(void *arg, const struct run_progress *progress)
{
    struct heard *h = arg;
    h->order = h->order && h->plans && !h->ends && progress->step >= 0;
    h->progresses++;
}

static void on_epoch(void *arg, const struct run_epoch *epoch)
{
    struct heard *h = arg;
    h->order = h->order && h->plans && !h->layers && !h->ends;
    for (size_t i = 0; i < epoch->steps; i++)
        h->step_ns += epoch->step_ns[i];
    h->times += epoch->steps;
    if (h->epochs < 4)
        h->epoch[h->epochs] = *epoch;
    h->epochs++;
    for (int i = 0; i < h->interrupts; i++)
        kill(getpid(), SIGINT);
}

static void on_sample(void *arg, const struct run_sample *sample)
{
    struct heard *h = arg;
    const struct run_sample plain = said_plain();
    h->same = (h->same || !h->samples) && said_same(&plain, sample);
    h->samples++;
}

static void on_layer(void *arg, const struct run_layer *layer)
{
    struct heard *h = arg;
    h->order = h->order && !h->ends;
    h->layers++;
    h->layer_ns += layer->ns;
}

static void on_end(void *arg, const struct run_end *end)
{
    struct heard *h = arg;
    h->order = h->order && !h->ends++;
    h->end = *end;
}

static struct run_spec spec_of(const char *path)
{
    return (struct run_spec){.plugin_path = path,
                             .plugin = "p",
                             .data = folder,
                             .epochs = -1,
                             .batch = BATCH,
                             .threads = 1,
                             .rate = -1,
                             .to_accuracy = -1,
                             .time_budget = -1,
                             .max_steps = -1,
                             .seed = 3};
}

static struct heard hear_spec(const struct run_spec *spec, int interrupts)
{
    struct heard h = {.order = true, .interrupts = interrupts};
    struct err err = {0};
    const struct run_sink sink = {.plan = on_plan,
                                  .progress = on_progress,
                                  .epoch = on_epoch,
                                  .sample = on_sample,
                                  .layer = on_layer,
                                  .end = on_end,
                                  .arg = &h};
    if (!worker_run(spec, &sink, 0, &err))
        printf("# %s\n", err.text);
    return h;
}

static char *test_plugin(const char *name) { return xprintf("%s/plugins/bench-%s.so", here, name); }
static char *real_plugin(const char *name)
{
    return xprintf("%s/../plugins/bench-%s.so", here, name);
}

/* ------------------------------------------------------------------- good ones */

static void check_good(void)
{
    char *path = test_plugin("good");
    struct run_spec spec = spec_of(path);
    spec.epochs = 3;
    const struct heard h = hear_spec(&spec, 0);
    const struct run_epoch *e = &h.epoch[2];
    ok(h.order && h.plans == 1 && h.epochs == 3 && h.ends == 1, "a plan, three epochs, one end");
    is_str(run_status_name[h.end.status], "ok", "ends well");
    is_str(h.end.reason, "", "without a reason");
    is_str(h.plan.plugin, "good", "the plan: plugin");
    is_str(h.plan.variant, "plain", "the plan: variant");
    ok(h.plan.train_items == TRAIN && h.plan.test_items == TEST && !h.plan.synthetic,
       "the plan: data");
    ok(h.plan.params == 7850 && h.plan.macs == 7840, "the plan: size of the network");
    ok(h.plan.flops_step > 0.6 * 6 * 7840 * BATCH && h.plan.peak_bytes > 12UL * 7850,
       "the plan: work and memory");
    ok(strstr(h.plan.config, "\"batch\":32") && strstr(h.plan.config, "\"rate\":0.1"),
       "the plan: config");
    is_int(h.plan.steps_per_epoch, STEPS, "steps an epoch");
    is_int(h.times, 3 * STEPS, "a time for each step");
    is_int(h.end.steps, 3 * STEPS, "steps in all");
    ok(e->step == h.end.steps && e->items == 3LL * TRAIN && e->epoch == 3,
       "the last epoch's counts");
    ok(e->train_loss < h.epoch[0].train_loss && e->test_loss > 0, "the loss falls");
    is_str(e->test[0].name, "accuracy", "the metric");
    is_near(h.end.last[0].value, 100, 1e-9, "bars are learned");
    ok(h.end.best[0].value >= h.epoch[0].test[0].value, "best is best");
    ok(h.end.step_ms_min > 0 && h.end.step_ms_median >= h.end.step_ms_min &&
           h.end.samples_per_s > 0,
       "step times");
    ok(h.end.harness_s > 0 && h.end.harness_s < 5 && h.end.peak_rss_bytes > 1 << 20,
       "its own costs");
    free(path);
}

static void check_repeatable(void)
{
    char *path = test_plugin("good");
    struct run_spec spec = spec_of(path);
    spec.epochs = 2;
    const struct heard a = hear_spec(&spec, 0), b = hear_spec(&spec, 0);
    spec.threads = 2;
    const struct heard c = hear_spec(&spec, 0);
    spec.seed = 4;
    const struct heard d = hear_spec(&spec, 0);
    ok(a.end.train_loss == b.end.train_loss && a.epoch[1].test_loss == b.epoch[1].test_loss,
       "the same seed gives the same bits");
    ok(a.end.train_loss == c.end.train_loss && a.epoch[1].test_loss == c.epoch[1].test_loss,
       "with two threads as well");
    ok(a.end.train_loss != d.end.train_loss, "another seed gives others");
    free(path);
}

/* The last part-batch of the test set must count by its items: the mean over batches of 32, 32 and
 * 16 equals the one over 80 batches of 1. */
static void check_weighted_means(void)
{
    char *path = test_plugin("good");
    struct run_spec spec = spec_of(path);
    spec.epochs = 0;
    const struct heard a = hear_spec(&spec, 0);
    spec.batch = 1;
    const struct heard b = hear_spec(&spec, 0);
    ok(a.epochs == 1 && a.end.steps == 0 && isnan(a.end.step_ms_median),
       "no epoch: evaluation only");
    is_near(a.epoch[0].test_loss, b.epoch[0].test_loss, 1e-6, "loss of part-batches");
    is_near(a.end.last[0].value, b.end.last[0].value, 1e-9, "accuracy of part-batches");
    free(path);
}

static void check_stopping(void)
{
    char *path = test_plugin("good");
    struct run_spec spec = spec_of(path);
    spec.epochs = 50;
    spec.to_accuracy = 99;
    struct heard h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_OK && !h.end.target_missed && h.epochs < 50, "stops at the target");
    is_str(h.end.reason, "reached 99", "and says so");
    spec.epochs = 1;
    spec.rate = 1e-9;
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_OK && h.end.target_missed, "a missed target");
    spec = spec_of(path);
    spec.epochs = 5;
    spec.max_steps = 20;
    h = hear_spec(&spec, 0);
    ok(h.end.steps == 20 && h.epochs == 2 && h.epoch[1].steps == 4, "stops after 20 steps");
    is_str(h.end.reason, "20 steps", "and says so");
    spec.max_steps = -1;
    spec.epochs = 1000000;
    spec.time_budget = 0.3;
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_OK && h.end.time_s >= 0.3 && h.end.time_s < 5,
       "stops after 0.3 s (%.2f)", h.end.time_s);
    is_str(h.end.reason, "time budget of 0.3 s", "and says so");
    ok(h.progresses >= 1, "with signs of progress");
    free(path);
}

static void check_profile(void)
{
    char *path = test_plugin("good");
    struct run_spec spec = spec_of(path);
    spec.epochs = 3;
    spec.profile = true;
    struct heard h = hear_spec(&spec, 0);
    ok(h.order && h.layers >= 4, "a time for each op (%d)", h.layers);
    const double timed = (double)h.end.steps - 10; /* the first ones are left out */
    ok(h.layer_ns > 0 && h.layer_ns * timed < h.step_ns, "that add up to no more than the steps");
    spec.profile = false;
    spec.dry_run = true;
    h = hear_spec(&spec, 0);
    ok(h.plans == 1 && h.epochs == 0 && h.ends == 1 && h.end.status == RUN_OK,
       "a dry run plans only");
    free(path);
}

static void check_interrupts(void)
{
    signal(SIGINT, SIG_DFL); /* a shell's background jobs are born deaf, and workers respect that */
    char *path = test_plugin("good"), *hang = test_plugin("hang");
    struct run_spec spec = spec_of(path);
    spec.epochs = 1000000;
    struct heard h = hear_spec(&spec, 1);
    is_str(run_status_name[h.end.status], "interrupted", "SIGINT ends a run");
    ok(h.end.steps > 0, "which tells how far it came");
    /* A worker that does not listen is killed by the second signal. */
    spec = spec_of(hang);
    fflush(stdout); /* or the child would print it again */
    const pid_t child = fork();
    if (child == 0) {
        h = hear_spec(&spec, 0);
        _exit(h.end.status == RUN_INTERRUPTED ? 0 : 1);
    }
    int status = -1;
    usleep(500000);
    kill(child, SIGINT);
    usleep(300000);
    kill(child, SIGINT);
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the second SIGINT kills");
    free(path);
    free(hang);
}

/* -------------------------------------------------------------------- bad ones */

static void check_bad(void)
{
    static const struct {
        const char *name;
        int status, signal;
        const char *reason;
    } bad[] = {
        {"crash", RUN_CRASHED, SIGSEGV, "killed by SIGSEGV in build()"},
        {"crash-load", RUN_CRASHED, SIGABRT, "killed by SIGABRT in loading the plugin"},
        {"hang", RUN_TIMEOUT, SIGKILL, "no sign of life for 1 s in build()"},
        {"quit", RUN_CRASHED, 0, "ended without a word in build()"},
        {"scribble", RUN_CRASHED, SIGKILL, "garbled message from the worker in build()"},
        {"nan", RUN_FAILED, 0, "step 1: output: log: output holds NaN"},
        {"build-error", RUN_FAILED, 0, ": output: add: [N,10] and [11] differ"},
        {"recipe", RUN_REFUSED, 0, "recipe: momentum: found 1.5, expected 0 to 0.999999"},
        {"abi-major", RUN_REFUSED, 0, "abi_major: found 3, expected 2"},
        {"no-symbol", RUN_REFUSED, 0, "symbol nn_plugin: found none"},
        {"no-note", RUN_REFUSED, 0, "no bench note"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const bool silent = bad[i].status == RUN_TIMEOUT; /* the rest may be slow, not silent */
        setenv("BENCH_WORKER_SILENCE", silent ? "1" : "60", 1);
        char *path = test_plugin(bad[i].name);
        const struct run_spec spec = spec_of(path);
        const struct heard h = hear_spec(&spec, 0);
        ok(h.order && h.ends == 1 && h.epochs == 0, "%s: an end and no epoch", bad[i].name);
        is_str(run_status_name[h.end.status], run_status_name[bad[i].status], "%s: status",
               bad[i].name);
        is_int(h.end.signal, bad[i].signal, "%s: signal", bad[i].name);
        if (!ok(strstr(h.end.reason, bad[i].reason) != NULL, "%s: reason", bad[i].name))
            printf("# got '%s', wanted '%s'\n", h.end.reason, bad[i].reason);
        if (bad[i].status == RUN_REFUSED)
            is_int(h.end.exit_code, EXIT_PLUGIN, "%s: exit status", bad[i].name);
        free(path);
    }
    unsetenv("BENCH_WORKER_SILENCE");
}

/* A run whose worker says `samples` times what `json` holds; takes `json`. */
static struct heard hear_forged(const char *path, json_t *json, int samples)
{
    char *file = xprintf("%s/forged", folder);
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; i < samples; i++)
        (void)frame_write(fd, FRAME_SAMPLE, json_incref(json));
    close(fd);
    json_decref(json);
    setenv("BENCH_FORGED", file, 1);
    const struct run_spec spec = spec_of(path);
    const struct heard h = hear_spec(&spec, 0);
    unsetenv("BENCH_FORGED");
    free(file);
    return h;
}

static void check_samples(void)
{
    static const struct {
        const char *field;
        json_t *(*value)(void);
        const char *reason;
    } forged[] = {
        {"output", json_null, "sample: 'output' is no text"},
        {"source_tokens", json_array,
         "sample: 'attention' is neither null nor 5 rows of 0 numbers"},
        {"attention", json_object, "sample: 'attention'"},
        {"output_tokens", json_true, "sample: tokens are no lists"},
    };
    const struct run_sample plain = said_plain();
    char *path = test_plugin("forge");
    struct heard h = hear_forged(path, sample_json(&plain), RUN_SAMPLES);
    is_str(run_status_name[h.end.status], "ok", "a worker that says what it has learnt");
    ok(h.samples == RUN_SAMPLES && h.same, "is heard word for word, %d times", h.samples);
    h = hear_forged(path, sample_json(&plain), RUN_SAMPLES + 1);
    ok(h.end.status == RUN_CRASHED && strstr(h.end.reason, ": more than 8 samples"), "%s",
       h.end.reason);
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        json_t *json = sample_json(&plain);
        json_object_set_new(json, forged[i].field, forged[i].value());
        h = hear_forged(path, json, 1);
        ok(h.end.status == RUN_CRASHED && strstr(h.end.reason, forged[i].reason) && !h.samples,
           "a forged one: %s", h.end.reason);
    }
    free(path);
}

static void check_isolation(void)
{
    char *path = test_plugin("descriptors"), *loud = test_plugin("chatter");
    const int fd = open("/dev/null", O_RDONLY), high = fcntl(fd, F_DUPFD, 100);
    struct run_spec spec = spec_of(path);
    spec.epochs = 1;
    struct heard h = hear_spec(&spec, 0);
    is_str(run_status_name[h.end.status], "ok", "a worker inherits no descriptors");
    close(fd);
    close(high);
    spec = spec_of(loud);
    spec.epochs = 1;
    fflush(stdout);
    char *file = xprintf("%s/out", folder);
    const int old = dup(1), to = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dup2(to, 1);
    h = hear_spec(&spec, 0);
    dup2(old, 1);
    ok(h.end.status == RUN_OK && lseek(to, 0, SEEK_END) == 0, "its standard output is not ours");
    close(old);
    close(to);
    free(file);
    free(path);
    free(loud);
}

static void check_refused_wishes(void)
{
    char *path = test_plugin("good"), *cifar = real_plugin("lenet5");
    struct run_spec spec = spec_of(path);
    spec.isa = "mmx";
    struct heard h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_FAILED && h.end.exit_code == EXIT_USAGE, "unknown ISA: %s",
       h.end.reason);
    spec = spec_of(path);
    spec.batch = TRAIN + 1;
    h = hear_spec(&spec, 0);
    is_str(h.end.reason, "batch 513 is larger than the training set, 512 items",
           "too large a batch");
    spec = spec_of(path);
    spec.variant = "plane";
    h = hear_spec(&spec, 0);
    ok(strstr(h.end.reason, "did you mean 'plain'?") != NULL, "%s", h.end.reason);
    spec = spec_of(path);
    spec.data = "/nonexistent";
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_FAILED && strstr(h.end.reason, "/nonexistent"), "%s", h.end.reason);
    spec = spec_of(cifar);
    spec.variant = "cifar";
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_FAILED && strstr(h.end.reason, "[3,32,32]"), "%s", h.end.reason);
    free(path);
    free(cifar);
}

/* ReLU and a rate of 1e9: the numbers explode within steps, and the trap says where. */
static void check_explosion(void)
{
    char *path = real_plugin("mlp");
    struct run_spec spec = spec_of(path);
    spec.variant = "512-512";
    spec.rate = 1e9;
    const struct heard h = hear_spec(&spec, 0);
    is_str(run_status_name[h.end.status], "failed", "a rate of 1e9 fails");
    ok(strncmp(h.end.reason, "step ", 5) == 0 && strstr(h.end.reason, " holds "), "%s",
       h.end.reason);
    free(path);
}

/* ------------------------------------------------------------------------ dumps */

static bool same(const struct st_file *a, const char *x, const struct st_file *b, const char *y)
{
    const struct st_tensor *s = st_find(a, x), *t = st_find(b, y);
    return s && t && s->elements == t->elements && memcmp(s->data, t->data, s->elements * 4) == 0;
}

static void check_shape(const struct st_file *f, const char *name, const char *expected)
{
    char text[128] = "not there";
    const struct st_tensor *t = st_find(f, name);
    if (t)
        st_shape_text(t->rank, t->dim, text);
    is_str(text, expected, "%s in logical order", name);
}

static void check_step(const struct st_file *f)
{
    const char *const name = "C1.bias";
    char key[3][32];
    for (int i = 0; i < 3; i++)
        snprintf(key[i], sizeof key[i], "%s.%s", (const char *[]){"init", "grad", "param"}[i],
                 name);
    const struct st_tensor *init = st_find(f, key[0]), *grad = st_find(f, key[1]),
                           *param = st_find(f, key[2]);
    double worst = 0;
    if (!ok(init && grad && param, "the step's tensors are there") || !init || !grad || !param)
        return;
    const double rate = strtod(st_meta(f, "rate"), NULL);
    for (size_t i = 0; i < init->elements; i++) {
        float w, g, after;
        memcpy(&w, (const float *)init->data + i, 4);
        memcpy(&g, (const float *)grad->data + i, 4);
        memcpy(&after, (const float *)param->data + i, 4);
        const double d =
            (double)g + 1e-4 * (double)w; /* the recipe's decay; momentum starts at 0 */
        worst = fmax(worst, fabs((double)w - rate * d - (double)after));
    }
    is_near(worst, 0, 1e-7,
            "parameters behind the step are those before minus rate times gradient");
}

static void check_dump(void)
{
    char *path = real_plugin("lenet5"), *a = xprintf("%s/a.st", folder),
         *b = xprintf("%s/b.st", folder);
    struct err err = {0};
    struct st_file f, g;
    struct run_spec spec = spec_of(path);
    spec.dump = a;
    struct heard h = hear_spec(&spec, 0);
    if (!ok(h.end.status == RUN_OK && st_open(a, &f, &err), "a dump: %s%s", h.end.reason, err.text))
        return;
    check_shape(&f, "input.image", "[32,1,32,32]");
    check_shape(&f, "input.label", "[32]");
    check_shape(&f, "output", "[32,10]");
    check_shape(&f, "loss", "[]");
    check_shape(&f, "param.C3.weight", "[16,6,5,5]");
    check_shape(&f, "grad.F6.weight", "[84,120]");
    is_str(st_meta(&f, "plugin"), "lenet5", "metadata: plugin");
    is_str(st_meta(&f, "variant"), "modern", "metadata: variant");
    check_step(&f);

    spec.init = a; /* from the parameters behind the step, whatever the seed */
    spec.dump = b;
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_OK && st_open(b, &g, &err), "a dump from given parameters: %s",
       h.end.reason);
    ok(same(&f, "param.C3.weight", &g, "init.C3.weight") &&
           same(&f, "param.output.bias", &g, "init.output.bias"),
       "begins with them, to the bit");
    ok(same(&f, "input.image", &g, "input.image") && !same(&f, "loss", &g, "loss"),
       "the same pictures, another loss");
    st_close(&g);
    st_close(&f);
    spec.dump = NULL;
    spec.variant = "28valid";
    h = hear_spec(&spec, 0);
    ok(h.end.status == RUN_FAILED && h.end.exit_code == EXIT_USAGE &&
           strstr(h.end.reason, "'param.C5.weight': found [120,16,5,5], expected [120,256]"),
       "another network's parameters: %s", h.end.reason);
    free(path);
    free(a);
    free(b);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main();
    const ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    if (n <= 0 || !mkdtemp(folder))
        return EXIT_FAILURE;
    *strrchr(here, '/') = '\0';
    setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0", 0);
    setenv("TSAN_OPTIONS", "handle_segv=0:handle_abort=0", 0);
    write_images("train", TRAIN);
    write_images("t10k", TEST);
    check_good();
    check_repeatable();
    check_weighted_means();
    check_stopping();
    check_profile();
    check_interrupts();
    check_bad();
    check_samples();
    check_isolation();
    check_refused_wishes();
    check_explosion();
    check_dump();
    char *clean = xprintf("rm -rf %s", folder);
    ok(system(clean) == 0, "cleaned up");
    free(clean);
    return done();
}
