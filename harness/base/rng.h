/* rng.h — counter-based random numbers: Philox4x32-10, Salmon, Moraes, Dror &
 * Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011.
 *
 * There is no state to share or to save: number i of a stream is a function of
 * (seed, stream, i), so any thread can draw any part and checkpoints need only
 * count. A stream is what the numbers are for: one parameter, one dropout layer
 * at one step, the shuffle of one epoch. */
#ifndef RNG_H
#define RNG_H

#include <stddef.h>
#include <stdint.h>

/* Four random words for counter {c0,c1,c2,c3} under key {k0,k1}. */
static inline void philox(const uint32_t counter[4], uint64_t key, uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t d0 = (uint32_t)(b >> 32) ^ c1 ^ k0, d2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = d0;
        c2 = d2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Words i of a stream, one at a time; fast enough for shuffling and set-up. */
struct rng {
    uint64_t seed, stream, next; /* `next` words have been drawn */
    uint32_t block[4];
};

struct rng rng_make(uint64_t seed, uint64_t stream);
uint32_t rng_u32(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n); /* uniform on 0 … n-1, unbiased; n > 0 */
double rng_unit(struct rng *r);                /* uniform on [0, 1), 32 bits */
double rng_normal(struct rng *r);              /* Box & Muller 1958 */
void rng_shuffle(struct rng *r, uint32_t *items, size_t n); /* Fisher & Yates */

/* A stream number from a name: FNV-1a, 64 bit. */
uint64_t rng_stream(const char *name);

#endif
