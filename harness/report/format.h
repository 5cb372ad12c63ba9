/* format.h — numbers for people: three significant digits and an SI prefix. Each writes
 * into `b` and returns it; what is not known (NAN) becomes an en dash. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FORMAT_TEXT = 32 };

const char *format_si(double x, char b[FORMAT_TEXT]);                  /* 61.7 k, 416 M */
const char *format_count(double x, char b[FORMAT_TEXT]);               /* 61 706 */
const char *format_bytes(double bytes, char b[FORMAT_TEXT]);           /* 3.42 MiB */
const char *format_fixed(double x, int decimals, char b[FORMAT_TEXT]); /* 91.03 */
const char *format_digits(double x, int digits, char b[FORMAT_TEXT]); /* significant; never 1e+03 */
/* A metric's value without its unit: percentages 91.03, all else four digits: 0.0003412. */
const char *format_metric(const char *metric, double x, char b[FORMAT_TEXT]);
bool format_is_percent(const char *metric); /* accuracy, exact, or a name that says % */
const char *format_seconds(double s, char b[FORMAT_TEXT]);     /* 380 ms, 12.3 s, 3 min 05 s */
const char *format_when(int64_t unix_ms, char b[FORMAT_TEXT]); /* 2026-11-23 18:05, local time */

#endif
