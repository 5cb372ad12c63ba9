/* The symbol is a few bytes: reading a descriptor there would read beyond it. */
#define NAME "short"
#define NO_SYMBOL
#include "part.h"

extern __attribute__((visibility("default"))) const unsigned two_words[2] __asm__("nn_plugin");
const unsigned two_words[2] = {NN_PLUGIN_MAGIC, NN_ABI_MAJOR};
