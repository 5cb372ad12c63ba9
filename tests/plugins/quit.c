/* build() ends the process, politely. */
#include <stdlib.h>

#define NAME "quit"
#define BODY exit(0);
#include "part.h"
