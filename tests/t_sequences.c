/* t_sequences — generated sets of sequences, vocabularies, and the feed that makes batches of them.
 */
#define _GNU_SOURCE
#include "base/mem.h"
#include "datasets/sequences/sequences.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "train/sequence_feed.h"

static struct sequences opened(const char *task, size_t items)
{
    struct sequences s = {0};
    struct err err = {0};
    const struct sequence_wish wish = {.items = items};
    if (!sequences_open(task, &wish, &s, &err)) {
        printf("Bail out! %s: %s\n", task, err.text);
        exit(EXIT_FAILURE);
    }
    return s;
}

/* The text of a row as its input sees it; malloc'ed. */
static char *spelled(const struct sequences *s, const char *input, size_t row)
{
    struct text t = {0};
    const struct sequence_input *in = sequences_input(s, input);
    const struct series *r = &s->series[in->series];
    for (size_t i = r->at[row]; i < r->at[row + 1]; i++)
        if (r->tokens[i] >= TOKENS_SPECIAL)
            text_add(&t, "%s", vocabulary_token(in->vocabulary, r->tokens[i]));
    char *copy = xstrdup(text_str(&t));
    text_release(&t);
    return copy;
}

/* ---------------------------------------------------------------- generators */

static void test_adding(void)
{
    struct sequences s = opened("adding:11", 500);
    is_int(s.items[SPLIT_TRAIN], 500, "adding: training items");
    is_int(s.items[SPLIT_TEST], 50, "adding: a tenth for testing");
    ok(s.synthetic && !s.path, "adding: generated");
    int marks = 0, halves = 0, range = 0;
    double worst = 0, squares = 0;
    for (size_t row = 0; row < s.series[0].rows; row++) {
        const float *v = s.series[0].values + 22 * row;
        double sum = 0;
        int before = 0, all = 0;
        for (int t = 0; t < 11; t++) {
            sum += (double)v[2 * t] * (double)v[2 * t + 1];
            all += v[2 * t + 1] == 1.0f;
            before += t < 5 && v[2 * t + 1] == 1.0f;
            range += !(v[2 * t] >= 0 && v[2 * t] <= 1) || (v[2 * t + 1] != 0 && v[2 * t + 1] != 1);
        }
        marks += all != 2;
        halves += before != 1;
        worst = fmax(worst, fabs(sum - (double)s.series[1].values[row]));
        squares += (sum - 1) * (sum - 1) / 550;
    }
    is_int(marks, 0, "adding: two marks each");
    is_int(halves, 0, "adding: one in either half");
    is_int(range, 0, "adding: numbers in [0,1], marks 0 or 1");
    is_near(worst, 0, 1e-6, "adding: the target is the sum of the marked");
    is_near(squares, 1.0 / 6, 0.02, "adding: always saying 1 is worth 1/6");
    sequences_close(&s);
}

static void test_copy(void)
{
    struct sequences s = opened("copy:30", 100);
    int wrong = 0;
    is_int(s.series[0].longest, 50, "copy: T + 20 steps");
    for (size_t row = 0; row < s.series[0].rows; row++) {
        const int32_t *token = s.series[0].tokens + 50 * row, *next = s.series[1].tokens + 50 * row;
        for (int i = 0; i < 10; i++)
            wrong += token[i] != next[40 + i] || token[i] < 1 || token[i] > 8 || token[40 + i] != 0;
        for (int i = 0; i < 40; i++)
            wrong += next[i] != -1 || (i >= 10 && token[i] != (i == 39 ? 9 : 0));
    }
    is_int(wrong, 0, "copy: symbols, blanks, the mark, blanks; to be said at the end only");
    sequences_close(&s);
}

static void test_addition(void)
{
    struct sequences s = opened("addition:3", 2000);
    int wrong = 0, digits[4] = {0};
    for (size_t row = 0; row < s.series[0].rows; row++) {
        char *from = spelled(&s, "source", row), *to = spelled(&s, "next", row), *end;
        const long a = strtol(from, &end, 10), b = strtol(end + 1, NULL, 10);
        wrong += *end != '+' || strtol(to, NULL, 10) != a + b || (to[0] == '0' && to[1]);
        digits[end - from < 4 ? end - from : 0]++;
        free(from);
        free(to);
    }
    is_int(wrong, 0, "addition: sums are right");
    ok(digits[0] == 0 && digits[1] > 600 && digits[2] > 600 && digits[3] > 600,
       "addition: as many of one, two and three digits: %d %d %d", digits[1], digits[2], digits[3]);
    sequences_close(&s);
}

static void test_reverse(void)
{
    struct sequences s = opened("reverse:12", 500);
    int wrong = 0;
    for (size_t row = 0; row < s.series[0].rows; row++) {
        char *from = spelled(&s, "source", row), *to = spelled(&s, "target", row);
        const size_t n = strlen(from);
        wrong += n < 1 || n > 12 || strlen(to) != n;
        for (size_t i = 0; i < n; i++)
            wrong += from[i] != to[n - 1 - i];
        free(from);
        free(to);
    }
    is_int(wrong, 0, "reverse: backwards");
    sequences_close(&s);
}

static int month_in(const char *text)
{
    static const char *const name[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (int i = 0; i < 12; i++)
        if (strstr(text, name[i]))
            return i + 1;
    return 0;
}

/* What can be told without knowing the way: month's name, weekday, year and day somewhere. */
static void test_dates(void)
{
    static const char *const weekday[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
    struct sequences s = opened("dates", 3000);
    int wrong = 0, named = 0, days = 0;
    for (size_t row = 0; row < s.series[0].rows; row++) {
        char *from = spelled(&s, "source", row), *to = spelled(&s, "next", row), day[16];
        int y, m, d;
        wrong += sscanf(to, "%4d-%2d-%2d", &y, &m, &d) != 3 || strlen(to) != 10;
        const int month = month_in(from);
        wrong += month && month != m;
        named += month != 0;
        snprintf(day, sizeof day, "%d", d);
        wrong += !strstr(from, day);
        /* Sakamoto's method */
        static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
        const int year = y - (m < 3);
        const int w = (year + year / 4 - year / 100 + year / 400 + shift[m - 1] + d) % 7;
        for (int i = 0; i < 7; i++)
            if (strstr(from, weekday[i])) {
                days++;
                wrong += i != w;
            }
        free(from);
        free(to);
    }
    is_int(wrong, 0, "dates: day, month and weekday agree with the target");
    ok(named > 1000 && days > 300, "dates: %d with a month's name, %d with a weekday", named, days);
    sequences_close(&s);
}

/* No content of a test item is a training item's. */
static void test_disjoint(const char *task)
{
    struct sequences s = opened(task, 2000), again = opened(task, 2000);
    is_str(again.sha256, s.sha256, "%s: the same again", task);
    sequences_close(&again);
    const struct series *r = &s.series[s.vocabulary[1] && strcmp(task, "dates") == 0 ? 1 : 0];
    int both = 0;
    for (size_t i = 0; i < s.items[SPLIT_TEST]; i++)
        for (size_t k = 0; k < s.items[SPLIT_TRAIN]; k++) {
            const size_t a = s.item[SPLIT_TEST][i], b = s.item[SPLIT_TRAIN][k];
            const size_t n = r->at[a + 1] - r->at[a];
            if (n != r->at[b + 1] - r->at[b])
                continue;
            both += r->width == 0
                        ? memcmp(r->tokens + r->at[a], r->tokens + r->at[b], n * 4) == 0
                        : memcmp(r->values + r->at[a] * 2, r->values + r->at[b] * 2, n * 8) == 0;
        }
    is_int(both, 0, "%s: no test item is a training item", task);
    sequences_close(&s);
}

static void refused(const char *task, const char *data, const char *want)
{
    struct sequences s;
    struct err err = {0};
    const struct sequence_wish wish = {.items = 20, .data = data};
    ok(!sequences_open(task, &wish, &s, &err) && err.status == EXIT_USAGE, "%s: refused", task);
    ok(strstr(err.text, want), "%s: %s", task, err.text);
}

/* -------------------------------------------------------------- vocabularies */

static void words_are(const char *text, const char *want)
{
    struct text got = {0};
    struct token t;
    size_t left = strlen(text);
    while (vocabulary_next(TOKEN_WORDS, &text, &left, &t))
        text_add(&got, "%s|", t.bytes);
    is_str(text_str(&got), want, "words of '%s'", want);
    text_release(&got);
}

static void test_words(void)
{
    words_are("A man, don't you see?", "a|man|,|don't|you|see|?|");
    words_are("  Zwei- oder dreimal\t(ÄÖÜ ß).", "zwei|-|oder|dreimal|(|äöü|ß|)|.|");
    words_are("ΑΒΓ ЖЗ ŠČ Éa 3.5", "αβγ|жз|šč|éa|3|.|5|");
    words_are("it’s “good”—no", "it's|“|good|”|—|no|");
    words_are("", "");
    words_are(" \n\t ", "");
    words_are("'tis rock-'n'-roll-", "'|tis|rock|-|'|n|'|-|roll|-|");
    char long_word[700];
    memset(long_word, 'x', sizeof long_word);
    long_word[699] = '\0';
    const char *at = long_word;
    size_t left = 699, tokens = 0, bytes = 0;
    struct token t;
    for (; vocabulary_next(TOKEN_WORDS, &at, &left, &t); tokens++)
        bytes += t.n;
    ok(tokens == 3 && bytes == 699, "a word of 699 letters is cut, not lost: %zu pieces", tokens);
}

static void test_utf8(void)
{
    static const struct {
        const char *bytes;
        size_t want;
    } cases[] = {
        {"a", 1},
        {"\xc3\xa4", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\x80", 0},
        {"\xc3", 0},
        {"\xc0\xaf", 0},
        {"\xe0\x80\xaf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xff", 0},
        {"\xc3(", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        is_int(text_utf8_length(cases[i].bytes, strlen(cases[i].bytes), NULL), cases[i].want,
               "length of character %zu", i);
}

static void test_vocabulary(void)
{
    struct vocabulary *v = vocabulary_new(TOKEN_WORDS, true);
    is_int(vocabulary_find(v, "</s>", 4), TOKEN_END, "special tokens come first");
    const int32_t cat = vocabulary_add(v, "cat", 3);
    is_int(vocabulary_add(v, "cat", 3), cat, "added once");
    is_int(vocabulary_find(v, "dog", 3), -1, "unknown");
    for (int i = 0; i < 5000; i++) {
        char word[16];
        const int n = snprintf(word, sizeof word, "w%d", i);
        (void)vocabulary_add(v, word, (size_t)n);
    }
    (void)vocabulary_add(v, "a\\b\nc", 5);
    is_int(vocabulary_count(v), TOKENS_SPECIAL + 5002, "many");
    is_int(vocabulary_find(v, "w4321", 5), TOKENS_SPECIAL + 1 + 4321, "found among many");

    struct err err = {0};
    char *packed = vocabulary_pack(v);
    struct vocabulary *again = vocabulary_unpack(packed, &err);
    ok(again, "unpacked%s", err.text);
    int differ = vocabulary_count(again) != vocabulary_count(v);
    for (int i = 0; !differ && i < vocabulary_count(v); i++)
        differ += strcmp(vocabulary_token(v, i), vocabulary_token(again, i)) != 0;
    is_int(differ, 0, "the same tokens");
    for (size_t n = strlen(packed), cut = 0; cut < 300 && cut < n; cut++) { /* never a crash */
        char *part = strndup(packed, cut);
        vocabulary_free(vocabulary_unpack(part, NULL));
        free(part);
    }
    ok(!vocabulary_unpack("letters\na\n", &err) && strstr(err.text, "line 1"), "%s", err.text);
    ok(!vocabulary_unpack("words\na\nb\na\n", &err) && strstr(err.text, "line 4"), "%s", err.text);
    ok(!vocabulary_unpack("words\na\n\\x\n", &err) && strstr(err.text, "line 3"), "%s", err.text);
    free(packed);
    vocabulary_free(again);

    size_t n;
    struct text text = {0};
    int32_t *id = vocabulary_encode(v, "Cat w7, (mouse)!", 16, &n);
    is_int(n, 7, "words and marks");
    ok(id[0] == cat && id[2] == TOKEN_UNKNOWN, "unknown ones are <unk>");
    vocabulary_decode(v, (int32_t[]){TOKEN_BEGIN, cat, TOKEN_UNKNOWN, TOKEN_END, cat}, 5, &text);
    is_str(text_str(&text), "cat <unk>", "decoded to the end");
    text_release(&text);
    free(id);
    vocabulary_free(v);
}

static void test_frequent(void)
{
    struct vocabulary *v = vocabulary_new(TOKEN_WORDS, true);
    uint64_t count[TOKENS_SPECIAL + 4] = {0};
    static const char *const word[] = {"rare", "zebra", "apple", "the"};
    static const uint64_t times[] = {1, 3, 3, 9};
    for (int i = 0; i < 4; i++)
        count[vocabulary_add(v, word[i], strlen(word[i]))] = times[i];
    struct vocabulary *f = vocabulary_frequent(v, count, 2, 0);
    is_int(vocabulary_count(f), TOKENS_SPECIAL + 3, "those that occur twice or more");
    is_str(vocabulary_token(f, TOKENS_SPECIAL), "the", "the most frequent first");
    is_str(vocabulary_token(f, TOKENS_SPECIAL + 1), "apple", "then by their bytes");
    vocabulary_free(f);
    f = vocabulary_frequent(v, count, 1, TOKENS_SPECIAL + 1);
    is_int(vocabulary_count(f), TOKENS_SPECIAL + 1, "so many at most");
    vocabulary_free(f);
    vocabulary_free(v);
}

/* ---------------------------------------------------------------------- feeds */

enum { BATCH = 32 };

static void build_pairs(struct nn_graph *g)
{
    const int S = nn_length(g, "source", 1), T = nn_length(g, "target", 1);
    (void)nn_input(g, "source", NN_I32, NN_SHAPE(S));
    (void)nn_input(g, "source_length", NN_I32, NN_SCALAR);
    (void)nn_input(g, "target", NN_I32, NN_SHAPE(T));
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(T));
    const nn_value w = nn_param(g, "w", NN_SHAPE(BATCH, T, 40), NN_ZEROS);
    nn_minimize(nn_cross_entropy(w, next));
}

/* Programs of all buckets, bound. They differ in a parameter, so they do not share. */
struct bed {
    struct sequences s;
    struct sequence_buckets buckets;
    struct nn_graph *graph[BUCKETS];
    struct program *program[BUCKETS];
    struct sequence_bindings bindings[BUCKETS];
};

static void make_bed(struct bed *b, const char *task, size_t items)
{
    struct err err = {0};
    *b = (struct bed){.s = opened(task, items)};
    sequence_buckets_choose(&b->buckets, &b->s, BATCH, BUCKETS);
    for (int i = 0; i < b->buckets.count; i++) {
        b->graph[i] = graph_new(BATCH);
        sequence_facts(&b->s, &b->buckets, i, b->graph[i]);
        build_pairs(b->graph[i]);
        const struct program_options o = {.threads = 1};
        b->program[i] = program_new(b->graph[i], &o, &err);
        if (!b->program[i] ||
            !sequence_bind(&b->s, &b->buckets, i, b->program[i], &b->bindings[i], &err)) {
            printf("Bail out! %s\n", err.text);
            exit(EXIT_FAILURE);
        }
    }
}

static void free_bed(struct bed *b)
{
    for (int i = 0; i < b->buckets.count; i++) {
        program_free(b->program[i]);
        graph_free(b->graph[i]);
    }
    sequences_close(&b->s);
}

static const int32_t *input(const struct bed *b, int bucket, const char *name, size_t *steps)
{
    const struct tensor *t = program_find(b->program[bucket], TENSOR_INPUT, name);
    *steps = t->elements / BATCH;
    return t->data;
}

/* Which item a row of the batch is: found by its source, which is unique enough; checked all over.
 */
static int wrong_row(const struct bed *b, int bucket, size_t i, size_t row)
{
    size_t S, T, one;
    const int32_t *source = input(b, bucket, "source", &S) + i * S;
    const int32_t *target = input(b, bucket, "target", &T) + i * T;
    const int32_t *next = input(b, bucket, "next", &T) + i * T;
    const int32_t length = input(b, bucket, "source_length", &one)[i];
    const struct series *from = &b->s.series[0], *to = &b->s.series[1];
    const size_t n = from->at[row + 1] - from->at[row], m = to->at[row + 1] - to->at[row] - 1;
    int wrong = (size_t)length != n;
    for (size_t k = 0; k < S; k++)
        wrong += source[k] != (k < n ? from->tokens[from->at[row] + k] : 0);
    for (size_t k = 0; k < T; k++) {
        wrong += target[k] != (k < m ? to->tokens[to->at[row] + k] : 0);
        wrong += next[k] != (k < m ? to->tokens[to->at[row] + k + 1] : -1);
    }
    return wrong;
}

static void test_feed(bool train)
{
    struct bed b;
    struct sequence_feed f;
    struct err err = {0};
    const char *what = train ? "training" : "evaluation";
    make_bed(&b, "reverse:25", train ? 3000 : 5050);
    ok(b.buckets.count > 2, "%s: %d buckets", what, b.buckets.count);
    const int split = train ? SPLIT_TRAIN : SPLIT_TEST;
    ok(sequence_feed_init(&f, &b.s, &b.buckets, split, BATCH, 0, train, 7, &err), "%s: made%s",
       what, err.text);
    int *seen = xcalloc(b.s.series[0].rows, sizeof *seen), wrong = 0;
    size_t batches = 0, nobody = 0, padding = 0, steps = 0;
    sequence_feed_start(&f, 3);
    do {
        const int bucket = sequence_feed_bucket(&f);
        sequence_feed_fill(&f, CREW_ALONE, &b.bindings[bucket]);
        double counted = 0;
        for (size_t i = 0; i < BATCH; i++) {
            const uint32_t row = f.order[f.turn[f.at] * BATCH + i];
            if (row == UINT32_MAX) {
                nobody++;
                continue;
            }
            seen[row]++;
            wrong += wrong_row(&b, bucket, i, row);
            counted += (double)(b.s.series[1].at[row + 1] - b.s.series[1].at[row] - 1);
            padding +=
                b.buckets.steps[bucket][0] - (b.s.series[0].at[row + 1] - b.s.series[0].at[row]);
            steps += b.buckets.steps[bucket][0];
        }
        wrong += counted != sequence_feed_counted(&f, &b.bindings[bucket]);
        batches++;
    } while (sequence_feed_next(&f));
    is_int(wrong, 0, "%s: rows are what they should be, padded", what);
    size_t once = 0, more = 0;
    for (size_t i = 0; i < b.s.items[split]; i++) {
        once += seen[b.s.item[split][i]] == 1;
        more += seen[b.s.item[split][i]] > 1;
        seen[b.s.item[split][i]] = 0;
    }
    for (size_t i = 0; i < b.s.series[0].rows; i++)
        more += seen[i] > 0; /* of another split */
    is_int(more, 0, "%s: none twice, none of another split", what);
    is_int(once, train ? b.s.items[split] / BATCH * BATCH : b.s.items[split], "%s: every item",
           what);
    is_int(nobody, train ? 0 : (BATCH - b.s.items[split] % BATCH) % BATCH, "%s: filled up", what);
    is_int(batches, f.batches, "%s: as many batches as foretold", what);
    ok(padding * 5 < steps, "%s: %.0f %% of the steps are padding", what,
       100.0 * (double)padding / (double)steps);
    free(seen);
    sequence_feed_release(&f);
    free_bed(&b);
}

/* Order depends on seed and epoch, and on nothing else. */
static void test_order(void)
{
    struct bed b;
    struct sequence_feed f, same, other;
    make_bed(&b, "reverse:25", 2000);
    ok(sequence_feed_init(&f, &b.s, &b.buckets, SPLIT_TRAIN, BATCH, 0, true, 7, NULL) &&
           sequence_feed_init(&same, &b.s, &b.buckets, SPLIT_TRAIN, BATCH, 0, true, 7, NULL) &&
           sequence_feed_init(&other, &b.s, &b.buckets, SPLIT_TRAIN, BATCH, 0, true, 8, NULL),
       "three feeds");
    const size_t bytes = f.batches * BATCH * sizeof *f.order;
    sequence_feed_start(&f, 4);
    sequence_feed_start(&same, 2);
    ok(memcmp(f.order, same.order, bytes) != 0, "another epoch, another order");
    sequence_feed_start(&same, 4);
    sequence_feed_start(&other, 4);
    ok(memcmp(f.order, same.order, bytes) == 0, "the same epoch, the same order");
    ok(memcmp(f.turn, same.turn, f.batches * sizeof *f.turn) == 0, "of batches too");
    ok(memcmp(f.order, other.order, bytes) != 0, "another seed, another order");
    sequence_feed_release(&f);
    sequence_feed_release(&same);
    sequence_feed_release(&other);
    ok(!sequence_feed_init(&f, &b.s, &b.buckets, SPLIT_TRAIN, 2001, 0, true, 7, NULL),
       "a batch larger than the set is refused");
    free_bed(&b);
}

/* ------------------------------------------------------------------ running text */

enum { TEXT = 1000, WINDOW = 7, STREAMS = 4 };

static void build_text(struct nn_graph *g)
{
    (void)nn_input(g, "tokens", NN_I32, NN_SHAPE(WINDOW));
    (void)nn_input(g, "length", NN_I32, NN_SCALAR);
    const nn_value next = nn_input(g, "next", NN_I32, NN_SHAPE(WINDOW));
    nn_minimize(
        nn_cross_entropy(nn_param(g, "w", NN_SHAPE(STREAMS, WINDOW, TEXT), NN_ZEROS), next));
}

/* Token i of each split is i, so that a batch tells where it is from. */
static struct sequences counting_text(void)
{
    struct sequences s = {.name = xstrdup("counting"), .running = true};
    int32_t token[TEXT];
    for (int i = 0; i < TEXT; i++)
        token[i] = i;
    for (int split = 0; split < SPLITS; split++)
        series_add(&s.series[0], token, split == SPLIT_TRAIN ? TEXT : 100);
    sequences_add_input(&s, (struct sequence_input){
                                .name = "tokens", .length = "length", .cut = 1, .tokens = TEXT});
    sequences_add_input(
        &s, (struct sequence_input){.name = "next", .skip = 1, .pad = -1, .tokens = TEXT});
    ok(sequences_finish(&s, NULL), "a running text");
    return s;
}

static void test_text(bool train)
{
    struct sequences s = counting_text();
    struct sequence_buckets buckets;
    struct sequence_bindings bindings;
    struct sequence_feed f;
    struct err err = {0};
    const char *what = train ? "training" : "evaluation";
    const size_t tokens = train ? TEXT : 100;
    sequence_buckets_choose(&buckets, &s, STREAMS, BUCKETS);
    struct nn_graph *g = graph_new(STREAMS);
    build_text(g);
    struct program *p = program_new(g, &(struct program_options){.threads = 1}, &err);
    ok(p && sequence_bind(&s, &buckets, 0, p, &bindings, &err), "%s: bound%s", what, err.text);
    ok(sequence_feed_init(&f, &s, &buckets, train ? SPLIT_TRAIN : SPLIT_TEST, STREAMS, WINDOW,
                          train, 7, &err),
       "%s: made%s", what, err.text);
    const int32_t *token = program_find(p, TENSOR_INPUT, "tokens")->data;
    const int32_t *next = program_find(p, TENSOR_INPUT, "next")->data;
    for (int epoch = 0; epoch < 3; epoch++) {
        int wrong = 0, said[TEXT] = {0}, last[STREAMS] = {-1, -1, -1, -1};
        double counted = 0;
        sequence_feed_start(&f, epoch);
        do {
            sequence_feed_fill(&f, CREW_ALONE, &bindings);
            counted += sequence_feed_counted(&f, &bindings);
            for (int r = 0; r < STREAMS; r++)
                for (int t = 0; t < WINDOW; t++) {
                    const int32_t now = token[r * WINDOW + t], then = next[r * WINDOW + t];
                    if (then < 0)
                        continue;
                    said[then]++;
                    wrong += then != now + 1 || (last[r] >= 0 && now != last[r] + 1);
                    last[r] = now;
                }
        } while (sequence_feed_next(&f));
        int once = 0, more = 0;
        for (size_t i = 0; i < tokens; i++) {
            once += said[i] == 1;
            more += said[i] > 1;
        }
        is_int(wrong, 0, "%s: each stream goes on where it ended", what);
        is_int(more, 0, "%s: no token twice", what);
        is_int(once, counted, "%s: counted", what);
        if (train)
            ok(once > TEXT - STREAMS * WINDOW - WINDOW, "training: %d of %d tokens", once, TEXT);
        else
            is_int(once, 99, "evaluation: every token but the first");
    }
    sequence_feed_release(&f);
    ok(!sequence_feed_init(&f, &s, &buckets, SPLIT_TEST, 40, WINDOW, true, 7, &err) &&
           strstr(err.text, "too few"),
       "%s", err.text);
    program_free(p);
    graph_free(g);
    sequences_close(&s);
}

int main(void)
{
    kn_init(NULL, NULL);
    test_adding();
    test_copy();
    test_addition();
    test_reverse();
    test_dates();
    static const char *const tasks[] = {"adding:5", "copy:3", "addition:3", "reverse:9", "dates"};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        test_disjoint(tasks[i]);
    refused("adding", NULL, "expected adding:N");
    refused("adding:1", NULL, "from 2 to 10000");
    refused("copy:x", NULL, "expected copy:N");
    refused("copi:3", NULL, "did you mean 'copy'");
    refused(":3", NULL, "expected KIND");
    refused("dates:3", NULL, "no parameter");
    refused("reverse:5", "/tmp", "are generated");
    refused("reverse:1", NULL, "from 2 to");
    test_words();
    test_utf8();
    test_vocabulary();
    test_frequent();
    test_feed(true);
    test_feed(false);
    test_order();
    test_text(true);
    test_text(false);
    return done();
}
