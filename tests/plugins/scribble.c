/* build() writes into descriptors that are not its own. */
#include <unistd.h>

#define NAME "scribble"
#define BODY                                \
    if (write(4, "hello, harness", 14) < 0) \
        return;
#include "part.h"
