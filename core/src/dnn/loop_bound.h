/*
 * Whether a Loop's trip count is a small constant. Internal to the scanner.
 */

#ifndef VMAF_DNN_LOOP_BOUND_H
#define VMAF_DNN_LOOP_BOUND_H

#include <stdbool.h>

#include "onnx_fields.h"

/*
 * Tells whether the value name is a constant from 0 to VMAF_DNN_MAX_TRIP_COUNT
 * in the scope of the graph frame.
 *
 * The innermost graph that defines the name decides. It must define it once,
 * as an initializer or as the output of a Constant node: what is also a graph
 * input can be set by the caller. If a graph that is searched is damaged, the
 * scan is refused for that and the result is false.
 */
bool vmaf_dnn_onnx_trip_count_ok(OnnxScan *scan, PbSpan name, const OnnxFrame *frame);

#endif
