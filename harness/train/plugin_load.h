/* plugin_load.h — a plugin in this process. Only workers include this.
 *
 * The object is loaded with RTLD_NOW | RTLD_LOCAL and never unloaded. Nothing of
 * its descriptor is believed before magic, ABI and sizes were checked; then
 * everything is copied into structs as large as ours, so that fields which an
 * older plugin does not have are 0 and those of a newer one are left out. */
#ifndef PLUGIN_LOAD_H
#define PLUGIN_LOAD_H

#include <stdbool.h>

#include "base/err.h"
#include "plugin.h"

struct plugin {
    const struct nn_plugin *raw; /* in the object */
    struct nn_plugin facts;      /* the copy; facts.variants and facts.recipe point to copies too */
    int variants;
    struct arena *arena; /* of all copies */
};

/* Refusals have status EXIT_PLUGIN and name file, field, found and expected. */
__attribute__((warn_unused_result)) bool plugin_open(const char *path, struct plugin *p,
                                                     struct err *err);
void plugin_close(struct plugin *p); /* frees the copies; the object stays */

/* The variant, the first for NULL; or NULL and a suggestion. */
const struct nn_variant *plugin_variant(const struct plugin *p, const char *name, struct err *err);

/* Its recipe: its own or the plugin's. Never NULL. */
const struct nn_recipe *plugin_recipe(const struct plugin *p, const struct nn_variant *v);

#endif
