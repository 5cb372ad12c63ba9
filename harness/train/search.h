/* search.h — from scores of what may come next to sequences: greedy decoding, beam search, drawing
 * by chance. Nothing here knows a network: scores come from a function. */
#ifndef SEARCH_H
#define SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* Which tokens are never said: bit i for token i, of the first 32. */
enum { NEVER_PAD_OR_BEGIN = 1 << 0 | 1 << 2, NEVER_UNKNOWN = 1 << 1 };

/* Who scores what may come next: logarithms of probabilities but for a constant a row. */
struct scorer {
    int tokens;     /* different ones: scores a row */
    int end;        /* the token that ends a sequence */
    unsigned never; /* tokens never said: NEVER_… */
    /* [n][tokens], of the token behind the first `length` of each of n rows; row i begins at prefix
     * + i * stride, and was row from[i] in the call before (from rises, and so never spreads a
     * row), or has another past of the same source where `from` is NULL. NULL ends the search:
     * interrupted, or a score that is not a number. */
    const float *(*scores)(void *arg, const int32_t *prefix, size_t stride, int n, int length,
                           const int *from);
    void *arg;
};

/* The first of the largest scores among tokens that may be said. */
int32_t search_best(const float *scores, int tokens, unsigned never);

/* Says the most probable token each time. Row i begins with `begin` at said + i * stride, is
 * written on from there, and ends at `end`, or when it has most[i] < stride tokens more; length[i]
 * counts these, without `end`. Rows that have ended are asked about no more. False: the search was
 * ended. */
bool search_greedy(const struct scorer *s, int rows, int32_t begin, const int *most, size_t stride,
                   int32_t *said, int *length);

enum { BEAM = 64 }; /* the widest */

/* Beam search: of all ways to go on from the `beam` best beginnings the `beam` best are kept; a
 * sequence that has ended is scored by
 *
 *     log p(y) / ((5 + |y|) / 6)^0.6        |y| with its end                 Wu et al. 2016, alpha
 * 0.6
 *
 * and the search is over when no beginning can still become better than the best that has ended, or
 * at `most` tokens. Writes up to `beam` sequences, best first, to said + i * stride, stride > most,
 * with their lengths, without beginning and end, and scores; returns how many, -1 if the search was
 * ended. */
int search_beam(const struct scorer *s, int beam, int32_t begin, int most, size_t stride,
                int32_t *said, int *length, double *score);

/* Draws by chance: the scores divided by the temperature (0: the best), of the `top` best tokens
 * only (0: all; of equal ones the first). */
struct sampler {
    double temperature;
    int top, tokens;
    unsigned never;
    struct rng random;
    double *weight; /* [tokens] */
    int32_t *order; /* [tokens] */
};
void sampler_init(struct sampler *s, int tokens, unsigned never, double temperature, int top,
                  uint64_t seed, uint64_t stream);
void sampler_release(struct sampler *s);
int32_t sampler_draw(struct sampler *s, const float *scores);

/* log(sum exp(scores)) in double. */
double search_log_sum(const float *scores, int tokens);

#endif
