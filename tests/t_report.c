/* t_report.c — numbers, tables and the report: well-formed, self-contained, nothing unescaped. */
#define _GNU_SOURCE
#include <ctype.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "fill.h"
#include "report/format.h"
#include "report/html.h"
#include "report/report.h"
#include "report/samples.h"
#include "report/table.h"
#include "scratch.h"
#include "tap.h"

/* ---- numbers ---------------------------------------------------------------------- */

static void numbers(void)
{
    char b[FORMAT_TEXT];
    is_str(format_metric("accuracy", 91.0349, b), "91.03", "percentages have two decimals");
    is_str(format_metric("mse", 0.00034119, b), "0.0003412", "other metrics four digits");
    is_str(format_metric("mse", 4.522e-7, b), "4.522e-07", "tiny ones with their power of ten");
    is_str(format_si(0, b), "0", "nothing");
    is_str(format_si(999, b), "999", "below a thousand");
    is_str(format_si(999.6, b), "1.00 k", "rounding carries into the next unit");
    is_str(format_si(61706, b), "61.7 k", "thousands");
    is_str(format_si(416520, b), "417 k", "three digits");
    is_str(format_si(4.09e9, b), "4.09 G", "billions");
    is_str(format_si(NAN, b), "–", "unknown");
    is_str(format_count(61706, b), "61 706", "a count in groups");
    is_str(format_count(999, b), "999", "no group");
    is_str(format_count(-1234567, b), "-1 234 567", "negative");
    is_str(format_bytes(1536, b), "1.50 KiB", "bytes");
    is_str(format_fixed(91.032, 2, b), "91.03", "decimals");
    is_str(format_digits(0.0123456, 3, b), "0.0123", "significant digits");
    is_str(format_digits(9.996, 3, b), "10.0", "carried");
    is_str(format_digits(123456, 3, b), "123456", "never 1.23e+05");
    is_str(format_seconds(0, b), "0.00 ns", "no time");
    is_str(format_seconds(3.14e-3, b), "3.14 ms", "milliseconds");
    is_str(format_seconds(0.99999, b), "1.00 s", "just a second");
    is_str(format_seconds(59.94, b), "59.9 s", "just below a minute");
    is_str(format_seconds(185, b), "3 min 05 s", "minutes");
    is_str(format_seconds(7380, b), "2 h 03 min", "hours");
    is_str(format_seconds(NAN, b), "–", "unknown");
}

/* ---- tables ---------------------------------------------------------------------------- */

static char *as_text(const struct table *t, int width, bool color)
{
    char *bytes;
    size_t size;
    FILE *f = open_memstream(&bytes, &size);
    table_text(t, f, width, color);
    fclose(f);
    return bytes;
}

static void tables(void)
{
    static const struct table_column columns[] = {
        {"name", false, 0}, {"n", true, 0}, {"extra", false, 1}};
    struct table *t = table_new(columns, 3);
    table_cell(t, "a");
    table_cell(t, "%d", 5);
    table_cell(t, "x");
    table_cell(t, "Ærøskøbing");
    table_cell(t, "%d", 12345);
    table_cell(t, "日本");
    char *s = as_text(t, 0, false);
    is_str(s, "name            n  extra\na               5  x\nÆrøskøbing  12345  日本\n",
           "aligned by characters, not bytes");
    free(s);
    s = as_text(t, 20, false);
    is_str(s, "name            n\na               5\nÆrøskøbing  12345\n",
           "too narrow: the least important column goes");
    free(s);
    s = as_text(t, 15, false);
    is_str(s, "name          n\na             5\nÆrøskøb…  12345\n",
           "narrower: the ends of words go");
    free(s);
    table_tone(t, TONE_BAD);
    s = as_text(t, 0, true);
    ok(strstr(s, "\033[31m日本\033[0m"), "colour on request");
    free(s);
    is_int(table_columns_of("e\xcc\x81"), 1, "a combining accent takes no column");
    is_int(table_columns_of("\xff\xfe"), 2, "stray bytes take one each");
    table_free(t);
}

static void forms(void)
{
    static const struct table_column columns[] = {{"a|b", false, 0}, {"n", true, 0}};
    struct table *t = table_new(columns, 2);
    struct text out = {0};
    table_cell(t, "x_y | <z> & \"q\"");
    table_cell(t, "–");
    table_markdown(t, &out);
    is_str(text_str(&out), "| a\\|b | n |\n| --- | ---: |\n| x\\_y \\| \\<z\\> & \"q\" | – |\n",
           "Markdown escapes");
    text_release(&out);
    table_html(t, &out);
    ok(strstr(text_str(&out), "x_y | &lt;z&gt; &amp; &quot;q&quot;"), "HTML escapes");
    text_release(&out);
    char *bytes;
    size_t size;
    FILE *f = open_memstream(&bytes, &size);
    table_csv(t, f);
    fclose(f);
    is_str(bytes, "a|b,n\n\"x_y | <z> & \"\"q\"\"\",\n",
           "CSV quotes, and an unknown value is an empty field");
    free(bytes);
    table_free(t);
    html_escape(&out, "\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xa0");
    is_str(text_str(&out), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xa0",
           "so are U+FFFE and U+FFFF, which XML forbids");
    text_release(&out);
    html_escape(&out, "a\x01\xff<\xc3\xa9\xed\xa0\x80'");
    is_str(text_str(&out),
           "a\xef\xbf\xbd\xef\xbf\xbd&lt;\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&#39;",
           "control characters, stray bytes and surrogates are replaced");
    text_release(&out);
    f = open_memstream(&bytes, &size);
    t = table_new(columns, 2);
    table_cell(t,
               "bell\a\033[2J \xc2\x9b"
               "31m \xe2\x80\xaeright to left");
    table_cell(t, "1");
    table_text(t, f, 0, false);
    fclose(f);
    ok(!strchr(bytes, '\a') && !strchr(bytes, '\033') && !strstr(bytes, "\xc2\x9b") &&
           !strstr(bytes, "\xe2\x80\xae"),
       "control characters of names do not reach the terminal");
    free(bytes);
    table_free(t);
}

/* ---- what networks say ------------------------------------------------------------------ */

static void is_line(const char *s, int most, bool token, const char *want, const char *about)
{
    struct text out = {0};
    samples_line(s, most, token, &out);
    is_str(text_str(&out), want, "%s", about);
    text_release(&out);
}

static void lines(void)
{
    is_line("the cat", 0, false, "the cat", "a line as it is");
    is_line("the cat", 7, false, "the cat", "that just fits");
    is_line("the cat", 6, false, "the c…", "that is one column too long");
    is_line("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5, false, "\xe6\x97\xa5\xe6\x9c\xac…",
            "wide characters, two columns each");
    is_line(
        "e\xcc\x81"
        "e\xcc\x81"
        "e",
        2, false, "e\xcc\x81…", "accents go with their letters");
    is_line(" a b\n\t", 0, true, "␣a␣b↵⇥", "spaces of a token");
    is_line("a b\nc", 0, false, "a b↵c", "and of a text");
    is_line("\x1b[2J\xe2\x80\xaex", 0, false, "\xef\xbf\xbd[2J\xef\xbf\xbdx", "what would do harm");
    is_line("", 5, true, "", "nothing");
}

static char *said_in(int width, bool color, const struct run_sample *s, int count)
{
    char *bytes;
    size_t size;
    FILE *f = open_memstream(&bytes, &size);
    samples_text(f, s, count, width, color);
    fclose(f);
    return bytes;
}

static void in_a_terminal(void)
{
    struct run_sample s[] = {said_plain(), said_alone(), {0}};
    char *text = said_in(0, false, s, 3);
    is_str(text,
           "  source     the old house.\n  reference  das alte Haus.\n  output     das alte Haus "
           "da.\n\n  output     Once upon a time↵there was⇥a \"network\".\n\n  output     –\n",
           "source, reference and output below each other");
    free(text);
    text = said_in(27, false, s, 2);
    is_str(text,
           "  source     the old house.\n  reference  das alte Haus.\n  output     das alte Haus…\n"
           "\n  output     Once upon a t…\n",
           "cut to the terminal");
    free(text);
    s[0].output = s[0].reference;
    text = said_in(0, true, s, 1);
    ok(strstr(text, "\033[32mdas alte Haus.\033[0m"), "what is right is green");
    free(text);
    s[0] = said_hostile();
    text = said_in(40, false, s, 1);
    bool harmless = true;
    for (const char *c = text; *c; c++)
        harmless = harmless && (*c == '\n' || (unsigned char)*c >= 0x20);
    ok(harmless && !strstr(text, "\xe2\x80\xae"), "hostile text is harmless");
    free(text);
}

/* ---- the page ------------------------------------------------------------------------------ */

static char *slurp(const char *name)
{
    struct text t = {0};
    char block[4096];
    FILE *f = fopen(scratch_path(name), "rb");
    for (size_t n; f && (n = fread(block, 1, sizeof block, f)) > 0;)
        text_add_bytes(&t, block, n);
    if (f)
        fclose(f);
    return t.bytes ? t.bytes : xstrdup("");
}

/* Every tag that opens closes in its turn; attributes are quoted. Returns NULL or what is wrong. */
static const char *unbalanced(const char *s)
{
    static const char *const empty[] = {"meta", "link", "br", "hr", "img", "!DOCTYPE"};
    static char wrong[128];
    static char open[64][32];
    int depth = 0;
    for (s = strchr(s, '<'); s; s = strchr(s, '<')) {
        const bool closes = s[1] == '/';
        const char *name = s + 1 + closes;
        const int length = (int)strcspn(name, " \t\n>/");
        const char *end = name;
        for (char quote = 0; *end && (quote || *end != '>'); end++)
            quote = quote ? (*end == quote ? 0 : quote) : *end == '"' || *end == '\'' ? *end : 0;
        bool alone = end[-1] == '/' || length == 0;
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
            alone = alone || ((int)strlen(empty[i]) == length &&
                              strncmp(name, empty[i], (size_t)length) == 0);
        snprintf(wrong, sizeof wrong, "%.*s at depth %d", length, name, depth);
        if (!*end || (!isalpha((unsigned char)*name) && *name != '!') || depth == 64)
            return wrong;
        if (closes && (depth == 0 || (int)strlen(open[depth - 1]) != length ||
                       strncmp(open[depth - 1], name, (size_t)length) != 0))
            return wrong;
        if (closes)
            depth--;
        else if (!alone)
            snprintf(open[depth++], sizeof open[0], "%.*s", length, name);
        s = end;
    }
    return depth ? open[depth - 1] : NULL;
}

/* An id that is defined twice, or NULL. */
static const char *double_id(const char *s)
{
    static char id[128];
    for (const char *at = s; (at = strstr(at, " id=")); at++) {
        snprintf(id, sizeof id, "%.*s", (int)(strcspn(at + 5, "'\"") + 6), at);
        if (strstr(at + 5, id))
            return id;
    }
    return NULL;
}

static int count_of(const char *s, const char *word)
{
    int n = 0;
    for (; (s = strstr(s, word)); s += strlen(word))
        n++;
    return n;
}

static bool starts_with(const char *name, const char *magic)
{
    char *s = slurp(name);
    const bool good = strncmp(s, magic, strlen(magic)) == 0;
    free(s);
    return good;
}

static void maps(void)
{
    struct text out = {0};
    struct run_sample s = said_plain();
    ok(attention_svg(&s, false, &out) > 0 && !unbalanced(text_str(&out)), "a map of attention");
    is_int(count_of(text_str(&out), "h17v17h-17z"), 14, "a square for each weight above 1/30");
    is_int(count_of(text_str(&out), "<text"), 4 + 5 + 2, "a label for each token; a scale");
    ok(strstr(text_str(&out), ">0.9</text>"), "up to the largest weight");
    ok(strstr(text_str(&out), "fill-opacity=\"1\" d=\"M36 36h17v17h-17zM54 72"),
       "which is the strongest, where it belongs");
    text_release(&out);
    ok(attention_svg(&s, true, &out) && strstr(text_str(&out), "prefers-color-scheme"),
       "by itself it brings its colours");
    text_release(&out);
    s = said_hostile();
    ok(attention_svg(&s, true, &out) && !unbalanced(text_str(&out)), "hostile tokens: %s",
       unbalanced(text_str(&out)) ? unbalanced(text_str(&out)) : "well-formed");
    ok(!strstr(text_str(&out), "<script") && strstr(text_str(&out), "&lt;script&gt;") &&
           !strchr(text_str(&out), '\033') && !strstr(text_str(&out), "\xef\xbf\xbf"),
       "are shown, not obeyed");
    ok(strstr(text_str(&out), "Donaudampfschifffah…<"), "long ones are cut");
    is_int(count_of(text_str(&out), "l17 17m0-17l-17 17"), 2,
           "weights that are none are crossed out");
    ok(strstr(text_str(&out), ">1e+30</text>"), "and the scale goes as far as it must");
    text_release(&out);

    static const float none[20];
    s = said_plain();
    s.attention = none;
    is_int(attention_svg(&s, false, &out), 0, "no weight above 0, no map");
    s.attention = NULL;
    is_int(attention_svg(&s, false, &out) + (int)out.length, 0, "no weights, no map");
    static const char *token[RUN_SAMPLE_TOKENS];
    float *weight = xcalloc((size_t)RUN_SAMPLE_TOKENS * RUN_SAMPLE_TOKENS, sizeof *weight);
    for (int i = 0; i < RUN_SAMPLE_TOKENS; i++)
        token[i] = "t";
    for (int i = 0; i < RUN_SAMPLE_TOKENS * RUN_SAMPLE_TOKENS; i++)
        weight[i] = 0.5f;
    s = (struct run_sample){.source_token = token,
                            .output_token = token,
                            .sources = RUN_SAMPLE_TOKENS,
                            .outputs = RUN_SAMPLE_TOKENS,
                            .attention = weight};
    ok(attention_svg(&s, false, &out) < 1000, "of 512 by 512 tokens");
    is_int(count_of(text_str(&out), "h17v17h-17z"), ATTENTION_SHOWN * ATTENTION_SHOWN,
           "the first 48 by 48 are shown");
    ok(out.length < 100000, "in %zu bytes at worst", out.length);
    text_release(&out);
    free(weight);
}

static bool make_report(struct store *s, struct report *r, bool newest, struct err *err)
{
    struct store_row *rows;
    const struct store_query q = {.newest = newest, .ok_only = true};
    const int count = store_rows(s, &q, &rows, err);
    const bool good = count >= 0 && report_gather(r, s, rows, count, err);
    free(rows);
    snprintf(r->command, sizeof r->command, "bench report");
    return good && report_write(r, scratch, err);
}

static void add_hostile(struct store_session *session)
{
    const struct run_spec spec = {
        .plugin = "<script>alert('x')</script>", .variant = "a\"b&c\t'd", .seed = 1};
    const struct store_plugin plugin = {"</title><b>", 2000, 1, 0};
    struct run_plan plan = fill_plan(&fill_nets[1], 1, 1);
    snprintf(plan.plugin, sizeof plan.plugin, "%s", spec.plugin);
    snprintf(plan.variant, sizeof plan.variant, "%s", spec.variant);
    snprintf(plan.dataset, sizeof plan.dataset, "set</td>\xff");
    struct rng rng = rng_make(1, 1);
    struct run_end end = {.status = RUN_OK,
                          .metrics = 1,
                          .last = {{"accuracy", 50}},
                          .best = {{"accuracy", 51}},
                          .step_ms_median = 2,
                          .step_ms_mad = 0.1,
                          .samples_per_s = 1e4,
                          .time_s = 3};
    struct store_run *r = store_run_begin(session, &spec, &plugin, NULL);
    (void)store_run_plan(r, &plan, NULL);
    fill_epoch(r, &fill_nets[1], 1, &rng);
    const struct run_sample said = said_hostile();
    (void)store_run_sample(r, &said, NULL);
    (void)store_run_end(r, &end, NULL);
}

static struct store *filled(int runs)
{
    struct err err = {0};
    struct store *s = store_open(scratch_path("bench.db"), STORE_WRITE, &err);
    struct store_session *session = s ? store_session_begin(s, 0, NULL, &err) : NULL;
    if (!session) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    for (int i = 0; i < runs; i++)
        (void)fill_run(session, i, 4, i % 4 >= 2);
    add_hostile(session);
    (void)store_session_end(session, 0, NULL);
    return s;
}

static void page(struct store *s, bool drawn)
{
    struct report r = {0};
    struct err err = {0};
    ok(make_report(s, &r, true, &err), "a report is written: %s", err.text);
    is_int(r.runs_count, 5, "of the newest run of each network");
    is_int(r.pictures_count, 7, "with seven pictures");
    char *html = slurp("index.html");
    const char *const wrong = unbalanced(html), *const twice = double_id(html);
    ok(strncmp(html, "<!DOCTYPE html>", 15) == 0 && !wrong, "well-formed HTML: %s",
       wrong ? wrong : "");
    ok(!twice, "no id twice: %s", twice ? twice : "");
    ok(!strstr(html, "<script") && !strstr(html, "src=") && !strstr(html, "href=\"http") &&
           !strstr(html, "@import"),
       "nothing from outside, no script");
    ok(strstr(html, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
       "a hostile name is shown as it is");
    ok(strstr(html, "lenet5:original") && strstr(html, "99.05 % (mnist)"),
       "the published number stands beside ours");
    ok(strstr(html, "<dt>cpu</dt>") && strstr(html, "<dt>compiler</dt>"),
       "machine and build are told");
    ok(strstr(html, "t_report\n"), "and how to repeat it");
    is_int(count_of(html, "<svg role="), drawn ? 7 : 0,
           drawn ? "seven pictures inside" : "no picture inside");
    is_int(count_of(html, "<figure class=\"said"), 5, "what three networks say");
    is_int(count_of(html, "<svg class=\"map\""), 3, "with maps where there is attention");
    ok(strstr(html, "<dd dir=\"auto\">&lt;/td&gt;&lt;/table&gt;&lt;!-- | `code`"),
       "hostile words are only shown");
    free(html);
    for (int i = 0; i < r.pictures_count; i++) {
        char svg[64], png[64];
        snprintf(svg, sizeof svg, "%s.svg", r.pictures[i].name);
        snprintf(png, sizeof png, "%s.png", r.pictures[i].name);
        is_int(starts_with(svg, "<?xml") && starts_with(png, "\x89PNG"), drawn,
               "%s as SVG and PNG: %s", r.pictures[i].name, drawn ? "there" : "not there");
    }
    ok(drawn == !*r.problem, "problem: '%s'", r.problem);
    report_release(&r);
}

static void data_files(void)
{
    char *curves = slurp("curves.tsv"), *runs = slurp("runs.tsv"), *md = slurp("report.md");
    is_int(count_of(curves, "\n\""), 5, "curves.tsv: a block a run");
    ok(strstr(curves, "\n4\t"), "four epochs");
    ok(strstr(runs, "\"lenet5:modern\"\t1998\t61706\t416520\t"), "runs.tsv: a line a run");
    ok(strstr(curves, "# machine: "), "with their provenance");
    ok(strstr(md, "| plugin | year |") && strstr(md, "lenet5:original"), "report.md has the table");
    ok(strstr(md,
              "\n### lenet5:modern\n\n| source | reference | output |\n| --- | --- | --- |\n| the "
              "old house. | das alte Haus. | das alte Haus da. |\n"),
       "and what is said");
    ok(strstr(md, "| \\<script\\>alert('x')\\</script\\>") && strstr(md, "\\</td\\>"),
       "hostile words included");
    const char *const map = strstr(md, "(attention_");
    char svg[64] = "";
    snprintf(svg, sizeof svg, "%.*s", map ? (int)strcspn(map + 1, ")") : 0, map ? map + 1 : "");
    ok(starts_with(svg, "<svg class=\"map\""), "with maps as files: %s", svg);
    free(curves);
    free(runs);
    free(md);
}

static void labels(struct store *s)
{
    struct report r = {0};
    struct err err = {0};
    ok(make_report(s, &r, false, &err), "a report of all good runs");
    int same = 0;
    for (int i = 0; i < r.runs_count; i++)
        for (int k = 0; k < i; k++)
            same += strcmp(r.runs[i].label, r.runs[k].label) == 0;
    is_int(same, 0, "no two runs carry one label");
    report_release(&r);
}

int main(void)
{
    numbers();
    tables();
    forms();
    lines();
    in_a_terminal();
    maps();
    scratch_make();
    struct store *s = filled(10);
    if (system("gnuplot --version >/dev/null 2>&1") == 0) {
        page(s, true);
        data_files();
        labels(s);
    } else {
        skip("gnuplot is not installed");
    }
    setenv("PATH", "/nonexistent", 1);
    page(s, false);
    data_files();
    setenv("PATH", "/usr/bin:/bin", 1);
    store_close(s);
    return done();
}
