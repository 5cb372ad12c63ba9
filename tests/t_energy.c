/* t_energy.c — RAPL from a folder of made-up powercap files. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "perf/energy.h"
#include "tap.h"

static char root[] = "/tmp/t_energy.XXXXXX";

static void put(const char *domain, const char *file, const char *text)
{
    char path[512];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/sys/class/powercap/%s", root, domain);
    if (!path_make_folders(path, &err))
        printf("# %s\n", err.text);
    snprintf(path, sizeof path, "%s/sys/class/powercap/%s/%s", root, domain, file);
    FILE *f = fopen(path, "w");
    if (!f)
        return;
    fprintf(f, "%s\n", text);
    fclose(f);
}

static void domain(const char *folder, const char *name, const char *uj, const char *range)
{
    put(folder, "name", name);
    put(folder, "energy_uj", uj);
    put(folder, "max_energy_range_uj", range);
}

static void none(void)
{
    struct energy e;
    energy_init(&e, root);
    is_int(e.domains, 0, "no powercap: no domain");
    ok(strstr(e.why, "RAPL"), "and the reason: %s", e.why);
    energy_open(&e);
    energy_close(&e);
}

static void sums(void)
{
    struct energy e;
    domain("intel-rapl:0", "package-0", "5000000", "262143328850");
    domain("intel-rapl:0:0", "core", "1", "262143328850");
    domain("intel-rapl:0:1", "dram", "900000", "65712999613");
    domain("intel-rapl:1", "package-1", "262143328000", "262143328850");
    energy_init(&e, root);
    is_int(e.domains, 3, "two packages and a memory; the cores are in their package");
    is_str(e.domain[0].name, "package-0", "package 0");
    is_str(e.domain[1].name, "package-0/dram", "its memory");
    is_str(e.domain[2].name, "package-1", "package 1");
    put("intel-rapl:0", "energy_uj", "6000000"); /* before the work: nobody's */
    energy_open(&e);
    put("intel-rapl:0", "energy_uj", "8500000");
    put("intel-rapl:0:1", "energy_uj", "1900000");
    put("intel-rapl:1", "energy_uj", "1150");
    energy_close(&e);
    is_near(e.domain[0].joules, 2.5, 1e-12, "2.5 J");
    is_near(e.domain[1].joules, 1.0, 1e-12, "1 J of memory");
    is_near(e.domain[2].joules, 2000e-6, 1e-12, "a counter that wrapped");
    energy_open(&e);
    put("intel-rapl:0", "energy_uj", "200000000000");
    energy_tick(&e);
    put("intel-rapl:0", "energy_uj", "100000000000");
    energy_close(&e);
    is_near(e.domain[0].joules, 2.5 + 200000 - 8.5 + 262143.32885 - 100000, 1e-6,
            "ticks catch wraps in a long stretch, and stretches add up");
    is_near(e.domain[1].joules, 1.0, 1e-12, "what stood still adds nothing");
}

static void unreadable(void)
{
    struct energy e;
    energy_init(&e, root);
    energy_open(&e);
    put("intel-rapl:0", "energy_uj", "rubbish");
    energy_close(&e);
    ok(isnan(e.domain[0].joules) && *e.domain[0].why, "no number in the file: NAN, %s",
       e.domain[0].why);
    put("intel-rapl:0", "energy_uj", "5");
    energy_open(&e);
    energy_close(&e);
    ok(isnan(e.domain[0].joules), "and it stays so: a sum with a hole is none");
    ok(e.domain[2].joules == 0, "the other package is not concerned");

    char path[512];
    snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:1/energy_uj", root);
    chmod(path, 0);
    if (geteuid() == 0 && remove(path) != 0) /* root may read anything: then it is missing */
        printf("# cannot remove %s\n", path);
    energy_init(&e, root);
    ok(isnan(e.domain[2].joules), "a file that may not be read: NAN");
    ok(strstr(e.domain[2].why, geteuid() == 0 ? "No such file" : "permitted"),
       "with the reason: %s", e.domain[2].why);
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    is_int(energy_between(5, 9, 100), 4, "no wrap");
    is_int(energy_between(95, 4, 100), 9, "a wrap");
    none();
    sums();
    unreadable();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command) != 0)
        printf("# could not remove %s\n", root);
    return done();
}
