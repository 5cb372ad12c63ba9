/* textfile.h — a text file in memory, by lines, and what was wrong with it.
 *
 * Files count as hostile. They are UTF-8, plain or packed (gzip, xz), of 512 MiB at most. A mark of
 * the byte order in front is dropped, and so is the carriage return of \r\n. Lines are good, or
 *   empty     nothing but white space
 *   broken    not UTF-8 (RFC 3629), or with a byte 0
 *   long      more than 65,536 bytes
 * and readers say in struct text_report how many of each they have left out, and where the first
 * was. */
#ifndef TEXTFILE_H
#define TEXTFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

enum { LINE_MOST = 1 << 16 };
enum line_kind { LINE_GOOD, LINE_EMPTY, LINE_BROKEN, LINE_LONG, LINE_KINDS };

struct text_file {
    char *path, *bytes; /* malloc'ed */
    size_t n;
};

/* Refuses, naming path, offset, expected and found, what cannot be read, is cut, or is too large.
 */
bool text_file_read(const char *path, struct text_file *f, struct err *err);
void text_file_release(struct text_file *f);

struct text_line {
    const char *text; /* without its end */
    size_t n, number; /* bytes; from 1 */
    int kind;         /* enum line_kind */
};

/* The line at *at (0 at first), moving it on; false at the end. */
bool text_file_next(const struct text_file *f, size_t *at, struct text_line *line);
size_t text_file_lines(const struct text_file *f);

struct text_report {
    size_t lines, count[LINE_KINDS], first[LINE_KINDS]; /* number of the first of a kind */
    size_t others, first_other;                         /* left out for the reader's own reason */
};
void text_report_line(struct text_report *r, const struct text_line *line);
void text_report_other(struct text_report *r, const struct text_line *line);

/* Adds a line to `notes` where anything was left out: "a.txt: left out of 900 lines: 3 empty
 * (first: line 17), 1 not UTF-8 (line 40)". `other`: what other lines were, or NULL. Refuses a file
 * of which more than half is broken: it is no text. `skip_empty`: empty lines were left out too. Of an
 * empty file it says so. */
bool text_report_end(const struct text_report *r, const char *path, bool skip_empty,
                     const char *other, struct text *notes, struct err *err);

/* All of a path's good bytes: lines that are broken are left out, empty and long ones stay. */
bool text_file_add(const struct text_file *f, struct text *all, struct text *notes,
                   struct err *err);

#endif
