/* cli.h — the command line: verbs, options, and what all commands share.
 *
 * Each verb is one cmd_<verb>.c with an option table and a function; main.c holds
 * the table of verbs. Results go to stdout, progress and messages to stderr. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* One option of a verb. The value's type follows `kind`; flags take no argument; OPT_STRING is a
 * path or a name, not empty and UTF-8, OPT_TEXT is whatever was given. Long names
 * are given without dashes; `letter` is 0 where there is no short form. */
enum option_kind { OPT_FLAG, OPT_INT, OPT_LONG, OPT_DOUBLE, OPT_STRING, OPT_TEXT };
struct option {
    const char *name;
    char letter;
    int kind;        /* enum option_kind */
    void *to;        /* bool, int, long long, double, const char * */
    const char *arg; /* "N", "FILE"; NULL for flags */
    const char *help;
    double lo, hi; /* numbers: inclusive bounds; both 0: none */
};

struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an exit status */
    const char *synopsis;              /* "run SELECTOR... [OPTION...]" */
    const char *about;                 /* one line */
    const struct option *options;      /* ends with a NULL name; shown by help */
};
extern const struct verb verb_list, verb_info, verb_run, verb_results, verb_report, verb_doctor,
    verb_dump, verb_plugin, verb_db, verb_kernels, verb_profile, verb_generate;
extern const struct verb *const verbs[]; /* NULL-terminated, in the order of help */
const struct verb *verb_find(const char *name);

/* Options of every verb, parsed wherever they stand. */
struct global_options {
    const char *db;    /* --db FILE */
    bool json;         /* --json: one document on stdout */
    bool quiet;        /* -q */
    const char *color; /* auto, always, never; NO_COLOR honoured */
};
extern struct global_options global;

/* Parses argv[1..] by the verb's table and the global ones: --name value, --name=value, -x value,
 * -- ends. Positional arguments are moved to argv[1..] and their count returned; -1 with *err set
 * (EXIT_USAGE; unknown names come with the nearest known) otherwise. */
int options_parse(const struct verb *verb, int argc, char **argv, struct err *err);

/* Prints "bench: text" (and for usage errors the hint where to look) to stderr; returns the status.
 */
int cli_fail(const struct err *err);

/* Whether to colour what goes to `f`: a terminal, no NO_COLOR, --color. */
bool cli_color(FILE *f);

void cli_help(const struct verb *verb); /* to stdout */

#endif
