/*
 * source.c - a model that a tool reads: its index and its identity
 */
#include <config.h>

#include "source.h"

#include <stddef.h>
#include <sys/stat.h>

#include "table.h"

dfx_status
dfx_source_open(dfx_source *source, const char *path,
                const dfx_open_options *open,
                const dfx_identify_options *identify, dfx_error *err)
{
    dfx_status status;

    *source = (dfx_source){.path = path};
    status = dfx_open(path, open, &source->index, err);
    if (status == DFX_OK)
        status = dfx_identify(source->index, identify, &source->identity, err);
    if (status != DFX_OK)
        dfx_source_close(source);
    return status;
}

void
dfx_source_close(dfx_source *source)
{
    dfx_identity_free(source->identity);
    dfx_index_free(source->index);
    source->identity = NULL;
    source->index = NULL;
}

bool
dfx_is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void
dfx_list_formats(bool json, const dfx_colours *colours)
{
    cJSON *list = json ? dfx_json_array() : NULL;
    const char *name, *summary;
    dfx_table table;
    size_t i = 0;
    bool writes;

    dfx_table_init(&table, "lll");
    dfx_table_cell(&table, "FORMAT");
    dfx_table_cell(&table, "");
    dfx_table_cell(&table, "WHAT IT IS");
    for (name = dfx_format_name_at(i, &summary, &writes); name != NULL;
         name = dfx_format_name_at(++i, &summary, &writes)) {
        if (json) {
            cJSON *format = dfx_json_object();

            dfx_json_add(format, "name", dfx_json_text(name));
            dfx_json_add(format, "summary", dfx_json_text(summary));
            dfx_json_add(format, "writes", dfx_json_bool(writes));
            dfx_json_append(list, format);
        }
        dfx_table_cell(&table, name);
        dfx_table_cell(&table, writes ? "read, write" : "read");
        dfx_table_cell(&table, summary);
    }
    if (json)
        dfx_json_print(list, stdout);
    else
        dfx_table_print(&table, stdout, 0, colours);
    dfx_table_fini(&table);
}

void
dfx_list_families(bool json, const dfx_colours *colours)
{
    cJSON *list = json ? dfx_json_array() : NULL;
    const char *name, *summary;
    dfx_table table;
    size_t i = 0;

    dfx_table_init(&table, "ll");
    dfx_table_cell(&table, "FAMILY");
    dfx_table_cell(&table, "WHAT IT IS");
    for (name = dfx_family_at(i, &summary); name != NULL;
         name = dfx_family_at(++i, &summary)) {
        if (json) {
            cJSON *family = dfx_json_object();

            dfx_json_add(family, "name", dfx_json_text(name));
            dfx_json_add(family, "summary", dfx_json_text(summary));
            dfx_json_append(list, family);
        }
        dfx_table_cell(&table, name);
        dfx_table_cell(&table, summary);
    }
    if (json)
        dfx_json_print(list, stdout);
    else
        dfx_table_print(&table, stdout, 0, colours);
    dfx_table_fini(&table);
}
