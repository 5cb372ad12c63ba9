/* plugin_check.h — what the command line does with plugins besides running them.
 * Each works in a worker process; the caller's process loads nothing. */
#ifndef PLUGIN_CHECK_H
#define PLUGIN_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Conformance of a plugin file as TAP on standard output: `bench plugin check FILE`. True when all
 * passed. A worker that dies ends the stream with "Bail out!" and its reason. */
bool plugin_check(const char *path, struct err *err);

/* All that a plugin tells, as JSON for `bench info` (the caller calls json_decref()); NULL and
 * *err where it is refused or dies:
 *   {"name","title","year","citation","about","dataset","path","abi",
 *    "variants":[{"name","about","task",
 *      "params","macs",                    counted in the graph that build() makes; or "error"
 *      "published":{"params","macs","metric","metric_name","dataset","source"},   those known
 *      "recipe":{"batch","epochs","optimizer","schedule","rate",…,"note"},        as resolved
 *      "rows":[{"row","ops","shape","params","macs"}]}]}     in the paper's order
 * `variant` (NULL: the default) comes first and alone has rows and
 *      "memory":{"batch","threads","parameters","gradients","optimizer","activations","work",
 *                "inputs","evaluation","total"}     bytes of a training run (memory.h)
 * with `batch` samples a step (-1: the recipe's) on `threads` threads (-1: all cores). All others
 * follow. */
json_t *plugin_describe(const char *path, const char *variant, int batch, int threads,
                        struct err *err);

/* Makes folder `name` with NAME.c, a Makefile that uses pkg-config bench-plugin, and a test:
 * a plugin that builds, passes plugin_check() and trains. Refuses other names than
 * small letters, digits, - and _, and folders that exist. */
bool plugin_new(const char *name, struct err *err);

#endif
