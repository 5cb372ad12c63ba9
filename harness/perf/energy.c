/* energy.c — see energy.h. */
#define _GNU_SOURCE
#include "perf/energy.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKAGES = 64, PARTS = 8 };

/* The first line of a file, without its end; false with errno. */
static bool line_of(const char *folder, const char *file, char *to, int size)
{
    char path[256];
    *to = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    errno = EIO;
    const bool got = fgets(to, size, f) != NULL;
    fclose(f);
    to[strcspn(to, "\n")] = '\0';
    return got;
}

static bool number_of(const char *folder, const char *file, uint64_t *out)
{
    char line[64], *end;
    if (!line_of(folder, file, line, sizeof line))
        return false;
    errno = 0;
    *out = strtoull(line, &end, 10);
    if (errno || end == line || *end) {
        errno = EIO;
        return false;
    }
    return true;
}

/* Once unreadable, a domain stays so: a sum with a hole in it is not a sum. */
static void give_up(struct energy_domain *d, const char *file)
{
    d->joules = NAN;
    if (errno == EACCES || errno == EPERM)
        snprintf(d->why, sizeof d->why, "not permitted to read %s: root may, since Linux 5.10",
                 file);
    else
        snprintf(d->why, sizeof d->why, "cannot read %s: %s", file, strerror(errno));
}

static void add_domain(struct energy *e, const char *folder, const char *name)
{
    if (e->domains == ENERGY_DOMAINS)
        return;
    struct energy_domain *d = &e->domain[e->domains++];
    *d = (struct energy_domain){.joules = 0};
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->path, sizeof d->path, "%s", folder);
    if (!number_of(folder, "energy_uj", &d->last_uj))
        give_up(d, "energy_uj");
    else if (!number_of(folder, "max_energy_range_uj", &d->range_uj))
        give_up(d, "max_energy_range_uj");
}

/* Of the parts of a package (core, uncore, dram) only the memory is not in the package's sum. */
static void add_memory(struct energy *e, const char *package, const char *folder)
{
    for (int i = 0; i < PARTS; i++) {
        char part[200], name[ENERGY_NAME], both[2 * ENERGY_NAME + 1];
        snprintf(part, sizeof part, "%s:%d", folder, i);
        if (!line_of(part, "name", name, sizeof name) || strcmp(name, "dram") != 0)
            continue;
        snprintf(both, sizeof both, "%s/%s", package, name);
        add_domain(e, part, both);
    }
}

/* AMD's packages appear under intel-rapl too: the driver's name, not the maker's. */
void energy_init(struct energy *e, const char *root)
{
    *e = (struct energy){.domains = 0};
    for (int i = 0; i < PACKAGES; i++) {
        char folder[160], name[ENERGY_NAME];
        snprintf(folder, sizeof folder, "%s/sys/class/powercap/intel-rapl:%d", root, i);
        if (!line_of(folder, "name", name, sizeof name))
            continue;
        add_domain(e, folder, name);
        add_memory(e, name, folder);
    }
    if (e->domains == 0)
        snprintf(e->why, sizeof e->why,
                 "no RAPL here: no intel-rapl under /sys/class/powercap (usual in virtual "
                 "machines)");
}

uint64_t energy_between(uint64_t from, uint64_t to, uint64_t range)
{
    return to >= from ? to - from : to + range - from;
}

static void look(struct energy *e, bool count)
{
    for (int i = 0; i < e->domains; i++) {
        struct energy_domain *d = &e->domain[i];
        uint64_t now;
        if (isnan(d->joules))
            continue;
        if (!number_of(d->path, "energy_uj", &now)) {
            give_up(d, "energy_uj");
            continue;
        }
        if (count)
            d->joules += (double)energy_between(d->last_uj, now, d->range_uj) * 1e-6;
        d->last_uj = now;
    }
}

void energy_open(struct energy *e) { look(e, false); }
void energy_tick(struct energy *e) { look(e, true); }
void energy_close(struct energy *e) { look(e, true); }
