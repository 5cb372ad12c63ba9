/* t_conv_moments.c — the sums that convolutions leave for a batch norm (kernels/conv_moments.h), on
 * every instruction set and by every way that makes them: against the mean and variance of the
 * results in double within the bound of the file's head, far from 0 too; the same bits from one,
 * two and three threads; results as without; NaN where there is one; nothing written outside. */
#include "tests/conv_test.h"

/* What a column comes to. */
struct found {
    double mean, var, mean_bound, var_bound;
};

/* Merged as a reader would, all in double. Float sums of a piece of n rows are n 2^-24 of their
 * magnitudes off; |x - shift| is on the average below the root of the average square. */
static struct found merged(const float *at, size_t pieces, size_t columns, size_t column)
{
    const float *piece = at + kn_moments_counts(pieces) + column;
    const double centre = (double)piece[0];
    double rows = 0, longest = 0, sum = 0, squares = 0, own = 0;
    for (size_t i = 0; i < pieces; i++, piece += KN_MOMENTS * columns) {
        const double n = (double)at[i], d = (double)piece[0] - centre;
        const double s = (double)piece[columns], q = (double)piece[2 * columns];
        rows += n;
        longest = fmax(longest, n);
        sum += s + n * d;
        squares += q + d * (2 * s + n * d);
        own += q;
    }
    const double off = (longest + 2) * 0x1p-24, from = sum / rows, spread = sqrt(own / rows);
    return (struct found){.mean = centre + from,
                          .var = squares / rows - from * from,
                          .mean_bound = off * spread,
                          .var_bound = off * (own / rows + 4 * spread * (spread + fabs(from)))};
}

static bool column_is_right(const struct problem *p, const float *at, size_t pieces, size_t column)
{
    const size_t columns = (size_t)p->c.O * (p->c.lanes ? KN_LANES : 1), rows = p->out.n / columns;
    double mean = 0, var = 0, counted = 0;
    for (size_t i = 0; i < rows; i++)
        mean += (double)p->out.at[i * columns + column] / (double)rows;
    for (size_t i = 0; i < rows; i++) {
        const double far = (double)p->out.at[i * columns + column] - mean;
        var += far * far / (double)rows;
    }
    for (size_t i = 0; i < pieces; i++)
        counted += (double)at[i];
    const struct found f = merged(at, pieces, columns, column);
    const bool right = isnan(mean) ? isnan(f.mean)
                                   : fabs(f.mean - mean) <= f.mean_bound + 1e-12 * fabs(mean) &&
                                         fabs(f.var - var) <= f.var_bound + 1e-12 * mean * mean;
    if (!right || counted != (double)rows)
        printf("# column %zu: mean %.9g var %.9g, wanted %.9g %.9g within %g %g; %g of %zu rows\n",
               column, f.mean, f.var, mean, var, f.mean_bound, f.var_bound, counted, rows);
    return (right || (isnan(mean) && isnan(f.mean))) && counted == (double)rows;
}

static bool all_right(const struct problem *p, const float *at, size_t pieces)
{
    const size_t columns = (size_t)p->c.O * (p->c.lanes ? KN_LANES : 1);
    for (size_t i = 0; i < columns; i++)
        if (!column_is_right(p, at, pieces, i))
            return false;
    return true;
}

/* The run with moments against the run without, for some crews. */
static bool try_moments(const struct kn_conv *c, int kind, float mean, bool with_nan, uint64_t seed)
{
    struct rng r = rng_make(seed, rng_stream("moments"));
    struct problem p = problem_new(c, CONV_FORWARD, kind, &r);
    const size_t columns = (size_t)c->O * (c->lanes ? KN_LANES : 1), pieces = kn->conv_pieces(c);
    const size_t n = kn_moments_floats(pieces, columns), bytes = p.out.n * sizeof(float);
    for (size_t i = 0; i < p.bias.n; i++)
        p.bias.at[i] += mean;
    if (with_nan)
        p.a.at[rng_below(&r, (uint32_t)p.a.n)] = NAN;
    p.e = &p.epilogue;
    bool good = pieces > 0 && run_on(&p, 1);
    float *plain = xmalloc(bytes), *first = xmalloc(n * sizeof(float));
    memcpy(plain, p.out.at, bytes);
    for (int threads = 1; threads <= 3 && good; threads++) {
        struct buffer moments = buffer_new(n, 1);
        p.epilogue.moments = moments.at;
        good = run_on(&p, threads) && guards_stand(&moments);
        if (threads == 1)
            memcpy(first, moments.at, n * sizeof(float));
        good = good && memcmp(plain, p.out.at, bytes) == 0 &&
               memcmp(first, moments.at, n * sizeof(float)) == 0 && all_right(&p, first, pieces);
        free(moments.all);
        if (!good)
            printf(
                "# %d threads: N %d, %dx%dx%d -> %dx%dx%d, kernel %d, stride %d, groups %d, "
                "epilogue %d, seed %llu\n",
                threads, c->N, c->H, c->W, c->C, c->OH, c->OW, c->O, c->KH, c->stride,
                conv_groups(c), kind, (unsigned long long)seed);
    }
    free(plain);
    free(first);
    problem_free(&p);
    return good;
}

/* clang-format off */
static const struct way {
    const char *name, *how;
    struct kn_conv c;
} ways[] = {
    {"lines",               "lines",         {.N = 3, .H = 19, .W = 17, .C = 3, .O = 33, .KH = 7, .KW = 7, .stride = 2, .pad = 3}},
    {"lines, one image",    "lines",         {.N = 1, .H = 40, .W = 40, .C = 4, .O = 70, .KH = 3, .KW = 3, .stride = 1, .pad = 1}},
    {"1x1",                 "implicit gemm", {.N = 4, .H = 5, .W = 5, .C = 67, .O = 35, .KH = 1, .KW = 1, .stride = 1}},
    {"1x1, many pixels",    "",              {.N = 5, .H = 14, .W = 14, .C = 24, .O = 96, .KH = 1, .KW = 1, .stride = 1}},
    {"long sums, stride",   "implicit gemm", {.N = 2, .H = 9, .W = 9, .C = 200, .O = 130, .KH = 3, .KW = 3, .stride = 2, .pad = 1}},
    {"channels shared",     "implicit gemm", {.N = 1, .H = 2, .W = 3, .C = 40, .O = 300, .KH = 1, .KW = 1, .stride = 1}},
    {"winograd 2x2",        "winograd 2x2",  {.N = 3, .H = 9, .W = 7, .C = 20, .O = 37, .KH = 3, .KW = 3, .stride = 1, .pad = 1, .algo = CONV_WINOGRAD_2}},
    {"winograd 4x4",        "winograd 4x4",  {.N = 9, .H = 30, .W = 29, .C = 16, .O = 37, .KH = 3, .KW = 3, .stride = 1, .pad = 1, .algo = CONV_WINOGRAD_4}},
    {"winograd by panels",  "winograd 4x4",  {.N = 2, .H = 7, .W = 7, .C = 16, .O = 300, .KH = 3, .KW = 3, .stride = 1, .pad = 1, .algo = CONV_WINOGRAD_4}},
    {"depthwise",           "depthwise",     {.N = 3, .H = 23, .W = 17, .C = 70, .O = 70, .KH = 5, .KW = 5, .stride = 1, .pad = 2, .groups = 70}},
    {"depthwise, stride",   "depthwise",     {.N = 5, .H = 12, .W = 13, .C = 33, .O = 33, .KH = 3, .KW = 3, .stride = 2, .pad = 1, .groups = 33}},
    {"lanes",               "direct",        {.N = 48, .H = 20, .W = 19, .C = 3, .O = 16, .KH = 3, .KW = 3, .stride = 1, .pad = 1, .lanes = true}},
    {"lanes, panels shared", "direct",       {.N = 16, .H = 1, .W = 3, .C = 5, .O = 40, .KH = 1, .KW = 1, .stride = 1, .lanes = true}},
};
/* clang-format on */

static void test_way(const struct way *w)
{
    struct kn_conv c = w->c;
    char how[KN_HOW];
    measure(&c);
    kn->conv_how(&c, CONV_FORWARD, how);
    if (w->how[0])
        is_str(how, w->how, "%s: %s is the way meant", kn->isa, w->name);
    ok(try_moments(&c, 0, 0, false, 1), "%s: %s", kn->isa, w->name);
    ok(try_moments(&c, 2, 1000, false, 2), "%s: %s, around 1000", kn->isa, w->name);
    ok(try_moments(&c, 4, 0, false, 3), "%s: %s, behind tanh", kn->isa, w->name);
    ok(try_moments(&c, 6, -3e4f, false, 4), "%s: %s, residual, around -30000", kn->isa, w->name);
    ok(try_moments(&c, 0, 0, true, 5), "%s: %s, NaN", kn->isa, w->name);
}

/* Pieces are short, so that float sums do, and cover the pixels. */
static void test_pieces(void)
{
    struct kn_conv c = {.N = 8, .H = 112, .W = 112, .C = 64, .O = 64, .KH = 3, .KW = 3};
    c.stride = c.pad = 1;
    c.OH = c.OW = 112;
    size_t pieces = kn->conv_pieces(&c);
    ok(pieces >= 8 * 112 * 112 / 256 && pieces < 8 * 112 * 112 / 128, "%s: %zu pieces of 100352",
       kn->isa, pieces);
    c.groups = 2;
    ok(kn->conv_pieces(&c) == 0, "%s: groups leave none", kn->isa);
}

int main(void)
{
    for (int i = 0; kn_tables[i]; i++) {
        if (!kn_runs_here(kn_tables[i]))
            continue;
        kn_init(kn_tables[i]->isa, NULL);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
            test_way(&ways[w]);
        test_pieces();
    }
    return done();
}
