/* pmu.h — which performance counters the kernel lets this process use. */
#ifndef PMU_H
#define PMU_H

#include <stdbool.h>

/* Whether the CPU's own events (cycles) and the kernel's software events (context switches) can
 * be opened; `why` (at least 160 bytes) tells why the CPU's cannot: no PMU in this virtual machine,
 * or perf_event_paranoid. */
bool pmu_hardware(char why[160]);
bool pmu_software(void);

/* Whether an energy counter (RAPL) can be read. */
bool pmu_energy(void);

#endif
