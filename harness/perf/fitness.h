/* fitness.h — whether this machine is in a state to be measured on: its settings, each with
 * what was found, what would be better, why, and the command that changes it. */
#ifndef FITNESS_H
#define FITNESS_H

#include <stdbool.h>

#include "base/err.h"

enum fit { FIT_GOOD, FIT_POOR, FIT_BAD, FIT_UNKNOWN }; /* BAD: results will mislead */
extern const char *const fit_name[];                   /* "good", "poor", "bad", "unknown" */

enum { FITNESS_MOST = 16 };

struct fit_check {
    const char *name, *wanted, *why; /* static; wanted and why for people */
    enum fit fit;
    char found[96];
    char advice[192]; /* a command, or what to ask of whom; "" where all is well */
    bool fixable;     /* fitness_fix() can change it, and back */
};

/* All checks, in order of their weight; the count. `root` stands in front of /proc and /sys ("" on
 * a real machine, a folder in tests); `folder` is where results are written. */
int fitness_check(const char *root, const char *folder, struct fit_check checks[FITNESS_MOST]);

/* Changes every poor setting that can be changed by writing a file, having first written what
 * was there to `memo`; entries that `memo` has already are kept, so that two calls restore to what
 * was before the first. `say` hears each change. False and *err when nothing may be written; what
 * had been changed before that is restored. */
bool fitness_fix(const char *root, const char *memo, void (*say)(const char *line),
                 struct err *err);

/* Puts back what `memo` remembers, and removes it. False and *err where a setting could not be
 * put back: then `memo` stays. */
bool fitness_restore(const char *root, const char *memo, void (*say)(const char *line),
                     struct err *err);

#endif
