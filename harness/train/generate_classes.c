/* generate_classes.c — which class is a text of? All of them are told, the most probable first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/generate_inside.h"
#include "train/loop.h"
#include "train/search.h"

/* The network for a text of n tokens, its inputs filled; NULL and *err. */
static struct program *classifier(struct talk *t, struct nn_graph *g, const int32_t *token, int n)
{
    const struct program_options o = {
        .threads = t->spec.threads, .no_lanes = true, .share = t->program, .part = PROGRAM_LAST};
    if (graph_error(g))
        return err_set(t->err, "%s", graph_error(g)), NULL;
    struct program *p = program_new(g, &o, t->err);
    const struct tensor *in;
    for (int i = 0; p && (in = program_tensor(p, TENSOR_INPUT, i)); i++) {
        int32_t *to = in->data;
        if (strcmp(in->name, "tokens") == 0 && in->elements == (size_t)n)
            memcpy(to, token, (size_t)n * sizeof *to);
        else if (strcmp(in->name, "length") == 0 && in->elements == 1)
            *to = n;
        else if (strcmp(in->name, "label") != 0) {
            err_set(t->err, "the network's input '%s' is not a text of %d tokens", in->name, n);
            program_free(p);
            p = NULL;
        }
    }
    return p;
}

static int more_probable(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const double p = json_real_value(json_object_get(x, "probability")),
                 q = json_real_value(json_object_get(y, "probability"));
    return (p < q) - (p > q);
}

static json_t *classes_json(const struct language *l, const float *scores)
{
    json_t **one = xmalloc((size_t)l->classes * sizeof(json_t *)), *all = json_array();
    const double sum = search_log_sum(scores, l->classes);
    for (int k = 0; k < l->classes; k++)
        one[k] = json_pack("{s:s, s:f}", "name", l->class_name[k], "probability",
                           exp((double)scores[k] - sum));
    qsort(one, (size_t)l->classes, sizeof(json_t *), more_probable);
    for (int k = 0; k < l->classes; k++)
        json_array_append_new(all, one[k]);
    free(one);
    return all;
}

static bool classify_tokens(struct talk *t, size_t i, const int32_t *token, int n)
{
    const struct language *l = talk_language(t);
    struct nn_graph *g = prefix_net_graph(&t->wish, 1, 0, n);
    struct program *p = classifier(t, g, token, n);
    const struct tensor *out = p ? program_tensor(p, TENSOR_OUTPUT, 0) : NULL;
    bool fine = out && out->elements >= (size_t)l->classes;
    if (out && !fine)
        err_set(t->err, "the network scores %zu classes, expected %d", out->elements, l->classes);
    if (fine) {
        (void)program_run(p);
        t->report(json_pack("{s:{s:s, s:o}}", "said", "prompt", talk_prompt(t, i), "classes",
                            classes_json(l, out->data)));
    }
    program_free(p);
    graph_free(g);
    return fine;
}

/* An empty line among others is of no class, and no reason to leave out those behind it. */
static bool classify_one(struct talk *t, size_t i)
{
    int n;
    char place[48];
    int32_t *token = talk_encode(t, talk_language(t)->vocabulary[0], talk_prompt(t, i), &n);
    bool fine = true;
    if (n == 0 && t->spec.line > 0)
        talk_remark(t, "%s: no characters, left out", talk_place(t, i, place));
    else if (n == 0 || n > TALK_READ)
        fine = err_status(t->err, EXIT_USAGE, "%s: found %d tokens, expected 1 to %d",
                          talk_place(t, i, place), n, TALK_READ);
    else
        fine = classify_tokens(t, i, token, n);
    free(token);
    return fine;
}

/* Classes are neither drawn nor searched for: all of them are told. */
static bool check_classifying(const struct talk *t)
{
    const struct generate_spec *s = &t->spec;
    const struct {
        const char *option;
        bool given;
    } idle[] = {{"--length", s->length >= 0},
                {"--count", s->count >= 0},
                {"--temperature", s->temperature >= 0},
                {"--top-k", s->top >= 0},
                {"--beam", s->beam >= 0}};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (idle[i].given)
            return err_status(t->err, EXIT_USAGE,
                              "%s: %s:%s tells the class of a text, expected a network that says "
                              "text",
                              idle[i].option, s->plugin, s->variant);
    return true;
}

bool answer_classes(struct talk *t)
{
    if (!check_classifying(t))
        return false;
    if (talk_prompts(t) == 0)
        return err_status(t->err, EXIT_USAGE,
                          "%s:%s tells what a text is: expected --prompt, or a text a line",
                          t->spec.plugin, t->spec.variant);
    bool fine = true;
    for (size_t i = 0; i < talk_prompts(t) && fine && !loop_stop; i++)
        fine = classify_one(t, i);
    return fine;
}
