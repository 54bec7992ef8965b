/*
 * The field reader that every step of a walk goes through, and what a walk
 * carries along. Internal to the scanner.
 */

#ifndef VMAF_DNN_ONNX_FIELDS_H
#define VMAF_DNN_ONNX_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "onnx_scan.h"
#include "onnx_schema.h"
#include "pb_reader.h"

/* What is known of the node being read. */
typedef struct OnnxNodeText {
    PbSpan op;
    PbSpan domain;
    PbSpan name;
    PbSpan first_input;
    bool has_input;
    bool limited; /* the policy has rules for the op */
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
    uint32_t fields_read;
    uint32_t loops;
} OnnxScan;

/* The fields of one message, in the order in which they stand. */
typedef struct OnnxFields {
    PbReader reader;
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
bool onnx_same(PbSpan span, const char *text);

/* Tells whether two spans hold the same bytes. */
bool onnx_equal(PbSpan a, PbSpan b);

/* Tells whether a domain is the default ONNX domain, which has two spellings. */
static inline bool onnx_default_domain(PbSpan domain)
{
    return domain.size == 0 || onnx_same(domain, "ai.onnx");
}

/* Somewhere for an empty text to point to. */
extern const uint8_t onnx_nothing[1];

/* An empty text that may be compared and shown. */
static inline PbSpan onnx_no_text(void)
{
    return (PbSpan){onnx_nothing, 0};
}

/* Notes a reason to refuse, unless there is one already. detail is shown escaped. */
void onnx_refuse(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at, PbSpan detail);

/* The same with a message's label as the detail. */
void onnx_refuse_message(OnnxScan *scan, VmafDnnReason reason, const uint8_t *at,
                         OnnxMessage message);

/* Starts at the first field of a message with this payload. */
static inline OnnxFields onnx_open(OnnxMessage message, PbSpan payload)
{
    return (OnnxFields){.reader = pb_open(payload), .message = message};
}

/* Reads and checks a field that is there; see onnx_next(). */
bool onnx_read(OnnxScan *scan, OnnxFields *fields);

/*
 * Reads and checks the next field. Returns false at the end of the message or
 * as soon as the scan has a reason to refuse.
 */
static inline bool onnx_next(OnnxScan *scan, OnnxFields *fields)
{
    return pb_more(&fields->reader) && !onnx_refused(scan) && onnx_read(scan, fields);
}

#endif
