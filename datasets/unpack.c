/* unpack.c — see unpack.h. A gzip file may have several members (RFC 1952, 2.2);
 * anything else behind a member is refused as a bad header. */
#define _GNU_SOURCE
#include "datasets/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

enum { IN_BYTES = 1 << 16, STEP_BYTES = 1 << 30, GROWTH = 1032, GZIP = 16 + MAX_WBITS };

struct unpack {
    int file;
    uint64_t size, taken; /* of the file; bytes of it that were read */
    bool packed, between; /* between: a member has ended, none has begun */
    z_stream z;
    uint8_t in[IN_BYTES];
};

/* read(2), whole, except at the end of the file. */
static bool read_some(struct unpack *u, void *to, size_t n, size_t *got, struct err *err)
{
    *got = 0;
    while (*got < n) {
        const ssize_t r = read(u->file, (char *)to + *got, n - *got);
        if (r == 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_set(err, "%s", strerror(errno));
        *got += (size_t)r;
        u->taken += (uint64_t)r;
    }
    return true;
}

static bool refill(struct unpack *u, struct err *err)
{
    size_t got;
    if (!read_some(u, u->in, sizeof u->in, &got, err))
        return false;
    u->z.next_in = u->in;
    u->z.avail_in = (uInt)got;
    return true;
}

/* Inflates until z.avail_out is used up or the file ends between two members. */
static bool inflate_some(struct unpack *u, struct err *err)
{
    while (u->z.avail_out > 0) {
        if (u->z.avail_in == 0 && !refill(u, err))
            return false;
        const uint64_t at = u->taken - u->z.avail_in;
        if (u->z.avail_in == 0)
            return u->between ||
                   err_set(err, "gzip stream cut at its byte %llu", (unsigned long long)at);
        u->between = false;
        const int status = inflate(&u->z, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            inflateReset(&u->z);
            u->between = true;
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            return err_set(err, "gzip stream altered before its byte %llu: %s",
                           (unsigned long long)(u->taken - u->z.avail_in),
                           u->z.msg ? u->z.msg : zError(status));
        }
    }
    return true;
}

bool unpack_read(struct unpack *u, void *to, size_t n, size_t *got, struct err *err)
{
    if (!u->packed)
        return read_some(u, to, n, got, err);
    bool sound = true;
    for (*got = 0; sound && *got < n;) {
        const size_t step = n - *got < STEP_BYTES ? n - *got : STEP_BYTES;
        u->z.next_out = (Bytef *)to + *got;
        u->z.avail_out = (uInt)step;
        sound = inflate_some(u, err);
        *got += step - u->z.avail_out;
        if (u->z.avail_out > 0)
            break;
    }
    return sound;
}

uint64_t unpack_left(const struct unpack *u, bool *exact)
{
    *exact = !u->packed;
    return u->packed ? u->size * GROWTH : u->size - u->taken;
}

/* Looks at the first bytes: 1f 8b begins a gzip member. */
static bool begin(struct unpack *u, struct err *err)
{
    if (!refill(u, err))
        return false;
    u->packed = u->z.avail_in >= 2 && u->in[0] == 0x1f && u->in[1] == 0x8b;
    if (u->packed)
        return inflateInit2(&u->z, GZIP) == Z_OK || err_set(err, "zlib does not start");
    u->taken = 0;
    return lseek(u->file, 0, SEEK_SET) == 0 || err_set(err, "%s", strerror(errno));
}

struct unpack *unpack_open(const char *path, struct err *err)
{
    /* O_NONBLOCK: a pipe of that name must not hang us. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        err_set(err, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    struct unpack *u = xcalloc(1, sizeof *u);
    struct stat st;
    u->file = file;
    if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
        err_set(err, "'%s' is not a regular file", path);
        goto fail;
    }
    u->size = (uint64_t)st.st_size;
    if (begin(u, err))
        return u;
    err_prefix(err, "cannot read '%s'", path);
fail:
    unpack_close(u);
    return NULL;
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    if (u->packed)
        inflateEnd(&u->z);
    close(u->file);
    free(u);
}
