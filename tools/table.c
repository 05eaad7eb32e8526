/*
 * table.c - aligned columns
 */
#include <config.h>

#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 16, GAP = 2 };

void
dfx_table_init(dfx_table *table, const char *align)
{
    *table = (dfx_table){.align = align, .columns = strlen(align)};
}

void
dfx_table_fini(dfx_table *table)
{
    free(table->text);
    free(table->cells);
    *table = (dfx_table){0};
}

static void
grow(void **items, size_t *capacity, size_t need, size_t item_size)
{
    if (need <= *capacity)
        return;
    while (*capacity < need)
        *capacity = *capacity > 0 ? *capacity * 2 : 256;
    *items = dfx_need(reallocarray(*items, *capacity, item_size));
}

/* Characters of UTF-8 text. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void
dfx_table_cell(dfx_table *table, const char *text)
{
    size_t size = strlen(text) + 1;
    void *cells = table->cells;
    void *chars = table->text;

    grow(&chars, &table->text_capacity, table->text_size + size, 1);
    table->text = chars;
    grow(&cells, &table->cell_capacity, table->cell_count + 1,
         sizeof *table->cells);
    table->cells = cells;
    memcpy(table->text + table->text_size, text, size);
    table->cells[table->cell_count++] =
        (dfx_cell){table->text_size, width_of(text)};
    table->text_size += size;
}

void
dfx_table_cellf(dfx_table *table, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    dfx_table_cell(table, text);
}

void
dfx_table_u64(dfx_table *table, uint64_t number)
{
    dfx_table_cellf(table, "%" PRIu64, number);
}

/* The width of a column; 0 if only its heading has text and there are rows. */
static size_t
column_width(const dfx_table *table, size_t column, bool heading)
{
    size_t width = 0;

    if (heading && table->cell_count == table->columns)
        return table->cells[column].width;
    for (size_t i = column + (heading ? table->columns : 0);
         i < table->cell_count; i += table->columns)
        if (table->cells[i].width > width)
            width = table->cells[i].width;
    if (heading && width > 0 && table->cells[column].width > width)
        width = table->cells[column].width;
    return width;
}

static void
spaces(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

static void
print_row(const dfx_table *table, FILE *out, const dfx_cell *row,
          const size_t *widths)
{
    size_t owed = 0; /* spaces, printed only if more text follows */

    for (size_t c = 0; c < table->columns; c++) {
        size_t pad = widths[c] - row[c].width;
        bool right = table->align[c] == 'r';

        if (widths[c] == 0)
            continue;
        owed += right ? pad : 0;
        if (row[c].width > 0) {
            spaces(out, owed);
            dfx_put(out, table->text + row[c].at);
            owed = 0;
        }
        owed += GAP + (right ? 0 : pad);
    }
}

void
dfx_table_print(const dfx_table *table, FILE *out, size_t indent,
                const dfx_colours *colours)
{
    size_t widths[MAX_COLUMNS];
    size_t columns = table->columns;

    for (size_t c = 0; c < columns; c++)
        widths[c] = column_width(table, c, colours != NULL);
    for (size_t i = 0; i + columns <= table->cell_count; i += columns) {
        bool heading = i == 0 && colours != NULL;
        dfx_cell row[MAX_COLUMNS];

        for (size_t c = 0; c < columns; c++) {
            row[c] = table->cells[i + c];
            if (widths[c] == 0)
                row[c].width = 0;
        }
        spaces(out, indent);
        if (heading)
            fputs(colours->heading, out);
        print_row(table, out, row, widths);
        fprintf(out, "%s\n", heading ? colours->end : "");
    }
}
