#include "json_reader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void fail(JsonReader *reader, int error)
{
    if (!reader->error)
        reader->error = error;
}

/* The next byte that is no white space, without taking it; 0 at the end or after an error. */
static uint8_t peek(JsonReader *reader)
{
    if (reader->error)
        return 0;
    while (reader->ptr < reader->end) {
        const uint8_t byte = *reader->ptr;
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return byte;
        reader->ptr++;
    }
    return 0;
}

/* Takes one byte that must be there, white space or not; 0 after an error. */
static uint8_t take(JsonReader *reader)
{
    if (reader->error || reader->ptr == reader->end) {
        fail(reader, -EBADMSG);
        return 0;
    }
    return *reader->ptr++;
}

static void expect(JsonReader *reader, char byte)
{
    if (peek(reader) != (uint8_t) byte)
        fail(reader, -EBADMSG);
    else
        reader->ptr++;
}

JsonReader vmaf_dnn_json_open(const uint8_t *data, size_t size)
{
    assert(data);
    const JsonReader reader = {data, data + size, 0, 0, false};
    return reader;
}

/* A place for decoded text. Without room it goes on counting, so that the caller can tell. */
typedef struct Text {
    char *out; /* NULL: the text is dropped */
    size_t capacity;
    size_t used;
} Text;

static void put(Text *text, uint8_t byte)
{
    if (text->out && text->used < text->capacity)
        text->out[text->used] = (char) byte;
    text->used++;
}

static void put_code_point(Text *text, uint32_t code)
{
    if (code < 0x80) {
        put(text, (uint8_t) code);
    } else if (code < 0x800) {
        put(text, (uint8_t) (0xc0 | code >> 6));
        put(text, (uint8_t) (0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        put(text, (uint8_t) (0xe0 | code >> 12));
        put(text, (uint8_t) (0x80 | (code >> 6 & 0x3f)));
        put(text, (uint8_t) (0x80 | (code & 0x3f)));
    } else {
        put(text, (uint8_t) (0xf0 | code >> 18));
        put(text, (uint8_t) (0x80 | (code >> 12 & 0x3f)));
        put(text, (uint8_t) (0x80 | (code >> 6 & 0x3f)));
        put(text, (uint8_t) (0x80 | (code & 0x3f)));
    }
}

static uint32_t hex_unit(JsonReader *reader)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t byte = take(reader);
        unsigned digit = 0;
        if (byte >= '0' && byte <= '9')
            digit = byte - '0';
        else if (byte >= 'a' && byte <= 'f')
            digit = byte - 'a' + 10u;
        else if (byte >= 'A' && byte <= 'F')
            digit = byte - 'A' + 10u;
        else
            fail(reader, -EBADMSG);
        unit = unit << 4 | digit;
    }
    return unit;
}

static void unicode_escape(JsonReader *reader, Text *text)
{
    uint32_t code = hex_unit(reader);
    if (code >= 0xd800 && code < 0xdc00) {
        if (take(reader) != '\\' || take(reader) != 'u')
            fail(reader, -EBADMSG);
        const uint32_t low = hex_unit(reader);
        if (low < 0xdc00 || low > 0xdfff)
            fail(reader, -EBADMSG);
        code = 0x10000 + ((code - 0xd800) << 10) + (low & 0x3ff);
    } else if (code == 0 || (code >= 0xdc00 && code < 0xe000)) {
        fail(reader, -EBADMSG);
    }
    if (!reader->error)
        put_code_point(text, code);
}

static void escape(JsonReader *reader, Text *text)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const uint8_t byte = take(reader);
    if (byte == 'u') {
        unicode_escape(reader, text);
        return;
    }
    const char *const found = byte ? strchr(from, byte) : NULL;
    if (found)
        put(text, (uint8_t) to[found - from]);
    else
        fail(reader, -EBADMSG);
}

/* One character of two to four bytes whose first one was lead: shortest form, no surrogate. */
static void utf8(JsonReader *reader, Text *text, uint8_t lead)
{
    const unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t code = lead & (0x3fu >> more);
    if (lead < 0xc2 || lead > 0xf4)
        fail(reader, -EBADMSG);
    for (unsigned i = 0; i < more; i++) {
        const uint8_t byte = take(reader);
        if (byte >> 6 != 2)
            fail(reader, -EBADMSG);
        code = code << 6 | (byte & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        fail(reader, -EBADMSG);
    if (!reader->error)
        put_code_point(text, code);
}

/* Reads a string whose first quote has not been taken. */
static void read_text(JsonReader *reader, Text *text)
{
    expect(reader, '"');
    while (!reader->error) {
        const uint8_t byte = take(reader);
        if (byte == '"')
            return;
        if (byte < 0x20)
            fail(reader, -EBADMSG);
        else if (byte == '\\')
            escape(reader, text);
        else if (byte < 0x80)
            put(text, byte);
        else
            utf8(reader, text, byte);
    }
}

/* What is wrong with a value of another type than asked for, by its first byte: perhaps it is none. */
static int unexpected(uint8_t byte)
{
    return byte != 0 && strchr("{[\"tfn-0123456789", byte) ? -EINVAL : -EBADMSG;
}

bool vmaf_dnn_json_enter(JsonReader *reader, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    const uint8_t byte = peek(reader);
    if (byte != (uint8_t) bracket) {
        fail(reader, unexpected(byte));
        return false;
    }
    if (reader->depth >= JSON_MAX_DEPTH) {
        fail(reader, -EBADMSG);
        return false;
    }
    reader->ptr++;
    reader->depth++;
    reader->first = true;
    return true;
}

/* Moves behind the comma, or out of the object or array. */
static bool next_member(JsonReader *reader, char closing)
{
    const uint8_t byte = peek(reader);
    if (reader->error)
        return false;
    if (byte == (uint8_t) closing) {
        reader->ptr++;
        reader->depth--;
        /* The one around it now has had a member. */
        reader->first = false;
        return false;
    }
    if (!reader->first)
        expect(reader, ',');
    reader->first = false;
    return !reader->error;
}

bool vmaf_dnn_json_next_key(JsonReader *reader, char *key, size_t capacity)
{
    assert(key && capacity > 0);
    key[0] = '\0';
    if (!next_member(reader, '}'))
        return false;
    Text text = {key, capacity, 0};
    read_text(reader, &text);
    expect(reader, ':');
    if (reader->error || text.used >= capacity)
        key[0] = '\0';
    else
        key[text.used] = '\0';
    return !reader->error;
}

bool vmaf_dnn_json_next_element(JsonReader *reader)
{
    return next_member(reader, ']');
}

void vmaf_dnn_json_string(JsonReader *reader, char *out, size_t capacity)
{
    assert(out && capacity > 0);
    out[0] = '\0';
    const uint8_t byte = peek(reader);
    if (byte != '"') {
        fail(reader, unexpected(byte));
        return;
    }
    Text text = {out, capacity, 0};
    read_text(reader, &text);
    if (!reader->error && text.used >= capacity)
        fail(reader, -EINVAL);
    out[reader->error ? 0 : text.used] = '\0';
}

static void digits(JsonReader *reader)
{
    size_t count = 0;
    while (reader->ptr < reader->end && *reader->ptr >= '0' && *reader->ptr <= '9') {
        reader->ptr++;
        count++;
    }
    if (count == 0)
        fail(reader, -EBADMSG);
}

/* Reads any number. Returns true if it has neither fraction nor exponent. */
static bool number(JsonReader *reader)
{
    bool whole = true;
    if (peek(reader) == '-')
        reader->ptr++;
    if (reader->ptr < reader->end && *reader->ptr == '0')
        reader->ptr++;
    else
        digits(reader);
    if (!reader->error && reader->ptr < reader->end && *reader->ptr == '.') {
        whole = false;
        reader->ptr++;
        digits(reader);
    }
    if (!reader->error && reader->ptr < reader->end &&
        (*reader->ptr == 'e' || *reader->ptr == 'E')) {
        whole = false;
        reader->ptr++;
        if (reader->ptr < reader->end && (*reader->ptr == '+' || *reader->ptr == '-'))
            reader->ptr++;
        digits(reader);
    }
    return whole && !reader->error;
}

static bool starts_number(uint8_t byte)
{
    return byte == '-' || (byte >= '0' && byte <= '9');
}

int64_t vmaf_dnn_json_integer(JsonReader *reader)
{
    const uint8_t byte = peek(reader);
    if (!starts_number(byte)) {
        fail(reader, unexpected(byte));
        return 0;
    }
    const uint8_t *const start = reader->ptr;
    if (!number(reader)) {
        fail(reader, -EINVAL);
        return 0;
    }
    const bool negative = *start == '-';
    const uint64_t limit = negative ? (uint64_t) INT64_MAX + 1 : (uint64_t) INT64_MAX;
    uint64_t value = 0;
    for (const uint8_t *digit = start + negative; digit < reader->ptr; digit++) {
        const uint64_t next = (uint64_t) (*digit - '0');
        if (value > (limit - next) / 10) {
            fail(reader, -EINVAL);
            return 0;
        }
        value = value * 10 + next;
    }
    if (!negative)
        return (int64_t) value;
    return value == (uint64_t) INT64_MAX + 1 ? INT64_MIN : -(int64_t) value;
}

static bool word(JsonReader *reader, const char *text)
{
    const size_t size = strlen(text);
    if (size > (size_t) (reader->end - reader->ptr) || memcmp(reader->ptr, text, size) != 0)
        return false;
    reader->ptr += size;
    return true;
}

bool vmaf_dnn_json_boolean(JsonReader *reader)
{
    const uint8_t byte = peek(reader);
    if (byte == 't' && word(reader, "true"))
        return true;
    if (byte == 'f' && word(reader, "false"))
        return false;
    fail(reader, byte == 't' || byte == 'f' ? -EBADMSG : unexpected(byte));
    return false;
}

/* The depth of objects and arrays bounds the recursion. */
void vmaf_dnn_json_skip(JsonReader *reader)
{
    const uint8_t byte = peek(reader);
    Text dropped = {NULL, 0, 0};
    if (byte == '{' || byte == '[') {
        (void) vmaf_dnn_json_enter(reader, (char) byte);
        char key[1];
        while (byte == '{' ? vmaf_dnn_json_next_key(reader, key, sizeof(key))
                           : vmaf_dnn_json_next_element(reader))
            vmaf_dnn_json_skip(reader);
    } else if (byte == '"') {
        read_text(reader, &dropped);
    } else if (starts_number(byte)) {
        (void) number(reader);
    } else if (!((byte == 't' && word(reader, "true")) || (byte == 'f' && word(reader, "false")) ||
                 (byte == 'n' && word(reader, "null")))) {
        fail(reader, -EBADMSG);
    }
}

int vmaf_dnn_json_close(JsonReader *reader)
{
    if (!reader->error && (peek(reader) != 0 || reader->ptr != reader->end || reader->depth != 0))
        fail(reader, -EBADMSG);
    return reader->error;
}
