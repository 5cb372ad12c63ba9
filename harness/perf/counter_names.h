/* counter_names.h — what events are called here; see counters.h. The one list of names: each
 * source has a table from them to its own. */
#ifndef COUNTER_NAMES_H
#define COUNTER_NAMES_H

#include <stdbool.h>

/* All of ours, NULL at the end, and what each counts. */
const char *const *counter_names(void);
const char *counter_about(const char *name);

/* Ours for what a person typed ("L2miss" is "l2-misses"), or NULL. */
const char *counter_our_name(const char *typed);

/* Whether two words mean one event: case, '-', '_' and the plural do not count. */
bool counter_same(const char *a, const char *b);

#endif
