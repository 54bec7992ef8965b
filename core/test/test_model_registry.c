#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "check.h"
#include "model_registry.h"

/* SHA-256 of the three bytes of "abc". */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

#define SIDECAR                                                                              \
    "\"kind\":\"nr\",\"name\":\"m\",\"input_name\":\"input\",\"output_name\":\"saliency_map\"," \
    "\"onnx_opset\":17,\"quant_mode\":\"fp32\""

static int sidecar_error(const char *text)
{
    VmafDnnSidecar sidecar;
    return vmaf_dnn_sidecar_parse((const uint8_t *) text, strlen(text), &sidecar);
}

static void test_sidecar(void)
{
    static const char good[] = "{\"record\":{\"kind\":7,\"kind\":8}," SIDECAR ",\"x\":[]}";
    VmafDnnSidecar sidecar;
    CHECK(vmaf_dnn_sidecar_parse((const uint8_t *) good, sizeof(good) - 1, &sidecar) == 0);
    CHECK(strcmp(sidecar.kind, "nr") == 0 && strcmp(sidecar.name, "m") == 0);
    CHECK(strcmp(sidecar.input_name, "input") == 0);
    CHECK(strcmp(sidecar.output_name, "saliency_map") == 0);
    CHECK(strcmp(sidecar.quant_mode, "fp32") == 0 && sidecar.onnx_opset == 17);

    CHECK(sidecar_error("{" SIDECAR ",\"kind\":\"nr\"}") == -EEXIST);
    CHECK(sidecar_error("{" SIDECAR ",\"k\\u0069nd\":\"nr\"}") == -EEXIST);
    CHECK(sidecar_error("{\"kind\":\"nr\"}") == -ENOENT);
    CHECK(sidecar_error("{\"record\":{" SIDECAR "}}") == -ENOENT);
    CHECK(sidecar_error("[{" SIDECAR "}]") == -EINVAL);
    CHECK(sidecar_error("{" SIDECAR "} x") == -EBADMSG);
    CHECK(sidecar_error("{" SIDECAR ",\"note\":NaN}") == -EBADMSG);
    CHECK(sidecar_error("{" SIDECAR ",\"note\":\"a\\u0000b\"}") == -EBADMSG);

    VmafDnnSidecar kept;
    memset(&kept, 1, sizeof(kept));
    sidecar = kept;
    static const char wrong_type[] = "{\"kind\":1}";
    CHECK(vmaf_dnn_sidecar_parse((const uint8_t *) wrong_type, sizeof(wrong_type) - 1, &kept) == -EINVAL);
    CHECK(memcmp(&sidecar, &kept, sizeof(kept)) == 0);

    char *const large = calloc(1, VMAF_DNN_MAX_JSON_SIZE + 1);
    CHECK(large != NULL);
    if (large) {
        memset(large, ' ', VMAF_DNN_MAX_JSON_SIZE + 1);
        memcpy(large, "{" SIDECAR "}", sizeof("{" SIDECAR "}") - 1);
        CHECK(vmaf_dnn_sidecar_parse((uint8_t *) large, VMAF_DNN_MAX_JSON_SIZE, &sidecar) == 0);
        CHECK(vmaf_dnn_sidecar_parse((uint8_t *) large, VMAF_DNN_MAX_JSON_SIZE + 1, &sidecar) == -EFBIG);
    }
    free(large);
}

/* A sidecar in which one value is replaced. */
static int sidecar_with(const char *kind, const char *opset)
{
    char text[512];
    (void) snprintf(text, sizeof(text),
                    "{\"kind\":%s,\"name\":\"m\",\"input_name\":\"i\",\"output_name\":\"o\","
                    "\"onnx_opset\":%s,\"quant_mode\":\"fp32\"}",
                    kind, opset);
    return sidecar_error(text);
}

static void test_sidecar_values(void)
{
    CHECK(sidecar_with("\"nr\"", "17") == 0);
    CHECK(sidecar_with("\"filter\"", "1") == 0);
    CHECK(sidecar_with("\"xx\"", "17") == -EINVAL);
    CHECK(sidecar_with("\"\"", "17") == -EINVAL);
    CHECK(sidecar_with("\"nr with a tail\"", "17") == -EINVAL);
    CHECK(sidecar_with("\"nr\"", "\"17\"") == -EINVAL);
    CHECK(sidecar_with("\"nr\"", "17.0") == -EINVAL);
    CHECK(sidecar_with("\"nr\"", "0") == -EINVAL);
    CHECK(sidecar_with("\"nr\"", "true") == -EINVAL);
    CHECK(sidecar_with("\"nr\"", "4294967313") == -EINVAL);
}

#define ROW(id, onnx, sha)                                                                  \
    "{\"id\":\"" id "\",\"kind\":\"nr\",\"onnx\":\"" onnx "\",\"sha256\":\"" sha             \
    "\",\"opset\":17,\"license\":\"x\",\"notes\":\"\",\"description\":\"\",\"smoke\":true"
#define REGISTRY(rows) "{\"$schema\":\"s\",\"schema_version\":1,\"models\":[" rows "]}"

static int find(const char *text, const char *id)
{
    VmafDnnModelRow row;
    return vmaf_dnn_registry_find((const uint8_t *) text, strlen(text), id, &row);
}

static void test_registry(void)
{
    static const char two[] = REGISTRY(ROW("a", "a.onnx", ABC) "}," ROW("b", "b.onnx", ABC) ",\"int8_sha256\":\"" ABC "\"}");
    VmafDnnModelRow row;
    CHECK(vmaf_dnn_registry_find((const uint8_t *) two, sizeof(two) - 1, "b", &row) == 0);
    CHECK(strcmp(row.id, "b") == 0 && strcmp(row.onnx, "b.onnx") == 0 && row.smoke);
    CHECK(strcmp(row.sha256, ABC) == 0 && strcmp(row.int8_sha256, ABC) == 0 && row.opset == 17);
    CHECK(strcmp(row.quant_mode, "fp32") == 0);
    CHECK(vmaf_dnn_registry_find((const uint8_t *) two, sizeof(two) - 1, "a", &row) == 0);
    CHECK(row.int8_sha256[0] == '\0');

    CHECK(find(two, "c") == -ENOENT);
    CHECK(find(REGISTRY(""), "a") == -ENOENT);
    CHECK(find("{\"models\":[]}", "a") == -ENOENT);
    CHECK(find("{\"schema_version\":2,\"models\":[" ROW("a", "a.onnx", ABC) "}]}", "a") == -EINVAL);
    CHECK(find("{\"schema_version\":1,\"models\":[],\"x\":1}", "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) "}," ROW("a", "b.onnx", ABC) "}"), "a") == -EEXIST);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) "}," ROW("b", "b.onnx", ABC) "},"
                        ROW("a", "a.onnx", ABC) "}"), "b") == -EEXIST);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) ",\"smoke\":true}"), "a") == -EEXIST);
    CHECK(find("{\"schema_version\":,\"models\":[]}", "a") == -EBADMSG);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) "},"), "a") == -EBADMSG);
    CHECK(find(REGISTRY("{\"id\":7}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) ",\"metrics\":{}}"), "a") == -EINVAL);
    CHECK(find(REGISTRY("{\"id\":\"a\"}"), "a") == -ENOENT);
    CHECK(find(REGISTRY(ROW("A", "a.onnx", ABC) "}"), "A") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "../a.onnx", ABC) "}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "/a.onnx", ABC) "}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", ".a.onnx", ABC) "}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.bin", ABC) "}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", "BA7816") "}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) ",\"int8_sha256\":\"\"}"), "a") == -EINVAL);
    CHECK(find(REGISTRY(ROW("a", "a.onnx", ABC) ",\"int8_sha256\":null}"), "a") == -EINVAL);
}

static void write_file(const char *path, const char *text)
{
    FILE *const stream = fopen(path, "wb");
    CHECK(stream != NULL);
    if (stream) {
        (void) fputs(text, stream);
        (void) fclose(stream);
    }
}

static void test_verify(void)
{
    VmafDnnModelRow row;
    write_file("registry.json", REGISTRY(ROW("a", "a.onnx", ABC) "}"));
    write_file("a.onnx", "abc");
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == 0 && strcmp(row.id, "a") == 0);
    CHECK(vmaf_dnn_digest_check("a.onnx", ABC) == 0);
    CHECK(vmaf_dnn_registry_verify(".", "b", &row) == -ENOENT);
    write_file("registry.json", REGISTRY(ROW("a", "a.onnx", ABC) ",\"int8_sha256\":\"" ABC "\"}"));
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == -ENOENT);
    write_file("a.int8.onnx", "abd");
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == -EPERM);
    write_file("a.int8.onnx", "abc");
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == 0 && strcmp(row.int8_sha256, ABC) == 0);
    CHECK(remove("a.int8.onnx") == 0);
    write_file("registry.json", REGISTRY(ROW("a", "a.onnx", ABC) "}"));
    write_file("a.onnx", "abd");
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == -EPERM);
    CHECK(remove("a.onnx") == 0);
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == -ENOENT);
    CHECK(vmaf_dnn_digest_check(".", ABC) == -EINVAL);
    CHECK(remove("registry.json") == 0);
    CHECK(vmaf_dnn_registry_verify(".", "a", &row) == -ENOENT);
}

int main(void)
{
    test_sidecar();
    test_sidecar_values();
    test_registry();
    test_verify();
    return checked();
}
