/* language.h — what a network must know of sequences to speak without their data: which inputs it
 * was trained on, of how many tokens and how long, the vocabularies that spell them, the names of
 * classes. A checkpoint carries it. */
#ifndef LANGUAGE_H
#define LANGUAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "datasets/sequences/sequences.h"
#include "graph/program.h"
#include "train/safetensors.h"

enum language_kind {
    LANGUAGE_NONE,         /* numbers, or tokens without a spelling: adding, copy */
    LANGUAGE_TEXT,         /* running text, by characters or words */
    LANGUAGE_LINES,        /* texts from <s> to </s> */
    LANGUAGE_CLASSES,      /* a text's class */
    LANGUAGE_SPELLING,     /* a text of a class: as lines, behind the class */
    LANGUAGE_TRANSLATIONS, /* a text into another */
};

struct language_input {
    char name[24], length[24]; /* as sequence_input has them; length "": none */
    int tokens;                /* 0: floats */
    int longest;               /* steps, of all items; 0: running text, or one a sample */
    bool read;                 /* by the network: it need not declare all that its data give */
};

struct language {
    int inputs;
    struct language_input input[SEQUENCE_INPUTS];
    int window; /* steps of running text; 0: as the network wants */
    bool running;
    struct vocabulary *vocabulary[2]; /* of the source, or the only one; of the target */
    char **class_name;                /* NULL, or `classes` of them */
    int classes;
    bool borrowed; /* vocabularies and names are the set's */
};

/* Borrows vocabularies and names from the set; p: the network's program. */
void language_of(const struct sequences *s, const struct program *p, struct language *l);
void language_release(struct language *l);

int language_kind(const struct language *l); /* enum language_kind */
const struct language_input *language_input(const struct language *l,
                                            const char *name); /* or NULL */
bool language_reads(const struct language *l, const char *name);

/* Of LANGUAGE_TRANSLATIONS: is all said at once, to the source alone, without hearing what was said
 * before? */
bool language_at_once(const struct language *l);

/* Whether texts are what a task ("pairs:en-de") is about; not so adding, copy, and "", images. */
bool language_spells(const char *task);

/* Into a file's metadata and back: "vocabulary", "vocabulary.target", "sequences". Reading refuses
 * what is damaged; a file without them gives LANGUAGE_NONE. */
void language_write(const struct language *l, struct st_writer *w);
__attribute__((warn_unused_result)) bool language_read(const char *path, const struct st_file *f,
                                                       struct language *l, struct err *err);

/* "vocabulary", "vocabulary.target": the metadata's keys. */
extern const char *const language_key[2];

#endif
