/* plugin_new.c — the first plugin of somebody else: a folder with a network that trains,
 * to change from there. The texts below are the files, with NAME for the name. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/plugin_check.h"

enum { LONGEST = 31 /* of a name: the note's room */ };

/* clang-format off */
static const char source[] =
"/* NAME — authors: title. Where, year. Which of its tables is which array below.\n"
" * Check with `make check`, train with `make run`. nn.h is the manual. */\n"
"#include <nn.h>\n"
"#include <plugin.h>\n"
"\n"
"struct size {\n"
"    int hidden;\n"
"};\n"
"\n"
"/* Called once for each run. nn_row() names the row of the paper's table that follows. */\n"
"static void build(struct nn_graph *g, const void *config)\n"
"{\n"
"    const struct size *size = config;\n"
"    nn_value x = nn_input(g, \"image\", NN_F32, NN_SHAPE(1, 28, 28));\n"
"    nn_value label = nn_input(g, \"label\", NN_I32, NN_SCALAR);\n"
"\n"
"    nn_row(g, \"conv1\");\n"
"    x = nn_relu(nn_conv2d(x, 8, .kernel = 5, .pad = 2));\n"
"    nn_row(g, \"pool1\");\n"
"    x = nn_max_pool(x, 2);\n"
"    nn_row(g, \"hidden\");\n"
"    x = nn_relu(nn_linear(nn_flatten(x), size->hidden));\n"
"    nn_row(g, \"output\");\n"
"    nn_value scores = nn_linear(x, 10);\n"
"\n"
"    nn_minimize(nn_cross_entropy(scores, label));\n"
"    nn_metric(\"accuracy\", nn_accuracy(scores, label));\n"
"}\n"
"\n"
"static const struct size small = {32}, large = {128};\n"
"\n"
"/* Published parameters and multiply-adds are held to the graph exactly; leave out what is not known. */\n"
"static const struct nn_variant variants[] = {\n"
"    {.name = \"small\", .about = \"32 hidden units\", .config = &small,\n"
"     .published = {.params = 50746, .macs = 207296}},\n"
"    {.name = \"large\", .about = \"128 hidden units\", .config = &large},\n"
"    {0},\n"
"};\n"
"\n"
"static const struct nn_recipe recipe = {\n"
"    NN_RECIPE_HEADER,\n"
"    .batch = 128,\n"
"    .epochs = 4,\n"
"    .optimizer = NN_ADAM,\n"
"    .schedule = NN_ONE_CYCLE,\n"
"    .rate = 2e-3f,\n"
"    .final_factor = 0.01f,\n"
"    .note = \"what differs from the paper, and why\",\n"
"};\n"
"\n"
"const struct nn_plugin nn_plugin = {\n"
"    NN_PLUGIN_HEADER,\n"
"    .year = YEAR,\n"
"    .name = \"NAME\",\n"
"    .title = \"NAME\",\n"
"    .citation = \"authors: title. Where, year\",\n"
"    .about = \"what was new\",\n"
"    .dataset = \"images\",\n"
"    .variants = variants,\n"
"    .recipe = &recipe,\n"
"    .build = build,\n"
"};\n"
"\n"
"/* The same facts for those who only look: name, year, title, variants. */\n"
"NN_PLUGIN_NOTE(\"NAME\", YEAR, \"NAME\", \"small large\");\n";

static const char makefile[] =
"# make, make check, make run. Needs bench installed (or PKG_CONFIG_PATH and BENCH set).\n"
"CFLAGS ?= -O2 -g -Wall -Wextra\n"
"BENCH  ?= bench\n"
"\n"
"bench-NAME.so: NAME.c Makefile\n"
"\t$(CC) $(CFLAGS) -fPIC -shared $$(pkg-config --cflags bench-plugin) -o $@ NAME.c -lm\n"
"\n"
"check: bench-NAME.so\n"
"\tprove --exec '$(BENCH) plugin check' ./bench-NAME.so\n"
"run: bench-NAME.so\n"
"\t$(BENCH) run ./bench-NAME.so\n"
"install: bench-NAME.so\n"
"\tinstall -D -m 644 -t $(HOME)/.local/share/bench/plugins bench-NAME.so\n"
"clean:\n"
"\trm -f bench-NAME.so\n"
".PHONY: check run install clean\n";

static const char ignored[] = "*.so\n";
/* clang-format on */

static bool is_name(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    const size_t n = strlen(s);
    return n > 0 && n <= LONGEST && strchr(letters, s[0]) &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

/* `text` with every `word` replaced; malloc'ed by `out`. */
static void replace(struct text *out, const char *text, const char *word, const char *by)
{
    for (const char *next; (next = strstr(text, word)); text = next + strlen(word)) {
        text_add_bytes(out, text, (size_t)(next - text));
        text_add(out, "%s", by);
    }
    text_add(out, "%s", text);
}

static bool write_file(const char *folder, const char *file, const char *content, const char *name,
                       struct err *err)
{
    char year[16];
    const time_t now = time(NULL);
    struct tm tm;
    strftime(year, sizeof year, "%Y", gmtime_r(&now, &tm));
    struct text named = {0}, dated = {0};
    replace(&named, content, "NAME", name);
    replace(&dated, text_str(&named), "YEAR", year);
    char *path = xprintf("%s/%s", folder, file);
    FILE *f = fopen(path, "wxe");
    bool fine = f && fputs(text_str(&dated), f) >= 0;
    fine = f && fclose(f) == 0 && fine;
    if (!fine)
        err_set(err, "cannot write '%s': %s", path, strerror(errno));
    free(path);
    text_release(&named);
    text_release(&dated);
    return fine;
}

bool plugin_new(const char *name, struct err *err)
{
    if (!is_name(name))
        return err_status(err, EXIT_USAGE,
                          "plugin name '%.100s': expected a small letter, then small letters, "
                          "digits, - and _, %d at most",
                          name, LONGEST);
    if (mkdir(name, 0777) != 0)
        return err_set(err, "cannot make folder '%s': %s", name, strerror(errno));
    char *c_file = xprintf("%s.c", name);
    const bool fine = write_file(name, c_file, source, name, err) &&
                      write_file(name, "Makefile", makefile, name, err) &&
                      write_file(name, ".gitignore", ignored, name, err);
    free(c_file);
    return fine;
}
