/*
 * look.c - what the library makes of a file: its format, family and names
 *
 * Usage: look SRC [DST]    converts it, too, if there is a DST
 */
#include <config.h>

#include <stdio.h>

#include "dfx.h"

static void
print(const dfx_index *index, const dfx_identity *identity)
{
    size_t parts = 0, tensors = 0;
    const dfx_part *part = dfx_identity_parts(identity, &parts);
    const dfx_tensor *t = dfx_index_tensors(index, &tensors);

    printf("%s %s\n", dfx_index_format(index), dfx_identity_family(identity));
    for (size_t i = 0; i < tensors; i++)
        printf("tensor %s %s %ju\n", t[i].name, dfx_type_name(t[i].type),
               (uintmax_t)t[i].data.size);
    for (size_t i = 0; i < parts; i++)
        printf("part %s %s %s %zu, missing %zu, unexpected %zu\n", part[i].name,
               part[i].family, dfx_layout_name(part[i].layout),
               part[i].tensor_count, part[i].missing_count,
               part[i].unexpected_count);
}

static dfx_status
convert(const dfx_index *index, const dfx_identity *identity, const char *dst,
        dfx_error *err)
{
    dfx_convert_options options;
    dfx_plan *plan = NULL;
    dfx_status status;

    dfx_convert_options_init(&options);
    status = dfx_convert(index, identity, dst, &options, &plan, err);
    if (status == DFX_OK)
        status = dfx_plan_run(plan, NULL, err);
    dfx_plan_free(plan);
    return status;
}

int
main(int argc, char **argv)
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    dfx_error err = {0};
    dfx_status status = DFX_ERR_USAGE;

    if (argc == 2 || argc == 3)
        status = dfx_open(argv[1], NULL, &index, &err);
    if (status == DFX_OK)
        status = dfx_identify(index, NULL, &identity, &err);
    if (status == DFX_OK && argc == 3)
        status = convert(index, identity, argv[2], &err);
    if (status == DFX_OK)
        print(index, identity);
    else
        fprintf(stderr, "look: %s [%s]\n", err.text, err.rule);
    dfx_identity_free(identity);
    dfx_index_free(index);
    return status == DFX_OK ? 0 : 1;
}
