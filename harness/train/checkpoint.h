/* checkpoint.h — what training has made, kept: parameters and buffers as safetensors, as
 * "param.NAME", and as metadata what must be known to use them without the data.
 *
 *     format          "bench-checkpoint 1"
 *     plugin variant dataset dataset_sha256 task config seed     as run_plan has them; task "":
 * images epochs steps metrics    done; {"accuracy":97.1,…} of the last evaluation vocabulary
 * vocabulary.target sequences                     of sequences: language.h
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>

#include "base/err.h"
#include "train/language.h"
#include "train/run.h"
#include "train/safetensors.h"

struct trainer;

/* Writes `path` at once, or leaves it as it was. `end` knows the metrics. */
__attribute__((warn_unused_result)) bool checkpoint_save(const struct trainer *t,
                                                         const struct run_end *end, int epochs,
                                                         const char *path, struct err *err);

/* An open checkpoint. */
struct checkpoint {
    const char *path; /* borrowed */
    struct st_file file;
    struct language language;
};

/* Opens `path` and refuses what is no checkpoint, is damaged, or (EXIT_USAGE) of another plugin or
 * variant. The caller closes. */
__attribute__((warn_unused_result)) bool checkpoint_open(const char *path, const char *plugin,
                                                         const char *variant, struct checkpoint *c,
                                                         struct err *err);
void checkpoint_close(struct checkpoint *c);

/* Where the parameters of a run of sequences are kept without being asked for:
 * checkpoints/PLUGIN-VARIANT.safetensors beside the database. Malloc'ed. */
char *checkpoint_place(const char *database, const char *plugin, const char *variant);

#endif
