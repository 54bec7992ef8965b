#include <string.h>

#include "check.h"
#include "sha256.h"

static bool digest_is(const uint8_t *digest, const char *hex)
{
    char text[2 * VMAF_DNN_SHA256_SIZE + 1];
    for (size_t i = 0; i < VMAF_DNN_SHA256_SIZE; i++)
        (void) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return strcmp(text, hex) == 0;
}

static bool hashes_to(const char *message, size_t size, size_t step, const char *hex)
{
    VmafDnnSha256 hash;
    uint8_t digest[VMAF_DNN_SHA256_SIZE];
    vmaf_dnn_sha256_init(&hash);
    for (size_t at = 0; at < size; at += step) {
        const size_t left = size - at;
        vmaf_dnn_sha256_update(&hash, (const uint8_t *) message + at, left < step ? left : step);
    }
    vmaf_dnn_sha256_final(&hash, digest);
    return digest_is(digest, hex);
}

int main(void)
{
    /* The vectors of FIPS 180-4, in one piece and byte by byte. */
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK(hashes_to("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (size_t step = 1; step <= 64; step += 63) {
        CHECK(hashes_to("abc", 3, step,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        CHECK(hashes_to(two_blocks, 56, step,
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
    }
    VmafDnnSha256 hash;
    uint8_t digest[VMAF_DNN_SHA256_SIZE];
    uint8_t chunk[1000];
    memset(chunk, 'a', sizeof(chunk));
    vmaf_dnn_sha256_init(&hash);
    for (int i = 0; i < 1000; i++)
        vmaf_dnn_sha256_update(&hash, chunk, sizeof(chunk));
    vmaf_dnn_sha256_final(&hash, digest);
    CHECK(digest_is(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
    return checked();
}
