/*
 * SHA-256 as in FIPS 180-4.
 */

#ifndef VMAF_DNN_SHA256_H
#define VMAF_DNN_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { VMAF_DNN_SHA256_SIZE = 32 };

typedef struct VmafDnnSha256 {
    uint32_t state[8];
    uint64_t total;    /* bytes taken so far */
    uint8_t block[64]; /* the last total % 64 of them */
} VmafDnnSha256;

void vmaf_dnn_sha256_init(VmafDnnSha256 *hash);

/* Takes size bytes; data may be NULL only if size is 0. */
void vmaf_dnn_sha256_update(VmafDnnSha256 *hash, const uint8_t *data, size_t size);

/* Writes the digest. hash may be used again only after vmaf_dnn_sha256_init(). */
void vmaf_dnn_sha256_final(VmafDnnSha256 *hash, uint8_t digest[VMAF_DNN_SHA256_SIZE]);

#endif
