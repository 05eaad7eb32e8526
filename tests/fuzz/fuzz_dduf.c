/*
 * fuzz_dduf.c - any bytes as a DDUF archive
 *
 * What breaks a rule is not called safe.
 */
#include <config.h>

#include "dfx.h"
#include "fuzz.h"

static void
count_finding(void *context, const dfx_error *finding)
{
    REQUIRE(finding->rule[0] != '\0');
    *(size_t *)context += finding->status != DFX_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dfx_open_options as_dduf = {.format = "dduf"};
    const char *path = fuzz_file(data, size);
    size_t faults = 0;
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    dfx_index *index = NULL;

    REQUIRE(dfx_validate(path, &as_dduf, count_finding, &faults, NULL) ==
            DFX_OK);
    REQUIRE(dfx_audit_path(path, &as_dduf, NULL, NULL, &verdict, NULL) ==
            DFX_OK);
    REQUIRE(faults == 0 || verdict != DFX_VERDICT_SAFE);
    if (dfx_open(path, &as_dduf, &index, NULL) == DFX_OK)
        dfx_index_free(index);
    return 0;
}
