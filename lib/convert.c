/*
 * convert.c - from a source to a plan
 *
 * Whose names, then components, leftovers and documents into a bundle, then the
 * container's writer. Nothing here knows a container or
 * a family.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "convert.h"
#include "document.h"
#include "out.h"
#include "registry.h"
#include "target.h"

void
dfx_convert_options_init(dfx_convert_options *options)
{
    *options = (dfx_convert_options){
        .dtype = DFX_TYPE_COUNT,
        .ema = DFX_EMA_DROP,
        .unknown = DFX_UNKNOWN_KEEP,
    };
}

/* ---- The bundle ---------------------------------------------------------- */

dfx_status
dfx_conversion_add(dfx_conversion *conversion, uint32_t component,
                   const char *name, const dfx_expr *expr,
                   const dfx_outgoing *part, dfx_error *err)
{
    dfx_item *item;

    DFX_TRY(dfx_bundle_add(&conversion->bundle, component, name, expr, err));
    item = &conversion->bundle.items[conversion->bundle.item_count - 1];
    item->is_typed = true;
    item->rest = DFX_TYPE_COUNT;
    if (part != NULL) {
        item->part = part->name;
        item->config = part->found->config;
    }
    return DFX_OK;
}

static bool
is_folder(const dfx_index *index)
{
    return index->file_count > 0;
}

/* Do the component's files stand at the top? A component's own folder stays
   one; --lone asks for it. */
static bool
is_lone(const dfx_conversion *conversion, const dfx_outgoing *part)
{
    return conversion->options->lone ||
           (part->found->component == 0 &&
            part->identity == conversion->identity &&
            is_folder(conversion->index));
}

/* One component of the bundle a part, and room for a side-car. */
static dfx_status
name_components(dfx_conversion *conversion, dfx_error *err)
{
    bool folder = conversion->to == DFX_LAYOUT_DIFFUSERS;
    size_t count = folder ? conversion->part_count : 1;

    if (conversion->options->lone && count != 1)
        return dfx_fail_usage(err,
                              "--lone writes one component; here are %zu "
                              "(--only chooses)",
                              conversion->part_count);

    conversion->components = dfx_arena_array(
        &conversion->plan->arena, count + 1, sizeof *conversion->components);
    if (conversion->components == NULL)
        return dfx_fail_nomem(err);
    conversion->components[0].name = "";
    conversion->components[0].weights = "model";
    for (size_t i = 0; i < count && folder; i++) {
        const dfx_outgoing *part = &conversion->parts[i];

        conversion->components[i].name =
            is_lone(conversion, part) ? "" : part->name;
        conversion->components[i].weights = "model";
        conversion->components[i].is_transformers = true;
        if (part->kind != NULL) {
            conversion->components[i].weights = part->kind->weights;
            conversion->components[i].is_transformers =
                part->kind->is_transformers;
        } else if (part->found->component == 0 && part->found->config != NULL) {
            /* Diffusers names the class there, transformers does not. */
            bool is_diffusers =
                dfx_doc_string(part->found->config, "_class_name") != NULL;

            conversion->components[i].is_transformers = !is_diffusers;
            if (is_diffusers)
                conversion->components[i].weights = "diffusion_pytorch_model";
        } else if (part->found->component != 0) {
            const dfx_component *c =
                &conversion->index->components[part->found->component];

            conversion->components[i].is_transformers =
                c->library == NULL || strcmp(c->library, "diffusers") != 0;
            if (!conversion->components[i].is_transformers)
                conversion->components[i].weights = "diffusion_pytorch_model";
        }
    }
    conversion->component_count = count;
    conversion->bundle.components = conversion->components;
    conversion->bundle.component_count = count;
    return DFX_OK;
}

/* "format": "pt" is what transformers and diffusers look for before they load a
   weight file; a source's own metadata goes along. */
static dfx_status
add_metadata(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;

    if (conversion->to != DFX_LAYOUT_DIFFUSERS)
        return DFX_OK;
    for (uint32_t i = 0; i < conversion->part_count; i++) {
        const dfx_outgoing *part = &conversion->parts[i];
        uint32_t from = part->found->component;

        DFX_TRY(
            dfx_bundle_add_meta(&conversion->bundle, i, "format", "pt", err));
        if (part->identity != conversion->identity ||
            (from == 0 && !is_folder(index)))
            continue;
        for (size_t m = 0; m < index->meta_count; m++)
            if (index->metadata[m].component == from &&
                strcmp(index->metadata[m].key, "format") != 0)
                DFX_TRY(dfx_bundle_carry_meta(&conversion->bundle, i,
                                              &index->metadata[m], err));
    }
    return DFX_OK;
}

/* --metadata key=value, into every weight file; replaces a key that is there.
 */
static dfx_status
add_user_metadata(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_convert_options *options = conversion->options;
    dfx_bundle *bundle = &conversion->bundle;

    for (size_t i = 0; i < options->metadata_count; i++) {
        const char *equals = strchr(options->metadata[i], '=');
        char *key;

        if (equals == NULL)
            return dfx_fail_usage(err, "--metadata %s: expected key=value",
                                  options->metadata[i]);
        key = dfx_arena_strndup(&conversion->plan->arena, options->metadata[i],
                                (size_t)(equals - options->metadata[i]));
        if (key == NULL)
            return dfx_fail_nomem(err);
        for (uint32_t c = 0; c < bundle->component_count; c++) {
            size_t m = 0;

            if (conversion->components[c].is_side_car)
                continue;
            while (m < bundle->meta_count &&
                   (bundle->metadata[m].component != c ||
                    strcmp(bundle->metadata[m].key, key) != 0))
                m++;
            if (m < bundle->meta_count)
                bundle->metadata[m].value = equals + 1;
            else
                DFX_TRY(dfx_bundle_add_meta(bundle, c, key, equals + 1, err));
        }
        bundle->header = NULL; /* it has the old metadata */
    }
    return DFX_OK;
}

static bool
is_under(const char *path, const char *folder)
{
    size_t size = strlen(folder);

    return strncmp(path, folder, size) == 0 && path[size] == '/';
}

static const dfx_outgoing *
part_of(const dfx_conversion *conversion, const char *path)
{
    for (size_t i = 0; i < conversion->part_count; i++)
        if (is_under(path, conversion->parts[i].name))
            return &conversion->parts[i];
    return NULL;
}

bool
dfx_conversion_takes(const dfx_conversion *conversion, const char *path)
{
    const dfx_outgoing *part = part_of(conversion, path);

    return part != NULL ? part->identity == conversion->identity
                        : conversion->options->only == NULL;
}

/* Where a file of the source's folder goes; NULL: nowhere. Of a component only
   if that goes; of a component's own folder all. */
static const char *
target_of(const dfx_conversion *conversion, const char *path)
{
    const dfx_outgoing *first = &conversion->parts[0];

    if (conversion->part_count > 0 && first->found->component == 0 &&
        first->identity == conversion->identity && is_folder(conversion->index))
        return path;
    if (!conversion->options->lone) /* grafts get their configs later */
        return conversion->options->only == NULL ||
                       part_of(conversion, path) != NULL
                   ? path
                   : NULL;
    return is_under(path, first->name) ? path + strlen(first->name) + 1 : NULL;
}

dfx_status
dfx_file_expr(dfx_arena *arena, const char *path, const dfx_extent *data,
              const dfx_expr **out, dfx_error *err)
{
    dfx_tensor bytes = {
        .name = path,
        .type = DFX_TYPE_U8,
        .rank = 1,
        .shape = &data->size,
        .data = *data,
    };

    return dfx_expr_tensor(arena, &bytes, out, err);
}

/* The files of a folder as they are. */
static dfx_status
carry_files(dfx_conversion *conversion, dfx_error *err)
{
    const dfx_index *index = conversion->index;

    for (size_t i = 0; i < index->file_count; i++) {
        const char *path = target_of(conversion, index->files[i].path);
        const dfx_expr *x;

        if (path == NULL)
            continue;
        DFX_TRY(dfx_file_expr(&conversion->plan->arena, path,
                              &index->files[i].data, &x, err));
        DFX_TRY(dfx_bundle_add_blob(&conversion->bundle, path, x, err));
    }
    return DFX_OK;
}

/* The files that a folder needs and a single file lacks. */
static dfx_status
make_files(dfx_conversion *conversion, dfx_error *err)
{
    dfx_arena *arena = &conversion->plan->arena;
    const dfx_config_file *files;
    dfx_identity all;
    size_t count;

    DFX_TRY(dfx_grafts_identity(conversion, &all, err));
    DFX_TRY(dfx_configs_make(&all, arena, &files, &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *path = target_of(conversion, files[i].path);
        const dfx_expr *x;

        if (path == NULL)
            continue;
        DFX_TRY(dfx_expr_bytes(arena, files[i].data, files[i].size, &x, err));
        DFX_TRY(dfx_bundle_add_blob(&conversion->bundle, path, x, err));
    }
    return DFX_OK;
}

dfx_status
dfx_conversion_build(dfx_conversion *conversion, dfx_error *err)
{
    bool to_folder = conversion->to == DFX_LAYOUT_DIFFUSERS;
    bool from_folder = is_folder(conversion->index);

    DFX_TRY(dfx_residue_read(conversion, err));
    DFX_TRY(dfx_parts_choose(conversion, err));
    DFX_TRY(name_components(conversion, err));
    DFX_TRY(add_metadata(conversion, err));
    DFX_TRY(dfx_parts_add(conversion, err));
    if (to_folder) {
        DFX_TRY(dfx_residue_to_folder(conversion, err));
        DFX_TRY(dfx_recipe_apply(conversion, err));
        if (!conversion->joined)
            DFX_TRY(dfx_unjoin_apply(conversion, err));
        DFX_TRY(from_folder ? carry_files(conversion, err)
                            : make_files(conversion, err));
        DFX_TRY(dfx_grafts_files(conversion, err));
        DFX_TRY(dfx_stored_types(conversion, err));
    } else {
        DFX_TRY(dfx_residue_to_file(conversion, err));
        DFX_TRY(dfx_naming_apply(conversion, err));
        DFX_TRY(dfx_recipe_apply(conversion, err));
        DFX_TRY(dfx_unjoin_apply(conversion, err));
    }
    DFX_TRY(add_user_metadata(conversion, err));
    return dfx_bundle_check_names(&conversion->bundle, err);
}

void
dfx_conversion_fini(dfx_conversion *conversion)
{
    for (size_t i = 0; i < conversion->part_count; i++)
        dfx_facts_fini(&conversion->parts[i].facts);
    dfx_bundle_fini(&conversion->bundle);
    cJSON_Delete(conversion->residue);
}

/* ---- The container ------------------------------------------------------- */

dfx_status
dfx_source_check(const dfx_index *index, bool allow_unsafe, dfx_error *err)
{
    const dfx_audit *audit = &index->audit;

    if (index->lacking.rule != NULL) {
        if (err != NULL)
            *err = index->lacking;
        return index->lacking.status;
    }
    if (audit->verdict == DFX_VERDICT_SAFE || allow_unsafe)
        return DFX_OK;
    dfx_fail(err, DFX_RULE_PT_NOT_SAFE, audit->worst.offset, "%s: %s%s%s (%s)",
             dfx_verdict_name(audit->verdict), audit->worst.tensor,
             audit->worst.tensor[0] != '\0' ? ": " : "", audit->worst.text,
             audit->worst.rule);
    dfx_error_in_file(err, audit->worst.file[0] != '\0' ? audit->worst.file
                                                        : index->path);
    return DFX_ERR_UNSAFE;
}

/* A target that is one of the files to read from. */
static dfx_status
refuse_source(const dfx_index *index, const char *dst, dfx_error *err)
{
    DFX_TRY(dfx_out_check_input(dst, index->path, err));
    for (size_t i = 0; i < index->io_count; i++)
        DFX_TRY(dfx_out_check_input(dst, dfx_io_name(index->ios[i]), err));
    return DFX_OK;
}

/*
 * Is it nothing but other metadata for the file itself? Then its tensors stay
 * as they are, and the new file, complete, may take its place: what is read
 * from is the old one until the end.
 */
static bool
is_edit(const dfx_index *index, const dfx_format *format, const char *dst,
        const dfx_convert_options *options)
{
    return options->force && options->metadata_count > 0 &&
           options->dtype == DFX_TYPE_COUNT && options->type_rules == NULL &&
           options->only == NULL && options->graft_count == 0 &&
           options->quant.type == NULL && options->quant.type_count == 0 &&
           options->quant.target_size == 0 &&
           options->quant.naming == DFX_NAMING_FULL && !format->is_folder &&
           strcmp(index->format, format->name) == 0 &&
           strcmp(index->path, dst) == 0;
}

static dfx_status
check_source(const dfx_index *index, const dfx_format *format,
             const dfx_convert_options *options, const char *dst,
             dfx_error *err)
{
    if (!is_edit(index, format, dst, options))
        DFX_TRY(refuse_source(index, dst, err));
    return dfx_source_check(index, options->allow_unsafe, err);
}

/* Whose names the target gets: the format's, but a source that no table knows
   keeps its own. */
static dfx_status
choose_layout(const dfx_identity *identity, const dfx_format *format,
              dfx_layout *layout, dfx_error *err)
{
    *layout = format->layout;
    if (*layout != DFX_LAYOUT_DIFFUSERS || is_folder(identity->index))
        return DFX_OK;
    for (size_t i = 0; i < identity->found_count; i++)
        if (identity->found[i].kind != NULL)
            return DFX_OK;
    return dfx_fail(err, DFX_RULE_FAMILY_UNKNOWN, DFX_NO_OFFSET,
                    "%s has no table that names its components "
                    "(family: %s)",
                    identity->index->path, identity->family);
}

/* What dfx_plan_verify needs to know later. */
static dfx_status
remember(dfx_conversion *conversion, dfx_error *err)
{
    dfx_verify_notes *notes =
        dfx_arena_alloc(&conversion->plan->arena, sizeof *notes);

    if (notes == NULL)
        return dfx_fail_nomem(err);
    notes->identity = conversion->identity;
    notes->options = *conversion->options;
    notes->to = conversion->to;
    conversion->plan->verify = notes;
    return DFX_OK;
}

dfx_status
dfx_convert(const dfx_index *index, const dfx_identity *identity,
            const char *dst, const dfx_convert_options *options,
            dfx_plan **plan, dfx_error *err)
{
    dfx_conversion conversion = {
        .index = index,
        .identity = identity,
        .options = options,
    };
    dfx_target target = {0};
    const dfx_format *format;
    dfx_status status;

    DFX_TRY(dfx_target_choose(options, dst, &target, err));
    format = target.format;
    DFX_TRY(choose_layout(identity, format, &conversion.to, err));
    DFX_TRY(check_source(index, format, options, dst, err));
    for (size_t i = 0; i < options->graft_count; i++)
        DFX_TRY(
            check_source(options->grafts[i].index, format, options, dst, err));
    DFX_TRY(dfx_plan_new(dst, format->is_folder, &conversion.plan, err));
    conversion.plan->force = options->force;
    conversion.plan->is_ours = format->is_ours;
    conversion.plan->sync = options->sync;
    conversion.plan->compress = target.compress;
    conversion.bundle.variant = options->variant;
    conversion.bundle.max_shard_size = options->max_shard_size;
    conversion.bundle.plain = options->plain;
    conversion.bundle.wrap = options->wrap;
    conversion.bundle.file_type = -1;
    status = remember(&conversion, err);
    if (status == DFX_OK)
        status = dfx_conversion_build(&conversion, err);
    if (status == DFX_OK)
        status = format->lay_out(&conversion.bundle, "", conversion.plan, err);
    if (status == DFX_OK)
        status = dfx_plan_seal(conversion.plan, err);
    dfx_conversion_fini(&conversion);
    if (status != DFX_OK) {
        dfx_error_in_file(err, index->path);
        dfx_plan_free(conversion.plan);
        return status;
    }
    *plan = conversion.plan;
    return DFX_OK;
}
