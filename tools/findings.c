/*
 * findings.c - every rule checked, and what is told of it
 */
#include <config.h>

#include "findings.h"

#include <stdio.h>

#include "options.h"

typedef struct findings {
    cJSON *list; /* owned; NULL: as text */
    bool quiet;
    size_t broken; /* without warnings */
} findings;

static void
tell(void *context, const dfx_error *finding)
{
    findings *f = context;
    bool is_warning = finding->status == DFX_OK;
    char line[4 * DFX_ERROR_CHARS];

    f->broken += !is_warning;
    if (f->list != NULL) {
        cJSON *item = dfx_json_error(finding);

        dfx_json_add(item, "level",
                     dfx_json_text(is_warning ? "warning" : "error"));
        dfx_json_append(f->list, item);
    } else if (!f->quiet) {
        dfx_error_print(finding, line, sizeof line);
        if (is_warning)
            printf("warning: ");
        dfx_put(stdout, line);
        putchar('\n');
    }
}

int
dfx_findings(const char *tool, const char *path,
             const dfx_open_options *options, bool quiet, cJSON **object)
{
    findings f = {.list = object != NULL ? dfx_json_array() : NULL,
                  .quiet = quiet};
    dfx_error err = {0};
    dfx_status status = dfx_validate(path, options, tell, &f, &err);

    if (object != NULL) {
        *object = dfx_json_head(path);
        if (status == DFX_OK) {
            dfx_json_add(*object, "ok", dfx_json_bool(f.broken == 0));
            dfx_json_add(*object, "findings", f.list);
        } else {
            cJSON_Delete(f.list);
            dfx_json_add(*object, "error", dfx_json_error(&err));
        }
    }
    if (status != DFX_OK) {
        dfx_say_error(tool, path, &err);
        return DFX_EXIT_USAGE;
    }
    if (f.broken == 0 && !quiet && object == NULL) {
        dfx_put(stdout, path);
        printf(": ok\n");
    }
    return f.broken == 0 ? DFX_EXIT_YES : DFX_EXIT_NO;
}
