/* sql.c — see sql.h. */
#include "store/sql.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool failed(struct sql *s, struct err *err)
{
    return err_set(err, "database '%s': %s", s->path, sqlite3_errmsg(s->db));
}

void sql_close(struct sql *s)
{
    for (int i = 0; i < SQL_KEPT; i++)
        sqlite3_finalize(s->kept[i].statement);
    sqlite3_close(s->db);
    *s = (struct sql){0};
}

bool sql_script(struct sql *s, const char *text, struct err *err)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK || failed(s, err);
}

static void bind(sqlite3_stmt *q, const char *format, va_list ap)
{
    for (int i = 1; *format; format++, i++) {
        if (*format == 'i' || *format == 'I') {
            const int64_t v = va_arg(ap, int64_t);
            *format == 'I' && v < 0 ? sqlite3_bind_null(q, i) : sqlite3_bind_int64(q, i, v);
        } else if (*format == 'd') {
            const double v = va_arg(ap, double);
            isfinite(v) ? sqlite3_bind_double(q, i, v) : sqlite3_bind_null(q, i);
        } else if (*format == 'b') {
            const void *bytes = va_arg(ap, const void *);
            sqlite3_bind_blob(q, i, bytes, va_arg(ap, int), SQLITE_TRANSIENT);
        } else {
            const char *v = va_arg(ap, const char *);
            assert(*format == 't' || *format == 'T');
            sqlite3_bind_text(q, i, v && (*v || *format == 't') ? v : NULL, -1, SQLITE_TRANSIENT);
        }
    }
}

/* A prepared statement for this literal that nobody is stepping through, or a fresh one. */
static sqlite3_stmt *statement(struct sql *s, const char *text)
{
    for (int i = 0; i < SQL_KEPT && s->kept[i].text; i++)
        if (s->kept[i].text == text && !sqlite3_stmt_busy(s->kept[i].statement))
            return s->kept[i].statement;
    int slot = s->next;
    for (int tries = 0; s->kept[slot].statement && sqlite3_stmt_busy(s->kept[slot].statement);
         tries++) {
        assert(tries < SQL_KEPT);
        slot = (slot + 1) % SQL_KEPT;
    }
    sqlite3_finalize(s->kept[slot].statement);
    s->kept[slot].text = text;
    s->kept[slot].statement = NULL;
    sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s->kept[slot].statement, NULL);
    s->next = (slot + 1) % SQL_KEPT;
    return s->kept[slot].statement;
}

static sqlite3_stmt *start(struct sql *s, struct err *err, const char *text, const char *format,
                           va_list ap)
{
    sqlite3_stmt *q = statement(s, text);
    if (!q) {
        failed(s, err);
        return NULL;
    }
    assert(sqlite3_bind_parameter_count(q) <= (int)strlen(format));
    sqlite3_reset(q);
    bind(q, format, ap);
    return q;
}

int sql_next(struct sql *s, sqlite3_stmt *q, struct err *err)
{
    const int result = sqlite3_step(q);
    if (result == SQLITE_ROW)
        return 1;
    if (result != SQLITE_DONE)
        failed(s, err);
    sqlite3_reset(q);
    return result == SQLITE_DONE ? 0 : -1;
}

sqlite3_stmt *sql_query(struct sql *s, struct err *err, const char *text, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sqlite3_stmt *q = start(s, err, text, format, ap);
    va_end(ap);
    return q;
}

bool sql_run(struct sql *s, struct err *err, const char *text, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sqlite3_stmt *q = start(s, err, text, format, ap);
    va_end(ap);
    if (!q)
        return false;
    const int row = sql_next(s, q, err);
    sqlite3_reset(q);
    return row >= 0;
}

bool sql_int(struct sql *s, struct err *err, int64_t *out, int64_t otherwise, const char *text,
             const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sqlite3_stmt *q = start(s, err, text, format, ap);
    va_end(ap);
    const int row = q ? sql_next(s, q, err) : -1;
    if (row < 0)
        return false;
    *out = row ? sql_int64(q, 0, otherwise) : otherwise;
    sqlite3_reset(q);
    return true;
}

double sql_double(sqlite3_stmt *q, int column)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? NAN : sqlite3_column_double(q, column);
}

int64_t sql_int64(sqlite3_stmt *q, int column, int64_t otherwise)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? otherwise
                                                         : sqlite3_column_int64(q, column);
}

void sql_copy(sqlite3_stmt *q, int column, char *to, int size)
{
    const char *const text = (const char *)sqlite3_column_text(q, column);
    snprintf(to, (size_t)size, "%s", text ? text : "");
}

bool sql_begin(struct sql *s, struct err *err) { return sql_run(s, err, "BEGIN IMMEDIATE", ""); }

bool sql_end(struct sql *s, bool good, struct err *err)
{
    if (good && sql_run(s, err, "COMMIT", ""))
        return true;
    sql_run(s, NULL, "ROLLBACK", "");
    return false;
}
