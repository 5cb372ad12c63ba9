/* translate.c — see translate.h. */
#include "train/translate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/search.h"

int translate_most(const struct language *l, int source_tokens)
{
    const struct language_input *next = language_input(l, "next");
    const int longest = next && next->longest > 1 ? next->longest - 1 : 1; /* less </s> */
    const int likely = source_tokens + source_tokens / 2 + 10;
    return likely < longest ? likely : longest;
}

/* A wish shortens translations only: beyond what it was trained on a network has nothing to say. */
static int most_of(const struct translator *t, int source_tokens)
{
    const int most = translate_most(t->language, source_tokens);
    return t->most > 0 && t->most < most ? t->most : most;
}

/* -------------------------------------------------------------------- asking */

struct asking {
    const struct translator *t;
    struct prefix_net *net;
    struct err *err;
    bool ended; /* by the look */
};

static const float *scores(void *arg, const int32_t *prefix, size_t stride, int n, int length,
                           const int *from)
{
    struct asking *a = arg;
    a->ended = a->t->look && !a->t->look(a->t->arg);
    return a->ended ? NULL : prefix_net_scores(a->net, prefix, stride, n, length, from, a->err);
}

static struct scorer scorer_of(struct asking *a)
{
    return (struct scorer){.tokens = prefix_net_tokens(a->net),
                           .end = TOKEN_END,
                           .never = NEVER_PAD_OR_BEGIN,
                           .scores = scores,
                           .arg = a};
}

static struct prefix_wish wish_of(const struct translator *t)
{
    return (struct prefix_wish){.plugin = t->plugin,
                                .variant = t->variant,
                                .language = t->language,
                                .share = t->share,
                                .lend = t->lend,
                                .threads = t->threads};
}

static struct prefix_net *net_for(const struct translator *t, int batch, int source_steps, int most,
                                  struct err *err)
{
    struct prefix_wish w = wish_of(t);
    w.batch = batch;
    w.source_steps = source_steps;
    w.most = most + 1; /* <s> */
    return prefix_net_new(&w, err);
}

static int32_t *copy_tokens(const int32_t *token, int n)
{
    int32_t *copy = xmalloc(((size_t)n + 1) * sizeof *copy);
    memcpy(copy, token, (size_t)n * sizeof *copy);
    return copy;
}

/* --------------------------------------------------------------------- greedily */

/* Some sources, as many as a batch holds: numbers of the caller's. */
struct batch {
    int n;
    int *number;
    const struct utterance *source;
    struct utterance *said;
    const int32_t **token; /* [n] */
    int *steps, *most, *length;
};

/* A token after the other, each behind all that were said. */
static bool translate_in_turn(const struct translator *t, const struct batch *b, int longest,
                              int most, bool *ended, struct err *err)
{
    struct asking a = {.t = t, .net = net_for(t, b->n, longest, most, err), .err = err};
    if (!a.net)
        return false;
    prefix_net_read(a.net, b->n, b->token, b->steps);
    const size_t stride = (size_t)most + 1;
    int32_t *said = xmalloc((size_t)b->n * stride * sizeof *said);
    const struct scorer s = scorer_of(&a);
    const bool fine = search_greedy(&s, b->n, TOKEN_BEGIN, b->most, stride, said, b->length);
    for (int i = 0; i < b->n && fine; i++)
        b->said[b->number[i]] =
            (struct utterance){.token = copy_tokens(said + (size_t)i * stride + 1, b->length[i]),
                               .tokens = b->length[i]};
    free(said);
    prefix_net_free(a.net);
    *ended = a.ended;
    return fine || a.ended;
}

/* Sources, their lengths, and nothing of what is to be said. */
static bool fill_sources(struct program *p, const struct batch *b, int longest, struct err *err)
{
    const struct tensor *in;
    for (int i = 0; (in = program_tensor(p, TENSOR_INPUT, i)); i++) {
        const size_t each = in->elements / (size_t)b->n;
        const bool is_source = strcmp(in->name, "source") == 0,
                   is_length = strcmp(in->name, "source_length") == 0;
        int32_t *to = in->data;
        if (!is_source && !is_length && strcmp(in->name, "next") != 0)
            return err_set(err, "the network's input '%s' is nothing that a source tells",
                           in->name);
        if (is_source && each != (size_t)longest)
            return err_set(err, "the network wants %zu steps of 'source', whatever it is told: %d",
                           each, longest);
        for (int r = 0; r < b->n; r++, to += each)
            for (size_t k = 0; k < each; k++)
                to[k] = is_length                              ? b->steps[r]
                        : is_source && k < (size_t)b->steps[r] ? b->token[r][k]
                        : is_source                            ? TOKEN_PAD
                                                               : -1;
    }
    return true;
}

/* The best token of each step, up to the first end. */
static struct utterance best_of(const float *scores, int tokens, int most)
{
    struct utterance u = {.token = xmalloc(((size_t)most + 1) * sizeof *u.token)};
    for (; u.tokens < most; u.tokens++, scores += tokens) {
        int best = TOKEN_END;
        for (int k = 0; k < tokens; k++)
            if (!(k < TOKENS_SPECIAL && NEVER_PAD_OR_BEGIN >> k & 1) && scores[k] > scores[best])
                best = k;
        if (best == TOKEN_END)
            break;
        u.token[u.tokens] = best;
    }
    return u;
}

/* All tokens of a source by one run of a network that does not hear what it says. */
static bool translate_at_once(const struct translator *t, const struct batch *b, int longest,
                              struct err *err)
{
    const struct language_input *next = language_input(t->language, "next");
    const struct prefix_wish w = wish_of(t);
    const struct program_options o = {
        .threads = t->threads, .no_lanes = true, .share = t->share, .lend = t->lend};
    struct nn_graph *g = prefix_net_graph(&w, b->n, longest, next ? next->longest : 1);
    struct program *p =
        graph_error(g) ? (err_set(err, "%s", graph_error(g)), NULL) : program_new(g, &o, err);
    const struct tensor *out = p ? program_tensor(p, TENSOR_OUTPUT, 0) : NULL;
    bool fine = p && fill_sources(p, b, longest, err);
    if (fine && !(next && out && out->shape.dim[1] == next->longest &&
                  out->shape.dim[2] == next->tokens && !out->shape.dim[3]))
        fine = err_set(err, "the network does not score %d tokens at each of %d steps",
                       next ? next->tokens : 0, next ? next->longest : 0);
    if (fine) {
        program_keep_output(p);
        (void)program_run(p);
        out = program_tensor(p, TENSOR_OUTPUT, 0);
        fine = prefix_net_are_finite(out->data, out->elements) ||
               err_set(err, "a score is not finite");
    }
    for (int i = 0; fine && i < b->n; i++) {
        const size_t row = (size_t)next->longest * (size_t)next->tokens;
        b->said[b->number[i]] =
            best_of((const float *)out->data + (size_t)i * row, next->tokens, b->most[i]);
    }
    program_free(p);
    graph_free(g);
    return fine;
}

static bool translate_batch(const struct translator *t, const struct batch *b, bool *ended,
                            struct err *err)
{
    int longest = 1, most = 1;
    for (int i = 0; i < b->n; i++) {
        const struct utterance *s = &b->source[b->number[i]];
        b->token[i] = s->token;
        b->steps[i] = s->tokens;
        b->most[i] = most_of(t, s->tokens);
        longest = s->tokens > longest ? s->tokens : longest;
        most = b->most[i] > most ? b->most[i] : most;
    }
    if (!language_at_once(t->language))
        return translate_in_turn(t, b, longest, most, ended, err);
    *ended = t->look && !t->look(t->arg);
    return *ended || translate_at_once(t, b, longest, err);
}

struct sized {
    int tokens, number;
};

static int by_size(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    return x->tokens != y->tokens ? (x->tokens > y->tokens) - (x->tokens < y->tokens)
                                  : (x->number > y->number) - (x->number < y->number);
}

static int *sorted_numbers(const struct utterance *source, int n)
{
    struct sized *s = xmalloc(((size_t)n + 1) * sizeof *s);
    int *number = xmalloc(((size_t)n + 1) * sizeof *number);
    for (int i = 0; i < n; i++)
        s[i] = (struct sized){source[i].tokens, i};
    qsort(s, (size_t)n, sizeof *s, by_size);
    for (int i = 0; i < n; i++)
        number[i] = s[i].number;
    free(s);
    return number;
}

bool translate_greedy(const struct translator *t, const struct utterance *source, int n,
                      struct utterance *said, bool *done, struct err *err)
{
    const size_t rows = (size_t)t->batch;
    int *number = sorted_numbers(source, n);
    struct batch b = {.source = source,
                      .said = said,
                      .token = xmalloc(rows * sizeof *b.token),
                      .steps = xmalloc(rows * sizeof(int)),
                      .most = xmalloc(rows * sizeof(int)),
                      .length = xmalloc(rows * sizeof(int))};
    bool fine = true, ended = false;
    memset(said, 0, (size_t)n * sizeof *said);
    for (int i = 0; i < n && fine && !ended; i += b.n) {
        b.number = number + i;
        b.n = n - i < t->batch ? n - i : t->batch;
        fine = translate_batch(t, &b, &ended, err);
    }
    for (int i = 0; i < n && !fine; i++)
        free(said[i].token);
    free(number);
    free(b.token);
    free(b.steps);
    free(b.most);
    free(b.length);
    *done = !ended;
    return fine;
}

/* ---------------------------------------------------------------------- by beam */

bool translate_beam(const struct translator *t, const struct utterance *source, int beam,
                    struct utterance *said, int *n, struct err *err)
{
    const int most = most_of(t, source->tokens);
    const size_t stride = (size_t)most + 1, rows = (size_t)beam;
    struct asking a = {.t = t, .net = net_for(t, beam, source->tokens, most, err), .err = err};
    if (!a.net)
        return false;
    const int32_t **token = xmalloc(rows * sizeof *token);
    int *steps = xmalloc(rows * sizeof *steps), *length = xmalloc(rows * sizeof *length);
    int32_t *tokens = xmalloc(rows * stride * sizeof *tokens);
    double *score = xmalloc(rows * sizeof *score);
    for (int i = 0; i < beam; i++) {
        token[i] = source->token;
        steps[i] = source->tokens;
    }
    prefix_net_read(a.net, beam, token, steps);
    const struct scorer s = scorer_of(&a);
    *n = search_beam(&s, beam, TOKEN_BEGIN, most, stride, tokens, length, score);
    for (int i = 0; i < *n; i++)
        said[i] = (struct utterance){copy_tokens(tokens + (size_t)i * stride, length[i]), length[i],
                                     score[i]};
    const bool fine = *n >= 0;
    free(token);
    free(steps);
    free(length);
    free(tokens);
    free(score);
    prefix_net_free(a.net);
    return fine || (a.ended ? err_status(err, EXIT_INTERRUPTED, "interrupted") : false);
}

/* ------------------------------------------------------------------- attention */

/* Its inputs: the source, and what was said so far at each step. */
static void fill_whole(struct program *p, const struct utterance *source,
                       const struct utterance *said)
{
    const struct tensor *in;
    for (int i = 0; (in = program_tensor(p, TENSOR_INPUT, i)); i++) {
        int32_t *to = in->data;
        if (strcmp(in->name, "source") == 0)
            memcpy(to, source->token, in->elements * sizeof *to);
        else if (strcmp(in->name, "source_length") == 0)
            *to = source->tokens;
        else if (strcmp(in->name, "target_length") == 0)
            *to = said->tokens;
        else
            for (size_t k = 0; k < in->elements; k++)
                to[k] = strcmp(in->name, "next") == 0 ? -1 : k ? said->token[k - 1] : TOKEN_BEGIN;
    }
}

float *translate_attention(const struct translator *t, const struct utterance *source,
                           const struct utterance *said)
{
    const struct prefix_wish w = {
        .plugin = t->plugin, .variant = t->variant, .language = t->language};
    const struct program_options o = {
        .threads = t->threads, .no_lanes = true, .share = t->share, .show = true};
    if (source->tokens == 0 || said->tokens == 0)
        return NULL;
    struct nn_graph *g = prefix_net_graph(&w, 1, source->tokens, said->tokens);
    struct err err;
    struct program *p = graph_error(g) ? NULL : program_new(g, &o, &err);
    const struct tensor *shown = p ? program_find(p, TENSOR_SHOWN, "attention") : NULL;
    const size_t all = (size_t)said->tokens * (size_t)source->tokens;
    float *copy = NULL;
    if (shown && shown->elements == all) {
        fill_whole(p, source, said);
        (void)program_run(p);
        copy = xmalloc(all * sizeof *copy);
        memcpy(copy, shown->data, all * sizeof *copy);
    }
    program_free(p);
    graph_free(g);
    return copy;
}
