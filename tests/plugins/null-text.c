/* The citation is missing. */
#define NAME     "null-text"
#define CITATION 0
#include "part.h"
