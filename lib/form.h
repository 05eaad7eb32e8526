/*
 * form.h - weights that are stored as several tensors
 *
 * bitsandbytes, Quanto, TorchAO, ComfyUI and others store a quantized weight as
 * codes, scales and more. After a source was read, its parts are joined to the
 * one tensor that they are: it has the name, the shape and the numbers that the
 * library gives, so that no family table and no cast sees a part. Where nothing
 * asks for numbers, the parts go along as they are.
 *
 * The core knows no form by name: each is a file in formats/forms.
 */
#ifndef DFX_FORM_H
#define DFX_FORM_H

#include <cjson/cJSON.h>

#include "index.h"

typedef struct dfx_form dfx_form;

struct dfx_composite {
    const char *name; /* "bnb-nf4": what people see. Static */
    const dfx_form *form;
    dfx_type type; /* of its numbers */
    uint32_t rank;
    const uint64_t *shape;
    uint64_t elements;
    const dfx_tensor *parts; /* as they are stored; the codes come first */
    size_t part_count;
    size_t layer; /* bytes of the weight's name before its last dot, which the
                     names of its parts begin with, too */
    /* Numbers first .. first + count, in the order of the elements. */
    dfx_status (*decode)(const dfx_composite *c, uint64_t first, size_t count,
                         float *out, dfx_error *err);
    const void *state; /* of the form */
};

/* One component of an index on its way to be joined. */
typedef struct dfx_joiner {
    dfx_index *index; /* sealed */
    uint32_t component;
    const cJSON *config; /* quantization_config of its config.json; or NULL */
    dfx_type plain;      /* the float type of most other tensors: what the model
                            computes in, where a form does not say */
    void *state;         /* of the form that is being asked */
    struct dfx_joined *list; /* owned */
    size_t count, capacity;
} dfx_joiner;

struct dfx_form {
    const char *method; /* quant_method in config.json; NULL: it has none */
    /* What the form knows of the whole component, into joiner->state, which
       lives as long as the index; NULL: it needs to know nothing. */
    dfx_status (*begin)(dfx_joiner *joiner, dfx_error *err);
    /* Joins what t is the sign of, if it is one. */
    dfx_status (*join)(dfx_joiner *joiner, const dfx_tensor *t, dfx_error *err);
    /* Is it an entry of metadata that says how weights are stored? NULL: there
       is none. */
    bool (*is_meta)(const char *key, const char *value);
    /* What it is written as, ends with one without a name; NULL: it is not. */
    const struct dfx_encoding *encodings;
};

/* The forms in a fixed order; NULL past the last. Static. */
const dfx_form *dfx_form_at(size_t i);

/* Joins what is stored in parts, in all components. index is sealed, and is so
   again. Rule QUANT_FORM for what lacks a part or has another shape. */
DFX_CHECKED dfx_status dfx_index_join(dfx_index *index, dfx_error *err);

/* ---- For forms ----------------------------------------------------------- */

/* Bytes of the name of t before suffix; 0: it does not end so. */
size_t dfx_layer_of(const dfx_tensor *t, const char *suffix);
/* The tensor of the same component called as the first bytes of the name of t,
   and suffix; NULL: there is none. */
const dfx_tensor *dfx_joiner_find(const dfx_joiner *joiner, const dfx_tensor *t,
                                  size_t layer, const char *suffix);
/*
 * Adds what was found: name, form, type, rank, shape, decode and state of
 * composite; the rest is made here. parts may hold NULLs, which are left out;
 * the first is the codes. weight is copied.
 */
DFX_CHECKED dfx_status dfx_joiner_add(dfx_joiner *joiner, const char *weight,
                                      const dfx_composite *composite,
                                      const dfx_tensor *const *parts,
                                      size_t part_count, dfx_error *err);
/* QUANT_FORM about a tensor. */
DFX_CHECKED dfx_status dfx_form_fail(const dfx_tensor *t, dfx_error *err,
                                     const char *fmt, ...) DFX_PRINTF(3, 4);
/* The name of a layer's weight, in the index's arena; NULL: no memory. */
char *dfx_joiner_weight(const dfx_joiner *joiner, const dfx_tensor *t,
                        size_t layer);

/* Elements of a tensor: the product of its shape, which is known to fit. */
uint64_t dfx_tensor_elements(const dfx_tensor *t);
/* Elements first .. first + count of a part as floats: integers and floats. */
DFX_CHECKED dfx_status dfx_part_numbers(const dfx_tensor *part, uint64_t first,
                                        size_t count, float *out,
                                        dfx_error *err);
/* The same of its bytes. */
DFX_CHECKED dfx_status dfx_part_bytes(const dfx_tensor *part, uint64_t first,
                                      size_t count, uint8_t *out,
                                      dfx_error *err);
/* The number that a float is in that type. */
float dfx_round_to(dfx_type type, float x);

/* The numbers of four bits with an exponent of two, E2M1 (OCP MX 1.0). */
extern const float dfx_e2m1[16];

/*
 * Codes times scales, the commonest form: number i is
 * parts[0][i] * parts[1][i / run], and that times factor if it is not 0; each
 * product is rounded to float. With rounds the scale is first rounded to the
 * composite's type.
 */
typedef struct dfx_scaled {
    uint64_t run; /* elements that share a scale */
    float factor;
    bool rounds;
} dfx_scaled;
DFX_CHECKED dfx_status dfx_decode_scaled(const dfx_composite *c, uint64_t first,
                                         size_t count, float *out,
                                         dfx_error *err);

#endif
