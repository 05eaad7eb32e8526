/*
 * view.c - one component of an index, seen through the names of its kind
 */
#include <config.h>

#include "rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_CHARS = 256, /* longer names go to the view's arena */
    COUNT_MAX = 1024
};

static bool
starts_with(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

/* ---- Finding tensors by the names of tables ---------------------------- */

/* Finds prefix + front + back. */
static const dfx_tensor *
find_joined(const dfx_view *view, const char *front, size_t front_size,
            const char *back)
{
    size_t prefix = strlen(view->prefix), rest = strlen(back);
    char buf[NAME_CHARS];
    char *name = buf;

    if (prefix + front_size + rest >= sizeof buf) {
        name = dfx_arena_alloc(view->arena, prefix + front_size + rest + 1);
        if (name == NULL)
            return NULL;
    }
    memcpy(name, view->prefix, prefix);
    memcpy(name + prefix, front, front_size);
    memcpy(name + prefix + front_size, back, rest + 1);
    return dfx_index_find(view->index, view->component, name);
}

/* Tries the other spellings of a Diffusers name. */
static const dfx_tensor *
find_alias(const dfx_view *view, const char *name)
{
    const dfx_alias *alias = view->kind->aliases;

    for (; alias != NULL && alias->seen != NULL; alias++) {
        const char *part = strstr(name, alias->means);
        const char *tail;
        const dfx_tensor *t;
        char *front;

        if (part == NULL)
            continue;
        tail = part + strlen(alias->means);
        front = dfx_arena_printf(view->arena, "%.*s%s", (int)(part - name),
                                 name, alias->seen);
        t = front != NULL ? find_joined(view, front, strlen(front), tail)
                          : NULL;
        if (t != NULL)
            return t;
    }
    return NULL;
}

const dfx_tensor *
dfx_view_find(const dfx_view *view, const char *name)
{
    const char *implied = view->signature->implied;
    const dfx_tensor *t;

    if (implied != NULL && starts_with(name, implied))
        name += strlen(implied);
    t = find_joined(view, "", 0, name);
    if (t == NULL && view->signature->layout == DFX_LAYOUT_DIFFUSERS)
        t = find_alias(view, name);
    return t;
}

static const dfx_tensor *find_folder(const dfx_view *view, const char *fmt,
                                     va_list args) DFX_PRINTF(2, 0);

static const dfx_tensor *
find_folder(const dfx_view *view, const char *fmt, va_list args)
{
    char name[NAME_CHARS]; /* the names that tables ask for are short */
    const char *original = NULL;
    int size = vsnprintf(name, sizeof name, fmt, args);

    if (size < 0 || (size_t)size >= sizeof name)
        return NULL;
    if (view->signature->layout != DFX_LAYOUT_ORIGINAL ||
        view->kind->rows == NULL)
        return dfx_view_find(view, name);
    if (dfx_rules_translate(view->arena, view->kind->rows, view->facts, name,
                            &original, NULL) != DFX_OK ||
        original == NULL)
        return NULL;
    return dfx_view_find(view, original);
}

const dfx_tensor *
dfx_view_folder(const dfx_view *view, const char *fmt, ...)
{
    const dfx_tensor *t;
    va_list args;

    va_start(args, fmt);
    t = find_folder(view, fmt, args);
    va_end(args);
    return t;
}

int64_t
dfx_view_dim(const dfx_view *view, unsigned dim, const char *fmt, ...)
{
    const dfx_tensor *t;
    va_list args;

    va_start(args, fmt);
    t = find_folder(view, fmt, args);
    va_end(args);
    if (t == NULL || dim >= t->rank)
        return 0;
    return t->shape[dim] > INT64_MAX ? INT64_MAX : (int64_t)t->shape[dim];
}

int64_t
dfx_view_count(const dfx_view *view, const char *front, const char *back)
{
    int64_t count = 0;

    while (count < COUNT_MAX &&
           dfx_view_folder(view, "%s%d%s", front, (int)count, back) != NULL)
        count++;
    return count;
}

/* ---- Signatures -------------------------------------------------------- */

/* The first name behind the prefix that holds the text. */
static const dfx_tensor *
find_holding(const dfx_index *index, uint32_t component, const char *prefix,
             const char *text)
{
    size_t size = strlen(prefix), count = 0;
    const dfx_tensor *const *list =
        dfx_index_starting(index, component, prefix, &count);

    for (size_t i = 0; i < count; i++)
        if (strstr(list[i]->name + size, text) != NULL)
            return list[i];
    return NULL;
}

const dfx_tensor *
dfx_find_behind(const dfx_index *index, uint32_t component, const char *prefix,
                const char *pattern)
{
    char full[DFX_ERROR_CHARS]; /* longer prefixes are no model's */
    int size = snprintf(full, sizeof full, "%s%s", prefix, pattern);
    const dfx_tensor *const *list;
    size_t count = 0;

    if (size <= 0 || (size_t)size >= sizeof full)
        return NULL;
    if (pattern[0] == '*')
        return find_holding(index, component, prefix, pattern + 1);
    if (full[size - 1] != '.')
        return dfx_index_find(index, component, full);
    list = dfx_index_starting(index, component, full, &count);
    return count > 0 ? list[0] : NULL;
}

static bool
ranks_fit(const dfx_signature *s, const dfx_index *index, uint32_t component,
          const char *prefix)
{
    for (size_t i = 0; i < sizeof s->ranks / sizeof *s->ranks; i++) {
        const dfx_tensor *t;

        if (s->ranks[i].name == NULL)
            break;
        t = dfx_find_behind(index, component, prefix, s->ranks[i].name);
        if (t != NULL && t->rank != s->ranks[i].rank)
            return false;
    }
    return true;
}

static bool
signature_fits(const dfx_signature *s, const dfx_index *index,
               uint32_t component, const char *prefix)
{
    for (size_t i = 0; i < sizeof s->all / sizeof *s->all; i++) {
        if (s->all[i] == NULL)
            break;
        if (dfx_find_behind(index, component, prefix, s->all[i]) == NULL)
            return false;
    }
    if (!ranks_fit(s, index, component, prefix))
        return false;
    for (size_t i = 0; i < sizeof s->none / sizeof *s->none; i++) {
        if (s->none[i] == NULL)
            break;
        if (dfx_find_behind(index, component, prefix, s->none[i]) != NULL)
            return false;
    }
    return true;
}

const dfx_signature *
dfx_kind_match(const dfx_kind *kind, const dfx_index *index, uint32_t component,
               const char *prefix)
{
    for (size_t i = 0; i < kind->signature_count; i++)
        if (signature_fits(&kind->signatures[i], index, component, prefix))
            return &kind->signatures[i];
    return NULL;
}
