/*
 * measure.h - how much numbers differ
 */
#ifndef DFX_MEASURE_H
#define DFX_MEASURE_H

#include "plan.h"

/*
 * Adds elements first .. first + count of both to measurement's sums and
 * largest numbers, in the order of the elements and in double. Both have
 * numbers of the same shape.
 */
DFX_CHECKED dfx_status dfx_measure_range(const dfx_expr *source,
                                         const dfx_expr *written,
                                         uint64_t first, uint64_t count,
                                         dfx_measurement *measurement,
                                         dfx_error *err);

#endif
