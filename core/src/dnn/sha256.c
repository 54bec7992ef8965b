#include "sha256.h"

#include <assert.h>
#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned count)
{
    return value >> count | value << (32 - count);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 |
           bytes[3];
}

static void compress(uint32_t state[8], const uint8_t block[64])
{
    uint32_t schedule[64];
    for (unsigned t = 0; t < 16; t++)
        schedule[t] = big_endian(block + 4 * t);
    for (unsigned t = 16; t < 64; t++) {
        const uint32_t early = schedule[t - 15], late = schedule[t - 2];
        const uint32_t sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ early >> 3;
        const uint32_t sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ late >> 10;
        schedule[t] = schedule[t - 16] + sigma0 + schedule[t - 7] + sigma1;
    }

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (unsigned t = 0; t < 64; t++) {
        const uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        const uint32_t first = h + sum1 + ((e & f) ^ (~e & g)) + round_constants[t] + schedule[t];
        const uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        const uint32_t second = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void vmaf_dnn_sha256_init(VmafDnnSha256 *hash)
{
    /* First 32 bits of the fractional parts of the square roots of the first 8 primes. */
    static const uint32_t start[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    assert(hash);
    memset(hash, 0, sizeof(*hash));
    memcpy(hash->state, start, sizeof(start));
}

void vmaf_dnn_sha256_update(VmafDnnSha256 *hash, const uint8_t *data, size_t size)
{
    assert(hash && (data || size == 0));
    size_t held = (size_t) (hash->total % 64);
    hash->total += size;
    while (size > 0) {
        const size_t room = 64 - held;
        const size_t taken = size < room ? size : room;
        memcpy(hash->block + held, data, taken);
        data += taken;
        size -= taken;
        held += taken;
        if (held == 64) {
            compress(hash->state, hash->block);
            held = 0;
        }
    }
}

void vmaf_dnn_sha256_final(VmafDnnSha256 *hash, uint8_t digest[VMAF_DNN_SHA256_SIZE])
{
    assert(hash && digest);
    const uint64_t bits = hash->total * 8;
    size_t held = (size_t) (hash->total % 64);
    hash->block[held++] = 0x80;
    if (held > 56) {
        memset(hash->block + held, 0, 64 - held);
        compress(hash->state, hash->block);
        held = 0;
    }
    memset(hash->block + held, 0, 56 - held);
    for (unsigned i = 0; i < 8; i++)
        hash->block[56 + i] = (uint8_t) (bits >> (56 - 8 * i));
    compress(hash->state, hash->block);
    for (unsigned i = 0; i < VMAF_DNN_SHA256_SIZE; i++)
        digest[i] = (uint8_t) (hash->state[i / 4] >> (24 - 8 * (i % 4)));
}
