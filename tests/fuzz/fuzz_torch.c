/*
 * fuzz_torch.c - any bytes as a PyTorch file: zip, legacy stream, tar, pickle
 *
 * An audit always comes to a verdict, and what opens has been looked at: a file
 * is not read as safe that the audit calls otherwise.
 */
#include <config.h>

#include "dfx.h"
#include "fuzz.h"

static void
ignore_concern(void *context, const dfx_concern *concern)
{
    (void)context;
    REQUIRE(concern->verdict != DFX_VERDICT_SAFE && concern->rule[0] != '\0');
}

static void
read_tensors(const dfx_index *index)
{
    size_t count = 0;
    const dfx_tensor *tensors = dfx_index_tensors(index, &count);
    unsigned char buf[4096];

    for (size_t i = 0; i < count && i < 64; i++) {
        const dfx_extent *data = &tensors[i].data;
        size_t size = data->size < sizeof buf ? (size_t)data->size : sizeof buf;

        if (dfx_extent_read(data, 0, buf, size, NULL) != DFX_OK)
            return; /* a member whose CRC is another */
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dfx_open_options as_torch = {.format = "ckpt",
                                              .max_expanded = 1 << 20};
    const char *path = fuzz_file(data, size);
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    dfx_index *index = NULL;

    REQUIRE(dfx_audit_path(path, &as_torch, ignore_concern, NULL, &verdict,
                           NULL) == DFX_OK);
    if (dfx_open(path, &as_torch, &index, NULL) == DFX_OK)
        read_tensors(index);
    dfx_index_free(index);
    return 0;
}
