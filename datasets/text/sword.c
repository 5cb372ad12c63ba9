/* sword.c — see sword.h. */
#include "datasets/text/sword.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/text.h"
#include "datasets/sequences/vocabulary.h"
#include "datasets/unpack.h"

enum { VERSE_ENTRY = 10, BLOCK_ENTRY = 12, BLOCK_MOST = 64 << 20, FILE_MOST = 256 << 20 };
enum { ENTRIES, BLOCKS, DATA, FILES };
static const char *const ending[FILES] = {"bzv", "bzs", "bzz"};
static const char *const testament[] = {"ot", "nt"};

struct raw {
    char *path;
    uint8_t *bytes;
    size_t n;
};

static uint32_t u32(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static bool read_raw(const char *folder, int t, int file, struct raw *r, struct err *err)
{
    r->path = xprintf("%s/%s.%s", folder, testament[t], ending[file]);
    struct unpack *u = unpack_open(r->path, err);
    if (!u)
        return false;
    bool exact;
    const uint64_t size = unpack_left(u, &exact);
    bool fine = exact && size <= FILE_MOST;
    if (!fine)
        err_set(err, "%s: expected a plain file of at most %d bytes", r->path, FILE_MOST);
    r->bytes = xmalloc(fine ? size + 1 : 1);
    fine = fine && unpack_read(u, r->bytes, size, &r->n, err);
    unpack_close(u);
    return fine;
}

/* ---------------------------------------------------------------------- markup */

/* Whether the tag that begins at `s` is <name or </name. */
static bool is_tag(const char *s, const char *end, const char *name, bool closing)
{
    const size_t n = strlen(name);
    s += 1 + closing;
    return s + n < end && strncmp(s, name, n) == 0 && strchr(" />", s[n]);
}

static const struct {
    const char *code;
    char means;
} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

static void add_char(struct text *out, const char *s, size_t n)
{
    const bool space = n == 1 && (unsigned char)*s <= ' ';
    if (!space)
        text_add_bytes(out, s, n);
    else if (out->length && out->bytes[out->length - 1] != ' ')
        text_add_bytes(out, " ", 1);
}

/* The next character of text, or entity, or mark to be dropped. */
static const char *add_text(struct text *out, const char *s, const char *end)
{
    static const char pilcrow[] = "\xc2\xb6";
    if ((size_t)(end - s) >= 2 && memcmp(s, pilcrow, 2) == 0)
        return s + 2;
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        const size_t n = strlen(entities[i].code);
        if ((size_t)(end - s) >= n && memcmp(s, entities[i].code, n) == 0) {
            add_char(out, &entities[i].means, 1);
            return s + n;
        }
    }
    add_char(out, s, 1);
    return s + 1;
}

/* How deep in notes and titles the text behind this tag is. */
static int depth_behind(const char *tag, const char *close, int depth)
{
    static const char *const dropped[] = {"note", "title"};
    for (int i = 0; i < 2; i++)
        if (is_tag(tag, close + 1, dropped[i], true))
            return depth > 0 ? depth - 1 : 0;
        else if (is_tag(tag, close + 1, dropped[i], false))
            return close[-1] == '/' ? depth : depth + 1;
    return depth;
}

static void strip(const char *s, size_t n, struct text *out)
{
    const char *const end = s + n;
    int depth = 0;
    out->length = 0;
    while (s < end) {
        const char *close = *s == '<' ? memchr(s, '>', (size_t)(end - s)) : NULL;
        if (close) {
            depth = depth_behind(s, close, depth);
            s = close + 1;
        } else {
            s = depth == 0 ? add_text(out, s, end) : s + 1;
        }
    }
    while (out->length && out->bytes[out->length - 1] == ' ')
        out->length--;
}

static bool is_utf8(const char *s, size_t n)
{
    for (size_t i = 0, length; i < n; i += length)
        if ((length = text_utf8_length(s + i, n - i, NULL)) == 0)
            return false;
    return true;
}

/* ----------------------------------------------------------------- a testament */

/* The block that was unpacked last: verses come in order. */
struct block {
    uint32_t number;
    uint8_t *bytes;
    size_t n;
};

static bool unpack_block(const struct raw file[FILES], uint32_t number, struct block *b,
                         struct err *err)
{
    if ((size_t)number >= file[BLOCKS].n / BLOCK_ENTRY)
        return err_set(err, "%s: block %u: expected one of %zu", file[ENTRIES].path, number,
                       file[BLOCKS].n / BLOCK_ENTRY);
    const uint8_t *entry = file[BLOCKS].bytes + (size_t)number * BLOCK_ENTRY;
    const size_t at = u32(entry), packed = u32(entry + 4), unpacked = u32(entry + 8);
    if (at > file[DATA].n || packed > file[DATA].n - at)
        return err_set(err, "%s: offset %zu: bytes %zu to %zu of '%s' are told of, which has %zu",
                       file[BLOCKS].path, (size_t)number * BLOCK_ENTRY, at, at + packed,
                       file[DATA].path, file[DATA].n);
    if (unpacked > BLOCK_MOST)
        return err_set(err, "%s: offset %zu: a block of %zu bytes: expected at most %d",
                       file[BLOCKS].path, (size_t)number * BLOCK_ENTRY + 8, unpacked, BLOCK_MOST);
    b->bytes = xrealloc(b->bytes, unpacked + 1);
    uLongf n = unpacked;
    const int status = uncompress(b->bytes, &n, file[DATA].bytes + at, packed);
    if (status != Z_OK || n != unpacked)
        return err_set(err, "%s: offset %zu: a zlib stream that is cut or altered: %s",
                       file[DATA].path, at,
                       status != Z_OK ? zError(status) : "another length than was told");
    b->n = unpacked;
    b->number = number;
    return true;
}

static bool read_verse(const struct raw file[FILES], size_t place, struct block *b,
                       struct text *text, struct err *err)
{
    const uint8_t *entry = file[ENTRIES].bytes + place * VERSE_ENTRY;
    const uint32_t number = u32(entry), at = u32(entry + 4);
    const size_t n = entry[8] | (size_t)entry[9] << 8;
    text->length = 0;
    if (n == 0)
        return true;
    if ((!b->bytes || b->number != number) && !unpack_block(file, number, b, err))
        return false;
    if (at > b->n || n > b->n - at)
        return err_set(err, "%s: offset %zu: bytes %u to %zu of a block of %zu", file[ENTRIES].path,
                       place * VERSE_ENTRY, at, at + n, b->n);
    strip((const char *)b->bytes + at, n, text);
    return true;
}

static bool add_verses(struct sword *s, const struct raw file[FILES], struct err *err)
{
    const size_t places = file[ENTRIES].n / VERSE_ENTRY;
    if (file[ENTRIES].n % VERSE_ENTRY || file[BLOCKS].n % BLOCK_ENTRY || places == 0)
        return err_set(err, "%s: %zu bytes, '%s': %zu: expected some, by tens and by dozens",
                       file[ENTRIES].path, file[ENTRIES].n, file[BLOCKS].path, file[BLOCKS].n);
    s->verse = xrealloc(s->verse, (s->places + places) * sizeof *s->verse);
    struct block b = {0};
    struct text text = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < places; i++) {
        fine = read_verse(file, i, &b, &text, err);
        const bool sound = is_utf8(text.bytes, text.length);
        char *copy = NULL;
        if (fine && sound && text.length) {
            copy = arena_alloc(s->arena, text.length + 1);
            memcpy(copy, text.bytes, text.length);
        }
        s->broken += !sound;
        s->verse[s->places++] = copy;
    }
    text_release(&text);
    free(b.bytes);
    return fine;
}

static bool read_testament(const char *folder, int t, struct sword *s, struct err *err)
{
    struct raw file[FILES] = {0};
    bool fine = true;
    for (int i = 0; fine && i < FILES; i++)
        fine = read_raw(folder, t, i, &file[i], err);
    fine = fine && add_verses(s, file, err);
    for (int i = 0; i < FILES; i++) {
        free(file[i].path);
        free(file[i].bytes);
    }
    return fine;
}

bool sword_is_at(const char *folder)
{
    struct stat st;
    bool there = true;
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < FILES; i++) {
            char *path = xprintf("%s/%s.%s", folder, testament[t], ending[i]);
            there = there && stat(path, &st) == 0 && S_ISREG(st.st_mode);
            free(path);
        }
    return there;
}

bool sword_read(const char *folder, struct sword *s, struct err *err)
{
    struct sword read = {.arena = arena_new()};
    bool fine = read_testament(folder, 0, &read, err);
    read.first_new = read.places;
    fine = fine && read_testament(folder, 1, &read, err);
    if (!fine) {
        sword_release(&read);
        return false;
    }
    *s = read;
    return true;
}

void sword_release(struct sword *s)
{
    arena_free(s->arena);
    free(s->verse);
    *s = (struct sword){0};
}
