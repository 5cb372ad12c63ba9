/* judge.h — what a network says of its own accord, when it has been trained: translations of the
 * test set, greedily decoded and scored, and a few texts for people to look at.
 *
 *     exact    % of items said exactly, token by token: generated tasks
 *     bleu     BLEU-4 of all of them (stats/bleu.h): pairs. An unknown word matches nothing
 *
 * Beside the accuracy that evaluations give, where each step is told what should have come before.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "train/trainer.h"
#include "train/translate.h"

enum { JUDGE_ITEMS = 2000 }; /* of the test set, the first ones */

struct judge {
    int items;
    uint32_t *row;          /* [items]: of the set's series */
    struct utterance *said; /* [items] */
};

/* Does the run have something to say that can be judged? */
bool judge_can(const struct trainer *t);

/* Translates, adds the metric to *score, and keeps what was said for judge_tell(). Asks `look`
 * before each token; false only if that ended it. Of a network that cannot be asked (prefix_net.h)
 * it tells why on standard error, and *score stays as it was. */
bool judge_translations(struct trainer *t, bool (*look)(void *arg), void *arg, struct score *score,
                        struct judge *j);
void judge_release(struct judge *j);

/* Calls sink->sample with up to RUN_SAMPLES of the translations and what was attended to; of
 * running text with a text said by chance (temperature 0.8), of lines with ten of them. */
void judge_tell(struct trainer *t, const struct judge *j, const struct run_sink *sink);

#endif
