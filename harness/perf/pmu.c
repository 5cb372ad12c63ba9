/* pmu.c — see pmu.h. */
#define _GNU_SOURCE
#include "perf/pmu.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool opens(uint32_t type, uint64_t config)
{
    struct perf_event_attr attr = {.type = type,
                                   .size = sizeof attr,
                                   .config = config,
                                   .disabled = 1,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    const long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    if (fd < 0)
        return false;
    close((int)fd);
    return true;
}

bool pmu_hardware(char why[160])
{
    why[0] = '\0';
    if (opens(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES))
        return true;
    const int cause = errno;
    if (cause == ENOENT || cause == ENODEV || cause == EOPNOTSUPP)
        snprintf(why, 160, "this machine shows no PMU (usual in virtual machines)");
    else if (cause == EACCES || cause == EPERM)
        snprintf(why, 160, "not permitted: see /proc/sys/kernel/perf_event_paranoid");
    else
        snprintf(why, 160, "perf_event_open: %s", strerror(cause));
    return false;
}

bool pmu_software(void) { return opens(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES); }

bool pmu_energy(void) { return access("/sys/class/powercap/intel-rapl:0/energy_uj", R_OK) == 0; }
