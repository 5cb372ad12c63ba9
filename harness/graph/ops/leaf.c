/* leaf.c — input, parameter, buffer, state, constant: nodes without a step, and the table of
 * all operations. Their constructors stand in build.c, with the graph. */
#include "graph/graph.h"

const struct op op_input = {.name = "input", .flags = OP_LEAF};
const struct op op_param = {.name = "param", .flags = OP_LEAF};
const struct op op_buffer = {.name = "buffer", .flags = OP_LEAF};
const struct op op_state = {.name = "state", .flags = OP_LEAF};
const struct op op_constant = {.name = "constant", .flags = OP_LEAF};

const struct op *const all_ops[] = {
#define OP(name) &op_##name,
#include "graph/ops.def"
#undef OP
    NULL,
};
