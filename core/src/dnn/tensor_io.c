#include "tensor_io.h"

#include <errno.h>
#include <stdbool.h>

/* BT.709 limited range to full range, times 2^20, rounded to nearest. */
enum {
    SHIFT = 20,
    HALF = 1 << (SHIFT - 1),
    Y_SCALE = 1220945,   /* 255 / 219 */
    CR_TO_R = 1879825,   /* 1.5748 * 255 / 224 */
    CB_TO_G = -223607,   /* -0.1873242729... * 255 / 224 */
    CR_TO_G = -558796,   /* -0.4681242729... * 255 / 224 */
    CB_TO_B = 2215014,   /* 1.8556 * 255 / 224 */
};

static const double imagenet_mean[3] = {0.485, 0.456, 0.406};
static const double imagenet_std[3] = {0.229, 0.224, 0.225};

typedef struct ChromaGrid {
    unsigned shift_x;
    unsigned shift_y;
    size_t width;
    size_t height;
} ChromaGrid;

/* Returns 0, -EINVAL or -ENOTSUP as the callers document. */
static int chroma_grid(uint32_t width, uint32_t height, VmafDnnChroma chroma, ChromaGrid *grid)
{
    if (chroma != VMAF_DNN_CHROMA_420 && chroma != VMAF_DNN_CHROMA_422 &&
        chroma != VMAF_DNN_CHROMA_444)
        return -ENOTSUP;
    if (width < 1 || width > VMAF_DNN_MAX_SIDE || height < 1 || height > VMAF_DNN_MAX_SIDE)
        return -EINVAL;
    grid->shift_x = chroma == VMAF_DNN_CHROMA_444 ? 0 : 1;
    grid->shift_y = chroma == VMAF_DNN_CHROMA_420 ? 1 : 0;
    grid->width = ((size_t) width + grid->shift_x) >> grid->shift_x;
    grid->height = ((size_t) height + grid->shift_y) >> grid->shift_y;
    return 0;
}

static bool plane_ok(const VmafDnnPlane *plane, size_t width, size_t height)
{
    if (!plane->data || plane->stride < width || plane->size < width)
        return false;
    return height - 1 <= (plane->size - width) / plane->stride;
}

/* Checks a frame and the room for its 3 * width * height values. */
static int check_frame(const VmafDnnFrame *frame, const void *out, size_t length, ChromaGrid *grid)
{
    if (!frame || !out)
        return -EINVAL;
    const int error = chroma_grid(frame->width, frame->height, frame->chroma, grid);
    if (error)
        return error;
    const bool planes_ok = plane_ok(&frame->plane[0], frame->width, frame->height) &&
                           plane_ok(&frame->plane[1], grid->width, grid->height) &&
                           plane_ok(&frame->plane[2], grid->width, grid->height);
    if (!planes_ok || length != (size_t) 3 * frame->width * frame->height)
        return -EINVAL;
    return 0;
}

int vmaf_dnn_frame_from_packed(const uint8_t *data, size_t size, uint32_t width, uint32_t height,
                               VmafDnnChroma chroma, VmafDnnFrame *frame)
{
    if (!data || !frame)
        return -EINVAL;
    ChromaGrid grid;
    const int error = chroma_grid(width, height, chroma, &grid);
    if (error)
        return error;
    const size_t luma = (size_t) width * height;
    const size_t other = grid.width * grid.height;
    if (size != luma + 2 * other)
        return -EINVAL;
    const VmafDnnFrame packed = {
        {
            {data, width, luma},
            {data + luma, grid.width, other},
            {data + luma + other, grid.width, other},
        },
        width,
        height,
        chroma,
    };
    *frame = packed;
    return 0;
}

/* Rounds a half up. The sum is below 2^31 for any input. */
static uint8_t to_byte(int32_t scaled)
{
    const int32_t sum = scaled + HALF;
    if (sum < 0)
        return 0;
    const int32_t value = sum >> SHIFT;
    return value > 255 ? 255 : (uint8_t) value;
}

static void pixel(const VmafDnnFrame *frame, const ChromaGrid *grid, size_t x, size_t y,
                  uint8_t rgb[3])
{
    const size_t cx = x >> grid->shift_x, cy = y >> grid->shift_y;
    const int32_t luma = frame->plane[0].data[y * frame->plane[0].stride + x] - 16;
    const int32_t cb = frame->plane[1].data[cy * frame->plane[1].stride + cx] - 128;
    const int32_t cr = frame->plane[2].data[cy * frame->plane[2].stride + cx] - 128;
    rgb[0] = to_byte(Y_SCALE * luma + CR_TO_R * cr);
    rgb[1] = to_byte(Y_SCALE * luma + CB_TO_G * cb + CR_TO_G * cr);
    rgb[2] = to_byte(Y_SCALE * luma + CB_TO_B * cb);
}

int vmaf_dnn_frame_to_rgb(const VmafDnnFrame *frame, uint8_t *rgb, size_t rgb_size)
{
    ChromaGrid grid;
    const int error = check_frame(frame, rgb, rgb_size, &grid);
    if (error)
        return error;
    for (size_t y = 0; y < frame->height; y++) {
        for (size_t x = 0; x < frame->width; x++)
            pixel(frame, &grid, x, y, rgb + (y * frame->width + x) * 3);
    }
    return 0;
}

int vmaf_dnn_frame_to_tensor(const VmafDnnFrame *frame, float *tensor, size_t tensor_length)
{
    ChromaGrid grid;
    const int error = check_frame(frame, tensor, tensor_length, &grid);
    if (error)
        return error;
    /* Each step is one IEEE double operation, rounded to float once at the end. */
    float normal[3][256];
    for (int channel = 0; channel < 3; channel++) {
        for (int value = 0; value < 256; value++)
            normal[channel][value] =
                (float) ((value / 255.0 - imagenet_mean[channel]) / imagenet_std[channel]);
    }
    const size_t area = (size_t) frame->width * frame->height;
    for (size_t y = 0; y < frame->height; y++) {
        for (size_t x = 0; x < frame->width; x++) {
            uint8_t rgb[3];
            pixel(frame, &grid, x, y, rgb);
            for (size_t channel = 0; channel < 3; channel++)
                tensor[channel * area + y * frame->width + x] = normal[channel][rgb[channel]];
        }
    }
    return 0;
}

int vmaf_dnn_saliency_mean(const float *map, size_t map_length, const int64_t *dims, size_t n_dims,
                           uint32_t width, uint32_t height, double *mean)
{
    if (!map || !dims || !mean || n_dims != 4)
        return -EINVAL;
    if (width < 1 || width > VMAF_DNN_MAX_SIDE || height < 1 || height > VMAF_DNN_MAX_SIDE)
        return -EINVAL;
    if (dims[0] != 1 || dims[1] != 1 || dims[2] != height || dims[3] != width)
        return -EINVAL;
    if (map_length != (size_t) width * height)
        return -EINVAL;
    double sum = 0.0;
    for (size_t i = 0; i < map_length; i++) {
        /* Written so that NaN fails too. */
        if (!(map[i] >= -VMAF_DNN_MAP_ROUNDING && map[i] <= 1.0f + VMAF_DNN_MAP_ROUNDING))
            return -ERANGE;
        sum += map[i] < 0.0f ? 0.0 : map[i] > 1.0f ? 1.0 : (double) map[i];
    }
    *mean = sum / (double) map_length;
    return 0;
}
