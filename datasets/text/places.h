/* places.h — where texts are: sets with a name, and the files of a folder. */
#ifndef PLACES_H
#define PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A set that --data may name. It is looked for in $BENCH_DATA/PART, $XDG_DATA_HOME/bench/PART (or
 * ~/.local/share/bench/PART) and where its Debian packages put it. */
enum { PARTS = 2 };
struct text_set {
    const char *name, *about, *packages; /* "kjv"; Debian's, with spaces between */
    struct {
        const char *name, *folder; /* "kjv"; where the package puts it */
    } part[PARTS];                 /* the second may be {0} */
    char language[2][4];           /* of pairs, source and target: "en", "de"; "" of a text */
};
extern const struct text_set text_sets[]; /* ends with a NULL name */

const struct text_set *text_set_find(const char *name); /* NULL: no set of that name */

/* All of it is here. */
bool text_set_here(const struct text_set *set);

/* Where part `part` is, malloc'ed; NULL if it is nowhere. */
char *text_set_where(const struct text_set *set, int part);

/* False: it is not here, which package would bring it. */
bool text_set_missing(const struct text_set *set, const char *what, struct err *err);

/* The first file of `folder`, in order of names, whose name is `stem`, or begins with it and goes
 * on with
 * '.', '_' or '-', and ends in `ending` ("" or ".de") with or without .txt behind it, .gz or .xz
 * behind all; malloc'ed, or NULL, as for a folder that cannot be read: ask folder_names() first. */
char *folder_file(const char *folder, const char *stem, const char *ending);

/* Names of the regular files of `folder` that do not begin with '.', sorted; how many.
 * NULL-terminated, malloc'ed, freed with folder_names_free(). NULL if it cannot be read. */
char **folder_names(const char *folder, size_t *count, struct err *err);
void folder_names_free(char **names);

bool is_folder(const char *path);

/* What to call a set that was found at `path`, malloc'ed: "KIND:name", of the file without .gz or .xz
 * or of the folder. */
char *place_name(const char *kind, const char *path);

/* The name without .gz or .xz, and without `more` (".txt"), for people to read: what controls a
 * terminal is a '?'. Malloc'ed. */
char *bare_name(const char *name, const char *more);

#endif
