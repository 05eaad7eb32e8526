/*
 * madeup_net.c - a component kind that exists for a test: can one be added by a
 * file and a line?
 *
 * Facts:
 *   K  layers
 */
#include <config.h>

#include "document.h"
#include "rules.h"

static const dfx_row rows[] = {
    {.folder = "made_up.inlet.{wb}", .original = "m.i.{wb}"},
    {.folder = "made_up.layers.{k}.weight",
     .original = "m.{k+1}.w",
     .loops = "k<K"},
    {0},
};

static const dfx_signature signatures[] = {
    {.layout = DFX_LAYOUT_DIFFUSERS, .all = {"made_up.inlet.weight"}},
    {.layout = DFX_LAYOUT_ORIGINAL, .all = {"m.i.weight", "m.1.w"}},
};

static dfx_status
madeup_net_derive(const dfx_view *view, dfx_facts *facts, dfx_error *err)
{
    int64_t layers = 0;

    while (dfx_view_folder(view, "made_up.layers.%d.weight", (int)layers))
        layers++;
    return dfx_facts_set(facts, "K", 0, 0, layers, err);
}

static dfx_status
madeup_net_config(const dfx_facts *facts, bool complete, cJSON *config,
                  dfx_error *err)
{
    (void)complete;
    if (!dfx_doc_set(config, "layers",
                     dfx_doc_new_int(dfx_facts_get(facts, "K", 0, 0))))
        return dfx_fail_nomem(err);
    return DFX_OK;
}

static const dfx_variant_row variants[] = {
    {.family = "madeup_net", .class_name = "MadeUpModel"},
    {0},
};

const dfx_kind dfx_kind_madeup_net = {
    .name = "madeup_net",
    .summary = "a net that nobody trains",
    .component = "net",
    .weights = "diffusion_pytorch_model",
    .lone_prefix = "",
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof signatures[0],
    .rows = rows,
    .derive = madeup_net_derive,
    .config = madeup_net_config,
    .variants = variants,
};
