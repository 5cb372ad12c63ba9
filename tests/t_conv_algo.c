/* t_conv_algo.c — the algorithm of convolutions in a program: what is forced is taken where it
 * applies and told by program_explain(); training a net of 3 x 3 layers by minimal filtering gives
 * the losses of the direct algorithm, but for rounding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/exec.h"
#include "kernels/conv.h"
#include "tests/random_graph.h"
#include "tests/tap.h"

enum { STEPS = 10, BATCH = 16 };

/* As VGG begins: two widths, a pool, and one layer that no minimal filtering applies to. */
static struct nn_graph *net(void)
{
    struct nn_graph *g = graph_new(BATCH);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(3, 14, 13));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    /* clang-format off */
    nn_row(g, "C1"); x = nn_relu(nn_conv2d(x, 20, .kernel = 3, .pad = 1));
    nn_row(g, "C2"); x = nn_relu(nn_add(x, nn_conv2d(x, 20, .kernel = 3, .pad = 1)));
    nn_row(g, "S3"); x = nn_max_pool(x, 2);
    nn_row(g, "C4"); x = nn_relu(nn_conv2d(x, 33, .kernel = 3));
    nn_row(g, "C5"); x = nn_relu(nn_conv2d(x, 24, .kernel = 3, .pad = 1, .stride = 2));
    nn_row(g, "F6"); x = nn_linear(nn_flatten(x), RANDOM_CLASSES);
    /* clang-format on */
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
    return g;
}

static float descend(void *arg, const struct crew *crew, struct program *p)
{
    size_t count, from, to;
    float *w = program_weights(p, &count), *g = program_grads(p, &count), poison = 0.0f;
    (void)arg;
    crew_share(crew, count, 16, &from, &to);
    for (size_t i = from; i < to; i++) {
        w[i] -= 0.05f * g[i];
        poison += 0.0f * g[i];
    }
    return poison;
}

/* Losses of ten steps, and how many ops said `how` when asked. */
static int train(int algo, const char *how, float loss[STEPS])
{
    struct err err = {0};
    struct nn_graph *g = net();
    const struct program_options o = {
        .threads = 2, .train = true, .no_lanes = true, .seed = 3, .conv_algo = algo};
    struct program *p = program_new(g, &o, &err);
    ok(p != NULL, "%s: a program%s", kn_conv_algos[algo], err.text);
    if (!p)
        exit(1);
    random_inputs(p, 3);
    program_set_hooks(p, &(struct program_hooks){.update = descend});
    for (int i = 0; i < STEPS; i++) {
        program_run(p);
        loss[i] = program_loss(p);
    }
    char *const text = program_explain(p);
    int ops = 0;
    for (const char *at = text; (at = strstr(at, how)); at++)
        ops++;
    free(text);
    program_free(p);
    graph_free(g);
    return ops;
}

int main(void)
{
    struct err err;
    float direct[STEPS], loss[STEPS];
    if (!kn_init(NULL, &err))
        return 1;
    is_int(train(CONV_DIRECT, "winograd", direct), 0, "direct: no op says winograd");
    ok(direct[STEPS - 1] < 0.9f * direct[0], "it learns: %g to %g", (double)direct[0],
       (double)direct[STEPS - 1]);
    static const struct {
        int algo;
        const char *how;
    } ways[] = {{CONV_WINOGRAD_2, "winograd 2x2"}, {CONV_WINOGRAD_4, "winograd 4x4"}};
    for (int i = 0; i < 2; i++) {
        double worst = 0;
        /* three layers forward and backward to the weights, two to the data: C1's is not wanted */
        is_int(train(ways[i].algo, ways[i].how, loss), 8, "%s: so many ops", ways[i].how);
        for (int s = 0; s < STEPS; s++)
            worst = fmax(worst, fabs((double)loss[s] / (double)direct[s] - 1));
        ok(worst < 1e-4, "%s: ten losses within 1e-4 of direct: %.2g", ways[i].how, worst);
        ok(memcmp(loss, direct, sizeof loss) != 0, "%s: and not its bits", ways[i].how);
    }
    return done();
}
