/*
 * registry.c - the tables of formats, component kinds and forms of weights
 *
 * registry.inc is made from formats/list.am by the build: a line
 * DFX_FORMAT(name), DFX_KIND(name) or DFX_FORM(name) for each file that it
 * compiles.
 */
#include <config.h>

#include "registry.h"

#include <string.h>

#include "form.h"
#include "rules.h"

/* clang-format off */
#define DFX_FORMAT(name) extern const dfx_format dfx_format_##name;
#define DFX_KIND(name) extern const dfx_kind dfx_kind_##name;
#define DFX_FORM(name) extern const dfx_form dfx_form_##name;
#include "registry.inc"
#undef DFX_FORMAT
#undef DFX_KIND
#undef DFX_FORM

static const dfx_format *const formats[] = {
#define DFX_FORMAT(name) &dfx_format_##name,
#define DFX_KIND(name)
#define DFX_FORM(name)
#include "registry.inc"
#undef DFX_FORMAT
#undef DFX_KIND
#undef DFX_FORM
    NULL
};

static const dfx_kind *const kinds[] = {
#define DFX_FORMAT(name)
#define DFX_KIND(name) &dfx_kind_##name,
#define DFX_FORM(name)
#include "registry.inc"
#undef DFX_FORMAT
#undef DFX_KIND
#undef DFX_FORM
    NULL
};

static const dfx_form *const forms[] = {
#define DFX_FORMAT(name)
#define DFX_KIND(name)
#define DFX_FORM(name) &dfx_form_##name,
#include "registry.inc"
#undef DFX_FORMAT
#undef DFX_KIND
#undef DFX_FORM
    NULL
};
/* clang-format on */

enum {
    FORMAT_COUNT = sizeof formats / sizeof formats[0] - 1,
    KIND_COUNT = sizeof kinds / sizeof kinds[0] - 1,
    FORM_COUNT = sizeof forms / sizeof forms[0] - 1
};

const dfx_format *const *
dfx_format_list(size_t *count)
{
    *count = FORMAT_COUNT;
    return formats;
}

const dfx_format *
dfx_format_at(size_t i)
{
    return i < FORMAT_COUNT ? formats[i] : NULL;
}

const dfx_format *
dfx_format_named(const char *name)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

const dfx_kind *
dfx_kind_at(size_t i)
{
    return i < KIND_COUNT ? kinds[i] : NULL;
}

const dfx_kind *
dfx_kind_named(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const dfx_form *
dfx_form_at(size_t i)
{
    return i < FORM_COUNT ? forms[i] : NULL;
}
