/* plot.c — runs gnuplot on every script of the report's folder, all at once: they are
 * independent, and each spends its time loading fonts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "report/report.h"

extern char **environ;

enum { PICTURES = 64 };

/* 0, or why the program could not be started. Its messages are appended to gnuplot.log. */
static int start(const char *folder, const char *script, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    char *const arguments[] = {(char *)"gnuplot", (char *)script, NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "gnuplot.log", O_WRONLY | O_CREAT | O_APPEND,
                                     0666);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int why = posix_spawnp(pid, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

static bool is_there(const char *folder, const char *name, const char *ending)
{
    struct stat st;
    char *path = xprintf("%s/%s.%s", folder, name, ending);
    const bool there = stat(path, &st) == 0 && st.st_size > 0;
    free(path);
    return there;
}

/* What an earlier report drew must not pass for this one's. */
static void forget(const char *folder, const char *name, const char *ending)
{
    char *path = xprintf("%s/%s.%s", folder, name, ending);
    unlink(path);
    free(path);
}

static void collect(struct report *r, struct report_picture *p, pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    p->drawn =
        status == 0 && is_there(r->folder, p->name, "svg") && is_there(r->folder, p->name, "png");
    if (!p->drawn && !*r->problem)
        snprintf(r->problem, sizeof r->problem,
                 "gnuplot could not draw %s; gnuplot.log in this folder says why", p->name);
}

void report_plot(struct report *r)
{
    pid_t pid[PICTURES] = {0};
    int why = 0;
    forget(r->folder, "gnuplot", "log");
    for (int i = 0; i < r->pictures_count && i < PICTURES; i++) {
        char *script = xprintf("%s.gp", r->pictures[i].name);
        forget(r->folder, r->pictures[i].name, "svg");
        forget(r->folder, r->pictures[i].name, "png");
        if (!why)
            why = start(r->folder, script, &pid[i]);
        if (why)
            pid[i] = 0;
        free(script);
    }
    if (why == ENOENT)
        snprintf(r->problem, sizeof r->problem,
                 "gnuplot is not installed (Debian: apt-get install gnuplot-nox), so here are "
                 "tables and data files only");
    else if (why)
        snprintf(r->problem, sizeof r->problem, "cannot start gnuplot: %s", strerror(why));
    for (int i = 0; i < r->pictures_count && i < PICTURES; i++)
        if (pid[i])
            collect(r, &r->pictures[i], pid[i]);
    if (!is_there(r->folder, "gnuplot", "log"))
        forget(r->folder, "gnuplot", "log");
}
