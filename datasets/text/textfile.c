/* textfile.c — see textfile.h. */
#include "datasets/text/textfile.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "datasets/sequences/vocabulary.h"
#include "datasets/unpack.h"

static const size_t file_most = (size_t)1 << 29;
enum { CHUNK = 1 << 20 };

static bool read_all(struct unpack *u, struct text_file *f, struct err *err)
{
    size_t room = 0, got = CHUNK;
    while (got == CHUNK) {
        if (f->n + CHUNK + 1 > room) {
            room = room ? 2 * room : CHUNK + 1;
            f->bytes = xrealloc(f->bytes, room);
        }
        if (!unpack_read(u, f->bytes + f->n, CHUNK, &got, err))
            return err_prefix(err, "%s: unpacked byte %zu", f->path, f->n + got);
        f->n += got;
        if (f->n > file_most)
            return err_set(err, "%s: expected at most %zu bytes of text, found more", f->path,
                           file_most);
    }
    f->bytes[f->n] = '\0';
    return true;
}

bool text_file_read(const char *path, struct text_file *f, struct err *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct unpack *u = unpack_open(path, err);
    if (!u)
        return false;
    struct text_file read = {.path = xstrdup(path)};
    const bool fine = read_all(u, &read, err);
    unpack_close(u);
    if (!fine) {
        text_file_release(&read);
        return false;
    }
    if (read.n >= 3 && memcmp(read.bytes, mark, 3) == 0) {
        read.n -= 3;
        memmove(read.bytes, read.bytes + 3, read.n + 1);
    }
    *f = read;
    return true;
}

void text_file_release(struct text_file *f)
{
    free(f->path);
    free(f->bytes);
    *f = (struct text_file){0};
}

/* ---------------------------------------------------------------------- lines */

static int kind_of(const char *text, size_t n)
{
    bool empty = true;
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t code;
        length = text_utf8_length(text + i, n - i, &code);
        if (length == 0 || code == 0)
            return LINE_BROKEN;
        empty = empty && (code <= ' ' || code == 0xa0 || code == 0x3000 || code == 0xfeff);
    }
    return empty ? LINE_EMPTY : n > LINE_MOST ? LINE_LONG : LINE_GOOD;
}

bool text_file_next(const struct text_file *f, size_t *at, struct text_line *line)
{
    if (*at >= f->n)
        return false;
    const char *from = f->bytes + *at, *end = memchr(from, '\n', f->n - *at);
    size_t n = end ? (size_t)(end - from) : f->n - *at;
    line->number = *at == 0 ? 1 : line->number + 1;
    *at += n + 1;
    if (n > 0 && from[n - 1] == '\r')
        n--;
    line->text = from;
    line->n = n;
    line->kind = kind_of(from, n);
    return true;
}

size_t text_file_lines(const struct text_file *f)
{
    size_t lines = 0;
    for (const char *p = f->bytes, *end = p + f->n; p < end; lines++) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        p = next ? next + 1 : end;
    }
    return lines;
}

/* -------------------------------------------------------------------- reports */

void text_report_line(struct text_report *r, const struct text_line *line)
{
    r->lines++;
    if (r->count[line->kind]++ == 0)
        r->first[line->kind] = line->number;
}

void text_report_other(struct text_report *r, const struct text_line *line)
{
    if (r->others++ == 0)
        r->first_other = line->number;
}

static void add_count(struct text *t, size_t count, const char *what, size_t first)
{
    if (count > 0)
        text_add(t, "%s%zu %s (%sline %zu)", t->length ? ", " : "", count, what,
                 count > 1 ? "first: " : "", first);
}

bool text_report_end(const struct text_report *r, const char *path, bool skip_empty,
                     const char *other, struct text *notes, struct err *err)
{
    static const char *const what[LINE_KINDS] = {"", "empty", "not UTF-8",
                                                 "longer than 65536 bytes"};
    if (2 * r->count[LINE_BROKEN] > r->lines)
        return err_set(
            err,
            "%s: expected UTF-8 text, but %zu of %zu lines are none, the first of them line "
            "%zu",
            path, r->count[LINE_BROKEN], r->lines, r->first[LINE_BROKEN]);
    struct text t = {0};
    for (int kind = skip_empty ? LINE_EMPTY : LINE_BROKEN; kind < LINE_KINDS; kind++)
        add_count(&t, r->count[kind], what[kind], r->first[kind]);
    add_count(&t, r->others, other ? other : "", r->first_other);
    if (r->lines == 0)
        text_add(notes, "%s: is empty\n", path);
    if (t.length)
        text_add(notes, "%s: left out of %zu lines: %s\n", path, r->lines, text_str(&t));
    text_release(&t);
    return true;
}

bool text_file_add(const struct text_file *f, struct text *all, struct text *notes, struct err *err)
{
    struct text_report r = {0};
    struct text_line line = {0};
    for (size_t at = 0; text_file_next(f, &at, &line);) {
        if (line.kind == LINE_LONG)
            line.kind = LINE_GOOD;
        text_report_line(&r, &line);
        if (line.kind == LINE_BROKEN)
            continue;
        text_add_bytes(all, line.text, line.n);
        if (at <= f->n) /* the last line may have no end */
            text_add_bytes(all, "\n", 1);
    }
    return text_report_end(&r, f->path, false, NULL, notes, err);
}
