/*
 * run.h - what the commands of dfx-run share
 */
#ifndef DFX_TOOL_RUN_H
#define DFX_TOOL_RUN_H

#include "dfx.h"
#include "options.h"
#include "report.h"

typedef struct run_request {
    const dfx_tool *tool;
    bool given[DFX_OPTION_ROWS]; /* by dfx_option: it stands there */
    dfx_texts operands, prompts, controls, loras, embeddings, sets;
    const char *output, *save_latents, *save_tensor, *preview;
    const char *inputs, *activations, *ids, *vae;
    const char *golden, *tolerance, *junit, *html;
    bool exact, layers;
    double timestep; /* NaN: none was given */
    bool hidden_states, second;
    dfx_model_options open;
    dfx_image_request image;
    bool grid, force, json, quiet, progress, help, version;
    bool list_formats, list_families;
    dfx_colour_when colour;
    unsigned threads;
} run_request;

/* A command: exit status. */
typedef int run_command(run_request *r);

run_command run_image; /* txt2img, img2img, inpaint: image.task says which */
run_command run_encode, run_denoise, run_vae_encode, run_vae_decode;
run_command run_schedule, run_tokenize;
run_command run_record, run_check, run_compare, run_bench;

/* Where the one operand after the command is; NULL after a message. what: of
   what, "MODEL". */
const char *run_operand(const run_request *r, const char *what);
/* The same of two or more of them: those from the first on, count of them. NULL
   after a message. */
const char *const *run_operands(const run_request *r, size_t count,
                                const char *what);
/* --OPTION is missing: a message, and DFX_EXIT_USAGE. */
int run_lacks(const run_request *r, const char *option);

/* ---- run_golden.c -------------------------------------------------------- */

/* The recipe of the command line, with its defaults, is in r->image. */
void run_take_recipe(run_request *r);
/* A run of the model at path: of first's recipe, or if that is NULL of
   r->image. *golden is owned. */
DFX_CHECKED dfx_status run_golden_of(run_request *r, const char *path,
                                     const dfx_golden *first,
                                     dfx_golden **golden, dfx_error *err);
/* A document's head with the recipe: {schema, path, recipe}. */
cJSON *run_golden_head(const char *path, const dfx_golden *golden);
/* same, max_abs, relative, cosine. */
void run_add_distance(cJSON *object, const dfx_distance *distance);

/* ---- run_compare_html.c -------------------------------------------------- */

/* A page of both at path; false: errno says why it could not be written. */
bool run_compare_html(const char *path, const char *const names[2],
                      dfx_golden *const goldens[2]);

#endif
