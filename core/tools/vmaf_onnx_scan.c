/*
 * vmaf-onnx-scan MODEL...
 *
 * Prints one verdict line per file. Exit status: 0 all accepted, 1 at least one
 * refused, 2 no file given or one that cannot be read.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_bytes.h"
#include "onnx_scan.h"

static void print_refusal(const char *path, const VmafDnnScanReport *report)
{
    printf("refused %s: %s", path, vmaf_dnn_reason_name(report->reason));
    if (report->detail[0])
        printf(": %s", report->detail);
    if (report->op[0] || report->domain[0] || report->node[0])
        printf(" in node \"%s\" (op \"%s\", domain \"%s\")", report->node, report->op,
               report->domain);
    printf(" at byte %" PRIu64 "\n", report->offset);
}

/* Returns 0 accepted, 1 refused, 2 unreadable. */
static int scan_file(const char *path)
{
    uint8_t *data = NULL;
    size_t size = 0;
    VmafDnnScanReport report;
    int error = vmaf_dnn_read_file(path, VMAF_DNN_MAX_MODEL_SIZE, &data, &size);
    if (error == -EFBIG) {
        memset(&report, 0, sizeof(report));
        report.reason = VMAF_DNN_FILE_TOO_LARGE;
        print_refusal(path, &report);
        return 1;
    }
    if (error) {
        printf("unreadable %s: %s\n", path, strerror(-error));
        return 2;
    }
    error = vmaf_dnn_scan(data, size, NULL, &report);
    free(data);
    if (error) {
        print_refusal(path, &report);
        return 1;
    }
    printf("ok %s: opset %" PRId64 ", %" PRIu32 " nodes\n", path, report.opset, report.nodes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void) fputs("usage: vmaf-onnx-scan MODEL...\n", stderr);
        return 2;
    }
    int status = 0;
    for (int i = 1; i < argc; i++) {
        const int verdict = scan_file(argv[i]);
        if (verdict > status)
            status = verdict;
    }
    return status;
}
