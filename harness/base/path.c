/* path.c — see path.h. */
#define _GNU_SOURCE
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

char *path_source_tree(void)
{
    char exe[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    for (char *slash = strrchr(exe, '/'); slash && slash != exe; slash = strrchr(exe, '/')) {
        *slash = '\0';
        char *mark = xprintf("%s/harness/nn.h", exe);
        const bool found = access(mark, F_OK) == 0;
        free(mark);
        if (found)
            return xstrdup(exe);
    }
    return NULL;
}

/* mkdir(2) fails on folders that exist, and with more than one error: only what is there
 * afterwards counts. */
static bool make_folder(const char *path, struct err *err)
{
    struct stat st;
    const int why = mkdir(path, 0777) == 0 ? 0 : errno;
    if (stat(path, &st) != 0)
        return err_set(err, "cannot create folder '%s': %s", path, strerror(why));
    return S_ISDIR(st.st_mode) || err_set(err, "'%s' is not a folder", path);
}

bool path_make_folders(const char *folder, struct err *err)
{
    char *path = xstrdup(folder);
    bool good = true;
    for (char *slash = strchr(path + 1, '/'); *path && slash && good;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        good = make_folder(path, err);
        *slash = '/';
    }
    good = good && (!*path || make_folder(path, err));
    free(path);
    return good;
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)                    ? "a folder"
           : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
           : S_ISFIFO(mode)                 ? "a pipe"
           : S_ISSOCK(mode)                 ? "a socket"
                                            : "no regular file";
}

/* Where the symbolic link `path` leads, one step, malloc'ed; NULL if it is none. */
static char *follow(const char *path)
{
    char to[PATH_MAX];
    const ssize_t n = readlink(path, to, sizeof to - 1);
    if (n < 0)
        return NULL;
    to[n] = '\0';
    const char *slash = strrchr(path, '/');
    const int folder = slash && to[0] != '/' ? (int)(slash + 1 - path) : 0;
    return xprintf("%.*s%s", folder, path, to);
}

static bool is_name(const char *path, struct err *err)
{
    return strcmp(path, "-") != 0 ||
           err_set(err,
                   "cannot write '-': expected a file's name; standard output is "
                   "'/dev/stdout', a file of that name './-'");
}

/* realpath(3) would refuse a link to what does not exist yet. stat(2) comes first, for links of
 * /proc lead to pipes by names that are no paths. */
char *path_to_replace(const char *path, struct err *err)
{
    enum { LINKS_MOST = 40 }; /* as Linux has it */
    struct stat st;
    if (!is_name(path, err))
        return NULL;
    const bool there = stat(path, &st) == 0;
    if ((there && !S_ISREG(st.st_mode)) || (!there && errno == ELOOP)) {
        err_set(err, "cannot write '%s': expected a regular file or none, found %s", path,
                there ? kind_of(st.st_mode) : "a loop of links");
        return NULL;
    }
    char *at = xstrdup(path), *next;
    for (int i = 0; i < LINKS_MOST && (next = follow(at)); i++) {
        free(at);
        at = next;
    }
    return at;
}

FILE *path_create(const char *path, struct err *err)
{
    if (!is_name(path, err))
        return NULL;
    FILE *f = fopen(path, "we");
    if (!f)
        err_set(err, "cannot write '%s': %s", path, strerror(errno));
    return f;
}

bool path_close(FILE *f, const char *path, struct err *err)
{
    const bool written = fflush(f) == 0 && !ferror(f);
    const int why = errno;
    if (fclose(f) == 0 && written)
        return true;
    return err_set(err, "cannot write '%s': %s", path, strerror(written ? errno : why));
}
