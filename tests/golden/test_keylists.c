/*
 * test_keylists.c - every list of tensors that a real model has, identified
 *
 * Each list of tests/golden/families/keylists becomes a sparse safetensors
 * file, which is opened and identified. expect-unet.json says what must come
 * out of the families that are converted, expect-dit.json what the others are:
 * those may be named or "unknown", and are never Stable Diffusion.
 */
#include <config.h>

#include <stdlib.h>

#include "../synth/synth.h"
#include "../unit/scratch.h"
#include "../unit/tap.h"
#include "configs.h"
#include "document.h"

#define SOURCE "model.safetensors"

static char lists[512]; /* the folder of lists */
static cJSON *unets;    /* expect-unet.json */

static cJSON *
load_json(const char *name)
{
    char path[1024];
    dfx_io *io = NULL;
    cJSON *doc = NULL;
    dfx_error err;

    snprintf(path, sizeof path, "%s/%s", lists, name);
    if (dfx_io_open_file(path, &io, &err) == DFX_OK) {
        dfx_extent all = {io, 0, dfx_io_size(io)};

        if (dfx_doc_read(&all, &doc, &err) != DFX_OK) {
            printf("# %s: %s\n", name, err.text);
            doc = NULL;
        }
    }
    dfx_io_close(io);
    return doc;
}

/* ---- Comparing ----------------------------------------------------------- */

/* What is wrong with an identity, in words; empty if nothing is. */
typedef struct verdict {
    char text[1024];
} verdict;

static void
expect_text(verdict *v, const char *what, const char *got, const char *want)
{
    size_t used = strlen(v->text);

    if (strcmp(got != NULL ? got : "none", want != NULL ? want : "none") != 0)
        snprintf(v->text + used, sizeof v->text - used, " %s: %s, not %s;",
                 what, got != NULL ? got : "none",
                 want != NULL ? want : "none");
}

static void
expect_components(verdict *v, const dfx_identity *identity, const cJSON *entry)
{
    const cJSON *want = dfx_doc_get(entry, "components");
    size_t count = 0;

    dfx_identity_parts(identity, &count);
    if (count != (size_t)cJSON_GetArraySize(want))
        expect_text(v, "components", "another number of them", "as listed");
    for (const cJSON *c = want->child; c != NULL; c = c->next)
        if (dfx_identity_find(identity, c->valuestring) == NULL)
            expect_text(v, "component", NULL, c->valuestring);
}

/* The set of configs is among those that fit, or gives a component that stands
   alone its constants. */
static void
expect_configs(verdict *v, const dfx_identity *identity, const char *want)
{
    size_t count = 0, size;
    const char *const *variants = dfx_identity_variants(identity, &count);
    const char *base = NULL;
    dfx_arena arena = {NULL};

    if (want == NULL)
        return;
    size = strlen(want);
    for (size_t i = 0; i < count; i++)
        if (strcmp(variants[i], want) == 0)
            return;
    if (identity->found_count == 1)
        base = dfx_found_base_config(&arena, identity, &identity->found[0]);
    if (base == NULL || strncmp(base, want, size) != 0 || base[size] != '/')
        expect_text(v, "configs", base, want);
    dfx_arena_fini(&arena);
}

/* A list of a component alone may leave the variant to the list of the whole
   model, which has the same configs. */
static void
expect_variant(verdict *v, const dfx_identity *identity, const cJSON *entry)
{
    const char *want = dfx_doc_string(entry, "variant");
    const char *got = dfx_identity_variant(identity);
    const char *configs = dfx_doc_string(entry, "configs");

    for (const cJSON *e = entry; e != NULL && want == NULL && configs != NULL;
         e = e != unets->child ? e->prev : NULL) {
        const char *same = dfx_doc_string(e, "configs");
        const char *family = dfx_doc_string(e, "family");

        if (same != NULL && strcmp(same, configs) == 0 &&
            strcmp(family, dfx_doc_string(entry, "family")) == 0)
            want = dfx_doc_string(e, "variant");
    }
    expect_text(v, "variant", got, want);
}

/* Values of fields that a config may leave out, from the classes of diffusers
   0.42.1. */
static const char *
class_default(const char *field)
{
    static const struct {
        const char *field, *value;
    } rows[] = {
        {"mid_block_type", "\"UNetMidBlock2DCrossAttn\""},
        {"use_linear_projection", "false"},
        {"only_cross_attention", "false"},
        {"transformer_layers_per_block", "1"},
        {"scaling_factor", "0.18215"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].field, field) == 0)
            return rows[i].value;
    return "null";
}

static void
expect_field(verdict *v, const char *component, const cJSON *want,
             const cJSON *got)
{
    const char *absent = class_default(want->string);
    cJSON *value = NULL;
    char *a, *b;
    char what[256];

    if (got == NULL &&
        dfx_doc_parse(absent, strlen(absent), "", &value, NULL) == DFX_OK)
        got = value;
    if (!dfx_doc_equal(got, want)) {
        snprintf(what, sizeof what, "%s.%s", component, want->string);
        a = dfx_doc_print_compact(got);
        b = dfx_doc_print_compact(want);
        expect_text(v, what, a, b);
        free(a);
        free(b);
    }
    cJSON_Delete(value);
}

/* The config that a component would be written with. */
static cJSON *
config_of(const dfx_identity *identity, const char *component)
{
    const dfx_found *found = dfx_identity_find(identity, component);
    char path[256];
    const char *data = found != NULL ? found->view.config : NULL;
    size_t size = data != NULL ? strlen(data) : 0;
    cJSON *doc = NULL;

    if (data == NULL && identity->set != NULL) {
        snprintf(path, sizeof path, "%s/%s/scheduler_config.json",
                 identity->set->name, component);
        if (dfx_configs_get(path, &data, &size, NULL) != DFX_OK)
            return NULL;
    }
    if (data == NULL || dfx_doc_parse(data, size, "", &doc, NULL) != DFX_OK)
        return NULL;
    return doc;
}

static void
expect_config(verdict *v, const dfx_identity *identity, const cJSON *entry)
{
    const cJSON *config = dfx_doc_get(entry, "config");

    for (const cJSON *part = config != NULL ? config->child : NULL;
         part != NULL; part = part->next) {
        cJSON *got = config_of(identity, part->string);

        if (got == NULL)
            expect_text(v, "config of", NULL, part->string);
        for (const cJSON *f = part->child; f != NULL && got != NULL;
             f = f->next)
            expect_field(v, part->string, f, dfx_doc_get(got, f->string));
        cJSON_Delete(got);
    }
}

static bool
listed(const cJSON *list, const char *text)
{
    for (const cJSON *item = list->child; item != NULL; item = item->next)
        if (strcmp(item->valuestring, text) == 0)
            return true;
    return false;
}

static void
judge_unet(verdict *v, const dfx_identity *identity, const cJSON *entry)
{
    const cJSON *none = dfx_doc_get(entry, "not_family");
    const char *family = dfx_identity_family(identity);

    if (none != NULL) {
        if (listed(none, family))
            expect_text(v, "family", family, "anything else");
        return;
    }
    expect_text(v, "family", family, dfx_doc_string(entry, "family"));
    expect_variant(v, identity, entry);
    expect_text(v, "pipeline", dfx_identity_pipeline(identity),
                dfx_doc_string(entry, "pipeline"));
    expect_components(v, identity, entry);
    expect_configs(v, identity, dfx_doc_string(entry, "configs"));
    expect_config(v, identity, entry);
}

/* Its own family, the kind of component that it is, or "unknown". */
static void
judge_dit(verdict *v, const dfx_identity *identity, const cJSON *entry)
{
    const char *family = dfx_identity_family(identity);

    if (strcmp(family, "unknown") != 0)
        expect_text(v, "family", family, dfx_doc_string(entry, "family"));
}

/* ---- Running ------------------------------------------------------------- */

static void
report(const char *name, const dfx_identity *identity, const verdict *v)
{
    char line[4096];
    size_t count = 0, variants = 0;
    const dfx_part *parts = dfx_identity_parts(identity, &count);
    const char *const *sets = dfx_identity_variants(identity, &variants);
    const char *variant = dfx_identity_variant(identity);
    const char *pipeline = dfx_identity_pipeline(identity);
    int used;

    used = snprintf(line, sizeof line, "%-32s %s%s%s, %s, configs %s,", name,
                    dfx_identity_family(identity), variant != NULL ? " " : "",
                    variant != NULL ? variant : "",
                    pipeline != NULL ? pipeline : "no pipeline",
                    variants > 0 ? sets[0] : "none");
    for (size_t i = 0; i < count && used < (int)sizeof line / 2; i++)
        used += snprintf(line + used, sizeof line - (size_t)used, " %s(%zu)",
                         parts[i].name, parts[i].tensor_count);
    if (!CHECK(v->text[0] == '\0', line))
        printf("#%s\n", v->text);
}

static void
run(const char *name, const synth_list *list, const cJSON *entry,
    void (*judge)(verdict *, const dfx_identity *, const cJSON *))
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    verdict v = {.text = ""};
    dfx_error err = {0};

    if (!synth_write(list, SYNTH_ZERO, SOURCE) ||
        dfx_open(SOURCE, NULL, &index, &err) != DFX_OK ||
        dfx_identify(index, NULL, &identity, &err) != DFX_OK) {
        CHECK(false, name);
        printf("# %s\n", err.text);
    } else {
        judge(&v, identity, entry);
        report(name, identity, &v);
    }
    dfx_identity_free(identity);
    dfx_index_free(index);
}

static void
test_unets(void)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/expect-unet.json", lists);
    unets = load_json("expect-unet.json");
    CHECK(cJSON_GetArraySize(unets) == 87, "87 lists of UNet families");
    for (const cJSON *e = unets != NULL ? unets->child : NULL; e != NULL;
         e = e->next) {
        const char *name = dfx_doc_string(e, "name");
        synth_list list;

        if (synth_read_case(&list, path, name)) {
            run(name, &list, e, judge_unet);
            synth_fini(&list);
        } else {
            CHECK(false, name);
        }
    }
    cJSON_Delete(unets);
}

static void
test_others(void)
{
    cJSON *entries = load_json("expect-dit.json");

    CHECK(cJSON_GetArraySize(entries) == 129, "129 lists of other families");
    for (const cJSON *e = entries != NULL ? entries->child : NULL; e != NULL;
         e = e->next) {
        const char *name = dfx_doc_string(e, "list");
        char path[1024];
        synth_list list;

        snprintf(path, sizeof path, "%s/%s", lists, name);
        if (synth_read_rows(&list, path, NULL, 0)) {
            run(name, &list, e, judge_dit);
            synth_fini(&list);
        } else {
            CHECK(false, name);
        }
    }
    cJSON_Delete(entries);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");

    snprintf(lists, sizeof lists, "%s/tests/golden/families/keylists",
             srcdir != NULL ? srcdir : ".");
    if (lists[0] != '/') { /* the test works in a folder of its own */
        char *whole = realpath(lists, NULL);

        snprintf(lists, sizeof lists, "%s", whole != NULL ? whole : "");
        free(whole);
    }
    scratch_enter();
    test_unets();
    test_others();
    return tap_end();
}
