/*
 * lora.c - low-rank changes of a model's weights while it runs
 */
#include <config.h>

#include "lora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "document.h"

/* A and B of a weight; parts that were not seen are NULL. */
typedef struct pair {
    const dfx_weights_entry *entry;
    const char *key; /* of one of its parts, for messages */
    const dfx_expr *down, *up, *alpha;
    float factor;
} pair;

/* A weight that a key can mean. */
typedef struct target {
    const char *module;
    const dfx_weights_entry *entry;
    size_t pair; /* where it is in the pairs, and 1; 0: none in this file */
} target;

/* What is changed of one component. */
typedef struct set {
    const char *name;
    dfx_model_component *component; /* borrowed; NULL: the model has none */
    target *targets;                /* by module; in the arena */
    size_t target_count;
    pair *pairs; /* owned; in the order in which they are added */
    size_t count, capacity;
} set;

enum { SETS = 3 };

struct dfx_loras {
    dfx_arena arena;
    dfx_index **files; /* owned, and what they point to */
    size_t file_count, file_capacity;
    set sets[SETS];
};

/* ---- Weights of the model ------------------------------------------------ */

static int
compare_targets(const void *a, const void *b)
{
    const target *x = a, *y = b;

    return strcmp(x->module, y->module);
}

static dfx_status
know_targets(dfx_loras *loras, set *s, dfx_error *err)
{
    static const char end[] = ".weight";
    const dfx_weights *weights = &s->component->weights;

    s->targets =
        dfx_arena_array(&loras->arena, weights->count, sizeof *s->targets);
    if (s->targets == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < weights->count; i++) {
        const dfx_weights_entry *entry = &weights->entries[i];
        size_t size = strlen(entry->name);
        char module[DFX_LORA_MODULE];

        if (entry->expr->rank < 2 || entry->expr->elements == 0 ||
            size < sizeof end ||
            strcmp(entry->name + size - (sizeof end - 1), end) != 0 ||
            !dfx_lora_module(entry->name, size - (sizeof end - 1), module))
            continue;
        s->targets[s->target_count] = (target){
            .module = dfx_arena_strdup(&loras->arena, module), .entry = entry};
        if (s->targets[s->target_count++].module == NULL)
            return dfx_fail_nomem(err);
    }
    if (s->target_count > 0)
        qsort(s->targets, s->target_count, sizeof *s->targets, compare_targets);
    return DFX_OK;
}

static dfx_status
know_model(dfx_loras *loras, const dfx_model *model, dfx_error *err)
{
    static const char *const names[SETS] = {"unet", "text_encoder",
                                            "text_encoder_2"};

    for (size_t i = 0; i < SETS; i++) {
        set *s = &loras->sets[i];

        s->name = names[i];
        s->component = dfx_model_find(model, names[i]);
        if (s->component != NULL)
            DFX_TRY(know_targets(loras, s, err));
    }
    return DFX_OK;
}

/* ---- Files --------------------------------------------------------------- */

static set *
set_of(dfx_loras *loras, const char *component)
{
    size_t i = 0;

    while (strcmp(loras->sets[i].name, component) != 0)
        i++;
    return &loras->sets[i];
}

/* The pair of the weight that a key means, made if need be; NULL: none. */
static dfx_status
find_pair(dfx_loras *loras, const dfx_lora_key *key, pair **out, dfx_error *err)
{
    set *s = set_of(loras, key->component);
    target wanted = {.module = key->module}, *found = NULL;

    *out = NULL;
    if (s->target_count > 0)
        found = bsearch(&wanted, s->targets, s->target_count,
                        sizeof *s->targets, compare_targets);
    if (found == NULL)
        return DFX_OK;
    if (found->pair == 0) {
        if (!dfx_grow(&s->pairs, &s->capacity, s->count, sizeof *s->pairs))
            return dfx_fail_nomem(err);
        s->pairs[s->count++] = (pair){.entry = found->entry};
        found->pair = s->count;
    }
    *out = &s->pairs[found->pair - 1];
    return DFX_OK;
}

static dfx_status
take_tensor(dfx_loras *loras, const dfx_tensor *t, dfx_error *err)
{
    const dfx_expr **part;
    dfx_lora_key key;
    pair *p = NULL;

    if (dfx_lora_parse(t->name, &key))
        DFX_TRY(find_pair(loras, &key, &p, err));
    if (p == NULL)
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "the key means no weight of the model, or a change "
                        "that the runner does not know");
    part = key.part == DFX_LORA_DOWN ? &p->down
           : key.part == DFX_LORA_UP ? &p->up
                                     : &p->alpha;
    if (*part != NULL)
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "another key of the file means the same");
    p->key = t->name;
    return dfx_expr_tensor(&loras->arena, t, part, err);
}

/* What peft's metadata says of the scale. */
typedef struct peft {
    cJSON *doc;       /* owned; NULL: there is none */
    const char *name; /* of the component */
} peft;

static const cJSON *
peft_setting(const peft *meta, const char *key)
{
    char name[64];

    if (meta->doc == NULL)
        return NULL;
    snprintf(name, sizeof name, "%s.%s", meta->name, key);
    return dfx_doc_get(meta->doc, name);
}

/* alpha / rank as the file has it: a key, metadata, or 1. */
static dfx_status
read_scale(const pair *p, const peft *meta, double *scale, dfx_error *err)
{
    double rank = (double)p->down->shape[0], alpha = rank;
    const cJSON *setting = peft_setting(meta, "alpha_pattern");
    dfx_arena arena = {0};
    const dfx_expr *x = NULL;
    dfx_status status;
    float number = 0;

    *scale = 1;
    if (p->alpha != NULL) {
        if (p->alpha->elements != 1)
            return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                            "its alpha is not one number");
        status = dfx_expr_cast(&arena, p->alpha, DFX_TYPE_F32, &x, err);
        if (status == DFX_OK)
            status = dfx_expr_pull(x, 0, 1, &number, err);
        dfx_arena_fini(&arena);
        *scale = (double)number / rank;
        return status;
    }
    if (setting != NULL && setting->child != NULL)
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "the metadata has an alpha_pattern, which the runner "
                        "does not know");
    setting = peft_setting(meta, "lora_alpha");
    if (setting != NULL && !dfx_doc_number(setting, &alpha))
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "the metadata has a lora_alpha that is no number");
    if (cJSON_IsTrue(peft_setting(meta, "use_rslora")))
        rank = sqrt(rank);
    if (setting != NULL)
        *scale = alpha / rank;
    return DFX_OK;
}

static dfx_status
check_pair(pair *p, const peft *meta, double strength, dfx_error *err)
{
    const dfx_expr *weight = p->entry->expr, *down = p->down, *up = p->up;
    double scale;

    if (down == NULL || up == NULL)
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "the file has only one of the two matrices");
    if (down->rank < 2 || up->rank < 2 || down->elements == 0 ||
        up->elements == 0 || up->shape[0] != weight->shape[0] ||
        up->elements / up->shape[0] != down->shape[0] ||
        down->elements / down->shape[0] != weight->elements / weight->shape[0])
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "the shapes of the two matrices do not fit those of "
                        "\"%s\" in the model",
                        p->entry->name);
    DFX_TRY(read_scale(p, meta, &scale, err));
    p->factor = (float)(strength * scale);
    if (!isfinite(p->factor))
        return dfx_fail(err, DFX_RULE_RUN_LORA, DFX_NO_OFFSET,
                        "its scale is no number that can be held");
    return DFX_OK;
}

/* The pairs of a file, from the given ones of each component on. */
static dfx_status
check_pairs(dfx_loras *loras, const size_t first[SETS], peft *meta,
            double strength, dfx_error *err)
{
    for (size_t i = 0; i < SETS; i++) {
        set *s = &loras->sets[i];

        meta->name = s->name;
        for (size_t k = first[i]; k < s->count; k++) {
            dfx_status status = check_pair(&s->pairs[k], meta, strength, err);

            if (status != DFX_OK) {
                dfx_error_in_tensor(err, s->pairs[k].key);
                return status;
            }
        }
        for (size_t k = 0; k < s->target_count; k++)
            s->targets[k].pair = 0;
    }
    return DFX_OK;
}

static dfx_status
read_peft(const dfx_index *index, peft *meta, dfx_error *err)
{
    static const char key[] = "lora_adapter_metadata";

    for (size_t i = 0; i < index->meta_count; i++)
        if (strcmp(index->metadata[i].key, key) == 0)
            return dfx_doc_parse(index->metadata[i].value,
                                 strlen(index->metadata[i].value), key,
                                 &meta->doc, err);
    return DFX_OK;
}

static dfx_status
open_file(dfx_loras *loras, const char *path, dfx_index **out, dfx_error *err)
{
    if (!dfx_grow(&loras->files, &loras->file_capacity, loras->file_count,
                  sizeof *loras->files))
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_open(path, NULL, out, err));
    loras->files[loras->file_count++] = *out;
    return dfx_source_check(*out, false, err);
}

static dfx_status
add_file(dfx_loras *loras, const dfx_lora_use *use, dfx_error *err)
{
    dfx_index *index = NULL;
    size_t first[SETS];
    peft meta = {0};
    dfx_status status;

    for (size_t i = 0; i < SETS; i++)
        first[i] = loras->sets[i].count;
    DFX_TRY(open_file(loras, use->path, &index, err));
    for (size_t i = 0; i < index->tensor_count; i++) {
        status = take_tensor(loras, &index->tensors[i], err);
        if (status != DFX_OK) {
            dfx_error_in_tensor(err, index->tensors[i].name);
            return status;
        }
    }
    status = read_peft(index, &meta, err);
    if (status == DFX_OK)
        status = check_pairs(loras, first, &meta, use->scale, err);
    cJSON_Delete(meta.doc);
    return status;
}

/* ---- Numbers ------------------------------------------------------------- */

/* F32 numbers of an expression in the backend's memory, which is the host's. */
static dfx_status
pull(const dfx_backend *cpu, dfx_arena *arena, const dfx_expr *x, float **out,
     dfx_error *err)
{
    const dfx_expr *cast = NULL;

    *out = cpu->alloc((size_t)x->elements * sizeof **out);
    if (*out == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_expr_cast(arena, x, DFX_TYPE_F32, &cast, err));
    return dfx_expr_pull(cast, 0, x->elements, *out, err);
}

/* Numbers of the weight, to which a pair is added: B [rows, rank] by A [rank,
   columns]. Everything is in the host's memory whatever runs the network. */
static dfx_status
add_pair(const pair *p, float *numbers, dfx_error *err)
{
    const dfx_backend *cpu = dfx_backend_cpu();
    size_t rank = (size_t)p->down->shape[0];
    size_t rows = (size_t)p->up->shape[0];
    size_t columns = (size_t)p->down->elements / rank;
    float *a = NULL, *b = NULL, *product = NULL;
    float *turned = cpu->alloc(rank * columns * sizeof *turned);
    dfx_arena arena = {0};
    dfx_status status = DFX_OK;

    product = cpu->alloc(rows * columns * sizeof *product);
    if (turned == NULL || product == NULL)
        status = dfx_fail_nomem(err);
    if (status == DFX_OK)
        status = pull(cpu, &arena, p->down, &a, err);
    if (status == DFX_OK)
        status = pull(cpu, &arena, p->up, &b, err);
    if (status == DFX_OK &&
        !(cpu->transpose(turned, a, 1, rank, columns) &&
          cpu->linear(product, b, (dfx_weight){turned, DFX_TYPE_F32}, NULL,
                      rows, rank, columns)))
        status = dfx_fail_nomem(err);
    for (size_t i = 0; status == DFX_OK && i < rows * columns; i++)
        numbers[i] += p->factor * product[i];
    cpu->release(a);
    cpu->release(b);
    cpu->release(turned);
    cpu->release(product);
    dfx_arena_fini(&arena);
    return status;
}

static dfx_status
patch(const void *context, const char *name, const dfx_expr *expr,
      float *numbers, dfx_error *err)
{
    const set *s = context;

    (void)expr;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->pairs[i].entry->name, name) == 0)
            DFX_TRY(add_pair(&s->pairs[i], numbers, err));
    return DFX_OK;
}

/* ---- The whole ----------------------------------------------------------- */

dfx_status
dfx_loras_attach(dfx_model *model, const dfx_lora_use *uses, size_t count,
                 dfx_loras **out, dfx_error *err)
{
    dfx_loras *loras = calloc(1, sizeof *loras);
    dfx_status status;

    *out = loras;
    if (loras == NULL)
        return dfx_fail_nomem(err);
    status = know_model(loras, model, err);
    for (size_t i = 0; status == DFX_OK && i < count; i++) {
        status = add_file(loras, &uses[i], err);
        if (status != DFX_OK)
            dfx_error_in_file(err, uses[i].path);
    }
    if (status != DFX_OK) {
        dfx_loras_detach(loras);
        *out = NULL;
        return status;
    }
    for (size_t i = 0; i < SETS; i++) {
        set *s = &loras->sets[i];

        if (s->count == 0)
            continue;
        dfx_weights_drop(&s->component->weights);
        s->component->weights.patch = patch;
        s->component->weights.context = s;
    }
    return DFX_OK;
}

void
dfx_loras_detach(dfx_loras *loras)
{
    if (loras == NULL)
        return;
    for (size_t i = 0; i < SETS; i++) {
        set *s = &loras->sets[i];

        if (s->component != NULL && s->component->weights.context == s) {
            dfx_weights_drop(&s->component->weights);
            s->component->weights.patch = NULL;
            s->component->weights.context = NULL;
        }
        free(s->pairs);
    }
    for (size_t i = 0; i < loras->file_count; i++)
        dfx_index_free(loras->files[i]);
    free(loras->files);
    dfx_arena_fini(&loras->arena);
    free(loras);
}
