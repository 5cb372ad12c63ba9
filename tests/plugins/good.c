/* Nothing wrong: the others differ from this one in one thing. */
#define NAME "good"
#include "part.h"
