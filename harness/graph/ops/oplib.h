/* oplib.h — what the files of this folder share.
 *
 * One family of operations a file, always in this order: the formula and its
 * gradient at the head, run() and what belongs to it, grad(), the constructor of
 * nn.h, and the struct op as the last lines. run() is called by every thread of
 * the crew and takes its share; the executor waits between steps, so run() waits
 * only where one thread reads what another has written.
 *
 * flops() is a formula of the shapes, by the convention of kernels/count.h; the audit
 * at the start of every training run (program_audit()) holds it against what the
 * kernels count. What run() computes without a kernel it adds to kn_flops. MACs are the multiply-adds of convolutions, linear layers and
 * matrix products, and only over the wires that a connection table leaves. */
#ifndef OPLIB_H
#define OPLIB_H

#include "graph/graph.h"
#include "kernels/count.h"

/* ---------------------------------------------------------------- building */

/* A value that an earlier, reported, error has left without a node. */
static inline bool failed(nn_value v) { return !v.graph || v.id < 0; }

/* True if x is of `type` and its rank is in [low, high]; else reports it for `op` and returns
 * false. False without a report if x has failed before. */
bool operand_ok(nn_value x, int type, int low, int high, const char *op, const char *at);

/* The same for ops that work along the last axis: it must also be last in memory, which
 * it is not in images (channels are). */
bool operand_rows_ok(nn_value x, int type, const char *op, const char *at);

/* The same for x [N,K] or [N,T,K] of floats and one integer for each of its rows. */
bool rows_with_labels_ok(nn_value x, nn_value label, const char *op, const char *at);

/* Appends v to the inputs of a node that is being made, if there is v, and notes its place in
 * attr.at_in[which]. */
void take_input(nn_value *in, int *count, struct attr *attr, int which, nn_value v);

/* Input `which` of node `id`, without a node if there is none; does it lead to a parameter? */
nn_value optional_in_of(struct nn_graph *g, int id, int which);
bool optional_wanted(const struct nn_graph *g, int id, int which);

/* Appends a node with the shape and type of node `like`. */
nn_value emit(struct nn_graph *g, const struct op *op, int like, struct attr attr, int inputs,
              const nn_value *in);
#define EMIT(g, op, like, attr, ...)                                                             \
    emit((g), (op), (like), (attr), (int)(sizeof((nn_value[]){__VA_ARGS__}) / sizeof(nn_value)), \
         (nn_value[]){__VA_ARGS__})
#define NO_ATTR ((struct attr){0})

/* The attributes of a forward node as its backward nodes get them: nothing fused, no bias. */
struct attr attr_unfused(const struct attr *a);

/* How a bias starts: at 0 unless the plugin says otherwise. */
static inline struct nn_init bias_init(struct nn_init given)
{
    return given.kind == NN_INIT_DEFAULT ? NN_ZEROS : given;
}

static inline const struct node *input_of(const struct nn_graph *g, const struct node *n, int i)
{
    return &g->node[n->in[i]];
}

/* ------------------------------------------------------------------ shapes */

/* Is the order in memory the logical one? (graph.h: rank 4 is stored channels-last.) */
bool shape_ordered(const struct nn_shape *s);

/* Where element `logical` of a PLAIN tensor is stored; slow, for rare paths. */
size_t shape_stored_at(const struct nn_shape *s, size_t logical);

/* A tensor in memory order as three nested loops around one logical axis. */
struct around {
    size_t outer, n, inner;
};
struct around shape_around(const struct nn_shape *s, int axis);

/* A tensor as rows of C channels, each a run of `lanes` floats: axis 1 of images in
 * their layout, the last axis of anything else. */
struct channels {
    size_t rows, C, lanes;
};
struct channels channels_of(const struct node *n);

/* ----------------------------------------------------------------- running */

struct range {
    size_t from, to;
};

static inline struct range share_of(const struct crew *crew, size_t n, size_t grain)
{
    struct range r;
    crew_share(crew, n, grain, &r.from, &r.to);
    return r;
}

/* This thread's elements of the output: whole cache lines, in runs worth a call. */
static inline struct range share_elements(const struct step *s, const struct crew *crew)
{
    return share_of(crew, shape_elements(&s->node->shape), 256);
}

/* An input that may be missing. */
static inline const void *optional_in(const struct step *s, int which)
{
    const int k = s->node->attr.at_in[which];
    return k ? s->in[k] : NULL;
}

/* What y, whose output is at `out`, keeps behind it (attr.behind). */
static inline float *record_at(const struct node *y, const void *out)
{
    return (float *)(uintptr_t)out + shape_moments_at(y);
}

/* A gradient of the shape of node `like` that the node of `made` has left behind y, `from` floats
 * further on: left.c. */
nn_value left_behind(nn_value made, nn_value y, int like, size_t from);

/* Where a recurrent layer that attends keeps its alpha [N,T,S] behind y. */
size_t recurrent_alpha_at(const struct node *y);

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* out[c] = factor * sum over rows and lanes of x (dy NULL) or of x dy, for all C channels. Sums
 * are cut into pieces by the size of the tensor alone, and the pieces are added in order: the
 * same bits for any number of threads. `work` holds column_sums_work() bytes. Waits inside. */
void column_sums(const struct crew *crew, struct channels c, float factor, const float *x,
                 const float *dy, float *out, float *work);
size_t column_sums_work(struct channels c);

/* The same for an op that sums while it makes the rows: so many pieces, which rows each has, its
 * sums into work [pieces][C]; and the end, once all are there. Waits first. */
size_t column_pieces(struct channels c);
struct range piece_rows(struct channels c, size_t piece);
void sum_piece(struct channels c, size_t piece, const float *x, const float *dy, float *work);
void add_pieces(const struct crew *crew, struct channels c, float factor, float *out, float *work);

/* Copies `outer` blocks of `length` elements; blocks start sx and sy elements apart. x NULL
 * writes zeros. Elements are four bytes of any type. */
void copy_blocks(const struct crew *crew, size_t outer, size_t length, const float *x, size_t sx,
                 float *y, size_t sy);

/* Products one after the other, in the same scratch of gemms_work() bytes. */
void run_gemms(const struct kn_gemm *gemm, int count, const struct crew *crew, void *work);
size_t gemms_work(const struct kn_gemm *gemm, int count, int threads);

/* The epilogue that fuse.c has moved into this step, and its bias. */
struct kn_epilogue epilogue_of(const struct step *s);

/* y = act(y) for a fused attr.act; nothing without one. */
void act_in_place(const struct attr *a, size_t n, float *y);

/* FLOPs of that epilogue over the whole output. */
double epilogue_flops(const struct node *n);

#endif
