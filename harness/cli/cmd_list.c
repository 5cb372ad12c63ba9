/* cmd_list.c — bench list: architectures and datasets at hand. Reads ELF notes only, loads
 * nothing, so that it is quick and a bad plugin does no harm. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "datasets/dataset.h"
#include "datasets/sequences/sequences.h"
#include "datasets/text/places.h"
#include "report/table.h"
#include "train/plugin_find.h"

static int by_year(const void *a, const void *b)
{
    const struct plugin_file *p = *(const struct plugin_file *const *)a,
                             *q = *(const struct plugin_file *const *)b;
    const int order = (p->note.year > q->note.year) - (p->note.year < q->note.year);
    return order ? order : strcmp(p->name, q->name);
}

/* The plugins that can be run, oldest architecture first; `usable` has room for all. */
static size_t usable_of(const struct plugin_list *list, const struct plugin_file **usable)
{
    size_t n = 0;
    for (size_t i = 0; i < list->files; i++)
        if (!list->file[i].refusal && !list->file[i].shadowed)
            usable[n++] = &list->file[i];
    qsort(usable, n, sizeof *usable, by_year);
    return n;
}

static json_t *variants_of(const struct nn_note_body *note)
{
    json_t *all = json_array();
    char word[64];
    for (const char *at = note->variants; note_next_variant(&at, word);)
        json_array_append_new(all, json_string(word));
    return all;
}

static void as_json(const struct plugin_file **file, size_t files)
{
    json_t *plugins = json_array(), *sets = json_array();
    for (size_t i = 0; i < files; i++)
        json_array_append_new(
            plugins, json_pack("{s:s, s:s, s:i, s:o, s:s}", "name", file[i]->name, "title",
                               file[i]->note.title, "year", (int)file[i]->note.year, "variants",
                               variants_of(&file[i]->note), "path", file[i]->path));
    for (int i = 0; dataset_names[i]; i++) {
        char *where = dataset_where(dataset_names[i]);
        json_array_append_new(sets, json_pack("{s:s, s:s, s:b, s:s?}", "name", dataset_names[i],
                                              "about", dataset_about(dataset_names[i]), "present",
                                              where != NULL, "path", where));
        free(where);
    }
    for (const struct text_set *set = text_sets; set->name; set++) {
        char *where = text_set_where(set, 0);
        json_array_append_new(sets,
                              json_pack("{s:s, s:s, s:b, s:s?}", "name", set->name, "about",
                                        set->about, "present", text_set_here(set), "path", where));
        free(where);
    }
    json_t *tasks = json_array();
    for (int i = 0; sequence_kinds[i]; i++)
        json_array_append_new(tasks, json_pack("{s:s, s:s}", "kind", sequence_kinds[i], "about",
                                               sequences_about(sequence_kinds[i])));
    json_t *whole = json_pack("{s:i, s:o, s:o, s:o}", "schema", 1, "plugins", plugins, "datasets",
                              sets, "tasks", tasks);
    json_dumpf(whole, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(whole);
}

static void print(struct table *t)
{
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

/* What sequences are about: "copy:T: ten symbols, …" in two columns. */
static void print_tasks(void)
{
    static const struct table_column columns[] = {{"task", false, 0}, {"what", false, 1}};
    struct table *t = table_new(columns, 2);
    for (int i = 0; sequence_kinds[i]; i++) {
        const char *about = sequences_about(sequence_kinds[i]), *what = strstr(about, ": ");
        table_cell(t, "%.*s", (int)(what - about), about);
        table_cell(t, "%s", what + 2);
    }
    putchar('\n');
    print(t);
}

static void as_tables(const struct plugin_file **file, size_t files)
{
    static const struct table_column plugin_columns[] = {
        {"name", false, 0}, {"year", true, 0}, {"what", false, 1}, {"variants", false, 2}};
    struct table *t = table_new(plugin_columns, 4);
    for (size_t i = 0; i < files; i++) {
        table_cell(t, "%s", file[i]->name);
        table_cell(t, "%d", (int)file[i]->note.year);
        table_cell(t, "%s", file[i]->note.title);
        table_cell(t, "%s", file[i]->note.variants);
    }
    print(t);
    static const struct table_column set_columns[] = {
        {"dataset", false, 0}, {"at hand", false, 0}, {"what", false, 1}};
    t = table_new(set_columns, 3);
    for (int i = 0; dataset_names[i]; i++) {
        char *where = dataset_where(dataset_names[i]);
        const char *package = dataset_package(dataset_names[i]);
        table_cell(t, "%s", dataset_names[i]);
        if (where)
            table_cell(t, "yes");
        else
            table_cell(t, package ? "no: package %s" : "no", package);
        table_cell(t, "%s", dataset_about(dataset_names[i]));
        free(where);
    }
    for (const struct text_set *set = text_sets; set->name; set++) {
        table_cell(t, "%s", set->name);
        if (text_set_here(set))
            table_cell(t, "yes");
        else
            table_cell(t, "no: package %s", set->packages);
        table_cell(t, "%s", set->about);
    }
    putchar('\n');
    print(t);
    print_tasks();
}

static int cmd_list(int argc, char **argv)
{
    struct err err = {0};
    if (argc > 1) {
        err_status(&err, EXIT_USAGE, "list: expected no argument, found '%s'", argv[1]);
        return cli_fail(&err);
    }
    struct plugin_list list;
    plugin_list_open(&list);
    const struct plugin_file **file = calloc(list.files + 1, sizeof *file);
    const size_t files = file ? usable_of(&list, file) : 0;
    if (global.json)
        as_json(file, files);
    else
        as_tables(file, files);
    for (size_t i = 0; i < list.files; i++)
        if (list.file[i].refusal && !list.file[i].shadowed)
            fprintf(stderr, "bench: refused: %s\n", list.file[i].refusal);
    if (!files)
        fprintf(stderr, "bench: no plugins in the folders that `bench plugin path` lists\n");
    free(file);
    plugin_list_close(&list);
    return EXIT_OK;
}

const struct verb verb_list = {"list", cmd_list, "list [--json]",
                               "Lists the architectures and datasets at hand", NULL};
