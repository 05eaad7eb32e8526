/*
 * describe.c - an identity's configs, its evidence in words, its warnings
 */
#include <config.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "document.h"
#include "identify.h"

/* ---- Configs of parts ---------------------------------------------------- */

/* Is there such an embedded file? */
static bool
is_embedded(const char *path)
{
    const char *data = NULL;
    size_t size;

    return path != NULL &&
           dfx_configs_get(path, &data, &size, NULL) == DFX_OK && data != NULL;
}

/* In the set's own folder for the component, in its top if it is the one that
   decides, in the set that lends files. */
static const char *
config_of_set(dfx_arena *arena, const dfx_set *set, const dfx_found *found,
              bool decides)
{
    const char *path = dfx_arena_printf(arena, "%s/%s/config.json", set->name,
                                        found->view.name);

    if (!is_embedded(path) && decides)
        path = dfx_arena_printf(arena, "%s/config.json", set->name);
    if (!is_embedded(path) && set->base != NULL)
        path = dfx_arena_printf(arena, "%s/%s/config.json", set->base,
                                found->view.name);
    return is_embedded(path) ? path : NULL;
}

const char *
dfx_found_base_config(dfx_arena *arena, const dfx_identity *identity,
                      const dfx_found *found)
{
    const char *path = NULL;
    const dfx_variant_row *row;

    if (identity->set != NULL)
        path = config_of_set(arena, identity->set, found,
                             found == identity->decider);
    if (path != NULL)
        return path;
    row = found->kind != NULL ? found->kind->variants : NULL;
    for (; row != NULL && row->family != NULL; row++) {
        int64_t holds = 1;

        if (row->when != NULL &&
            dfx_facts_eval(&found->facts, row->when, &holds, NULL) != DFX_OK)
            return NULL;
        if (holds == 0)
            continue;
        if (row->configs == NULL)
            return NULL;
        return dfx_arena_printf(
            arena, "%s/%s%sconfig.json", row->configs,
            row->config_component != NULL ? row->config_component : "",
            row->config_component != NULL ? "/" : "");
    }
    return NULL;
}

/* The config of a part that an earlier conversion kept in a file's metadata, or
   NULL in *doc. What is broken says nothing. */
static dfx_status
kept_config(const dfx_identity *identity, const dfx_found *found, cJSON **doc,
            dfx_error *err)
{
    char path[DFX_ERROR_CHARS];
    const cJSON *kept;

    snprintf(path, sizeof path, "%s/config.json", found->view.name);
    kept = dfx_identity_kept(identity, path);
    if (cJSON_IsObject(kept)) {
        *doc = cJSON_Duplicate(kept, true);
        return *doc != NULL ? DFX_OK : dfx_fail_nomem(err);
    }
    if (cJSON_IsString(kept) &&
        dfx_doc_parse(kept->valuestring, strlen(kept->valuestring), path, doc,
                      NULL) != DFX_OK)
        *doc = NULL;
    return DFX_OK;
}

/* The folder's own config.json of a part, or NULL in *doc. */
static dfx_status
own_config(const dfx_identity *identity, const dfx_found *found, cJSON **doc,
           dfx_error *err)
{
    const char *component = identity->index->components[found->component].name;
    char path[DFX_ERROR_CHARS];
    const dfx_file *file;

    *doc = NULL;
    snprintf(path, sizeof path, "%s%sconfig.json", component,
             component[0] != '\0' ? "/" : "");
    file = dfx_index_find_file(identity->index, path);
    return file != NULL ? dfx_doc_read(&file->data, doc, err)
                        : kept_config(identity, found, doc, err);
}

/* What no tensor tells, the folder's own config does. */
static dfx_status
keep_untold(const dfx_found *found, const cJSON *own, dfx_error *err)
{
    for (size_t i = 0; i < 3 && found->kind->untold[i] != NULL; i++) {
        const char *key = found->kind->untold[i];
        const cJSON *said = dfx_doc_get(own, key);

        if (said != NULL &&
            !dfx_doc_set(found->config, key, cJSON_Duplicate(said, true)))
            return dfx_fail_nomem(err);
    }
    return DFX_OK;
}

/* Warns that a config says mine where the tensors say derived. */
static dfx_status
add_conflict(dfx_identity *identity, const char *part, const cJSON *mine,
             const cJSON *derived, dfx_error *err)
{
    char *a = dfx_doc_print_compact(mine), *b = dfx_doc_print_compact(derived);
    dfx_status status =
        a == NULL || b == NULL
            ? dfx_fail_nomem(err)
            : dfx_identity_warn(
                  identity, err,
                  "%s: config.json says %s is %s, the tensors say %s", part,
                  mine->string, a, b);

    free(a);
    free(b);
    DFX_TRY(status);
    if (!dfx_grow(&identity->conflicts, &identity->conflict_capacity,
                  identity->conflict_count, sizeof *identity->conflicts))
        return dfx_fail_nomem(err);
    identity->conflicts[identity->conflict_count++] =
        identity->warnings[identity->warning_count - 1];
    return DFX_OK;
}

/* Says where a folder's config.json and its tensors disagree. */
static dfx_status
compare_configs(dfx_identity *identity, const dfx_found *found,
                const cJSON *own, dfx_error *err)
{
    for (const cJSON *mine = own->child; mine != NULL; mine = mine->next) {
        const cJSON *derived = dfx_doc_get(found->config, mine->string);

        if (derived != NULL && !dfx_doc_equal(mine, derived))
            DFX_TRY(
                add_conflict(identity, found->view.name, mine, derived, err));
    }
    return DFX_OK;
}

/* The class that the config names, for a part whose kind has several. */
static dfx_status
name_class(dfx_identity *identity, dfx_found *found, dfx_error *err)
{
    const char *name = dfx_doc_string(found->config, "_class_name");
    const cJSON *list = dfx_doc_get(found->config, "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);

    if (name == NULL && cJSON_IsString(first))
        name = first->valuestring;
    if (name == NULL)
        return DFX_OK;
    found->view.class_name = dfx_arena_strdup(&identity->arena, name);
    return found->view.class_name != NULL ? DFX_OK : dfx_fail_nomem(err);
}

static dfx_status
derive_config(dfx_identity *identity, dfx_found *found, dfx_error *err)
{
    const char *path = dfx_found_base_config(&identity->arena, identity, found);
    const char *data = NULL;
    size_t size = 0;
    cJSON *own = NULL;
    char *text;
    dfx_status status;

    status = own_config(identity, found, &own, err);
    if (status == DFX_OK && own != NULL) {
        found->config = cJSON_Duplicate(own, true);
        if (found->config == NULL)
            status = dfx_fail_nomem(err);
    } else if (status == DFX_OK && path != NULL) {
        status = dfx_configs_get(path, &data, &size, err);
        if (status == DFX_OK && data != NULL)
            status = dfx_doc_parse(data, size, path, &found->config, err);
    }
    if (status == DFX_OK && found->config == NULL &&
        (found->config = cJSON_CreateObject()) == NULL)
        status = dfx_fail_nomem(err);
    if (status == DFX_OK && found->kind->config != NULL)
        status = found->kind->config(&found->facts, true, found->config, err);
    if (status == DFX_OK && own != NULL)
        status = keep_untold(found, own, err);
    if (status == DFX_OK && own != NULL)
        status = compare_configs(identity, found, own, err);
    if (status == DFX_OK && found->view.class_name == NULL)
        status = name_class(identity, found, err);
    cJSON_Delete(own);
    DFX_TRY(status);

    text = dfx_doc_print(found->config, true);
    found->view.config =
        text != NULL ? dfx_arena_strdup(&identity->arena, text) : NULL;
    free(text);
    return found->view.config != NULL ? DFX_OK : dfx_fail_nomem(err);
}

/* Of a part that no kind knows: what its folder says, with nothing to compare
   it with. */
static dfx_status
take_config(dfx_identity *identity, dfx_found *found, dfx_error *err)
{
    DFX_TRY(own_config(identity, found, &found->config, err));
    return name_class(identity, found, err);
}

/* ---- Evidence and warnings ---------------------------------------------- */

/* The set and the others that its row says the keys fit as well. */
static dfx_status
list_variants(dfx_identity *identity, dfx_error *err)
{
    const char *also = identity->set->also != NULL ? identity->set->also : "";
    const char **names;
    size_t count = 1;

    for (const char *p = also; *p != '\0'; p++)
        count += *p == ',';
    names = dfx_arena_array(&identity->arena, count + 1, sizeof *names);
    if (names == NULL)
        return dfx_fail_nomem(err);
    names[0] = identity->set->name;
    count = 1;
    while (*also != '\0' && identity->options->family == NULL) {
        size_t size = strcspn(also, ",");

        names[count] = dfx_arena_strndup(&identity->arena, also, size);
        if (names[count++] == NULL)
            return dfx_fail_nomem(err);
        also += size + (also[size] == ',');
    }
    identity->variants = names;
    identity->variant_count = count;
    return DFX_OK;
}

static bool
starts_word(const char *text, const char *p)
{
    return isalpha((unsigned char)*p) &&
           (p == text || (!isalnum((unsigned char)p[-1]) && p[-1] != '_'));
}

/* "ctx = 768, lin = 0": the facts that a condition asks about. */
static void
describe_facts(const dfx_found *decider, const char *when, dfx_text *out)
{
    for (const char *p = when; p != NULL && *p != '\0'; p++) {
        char name[64];
        size_t size = 0;

        if (!starts_word(when, p))
            continue;
        while (isalnum((unsigned char)p[size]) || p[size] == '_')
            size++;
        if (size >= sizeof name)
            continue;
        memcpy(name, p, size);
        name[size] = '\0';
        /* Each once, and only what is one number; an array is named alone. */
        if (out->data != NULL && strstr(out->data, name) != NULL)
            continue;
        if (p[size] == '[') {
            int64_t value;
            size_t end = size + strcspn(p + size, "]");

            if (p[end] == ']' && end < sizeof name) {
                memcpy(name, p, end + 1);
                name[end + 1] = '\0';
                if (dfx_facts_eval(&decider->facts, name, &value, NULL) ==
                    DFX_OK)
                    dfx_text_printf(out, "; %s = %" PRId64, name, value);
            }
            continue;
        }
        dfx_text_printf(out, "; %s = %" PRId64, name,
                        dfx_facts_get(&decider->facts, name, 0, 0));
    }
}

static dfx_status
explain(dfx_identity *identity, dfx_error *err)
{
    dfx_candidate *candidates = dfx_arena_array(
        &identity->arena, identity->variant_count + identity->found_count + 1,
        sizeof *candidates);

    if (candidates == NULL)
        return dfx_fail_nomem(err);
    identity->candidates = candidates;
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];
        const dfx_part *part = &found->view;
        bool decides = found == identity->decider && found->kind != NULL &&
                       strcmp(found->kind->name, identity->set->kind) == 0;
        dfx_text text = {0};

        if (found->kind == NULL)
            continue;
        dfx_text_printf(&text, "%s at \"%s\": %zu of %zu names", part->name,
                        part->prefix, part->tensor_count,
                        part->tensor_count + part->missing_count);
        if (decides)
            describe_facts(found, identity->set->when, &text);
        candidates[identity->candidate_count].family = part->family;
        candidates[identity->candidate_count].chosen = true;
        candidates[identity->candidate_count].evidence =
            text.failed ? NULL : dfx_arena_strdup(&identity->arena, text.data);
        dfx_text_fini(&text);
        if (candidates[identity->candidate_count++].evidence == NULL)
            return dfx_fail_nomem(err);
    }
    for (size_t i = 1; i < identity->variant_count; i++)
        candidates[identity->candidate_count++] = (dfx_candidate){
            .family = identity->variants[i],
            .evidence = "has the same keys and shapes",
        };
    return DFX_OK;
}

/* The document of a set, less what only says who wrote it; NULL: none. */
static dfx_status
set_document(const char *set, const char *file, cJSON **doc, dfx_error *err)
{
    char path[DFX_ERROR_CHARS];
    const char *data = NULL;
    size_t size = 0;

    *doc = NULL;
    snprintf(path, sizeof path, "%s/%s", set, file);
    DFX_TRY(dfx_configs_get(path, &data, &size, err));
    if (data == NULL)
        return DFX_OK;
    DFX_TRY(dfx_doc_parse(data, size, path, doc, err));
    cJSON_DeleteItemFromObjectCaseSensitive(*doc, "_diffusers_version");
    return DFX_OK;
}

/* Would the other set make another model of the same tensors? */
static dfx_status
sets_differ(const char *a, const char *b, bool *differ, dfx_error *err)
{
    static const char *const files[] = {
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "vae/config.json",
        "config.json",
    };

    *differ = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !*differ; i++) {
        cJSON *x = NULL, *y = NULL;
        dfx_status status = set_document(a, files[i], &x, err);

        if (status == DFX_OK)
            status = set_document(b, files[i], &y, err);
        *differ = x != NULL && y != NULL && !dfx_doc_equal(x, y);
        cJSON_Delete(x);
        cJSON_Delete(y);
        DFX_TRY(status);
    }
    return DFX_OK;
}

/* Only where it matters: a folder brings its own configs. */
static dfx_status
warn_of_choice(dfx_identity *identity, dfx_error *err)
{
    dfx_text others = {0};
    dfx_status status = DFX_OK;

    if (identity->index->file_count > 0 ||
        dfx_index_find_meta(identity->index, 0, DFX_RESIDUE_KEY) != NULL)
        return DFX_OK;
    for (size_t i = 1; i < identity->variant_count && status == DFX_OK; i++) {
        bool differ;

        status = sets_differ(identity->variants[0], identity->variants[i],
                             &differ, err);
        if (status == DFX_OK && differ)
            dfx_text_printf(&others, "%s%s", others.size > 0 ? ", " : "",
                            identity->variants[i]);
    }
    if (status == DFX_OK && others.size > 0)
        status = dfx_identity_warn(
            identity, err,
            "taken as %s, but keys and shapes fit as well: %s (--family "
            "settles it)",
            identity->variants[0], others.data);
    dfx_text_fini(&others);
    return status;
}

static dfx_status
warn_of_gaps(dfx_identity *identity, dfx_error *err)
{
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_part *part = &identity->found[i].view;

        if (part->missing_count > 0)
            DFX_TRY(dfx_identity_warn(
                identity, err, "%s: %zu of %zu tensors missing, such as %s",
                part->name, part->missing_count,
                part->missing_count + part->tensor_count, part->missing[0]));
        if (part->unexpected_count > 0)
            DFX_TRY(dfx_identity_warn(
                identity, err, "%s: %zu tensor%s in no table, such as %s",
                part->name, part->unexpected_count,
                part->unexpected_count == 1 ? "" : "s", part->unexpected[0]));
    }
    return DFX_OK;
}

/* ---- The whole ---------------------------------------------------------- */

dfx_status
dfx_identity_describe(dfx_identity *identity, dfx_error *err)
{
    for (size_t i = 0; i < identity->found_count; i++)
        DFX_TRY(identity->found[i].kind != NULL
                    ? derive_config(identity, &identity->found[i], err)
                    : take_config(identity, &identity->found[i], err));
    if (identity->set != NULL)
        DFX_TRY(list_variants(identity, err));
    DFX_TRY(explain(identity, err));
    if (identity->set != NULL)
        DFX_TRY(warn_of_choice(identity, err));
    DFX_TRY(warn_of_gaps(identity, err));

    identity->parts = dfx_arena_array(
        &identity->arena, identity->found_count + 1, sizeof *identity->parts);
    if (identity->parts == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < identity->found_count; i++)
        identity->parts[i] = identity->found[i].view;
    return DFX_OK;
}

/* ---- The tables, for people ---------------------------------------------- */

const char *
dfx_family_at(size_t i, const char **summary)
{
    const dfx_set *sets = dfx_pipelines_table.sets;

    for (size_t n = 0; sets[n].name != NULL; n++)
        if (n == i) {
            *summary = sets[n].summary;
            return sets[n].name;
        }
    return NULL;
}

static void
print_kind(const dfx_kind *kind, dfx_text *out)
{
    if (out->size > 0)
        dfx_text_puts(out, "\n");
    dfx_text_printf(out, "# %s: %s\n", kind->name, kind->summary);
    if (kind->rows != NULL)
        dfx_rules_print(kind->rows, out);
}

static bool
set_uses(const dfx_set *set, const char *kind)
{
    if (strcmp(set->kind, kind) == 0)
        return true;
    for (const dfx_slot *s = set->slots; s != NULL && s->component != NULL; s++)
        for (size_t k = 0; k < 3 && s->kinds[k] != NULL; k++)
            if (strcmp(s->kinds[k], kind) == 0)
                return true;
    return false;
}

char *
dfx_family_rules(const char *family)
{
    const dfx_set *set = dfx_pipelines_table.sets;
    const dfx_kind *kind = dfx_kind_named(family);
    dfx_text out = {0};

    while (kind == NULL && set->name != NULL &&
           strcmp(set->name, family) != 0 && strcmp(set->family, family) != 0)
        set++;
    if (kind != NULL) {
        print_kind(kind, &out);
    } else if (set->name != NULL) {
        for (size_t k = 0; (kind = dfx_kind_at(k)) != NULL; k++)
            if (set_uses(set, kind->name))
                print_kind(kind, &out);
    }
    if (out.failed) {
        dfx_text_fini(&out);
        return NULL;
    }
    return out.data;
}
