/* mem.c — see mem.h. */
#define _GNU_SOURCE
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = 1 << 16, ALIGN = 64, HUGE = 2 << 20, LARGE = HUGE / 4 };

static _Noreturn void out_of_memory(size_t bytes)
{
    fprintf(stderr, "bench: out of memory (%zu bytes)\n", bytes);
    abort();
}

void *xmalloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *xcalloc(size_t n, size_t bytes)
{
    void *p = calloc(n ? n : 1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(n * bytes);
    return p;
}

void *xrealloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

char *xstrdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

static char *print(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory(0);
    return s;
}

char *xprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = print(fmt, ap);
    va_end(ap);
    return s;
}

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    struct chunk *chunks;
};

struct arena *arena_new(void) { return xcalloc(1, sizeof(struct arena)); }

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    const size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct chunk *c = a->chunks;
    if (!c || c->size - c->used < size) {
        const size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        c = aligned_alloc(ALIGN, (sizeof *c + room + ALIGN - 1) / ALIGN * ALIGN);
        if (!c)
            out_of_memory(room);
        *c = (struct chunk){.next = a->chunks, .size = room};
        a->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += size;
    return memset(p, 0, size);
}

char *arena_strdup(struct arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = print(fmt, ap);
    va_end(ap);
    char *copy = arena_strdup(a, s);
    free(s);
    return copy;
}

static size_t whole_blocks(size_t bytes, size_t block)
{
    return bytes ? (bytes + block - 1) / block * block : block;
}

void *mem_large(size_t bytes)
{
    const size_t align = bytes >= LARGE ? HUGE : ALIGN, size = whole_blocks(bytes, align);
    void *p = size < bytes ? NULL : aligned_alloc(align, size);
    if (p && align == HUGE)
        (void)madvise(p, size, MADV_HUGEPAGE); /* a hint: small pages serve too */
    return p;
}

void *mem_map(size_t bytes)
{
    void *p = mem_large(bytes);
    if (!p)
        out_of_memory(bytes);
    return memset(p, 0, bytes);
}

void mem_unmap(void *p, size_t bytes)
{
    (void)bytes;
    free(p);
}
