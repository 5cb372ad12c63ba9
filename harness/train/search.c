/* search.c — see search.h. */
#include "train/search.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool may_say(unsigned never, int token) { return token >= 32 || !(never >> token & 1u); }

int32_t search_best(const float *scores, int tokens, unsigned never)
{
    int best = -1;
    for (int i = 0; i < tokens; i++)
        if ((best < 0 || scores[i] > scores[best]) && may_say(never, i))
            best = i;
    return best < 0 ? 0 : best;
}

double search_log_sum(const float *scores, int tokens)
{
    double most = -INFINITY, sum = 0;
    assert(tokens > 0);
    for (int i = 0; i < tokens; i++)
        most = fmax(most, (double)scores[i]);
    for (int i = 0; i < tokens; i++)
        sum += exp((double)scores[i] - most);
    return most + log(sum);
}

/* ---------------------------------------------------------------------- greedy */

/* Rows that go on: `row` of the caller's, in the order in which the scorer is asked about them. */
struct alive {
    int n, *row, *from;
    int32_t *prefix; /* their tokens, one behind the other */
};

/* Each row's best token; those that end go out of `a`. */
static void say_best(const struct scorer *s, struct alive *a, const float *scores, int begun,
                     const int *most, size_t stride, int32_t *said, int *length)
{
    int left = 0;
    for (int i = 0; i < a->n; i++) {
        const int row = a->row[i];
        const int32_t token =
            search_best(scores + (size_t)i * (size_t)s->tokens, s->tokens, s->never);
        if (token == s->end)
            continue;
        said[(size_t)row * stride + (size_t)begun] = token;
        length[row] = begun;
        if (begun >= most[row])
            continue;
        a->row[left] = row;
        a->from[left++] = i;
    }
    a->n = left;
}

bool search_greedy(const struct scorer *s, int rows, int32_t begin, const int *most, size_t stride,
                   int32_t *said, int *length)
{
    const size_t n = (size_t)rows;
    struct alive a = {0, xmalloc(n * sizeof(int)), xmalloc(n * sizeof(int)),
                      xmalloc(n * stride * sizeof(int32_t))};
    for (int i = 0; i < rows; i++) {
        said[(size_t)i * stride] = begin;
        length[i] = 0;
        if (most[i] > 0)
            a.row[a.n++] = i;
    }
    memcpy(a.from, a.row, (size_t)a.n * sizeof(int));
    bool fine = true;
    for (int begun = 1; fine && a.n > 0; begun++) {
        for (int i = 0; i < a.n; i++)
            memcpy(a.prefix + (size_t)i * stride, said + (size_t)a.row[i] * stride,
                   (size_t)begun * sizeof *said);
        const float *scores = s->scores(s->arg, a.prefix, stride, a.n, begun, a.from);
        fine = scores != NULL;
        if (fine)
            say_best(s, &a, scores, begun, most, stride, said, length);
    }
    free(a.row);
    free(a.from);
    free(a.prefix);
    return fine;
}

/* ------------------------------------------------------------------------ beam */

/* A way to go on: behind which beginning, with which token. */
struct way {
    int from;
    int32_t token;
    double log_p;
};

struct beam {
    const struct scorer *scorer;
    int width, most;
    size_t stride;
    int live, ended;
    int32_t *prefix, *next; /* [width][stride]: beginnings, with <s> */
    double *log_p;          /* of each */
    struct way
        *way; /* the best 2 width, best first; twice as many, so that as many as end may go on */
    int ways;
    int32_t *said; /* what has ended, best first */
    int *length;
    double *score;
};

static double normalised(double log_p, int tokens)
{
    return log_p / pow((5.0 + tokens) / 6.0, 0.6);
}

/* Keeps the list sorted; of equal ones the first that came stays in front. */
static void offer_way(struct beam *b, struct way new)
{
    const int room = 2 * b->width;
    if (b->ways == room && !(new.log_p > b->way[room - 1].log_p))
        return;
    int at = b->ways < room ? b->ways++ : room - 1;
    for (; at > 0 && new.log_p > b->way[at - 1].log_p; at--)
        b->way[at] = b->way[at - 1];
    b->way[at] = new;
}

static void find_ways(struct beam *b, const float *scores)
{
    const struct scorer *s = b->scorer;
    b->ways = 0;
    for (int i = 0; i < b->live; i++) {
        const float *row = scores + (size_t)i * (size_t)s->tokens;
        const double sum = search_log_sum(row, s->tokens);
        for (int k = 0; k < s->tokens; k++)
            if (may_say(s->never, k))
                offer_way(b, (struct way){i, k, b->log_p[i] + (double)row[k] - sum});
    }
}

/* A sequence of n tokens behind <s> that has ended. */
static void end_one(struct beam *b, const int32_t *prefix, int n, double log_p)
{
    const double score = normalised(log_p, n + 1);
    if (b->ended == b->width && !(score > b->score[b->width - 1]))
        return;
    int at = b->ended < b->width ? b->ended++ : b->width - 1;
    for (; at > 0 && score > b->score[at - 1]; at--) {
        memcpy(b->said + (size_t)at * b->stride, b->said + (size_t)(at - 1) * b->stride,
               b->stride * sizeof *b->said);
        b->length[at] = b->length[at - 1];
        b->score[at] = b->score[at - 1];
    }
    memcpy(b->said + (size_t)at * b->stride, prefix + 1, (size_t)n * sizeof *prefix);
    b->length[at] = n;
    b->score[at] = score;
}

/* The best ways become the beginnings of one token more. */
static void go_on(struct beam *b, int begun)
{
    int live = 0;
    double log_p[BEAM] = {0};
    for (int i = 0; i < b->ways && live < b->width; i++) {
        const struct way *w = &b->way[i];
        const int32_t *from = b->prefix + (size_t)w->from * b->stride;
        if (w->token == b->scorer->end) {
            if (i < b->width)
                end_one(b, from, begun - 1, w->log_p);
            continue;
        }
        int32_t *to = b->next + (size_t)live * b->stride;
        memcpy(to, from, (size_t)begun * sizeof *to);
        to[begun] = w->token;
        log_p[live++] = w->log_p;
    }
    b->live = live;
    memcpy(b->log_p, log_p, (size_t)live * sizeof *log_p);
    int32_t *const swap = b->prefix;
    b->prefix = b->next;
    b->next = swap;
}

/* None may be longer. */
static void end_all(struct beam *b, const float *scores)
{
    const struct scorer *s = b->scorer;
    for (int i = 0; i < b->live; i++) {
        const float *row = scores + (size_t)i * (size_t)s->tokens;
        const double last = (double)row[s->end] - search_log_sum(row, s->tokens);
        end_one(b, b->prefix + (size_t)i * b->stride, b->most, b->log_p[i] + last);
    }
    b->live = 0;
}

/* A logarithm of a probability only falls as tokens are added; the length that it is divided by
 * grows to `most` and the end. */
static bool can_improve(const struct beam *b)
{
    return b->live > 0 && (b->ended == 0 || normalised(b->log_p[0], b->most + 1) > b->score[0]);
}

int search_beam(const struct scorer *s, int beam, int32_t begin, int most, size_t stride,
                int32_t *said, int *length, double *score)
{
    assert(beam >= 1 && beam <= BEAM);
    const size_t all = (size_t)beam * (stride + 1);
    struct beam b = {.scorer = s,
                     .width = beam,
                     .most = most,
                     .stride = stride,
                     .live = 1,
                     .prefix = xmalloc(all * sizeof(int32_t)),
                     .next = xmalloc(all * sizeof(int32_t)),
                     .log_p = xcalloc((size_t)beam, sizeof(double)),
                     .way = xmalloc(2 * (size_t)beam * sizeof(struct way)),
                     .said = said,
                     .length = length,
                     .score = score};
    b.prefix[0] = begin;
    bool fine = true;
    for (int begun = 1; fine && begun <= most + 1 && can_improve(&b); begun++) {
        const float *scores = s->scores(s->arg, b.prefix, b.stride, b.live, begun, NULL);
        fine = scores != NULL;
        if (!fine)
            break;
        if (begun <= most) {
            find_ways(&b, scores);
            go_on(&b, begun);
        } else {
            end_all(&b, scores);
        }
    }
    free(b.prefix);
    free(b.next);
    free(b.log_p);
    free(b.way);
    return fine ? b.ended : -1;
}

/* --------------------------------------------------------------------- sampling */

void sampler_init(struct sampler *s, int tokens, unsigned never, double temperature, int top,
                  uint64_t seed, uint64_t stream)
{
    *s = (struct sampler){
        .temperature = temperature,
        .top = top > 0 && top < tokens ? top : tokens,
        .tokens = tokens,
        .never = never,
        .random = rng_make(seed, stream),
        .weight = xmalloc((size_t)tokens * sizeof(double)),
        .order = xmalloc((size_t)tokens * sizeof(int32_t)),
    };
}

void sampler_release(struct sampler *s)
{
    free(s->weight);
    free(s->order);
    *s = (struct sampler){0};
}

/* A heap whose root is the worst of the best: of equal scores the later token is the worse one. */
static bool is_worse(const float *scores, int32_t a, int32_t b)
{
    return scores[a] != scores[b] ? scores[a] < scores[b] : a > b;
}

static void sink(const float *scores, int32_t *heap, int n, int at)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_worse(scores, heap[child + 1], heap[child]))
            child++;
        if (!is_worse(scores, heap[child], heap[at]))
            return;
        const int32_t swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

/* The tokens to draw from, in `order`; how many. */
static int choose(struct sampler *s, const float *scores)
{
    int n = 0;
    for (int32_t i = 0; i < s->tokens; i++) {
        if (!may_say(s->never, i))
            continue;
        if (n < s->top) {
            s->order[n++] = i;
            for (int at = n / 2 - 1; n == s->top && at >= 0; at--)
                sink(scores, s->order, n, at);
        } else if (is_worse(scores, s->order[0], i)) {
            s->order[0] = i;
            sink(scores, s->order, n, 0);
        }
    }
    return n;
}

static int by_number(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int32_t sampler_draw(struct sampler *s, const float *scores)
{
    const int32_t best = search_best(scores, s->tokens, s->never);
    if (s->temperature <= 0 || s->top == 1)
        return best;
    const int n = choose(s, scores);
    if (s->top < s->tokens)
        qsort(s->order, (size_t)n, sizeof *s->order, by_number);
    double all = 0;
    for (int i = 0; i < n; i++) {
        s->weight[i] = exp(((double)scores[s->order[i]] - (double)scores[best]) / s->temperature);
        all += s->weight[i];
    }
    double at = rng_unit(&s->random) * all;
    for (int i = 0; i < n; i++) {
        at -= s->weight[i];
        if (at < 0)
            return s->order[i];
    }
    return best;
}
