/* safetensors: what is written comes back; every cut and every broken rule is refused, with the
 * file and the place in the text; no altered byte leads outside. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "tap.h"
#include "train/safetensors.h"

static char folder[] = "/tmp/t_safetensors.XXXXXX";

static void check_round_trip(struct text *bytes)
{
    static const float weight[6] = {1, -2, 3.5f, INFINITY, -0.0f, 1e-40f};
    static const int32_t label[3] = {7, -1, 2147483647};
    char *path = xprintf("%s/a.safetensors", folder);
    struct err err = {0};
    struct st_writer *w = st_writer_new();
    st_add(w, "weight", ST_F32, 3, (const size_t[]){1, 2, 3}, weight);
    st_add(w, "label", ST_I32, 1, (const size_t[]){3}, label);
    st_add(w, "loss", ST_F32, 0, NULL, &weight[2]);
    st_add(w, "empty", ST_F32, 2, (const size_t[]){0, 5}, weight);
    st_add_meta(w, "plugin", "lenet5 \"quoted\"");
    ok(st_write(w, path, &err), "written");
    st_writer_free(w);

    struct st_file f;
    if (!ok(st_open(path, &f, &err), "read"))
        printf("# %s\n", err.text);
    const struct st_tensor *t = st_find(&f, "weight");
    char shape[128];
    ok(t && t->type == ST_F32 && t->elements == 6 && memcmp(t->data, weight, sizeof weight) == 0,
       "floats to the bit");
    is_str(st_shape_text(t->rank, t->dim, shape), "[1,2,3]", "their shape");
    t = st_find(&f, "label");
    ok(t && t->type == ST_I32 && memcmp(t->data, label, sizeof label) == 0, "integers");
    t = st_find(&f, "loss");
    ok(t && t->rank == 0 && t->elements == 1, "a scalar has the shape []");
    t = st_find(&f, "empty");
    ok(t && t->elements == 0, "a tensor of nothing");
    is_str(st_meta(&f, "plugin"), "lenet5 \"quoted\"", "metadata");
    ok(!st_meta(&f, "nothing") && !st_find(&f, "nothing"), "what is not there is not found");
    text_add_bytes(bytes, f.map, f.map_bytes);
    st_close(&f);
    ok(st_parse("memory", bytes->bytes, bytes->length, &f, &err), "the same from memory");
    const uint64_t header =
        (unsigned char)bytes->bytes[0] | (uint64_t)(unsigned char)bytes->bytes[1] << 8;
    is_int(header % 8, 0, "the data begins at a multiple of 8");
    st_close(&f);
    remove(path);
    free(path);
}

/* Copied to an allocation of its own size, so that sanitizers see one byte too many. */
static bool parses(const char *bytes, size_t n, struct err *err)
{
    struct st_file f;
    char *copy = memcpy(xmalloc(n), bytes, n);
    const bool fine = st_parse("x", copy, n, &f, err);
    if (fine)
        st_close(&f);
    free(copy);
    return fine;
}

static void check_cuts(const struct text *bytes)
{
    int accepted = 0, silent = 0;
    for (size_t n = 0; n < bytes->length; n++) {
        struct err err = {0};
        accepted += parses(bytes->bytes, n, &err);
        silent += strncmp(err.text, "x: ", 3) != 0;
    }
    is_int(accepted, 0, "refused when cut at any of %zu bytes", bytes->length);
    is_int(silent, 0, "always naming the file");
    int survived = 0;
    for (size_t i = 0; i < bytes->length; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes->bytes[i] = (char)(bytes->bytes[i] ^ 1 << bit);
            (void)parses(bytes->bytes, bytes->length, NULL);
            bytes->bytes[i] = (char)(bytes->bytes[i] ^ 1 << bit);
            survived++;
        }
    is_int(survived, (double)bytes->length * 8, "survives every flipped bit");
}

static void check_rules(void)
{
    static const struct {
        const char *header, *why;
        int data;
    } bad[] = {
        {"[1]", "x: the header is no object", 0},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         "x: tensor 'a': dtype is not one that is known", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
         "x: tensor 'a': shape is not an array of up to 8 sizes", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
         "x: tensor 'a': shape is not an array of up to 8 sizes", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
         "x: tensor 'a': shape is not an array of up to 8 sizes", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}",
         "x: tensor 'a': data_offsets are not within 4 bytes of data", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
         "x: tensor 'a': data_offsets are not within 4 bytes of data", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
         "x: tensor 'a': data_offsets are not within 4 bytes of data", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
         "x: tensor 'a': found 4 bytes, expected 8 by its shape", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "x: tensor 'b': begins at offset 0, expected 4", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
         "x: tensor 'b': begins at offset 8, expected 4", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         "x: found 8 bytes of data, expected 4", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         NULL, 4},
        {"{\"__metadata__\":{\"k\":1}}", "x: __metadata__ 'k' is no text", 0},
        {"{\"__metadata__\":[]}", "x: __metadata__ is no object", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct text t = {0};
        const char length[8] = {(char)strlen(bad[i].header), 0};
        struct err err = {0};
        text_add_bytes(&t, length, sizeof length);
        text_add(&t, "%s", bad[i].header);
        for (int k = 0; k < bad[i].data; k++)
            text_add_bytes(&t, "", 1);
        ok(!parses(t.bytes, t.length, &err), "refused: %s", bad[i].header);
        if (bad[i].why)
            is_str(err.text, bad[i].why, "and says why");
        text_release(&t);
    }
}

static void check_files(void)
{
    struct st_file f;
    struct err err = {0};
    ok(!st_open("/nonexistent/x", &f, &err) && strstr(err.text, "/nonexistent/x"), "no file");
    ok(!st_open("/tmp", &f, &err) && strstr(err.text, "not a file"), "a folder");
    ok(!st_open("/dev/zero", &f, &err) && strstr(err.text, "not a file"), "a device");
    struct st_writer *w = st_writer_new();
    ok(!st_write(w, "/nonexistent/x", &err) && strstr(err.text, "cannot write"),
       "nowhere to write");
    st_writer_free(w);
}

/* Links are written through, and what a rename would destroy is refused. */
static void check_targets(void)
{
    struct err err = {0};
    struct st_file f;
    struct stat st;
    struct st_writer *w = st_writer_new();
    char path[2][64];
    snprintf(path[0], sizeof path[0], "%s/link", folder);
    snprintf(path[1], sizeof path[1], "%s/target", folder);
    ok(symlink("target", path[0]) == 0 && st_write(w, path[0], &err), "a link to nothing yet");
    ok(st_open(path[1], &f, &err), "the file appears where it leads");
    st_close(&f);
    ok(st_write(w, path[0], &err) && lstat(path[0], &st) == 0 && S_ISLNK(st.st_mode),
       "again: the link stays");
    ok(unlink(path[1]) == 0 && mkfifo(path[1], 0600) == 0 && !st_write(w, path[0], &err),
       "a link to a pipe: refused");
    ok(strstr(err.text, "expected a regular file or none, found a pipe"), "and says why");
    ok(stat(path[0], &st) == 0 && S_ISFIFO(st.st_mode), "the pipe stays");
    ok(unlink(path[1]) == 0 && symlink("link", path[1]) == 0 && !st_write(w, path[0], &err),
       "links in a loop: refused");
    ok(!st_write(w, "-", &err) && strstr(err.text, "expected a file's name"), "'-': %s", err.text);
    unlink(path[0]);
    unlink(path[1]);
    st_writer_free(w);
}

int main(void)
{
    struct text bytes = {0};
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    check_round_trip(&bytes);
    check_cuts(&bytes);
    check_rules();
    check_files();
    check_targets();
    text_release(&bytes);
    rmdir(folder);
    return done();
}
