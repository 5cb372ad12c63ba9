/* cmd_info.c — bench info NAME[:VARIANT]: the card of an architecture. What it says comes from
 * a worker that loads the plugin and builds its graphs; this process loads nothing. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "report/format.h"
#include "report/table.h"
#include "train/plugin_check.h"
#include "train/plugin_find.h"

static int batch = -1, threads = -1;

static const struct option options[] = {
    {"batch", 0, OPT_INT, &batch, "N", "samples a step, for the memory (recipe)", 1, 1e6},
    {"threads", 't', OPT_INT, &threads, "N", "threads, for the memory (all cores)", 1, 1024},
    {0},
};

static const char *word(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static double real(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

static bool has(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return v && !json_is_null(v) && !(json_is_string(v) && !json_string_value(v)[0]);
}

static void print(struct table *t)
{
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

static void print_variants(const json_t *variants)
{
    static const struct table_column columns[] = {{"variant", false, 0}, {"parameters", true, 0},
                                                  {"MACs", true, 0},     {"published", true, 1},
                                                  {"on", false, 2},      {"what", false, 3}};
    struct table *t = table_new(columns, 6);
    size_t i;
    json_t *v;
    json_array_foreach(variants, i, v)
    {
        const json_t *published = json_object_get(v, "published");
        table_cell(t, "%s", word(v, "name"));
        table_cell(t, "%.0f", real(v, "params"));
        table_cell(t, "%.0f", real(v, "macs"));
        if (has(published, "metric"))
            table_cell(t, "%s %.2f", word(published, "metric_name"), real(published, "metric"));
        else
            table_cell(t, "%s", "");
        table_cell(t, "%s",
                   has(published, "dataset") ? word(published, "dataset") : word(v, "task"));
        table_cell(t, "%s", has(v, "error") ? word(v, "error") : word(v, "about"));
    }
    print(t);
}

static void print_rows(const json_t *variant)
{
    static const struct table_column columns[] = {{"row", false, 0},
                                                  {"output", false, 0},
                                                  {"parameters", true, 0},
                                                  {"MACs", true, 0},
                                                  {"ops", false, 1}};
    struct table *t = table_new(columns, 5);
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(variant, "rows"), i, r)
    {
        table_cell(t, "%s", word(r, "row"));
        table_cell(t, "%s", word(r, "shape"));
        table_cell(t, "%.0f", real(r, "params"));
        table_cell(t, "%.0f", real(r, "macs"));
        table_cell(t, "%s", word(r, "ops"));
    }
    printf("\n%s, row by row (one sample, forward)\n", word(variant, "name"));
    print(t);
}

static void print_memory(const json_t *memory)
{
    /* clang-format off */
    static const struct { const char *key, *words; } part[] = {
        {"parameters", "parameters"}, {"gradients", "gradients"}, {"optimizer", "optimizer state"},
        {"activations", "activations"}, {"work", "kernels' scratch"}, {"inputs", "inputs"},
        {"evaluation", "evaluation"}};
    /* clang-format on */
    char size[FORMAT_TEXT];
    printf("\nMemory of a run with batch %.0f on %.0f threads: %s planned\n ",
           real(memory, "batch"), real(memory, "threads"),
           format_bytes(real(memory, "total"), size));
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        printf("%s %s %s", i ? "," : "", part[i].words,
               format_bytes(real(memory, part[i].key), size));
    printf("; no allocation in a step\n");
}

static void print_recipe(const json_t *recipe)
{
    const char *key;
    const json_t *value;
    printf("\nRecipe: ");
    bool first = true;
    json_object_foreach((json_t *)recipe, key, value)
    {
        if (strcmp(key, "note") == 0 || json_is_null(value) ||
            (json_is_number(value) && json_number_value(value) == 0))
            continue;
        char *text = json_is_string(value)
                         ? NULL
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        printf("%s%s %s", first ? "" : ", ", key, text ? text : json_string_value(value));
        free(text);
        first = false;
    }
    printf("\n");
    if (has(recipe, "note"))
        printf("Note: %s\n", word(recipe, "note"));
}

static void print_card(const json_t *card)
{
    const json_t *variants = json_object_get(card, "variants"), *v = json_array_get(variants, 0),
                 *published = json_object_get(v, "published");
    printf("%s (%d)   %s\n%s\n\n%s.\n\n", word(card, "title"), (int)real(card, "year"),
           word(card, "name"), word(card, "citation"), word(card, "about"));
    print_variants(variants);
    print_rows(v);
    if (has(published, "metric"))
        printf("\nPublished: %s %.2f on %s (%s)\n", word(published, "metric_name"),
               real(published, "metric"), word(published, "dataset"), word(published, "source"));
    if (has(v, "memory"))
        print_memory(json_object_get(v, "memory"));
    print_recipe(json_object_get(v, "recipe"));
}

/* A batch that the network cannot be built with is the caller's mistake, not the card's news. */
static bool fits(const json_t *card, struct err *err)
{
    const json_t *v = json_array_get(json_object_get(card, "variants"), 0);
    return !has(v, "error") ||
           err_status(err, EXIT_USAGE, "info: --batch %d: %s", batch, word(v, "error"));
}

static int cmd_info(int argc, char **argv)
{
    struct err err = {0};
    struct plugin_list list;
    struct plugin_pick *pick = NULL;
    size_t picks = 0;
    if (argc != 2) {
        err_status(&err, EXIT_USAGE, "info: expected one name, such as lenet5 or mlp:keras");
        return cli_fail(&err);
    }
    plugin_list_open(&list);
    bool fine = plugin_select(&list, argv[1], &pick, &picks, &err);
    plugin_list_close(&list);
    if (fine && picks != 1)
        fine = err_status(&err, EXIT_USAGE, "info: '%s' means %zu variants, expected one", argv[1],
                          picks);
    json_t *card = fine ? plugin_describe(pick->path, pick->variant, batch, threads, &err) : NULL;
    plugin_picks_free(pick, picks);
    if (card && batch > 0 && !fits(card, &err)) {
        json_decref(card);
        card = NULL;
    }
    if (!card)
        return cli_fail(&err);
    if (global.json) {
        json_object_set_new(card, "schema", json_integer(1));
        json_dumpf(card, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        print_card(card);
    }
    json_decref(card);
    return EXIT_OK;
}

const struct verb verb_info = {"info", cmd_info, "info NAME[:VARIANT] [OPTION...]",
                               "Shows an architecture: its table, parameters, MACs, memory, recipe",
                               options};
