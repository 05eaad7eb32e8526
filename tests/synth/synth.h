/*
 * synth.h - synthetic checkpoints: a list of tensors in, the same bytes out on
 * any machine
 *
 * A list is JSON: {"seed": S, "metadata": {...}, "tensors": [[name, dtype,
 * shape, log2_scale, offset, kind], ...]}, where kind is "uniform" (the
 * default), "arange" or "const" and metadata may be absent. Element i of a
 * "uniform" tensor, in arithmetic modulo 2^64:
 *
 *   h = FNV-1a-64(UTF-8 bytes of name) ^ S
 *   z = h + (i + 1) * 0x9E3779B97F4A7C15
 *   z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
 *   z = (z ^ (z >> 27)) * 0x94D049BB133111EB
 *   k = (z ^ (z >> 31)) >> 40                                      24 bits
 *   x = offset + 2^log2_scale * (k - 2^23) / 2^23      in double, then float
 *
 * and from float to the stored type, ties to even; integers: k modulo 128, BOOL
 * modulo 2. "arange" stores i, "const" stores offset.
 *
 * Nothing here uses the library: what tests the library must not be the
 * library. Functions return false after a line on stderr that says what failed.
 */
#ifndef DFX_SYNTH_H
#define DFX_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#define SYNTH_DIGEST_CHARS 17 /* 16 hex digits of a SHA-256, and the NUL */

typedef enum synth_kind { SYNTH_UNIFORM, SYNTH_ARANGE, SYNTH_CONST } synth_kind;

typedef struct synth_tensor {
    char *name;                    /* owned */
    const struct synth_type *type; /* static */
    uint64_t *shape;               /* owned */
    size_t rank;
    uint64_t elements;
    uint64_t size; /* in bytes */
    int log2_scale;
    double offset;
    synth_kind kind;
} synth_tensor;

typedef struct synth_list {
    uint64_t seed;
    synth_tensor *tensors; /* owned */
    size_t count, capacity;
    cJSON *metadata; /* owned; NULL: none */
} synth_list;

/* What the data of a file is made of. */
typedef enum synth_fill {
    SYNTH_VALUES, /* as above */
    SYNTH_ZERO,   /* a hole: the file takes no space */
    SYNTH_RANDOM  /* finite numbers, fast, other bits for other seeds */
} synth_fill;

/* Reads a list. On success it is released with synth_fini. */
bool synth_read(synth_list *list, const char *path);

/*
 * Reads rows [name, dtype, shape, ...]: the top array of a file, or with a key
 * the member of its "components". Scale and offset are those of the reverse
 * cases: -3 and 1 for rank 1 and a name that ends in ".weight", else -4 and 0.
 */
bool synth_read_rows(synth_list *list, const char *path, const char *key,
                     uint64_t seed);

/*
 * Reads a case of keylists/expect-unet.json: the key lists beside the file that
 * its "parts" name, with prefixes, type, additions and replacements.
 */
bool synth_read_case(synth_list *list, const char *path, const char *name);

void synth_fini(synth_list *list);

/* The tensor of that name, or NULL. */
const synth_tensor *synth_find(const synth_list *list, const char *name);
const char *synth_type_name(const synth_tensor *t);
/* Whether its values can be made: not those of types without a rule. */
bool synth_has_values(const synth_tensor *t);

/* Elements first .. first + count of a tensor that has values, little-endian.
 */
void synth_values(const synth_list *list, const synth_tensor *t, uint64_t first,
                  size_t count, void *dst);

/* The first 16 hex digits of the SHA-256 of a tensor's bytes. */
bool synth_digest(const synth_list *list, const synth_tensor *t,
                  char digest[SYNTH_DIGEST_CHARS]);

/*
 * Writes a safetensors file as the reference library does: tensors by type,
 * then by name; metadata by key.
 */
bool synth_write(const synth_list *list, synth_fill fill, const char *path);

#endif
