/*
 * replay FOLDER: feeds each file of a corpus to the fuzz target, in any order.
 * Fails if the folder holds no file or one cannot be read.
 */

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_bytes.h"
#include "fuzz_target.h"

enum { LARGEST = 1 << 20 };

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void) fputs("usage: replay FOLDER\n", stderr);
        return 2;
    }
    DIR *const folder = opendir(argv[1]);
    if (!folder) {
        perror(argv[1]);
        return 2;
    }
    unsigned files = 0, faults = 0;
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder))) {
        char path[4096];
        uint8_t *data = NULL;
        size_t size = 0;
        if (entry->d_name[0] == '.')
            continue;
        const int length = snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (length < 0 || (size_t) length >= sizeof(path) ||
            vmaf_dnn_read_file(path, LARGEST, &data, &size) != 0) {
            (void) fprintf(stderr, "cannot read %s\n", entry->d_name);
            faults++;
            continue;
        }
        /* A block of exactly that size, so that a sanitizer sees the byte behind it read. */
        uint8_t *const exact = malloc(size ? size : 1);
        if (exact) {
            memcpy(exact, data, size);
            (void) LLVMFuzzerTestOneInput(exact, size);
        }
        faults += !exact;
        free(exact);
        free(data);
        files++;
    }
    (void) closedir(folder);
    printf("%u files replayed\n", files);
    return files == 0 || faults > 0;
}
