/*
 * inspect_sarif.c - an audit as SARIF 2.1.0 (OASIS, with errata 01)
 *
 * What code scanning services ask for beyond the standard is here, too: a line
 * number (files of models have none: it is 1), fingerprints, and the severity
 * of rules.
 */
#include <config.h>

#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char schema[] = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/"
                             "errata01/os/schemas/sarif-schema-2.1.0.json";

/* A path as a URI reference (RFC 3986). Owned by the caller. */
static char *
uri_of(const char *path)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-._~/";
    bool is_absolute = path[0] == '/';
    char *uri, *end;

    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    uri = dfx_need(malloc(3 * strlen(path) + sizeof "file://"));
    end = stpcpy(uri, is_absolute ? "file://" : "");
    for (const char *p = path; *p != '\0'; p++) {
        /* A colon would end the scheme; bytes need not be UTF-8. */
        if (strchr(kept, *p) != NULL)
            *end++ = *p;
        else
            end += sprintf(end, "%%%02X", (unsigned)(unsigned char)*p);
    }
    *end = '\0';
    return uri;
}

/*
 * Where a concern is. In a folder the first names of "where" lead to a file of
 * its own, and what is left is in that. *inside is borrowed from the concern;
 * the path of the file is owned by the caller.
 */
static char *
file_of(const char *path, const dfx_concern *c, const char **inside)
{
    size_t size = strlen(c->where);
    char *file;

    *inside = c->where;
    while (size > 0) {
        dfx_need(asprintf(&file, "%s/%.*s", path, (int)size, c->where) >= 0
                     ? file
                     : NULL);
        if (access(file, F_OK) == 0 && dfx_is_file(file)) {
            *inside = c->where + size + strspn(c->where + size, "/:! ");
            return file;
        }
        free(file);
        while (size > 0 && strchr("/:!", c->where[--size]) == NULL)
            ;
    }
    return dfx_need(strdup(path));
}

/* FNV-1a of 64 bits, with the NUL: nothing depends on its strength. */
static uint64_t
mix(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++ != '\0');
    return hash;
}

/* The same finding in the same place has the same one tomorrow. */
static cJSON *
fingerprints(const dfx_concern *c)
{
    cJSON *object = dfx_json_object();
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char number[24], text[40];

    snprintf(number, sizeof number, "%" PRIu64, c->position);
    hash = mix(hash, c->rule);
    hash = mix(hash, c->global != NULL ? c->global : "");
    hash = mix(hash, c->where);
    hash = mix(hash, number);
    snprintf(text, sizeof text, "%016" PRIx64 ":1", hash);
    /* With it, uploading does not read the whole file to make one. */
    dfx_json_add(object, "primaryLocationLineHash", dfx_json_text(text));
    return object;
}

static cJSON *
text_object(const char *text)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "text", dfx_json_text(text));
    return object;
}

static const char *
level_of(dfx_verdict verdict)
{
    return verdict == DFX_VERDICT_DANGEROUS    ? "error"
           : verdict == DFX_VERDICT_SUSPICIOUS ? "warning"
                                               : "note";
}

/* {artifactLocation, region}: a file, and a byte of it unless NO_OFFSET. */
static cJSON *
physical_location(const char *file, uint64_t position)
{
    cJSON *object = dfx_json_object(), *artifact = dfx_json_object();
    cJSON *region = dfx_json_object();
    char *uri = uri_of(file);

    dfx_json_add(artifact, "uri", dfx_json_text(uri));
    free(uri);
    dfx_json_add(object, "artifactLocation", artifact);
    dfx_json_add(region, "startLine", dfx_json_count(1));
    if (position != DFX_NO_OFFSET) {
        dfx_json_add(region, "byteOffset", dfx_json_count(position));
        dfx_json_add(region, "byteLength", dfx_json_count(1));
    }
    dfx_json_add(object, "region", region);
    return object;
}

static cJSON *
locations(const char *path, const dfx_concern *c)
{
    cJSON *array = dfx_json_array(), *location = dfx_json_object();
    const char *inside;
    char *file = file_of(path, c, &inside);
    /* The position is one of the member that it is in, not of the file. */
    uint64_t position = inside[0] == '\0' ? c->position : DFX_NO_OFFSET;

    dfx_json_add(location, "physicalLocation",
                 physical_location(file, position));
    free(file);
    if (inside[0] != '\0') {
        cJSON *logicals = dfx_json_array(), *logical = dfx_json_object();

        dfx_json_add(logical, "fullyQualifiedName", dfx_json_text(inside));
        dfx_json_add(logical, "kind", dfx_json_text("member"));
        dfx_json_append(logicals, logical);
        dfx_json_add(location, "logicalLocations", logicals);
    }
    dfx_json_append(array, location);
    return array;
}

static cJSON *
result(const char *path, const dfx_concern *c, size_t rule_index)
{
    cJSON *object = dfx_json_object(), *properties = dfx_json_object();
    char *text = dfx_concern_text(c);

    dfx_json_add(object, "ruleId", dfx_json_text(c->rule));
    dfx_json_add(object, "ruleIndex", dfx_json_count(rule_index));
    dfx_json_add(object, "level", dfx_json_text(level_of(c->verdict)));
    dfx_json_add(object, "message", text_object(text));
    free(text);
    dfx_json_add(object, "locations", locations(path, c));
    dfx_json_add(object, "partialFingerprints", fingerprints(c));
    dfx_json_add(properties, "verdict",
                 dfx_json_text(dfx_verdict_name(c->verdict)));
    dfx_json_add(properties, "global", dfx_json_text(c->global));
    dfx_json_add(properties, "position",
                 c->position != DFX_NO_OFFSET ? dfx_json_count(c->position)
                                              : dfx_json_text(NULL));
    dfx_json_add(object, "properties", properties);
    return object;
}

/* A rule that was broken, and how bad it was at its worst. */
static cJSON *
descriptor(const char *id, const char *demand, dfx_verdict worst)
{
    cJSON *object = dfx_json_object(), *properties = dfx_json_object();
    cJSON *configuration = dfx_json_object(), *tags = dfx_json_array();
    char *sentence;

    dfx_need(asprintf(&sentence, "%s.", demand) >= 0 ? sentence : NULL);
    if (sentence[0] >= 'a' && sentence[0] <= 'z')
        sentence[0] = (char)(sentence[0] - 'a' + 'A');
    dfx_json_add(object, "id", dfx_json_text(id));
    dfx_json_add(object, "shortDescription", text_object(sentence));
    dfx_json_add(object, "fullDescription", text_object(sentence));
    free(sentence);
    dfx_json_add(object, "help",
                 text_object("See AUDIT in dfx-inspect(1), and RULES in "
                             "dfx-formats(5)."));
    dfx_json_add(configuration, "level", dfx_json_text(level_of(worst)));
    dfx_json_add(object, "defaultConfiguration", configuration);
    dfx_json_append(tags, dfx_json_text("security"));
    dfx_json_add(properties, "tags", tags);
    dfx_json_add(properties, "security-severity",
                 dfx_json_text(worst == DFX_VERDICT_DANGEROUS    ? "9.5"
                               : worst == DFX_VERDICT_SUSPICIOUS ? "6.0"
                                                                 : "3.0"));
    dfx_json_add(object, "properties", properties);
    return object;
}

/* Whether a rule was broken, and *worst, how badly. */
static bool
is_broken(const char *id, const dfx_audited *all, size_t count,
          dfx_verdict *worst)
{
    bool found = false;

    *worst = DFX_VERDICT_SAFE;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < all[i].count; j++) {
            const dfx_concern *c = &all[i].concerns[j];

            if (strcmp(c->rule, id) != 0)
                continue;
            found = true;
            if (c->verdict > *worst)
                *worst = c->verdict;
        }
    return found;
}

/* The rules that were broken; ids gets theirs, in the same order. */
static cJSON *
descriptors(const dfx_audited *all, size_t count, const char ***ids,
            size_t *id_count)
{
    cJSON *array = dfx_json_array();
    const char *id, *demand;

    *ids = NULL;
    *id_count = 0;
    for (size_t i = 0; dfx_rule_at(i, &id, &demand); i++) {
        dfx_verdict worst;

        if (!is_broken(id, all, count, &worst))
            continue;
        *ids = dfx_need(reallocarray(*ids, *id_count + 1, sizeof **ids));
        (*ids)[(*id_count)++] = id;
        dfx_json_append(array, descriptor(id, demand, worst));
    }
    return array;
}

static cJSON *
results(const dfx_audited *all, size_t count, const char *const *ids,
        size_t id_count)
{
    cJSON *array = dfx_json_array();

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < all[i].count; j++) {
            const dfx_concern *c = &all[i].concerns[j];
            size_t k = 0;

            while (k < id_count && strcmp(ids[k], c->rule) != 0)
                k++;
            dfx_json_append(array, result(all[i].path, c, k));
        }
    return array;
}

/* What was looked at, also where nothing was found. */
static cJSON *
artifacts(const dfx_audited *all, size_t count)
{
    cJSON *array = dfx_json_array();

    for (size_t i = 0; i < count; i++) {
        cJSON *object = dfx_json_object(), *location = dfx_json_object();
        cJSON *roles = dfx_json_array(), *properties = dfx_json_object();
        char *uri = uri_of(all[i].path);

        dfx_json_add(location, "uri", dfx_json_text(uri));
        free(uri);
        dfx_json_add(object, "location", location);
        dfx_json_append(roles, dfx_json_text("analysisTarget"));
        dfx_json_add(object, "roles", roles);
        dfx_json_add(properties, "verdict",
                     dfx_json_text(dfx_verdict_name(all[i].verdict)));
        dfx_json_add(properties, "omitted", dfx_json_count(all[i].omitted));
        dfx_json_add(object, "properties", properties);
        dfx_json_append(array, object);
    }
    return array;
}

/* How it went: what could not be read is said here. */
static cJSON *
invocations(const dfx_audited *all, size_t count, int status)
{
    cJSON *array = dfx_json_array(), *object = dfx_json_object();
    cJSON *notes = dfx_json_array();
    bool failed = false;

    for (size_t i = 0; i < count; i++) {
        cJSON *note, *places, *place;
        char text[4 * DFX_ERROR_CHARS];

        if (!all[i].failed)
            continue;
        failed = true;
        note = dfx_json_object();
        places = dfx_json_array();
        place = dfx_json_object();
        dfx_error_print(&all[i].err, text, sizeof text);
        dfx_json_add(note, "level", dfx_json_text("error"));
        dfx_json_add(note, "message", text_object(text));
        dfx_json_add(place, "physicalLocation",
                     physical_location(all[i].path, DFX_NO_OFFSET));
        dfx_json_append(places, place);
        dfx_json_add(note, "locations", places);
        dfx_json_append(notes, note);
    }
    dfx_json_add(object, "executionSuccessful", dfx_json_bool(!failed));
    dfx_json_add(object, "exitCode", dfx_json_count((uint64_t)status));
    dfx_json_add(object, "toolExecutionNotifications", notes);
    dfx_json_append(array, object);
    return array;
}

void
dfx_sarif_print(const dfx_inspect *asked, const dfx_audited *all, size_t count,
                int status)
{
    cJSON *root = dfx_json_object(), *runs = dfx_json_array();
    cJSON *run = dfx_json_object(), *tool = dfx_json_object();
    cJSON *driver = dfx_json_object();
    const char **ids;
    size_t id_count;

    dfx_json_add(driver, "name", dfx_json_text(asked->tool->name));
    dfx_json_add(driver, "version", dfx_json_text(dfx_version()));
    dfx_json_add(driver, "semanticVersion", dfx_json_text(dfx_version()));
    dfx_json_add(driver, "rules", descriptors(all, count, &ids, &id_count));
    dfx_json_add(tool, "driver", driver);
    dfx_json_add(run, "tool", tool);
    dfx_json_add(run, "invocations", invocations(all, count, status));
    dfx_json_add(run, "artifacts", artifacts(all, count));
    dfx_json_add(run, "results", results(all, count, ids, id_count));
    free(ids);
    dfx_json_append(runs, run);
    dfx_json_add(root, "$schema", dfx_json_text(schema));
    dfx_json_add(root, "version", dfx_json_text("2.1.0"));
    dfx_json_add(root, "runs", runs);
    dfx_json_print(root, stdout);
}
