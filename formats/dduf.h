/*
 * dduf.h - what the files of the DDUF format share
 */
#ifndef DFX_DDUF_H
#define DFX_DDUF_H

#include "registry.h"
#include "zip.h"

#define DFX_DDUF_INDEX "model_index.json"

/* An archive that is read. */
typedef struct dfx_dduf {
    const dfx_place *place;
    const dfx_open_options *options;
    dfx_zip zip;
    dfx_io **ios; /* owned: the file's, then one an entry; NULL: broken */
    size_t io_count;
    dfx_member *members; /* owned; sorted by path; those that can be read */
    size_t member_count;
    dfx_mount mount;
    /* Who is told of broken rules; NULL: the first one ends the reading. Those
       that one can go on after are warnings of the index, or findings whose
       status is DFX_OK. */
    dfx_finding_fn *found;
    void *context;
    dfx_index *index; /* for warnings; NULL: none */
    dfx_error *err;
} dfx_dduf;

/* Opens the archive and its entries, and checks the rules of the container,
   of names and of model_index.json. */
DFX_CHECKED dfx_status dfx_dduf_open(dfx_dduf *d);
void dfx_dduf_fini(dfx_dduf *d);

/* A broken rule, of an entry or (NULL) of the whole. */
DFX_CHECKED dfx_status dfx_dduf_tell(const dfx_dduf *d, dfx_rule rule,
                                     bool is_warning, const char *entry,
                                     uint64_t offset, const char *fmt, ...)
    DFX_PRINTF(6, 7);

/* Can an entry be called so? The rule that it breaks, or DFX_RULE_COUNT. */
dfx_rule dfx_dduf_name_rule(const char *name, size_t size);
DFX_CHECKED dfx_status dfx_dduf_check_names(const dfx_dduf *d);
DFX_CHECKED dfx_status dfx_dduf_check_index(const dfx_dduf *d);
/* What the members hold: JSON, safetensors, shards. */
DFX_CHECKED dfx_status dfx_dduf_check_members(const dfx_dduf *d);
/* The CRC of every entry. */
DFX_CHECKED dfx_status dfx_dduf_check_sums(const dfx_dduf *d);

/* How archives of this format are written, and where their data starts. */
extern const dfx_zip_style dfx_dduf_style;
/* The offset that an entry's data is a multiple of; 0: any. */
unsigned dfx_dduf_alignment(const char *path, bool plain);
/* The order of entries: model_index.json, then by name. As qsort wants it. */
int dfx_dduf_compare(const char *a, const char *b);

DFX_CHECKED dfx_status dfx_dduf_lay_out(const dfx_bundle *bundle,
                                        const char *base, dfx_plan *plan,
                                        dfx_error *err);

#endif
