/*
 * test_nets.c - networks against the reference libraries
 *
 * tests/golden/run/README.md says what the cases are.
 */
#include <config.h>

#include "nets/clip_text.h"
#include "nets/controlnet.h"
#include "nets/unet.h"
#include "nets/vae_kl.h"
#include "nets/vae_tiled.h"
#include "nets/vae_tiny.h"

#include "document.h"
#include "golden.h"
#include "tap.h"
#include "../synth/synth.h"

#include <math.h>

/* A case that is being checked. */
typedef struct run {
    const char *name;
    cJSON *doc;       /* case.json */
    cJSON *config;    /* of the component */
    dfx_index *index; /* of the component, in a file of the scratch folder */
    dfx_weights weights;
    dfx_index *expected;
    int compared; /* outputs */
    cJSON *modules;       /* modules.json; NULL: the case has none */
    const cJSON *module;  /* of them, that is to be seen next; NULL: none */
    dfx_net net;
    dfx_error err;
} run;

static const cJSON *
argument(const run *r, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(r->doc, "arguments"), key);
}

static cJSON *
read_config(const char *path)
{
    size_t size = 0;
    unsigned char *text = golden_load(path, &size);
    cJSON *doc = NULL;
    dfx_error err;

    if (dfx_doc_parse((const char *)text, size, path, &doc, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    free(text);
    return doc;
}

/* Makes the component's weights and opens them. */
static bool
make_weights(run *r)
{
    const char *file = strstr(text_of(r->doc, "component"), "encoder") != NULL
                           ? "model"
                           : "diffusion_pytorch_model";
    char path[1200];
    synth_list list;
    bool made;

    snprintf(path, sizeof path, "%s/models/%s/%s/%s.json", golden_folder,
             text_of(r->doc, "model"), text_of(r->doc, "component"), file);
    if (!synth_read(&list, path))
        return false;
    made = synth_write(&list, SYNTH_VALUES, "weights.safetensors");
    synth_fini(&list);
    return made &&
           dfx_open("weights.safetensors", NULL, &r->index, &r->err) ==
               DFX_OK &&
           dfx_weights_take(&r->weights, r->index, 0, &r->err) == DFX_OK;
}

/* What is expected of a module, and it is what was seen. */
static bool
module_agrees(const cJSON *row, const float *got, dfx_array x)
{
    const cJSON *shape = cJSON_GetArrayItem(row, 1);
    const cJSON *first = cJSON_GetArrayItem(row, 4);
    double sum = 0, squares = 0, most = 0, limit, mean;
    bool good = cJSON_GetArraySize(shape) == (int)x.rank;

    for (uint32_t i = 0; good && i < x.rank; i++)
        good = cJSON_GetArrayItem(shape, (int)i)->valuedouble ==
               (double)x.shape[i];
    for (size_t i = 0; i < x.count; i++) {
        sum += (double)got[i];
        most = fmax(most, fabs((double)got[i]));
    }
    mean = sum / (double)x.count;
    for (size_t i = 0; i < x.count; i++)
        squares += ((double)got[i] - mean) * ((double)got[i] - mean);
    limit = 1e-4 * most;
    good = good &&
           fabs(mean - cJSON_GetArrayItem(row, 2)->valuedouble) <= limit &&
           fabs(sqrt(squares / (double)x.count) -
                cJSON_GetArrayItem(row, 3)->valuedouble) <= limit;
    for (int i = 0; good && i < cJSON_GetArraySize(first); i++)
        good = fabs((double)got[i] -
                    cJSON_GetArrayItem(first, i)->valuedouble) <= limit;
    return good;
}

/* Modules come in the order of the list, which leaves some out. Those of text
   encoders may be in a module that the reference's class has no more. */
static void
see(void *context, const char *module, dfx_net *net, dfx_array x)
{
    static const char front[] = "text_model.";
    run *r = context;
    const char *wanted;
    char what[400];
    float *got;

    if (r->module == NULL)
        return;
    wanted = text_at(r->module, 0);
    if (strcmp(wanted, module) != 0 &&
        (strncmp(module, front, sizeof front - 1) != 0 ||
         strcmp(wanted, module + sizeof front - 1) != 0))
        return;
    got = malloc(x.count * sizeof *got);
    dfx_net_output(net, x, got);
    snprintf(what, sizeof what, "%s %s", r->name, module);
    CHECK(module_agrees(r->module, got, x), what);
    free(got);
    r->module = r->module->next;
}

static void
begin_modules(run *r)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s/modules.json", golden_folder, r->name);
    if (access(path, R_OK) != 0)
        return;
    snprintf(path, sizeof path, "%s/modules.json", r->name);
    r->modules = golden_json(path);
    r->module = r->modules->child;
    r->net.seen = see;
    r->net.seen_context = r;
}

static void
end_modules(run *r)
{
    if (r->modules != NULL &&
        !CHECK(r->module == NULL, "  all of its modules were seen, in order"))
        printf("# not %s\n", text_at(r->module, 0));
    cJSON_Delete(r->modules);
}

static bool
begin(run *r, const char *name)
{
    char path[1200];

    *r = (run){.name = name};
    dfx_weights_init(&r->weights, dfx_backend_cpu());
    snprintf(path, sizeof path, "%s/case.json", name);
    r->doc = golden_json(path);
    snprintf(path, sizeof path, "models/%s/%s/config.json",
             text_of(r->doc, "model"), text_of(r->doc, "component"));
    r->config = read_config(path);
    snprintf(path, sizeof path, "%s/%s/outputs.safetensors", golden_folder,
             name);
    if (!make_weights(r) ||
        dfx_open(path, NULL, &r->expected, &r->err) != DFX_OK) {
        CHECK(false, name);
        printf("# %s\n", r->err.text);
        return false;
    }
    dfx_net_init(&r->net, &r->weights, &r->err);
    begin_modules(r);
    return true;
}

static void
end(run *r)
{
    if (!CHECK(r->net.status == DFX_OK, r->name))
        printf("# %s: %s\n", r->err.tensor, r->err.text);
    CHECK(r->compared ==
              cJSON_GetArraySize(cJSON_GetObjectItem(r->doc, "outputs")),
          "  all of its outputs were compared");
    end_modules(r);
    dfx_net_fini(&r->net);
    dfx_weights_fini(&r->weights);
    dfx_index_free(r->index);
    dfx_index_free(r->expected);
    cJSON_Delete(r->config);
    cJSON_Delete(r->doc);
}

static double
tolerance(const run *r, const char *name)
{
    const cJSON *row;

    cJSON_ArrayForEach(
        row, cJSON_GetObjectItem(
                 r->doc, "outputs")) if (strcmp(text_of(row, "name"), name) ==
                                         0) return cJSON_GetObjectItem(row,
                                                                       "atol")
        ->valuedouble;
    return -1.0;
}

/* x is the output of that name within its tolerance. */
static void
compare(run *r, const char *name, dfx_array x)
{
    const dfx_tensor *t = dfx_index_find(r->expected, 0, name);
    double most = 0.0, limit = tolerance(r, name);
    float *got, *want;
    char what[200];

    if (t == NULL || r->net.status != DFX_OK)
        return;
    r->compared++;
    snprintf(what, sizeof what, "%s %s", r->name, name);
    if (!CHECK(t->data.size == x.count * sizeof *want && x.count > 0, what))
        return;
    got = malloc(x.count * sizeof *got);
    want = malloc(x.count * sizeof *want);
    dfx_net_output(&r->net, x, got);
    CHECK(dfx_extent_read(&t->data, 0, want, x.count * sizeof *want, &r->err) ==
              DFX_OK,
          "  of the size that was expected");
    for (size_t i = 0; i < x.count; i++) {
        double d = fabs((double)got[i] - (double)want[i]);

        most = d <= most ? most : d; /* NaN is more than all */
    }
    snprintf(what, sizeof what, "  off by %.3g, %.3g are allowed", most, limit);
    CHECK(most <= limit, what);
    free(got);
    free(want);
}

static void
check_clip(const char *name)
{
    uint32_t ids[1000];
    size_t batch = 0, tokens = 0, count = 0;
    const cJSON *row, *id;
    dfx_clip_config config;
    dfx_clip_output out;
    run r;

    if (!begin(&r, name))
        return;
    cJSON_ArrayForEach(row, argument(&r, "ids"))
    {
        cJSON_ArrayForEach(id, row) ids[count++] = (uint32_t)id->valuedouble;
        tokens = (size_t)cJSON_GetArraySize(row);
        batch++;
    }
    CHECK(dfx_clip_configure(&config, r.config, &r.err) == DFX_OK, name);
    dfx_clip_text(&r.net, &config, ids, batch, tokens, &out);
    compare(&r, "last_hidden_state", out.last);
    compare(&r, "pooler_output", out.pooled);
    compare(&r, "text_embeds", out.embeds);
    compare(&r, "hidden_states.0", out.hidden[0]);
    compare(&r, "hidden_states.-2", out.hidden[config.layers - 1]);
    compare(&r, "hidden_states.-1", out.hidden[config.layers]);
    end(&r);
}

/* An input of the case: a row of the generator. */
static dfx_array
input(run *r, const char *name)
{
    double seed = cJSON_GetObjectItem(r->doc, "input_seed")->valuedouble;
    dfx_array x = {0};
    const cJSON *row, *size;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(r->doc, "inputs"))
    {
        size_t shape[DFX_NET_RANK], count = 1;
        uint32_t rank = 0;
        float *data;

        if (strcmp(text_at(row, 0), name) != 0)
            continue;
        cJSON_ArrayForEach(size, cJSON_GetArrayItem(row, 2))
        {
            shape[rank] = (size_t)size->valuedouble;
            count *= shape[rank++];
        }
        data = malloc(count * sizeof *data);
        for (size_t i = 0; i < count; i++)
            data[i] = (float)(cJSON_GetArrayItem(row, 4)->valuedouble +
                              ldexp(golden_value((uint64_t)seed, name, i),
                                    cJSON_GetArrayItem(row, 3)->valueint));
        x = dfx_net_input(&r->net, data, rank, shape);
        free(data);
    }
    return x;
}

static void
check_vae(const char *name)
{
    dfx_vae_config config;
    dfx_vae_posterior p;
    run r;

    if (!begin(&r, name))
        return;
    CHECK(dfx_vae_configure(&config, r.config, &r.err) == DFX_OK, name);
    p = dfx_vae_split(&r.net, &config,
                      dfx_vae_encode(&r.net, &config, input(&r, "image")));
    compare(&r, "mean", p.mean);
    compare(&r, "logvar", p.logvar);
    compare(&r, "std", p.deviation);
    compare(&r, "decoded",
            dfx_vae_decode(&r.net, &config, input(&r, "latent")));
    end(&r);
}

/* The numbers of an argument, a list or a list of lists; how many. */
static size_t
numbers(const run *r, const char *key, float *to)
{
    const cJSON *item, *inner;
    size_t count = 0;

    cJSON_ArrayForEach(item, argument(r, key))
    {
        if (cJSON_IsNumber(item))
            to[count++] = (float)item->valuedouble;
        cJSON_ArrayForEach(inner, item) to[count++] = (float)inner->valuedouble;
    }
    return count;
}

static void
check_unet(const char *name)
{
    float steps[16] = {0}, ids[64] = {0};
    size_t step_count, id_count;
    dfx_unet_config config;
    dfx_unet_input in = {.timesteps = steps, .time_ids = ids};
    run r;

    if (!begin(&r, name))
        return;
    in.sample = input(&r, "sample");
    in.text = input(&r, "encoder_hidden_states");
    in.text_embeds = input(&r, "text_embeds");
    in.timestep_cond = input(&r, "timestep_cond");
    in.class_vector = input(&r, "class_labels");
    step_count = numbers(&r, "t", steps);
    for (size_t b = step_count; b < in.sample.shape[0]; b++)
        steps[b] = steps[0];
    id_count = numbers(&r, "time_ids", ids);
    in.time_id_count = id_count / in.sample.shape[0];
    CHECK(dfx_unet_configure(&config, r.config, &r.err) == DFX_OK, name);
    compare(&r, "sample", dfx_unet(&r.net, &config, &in));
    end(&r);
}

static void
check_tiled(const char *name)
{
    dfx_vae_posterior posterior;
    dfx_vae_config config;
    run r;

    if (!begin(&r, name))
        return;
    CHECK(dfx_vae_configure(&config, r.config, &r.err) == DFX_OK, name);
    posterior = dfx_vae_split(
        &r.net, &config,
        dfx_vae_encode_tiled(&r.net, &config, input(&r, "image")));
    compare(&r, "mean", posterior.mean);
    compare(&r, "logvar", posterior.logvar);
    compare(&r, "std", posterior.deviation);
    compare(&r, "decoded",
            dfx_vae_decode_tiled(&r.net, &config, input(&r, "latent")));
    end(&r);
}

static void
check_tiny(const char *name)
{
    dfx_tiny_config config;
    run r;

    if (!begin(&r, name))
        return;
    CHECK(dfx_tiny_configure(&config, r.config, &r.err) == DFX_OK, name);
    compare(&r, "encoded",
            dfx_tiny_encode(&r.net, &config, input(&r, "image")));
    compare(&r, "decoded",
            dfx_tiny_decode(&r.net, &config, input(&r, "latent")));
    end(&r);
}

static void
check_controlnet(const char *name)
{
    float steps[16] = {0};
    dfx_controlnet_output out;
    dfx_controlnet_config config;
    dfx_controlnet_input in = {.unet.timesteps = steps, .scale = 1};
    const cJSON *scale;
    run r;

    if (!begin(&r, name))
        return;
    in.unet.sample = input(&r, "sample");
    in.unet.text = input(&r, "encoder_hidden_states");
    in.cond = input(&r, "controlnet_cond");
    in.guess = cJSON_IsTrue(argument(&r, "guess_mode"));
    scale = argument(&r, "conditioning_scale");
    if (scale != NULL)
        in.scale = (float)scale->valuedouble;
    for (size_t b = numbers(&r, "t", steps); b < in.unet.sample.shape[0]; b++)
        steps[b] = steps[0];
    CHECK(dfx_controlnet_configure(&config, r.config, &r.err) == DFX_OK, name);
    dfx_controlnet(&r.net, &config, &in, &out);
    for (size_t i = 0; i < out.down_count; i++) {
        char what[32];

        snprintf(what, sizeof what, "down.%zu", i);
        compare(&r, what, out.down[i]);
    }
    compare(&r, "mid", out.mid);
    end(&r);
}

int
main(void)
{
    golden_find("run");
    scratch_enter();
    check_clip("num_clip_l");
    check_clip("num_clip_l_proj");
    check_clip("num_clip_h");
    check_clip("num_clip_g");
    check_vae("num_vae");
    check_vae("num_vae_noquant");
    check_vae("num_vae_odd");
    check_unet("num_sd15");
    check_unet("num_sd15_16");
    check_unet("num_sd15_odd");
    check_unet("num_sd21");
    check_unet("num_sdxl");
    check_unet("num_tinysd");
    check_unet("num_ssd1b");
    check_unet("num_refiner");
    check_unet("num_inpaint");
    check_unet("num_pix2pix");
    check_unet("num_options");
    check_tiled("num_vae_tiling");
    check_tiny("num_taesd");
    check_controlnet("num_controlnet");
    check_controlnet("num_controlnet_guess");
    return tap_end();
}
