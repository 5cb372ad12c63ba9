/* main.c — the program `bench`: the table of verbs, and nothing else that thinks. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "train/run.h"

static int cmd_help(int argc, char **argv);
static const struct verb verb_help = {"help", cmd_help, "help [VERB]",
                                      "Explains the program, or a verb", NULL};

const struct verb *const verbs[] = {&verb_list,     &verb_info,    &verb_run,    &verb_generate,
                                    &verb_profile,  &verb_results, &verb_report, &verb_doctor,
                                    &verb_dump,     &verb_plugin,  &verb_kernels, &verb_db,
                                    &verb_help,     NULL};

const struct verb *verb_find(const char *name)
{
    for (int i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *names[sizeof verbs / sizeof *verbs];
    int n = 0;
    for (; verbs[n]; n++)
        names[n] = verbs[n]->name;
    names[n] = NULL;
    const char *near = text_nearest(name, names);
    struct err err = {0};
    err_status(&err, EXIT_USAGE, "unknown verb '%s'%s%s%s", name, near ? "; did you mean '" : "",
               near ? near : "", near ? "'?" : "");
    return cli_fail(&err);
}

static int cmd_help(int argc, char **argv)
{
    if (argc > 1) {
        const struct verb *verb = verb_find(argv[1]);
        if (!verb)
            return unknown_verb(argv[1]);
        cli_help(verb);
        return EXIT_OK;
    }
    printf(
        "bench %s: trains, times and compares the architectures that made deep learning\n\n"
        "usage: bench VERB [ARGUMENT...] [OPTION...]\n\n",
        BENCH_VERSION);
    for (int i = 0; verbs[i]; i++)
        printf("  %-10s %s\n", verbs[i]->name, verbs[i]->about);
    printf("\nStart with `bench run lenet5`, then `bench report`. `bench help VERB` tells more.\n");
    return EXIT_OK;
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "bench: %s\n", err->text);
    if (err->status == EXIT_USAGE)
        fprintf(stderr, "`bench help` lists the verbs, `bench help VERB` its options.\n");
    return err->status ? err->status : EXIT_INTERNAL;
}

bool cli_color(FILE *f)
{
    if (strcmp(global.color, "always") == 0)
        return true;
    const char *const off = getenv("NO_COLOR");
    return strcmp(global.color, "never") != 0 && !(off && *off) && isatty(fileno(f));
}

/* What was printed must have arrived: a full disk is an error like any other. */
static int flushed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("bench: cannot write to standard output");
    return status == EXIT_OK ? EXIT_INTERNAL : status;
}

int main(int argc, char **argv)
{
    /* A file beyond `ulimit -f` is an error of write(2), EFBIG; workers inherit this. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2)
        return flushed(cmd_help(1, argv)) == EXIT_OK ? EXIT_USAGE : EXIT_INTERNAL;
    if (strcmp(argv[1], "worker") == 0)
        return worker_main();
    if (strcmp(argv[1], "--version") == 0) {
        printf("bench %s\n", BENCH_VERSION);
        return flushed(EXIT_OK);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return flushed(cmd_help(1, argv));
    const struct verb *verb = verb_find(argv[1]);
    if (!verb)
        return unknown_verb(argv[1]);
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli_help(verb);
            return flushed(EXIT_OK);
        }
    struct err err = {0};
    const int words = options_parse(verb, argc - 1, argv + 1, &err);
    if (words < 0)
        return cli_fail(&err);
    return flushed(verb->run(words + 1, argv + 1));
}
