/* plugin.h — what a shared object must export to be a plugin: one constant.
 *
 * Everything that can be a table is a table: the paper's numbers, the recipe,
 * the variants. build() is the only code. A plugin includes nn.h and plugin.h
 * and nothing else of the harness, and is built as bench-NAME.so:
 *
 *     cc -shared -fPIC $(pkg-config --cflags bench-plugin) NAME.c -o bench-NAME.so
 *
 * The program never loads a plugin into its own process: it reads the ELF note
 * that NN_PLUGIN_NOTE() leaves, and a worker process loads the object and checks
 * magic, ABI and sizes before it touches anything else. */
#ifndef NN_PLUGIN_H
#define NN_PLUGIN_H

#include <stddef.h>

#include "nn.h"

#define NN_PLUGIN_MAGIC 0x6e6e6962u /* "binn" */

/* The major changes when a field changes meaning; then nothing older loads. The
 * minor counts appended fields: a host reads no further than the `size` that the
 * plugin was compiled with, and a plugin may be newer or older than its host. */
enum { NN_ABI_MAJOR = 2, NN_ABI_MINOR = 1 };

/* What is known of a variant before it is run; 0 or NULL where nothing is. Tests hold
 * the graph to params and macs exactly; reports print metric beside ours. */
struct nn_published {
    double params;      /* trained scalars */
    double macs;        /* multiply-adds of one forward pass of one sample: conv, linear, matmul */
    double metric;      /* of nn_metric(metric_name), on `dataset` */
    const char *metric_name, *dataset;
    const char *source; /* where that number stands: "Figure 9", "Keras mnist_mlp" */
};

enum nn_optimizer { NN_SGD = 1, NN_ADAM, NN_ADAMW };
enum nn_schedule { NN_CONSTANT = 1, NN_STEPS, NN_COSINE, NN_ONE_CYCLE };

/* From this epoch (0 the first) on, the rate is recipe.rate * factor. */
struct nn_rate_step {
    float epoch, factor;
};

/* How a variant is trained: the paper's recipe where it is practical, and every
 * deviation told in `note`. 0 means the default in [brackets]. */
struct nn_recipe {
    uint32_t size;                    /* sizeof(struct nn_recipe): NN_RECIPE_HEADER */
    int32_t batch, epochs;
    int32_t optimizer;                /* enum nn_optimizer */
    int32_t schedule;                 /* enum nn_schedule [NN_CONSTANT] */
    float rate;                       /* peak learning rate */
    float momentum, beta2, epsilon;   /* momentum is Adam's beta1 [0.9 in Adam, 0 in SGD; 0.999; 1e-8] */
    float weight_decay, clip_norm;    /* clip_norm: of the whole gradient; 0 means none */
    float warmup_epochs;              /* linear from 0 to rate */
    float final_factor;               /* cosine and one-cycle end at rate * final_factor */
    struct nn_rate_step steps[16];    /* NN_STEPS; ends with {0,0} */
    float ink_low, ink_high;          /* pixel 0 and 255 become these; both 0: each channel
                                         standardised by the training set's mean and deviation */
    const char *augment;              /* in order: shiftN, cropN (the same: up to N pixels any way),
                                         flip, resizedcrop (Szegedy et al. 2015), colour (Krizhevsky
                                         et al. 2012), cutoutN: "crop4,flip" */
    const char *note;                 /* what differs from the paper, and why */
};
#define NN_RECIPE_HEADER .size = (uint32_t)sizeof(struct nn_recipe)

/* The data a variant wants. NULL: labelled images, "image" and "label". Else sequences, "KIND" or
 * "KIND:PARAMETER"; --data puts a file, a folder or another task in its place. A graph declares those
 * inputs that it wants, of those that its kind gives:
 *
 *   adding:T           values f32 [T,2], target f32 [1]    Hochreiter & Schmidhuber 1997, T steps
 *   copy:T             tokens i32 [T+20], next i32 [T+20]  the same; next counts at the last 10 steps
 *   addition:D reverse:T dates             source, target, next     generated translations, by characters
 *   pairs              source, target, next                         sentences and translations, by words
 *   text               tokens i32 [T], next i32 [T]        running text by characters: rows of a batch are
 *                      parallel streams, and a step goes on where the last one ended (nn_state())
 *   words              the same by words
 *   names              tokens, label: a name's language            or class, tokens, next: a name of that class
 *   lines              tokens, next                                 each line a sequence of its own
 *
 * Sequences of different lengths come with "length" (of tokens), "source_length" and "target_length", i32
 * scalars. Behind the end tokens are 0 and next is -1, which losses do not count. target begins with <s>
 * and next ends with </s>: what a decoder is fed, and what it should say. */
struct nn_variant {
    const char *name;
    const char *about;                /* one line: what it is, what it changes */
    const void *config;               /* handed to build() */
    struct nn_published published;
    const struct nn_recipe *recipe;   /* NULL: the plugin's */
    const char *task;                 /* "adding:200"; NULL: images. ABI 2.1 */
};

struct nn_plugin {
    uint32_t magic, abi_major, abi_minor;
    uint32_t size, variant_size;      /* sizeof(struct nn_plugin), sizeof(struct nn_variant) */
    uint32_t pointer_bytes;
    int32_t year;
    const char *name;                 /* as in bench-NAME.so */
    const char *title;                /* "LeNet-5" */
    const char *citation;             /* authors, title, venue */
    const char *about;                /* two or three lines: what was new */
    const char *dataset;              /* the kind it wants: "images" */
    const struct nn_variant *variants; /* the first is the default; ends with a NULL name */
    const struct nn_recipe *recipe;
    void (*build)(struct nn_graph *g, const void *config);
};

#ifdef __cplusplus
#define NN_C extern "C"
#else
#define NN_C extern
#endif
NN_C __attribute__((visibility("default"))) const struct nn_plugin nn_plugin;

/* First line of the constant. */
#define NN_PLUGIN_HEADER                                                              \
    .magic = NN_PLUGIN_MAGIC, .abi_major = NN_ABI_MAJOR, .abi_minor = NN_ABI_MINOR,   \
    .size = (uint32_t)sizeof(struct nn_plugin),                                       \
    .variant_size = (uint32_t)sizeof(struct nn_variant), .pointer_bytes = sizeof(void *)

/* The same facts as an ELF note (owner "bench", type 1), readable without loading:
 * NN_PLUGIN_NOTE("lenet5", 1998, "LeNet-5", "modern original"); after the constant. */
struct nn_note_body {
    uint32_t magic, abi_major, abi_minor, plugin_size, variant_size, pointer_bytes;
    int32_t year;
    uint32_t reserved;
    char name[32], title[64], variants[256]; /* variants: names with spaces between */
};
struct nn_note {
    uint32_t owner_bytes, body_bytes, type;
    char owner[8];
    struct nn_note_body body;
};
#define NN_PLUGIN_NOTE(name_, year_, title_, variants_)                                         \
    __attribute__((section(".note.bench"), used, aligned(4))) static const struct nn_note       \
        nn_plugin_note = {6, (uint32_t)sizeof(struct nn_note_body), 1, "bench",                 \
                          {NN_PLUGIN_MAGIC, NN_ABI_MAJOR, NN_ABI_MINOR,                         \
                           (uint32_t)sizeof(struct nn_plugin), (uint32_t)sizeof(struct nn_variant), \
                           (uint32_t)sizeof(void *), year_, 0, name_, title_, variants_}}

#endif
