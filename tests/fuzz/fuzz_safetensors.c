/*
 * fuzz_safetensors.c - the safetensors reader and writer
 *
 * What is read covers the data once and comes back byte for byte when it is
 * laid out with its header; what is refused is refused by a rule of the format.
 * Judging finds a fault exactly where reading does.
 */
#include <config.h>

#include "fuzz.h"

#include <string.h>

#include "registry.h"

extern const dfx_format dfx_format_safetensors;

static void
count_finding(void *context, const dfx_error *finding)
{
    size_t *count = context;

    REQUIRE(strncmp(finding->rule, "st.", 3) == 0);
    REQUIRE(finding->text[0] != '\0' && finding->file[0] != '\0');
    ++*count;
}

static void
check_extents(const dfx_index *index, uint64_t file_size)
{
    uint64_t sum = 8 + index->header.size;

    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_tensor *t = &index->tensors[i];

        REQUIRE(t->data.size <= file_size);
        REQUIRE(t->data.offset <= file_size - t->data.size);
        REQUIRE(dfx_index_find(index, 0, t->name) == t);
        sum += t->data.size;
    }
    REQUIRE(sum == file_size);
}

/* The index's tensors, in a file with this header. NULL: one of our own. */
static dfx_plan *
lay_out(const dfx_index *index, const uint8_t *header)
{
    const dfx_bundle_component component = {.name = ""};
    dfx_bundle bundle = {.components = &component,
                         .component_count = 1,
                         .header = header,
                         .header_size =
                             header == NULL ? 0 : index->header.size};
    dfx_plan *plan = NULL;

    REQUIRE(dfx_plan_new("out", false, &plan, NULL) == DFX_OK);
    for (size_t i = 0; i < index->tensor_count; i++) {
        const dfx_expr *x = NULL;

        REQUIRE(dfx_expr_tensor(&plan->arena, &index->tensors[i], &x, NULL) ==
                DFX_OK);
        REQUIRE(dfx_bundle_add(&bundle, 0, index->tensors[i].name, x, NULL) ==
                DFX_OK);
    }
    for (size_t i = 0; i < index->meta_count; i++)
        REQUIRE(dfx_bundle_add_meta(&bundle, 0, index->metadata[i].key,
                                    index->metadata[i].value, NULL) == DFX_OK);
    REQUIRE(dfx_format_safetensors.lay_out(&bundle, "", plan, NULL) == DFX_OK);
    REQUIRE(dfx_plan_seal(plan, NULL) == DFX_OK);
    dfx_bundle_fini(&bundle);
    return plan;
}

/* The bytes of a plan's file; free() them. */
static uint8_t *
bytes_of(const dfx_plan *plan)
{
    const dfx_output *output = &plan->outputs[0];
    uint8_t *bytes = malloc(output->view.size);

    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < output->piece_count; i++) {
        const dfx_expr *x = output->pieces[i].expr;

        if (x->bytes > 0)
            REQUIRE(dfx_expr_pull(x, 0, x->elements,
                                  bytes + output->pieces[i].offset,
                                  NULL) == DFX_OK);
    }
    return bytes;
}

static dfx_index *
read_file(const char *path, dfx_error *err)
{
    dfx_index *index = NULL;
    uint32_t component = 0;

    REQUIRE(dfx_index_new(path, &index, NULL) == DFX_OK);
    REQUIRE(dfx_index_component(index, "", &component, NULL) == DFX_OK);
    if (dfx_format_safetensors.read(&(dfx_place){.path = path}, component, NULL,
                                    index, err) == DFX_OK) {
        REQUIRE(dfx_index_seal(index, NULL) == DFX_OK);
        return index;
    }
    dfx_index_free(index);
    return NULL;
}

/* With its own header a file comes back; with ours it can be read again. */
static void
check_way_back(const dfx_index *index, const uint8_t *data, size_t size)
{
    dfx_plan *plan = lay_out(index, data + 8);
    uint8_t *bytes = bytes_of(plan);
    dfx_index *again;

    REQUIRE(plan->outputs[0].view.size == size &&
            memcmp(bytes, data, size) == 0);
    free(bytes);
    dfx_plan_free(plan);

    plan = lay_out(index, NULL);
    bytes = bytes_of(plan);
    again = read_file(fuzz_file(bytes, plan->outputs[0].view.size), NULL);
    REQUIRE(again != NULL && again->tensor_count == index->tensor_count &&
            again->meta_count == index->meta_count);
    dfx_index_free(again);
    free(bytes);
    dfx_plan_free(plan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    size_t findings = 0;
    dfx_error err;
    dfx_index *index = read_file(path, &err);

    if (index == NULL)
        REQUIRE(strncmp(err.rule, "st.", 3) == 0 && err.file[0] != '\0');
    REQUIRE(dfx_format_safetensors.validate(&(dfx_place){.path = path}, NULL,
                                            count_finding, &findings,
                                            NULL) == DFX_OK);
    REQUIRE((index != NULL) == (findings == 0));
    if (index == NULL)
        return 0;
    check_extents(index, size);
    check_way_back(index, data, size);
    dfx_index_free(index);
    return 0;
}
