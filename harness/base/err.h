/* err.h — failures of the world outside: files, options, machines.
 *
 *     if (!file)
 *         return err_set(err, "cannot open '%s': %s", path, strerror(errno));
 *
 * Functions that can fail take a `struct err *` last, return bool (or NULL) and
 * leave their outputs untouched on failure. Only main() prints and exits. */
#ifndef ERR_H
#define ERR_H

#include <stdbool.h>

enum { ERR_TEXT = 768 };

/* The exit statuses of the program; one meaning each. bench(1) lists them. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_INTERNAL = 1,     /* internal or I/O error */
    EXIT_USAGE = 2,        /* unknown flag, verb, value */
    EXIT_BENCH_FAILED = 6, /* a run crashed, hung, met NaN, could not read its data */
    EXIT_QUALITY = 7,      /* an accuracy target was missed */
    EXIT_PLUGIN = 9,       /* plugin refused: ABI, ISA, symbol */
    EXIT_INTERRUPTED = 130
};

struct err {
    int status; /* an enum exit_status; err_set() leaves EXIT_INTERNAL where it is still 0 */
    char text[ERR_TEXT];
};

/* Formats into err->text and returns false, so that `return err_set(...)` reads
 * well. `err` may be NULL. The text has no full stop and no newline. */
__attribute__((format(printf, 2, 3))) bool err_set(struct err *err, const char *fmt, ...);

/* The same with an exit status of its own. */
__attribute__((format(printf, 3, 4))) bool err_status(struct err *err, int status, const char *fmt,
                                                      ...);

/* Puts "fmt: " before the text already there; returns false. */
__attribute__((format(printf, 2, 3))) bool err_prefix(struct err *err, const char *fmt, ...);

#endif
