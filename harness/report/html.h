/* html.h — text that goes into HTML. */
#ifndef HTML_H
#define HTML_H

#include "base/text.h"

/* Adds s so that it reads as itself between tags and in quoted attributes, of HTML and of XML;
 * control characters, U+FFFE and U+FFFF, which they forbid, and bytes that are not UTF-8 become
 * U+FFFD. */
void html_escape(struct text *out, const char *s);

#endif
