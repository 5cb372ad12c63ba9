/* store_inside.h — what the files of the store share and nobody else sees. */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include "store/sql.h"
#include "store/store.h"

struct store {
    struct sql sql;
    char *path;
    char note[256];
};

struct store_session {
    struct store *store;
    int64_t id;
};

int64_t store_now_ms(void);

/* said.c: one row, inside a transaction. */
bool store_write_said(struct sql *s, int64_t run, const struct run_sample *sample, struct err *err);

/* RFC 9562, version 4: random, so that databases of two machines never clash. */
enum { STORE_UUID = 37 };
void store_uuid(char uuid[STORE_UUID]);

#endif
