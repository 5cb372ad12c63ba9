/* sample.h — what a trained network says (struct run_sample of run.h): as JSON, which is how it
 * goes through the pipe and into documents, and as copies that own what they point to.
 *
 *     {"source": "the cat", "reference": "die Katze", "output": "die Katze",
 *      "source_tokens": ["the", "cat"], "output_tokens": ["die", "Katze"],
 *      "attention": [[0.9, 0.1], [0.2, 0.8]]}
 *
 * A text that there is none of is "", an attention null, a weight that is no number null too. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <jansson.h>

#include "train/run.h"

/* A new reference. What is too long for run.h's limits is cut: texts end in an ellipsis, tokens are
 * left out with their weights. Bytes that are not UTF-8 become U+FFFD. */
json_t *sample_json(const struct run_sample *s);

/* The other way: a copy, of which no text is NULL; the caller calls sample_release(). Treats the
 * JSON as hostile: refuses what is missing, of another type, too long or of another shape; then *s
 * is zeroed. */
__attribute__((warn_unused_result)) bool sample_of(const json_t *json, struct run_sample *s,
                                                   struct err *err);

/* A copy that owns its memory, in one block; NULL texts become "". */
struct run_sample sample_copy(const struct run_sample *s);
void sample_release(struct run_sample *s); /* leaves it zeroed, which may be released again */

/* Tokens alone: a new array of strings, as sample_json() has them, and back. Back: the strings are
 * borrowed from the JSON, the array of them is malloc'ed; NULL where it is no array of at most
 * RUN_SAMPLE_TOKENS strings. */
json_t *sample_tokens_json(const char *const *token, int count);
const char **sample_tokens(const json_t *json, int *count);

#endif
