/*
 * folder_weights.c - the names of weight files, and which of them to read
 *
 * As diffusers 0.42.1 (variant_compatible_siblings, model_loading_utils.py) and
 * transformers 5.23 name them, V being a variant such as fp16:
 *
 *   STEM.safetensors                       STEM.V.safetensors
 *   STEM.safetensors.index.json            STEM.safetensors.index.V.json
 *                                          STEM.safetensors.V.index.json (old)
 *                                          STEM.V.safetensors.index.json (hub)
 *   STEM-00001-of-00002.safetensors        STEM.V-00001-of-00002.safetensors
 *                                          STEM-00001-of-00002.V.safetensors
 *
 * and the same with .bin, which is taken where there is no safetensors file of
 * the variant. Shards are found through their index and never chosen. Other
 * PyTorch files are taken if they are all there is; what no format reads is
 * known by its suffix alone.
 */
#include <config.h>

#include "folder.h"

#include <ctype.h>
#include <string.h>

/* The files that are read, the preferred kind first. Kinds that loaders know
   come in shards, too. */
static const struct {
    const char *suffix;
    bool has_shards;
} kinds[] = {
    {".safetensors", true}, {".bin", true},  {".ckpt", false},
    {".pt", false},         {".pth", false},
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

/* What weights end in. */
static const char *const weight_suffixes[] = {
    ".safetensors", ".bin", ".pt",   ".pth",       ".ckpt", ".msgpack",
    ".onnx",        ".pb",  ".gguf", ".onnx_data", ".h5",   ".ot",
};

/*
 * The stems that loaders look for, the preferred one first. Where one variant
 * is there both whole and in shards, diffusers takes the shards and
 * transformers the whole.
 */
static const struct {
    const char *name;
    bool prefers_shards;
} stems[] = {
    {"diffusion_pytorch_model", true},
    {"model", false},
    {"pytorch_model", false},
};

enum { STEM_COUNT = sizeof stems / sizeof stems[0], OTHER_STEM = STEM_COUNT };

/* A name that could be chosen. */
typedef struct candidate {
    const char *name;
    size_t kind; /* row of kinds */
    size_t stem; /* row of stems; OTHER_STEM */
    bool is_index;
    const char *variant; /* in name; NULL: none */
    size_t variant_size;
} candidate;

static bool
ends_in(const char *text, size_t size, const char *suffix)
{
    size_t tail = strlen(suffix);

    return size > tail && memcmp(text + size - tail, suffix, tail) == 0;
}

bool
dfx_folder_is_weights(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < sizeof weight_suffixes / sizeof weight_suffixes[0];
         i++)
        if (ends_in(name, size, weight_suffixes[i]))
            return true;
    return ends_in(name, size, ".json") && strstr(name, ".index.") != NULL &&
           (strstr(name, ".safetensors.") != NULL ||
            strstr(name, ".bin.") != NULL);
}

/* text is "-00001-of-00002", with any digits. */
static bool
is_shard_mark(const char *text)
{
    static const char form[] = "-ddddd-of-ddddd";

    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i])
                           : text[i] != form[i])
            return false;
    return true;
}

/* The first size bytes of name hold a shard's number. */
static bool
is_shard(const char *name, size_t size)
{
    enum { MARK = sizeof "-00001-of-00002" - 1 };

    for (size_t i = 0; i + MARK <= size; i++)
        if (is_shard_mark(name + i) &&
            (i + MARK == size || name[i + MARK] == '.'))
            return true;
    return false;
}

/* What stands between .safetensors and the end: an index, of some variant? */
static bool
parse_index_tail(const char *tail, candidate *out)
{
    static const char word[] = ".index", end[] = ".json";
    size_t size = strlen(tail);

    if (!ends_in(tail, size, end))
        return false;
    size -= sizeof end - 1;
    out->is_index = true;
    if (size == sizeof word - 1 && memcmp(tail, word, size) == 0)
        return true;
    if (tail[0] != '.' || size < sizeof word + 1)
        return false;
    out->variant_size = size - sizeof word; /* the dot before it, too */
    if (memcmp(tail, word, sizeof word - 1) == 0) {
        out->variant = tail + sizeof word;
        return true;
    }
    out->variant = tail + 1;
    return ends_in(tail, size, word);
}

/* A name of that kind, but no shard. */
static bool
parse_kind(const char *name, size_t kind, candidate *out)
{
    const char *tail = strstr(name, kinds[kind].suffix);
    size_t size;

    *out = (candidate){.name = name, .kind = kind, .stem = OTHER_STEM};
    if (tail == NULL || tail == name)
        return false;
    size = (size_t)(tail - name);
    tail += strlen(kinds[kind].suffix);
    if (is_shard(name, size) ||
        (*tail != '\0' &&
         (!kinds[kind].has_shards || !parse_index_tail(tail, out))))
        return false;
    for (size_t i = 0; i < STEM_COUNT; i++) {
        size_t stem = strlen(stems[i].name);

        if (size < stem || memcmp(name, stems[i].name, stem) != 0)
            continue;
        if (size == stem) {
            out->stem = i;
        } else if (name[stem] == '.' && size > stem + 1 &&
                   out->variant == NULL) {
            out->stem = i;
            out->variant = name + stem + 1;
            out->variant_size = size - stem - 1;
        }
    }
    return true;
}

/* False for shards and for all that no format reads. */
static bool
parse_name(const char *name, candidate *out)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (parse_kind(name, i, out))
            return true;
    return false;
}

static bool
is_variant(const candidate *c, const char *variant, size_t size)
{
    if (variant == NULL || c->variant == NULL)
        return variant == NULL && c->variant == NULL;
    return size == c->variant_size && memcmp(variant, c->variant, size) == 0;
}

/* No loader prefers one. */
static bool
is_tie(const candidate *a, const candidate *b)
{
    return a->kind == b->kind && a->stem == OTHER_STEM && b->stem == OTHER_STEM;
}

static bool
is_better(const candidate *a, const candidate *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->stem != b->stem)
        return a->stem < b->stem;
    return a->stem != OTHER_STEM &&
           a->is_index == stems[a->stem].prefers_shards &&
           b->is_index != a->is_index;
}

/* The best of one variant; best->name is NULL if there is none of it. */
static dfx_status
find_variant(const char *const *names, size_t count, const char *variant,
             size_t variant_size, candidate *best, dfx_error *err)
{
    const char *rival = NULL;

    *best = (candidate){0};
    for (size_t i = 0; i < count; i++) {
        candidate c;

        if (!parse_name(names[i], &c) || !is_variant(&c, variant, variant_size))
            continue;
        if (best->name == NULL || is_better(&c, best)) {
            *best = c;
            rival = NULL;
        } else if (is_tie(&c, best)) {
            rival = c.name;
        }
    }
    if (rival != NULL)
        return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                        "%s and %s could both be the weights", best->name,
                        rival);
    return DFX_OK;
}

/* For weights that all have a variant: the first, if there is no other. NULL in
 *variant if there are no weights. */
static dfx_status
only_variant(const char *const *names, size_t count, const char **variant,
             size_t *size, dfx_error *err)
{
    *variant = NULL;
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        candidate c;

        if (!parse_name(names[i], &c))
            continue;
        if (*variant != NULL && !is_variant(&c, *variant, *size))
            return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                            "the weights are there as %.*s and as %.*s, say "
                            "which with --variant",
                            (int)*size, *variant, (int)c.variant_size,
                            c.variant);
        *variant = c.variant;
        *size = c.variant_size;
    }
    return DFX_OK;
}

dfx_status
dfx_folder_choose(const char *const *names, size_t count, const char *wanted,
                  dfx_weights_choice *choice, dfx_error *err)
{
    candidate best = {0};
    const char *variant = NULL;
    size_t size = 0;

    if (wanted != NULL)
        DFX_TRY(find_variant(names, count, wanted, strlen(wanted), &best, err));
    if (best.name == NULL)
        DFX_TRY(find_variant(names, count, NULL, 0, &best, err));
    if (best.name == NULL) {
        DFX_TRY(only_variant(names, count, &variant, &size, err));
        if (variant != NULL && wanted != NULL)
            return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                            "there are no weights of variant %s, only of %.*s",
                            wanted, (int)size, variant);
        if (variant != NULL)
            DFX_TRY(find_variant(names, count, variant, size, &best, err));
    }
    *choice = (dfx_weights_choice){best.name, best.variant, best.variant_size};
    return DFX_OK;
}
