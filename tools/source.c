/*
 * source.c - a model that a tool reads: its index and its identity
 */
#include <config.h>

#include "source.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
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

const char *
dfx_temp_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder != NULL && *folder != '\0' ? folder : NULL;
}

const char *
dfx_key_of(const char *text)
{
    return strcmp(text, "/") == 0 ? "" : text;
}

typedef struct list_row {
    const char *name;
    const char *summary;
    const bool *writes; /* static; NULL: does not apply */
} list_row;

/* A list that the library has: its rows and what they are called. */
typedef struct list_kind {
    bool (*row_at)(size_t i, list_row *row); /* false past the last */
    const char *headings[2];
    const char *keys[2];
} list_kind;

static bool
format_row(size_t i, list_row *row)
{
    static const bool yes = true, no = false;
    bool writes = false;

    row->name = dfx_format_name_at(i, &row->summary, &writes);
    row->writes = writes ? &yes : &no;
    return row->name != NULL;
}

static bool
family_row(size_t i, list_row *row)
{
    row->name = dfx_family_at(i, &row->summary);
    return row->name != NULL;
}

static bool
rule_row(size_t i, list_row *row)
{
    return dfx_rule_at(i, &row->name, &row->summary);
}

static void
print_list(const list_kind *kind, bool json, const dfx_colours *colours)
{
    cJSON *array = dfx_json_array();
    list_row row = {0};
    dfx_table table;

    dfx_table_init(&table, "lll");
    dfx_table_cell(&table, kind->headings[0]);
    dfx_table_cell(&table, "");
    dfx_table_cell(&table, kind->headings[1]);
    for (size_t i = 0; kind->row_at(i, &row); i++) {
        cJSON *object = dfx_json_object();

        dfx_json_add(object, kind->keys[0], dfx_json_text(row.name));
        dfx_json_add(object, kind->keys[1], dfx_json_text(row.summary));
        if (row.writes != NULL)
            dfx_json_add(object, "writes", dfx_json_bool(*row.writes));
        dfx_json_append(array, object);
        dfx_table_cell(&table, row.name);
        dfx_table_cell(&table, row.writes == NULL ? ""
                               : *row.writes      ? "read, write"
                                                  : "read");
        dfx_table_cell(&table, row.summary);
    }
    if (json)
        dfx_json_print(array, stdout);
    else
        dfx_table_print(&table, stdout, 0, colours);
    if (!json)
        cJSON_Delete(array);
    dfx_table_fini(&table);
}

void
dfx_list_formats(bool json, const dfx_colours *colours)
{
    static const list_kind kind = {
        format_row, {"FORMAT", "WHAT IT IS"}, {"name", "summary"}};

    print_list(&kind, json, colours);
}

void
dfx_list_families(bool json, const dfx_colours *colours)
{
    static const list_kind kind = {
        family_row, {"FAMILY", "WHAT IT IS"}, {"name", "summary"}};

    print_list(&kind, json, colours);
}

void
dfx_list_rules(bool json, const dfx_colours *colours)
{
    static const list_kind kind = {
        rule_row, {"RULE", "WHAT IT DEMANDS"}, {"rule", "demand"}};

    print_list(&kind, json, colours);
}
