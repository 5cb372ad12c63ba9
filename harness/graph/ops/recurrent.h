/* recurrent.h — shared by recurrent.c, recurrent_grad.c and recurrent_ends.c only. */
#ifndef OPS_RECURRENT_H
#define OPS_RECURRENT_H

#include "graph/ops/oplib.h"

enum { GATES, HIDDEN_WEIGHT }; /* inputs of rnn, lstm, gru; what else is in attr.at_in[] */
enum { GRAD_GATES, GRAD_Y, GRAD_WEIGHT }; /* of recurrent_grad */

/* What a recurrent node keeps behind its output (attr.behind), in floats from the first of it:
 * small things first, so that attr.from can say where. Only c_end is there without a backward pass.
 */
struct record {
    size_t c_end, dh0, dc0, dpeep, before, extra, end;
};
struct record record_of(const struct node *y);

/* What any of the family has in common for the kernel: sizes, the cell, what y has kept. */
struct kn_recurrent recurrent_of(const struct node *y, const void *out);

void recurrent_grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS]);

#endif
