/* sequence_feed.c — see sequence_feed.h. Nothing here allocates once a feed is made. */
#include "train/sequence_feed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

static const uint32_t NOBODY = UINT32_MAX; /* a row of `order` that is no item */

/* -------------------------------------------------------------------- binding */

static size_t dim(const struct tensor *t, int axis) { return (size_t)t->shape.dim[axis]; }

/* The axes behind the batch that the data has: steps, floats a step. */
static bool has_shape(const struct sequences *data, const struct sequence_input *in, bool is_length,
                      const struct tensor *t)
{
    const int width = data->series[in->series].width;
    int rank = 1;
    if (is_length)
        return t->shape.dim[rank] == 0;
    rank += !in->scalar;
    if (width > 0 && t->shape.dim[rank++] != width)
        return false;
    return (in->scalar || t->shape.dim[1] > 0) && t->shape.dim[rank] == 0;
}

static bool refuse_name(const struct sequences *data, const char *name, struct err *err)
{
    struct text known = {0};
    for (int i = 0; i < data->inputs; i++) {
        text_add(&known, "%s'%s'", i ? ", " : "", data->input[i].name);
        if (data->input[i].length)
            text_add(&known, ", '%s'", data->input[i].length);
    }
    err_set(err, "the network's input '%s': '%s' gives %s only", name, data->name,
            text_str(&known));
    text_release(&known);
    return false;
}

static bool bind_one(const struct sequences *data, size_t longest, const struct tensor *t,
                     struct sequence_binding *b, struct err *err)
{
    const struct sequence_input *in = sequences_input(data, t->name);
    if (!in)
        return refuse_name(data, t->name, err);
    *b = (struct sequence_binding){.in = in,
                                   .is_length = strcmp(in->name, t->name) != 0,
                                   .steps = in->scalar ? 1 : dim(t, 1),
                                   .row = t->elements / dim(t, 0),
                                   .data = t->data};
    const int width = data->series[in->series].width;
    const int type = width == 0 || b->is_length ? NN_I32 : NN_F32;
    if (t->type != type)
        return err_set(err, "the network's input '%s' holds %s, those of '%s' are %s", t->name,
                       type == NN_I32 ? "floats" : "integers", data->name,
                       type == NN_I32 ? "integers" : "floats");
    if (!has_shape(data, in, b->is_length, t))
        return err_set(err, "the network's input '%s' should be %s for '%s'", t->name,
                       b->is_length || (in->scalar && width == 0) ? "one integer a sample"
                       : in->scalar                               ? "[K]"
                       : width == 0                               ? "[T]"
                                                                  : "[T,C]",
                       data->name);
    if (!b->is_length && !in->scalar && !data->running && b->steps < longest)
        return err_set(err, "the network's input '%s' has %zu steps, '%s' up to %zu", t->name,
                       b->steps, data->name, longest);
    return true;
}

/* Kernels index scores by label and check nothing but that. */
static bool check_labels(const struct sequences *data, const struct program *p,
                         const struct sequence_binding *b, struct err *err)
{
    const struct tensor *out = program_tensor(p, TENSOR_OUTPUT, 0);
    int last = 0;
    for (int i = 1; out && i <= NN_MAX_RANK && out->shape.dim[i]; i++)
        last = out->shape.dim[i];
    const bool judged = strcmp(b->in->name, "next") == 0 || strcmp(b->in->name, "label") == 0;
    return !judged || b->is_length || last >= b->in->tokens ||
           err_set(err, "'%s' of '%s' has %d different values, the network %d outputs", b->in->name,
                   data->name, b->in->tokens, last);
}

static size_t longest_in(const struct sequence_buckets *b, int bucket,
                         const struct sequence_input *in)
{
    const size_t less = (size_t)in->skip + (size_t)in->cut, steps = b->steps[bucket][in->series];
    return steps > less ? steps - less : 0;
}

/* All windows on a running text are as long. */
static bool check_window(const struct sequence_bindings *b, struct err *err)
{
    size_t steps = 0;
    for (int i = 0; i < b->count; i++) {
        if (b->of[i].is_length)
            continue;
        if (steps > 0 && b->of[i].steps != steps)
            return err_set(err, "the network's input '%s' has %zu steps, another one %zu",
                           b->of[i].in->name, b->of[i].steps, steps);
        steps = b->of[i].steps;
    }
    return steps > 0 || err_set(err, "the network has no input 'tokens'");
}

bool sequence_bind(const struct sequences *data, const struct sequence_buckets *b, int bucket,
                   const struct program *p, struct sequence_bindings *bindings, struct err *err)
{
    const struct tensor *t;
    bindings->count = 0;
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++) {
        struct sequence_binding *to = &bindings->of[bindings->count];
        const struct sequence_input *in = sequences_input(data, t->name);
        const size_t longest = in ? longest_in(b, bucket, in) : 0;
        if (bindings->count == BINDINGS)
            return err_set(err, "the network has more than %d inputs", BINDINGS);
        if (!bind_one(data, longest, t, to, err) || !check_labels(data, p, to, err))
            return false;
        bindings->count++;
    }
    return (bindings->count > 0 || err_set(err, "the network has no input")) &&
           (!data->running || check_window(bindings, err));
}

void sequence_facts(const struct sequences *data, const struct sequence_buckets *b, int bucket,
                    struct nn_graph *g)
{
    for (int i = 0; i < data->inputs; i++) {
        const struct sequence_input *in = &data->input[i];
        if (in->tokens > 0)
            graph_set_tokens(g, in->name, in->tokens);
        const size_t steps = data->running ? data->window : longest_in(b, bucket, in);
        if (!in->scalar && steps > 0)
            graph_set_length(g, in->name, (int)steps);
    }
}

/* -------------------------------------------------------------------- buckets */

/* Steps of the row's longest sequence. */
static size_t length_of(const struct sequences *data, size_t row)
{
    size_t most = 0;
    for (int i = 0; i < data->inputs; i++) {
        const size_t n = data->input[i].scalar ? 0 : sequences_steps(data, &data->input[i], row);
        most = n > most ? n : most;
    }
    return most;
}

static int bucket_of(const struct sequence_buckets *b, size_t length)
{
    int i = 0;
    while (i + 1 < b->count && length > b->limit[i])
        i++;
    return i;
}

static int by_size(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

enum { CANDIDATES = 64 };

/* Lengths that may become limits, with the training items that are as long or shorter. */
struct candidates {
    int count;
    size_t limit[CANDIDATES], items[CANDIDATES];
};

static void find_candidates(struct candidates *c, const struct sequences *data)
{
    const size_t n = data->items[SPLIT_TRAIN];
    size_t *length = xmalloc((n + 1) * sizeof *length);
    for (size_t i = 0; i < n; i++)
        length[i] = length_of(data, data->item[SPLIT_TRAIN][i]);
    qsort(length, n, sizeof *length, by_size);
    c->count = 0;
    for (size_t k = 1; k <= CANDIDATES; k++) {
        size_t at = n * k / CANDIDATES;
        while (at < n && at > 0 && length[at] == length[at - 1])
            at++; /* behind all that are as long */
        if (at == 0 || (c->count > 0 && c->items[c->count - 1] == at))
            continue;
        c->limit[c->count] = length[at - 1];
        c->items[c->count++] = at;
    }
    free(length);
}

/* The least steps computed for the first k + 1 candidates in b + 1 buckets, and the candidate that
 * the bucket before ends with. Bellman's recursion. */
struct choice {
    double cost[BUCKETS][CANDIDATES];
    int before[BUCKETS][CANDIDATES];
};

static void choose(struct choice *t, const struct candidates *c, int most, size_t least)
{
    for (int b = 0; b < most; b++)
        for (int k = 0; k < c->count; k++) {
            t->cost[b][k] = b == 0 && c->items[k] >= least
                                ? (double)c->items[k] * (double)c->limit[k]
                                : (double)INFINITY;
            for (int j = 0; b > 0 && j < k; j++) {
                const size_t items = c->items[k] - c->items[j];
                const double cost = t->cost[b - 1][j] + (double)items * (double)c->limit[k];
                if (items < least || cost >= t->cost[b][k])
                    continue;
                t->cost[b][k] = cost;
                t->before[b][k] = j;
            }
        }
}

/* All rows, of testing too, must fit: limits grow to the longest, steps never fall. */
static void measure(struct sequence_buckets *b, const struct sequences *data)
{
    for (size_t row = 0; row < data->series[0].rows; row++) {
        const size_t length = length_of(data, row);
        const int bucket = bucket_of(b, length);
        if (length > b->limit[bucket])
            b->limit[bucket] = length;
        for (int s = 0; s < SERIES; s++) {
            const size_t *at = data->series[s].at;
            const size_t n = row < data->series[s].rows ? at[row + 1] - at[row] : 0;
            if (n > b->steps[bucket][s])
                b->steps[bucket][s] = n;
        }
    }
    for (int i = 1; i < b->count; i++)
        for (int s = 0; s < SERIES; s++)
            if (b->steps[i][s] < b->steps[i - 1][s])
                b->steps[i][s] = b->steps[i - 1][s];
}

void sequence_buckets_join(struct sequence_buckets *b)
{
    const int last = b->count - 1;
    b->limit[0] = b->limit[last];
    memcpy(b->steps[0], b->steps[last], sizeof b->steps[0]);
    b->count = 1;
}

void sequence_buckets_choose(struct sequence_buckets *b, const struct sequences *data, int batch,
                             int most)
{
    *b = (struct sequence_buckets){.count = 1};
    if (data->running)
        return;
    struct candidates c;
    static const double enough = 1.05;
    find_candidates(&c, data);
    struct choice *t = xcalloc(1, sizeof *t);
    const int last = c.count - 1;
    choose(t, &c, most, 4 * (size_t)batch);
    double best = t->cost[0][last];
    for (int i = 1; i < most; i++)
        best = t->cost[i][last] < best ? t->cost[i][last] : best;
    while (b->count < most && t->cost[b->count - 1][last] > enough * best)
        b->count++;
    for (int i = b->count - 1, k = last; i >= 0; k = t->before[i][k], i--)
        b->limit[i] = c.limit[k];
    free(t);
    measure(b, data);
}

/* --------------------------------------------------------------------- an epoch */

/* Deals rows into batches, from the shortest bucket to the longest. */
static void deal(struct sequence_feed *f)
{
    const size_t items = f->data->items[f->split], batch = (size_t)f->batch;
    size_t written = 0, batches = 0;
    for (int b = 0; b < f->buckets->count; b++) {
        for (size_t i = 0; i < items; i++)
            if (bucket_of(f->buckets, length_of(f->data, f->shuffled[i])) == b)
                f->order[written++] = f->shuffled[i];
        for (; written - batches * batch >= batch; batches++)
            f->bucket[batches] = (uint8_t)b;
    }
    if (!f->train && written > batches * batch) {
        while (written < (batches + 1) * batch)
            f->order[written++] = NOBODY;
        f->bucket[batches++] = (uint8_t)(f->buckets->count - 1);
    }
    f->batches = batches;
}

static void start_text(struct sequence_feed *f, int epoch)
{
    const size_t *at = f->data->series[0].at, batch = (size_t)f->batch;
    const size_t said = at[f->split + 1] - at[f->split] - 1; /* all but the first are to be said */
    struct rng r = rng_make(f->seed, rng_stream("text offset") + (uint64_t)epoch);
    f->offset = f->train && epoch > 0 ? rng_below(&r, (uint32_t)f->window) : 0;
    f->stream = f->train ? (said - (f->window - 1)) / batch : (said + batch - 1) / batch;
    f->batches = f->train ? f->stream / f->window : (f->stream + f->window - 1) / f->window;
}

void sequence_feed_start(struct sequence_feed *f, int epoch)
{
    f->at = 0;
    if (f->data->running) {
        start_text(f, epoch);
        return;
    }
    const size_t items = f->data->items[f->split];
    struct rng r = rng_make(f->seed, rng_stream("shuffle") + (uint64_t)epoch);
    memcpy(f->shuffled, f->data->item[f->split], items * sizeof *f->shuffled);
    if (f->train)
        rng_shuffle(&r, f->shuffled, items);
    deal(f);
    for (size_t i = 0; i < f->batches; i++)
        f->turn[i] = (uint32_t)i;
    if (f->train)
        rng_shuffle(&r, f->turn, f->batches);
}

bool sequence_feed_next(struct sequence_feed *f) { return ++f->at < f->batches; }

int sequence_feed_bucket(const struct sequence_feed *f)
{
    return f->data->running ? 0 : f->bucket[f->turn[f->at]];
}

size_t sequence_feed_items(const struct sequence_feed *f)
{
    return f->train || f->data->running ? f->batches * (size_t)f->batch : f->data->items[f->split];
}

/* ------------------------------------------------------------------------ filling */

/* n steps of a series from `first` on as the input's row; what is behind them is padding. */
static void fill_steps(const struct sequence_binding *b, const struct series *s, size_t first,
                       size_t n, void *data)
{
    if (s->width > 0) {
        const size_t width = (size_t)s->width, filled = n * width;
        memcpy(data, s->values + first * width, filled * sizeof(float));
        memset((float *)data + filled, 0, (b->row - filled) * sizeof(float));
        return;
    }
    int32_t *to = data;
    memcpy(to, s->tokens + first, n * sizeof *to);
    for (size_t i = n; i < b->row; i++)
        to[i] = b->in->pad;
}

/* A row without an item: one step of padding, so that no network meets a sequence of none. */
static void fill_nobody(const struct sequence_binding *b, const struct series *s, void *data)
{
    for (size_t i = 0; i < b->row; i++)
        if (b->is_length)
            ((int32_t *)data)[i] = 1;
        else if (s->width == 0)
            ((int32_t *)data)[i] = strcmp(b->in->name, "label") == 0 ? -1 : b->in->pad;
        else
            ((float *)data)[i] = b->in->scalar ? NN_NO_TARGET : 0.0f;
}

static void fill_item(const struct sequence_feed *f, const struct sequence_binding *b, uint32_t row,
                      void *data)
{
    const struct series *s = &f->data->series[b->in->series];
    if (row == NOBODY) {
        fill_nobody(b, s, data);
        return;
    }
    const size_t n = sequences_steps(f->data, b->in, row);
    if (b->is_length)
        *(int32_t *)data = (int32_t)n;
    else
        fill_steps(b, s, s->at[row] + (size_t)b->in->skip, n, data);
}

/* Row `row` of the streams: those of its tokens that the window shows and that have a next one. */
static void fill_text(const struct sequence_feed *f, const struct sequence_binding *b, size_t row,
                      void *data)
{
    const struct series *s = &f->data->series[0];
    const size_t end = s->at[f->split + 1] - 1,
                 begin = s->at[f->split] + f->offset + row * f->stream;
    const size_t from = begin + f->at * f->window;
    size_t to = begin + f->stream < end ? begin + f->stream : end;
    to = from + f->window < to ? from + f->window : to;
    const size_t n = to > from ? to - from : 0;
    if (b->is_length)
        *(int32_t *)data = n ? (int32_t)n : 1;
    else
        fill_steps(b, s, n ? from + (size_t)b->in->skip : 0, n, data);
}

void sequence_feed_fill(const struct sequence_feed *f, const struct crew *crew,
                        const struct sequence_bindings *bindings)
{
    size_t from, to;
    crew_share(crew, (size_t)f->batch, 1, &from, &to);
    for (int k = 0; k < bindings->count; k++) {
        const struct sequence_binding *b = &bindings->of[k];
        char *data = (char *)b->data + from * b->row * sizeof(float);
        for (size_t i = from; i < to; i++, data += b->row * sizeof(float))
            if (f->data->running)
                fill_text(f, b, i, data);
            else
                fill_item(f, b, f->order[f->turn[f->at] * (size_t)f->batch + i], data);
    }
}

double sequence_feed_counted(const struct sequence_feed *f,
                             const struct sequence_bindings *bindings)
{
    const size_t batch = (size_t)f->batch;
    for (int k = 0; k < bindings->count; k++) {
        const struct sequence_binding *b = &bindings->of[k];
        if (b->is_length || (b->in->pad != -1 && strcmp(b->in->name, "label") != 0))
            continue;
        const int32_t *value = b->data;
        size_t n = 0;
        for (size_t i = 0; i < batch * b->row; i++)
            n += value[i] >= 0;
        return (double)n;
    }
    size_t items = 0;
    for (size_t i = 0; i < batch && !f->data->running; i++)
        items += f->order[f->turn[f->at] * batch + i] != NOBODY;
    return (double)items;
}

/* ---------------------------------------------------------------------- beginning */

static bool check_text(const struct sequence_feed *f, struct err *err)
{
    const size_t *at = f->data->series[0].at;
    const size_t tokens = at[f->split + 1] - at[f->split];
    const size_t least = f->train ? ((size_t)f->batch + 1) * f->window : 2;
    return tokens >= least ||
           err_status(
               err, EXIT_USAGE,
               "'%s': %zu tokens for %s are too few for %d streams of %zu steps: expected %zu",
               f->data->path ? f->data->path : f->data->name, tokens,
               f->train ? "training" : "test", f->batch, f->window, least);
}

bool sequence_feed_init(struct sequence_feed *f, const struct sequences *data,
                        const struct sequence_buckets *buckets, int split, int batch, size_t window,
                        bool train, uint64_t seed, struct err *err)
{
    struct sequence_feed made = {.data = data,
                                 .buckets = buckets,
                                 .split = split,
                                 .batch = batch,
                                 .train = train,
                                 .seed = seed,
                                 .window = window};
    const size_t items = data->items[split], batches = items / (size_t)batch + 1;
    if (data->running && !check_text(&made, err))
        return false;
    if (!data->running && train && items < (size_t)batch)
        return err_status(err, EXIT_USAGE, "batch %d is larger than the training set, %zu items",
                          batch, items);
    if (!data->running) {
        made.shuffled = xmalloc((items + 1) * sizeof *made.shuffled);
        made.order = xmalloc(batches * (size_t)batch * sizeof *made.order);
        made.bucket = xmalloc(batches);
        made.turn = xmalloc(batches * sizeof *made.turn);
    }
    sequence_feed_start(&made, 0);
    *f = made;
    return true;
}

void sequence_feed_release(struct sequence_feed *f)
{
    free(f->shuffled);
    free(f->order);
    free(f->bucket);
    free(f->turn);
    *f = (struct sequence_feed){0};
}
