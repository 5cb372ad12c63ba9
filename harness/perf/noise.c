/* noise.c — see noise.h. */
#define _GNU_SOURCE
#include "perf/noise.h"

#include <malloc.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* ---- /proc/stat ---------------------------------------------------------- */

/* The columns behind "cpuN", in clock ticks. Guests' time is in user and nice already. */
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMNS };

static bool stat_line(const char *line, int *cpu, double ticks[COLUMNS])
{
    char *at;
    if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
        return false;
    *cpu = (int)strtol(line + 3, &at, 10);
    for (int i = 0; i < COLUMNS; i++)
        ticks[i] = strtod(at, &at);
    return true;
}

/* Kernels before 2.6.11 have no steal column: it reads as 0 then, which is what they know. */
static void look_at_cpus(const char *root, const cpu_set_t *ours, struct noise_look *now)
{
    char line[512];
    double ticks[COLUMNS];
    int cpu;
    snprintf(line, sizeof line, "%s/proc/stat", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (!stat_line(line, &cpu, ticks) || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, ours))
            continue;
        const double hz = (double)sysconf(_SC_CLK_TCK);
        now->busy_s = now->cpus ? now->busy_s : 0;
        now->steal_s = now->cpus ? now->steal_s : 0;
        now->busy_s +=
            (ticks[USER] + ticks[NICE] + ticks[SYSTEM] + ticks[IRQ] + ticks[SOFTIRQ]) / hz;
        now->steal_s += ticks[STEAL] / hz;
        now->cpus++;
    }
    if (f)
        fclose(f);
}

/* ---- clock frequency and throttling ----------------------------------------- */

static bool number_in(const char *path, double *out)
{
    char line[64] = "";
    FILE *f = fopen(path, "re");
    const bool got = f && fgets(line, sizeof line, f);
    if (f)
        fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return got && text_to_double(line, 0, 1e18, out);
}

static void add_frequency(struct noise_look *now, double hz)
{
    now->freq_min_hz = fmin(now->freq_min_hz, hz); /* fmin() passes over a NAN */
    now->freq_max_hz = fmax(now->freq_max_hz, hz);
}

static void look_at_clocks(const char *root, const cpu_set_t *ours, struct noise_look *now)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[256];
        double value;
        if (!CPU_ISSET(cpu, ours))
            continue;
        snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq",
                 root, cpu);
        if (number_in(path, &value))
            add_frequency(now, value * 1e3);
        snprintf(path, sizeof path,
                 "%s/sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", root, cpu);
        if (number_in(path, &value))
            now->throttles = (now->throttles < 0 ? 0 : now->throttles) + (long long)value;
    }
}

/* "cpu MHz" of /proc/cpuinfo is measured only where the kernel can read the APERF and MPERF
 * registers; without (in most virtual machines) it is a nominal number that never moves. */
static void look_at_cpuinfo(const char *root, const cpu_set_t *ours, struct noise_look *now)
{
    char line[8192];
    double mhz[2] = {NAN, NAN};
    bool measured = false;
    int cpu = -1;
    snprintf(line, sizeof line, "%s/proc/cpuinfo", root);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        value = value ? value + 1 : "";
        if (strncmp(line, "processor", 9) == 0)
            cpu = (int)strtol(value, NULL, 10);
        else if (strncmp(line, "flags", 5) == 0)
            measured = measured || strstr(value, " aperfmperf");
        else if (strncmp(line, "cpu MHz", 7) == 0 && cpu >= 0 && cpu < CPU_SETSIZE &&
                 CPU_ISSET(cpu, ours)) {
            mhz[0] = fmin(mhz[0], strtod(value, NULL));
            mhz[1] = fmax(mhz[1], strtod(value, NULL));
        }
    }
    if (f)
        fclose(f);
    if (!measured || isnan(mhz[0]))
        return;
    add_frequency(now, mhz[0] * 1e6);
    add_frequency(now, mhz[1] * 1e6);
}

/* ---- this process ------------------------------------------------------------- */

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

/* Bytes that malloc() has handed out. Sanitizers put their own allocator there, and it has no
 * arena to tell of: unknown then. */
static long long heap_bytes(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.arena + m.hblkhd ? (long long)(m.uordblks + m.hblkhd) : -1;
}

static void look_at_ourselves(struct noise_look *now)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    now->cpu_s = seconds(u.ru_utime) + seconds(u.ru_stime);
    now->switches = u.ru_nivcsw;
    now->minor_faults = u.ru_minflt;
    now->major_faults = u.ru_majflt;
    now->heap_bytes = heap_bytes();
}

void noise_look(const char *root, struct noise_look *now)
{
    cpu_set_t ours;
    *now = (struct noise_look){
        .busy_s = NAN, .steal_s = NAN, .freq_min_hz = NAN, .freq_max_hz = NAN, .throttles = -1};
    if (sched_getaffinity(0, sizeof ours, &ours) != 0)
        CPU_ZERO(&ours);
    look_at_cpus(root, &ours, now);
    look_at_clocks(root, &ours, now);
    if (isnan(now->freq_min_hz))
        look_at_cpuinfo(root, &ours, now);
    now->ns = clock_ns();
    look_at_ourselves(now);
}

/* ---- the ledger ----------------------------------------------------------------- */

/* Counts: unknown (-1) on either side makes the sum unknown. */
static void add_count(long long *sum, bool first, long long from, long long to)
{
    const bool known = from >= 0 && to >= 0 && (first || *sum >= 0);
    *sum = known ? (first ? 0 : *sum) + to - from : -1;
}

/* The kernel's ticks are coarser than our clock: the difference may come out below 0. */
static double not_negative(double x) { return x < 0 ? 0 : x; /* NAN stays */ }

void noise_add(struct noise *sum, const struct noise_look *from, const struct noise_look *to,
               long long steps)
{
    const bool first = sum->steps == 0;
    if (steps <= 0)
        return;
    if (first)
        *sum = (struct noise){.freq_min_hz = NAN, .freq_max_hz = NAN};
    const double cpu_s = to->cpu_s - from->cpu_s;
    sum->steps += steps;
    sum->wall_s += (double)(to->ns - from->ns) * 1e-9;
    sum->cpu_s += cpu_s;
    sum->cpus = to->cpus;
    sum->steal_s += not_negative(to->steal_s - from->steal_s);
    sum->foreign_s += not_negative(to->busy_s - from->busy_s - cpu_s);
    sum->freq_min_hz = fmin(sum->freq_min_hz, fmin(from->freq_min_hz, to->freq_min_hz));
    sum->freq_max_hz = fmax(sum->freq_max_hz, fmax(from->freq_max_hz, to->freq_max_hz));
    add_count(&sum->switches, first, from->switches, to->switches);
    add_count(&sum->minor_faults, first, from->minor_faults, to->minor_faults);
    add_count(&sum->major_faults, first, from->major_faults, to->major_faults);
    add_count(&sum->throttles, first, from->throttles, to->throttles);
    /* What a later stretch frees does not excuse what an earlier one kept. */
    const bool shrank =
        from->heap_bytes >= 0 && to->heap_bytes >= 0 && to->heap_bytes < from->heap_bytes;
    add_count(&sum->heap_bytes, first, from->heap_bytes,
              shrank ? from->heap_bytes : to->heap_bytes);
}

void noise_init(struct noise_ledger *l, const char *root)
{
    *l = (struct noise_ledger){.sum = {0}};
    snprintf(l->root, sizeof l->root, "%s", root);
}

void noise_open(struct noise_ledger *l) { noise_look(l->root, &l->opened); }

void noise_pause(struct noise_ledger *l) { l->heap_paused = heap_bytes(); }

void noise_resume(struct noise_ledger *l)
{
    if (l->heap_paused >= 0 && l->opened.heap_bytes >= 0)
        l->opened.heap_bytes += heap_bytes() - l->heap_paused;
}

void noise_close(struct noise_ledger *l, long long steps)
{
    struct noise_look now;
    noise_look(l->root, &now);
    noise_add(&l->sum, &l->opened, &now, steps);
}

/* ---- the verdict ------------------------------------------------------------------ */

static double per_second(double x, const struct noise *n)
{
    return n->wall_s > 0 ? x / n->wall_s : NAN;
}

static double cpu_percent(double seconds_of_cpu, const struct noise *n)
{
    return n->cpus > 0 ? 100 * per_second(seconds_of_cpu, n) / n->cpus : NAN;
}

static double known(long long count) { return count < 0 ? NAN : (double)count; }

/* The kernel counts CPU time in ticks: a few of them may fall into some milliseconds of a run whatever
 * happens, and prove nothing. */
static double proven_percent(double cpu_s, const struct noise *n)
{
    const double tick_s = 0.01, percent = cpu_percent(cpu_s, n);
    return cpu_s <= 4 * tick_s * n->cpus ? 0 : percent > 100 ? 100 : percent;
}

static double steal(const struct noise *n) { return proven_percent(n->steal_s, n); }
static double foreign(const struct noise *n) { return proven_percent(n->foreign_s, n); }
static double switches(const struct noise *n) { return per_second(known(n->switches), n); }
static double major_faults(const struct noise *n) { return known(n->major_faults); }
static double throttles(const struct noise *n) { return known(n->throttles); }

/* Half the range of the clock in percent of its middle: within ±5 % or not. */
static double clock_spread(const struct noise *n)
{
    return 100 * (n->freq_max_hz - n->freq_min_hz) / (n->freq_max_hz + n->freq_min_hz);
}

/* What may be before a run's times are in doubt. Tens of switches a second come from the kernel's
 * own housekeeping on a quiet virtual machine, and cost microseconds each. */
static const struct limit {
    double (*of)(const struct noise *n);
    double most;
    const char *text;
} limits[] = {
    /* clang-format off */
    {steal,        1,  "%.3g %% of the CPUs' time stolen by the hypervisor (limit %g %%)"},
    {foreign,      10, "other processes used %.3g %% of the CPUs (limit %g %%)"},
    {switches,     100, "%.3g involuntary context switches a second (limit %g)"},
    {major_faults, 0,  "%g page faults went to disk (limit %g)"},
    {clock_spread, 5,  "the clock moved by ±%.2g %% (limit %g %%)"},
    {throttles,    0,  "the CPU throttled itself %g times (limit %g)"},
    /* clang-format on */
};

bool noise_taint(const struct noise *n, char why[NOISE_WHY])
{
    *why = '\0';
    for (size_t i = 0; n->steps > 0 && i < sizeof limits / sizeof *limits; i++) {
        const double found = limits[i].of(n);
        if (!(found > limits[i].most))
            continue;
        snprintf(why, NOISE_WHY, limits[i].text, found, limits[i].most);
        return true;
    }
    return false;
}
