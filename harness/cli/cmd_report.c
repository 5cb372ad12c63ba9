/* cmd_report.c — bench report: a page, its pictures and their data, from what is recorded. */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "report/report.h"
#include "store/store.h"

static const char *folder;
static int most = 40;
static bool all;

/* clang-format off */
static const struct option options[] = {
    {"output", 'o', OPT_STRING, &folder, "DIR", "folder to write to (reports/out of the source tree, or here)", 0, 0},
    {"all", 'a', OPT_FLAG, &all, NULL, "every good run, not only the newest of each network and data set", 0, 0},
    {"last", 'n', OPT_INT, &most, "N", "at most N runs (40)", 1, 1000},
    {0},
};
/* clang-format on */

static void name_command(struct report *r, int words, char **word)
{
    struct text line = {0};
    text_add(&line, "bench report");
    for (int i = 0; i < words; i++)
        text_add_word(&line, word[i]);
    if (all)
        text_add_word(&line, "--all");
    if (folder) {
        text_add_word(&line, "-o");
        text_add_word(&line, folder);
    }
    if (global.db) {
        text_add_word(&line, "--db");
        text_add_word(&line, global.db);
    }
    snprintf(r->command, sizeof r->command, "%s", text_str(&line));
    text_release(&line);
}

static void tell(const struct report *r)
{
    if (global.json) {
        json_t *j = json_pack("{s:i, s:s, s:i, s:i, s:s?}", "schema", 1, "folder", r->folder,
                              "runs", r->runs_count, "pictures", r->pictures_count, "problem",
                              *r->problem ? r->problem : NULL);
        json_dumpf(j, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(j);
        return;
    }
    if (*r->problem)
        fprintf(stderr, "bench: %s\n", r->problem);
    printf("%s/index.html\n", r->folder);
}

static bool write_report(struct store *s, int words, char **word, struct err *err)
{
    struct store_row *rows;
    struct report r = {0};
    const struct store_query q = {(const char *const *)word, words, all ? most + 1 : 0, !all, true};
    const int count = store_rows(s, &q, &rows, err);
    if (count < 0)
        return false;
    if (count == 0) {
        free(rows);
        return err_status(err, EXIT_USAGE,
                          words ? "no good run of that name is recorded: `bench results` lists all"
                                : "no good run is recorded yet: `bench run lenet5` makes one");
    }
    const int shown = count < most ? count : most;
    char *to = folder ? xstrdup(folder) : report_default_folder();
    bool good = report_gather(&r, s, rows, shown, err);
    if (good) {
        r.all = all;
        r.more = count > shown;
        name_command(&r, words, word);
        good = report_write(&r, to, err);
    }
    if (good)
        tell(&r);
    report_release(&r);
    free(rows);
    free(to);
    return good;
}

static int cmd_report(int argc, char **argv)
{
    struct err err = {0};
    struct store *s = store_open(global.db, STORE_READ, &err);
    if (!s)
        return cli_fail(&err);
    if (store_note(s) && !global.quiet)
        fprintf(stderr, "bench: database '%s': %s\n", store_path(s), store_note(s));
    const bool good = write_report(s, argc - 1, argv + 1, &err);
    store_close(s);
    return good ? EXIT_OK : cli_fail(&err);
}

const struct verb verb_report = {"report", cmd_report, "report [SELECTOR...] [-o DIR]",
                                 "Writes a page with pictures of what has been recorded", options};
