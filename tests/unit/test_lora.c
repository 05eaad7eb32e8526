/*
 * test_lora.c - LoRAs: what keys mean, the arithmetic, files that do not fit
 */
#include <config.h>

#include "lora.h"
#include "values.h"

#include "scratch.h"
#include "tap.h"

#include <math.h>

static dfx_error err;

/* ---- Names --------------------------------------------------------------- */

static void
test_names(void)
{
    static const struct {
        const char *name, *component, *module;
        dfx_lora_part part;
    } cases[] = {
        {"unet.mid_block.attentions.0.proj_in.lora_A.weight", "unet",
         "mid_block_attentions_0_proj_in", DFX_LORA_DOWN},
        {"unet.mid_block.attentions.0.proj_in.lora_B.default.weight", "unet",
         "mid_block_attentions_0_proj_in", DFX_LORA_UP},
        {"unet.a.attn1.processor.to_q_lora.down.weight", "unet", "a_attn1_to_q",
         DFX_LORA_DOWN},
        {"unet.a.attn1.processor.to_out_lora.up.weight", "unet",
         "a_attn1_to_out_0", DFX_LORA_UP},
        {"unet.a.ff.net.2.lora.up.weight", "unet", "a_ff_net_2", DFX_LORA_UP},
        {"text_encoder.text_model.encoder.layers.1.self_attn.to_out_lora.down."
         "weight",
         "text_encoder", "encoder_layers_1_self_attn_out_proj", DFX_LORA_DOWN},
        {"text_encoder.encoder.layers.1.mlp.fc1.lora_linear_layer.up.weight",
         "text_encoder", "encoder_layers_1_mlp_fc1", DFX_LORA_UP},
        {"lora_te_text_model_encoder_layers_0_mlp_fc2.alpha", "text_encoder",
         "encoder_layers_0_mlp_fc2", DFX_LORA_ALPHA},
        {"lora_te1_text_model_encoder_layers_0_mlp_fc2.alpha", "text_encoder",
         "encoder_layers_0_mlp_fc2", DFX_LORA_ALPHA},
        {"lora_te2_text_projection.lora_up.weight", "text_encoder_2",
         "text_projection", DFX_LORA_UP},
        {"text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc2."
         "lora_down.weight",
         "text_encoder_2", "encoder_layers_0_mlp_fc2", DFX_LORA_DOWN},
        {"lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight",
         "unet", "down_blocks_1_attentions_0_proj_in", DFX_LORA_DOWN},
        {"lora_unet_input_blocks_0_0.alpha", "unet", "conv_in", DFX_LORA_ALPHA},
        {"lora_unet_input_blocks_1_0_in_layers_2.alpha", "unet",
         "down_blocks_0_resnets_0_conv1", DFX_LORA_ALPHA},
        {"lora_unet_input_blocks_3_0_op.alpha", "unet",
         "down_blocks_0_downsamplers_0_conv", DFX_LORA_ALPHA},
        {"lora_unet_input_blocks_5_1_transformer_blocks_0_attn1_to_q.alpha",
         "unet", "down_blocks_1_attentions_1_transformer_blocks_0_attn1_to_q",
         DFX_LORA_ALPHA},
        {"lora_unet_input_blocks_8_0_skip_connection.alpha", "unet",
         "down_blocks_2_resnets_1_conv_shortcut", DFX_LORA_ALPHA},
        {"diffusion_model.middle_block.0.out_layers.3.lora_A.weight", "unet",
         "mid_block_resnets_0_conv2", DFX_LORA_DOWN},
        {"lora_unet_middle_block_1_proj_out.alpha", "unet",
         "mid_block_attentions_0_proj_out", DFX_LORA_ALPHA},
        {"lora_unet_middle_block_2_emb_layers_1.alpha", "unet",
         "mid_block_resnets_1_time_emb_proj", DFX_LORA_ALPHA},
        {"lora_unet_output_blocks_2_1_conv.alpha", "unet",
         "up_blocks_0_upsamplers_0_conv", DFX_LORA_ALPHA},
        {"lora_unet_output_blocks_5_2_conv.alpha", "unet",
         "up_blocks_1_upsamplers_0_conv", DFX_LORA_ALPHA},
        {"lora_unet_output_blocks_4_1_proj_in.alpha", "unet",
         "up_blocks_1_attentions_1_proj_in", DFX_LORA_ALPHA},
        {"lora_unet_output_blocks_8_0_in_layers_2.alpha", "unet",
         "up_blocks_2_resnets_2_conv1", DFX_LORA_ALPHA},
        {"lora_unet_out_2.alpha", "unet", "conv_out", DFX_LORA_ALPHA},
        {"lora_unet_time_embed_2.alpha", "unet", "time_embedding_linear_2",
         DFX_LORA_ALPHA},
        {"lora_unet_label_emb_0_0.alpha", "unet", "add_embedding_linear_1",
         DFX_LORA_ALPHA},
        {"conv_in.lora_A.weight", NULL, NULL, DFX_LORA_DOWN},
        {"unet.conv_in.lora_mid.weight", NULL, NULL, DFX_LORA_DOWN},
        {"unet.conv_in.lora_B.bias", NULL, NULL, DFX_LORA_DOWN},
        {"lora_unet_conv_in.hada_w1_a", NULL, NULL, DFX_LORA_DOWN},
        {"lora_unet_conv_in.dora_scale", NULL, NULL, DFX_LORA_DOWN},
        {"lora_unet_input_blocks_3_1_proj_in.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_input_blocks_x.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_input_blocks_0_0_op.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_input_blocks_99999_1_a.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_middle_block_3_proj_in.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_output_blocks_3_1_conv.alpha", NULL, NULL, DFX_LORA_UP},
        {"lora_unet_input_blocks_1_0_in_layers_3.alpha", NULL, NULL,
         DFX_LORA_UP},
        {".alpha", NULL, NULL, DFX_LORA_UP},
    };
    dfx_lora_key key;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = dfx_lora_parse(cases[i].name, &key);

        if (cases[i].component == NULL) {
            CHECK(!good, cases[i].name);
            continue;
        }
        if (!CHECK(good, cases[i].name))
            continue;
        CHECK_TEXT(key.component, cases[i].component, "  its component");
        CHECK_TEXT(key.module, cases[i].module, "  its module");
        CHECK(key.part == cases[i].part, "  its part");
    }
}

/* The end that grows, of names around the longest that there can be. */
static void
test_long_names(void)
{
    static const size_t sizes[] = {241, 242, 243, 244, 600};
    char name[700];
    dfx_lora_key key;

    for (size_t i = 0; i < 5; i++) {
        memset(name, 'x', sizeof name);
        memcpy(name, "unet.", 5);
        strcpy(name + sizes[i], "_self_attn_to_out.alpha");
        CHECK(dfx_lora_parse(name, &key) == (sizes[i] == 241), "a long name");
    }
}

/* ---- Models and files ---------------------------------------------------- */

static const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void
add(dfx_index *index, const char *name, uint32_t rank, const uint64_t *shape)
{
    dfx_claim claim = {.name = name,
                       .name_size = strlen(name),
                       .type = DFX_TYPE_F32,
                       .rank = rank,
                       .shape = shape,
                       .io = index->ios[0],
                       .size = sizeof(float)};

    for (uint32_t i = 0; i < rank; i++)
        claim.size *= shape[i];
    if (dfx_index_add(index, &claim, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
}

/* A model whose weights are all ones. */
static dfx_index *
make_model(dfx_model *model, dfx_model_component *component)
{
    dfx_index *index = NULL;
    dfx_io *io = NULL;
    uint32_t number;

    if (dfx_index_new("memory", &index, &err) != DFX_OK ||
        dfx_io_open_memory(ones, sizeof ones, "memory", &io, &err) != DFX_OK ||
        dfx_index_take_io(index, io, &err) != DFX_OK ||
        dfx_index_component(index, "unet", &number, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    add(index, "proj.weight", 2, (uint64_t[]){2, 3});
    add(index, "proj.bias", 1, (uint64_t[]){2});
    add(index, "conv_in.weight", 4, (uint64_t[]){2, 1, 2, 2});
    if (dfx_index_seal(index, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    *component = (dfx_model_component){.name = "unet"};
    dfx_weights_init(&component->weights, dfx_backend_cpu());
    if (dfx_weights_take(&component->weights, index, number, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    *model = (dfx_model){.components = component, .component_count = 1};
    return index;
}

typedef struct tensor {
    const char *name;
    uint32_t rank;
    size_t shape[4];
    const float *numbers;
} tensor;

enum { TENSORS = 4 };

static void
write_file(const char *path, const tensor tensors[TENSORS])
{
    dfx_values *values = NULL;

    if (dfx_values_new(&values, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    for (size_t i = 0; i < TENSORS && tensors[i].name != NULL; i++)
        if (dfx_values_put(values, &err, DFX_TYPE_F32, tensors[i].rank,
                           tensors[i].shape, tensors[i].numbers, "%s",
                           tensors[i].name) != DFX_OK)
            printf("Bail out! %s\n", err.text);
    if (dfx_values_write(values, path, true, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    dfx_values_free(values);
}

/* A [2, 3] and B [2, 2] of one file in peft's names, with its metadata. */
static void
write_peft(const char *path, const char *metadata)
{
    static const float numbers[10] = {1, 2, 3, 4, 5, 6, 1, 0, 0, 1};
    char text[1024];
    unsigned char bytes[1200] = {0};
    int size = snprintf(
        text, sizeof text,
        "{\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"},"
        "\"unet.proj.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],"
        "\"data_offsets\":[0,24]},"
        "\"unet.proj.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],"
        "\"data_offsets\":[24,40]}}",
        metadata);

    bytes[0] = (unsigned char)(size & 255);
    bytes[1] = (unsigned char)(size >> 8);
    memcpy(bytes + 8, text, (size_t)size);
    memcpy(bytes + 8 + size, numbers, sizeof numbers);
    scratch_write(path, bytes, 8 + (size_t)size + sizeof numbers);
}

/* The weight of that name has these numbers. */
static void
check_weight(dfx_model *model, const char *name, const float *wanted,
             size_t count, const char *what)
{
    dfx_weights *weights = &model->components[0].weights;
    dfx_weights_entry *entry = dfx_weights_find(weights, name);
    float got[16];

    if (!CHECK(dfx_weights_load(weights, entry, &err) == DFX_OK &&
                   weights->backend->read(got, entry->data,
                                          count * sizeof *got),
               what))
        return;
    CHECK(memcmp(got, wanted, count * sizeof *got) == 0, "  its numbers");
}

/* ---- Arithmetic ---------------------------------------------------------- */

static const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const float two[] = {2};
static const float half[] = {0.5f};

/* B A = [1 2; 3 4] [1 2 3; 4 5 6] = [9 12 15; 19 26 33], by 2 (2 / 2). */
static const tensor kohya[TENSORS] = {
    {"lora_unet_proj.lora_down.weight", 2, {2, 3}, numbers},
    {"lora_unet_proj.lora_up.weight", 2, {2, 2}, numbers},
    {"lora_unet_proj.alpha", 0, {0}, two},
};
/* [1; 2] [1 2 3 4], by 1. */
static const tensor conv[TENSORS] = {
    {"lora_unet_input_blocks_0_0.lora_down.weight", 4, {1, 1, 2, 2}, numbers},
    {"lora_unet_input_blocks_0_0.lora_up.weight", 4, {2, 1, 1, 1}, numbers},
};
/* [1; 2] [1 2 3], by 0.5 / 1. */
static const tensor second[TENSORS] = {
    {"unet.proj.lora.down.weight", 2, {1, 3}, numbers},
    {"unet.proj.lora.up.weight", 2, {2, 1}, numbers},
    {"unet.proj.alpha", 0, {0}, half},
};

static void
test_numbers(dfx_model *model)
{
    static const float first[] = {19, 25, 31, 39, 53, 67};
    static const float both[] = {19.25f, 25.5f, 31.75f, 39.5f, 54, 68.5f};
    static const float convolved[] = {2, 3, 4, 5, 3, 5, 7, 9};
    dfx_lora_use uses[] = {{"kohya.safetensors", 2},
                           {"conv.safetensors", 1},
                           {"b.safetensors", 0.5}};
    dfx_loras *loras = NULL;

    write_file("kohya.safetensors", kohya);
    write_file("conv.safetensors", conv);
    write_file("b.safetensors", second);
    check_weight(model, "proj.weight", ones, 6, "a weight before");
    if (!CHECK(dfx_loras_attach(model, uses, 1, &loras, &err) == DFX_OK,
               "a LoRA is attached"))
        printf("# %s: %s\n", err.tensor, err.text);
    check_weight(model, "proj.weight", first, 6, "what was read is read again");
    check_weight(model, "conv_in.weight", ones, 8, "another weight stays");
    dfx_loras_detach(loras);
    check_weight(model, "proj.weight", ones, 6, "and is as before after it");
    CHECK(dfx_loras_attach(model, uses, 3, &loras, &err) == DFX_OK,
          "three are attached");
    check_weight(model, "proj.weight", both, 6, "two of them to one weight");
    check_weight(model, "conv_in.weight", convolved, 8, "a convolution");
    check_weight(model, "proj.bias", ones, 2, "no bias changes");
    dfx_loras_detach(loras);
    CHECK(dfx_loras_attach(model, NULL, 0, &loras, &err) == DFX_OK,
          "none is fine");
    dfx_loras_detach(loras);
    dfx_loras_detach(NULL);
}

/* W + A where alpha is the rank. */
static void
test_metadata(dfx_model *model)
{
    static const struct {
        const char *metadata, *what;
        float first; /* number of the weight; 0: refused */
    } cases[] = {
        {"{}", "no alpha is the rank", 2},
        {"{\\\"unet.lora_alpha\\\": 8}", "peft's alpha", 5},
        {"{\\\"text_encoder.lora_alpha\\\": 8}", "another component's", 2},
        {"{\\\"unet.lora_alpha\\\": 8, \\\"unet.alpha_pattern\\\": {}}",
         "no pattern", 5},
        {"{\\\"unet.alpha_pattern\\\": {\\\"proj\\\": 4}}", "a pattern", 0},
        {"{\\\"unet.lora_alpha\\\": \\\"8\\\"}", "an alpha that is a text", 0},
        {"[", "metadata that is no JSON", 0},
    };
    dfx_lora_use use = {"peft.safetensors", 1};
    dfx_loras *loras = NULL;
    float wanted[6];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dfx_status status;

        write_peft("peft.safetensors", cases[i].metadata);
        status = dfx_loras_attach(model, &use, 1, &loras, &err);
        if (!CHECK((status == DFX_OK) == (cases[i].first > 0), cases[i].what))
            printf("# %s\n", err.text);
        if (status != DFX_OK)
            continue;
        for (size_t k = 0; k < 6; k++)
            wanted[k] = 1 + (float)(k + 1) * (cases[i].first - 1);
        check_weight(model, "proj.weight", wanted, 6, "  as it says");
        dfx_loras_detach(loras);
    }
    write_peft("peft.safetensors",
               "{\\\"unet.lora_alpha\\\": 8, \\\"unet.use_rslora\\\": true}");
    CHECK(dfx_loras_attach(model, &use, 1, &loras, &err) == DFX_OK, "rsLoRA");
    for (size_t k = 0; k < 6; k++)
        wanted[k] = 1 + (float)(8 / sqrt(2)) * (float)(k + 1);
    check_weight(model, "proj.weight", wanted, 6, "  is by the root");
    dfx_loras_detach(loras);
}

/* ---- Faults -------------------------------------------------------------- */

static void
test_faults(dfx_model *model)
{
    static const struct {
        const char *what, *tensor;
        double scale;
        tensor tensors[TENSORS];
    } cases[] = {
        {"a key that means nothing",
         "lora_unet_projection.alpha",
         1,
         {{"lora_unet_projection.alpha", 0, {0}, two}}},
        {"a bias as a weight",
         "unet.proj.bias.lora_A.weight",
         1,
         {{"unet.proj.bias.lora_A.weight", 2, {1, 2}, numbers}}},
        {"a component that the model does not have",
         "lora_te_proj.alpha",
         1,
         {{"lora_te_proj.alpha", 0, {0}, two}}},
        {"one matrix of two",
         "unet.proj.lora_A.weight",
         1,
         {{"unet.proj.lora_A.weight", 2, {1, 3}, numbers}}},
        {"the same twice",
         "unet.proj.lora_down.weight",
         1,
         {{"unet.proj.lora_A.weight", 2, {1, 3}, numbers},
          {"unet.proj.lora_down.weight", 2, {1, 3}, numbers}}},
        {"another rank",
         "unet.proj.lora_B.weight",
         1,
         {{"unet.proj.lora_A.weight", 2, {1, 3}, numbers},
          {"unet.proj.lora_B.weight", 2, {2, 2}, numbers}}},
        {"another width",
         "unet.proj.lora_B.weight",
         1,
         {{"unet.proj.lora_A.weight", 2, {1, 2}, numbers},
          {"unet.proj.lora_B.weight", 2, {2, 1}, numbers}}},
        {"another height",
         "unet.proj.lora_B.weight",
         1,
         {{"unet.proj.lora_A.weight", 2, {1, 3}, numbers},
          {"unet.proj.lora_B.weight", 2, {3, 1}, numbers}}},
        {"vectors",
         "unet.proj.lora_B.weight",
         1,
         {{"unet.proj.lora_A.weight", 1, {3}, numbers},
          {"unet.proj.lora_B.weight", 1, {2}, numbers}}},
        {"two alphas",
         "unet.proj.lora_B.weight",
         1,
         {{"unet.proj.alpha", 1, {2}, numbers},
          {"unet.proj.lora_A.weight", 2, {1, 3}, numbers},
          {"unet.proj.lora_B.weight", 2, {2, 1}, numbers}}},
        {"a scale that is no number",
         "unet.proj.lora_B.weight",
         1e300,
         {{"unet.proj.lora_A.weight", 2, {1, 3}, numbers},
          {"unet.proj.lora_B.weight", 2, {2, 1}, numbers}}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dfx_lora_use use = {"fault.safetensors", cases[i].scale};
        dfx_loras *loras = NULL;

        err = (dfx_error){0};
        write_file(use.path, cases[i].tensors);
        CHECK(dfx_loras_attach(model, &use, 1, &loras, &err) != DFX_OK &&
                  loras == NULL && model->components[0].weights.patch == NULL,
              cases[i].what);
        CHECK_TEXT(err.rule, "run.lora", "  breaks the rule");
        CHECK_TEXT(err.tensor, cases[i].tensor, "  at this key");
        CHECK_TEXT(err.file, use.path, "  of the file");
    }
}

int
main(void)
{
    dfx_model_component component;
    dfx_index *index;
    dfx_model model;

    scratch_enter();
    index = make_model(&model, &component);
    test_names();
    test_long_names();
    test_numbers(&model);
    test_metadata(&model);
    test_faults(&model);
    dfx_weights_fini(&component.weights);
    dfx_index_free(index);
    return tap_end();
}
