/* kernel_cases.h — the kernels of kernels.def at the sizes that networks ask them for.
 *
 * kernel_cases.c is the table of sizes, kernel_calls.c knows for every kernel how it is called,
 * what it should give, and what it costs. A case is run on a `job`: the operands of one call. */
#ifndef KERNEL_CASES_H
#define KERNEL_CASES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "kernels/kernels.h"

/* A number for every line of kernels.def: KERNEL_gemm_f32 … */
enum kernel_id {
#define KERNEL(type, name, params) KERNEL_##name,
#include "kernels/kernels.def"
#undef KERNEL
    KERNELS
};

enum { CASE_DIMS = 8, CASE_OPERANDS = 5, CASE_SHAPE = 64, CASE_TEXT = 128 };

/* What gemm_f32 does besides multiplying is its number d[CASE_EPILOGUE], and part of its form. */
enum { CASE_EPILOGUE = 3 };
enum case_epilogue {
    EPILOGUE_NONE,
    EPILOGUE_BIAS,
    EPILOGUE_RELU, /* bias too */
    EPILOGUE_TANH, /* bias too */
    EPILOGUE_RELU_GRAD,
    EPILOGUE_TANH_GRAD
};

struct kernel_case {
    int kernel;       /* enum kernel_id */
    const char *form; /* "NT", "lanes"; "" where there is one form only */
    int d[CASE_DIMS]; /* as kernel_call.dims names them */
    const char *seen; /* which network's row asks for it; CASE_LARGE: larger than caches */
};
extern const char CASE_LARGE[];
extern const struct kernel_case kernel_cases[];
extern const int kernel_cases_count;

/* The operands of one call, in the order of the kernel's parameters. */
struct kernel_job {
    const struct kernel_case *c;
    float *x[CASE_OPERANDS];
    void *work; /* scratch, shared by all jobs of a case */
};

/* What is known of one kernel. `roles` has a letter per operand:
 *     r  read, in [-2, 2)      p  read, in [0.1, 2)      w  written
 *     u  read and written, in [-2, 2)      q  the same, in [0.1, 2)
 *     k  not part of the call: `finish` makes it afterwards, to be checked
 *     s  written, and checked by way of k      f  read by `finish` only, in [-2, 2) */
struct kernel_call {
    const char *dims;  /* "M N K": names of the numbers of a case */
    const char *shape; /* printf format of those numbers, "%dx%dx%d" */
    const char *roles;
    bool crew;                                   /* takes all threads; others use one */
    void (*floats)(const int *d, size_t n[]);    /* in each operand; may ask the table in use */
    void (*prepare)(const struct kernel_job *j); /* makes what noise cannot; NULL: nothing */
    void (*run)(const struct kernel_job *j, const struct crew *crew);
    void (*finish)(const struct kernel_job *j);
    /* What element i of operand k should be, and within which bound; updated operands in `before`
     * hold what they held. NULL: the kernel returns a size, which has no other truth. */
    double (*want)(const struct kernel_job *before, int k, size_t i, double *bound);
    double (*flops)(const struct kernel_case *c);             /* NULL: counted in bytes */
    size_t (*work)(const struct kernel_case *c, int threads); /* bytes of scratch; NULL: none */
};
extern const struct kernel_call *const kernel_calls[KERNELS];
extern const char *const kernel_names[KERNELS];

/* "NT/128x512x784", or "1280" where there is one form only. */
const char *case_variant(const struct kernel_case *c, char b[CASE_TEXT]);

/* "gemm_f32/NT/128x512x784/t2" */
const char *case_name(const struct kernel_case *c, int threads, char b[CASE_TEXT]);

/* GLOB (* and ?) is matched against the kernel's name and the whole name. */
bool case_matches(const struct kernel_case *c, int threads, const char *glob);

/* {"M": 128, "N": 512, …} of the case's numbers, without braces, for the config of a run. */
void case_json(const struct kernel_case *c, struct text *json);

/* The problem of a job of gemm_f32, for other libraries. */
struct kn_gemm case_gemm(const struct kernel_job *j);

/* Operand k of a matrix product is one that ops right before it have made or read in a training step:
 * a layer's inputs, activations, gradients of its outputs; not weights, nor what is made. */
bool case_fresh(const struct kernel_case *c, int k);

/* Operand k is what a matrix product makes for the ops right behind it: not a weight's gradient, which
 * waits for the update. */
bool case_passed_on(const struct kernel_case *c, int k);

/* Bytes that one call must move at least: each operand once, updated ones twice. */
double case_bytes(const struct kernel_case *c);

#endif
