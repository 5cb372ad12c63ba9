/* speaker.c — see speaker.h. */
#include "train/speaker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct speaker {
    struct prefix_net *net;
    bool has_state;
    int32_t *heard; /* [most]: the last tokens; with a state none */
    int count, most;
};

/* As many as the network reads at a time when nobody tells it how many there are. */
static int steps_wanted(const struct prefix_wish *w)
{
    struct nn_graph *g = prefix_net_graph(w, 1, 0, w->language->window);
    const struct nn_shape tokens = graph_input(g, "tokens");
    graph_free(g);
    return tokens.dim[0] > 1 ? tokens.dim[0] : 1;
}

struct speaker *speaker_new(const struct prefix_wish *wish, struct err *err)
{
    struct prefix_wish w = *wish;
    w.batch = w.most = 1;
    w.source_steps = 0;
    struct prefix_net *net = prefix_net_new(&w, err);
    const bool has_state = net && prefix_net_has_state(net);
    if (net && !has_state) {
        prefix_net_free(net);
        w.most = wish->most > 0 ? wish->most : steps_wanted(&w);
        net = prefix_net_new(&w, err);
    }
    if (!net)
        return NULL;
    struct speaker *s = xmalloc(sizeof *s);
    *s = (struct speaker){.net = net,
                          .has_state = has_state,
                          .heard = xcalloc((size_t)w.most, sizeof *s->heard),
                          .most = w.most};
    return s;
}

void speaker_free(struct speaker *s)
{
    if (!s)
        return;
    prefix_net_free(s->net);
    free(s->heard);
    free(s);
}

int speaker_tokens(const struct speaker *s) { return prefix_net_tokens(s->net); }

void speaker_begin(struct speaker *s)
{
    s->count = 0;
    if (s->has_state)
        prefix_net_clear(s->net);
}

const float *speaker_hear(struct speaker *s, int32_t token, struct err *err)
{
    if (s->has_state)
        s->count = 0;
    if (s->count == s->most)
        memmove(s->heard, s->heard + 1, (size_t)--s->count * sizeof *s->heard);
    s->heard[s->count++] = token;
    return prefix_net_scores(s->net, s->heard, (size_t)s->most, 1, s->count, NULL, err);
}

int speaker_spell(const struct prefix_wish *wish, struct sampler *sampler, int most, int32_t *token,
                  struct err *err)
{
    struct prefix_wish w = *wish;
    w.batch = 1;
    w.source_steps = 0;
    w.spells = true;
    w.most = most + 1;
    struct prefix_net *net = prefix_net_new(&w, err);
    int n = 0;
    memset(token, 0, ((size_t)most + 1) * sizeof *token);
    while (net && n < most) {
        const float *scores = prefix_net_scores(net, token, (size_t)most + 1, 1, n, NULL, err);
        const int32_t next = scores ? sampler_draw(sampler, scores) : -1;
        if (next < 0 || next == TOKEN_END) {
            n = scores ? n : -1;
            break;
        }
        token[n++] = next;
    }
    n = net ? n : -1;
    prefix_net_free(net);
    return n;
}
