/* recurrent.h — shared by recurrent.c, recurrent_grad.c, recurrent_attend.c and recurrent_ends.c
 * only. */
#ifndef OPS_RECURRENT_H
#define OPS_RECURRENT_H

#include "graph/ops/oplib.h"

enum { GATES, HIDDEN_WEIGHT };    /* inputs of rnn, lstm, gru; what else is in attr.at_in[] */
enum { ALSO_CELL, ALSO_CONTEXT }; /* attr.also[] */
enum { GRAD_GATES, GRAD_Y, GRAD_WEIGHT }; /* of recurrent_grad */

/* What a recurrent node keeps behind its output (attr.behind), in floats from the first of it:
 * small things first, so that attr.from can say where. Without a backward pass it ends at `kept`.
 */
struct record {
    size_t c_end, context, alpha, kept, dh0, dc0, dpeep, dv, dkeys, dvalues, before, extra, query,
        end;
};
struct record record_of(const struct node *y);

/* What any of the family has in common for the kernel: sizes, the cell, what y has kept. */
struct kn_recurrent recurrent_of(const struct node *y, const void *out);

/* ---- recurrent_attend.c: attention inside the loop */

static inline bool attends(const struct node *y) { return y->attr.A > 0; }

/* What the layer attends to: the keys themselves unless told. */
static inline nn_value attended_values(const struct nn_recurrent_opts *o)
{
    return o->attend_values.graph ? o->attend_values : o->attend_keys;
}

/* Are the options' keys, values and length what a layer over x can attend to? Reports if not. True
 * without keys. */
bool attend_options_ok(nn_value x, const struct nn_recurrent_opts *o, const char *op,
                       const char *at);

/* Appends keys, values, length, and the parameters query and v to the inputs; notes sizes in attr.
 */
void attend_inputs(struct nn_graph *g, const struct nn_recurrent_opts *o, nn_value weight_ih,
                   nn_value *in, int *count, struct attr *attr, const char *at);

/* The kernel's inputs for either direction, from a step of either op. */
void attend_of_step(const struct step *s, const struct node *y, struct kn_recurrent *r);

/* FLOPs and multiply-adds of attention in all steps of y; `products`: steps with a product by h. */
double attend_macs(const struct node *y);
double attend_flops(const struct node *y, double products);
double attend_grad_flops(const struct node *y, double products);

/* The inputs of recurrent_grad that attention adds, and the gradients of its inputs. */
void attend_grad_inputs(struct nn_graph *g, int id, nn_value *in, int *count, struct attr *attr);
void attend_grads(struct nn_graph *g, int id, nn_value da, nn_value dx[NODE_INPUTS]);

void recurrent_grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS]);

#endif
