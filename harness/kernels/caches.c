/* caches.c — how large the data caches of this machine are. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"

/* Linux describes each cache of CPU 0 in a folder: level, type, size ("32K"). */
static size_t probe(int level)
{
    for (int i = 0; i < 8; i++) {
        char path[96], type[32] = "";
        int found = 0;
        size_t kib = 0;
        const char *const folder = "/sys/devices/system/cpu/cpu0/cache/index";
        FILE *f;
        snprintf(path, sizeof path, "%s%d/level", folder, i);
        if ((f = fopen(path, "r"))) {
            found = fscanf(f, "%d", &found) == 1 ? found : 0;
            fclose(f);
        }
        snprintf(path, sizeof path, "%s%d/type", folder, i);
        if ((f = fopen(path, "r"))) {
            if (fscanf(f, "%31s", type) != 1)
                type[0] = '\0';
            fclose(f);
        }
        if (found != level || strcmp(type, "Instruction") == 0)
            continue;
        snprintf(path, sizeof path, "%s%d/size", folder, i);
        if ((f = fopen(path, "r"))) {
            if (fscanf(f, "%zuK", &kib) != 1)
                kib = 0;
            fclose(f);
        }
        if (kib)
            return kib << 10;
    }
    return 0;
}

static size_t first_known(size_t probed, int name, size_t otherwise)
{
    if (probed)
        return probed;
    const long asked = sysconf(name);
    return asked > 0 ? (size_t)asked : otherwise;
}

const struct kn_caches *kn_caches(void)
{
    static struct kn_caches caches;
    if (!caches.l1d) {
        caches.l3 = first_known(probe(3), _SC_LEVEL3_CACHE_SIZE, 8u << 20);
        caches.l2 = first_known(probe(2), _SC_LEVEL2_CACHE_SIZE, 1u << 20);
        caches.l1d = first_known(probe(1), _SC_LEVEL1_DCACHE_SIZE, 32u << 10);
    }
    return &caches;
}
