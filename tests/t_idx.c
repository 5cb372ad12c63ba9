/* t_idx — the reader of IDX files: what it reads, and that it refuses the rest. */
#define _GNU_SOURCE
#include "tap.h"

#include <sys/stat.h>

#include "datasets/idx/idx.h"
#include "scratch.h"

enum { ROOM = 4096 };

struct bytes {
    size_t n;
    uint8_t at[ROOM];
};

/* An IDX file of rank dimensions with a pattern in it. */
static struct bytes make(int rank, const size_t *dim)
{
    struct idx x = {.rank = rank};
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= x.dim[i] = dim[i];
    struct bytes b = {0};
    b.n = idx_header(&x, b.at);
    for (size_t i = 0; i < count; i++)
        b.at[b.n++] = (uint8_t)(i * 37 % 251);
    return b;
}

static struct bytes packed(const struct bytes *b)
{
    struct bytes z = {0};
    z.n = scratch_gzip(b->at, b->n, z.at, sizeof z.at);
    return z;
}

static bool read_back(const struct bytes *file, struct idx *x, struct err *err)
{
    *err = (struct err){0};
    return idx_read(scratch_write("x", file->at, file->n), "pixels", x, err);
}

/* Refused with a message that names the file and ends as told. */
static void refuses(const struct bytes *file, const char *tail, const char *what)
{
    struct idx x;
    struct err err;
    char whole[ERR_TEXT];
    snprintf(whole, sizeof whole, "'%s'%s", scratch_path("x"), tail);
    const bool sound = read_back(file, &x, &err);
    if (sound)
        free(x.bytes);
    is_str(sound ? "(read)" : err.text, whole, "%s", what);
}

static bool same(const struct idx *x, const struct bytes *b)
{
    const size_t head = 4 + 4 * (size_t)x->rank;
    return head + x->count == b->n && memcmp(x->bytes, b->at + head, x->count) == 0;
}

static const size_t sizes[] = {3, 4, 5, 2};

static void test_reads(void)
{
    for (int rank = 1; rank <= IDX_MAX_RANK; rank++) {
        const struct bytes plain = make(rank, sizes), gz = packed(&plain);
        struct idx x;
        struct err err;
        for (int form = 0; form < 2; form++) {
            const bool sound = read_back(form ? &gz : &plain, &x, &err);
            ok(sound && x.rank == rank && x.dim[rank - 1] == sizes[rank - 1] && same(&x, &plain),
               "rank %d, %s: %s", rank, form ? "packed" : "plain", sound ? "read" : err.text);
            if (sound)
                free(x.bytes);
        }
    }
}

/* RFC 1952: members may follow each other. */
static void test_members(void)
{
    const struct bytes plain = make(3, sizes);
    struct bytes gz = {0};
    gz.n = scratch_gzip(plain.at, 21, gz.at, ROOM);
    gz.n += scratch_gzip(plain.at + 21, plain.n - 21, gz.at + gz.n, ROOM - gz.n);
    struct idx x;
    struct err err;
    const bool sound = read_back(&gz, &x, &err);
    ok(sound && same(&x, &plain), "two gzip members are one file");
    if (sound)
        free(x.bytes);
}

static void test_cut(void)
{
    const struct bytes plain = make(3, sizes), gz = packed(&plain);
    for (int form = 0; form < 2; form++) {
        struct bytes cut = form ? gz : plain;
        int refused = 0, named = 0;
        const int all = (int)cut.n;
        while (cut.n-- > 0) {
            struct idx x;
            struct err err;
            if (read_back(&cut, &x, &err)) {
                free(x.bytes);
                continue;
            }
            refused++;
            named += strstr(err.text, ": at byte ") && strstr(err.text, "expected ");
        }
        is_int(refused, all, "%s: refused when cut at any byte", form ? "packed" : "plain");
        is_int(named, all, "%s: each time with offset and what was expected",
               form ? "packed" : "plain");
    }
}

/* Any one bit turned over: in the header it is refused; in plain pixels nobody can know; in a
 * gzip stream it is refused unless it means nothing (time stamp, operating system). */
static void test_altered(void)
{
    const struct bytes plain = make(3, sizes), gz = packed(&plain);
    int wrong_header = 0, wrong_pixels = 0, wrong_packed = 0, harmless = 0;
    for (size_t i = 0; i < 8 * plain.n; i++) {
        struct bytes b = plain;
        b.at[i / 8] ^= (uint8_t)(1u << i % 8);
        struct idx x;
        struct err err;
        const bool sound = read_back(&b, &x, &err);
        if (i / 8 < 16)
            wrong_header += sound;
        else
            wrong_pixels += !sound || !same(&x, &b);
        if (sound)
            free(x.bytes);
    }
    for (size_t i = 0; i < 8 * gz.n; i++) {
        struct bytes b = gz;
        b.at[i / 8] ^= (uint8_t)(1u << i % 8);
        struct idx x;
        struct err err;
        if (!read_back(&b, &x, &err))
            continue;
        wrong_packed += !same(&x, &plain);
        harmless++;
        free(x.bytes);
    }
    is_int(wrong_header, 0, "no bit of the header can be altered");
    is_int(wrong_pixels, 0, "altered pixels are read as they are");
    is_int(wrong_packed, 0, "an altered gzip stream never gives other pixels");
    ok(harmless < 80, "and passes only where it means nothing (%d bits)", harmless);
}

static struct bytes with(struct bytes b, size_t at, uint8_t value)
{
    b.at[at] = value;
    return b;
}

static void test_messages(void)
{
    const struct bytes plain = make(3, sizes);
    struct bytes b = {.n = 0};
    refuses(&b, ": at byte 0: expected 4 bytes of header, found 0", "empty file");
    b = with(plain, 2, 0x0d);
    refuses(&b,
            ": at byte 0: expected 00 00 08 and 01 to 04 (IDX, unsigned bytes), found 00 00 0d 03",
            "floats");
    b = with(plain, 3, 5);
    refuses(&b,
            ": at byte 0: expected 00 00 08 and 01 to 04 (IDX, unsigned bytes), found 00 00 08 05",
            "five dimensions");
    b = with(plain, 11, 0);
    refuses(&b, ": at byte 8: expected a size of at least 1, found 0", "a size of 0");
    b = with(plain, 7, 4);
    refuses(&b, ": at byte 16: expected 80 bytes of pixels, found 60", "one item too few");
    b = with(plain, 7, 2);
    refuses(&b, ": at byte 16: expected 40 bytes of pixels, found 60", "one item too many");
    b = plain;
    b.n = 10;
    refuses(&b, ": at byte 8: expected 4 bytes of header, found 2", "header cut");
    b = plain;
    b.at[b.n++] = 0;
    refuses(&b, ": at byte 16: expected 60 bytes of pixels, found 61", "a byte behind the end");
}

static void test_packed_messages(void)
{
    const struct bytes plain = make(3, sizes);
    struct bytes more = plain, z;
    more.at[more.n++] = 0;
    z = packed(&more);
    refuses(&z, ": at byte 76: expected the end, found more bytes", "packed: a byte too many");
    more = plain;
    more.n -= 10;
    z = packed(&more);
    refuses(&z, ": at byte 16: expected 60 bytes of pixels, found 50", "packed: ten bytes too few");
    z = packed(&plain);
    const size_t n = z.n;
    z.n -= 4;
    char tail[128];
    snprintf(tail, sizeof tail, ": at byte 76: expected the end: gzip stream cut at its byte %zu",
             z.n);
    refuses(&z, tail, "packed: half of the trailer missing");
    z.n = n;
    z.at[n - 8] ^= 1;
    struct idx x;
    struct err err;
    ok(!read_back(&z, &x, &err) && strstr(err.text, "incorrect data check"), "packed: wrong sum");
    z.at[n - 8] ^= 1;
    memcpy(z.at + z.n, "junk", 4);
    z.n += 4;
    ok(!read_back(&z, &x, &err) && strstr(err.text, "at byte 76: expected the end: gzip stream"),
       "packed: junk behind the stream");
}

/* Sizes that no file can hold are refused before memory is asked for: the largest of
 * these would need 2^64 bytes and more. */
static void test_huge(void)
{
    for (int rank = 1; rank <= IDX_MAX_RANK; rank++)
        for (int form = 0; form < 2; form++) {
            struct bytes b = make(rank, sizes);
            memset(b.at + 4, 0xff, 4 * (size_t)rank);
            if (form)
                b = packed(&b);
            struct idx x;
            struct err err;
            const bool sound = read_back(&b, &x, &err);
            ok(!sound && strstr(err.text, "expected ") && strstr(err.text, "found "),
               "rank %d of 2^32-1, %s: %s", rank, form ? "packed" : "plain",
               sound ? "read" : strrchr(err.text, '\'') + 3);
        }
}

static void test_no_file(void)
{
    struct idx x;
    struct err err = {0};
    ok(!idx_read(scratch_path("none"), "pixels", &x, &err) &&
           strstr(err.text, "cannot open '") == err.text,
       "missing: %s", "cannot open");
    ok(!idx_read(scratch, "pixels", &x, &err) && strstr(err.text, "is not a regular file"),
       "a folder is no file");
    const char *pipe = scratch_path("pipe");
    ok(mkfifo(pipe, 0600) == 0 && !idx_read(pipe, "pixels", &x, &err) &&
           strstr(err.text, "is not a regular file"),
       "a pipe is no file, and does not hang");
}

int main(void)
{
    scratch_make();
    test_reads();
    test_members();
    test_cut();
    test_altered();
    test_messages();
    test_packed_messages();
    test_huge();
    test_no_file();
    return done();
}
