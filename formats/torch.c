/*
 * torch.c - PyTorch files: .ckpt, .pt, .pth, .bin, whatever the suffix
 *
 * Nothing in them is ever run. What a pickle would import or call is a name in
 * the audit; the tensors beside it still read.
 */
#include <config.h>

#include "torch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"

enum { SHOWN = 8 }; /* names in a warning */

/* A reading into an index. */
typedef struct reader {
    dfx_torch_file file;
    dfx_torch_tensors tensors;
    uint32_t component;
    dfx_index *index;
    const char *below; /* path of the dict that is read, "state_dict"; "" */
    dfx_error *err;
} reader;

/* ---- Which of the tensors ------------------------------------------------
 */

/* Where checkpoints keep the weights, the first that is there counts. */
static const char *const wrappers[] = {
    "state_dict", "model_state_dict", "model", "module", "params_ema", "params",
};

/* What is left of a path below a dict; NULL: it is not below it. */
static const char *
rest_of(const char *path, const char *below)
{
    size_t size = strlen(below);

    if (size == 0)
        return path;
    return strncmp(path, below, size) == 0 && path[size] == '/'
               ? path + size + 1
               : NULL;
}

static bool
has_tensors(const reader *r, const char *below)
{
    for (size_t i = 0; i < r->tensors.count; i++)
        if (rest_of(r->tensors.items[i].path, below) != NULL)
            return true;
    return false;
}

/* "a.b" as the path of a dict, in the arena: keys may have dots of their own,
   so the tensors say which of them are. */
static const char *
path_of_key(const reader *r, const char *key)
{
    size_t size = strlen(key);

    for (size_t i = 0; i < r->tensors.count; i++) {
        const char *path = r->tensors.items[i].path;
        size_t n = 0;

        while (n < size &&
               (path[n] == key[n] || (path[n] == '/' && key[n] == '.')))
            n++;
        if (n == size && path[n] == '/')
            return dfx_arena_strndup(&r->index->arena, path, size);
    }
    return NULL;
}

static dfx_status
choose(reader *r)
{
    const char *key = r->file.options->key;

    r->below = "";
    if (key != NULL && key[0] != '\0') {
        r->below = path_of_key(r, key);
        if (r->below == NULL)
            return dfx_fail(r->err, DFX_RULE_PT_KEY, DFX_NO_OFFSET,
                            "there are no tensors below \"%.200s\"", key);
        return DFX_OK;
    }
    for (size_t i = 0; key == NULL && i < sizeof wrappers / sizeof wrappers[0];
         i++)
        if (has_tensors(r, wrappers[i])) {
            r->below = wrappers[i];
            break;
        }
    return DFX_OK;
}

/* ---- Into the index ------------------------------------------------------
 */

/* A tensor that no file of tensors keeps. */
static dfx_status
note_lacking(reader *r, const dfx_torch_tensor *t, const char *name)
{
    dfx_error *lacking = &r->index->lacking;

    if (lacking->rule == NULL || lacking->rule[0] == '\0') {
        dfx_fail(lacking, DFX_RULE_PT_TENSOR_KIND, DFX_NO_OFFSET,
                 "is %s: only dense tensors with their data are converted",
                 t->kind != NULL ? t->kind : "of a type without a name");
        dfx_error_in_tensor(lacking, name);
    }
    return dfx_index_warn(r->index, r->err, "%s is %s", name,
                          t->kind != NULL ? t->kind : "of an unknown type");
}

/* Joined by dots, as a state dict's keys are. */
static char *
name_of(reader *r, const char *path)
{
    char *name = dfx_arena_strdup(&r->index->arena, path);

    for (char *p = name; p != NULL && *p != '\0'; p++)
        if (*p == '/')
            *p = '.';
    return name;
}

static dfx_status
add_tensor(reader *r, const dfx_torch_tensor *t, const char *path)
{
    dfx_claim claim = {.component = r->component,
                       .type = t->type,
                       .rank = t->rank,
                       .shape = t->shape,
                       .where = DFX_NO_OFFSET};
    dfx_extent data = {0};

    claim.name = name_of(r, path[0] != '\0' ? path : "tensor");
    if (claim.name == NULL)
        return dfx_fail_nomem(r->err);
    claim.name_size = strlen(claim.name);
    if (t->kind != NULL || t->type == DFX_TYPE_COUNT)
        DFX_TRY(note_lacking(r, t, claim.name));
    if (t->storage == NULL || t->type == DFX_TYPE_COUNT ||
        (t->kind != NULL && strstr(t->kind, "x") != NULL))
        return DFX_OK; /* no data, or elements that share bytes */
    DFX_TRY(dfx_torch_open(&r->file, t, &data, r->err));
    claim.io = data.io;
    claim.offset = data.offset;
    claim.size = data.size;
    return dfx_index_add(r->index, &claim, r->err);
}

/* The first part of a path: "optimizer_states" of "optimizer_states/0/step". */
static size_t
top_size(const char *path)
{
    return strcspn(path, "/");
}

/* What was found and is not read: names at the top, how many below each. */
static dfx_status
warn_left_out(reader *r)
{
    dfx_text text = {0};
    size_t names = 0;
    dfx_status status = DFX_OK;

    for (size_t i = 0; i < r->tensors.count; i++) {
        const char *path = r->tensors.items[i].path;
        size_t size = top_size(path), count = 1;

        if (rest_of(path, r->below) != NULL)
            continue;
        while (i + 1 < r->tensors.count &&
               top_size(r->tensors.items[i + 1].path) == size &&
               strncmp(r->tensors.items[i + 1].path, path, size) == 0) {
            count++;
            i++;
        }
        if (names++ < SHOWN)
            dfx_text_printf(&text, "%s%.*s (%zu tensors)",
                            names > 1 ? ", " : "", (int)size, path, count);
    }
    if (names > SHOWN)
        dfx_text_printf(&text, " and %zu more", names - SHOWN);
    if (text.failed)
        status = dfx_fail_nomem(r->err);
    else if (names > 0)
        status = dfx_index_warn(r->index, r->err, "not read: %s", text.data);
    dfx_text_fini(&text);
    return status;
}

static dfx_status
warn_values(reader *r)
{
    if (r->tensors.values == 0)
        return DFX_OK;
    return dfx_index_warn(r->index, r->err,
                          "not read: %zu values that are no tensors",
                          r->tensors.values);
}

/* ---- Metadata ------------------------------------------------------------
 */

/* An object of strings, as our writer keeps it. */
static dfx_status
add_pairs(reader *r, dfx_json *json)
{
    dfx_json_event event = DFX_JSON_NULL;

    DFX_TRY(dfx_json_next(json, &event, r->err));
    while (event != DFX_JSON_OBJECT_END && event != DFX_JSON_END) {
        const char *key;
        size_t size;

        DFX_TRY(dfx_json_next(json, &event, r->err));
        if (event != DFX_JSON_KEY)
            continue;
        key = dfx_json_keep(json, &r->index->arena);
        size = json->text_size;
        if (key == NULL)
            return dfx_fail_nomem(r->err);
        DFX_TRY(dfx_json_next(json, &event, r->err));
        if (event == DFX_JSON_STRING)
            DFX_TRY(dfx_index_add_meta(r->index, r->component, key, size,
                                       json->text, json->text_size, r->err));
        else
            DFX_TRY(dfx_json_skip(json, event, r->err));
    }
    return DFX_OK;
}

static dfx_status
add_metadata(reader *r)
{
    dfx_json json;
    dfx_status status;

    if (r->file.metadata == NULL)
        return dfx_index_add_meta(r->index, r->component, "format", 6, "pt", 2,
                                  r->err);
    if (!dfx_utf8_valid(r->file.metadata, r->file.metadata_size, NULL))
        return dfx_index_warn(r->index, r->err, "%s is not UTF-8",
                              DFX_TORCH_METADATA);
    dfx_json_init(&json, r->file.metadata, r->file.metadata_size, 0);
    status = add_pairs(r, &json);
    dfx_json_fini(&json);
    return status;
}

/* ---- Reading -------------------------------------------------------------
 */

/* The ios go to the index, which closes what the tensors are in. */
static dfx_status
hand_over(reader *r)
{
    dfx_status status = DFX_OK;

    for (size_t i = 0; i < r->file.io_count; i++) {
        dfx_status one = dfx_index_take_io(r->index, r->file.ios[i], r->err);

        status = status == DFX_OK ? one : status;
    }
    r->file.io_count = 0;
    return status;
}

/* Nothing was found: why. */
static dfx_status
fail_empty(const reader *r)
{
    const dfx_error *worst = &r->index->audit.worst;

    if (r->index->audit.verdict == DFX_VERDICT_SAFE)
        return dfx_fail(r->err, DFX_RULE_PT_KEY, DFX_NO_OFFSET,
                        "there are no tensors in it");
    if (r->err != NULL) {
        *r->err = *worst;
        r->err->status = DFX_ERR_FORMAT;
    }
    return DFX_ERR_FORMAT;
}

static dfx_status
fill_index(reader *r)
{
    DFX_TRY(dfx_torch_find(&r->file, &r->tensors, r->err));
    if (r->file.pickle.root == NULL)
        return fail_empty(r);
    DFX_TRY(choose(r));
    for (size_t i = 0; i < r->tensors.count; i++) {
        const char *rest = rest_of(r->tensors.items[i].path, r->below);

        if (rest != NULL)
            DFX_TRY(add_tensor(r, &r->tensors.items[i], rest));
    }
    DFX_TRY(warn_left_out(r));
    DFX_TRY(warn_values(r));
    return add_metadata(r);
}

static dfx_status
torch_read(const dfx_place *place, uint32_t component,
           const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    reader r = {.component = component, .index = index, .err = err};
    dfx_status status, taken;

    r.file.options = options;
    r.file.audit = &index->audit;
    status = dfx_torch_load(place, &r.file, err);
    if (status == DFX_OK)
        status = fill_index(&r);
    r.err = status == DFX_OK ? err : NULL;
    taken = hand_over(&r);
    free(r.tensors.items);
    dfx_torch_fini(&r.file);
    return status == DFX_OK ? taken : status;
}

/* ---- Judging -------------------------------------------------------------
 */

static dfx_status
scan(const dfx_place *place, const dfx_open_options *options, dfx_audit *audit,
     dfx_line_fn *line, void *context, dfx_error *err)
{
    dfx_torch_file file = {.options = options,
                           .audit = audit,
                           .whole = true,
                           .line = line,
                           .context = context};
    dfx_torch_tensors tensors = {0};
    dfx_status status = dfx_torch_load(place, &file, err);

    if (status == DFX_OK)
        status = dfx_torch_find(&file, &tensors, err);
    free(tensors.items);
    dfx_torch_fini(&file);
    return status;
}

static dfx_status
torch_audit(const dfx_place *place, const dfx_open_options *options,
            dfx_audit *audit, dfx_error *err)
{
    return scan(place, options, audit, NULL, NULL, err);
}

static dfx_status
torch_disassemble(const dfx_place *place, const dfx_open_options *options,
                  dfx_line_fn *line, void *context, dfx_error *err)
{
    dfx_audit audit = {.where = ""};

    return scan(place, options, &audit, line, context, err);
}

/* Concerns as findings. */
typedef struct finder {
    dfx_finding_fn *found;
    void *context;
} finder;

static void
find_concern(void *context, const dfx_concern *concern)
{
    const finder *f = context;
    dfx_error finding = {.status = DFX_ERR_UNSAFE,
                         .rule = concern->rule,
                         .offset = concern->position};
    dfx_text text = {0};

    dfx_text_printf(&text, "%s%s%s%s%s", concern->where,
                    concern->where[0] != '\0' ? ": " : "",
                    concern->global != NULL ? concern->global : "",
                    concern->global != NULL ? ": " : "", concern->reason);
    if (!text.failed)
        snprintf(finding.text, sizeof finding.text, "%s", text.data);
    dfx_text_fini(&text);
    f->found(f->context, &finding);
}

static dfx_status
torch_validate(const dfx_place *place, const dfx_open_options *options,
               dfx_finding_fn *found, void *context, dfx_error *err)
{
    finder f = {found, context};
    dfx_audit audit = {.found = find_concern, .context = &f, .where = ""};
    const dfx_open_options defaults = {0};

    return scan(place, options != NULL ? options : &defaults, &audit, NULL,
                NULL, err);
}

/* ---- Bids ----------------------------------------------------------------
 */

/* Bits of what a file starts with, for containers that others share. */
enum { BID_ZIP = 30, BID_TORCH_ZIP = 96, BID_TAR = 40, BID_OTHER = 16 };

static bool
holds(const uint8_t *head, size_t size, const char *text)
{
    return memmem(head, size, text, strlen(text)) != NULL;
}

static unsigned
torch_bid(const dfx_evidence *evidence)
{
    static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    static const char *const others[] = {
        "7z\xbc\xaf\x27\x1c", "\x1f\x8b",         "BZh",
        "\xfd\x37zXZ",        "\x04\x22\x4d\x18", "\x93NUMPY",
    };
    const uint8_t *head = evidence->head;
    size_t size = evidence->head_size, start = size < 64 ? size : 64;

    if (evidence->is_folder || size == 0)
        return 0;
    if (size >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        return holds(head, size < 512 ? size : 512, "/data.pkl") ? BID_TORCH_ZIP
                                                                 : BID_ZIP;
    if (holds(head, start, magic))
        return 8 * (sizeof magic - 1);
    if (size >= 512 && memcmp(head + 257, "ustar", 5) == 0)
        return BID_TAR;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (size >= strlen(others[i]) &&
            memcmp(head, others[i], strlen(others[i])) == 0)
            return BID_OTHER;
    return dfx_pickle_bid(head, size);
}

const dfx_format dfx_format_torch = {
    .name = "ckpt",
    .summary = "PyTorch file (zip, legacy stream or tar), read as data",
    .suffix = ".ckpt .pt .pth .bin .th .pkl .pickle",
    .in_folder = DFX_TORCH_IN_FOLDER,
    .wraps = true,
    .layout = DFX_LAYOUT_ORIGINAL,
    .bid = torch_bid,
    .read = torch_read,
    .validate = torch_validate,
    .audit = torch_audit,
    .disassemble = torch_disassemble,
    .lay_out = dfx_torch_lay_out,
};
