/* kernel.h — included by each kernel's source, which the Makefile compiles once
 * per instruction set: cc -mavx2 -mfma -DKN_ISA=avx2 -DKN_VEC='"vec_avx2.h"'.
 * KN(f) is then kn_f_avx2, and vf is a vector of VF floats. + - * / and unary -
 * aside, only the functions of the vec_*.h exist for vf; they have the same names
 * and meaning in each of them (vec_scalar.h says which). */
#ifndef KERNEL_H
#define KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"
#include KN_VEC

#define KN_CAT_(name, isa) kn_##name##_##isa
#define KN_CAT(name, isa)  KN_CAT_(name, isa)
#define KN(name)           KN_CAT(name, KN_ISA)

void KN(gemm_how)(const struct kn_gemm *g, int threads, char how[KN_HOW]);
void KN(conv_how)(const struct kn_conv *c, int pass, char how[KN_HOW]);
size_t KN(conv_pieces)(const struct kn_conv *c);
#define KERNEL(type, name, params) type KN(name) params;
#include "kernels/kernels.def"
#undef KERNEL

#endif
