/* One parameter more than it publishes. */
#define NAME "published"
#define PUBLISHED                    \
    {                                \
        .params = 7849, .macs = 7840 \
    }
#include "part.h"
