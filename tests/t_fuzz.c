/* t_fuzz — the fuzz targets over a fixed set of mutations, the same in every run. */
#define _GNU_SOURCE
#include "tap.h"

#include <jpeglib.h>
#include <png.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "scratch.h"

/* NOLINTBEGIN(bugprone-suspicious-include): a target is one file */
#include "fuzz/fuzz_cifar10.c"
#include "fuzz/fuzz_idx.c"
#include "fuzz/fuzz_picture.c"
/* NOLINTEND(bugprone-suspicious-include) */

enum { ROOM = 8192, ROUNDS = 20000, FEWER = 200, MANY = 6 };

struct bytes {
    size_t n;
    uint8_t at[ROOM];
};

/* A sound file to begin with: even seeds plain, odd ones packed. */
static struct bytes begin(struct rng *r, int packed)
{
    struct idx x = {.rank = 1 + (int)rng_below(r, IDX_MAX_RANK)};
    size_t count = 1;
    for (int i = 0; i < x.rank; i++)
        count *= x.dim[i] = 1 + rng_below(r, 5);
    struct bytes b = {.n = idx_header(&x, b.at)};
    for (size_t i = 0; i < count; i++)
        b.at[b.n++] = (uint8_t)rng_below(r, 4);
    if (!packed)
        return b;
    struct bytes z;
    z.n = scratch_gzip(b.at, b.n, z.at, sizeof z.at);
    return z;
}

/* What happens to files: a bit turned, a byte replaced by a tempting one, a part cut
 * out, doubled, or zeroed, the end lost. */
static void mutate(struct rng *r, struct bytes *b)
{
    static const uint8_t tempting[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x1f, 0x8b, 0x08};
    if (b->n == 0)
        return;
    const size_t at = rng_below(r, (uint32_t)b->n), rest = b->n - at;
    const size_t part = 1 + rng_below(r, (uint32_t)(rest < 32 ? rest : 32));
    switch (rng_below(r, 6)) {
    case 0: b->at[at] ^= (uint8_t)(1u << rng_below(r, 8)); break;
    case 1: b->at[at] = tempting[rng_below(r, sizeof tempting)]; break;
    case 2: b->n = at; break;
    case 3: memset(b->at + at, 0, part < rest ? part : rest); break;
    case 4:
        memmove(b->at + at, b->at + at + part, rest - part);
        b->n -= part;
        break;
    case 5:
        if (b->n + part > ROOM)
            break;
        memmove(b->at + at + part, b->at + at, rest);
        b->n += part;
        break;
    }
}

static void test_idx(int packed)
{
    struct rng r = rng_make(1998, (uint64_t)packed);
    int accepted = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct bytes b = begin(&r, packed);
        for (uint32_t n = rng_below(&r, MANY); n > 0; n--)
            mutate(&r, &b);
        accepted += fuzz_idx(b.at, b.n);
    }
    ok(accepted > ROUNDS / 10 && accepted < ROUNDS / 2,
       "%d %s IDX files, most of them damaged: none crashes, none is misread, %d are read", ROUNDS,
       packed ? "packed" : "plain", accepted);
}

/* Two records, plain or packed. */
static void test_cifar10(int packed)
{
    struct rng r = rng_make(2009, (uint64_t)packed);
    const char *folder = scratch_path("cifar");
    mkdir(folder, 0700);
    int accepted = 0;
    for (int i = 0; i < FEWER; i++) {
        struct bytes b = {.n = 2 * CIFAR10_RECORD}, z = {0};
        for (size_t k = 0; k < b.n; k++)
            b.at[k] = (uint8_t)rng_below(&r, 10);
        if (packed) {
            z.n = scratch_gzip(b.at, b.n, z.at, sizeof z.at);
            b = z;
        }
        for (uint32_t n = rng_below(&r, 3); n > 0; n--)
            mutate(&r, &b);
        accepted += fuzz_cifar10(scratch_path("cifar"), b.at, b.n);
    }
    ok(accepted > FEWER / 10 && accepted < FEWER * 9 / 10,
       "%d %s batches of CIFAR-10: none crashes, none is misread, %d are read", FEWER,
       packed ? "packed" : "plain", accepted);
}

static struct bytes a_jpeg(struct rng *r)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr errors;
    struct bytes b;
    unsigned char *made = NULL, line[64 * 3];
    unsigned long n = 0;
    j.err = jpeg_std_error(&errors);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &made, &n);
    j.image_width = j.image_height = 8 + rng_below(r, 24);
    j.input_components = rng_below(r, 2) ? 3 : 1;
    j.in_color_space = j.input_components == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&j);
    if (rng_below(r, 2))
        jpeg_simple_progression(&j);
    jpeg_start_compress(&j, TRUE);
    while (j.next_scanline < j.image_height) {
        JSAMPROW row = line;
        for (size_t i = 0; i < sizeof line; i++)
            line[i] = (uint8_t)rng_below(r, 256);
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    b.n = n < ROOM ? n : ROOM;
    memcpy(b.at, made, b.n);
    free(made);
    return b;
}

static struct bytes a_png(struct rng *r)
{
    static const uint32_t formats[] = {PNG_FORMAT_GRAY, PNG_FORMAT_RGB, PNG_FORMAT_RGBA,
                                       PNG_FORMAT_GA, PNG_FORMAT_LINEAR_RGB};
    static uint16_t pixels[24 * 24 * 4];
    struct bytes b;
    png_image image = {.version = PNG_IMAGE_VERSION};
    image.width = image.height = 8 + rng_below(r, 16);
    image.format = formats[rng_below(r, 5)];
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (uint16_t)rng_u32(r);
    png_alloc_size_t n = sizeof b.at;
    if (!png_image_write_to_memory(&image, b.at, &n, 0, pixels, 0, NULL))
        abort();
    b.n = n;
    return b;
}

static void test_pictures(const char *what, struct bytes (*make)(struct rng *r), uint64_t stream)
{
    struct rng r = rng_make(2012, stream);
    int accepted = 0;
    for (int i = 0; i < FEWER; i++) {
        struct bytes b = make(&r);
        for (uint32_t n = rng_below(&r, MANY); n > 0; n--)
            mutate(&r, &b);
        accepted += fuzz_picture(b.at, b.n);
    }
    ok(accepted > FEWER / 20 && accepted < FEWER * 9 / 10,
       "%d %s, most of them damaged: none crashes, %d are decoded", FEWER, what, accepted);
}

int main(void)
{
    scratch_make();
    for (int packed = 0; packed < 2; packed++)
        test_idx(packed);
    for (int packed = 0; packed < 2; packed++)
        test_cifar10(packed);
    test_pictures("JPEGs", a_jpeg, 1);
    test_pictures("PNGs", a_png, 2);
    return done();
}
