/* The logarithm of a negative number, whatever the input. */
#define NAME "nan"
#define BEND bend
#include <nn.h>
static nn_value bend(nn_value x) { return nn_log(nn_offset(nn_neg(nn_abs(x)), -1.0f)); }
#include "part.h"
