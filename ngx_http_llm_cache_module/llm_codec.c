#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "llm_codec.h"


#define LLM_CODEC_LEVEL          6
#define LLM_CODEC_GZIP           16      /* added to the window's bits */

/* the parts of a gzip member around the deflated bytes */
#define LLM_CODEC_HEAD           10
#define LLM_CODEC_HEAD_FIXED     4
#define LLM_CODEC_TAIL           8


struct llm_packer_s {
    z_stream              stream;
    size_t                size;
};


struct llm_unpacker_s {
    z_stream              stream;
    size_t                len;
    size_t                head;          /* bytes of it that came */
    size_t                tail;
    uint32_t              told;          /* the length in the tail */
    uint32_t              check;
    uint32_t              expected;
    int                   ended;
};


size_t
llm_codec_worth(size_t len)
{
    if (len < LLM_CODEC_MIN_BODY || len > LLM_CODEC_MAX_BODY) {
        return 0;
    }

    len -= len / 8 + 64;

    return len < LLM_CODEC_MAX_PACKED ? len : LLM_CODEC_MAX_PACKED;
}


uint32_t
llm_codec_check(uint32_t check, const unsigned char *data, size_t len)
{
    /* zlib takes no data for a wish to begin anew */

    return len ? (uint32_t) crc32_z(check, data, len) : check;
}


llm_packer_t *
llm_packer_create(void)
{
    llm_packer_t  *packer;

    packer = calloc(1, sizeof(llm_packer_t));
    if (packer == NULL) {
        return NULL;
    }

    if (deflateInit2(&packer->stream, LLM_CODEC_LEVEL, Z_DEFLATED,
                     MAX_WBITS + LLM_CODEC_GZIP, 8, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        free(packer);
        return NULL;
    }

    return packer;
}


void
llm_packer_free(llm_packer_t *packer)
{
    if (packer == NULL) {
        return;
    }

    deflateEnd(&packer->stream);

    free(packer);
}


void
llm_packer_start(llm_packer_t *packer, unsigned char *out, size_t size)
{
    z_stream  *z;

    z = &packer->stream;

    deflateReset(z);

    z->next_in = NULL;
    z->avail_in = 0;
    z->next_out = out;
    z->avail_out = (uInt) size;

    packer->size = size;
}


int
llm_packer_feed(llm_packer_t *packer, const unsigned char *data, size_t len)
{
    z_stream  *z;

    if (len == 0) {
        return 0;
    }

    z = &packer->stream;

    z->next_in = data;
    z->avail_in = (uInt) len;

    /* a full buffer may only just hold it all: the end will tell */

    return deflate(z, Z_NO_FLUSH) == Z_OK && z->avail_in == 0 ? 0 : -1;
}


int
llm_packer_end(llm_packer_t *packer, size_t *packed)
{
    z_stream  *z;

    z = &packer->stream;

    z->next_in = NULL;
    z->avail_in = 0;

    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        return -1;
    }

    *packed = packer->size - z->avail_out;

    return 0;
}


llm_unpacker_t *
llm_unpacker_create(void)
{
    llm_unpacker_t  *unpacker;

    unpacker = calloc(1, sizeof(llm_unpacker_t));
    if (unpacker == NULL) {
        return NULL;
    }

    /*
     * Without gzip's own checksum, which is over the body: reading that takes
     * longer than to unpack it.  Ours is over the packed bytes.
     */

    if (inflateInit2(&unpacker->stream, -MAX_WBITS) != Z_OK) {
        free(unpacker);
        return NULL;
    }

    return unpacker;
}


void
llm_unpacker_free(llm_unpacker_t *unpacker)
{
    if (unpacker == NULL) {
        return;
    }

    inflateEnd(&unpacker->stream);

    free(unpacker);
}


void
llm_unpacker_start(llm_unpacker_t *unpacker, uint32_t check,
    unsigned char *out, size_t len)
{
    inflateReset(&unpacker->stream);

    unpacker->stream.next_out = out;
    unpacker->stream.avail_out = (uInt) (len + LLM_CODEC_SLACK);

    unpacker->len = len;
    unpacker->head = 0;
    unpacker->tail = 0;
    unpacker->told = 0;
    unpacker->check = 0;
    unpacker->expected = check;
    unpacker->ended = 0;
}


int
llm_unpacker_feed(llm_unpacker_t *unpacker, const unsigned char *data,
    size_t len)
{
    int                   rc;
    z_stream             *z;
    const unsigned char  *last;

    static const unsigned char  head[LLM_CODEC_HEAD_FIXED] = {
        0x1f, 0x8b, Z_DEFLATED, 0
    };

    if (len == 0) {
        return 0;
    }

    z = &unpacker->stream;
    last = data + len;

    unpacker->check = llm_codec_check(unpacker->check, data, len);

    while (data < last && unpacker->head < LLM_CODEC_HEAD) {

        if (unpacker->head < LLM_CODEC_HEAD_FIXED
            && *data != head[unpacker->head])
        {
            return -1;
        }

        unpacker->head++;
        data++;
    }

    if (data < last && !unpacker->ended) {

        z->next_in = data;
        z->avail_in = (uInt) (last - data);

        rc = inflate(z, Z_FINISH);

        if (rc == Z_STREAM_END) {
            unpacker->ended = 1;

        } else if (rc != Z_BUF_ERROR || z->avail_in) {
            return -1;
        }

        data = z->next_in;
    }

    for ( /* void */ ; data < last; data++) {

        if (unpacker->tail == LLM_CODEC_TAIL) {
            return -1;
        }

        unpacker->told = (unpacker->told >> 8) | ((uint32_t) *data << 24);
        unpacker->tail++;
    }

    return 0;
}


int
llm_unpacker_end(llm_unpacker_t *unpacker)
{
    if (!unpacker->ended
        || unpacker->tail != LLM_CODEC_TAIL
        || unpacker->told != unpacker->len
        || unpacker->check != unpacker->expected
        || unpacker->stream.avail_out != LLM_CODEC_SLACK)
    {
        return -1;
    }

    return 0;
}


void
llm_accept_init(llm_accept_t *accept)
{
    accept->gzip = -1;
    accept->any = -1;
}


static int
llm_accept_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}


/* an element without white space around it */

static llm_str_t
llm_accept_trim(const unsigned char *p, const unsigned char *last)
{
    llm_str_t  s;

    while (p < last && llm_accept_blank(*p)) {
        p++;
    }

    while (p < last && llm_accept_blank(last[-1])) {
        last--;
    }

    s.data = p;
    s.len = (size_t) (last - p);

    return s;
}


static const unsigned char *
llm_accept_find(const unsigned char *p, const unsigned char *last, int c)
{
    const unsigned char  *found;

    if (p == last) {
        return last;
    }

    found = memchr(p, c, (size_t) (last - p));

    return found ? found : last;
}


static int
llm_accept_is(llm_str_t s, const char *name)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < s.len && name[i]; i++) {

        c = s.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != (unsigned char) name[i]) {
            return 0;
        }
    }

    return i == s.len && name[i] == '\0';
}


/* whether "q=0", in any spelling, is among the parameters */

static int
llm_accept_refused(const unsigned char *p, const unsigned char *last)
{
    size_t                i;
    llm_str_t             s;
    const unsigned char  *end;

    for ( /* void */ ; p < last; p = end) {

        /* at a semicolon */
        p++;
        end = llm_accept_find(p, last, ';');
        s = llm_accept_trim(p, end);

        if (s.len < 3 || (s.data[0] | 0x20) != 'q' || s.data[1] != '=') {
            continue;
        }

        for (i = 2; i < s.len; i++) {
            if (s.data[i] != '0' && !(i == 3 && s.data[i] == '.')) {
                break;
            }
        }

        return i == s.len;
    }

    return 0;
}


void
llm_accept_read(llm_accept_t *accept, llm_str_t value)
{
    int                   welcome;
    llm_str_t             name;
    const unsigned char  *p, *last, *end, *semicolon;

    if (value.len == 0) {
        return;
    }

    last = value.data + value.len;

    for (p = value.data; p < last; p = end + 1) {

        end = llm_accept_find(p, last, ',');
        semicolon = llm_accept_find(p, end, ';');

        name = llm_accept_trim(p, semicolon);
        welcome = !llm_accept_refused(semicolon, end);

        if (llm_accept_is(name, "gzip") || llm_accept_is(name, "x-gzip")) {
            accept->gzip = welcome;

        } else if (llm_accept_is(name, "*")) {
            accept->any = welcome;
        }
    }
}


int
llm_accept_gzip(const llm_accept_t *accept)
{
    return accept->gzip == 1 || (accept->gzip == -1 && accept->any == 1);
}
