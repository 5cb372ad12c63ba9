/* crew.h — the threads of one step.
 *
 * crew_run() starts one OpenMP team and runs `work` on every thread of it. Work
 * that crosses threads meets at crew_wait(). The barrier is ours, of C11 atomics:
 * it spins (a step has a barrier every few microseconds), then sleeps, so that a busy
 * machine costs little more than its share, and thread sanitizers see through it.
 *
 * Rule: how work is split may depend on `threads`, the order of any sum may not. */
#ifndef CREW_H
#define CREW_H

#include <stddef.h>

struct barrier;

/* What one thread knows: it is number `thread` of `threads`. */
struct crew {
    int thread, threads;
    struct barrier *barrier; /* NULL when threads is 1 */
};

/* A crew of one, for tests and single-threaded callers. */
#define CREW_ALONE (&(const struct crew){0, 1, NULL})

/* Runs work(arg, crew) on `threads` threads, the caller being number 0, and
 * returns when all are done. threads >= 1. */
void crew_run(int threads, void (*work)(void *arg, const struct crew *crew), void *arg);

/* Lets go the threads of earlier crews: between two of them they wait at full speed, beside a later
 * crew that is smaller. Costs some tens of microseconds; call it where work of another width begins. */
void crew_dismiss(void);

/* All threads of the crew have arrived, and see each other's writes. */
void crew_wait(const struct crew *c);

/* This thread's share [from, to) of n items, in multiples of `grain` but for the
 * last: contiguous, disjoint, complete over all threads. */
static inline void crew_share(const struct crew *c, size_t n, size_t grain, size_t *from,
                              size_t *to)
{
    const size_t grains = (n + grain - 1) / grain, t = (size_t)c->thread, all = (size_t)c->threads;
    const size_t a = grains * t / all * grain, b = grains * (t + 1) / all * grain;
    *from = a < n ? a : n;
    *to = b < n ? b : n;
}

/* Threads that the machine gives this process (affinity respected). */
int crew_cores(void);

#endif
