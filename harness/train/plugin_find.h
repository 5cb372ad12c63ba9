/* plugin_find.h — which plugins there are, and which of them a selector means.
 *
 *     struct plugin_list list;
 *     plugin_list_open(&list);
 *     if (plugin_select(&list, "lenet*:modern", &picks, &count, &err)) ...
 *     plugin_list_close(&list);
 *
 * Folders searched, the first that has bench-NAME.so wins: those of
 * $BENCH_PLUGIN_PATH (colon list; ignored when the program is privileged),
 * plugins/ beside the program (a build tree), ~/.local/share/bench/plugins, and
 * ../lib/bench/plugins of an installed program. Only ELF notes are read, so
 * listing is fast and loads nothing. */
#ifndef PLUGIN_FIND_H
#define PLUGIN_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "plugin.h"

struct plugin_file {
    char *path;               /* "build/release/plugins/bench-lenet5.so" */
    char *name;               /* "lenet5": of the file */
    bool shadowed;            /* another file of that name comes first */
    struct nn_note_body note; /* all zero when refused */
    char *refusal; /* NULL, or why it cannot be used: "…: abi_major: found 3, expected 2" */
};

struct plugin_list {
    struct plugin_file *file; /* by name; of one name, in the order of the folders */
    size_t files;
    char **folder; /* those searched, in order, also the ones that do not exist */
    size_t folders;
};

void plugin_list_open(struct plugin_list *l);
void plugin_list_close(struct plugin_list *l);

/* The first file of that name, or NULL. */
const struct plugin_file *plugin_find(const struct plugin_list *l, const char *name);

/* One thing to run. The strings live until plugin_picks_free(). */
struct plugin_pick {
    char *path, *name, *variant;
    struct nn_note_body note;
};

/* What `selector` means, as a malloc'ed array of *count >= 1 picks:
 *   lenet5           the default (first) variant        lenet5:original   this variant
 *   lenet*, all      default variants of every match    lenet5:*          all its variants
 *   ./bench-x.so     a file, because of the slash; :variant may follow
 * False: EXIT_USAGE with a suggestion where nothing matches, EXIT_PLUGIN where the plugin that
 * is meant is refused. A glob passes over refused plugins unless nothing else is left. */
__attribute__((warn_unused_result)) bool plugin_select(const struct plugin_list *l,
                                                       const char *selector,
                                                       struct plugin_pick **picks, size_t *count,
                                                       struct err *err);
void plugin_picks_free(struct plugin_pick *picks, size_t count);

/* Words of a note's variant list, one after another: NULL first, then what it returned; false
 * at the end. `word` holds at least 64 bytes. */
bool note_next_variant(const char **at, char word[64]);

#endif
