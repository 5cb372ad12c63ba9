/* floor.h — the A/A noise floor: how different this machine makes a program from itself.
 *
 * Two identical pieces of work take turns in pairs, in an order drawn by chance; each pair
 * gives d = ln(second / first). reference/measurement 2.5: the 99th percentile of the
 * Hodges-Lehmann estimate over ten pairs bounds what a gate may call a change. Measured within one
 * process: what a new process adds (its memory layout) is not in it. */
#ifndef FLOOR_H
#define FLOOR_H

struct noise_floor {
    int pairs, threads;
    double q99;     /* of |estimate| over gates of ten pairs, as a fraction */
    double spread;  /* median |d|: what one pair shows */
    double steal;   /* of the wall time, taken by the hypervisor; NAN where /proc/stat lacks */
    double foreign; /* CPUs busy with other processes meanwhile, of all; NAN likewise */
};

/* Takes about `seconds`. kn_init() must have been called. */
struct noise_floor noise_floor_measure(int threads, double seconds);

/* The smallest change that a gate should be asked for: max(3 %, 1.5 q99), as a fraction; above
 * FLOOR_UNFIT the machine is not fit for gating. */
double noise_floor_margin(const struct noise_floor *f);
#define FLOOR_UNFIT 0.05

#endif
