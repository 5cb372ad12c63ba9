/* bleu.h — how much of a translation stands in a reference: BLEU-4, Papineni, Roukos, Ward & Zhu:
 * BLEU: a method for automatic evaluation of machine translation. ACL 2002.
 *
 *     struct bleu b = {0};
 *     for each sentence: bleu_add(&b, hypothesis, n, reference, m);
 *     printf("%.2f", bleu_score(&b));
 *
 * Counts are summed over the corpus and only then divided: BLEU is no mean over sentences. Tokens
 * are numbers, whatever they stand for; begin and end marks and padding are left out by the caller.
 */
#ifndef BLEU_H
#define BLEU_H

#include <stddef.h>
#include <stdint.h>

enum { BLEU_ORDERS = 4 };

/* Zeroed first. match[k], total[k]: (k+1)-grams of the hypotheses that stand in a reference,
 * clipped, and all of them; lengths in tokens. */
struct bleu {
    double match[BLEU_ORDERS], total[BLEU_ORDERS], hypothesis, reference;
};

/* A hypothesis of n tokens, one reference of m; either may be empty, then its pointer may be NULL.
 */
void bleu_add(struct bleu *b, const int32_t *hypothesis, size_t n, const int32_t *reference,
              size_t m);

/* The same with several references: an n-gram counts as often as it stands in the one that has it
 * most often, and the length that counts is the one nearest to n, of two the shorter. */
void bleu_add_refs(struct bleu *b, const int32_t *hypothesis, size_t n,
                   const int32_t *const *reference, const size_t *m, size_t references);

/* BP exp(1/4 sum_k ln(match_k / total_k)) times 100, with BP = 1 where the hypotheses are longer
 * than the references, exp(1 - r/c) otherwise. 0 when some order has no match: nothing is smoothed,
 * so that even a perfect corpus of sentences below four tokens scores 0. */
double bleu_score(const struct bleu *b);

#endif
