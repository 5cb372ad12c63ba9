/* table.h — a table is filled once and written in any form: aligned text, Markdown, HTML, CSV.
 *
 *     struct table *t = table_new(columns, count);
 *     table_cell(t, "lenet5:modern"); table_cell(t, "%s", format_si(params, b)); ...
 *     table_text(t, stdout, table_width(stdout), color);
 *     table_free(t);
 *
 * Cells are UTF-8, filled row by row. In text, numbers stand right-aligned under their
 * titles; a table wider than the terminal loses its least important columns, then the
 * ends of its widest words, and says so by an ellipsis. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"
#include "store/store.h"

struct table_column {
    const char *title;
    bool right; /* numbers */
    int rank;   /* 0: always shown; the higher, the sooner it is dropped on a narrow terminal */
};

struct table;
struct table *table_new(const struct table_column *columns, int count); /* columns: borrowed */
void table_free(struct table *t);

__attribute__((format(printf, 2, 3))) void table_cell(struct table *t, const char *fmt, ...);

/* Colours of the cell added last; plain in every form but text and HTML. */
enum table_tone { TONE_PLAIN, TONE_STRONG, TONE_DIM, TONE_GOOD, TONE_BAD };
void table_tone(struct table *t, int tone);

int table_rows(const struct table *t);

/* `width` 0: as wide as it comes. */
void table_text(const struct table *t, FILE *f, int width, bool color);
void table_markdown(const struct table *t, struct text *out);
void table_html(const struct table *t, struct text *out);
void table_csv(const struct table *t, FILE *f);

/* Columns of the terminal behind f; 0 when it is none ($COLUMNS is heeded where it is one). */
int table_width(FILE *f);

/* Columns that a UTF-8 string takes on a terminal. */
int table_columns_of(const char *utf8);

/* Bytes of the character at utf8, and its columns: 0 for a mark that combines with the one before,
 * -1 for what is not to be shown, such as control characters. */
int table_character(const char *utf8, int *columns);

/* ------------------------------------------------------------- ready-made tables */

/* The comparison of runs that ends `bench run` and begins a report: plugin, year, parameters, MACs,
 * quality (best, last), published quality, time, samples/s, step time; failed runs say why. */
struct table *report_runs(const struct store_row *rows, int count);

/* report_runs() to a terminal or file, with a line under it for every mark it uses. */
void report_table_runs(FILE *f, const struct store_row *rows, int count, bool color);

#endif
