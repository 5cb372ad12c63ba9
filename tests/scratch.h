/* scratch.h — a folder of one's own for tests that need files. It is made in
 * $TMPDIR (or the system's place) and removed at exit. Include after defining
 * _GNU_SOURCE. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char scratch[256];

static int scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void scratch_remove(void) { nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static inline void scratch_make(void)
{
    const char *place = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/bench-test-XXXXXX", place ? place : P_tmpdir);
    if (!mkdtemp(scratch)) {
        perror(scratch);
        exit(EXIT_FAILURE);
    }
    atexit(scratch_remove);
}

/* The path of a name in the folder; valid until eight more have been asked for. */
static inline const char *scratch_path(const char *name)
{
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

static inline const char *scratch_write(const char *name, const void *bytes, size_t n)
{
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return path;
}

/* One gzip member of n bytes, into `to`; returns its length. */
static inline size_t scratch_gzip(const void *bytes, size_t n, uint8_t *to, size_t room)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n};
    z.next_out = to;
    z.avail_out = (uInt)room;
    if (deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&z);
    return room - z.avail_out;
}

#endif
