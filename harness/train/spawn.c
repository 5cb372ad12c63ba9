/* spawn.c — see spawn.h. */
#define _GNU_SOURCE
#include "train/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "train/frame.h"

enum { FIRST_FREE = SPAWN_FRAMES + 1 };
static const double grace_s = 5; /* from asking a worker to end to killing it */

/* ------------------------------------------------------------------ the child */

extern char **environ;

/* What the OpenMP runtime is told unless the user tells it something else: threads spin between
 * steps (a step follows within microseconds; waking a sleeper costs more than a small step). */
static const char *const settings[] = {"OMP_WAIT_POLICY=active", "OMP_DYNAMIC=false"};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* Our environment with the settings that it lacks; the array is malloc'ed, the strings are not. */
static char **environment(void)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **all = xmalloc((n + SETTINGS + 1) * sizeof *all);
    memcpy(all, environ, n * sizeof *all);
    for (size_t i = 0; i < SETTINGS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(settings[i], "="), settings[i]);
        if (!getenv(name))
            all[n++] = (char *)settings[i]; /* execve() does not write */
    }
    all[n] = NULL;
    return all;
}

struct ends {
    int job, frames; /* the worker's ends, above all that it will use */
    pid_t parent;
    bool own_stdout;
    char **environment;
};

/* Between fork and exec: system calls only. */
static _Noreturn void become_worker(const struct ends *e)
{
    static char *const argv[] = {(char *)"bench", (char *)"worker", NULL};
    static const struct rlimit no_core = {0, 0};
    sigset_t none;
    sigemptyset(&none);
    const int null = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &no_core);
    const bool fine =
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == e->parent && null >= 0 &&
        dup2(null, 0) == 0 && (e->own_stdout || dup2(2, 1) == 1) &&
        dup2(e->job, SPAWN_JOB) == SPAWN_JOB && dup2(e->frames, SPAWN_FRAMES) == SPAWN_FRAMES &&
        close_range(FIRST_FREE, ~0u, 0) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
    if (fine)
        execve("/proc/self/exe", argv, e->environment);
    _exit(127);
}

/* The job as a file in memory, because a pipe would hold 64 KiB only. */
static int job_file(const json_t *job)
{
    char *text = json_dumps(job, JSON_COMPACT);
    const int fd = memfd_create("job", MFD_CLOEXEC);
    const bool fine = text && fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
                      lseek(fd, 0, SEEK_SET) == 0;
    free(text);
    if (!fine && fd >= 0)
        close(fd);
    return fine ? fd : -1;
}

/* Above the numbers that become_worker() hands out, so that no dup2() overwrites the other. */
static int raised(int fd)
{
    const int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
    if (fd >= 0)
        close(fd);
    return high;
}

/* Starts the worker; its process id and our end of the frames' pipe. */
static bool start(const struct spawn *s, pid_t *pid, int *frames, struct err *err)
{
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) != 0)
        return err_set(err, "cannot start a worker: pipe: %s", strerror(errno));
    struct ends e = {raised(job_file(s->job)), raised(pipe[1]), getpid(), s->own_stdout,
                     environment()};
    fflush(NULL);
    *pid = e.job < 0 || e.frames < 0 ? -1 : fork();
    const int why = errno;
    if (*pid == 0)
        become_worker(&e);
    free(e.environment);
    close(e.job);
    close(e.frames);
    if (*pid < 0) {
        close(pipe[0]);
        return err_set(err, "cannot start a worker: %s", strerror(why));
    }
    setpgid(*pid, *pid); /* it does so too; whoever comes first */
    *frames = pipe[0];
    return true;
}

/* -------------------------------------------------------------------- signals */

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
    (void)number;
    interrupts++;
}

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP};
enum { PASSED_ON = sizeof passed_on / sizeof passed_on[0] };

struct signals {
    struct sigaction old[PASSED_ON];
    sigset_t mask;
};

/* They come only inside ppoll(), so that none is missed between looking and sleeping. */
static void signals_take(struct signals *s)
{
    struct sigaction ours = {.sa_handler = on_interrupt};
    sigset_t held;
    sigemptyset(&held);
    interrupts = 0;
    for (int i = 0; i < PASSED_ON; i++) {
        sigaddset(&held, passed_on[i]);
        sigaction(passed_on[i], NULL, &s->old[i]);
        if (s->old[i].sa_handler != SIG_IGN) /* as under nohup */
            sigaction(passed_on[i], &ours, NULL);
    }
    sigprocmask(SIG_BLOCK, &held, &s->mask);
}

static void signals_give_back(const struct signals *s)
{
    for (int i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &s->old[i], NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* ------------------------------------------------------------------ listening */

struct talk {
    const struct spawn *spawn;
    struct spawn_end *end;
    const sigset_t *mask; /* of signals, while waiting */
    struct frame_reader reader;
    pid_t pid;
    int fd;
    int64_t deadline; /* of the next frame */
    bool asked;       /* to end */
};

static int64_t in_seconds(double s) { return clock_ns() + (int64_t)(s * 1e9); }

static void take_phase(const struct spawn *s, struct spawn_end *end, const json_t *json)
{
    const char *phase = json_string_value(json_object_get(json, "phase"));
    snprintf(end->phase, sizeof end->phase, "%s", phase ? phase : "?");
    if (s->phase)
        s->phase(s->arg, end->phase);
}

/* All whole frames that are there. */
static bool take_frames(struct talk *t)
{
    for (;;) {
        int type;
        json_t *json;
        const int got = frame_next(&t->reader, &type, &json);
        if (got <= 0)
            return got == 0;
        bool fine = true;
        if (type == FRAME_PHASE)
            take_phase(t->spawn, t->end, json);
        else
            fine = t->spawn->frame(t->spawn->arg, type, json);
        json_decref(json);
        if (!fine)
            return false;
        t->deadline = t->asked ? t->deadline : in_seconds(t->end->silence_s);
    }
}

static void pass_on_interrupts(struct talk *t)
{
    if (interrupts == 0)
        return;
    t->end->interrupted = true;
    if (!t->asked) {
        t->asked = true;
        t->deadline = in_seconds(grace_s);
        kill(t->pid, SIGTERM);
    }
    if (interrupts > 1)
        t->deadline = 0;
}

/* Sleeps until bytes come, a signal comes or the time is over. False on the last. */
static bool wait_for(struct talk *t, short events)
{
    pass_on_interrupts(t);
    const int64_t left = t->deadline - clock_ns();
    if (left <= 0)
        return false;
    const struct timespec time = {left / 1000000000, left % 1000000000};
    struct pollfd p = {t->fd, events, 0};
    ppoll(&p, 1, &time, t->mask);
    return true;
}

/* Until the worker closes its end, or must be killed. */
static void listen_to(struct talk *t)
{
    struct spawn_end *end = t->end;
    for (int got = 1; got != 0;) {
        if (!wait_for(t, POLLIN)) {
            end->fate = SPAWN_SILENT;
            return;
        }
        struct pollfd p = {t->fd, POLLIN, 0};
        if (poll(&p, 1, 0) <= 0)
            continue;
        got = frame_read(&t->reader, t->fd);
        if (got < 0 || !take_frames(t) || (got == 0 && t->reader.used)) {
            end->fate = SPAWN_GARBLED;
            return;
        }
    }
}

/* A worker that has closed its pipe should be gone in no time; libraries may still tidy up. */
static bool reaped(struct talk *t, int *status)
{
    t->deadline = in_seconds(fmax(grace_s, t->end->silence_s));
    for (;;) {
        const pid_t pid = wait4(t->pid, status, WNOHANG, &t->end->usage);
        if (pid != 0)
            return pid == t->pid;
        pass_on_interrupts(t);
        if (clock_ns() > t->deadline)
            return false;
        const struct timespec pause = {0, 500000};
        ppoll(NULL, 0, &pause, t->mask);
    }
}

/* Processes that the kernel has killed for want of memory, on the whole machine. */
static long long kernel_kills(void)
{
    FILE *f = fopen("/proc/vmstat", "re");
    char line[128];
    long long n = 0;
    static const char name[] = "oom_kill ";
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, sizeof name - 1) == 0)
            n = strtoll(line + sizeof name - 1, NULL, 10);
    if (f)
        fclose(f);
    return n;
}

static void see_off(struct talk *t, long long kills_before)
{
    struct spawn_end *end = t->end;
    int status = 0;
    const bool gone = end->fate == SPAWN_EXITED && reaped(t, &status);
    if (!gone) {
        end->fate = end->fate == SPAWN_EXITED ? SPAWN_SILENT : end->fate;
        kill(-t->pid, SIGKILL);
        while (wait4(t->pid, &status, 0, &end->usage) < 0 && errno == EINTR)
            ;
    }
    kill(-t->pid, SIGKILL); /* what it may have started itself */
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (end->signal && gone)
        end->fate = end->signal == SIGKILL && kernel_kills() > kills_before ? SPAWN_NO_MEMORY
                                                                            : SPAWN_SIGNALLED;
}

static double silence_limit(double asked)
{
    const char *set = getenv("BENCH_WORKER_SILENCE");
    double s;
    if (set && text_to_double(set, 0.05, 1e9, &s))
        return s;
    return asked > 0 ? asked : 300;
}

bool spawn_worker(const struct spawn *s, struct spawn_end *end, struct err *err)
{
    struct talk t = {.spawn = s, .end = end};
    struct signals signals;
    *end = (struct spawn_end){.phase = "starting", .silence_s = silence_limit(s->silence_s)};
    const long long kills_before = kernel_kills();
    signals_take(&signals);
    t.mask = &signals.mask;
    const bool started = start(s, &t.pid, &t.fd, err);
    if (started) {
        t.deadline = in_seconds(end->silence_s);
        listen_to(&t);
        see_off(&t, kills_before);
        end->interrupted = end->interrupted || interrupts;
        frame_reader_release(&t.reader);
        close(t.fd);
    }
    signals_give_back(&signals);
    return started;
}

const char *spawn_reason(const struct spawn_end *end, char text[256])
{
    enum { TEXT = 256 };
    const char *name = sigabbrev_np(end->signal);
    switch (end->fate) {
    case SPAWN_SIGNALLED:
        snprintf(text, TEXT, "killed by %s%s in %s", name ? "SIG" : "a signal", name ? name : "",
                 end->phase);
        break;
    case SPAWN_NO_MEMORY:
        snprintf(text, TEXT, "killed by the kernel for want of memory in %s", end->phase);
        break;
    case SPAWN_SILENT:
        snprintf(text, TEXT, "no sign of life for %g s in %s", end->silence_s, end->phase);
        break;
    case SPAWN_GARBLED:
        snprintf(text, TEXT, "garbled message from the worker in %s", end->phase);
        break;
    default:
        text[0] = '\0';
        if (end->exit_code)
            snprintf(text, TEXT, "ended with status %d in %s", end->exit_code, end->phase);
    }
    return text;
}
