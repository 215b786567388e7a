/*
 * What stored bodies cost under compression: bytes, and microseconds to pack
 * and to unpack one, by the module (gzip by zlib, with a checksum of its own),
 * by zlib and zstd as they are, and by libdeflate as another gzip.
 *
 *   cc -O2 -I ngx_http_llm_cache_module bench/compress.c \
 *       ngx_http_llm_cache_module/llm_codec.c -lz -lzstd [-ldeflate]
 *   perl bench/bodies.pl DIRECTORY
 *   compress DIRECTORY/pack-*
 *
 * Contexts are made once and reset, as a worker would keep them.  Bodies are
 * hot in the processor's caches.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zlib.h>
#include <zstd.h>

#include "llm_codec.h"

#if __has_include(<libdeflate.h>)
#include <libdeflate.h>
#define WITH_LIBDEFLATE  1
#else
#define WITH_LIBDEFLATE  0
#endif


#define GZIP      16
#define MIN_TIME  0.002              /* seconds of a measurement */
#define TIMES     40                 /* the fastest of so many counts */


typedef enum {
    WAY_MODULE = 0,
    WAY_ZLIB,
    WAY_ZSTD,
    WAY_LIBDEFLATE
} way_e;


typedef struct {
    way_e       way;
    int         level;
    int         strategy;            /* of zlib */
    const char *name;
} method_t;


static const method_t  methods[] = {
    { WAY_MODULE, 0, 0, "the module" },
    { WAY_ZLIB, 1, Z_DEFAULT_STRATEGY, "gzip 1" },
    { WAY_ZLIB, 3, Z_DEFAULT_STRATEGY, "gzip 3" },
    { WAY_ZLIB, 6, Z_DEFAULT_STRATEGY, "gzip 6" },
    { WAY_ZLIB, 6, Z_FIXED, "gzip 6, fixed codes" },
    { WAY_ZLIB, 9, Z_DEFAULT_STRATEGY, "gzip 9" },
    { WAY_LIBDEFLATE, 6, 0, "gzip 6 (libdeflate)" },
    { WAY_LIBDEFLATE, 12, 0, "gzip 12 (libdeflate)" },
    { WAY_ZSTD, 1, 0, "zstd 1" },
    { WAY_ZSTD, 3, 0, "zstd 3" },
    { WAY_ZSTD, 6, 0, "zstd 6" },
    { WAY_ZSTD, 12, 0, "zstd 12" }
};


typedef struct {
    const method_t *method;
    llm_packer_t   *module;
    llm_unpacker_t *reader;
    z_stream        deflate;
    z_stream        inflate;
    ZSTD_CCtx      *pack;
    ZSTD_DCtx      *unpack;
#if WITH_LIBDEFLATE
    struct libdeflate_compressor    *packer;
    struct libdeflate_decompressor  *unpacker;
#endif
} codec_t;


static size_t
pack(codec_t *c, unsigned char *in, size_t len, unsigned char *out,
    size_t size)
{
    size_t  n;

    switch (c->method->way) {

    case WAY_MODULE:
        llm_packer_start(c->module, out, size);

        for ( /* void */ ; len; in += n, len -= n) {
            n = len < LLM_CODEC_STEP ? len : LLM_CODEC_STEP;

            if (llm_packer_feed(c->module, in, n) != 0) {
                return 0;
            }
        }

        return llm_packer_end(c->module, &n) == 0 ? n : 0;

    case WAY_ZLIB:
        deflateReset(&c->deflate);
        c->deflate.next_in = in;
        c->deflate.avail_in = (uInt) len;
        c->deflate.next_out = out;
        c->deflate.avail_out = (uInt) size;

        return deflate(&c->deflate, Z_FINISH) == Z_STREAM_END
               ? size - c->deflate.avail_out : 0;

    case WAY_ZSTD:
        n = ZSTD_compress2(c->pack, out, size, in, len);
        return ZSTD_isError(n) ? 0 : n;

    default:
#if WITH_LIBDEFLATE
        return libdeflate_gzip_compress(c->packer, in, len, out, size);
#else
        return 0;
#endif
    }
}


static size_t
unpack(codec_t *c, unsigned char *in, size_t len, unsigned char *out,
    size_t size)
{
    size_t  n;

    switch (c->method->way) {

    case WAY_MODULE:
        llm_unpacker_start(c->reader, llm_codec_check(0, in, len), out, size);

        return llm_unpacker_feed(c->reader, in, len) == 0
               && llm_unpacker_end(c->reader) == 0 ? size : 0;

    case WAY_ZLIB:
        inflateReset(&c->inflate);
        c->inflate.next_in = in;
        c->inflate.avail_in = (uInt) len;
        c->inflate.next_out = out;
        c->inflate.avail_out = (uInt) size;

        return inflate(&c->inflate, Z_FINISH) == Z_STREAM_END
               ? size - c->inflate.avail_out : 0;

    case WAY_ZSTD:
        n = ZSTD_decompressDCtx(c->unpack, out, size, in, len);
        return ZSTD_isError(n) ? 0 : n;

    default:
#if WITH_LIBDEFLATE
        return libdeflate_gzip_decompress(c->unpacker, in, len, out, size, &n)
               == LIBDEFLATE_SUCCESS ? n : 0;
#else
        return 0;
#endif
    }
}


static int
codec_init(codec_t *c, const method_t *method)
{
    memset(c, 0, sizeof(codec_t));

    c->method = method;
    c->module = llm_packer_create();
    c->reader = llm_unpacker_create();
    c->pack = ZSTD_createCCtx();
    c->unpack = ZSTD_createDCtx();

    if (c->module == NULL || c->reader == NULL || c->pack == NULL
        || c->unpack == NULL)
    {
        return -1;
    }

    switch (method->way) {

    case WAY_MODULE:
        return 0;

    case WAY_ZLIB:
        return deflateInit2(&c->deflate, method->level, Z_DEFLATED,
                            MAX_WBITS + GZIP, 8, method->strategy)
               == Z_OK
               && inflateInit2(&c->inflate, MAX_WBITS + GZIP) == Z_OK ? 0 : -1;

    case WAY_ZSTD:
        ZSTD_CCtx_setParameter(c->pack, ZSTD_c_compressionLevel,
                               method->level);
        ZSTD_CCtx_setParameter(c->pack, ZSTD_c_checksumFlag, 1);
        return 0;

    default:
#if WITH_LIBDEFLATE
        c->packer = libdeflate_alloc_compressor(method->level);
        c->unpacker = libdeflate_alloc_decompressor();
        return c->packer && c->unpacker ? 0 : -1;
#else
        return -1;
#endif
    }
}


static void
codec_free(codec_t *c)
{
    llm_packer_free(c->module);
    llm_unpacker_free(c->reader);
    ZSTD_freeCCtx(c->pack);
    ZSTD_freeDCtx(c->unpack);

    if (c->method->way == WAY_ZLIB) {
        deflateEnd(&c->deflate);
        inflateEnd(&c->inflate);
    }

#if WITH_LIBDEFLATE
    if (c->packer) {
        libdeflate_free_compressor(c->packer);
        libdeflate_free_decompressor(c->unpacker);
    }
#endif
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* microseconds for one call, undisturbed */

static double
measure(size_t (*call)(codec_t *, unsigned char *, size_t, unsigned char *,
    size_t), codec_t *c, unsigned char *in, size_t len, unsigned char *out,
    size_t size)
{
    int     i, n, times;
    double  started, used, best;

    n = 1;
    best = 0;

    for (times = 0; times < TIMES; times++) {
        started = now();

        for (i = 0; i < n; i++) {
            call(c, in, len, out, size);
        }

        used = now() - started;

        if (used < MIN_TIME) {
            n *= 2;
            times = -1;
            best = 0;
            continue;
        }

        if (best == 0 || used / n < best) {
            best = used / n;
        }
    }

    return best * 1e6;
}


static int
compare(const char *name, unsigned char *body, size_t len)
{
    size_t          i, n, size;
    double          packing, unpacking;
    codec_t         c;
    const char     *slash;
    unsigned char  *packed, *text;

    size = len + len / 8 + 1024;
    packed = malloc(size);
    text = malloc(len + LLM_CODEC_SLACK);

    if (packed == NULL || text == NULL) {
        return -1;
    }

    slash = strrchr(name, '/');
    printf("\n%s, %zu bytes\n", slash ? slash + 1 : name, len);

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {

        if (codec_init(&c, &methods[i]) != 0) {
            printf("  %-22s not here\n", methods[i].name);
            continue;
        }

        n = pack(&c, body, len, packed, size);

        if (n == 0
            || unpack(&c, packed, n, text, len) != len
            || memcmp(text, body, len) != 0)
        {
            fprintf(stderr, "%s: %s fails\n", name, methods[i].name);
            return -1;
        }

        packing = measure(pack, &c, body, len, packed, size);
        unpacking = measure(unpack, &c, packed, n, text, len);

        printf("  %-22s %8zu bytes %6.1f %% %10.1f us %10.1f us %8.0f MB/s\n",
               methods[i].name, n, 100.0 * (double) n / (double) len,
               packing, unpacking, (double) len / unpacking);

        codec_free(&c);
    }

    free(packed);
    free(text);

    return 0;
}


int
main(int argc, char *argv[])
{
    int             i, rc;
    long            size;
    FILE           *file;
    unsigned char  *body;

    printf("  %-22s %14s %8s %13s %13s\n", "", "stored", "", "pack", "unpack");

    for (i = 1; i < argc; i++) {

        file = fopen(argv[i], "rb");

        if (file == NULL || fseek(file, 0, SEEK_END) != 0
            || (size = ftell(file)) <= 0)
        {
            perror(argv[i]);
            return 1;
        }

        rewind(file);

        body = malloc((size_t) size);

        if (body == NULL
            || fread(body, 1, (size_t) size, file) != (size_t) size)
        {
            perror(argv[i]);
            return 1;
        }

        fclose(file);

        rc = compare(argv[i], body, (size_t) size);

        free(body);

        if (rc != 0) {
            return 1;
        }
    }

    return 0;
}
