/* fitness.c — see fitness.h. Settings are one table: the files that hold one, the value that
 * suits measuring, and why. */
#define _GNU_SOURCE
#include "perf/fitness.h"

#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/text.h"

const char *const fit_name[] = {"good", "poor", "bad", "unknown"};

enum { LINE = 96, PATH_ROOM = 512 };

/* ---- settings: files that hold one word ------------------------------------------ */

struct setting {
    const char *name, *files; /* a glob; all files must agree */
    const char *good[4];      /* values that will do; the first is what fixing writes */
    bool bracketed;           /* the file shows all values, the chosen one in [brackets] */
    const char *wanted, *why;
};

/* clang-format off */
static const struct setting settings[] = {
    {"governor", "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", {"performance"}, false,
     "performance", "the clock must not follow the load"},
    {"turbo", "/sys/devices/system/cpu/cpufreq/boost", {"0"}, false,
     "0 (off)", "a boosted clock moves with temperature and neighbours"},
    {"turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo", {"1"}, false,
     "no_turbo 1", "a boosted clock moves with temperature and neighbours"},
    {"SMT", "/sys/devices/system/cpu/smt/control", {"off", "notsupported", "notimplemented"}, false,
     "off", "two threads of one core share its units"},
    {"huge pages", "/sys/kernel/mm/transparent_hugepage/enabled", {"madvise", "always"}, true,
     "madvise or always", "small pages collide in L2 and miss the TLB"},
    {"ASLR", "/proc/sys/kernel/randomize_va_space", {"2"}, false,
     "2 (on)", "without it one memory layout, lucky or not, is measured again and again"},
    {"perf events", "/proc/sys/kernel/perf_event_paranoid", {"2", "1", "0", "-1"}, false,
     "2 or less", "above 2 counters are closed to users"},
};
/* clang-format on */
enum { SETTINGS = sizeof settings / sizeof *settings };

static bool line_of(const char *path, char line[LINE])
{
    FILE *f = fopen(path, "r");
    const bool got = f && fgets(line, LINE, f);
    if (f)
        fclose(f);
    line[got ? strcspn(line, "\n") : 0] = '\0';
    return got;
}

static void value_of(const struct setting *s, const char *path, char value[LINE])
{
    char line[LINE];
    line_of(path, line);
    const char *open = s->bracketed ? strchr(line, '[') : NULL,
               *close = open ? strchr(open, ']') : NULL;
    if (close)
        snprintf(value, LINE, "%.*s", (int)(close - open - 1), open + 1);
    else
        snprintf(value, LINE, "%s", line);
}

static bool is_good(const struct setting *s, const char *value)
{
    for (size_t i = 0; i < sizeof s->good / sizeof *s->good && s->good[i]; i++)
        if (strcmp(value, s->good[i]) == 0)
            return true;
    return false;
}

static bool find(const char *root, const struct setting *s, glob_t *files)
{
    char pattern[PATH_ROOM];
    snprintf(pattern, sizeof pattern, "%s%s", root, s->files);
    if (glob(pattern, 0, NULL, files) == 0)
        return true;
    globfree(files);
    return false;
}

/* False: this machine has no such files. */
static bool check_setting(const char *root, const struct setting *s, struct fit_check *c)
{
    glob_t files = {0};
    if (!find(root, s, &files))
        return false;
    *c = (struct fit_check){.name = s->name, .wanted = s->wanted, .why = s->why, .fixable = true};
    for (size_t i = 0; i < files.gl_pathc; i++) {
        value_of(s, files.gl_pathv[i], c->found);
        if (is_good(s, c->found))
            continue;
        c->fit = FIT_POOR;
        snprintf(c->advice, sizeof c->advice, "echo %s | sudo tee %s", s->good[0], s->files);
        break;
    }
    globfree(&files);
    return true;
}

/* ---- what no file of ours can change ---------------------------------------------- */

/* "max 100000" of this process's control group (version 2) or of the one that is mounted as the
 * root of all; the root itself has no such file, and no limit. False: no control groups here. */
static bool quota_line(const char *root, char line[LINE])
{
    char path[PATH_ROOM], own[LINE];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    const char *group = line_of(path, own) && strncmp(own, "0::", 3) == 0 ? own + 3 : "";
    snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/cpu.max", root, group);
    if (line_of(path, line))
        return true;
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/cpu.max", root);
    if (!line_of(path, line))
        snprintf(line, LINE, "max");
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/cgroup.controllers", root);
    return access(path, F_OK) == 0;
}

static void check_quota(const char *root, struct fit_check *c)
{
    char line[LINE], *second;
    *c = (struct fit_check){
        .name = "CPU quota",
        .wanted = "none",
        .why = "a group that has used up its share is stopped in mid-step",
    };
    if (!quota_line(root, line)) {
        c->fit = FIT_UNKNOWN;
        return;
    }
    const double quota = strtod(line, &second), period = strtod(second, NULL);
    if (second == line || period <= 0) {
        snprintf(c->found, sizeof c->found, "none");
        return;
    }
    snprintf(c->found, sizeof c->found, "%.2f CPUs", quota / period);
    if (quota / period < crew_cores()) {
        c->fit = FIT_BAD;
        snprintf(c->advice, sizeof c->advice,
                 "give the container at least %d CPUs, or use --threads %d", crew_cores(),
                 quota >= period ? (int)(quota / period) : 1);
    }
}

static void check_isolated(const char *root, struct fit_check *c)
{
    char path[PATH_ROOM], line[LINE];
    *c = (struct fit_check){.name = "isolated CPUs",
                            .wanted = "some",
                            .why = "the scheduler puts nothing else on them"};
    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/isolated", root);
    if (!line_of(path, line) && access(path, R_OK) != 0)
        c->fit = FIT_UNKNOWN;
    else if (line[0])
        snprintf(c->found, sizeof c->found, "%s", line);
    else {
        c->fit = FIT_POOR;
        snprintf(c->found, sizeof c->found, "none");
        snprintf(c->advice, sizeof c->advice,
                 "boot with isolcpus=LIST and start bench with taskset (optional)");
    }
}

static void check_disk(const char *folder, struct fit_check *c)
{
    enum { GIB = 1 << 30 };
    struct statvfs fs;
    *c = (struct fit_check){
        .name = "disk", .wanted = "1 GiB free", .why = "a full disk loses results"};
    if (statvfs(folder, &fs) != 0) {
        c->fit = FIT_UNKNOWN;
        return;
    }
    const double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    snprintf(c->found, sizeof c->found, "%.1f GiB free", free_bytes / GIB);
    if (free_bytes < GIB) {
        c->fit = FIT_BAD;
        snprintf(c->advice, sizeof c->advice, "make room in %.150s", folder);
    }
}

int fitness_check(const char *root, const char *folder, struct fit_check checks[FITNESS_MOST])
{
    int n = 0;
    check_quota(root, &checks[n++]);
    for (int i = 0; i < SETTINGS; i++)
        n += check_setting(root, &settings[i], &checks[n]);
    check_isolated(root, &checks[n++]);
    check_disk(folder, &checks[n++]);
    return n;
}

/* ---- changing and putting back ------------------------------------------------------ */

static bool write_line(const char *path, const char *value, struct err *err)
{
    FILE *f = fopen(path, "w");
    bool fine = f && fprintf(f, "%s\n", value) > 0;
    if (f && fclose(f) != 0)
        fine = false;
    return fine || err_set(err, "%s: cannot write '%s': %s", path, value, strerror(errno));
}

static bool save(const json_t *old, const char *memo, struct err *err)
{
    return json_dump_file(old, memo, JSON_INDENT(1)) == 0 ||
           err_set(err, "%s: cannot be written (nothing has been changed): %s", memo,
                   strerror(errno));
}

static void told(void (*say)(const char *), const char *path, const char *from, const char *to)
{
    char line[PATH_ROOM + 2 * LINE];
    snprintf(line, sizeof line, "%s: %s -> %s", path, from, to);
    say(line);
}

/* Calls do_it for each file of each setting that is not as it should be. */
static bool each_poor(const char *root,
                      bool (*do_it)(void *arg, const char *path, const char *now,
                                    const char *better),
                      void *arg)
{
    bool fine = true;
    for (int i = 0; fine && i < SETTINGS; i++) {
        glob_t files = {0};
        if (!find(root, &settings[i], &files))
            continue;
        for (size_t k = 0; fine && k < files.gl_pathc; k++) {
            char now[LINE];
            value_of(&settings[i], files.gl_pathv[k], now);
            if (now[0] && !is_good(&settings[i], now))
                fine = do_it(arg, files.gl_pathv[k], now, settings[i].good[0]);
        }
        globfree(&files);
    }
    return fine;
}

struct fixing {
    json_t *old;
    void (*say)(const char *);
    struct err *err;
};

static bool remember(void *arg, const char *path, const char *now, const char *better)
{
    struct fixing *f = arg;
    (void)better;
    if (!json_object_get(f->old, path))
        json_object_set_new(f->old, path, json_string(now));
    return true;
}

static bool change(void *arg, const char *path, const char *now, const char *better)
{
    struct fixing *f = arg;
    if (!write_line(path, better, f->err))
        return false;
    told(f->say, path, now, better);
    return true;
}

bool fitness_fix(const char *root, const char *memo, void (*say)(const char *), struct err *err)
{
    json_error_t bad;
    json_t *old = access(memo, F_OK) == 0 ? json_load_file(memo, 0, &bad) : json_object();
    if (!json_is_object(old)) {
        json_decref(old);
        return err_set(err, "%s: expected what an earlier --fix wrote; it is damaged", memo);
    }
    struct fixing f = {old, say, err};
    each_poor(root, remember, &f);
    bool fine = json_object_size(old) == 0 || save(old, memo, err);
    if (fine && !each_poor(root, change, &f)) {
        struct err ignored = {0};
        fine = false;
        fitness_restore(root, memo, say, &ignored); /* the first error is the one to tell */
    }
    json_decref(old);
    return fine;
}

bool fitness_restore(const char *root, const char *memo, void (*say)(const char *), struct err *err)
{
    json_error_t bad;
    const char *path;
    json_t *value;
    if (access(memo, F_OK) != 0)
        return err_set(err, "nothing to restore: %s is not there", memo);
    json_t *old = json_load_file(memo, 0, &bad);
    bool fine = json_is_object(old) || err_set(err, "%s:%d: %s", memo, bad.line, bad.text);
    json_object_foreach(old, path, value)
    {
        const char *was = json_string_value(value);
        char now[LINE];
        const struct setting *s = settings;
        while (s < settings + SETTINGS - 1 && !text_matches(s->files, path + strlen(root)))
            s++;
        if (strncmp(path, root, strlen(root)) != 0 || !was ||
            !text_matches(s->files, path + strlen(root))) {
            fine = err_set(err, "%s: '%s' is no setting of ours", memo, path);
            continue;
        }
        value_of(s, path, now);
        if (strcmp(now, was) == 0)
            continue;
        if (!write_line(path, was, err))
            fine = false;
        else
            told(say, path, now, was);
    }
    json_decref(old);
    if (fine && unlink(memo) != 0)
        fine = err_set(err, "%s: cannot be removed: %s", memo, strerror(errno));
    return fine;
}
