/* wire.h — the structs of run.h and generate.h as JSON, for the pipe between worker and parent.
 *
 * Each struct has a table of its fields, which both directions follow. JSON knows
 * no NaN and no infinity: both travel as null and arrive as NaN. */
#ifndef WIRE_H
#define WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum wire_kind {
    WIRE_INT,
    WIRE_INT64, /* long long, int64_t, size_t: below 2^63 */
    WIRE_DOUBLE,
    WIRE_BOOL,
    WIRE_TEXT,    /* char[room], always with its end */
    WIRE_STRING,  /* const char *, may be NULL; unpacked: borrowed from the JSON */
    WIRE_METRICS, /* struct run_metric[RUN_METRICS]; the nameless are left out */
    WIRE_TIMES,   /* const double *, and at offset `room` a size_t that counts them; unpacked:
                     malloc'ed */
};

struct wire_field {
    const char *name; /* NULL ends the table */
    int kind;         /* enum wire_kind */
    size_t offset, room;
};

extern const struct wire_field wire_spec[], wire_generate[], wire_plan[], wire_progress[], wire_epoch[],
    wire_layer[], wire_profile[], wire_counter[], wire_end[];

/* JSON has UTF-8 alone: false and EXIT_USAGE for a WIRE_STRING, which would arrive as another. */
__attribute__((warn_unused_result)) bool wire_fits(const struct wire_field *fields,
                                                   const void *object, struct err *err);

/* A new reference. */
json_t *wire_pack(const struct wire_field *fields, const void *object);

/* Every field must be there with its type; what else is there is passed over. On failure
 * *object is unusable and owns nothing. */
__attribute__((warn_unused_result)) bool
wire_unpack(const struct wire_field *fields, const json_t *json, void *object, struct err *err);

#endif
