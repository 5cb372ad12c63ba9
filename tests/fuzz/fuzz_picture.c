/* fuzz_picture.c — any bytes as a JPEG or PNG: the decoder must neither crash nor leak nor
 * give another size than it told by the header.
 *
 * tests/t_fuzz.c runs it over a fixed set of mutations. By hand, without end:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -std=c17 -Iharness -I. \
 *         tests/fuzz/fuzz_picture.c datasets/folder/{decode,jpeg,png}.c harness/base/[!c]*.c -ljpeg
 * -lpng -lm
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datasets/folder/decode.h"

int fuzz_picture(const uint8_t *bytes, size_t n); /* 1 if it was accepted */

static void picture_must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_picture: %s\n", what);
    abort();
}

int fuzz_picture(const uint8_t *bytes, size_t n)
{
    const int file = memfd_create("picture", 0);
    picture_must(file >= 0 && write(file, bytes, n) == (ssize_t)n, "cannot make a file in memory");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct decode_facts facts;
    struct raster r = {0};
    struct err err = {0};
    const int header = decode_header(path, &facts, &err);
    picture_must(header || err.text[0], "refused without a word");
    /* Decoding a hundred million grey pixels from a few bytes is slow, and no fault. */
    const int quick = !header || (int64_t)facts.height * facts.width <= 1 << 20;
    int accepted = 0;
    for (int channels = 1; quick && channels <= 3; channels += 2) {
        struct err why = {0};
        accepted = decode_file(path, channels, DECODE_SIDE, &r, &why);
        picture_must(accepted || why.text[0], "refused without a word");
        picture_must(!accepted || (header && r.height == facts.height && r.width == facts.width &&
                                   r.channels == channels),
                     "another size than the header's");
    }
    raster_release(&r);
    close(file);
    return accepted;
}
