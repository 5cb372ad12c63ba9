/* jpeg.c — a JPEG through libjpeg-turbo; see decode.h.
 *
 * The library speaks of trouble by calls: errors leave by longjmp(), and of its warnings the one
 * about a file that ends too early is an error here. Others (stray bytes between markers, odd
 * colour transforms) occur in every large collection and change nothing that can be seen. */
#include "datasets/folder/decode.h"

#include <setjmp.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* Some dozen scans make a progressive picture; thousands of them are an attack on our time. */
enum { SCANS_MOST = 500 };

struct reading {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    const struct decoding *d;
    struct raster line; /* of four channels */
    jmp_buf back;
};

static void fail(j_common_ptr jpeg)
{
    struct reading *r = jpeg->client_data;
    char message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    err_set(r->d->err, "'%s': no sound JPEG: %s", r->d->path, message);
    longjmp(r->back, 1);
}

static void warn(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
        fail(jpeg);
}

static void count_scans(j_common_ptr jpeg)
{
    struct reading *r = jpeg->client_data;
    if (r->jpeg.input_scan_number <= SCANS_MOST)
        return;
    err_set(r->d->err, "'%s': expected a JPEG of at most %d scans, found more", r->d->path,
            SCANS_MOST);
    longjmp(r->back, 1);
}

/* The eighths in which the picture is decoded: the fewest that leave `least` pixels. */
static unsigned eighths(const struct jpeg_decompress_struct *j, int least)
{
    const unsigned side = j->image_width < j->image_height ? j->image_width : j->image_height;
    unsigned n = 1;
    while (n < 8 && side * n / 8 < (unsigned)least)
        n++;
    return n;
}

/* Adobe's programs write CMYK inverted, and say who they are. */
static void from_cmyk(const struct reading *r, const uint8_t *line, int width, uint8_t *out)
{
    const int flip = r->jpeg.saw_Adobe_marker ? 0 : 255;
    for (int x = 0; x < width; x++, line += 4) {
        int rgb[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = ((line[c] ^ flip) * (line[3] ^ flip) + 127) / 255;
        if (r->d->channels == 1)
            *out++ = decode_grey(rgb[0], rgb[1], rgb[2]);
        else
            for (int c = 0; c < 3; c++)
                *out++ = (uint8_t)rgb[c];
    }
}

static bool read_lines(struct reading *r)
{
    struct jpeg_decompress_struct *const j = &r->jpeg;
    struct raster *const out = r->d->out;
    const bool cmyk = j->out_color_space == JCS_CMYK;
    const int height = (int)j->output_height, width = (int)j->output_width;
    if (!raster_make(out, height, width, r->d->channels) ||
        (cmyk && !raster_make(&r->line, 1, width, 4)))
        return err_set(r->d->err, "'%s': no memory for %d x %d pixels", r->d->path, width, height);
    const size_t stride = (size_t)width * (size_t)out->channels;
    while (j->output_scanline < j->output_height) {
        uint8_t *const at = out->bytes + j->output_scanline * stride;
        JSAMPROW row = cmyk ? r->line.bytes : at;
        jpeg_read_scanlines(j, &row, 1);
        if (cmyk)
            from_cmyk(r, row, width, at);
    }
    return true;
}

static bool read_picture(struct reading *r)
{
    struct jpeg_decompress_struct *const j = &r->jpeg;
    const struct decoding *const d = r->d;
    jpeg_stdio_src(j, d->file);
    jpeg_read_header(j, TRUE);
    if (!decode_size_fits(d, j->image_height, j->image_width))
        return false;
    d->facts->height = (int)j->image_height;
    d->facts->width = (int)j->image_width;
    d->facts->grey = j->jpeg_color_space == JCS_GRAYSCALE;
    if (!d->out)
        return true;
    const bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    j->out_color_space = cmyk ? JCS_CMYK : d->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    j->scale_num = eighths(j, d->least);
    j->scale_denom = 8;
    jpeg_start_decompress(j);
    if (!read_lines(r))
        return false;
    jpeg_finish_decompress(j);
    return true;
}

bool decode_jpeg(const struct decoding *d)
{
    struct reading r = {.d = d};
    volatile bool sound = false;
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = fail;
    r.errors.emit_message = warn;
    r.progress.progress_monitor = count_scans;
    r.jpeg.client_data = &r;
    if (setjmp(r.back) == 0) {
        jpeg_create_decompress(&r.jpeg);
        r.jpeg.progress = &r.progress;
        sound = read_picture(&r);
    }
    jpeg_destroy_decompress(&r.jpeg);
    raster_release(&r.line);
    return sound;
}
