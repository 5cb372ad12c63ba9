/* optimizer.c — see optimizer.h. */
#include "train/optimizer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    CHUNK = 4096, /* floats whose squares are summed together */
    GRAIN = 1024, /* threads share no less; a multiple of every vector */
};

static size_t chunks(size_t count) { return (count + CHUNK - 1) / CHUNK; }

bool optimizer_takes_parts(const struct nn_recipe *r) { return !(r->clip_norm > 0); }

void optimizer_init(struct optimizer *o, const struct nn_recipe *r, size_t count)
{
    const bool sgd = r->optimizer == NN_SGD;
    *o = (struct optimizer){
        .kind = r->optimizer,
        .count = count,
        .sgd = {0, r->momentum, r->weight_decay, 1, false},
        .adam = {0, r->momentum, r->beta2, r->epsilon, r->weight_decay, 1, 1, 1,
                 r->optimizer == NN_ADAMW},
        .clip_norm = r->clip_norm,
        .first = !sgd || r->momentum != 0 ? mem_map(count * sizeof(float)) : NULL,
        .second = !sgd ? mem_map(count * sizeof(float)) : NULL,
        .chunk = optimizer_takes_parts(r) ? NULL : xcalloc(chunks(count), sizeof(double)),
    };
}

void optimizer_release(struct optimizer *o)
{
    if (o->first)
        mem_unmap(o->first, o->count * sizeof(float));
    if (o->second)
        mem_unmap(o->second, o->count * sizeof(float));
    free(o->chunk);
    *o = (struct optimizer){0};
}

size_t optimizer_bytes(const struct optimizer *o)
{
    return o->count * sizeof(float) * ((o->first != NULL) + (size_t)(o->second != NULL));
}

void optimizer_begin(struct optimizer *o, double rate)
{
    const double t = (double)++o->steps;
    o->sgd.rate = o->adam.rate = (float)rate;
    o->adam.correction1 = (float)(1 - pow((double)o->adam.beta1, t));
    o->adam.correction2 = (float)(1 - pow((double)o->adam.beta2, t));
}

/* |g| of the whole gradient, the same on every thread. */
static double norm(const struct optimizer *o, const struct crew *crew, const float *g)
{
    size_t from, to;
    crew_share(crew, o->count, CHUNK, &from, &to);
    for (size_t i = from; i < to; i += CHUNK)
        o->chunk[i / CHUNK] = kn->sum_squares_f32(to - i < CHUNK ? to - i : CHUNK, g + i);
    crew_wait(crew);
    double sum = 0;
    for (size_t i = 0; i < chunks(o->count); i++)
        sum += o->chunk[i];
    return sqrt(sum);
}

/* n parameters from number `at` on. */
static float move(const struct optimizer *o, float clip, size_t at, size_t n, float *w,
                  const float *g)
{
    float *first = o->first ? o->first + at : NULL, *second = o->second ? o->second + at : NULL;
    if (o->kind == NN_SGD) {
        struct kn_sgd sgd = o->sgd;
        sgd.clip = clip;
        return kn->sgd_f32(n, &sgd, g, w, first);
    }
    struct kn_adam adam = o->adam;
    adam.clip = clip;
    return kn->adam_f32(n, &adam, g, w, first, second);
}

/* What all gradients are to be scaled by; NaN where they are not finite. */
static float clip_of(const struct optimizer *o, const struct crew *crew, const float *g)
{
    if (!o->chunk)
        return 1;
    const double size = norm(o, crew, g);
    return isfinite(size) ? (float)fmin(1, (double)o->clip_norm / (size + 1e-6)) : NAN;
}

/* This thread's share of `count` parameters from number `at` on. */
static float move_share(const struct optimizer *o, const struct crew *crew, float clip, size_t at,
                        size_t count, float *w, const float *g)
{
    size_t from, to;
    crew_share(crew, count, GRAIN, &from, &to);
    return move(o, clip, at + from, to - from, w + from, g + from);
}

float optimizer_update(const struct optimizer *o, const struct crew *crew, struct program *p)
{
    size_t count;
    float *w = program_weights(p, &count), poison = 0.0f;
    const float *g = program_grads(p, &count);
    assert(!o->chunk || count == o->count);
    const float clip = clip_of(o, crew, g);
    struct program_range r;
    for (int i = 0; !isnan(clip) && program_range(p, i, &r); i++)
        poison += move_share(o, crew, clip, r.weight, r.count, w + r.weight, g + r.grad);
    return poison + (isnan(clip) ? NAN : 0.0f);
}

float optimizer_apply(const struct optimizer *o, struct program *p, size_t at, size_t n,
                      const float *g)
{
    size_t count;
    return move(o, 1, at, n, program_weights(p, &count) + at, g);
}
