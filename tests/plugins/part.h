/* part.h — a whole plugin, of which each file here spoils one thing. Define NAME, and
 * what differs, before including: BODY (first in build), BEND (a function of the scores), HEADER, …
 */
#include <plugin.h>

#ifndef BODY
#define BODY
#endif
#ifndef HEADER
#define HEADER NN_PLUGIN_HEADER,
#endif
#ifndef CITATION
#define CITATION "nobody: nothing. Nowhere, 2000"
#endif
#ifndef RECIPE
#define RECIPE
#endif
#ifndef PUBLISHED
#define PUBLISHED                    \
    {                                \
        .params = 7850, .macs = 7840 \
    }
#endif
#ifndef IN_NOTE
#define IN_NOTE "plain"
#endif

static nn_value softmax_regression(struct nn_graph *g, nn_value (*on_scores)(nn_value x))
{
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(784));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_row(g, "output");
    nn_value y = nn_linear(x, 10);
    y = on_scores ? on_scores(y) : y;
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
    return y;
}

#ifndef BEND
#define BEND 0
#endif

__attribute__((used)) static void build(struct nn_graph *g, const void *config)
{
    (void)config;
    BODY softmax_regression(g, BEND);
}

__attribute__((used)) static const struct nn_variant variants[] = {
    {.name = "plain", .about = "softmax regression", .published = PUBLISHED},
    {0},
};
__attribute__((used)) static const struct nn_recipe recipe = {
    NN_RECIPE_HEADER, .batch = 32, .epochs = 1, .optimizer = NN_SGD, .rate = 0.1f, RECIPE};

#ifndef NO_SYMBOL
const struct nn_plugin nn_plugin = {
    HEADER.year = 2000,   .name = NAME,         .title = NAME,
    .citation = CITATION, .about = "for tests", .dataset = "images",
    .variants = variants, .recipe = &recipe,    .build = build,
};
#endif

#ifndef NO_NOTE
NN_PLUGIN_NOTE(NAME, 2000, NAME, IN_NOTE);
#endif
