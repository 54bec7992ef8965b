#define _POSIX_C_SOURCE 200809L

#include "file_bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int vmaf_dnn_open_file(const char *path, FILE **stream)
{
    assert(path && stream);
    *stream = NULL;
    /* Without O_NONBLOCK, opening a named pipe waits for a writer. */
    const int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (handle < 0)
        return -errno;
    struct stat info;
    int error = 0;
    if (fstat(handle, &info) != 0)
        error = -errno;
    else if (!S_ISREG(info.st_mode))
        error = -EINVAL;
    if (error == 0) {
        *stream = fdopen(handle, "rb");
        if (*stream)
            return 0;
        error = -errno;
    }
    (void) close(handle);
    return error;
}

int vmaf_dnn_read_file(const char *path, size_t limit, uint8_t **data, size_t *size)
{
    assert(path && data && size && limit < SIZE_MAX);
    *data = NULL;
    *size = 0;
    FILE *stream = NULL;
    int error = vmaf_dnn_open_file(path, &stream);
    if (error)
        return error;

    /* The file may change while it is read, so its size is found by reading it. */
    struct stat info;
    size_t capacity = 4096;
    if (fstat(fileno(stream), &info) == 0 && info.st_size > 0 && (uintmax_t) info.st_size < limit)
        capacity = (size_t) info.st_size + 1;
    if (capacity > limit + 1)
        capacity = limit + 1;
    uint8_t *bytes = malloc(capacity);
    size_t used = 0;
    error = bytes ? 0 : -ENOMEM;
    while (!error) {
        used += fread(bytes + used, 1, capacity - used, stream);
        if (ferror(stream)) {
            error = -EIO;
        } else if (used > limit) {
            error = -EFBIG;
        } else if (used < capacity) {
            break;
        } else {
            const size_t grown = capacity > (limit + 1) / 2 ? limit + 1 : capacity * 2;
            uint8_t *const larger = realloc(bytes, grown);
            if (!larger) {
                error = -ENOMEM;
            } else {
                bytes = larger;
                capacity = grown;
            }
        }
    }
    (void) fclose(stream);
    if (error) {
        free(bytes);
        return error;
    }
    *data = bytes;
    *size = used;
    return 0;
}
