/* Built for the next ABI. */
#define NAME "abi-major"
#define HEADER                                                                                 \
    .magic = NN_PLUGIN_MAGIC, .abi_major = NN_ABI_MAJOR + 1, .size = sizeof(struct nn_plugin), \
    .variant_size = sizeof(struct nn_variant), .pointer_bytes = sizeof(void *),
#include "part.h"
