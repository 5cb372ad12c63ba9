/* build() dies as by a wild pointer. */
#include <signal.h>

#define NAME "crash"
#define BODY raise(SIGSEGV);
#include "part.h"
