/* crew.c — see crew.h.
 *
 * The team is entered through an atomic pointer rather than through variables
 * that the compiler captures, so that a thread sanitizer, which does not see
 * into the OpenMP runtime, still sees every hand-over of data. */
#define _GNU_SOURCE
#include "base/crew.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { SPINS = 4000 };

/* Counts arrivals; the last one opens the next round. Waiting threads spin first, for the
 * barriers of a step are microseconds apart, and then sleep: on a busy machine yielding would
 * hand the core to others for whole slices of milliseconds, where a sleeper is back at once. */
struct barrier {
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_int round, sleepers;
};

static inline void pause_cpu(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static void futex(atomic_int *word, int operation, int value)
{
    (void)syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* The order is what makes it right: a sleeper counts itself before the kernel looks at the round
 * again; the last to arrive changes the round before it looks for sleepers. */
static void sleep_until_after(struct barrier *b, int round)
{
    atomic_fetch_add(&b->sleepers, 1);
    while (atomic_load(&b->round) == round)
        futex(&b->round, FUTEX_WAIT, round);
    atomic_fetch_sub(&b->sleepers, 1);
}

void crew_wait(const struct crew *c)
{
    if (c->threads == 1)
        return;
    struct barrier *b = c->barrier;
    const int round = atomic_load_explicit(&b->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) == c->threads - 1) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store(&b->round, round + 1);
        if (atomic_load(&b->sleepers) > 0)
            futex(&b->round, FUTEX_WAKE, c->threads);
        return;
    }
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load_explicit(&b->round, memory_order_acquire) != round)
            return;
        pause_cpu();
    }
    sleep_until_after(b, round);
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

void crew_dismiss(void) { (void)omp_pause_resource_all(omp_pause_soft); }

int crew_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
