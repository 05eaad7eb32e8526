/*
 * pipelines.c - which components make which pipeline, and what else a single
 * file of it holds
 *
 * Facts that conditions ask for: those of the deciding component's kind (head
 * of unet_ldm.c, controlnet_ldm.c, vae_kl.c, vae_tiny.c), those of the markers
 * below, and has_NAME for each component found, by its usual name:
 * has_image_encoder, has_text_encoder.
 *
 * Order matters within a family: what is special comes first, the plain model
 * last. A condition of 0 is for sets that nothing in a file tells from another
 * (Turbo from base): --family chooses them. Sources: ComfyUI
 * comfy/supported_models.py for block depths and markers, the published JSON
 * files for classes, the original YAML files for prefixes.
 */
#include <config.h>

#include <string.h>

#include "identify.h"
#include "known.h"

/* ---- Slots ----------------------------------------------------------------
 */

#define UNET                                                                   \
    {                                                                          \
        .component = "unet", .kinds = {"unet_ldm"},                            \
        .prefix = "model.diffusion_model."                                     \
    }
#define VAE                                                                    \
    {                                                                          \
        .component = "vae", .kinds = {"vae_kl", "vae_tiny"},                   \
        .prefix = "first_stage_model."                                         \
    }
#define TEXT_SD1                                                               \
    {                                                                          \
        .component = "text_encoder", .kinds = {"clip"},                        \
        .prefix = "cond_stage_model.transformer."                              \
    }
#define TEXT_SD2                                                               \
    {                                                                          \
        .component = "text_encoder", .kinds = {"openclip", "clip"},            \
        .prefix = "cond_stage_model.model."                                    \
    }
#define CONTROLNET                                                             \
    {                                                                          \
        .component = "controlnet", .kinds = {"controlnet_ldm"},                \
        .prefix = "control_model."                                             \
    }
/* Only folders name these: with IP-Adapters, and those of SD1. */
#define IMAGE_ENCODER                                                          \
    {                                                                          \
        .component = "image_encoder", .kinds = {"clip_vision"},                \
        .optional = true                                                       \
    }
#define SAFETY_CHECKER                                                         \
    {                                                                          \
        .component = "safety_checker", .kinds = {"safety_checker"},            \
        .optional = true, .requires = "requires_safety_checker"                \
    }

static const dfx_slot sd1_slots[] = {
    UNET, VAE, TEXT_SD1, IMAGE_ENCODER, SAFETY_CHECKER, {0},
};

static const dfx_slot sd1_controlnet_slots[] = {
    UNET, VAE, TEXT_SD1, CONTROLNET, IMAGE_ENCODER, SAFETY_CHECKER, {0},
};

/* Image variations and Zero123: an image takes the place of the text. */
static const dfx_slot sd1_image_slots[] = {
    UNET,
    VAE,
    {.component = "image_encoder",
     .kinds = {"clip_vision"},
     .prefix = "cond_stage_model.model.visual."},
    SAFETY_CHECKER,
    {0},
};

static const dfx_slot sd2_slots[] = {
    UNET, VAE, TEXT_SD2, IMAGE_ENCODER, SAFETY_CHECKER, {0},
};

static const dfx_slot sd2_controlnet_slots[] = {
    UNET, VAE, TEXT_SD2, CONTROLNET, SAFETY_CHECKER, {0},
};

/* The original depth model has MiDaS names, the folder's those of DPT. */
static const dfx_slot sd2_depth_slots[] = {
    UNET,
    VAE,
    TEXT_SD2,
    {.component = "depth_estimator",
     .kinds = {"depth_midas"},
     .prefix = "depth_model.model.",
     .optional = true},
    {0},
};

static const dfx_slot sd2_unclip_slots[] = {
    UNET,
    VAE,
    TEXT_SD2,
    {.component = "image_encoder",
     .kinds = {"clip_vision"},
     .prefix = "embedder.model.visual.",
     .optional = true},
    {.component = "image_normalizer",
     .kinds = {"image_normalizer"},
     .prefix = "noise_augmentor.",
     .optional = true},
    {0},
};

static const dfx_slot sdxl_slots[] = {
    UNET,
    VAE,
    {.component = "text_encoder",
     .kinds = {"clip"},
     .prefix = "conditioner.embedders.0.transformer."},
    {.component = "text_encoder_2",
     .kinds = {"openclip", "clip"},
     .prefix = "conditioner.embedders.1.model."},
    IMAGE_ENCODER,
    {0},
};

static const dfx_slot refiner_slots[] = {
    UNET,
    VAE,
    {.component = "text_encoder_2",
     .kinds = {"openclip", "clip"},
     .prefix = "conditioner.embedders.0.model."},
    {0},
};

/* ---- Sets -----------------------------------------------------------------
 */

/*
 * What tells the families: only SD1 projects by 1x1 convolutions. 1280 there is
 * the BERT of the older text-to-image LDM; other widths than 768 are scaled
 * models.
 */
#define SD1 "!lin && !adm && ctx > 0 && ctx != 1280"
#define SD2 "lin && ctx == 1024"
#define SDXL "lin && ctx == 2048"
#define REFINER "lin && ctx == 1280"

/* BK-SDM: one resnet a level. SDXS too, without attention in the first. */
#define BK_BASE " && N == 4 && L == 1 && MID > 0"
#define BK_SMALL " && N == 4 && L == 1 && MID == 0"
#define BK_TINY " && N == 3 && L == 1 && MID == 0 && AD[0]"
#define SDXS " && N == 3 && L == 1 && MID == 0 && !AD[0]"
/* Transformer blocks in the last level tell the small SDXL models. */
#define SMALL_XL " && N == 3 && MID < 2 && L == "
#define KOALA " && N == 3 && L == 1"

#define SET(name_, family_, variant_, kind_, when_, also_, slots_, summary_,   \
            ...)                                                               \
    {                                                                          \
        .name = name_, .family = family_, .variant = variant_, .kind = kind_,  \
        .when = when_, .also = also_, .slots = slots_, .summary = summary_,    \
        __VA_ARGS__                                                            \
    }

/* clang-format off */
static const dfx_set sets[] = {
    SET("controlnet-sd15", "controlnet_sd1", NULL, "controlnet_ldm", SD1, NULL, sd1_controlnet_slots, "ControlNet for Stable Diffusion 1, alone or with its base model", .base = "sd15", .pipeline = "StableDiffusionControlNetPipeline"),
    SET("controlnet-sd21", "controlnet_sd2", NULL, "controlnet_ldm", SD2, NULL, sd2_controlnet_slots, "ControlNet for Stable Diffusion 2, alone or with its base model", .base = "sd21-base", .pipeline = "StableDiffusionControlNetPipeline"),
    SET("controlnet-sdxl-small", "controlnet_sdxl", NULL, "controlnet_ldm", "ctx == 0 && adm == 2816", NULL, NULL, "ControlNet for SDXL, small"),
    SET("controlnet-sdxl-mid", "controlnet_sdxl", NULL, "controlnet_ldm", SDXL " && TD[2,0] == 1", NULL, NULL, "ControlNet for SDXL, mid"),
    SET("controlnet-sdxl", "controlnet_sdxl", NULL, "controlnet_ldm", SDXL, NULL, NULL, "ControlNet for SDXL"),
    SET("controlnet-sdxl-union-promax", "controlnet_sdxl_union", NULL, "controlnet_union", "types == 8", NULL, NULL, "ControlNet union for SDXL, eight kinds of control"),
    SET("controlnet-sdxl-union", "controlnet_sdxl_union", NULL, "controlnet_union", NULL, NULL, NULL, "ControlNet union for SDXL, six kinds of control"),

    SET("stable-zero123", "sd1", "zero123", "unet_ldm", SD1 " && in == 8 && has_image_encoder && !has_text_encoder", NULL, sd1_image_slots, "Stable Zero123: no Diffusers pipeline", .base = "sd15-pix2pix", .pipeline = ""),
    SET("sd1-image-variations", "sd1", "image-variations", "unet_ldm", SD1 " && in == 4 && has_image_encoder && !has_text_encoder", NULL, sd1_image_slots, "Stable Diffusion image variations"),
    SET("sd15-inpaint", "sd1", "inpaint", "unet_ldm", SD1 " && in == 9", NULL, sd1_slots, "Stable Diffusion 1.5 inpainting"),
    SET("sd15-pix2pix", "sd1", "pix2pix", "unet_ldm", SD1 " && in == 8", "stable-zero123", sd1_slots, "InstructPix2Pix, Stable Diffusion 1.5"),
    SET("sd15-lcm", "sd1", "lcm", "unet_ldm", SD1 " && cond", NULL, sd1_slots, "Latent consistency model of Stable Diffusion 1.5"),
    SET("bk-sdm-base", "sd1", "bk-sdm-base", "unet_ldm", SD1 BK_BASE, NULL, sd1_slots, "BK-SDM base, small-sd"),
    SET("bk-sdm-small", "sd1", "bk-sdm-small", "unet_ldm", SD1 BK_SMALL, NULL, sd1_slots, "BK-SDM small"),
    SET("bk-sdm-tiny", "sd1", "bk-sdm-tiny", "unet_ldm", SD1 BK_TINY, NULL, sd1_slots, "BK-SDM tiny, tiny-sd"),
    SET("sdxs-512", "sd1", "sdxs", "unet_ldm", SD1 SDXS, NULL, sd1_slots, "SDXS-512", .base = "sd15"),
    SET("sd15", "sd1", NULL, "unet_ldm", SD1, "sd14", sd1_slots, "Stable Diffusion 1.5 and its like"),
    SET("sd14", "sd1", NULL, "unet_ldm", "0", NULL, sd1_slots, "Stable Diffusion 1.4"),

    SET("sd-x4-upscaler", "sd2", "x4-upscaler", "unet_ldm", SD2 " && classes && in == 7", NULL, sd2_slots, "Stable Diffusion x4 upscaler"),
    SET("sd21-unclip-h", "sd2", "unclip-h", "unet_ldm", SD2 " && adm == 2048", NULL, sd2_unclip_slots, "Stable unCLIP 2.1, CLIP ViT-H image encoder"),
    SET("sd21-unclip-l", "sd2", "unclip-l", "unet_ldm", SD2 " && adm == 1536", NULL, sd2_unclip_slots, "Stable unCLIP 2.1, CLIP ViT-L image encoder"),
    SET("sd2-depth", "sd2", "depth", "unet_ldm", SD2 " && in == 5", NULL, sd2_depth_slots, "Stable Diffusion 2 depth to image"),
    SET("sd2-inpaint", "sd2", "inpaint", "unet_ldm", SD2 " && in == 9", NULL, sd2_slots, "Stable Diffusion 2 inpainting"),
    SET("bk-sdm-v2-base", "sd2", "bk-sdm-v2-base", "unet_ldm", SD2 BK_BASE, NULL, sd2_slots, "BK-SDM v2 base"),
    SET("bk-sdm-v2-small", "sd2", "bk-sdm-v2-small", "unet_ldm", SD2 BK_SMALL, NULL, sd2_slots, "BK-SDM v2 small"),
    SET("bk-sdm-v2-tiny", "sd2", "bk-sdm-v2-tiny", "unet_ldm", SD2 BK_TINY, NULL, sd2_slots, "BK-SDM v2 tiny"),
    SET("sdxs-512-v2", "sd2", "sdxs", "unet_ldm", SD2 SDXS, NULL, sd2_slots, "SDXS-512 with the text encoder of Stable Diffusion 2", .base = "sd21-base"),
    SET("sd21-base", "sd2", NULL, "unet_ldm", SD2 " && epsilon", NULL, sd2_slots, "Stable Diffusion 2 and 2.1 base: epsilon prediction, 512 pixels"),
    SET("sd21-v", "sd2", NULL, "unet_ldm", SD2, "sd21-base,sd20-v", sd2_slots, "Stable Diffusion 2.1: v prediction, 768 pixels"),
    SET("sd20-v", "sd2", NULL, "unet_ldm", "0", NULL, sd2_slots, "Stable Diffusion 2.0: v prediction, 768 pixels"),

    SET("cosxl-edit", "sdxl", "cosxl-edit", "unet_ldm", SDXL " && edm_vpred && in == 8", NULL, sdxl_slots, "CosXL edit"),
    SET("cosxl", "sdxl", "cosxl", "unet_ldm", SDXL " && edm_vpred", NULL, sdxl_slots, "CosXL"),
    SET("sdxl-pix2pix", "sdxl", "pix2pix", "unet_ldm", SDXL " && in == 8", "cosxl-edit", sdxl_slots, "InstructPix2Pix, SDXL"),
    SET("sdxl-inpaint", "sdxl", "inpaint", "unet_ldm", SDXL " && in == 9", NULL, sdxl_slots, "SDXL inpainting"),
    SET("sdxl-lcm", "sdxl", "lcm", "unet_ldm", SDXL " && cond", NULL, sdxl_slots, "Latent consistency model of SDXL"),
    SET("ssd-1b", "sdxl", "ssd-1b", "unet_ldm", SDXL SMALL_XL "2 && TD[2,0] == 4", NULL, sdxl_slots, "SSD-1B"),
    SET("vega", "sdxl", "vega", "unet_ldm", SDXL SMALL_XL "2 && TD[2,0] == 2", NULL, sdxl_slots, "Segmind Vega"),
    SET("koala-700m", "sdxl", "koala-700m", "unet_ldm", SDXL KOALA " && TD[2,0] == 5", NULL, sdxl_slots, "KOALA 700M"),
    SET("koala-1b", "sdxl", "koala-1b", "unet_ldm", SDXL KOALA " && TD[2,0] == 6", NULL, sdxl_slots, "KOALA 1B"),
    SET("playground-v2.5", "sdxl", "playground-v2.5", "unet_ldm", SDXL " && edm_mean && edm_std", NULL, sdxl_slots, "Playground v2.5"),
    SET("sdxl-vpred-zsnr", "sdxl", "vpred-zsnr", "unet_ldm", SDXL " && v_pred && ztsnr", NULL, sdxl_slots, "SDXL, v prediction, zero terminal SNR"),
    SET("sdxl-vpred", "sdxl", "vpred", "unet_ldm", SDXL " && v_pred", NULL, sdxl_slots, "SDXL, v prediction"),
    SET("sdxl-base", "sdxl", NULL, "unet_ldm", SDXL, "sdxl-turbo,sdxl-lightning", sdxl_slots, "SDXL base and its like"),
    SET("sdxl-turbo", "sdxl", NULL, "unet_ldm", "0", NULL, sdxl_slots, "SDXL Turbo"),
    SET("sdxl-lightning", "sdxl", NULL, "unet_ldm", "0", NULL, sdxl_slots, "SDXL Lightning"),
    SET("sdxl-refiner", "sdxl_refiner", NULL, "unet_ldm", REFINER, NULL, refiner_slots, "SDXL refiner"),

    /* Components alone. f4, and 16 or 32 channels, are no VAE of these. */
    SET("vae-playground", "vae_kl", "playground-v2.5", "vae_kl", "edm_mean && edm_std", NULL, NULL, "VAE of Playground v2.5", .base = "playground-v2.5"),
    SET("vae-sd1", "vae_kl", NULL, "vae_kl", "latent == 4 && N == 4", "vae-sdxl,vae-sdxl-fp16-fix,sd15,sd21-v,sdxl-base,playground-v2.5", NULL, "VAE of Stable Diffusion 1 and 2"),
    SET("vae-sdxl", "vae_kl", NULL, "vae_kl", "0", NULL, NULL, "VAE of SDXL"),
    SET("vae-sdxl-fp16-fix", "vae_kl", NULL, "vae_kl", "0", NULL, NULL, "VAE of SDXL that works in half precision"),
    SET("taesd3", "taesd", NULL, "vae_tiny", "latent == 16", "taef1", NULL, "Tiny autoencoder for Stable Diffusion 3"),
    SET("taef1", "taesd", NULL, "vae_tiny", "0", NULL, NULL, "Tiny autoencoder for FLUX.1"),
    SET("taesd", "taesd", NULL, "vae_tiny", NULL, "taesdxl", NULL, "Tiny autoencoder for Stable Diffusion 1 and 2"),
    SET("taesdxl", "taesd", NULL, "vae_tiny", "0", NULL, NULL, "Tiny autoencoder for SDXL"),
    {0},
};

/* ---- Markers -------------------------------------------------------------- */

#define SCHEDULER "scheduler/scheduler_config.json"

#define SHAPE(...) {__VA_ARGS__}
#define MARKER(tensor_, fact_, family_, document_, field_, value_, rank_, shape_, ...) \
    {.tensor = tensor_, .fact = fact_, .family = family_, .document = document_, .field = field_, .value = value_, .rank = rank_, .shape = shape_, __VA_ARGS__}

static const dfx_marker markers[] = {
    MARKER("edm_vpred.sigma_max", "edm_vpred", "sdxl", SCHEDULER, "sigma_max", NULL, 0, SHAPE(0), .class_name = "EDMEulerScheduler"),
    MARKER("edm_vpred.sigma_min", "edm_vpred", "sdxl", SCHEDULER, "sigma_min", NULL, 0, SHAPE(0), .class_name = "EDMEulerScheduler"),
    MARKER("edm_mean", "edm_mean", "sdxl", "vae/config.json", "latents_mean", NULL, 4, SHAPE(1, 4, 1, 1)),
    MARKER("edm_std", "edm_std", "sdxl", "vae/config.json", "latents_std", NULL, 4, SHAPE(1, 4, 1, 1)),
    MARKER("v_pred", "v_pred", "sdxl", SCHEDULER, "prediction_type", "\"v_prediction\"", 1, SHAPE(0), .unless = "edm_vpred"),
    MARKER("ztsnr", "ztsnr", "sdxl", SCHEDULER, "rescale_betas_zero_snr", "true", 1, SHAPE(0), .unless = "edm_vpred"),
    MARKER("scale_factor", "scale_factor", "", "vae/config.json", "scaling_factor", NULL, 0, SHAPE(0)),
    MARKER("", "epsilon", "", SCHEDULER, "prediction_type", "\"epsilon\"", 0, SHAPE(0)),
    {0},
};

/* ---- Leftovers ------------------------------------------------------------ */

#define SCHEDULE "a table of the training schedule"
#define OPTIMIZER "the optimizer's state"

static const dfx_leftover leftovers[] = {
    {"model_ema.*", DFX_FATE_EMA, "averaged weights"},
    {"optimizer_states.*", DFX_FATE_DROP, OPTIMIZER},
    {"lr_schedulers.*", DFX_FATE_DROP, OPTIMIZER},
    {"callbacks.*", DFX_FATE_DROP, OPTIMIZER},
    {"betas", DFX_FATE_ASIDE, SCHEDULE},
    {"alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"alphas_cumprod_prev", DFX_FATE_ASIDE, SCHEDULE},
    {"sqrt_alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"sqrt_one_minus_alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"log_one_minus_alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"sqrt_recip_alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"sqrt_recipm1_alphas_cumprod", DFX_FATE_ASIDE, SCHEDULE},
    {"posterior_variance", DFX_FATE_ASIDE, SCHEDULE},
    {"posterior_log_variance_clipped", DFX_FATE_ASIDE, SCHEDULE},
    {"posterior_mean_coef1", DFX_FATE_ASIDE, SCHEDULE},
    {"posterior_mean_coef2", DFX_FATE_ASIDE, SCHEDULE},
    {"logvar", DFX_FATE_ASIDE, SCHEDULE},
    {"denoiser.sigmas", DFX_FATE_ASIDE, SCHEDULE},
    {"scale_factor", DFX_FATE_ASIDE, "the VAE's scaling factor, now in its config"},
    {"low_res_model.*", DFX_FATE_ASIDE, "the upscaler's noise schedule"},
    {"noise_augmentor.*", DFX_FATE_ASIDE, "the noise schedule of unCLIP"},
    {"depth_model.*", DFX_FATE_ASIDE, "the depth estimator, which a folder has under other names"},
    {"cc_projection.*", DFX_FATE_ASIDE, "the camera projection of Zero123"},
    {"cond_stage_model.mean", DFX_FATE_ASIDE, "the image encoder's normalization"},
    {"cond_stage_model.std", DFX_FATE_ASIDE, "the image encoder's normalization"},
    {"cond_stage_model.logit_scale", DFX_FATE_ASIDE, "a stray part of a whole CLIP"},
    {"cond_stage_model.transformer.vision_model.*", DFX_FATE_ASIDE, "a stray part of a whole CLIP"},
    {"loss.*", DFX_FATE_ASIDE, "the VAE's training loss"},
    {"first_stage_model.loss.*", DFX_FATE_ASIDE, "the VAE's training loss"},
    {"v_pred", DFX_FATE_ASIDE, "marks v prediction, now in the scheduler's config"},
    {"ztsnr", DFX_FATE_ASIDE, "marks zero terminal SNR, now in the scheduler's config"},
    {"edm_mean", DFX_FATE_ASIDE, "statistics of the latent, now in the VAE's config"},
    {"edm_std", DFX_FATE_ASIDE, "statistics of the latent, now in the VAE's config"},
    {"edm_vpred.*", DFX_FATE_ASIDE, "noise levels, now in the scheduler's config"},
    {0},
};
/* clang-format on */

/* model.diffusion_model.a.0.weight -> model_ema.diffusion_modela0weight */
static bool
pipelines_ema_name(const char *original, char *buf, size_t size)
{
    static const char first[] = "model.", ema[] = "model_ema.";
    const char *from = original + sizeof first - 1;
    size_t used = sizeof ema - 1;

    if (strncmp(original, first, sizeof first - 1) != 0 || size <= used)
        return false;
    memcpy(buf, ema, used);
    for (; *from != '\0'; from++) {
        if (*from == '.')
            continue;
        if (used + 1 >= size)
            return false;
        buf[used++] = *from;
    }
    buf[used] = '\0';
    return true;
}

const dfx_pipelines dfx_pipelines_table = {
    .sets = sets,
    .markers = markers,
    .leftovers = leftovers,
    .ema_name = pipelines_ema_name,
    .known = dfx_known_table,
};
