/*
 * Decides whether the runtime may load a model, by walking its bytes.
 *
 * Accepts a model whose every node, in every subgraph, is an operator of the
 * list in the default domain, whose attributes keep to the policy, which holds
 * no function, no training graph and no tensor outside the file, and whose
 * bytes are plain protobuf of known fields. Everything else is refused.
 * Does not run, infer or allocate anything.
 */

#ifndef VMAF_DNN_ONNX_SCAN_H
#define VMAF_DNN_ONNX_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "op_allowlist.h"
#include "scan_reason.h"

/* A model of more bytes than this is refused. */
#define VMAF_DNN_MAX_MODEL_SIZE ((size_t) 50 * 1024 * 1024)

enum {
    VMAF_DNN_MAX_FIELDS = 1 << 20,   /* reads of a field, re-reads included */
    VMAF_DNN_MAX_NESTING = 64,       /* messages inside messages */
    VMAF_DNN_MAX_SUBGRAPH_DEPTH = 8, /* the model's graph is at depth 0 */
    VMAF_DNN_MAX_LOOPS = 16,         /* Loop nodes in the whole model */
    VMAF_DNN_MAX_TRIP_COUNT = 1024,  /* of one Loop; none stands in another's body */
};

/*
 * The verdict. Every text is terminated, and escaped: printable ASCII as it
 * is, any other byte and the backslash as \xNN; what does not fit is cut off.
 */
typedef struct VmafDnnScanReport {
    int reason;        /* VmafDnnReason; VMAF_DNN_OK: accepted */
    char op[64];       /* op type of the node at fault, or empty */
    char domain[64];   /* its domain, empty for the default one */
    char node[128];    /* its name, or empty */
    char detail[128];  /* the field, attribute or tensor at fault, or empty */
    uint64_t offset;   /* where the faulty field or message begins */
    int64_t opset;     /* version of the default domain; 0: not reached */
    uint32_t nodes;    /* nodes read */
} VmafDnnScanReport;

/*
 * Scans the size bytes at data, which hold a serialized ModelProto, and fills
 * report. list NULL means the shipped list. Reads nothing but the arguments.
 *
 * Returns 0 if the model is accepted, -EPERM if it is refused (report->reason
 * tells why), -EINVAL if data or report is NULL.
 */
int vmaf_dnn_scan(const uint8_t *data, size_t size, const VmafDnnOpList *list,
                  VmafDnnScanReport *report);

#endif
