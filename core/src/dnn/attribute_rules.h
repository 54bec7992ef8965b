/*
 * Whether an attribute is of its type and within the policy. Internal to the
 * scanner.
 */

#ifndef VMAF_DNN_ATTRIBUTE_RULES_H
#define VMAF_DNN_ATTRIBUTE_RULES_H

#include "onnx_fields.h"

/*
 * Reads the attribute payload of the node scan->node, outside the messages in
 * it, and refuses the scan if it is against the rules. Returns the tag of the
 * first field with a message in it, or NULL.
 */
const uint8_t *vmaf_dnn_onnx_judge_attribute(OnnxScan *scan, PbSpan payload);

#endif
