/* A momentum that makes speed grow without end. */
#define NAME   "recipe"
#define RECIPE .momentum = 1.5f,
#include "part.h"
