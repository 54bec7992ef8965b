#include "attribute_rules.h"

enum { ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3 };

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

static bool type_ok(const Attribute *attribute)
{
    const unsigned field = onnx_attribute_field(attribute->type);
    const uint32_t bit = UINT32_C(1) << field;
    return field != 0 && (attribute->values & ~bit) == 0 &&
           (attribute->values != 0 || !onnx_attribute_single(attribute->type));
}

static bool permitted(const OnnxScan *scan, const Attribute *attribute)
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

const uint8_t *onnx_judge_attribute(OnnxScan *scan, PbSpan payload)
{
    const Attribute attribute = read_attribute(scan, payload);
    if (onnx_refused(scan))
        return NULL;
    if (attribute.reference)
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_REFERENCE, payload.ptr, attribute.name);
    else if (!type_ok(&attribute))
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_TYPE, payload.ptr, attribute.name);
    else if (!permitted(scan, &attribute))
        onnx_refuse(scan, VMAF_DNN_ATTRIBUTE_POLICY, payload.ptr, attribute.name);
    return attribute.first_inner;
}
