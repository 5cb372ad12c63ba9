/* Dies while it is loaded, before anybody has asked it anything. */
#include <stdlib.h>

#define NAME "crash-load"
#include "part.h"

__attribute__((constructor)) static void die(void) { abort(); }
