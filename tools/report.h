/*
 * report.h - what tools say: messages, numbers for people, JSON
 *
 * Text that came from a file goes to a terminal only through functions that
 * mask control characters; all of these do.
 */
#ifndef DFX_REPORT_H
#define DFX_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "dfx.h"

/* The worst of several is the largest. */
enum {
    DFX_EXIT_YES = 0,  /* done */
    DFX_EXIT_NO = 1,   /* failed, or the answer is no */
    DFX_EXIT_USAGE = 2 /* wrong use, or could not tell */
};

/* "TOOL: text" and a newline on stderr. */
void dfx_say(const char *tool, const char *fmt, ...) DFX_PRINTF(2, 3);
/* The same for a failed call about path, with what settles it if there is
   something. Returns the exit status that goes with it. */
int dfx_say_error(const char *tool, const char *path, const dfx_error *err);

/* Flushes stdout; on failure says so, unless the reader has gone. Returns the
   worse of status and what that makes. The last step of every main. */
int dfx_finish(const char *tool, int status);

/* Returns memory, or ends the tool if that is NULL: memory ran out. Only where
   no temporary exists. */
void *dfx_need(void *memory);

/* Masked. Columns are counted in characters. */
void dfx_put(FILE *out, const char *text);
/* How many bytes the first characters of text have, at most count of them. */
size_t dfx_first(const char *text, size_t count);
/* Wrapped before column 79, with lines after the first indented. column is
   where the text starts. */
void dfx_put_wrapped(FILE *out, const char *text, size_t column, size_t indent);

/* Colour of headings and warnings: "" when it is off. Static. */
typedef struct dfx_colours {
    const char *heading;
    const char *warning;
    const char *end;
} dfx_colours;

typedef enum dfx_colour_when {
    DFX_COLOUR_ALWAYS, /* in the order of the words of --color */
    DFX_COLOUR_AUTO,
    DFX_COLOUR_NEVER
} dfx_colour_when;

dfx_colours dfx_colours_choose(dfx_colour_when when, FILE *out);

/* Numbers for people, three digits of them. */
#define DFX_HUMAN_CHARS 16
const char *dfx_human_bytes(uint64_t bytes, char buf[DFX_HUMAN_CHARS]);
const char *dfx_human_count(uint64_t count, char buf[DFX_HUMAN_CHARS]);
/* "[320, 4, 3, 3]", cut with "..." if it does not fit. */
const char *dfx_shape_print(const uint64_t *shape, uint32_t rank, char *buf,
                            size_t size);

uint64_t dfx_elements(const uint64_t *shape, uint32_t rank);

/* ---- JSON: values are exact; running out of memory ends the tool ------- */

enum { DFX_JSON_SCHEMA = 1 };

cJSON *dfx_json_object(void);
cJSON *dfx_json_array(void);
void dfx_json_add(cJSON *object, const char *key, cJSON *item);
void dfx_json_append(cJSON *array, cJSON *item);
/* NULL gives null. */
cJSON *dfx_json_text(const char *text);
cJSON *dfx_json_count(uint64_t number);
cJSON *dfx_json_bool(bool value);
cJSON *dfx_json_double(double number); /* null if it is not finite */
cJSON *dfx_json_shape(const uint64_t *shape, uint32_t rank);
cJSON *dfx_json_texts(const char *const *texts, size_t count);
/* {schema, path}: how every document begins. */
cJSON *dfx_json_head(const char *path);
/* {rule, file, tensor, offset, text} */
cJSON *dfx_json_error(const dfx_error *err);
/* Indented text; owned by the caller: free(). */
char *dfx_json_format(const cJSON *item);
/* Prints and frees it. */
void dfx_json_print(cJSON *item, FILE *out);

#endif
