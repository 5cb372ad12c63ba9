/* unpack.c — see unpack.h. A gzip file may have several members (RFC 1952, 2.2);
 * anything else behind a member is refused as a bad header. The same holds for the
 * streams of an xz file. */
#define _GNU_SOURCE
#include "datasets/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

enum { IN_BYTES = 1 << 16, STEP_BYTES = 1 << 30, GZIP = 16 + MAX_WBITS };

/* What a packed byte may become at most. LZMA2: chunks of 2 MiB, their header alone six bytes. */
enum { GZIP_GROWTH = 1032, XZ_GROWTH = (2 << 20) / 6 + 1 };

/* An xz file says how large a dictionary it wants: enough for xz -9, not for a bomb. */
enum { XZ_MEMORY = 128 << 20 };

enum packing { PLAIN, GZIPPED, XZIPPED };

struct unpack {
    int file;
    uint64_t size, taken; /* of the file; bytes of it that were read */
    enum packing packing;
    bool between, ended; /* a gzip member has ended, none has begun; the xz file has */
    z_stream z;
    lzma_stream x;
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
    u->x.next_in = u->in;
    u->x.avail_in = got;
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

static const char *xz_trouble(lzma_ret status)
{
    switch (status) {
    case LZMA_MEM_ERROR: return "no memory";
    case LZMA_MEMLIMIT_ERROR: return "it wants a dictionary of more than 128 MiB";
    case LZMA_FORMAT_ERROR: return "no xz header";
    case LZMA_OPTIONS_ERROR: return "an unknown filter";
    default: return "incorrect data";
    }
}

/* Unpacks until x.avail_out is used up or the file ends behind a whole stream. */
static bool unxz_some(struct unpack *u, struct err *err)
{
    while (u->x.avail_out > 0 && !u->ended) {
        if (u->x.avail_in == 0 && !refill(u, err))
            return false;
        const bool last = u->x.avail_in == 0;
        const uint64_t at = u->taken - u->x.avail_in;
        const lzma_ret status = lzma_code(&u->x, last ? LZMA_FINISH : LZMA_RUN);
        u->ended = status == LZMA_STREAM_END;
        if (last && status == LZMA_BUF_ERROR)
            return err_set(err, "xz stream cut at its byte %llu", (unsigned long long)at);
        if (status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR)
            return err_set(err, "xz stream altered before its byte %llu: %s",
                           (unsigned long long)(u->taken - u->x.avail_in), xz_trouble(status));
    }
    return true;
}

/* The next n <= STEP_BYTES bytes. */
static bool unpack_some(struct unpack *u, uint8_t *to, size_t n, size_t *got, struct err *err)
{
    bool sound;
    if (u->packing == GZIPPED) {
        u->z.next_out = to;
        u->z.avail_out = (uInt)n;
        sound = inflate_some(u, err);
        *got = n - u->z.avail_out;
    } else {
        u->x.next_out = to;
        u->x.avail_out = n;
        sound = unxz_some(u, err);
        *got = n - u->x.avail_out;
    }
    return sound;
}

bool unpack_read(struct unpack *u, void *to, size_t n, size_t *got, struct err *err)
{
    if (u->packing == PLAIN)
        return read_some(u, to, n, got, err);
    bool sound = true;
    for (*got = 0; sound && *got < n;) {
        const size_t step = n - *got < STEP_BYTES ? n - *got : STEP_BYTES;
        size_t some;
        sound = unpack_some(u, (uint8_t *)to + *got, step, &some, err);
        *got += some;
        if (some < step)
            break;
    }
    return sound;
}

uint64_t unpack_left(const struct unpack *u, bool *exact)
{
    static const uint64_t growth[] = {[GZIPPED] = GZIP_GROWTH, [XZIPPED] = XZ_GROWTH};
    *exact = u->packing == PLAIN;
    return u->packing == PLAIN ? u->size - u->taken : u->size * growth[u->packing];
}

/* Looks at the first bytes: 1f 8b begins a gzip member, fd "7zXZ" 0 an xz stream. */
static bool begin(struct unpack *u, struct err *err)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
    if (!refill(u, err))
        return false;
    if (u->x.avail_in >= sizeof gzip && memcmp(u->in, gzip, sizeof gzip) == 0) {
        u->packing = GZIPPED;
        return inflateInit2(&u->z, GZIP) == Z_OK || err_set(err, "zlib does not start");
    }
    if (u->x.avail_in >= sizeof xz && memcmp(u->in, xz, sizeof xz) == 0) {
        u->packing = XZIPPED;
        return lzma_stream_decoder(&u->x, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK ||
               err_set(err, "liblzma does not start");
    }
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
    u->x = (lzma_stream)LZMA_STREAM_INIT;
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
    if (u->packing == GZIPPED)
        inflateEnd(&u->z);
    if (u->packing == XZIPPED)
        lzma_end(&u->x);
    close(u->file);
    free(u);
}
