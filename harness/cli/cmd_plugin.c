/* cmd_plugin.c — bench plugin new|check|list|path: for people who write plugins. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "train/plugin_check.h"
#include "train/plugin_find.h"

static int plugin_list_all(void)
{
    struct plugin_list list;
    plugin_list_open(&list);
    for (size_t i = 0; i < list.files; i++) {
        const struct plugin_file *f = &list.file[i];
        if (f->refusal)
            printf("%-12s refused   %s\n", f->name, f->refusal);
        else
            printf("%-12s ABI %u.%u   %s%s\n", f->name, f->note.abi_major, f->note.abi_minor,
                   f->path, f->shadowed ? "   (shadowed)" : "");
    }
    if (!list.files)
        fprintf(stderr, "bench: no plugins in the folders that `bench plugin path` lists\n");
    plugin_list_close(&list);
    return EXIT_OK;
}

static int plugin_folders(void)
{
    struct plugin_list list;
    plugin_list_open(&list);
    for (size_t i = 0; i < list.folders; i++)
        printf("%s\n", list.folder[i]);
    plugin_list_close(&list);
    return EXIT_OK;
}

/* FILE, or the name of a plugin that can be found. */
static bool check(const char *what, struct err *err)
{
    if (strchr(what, '/') || strstr(what, ".so"))
        return plugin_check(what, err);
    struct plugin_list list;
    struct plugin_pick *pick = NULL;
    size_t picks = 0;
    plugin_list_open(&list);
    bool fine = plugin_select(&list, what, &pick, &picks, err);
    for (size_t i = 0; fine && i < picks; i++)
        fine = plugin_check(pick[i].path, err);
    plugin_picks_free(pick, picks);
    plugin_list_close(&list);
    return fine;
}

static int cmd_plugin(int argc, char **argv)
{
    struct err err = {0};
    const char *const what = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(what, "list") == 0)
        return plugin_list_all();
    if (argc == 2 && strcmp(what, "path") == 0)
        return plugin_folders();
    if (argc == 3 && strcmp(what, "check") == 0) {
        if (check(argv[2], &err))
            return EXIT_OK;
        return err.text[0] ? cli_fail(&err) : EXIT_BENCH_FAILED;
    }
    if (argc == 3 && strcmp(what, "new") == 0) {
        if (!plugin_new(argv[2], &err))
            return cli_fail(&err);
        printf("%s/ made: cd there, `make check`\n", argv[2]);
        return EXIT_OK;
    }
    err_status(&err, EXIT_USAGE, "plugin: expected new NAME, check FILE, list or path%s%s%s",
               argc > 1 ? ", found '" : "", what, argc > 1 ? "'" : "");
    return cli_fail(&err);
}

const struct verb verb_plugin = {
    "plugin",
    cmd_plugin,
    "plugin new NAME | check FILE | list | path",
    "Scaffolds, checks and finds plugins",
    NULL,
};
