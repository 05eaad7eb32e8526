/*
 * models.h - the models of tests/golden/run, as folders that can be opened
 *
 * They are made in the scratch folder of a test that has called models_find.
 */
#ifndef MODELS_H
#define MODELS_H

#include "golden.h"
#include "../synth/synth.h"

#include <dirent.h>

static char models_tokenizers[600]; /* folder of their goldens */

static inline bool
copy_file(const char *from, const char *to)
{
    size_t size = 0;
    unsigned char *data = scratch_read(from, &size);

    if (data != NULL)
        scratch_write(to, data, size);
    free(data);
    return data != NULL;
}

/* A component's config, and the weights that its list makes. */
static inline bool
make_component(const char *model, const char *name, const char *folder)
{
    static const char *const stems[] = {"model", "diffusion_pytorch_model"};
    char from[1200], to[400];

    snprintf(to, sizeof to, "%s/%s", folder, name);
    mkdir(to, 0777);
    snprintf(from, sizeof from, "%s/models/%s/%s/config.json", golden_folder,
             model, name);
    snprintf(to, sizeof to, "%s/%s/config.json", folder, name);
    if (!copy_file(from, to))
        return false;
    for (size_t i = 0; i < 2; i++) {
        synth_list list;
        bool made;

        snprintf(from, sizeof from, "%s/models/%s/%s/%s.json", golden_folder,
                 model, name, stems[i]);
        if (access(from, R_OK) != 0)
            continue;
        snprintf(to, sizeof to, "%s/%s/%s.safetensors", folder, name, stems[i]);
        if (!synth_read(&list, from))
            return false;
        made = synth_write(&list, SYNTH_VALUES, to);
        synth_fini(&list);
        return made;
    }
    return false;
}

/* A tokenizer whose vocabulary is the embedded one: only the pad differs. */
static inline bool
make_tokenizer(const char *folder, const char *name, const char *golden)
{
    static const char *const files[] = {"tokenizer_config.json",
                                        "special_tokens_map.json"};
    char from[1200], to[400];

    snprintf(to, sizeof to, "%s/%s", folder, name);
    mkdir(to, 0777);
    for (size_t i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/clip/%s/%s", models_tokenizers, golden,
                 files[i]);
        snprintf(to, sizeof to, "%s/%s/%s", folder, name, files[i]);
        if (!copy_file(from, to))
            return false;
    }
    return true;
}

/* The folder of a model, made unless it was. */
static inline bool
make_model(const char *model, const char *folder)
{
    char from[1200], to[400];
    struct dirent *entry;
    bool good = true;
    DIR *dir;

    snprintf(from, sizeof from, "%s/models/%s", golden_folder, model);
    dir = opendir(from);
    if (dir == NULL)
        return false;
    mkdir(folder, 0777);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            strcmp(entry->d_name, "model_index.json") != 0)
            good = make_component(model, entry->d_name, folder) && good;
    closedir(dir);
    snprintf(from, sizeof from, "%s/models/%s/model_index.json", golden_folder,
             model);
    snprintf(to, sizeof to, "%s/model_index.json", folder);
    if (access(from, R_OK) != 0)
        return good;
    return good && copy_file(from, to) &&
           make_tokenizer(folder, "tokenizer", "l") &&
           make_tokenizer(folder, "tokenizer_2", "bang");
}

/* Goes to the scratch folder; golden_folder is that of the runs. */
static inline void
models_find(void)
{
    golden_find("tokenizers");
    snprintf(models_tokenizers, sizeof models_tokenizers, "%s", golden_folder);
    golden_find("run");
    scratch_enter();
}

#endif
