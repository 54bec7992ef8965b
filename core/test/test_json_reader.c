#include <errno.h>
#include <string.h>

#include "check.h"
#include "json_reader.h"

static JsonReader open_text(const char *text)
{
    return vmaf_dnn_json_open((const uint8_t *) text, strlen(text));
}

/* What reading the text as one value of any type says. */
static int skip_all(const char *text)
{
    JsonReader reader = open_text(text);
    vmaf_dnn_json_skip(&reader);
    return vmaf_dnn_json_close(&reader);
}

static bool string_is(const char *text, const char *expected)
{
    char out[16];
    JsonReader reader = open_text(text);
    vmaf_dnn_json_string(&reader, out, sizeof(out));
    return vmaf_dnn_json_close(&reader) == 0 && strcmp(out, expected) == 0;
}

static int string_error(const char *text)
{
    char out[16];
    JsonReader reader = open_text(text);
    vmaf_dnn_json_string(&reader, out, sizeof(out));
    return vmaf_dnn_json_close(&reader);
}

static void test_grammar(void)
{
    static const char *const good[] = {
        "null", "true", " false ", "0", "-0", "1.5e+3", "\"\"", "[]", "{}", "[1,[2],{\"a\":{}}]",
        "{\"a\":1,\"b\":[true,null]}\r\n",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(skip_all(good[i]) == 0);
    static const char *const bad[] = {
        "",        "nul",     "True",   "NaN",      "-Infinity",   "01",     "1.",   ".5",
        "+1",      "1e",      "-",      "[1,]",     "[,1]",        "[1 2]",  "{",    "[",
        "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "{\"a\":1 2}", "1 1",  "\"a",  "'a'",
        "// c\n1", "\xef\xbb\xbf" "1", "\"\t\"", "{1:2}", "]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(skip_all(bad[i]) == -EBADMSG);
    JsonReader nul = vmaf_dnn_json_open((const uint8_t *) "1\0", 2);
    vmaf_dnn_json_skip(&nul);
    CHECK(vmaf_dnn_json_close(&nul) == -EBADMSG);
}

static void test_depth(void)
{
    char text[2 * JSON_MAX_DEPTH + 3];
    memset(text, '[', JSON_MAX_DEPTH);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    text[2 * JSON_MAX_DEPTH] = '\0';
    CHECK(skip_all(text) == 0);
    memset(text, '[', JSON_MAX_DEPTH + 1);
    memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    text[2 * JSON_MAX_DEPTH + 2] = '\0';
    CHECK(skip_all(text) == -EBADMSG);
}

static void test_strings(void)
{
    CHECK(string_is("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a\"\\/\b\f\n\r\t"));
    CHECK(string_is("\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"));
    CHECK(string_is("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"));
    CHECK(string_is("\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80"));
    CHECK(string_is("\"123456789012345\"", "123456789012345"));
    CHECK(string_error("\"1234567890123456\"") == -EINVAL);
    CHECK(string_error("1") == -EINVAL);
    CHECK(string_error("\"\\u0000\"") == -EBADMSG);
    CHECK(string_error("\"\\ud83d\"") == -EBADMSG);
    CHECK(string_error("\"\\ude00\"") == -EBADMSG);
    CHECK(string_error("\"\\ud83d\\u0041\"") == -EBADMSG);
    CHECK(string_error("\"\\x41\"") == -EBADMSG);
    CHECK(string_error("\"\xc0\x80\"") == -EBADMSG);         /* overlong NUL */
    CHECK(string_error("\"\xe0\x80\x80\"") == -EBADMSG);     /* overlong */
    CHECK(string_error("\"\xed\xa0\x80\"") == -EBADMSG);     /* surrogate */
    CHECK(string_error("\"\xf4\x90\x80\x80\"") == -EBADMSG); /* beyond Unicode */
    CHECK(string_error("\"\xff\"") == -EBADMSG);
    CHECK(string_error("\"\xc3\"") == -EBADMSG);
}

static void integer_is(const char *text, int64_t value, int error)
{
    JsonReader reader = open_text(text);
    const int64_t read = vmaf_dnn_json_integer(&reader);
    CHECK(vmaf_dnn_json_close(&reader) == error);
    CHECK(error != 0 || read == value);
}

static void test_scalars(void)
{
    integer_is("17", 17, 0);
    integer_is("9223372036854775807", INT64_MAX, 0);
    integer_is("-9223372036854775808", INT64_MIN, 0);
    integer_is("9223372036854775808", 0, -EINVAL);
    integer_is("17.0", 0, -EINVAL);
    integer_is("1e3", 0, -EINVAL);
    integer_is("\"17\"", 0, -EINVAL);
    JsonReader reader = open_text("true");
    CHECK(vmaf_dnn_json_boolean(&reader) && vmaf_dnn_json_close(&reader) == 0);
    reader = open_text("0");
    CHECK(!vmaf_dnn_json_boolean(&reader) && vmaf_dnn_json_close(&reader) == -EINVAL);
}

static void test_members(void)
{
    JsonReader reader = open_text("{\"a\":[1,2],\"too long a key\":{},\"b\":3}");
    char key[8];
    CHECK(vmaf_dnn_json_enter(&reader, '{'));
    CHECK(vmaf_dnn_json_next_key(&reader, key, sizeof(key)) && strcmp(key, "a") == 0);
    CHECK(vmaf_dnn_json_enter(&reader, '[') && vmaf_dnn_json_next_element(&reader));
    CHECK(vmaf_dnn_json_integer(&reader) == 1);
    CHECK(vmaf_dnn_json_next_element(&reader) && vmaf_dnn_json_integer(&reader) == 2);
    CHECK(!vmaf_dnn_json_next_element(&reader));
    CHECK(vmaf_dnn_json_next_key(&reader, key, sizeof(key)) && strcmp(key, "") == 0);
    vmaf_dnn_json_skip(&reader);
    CHECK(vmaf_dnn_json_next_key(&reader, key, sizeof(key)) && strcmp(key, "b") == 0);
    CHECK(vmaf_dnn_json_integer(&reader) == 3 && !vmaf_dnn_json_next_key(&reader, key, sizeof(key)));
    CHECK(vmaf_dnn_json_close(&reader) == 0);
}

int main(void)
{
    test_grammar();
    test_depth();
    test_strings();
    test_scalars();
    test_members();
    return checked();
}
