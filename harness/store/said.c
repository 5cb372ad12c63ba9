/* said.c — what networks said, into the database and out of it; see store.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_inside.h"
#include "train/sample.h"

/* Floats lie in the file as 4 bytes, the lowest first, whatever the machine. */
static unsigned char *bytes_of(const float *x, size_t n)
{
    unsigned char *bytes = xmalloc(4 * n + 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int k = 0; k < 4; k++)
            bytes[4 * i + (size_t)k] = (unsigned char)(bits >> 8 * k);
    }
    return bytes;
}

static float *floats_of(const unsigned char *bytes, size_t n)
{
    float *x = xmalloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++, bytes += 4) {
        const uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                              (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        memcpy(&x[i], &bits, sizeof bits);
    }
    return x;
}

static char *tokens_text(const char *const *token, int count)
{
    json_t *json = sample_tokens_json(token, count);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

bool store_write_said(struct sql *s, int64_t run, const struct run_sample *sample, struct err *err)
{
    const size_t weights =
        sample->attention ? (size_t)sample->outputs * (size_t)sample->sources : 0;
    char *source = tokens_text(sample->source_token, sample->sources);
    char *output = tokens_text(sample->output_token, sample->outputs);
    unsigned char *weight = sample->attention ? bytes_of(sample->attention, weights) : NULL;
    const bool good = sql_run(s, err,
                              "INSERT INTO said(run_id, ix, source, reference, output, "
                              "source_tokens, output_tokens, attention) SELECT ?1, "
                              "(SELECT count(*) FROM said WHERE run_id = ?1), ?, ?, ?, ?, ?, ?",
                              "iTTTttb", run, sample->source, sample->reference, sample->output,
                              source, output, weight, (int)(4 * weights));
    free(source);
    free(output);
    free(weight);
    return good;
}

static const char *column_text(sqlite3_stmt *q, int column)
{
    return (const char *)sqlite3_column_text(q, column);
}

/* The present row; false when its tokens and weights do not fit each other, which the table's own
 * checks keep out of a file that nobody has tampered with. */
static bool read_row(sqlite3_stmt *q, struct run_sample *sample)
{
    json_t *source_json = json_loads(column_text(q, 3), 0, NULL),
           *output_json = json_loads(column_text(q, 4), 0, NULL);
    struct run_sample seen = {
        column_text(q, 0), column_text(q, 1), column_text(q, 2), NULL, NULL, 0, 0, NULL};
    const char **const source = sample_tokens(source_json, &seen.sources);
    const char **const output = sample_tokens(output_json, &seen.outputs);
    const unsigned char *const blob = sqlite3_column_blob(q, 5);
    const size_t weights = (size_t)seen.outputs * (size_t)seen.sources;
    const bool good =
        source && output && (!blob || (size_t)sqlite3_column_bytes(q, 5) == 4 * weights);
    float *weight = good && blob ? floats_of(blob, weights) : NULL;
    seen.source_token = source;
    seen.output_token = output;
    seen.attention = weight;
    *sample = good ? sample_copy(&seen) : (struct run_sample){0};
    free((void *)source);
    free((void *)output);
    free(weight);
    json_decref(source_json);
    json_decref(output_json);
    return good;
}

int store_samples(struct store *s, int64_t id, struct run_sample **samples, struct err *err)
{
    int count = 0, state = 0;
    *samples = NULL;
    sqlite3_stmt *q = sql_query(
        &s->sql, err,
        "SELECT source, reference, output, source_tokens, output_tokens, attention FROM said "
        "WHERE run_id = ? ORDER BY ix LIMIT ?",
        "ii", id, (int64_t)RUN_SAMPLES);
    if (!q)
        return -1;
    *samples = xcalloc(RUN_SAMPLES, sizeof **samples);
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        if (!read_row(q, &(*samples)[count++])) {
            sqlite3_reset(q);
            (void)err_set(err, "database '%s': what run %lld said is damaged, text %d", s->path,
                          (long long)id, count);
            state = -1;
            break;
        }
    }
    if (state == 0)
        return count;
    store_samples_free(*samples, count);
    *samples = NULL;
    return -1;
}

void store_samples_free(struct run_sample *samples, int count)
{
    for (int i = 0; i < count; i++)
        sample_release(&samples[i]);
    free(samples);
}
