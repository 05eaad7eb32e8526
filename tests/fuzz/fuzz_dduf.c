/*
 * fuzz_dduf.c - any bytes as a DDUF archive
 *
 * What breaks a rule is not called safe, and what opens can be changed: the
 * archive without its last entry is planned, or refused for a rule.
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

static void
change(const dfx_archive *archive)
{
    static const dfx_archive_options options = {.force = true};
    size_t count = 0;
    const dfx_archive_entry *entries = dfx_archive_entries(archive, &count);
    dfx_archive_change removal = {.path = ""};
    dfx_plan *plan = NULL;
    dfx_error err = {0};

    REQUIRE(count > 0); /* model_index.json */
    removal.path = entries[count - 1].path;
    if (dfx_archive_plan(archive, &removal, 1, "/tmp/fuzz_dduf.dduf", &options,
                         &plan, &err) != DFX_OK)
        REQUIRE(err.rule[0] != '\0');
    dfx_plan_free(plan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dfx_open_options as_dduf = {.format = "dduf"};
    const char *path = fuzz_file(data, size);
    size_t faults = 0;
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    dfx_index *index = NULL;
    dfx_archive *archive = NULL;

    REQUIRE(dfx_validate(path, &as_dduf, count_finding, &faults, NULL) ==
            DFX_OK);
    REQUIRE(dfx_audit_path(path, &as_dduf, NULL, NULL, &verdict, NULL) ==
            DFX_OK);
    REQUIRE(faults == 0 || verdict != DFX_VERDICT_SAFE);
    if (dfx_open(path, &as_dduf, &index, NULL) == DFX_OK)
        dfx_index_free(index);
    if (dfx_archive_open(path, &as_dduf, &archive, NULL) == DFX_OK) {
        change(archive);
        dfx_archive_free(archive);
    }
    return 0;
}
