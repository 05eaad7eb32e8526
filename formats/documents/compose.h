/*
 * compose.h - a folder's JSON files while they are made
 *
 * compose.c gathers them from the embedded sets and the parts; overlay.c lays
 * over them what markers, kept documents and the user say.
 */
#ifndef DFX_COMPOSE_H
#define DFX_COMPOSE_H

#include "configs.h"
#include "document.h"

/* A file on its way: bytes, or a document once something reads it as one. */
typedef struct dfx_composed {
    const char *path; /* in the folder */
    const char *data;
    size_t size;
    bool from_user; /* the bytes are those of --config */
    cJSON *doc;     /* owned; NULL: not parsed, the bytes count */
} dfx_composed;

typedef struct dfx_composer {
    const dfx_identity *identity;
    dfx_arena *arena;
    dfx_composed *entries; /* owned */
    size_t count, capacity;
} dfx_composer;

/* The file of that path, or NULL. Valid until one is added. */
dfx_composed *dfx_composer_find(const dfx_composer *c, const char *path);
/* path lives in the arena; NULL means that memory ran out. *out is valid until
   the next one is added. */
DFX_CHECKED dfx_status dfx_composer_add(dfx_composer *c, const char *path,
                                        dfx_composed **out, dfx_error *err);
/* The document, parsed when first asked for. Borrowed. */
DFX_CHECKED dfx_status dfx_composed_open(dfx_composed *e, cJSON **doc,
                                         dfx_error *err);

/* Takes node, of which NULL means that memory ran out. */
DFX_CHECKED static inline dfx_status
dfx_composed_set(cJSON *doc, const char *field, cJSON *node, dfx_error *err)
{
    if (!cJSON_IsObject(doc)) {
        cJSON_Delete(node);
        return dfx_fail_usage(err, "\"%s\" is set in what is no JSON object",
                              field);
    }
    return dfx_doc_set(doc, field, node) ? DFX_OK : dfx_fail_nomem(err);
}

/* Markers, kept documents, --config, --original-config, --set: in this order,
   the later one winning. */
DFX_CHECKED dfx_status dfx_composer_overlay(dfx_composer *c, dfx_error *err);

#endif
