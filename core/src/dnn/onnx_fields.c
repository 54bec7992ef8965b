#include "onnx_fields.h"

#include <stdio.h>
#include <string.h>

bool vmaf_dnn_onnx_equal(PbSpan a, PbSpan b)
{
    return a.size == b.size && memcmp(a.ptr, b.ptr, a.size) == 0;
}

const uint8_t vmaf_dnn_onnx_nothing[1] = {0};

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

void vmaf_dnn_onnx_refuse(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at, PbSpan detail)
{
    VmafDnnScanReport *const report = scan->report;
    assert(reason != VMAF_DNN_OK && at >= scan->base);
    if (report->reason != VMAF_DNN_OK)
        return;
    report->reason = (int) reason;
    scan->fields_left = 0;
    report->offset = (uint64_t) (at - scan->base);
    if (scan->node) {
        show(report->op, sizeof(report->op), scan->node->op);
        show(report->domain, sizeof(report->domain), scan->node->domain);
        show(report->node, sizeof(report->node), scan->node->name);
    }
    show(report->detail, sizeof(report->detail), detail);
}

void vmaf_dnn_onnx_refuse_message(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at,
                         OnnxMessage message)
{
    const char *const label = vmaf_dnn_onnx_labels[message];
    const PbSpan detail = {(const uint8_t *) label, strlen(label)};
    vmaf_dnn_onnx_refuse(scan, reason, at, detail);
}

static void refuse_field(OnnxScan *scan, VmafDnnReason reason, const OnnxFields *fields)
{
    char text[64];
    const int size = snprintf(text, sizeof(text), "%s field %lu",
                              vmaf_dnn_onnx_labels[fields->message],
                              (unsigned long) fields->number);
    assert(size > 0 && (size_t) size < sizeof(text));
    const PbSpan detail = {(const uint8_t *) text, (size_t) size};
    vmaf_dnn_onnx_refuse(scan, reason, fields->at, detail);
}

enum { BLOCK = 64, BLOCK_AFTER_LONG = 1024 };

/*
 * Returns how many of the BLOCK bytes at bytes, where a varint begins, are whole
 * varints of the shortest form and of seven bytes at most; 0 if there are others.
 */
static size_t short_varints(const uint8_t *bytes)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t long_ones = 0, overlong = 0, before = 0;
    for (size_t i = 0; i < BLOCK; i += 8) {
        const uint64_t word = pb_word(bytes + i), more = word & tops;
        const uint64_t two = more & more >> 8;
        long_ones |= two & two >> 16;
        overlong |= pb_zeros(word) & (more << 8 | before);
        before = more >> 56;
    }
    if (long_ones | overlong)
        return 0;
    size_t size = BLOCK;
    while (bytes[size - 1] > 127)
        size--;
    return size;
}

/* Checks a run of numbers that stand without tags. */
static VmafDnnReason check_run(OnnxForm form, PbSpan run)
{
    if (form != ONNX_RUN_INT64)
        return run.size % (form == ONNX_RUN_FLOAT ? 4 : 8) == 0 ? VMAF_DNN_OK : VMAF_DNN_TRUNCATED;
    PbReader numbers = pb_open(run);
    while (pb_more(&numbers)) {
        const size_t size = numbers.end - numbers.ptr < BLOCK ? 0 : short_varints(numbers.ptr);
        numbers.ptr += size;
        for (const uint8_t *const start = numbers.ptr;
             size == 0 && pb_more(&numbers) && numbers.ptr - start < BLOCK_AFTER_LONG;)
            (void) pb_varint(&numbers);
    }
    return numbers.error == VMAF_DNN_OK ? VMAF_DNN_OK : VMAF_DNN_BAD_VARINT;
}

/* Tells why a tag is in no table. */
static VmafDnnReason judge_tag(OnnxMessage message, uint32_t number)
{
    for (uint32_t tag = number * 8; number < ONNX_TAGS / 8 && tag < number * 8 + 8; tag++) {
        if (vmaf_dnn_onnx_schema[message][tag] != 0)
            return VMAF_DNN_WRONG_WIRE_TYPE;
    }
    return VMAF_DNN_UNKNOWN_FIELD;
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
    const bool run = form == ONNX_RUN_FLOAT || form == ONNX_RUN_DOUBLE || form == ONNX_RUN_INT64;
    if (run && reader->error == VMAF_DNN_OK)
        pb_fail(reader, check_run(form, span));
    return span;
}

bool vmaf_dnn_onnx_read(OnnxScan *scan, OnnxFields *fields)
{
    /* A copy that nothing else can see stays in registers. */
    PbReader reader = {fields->next, fields->end, VMAF_DNN_OK};
    fields->at = reader.ptr;
    if (scan->fields_left == 0) {
        vmaf_dnn_onnx_refuse_message(scan, VMAF_DNN_TOO_MANY_FIELDS, fields->at, fields->message);
        return false;
    }
    scan->fields_left--;

    unsigned wire = 0;
    const uint32_t number = pb_tag(&reader, &wire);
    fields->number = number;
    if (reader.error != VMAF_DNN_OK) {
        vmaf_dnn_onnx_refuse_message(scan, reader.error, fields->at, fields->message);
        return false;
    }
    const uint32_t tag = number < ONNX_TAGS / 8 ? number * 8 + wire : 0;
    const OnnxField spec = fields->table[tag];
    const OnnxForm form = onnx_form(spec);
    if (form == ONNX_NONE)
        reader.error = judge_tag(fields->message, number);
    if (!onnx_repeated(spec) && reader.error == VMAF_DNN_OK) {
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
        vmaf_dnn_onnx_refuse(scan, VMAF_DNN_EMBEDDED_NUL, fields->at, fields->span);
        return false;
    }
    fields->value = value;
    fields->next = reader.ptr;
    fields->inner = onnx_inner(spec);
    if (fields->inner != ONNX_NO_MESSAGE && !fields->first_inner)
        fields->first_inner = fields->at;
    return true;
}
