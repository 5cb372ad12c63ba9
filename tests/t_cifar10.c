/* t_cifar10 — CIFAR-10's binary version, from small files made here: what is read, how it
 * may be packed, what is refused. The published set, where it is installed, has its sum. */
#define _GNU_SOURCE
#include "tap.h"

#include <lzma.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "datasets/cifar10/cifar10.h"
#include "datasets/dataset.h"
#include "datasets/known.h"
#include "scratch.h"

enum { BATCHES = 6, MOST = 4, ROOM = MOST * CIFAR10_RECORD };
enum { PLAIN, GZIPPED, XZIPPED };

static const char *const names[BATCHES] = {"data_batch_1.bin", "data_batch_2.bin",
                                           "data_batch_3.bin", "data_batch_4.bin",
                                           "data_batch_5.bin", "test_batch.bin"};

/* What a folder holds; tests change one thing. */
struct six {
    int records[BATCHES];
    int without; /* this file is missing; -1: none is */
    int packed;
    int longer; /* so many bytes behind the last record of batch 3, or missing there */
    int label;  /* of record 1 of batch 2 */
    const char *meta;
};

static const struct six sound = {.records = {2, 3, 1, 2, 1, 4}, .without = -1, .label = 3};

/* Byte at (channel, y, x) of a record: all of them differ somewhere. */
static uint8_t value(int batch, int record, int c, int y, int x)
{
    return (uint8_t)(batch * 37 + record * 11 + c * 83 + y * 7 + x * 3);
}

static size_t make_batch(const struct six *s, int batch, uint8_t *bytes)
{
    uint8_t *to = bytes;
    for (int r = 0; r < s->records[batch]; r++) {
        *to++ = (uint8_t)(batch == 1 && r == 1 ? s->label : (batch + r) % CIFAR10_CLASSES);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < CIFAR10_SIDE; y++)
                for (int x = 0; x < CIFAR10_SIDE; x++)
                    *to++ = value(batch, r, c, y, x);
    }
    return (size_t)(to - bytes) + (size_t)(batch == 2 ? s->longer : 0);
}

static size_t pack(int packed, const uint8_t *bytes, size_t n, uint8_t *to, size_t room)
{
    if (packed == GZIPPED)
        return scratch_gzip(bytes, n, to, room);
    size_t length = 0;
    if (lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, bytes, n, to, &length, room) != LZMA_OK)
        abort();
    return length;
}

/* A fresh folder. */
static const char *put(const struct six *s)
{
    static int made;
    static const char *const ending[] = {"", ".gz", ".xz"};
    static uint8_t bytes[ROOM + 8], packed[2 * ROOM];
    char folder[32], name[96];
    snprintf(folder, sizeof folder, "set%d", made++);
    mkdir(scratch_path(folder), 0700);
    for (int i = 0; i < BATCHES; i++) {
        if (i == s->without)
            continue;
        size_t n = make_batch(s, i, bytes);
        if (s->packed)
            n = pack(s->packed, bytes, n, packed, sizeof packed);
        snprintf(name, sizeof name, "%s/%s%s", folder, names[i], ending[s->packed]);
        scratch_write(name, s->packed ? packed : bytes, n);
    }
    snprintf(name, sizeof name, "%s/batches.meta.txt", folder);
    if (s->meta)
        scratch_write(name, s->meta, strlen(s->meta));
    return scratch_path(folder);
}

/* How many pixels differ from what was written. */
static int wrong_pixels(const uint8_t *pixels, int batch, int record)
{
    int wrong = 0;
    for (int y = 0; y < CIFAR10_SIDE; y++)
        for (int x = 0; x < CIFAR10_SIDE; x++)
            for (int c = 0; c < 3; c++)
                wrong += *pixels++ != value(batch, record, c, y, x);
    return wrong;
}

static void test_read(int packed, const char *how)
{
    struct six s = sound;
    s.packed = packed;
    struct dataset d;
    struct err err = {0};
    const char *folder = put(&s);
    if (!ok(dataset_open(folder, NULL, &d, &err), "%s: opened%s", how, err.text))
        return;
    is_str(d.name, "cifar", "%s: a set that nobody knows", how);
    is_str(d.path, folder, "%s: path", how);
    ok(d.height == 32 && d.width == 32 && d.channels == 3 && d.classes == 10 && !d.synthetic,
       "%s: sizes", how);
    is_int(d.train.items, 9, "%s: training images of five batches", how);
    is_int(d.test.items, 4, "%s: test images", how);
    int wrong = 0, item = 0;
    const size_t bytes = dataset_image_bytes(&d);
    for (int b = 0; b < BATCHES; b++)
        for (int r = 0; r < sound.records[b]; r++, item++) {
            const struct images *images = b < 5 ? &d.train : &d.test;
            const size_t at = (size_t)(b < 5 ? item : r);
            const int label = b == 1 && r == 1 ? 3 : (b + r) % 10;
            wrong += wrong_pixels(images->pixels + at * bytes, b, r);
            wrong += images->labels[at] != label;
        }
    is_int(wrong, 0, "%s: pixels are [y][x][c], in the order of the files", how);
    ok(!d.class_names, "%s: without batches.meta.txt no names", how);
    double sum[3] = {0};
    for (size_t i = 0; i < d.train.items * bytes; i++)
        sum[i % 3] += d.train.pixels[i];
    for (int c = 0; c < 3; c++)
        is_near(d.mean[c], sum[c] / 1024 / 9, 1e-9, "%s: mean of channel %d", how, c);
    dataset_close(&d);
}

/* Means, deviations and covariance against the definition. */
static void test_measure(void)
{
    struct dataset d;
    struct err err = {0};
    if (!ok(dataset_open(put(&sound), NULL, &d, &err), "opened%s", err.text))
        return;
    const size_t n = d.train.items * 1024;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += (d.train.pixels[3 * i + (size_t)a] - d.mean[a]) *
                       (d.train.pixels[3 * i + (size_t)b] - d.mean[b]);
            is_near(d.covariance[a][b], sum / (double)n, 1e-6, "covariance %d %d", a, b);
        }
    is_near(d.deviation[1] * d.deviation[1], d.covariance[1][1], 1e-9, "deviation");
    dataset_close(&d);
}

static void test_names(void)
{
    struct six s = sound;
    s.meta = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    struct dataset d;
    struct err err = {0};
    if (!ok(dataset_open(put(&s), NULL, &d, &err), "names of classes%s", err.text))
        return;
    is_str(d.class_names[9], "j", "are those of batches.meta.txt");
    dataset_close(&d);
}

static void refuses(const struct six *s, const char *message, const char *what)
{
    const char *folder = put(s);
    char want[ERR_TEXT];
    snprintf(want, sizeof want, "'%s%s", folder, message);
    struct dataset d;
    struct err err = {0};
    const bool opened = dataset_open(folder, NULL, &d, &err);
    if (opened)
        dataset_close(&d);
    is_str(opened ? "(opened)" : err.text, want, "%s", what);
}

static void test_refused(void)
{
    struct six s = sound;
    s.longer = 1;
    refuses(&s,
            "/data_batch_3.bin': expected a multiple of 3073 bytes (records of CIFAR-10), found "
            "3074",
            "a byte too many");
    s.longer = -3;
    refuses(&s,
            "/data_batch_3.bin': expected a multiple of 3073 bytes (records of CIFAR-10), found "
            "3070",
            "cut");
    s.packed = XZIPPED;
    refuses(&s,
            "/data_batch_3.bin.xz': expected a multiple of 3073 bytes (records of CIFAR-10), found "
            "3070",
            "cut before it was packed");
    s = sound;
    s.records[4] = 0;
    refuses(&s, "/data_batch_5.bin': expected records of 3073 bytes, found none", "empty");
    s = sound;
    s.label = 10;
    refuses(&s, "/data_batch_2.bin': at record 1: expected a label from 0 to 9, found 10",
            "a label of nothing");
    s = sound;
    s.without = 3;
    refuses(&s, "': no data_batch_4.bin there (looked also for .gz and .xz)", "a batch is missing");
    s.without = 5;
    refuses(&s, "': no test_batch.bin there (looked also for .gz and .xz)", "no test set");
    s = sound;
    s.meta = "one\ntwo\n";
    refuses(&s, "/batches.meta.txt': expected 10 names of classes, found 2", "names are missing");
}

/* A packed file cut anywhere, or with a byte altered, is refused and named. */
static void test_damaged(int packed, const char *file)
{
    static uint8_t bytes[2 * ROOM];
    struct six s = sound;
    s.packed = packed;
    const char *folder = put(&s);
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    int refused = 0, named = 0, cuts = 0;
    for (size_t cut = 12; cut < n; cut += n / 7 + 1, cuts++) {
        scratch_write(path + strlen(scratch) + 1, bytes, cut);
        struct dataset d;
        struct err err = {0};
        if (dataset_open(folder, NULL, &d, &err)) {
            dataset_close(&d);
            continue;
        }
        refused++;
        named += strstr(err.text, path) && strstr(err.text, "stream cut");
    }
    ok(cuts > 3 && refused == cuts && named == cuts, "%s: cut at %d places, refused %d, named %d",
       file, cuts, refused, named);
    bytes[n / 2] ^= 0x55;
    scratch_write(path + strlen(scratch) + 1, bytes, n);
    struct dataset d;
    struct err err = {0};
    const bool opened = dataset_open(folder, NULL, &d, &err);
    if (opened)
        dataset_close(&d);
    ok(!opened && strstr(err.text, path), "%s altered: %s", file, err.text);
}

static void test_by_name(void)
{
    setenv("XDG_DATA_HOME", scratch_path("xdg"), 1);
    setenv("BENCH_DATA", scratch_path("data"), 1);
    struct dataset d;
    struct err err = {0};
    ok(!dataset_open("cifar10", NULL, &d, &err) && strstr(err.text, "CIFAR-10 is not here") &&
           strstr(err.text, scratch_path("data/cifar10")) && strstr(err.text, "https://"),
       "%s", err.text);
    mkdir(scratch_path("data"), 0700);
    mkdir(scratch_path("data/cifar10"), 0700);
    const char *folder = put(&sound);
    ok(rename(folder, scratch_path("data/cifar10/cifar-10-batches-bin")) == 0, "unpacked");
    char *where = dataset_where("cifar10");
    is_str(where ? where : "", scratch_path("data/cifar10/cifar-10-batches-bin"),
           "found in the archive's folder");
    free(where);
    ok(!dataset_open("cifar10", NULL, &d, &err) &&
           strstr(err.text, "data_batch_1.bin' is not the file of CIFAR-10: expected sha256 cee9"),
       "%s", err.text);
}

static void test_published(void)
{
    char *where = dataset_where("cifar10");
    if (!where) {
        skip("CIFAR-10 is not installed");
        return;
    }
    struct dataset d;
    struct err err = {0};
    if (ok(dataset_open("cifar10", NULL, &d, &err), "%s: %s", where, err.text)) {
        is_near(d.mean[0], 0.4914 * 255, 0.013, "mean of red as published");
        is_near(d.mean[2], 0.4465 * 255, 0.013, "mean of blue as published");
        is_str(d.class_names[3], "cat", "class 3");
        dataset_close(&d);
    }
    free(where);
}

int main(void)
{
    scratch_make();
    test_published(); /* before the environment points elsewhere */
    test_read(PLAIN, "plain");
    test_read(GZIPPED, "gzip");
    test_read(XZIPPED, "xz");
    test_measure();
    test_names();
    test_refused();
    test_damaged(GZIPPED, "data_batch_2.bin.gz");
    test_damaged(XZIPPED, "test_batch.bin.xz");
    test_by_name();
    return done();
}
