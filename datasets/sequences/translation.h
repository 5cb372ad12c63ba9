/* translation.h — pairs of sequences: what is read and what is to be said, as every generator and
 * reader of pairs puts them into a set. Series 0 is the source; series 1 the target from <s> to
 * </s>. */
#ifndef TRANSLATION_H
#define TRANSLATION_H

#include "datasets/sequences/sequences.h"

/* Adds a pair of texts, spelled by s->vocabulary[0] and [1]. Characters that these do not have yet
 * are added to them; words are not, and become <unk>. Returns the row. */
size_t translation_add(struct sequences *s, const char *source, size_t source_bytes,
                       const char *target, size_t target_bytes);

/* Declares the inputs source, target and next, when the vocabularies are complete. */
void translation_declare(struct sequences *s);

#endif
