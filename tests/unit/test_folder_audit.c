/*
 * test_folder_audit.c - what a folder is found to run
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dfx.h"
#include "scratch.h"
#include "tap.h"

/* The concerns of one audit: "WHERE RULE GLOBAL;" for each. */
typedef struct notes {
    char text[4096];
    size_t size;
} notes;

static void
note(void *context, const dfx_concern *concern)
{
    notes *n = context;
    int size = snprintf(n->text + n->size, sizeof n->text - n->size,
                        "%s%s:%s%s%s", n->size > 0 ? "; " : "", concern->where,
                        concern->rule, concern->global != NULL ? " " : "",
                        concern->global != NULL ? concern->global : "");

    if (size > 0 && (size_t)size < sizeof n->text - n->size)
        n->size += (size_t)size;
}

static void
put(const char *path, const char *text)
{
    scratch_parents(path);
    scratch_write(path, text, strlen(text));
}

static void
check_audit(const char *path, dfx_verdict want, const char *concerns,
            const char *what)
{
    notes n = {.text = ""};
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    dfx_error err = {.rule = ""};

    CHECK_U64(dfx_audit_path(path, NULL, note, &n, &verdict, &err), DFX_OK,
              what);
    CHECK_TEXT(dfx_verdict_name(verdict), dfx_verdict_name(want),
               "  its verdict");
    CHECK_TEXT(n.text, concerns, "  and why");
}

/* A safetensors file of no tensors. */
static void
put_weights(const char *path)
{
    scratch_parents(path);
    scratch_write(path, "\x08\0\0\0\0\0\0\0{}      ", 16);
}

static void
test_good(void)
{
    put("good/config.json", "{\"_class_name\":\"X\",\"n\":[1,2]}");
    put("good/README.md", "# (a model)\n");
    put("good/LICENSE", "Do what you like.\n");
    put("good/tokenizer/vocab.json", "{}");
    put("good/tokenizer/merges.txt", "#version: 0.2\ni n\n");
    put("good/.hidden/x.py", "pass\n");
    put("good/empty", "");
    put_weights("good/diffusion_pytorch_model.safetensors");
    check_audit("good", DFX_VERDICT_SAFE, "", "a folder of data is safe");
}

static void
test_programs(void)
{
    put("prog/config.json", "{}");
    put_weights("prog/model.safetensors");
    put("prog/unet/my_unet.PY", "import os\n");
    check_audit("prog", DFX_VERDICT_SUSPICIOUS, "unet/my_unet.PY:folder.code",
                "a Python file");
    scratch_clear("prog/unet");
    put("prog/notes.txt", "#!/bin/sh\nrm x\n");
    check_audit("prog", DFX_VERDICT_SUSPICIOUS, "notes.txt:folder.code",
                "a script that is called text");
    put("prog/notes.txt", "\x7f"
                          "ELF...");
    check_audit("prog", DFX_VERDICT_SUSPICIOUS, "notes.txt:folder.code",
                "a program that is called text");
    put("prog/notes.txt", "nothing");
    put("prog/data.xyz", "nothing");
    check_audit("prog", DFX_VERDICT_CANNOT_TELL, "data.xyz:folder.unknown-file",
                "a file of no known kind");
    CHECK(unlink("prog/data.xyz") == 0 && symlink("/tmp", "prog/vae") == 0,
          "a link to a folder");
    check_audit("prog", DFX_VERDICT_CANNOT_TELL, ":folder.unknown-file",
                "which loaders follow");
}

static void
test_configs(void)
{
    put_weights("conf/model.safetensors");
    put("conf/config.json", "{\"auto_map\":{\"AutoModel\":\"modeling.M\","
                            "\"AutoTokenizer\":[\"tok.T\",null]}}");
    check_audit("conf", DFX_VERDICT_SUSPICIOUS,
                "config.json:folder.remote-code modeling.M; "
                "config.json:folder.remote-code tok.T",
                "classes of the repository");
    put("conf/config.json", "{\"auto_map\":null}");
    check_audit("conf", DFX_VERDICT_SAFE, "", "none of them");
    put("conf/config.json", "{\"a\":1,\"a\":2}");
    check_audit("conf", DFX_VERDICT_CANNOT_TELL,
                "config.json:json.duplicate-key",
                "a config that readers read differently");
}

static void
test_pipelines(void)
{
    put("pipe/model_index.json",
        "{\"_class_name\":[\"pipeline\",\"Mine\"],"
        "\"unet\":[\"my_unet\",\"U\"],\"vae\":[\"diffusers\",\"V\"]}");
    put("pipe/unet/my_unet.py", "import os\n");
    put_weights("pipe/unet/diffusion_pytorch_model.safetensors");
    put_weights("pipe/vae/diffusion_pytorch_model.safetensors");
    check_audit("pipe", DFX_VERDICT_SUSPICIOUS,
                "model_index.json:folder.remote-code pipeline; "
                "model_index.json:folder.remote-code my_unet; "
                "unet/my_unet.py:folder.code",
                "a pipeline and a component of the repository");
}

static void
test_weights(void)
{
    put("bad/config.json", "{}");
    put("bad/model.safetensors", "\x08\0");
    check_audit("bad", DFX_VERDICT_CANNOT_TELL,
                "model.safetensors:st.header.short",
                "weights that cannot be read");
    put("bad/model.onnx", "x");
    put_weights("bad/model.safetensors");
    check_audit("bad", DFX_VERDICT_CANNOT_TELL, "model.onnx:kind.unknown",
                "weights that no format reads");
}

int
main(void)
{
    scratch_enter();
    test_good();
    test_programs();
    test_configs();
    test_pipelines();
    test_weights();
    return tap_end();
}
