/* t_fitness.c — the machine's settings in made-up trees: judged, changed, put back. */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "perf/fitness.h"
#include "scratch.h"
#include "stats/signed_rank.h"
#include "tap.h"

static void put(const char *path, const char *text)
{
    char whole[600];
    snprintf(whole, sizeof whole, "%s%s", scratch, path);
    for (char *s = strchr(whole + strlen(scratch) + 1, '/'); s; s = strchr(s + 1, '/')) {
        *s = '\0';
        mkdir(whole, 0777);
        *s = '/';
    }
    FILE *f = fopen(whole, "w");
    if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) != 0) {
        perror(whole);
        exit(EXIT_FAILURE);
    }
}

static const char *get(const char *path)
{
    static char line[128];
    char whole[600];
    snprintf(whole, sizeof whole, "%s%s", scratch, path);
    FILE *f = fopen(whole, "r");
    line[0] = '\0';
    if (f && fgets(line, sizeof line, f))
        line[strcspn(line, "\n")] = '\0';
    if (f)
        fclose(f);
    return line;
}

#define GOVERNOR(n) "/sys/devices/system/cpu/cpu" #n "/cpufreq/scaling_governor"
static const char boost[] = "/sys/devices/system/cpu/cpufreq/boost",
                  thp[] = "/sys/kernel/mm/transparent_hugepage/enabled",
                  aslr[] = "/proc/sys/kernel/randomize_va_space",
                  quota[] = "/sys/fs/cgroup/cpu.max";

static struct fit_check checks[FITNESS_MOST];

static const struct fit_check *check(const char *name)
{
    static const struct fit_check none = {.fit = FIT_UNKNOWN};
    const int n = fitness_check(scratch, scratch, checks);
    for (int i = 0; i < n; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return &none;
}

static int lines;
static void count(const char *line)
{
    (void)line;
    lines++;
}

static void judged(void)
{
    is_int(check("governor")->fit, FIT_UNKNOWN, "no cpufreq: nothing said of governors");
    is_int(check("CPU quota")->fit, FIT_UNKNOWN, "no control groups");
    put(GOVERNOR(0), "performance");
    put(GOVERNOR(1), "performance");
    is_int(check("governor")->fit, FIT_GOOD, "all CPUs on performance");
    put(GOVERNOR(1), "powersave");
    is_int(check("governor")->fit, FIT_POOR, "one of two on powersave");
    is_str(check("governor")->found, "powersave", "and it is the one shown");
    ok(strstr(check("governor")->advice, "echo performance"), "with the command");
    put(thp, "always madvise [never]");
    is_str(check("huge pages")->found, "never", "the word in brackets");
    is_int(check("huge pages")->fit, FIT_POOR, "no huge pages");
    put(aslr, "0");
    is_int(check("ASLR")->fit, FIT_POOR, "ASLR off");
    put("/sys/fs/cgroup/cgroup.controllers", "cpu");
    is_str(check("CPU quota")->found, "none", "the root of all groups has no limit");
    put(quota, "max 100000");
    is_int(check("CPU quota")->fit, FIT_GOOD, "nor has max");
    put(quota, "50000 100000");
    is_int(check("CPU quota")->fit, FIT_BAD, "half a CPU");
    is_str(check("CPU quota")->found, "0.50 CPUs", "told in CPUs");
    is_int(check("disk")->fit == FIT_UNKNOWN, 0, "the disk is looked at");
}

static void changed_and_put_back(void)
{
    struct err err = {0};
    const char *memo = scratch_path("memo.json");
    put(boost, "1");
    put(thp, "never");
    lines = 0;
    ok(fitness_fix(scratch, memo, count, &err), "fixed: %s", err.text);
    is_int(lines, 4, "four files changed: one governor, boost, huge pages, ASLR");
    is_str(get(GOVERNOR(0)), "performance", "what was right is left");
    is_str(get(GOVERNOR(1)), "performance", "what was wrong is right");
    is_str(get(boost), "0", "boost off");
    put(GOVERNOR(1), "schedutil"); /* somebody meddles */
    ok(fitness_fix(scratch, memo, count, &err), "fixed again");
    ok(fitness_restore(scratch, memo, count, &err), "restored: %s", err.text);
    is_str(get(GOVERNOR(1)), "powersave", "as before the first fix");
    is_str(get(boost), "1", "boost");
    is_str(get(thp), "never", "huge pages");
    is_str(get(aslr), "0", "ASLR");
    ok(access(memo, F_OK) != 0, "the memo is gone");
    ok(!fitness_restore(scratch, memo, count, &err) && strstr(err.text, "nothing to restore"),
       "nothing more to restore: %s", err.text);
}

static void refused(void)
{
    struct err err = {0};
    const char *memo = scratch_path("memo.json");
    ok(!fitness_fix(scratch, scratch_path("no/such/folder/memo"), count, &err),
       "no place for the memo: %s", err.text);
    is_str(get(boost), "1", "then nothing is changed");
    put("/memo.json", "{ damaged");
    ok(!fitness_fix(scratch, memo, count, &err) && strstr(err.text, "damaged"), "%s", err.text);
    is_str(get(boost), "1", "nor with a damaged memo");
    ok(!fitness_restore(scratch, memo, count, &err), "nor restored: %s", err.text);
    put("/memo.json", "{\"/etc/passwd\": \"root\"}");
    ok(!fitness_restore(scratch, memo, count, &err) && strstr(err.text, "no setting of ours"),
       "a memo writes nowhere else: %s", err.text);
}

static void estimates(void)
{
    const double d[] = {1, 2, 6};
    is_near(hodges_lehmann(d, 3), 2.75, 1e-12, "median of 1, 1.5, 2, 3.5, 4, 6");
    ok(isnan(hodges_lehmann(d, 0)), "of nothing: NAN");
    const double same[] = {0, 0, 0, 0};
    is_near(hodges_lehmann_floor(same, 4, 10, 0.99, 200, 1), 0, 0, "no noise, no floor");
    const double noise[] = {0.01, -0.02, 0.015, 0.03, -0.01, 0.005};
    const double floor = hodges_lehmann_floor(noise, 6, 10, 0.99, 2000, 1);
    ok(floor > 0.003 && floor < 0.03, "floor %.4f lies within the differences", floor);
    is_near(hodges_lehmann_floor(noise, 6, 10, 0.99, 2000, 1), floor, 0, "and is reproducible");
    ok(hodges_lehmann_floor(noise, 6, 30, 0.99, 2000, 1) < floor, "more pairs lower it");
}

int main(void)
{
    scratch_make();
    judged();
    changed_and_put_back();
    refused();
    estimates();
    return done();
}
