/* energy.h — joules by RAPL, the running average power limit of x86, through the kernel's
 * powercap files: <root>/sys/class/powercap/intel-rapl:N (packages) and intel-rapl:N:M (dram
 * among them). The counters are of whole packages: everybody's work is in them.
 *
 *     energy_init(&e, "");
 *     energy_open(&e); the work; energy_close(&e);    any number of times
 *     e.domain[i].joules
 *
 * A counter runs to max_energy_range_uj and starts again at 0, which at full power takes a
 * minute or more: a stretch may wrap once, energy_tick() inside longer ones catches the rest. */
#ifndef ENERGY_H
#define ENERGY_H

#include <stdbool.h>
#include <stdint.h>

enum { ENERGY_DOMAINS = 16, ENERGY_NAME = 32, ENERGY_WHY = 160 };

struct energy_domain {
    char name[ENERGY_NAME]; /* "package-0", "package-0/dram" */
    char path[192];
    uint64_t range_uj, last_uj;
    double joules;        /* sum of the stretches; NAN: not readable */
    char why[ENERGY_WHY]; /* then the reason */
};

struct energy {
    int domains; /* 0 and `why` where there is no RAPL */
    struct energy_domain domain[ENERGY_DOMAINS];
    char why[ENERGY_WHY];
};

/* Finds the domains; `root` stands before /sys: "" for this machine, a folder in tests. */
void energy_init(struct energy *e, const char *root);
void energy_open(struct energy *e);
void energy_tick(struct energy *e); /* between the two, at least once a minute */
void energy_close(struct energy *e);

/* Microjoules from one reading to the next of a counter that wraps from range to 0. */
uint64_t energy_between(uint64_t from, uint64_t to, uint64_t range);

#endif
