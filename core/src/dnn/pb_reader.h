/*
 * A bounds-checked cursor over protobuf bytes.
 *
 * The first error sticks: every later read returns 0 and moves nothing, so a
 * caller may read a whole record and look at the error once. No read touches a
 * byte at or behind end, whatever the bytes say.
 *
 * Stricter than a protobuf library: refuses field number 0, groups, a varint
 * of more than 64 bits and a varint longer than its value needs.
 */

#ifndef VMAF_DNN_PB_READER_H
#define VMAF_DNN_PB_READER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scan_reason.h"

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

typedef struct PbSpan {
    const uint8_t *ptr; /* never NULL in a span that a reader gave */
    size_t size;
} PbSpan;

typedef struct PbReader {
    const uint8_t *ptr;
    const uint8_t *end;
    VmafDnnReason error;
} PbReader;

static inline PbReader pb_open(PbSpan span)
{
    assert(span.ptr);
    const PbReader reader = {span.ptr, span.ptr + span.size, VMAF_DNN_OK};
    return reader;
}

static inline void pb_fail(PbReader *reader, VmafDnnReason reason)
{
    if (reader->error == VMAF_DNN_OK)
        reader->error = reason;
}

static inline bool pb_more(const PbReader *reader)
{
    return reader->error == VMAF_DNN_OK && reader->ptr < reader->end;
}

/* Reads an unsigned 64-bit integer. Errors: truncated, bad_varint. */
static inline uint64_t pb_varint(PbReader *reader)
{
    if (reader->error != VMAF_DNN_OK)
        return 0;
    /* Nearly every tag, length and type is one byte. */
    if (reader->ptr < reader->end && *reader->ptr < 0x80)
        return *reader->ptr++;
    const uint8_t *at = reader->ptr;
    uint64_t value = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
        if (at == reader->end) {
            pb_fail(reader, VMAF_DNN_TRUNCATED);
            return 0;
        }
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            pb_fail(reader, VMAF_DNN_BAD_VARINT);
            return 0;
        }
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (byte == 0 && shift > 0) {
                pb_fail(reader, VMAF_DNN_BAD_VARINT);
                return 0;
            }
            break;
        }
    }
    reader->ptr = at;
    return value;
}

/*
 * Reads a field number from 1 to 2^29 - 1 into the result, and one of the four
 * wire types above into wire. Errors: truncated, bad_varint, bad_tag.
 */
static inline uint32_t pb_tag(PbReader *reader, unsigned *wire)
{
    const uint64_t value = pb_varint(reader);
    const uint64_t number = value >> 3;
    *wire = (unsigned) (value & 7);
    const unsigned known = 1u << PB_VARINT | 1u << PB_FIXED64 | 1u << PB_BYTES | 1u << PB_FIXED32;
    if (number < 1 || number > 0x1fffffff || !(known >> *wire & 1))
        pb_fail(reader, VMAF_DNN_BAD_TAG);
    return reader->error == VMAF_DNN_OK ? (uint32_t) number : 0;
}

/* Returns the eight bytes at bytes, the first one lowest. */
static inline uint64_t pb_word(const uint8_t *bytes)
{
    return (uint64_t) bytes[0] | (uint64_t) bytes[1] << 8 | (uint64_t) bytes[2] << 16 |
           (uint64_t) bytes[3] << 24 | (uint64_t) bytes[4] << 32 | (uint64_t) bytes[5] << 40 |
           (uint64_t) bytes[6] << 48 | (uint64_t) bytes[7] << 56;
}

/* Returns the top bit of each byte of a word that is zero, and nothing if none is. */
static inline uint64_t pb_zeros(uint64_t word)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    return ~(((word & low) + low) | word | low);
}

/* Skips size bytes and returns them. Error: truncated; the span is then empty. */
static inline PbSpan pb_span(PbReader *reader, uint64_t size)
{
    PbSpan span = {reader->ptr, 0};
    if (size > (uint64_t) (reader->end - reader->ptr))
        pb_fail(reader, VMAF_DNN_TRUNCATED);
    if (reader->error == VMAF_DNN_OK) {
        span.size = (size_t) size;
        reader->ptr += span.size;
    }
    return span;
}

#endif
