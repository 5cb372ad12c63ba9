/* generate_inside.h — what the answers of generate_task.c share: one file for each way of answering. */
#ifndef GENERATE_INSIDE_H
#define GENERATE_INSIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "train/checkpoint.h"
#include "train/generate.h"
#include "train/prefix_net.h"

enum { TALK_READ = 2000 }; /* tokens of a source or of a text to be classed, at most */

/* One call of `bench generate`: what is asked, and of whom. */
struct talk {
    struct generate_spec spec;
    const json_t *prompts;
    void (*say)(const char *what);
    void (*report)(json_t *json);
    struct plugin plugin;
    struct checkpoint checkpoint;
    struct prefix_wish wish;
    struct nn_graph *graph;
    struct program *program; /* holds the parameters */
    int64_t told;            /* when the last sign of life was given */
    struct err *err;
};

const struct language *talk_language(const struct talk *t);

/* What the network is to answer, and where prompt i was read. */
size_t talk_prompts(const struct talk *t);
const char *talk_prompt(const struct talk *t, size_t i);
const char *talk_place(const struct talk *t, size_t i, char place[48]);

__attribute__((format(printf, 2, 3))) void talk_remark(const struct talk *t, const char *fmt, ...);

/* The caller frees the n tokens of a text; the first few that the vocabulary does not have are
 * remarked on. */
int32_t *talk_encode(const struct talk *t, const struct vocabulary *v, const char *text, int *n);

/* A new reference to the text of n tokens. */
json_t *talk_spelled(const struct vocabulary *v, const int32_t *token, int n);

/* Report an answer to each prompt; false and *t->err where they cannot. generate_text.c draws by
 * chance: running text, lines, and what is called so in a class. */
bool answer_text(struct talk *t);
bool answer_lines(struct talk *t);
bool answer_spelling(struct talk *t);
bool answer_translations(struct talk *t); /* generate_translations.c */
bool answer_classes(struct talk *t);      /* generate_classes.c */

#endif
