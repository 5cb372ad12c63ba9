/* html.c — see html.h. */
#include "report/html.h"

#include <string.h>

/* Bytes of the UTF-8 character at s, or 0 where there is none (RFC 3629: no overlong forms,
 * no surrogates, nothing above U+10FFFF). */
static int utf8_bytes(const unsigned char *s)
{
    static const struct {
        unsigned char from, to, low, high; /* lead bytes; bounds of the second byte */
        int bytes;
    } forms[] = {
        {0x20, 0x7e, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*s < forms[i].from || *s > forms[i].to)
            continue;
        if (forms[i].bytes > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
            return 0;
        for (int k = 2; k < forms[i].bytes; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].bytes;
    }
    return 0;
}

void html_escape(struct text *out, const char *s)
{
    static const struct {
        char plain;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    while (*s) {
        const char *entity = NULL;
        for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
            if (*s == entities[i].plain)
                entity = entities[i].entity;
        const bool blank = strchr("\t\n", *s) != NULL;
        const bool none = strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0;
        const int bytes = blank ? 1 : utf8_bytes((const unsigned char *)s);
        if (entity)
            text_add(out, "%s", entity);
        else if (bytes && !none)
            text_add_bytes(out, s, (size_t)bytes);
        else
            text_add(out, "\xef\xbf\xbd");
        s += bytes ? bytes : 1;
    }
}
