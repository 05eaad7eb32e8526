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
#include <unistd.h>

#include "configs.h"
#include "document.h"
#include "tap.h"

static char lists[512]; /* the folder of lists */
static char source[64]; /* the file made of one */
static cJSON *unets;    /* expect-unet.json */

/* ---- Making files of lists ----------------------------------------------- */

/* The header under construction; data offsets run on. */
typedef struct writer {
    dfx_text header;
    uint64_t end;
} writer;

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

/* A row is [name, dtype, shape]. */
static void
add_row(writer *w, const char *name, const char *dtype, const cJSON *shape)
{
    uint64_t elements = 1, size;
    char *dims = dfx_doc_print_compact(shape);

    for (const cJSON *d = shape->child; d != NULL; d = d->next) {
        int64_t dim = 0;

        dfx_doc_int(d, &dim);
        elements *= (uint64_t)dim;
    }
    size = elements * dfx_type_bits(dfx_type_named(dtype)) / 8;
    dfx_text_printf(&w->header,
                    "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,"
                    "\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                    w->header.size > 1 ? "," : "", name, dtype, dims, w->end,
                    w->end + size);
    w->end += size;
    free(dims);
}

static const char *
text_at(const cJSON *list, int i)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(list, i));
}

/* The row that replaces the one of that name, or NULL. */
static const cJSON *
replacement(const cJSON *entry, const char *name)
{
    const cJSON *list = dfx_doc_get(entry, "replace");

    for (const cJSON *r = list != NULL ? list->child : NULL; r != NULL;
         r = r->next)
        if (strcmp(text_at(r, 0), name) == 0)
            return r;
    return NULL;
}

static void
add_part_row(writer *w, const cJSON *entry, const cJSON *row,
             const char *prefix, const char *strip)
{
    const char *tail = text_at(row, 0), *dtype = dfx_doc_string(entry, "dtype");
    const cJSON *other;
    char name[1024];

    if (strip != NULL && strncmp(tail, strip, strlen(strip)) == 0)
        tail += strlen(strip);
    snprintf(name, sizeof name, "%s%s", prefix, tail);
    other = replacement(entry, name);
    if (other != NULL)
        add_row(w, name, text_at(other, 1), cJSON_GetArrayItem(other, 2));
    else
        add_row(w, name, dtype != NULL ? dtype : text_at(row, 1),
                cJSON_GetArrayItem(row, 2));
    if (cJSON_IsTrue(dfx_doc_get(entry, "ema")) &&
        dfx_pipelines_table.ema_name(name, name, sizeof name) &&
        strstr(name, "diffusion_model") != NULL)
        add_row(w, name, "F32", cJSON_GetArrayItem(row, 2));
}

static void
add_part(writer *w, const cJSON *entry, const cJSON *part)
{
    char file[256];
    cJSON *rows;

    snprintf(file, sizeof file, "%s.json", text_at(part, 0));
    rows = load_json(file);
    for (const cJSON *r = rows != NULL ? rows->child : NULL; r != NULL;
         r = r->next)
        add_part_row(w, entry, r, text_at(part, 1), text_at(part, 2));
    cJSON_Delete(rows);
}

static void
add_rows(writer *w, const cJSON *rows)
{
    for (const cJSON *r = rows != NULL ? rows->child : NULL; r != NULL;
         r = r->next)
        add_row(w, text_at(r, 0), text_at(r, 1), cJSON_GetArrayItem(r, 2));
}

/* Header and a hole of the data's size. */
static bool
write_file(writer *w)
{
    FILE *out = fopen(source, "wb");
    uint64_t size;
    unsigned char length[8];
    bool good;

    dfx_text_puts(&w->header, "}");
    while (w->header.size % 8 != 0)
        dfx_text_puts(&w->header, " ");
    size = w->header.size;
    for (unsigned i = 0; i < 8; i++)
        length[i] = (unsigned char)(size >> 8 * i);
    good = out != NULL && fwrite(length, 1, 8, out) == 8 &&
           fwrite(w->header.data, 1, (size_t)size, out) == size &&
           fflush(out) == 0 &&
           ftruncate(fileno(out), (off_t)(8 + size + w->end)) == 0;
    if (out != NULL)
        fclose(out);
    dfx_text_fini(&w->header);
    return good;
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

    if (want == NULL)
        return;
    size = strlen(want);
    for (size_t i = 0; i < count; i++)
        if (strcmp(variants[i], want) == 0)
            return;
    if (identity->found_count == 1)
        base = dfx_found_base_config(identity, &identity->found[0]);
    if (base == NULL || strncmp(base, want, size) != 0 || base[size] != '/')
        expect_text(v, "configs", base, want);
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
run(const char *name, writer *w, const cJSON *entry,
    void (*judge)(verdict *, const dfx_identity *, const cJSON *))
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    verdict v = {.text = ""};
    dfx_error err = {0};

    if (!write_file(w)) {
        CHECK(false, "a temporary file");
    } else if (dfx_open(source, NULL, &index, &err) != DFX_OK ||
               dfx_identify(index, NULL, &identity, &err) != DFX_OK) {
        CHECK(false, name);
        printf("# %s\n", err.text);
    } else {
        judge(&v, identity, entry);
        report(name, identity, &v);
    }
    dfx_identity_free(identity);
    dfx_index_free(index);
    unlink(source);
}

static void
test_unets(void)
{
    unets = load_json("expect-unet.json");
    CHECK(cJSON_GetArraySize(unets) == 87, "87 lists of UNet families");
    for (const cJSON *e = unets != NULL ? unets->child : NULL; e != NULL;
         e = e->next) {
        writer w = {.end = 0};
        const cJSON *parts = dfx_doc_get(e, "parts");

        dfx_text_puts(&w.header, "{");
        for (const cJSON *p = parts->child; p != NULL; p = p->next)
            add_part(&w, e, p);
        add_rows(&w, dfx_doc_get(e, "add"));
        run(dfx_doc_string(e, "name"), &w, e, judge_unet);
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
        writer w = {.end = 0};
        cJSON *rows = load_json(dfx_doc_string(e, "list"));

        dfx_text_puts(&w.header, "{");
        add_rows(&w, rows);
        run(dfx_doc_string(e, "list"), &w, e, judge_dit);
        cJSON_Delete(rows);
    }
    cJSON_Delete(entries);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char folder[] = "/tmp/test_keylists.XXXXXX";

    snprintf(lists, sizeof lists, "%s/tests/golden/families/keylists",
             srcdir != NULL ? srcdir : ".");
    if (mkdtemp(folder) == NULL) {
        CHECK(false, "a temporary folder");
        return tap_end();
    }
    snprintf(source, sizeof source, "%s/model.safetensors", folder);
    test_unets();
    test_others();
    rmdir(folder);
    return tap_end();
}
