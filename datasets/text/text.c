/* text.c — running text, by characters or by words, and lines that each stand for themselves.
 *
 *     text    characters; the vocabulary is those of the training part, in order of their
 *             bytes. Others are left out of the test and counted.
 *     words   as vocabulary.h cuts them, and </s> at each line's end; those that occur once in
 *             the training part are <unk>, as are all beyond the 50,000 most frequent
 *     lines   each line from <s> to </s>, by characters
 *
 * Running text is the King James Version, if nothing is said; or --data: a file, of which the first
 * nine tenths are for training and the last is for testing; a folder with train.txt, valid.txt and
 * test.txt
 * (.gz, .xz); or one whose files are all of it, in order of their names. Of the King James Version
 * the last 5 % are for validation, the 5 % before for testing, in the order of its books. Of
 * `lines` each content's hash tells: 1/20 test, 1/20 validation. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "datasets/sequences/sequences.h"
#include "datasets/text/places.h"
#include "datasets/text/sword.h"
#include "datasets/text/textfile.h"

enum { WORDS_MOST = 50000, WORD_LEAST = 2 };

/* ------------------------------------------------------------- sources of text */

/* Files that everybody knows, by the sum of their content. */
static const struct {
    const char *name, *sha256;
} known[] = {
    {"tinyshakespeare", "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    {"wikitext-2", "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"},
    {"names", "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"},
};

/* The name of a set of which this is the first file; malloc'ed. */
static char *name_of(const struct text_file *f, const char *kind, const char *data)
{
    char sum[SHA256_HEX];
    sha256_of(f->bytes, f->n, sum);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(sum, known[i].sha256) == 0)
            return xstrdup(known[i].name);
    return place_name(kind, data);
}

/* A set is called after its first file, if everybody knows it, unless it has a name. */
static bool add_file(const char *path, const char *kind, struct text *part, struct sequences *s,
                     struct err *err)
{
    struct text_file f;
    if (!text_file_read(path, &f, err))
        return false;
    if (!s->name)
        s->name = name_of(&f, kind, s->path);
    const bool fine = text_file_add(&f, part, &s->notes, err);
    text_file_release(&f);
    return fine;
}

/* Cuts `all` at line ends near these shares of it. */
static void cut(const struct text *all, const double share[SPLITS], const int order[SPLITS],
                struct text part[SPLITS])
{
    size_t from = 0;
    double sum = 0;
    for (int i = 0; i < SPLITS; i++) {
        sum += share[i];
        size_t to = i + 1 == SPLITS ? all->length : (size_t)(sum * (double)all->length);
        while (to < all->length && (all->bytes[to] & 0xc0) == 0x80)
            to++; /* not inside a character */
        if (to > from)
            text_add_bytes(&part[order[i]], all->bytes + from, to - from);
        from = to > from ? to : from;
    }
}

static bool read_split_files(char *file[SPLITS], const char *kind, struct text part[SPLITS],
                             struct sequences *s, struct err *err)
{
    for (int i = 0; i < SPLITS; i++)
        if (file[i] && !add_file(file[i], kind, &part[i], s, err))
            return false;
    return true;
}

/* All files of a folder, one behind the other. */
static bool read_folder(const char *folder, const char *kind, struct text *all, struct sequences *s,
                        struct err *err)
{
    size_t count;
    char **names = folder_names(folder, &count, err);
    if (!names)
        return false;
    bool fine = count > 0 || err_set(err, "'%s' holds no files: expected some of text", folder);
    if (count > 1)
        s->name = place_name(kind, folder); /* whatever its first file is */
    for (size_t i = 0; fine && i < count; i++) {
        char *path = xprintf("%s/%s", folder, names[i]);
        fine = add_file(path, kind, all, s, err);
        free(path);
    }
    folder_names_free(names);
    return fine;
}

static bool read_given(const char *data, const char *kind, struct text part[SPLITS],
                       struct sequences *s, struct err *err)
{
    static const double shares[SPLITS] = {0.9, 0.1, 0};
    static const int order[SPLITS] = {SPLIT_TRAIN, SPLIT_TEST, SPLIT_VALID};
    const bool folder = is_folder(data);
    char *file[SPLITS] = {folder ? folder_file(data, "train", "") : NULL,
                          folder ? folder_file(data, "val", "") : NULL,
                          folder ? folder_file(data, "test", "") : NULL};
    if (folder && !file[SPLIT_VALID])
        file[SPLIT_VALID] = folder_file(data, "valid", "");
    struct text all = {0};
    bool fine;
    s->path = xstrdup(data);
    if (file[SPLIT_TRAIN] && file[SPLIT_TEST])
        fine = read_split_files(file, kind, part, s, err);
    else
        fine = folder ? read_folder(data, kind, &all, s, err) : add_file(data, kind, &all, s, err);
    cut(&all, shares, order, part);
    text_release(&all);
    for (int i = 0; i < SPLITS; i++)
        free(file[i]);
    return fine;
}

/* A verse a line. */
static bool read_kjv(const struct text_set *set, struct text part[SPLITS], struct sequences *s,
                     struct err *err)
{
    static const double shares[SPLITS] = {0.9, 0.05, 0.05};
    static const int order[SPLITS] = {SPLIT_TRAIN, SPLIT_TEST, SPLIT_VALID};
    struct sword verses;
    s->path = text_set_where(set, 0);
    if (!s->path)
        return text_set_missing(set, "a text file", err);
    s->name = xstrdup(set->name);
    if (!sword_read(s->path, &verses, err))
        return false;
    struct text all = {0};
    for (size_t i = 0; i < verses.places; i++)
        if (verses.verse[i])
            text_add(&all, "%s\n", verses.verse[i]);
    if (verses.broken)
        text_add(&s->notes, "%s: left out: %zu verses that are not UTF-8\n", s->path,
                 verses.broken);
    cut(&all, shares, order, part);
    text_release(&all);
    sword_release(&verses);
    return true;
}

static bool read_text(const struct sequence_task *t, const struct sequence_wish *w,
                      struct text part[SPLITS], struct sequences *s, struct err *err)
{
    const char *data = w->data ? w->data : "kjv";
    const struct text_set *set = text_set_find(data);
    if (set && strcmp(set->name, "kjv") == 0)
        return read_kjv(set, part, s, err);
    if (set)
        return err_status(err, EXIT_USAGE,
                          "'%s' are pairs: expected kjv, a file or a folder of text", data);
    return read_given(data, t->kind, part, s, err);
}

/* --------------------------------------------------------------- vocabularies */

static void count_tokens(const struct text *text, struct vocabulary *all, uint64_t **count)
{
    const char *at = text_str(text);
    size_t left = text->length, room = 0;
    struct token token;
    while (vocabulary_next(vocabulary_kind(all), &at, &left, &token)) {
        const size_t id = (size_t)vocabulary_add(all, token.bytes, token.n);
        if (id >= room) {
            const size_t more = room ? 2 * room : 1024;
            *count = xrealloc(*count, more * sizeof **count);
            memset(*count + room, 0, (more - room) * sizeof **count);
            room = more;
        }
        (*count)[id]++;
    }
}

/* Of the training part. All characters count as equally frequent, so that they come in order. */
static struct vocabulary *choose_vocabulary(const struct text *text, int kind)
{
    struct vocabulary *all = vocabulary_new(kind, kind == TOKEN_WORDS);
    uint64_t *count = xcalloc(1024, sizeof *count);
    count_tokens(text, all, &count);
    for (int i = 0; kind == TOKEN_CHARACTERS && i < vocabulary_count(all); i++)
        count[i] = 1;
    const bool words = kind == TOKEN_WORDS;
    struct vocabulary *v =
        vocabulary_frequent(all, count, words ? WORD_LEAST : 1, words ? WORDS_MOST : 0);
    vocabulary_free(all);
    free(count);
    return v;
}

/* ------------------------------------------------------------- running text */

/* The tokens of a text; of words, with </s> at line ends. Malloc'ed. */
static int32_t *number(const struct vocabulary *v, const struct text *text, size_t *count,
                       size_t *strange)
{
    int32_t *id = xmalloc((text->length + 1) * sizeof *id);
    const char *at = text_str(text), *const end = at + text->length;
    struct token token;
    *count = *strange = 0;
    while (at < end) {
        const char *line = vocabulary_special(v) ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        size_t left = (size_t)((line ? line : end) - at);
        while (vocabulary_next(vocabulary_kind(v), &at, &left, &token)) {
            const int32_t found = vocabulary_find(v, token.bytes, token.n);
            *strange += found < 0;
            if (found >= 0 || vocabulary_special(v))
                id[(*count)++] = found < 0 ? TOKEN_UNKNOWN : found;
        }
        at = line ? line + 1 : end;
        if (line)
            id[(*count)++] = TOKEN_END;
    }
    return id;
}

static void add_running(struct sequences *s, const struct text part[SPLITS])
{
    const struct vocabulary *v = s->vocabulary[0];
    for (int i = 0; i < SPLITS; i++) {
        size_t n, strange;
        int32_t *id = number(v, &part[i], &n, &strange);
        series_add(&s->series[0], id, n);
        free(id);
        if (strange > 0 && !vocabulary_special(v))
            text_add(&s->notes,
                     "%s: left out of the %s part: %zu characters that training does not have\n",
                     s->path, i == SPLIT_TEST ? "test" : "validation", strange);
    }
    sequences_declare_next(s);
}

static bool open_running(const struct sequence_task *t, const struct sequence_wish *w, int kind,
                         struct sequences *s, struct err *err)
{
    struct text part[SPLITS] = {0};
    if (t->parameter[0] && t->number == 0)
        return err_status(err, EXIT_USAGE,
                          "task '%s': expected %s, %s:STEPS, of 1 to %d, %s:FILE or %s:STEPS:FILE",
                          t->task, t->kind, t->kind, SEQUENCE_STEPS, t->kind, t->kind);
    bool fine = read_text(t, w, part, s, err);
    if (fine && (part[SPLIT_TRAIN].length == 0 || part[SPLIT_TEST].length == 0))
        fine = err_set(err, "%s: no text for %s", s->path,
                       part[SPLIT_TRAIN].length ? "testing" : "training");
    if (fine) {
        s->running = true;
        s->window = (size_t)t->number;
        s->vocabulary[0] = choose_vocabulary(&part[SPLIT_TRAIN], kind);
        add_running(s, part);
    }
    for (int i = 0; i < SPLITS; i++)
        text_release(&part[i]);
    return fine;
}

static bool open_text(const struct sequence_task *t, const struct sequence_wish *w,
                      struct sequences *s, struct err *err)
{
    return open_running(t, w, TOKEN_CHARACTERS, s, err);
}

static bool open_words(const struct sequence_task *t, const struct sequence_wish *w,
                       struct sequences *s, struct err *err)
{
    return open_running(t, w, TOKEN_WORDS, s, err);
}

const struct sequence_source source_text = {
    "text", "text: running text by characters; the King James Version, or --data FILE or DIR",
    open_text, false};
const struct sequence_source source_words = {
    "words", "words: running text by words; the King James Version, or --data FILE or DIR",
    open_words, false};

/* ---------------------------------------------------------------------- lines */

static void add_line(struct sequences *s, const struct text_line *line)
{
    static const int split_of[] = {SPLIT_TEST, SPLIT_VALID};
    size_t n = 0, left = line->n;
    const char *at = line->text;
    int32_t *id = xmalloc((line->n + 2) * sizeof *id);
    struct token token;
    id[n++] = TOKEN_BEGIN;
    while (vocabulary_next(TOKEN_CHARACTERS, &at, &left, &token))
        id[n++] = vocabulary_add(s->vocabulary[0], token.bytes, token.n);
    id[n++] = TOKEN_END;
    const unsigned twentieth = sequences_twentieth(line->text, line->n);
    sequences_assign(s, series_add(&s->series[0], id, n),
                     twentieth < 2 ? split_of[twentieth] : SPLIT_TRAIN);
    free(id);
}

static bool open_lines(const struct sequence_task *t, const struct sequence_wish *w,
                       struct sequences *s, struct err *err)
{
    enum { STEPS_MOST = 1000 };
    struct text_file f;
    struct text_report r = {0};
    struct text_line line = {0};
    if (!w->data || t->parameter[0])
        return err_status(err, EXIT_USAGE, "task '%s': expected lines:FILE, a line an item",
                          t->task);
    if (!text_file_read(w->data, &f, err))
        return false;
    s->path = xstrdup(w->data);
    s->name = name_of(&f, t->kind, s->path);
    s->vocabulary[0] = vocabulary_new(TOKEN_CHARACTERS, true);
    for (size_t at = 0; text_file_next(&f, &at, &line);) {
        text_report_line(&r, &line);
        if (line.kind != LINE_GOOD)
            continue;
        if (line.n > STEPS_MOST)
            text_report_other(&r, &line);
        else
            add_line(s, &line);
    }
    const bool fine = text_report_end(&r, w->data, true, "of more than 1000 bytes", &s->notes, err);
    text_file_release(&f);
    sequences_declare_next(s);
    return fine;
}

const struct sequence_source source_lines = {
    "lines", "lines:FILE: every line an item, by characters", open_lines, false};
