/* fill.h — made-up runs of plausible shape, for tests of the store and the report. */
#ifndef FILL_H
#define FILL_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "said.h"
#include "store/store.h"

static const struct fill_net {
    const char *name, *variant, *title;
    int year;
    double params, macs, top, step_ms, published;
} fill_nets[] = {
    {"filters", "bank", "Hand-made filters", 1968, 7850, 62000, 84.5, 1.1, NAN},
    {"mlp", "modern", "Multi-layer perceptron", 1986, 669706, 668672, 89.4, 2.4, 98.4},
    {"lenet5", "original", "LeNet-5", 1998, 60000, 416520, 89.9, 4.9, 99.05},
    {"lenet5", "modern", "LeNet-5", 1998, 61706, 416520, 90.8, 3.1, NAN},
};
enum { FILL_NETS = sizeof fill_nets / sizeof *fill_nets, FILL_STEPS = 100 };

static inline struct run_plan fill_plan(const struct fill_net *net, int epochs, int64_t seed)
{
    struct run_plan p = {.isa = "avx512",
                         .precision = "f32",
                         .dataset = "fashion-mnist",
                         .dataset_path = "/usr/share/dataset",
                         .train_items = 60000,
                         .test_items = 10000,
                         .batch = 128,
                         .threads = 2,
                         .epochs = epochs,
                         .seed = seed,
                         .params = net->params,
                         .macs = net->macs,
                         .flops_step = net->macs * 6 * 128,
                         .bytes_step = net->params * 40,
                         .peak_bytes = 9000000,
                         .activation_bytes = 6000000,
                         .parameter_bytes = 3000000,
                         .steps_per_epoch = FILL_STEPS,
                         .published_metric = net->published,
                         .published_name = "accuracy",
                         .published_dataset = "mnist",
                         .published_source = "Table 1"};
    snprintf(p.plugin, sizeof p.plugin, "%s", net->name);
    snprintf(p.variant, sizeof p.variant, "%s", net->variant);
    snprintf(p.config, sizeof p.config, "{\"batch\":128,\"epochs\":%d}", epochs);
    memset(p.dataset_sha256, 'd', 64);
    return p;
}

static inline double fill_accuracy(const struct fill_net *net, int epoch)
{
    return net->top - 12 * exp(-0.7 * epoch);
}

static inline void fill_epoch(struct store_run *r, const struct fill_net *net, int epoch,
                              struct rng *rng)
{
    double ns[FILL_STEPS];
    for (int i = 0; i < FILL_STEPS; i++)
        ns[i] = net->step_ms * 1e6 * (1 + 0.02 * fabs(rng_normal(rng)));
    const double accuracy = fill_accuracy(net, epoch), loss = (100 - accuracy) / 30;
    struct run_epoch e = {.epoch = epoch,
                          .step = epoch * FILL_STEPS,
                          .items = epoch * FILL_STEPS * 128,
                          .time_s = epoch * net->step_ms * 0.12,
                          .train_s = net->step_ms * 0.1,
                          .eval_s = net->step_ms * 0.02,
                          .rate = 0.1 / epoch,
                          .train_loss = loss * 0.9,
                          .test_loss = loss,
                          .metrics = 1,
                          .train = {{"accuracy", accuracy + 0.5}},
                          .test = {{"accuracy", accuracy}},
                          .step_ns = ns,
                          .steps = FILL_STEPS,
                          .warm = epoch == 1 ? 10 : 0};
    (void)store_run_epoch(r, &e, NULL);
}

static inline void fill_layers(struct store_run *r)
{
    static const char *const rows[] = {"C1", "S2", "C3", "S4", "C5", "F6", "output"};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 7; i++) {
            struct run_layer l = {.op = "conv2d",
                                  .shape = "[N,6,28,28]",
                                  .kernel = "conv_f32",
                                  .pass = pass,
                                  .macs = 1e6,
                                  .flops = 2e6,
                                  .bytes = 1e5,
                                  .ns = (1 + pass) * 1e5 * (7 - i)};
            snprintf(l.row, sizeof l.row, "%s", rows[i]);
            (void)store_run_layer(r, &l, NULL);
        }
}

/* One whole run, `layers` with times by op and two samples; its number, or 0. Every 20th fails;
 * epochs <= 0: it dies before its plan. */
static inline int64_t fill_run(struct store_session *session, int i, int epochs, bool layers)
{
    const struct fill_net *net = &fill_nets[i % FILL_NETS];
    struct rng rng = rng_make((uint64_t)i, 1);
    const struct run_spec spec = {
        .plugin = net->name, .variant = net->variant, .seed = i, .profile = layers};
    const struct store_plugin plugin = {net->title, net->year, 1, 0};
    struct run_plan plan = fill_plan(net, epochs, i);
    struct run_end end = {.status = i % 20 == 19 || epochs <= 0 ? RUN_CRASHED : RUN_OK,
                          .steps = (long long)epochs * FILL_STEPS,
                          .step_ms_median = net->step_ms * 1.0135,
                          .step_ms_mad = net->step_ms * 0.008,
                          .step_ms_min = net->step_ms,
                          .samples_per_s = 128e3 / net->step_ms,
                          .train_loss = 0.3,
                          .metrics = epochs > 0,
                          .last = {{"accuracy", fill_accuracy(net, epochs)}},
                          .best = {{"accuracy", fill_accuracy(net, epochs) + 0.1}},
                          .time_s = epochs * net->step_ms * 0.12,
                          .harness_s = 0.02,
                          .peak_rss_bytes = 90 << 20,
                          .involuntary_switches = 3};
    if (end.status != RUN_OK)
        snprintf(end.reason, sizeof end.reason, "signal 11");
    struct store_run *r = store_run_begin(session, &spec, &plugin, NULL);
    if (!r)
        return 0;
    const int64_t id = store_run_id(r);
    bool good = epochs <= 0 || store_run_plan(r, &plan, NULL);
    for (int e = 1; e <= epochs; e++)
        fill_epoch(r, net, e, &rng);
    const struct run_sample said[] = {said_plain(), said_alone()};
    for (int k = 0; layers && k < 2; k++)
        good = store_run_sample(r, &said[k], NULL) && good;
    if (layers)
        fill_layers(r);
    good = store_run_end(r, &end, NULL) && good;
    return good ? id : 0;
}

/* A run that was disturbed and counted; its number, or 0. */
static inline int64_t fill_disturbed_run(struct store_session *session)
{
    const struct run_spec spec = {.plugin = "mlp", .variant = "modern", .seed = 1};
    struct run_plan plan = fill_plan(&fill_nets[1], 1, 1);
    struct store_run *r = store_run_begin(session, &spec, NULL, NULL);
    const int64_t id = r ? store_run_id(r) : 0;
    const struct run_counter counters[] = {
        {"steps", -1, "energy package-0", "rapl", 84, "", -1, -1, 42},
        {"steps", -1, "energy package-0/dram", "rapl", 42, "", -1, -1, 42},
        {"steps", -1, "cycles", "perf", 4.2e9, "", 1000, 250, 42},
        {"steps", -1, "l2-misses", "papi", NAN, "this machine shows no PMU", -1, -1, 42},
        {"3 C1 conv2d forward", 3, "cycles", "perf", 1e9, "", 1000, 1000, 42},
    };
    const struct run_end end = {.status = RUN_OK,
                                .step_ms_median = 2,
                                .step_ms_mad = 0.1,
                                .step_ms_min = 1.9,
                                .samples_per_s = NAN,
                                .train_loss = NAN,
                                .steps = 50,
                                .tainted = "the neighbours had a party",
                                .steady = RUN_UNSTEADY,
                                .unsteady = "no steady state",
                                .noise = {.steps = 42,
                                          .wall_s = 2,
                                          .cpu_s = 3.5,
                                          .cpus = 2,
                                          .steal_s = 0.5,
                                          .foreign_s = NAN,
                                          .freq_min_hz = NAN,
                                          .freq_max_hz = NAN,
                                          .switches = 7,
                                          .throttles = -1}};
    bool good = id && store_run_plan(r, &plan, NULL);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        good = good && store_run_counter(r, &counters[i], NULL);
    return good && store_run_end(r, &end, NULL) ? id : 0;
}

#endif
