/* text.c — see text.h. */
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void reserve(struct text *t, size_t more)
{
    if (t->length + more + 1 <= t->size)
        return;
    t->size = (t->length + more + 1) * 2;
    t->bytes = xrealloc(t->bytes, t->size);
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        reserve(t, (size_t)n);
        vsnprintf(t->bytes + t->length, (size_t)n + 1, fmt, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

void text_add_bytes(struct text *t, const void *bytes, size_t n)
{
    reserve(t, n);
    memcpy(t->bytes + t->length, bytes, n);
    t->length += n;
    t->bytes[t->length] = '\0';
}

void text_add_word(struct text *line, const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./%@";
    text_add(line, line->length ? " " : "");
    if (*word && !word[strspn(word, plain)]) {
        text_add(line, "%s", word);
        return;
    }
    text_add(line, "'");
    for (; *word; word++)
        text_add(line, *word == '\'' ? "'\\''" : "%c", *word);
    text_add(line, "'");
}

const char *text_str(const struct text *t) { return t->bytes ? t->bytes : ""; }

void text_release(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}

size_t text_utf8_length(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 0)
        return 0;
    const unsigned char first = (unsigned char)s[0];
    const size_t length = first < 0x80             ? 1
                          : (first & 0xe0) == 0xc0 ? 2
                          : (first & 0xf0) == 0xe0 ? 3
                          : (first & 0xf8) == 0xf0 ? 4
                                                   : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t c = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (c < smallest[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    if (code)
        *code = c;
    return length;
}

size_t text_sound(const char *s, size_t n)
{
    size_t at = 0;
    for (size_t step; at < n && s[at] && (step = text_utf8_length(s + at, n - at, NULL)) > 0;)
        at += step;
    return at;
}

enum { WORD = 64 };

/* Levenshtein 1966, one row at a time. Words of WORD letters and more are never near. */
static size_t distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    if (n >= WORD || m >= WORD)
        return WORD;
    size_t row[WORD];
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[m];
}

const char *text_nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2; /* beyond this it is another word */
    for (; *list; list++) {
        const size_t d = distance(word, *list);
        if (d < least) {
            least = d;
            best = *list;
        }
    }
    return best;
}

bool text_matches(const char *pattern, const char *s) { return fnmatch(pattern, s, 0) == 0; }

bool text_to_int(const char *s, long long lo, long long hi, long long *out)
{
    char *end;
    errno = 0;
    const long long v = strtoll(s, &end, 10);
    if (end == s || *end || errno || v < lo || v > hi)
        return false;
    *out = v;
    return true;
}

bool text_to_double(const char *s, double lo, double hi, double *out)
{
    char *end;
    errno = 0;
    const double v = strtod(s, &end);
    if (end == s || *end || errno == ERANGE || !isfinite(v) || v < lo || v > hi)
        return false;
    *out = v;
    return true;
}
