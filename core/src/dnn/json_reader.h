/*
 * A strict, bounded JSON cursor: RFC 8259 text in UTF-8, nothing more.
 *
 * The first error sticks: every later read fails and moves nothing. Refuses
 * NUL in any form, unpaired surrogates, invalid UTF-8, NaN and infinities,
 * nesting beyond JSON_MAX_DEPTH, and anything behind the document.
 *
 * Reading an object:
 *     bool more = vmaf_dnn_json_enter(&reader, '{');
 *     while (more && vmaf_dnn_json_next_key(&reader, key, sizeof(key))) { read or skip the value }
 */

#ifndef VMAF_DNN_JSON_READER_H
#define VMAF_DNN_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_MAX_DEPTH = 32 };

typedef struct JsonReader {
    const uint8_t *ptr;
    const uint8_t *end;
    int error;      /* 0, -EBADMSG: not such JSON, -EINVAL: another type or size than asked for */
    unsigned depth; /* open objects and arrays */
    bool first;     /* the innermost one has had no member yet */
} JsonReader;

/* Starts at the front of the size bytes at data, which must not be NULL. */
JsonReader vmaf_dnn_json_open(const uint8_t *data, size_t size);

/* Enters an object ('{') or an array ('['). -EINVAL if the value is something else. */
bool vmaf_dnn_json_enter(JsonReader *reader, char bracket);

/*
 * Reads the next key of the object, decoded and terminated, and its colon.
 * Returns false at the end of the object, which it leaves, or on an error. A
 * key that does not fit is read as the empty text.
 */
bool vmaf_dnn_json_next_key(JsonReader *reader, char *key, size_t capacity);

/* Moves to the next element of the array. Returns false at its end, which it leaves, or on an error. */
bool vmaf_dnn_json_next_element(JsonReader *reader);

/* Reads a string, decoded and terminated. -EINVAL if it does not fit or is no string. */
void vmaf_dnn_json_string(JsonReader *reader, char *text, size_t capacity);

/* Reads an integer without fraction or exponent. -EINVAL if it is none or beyond 64 bits. */
int64_t vmaf_dnn_json_integer(JsonReader *reader);

/* Reads true or false. -EINVAL if it is neither. */
bool vmaf_dnn_json_boolean(JsonReader *reader);

/* Reads any value and drops it. */
void vmaf_dnn_json_skip(JsonReader *reader);

/* Checks that nothing follows. Returns the error: 0 if the whole document was read well. */
int vmaf_dnn_json_close(JsonReader *reader);

#endif
