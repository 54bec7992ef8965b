#include <math.h>
#include <string.h>

#include "fuzz_target.h"
#include "tensor_io.h"

enum { HEADER = 6, LARGEST_AREA = 1 << 14 };

/* A header of chroma, extra stride, width and height, then the plane bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEADER)
        return 0;
    const VmafDnnChroma chroma = (VmafDnnChroma) (data[0] % 5);
    const size_t extra = data[1] % 8;
    const uint32_t width = (uint32_t) (data[2] | data[3] << 8);
    const uint32_t height = (uint32_t) (data[4] | data[5] << 8);
    const uint8_t *const bytes = data + HEADER;
    const size_t left = size - HEADER;

    VmafDnnFrame frame;
    if (vmaf_dnn_frame_from_packed(bytes, left, width, height, chroma, &frame) != 0) {
        /* Not one packed frame: three planes that share the bytes, with any stride. */
        const VmafDnnPlane plane = {bytes, width + extra, left};
        const VmafDnnFrame shared = {{plane, plane, plane}, width, height, chroma};
        frame = shared;
    }
    const size_t area = (size_t) width * height;
    if (area > LARGEST_AREA)
        return 0;
    uint8_t *const rgb = malloc(3 * area + 1);
    float *const tensor = malloc((3 * area + 1) * sizeof(float));
    MUST(rgb && tensor);
    const int error = vmaf_dnn_frame_to_rgb(&frame, rgb, 3 * area);
    MUST(vmaf_dnn_frame_to_tensor(&frame, tensor, 3 * area) == error);
    if (error == 0) {
        for (size_t i = 0; i < 3 * area; i++)
            MUST(isfinite(tensor[i]));
    }
    MUST(vmaf_dnn_frame_to_rgb(&frame, rgb, 3 * area + 1) != 0);

    /* Any bits as a map of one row. */
    const size_t values = left / sizeof(float);
    const int64_t dims[4] = {1, 1, 1, (int64_t) values};
    double mean = -1.0;
    if (values > 0 && values <= 3 * area) {
        memcpy(tensor, bytes, values * sizeof(float));
        if (vmaf_dnn_saliency_mean(tensor, values, dims, 4, (uint32_t) values, 1, &mean) == 0)
            MUST(mean >= 0.0 && mean <= 1.0);
        else
            MUST(mean < 0.0);
    }
    free(rgb);
    free(tensor);
    return 0;
}
