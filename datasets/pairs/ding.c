/* ding.c — sentences of a Ding dictionary (Debian's trans-de-en: Frank Richter, TU Chemnitz,
 * GPL-2+).
 *
 *     # comment
 *     Wetter {n} | Wie ist das Wetter?; Wie wird es? :: weather | What's the weather like?
 *
 * German :: English; " | " between sub-entries, as many on either side; ";" between alternatives,
 * of which the first is taken; notes in {} [] () are dropped. Pairs are kept of which both sides
 * end as sentences do, with . ! or ?, and are turned round: English to German. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "datasets/pairs/pairs.h"
#include "datasets/text/textfile.h"

enum { ENTRY_BYTES = 512 };

struct span {
    const char *from, *to;
};

/* The first of what `between` separates in *rest, which becomes the rest; false when there was
 * none. */
static bool next_part(struct span *rest, const char *between, struct span *part)
{
    if (!rest->from)
        return false;
    const char *end = memmem(rest->from, (size_t)(rest->to - rest->from), between, strlen(between));
    *part = (struct span){rest->from, end ? end : rest->to};
    rest->from = end ? end + strlen(between) : NULL;
    return true;
}

/* The first alternative, without notes and with single spaces. 0 if it is too long. */
static size_t plain(struct span s, char out[ENTRY_BYTES])
{
    size_t n = 0, depth = 0;
    for (const char *p = s.from; p < s.to && !(depth == 0 && *p == ';'); p++) {
        if (strchr("{[(", *p))
            depth++;
        else if (strchr("}])", *p))
            depth -= depth > 0;
        else if (depth == 0 && !(*p == ' ' && (n == 0 || out[n - 1] == ' '))) {
            if (n == ENTRY_BYTES)
                return 0;
            out[n++] = *p;
        }
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    return n;
}

static bool is_sentence(const char *s, size_t n) { return n > 1 && strchr(".!?", s[n - 1]); }

static size_t count_parts(struct span side)
{
    struct span part;
    size_t n = 0;
    while (next_part(&side, " | ", &part))
        n++;
    return n;
}

/* Sub-entries of a line that are sentences on either side. */
static void add_entry(struct pairs *p, struct span german, struct span english)
{
    struct span a, b;
    char from[ENTRY_BYTES], to[ENTRY_BYTES];
    if (count_parts(german) != count_parts(english))
        return;
    while (next_part(&german, " | ", &a) && next_part(&english, " | ", &b)) {
        const size_t n = plain(b, from), m = plain(a, to);
        if (is_sentence(from, n) && is_sentence(to, m))
            (void)pairs_add(p, PAIR_BY_HASH, from, n, to, m);
    }
}

bool ding_read(const char *folder, struct pairs *p, struct text *notes, struct err *err)
{
    struct text_file f;
    struct text_report r = {0};
    struct text_line line = {0};
    char *path = xprintf("%s/de-en", folder);
    bool fine = text_file_read(path, &f, err);
    for (size_t at = 0; fine && text_file_next(&f, &at, &line);) {
        struct span whole = {line.text, line.text + line.n}, german;
        text_report_line(&r, &line);
        if (line.kind != LINE_GOOD || line.text[0] == '#')
            continue;
        if (next_part(&whole, " :: ", &german) && whole.from)
            add_entry(p, german, whole);
        else
            text_report_other(&r, &line);
    }
    if (fine) {
        fine = text_report_end(&r, path, true, "without ::", notes, err);
        text_file_release(&f);
    }
    free(path);
    return fine;
}
