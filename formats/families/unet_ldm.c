/*
 * unet_ldm.c - UNets of LDM and sgm code: SD1, SD2, SDXL, the SDXL refiner
 *
 * Original names: ldm/modules/diffusionmodules/openaimodel.py; Diffusers names:
 * UNet2DConditionModel of diffusers 0.42.1. No tensor changes on the way. Not
 * convertible and not taken for one: video UNets and motion modules.
 *
 * Facts, all from names and shapes:
 *   N          levels
 *   L[b]       resnets in down block b; L alone is the first level's
 *   in, out    channels of the latent in and out
 *   mc         channels of the first convolution
 *   C[b]       channels of level b
 *   ctx        columns of attn2.to_k: width of the text; 0: no such attention
 *   lin        1 if proj_in is linear, 0 if it is a 1x1 convolution
 *   adm        columns of label_emb.0.0: added vector; 0: none
 *   text_time  1 if that vector is SDXL's: pooled text and sizes
 *   classes    rows of label_emb.weight: class labels; 0: none
 *   AD[b]      1 if down block b has attentions
 *   AU[b]      the same for up block b, counted as Diffusers does: deepest
 * first TD[b,r]    transformer blocks of attention r in down block b TU[b,r]
 * the same for up block b MID        resnets in the middle: 0, 1 or 2 MA 1 if
 * the middle has an attention TM         its transformer blocks cond columns of
 * time_embedding.cond_proj (LCM); 0: none xonly[b]   1 if self-attention of
 * down block b sees the text alone SD[b,r], SU[b,r]   1 if that resnet changes
 * the number of channels LU[b]      resnets in up block b I[b], O[b] number of
 * the first input or output block of a level
 */
#include <config.h>

#include "unet_ldm.h"

#include <stdio.h>

#include "fields.h"

/* More than any model has; what is beyond shows as unexpected names. */
enum { LEVELS_MAX = 16, FRONT_CHARS = 96 };

/* ---- Rows ---------------------------------------------------------------- */

/* clang-format off */

/* Diffusers name, original name. Behind a resnet. */
static const dfx_row resnet_rows[] = {
    DFX_ROW("norm1.{wb}",         "in_layers.0.{wb}"),
    DFX_ROW("conv1.{wb}",         "in_layers.2.{wb}"),
    DFX_ROW("time_emb_proj.{wb}", "emb_layers.1.{wb}"),
    DFX_ROW("norm2.{wb}",         "out_layers.0.{wb}"),
    DFX_ROW("conv2.{wb}",         "out_layers.3.{wb}"),
    {0},
};

static const dfx_row block_rows[] = {
    DFX_ROW("norm{1|2|3}.{wb}",                    "norm{1|2|3}.{wb}"),
    DFX_ROW("attn1.to_{q|k|v}.weight",             "attn1.to_{q|k|v}.weight"),
    DFX_ROW("attn1.to_out.0.{wb}",                 "attn1.to_out.0.{wb}"),
    DFX_ROW("attn2.to_{q|k|v}.weight",             "attn2.to_{q|k|v}.weight"),
    DFX_ROW("attn2.to_out.0.{wb}",                 "attn2.to_out.0.{wb}"),
    DFX_ROW("ff.net.{0.proj|2}.{wb}",              "ff.net.{0.proj|2}.{wb}"),
    {0},
};

/* Behind an attention; its transformer blocks are rows of their own. */
static const dfx_row attention_rows[] = {
    DFX_ROW("norm.{wb}",     "norm.{wb}"),
    DFX_ROW("proj_in.{wb}",  "proj_in.{wb}"),
    DFX_ROW("proj_out.{wb}", "proj_out.{wb}"),
    {0},
};

const dfx_row dfx_unet_encoder_rows[] = {
    DFX_ROW("conv_in.{wb}",                          "input_blocks.0.0.{wb}"),
    DFX_ROW("time_embedding.linear_{1|2}.{wb}",      "time_embed.{0|2}.{wb}"),
    /* LCM: the original code has no such layer; the name stays. */
    DFX_ROW("time_embedding.cond_proj.weight",       "time_embedding.cond_proj.weight", .when = "cond"),
    DFX_ROW("add_embedding.linear_{1|2}.{wb}",       "label_emb.0.{0|2}.{wb}", .when = "adm && text_time"),
    DFX_ROW("class_embedding.linear_{1|2}.{wb}",     "label_emb.0.{0|2}.{wb}", .when = "adm && !text_time"),
    DFX_ROW("class_embedding.weight",                "label_emb.weight", .when = "classes"),

    DFX_ROW("down_blocks.{b}.resnets.{r}.",          "input_blocks.{I[b]+r}.0.", .loops = "b<N, r<L[b]", .rows = resnet_rows),
    DFX_ROW("down_blocks.{b}.resnets.{r}.conv_shortcut.{wb}", "input_blocks.{I[b]+r}.0.skip_connection.{wb}", .loops = "b<N, r<L[b]", .when = "SD[b,r]"),
    DFX_ROW("down_blocks.{b}.attentions.{r}.",       "input_blocks.{I[b]+r}.1.", .loops = "b<N, r<L[b]", .when = "AD[b]", .rows = attention_rows),
    DFX_ROW("down_blocks.{b}.attentions.{r}.transformer_blocks.{t}.", "input_blocks.{I[b]+r}.1.transformer_blocks.{t}.", .loops = "b<N, r<L[b], t<TD[b,r]", .when = "AD[b]", .rows = block_rows),
    DFX_ROW("down_blocks.{b}.downsamplers.0.conv.{wb}", "input_blocks.{I[b]+L[b]}.0.op.{wb}", .loops = "b<N-1"),

    DFX_ROW("mid_block.resnets.{r}.",                "middle_block.{(1+MA)*r}.", .loops = "r<MID", .rows = resnet_rows),
    DFX_ROW("mid_block.attentions.0.",               "middle_block.1.", .when = "MA", .rows = attention_rows),
    DFX_ROW("mid_block.attentions.0.transformer_blocks.{t}.", "middle_block.1.transformer_blocks.{t}.", .loops = "t<TM", .when = "MA", .rows = block_rows),
    {0},
};

static const dfx_row unet_rows[] = {
    DFX_ROW("", "", .rows = dfx_unet_encoder_rows),
    DFX_ROW("up_blocks.{b}.resnets.{r}.",            "output_blocks.{O[b]+r}.0.", .loops = "b<N, r<LU[b]", .rows = resnet_rows),
    DFX_ROW("up_blocks.{b}.resnets.{r}.conv_shortcut.{wb}", "output_blocks.{O[b]+r}.0.skip_connection.{wb}", .loops = "b<N, r<LU[b]", .when = "SU[b,r]"),
    DFX_ROW("up_blocks.{b}.attentions.{r}.",         "output_blocks.{O[b]+r}.1.", .loops = "b<N, r<LU[b]", .when = "AU[b]", .rows = attention_rows),
    DFX_ROW("up_blocks.{b}.attentions.{r}.transformer_blocks.{t}.", "output_blocks.{O[b]+r}.1.transformer_blocks.{t}.", .loops = "b<N, r<LU[b], t<TU[b,r]", .when = "AU[b]", .rows = block_rows),
    /* Behind the attention of the block's last resnet, if there is one. */
    DFX_ROW("up_blocks.{b}.upsamplers.0.conv.{wb}",  "output_blocks.{O[b]+LU[b]-1}.{1+AU[b]}.conv.{wb}", .loops = "b<N-1"),
    DFX_ROW("conv_norm_out.{wb}",                    "out.0.{wb}"),
    DFX_ROW("conv_out.{wb}",                         "out.2.{wb}"),
    {0},
};

/* clang-format on */

/* ---- Facts --------------------------------------------------------------- */

/* Facts being set, so that a list of them reads as one; the first failure
   stays. */
typedef struct deriving {
    const dfx_view *view;
    dfx_facts *facts;
    dfx_status status;
    dfx_error *err;
} deriving;

static void
set_at(deriving *d, const char *name, int64_t i, int64_t j, int64_t value)
{
    if (d->status == DFX_OK)
        d->status = dfx_facts_set(d->facts, name, i, j, value, d->err);
}

static void
set(deriving *d, const char *name, int64_t value)
{
    set_at(d, name, 0, 0, value);
}

static int64_t
get(const deriving *d, const char *name, int64_t i)
{
    return dfx_facts_get(d->facts, name, i, 0);
}

/* The levels of the way down: where each begins tells where the next one
   does. */
static void
derive_levels(deriving *d)
{
    int64_t next = 1, b = 0;
    bool more = true;

    while (more && b < LEVELS_MAX) {
        char front[FRONT_CHARS];
        int64_t resnets;

        set_at(d, "I", b, 0, next);
        snprintf(front, sizeof front, "down_blocks.%d.resnets.", (int)b);
        resnets = dfx_view_count(d->view, front, ".conv1.weight");
        set_at(d, "L", b, 0, resnets);
        set_at(d, "C", b, 0,
               dfx_view_dim(d->view, 0, "%s0.conv1.weight", front));
        more = dfx_view_folder(d->view,
                               "down_blocks.%d.downsamplers.0.conv.weight",
                               (int)b) != NULL;
        next += resnets + 1;
        b++;
    }
    set(d, "N", b);
}

/* The resnets and attentions of a block on the way down or up. */
static void
derive_block(deriving *d, const char *block, int64_t b, int64_t resnets,
             const char *const names[3])
{
    bool attends = dfx_view_folder(d->view, "%s.%d.attentions.0.norm.weight",
                                   block, (int)b) != NULL;

    set_at(d, names[0], b, 0, attends);
    for (int64_t r = 0; r < resnets; r++) {
        char front[FRONT_CHARS];
        int64_t to, from;

        snprintf(front, sizeof front, "%s.%d.resnets.%d.conv1.weight", block,
                 (int)b, (int)r);
        to = dfx_view_dim(d->view, 0, "%s", front);
        from = dfx_view_dim(d->view, 1, "%s", front);
        set_at(d, names[2], b, r, to != from);
        if (!attends)
            continue;
        snprintf(front, sizeof front, "%s.%d.attentions.%d.transformer_blocks.",
                 block, (int)b, (int)r);
        set_at(d, names[1], b, r,
               dfx_view_count(d->view, front, ".norm1.weight"));
    }
}

static void
derive_middle(deriving *d)
{
    /* First: the original counts the attention between the resnets. */
    set(d, "MA",
        dfx_view_folder(d->view, "mid_block.attentions.0.norm.weight") != NULL);
    set(d, "MID",
        dfx_view_count(d->view, "mid_block.resnets.", ".conv1.weight"));
    set(d, "TM",
        dfx_view_count(d->view, "mid_block.attentions.0.transformer_blocks.",
                       ".norm1.weight"));
}

/* What the attentions say: each asks the first of them that can tell. */
static void
derive_attention(deriving *d)
{
    int64_t ctx = 0, levels = get(d, "N", 0);
    const dfx_tensor *proj = NULL;

    for (int64_t b = 0; b < levels; b++) {
        int n = (int)b;

        if (proj == NULL)
            proj = dfx_view_folder(
                d->view, "down_blocks.%d.attentions.0.proj_in.weight", n);
        if (ctx == 0)
            ctx = dfx_view_dim(d->view, 1,
                               "down_blocks.%d.attentions.0.transformer_blocks."
                               "0.attn2.to_k.weight",
                               n);
    }
    if (proj == NULL)
        proj =
            dfx_view_folder(d->view, "mid_block.attentions.0.proj_in.weight");
    if (ctx == 0)
        ctx = dfx_view_dim(d->view, 1,
                           "mid_block.attentions.0.transformer_blocks.0.attn2."
                           "to_k.weight");
    set(d, "ctx", ctx);
    set(d, "lin", proj != NULL && proj->rank == 2);
    /* Where the text is as wide as the level nothing tells; not so in x4's
       last level. */
    for (int64_t b = 0; b < levels; b++)
        set_at(d, "xonly", b, 0,
               ctx != 0 && get(d, "C", b) != ctx &&
                   dfx_view_dim(d->view, 1,
                                "down_blocks.%d.attentions.0."
                                "transformer_blocks.0.attn1.to_k.weight",
                                (int)b) == ctx);
}

/* In the original both vectors have one name: the width of the text tells. */
static void
derive_embeddings(deriving *d)
{
    bool original = d->view->signature->layout == DFX_LAYOUT_ORIGINAL;
    int64_t ctx = get(d, "ctx", 0);
    int64_t text_time =
        dfx_view_dim(d->view, 1, "add_embedding.linear_1.weight");
    int64_t other = dfx_view_dim(d->view, 1, "class_embedding.linear_1.weight");

    set(d, "adm", text_time != 0 ? text_time : other);
    set(d, "text_time", original ? ctx == 2048 || ctx == 1280 : text_time != 0);
    set(d, "classes", dfx_view_dim(d->view, 0, "class_embedding.weight"));
    set(d, "cond", dfx_view_dim(d->view, 1, "time_embedding.cond_proj.weight"));
}

dfx_status
dfx_unet_derive_encoder(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    static const char *const down[3] = {"AD", "TD", "SD"};
    deriving d = {.view = view, .facts = facts, .err = err};

    set(&d, "mc", dfx_view_dim(view, 0, "conv_in.weight"));
    set(&d, "in", dfx_view_dim(view, 1, "conv_in.weight"));
    derive_levels(&d);
    for (int64_t b = 0; b < get(&d, "N", 0); b++)
        derive_block(&d, "down_blocks", b, get(&d, "L", b), down);
    derive_middle(&d);
    derive_attention(&d);
    derive_embeddings(&d);
    return d.status;
}

static dfx_status
unet_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    static const char *const up[3] = {"AU", "TU", "SU"};
    deriving d = {.view = view, .facts = facts, .err = err};
    int64_t levels, next = 0;

    DFX_TRY(dfx_unet_derive_encoder(view, facts, err));
    set(&d, "out", dfx_view_dim(view, 0, "conv_out.weight"));
    levels = get(&d, "N", 0);
    for (int64_t b = 0; b < levels; b++) {
        int64_t resnets = get(&d, "L", levels - 1 - b) + 1;

        set_at(&d, "O", b, 0, next);
        set_at(&d, "LU", b, 0, resnets);
        derive_block(&d, "up_blocks", b, resnets, up);
        next += resnets;
    }
    return d.status;
}

/* ---- Config -------------------------------------------------------------- */

static int64_t
fact(const dfx_fields *f, const char *name, int64_t i, int64_t j)
{
    return dfx_facts_get(f->facts, name, i, j);
}

/* Adds item to list; deletes both and returns NULL if that cannot be. */
static cJSON *
append(cJSON *list, cJSON *item)
{
    if (list != NULL && item != NULL && cJSON_AddItemToArray(list, item))
        return list;
    cJSON_Delete(item);
    cJSON_Delete(list);
    return NULL;
}

/* fact[0], fact[1], ... as one number if they are equal. */
static cJSON *
number_or_list(const dfx_fields *f, const char *name, int64_t count)
{
    cJSON *list;
    bool equal = true;

    for (int64_t b = 1; b < count; b++)
        equal = equal && fact(f, name, b, 0) == fact(f, name, 0, 0);
    if (equal)
        return dfx_doc_new_int(fact(f, name, 0, 0));
    list = cJSON_CreateArray();
    for (int64_t b = 0; b < count && list != NULL; b++)
        list = append(list, dfx_doc_new_int(fact(f, name, b, 0)));
    return list;
}

static cJSON *
block_types(const dfx_fields *f, const char *attends, const char *with,
            const char *without)
{
    cJSON *list = cJSON_CreateArray();

    for (int64_t b = 0; b < fact(f, "N", 0, 0) && list != NULL; b++)
        list = append(
            list, cJSON_CreateString(fact(f, attends, b, 0) ? with : without));
    return list;
}

static const char *
middle_type(const dfx_fields *f)
{
    if (fact(f, "MID", 0, 0) == 0)
        return NULL;
    return fact(f, "MA", 0, 0) ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D";
}

/* ---- Config: transformer blocks ------------------------------------------ */

/* Number r of the field's value for level b: the field is a number, or a list
   of numbers or lists. */
static int64_t
depth_in(const cJSON *field, int64_t b, int64_t r)
{
    int64_t value = -1;

    if (cJSON_IsArray(field))
        field = cJSON_GetArrayItem(field, (int)b);
    if (cJSON_IsArray(field))
        field = cJSON_GetArrayItem(field, (int)r);
    return field != NULL && dfx_doc_int(field, &value) ? value : -1;
}

/*
 * Whether the two fields mean what the facts say, read as UNet2DConditionModel
 * reads them: up is down reversed unless reverse says otherwise. One depth has
 * many spellings, and the published one stays.
 */
static bool
depths_fit(const dfx_fields *f, const cJSON *down, const cJSON *up)
{
    int64_t levels = fact(f, "N", 0, 0);
    bool reversed = up == NULL || cJSON_IsNull(up);

    if (cJSON_IsArray(down) && cJSON_GetArraySize(down) != levels)
        return false;
    for (int64_t b = 0; b < levels; b++) {
        for (int64_t r = 0; r < fact(f, "L", b, 0); r++)
            if (fact(f, "AD", b, 0) &&
                depth_in(down, b, r) != fact(f, "TD", b, r))
                return false;
        for (int64_t r = 0; r < fact(f, "LU", b, 0); r++)
            if (fact(f, "AU", b, 0) &&
                fact(f, "TU", b, r) != (reversed
                                            ? depth_in(down, levels - 1 - b, 0)
                                            : depth_in(up, b, r)))
                return false;
    }
    return !fact(f, "MA", 0, 0) ||
           depth_in(down, levels - 1, 0) == fact(f, "TM", 0, 0);
}

/*
 * What a level's depth is worth: -1 if it has no attention, so that nothing
 * reads it. The middle reads that of the last level.
 */
static int64_t
level_depth(const dfx_fields *f, int64_t b)
{
    int64_t levels = fact(f, "N", 0, 0);

    if (fact(f, "AD", b, 0))
        return fact(f, "TD", b, 0);
    if (fact(f, "AU", levels - 1 - b, 0))
        return fact(f, "TU", levels - 1 - b, 0);
    if (b == levels - 1 && fact(f, "MA", 0, 0))
        return fact(f, "TM", 0, 0);
    return -1;
}

/* One depth a level: a number if all that are read are equal. */
static cJSON *
plain_depths(const dfx_fields *f)
{
    int64_t levels = fact(f, "N", 0, 0), first = -1, filler = 1;
    bool equal = true;
    cJSON *list;

    for (int64_t b = 0; b < levels; b++) {
        int64_t depth = level_depth(f, b);

        if (first == -1)
            first = depth;
        if (depth != -1 && depth != first)
            equal = false;
        if (depth == 0)
            filler = 0; /* as the small ControlNets of SDXL spell it */
    }
    if (equal)
        return dfx_doc_new_int(first == -1 ? 1 : first);
    list = cJSON_CreateArray();
    for (int64_t b = 0; b < levels && list != NULL; b++) {
        int64_t depth = level_depth(f, b);

        list = append(list, dfx_doc_new_int(depth == -1 ? filler : depth));
    }
    return list;
}

/* A depth an attention: a list of lists, 1 for levels without attention. */
static cJSON *
nested_depths(const dfx_fields *f, const char *attends, const char *depth,
              const char *resnets)
{
    cJSON *list = cJSON_CreateArray();

    for (int64_t b = 0; b < fact(f, "N", 0, 0) && list != NULL; b++) {
        cJSON *item;

        if (!fact(f, attends, b, 0)) {
            list = append(list, dfx_doc_new_int(1));
            continue;
        }
        item = cJSON_CreateArray();
        for (int64_t r = 0; r < fact(f, resnets, b, 0) && item != NULL; r++)
            item = append(item, dfx_doc_new_int(fact(f, depth, b, r)));
        list = append(list, item);
    }
    return list;
}

static void
write_depths(dfx_fields *f)
{
    static const char down_key[] = "transformer_layers_per_block";
    static const char up_key[] = "reverse_transformer_layers_per_block";
    const cJSON *own = dfx_doc_get(f->config, down_key);
    cJSON *down;

    if (own != NULL && depths_fit(f, own, dfx_doc_get(f->config, up_key)))
        return;
    down = plain_depths(f);
    if (down == NULL || depths_fit(f, down, NULL)) {
        dfx_field_set(f, down_key, down, "1");
        if (fact(f, "LU", 0, 0) > 0)
            dfx_field_text(f, up_key, NULL, "null");
        return;
    }
    cJSON_Delete(down);
    dfx_field_set(f, down_key, nested_depths(f, "AD", "TD", "L"), "1");
    if (fact(f, "LU", 0, 0) > 0)
        dfx_field_set(f, up_key, nested_depths(f, "AU", "TU", "LU"), "null");
}

/* ---- Config: the rest ---------------------------------------------------- */

/*
 * attention_head_dim is in no shape. In models with convolutions around their
 * attentions, and in x4, it holds the number of heads, 8; in the others heads
 * are 64 wide, one at least: a scaled model's channels tell its own number.
 */
static void
write_heads(dfx_fields *f)
{
    static const char key[] = "attention_head_dim";
    int64_t levels = fact(f, "N", 0, 0);
    cJSON *list;

    if (!fact(f, "lin", 0, 0) || fact(f, "classes", 0, 0)) {
        dfx_field_set(f, key, dfx_doc_new_int(8), "8");
        return;
    }
    list = cJSON_CreateArray();
    for (int64_t b = 0; b < levels && list != NULL; b++) {
        int64_t heads = fact(f, "C", b, 0) / 64;

        list = append(list, dfx_doc_new_int(heads > 0 ? heads : 1));
    }
    dfx_field_set(f, key, list, "8");
}

/* A list if the levels differ; those without attention count as seeing the
   text alone, as x4 is published. */
static void
write_cross_only(dfx_fields *f)
{
    int64_t levels = fact(f, "N", 0, 0);
    bool any = false;
    cJSON *list;

    for (int64_t b = 0; b < levels; b++)
        any = any || fact(f, "xonly", b, 0);
    if (!any) {
        dfx_field_bool(f, "only_cross_attention", false, "false");
        return;
    }
    list = cJSON_CreateArray();
    for (int64_t b = 0; b < levels && list != NULL; b++)
        list = append(list, cJSON_CreateBool(fact(f, "xonly", b, 0) ||
                                             !fact(f, "AD", b, 0)));
    dfx_field_set(f, "only_cross_attention", list, "false");
}

static void
write_embeddings(dfx_fields *f)
{
    bool adm = fact(f, "adm", 0, 0) != 0;
    bool text_time = adm && fact(f, "text_time", 0, 0);

    dfx_field_text(f, "addition_embed_type", text_time ? "text_time" : NULL,
                   "null");
    /* What the embedding of each of the six sizes has, in SDXL's code. */
    dfx_field_set(f, "addition_time_embed_dim",
                  text_time ? dfx_doc_new_int(256) : cJSON_CreateNull(),
                  "null");
    dfx_field_text(f, "class_embed_type",
                   adm && !text_time ? "projection" : NULL, "null");
    dfx_field_int_or_null(f, "projection_class_embeddings_input_dim", "adm",
                          "null");
    dfx_field_int_or_null(f, "num_class_embeds", "classes", "null");
}

/* The defaults are those of UNet2DConditionModel and ControlNetModel in
   diffusers 0.42.1, which agree on these fields. */
static void
write_encoder(dfx_fields *f)
{
    int64_t levels = fact(f, "N", 0, 0);

    dfx_field_int(f, "in_channels", "in", "4");
    dfx_field_list(f, "block_out_channels", "C", levels, "[320,640,1280,1280]");
    dfx_field_set(f, "layers_per_block", number_or_list(f, "L", levels), "2");
    dfx_field_set(f, "down_block_types",
                  block_types(f, "AD", "CrossAttnDownBlock2D", "DownBlock2D"),
                  "[\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\","
                  "\"CrossAttnDownBlock2D\",\"DownBlock2D\"]");
    dfx_field_text(f, "mid_block_type", middle_type(f),
                   "\"UNetMidBlock2DCrossAttn\"");
    if (fact(f, "ctx", 0, 0) != 0)
        dfx_field_int(f, "cross_attention_dim", "ctx", "1280");
    write_heads(f);
    dfx_field_bool(f, "use_linear_projection", fact(f, "lin", 0, 0) != 0,
                   "false");
    write_depths(f);
    write_embeddings(f);
    write_cross_only(f);
}

dfx_status
dfx_unet_config_encoder(const dfx_facts *facts, bool complete, cJSON *config,
                        dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    write_encoder(&f);
    return f.status;
}

static dfx_status
unet_config(const dfx_facts *facts, bool complete, cJSON *config,
            dfx_error *err)
{
    dfx_fields f = {
        .config = config, .facts = facts, .complete = complete, .err = err};

    dfx_field_fill(&f, "_class_name",
                   cJSON_CreateString("UNet2DConditionModel"), "null");
    write_encoder(&f);
    dfx_field_int(&f, "out_channels", "out", "4");
    dfx_field_set(&f, "up_block_types",
                  block_types(&f, "AU", "CrossAttnUpBlock2D", "UpBlock2D"),
                  "[\"UpBlock2D\",\"CrossAttnUpBlock2D\","
                  "\"CrossAttnUpBlock2D\",\"CrossAttnUpBlock2D\"]");
    dfx_field_int_or_null(&f, "time_cond_proj_dim", "cond", "null");
    return f.status;
}

/* ---- The kind ------------------------------------------------------------ */

/* clang-format off */

/* An attention to the text has to be there: UNets without one are others'. */
static const dfx_signature signatures[] = {
    {
        .layout = DFX_LAYOUT_ORIGINAL,
        .all = {"input_blocks.0.0.weight", "time_embed.0.weight", "out.2.weight", "*.attn2.to_k.weight"},
        .none = {"input_hint_block.", "zero_convs.", "*.time_stack.", "*.time_mix_blocks.", "*.time_mixer.", "*.temporal_transformer."},
        .ranks = {{"input_blocks.0.0.weight", 4}},
    },
    {
        .layout = DFX_LAYOUT_DIFFUSERS,
        .all = {"conv_in.weight", "time_embedding.linear_1.weight", "conv_out.weight", "down_blocks.0.resnets.0.conv1.weight", "*.attn2.to_k.weight"},
        .none = {"controlnet_mid_block.", "controlnet_down_blocks.", "*motion_modules.", "*spatial_res_block.", "*temp_convs.", "*temporal_transformer_blocks."},
        .ranks = {{"conv_in.weight", 4}},
    },
};

static const dfx_variant_row variants[] = {
    {.family = "sd1", .class_name = "UNet2DConditionModel", .configs = "sd15", .config_component = "unet", .when = "ctx == 768 && !lin"},
    {.family = "sd2", .class_name = "UNet2DConditionModel", .configs = "sd21-base", .config_component = "unet", .when = "ctx == 1024 && lin"},
    {.family = "sdxl", .class_name = "UNet2DConditionModel", .configs = "sdxl-base", .config_component = "unet", .when = "ctx == 2048 && lin && adm == 2816"},
    {.family = "sdxl_refiner", .class_name = "UNet2DConditionModel", .configs = "sdxl-refiner", .config_component = "unet", .when = "ctx == 1280 && lin && adm == 2560"},
    {0},
};

/* clang-format on */

const dfx_kind dfx_kind_unet_ldm = {
    .name = "unet_ldm",
    .summary = "UNet of Stable Diffusion 1, 2, XL and the XL refiner",
    .component = "unet",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "model.diffusion_model.",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .rows = unet_rows,
    .derive = unet_derive,
    .config = unet_config,
    .untold = {"attention_head_dim"},
    .variants = variants,
};
