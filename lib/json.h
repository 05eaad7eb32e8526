/*
 * json.h - a strict JSON reader for text that somebody else wrote
 *
 * RFC 8259 to the letter, as events, without recursion: safetensors headers and
 * shard indexes are attacked through the laxness of their parsers (duplicate
 * keys, numbers as doubles, text after the value). Exact 64-bit integers.
 */
#ifndef DFX_JSON_H
#define DFX_JSON_H

#include "memory.h"

typedef enum dfx_json_event {
    DFX_JSON_END, /* the value is complete */
    DFX_JSON_OBJECT,
    DFX_JSON_OBJECT_END,
    DFX_JSON_ARRAY,
    DFX_JSON_ARRAY_END,
    DFX_JSON_KEY,
    DFX_JSON_STRING,
    DFX_JSON_NUMBER,
    DFX_JSON_TRUE,
    DFX_JSON_FALSE,
    DFX_JSON_NULL
} dfx_json_event;

/* Levels: serde_json's own limit, which the reference safetensors library
   uses. */
#define DFX_JSON_DEPTH 128

typedef struct dfx_json {
    const char *data; /* borrowed */
    size_t size;
    size_t pos;
    uint64_t origin; /* offset of data[0] in the file, for messages */
    /* The last KEY or STRING with escapes decoded, or NUMBER as spelled. Holds
       any UTF-8, NUL included; valid until the next event. */
    const char *text;
    size_t text_size;
    size_t at; /* position in data of the last event's first byte */
    /* Also take NaN, Infinity and -Infinity, which Python writes, for NUMBERs.
       False after dfx_json_init. */
    bool python_numbers;
    /* private */
    unsigned depth;
    unsigned char state;
    unsigned char kinds[DFX_JSON_DEPTH / 8];
    dfx_text decoded;
} dfx_json;

/* data is valid UTF-8: check with dfx_utf8_valid first. */
void dfx_json_init(dfx_json *json, const char *data, size_t size,
                   uint64_t origin);
void dfx_json_fini(dfx_json *json);

/* Offset in the file of the last event. */
uint64_t dfx_json_offset(const dfx_json *json);

/*
 * The next event. Rules: JSON_SYNTAX, JSON_STRING, JSON_DEPTH. Duplicate keys
 * are found by dfx_json_check. After DFX_JSON_END, pos is just past the
 * value; what follows it is the caller's to judge.
 */
DFX_CHECKED dfx_status dfx_json_next(dfx_json *json, dfx_json_event *event,
                                     dfx_error *err);

/* Reads over the value that starts at the last event, an OBJECT or STRING. */
DFX_CHECKED dfx_status dfx_json_skip(dfx_json *json, dfx_json_event event,
                                     dfx_error *err);

/*
 * The last text, for longer than until the next event: where it lies in data,
 * or a copy in the arena if escapes were decoded. NULL if memory ran out.
 */
const char *dfx_json_keep(const dfx_json *json, dfx_arena *arena);

/*
 * The last NUMBER as an unsigned 64-bit integer: digits alone, no sign, no
 * fraction, no exponent, no overflow; otherwise false.
 */
bool dfx_json_u64(const dfx_json *json, uint64_t *value);

/*
 * Reads over a whole value without keeping it: JSON_SYNTAX, _STRING, _DEPTH,
 * and JSON_DUPLICATE for a key that one object has twice, at any level, with
 * escapes decoded. *end is the position just past the value. Duplicates go to
 * found, if it is not NULL, and then fail nothing. n log n whatever the keys.
 */
DFX_CHECKED dfx_status dfx_json_check(const char *data, size_t size,
                                      uint64_t origin, dfx_finding_fn *found,
                                      void *context, size_t *end,
                                      dfx_error *err);

/* Well-formed: no overlong form, no surrogate, nothing above U+10FFFF. On false
   bad (may be NULL) gets the position of the first wrong byte. */
bool dfx_utf8_valid(const char *data, size_t size, size_t *bad);

/*
 * Appends text as a JSON string with its quotes: \" \\ \b \f \n \r \t, other
 * codes below 0x20 as \u00xx with lower-case hex, all else raw (as serde_json
 * writes). With ascii, what is not ASCII becomes \uXXXX (as Python's default),
 * and so does 0x7F. The bytes C0 80, which no valid UTF-8 has, are \u0000: see
 * dfx_index_add_meta.
 */
void dfx_json_quote(dfx_text *out, const char *text, size_t size, bool ascii);

#endif
