/*
 * inspect_json.c - what a source is, for programs
 *
 * The keys are an interface, written down in dfx-inspect(1): they never change
 * their meaning, and new ones may come.
 */
#include <config.h>

#include "inspect.h"

#include <stdlib.h>
#include <string.h>

static void
add_sums(cJSON *object, const dfx_sums *sums)
{
    cJSON *dtypes = dfx_json_object();

    dfx_json_add(object, "tensors", dfx_json_count(sums->all.tensors));
    dfx_json_add(object, "parameters", dfx_json_count(sums->all.parameters));
    dfx_json_add(object, "bytes", dfx_json_count(sums->all.bytes));
    for (size_t i = 0; i < DFX_TYPE_COUNT; i++) {
        const dfx_sum *sum = &sums->by_type[i];
        cJSON *type;

        if (sum->tensors == 0)
            continue;
        type = dfx_json_object();
        dfx_json_add(type, "tensors", dfx_json_count(sum->tensors));
        dfx_json_add(type, "parameters", dfx_json_count(sum->parameters));
        dfx_json_add(type, "bytes", dfx_json_count(sum->bytes));
        dfx_json_add(dtypes, dfx_type_name((dfx_type)i), type);
    }
    dfx_json_add(object, "dtypes", dtypes);
}

/* The metadata of an index component. */
static cJSON *
json_metadata(const dfx_index *index, uint32_t component)
{
    cJSON *object = dfx_json_object();
    size_t count = 0;
    const dfx_meta *metadata = dfx_index_metadata(index, &count);

    for (size_t i = 0; i < count; i++)
        if (metadata[i].component == component)
            dfx_json_add(object, metadata[i].key,
                         dfx_json_text(metadata[i].value));
    return object;
}

/* The number of the index component of that name; false if there is none. */
static bool
find_component(const dfx_index *index, const char *name, uint32_t *found)
{
    size_t count = 0;
    const dfx_component *components = dfx_index_components(index, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(components[i].name, name) == 0) {
            *found = (uint32_t)i;
            return true;
        }
    return false;
}

static cJSON *
json_part(const dfx_index *index, const dfx_part *part)
{
    cJSON *object = dfx_json_object();
    dfx_sums sums = dfx_sums_of_part(index, part);
    cJSON *config = part->config != NULL ? cJSON_Parse(part->config) : NULL;
    uint32_t component = 0;

    dfx_json_add(object, "name", dfx_json_text(part->name));
    dfx_json_add(object, "family", dfx_json_text(part->family));
    dfx_json_add(object, "variant", dfx_json_text(part->variant));
    dfx_json_add(object, "class", dfx_json_text(part->class_name));
    dfx_json_add(object, "layout",
                 dfx_json_text(dfx_layout_name(part->layout)));
    dfx_json_add(object, "prefix", dfx_json_text(part->prefix));
    add_sums(object, &sums);
    dfx_json_add(object, "config",
                 config != NULL ? config : dfx_json_text(NULL));
    dfx_json_add(object, "missing",
                 dfx_json_texts(part->missing, part->missing_count));
    dfx_json_add(object, "unexpected",
                 dfx_json_texts(part->unexpected, part->unexpected_count));
    /* In a folder each component has metadata of its own. */
    if (find_component(index, part->name, &component))
        dfx_json_add(object, "metadata", json_metadata(index, component));
    return object;
}

static cJSON *
json_evidence(const dfx_identity *identity)
{
    cJSON *array = dfx_json_array();
    size_t count = 0;
    const dfx_candidate *candidates = dfx_identity_candidates(identity, &count);

    for (size_t i = 0; i < count; i++) {
        cJSON *object = dfx_json_object();

        dfx_json_add(object, "family", dfx_json_text(candidates[i].family));
        dfx_json_add(object, "chosen", dfx_json_bool(candidates[i].chosen));
        dfx_json_add(object, "text", dfx_json_text(candidates[i].evidence));
        dfx_json_append(array, object);
    }
    return array;
}

static cJSON *
json_warnings(const dfx_source *source)
{
    size_t count = 0;
    const char *const *texts = dfx_index_warnings(source->index, &count);
    cJSON *array = dfx_json_texts(texts, count);

    texts = dfx_identity_warnings(source->identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_json_append(array, dfx_json_text(texts[i]));
    return array;
}

/* The components that a folder names, weights or not, and its plain files. */
static void
add_folder(cJSON *object, const dfx_index *index)
{
    cJSON *folders = dfx_json_array();
    cJSON *files = dfx_json_array();
    size_t count = 0;
    const dfx_component *components = dfx_index_components(index, &count);
    const dfx_file *file;

    for (size_t i = 0; i < count; i++) {
        cJSON *folder;

        if (components[i].name[0] == '\0')
            continue;
        folder = dfx_json_object();
        dfx_json_add(folder, "name", dfx_json_text(components[i].name));
        dfx_json_add(folder, "library", dfx_json_text(components[i].library));
        dfx_json_add(folder, "class", dfx_json_text(components[i].class_name));
        dfx_json_add(folder, "null", dfx_json_bool(components[i].is_null));
        dfx_json_append(folders, folder);
    }
    dfx_json_add(object, "folders", folders);
    file = dfx_index_files(index, &count);
    for (size_t i = 0; i < count; i++) {
        cJSON *item = dfx_json_object();

        dfx_json_add(item, "path", dfx_json_text(file[i].path));
        dfx_json_add(item, "bytes", dfx_json_count(file[i].data.size));
        dfx_json_append(files, item);
    }
    dfx_json_add(object, "files", files);
}

static cJSON *
json_tensors(const dfx_inspect *asked, const dfx_index *index)
{
    cJSON *array = dfx_json_array();
    size_t component_count = 0;
    const dfx_component *components =
        dfx_index_components(index, &component_count);
    dfx_choice choice;

    dfx_choice_init(&choice, index, asked->glob, asked->sort);
    for (size_t i = 0; i < choice.count; i++) {
        const dfx_tensor *t = choice.items[i].tensor;
        cJSON *object = dfx_json_object();
        uint64_t stored = 0;

        dfx_json_add(object, "name", dfx_json_text(t->name));
        dfx_json_add(object, "component",
                     dfx_json_text(components[t->component].name));
        dfx_json_add(object, "dtype", dfx_json_text(dfx_type_name(t->type)));
        dfx_json_add(object, "shape", dfx_json_shape(t->shape, t->rank));
        dfx_json_add(object, "parameters",
                     dfx_json_count(dfx_elements(t->shape, t->rank)));
        dfx_json_add(object, "stored_as",
                     dfx_json_text(dfx_tensor_form(t, &stored)));
        dfx_json_add(object, "bytes", dfx_json_count(stored));
        dfx_json_add(object, "file", dfx_json_text(dfx_extent_file(&t->data)));
        dfx_json_add(object, "offset", dfx_json_count(t->data.offset));
        dfx_json_append(array, object);
    }
    dfx_choice_fini(&choice);
    return array;
}

/* {file, content, tensors}: the last by name, with the component before it. */
static dfx_status
json_hash(const dfx_inspect *asked, const dfx_source *source, cJSON *object,
          dfx_error *err)
{
    cJSON *hash = dfx_json_object(), *tensors = dfx_json_object();
    char hex[DFX_HASH_CHARS] = "";
    dfx_status status = DFX_OK;
    dfx_choice choice;

    dfx_json_add(object, "hash", hash);
    if (dfx_is_file(source->path))
        status = dfx_hash_file(source->path, hex, err);
    dfx_json_add(hash, "file", dfx_json_text(hex[0] != '\0' ? hex : NULL));
    if (status == DFX_OK)
        status = dfx_hash_content(source->index, source->identity, hex, err);
    dfx_json_add(hash, "content", dfx_json_text(hex));
    dfx_json_add(hash, "tensors", tensors);
    dfx_choice_init(&choice, source->index, asked->glob, asked->sort);
    for (size_t i = 0; status == DFX_OK && i < choice.count; i++) {
        status = dfx_hash_tensor(choice.items[i].tensor, hex, err);
        dfx_json_add(tensors, choice.items[i].name, dfx_json_text(hex));
    }
    dfx_choice_fini(&choice);
    return status;
}

dfx_status
dfx_json_source(const dfx_inspect *asked, const dfx_source *source,
                cJSON **object, dfx_error *err)
{
    const dfx_identity *identity = source->identity;
    cJSON *root = dfx_json_object();
    cJSON *components = dfx_json_array();
    cJSON *all = dfx_json_object(), *rest = dfx_json_object();
    dfx_sums all_sums = dfx_sums_of_index(source->index);
    dfx_sums rest_sums = dfx_sums_of_rest(source);
    dfx_verdict verdict = dfx_index_verdict(source->index);
    dfx_status status = DFX_OK;
    const char *const *texts;
    const dfx_part *parts;
    uint32_t top = 0;
    size_t count = 0;

    dfx_json_add(root, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(root, "path", dfx_json_text(source->path));
    dfx_json_add(root, "format",
                 dfx_json_text(dfx_index_format(source->index)));
    /* Reading does not look everywhere: it calls nothing safe. */
    dfx_json_add(root, "verdict",
                 dfx_json_text(verdict != DFX_VERDICT_SAFE
                                   ? dfx_verdict_name(verdict)
                                   : NULL));
    dfx_json_add(root, "layout",
                 dfx_json_text(dfx_layout_name(dfx_identity_layout(identity))));
    dfx_json_add(root, "family", dfx_json_text(dfx_identity_family(identity)));
    dfx_json_add(root, "variant",
                 dfx_json_text(dfx_identity_variant(identity)));
    texts = dfx_identity_variants(identity, &count);
    dfx_json_add(root, "variants", dfx_json_texts(texts, count));
    dfx_json_add(root, "pipeline",
                 dfx_json_text(dfx_identity_pipeline(identity)));
    parts = dfx_identity_parts(identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_json_append(components, json_part(source->index, &parts[i]));
    dfx_json_add(root, "components", components);
    add_sums(rest, &rest_sums);
    dfx_json_add(root, "others", rest);
    add_sums(all, &all_sums);
    dfx_json_add(root, "total", all);
    add_folder(root, source->index);
    dfx_json_add(root, "metadata",
                 find_component(source->index, "", &top)
                     ? json_metadata(source->index, top)
                     : dfx_json_object());
    dfx_json_add(root, "evidence", json_evidence(identity));
    dfx_json_add(root, "warnings", json_warnings(source));
    if (asked->tensors)
        dfx_json_add(root, "tensors", json_tensors(asked, source->index));
    if (asked->hash)
        status = json_hash(asked, source, root, err);
    if (status == DFX_OK)
        *object = root;
    else
        cJSON_Delete(root);
    return status;
}
