/*
 * choose.c - which pipeline, family and set of configs the parts fit
 *
 * The table of pipelines is read from its top: the first set whose component is
 * there and whose condition holds over that component's facts is taken. Facts
 * also come from marker tensors ("v_pred"), from the documents of a folder and
 * from which components are there ("has_vae").
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

/* ---- Facts that are not a component's own -------------------------------- */

static dfx_status
set_for_all(dfx_identity *identity, const char *fact, dfx_error *err)
{
    for (size_t i = 0; i < identity->found_count; i++)
        DFX_TRY(dfx_facts_set(&identity->found[i].facts, fact, 0, 0, 1, err));
    return DFX_OK;
}

bool
dfx_marker_says(const dfx_marker *marker, const cJSON *doc)
{
    const char *class_name = dfx_doc_string(doc, "_class_name");
    const cJSON *field = dfx_doc_get(doc, marker->field);
    cJSON *want = NULL;
    bool says;

    if (field == NULL || cJSON_IsNull(field))
        return false;
    if (marker->class_name != NULL &&
        (class_name == NULL || strcmp(class_name, marker->class_name) != 0))
        return false;
    if (marker->value == NULL)
        return true;
    says = dfx_doc_parse(marker->value, strlen(marker->value), "", &want,
                         NULL) == DFX_OK &&
           dfx_doc_equal(field, want);
    cJSON_Delete(want);
    return says;
}

/* Does the folder's document have the value that the marker stands for? */
static dfx_status
document_says(const dfx_index *index, const dfx_marker *marker, bool *says,
              dfx_error *err)
{
    const dfx_file *file = dfx_index_find_file(index, marker->document);
    cJSON *doc = NULL;

    *says = false;
    if (file == NULL)
        return DFX_OK;
    DFX_TRY(dfx_doc_read(&file->data, &doc, err));
    *says = dfx_marker_says(marker, doc);
    cJSON_Delete(doc);
    return DFX_OK;
}

static dfx_status
gather_facts(dfx_identity *identity, dfx_error *err)
{
    const dfx_index *index = identity->index;
    const dfx_marker *marker = dfx_pipelines_table.markers;

    for (; marker != NULL && marker->tensor != NULL; marker++) {
        bool there = marker->tensor[0] != '\0' &&
                     dfx_index_find(index, 0, marker->tensor) != NULL;

        if (!there)
            DFX_TRY(document_says(index, marker, &there, err));
        if (there)
            DFX_TRY(set_for_all(identity, marker->fact, err));
    }
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_found *found = &identity->found[i];
        const char *name = found->view.name;
        const char *has;

        if (found->component != 0) /* a folder's own name for it */
            name = index->components[found->component].name;
        has = dfx_arena_printf(&identity->arena, "has_%s", name);
        if (has == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(set_for_all(identity, has, err));
    }
    return DFX_OK;
}

/* ---- Choosing ------------------------------------------------------------ */

static dfx_found *
found_of_kind(dfx_identity *identity, const char *kind)
{
    for (size_t i = 0; i < identity->found_count; i++)
        if (identity->found[i].kind != NULL &&
            strcmp(identity->found[i].kind->name, kind) == 0)
            return &identity->found[i];
    return NULL;
}

static dfx_status
set_holds(const dfx_set *set, const dfx_found *decider, bool *holds,
          dfx_error *err)
{
    int64_t value = 1;

    if (set->when != NULL)
        DFX_TRY(dfx_facts_eval(&decider->facts, set->when, &value, err));
    *holds = value != 0;
    return DFX_OK;
}

/* The caller of dfx_identify named a set or a family. */
static dfx_status
choose_named(dfx_identity *identity, const char *name, dfx_error *err)
{
    const dfx_set *set = dfx_pipelines_table.sets;
    bool known = false;

    for (; set->name != NULL; set++) {
        bool exact = strcmp(set->name, name) == 0;
        bool family = strcmp(set->family, name) == 0;
        dfx_found *decider = found_of_kind(identity, set->kind);
        bool holds = exact;

        known = known || exact || family;
        if ((!exact && !family) || decider == NULL)
            continue;
        if (!exact)
            DFX_TRY(set_holds(set, decider, &holds, err));
        if (holds) {
            identity->set = set;
            identity->decider = decider;
            return DFX_OK;
        }
    }
    if (!known)
        return dfx_fail_usage(err, "no family is called \"%s\"", name);
    return dfx_fail(err, DFX_RULE_FAMILY_UNKNOWN, DFX_NO_OFFSET,
                    "the tensors are not those of family \"%s\"", name);
}

/* What an earlier conversion wrote into the file's metadata: the set that its
   configs belong to. NULL if there is none. */
static const char *
remembered_set(dfx_identity *identity)
{
    const char *text = dfx_index_find_meta(identity->index, 0, DFX_RESIDUE_KEY);
    const char *name = NULL;
    cJSON *doc = NULL;

    if (text == NULL || dfx_doc_parse(text, strlen(text), DFX_RESIDUE_KEY, &doc,
                                      NULL) != DFX_OK)
        return NULL;
    if (dfx_doc_string(doc, "set") != NULL)
        name = dfx_arena_strdup(&identity->arena, dfx_doc_string(doc, "set"));
    cJSON_Delete(doc);
    return name;
}

static dfx_status
choose_set(dfx_identity *identity, dfx_error *err)
{
    const dfx_set *set = dfx_pipelines_table.sets;
    const char *remembered;

    if (identity->options->family != NULL)
        return choose_named(identity, identity->options->family, err);
    remembered = remembered_set(identity);
    if (remembered != NULL &&
        choose_named(identity, remembered, NULL) == DFX_OK)
        return DFX_OK;
    for (; set->name != NULL; set++) {
        dfx_found *decider = found_of_kind(identity, set->kind);
        bool holds;

        /* A set of one component says nothing about a file of several. */
        if (decider == NULL ||
            (set->slots == NULL && identity->found_count > 1))
            continue;
        DFX_TRY(set_holds(set, decider, &holds, err));
        if (holds) {
            identity->set = set;
            identity->decider = decider;
            return DFX_OK;
        }
    }
    return DFX_OK;
}

/* ---- Names of parts ------------------------------------------------------ */

static bool
slot_takes(const dfx_slot *slot, const dfx_found *found)
{
    for (size_t k = 0; k < 3 && slot->kinds[k] != NULL; k++)
        if (found->kind != NULL &&
            strcmp(slot->kinds[k], found->kind->name) == 0)
            return true;
    return false;
}

/* The slot that the part's usual name or prefix says, or the first free one. */
static const dfx_slot *
slot_for(const dfx_slot *slots, const bool *taken, const dfx_found *found)
{
    const dfx_slot *free_slot = NULL;

    for (size_t i = 0; slots[i].component != NULL; i++) {
        if (taken[i] || !slot_takes(&slots[i], found))
            continue;
        if (strcmp(slots[i].component, found->view.name) == 0 ||
            (slots[i].prefix != NULL &&
             strcmp(slots[i].prefix, found->view.prefix) == 0))
            return &slots[i];
        if (free_slot == NULL)
            free_slot = &slots[i];
    }
    return free_slot;
}

static bool
name_taken(const dfx_identity *identity, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(identity->found[i].view.name, name) == 0)
            return true;
    return false;
}

static dfx_status
name_parts(dfx_identity *identity, dfx_error *err)
{
    enum { MAX_SLOTS = 32 }; /* no pipeline has more than a dozen */
    const dfx_slot *slots = identity->set != NULL ? identity->set->slots : NULL;
    bool taken[MAX_SLOTS] = {false};

    for (size_t i = 0; i < identity->found_count; i++) {
        dfx_found *found = &identity->found[i];
        const char *base;

        if (found->component != 0) {
            found->view.name =
                identity->index->components[found->component].name;
            continue;
        }
        if (slots != NULL) {
            const dfx_slot *slot = slot_for(slots, taken, found);

            if (slot != NULL) {
                taken[slot - slots] = true;
                found->view.name = slot->component;
            }
        }
        base = found->view.name;
        for (int n = 2; name_taken(identity, i, found->view.name); n++) {
            found->view.name =
                dfx_arena_printf(&identity->arena, "%s_%d", base, n);
            if (found->view.name == NULL)
                return dfx_fail_nomem(err);
        }
    }
    return DFX_OK;
}

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
dfx_found_base_config(const dfx_identity *identity, const dfx_found *found)
{
    dfx_arena *arena = (dfx_arena *)(uintptr_t)&identity->arena;
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
   NULL in *doc. What is not ours or broken says nothing. */
static dfx_status
kept_config(const dfx_identity *identity, const dfx_found *found, cJSON **doc,
            dfx_error *err)
{
    const char *text = dfx_index_find_meta(identity->index, 0, DFX_RESIDUE_KEY);
    cJSON *residue = NULL;
    const cJSON *kept;
    char path[DFX_ERROR_CHARS];
    bool failed = false;

    if (text == NULL || dfx_doc_parse(text, strlen(text), DFX_RESIDUE_KEY,
                                      &residue, NULL) != DFX_OK)
        return DFX_OK;
    snprintf(path, sizeof path, "%s/config.json", found->view.name);
    kept = dfx_doc_get(dfx_doc_get(residue, "documents"), path);
    if (cJSON_IsObject(kept)) {
        *doc = cJSON_Duplicate(kept, true);
        failed = *doc == NULL;
    } else if (cJSON_IsString(kept)) {
        const char *whole = kept->valuestring;

        if (dfx_doc_parse(whole, strlen(whole), path, doc, NULL) != DFX_OK)
            *doc = NULL;
    }
    cJSON_Delete(residue);
    return failed ? dfx_fail_nomem(err) : DFX_OK;
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

/* Says where a folder's config.json and its tensors disagree. */
static dfx_status
compare_configs(dfx_identity *identity, const dfx_found *found,
                const cJSON *own, dfx_error *err)
{
    for (const cJSON *mine = own->child; mine != NULL; mine = mine->next) {
        const cJSON *derived = dfx_doc_get(found->config, mine->string);
        char *a, *b;
        dfx_status status = DFX_OK;

        if (derived == NULL || dfx_doc_equal(mine, derived))
            continue;
        a = dfx_doc_print_compact(mine);
        b = dfx_doc_print_compact(derived);
        if (a != NULL && b != NULL)
            status = dfx_identity_warn(
                identity, err,
                "%s: config.json says %s is %s, the tensors say %s",
                found->view.name, mine->string, a, b);
        free(a);
        free(b);
        DFX_TRY(status);
    }
    return DFX_OK;
}

static dfx_status
derive_config(dfx_identity *identity, dfx_found *found, dfx_error *err)
{
    const char *path = dfx_found_base_config(identity, found);
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
    cJSON_Delete(own);
    DFX_TRY(status);

    text = dfx_doc_print(found->config, true);
    found->view.config =
        text != NULL ? dfx_arena_strdup(&identity->arena, text) : NULL;
    free(text);
    return found->view.config != NULL ? DFX_OK : dfx_fail_nomem(err);
}

/* ---- What it all is ------------------------------------------------------ */

/* Is every part there that an original file of the set holds? */
static bool
is_whole(const dfx_identity *identity)
{
    const dfx_set *set = identity->set;

    if (set == NULL || set->slots == NULL)
        return false;
    for (const dfx_slot *s = set->slots; s->component != NULL; s++)
        if (!s->optional && s->prefix != NULL &&
            dfx_identity_find(identity, s->component) == NULL)
            return false;
    return true;
}

/* The class in the folder's own model_index.json, else the set's. */
static dfx_status
pipeline_class(dfx_identity *identity, dfx_error *err)
{
    const dfx_file *own =
        dfx_index_find_file(identity->index, "model_index.json");
    const dfx_set *set = identity->set;
    char path[DFX_ERROR_CHARS];
    const char *data = NULL, *name = NULL;
    size_t size = 0;
    cJSON *doc = NULL;

    if (own != NULL) {
        DFX_TRY(dfx_doc_read(&own->data, &doc, err));
    } else if (is_whole(identity) && set->pipeline != NULL) {
        identity->pipeline = set->pipeline[0] != '\0' ? set->pipeline : NULL;
        return DFX_OK;
    } else if (is_whole(identity)) {
        snprintf(path, sizeof path, "%s/model_index.json", set->name);
        DFX_TRY(dfx_configs_get(path, &data, &size, err));
        if (data != NULL)
            DFX_TRY(dfx_doc_parse(data, size, path, &doc, err));
    }
    if (doc != NULL)
        name = dfx_doc_string(doc, "_class_name");
    if (name != NULL) {
        identity->pipeline = dfx_arena_strdup(&identity->arena, name);
        if (identity->pipeline == NULL) {
            cJSON_Delete(doc);
            return dfx_fail_nomem(err);
        }
    }
    cJSON_Delete(doc);
    return DFX_OK;
}

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
        bool decides = found == identity->decider;
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
    if (identity->variant_count > 1)
        return dfx_identity_warn(
            identity, err,
            "keys and shapes fit %zu sets of configs; taken as %s "
            "(--family settles it)",
            identity->variant_count, identity->variants[0]);
    return DFX_OK;
}

static dfx_status
warn_of_gaps(dfx_identity *identity, dfx_error *err)
{
    for (size_t i = 0; i < identity->found_count; i++) {
        const dfx_part *part = &identity->found[i].view;

        if (part->missing_count > 0)
            DFX_TRY(dfx_identity_warn(
                identity, err, "%s: %zu of %zu tensors are missing, such as %s",
                part->name, part->missing_count,
                part->missing_count + part->tensor_count, part->missing[0]));
        if (part->unexpected_count > 0)
            DFX_TRY(dfx_identity_warn(
                identity, err, "%s: %zu tensors are in no table, such as %s",
                part->name, part->unexpected_count, part->unexpected[0]));
    }
    return DFX_OK;
}

/* The family of the whole: the set's, that of the one part, a known name. */
static dfx_status
name_family(dfx_identity *identity, dfx_error *err)
{
    const dfx_set *set = identity->set;
    bool named = false;

    identity->family = "unknown";
    for (size_t i = 0; i < identity->found_count; i++) {
        dfx_found *found = &identity->found[i];
        dfx_layout layout = found->view.layout;

        if (layout == DFX_LAYOUT_ORIGINAL ||
            identity->layout == DFX_LAYOUT_UNKNOWN)
            identity->layout = layout;
        if (set != NULL && found == identity->decider) {
            found->view.family = set->family;
            found->view.variant = set->variant;
        }
    }
    if (set != NULL) {
        identity->family = set->family;
        identity->variant = set->variant;
        return DFX_OK;
    }
    DFX_TRY(dfx_identity_name(identity, &named, err));
    if (!named && identity->found_count == 1) {
        identity->family = identity->found[0].view.family;
        identity->variant = identity->found[0].view.variant;
    }
    return DFX_OK;
}

dfx_status
dfx_identity_choose(dfx_identity *identity, dfx_error *err)
{
    DFX_TRY(gather_facts(identity, err));
    DFX_TRY(choose_set(identity, err));
    DFX_TRY(name_parts(identity, err));
    DFX_TRY(name_family(identity, err));
    for (size_t i = 0; i < identity->found_count; i++)
        if (identity->found[i].kind != NULL)
            DFX_TRY(derive_config(identity, &identity->found[i], err));
    DFX_TRY(pipeline_class(identity, err));
    if (identity->set != NULL)
        DFX_TRY(list_variants(identity, err));
    DFX_TRY(explain(identity, err));
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
