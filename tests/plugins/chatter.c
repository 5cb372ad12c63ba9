/* build() prints on standard output, where the harness prints documents. */
#include <stdio.h>

#define NAME "chatter"
#define BODY                   \
    puts("{ this is no JSON"); \
    fflush(stdout);
#include "part.h"
