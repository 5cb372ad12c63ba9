/* crew.c — see crew.h.
 *
 * The team is entered through an atomic pointer rather than through variables
 * that the compiler captures, so that a thread sanitizer, which does not see
 * into the OpenMP runtime, still sees every hand-over of data. */
#define _GNU_SOURCE
#include "base/crew.h"

#include <sched.h>
#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { SPINS = 4000 };

/* Counts arrivals; the last one opens the next round. */
struct barrier {
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_int round;
};

static inline void pause_cpu(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

void crew_wait(const struct crew *c)
{
    if (c->threads == 1)
        return;
    struct barrier *b = c->barrier;
    const int round = atomic_load_explicit(&b->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) == c->threads - 1) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&b->round, memory_order_acquire) == round; spins++)
        if (spins < SPINS)
            pause_cpu();
        else
            sched_yield();
}

#ifdef _OPENMP

struct team {
    void (*work)(void *arg, const struct crew *crew);
    void *arg;
    struct barrier barrier;
};

static _Atomic(struct team *) entered;

void crew_run(int threads, void (*work)(void *arg, const struct crew *crew), void *arg)
{
    if (threads <= 1) {
        work(arg, CREW_ALONE);
        return;
    }
    static struct team team; /* one step at a time; outlives the threads' last look at it */
    team.work = work;
    team.arg = arg;
    atomic_store_explicit(&entered, &team, memory_order_release);
#pragma omp parallel num_threads(threads) default(none) shared(entered)
    {
        struct team *t = atomic_load_explicit(&entered, memory_order_acquire);
        const struct crew crew = {omp_get_thread_num(), omp_get_num_threads(), &t->barrier};
        t->work(t->arg, &crew);
        crew_wait(&crew);
    }
}

#else

void crew_run(int threads, void (*work)(void *arg, const struct crew *crew), void *arg)
{
    (void)threads;
    work(arg, CREW_ALONE);
}

#endif

int crew_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
