/* plugin_task.h — the worker's half of plugin_check.h. Both return a new reference. */
#ifndef PLUGIN_TASK_H
#define PLUGIN_TASK_H

#include <jansson.h>

/* The document of plugin_describe(), or {"error":text,"status":n}. */
json_t *plugin_task_describe(const json_t *job, void (*say)(const char *what));

/* Prints TAP; {"failed":n}. */
json_t *plugin_task_check(const json_t *job, void (*say)(const char *what));

#endif
