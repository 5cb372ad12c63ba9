/* t_fuzz — the fuzz targets over a fixed set of mutations, the same in every run. */
#define _GNU_SOURCE
#include "tap.h"

#include "base/rng.h"
#include "scratch.h"

#include "fuzz/fuzz_idx.c" // NOLINT(bugprone-suspicious-include): a target is one file

enum { ROOM = 4096, ROUNDS = 20000, MANY = 6 };

struct bytes {
    size_t n;
    uint8_t at[ROOM];
};

/* A sound file to begin with: even seeds plain, odd ones packed. */
static struct bytes begin(struct rng *r, int packed)
{
    struct idx x = {.rank = 1 + (int)rng_below(r, IDX_MAX_RANK)};
    size_t count = 1;
    for (int i = 0; i < x.rank; i++)
        count *= x.dim[i] = 1 + rng_below(r, 5);
    struct bytes b = {.n = idx_header(&x, b.at)};
    for (size_t i = 0; i < count; i++)
        b.at[b.n++] = (uint8_t)rng_below(r, 4);
    if (!packed)
        return b;
    struct bytes z;
    z.n = scratch_gzip(b.at, b.n, z.at, sizeof z.at);
    return z;
}

/* What happens to files: a bit turned, a byte replaced by a tempting one, a part cut
 * out, doubled, or zeroed, the end lost. */
static void mutate(struct rng *r, struct bytes *b)
{
    static const uint8_t tempting[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x1f, 0x8b, 0x08};
    if (b->n == 0)
        return;
    const size_t at = rng_below(r, (uint32_t)b->n), rest = b->n - at;
    const size_t part = 1 + rng_below(r, (uint32_t)(rest < 32 ? rest : 32));
    switch (rng_below(r, 6)) {
    case 0: b->at[at] ^= (uint8_t)(1u << rng_below(r, 8)); break;
    case 1: b->at[at] = tempting[rng_below(r, sizeof tempting)]; break;
    case 2: b->n = at; break;
    case 3: memset(b->at + at, 0, part < rest ? part : rest); break;
    case 4:
        memmove(b->at + at, b->at + at + part, rest - part);
        b->n -= part;
        break;
    case 5:
        if (b->n + part > ROOM)
            break;
        memmove(b->at + at + part, b->at + at, rest);
        b->n += part;
        break;
    }
}

int main(void)
{
    for (int packed = 0; packed < 2; packed++) {
        struct rng r = rng_make(1998, (uint64_t)packed);
        int accepted = 0;
        for (int i = 0; i < ROUNDS; i++) {
            struct bytes b = begin(&r, packed);
            for (uint32_t n = rng_below(&r, MANY); n > 0; n--)
                mutate(&r, &b);
            accepted += fuzz_idx(b.at, b.n);
        }
        ok(accepted > ROUNDS / 10 && accepted < ROUNDS / 2,
           "%d %s IDX files, most of them damaged: none crashes, none is misread, %d are read",
           ROUNDS, packed ? "packed" : "plain", accepted);
    }
    return done();
}
