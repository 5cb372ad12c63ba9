/* format.c — see format.h. */
#define _GNU_SOURCE
#include "report/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *unknown(char b[FORMAT_TEXT])
{
    snprintf(b, FORMAT_TEXT, "–");
    return b;
}

const char *format_fixed(double x, int decimals, char b[FORMAT_TEXT])
{
    if (!isfinite(x))
        return unknown(b);
    snprintf(b, FORMAT_TEXT, "%.*f", decimals, x);
    return b;
}

const char *format_digits(double x, int digits, char b[FORMAT_TEXT])
{
    if (!isfinite(x))
        return unknown(b);
    int decimals = digits - 1;
    if (x != 0) { /* rounding may carry into a new digit: 9.996 has three in "10.0" */
        char e[FORMAT_TEXT];
        snprintf(e, sizeof e, "%.*e", digits - 1, x);
        decimals -= (int)strtol(strchr(e, 'e') + 1, NULL, 10);
    }
    return format_fixed(x, decimals < 0 ? 0 : decimals > 12 ? 12 : decimals, b);
}

bool format_is_percent(const char *metric)
{
    return strstr(metric, "accuracy") || strcmp(metric, "exact") == 0 || strchr(metric, '%');
}

const char *format_metric(const char *metric, double x, char b[FORMAT_TEXT])
{
    const double tiny = 1e-4; /* below which zeros would hide what a number is */
    if (!format_is_percent(metric) && x != 0 && fabs(x) < tiny) {
        snprintf(b, FORMAT_TEXT, "%.3e", x);
        return b;
    }
    return format_is_percent(metric) ? format_fixed(x, 2, b) : format_digits(x, 4, b);
}

/* x as a multiple of the largest unit not above it. */
static const char *scaled(double x, double base, const char *const units[], char b[FORMAT_TEXT])
{
    if (!isfinite(x))
        return unknown(b);
    int unit = 0;
    while (fabs(x) >= base * 0.9995 && units[unit + 1]) {
        x /= base;
        unit++;
    }
    char number[FORMAT_TEXT];
    if (unit == 0 && x == floor(x))
        snprintf(number, sizeof number, "%.0f", x);
    else
        format_digits(x, 3, number);
    snprintf(b, FORMAT_TEXT, "%.20s%s%s", number, *units[unit] ? " " : "", units[unit]);
    return b;
}

const char *format_si(double x, char b[FORMAT_TEXT])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};
    return scaled(x, 1000, units, b);
}

const char *format_bytes(double bytes, char b[FORMAT_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(bytes, 1024, units, b);
}

const char *format_count(double x, char b[FORMAT_TEXT])
{
    if (!isfinite(x))
        return unknown(b);
    char digits[FORMAT_TEXT];
    const int n = snprintf(digits, sizeof digits, "%.0f", fabs(x));
    if (n > 20)
        return format_si(x, b);
    char *to = b;
    if (x < 0)
        *to++ = '-';
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            *to++ = ' ';
        *to++ = digits[i];
    }
    *to = '\0';
    return b;
}

const char *format_seconds(double s, char b[FORMAT_TEXT])
{
    static const struct {
        double below, times;
        const char *unit;
    } units[] = {
        {0.9995e-6, 1e9, "ns"}, {0.9995e-3, 1e6, "µs"}, {0.9995, 1e3, "ms"}, {59.95, 1, "s"}};
    if (!isfinite(s) || s < 0)
        return unknown(b);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (s >= units[i].below)
            continue;
        char number[FORMAT_TEXT];
        snprintf(b, FORMAT_TEXT, "%.20s %s", format_digits(s * units[i].times, 3, number),
                 units[i].unit);
        return b;
    }
    const long long whole = llround(s);
    if (whole < 3600)
        snprintf(b, FORMAT_TEXT, "%lld min %02lld s", whole / 60, whole % 60);
    else
        snprintf(b, FORMAT_TEXT, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
    return b;
}

const char *format_when(int64_t unix_ms, char b[FORMAT_TEXT])
{
    const time_t t = (time_t)(unix_ms / 1000);
    struct tm local;
    if (unix_ms <= 0 || !localtime_r(&t, &local))
        return unknown(b);
    strftime(b, FORMAT_TEXT, "%Y-%m-%d %H:%M", &local);
    return b;
}
