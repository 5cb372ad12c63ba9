/* environment.c — see environment.h. */
#define _GNU_SOURCE
#include "perf/environment.h"

#include <ctype.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "perf/pmu.h"

/* ---- small files --------------------------------------------------------- */

/* The first line of a file without its end; false when there is none to read. */
static bool line_of(const char *path, char *to, int size)
{
    *to = '\0';
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    const bool got = fgets(to, size, f) != NULL;
    fclose(f);
    to[strcspn(to, "\n")] = '\0';
    return got;
}

static int64_t number_in(const char *path)
{
    char line[64];
    long long n;
    return line_of(path, line, sizeof line) && text_to_int(line, 0, INT64_MAX, &n) ? n : -1;
}

/* The value of the first "key<spaces><colon or equals><value>" line; quotes are taken off. */
static bool field_of(const char *path, const char *key, char to[FACT])
{
    char line[512];
    const size_t length = strlen(key);
    FILE *f = fopen(path, "r");
    *to = '\0';
    while (f && !*to && fgets(line, sizeof line, f)) {
        const char *value = line + length;
        if (strncmp(line, key, length) != 0 || !strchr(" \t:=", *value))
            continue;
        value += strspn(value, " \t:=\"");
        snprintf(to, FACT, "%.*s", (int)strcspn(value, "\"\n"), value);
    }
    if (f)
        fclose(f);
    return *to;
}

/* The word in [brackets]: how /sys shows which of several is chosen. */
static void chosen_in(const char *path, char to[FACT])
{
    char line[256] = "";
    line_of(path, line, sizeof line);
    const char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;
    snprintf(to, FACT, "%.*s", close ? (int)(close - open - 1) : 0, close ? open + 1 : "");
}

/* ---- the machine ----------------------------------------------------------- */

/* Distinct (socket, core) pairs: hyper-threads of one core share theirs. */
static void count_cores(struct machine *m)
{
    enum { MOST = 4096 };
    static int64_t seen[MOST];
    int64_t cores = 0, sockets = 0;
    m->threads = sysconf(_SC_NPROCESSORS_ONLN);
    m->sockets = m->cores = -1;
    for (int cpu = 0; cpu < m->threads && cpu < MOST; cpu++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id",
                 cpu);
        const int64_t socket = number_in(path);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        const int64_t core = number_in(path);
        if (socket < 0 || core < 0)
            return;
        bool new_core = true, new_socket = true;
        for (int64_t i = 0; i < cores; i++) {
            new_core = new_core && seen[i] != (socket << 32 | core);
            new_socket = new_socket && seen[i] >> 32 != socket;
        }
        if (new_core)
            seen[cores++] = socket << 32 | core;
        sockets += new_socket;
    }
    m->cores = cores;
    m->sockets = sockets;
}

/* x86: the CPUID bit shows as a flag, and the DMI vendor or /sys/hypervisor tells whose. */
static void find_hypervisor(struct machine *m)
{
    char flags[8192] = "", vendor[FACT] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    bool guest = false, known = false;
    while (f && !known && fgets(flags, sizeof flags, f)) {
        known = strncmp(flags, "flags", 5) == 0;
        guest = known && strstr(flags, " hypervisor");
    }
    if (f)
        fclose(f);
    if (known && !guest)
        snprintf(m->hypervisor, FACT, "none");
    if (!guest)
        return;
    if (!line_of("/sys/hypervisor/type", vendor, sizeof vendor))
        line_of("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
    snprintf(m->hypervisor, FACT, "%s", *vendor ? vendor : "unknown");
}

static int64_t cache_bytes(int level)
{
    const struct kn_caches *c = kn_caches();
    return (int64_t)(level == 1 ? c->l1d : level == 2 ? c->l2 : c->l3);
}

/* text ends with the fingerprint of what has been added to it so far. */
static void fingerprint(const struct text *facts, char fp[FINGERPRINT])
{
    sha256_of(text_str(facts), facts->length, fp);
}

static void read_machine(struct machine *m, struct text *facts)
{
    struct utsname u;
    if (!field_of("/proc/cpuinfo", "model name", m->cpu) &&
        !field_of("/proc/cpuinfo", "Model", m->cpu))
        snprintf(m->cpu, FACT, "unknown");
    snprintf(m->arch, FACT, "%s", uname(&u) == 0 ? u.machine : "unknown");
    count_cores(m);
    find_hypervisor(m);
    m->l1d = cache_bytes(1);
    m->l2 = cache_bytes(2);
    m->l3 = cache_bytes(3);
    m->ram = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    for (int i = 0; kn_tables[i] && !*m->isa; i++)
        if (kn_runs_here(kn_tables[i]))
            snprintf(m->isa, FACT, "%s", kn_tables[i]->isa);
    /* Memory is told to the GiB: firmware and kernels take varying bites of it. */
    text_add(facts, "%s|%s|%s|%s|%lld|%lld|%lld|%lld|%lld|%lld|%lld\n", m->cpu, m->arch, m->isa,
             m->hypervisor, (long long)m->sockets, (long long)m->cores, (long long)m->threads,
             (long long)m->l1d, (long long)m->l2, (long long)m->l3, (long long)(m->ram >> 30));
    fingerprint(facts, m->fp);
}

/* ---- its state ------------------------------------------------------------- */

/* CPUs that the control group allows: version 2's "max 100000" or version 1's two files. */
static double cgroup_cpus(void)
{
    char line[64], *second;
    if (line_of("/sys/fs/cgroup/cpu.max", line, sizeof line)) {
        const double quota = strtod(line, &second), period = strtod(second, NULL);
        return second != line && period > 0 ? quota / period : NAN;
    }
    const int64_t q = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
                  p = number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    return q > 0 && p > 0 ? (double)q / (double)p : NAN;
}

static void find_boost(struct environment *e)
{
    e->boost = number_in("/sys/devices/system/cpu/cpufreq/boost");
    const int64_t no_turbo = number_in("/sys/devices/system/cpu/intel_pstate/no_turbo");
    if (e->boost < 0 && no_turbo >= 0)
        e->boost = !no_turbo;
}

void environment_read(struct environment *e)
{
    struct utsname u;
    struct text facts = {0};
    *e = (struct environment){0};
    read_machine(&e->machine, &facts);
    if (uname(&u) == 0)
        snprintf(e->kernel, FACT, "%.20s %.60s", u.sysname, u.release);
    field_of("/etc/os-release", "PRETTY_NAME", e->os);
    snprintf(e->libc, FACT, "glibc %s", gnu_get_libc_version());
    field_of("/proc/cpuinfo", "microcode", e->microcode);
    line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", e->governor, FACT);
    chosen_in("/sys/kernel/mm/transparent_hugepage/enabled", e->thp);
    find_boost(e);
    e->smt = number_in("/sys/devices/system/cpu/smt/active");
    e->aslr = number_in("/proc/sys/kernel/randomize_va_space");
    e->cgroup_quota = cgroup_cpus();
    line_of("/sys/devices/system/cpu/isolated", e->isolated, FACT);
    libraries_read(e->libraries, sizeof e->libraries);
    char why[160];
    if (pmu_hardware(why))
        snprintf(e->pmu, FACT, "hardware");
    else if (pmu_software())
        snprintf(e->pmu, FACT, "software");
    text_add(&facts, "%s|%s|%s|%s|%s|%s|%lld|%lld|%lld|%.2f|%s|%s|%s\n", e->kernel, e->os, e->libc,
             e->microcode, e->governor, e->thp, (long long)e->boost, (long long)e->smt,
             (long long)e->aslr, isfinite(e->cgroup_quota) ? e->cgroup_quota : -1.0, e->pmu,
             e->isolated, e->libraries);
    fingerprint(&facts, e->fp);
    text_release(&facts);
}
