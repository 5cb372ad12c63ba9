/* t_samples.c — what a network says, as JSON and back: whole, cut, and forged. */
#include "base/text.h"
#include "said.h"
#include "tap.h"
#include "train/sample.h"

static bool survives(const struct run_sample *s)
{
    struct run_sample back;
    struct err err = {0};
    json_t *json = sample_json(s);
    char *text = json_dumps(json, JSON_ENSURE_ASCII);
    json_t *again = json_loads(text, 0, NULL);
    const bool good = sample_of(again, &back, &err) && said_same(s, &back);
    sample_release(&back);
    json_decref(json);
    json_decref(again);
    free(text);
    return good;
}

static void there_and_back(void)
{
    const struct run_sample plain = said_plain(), alone = said_alone(), hostile = said_hostile(),
                            nothing = {0};
    ok(survives(&plain), "a translation with its weights");
    ok(survives(&alone), "a text alone");
    ok(survives(&hostile), "hostile texts, weights that are none");
    ok(survives(&nothing), "nothing at all");
    struct run_sample copy = sample_copy(&hostile);
    ok(said_same(&hostile, &copy) && copy.source != hostile.source, "a copy");
    sample_release(&copy);
    ok(!copy.source_token && !copy.sources, "is gone when released");
    sample_release(&copy);
}

static void broken_text(void)
{
    struct run_sample back;
    struct err err = {0};
    const char *const token[] = {"\xff", "a\xc3", "\xed\xa0\x80"};
    const struct run_sample s = {
        .output = "ok \xc3\xa9 \xff\xc3 end", .output_token = token, .outputs = 3};
    json_t *json = sample_json(&s);
    ok(sample_of(json, &back, &err), "text that is not UTF-8 travels: %s", err.text);
    is_str(back.output, "ok \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd end", "its bad bytes are replaced");
    is_str(back.output_token[1], "a\xef\xbf\xbd", "in tokens too");
    sample_release(&back);
    json_decref(json);
}

/* Twice as long as anything may be. */
static void too_long(void)
{
    enum { TOKENS = 2 * RUN_SAMPLE_TOKENS, TEXT = 2 * RUN_SAMPLE_TEXT };
    static const char *token[TOKENS];
    static char text[TEXT + 1], word[2 * RUN_SAMPLE_TOKEN + 1];
    float *weight = xcalloc((size_t)TOKENS * TOKENS, sizeof *weight);
    for (int i = 0; i < TEXT; i++)
        text[i] = "\xc3\xa9"[i % 2];
    memset(word, 'w', sizeof word - 1);
    for (int i = 0; i < TOKENS; i++)
        token[i] = i ? "t" : word;
    for (size_t i = 0; i < (size_t)TOKENS * TOKENS; i++)
        weight[i] = (float)i;
    struct run_sample s = {.output = text,
                           .source_token = token,
                           .output_token = token,
                           .sources = TOKENS,
                           .outputs = TOKENS,
                           .attention = weight},
                      back;
    struct err err = {0};
    json_t *json = sample_json(&s);
    ok(sample_of(json, &back, &err), "too long a sample is cut, not refused: %s", err.text);
    ok(back.sources == RUN_SAMPLE_TOKENS && back.outputs == RUN_SAMPLE_TOKENS, "to so many tokens");
    is_near(back.attention[3 * RUN_SAMPLE_TOKENS + 5], 3 * TOKENS + 5, 0,
            "with the weights of those that are left");
    const size_t n = strlen(back.output);
    ok(n <= RUN_SAMPLE_TEXT && n > RUN_SAMPLE_TEXT - 4 && strcmp(back.output + n - 3, "…") == 0,
       "and to so many bytes, at a character's end: %zu", n);
    ok(strlen(back.source_token[0]) == RUN_SAMPLE_TOKEN, "a token, too: %zu bytes",
       strlen(back.source_token[0]));
    sample_release(&back);
    json_decref(json);
    text[RUN_SAMPLE_TEXT] = '\0';
    s = (struct run_sample){.output = text};
    ok(survives(&s), "what just fits is whole");
    free(weight);
}

static void refused(const char *change, const char *why)
{
    const struct run_sample plain = said_plain();
    struct run_sample back;
    struct err err = {0};
    json_t *json = sample_json(&plain), *other = json_loads(change, 0, NULL);
    json_object_update(json, other);
    ok(other && !sample_of(json, &back, &err) && strstr(err.text, why) && !back.source_token,
       "%.60s: %s", change, err.text);
    json_decref(json);
    json_decref(other);
}

static void forged(void)
{
    struct text t = {0};
    refused("{\"source\": 7}", "'source' is no text");
    refused("{\"output\": null}", "'output' is no text");
    refused("{\"reference\": [\"x\"]}", "'reference' is no text");
    refused("{\"source_tokens\": {}}", "tokens are no lists");
    refused("{\"source_tokens\": [1, 2, 3, 4]}", "tokens are no lists");
    refused("{\"output_tokens\": \"five\"}", "tokens are no lists");
    refused("{\"source_tokens\": [\"one\"]}", "5 rows of 1 numbers");
    refused("{\"output_tokens\": []}", "0 rows of 4 numbers");
    refused("{\"attention\": 1}", "'attention'");
    refused("{\"attention\": [1, 2, 3, 4, 5]}", "'attention'");
    refused("{\"attention\": [[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3]]}", "'attention'");
    refused("{\"attention\": [[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3,\"4\"]]}",
            "'attention'");
    text_add(&t, "{\"source_tokens\": [\"\"");
    for (int i = 0; i < RUN_SAMPLE_TOKENS; i++)
        text_add(&t, ",\"\"");
    text_add(&t, "]}");
    refused(text_str(&t), "tokens are no lists of at most 512");
    text_release(&t);
    text_add(&t, "{\"output\": \"%*s\"}", RUN_SAMPLE_TEXT + 1, "");
    refused(text_str(&t), "'output' is no text of at most 65536 bytes");
    text_release(&t);
    text_add(&t, "{\"source_tokens\": [\"%*s\", \"\", \"\", \"\"]}", RUN_SAMPLE_TOKEN + 1, "");
    refused(text_str(&t), "of 256 bytes");
    text_release(&t);
    struct run_sample back;
    struct err err = {0};
    ok(!sample_of(NULL, &back, &err), "no JSON at all: %s", err.text);
}

int main(void)
{
    there_and_back();
    broken_text();
    too_long();
    forged();
    return done();
}
