/*
 * document.h - JSON documents: config.json, model_index.json and their like
 *
 * The tree is cJSON's; reading is our strict reader's (duplicate keys, depth
 * and UTF-8 are checked) and writing is Python's json.dumps(indent=2), because
 * that is what wrote the files that we give back byte for byte. Numbers are raw
 * nodes that keep their spelling: 1e-05 and 1.0 stay what they were, which
 * doubles would not.
 */
#ifndef DFX_DOCUMENT_H
#define DFX_DOCUMENT_H

#include <cjson/cJSON.h>

#include "io.h"
#include "memory.h"

/* *doc is owned: cJSON_Delete. name is for messages. */
DFX_CHECKED dfx_status dfx_doc_parse(const char *text, size_t size,
                                     const char *name, cJSON **doc,
                                     dfx_error *err);
/* Reads and parses an extent of at most 16 MiB. */
DFX_CHECKED dfx_status dfx_doc_read(const dfx_extent *extent, cJSON **doc,
                                    dfx_error *err);

/* The same of a file. */
DFX_CHECKED dfx_status dfx_doc_open(const char *path, cJSON **doc,
                                    dfx_error *err);

/*
 * As json.dumps(doc, indent=2, sort_keys=sort) + "\n" with ensure_ascii=False
 * writes it. NULL if memory ran out; free() it.
 */
char *dfx_doc_print(const cJSON *doc, bool sort);
/* On one line without spaces. */
char *dfx_doc_print_compact(const cJSON *doc);

/* Case-sensitive member of an object; NULL if absent. */
cJSON *dfx_doc_get(const cJSON *object, const char *key);
/* The string member, or NULL. Borrowed. */
const char *dfx_doc_string(const cJSON *object, const char *key);
/* An integer node that fits; false otherwise. */
bool dfx_doc_int(const cJSON *node, int64_t *value);
bool dfx_doc_number(const cJSON *node, double *value);

/* Nodes; NULL if memory ran out. */
cJSON *dfx_doc_new_int(int64_t value);
/* The shortest spelling that reads back the same, as Python's repr. */
cJSON *dfx_doc_new_number(double value);

/* Replaces or appends a member; takes node, also on failure (false). A NULL
   node fails. */
bool dfx_doc_set(cJSON *object, const char *key, cJSON *node);

/* Same value: members in any order, numbers by value. */
bool dfx_doc_equal(const cJSON *a, const cJSON *b);

#endif
