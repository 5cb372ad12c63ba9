/* t_data — data sets: SHA-256, folders of four IDX files, names, drawn digits. */
#define _GNU_SOURCE
#include "tap.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "datasets/dataset.h"
#include "datasets/digits/digits.h"
#include "datasets/idx/idx.h"
#include "datasets/known.h"
#include "scratch.h"

/* ------------------------------------------------------------------- sha256 */

/* FIPS 180-2, appendix B, and nothing. */
static const struct {
    const char *text, *sum;
} known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_sha256(void)
{
    char hex[SHA256_HEX], plain[SHA256_HEX];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sha256_of(known[i].text, strlen(known[i].text), hex);
        is_str(hex, known[i].sum, "sha256 of \"%s\"", known[i].text);
    }
    struct sha256 s = sha256_begin();
    for (int i = 0; i < 100000; i++)
        sha256_add(&s, "aaaaaaaaaa", 10);
    sha256_end(&s, hex);
    is_str(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
           "sha256 of a million a");
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i);
    int differ = 0;
    for (size_t n = 0; n <= sizeof bytes; n++) {
        sha256_of(bytes, n, hex);
        s = sha256_begin_plain();
        for (size_t i = 0; i < n; i++)
            sha256_add(&s, bytes + i, 1);
        sha256_end(&s, plain);
        differ += strcmp(hex, plain) != 0;
    }
    is_int(differ, 0, "0 to 300 bytes: at once = byte by byte without the CPU's help");
}

/* ------------------------------------------------------------------- folders */

enum { H = 4, W = 3, TRAIN = 6, TEST = 4, TRAIN_BYTES = TRAIN * H * W, TEST_BYTES = TEST * H * W };

/* What the four files of a folder hold; tests change one thing. */
struct four {
    size_t items[IDX_PARTS], height[IDX_PARTS], channels;
    uint8_t labels[2][16];
    const char *name[IDX_PARTS];
    bool packed;
};

static const struct four sound = {
    .items = {TRAIN, TRAIN, TEST, TEST},
    .height = {H, 0, H, 0},
    .channels = 1,
    .labels = {{0, 1, 2, 2, 1, 0}, {2, 0, 1, 1}},
    .name = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
             "t10k-labels-idx1-ubyte"},
};

static void put_file(const struct four *f, int part, const char *folder)
{
    uint8_t bytes[1024], packed[2048];
    struct idx x = {.rank = 1, .dim = {f->items[part]}, .count = f->items[part]};
    if (f->height[part] > 0) {
        x.rank = f->channels > 1 ? 4 : 3;
        x.dim[1] = f->height[part];
        x.dim[2] = W;
        x.dim[3] = f->channels;
        x.count *= f->height[part] * W * f->channels;
    }
    size_t n = idx_header(&x, bytes);
    for (size_t i = 0; i < x.count; i++)
        bytes[n++] = x.rank > 1 ? (uint8_t)(i * 53 + (size_t)part) : f->labels[part / 2][i];
    char name[256];
    snprintf(name, sizeof name, "%s/%s", folder, f->name[part]);
    if (f->packed)
        n = scratch_gzip(bytes, n, packed, sizeof packed);
    scratch_write(name, f->packed ? packed : bytes, n);
}

/* A fresh folder with those files but one; -1: with all. */
static const char *put(const struct four *f, int without)
{
    static int made;
    char folder[32];
    snprintf(folder, sizeof folder, "set%d", made++);
    mkdir(scratch_path(folder), 0700);
    for (int i = 0; i < IDX_PARTS; i++)
        if (i != without)
            put_file(f, i, folder);
    return scratch_path(folder);
}

static void test_folder(void)
{
    static const char *const dotted[] = {"train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte.gz",
                                         "t10k-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte.gz"};
    char sums[2][SHA256_HEX];
    for (int form = 0; form < 2; form++) {
        struct four f = sound;
        f.packed = form;
        for (int i = 0; form && i < IDX_PARTS; i++)
            f.name[i] = dotted[i];
        const char *folder = put(&f, -1);
        struct dataset d;
        struct err err = {0};
        if (!ok(dataset_open(folder, NULL, &d, &err), "%s: %s", f.name[0], err.text))
            return;
        ok(d.train.items == TRAIN && d.test.items == TEST && d.height == H && d.width == W &&
               d.channels == 1 && d.classes == 3 && !d.synthetic && !d.class_names,
           "sizes and classes");
        is_str(d.name, "idx", "name");
        is_str(d.path, folder, "path");
        ok(d.train.pixels[1] == 53 && d.test.pixels[1] == 55 &&
               memcmp(d.test.labels, sound.labels[1], TEST) == 0,
           "content");
        double sum = 0, squares = 0;
        for (int i = 0; i < TRAIN_BYTES; i++) {
            sum += d.train.pixels[i];
            squares += d.train.pixels[i] * (double)d.train.pixels[i];
        }
        sum /= TRAIN_BYTES;
        is_near(d.mean[0], sum, 1e-12, "mean");
        is_near(d.deviation[0], sqrt(squares / (TRAIN_BYTES)-sum * sum), 1e-12, "deviation");
        uint8_t all[TRAIN_BYTES + TRAIN + TEST_BYTES + TEST], *p = all;
        p = mempcpy(p, d.train.pixels, TRAIN_BYTES);
        p = mempcpy(p, d.train.labels, TRAIN);
        p = mempcpy(p, d.test.pixels, TEST_BYTES);
        memcpy(p, d.test.labels, TEST);
        sha256_of(all, sizeof all, sums[form]);
        is_str(d.sha256, sums[form], "sum of pixels, labels, pixels, labels");
        dataset_close(&d);
    }
    is_str(sums[1], sums[0], "the sum does not depend on packing and names");
}

static void test_colour(void)
{
    struct four f = sound;
    f.channels = 3;
    f.name[IDX_TRAIN_IMAGES] = "train-images-idx4-ubyte";
    f.name[IDX_TEST_IMAGES] = "t10k-images-idx4-ubyte";
    struct dataset d;
    struct err err = {0};
    if (!ok(dataset_open(put(&f, -1), NULL, &d, &err), "four dimensions: %s", err.text))
        return;
    is_int(d.channels, 3, "channels last");
    dataset_close(&d);
}

/* Refused, and the message is `fmt` with the folder in it. */
static void refuses(const struct four *f, int without, const char *fmt, const char *what)
{
    const char *folder = put(f, without);
    char want[ERR_TEXT];
    snprintf(want, sizeof want, "'%s%s", folder, fmt);
    struct dataset d;
    struct err err = {0};
    const bool opened = dataset_open(folder, NULL, &d, &err);
    if (opened)
        dataset_close(&d);
    is_str(opened ? "(opened)" : err.text, want, "%s", what);
}

static void test_refused(void)
{
    refuses(&sound, IDX_TEST_LABELS,
            "': no t10k-labels there: looked for t10k-labels-idx1-ubyte and "
            "t10k-labels.idx1-ubyte, also with .gz",
            "a part is missing");
    struct four f = sound;
    f.items[IDX_TRAIN_LABELS] = 5;
    refuses(&f, -1,
            "/train-labels-idx1-ubyte': at byte 4: expected 6 labels, one for each image, found 5",
            "a label is missing");
    f = sound;
    f.labels[1][2] = 3;
    refuses(&f, -1,
            "/t10k-labels-idx1-ubyte': at byte 10: expected label 2 below 3, as all training "
            "labels are, found 3",
            "a test label that training never saw");
    f = sound;
    f.height[IDX_TEST_IMAGES] = 5;
    refuses(&f, -1,
            "/t10k-images-idx3-ubyte': at byte 8: expected images of 4 x 3 x 1 as for training, "
            "found 5 x 3 x 1",
            "test images of another size");
    f = sound;
    f.height[IDX_TRAIN_IMAGES] = 0;
    refuses(&f, -1,
            "/train-images-idx3-ubyte': at byte 3: expected 3 dimensions of pixels, found 1",
            "labels in the place of images");
    f = sound;
    f.height[IDX_TRAIN_LABELS] = 2;
    refuses(&f, -1,
            "/train-labels-idx1-ubyte': at byte 3: expected 1 dimensions of labels, found 3",
            "images in the place of labels");
}

/* --------------------------------------------------------------------- names */

static void says(const char *which, int status, const char *part)
{
    struct dataset d;
    struct err err = {0};
    const bool opened = dataset_open(which, NULL, &d, &err);
    if (opened)
        dataset_close(&d);
    ok(!opened && err.status == status && strstr(err.text, part), "'%s': %s", which,
       opened ? "opened" : err.text);
}

static void test_names(void)
{
    says("fashion-mnits", EXIT_USAGE, "did you mean 'fashion-mnist'");
    says("imagenet", EXIT_USAGE, "no data set or folder 'imagenet'; there are fashion-mnist, ");
    says(scratch_path("nowhere"), EXIT_USAGE, "no folder '");
    mkdir(scratch_path("empty"), 0700);
    says(scratch_path("empty"), EXIT_INTERNAL, "/empty' holds no images: expected");

    setenv("XDG_DATA_HOME", scratch_path("xdg"), 1);
    setenv("BENCH_DATA", scratch_path("data"), 1);
    ok(!dataset_where("mnist"), "mnist is nowhere");
    says("mnist", EXIT_INTERNAL, scratch_path("data/mnist"));
    says("mnist", EXIT_INTERNAL, scratch_path("xdg/bench/mnist"));
    says("mnist", EXIT_INTERNAL, "https://");

    mkdir(scratch_path("data"), 0700);
    ok(rename(put(&sound, -1), scratch_path("data/mnist")) == 0, "something else takes its place");
    char *where = dataset_where("mnist");
    is_str(where ? where : "", scratch_path("data/mnist"), "$BENCH_DATA comes first");
    free(where);
    says("mnist", EXIT_INTERNAL,
         "train-images-idx3-ubyte' is not the file of MNIST: expected "
         "sha256 ba891046");
    for (int i = 0; dataset_names[i]; i++)
        ok(dataset_about(dataset_names[i]), "%s: %s", dataset_names[i],
           dataset_about(dataset_names[i]));
    ok(!dataset_about("?") && !dataset_where("?") && !dataset_package("?"), "and nothing else");
    is_str(dataset_package("fashion-mnist"), "dataset-fashion-mnist", "package");
}

static void test_fashion(void)
{
    char *where = dataset_where("fashion-mnist");
    if (!where) {
        skip("Fashion-MNIST is not installed");
        return;
    }
    free(where);
    struct dataset d;
    struct err err = {0};
    if (!ok(dataset_open(NULL, NULL, &d, &err), "the default set is Fashion-MNIST: %s", err.text))
        return;
    is_str(d.name, "fashion-mnist", "name");
    is_str(d.sha256, idx_fashion_mnist.sha256, "sum");
    ok(d.train.items == 60000 && d.test.items == 10000 && d.classes == 10, "sizes");
    is_near(d.mean[0], 72.9404, 5e-5, "mean as published: 0.2860 of 255");
    is_near(d.deviation[0], 90.0212, 5e-5, "deviation as published: 0.3530 of 255");
    dataset_close(&d);
}

/* -------------------------------------------------------------------- digits */

enum { ITEMS = 3000, PIXELS = DIGITS_SIDE * DIGITS_SIDE };

static void draw(uint64_t seed, size_t items, struct dataset *d)
{
    struct err err = {0};
    if (!dataset_open("digits", &(struct dataset_wish){.seed = seed, .items = items}, d, &err)) {
        ok(0, "digits: %s", err.text);
        exit(done());
    }
}

static void test_digits(void)
{
    struct dataset d, again, other;
    draw(1, ITEMS, &d);
    draw(1, ITEMS, &again);
    draw(2, ITEMS, &other);
    ok(d.synthetic && !d.path && d.train.items == ITEMS && d.test.items == ITEMS / 6, "sizes");
    is_str(d.sha256, "4cc33dc0865da6bf3fa982a442f1e503ed559d8f88b094232fe742c6628bd9d5",
           "the same bytes on every machine");
    is_str(again.sha256, d.sha256, "and in every run");
    ok(strcmp(other.sha256, d.sha256) != 0, "another seed draws others");

    int count[10] = {0}, ordered = 0, alone = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        count[d.train.labels[i]]++;
        ordered += d.train.labels[i] == i % 10;
        uint8_t one[PIXELS];
        digits_draw(1, rng_stream("digits train") + 1, i, d.train.labels[i], one);
        alone += memcmp(one, d.train.pixels + i * PIXELS, PIXELS) == 0;
    }
    int even = 0;
    for (int i = 0; i < 10; i++)
        even += count[i] == ITEMS / 10;
    is_int(even, 10, "classes are equally frequent");
    ok(ordered < ITEMS / 5, "and shuffled");
    is_int(alone, ITEMS, "an image depends on its number only, not on threads");
    dataset_close(&again);
    dataset_close(&other);

    struct err err = {0};
    ok(!dataset_open("digits", &(struct dataset_wish){.items = SIZE_MAX / 1024}, &again, &err) &&
           strstr(err.text, "no memory for ") == err.text,
       "too many: %s", err.text);
    int copies = 0;
    for (size_t i = 0; i < d.test.items; i++)
        for (size_t j = 0; j < ITEMS; j++)
            copies += memcmp(d.test.pixels + i * PIXELS, d.train.pixels + j * PIXELS, PIXELS) == 0;
    is_int(copies, 0, "no test image is a training image");
    dataset_close(&d);
}

/* % of the test images whose nearest class mean is their own. */
static double nearest_mean(const struct dataset *d)
{
    static double mean[10][PIXELS];
    for (size_t i = 0; i < d->train.items; i++)
        for (int p = 0; p < PIXELS; p++)
            mean[d->train.labels[i]][p] += d->train.pixels[i * PIXELS + (size_t)p] * 10.0 / ITEMS;
    int right = 0;
    for (size_t i = 0; i < d->test.items; i++) {
        double least = INFINITY;
        int best = 0;
        for (int c = 0; c < 10; c++) {
            double distance = 0;
            for (int p = 0; p < PIXELS; p++) {
                const double e = d->test.pixels[i * PIXELS + (size_t)p] - mean[c][p];
                distance += e * e;
            }
            if (distance < least) {
                least = distance;
                best = c;
            }
        }
        right += best == d->test.labels[i];
    }
    return 100.0 * right / (double)d->test.items;
}

static void test_difficulty(void)
{
    struct dataset d;
    draw(1, ITEMS, &d);
    const double percent = nearest_mean(&d);
    ok(percent > 50 && percent < 85, "the nearest mean recognises %.1f %%: neither noise nor print",
       percent);
    dataset_close(&d);
}

int main(void)
{
    scratch_make();
    test_sha256();
    test_folder();
    test_colour();
    test_refused();
    test_names();
    test_fashion();
    test_digits();
    test_difficulty();
    return done();
}
