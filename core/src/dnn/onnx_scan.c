#include "onnx_scan.h"

#include <errno.h>
#include <string.h>

#include "attribute_rules.h"
#include "loop_bound.h"
#include "onnx_fields.h"

enum { TAG_NODE_ATTRIBUTE = 5 << 3 | PB_BYTES };

/* Walks a message inside another one; frame is the graph around it. */
static void walk_inner(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame);

/* Walks what is inside a message that has no rule of its own. */
static void walk_plain(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame);

/* Walks what is inside a message whose fields have been read, from the first message in it on. */
static void walk_rest(OnnxScan *scan, OnnxMessage message, PbSpan payload, const uint8_t *first,
                      int level, const OnnxFrame *frame)
{
    if (!first)
        return;
    const PbSpan rest = {first, (size_t) (payload.ptr + payload.size - first)};
    walk_plain(scan, message, rest, level, frame);
}

/*
 * Walks the attributes of a node whose fields have been read, from the first message in it on.
 * What stands under an attribute's tag with a short length was found sound then.
 */
static void walk_attributes(OnnxScan *scan, PbSpan payload, const uint8_t *first, int level,
                            const OnnxFrame *frame)
{
    const uint8_t *const end = payload.ptr + payload.size;
    while (first && end - first >= 2 && first[0] == TAG_NODE_ATTRIBUTE && first[1] < 128 &&
           scan->fields_left > 0) {
        const PbSpan attribute = {first + 2, first[1]};
        scan->fields_left--;
        walk_inner(scan, ONNX_ATTRIBUTE, attribute, level + 1, frame);
        first = attribute.ptr + attribute.size;
    }
    walk_rest(scan, ONNX_NODE, payload, first, level, frame);
}

static bool op_allowed(const OnnxScan *scan, PbSpan op)
{
    return vmaf_dnn_op_allowed(scan->list, op.ptr, op.size);
}

/* Tells whether the node stands in a Loop's body, however deep. */
static bool in_loop(const OnnxNodeText *node)
{
    for (const OnnxNodeText *around = node->around; around; around = around->around) {
        if (onnx_same(around->op, "Loop"))
            return true;
    }
    return false;
}

static void judge_loop(OnnxScan *scan, const OnnxNodeText *node, PbSpan payload,
                       const OnnxFrame *frame)
{
    scan->loops++;
    if (scan->loops > VMAF_DNN_MAX_LOOPS)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_TOO_MANY_LOOPS, payload.ptr, onnx_no_text());
    else if (in_loop(node) || !vmaf_dnn_onnx_trip_count_ok(scan, node->first_input, frame))
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_LOOP_TRIP_COUNT, payload.ptr, onnx_no_text());
}

static void judge_node(OnnxScan *scan, const OnnxNodeText *node, PbSpan payload,
                       const OnnxFrame *frame)
{
    if (node->op.size == 0)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_MISSING_OP_TYPE, payload.ptr, onnx_no_text());
    else if (!onnx_default_domain(node->domain))
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_FOREIGN_DOMAIN, payload.ptr, onnx_no_text());
    else if (!op_allowed(scan, node->op))
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_OP_NOT_ALLOWED, payload.ptr, onnx_no_text());
    else if (onnx_same(node->op, "Loop"))
        judge_loop(scan, node, payload, frame);
    else if (onnx_same(node->op, "Dropout") && node->third_input.size > 0) /* training mode */
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_POLICY, payload.ptr, node->third_input);
}

static void walk_node(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    const OnnxNodeText *const around = scan->node;
    OnnxNodeText node = {.op = onnx_no_text(),
                         .domain = onnx_no_text(),
                         .name = onnx_no_text(),
                         .first_input = onnx_no_text(),
                         .third_input = onnx_no_text(),
                         .around = around};
    scan->node = &node;
    scan->report->nodes++;

    /* Two passes: the fields may stand in any order, and the attributes are judged by the op. */
    OnnxFields fields = onnx_open(ONNX_NODE, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 1:
            if (node.inputs == 0)
                node.first_input = fields.span;
            else if (node.inputs == 2)
                node.third_input = fields.span;
            node.inputs++;
            break;
        case 3:
            node.name = fields.span;
            break;
        case 4:
            node.op = fields.span;
            break;
        case 7:
            node.domain = fields.span;
            break;
        default:
            break;
        }
    }
    if (!onnx_refused(scan))
        judge_node(scan, &node, payload, frame);
    if (fields.first_inner)
        node.limited = vmaf_dnn_op_limited(scan->list, node.op.ptr, node.op.size);
    walk_attributes(scan, payload, fields.first_inner, level, frame);
    scan->node = around;
}

static void walk_tensor(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    PbSpan name = onnx_no_text();
    bool external = false;
    OnnxFields fields = onnx_open(ONNX_TENSOR, payload);
    while (onnx_next(scan, &fields)) {
        if (fields.number == 1)
            onnx_skip_numbers(scan, &fields);
        else if (fields.number == 8)
            name = fields.span;
        else if (fields.number == 13 || (fields.number == 14 && fields.value != 0))
            external = true;
    }
    if (external)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_EXTERNAL_DATA, payload.ptr, name);
    walk_rest(scan, ONNX_TENSOR, payload, fields.first_inner, level, frame);
}

static void walk_attribute(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    const uint8_t *const first = vmaf_dnn_onnx_judge_attribute(scan, payload);
    walk_rest(scan, ONNX_ATTRIBUTE, payload, first, level, frame);
}

static void walk_inner(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame)
{
    if (level > VMAF_DNN_MAX_NESTING) {
        vmaf_dnn_onnx_refuse_message(scan, VMAF_DNN_TOO_DEEP, payload.ptr, message);
        return;
    }
    switch (message) {
    case ONNX_GRAPH: {
        const OnnxFrame inner = {payload, frame->depth + 1, frame};
        if (inner.depth > VMAF_DNN_MAX_SUBGRAPH_DEPTH)
            vmaf_dnn_onnx_refuse_message(scan, VMAF_DNN_TOO_DEEP, payload.ptr, message);
        else
            walk_plain(scan, message, payload, level, &inner);
        break;
    }
    case ONNX_NODE:
        walk_node(scan, payload, level, frame);
        break;
    case ONNX_ATTRIBUTE:
        walk_attribute(scan, payload, level, frame);
        break;
    case ONNX_TENSOR:
        walk_tensor(scan, payload, level, frame);
        break;
    default:
        walk_plain(scan, message, payload, level, frame);
        break;
    }
}

static void walk_plain(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame)
{
    OnnxFields fields = onnx_open(message, payload);
    while (onnx_next(scan, &fields)) {
        if (fields.inner != ONNX_NO_MESSAGE)
            walk_inner(scan, fields.inner, fields.span, level + 1, frame);
    }
}

static void walk_opset(OnnxScan *scan, PbSpan payload)
{
    PbSpan domain = onnx_no_text();
    uint64_t version = 0;
    OnnxFields fields = onnx_open(ONNX_OPSET, payload);
    while (onnx_next(scan, &fields)) {
        if (fields.number == 1)
            domain = fields.span;
        else
            version = fields.value;
    }
    if (onnx_refused(scan) || !onnx_default_domain(domain))
        return;
    if (scan->report->opset != 0 || version < 1 || version > INT32_MAX)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_BAD_OPSET, payload.ptr, onnx_no_text());
    else
        scan->report->opset = (int64_t) version;
}

static void walk_model(OnnxScan *scan, PbSpan payload)
{
    const OnnxFrame outside = {onnx_no_text(), -1, NULL};
    bool has_graph = false;
    OnnxFields fields = onnx_open(ONNX_MODEL, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.inner) {
        case ONNX_NO_MESSAGE:
            break;
        case ONNX_OPSET:
            walk_opset(scan, fields.span);
            break;
        case ONNX_TRAINING_INFO:
            vmaf_dnn_onnx_refuse(scan, VMAF_DNN_TRAINING_INFO, fields.span.ptr, onnx_no_text());
            break;
        case ONNX_FUNCTION:
            vmaf_dnn_onnx_refuse(scan, VMAF_DNN_FUNCTIONS, fields.span.ptr, onnx_no_text());
            break;
        default:
            has_graph = has_graph || fields.inner == ONNX_GRAPH;
            walk_inner(scan, fields.inner, fields.span, 1, &outside);
            break;
        }
    }
    if (!has_graph)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_MISSING_GRAPH, payload.ptr, onnx_no_text());
    else if (scan->report->opset == 0)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_BAD_OPSET, payload.ptr, onnx_no_text());
}

int vmaf_dnn_scan(const uint8_t *data, size_t size, const VmafDnnOpList *list,
                  VmafDnnScanReport *report)
{
    if (!data || !report)
        return -EINVAL;
    memset(report, 0, sizeof(*report));
    OnnxScan scan = {data, list, report, NULL, VMAF_DNN_MAX_FIELDS, 0};
    const PbSpan payload = {data, size};
    if (size > VMAF_DNN_MAX_MODEL_SIZE)
        vmaf_dnn_onnx_refuse(&scan, VMAF_DNN_FILE_TOO_LARGE, data, onnx_no_text());
    else if (size > 8 && memcmp(data + 4, "ORTM", 4) == 0) /* ONNX Runtime's own format, to it */
        vmaf_dnn_onnx_refuse(&scan, VMAF_DNN_ORT_FORMAT, data, onnx_no_text());
    else
        walk_model(&scan, payload);
    return onnx_refused(&scan) ? -EPERM : 0;
}
