/* samples.h — what trained networks say (struct run_sample), for people: in a terminal, on the
 * page, in its Markdown twin. Texts are anybody's: nothing of them reaches a terminal or a browser
 * but as text. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"
#include "train/run.h"

/* One line each for source, reference and output, where there are any, cut to `width` columns (0:
 * not at all); an output that is its reference, to the byte, is good. */
void samples_text(FILE *f, const struct run_sample *s, int count, int width, bool color);

/* The same as a table, texts cut to what a table bears, and the maps as files. */
void samples_markdown(const struct run_sample *s, int count, int64_t run, struct text *out);

/* Whole texts, and for each with attention its map. */
void samples_html(const struct run_sample *s, int count, int64_t run, struct text *out);

/* Attention as a map: a row an output token, a column a source token, the stronger the colour the
 * larger the weight, with a scale below. SVG, to stand in a page that has page.css or, `alone`, by
 * itself. Of more than ATTENTION_SHOWN tokens the first are shown. Its width in pixels; 0, and
 * nothing is added, where there is no weight above 0. */
enum { ATTENTION_SHOWN = 48 };
int attention_svg(const struct run_sample *s, bool alone, struct text *out);

/* "attention_12_1": the file, without .svg, for the map of sample ix (from 0) of a run. */
enum { SAMPLES_NAME = 48 };
const char *samples_name(int64_t run, int ix, char text[SAMPLES_NAME]);

/* A copy in one line of at most `most` columns (0: no limit), spaces at its ends and control
 * characters made visible. `token`: all spaces. */
void samples_line(const char *s, int most, bool token, struct text *out);

#endif
