/*
 * bitsandbytes_write.c - weights written as bitsandbytes 0.50.2 stores them
 */
#include <config.h>

#include "bitsandbytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "document.h"
#include "types.h"

/* clang-format off */
static const float nf4_map[DFX_BNB_CODES] = {
    -1, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F,
    -0.28444138169288635F, -0.18477343022823334F, -0.09105003625154495F, 0,
    0.07958029955625534F, 0.16093020141124725F, 0.24611230194568634F,
    0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F,
    0.7229568362236023F, 1,
};

/* Eight numbers by 12, and the same below zero. */
static const float fp4_map[DFX_BNB_CODES] = {
    0, 0.0625F / 12, 8.0F / 12, 1, 4.0F / 12, 0.5F, 2.0F / 12, 0.25F,
    0, -0.0625F / 12, -8.0F / 12, -1, -4.0F / 12, -0.5F, -2.0F / 12, -0.25F,
};
/* clang-format on */

/* The numbers above 0 of the codes of scales but 1, bitsandbytes' dynamic map:
   below 0 are the same, and in the middle is 0. */
/* clang-format off */
static const float dynamic[DFX_BNB_NESTED / 2 - 1] = {
    5.500000384017767e-07F, 3.250000190746505e-06F, 7.749999895168003e-06F,
    2.1249998098937795e-05F, 4.374999844003469e-05F, 6.625000241911039e-05F,
    8.874999912222847e-05F, 0.00015625001105945557F, 0.0002687500382307917F,
    0.0003812500217463821F, 0.000493750034365803F, 0.0006062500760890543F,
    0.0007187500596046448F, 0.0008312499849125743F, 0.0009437500848434865F,
    0.001281249918974936F, 0.001843750011175871F, 0.002406249986961484F,
    0.002968749962747097F, 0.0035312497057020664F, 0.004093749914318323F,
    0.0046562496572732925F, 0.0052187503315508366F, 0.005781250074505806F,
    0.006343749817460775F, 0.006906250026077032F, 0.0074687497690320015F,
    0.008031249977648258F, 0.008593750186264515F, 0.009156249463558197F,
    0.009718749672174454F, 0.011406250298023224F, 0.014218750409781933F,
    0.017031250521540642F, 0.019843751564621925F, 0.02265625074505806F,
    0.025468749925494194F, 0.028281250968575478F, 0.031093750149011612F,
    0.033906251192092896F, 0.03671875223517418F, 0.039531249552965164F,
    0.04234374687075615F, 0.04515625163912773F, 0.047968748956918716F,
    0.05078125F, 0.053593751043081284F, 0.05640624836087227F,
    0.05921875312924385F, 0.062031250447034836F, 0.06484375149011612F,
    0.0676562562584877F, 0.07046874612569809F, 0.07328125089406967F,
    0.07609374821186066F, 0.07890625298023224F, 0.08171875774860382F,
    0.08453124761581421F, 0.08734375238418579F, 0.09015624970197678F,
    0.09296875447034836F, 0.09578125923871994F, 0.09859374910593033F,
    0.10703125596046448F, 0.12109375F, 0.13515624403953552F,
    0.14921875298023224F, 0.16328124701976776F, 0.17734375596046448F,
    0.19140625F, 0.20546874403953552F, 0.21953125298023224F,
    0.23359374701976776F, 0.24765624105930328F, 0.26171875F,
    0.2757812738418579F, 0.28984373807907104F, 0.30390626192092896F,
    0.3179687261581421F, 0.33203125F, 0.3460937440395355F,
    0.36015623807907104F, 0.37421876192092896F, 0.3882812261581421F,
    0.40234375F, 0.4164062440395355F, 0.43046873807907104F,
    0.44453126192092896F, 0.4585937261581421F, 0.47265625F,
    0.48671871423721313F, 0.500781238079071F, 0.5148437023162842F,
    0.5289062261581421F, 0.54296875F, 0.5570312738418579F, 0.5710937976837158F,
    0.585156261920929F, 0.5992187261581421F, 0.61328125F, 0.6273437738418579F,
    0.6414062976837158F, 0.655468761920929F, 0.6695312261581421F, 0.68359375F,
    0.6976562738418579F, 0.7117187976837158F, 0.725781261920929F,
    0.7398437261581421F, 0.75390625F, 0.7679687738418579F, 0.782031238079071F,
    0.796093761920929F, 0.8101562261581421F, 0.82421875F, 0.8382812738418579F,
    0.852343738079071F, 0.866406261920929F, 0.8804687261581421F, 0.89453125F,
    0.9085937738418579F, 0.922656238079071F, 0.936718761920929F,
    0.9507812261581421F, 0.96484375F, 0.9789062738418579F, 0.992968738079071F
};
/* clang-format on */

enum { BLOCK = 64, NESTED_BLOCK = 256 }; /* bitsandbytes' defaults */

/* How a four-bit form is written. */
typedef struct four_facts {
    const char *name; /* in JSON and in the state's name */
    const char *suffix;
    const float *map;
    bool is_double;
} four_facts;

/* What its parts share. */
typedef struct four_state {
    float map[DFX_BNB_CODES];
    float bounds[DFX_BNB_CODES - 1]; /* between numbers in their order */
    uint8_t order[DFX_BNB_CODES];    /* codes in that order */
    float offset;                    /* of scales, with double quantization */
    float nested[DFX_BNB_NESTED];
    float nested_bounds[DFX_BNB_NESTED - 1];
} four_state;

/* The first of equal numbers stays first. */
static void
sort_codes(four_state *s)
{
    for (uint8_t i = 0; i < DFX_BNB_CODES; i++) {
        size_t at = i;

        for (; at > 0 && s->map[s->order[at - 1]] > s->map[i]; at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = i;
    }
    for (size_t i = 0; i + 1 < DFX_BNB_CODES; i++)
        s->bounds[i] = (s->map[s->order[i]] + s->map[s->order[i + 1]]) / 2;
}

static void
make_nested(four_state *s)
{
    for (size_t i = 0; i < DFX_BNB_NESTED / 2 - 1; i++) {
        s->nested[DFX_BNB_NESTED / 2 + i] = dynamic[i];
        s->nested[DFX_BNB_NESTED / 2 - 2 - i] = -dynamic[i];
    }
    s->nested[DFX_BNB_NESTED / 2 - 1] = 0;
    s->nested[DFX_BNB_NESTED - 1] = 1;
    for (size_t i = 0; i + 1 < DFX_BNB_NESTED; i++)
        s->nested_bounds[i] = (s->nested[i] + s->nested[i + 1]) / 2;
}

/* How many bounds are below x: a tie goes down. */
static size_t
below(const float *bounds, size_t count, float x)
{
    size_t low = 0;

    while (count > 0) {
        size_t half = count / 2;

        if (bounds[low + half] < x) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static uint64_t
block_size(const dfx_expr *x, uint64_t block)
{
    uint64_t left = x->elements - block * BLOCK;

    return left < BLOCK ? left : BLOCK;
}

/* The scale of a block, and its numbers. The last one, if it is short, is never
   zero: so the library does it. */
static dfx_status
read_block(const dfx_expr *x, uint64_t block, float numbers[BLOCK],
           float *absmax, dfx_error *err)
{
    size_t n = (size_t)block_size(x, block);

    DFX_TRY(dfx_source_numbers(x, block * BLOCK, n, numbers, err));
    *absmax = 0;
    for (size_t i = 0; i < n; i++)
        *absmax = fmaxf(*absmax, fabsf(numbers[i]));
    if (n < BLOCK)
        *absmax = fmaxf(*absmax, 1e-38F);
    return DFX_OK;
}

static dfx_status
pull_four_codes(const dfx_expr *x, const void *state, uint64_t first,
                uint64_t count, void *out, dfx_error *err)
{
    const four_state *s = state;
    uint8_t *p = out, zero = s->order[below(s->bounds, DFX_BNB_CODES - 1, 0)];
    uint64_t known = UINT64_MAX;
    float numbers[BLOCK], absmax = 0;

    for (uint64_t byte = first; byte < first + count; byte++, p++) {
        uint8_t codes[2] = {zero, zero};

        for (uint64_t k = 0; k < 2 && 2 * byte + k < x->elements; k++) {
            uint64_t at = 2 * byte + k, block = at / BLOCK;
            float v;

            if (block != known)
                DFX_TRY(read_block(x, block, numbers, &absmax, err));
            known = block;
            v = numbers[at % BLOCK];
            v = block_size(x, block) < BLOCK ? v / absmax
                                             : v * (1 / fmaxf(absmax, 1e-38F));
            v = fminf(fmaxf(v, -1), 1);
            codes[k] = s->order[below(s->bounds, DFX_BNB_CODES - 1, v)];
        }
        *p = (uint8_t)(codes[0] << 4 | codes[1]);
    }
    return DFX_OK;
}

static dfx_status
pull_absmax(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    float numbers[BLOCK], absmax;
    char *p = out;

    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        DFX_TRY(read_block(x, first + i, numbers, &absmax, err));
        memcpy(p + i * sizeof absmax, &absmax, sizeof absmax);
    }
    return DFX_OK;
}

/* The scale of the scales from block on: NESTED_BLOCK of them, less at the
   end. */
static dfx_status
nested_scale(const dfx_expr *x, const four_state *s, uint64_t block,
             float *scale, dfx_error *err)
{
    uint64_t blocks = dfx_bnb_parts(x->elements, BLOCK);
    float numbers[BLOCK], absmax;

    *scale = 0;
    for (uint64_t i = block; i < block + NESTED_BLOCK && i < blocks; i++) {
        DFX_TRY(read_block(x, i, numbers, &absmax, err));
        *scale = fmaxf(*scale, fabsf(absmax - s->offset));
    }
    return DFX_OK;
}

static dfx_status
pull_nested(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    char *p = out;
    float scale;

    for (uint64_t i = 0; i < count; i++) {
        DFX_TRY(
            nested_scale(x, state, (first + i) * NESTED_BLOCK, &scale, err));
        memcpy(p + i * sizeof scale, &scale, sizeof scale);
    }
    return DFX_OK;
}

static dfx_status
pull_scale_codes(const dfx_expr *x, const void *state, uint64_t first,
                 uint64_t count, void *out, dfx_error *err)
{
    const four_state *s = state;
    uint64_t known = UINT64_MAX;
    float numbers[BLOCK], absmax, scale = 0;
    uint8_t *p = out;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = (first + i) / NESTED_BLOCK;

        if (at != known)
            DFX_TRY(nested_scale(x, s, at * NESTED_BLOCK, &scale, err));
        known = at;
        DFX_TRY(read_block(x, first + i, numbers, &absmax, err));
        /* Where all scales are the same the library stores 0. */
        p[i] = scale > 0 ? (uint8_t)below(s->nested_bounds, DFX_BNB_NESTED - 1,
                                          (absmax - s->offset) / scale)
                         : 0;
    }
    return DFX_OK;
}

/* The mean of the scales, which stands in the text: a pass over the weight. */
static dfx_status
find_offset(const dfx_expr *x, four_state *s, dfx_error *err)
{
    uint64_t blocks = dfx_bnb_parts(x->elements, BLOCK);
    float numbers[BLOCK], absmax;
    double sum = 0;

    for (uint64_t i = 0; i < blocks; i++) {
        DFX_TRY(read_block(x, i, numbers, &absmax, err));
        sum += (double)absmax;
    }
    s->offset = (float)(sum / (double)blocks);
    return DFX_OK;
}

/* As Python's json.dumps prints it. */
static dfx_status
print_state(dfx_arena *arena, const four_facts *f, const four_state *s,
            const dfx_expr *x, const char **out, dfx_error *err)
{
    cJSON *offset = dfx_doc_new_number((double)s->offset);
    size_t size;
    const char *type = dfx_type_torch_name(x->type, &size);
    dfx_text text = {0};

    dfx_text_printf(&text,
                    "{\"quant_type\": \"%s\", \"blocksize\": %d, \"dtype\": "
                    "\"%.*s\", \"shape\": [",
                    f->name, BLOCK, (int)size, type);
    for (uint32_t i = 0; i < x->rank; i++)
        dfx_text_printf(&text, "%s%" PRIu64, i > 0 ? ", " : "", x->shape[i]);
    dfx_text_puts(&text, "]");
    if (f->is_double && offset != NULL)
        dfx_text_printf(&text,
                        ", \"nested_blocksize\": %d, \"nested_dtype\": "
                        "\"float32\", \"nested_offset\": %s",
                        NESTED_BLOCK, offset->valuestring);
    dfx_text_puts(&text, "}");
    *out = text.failed || offset == NULL ? NULL
                                         : dfx_arena_strdup(arena, text.data);
    cJSON_Delete(offset);
    dfx_text_fini(&text);
    return *out == NULL ? dfx_fail_nomem(err) : DFX_OK;
}

static dfx_status
push_part(dfx_part_list *parts, dfx_arena *arena, const dfx_expr *x,
          const char *suffix, dfx_type type, uint64_t rows, bool is_column,
          dfx_encode_part_fn *pull, const four_state *s, dfx_error *err)
{
    const uint64_t shape[2] = {rows, 1};
    const dfx_expr *made = NULL;

    DFX_TRY(dfx_expr_part(arena, x, type, is_column ? 2 : 1, shape, pull, s,
                          &made, err));
    return dfx_parts_push(parts, suffix, made, err);
}

/* Floats in memory. */
static dfx_status
push_table(dfx_part_list *parts, dfx_arena *arena, const char *suffix,
           const float *table, uint64_t count, dfx_error *err)
{
    const dfx_expr *x = NULL;

    DFX_TRY(dfx_expr_floats(arena, table, count, &x, err));
    return dfx_parts_push(parts, suffix, x, err);
}

static dfx_status
make_four(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
          dfx_part_list *parts, dfx_error *err)
{
    const four_facts *f = encoding->facts;
    uint64_t blocks = dfx_bnb_parts(x->elements, BLOCK);
    four_state *s = dfx_arena_alloc(arena, sizeof *s);
    const char *text = NULL;

    if (s == NULL)
        return dfx_fail_nomem(err);
    memcpy(s->map, f->map, sizeof s->map);
    sort_codes(s);
    if (f->is_double) {
        make_nested(s);
        DFX_TRY(find_offset(x, s, err));
    }
    DFX_TRY(print_state(arena, f, s, x, &text, err));
    DFX_TRY(push_part(parts, arena, x, ".weight", DFX_TYPE_U8,
                      dfx_bnb_parts(x->elements, 2), true, pull_four_codes, s,
                      err));
    DFX_TRY(push_part(parts, arena, x, ".weight.absmax",
                      f->is_double ? DFX_TYPE_U8 : DFX_TYPE_F32, blocks, false,
                      f->is_double ? pull_scale_codes : pull_absmax, s, err));
    DFX_TRY(push_table(parts, arena, ".weight.quant_map", s->map, DFX_BNB_CODES,
                       err));
    if (f->is_double) {
        DFX_TRY(push_part(parts, arena, x, ".weight.nested_absmax",
                          DFX_TYPE_F32, dfx_bnb_parts(blocks, NESTED_BLOCK),
                          false, pull_nested, s, err));
        DFX_TRY(push_table(parts, arena, ".weight.nested_quant_map", s->nested,
                           DFX_BNB_NESTED, err));
    }
    return dfx_parts_push_text(parts, arena, f->suffix, text, err);
}

static float
scale_eight(dfx_type source, float max)
{
    (void)source;
    return max;
}

/* torch makes 127/t of (1/t)*127; a row of zeros has no scale. */
static float
code_eight(dfx_type source, float x, float scale)
{
    (void)source;
    return scale > 0 ? rintf(x * ((1 / scale) * 127)) : 0;
}

static dfx_status
make_eight(const dfx_encoding *encoding, dfx_arena *arena, const dfx_expr *x,
           dfx_part_list *parts, dfx_error *err)
{
    static const dfx_scaling how = {
        .codes = DFX_TYPE_I8,
        .rounds = DFX_TYPE_F16, /* the library goes through it */
        .scale = scale_eight,
        .code = code_eight,
    };
    const dfx_expr *codes = NULL, *scales = NULL, *format = NULL;

    (void)encoding;
    DFX_TRY(dfx_encode_scaled(arena, &how, x, DFX_TYPE_F32, 1, &codes, &scales,
                              err));
    DFX_TRY(dfx_expr_const(arena, DFX_TYPE_U8, 0, NULL, 0, &format, err));
    DFX_TRY(dfx_parts_push(parts, ".weight", codes, err));
    DFX_TRY(dfx_parts_push(parts, ".SCB", scales, err));
    return dfx_parts_push(parts, ".weight_format", format, err);
}

static cJSON *
config(const dfx_encoding *encoding, const dfx_bundle_component *component)
{
    const four_facts *f = encoding->facts;
    bool is_four = f != NULL;
    size_t size;
    const char *type = dfx_type_torch_name(component->plain_type, &size);
    cJSON *o = cJSON_CreateObject();
    char name[32];

    snprintf(name, sizeof name, "%.*s", (int)size, type);
    cJSON_AddBoolToObject(o, "_load_in_4bit", is_four);
    cJSON_AddBoolToObject(o, "_load_in_8bit", !is_four);
    cJSON_AddStringToObject(o, "bnb_4bit_compute_dtype",
                            is_four ? name : "float32");
    cJSON_AddStringToObject(o, "bnb_4bit_quant_storage", "uint8");
    cJSON_AddStringToObject(o, "bnb_4bit_quant_type",
                            is_four ? f->name : "fp4");
    cJSON_AddBoolToObject(o, "bnb_4bit_use_double_quant",
                          is_four && f->is_double);
    cJSON_AddBoolToObject(o, "llm_int8_enable_fp32_cpu_offload", false);
    cJSON_AddBoolToObject(o, "llm_int8_has_fp16_weight", false);
    cJSON_AddItemToObject(o, "llm_int8_skip_modules",
                          dfx_plain_layers(component));
    dfx_doc_set(o, "llm_int8_threshold", dfx_doc_new_number(6));
    cJSON_AddBoolToObject(o, "load_in_4bit", is_four);
    cJSON_AddBoolToObject(o, "load_in_8bit", !is_four);
    cJSON_AddStringToObject(o, "quant_method", "bitsandbytes");
    return o;
}

#define STATE(name) ".weight.quant_state.bitsandbytes__" name
static const four_facts nf4 = {"nf4", STATE("nf4"), nf4_map, false};
static const four_facts nf4_double = {"nf4", STATE("nf4"), nf4_map, true};
static const four_facts fp4 = {"fp4", STATE("fp4"), fp4_map, false};
static const four_facts fp4_double = {"fp4", STATE("fp4"), fp4_map, true};

const dfx_encoding dfx_bitsandbytes_encodings[] = {
    {"nf4", 4.5, false, true, 1, &nf4, make_four, config, NULL},
    {"nf4-dq", 4.127, false, true, 1, &nf4_double, make_four, config, NULL},
    {"fp4", 4.5, false, true, 1, &fp4, make_four, config, NULL},
    {"fp4-dq", 4.127, false, true, 1, &fp4_double, make_four, config, NULL},
    {"bnb-int8", 8, false, true, 1, NULL, make_eight, config, NULL},
    {NULL, 0, false, false, 0, NULL, NULL, NULL, NULL},
};
