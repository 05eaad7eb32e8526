/*
 * fuzz_gguf.c - any bytes as a GGUF file
 *
 * Judging finds a fault exactly where reading does. What is read can be written
 * again, and what is written is read with the same tensors; its blocks are
 * decoded to numbers.
 */
#include <config.h>

#include <string.h>

#include "fuzz.h"
#include "plan.h"

enum { LIMIT = 1 << 20 }; /* bytes that are written */

static const dfx_open_options as_gguf = {.format = "gguf"};

static void
count_finding(void *context, const dfx_error *finding)
{
    REQUIRE(finding->rule[0] != '\0' && finding->text[0] != '\0');
    *(size_t *)context += finding->status != DFX_OK;
}

/* The bytes of a plan's file; free() them. NULL: something in it cannot be
   read, for a reason. */
static uint8_t *
bytes_of(const dfx_plan *plan)
{
    const dfx_output *output = &plan->outputs[0];
    uint8_t *bytes = malloc(output->view.size + 1);

    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < output->piece_count; i++) {
        const dfx_piece *piece = &output->pieces[i];
        dfx_error err = {0};

        if (dfx_expr_pull_bytes(piece->expr, 0, (size_t)piece->expr->bytes,
                                bytes + piece->offset, &err) == DFX_OK)
            continue;
        REQUIRE(err.text[0] != '\0');
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* The index as a file of that type; NULL: it is refused by a rule. */
static dfx_plan *
convert(const dfx_index *index, const dfx_identity *identity, dfx_type dtype)
{
    dfx_convert_options options;
    dfx_plan *plan = NULL;
    dfx_error err = {0};

    dfx_convert_options_init(&options);
    options.dtype = dtype;
    options.force = true;
    options.to = "gguf";
    if (dfx_convert(index, identity, "/tmp/fuzz_gguf.out", &options, &plan,
                    &err) != DFX_OK)
        REQUIRE(err.text[0] != '\0');
    return plan;
}

/* A file that was written, by its bytes, which are freed. */
typedef struct written {
    uint8_t *bytes; /* NULL: it was refused, or is too large */
    size_t size;
} written;

static written
write_as(const dfx_index *index, const dfx_identity *identity, dfx_type dtype)
{
    dfx_plan *plan = convert(index, identity, dtype);
    written w = {NULL, 0};

    if (plan != NULL && dfx_plan_bytes(plan) <= LIMIT) {
        w.size = (size_t)dfx_plan_bytes(plan);
        w.bytes = bytes_of(plan);
    }
    dfx_plan_free(plan);
    return w;
}

static void
read_again(written w, size_t tensors)
{
    dfx_index *index = NULL;
    size_t count = 0;

    if (w.bytes == NULL)
        return;
    REQUIRE(dfx_open(fuzz_file(w.bytes, w.size), &as_gguf, &index, NULL) ==
            DFX_OK);
    dfx_index_tensors(index, &count);
    REQUIRE(count == tensors);
    dfx_index_free(index);
    free(w.bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    dfx_identity *identity = NULL;
    dfx_index *index = NULL;
    written same, numbers, blocks;
    size_t faults = 0, count = 0;
    bool opens;

    REQUIRE(dfx_validate(path, &as_gguf, count_finding, &faults, NULL) ==
            DFX_OK);
    opens = dfx_open(path, &as_gguf, &index, NULL) == DFX_OK;
    REQUIRE(opens == (faults == 0));
    if (!opens)
        return 0;
    REQUIRE(dfx_identify(index, NULL, &identity, NULL) == DFX_OK);
    dfx_index_tensors(index, &count);
    same = write_as(index, identity, DFX_TYPE_COUNT);
    numbers = write_as(index, identity, DFX_TYPE_F32);
    blocks = write_as(index, identity, DFX_TYPE_Q8_0);
    dfx_identity_free(identity);
    dfx_index_free(index);
    read_again(same, count);
    read_again(numbers, count);
    read_again(blocks, count);
    return 0;
}
