/* environment.h — what a number depends on besides the code: the machine, the state it is
 * in, and the build. Gathered from /proc, /sys and system calls in a few milliseconds; what
 * cannot be read is unknown ("" or a negative number), never guessed. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { FACT = 96, FINGERPRINT = 65 };

struct machine {
    char cpu[FACT], arch[FACT], isa[FACT], hypervisor[FACT]; /* hypervisor "none" on bare metal */
    int64_t sockets, cores, threads;                         /* cores: physical */
    int64_t l1d, l2, l3, ram;                                /* bytes */
    char fp[FINGERPRINT];
};

struct environment {
    struct machine machine;
    char kernel[FACT], os[FACT], libc[FACT], microcode[FACT], governor[FACT], thp[FACT];
    int64_t boost, smt, aslr; /* aslr: 0, 1 or 2 as in randomize_va_space */
    double cgroup_quota;      /* CPUs; NAN where unlimited or unknown */
    char pmu[FACT];           /* "hardware", "software", or "" where counting is forbidden */
    char isolated[FACT];      /* CPUs that the scheduler leaves alone: "2-3"; "" none or unknown */
    char libraries[512];      /* as JSON: {"sqlite":"3.40.1", …}, as loaded */
    char fp[FINGERPRINT];     /* of all above */
};

void environment_read(struct environment *e);

struct build {
    char commit[FACT], branch[FACT]; /* "" for a build outside git */
    int64_t commit_ms, dirty;        /* dirty: the tree differed from the commit */
    char diff_sha256[FINGERPRINT];   /* of `git diff HEAD`, when dirty */
    char compiler[FACT], version[FACT];
    char lib_sha256[FINGERPRINT]; /* of the loaded libnn.so, or of the program without one */
    const char *cflags, *ldflags;
    char fp[FINGERPRINT];
};

void build_read(struct build *b);

/* Versions of the libraries that this process has loaded, as a JSON object. */
void libraries_read(char *json, int size);

/* SHA-256 of a file in hex; "" when it cannot be read. */
void file_fingerprint(const char *path, char hex[FINGERPRINT]);

#endif
