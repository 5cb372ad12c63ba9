/* counter_names.c — see counter_names.h. */
#include "perf/counter_names.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { WORD = 64 };

/* clang-format off */
static const struct {
    const char *name, *about;
} events[] = {
    {"cycles",            "core cycles in user mode"},
    {"ref-cycles",        "cycles of a clock that never changes"},
    {"instructions",      "instructions retired in user mode"},
    {"branches",          "branches retired"},
    {"branch-misses",     "branches mispredicted"},
    {"l1d-loads",         "loads that ask the first-level data cache"},
    {"l1d-misses",        "loads that miss it"},
    {"l2-accesses",       "accesses of the second-level cache"},
    {"l2-misses",         "accesses that miss it"},
    {"llc-loads",         "loads that ask the last-level cache"},
    {"llc-misses",        "loads that miss it"},
    {"cache-references",  "accesses of the last-level cache, as the CPU's maker defines it"},
    {"cache-misses",      "those that miss"},
    {"dtlb-misses",       "loads whose page is not in the data TLB"},
    {"itlb-misses",       "instructions whose page is not in the instruction TLB"},
    {"stalled-frontend",  "cycles in which no instruction could be issued for want of one"},
    {"stalled-backend",   "cycles in which none could be for want of data or units"},
    {"flops-f32",         "floating-point operations, single precision"},
    {"vector-f32",        "vector instructions, single precision"},
    {"task-clock",        "nanoseconds on a CPU, all threads"},
    {"page-faults",       "pages that were not mapped when touched"},
    {"minor-faults",      "of them, those served from memory"},
    {"major-faults",      "of them, those read from disk"},
    {"context-switches",  "times that a thread left its CPU"},
    {"cpu-migrations",    "times that a thread changed its CPU"},
    {"voluntary-switches",   "context switches to wait for something"},
    {"involuntary-switches", "context switches because others wanted the CPU"},
    {"user-time",         "microseconds in user mode"},
    {"system-time",       "microseconds in the kernel"},
};
/* clang-format on */
enum { EVENTS = sizeof events / sizeof *events };

const char *const *counter_names(void)
{
    static const char *names[EVENTS + 1];
    for (int i = 0; i < EVENTS; i++)
        names[i] = events[i].name;
    return names;
}

const char *counter_about(const char *name)
{
    for (int i = 0; i < EVENTS; i++)
        if (strcmp(events[i].name, name) == 0)
            return events[i].about;
    return "";
}

/* "L2_Misses" -> "l2miss". */
static void plain(const char *word, char to[WORD])
{
    size_t n = 0;
    for (; *word && n < WORD - 1; word++)
        if (*word != '-' && *word != '_')
            to[n++] = (char)tolower((unsigned char)*word);
    to[n] = '\0';
    if (n > 4 && strcmp(to + n - 4, "sses") == 0)
        to[n - 2] = '\0';
    else if (n > 2 && to[n - 1] == 's' && to[n - 2] != 's')
        to[n - 1] = '\0';
}

bool counter_same(const char *a, const char *b)
{
    char x[WORD], y[WORD];
    plain(a, x);
    plain(b, y);
    return strcmp(x, y) == 0;
}

const char *counter_our_name(const char *typed)
{
    for (int i = 0; i < EVENTS; i++)
        if (counter_same(events[i].name, typed))
            return events[i].name;
    return NULL;
}
