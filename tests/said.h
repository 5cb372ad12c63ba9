/* said.h — things that a network could have said, harmless and hostile, for tests. */
#ifndef SAID_H
#define SAID_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/run.h"

/* A translation of four words into five, with weights that add up to 1. */
static inline struct run_sample said_plain(void)
{
    static const char *const source[] = {"the", "old", "house", "."};
    static const char *const output[] = {"das", "alte", "Haus", "da", "."};
    static const float weight[] = {0.8f, 0.15f, 0.05f, 0, 0.1f, 0.85f, 0.05f, 0,    0, 0.05f,
                                   0.9f, 0.05f, 0.1f,  0, 0.5f, 0.4f,  0,     0.1f, 0, 0.9f};
    return (struct run_sample){
        "the old house.", "das alte Haus.", "das alte Haus da.", source, output, 4, 5, weight};
}

/* A continuation: no source, no reference, no attention. */
static inline struct run_sample said_alone(void)
{
    return (struct run_sample){.output = "Once upon a time\nthere was\ta \"network\"."};
}

/* Whatever can break a page, a table or a terminal. */
static inline struct run_sample said_hostile(void)
{
    static const char *const source[] = {"<script>alert(1)</script>", "a\"b'c&d", "\n", " ",
                                         "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"};
    static const char *const output[] = {
        "]]></style>",
        "\x1b[31mred",
        "\xe2\x80\xaetxet",
        "Donaudampfschifffahrtselektrizit\xc3\xa4tenhauptbetriebswerkbauunterbeamtengesellschaft",
        "\xef\xbf\xbf",
        "|`*_"};
    static float weight[30];
    for (int i = 0; i < 30; i++)
        weight[i] = (float)(i % 7) / 7;
    weight[3] = NAN;
    weight[4] = INFINITY;
    weight[5] = -1;
    weight[6] = 1e30f;
    return (struct run_sample){
        "<script>alert('x')</script> \x07\x1b[2J \xe2\x80\xae"
        "esrever",
        "</td></table><!-- | `code` *bold* \\",
        "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd8\xb3\xd9\x84\xd8\xa7\xd9\x85 "
        "\xe6\x97\xa5\xe6\x9c\xac",
        source,
        output,
        5,
        6,
        weight};
}

static inline bool said_same_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* NULL and "" are the same; a weight that is no number is the same as any other such. */
static inline bool said_same(const struct run_sample *a, const struct run_sample *b)
{
    bool same = said_same_texts(a->source, b->source) &&
                said_same_texts(a->reference, b->reference) &&
                said_same_texts(a->output, b->output) && a->sources == b->sources &&
                a->outputs == b->outputs && !a->attention == !b->attention;
    for (int i = 0; same && i < a->sources; i++)
        same = said_same_texts(a->source_token[i], b->source_token[i]);
    for (int i = 0; same && i < a->outputs; i++)
        same = said_same_texts(a->output_token[i], b->output_token[i]);
    for (int i = 0; same && a->attention && i < a->sources * a->outputs; i++)
        same = a->attention[i] == b->attention[i] ||
               (!isfinite(a->attention[i]) && isnan(b->attention[i]));
    return same;
}

#endif
