#include "onnx_scan.h"

#include <errno.h>
#include <string.h>

#include "loop_bound.h"
#include "onnx_fields.h"

enum { ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3 };

/* Walks what is inside a message that has no rule of its own. */
static void walk_plain(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame);

/* Walks what is inside a message whose fields have been read, from the first message in it on. */
static void walk_rest(OnnxScan *scan, const OnnxFields *read, int level, const OnnxFrame *frame)
{
    if (!read->first_inner)
        return;
    const PbSpan rest = {read->first_inner, (size_t) (read->reader.end - read->first_inner)};
    walk_plain(scan, read->message, rest, level, frame);
}

static bool op_allowed(const OnnxScan *scan, PbSpan op)
{
    return vmaf_dnn_op_allowed(scan->list, op.ptr, op.size);
}

static void judge_loop(OnnxScan *scan, const OnnxNodeText *node, PbSpan payload,
                       const OnnxFrame *frame)
{
    scan->loops++;
    if (scan->loops > VMAF_DNN_MAX_LOOPS)
        onnx_refuse(scan, VMAF_DNN_TOO_MANY_LOOPS, payload.ptr, onnx_no_text());
    else if (!onnx_trip_count_ok(scan, node->first_input, frame))
        onnx_refuse(scan, VMAF_DNN_LOOP_TRIP_COUNT, payload.ptr, onnx_no_text());
}

static void judge_node(OnnxScan *scan, const OnnxNodeText *node, PbSpan payload,
                       const OnnxFrame *frame)
{
    if (node->op.size == 0)
        onnx_refuse(scan, VMAF_DNN_MISSING_OP_TYPE, payload.ptr, onnx_no_text());
    else if (!onnx_default_domain(node->domain))
        onnx_refuse(scan, VMAF_DNN_FOREIGN_DOMAIN, payload.ptr, onnx_no_text());
    else if (!op_allowed(scan, node->op))
        onnx_refuse(scan, VMAF_DNN_OP_NOT_ALLOWED, payload.ptr, onnx_no_text());
    else if (onnx_same(node->op, "Loop"))
        judge_loop(scan, node, payload, frame);
}

static void walk_node(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    const OnnxNodeText *const around = scan->node;
    OnnxNodeText node = {
        onnx_no_text(), onnx_no_text(), onnx_no_text(), onnx_no_text(), false, false};
    scan->node = &node;
    scan->report->nodes++;

    /* Two passes: the fields may stand in any order, and the attributes are judged by the op. */
    OnnxFields fields = onnx_open(ONNX_NODE, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 1:
            if (!node.has_input)
                node.first_input = fields.span;
            node.has_input = true;
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
    walk_rest(scan, &fields, level, frame);
    scan->node = around;
}

static void walk_tensor(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    PbSpan name = onnx_no_text();
    bool external = false;
    OnnxFields fields = onnx_open(ONNX_TENSOR, payload);
    while (onnx_next(scan, &fields)) {
        if (fields.number == 8)
            name = fields.span;
        else if (fields.number == 13 || (fields.number == 14 && fields.value != 0))
            external = true;
    }
    if (external)
        onnx_refuse(scan, VMAF_DNN_EXTERNAL_DATA, payload.ptr, name);
    walk_rest(scan, &fields, level, frame);
}

/* What an attribute says of itself. */
typedef struct Attribute {
    OnnxFields fields; /* all read */
    PbSpan name;
    PbSpan text;
    uint64_t number;
    uint64_t type;
    uint32_t values; /* one bit for each field that holds a value */
    bool reference;
} Attribute;

static void read_attribute(OnnxScan *scan, PbSpan payload, Attribute *attribute)
{
    OnnxFields *const fields = &attribute->fields;
    *attribute = (Attribute){
        .fields = onnx_open(ONNX_ATTRIBUTE, payload), .name = onnx_no_text(), .text = onnx_no_text()};
    while (onnx_next(scan, fields)) {
        switch (fields->number) {
        case 1:
            attribute->name = fields->span;
            break;
        case 13: /* doc_string */
            break;
        case 20:
            attribute->type = fields->value;
            break;
        case 21:
            attribute->reference = fields->span.size > 0;
            break;
        default:
            attribute->values |= UINT32_C(1) << fields->number;
            if (fields->number == 3)
                attribute->number = fields->value;
            else if (fields->number == 4)
                attribute->text = fields->span;
            break;
        }
    }
}

static bool attribute_type_ok(const Attribute *attribute)
{
    const unsigned field = onnx_attribute_field(attribute->type);
    const uint32_t bit = UINT32_C(1) << field;
    return field != 0 && (attribute->values & ~bit) == 0 &&
           (attribute->values != 0 || !onnx_attribute_single(attribute->type));
}

static bool attribute_permitted(const OnnxScan *scan, const Attribute *attribute)
{
    const OnnxNodeText *const node = scan->node;
    VmafDnnAttrValue value = {VMAF_DNN_ATTR_OTHER, NULL, 0, 0};
    if (attribute->type == ATTRIBUTE_STRING) {
        value.type = VMAF_DNN_ATTR_STRING;
        value.text = attribute->text.ptr;
        value.text_size = attribute->text.size;
    } else if (attribute->type == ATTRIBUTE_INT) {
        value.type = VMAF_DNN_ATTR_INT;
        /* Two's complement; a negative value is one that no rule can name. */
        value.number = attribute->number > INT64_MAX ? -1 : (int64_t) attribute->number;
    }
    if (!node->limited)
        return true;
    return vmaf_dnn_attr_allowed(scan->list, node->op.ptr, node->op.size, attribute->name.ptr,
                                 attribute->name.size, &value);
}

static void walk_attribute(OnnxScan *scan, PbSpan payload, int level, const OnnxFrame *frame)
{
    Attribute attribute;
    read_attribute(scan, payload, &attribute);
    if (onnx_refused(scan))
        return;
    if (attribute.reference)
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_REFERENCE, payload.ptr, attribute.name);
    else if (!attribute_type_ok(&attribute))
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_TYPE, payload.ptr, attribute.name);
    else if (!attribute_permitted(scan, &attribute))
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_POLICY, payload.ptr, attribute.name);
    walk_rest(scan, &attribute.fields, level, frame);
}

/* Walks a message inside another one; frame is the graph around it. */
static void walk_inner(OnnxScan *scan, OnnxMessage message, PbSpan payload, int level,
                       const OnnxFrame *frame)
{
    if (level > VMAF_DNN_MAX_NESTING) {
        onnx_refuse_message(scan, VMAF_DNN_TOO_DEEP, payload.ptr, message);
        return;
    }
    switch (message) {
    case ONNX_GRAPH: {
        const OnnxFrame inner = {payload, frame->depth + 1, frame};
        if (inner.depth > VMAF_DNN_MAX_SUBGRAPH_DEPTH)
            onnx_refuse_message(scan, VMAF_DNN_TOO_DEEP, payload.ptr, message);
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
        onnx_refuse(scan, VMAF_DNN_BAD_OPSET, payload.ptr, onnx_no_text());
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
            onnx_refuse(scan, VMAF_DNN_TRAINING_INFO, fields.span.ptr, onnx_no_text());
            break;
        case ONNX_FUNCTION:
            onnx_refuse(scan, VMAF_DNN_FUNCTIONS, fields.span.ptr, onnx_no_text());
            break;
        default:
            has_graph = has_graph || fields.inner == ONNX_GRAPH;
            walk_inner(scan, fields.inner, fields.span, 1, &outside);
            break;
        }
    }
    if (!has_graph)
        onnx_refuse(scan, VMAF_DNN_MISSING_GRAPH, payload.ptr, onnx_no_text());
    else if (scan->report->opset == 0)
        onnx_refuse(scan, VMAF_DNN_BAD_OPSET, payload.ptr, onnx_no_text());
}

int vmaf_dnn_scan(const uint8_t *data, size_t size, const VmafDnnOpList *list,
                  VmafDnnScanReport *report)
{
    if (!data || !report)
        return -EINVAL;
    memset(report, 0, sizeof(*report));
    OnnxScan scan = {data, list, report, NULL, 0, 0};
    const PbSpan payload = {data, size};
    if (size > VMAF_DNN_MAX_MODEL_SIZE)
        onnx_refuse(&scan, VMAF_DNN_FILE_TOO_LARGE, data, onnx_no_text());
    else
        walk_model(&scan, payload);
    return onnx_refused(&scan) ? -EPERM : 0;
}
