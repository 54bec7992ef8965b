/*
 * From an 8-bit YUV frame to the model's input tensor, and from its output map
 * to one number. The arithmetic is exact to the bit on every machine; it is
 * written down in docs/ai/onnx-contract.md.
 */

#ifndef VMAF_DNN_TENSOR_IO_H
#define VMAF_DNN_TENSOR_IO_H

#include <stddef.h>
#include <stdint.h>

/* The longest side of a frame. */
enum { VMAF_DNN_MAX_SIDE = 16384 };

typedef enum VmafDnnChroma {
    VMAF_DNN_CHROMA_400, /* always refused: there is no colour to convert */
    VMAF_DNN_CHROMA_420,
    VMAF_DNN_CHROMA_422,
    VMAF_DNN_CHROMA_444,
} VmafDnnChroma;

/*
 * One plane: rows of bytes, stride bytes apart. size is how many bytes may be
 * read from data on; the last row needs its width only, not a whole stride.
 */
typedef struct VmafDnnPlane {
    const uint8_t *data;
    size_t stride;
    size_t size;
} VmafDnnPlane;

/*
 * A BT.709 limited-range frame of 8 bits: 1 to VMAF_DNN_MAX_SIDE pixels wide
 * and high. A chroma plane is ceil(width / 2) wide for 4:2:0 and 4:2:2, and
 * ceil(height / 2) high for 4:2:0; else as large as the luma plane.
 */
typedef struct VmafDnnFrame {
    VmafDnnPlane plane[3]; /* Y, Cb, Cr */
    uint32_t width;
    uint32_t height;
    VmafDnnChroma chroma;
} VmafDnnFrame;

/*
 * Fills frame for three planes packed one after the other without padding, as
 * in a raw video file. data must outlive frame.
 *
 * Returns 0; -EINVAL if a pointer is NULL, a side is out of range or size is
 * not exactly one frame; -ENOTSUP for 4:0:0 or an unknown chroma format.
 */
int vmaf_dnn_frame_from_packed(const uint8_t *data, size_t size, uint32_t width, uint32_t height,
                               VmafDnnChroma chroma, VmafDnnFrame *frame);

/*
 * Converts to RGB, 8 bits, interleaved: rgb[(row * width + column) * 3 + channel].
 * Chroma is upsampled by nearest: pixel (x, y) takes sample (x / 2, y / 2).
 *
 * rgb_size must be exactly 3 * width * height.
 * Returns 0; -EINVAL if a pointer is NULL, a side is out of range, a plane is
 * too small or rgb_size is wrong; -ENOTSUP for 4:0:0 or an unknown format. On
 * an error rgb is untouched.
 */
int vmaf_dnn_frame_to_rgb(const VmafDnnFrame *frame, uint8_t *rgb, size_t rgb_size);

/*
 * Converts to the model's input [1, 3, height, width]: RGB as above, scaled to
 * 0..1, minus the ImageNet mean, over the ImageNet standard deviation.
 *
 * tensor_length, in floats, must be exactly 3 * width * height. Returns as
 * vmaf_dnn_frame_to_rgb().
 */
int vmaf_dnn_frame_to_tensor(const VmafDnnFrame *frame, float *tensor, size_t tensor_length);

/*
 * A runtime's sigmoid is an approximation in float: that of ONNX Runtime gives
 * 1 + 2^-23 for a few arguments near 17.9.
 */
#define VMAF_DNN_MAP_ROUNDING 1e-6f

/*
 * Reduces a saliency map to its mean. dims are the dimensions that the runtime
 * reports for the output; they must be exactly [1, 1, height, width], and
 * map_length, in floats, exactly their product: a smaller map is never averaged.
 *
 * Sums in double, row by row from the top left, and divides once. A value beyond
 * 0 or 1 by at most VMAF_DNN_MAP_ROUNDING counts as 0 or 1.
 * Returns 0 and sets *mean; -EINVAL for a NULL pointer, other dimensions or
 * another length; -ERANGE if a value is not finite or further out. On an error
 * *mean is untouched.
 */
int vmaf_dnn_saliency_mean(const float *map, size_t map_length, const int64_t *dims, size_t n_dims,
                           uint32_t width, uint32_t height, double *mean);

#endif
