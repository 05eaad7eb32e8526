/*
 * fuzz_json.c - the strict JSON reader
 *
 * What it accepts, it accepts again when every string is decoded and quoted
 * anew; and what it hands out lies where it says.
 */
#include <config.h>

#include "fuzz.h"

#include <string.h>

#include "json.h"

/* Puts the event's text down in its simplest form. */
static void
rewrite(const dfx_json *json, dfx_json_event event, bool *comma, dfx_text *out)
{
    static const char *const words[] = {
        [DFX_JSON_OBJECT] = "{",  [DFX_JSON_OBJECT_END] = "}",
        [DFX_JSON_ARRAY] = "[",   [DFX_JSON_ARRAY_END] = "]",
        [DFX_JSON_TRUE] = "true", [DFX_JSON_FALSE] = "false",
        [DFX_JSON_NULL] = "null",
    };
    bool ends = event == DFX_JSON_OBJECT_END || event == DFX_JSON_ARRAY_END;

    if (*comma && !ends)
        dfx_text_puts(out, ",");
    if (event == DFX_JSON_KEY || event == DFX_JSON_STRING)
        dfx_json_quote(out, json->text, json->text_size, false);
    else if (event == DFX_JSON_NUMBER)
        dfx_text_add(out, json->text, json->text_size);
    else
        dfx_text_puts(out, words[event]);
    if (event == DFX_JSON_KEY)
        dfx_text_puts(out, ":");
    *comma = event != DFX_JSON_KEY && event != DFX_JSON_OBJECT &&
             event != DFX_JSON_ARRAY;
}

/* Reads a value to its end; false if it is refused. */
static bool
read_value(const char *data, size_t size, dfx_text *out)
{
    dfx_json_event event = DFX_JSON_NULL;
    dfx_error err;
    dfx_json json;
    bool comma = false;
    uint64_t number;

    dfx_json_init(&json, data, size, 0);
    while (event != DFX_JSON_END) {
        if (dfx_json_next(&json, &event, &err) != DFX_OK) {
            REQUIRE(strncmp(err.rule, "json.", 5) == 0);
            REQUIRE(err.offset <= size);
            dfx_json_fini(&json);
            return false;
        }
        REQUIRE(json.pos <= size && json.at <= json.pos);
        if (event == DFX_JSON_END)
            break;
        if (event == DFX_JSON_NUMBER)
            (void)dfx_json_u64(&json, &number);
        if (event == DFX_JSON_KEY || event == DFX_JSON_STRING)
            REQUIRE(dfx_utf8_valid(json.text, json.text_size, NULL));
        rewrite(&json, event, &comma, out);
    }
    dfx_json_fini(&json);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    dfx_text once = {0}, twice = {0};
    size_t end = 0;
    bool good;

    if (!dfx_utf8_valid(text, size, NULL))
        return 0;
    good = read_value(text, size, &once);
    if (dfx_json_check(text, size, 0, NULL, NULL, &end, NULL) == DFX_OK)
        REQUIRE(good && end <= size);
    if (good) {
        REQUIRE(!once.failed);
        REQUIRE(read_value(once.data, once.size, &twice));
        REQUIRE(once.size == twice.size &&
                memcmp(once.data, twice.data, once.size) == 0);
    }
    dfx_text_fini(&once);
    dfx_text_fini(&twice);
    return 0;
}
