/* path.h — where things are on this machine. */
#ifndef PATH_H
#define PATH_H

#include "base/err.h"

/* The source tree that the running program was built in, or NULL: a program in
 * <tree>/build/<config>/ writes its results and reports there. Malloc'ed. */
char *path_source_tree(void);

/* Makes a folder and those above it, as mkdir -p does. */
bool path_make_folders(const char *folder, struct err *err);

#endif
