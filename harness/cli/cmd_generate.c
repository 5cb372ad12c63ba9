/* cmd_generate.c — bench generate SELECTOR: what a trained network says: text that runs on, names,
 * translations, the language of a name. */
#define _GNU_SOURCE
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "kernels/kernels.h"
#include "report/table.h"
#include "store/store.h"
#include "train/checkpoint.h"
#include "train/generate.h"
#include "train/plugin_check.h"
#include "train/plugin_find.h"
#include "train/search.h"

static struct generate_spec asked = {
    .threads = -1, .length = -1, .top = -1, .beam = -1, .count = -1, .temperature = -1};
static const char *the_prompt;
static long long seed = 1;

/* clang-format off */
static const struct option options[] = {
    {"prompt", 'p', OPT_TEXT, &the_prompt, "TEXT", "what it goes on from, translates, or tells the class of", 0, 0},
    {"length", 'n', OPT_INT, &asked.length, "N", "tokens said, at most (300 characters, 60 words)", 1, 1e6},
    {"count", 0, OPT_INT, &asked.count, "N", "so many texts or names; the best N of --beam (1)", 1, 1e5},
    {"temperature", 0, OPT_DOUBLE, &asked.temperature, "T", "drawn by chance: 0 the most probable, 1 as learnt (0.8)", 0, 100},
    {"top-k", 0, OPT_INT, &asked.top, "K", "drawn of the K most probable tokens only (all)", 1, 1e6},
    {"beam", 0, OPT_INT, &asked.beam, "B", "translations: the B best beginnings are followed (1: greedy)", 1, BEAM},
    {"seed", 0, OPT_LONG, &seed, "N", "of chance (1): the same text again", 0, 9e15},
    {"from", 0, OPT_STRING, &asked.from, "FILE", "a checkpoint (what the last `bench run` kept)", 0, 0},
    {"threads", 't', OPT_INT, &asked.threads, "N", "threads (all cores)", 1, 1024},
    {"isa", 0, OPT_STRING, &asked.isa, "NAME", "avx512, avx2, neon or scalar (best)", 0, 0},
    {0},
};
/* clang-format on */

/* ---------------------------------------------------------------------- prompts */

struct prompts {
    char **text;
    size_t count, room;
};

static void prompts_add(struct prompts *p, const char *text)
{
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->text = xrealloc(p->text, p->room * sizeof *p->text);
    }
    p->text[p->count++] = xstrdup(text);
}

static void prompts_free(struct prompts *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->text[i]);
    free(p->text);
    *p = (struct prompts){0};
}

/* The next line of standard input, without its end; 1, 0 at the end, -1 and *err. */
static int take_line(struct prompts *p, size_t number, struct err *err)
{
    char *line = NULL;
    size_t room = 0;
    errno = 0;
    ssize_t n = getline(&line, &room, stdin);
    int got = n >= 0;
    if (n < 0 && ferror(stdin)) {
        err_set(err, "cannot read standard input: %s", strerror(errno));
        got = -1;
    }
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        line[--n] = '\0';
    const bool marked = number == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0; /* BOM */
    const size_t at = got > 0 ? text_sound(line, (size_t)n) : 0;
    if (got > 0 && at < (size_t)n) {
        err_status(err, EXIT_USAGE, "standard input: line %zu: byte %zu is not UTF-8", number,
                   at + 1);
        got = -1;
    }
    if (got > 0)
        prompts_add(p, line + (marked ? 3 : 0));
    free(line);
    return got;
}

static bool take_prompt(struct prompts *p, struct err *err)
{
    const size_t n = strlen(the_prompt), at = text_sound(the_prompt, n);
    if (at < n)
        return err_status(err, EXIT_USAGE, "--prompt: byte %zu is not UTF-8", at + 1);
    prompts_add(p, the_prompt);
    return true;
}

static bool take_lines(struct prompts *p, struct err *err)
{
    int got = 1;
    while (got > 0)
        got = take_line(p, p->count + 1, err);
    return got == 0;
}

/* ---------------------------------------------------------------------- showing */

struct showing {
    json_t *document;
    bool many;       /* more than one prompt: an answer is a line */
    bool of_classes; /* names, each behind its class */
    bool spoke;      /* pieces have come: their end is a new line */
};

static void on_remark(void *arg, const char *text)
{
    (void)arg;
    if (!global.quiet)
        fprintf(stderr, "bench: %s\n", text);
}

/* What a network says may be anything that its vocabulary has: on a terminal, nothing that controls
 * one, but for ends of lines. */
static void say(const char *text)
{
    static int terminal = -1;
    terminal = terminal < 0 ? isatty(STDOUT_FILENO) : terminal;
    if (!terminal) {
        fputs(text, stdout);
        return;
    }
    for (int columns, bytes; *text; text += bytes) {
        bytes = table_character(text, &columns);
        if (columns >= 0 || *text == '\n' || *text == '\t')
            fwrite(text, 1, (size_t)bytes, stdout);
    }
    fflush(stdout);
}

static void on_piece(void *arg, const char *text)
{
    struct showing *s = arg;
    if (global.json)
        return;
    s->spoke = true;
    say(text);
}

static const char *string_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

/* Of many texts only what each most probably is. */
static void show_classes(const struct showing *s, const json_t *said, const json_t *classes)
{
    for (size_t i = 0; i < json_array_size(classes) && (i == 0 || !s->many); i++) {
        const json_t *c = json_array_get(classes, i);
        const double p = json_real_value(json_object_get(c, "probability"));
        if (s->many) {
            say(string_of(said, "prompt"));
            putchar('\t');
            say(string_of(c, "name"));
            printf("\t%.1f %%\n", 100 * p);
        } else {
            printf("%6.1f %%  ", 100 * p);
            say(string_of(c, "name"));
            putchar('\n');
        }
    }
}

static void show_translations(const json_t *said)
{
    const json_t *others = json_object_get(said, "others");
    const size_t wanted = others && asked.count > 1 ? (size_t)asked.count : 1;
    for (size_t i = 0; i < wanted && i <= json_array_size(others); i++) {
        const json_t *one = i ? json_array_get(others, i - 1) : said;
        if (wanted > 1)
            printf("%8.4f  ", json_real_value(json_object_get(one, "score")));
        say(string_of(one, "text"));
        putchar('\n');
    }
}

static void on_said(void *arg, const json_t *said)
{
    struct showing *s = arg;
    const json_t *classes = json_object_get(said, "classes");
    json_array_append_new(s->document, json_deep_copy(said));
    if (global.json)
        return;
    if (classes)
        show_classes(s, said, classes);
    else if (s->of_classes) {
        say(string_of(said, "prompt"));
        putchar('\t');
        say(string_of(said, "text"));
        putchar('\n');
    } else if (s->spoke)
        putchar('\n');
    else
        show_translations(said);
    s->spoke = false;
}

/* ----------------------------------------------------------------------- asking */

static bool ask(const struct prompts *p, struct showing *s, struct err *err)
{
    const struct generate_sink sink = {
        .remark = on_remark, .piece = on_piece, .said = on_said, .arg = s};
    s->many = p->count > 1 || !the_prompt;
    const bool fine = generate_run(&asked, (const char *const *)p->text, p->count, &sink, err);
    if (s->spoke)
        putchar('\n'); /* interrupted */
    fflush(stdout);
    return fine;
}

/* A person who types sees the answer to each line before the next. */
static bool ask_by_hand(struct showing *s, struct err *err)
{
    bool fine = true;
    int got = 1;
    for (size_t number = 1; fine && got > 0; number++) {
        struct prompts p = {0};
        got = take_line(&p, number, err);
        asked.line = (int)number;
        fine = got >= 0 && (got == 0 || ask(&p, s, err));
        prompts_free(&p);
    }
    return fine;
}

static bool ask_lines(struct showing *s, struct err *err)
{
    struct prompts p = {0};
    asked.line = 1;
    const bool fine = take_lines(&p, err) &&
                      (p.count > 0 || err_status(err, EXIT_USAGE,
                                                 "standard input is empty: expected a text a line, "
                                                 "or --prompt")) &&
                      ask(&p, s, err);
    prompts_free(&p);
    return fine;
}

/* What kind of network it is. A checkpoint is data: it is looked into here, before there is a
 * worker. */
static bool look_into(const struct plugin_pick *pick, int *kind, struct err *err)
{
    struct checkpoint c;
    if (!checkpoint_open(asked.from, pick->name, pick->variant, &c, err)) {
        err->status = err->status > EXIT_INTERNAL ? err->status : EXIT_BENCH_FAILED;
        return false;
    }
    *kind = language_kind(&c.language);
    checkpoint_close(&c);
    return true;
}

static bool generate(const struct plugin_pick *pick, struct showing *s, struct err *err)
{
    struct prompts p = {0};
    int kind;
    if (!look_into(pick, &kind, err))
        return false;
    s->of_classes = kind == LANGUAGE_SPELLING && !the_prompt;
    if (!the_prompt && (kind == LANGUAGE_TRANSLATIONS || kind == LANGUAGE_CLASSES))
        return isatty(STDIN_FILENO) ? ask_by_hand(s, err) : ask_lines(s, err);
    const bool fine = (!the_prompt || take_prompt(&p, err)) && ask(&p, s, err);
    prompts_free(&p);
    return fine;
}

/* ---------------------------------------------------------------- checkpoints */

static bool speaks(const json_t *variant) { return language_spells(string_of(variant, "task")); }

/* A variant that training would not bring to speak is refused, and those that would are named. */
static bool may_speak(const struct plugin_pick *pick, struct err *err)
{
    json_t *card = plugin_describe(pick->path, pick->variant, -1, 1, err);
    if (!card)
        return false;
    const json_t *variants = json_object_get(card, "variants"), *asked_one = NULL, *v;
    struct text others = {0};
    size_t i;
    json_array_foreach(variants, i, v)
    {
        if (strcmp(string_of(v, "name"), pick->variant) == 0)
            asked_one = v;
        else if (speaks(v))
            text_add(&others, " %s:%s", pick->name, string_of(v, "name"));
    }
    const char *task = string_of(asked_one, "task");
    const bool fine = speaks(asked_one) ||
                      err_status(err, EXIT_USAGE, "%s:%s says nothing: its task is %s; %s%s",
                                 pick->name, pick->variant, *task ? task : "to tell images apart",
                                 others.length ? "expected one of" : "nor does another variant of ",
                                 others.length ? text_str(&others) : pick->name);
    text_release(&others);
    json_decref(card);
    return fine;
}

/* The checkpoint that the last run of that variant has kept; malloc'ed, or NULL and *err. */
static char *find_kept(const struct plugin_pick *pick, struct err *err)
{
    char *database = global.db ? xstrdup(global.db) : store_default_path();
    char *path = checkpoint_place(database, pick->name, pick->variant);
    free(database);
    if (access(path, R_OK) == 0)
        return path;
    if (may_speak(pick, err))
        err_status(err, EXIT_BENCH_FAILED,
                   "%s:%s has not been trained yet: `bench run %s:%s` keeps its parameters in '%s'",
                   pick->name, pick->variant, pick->name, pick->variant, path);
    free(path);
    return NULL;
}

static void show_document(const struct plugin_pick *pick, json_t *said)
{
    json_t *whole =
        json_pack("{s:i, s:s, s:s, s:s, s:I, s:O}", "schema", 1, "plugin", pick->name, "variant",
                  pick->variant, "checkpoint", asked.from, "seed", (json_int_t)seed, "said", said);
    json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(whole);
}

static int cmd_generate(int argc, char **argv)
{
    struct err err = {0};
    struct plugin_list list;
    struct plugin_pick *pick = NULL;
    struct showing showing = {.document = json_array()};
    size_t picks = 0;
    char *kept = NULL;
    bool fine = argc == 2 || err_status(&err, EXIT_USAGE, "generate: expected one selector");
    plugin_list_open(&list);
    fine = fine && kn_init(asked.isa, &err) && plugin_select(&list, argv[1], &pick, &picks, &err);
    plugin_list_close(&list);
    if (fine && picks != 1)
        fine = err_status(&err, EXIT_USAGE, "generate: '%s' means %zu variants, expected one",
                          argv[1], picks);
    if (fine && !asked.from)
        fine = (asked.from = kept = find_kept(pick, &err)) != NULL;
    else if (fine && access(asked.from, R_OK) != 0)
        fine = err_status(&err, EXIT_USAGE, "--from: cannot read '%s': %s", asked.from,
                          strerror(errno));
    if (fine) {
        asked.plugin_path = pick->path;
        asked.plugin = pick->name;
        asked.variant = pick->variant;
        asked.seed = seed;
        fine = generate(pick, &showing, &err);
        if (global.json && json_array_size(showing.document))
            show_document(pick, showing.document);
    }
    plugin_picks_free(pick, picks);
    json_decref(showing.document);
    free(kept);
    return fine ? EXIT_OK : cli_fail(&err);
}

const struct verb verb_generate = {
    "generate",
    cmd_generate,
    "generate SELECTOR [--prompt TEXT] [OPTION...]",
    "Lets a trained network speak: text, names, translations, classes",
    options,
};
