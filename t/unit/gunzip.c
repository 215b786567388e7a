#include <stdlib.h>

#include <zlib.h>

#include "llm_gunzip.h"
#include "llm_json.h"
#include "tap.h"


#define GZIP   (MAX_WBITS + 16)
#define PLAIN  100000


static llm_buf_t  got;
static int        verdict;


static int
take(void *ctx, const unsigned char *data, size_t len)
{
    if (ctx != &got || llm_buf_add(&got, data, len) != 0) {
        abort();
    }

    return verdict;
}


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


static size_t
pack(int bits, const unsigned char *data, size_t len, unsigned char *out,
    size_t size)
{
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        abort();
    }

    z.next_in = (unsigned char *) (uintptr_t) data;
    z.avail_in = (uInt) len;
    z.next_out = out;
    z.avail_out = (uInt) size;

    if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
        abort();
    }

    deflateEnd(&z);

    return size - z.avail_out;
}


/* in steps of so many bytes; what the last call returned */

static int
feed(llm_gunzip_t *gunzip, const unsigned char *data, size_t len, size_t step)
{
    int     rc;
    size_t  n;

    for (rc = 0; len && rc == 0; data += n, len -= n) {
        n = len < step ? len : step;
        rc = llm_gunzip_feed(gunzip, data, n, take, &got);
    }

    return rc;
}


static int
read_all(const unsigned char *data, size_t len, size_t step, int *ended)
{
    int            rc;
    llm_gunzip_t  *gunzip;

    llm_buf_free(&got);
    memset(&got, 0, sizeof(got));

    gunzip = llm_gunzip_create();
    if (gunzip == NULL) {
        abort();
    }

    rc = feed(gunzip, data, len, step);
    *ended = llm_gunzip_ended(gunzip);

    llm_gunzip_free(gunzip);

    return rc;
}


static void
test_coding(int bits, const char *name, const unsigned char *plain,
    unsigned char *packed, size_t size)
{
    int     ended;
    size_t  i, n;

    static const size_t  steps[] = { 1, 7, 1000, PLAIN };

    n = pack(bits, plain, PLAIN, packed, size);

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        is_int(read_all(packed, n, steps[i], &ended), 0,
               "%s, steps of %zu", name, steps[i]);
        ok(ended, "%s: it ended", name);
        is_mem(got.data, got.len, plain, (size_t) PLAIN, "%s: bytes", name);
    }

    is_int(read_all(packed, n - 1, PLAIN, &ended), 0, "%s: cut off", name);
    ok(!ended, "%s: it did not end", name);

    packed[n] = 'x';
    is_int(read_all(packed, n + 1, PLAIN, &ended), -1, "%s: more", name);
    is_int(read_all(packed, n + 1, n, &ended), -1, "%s: later", name);

    packed[n - 2] ^= 1;
    is_int(read_all(packed, n, PLAIN, &ended), -1, "%s: checksum", name);
    ok(!ended, "%s: that is no end", name);

    packed[n / 2] ^= 0xff;
    read_all(packed, n, 3, &ended);
    ok(!ended, "%s: damage", name);

    verdict = 5;
    is_int(read_all(packed, n, PLAIN, &ended), 5, "%s: the handler's", name);
    ok(got.len > 0 && got.len < PLAIN, "%s: called once", name);
    verdict = 0;
}


int
main(void)
{
    int             ended;
    size_t          i;
    unsigned char  *plain, *packed;

    ok(llm_gunzip_knows(str("gzip")), "gzip");
    ok(llm_gunzip_knows(str("X-GZip")), "X-GZip");
    ok(llm_gunzip_knows(str("deflate")), "deflate");
    ok(!llm_gunzip_knows(str("br")), "br");
    ok(!llm_gunzip_knows(str("gzip, br")), "two of them");
    ok(!llm_gunzip_knows(str("gzi")), "a part of it");
    ok(!llm_gunzip_knows(str("")), "none");

    plain = malloc(PLAIN);
    packed = malloc(2 * PLAIN);

    if (plain == NULL || packed == NULL) {
        abort();
    }

    for (i = 0; i < PLAIN; i++) {
        plain[i] = (unsigned char) ("data: {}\n"[i % 9] ^ (i / 977 & 3));
    }

    test_coding(GZIP, "gzip", plain, packed, 2 * PLAIN);
    test_coding(MAX_WBITS, "deflate", plain, packed, 2 * PLAIN);

    is_int(read_all(plain, PLAIN, PLAIN, &ended), -1, "no coding at all");
    is_int(read_all(plain, 0, 1, &ended), 0, "nothing");
    ok(!ended, "nothing is no end");

    llm_buf_free(&got);
    free(plain);
    free(packed);
    llm_gunzip_free(NULL);

    return done();
}
