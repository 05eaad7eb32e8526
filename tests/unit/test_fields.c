/*
 * test_fields.c - writing derived fields into a config.json
 */
#include <config.h>

#include "fields.h"

#include <stdlib.h>

#include "tap.h"

static cJSON *
parse(const char *text)
{
    cJSON *doc = NULL;

    if (dfx_doc_parse(text, strlen(text), "test", &doc, NULL) != DFX_OK)
        abort();
    return doc;
}

/* in = 4, out = 8, C = 32, 64. */
static void
write_all(dfx_fields *f)
{
    dfx_field_int(f, "in_channels", "in", "4");
    dfx_field_int(f, "out_channels", "out", "4");
    dfx_field_int_or_null(f, "classes", "classes", "null");
    dfx_field_int_or_null(f, "width", "out", "null");
    dfx_field_bool(f, "flag", true, "true");
    dfx_field_text(f, "type", NULL, "\"cross\"");
    dfx_field_list(f, "channels", "C", 2, "[32, 64]");
    dfx_field_fill(f, "heads", dfx_doc_new_int(8), "8");
}

/* clang-format off */
static const struct {
    const char *what, *before, *after;
    bool complete;
} cases[] = {
    {"what differs from the defaults", "{}",
     "{\"out_channels\":8,\"width\":8,\"type\":null}", false},
    {"every field", "{}",
     "{\"in_channels\":4,\"out_channels\":8,\"classes\":null,\"width\":8,\"flag\":true,\"type\":null,\"channels\":[32,64],\"heads\":8}", true},
    {"what is there already is corrected", "{\"in_channels\":9,\"flag\":false,\"channels\":[1],\"kept\":1.0}",
     "{\"in_channels\":4,\"out_channels\":8,\"width\":8,\"flag\":true,\"type\":null,\"channels\":[32,64],\"kept\":1.0}", false},
    {"but what is only filled in", "{\"heads\":[1,2]}",
     "{\"heads\":[1,2],\"out_channels\":8,\"width\":8,\"type\":null}", false},
};
/* clang-format on */

int
main(void)
{
    dfx_facts facts = {0};

    if (dfx_facts_set(&facts, "in", 0, 0, 4, NULL) != DFX_OK ||
        dfx_facts_set(&facts, "out", 0, 0, 8, NULL) != DFX_OK ||
        dfx_facts_set(&facts, "C", 0, 0, 32, NULL) != DFX_OK ||
        dfx_facts_set(&facts, "C", 1, 0, 64, NULL) != DFX_OK)
        abort();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *config = parse(cases[i].before), *want = parse(cases[i].after);
        dfx_fields f = {
            .config = config, .facts = &facts, .complete = cases[i].complete};
        char *text;

        write_all(&f);
        text = dfx_doc_print_compact(config);
        CHECK(f.status == DFX_OK, cases[i].what);
        if (!CHECK(dfx_doc_equal(config, want), "gives this config"))
            printf("# got %s\n", text);
        free(text);
        cJSON_Delete(config);
        cJSON_Delete(want);
    }
    {
        cJSON *config = parse("{}");
        dfx_fields f = {.config = config, .facts = &facts, .complete = true};

        dfx_field_set(&f, "a", NULL, "1");
        dfx_field_int(&f, "in_channels", "in", "4");
        CHECK(f.status == DFX_ERR_NOMEM && config->child == NULL,
              "a node that could not be made stops it");
        cJSON_Delete(config);
    }
    dfx_facts_fini(&facts);
    return tap_end();
}
