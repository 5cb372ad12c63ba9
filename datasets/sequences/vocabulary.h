/* vocabulary.h — the different tokens of a text, numbered: characters or words, built from the
 * training part of the data and saved with what was trained on it.
 *
 * A character is a Unicode code point as UTF-8. Words are cut by vocabulary_next():
 *   - white space separates and is dropped;
 *   - a run of letters and digits (ASCII, and every character beyond) is a word, in small letters:
 * those of ASCII, Latin, Greek and Cyrillic are made small;
 *   - an apostrophe, hyphen or underscore between two of them belongs to the word: don't,
 * well-known, i_walk;
 *   - any other character is a token of its own. */
#ifndef VOCABULARY_H
#define VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum token_kind { TOKEN_CHARACTERS, TOKEN_WORDS };

/* The first tokens where sequences begin and end: padding, unknown, beginning, end. */
enum { TOKEN_PAD, TOKEN_UNKNOWN, TOKEN_BEGIN, TOKEN_END, TOKENS_SPECIAL };

struct vocabulary;

/* `with_special`: begins with <pad> <unk> <s> </s>, in that order. */
struct vocabulary *vocabulary_new(int kind, bool with_special);
void vocabulary_free(struct vocabulary *v); /* NULL is allowed */

int vocabulary_count(const struct vocabulary *v);
int vocabulary_kind(const struct vocabulary *v);
bool vocabulary_special(const struct vocabulary *v);

/* The number of the token of these n bytes: of vocabulary_add() a new one if there was none; of
 * vocabulary_find() -1 if there is none. */
int32_t vocabulary_add(struct vocabulary *v, const char *bytes, size_t n);
int32_t vocabulary_find(const struct vocabulary *v, const char *bytes, size_t n);

/* The bytes of token `id`, NUL-terminated; "?" of a number that is none. */
const char *vocabulary_token(const struct vocabulary *v, int32_t id);

/* Cuts the next token off *text (of *left bytes, sound UTF-8) into `token`, in small letters if a
 * word. False at the end. */
enum { TOKEN_BYTES = 256 }; /* longer words are cut there */
struct token {
    char bytes[TOKEN_BYTES];
    size_t n;
};
bool vocabulary_next(int kind, const char **text, size_t *left, struct token *token);

/* The numbers of a text's tokens, malloc'ed; unknown ones are TOKEN_UNKNOWN, or left out where
 * there is no such token. */
int32_t *vocabulary_encode(const struct vocabulary *v, const char *text, size_t bytes,
                           size_t *count);

/* Adds the text of n tokens to `out`: words with spaces between them, but none in front of . , ; :
 * ! ? ) and behind (. Ends in front of the first </s>; <pad> and <s> are left out. */
void vocabulary_decode(const struct vocabulary *v, const int32_t *tokens, size_t n,
                       struct text *out);

/* A vocabulary of the `most` most frequent tokens (0: all) of those that occur `least` times or
 * more; equally frequent ones in order of their bytes. Counting is done by a `counts` per token of
 * `all`. */
struct vocabulary *vocabulary_frequent(const struct vocabulary *all, const uint64_t *counts,
                                       uint64_t least, int most);

/* As text, for a checkpoint's metadata, and back: a line that tells the kind, then a token a line,
 * with \n \r \\ written as such. The first malloc'ed; the second NULL and *err for a text that is
 * none. */
char *vocabulary_pack(const struct vocabulary *v);
struct vocabulary *vocabulary_unpack(const char *packed, struct err *err);

#endif
