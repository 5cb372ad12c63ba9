/* Another network at every call of build(). */
#define NAME "moody"
#define BEND bend
#include <nn.h>
static nn_value bend(nn_value x)
{
    static int calls;
    return calls++ % 2 ? nn_tanh(x) : x;
}
#include "part.h"
