/* rng.c — see rng.h. */
#include "base/rng.h"

#include <math.h>

struct rng rng_make(uint64_t seed, uint64_t stream)
{
    return (struct rng){.seed = seed, .stream = stream};
}

uint32_t rng_u32(struct rng *r)
{
    const unsigned lane = (unsigned)(r->next & 3);
    if (lane == 0) {
        const uint64_t block = r->next / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream,
                                     (uint32_t)(r->stream >> 32)};
        philox(counter, r->seed, r->block);
    }
    r->next++;
    return r->block[lane];
}

uint32_t rng_below(struct rng *r, uint32_t n) /* Lemire 2019: multiply, reject the short interval */
{
    uint64_t m = (uint64_t)rng_u32(r) * n;
    if ((uint32_t)m < n) {
        const uint32_t floor = (uint32_t)(-n) % n;
        while ((uint32_t)m < floor)
            m = (uint64_t)rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

double rng_unit(struct rng *r) { return rng_u32(r) * 0x1p-32; }

double rng_normal(struct rng *r)
{
    const double u = (rng_u32(r) + 1.0) * 0x1p-32, v = rng_u32(r) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void rng_shuffle(struct rng *r, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const uint32_t j = rng_below(r, (uint32_t)i);
        const uint32_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}

uint64_t rng_stream(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}
