/* denormal.h — numbers below 2^-126 become 0 in this thread.
 *
 * Gradients of saturated units fall below the normal range, and many CPUs then
 * take a hundred cycles an operation. All threads of a step do the same, so the
 * bits do not depend on their number. */
#ifndef DENORMAL_H
#define DENORMAL_H

#include <stdint.h>

#if defined __x86_64__
enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
static inline uint64_t denormals_off(void)
{
    const unsigned old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(old | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return old;
}
static inline void denormals_restore(uint64_t old) { __builtin_ia32_ldmxcsr((unsigned)old); }
#elif defined __aarch64__
enum { FPCR_FLUSH_TO_ZERO = 1 << 24 };
static inline uint64_t denormals_off(void)
{
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | FPCR_FLUSH_TO_ZERO));
    return old;
}
static inline void denormals_restore(uint64_t old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
static inline uint64_t denormals_off(void) { return 0; }
static inline void denormals_restore(uint64_t old) { (void)old; }
#endif

#endif
