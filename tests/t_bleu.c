/* t_bleu.c — BLEU against the examples of its paper, against values that NLTK's manual prints, and
 * against a slow count of our own on random sentences. */
#include "base/rng.h"
#include "stats/bleu.h"
#include "tap.h"

enum { WORDS = 64, LONG = 20000 };

/* ---- sentences of words --------------------------------------------------------- */

static char vocabulary[256][24];
static int32_t known;

struct words {
    int32_t token[WORDS];
    size_t n;
};

static struct words words_of(const char *s)
{
    struct words w = {{0}, 0};
    for (; *s; w.n++) {
        char word[24];
        const size_t length = strcspn(s, " ");
        int32_t id = 0;
        snprintf(word, sizeof word, "%.*s", (int)length, s);
        while (id < known && strcmp(vocabulary[id], word) != 0)
            id++;
        if (id == known)
            snprintf(vocabulary[known++], sizeof vocabulary[0], "%s", word);
        w.token[w.n] = id;
        s += length + (s[length] == ' ');
    }
    return w;
}

static void add(struct bleu *b, const char *hypothesis, const char *const *reference, size_t n)
{
    const struct words h = words_of(hypothesis);
    struct words right[4];
    const int32_t *token[4];
    size_t m[4];
    for (size_t i = 0; i < n; i++) {
        right[i] = words_of(reference[i]);
        token[i] = right[i].token;
        m[i] = right[i].n;
    }
    bleu_add_refs(b, h.token, h.n, token, m, n);
}

static struct bleu bleu_of(const char *hypothesis, const char *const *reference, size_t n)
{
    struct bleu b = {0};
    add(&b, hypothesis, reference, n);
    return b;
}

static void is_part(const struct bleu *b, int order, double match, double total, const char *about)
{
    ok(b->match[order - 1] == match && b->total[order - 1] == total, "%s: %g/%g, wanted %g/%g",
       about, b->match[order - 1], b->total[order - 1], match, total);
}

/* ---- published ------------------------------------------------------------------ */

/* Papineni et al. 2002, examples 1 to 4 and the text around them; punctuation left out and, as
 * they do, case. */
static void paper(void)
{
    static const char *const guide[] = {
        "it is a guide to action that ensures that the military will forever heed party commands",
        ("it is the guiding principle which guarantees the military forces always being under the "
         "command of the party"),
        "it is the practical guide for the army always to heed the directions of the party"};
    static const char *const mat[] = {"the cat is on the mat", "there is a cat on the mat"};
    static const char *const always[] = {"i always do", "i invariably do", "i perpetually do"};
    struct bleu b = bleu_of(
        "it is a guide to action which ensures that the military always obeys "
        "the commands of the party",
        guide, 3);
    is_part(&b, 1, 17, 18, "candidate 1, unigrams");
    is_part(&b, 2, 10, 17, "candidate 1, bigrams");
    is_near(b.reference, 18, 0, "candidate 1: the second reference is as long");
    b = bleu_of(
        "it is to insure the troops forever hearing the activity guidebook that party "
        "direct",
        guide, 3);
    is_part(&b, 1, 8, 14, "candidate 2, unigrams");
    is_part(&b, 2, 1, 13, "candidate 2, bigrams");
    is_near(bleu_score(&b), 0, 0, "candidate 2 has no trigram, so it scores 0");
    b = bleu_of("the the the the the the the", mat, 2);
    is_part(&b, 1, 2, 7, "seven times \"the\", unigrams are clipped");
    is_part(&b, 2, 0, 6, "seven times \"the\", bigrams");
    b = bleu_of("of the", guide, 3);
    is_part(&b, 1, 2, 2, "\"of the\", unigrams");
    is_part(&b, 2, 1, 1, "\"of the\", bigrams");
    b = bleu_of("i always invariably perpetually do", always, 3);
    is_part(&b, 1, 5, 5, "a word of each reference: unigrams are all right");
    is_part(&b, 2, 2, 4, "and bigrams tell that it is no sentence");
}

/* nltk.translate.bleu_score, the examples of sentence_bleu() and corpus_bleu(); case counts. */
static void nltk(void)
{
    static const char *const first[] = {
        "It is a guide to action that ensures that the military will forever heed Party commands",
        ("It is the guiding principle which guarantees the military forces always being under the "
         "command of the Party"),
        "It is the practical guide for the army always to heed the directions of the party"};
    static const char *const second[] = {
        "he was interested in world history because he read the book"};
    struct bleu b = {0};
    add(&b,
        "It is a guide to action which ensures that the military always obeys the commands of the "
        "party",
        first, 3);
    is_near(bleu_score(&b), 50.45666840058485, 1e-11, "a sentence with three references");
    add(&b, "he read the book because he was interested in world history", second, 1);
    is_near(bleu_score(&b), 59.20778868801042, 1e-11, "a corpus of two sentences");
}

/* ---- lengths -------------------------------------------------------------------- */

static double score_of(size_t n, size_t m)
{
    int32_t token[WORDS];
    struct bleu b = {0};
    for (int32_t i = 0; i < WORDS; i++)
        token[i] = i;
    bleu_add(&b, token, n, token, m);
    return bleu_score(&b);
}

static double length_taken(size_t n, const size_t *m, size_t references)
{
    static const int32_t token[WORDS];
    const int32_t *const reference[4] = {token, token, token, token};
    struct bleu b = {0};
    bleu_add_refs(&b, token, n, reference, m, references);
    return b.reference;
}

static void lengths(void)
{
    is_near(score_of(4, 4), 100, 1e-12, "identity is 100 from four tokens on");
    is_near(score_of(60, 60), 100, 1e-12, "and at sixty");
    is_near(score_of(10, 20), 100 * exp(-1), 1e-12, "half as long: the penalty is 1/e");
    is_near(score_of(20, 21), 100 * exp(-0.05), 1e-12, "one of 21 is missing: exp(-1/20)");
    is_near(score_of(20, 10), 100 * pow(10 / 20. * 9 / 19. * 8 / 18. * 7 / 17., 0.25), 1e-12,
            "twice as long: no penalty, the precisions tell");
    is_near(score_of(3, 3), 0, 0, "three tokens hold no 4-gram");
    is_near(score_of(0, 8), 0, 0, "an empty hypothesis");
    is_near(score_of(8, 0), 0, 0, "an empty reference");
    is_near(bleu_score(&(const struct bleu){0}), 0, 0, "nothing at all");
    is_near(length_taken(12, (const size_t[]){12, 15, 17}, 3), 12, 0,
            "12 against 12, 15 and 17, as in the paper");
    is_near(length_taken(13, (const size_t[]){15, 11, 20}, 3), 11, 0,
            "of two as near, the shorter");
    is_near(length_taken(13, (const size_t[]){11, 15, 20}, 3), 11, 0, "in any order");
    is_near(length_taken(13, (const size_t[]){20, 14, 11}, 3), 14, 0, "the nearest, not the first");

    struct bleu b = {0};
    bleu_add(&b, NULL, 0, NULL, 0);
    bleu_add_refs(&b, (const int32_t[]){1, 2}, 2, NULL, NULL, 0);
    ok(b.match[0] == 0 && b.total[0] == 2 && b.total[1] == 1 && b.reference == 0,
       "no sentence and no reference are borne");
    bleu_add(&b, (const int32_t[]){INT32_MIN, INT32_MAX, -1, 0}, 4,
             (const int32_t[]){INT32_MIN, INT32_MAX, -1, 0}, 4);
    is_part(&b, 4, 1, 1, "any numbers are tokens");
}

/* ---- against counting ------------------------------------------------------------ */

static size_t occurrences(const int32_t *gram, size_t order, const int32_t *in, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i + order <= n; i++)
        count += memcmp(gram, in + i, order * sizeof *gram) == 0;
    return count;
}

static double slow_match(const struct words *h, const struct words *right, size_t references,
                         size_t order)
{
    double sum = 0;
    for (size_t i = 0; i + order <= h->n; i++) {
        const int32_t *const gram = h->token + i;
        const size_t before = occurrences(gram, order, h->token, i + order - 1);
        size_t most = 0;
        for (size_t r = 0; r < references; r++) {
            const size_t here = occurrences(gram, order, right[r].token, right[r].n);
            most = here > most ? here : most;
        }
        sum += before < most; /* this occurrence is number before + 1 */
    }
    return sum;
}

static struct words random_words(struct rng *rng, uint32_t vocabulary_size)
{
    struct words w = {{0}, rng_below(rng, WORDS)};
    for (size_t i = 0; i < w.n; i++)
        w.token[i] = (int32_t)rng_below(rng, vocabulary_size);
    return w;
}

static void random_sentences(void)
{
    struct rng rng = rng_make(3, 0);
    int wrong = 0, matched = 0;
    for (int round = 0; round < 2000; round++) {
        const uint32_t size = 1 + rng_below(&rng, 6);
        const size_t references = 1 + rng_below(&rng, 3);
        const struct words h = random_words(&rng, size);
        struct words right[3];
        const int32_t *token[3];
        size_t m[3];
        struct bleu b = {0};
        for (size_t r = 0; r < references; r++) {
            right[r] = random_words(&rng, size);
            token[r] = right[r].token;
            m[r] = right[r].n;
        }
        if (references == 1)
            bleu_add(&b, h.token, h.n, token[0], m[0]);
        else
            bleu_add_refs(&b, h.token, h.n, token, m, references);
        for (size_t k = 0; k < BLEU_ORDERS; k++)
            wrong += b.match[k] != slow_match(&h, right, references, k + 1) ||
                     b.total[k] != (h.n > k ? (double)(h.n - k) : 0);
        matched += b.match[3] > 0 && b.match[3] < b.total[3];
    }
    is_int(wrong, 0, "2000 random sentences: every count is the one that slow counting gives");
    ok(matched > 500, "in %d of them some 4-grams match and some do not", matched);
}

static void long_sentences(void)
{
    static int32_t one[LONG], shifted[LONG];
    struct rng rng = rng_make(4, 0);
    struct bleu b = {0};
    for (int i = 0; i < LONG; i++)
        one[i] = (int32_t)rng_below(&rng, 1000);
    for (int i = 0; i < LONG; i++)
        shifted[i] = one[(i + 7) % LONG];
    bleu_add(&b, shifted, LONG, one, LONG);
    is_part(&b, 1, LONG, LONG, "20 000 tokens, rotated, unigrams");
    ok(b.match[3] >= LONG - 6 && b.match[3] <= LONG - 3, "only those at the seam are missing: %g",
       b.match[3]);
    memset(one, 0, sizeof one);
    b = (struct bleu){0};
    bleu_add(&b, one, LONG, one, LONG / 2);
    is_part(&b, 4, LONG / 2 - 3, LONG - 3, "20 000 times the same token");
}

int main(void)
{
    paper();
    nltk();
    lengths();
    random_sentences();
    long_sentences();
    return done();
}
