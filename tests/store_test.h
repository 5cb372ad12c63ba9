/* store_test.h — what the tests of the store share: databases in a scratch folder, and a look into them
 * past the store. */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include <sqlite3.h>
#include <stdlib.h>

#include "fill.h"
#include "scratch.h"
#include "tap.h"

static inline int64_t scalar(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    int64_t value = -1;
    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

static inline bool execute(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_open(path, &db);
    const bool good = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_close(db);
    return good;
}

static inline struct store *open_new(const char *path, struct store_session **session)
{
    struct err err = {0};
    struct store *s = store_open(path, STORE_WRITE, &err);
    *session = s ? store_session_begin(s, 0, NULL, &err) : NULL;
    if (!*session) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    return s;
}

static inline int count_of(struct store *s, const char *selector, const char *second, int last,
                           bool newest)
{
    const char *selectors[] = {selector, second};
    struct store_row *rows;
    const struct store_query q = {selectors, !!selector + !!second, last, newest, false};
    const int n = store_rows(s, &q, &rows, NULL);
    free(rows);
    return n;
}

#endif
