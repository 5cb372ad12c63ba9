/* safetensors.c — see safetensors.h. */
#define _GNU_SOURCE
#include "train/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"

enum { LENGTH = 8, ALIGN = 8, LONGEST_HEADER = 100 * 1000 * 1000 /* the format's own limit */ };

const char *const st_type_name[] = {"F32", "I32", "F64", "I64", "F16", "BF16", "U8", "BOOL"};
static const size_t type_bytes[] = {4, 4, 8, 8, 2, 2, 1, 1};
enum { TYPES = sizeof type_bytes / sizeof type_bytes[0] };

const char *st_shape_text(int rank, const size_t *dim, char text[128])
{
    enum { TEXT = 128 };
    int n = snprintf(text, TEXT, "[");
    for (int i = 0; i < rank && n < TEXT - 24; i++)
        n += snprintf(text + n, (size_t)(TEXT - n), "%s%zu", i ? "," : "", dim[i]);
    snprintf(text + n, (size_t)(TEXT - n), "]");
    return text;
}

/* -------------------------------------------------------------------- reading */

struct parse {
    const char *path;
    const unsigned char *data; /* behind the header */
    size_t data_bytes;
    struct st_file *file;
    struct err *err;
};

static bool take_type(const json_t *j, int *type)
{
    const char *name = json_string_value(j);
    for (int i = 0; name && i < (int)TYPES; i++) {
        if (strcmp(name, st_type_name[i]) == 0) {
            *type = i;
            return true;
        }
    }
    return false;
}

static bool take_size(const json_t *j, size_t *out)
{
    const json_int_t v = json_integer_value(j);
    *out = (size_t)v;
    return json_is_integer(j) && v >= 0;
}

/* Shape and the number of elements, which must not wrap. */
static bool take_shape(const json_t *j, struct st_tensor *t)
{
    if (!json_is_array(j) || json_array_size(j) > ST_RANK)
        return false;
    t->rank = (int)json_array_size(j);
    t->elements = 1;
    for (int i = 0; i < t->rank; i++)
        if (!take_size(json_array_get(j, (size_t)i), &t->dim[i]) ||
            __builtin_mul_overflow(t->elements, t->dim[i], &t->elements))
            return false;
    return true;
}

static bool take_tensor(const struct parse *p, const char *name, const json_t *j,
                        struct st_tensor *t)
{
    const json_t *offsets = json_object_get(j, "data_offsets");
    size_t from, to, bytes;
    *t = (struct st_tensor){.name = arena_strdup(p->file->arena, name)};
    if (!take_type(json_object_get(j, "dtype"), &t->type))
        return err_set(p->err, "%s: tensor '%.100s': dtype is not one that is known", p->path,
                       name);
    if (!take_shape(json_object_get(j, "shape"), t) ||
        __builtin_mul_overflow(t->elements, type_bytes[t->type], &bytes))
        return err_set(p->err, "%s: tensor '%.100s': shape is not an array of up to %d sizes",
                       p->path, name, ST_RANK);
    if (json_array_size(offsets) != 2 || !take_size(json_array_get(offsets, 0), &from) ||
        !take_size(json_array_get(offsets, 1), &to) || from > to || to > p->data_bytes)
        return err_set(p->err, "%s: tensor '%.100s': data_offsets are not within %zu bytes of data",
                       p->path, name, p->data_bytes);
    if (to - from != bytes)
        return err_set(p->err, "%s: tensor '%.100s': found %zu bytes, expected %zu by its shape",
                       p->path, name, to - from, bytes);
    t->data = p->data + from;
    return true;
}

static bool take_metadata(const struct parse *p, json_t *j)
{
    struct st_file *f = p->file;
    const char *key;
    json_t *value;
    f->meta = arena_alloc(f->arena, (json_object_size(j) + 1) * sizeof *f->meta);
    json_object_foreach(j, key, value)
    {
        if (!json_is_string(value))
            return err_set(p->err, "%s: __metadata__ '%.100s' is no text", p->path, key);
        f->meta[f->metas].key = arena_strdup(f->arena, key);
        f->meta[f->metas++].value = arena_strdup(f->arena, json_string_value(value));
    }
    return json_is_object(j) || err_set(p->err, "%s: __metadata__ is no object", p->path);
}

static int by_place(const void *a, const void *b)
{
    const struct st_tensor *x = a, *y = b;
    const uintptr_t i = (uintptr_t)x->data, j = (uintptr_t)y->data;
    /* empty tensors before the one that starts where they are */
    return i != j ? (i > j) - (i < j) : (x->elements > y->elements) - (x->elements < y->elements);
}

/* Sorted by place, each begins where the one before ends, and the last ends with the file. */
static bool check_places(const struct parse *p)
{
    struct st_file *f = p->file;
    qsort(f->tensor, f->tensors, sizeof f->tensor[0], by_place);
    const unsigned char *at = p->data;
    for (size_t i = 0; i < f->tensors; i++) {
        const struct st_tensor *t = &f->tensor[i];
        if (t->data != at)
            return err_set(p->err, "%s: tensor '%.100s': begins at offset %td, expected %td",
                           p->path, t->name, (const unsigned char *)t->data - p->data,
                           at - p->data);
        at += t->elements * type_bytes[t->type];
    }
    const size_t used = (size_t)(at - p->data);
    return used == p->data_bytes || err_set(p->err, "%s: found %zu bytes of data, expected %zu",
                                            p->path, p->data_bytes, used);
}

static bool take_header(const struct parse *p, json_t *header)
{
    struct st_file *f = p->file;
    const char *name;
    json_t *j;
    if (!json_is_object(header))
        return err_set(p->err, "%s: the header is no object", p->path);
    f->tensor = arena_alloc(f->arena, (json_object_size(header) + 1) * sizeof f->tensor[0]);
    json_object_foreach(header, name, j)
    {
        const bool fine = strcmp(name, "__metadata__") == 0
                              ? take_metadata(p, j)
                              : take_tensor(p, name, j, &f->tensor[f->tensors++]);
        if (!fine)
            return false;
    }
    return check_places(p);
}

bool st_parse(const char *path, const void *bytes, size_t size, struct st_file *f, struct err *err)
{
    const unsigned char *b = bytes;
    uint64_t n = 0;
    if (size < LENGTH)
        return err_set(err, "%s: found %zu bytes, expected a header's length in 8", path, size);
    for (int i = LENGTH - 1; i >= 0; i--)
        n = n << 8 | b[i];
    if (n > LONGEST_HEADER || n > size - LENGTH)
        return err_set(err,
                       "%s: no safetensors file, or cut off: %zu bytes behind the first 8, which "
                       "tell of a header of %llu",
                       path, size - LENGTH, (unsigned long long)n);
    json_error_t why;
    json_t *header = json_loadb((const char *)b + LENGTH, n, JSON_REJECT_DUPLICATES, &why);
    if (!header)
        return err_set(err, "%s: header: %s at byte %d", path, why.text, why.position + LENGTH);
    struct st_file new = {.arena = arena_new()};
    const struct parse p = {path, b + LENGTH + n, size - LENGTH - n, &new, err};
    const bool fine = take_header(&p, header);
    json_decref(header);
    if (fine)
        *f = new;
    else
        arena_free(new.arena);
    return fine;
}

bool st_open(const char *path, struct st_file *f, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        err_set(err, "cannot read '%s': %s", path,
                fd < 0 ? strerror(errno) : "not a file, or an empty one");
        if (fd >= 0)
            close(fd);
        return false;
    }
    const size_t size = (size_t)st.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return err_set(err, "cannot map '%s': %s", path, strerror(errno));
    if (!st_parse(path, map, size, f, err)) {
        munmap(map, size);
        return false;
    }
    f->map = map;
    f->map_bytes = size;
    return true;
}

void st_close(struct st_file *f)
{
    arena_free(f->arena);
    if (f->map)
        munmap(f->map, f->map_bytes);
    *f = (struct st_file){0};
}

const struct st_tensor *st_find(const struct st_file *f, const char *name)
{
    for (size_t i = 0; i < f->tensors; i++)
        if (strcmp(f->tensor[i].name, name) == 0)
            return &f->tensor[i];
    return NULL;
}

const char *st_meta(const struct st_file *f, const char *key)
{
    for (size_t i = 0; i < f->metas; i++)
        if (strcmp(f->meta[i].key, key) == 0)
            return f->meta[i].value;
    return NULL;
}

/* -------------------------------------------------------------------- writing */

struct st_writer {
    json_t *header, *meta;
    struct text data;
};

struct st_writer *st_writer_new(void)
{
    struct st_writer *w = xcalloc(1, sizeof *w);
    w->header = json_object();
    w->meta = json_object();
    return w;
}

void st_writer_free(struct st_writer *w)
{
    json_decref(w->header);
    json_decref(w->meta);
    text_release(&w->data);
    free(w);
}

void st_add_meta(struct st_writer *w, const char *key, const char *value)
{
    json_object_set_new(w->meta, key, json_string(value));
}

void st_add(struct st_writer *w, const char *name, int type, int rank, const size_t *dim,
            const void *data)
{
    json_t *shape = json_array();
    size_t bytes = type_bytes[type];
    for (int i = 0; i < rank; i++) {
        json_array_append_new(shape, json_integer((json_int_t)dim[i]));
        bytes *= dim[i];
    }
    const json_int_t from = (json_int_t)w->data.length;
    text_add_bytes(&w->data, data, bytes);
    json_object_set_new(w->header, name,
                        json_pack("{s:s, s:o, s:[I,I]}", "dtype", st_type_name[type], "shape",
                                  shape, "data_offsets", from, from + (json_int_t)bytes));
}

static bool write_parts(FILE *file, const char *header, const struct text *data)
{
    const size_t length = strlen(header), padding = (ALIGN - length % ALIGN) % ALIGN;
    const uint64_t n = length + padding;
    unsigned char head[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        head[i] = (unsigned char)(n >> 8 * i);
    return fwrite(head, 1, LENGTH, file) == LENGTH && fwrite(header, 1, length, file) == length &&
           fprintf(file, "%*s", (int)padding, "") >= 0 &&
           fwrite(text_str(data), 1, data->length, file) == data->length;
}

bool st_write(const struct st_writer *w, const char *path, struct err *err)
{
    char *target = path_to_replace(path, err);
    if (!target)
        return false;
    json_t *all = json_copy(w->header);
    if (json_object_size(w->meta))
        json_object_set(all, "__metadata__", w->meta);
    char *header = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    char *temporary = xprintf("%s.%ld", target, (long)getpid());
    FILE *file = fopen(temporary, "wbe");
    bool fine = file && header && write_parts(file, header, &w->data);
    fine = file && fclose(file) == 0 && fine;
    fine = fine && rename(temporary, target) == 0;
    if (!fine) {
        err_set(err, "cannot write '%s': %s", path, strerror(errno));
        if (file)
            remove(temporary);
    }
    free(header);
    free(temporary);
    free(target);
    json_decref(all);
    return fine;
}
