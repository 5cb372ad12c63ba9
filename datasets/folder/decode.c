/* decode.c — opens a picture, sees what it is, and has it read; see decode.h. */
#define _GNU_SOURCE
#include "datasets/folder/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void raster_release(struct raster *r)
{
    free(r->bytes);
    *r = (struct raster){0};
}

bool raster_make(struct raster *r, int height, int width, int channels)
{
    const size_t bytes = (size_t)height * (size_t)width * (size_t)channels;
    if (bytes > r->room) {
        free(r->bytes); /* nothing in it is needed any more */
        r->bytes = malloc(bytes);
        r->room = r->bytes ? bytes : 0;
    }
    r->height = height;
    r->width = width;
    r->channels = channels;
    return bytes <= r->room;
}

bool decode_size_fits(const struct decoding *d, uint64_t height, uint64_t width)
{
    const unsigned long long h = height, w = width;
    if (h < DECODE_LEAST || w < DECODE_LEAST)
        return err_set(d->err, "'%s': expected at least %d x %d pixels, found %llu x %llu", d->path,
                       DECODE_LEAST, DECODE_LEAST, w, h);
    if (h > DECODE_SIDE || w > DECODE_SIDE || h * w > DECODE_PIXELS)
        return err_set(d->err,
                       "'%s': expected at most %d x %d and %d million pixels, found %llu x %llu",
                       d->path, DECODE_SIDE, DECODE_SIDE, DECODE_PIXELS / 1000000, w, h);
    return true;
}

/* Regular files only; a pipe of that name must not hang us. */
static FILE *open_file(const char *path, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) {
        err_set(err, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        err_set(err, "'%s' is not a regular file", path);
        close(fd);
        return NULL;
    }
    FILE *f = fdopen(fd, "rb");
    if (!f) {
        err_set(err, "cannot read '%s': %s", path, strerror(errno));
        close(fd);
    }
    return f;
}

static bool decode(struct decoding *d)
{
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G'};
    uint8_t head[4] = {0};
    d->file = open_file(d->path, d->err);
    if (!d->file)
        return false;
    const size_t got = fread(head, 1, sizeof head, d->file);
    rewind(d->file);
    bool sound = false;
    if (memcmp(head, jpeg, sizeof jpeg) == 0)
        sound = decode_jpeg(d);
    else if (memcmp(head, png, sizeof png) == 0)
        sound = decode_png(d);
    else if (got < sizeof head)
        err_set(d->err, "'%s': expected a JPEG or PNG image, found %zu bytes", d->path, got);
    else
        err_set(d->err, "'%s': expected a JPEG or PNG image, found %02x %02x %02x %02x at byte 0",
                d->path, head[0], head[1], head[2], head[3]);
    fclose(d->file);
    return sound;
}

bool decode_header(const char *path, struct decode_facts *facts, struct err *err)
{
    struct decoding d = {.path = path, .facts = facts, .err = err};
    return decode(&d);
}

bool decode_file(const char *path, int channels, int least, struct raster *out, struct err *err)
{
    struct decode_facts facts;
    struct decoding d = {.path = path,
                         .channels = channels,
                         .least = least,
                         .facts = &facts,
                         .out = out,
                         .err = err};
    return decode(&d);
}
