/* options.c — the option parser: tables in, values out, every mistake answered
 * with what was found, what was expected and the nearest name that exists. */
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

struct global_options global = {.color = "auto"};

static const struct option global_table[] = {
    {"db", 0, OPT_STRING, &global.db, "FILE", "database (default: see `bench db path`)", 0, 0},
    {"json", 0, OPT_FLAG, &global.json, NULL, "one JSON document on stdout", 0, 0},
    {"quiet", 'q', OPT_FLAG, &global.quiet, NULL, "no progress, no remarks", 0, 0},
    {"color", 0, OPT_STRING, &global.color, "WHEN", "auto, always or never", 0, 0},
    {0},
};

enum { MAX_OPTIONS = 64 };

static const struct option *find(const struct option *table, const char *name, size_t length)
{
    for (; table && table->name; table++)
        if (strlen(table->name) == length && strncmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

static const struct option *find_letter(const struct option *table, char letter)
{
    for (; table && table->name; table++)
        if (table->letter && table->letter == letter)
            return table;
    return NULL;
}

static bool unknown(const struct verb *verb, const char *word, size_t length, struct err *err)
{
    const char *names[MAX_OPTIONS + 1];
    int n = 0;
    for (const struct option *o = verb->options; o && o->name && n < MAX_OPTIONS; o++)
        names[n++] = o->name;
    for (const struct option *o = global_table; o->name && n < MAX_OPTIONS; o++)
        names[n++] = o->name;
    names[n] = NULL;
    char given[64] = "";
    snprintf(given, sizeof given, "%.*s", (int)length, word);
    const char *near = text_nearest(given, names);
    return err_status(err, EXIT_USAGE, "%s: unknown option '--%s'%s%s%s", verb->name, given,
                      near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

static bool bad_value(const struct option *o, const char *value, const char *what, struct err *err)
{
    if (o->lo == 0 && o->hi == 0)
        return err_status(err, EXIT_USAGE, "--%s: expected %s, found '%s'", o->name, what, value);
    return err_status(err, EXIT_USAGE, "--%s: expected %s from %.16g to %.16g, found '%s'", o->name,
                      what, o->lo, o->hi, value);
}

/* Paths and names travel to workers and into documents as JSON, which has UTF-8 alone. */
static bool check_word(const char *dashes, const char *of, const char *word, struct err *err)
{
    const size_t n = strlen(word), sound = text_sound(word, n);
    return sound == n || err_status(err, EXIT_USAGE, "%s%s: byte %zu is not UTF-8, after '%.*s'",
                                    dashes, of, sound + 1, (int)sound, word);
}

static bool assign(const struct option *o, const char *value, struct err *err)
{
    const bool bounded = o->lo != 0 || o->hi != 0;
    const double lo = bounded ? o->lo : -1e18, hi = bounded ? o->hi : 1e18;
    long long i;
    double d;
    switch (o->kind) {
    case OPT_INT:
        if (!text_to_int(value, (long long)lo, (long long)hi, &i) || i != (int)i)
            return bad_value(o, value, "a whole number", err);
        *(int *)o->to = (int)i;
        return true;
    case OPT_LONG:
        if (!text_to_int(value, (long long)lo, (long long)hi, &i))
            return bad_value(o, value, "a whole number", err);
        *(long long *)o->to = i;
        return true;
    case OPT_DOUBLE:
        if (!text_to_double(value, lo, hi, &d))
            return bad_value(o, value, "a number", err);
        *(double *)o->to = d;
        return true;
    case OPT_TEXT: *(const char **)o->to = value; return true;
    default:
        if (!*value)
            return bad_value(o, value, o->arg, err);
        *(const char **)o->to = value;
        return check_word("--", o->name, value, err);
    }
}

/* Takes argv[i], an option; returns how many words it used, 0 on error. */
static int take(const struct verb *verb, int argc, char **argv, int i, struct err *err)
{
    const char *const word = argv[i];
    const struct option *o;
    const char *value = NULL;
    if (word[1] == '-') {
        const char *const equals = strchr(word, '=');
        const size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        o = find(verb->options, word + 2, length);
        o = o ? o : find(global_table, word + 2, length);
        if (!o)
            return unknown(verb, word + 2, length, err);
        value = equals ? equals + 1 : NULL;
    } else {
        o = find_letter(verb->options, word[1]);
        o = o ? o : find_letter(global_table, word[1]);
        if (!o)
            return err_status(err, EXIT_USAGE, "%s: unknown option '-%c'", verb->name, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (o->kind == OPT_FLAG) {
        if (value)
            return err_status(err, EXIT_USAGE, "--%s takes no value, found '%s'", o->name, value);
        *(bool *)o->to = true;
        return 1;
    }
    if (value)
        return assign(o, value, err);
    if (i + 1 >= argc)
        return err_status(err, EXIT_USAGE, "--%s: expected %s behind it", o->name, o->arg);
    return assign(o, argv[i + 1], err) ? 2 : 0;
}

int options_parse(const struct verb *verb, int argc, char **argv, struct err *err)
{
    int positional = 0;
    bool options = true;
    for (int i = 1; i < argc;) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            i++;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            const int used = take(verb, argc, argv, i, err);
            if (!used)
                return -1;
            i += used;
        } else {
            if (!check_word("", verb->name, argv[i], err))
                return -1;
            argv[1 + positional++] = argv[i++];
        }
    }
    argv[1 + positional] = NULL;
    if (strcmp(global.color, "auto") != 0 && strcmp(global.color, "always") != 0 &&
        strcmp(global.color, "never") != 0) {
        err_status(err, EXIT_USAGE, "--color: expected auto, always or never, found '%s'",
                   global.color);
        return -1;
    }
    return positional;
}

static void show(const struct option *table)
{
    for (const struct option *o = table; o && o->name; o++) {
        char left[48];
        const char letter[] = {'-', o->letter, ',', ' ', 0};
        snprintf(left, sizeof left, "%s--%s%s%s", o->letter ? letter : "    ", o->name,
                 o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-24s %s\n", left, o->help);
    }
}

void cli_help(const struct verb *verb)
{
    printf("usage: bench %s\n\n%s.\n", verb->synopsis, verb->about);
    if (verb->options && verb->options->name) {
        printf("\nOptions:\n");
        show(verb->options);
    }
    printf("\nEverywhere:\n");
    show(global_table);
}
