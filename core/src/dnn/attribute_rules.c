#include "attribute_rules.h"

enum { ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3, ATTRIBUTE_INTS = 7 };

/* Tags of AttributeProto; the type's takes two bytes, and its value here one. */
enum { TAG_NAME = 1 << 3 | PB_BYTES, TAG_INT = 3 << 3, TAG_INTS = 8 << 3, TYPE_SIZE = 3 };

/* What an attribute says of itself. */
typedef struct Attribute {
    const uint8_t *first_inner; /* as in OnnxFields */
    PbSpan name;
    PbSpan text;
    uint64_t number;
    uint64_t type;
    uint32_t values; /* one bit for each field that holds a value */
    bool reference;
} Attribute;

static Attribute read_attribute(OnnxScan *scan, PbSpan payload)
{
    Attribute attribute = {.name = onnx_no_text(), .text = onnx_no_text()};
    OnnxFields fields = onnx_open(ONNX_ATTRIBUTE, payload);
    while (onnx_next(scan, &fields)) {
        switch (fields.number) {
        case 1:
            attribute.name = fields.span;
            break;
        case 13: /* doc_string */
            break;
        case 20:
            attribute.type = fields.value;
            break;
        case 21:
            attribute.reference = fields.span.size > 0;
            break;
        case 8: /* integers */
            attribute.values |= UINT32_C(1) << 8;
            onnx_skip_numbers(scan, &fields);
            break;
        default:
            attribute.values |= UINT32_C(1) << fields.number;
            if (fields.number == 3)
                attribute.number = fields.value;
            else if (fields.number == 4)
                attribute.text = fields.span;
            break;
        }
    }
    attribute.first_inner = fields.first_inner;
    return attribute;
}

/*
 * Reads what nearly every attribute is: a name, then one integer or a list of them, all below 128,
 * then the type that says so. Such an attribute has no fault. Returns false, and has changed
 * nothing, if it is another one; read_attribute() decides then.
 */
static bool read_short(OnnxScan *scan, PbSpan payload, Attribute *attribute)
{
    const uint8_t *const name = payload.ptr + 2;
    const uint8_t *const end = payload.ptr + payload.size;
    if (payload.size < 2 + TYPE_SIZE || payload.ptr[0] != TAG_NAME || payload.ptr[1] > 127 ||
        payload.ptr[1] > payload.size - 2 - TYPE_SIZE)
        return false;
    const size_t name_size = payload.ptr[1];
    const uint8_t *const numbers = name + name_size;
    const uint8_t *const type = end - TYPE_SIZE;
    const size_t count = (size_t) (type - numbers) / 2;
    if (type[0] != (20 << 3 & 127) + 128 || type[1] != 1 || (type - numbers) % 2 != 0 ||
        scan->fields_left < count + 2)
        return false;
    const bool list = type[2] == ATTRIBUTE_INTS;
    if (!list && (type[2] != ATTRIBUTE_INT || count != 1))
        return false;
    for (const uint8_t *at = numbers; at < type; at += 2) {
        if (at[0] != (list ? TAG_INTS : TAG_INT) || at[1] > 127)
            return false;
    }
    if (onnx_has_nul(name, name_size, end))
        return false;
    scan->fields_left -= (uint32_t) count + 2;
    *attribute = (Attribute){.name = {name, name_size},
                             .text = onnx_no_text(),
                             .number = list ? 0 : numbers[1],
                             .type = type[2]};
    return true;
}

static bool type_ok(const Attribute *attribute)
{
    const unsigned field = vmaf_dnn_onnx_attribute_field(attribute->type);
    const uint32_t bit = UINT32_C(1) << field;
    return field != 0 && (attribute->values & ~bit) == 0 &&
           (attribute->values != 0 || !vmaf_dnn_onnx_attribute_single(attribute->type));
}

static bool permitted(const OnnxScan *scan, const Attribute *attribute)
{
    const OnnxNodeText *const node = scan->node;
    if (!node->limited)
        return true;
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
    return vmaf_dnn_attr_allowed(scan->list, node->op.ptr, node->op.size, attribute->name.ptr,
                                 attribute->name.size, &value);
}

const uint8_t *vmaf_dnn_onnx_judge_attribute(OnnxScan *scan, PbSpan payload)
{
    Attribute attribute;
    const bool sound = read_short(scan, payload, &attribute);
    if (!sound)
        attribute = read_attribute(scan, payload);
    if (onnx_refused(scan))
        return NULL;
    if (attribute.reference)
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_REFERENCE, payload.ptr, attribute.name);
    else if (!sound && !type_ok(&attribute))
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_TYPE, payload.ptr, attribute.name);
    else if (!permitted(scan, &attribute))
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_POLICY, payload.ptr, attribute.name);
    return attribute.first_inner;
}
