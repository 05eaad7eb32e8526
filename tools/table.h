/*
 * table.h - aligned columns
 *
 * Cells are collected first, since a column is as wide as its widest cell.
 */
#ifndef DFX_TABLE_H
#define DFX_TABLE_H

#include <stdio.h>

#include "report.h"

typedef struct dfx_cell {
    size_t at; /* in text */
    size_t width;
} dfx_cell;

typedef struct dfx_table {
    const char *align; /* static: "lrr", a letter a column */
    size_t columns;
    char *text; /* owned: cells one after another, each with its NUL */
    size_t text_size, text_capacity;
    dfx_cell *cells; /* owned: row after row */
    size_t cell_count, cell_capacity;
} dfx_table;

void dfx_table_init(dfx_table *table, const char *align);
void dfx_table_fini(dfx_table *table);

/* The next cell, left to right and row after row. */
void dfx_table_cell(dfx_table *table, const char *text);
void dfx_table_cellf(dfx_table *table, const char *fmt, ...) DFX_PRINTF(2, 3);
void dfx_table_u64(dfx_table *table, uint64_t number);

/* The first row is a heading if colours is not NULL. A column that is empty
   below its heading is left out. */
void dfx_table_print(const dfx_table *table, FILE *out, size_t indent,
                     const dfx_colours *colours);

#endif
