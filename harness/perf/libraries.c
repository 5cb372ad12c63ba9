/* libraries.c — which libraries a run stood on: their versions as they say themselves, or else the
 * name of the file that the dynamic linker loaded; see environment.h. */
#define _GNU_SOURCE
#include <jansson.h>
#include <link.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "perf/environment.h"

/* OpenMP runtimes tell no version: their files' real names do (libgomp.so.1.0.0). */
static int find_openmp(struct dl_phdr_info *info, size_t size, void *arg)
{
    static const char *const names[] = {"libgomp.so", "libomp.so", "libiomp5.so"};
    (void)size;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strstr(info->dlpi_name, names[i]))
            continue;
        char *real = realpath(info->dlpi_name, NULL), *slash = real ? strrchr(real, '/') : NULL;
        json_object_set_new(arg, "openmp", json_string(slash ? slash + 1 : info->dlpi_name));
        free(real);
        return 1;
    }
    return 0;
}

void libraries_read(char *json, int size)
{
    json_t *all = json_pack("{s:s, s:s, s:s}", "sqlite", sqlite3_libversion(), "zlib",
                            zlibVersion(), "jansson", jansson_version_str());
    dl_iterate_phdr(find_openmp, all);
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(json, (size_t)size, "%s", text ? text : "");
    free(text);
    json_decref(all);
}
