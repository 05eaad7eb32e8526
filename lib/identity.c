/*
 * identity.c - what an identity says, for those who ask
 */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identify.h"

dfx_status
dfx_identity_warn(dfx_identity *identity, dfx_error *err, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    char *copy;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    copy = dfx_arena_strdup(&identity->arena, text);
    if (copy == NULL ||
        !dfx_grow(&identity->warnings, &identity->warning_capacity,
                  identity->warning_count, sizeof *identity->warnings))
        return dfx_fail_nomem(err);
    identity->warnings[identity->warning_count++] = copy;
    return DFX_OK;
}

void
dfx_identity_free(dfx_identity *identity)
{
    if (identity == NULL)
        return;
    for (size_t i = 0; i < identity->found_count; i++) {
        dfx_facts_fini(&identity->found[i].facts);
        cJSON_Delete(identity->found[i].config);
    }
    cJSON_Delete(identity->residue);
    free(identity->warnings);
    free(identity->conflicts);
    dfx_arena_fini(&identity->arena);
    free(identity);
}

const dfx_found *
dfx_identity_find(const dfx_identity *identity, const char *component)
{
    for (size_t i = 0; i < identity->found_count; i++)
        if (strcmp(identity->found[i].view.name, component) == 0)
            return &identity->found[i];
    return NULL;
}

dfx_layout
dfx_identity_layout(const dfx_identity *identity)
{
    return identity->layout;
}

const char *
dfx_layout_name(dfx_layout layout)
{
    static const char *const names[] = {
        [DFX_LAYOUT_UNKNOWN] = "unknown",
        [DFX_LAYOUT_ORIGINAL] = "original",
        [DFX_LAYOUT_DIFFUSERS] = "diffusers",
        [DFX_LAYOUT_ADAPTER] = "adapter",
    };

    return names[layout];
}

const char *
dfx_identity_family(const dfx_identity *identity)
{
    return identity->family;
}

const char *
dfx_identity_variant(const dfx_identity *identity)
{
    return identity->variant;
}

const char *const *
dfx_identity_variants(const dfx_identity *identity, size_t *count)
{
    *count = identity->variant_count;
    return identity->variants;
}

const char *
dfx_identity_pipeline(const dfx_identity *identity)
{
    return identity->pipeline;
}

const dfx_part *
dfx_identity_parts(const dfx_identity *identity, size_t *count)
{
    *count = identity->found_count;
    return identity->parts;
}

const dfx_candidate *
dfx_identity_candidates(const dfx_identity *identity, size_t *count)
{
    *count = identity->candidate_count;
    return identity->candidates;
}

const char *const *
dfx_identity_warnings(const dfx_identity *identity, size_t *count)
{
    *count = identity->warning_count;
    return identity->warnings;
}
