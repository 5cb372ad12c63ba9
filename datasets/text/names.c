/* names.c — which language is a name of? Task "names": tokens (characters) and label. Or the other
 * way round, say a name of that class: class, tokens and next, which ends with </s>.
 *
 *     --data DIR   a file for each class, called after it (Arabic.txt, .gz, .xz), a name a line.
 *                  Left out, counted and told: lines that are empty, not UTF-8, or of more than
 *                  100 bytes
 *     nothing      made-up names of ten languages: a stem of one to three syllables and, two times
 *                  in three, one of the language's endings. Stems of different languages overlap,
 *                  so that not all of them can be told
 *
 * By the hash of a name 1/10 are for testing. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "datasets/sequences/sequences.h"
#include "datasets/text/places.h"
#include "datasets/text/textfile.h"

enum { NAME_BYTES = 100, CLASSES_MOST = 256, MADE = 20000 };

static void add_name(struct sequences *s, const char *name, size_t bytes, int32_t label)
{
    int32_t id[NAME_BYTES + 1];
    size_t n = 0;
    struct token token;
    const int split = sequences_twentieth(name, bytes) < 2 ? SPLIT_TEST : SPLIT_TRAIN;
    while (vocabulary_next(TOKEN_CHARACTERS, &name, &bytes, &token))
        id[n++] = vocabulary_add(s->vocabulary[0], token.bytes, token.n);
    id[n++] = TOKEN_END;
    sequences_assign(s, series_add(&s->series[0], id, n), split);
    series_add(&s->series[1], &label, 1);
}

static void declare(struct sequences *s, int classes)
{
    const struct vocabulary *v = s->vocabulary[0];
    const int n = vocabulary_count(v);
    const struct sequence_input inputs[] = {
        {.name = "tokens", .length = "length", .cut = 1, .tokens = n, .vocabulary = v},
        {.name = "label", .series = 1, .scalar = true, .tokens = classes},
        {.name = "next", .pad = -1, .tokens = n, .vocabulary = v},
        {.name = "class", .series = 1, .scalar = true, .tokens = classes},
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        sequences_add_input(s, inputs[i]);
}

/* ---------------------------------------------------------------------- files */

static bool read_class(const char *path, int32_t label, struct sequences *s, struct err *err)
{
    struct text_file f;
    struct text_report r = {0};
    struct text_line line = {0};
    if (!text_file_read(path, &f, err))
        return false;
    for (size_t at = 0; text_file_next(&f, &at, &line);) {
        text_report_line(&r, &line);
        if (line.kind != LINE_GOOD)
            continue;
        if (line.n > NAME_BYTES)
            text_report_other(&r, &line);
        else
            add_name(s, line.text, line.n, label);
    }
    const bool fine = text_report_end(&r, path, true, "of more than 100 bytes", &s->notes, err);
    text_file_release(&f);
    return fine;
}

/* Arabic.txt and Arabic.txt.gz would be one class, or a copy. */
static bool is_new_class(const char *folder, char *const *class, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(class[i], class[n]) == 0)
            return err_set(err, "'%s' holds two files of class '%s': expected one", folder,
                           class[n]);
    return true;
}

static bool read_classes(const char *folder, struct sequences *s, struct err *err)
{
    size_t count;
    char **names = folder_names(folder, &count, err);
    if (!names)
        return false;
    bool fine = (count >= 2 && count <= CLASSES_MOST) ||
                err_set(err, "'%s' holds %zu file%s: expected 2 to %d, one for each class", folder,
                        count, count == 1 ? "" : "s", CLASSES_MOST);
    s->class_names = fine ? xcalloc(count + 1, sizeof *s->class_names) : NULL;
    for (size_t i = 0; fine && i < count; i++) {
        char *path = xprintf("%s/%s", folder, names[i]);
        s->class_names[i] = bare_name(names[i], ".txt");
        fine = is_new_class(folder, s->class_names, i, err) && read_class(path, (int32_t)i, s, err);
        free(path);
    }
    folder_names_free(names);
    if (fine)
        declare(s, (int)count);
    return fine;
}

/* -------------------------------------------------------------------- made up */

/* Words with spaces between; an empty sound is "-". */
static const struct language {
    const char *name, *onsets, *vowels, *codas, *endings;
} languages[] = {
    /* clang-format off */
    {"dutch", "b d g h j k l m n r s v w sch br kl", "a e i o aa ee oo ij ui", "- - n r l s k", "sen stra ma inga huis veld dijk"},
    {"finnish", "h k l m n p r s t v j", "a e i o u y ä ö aa ii uu", "- - - n l s", "nen lainen la mäki niemi vaara"},
    {"french", "b c d f g l m n p r s t v ch br gr", "a e i o ou eau ai é", "- - n r l t", "eau ier ard elle ot eux mont"},
    {"german", "b d f g h k l m n r s t w sch kr br st", "a e i o u ä ö ü ei au", "- n r l ch tz ck", "mann berger stein hoff feld bach meier"},
    {"greek", "d g k l m n p r s t v th ch st", "a e i o ou ia", "- - s n r", "os is opoulos idis akis as ellis"},
    {"italian", "b c d f g l m n p r s t v z br gr", "a e i o", "- - n r l s", "ini elli etti ucci one ari otto"},
    {"japanese", "k s t n h m y r w sh ch ts", "a i u e o", "- - - - n", "moto yama mura kawa da saki shita"},
    {"polish", "b d g j k l m n p r s w z sz cz krz", "a e i o u y", "- - n r l j", "ski cki wicz czak czyk ek ak"},
    {"russian", "b d g k l m n p r s t v z zh sh kr", "a e i o u ya", "- - n r l v", "ov ev in sky enko uk off"},
    {"spanish", "b c d f g l m n p r s t v ll ch", "a e i o ue ie", "- - n r l s", "ez az ero illo ado eda ales"},
    /* clang-format on */
};
enum { LANGUAGES = sizeof languages / sizeof *languages };

/* One of some words, as likely as any other. */
static void append_word(struct rng *r, const char *words, struct text *to)
{
    uint32_t n = 1;
    for (const char *p = words; *p; p++)
        n += *p == ' ';
    for (uint32_t skip = rng_below(r, n); skip > 0; skip--)
        words = strchr(words, ' ') + 1;
    const size_t length = strcspn(words, " ");
    if (!(length == 1 && *words == '-'))
        text_add_bytes(to, words, length);
}

static void make_name(struct rng *r, const struct language *l, struct text *name)
{
    const bool ends = rng_below(r, 3) > 0;
    name->length = 0;
    for (uint32_t syllables = 1 + rng_below(r, ends ? 2 : 3); syllables > 0; syllables--) {
        append_word(r, l->onsets, name);
        append_word(r, l->vowels, name);
        append_word(r, l->codas, name);
    }
    if (ends)
        append_word(r, l->endings, name);
}

static void make_names(const struct sequence_wish *w, struct sequences *s)
{
    const size_t items = w->items ? w->items : MADE;
    struct rng r = rng_make(w->seed, rng_stream("names"));
    struct text name = {0};
    s->class_names = xcalloc(LANGUAGES + 1, sizeof *s->class_names);
    for (int i = 0; i < LANGUAGES; i++)
        s->class_names[i] = xstrdup(languages[i].name);
    while (s->items[SPLIT_TRAIN] < items || s->items[SPLIT_TEST] == 0) {
        const uint32_t language = rng_below(&r, LANGUAGES);
        make_name(&r, &languages[language], &name);
        add_name(s, name.bytes, name.length, (int32_t)language);
    }
    text_release(&name);
    declare(s, LANGUAGES);
}

static bool open_names(const struct sequence_task *t, const struct sequence_wish *w,
                       struct sequences *s, struct err *err)
{
    if (t->parameter[0])
        return err_status(err, EXIT_USAGE, "task '%s': names take no parameter", t->task);
    s->name = w->data ? place_name("names", w->data) : xstrdup("names");
    s->vocabulary[0] = vocabulary_new(TOKEN_CHARACTERS, true);
    s->synthetic = !w->data;
    if (s->synthetic) {
        make_names(w, s);
        return true;
    }
    s->path = xstrdup(w->data);
    return is_folder(w->data)
               ? read_classes(w->data, s, err)
               : err_set(err, "'%s' is no folder: expected one with a file for each class",
                         w->data);
}

const struct sequence_source source_names = {
    "names", "names: which language? made up, or --data DIR with a file for each class", open_names,
    false};
