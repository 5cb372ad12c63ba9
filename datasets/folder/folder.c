/* folder.c — a folder of pictures as a data set; see folder.h. */
#define _GNU_SOURCE
#include "datasets/folder/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "datasets/folder/cache.h"
#include "datasets/folder/decode.h"
#include "datasets/folder/list.h"

enum { DEFAULT_SIDE = 256, NAME_MOST = 48 };

/* The shorter side of what is kept: 256 for 224, the usual margin for crops. */
static int side_for(const struct dataset_wish *w)
{
    const int field = w->height < w->width ? w->height : w->width;
    return field > 0 && w->channels > 0 ? (field * 8 + 6) / 7 : DEFAULT_SIDE;
}

/* As many channels as the network wants. A flat one does not say: grey, if that fits the first
 * picture. */
static bool choose_channels(const char *folder, const struct list *l, const struct dataset_wish *w,
                            int *channels, struct err *err)
{
    *channels = w->channels ? w->channels : 3;
    if (*channels != 1 && *channels != 3)
        return err_set(err, "'%s': pictures have 1 or 3 channels, the network's image has %d",
                       folder, *channels);
    if (w->width == 0 || w->channels > 0)
        return true;
    struct decode_facts facts;
    char *path = xprintf("%s/%s", folder, l->file[0].path);
    const bool sound = decode_header(path, &facts, err);
    free(path);
    if (sound && facts.height * facts.width == w->width)
        *channels = 1;
    return sound;
}

/* ------------------------------------------------------------------- the cache */

/* Everything that the decoded pictures depend on. */
static void make_key(struct cache_job *job)
{
    struct sha256 s = sha256_begin();
    char text[160];
    int n = snprintf(text, sizeof text, "%d %d %d %zu\n", CACHE_VERSION, job->channels, job->side,
                     job->list->train);
    sha256_add(&s, text, (size_t)n);
    for (size_t i = 0; i < job->list->files; i++) {
        const struct listed *f = &job->list->file[i];
        n = snprintf(text, sizeof text, "%d %d %llu %lld ", f->label, f->test,
                     (unsigned long long)f->bytes, (long long)f->changed_ns);
        sha256_add(&s, text, (size_t)n);
        sha256_add(&s, f->path, strlen(f->path) + 1);
    }
    sha256_end(&s, job->key);
}

static char *cache_folder(const char *wanted)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (wanted)
        return xstrdup(wanted);
    if (xdg && *xdg)
        return xprintf("%s/bench", xdg);
    return home && *home ? xprintf("%s/.cache/bench", home) : xstrdup("/tmp/bench-cache");
}

/* The pictures, from the cache or into it. */
static const struct cache_head *take(struct cache_job *job, const char *cache, struct err *err)
{
    char *folder = cache_folder(cache);
    char *path = xprintf("%s/%.16s.pictures", folder, job->key);
    job->path = path;
    const struct cache_head *h = cache_map(job);
    if (!h && path_make_folders(folder, err) && cache_write(job, err)) {
        h = cache_map(job);
        if (!h)
            err_set(err, "cannot map '%s'", path);
    }
    free(folder);
    free(path);
    return h;
}

/* ------------------------------------------------------------------ the data set */

/* One size for all, which the network's image holds: then it is a set like any other. */
static bool is_plain(const struct cache_head *h, const struct dataset_wish *w, int classes)
{
    const struct picture *p = cache_pictures(h);
    const int H = p->height, W = p->width;
    bool same = classes <= 256;
    for (uint64_t i = 1; i < h->items && same; i++)
        same = p[i].height == H && p[i].width == W;
    if (w->channels == 0)
        return same && (w->width == 0 || w->width == H * W * (int)h->channels);
    return same && H <= w->height && w->height <= 2 * H && W <= w->width && w->width <= 2 * W;
}

static struct images images_of(const struct cache_head *h, size_t from, size_t to, bool plain)
{
    const struct picture *p = cache_pictures(h) + from;
    uint8_t *const pixels = (uint8_t *)h + h->pixels; /* mapped read-only */
    if (!plain)
        return (struct images){.items = to - from, .pixels = pixels, .picture = p};
    struct images images = {
        .items = to - from, .pixels = pixels + p->at, .labels = xmalloc(to - from)};
    for (size_t i = 0; i < images.items; i++)
        images.labels[i] = (uint8_t)p[i].label;
    return images;
}

static void fill(struct dataset *d, const struct cache_head *h, const struct cache_job *job,
                 const struct dataset_wish *w)
{
    const struct picture *first = cache_pictures(h);
    const bool plain = is_plain(h, w, job->list->classes);
    const bool square = w->channels == 0 || w->height == 0;
    d->height = plain ? first->height : square ? job->side : w->height;
    d->width = plain ? first->width : square ? job->side : w->width;
    d->channels = job->channels;
    d->side = job->side;
    d->classes = job->list->classes;
    dataset_name_classes(d, (const char *const *)job->list->class_name, d->classes);
    d->map = (void *)h;
    d->map_bytes = h->bytes;
    d->train = images_of(h, 0, h->train, plain);
    d->test = images_of(h, h->train, h->items, plain);
    sums_end(&h->sums, d);
    memcpy(d->sha256, h->sha256, sizeof d->sha256);
}

/* "folder imagenette2", of ".../imagenette2/". */
static void name(struct dataset *d)
{
    size_t end = strlen(d->path);
    while (end > 1 && d->path[end - 1] == '/')
        d->path[--end] = '\0';
    const char *slash = strrchr(d->path, '/');
    d->name = d->own_name =
        xprintf("folder %.*s", NAME_MOST, slash && slash[1] ? slash + 1 : d->path);
}

static bool open_folder(const char *folder, const struct dataset_wish *w, struct dataset *d,
                        struct err *err)
{
    struct list l;
    d->path = xstrdup(folder);
    name(d);
    if (!list_open(d->path, &l, err))
        return false;
    struct cache_job job = {
        .folder = d->path, .list = &l, .side = side_for(w), .say = w->say, .stopped = w->stopped};
    bool sound = choose_channels(d->path, &l, w, &job.channels, err);
    if (sound) {
        make_key(&job);
        const struct cache_head *h = take(&job, w->cache, err);
        sound = h != NULL;
        if (sound)
            fill(d, h, &job, w);
    }
    list_release(&l);
    return sound;
}

const struct data_format format_folder = {
    .name = "folder", .is_at = list_is_at, .open = open_folder, .measured = true};
