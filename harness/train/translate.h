/* translate.h — a network's translations: many sources greedily, or one by beam search. */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "train/prefix_net.h"

/* Whose translations. Everything is borrowed. */
struct translator {
    const struct plugin *plugin;
    const struct nn_variant *variant;
    const struct language *language;
    struct program *share, *lend; /* parameters; NULL, or activations (prefix_net.h) */
    int threads, batch;           /* sources at a time */
    int most;                     /* tokens said, at most; 0: as translate_most() has it */
    bool (*look)(void *arg);      /* NULL, or asked before each token: false ends it all */
    void *arg;
};

/* Tokens without <s> and </s>. */
struct utterance {
    int32_t *token;
    int tokens;
    double score; /* of beam search; else 0 */
};

/* The most tokens said to a source: one and a half times as many and ten, but none more than the
 * longest sentence that the network was trained on has. */
int translate_most(const struct language *l, int source_tokens);

/* said[i].token is malloc'ed, or NULL where the look ended it before; *done: none was ended. False
 * and *err where the network cannot be asked. Sources of like lengths are translated together. */
__attribute__((warn_unused_result)) bool translate_greedy(const struct translator *t,
                                                          const struct utterance *source, int n,
                                                          struct utterance *said, bool *done,
                                                          struct err *err);

/* What nn_show("attention") names while `said` is said to `source`: [said->tokens][source->tokens],
 * malloc'ed; NULL: the network shows none, or nothing was said. */
float *translate_attention(const struct translator *t, const struct utterance *source,
                           const struct utterance *said);

/* Up to `beam` translations of one source, best first; their number in *n. */
__attribute__((warn_unused_result)) bool translate_beam(const struct translator *t,
                                                        const struct utterance *source, int beam,
                                                        struct utterance *said, int *n,
                                                        struct err *err);

#endif
