#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "llm_canon.h"
#include "llm_utf8.h"


#define llm_canon_ones      0x0101010101010101ULL
#define llm_canon_tops      0x8080808080808080ULL


/* where a string is read and where it is written */

typedef struct {
    const unsigned char  *p;
    unsigned char        *o;
} llm_canon_copy_t;


static int llm_canon_escape(llm_canon_t *c, llm_canon_copy_t *s);
static int llm_canon_unicode(llm_canon_t *c, llm_canon_copy_t *s);
static void llm_canon_code(llm_canon_t *c, llm_canon_copy_t *s,
    uint32_t code);
static int32_t llm_canon_hex(const unsigned char *p);
static int llm_canon_utf8(const unsigned char *last, llm_canon_copy_t *s);
static int llm_canon_char(const unsigned char *last, llm_canon_copy_t *s);


/* digits of hexadecimal numbers; others have the high bits set */

#define X  0xff

static const unsigned char  llm_canon_hexes[256] = {
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, X, X, X, X, X, X,
    X, 10, 11, 12, 13, 14, 15, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, 10, 11, 12, 13, 14, 15, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X
};

#undef X


/*
 * Copies bytes that stand for themselves, many at a time, up to one that may
 * not.  What is written beyond it will be written over.
 */

static inline void
llm_canon_plain(const unsigned char *last, llm_canon_copy_t *s)
{
    unsigned char        *o;
    const unsigned char  *p;

    p = s->p;
    o = s->o;

#if defined(__SSE2__)

    while (last - p >= 16) {
        unsigned  mask;
        __m128i   x, special;

        x = _mm_loadu_si128((const __m128i *) (const void *) p);
        _mm_storeu_si128((__m128i *) (void *) o, x);

        /* bytes that are not ASCII are negative */

        special = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                               _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
        special = _mm_or_si128(special,
                               _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));

        mask = (unsigned) _mm_movemask_epi8(special);

        if (mask) {
            s->p = p + __builtin_ctz(mask);
            s->o = o + __builtin_ctz(mask);
            return;
        }

        p += 16;
        o += 16;
    }

#else

    while (last - p >= 8) {
        uint64_t  w, quote, slash;

        memcpy(&w, p, 8);

        quote = w ^ (llm_canon_ones * '"');
        slash = w ^ (llm_canon_ones * '\\');

        /* may see something where there is nothing, never the reverse */

        if ((((w - llm_canon_ones * 0x20) | (quote - llm_canon_ones)
              | (slash - llm_canon_ones) | w)
             & llm_canon_tops) != 0)
        {
            break;
        }

        memcpy(o, &w, 8);

        p += 8;
        o += 8;
    }

#endif

    while (p < last && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        *o++ = *p++;
    }

    s->p = p;
    s->o = o;
}


/* from the opening quote to the byte after the closing one */

int
llm_canon_string(llm_canon_t *c)
{
    llm_canon_copy_t      s;
    const unsigned char  *last;

    s.p = c->p + 1;
    s.o = c->o;
    last = c->last;

    *s.o++ = '"';

    for ( ;; ) {
        llm_canon_plain(last, &s);

        if (s.p == last) {
            return llm_canon_fail(c, LLM_REASON_JSON);
        }

        if (*s.p == '"') {
            *s.o++ = '"';

            c->p = s.p + 1;
            c->o = s.o;

            return 0;
        }

        if (*s.p >= 0x80) {
            if (!llm_canon_utf8(last, &s)) {
                return llm_canon_fail(c, LLM_REASON_JSON);
            }

        } else if (*s.p != '\\' || !llm_canon_escape(c, &s)) {
            return llm_canon_fail(c, LLM_REASON_JSON);
        }
    }
}


/* escapes, up to a byte that begins none; 0 when one is wrong */

static int
llm_canon_escape(llm_canon_t *c, llm_canon_copy_t *s)
{
    unsigned char  b;

    do {
        if (c->last - s->p < 2) {
            return 0;
        }

        b = s->p[1];

        switch (b) {

        case '"':
        case '\\':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            s->o[0] = '\\';
            s->o[1] = b;
            s->o += 2;
            s->p += 2;
            c->escaped = 1;
            break;

        case '/':
            *s->o++ = '/';
            s->p += 2;
            break;

        case 'u':
            if (!llm_canon_unicode(c, s)) {
                return 0;
            }

            break;

        default:
            return 0;
        }

    } while (s->p < c->last && *s->p == '\\');

    return 1;
}


static int
llm_canon_unicode(llm_canon_t *c, llm_canon_copy_t *s)
{
    int32_t  code, low;

    if (c->last - s->p < 6) {
        return 0;
    }

    code = llm_canon_hex(s->p + 2);
    s->p += 6;

    if (code < 0 || (code & 0xfc00) == 0xdc00) {
        return 0;
    }

    if ((code & 0xfc00) == 0xd800) {

        if (c->last - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u') {
            return 0;
        }

        low = llm_canon_hex(s->p + 2);
        s->p += 6;

        if (low < 0 || (low & 0xfc00) != 0xdc00) {
            return 0;
        }

        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
    }

    if (code >= 0x80) {
        s->o += llm_utf8_encode((uint32_t) code, s->o);

    } else {
        llm_canon_code(c, s, (uint32_t) code);
    }

    return 1;
}


/* writes an ASCII character that was escaped */

static void
llm_canon_code(llm_canon_t *c, llm_canon_copy_t *s, uint32_t code)
{
    unsigned char              b;
    static const char          hex[] = "0123456789abcdef";
    static const unsigned char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
    };

    if (code >= 0x20 && code != '"' && code != '\\') {
        *s->o++ = (unsigned char) code;
        return;
    }

    c->escaped = 1;

    if (code == 0) {
        c->nul = 1;
    }

    b = (code < 0x20) ? letters[code] : (unsigned char) code;

    *s->o++ = '\\';

    if (b) {
        *s->o++ = b;
        return;
    }

    memcpy(s->o, "u00", 3);
    s->o[3] = (unsigned char) hex[code >> 4];
    s->o[4] = (unsigned char) hex[code & 0xf];
    s->o += 5;
}


/* of four digits; negative when one is none */

static int32_t
llm_canon_hex(const unsigned char *p)
{
    unsigned  a, b, c, d;

    a = llm_canon_hexes[p[0]];
    b = llm_canon_hexes[p[1]];
    c = llm_canon_hexes[p[2]];
    d = llm_canon_hexes[p[3]];

    if ((a | b | c | d) & 0xf0) {
        return -1;
    }

    return (int32_t) (a << 12 | b << 8 | c << 4 | d);
}


#if defined(__SSE2__)

/* a bit for each byte of x that is so, as signed bytes are compared: 80 is
   the least of them, FF comes before 00 */

#define llm_canon_is(x, b)                                                    \
    ((unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(x,                           \
                                                 _mm_set1_epi8((char) (b)))))

#define llm_canon_above(x, b)                                                 \
    ((unsigned) _mm_movemask_epi8(_mm_cmpgt_epi8(x,                           \
                                                 _mm_set1_epi8((char) (b)))))

#define llm_canon_bit(mask, n)  ((mask) >> (n) & 1)


/*
 * Copies the whole well-formed characters at the start of 16 bytes up to a
 * quote, a backslash, a control or one whose first byte is no other's (C0,
 * C1, from F4 on); returns how many bytes that were (Unicode 15, table 3-7).
 */

static inline unsigned
llm_canon_wide(const unsigned char *p, unsigned char *o)
{
    __m128i   x, odd;
    unsigned  high, first, three, four, stop, n;

    x = _mm_loadu_si128((const __m128i *) (const void *) p);
    _mm_storeu_si128((__m128i *) (void *) o, x);

    odd = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                       _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8((char) 0xc0)));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8((char) 0xc1)));
    odd = _mm_or_si128(odd,
               _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8((char) 0xf3)),
                             _mm_cmplt_epi8(x, _mm_set1_epi8(0x20))));

    high = (unsigned) _mm_movemask_epi8(x);
    first = high & llm_canon_above(x, 0xbf);
    three = high & llm_canon_above(x, 0xdf);
    four = high & llm_canon_above(x, 0xef);

    stop = (unsigned) _mm_movemask_epi8(odd);

    /* bytes that follow where they must not, or do not where they must */

    stop |= (first << 1 | three << 2 | four << 3) ^ (high & ~first);

    /* second bytes out of the bounds that some first bytes set */

    stop |= (llm_canon_is(x, 0xe0) << 1) & ~llm_canon_above(x, 0x9f);
    stop |= (llm_canon_is(x, 0xed) << 1) & llm_canon_above(x, 0x9f);
    stop |= (llm_canon_is(x, 0xf0) << 1) & ~llm_canon_above(x, 0x8f);

    n = (unsigned) __builtin_ctz(stop | 0x10000);

    /* a character that is not whole is left for the next time */

    if (n >= 1 && llm_canon_bit(first, n - 1)) {
        return n - 1;
    }

    if (n >= 2 && llm_canon_bit(three, n - 2)) {
        return n - 2;
    }

    if (n >= 3 && llm_canon_bit(four, n - 3)) {
        return n - 3;
    }

    return n;
}

#endif


/* text that is not ASCII, up to a quote, an escape or more ASCII; 0 when it
   is not well-formed */

static int
llm_canon_utf8(const unsigned char *last, llm_canon_copy_t *s)
{
#if defined(__SSE2__)

    unsigned  n;

    while (last - s->p >= 16) {
        n = llm_canon_wide(s->p, s->o);

        s->p += n;
        s->o += n;

        if (n >= 12) {
            continue;
        }

        if (*s->p < 0x80) {
            return 1;
        }

        if (!llm_canon_char(last, s)) {
            return 0;
        }
    }

#endif

    while (s->p < last && *s->p >= 0x80) {
        if (!llm_canon_char(last, s)) {
            return 0;
        }
    }

    return 1;
}


/* one character that is not ASCII (Unicode 15, table 3-7) */

static int
llm_canon_char(const unsigned char *last, llm_canon_copy_t *s)
{
    llm_utf8_t  utf8;

    if (!llm_utf8_lead(&utf8, *s->p)) {
        return 0;
    }

    *s->o++ = *s->p++;

    while (utf8.need) {
        if (s->p == last || !llm_utf8_next(&utf8, *s->p)) {
            return 0;
        }

        *s->o++ = *s->p++;
    }

    return 1;
}


int
llm_canon_decode(llm_str_t text, llm_buf_t *out)
{
    unsigned char         b;
    const unsigned char  *p, *run, *last;

    static const unsigned char  letters[256] = {
        ['b'] = '\b', ['t'] = '\t', ['n'] = '\n', ['f'] = '\f', ['r'] = '\r',
        ['"'] = '"', ['\\'] = '\\'
    };

    p = text.data;
    last = p + text.len;

    while (p < last) {
        run = p;

        p = memchr(p, '\\', (size_t) (last - p));
        if (p == NULL) {
            p = last;
        }

        if (llm_buf_add(out, run, (size_t) (p - run)) != 0) {
            return -1;
        }

        if (p == last) {
            break;
        }

        if (p[1] == 'u') {
            b = (unsigned char) llm_canon_hex(p + 2);
            p += 6;

        } else {
            b = letters[p[1]];
            p += 2;
        }

        if (llm_buf_add(out, &b, 1) != 0) {
            return -1;
        }
    }

    return 0;
}
