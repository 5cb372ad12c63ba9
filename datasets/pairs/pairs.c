/* pairs.c — sentences and their translations, by words: task "pairs", "pairs:en-de".
 *
 *     --data DIR    two files of one name, a sentence a line, line N of one translating line N of
 * the other: train.en and train.de, with val.* and test*.* (Multi30k), .txt, .gz and .xz allowed.
 * Which languages, the parameter tells: en-de if it does not and these are there, else the only
 * two.
 *     --data FILE   a line a pair: source, TAB, translation, and anything behind another TAB; or
 *                   "IN: source OUT: translation" (SCAN). Where "train" is in its name and the same
 *                   name with "test" beside it, that file is for testing
 *     --data kjv-rv, --data ding (ding.c), or nothing: the first of these two that is here
 *
 * Without files for testing an item is for testing or validation by the hash of its source, which a
 * set may repeat: 1/20 each. Left out, counted and told: pairs of which one side is empty, not
 * UTF-8, longer than 65,536 bytes, or of more than 60 words; lines of a file of pairs without TAB.
 * Two files of different length are refused. Vocabularies are of the training part: the 50,000 most
 * frequent words of those that occur twice or more; others are <unk>. */
#define _GNU_SOURCE
#include "datasets/pairs/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "datasets/sequences/translation.h"
#include "datasets/text/places.h"
#include "datasets/text/sword.h"
#include "datasets/text/textfile.h"

enum { WORDS_MOST = 50000, WORD_LEAST = 2 };

/* ------------------------------------------------------------------ gathering */

bool pairs_add(struct pairs *p, int split, const char *source, size_t source_bytes,
               const char *target, size_t target_bytes)
{
    const char *side[2] = {source, target};
    const size_t bytes[2] = {source_bytes, target_bytes};
    for (int i = 0; i < 2; i++) {
        const char *at = side[i];
        size_t left = bytes[i], words = 0;
        struct token token;
        while (words <= PAIR_WORDS && vocabulary_next(TOKEN_WORDS, &at, &left, &token))
            words++;
        if (words == 0 || words > PAIR_WORDS)
            return false;
    }
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 1024;
        p->pair = xrealloc(p->pair, p->room * sizeof *p->pair);
    }
    if (split == PAIR_BY_HASH) {
        const unsigned twentieth = sequences_twentieth(source, source_bytes);
        split = twentieth == 0 ? SPLIT_TEST : twentieth == 1 ? SPLIT_VALID : SPLIT_TRAIN;
    }
    struct pair *to = &p->pair[p->count++];
    *to = (struct pair){.split = split};
    for (int i = 0; i < 2; i++) {
        to->at[i] = p->text.length;
        to->bytes[i] = bytes[i];
        text_add_bytes(&p->text, side[i], bytes[i]);
    }
    return true;
}

/* Words of one side of the training part, counted; then the most frequent. */
static struct vocabulary *choose_vocabulary(const struct pairs *p, int side)
{
    struct vocabulary *all = vocabulary_new(TOKEN_WORDS, true);
    size_t room = 1024;
    uint64_t *count = xcalloc(room, sizeof *count);
    struct token token;
    for (size_t i = 0; i < p->count; i++) {
        const char *at = p->text.bytes + p->pair[i].at[side];
        size_t left = p->pair[i].bytes[side];
        while (p->pair[i].split == SPLIT_TRAIN &&
               vocabulary_next(TOKEN_WORDS, &at, &left, &token)) {
            const size_t id = (size_t)vocabulary_add(all, token.bytes, token.n);
            if (id >= room) {
                count = xrealloc(count, 2 * room * sizeof *count);
                memset(count + room, 0, room * sizeof *count);
                room *= 2;
            }
            count[id]++;
        }
    }
    struct vocabulary *v = vocabulary_frequent(all, count, WORD_LEAST, WORDS_MOST);
    vocabulary_free(all);
    free(count);
    return v;
}

static void make(const struct pairs *p, struct sequences *s)
{
    for (int side = 0; side < 2; side++)
        s->vocabulary[side] = choose_vocabulary(p, side);
    for (size_t i = 0; i < p->count; i++) {
        const struct pair *pair = &p->pair[i];
        const char *text = p->text.bytes;
        sequences_assign(s,
                         translation_add(s, text + pair->at[0], pair->bytes[0], text + pair->at[1],
                                         pair->bytes[1]),
                         pair->split);
    }
    translation_declare(s);
}

/* -------------------------------------------------------------- two files */

/* The worse of two lines counts as the pair's. */
static struct text_line worse(const struct text_line *a, const struct text_line *b)
{
    return a->kind != LINE_GOOD ? *a : *b;
}

static bool read_parallel(char *const path[2], int split, struct pairs *p, struct text *notes,
                          struct err *err)
{
    struct text_file f[2] = {{0}};
    struct text_report r = {0};
    struct text_line line[2] = {{0}};
    size_t at[2] = {0}, n[2];
    bool fine = text_file_read(path[0], &f[0], err) && text_file_read(path[1], &f[1], err);
    for (int i = 0; i < 2; i++)
        n[i] = fine ? text_file_lines(&f[i]) : 0;
    if (fine && n[0] != n[1])
        fine = err_set(
            err,
            "%s has %zu lines, %s %zu: expected as many, line N of one being the translation "
            "of line N of the other",
            path[0], n[0], path[1], n[1]);
    while (fine && text_file_next(&f[0], &at[0], &line[0]) &&
           text_file_next(&f[1], &at[1], &line[1])) {
        const struct text_line both = worse(&line[0], &line[1]);
        text_report_line(&r, &both);
        if (both.kind == LINE_GOOD &&
            !pairs_add(p, split, line[0].text, line[0].n, line[1].text, line[1].n))
            text_report_other(&r, &both);
    }
    fine = fine && text_report_end(&r, path[0], true, "of more than 60 words", notes, err);
    for (int i = 0; i < 2; i++)
        text_file_release(&f[i]);
    return fine;
}

/* What `name`, of a file "train.XX", has as XX; "" if it is none. */
static void language_of(const char *name, char language[16])
{
    char *bare = bare_name(name, ".txt");
    const char *dot = strrchr(bare, '.');
    language[0] = '\0';
    if (strncmp(bare, "train", 5) == 0 && dot && strlen(dot + 1) < 16)
        memcpy(language, dot + 1, strlen(dot + 1) + 1);
    free(bare);
}

/* "A-B": two words of letters, digits and _, and B's also of -, that are endings of files. */
static bool read_languages(const char *pair, char language[2][16])
{
    static const char in_name[] =
        "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const size_t a = strspn(pair, in_name + 1);
    const char *b = pair[a] == '-' ? pair + a + 1 : "";
    const size_t n = strlen(b);
    if (a == 0 || a > 15 || n == 0 || n > 15 || b[strspn(b, in_name)])
        return false;
    memcpy(language[0], pair, a);
    language[0][a] = '\0';
    memcpy(language[1], b, n + 1);
    return strcmp(language[0], language[1]) != 0;
}

/* The languages of a folder: those asked for, en-de, or the only two. */
static bool choose_languages(const struct sequence_task *t, const char *folder,
                             char language[2][16], struct err *err)
{
    size_t count, languages = 0;
    bool english = false, german = false;
    char **names = folder_names(folder, &count, err);
    if (!names)
        return false;
    struct text found = {0};
    for (size_t i = 0; i < count; i++) {
        char one[16];
        language_of(names[i], one);
        if (!one[0] ||
            (languages > 0 && languages <= 2 && strcmp(language[languages - 1], one) == 0))
            continue;
        text_add(&found, "%s%s", languages ? ", " : "", one);
        english = english || strcmp(one, "en") == 0;
        german = german || strcmp(one, "de") == 0;
        if (languages < 2)
            memcpy(language[languages], one, sizeof one);
        languages++;
    }
    folder_names_free(names);
    bool fine = languages == 2;
    if (read_languages(t->parameter, language))
        fine = true;
    else if (english && german) {
        memcpy(language[0], "en", 3);
        memcpy(language[1], "de", 3);
        fine = true;
    } else if (!fine)
        err_set(err,
                "'%s': expected files train.A and train.B, A-B being chosen by --data "
                "pairs:A-B:%s; found train.* of %s",
                folder, folder, found.length ? text_str(&found) : "no language");
    text_release(&found);
    return fine;
}

/* "pairs-en-de:multi30k", or without languages where there are none. */
static char *name_of(char language[2][16], const char *data)
{
    char kind[48] = "pairs";
    if (language[0][0])
        snprintf(kind, sizeof kind, "pairs-%s-%s", language[0], language[1]);
    return place_name(kind, data);
}

/* The files of a split, NULL where there is none; malloc'ed. */
static void find_files(const char *folder, int split, char language[2][16], char *path[2])
{
    static const char *const stem[SPLITS] = {"train", "val", "test"};
    char ending[20];
    for (int side = 0; side < 2; side++) {
        snprintf(ending, sizeof ending, ".%.15s", language[side]);
        path[side] = folder_file(folder, stem[split], ending);
        if (!path[side] && split == SPLIT_VALID)
            path[side] = folder_file(folder, "valid", ending);
    }
}

/* Only training may not lack altogether. */
static bool both_or_none(const char *folder, int split, char language[2][16], char *const path[2],
                         struct err *err)
{
    if (split == SPLIT_TRAIN && !(path[0] && path[1]))
        return err_set(err, "'%s': expected train.%s and train.%s, found %s%s", folder, language[0],
                       language[1], path[0] || path[1] ? "no train." : "neither",
                       path[0]   ? language[1]
                       : path[1] ? language[0]
                                 : "");
    if (!path[0] == !path[1])
        return true;
    return err_set(err,
                   "'%s': expected its translation beside it, but no file of that kind ends in "
                   ".%s",
                   path[0] ? path[0] : path[1], language[path[0] ? 1 : 0]);
}

static bool read_folder(const struct sequence_task *t, const char *folder, struct pairs *p,
                        struct sequences *s, struct err *err)
{
    char language[2][16] = {"", ""};
    char *path[SPLITS][2] = {{NULL}};
    bool fine = choose_languages(t, folder, language, err);
    for (int split = 0; fine && split < SPLITS; split++) {
        find_files(folder, split, language, path[split]);
        fine = both_or_none(folder, split, language, path[split], err);
    }
    const int train = path[SPLIT_TEST][0] ? SPLIT_TRAIN : PAIR_BY_HASH;
    for (int i = 1; fine && i <= SPLITS; i++) { /* training last */
        const int split = SPLITS - i;
        if (path[split][0])
            fine =
                read_parallel(path[split], split == SPLIT_TRAIN ? train : split, p, &s->notes, err);
    }
    for (int i = 0; i < 2 * SPLITS; i++)
        free(path[i / 2][i % 2]);
    if (fine)
        s->name = name_of(language, folder);
    return fine;
}

/* ------------------------------------------------------- files, a line a pair */

/* Source and target of a line, or false. */
static bool cut_line(const struct text_line *line, const char *side[2], size_t bytes[2])
{
    static const char in[] = "IN: ", out[] = " OUT: ";
    const char *const end = line->text + line->n;
    const bool scan = line->n > strlen(in) && memcmp(line->text, in, strlen(in)) == 0;
    side[0] = line->text + (scan ? strlen(in) : 0);
    const char *cut = scan ? memmem(side[0], (size_t)(end - side[0]), out, strlen(out))
                           : memchr(line->text, '\t', line->n);
    if (!cut)
        return false;
    bytes[0] = (size_t)(cut - side[0]);
    side[1] = cut + (scan ? strlen(out) : 1);
    const char *next = scan ? NULL : memchr(side[1], '\t', (size_t)(end - side[1]));
    bytes[1] = (size_t)((next ? next : end) - side[1]);
    return true;
}

static bool read_lines(const char *path, int split, struct pairs *p, struct text *notes,
                       struct err *err)
{
    struct text_file f;
    struct text_report r = {0};
    struct text_line line = {0};
    if (!text_file_read(path, &f, err))
        return false;
    for (size_t at = 0; text_file_next(&f, &at, &line);) {
        const char *side[2];
        size_t bytes[2];
        text_report_line(&r, &line);
        if (line.kind == LINE_GOOD && !(cut_line(&line, side, bytes) &&
                                        pairs_add(p, split, side[0], bytes[0], side[1], bytes[1])))
            text_report_other(&r, &line);
    }
    const bool fine = text_report_end(
        &r, path, true, "without TAB, empty side or of more than 60 words", notes, err);
    text_file_release(&f);
    return fine;
}

/* The same path with "test" for the last "train" of its name, malloc'ed; NULL if nothing is there.
 */
static char *test_beside(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *train = NULL;
    for (const char *at = name; (at = strstr(at, "train")); at++)
        train = at;
    if (!train)
        return NULL;
    char *test = xprintf("%.*stest%s", (int)(train - path), path, train + strlen("train"));
    if (access(test, F_OK) == 0)
        return test;
    free(test);
    return NULL;
}

static bool read_file(const char *path, char language[2][16], struct pairs *p, struct sequences *s,
                      struct err *err)
{
    char *test = test_beside(path);
    const bool fine = read_lines(path, test ? SPLIT_TRAIN : PAIR_BY_HASH, p, &s->notes, err) &&
                      (!test || read_lines(test, SPLIT_TEST, p, &s->notes, err));
    free(test);
    s->name = name_of(language, path);
    return fine;
}

/* --------------------------------------------------------------- verse by verse */

static bool read_verses(const struct text_set *set, char *const folder[2], struct pairs *p,
                        struct sequences *s, struct err *err)
{
    struct sword book[2] = {{0}};
    bool fine = sword_read(folder[0], &book[0], err) && sword_read(folder[1], &book[1], err);
    if (fine && (book[0].places != book[1].places || book[0].first_new != book[1].first_new))
        fine = err_set(err, "'%s' counts %zu verses and '%s' %zu: expected as many", folder[0],
                       book[0].places, folder[1], book[1].places);
    size_t left_out = 0;
    for (size_t i = 0; fine && i < book[0].places; i++) {
        const char *a = book[0].verse[i], *b = book[1].verse[i];
        if (a && b)
            left_out += !pairs_add(p, PAIR_BY_HASH, a, strlen(a), b, strlen(b));
    }
    if (left_out)
        text_add(&s->notes, "%s: left out: %zu verses of more than 60 words\n", set->name,
                 left_out);
    sword_release(&book[0]);
    sword_release(&book[1]);
    return fine;
}

/* The other way round; a pair stays in its split. */
static void exchange_sides(struct pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct pair old = p->pair[i];
        p->pair[i] =
            (struct pair){{old.at[1], old.at[0]}, {old.bytes[1], old.bytes[0]}, .split = old.split};
    }
}

/* The languages are those asked for, A and B, if any; either may be the source. */
static bool has_languages(const struct text_set *set, char asked[2][16])
{
    const char *const from = set->language[0], *const to = set->language[1];
    if (!from[0] || !asked[0][0])
        return from[0];
    const int a = strcmp(from, asked[0]) != 0;
    return strcmp(from, asked[a]) == 0 && strcmp(to, asked[!a]) == 0;
}

static bool read_set(const struct text_set *set, char asked[2][16], struct pairs *p,
                     struct sequences *s, struct err *err)
{
    char *folder[2] = {text_set_where(set, 0), text_set_where(set, 1)};
    const bool verses = set->part[1].name != NULL;
    bool fine = folder[0] && (folder[1] || !verses);
    if (!fine)
        (void)text_set_missing(set, "a folder or a file of pairs", err);
    else
        fine =
            verses ? read_verses(set, folder, p, s, err) : ding_read(folder[0], p, &s->notes, err);
    if (asked[0][0] && strcmp(set->language[0], asked[0]) != 0)
        exchange_sides(p);
    s->path = folder[0] ? xstrdup(folder[0]) : NULL;
    s->name = xstrdup(set->name);
    free(folder[0]);
    free(folder[1]);
    return fine;
}

/* The first set of these languages that is here; the first of all if none is; NULL if there is none.
 */
static const struct text_set *choose_set(char asked[2][16])
{
    const struct text_set *first = NULL;
    for (const struct text_set *set = text_sets; set->name; set++) {
        if (!has_languages(set, asked))
            continue;
        if (text_set_here(set))
            return set;
        first = first ? first : set;
    }
    return first;
}

/* False: Debian's packages do not have what the task asks for. */
static bool no_set(const struct sequence_task *t, struct err *err)
{
    struct text there = {0};
    for (const struct text_set *set = text_sets; set->name; set++)
        if (set->language[0][0])
            text_add(&there, "%s%s-%s (%s)", there.length ? ", " : "", set->language[0],
                     set->language[1], set->name);
    err_status(err, EXIT_USAGE, "'%s': expected a folder, as in --data %s:DIR, or one of %s",
               t->task, t->task, text_str(&there));
    text_release(&there);
    return false;
}

static bool open_pairs(const struct sequence_task *t, const struct sequence_wish *w,
                       struct sequences *s, struct err *err)
{
    struct pairs p = {0};
    bool fine;
    char language[2][16] = {"", ""};
    if (t->parameter[0] && !read_languages(t->parameter, language))
        return err_status(
            err, EXIT_USAGE,
            "task '%s': expected pairs, pairs:A-B of two languages, as in pairs:en-de, or "
            "pairs:A-B:PLACE",
            t->task);
    const struct text_set *set = w->data ? text_set_find(w->data) : choose_set(language);
    if (set && !set->language[0][0])
        fine = err_status(err, EXIT_USAGE,
                          "'%s' is text: expected kjv-rv, ding, a folder or a file", set->name);
    else if (set && !has_languages(set, language))
        fine = err_status(err, EXIT_USAGE, "'%s' is %s-%s, expected %s-%s", set->name,
                          set->language[0], set->language[1], language[0], language[1]);
    else if (set)
        fine = read_set(set, language, &p, s, err);
    else if (!w->data)
        fine = no_set(t, err);
    else {
        s->path = xstrdup(w->data);
        fine = is_folder(w->data) ? read_folder(t, w->data, &p, s, err)
                                  : read_file(w->data, language, &p, s, err);
    }
    if (fine)
        make(&p, s);
    text_release(&p.text);
    free(p.pair);
    return fine;
}

const struct sequence_source source_pairs = {
    "pairs",
    "pairs: sentences and translations by words; Debian's, or --data [pairs:A-B:]DIR or FILE",
    open_pairs, false};
