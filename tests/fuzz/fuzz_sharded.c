/*
 * fuzz_sharded.c - shard indexes, beside shards that are as they should be
 *
 * What is read without a warning has no fault to be found, and the other way
 * round; nothing outside the folder is opened (the sanitizers do not see that:
 * the shards' names are tested in test_sharded.c).
 */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <string.h>

#include "../unit/scratch.h"
#include "registry.h"

extern const dfx_format dfx_format_sharded;

static void
count_finding(void *context, const dfx_error *finding)
{
    size_t *count = context;

    REQUIRE(finding->rule[0] != '\0' && finding->file[0] != '\0');
    ++*count;
}

/* model-00001-of-00002.safetensors has a.weight, the other one b.weight. */
static void
write_shards(void)
{
    static const char *const names[] = {"a.weight", "b.weight"};
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    scratch_enter();
    for (int i = 0; i < 2; i++) {
        char path[64], file[128] = "";
        int n = snprintf(file + 8, sizeof file - 8,
                         "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],"
                         "\"data_offsets\":[0,1]}}",
                         names[i]);

        file[0] = (char)n;
        snprintf(path, sizeof path, "model-0000%d-of-00002.safetensors", i + 1);
        scratch_write(path, file, (size_t)n + 8 + 1);
    }
    /* Back, since the names of seeds may be relative. */
    REQUIRE(here >= 0 && fchdir(here) == 0);
    close(here);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[512];
    dfx_index *index = NULL;
    uint32_t component = 0;
    size_t findings = 0;
    const dfx_place place = {.path = path};
    dfx_evidence evidence = {
        .place = &place, .head = data, .head_size = size, .file_size = size};
    bool good;

    if (path[0] == '\0') {
        write_shards();
        snprintf(path, sizeof path, "%s/model.safetensors.index.json",
                 scratch_folder);
        REQUIRE(symlink(fuzz_file(data, size), path) == 0);
    }
    fuzz_file(data, size);
    (void)dfx_format_sharded.bid(&evidence);
    REQUIRE(dfx_index_new(path, &index, NULL) == DFX_OK);
    REQUIRE(dfx_index_component(index, "", &component, NULL) == DFX_OK);
    good = dfx_format_sharded.read(&place, component, NULL, index, NULL) ==
               DFX_OK &&
           dfx_index_seal(index, NULL) == DFX_OK && index->warning_count == 0;
    REQUIRE(dfx_format_sharded.validate(&place, NULL, count_finding, &findings,
                                        NULL) == DFX_OK);
    REQUIRE(good == (findings == 0));
    dfx_index_free(index);
    return 0;
}
