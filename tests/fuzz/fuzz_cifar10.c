/* fuzz_cifar10.c — any bytes as a batch of CIFAR-10: the reader must neither crash nor leak,
 * and what it accepts plain it must read as it is.
 *
 * tests/t_fuzz.c runs it over a fixed set of mutations. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/cifar10/cifar10.h"

int fuzz_cifar10(const char *folder, const uint8_t *bytes, size_t n); /* 1 if it was accepted */

static void cifar10_must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_cifar10: %s\n", what);
    abort();
}

static void put_file(const char *folder, const char *name, const uint8_t *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    FILE *f = fopen(path, "wb");
    cifar10_must(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write a file");
}

/* `folder` is an empty one for this alone. */
int fuzz_cifar10(const char *folder, const uint8_t *bytes, size_t n)
{
    static const char *const sound[] = {"data_batch_1", "data_batch_2", "data_batch_3",
                                        "data_batch_4", "data_batch_5"};
    static const uint8_t record[CIFAR10_RECORD];
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
        put_file(folder, sound[i], record, sizeof record);
    put_file(folder, "test_batch", bytes, n);
    struct dataset d = {0};
    struct err err = {0};
    const int accepted = cifar10_open_folder(folder, &d, &err);
    const int packed = n > 1 && ((bytes[0] == 0x1f && bytes[1] == 0x8b) || bytes[0] == 0xfd);
    if (accepted && !packed) {
        cifar10_must(n == d.test.items * CIFAR10_RECORD, "accepted a part of a record");
        for (size_t i = 0; i < d.test.items; i++)
            for (size_t p = 0; p < 3072; p++)
                cifar10_must(d.test.pixels[i * 3072 + p] ==
                                 bytes[i * CIFAR10_RECORD + 1 + p % 3 * 1024 + p / 3],
                             "read something else");
    }
    cifar10_must(accepted || err.text[0], "refused without a word");
    dataset_close(&d);
    return accepted;
}
