#include "loop_bound.h"

enum { TENSOR_INT64 = 7, ATTRIBUTE_INT = 2, ATTRIBUTE_TENSOR = 4 };

/* What one graph says about a name: how often, and where it said it last. */
typedef struct Definition {
    unsigned count;
    OnnxMessage message;
    PbSpan payload;
} Definition;

/* Counts the fields number of a message that are name, for the message what at where. */
static void count_names(OnnxScan *scan, OnnxMessage message, PbSpan payload, uint32_t number,
                        PbSpan name, OnnxMessage what, PbSpan where, Definition *found)
{
    OnnxFields fields = onnx_open(message, payload);
    while (onnx_next(scan, &fields)) {
        if (fields.number != number || !vmaf_dnn_onnx_equal(fields.span, name))
            continue;
        found->count++;
        found->message = what;
        found->payload = where;
    }
}

/* Looks in one graph, outside its subgraphs. */
static Definition find_definition(OnnxScan *scan, PbSpan name, PbSpan graph)
{
    Definition found = {0, ONNX_NO_MESSAGE, onnx_no_text()};
    OnnxFields fields = onnx_open(ONNX_GRAPH, graph);
    while (onnx_next(scan, &fields)) {
        const PbSpan at = fields.span;
        switch (fields.number) {
        case 1: /* a node's outputs */
            count_names(scan, ONNX_NODE, at, 2, name, ONNX_NODE, at, &found);
            break;
        case 5: /* an initializer */
            count_names(scan, ONNX_TENSOR, at, 8, name, ONNX_TENSOR, at, &found);
            break;
        case 11: /* a graph input */
            count_names(scan, ONNX_VALUE_INFO, at, 1, name, ONNX_VALUE_INFO, at, &found);
            break;
        case 15: { /* a sparse initializer is named by its values */
            OnnxFields sparse = onnx_open(ONNX_SPARSE_TENSOR, at);
            while (onnx_next(scan, &sparse)) {
                if (sparse.number == 1)
                    count_names(scan, ONNX_TENSOR, sparse.span, 8, name, ONNX_SPARSE_TENSOR, at,
                                &found);
            }
            break;
        }
        default:
            break;
        }
    }
    return found;
}

/* Reads a checked run of varints into *value and returns how many there are, two at most. */
static unsigned read_integers(PbSpan run, uint64_t *value)
{
    PbReader reader = pb_open(run);
    unsigned count = 0;
    while (count < 2 && pb_more(&reader)) {
        *value = pb_varint(&reader);
        count++;
    }
    return count;
}

static uint64_t little_endian(PbSpan bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size && i < 8; i++)
        value |= (uint64_t) bytes.ptr[i] << (8 * i);
    return value;
}

/* One int64 in range, scalar or of shape [1]. */
static bool tensor_ok(OnnxScan *scan, PbSpan payload)
{
    uint64_t type = 0, dim = 1, value = 0;
    size_t dims = 0, values = 0;
    bool foreign = false;
    OnnxFields fields = onnx_open(ONNX_TENSOR, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 1:
            dims += read_integers(fields.span, &dim);
            break;
        case 2:
            type = fields.value;
            break;
        case 7:
            values += read_integers(fields.span, &value);
            break;
        case 9:
            foreign = foreign || fields.span.size != 8;
            value = little_endian(fields.span);
            values++;
            break;
        case 4:
        case 5:
        case 6:
        case 10:
        case 11:
        case 13:
        case 14:
            foreign = true;
            break;
        default:
            break;
        }
    }
    const bool shape_ok = dims == 0 || (dims == 1 && dim == 1);
    return !onnx_refused(scan) && !foreign && type == TENSOR_INT64 && shape_ok && values == 1 &&
           value <= VMAF_DNN_MAX_TRIP_COUNT;
}

static bool constant_attribute_ok(OnnxScan *scan, PbSpan payload)
{
    PbSpan name = onnx_no_text(), tensor = onnx_no_text();
    uint64_t type = 0, number = UINT64_MAX;
    bool has_tensor = false;
    OnnxFields fields = onnx_open(ONNX_ATTRIBUTE, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 1:
            name = fields.span;
            break;
        case 3:
            number = fields.value;
            break;
        case 5:
            tensor = fields.span;
            has_tensor = true;
            break;
        case 20:
            type = fields.value;
            break;
        default:
            break;
        }
    }
    if (onnx_refused(scan))
        return false;
    if (onnx_same(name, "value_int") && type == ATTRIBUTE_INT)
        return number <= VMAF_DNN_MAX_TRIP_COUNT;
    return onnx_same(name, "value") && type == ATTRIBUTE_TENSOR && has_tensor &&
           tensor_ok(scan, tensor);
}

static bool constant_node_ok(OnnxScan *scan, PbSpan payload)
{
    PbSpan op = onnx_no_text(), domain = onnx_no_text(), attribute = onnx_no_text();
    size_t attributes = 0;
    OnnxFields fields = onnx_open(ONNX_NODE, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 4:
            op = fields.span;
            break;
        case 5:
            attribute = fields.span;
            attributes++;
            break;
        case 7:
            domain = fields.span;
            break;
        default:
            break;
        }
    }
    return !onnx_refused(scan) && onnx_same(op, "Constant") && onnx_default_domain(domain) &&
           attributes == 1 && constant_attribute_ok(scan, attribute);
}

bool vmaf_dnn_onnx_trip_count_ok(OnnxScan *scan, PbSpan name, const OnnxFrame *frame)
{
    for (; name.size > 0 && frame; frame = frame->outer) {
        const Definition found = find_definition(scan, name, frame->graph);
        if (onnx_refused(scan))
            return false;
        if (found.count == 0)
            continue;
        if (found.count > 1)
            return false;
        if (found.message == ONNX_TENSOR)
            return tensor_ok(scan, found.payload);
        return found.message == ONNX_NODE && constant_node_ok(scan, found.payload);
    }
    return false;
}
