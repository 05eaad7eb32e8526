/*
 * audit.h - what a file would do to who loads it
 *
 * Readers of formats that can hold code report concerns; the worst one is the
 * verdict. Verdicts are public (dfx.h).
 */
#ifndef DFX_AUDIT_H
#define DFX_AUDIT_H

#include "error.h"

typedef struct dfx_audit {
    dfx_concern_fn *found; /* NULL: only the verdict is wanted */
    void *context;
    const char *where;   /* file within what is audited; "": itself. Borrowed */
    unsigned depth;      /* of dfx_place_audit: files hold or name files */
    dfx_verdict verdict; /* the worst so far */
    dfx_error worst;     /* its rule and text; of the first that bad */
} dfx_audit;

/*
 * Reports a concern. global is the name it is about, "os.system", or NULL;
 * position a byte of the file (of the stream, for pickles in archives: where
 * says which member). Text from files is masked.
 */
void dfx_audit_report(dfx_audit *audit, dfx_verdict verdict, dfx_rule rule,
                      const char *global, uint64_t position, const char *fmt,
                      ...) DFX_PRINTF(6, 7);

/* A fault that a reader told of the file at path, as a concern. */
void dfx_audit_fault(dfx_audit *audit, dfx_verdict verdict, const char *path,
                     const dfx_error *fault);

#endif
