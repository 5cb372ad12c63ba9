/* err.c — see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format(struct err *err, int status, const char *fmt, va_list ap)
{
    if (!err)
        return;
    err->status = status;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
}

bool err_set(struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format(err, err && err->status ? err->status : EXIT_INTERNAL, fmt, ap);
    va_end(ap);
    return false;
}

bool err_status(struct err *err, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format(err, status, fmt, ap);
    va_end(ap);
    return false;
}

bool err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return false;
    char head[ERR_TEXT], whole[2 * ERR_TEXT + 4];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s: %s", head, err->text);
    whole[sizeof err->text - 1] = '\0';
    memcpy(err->text, whole, strlen(whole) + 1);
    return false;
}
