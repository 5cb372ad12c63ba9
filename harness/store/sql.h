/* sql.h — SQLite in one line a statement: printf-style binding, errors with their text,
 * statements kept prepared.
 *
 *     sql_run(db, err, "INSERT INTO t(a, b, c) VALUES (?, ?, ?)", "itd", id, name, seconds);
 *
 * The format has a letter per parameter:
 *     i  int64_t             I  int64_t, NULL when negative
 *     d  double, NULL when not finite
 *     t  const char *, NULL for NULL      T  the same, NULL for "" too
 *     b  const void *, int bytes: a blob
 * The statement's text must be a literal: prepared statements are found again by its address. */
#ifndef SQL_H
#define SQL_H

#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { SQL_KEPT = 64 };

struct sql {
    sqlite3 *db;
    const char *path; /* for messages; borrowed */
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } kept[SQL_KEPT];
    int next; /* slot to be reused once all are taken */
};

void sql_close(struct sql *s);

/* Several statements without parameters; not kept. */
bool sql_script(struct sql *s, const char *text, struct err *err);

/* A statement that returns no rows, or none of interest. */
bool sql_run(struct sql *s, struct err *err, const char *text, const char *format, ...);

/* A query, to be read with sqlite3_step() through sql_next(). NULL and *err on failure. */
sqlite3_stmt *sql_query(struct sql *s, struct err *err, const char *text, const char *format, ...);

/* 1: a row is there; 0: no more; -1: *err. In the last two cases the statement has been reset. */
int sql_next(struct sql *s, sqlite3_stmt *q, struct err *err);

/* The first column of the first row, or `otherwise` where there is none or it is NULL. */
bool sql_int(struct sql *s, struct err *err, int64_t *out, int64_t otherwise, const char *text,
             const char *format, ...);

/* Columns of the present row. */
double sql_double(sqlite3_stmt *q, int column); /* NAN for NULL */
int64_t sql_int64(sqlite3_stmt *q, int column, int64_t otherwise);
void sql_copy(sqlite3_stmt *q, int column, char *to, int size); /* "" for NULL; cut to size */

/* Transactions. BEGIN IMMEDIATE takes the write lock at once, so that nothing read inside
 * can have changed before it is written. sql_end() rolls back when `good` is false, and
 * returns whether the work is in the database. */
bool sql_begin(struct sql *s, struct err *err);
bool sql_end(struct sql *s, bool good, struct err *err);

#endif
