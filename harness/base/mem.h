/* mem.h — memory. Small things come from an arena that lives as long as its
 * owner; tensors come from blocks of huge pages. Running out while setting up
 * aborts with a message: there is nothing better to do. */
#ifndef MEM_H
#define MEM_H

#include <stdarg.h>
#include <stddef.h>

__attribute__((malloc, returns_nonnull, alloc_size(1))) void *xmalloc(size_t bytes);
__attribute__((malloc, returns_nonnull, alloc_size(1, 2))) void *xcalloc(size_t n, size_t bytes);
__attribute__((returns_nonnull)) void *xrealloc(void *p, size_t bytes);
__attribute__((malloc, returns_nonnull)) char *xstrdup(const char *s);
__attribute__((malloc, returns_nonnull, format(printf, 1, 2))) char *xprintf(const char *fmt, ...);

/* Objects with one lifetime: allocated one by one, freed together. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is allowed */
void *arena_alloc(struct arena *a, size_t bytes); /* zeroed, aligned to 64 bytes */
char *arena_strdup(struct arena *a, const char *s);
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *a, const char *fmt, ...);

/* A zeroed block for tensors: 64-byte aligned (2 MiB from 512 KiB on, with huge
 * pages asked for) and touched once, because a fresh 4 KiB page costs twelve
 * times a DRAM write and must not be met inside a step. 0 bytes gives a valid
 * block too. Freed with the same `bytes`. */
void *mem_map(size_t bytes);
void mem_unmap(void *p, size_t bytes);

/* The same, neither zeroed nor touched, and NULL when there is no memory: for data whose size
 * a file tells. Freed with free(). */
__attribute__((malloc, alloc_size(1))) void *mem_large(size_t bytes);

#endif
