/* each.h — the loop of an elementwise kernel: whole vectors, then the same
 * expression once more on what is left.
 *
 *     EACH(n, y, vf_max(vf_set(0.0f), AT(x)));        y[i] = max(0, x[i]), i < n
 *
 * AT(p) is the vector of p[i] …; y may be any of the p. */
#ifndef EACH_H
#define EACH_H

/* The first n <= VF floats of p; the compiler drops the branch where n is VF. */
static inline vf vf_get(const float *p, size_t n)
{
    return n == VF ? vf_load(p) : vf_load_n(p, n, 0.0f);
}

static inline void vf_put(float *p, vf a, size_t n)
{
    if (n == VF)
        vf_store(p, a);
    else
        vf_store_n(p, a, n);
}

#define AT(p) vf_get((p) + each_i, each_n)

#define EACH(n, y, expression)                              \
    do {                                                    \
        size_t each_i = 0;                                  \
        for (; each_i + VF <= (n); each_i += VF) {          \
            const size_t each_n = VF;                       \
            (void)each_n;                                   \
            vf_store((y) + each_i, (expression));           \
        }                                                   \
        if (each_i < (n)) {                                 \
            const size_t each_n = (n)-each_i;               \
            vf_store_n((y) + each_i, (expression), each_n); \
        }                                                   \
    } while (0)

#endif
