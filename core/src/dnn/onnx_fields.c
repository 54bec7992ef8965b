#include "onnx_fields.h"

#include <stdio.h>
#include <string.h>

bool onnx_same(PbSpan span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
}

bool onnx_equal(PbSpan a, PbSpan b)
{
    return a.size == b.size && memcmp(a.ptr, b.ptr, a.size) == 0;
}

const uint8_t onnx_nothing[1] = {0};

/* Copies text as printable ASCII, never half an escape, always terminated. */
static void show(char *out, size_t capacity, PbSpan text)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.ptr[i];
        const bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';
        const size_t wanted = plain ? 1 : 4;
        if (wanted > capacity - 1 - used)
            break;
        if (plain) {
            out[used++] = (char) byte;
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = hex[byte >> 4];
            out[used++] = hex[byte & 15];
        }
    }
    out[used] = '\0';
}

void onnx_refuse(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at, PbSpan detail)
{
    VmafDnnScanReport *const report = scan->report;
    assert(reason != VMAF_DNN_OK && at >= scan->base);
    if (report->reason != VMAF_DNN_OK)
        return;
    report->reason = (int) reason;
    report->offset = (uint64_t) (at - scan->base);
    if (scan->node) {
        show(report->op, sizeof(report->op), scan->node->op);
        show(report->domain, sizeof(report->domain), scan->node->domain);
        show(report->node, sizeof(report->node), scan->node->name);
    }
    show(report->detail, sizeof(report->detail), detail);
}

void onnx_refuse_message(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at,
                         OnnxMessage message)
{
    const char *const label = onnx_labels[message];
    const PbSpan detail = {(const uint8_t *) label, strlen(label)};
    onnx_refuse(scan, reason, at, detail);
}

static void refuse_field(OnnxScan *scan, VmafDnnReason reason, const OnnxFields *fields)
{
    char text[64];
    const int size = snprintf(text, sizeof(text), "%s field %lu", onnx_labels[fields->message],
                              (unsigned long) fields->number);
    assert(size > 0 && (size_t) size < sizeof(text));
    const PbSpan detail = {(const uint8_t *) text, (size_t) size};
    onnx_refuse(scan, reason, fields->at, detail);
}

/* Checks a run of elements that stand without tags. */
static VmafDnnReason check_packed(OnnxForm form, PbSpan run)
{
    if (form == ONNX_PACKED_INTS) {
        PbReader elements = pb_open(run);
        while (pb_more(&elements))
            (void) pb_varint(&elements);
        return elements.error == VMAF_DNN_OK ? VMAF_DNN_OK : VMAF_DNN_BAD_VARINT;
    }
    return run.size % (form == ONNX_PACKED_FLOATS ? 4 : 8) == 0 ? VMAF_DNN_OK : VMAF_DNN_TRUNCATED;
}

/* Tells why a tag whose wire type is not its field's is wrong, or VMAF_DNN_OK for a packed run. */
static VmafDnnReason judge_wire_type(const OnnxField *spec, unsigned wire)
{
    if (spec->form == ONNX_NONE)
        return VMAF_DNN_UNKNOWN_FIELD;
    const bool packed = wire == PB_BYTES && spec->form >= ONNX_PACKED_FLOATS;
    return packed ? VMAF_DNN_OK : VMAF_DNN_WRONG_WIRE_TYPE;
}

/* Reads a varint payload. */
static PbSpan read_integer(PbReader *reader, OnnxForm form, uint64_t *value)
{
    const uint8_t *const start = reader->ptr;
    *value = pb_varint(reader);
    if (form == ONNX_INT32 && *value > INT32_MAX && *value < UINT64_MAX - INT32_MAX)
        pb_fail(reader, VMAF_DNN_LOSSY_VALUE);
    return (PbSpan){start, (size_t) (reader->ptr - start)};
}

/* Reads a length-delimited payload. */
static PbSpan read_bytes(PbReader *reader, OnnxForm form)
{
    const PbSpan span = pb_span(reader, pb_varint(reader));
    if (form >= ONNX_PACKED_FLOATS && reader->error == VMAF_DNN_OK)
        pb_fail(reader, check_packed(form, span));
    return span;
}

bool onnx_read(OnnxScan *scan, OnnxFields *fields)
{
    /* A copy that nothing else can see stays in registers. */
    PbReader reader = fields->reader;
    fields->at = reader.ptr;
    if (scan->fields_read >= VMAF_DNN_MAX_FIELDS) {
        onnx_refuse_message(scan, VMAF_DNN_TOO_MANY_FIELDS, fields->at, fields->message);
        return false;
    }
    scan->fields_read++;

    unsigned wire = 0;
    const uint32_t number = pb_tag(&reader, &wire);
    fields->number = number;
    if (reader.error != VMAF_DNN_OK) {
        onnx_refuse_message(scan, reader.error, fields->at, fields->message);
        return false;
    }
    const OnnxField *const spec = &onnx_schema[fields->message][number < ONNX_FIELDS ? number : 0];
    const OnnxForm form = (OnnxForm) spec->form;
    if (form == ONNX_NONE || wire != spec->wire)
        reader.error = judge_wire_type(spec, wire);
    if (!spec->repeated && reader.error == VMAF_DNN_OK) {
        const uint32_t bit = UINT32_C(1) << number;
        if (fields->seen & bit)
            reader.error = VMAF_DNN_DUPLICATE_FIELD;
        fields->seen |= bit;
    }
    uint64_t value = 0;
    if (wire == PB_BYTES)
        fields->span = read_bytes(&reader, form);
    else if (wire == PB_VARINT)
        fields->span = read_integer(&reader, form, &value);
    else
        fields->span = pb_span(&reader, wire == PB_FIXED32 ? 4 : 8);
    if (reader.error != VMAF_DNN_OK) {
        refuse_field(scan, reader.error, fields);
        return false;
    }
    if (form == ONNX_TEXT && memchr(fields->span.ptr, 0, fields->span.size)) {
        onnx_refuse(scan, VMAF_DNN_EMBEDDED_NUL, fields->at, fields->span);
        return false;
    }
    fields->value = value;
    fields->reader.ptr = reader.ptr;
    fields->inner = (OnnxMessage) spec->inner;
    if (fields->inner != ONNX_NO_MESSAGE && !fields->first_inner)
        fields->first_inner = fields->at;
    return true;
}
