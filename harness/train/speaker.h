/* speaker.h — a network that says one token after another: running text, or a line. What it has
 * heard is in its state (nn_state()), or, where it has none, is read again each time, the last
 * `most` tokens of it. */
#ifndef SPEAKER_H
#define SPEAKER_H

#include "train/prefix_net.h"
#include "train/search.h"

struct speaker;

/* `wish` as for a prefix_net, without source; `most`: 0: as many steps as the network reads at a
 * time in training. NULL and *err where it cannot be asked so. */
struct speaker *speaker_new(const struct prefix_wish *wish, struct err *err);
void speaker_free(struct speaker *s); /* NULL is allowed */

int speaker_tokens(const struct speaker *s);

/* Forgets all; then hears one token after another and scores what comes behind each: [tokens], good
 * until the next. NULL and *err: a score is not finite. */
void speaker_begin(struct speaker *s);
const float *speaker_hear(struct speaker *s, int32_t token, struct err *err);

/* Of a network that spells (prefix_net.h): up to `most` tokens of a text of class wish->of_class,
 * drawn by `sampler`, to token[most + 1]; how many, or -1 and *err. */
int speaker_spell(const struct prefix_wish *wish, struct sampler *sampler, int most, int32_t *token,
                  struct err *err);

#endif
