/* peers.h — the matrix multiply of OpenBLAS, BLIS and oneDNN, loaded at run time where they are
 * installed and never linked, so that ours can be measured beside theirs. */
#ifndef PEERS_H
#define PEERS_H

#include "base/err.h"
#include "kernels/kernels.h"

enum { PEERS = 3 };
extern const char *const peer_names[PEERS]; /* "openblas", "blis", "onednn" */

/* Loads those named in a list with commas; "all" for all. False for a name that is unknown; a
 * library that is not there is no error. */
bool peers_load(const char *list, struct err *err);

bool peer_wanted(int p);
bool peer_there(int p);
const char *peer_missing(int p); /* why a wanted one is not there; "" where it is */

/* How many threads the next products of p may use. */
void peer_threads(int p, int threads);

/* C = op(A) op(B) of product `i` of a batch; the epilogue of g is ignored. */
void peer_gemm(int p, const struct kn_gemm *g, size_t i);

#endif
