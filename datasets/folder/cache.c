/* cache.c — see cache.h. Two passes: the headers of all pictures tell how large the file
 * will be, before any is decoded; then each picture goes to its place. Whoever is free takes the
 * next one. */
#define _GNU_SOURCE
#include "datasets/folder/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/mem.h"
#include "datasets/folder/decode.h"
#include "datasets/folder/shrink.h"

enum { LONGEST = 3, SUM = 16 }; /* length to width at most; digits kept of a picture's sum */

static const char magic[8] = {'b', 'e', 'n', 'c', 'h', 'p', 'i', 'c'};
static const int64_t silence_ns = 1000000000;

/* ------------------------------------------------------------------ all pictures */

struct making {
    const struct cache_job *job;
    struct picture *picture;
    char (*sum)[SUM];
    int file;
    uint64_t pixels; /* where they begin */
    struct sums *sums;
    bool (*work)(struct making *m, size_t item, int thread, struct raster room[2], struct err *err);
    const char *what;
    atomic_size_t next, done;
    atomic_size_t failed; /* the first picture that failed; SIZE_MAX: none */
    struct err *errors;   /* one a thread, of its own first failure */
    size_t *culprit;
    int64_t told;
};

static void tell(struct making *m)
{
    const int64_t now = clock_ns();
    char text[96];
    if (!m->job->say || now - m->told < silence_ns)
        return;
    m->told = now;
    snprintf(text, sizeof text, "%s: %zu of %zu", m->what, atomic_load(&m->done),
             m->job->list->files);
    m->job->say(text);
}

static bool one(struct making *m, size_t item, int thread, struct raster room[2], struct err *err)
{
    if (m->job->stopped && m->job->stopped())
        return err_set(err, "interrupted");
    return m->work(m, item, thread, room, err);
}

/* A failure stops all threads, but those before it in the list have been taken already: the
 * first of the failures is the same whoever was quicker, or nearly always. */
static void work_on(void *arg, const struct crew *crew)
{
    struct making *m = arg;
    struct raster room[2] = {{0}};
    for (size_t i; (i = atomic_fetch_add(&m->next, 1)) < m->job->list->files;) {
        if (atomic_load(&m->failed) != SIZE_MAX)
            break;
        if (!one(m, i, crew->thread, room, &m->errors[crew->thread])) {
            m->culprit[crew->thread] = i;
            atomic_store(&m->failed, i);
            break;
        }
        atomic_fetch_add(&m->done, 1);
        if (crew->thread == 0)
            tell(m);
    }
    raster_release(&room[0]);
    raster_release(&room[1]);
}

static bool each_picture(struct making *m, struct err *err)
{
    const int threads = crew_cores();
    m->errors = xcalloc((size_t)threads, sizeof *m->errors);
    m->culprit = xmalloc((size_t)threads * sizeof *m->culprit);
    memset(m->culprit, 0xff, (size_t)threads * sizeof *m->culprit);
    atomic_store(&m->next, 0);
    atomic_store(&m->done, 0);
    atomic_store(&m->failed, SIZE_MAX);
    m->told = clock_ns();
    crew_run(threads, work_on, m);
    int first = 0;
    for (int t = 1; t < threads; t++)
        first = m->culprit[t] < m->culprit[first] ? t : first;
    const bool sound = m->culprit[first] == SIZE_MAX;
    if (!sound && err)
        *err = m->errors[first];
    free(m->errors);
    free(m->culprit);
    return sound;
}

/* ---------------------------------------------------------------- what is kept */

/* The part of a picture that is kept, and the size it is kept in. */
struct kept {
    struct shrink_part part;
    int height, width;
};

static struct kept keep(int height, int width, int side)
{
    const int least = height < width ? height : width, most = LONGEST * least;
    const int h = height < most ? height : most, w = width < most ? width : most;
    struct kept k = {{(height - h) / 2, (width - w) / 2, h, w}, h, w};
    if (least > side) {
        k.height = (int)(((int64_t)h * side + least / 2) / least);
        k.width = (int)(((int64_t)w * side + least / 2) / least);
    }
    return k;
}

static char *path_of(const struct making *m, size_t item)
{
    return xprintf("%s/%s", m->job->folder, m->job->list->file[item].path);
}

static bool measure(struct making *m, size_t item, int thread, struct raster room[2],
                    struct err *err)
{
    (void)thread;
    (void)room;
    struct decode_facts facts;
    char *path = path_of(m, item);
    const bool sound = decode_header(path, &facts, err);
    free(path);
    if (!sound)
        return false;
    const struct kept k = keep(facts.height, facts.width, m->job->side);
    m->picture[item] = (struct picture){.height = (uint16_t)k.height,
                                        .width = (uint16_t)k.width,
                                        .label = (uint16_t)m->job->list->file[item].label};
    return true;
}

/* The whole of it or nothing. */
static bool write_at(int file, const void *bytes, size_t n, uint64_t at, struct err *err)
{
    const char *from = bytes;
    while (n > 0) {
        const ssize_t w = pwrite(file, from, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_set(err, "cannot write the cache: %s", strerror(w ? errno : ENOSPC));
        from += w;
        at += (uint64_t)w;
        n -= (size_t)w;
    }
    return true;
}

static void sum_picture(struct making *m, size_t item, int thread, const struct raster *r)
{
    const struct picture *p = &m->picture[item];
    const uint16_t head[3] = {p->height, p->width, p->label};
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    char hex[SHA256_HEX];
    struct sha256 s = sha256_begin();
    sha256_add(&s, head, sizeof head);
    sha256_add(&s, r->bytes, pixels * (size_t)r->channels);
    sha256_end(&s, hex);
    memcpy(m->sum[item], hex, SUM);
    if (item < m->job->list->train)
        sums_add(&m->sums[thread], r->bytes, pixels, r->channels);
}

/* A JPEG may come in eighths of its size, so the part is looked for again in what has come. */
static bool decode_one(struct making *m, size_t item, int thread, struct raster room[2],
                       struct err *err)
{
    const struct picture *p = &m->picture[item];
    char *path = path_of(m, item);
    bool sound = decode_file(path, m->job->channels, m->job->side, &room[0], err);
    const struct raster *result = &room[0];
    const struct kept k =
        sound ? keep(room[0].height, room[0].width, m->job->side) : (struct kept){0};
    const bool whole = p->height == room[0].height && p->width == room[0].width;
    if (sound && !whole) {
        sound = (raster_make(&room[1], p->height, p->width, m->job->channels) &&
                 shrink(&room[0], &k.part, &room[1])) ||
                err_set(err, "'%s': no memory to resize it", path);
        result = &room[1];
    }
    if (sound)
        sum_picture(m, item, thread, result);
    const size_t bytes = (size_t)p->height * p->width * (size_t)m->job->channels;
    sound = sound && write_at(m->file, result->bytes, bytes, m->pixels + p->at, err);
    free(path);
    return sound;
}

/* ------------------------------------------------------------------- the file */

/* Gives every picture its place; returns the bytes of all. */
static uint64_t place(struct making *m)
{
    uint64_t at = 0;
    for (size_t i = 0; i < m->job->list->files; i++) {
        struct picture *p = &m->picture[i];
        p->at = at;
        at += (uint64_t)p->height * p->width * (uint64_t)m->job->channels;
    }
    return at;
}

static bool fits_disk(const struct making *m, uint64_t bytes, struct err *err)
{
    struct statvfs fs;
    if (fstatvfs(m->file, &fs) != 0)
        return err_set(err, "cannot look at '%s': %s", m->job->path, strerror(errno));
    const uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes < room)
        return true;
    return err_set(err,
                   "'%s': the decoded pictures take %.2f GB, and the disk of '%s' has %.2f: "
                   "--cache DIR puts them elsewhere",
                   m->job->folder, (double)bytes * 1e-9, m->job->path, (double)room * 1e-9);
}

static void finish_head(const struct making *m, struct cache_head *h)
{
    struct sha256 s = sha256_begin();
    for (int t = 0; t < crew_cores(); t++)
        sums_join(&h->sums, &m->sums[t]);
    sha256_add(&s, m->sum, m->job->list->files * sizeof *m->sum);
    sha256_end(&s, h->sha256);
}

static bool write_all(struct making *m, struct err *err)
{
    const struct list *l = m->job->list;
    struct cache_head h = {.version = CACHE_VERSION,
                           .channels = (uint32_t)m->job->channels,
                           .items = l->files,
                           .train = l->train};
    const uint64_t table = l->files * sizeof *m->picture;
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.key, m->job->key, sizeof h.key);
    m->what = "looking at pictures";
    m->work = measure;
    if (!each_picture(m, err))
        return false;
    m->pixels = h.pixels = (sizeof h + table + CACHE_ALIGN - 1) / CACHE_ALIGN * CACHE_ALIGN;
    h.bytes = h.pixels + place(m);
    m->what = "decoding pictures";
    m->work = decode_one;
    if (!fits_disk(m, h.bytes, err) || !each_picture(m, err))
        return false;
    finish_head(m, &h);
    return write_at(m->file, m->picture, table, sizeof h, err) &&
           write_at(m->file, &h, sizeof h, 0, err);
}

bool cache_write(const struct cache_job *job, struct err *err)
{
    char *draft = xprintf("%s.XXXXXX", job->path);
    struct making m = {.job = job, .file = mkostemp(draft, O_CLOEXEC)};
    if (m.file < 0) {
        err_set(err, "cannot write '%s': %s; --cache DIR puts the decoded pictures elsewhere",
                job->path, strerror(errno));
        free(draft);
        return false;
    }
    m.picture = xcalloc(job->list->files, sizeof *m.picture);
    m.sum = xcalloc(job->list->files, sizeof *m.sum);
    m.sums = xcalloc((size_t)crew_cores(), sizeof *m.sums);
    bool sound = write_all(&m, err);
    close(m.file);
    if (sound && rename(draft, job->path) != 0)
        sound = err_set(err, "cannot write '%s': %s", job->path, strerror(errno));
    if (!sound)
        unlink(draft);
    free(m.picture);
    free(m.sum);
    free(m.sums);
    free(draft);
    return sound;
}

/* ------------------------------------------------------------------- mapping */

static bool head_fits(const struct cache_head *h, const struct cache_job *job, uint64_t bytes)
{
    const uint64_t most = (bytes - sizeof *h) / sizeof(struct picture);
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->version == CACHE_VERSION &&
           memcmp(h->key, job->key, sizeof h->key) == 0 && h->bytes == bytes &&
           h->channels == (uint32_t)job->channels && h->items == job->list->files &&
           h->train == job->list->train && h->items <= most && h->pixels <= bytes &&
           h->pixels >= sizeof *h + h->items * sizeof(struct picture);
}

static bool pictures_fit(const struct cache_head *h, int classes)
{
    const struct picture *p = cache_pictures(h);
    const uint64_t room = h->bytes - h->pixels;
    bool fit = true;
    for (uint64_t i = 0; i < h->items && fit; i++) {
        const uint64_t bytes = (uint64_t)p[i].height * p[i].width * h->channels;
        fit = bytes > 0 && bytes <= room && p[i].at <= room - bytes && p[i].label < classes;
    }
    return fit;
}

const struct cache_head *cache_map(const struct cache_job *job)
{
    const int file = open(job->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    const struct cache_head *h = NULL;
    if (file < 0)
        return NULL;
    if (fstat(file, &st) == 0 && st.st_size > (off_t)sizeof *h) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, file, 0);
        h = map == MAP_FAILED ? NULL : map;
        if (h &&
            (!head_fits(h, job, (uint64_t)st.st_size) || !pictures_fit(h, job->list->classes))) {
            munmap(map, (size_t)st.st_size);
            h = NULL;
        }
    }
    close(file);
    return h;
}
