/* fuzz_idx.c — any bytes as an IDX file: the reader must neither crash nor leak nor
 * accept a file that it would write differently.
 *
 * tests/t_fuzz.c runs it over a fixed set of mutations. By hand, without end:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -fopenmp -std=c17 -Iharness -I. \
 *         tests/fuzz/fuzz_idx.c datasets/unpack.c datasets/idx/idx.c harness/base/[!c]*.c -lz -lm
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datasets/idx/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int fuzz_idx(const uint8_t *bytes, size_t n); /* 1 if it was accepted */

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_idx: %s\n", what);
    abort();
}

int fuzz_idx(const uint8_t *bytes, size_t n)
{
    const int file = memfd_create("idx", 0);
    must(file >= 0 && write(file, bytes, n) == (ssize_t)n, "cannot make a file in memory");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct idx x = {0};
    struct err err = {0};
    const int accepted = idx_read(path, "pixels", &x, &err);
    if (accepted) {
        uint8_t header[IDX_HEADER];
        const size_t head = idx_header(&x, header);
        must(x.count > 0 && x.bytes != NULL, "accepted, but gave nothing");
        const int plain = n >= 2 && bytes[0] == 0;
        must(!plain || (n == head + x.count && memcmp(bytes, header, head) == 0 &&
                        memcmp(bytes + head, x.bytes, x.count) == 0),
             "accepted, but read something else");
        free(x.bytes);
    } else {
        must(err.text[0] != '\0' && x.bytes == NULL, "refused without a word, or halfway");
    }
    close(file);
    return accepted;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    fuzz_idx(bytes, n);
    return 0;
}
