/* peers.c — see peers.h. */
#define _GNU_SOURCE
#include "perf/peers.h"

#include <dlfcn.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 }; /* of CBLAS */

typedef void cblas_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                      int lda, const float *b, int ldb, float beta, float *c, int ldc);
typedef int dnnl_fn(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
typedef void *symbol; /* POSIX lets a function's address travel in it */

const char *const peer_names[PEERS] = {"openblas", "blis", "onednn"};

static struct peer {
    const char *files[2], *call, *threads; /* `threads` sets how many */
    bool wide;                             /* that one takes 64 bits: BLIS's dim_t */
    bool wanted;
    symbol fn, set_threads;
    char missing[160];
} peers[PEERS] = {
    {.files = {"libopenblas.so.0"}, .call = "cblas_sgemm", .threads = "openblas_set_num_threads"},
    {.files = {"libblis.so.4", "libblis.so.3"},
     .call = "cblas_sgemm",
     .threads = "bli_thread_set_num_threads",
     .wide = true},
    {.files = {"libdnnl.so.2", "libdnnl.so.3"}, .call = "dnnl_sgemm"},
};

static void load(struct peer *p, const char *name)
{
    void *so = NULL;
    p->wanted = true;
    for (int f = 0; f < 2 && p->files[f] && !so; f++)
        so = dlopen(p->files[f], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (so)
        p->fn = dlsym(so, p->call);
    if (!p->fn)
        snprintf(p->missing, sizeof p->missing, "%s is not installed (%s%s)", name, p->files[0],
                 so ? ", without its matrix product" : "");
    else if (p->threads)
        p->set_threads = dlsym(so, p->threads);
}

bool peers_load(const char *list, struct err *err)
{
    if (strcmp(list, "all") == 0)
        list = "openblas,blis,onednn";
    while (*list) {
        const size_t length = strcspn(list, ",");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)length, list);
        int p = 0;
        while (p < PEERS && strcmp(peer_names[p], name) != 0)
            p++;
        if (p == PEERS) {
            const char *const names[] = {"openblas", "blis", "onednn", "all", NULL};
            const char *const near = text_nearest(name, names);
            return err_status(
                err, EXIT_USAGE, "--vs: expected openblas, blis, onednn or all, found '%s'%s%s%s",
                name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        load(&peers[p], name);
        list += length + (list[length] == ',');
    }
    return true;
}

bool peer_wanted(int p) { return peers[p].wanted; }
bool peer_there(int p) { return peers[p].fn != NULL; }
const char *peer_missing(int p) { return peers[p].missing; }

void peer_threads(int p, int threads)
{
    const symbol set = peers[p].set_threads;
    omp_set_num_threads(threads);
    if (set && peers[p].wide)
        ((void (*)(int64_t))(intptr_t)set)(threads);
    else if (set)
        ((void (*)(int))(intptr_t)set)(threads);
}

void peer_gemm(int p, const struct kn_gemm *g, size_t i)
{
    const float *a = g->a + i * g->stride_a, *b = g->b + i * g->stride_b;
    float *c = g->c + i * g->stride_c;
    const int lda = (int)g->lda, ldb = (int)g->ldb, ldc = (int)g->ldc;
    const symbol fn = peers[p].fn;
    if (strcmp(peers[p].call, "dnnl_sgemm") == 0)
        ((dnnl_fn *)(intptr_t)fn)("NT"[g->ta], "NT"[g->tb], g -> M, g -> N, g -> K, 1.0f, a, lda, b,
                                  ldb, 0.0f, c, ldc);
    else
        ((cblas_fn *)(intptr_t)fn)(ROW_MAJOR, g->ta ? TRANS : NO_TRANS, g->tb ? TRANS : NO_TRANS,
                                   g->M, g->N, g->K, 1.0f, a, lda, b, ldb, 0.0f, c, ldc);
}
