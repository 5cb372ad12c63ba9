/* t_noise.c — the noise ledger from made-up /proc and /sys, and its limits. */
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include "base/path.h"
#include "perf/noise.h"
#include "tap.h"

static char root[] = "/tmp/t_noise.XXXXXX";
static int cpu; /* one that this process may use */

__attribute__((format(printf, 2, 3))) static void put(const char *file, const char *fmt, ...)
{
    char path[512];
    struct err err = {0};
    va_list ap;
    snprintf(path, sizeof path, "%s/%s", root, file);
    *strrchr(path, '/') = '\0';
    if (!path_make_folders(path, &err))
        printf("# %s\n", err.text);
    snprintf(path, sizeof path, "%s/%s", root, file);
    FILE *f = fopen(path, "w");
    if (!f)
        return;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fclose(f);
}

/* Ticks of our CPU: user, idle, steal. Another, which is not ours, is wildly busy. */
static void put_stat(int user, int idle, int steal)
{
    put("proc/stat",
        "cpu  99999 0 0 0 0 0 0 99999 0 0\ncpu%d %d 0 10 %d 5 0 3 %d 0 0\n"
        "cpu1000 88888 0 0 0 0 0 0 77777 0 0\nintr 5\n",
        cpu, user, idle, steal);
}

static void nothing_there(void)
{
    struct noise_look l;
    noise_look(root, &l);
    ok(isnan(l.steal_s) && isnan(l.busy_s) && l.cpus == 0, "no /proc/stat: steal is unknown");
    ok(isnan(l.freq_min_hz) && isnan(l.freq_max_hz), "no clock: unknown");
    is_int(l.throttles, -1, "no count of throttling: unknown");
    ok(l.cpu_s >= 0 && l.switches >= 0 && l.minor_faults > 0, "this process it does know");
    struct noise n = {0};
    char why[NOISE_WHY];
    noise_add(&n, &l, &l, 10);
    ok(isnan(n.steal_s) && isnan(n.foreign_s) && n.throttles == -1, "the unknown stays unknown");
    ok(!noise_taint(&n, why), "and taints nothing");
}

static void looks(void)
{
    const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    struct noise_look l;
    char file[128];
    put_stat(100, 900, 20);
    noise_look(root, &l);
    is_int(l.cpus, 1, "only CPUs that are ours");
    is_near(l.steal_s, 20 * tick, 1e-9, "stolen ticks");
    is_near(l.busy_s, 113 * tick, 1e-9, "busy: without idle, waiting for disks, stolen");
    put("proc/cpuinfo", "processor\t: %d\nflags\t\t: fpu sse\ncpu MHz\t\t: 2500.000\n\n", cpu);
    noise_look(root, &l);
    ok(isnan(l.freq_min_hz), "cpuinfo's clock without aperfmperf is nominal: not believed");
    put("proc/cpuinfo", "processor\t: %d\nflags\t\t: fpu aperfmperf sse\ncpu MHz\t\t: 2500.000\n\n",
        cpu);
    noise_look(root, &l);
    is_near(l.freq_max_hz, 2.5e9, 1, "with it, it is");
    snprintf(file, sizeof file, "sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    put(file, "3100000\n");
    snprintf(file, sizeof file, "sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count",
             cpu);
    put(file, "7\n");
    noise_look(root, &l);
    is_near(l.freq_min_hz, 3.1e9, 1, "cpufreq comes first");
    is_int(l.throttles, 7, "throttling");
}

static void ledger(void)
{
    const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    struct noise_ledger l;
    char file[128];
    noise_init(&l, root);
    put_stat(100, 900, 20);
    noise_open(&l);
    put_stat(700, 900, 30);
    noise_close(&l, 40);
    put_stat(9000, 900, 800); /* an evaluation: not timed */
    noise_open(&l);
    put_stat(9000, 900, 805);
    snprintf(file, sizeof file, "sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    put(file, "2900000\n");
    snprintf(file, sizeof file, "sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count",
             cpu);
    put(file, "9\n");
    noise_close(&l, 2);
    is_int(l.sum.steps, 42, "steps of both stretches");
    is_near(l.sum.steal_s, 15 * tick, 1e-9, "steal of both, and of nothing between");
    ok(l.sum.foreign_s > 590 * tick && l.sum.foreign_s <= 600 * tick,
       "what others used: %g s, less what we did", l.sum.foreign_s);
    is_near(l.sum.freq_min_hz, 2.9e9, 1, "the slowest clock");
    is_near(l.sum.freq_max_hz, 3.1e9, 1, "the fastest");
    is_int(l.sum.throttles, 2, "throttled twice");
    ok(l.sum.wall_s > 0 && l.sum.wall_s < 10, "time: %g s", l.sum.wall_s);
}

static struct noise quiet(void)
{
    return (struct noise){.steps = 1000,
                          .wall_s = 10,
                          .cpu_s = 19.8,
                          .cpus = 2,
                          .steal_s = 0.19,
                          .foreign_s = 1.9,
                          .freq_min_hz = 2.9e9,
                          .freq_max_hz = 3.1e9,
                          .switches = 999,
                          .minor_faults = 5000};
}

static void limits(void)
{
    char why[NOISE_WHY];
    struct noise n = quiet();
    ok(!noise_taint(&n, why) && !*why, "just below every limit: clean");
    n.steal_s = 0.21;
    ok(noise_taint(&n, why) && strstr(why, "stolen"), "%s", why);
    n = quiet(), n.foreign_s = 2.1;
    ok(noise_taint(&n, why) && strstr(why, "other processes"), "%s", why);
    n = quiet(), n.switches = 1001;
    ok(noise_taint(&n, why) && strstr(why, "switches"), "%s", why);
    n = quiet(), n.major_faults = 1;
    ok(noise_taint(&n, why) && strstr(why, "disk"), "%s", why);
    n = quiet(), n.freq_max_hz = 3.3e9;
    ok(noise_taint(&n, why) && strstr(why, "clock"), "%s", why);
    n = quiet(), n.throttles = 1;
    ok(noise_taint(&n, why) && strstr(why, "throttled"), "%s", why);
    n = (struct noise){0};
    ok(!noise_taint(&n, why), "nothing timed: nothing to say");
}

static void heap(void)
{
    struct noise_look a = {.heap_bytes = 1000, .throttles = -1}, b = {.heap_bytes = 1500, .ns = 5};
    struct noise n = {0};
    noise_add(&n, &a, &b, 1);
    noise_add(&n, &b, &a, 1);
    is_int(n.heap_bytes, 500, "what one stretch keeps, a later one does not excuse");
    a.heap_bytes = -1;
    noise_add(&n, &a, &b, 1);
    is_int(n.heap_bytes, -1, "unknown once is unknown");

    struct noise_ledger l;
    noise_init(&l, "");
    noise_open(&l);
    char *volatile kept = malloc(100000);
    noise_pause(&l);
    char *volatile ours = malloc(200000);
    noise_resume(&l);
    noise_close(&l, 1);
    if (l.sum.heap_bytes < 0)
        skip("a sanitizer's malloc cannot be asked");
    else
        ok(l.sum.heap_bytes >= 100000 && l.sum.heap_bytes < 110000,
           "malloc(100000) is seen, what the harness took is not: %d", (int)l.sum.heap_bytes);
    free(kept);
    free(ours);
}

int main(void)
{
    cpu_set_t set;
    if (!mkdtemp(root) || sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    nothing_there();
    looks();
    ledger();
    limits();
    heap();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command) != 0)
        printf("# could not remove %s\n", root);
    return done();
}
