/* t_folder — folders of pictures, from JPEG and PNG files made here: what is decoded, how
 * folders may be laid out, what is kept, what is refused. */
#define _GNU_SOURCE
#include "tap.h"

#include <jpeglib.h>
#include <png.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "datasets/dataset.h"
#include "datasets/folder/decode.h"
#include "datasets/folder/shrink.h"
#include "scratch.h"

/* A file being made. */
struct made {
    uint8_t *bytes;
    size_t n;
};

/* A smooth picture that JPEG keeps well: channel c rises along x or y. */
static uint8_t smooth(int y, int x, int c, int height, int width)
{
    return (uint8_t)(c == 0   ? 40 + 170 * x / width
                     : c == 1 ? 40 + 170 * y / height
                              : 200 - 150 * (x + y) / (width + height));
}

static uint8_t *draw(int height, int width, int channels)
{
    uint8_t *pixels = xmalloc((size_t)height * (size_t)width * (size_t)channels), *to = pixels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                *to++ = smooth(y, x, c % 3, height, width);
    return pixels;
}

/* ------------------------------------------------------------------- writing */

static struct made make_jpeg(int height, int width, int channels, bool progressive)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    uint8_t *pixels = draw(height, width, channels);
    j.err = jpeg_std_error(&errors);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &bytes, &n);
    j.image_height = (JDIMENSION)height;
    j.image_width = (JDIMENSION)width;
    j.input_components = channels;
    j.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&j);
    jpeg_set_quality(&j, 95, TRUE);
    if (progressive)
        jpeg_simple_progression(&j);
    jpeg_start_compress(&j, TRUE);
    while (j.next_scanline < j.image_height) {
        JSAMPROW row = pixels + j.next_scanline * (size_t)(width * channels);
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    free(pixels);
    return (struct made){bytes, n};
}

static void add_bytes(png_structp png, png_bytep bytes, png_size_t n)
{
    struct made *m = png_get_io_ptr(png);
    m->bytes = xrealloc(m->bytes, m->n + n);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

struct kind {
    int type, bits;
    bool interlaced;
};

/* Palette: entry i is (i, 255 - i, i / 2). Deep: both bytes of a sample are alike. */
static struct made make_png(int height, int width, struct kind kind)
{
    static const int channels_of[] = {[PNG_COLOR_TYPE_GRAY] = 1,
                                      [PNG_COLOR_TYPE_RGB] = 3,
                                      [PNG_COLOR_TYPE_PALETTE] = 1,
                                      [PNG_COLOR_TYPE_GRAY_ALPHA] = 2,
                                      [PNG_COLOR_TYPE_RGB_ALPHA] = 4};
    struct made m = {0};
    const int channels = channels_of[kind.type];
    uint8_t *pixels = draw(height, width, channels);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color palette[256];
    for (int i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
    png_set_write_fn(png, &m, add_bytes, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, kind.bits, kind.type,
                 kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind.type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 256);
    png_write_info(png, info);
    const size_t row = (size_t)(width * channels * kind.bits / 8);
    uint8_t *deep = xmalloc(row);
    const int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < height; y++) {
            for (size_t i = 0; i < row; i++)
                deep[i] = pixels[(size_t)(y * width * channels) + i / (size_t)(kind.bits / 8)];
            png_write_row(png, deep);
        }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(deep);
    free(pixels);
    return m;
}

static struct made plain_jpeg(int height, int width) { return make_jpeg(height, width, 3, false); }

static struct made plain_png(int height, int width, int type)
{
    return make_png(height, width, (struct kind){type, 8, false});
}

/* Below the scratch folder, with the folders above it; takes the bytes. */
static const char *put(const char *name, struct made m)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s", name);
    for (char *slash = folder; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(scratch_path(folder), 0700);
    }
    const char *path = scratch_write(name, m.bytes, m.n);
    free(m.bytes);
    return path;
}

static const char *put_text(const char *name, const char *text)
{
    struct made m = {(uint8_t *)xstrdup(text), strlen(text)};
    return put(name, m);
}

/* ------------------------------------------------------------------- decoding */

static double mean_off(const struct raster *r)
{
    double sum = 0;
    const uint8_t *at = r->bytes;
    for (int y = 0; y < r->height; y++)
        for (int x = 0; x < r->width; x++)
            for (int c = 0; c < r->channels; c++)
                sum += abs(*at++ - smooth(y, x, c, r->height, r->width));
    return sum / (r->height * r->width * r->channels);
}

static void decodes(const char *what, struct made file, int channels, int least, int height,
                    int width, double off)
{
    struct raster r = {0};
    struct err err = {0};
    struct decode_facts facts;
    const char *path = put("one", file);
    if (!ok(decode_header(path, &facts, &err) && decode_file(path, channels, least, &r, &err),
            "%s: %s", what, err.text))
        return;
    ok(r.height == height && r.width == width && r.channels == channels, "%s: %d x %d x %d", what,
       r.height, r.width, r.channels);
    const double found = mean_off(&r);
    ok(found <= off, "%s: off by %.2f on average", what, found);
    raster_release(&r);
}

static void test_decode(void)
{
    decodes("a JPEG", plain_jpeg(60, 83), 3, 1000, 60, 83, 1.5);
    decodes("a progressive JPEG", make_jpeg(60, 83, 3, true), 3, 1000, 60, 83, 1.5);
    decodes("a grey JPEG as colour", make_jpeg(40, 40, 1, false), 1, 1000, 40, 40, 1.5);
    decodes("a JPEG in eighths", plain_jpeg(640, 800), 3, 200, 240, 300, 1.5);
    decodes("a PNG", plain_png(33, 21, PNG_COLOR_TYPE_RGB), 3, 1000, 33, 21, 0);
    decodes("a PNG with alpha", plain_png(33, 21, PNG_COLOR_TYPE_RGB_ALPHA), 3, 9, 33, 21, 0);
    decodes("a deep PNG", make_png(33, 21, (struct kind){PNG_COLOR_TYPE_RGB, 16, false}), 3, 9, 33,
            21, 0);
    decodes("an interlaced PNG", make_png(33, 21, (struct kind){PNG_COLOR_TYPE_RGB, 8, true}), 3, 9,
            33, 21, 0);
    decodes("a grey PNG", plain_png(33, 21, PNG_COLOR_TYPE_GRAY), 1, 9, 33, 21, 0);
    decodes("a grey PNG with alpha", plain_png(33, 21, PNG_COLOR_TYPE_GRAY_ALPHA), 1, 9, 33, 21, 0);
}

/* What mean_off() cannot say: grey, palette and CMYK as red, green and blue. */
static void test_colours(void)
{
    struct raster r = {0};
    struct err err = {0};
    ok(decode_file(put("one", plain_png(20, 30, PNG_COLOR_TYPE_PALETTE)), 3, 9, &r, &err),
       "palette");
    int wrong = 0;
    for (int i = 0; r.bytes && i < 600; i++) {
        const int v = smooth(i / 30, i % 30, 0, 20, 30);
        wrong +=
            r.bytes[3 * i] != v || r.bytes[3 * i + 1] != 255 - v || r.bytes[3 * i + 2] != v / 2;
    }
    is_int(wrong, 0, "its colours");
    ok(decode_file(put("one", plain_png(20, 30, PNG_COLOR_TYPE_GRAY)), 3, 9, &r, &err) &&
           r.bytes[0] == r.bytes[1] && r.bytes[1] == r.bytes[2] && r.bytes[0] == 40,
       "grey as colour: three times the same");
    ok(decode_file(put("one", plain_jpeg(20, 30)), 1, 1000, &r, &err), "colour as grey");
    double off = 0;
    for (int i = 0; i < 600; i++) {
        const int y = i / 30, x = i % 30;
        off += abs(r.bytes[i] - decode_grey(smooth(y, x, 0, 20, 30), smooth(y, x, 1, 20, 30),
                                            smooth(y, x, 2, 20, 30)));
    }
    ok(off / 600 < 1.5, "by BT.601 (off by %.2f)", off / 600);
    ok(decode_file(put("one", plain_png(20, 30, PNG_COLOR_TYPE_RGB)), 1, 9, &r, &err), "a PNG too");
    const int grey = decode_grey(smooth(10, 10, 0, 20, 30), smooth(10, 10, 1, 20, 30),
                                 smooth(10, 10, 2, 20, 30));
    ok(abs(r.bytes[310] - grey) <= 1, "%d is %d", r.bytes[310], grey);
    /* libjpeg marks what it writes as Adobe's, so the file holds inverted ink. */
    ok(decode_file(put("one", make_jpeg(20, 30, 4, false)), 3, 1000, &r, &err), "CMYK%s", err.text);
    off = 0;
    for (int i = 0; i < 600; i++)
        for (int c = 0; c < 3; c++) {
            const int y = i / 30, x = i % 30, key = smooth(y, x, 0, 20, 30);
            off += abs(r.bytes[3 * i + c] - smooth(y, x, c, 20, 30) * key / 255);
        }
    ok(off / 1800 < 2, "ink times key (off by %.2f)", off / 1800);
    raster_release(&r);
}

/* ------------------------------------------------------------------- shrinking */

static double weight_at(double centre, double reach, int j)
{
    const double d = fabs((j + 0.5 - centre) / reach);
    return d < 1 ? 1 - d : 0;
}

/* One new pixel by the definition, in double. */
static double plain_shrink(const struct raster *f, const struct shrink_part *p, int H, int W, int y,
                           int x, int c)
{
    const double down = fmax((double)p->height / H, 1), along = fmax((double)p->width / W, 1);
    const double v = (y + 0.5) * p->height / H, u = (x + 0.5) * p->width / W;
    double sum = 0, all = 0;
    for (int i = 0; i < p->height; i++)
        for (int j = 0; j < p->width; j++) {
            const double w = weight_at(v, down, i) * weight_at(u, along, j);
            sum += w * f->bytes[((p->top + i) * f->width + p->left + j) * f->channels + c];
            all += w;
        }
    return sum / all;
}

static void test_shrink(void)
{
    static const struct {
        struct shrink_part part;
        int H, W;
    } each[] = {{{0, 0, 37, 50}, 17, 23},
                {{3, 5, 30, 40}, 9, 12},
                {{0, 0, 37, 50}, 37, 50},
                {{1, 1, 20, 20}, 8, 20}};
    struct raster from = {0}, to = {0};
    if (!raster_make(&from, 37, 50, 3))
        return;
    for (int i = 0; i < 37 * 50 * 3; i++)
        from.bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
        const int H = each[k].H, W = each[k].W;
        double most = 0;
        const bool made = raster_make(&to, H, W, 3) && shrink(&from, &each[k].part, &to);
        for (int i = 0; made && i < H * W * 3; i++)
            most = fmax(most, fabs(to.bytes[i] - plain_shrink(&from, &each[k].part, H, W, i / 3 / W,
                                                              i / 3 % W, i % 3)));
        ok(made && most < 0.502, "%d x %d to %d x %d: off by %.3f", each[k].part.height,
           each[k].part.width, H, W, most);
    }
    raster_release(&from);
    raster_release(&to);
}

/* --------------------------------------------------------------------- folders */

static const struct dataset_wish small = {.channels = 3, .height = 28, .width = 28};

static bool opens(const char *folder, const struct dataset_wish *w, struct dataset *d)
{
    struct err err = {0};
    return ok(dataset_open(scratch_path(folder), w, d, &err), "%s: opened%s", folder, err.text);
}

static void test_layouts(void)
{
    struct dataset d;
    put("split/train/dog/a.jpg", plain_jpeg(64, 80));
    put("split/train/dog/deep/b.png", plain_png(50, 40, PNG_COLOR_TYPE_RGB));
    put("split/train/cat/c.JPEG", plain_jpeg(90, 60));
    put_text("split/train/cat/boxes.txt", "1 2 3");
    put_text("split/train/cat/.hidden", "?");
    put("split/val/dog/d.jpg", plain_jpeg(32, 32));
    put("split/val/cat/e.jpg", plain_jpeg(400, 40));
    if (!opens("split", &small, &d))
        return;
    is_str(d.name, "folder split", "name");
    ok(d.train.items == 3 && d.test.items == 2 && d.classes == 2 && !d.synthetic, "items, classes");
    is_str(d.class_names[0], "cat", "classes in the order of their names");
    ok(d.train.picture && d.train.picture[0].label == 0 && d.train.picture[1].label == 1,
       "pictures in the order of classes");
    if (!d.train.picture)
        return;
    is_int(d.side, 32, "28 x 28 wants a shorter side of 32");
    ok(d.train.picture[0].height == 48 && d.train.picture[0].width == 32 &&
           d.train.picture[1].height == 32 && d.train.picture[1].width == 40,
       "shrunk to it");
    ok(d.test.picture[0].height == 96 && d.test.picture[0].width == 32 &&
           d.test.picture[1].height == 32,
       "the middle of a long one; a small one as it is");
    char sum[65];
    memcpy(sum, d.sha256, sizeof sum);
    dataset_close(&d);
    if (!opens("split", &small, &d))
        return;
    is_str(d.sha256, sum, "the same from the cache");
    dataset_close(&d);
    put("split/train/cat/c.JPEG", plain_jpeg(100, 60));
    if (!opens("split", &small, &d))
        return;
    ok(strcmp(d.sha256, sum) != 0 && d.train.picture[0].height == 53, "a changed file is seen");
    dataset_close(&d);
}

static void test_hold_out(void)
{
    struct dataset d;
    char name[64];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "flat/%c/%02d.png", i < 22 ? 'a' : 'b', i);
        put(name, plain_png(20 + i, 20, PNG_COLOR_TYPE_GRAY));
    }
    const struct dataset_wish none = {0};
    if (!opens("flat", &none, &d))
        return;
    ok(d.train.items == 21 && d.test.items == 4,
       "of each ten of a class the second is for testing");
    ok(d.test.picture[0].height == 21 && d.test.picture[1].height == 31 &&
           d.test.picture[2].height == 41 && d.test.picture[3].height == 43,
       "in the order of their names");
    dataset_close(&d);
}

/* Pictures of one size that the network's image holds are a set like any other. */
static void test_plain(void)
{
    struct dataset d;
    char name[64];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "same/%s/%c/%d.png", i % 4 < 3 ? "train" : "test",
                 i < 4 ? 'x' : 'y', i);
        put(name, plain_png(28, 28, i % 2 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB));
    }
    const struct dataset_wish grey = {.channels = 1, .height = 32, .width = 32};
    const struct dataset_wish flat = {.width = 784}, flat_colour = {.width = 2352};
    if (opens("same", &grey, &d)) {
        ok(!d.train.picture && d.height == 28 && d.width == 28 && d.channels == 1 &&
               d.train.labels[5] == 1,
           "28 x 28 in 32 x 32, grey");
        int wrong = 0;
        for (int i = 0; i < 784; i++)
            wrong += d.train.pixels[784 + i] != smooth(i / 28, i % 28, 0, 28, 28);
        is_int(wrong, 0, "the pixels of the file");
        double sum = 0;
        for (size_t i = 0; i < d.train.items * 784; i++)
            sum += d.train.pixels[i];
        is_near(d.mean[0], sum / (double)(d.train.items * 784), 1e-9, "mean");
        dataset_close(&d);
    }
    if (opens("same", &flat, &d)) {
        ok(!d.train.picture && d.channels == 1, "784 in a row: grey");
        dataset_close(&d);
    }
    if (opens("same", &flat_colour, &d)) {
        ok(!d.train.picture && d.channels == 3, "2352 in a row: colour");
        dataset_close(&d);
    }
}

/* ---------------------------------------------------------------------- refused */

static void refuses(const char *folder, const char *message, const char *what)
{
    struct dataset d;
    struct err err = {0};
    const bool opened = dataset_open(scratch_path(folder), &small, &d, &err);
    if (opened)
        dataset_close(&d);
    char want[ERR_TEXT];
    snprintf(want, sizeof want, "'%s%s", scratch_path(folder), message);
    is_str(opened ? "(opened)" : err.text, want, "%s", what);
}

/* A folder of one class has no sense either, so each bad file gets a good one beside it. */
static void put_bad(const char *folder, const char *name, struct made bad)
{
    char path[128];
    snprintf(path, sizeof path, "%s/a/good.jpg", folder);
    put(path, plain_jpeg(40, 40));
    snprintf(path, sizeof path, "%s/a/next.jpg", folder);
    put(path, plain_jpeg(40, 40));
    snprintf(path, sizeof path, "%s/b/%s", folder, name);
    put(path, bad);
}

/* Puts two sizes of 16 bits where the frame header of a JPEG has them. */
static struct made resized_jpeg(int height, int width)
{
    struct made m = plain_jpeg(40, 40);
    for (size_t i = 2; i + 8 < m.n; i++)
        if (m.bytes[i] == 0xff && m.bytes[i + 1] == 0xc0) {
            m.bytes[i + 5] = (uint8_t)(height >> 8);
            m.bytes[i + 6] = (uint8_t)height;
            m.bytes[i + 7] = (uint8_t)(width >> 8);
            m.bytes[i + 8] = (uint8_t)width;
            break;
        }
    return m;
}

static struct made cut(struct made m, size_t n)
{
    m.n = n;
    return m;
}

static struct made giant_png(void)
{
    struct made m = plain_png(20, 20, PNG_COLOR_TYPE_RGB);
    static const uint8_t size[8] = {0, 0, 255, 255, 0, 0, 255, 255};
    memcpy(m.bytes + 16, size, 8);
    const uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), m.bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        m.bytes[29 + i] = (uint8_t)(sum >> (24 - 8 * i));
    return m;
}

static void test_refused(void)
{
    mkdir(scratch_path("empty"), 0700);
    refuses("empty",
            "' holds no images: expected the four files of an IDX set (train-images-idx3-ubyte, …),"
            " the six of CIFAR-10's binary version (data_batch_1.bin, …), or a folder of pictures "
            "for each class",
            "an empty folder");
    put("alone/only/a.jpg", plain_jpeg(40, 40));
    refuses("alone", "': expected two classes or more, a folder each, found one: 'only'",
            "one class");
    put("gap/a/a.jpg", plain_jpeg(40, 40));
    mkdir(scratch_path("gap/b"), 0700);
    refuses("gap", "/b': expected images to train with, found none", "a class without pictures");
    put("other/train/a/a.jpg", plain_jpeg(40, 40));
    put("other/train/b/a.jpg", plain_jpeg(40, 40));
    put("other/val/c/a.jpg", plain_jpeg(40, 40));
    refuses("other", "/val/c': there is no such class for training", "a class for testing only");
    put_bad("cut", "x.jpg", cut(plain_jpeg(200, 200), 1500));
    refuses("cut", "/b/x.jpg': no sound JPEG: Premature end of JPEG file", "a cut JPEG");
    put_bad("cuthead", "x.jpg", cut(plain_jpeg(200, 200), 100));
    refuses("cuthead", "/b/x.jpg': no sound JPEG: Premature end of JPEG file",
            "a JPEG cut in its head");
    put_bad("cutpng", "x.png", cut(plain_png(200, 200, PNG_COLOR_TYPE_RGB), 600));
    refuses("cutpng", "/b/x.png': no sound PNG: Read Error", "a cut PNG");
    put_bad("tiny", "x.png", plain_png(1, 1, PNG_COLOR_TYPE_RGB));
    refuses("tiny", "/b/x.png': expected at least 8 x 8 pixels, found 1 x 1", "one pixel");
    put_bad("giant", "x.jpg", resized_jpeg(65535, 65535));
    refuses("giant", "/b/x.jpg': no sound JPEG: Maximum supported image dimension is 65500 pixels",
            "65535 x 65535 in a JPEG");
    put_bad("large", "x.jpg", resized_jpeg(16000, 16000));
    refuses("large",
            "/b/x.jpg': expected at most 16384 x 16384 and 100 million pixels, found 16000 x 16000",
            "256 million pixels");
    put_bad("giantpng", "x.png", giant_png());
    refuses("giantpng",
            "/b/x.png': expected at most 16384 x 16384 and 100 million pixels, found 65535 x 65535",
            "65535 x 65535 in a PNG");
    put_text("none/a/a.gif", "GIF89a and so on");
    put("none/b/b.jpg", plain_jpeg(40, 40));
    put("none/a/b.jpg", plain_jpeg(40, 40));
    refuses("none", "/a/a.gif': expected a JPEG or PNG image, found 47 49 46 38 at byte 0",
            "no picture");
    put_text("void/a/a.jpg", "");
    put("void/b/b.jpg", plain_jpeg(40, 40));
    put("void/a/b.jpg", plain_jpeg(40, 40));
    refuses("void", "/a/a.jpg': expected a JPEG or PNG image, found 0 bytes", "an empty file");
}

static bool always(void) { return true; }

/* A failure leaves no half-written cache, and a damaged one is written again. */
static void test_cache(void)
{
    struct dataset d;
    struct err err = {0};
    struct dataset_wish unwanted = small;
    unwanted.height = unwanted.width = 48;
    unwanted.stopped = always;
    ok(!dataset_open(scratch_path("split"), &unwanted, &d, &err), "stopped while decoding");
    is_str(err.text, "interrupted", "says so");
    char *command = xprintf("ls %s/cache/bench | grep -vc 'pictures$'", scratch);
    FILE *p = popen(command, "r");
    int others = -1;
    ok(p && fscanf(p, "%d", &others) == 1, "looked");
    pclose(p);
    free(command);
    is_int(others, 0, "nothing half-written lies in the cache");
    command = xprintf("for f in %s/cache/bench/*; do printf damaged >$f; done", scratch);
    ok(system(command) == 0, "damaged");
    free(command);
    ok(dataset_open(scratch_path("split"), &small, &d, &err), "written again%s", err.text);
    is_int(d.test.items, 2, "and sound");
    dataset_close(&d);
    struct dataset_wish nowhere = small;
    nowhere.cache = "/proc/none";
    ok(!dataset_open(scratch_path("split"), &nowhere, &d, &err) && strstr(err.text, "/proc"),
       "a cache that cannot be: %s", err.text);
}

int main(void)
{
    scratch_make();
    setenv("XDG_CACHE_HOME", scratch_path("cache"), 1);
    test_decode();
    test_colours();
    test_shrink();
    test_layouts();
    test_hold_out();
    test_plain();
    test_refused();
    test_cache();
    return done();
}
