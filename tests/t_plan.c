/* t_plan.c — the plan of memory and barriers, checked by somebody who does not
 * know how it was made: only pointers, sizes and the order of steps are looked at.
 *
 * Every cache line of the arena has an owner, the step that wrote it last. A step
 * must find all lines of its inputs owned by the steps that made them. Steps
 * between two barriers run in any order and together, so they must not touch what
 * another of them writes. */
#include "graph/exec.h"
#include "tests/random_graph.h"
#include "tests/tap.h"

enum { GRAPHS = 60, NOBODY = -1 };

struct replay {
    const struct program *p;
    int *owner; /* of each line of the arena */
    int *maker; /* of each node: the step that computes it, through views; NOBODY for leaves */
    int faults;
    bool expected; /* the checker is being checked: say nothing */
};

static bool in_arena(const struct program *p, const void *data)
{
    const char *base = (const char *)p->activations.data, *x = data;
    return x >= base && x < base + p->plan.bytes;
}

static size_t first_line(const struct program *p, const void *data)
{
    return (size_t)((const char *)data - (const char *)p->activations.data) / 64;
}

static size_t lines(const struct node *n) { return (shape_elements(&n->shape) * 4 + 63) / 64; }

static void find_makers(struct replay *r)
{
    const struct nn_graph *g = r->p->g;
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        r->maker[i] = NOBODY;
        for (int s = 0; s < r->p->count; s++)
            if (r->p->exec[s].step.node == n)
                r->maker[i] = s;
        if (node_is_view(g, n))
            r->maker[i] = r->maker[n->in[0]];
    }
}

static void check_alive(struct replay *r, const struct node *n, int id, const char *what)
{
    const void *data = r->p->data[id];
    if (!in_arena(r->p, data))
        return;
    for (size_t i = 0; i < lines(n); i++)
        if (r->owner[first_line(r->p, data) + i] != r->maker[id]) {
            if (!r->expected)
                printf("# %s %s of %s is no longer there\n", what, n->op->name, n->row);
            r->faults++;
            return;
        }
}

/* An output may lie on an input only if it is that input and the op says so. */
static void check_overwriting(struct replay *r, const struct step *s)
{
    const char *out = s->out;
    const size_t out_bytes = shape_elements(&s->node->shape) * 4;
    for (int k = 0; k < s->node->inputs; k++) {
        const char *in = s->in[k];
        const size_t in_bytes = shape_elements(&s->in_node[k]->shape) * 4;
        const bool apart = out + out_bytes <= in || in + in_bytes <= out;
        const bool in_place = (s->op->flags & OP_IN_PLACE) && s->in[k] == s->in[0] && in == out &&
                              in_bytes == out_bytes;
        r->faults += !apart && !in_place;
    }
}

static int replay_steps(struct replay *r)
{
    const struct program *p = r->p;
    find_makers(r);
    for (int s = 0; s < p->count; s++) {
        const struct step *step = &p->exec[s].step;
        for (int k = 0; k < step->node->inputs; k++)
            check_alive(r, step->in_node[k], step->node->in[k], "input");
        check_overwriting(r, step);
        for (size_t i = 0; in_arena(p, step->out) && i < lines(step->node); i++)
            r->owner[first_line(p, step->out) + i] = s;
    }
    check_alive(r, &p->g->node[p->g->loss], p->g->loss, "loss");
    for (int i = 0; i < p->g->metrics; i++)
        check_alive(r, &p->g->node[p->g->metric[i].node], p->g->metric[i].node, "metric");
    return r->faults;
}

static int faults_of_memory(const struct program *p, bool expected)
{
    struct replay r = {p, xmalloc((p->plan.bytes / 64 + 1) * sizeof(int)),
                       xmalloc((size_t)p->g->nodes * sizeof(int)), 0, expected};
    for (size_t i = 0; i < p->plan.bytes / 64; i++)
        r.owner[i] = NOBODY;
    const int faults = replay_steps(&r);
    free(r.owner);
    free(r.maker);
    return faults;
}

static bool touch(const void *a, const struct node *na, const void *b, const struct node *nb)
{
    const char *x = a, *y = b;
    return x < y + shape_elements(&nb->shape) * 4 && y < x + shape_elements(&na->shape) * 4;
}

/* Does `a` write what `b` reads or writes? */
static bool disturbs(const struct step *a, const struct step *b)
{
    bool found = touch(a->out, a->node, b->out, b->node);
    for (int k = 0; k < b->node->inputs; k++)
        found |= touch(a->out, a->node, b->in[k], b->in_node[k]);
    return found;
}

static int faults_of_barriers(const struct program *p, int *barriers)
{
    int faults = 0;
    for (int from = 0, to; from < p->count; from = to) {
        for (to = from + 1; to < p->count && !p->exec[to].wait;)
            to++;
        ++*barriers;
        for (int a = from; a < to; a++)
            for (int b = from; b < to; b++)
                faults += a != b && (disturbs(&p->exec[a].step, &p->exec[b].step) ||
                                     (p->exec[a].work && p->exec[b].work));
    }
    return faults;
}

static int faults_of_lifetimes(const struct program *p)
{
    int count, faults = 0;
    const struct program_buffer *b = program_buffers(p, &count);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++) {
            const bool apart = b[i].dies < b[k].born || b[k].dies < b[i].born;
            const bool elsewhere =
                b[i].offset + b[i].bytes <= b[k].offset || b[k].offset + b[k].bytes <= b[i].offset;
            faults += !apart && !elsewhere;
        }
    for (int i = 0; i < count; i++)
        faults += b[i].offset % 64 != 0 || b[i].offset + b[i].bytes > p->plan.bytes;
    return faults;
}

/* No plan needs less than the most that is alive at one time. */
static size_t lower_bound(const struct program *p)
{
    int count;
    const struct program_buffer *b = program_buffers(p, &count);
    size_t most = 0;
    for (int s = 0; s < p->count; s++) {
        size_t alive = 0;
        for (int i = 0; i < count; i++)
            alive += b[i].born <= s && s <= b[i].dies ? b[i].bytes : 0;
        most = alive > most ? alive : most;
    }
    return most;
}

struct sums {
    int memory, barriers, lifetimes, waits, steps;
    double bound, bytes, unshared;
};

static void check_one(struct nn_graph *g, const struct program_options *o, struct sums *sums)
{
    struct err err = {0};
    struct program *p = program_new(g, o, &err);
    if (!ok(p, "a program is made")) {
        printf("# %s\n", err.text);
        return;
    }
    sums->memory += faults_of_memory(p, false);
    sums->barriers += faults_of_barriers(p, &sums->waits);
    sums->lifetimes += faults_of_lifetimes(p);
    sums->steps += p->count;
    sums->bound += (double)lower_bound(p);
    sums->bytes += (double)p->plan.bytes;
    for (int s = 0; s < p->count; s++)
        sums->unshared +=
            in_arena(p, p->exec[s].step.out) ? 64.0 * (double)lines(p->exec[s].step.node) : 0;
    program_free(p);
}

static void test_random_graphs(bool train, bool no_fuse)
{
    struct sums sums = {0};
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct nn_graph *g = random_graph(seed, seed % 2 ? 16 : 6, true);
        const struct program_options o = {.threads = 2, .train = train, .no_fuse = no_fuse};
        check_one(g, &o, &sums);
        graph_free(g);
    }
    is_int(sums.memory, 0, "every input is there when it is read");
    is_int(sums.lifetimes, 0, "buffers alive together do not overlap");
    is_int(sums.barriers, 0, "nothing crosses between threads without a barrier");
    ok(!train || sums.waits < sums.steps, "%d barriers for %d steps", sums.waits, sums.steps);
    ok(sums.bytes <= 1.05 * sums.bound, "%.3f of the lower bound", sums.bytes / sums.bound);
    ok(sums.bytes < 0.9 * sums.unshared, "%.2f of what it takes without sharing",
       sums.bytes / sums.unshared);
}

/* The checker itself must see a fault. */
static void test_the_checker(void)
{
    struct nn_graph *g = random_graph(1, 16, false);
    struct program *p =
        program_new(g, &(struct program_options){.threads = 1, .train = true}, NULL);
    int biggest = 0, waits = 0;
    for (int i = 0; i < p->plan.count; i++)
        if (p->plan.buffers[i].bytes > p->plan.buffers[biggest].bytes)
            biggest = i;
    p->plan.buffers[biggest ? 0 : 1].offset = p->plan.buffers[biggest].offset;
    p->plan.buffers[biggest ? 0 : 1].dies = p->count;
    ok(faults_of_lifetimes(p) > 0, "a moved buffer is seen");
    ok(faults_of_barriers(p, &waits) == 0, "barriers are right");
    for (int s = 0; s < p->count; s++)
        p->exec[s].wait = false;
    ok(faults_of_barriers(p, &waits) > 0, "missing barriers are seen");
    for (int s = 1; s < p->count; s++)
        if (in_arena(p, p->exec[s].step.out)) {
            p->exec[s].step.out = p->activations.data;
        }
    ok(faults_of_memory(p, true) > 0, "an overwritten input is seen");
    program_free(p);
    graph_free(g);
}

int main(void)
{
    kn_init(NULL, NULL);
    test_random_graphs(true, false);
    test_random_graphs(true, true);
    test_random_graphs(false, false);
    test_the_checker();
    return done();
}
