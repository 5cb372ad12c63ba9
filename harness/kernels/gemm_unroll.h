/* gemm_unroll.h — what a micro-kernel needs of the compiler: loops over its
 * registers unrolled whole, and its parts inlined where their sizes are constants. */
#ifndef GEMM_UNROLL_H
#define GEMM_UNROLL_H

#if defined __GNUC__ && !defined __clang__
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL _Pragma("unroll")
#endif
#define INLINE static inline __attribute__((always_inline))

#endif
