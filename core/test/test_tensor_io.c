#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "tensor_io.h"

static void gray_to_rgb(uint8_t y, uint8_t expected)
{
    const uint8_t packed[3] = {y, 128, 128};
    VmafDnnFrame frame;
    uint8_t rgb[3] = {0};
    CHECK(vmaf_dnn_frame_from_packed(packed, 3, 1, 1, VMAF_DNN_CHROMA_444, &frame) == 0);
    CHECK(vmaf_dnn_frame_to_rgb(&frame, rgb, 3) == 0);
    CHECK(rgb[0] == expected && rgb[1] == expected && rgb[2] == expected);
}

static void test_range(void)
{
    gray_to_rgb(0, 0);
    gray_to_rgb(16, 0);
    gray_to_rgb(17, 1);
    gray_to_rgb(126, 128);
    gray_to_rgb(235, 255);
    gray_to_rgb(255, 255);
}

static void test_primaries(void)
{
    /* BT.709 limited red: Y 63, Cb 102, Cr 240. */
    static const uint8_t packed[3] = {63, 102, 240};
    VmafDnnFrame frame;
    uint8_t rgb[3] = {0};
    CHECK(vmaf_dnn_frame_from_packed(packed, 3, 1, 1, VMAF_DNN_CHROMA_444, &frame) == 0);
    CHECK(vmaf_dnn_frame_to_rgb(&frame, rgb, 3) == 0);
    CHECK(rgb[0] == 255 && rgb[1] == 1 && rgb[2] == 0);
}

static void test_nearest_chroma_at_odd_sizes(void)
{
    /* 3x3 of 4:2:0 has 2x2 chroma samples; each pixel takes (x / 2, y / 2). */
    static const uint8_t packed[9 + 4 + 4] = {
        126, 126, 126, 126, 126, 126, 126, 126, 126, 128, 128, 128, 128, 128, 200, 60, 128,
    };
    VmafDnnFrame frame;
    uint8_t rgb[27];
    CHECK(vmaf_dnn_frame_from_packed(packed, 17, 3, 3, VMAF_DNN_CHROMA_420, &frame) == 0);
    CHECK(vmaf_dnn_frame_to_rgb(&frame, rgb, 27) == 0);
    CHECK(rgb[0] == rgb[3] && rgb[0] == rgb[12] && rgb[0] == 128); /* Cr sample 128 */
    CHECK(rgb[6] == rgb[15] && rgb[6] == 255);                    /* Cr sample 200 */
    CHECK(rgb[18] == rgb[21] && rgb[18] < 128);                   /* Cr sample 60 */
    CHECK(rgb[24] == 128);                                        /* Cr sample 128 */
}

static void test_normalisation(void)
{
    static const uint8_t packed[3] = {16, 128, 128};
    VmafDnnFrame frame;
    float tensor[3] = {0};
    CHECK(vmaf_dnn_frame_from_packed(packed, 3, 1, 1, VMAF_DNN_CHROMA_444, &frame) == 0);
    CHECK(vmaf_dnn_frame_to_tensor(&frame, tensor, 3) == 0);
    CHECK(fabsf(tensor[0] + 0.485f / 0.229f) < 1e-6f);
    CHECK(fabsf(tensor[1] + 0.456f / 0.224f) < 1e-6f);
    CHECK(fabsf(tensor[2] + 0.406f / 0.225f) < 1e-6f);
}

static void test_refused_frames(void)
{
    static const uint8_t packed[12] = {0};
    VmafDnnFrame frame;
    uint8_t rgb[12] = {7};
    CHECK(vmaf_dnn_frame_from_packed(packed, 4, 2, 2, VMAF_DNN_CHROMA_400, &frame) == -ENOTSUP);
    CHECK(vmaf_dnn_frame_from_packed(packed, 5, 2, 2, VMAF_DNN_CHROMA_420, &frame) == -EINVAL);
    CHECK(vmaf_dnn_frame_from_packed(packed, 7, 2, 2, VMAF_DNN_CHROMA_420, &frame) == -EINVAL);
    CHECK(vmaf_dnn_frame_from_packed(packed, 0, 0, 2, VMAF_DNN_CHROMA_420, &frame) == -EINVAL);
    CHECK(vmaf_dnn_frame_from_packed(packed, 0, 16385, 1, VMAF_DNN_CHROMA_444, &frame) == -EINVAL);
    CHECK(vmaf_dnn_frame_from_packed(NULL, 6, 2, 2, VMAF_DNN_CHROMA_420, &frame) == -EINVAL);
    CHECK(vmaf_dnn_frame_from_packed(packed, 6, 2, 2, VMAF_DNN_CHROMA_420, &frame) == 0);
    CHECK(vmaf_dnn_frame_to_rgb(&frame, rgb, 11) == -EINVAL);
    CHECK(vmaf_dnn_frame_to_rgb(NULL, rgb, 12) == -EINVAL);

    VmafDnnFrame broken = frame;
    broken.plane[0].size = 3;
    CHECK(vmaf_dnn_frame_to_rgb(&broken, rgb, 12) == -EINVAL);
    broken = frame;
    broken.plane[0].stride = 1;
    CHECK(vmaf_dnn_frame_to_rgb(&broken, rgb, 12) == -EINVAL);
    broken = frame;
    broken.plane[2].data = NULL;
    CHECK(vmaf_dnn_frame_to_rgb(&broken, rgb, 12) == -EINVAL);
    CHECK(rgb[0] == 7);
}

static void test_strides(void)
{
    /* The last row has its width only. */
    static const uint8_t luma[5] = {16, 235, 99, 235, 16};
    static const uint8_t neutral[1] = {128};
    const VmafDnnFrame frame = {
        {{luma, 3, 5}, {neutral, 1, 1}, {neutral, 1, 1}}, 2, 2, VMAF_DNN_CHROMA_420};
    uint8_t rgb[12];
    CHECK(vmaf_dnn_frame_to_rgb(&frame, rgb, 12) == 0);
    CHECK(rgb[0] == 0 && rgb[3] == 255 && rgb[6] == 255 && rgb[9] == 0);
}

static void test_map_mean(void)
{
    float map[6] = {0.0f, 1.0f, 0.5f, 0.25f, 0.75f, 0.5f};
    const int64_t dims[4] = {1, 1, 2, 3};
    const int64_t short_dims[4] = {1, 1, 2, 2};
    double mean = -1.0;
    CHECK(vmaf_dnn_saliency_mean(map, 6, dims, 4, 3, 2, &mean) == 0 && mean > 0.4999 && mean < 0.5001);
    mean = -1.0;
    CHECK(vmaf_dnn_saliency_mean(map, 4, short_dims, 4, 3, 2, &mean) == -EINVAL);
    CHECK(vmaf_dnn_saliency_mean(map, 5, dims, 4, 3, 2, &mean) == -EINVAL);
    CHECK(vmaf_dnn_saliency_mean(map, 6, dims + 1, 3, 3, 2, &mean) == -EINVAL);
    CHECK(vmaf_dnn_saliency_mean(map, 6, dims, 4, 2, 3, &mean) == -EINVAL);
    map[0] = -1e-7f;
    map[1] = 1.0f + FLT_EPSILON;
    CHECK(vmaf_dnn_saliency_mean(map, 6, dims, 4, 3, 2, &mean) == 0 && mean == 0.5);
    mean = -1.0;
    static const float wrong[] = {NAN, INFINITY, -INFINITY, -2e-6f, 1.000002f};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        map[5] = wrong[i];
        CHECK(vmaf_dnn_saliency_mean(map, 6, dims, 4, 3, 2, &mean) == -ERANGE);
    }
    CHECK(mean < 0.0);
}

int main(void)
{
    test_range();
    test_primaries();
    test_nearest_chroma_at_odd_sizes();
    test_normalisation();
    test_refused_frames();
    test_strides();
    test_map_mean();
    return checked();
}
