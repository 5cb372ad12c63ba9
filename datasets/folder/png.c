/* png.c — a PNG through libpng; see decode.h. The library leaves by longjmp() when a
 * chunk is cut or its check sum wrong. */
#include "datasets/folder/decode.h"

#include <setjmp.h>
#include <stdlib.h>

#include <png.h>

#include "base/mem.h"

enum { CHUNK_MOST = 8 << 20 }; /* bytes that a text or profile may unpack to */

struct reading {
    const struct decoding *d;
    png_structp png;
    png_infop info;
    png_bytepp rows;
};

static void fail(png_structp png, png_const_charp message)
{
    const struct reading *r = png_get_error_ptr(png);
    err_set(r->d->err, "'%s': no sound PNG: %s", r->d->path, message);
    png_longjmp(png, 1);
}

static void warn(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* Whatever it is becomes eight bits of grey, or of red, green and blue. */
static void ask_for(const struct reading *r)
{
    const bool grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_strip_alpha(r->png);
    if (grey && r->d->channels == 3)
        png_set_gray_to_rgb(r->png);
    if (!grey && r->d->channels == 1)
        png_set_rgb_to_gray_fixed(r->png, PNG_ERROR_ACTION_NONE, 29900, 58700);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

static bool read_pixels(struct reading *r)
{
    const struct decode_facts *const f = r->d->facts;
    struct raster *const out = r->d->out;
    ask_for(r);
    if (!raster_make(out, f->height, f->width, r->d->channels))
        return err_set(r->d->err, "'%s': no memory for %d x %d pixels", r->d->path, f->width,
                       f->height);
    const size_t stride = (size_t)f->width * (size_t)out->channels;
    if (png_get_rowbytes(r->png, r->info) != stride)
        png_error(r->png, "rows of an unexpected length");
    r->rows = xmalloc((size_t)f->height * sizeof *r->rows);
    for (int y = 0; y < f->height; y++)
        r->rows[y] = out->bytes + (size_t)y * stride;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

static bool read_picture(struct reading *r)
{
    const struct decoding *const d = r->d;
    png_init_io(r->png, d->file);
    /* Ours is the one limit, and has the clearer words. */
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(r->png, CHUNK_MOST);
    png_read_info(r->png, r->info);
    const png_uint_32 height = png_get_image_height(r->png, r->info);
    const png_uint_32 width = png_get_image_width(r->png, r->info);
    if (!decode_size_fits(d, height, width))
        return false;
    d->facts->height = (int)height;
    d->facts->width = (int)width;
    d->facts->grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    return !d->out || read_pixels(r);
}

bool decode_png(const struct decoding *d)
{
    struct reading r = {.d = d};
    volatile bool sound = false;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, fail, warn);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info)
        err_set(d->err, "libpng does not start");
    else if (setjmp(png_jmpbuf(r.png)) == 0)
        sound = read_picture(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    return sound;
}
