/* path.h — where things are on this machine. */
#ifndef PATH_H
#define PATH_H

#include <stdio.h>

#include "base/err.h"

/* The source tree that the running program was built in, or NULL: a program in
 * <tree>/build/<config>/ writes its results and reports there. Malloc'ed. */
char *path_source_tree(void);

/* Makes a folder and those above it, as mkdir -p does. */
bool path_make_folders(const char *folder, struct err *err);

/* What a file that is renamed over `path` must replace: `path` itself, or what it leads to as a
 * symbolic link, which need not exist. Malloc'ed. NULL where that is there but no regular file:
 * a rename would put a file in place of a device or a FIFO; and of "-", by which standard output may be
 * meant. */
char *path_to_replace(const char *path, struct err *err);

/* Opens a file to write from its start; NULL with a report where that cannot be, and for "-", by which
 * standard output may be meant. path_close() reports what could not be written. */
FILE *path_create(const char *path, struct err *err);
bool path_close(FILE *f, const char *path, struct err *err);

#endif
