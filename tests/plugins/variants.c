/* The note promises a variant that is not there. */
#define NAME    "variants"
#define IN_NOTE "plain fancy"
#include "part.h"
