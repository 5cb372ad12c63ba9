/* graph.h — the inside of the graph: nodes, ops, and what an op can do.
 *
 * A graph is an array of nodes in topological order. build() appends forward
 * nodes through nn.h; grad.c appends the backward pass, which is made of ordinary
 * nodes; layout.c and fuse.c rewrite; plan.c places; exec.c runs. Only the files
 * of this folder include this header. */
#ifndef GRAPH_H
#define GRAPH_H

#include "base/crew.h"
#include "base/err.h"
#include "base/mem.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "nn.h"

enum { NODE_INPUTS = 16, ROW_TEXT = 32 };

enum layout { PLAIN, LANES };                        /* kernels.h on lanes; PLAIN rank 4 is NHWC */
enum pass { FORWARD, BACKWARD, UPDATE, FEED };

/* Every op, once: OP(name). Included for the table and by tests/t_grad.c. */
extern const struct op *const all_ops[]; /* NULL-terminated */
#define OP(name) extern const struct op op_##name;
#include "graph/ops.def"
#undef OP

/* Inputs that a recurrent layer, attention, or their gradients, may have: attr.at_in[]. OWN: peepholes, or
 * a bias; ATTENDED: how many keys. */
enum {
    AT_LENGTH, AT_H0, AT_C0, AT_OWN, AT_DY, AT_DC_END,
    AT_KEYS, AT_VALUES, AT_ATTENDED, AT_V, AT_INPUT_WEIGHT, AT_QUERY_WEIGHT, AT_DCONTEXT, AT_INPUTS
};

/* What is particular to a node; which fields mean something stands at the head of its op's
 * file. Small enough to copy. */
struct attr {
    float a, b;                      /* factors: scale's c, tanh's inner and outer, dropout's p */
    int axis, from, to;              /* from of an input: which result of options.given it is, counted from 1 */
    int kernel, stride, pad, groups; /* groups of conv2d: at least 1 */
    int algo;                        /* enum conv_algo of conv2d; CONV_AUTO unless forced */
    bool ta, tb;
    const char *const *connect;      /* conv2d, as in nn.h */
    const uint8_t *mask;             /* [O][C], made from connect; owned by the graph's arena */
    uint64_t stream;                 /* of random numbers */
    struct nn_init init;             /* param, random const */
    const void *data;                /* const: borrowed, logical order */
    /* fused into this node by fuse.c; the inputs are in[] indices, 0 none (in[0] never is one) */
    int act, act_grad;               /* enum kn_act, as kn_epilogue's act and grad */
    float inner, outer;
    int bias_in, residual_in, y_in;
    int pieces;                      /* conv2d: of the moments that it leaves behind its output; 0 none */
    bool late;                       /* cross entropy: its gradient makes it too */
    /* recurrent layers: algo is the cell, enum kn_cell */
    bool reverse, keeps;             /* keeps: what the backward pass needs lies behind the output */
    bool wants_h0, wants_c0;         /* of the gradient: those of the initial state too */
    uint8_t at_in[AT_INPUTS];        /* in[] indices, 0 none */
    int also[2];                     /* nodes: gradients by second results (final_cell, context), 0 none */
    int S, A, E;                     /* of attention inside the loop; A 0: none */
    /* floats behind the output, from shape_moments_at() on: kept for the gradient, or taken by left */
    size_t behind;
};

struct node {
    const struct op *op;
    struct nn_shape shape;           /* logical; batch included */
    uint8_t type, layout, pass;      /* enum nn_type, layout, pass */
    bool wants_grad;                 /* a parameter is upstream */
    int inputs, in[NODE_INPUTS];
    struct attr attr;
    int forward;                     /* of a backward node: the forward node it belongs to; else itself */
    int grad_of;                     /* the param whose gradient this node computes, or -1 */
    int whole;                       /* parts.c: it lies inside this node's memory, from float `offset` on, */
    size_t offset, ld;               /* its rows ld floats apart; or -1: memory of its own, ld 0, dense */
    const char *at, *name;           /* file:line; name of leaves, "C1.weight" */
    char row[ROW_TEXT];
};

struct nn_graph {
    struct arena *arena;
    struct node *node;
    int nodes, room, batch;
    char row[ROW_TEXT];
    int pass, forward;               /* of the nodes being added; forward -1: the node itself */
    struct nn_init init;
    char error[ERR_TEXT];
    int loss;                        /* node id or -1 */
    struct { const char *name; int node; } metric[8];
    int metrics;
    struct { int param, value; } assign[16];
    int assigns;
    struct { const char *name; int tokens, length, answered; } facts[8]; /* of the data: graph_set_tokens(), _length() */
    int told;
    struct { const char *name; int node; } show[8];
    int shows;
    int output;                      /* the scores where nobody judges them (decode.c); else -1 */
    int given[32], givens;           /* results of PROGRAM_GIVEN: a row a sample */
};

/* What exec.c hands to an op. Pointers are fixed when the program is made. */
struct step {
    const struct op *op;
    const struct node *node;
    const struct node *in_node[NODE_INPUTS];
    void *out;
    const void *in[NODE_INPUTS];
    void *work;                      /* op->work() bytes, shared by the crew; contents undefined */
    const struct run_state *state;
};
struct run_state {
    uint64_t seed, steps;            /* steps run so far: number of the dropout stream */
    bool training;
    struct program *program;
};

enum op_flag {
    OP_LEAF = 1,      /* input, param, const: no step */
    OP_VIEW = 2,      /* out is in[0]'s memory (decided per node by is_view()) */
    OP_IN_PLACE = 4,  /* out may overwrite in[0] if nobody reads it later */
    OP_NO_GRAD = 8,   /* gradient does not pass */
    OP_EPILOGUE = 16, /* takes bias, activation, residual, activation gradient (struct kn_epilogue) */
    OP_ANY_LAYOUT = 32, /* elementwise: output has the layout of in[0], all image inputs alike */
    OP_UPDATES = 64,  /* out is in[2], a parameter, which it changes */
};

struct op {
    const char *name;
    unsigned flags;
    /* Appends nodes that compute dx[i], the gradient of the loss by in[i], from dy; leaves dx[i].id
     * at -1 where none flows or grad_wanted(n, i) is false. Emits nodes, computes nothing. */
    void (*grad)(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS]);
    double (*macs)(const struct nn_graph *g, const struct node *n);  /* NULL: 0. Whole batch. */
    double (*flops)(const struct nn_graph *g, const struct node *n); /* NULL: elements of the output */
    double (*bytes)(const struct nn_graph *g, const struct node *n); /* NULL: all inputs and the output once */
    size_t (*work)(const struct step *s, int threads);               /* NULL: 0 */
    void (*run)(const struct step *s, const struct crew *crew);      /* NULL for leaves and pure views */
    bool (*is_view)(const struct nn_graph *g, const struct node *n); /* NULL: as OP_VIEW says */
    unsigned reads_apart;                                            /* bit k: in[k]'s rows may lie node.ld apart */
    bool (*writes_apart)(const struct node *n);                      /* so may the output's; NULL: no */
    const char *(*kernel)(const struct node *n);                     /* NULL: op name */
    int (*pieces)(const struct nn_graph *g, const struct node *n);   /* of moments or sums it can leave; NULL: 0 */
    void (*how)(const struct step *s, int threads, char how[KN_HOW]); /* the kernel's algorithm; NULL: it has but one */
};

/* ---- build.c: used by nn.h's functions and by grad() */

/* Appends a node; `in` are its inputs (NULL-graph or failed inputs: returns failed). The shape
 * is given, not inferred. Takes row, pass and forward from the graph's current state. */
nn_value node_add(struct nn_graph *g, const struct op *op, struct nn_shape shape, int type,
                  struct attr attr, int inputs, const nn_value *in, const char *at);
#define NODE(g, op, shape, attr, ...)                                                  \
    node_add((g), (op), (shape), NN_F32, (attr),                                       \
             (int)(sizeof((nn_value[]){__VA_ARGS__}) / sizeof(nn_value)), (nn_value[]){__VA_ARGS__}, NULL)

extern const nn_value value_failed;
/* Records the first error as "at: row: op: text" and returns value_failed. */
__attribute__((format(printf, 4, 5))) nn_value graph_fail(struct nn_graph *g, const char *at,
                                                          const char *op, const char *fmt, ...);

static inline struct node *node_of(nn_value v) { return &v.graph->node[v.id]; }
static inline nn_value value_of(struct nn_graph *g, int id) { return (nn_value){g, id}; }
static inline nn_value in_of(struct nn_graph *g, int id, int i) { return (nn_value){g, g->node[id].in[i]}; }
bool grad_wanted(const struct nn_graph *g, int id, int i); /* does in[i] lead to a parameter? */

/* ---- shape.c */
int shape_rank(const struct nn_shape *s);
size_t shape_elements(const struct nn_shape *s);
bool shape_equal(const struct nn_shape *a, const struct nn_shape *b);
int shape_axis(const struct nn_shape *s, int axis); /* negative from the end; -1 if out of range */
const char *shape_text(const struct nn_shape *s, int batch, char text[64]); /* "[N,6,28,28]" */
size_t shape_last(const struct nn_shape *s);        /* size of the last axis; 1 for scalars */
size_t shape_rows(const struct nn_shape *s);        /* elements / last */
size_t shape_row(const struct nn_shape *s);         /* floats of a row in memory: channels of images, else the last axis */
/* Moments of attr.pieces (kernels/conv.h) lie behind the output, so many floats from its first; they are
 * of so many columns. */
size_t shape_moments_at(const struct node *n);
size_t shape_moments_columns(const struct node *n);
/* Rank 4 tensors are stored with axis 1 last: logical index -> memory index and back, whole tensors. */
void layout_to_memory(const struct nn_shape *s, const float *logical, float *memory);
void layout_to_logical(const struct nn_shape *s, const float *memory, float *logical);

/* ---- passes, in the order in which program_new() applies them to its own copy of the graph.
 * Those that can fail return false with the graph's error set. */
struct nn_graph *graph_copy(const struct nn_graph *g);             /* build.c */
bool graph_take_part(struct nn_graph *g, const struct program_options *o); /* decode.c: program_options.part */
void graph_drop_dropout(struct nn_graph *g);                       /* rewrite.c: for evaluation */
void graph_fold_norms(struct nn_graph *g, bool into_layers);       /* fold.c: batch norm, for evaluation */
void graph_look_up_products(struct nn_graph *g);                   /* lookup.c: linear layers behind embeddings */
void graph_simplify(struct nn_graph *g);                           /* fuse.c: patterns that must precede the gradient */
bool graph_lay_out(struct nn_graph *g);                            /* layout.c: chooses lanes, adds to_lanes/from_lanes */
bool graph_derive(struct nn_graph *g);                             /* grad.c: appends the backward pass */
void graph_fuse(struct nn_graph *g);                               /* fuse.c: the pattern table */
void graph_sweep(struct nn_graph *g);                              /* rewrite.c: drops nodes that nothing needs */
void graph_recompute(struct nn_graph *g);                          /* recompute.c: norms, again in the backward pass */
void graph_update_inside(struct nn_graph *g);                      /* inside.c: large products update what they are the gradient of */
void graph_place_parts(struct nn_graph *g);                        /* parts.c: the last one; nodes stay as they are */
/* plan.h, exec.h: what comes after. */

/* ---- exec.c, for ops with OP_UPDATES: n weights from w on by their gradient g, through hooks.apply */
void program_apply(struct program *p, int thread, const float *w, size_t n, const float *g);

/* ---- rewrite.c: help for passes */
bool node_is_view(const struct nn_graph *g, const struct node *n); /* is its output in[0]'s memory? */
int graph_output(const struct nn_graph *g);                        /* the scores: see TENSOR_OUTPUT; or -1 */
/* How many nodes, and results that outlive the step, read each node. Malloc'ed. */
int *graph_uses(const struct nn_graph *g);
/* Everything that refers to node i refers to to[i] afterwards; to[i] = i changes nothing. */
void graph_redirect(struct nn_graph *g, const int *to);
/* Puts nodes into another topological order: the i-th is order[i]. A node may come twice; what stands
 * behind its second place reads the copy there, which is of the backward pass. */
void graph_arrange(struct nn_graph *g, const int *order, int count);
/* After nodes moved: node i is now to[i], or gone where to[i] = -1. For graph-wide ids only. */
void graph_renumber_results(struct nn_graph *g, const int *to);

#endif
