/* vocabulary.c — see vocabulary.h. Tokens are found by open addressing: a table of numbers, twice
 * as large as it must be, hashed by FNV-1a. */
#include "datasets/sequences/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const special[TOKENS_SPECIAL] = {"<pad>", "<unk>", "<s>", "</s>"};
static const char *const kind_name[] = {"characters", "words"};

struct vocabulary {
    int kind;
    bool special;
    struct arena *arena; /* of the tokens' bytes */
    char **token;
    int count, room;
    int32_t *slot; /* number + 1; 0: free */
    size_t slots;  /* a power of two, more than twice `count` */
};

struct vocabulary *vocabulary_new(int kind, bool with_special)
{
    struct vocabulary *v = xcalloc(1, sizeof *v);
    v->kind = kind;
    v->special = with_special;
    v->arena = arena_new();
    v->slots = 256;
    v->slot = xcalloc(v->slots, sizeof *v->slot);
    for (int i = 0; with_special && i < TOKENS_SPECIAL; i++)
        (void)vocabulary_add(v, special[i], strlen(special[i]));
    return v;
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v)
        return;
    arena_free(v->arena);
    free(v->token);
    free(v->slot);
    free(v);
}

int vocabulary_count(const struct vocabulary *v) { return v->count; }
int vocabulary_kind(const struct vocabulary *v) { return v->kind; }
bool vocabulary_special(const struct vocabulary *v) { return v->special; }

const char *vocabulary_token(const struct vocabulary *v, int32_t id)
{
    return id >= 0 && id < v->count ? v->token[id] : "?";
}

/* ------------------------------------------------------------------ finding */

static uint64_t hash(const char *bytes, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* Where the token is, or would be. */
static size_t slot_of(const struct vocabulary *v, const char *bytes, size_t n)
{
    size_t at = hash(bytes, n) & (v->slots - 1);
    for (; v->slot[at]; at = (at + 1) & (v->slots - 1)) {
        const char *token = v->token[v->slot[at] - 1];
        if (strncmp(token, bytes, n) == 0 && token[n] == '\0')
            break;
    }
    return at;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *bytes, size_t n)
{
    return v->slot[slot_of(v, bytes, n)] - 1;
}

static void grow(struct vocabulary *v)
{
    v->slots *= 2;
    free(v->slot);
    v->slot = xcalloc(v->slots, sizeof *v->slot);
    for (int i = 0; i < v->count; i++)
        v->slot[slot_of(v, v->token[i], strlen(v->token[i]))] = i + 1;
}

int32_t vocabulary_add(struct vocabulary *v, const char *bytes, size_t n)
{
    const int32_t found = vocabulary_find(v, bytes, n);
    if (found >= 0)
        return found;
    if (2 * ((size_t)v->count + 1) >= v->slots)
        grow(v);
    if (v->count == v->room) {
        v->room = v->room ? 2 * v->room : 128;
        v->token = xrealloc(v->token, (size_t)v->room * sizeof *v->token);
    }
    char *copy = arena_alloc(v->arena, n + 1);
    memcpy(copy, bytes, n);
    v->token[v->count] = copy;
    v->slot[slot_of(v, bytes, n)] = v->count + 1;
    return v->count++;
}

/* ------------------------------------------------------------------- cutting */

static size_t put_utf8(uint32_t c, char *to)
{
    if (c < 0x80)
        return to[0] = (char)c, 1;
    if (c < 0x800)
        return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Capitals in rows: every one of [from, to], or every other, lies `step` before its small letter.
 */
static uint32_t small(uint32_t c)
{
    static const struct {
        uint32_t from, to, step;
    } row[] = {{'A', 'Z', 32},     {0xc0, 0xd6, 32},   {0xd8, 0xde, 32},
               {0x391, 0x3a9, 32}, {0x410, 0x42f, 32}, {0x400, 0x40f, 80}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (c >= row[i].from && c <= row[i].to)
            return c + row[i].step;
    const bool even = (c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177);
    const bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
    return (even && c % 2 == 0) || (odd && c % 2 == 1) ? c + 1 : c;
}

/* Beyond ASCII: all but the marks of Latin-1 and those of the blocks of general punctuation and
 * symbols. */
static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !(c < 0xc0 && c != 0xaa && c != 0xb5 && c != 0xba) && c != 0xd7 && c != 0xf7 &&
           !(c >= 0x2000 && c < 0x2c00) && !(c >= 0x3000 && c < 0x3040);
}

static bool is_space(uint32_t c)
{
    return c <= ' ' || c == 0xa0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200b) || c == 0xfeff ||
           c == 0x7f;
}

/* ' - _ and the curved apostrophe, between two letters. */
static bool joins(uint32_t c, const char *behind, size_t left)
{
    uint32_t next;
    return (c == '\'' || c == '-' || c == '_' || c == 0x2019) &&
           text_utf8_length(behind, left, &next) && is_letter(next);
}

static size_t take(const char **text, size_t *left, uint32_t *c)
{
    size_t n = text_utf8_length(*text, *left, c);
    if (n == 0) { /* only where nobody has checked: a byte for a character */
        *c = 0xfffd;
        n = 1;
    }
    *text += n;
    *left -= n;
    return n;
}

static bool next_word(const char **text, size_t *left, struct token *token)
{
    uint32_t c = ' ';
    while (*left > 0 && is_space(c))
        (void)take(text, left, &c);
    if (is_space(c))
        return false;
    token->n = put_utf8(small(c), token->bytes);
    if (!is_letter(c))
        return true;
    while (*left > 0 && token->n + 4 < TOKEN_BYTES) {
        const size_t n = text_utf8_length(*text, *left, &c);
        if (n == 0 || (!is_letter(c) && !joins(c, *text + n, *left - n)))
            break;
        token->n += put_utf8(c == 0x2019 ? '\'' : small(c), token->bytes + token->n);
        *text += n;
        *left -= n;
    }
    return true;
}

bool vocabulary_next(int kind, const char **text, size_t *left, struct token *token)
{
    uint32_t c;
    if (*left == 0)
        return false;
    if (kind == TOKEN_WORDS) {
        if (!next_word(text, left, token))
            return false;
    } else {
        const char *from = *text;
        token->n = take(text, left, &c);
        memcpy(token->bytes, from, token->n);
    }
    token->bytes[token->n] = '\0';
    return true;
}

int32_t *vocabulary_encode(const struct vocabulary *v, const char *text, size_t bytes,
                           size_t *count)
{
    int32_t *id = xmalloc((bytes + 1) * sizeof *id);
    struct token token;
    *count = 0;
    while (vocabulary_next(v->kind, &text, &bytes, &token)) {
        int32_t found = vocabulary_find(v, token.bytes, token.n);
        if (found < 0 && v->special)
            found = TOKEN_UNKNOWN;
        if (found >= 0)
            id[(*count)++] = found;
    }
    return id;
}

void vocabulary_decode(const struct vocabulary *v, const int32_t *tokens, size_t n,
                       struct text *out)
{
    bool first = true, open = false;
    for (size_t i = 0; i < n; i++) {
        if (v->special && tokens[i] == TOKEN_END)
            break;
        if (v->special && (tokens[i] == TOKEN_PAD || tokens[i] == TOKEN_BEGIN))
            continue;
        const char *token = vocabulary_token(v, tokens[i]);
        const bool closes = token[0] && !token[1] && strchr(".,;:!?)", token[0]);
        if (v->kind == TOKEN_WORDS && !first && !closes && !open)
            text_add(out, " ");
        text_add(out, "%s", token);
        open = strcmp(token, "(") == 0;
        first = false;
    }
}

/* ------------------------------------------------------------------ choosing */

struct counted {
    const char *token;
    uint64_t count;
};

static int more_frequent(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->token, y->token);
}

struct vocabulary *vocabulary_frequent(const struct vocabulary *all, const uint64_t *counts,
                                       uint64_t least, int most)
{
    const int from = all->special ? TOKENS_SPECIAL : 0;
    struct vocabulary *v = vocabulary_new(all->kind, all->special);
    struct counted *c = xmalloc(((size_t)all->count + 1) * sizeof *c);
    size_t n = 0;
    for (int i = from; i < all->count; i++)
        if (counts[i] >= least)
            c[n++] = (struct counted){all->token[i], counts[i]};
    qsort(c, n, sizeof *c, more_frequent);
    for (size_t i = 0; i < n && (most == 0 || v->count < most); i++)
        (void)vocabulary_add(v, c[i].token, strlen(c[i].token));
    free(c);
    return v;
}

/* ------------------------------------------------------------------- packing */

char *vocabulary_pack(const struct vocabulary *v)
{
    struct text t = {0};
    text_add(&t, "%s%s\n", kind_name[v->kind], v->special ? " special" : "");
    for (int i = v->special ? TOKENS_SPECIAL : 0; i < v->count; i++) {
        for (const char *s = v->token[i]; *s; s++)
            if (*s == '\n' || *s == '\r' || *s == '\\')
                text_add(&t, "\\%c", *s == '\n' ? 'n' : *s == '\r' ? 'r' : '\\');
            else
                text_add_bytes(&t, s, 1);
        text_add(&t, "\n");
    }
    char *packed = xstrdup(text_str(&t));
    text_release(&t);
    return packed;
}

/* A packed token's bytes; their number, or 0 if it is none. */
static size_t unescape(const char *s, size_t n, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '\\') {
            if (++i == n || !strchr("nr\\", s[i]))
                return 0;
            c = s[i] == 'n' ? '\n' : s[i] == 'r' ? '\r' : '\\';
        }
        to[length++] = c;
    }
    return length;
}

static bool unpack_tokens(struct vocabulary *v, const char *at, struct err *err)
{
    char token[TOKEN_BYTES];
    for (int line = 2; *at; line++) {
        const size_t n = strcspn(at, "\n");
        const size_t length = n < sizeof token ? unescape(at, n, token) : 0;
        const int before = v->count;
        if (length > 0)
            (void)vocabulary_add(v, token, length);
        if (v->count == before)
            return err_set(err, "line %d: found '%.*s', expected a token not seen before", line,
                           (int)(n < 40 ? n : 40), at);
        at += n + (at[n] == '\n');
    }
    return true;
}

struct vocabulary *vocabulary_unpack(const char *packed, struct err *err)
{
    static const char *const heads[] = {"characters", "characters special", "words",
                                        "words special"};
    const size_t n = strcspn(packed, "\n");
    int head = 0;
    while (head < 4 && !(strlen(heads[head]) == n && strncmp(packed, heads[head], n) == 0))
        head++;
    if (head == 4) {
        err_set(err, "line 1: found '%.*s', expected 'characters' or 'words'",
                (int)(n < 40 ? n : 40), packed);
        return NULL;
    }
    struct vocabulary *v = vocabulary_new(head / 2, head % 2);
    if (unpack_tokens(v, packed + n + (packed[n] == '\n'), err))
        return v;
    vocabulary_free(v);
    return NULL;
}
