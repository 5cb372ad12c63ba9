/* exec.c — runs a program.
 *
 * One team of threads enters program_run() and walks the array of steps together:
 * feed, ops, update, assignments. A barrier stands only where data crosses
 * between threads (exec.wait). Nothing here allocates, locks or fails. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/denormal.h"
#include "graph/exec.h"
#include "kernels/count.h"

/* ------------------------------------------------------------------ the step */

static void keep(const struct program *p, const struct crew *crew)
{
    crew_wait(crew);
    const struct tensor *t = &p->tensors[TENSOR_OUTPUT][0];
    size_t from, to;
    crew_share(crew, t->elements, LINE, &from, &to);
    memcpy(p->output.data + from, (float *)p->data[graph_output(p->g)] + from,
           (to - from) * sizeof(float));
    crew_wait(crew);
}

/* Slots of the watch: 0 the feed, then the ops, then the update. A barrier's time belongs to
 * the slot before it, whose slowest thread the others wait for. */
static void run_ops(struct program *p, const struct crew *crew)
{
    for (int i = 0; i < p->count; i++) {
        const struct exec *e = &p->exec[i];
        if (e->wait) {
            crew_wait(crew);
            watch(p, crew, i, true);
        }
        e->step.op->run(&e->step, crew);
        if (i == p->output_step && p->keep_output)
            keep(p, crew);
        watch(p, crew, 1 + i, false);
    }
    crew_wait(crew);
    watch(p, crew, p->count, true);
}

static void feed(struct program *p, const struct crew *crew)
{
    if (p->hooks.feed) {
        p->hooks.feed(p->hooks.arg, crew, p);
        watch(p, crew, 0, false);
        crew_wait(crew);
    }
    watch(p, crew, 0, true);
}

/* nn_assign(): param <- value, after everything that reads the old one. Programs that only evaluate
 * carry their states on. */
static void assign(const struct program *p, const struct crew *crew)
{
    for (int i = 0; i < p->g->assigns; i++) {
        if (!p->options.train && p->g->node[p->g->assign[i].param].op != &op_state)
            continue;
        float *to = p->data[p->g->assign[i].param];
        const float *value = p->data[p->g->assign[i].value];
        size_t from, end;
        crew_share(crew, shape_elements(&p->g->node[p->g->assign[i].param].shape), LINE, &from,
                   &end);
        memcpy(to + from, value + from, (end - from) * sizeof *to);
    }
}

/* For programs that only look at their gradients: what an update finds in passing. */
static float check_grads(const struct program *p, const struct crew *crew)
{
    size_t from, to;
    crew_share(crew, p->grads.count, LINE, &from, &to);
    return isfinite(kn->sum_squares_f32(to - from, p->grads.data + from)) ? 0.0f : NAN;
}

/* Its FLOPs are the op's in whose time they happen, but none of its formula's. */
void program_apply(struct program *p, int thread, const float *w, size_t n, const float *g)
{
    if (!p->applying || !isfinite(program_loss(p)))
        return;
    const double flops = kn_flops;
    p->poison[thread].inside += p->hooks.apply(p->hooks.arg, p, (size_t)(w - p->params.data), n, g);
    if (p->watching == WATCH_FLOPS)
        p->watch[thread].applying += kn_flops - flops;
}

static void learn(struct program *p, const struct crew *crew)
{
    const float poison =
        p->hooks.update ? p->hooks.update(p->hooks.arg, crew, p) : check_grads(p, crew);
    assign(p, crew);
    p->poison[crew->thread].value = poison + p->poison[crew->thread].inside;
    watch(p, crew, 1 + p->count, false);
}

static void run_thread(void *arg, const struct crew *crew)
{
    struct program *p = arg;
    const uint64_t mode = denormals_off();
    watch_arrive(p, crew);
    feed(p, crew);
    run_ops(p, crew);
    if (!p->options.train) {
        assign(p, crew);
        p->poison[crew->thread].value = 0.0f;
    } else if (isfinite(program_loss(p))) /* all threads see the same loss */
        learn(p, crew);
    denormals_restore(mode);
}

bool program_run(struct program *p)
{
    for (int t = 0; t < p->options.threads; t++)
        p->poison[t] =
            (struct poison){.value = NAN}; /* of a step that did not come to its update */
    p->blame[0] = '\0';
    watch_begin(p);
    crew_run(p->options.threads, run_thread, p);
    watch_end(p);
    p->state.steps++;
    float poison = 0.0f;
    for (int t = 0; t < p->options.threads; t++)
        poison += p->poison[t].value;
    return isfinite(program_loss(p)) && isfinite(poison);
}

/* -------------------------------------------------------------- who was it? */

/* NULL if all is finite, else what is not, in rows of n floats. */
static const char *disease(const float *x, size_t rows, size_t n, size_t ld)
{
    const char *found = NULL;
    for (size_t row = 0; row < rows; row++, x += ld)
        for (size_t i = 0; i < n; i++)
            if (isnan(x[i]))
                return "NaN";
            else if (isinf(x[i]))
                found = "infinity";
    return found;
}

static bool blame(struct program *p, const struct node *n, const char *what, const void *data)
{
    if (n->type != NN_F32)
        return false;
    const size_t all = shape_elements(&n->shape), width = n->ld ? shape_row(&n->shape) : all;
    const char *name = disease(data, all / width, width, n->ld);
    if (!name)
        return false;
    const char *row = n->name ? n->name : n->row, *between = row[0] ? ": " : "";
    snprintf(p->blame, sizeof p->blame, "%s%s%s: %s holds %s", row, between, n->op->name, what,
             name);
    return true;
}

static bool blame_leaves(struct program *p, const struct op *op, const char *what)
{
    for (int i = 0; i < p->g->nodes; i++)
        if (p->g->node[i].op == op && blame(p, &p->g->node[i], what, p->data[i]))
            return true;
    return false;
}

/* Gradients in the order of their making: they outlive the step, whatever the update did. */
static bool blame_grads(struct program *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct step *s = &p->exec[i].step;
        if (s->node->grad_of >= 0 && blame(p, s->node, "gradient", s->out))
            return true;
    }
    return false;
}

/* Runs the ops of the last step again, one thread, looking behind each. */
static bool blame_ops(struct program *p)
{
    const uint64_t mode = denormals_off();
    p->state.steps--; /* dropout as it was */
    p->applying = false;
    bool found = false;
    for (int i = 0; i < p->count && !found; i++) {
        const struct step *s = &p->exec[i].step;
        s->op->run(s, CREW_ALONE);
        found = blame(p, s->node, "output", s->out);
    }
    p->state.steps++;
    p->applying = true;
    denormals_restore(mode);
    return found;
}

const char *program_blame(struct program *p)
{
    if (p->blame[0] || blame_leaves(p, &op_input, "value"))
        return p->blame;
    const bool updated = isfinite(program_loss(p)); /* then the weights are no evidence */
    if (updated && blame_grads(p))
        return p->blame;
    if (blame_leaves(p, &op_param, "value") || blame_ops(p))
        return p->blame;
    snprintf(p->blame, sizeof p->blame, "update: a parameter's step is not finite");
    return p->blame;
}
