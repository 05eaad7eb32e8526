/*
 * written.c - what a plan has written, read again
 */
#include <config.h>

#include "written.h"

#include "compress.h"

static dfx_status
open_path(const dfx_plan *plan, const char *path, dfx_io **io, dfx_error *err)
{
    dfx_io *packed = NULL;
    dfx_status status;

    DFX_TRY(dfx_io_open_file(path, &packed, err));
    if (!plan->compress) {
        *io = packed;
        return DFX_OK;
    }
    /* One byte more than it should be is enough to see that it differs. */
    status = dfx_expand(packed, plan->bytes + 1, NULL, path, io, err);
    dfx_io_close(packed);
    return status;
}

dfx_status
dfx_written_open(const dfx_plan *plan, size_t output, dfx_io **io,
                 dfx_error *err)
{
    const char *path = plan->outputs[output].view.path;
    dfx_text whole = {0};
    dfx_status status;

    dfx_text_printf(&whole, "%s%s%s", plan->dst, path[0] != '\0' ? "/" : "",
                    path);
    status = whole.failed ? dfx_fail_nomem(err)
                          : open_path(plan, whole.data, io, err);
    dfx_text_fini(&whole);
    return status;
}
