/* kernel_test.h — what the kernels' tests share: buffers with an edge, errors in units
 * of a stated bound, and every test on every instruction set this machine runs.
 *
 * A buffer ends where its page does, with a page that cannot be touched behind it
 * and canaries before it: reading or writing one float too far stops the test. */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "tests/tap.h"

enum { SLOTS = 8, SLOT_BYTES = 1 << 20, CANARIES = 32 };
static const uint32_t canary = 0xc0ffee11;
static struct {
    char *memory; /* SLOT_BYTES of it */
    size_t bytes;
} slots[SLOTS];

static void free_slots(void) /* leak checkers look into all memory, and must be let in */
{
    for (int k = 0; k < SLOTS; k++) {
        if (slots[k].memory)
            mprotect(slots[k].memory + SLOT_BYTES, (size_t)sysconf(_SC_PAGESIZE),
                     PROT_READ | PROT_WRITE);
        free(slots[k].memory);
    }
}

/* `bytes` at the end of slot k, whatever was there before. */
static void *edge_bytes(int k, size_t bytes)
{
    if (!slots[k].memory) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        slots[k].memory = aligned_alloc(page, SLOT_BYTES + page);
        if (!slots[k].memory || mprotect(slots[k].memory + SLOT_BYTES, page, PROT_NONE) != 0)
            abort();
    }
    if (bytes + sizeof canary * CANARIES > SLOT_BYTES)
        abort();
    char *const start = slots[k].memory + SLOT_BYTES - bytes;
    for (int i = 1; i <= CANARIES; i++)
        memcpy(start - sizeof canary * (size_t)i, &canary, sizeof canary);
    slots[k].bytes = bytes;
    return start;
}

/* n floats at the end of slot k: not a number, until they are written. */
static inline float *edge(int k, size_t n)
{
    float *const p = edge_bytes(k, n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = NAN;
    return p;
}

static uint32_t test_noise = 1;
static inline float noise(float lo, float hi)
{
    test_noise = test_noise * 1664525u + 1013904223u;
    return lo + (hi - lo) * (float)(test_noise >> 8) / 16777216.0f;
}

/* The same with numbers in [lo, hi). */
static inline float *edge_noise(int k, size_t n, float lo, float hi)
{
    float *const p = edge(k, n);
    for (size_t i = 0; i < n; i++)
        p[i] = noise(lo, hi);
    return p;
}

static inline float *edge_copy(int k, size_t n, const float *x)
{
    float *const p = edge(k, n);
    if (n)
        memcpy(p, x, n * sizeof *p);
    return p;
}

static bool edges_intact(void)
{
    for (int k = 0; k < SLOTS; k++) {
        if (!slots[k].memory)
            continue;
        const char *const start = slots[k].memory + SLOT_BYTES - slots[k].bytes;
        for (int i = 1; i <= CANARIES; i++)
            if (memcmp(start - sizeof canary * (size_t)i, &canary, sizeof canary) != 0)
                return false;
    }
    return true;
}

/* What the test at hand has seen: the worst error in units of its bound, and where. */
static struct {
    double worst, got, want;
    size_t n, at;
    bool guarded, wrong;
    char what[64];
} seen;

/* got is within `bound` of want; not a number or infinite where it is. */
static inline void expect(double got, double want, double bound, size_t n, size_t at)
{
    double error = got == want || (isnan(got) && isnan(want)) ? 0 : fabs(got - want) / bound;
    if (isnan(error))
        error = INFINITY;
    if (error > seen.worst) {
        seen.worst = error;
        seen.got = got;
        seen.want = want;
        seen.n = n;
        seen.at = at;
    }
}

static inline void expect_true(bool fact, const char *what)
{
    if (fact || seen.wrong)
        return;
    seen.wrong = true;
    snprintf(seen.what, sizeof seen.what, "%s", what);
}

/* Lengths that matter: all around the width of a vector, and some long ones. */
static inline size_t next_length(size_t n)
{
    const size_t around = 4 * (size_t)kn->lanes + 1;
    return n < around ? n + 1 : n == around ? 1000 : n == 1000 ? 4099 : 0;
}
#define EACH_LENGTH(n, first) for (size_t n = (first), go = 1; go; n = next_length(n), go = n > 0)

/* True under an emulator, where tests look at fewer points. */
static inline bool is_slow_machine(void) { return getenv("BENCH_QEMU") != NULL; }

struct kernel_test {
    const char *name;
    void (*run)(void);
};

static void run_kernel_test(const struct kernel_test *t)
{
    memset(&seen, 0, sizeof seen);
    seen.guarded = true;
    t->run();
    seen.guarded &= edges_intact();
    const bool good = seen.worst <= 1 && seen.guarded && !seen.wrong;
    ok(good, "%s: %s (%.2f of its bound)", kn->isa, t->name, seen.worst);
    if (seen.worst > 1)
        printf("# length %zu, element %zu: got %.9g, wanted %.9g\n", seen.n, seen.at, seen.got,
               seen.want);
    if (!seen.guarded)
        printf("# wrote outside of its output\n");
    if (seen.wrong)
        printf("# not so: %s\n", seen.what);
}

static void run_kernel_tests(const struct kernel_test *tests, size_t n)
{
    atexit(free_slots);
    for (int t = 0; kn_tables[t]; t++) {
        if (!kn_runs_here(kn_tables[t])) {
            skip(kn_tables[t]->isa);
            continue;
        }
        struct err err = {0};
        ok(kn_init(kn_tables[t]->isa, &err), "%s: chosen%s", kn_tables[t]->isa, err.text);
        for (size_t i = 0; i < n; i++)
            run_kernel_test(&tests[i]);
    }
}

#endif
