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

/* The first set of the table that holds; NULL in *set if none does. */
static dfx_status
best_set(dfx_identity *identity, const char *family, const dfx_set **set,
         dfx_found **decider, dfx_error *err)
{
    const dfx_set *s = dfx_pipelines_table.sets;
    bool holds = false;

    *set = NULL;
    for (; s->name != NULL && !holds; s++) {
        *decider = found_of_kind(identity, s->kind);
        /* A set of one component says nothing about a file of several. */
        if (*decider == NULL || (s->slots == NULL && identity->found_count > 1))
            continue;
        if (family != NULL && strcmp(s->family, family) != 0)
            continue;
        DFX_TRY(set_holds(s, *decider, &holds, err));
        if (holds)
            *set = s;
    }
    return DFX_OK;
}

static const dfx_set *
set_named(const char *name)
{
    const dfx_set *set = dfx_pipelines_table.sets;

    while (set->name != NULL && strcmp(set->name, name) != 0)
        set++;
    return set->name != NULL ? set : NULL;
}

static bool
is_family(const char *name)
{
    const dfx_set *set = dfx_pipelines_table.sets;

    while (set->name != NULL && strcmp(set->family, name) != 0)
        set++;
    return set->name != NULL;
}

/* A part that the set has a place for, when the one that decides is not here:
   the VAE of a pipeline, alone. */
static dfx_found *
found_for_slots(dfx_identity *identity, const dfx_slot *slots)
{
    for (; slots != NULL && slots->component != NULL; slots++)
        for (size_t k = 0; k < 3 && slots->kinds[k] != NULL; k++) {
            dfx_found *found = found_of_kind(identity, slots->kinds[k]);

            if (found != NULL)
                return found;
        }
    return NULL;
}

/*
 * Does a set that was named fit? What decides is here, and its condition holds,
 * or nothing in a file tells it from others of the family that does hold.
 */
static dfx_status
named_fits(dfx_identity *identity, const dfx_set *set, dfx_found **decider,
           bool *fits, dfx_error *err)
{
    dfx_found *other;
    const dfx_set *best;

    *decider = found_of_kind(identity, set->kind);
    if (*decider == NULL) {
        *decider = found_for_slots(identity, set->slots);
        *fits = *decider != NULL;
        return DFX_OK;
    }
    DFX_TRY(set_holds(set, *decider, fits, err));
    if (*fits)
        return DFX_OK;
    DFX_TRY(best_set(identity, NULL, &best, &other, err));
    *fits = best == NULL || strcmp(best->family, set->family) == 0;
    return DFX_OK;
}

/* The caller of dfx_identify named a set or a family. */
static dfx_status
choose_named(dfx_identity *identity, const char *name, dfx_error *err)
{
    const dfx_set *set = set_named(name);
    dfx_found *decider = NULL;
    bool fits = false;

    if (set != NULL) {
        DFX_TRY(named_fits(identity, set, &decider, &fits, err));
    } else {
        if (!is_family(name))
            return dfx_fail_usage(err, "no family is called \"%s\"", name);
        DFX_TRY(best_set(identity, name, &set, &decider, err));
        fits = set != NULL;
    }
    if (!fits)
        return dfx_fail(err, DFX_RULE_FAMILY_UNKNOWN, DFX_NO_OFFSET,
                        "the tensors are not those of family \"%s\"", name);
    identity->set = set;
    identity->decider = decider;
    return DFX_OK;
}

static dfx_status
choose_set(dfx_identity *identity, dfx_error *err)
{
    /* The set that the configs kept in the file belong to. */
    const char *remembered = dfx_doc_string(identity->residue, "set");
    dfx_found *decider = NULL;

    if (identity->options->family != NULL)
        return choose_named(identity, identity->options->family, err);
    if (remembered != NULL &&
        choose_named(identity, remembered, NULL) == DFX_OK)
        return DFX_OK;
    DFX_TRY(best_set(identity, NULL, &identity->set, &decider, err));
    identity->decider = identity->set != NULL ? decider : NULL;
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
    const dfx_file *own = dfx_index_find_file(identity->index, DFX_MODEL_INDEX);
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
        snprintf(path, sizeof path, "%s/" DFX_MODEL_INDEX, set->name);
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

/* The family of the whole: the set's, that of the one part, a known name. */
static dfx_status
name_family(dfx_identity *identity, dfx_error *err)
{
    const dfx_set *set = identity->set;
    bool named = false;

    /* A set that a lone VAE was given lends constants, not its name. */
    if (set != NULL && strcmp(identity->decider->kind->name, set->kind) != 0)
        set = NULL;
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
    return pipeline_class(identity, err);
}
