/* safetensors.h — named tensors in a file, in the format that Hugging Face defined
 * and every framework reads:
 *
 *     8 bytes   length n of the header, little-endian
 *     n bytes   JSON {"name":{"dtype":"F32","shape":[6,1,5,5],"data_offsets":[from,to]},…,
 *                     "__metadata__":{"key":"text",…}}, padded with spaces
 *     the rest  data; offsets count from here, tensors neither overlap nor leave gaps
 *
 * Files are hostile: all of that is checked before a byte of data is believed. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ST_RANK = 8 };
enum st_type { ST_F32, ST_I32, ST_F64, ST_I64, ST_F16, ST_BF16, ST_U8, ST_BOOL };

struct st_tensor {
    const char *name;
    int type, rank; /* enum st_type */
    size_t dim[ST_RANK], elements;
    const void *data; /* aligned for its type only if the writer did so; copy it out */
};

struct st_file {
    struct st_tensor *tensor; /* in the order of their data */
    size_t tensors;
    struct {
        const char *key, *value;
    } * meta;
    size_t metas;
    void *map; /* private: the file's bytes and what the names are kept in */
    size_t map_bytes;
    struct arena *arena;
};

/* Refuses, naming file and place, what breaks a rule above. The caller calls st_close(). */
__attribute__((warn_unused_result)) bool st_open(const char *path, struct st_file *f,
                                                 struct err *err);
/* The same from memory, borrowed until st_close(); `path` is for messages. */
__attribute__((warn_unused_result)) bool st_parse(const char *path, const void *bytes, size_t size,
                                                  struct st_file *f, struct err *err);
void st_close(struct st_file *f);
const struct st_tensor *st_find(const struct st_file *f, const char *name); /* or NULL */
const char *st_meta(const struct st_file *f, const char *key);              /* or NULL */

/* Writing: collect, then write at once. Texts are copied, data is copied too. */
struct st_writer;
struct st_writer *st_writer_new(void);
void st_writer_free(struct st_writer *w);
void st_add(struct st_writer *w, const char *name, int type, int rank, const size_t *dim,
            const void *data);
void st_add_meta(struct st_writer *w, const char *key, const char *value);
/* Through a temporary file beside it, so that `path` is whole or not there. A symbolic link is
 * written through; a device, a pipe or a folder is refused. */
__attribute__((warn_unused_result)) bool st_write(const struct st_writer *w, const char *path,
                                                  struct err *err);

/* "[6,1,5,5]" into text, which holds at least 128 bytes. */
const char *st_shape_text(int rank, const size_t *dim, char text[128]);
extern const char *const st_type_name[]; /* "F32", … */

#endif
