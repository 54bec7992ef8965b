/*
 * The field reader that every step of a walk goes through, and what a walk
 * carries along. Internal to the scanner.
 */

#ifndef VMAF_DNN_ONNX_FIELDS_H
#define VMAF_DNN_ONNX_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "onnx_scan.h"
#include "onnx_schema.h"
#include "pb_reader.h"

/* What is known of the node being read. */
typedef struct OnnxNodeText {
    PbSpan op;
    PbSpan domain;
    PbSpan name;
    PbSpan first_input;
    PbSpan third_input;
    unsigned inputs; /* how many there are */
    bool limited;    /* the policy has rules for the op */
    const struct OnnxNodeText *around; /* the node whose subgraph it stands in, or NULL */
} OnnxNodeText;

/* One graph on the path from the model to the node being read. */
typedef struct OnnxFrame {
    PbSpan graph;
    int depth;
    const struct OnnxFrame *outer;
} OnnxFrame;

typedef struct OnnxScan {
    const uint8_t *base;
    const VmafDnnOpList *list;
    VmafDnnScanReport *report;
    const OnnxNodeText *node; /* innermost node being read, or NULL */
    uint32_t fields_left; /* that may still be read; 0 once the scan is refused */
    uint32_t loops;
} OnnxScan;

/* The fields of one message, in the order in which they stand. */
typedef struct OnnxFields {
    const uint8_t *next;
    const uint8_t *end;
    const OnnxField *table; /* of the message in vmaf_dnn_onnx_schema */
    OnnxMessage message;
    uint32_t seen;
    const uint8_t *at;  /* the field's tag */
    uint32_t number;
    uint64_t value;     /* of a varint, else 0 */
    PbSpan span;        /* the field's payload */
    OnnxMessage inner;  /* the message in it, or ONNX_NO_MESSAGE */
    const uint8_t *first_inner; /* tag of the first field with a message in it, or NULL */
} OnnxFields;

/* Tells whether the scan has found a reason to refuse. */
static inline bool onnx_refused(const OnnxScan *scan)
{
    return scan->report->reason != VMAF_DNN_OK;
}

/* Tells whether a span is exactly text. */
static inline bool onnx_same(PbSpan span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.ptr, text, span.size) == 0;
}

/* Tells whether two spans hold the same bytes. */
bool vmaf_dnn_onnx_equal(PbSpan a, PbSpan b);

/* Tells whether a domain is the default ONNX domain, which has two spellings. */
static inline bool onnx_default_domain(PbSpan domain)
{
    return domain.size == 0 || onnx_same(domain, "ai.onnx");
}

/* Somewhere for an empty text to point to. */
extern const uint8_t vmaf_dnn_onnx_nothing[1];

/* An empty text that may be compared and shown. */
static inline PbSpan onnx_no_text(void)
{
    return (PbSpan){vmaf_dnn_onnx_nothing, 0};
}

/* Notes a reason to refuse, unless there is one already. detail is shown escaped. */
void vmaf_dnn_onnx_refuse(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at, PbSpan detail);

/* The same with a message's label as the detail. */
void vmaf_dnn_onnx_refuse_message(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at,
                         OnnxMessage message);

/* Starts at the first field of a message with this payload. */
static inline OnnxFields onnx_open(OnnxMessage message, PbSpan payload)
{
    return (OnnxFields){.next = payload.ptr,
                        .end = payload.ptr + payload.size,
                        .table = vmaf_dnn_onnx_schema[message],
                        .message = message};
}

/* Reads and checks a field that is there, of any form; see onnx_next(). */
bool vmaf_dnn_onnx_read(OnnxScan *scan, OnnxFields *fields);

/* Tells whether any of the size bytes at text is NUL; limit is where the readable bytes end. */
static inline bool onnx_has_nul(const uint8_t *text, size_t size, const uint8_t *limit)
{
    /* Names are short: most lie within one word, and a call costs more than that. */
    if (size == 0 || size > 8 || limit - text < 8)
        return size > 0 && memchr(text, 0, size) != NULL;
    return pb_zeros(pb_word(text) | ~(UINT64_MAX >> (64 - 8 * size))) != 0;
}

/*
 * Reads what nearly every field is: a tag of one byte, or of two for a number
 * from 16 to 31, then an integer below 128 or bytes. Returns false, and has
 * changed nothing, if the field is another one or has a fault; vmaf_dnn_onnx_read()
 * decides then.
 */
static inline bool onnx_read_short(OnnxScan *scan, OnnxFields *fields)
{
    const uint8_t *const at = fields->next;
    const uint8_t *const end = fields->end;
    if (end - at < 3 || scan->fields_left == 0)
        return false;
    /* A first byte above 127 followed by 1 is the tag of the same value. */
    const unsigned tag = at[0];
    const uint8_t *rest = at + 1;
    if (tag > 127 && *rest++ != 1)
        return false;
    const OnnxField field = fields->table[tag];
    const OnnxForm form = onnx_form(field);
    if (form < ONNX_INT64)
        return false;
    uint64_t value = *rest;
    PbSpan span = {rest, 1};
    if (value > 127 || form > ONNX_INT32) {
        PbReader reader = {rest, end, VMAF_DNN_OK};
        span = pb_span(&reader, pb_varint(&reader));
        if (form <= ONNX_INT32 || reader.error != VMAF_DNN_OK ||
            (form == ONNX_TEXT && onnx_has_nul(span.ptr, span.size, end)))
            return false;
        value = 0;
    }
    if (!onnx_repeated(field)) {
        const uint32_t bit = UINT32_C(1) << (tag >> 3);
        if (fields->seen & bit)
            return false;
        fields->seen |= bit;
    }
    scan->fields_left--;
    fields->at = at;
    fields->number = tag >> 3;
    fields->value = value;
    fields->span = span;
    fields->next = span.ptr + span.size;
    fields->inner = onnx_inner(field);
    if (form == ONNX_INNER && !fields->first_inner)
        fields->first_inner = at;
    return true;
}

/*
 * Reads and checks the next field. Returns false at the end of the message or
 * as soon as the scan has a reason to refuse.
 */
static inline bool onnx_next(OnnxScan *scan, OnnxFields *fields)
{
    if (onnx_read_short(scan, fields))
        return true;
    if (fields->next == fields->end || onnx_refused(scan))
        return false;
    /* A copy, so that the caller's never leaves the registers. */
    OnnxFields copy = *fields;
    const bool found = vmaf_dnn_onnx_read(scan, &copy);
    *fields = copy;
    return found;
}

/*
 * Skips the short numbers that follow under the tag of the field that was just
 * read, if it may repeat: they say nothing new to a caller that does not look
 * at their values.
 */
static inline void onnx_skip_numbers(OnnxScan *scan, OnnxFields *fields)
{
    const uint8_t tag = *fields->at;
    if (fields->table[tag] != ONNX_FIELD(ONNX_INT64, 1, 0) || tag > 127)
        return;
    while (fields->end - fields->next >= 2 && fields->next[0] == tag && fields->next[1] < 128 &&
           scan->fields_left > 0) {
        fields->next += 2;
        scan->fields_left--;
    }
}

#endif
