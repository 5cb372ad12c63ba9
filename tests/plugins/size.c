/* Says that it is larger than it is. */
#define NAME "size"
#define HEADER                                                                                  \
    .magic = NN_PLUGIN_MAGIC, .abi_major = NN_ABI_MAJOR, .size = sizeof(struct nn_plugin) + 64, \
    .variant_size = sizeof(struct nn_variant), .pointer_bytes = sizeof(void *),
#include "part.h"
