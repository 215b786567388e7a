#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "llm_gunzip.h"


/* added to the window's bits: either kind of head */
#define LLM_GUNZIP_EITHER  32

#define LLM_GUNZIP_PIECE   8192


struct llm_gunzip_s {
    z_stream              stream;
    int                   ended;
    unsigned char         piece[LLM_GUNZIP_PIECE];
};


int
llm_gunzip_knows(llm_str_t coding)
{
    size_t      i, k;
    llm_str_t   name;

    static const llm_str_t  names[] = {
        llm_string("gzip"), llm_string("x-gzip"), llm_string("deflate")
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        name = names[i];

        if (name.len != coding.len) {
            continue;
        }

        for (k = 0; k < name.len; k++) {
            if (name.data[k] != (coding.data[k] | 0x20)) {
                break;
            }
        }

        if (k == name.len) {
            return 1;
        }
    }

    return 0;
}


llm_gunzip_t *
llm_gunzip_create(void)
{
    llm_gunzip_t  *gunzip;

    gunzip = calloc(1, sizeof(llm_gunzip_t));
    if (gunzip == NULL) {
        return NULL;
    }

    if (inflateInit2(&gunzip->stream, MAX_WBITS + LLM_GUNZIP_EITHER) != Z_OK) {
        free(gunzip);
        return NULL;
    }

    return gunzip;
}


void
llm_gunzip_free(llm_gunzip_t *gunzip)
{
    if (gunzip == NULL) {
        return;
    }

    inflateEnd(&gunzip->stream);

    free(gunzip);
}


int
llm_gunzip_feed(llm_gunzip_t *gunzip, const unsigned char *data, size_t len,
    llm_gunzip_pt handler, void *ctx)
{
    int        rc, taken;
    size_t     n;
    z_stream  *z;

    if (len == 0) {
        return 0;
    }

    if (gunzip->ended || len > UINT32_MAX) {
        return -1;
    }

    z = &gunzip->stream;

    z->next_in = data;
    z->avail_in = (uInt) len;

    do {
        z->next_out = gunzip->piece;
        z->avail_out = LLM_GUNZIP_PIECE;

        rc = inflate(z, Z_SYNC_FLUSH);

        /* Z_BUF_ERROR: there was nothing left to do */

        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            return -1;
        }

        n = LLM_GUNZIP_PIECE - z->avail_out;

        if (n) {
            taken = handler(ctx, gunzip->piece, n);
            if (taken != 0) {
                return taken;
            }
        }

        if (rc == Z_STREAM_END) {
            gunzip->ended = 1;
            return z->avail_in ? -1 : 0;
        }

    } while (z->avail_out == 0 || (z->avail_in && rc == Z_OK));

    return z->avail_in ? -1 : 0;
}


int
llm_gunzip_ended(const llm_gunzip_t *gunzip)
{
    return gunzip->ended;
}
