/* Plugins: notes of good, cut and altered files; discovery and selectors; every way to be refused
 * by name; conformance; the scaffold. The plugins of tests/plugins break one promise each. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "tap.h"
#include "train/plugin_check.h"
#include "train/plugin_find.h"
#include "train/plugin_load.h"
#include "train/plugin_note.h"
#include "train/run.h"

static char here[4096];                        /* the folder of this test */
static char folder[] = "/tmp/t_plugin.XXXXXX"; /* for what it writes */

static char *bad(const char *name) { return xprintf("%s/plugins/bench-%s.so", here, name); }

static void read_file(const char *path, struct text *t)
{
    char block[4096];
    FILE *f = fopen(path, "r");
    for (size_t n; f && (n = fread(block, 1, sizeof block, f)) > 0;)
        text_add_bytes(t, block, n);
    if (f)
        fclose(f);
}

/* --------------------------------------------------------------------- notes */

static void check_note(struct text *bytes)
{
    char *path = bad("good");
    struct nn_note_body note;
    struct err err = {0};
    read_file(path, bytes);
    ok(note_read(path, &note, &err), "a note: %s", err.text);
    is_str(note.name, "good", "its name");
    is_str(note.variants, "plain", "its variants");
    ok(note.year == 2000 && note.abi_major == NN_ABI_MAJOR &&
           note.plugin_size == sizeof(struct nn_plugin),
       "its numbers");
    const int64_t start = clock_ns();
    for (int i = 0; i < 100; i++)
        (void)!note_read(path, &note, &err);
    const double ms = (double)(clock_ns() - start) * 1e-8;
    ok(ms < 1, "read in less than 1 ms (%.3f)", ms);
    free(path);
}

/* In memory of its own size, so that sanitizers see one byte too many. */
static bool parses(const char *bytes, size_t n, struct err *err)
{
    struct nn_note_body note;
    char *copy = memcpy(xmalloc(n), bytes, n);
    const bool fine = note_parse("x", copy, n, &note, err);
    free(copy);
    return fine;
}

static size_t find_note(const struct text *t)
{
    static const char owner[] = "bench";
    const char *at = memmem(t->bytes, t->length, owner, sizeof owner);
    while (at && *(const uint32_t *)(const void *)(at - 4) != 1)
        at = memmem(at + 1, t->length - (size_t)(at + 1 - t->bytes), owner, sizeof owner);
    return at ? (size_t)(at + 8 - t->bytes) : 0;
}

static void check_cuts(const struct text *t)
{
    const size_t end = find_note(t) + sizeof(struct nn_note_body);
    int accepted = 0, silent = 0;
    for (size_t n = 0; n < end; n++) {
        struct err err = {0};
        accepted += parses(t->bytes, n, &err);
        silent += strncmp(err.text, "x: ", 3) != 0 || err.status != EXIT_PLUGIN;
    }
    is_int(accepted, 0, "refused when cut at any of %zu bytes", end);
    is_int(silent, 0, "always as a plugin, naming the file");
    int survived = 0; /* headers and the note's own surroundings */
    for (size_t i = 0; i < end; i++) {
        if (i > 1024 && i + 64 < find_note(t))
            continue;
        for (int bit = 0; bit < 8; bit++) {
            t->bytes[i] = (char)(t->bytes[i] ^ 1 << bit);
            (void)parses(t->bytes, t->length, NULL);
            t->bytes[i] = (char)(t->bytes[i] ^ 1 << bit);
            survived++;
        }
    }
    ok(survived > 8000, "survives every flipped bit");
}

static void check_altered(const struct text *t)
{
    const size_t note = find_note(t);
    const struct {
        size_t at;
        uint32_t value;
        const char *why;
    } alter[] = {
        {0, 0, "x: no ELF file"},
        {EI_CLASS, 0x00010101,
         "x: ELF class: found 32-bit little-endian, expected 64-bit little-endian"},
        {offsetof(Elf64_Ehdr, e_type), 0xffff0002, NULL},
        {note + offsetof(struct nn_note_body, magic), 1,
         "x: magic: found 0x1, expected 0x6e6e6962"},
        {note + offsetof(struct nn_note_body, abi_major), 3, "x: abi_major: found 3, expected 2"},
        {note + offsetof(struct nn_note_body, plugin_size), 8, NULL},
        {note + offsetof(struct nn_note_body, variant_size), 0, NULL},
        {note + offsetof(struct nn_note_body, pointer_bytes), 4,
         "x: pointer_bytes: found 4, expected 8"},
        {note + offsetof(struct nn_note_body, name), 0, "x: name: found nothing, expected a name"},
    };
    for (size_t i = 0; i < sizeof alter / sizeof alter[0]; i++) {
        struct err err = {0};
        uint32_t old;
        memcpy(&old, t->bytes + alter[i].at, sizeof old);
        memcpy(t->bytes + alter[i].at, &alter[i].value, sizeof old);
        ok(!parses(t->bytes, t->length, &err), "refused: %s", err.text);
        if (alter[i].why)
            is_str(err.text, alter[i].why, "for that reason");
        memcpy(t->bytes + alter[i].at, &old, sizeof old);
    }
    struct err err = {0};
    memset(t->bytes + note + offsetof(struct nn_note_body, variants), 'v', 256);
    ok(!parses(t->bytes, t->length, &err), "a text without an end");
    is_str(err.text, "x: note: variants: no end within 256 bytes", "is named");
}

/* ------------------------------------------------------------------ discovery */

static void copy_plugin(const char *name, const char *sub)
{
    struct text t = {0};
    char *from = bad(name), *dir = xprintf("%s/%s", folder, sub);
    char *to = xprintf("%s/bench-%s.so", dir, name);
    mkdir(dir, 0700);
    read_file(from, &t);
    FILE *f = fopen(to, "w");
    ok(f && fwrite(t.bytes, 1, t.length, f) == t.length && fclose(f) == 0, "copied %s", to);
    free(from);
    free(dir);
    free(to);
    text_release(&t);
}

static void refused(const struct plugin_list *l, const char *selector, int status, const char *text)
{
    struct plugin_pick *picks;
    size_t n;
    struct err err = {0};
    ok(!plugin_select(l, selector, &picks, &n, &err), "nothing is '%s'", selector);
    is_int(err.status, status, "status");
    ok(strstr(err.text, text) != NULL, "says '%s': %s", text, err.text);
}

static void selected(const struct plugin_list *l, const char *selector, const char *expected)
{
    struct plugin_pick *picks = NULL;
    size_t n = 0;
    struct err err = {0};
    struct text t = {0};
    if (!ok(plugin_select(l, selector, &picks, &n, &err), "'%s' is something", selector))
        printf("# %s\n", err.text);
    for (size_t i = 0; i < n; i++)
        text_add(&t, "%s%s:%s", i ? " " : "", picks[i].name, picks[i].variant);
    is_str(text_str(&t), expected, "namely that");
    plugin_picks_free(picks, n);
    text_release(&t);
}

static void check_discovery(void)
{
    copy_plugin("good", "a");
    copy_plugin("good", "b");
    copy_plugin("moody", "b");
    copy_plugin("no-note", "b");
    char *path = xprintf("%s/a:%s/nowhere:%s/b:%s/a", folder, folder, folder, folder);
    setenv("BENCH_PLUGIN_PATH", path, 1);
    setenv("HOME", folder, 1);
    unsetenv("XDG_DATA_HOME");
    struct plugin_list l;
    plugin_list_open(&l);
    is_int(l.folders, 6, "a folder that is named twice is searched once");
    const struct plugin_file *good = plugin_find(&l, "good");
    int shadowed = 0;
    for (size_t i = 0; i < l.files; i++)
        shadowed += l.file[i].shadowed && strcmp(l.file[i].name, "good") == 0;
    char *first = xprintf("%s/a/bench-good.so", folder);
    is_str(good->path, first, "the first folder wins");
    is_int(shadowed, 2, "the others are listed as shadowed");
    ok(plugin_find(&l, "no-note")->refusal != NULL, "a refused plugin is listed with its reason");
    ok(!plugin_find(&l, "nothing"), "what is not there is not found");

    char *by_path = xprintf("%s/b/bench-moody.so:plain", folder);
    selected(&l, "good", "good:plain");
    selected(&l, "good:plain", "good:plain");
    selected(&l, "go*", "good:plain");
    selected(&l, "[gm]oo*:pl*", "good:plain moody:plain");
    selected(&l, by_path, "moody:plain");
    refused(&l, "gooood", EXIT_USAGE, "did you mean 'good'?");
    refused(&l, "xyzzy", EXIT_USAGE, "no plugin 'xyzzy'");
    refused(&l, "x*", EXIT_USAGE, "no plugin 'x*'");
    refused(&l, "good:plane", EXIT_USAGE, "did you mean 'plain'?");
    refused(&l, "no-note", EXIT_PLUGIN, "no bench note");
    refused(&l, "no-not*", EXIT_PLUGIN, "no bench note");
    refused(&l, "./nothing.so", EXIT_PLUGIN, "No such file");
    free(by_path);
    free(first);
    free(path);
    plugin_list_close(&l);
}

/* -------------------------------------------------------------------- loading */

static void check_loading(void)
{
    static const struct {
        const char *name, *why;
    } never[] = {
        {"no-note", "no bench note"},
        {"no-symbol", "symbol nn_plugin: found none, expected the plugin's constant"},
        {"short", "nn_plugin: found 8 bytes, expected"},
        {"magic", "magic: found 0x12345678, expected 0x6e6e6962"},
        {"abi-major", "abi_major: found 3, expected 2"},
        {"size", "the size of the symbol"},
        {"null-text", "citation: found NULL, expected a text"},
        {"variants", "note: variants: found 'plain fancy', expected 'plain' as in nn_plugin"},
    };
    struct plugin p;
    struct err err = {0};
    char *path = bad("good");
    ok(plugin_open(path, &p, &err), "a good plugin loads: %s", err.text);
    ok(p.variants == 1 && plugin_variant(&p, NULL, &err) == p.facts.variants, "its first variant");
    ok(!plugin_variant(&p, "plane", &err) && strstr(err.text, "did you mean 'plain'?"),
       "a mistyped one is suggested");
    is_int(plugin_recipe(&p, p.facts.variants)->batch, 32, "its recipe");
    plugin_close(&p);
    free(path);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        struct err why = {0};
        path = bad(never[i].name);
        ok(!plugin_open(path, &p, &why), "%s is refused", never[i].name);
        ok(strstr(why.text, never[i].why) && strstr(why.text, path), "because: %s", why.text);
        is_int(why.status, EXIT_PLUGIN, "%s: status", never[i].name);
        free(path);
    }
}

/* ---------------------------------------------------------------- conformance */

/* Runs plugin_check() with its output in `out`. */
static bool check_into(const char *path, struct text *out, struct err *err)
{
    char *file = xprintf("%s/tap", folder);
    fflush(stdout);
    const int old = dup(1), fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, 1);
    const bool fine = plugin_check(path, err);
    fflush(stdout);
    dup2(old, 1);
    close(old);
    close(fd);
    read_file(file, out);
    remove(file);
    free(file);
    return fine;
}

static void conforms(const char *path, bool fine, const char *line)
{
    struct text out = {0};
    struct err err = {0};
    ok(check_into(path, &out, &err) == fine, "check of %s: %s", path, fine ? "passes" : "fails");
    if (!ok(strstr(text_str(&out), line) != NULL, "with a line '%s'", line))
        printf("# %s\n# %s\n", text_str(&out), err.text);
    text_release(&out);
}

static void check_conformance(void)
{
    static const struct {
        const char *name, *line;
    } never[] = {
        {"published",
         "not ok 6 - plain: 7849 parameters, as published\n# found 7850, published 7849"},
        {"moody", "not ok 9 - plain: build() is repeatable"},
        {"recipe", "not ok 4 - plain: the recipe makes sense\n# recipe: momentum: found 1.5"},
        {"nan", "not ok 10 - plain: two steps are finite\n# output: log: output holds NaN"},
        {"build-error", "not ok 5 - plain: build() makes a graph\n# tests/plugins/build-error.c:"},
        {"abi-major", "not ok 2 - the descriptor has our ABI"},
        {"no-note", "not ok 1 - the ELF note can be read"},
        {"crash", "Bail out! "},
    };
    char *path = bad("good");
    conforms(path, true, "ok 13 - plain: the gradient is the slope of the loss\n");
    free(path);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        path = bad(never[i].name);
        conforms(path, false, never[i].line);
        free(path);
    }
}

static void check_describe(void)
{
    struct err err = {0};
    char *path = bad("good");
    json_t *j = plugin_describe(path, NULL, -1, 1, &err);
    const json_t *v = json_array_get(json_object_get(j, "variants"), 0);
    const json_t *row = json_array_get(json_object_get(v, "rows"), 0);
    ok(j != NULL, "described: %s", err.text);
    is_int(json_integer_value(json_object_get(v, "params")), 7850, "parameters, counted");
    is_int(json_integer_value(json_object_get(v, "macs")), 7840, "multiply-adds, counted");
    is_str(json_string_value(json_object_get(row, "row")), "output", "a row");
    is_int(json_integer_value(json_object_get(row, "params")), 7850, "and its parameters");
    json_decref(j);
    ok(!plugin_describe(path, "plane", -1, 1, &err) && err.status == EXIT_USAGE, "no such variant");
    free(path);
    path = bad("crash");
    ok(!plugin_describe(path, NULL, -1, 1, &err), "a crash while describing: %s", err.text);
    free(path);
}

/* ------------------------------------------------------------------- scaffold */

static void check_scaffold(const char *root)
{
    struct err err = {0};
    if (chdir(folder) != 0)
        return;
    ok(!plugin_new("Wrong", &err) && err.status == EXIT_USAGE, "a wrong name: %s", err.text);
    ok(!plugin_new("../x", &err) && err.status == EXIT_USAGE, "a wrong name: %s", err.text);
    ok(plugin_new("mine", &err), "a scaffold: %s", err.text);
    ok(!plugin_new("mine", &err) && strstr(err.text, "exists"), "never over another: %s", err.text);
    char *make = xprintf(
        "cd mine && cc -std=c11 -Wall -Wextra -Werror -fPIC -shared -I%s/harness "
        "mine.c -o bench-mine.so",
        root);
    ok(system(make) == 0, "that compiles without a warning");
    conforms("mine/bench-mine.so", true, "ok 6 - small: 50746 parameters, as published\n");
    free(make);
    ok(chdir(root) == 0, "back");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main();
    char root[4096];
    struct err err = {0};
    struct text bytes = {0};
    const ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    if (n <= 0 || !mkdtemp(folder) || !getcwd(root, sizeof root) || !kn_init(NULL, &err))
        return EXIT_FAILURE;
    *strrchr(here, '/') = '\0';
    setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0:detect_leaks=0", 0);
    check_note(&bytes);
    check_cuts(&bytes);
    check_altered(&bytes);
    check_discovery();
    check_loading();
    check_conformance();
    check_describe();
    check_scaffold(root);
    text_release(&bytes);
    char *clean = xprintf("rm -rf %s", folder);
    ok(system(clean) == 0, "cleaned up");
    free(clean);
    return done();
}
