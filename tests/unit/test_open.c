/*
 * test_open.c - choosing a format, opening, judging
 */
#include <config.h>

#include "registry.h"

#include "scratch.h"
#include "tap.h"

/* ---- Bids of made-up formats --------------------------------------------- */

static unsigned
low_bid(const dfx_evidence *evidence)
{
    return evidence->head_size > 0 ? 8 : 0;
}

static unsigned
high_bid(const dfx_evidence *evidence)
{
    return evidence->head_size >= 4 && memcmp(evidence->head, "HIGH", 4) == 0
               ? 32
               : 0;
}

static unsigned
no_bid(const dfx_evidence *evidence)
{
    (void)evidence;
    return 0;
}

static const dfx_format low = {.name = "low", .bid = low_bid};
static const dfx_format also_low = {.name = "also-low", .bid = low_bid};
static const dfx_format high = {.name = "high", .bid = high_bid};
static const dfx_format named = {
    .name = "named", .suffix = ".x", .bid = no_bid};
static const dfx_format longer = {
    .name = "longer", .suffix = ".index.x", .bid = no_bid};

/* What is chosen for a file of that text: a format's name or a rule. */
static const char *
choose(const dfx_format *const *list, size_t count, const char *path,
       const char *text)
{
    static dfx_error err;
    const dfx_place place = {.path = path};
    const dfx_evidence evidence = {.place = &place,
                                   .head = (const uint8_t *)text,
                                   .head_size = strlen(text),
                                   .file_size = strlen(text)};
    const dfx_format *format = NULL;

    if (dfx_format_choose(list, count, &evidence, &format, &err) != DFX_OK)
        return err.rule;
    return format->name;
}

static void
test_choose(void)
{
    static const dfx_format *const list[] = {&low, &high, &named, &longer};
    static const dfx_format *const tied[] = {&low, &high, &also_low};
    static const dfx_format *const silent[] = {&named, &longer};

    CHECK_TEXT(choose(list, 4, "f", "HIGHER"), "high", "the highest bid wins");
    CHECK_TEXT(choose(list, 4, "f.x", "anything"), "low",
               "any bid beats a suffix");
    CHECK_TEXT(choose(tied, 3, "f", "anything"), "kind.ambiguous",
               "two equal bids are a tie");
    CHECK_TEXT(choose(tied, 3, "f", "HIGHER"), "high",
               "but not below a higher one");
    CHECK_TEXT(choose(silent, 2, "f.x", "?"), "named",
               "without bids the suffix tells");
    CHECK_TEXT(choose(silent, 2, "f.index.x", "?"), "longer",
               "the longest that fits");
    CHECK_TEXT(choose(silent, 2, ".x", "?"), "kind.unknown",
               "a name that is all suffix has none");
    CHECK_TEXT(choose(silent, 2, "f.y", "?"), "kind.unknown",
               "no bid and no suffix");
    CHECK_TEXT(choose(NULL, 0, "f.x", "?"), "kind.unknown", "no formats");
}

static void
test_messages(void)
{
    static const dfx_format *const tied[] = {&low, &also_low};
    static const dfx_place place = {.path = "f"};
    dfx_evidence evidence = {.place = &place,
                             .head = (const uint8_t *)"\x80\x02}q",
                             .head_size = 4,
                             .file_size = 4};
    const dfx_format *format = NULL;
    dfx_error err;

    CHECK_U64(dfx_format_choose(tied, 2, &evidence, &format, &err),
              DFX_ERR_UNSUPPORTED, "a tie is refused");
    CHECK_TEXT(err.text, "could be low or also-low, say which with --from",
               "and says how to settle it");
    CHECK_U64(dfx_format_choose(NULL, 0, &evidence, &format, &err),
              DFX_ERR_UNSUPPORTED, "unknown bytes are refused");
    CHECK_TEXT(err.text,
               "no format recognises a file that starts with 80 02 7d 71",
               "and shown");
    evidence.head_size = 0;
    CHECK_U64(dfx_format_choose(NULL, 0, &evidence, &format, &err),
              DFX_ERR_UNSUPPORTED, "so is nothing");
    CHECK_TEXT(err.text, "the file is empty", "in other words");
}

/* ---- Opening ---------------------------------------------------------------
 */

static void
test_refused(void)
{
    static const struct {
        const char *path, *format, *rule, *text, *what;
    } rows[] = {
        {"nowhere", NULL, "io.open", "No such file or directory",
         "a path that is not there"},
        {"fifo", NULL, "io.open", "is a pipe, not a file or a folder",
         "a pipe does not block"},
        {"/dev/null", NULL, "io.open", "is a device, not a file or a folder",
         "a device"},
        {"-", NULL, "",
         "standard input cannot be read as a model, only files and folders",
         "standard input"},
        {"empty", NULL, "kind.unknown", "the file is empty", "an empty file"},
        {"bare", NULL, "kind.unknown", "no format recognises this folder",
         "a folder of nothing"},
        {"empty/x", NULL, "io.open", "Not a directory", "a file as a folder"},
    };

    scratch_write("empty", "", 0);
    CHECK(mkfifo("fifo", 0666) == 0 && mkdir("bare", 0777) == 0,
          "things that do not open");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const dfx_open_options options = {.format = rows[i].format};
        dfx_index *index = NULL;
        dfx_error err = {.rule = "(accepted)"};

        CHECK(dfx_open(rows[i].path, &options, &index, &err) != DFX_OK &&
                  index == NULL,
              rows[i].what);
        CHECK_TEXT(err.rule, rows[i].rule, "its rule");
        CHECK_TEXT(err.text, rows[i].text, "its text");
        CHECK_TEXT(err.file, rows[i].path, "its file");
    }
}

static void
test_unknown_name(void)
{
    const dfx_open_options options = {.format = "nonsense"};
    dfx_index *index = NULL;
    dfx_error err;

    CHECK_U64(dfx_open("empty", &options, &index, &err), DFX_ERR_USAGE,
              "a format nobody has");
    CHECK(strstr(err.text, "nonsense") != NULL &&
              strstr(err.text, "safetensors") != NULL &&
              strstr(err.text, "diffusers") != NULL,
          "the message lists those there are");
}

static void
write_tensors(const char *path, const char *json, const char *data)
{
    size_t size = strlen(json);
    unsigned char head[8] = {(unsigned char)size};
    FILE *f = fopen(path, "wb");

    fwrite(head, 1, sizeof head, f);
    fwrite(json, 1, size, f);
    fwrite(data, 1, strlen(data), f);
    fclose(f);
}

static const char one_byte[] =
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";

static void
test_open(void)
{
    dfx_index *index = NULL;
    dfx_error err = {0};
    size_t count = 0;
    const dfx_tensor *t;
    char byte = 0;

    /* Not by its name, so it is by content. */
    write_tensors("weights.ckpt", one_byte, "x");
    CHECK_U64(dfx_open("weights.ckpt", NULL, &index, &err), DFX_OK,
              "options may be NULL");
    CHECK_TEXT(dfx_index_format(index), "safetensors", "content decides");
    CHECK_TEXT(dfx_index_path(index), "weights.ckpt", "the path is kept");
    t = dfx_index_tensors(index, &count);
    CHECK(count == 1 && t[0].component == 0, "one tensor, unnamed component");
    CHECK_U64(dfx_extent_read(&t[0].data, 0, &byte, 1, &err), DFX_OK,
              "its bytes can be read");
    CHECK_U64((uint64_t)byte, 'x', "and are these");
    CHECK(dfx_index_find(index, 0, "a") == t, "the index is sealed");
    dfx_index_components(index, &count);
    CHECK_U64(count, 1, "one component");
    dfx_index_free(index);
}

static void
test_broken_is_named(void)
{
    dfx_index *index = NULL;
    dfx_error err;

    scratch_write("short.safetensors", "abc", 3);
    CHECK_U64(dfx_open("short.safetensors", NULL, &index, &err), DFX_ERR_FORMAT,
              "three bytes of a suffix");
    CHECK_TEXT(err.rule, "st.header.short", "the reader says what is wrong");
    CHECK_TEXT(err.file, "short.safetensors", "and where");
}

/* ---- Files that name files --------------------------------------------------
 */

static void
test_self_reference(void)
{
    static const char loop[] =
        "{\"metadata\":{\"total_size\":1},"
        "\"weight_map\":{\"a\":\"loop.safetensors.index.json\"}}";
    dfx_index *index = NULL;
    dfx_error err = {0};

    scratch_write("loop.safetensors.index.json", loop, sizeof loop - 1);
    CHECK(dfx_open("loop.safetensors.index.json", NULL, &index, &err) != DFX_OK,
          "an index of shards that names itself is refused");
    printf("# %s [%s]\n", err.text, err.rule);
}

static void
test_read_into(void)
{
    static const dfx_place file = {.path = "weights.ckpt"};
    static const dfx_place folder = {.path = "bare"};
    dfx_index *index = NULL;
    dfx_error err = {0};
    uint32_t component = 0;

    CHECK_U64(dfx_index_new("x", &index, &err), DFX_OK, "an index");
    CHECK_U64(dfx_index_component(index, "", &component, &err), DFX_OK, "of");
    CHECK_U64(dfx_index_component(index, "unet", &component, &err), DFX_OK,
              "two components");
    CHECK_U64(dfx_index_read_into(index, component, &file,
                                  &(dfx_open_options){0}, &err),
              DFX_OK, "a file goes into the second");
    CHECK_U64(dfx_index_seal(index, &err), DFX_OK, "seals");
    CHECK(dfx_index_find(index, component, "a") != NULL, "it is there");
    CHECK_U64(dfx_index_read_into(index, component, &folder,
                                  &(dfx_open_options){0}, &err),
              DFX_ERR_IO, "a folder does not");
    CHECK_TEXT(err.file, "bare", "and is named");
    index->depth = 5;
    CHECK_U64(dfx_index_read_into(index, component, &file,
                                  &(dfx_open_options){0}, &err),
              DFX_ERR_FORMAT, "the sixth level is refused");
    CHECK_TEXT(err.rule, "shard.index", "by the rule on indexes");
    dfx_index_free(index);
}

/* ---- Judging ----------------------------------------------------------------
 */

typedef struct findings {
    size_t count;
    dfx_error last;
} findings;

static void
note_finding(void *context, const dfx_error *finding)
{
    findings *all = context;

    all->count++;
    all->last = *finding;
}

static void
test_validate(void)
{
    findings all = {0};
    dfx_error err = {0};

    CHECK_U64(dfx_validate("weights.ckpt", NULL, note_finding, &all, &err),
              DFX_OK, "a good file can be judged");
    CHECK_U64(all.count, 0, "and has no fault");
    CHECK_U64(dfx_validate("short.safetensors", NULL, note_finding, &all, &err),
              DFX_OK, "so can a broken one");
    CHECK_U64(all.count, 1, "and has one");
    CHECK_TEXT(all.last.rule, "st.header.short", "this one");
    CHECK_TEXT(all.last.file, "short.safetensors", "in this file");
    CHECK_U64(dfx_validate("empty", NULL, note_finding, &all, &err),
              DFX_ERR_UNSUPPORTED, "what is of no format cannot be judged");
    CHECK_TEXT(err.file, "empty", "the error names it");
    CHECK_U64(all.count, 1, "and is no finding");
}

static void
test_list(void)
{
    const char *summary = NULL;
    bool writes = false, seen_folder = false, seen_file = false;
    size_t i;

    for (i = 0; dfx_format_name_at(i, &summary, &writes) != NULL; i++) {
        const char *name = dfx_format_name_at(i, &summary, &writes);

        CHECK(summary != NULL && summary[0] != '\0', name);
        CHECK(dfx_format_named(name) == dfx_format_at(i), "found by its name");
        seen_folder |= strcmp(name, "diffusers") == 0 && writes;
        seen_file |= strcmp(name, "safetensors") == 0 && writes;
    }
    CHECK(seen_folder && seen_file, "folders and files can be written");
    CHECK(dfx_format_at(i) == NULL && dfx_format_at(SIZE_MAX) == NULL,
          "nothing past the last");
    CHECK(dfx_format_named("") == NULL, "no format without a name");
}

int
main(void)
{
    scratch_enter();
    test_choose();
    test_messages();
    test_refused();
    test_unknown_name();
    test_open();
    test_broken_is_named();
    test_self_reference();
    test_read_into();
    test_validate();
    test_list();
    return tap_end();
}
