/*
 * dfx.h - reading, converting and checking diffusion model files
 *
 * The one public header of libdfx. The path of every job:
 *
 *   dfx_open      a file or folder -> dfx_index: tensors, files, metadata
 *   dfx_identify  index -> dfx_identity: components, family, evidence
 *   dfx_convert   index + identity + options -> dfx_plan: every output byte
 *   dfx_plan_run  does it; each output appears whole or not at all
 *
 * Nothing here prints, exits, touches signals or the locale. Different objects
 * may be used from different threads; one object may be read by several
 * threads once it is made. Names are UTF-8. Sizes and offsets are bytes.
 *
 * Ownership: what dfx_..._free releases is the caller's; every pointer read out
 * of an object is borrowed and lives as long as that object. An identity or a
 * plan borrows from its index, so the index is freed last.
 */
#ifndef DFX_H
#define DFX_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DFX_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define DFX_CHECKED __attribute__((warn_unused_result))
#define DFX_API __attribute__((visibility("default")))
#else
#define DFX_PRINTF(fmt, first)
#define DFX_CHECKED
#define DFX_API
#endif

/* The release, such as "0.1.0". Static. */
DFX_API const char *dfx_version(void);

/* ---- Errors ---------------------------------------------------------- */

typedef enum dfx_status {
    DFX_OK = 0,
    DFX_ERR_USAGE,       /* the caller broke the contract of the function */
    DFX_ERR_NOMEM,       /* memory ran out */
    DFX_ERR_IO,          /* the system refused; its reason is in the text */
    DFX_ERR_FORMAT,      /* the file breaks a rule of its own format */
    DFX_ERR_UNSUPPORTED, /* the file may be fine; this library cannot do it */
    DFX_ERR_LIMIT,       /* fine, but beyond a limit the caller can raise */
    DFX_ERR_UNSAFE,      /* refused: would run code or leave its folder */
    DFX_ERR_STOPPED      /* the caller's stop flag was set */
} dfx_status;

#define DFX_NO_OFFSET UINT64_MAX
#define DFX_ERROR_CHARS 512 /* of each text; what is longer is cut */

/*
 * What went wrong, for a person and for --json. The caller's; needs no release;
 * means something only after a call that failed.
 */
typedef struct dfx_error {
    dfx_status status;
    const char *rule;           /* stable id such as "st.offsets.hole", or "" */
    uint64_t offset;            /* in the file, DFX_NO_OFFSET if unknown */
    char file[DFX_ERROR_CHARS]; /* "" until a layer that knows it fills it in */
    char tensor[DFX_ERROR_CHARS];
    char text[DFX_ERROR_CHARS]; /* found what, wanted what; no final stop */
} dfx_error;

/*
 * Writes "FILE: tensor "NAME": TEXT [RULE at byte N]" into buf, leaving out
 * what is unknown. Always terminates buf.
 */
DFX_API void dfx_error_print(const dfx_error *err, char *buf, size_t size);

/* The rules in a fixed order, for documentation: false past the last. */
DFX_API bool dfx_rule_at(size_t i, const char **id, const char **demand);

/* ---- Element types --------------------------------------------------- */

/* In the order of lib/types.def and, of blocks, of lib/codecs/codecs.def, which
   hold every fact about them. */
typedef enum dfx_type {
    DFX_TYPE_BOOL,
    DFX_TYPE_F4,
    DFX_TYPE_F6_E2M3,
    DFX_TYPE_F6_E3M2,
    DFX_TYPE_U8,
    DFX_TYPE_I8,
    DFX_TYPE_F8_E5M2,
    DFX_TYPE_F8_E4M3,
    DFX_TYPE_F8_E8M0,
    DFX_TYPE_F8_E4M3FNUZ,
    DFX_TYPE_F8_E5M2FNUZ,
    DFX_TYPE_I16,
    DFX_TYPE_U16,
    DFX_TYPE_F16,
    DFX_TYPE_BF16,
    DFX_TYPE_I32,
    DFX_TYPE_U32,
    DFX_TYPE_F32,
    DFX_TYPE_C64,
    DFX_TYPE_F64,
    DFX_TYPE_I64,
    DFX_TYPE_U64,
    DFX_TYPE_C32, /* these have no name in safetensors */
    DFX_TYPE_C128,
    /* Blocks of GGUF: numbers that share a scale. */
    DFX_TYPE_Q4_0,
    DFX_TYPE_Q4_1,
    DFX_TYPE_Q5_0,
    DFX_TYPE_Q5_1,
    DFX_TYPE_Q8_0,
    DFX_TYPE_Q8_1,
    DFX_TYPE_Q2_K,
    DFX_TYPE_Q3_K,
    DFX_TYPE_Q4_K,
    DFX_TYPE_Q5_K,
    DFX_TYPE_Q6_K,
    DFX_TYPE_Q8_K,
    DFX_TYPE_IQ2_XXS,
    DFX_TYPE_IQ2_XS,
    DFX_TYPE_IQ3_XXS,
    DFX_TYPE_IQ1_S,
    DFX_TYPE_IQ4_NL,
    DFX_TYPE_IQ3_S,
    DFX_TYPE_IQ2_S,
    DFX_TYPE_IQ4_XS,
    DFX_TYPE_IQ1_M,
    DFX_TYPE_TQ1_0,
    DFX_TYPE_TQ2_0,
    DFX_TYPE_MXFP4,
    DFX_TYPE_NVFP4,
    DFX_TYPE_Q1_0,
    DFX_TYPE_Q2_0,
    DFX_TYPE_COUNT
} dfx_type;

/* "F16", as safetensors spells it. Static; "?" outside the enum. */
DFX_API const char *dfx_type_name(dfx_type type);

/*
 * The type of a name as people type it: any case, and the names of PyTorch
 * ("float16", "bfloat16", "half", "float8_e4m3fn"). DFX_TYPE_COUNT if none.
 */
DFX_API dfx_type dfx_type_named(const char *name);

/*
 * The fewest elements of a type that fill whole bytes, and those bytes: 1 and 2
 * of F16, 2 and 1 of F4, 32 and 18 of Q4_0, which are a block. 1 and 0
 * outside the enum.
 */
typedef struct dfx_unit {
    uint32_t elements, bytes;
} dfx_unit;
DFX_API dfx_unit dfx_type_unit(dfx_type type);

/* Can tensors of numbers be written in the type? */
DFX_API bool dfx_type_writes(dfx_type type);

/* ---- Index: what a source holds -------------------------------------- */

typedef struct dfx_io dfx_io;
typedef struct dfx_index dfx_index;

/* Bytes of a source. */
typedef struct dfx_extent {
    const dfx_io *io; /* borrowed from the index */
    uint64_t offset;
    uint64_t size;
} dfx_extent;

/* How a weight is stored that is several tensors in the file. */
typedef struct dfx_composite dfx_composite;

typedef struct dfx_tensor {
    const char *name;
    uint32_t component; /* index into the components */
    dfx_type type;
    uint32_t rank;
    const uint64_t *shape; /* outermost first, as PyTorch; rank numbers */
    dfx_extent data;       /* row-major, little-endian, packed */
    const dfx_composite *composite; /* data is computed from its parts; NULL */
} dfx_tensor;

/*
 * A folder has one for each of its parts; a single file has one, named "".
 * Files at the top of a folder belong to the component named "" too.
 */
typedef struct dfx_component {
    const char *name;       /* folder name: "unet", "text_encoder_2", "" */
    const char *library;    /* from model_index.json, or NULL: "diffusers" */
    const char *class_name; /* from model_index.json or config.json, or NULL */
    bool is_null;           /* model_index.json says [null, null] */
} dfx_component;

/* A plain file of a folder: a config, a tokenizer, a licence. */
typedef struct dfx_file {
    const char *path; /* relative, '/' between parts: "unet/config.json" */
    uint32_t component;
    dfx_extent data;
} dfx_file;

/* An entry of metadata. */
typedef struct dfx_meta {
    uint32_t component;
    const char *key;
    const char *value;
    const char *type; /* NULL: the value is a string; else it is JSON of what
                         GGUF calls "u32", "[f32]" and so on. Static */
} dfx_meta;

typedef struct dfx_open_options {
    const char *format;    /* NULL: decided by content; else a format's name */
    const char *variant;   /* of weight files in folders: "fp16"; NULL: none */
    uint64_t max_header;   /* bytes; 0: the format's own limit */
    const char *key;       /* of a checkpoint that nests: where its tensors are,
                              "state_dict"; "": everything; NULL: where they are
                              expected */
    uint64_t max_expanded; /* bytes that compressed input may become; 0: 1 GiB
                              or 64 times its size, whichever is more */
    const char *temp;      /* folder for what is decompressed; NULL: /tmp */
} dfx_open_options;

/* Reads headers, no tensor data. options may be NULL. */
DFX_API DFX_CHECKED dfx_status dfx_open(const char *path,
                                        const dfx_open_options *options,
                                        dfx_index **index, dfx_error *err);
DFX_API void dfx_index_free(dfx_index *index); /* NULL is fine */

DFX_API const char *dfx_index_path(const dfx_index *index);
DFX_API const char *dfx_index_format(const dfx_index *index);
DFX_API const dfx_tensor *dfx_index_tensors(const dfx_index *index,
                                            size_t *count);
/*
 * The form that a tensor is stored in if it is several in the file: "bnb-nf4",
 * "quanto-int8", static; else NULL. *stored is how many bytes it takes there.
 */
DFX_API const char *dfx_tensor_form(const dfx_tensor *tensor, uint64_t *stored);
DFX_API const dfx_component *dfx_index_components(const dfx_index *index,
                                                  size_t *count);
DFX_API const dfx_file *dfx_index_files(const dfx_index *index, size_t *count);
DFX_API const dfx_meta *dfx_index_metadata(const dfx_index *index,
                                           size_t *count);
DFX_API const char *const *dfx_index_warnings(const dfx_index *index,
                                              size_t *count);

/* The file that an extent lies in; for memory a name for messages. */
DFX_API const char *dfx_extent_file(const dfx_extent *extent);

/* Reads size bytes at offset of an extent (both inside it). */
DFX_API DFX_CHECKED dfx_status dfx_extent_read(const dfx_extent *extent,
                                               uint64_t offset, void *buf,
                                               size_t size, dfx_error *err);

/*
 * Checks every rule of the format and goes on after a broken one where the
 * format lets it; if none is broken, also whether configs say what the tensors
 * say. Calls found for each, with an error filled in as a failed dfx_open
 * would; its status is DFX_OK for what is valid but suspicious.
 * Returns DFX_OK if it could judge, whatever it found.
 */
typedef void dfx_finding_fn(void *context, const dfx_error *finding);
DFX_API DFX_CHECKED dfx_status dfx_validate(const char *path,
                                            const dfx_open_options *options,
                                            dfx_finding_fn *found,
                                            void *context, dfx_error *err);

/* The container formats in a fixed order: NULL name past the last. */
DFX_API const char *dfx_format_name_at(size_t i, const char **summary,
                                       bool *writes);

/* ---- Audit: what loading it would do --------------------------------- */

/* From harmless to worst. */
typedef enum dfx_verdict {
    DFX_VERDICT_SAFE,
    DFX_VERDICT_CANNOT_TELL,
    DFX_VERDICT_SUSPICIOUS,
    DFX_VERDICT_DANGEROUS
} dfx_verdict;

/* "safe", "cannot-tell", "suspicious", "dangerous". Static. */
DFX_API const char *dfx_verdict_name(dfx_verdict verdict);

/* A reason to think ill of a file. */
typedef struct dfx_concern {
    dfx_verdict verdict;
    const char *rule;   /* stable id: "pk.global.denied" */
    const char *global; /* the name a pickle imports, "os.system"; or NULL */
    const char *where;  /* the file or member that it is in; "": itself */
    uint64_t position;  /* in that; DFX_NO_OFFSET if unknown */
    const char *reason; /* a sentence */
} dfx_concern;

typedef void dfx_concern_fn(void *context, const dfx_concern *concern);

/*
 * Reads a file or folder for what loading it with PyTorch, diffusers or
 * transformers would run, and runs nothing. found is called for each concern;
 * *verdict is the worst of them. Returns DFX_OK if it could read, whatever it
 * found; what no format recognises is DFX_VERDICT_CANNOT_TELL, and so is, at
 * the least, what it fails on.
 */
DFX_API DFX_CHECKED dfx_status dfx_audit_path(
    const char *path, const dfx_open_options *options, dfx_concern_fn *found,
    void *context, dfx_verdict *verdict, dfx_error *err);

/* The verdict on what was read into an index: no conversion starts from what
   is not safe, but see dfx_convert_options. */
DFX_API dfx_verdict dfx_index_verdict(const dfx_index *index);

/*
 * The pickles of a file as text, an opcode a line: POSITION OPCODE ARGUMENT.
 * Before each pickle stands "# WHERE". Rule KIND_UNKNOWN for what holds none.
 */
typedef void dfx_line_fn(void *context, const char *line);
DFX_API DFX_CHECKED dfx_status dfx_disassemble(const char *path,
                                               const dfx_open_options *options,
                                               dfx_line_fn *line, void *context,
                                               dfx_error *err);

/* ---- Identity: what model it is -------------------------------------- */

typedef struct dfx_identity dfx_identity;

typedef enum dfx_layout {
    DFX_LAYOUT_UNKNOWN,
    DFX_LAYOUT_ORIGINAL, /* the names of LDM / sgm code, used by single files */
    DFX_LAYOUT_DIFFUSERS, /* the names of diffusers and transformers classes */
    DFX_LAYOUT_ADAPTER    /* changes to a model, not a model */
} dfx_layout;

/* "original", "diffusers", "adapter", "unknown". Static. */
DFX_API const char *dfx_layout_name(dfx_layout layout);

/* A component that was recognised, or one a folder names that was not. */
typedef struct dfx_part {
    const char *name;       /* "unet", "text_encoder_2" */
    const char *family;     /* "sd1", "vae_kl", "clip" ...; "unknown" */
    const char *variant;    /* "inpaint", "clip-l"; NULL if plain */
    const char *class_name; /* "UNet2DConditionModel"; NULL if unknown */
    const char *prefix;     /* before its names in the source; "" if none */
    dfx_layout layout;
    const uint32_t *tensors; /* indices into the tensors of the index */
    size_t tensor_count;
    const char *const *missing; /* full names in the source's layout */
    size_t missing_count;
    const char *const *unexpected; /* under the prefix, in no table */
    size_t unexpected_count;
    const char *config; /* JSON text: the config derived; NULL if none */
} dfx_part;

/* One way to read the source. */
typedef struct dfx_candidate {
    const char *family;
    const char *evidence; /* in words: which keys and shapes, or what lacks */
    bool chosen;
} dfx_candidate;

typedef struct dfx_identify_options {
    const char *family;     /* settles it: a name of dfx_family_at; or NULL */
    const char *config_dir; /* folder whose JSON files override ours; or NULL */
    const char *yaml;       /* an original LDM / sgm config file; or NULL */
    const char *const *set; /* "component.field=value", set_count of them */
    size_t set_count;
} dfx_identify_options;

/* options may be NULL. An index nobody recognises is no error: "unknown". */
DFX_API DFX_CHECKED dfx_status dfx_identify(const dfx_index *index,
                                            const dfx_identify_options *options,
                                            dfx_identity **identity,
                                            dfx_error *err);
DFX_API void dfx_identity_free(dfx_identity *identity);

DFX_API dfx_layout dfx_identity_layout(const dfx_identity *identity);
DFX_API const char *dfx_identity_family(const dfx_identity *identity);
/* The variant told by keys and shapes; NULL if plain. */
DFX_API const char *dfx_identity_variant(const dfx_identity *identity);
/* Config sets that all fit the keys; the first is the one used. */
DFX_API const char *const *dfx_identity_variants(const dfx_identity *identity,
                                                 size_t *count);
/* The class for model_index.json; NULL if the parts form no pipeline. */
DFX_API const char *dfx_identity_pipeline(const dfx_identity *identity);
DFX_API const dfx_part *dfx_identity_parts(const dfx_identity *identity,
                                           size_t *count);
DFX_API const dfx_candidate *
dfx_identity_candidates(const dfx_identity *identity, size_t *count);
DFX_API const char *const *dfx_identity_warnings(const dfx_identity *identity,
                                                 size_t *count);

/*
 * Families and config sets in a fixed order, for --families: NULL past the
 * last. *summary says what it is in a line.
 */
DFX_API const char *dfx_family_at(size_t i, const char **summary);

/*
 * The key table of a family or component kind as text, a row a line:
 * DIFFUSERS-NAME <TAB> ORIGINAL-NAME <TAB> where <TAB> operation. Before the
 * rows of each kind stands "# KIND: what it is". NULL if there is no such
 * family. The caller frees it with free().
 */
DFX_API char *dfx_family_rules(const char *family);

/* ---- Conversion ------------------------------------------------------- */

typedef struct dfx_plan dfx_plan;

typedef enum dfx_ema { DFX_EMA_DROP, DFX_EMA_USE, DFX_EMA_KEEP } dfx_ema;
typedef enum dfx_unknown {
    DFX_UNKNOWN_KEEP, /* aside, so that the way back has them */
    DFX_UNKNOWN_ERROR,
    DFX_UNKNOWN_DROP
} dfx_unknown;

/* A component taken from elsewhere: "vae" from an index of its own. */
typedef struct dfx_graft {
    const char *component;
    const dfx_index *index;
    const dfx_identity *identity;
} dfx_graft;

/* How much the columns of matrices matter, from an importance matrix: a GGUF
   file of llama.cpp, or its older .dat. */
typedef struct dfx_imatrix dfx_imatrix;
DFX_API DFX_CHECKED dfx_status dfx_imatrix_open(const char *path,
                                                const dfx_open_options *options,
                                                dfx_imatrix **imatrix,
                                                dfx_error *err);
DFX_API void dfx_imatrix_free(dfx_imatrix *imatrix); /* NULL is fine */

/* Names of types that differ by what a matrix does: NULL past the last. *type
   is what most become: "Q4_K" of "Q4_K_M". */
DFX_API const char *dfx_mix_at(size_t i, const char **type);

/* Forms that weights are written in as several tensors, for --list-types: NULL
   past the last. *bits of a weight, about. */
DFX_API const char *dfx_encoding_at(size_t i, double *bits);

/* Whose names and demands a GGUF file is made to. */
typedef enum dfx_naming {
    DFX_NAMING_FULL,  /* all components, as in a single file: any reader */
    DFX_NAMING_COMFY, /* the network alone, as ComfyUI-GGUF's tools make it */
    DFX_NAMING_DIFFUSERS /* the network alone, for its own loader */
} dfx_naming;

/* What becomes blocks. Those of convert_options.dtype, if that is a type of
   blocks, unless type is set. */
typedef struct dfx_quant_options {
    const char *type; /* a type or a mix: "q4_k", "q4_k_m"; NULL */
    const char *const
        *types; /* "vae=f16": of a component; type_count of them */
    size_t type_count;
    const char *keep; /* extended regular expression: tensors whose names it
                         matches keep their type; NULL */
    const dfx_imatrix *imatrix; /* NULL: none */
    bool best;                  /* the encoders' longer search where there is no
                                   importance: less error, more time */
    dfx_naming naming;
    uint64_t target_size; /* bytes that dst may have: types are chosen by their
                             error; 0: by the names above */
} dfx_quant_options;

typedef struct dfx_convert_options {
    const char *to;          /* "diffusers", "safetensors"; NULL: from dst */
    dfx_type dtype;          /* DFX_TYPE_COUNT: each tensor keeps its own */
    const char *type_rules;  /* "regex=dtype,..."; first match wins; NULL */
    const char *only;        /* "unet,vae"; NULL: all */
    const char *variant;     /* of the weight files written; NULL: none */
    uint64_t max_shard_size; /* bytes of tensors in a file; 0: no limit */
    dfx_ema ema;
    dfx_unknown unknown;
    bool lone;         /* one component: its files at the top of the folder */
    bool plain;        /* exactly what the reference tools write */
    bool force;        /* replace dst */
    bool sync;         /* wait until it is all on the disk: only then
                          does it survive a crash of the machine */
    bool allow_unsafe; /* convert what an audit does not call safe, too */
    bool wrap; /* a checkpoint's tensors stand under "state_dict" in it */
    const char *const *metadata; /* "key=value" */
    size_t metadata_count;
    const char *const *prefixes; /* "component=prefix" of an original file */
    size_t prefix_count;
    const dfx_graft *grafts;
    size_t graft_count;
    dfx_quant_options quant;
} dfx_convert_options;

/* Fills in the defaults. */
DFX_API void dfx_convert_options_init(dfx_convert_options *options);

/*
 * Decides every byte that will be written to dst; writes nothing. err names
 * the missing tensor, the rule, the file that stands in the way.
 */
DFX_API DFX_CHECKED dfx_status dfx_convert(const dfx_index *index,
                                           const dfx_identity *identity,
                                           const char *dst,
                                           const dfx_convert_options *options,
                                           dfx_plan **plan, dfx_error *err);
DFX_API void dfx_plan_free(dfx_plan *plan);

typedef struct dfx_plan_tensor {
    const char *name;
    dfx_type type;
    uint32_t rank;
    const uint64_t *shape;
    uint64_t offset; /* in the file */
    uint64_t size;
    const char *from; /* the expression in words: "cast F16 of unet.x" */
    dfx_type source_type;
    uint64_t source_size;
    const char *component; /* "unet"; NULL: of none that is known */
    const char *encoding;  /* of a part of a weight, what that is written as:
                              "nf4"; its source is said of the first part */
    const char *why; /* it is not in the type that was asked for; NULL: it is,
                        or nothing was asked */
} dfx_plan_tensor;

typedef struct dfx_plan_file {
    const char *path; /* relative to dst; "" if dst is the file */
    uint64_t size;
    const dfx_plan_tensor *tensors;
    size_t tensor_count;
} dfx_plan_file;

DFX_API const dfx_plan_file *dfx_plan_files(const dfx_plan *plan,
                                            size_t *count);
/* What is kept aside, dropped, lost or made up: sentences. */
DFX_API const char *const *dfx_plan_notes(const dfx_plan *plan, size_t *count);
DFX_API uint64_t dfx_plan_bytes(const dfx_plan *plan);

typedef struct dfx_run_options {
    unsigned threads;                  /* 0: as many as OpenMP says */
    const volatile sig_atomic_t *stop; /* polled; not 0: give up, clean up */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context; /* progress comes from any thread,
                      one call at a time */
} dfx_run_options;

/* Writes all outputs of a plan, or none. options may be NULL. */
DFX_API DFX_CHECKED dfx_status dfx_plan_run(dfx_plan *plan,
                                            const dfx_run_options *options,
                                            dfx_error *err);

/*
 * After dfx_plan_run: reads dst again, first every byte against the plan, then
 * as a model of its own, each tensor of which, brought back, is compared with
 * the source's. *compared counts the tensors that dst has. One thread.
 */
DFX_API DFX_CHECKED dfx_status dfx_plan_verify(const dfx_plan *plan,
                                               const dfx_run_options *options,
                                               size_t *compared,
                                               dfx_error *err);

/* ---- What quantization costs ------------------------------------------ */

enum { DFX_BINS = 64 };

/* How the numbers of a tensor differ from their source's. */
typedef struct dfx_measurement {
    const char *path; /* of the file, "" if dst is it; of a weight in parts the
                         folder of its component */
    const char *name;
    const char *type; /* "Q4_K", "nf4" */
    dfx_type source_type;
    uint32_t rank; /* of the source */
    const uint64_t *shape;
    uint64_t bytes; /* that it takes now, all parts of it */
    uint64_t elements;
    double squares;        /* sum of the source's squares */
    double written;        /* of the written numbers' */
    double products;       /* of one times the other */
    double squared_error;  /* sum of squared differences */
    double max_error, max; /* largest difference, largest number, magnitudes */
    /* Of the source and of what was written: how many numbers fall into equal
       parts of [-max, max]. */
    uint64_t histogram[2][DFX_BINS];
} dfx_measurement;

typedef void dfx_measure_fn(void *context, const dfx_measurement *measurement);

/*
 * After dfx_plan_run: reads dst again, decodes it and compares each tensor of
 * numbers with its source. Calls found in the order of the files and of their
 * tensors, from one thread. The same figures for any number of threads.
 */
DFX_API DFX_CHECKED dfx_status dfx_plan_measure(const dfx_plan *plan,
                                                const dfx_run_options *options,
                                                dfx_measure_fn *found,
                                                void *context, dfx_error *err);

/* ---- DDUF archives ---------------------------------------------------- */

/*
 * A DDUF file as an archive, whatever its tensors mean: for listing, unpacking
 * and changing it. dfx_open reads one as a model, dfx_validate checks it.
 */
typedef struct dfx_archive dfx_archive;

typedef struct dfx_archive_entry {
    const char *path;
    dfx_extent data;
    uint64_t offset; /* of the bytes in the archive */
    uint32_t crc;    /* CRC-32; reads that cover data whole check it */
} dfx_archive_entry;

/* Refuses an archive that breaks a rule of the container, of names, or of
   model_index.json. options may be NULL. */
DFX_API DFX_CHECKED dfx_status dfx_archive_open(const char *path,
                                                const dfx_open_options *options,
                                                dfx_archive **archive,
                                                dfx_error *err);
DFX_API void dfx_archive_free(dfx_archive *archive); /* NULL is fine */
/* In the order of names. */
DFX_API const dfx_archive_entry *dfx_archive_entries(const dfx_archive *archive,
                                                     size_t *count);

/* What becomes of an entry. */
typedef struct dfx_archive_change {
    const char *path;
    const char *file; /* new or replaced: where its bytes are; NULL: see data */
    const void *data; /* the same from memory, borrowed; NULL too: removed */
    size_t size;      /* of data */
} dfx_archive_change;

typedef struct dfx_archive_options {
    bool plain; /* the bytes that huggingface_hub writes: no alignment */
    bool force; /* replace dst */
    bool sync;  /* wait until it is all on the disk */
} dfx_archive_options;

/*
 * Plans dst as the entries of base (NULL: none) with changes; dst may be the
 * base, with force. model_index.json comes first, the others by name. Entries
 * that stay are copied as they are. What would break a rule is refused, and so
 * is removing what is not there. The base lives as long as the plan.
 */
DFX_API DFX_CHECKED dfx_status dfx_archive_plan(
    const dfx_archive *base, const dfx_archive_change *changes, size_t count,
    const char *dst, const dfx_archive_options *options, dfx_plan **plan,
    dfx_error *err);

/*
 * The same with fields set in the configs of components, by settings such as
 * "unet.upcast_attention=true" or "model_index._class_name=..." for the index.
 * The value is JSON, or else a string. Documents that settings leave as they
 * are keep their bytes.
 */
DFX_API DFX_CHECKED dfx_status dfx_archive_set(
    const dfx_archive *base, const char *const *settings, size_t count,
    const char *dst, const dfx_archive_options *options, dfx_plan **plan,
    dfx_error *err);

/* Plans the folder dst with the entries of these paths (count 0: all), which a
   path of a folder of the archive stands for, too. */
DFX_API DFX_CHECKED dfx_status dfx_archive_extract(
    const dfx_archive *archive, const char *const *paths, size_t count,
    const char *dst, const dfx_archive_options *options, dfx_plan **plan,
    dfx_error *err);

/* ---- Hashes and differences ------------------------------------------ */

#define DFX_HASH_CHARS 65 /* SHA-256 in lower-case hex, and the NUL */

/* SHA-256 of a tensor's stored bytes. */
DFX_API DFX_CHECKED dfx_status dfx_hash_tensor(const dfx_tensor *tensor,
                                               char hash[DFX_HASH_CHARS],
                                               dfx_error *err);
/* SHA-256 of a file's bytes. */
DFX_API DFX_CHECKED dfx_status dfx_hash_file(const char *path,
                                             char hash[DFX_HASH_CHARS],
                                             dfx_error *err);
/*
 * The hash of the model, whatever the container and the layout: SHA-256 over
 * the lines "COMPONENT NAME TYPE SHAPE HASH\n" of all tensors of recognised
 * components in Diffusers names and form, sorted bytewise; for an unknown
 * source over all its tensors as they are named there.
 */
DFX_API DFX_CHECKED dfx_status dfx_hash_content(const dfx_index *index,
                                                const dfx_identity *identity,
                                                char hash[DFX_HASH_CHARS],
                                                dfx_error *err);

typedef enum dfx_difference {
    DFX_DIFF_ONLY_A,
    DFX_DIFF_ONLY_B,
    DFX_DIFF_TYPE,  /* types or shapes differ */
    DFX_DIFF_VALUES /* bytes differ; max_abs says by how much */
} dfx_difference;

typedef struct dfx_tensor_diff {
    const char *component; /* Diffusers names, both sides brought there */
    const char *name;
    dfx_difference what;
    const dfx_tensor *a; /* NULL where it is missing */
    const dfx_tensor *b;
    double max_abs;     /* NaN where it makes no sense */
    uint64_t different; /* elements whose values differ */
} dfx_tensor_diff;

typedef void dfx_diff_fn(void *context, const dfx_tensor_diff *diff);

/* Calls found for each tensor that differs, in order of names. */
DFX_API DFX_CHECKED dfx_status dfx_diff(const dfx_index *a,
                                        const dfx_identity *identity_a,
                                        const dfx_index *b,
                                        const dfx_identity *identity_b,
                                        dfx_diff_fn *found, void *context,
                                        size_t *same, dfx_error *err);

/* ---- The runner ---------------------------------------------------------- */

/* A model whose networks can be computed, whatever it is stored as. */
typedef struct dfx_model dfx_model;

typedef struct dfx_model_options {
    dfx_open_options open;
    dfx_identify_options identify;
    bool allow_unsafe; /* of what an audit does not call safe, too */
} dfx_model_options;

/* options may be NULL. *model is owned: dfx_model_free. */
DFX_API DFX_CHECKED dfx_status dfx_model_open(const char *path,
                                              const dfx_model_options *options,
                                              dfx_model **model,
                                              dfx_error *err);
DFX_API void dfx_model_free(dfx_model *model); /* NULL is fine */

/* Named arrays: what goes into a stage of a model, and what comes out. */
typedef struct dfx_values dfx_values;

#define DFX_VALUE_RANK 8

typedef struct dfx_value {
    const char *name;
    dfx_type type; /* F32 or I64 */
    uint32_t rank;
    uint64_t shape[DFX_VALUE_RANK];
    uint64_t count;   /* product of shape */
    const void *data; /* float or int64_t, row-major */
} dfx_value;

DFX_API DFX_CHECKED dfx_status dfx_values_new(dfx_values **values,
                                              dfx_error *err);
DFX_API void dfx_values_free(dfx_values *values); /* NULL is fine */
/* All tensors of a file of any format: numbers as F32, integers as I64. Adds to
   values. */
DFX_API DFX_CHECKED dfx_status dfx_values_read(dfx_values *values,
                                               const char *path,
                                               dfx_error *err);
/* As a safetensors file, in the order of their names. */
DFX_API DFX_CHECKED dfx_status dfx_values_write(const dfx_values *values,
                                                const char *path, bool force,
                                                dfx_error *err);
/* Copies the numbers; replaces a value of that name. */
DFX_API DFX_CHECKED dfx_status dfx_values_add(dfx_values *values,
                                              const char *name, dfx_type type,
                                              uint32_t rank,
                                              const uint64_t *shape,
                                              const void *data, dfx_error *err);
DFX_API size_t dfx_values_count(const dfx_values *values);
DFX_API const dfx_value *dfx_values_at(const dfx_values *values, size_t i);
/* NULL if there is none. */
DFX_API const dfx_value *dfx_values_find(const dfx_values *values,
                                         const char *name);

/* Text through the text encoders. */
typedef struct dfx_encode_options {
    const char *prompt, *negative; /* NULL: none */
    const int64_t *ids;            /* in place of a prompt: rows of tokens */
    size_t id_rows, id_columns;
    unsigned clip_skip; /* 0: none */
    bool hidden_states; /* all of them, as hidden_states.N */
} dfx_encode_options;

/*
 * Adds input_ids, last_hidden_state, pooler_output and, if the encoder has a
 * projection, text_embeds; with suffix _2 those of a second encoder; and of a
 * pipeline prompt_embeds, negative_prompt_embeds, pooled_prompt_embeds,
 * negative_pooled_prompt_embeds.
 */
DFX_API DFX_CHECKED dfx_status dfx_run_encode(dfx_model *model,
                                              const dfx_encode_options *options,
                                              dfx_values *out, dfx_error *err);

/*
 * One call of the UNet, or of the ControlNet that the model is. in has sample,
 * timestep (unless that is given), encoder_hidden_states, and what the model
 * asks for besides: text_embeds, time_ids, timestep_cond, class_labels,
 * controlnet_cond, conditioning_scale, guess_mode; residuals as down.N, mid.
 * Adds sample, or down.N and mid. timestep: NaN if in has it. activations, if
 * it is not NULL, gets what each module gives, by its name in the model's files
 * (conv_in, down_blocks.0.resnets.0, ...); a second call of the same is NAME#2.
 */
DFX_API DFX_CHECKED dfx_status dfx_run_denoise(dfx_model *model,
                                               const dfx_values *in,
                                               double timestep, dfx_values *out,
                                               dfx_values *activations,
                                               dfx_error *err);

/* image in -1 .. 1 -> mean, logvar, std; of a tiny autoencoder encoded. */
DFX_API DFX_CHECKED dfx_status dfx_run_vae_encode(dfx_model *model,
                                                  const dfx_values *in,
                                                  bool tiled, dfx_values *out,
                                                  dfx_error *err);
/* latent, unscaled -> decoded, in -1 .. 1. */
DFX_API DFX_CHECKED dfx_status dfx_run_vae_decode(dfx_model *model,
                                                  const dfx_values *in,
                                                  bool tiled, dfx_values *out,
                                                  dfx_error *err);

/* The steps of a scheduler of scheduler_config.json. */
typedef struct dfx_timetable {
    double *timesteps; /* owned: dfx_timetable_fini */
    size_t timestep_count;
    float *sigmas; /* owned; with the final one; NULL: the class has none */
    size_t sigma_count;
    double initial; /* init_noise_sigma */
} dfx_timetable;

/* config: a file; NULL: the defaults of the class. name: a class, or a name of
   A1111; NULL: what config says. */
DFX_API DFX_CHECKED dfx_status dfx_run_schedule(const char *config,
                                                const char *name,
                                                uint32_t steps,
                                                dfx_timetable *out,
                                                dfx_error *err);
DFX_API void dfx_timetable_fini(dfx_timetable *timetable);

/* Ids of a text with those of start and end, not cut; second: of tokenizer_2.
   *ids is owned: free(). */
DFX_API DFX_CHECKED dfx_status dfx_run_tokenize(dfx_model *model, bool second,
                                                const char *text, size_t size,
                                                uint32_t **ids, size_t *count,
                                                dfx_error *err);

typedef enum dfx_task {
    DFX_TASK_TXT2IMG,
    DFX_TASK_IMG2IMG, /* also of models that take an instruction (pix2pix) */
    DFX_TASK_INPAINT
} dfx_task;

/* A ControlNet beside the model. */
typedef struct dfx_control {
    const char *path;  /* of its model */
    const char *image; /* picture or FILE[:NAME] */
    double scale;
    double start, end; /* part of the steps, 0 .. 1 */
} dfx_control;

/* Low-rank changes of weights. */
typedef struct dfx_lora_use {
    const char *path;
    double scale;
} dfx_lora_use;

/* What SDXL is told of its picture: height, width or y, x. */
typedef struct dfx_picture_sizes {
    const size_t *original, *crop, *target; /* NULL: the picture's, 0 0 */
} dfx_picture_sizes;

/* A run after a call of its scheduler. */
typedef struct dfx_image_step {
    size_t done, calls;
    const dfx_values *preview; /* image, if that was asked for; else NULL */
} dfx_image_step;

/* A whole run. FILE[:NAME] is a tensor in a file. Numbers that are NaN and
   counts that are 0 have the default of the pipeline. */
typedef struct dfx_image_request {
    dfx_task task;
    const char *const *prompts;
    size_t prompt_count;
    const char *prompt_2; /* for the second encoder; NULL: the same */
    const char *negative, *negative_2; /* NULL: none was given */
    size_t images;                     /* of each prompt */
    size_t width, height;
    uint32_t steps;
    double guidance, guidance_rescale, image_guidance, eta, strength;
    double denoising_start, denoising_end;
    unsigned clip_skip;
    uint64_t seed;
    bool cuda; /* seeds are those of PyTorch's CUDA generator */
    const char *scheduler;        /* class or name of A1111; NULL */
    const char *scheduler_config; /* file; NULL */
    const char *image, *mask;     /* picture or FILE[:NAME] */
    const char *latents;          /* FILE[:NAME]: noise of deviation 1 */
    const char *noise; /* FILE[:NAME]: what is drawn after that, in order */
    const dfx_control *controls;
    size_t control_count;
    bool guess; /* ControlNets without a prompt: guess_mode */
    const dfx_lora_use *loras;
    size_t lora_count;
    dfx_model *vae; /* in place of the model's; NULL */
    const char *const *embeddings; /* files of textual inversion */
    size_t embedding_count;
    dfx_picture_sizes sizes, negative_sizes;
    double aesthetic, negative_aesthetic;
    bool tiled;         /* the autoencoder works on tiles */
    bool as_latents;    /* image is latents */
    bool keep_latents;  /* latents.N after each call go into out */
    bool preview;       /* step sees a picture of what there is so far */
    /* After each call; false stops the run. */
    bool (*step)(void *context, const dfx_image_step *step);
    void *context;
} dfx_image_request;

/* Fills in the defaults. */
DFX_API void dfx_image_request_init(dfx_image_request *request);
/* Adds image: [images, 3, height, width] in 0 .. 1; latents if as_latents. */
DFX_API DFX_CHECKED dfx_status dfx_run_image(dfx_model *model,
                                             const dfx_image_request *request,
                                             dfx_values *out, dfx_error *err);

/* A text in a picture: key is Latin-1 of 1 to 79 characters, text UTF-8. */
typedef struct dfx_image_note {
    const char *key, *text;
} dfx_image_note;

/* Picture number which of image, [images, 3, height, width] in 0 .. 1, as a PNG
   file that appears whole or not at all; force replaces one. */
DFX_API DFX_CHECKED dfx_status dfx_image_write(
    const dfx_value *image, size_t which, const dfx_image_note *notes,
    size_t note_count, const char *path, bool force, dfx_error *err);

/* The bytes of that file, without texts; *png is owned: free(). */
DFX_API DFX_CHECKED dfx_status dfx_image_encode(const dfx_value *image,
                                                size_t which, void **png,
                                                size_t *size, dfx_error *err);

/* Threads that the runner uses from now on; 0: one a core. */
DFX_API void dfx_run_threads(unsigned threads);

/* ---- Goldens: what a model gave, to compare others with ------------------ */

/*
 * What goes into one call of a model's UNet in a run of request, without
 * guidance: sample (noise of the seed, [1, channels, height, width] of
 * latents), timestep (500), encoder_hidden_states, and as far as the model
 * takes them text_embeds, time_ids, timestep_cond.
 */
DFX_API DFX_CHECKED dfx_status dfx_run_inputs(dfx_model *model,
                                              const dfx_image_request *request,
                                              dfx_values *in, dfx_error *err);

/* A recipe, and what each stage of a run of it gave. */
typedef struct dfx_golden dfx_golden;

typedef struct dfx_golden_stage {
    const dfx_value *value;
    char hash[DFX_HASH_CHARS]; /* SHA-256 of its numbers, little-endian */
} dfx_golden_stage;

/*
 * Runs a recipe, which is what these members of request say: one prompt, its
 * negative, seed, cuda, steps, width, height, guidance, guidance_rescale, eta,
 * scheduler, clip_skip; step and context serve as in dfx_run_image. ERR_USAGE
 * if others differ from the defaults. Stages, in this order: what
 * dfx_run_encode gives; with layers denoise.MODULE of each module of the UNet
 * in one call on dfx_run_inputs; denoise.sample, which that gives; latents.N
 * after each call of the scheduler; image. *golden is owned: dfx_golden_free.
 */
DFX_API DFX_CHECKED dfx_status dfx_golden_run(dfx_model *model,
                                              const dfx_image_request *request,
                                              bool layers,
                                              dfx_golden **golden,
                                              dfx_error *err);
/* The same recipe, of that size, on another model. */
DFX_API DFX_CHECKED dfx_status
dfx_golden_repeat(const dfx_golden *first, dfx_model *model,
                  bool (*step)(void *context, const dfx_image_step *step),
                  void *context, dfx_golden **golden, dfx_error *err);
/* A zstd frame with a safetensors file of the stages, whose metadata have the
   recipe and the digests: {"dfx.golden": JSON}. */
DFX_API DFX_CHECKED dfx_status dfx_golden_write(const dfx_golden *golden,
                                                const char *path, bool force,
                                                dfx_error *err);
/* RUN_GOLDEN if it is none, or its numbers are not those of its digests. */
DFX_API DFX_CHECKED dfx_status dfx_golden_read(const char *path,
                                               dfx_golden **golden,
                                               dfx_error *err);
DFX_API void dfx_golden_free(dfx_golden *golden); /* NULL is fine */
/* JSON: {prompt, negative, seed, generator, steps, width, height, cfg ...}. */
DFX_API const char *dfx_golden_recipe(const dfx_golden *golden);
/* NULL past the last. */
DFX_API const dfx_golden_stage *dfx_golden_at(const dfx_golden *golden,
                                              size_t i);
DFX_API const dfx_golden_stage *dfx_golden_find(const dfx_golden *golden,
                                                const char *name);

/* How far a value is from another. */
typedef struct dfx_distance {
    bool same; /* type, shape and every bit */
    /* Of values of one type and shape; else NaN. Infinite where one has a
       number and the other none. */
    double max_abs;
    double relative; /* RMS of the difference by that of the first */
    double cosine;   /* of the angle between them */
    double psnr;     /* dB, for numbers from 0 to 1; infinite: no difference */
    double ssim;     /* of pictures [batch, channels, height, width] with sides
                        of 7 at least; else NaN */
} dfx_distance;

DFX_API dfx_distance dfx_value_distance(const dfx_value *first,
                                        const dfx_value *other);

#ifdef __cplusplus
}
#endif

#endif
