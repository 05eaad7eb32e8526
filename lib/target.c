/*
 * target.c - which container a conversion ends in
 */
#include <config.h>

#include "target.h"

#include <stdlib.h>
#include <string.h>

#define ZSTD_SUFFIX ".zst"

static bool
ends_in(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);

    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

/* Endings of model files that are not written: who names one of these means no
   folder. */
static const char *const unwritten[] = {".zip"};

/* The format to write whose suffix dst has; NULL: none. The longest one. */
static const dfx_format *
format_of_suffix(const char *dst)
{
    const dfx_format *format, *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; (format = dfx_format_at(i)) != NULL; i++) {
        size_t size = dfx_format_suffix(format, dst);

        if (format->lay_out != NULL && size > longest) {
            best = format;
            longest = size;
        }
    }
    return best;
}

/* The folder format; NULL: there is none. */
static const dfx_format *
format_of_folders(void)
{
    const dfx_format *format;

    for (size_t i = 0; (format = dfx_format_at(i)) != NULL; i++)
        if (format->lay_out != NULL && format->read != NULL &&
            format->suffix == NULL)
            return format;
    return NULL;
}

/* What dst ends in, else a folder. */
static dfx_status
choose_by_name(const char *dst, const dfx_format **out, dfx_error *err)
{
    *out = format_of_suffix(dst);
    if (*out != NULL && (*out)->is_folder)
        return dfx_fail_usage(err,
                              "\"%s\" names a file of a folder: name the "
                              "folder, with --to=%s",
                              dst, (*out)->name);
    if (*out != NULL)
        return DFX_OK;
    for (size_t i = 0; i < sizeof unwritten / sizeof unwritten[0]; i++)
        if (ends_in(dst, unwritten[i]))
            return dfx_fail_usage(err,
                                  "no format to write ends in %s; a "
                                  "folder of this name needs --to",
                                  unwritten[i]);
    *out = format_of_folders();
    if (*out == NULL)
        return dfx_fail_usage(err, "say with --to what \"%s\" shall be", dst);
    return DFX_OK;
}

/* dst ends in .zst: what stands before that says what is compressed. */
static dfx_status
choose_compressed(const dfx_convert_options *options, const char *dst,
                  dfx_target *out, dfx_error *err)
{
    char *name = strndup(dst, strlen(dst) - strlen(ZSTD_SUFFIX));

    if (name == NULL)
        return dfx_fail_nomem(err);
    out->compress = true;
    if (options->to == NULL)
        out->format = format_of_suffix(name);
    free(name);
    if (out->format == NULL || out->format->is_folder)
        return dfx_fail_usage(
            err,
            "\"%s\" shall be compressed, which only a file can be: a name "
            "such as model.safetensors" ZSTD_SUFFIX " says of what format",
            dst);
    return DFX_OK;
}

/* Options that the format has no use for. */
static dfx_status
check_options(const dfx_convert_options *options, const dfx_format *format,
              dfx_error *err)
{
    if (options->max_shard_size != 0 && !format->is_folder &&
        format->layout != DFX_LAYOUT_DIFFUSERS)
        return dfx_fail_usage(
            err, "shards need a folder (--to=sharded for original names)");
    if (options->lone && !format->is_folder)
        return dfx_fail_usage(err, "--lone writes a folder");
    if (options->wrap && !format->wraps)
        return dfx_fail_usage(err, "--wrap is for PyTorch checkpoints, not %s",
                              format->name);
    if (options->quant.naming != DFX_NAMING_FULL && !format->has_blocks)
        return dfx_fail_usage(err, "--naming is for GGUF files, not %s",
                              format->name);
    return DFX_OK;
}

dfx_status
dfx_target_choose(const dfx_convert_options *options, const char *dst,
                  dfx_target *out, dfx_error *err)
{
    if (options->to != NULL) {
        out->format = dfx_format_named(options->to);
        if (out->format == NULL || out->format->lay_out == NULL)
            return dfx_fail_usage(err, "no format to write is called \"%s\"",
                                  options->to);
    }
    if (ends_in(dst, ZSTD_SUFFIX))
        DFX_TRY(choose_compressed(options, dst, out, err));
    else if (options->to == NULL)
        DFX_TRY(choose_by_name(dst, &out->format, err));
    return check_options(options, out->format, err);
}
