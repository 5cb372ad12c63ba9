/* sequence_feed.h — from sequences in memory to the inputs of a step.
 *
 * Sequences of like lengths go together. *Buckets* are limits of length, up to six, placed so that
 * the fewest steps of padding are computed; each has a program of its own, built for its lengths. A
 * batch is of one bucket: rows are shuffled, dealt into buckets in that order, what is left over of
 * a bucket goes to the next longer one, and batches are shuffled again. Training drops what the
 * longest bucket leaves over; an evaluation fills its last batch up with rows that count for
 * nothing.
 *
 * Running text is cut into as many streams as a batch has rows, and a step continues each where the
 * last one ended, so that a state can be carried on. Training begins each epoch a few tokens later,
 * so that the cuts differ; an evaluation asks for every token but the first exactly once. */
#ifndef SEQUENCE_FEED_H
#define SEQUENCE_FEED_H

#include "base/crew.h"
#include "base/err.h"
#include "datasets/sequences/sequences.h"
#include "graph/program.h"

enum { BUCKETS = 6, BINDINGS = 2 * SEQUENCE_INPUTS };

struct sequence_buckets {
    int count;
    size_t limit[BUCKETS];         /* of the longest sequence of an item, rising */
    size_t steps[BUCKETS][SERIES]; /* the longest row of each series, none falling */
};

/* Up to `most` buckets, as few as come within 5 % of the least padding; each with at least four
 * batches of training items. Running text has one. */
void sequence_buckets_choose(struct sequence_buckets *b, const struct sequences *data, int batch,
                             int most);

/* One for all, as long as the longest. */
void sequence_buckets_join(struct sequence_buckets *b);

/* Tells the graph of bucket `bucket` what nn_tokens() and nn_length() answer. */
void sequence_facts(const struct sequences *data, const struct sequence_buckets *b, int bucket,
                    struct nn_graph *g);

/* Which input of a program is filled with what. */
struct sequence_binding {
    const struct sequence_input *in;
    bool is_length;    /* the number of steps, not the steps */
    size_t steps, row; /* of the program's input; its elements a sample */
    void *data;
};
struct sequence_bindings {
    int count;
    struct sequence_binding of[BINDINGS];
};

/* Refuses inputs that the data does not give, of another type or shape, or with too few steps for
 * the rows of the bucket; and labels that the network's scores have no place for. */
bool sequence_bind(const struct sequences *data, const struct sequence_buckets *b, int bucket,
                   const struct program *p, struct sequence_bindings *bindings, struct err *err);

struct sequence_feed {
    const struct sequences *data;
    const struct sequence_buckets *buckets;
    int split, batch;
    bool train;
    uint64_t seed;
    uint32_t *shuffled, *order; /* the split's rows; as batches lie one behind the other */
    uint8_t *bucket;            /* of each batch of `order` */
    uint32_t *turn;             /* which batch comes when */
    size_t batches, at;         /* in an epoch; the one that is next to be filled */
    size_t window, offset,
        stream; /* of running text: steps a batch; first token; tokens a stream */
};

/* `buckets` is borrowed; `window`: running text's steps a batch. Refuses, EXIT_USAGE, a training
 * set smaller than a batch. */
bool sequence_feed_init(struct sequence_feed *f, const struct sequences *data,
                        const struct sequence_buckets *buckets, int split, int batch, size_t window,
                        bool train, uint64_t seed, struct err *err);
void sequence_feed_release(struct sequence_feed *f);

/* Begins epoch 0, 1, …; the order depends on seed and epoch only. Evaluation always has the same.
 */
void sequence_feed_start(struct sequence_feed *f, int epoch);

/* The bucket of the batch that is next; its inputs filled, by this thread's share of rows; on to
 * the next, or false at the end of the epoch. */
int sequence_feed_bucket(const struct sequence_feed *f);
void sequence_feed_fill(const struct sequence_feed *f, const struct crew *crew,
                        const struct sequence_bindings *bindings);
bool sequence_feed_next(struct sequence_feed *f);

/* How many predictions of a filled batch count: places of "next" or "label" that are not -1; of
 * sets with neither, items. */
double sequence_feed_counted(const struct sequence_feed *f,
                             const struct sequence_bindings *bindings);

/* Items in the batches of an epoch; of running text, windows. */
size_t sequence_feed_items(const struct sequence_feed *f);

#endif
