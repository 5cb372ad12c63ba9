/* build() never returns. */
#include <unistd.h>

#define NAME "hang"
#define BODY \
    for (;;) \
        pause();
#include "part.h"
