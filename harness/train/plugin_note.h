/* plugin_note.h — what a shared object says of itself, read from its ELF note.
 *
 * No dlopen, so no foreign constructor runs and a file for another machine or
 * another ABI does no harm. The file counts as hostile: every offset is checked
 * against its length before it is followed. */
#ifndef PLUGIN_NOTE_H
#define PLUGIN_NOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "plugin.h"

/* Reads the note of the file at `path`; texts in *note are NUL-terminated for sure. False with
 * EXIT_PLUGIN where the file is no plugin for this program, the text telling file, field, found
 * and expected: "bench-x.so: abi_major: found 3, expected 2". Below 1 ms a file. */
__attribute__((warn_unused_result)) bool note_read(const char *path, struct nn_note_body *note,
                                                   struct err *err);

/* The same from bytes in memory; `path` is for messages only. */
__attribute__((warn_unused_result)) bool note_parse(const char *path, const void *bytes,
                                                    size_t size, struct nn_note_body *note,
                                                    struct err *err);

/* The facts of a note or of a descriptor put into one: magic, abi_major, sizes, pointer width and
 * name, checked in that order. The sizes may be larger than ours (newer), not smaller than ABI 1.0.
 */
__attribute__((warn_unused_result)) bool
note_check(const char *path, const struct nn_note_body *note, struct err *err);

#endif
