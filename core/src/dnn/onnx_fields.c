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

bool onnx_default_domain(PbSpan domain)
{
    return domain.size == 0 || onnx_same(domain, "ai.onnx");
}

PbSpan onnx_no_text(void)
{
    static const uint8_t nothing[1] = {0};
    const PbSpan span = {nothing, 0};
    return span;
}

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

OnnxFields onnx_open(OnnxMessage message, PbSpan payload)
{
    const OnnxFields fields = {.reader = pb_open(payload), .message = message};
    return fields;
}

static unsigned wire_of(OnnxForm form)
{
    switch (form) {
    case ONNX_INT64:
    case ONNX_INT32:
    case ONNX_PACKED_INTS:
        return PB_VARINT;
    case ONNX_FLOAT:
    case ONNX_PACKED_FLOATS:
        return PB_FIXED32;
    case ONNX_PACKED_DOUBLES:
        return PB_FIXED64;
    case ONNX_TEXT:
    case ONNX_BLOB:
    case ONNX_INNER:
    case ONNX_NONE:
        break;
    }
    return PB_BYTES;
}

static void check_packed(PbReader *reader, OnnxForm form, PbSpan run)
{
    if (form == ONNX_PACKED_INTS) {
        PbReader elements = pb_open(run);
        while (pb_more(&elements))
            (void) pb_varint(&elements);
        if (elements.error != VMAF_DNN_OK)
            pb_fail(reader, VMAF_DNN_BAD_VARINT);
    } else if (run.size % (form == ONNX_PACKED_FLOATS ? 4 : 8) != 0) {
        pb_fail(reader, VMAF_DNN_TRUNCATED);
    }
}

/* Reads the payload of a field whose tag has been read. */
static void read_value(OnnxFields *fields, unsigned wire, OnnxForm form)
{
    PbReader *const reader = &fields->reader;
    if (wire == PB_VARINT) {
        fields->span.ptr = reader->ptr;
        fields->value = pb_varint(reader);
        fields->span.size = (size_t) (reader->ptr - fields->span.ptr);
        if (form == ONNX_INT32 && fields->value > INT32_MAX &&
            fields->value < UINT64_MAX - INT32_MAX)
            pb_fail(reader, VMAF_DNN_LOSSY_VALUE);
        return;
    }
    const uint64_t size = wire == PB_BYTES ? pb_varint(reader) : wire == PB_FIXED32 ? 4 : 8;
    fields->span = pb_span(reader, size);
    if (wire == PB_BYTES && form >= ONNX_PACKED_FLOATS && reader->error == VMAF_DNN_OK)
        check_packed(reader, form, fields->span);
}

bool onnx_next(OnnxScan *scan, OnnxFields *fields)
{
    PbReader *const reader = &fields->reader;
    if (onnx_refused(scan) || !pb_more(reader))
        return false;
    fields->at = reader->ptr;
    fields->value = 0;
    if (scan->fields_read >= VMAF_DNN_MAX_FIELDS) {
        onnx_refuse_message(scan, VMAF_DNN_TOO_MANY_FIELDS, fields->at, fields->message);
        return false;
    }
    scan->fields_read++;

    unsigned wire = 0;
    fields->number = pb_tag(reader, &wire);
    if (reader->error != VMAF_DNN_OK) {
        onnx_refuse_message(scan, reader->error, fields->at, fields->message);
        return false;
    }
    static const OnnxField no_field = {ONNX_NONE, false, ONNX_NO_MESSAGE};
    const OnnxField *const spec =
        fields->number < ONNX_FIELDS ? &onnx_schema[fields->message][fields->number] : &no_field;
    const OnnxForm form = (OnnxForm) spec->form;
    if (form == ONNX_NONE) {
        pb_fail(reader, VMAF_DNN_UNKNOWN_FIELD);
    } else if (wire != wire_of(form) && !(wire == PB_BYTES && form >= ONNX_PACKED_FLOATS)) {
        pb_fail(reader, VMAF_DNN_WRONG_WIRE_TYPE);
    } else if (!spec->repeated) {
        const uint32_t bit = UINT32_C(1) << fields->number;
        if (fields->seen & bit)
            pb_fail(reader, VMAF_DNN_DUPLICATE_FIELD);
        fields->seen |= bit;
    }
    if (reader->error == VMAF_DNN_OK)
        read_value(fields, wire, form);
    if (reader->error != VMAF_DNN_OK) {
        refuse_field(scan, reader->error, fields);
        return false;
    }
    if (form == ONNX_TEXT && memchr(fields->span.ptr, 0, fields->span.size)) {
        onnx_refuse(scan, VMAF_DNN_EMBEDDED_NUL, fields->at, fields->span);
        return false;
    }
    fields->inner = (OnnxMessage) spec->inner;
    return true;
}
