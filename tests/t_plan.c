/* t_plan.c — the plan of memory and barriers, checked by somebody who does not
 * know how it was made: only pointers, sizes and the order of steps are looked at.
 *
 * Every number in the arena has an owner, the step that wrote it last. A step must
 * find all of its inputs owned by the steps that made them, also where they are columns of
 * a matrix that several steps have written, or that holds more than they want. Steps
 * between two barriers run in any order and together, so they must not touch what
 * another of them writes. */
#include "graph/exec.h"
#include "tests/random_graph.h"
#include "tests/tap.h"

enum { GRAPHS = 60, NOBODY = -1 };

struct replay {
    const struct program *p;
    int *owner; /* of each float of the arena */
    int *maker; /* of each node: the step that computes it; NOBODY for leaves and views */
    int faults;
    bool expected; /* the checker is being checked: say nothing */
};

/* Memory: rows of so many bytes, ld apart. */
struct rows {
    const char *at;
    size_t rows, row, ld;
};

static struct rows rows_of(const struct node *n, const void *data)
{
    const size_t bytes = shape_elements(&n->shape) * 4,
                 row = n->ld ? shape_row(&n->shape) * 4 : bytes;
    return (struct rows){data, bytes / row, row, n->ld ? n->ld * 4 : bytes};
}

static struct rows columns_of(struct rows r, size_t row, size_t from, size_t to)
{
    return (struct rows){r.at + from, r.rows * r.row / row, to - from, r.ld == r.row ? row : r.ld};
}

static bool in_arena(const struct program *p, const void *data)
{
    const char *base = (const char *)p->activations.data, *x = data;
    return x >= base && x < base + p->plan.bytes;
}

static int *owners(struct replay *r, const char *at)
{
    return r->owner + (at - (const char *)r->p->activations.data) / 4;
}

static size_t lines(const struct node *n) { return (shape_elements(&n->shape) * 4 + 63) / 64; }

static void find_makers(struct replay *r)
{
    const struct nn_graph *g = r->p->g;
    for (int i = 0; i < g->nodes; i++) {
        r->maker[i] = NOBODY;
        for (int s = 0; s < r->p->count; s++)
            if (r->p->exec[s].step.node == &g->node[i])
                r->maker[i] = s;
    }
}

/* Does input k of join n lie where the join wants it? Then `from` is where; in bytes of a row. */
static bool is_in_place(const struct program *p, int id, int k, size_t *from)
{
    const struct node *n = &p->g->node[id];
    *from = 0;
    for (int i = 0; i < k; i++)
        *from += shape_row(&p->g->node[n->in[i]].shape) * 4;
    return p->data[n->in[k]] == (char *)p->data[id] + *from;
}

static bool owned(struct replay *r, struct rows at, int by)
{
    for (size_t i = 0; i < at.rows; i++) {
        const int *owner = owners(r, at.at + i * at.ld);
        for (size_t k = 0; k < at.row / 4; k++)
            if (owner[k] != by)
                return false;
    }
    return true;
}

/* Are bytes [from, to) of each row of node `id` those that it, or who made that part, has written?
 */
static bool alive(struct replay *r, int id, size_t from, size_t to)
{
    const struct nn_graph *g = r->p->g;
    const struct node *n = &g->node[id];
    const size_t row = shape_row(&n->shape) * 4;
    if (!in_arena(r->p, r->p->data[id]))
        return true;
    if (n->op == &op_slice && node_is_view(g, n))
        return alive(r, n->in[0], from + (size_t)n->attr.from * 4, to + (size_t)n->attr.from * 4);
    if (n->op != &op_concat && node_is_view(g, n))
        return alive(r, n->in[0], 0, shape_row(&g->node[n->in[0]].shape) * 4);
    const struct rows all = rows_of(n, r->p->data[id]);
    if (n->op != &op_concat ||
        n->attr.axis != (shape_rank(&n->shape) == 4 ? 1 : shape_rank(&n->shape) - 1))
        return owned(r, columns_of(all, row, from, to), r->maker[id]);
    bool good = true;
    for (int k = 0; k < n->inputs; k++) {
        size_t at;
        const bool there = is_in_place(r->p, id, k, &at);
        const size_t end = at + shape_row(&g->node[n->in[k]].shape) * 4;
        const size_t low = at > from ? at : from, high = end < to ? end : to;
        if (low >= high)
            continue;
        good &= there ? alive(r, n->in[k], low - at, high - at)
                      : owned(r, columns_of(all, row, low, high), r->maker[id]);
    }
    return good;
}

static void check_alive(struct replay *r, int id, const char *what)
{
    const struct node *n = &r->p->g->node[id];
    if (alive(r, id, 0, shape_row(&n->shape) * 4))
        return;
    if (!r->expected)
        printf("# %s %s of %s is no longer there\n", what, n->op->name, n->row);
    r->faults++;
}

static bool touch(struct rows a, struct rows b)
{
    for (size_t i = 0, k = 0; i < a.rows && k < b.rows;) {
        const char *const x = a.at + i * a.ld, *const y = b.at + k * b.ld;
        if (x < y + b.row && y < x + a.row)
            return true;
        if (x < y)
            i++;
        else
            k++;
    }
    return false;
}

/* Is input k of a join one that lies in its place there, or the same once more? */
static bool is_piece(const struct program *p, const struct step *s, int k)
{
    const int id = (int)(s->node - p->g->node);
    size_t at;
    for (int i = 0; s->op == &op_concat && i < s->node->inputs; i++)
        if (s->node->in[i] == s->node->in[k] && is_in_place(p, id, i, &at))
            return true;
    return false;
}

/* An output may lie on an input only if it is that input and the op says so, or around a piece. */
static void check_overwriting(struct replay *r, const struct step *s)
{
    const struct rows out = rows_of(s->node, s->out);
    for (int k = 0; k < s->node->inputs; k++) {
        const struct rows in = rows_of(s->in_node[k], s->in[k]);
        const bool in_place = (s->op->flags & OP_IN_PLACE) && s->in[k] == s->in[0] &&
                              in.at == out.at && in.rows * in.row == out.rows * out.row &&
                              in.ld == out.ld;
        r->faults += touch(in, out) && !in_place && !is_piece(r->p, s, k);
    }
}

static void own(struct replay *r, struct rows at, int by)
{
    for (size_t i = 0; i < at.rows; i++)
        for (size_t k = 0; k < at.row / 4; k++)
            owners(r, at.at + i * at.ld)[k] = by;
}

/* A join writes the pieces that are not there. */
static void own_output(struct replay *r, int step)
{
    const struct step *s = &r->p->exec[step].step;
    const struct rows all = rows_of(s->node, s->out);
    const int id = (int)(s->node - r->p->g->node);
    size_t at;
    if (!in_arena(r->p, s->out))
        return;
    bool whole = true;
    for (int k = 0; s->op == &op_concat && k < s->node->inputs; k++)
        whole &= !is_in_place(r->p, id, k, &at);
    if (whole)
        own(r, all, step);
    for (int k = 0; !whole && k < s->node->inputs; k++)
        if (!is_in_place(r->p, id, k, &at))
            own(r,
                columns_of(all, shape_row(&s->node->shape) * 4, at,
                           at + shape_row(&s->in_node[k]->shape) * 4),
                step);
}

static int replay_steps(struct replay *r)
{
    const struct program *p = r->p;
    find_makers(r);
    for (int s = 0; s < p->count; s++) {
        const struct step *step = &p->exec[s].step;
        for (int k = 0; k < step->node->inputs; k++)
            check_alive(r, step->node->in[k], "input");
        check_overwriting(r, step);
        own_output(r, s);
    }
    check_alive(r, p->g->loss, "loss");
    for (int i = 0; i < p->g->metrics; i++)
        check_alive(r, p->g->metric[i].node, "metric");
    return r->faults;
}

static int faults_of_memory(const struct program *p, bool expected)
{
    struct replay r = {p, xmalloc(p->plan.bytes / 4 * sizeof(int) + 1),
                       xmalloc((size_t)p->g->nodes * sizeof(int)), 0, expected};
    for (size_t i = 0; i < p->plan.bytes / 4; i++)
        r.owner[i] = NOBODY;
    const int faults = replay_steps(&r);
    free(r.owner);
    free(r.maker);
    return faults;
}

/* Does `a` write what `b` reads or writes? */
static bool disturbs(const struct step *a, const struct step *b)
{
    const struct rows out = rows_of(a->node, a->out);
    bool found = touch(out, rows_of(b->node, b->out));
    for (int k = 0; k < b->node->inputs; k++)
        found |= touch(out, rows_of(b->in_node[k], b->in[k]));
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
