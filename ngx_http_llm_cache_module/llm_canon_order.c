#include <stdlib.h>

#include <openssl/evp.h>

#include "llm_canon.h"


/* so few are sorted by insertion */
#define LLM_CANON_FEW    8

#define LLM_CANON_STAGE  8192

/* at most LLM_CANON_SLACK */
#define LLM_CANON_SHORT  32


/* what is sorted where there are many */

typedef struct {
    uint64_t              key;         /* the start of the name */
    uint32_t              member;
} llm_canon_item_t;


/* short pieces are gathered before they are digested or copied */

typedef struct {
    const llm_canon_t    *canon;
    EVP_MD_CTX           *md;
    llm_buf_t            *text;        /* instead of the digest */
    size_t                n;
    int                   failed;
    unsigned char         stage[LLM_CANON_STAGE + LLM_CANON_SHORT];
} llm_canon_sink_t;


static inline unsigned llm_canon_rank(unsigned b);
static inline uint32_t llm_canon_common(const unsigned char *p,
    const unsigned char *q, uint32_t len);
static inline unsigned llm_canon_next(const unsigned char **p);
static unsigned llm_canon_unescape(const unsigned char **p);
static uint32_t llm_canon_back(const unsigned char *p, uint32_t i);
static llm_canon_item_t *llm_canon_merge_sort(const llm_canon_t *c,
    const llm_canon_member_t *m, llm_canon_item_t *items, uint32_t n);
static void llm_canon_merge(const llm_canon_t *c,
    const llm_canon_member_t *m, const llm_canon_item_t *from,
    llm_canon_item_t *to, uint32_t n, uint32_t all);
static uint64_t llm_canon_key(const llm_canon_t *c,
    const llm_canon_member_t *m);
static void llm_canon_all(llm_canon_sink_t *sink, const llm_canon_t *c);
static void llm_canon_emit(llm_canon_sink_t *sink, llm_canon_piece_t piece);
static void llm_canon_object_emit(llm_canon_sink_t *sink,
    const llm_canon_record_t *record);
static void llm_canon_put(llm_canon_sink_t *sink, const unsigned char *data,
    size_t len);
static void llm_canon_byte(llm_canon_sink_t *sink, unsigned char c);
static void llm_canon_flush(llm_canon_sink_t *sink);
static void llm_canon_write(llm_canon_sink_t *sink,
    const unsigned char *data, size_t len);


int
llm_canon_compare(const llm_canon_t *c, const llm_canon_member_t *one,
    const llm_canon_member_t *two)
{
    unsigned              a, b;
    uint32_t              i, len;
    const unsigned char  *p, *q;

    p = c->out + one->start + 1;
    q = c->out + two->start + 1;

    len = one->name < two->name ? one->name : two->name;

    i = llm_canon_common(p, q, len);

    if (i == len) {
        return (one->name > len) - (two->name > len);
    }

    if (one->escaped || two->escaped) {
        i -= llm_canon_back(p, i);
    }

    p += i;
    q += i;

    a = llm_canon_rank(llm_canon_next(&p));
    b = llm_canon_rank(llm_canon_next(&q));

    return a < b ? -1 : 1;
}


/* how many bytes are equal at the start; reads some behind the names, where
   there is room */

static inline uint32_t
llm_canon_common(const unsigned char *p, const unsigned char *q,
    uint32_t len)
{
    uint32_t  i;
    uint64_t  a, b;

    for (i = 0; i < len; i += 8) {
        memcpy(&a, p + i, 8);
        memcpy(&b, q + i, 8);

        if (a == b) {
            continue;
        }

#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        i += (uint32_t) __builtin_ctzll(a ^ b) / 8;
#else
        i += (uint32_t) __builtin_clzll(a ^ b) / 8;
#endif
        break;
    }

    return i < len ? i : len;
}


/* how many bytes before p[i] its escape begins, if it is in one */

static uint32_t
llm_canon_back(const unsigned char *p, uint32_t i)
{
    uint32_t  n, k;

    /* an escape is two bytes long, or six */

    for (n = 1; n <= 5 && n <= i; n++) {

        if (p[i - n] != '\\' || (n > 1 && p[i - n + 1] != 'u')) {
            continue;
        }

        /* the second of a pair of backslashes begins nothing */

        for (k = n; k < i && p[i - k - 1] == '\\'; k++) { /* void */ }

        if (((k - n) & 1) == 0) {
            return n;
        }
    }

    return 0;
}


/* a byte of what canonical text stands for */

static inline unsigned
llm_canon_next(const unsigned char **p)
{
    unsigned char  c;

    c = *(*p)++;

    return c == '\\' ? llm_canon_unescape(p) : c;
}


static unsigned
llm_canon_unescape(const unsigned char **p)
{
    unsigned char  c;

    c = *(*p)++;

    switch (c) {

    case 'b':
        return '\b';

    case 't':
        return '\t';

    case 'n':
        return '\n';

    case 'f':
        return '\f';

    case 'r':
        return '\r';

    case 'u':
        *p += 4;
        c = (*p)[-1];

        return ((unsigned) ((*p)[-2] - '0') << 4)
               | (c <= '9' ? (unsigned) (c - '0') : (unsigned) (c - 'a' + 10));

    default:
        return c;
    }
}


/*
 * The order of bytes.  UTF-8 sorts as UTF-16 does but for one thing:
 * U+E000..U+FFFF (lead bytes EE and EF) come after the surrogates of what is
 * beyond U+FFFF (F0 to F4).
 */

static inline unsigned
llm_canon_rank(unsigned b)
{
    return (b == 0xee || b == 0xef) ? b + 0x10 : b;
}


/* few by insertion, many by merging, in O(n log n) whatever the names */

int
llm_canon_sort(const llm_canon_t *c, llm_canon_member_t *m, uint32_t n)
{
    int                  rc;
    uint32_t             i, k;
    llm_canon_item_t    *items, *sorted;
    llm_canon_member_t   x, *copy;

    if (n <= LLM_CANON_FEW) {

        for (i = 1; i < n; i++) {
            x = m[i];

            for (k = i; k && llm_canon_compare(c, &m[k - 1], &x) > 0; k--) {
                m[k] = m[k - 1];
            }

            m[k] = x;
        }

        return 0;
    }

    rc = -1;

    copy = malloc((size_t) n * sizeof(llm_canon_member_t));
    items = malloc(2 * (size_t) n * sizeof(llm_canon_item_t));

    if (copy && items) {
        memcpy(copy, m, (size_t) n * sizeof(llm_canon_member_t));

        sorted = llm_canon_merge_sort(c, copy, items, n);

        for (i = 0; i < n; i++) {
            m[i] = copy[sorted[i].member];
        }

        rc = 0;
    }

    free(copy);
    free(items);

    return rc;
}


/* there is room for twice as many items; returns the half that is sorted */

static llm_canon_item_t *
llm_canon_merge_sort(const llm_canon_t *c, const llm_canon_member_t *m,
    llm_canon_item_t *items, uint32_t n)
{
    uint32_t           i, width, left;
    llm_canon_item_t  *from, *to, *swap;

    for (i = 0; i < n; i++) {
        items[i].key = llm_canon_key(c, &m[i]);
        items[i].member = i;
    }

    from = items;
    to = items + n;

    for (width = 1; width < n; width *= 2) {

        for (i = 0; i < n; i += left) {
            left = n - i < 2 * width ? n - i : 2 * width;

            llm_canon_merge(c, m, from + i, to + i,
                            left < width ? left : width, left);
        }

        swap = from;
        from = to;
        to = swap;
    }

    return from;
}


/* the first n of all the items and the others are sorted each */

static void
llm_canon_merge(const llm_canon_t *c, const llm_canon_member_t *m,
    const llm_canon_item_t *from, llm_canon_item_t *to, uint32_t n,
    uint32_t all)
{
    int       less;
    uint32_t  i, k;

    i = 0;
    k = n;

    while (i < n && k < all) {

        if (from[i].key != from[k].key) {
            less = from[i].key < from[k].key;

        } else {
            less = llm_canon_compare(c, &m[from[i].member],
                                     &m[from[k].member])
                   <= 0;
        }

        *to++ = less ? from[i++] : from[k++];
    }

    memcpy(to, from + i, (n - i) * sizeof(llm_canon_item_t));
    memcpy(to + (n - i), from + k, (all - k) * sizeof(llm_canon_item_t));
}


/* the start of a name, as a number that sorts as it does */

static uint64_t
llm_canon_key(const llm_canon_t *c, const llm_canon_member_t *m)
{
    int                   i;
    uint64_t              key;
    const unsigned char  *p, *last;

    p = c->out + m->start + 1;
    last = p + m->name;

    for (key = 0, i = 0; i < 8; i++) {
        key = key << 8 | (p < last ? llm_canon_rank(llm_canon_next(&p)) : 0);
    }

    return key;
}


int
llm_canon_digest(const llm_canon_t *c, unsigned char *digest)
{
    unsigned          len;
    llm_canon_sink_t  sink;

    sink.text = NULL;
    sink.md = EVP_MD_CTX_new();

    if (sink.md == NULL) {
        return -1;
    }

    if (EVP_DigestInit_ex(sink.md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(sink.md);
        return -1;
    }

    llm_canon_all(&sink, c);

    if (EVP_DigestFinal_ex(sink.md, digest, &len) != 1) {
        sink.failed = 1;
    }

    EVP_MD_CTX_free(sink.md);

    return sink.failed ? -1 : 0;
}


int
llm_canon_text(const llm_canon_t *c, llm_buf_t *text)
{
    llm_canon_sink_t  sink;

    sink.md = NULL;
    sink.text = text;

    llm_canon_all(&sink, c);

    return sink.failed ? -1 : 0;
}


static void
llm_canon_all(llm_canon_sink_t *sink, const llm_canon_t *c)
{
    llm_canon_piece_t  all;

    sink->canon = c;
    sink->n = 0;
    sink->failed = 0;

    all.start = 0;
    all.end = llm_canon_at(c);
    all.record = 0;

    llm_canon_emit(sink, all);
    llm_canon_flush(sink);
}


/* text as it stands, but for the objects in it that have a record */

static void
llm_canon_emit(llm_canon_sink_t *sink, llm_canon_piece_t piece)
{
    const llm_canon_t         *c;
    const llm_canon_record_t  *record, *last;

    c = sink->canon;

    record = llm_canon_records(c) + piece.record;
    last = llm_canon_records(c) + c->records.n;

    while (record < last && record->start < piece.end) {

        if (record->piece == LLM_CANON_AS_IS) {
            record++;
            continue;
        }

        llm_canon_put(sink, c->out + piece.start,
                      record->start - piece.start);
        llm_canon_object_emit(sink, record);

        piece.start = record->end;
        record = llm_canon_records(c) + record->next;
    }

    llm_canon_put(sink, c->out + piece.start, piece.end - piece.start);
}


static void
llm_canon_object_emit(llm_canon_sink_t *sink,
    const llm_canon_record_t *record)
{
    uint32_t  i;

    llm_canon_byte(sink, '{');

    for (i = 0; i < record->n; i++) {

        if (i) {
            llm_canon_byte(sink, ',');
        }

        llm_canon_emit(sink, llm_canon_pieces(sink->canon)[record->piece + i]);
    }

    llm_canon_byte(sink, '}');
}


static void
llm_canon_put(llm_canon_sink_t *sink, const unsigned char *data, size_t len)
{
    if (len > LLM_CANON_STAGE - sink->n) {
        llm_canon_flush(sink);

        if (len > LLM_CANON_STAGE / 2) {
            llm_canon_write(sink, data, len);
            return;
        }
    }

    /* most are short, and there is room behind both */

    if (len <= LLM_CANON_SHORT) {
        memcpy(sink->stage + sink->n, data, LLM_CANON_SHORT);

    } else {
        memcpy(sink->stage + sink->n, data, len);
    }

    sink->n += len;
}


static void
llm_canon_byte(llm_canon_sink_t *sink, unsigned char c)
{
    if (sink->n == LLM_CANON_STAGE) {
        llm_canon_flush(sink);
    }

    sink->stage[sink->n++] = c;
}


static void
llm_canon_flush(llm_canon_sink_t *sink)
{
    llm_canon_write(sink, sink->stage, sink->n);

    sink->n = 0;
}


static void
llm_canon_write(llm_canon_sink_t *sink, const unsigned char *data, size_t len)
{
    if (sink->text ? llm_buf_add(sink->text, data, len) != 0
                   : EVP_DigestUpdate(sink->md, data, len) != 1)
    {
        sink->failed = 1;
    }
}
