/* A shape that does not fit; build() itself need not notice. */
#define NAME "build-error"
#define BEND bend
#include <nn.h>
static nn_value bend(nn_value x)
{
    return nn_add(x, nn_param(x.graph, "extra", NN_SHAPE(11), NN_ZEROS));
}
#include "part.h"
