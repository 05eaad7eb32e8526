/*
 * bin.c - Diffusers folders whose weights are PyTorch files
 *
 * As diffusers and transformers wrote them before safetensors, and still do
 * with safe_serialization=False: diffusion_pytorch_model.bin,
 * pytorch_model.bin, and pytorch_model-00001-of-00002.bin with
 * pytorch_model.bin.index.json. The folder format reads them.
 */
#include <config.h>

#include "folder.h"

static unsigned
bin_bid(const dfx_evidence *evidence)
{
    (void)evidence;
    return 0; /* a folder is one, whatever its weights are stored as */
}

static dfx_status
bin_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
            dfx_error *err)
{
    dfx_bundle pickled = *bundle;

    pickled.weights_format = "ckpt";
    return dfx_folder_lay_out(&pickled, base, plan, err);
}

const dfx_format dfx_format_bin = {
    .name = "bin",
    .summary = "Diffusers folder, its weights as .bin (PyTorch)",
    .is_folder = true,
    .layout = DFX_LAYOUT_DIFFUSERS,
    .bid = bin_bid,
    .lay_out = bin_lay_out,
    .is_ours = dfx_folder_is_ours,
};
