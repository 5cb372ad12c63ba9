/* text.h — strings that grow, and help with strings that people mistype. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string; {0} is an empty one. text_str() never returns NULL. */
struct text {
    char *bytes;
    size_t length, size;
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *fmt, ...);
void text_add_bytes(struct text *t, const void *bytes, size_t n);
const char *text_str(const struct text *t);
void text_release(struct text *t); /* frees, and leaves {0} */

/* One more word of a command line, quoted where a shell would see more than letters. */
void text_add_word(struct text *line, const char *word);

/* The entry of a NULL-terminated list nearest to `word` by edit distance, or NULL
 * when none is near enough to be what was meant. */
const char *text_nearest(const char *word, const char *const *list);

/* Shell patterns * and ?. */
bool text_matches(const char *pattern, const char *s);

/* The length of the sound UTF-8 character at s, n bytes being there; 0 if it is none (RFC 3629: no
 * surrogates, nothing overlong, nothing beyond U+10FFFF). *code may be NULL. */
size_t text_utf8_length(const char *s, size_t n, uint32_t *code);

/* How many bytes of n are sound UTF-8, and no NUL; n: all. */
size_t text_sound(const char *s, size_t n);

/* Numbers, strictly: the whole string, in range, nothing behind it. */
bool text_to_int(const char *s, long long lo, long long hi, long long *out);
bool text_to_double(const char *s, double lo, double hi, double *out);

#endif
