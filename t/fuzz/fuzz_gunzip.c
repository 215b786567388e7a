/*
 * Compressed answers of any bytes are read without harm, the same however they
 * are cut, and as zlib itself reads them.  The first byte says how they are
 * cut, the second whether the rest is to be packed first.
 */


#include <stdlib.h>

#include <zlib.h>

#include "llm_gunzip.h"


#define FUZZ_MAX   (1024 * 1024)
#define FUZZ_BITS  (MAX_WBITS + 32)


typedef struct {
    unsigned char  *data;
    size_t          len;
} fuzz_out_t;


static int
fuzz_take(void *ctx, const unsigned char *data, size_t len)
{
    fuzz_out_t  *out = ctx;

    if (len == 0) {
        abort();
    }

    if (len > FUZZ_MAX - out->len) {
        return 1;
    }

    memcpy(out->data + out->len, data, len);
    out->len += len;

    return 0;
}


static int
fuzz_read(const unsigned char *data, size_t n, size_t step, fuzz_out_t *out)
{
    int            rc;
    size_t         part;
    llm_gunzip_t  *gunzip;

    gunzip = llm_gunzip_create();
    if (gunzip == NULL) {
        abort();
    }

    out->len = 0;

    for (rc = 0; n && rc == 0; data += part, n -= part) {
        part = n < step ? n : step;
        rc = llm_gunzip_feed(gunzip, data, part, fuzz_take, out);
    }

    if (rc == 0 && llm_gunzip_ended(gunzip)) {
        rc = 2;
    }

    llm_gunzip_free(gunzip);

    return rc;
}


/* 2 with the bytes of one whole and sound body, else something else */

static int
fuzz_zlib(const unsigned char *data, size_t n, fuzz_out_t *out)
{
    int       rc;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (inflateInit2(&z, FUZZ_BITS) != Z_OK) {
        abort();
    }

    z.next_in = (unsigned char *) (uintptr_t) data;
    z.avail_in = (uInt) n;
    z.next_out = out->data;
    z.avail_out = FUZZ_MAX;

    rc = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0 ? 2 : 0;
    out->len = FUZZ_MAX - z.avail_out;

    inflateEnd(&z);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                   rc, whole;
    size_t                step;
    uLongf                n;
    fuzz_out_t            one, other;
    unsigned char        *packed;

    if (size < 2) {
        return 0;
    }

    step = (size_t) data[0] + 1;
    packed = NULL;

    one.data = malloc(FUZZ_MAX);
    other.data = malloc(FUZZ_MAX);

    if (data[1] & 1) {
        n = compressBound(size);
        packed = malloc(n);

        if (packed == NULL || compress(packed, &n, data, size) != Z_OK) {
            abort();
        }

        data = packed;
        size = n;

    } else {
        data += 2;
        size -= 2;
    }

    if (one.data == NULL || other.data == NULL) {
        abort();
    }

    rc = fuzz_read(data, size, step, &one);
    whole = fuzz_zlib(data, size, &other);

    if ((rc == 2) != (whole == 2)
        || (packed && rc != 2)
        || (rc == 2 && (one.len != other.len
                        || memcmp(one.data, other.data, one.len) != 0)))
    {
        abort();
    }

    free(packed);
    free(one.data);
    free(other.data);

    return 0;
}
