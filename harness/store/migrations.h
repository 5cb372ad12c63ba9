/* migrations.h — a schema only moves forward, a numbered step at a time. */
#ifndef MIGRATIONS_H
#define MIGRATIONS_H

#include "store/sql.h"

enum { STORE_APPLICATION = 0x42454E43 }; /* "BENC", as file(1) shows it */

struct migration {
    int version;
    const char *sql;
};
extern const struct migration store_migrations[]; /* version 1, 2, …; ends with version 0 */

/* Brings the database to the last version of `list`; an empty file becomes one of ours. A
 * database that holds runs is first copied to PATH.schema<N>.bak by VACUUM INTO. Each step is
 * one transaction in which the version is read again, so that two programs that migrate at
 * the same time do each step once. */
bool store_migrate(struct sql *s, const struct migration *list, struct err *err);

bool store_version(struct sql *s, int64_t *version, struct err *err);

#endif
