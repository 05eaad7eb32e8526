/*
 * types.c - the table of element types
 */
#include <config.h>

#include "types.h"

#include "codecs/codec.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;    /* as safetensors spells it */
    const char *aliases; /* separated by single spaces */
    dfx_unit unit;
    dfx_class class;
    bool is_signed;
    bool in_safetensors;
} table[DFX_TYPE_COUNT] = {
/* Elements that fill whole bytes: of 4 bits two, of 6 four. */
#define UNIT(bits) ((bits) % 8 == 0 ? 1 : (bits) % 4 == 0 ? 2 : 4)
#define TYPE(constant, bits, class, is_signed, in_safetensors, aliases)        \
    [DFX_TYPE_##constant] = {                                                  \
        #constant,         aliases,   {UNIT(bits), UNIT(bits) * (bits) / 8},   \
        DFX_CLASS_##class, is_signed, in_safetensors},
#define CODEC(constant, id, elements, bytes, alias, decoder, encoder)          \
    [DFX_TYPE_##constant] = {#constant,       alias, {elements, bytes},        \
                             DFX_CLASS_BLOCK, true,  false},
#include "types.def"
#include "codecs/codecs.def"
#undef TYPE
#undef CODEC
};

/* The rows stand in the order of the enum, which is public and a rank. */
#define TYPE(constant, bits, class, is_signed, in_safetensors, aliases)        \
    ROW_##constant,
#define CODEC(constant, id, elements, bytes, alias, decoder, encoder)          \
    ROW_##constant,
enum {
#include "types.def"
#include "codecs/codecs.def"
    ROW_COUNT
};
#undef TYPE
#undef CODEC
#define IN_ORDER(constant)                                                     \
    _Static_assert((int)ROW_##constant == (int)DFX_TYPE_##constant,            \
                   "row out of order: " #constant);
#define TYPE(constant, bits, class, is_signed, in_safetensors, aliases)        \
    IN_ORDER(constant)
#define CODEC(constant, id, elements, bytes, alias, decoder, encoder)          \
    IN_ORDER(constant)
#include "types.def"
#include "codecs/codecs.def"
#undef TYPE
#undef CODEC
_Static_assert((int)ROW_COUNT == (int)DFX_TYPE_COUNT, "a type without a row");

const char *
dfx_type_name(dfx_type type)
{
    return type < DFX_TYPE_COUNT ? table[type].name : "?";
}

dfx_unit
dfx_type_unit(dfx_type type)
{
    return type < DFX_TYPE_COUNT ? table[type].unit : (dfx_unit){1, 0};
}

dfx_class
dfx_type_class(dfx_type type)
{
    return type < DFX_TYPE_COUNT ? table[type].class : DFX_CLASS_BITS;
}

bool
dfx_type_signed(dfx_type type)
{
    return type < DFX_TYPE_COUNT && table[type].is_signed;
}

bool
dfx_type_castable(dfx_type from, dfx_type to)
{
    const dfx_codec *codec = dfx_codec_of(to);

    return (dfx_type_class(from) == DFX_CLASS_FLOAT ||
            dfx_type_class(from) == DFX_CLASS_BLOCK) &&
           (dfx_type_class(to) == DFX_CLASS_FLOAT ||
            (codec != NULL && codec->encode != NULL));
}

bool
dfx_type_in_safetensors(dfx_type type)
{
    return type < DFX_TYPE_COUNT && table[type].in_safetensors;
}

dfx_type
dfx_type_from_safetensors(const char *name, size_t size)
{
    for (dfx_type t = 0; t < DFX_TYPE_COUNT; t++)
        if (table[t].in_safetensors && strlen(table[t].name) == size &&
            memcmp(table[t].name, name, size) == 0)
            return t;
    return DFX_TYPE_COUNT;
}

/* Is name, in any case, one of the words of list? */
static bool
is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);

    while (*list != '\0') {
        size_t word = strcspn(list, " ");

        if (word == size && strncasecmp(list, name, size) == 0)
            return true;
        list += word;
        list += *list == ' ';
    }
    return false;
}

dfx_type
dfx_type_named(const char *name)
{
    static const char module[] = "torch."; /* how Python prints a dtype */

    if (strncmp(name, module, sizeof module - 1) == 0)
        name += sizeof module - 1;
    for (dfx_type t = 0; t < DFX_TYPE_COUNT; t++)
        if (strcasecmp(table[t].name, name) == 0 ||
            is_listed(table[t].aliases, name))
            return t;
    return DFX_TYPE_COUNT;
}

const char *
dfx_type_torch_name(dfx_type type, size_t *size)
{
    bool known = type < DFX_TYPE_COUNT && table[type].class != DFX_CLASS_BLOCK;
    const char *names = known ? table[type].aliases : "";

    *size = strcspn(names, " ");
    return names;
}

bool
dfx_type_writes(dfx_type type)
{
    return dfx_type_castable(DFX_TYPE_F32, type);
}
