/* bleu.c — see bleu.h.
 *
 * The n-grams of a sentence are sorted once, by up to four tokens each: grams that share their
 * first k tokens then stand together, for every k, and two sentences are compared as two sorted
 * lists are merged. So a sentence of n tokens costs n log n, not n^2. */
#include "stats/bleu.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

/* The tokens from one place on; fewer than four at a sentence's end. */
struct gram {
    const int32_t *token;
    size_t tokens;
};

struct sentence {
    struct gram *gram; /* sorted */
    size_t grams;
};

/* By the first `most` tokens; where one gram is the beginning of the other, the shorter first. */
static int compare(const struct gram *a, const struct gram *b, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        if (i >= a->tokens || i >= b->tokens)
            return (i < a->tokens) - (i < b->tokens);
        if (a->token[i] != b->token[i])
            return a->token[i] < b->token[i] ? -1 : 1;
    }
    return 0;
}

static int ascending(const void *a, const void *b) { return compare(a, b, BLEU_ORDERS); }

static struct sentence sentence_of(const int32_t *token, size_t n)
{
    struct sentence s = {xcalloc(n + 1, sizeof *s.gram), n};
    for (size_t i = 0; i < n; i++)
        s.gram[i] = (struct gram){token + i, n - i < BLEU_ORDERS ? n - i : BLEU_ORDERS};
    if (n > 1)
        qsort(s.gram, n, sizeof *s.gram, ascending);
    return s;
}

/* How many grams of s from *at on begin as g does; *at moves past them and past all that is less.
 */
static size_t count_from(const struct sentence *s, size_t *at, const struct gram *g, size_t order)
{
    while (*at < s->grams && compare(&s->gram[*at], g, order) < 0)
        ++*at;
    const size_t first = *at;
    while (*at < s->grams && compare(&s->gram[*at], g, order) == 0)
        ++*at;
    return *at - first;
}

/* Count_clip of the paper: min(count, the most that a reference has), summed over different grams.
 */
static size_t clipped(const struct sentence *hypothesis, const struct sentence *reference,
                      size_t references, size_t *at, size_t order)
{
    size_t sum = 0;
    for (size_t r = 0; r < references; r++)
        at[r] = 0;
    for (size_t i = 0; i < hypothesis->grams;) {
        const struct gram *g = &hypothesis->gram[i];
        if (g->tokens < order) {
            i++;
            continue;
        }
        const size_t count = count_from(hypothesis, &i, g, order);
        size_t most = 0;
        for (size_t r = 0; r < references; r++) {
            const size_t here = count_from(&reference[r], &at[r], g, order);
            most = here > most ? here : most;
        }
        sum += count < most ? count : most;
    }
    return sum;
}

/* "Best match length", section 2.2.2. */
static size_t nearest(size_t n, const size_t *m, size_t references)
{
    size_t best = references ? m[0] : 0;
    for (size_t r = 1; r < references; r++) {
        const size_t old = best > n ? best - n : n - best, new = m[r] > n ? m[r] - n : n - m[r];
        if (new < old || (new == old &&m[r] < best))
            best = m[r];
    }
    return best;
}

void bleu_add_refs(struct bleu *b, const int32_t *hypothesis, size_t n,
                   const int32_t *const *reference, const size_t *m, size_t references)
{
    const struct sentence said = sentence_of(hypothesis, n);
    struct sentence *right = xcalloc(references + 1, sizeof *right);
    size_t *at = xcalloc(references + 1, sizeof *at);
    for (size_t r = 0; r < references; r++)
        right[r] = sentence_of(reference[r], m[r]);
    for (size_t k = 0; k < BLEU_ORDERS; k++) {
        b->match[k] += (double)clipped(&said, right, references, at, k + 1);
        b->total[k] += n > k ? (double)(n - k) : 0;
    }
    b->hypothesis += (double)n;
    b->reference += (double)nearest(n, m, references);
    for (size_t r = 0; r < references; r++)
        free(right[r].gram);
    free(right);
    free(at);
    free(said.gram);
}

void bleu_add(struct bleu *b, const int32_t *hypothesis, size_t n, const int32_t *reference,
              size_t m)
{
    bleu_add_refs(b, hypothesis, n, &reference, &m, 1);
}

double bleu_score(const struct bleu *b)
{
    double logs = 0;
    for (int k = 0; k < BLEU_ORDERS; k++) {
        if (!(b->match[k] > 0))
            return 0;
        logs += log(b->match[k] / b->total[k]) / BLEU_ORDERS;
    }
    const bool brief = b->hypothesis <= b->reference;
    return 100 * exp(logs + (brief ? 1 - b->reference / b->hypothesis : 0));
}
