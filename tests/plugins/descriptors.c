/* build() dies where it finds descriptors that are none of a worker's business. */
#include <fcntl.h>
#include <stdlib.h>

#define NAME "descriptors"
#define BODY look();
static void look(void)
{
    for (int fd = 5; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            abort();
}
#include "part.h"
