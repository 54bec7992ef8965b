/*
 * The two JSON files beside a model: its sidecar and the registry, and the
 * check that a model file is the one that its registry row names.
 *
 * Every reader here refuses a document that is not strict JSON (see
 * json_reader.h) or is larger than VMAF_DNN_MAX_JSON_SIZE, and fills its
 * result only if all of it is right.
 */

#ifndef VMAF_DNN_MODEL_REGISTRY_H
#define VMAF_DNN_MODEL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMAF_DNN_MAX_JSON_SIZE ((size_t) 1024 * 1024)

/* What the runtime wants of a sidecar. Every text is terminated UTF-8 and not empty. */
typedef struct VmafDnnSidecar {
    char kind[8]; /* "fr", "nr" or "filter" */
    char name[65];
    char input_name[65];
    char output_name[65];
    char quant_mode[33];
    int64_t onnx_opset; /* 1 to INT32_MAX */
} VmafDnnSidecar;

/* What the runtime wants of a registry row. */
typedef struct VmafDnnModelRow {
    char id[65];          /* ^[a-z0-9][a-z0-9_-]*$ */
    char kind[8];         /* as above */
    char onnx[129];       /* ^[a-z0-9][a-z0-9_.-]*[.]onnx$, a file beside the registry */
    char sha256[65];      /* 64 lower-case hex digits */
    char int8_sha256[65]; /* the same for id.int8.onnx, or empty if no such file ships */
    char quant_mode[33];  /* "fp32" if the row leaves it out */
    int64_t opset;        /* 1 to INT32_MAX */
    bool smoke;           /* made to test the machinery, not to score; false if left out */
} VmafDnnModelRow;

/*
 * Reads the six scalar keys kind, name, input_name, output_name, onnx_opset and
 * quant_mode at the top level. Other keys are skipped.
 *
 * Returns 0; -EINVAL if a pointer is NULL, a value has the wrong type, is empty,
 * out of range or too long; -EFBIG if the document is too large; -EBADMSG if it
 * is not strict JSON; -EEXIST if one of the six is there twice; -ENOENT if one
 * is missing.
 */
int vmaf_dnn_sidecar_parse(const uint8_t *json, size_t size, VmafDnnSidecar *sidecar);

/*
 * Finds the row of id in {"schema_version": 1, "models": [...]}, where "$schema"
 * may stand beside these. A row must have id, kind, onnx, sha256, opset and
 * license; it may have quant_mode, smoke, notes, description and int8_sha256.
 * All rows are checked, and no other key is taken.
 *
 * Returns 0; -ENOENT if no row has this id or something required is missing;
 * -EEXIST if a key, or the id of any row, is there twice; -ENOMEM; else as above.
 */
int vmaf_dnn_registry_find(const uint8_t *json, size_t size, const char *id, VmafDnnModelRow *row);

/*
 * Hashes size bytes and compares them with 64 lower-case hex digits. To be
 * given the very bytes that are scanned and handed to the runtime: a file can
 * change between two reads.
 *
 * Returns 0 if they agree; -EPERM if they differ; -EINVAL if a pointer is NULL;
 * -EFBIG if they are more than VMAF_DNN_MAX_MODEL_SIZE.
 */
int vmaf_dnn_digest_check_bytes(const uint8_t *data, size_t size, const char *sha256);

/*
 * The same for a regular file.
 *
 * Returns as above; -EINVAL also if it is no regular file; -EIO or the errno of
 * the failed open.
 */
int vmaf_dnn_digest_check(const char *path, const char *sha256);

/*
 * Checks the files of one row in folder, which holds registry.json and the
 * models: the file that the row's onnx names must have the row's sha256, and
 * where the row has int8_sha256, id.int8.onnx must have that.
 *
 * Returns 0 and fills *row; -ENAMETOOLONG if the path is beyond 4095 bytes; or
 * an error of the three functions above.
 */
int vmaf_dnn_registry_verify(const char *folder, const char *id, VmafDnnModelRow *row);

#endif
