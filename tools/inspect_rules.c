/*
 * inspect_rules.c - the tables of names, as dfx_family_rules has them
 */
#include <config.h>

#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "table.h"

static const struct {
    const char *heading;
    const char *key;
} columns[] = {
    {"DIFFUSERS NAME", "diffusers"},
    {"ORIGINAL NAME", "original"},
    {"WHERE", "where"},
    {"OPERATION", "operation"},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static void
table_start(dfx_table *table)
{
    dfx_table_init(table, "llll");
    for (size_t i = 0; i < COLUMNS; i++)
        dfx_table_cell(table, columns[i].heading);
}

/* One row: four columns with tabs between. */
static void
add_row(char *line, dfx_table *table, cJSON *rules)
{
    cJSON *row = dfx_json_object();

    for (size_t i = 0; i < COLUMNS; i++) {
        const char *cell = strsep(&line, "\t"); /* NULL: no more */

        dfx_table_cell(table, cell != NULL ? cell : "");
        dfx_json_add(row, columns[i].key,
                     dfx_json_text(cell != NULL ? cell : ""));
    }
    dfx_json_append(rules, row);
}

/* "# KIND: what it is" becomes a section of its own. */
static cJSON *
add_section(const char *line, cJSON *sections)
{
    cJSON *section = dfx_json_object(), *rules = dfx_json_array();
    const char *colon = strchr(line, ':');
    size_t size = colon != NULL ? (size_t)(colon - line) : strlen(line);
    char *kind = dfx_need(strndup(line, size));

    dfx_json_add(section, "kind", dfx_json_text(kind));
    dfx_json_add(section, "summary",
                 dfx_json_text(colon != NULL ? colon + 2 : ""));
    dfx_json_add(section, "rules", rules);
    dfx_json_append(sections, section);
    free(kind);
    return rules;
}

static void
table_end(const dfx_inspect *asked, dfx_table *table)
{
    if (!asked->json && table->cell_count > COLUMNS)
        dfx_table_print(table, stdout, 2, &asked->colours);
    dfx_table_fini(table);
}

int
dfx_inspect_rules(const dfx_inspect *asked)
{
    char *text = dfx_family_rules(asked->rules); /* owned */
    char *rest = text, *line;
    cJSON *sections, *rules;
    dfx_table table;

    if (text == NULL) {
        if (dfx_check_family(asked->tool, asked->rules))
            dfx_usage(asked->tool, "%s has no table of names", asked->rules);
        return DFX_EXIT_USAGE;
    }
    sections = dfx_json_array();
    rules = NULL;
    table_start(&table);
    for (line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (strncmp(line, "# ", 2) == 0) {
            table_end(asked, &table);
            table_start(&table);
            if (!asked->json)
                printf("%s%s\n", rules != NULL ? "\n" : "", line + 2);
            rules = add_section(line + 2, sections);
        } else if (*line != '\0' && rules != NULL) {
            add_row(line, &table, rules);
        }
    }
    table_end(asked, &table);
    if (asked->json)
        dfx_json_print(sections, stdout);
    else
        cJSON_Delete(sections);
    free(text);
    return DFX_EXIT_YES;
}
