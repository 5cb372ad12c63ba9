/* build() writes the bytes of the file $BENCH_FORGED, once, where the worker's own frames go:
 * frames that no worker of ours would send, and those that none of our networks sends yet. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void forge(void)
{
    static char bytes[1 << 16];
    static int done;
    const char *const name = getenv("BENCH_FORGED");
    const int fd = name && !done++ ? open(name, O_RDONLY) : -1;
    for (ssize_t n; fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0;)
        for (ssize_t at = 0, went; at < n; at += went)
            if ((went = write(4, bytes + at, (size_t)(n - at))) <= 0)
                return;
}

#define NAME "forge"
#define BODY forge();
#include "part.h"
