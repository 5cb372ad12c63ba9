/* sequences.h — sets of sequences in memory: tokens and their labels, numbers and what they add up
 * to, sentences and their translations, a text that runs on.
 *
 * A set is one to three *series*, ragged rows of integers or of floats, a row an item; and a list
 * of *inputs*: names that a network may declare, each a view of one series. That the next token is
 * what is to be said is such a view: the series without its first step, beside that without its
 * last.
 *
 * A task names a set: "adding:200", "text", "pairs:en-de" (plugin.h lists them). Generated ones are
 * the same for a seed on every machine; an item belongs to training or to test by a hash of its
 * content, so that no item is in both. */
#ifndef SEQUENCES_H
#define SEQUENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "datasets/sequences/vocabulary.h"

enum sequence_split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLITS };
enum { SERIES = 3, SEQUENCE_INPUTS = 4, SEQUENCE_STEPS = 100000 /* of one item, at most */ };

/* Row i is steps [at[i], at[i + 1]). */
struct series {
    int width;       /* floats a step; 0: integers, one a step */
    int32_t *tokens; /* one of these two, by width */
    float *values;
    size_t *at; /* [rows + 1] */
    size_t rows, row_room, step_room;
    size_t longest; /* steps */
};

/* One name that a network may declare as its input. */
struct sequence_input {
    const char *name;   /* "target" */
    const char *length; /* NULL, or the input that is given the number of steps */
    int series;
    int skip, cut; /* steps left out in front and at the end */
    int32_t pad; /* behind the end, and where there is no item: 0, or -1 for what is not counted */
    bool scalar; /* one step an item, no axis for it: labels, targets of numbers */
    int tokens;  /* how many different there are; 0: floats */
    const struct vocabulary *vocabulary; /* that spells them, or NULL; borrowed from the set */
};

struct sequences {
    char *name;     /* "adding:200", "kjv", "text" for a file that nobody knows */
    char *path;     /* what it was read from; NULL for generators */
    bool synthetic; /* generated */
    bool running;   /* each split is one row of series 0, a text that runs on */
    size_t window;  /* of running text: steps a batch, by the task's parameter; 0: as the network
                       wants */
    struct series series[SERIES];
    struct sequence_input input[SEQUENCE_INPUTS];
    int inputs;
    uint32_t *item[SPLITS]; /* rows that belong to the split; not of running text, whose row is the
                               split */
    size_t items[SPLITS];
    struct vocabulary *vocabulary[2]; /* of source (or the only one) and target */
    char **class_names;               /* NULL, or as many as tokens of "label"; malloc'ed */
    struct text notes; /* what was left out of the files, a line each: "a.txt: 3 lines of 900 are
                          empty, …" */
    char sha256[65];   /* of all rows and which split they are in */
};

/* What a task's text says: "reverse:12" is kind "reverse" and number 12. */
struct sequence_task {
    const char *task; /* whole */
    char kind[24];
    char parameter[40]; /* behind the colon, up to the next; "" */
    long long number;   /* the parameter as a number; 0 where there is none or it is no number */
};

struct sequence_wish {
    uint64_t seed;    /* of generators */
    size_t items;     /* of a generator's training set; 0: its default */
    const char *data; /* NULL; or --data: a file, a folder, a set's name, or a task instead,
                         also as "pairs:en-fr:PLACE", PLACE being one of the others */
};

/* Opens what `task` names, or `wish->data` instead. On success the caller closes with
 * sequences_close(). EXIT_USAGE for a task or a parameter that is none. */
bool sequences_open(const char *task, const struct sequence_wish *wish, struct sequences *s,
                    struct err *err);
void sequences_close(struct sequences *s);

/* The input of that name, or the one whose length has it; NULL if there is none. */
const struct sequence_input *sequences_input(const struct sequences *s, const char *name);

/* Steps of row `row` as that input sees it, and of the longest row. */
size_t sequences_steps(const struct sequences *s, const struct sequence_input *in, size_t row);
size_t sequences_longest(const struct sequences *s, const struct sequence_input *in);

/* Kinds of tasks, NULL-terminated, and a line about each: "copy:T: ten symbols, …". Sets with a
 * name for --data are in datasets/text/places.h. */
extern const char *const sequence_kinds[];
const char *sequences_about(const char *kind);

/* ------------------------------------------------------------- for readers */

/* Adds a row; tokens or values as the series' width says. Returns its number. */
size_t series_add(struct series *s, const void *steps, size_t n);
void sequences_assign(struct sequences *s, size_t row, int split); /* row joins that split */
void sequences_add_input(struct sequences *s, struct sequence_input in);
/* Series 0 as the inputs tokens, all but the last step, and next, all but the first. */
void sequences_declare_next(struct sequences *s);
/* A number in [0, 20) by the content of some bytes: which split an item belongs to. */
unsigned sequences_twentieth(const void *bytes, size_t n);
/* What a reader has left to do: sums up into sha256, and refuses a set without training or test
 * items. */
bool sequences_finish(struct sequences *s, struct err *err);

/* A reader or generator. */
struct sequence_source {
    const char *kind, *about;
    bool (*open)(const struct sequence_task *task, const struct sequence_wish *wish,
                 struct sequences *s, struct err *err);
    bool generated; /* --data can be no file of it */
};
extern const struct sequence_source source_adding, source_copy, source_addition, source_reverse,
    source_dates, source_text, source_words, source_lines, source_names, source_pairs;

#endif
