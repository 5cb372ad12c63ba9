/* A note, but nothing behind it. */
#define NAME "no-symbol"
#define NO_SYMBOL
#include "part.h"
