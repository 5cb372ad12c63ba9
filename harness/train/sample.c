/* sample.c — see sample.h. */
#include "train/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "datasets/sequences/vocabulary.h"

static const char unknown[] = "\xef\xbf\xbd", ellipsis[] = "…";

/* ----------------------------------------------------------------------- pack */

/* At most `most` bytes of s, the ellipsis of what was cut included. */
static json_t *text_json(const char *s, size_t most)
{
    struct text t = {0};
    const size_t n = s ? strlen(s) : 0;
    size_t whole = 0; /* so much of t leaves room for the ellipsis */
    for (size_t i = 0; i < n && t.length <= most;) {
        const size_t length = text_utf8_length(s + i, n - i, NULL);
        whole = t.length + sizeof ellipsis - 1 <= most ? t.length : whole;
        text_add_bytes(&t, length ? s + i : unknown, length ? length : sizeof unknown - 1);
        i += length ? length : 1;
    }
    if (t.length > most) {
        t.length = whole;
        text_add(&t, "%s", ellipsis);
    }
    json_t *json = json_stringn(text_str(&t), t.length);
    text_release(&t);
    return json;
}

static int cut(int tokens) { return tokens < RUN_SAMPLE_TOKENS ? tokens : RUN_SAMPLE_TOKENS; }

json_t *sample_tokens_json(const char *const *token, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < cut(count); i++)
        json_array_append_new(array, text_json(token[i], RUN_SAMPLE_TOKEN));
    return array;
}

static json_t *attention_json(const struct run_sample *s)
{
    if (!s->attention)
        return json_null();
    json_t *rows = json_array();
    for (int i = 0; i < cut(s->outputs); i++) {
        const float *const weight = s->attention + (size_t)i * (size_t)s->sources;
        json_t *row = json_array();
        for (int k = 0; k < cut(s->sources); k++)
            json_array_append_new(row,
                                  isfinite(weight[k]) ? json_real((double)weight[k]) : json_null());
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *sample_json(const struct run_sample *s)
{
    json_t *json = json_object();
    json_object_set_new(json, "source", text_json(s->source, RUN_SAMPLE_TEXT));
    json_object_set_new(json, "reference", text_json(s->reference, RUN_SAMPLE_TEXT));
    json_object_set_new(json, "output", text_json(s->output, RUN_SAMPLE_TEXT));
    json_object_set_new(json, "source_tokens", sample_tokens_json(s->source_token, s->sources));
    json_object_set_new(json, "output_tokens", sample_tokens_json(s->output_token, s->outputs));
    json_object_set_new(json, "attention", attention_json(s));
    return json;
}

/* --------------------------------------------------------------------- copies */

/* Moves *at behind the copy. */
static const char *put(char **at, const char *s)
{
    const size_t n = s ? strlen(s) : 0;
    char *const copy = *at;
    memcpy(copy, s ? s : "", n + 1);
    *at += n + 1;
    return copy;
}

static size_t room(const char *s) { return s ? strlen(s) + 1 : 1; }

/* The block: pointers to the tokens, with which it begins; weights; texts. */
struct run_sample sample_copy(const struct run_sample *s)
{
    const size_t sources = (size_t)s->sources, outputs = (size_t)s->outputs;
    const size_t weights = s->attention ? sources * outputs : 0;
    size_t bytes = room(s->source) + room(s->reference) + room(s->output);
    for (size_t i = 0; i < sources; i++)
        bytes += room(s->source_token[i]);
    for (size_t i = 0; i < outputs; i++)
        bytes += room(s->output_token[i]);
    const char **token =
        xmalloc((sources + outputs) * sizeof *token + weights * sizeof *s->attention + bytes);
    float *weight = (void *)(token + sources + outputs);
    char *at = (char *)(weight + weights);
    struct run_sample copy = {.source_token = token,
                              .output_token = token + sources,
                              .sources = s->sources,
                              .outputs = s->outputs,
                              .attention = s->attention ? weight : NULL};
    if (weights)
        memcpy(weight, s->attention, weights * sizeof *weight);
    copy.source = put(&at, s->source);
    copy.reference = put(&at, s->reference);
    copy.output = put(&at, s->output);
    for (size_t i = 0; i < sources + outputs; i++)
        token[i] = put(&at, i < sources ? s->source_token[i] : s->output_token[i - sources]);
    return copy;
}

void sample_release(struct run_sample *s)
{
    free((void *)s->source_token);
    *s = (struct run_sample){0};
}

/* --------------------------------------------------------------------- unpack */

const char **sample_tokens(const json_t *json, int *count)
{
    const size_t n = json_array_size(json);
    if (!json_is_array(json) || n > RUN_SAMPLE_TOKENS)
        return NULL;
    const char **token = xcalloc(n + 1, sizeof *token);
    for (size_t i = 0; i < n; i++) {
        const json_t *const j = json_array_get(json, i);
        token[i] = json_string_length(j) <= RUN_SAMPLE_TOKEN ? json_string_value(j) : NULL;
        if (!token[i]) {
            free((void *)token);
            return NULL;
        }
    }
    *count = (int)n;
    return token;
}

static bool take_text(const json_t *json, const char *name, const char **text, struct err *err)
{
    const json_t *const j = json_object_get(json, name);
    *text = json_string_value(j);
    if (*text && json_string_length(j) <= RUN_SAMPLE_TEXT)
        return true;
    return err_set(err, "sample: '%s' is no text of at most %d bytes", name, RUN_SAMPLE_TEXT);
}

static bool take_row(const json_t *row, int sources, float *weight)
{
    if (!json_is_array(row) || json_array_size(row) != (size_t)sources)
        return false;
    for (int k = 0; k < sources; k++) {
        const json_t *const j = json_array_get(row, (size_t)k);
        if (!json_is_number(j) && !json_is_null(j))
            return false;
        weight[k] = json_is_null(j) ? NAN : (float)json_number_value(j);
    }
    return true;
}

static bool take_attention(const json_t *json, struct run_sample *s, struct err *err)
{
    const json_t *const rows = json_object_get(json, "attention");
    if (json_is_null(rows))
        return true;
    bool fine = json_is_array(rows) && json_array_size(rows) == (size_t)s->outputs;
    float *weight = xcalloc((size_t)s->outputs * (size_t)s->sources + 1, sizeof *weight);
    s->attention = weight;
    for (int i = 0; fine && i < s->outputs; i++)
        fine = take_row(json_array_get(rows, (size_t)i), s->sources,
                        weight + (size_t)i * (size_t)s->sources);
    return fine || err_set(err, "sample: 'attention' is neither null nor %d rows of %d numbers",
                           s->outputs, s->sources);
}

bool sample_of(const json_t *json, struct run_sample *s, struct err *err)
{
    struct run_sample seen = {0}; /* its texts are the JSON's, its three arrays ours */
    const char **const source =
        sample_tokens(json_object_get(json, "source_tokens"), &seen.sources);
    const char **const output =
        sample_tokens(json_object_get(json, "output_tokens"), &seen.outputs);
    seen.source_token = source;
    seen.output_token = output;
    const bool tokens =
        (source && output) || err_set(err,
                                      "sample: tokens are no lists of at most %d texts of %d "
                                      "bytes",
                                      RUN_SAMPLE_TOKENS, RUN_SAMPLE_TOKEN);
    const bool fine = tokens && take_text(json, "source", &seen.source, err) &&
                      take_text(json, "reference", &seen.reference, err) &&
                      take_text(json, "output", &seen.output, err) &&
                      take_attention(json, &seen, err);
    *s = fine ? sample_copy(&seen) : (struct run_sample){0};
    free((void *)source);
    free((void *)output);
    free((void *)seen.attention);
    return fine;
}
