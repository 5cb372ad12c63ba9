/* sword.h — the verses of a SWORD module of type zText: books of Debian's sword-text-* packages.
 *
 * Two testaments, `ot` and `nt`, of three files each, all numbers little-endian:
 *   .bzv  10 bytes a verse: block (32 bits), offset in it (32), length (16); length 0: none there
 *   .bzs  12 bytes a block: offset in .bzz (32), packed size (32), unpacked size (32)
 *   .bzz  the blocks, each a zlib stream
 * Modules that count verses alike translate each other verse by verse: place i of one is place i of
 * the other. Text is OSIS: notes and titles are dropped with what is in them, other tags alone;
 * white space is made single; pilcrows are dropped. */
#ifndef SWORD_H
#define SWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct sword {
    struct arena *arena;
    char **verse;             /* [places], sound UTF-8; NULL where there is none */
    size_t places, first_new; /* of all; the first of the New Testament */
    size_t broken;            /* verses left out because they were not UTF-8 */
};

/* Whether the six files are in `folder`. */
bool sword_is_at(const char *folder);

/* Refuses, naming file, offset, expected and found, what is cut or points outside. */
bool sword_read(const char *folder, struct sword *s, struct err *err);
void sword_release(struct sword *s);

#endif
