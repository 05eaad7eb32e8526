/*
 * markup.h - what pages and XML files of the tools share
 */
#ifndef DFX_TOOL_MARKUP_H
#define DFX_TOOL_MARKUP_H

#include <stdio.h>

/* Text of a model's or a command line's: nothing in it is markup. */
void dfx_markup_text(FILE *out, const char *text);

/* Up to the heading, with the style that all pages have. */
void dfx_markup_head(FILE *out, const char *title);

/* One number, large, and what it is: within <div class=cards>. */
void dfx_markup_card(FILE *out, const char *value, const char *what);

#endif
