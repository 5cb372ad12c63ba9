/* cmd_db.c — bench db check|path|vacuum|migrate: the database as a file. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "store/store.h"

static struct store *open_store(int mode, struct err *err)
{
    struct store *s = store_open(global.db, mode, err);
    if (s && store_note(s) && !global.quiet)
        fprintf(stderr, "bench: database '%s': %s\n", store_path(s), store_note(s));
    return s;
}

/* "PATH: WORDS", or the same as JSON. */
static void tell(const char *path, const char *what, const char *words)
{
    if (!global.json) {
        printf("%s: %s\n", path, words);
        return;
    }
    json_t *j = json_pack("{s:i, s:s, s:s}", "schema", 1, "database", path, what, words);
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
}

static bool db_path(struct err *err)
{
    (void)err;
    char *path = global.db ? NULL : store_default_path();
    if (global.json)
        tell(path ? path : global.db, "path", path ? path : global.db);
    else
        printf("%s\n", path ? path : global.db);
    free(path);
    return true;
}

static bool db_check(struct err *err)
{
    struct store *s = open_store(STORE_READ, err);
    struct text said = {0};
    text_add(&said, "sound; ");
    const bool good = s && store_check(s, &said, err);
    if (good)
        tell(store_path(s), "check", text_str(&said));
    text_release(&said);
    store_close(s);
    return good;
}

static bool db_vacuum(struct err *err)
{
    struct store *s = open_store(STORE_WRITE, err);
    const bool good = s && store_vacuum(s, err);
    if (good)
        tell(store_path(s), "vacuum", "packed");
    store_close(s);
    return good;
}

/* Opening for writing migrates; this verb is for those who only read. */
static bool db_migrate(struct err *err)
{
    struct store *s = open_store(STORE_WRITE, err);
    if (s) {
        char words[32];
        snprintf(words, sizeof words, "schema %d", store_schema(s));
        tell(store_path(s), "migrate", words);
    }
    store_close(s);
    return s != NULL;
}

static const struct {
    const char *name;
    bool (*run)(struct err *err);
} actions[] = {
    {"check", db_check}, {"path", db_path}, {"vacuum", db_vacuum}, {"migrate", db_migrate}};
enum { ACTIONS = sizeof actions / sizeof *actions };

static int cmd_db(int argc, char **argv)
{
    struct err err = {0};
    const char *names[ACTIONS + 1] = {NULL};
    if (argc != 2) {
        err_status(&err, EXIT_USAGE, "db: expected one of check, path, vacuum, migrate");
        return cli_fail(&err);
    }
    for (int i = 0; i < ACTIONS; i++) {
        names[i] = actions[i].name;
        if (strcmp(argv[1], actions[i].name) == 0)
            return actions[i].run(&err) ? EXIT_OK : cli_fail(&err);
    }
    const char *near = text_nearest(argv[1], names);
    err_status(&err, EXIT_USAGE, "db: unknown action '%s'%s%s%s", argv[1],
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return cli_fail(&err);
}

const struct verb verb_db = {"db", cmd_db, "db check|path|vacuum|migrate",
                             "Checks and tidies the database", NULL};
