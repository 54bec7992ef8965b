#include "model_registry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_bytes.h"
#include "json_reader.h"
#include "onnx_scan.h"
#include "sha256.h"

/* The place of key in a table of count names, or count. */
static size_t find_key(const char *key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key, names[i]) == 0)
            return i;
    }
    return count;
}

/* Notes a key as seen. Returns -EEXIST if it was seen before. */
static int note_key(uint32_t *seen, size_t place)
{
    const uint32_t bit = UINT32_C(1) << place;
    const int error = *seen & bit ? -EEXIST : 0;
    *seen |= bit;
    return error;
}

static bool opset_ok(int64_t opset)
{
    return opset >= 1 && opset <= INT32_MAX;
}

static bool kind_ok(const char *kind)
{
    return strcmp(kind, "fr") == 0 || strcmp(kind, "nr") == 0 || strcmp(kind, "filter") == 0;
}

enum { SIDE_KIND, SIDE_NAME, SIDE_INPUT, SIDE_OUTPUT, SIDE_QUANT, SIDE_OPSET, SIDE_KEYS };

static const char *const sidecar_keys[SIDE_KEYS] = {
    [SIDE_KIND] = "kind",          [SIDE_NAME] = "name",         [SIDE_INPUT] = "input_name",
    [SIDE_OUTPUT] = "output_name", [SIDE_QUANT] = "quant_mode", [SIDE_OPSET] = "onnx_opset",
};

static void read_sidecar_value(JsonReader *reader, size_t key, VmafDnnSidecar *sidecar)
{
    switch (key) {
    case SIDE_KIND:
        vmaf_dnn_json_string(reader, sidecar->kind, sizeof(sidecar->kind));
        break;
    case SIDE_NAME:
        vmaf_dnn_json_string(reader, sidecar->name, sizeof(sidecar->name));
        break;
    case SIDE_INPUT:
        vmaf_dnn_json_string(reader, sidecar->input_name, sizeof(sidecar->input_name));
        break;
    case SIDE_OUTPUT:
        vmaf_dnn_json_string(reader, sidecar->output_name, sizeof(sidecar->output_name));
        break;
    case SIDE_QUANT:
        vmaf_dnn_json_string(reader, sidecar->quant_mode, sizeof(sidecar->quant_mode));
        break;
    case SIDE_OPSET:
        sidecar->onnx_opset = vmaf_dnn_json_integer(reader);
        break;
    default:
        vmaf_dnn_json_skip(reader);
        break;
    }
}

int vmaf_dnn_sidecar_parse(const uint8_t *json, size_t size, VmafDnnSidecar *sidecar)
{
    if (!json || !sidecar)
        return -EINVAL;
    if (size > VMAF_DNN_MAX_JSON_SIZE)
        return -EFBIG;
    JsonReader reader = vmaf_dnn_json_open(json, size);
    VmafDnnSidecar read;
    memset(&read, 0, sizeof(read));
    uint32_t seen = 0;
    int error = 0;
    char key[32];
    const bool entered = vmaf_dnn_json_enter(&reader, '{');
    while (entered && !error && vmaf_dnn_json_next_key(&reader, key, sizeof(key))) {
        const size_t place = find_key(key, sidecar_keys, SIDE_KEYS);
        if (place < SIDE_KEYS)
            error = note_key(&seen, place);
        read_sidecar_value(&reader, place, &read);
    }
    if (!error)
        error = vmaf_dnn_json_close(&reader);
    if (!error && seen != (UINT32_C(1) << SIDE_KEYS) - 1)
        error = -ENOENT;
    if (error)
        return error;
    if (!kind_ok(read.kind) || !read.name[0] || !read.input_name[0] || !read.output_name[0] ||
        !read.quant_mode[0] || !opset_ok(read.onnx_opset))
        return -EINVAL;
    *sidecar = read;
    return 0;
}

enum {
    ROW_ID,
    ROW_KIND,
    ROW_ONNX,
    ROW_SHA256,
    ROW_OPSET,
    ROW_LICENSE,
    ROW_REQUIRED, /* the keys from here on may be left out */
    ROW_QUANT = ROW_REQUIRED,
    ROW_SMOKE,
    ROW_NOTES,
    ROW_DESCRIPTION,
    ROW_INT8_SHA256,
    ROW_KEYS
};

static const char *const row_keys[ROW_KEYS] = {
    [ROW_ID] = "id",
    [ROW_KIND] = "kind",
    [ROW_ONNX] = "onnx",
    [ROW_SHA256] = "sha256",
    [ROW_OPSET] = "opset",
    [ROW_QUANT] = "quant_mode",
    [ROW_SMOKE] = "smoke",
    [ROW_LICENSE] = "license",
    [ROW_NOTES] = "notes",
    [ROW_DESCRIPTION] = "description",
    [ROW_INT8_SHA256] = "int8_sha256",
};

/* Reads a text that the runtime has no use for: 512 characters at most, of four bytes at most. */
static void read_prose(JsonReader *reader)
{
    char prose[4 * 512 + 1];
    vmaf_dnn_json_string(reader, prose, sizeof(prose));
}

static void read_row_value(JsonReader *reader, size_t key, VmafDnnModelRow *row)
{
    switch (key) {
    case ROW_ID:
        vmaf_dnn_json_string(reader, row->id, sizeof(row->id));
        break;
    case ROW_KIND:
        vmaf_dnn_json_string(reader, row->kind, sizeof(row->kind));
        break;
    case ROW_ONNX:
        vmaf_dnn_json_string(reader, row->onnx, sizeof(row->onnx));
        break;
    case ROW_SHA256:
        vmaf_dnn_json_string(reader, row->sha256, sizeof(row->sha256));
        break;
    case ROW_INT8_SHA256:
        vmaf_dnn_json_string(reader, row->int8_sha256, sizeof(row->int8_sha256));
        break;
    case ROW_QUANT:
        vmaf_dnn_json_string(reader, row->quant_mode, sizeof(row->quant_mode));
        break;
    case ROW_OPSET:
        row->opset = vmaf_dnn_json_integer(reader);
        break;
    case ROW_SMOKE:
        row->smoke = vmaf_dnn_json_boolean(reader);
        break;
    default:
        read_prose(reader);
        break;
    }
}

static bool all_of(const char *text, const char *permitted)
{
    return text[strspn(text, permitted)] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static bool digest_ok(const char *text)
{
    return strlen(text) == 64 && all_of(text, DIGITS "abcdef");
}

static bool id_ok(const char *id)
{
    return id[0] != '\0' && id[0] != '_' && id[0] != '-' && all_of(id, LOWER DIGITS "_-");
}

static bool file_name_ok(const char *name)
{
    static const char suffix[] = ".onnx";
    const size_t size = strlen(name), tail = sizeof(suffix) - 1;
    return size > tail && strcmp(name + size - tail, suffix) == 0 && strchr("._-", name[0]) == NULL &&
           all_of(name, LOWER DIGITS "._-");
}

static bool row_ok(const VmafDnnModelRow *row, bool has_int8)
{
    return id_ok(row->id) && kind_ok(row->kind) && file_name_ok(row->onnx) &&
           digest_ok(row->sha256) && (!has_int8 || digest_ok(row->int8_sha256)) &&
           row->quant_mode[0] && opset_ok(row->opset);
}

static int read_row(JsonReader *reader, VmafDnnModelRow *row)
{
    memset(row, 0, sizeof(*row));
    (void) snprintf(row->quant_mode, sizeof(row->quant_mode), "fp32");
    uint32_t seen = 0;
    char key[32];
    const bool entered = vmaf_dnn_json_enter(reader, '{');
    while (entered && vmaf_dnn_json_next_key(reader, key, sizeof(key))) {
        const size_t place = find_key(key, row_keys, ROW_KEYS);
        if (place == ROW_KEYS)
            return -EINVAL;
        const int error = note_key(&seen, place);
        if (error)
            return error;
        read_row_value(reader, place, row);
    }
    const uint32_t required = (UINT32_C(1) << ROW_REQUIRED) - 1;
    const bool has_int8 = (seen >> ROW_INT8_SHA256 & 1) != 0;
    if (reader->error)
        return reader->error;
    if ((seen & required) != required)
        return -ENOENT;
    return row_ok(row, has_int8) ? 0 : -EINVAL;
}

/* The ids of the rows read so far. */
typedef struct Ids {
    char (*ids)[sizeof(((VmafDnnModelRow *) NULL)->id)];
    size_t used;
    size_t room;
} Ids;

static int note_id(Ids *ids, const char *id)
{
    if (ids->used == ids->room) {
        const size_t room = ids->room ? 2 * ids->room : 16;
        void *const grown = realloc(ids->ids, room * sizeof(*ids->ids));
        if (!grown)
            return -ENOMEM;
        ids->ids = grown;
        ids->room = room;
    }
    memcpy(ids->ids[ids->used++], id, sizeof(*ids->ids));
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Returns -EEXIST if an id is there twice. Leaves the ids in another order. */
static int each_once(Ids *ids)
{
    if (ids->used < 2)
        return 0;
    qsort(ids->ids, ids->used, sizeof(*ids->ids), compare_ids);
    for (size_t i = 1; i < ids->used; i++) {
        if (strcmp(ids->ids[i - 1], ids->ids[i]) == 0)
            return -EEXIST;
    }
    return 0;
}

static int read_rows(JsonReader *reader, const char *id, VmafDnnModelRow *wanted, bool *found)
{
    Ids ids = {NULL, 0, 0};
    int error = 0;
    bool more = vmaf_dnn_json_enter(reader, '[');
    while (more && !error && vmaf_dnn_json_next_element(reader)) {
        VmafDnnModelRow row;
        error = read_row(reader, &row);
        if (!error)
            error = note_id(&ids, row.id);
        if (error || strcmp(row.id, id) != 0)
            continue;
        *found = true;
        *wanted = row;
    }
    if (!error)
        error = reader->error;
    if (!error)
        error = each_once(&ids);
    free(ids.ids);
    return error;
}

int vmaf_dnn_registry_find(const uint8_t *json, size_t size, const char *id, VmafDnnModelRow *row)
{
    if (!json || !id || !row)
        return -EINVAL;
    if (size > VMAF_DNN_MAX_JSON_SIZE)
        return -EFBIG;
    enum { SCHEMA_VERSION, MODELS, SCHEMA_NAME, KEYS };
    static const char *const names[KEYS] = {"schema_version", "models", "$schema"};
    const uint32_t required = 1u << SCHEMA_VERSION | 1u << MODELS;
    JsonReader reader = vmaf_dnn_json_open(json, size);
    VmafDnnModelRow wanted;
    bool found = false;
    int64_t version = 0;
    uint32_t seen = 0;
    int error = 0;
    char key[32];
    const bool entered = vmaf_dnn_json_enter(&reader, '{');
    while (entered && !error && vmaf_dnn_json_next_key(&reader, key, sizeof(key))) {
        const size_t place = find_key(key, names, KEYS);
        error = place == KEYS ? -EINVAL : note_key(&seen, place);
        if (error)
            break;
        if (place == SCHEMA_VERSION)
            version = vmaf_dnn_json_integer(&reader);
        else if (place == MODELS)
            error = read_rows(&reader, id, &wanted, &found);
        else
            read_prose(&reader);
    }
    if (!error)
        error = vmaf_dnn_json_close(&reader);
    if (error)
        return error;
    if ((seen & required) != required)
        return -ENOENT;
    if (version != 1)
        return -EINVAL;
    if (!found)
        return -ENOENT;
    *row = wanted;
    return 0;
}

/* Ends the hash. Returns 0 if it is sha256, else -EPERM. */
static int compare_digest(VmafDnnSha256 *hash, const char *sha256)
{
    uint8_t digest[VMAF_DNN_SHA256_SIZE];
    vmaf_dnn_sha256_final(hash, digest);
    char text[2 * VMAF_DNN_SHA256_SIZE + 1];
    for (size_t i = 0; i < VMAF_DNN_SHA256_SIZE; i++)
        (void) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return strcmp(text, sha256) == 0 ? 0 : -EPERM;
}

int vmaf_dnn_digest_check_bytes(const uint8_t *data, size_t size, const char *sha256)
{
    if (!data || !sha256)
        return -EINVAL;
    if (size > VMAF_DNN_MAX_MODEL_SIZE)
        return -EFBIG;
    VmafDnnSha256 hash;
    vmaf_dnn_sha256_init(&hash);
    vmaf_dnn_sha256_update(&hash, data, size);
    return compare_digest(&hash, sha256);
}

int vmaf_dnn_digest_check(const char *path, const char *sha256)
{
    if (!path || !sha256)
        return -EINVAL;
    FILE *stream = NULL;
    const int error = vmaf_dnn_open_file(path, &stream);
    if (error)
        return error;
    VmafDnnSha256 hash;
    vmaf_dnn_sha256_init(&hash);
    uint8_t chunk[16384];
    size_t size = 0, total = 0;
    while (total <= VMAF_DNN_MAX_MODEL_SIZE && (size = fread(chunk, 1, sizeof(chunk), stream)) > 0) {
        vmaf_dnn_sha256_update(&hash, chunk, size);
        total += size;
    }
    const bool broken = ferror(stream) != 0;
    (void) fclose(stream);
    if (broken)
        return -EIO;
    return total > VMAF_DNN_MAX_MODEL_SIZE ? -EFBIG : compare_digest(&hash, sha256);
}

/* Joins folder and name. Returns 0 or -ENAMETOOLONG. */
static int join(char *path, size_t capacity, const char *folder, const char *name)
{
    const int size = snprintf(path, capacity, "%s/%s", folder, name);
    return size > 0 && (size_t) size < capacity ? 0 : -ENAMETOOLONG;
}

int vmaf_dnn_registry_verify(const char *folder, const char *id, VmafDnnModelRow *row)
{
    if (!folder || !id || !row)
        return -EINVAL;
    char path[4096];
    int error = join(path, sizeof(path), folder, "registry.json");
    uint8_t *json = NULL;
    size_t size = 0;
    VmafDnnModelRow found;
    if (!error)
        error = vmaf_dnn_read_file(path, VMAF_DNN_MAX_JSON_SIZE, &json, &size);
    if (!error)
        error = vmaf_dnn_registry_find(json, size, id, &found);
    free(json);
    if (!error)
        error = join(path, sizeof(path), folder, found.onnx);
    if (!error)
        error = vmaf_dnn_digest_check(path, found.sha256);
    if (!error && found.int8_sha256[0]) {
        char name[sizeof(found.id) + sizeof(".int8.onnx")];
        (void) snprintf(name, sizeof(name), "%s.int8.onnx", found.id);
        error = join(path, sizeof(path), folder, name);
        if (!error)
            error = vmaf_dnn_digest_check(path, found.int8_sha256);
    }
    if (!error)
        *row = found;
    return error;
}
