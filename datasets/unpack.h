/* unpack.h — the bytes of a file, in order, unpacked on the way if gzip or xz packed it.
 *
 * What is packed is seen by its first bytes, not by its name. The file counts as
 * hostile: nothing it says is believed before the bytes are there. */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unpack;

/* NULL with *err set when `path` cannot be read or is no regular file. */
struct unpack *unpack_open(const char *path, struct err *err);
void unpack_close(struct unpack *u); /* NULL is allowed */

/* Reads the next n bytes; *got < n only at the end of a sound file. False when the disk
 * fails or the packed stream is cut or altered: *got bytes arrived before, and the error
 * tells only what happened, for the caller to say where: "gzip stream cut at its byte 80". */
bool unpack_read(struct unpack *u, void *to, size_t n, size_t *got, struct err *err);

/* Bytes that are still to come: exactly for a plain file; at most for a packed one, since
 * deflate never grows by more than 1032 (RFC 1951: 258 bytes from 2 bits), LZMA2 by no more than
 * 349 526 (2 MiB from a chunk of more than six bytes). */
uint64_t unpack_left(const struct unpack *u, bool *exact);

#endif
