/* The paper-exact ImageNet networks, too large to train here: forward once on one picture, as a
 * run would compute it (minimal filtering, lanes, fused) and plainly. Both must agree, which holds
 * every layer's shapes, layouts and algorithms at full size to one another. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/program.h"
#include "kernels/conv.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "train/plugin_load.h"

/* What minimal filtering may add up to through a network: conv_winograd_f32.c bounds one layer. */
static const double tolerance = 2e-3;

static const struct {
    const char *plugin, *variant;
} nets[] = {
    {"alexnet", "paper"},   {"alexnet", "torchvision"}, {"vgg", "11"},
    {"googlenet", "paper"}, {"googlenet", "bn"},        {"resnet", "18"},
    {"resnet", "50"},       {"resnet", "50-v1"},        {"resnet", "plain-34"},
    {"efficientnet", "b0"}, {"efficientnet", "b1"},
};

static void fill(struct program *p)
{
    struct rng r = rng_make(5, rng_stream("picture"));
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image");
    float *x = xmalloc(image->elements * sizeof *x);
    for (size_t i = 0; i < image->elements; i++)
        x[i] = (float)rng_normal(&r);
    program_write(p, image, x);
    free(x);
    const int32_t label = 123;
    program_write(p, program_find(p, TENSOR_INPUT, "label"), &label);
}

/* The scores; NULL if it does not run. */
static float *scores(struct nn_graph *g, const struct program_options *o, int *count)
{
    struct err err = {0};
    struct program *p = program_new(g, o, &err);
    if (!p) {
        printf("# %s\n", err.text);
        return NULL;
    }
    program_keep_output(p);
    fill(p);
    const bool fine = program_run(p) && isfinite(program_loss(p));
    const struct tensor *output = program_tensor(p, TENSOR_OUTPUT, 0);
    *count = (int)output->elements;
    float *y = fine ? xmalloc(output->elements * sizeof *y) : NULL;
    if (fine)
        program_read(p, output, y);
    program_free(p);
    return y;
}

/* The largest difference by the largest score. */
static double apart(int n, const float *a, const float *b)
{
    double most = 0, size = 0;
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return most / size;
}

static void forward_once(const char *plugin, const char *variant)
{
    char path[512];
    struct err err = {0};
    struct plugin p;
    const char *build = getenv("BENCH_BUILD");
    snprintf(path, sizeof path, "%s/plugins/bench-%s.so", build ? build : "build/release", plugin);
    if (!plugin_open(path, &p, &err)) {
        ok(false, "%s", err.text);
        return;
    }
    const struct nn_variant *v = plugin_variant(&p, variant, &err);
    struct nn_graph *g = graph_new(1);
    p.facts.build(g, v->config);
    const int cores = crew_cores();
    int count = 0;
    float *fast = scores(g, &(struct program_options){.threads = cores, .seed = 1}, &count);
    float *plain = scores(g,
                          &(struct program_options){.threads = cores,
                                                    .seed = 1,
                                                    .no_fuse = true,
                                                    .no_lanes = true,
                                                    .conv_algo = CONV_DIRECT},
                          &count);
    ok(fast && plain, "%s:%s runs, its loss is a number", plugin, variant);
    is_int(count, 1000, "%s:%s has a score for each class", plugin, variant);
    if (fast && plain) {
        const double off = apart(count, fast, plain);
        ok(off < tolerance, "%s:%s fused and filtered gives the plain scores: %.2g", plugin,
           variant, off);
    }
    free(fast);
    free(plain);
    graph_free(g);
    plugin_close(&p);
}

int main(void)
{
    kn_init(NULL, NULL);
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
        forward_once(nets[i].plugin, nets[i].variant);
    return done();
}
