/* decode.h — one JPEG or PNG file to bytes.
 *
 * What a file is, its first bytes tell, not its name. It counts as hostile: sizes are
 * looked at before memory is asked for, limits are DECODE_LEAST to DECODE_SIDE pixels
 * long and wide and DECODE_PIXELS in all. Grey, CMYK and YCCK JPEG, palettes, alpha
 * (dropped) and sixteen bits (rounded) become what is asked for: red, green, blue, or
 * grey. Orientation and colour profiles are ignored, as most training programs do. */
#ifndef DECODE_H
#define DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum { DECODE_LEAST = 8, DECODE_SIDE = 16384, DECODE_PIXELS = 100000000 };

struct raster {
    int height, width, channels;
    uint8_t *bytes; /* [height][width][channels]; malloc'ed */
    size_t room;    /* bytes that there is memory for: a raster may be used again and again */
};
void raster_release(struct raster *r);

/* Makes room; false when there is no memory. */
bool raster_make(struct raster *r, int height, int width, int channels);

/* The size that a file's header tells, and whether it is grey. Errors name the file. */
struct decode_facts {
    int height, width;
    bool grey;
};
bool decode_header(const char *path, struct decode_facts *facts, struct err *err);

/* The whole picture with `channels` 1 or 3; a JPEG may come smaller, in eighths, but no shorter
 * side below `least` for that. Refuses what decode_header() does, and files that are cut. */
bool decode_file(const char *path, int channels, int least, struct raster *out, struct err *err);

/* For jpeg.c and png.c: the file stands at its beginning. `out` NULL: the header only. */
struct decoding {
    const char *path;
    FILE *file;
    int channels, least;
    struct decode_facts *facts;
    struct raster *out;
    struct err *err;
};
bool decode_jpeg(const struct decoding *d);
bool decode_png(const struct decoding *d);

/* Whether so large a picture is taken; false with the error set. */
bool decode_size_fits(const struct decoding *d, uint64_t height, uint64_t width);

/* ITU-R BT.601 luma, as JPEG has it. */
static inline uint8_t decode_grey(int red, int green, int blue)
{
    return (uint8_t)((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
}

#endif
