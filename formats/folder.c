/*
 * folder.c - Diffusers folders: pipelines, modular pipelines, lone components
 *
 * As diffusers 0.42.1 and transformers 5.23 write and read them. What is
 * neither weights nor hidden is kept as a plain file, whatever it is; weights
 * that are not read (another variant, another framework) are named in a
 * warning and left. Refused: names that would leave the folder.
 */
#include <config.h>

#include "folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Bids -----------------------------------------------------------------
 */

/*
 * A folder has no bytes to check, so these are no counts of bits but an order:
 * how sure each name at the top makes it that the folder is one of these.
 */
enum {
    BID_PIPELINE = 64,
    BID_MODULAR = 60,
    BID_CONFIG = 40,
    BID_WEIGHTS = 24,
    BID_PARTS = 16
};

static bool
has_file(const dfx_place *folder, const char *name, const char *inner)
{
    char path[4096]; /* PATH_MAX: what is longer cannot be opened either */
    int n = snprintf(path, sizeof path, "%s/%s%s", folder->path, name, inner);
    const dfx_place place = dfx_place_beside(folder, path);

    return n > 0 && (size_t)n < sizeof path && dfx_place_exists(&place);
}

/* What the names at the top of a folder say. */
static unsigned
bid_by_names(const dfx_place *place)
{
    DIR *dir = place->mount != NULL ? NULL : opendir(place->path);
    const struct dirent *found;
    unsigned bid = 0;

    if (dir == NULL)
        return 0;
    for (found = readdir(dir); found != NULL; found = readdir(dir)) {
        const char *name = found->d_name;

        if (name[0] == '.')
            continue;
        if (strstr(name, ".safetensors") != NULL)
            bid = BID_WEIGHTS;
        else if (bid == 0 && has_file(place, name, "/" DFX_FOLDER_CONFIG))
            bid = BID_PARTS;
    }
    closedir(dir);
    return bid;
}

/* path is a folder's list of components; folder_size is what precedes it. */
static bool
is_list(const char *path, size_t *folder_size)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    *folder_size = (size_t)(name - path);
    return strcmp(name, DFX_FOLDER_PIPELINE) == 0 ||
           strcmp(name, DFX_FOLDER_MODULAR) == 0;
}

static unsigned
folder_bid(const dfx_evidence *evidence)
{
    size_t size;

    if (!evidence->is_folder)
        return is_list(evidence->place->path, &size) ? BID_PIPELINE : 0;
    if (has_file(evidence->place, DFX_FOLDER_PIPELINE, ""))
        return BID_PIPELINE;
    if (has_file(evidence->place, DFX_FOLDER_MODULAR, ""))
        return BID_MODULAR;
    if (has_file(evidence->place, DFX_FOLDER_CONFIG, ""))
        return BID_CONFIG;
    return bid_by_names(evidence->place);
}

/* ---- Reading --------------------------------------------------------------
 */

typedef struct reader {
    dfx_folder folder;
    dfx_folder_kind kind;
    dfx_index *index;
    const dfx_open_options *options;
    const char **names; /* owned: room for a name of every entry */
    bool variant_seen;  /* some weights are of the variant asked for */
    size_t read;        /* sets of weights */
    /* Who is told of faults, so that reading goes on; NULL: nobody, the first
       fault ends it. */
    dfx_finding_fn *found;
    void *context;
} reader;

/* Ends the reading for a fault, or tells of it. err is not NULL if r->found is
   not. */
static dfx_status
judge(const reader *r, dfx_status status, dfx_error *err)
{
    if (status == DFX_OK || r->found == NULL || err->rule[0] == '\0')
        return status;
    r->found(r->context, err);
    return DFX_OK;
}

/* Every file that is not weights, without its component yet. */
static dfx_status
add_plain_files(reader *r, dfx_error *err)
{
    for (size_t i = 0; i < r->folder.count; i++) {
        const dfx_folder_entry *entry = &r->folder.entries[i];
        dfx_extent data = {0};
        dfx_io *io = NULL;
        dfx_place place;

        if (entry->is_weights)
            continue;
        place = dfx_folder_place(&r->folder, entry->path, &r->index->arena);
        if (place.path == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_place_open(&place, &io, err));
        DFX_TRY(dfx_index_take_io(r->index, io, err));
        data = (dfx_extent){io, 0, dfx_io_size(io)};
        DFX_TRY(dfx_index_add_file(r->index, entry->path, 0, &data, err));
    }
    return DFX_OK;
}

/* Now that the components are known: a file is of the one it lies in. */
static void
assign_files(dfx_index *index)
{
    for (size_t i = 0; i < index->file_count; i++) {
        dfx_file *file = &index->files[i];
        size_t first = strcspn(file->path, "/");

        for (size_t j = 0; j < index->component_count; j++) {
            const char *name = index->components[j].name;

            if (file->path[first] == '/' && strlen(name) == first &&
                memcmp(name, file->path, first) == 0)
                file->component = (uint32_t)j;
        }
    }
}

/* Collects the weights that lie in a component's folder in r->names. */
static size_t
list_weights(const reader *r, const char *component)
{
    size_t size = strlen(component), count = 0;

    for (size_t i = 0; i < r->folder.count; i++) {
        const char *path = r->folder.entries[i].path;

        if (!r->folder.entries[i].is_weights)
            continue;
        if (size > 0) {
            if (strncmp(path, component, size) != 0 || path[size] != '/')
                continue;
            path += size + 1;
        } else if (strcmp(path, DFX_FOLDER_SIDE_CAR) == 0) {
            continue;
        }
        if (strchr(path, '/') == NULL)
            r->names[count++] = path;
    }
    return count;
}

/* Components of these classes have files but no weights. */
static bool
is_weightless(const dfx_component *component)
{
    static const char *const ends[] = {
        "Scheduler", "Tokenizer", "TokenizerFast",
        "Extractor", "Processor", "Guidance",
    };
    const char *name = component->class_name;
    size_t size = name != NULL ? strlen(name) : 0;

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t tail = strlen(ends[i]);

        if (size >= tail && strcmp(name + size - tail, ends[i]) == 0)
            return true;
    }
    return false;
}

/* The component's folder has no file. */
static dfx_status
miss_component(const reader *r, const dfx_component *component, dfx_error *err)
{
    struct stat st;
    dfx_place place =
        dfx_folder_place(&r->folder, component->name, &r->index->arena);

    if (place.path == NULL)
        return dfx_fail_nomem(err);
    if (place.mount == NULL && lstat(place.path, &st) == 0 &&
        S_ISLNK(st.st_mode))
        return dfx_fail(err, DFX_RULE_FOLDER_PATH, DFX_NO_OFFSET,
                        "component \"%s\" is a link, and links to folders are "
                        "not followed",
                        component->name);
    if (r->kind == DFX_FOLDER_IS_MODULAR)
        return DFX_OK;
    /* A DDUF archive may do without. */
    if (is_weightless(component) || place.mount != NULL)
        return dfx_index_warn(r->index, err, "%s has no folder",
                              component->name);
    return dfx_fail(err, DFX_RULE_FOLDER_COMPONENT, DFX_NO_OFFSET,
                    "component \"%s\" has no folder", component->name);
}

/* Weights were looked for and none can be read; names holds count of others. */
static dfx_status
miss_weights(const reader *r, const dfx_component *component, size_t count,
             dfx_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(r->names[i], ".safetensors") != NULL)
            return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                            "%s is a shard, and the index of the shards is "
                            "missing",
                            r->names[i]);
    if (count > 0)
        return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                        "the weights are there as %s, which is not read",
                        r->names[0]);
    if (r->kind == DFX_FOLDER_IS_LONE)
        return dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                        "there are no weights");
    if (is_weightless(component))
        return DFX_OK;
    return dfx_index_warn(r->index, err, "%s has no weights", component->name);
}

/* What the choice of a variant should tell the user. */
static dfx_status
note_variant(reader *r, const dfx_weights_choice *choice, const char *path,
             dfx_error *err)
{
    if (r->options->variant == NULL && choice->variant != NULL)
        return dfx_index_warn(r->index, err,
                              "%s: there are no weights but of variant %.*s",
                              path, (int)choice->variant_size, choice->variant);
    if (r->options->variant != NULL && choice->variant == NULL)
        return dfx_index_warn(r->index, err, "%s: not of variant %s", path,
                              r->options->variant);
    r->variant_seen |= choice->variant != NULL;
    return DFX_OK;
}

/* path is relative to the root. */
static dfx_status
read_weights(reader *r, uint32_t component, const char *path, dfx_error *err)
{
    dfx_open_options options = *r->options;
    dfx_place place = dfx_folder_place(&r->folder, path, &r->index->arena);

    if (place.path == NULL)
        return dfx_fail_nomem(err);
    dfx_folder_find(&r->folder, path)->is_read = true;
    r->read++;
    options.format = NULL; /* that one was the folder's */
    if (r->found != NULL)
        return dfx_place_validate(&place, &options, r->found, r->context, err);
    return dfx_index_read_into(r->index, component, &place, &options, err);
}

static dfx_status
read_component(reader *r, uint32_t component, dfx_error *err)
{
    const dfx_component about = r->index->components[component];
    dfx_weights_choice choice = {0};
    size_t count;
    char *path;

    if (about.is_null)
        return DFX_OK;
    if (component > 0 && !dfx_folder_has(&r->folder, about.name))
        return miss_component(r, &about, err);
    count = list_weights(r, about.name);
    DFX_TRY(
        dfx_folder_choose(r->names, count, r->options->variant, &choice, err));
    if (choice.name == NULL)
        return miss_weights(r, &about, count, err);
    path = dfx_arena_printf(&r->index->arena, "%s%s%s", about.name,
                            component > 0 ? "/" : "", choice.name);
    if (path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(note_variant(r, &choice, path, err));
    return read_weights(r, component, path, err);
}

/* Adds the class and the weights of one component. */
static dfx_status
take_component(reader *r, uint32_t component, dfx_error *err)
{
    const char *name = r->index->components[component].name;
    dfx_status status = dfx_folder_add_class(r->index, component, err);
    char *path;

    if (status == DFX_OK)
        status = read_component(r, component, err);
    if (status == DFX_OK || err == NULL || err->file[0] != '\0')
        return judge(r, status, err);
    path = dfx_arena_printf(&r->index->arena, "%s%s%s", r->folder.root,
                            component > 0 ? "/" : "", name);
    if (path != NULL)
        dfx_error_in_file(err, path);
    return judge(r, status, err);
}

static dfx_status
take_side_car(reader *r, dfx_error *err)
{
    uint32_t component = 0;

    if (dfx_folder_find(&r->folder, DFX_FOLDER_SIDE_CAR) == NULL)
        return DFX_OK;
    DFX_TRY(dfx_index_component(r->index, DFX_RESIDUE, &component, err));
    return judge(r, read_weights(r, component, DFX_FOLDER_SIDE_CAR, err), err);
}

/* Shards were opened by a reader of their own: what is open was read. */
static void
mark_read(reader *r)
{
    size_t size = strlen(r->folder.root);

    for (size_t i = 0; i < r->index->io_count; i++) {
        const char *name = dfx_io_name(r->index->ios[i]);
        dfx_folder_entry *entry;

        if (strncmp(name, r->folder.root, size) != 0 || name[size] != '/')
            continue;
        entry = dfx_folder_find(&r->folder, name + size + 1);
        if (entry != NULL)
            entry->is_read = true;
    }
}

static dfx_status
warn_unread(reader *r, dfx_error *err)
{
    enum { SHOWN = 12 };
    dfx_text names = {0};
    size_t count = 0;
    dfx_status status;

    mark_read(r);
    for (size_t i = 0; i < r->folder.count; i++) {
        const dfx_folder_entry *entry = &r->folder.entries[i];

        if (!entry->is_weights || entry->is_read)
            continue;
        if (count++ < SHOWN)
            dfx_text_printf(&names, "%s%s", count > 1 ? ", " : "", entry->path);
    }
    if (count > SHOWN)
        dfx_text_printf(&names, " and %zu more", count - SHOWN);
    status = names.failed ? dfx_fail_nomem(err)
             : count == 0
                 ? DFX_OK
                 : dfx_index_warn(r->index, err,
                                  "weights that are not read: %s", names.data);
    dfx_text_fini(&names);
    return status;
}

/* What only shows once all components are read. */
static dfx_status
check_whole(reader *r, dfx_error *err)
{
    const char *variant = r->options->variant;

    if (r->kind == DFX_FOLDER_IS_MODULAR && r->read == 0 && r->found != NULL)
        DFX_TRY(judge(r,
                      dfx_fail(err, DFX_RULE_FOLDER_MODULAR, DFX_NO_OFFSET,
                               "none of the components is in the folder"),
                      err));
    if (variant != NULL && !r->variant_seen && r->read > 0)
        return judge(r,
                     dfx_fail(err, DFX_RULE_FOLDER_WEIGHTS, DFX_NO_OFFSET,
                              "no component has weights of variant %s",
                              variant),
                     err);
    return DFX_OK;
}

static dfx_status
read_all(reader *r, dfx_error *err)
{
    size_t count;

    DFX_TRY(dfx_folder_scan(&r->folder, r->index, err));
    r->names = calloc(r->folder.count + 1, sizeof *r->names);
    if (r->names == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(add_plain_files(r, err));
    DFX_TRY(judge(r, dfx_folder_add_parts(&r->folder, r->index, &r->kind, err),
                  err));
    assign_files(r->index);
    count = r->index->component_count;
    if (r->kind == DFX_FOLDER_IS_LONE)
        DFX_TRY(take_component(r, 0, err));
    for (size_t i = 1; i < count; i++)
        DFX_TRY(take_component(r, (uint32_t)i, err)); /* at most 1,024 */
    DFX_TRY(check_whole(r, err));
    DFX_TRY(take_side_car(r, err));
    return warn_unread(r, err);
}

dfx_status
dfx_folder_root(const dfx_place *place, dfx_folder *folder, dfx_arena *arena,
                dfx_error *err)
{
    const char *path = place->path;
    size_t size = strlen(path), folder_size;

    if (is_list(path, &folder_size) && dfx_place_exists(place) &&
        !dfx_place_is_folder(place)) {
        path = folder_size == 0 ? "." : path;
        size = folder_size == 0 ? 1 : folder_size;
    }
    while (size > 0 && path[size - 1] == '/')
        size--;
    folder->mount = place->mount;
    folder->root = dfx_arena_strndup(arena, path, size);
    return folder->root != NULL ? DFX_OK : dfx_fail_nomem(err);
}

static dfx_status
run(reader *r, const dfx_place *place, dfx_error *err)
{
    dfx_status status =
        dfx_folder_root(place, &r->folder, &r->index->arena, err);

    if (status == DFX_OK)
        status = read_all(r, err);
    /* The text of one file's header does not describe a folder. */
    r->index->header = (dfx_extent){0};
    free(r->names);
    dfx_folder_fini(&r->folder);
    return status;
}

static dfx_status
folder_read(const dfx_place *place, uint32_t component,
            const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    reader r = {.index = index, .options = options};

    if (component != 0)
        return dfx_fail_usage(err, "a folder is no part of a component");
    return run(&r, place, err);
}

static dfx_status
folder_validate(const dfx_place *place, const dfx_open_options *options,
                dfx_finding_fn *found, void *context, dfx_error *err)
{
    reader r = {.options = options, .found = found, .context = context};
    dfx_error own = {0};
    uint32_t unnamed = 0;
    dfx_status status = dfx_index_new(place->path, &r.index, &own);

    if (status == DFX_OK)
        status = dfx_index_component(r.index, "", &unnamed, &own);
    if (status == DFX_OK)
        status = run(&r, place, &own);
    dfx_index_free(r.index);
    if (status != DFX_OK && err != NULL)
        *err = own;
    return status;
}

const dfx_format dfx_format_folder = {
    .name = "diffusers",
    .summary = "Diffusers folder: a pipeline or one of its components",
    .is_folder = true,
    .layout = DFX_LAYOUT_DIFFUSERS,
    .bid = folder_bid,
    .read = folder_read,
    .validate = folder_validate,
    .audit = dfx_folder_audit,
    .lay_out = dfx_folder_lay_out,
    .is_ours = dfx_folder_is_ours,
};
