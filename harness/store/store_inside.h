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

#endif
