#include "check.h"
#include "pb_reader.h"

#define OPEN(bytes) pb_open((PbSpan){(bytes), sizeof(bytes)})

static void varint_fails(const uint8_t *bytes, size_t size, VmafDnnReason reason)
{
    PbReader reader = pb_open((PbSpan){bytes, size});
    CHECK(pb_varint(&reader) == 0);
    CHECK(reader.error == reason);
    CHECK(reader.ptr == bytes);
}

static void test_varints(void)
{
    static const uint8_t two[] = {0x00, 0x96, 0x01};
    PbReader reader = OPEN(two);
    CHECK(pb_varint(&reader) == 0);
    CHECK(pb_varint(&reader) == 150);
    CHECK(!pb_more(&reader) && reader.error == VMAF_DNN_OK);

    static const uint8_t largest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    reader = OPEN(largest);
    CHECK(pb_varint(&reader) == UINT64_MAX);

    static const uint8_t overflow[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    varint_fails(overflow, sizeof(overflow), VMAF_DNN_BAD_VARINT);
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                     0x80, 0x80, 0x80, 0x80, 0x01};
    varint_fails(eleven, sizeof(eleven), VMAF_DNN_BAD_VARINT);
    static const uint8_t overlong[] = {0x81, 0x00};
    varint_fails(overlong, sizeof(overlong), VMAF_DNN_BAD_VARINT);
    static const uint8_t cut[] = {0x80};
    varint_fails(cut, sizeof(cut), VMAF_DNN_TRUNCATED);
    varint_fails(cut, 0, VMAF_DNN_TRUNCATED);
}

static void tag_fails(uint8_t byte)
{
    PbReader reader = pb_open((PbSpan){&byte, 1});
    unsigned wire = 0;
    CHECK(pb_tag(&reader, &wire) == 0);
    CHECK(reader.error == VMAF_DNN_BAD_TAG);
}

static void test_tags(void)
{
    static const uint8_t good[] = {0x22, 0xf8, 0xff, 0xff, 0xff, 0x0f};
    PbReader reader = OPEN(good);
    unsigned wire = 9;
    CHECK(pb_tag(&reader, &wire) == 4 && wire == PB_BYTES);
    CHECK(pb_tag(&reader, &wire) == (1u << 29) - 1 && wire == PB_VARINT);

    static const uint8_t beyond[] = {0x80, 0x80, 0x80, 0x80, 0x10};
    reader = OPEN(beyond);
    CHECK(pb_tag(&reader, &wire) == 0 && reader.error == VMAF_DNN_BAD_TAG);

    tag_fails(0x02);     /* field 0 */
    tag_fails(1 << 3 | 3); /* start of a group */
    tag_fails(1 << 3 | 4); /* end of a group */
    tag_fails(1 << 3 | 6);
    tag_fails(1 << 3 | 7);
}

static void test_spans(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    PbReader reader = OPEN(bytes);
    const PbSpan two = pb_span(&reader, 2);
    CHECK(two.ptr == bytes && two.size == 2);
    const PbSpan beyond = pb_span(&reader, UINT64_MAX);
    CHECK(beyond.size == 0 && reader.error == VMAF_DNN_TRUNCATED);

    /* The first error sticks and nothing moves. */
    CHECK(pb_varint(&reader) == 0 && pb_span(&reader, 1).size == 0);
    CHECK(reader.error == VMAF_DNN_TRUNCATED && reader.ptr == bytes + 2 && !pb_more(&reader));
}

static void test_words(void)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
    CHECK(pb_word(bytes) == UINT64_C(0x8807060504030201));
    CHECK(pb_zeros(UINT64_MAX) == 0);
    CHECK(pb_zeros(UINT64_C(0x0101010101010101)) == 0);
    CHECK(pb_zeros(UINT64_C(0x8080808080808080)) == 0);
    CHECK(pb_zeros(UINT64_C(0x0100018001000100)) == UINT64_C(0x0080000000800080));
    CHECK(pb_zeros(0) == UINT64_C(0x8080808080808080));
}

int main(void)
{
    test_words();
    test_varints();
    test_tags();
    test_spans();
    return checked();
}
