#include <string.h>

#include "fuzz_target.h"
#include "model_registry.h"

static void check_text(const char *text, size_t capacity)
{
    MUST(memchr(text, 0, capacity) != NULL && text[0] != '\0');
}

/* The same bytes are read as a sidecar and as a registry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *const bytes = data ? data : nothing;
    VmafDnnSidecar sidecar;
    if (vmaf_dnn_sidecar_parse(bytes, size, &sidecar) == 0) {
        check_text(sidecar.kind, sizeof(sidecar.kind));
        check_text(sidecar.name, sizeof(sidecar.name));
        check_text(sidecar.input_name, sizeof(sidecar.input_name));
        check_text(sidecar.output_name, sizeof(sidecar.output_name));
        check_text(sidecar.quant_mode, sizeof(sidecar.quant_mode));
        MUST(sidecar.onnx_opset >= 1);
    }
    VmafDnnModelRow row;
    if (vmaf_dnn_registry_find(bytes, size, "saliency_student_v1", &row) == 0) {
        MUST(strcmp(row.id, "saliency_student_v1") == 0);
        MUST(strlen(row.sha256) == 64);
        MUST(strchr(row.onnx, '/') == NULL && row.onnx[0] != '.');
        MUST(row.int8_sha256[0] == '\0' || strlen(row.int8_sha256) == 64);
    }
    return 0;
}
