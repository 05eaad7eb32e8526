/*
 * folder_write.c - a bundle as a Diffusers folder
 *
 * Each component's tensors go through the bundle's weights format into a file
 * (or shards) in the component's folder; blobs become files as they are.
 */
#include <config.h>

#include "folder.h"

#include <stdlib.h>
#include <string.h>

/* The items and metadata of one component, renumbered to 0. */
static dfx_status
pick_component(const dfx_bundle *all, uint32_t component, dfx_arena *arena,
               dfx_bundle *out, dfx_error *err)
{
    out->items = dfx_arena_array(arena, all->item_count, sizeof *out->items);
    out->metadata =
        dfx_arena_array(arena, all->meta_count, sizeof *out->metadata);
    if (out->items == NULL || out->metadata == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < all->item_count; i++) {
        if (all->items[i].component != component)
            continue;
        out->items[out->item_count] = all->items[i];
        out->items[out->item_count++].component = 0;
    }
    for (size_t i = 0; i < all->meta_count; i++) {
        if (all->metadata[i].component != component)
            continue;
        out->metadata[out->meta_count] = all->metadata[i];
        out->metadata[out->meta_count++].component = 0;
    }
    return DFX_OK;
}

/* The base name, which transformers changed along with the format. */
static const char *
stem_of(const dfx_bundle_component *about, const char *weights_format)
{
    return strcmp(weights_format, "safetensors") != 0 &&
                   strcmp(about->weights, "model") == 0
               ? "pytorch_model"
               : about->weights;
}

static dfx_status
lay_out_component(const dfx_bundle *all, uint32_t component, dfx_plan *plan,
                  dfx_error *err)
{
    const dfx_bundle_component *about = &all->components[component];
    dfx_bundle one = {
        .components = about,
        .component_count = 1,
        .weights_format = all->weights_format != NULL && !about->is_side_car
                              ? all->weights_format
                              : "safetensors",
        .variant = about->is_side_car ? NULL : all->variant,
        .max_shard_size = about->is_side_car ? 0 : all->max_shard_size,
        .header = all->component_count == 1 ? all->header : NULL,
        .header_size = all->component_count == 1 ? all->header_size : 0,
    };
    bool shards = one.max_shard_size != 0;
    const char *name = shards ? "sharded" : one.weights_format;
    const dfx_format *format = dfx_format_named(name);
    const char *stem, *base;

    if (format == NULL || format->lay_out == NULL)
        return dfx_fail_usage(err, "weights cannot be written as %s", name);
    DFX_TRY(pick_component(all, component, &plan->arena, &one, err));
    if (one.item_count == 0 && !about->is_side_car)
        return DFX_OK; /* a side-car may hold metadata alone */
    /* Shards carry the variant before their number: sharded puts it there. */
    stem = stem_of(about, one.weights_format);
    base = dfx_arena_printf(&plan->arena, "%s%s%s%s%s", about->name,
                            about->name[0] != '\0' ? "/" : "", stem,
                            one.variant != NULL && !shards ? "." : "",
                            one.variant != NULL && !shards ? one.variant : "");
    if (base == NULL)
        return dfx_fail_nomem(err);
    return format->lay_out(&one, base, plan, err);
}

static dfx_status
lay_out_blob(const dfx_blob *blob, dfx_plan *plan, dfx_error *err)
{
    size_t output = 0;

    DFX_TRY(dfx_plan_add_file(plan, blob->path, &output, err));
    return dfx_plan_add_piece(plan, output, blob->expr, err);
}

static int
compare_outputs(const void *a, const void *b)
{
    const dfx_output *x = a, *y = b;

    return strcmp(x->view.path, y->view.path);
}

/* Files as from_pretrained looks for them: "model.fp16.safetensors",
   "diffusion_pytorch_model-00001-of-00002.bin". */
static bool
is_weights(const char *name)
{
    static const char *const bases[] = {"diffusion_pytorch_model",
                                        "pytorch_model", "model"};

    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        size_t size = strlen(bases[i]);

        if (strncmp(name, bases[i], size) == 0 &&
            (name[size] == '.' || name[size] == '-'))
            return true;
    }
    return false;
}

bool
dfx_folder_is_ours(const char *const *names, size_t count)
{
    bool config = false, weights = false;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], DFX_FOLDER_PIPELINE) == 0 ||
            strcmp(names[i], DFX_FOLDER_MODULAR) == 0 ||
            strcmp(names[i], DFX_FOLDER_SIDE_CAR) == 0)
            return true;
        config = config || strcmp(names[i], DFX_FOLDER_CONFIG) == 0;
        weights = weights || is_weights(names[i]);
    }
    return config && weights;
}

dfx_status
dfx_folder_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                   dfx_error *err)
{
    if (base[0] != '\0')
        return dfx_fail_usage(err, "a folder is written as the target itself");
    for (size_t i = 0; i < bundle->component_count; i++)
        DFX_TRY(lay_out_component(bundle, (uint32_t)i, plan, err));
    for (size_t i = 0; i < bundle->blob_count; i++)
        DFX_TRY(lay_out_blob(&bundle->blobs[i], plan, err));
    if (plan->output_count > 0)
        qsort(plan->outputs, plan->output_count, sizeof *plan->outputs,
              compare_outputs);
    return DFX_OK;
}
