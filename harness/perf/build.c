/* build.c — which code this is: commit, compiler, flags, library; see environment.h.
 * build_info.h is written by the Makefile and changes only when the facts do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/sha256.h"
#include "base/text.h"
#include "build_info.h"
#include "kernels/kernels.h"
#include "perf/environment.h"

#if defined __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

void file_fingerprint(const char *path, char hex[FINGERPRINT])
{
    static unsigned char block[1 << 16];
    struct sha256 s = sha256_begin();
    FILE *f = fopen(path, "rb");
    *hex = '\0';
    if (!f)
        return;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        sha256_add(&s, block, n);
    if (!ferror(f))
        sha256_end(&s, hex);
    fclose(f);
}

void build_read(struct build *b)
{
    *b = (struct build){.commit_ms = BUILD_COMMIT_S * INT64_C(1000),
                        .dirty = BUILD_DIRTY,
                        .cflags = BUILD_FLAGS,
                        .ldflags = BUILD_LDFLAGS};
    snprintf(b->commit, FACT, "%s", BUILD_COMMIT);
    snprintf(b->branch, FACT, "%s", BUILD_BRANCH);
    snprintf(b->diff_sha256, FINGERPRINT, "%s", BUILD_DIFF);
    snprintf(b->compiler, FACT, "%s", COMPILER);
    snprintf(b->version, FACT, "%s", BENCH_VERSION);

    Dl_info library;
    if (dladdr((const void *)&kn_tables, &library) && library.dli_fname)
        file_fingerprint(library.dli_fname, b->lib_sha256);

    struct text facts = {0};
    text_add(&facts, "%s|%d|%s|%s|%s|%s|%s|%s", b->commit, (int)b->dirty, b->diff_sha256,
             b->compiler, b->version, b->cflags, b->ldflags, b->lib_sha256);
    sha256_of(text_str(&facts), facts.length, b->fp);
    text_release(&facts);
}
