#include <stdio.h>
#include <stdlib.h>

#include <zlib.h>

#include "llm_codec.h"
#include "tap.h"


#define GZIP  16


static unsigned char  body[LLM_CODEC_MAX_BODY];
static unsigned char  packed[LLM_CODEC_MAX_PACKED];
static unsigned char  text[LLM_CODEC_MAX_BODY + LLM_CODEC_SLACK];


/* events with a few varied bytes in each, as a provider streams them */

static void
fill(size_t len)
{
    char      line[128];
    int       n;
    size_t    at;
    unsigned  state;

    state = 1;
    at = 0;

    while (at < len) {
        state = state * 1103515245u + 12345u;
        n = snprintf(line, sizeof(line),
                     "data: {\"object\":\"chunk\",\"content\":\"%x\"}\n\n",
                     (state >> 8) & 0xffff);

        if ((size_t) n > len - at) {
            n = (int) (len - at);
        }

        memcpy(body + at, line, (size_t) n);
        at += (size_t) n;
    }
}


/* 0 with the packed length, or -1 */

static int
pack(llm_packer_t *packer, size_t len, size_t size, size_t step, size_t *n)
{
    size_t  at, part;

    llm_packer_start(packer, packed, size);

    for (at = 0; at < len; at += part) {
        part = len - at < step ? len - at : step;

        if (llm_packer_feed(packer, body + at, part) != 0) {
            return -1;
        }
    }

    return llm_packer_end(packer, n);
}


static int
unpack(llm_unpacker_t *unpacker, size_t n, size_t len, size_t step,
    uint32_t check)
{
    size_t  at, part;

    llm_unpacker_start(unpacker, check, text, len);

    for (at = 0; at < n; at += part) {
        part = n - at < step ? n - at : step;

        if (llm_unpacker_feed(unpacker, packed + at, part) != 0) {
            return -1;
        }
    }

    return llm_unpacker_end(unpacker);
}


/* what any client that reads gzip makes of it */

static int
read_gzip(size_t n, size_t len)
{
    int       rc;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (inflateInit2(&z, MAX_WBITS + GZIP) != Z_OK) {
        return -1;
    }

    z.next_in = packed;
    z.avail_in = (uInt) n;
    z.next_out = text;
    z.avail_out = (uInt) sizeof(text);

    rc = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == len
         && z.avail_in == 0 && memcmp(text, body, len) == 0 ? 0 : -1;

    inflateEnd(&z);

    return rc;
}


static void
test_bodies(llm_packer_t *packer, llm_unpacker_t *unpacker)
{
    size_t    i, n, len;
    uint32_t  check;

    static const size_t  sizes[] = {
        2048, 4095, 4096, 20000, 115000, 1000000
    };

    static const size_t  steps[] = { 1, 7, 1000, 4080, LLM_CODEC_STEP };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {

        len = sizes[i];
        fill(len);

        is_int(pack(packer, len, llm_codec_worth(len), LLM_CODEC_STEP, &n), 0,
               "%zu bytes are packed", len);
        ok(n < len / 2, "%zu bytes become %zu", len, n);
        is_int(read_gzip(n, len), 0, "%zu bytes: a gzip file", len);

        check = llm_codec_check(0, packed, n);
        memset(text, 0, len);

        is_int(unpack(unpacker, n, len, n, check), 0, "%zu bytes: unpacked",
               len);
        ok(memcmp(text, body, len) == 0, "%zu bytes: the same", len);
    }

    len = 20000;
    fill(len);

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {

        is_int(pack(packer, len, llm_codec_worth(len), steps[i], &n), 0,
               "packed in steps of %zu", steps[i]);

        check = llm_codec_check(0, packed, n);
        memset(text, 0, len);

        is_int(unpack(unpacker, n, len, steps[i], check), 0,
               "unpacked in steps of %zu", steps[i]);
        ok(memcmp(text, body, len) == 0, "steps of %zu: the same", steps[i]);
    }
}


static void
test_worth(llm_packer_t *packer)
{
    size_t    i, n, len;
    unsigned  state;

    is_int(llm_codec_worth(0), 0, "no body is not worth it");
    is_int(llm_codec_worth(LLM_CODEC_MIN_BODY - 1), 0, "nor is a short one");
    is_int(llm_codec_worth(LLM_CODEC_MAX_BODY + 1), 0, "nor a huge one");
    is_int(llm_codec_worth(LLM_CODEC_MAX_BODY), LLM_CODEC_MAX_PACKED,
           "what is unpacked in one go is bounded");
    ok(llm_codec_worth(3000) < 3000 - 256, "packing saves something");

    state = 7;

    for (i = 0; i < 20000; i++) {
        state = state * 1103515245u + 12345u;
        body[i] = (unsigned char) (state >> 16);
    }

    for (len = LLM_CODEC_MIN_BODY; len < 20000; len += 4700) {
        is_int(pack(packer, len, llm_codec_worth(len), LLM_CODEC_STEP, &n),
               -1, "%zu bytes of noise do not fit", len);
    }

    fill(5000);
    is_int(pack(packer, 5000, llm_codec_worth(5000), 100, &n), 0,
           "the packer goes on after that");
    is_int(read_gzip(n, 5000), 0, "with a gzip file");
    is_int(pack(packer, 5000, n, 100, &len), 0, "one that only just fits");
    is_int(pack(packer, 5000, n - 1, 100, &len), -1, "one that does not");
}


static void
test_damage(llm_packer_t *packer, llm_unpacker_t *unpacker)
{
    size_t    i, n, len, found, told;
    uint32_t  check;

    len = 3000;
    fill(len);

    if (pack(packer, len, llm_codec_worth(len), len, &n) != 0) {
        ok(0, "packed");
        return;
    }

    check = llm_codec_check(0, packed, n);

    is_int(unpack(unpacker, n, len, n, check), 0, "sound");
    is_int(unpack(unpacker, n, len - 1, n, check), -1, "longer than told");
    is_int(unpack(unpacker, n, len + 1, n, check), -1, "shorter than told");
    is_int(unpack(unpacker, n, len - 1000, n, check), -1, "much longer");
    is_int(unpack(unpacker, n, len, n, check ^ 1), -1, "another checksum");
    is_int(unpack(unpacker, n - 1, len, n,
                  llm_codec_check(0, packed, n - 1)), -1, "a byte short");
    is_int(unpack(unpacker, 0, len, 1, 0), -1, "nothing");

    packed[n] = 0;
    is_int(unpack(unpacker, n + 1, len, n,
                  llm_codec_check(0, packed, n + 1)), -1, "a byte too many");

    /* with the checksum of the damaged bytes most damage is found still */

    found = 0;
    told = 0;

    for (i = 0; i < n; i++) {
        packed[i] ^= 0x40;

        told += unpack(unpacker, n, len, n, check) != 0;
        found += unpack(unpacker, n, len, 100, llm_codec_check(0, packed, n))
                 != 0;

        packed[i] ^= 0x40;
    }

    is_int(told, n, "damage to any byte is found");
    ok(found > 0, "damage is found by the form as well, %zu of %zu", found, n);

    is_int(unpack(unpacker, n, len, n, check), 0, "sound afterwards");
}


/* a few bytes that unpack to very many */

static void
test_bomb(llm_unpacker_t *unpacker)
{
    size_t          n;
    z_stream        z;
    unsigned char  *zeros;

    zeros = calloc(1, 50 * 1024 * 1024);

    memset(&z, 0, sizeof(z));

    if (zeros == NULL
        || deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + GZIP, 8, 0) != Z_OK)
    {
        ok(0, "memory");
        free(zeros);
        return;
    }

    z.next_in = zeros;
    z.avail_in = 50 * 1024 * 1024;
    z.next_out = packed;
    z.avail_out = sizeof(packed);

    is_int(deflate(&z, Z_FINISH), Z_STREAM_END, "a bomb");

    n = sizeof(packed) - z.avail_out;

    is_int(unpack(unpacker, n, 5000, n, llm_codec_check(0, packed, n)), -1,
           "it stops at the length that was told");
    ok(text[5000 + LLM_CODEC_SLACK] == 0xaa, "and writes no further");

    deflateEnd(&z);
    free(zeros);
}


static int
accepts(const char *one, const char *two)
{
    llm_str_t     s;
    llm_accept_t  accept;

    llm_accept_init(&accept);

    s.data = (const unsigned char *) one;
    s.len = strlen(one);
    llm_accept_read(&accept, s);

    if (two) {
        s.data = (const unsigned char *) two;
        s.len = strlen(two);
        llm_accept_read(&accept, s);
    }

    return llm_accept_gzip(&accept);
}


static void
test_accept(void)
{
    size_t     i;
    llm_str_t  none = llm_null_string;

    static const struct {
        const char  *value;
        int          gzip;
    } cases[] = {
        { "", 0 }, { "gzip", 1 }, { "gzip, deflate", 1 },
        { "deflate, gzip", 1 }, { "deflate,gzip,br", 1 }, { "GZip", 1 },
        { "x-gzip", 1 }, { "identity", 0 }, { "br", 0 }, { "gzipped", 0 },
        { "agzip", 0 }, { "gzi", 0 }, { "x-gzip-not", 0 }, { "*", 1 },
        { "*;q=0", 0 }, { "gzip;q=0", 0 }, { "gzip;q=0.0", 0 },
        { "gzip;q=0.000", 0 }, { "gzip;q=0.001", 1 }, { "gzip;q=1", 1 },
        { "gzip ; q=0", 0 }, { "gzip; Q=0", 0 }, { " gzip\t;\tq=0.5 ", 1 },
        { "gzip;x=1;q=0", 0 }, { "*, gzip;q=0", 0 }, { "gzip;q=0, *", 0 },
        { "gzip, *;q=0", 1 }, { "identity;q=0, gzip", 1 }, { ",,gzip,,", 1 },
        { ";q=0", 0 }, { "gzip;", 1 }, { "gzip;q", 1 }, { "gzip;q=", 1 },
        { "gzip;q=.", 1 }, { ",", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(accepts(cases[i].value, NULL), cases[i].gzip,
               "accepts: \"%s\"", cases[i].value);
    }

    is_int(accepts("br", "gzip"), 1, "accepts: the second header counts");
    is_int(accepts("*", "gzip;q=0"), 0, "accepts: so does its refusal");

    {
        llm_accept_t  accept;

        llm_accept_init(&accept);
        llm_accept_read(&accept, none);
        is_int(llm_accept_gzip(&accept), 0, "accepts: no value");
    }
}


int
main(void)
{
    llm_packer_t    *packer;
    llm_unpacker_t  *unpacker;

    packer = llm_packer_create();
    unpacker = llm_unpacker_create();

    if (ok(packer && unpacker, "contexts")) {
        test_bodies(packer, unpacker);
        test_worth(packer);
        test_damage(packer, unpacker);

        memset(text, 0xaa, sizeof(text));
        test_bomb(unpacker);
    }

    llm_packer_free(packer);
    llm_unpacker_free(unpacker);
    llm_packer_free(NULL);
    llm_unpacker_free(NULL);

    test_accept();

    return done();
}
