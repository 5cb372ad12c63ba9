/* table.c — the kernels of one instruction set; compiled last, once for each. */
#include "kernels/kernel.h"

#define STR_(x) #x
#define STR(x)  STR_(x)

extern const struct kn_table KN(table);

const struct kn_table KN(table) = {
    .isa = STR(KN_ISA),
    .lanes = VF,
    .gemm_how = KN(gemm_how),
    .conv_how = KN(conv_how),
    .conv_pieces = KN(conv_pieces),
#define KERNEL(type, name, params) .name = KN(name),
#include "kernels/kernels.def"
#undef KERNEL
};
