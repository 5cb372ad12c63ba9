/* sequences.c — see sequences.h. */
#define _GNU_SOURCE
#include "datasets/sequences/sequences.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "datasets/dataset.h"
#include "datasets/text/places.h"

static const struct sequence_source *const sources[] = {
    &source_adding, &source_copy,  &source_addition, &source_reverse, &source_dates,
    &source_text,   &source_words, &source_lines,    &source_names,   &source_pairs,
};
enum { SOURCES = sizeof sources / sizeof *sources };

const char *const sequence_kinds[] = {"adding", "copy",  "addition", "reverse", "dates", "text",
                                      "words",  "lines", "names",    "pairs",   NULL};

static const struct sequence_source *find_source(const char *kind)
{
    for (int i = 0; i < SOURCES; i++)
        if (strcmp(sources[i]->kind, kind) == 0)
            return sources[i];
    return NULL;
}

const char *sequences_about(const char *kind)
{
    const struct sequence_source *source = find_source(kind);
    return source ? source->about : NULL;
}

/* -------------------------------------------------------------------- series */

static void *grow(void *block, size_t *room, size_t wanted, size_t bytes)
{
    if (wanted <= *room)
        return block;
    *room = *room ? 2 * *room : 1024;
    *room = *room < wanted ? wanted : *room;
    return xrealloc(block, *room * bytes);
}

size_t series_add(struct series *s, const void *steps, size_t n)
{
    if (!s->at) {
        s->row_room = 1024;
        s->at = xcalloc(s->row_room, sizeof *s->at);
    }
    const size_t from = s->at[s->rows], to = from + n;
    s->at = grow(s->at, &s->row_room, s->rows + 2, sizeof *s->at);
    if (s->width == 0) {
        s->tokens = grow(s->tokens, &s->step_room, to, sizeof *s->tokens);
        memcpy(s->tokens + from, steps, n * sizeof *s->tokens);
    } else {
        const size_t row = (size_t)s->width * sizeof *s->values;
        s->values = grow(s->values, &s->step_room, to, row);
        memcpy(s->values + from * (size_t)s->width, steps, n * row);
    }
    s->at[s->rows + 1] = to;
    s->longest = n > s->longest ? n : s->longest;
    return s->rows++;
}

static void series_release(struct series *s)
{
    free(s->tokens);
    free(s->values);
    free(s->at);
}

void sequences_assign(struct sequences *s, size_t row, int split)
{
    size_t *const n = &s->items[split];
    if ((*n & (*n - 1)) == 0) /* 0 and the powers of two: room for as many again */
        s->item[split] = xrealloc(s->item[split], (*n ? 2 * *n : 1) * sizeof *s->item[split]);
    s->item[split][(*n)++] = (uint32_t)row;
}

void sequences_add_input(struct sequences *s, struct sequence_input in)
{
    assert(s->inputs < SEQUENCE_INPUTS);
    s->input[s->inputs++] = in;
}

void sequences_declare_next(struct sequences *s)
{
    const struct vocabulary *v = s->vocabulary[0];
    const struct sequence_input tokens = {.name = "tokens",
                                          .length = "length",
                                          .cut = 1,
                                          .tokens = vocabulary_count(v),
                                          .vocabulary = v};
    struct sequence_input next = tokens;
    next.name = "next";
    next.length = NULL;
    next.skip = 1;
    next.cut = 0;
    next.pad = -1;
    sequences_add_input(s, tokens);
    sequences_add_input(s, next);
}

unsigned sequences_twentieth(const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    h ^= h >> 33; /* FNV's low bits see little of the last bytes: mixed as in MurmurHash3 */
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return (unsigned)(h % 20);
}

/* ------------------------------------------------------------------- looking */

const struct sequence_input *sequences_input(const struct sequences *s, const char *name)
{
    for (int i = 0; i < s->inputs; i++) {
        const struct sequence_input *in = &s->input[i];
        if (strcmp(in->name, name) == 0 || (in->length && strcmp(in->length, name) == 0))
            return in;
    }
    return NULL;
}

static size_t seen(const struct sequence_input *in, size_t steps)
{
    const size_t less = (size_t)in->skip + (size_t)in->cut;
    return steps > less ? steps - less : 0;
}

size_t sequences_steps(const struct sequences *s, const struct sequence_input *in, size_t row)
{
    const size_t *at = s->series[in->series].at;
    return seen(in, at[row + 1] - at[row]);
}

size_t sequences_longest(const struct sequences *s, const struct sequence_input *in)
{
    return seen(in, s->series[in->series].longest);
}

/* ------------------------------------------------------------------- opening */

static bool is_there(const char *data)
{
    struct stat st;
    return text_set_find(data) || stat(data, &st) == 0;
}

/* Something that is there, and no number or name of languages that happens to be called so. */
static bool is_place(const char *word) { return strpbrk(word, "/.") && is_there(word); }

/* KIND, KIND:PARAMETER, KIND:PARAMETER:PLACE or KIND:PLACE; *place: where the task's files are, or
 * NULL. */
static bool parse(const char *task, struct sequence_task *t, const char **place, struct err *err)
{
    *t = (struct sequence_task){.task = task};
    const size_t n = strcspn(task, ":");
    const char *parameter = task[n] ? task + n + 1 : "";
    const bool none = is_place(parameter);
    const size_t length = none ? 0 : strcspn(parameter, ":");
    if (n == 0 || n >= sizeof t->kind || (task[n] && length == 0 && !none) ||
        length >= sizeof t->parameter)
        return err_status(err, EXIT_USAGE,
                          "task '%.80s': expected KIND, KIND:PARAMETER, KIND:PLACE or "
                          "KIND:PARAMETER:PLACE, a place being a file or a folder",
                          task);
    *place = none ? parameter : parameter[length] ? parameter + length + 1 : NULL;
    memcpy(t->kind, task, n);
    memcpy(t->parameter, parameter, length);
    if (!text_to_int(t->parameter, 1, SEQUENCE_STEPS, &t->number))
        t->number = 0;
    return true;
}

static bool refuse_kind(const char *kind, struct err *err)
{
    const char *near = text_nearest(kind, sequence_kinds);
    struct text known = {0};
    for (int i = 0; sequence_kinds[i]; i++)
        text_add(&known, "%s%s", i ? ", " : "", sequence_kinds[i]);
    err_status(err, EXIT_USAGE, "no task '%s'%s%s%s; there are %s", kind,
               near ? ": did you mean '" : "", near ? near : "", near ? "'" : "", text_str(&known));
    text_release(&known);
    return false;
}

/* --data may be another task: a word of sequence_kinds, with or without a parameter and a place. */
static bool is_task(const char *data)
{
    const size_t n = strcspn(data, ":");
    for (int i = 0; i < SOURCES; i++)
        if (strlen(sources[i]->kind) == n && strncmp(sources[i]->kind, data, n) == 0)
            return true;
    return false;
}

static bool refuse_data(const char *data, struct err *err)
{
    const char *words[32] = {NULL};
    int n = 0;
    for (int i = 0; dataset_names[i]; i++)
        if (strcmp(data, dataset_names[i]) == 0)
            return err_status(err, EXIT_USAGE,
                              "the set '%s' holds images: expected a file, a folder, a set of text "
                              "or a task, as `bench list` shows them",
                              data);
    for (const struct text_set *set = text_sets; set->name; set++)
        words[n++] = set->name;
    for (int i = 0; sequence_kinds[i]; i++)
        words[n++] = sequence_kinds[i];
    const char *near = text_nearest(data, words);
    return err_status(err, EXIT_USAGE, "no file, folder, set or task '%s'%s%s%s", data,
                      near ? ": did you mean '" : "", near ? near : "", near ? "'" : "");
}

bool sequences_open(const char *task, const struct sequence_wish *wish, struct sequences *s,
                    struct err *err)
{
    struct sequence_task t;
    struct sequence_wish w = *wish;
    struct sequences opened = {0};
    if (w.data && is_task(w.data)) {
        task = w.data;
        w.data = NULL;
    }
    const char *place = NULL;
    if (!parse(task, &t, &place, err))
        return false;
    w.data = w.data ? w.data : place;
    const struct sequence_source *source = find_source(t.kind);
    if (!source)
        return refuse_kind(t.kind, err);
    if (w.data && source->generated)
        return err_status(
            err, EXIT_USAGE,
            "--data '%s': the items of '%s' are generated; expected a task, such as %s%s%s", w.data,
            t.kind, t.kind, t.parameter[0] ? ":" : "", t.parameter);
    if (w.data && !is_there(w.data))
        return refuse_data(w.data, err);
    opened.synthetic = source->generated;
    if (!source->open(&t, &w, &opened, err) || !sequences_finish(&opened, err)) {
        sequences_close(&opened);
        return false;
    }
    *s = opened;
    return true;
}

void sequences_close(struct sequences *s)
{
    for (int i = 0; i < SERIES; i++)
        series_release(&s->series[i]);
    for (int i = 0; i < SPLITS; i++)
        free(s->item[i]);
    for (int i = 0; s->class_names && s->class_names[i]; i++)
        free(s->class_names[i]);
    free(s->class_names);
    vocabulary_free(s->vocabulary[0]);
    vocabulary_free(s->vocabulary[1]);
    text_release(&s->notes);
    free(s->name);
    free(s->path);
    *s = (struct sequences){0};
}

/* ------------------------------------------------------------------ finishing */

static void sum_up(struct sequences *s)
{
    struct sha256 sum = sha256_begin();
    for (int i = 0; i < SERIES; i++) {
        const struct series *r = &s->series[i];
        if (r->rows == 0)
            continue;
        sha256_add(&sum, r->at, (r->rows + 1) * sizeof *r->at);
        if (r->width == 0)
            sha256_add(&sum, r->tokens, r->at[r->rows] * sizeof *r->tokens);
        else
            sha256_add(&sum, r->values, r->at[r->rows] * (size_t)r->width * sizeof *r->values);
    }
    for (int i = 0; i < SPLITS; i++)
        if (s->items[i])
            sha256_add(&sum, s->item[i], s->items[i] * sizeof *s->item[i]);
    for (int i = 0; i < 2; i++) {
        char *packed = s->vocabulary[i] ? vocabulary_pack(s->vocabulary[i]) : NULL;
        if (packed)
            sha256_add(&sum, packed, strlen(packed));
        free(packed);
    }
    sha256_end(&sum, s->sha256);
}

/* Notes are told once data are open; here the first line of them is the reason. */
static bool refuse_empty(const struct sequences *s, const char *from, struct err *err)
{
    const char *notes = text_str(&s->notes);
    const int n = (int)strcspn(notes, "\n");
    return err_set(err, "%s: %zu items for training and %zu for test: expected some of both%s%.*s",
                   from, s->items[SPLIT_TRAIN], s->items[SPLIT_TEST], n ? "; " : "", n, notes);
}

bool sequences_finish(struct sequences *s, struct err *err)
{
    const char *from = s->path ? s->path : s->name;
    assert(s->name && s->inputs > 0);
    if (s->running ? s->series[0].rows != SPLITS
                   : s->items[SPLIT_TRAIN] == 0 || s->items[SPLIT_TEST] == 0)
        return refuse_empty(s, from, err);
    for (int i = 0; i < SERIES; i++)
        if (!s->running && s->series[i].longest > SEQUENCE_STEPS)
            return err_set(err, "%s: an item of %zu steps: the limit is %d", from,
                           s->series[i].longest, SEQUENCE_STEPS);
    sum_up(s);
    return true;
}
