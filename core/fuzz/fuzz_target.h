/*
 * What every fuzz target defines: libFuzzer calls it, and so does the replay.
 */

#ifndef VMAF_DNN_FUZZ_TARGET_H
#define VMAF_DNN_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Holds whatever the build, unlike assert(). */
#define MUST(condition) ((condition) ? (void) 0 : abort())

/* Feeds the size bytes at data, which may be NULL if size is 0, to the target. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
