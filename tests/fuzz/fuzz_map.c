/*
 * fuzz_map.c - from names, shapes and documents to plans for both layouts
 *
 * Readers of bytes have targets of their own; here every input is a readable
 * source. It says in lines what that holds, the data being zeros:
 *
 *   NAME TYPE 2,3      a tensor ("-": of rank 0)
 *   @KEY VALUE         metadata
 *   /COMPONENT         what follows is in the weight file of that component
 *   =PATH TEXT         a document; the source is a folder then
 *   !LETTERS           options of the conversion
 *
 * Lines that make no sense are passed over. What is identified has one owner
 * for every tensor; what is planned stays inside its folder and adds up.
 */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "../unit/scratch.h"
#include "configs.h"
#include "index.h"
#include "json.h"
#include "types.h"

enum { RANK_MAX = 8, DATA_MAX = 1 << 30 };

#define SOURCE "source" /* the folder, in the scratch folder */

/* Where a component's weights are; what is "" stands at the top. */
static const struct {
    const char *component, *path;
} places[] = {
    {"", "diffusion_pytorch_model.safetensors"},
    {"unet", "unet/diffusion_pytorch_model.safetensors"},
    {"vae", "vae/diffusion_pytorch_model.safetensors"},
    {"controlnet", "controlnet/diffusion_pytorch_model.safetensors"},
    {"text_encoder", "text_encoder/model.safetensors"},
    {"text_encoder_2", "text_encoder_2/model.safetensors"},
    {"image_encoder", "image_encoder/model.safetensors"},
    {DFX_RESIDUE, DFX_RESIDUE ".safetensors"},
};

static const char *const documents[] = {
    "model_index.json",
    "config.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/tokenizer_config.json",
    "unet/diffusion_pytorch_model.safetensors.index.json",
};

enum {
    PLACES = sizeof places / sizeof *places,
    DOCUMENTS = sizeof documents / sizeof *documents
};

/* ---- The source -----------------------------------------------------------
 */

/* A weight file under way: the members of its header. */
typedef struct weights {
    dfx_text tensors, metadata;
    uint64_t data; /* bytes */
} weights;

typedef struct source {
    weights files[PLACES];
    bool is_folder, sets_fields;
    dfx_convert_options options;
} source;

/* "2,3" or "-"; false if it is something else. */
static bool
read_shape(const char *text, uint64_t *shape, uint32_t *rank)
{
    *rank = 0;
    if (strcmp(text, "-") == 0)
        return true;
    while (*rank < RANK_MAX && *text >= '0' && *text <= '9') {
        char *end;

        shape[(*rank)++] = strtoull(text, &end, 10);
        if (*end == '\0')
            return true;
        text = end + 1;
        if (*end != ',')
            return false;
    }
    return false;
}

static void
add_tensor(weights *w, char *line)
{
    char *shape_text = strrchr(line, ' '), *type_text;
    uint64_t shape[RANK_MAX], elements, bytes;
    uint32_t rank;
    dfx_type type;

    if (shape_text == NULL)
        return;
    *shape_text++ = '\0';
    type_text = strrchr(line, ' ');
    if (type_text == NULL)
        return;
    *type_text++ = '\0';
    type = dfx_type_from_safetensors(type_text, strlen(type_text));
    if (type == DFX_TYPE_COUNT || !read_shape(shape_text, shape, &rank) ||
        dfx_tensor_size(type, rank, shape, &elements, &bytes, NULL) != DFX_OK ||
        bytes > DATA_MAX - w->data)
        return;
    if (w->tensors.size > 0)
        dfx_text_puts(&w->tensors, ",");
    dfx_json_quote(&w->tensors, line, strlen(line), false);
    dfx_text_printf(&w->tensors, ":{\"dtype\":\"%s\",\"shape\":[", type_text);
    for (uint32_t i = 0; i < rank; i++)
        dfx_text_printf(&w->tensors, "%s%" PRIu64, i > 0 ? "," : "", shape[i]);
    dfx_text_printf(&w->tensors,
                    "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", w->data,
                    w->data + bytes);
    w->data += bytes;
}

static void
add_metadata(weights *w, char *line)
{
    char *value = strchr(line, ' ');

    if (value == NULL)
        return;
    *value++ = '\0';
    if (w->metadata.size > 0)
        dfx_text_puts(&w->metadata, ",");
    dfx_json_quote(&w->metadata, line, strlen(line), false);
    dfx_text_puts(&w->metadata, ":");
    dfx_json_quote(&w->metadata, value, strlen(value), false);
}

static void
add_document(source *s, char *line)
{
    char *text = strchr(line, ' ');
    char path[512];

    if (text == NULL)
        return;
    *text++ = '\0';
    for (size_t i = 0; i < DOCUMENTS; i++)
        if (strcmp(line, documents[i]) == 0) {
            snprintf(path, sizeof path, "%s/" SOURCE "/%s", scratch_folder,
                     line);
            scratch_write(path, text, strlen(text));
            s->is_folder = true;
        }
}

static void
set_options(source *s, const char *letters)
{
    for (; *letters != '\0'; letters++)
        switch (*letters) {
        case 'p':
            s->options.plain = true;
            break;
        case 'e':
            s->options.ema = DFX_EMA_USE;
            break;
        case 'k':
            s->options.ema = DFX_EMA_KEEP;
            break;
        case 'u':
            s->options.unknown = DFX_UNKNOWN_DROP;
            break;
        case 's':
            s->options.max_shard_size = 4096;
            break;
        case 'h':
            s->options.dtype = DFX_TYPE_BF16;
            break;
        case 'o':
            s->options.only = "unet";
            break;
        case 'x':
            s->sets_fields = true;
            break;
        default:
            break;
        }
}

static void
read_line(source *s, size_t *place, char *line)
{
    if (!dfx_utf8_valid(line, strlen(line), NULL))
        return;
    switch (line[0]) {
    case '@':
        add_metadata(&s->files[*place], line + 1);
        break;
    case '=':
        add_document(s, line + 1);
        break;
    case '!':
        set_options(s, line + 1);
        break;
    case '/':
        for (size_t i = 0; i < PLACES; i++)
            if (strcmp(line + 1, places[i].component) == 0)
                *place = i;
        s->is_folder = true;
        break;
    default:
        add_tensor(&s->files[*place], line);
    }
}

static void
read_source(source *s, const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *line = text;
    size_t place = 0;

    REQUIRE(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    while (line != NULL) {
        char *next = strchr(line, '\n');

        if (next != NULL)
            *next++ = '\0';
        read_line(s, &place, line);
        line = next;
    }
    free(text);
}

/* The file, its data a hole. */
static void
write_weights(const weights *w, const char *path)
{
    dfx_text file = {0};
    uint64_t size;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    dfx_text_add(&file, "\0\0\0\0\0\0\0", 8);
    dfx_text_puts(&file, "{\"__metadata__\":{");
    dfx_text_add(&file, w->metadata.data, w->metadata.size);
    dfx_text_puts(&file, w->tensors.size > 0 ? "}," : "}");
    dfx_text_add(&file, w->tensors.data, w->tensors.size);
    dfx_text_puts(&file, "}");
    REQUIRE(!file.failed);
    size = file.size - 8;
    for (size_t i = 0; i < 8; i++)
        file.data[i] = (char)(size >> 8 * i & 0xff);
    REQUIRE(fd >= 0 && write(fd, file.data, file.size) == (ssize_t)file.size);
    REQUIRE(ftruncate(fd, (off_t)(file.size + w->data)) == 0);
    close(fd);
    dfx_text_fini(&file);
}

/* Writes what the lines said; the path of it, static. */
static const char *
write_source(const source *s)
{
    static char path[512];

    if (!s->is_folder) {
        const char *file = fuzz_file(NULL, 0);

        write_weights(&s->files[0], file);
        return file;
    }
    for (size_t i = 0; i < PLACES; i++)
        if (s->files[i].tensors.size + s->files[i].metadata.size > 0) {
            snprintf(path, sizeof path, "%s/" SOURCE "/%s", scratch_folder,
                     places[i].path);
            write_weights(&s->files[i], path);
        }
    snprintf(path, sizeof path, "%s/" SOURCE, scratch_folder);
    return path;
}

static void
remove_source(source *s)
{
    char path[512];

    for (size_t i = 0; i < PLACES; i++) {
        dfx_text_fini(&s->files[i].tensors);
        dfx_text_fini(&s->files[i].metadata);
        snprintf(path, sizeof path, "%s/" SOURCE "/%s", scratch_folder,
                 places[i].path);
        unlink(path);
    }
    for (size_t i = 0; i < DOCUMENTS; i++) {
        snprintf(path, sizeof path, "%s/" SOURCE "/%s", scratch_folder,
                 documents[i]);
        unlink(path);
    }
}

static void
make_folders(void)
{
    static const char *const names[] = {
        "",           "unet",         "vae",
        "controlnet", "text_encoder", "text_encoder_2",
        "scheduler",  "tokenizer",    "image_encoder",
    };
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    scratch_enter();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];

        snprintf(path, sizeof path, SOURCE "/%s", names[i]);
        REQUIRE(mkdir(path, 0777) == 0);
    }
    /* Back, since the names of seeds may be relative. */
    REQUIRE(here >= 0 && fchdir(here) == 0);
    close(here);
}

/* ---- What must hold -------------------------------------------------------
 */

static void
check_identity(const dfx_index *index, const dfx_identity *identity)
{
    size_t count, parts;
    const dfx_part *part = dfx_identity_parts(identity, &parts);
    bool *owned;

    dfx_index_tensors(index, &count);
    owned = calloc(count + 1, sizeof *owned);
    REQUIRE(owned != NULL && dfx_identity_family(identity) != NULL);
    for (size_t p = 0; p < parts; p++) {
        REQUIRE(part[p].name != NULL && part[p].family != NULL);
        for (size_t i = 0; i < part[p].tensor_count; i++) {
            REQUIRE(part[p].tensors[i] < count);
            REQUIRE(!owned[part[p].tensors[i]]);
            owned[part[p].tensors[i]] = true;
        }
        for (size_t q = 0; q < p; q++)
            REQUIRE(strcmp(part[p].name, part[q].name) != 0);
    }
    free(owned);
}

static bool
is_inside(const char *path)
{
    return path[0] != '/' && strncmp(path, "../", 3) != 0 &&
           strstr(path, "/../") == NULL && strstr(path, "//") == NULL;
}

static void
check_plan(const dfx_plan *plan)
{
    size_t count;
    const dfx_plan_file *files = dfx_plan_files(plan, &count);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t end = 0;

        REQUIRE(is_inside(files[i].path));
        for (size_t t = 0; t < files[i].tensor_count; t++) {
            const dfx_plan_tensor *tensor = &files[i].tensors[t];

            REQUIRE(tensor->offset >= end);
            end = tensor->offset + tensor->size;
        }
        REQUIRE(end <= files[i].size);
        sum += files[i].size;
    }
    REQUIRE(sum == dfx_plan_bytes(plan));
}

static void
plan(const dfx_index *index, const dfx_identity *identity,
     const dfx_convert_options *options, const char *to)
{
    dfx_convert_options mine = *options;
    dfx_plan *made = NULL;
    dfx_error err;

    mine.to = to;
    if (dfx_convert(index, identity, "no/where", &mine, &made, &err) ==
        DFX_OK) {
        check_plan(made);
        dfx_plan_free(made);
    } else {
        REQUIRE(err.text[0] != '\0' && err.status != DFX_ERR_NOMEM);
    }
}

static void
make_configs(const dfx_identity *identity)
{
    const dfx_config_file *files = NULL;
    dfx_arena arena = {0};
    size_t count = 0;

    if (dfx_configs_make(identity, &arena, &files, &count, NULL) == DFX_OK)
        for (size_t i = 1; i < count; i++)
            REQUIRE(strcmp(files[i - 1].path, files[i].path) < 0);
    dfx_arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const set[] = {"unet.a=1", "model_index.b=[1]"};
    dfx_identify_options with = {.set = set};
    dfx_identity *identity = NULL;
    dfx_index *index = NULL;
    source s = {.is_folder = false};
    dfx_error err;

    if (scratch_folder[0] == '\0')
        make_folders();
    dfx_convert_options_init(&s.options);
    read_source(&s, data, size);
    with.set_count = s.sets_fields ? sizeof set / sizeof *set : 0;
    if (dfx_open(write_source(&s), NULL, &index, &err) == DFX_OK) {
        if (dfx_identify(index, &with, &identity, &err) == DFX_OK) {
            check_identity(index, identity);
            make_configs(identity);
            plan(index, identity, &s.options, "safetensors");
            plan(index, identity, &s.options, "diffusers");
        }
        dfx_identity_free(identity);
    }
    REQUIRE(s.is_folder || index != NULL || err.text[0] != '\0');
    dfx_index_free(index);
    remove_source(&s);
    return 0;
}
