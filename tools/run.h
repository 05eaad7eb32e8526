/*
 * run.h - what the commands of dfx-run share
 */
#ifndef DFX_TOOL_RUN_H
#define DFX_TOOL_RUN_H

#include "dfx.h"
#include "options.h"
#include "report.h"

/* Arguments of a repeatable option, or operands. */
typedef struct text_list {
    const char **items; /* owned; the texts are borrowed from argv */
    size_t count;
} text_list;

typedef struct run_request {
    const dfx_tool *tool;
    text_list operands, prompts, controls, loras;
    const char *output, *save_latents, *save_tensor, *preview;
    const char *inputs, *ids, *vae;
    double timestep; /* NaN: none was given */
    bool hidden_states, second;
    dfx_model_options open;
    dfx_image_request image;
    bool force, json, quiet, progress, help, version;
    bool list_formats, list_families;
    dfx_colour_when colour;
    unsigned threads;
} run_request;

/* A command: exit status. */
typedef int run_command(run_request *r);

run_command run_image; /* txt2img, img2img, inpaint: image.task says which */
run_command run_encode, run_denoise, run_vae_encode, run_vae_decode;
run_command run_schedule, run_tokenize;

/* Where the one operand after the command is; NULL after a message. what: of
   what, "MODEL". */
const char *run_operand(const run_request *r, const char *what);
/* --OPTION is missing: a message, and DFX_EXIT_USAGE. */
int run_lacks(const run_request *r, const char *option);

#endif
