/* pairs.h — what the readers of sentences and translations share. */
#ifndef PAIRS_H
#define PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "datasets/sequences/sequences.h"

enum { PAIR_WORDS = 60, PAIR_BY_HASH = -1 };

struct pair {
    size_t at[2], bytes[2]; /* of source and target, in pairs.text */
    int split;
};
struct pairs {
    struct pair *pair;
    size_t count, room;
    struct text text;
};

/* Adds a pair to that split, or where the hash of its source wants it. False, adding nothing, where
 * a side has no word or more than PAIR_WORDS. */
bool pairs_add(struct pairs *p, int split, const char *source, size_t source_bytes,
               const char *target, size_t target_bytes);

/* The sentences of the Ding dictionary in `folder`: ding.c. */
bool ding_read(const char *folder, struct pairs *p, struct text *notes, struct err *err);

#endif
