/*
 * inspect_text.c - what a source is, for people
 */
#include <config.h>

#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "table.h"

enum {
    LABEL = 13,     /* where the values of labelled lines start */
    MAX_VALUE = 48, /* characters of a metadata value in the summary */
    MAX_KEYS = 12,  /* of the metadata that the summary lists */
    MAX_NAMES = 5   /* missing names that the summary lists */
};

static void
put_label(const dfx_inspect *asked, const char *label, const char *colour)
{
    if (*label == '\0')
        printf("%*s", LABEL, "");
    else
        printf("  %s%-*s%s", colour, LABEL - 2, label, asked->colours.end);
}

static void
put_line(const dfx_inspect *asked, const char *label, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    put_label(asked, label, asked->colours.heading);
    dfx_put_wrapped(stdout, text, LABEL, LABEL);
    putchar('\n');
}

/* "F16 1.72 GB, I64 616 B", most bytes first, into a cell. */
static void
types_cell(dfx_table *table, const dfx_sums *sums)
{
    bool done[DFX_TYPE_COUNT] = {false};
    char text[512] = "";
    size_t used = 0;

    for (;;) {
        size_t best = DFX_TYPE_COUNT;
        char human[DFX_HUMAN_CHARS];
        bool is_only;

        for (size_t i = 0; i < DFX_TYPE_COUNT; i++)
            if (!done[i] && sums->by_type[i].tensors > 0 &&
                (best == DFX_TYPE_COUNT ||
                 sums->by_type[i].bytes > sums->by_type[best].bytes))
                best = i;
        if (best == DFX_TYPE_COUNT || used + 40 > sizeof text)
            break;
        done[best] = true;
        is_only = sums->by_type[best].tensors == sums->all.tensors;
        used += (size_t)snprintf(
            text + used, sizeof text - used, "%s%s%s%s", used > 0 ? ", " : "",
            dfx_type_name((dfx_type)best), is_only ? "" : " ",
            is_only ? "" : dfx_human_bytes(sums->by_type[best].bytes, human));
    }
    dfx_table_cell(table, text);
}

static void
sums_cells(dfx_table *table, const dfx_sums *sums)
{
    char human[DFX_HUMAN_CHARS];

    if (sums->all.tensors == 0) {
        for (size_t i = 0; i < 4; i++)
            dfx_table_cell(table, "");
        return;
    }
    dfx_table_u64(table, sums->all.tensors);
    dfx_table_cell(table, dfx_human_count(sums->all.parameters, human));
    dfx_table_cell(table, dfx_human_bytes(sums->all.bytes, human));
    types_cell(table, sums);
}

static void
sums_row(dfx_table *table, const char *name, const dfx_sums *sums)
{
    dfx_table_cell(table, name);
    dfx_table_cell(table, "");
    dfx_table_cell(table, "");
    sums_cells(table, sums);
    dfx_table_cell(table, "");
}

/* "sd1 inpaint", but "clip-l", not "clip clip-l". */
static void
kind_cell(dfx_table *table, const dfx_part *part)
{
    const char *variant = part->variant;

    if (variant == NULL)
        dfx_table_cell(table, part->family);
    else if (strncmp(variant, part->family, strlen(part->family)) == 0)
        dfx_table_cell(table, variant);
    else
        dfx_table_cellf(table, "%s %s", part->family, variant);
}

static const dfx_part *
part_named(const dfx_source *source, const char *name)
{
    size_t count = 0;
    const dfx_part *parts = dfx_identity_parts(source->identity, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

static void
put_components(const dfx_inspect *asked, const dfx_source *source)
{
    static const char *const heading[] = {"COMPONENT", "FAMILY",     "CLASS",
                                          "TENSORS",   "PARAMETERS", "SIZE",
                                          "TYPES",     "PREFIX"};
    size_t count = 0, folder_count = 0;
    const dfx_part *parts = dfx_identity_parts(source->identity, &count);
    const dfx_component *folders =
        dfx_index_components(source->index, &folder_count);
    dfx_sums all = dfx_sums_of_index(source->index);
    dfx_sums rest = dfx_sums_of_rest(source);
    dfx_table table;

    dfx_table_init(&table, "lllrrrll");
    for (size_t i = 0; i < sizeof heading / sizeof heading[0]; i++)
        dfx_table_cell(&table, heading[i]);
    for (size_t i = 0; i < count; i++) {
        const dfx_part *p = &parts[i];
        dfx_sums sums = dfx_sums_of_part(source->index, p);

        dfx_table_cell(&table, p->name);
        kind_cell(&table, p);
        dfx_table_cell(&table, p->class_name != NULL ? p->class_name : "");
        sums_cells(&table, &sums);
        dfx_table_cell(&table, p->prefix);
    }
    for (size_t i = 0; i < folder_count; i++) {
        const dfx_component *f = &folders[i];
        dfx_sums none = {0};

        if (f->name[0] == '\0' || part_named(source, f->name) != NULL)
            continue;
        dfx_table_cell(&table, f->name);
        dfx_table_cell(&table, "");
        dfx_table_cell(&table, f->is_null              ? "none"
                               : f->class_name != NULL ? f->class_name
                                                       : "");
        sums_cells(&table, &none);
        dfx_table_cell(&table, "");
    }
    if (rest.all.tensors > 0)
        sums_row(&table, "(others)", &rest);
    if (count + (rest.all.tensors > 0) > 1)
        sums_row(&table, "(all)", &all);
    putchar('\n');
    dfx_table_print(&table, stdout, 2, &asked->colours);
    dfx_table_fini(&table);
}

/* "unet lacks 3 tensors: a, b, c" */
static void
put_names(const dfx_inspect *asked, const char *label, const dfx_part *part,
          const char *const *names, size_t count)
{
    char text[2048];
    size_t used;

    if (count == 0)
        return;
    used =
        (size_t)snprintf(text, sizeof text, "%zu of %s: ", count, part->name);
    for (size_t i = 0; i < count && i < MAX_NAMES; i++)
        if (used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                     i > 0 ? ", " : "", names[i]);
    if (count > MAX_NAMES && used < sizeof text)
        snprintf(text + used, sizeof text - used, ", ... (--json has all)");
    put_label(asked, label, asked->colours.warning);
    dfx_put_wrapped(stdout, text, LABEL, LABEL);
    putchar('\n');
}

static void
put_warnings(const dfx_inspect *asked, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_label(asked, "warning", asked->colours.warning);
        dfx_put_wrapped(stdout, texts[i], LABEL, LABEL);
        putchar('\n');
    }
}

static void
put_metadata_lines(const dfx_inspect *asked, const dfx_source *source)
{
    size_t count = 0, component_count = 0;
    const dfx_meta *metadata = dfx_index_metadata(source->index, &count);
    const dfx_component *components =
        dfx_index_components(source->index, &component_count);
    /* One more takes no more room than the line that says so. */
    size_t shown = count > MAX_KEYS + 1 ? MAX_KEYS : count;

    for (size_t i = 0; i < shown; i++) {
        const char *component = components[metadata[i].component].name;
        const char *value = metadata[i].value;
        size_t size = dfx_first(value, MAX_VALUE);
        char *line = dfx_need(
            malloc(strlen(component) + strlen(metadata[i].key) + size + 16));

        sprintf(line, "%s%s%s = %.*s%s", component,
                component[0] != '\0' ? "/" : "", metadata[i].key, (int)size,
                value, value[size] != '\0' ? "..." : "");
        put_label(asked, i == 0 ? "metadata" : "", asked->colours.heading);
        dfx_put(stdout, line);
        putchar('\n');
        free(line);
    }
    if (shown < count)
        printf("%*s%zu more (--metadata has all)\n", LABEL, "", count - shown);
}

/* The evidence for what was chosen, or for what was not. */
static void
put_candidates(const dfx_inspect *asked, const dfx_candidate *candidates,
               size_t count, bool chosen)
{
    const char *label = chosen ? "evidence" : "not taken";
    char text[1024];

    for (size_t i = 0; i < count; i++) {
        if (candidates[i].chosen != chosen)
            continue;
        snprintf(text, sizeof text, "%s: %s", candidates[i].family,
                 candidates[i].evidence);
        put_line(asked, label, text);
        label = "";
    }
}

/* Reading does not look everywhere: it calls nothing safe. */
static void
put_verdict(const dfx_inspect *asked, const dfx_source *source)
{
    dfx_verdict verdict = dfx_index_verdict(source->index);

    if (verdict == DFX_VERDICT_SAFE)
        return;
    put_label(asked, "verdict", asked->colours.warning);
    printf("%s (--audit says why)\n", dfx_verdict_name(verdict));
}

void
dfx_print_summary(const dfx_inspect *asked, const dfx_source *source)
{
    const dfx_identity *identity = source->identity;
    const char *variant = dfx_identity_variant(identity);
    const dfx_candidate *candidates;
    const char *const *texts;
    const dfx_part *parts;
    char text[1024];
    size_t count = 0;

    snprintf(text, sizeof text, "%s%s%s", dfx_identity_family(identity),
             variant != NULL ? " " : "", variant != NULL ? variant : "");
    put_line(asked, "format", dfx_index_format(source->index));
    put_verdict(asked, source);
    put_line(asked, "layout", dfx_layout_name(dfx_identity_layout(identity)));
    put_line(asked, "family", text);
    put_line(asked, "pipeline", dfx_identity_pipeline(identity));
    texts = dfx_identity_variants(identity, &count);
    for (size_t i = 0; count > 1 && i < count; i++)
        put_line(asked, i == 0 ? "could be" : "", texts[i]);
    candidates = dfx_identity_candidates(identity, &count);
    put_candidates(asked, candidates, count, true);
    put_candidates(asked, candidates, count, false);
    put_metadata_lines(asked, source);
    parts = dfx_identity_parts(identity, &count);
    for (size_t i = 0; i < count; i++) {
        put_names(asked, "missing", &parts[i], parts[i].missing,
                  parts[i].missing_count);
        put_names(asked, "unexpected", &parts[i], parts[i].unexpected,
                  parts[i].unexpected_count);
    }
    texts = dfx_index_warnings(source->index, &count);
    put_warnings(asked, texts, count);
    texts = dfx_identity_warnings(identity, &count);
    put_warnings(asked, texts, count);
    put_components(asked, source);
}

/* Prints a value line by line behind an indent. */
static void
put_indented(const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char *line = dfx_need(strndup(text, size));

        printf("    ");
        dfx_put(stdout, line);
        putchar('\n');
        free(line);
        text += size;
        text += *text == '\n';
    }
}

void
dfx_print_metadata(const dfx_inspect *asked, const dfx_source *source)
{
    size_t count = 0, component_count = 0;
    const dfx_meta *metadata = dfx_index_metadata(source->index, &count);
    const dfx_component *components =
        dfx_index_components(source->index, &component_count);

    for (size_t i = 0; i < count; i++) {
        const char *component = components[metadata[i].component].name;
        const char *value = metadata[i].value;
        cJSON *json = NULL;
        char *pretty;

        fputs(asked->colours.heading, stdout);
        dfx_put(stdout, component);
        if (component[0] != '\0')
            putchar('/');
        dfx_put(stdout, metadata[i].key);
        fputs(asked->colours.end, stdout);
        /* A number or a word is JSON too, and no better indented. */
        if (value[0] == '{' || value[0] == '[')
            json = cJSON_ParseWithOpts(value, NULL, true);
        if (json == NULL && strchr(value, '\n') == NULL) {
            printf(": ");
            dfx_put(stdout, value);
            putchar('\n');
            continue;
        }
        printf(":\n");
        pretty = json != NULL ? dfx_json_format(json) : NULL;
        put_indented(pretty != NULL ? pretty : value);
        free(pretty);
        cJSON_Delete(json);
    }
}

dfx_status
dfx_print_hashes(const dfx_source *source, dfx_error *err)
{
    char file[DFX_HASH_CHARS] = "", content[DFX_HASH_CHARS] = "";
    dfx_status status = DFX_OK;

    if (dfx_is_file(source->path))
        status = dfx_hash_file(source->path, file, err);
    if (status == DFX_OK)
        status =
            dfx_hash_content(source->index, source->identity, content, err);
    if (status != DFX_OK)
        return status;
    if (file[0] != '\0')
        printf("file     %s\n", file);
    printf("content  %s\n", content);
    return DFX_OK;
}
