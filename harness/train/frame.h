/* frame.h — messages through a pipe: worker to parent.
 *
 *     4 bytes "BNF1"   1 byte type   3 bytes 0   4 bytes length, little-endian   JSON
 *
 * The magic tells a message from what a plugin scribbles into a descriptor that
 * is not its own. */
#ifndef FRAME_H
#define FRAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum frame_type {
    FRAME_PHASE = 1, /* {"phase":"build()"}: what the worker is about to do */
    FRAME_PLAN,
    FRAME_PROGRESS,
    FRAME_EPOCH,
    FRAME_SAMPLE,
    FRAME_LAYER,
    FRAME_COUNTER,
    FRAME_PROFILE,
    FRAME_END,
    FRAME_REPORT, /* a document: plugin_describe(), plugin_check() */
    FRAME_TYPES,
};

/* Takes `json`. False when nobody listens any more. */
bool frame_write(int fd, int type, json_t *json);

/* Bytes that have come but are no whole frame yet; {0} to begin. */
struct frame_reader {
    char *bytes;
    size_t used, room;
};
void frame_reader_release(struct frame_reader *r);

/* Reads once: > 0 bytes came, 0 the other end is closed, < 0 an error other than EINTR. */
int frame_read(struct frame_reader *r, int fd);

/* Takes the next whole frame out: 1 and *json (the caller's); 0, none yet; -1, no frame of ours. */
int frame_next(struct frame_reader *r, int *type, json_t **json);

#endif
