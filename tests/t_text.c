/* t_text — texts, names, pairs, SWORD modules and the Ding dictionary, from small files made here:
 * what is read, what is left out and told, what is refused. Files count as hostile. */
#define _GNU_SOURCE
#include "tests/tap.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "base/rng.h"
#include "datasets/sequences/sequences.h"
#include "datasets/text/places.h"
#include "datasets/text/sword.h"
#include "datasets/text/textfile.h"
#include "tests/scratch.h"

static bool open_task(const char *task, const char *data, struct sequences *s, struct err *err)
{
    const struct sequence_wish wish = {.items = 100, .data = data};
    *err = (struct err){0};
    return sequences_open(task, &wish, s, err);
}

static void refused(const char *task, const char *data, const char *want)
{
    struct sequences s;
    struct err err;
    ok(!open_task(task, data, &s, &err) && strstr(err.text, want), "%s: %s", want, err.text);
}

static const char *folder(const char *name)
{
    mkdir(scratch_path(name), 0700);
    return scratch_path(name);
}

static const char *put(const char *name, const char *text)
{
    return scratch_write(name, text, strlen(text));
}

/* ------------------------------------------------------------------------ files */

static void test_lines(void)
{
    static const char bytes[] = "\xef\xbb\xbfone\r\n\n  \t\nB\xc4rbad\nlast \xe2\x82\xac";
    static const int kinds[] = {LINE_GOOD, LINE_EMPTY, LINE_EMPTY, LINE_BROKEN, LINE_GOOD};
    struct text_file f;
    struct err err = {0};
    ok(text_file_read(scratch_write("lines.txt", bytes, sizeof bytes - 1), &f, &err), "read%s",
       err.text);
    is_int(text_file_lines(&f), 5, "lines");
    struct text_line line = {0};
    size_t at = 0, n = 0;
    for (; text_file_next(&f, &at, &line); n++) {
        is_int(line.number, n + 1, "line %zu", n + 1);
        is_int(n < 5 ? line.kind : -1, kinds[n < 5 ? n : 0], "its kind");
        if (n == 0)
            ok(line.n == 3 && memcmp(line.text, "one", 3) == 0, "no mark, no carriage return");
    }
    is_int(n, 5, "all of them");
    struct text all = {0}, notes = {0};
    ok(text_file_add(&f, &all, &notes, &err), "added");
    is_str(text_str(&all), "one\n\n  \t\nlast \xe2\x82\xac", "without the broken line");
    ok(strstr(text_str(&notes), "lines.txt: left out of 5 lines: 1 not UTF-8 (line 4)\n"), "%s",
       text_str(&notes));
    text_release(&all);
    text_release(&notes);
    text_file_release(&f);
}

/* A byte 0, and a line of 1 MB. */
static void test_monsters(void)
{
    enum { MEGABYTE = 1 << 20 };
    char *big = xmalloc(MEGABYTE + 64);
    memset(big, 'x', MEGABYTE);
    static const char head[8] = "a\nb\0c\nd\n", tail[5] = "\nend\n"; /* without their ends */
    memcpy(big, head, sizeof head);
    memcpy(big + MEGABYTE, tail, sizeof tail);
    struct text_file f;
    struct text_line line = {0};
    int count[LINE_KINDS] = {0};
    ok(text_file_read(scratch_write("big.txt", big, MEGABYTE + 5), &f, NULL), "read");
    for (size_t at = 0; text_file_next(&f, &at, &line);)
        count[line.kind]++;
    ok(count[LINE_GOOD] == 3 && count[LINE_BROKEN] == 1 && count[LINE_LONG] == 1,
       "a byte 0 breaks a line, 1 MB is too long");
    text_file_release(&f);
    struct sequences s;
    struct err err;
    ok(open_task("lines", scratch_path("big.txt"), &s, &err) || strstr(err.text, "expected some"),
       "lines: no crash");
    if (!err.text[0])
        sequences_close(&s);
    ok(open_task("text", scratch_path("big.txt"), &s, &err), "text: a line may be long%s",
       err.text);
    ok(strstr(text_str(&s.notes), "1 not UTF-8 (line 2)"), "%s", text_str(&s.notes));
    is_int(s.series[0].at[3], MEGABYTE + 5 - 4 - 2,
           "all but the broken line, and two letters at the end that are new there");
    sequences_close(&s);
    memset(big, 0xff, MEGABYTE);
    scratch_write("binary.txt", big, MEGABYTE);
    refused("text", scratch_path("binary.txt"), "expected UTF-8 text, but 1 of 1 lines are none");
    refused("pairs", scratch_path("binary.txt"), "expected UTF-8 text");
    free(big);
}

/* Packed text, cut at every byte, is refused or ends sooner; never a crash. */
static void test_cut(void)
{
    char text[600];
    uint8_t packed[800];
    for (int i = 0; i < 599; i++)
        text[i] = (char)(i % 17 == 16 ? '\n' : 'a' + i % 23);
    text[599] = '\0';
    const size_t n = scratch_gzip(text, 599, packed, sizeof packed);
    size_t refusals = 0;
    for (size_t cut = 18; cut < n; cut++) {
        struct text_file f;
        struct err err = {0};
        const char *path = scratch_write("cut.gz", packed, cut);
        if (text_file_read(path, &f, &err))
            text_file_release(&f);
        else
            refusals +=
                strstr(err.text, "cut.gz") && strstr(err.text, "gzip stream cut at its byte");
    }
    is_int(refusals, n - 18, "refused when cut at any byte");
    for (size_t cut = 0; cut < 599; cut++) {
        struct sequences s;
        struct err err;
        const char *path = scratch_write("cut.txt", text, cut);
        if (open_task("text", path, &s, &err))
            sequences_close(&s);
        else
            refusals += strstr(err.text, "cut.txt") != NULL;
    }
    ok(refusals < n - 18 + 20, "plain text may end anywhere, but that some must be there");
}

/* Bytes by chance, of those that mean something: every reader accepts or refuses them. */
static void test_noise(void)
{
    static const char *const tasks[] = {"text", "words", "lines", "pairs"};
    static const unsigned char bytes[] = {'a',  'B',  ' ',  '\n', '\n', '\r', '\t', 0,
                                          0x80, 0xc3, 0xa4, 0xe2, 0x82, 0xac, 0xef, 0xbb,
                                          0xbf, 0xff, '\'', '-',  '.',  '<',  0xed, 0xa0};
    struct rng r = rng_make(5, 5);
    char noise[400];
    int accepted = 0, told = 0;
    for (int round = 0; round < 200; round++) {
        const size_t n = rng_below(&r, sizeof noise), kinds = 4 + rng_below(&r, sizeof bytes - 4);
        for (size_t i = 0; i < n; i++)
            noise[i] = (char)bytes[rng_below(&r, (uint32_t)kinds)];
        const char *path = scratch_write("noise.txt", noise, n);
        for (int i = 0; i < 4; i++) {
            struct sequences s;
            struct err err;
            const bool fine = open_task(tasks[i], path, &s, &err);
            accepted += fine;
            told += !fine && strstr(err.text, "noise.txt");
            if (fine)
                sequences_close(&s);
        }
    }
    ok(accepted > 100, "%d of 800 are texts", accepted);
    is_int(accepted + told, 800, "the others are refused by name");
}

/* ----------------------------------------------------------------- running text */

static void test_text(void)
{
    struct sequences s;
    struct err err;
    char text[101];
    for (int i = 0; i < 100; i++)
        text[i] = (char)(i < 90 ? 'c' - i % 3 : 'c');
    text[95] = 'Z';
    text[100] = '\0';
    ok(open_task("text:16", put("a.txt", text), &s, &err), "a file%s", err.text);
    ok(s.running && !s.synthetic && s.window == 16, "running text, windows of 16");
    is_int(s.series[0].at[1], 90, "nine tenths for training");
    is_int(s.series[0].at[3] - s.series[0].at[2], 9, "the last for testing");
    is_str(vocabulary_token(s.vocabulary[0], 0), "a", "characters in order");
    is_int(vocabulary_count(s.vocabulary[0]), 3, "of the training part only");
    ok(strstr(text_str(&s.notes), "left out of the test part: 1 characters"), "%s",
       text_str(&s.notes));
    is_str(s.name, "text:a.txt", "called after its file");
    const struct sequence_input *next = sequences_input(&s, "next");
    ok(next && next->skip == 1 && next->pad == -1 && sequences_input(&s, "length"), "inputs");
    sequences_close(&s);

    const char *three = folder("three");
    put("three/train.txt", "to be or not to be\nthat is\n");
    put("three/valid.txt", "to be\n");
    put("three/test.txt", "to do is to be\n");
    ok(open_task("words", three, &s, &err), "a folder of three%s", err.text);
    const struct series *r = &s.series[0];
    is_int(vocabulary_count(s.vocabulary[0]), TOKENS_SPECIAL + 2, "words that occur twice");
    is_int(r->at[1], 10, "words and line ends");
    const int32_t be = vocabulary_find(s.vocabulary[0], "be", 2),
                  to = vocabulary_find(s.vocabulary[0], "to", 2);
    const int32_t want[] = {to, TOKEN_UNKNOWN, TOKEN_UNKNOWN, to, be, TOKEN_END};
    ok(r->at[3] - r->at[2] == 6 && memcmp(r->tokens + r->at[2], want, sizeof want) == 0,
       "the test part");
    sequences_close(&s);

    const char *many = folder("many");
    put("many/2.txt", "world\n");
    put("many/1.txt", "hello ");
    ok(open_task("text", many, &s, &err), "a folder of any%s", err.text);
    struct text all = {0};
    vocabulary_decode(s.vocabulary[0], s.series[0].tokens, s.series[0].at[3], &all);
    is_str(text_str(&all), "hello worl", "in order of names; the end is strange to training");
    text_release(&all);
    sequences_close(&s);
    refused("text", folder("empty"), "holds no files");
    refused("text", put("none.txt", ""), "no text for training");
    refused("text", "/nowhere/at/all", "no file, folder, set or task '/nowhere/at/all'");
    refused("text", "fashion-mnist", "the set 'fashion-mnist' holds images");
    refused("text", "kjw", "did you mean 'kjv'");
    refused("text:x", scratch_path("a.txt"), "expected text, text:STEPS, of 1 to 100000");
    refused("text:0", scratch_path("a.txt"), "expected text, text:STEPS, of 1 to 100000");
    char placed[4096];
    snprintf(placed, sizeof placed, "text:%s", scratch_path("a.txt"));
    ok(open_task("words", placed, &s, &err) && s.window == 0 && strcmp(s.name, "text:a.txt") == 0,
       "a kind and a file%s", err.text);
    sequences_close(&s);
    snprintf(placed, sizeof placed, "text:7:%s/", folder("many"));
    ok(open_task("words", placed, &s, &err) && s.window == 7 && strcmp(s.name, "text:many") == 0,
       "a kind, a number and a folder, whose name is the set's%s", err.text);
    sequences_close(&s);
    refused("text", "kjv-rv", "are pairs");
}

static void test_items(void)
{
    struct sequences s;
    struct err err;
    struct text t = {0};
    for (int i = 0; i < 400; i++)
        text_add(&t, "%s%d\n", i % 2 ? "anna" : "bo", i);
    text_add(&t, "\n\nB\xc4r\n");
    refused("lines:x", put("lines.txt", text_str(&t)), "expected lines:FILE");
    refused("lines", NULL, "expected lines:FILE");
    ok(open_task("lines", scratch_path("lines.txt"), &s, &err), "lines%s", err.text);
    is_int(s.items[SPLIT_TRAIN] + s.items[SPLIT_VALID] + s.items[SPLIT_TEST], 400,
           "all good lines");
    ok(s.items[SPLIT_TEST] > 5 && s.items[SPLIT_TEST] < 45 && s.items[SPLIT_VALID] > 5,
       "a twentieth each: %zu test, %zu validation", s.items[SPLIT_TEST], s.items[SPLIT_VALID]);
    ok(strstr(text_str(&s.notes),
              "left out of 403 lines: 2 empty (first: line 401), 1 not UTF-8 (line 403)"),
       "%s", text_str(&s.notes));
    const struct series *r = &s.series[0];
    int wrong = 0;
    for (size_t i = 0; i < r->rows; i++)
        wrong += r->tokens[r->at[i]] != TOKEN_BEGIN || r->tokens[r->at[i + 1] - 1] != TOKEN_END;
    is_int(wrong, 0, "from <s> to </s>");
    sequences_close(&s);
    text_release(&t);

    struct text a = {0}, b = {0};
    for (int i = 0; i < 100; i++) {
        text_add(&a, "anna%d\n", i);
        text_add(&b, "bo%d\n", i);
    }
    const char *classes = folder("classes");
    put("classes/German.txt", text_str(&b));
    put("classes/Danish.txt", text_str(&a));
    put("classes/Danish.gz", text_str(&a));
    refused("names", classes, "holds two files of class 'Danish'");
    remove(scratch_path("classes/Danish.gz"));
    ok(open_task("names", classes, &s, &err), "names%s", err.text);
    is_str(s.name, "names:classes", "called after the folder");
    is_str(s.class_names[0], "Danish", "classes in order of names");
    is_int(sequences_input(&s, "label")->tokens, 2, "two");
    wrong = 0;
    for (size_t i = 0; i < s.series[0].rows; i++)
        wrong +=
            s.series[1].tokens[i] != (i >= 100) || s.series[0].at[i + 1] - s.series[0].at[i] > 7;
    is_int(wrong, 0, "labels");
    const struct sequence_input *tokens = sequences_input(&s, "tokens"),
                                *next = sequences_input(&s, "next");
    is_int(sequences_steps(&s, tokens, 0), 5, "anna0");
    is_int(sequences_steps(&s, next, 0), 6, "and its end, to be said");
    is_int(s.series[0].tokens[5], TOKEN_END, "</s>");
    is_int(sequences_input(&s, "class")->tokens, 2, "the language as what is given");
    ok(!s.synthetic, "real");
    sequences_close(&s);
    text_release(&a);
    text_release(&b);
    remove(scratch_path("classes/German.txt"));
    refused("names", classes, "holds 1 file: expected 2");
    ok(open_task("names", NULL, &s, &err) && s.synthetic, "made up%s", err.text);
    is_int(s.items[SPLIT_TRAIN], 100, "as many as wished");
    sequences_close(&s);
}

/* ------------------------------------------------------------------------ pairs */

static char *side_of(const struct sequences *s, const char *input, size_t row)
{
    const struct sequence_input *in = sequences_input(s, input);
    const struct series *r = &s->series[in->series];
    struct text t = {0};
    const size_t from = r->at[row] + (size_t)in->skip;
    vocabulary_decode(in->vocabulary, r->tokens + from, r->at[row + 1] - from, &t);
    char *copy = xstrdup(text_str(&t));
    text_release(&t);
    return copy;
}

static void is_pair(const struct sequences *s, int split, size_t i, const char *source,
                    const char *target)
{
    char *a = side_of(s, "source", s->item[split][i]), *b = side_of(s, "next", s->item[split][i]);
    is_str(a, source, "source");
    is_str(b, target, "its translation");
    free(a);
    free(b);
}

static void test_parallel(void)
{
    struct sequences s;
    struct err err;
    const char *p = folder("pairs");
    put("pairs/train.en", "The dog runs.\nThe cat runs!\n\nThe dog runs.\nB\xc4r\nThe cat runs!\n");
    put("pairs/train.de",
        "Der Hund rennt.\nDie Katze rennt!\nleer\nDer Hund rennt.\nx\nDie Katze "
        "rennt!\n");
    put("pairs/test_2016.en", "The cat sleeps.\n");
    put("pairs/test_2016.de", "Die Katze schläft.\n");
    ok(open_task("pairs", p, &s, &err), "two files%s", err.text);
    is_str(s.name, "pairs-en-de:pairs", "English to German, if nothing is said");
    is_int(s.items[SPLIT_TRAIN], 4, "training pairs");
    is_int(s.items[SPLIT_TEST], 1, "test pairs");
    is_pair(&s, SPLIT_TEST, 0, "the cat <unk>.", "die katze <unk>.");
    is_pair(&s, SPLIT_TRAIN, 1, "the cat runs!", "die katze rennt!");
    ok(strstr(text_str(&s.notes), "left out of 6 lines: 1 empty (line 3), 1 not UTF-8 (line 5)"),
       "%s", text_str(&s.notes));
    const struct series *to = &s.series[1];
    const size_t row = s.item[SPLIT_TRAIN][0];
    ok(to->tokens[to->at[row]] == TOKEN_BEGIN && to->tokens[to->at[row + 1] - 1] == TOKEN_END,
       "target from <s> to </s>");
    sequences_close(&s);
    ok(open_task("pairs:de-en", p, &s, &err), "the other way%s", err.text);
    is_pair(&s, SPLIT_TRAIN, 0, "der hund rennt.", "the dog runs.");
    sequences_close(&s);
    refused("pairs:en-fr", p, "expected train.en and train.fr, found no train.fr");
    refused("pairs:en", p, "expected pairs, pairs:A-B of two languages");
    refused("pairs:en-en", p, "expected pairs, pairs:A-B of two languages");
    refused("pairs:../x-de", p, "expected pairs, pairs:A-B of two languages");
    refused("pairs:", p, "expected KIND");
    refused("pairs:", NULL, "expected KIND");
    refused("text", "pairs:", "expected KIND");
    put("pairs/train.fr", "a\n");
    refused("pairs:en-fr", p, "test_2016.en': expected its translation beside it");
    remove(scratch_path("pairs/train.fr"));
    char placed[4096];
    snprintf(placed, sizeof placed, "pairs:de-en:%s", p);
    ok(open_task("pairs", placed, &s, &err) && strcmp(s.name, "pairs-de-en:pairs") == 0,
       "languages and folder at once%s", err.text);
    sequences_close(&s);
    put("pairs/train.de", "Der Hund rennt.\nDie Katze rennt!\nleer\n");
    refused("pairs", p, "6 lines, ");
    refused("pairs", p, "expected as many");
    refused("pairs", folder("none"), "found train.* of no language");
    refused("pairs:en-fr", folder("none"), "expected train.en and train.fr, found neither");
    refused("pairs", put("bare.txt", "no TAB\n"), "left out of 1 lines: 1 without TAB");
}

static void test_tabs(void)
{
    struct sequences s;
    struct err err;
    struct text t = {0};
    for (int i = 0; i < 300; i++)
        text_add(&t, "go %d times!\tva %d fois !\tCC-BY\n", i, i);
    text_add(&t, "no tab\n\tno source\nno target\t\n");
    for (int i = 0; i < 70; i++)
        text_add(&t, "many ");
    text_add(&t, "\twords\n");
    ok(open_task("pairs", put("pairs.tsv", text_str(&t)), &s, &err), "tabs%s", err.text);
    is_int(s.items[0] + s.items[1] + s.items[2], 300, "pairs");
    ok(strstr(text_str(&s.notes), "left out of 304 lines: 4 without TAB") &&
           strstr(text_str(&s.notes), "first: line 301"),
       "%s", text_str(&s.notes));
    sequences_close(&s);
    text_release(&t);
}

static void test_scan(void)
{
    struct sequences s;
    struct err err;
    folder("scan");
    put("scan/tasks_test_simple.txt", "IN: jump left OUT: I_TURN_LEFT I_JUMP\n");
    const char *train = put("scan/tasks_train_simple.txt",
                            "IN: jump OUT: I_JUMP\nIN: jump twice OUT: I_JUMP I_JUMP\n"
                            "IN: left OUT: I_TURN_LEFT\nIN: turn left OUT: I_TURN_LEFT\n"
                            "IN: nowhere\nOUT: I_JUMP\n");
    ok(open_task("pairs", train, &s, &err), "commands and actions%s", err.text);
    is_int(s.items[SPLIT_TRAIN], 4, "all of the file are for training");
    is_int(s.items[SPLIT_TEST], 1, "the file beside it is for testing");
    is_pair(&s, SPLIT_TEST, 0, "jump left", "i_turn_left i_jump");
    ok(strstr(text_str(&s.notes), "2 without TAB") && strstr(text_str(&s.notes), "line 5"), "%s",
       text_str(&s.notes));
    sequences_close(&s);
}

static void test_ding(void)
{
    struct sequences s;
    struct err err;
    struct text t = {0};
    text_add(&t,
             "# comment\nWetter {n} | Wie ist {adj} das   Wetter? (so); Anders. | kein Satz :: "
             "weather | How is the weather [coll.]? | no sentence\nungleich | Ja. :: uneven.\n"
             "no separator\n");
    for (int i = 0; i < 60; i++)
        text_add(&t, "Satz %d. :: Sentence %d.\n", i, i);
    folder("ding");
    put("ding/de-en", text_str(&t));
    ok(open_task("pairs", "ding", &s, &err), "the dictionary%s", err.text);
    is_int(s.items[0] + s.items[1] + s.items[2], 61, "sentences");
    ok(strstr(text_str(&s.notes), "1 without :: (line 4)"), "%s", text_str(&s.notes));
    int found = 0;
    for (size_t row = 0; row < s.series[0].rows; row++)
        found += s.series[0].at[row + 1] - s.series[0].at[row] == 5;
    is_int(found, 1, "notes and alternatives are dropped, English is the source");
    char *english = side_of(&s, "source", s.item[SPLIT_TRAIN][0]),
         *german = side_of(&s, "next", s.item[SPLIT_TRAIN][0]);
    sequences_close(&s);
    ok(open_task("pairs:de-en", "ding", &s, &err), "the other way round%s", err.text);
    is_pair(&s, SPLIT_TRAIN, 0, german, english);
    sequences_close(&s);
    free(english);
    free(german);
    text_release(&t);
    refused("pairs:en-fr", "ding", "'ding' is en-de, expected en-fr");
    refused("pairs:en-fr", NULL, "expected a folder, as in --data pairs:en-fr:DIR, or one of");
    refused("pairs:es-en", NULL, "kjv-rv is not here");
}

/* ------------------------------------------------------------------------- SWORD */

enum { VERSES = 5, ROOM = 4096 };

struct module {
    uint8_t bzv[2][ROOM], bzs[2][ROOM], bzz[2][ROOM];
    size_t v[2], s[2], z[2];
};

static void put32(uint8_t *to, size_t n)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(n >> (8 * i));
}

/* One block a verse pair: verses 0 and 1, 2 and 3, 4; NULL: none. */
static void make_module(const char *const verse[2][VERSES], struct module *m)
{
    *m = (struct module){0};
    for (int t = 0; t < 2; t++)
        for (int from = 0; from < VERSES; from += 2) {
            struct text block = {0};
            for (int i = from; i < from + 2 && i < VERSES; i++) {
                const char *text = verse[t][i] ? verse[t][i] : "";
                uint8_t *entry = m->bzv[t] + m->v[t];
                put32(entry, (size_t)from / 2);
                put32(entry + 4, block.length);
                entry[8] = (uint8_t)strlen(text);
                entry[9] = (uint8_t)(strlen(text) >> 8);
                m->v[t] += 10;
                text_add(&block, "%s", text);
            }
            uLongf n = ROOM - m->z[t];
            if (compress(m->bzz[t] + m->z[t], &n, (const Bytef *)text_str(&block), block.length) !=
                Z_OK)
                abort();
            put32(m->bzs[t] + m->s[t], m->z[t]);
            put32(m->bzs[t] + m->s[t] + 4, n);
            put32(m->bzs[t] + m->s[t] + 8, block.length);
            text_release(&block);
            m->s[t] += 12;
            m->z[t] += n;
        }
}

static void put_part(const char *name, const struct module *m, int t, int file)
{
    static const char *const testament[] = {"ot", "nt"}, *const ending[] = {"bzv", "bzs", "bzz"};
    const uint8_t *const bytes[] = {m->bzv[t], m->bzs[t], m->bzz[t]};
    const size_t n[] = {m->v[t], m->s[t], m->z[t]};
    char path[64];
    snprintf(path, sizeof path, "%s/%s.%s", name, testament[t], ending[file]);
    scratch_write(path, bytes[file], n[file]);
}

static const char *put_module(const char *name, const struct module *m)
{
    folder(name);
    for (int t = 0; t < 2; t++)
        for (int file = 0; file < 3; file++)
            put_part(name, m, t, file);
    return scratch_path(name);
}

static const char *const english[2][VERSES] = {
    {"<title>Book <note>x</note> one</title>", "<w lemma=\"a\">In</w>  the <w>beginning</w> ",
     "Light<note n=\"1\">or: <i>lamp</i></note> &amp; dark\xc2\xb6", NULL, "a <noted/>b"},
    {"New ", "one", "two", "thr\xff", "four"}};
static const char *const spanish[2][VERSES] = {{NULL, "En el principio", "Luz", NULL, "a b"},
                                               {"Nuevo", "uno", NULL, "tres", "cuatro"}};

static void test_sword(void)
{
    static const char *const want[2 * VERSES] = {
        NULL, "In the beginning", "Light & dark", NULL, "a b", "New", "one", "two", NULL, "four"};
    struct module m;
    struct sword s;
    struct err err = {0};
    make_module(english, &m);
    ok(sword_read(put_module("kjv", &m), &s, &err), "read%s", err.text);
    ok(s.places == 2 * VERSES && s.first_new == VERSES && s.broken == 1, "places");
    for (int i = 0; i < 2 * VERSES; i++)
        is_str(s.verse[i] ? s.verse[i] : "(none)", want[i] ? want[i] : "(none)", "verse %d", i);
    sword_release(&s);

    /* every file cut at every byte */
    size_t cuts = 0, refusals = 0;
    put_module("cut", &m);
    for (int t = 0; t < 2; t++) {
        size_t *const length[] = {&m.v[t], &m.s[t], &m.z[t]};
        for (int file = 0; file < 3; file++) {
            const size_t all = *length[file];
            for (size_t n = 0; n < all; n++, cuts++) {
                err = (struct err){0};
                *length[file] = n;
                put_part("cut", &m, t, file);
                if (sword_read(scratch_path("cut"), &s, &err))
                    sword_release(&s);
                else
                    refusals += strstr(err.text, t ? "nt.bz" : "ot.bz") != NULL;
            }
            *length[file] = all;
            put_part("cut", &m, t, file);
        }
    }
    ok(cuts > 300 && refusals >= cuts - 20, "%zu of %zu cut files are refused by name", refusals,
       cuts);

    /* every byte of the tables changed */
    size_t survived = 0;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < m.v[t] + m.s[t]; i++) {
            uint8_t *byte = i < m.v[t] ? &m.bzv[t][i] : &m.bzs[t][i - m.v[t]];
            *byte ^= 0xff;
            put_part("cut", &m, t, i >= m.v[t]);
            if (sword_read(scratch_path("cut"), &s, NULL)) {
                survived++;
                sword_release(&s);
            }
            *byte ^= 0xff;
            put_part("cut", &m, t, i >= m.v[t]);
        }
    ok(survived < m.v[0] + m.v[1], "tables that point elsewhere: %zu could be read", survived);
}

static void test_books(void)
{
    struct module m;
    struct sequences s;
    struct err err;
    make_module(english, &m);
    put_module("kjv", &m);
    ok(!open_task("pairs", "kjv-rv", &s, &err) &&
           strstr(err.text, "kjv-rv is not here: install Debian's sword-text-kjv sword-text-sparv"),
       "%s", err.text);
    make_module(spanish, &m);
    put_module("reina-valera", &m);
    char *where = text_set_where(text_set_find("kjv-rv"), 1);
    ok(where && strstr(where, "reina-valera"), "found in $BENCH_DATA");
    free(where);
    ok(open_task("pairs", "kjv-rv", &s, &err) ||
           strstr(err.text, "6 items for training and 0 for test"),
       "six verses: %s", err.text);
    if (!err.text[0])
        sequences_close(&s);
    ok(open_task("text", NULL, &s, &err), "text: the verses%s", err.text);
    is_str(s.name, "kjv", "by name");
    sequences_close(&s);
    m.v[1] -= 10;
    put_module("reina-valera", &m);
    refused("pairs", "kjv-rv", "expected as many");
}

int main(void)
{
    scratch_make();
    setenv("BENCH_DATA", scratch, 1);
    setenv("BENCH_SYSROOT", scratch_path("none"), 1); /* whatever is installed here */
    setenv("XDG_DATA_HOME", scratch_path("share"), 1);
    test_lines();
    test_monsters();
    test_cut();
    test_noise();
    test_text();
    test_items();
    test_parallel();
    test_tabs();
    test_scan();
    test_ding();
    test_sword();
    test_books();
    return done();
}
