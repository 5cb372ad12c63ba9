/* prefix_net.h — a network asked again and again what comes behind what has been said so far.
 *
 * It is run on the whole prefix each time, as it was trained, whatever it consists of: teacher
 * forcing on its own output. Only the last step's scores are computed (PROGRAM_LAST), by a program
 * built for just so many steps, and what depends on the source alone is computed once a source
 * (PROGRAM_GIVEN). Programs share parameters and take turns on one arena; rows that have ended
 * leave, and programs of half as many rows take over. */
#ifndef PREFIX_NET_H
#define PREFIX_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "graph/program.h"
#include "train/language.h"
#include "train/plugin_load.h"

struct prefix_net;

struct prefix_wish {
    const struct plugin *plugin;
    const struct nn_variant *variant;
    const struct language *language;
    struct program *share; /* whose parameters */
    struct program *lend;  /* NULL, or whose activations may be overwritten */
    int threads;
    int batch;        /* rows at most */
    int source_steps; /* of the longest source; 0: there are none */
    int most;         /* steps of the longest prefix */
    bool spells;      /* it reads a class before all tokens, and an empty prefix may be asked about:
                         there      is a step more in what it says than in what it hears */
    int of_class;     /* which */
};

/* Everything in *w is borrowed. NULL and *err if the network cannot be asked so: it wants inputs
 * that a prefix is not, always as many steps, or parameters that depend on these. */
struct prefix_net *prefix_net_new(const struct prefix_wish *w, struct err *err);
void prefix_net_free(struct prefix_net *net); /* NULL is allowed */

int prefix_net_tokens(const struct prefix_net *net); /* scores a row */

/* Does it carry a state from step to step (nn_state())? Then one step after another may be asked
 * about, length 1 each time; the state is that of the longest prefix's program. And back to its
 * zeros. */
bool prefix_net_has_state(const struct prefix_net *net);
void prefix_net_clear(struct prefix_net *net);

/* The sources of rows 0 … rows - 1: source[i], of steps[i] <= source_steps tokens, at least one. */
void prefix_net_read(struct prefix_net *net, int rows, const int32_t *const *source,
                     const int *steps);

/* As scorer.scores (search.h): [n][tokens], good until the next call. Where it spells, prefixes
 * have room for a token more. NULL and *err: a score is not finite, or no program can be made. */
const float *prefix_net_scores(struct prefix_net *net, const int32_t *prefix, size_t stride, int n,
                               int length, const int *from, struct err *err);

/* Scores that are no numbers come of parameters that are none. */
bool prefix_net_are_finite(const float *scores, size_t n);

/* A graph of the variant for that batch, told what a language says of tokens; `source` and `prefix`
 * steps, 0: as long as the network wants. Its error is the caller's to ask for. */
struct nn_graph *prefix_net_graph(const struct prefix_wish *w, int batch, int source, int prefix);

#endif
