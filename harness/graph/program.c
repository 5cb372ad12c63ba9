/* program.c — makes a program: passes, blocks, pointers, barriers, tensors.
 *
 * Everything that a step needs is decided here, once: exec.c only walks the array. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "graph/exec.h"

/* ------------------------------------------------------------------ passes */

/* Before differentiation: the gradients of a convolution inherit its attributes. */
static void force_algo(struct nn_graph *g, int algo)
{
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].op == &op_conv2d)
            g->node[i].attr.algo = algo;
}

static bool pass_all(struct nn_graph *g, const struct program_options *o)
{
    if (!o->show)
        g->shows = 0;
    if (!graph_take_part(g, o))
        return false;
    if (!o->train) {
        graph_drop_dropout(g);
        graph_fold_norms(g, !o->no_fuse);
    }
    if (!o->no_fuse) {
        graph_look_up_products(g);
        graph_simplify(g);
    }
    graph_sweep(g);
    force_algo(g, o->conv_algo);
    if (!o->no_lanes && !graph_lay_out(g))
        return false;
    if (o->train && !graph_derive(g))
        return false;
    graph_sweep(g);
    if (!o->no_fuse)
        graph_fuse(g);
    graph_sweep(g);
    if (o->train && !o->no_fuse)
        graph_recompute(g);
    if (o->update_inside && !o->no_fuse)
        graph_update_inside(g);
    if (!o->no_fuse && o->part == PROGRAM_WHOLE && !o->show)
        graph_place_parts(g); /* what is read from outside has its rows one behind the other */
    return true;
}

static bool check(const struct nn_graph *g, const struct program_options *o, struct err *err)
{
    if (graph_error(g))
        return err_set(err, "%s", graph_error(g));
    if (o->threads < 1)
        return err_set(err, "a program needs at least one thread, not %d", o->threads);
    if (o->train && g->loss < 0 && !g->assigns)
        return err_set(err,
                       "nothing to learn: build() calls neither nn_minimize() nor nn_assign()");
    if (g->loss < 0 && !g->metrics && !g->assigns)
        return err_set(err, "nothing to compute: build() names no loss and no metric");
    return true;
}

/* ------------------------------------------------------------------ blocks */

static size_t padded(const struct node *n)
{
    return (shape_elements(&n->shape) + LINE - 1) / LINE * LINE;
}

static struct block *block_of_leaf(struct program *p, const struct node *n)
{
    return n->op == &op_input    ? &p->inputs
           : n->op == &op_param  ? &p->params
           : n->op == &op_buffer ? &p->buffers
           : n->op == &op_state  ? &p->states
                                 : &p->constants;
}

static void block_map(struct block *b) { b->data = mem_map(b->count * sizeof *b->data); }

/* Memory of `from`, if that is large enough; else its own. */
static void borrow(struct block *b, const struct block *from)
{
    b->borrowed = from && from->count >= b->count;
    if (b->borrowed)
        b->data = from->data;
    else
        block_map(b);
}

static void block_unmap(struct block *b)
{
    if (b->data && !b->borrowed)
        mem_unmap(b->data, b->count * sizeof *b->data);
}

/* The k-th result of a PROGRAM_GIVEN. */
static void *given_at(const struct program *p, int k) { return p->data[p->g->given[k]]; }

/* Cuts leaves from their blocks in order; with `data` NULL only measures. */
static void cut_leaves(struct program *p, void **data)
{
    p->inputs.count = p->params.count = p->buffers.count = 0;
    p->states.count = p->constants.count = 0;
    for (int i = 0; i < p->g->nodes; i++) {
        const struct node *n = &p->g->node[i];
        if (!(n->op->flags & OP_LEAF))
            continue;
        struct block *b = block_of_leaf(p, n);
        if (n->op == &op_input && n->attr.from) {
            if (data)
                data[i] = given_at(p->options.given, n->attr.from - 1);
            continue;
        }
        if (data)
            data[i] = b->data + b->count;
        b->count += padded(n);
    }
}

static void make_leaves(struct program *p)
{
    cut_leaves(p, NULL);
    const struct program *share = p->options.share;
    block_map(&p->inputs);
    block_map(&p->states);
    block_map(&p->constants);
    if (share) {
        p->params = (struct block){share->params.data, share->params.count, true};
        p->buffers = (struct block){share->buffers.data, share->buffers.count, true};
    } else {
        block_map(&p->params);
        block_map(&p->buffers);
    }
    cut_leaves(p, p->data);
    for (int i = 0; i < p->g->nodes; i++)
        if (p->g->node[i].op == &op_constant)
            node_initial(&p->g->node[i], share ? share->state.seed : p->options.seed, p->data[i]);
}

/* Of a parameter that is updated inside the step. */
static bool is_updated(const struct nn_graph *g, int param)
{
    for (int i = 0; i < g->nodes; i++)
        if ((g->node[i].op->flags & OP_UPDATES) && g->node[i].in[2] == param)
            return true;
    return false;
}

/* Of the kept gradients: `count` more, of the weights from `weight` on. */
static void add_to_ranges(struct program *p, size_t weight, size_t count)
{
    enum { LARGE = 16384 }; /* floats: beside such a pass the start of another one is nothing */
    assert(p->range);
    struct program_range *r = p->ranges ? &p->range[p->ranges - 1] : NULL;
    if (!r || r->weight + r->count != weight || r->count >= LARGE || count >= LARGE) {
        r = &p->range[p->ranges++];
        *r = (struct program_range){weight, p->grads.count, 0};
    }
    r->count += count;
    p->grads.count += count;
}

/* Gradients lie as their parameters do, but for parameters between them that have none. A large
 * parameter is a range of its own: threads that halve each of them find in their caches what they
 * have made of its gradient, and leave there what they read of it in the next step; halves of the
 * whole block would go from one to the other. */
static void make_ranges(struct program *p)
{
    p->range = arena_alloc(p->arena, ((size_t)p->g->nodes + 1) * sizeof *p->range);
    size_t at = 0;
    for (int i = 0; p->options.train && i < p->g->nodes; i++) {
        const struct node *n = &p->g->node[i];
        if (n->op != &op_param)
            continue;
        if (!is_updated(p->g, i))
            add_to_ranges(p, at, padded(n));
        at += padded(n);
    }
}

/* Where the gradient of the parameter at `data` lies; NULL: it is not kept. */
static float *grad_at(const struct program *p, const void *data)
{
    const size_t at = (size_t)((const float *)data - p->params.data);
    for (int i = 0; i < p->ranges; i++)
        if (at >= p->range[i].weight && at < p->range[i].weight + p->range[i].count)
            return p->grads.data + p->range[i].grad + (at - p->range[i].weight);
    return NULL;
}

static void make_results(struct program *p)
{
    const struct nn_graph *g = p->g;
    make_ranges(p);
    block_map(&p->grads);
    p->activations.count = p->plan.bytes / sizeof(float);
    borrow(&p->activations, p->options.lend ? &p->options.lend->activations : NULL);
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        const int b = p->plan.buffer[i];
        if (p->plan.home[i] != i)
            continue;
        if (n->grad_of >= 0)
            p->data[i] = grad_at(p, p->data[n->grad_of]);
        else if (b >= 0)
            p->data[i] = (char *)p->activations.data + p->plan.buffers[b].offset;
    }
    for (int i = 0; i < g->nodes; i++)
        if (p->plan.home[i] != i)
            p->data[i] = (float *)p->data[p->plan.home[i]] + g->node[i].offset;
}

/* ------------------------------------------------------------------- steps */

static void make_step(struct program *p, int s)
{
    const struct nn_graph *g = p->g;
    const int id = p->plan.step[s];
    const struct node *n = &g->node[id];
    struct exec *e = &p->exec[s];
    e->step = (struct step){.op = n->op, .node = n, .out = p->data[id], .state = &p->state};
    for (int k = 0; k < n->inputs; k++) {
        e->step.in_node[k] = &g->node[n->in[k]];
        e->step.in[k] = p->data[n->in[k]];
    }
    e->work = n->op->work ? n->op->work(&e->step, p->options.threads) : 0;
    if (e->work > p->work.count * sizeof(float))
        p->work.count = (e->work + sizeof(float) - 1) / sizeof(float);
}

/* What a node has of memory: bytes, from the first to behind the last; of every `ld` of them the
 * first `row`, or all where ld is 0. */
struct extent {
    uintptr_t from;
    size_t bytes, row, ld;
};

static struct extent extent_of(const struct node *n, const void *data)
{
    struct extent e = {(uintptr_t)data, node_bytes(n), 0, 0};
    if (!n->ld)
        return e;
    e.row = shape_row(&n->shape) * sizeof(float);
    e.ld = n->ld * sizeof(float);
    e.bytes = (e.bytes / e.row - 1) * e.ld + e.row;
    return e;
}

/* Parts of one matrix that have no column in common do not meet. */
static bool overlap(struct extent a, struct extent b)
{
    if (a.from >= b.from + b.bytes || b.from >= a.from + a.bytes)
        return false;
    if (!a.ld || a.ld != b.ld)
        return true;
    const size_t apart =
        a.from < b.from ? (b.from - a.from) % a.ld : (a.ld - (a.from - b.from) % a.ld) % a.ld;
    return apart < a.row || apart + b.row > a.ld;
}

static bool reads(const struct exec *e, struct extent what)
{
    for (int k = 0; k < e->step.node->inputs; k++)
        if (overlap(extent_of(e->step.in_node[k], e->step.in[k]), what))
            return true;
    return false;
}

/* Must all threads have finished `a` before any starts `b`? */
static bool depends(const struct exec *b, const struct exec *a)
{
    const struct extent a_out = extent_of(a->step.node, a->step.out),
                        b_out = extent_of(b->step.node, b->step.out);
    return (a->work && b->work) || reads(b, a_out) || reads(a, b_out) || overlap(a_out, b_out);
}

/* A barrier only where data crosses: gradients by data and by weight need none between them. */
static void place_barriers(struct program *p)
{
    for (int s = 0, since = 0; s < p->count; s++) {
        for (int a = since; a < s && !p->exec[s].wait; a++)
            p->exec[s].wait = depends(&p->exec[s], &p->exec[a]);
        if (p->exec[s].wait)
            since = s;
    }
}

static void make_steps(struct program *p)
{
    p->count = p->plan.steps;
    p->exec = arena_alloc(p->arena, (size_t)p->count * sizeof *p->exec);
    for (int s = 0; s < p->count; s++)
        make_step(p, s);
    borrow(&p->work, p->options.lend ? &p->options.lend->work : NULL);
    for (int s = 0; s < p->count; s++)
        p->exec[s].step.work = p->work.data;
    place_barriers(p);
}

/* ----------------------------------------------------------------- tensors */

static void add_tensor(struct program *p, int kind, const char *name, int id, void *data)
{
    const struct node *n = &p->g->node[id];
    p->tensors[kind][p->tensor_count[kind]++] = (struct tensor){
        .name = name,
        .kind = kind,
        .type = n->type,
        .shape = n->shape,
        .elements = shape_elements(&n->shape),
        .data = data,
    };
}

static void list_leaves(struct program *p)
{
    for (int i = 0; i < p->g->nodes; i++) {
        const struct node *n = &p->g->node[i];
        if (n->op == &op_input && !n->attr.from)
            add_tensor(p, TENSOR_INPUT, n->name, i, p->data[i]);
        if (n->op == &op_buffer)
            add_tensor(p, TENSOR_BUFFER, n->name, i, p->data[i]);
        if (n->op == &op_state)
            add_tensor(p, TENSOR_STATE, n->name, i, p->data[i]);
        if (n->op != &op_param)
            continue;
        add_tensor(p, TENSOR_PARAM, n->name, i, p->data[i]);
        float *const grad = p->options.train ? grad_at(p, p->data[i]) : NULL;
        if (grad)
            add_tensor(p, TENSOR_GRAD, n->name, i, grad);
    }
}

static void list_tensors(struct program *p)
{
    const struct nn_graph *g = p->g;
    for (int kind = 0; kind < TENSOR_KINDS; kind++) {
        const size_t most = (size_t)g->nodes + 1;
        p->tensors[kind] = arena_alloc(p->arena, most * sizeof(struct tensor));
    }
    list_leaves(p);
    for (int i = 0; i < g->metrics; i++)
        add_tensor(p, TENSOR_METRIC, g->metric[i].name, g->metric[i].node,
                   p->data[g->metric[i].node]);
    if (g->loss >= 0)
        add_tensor(p, TENSOR_LOSS, "loss", g->loss, p->data[g->loss]);

    const int output = graph_output(g);
    p->output_step = -1;
    for (int s = 0; output >= 0 && s < p->count; s++)
        if (p->plan.home[p->plan.step[s]] == p->plan.home[output])
            p->output_step = s; /* the last that writes there */
    if (output >= 0)
        add_tensor(p, TENSOR_OUTPUT, "output", output, g->output >= 0 ? p->data[output] : NULL);
    for (int i = 0; i < g->shows; i++)
        add_tensor(p, TENSOR_SHOWN, g->show[i].name, g->show[i].node, p->data[g->show[i].node]);
}

const struct tensor *program_tensor(const struct program *p, int kind, int i)
{
    assert(kind >= 0 && kind < TENSOR_KINDS);
    return i >= 0 && i < p->tensor_count[kind] ? &p->tensors[kind][i] : NULL;
}

const struct tensor *program_find(const struct program *p, int kind, const char *name)
{
    for (int i = 0; i < p->tensor_count[kind]; i++)
        if (strcmp(p->tensors[kind][i].name, name) == 0)
            return &p->tensors[kind][i];
    return NULL;
}

static bool is_ordered(const struct tensor *t)
{
    return shape_rank(&t->shape) != 4 || t->type != NN_F32;
}

void program_read(const struct program *p, const struct tensor *t, void *logical)
{
    (void)p;
    if (is_ordered(t))
        memcpy(logical, t->data, t->elements * sizeof(float));
    else
        layout_to_logical(&t->shape, t->data, logical);
}

void program_write(struct program *p, const struct tensor *t, const void *logical)
{
    if (is_ordered(t))
        memcpy(t->data, logical, t->elements * sizeof(float));
    else
        layout_to_memory(&t->shape, logical, t->data);
    for (int i = 0; i < p->g->nodes; i++)
        if (p->data[i] == t->data)
            node_mask(&p->g->node[i], t->data);
}

void program_keep_output(struct program *p)
{
    if (p->keep_output || p->g->output >= 0 || !p->tensor_count[TENSOR_OUTPUT])
        return;
    struct tensor *t = &p->tensors[TENSOR_OUTPUT][0];
    if (p->output_step < 0) { /* a leaf, or a view of one: it stays where it is */
        t->data = p->data[graph_output(p->g)];
        return;
    }
    p->keep_output = true;
    p->output.count = t->elements;
    block_map(&p->output);
    t->data = p->output.data;
}

/* ----------------------------------------------------------------- sharing */

static bool can_share(const struct program *p, const struct program *with, struct err *err)
{
    for (int i = 0;; i++) {
        const struct tensor *ours = program_tensor(p, TENSOR_PARAM, i),
                            *theirs = program_tensor(with, TENSOR_PARAM, i);
        if (!ours && !theirs)
            return true;
        if (!ours || !theirs || strcmp(ours->name, theirs->name) != 0 ||
            !shape_equal(&ours->shape, &theirs->shape))
            return err_set(err, "parameters cannot be shared: %s is not %s of the other program",
                           ours ? ours->name : "none", theirs ? theirs->name : "none");
    }
}

/* Both were cut from the same network, but for its steps: their results are alike. */
static bool can_take(const struct nn_graph *g, const struct program *given, struct err *err)
{
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        if (n->op != &op_input || !n->attr.from)
            continue;
        const int k = n->attr.from - 1;
        const struct node *from =
            given && k < given->g->givens ? &given->g->node[given->g->given[k]] : NULL;
        struct nn_shape expected = from ? from->shape : n->shape;
        expected.dim[0] = g->batch;
        if (!from || !shape_equal(&expected, &n->shape) || g->batch > given->g->batch)
            return err_set(err, "%s: what is given to it differs: %s is not there", n->row,
                           n->name);
    }
    return true;
}

void program_keep_rows(struct program *p, const int *row, int n)
{
    for (int k = 0; k < p->g->givens; k++) {
        const struct node *node = &p->g->node[p->g->given[k]];
        const size_t floats = shape_elements(&node->shape) / (size_t)node->shape.dim[0];
        float *const data = given_at(p, k);
        for (int i = 0; i < n; i++)
            if (row[i] != i)
                memcpy(data + (size_t)i * floats, data + (size_t)row[i] * floats,
                       floats * sizeof *data);
    }
}

/* -------------------------------------------------------------------- life */

void program_init(struct program *p, uint64_t seed)
{
    p->state.seed = seed;
    for (int i = 0; i < p->g->nodes; i++)
        if (p->g->node[i].op == &op_param || p->g->node[i].op == &op_buffer)
            node_initial(&p->g->node[i], seed, p->data[i]);
}

void program_clear_state(struct program *p)
{
    memset(p->states.data, 0, p->states.count * sizeof *p->states.data);
}

static void make(struct program *p)
{
    p->arena = arena_new();
    p->state =
        (struct run_state){.seed = p->options.seed, .training = p->options.train, .program = p};
    p->applying = true;
    p->data = arena_alloc(p->arena, (size_t)p->g->nodes * sizeof *p->data);
    p->poison = arena_alloc(p->arena, (size_t)p->options.threads * sizeof *p->poison);
    plan_make(&p->plan, p->g);
    make_leaves(p);
    make_results(p);
    make_steps(p);
    list_tensors(p);
    program_tell(p);
    watch_make(p);
}

struct program *program_new(struct nn_graph *g, const struct program_options *o, struct err *err)
{
    if (!check(g, o, err))
        return NULL;
    struct program *p = xcalloc(1, sizeof *p);
    p->options = *o;
    p->g = graph_copy(g);
    if (!pass_all(p->g, o)) {
        err_set(err, "%s", graph_error(p->g));
        program_free(p);
        return NULL;
    }
    if (!can_take(p->g, o->given, err)) {
        program_free(p);
        return NULL;
    }
    make(p);
    if (o->share && !can_share(p, o->share, err)) {
        program_free(p);
        return NULL;
    }
    if (!o->share)
        program_init(p, o->seed);
    return p;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    struct block *const blocks[] = {&p->activations, &p->params, &p->buffers,
                                    &p->states,      &p->grads,  &p->inputs,
                                    &p->constants,   &p->work,   &p->output};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        block_unmap(blocks[i]);
    watch_release(p);
    plan_release(&p->plan);
    arena_free(p->arena);
    graph_free(p->g);
    free(p);
}

/* ---------------------------------------------------------------- accessors */

void program_set_hooks(struct program *p, const struct program_hooks *hooks)
{
    assert(hooks->apply || !p->options.update_inside);
    p->hooks = *hooks;
}

bool program_range(const struct program *p, int i, struct program_range *range)
{
    if (i < p->ranges)
        *range = p->range[i];
    return i < p->ranges;
}

float *program_weights(struct program *p, size_t *count)
{
    *count = p->params.count;
    return p->params.data;
}

float *program_grads(struct program *p, size_t *count)
{
    *count = p->grads.count;
    return p->grads.data;
}

static float scalar(const struct tensor *t) { return t ? *(const float *)t->data : 0.0f; }

float program_loss(const struct program *p) { return scalar(program_tensor(p, TENSOR_LOSS, 0)); }

float program_metric(const struct program *p, int i)
{
    return scalar(program_tensor(p, TENSOR_METRIC, i));
}

int program_batch(const struct program *p) { return p->g->batch; }

struct program_memory program_memory(const struct program *p)
{
    return (struct program_memory){
        .activations = p->activations.borrowed ? 0 : p->activations.count * sizeof(float),
        .parameters = p->params.borrowed ? 0 : p->params.count * sizeof(float),
        .gradients = p->grads.count * sizeof(float),
        .work = p->work.borrowed ? 0 : p->work.count * sizeof(float),
        .inputs = (p->inputs.count + p->states.count) * sizeof(float),
    };
}

const struct program_buffer *program_buffers(const struct program *p, int *count)
{
    *count = p->plan.count;
    return p->plan.buffers;
}
