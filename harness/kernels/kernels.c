/* kernels.c — choose a table once, at start-up. The only file that asks the CPU
 * what it is. __builtin_cpu_supports also asks the operating system whether it
 * saves the registers, which a bare CPUID test forgets. */
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct kn_table kn_table_scalar;

const char *const kn_conv_algos[] = {"auto", "direct", "winograd2", "winograd4", NULL};

int kn_conv_algo(const char *name)
{
    int a = 0;
    while (name && kn_conv_algos[a] && strcmp(kn_conv_algos[a], name) != 0)
        a++;
    return kn_conv_algos[a] ? a : -1;
}

#if defined __x86_64__

extern const struct kn_table kn_table_avx512, kn_table_avx2;
const struct kn_table *const kn_tables[] = {&kn_table_avx512, &kn_table_avx2, &kn_table_scalar,
                                            NULL};

bool kn_runs_here(const struct kn_table *t)
{
    if (t == &kn_table_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (t == &kn_table_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

#elif defined __aarch64__

extern const struct kn_table kn_table_neon;
const struct kn_table *const kn_tables[] = {&kn_table_neon, &kn_table_scalar, NULL};

bool kn_runs_here(const struct kn_table *t) { return t != NULL; } /* NEON is part of AArch64 */

#else

const struct kn_table *const kn_tables[] = {&kn_table_scalar, NULL};

bool kn_runs_here(const struct kn_table *t) { return t != NULL; }

#endif

const struct kn_table *kn = &kn_table_scalar;

bool kn_init(const char *isa, struct err *err)
{
    (void)kn_caches(); /* probed before there are threads */
    const char *const from_environment = isa ? NULL : getenv("BENCH_ISA");
    if (from_environment && *from_environment)
        isa = from_environment;
    for (int i = 0; kn_tables[i]; i++) {
        if (isa && strcmp(isa, kn_tables[i]->isa) != 0)
            continue;
        if (kn_runs_here(kn_tables[i])) {
            kn = kn_tables[i];
            return true;
        }
        if (isa)
            return err_status(err, EXIT_USAGE, "this CPU does not run instruction set '%s'", isa);
    }
    char names[64] = "";
    for (int i = 0; kn_tables[i]; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", kn_tables[i]->isa);
    return err_status(err, EXIT_USAGE, "unknown instruction set '%s'; this build has%s", isa, names);
}
