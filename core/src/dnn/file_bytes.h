/*
 * Whole files, read with a limit.
 */

#ifndef VMAF_DNN_FILE_BYTES_H
#define VMAF_DNN_FILE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Opens a regular file for reading. A directory, a pipe or a device is refused
 * without waiting for it.
 *
 * Returns 0 and sets *stream, which the caller closes with fclose(); or -EINVAL
 * if it is no regular file, or the negative errno of the failed open.
 */
int vmaf_dnn_open_file(const char *path, FILE **stream);

/*
 * Reads a regular file of at most limit bytes.
 *
 * Returns 0 and sets *data, never NULL, and *size; the caller frees *data.
 * Returns -EFBIG if the file is larger, -ENOMEM, -EIO if reading fails, or what
 * vmaf_dnn_open_file() returns. On an error *data is NULL and *size 0.
 */
int vmaf_dnn_read_file(const char *path, size_t limit, uint8_t **data, size_t *size);

#endif
