/*
 * test_torch_write.c - checkpoints against those that torch.save wrote
 */
#include <config.h>

#include "torch.h"
#include "zip.h"

#include "scratch.h"
#include "synth.h"
#include "golden.h"
#include "tap.h"

/* A synth list as a bundle. */
typedef struct list {
    synth_list synth;
    dfx_bundle_component component;
    dfx_bundle bundle;
    dfx_plan *plan;
} list;

static void
must(bool good, const char *what)
{
    if (good)
        return;
    printf("Bail out! %s\n", what);
    exit(1);
}

static void
add_tensor(list *l, const synth_tensor *t)
{
    dfx_arena *arena = &l->plan->arena;
    char *data = dfx_arena_alloc(arena, t->size + 1);
    uint64_t *shape = dfx_arena_array(arena, t->rank + 1, sizeof *shape);
    dfx_tensor tensor = {.name = t->name, .rank = (uint32_t)t->rank};
    const dfx_expr *x = NULL;
    dfx_io *io = NULL;

    tensor.type = dfx_type_named(synth_type_name(t));
    synth_values(&l->synth, t, 0, t->elements, data);
    for (size_t i = 0; i < t->rank; i++)
        shape[i] = t->shape[i];
    tensor.shape = shape;
    must(dfx_io_open_memory(data, t->size, t->name, &io, NULL) == DFX_OK &&
             dfx_plan_take_io(l->plan, io, NULL) == DFX_OK,
         t->name);
    tensor.data = (dfx_extent){io, 0, t->size};
    must(dfx_expr_tensor(arena, &tensor, &x, NULL) == DFX_OK &&
             dfx_bundle_add(&l->bundle, 0, t->name, x, NULL) == DFX_OK,
         t->name);
}

static void
list_init(list *l, const char *file)
{
    char path[1024];

    *l = (list){.component = {.name = "", .weights = "model"}};
    snprintf(path, sizeof path, "%s/%s", golden_folder, file);
    must(synth_read(&l->synth, path), path);
    must(dfx_plan_new("out", false, &l->plan, NULL) == DFX_OK, "a plan");
    l->plan->force = true;
    l->bundle.components = &l->component;
    l->bundle.component_count = 1;
    for (size_t i = 0; i < l->synth.count; i++)
        add_tensor(l, &l->synth.tensors[i]);
}

static void
list_fini(list *l)
{
    dfx_bundle_fini(&l->bundle);
    dfx_plan_free(l->plan);
    synth_fini(&l->synth);
}

static void
write_list(list *l, const char *what)
{
    dfx_error err = {.rule = ""};
    bool good = dfx_torch_lay_out(&l->bundle, "", l->plan, &err) == DFX_OK &&
                dfx_plan_seal(l->plan, &err) == DFX_OK &&
                dfx_plan_run(l->plan, NULL, &err) == DFX_OK;

    CHECK(good, what);
    if (!good)
        printf("# %s\n", err.text);
}

static dfx_status
count_fault(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
            uint64_t offset, const char *text, dfx_error *err)
{
    (void)member;
    (void)err;
    printf("# %d at %" PRIu64 ": %s\n", (int)fault, offset, text);
    ++*(size_t *)context;
    return DFX_OK;
}

/* The faults of out, and its bytes of one member. */
static void
check_zip(const char *name, const void *want, size_t want_size)
{
    size_t faults = 0;
    dfx_zip zip;
    const dfx_zip_member *m;
    dfx_io *io = NULL, *bytes = NULL;
    dfx_error err;
    char *data;

    must(dfx_io_open_file("out", &io, &err) == DFX_OK &&
             dfx_zip_read(io, count_fault, &faults, &zip, &err) == DFX_OK,
         "out");
    CHECK_U64(faults, 0, "  our reader finds no fault");
    m = dfx_zip_find(&zip, name);
    must(m != NULL && dfx_zip_open(&zip, m, DFX_RULE_PT_ZIP_CRC, 1, NULL,
                                   &bytes, &err) == DFX_OK,
         name);
    data = malloc((size_t)m->size + 1);
    CHECK(m->size == want_size &&
              dfx_io_read_at(bytes, 0, data, (size_t)m->size, &err) == DFX_OK &&
              memcmp(data, want, want_size) == 0,
          "  and the bytes wanted");
    free(data);
    dfx_io_close(bytes);
    dfx_zip_fini(&zip);
    dfx_io_close(io);
}

static void
check_case(const cJSON *row)
{
    char path[1024], hash[DFX_HASH_CHARS] = "";
    unsigned char *pickle;
    size_t size = 0;
    list l;

    if (strcmp(text_of(row, "recipe"), "torch") != 0)
        return; /* the other recipe is for writers without a memo */
    list_init(&l, text_of(row, "list"));
    write_list(&l, text_of(row, "list"));
    snprintf(path, sizeof path, "%s/%s", golden_folder, text_of(row, "pickle"));
    pickle = scratch_read(path, &size);
    must(pickle != NULL, path);
    check_zip("archive/data.pkl", pickle, size);
    CHECK(dfx_hash_file("out", hash, NULL) == DFX_OK, "  has a hash");
    CHECK_TEXT(hash, text_of(row, "sha256"), "  and it is that of torch.save");
    free(pickle);
    list_fini(&l);
}

static void
test_goldens(void)
{
    char path[1024];
    size_t size = 0;
    unsigned char *text;
    cJSON *doc, *row;

    snprintf(path, sizeof path, "%s/writer.json", golden_folder);
    text = scratch_read(path, &size);
    doc = text != NULL ? cJSON_Parse((const char *)text) : NULL;
    CHECK_U64((uint64_t)cJSON_GetArraySize(cJSON_GetObjectItem(doc, "cases")),
              12, "the cases");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
    free(text);
}

static void
test_wrap(void)
{
    /* As pickletools shows torch.save({"state_dict": {}}). */
    static const unsigned char want[] = "\x80\x02}q\0X\x0a\0\0\0state_dict"
                                        "q\1}q\2s.";
    list l;

    list_init(&l, "writer/none.json");
    l.bundle.wrap = true;
    write_list(&l, "a wrapped dict of nothing");
    check_zip("archive/data.pkl", want, sizeof want - 1);
    list_fini(&l);
}

static void
test_metadata(void)
{
    static const char want[] = "{\"a\":\"1\",\"format\":\"pt\"}";
    char with[DFX_HASH_CHARS], without[DFX_HASH_CHARS];
    list l;

    for (int i = 0; i < 3; i++) {
        list_init(&l, "writer/two.json");
        if (i == 0)
            must(dfx_bundle_add_meta(&l.bundle, 0, "format", "pt", NULL) ==
                     DFX_OK,
                 "metadata");
        if (i == 1)
            must(dfx_bundle_add_meta(&l.bundle, 0, "format", "pt", NULL) ==
                         DFX_OK &&
                     dfx_bundle_add_meta(&l.bundle, 0, "a", "1", NULL) ==
                         DFX_OK,
                 "metadata");
        write_list(&l, i == 1 ? "metadata is kept" : "or there is none");
        if (i == 1)
            check_zip("archive/" DFX_TORCH_METADATA, want, sizeof want - 1);
        else
            must(dfx_hash_file("out", i == 0 ? with : without, NULL) == DFX_OK,
                 "a hash");
        list_fini(&l);
    }
    CHECK_TEXT(with, without, "what goes without saying is not written");
}

static void
test_types(void)
{
    dfx_error err = {.rule = ""};
    const uint64_t shape[] = {4, 3};
    dfx_tensor t = {.name = "t", .rank = 2, .shape = shape};
    const dfx_expr *x = NULL;
    dfx_io *io = NULL;
    list l;

    for (int i = 0; i < 2; i++) {
        list_init(&l, "writer/none.json");
        t.type = i == 0 ? DFX_TYPE_F6_E2M3 : DFX_TYPE_F4;
        must(dfx_io_open_memory("xxxxxxxxx", 9, "m", &io, NULL) == DFX_OK &&
                 dfx_plan_take_io(l.plan, io, NULL) == DFX_OK,
             "io");
        t.data = (dfx_extent){io, 0, i == 0 ? 9 : 6};
        must(dfx_expr_tensor(&l.plan->arena, &t, &x, NULL) == DFX_OK &&
                 dfx_bundle_add(&l.bundle, 0, "t", x, NULL) == DFX_OK,
             "tensor");
        CHECK_U64(dfx_torch_lay_out(&l.bundle, "", l.plan, &err),
                  DFX_ERR_UNSUPPORTED,
                  i == 0 ? "a type that torch lacks" : "half an element");
        CHECK_TEXT(err.rule, "pt.tensor.type", "  by rule");
        CHECK_TEXT(err.tensor, "t", "  and name");
        list_fini(&l);
    }
}

int
main(void)
{
    golden_find("torch");
    scratch_enter();
    test_goldens();
    test_wrap();
    test_metadata();
    test_types();
    return tap_end();
}
