/* signed_rank.h — paired differences without a law to assume: Wilcoxon 1945, Hodges & Lehmann
 * 1963. d_i is ln b_i - ln a_i of a pair measured side by side. */
#ifndef SIGNED_RANK_H
#define SIGNED_RANK_H

#include <stddef.h>
#include <stdint.h>

/* The median of the Walsh averages (d_i + d_j)/2, i <= j; NAN for n = 0. Symmetric: swapping the
 * sides changes the sign and nothing else. */
double hodges_lehmann(const double *d, size_t n);

/* What hodges_lehmann() of `blocks` pairs shows when both sides are the same: the quantile `p`
 * of its size over `draws` draws of `blocks` of the n differences, each with a sign by chance
 * (under "the same" each is as likely as its opposite). Reproducible by `seed`. NAN for n = 0. */
double hodges_lehmann_floor(const double *d, size_t n, size_t blocks, double p, int draws,
                            uint64_t seed);

#endif
