/* language.c — see language.h. */
#include "train/language.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const language_key[2] = {"vocabulary", "vocabulary.target"};

static void copy_name(char to[24], const char *from) { snprintf(to, 24, "%s", from ? from : ""); }

void language_of(const struct sequences *s, const struct program *p, struct language *l)
{
    *l = (struct language){
        .inputs = s->inputs,
        .window = (int)s->window,
        .running = s->running,
        .vocabulary = {s->vocabulary[0], s->vocabulary[1]},
        .class_name = s->class_names,
        .borrowed = true,
    };
    for (int i = 0; i < s->inputs; i++) {
        const struct sequence_input *in = &s->input[i];
        struct language_input *to = &l->input[i];
        copy_name(to->name, in->name);
        copy_name(to->length, in->length);
        to->tokens = in->tokens;
        to->read = program_find(p, TENSOR_INPUT, in->name) != NULL;
        to->longest = s->running || in->scalar ? 0 : (int)sequences_longest(s, in);
        if (s->class_names && (strcmp(in->name, "label") == 0 || strcmp(in->name, "class") == 0))
            l->classes = in->tokens;
    }
}

void language_release(struct language *l)
{
    for (int i = 0; i < 2 && !l->borrowed; i++)
        vocabulary_free(l->vocabulary[i]);
    for (int i = 0; i < l->classes && !l->borrowed; i++)
        free(l->class_name[i]);
    if (!l->borrowed)
        free(l->class_name);
    *l = (struct language){0};
}

const struct language_input *language_input(const struct language *l, const char *name)
{
    for (int i = 0; i < l->inputs; i++)
        if (strcmp(l->input[i].name, name) == 0)
            return &l->input[i];
    return NULL;
}

bool language_reads(const struct language *l, const char *name)
{
    const struct language_input *in = language_input(l, name);
    return in && in->read;
}

bool language_spells(const char *task)
{
    return *task && strncmp(task, "adding:", 7) != 0 && strncmp(task, "copy:", 5) != 0;
}

bool language_at_once(const struct language *l) { return !language_reads(l, "target"); }

int language_kind(const struct language *l)
{
    if (!l->vocabulary[0])
        return LANGUAGE_NONE;
    if (language_input(l, "source"))
        return l->vocabulary[1] ? LANGUAGE_TRANSLATIONS : LANGUAGE_NONE;
    if (language_reads(l, "class") && language_reads(l, "next"))
        return LANGUAGE_SPELLING;
    if (language_reads(l, "label"))
        return LANGUAGE_CLASSES;
    return l->running ? LANGUAGE_TEXT : LANGUAGE_LINES;
}

/* --------------------------------------------------------------------- writing */

void language_write(const struct language *l, struct st_writer *w)
{
    for (int i = 0; i < 2 && l->vocabulary[i]; i++) {
        char *packed = vocabulary_pack(l->vocabulary[i]);
        st_add_meta(w, language_key[i], packed);
        free(packed);
    }
    json_t *inputs = json_array(), *classes = json_array();
    for (int i = 0; i < l->inputs; i++) {
        const struct language_input *in = &l->input[i];
        json_array_append_new(inputs, json_pack("{s:s, s:s, s:i, s:i, s:b}", "name", in->name,
                                                "length", in->length, "tokens", in->tokens,
                                                "longest", in->longest, "read", in->read));
    }
    for (int i = 0; i < l->classes; i++) {
        json_t *name = json_string(l->class_name[i]); /* of a file: perhaps no UTF-8 */
        json_array_append_new(classes, name ? name : json_string("?"));
    }
    json_t *all = json_pack("{s:o, s:o, s:b, s:i}", "inputs", inputs, "classes", classes, "running",
                            l->running, "window", l->window);
    char *text = json_dumps(all, JSON_COMPACT);
    st_add_meta(w, "sequences", text);
    free(text);
    json_decref(all);
}

/* --------------------------------------------------------------------- reading */

enum { MOST_TOKENS = 1 << 24, MOST_CLASSES = 1 << 20 };

static bool take_number(const json_t *j, const char *key, int most, int *to)
{
    const json_t *n = json_object_get(j, key);
    const json_int_t v = json_integer_value(n);
    *to = (int)v;
    return json_is_integer(n) && v >= 0 && v <= most;
}

static bool take_name(const json_t *j, const char *key, char to[24])
{
    const char *s = json_string_value(json_object_get(j, key));
    copy_name(to, s);
    return s && strlen(s) < 24;
}

static bool take_inputs(const json_t *j, struct language *l)
{
    if (!json_is_array(j) || json_array_size(j) > SEQUENCE_INPUTS)
        return false;
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *one = json_array_get(j, i);
        struct language_input *in = &l->input[l->inputs++];
        if (!take_name(one, "name", in->name) || !take_name(one, "length", in->length) ||
            !take_number(one, "tokens", MOST_TOKENS, &in->tokens) ||
            !take_number(one, "longest", SEQUENCE_STEPS, &in->longest))
            return false;
        in->read = json_is_true(json_object_get(one, "read"));
    }
    return true;
}

static bool take_classes(const json_t *j, struct language *l)
{
    const size_t n = json_array_size(j);
    if (!json_is_array(j) || n > MOST_CLASSES)
        return false;
    l->class_name = xcalloc(n + 1, sizeof *l->class_name);
    for (size_t i = 0; i < n; i++) {
        if (!json_is_string(json_array_get(j, i)))
            return false;
        l->class_name[l->classes++] = xstrdup(json_string_value(json_array_get(j, i)));
    }
    return true;
}

static bool take_facts(const json_t *j, struct language *l)
{
    l->running = json_is_true(json_object_get(j, "running"));
    return take_inputs(json_object_get(j, "inputs"), l) &&
           take_classes(json_object_get(j, "classes"), l) &&
           take_number(j, "window", SEQUENCE_STEPS, &l->window);
}

/* Which vocabulary spells an input; NULL: none. */
static const struct vocabulary *speller(const struct language *l, const char *name)
{
    const bool target = strcmp(name, "target") == 0;
    const bool next = strcmp(name, "next") == 0 || strcmp(name, "tokens") == 0;
    if (strcmp(name, "source") == 0 || (next && !l->vocabulary[1]))
        return l->vocabulary[0];
    return target || next ? l->vocabulary[1] : NULL;
}

/* A network is built for as many tokens as the facts say, and fed the vocabulary's numbers. */
static bool check_counts(const char *path, const struct language *l, struct err *err)
{
    for (int i = 0; i < l->inputs; i++) {
        const struct vocabulary *v = speller(l, l->input[i].name);
        if (v && vocabulary_count(v) != l->input[i].tokens)
            return err_set(err, "%s: sequences: '%s' has %d tokens, its vocabulary %d", path,
                           l->input[i].name, l->input[i].tokens, vocabulary_count(v));
        const bool is_class =
            strcmp(l->input[i].name, "label") == 0 || strcmp(l->input[i].name, "class") == 0;
        if (is_class && l->vocabulary[0] && l->input[i].tokens != l->classes)
            return err_set(err, "%s: sequences: '%s' has %d values, and %d names", path,
                           l->input[i].name, l->input[i].tokens, l->classes);
    }
    return true;
}

bool language_read(const char *path, const struct st_file *f, struct language *l, struct err *err)
{
    *l = (struct language){0};
    const char *facts = st_meta(f, "sequences");
    if (!facts)
        return true;
    json_t *j = json_loads(facts, JSON_REJECT_DUPLICATES, NULL);
    bool fine = (j && take_facts(j, l)) ||
                err_set(err, "%s: sequences: no facts about inputs of a network", path);
    json_decref(j);
    for (int i = 0; fine && i < 2; i++) {
        const char *packed = st_meta(f, language_key[i]);
        l->vocabulary[i] = packed ? vocabulary_unpack(packed, err) : NULL;
        fine = !packed || l->vocabulary[i] || err_prefix(err, "%s: %s", path, language_key[i]);
    }
    fine = fine && check_counts(path, l, err);
    if (!fine)
        language_release(l);
    return fine;
}
