/* noise.h — the noise ledger: what disturbed a run while its timed steps ran.
 *
 *     struct noise_ledger l;
 *     noise_init(&l, "");
 *     for each stretch of timed steps: noise_open(&l); steps; noise_close(&l, how_many);
 *     noise_taint(&l.sum, why);
 *
 * Files are read at the ends of stretches only, never inside a step: about 0.1 ms each time.
 * What cannot be read is unknown: NAN, or -1 where a count is meant. */
#ifndef NOISE_H
#define NOISE_H

#include <stdbool.h>
#include <stdint.h>

enum { NOISE_WHY = 160 };

/* Sums over all stretches. All zero: nothing was timed. */
struct noise {
    long long steps;                                /* timed */
    double wall_s;                                  /* of those steps */
    double cpu_s;                                   /* of this process in that time */
    int cpus;                                       /* that this process may use */
    double steal_s;                                 /* taken from those CPUs by the hypervisor */
    double foreign_s;                               /* CPU time of everybody else on them */
    double freq_min_hz, freq_max_hz;                /* seen at the ends of stretches */
    long long switches, minor_faults, major_faults; /* switches: involuntary; of this process */
    long long throttles;                            /* thermal, of those CPUs */
    long long heap_bytes;                           /* malloc'ed and kept: 0 is what we promise */
};

/* What the files and the kernel say at one moment; sums since some start. */
struct noise_look {
    int64_t ns;
    double cpu_s, busy_s, steal_s; /* busy: of the CPUs, everything but idle, iowait and steal */
    double freq_min_hz, freq_max_hz;
    long long switches, minor_faults, major_faults, throttles, heap_bytes;
    int cpus;
};

struct noise_ledger {
    char root[128];
    struct noise_look opened;
    long long heap_paused;
    struct noise sum;
};

/* `root` stands before /proc and /sys: "" for this machine, a folder in tests. */
void noise_init(struct noise_ledger *l, const char *root);
void noise_open(struct noise_ledger *l);
void noise_close(struct noise_ledger *l, long long steps);

/* What is allocated between these two, in an open stretch, is not the steps'. */
void noise_pause(struct noise_ledger *l);
void noise_resume(struct noise_ledger *l);

/* The two halves of it, for tests: a look at the machine, and the sum of a stretch between two. */
void noise_look(const char *root, struct noise_look *now);
void noise_add(struct noise *sum, const struct noise_look *from, const struct noise_look *to,
               long long steps);

/* Whether the limits (noise.c has them in a table) are exceeded; `why` names the first that is,
 * with its number and its limit, "" if none. Unknown numbers exceed nothing. */
bool noise_taint(const struct noise *n, char why[NOISE_WHY]);

#endif
