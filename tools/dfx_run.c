/*
 * dfx_run.c - dfx-run: computes what a model makes
 *
 * Commands are in run_*.c; this file turns a command line into what they get.
 */
#include <config.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "signals.h"
#include "source.h"

static const char *const examples[] = {
    "txt2img model/ --prompt='a red circle' --seed=1 -o circle.png",
    "img2img model.safetensors -i in.png --prompt='a star' -o out.png",
    "encode model/ --prompt='a cat' -o text.safetensors",
    "denoise model/unet --inputs=in.safetensors -o out.safetensors",
    "schedule scheduler_config.json --steps=20 --json",
    "record model/ --prompt='a red circle' -o golden.dfxg",
    "check model.gguf --golden=golden.dfxg --junit=report.xml",
    "compare model/ model-q8.gguf --html=compare.html",
    NULL,
};

static const dfx_tool tool = {
    .bit = DFX_TOOL_RUN,
    .name = "dfx-run",
    .usage = "COMMAND [OPTION]... MODEL",
    .purpose = "Run a Stable Diffusion model, the same bits on every machine. "
               "Commands: txt2img, img2img, inpaint, encode, denoise, "
               "vae-encode, vae-decode, schedule, tokenize, record, check, "
               "compare, bench.",
    .exit_status = "0 done, 1 failed or deviates, 2 wrong use or cannot tell.",
    .examples = examples,
};

/* Commands as bits, for what takes which option. */
enum {
    TXT2IMG = 1,
    IMG2IMG = 1 << 1,
    INPAINT = 1 << 2,
    ENCODE = 1 << 3,
    DENOISE = 1 << 4,
    VAE_ENCODE = 1 << 5,
    VAE_DECODE = 1 << 6,
    SCHEDULE = 1 << 7,
    TOKENIZE = 1 << 8,
    RECORD = 1 << 9,
    CHECK = 1 << 10,
    COMPARE = 1 << 11,
    BENCH = 1 << 12,

    PICTURE = TXT2IMG | IMG2IMG | INPAINT,
    FROM_PICTURE = IMG2IMG | INPAINT,
    STAGE = ENCODE | DENOISE | VAE_ENCODE | VAE_DECODE,
    RECIPE = RECORD | COMPARE,
    MODEL = PICTURE | STAGE | TOKENIZE | RECIPE | CHECK | BENCH
};

static const struct command {
    const char *name;
    run_command *run;
    unsigned bit;
    dfx_task task;
    uint32_t steps; /* unless --steps says how many */
} commands[] = {
    {"txt2img", run_image, TXT2IMG, DFX_TASK_TXT2IMG, 20},
    {"img2img", run_image, IMG2IMG, DFX_TASK_IMG2IMG, 20},
    {"inpaint", run_image, INPAINT, DFX_TASK_INPAINT, 20},
    {"encode", run_encode, ENCODE, DFX_TASK_TXT2IMG, 0},
    {"denoise", run_denoise, DENOISE, DFX_TASK_TXT2IMG, 0},
    {"vae-encode", run_vae_encode, VAE_ENCODE, DFX_TASK_TXT2IMG, 0},
    {"vae-decode", run_vae_decode, VAE_DECODE, DFX_TASK_TXT2IMG, 0},
    {"schedule", run_schedule, SCHEDULE, DFX_TASK_TXT2IMG, 20},
    {"tokenize", run_tokenize, TOKENIZE, DFX_TASK_TXT2IMG, 0},
    {"record", run_record, RECORD, DFX_TASK_TXT2IMG, 4},
    {"check", run_check, CHECK, DFX_TASK_TXT2IMG, 0}, /* the golden says */
    {"compare", run_compare, COMPARE, DFX_TASK_TXT2IMG, 4},
    {"bench", run_bench, BENCH, DFX_TASK_TXT2IMG, 1},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* Options that not every command takes: an option that changes nothing is
   refused. */
static const struct {
    dfx_option option;
    unsigned commands;
} uses[] = {
    /* clang-format off */
    {DFX_OPTION_OUTPUT,           PICTURE | STAGE | RECORD},
    {DFX_OPTION_FORCE,            PICTURE | STAGE | RECORD},
    {DFX_OPTION_GRID,             PICTURE},
    {DFX_OPTION_SAVE_LATENTS,     PICTURE},
    {DFX_OPTION_SAVE_TENSOR,      PICTURE},
    {DFX_OPTION_PREVIEW,          PICTURE},
    {DFX_OPTION_PROMPT,           PICTURE | ENCODE | RECIPE | BENCH},
    {DFX_OPTION_NEGATIVE,         PICTURE | ENCODE | RECIPE | BENCH},
    {DFX_OPTION_PROMPT_2,         PICTURE},
    {DFX_OPTION_NEGATIVE_2,       PICTURE},
    {DFX_OPTION_STEPS,            PICTURE | SCHEDULE | RECIPE},
    {DFX_OPTION_CFG,              PICTURE | RECIPE},
    {DFX_OPTION_CFG_RESCALE,      PICTURE | RECIPE},
    {DFX_OPTION_IMAGE_CFG,        IMG2IMG},
    {DFX_OPTION_SEED,             PICTURE | RECIPE | BENCH},
    {DFX_OPTION_GENERATOR,        PICTURE | RECIPE | BENCH},
    {DFX_OPTION_SIZE,             PICTURE | RECIPE | BENCH},
    {DFX_OPTION_IMAGES,           PICTURE},
    {DFX_OPTION_SCHEDULER,        PICTURE | SCHEDULE | RECIPE},
    {DFX_OPTION_SCHEDULER_CONFIG, PICTURE},
    {DFX_OPTION_ETA,              PICTURE | RECIPE},
    {DFX_OPTION_STRENGTH,         FROM_PICTURE},
    {DFX_OPTION_IMAGE,            FROM_PICTURE},
    {DFX_OPTION_MASK,             INPAINT},
    {DFX_OPTION_CLIP_SKIP,        PICTURE | ENCODE | RECIPE | BENCH},
    {DFX_OPTION_DENOISING_START,  FROM_PICTURE},
    {DFX_OPTION_DENOISING_END,    PICTURE},
    {DFX_OPTION_AS_LATENTS,       PICTURE},
    {DFX_OPTION_LATENTS,          PICTURE},
    {DFX_OPTION_NOISE,            PICTURE},
    {DFX_OPTION_CONTROLNET,       PICTURE},
    {DFX_OPTION_GUESS,            PICTURE},
    {DFX_OPTION_LORA,             PICTURE},
    {DFX_OPTION_EMBEDDING,        PICTURE},
    {DFX_OPTION_VAE,              PICTURE},
    {DFX_OPTION_TILED,            PICTURE | VAE_ENCODE | VAE_DECODE | BENCH},
    {DFX_OPTION_INPUTS,           DENOISE | VAE_ENCODE | VAE_DECODE},
    {DFX_OPTION_ACTIVATIONS,      DENOISE},
    {DFX_OPTION_TIMESTEP,         DENOISE},
    {DFX_OPTION_IDS,              ENCODE},
    {DFX_OPTION_HIDDEN_STATES,    ENCODE},
    {DFX_OPTION_SECOND,           TOKENIZE},
    {DFX_OPTION_GOLDEN,           CHECK},
    {DFX_OPTION_EXACT,            CHECK},
    {DFX_OPTION_TOLERANCE,        CHECK},
    {DFX_OPTION_JUNIT,            CHECK},
    {DFX_OPTION_LAYERS,           RECIPE},
    {DFX_OPTION_HTML,             COMPARE},
    {DFX_OPTION_JSON,             SCHEDULE | RECIPE | CHECK | BENCH},
    {DFX_OPTION_FROM,             MODEL},
    {DFX_OPTION_FAMILY,           MODEL},
    {DFX_OPTION_VARIANT,          MODEL},
    {DFX_OPTION_KEY,              MODEL},
    {DFX_OPTION_MAX_EXPANDED,     MODEL},
    {DFX_OPTION_ALLOW_UNSAFE,     MODEL},
    {DFX_OPTION_CONFIG,           MODEL},
    {DFX_OPTION_SET,              MODEL},
    /* clang-format on */
};

/* ---- The command line ---------------------------------------------------- */

/* Options that only set a member, and how. */
static const struct {
    dfx_option option;
    enum { FLAG, TEXT, LIST, PAIRS, NUMBER, COUNT, UNSIGNED, WORD32 } how;
    size_t member;
} members[] = {
/* clang-format off */
#define MEMBER(option, how, member)                                            \
    {DFX_OPTION_##option, how, offsetof(run_request, member)}
    MEMBER(OPERAND,          LIST,     operands),
    MEMBER(OUTPUT,           TEXT,     output),
    MEMBER(GRID,             FLAG,     grid),
    MEMBER(SAVE_LATENTS,     TEXT,     save_latents),
    MEMBER(SAVE_TENSOR,      TEXT,     save_tensor),
    MEMBER(PREVIEW,          TEXT,     preview),
    MEMBER(PROMPT,           LIST,     prompts),
    MEMBER(NEGATIVE,         TEXT,     image.negative),
    MEMBER(PROMPT_2,         TEXT,     image.prompt_2),
    MEMBER(NEGATIVE_2,       TEXT,     image.negative_2),
    MEMBER(STEPS,            WORD32,   image.steps),
    MEMBER(CFG,              NUMBER,   image.guidance),
    MEMBER(CFG_RESCALE,      NUMBER,   image.guidance_rescale),
    MEMBER(IMAGE_CFG,        NUMBER,   image.image_guidance),
    MEMBER(IMAGES,           COUNT,    image.images),
    MEMBER(SCHEDULER,        TEXT,     image.scheduler),
    MEMBER(SCHEDULER_CONFIG, TEXT,     image.scheduler_config),
    MEMBER(ETA,              NUMBER,   image.eta),
    MEMBER(STRENGTH,         NUMBER,   image.strength),
    MEMBER(IMAGE,            TEXT,     image.image),
    MEMBER(MASK,             TEXT,     image.mask),
    MEMBER(CLIP_SKIP,        UNSIGNED, image.clip_skip),
    MEMBER(DENOISING_START,  NUMBER,   image.denoising_start),
    MEMBER(DENOISING_END,    NUMBER,   image.denoising_end),
    MEMBER(AS_LATENTS,       FLAG,     image.as_latents),
    MEMBER(LATENTS,          TEXT,     image.latents),
    MEMBER(NOISE,            TEXT,     image.noise),
    MEMBER(CONTROLNET,       LIST,     controls),
    MEMBER(GUESS,            FLAG,     image.guess),
    MEMBER(LORA,             LIST,     loras),
    MEMBER(EMBEDDING,        LIST,     embeddings),
    MEMBER(VAE,              TEXT,     vae),
    MEMBER(TILED,            FLAG,     image.tiled),
    MEMBER(INPUTS,           TEXT,     inputs),
    MEMBER(ACTIVATIONS,      TEXT,     activations),
    MEMBER(TIMESTEP,         NUMBER,   timestep),
    MEMBER(IDS,              TEXT,     ids),
    MEMBER(HIDDEN_STATES,    FLAG,     hidden_states),
    MEMBER(SECOND,           FLAG,     second),
    MEMBER(GOLDEN,           TEXT,     golden),
    MEMBER(LAYERS,           FLAG,     layers),
    MEMBER(EXACT,            FLAG,     exact),
    MEMBER(TOLERANCE,        TEXT,     tolerance),
    MEMBER(JUNIT,            TEXT,     junit),
    MEMBER(HTML,             TEXT,     html),
    MEMBER(FROM,             TEXT,     open.open.format),
    MEMBER(FAMILY,           TEXT,     open.identify.family),
    MEMBER(VARIANT,          TEXT,     open.open.variant),
    MEMBER(ALLOW_UNSAFE,     FLAG,     open.allow_unsafe),
    MEMBER(CONFIG,           TEXT,     open.identify.config_dir),
    MEMBER(SET,              PAIRS,    sets),
    MEMBER(FORCE,            FLAG,     force),
    MEMBER(JSON,             FLAG,     json),
    MEMBER(FAMILIES,         FLAG,     list_families),
    MEMBER(LIST_FORMATS,     FLAG,     list_formats),
    MEMBER(PROGRESS,         FLAG,     progress),
    MEMBER(QUIET,            FLAG,     quiet),
    MEMBER(HELP,             FLAG,     help),
    MEMBER(VERSION,          FLAG,     version),
#undef MEMBER
    /* clang-format on */
};

static bool
parse_number(const char *text, double *number)
{
    char *end;

    errno = 0;
    *number = strtod(text, &end);
    if (end != text && *end == '\0' && errno == 0 && isfinite(*number))
        return true;
    dfx_usage(&tool, "'%s' is no number", text);
    return false;
}

static bool
parse_count(const char *text, uint64_t max, uint64_t *count)
{
    char *end;

    errno = 0;
    *count = strtoull(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && text[0] != '-' &&
        *count <= max)
        return true;
    dfx_usage(&tool, "'%s' is no number from 0 to %llu", text,
              (unsigned long long)max);
    return false;
}

/* Sets a member; false after a message. */
static bool
set_member(run_request *r, size_t i, const char *value)
{
    void *member = (char *)r + members[i].member;
    uint64_t count = 0;

    switch (members[i].how) {
    case FLAG:
        *(bool *)member = true;
        return true;
    case TEXT:
        *(const char **)member = value;
        return true;
    case LIST:
        dfx_texts_add(member, value);
        return true;
    case PAIRS: /* NAME=VALUE */
        if (strchr(value, '=') == NULL || value[0] == '=') {
            dfx_usage(&tool, "'%s' should be NAME=VALUE", value);
            return false;
        }
        dfx_texts_add(member, value);
        return true;
    case NUMBER:
        return parse_number(value, member);
    case COUNT:
        if (!parse_count(value, 1 << 20, &count))
            return false;
        *(size_t *)member = (size_t)count;
        return true;
    case UNSIGNED:
        if (!parse_count(value, 1 << 20, &count))
            return false;
        *(unsigned *)member = (unsigned)count;
        return true;
    case WORD32:
        if (!parse_count(value, 1 << 20, &count))
            return false;
        *(uint32_t *)member = (uint32_t)count;
        if (count == 0)
            dfx_usage(&tool, "0 steps make nothing");
        return count > 0;
    }
    return false;
}

/* "512x768" */
static bool
parse_size(run_request *r, const char *text)
{
    char *end;
    unsigned long long width = strtoull(text, &end, 10), height = 0;

    if (*end == 'x')
        height = strtoull(end + 1, &end, 10);
    if (*end == '\0' && text[0] != '-' && width > 0 && height > 0 &&
        width <= 1 << 20 && height <= 1 << 20) {
        r->image.width = (size_t)width;
        r->image.height = (size_t)height;
        return true;
    }
    dfx_usage(&tool, "'%s' is no size; 512x512 is one", text);
    return false;
}

static bool
apply(run_request *r, dfx_option option, const dfx_args *args)
{
    r->given[option] = true;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].option == option)
            return set_member(r, i, args->value);
    switch ((int)option) {
    case DFX_OPTION_SIZE:
        return parse_size(r, args->value);
    case DFX_OPTION_SEED:
        return parse_count(args->value, UINT64_MAX, &r->image.seed);
    case DFX_OPTION_GENERATOR:
        r->image.cuda = args->choice == 1;
        return true;
    case DFX_OPTION_KEY:
        r->open.open.key = dfx_key_of(args->value);
        return true;
    case DFX_OPTION_MAX_EXPANDED:
        return dfx_size_parse(&tool, "max-expanded", args->value,
                              &r->open.open.max_expanded);
    case DFX_OPTION_JOBS:
        return dfx_jobs_parse(&tool, args->value, &r->threads);
    case DFX_OPTION_COLOR:
        r->colour = (dfx_colour_when)args->choice;
        return true;
    default:
        return false; /* reported already */
    }
}

/* ---- Commands ------------------------------------------------------------ */

const char *const *
run_operands(const run_request *r, size_t count, const char *what)
{
    if (r->operands.count < 1 + count) {
        dfx_usage(&tool, "%s %s missing", what, count > 1 ? "are" : "is");
        return NULL;
    }
    if (r->operands.count > 1 + count) {
        dfx_usage(&tool, "what is '%s'? %s is all that %s takes",
                  r->operands.items[1 + count], what, r->operands.items[0]);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (!dfx_check_path(&tool, r->operands.items[1 + i]))
            return NULL;
    return r->operands.items + 1;
}

const char *
run_operand(const run_request *r, const char *what)
{
    const char *const *operands = run_operands(r, 1, what);

    return operands != NULL ? operands[0] : NULL;
}

int
run_lacks(const run_request *r, const char *option)
{
    return dfx_usage(&tool, "%s needs --%s", r->operands.items[0], option);
}

static const char *
command_at(size_t i)
{
    return i < COMMANDS ? commands[i].name : NULL;
}

/* Does the command take all options that were given? False after a message. */
static bool
takes_all(const run_request *r, const struct command *command)
{
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (r->given[uses[i].option] &&
            (uses[i].commands & command->bit) == 0) {
            dfx_usage(&tool, "%s takes no --%s", command->name,
                      dfx_option_name(uses[i].option));
            return false;
        }
    return true;
}

static int
run(run_request *r)
{
    const char *name, *nearest;

    if (r->operands.count == 0)
        return dfx_usage(&tool, "COMMAND and MODEL are missing");
    if ((r->open.open.format != NULL &&
         !dfx_check_format(&tool, r->open.open.format, false)) ||
        (r->open.identify.family != NULL &&
         !dfx_check_family(&tool, r->open.identify.family)))
        return DFX_EXIT_USAGE;
    r->open.identify.set = r->sets.items;
    r->open.identify.set_count = r->sets.count;
    name = r->operands.items[0];
    dfx_run_threads(r->threads);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) {
            if (!takes_all(r, &commands[i]))
                return DFX_EXIT_USAGE;
            r->image.task = commands[i].task;
            if (r->image.steps == 0)
                r->image.steps = commands[i].steps;
            return commands[i].run(r);
        }
    nearest = dfx_nearest(name, command_at);
    return dfx_usage(&tool, "there is no command '%s'%s%s%s", name,
                     nearest != NULL ? "; did you mean " : "",
                     nearest != NULL ? nearest : "",
                     nearest != NULL ? "?" : "");
}

static int
start(run_request *r, int argc, char **argv)
{
    dfx_colours colours;
    dfx_option option;
    dfx_args args;

    dfx_args_init(&args, &tool, argc, argv);
    for (option = dfx_args_next(&args); option != DFX_OPTION_END;
         option = dfx_args_next(&args))
        if (!apply(r, option, &args))
            return DFX_EXIT_USAGE;
    colours = dfx_colours_choose(r->colour, stdout);
    if (r->help)
        dfx_help_print(&tool);
    else if (r->version)
        printf("%s %s\n", tool.name, dfx_version());
    else if (r->list_formats)
        dfx_list_formats(r->json, &colours);
    else if (r->list_families)
        dfx_list_families(r->json, &colours);
    else
        return run(r);
    return DFX_EXIT_YES;
}

int
main(int argc, char **argv)
{
    run_request r = {.tool = &tool, .colour = DFX_COLOUR_AUTO, .timestep = NAN};
    int status;

    dfx_image_request_init(&r.image);
    r.open.open.temp = dfx_temp_folder();
    dfx_signals_catch();
    status = dfx_finish(tool.name, start(&r, argc, argv));
    free(r.operands.items);
    free(r.prompts.items);
    free(r.controls.items);
    free(r.loras.items);
    free(r.embeddings.items);
    free(r.sets.items);
    dfx_signals_raise();
    return status;
}
