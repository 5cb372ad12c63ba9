/* explain.c — what a program consists of: the list of steps that the timing and
 * FLOP tables are made from, and the plan for a person to read. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "graph/exec.h"

/* ------------------------------------------------------------------- steps */

static double default_bytes(const struct nn_graph *g, const struct node *n)
{
    double bytes = (double)node_bytes(n);
    for (int k = 0; k < n->inputs; k++)
        bytes += (double)result_bytes(&g->node[n->in[k]]);
    return bytes;
}

/* "gemm_f32 NT: tiles 2x1" */
static const char *kernel_of(const struct program *p, const struct step *s)
{
    const struct op *op = s->op;
    const char *const name = op->kernel ? op->kernel(s->node) : op->name;
    char how[KN_HOW];
    if (!op->how)
        return name;
    op->how(s, p->options.threads, how);
    const size_t bytes = strlen(name) + strlen(how) + 3;
    char *const whole = arena_alloc(p->arena, bytes);
    snprintf(whole, bytes, "%s: %s", name, how);
    return whole;
}

static void tell_one(const struct nn_graph *g, const struct node *n, struct program_step *t)
{
    const struct op *op = n->op;
    *t = (struct program_step){
        .row = n->row,
        .op = op->name,
        .at = n->at ? n->at : "",
        .kernel = op->kernel ? op->kernel(n) : op->name,
        .pass = n->pass,
        .macs = op->macs ? op->macs(g, n) : 0.0,
        .flops = op->flops ? op->flops(g, n) : (double)shape_elements(&n->shape),
        .bytes = op->bytes ? op->bytes(g, n) : default_bytes(g, n),
    };
    char text[64];
    snprintf(t->shape, sizeof t->shape, "%.47s", shape_text(&n->shape, g->batch, text));
}

/* The hooks are steps too, so that all times add up to the whole. What an update computes is
 * its own affair; it reads weights and gradients and writes weights at least, but for those
 * that are updated inside the step. */
void program_tell(struct program *p)
{
    p->told = arena_alloc(p->arena, (size_t)(p->count + 2) * sizeof *p->told);
    const double inputs = (double)(p->inputs.count * sizeof(float)),
                 weights = (double)(p->grads.count * sizeof(float));
    p->told[0] = (struct program_step){
        .row = "", .op = "feed", .at = "", .kernel = "feed", .pass = FEED, .bytes = inputs};
    for (int i = 0; i < p->count; i++) {
        tell_one(p->g, p->exec[i].step.node, &p->told[1 + i]);
        p->told[1 + i].kernel = kernel_of(p, &p->exec[i].step);
    }
    p->told[1 + p->count] = (struct program_step){.row = "",
                                                  .op = "update",
                                                  .at = "",
                                                  .kernel = "update",
                                                  .pass = UPDATE,
                                                  .bytes = p->options.train ? 3 * weights : 0.0};
}

const struct program_step *program_steps(const struct program *p, int *count)
{
    *count = p->count + 2;
    return p->told;
}

/* ----------------------------------------------------------------- explain */

static const char *const pass_names[] = {"forward", "backward", "update", "feed"};

/* "relu", "residual relu'": what the kernel does on its way to memory. */
static void add_epilogue(struct text *t, const struct attr *a)
{
    static const char *const acts[] = {"", " relu", " tanh", " sigmoid"};
    text_add(t, "%s%s%s%s%s%s", a->bias_in ? " bias" : "", a->residual_in ? " residual" : "",
             acts[a->act], acts[a->act_grad], a->act_grad ? "'" : "", a->pieces ? " moments" : "");
}

static void add_place(struct text *t, const struct program *p, int id)
{
    const int b = p->plan.buffer[id];
    if (b < 0) {
        text_add(t, "%10s  %s", "",
                 p->g->node[id].op->flags & OP_UPDATES ? "parameter" : "gradient");
        return;
    }
    const struct program_buffer *buffer = &p->plan.buffers[b];
    text_add(t, "%10zu  %d..%d", buffer->offset, buffer->born, buffer->dies);
}

/* "-> [64,192) of 3a/output": columns of another's memory, written or read. */
static void add_part(struct text *t, const struct program *p, const char *arrow, int id)
{
    const struct node *n = &p->g->node[id];
    if (n->whole < 0)
        return;
    const struct node *whole = &p->g->node[n->whole];
    text_add(t, " %s [%zu,%zu) of %s", arrow, n->offset, n->offset + shape_row(&n->shape),
             whole->row[0] ? whole->row : whole->op->name);
}

static void add_step(struct text *t, const struct program *p, int s)
{
    const int id = p->plan.step[s];
    const struct node *n = &p->g->node[id];
    const struct program_step *told = &p->told[1 + s];
    text_add(t, "%4d%c %-8s %-10.31s %-19s %-18s %-5s ", s, p->exec[s].wait ? '|' : ' ',
             pass_names[n->pass], n->row, n->op->name, told->shape,
             n->layout == LANES ? "lanes" : "");
    add_place(t, p, id);
    text_add(t, "  %s", told->kernel);
    add_epilogue(t, &n->attr);
    for (int k = 0; k < n->inputs; k++)
        add_part(t, p, "<-", n->in[k]);
    add_part(t, p, "->", id);
    text_add(t, "\n");
}

char *program_explain(const struct program *p)
{
    const struct program_memory m = program_memory(p);
    struct text t = {0};
    text_add(&t,
             "%zu KiB activations, %zu parameters, %zu gradients, %zu work, %zu inputs; "
             "batch %d, %d threads, %s kernels\n",
             m.activations >> 10, m.parameters >> 10, m.gradients >> 10, m.work >> 10,
             m.inputs >> 10, p->g->batch, p->options.threads, kn->isa);
    text_add(&t, "%4s  %-8s %-10s %-19s %-18s %-5s %10s  %s\n", "step", "pass", "row", "op",
             "shape", "", "offset", "alive, kernel (| waits for all threads first)");
    for (int s = 0; s < p->count; s++)
        add_step(&t, p, s);
    return t.bytes ? t.bytes : xstrdup("");
}
