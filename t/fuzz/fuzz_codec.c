/*
 * Packed bytes of any kind are either refused or unpack to the same as zlib's
 * own reading of them, however they are cut, and never beyond the length that
 * was told; what the packer writes is read back; Accept-Encoding headers are
 * read without harm.  The first byte says what the rest is, the second how it
 * is cut.
 */


#include <stdlib.h>

#include <zlib.h>

#include "llm_codec.h"


#define FUZZ_MAX  65536
#define GZIP      16


static llm_packer_t    *packer;
static llm_unpacker_t  *unpacker;


static int
fuzz_unpack(const unsigned char *data, size_t n, size_t step,
    unsigned char *out, size_t len)
{
    size_t  at, part;

    llm_unpacker_start(unpacker, llm_codec_check(0, data, n), out, len);

    for (at = 0; at < n; at += part) {
        part = n - at < step ? n - at : step;

        if (llm_unpacker_feed(unpacker, data + at, part) != 0) {
            return -1;
        }
    }

    return llm_unpacker_end(unpacker);
}


static void
fuzz_read(const unsigned char *data, size_t n, size_t step)
{
    int             rc;
    size_t          len;
    z_stream        z;
    unsigned char  *text, *out;

    memset(&z, 0, sizeof(z));

    text = malloc(FUZZ_MAX);

    if (text == NULL || inflateInit2(&z, MAX_WBITS + GZIP) != Z_OK) {
        abort();
    }

    z.next_in = (unsigned char *) data;
    z.avail_in = (uInt) n;
    z.next_out = text;
    z.avail_out = FUZZ_MAX;

    rc = inflate(&z, Z_FINISH);

    /* what zlib reads is ours to read; damage may be no damage to the form */

    len = FUZZ_MAX - z.avail_out;
    out = malloc(len + LLM_CODEC_SLACK);

    if (out == NULL) {
        abort();
    }

    if (fuzz_unpack(data, n, step, out, len) == 0) {
        if (memcmp(out, text, len) != 0) {
            abort();
        }

    } else if (rc == Z_STREAM_END && z.avail_in == 0 && n > 3
               && data[3] == 0)
    {
        abort();
    }

    inflateEnd(&z);
    free(out);
    free(text);
}


static void
fuzz_write(const unsigned char *data, size_t len, size_t step)
{
    size_t          at, part, n, size;
    unsigned char  *packed, *out;

    size = len + len / 8 + 100;
    packed = malloc(size);
    out = malloc(len + LLM_CODEC_SLACK);

    if (packed == NULL || out == NULL) {
        abort();
    }

    llm_packer_start(packer, packed, size);

    for (at = 0; at < len; at += part) {
        part = len - at < step ? len - at : step;

        if (llm_packer_feed(packer, data + at, part) != 0) {
            abort();
        }
    }

    if (llm_packer_end(packer, &n) != 0
        || fuzz_unpack(packed, n, step, out, len) != 0
        || (len && memcmp(out, data, len) != 0))
    {
        abort();
    }

    /* without enough room it says so */

    size = n - 1;
    free(packed);
    packed = malloc(size);

    if (packed == NULL) {
        abort();
    }

    llm_packer_start(packer, packed, size);

    if (llm_packer_feed(packer, data, len) == 0
        && llm_packer_end(packer, &n) == 0)
    {
        abort();
    }

    free(packed);
    free(out);
}


static void
fuzz_accept(const unsigned char *data, size_t len)
{
    llm_str_t       value;
    llm_accept_t    accept;
    unsigned char  *copy;

    copy = malloc(len ? len : 1);

    if (copy == NULL) {
        abort();
    }

    memcpy(copy, data, len);

    value.data = copy;
    value.len = len;

    llm_accept_init(&accept);
    llm_accept_read(&accept, value);
    (void) llm_accept_gzip(&accept);

    free(copy);
}


int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
    size_t  step;

    if (len < 2 || len > FUZZ_MAX / 2) {
        return 0;
    }

    if (packer == NULL) {
        packer = llm_packer_create();
        unpacker = llm_unpacker_create();

        if (packer == NULL || unpacker == NULL) {
            abort();
        }
    }

    step = data[1] ? data[1] : len;

    switch (data[0] % 3) {

    case 0:
        fuzz_read(data + 2, len - 2, step);
        break;

    case 1:
        fuzz_write(data + 2, len - 2, step);
        break;

    default:
        fuzz_accept(data + 2, len - 2);
    }

    return 0;
}
