/*
 * error.h - how the library says what went wrong
 *
 * A function that can fail returns dfx_status and takes a dfx_error last, which
 * may be NULL. The place that finds a fault fills in the rule, the offset and
 * the text; the layers it passes through on the way up add what only they know:
 * the tensor, then the file.
 */
#ifndef DFX_ERROR_H
#define DFX_ERROR_H

#include "dfx.h"

typedef enum dfx_rule {
    DFX_RULE_NONE = 0,
#define RULE(constant, id, status, demand) DFX_RULE_##constant,
#include "rules.def"
#undef RULE
    DFX_RULE_COUNT
} dfx_rule;

/* The public id of a rule, such as "st.offsets.hole". Static, never NULL. */
const char *dfx_rule_id(dfx_rule rule);

/*
 * Records a broken rule and returns the status that goes with it, so that a
 * check is one statement: return dfx_fail(err, DFX_RULE_X, offset, "...");
 */
dfx_status dfx_fail(dfx_error *err, dfx_rule rule, uint64_t offset,
                    const char *fmt, ...) DFX_PRINTF(4, 5);

/* The same for faults that break no rule of a format. */
dfx_status dfx_fail_usage(dfx_error *err, const char *fmt, ...)
    DFX_PRINTF(2, 3);
dfx_status dfx_fail_nomem(dfx_error *err);
dfx_status dfx_fail_stopped(dfx_error *err);
/* Text, then the system's reason for errno_value. */
dfx_status dfx_fail_io(dfx_error *err, int errno_value, const char *fmt, ...)
    DFX_PRINTF(3, 4);

/* Fill in the name unless a deeper layer already did. err may be NULL. */
void dfx_error_in_file(dfx_error *err, const char *path);
void dfx_error_in_tensor(dfx_error *err, const char *name);
/* The same for a name that does not end in NUL. */
void dfx_error_in_tensor_text(dfx_error *err, const char *name, size_t size);

/*
 * Returns from the calling function when a step fails. For functions that hold
 * nothing to release; where something is held, write the test and goto out.
 */
#define DFX_TRY(call)                                                          \
    do {                                                                       \
        dfx_status try_status_ = (call);                                       \
        if (try_status_ != DFX_OK)                                             \
            return try_status_;                                                \
    } while (0)

#endif
