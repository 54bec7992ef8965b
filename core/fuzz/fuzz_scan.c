#include <string.h>

#include "fuzz_target.h"
#include "onnx_scan.h"

static void check_text(const char *text, size_t capacity)
{
    const char *const end = memchr(text, 0, capacity);
    MUST(end != NULL);
    for (const char *at = text; at < end; at++)
        MUST(*at >= 0x20 && *at < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1] = {0};
    VmafDnnScanReport report, again;
    const uint8_t *const bytes = data ? data : nothing;
    const int verdict = vmaf_dnn_scan(bytes, size, NULL, &report);
    MUST((verdict == 0) == (report.reason == VMAF_DNN_OK));
    MUST(vmaf_dnn_reason_name(report.reason) != NULL);
    MUST(report.offset <= size);
    MUST(verdict != 0 || report.opset > 0);
    check_text(report.op, sizeof(report.op));
    check_text(report.domain, sizeof(report.domain));
    check_text(report.node, sizeof(report.node));
    check_text(report.detail, sizeof(report.detail));
    MUST(vmaf_dnn_scan(bytes, size, NULL, &again) == verdict);
    MUST(memcmp(&report, &again, sizeof(report)) == 0);
    return 0;
}
