/*
 * test_faults.c - safetensors headers with several faults, and what a writer
 * makes of metadata
 *
 * Files with one fault each are tested in tests/golden/test_safetensors.c.
 */
#include <config.h>

#include "registry.h"

#include <stdlib.h>

#include "scratch.h"
#include "tap.h"

extern const dfx_format dfx_format_safetensors;

static void
note(void *context, const dfx_error *finding)
{
    dfx_text *all = context;

    dfx_text_printf(all, "%s%s%s%s", all->size > 0 ? " " : "", finding->rule,
                    finding->tensor[0] != '\0' ? ":" : "", finding->tensor);
}

static void
write_file(const char *header, const char *data)
{
    size_t size = strlen(header);
    char file[2048] = "";

    file[0] = (char)(size & 0xff);
    file[1] = (char)(size >> 8);
    memcpy(file + 8, header, size);
    memcpy(file + 8 + size, data, strlen(data));
    scratch_write("x", file, 8 + size + strlen(data));
}

/* NAME: U8 with a shape and offsets. */
#define ENTRY(name, shape, offsets)                                            \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":" shape                          \
    ",\"data_offsets\":" offsets "}"

static void
test_judging(void)
{
    static const struct {
        const char *what, *header, *data, *want;
    } rows[] = {
        {"faults in two entries",
         "{" ENTRY("a", "[-1]", "[0,1]") "," ENTRY("b", "[1]", "[1]") "}", "xy",
         "st.shape.value:a st.offsets.count:b"},
        {"two in one",
         "{\"a\":{\"dtype\":\"u8\",\"shape\":0,\"data_offsets\":[0,2]}}", "xy",
         "st.dtype.unknown:a st.shape.type:a"},
        {"a missing field and its misspelling",
         "{\"a\":{\"Dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         "xy", "st.tensor.missing-field:a st.tensor.unknown-field:a"},
        {"no hole where an entry has no range",
         "{" ENTRY("a", "[1]", "[0.0,1]") "," ENTRY("b", "[1]", "[1,2]") "}",
         "xyz", "st.offsets.value:a"},
        {"an overlap there all the same",
         "{" ENTRY("a", "[1]", "null") "," ENTRY("b", "[1]", "[1,2]") "," ENTRY(
             "c", "[1]", "[1,2]") "}",
         "xy", "st.offsets.type:a st.offsets.overlap:c"},
        {"one inside another, then one behind it",
         "{" ENTRY("a", "[4]", "[0,4]") "," ENTRY(
             "b", "[1]", "[1,2]") "," ENTRY("c", "[1]", "[4,5]") "}",
         "abcde", "st.offsets.overlap:b"},
        {"a reversed range and what it leaves",
         "{" ENTRY("a", "[1]", "[1,0]") "," ENTRY("b", "[1]", "[0,1]") "}", "x",
         "st.offsets.order:a"},
        {"a hole and a rest", "{" ENTRY("a", "[1]", "[1,2]") "}", "xyz",
         "st.offsets.hole:a st.data.tail"},
        {"wrong sizes go on",
         "{" ENTRY("a", "[2]", "[0,1]") "," ENTRY("b", "[2]", "[1,4]") "}",
         "xyzt", "st.tensor.size:a st.tensor.size:b"},
        {"an offset that wraps with the header's",
         "{" ENTRY("a", "[2]",
                   "[18446744073709551613,18446744073709551615]") "}",
         "xy", "st.offsets.hole:a st.data.short:a"},
        {"metadata and a tensor",
         "{\"__metadata__\":{\"k\":1,\"l\":[2]}," ENTRY("a", "[1]",
                                                        "[0,2]") "}",
         "xy", "st.metadata.value st.metadata.value st.tensor.size:a"},
        {"duplicates and padding",
         "{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}\t", "",
         "st.json.duplicate-key st.header.padding"},
        {"syntax is the end", "{\"__metadata__\":7,}", "", "st.json.syntax"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_text found = {0};

        write_file(rows[i].header, rows[i].data);
        if (dfx_format_safetensors.validate(&(dfx_place){.path = "x"}, NULL,
                                            note, &found, NULL) != DFX_OK)
            abort();
        CHECK_TEXT(found.data == NULL ? "" : found.data, rows[i].want,
                   rows[i].what);
        dfx_text_fini(&found);
    }
}

/* What is told of a fault is enough to find it. */
static void
test_places(void)
{
    static const char header[] =
        "{" ENTRY("a", "[1]", "[0,1]") "," ENTRY("b", "[1,-2]", "[1,3]") "}";
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};
    char text[512], want[512];

    write_file(header, "xyz");
    if (dfx_index_new("x", &index, NULL) != DFX_OK)
        abort();
    if (dfx_format_safetensors.read(&(dfx_place){.path = "x"}, 0, NULL, index,
                                    &err) == DFX_OK)
        abort();
    dfx_error_print(&err, text, sizeof text);
    snprintf(
        want, sizeof want,
        "x: tensor \"b\": shape holds number -2, expected an integer from 0 "
        "to 2^64-1 [st.shape.value at byte %zu]",
        8 + (size_t)(strstr(header, "-2") - header));
    CHECK_TEXT(text, want, "file, tensor, value, rule and byte are named");
    dfx_index_free(index);
}

static void
check_header(dfx_bundle *bundle, const char *want, const char *what)
{
    dfx_plan *plan = NULL;
    dfx_text got = {0};

    if (dfx_plan_new("out", false, &plan, NULL) != DFX_OK ||
        dfx_format_safetensors.lay_out(bundle, "", plan, NULL) != DFX_OK)
        abort();
    dfx_text_add(&got, plan->outputs[0].pieces[1].expr->data,
                 plan->outputs[0].pieces[1].expr->bytes);
    CHECK_TEXT(got.data, want, what);
    dfx_text_fini(&got);
    dfx_plan_free(plan);
}

static void
test_metadata(void)
{
    const dfx_bundle_component component = {.name = ""};
    dfx_bundle bundle = {.components = &component, .component_count = 1};

    check_header(&bundle, "{}      ", "no metadata");
    bundle.empty_metadata = true;
    check_header(&bundle, "{\"__metadata__\":{}}     ", "empty metadata");
    if (dfx_bundle_add_meta(&bundle, 0, "b", "old", NULL) != DFX_OK ||
        dfx_bundle_add_meta(&bundle, 0, "c", "3", NULL) != DFX_OK ||
        dfx_bundle_add_meta(&bundle, 0, "a", "1", NULL) != DFX_OK ||
        dfx_bundle_add_meta(&bundle, 0, "b", "new", NULL) != DFX_OK)
        abort();
    check_header(&bundle,
                 "{\"__metadata__\":{\"a\":\"1\",\"b\":\"new\",\"c\":\"3\"}}"
                 "    ",
                 "metadata is sorted, and a later value replaces an earlier");
    dfx_bundle_fini(&bundle);
}

int
main(void)
{
    scratch_enter();
    test_judging();
    test_places();
    test_metadata();
    return tap_end();
}
