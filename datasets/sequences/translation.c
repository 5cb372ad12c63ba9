/* translation.c — see translation.h. */
#include "datasets/sequences/translation.h"

#include <stdlib.h>

#include "base/mem.h"

/* The tokens of a text between <s> and </s>, or bare; malloc'ed. */
static int32_t *spell(struct vocabulary *v, bool enclosed, const char *text, size_t bytes,
                      size_t *count)
{
    int32_t *id = xmalloc((bytes + 2) * sizeof *id);
    struct token t;
    size_t n = 0;
    if (enclosed)
        id[n++] = TOKEN_BEGIN;
    while (vocabulary_next(vocabulary_kind(v), &text, &bytes, &t)) {
        const int32_t found = vocabulary_kind(v) == TOKEN_CHARACTERS
                                  ? vocabulary_add(v, t.bytes, t.n)
                                  : vocabulary_find(v, t.bytes, t.n);
        id[n++] = found < 0 ? TOKEN_UNKNOWN : found;
    }
    if (enclosed)
        id[n++] = TOKEN_END;
    *count = n;
    return id;
}

size_t translation_add(struct sequences *s, const char *source, size_t source_bytes,
                       const char *target, size_t target_bytes)
{
    size_t n;
    int32_t *id = spell(s->vocabulary[0], false, source, source_bytes, &n);
    const size_t row = series_add(&s->series[0], id, n);
    free(id);
    id = spell(s->vocabulary[1], true, target, target_bytes, &n);
    series_add(&s->series[1], id, n);
    free(id);
    return row;
}

void translation_declare(struct sequences *s)
{
    const struct vocabulary *const from = s->vocabulary[0], *const to = s->vocabulary[1];
    const struct sequence_input source = {.name = "source",
                                          .length = "source_length",
                                          .tokens = vocabulary_count(from),
                                          .vocabulary = from};
    const struct sequence_input target = {.name = "target",
                                          .length = "target_length",
                                          .series = 1,
                                          .cut = 1,
                                          .tokens = vocabulary_count(to),
                                          .vocabulary = to};
    struct sequence_input next = target;
    next.name = "next";
    next.length = NULL;
    next.skip = 1;
    next.cut = 0;
    next.pad = -1;
    sequences_add_input(s, source);
    sequences_add_input(s, target);
    sequences_add_input(s, next);
}
