/* frame.c — see frame.h. */
#define _GNU_SOURCE
#include "train/frame.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

enum { HEAD = 12, LONGEST = 256 << 20, READ = 1 << 16 };

static const char magic[4] = {'B', 'N', 'F', '1'};

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

bool frame_write(int fd, int type, json_t *json)
{
    char *payload = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    if (!payload)
        return false;
    const size_t n = strlen(payload);
    struct text frame = {0};
    const unsigned char rest[HEAD - sizeof magic] = {(unsigned char)type,
                                                     0,
                                                     0,
                                                     0,
                                                     (unsigned char)n,
                                                     (unsigned char)(n >> 8),
                                                     (unsigned char)(n >> 16),
                                                     (unsigned char)(n >> 24)};
    text_add_bytes(&frame, magic, sizeof magic);
    text_add_bytes(&frame, rest, sizeof rest);
    text_add_bytes(&frame, payload, n);
    const bool fine = write_all(fd, frame.bytes, frame.length);
    text_release(&frame);
    free(payload);
    return fine;
}

void frame_reader_release(struct frame_reader *r)
{
    free(r->bytes);
    *r = (struct frame_reader){0};
}

int frame_read(struct frame_reader *r, int fd)
{
    if (r->room - r->used < READ) {
        r->room = r->room * 2 + READ;
        r->bytes = xrealloc(r->bytes, r->room);
    }
    ssize_t n;
    do {
        n = read(fd, r->bytes + r->used, READ);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        r->used += (size_t)n;
    return (int)n;
}

int frame_next(struct frame_reader *r, int *type, json_t **json)
{
    const unsigned char *head = (const unsigned char *)r->bytes;
    if (r->used >= sizeof magic && memcmp(head, magic, sizeof magic) != 0)
        return -1;
    if (r->used < HEAD)
        return 0;
    const size_t n =
        head[8] | (size_t)head[9] << 8 | (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (head[4] == 0 || head[4] >= FRAME_TYPES || n > LONGEST)
        return -1;
    if (r->used < HEAD + n)
        return 0;
    *type = head[4];
    *json = json_loadb(r->bytes + HEAD, n, 0, NULL);
    r->used -= HEAD + n;
    memmove(r->bytes, r->bytes + HEAD + n, r->used);
    return *json ? 1 : -1;
}
