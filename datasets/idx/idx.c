/* idx.c — reads one IDX file; see idx.h. Every size is checked against the size of
 * the file before memory is asked for, so that eight hostile bytes cannot cost
 * gigabytes. */
#include "datasets/idx/idx.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "datasets/unpack.h"

enum { TYPE_BYTE = 0x08 };

struct reader {
    const char *path, *what;
    struct unpack *file;
    unsigned long long at; /* unpacked bytes read so far */
};

/* The next n bytes, all of them. */
static bool take(struct reader *r, void *to, size_t n, const char *what, struct err *err)
{
    size_t got;
    if (!unpack_read(r->file, to, n, &got, err))
        return err_prefix(err, "'%s': at byte %llu: expected %zu bytes of %s, found %zu", r->path,
                          r->at, n, what, got);
    if (got < n)
        return err_set(err, "'%s': at byte %llu: expected %zu bytes of %s, found %zu", r->path,
                       r->at, n, what, got);
    r->at += n;
    return true;
}

static bool read_header(struct reader *r, struct idx *x, struct err *err)
{
    uint8_t b[4];
    if (!take(r, b, 4, "header", err))
        return false;
    if (b[0] != 0 || b[1] != 0 || b[2] != TYPE_BYTE || b[3] < 1 || b[3] > IDX_MAX_RANK)
        return err_set(err,
                       "'%s': at byte 0: expected 00 00 08 and 01 to 04 (IDX, unsigned bytes), "
                       "found %02x %02x %02x %02x",
                       r->path, b[0], b[1], b[2], b[3]);
    x->rank = b[3];
    x->count = 1;
    for (int i = 0; i < x->rank; i++) {
        const unsigned long long at = r->at;
        if (!take(r, b, 4, "header", err))
            return false;
        x->dim[i] = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        if (x->dim[i] == 0)
            return err_set(err, "'%s': at byte %llu: expected a size of at least 1, found 0",
                           r->path, at);
        if (__builtin_mul_overflow(x->count, x->dim[i], &x->count))
            return err_set(err, "'%s': at byte %llu: expected sizes below 2^64 in all, found more",
                           r->path, at);
    }
    return true;
}

static bool fits_file(const struct reader *r, size_t count, struct err *err)
{
    bool exact;
    const unsigned long long left = unpack_left(r->file, &exact);
    if (exact && left != count)
        return err_set(err, "'%s': at byte %llu: expected %zu bytes of %s, found %llu", r->path,
                       r->at, count, r->what, left);
    if (left < count)
        return err_set(err,
                       "'%s': at byte %llu: expected %zu bytes of %s, found a packed stream that "
                       "cannot hold more than %llu",
                       r->path, r->at, count, r->what, left);
    return true;
}

/* Also makes zlib check the stream's own sum, which stands behind the last byte. */
static bool ends_here(struct reader *r, struct err *err)
{
    uint8_t more;
    size_t got;
    if (!unpack_read(r->file, &more, 1, &got, err))
        return err_prefix(err, "'%s': at byte %llu: expected the end", r->path, r->at);
    return got == 0 ||
           err_set(err, "'%s': at byte %llu: expected the end, found more bytes", r->path, r->at);
}

static bool read_items(struct reader *r, struct idx *x, struct err *err)
{
    if (!read_header(r, x, err) || !fits_file(r, x->count, err))
        return false;
    x->bytes = mem_large(x->count);
    if (!x->bytes)
        return err_set(err, "'%s': no memory for %zu bytes of %s", r->path, x->count, r->what);
    if (take(r, x->bytes, x->count, r->what, err) && ends_here(r, err))
        return true;
    free(x->bytes);
    return false;
}

bool idx_read(const char *path, const char *what, struct idx *out, struct err *err)
{
    struct reader r = {.path = path, .what = what, .file = unpack_open(path, err)};
    if (!r.file)
        return false;
    struct idx x = {0};
    const bool sound = read_items(&r, &x, err);
    unpack_close(r.file);
    if (sound)
        *out = x;
    return sound;
}

size_t idx_header(const struct idx *x, uint8_t header[IDX_HEADER])
{
    memcpy(header, (const uint8_t[]){0, 0, TYPE_BYTE, (uint8_t)x->rank}, 4);
    for (int i = 0; i < x->rank; i++)
        for (int b = 0; b < 4; b++)
            header[4 + 4 * i + b] = (uint8_t)(x->dim[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)x->rank;
}
