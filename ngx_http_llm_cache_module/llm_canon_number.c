#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "llm_canon.h"


/* decimals of so many digits come back from a double as they were */
#define LLM_CANON_DIGITS    15

/* far inside the range of normal doubles */
#define LLM_CANON_POINT     290

/* exponents beyond it are infinite or 0 whatever the digits */
#define LLM_CANON_EXPONENT  2000000000

#define llm_canon_digit(ch)  ((unsigned char) ((ch) - '0') <= 9)


/* the parts of a number's text */

typedef struct {
    const unsigned char  *start;
    size_t                integer;  /* digits before the decimal point */
    size_t                fraction; /* and after it */
    int64_t               exponent;
    unsigned              negative:1;
    unsigned              real:1;
} llm_canon_parts_t;


static const unsigned char *llm_canon_parse(const unsigned char *p,
    const unsigned char *last, llm_canon_parts_t *parts);
static const unsigned char *llm_canon_exponent(const unsigned char *p,
    const unsigned char *last, llm_canon_parts_t *parts);
static const unsigned char *llm_canon_digits(const unsigned char *p,
    const unsigned char *last);
static int llm_canon_integer(llm_canon_t *c, const llm_canon_parts_t *parts);
static int llm_canon_real(llm_canon_t *c, const llm_canon_parts_t *parts);
static int llm_canon_short(const llm_canon_parts_t *parts,
    unsigned char *digits, int *point);
static int llm_canon_strtod(const llm_canon_parts_t *parts, llm_buf_t *buf,
    double *value);
static int llm_canon_write(llm_canon_t *c, double value);
static int llm_canon_copy(llm_canon_t *c, const unsigned char *p,
    const unsigned char *last);


int
llm_canon_number(llm_canon_t *c)
{
    llm_canon_parts_t     parts;
    const unsigned char  *start, *p;

    start = c->p;

    p = llm_canon_parse(start, c->last, &parts);

    if (p == NULL) {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    c->p = p;

    if (parts.real) {
        return llm_canon_real(c, &parts);
    }

    if (parts.integer > LLM_CANON_DIGITS) {
        return llm_canon_integer(c, &parts);
    }

    if (*parts.start == '0') {
        *c->o++ = '0';
        return 0;
    }

    return llm_canon_copy(c, start, p);
}


/* the byte after a number, or NULL where there is none */

static const unsigned char *
llm_canon_parse(const unsigned char *p, const unsigned char *last,
    llm_canon_parts_t *parts)
{
    const unsigned char  *start;

    parts->negative = 0;
    parts->real = 0;
    parts->fraction = 0;
    parts->exponent = 0;

    if (p < last && *p == '-') {
        parts->negative = 1;
        p++;
    }

    parts->start = p;

    p = llm_canon_digits(p, last);

    parts->integer = (size_t) (p - parts->start);

    if (parts->integer == 0
        || (parts->integer > 1 && *parts->start == '0'))
    {
        return NULL;
    }

    if (p < last && *p == '.') {
        start = ++p;

        p = llm_canon_digits(p, last);

        parts->real = 1;
        parts->fraction = (size_t) (p - start);

        if (parts->fraction == 0) {
            return NULL;
        }
    }

    if (p < last && (*p | 0x20) == 'e') {
        parts->real = 1;
        return llm_canon_exponent(p + 1, last, parts);
    }

    return p;
}


static const unsigned char *
llm_canon_exponent(const unsigned char *p, const unsigned char *last,
    llm_canon_parts_t *parts)
{
    int                   negative;
    int64_t               n;
    const unsigned char  *start;

    negative = 0;

    if (p < last && (*p == '+' || *p == '-')) {
        negative = (*p++ == '-');
    }

    n = 0;

    for (start = p; p < last && llm_canon_digit(*p); p++) {
        if (n < LLM_CANON_EXPONENT) {
            n = n * 10 + (*p - '0');
        }
    }

    parts->exponent = negative ? -n : n;

    return p > start ? p : NULL;
}


static const unsigned char *
llm_canon_digits(const unsigned char *p, const unsigned char *last)
{
    while (p < last && llm_canon_digit(*p)) {
        p++;
    }

    return p;
}


/* one of many digits: refused where a double would change it */

static int
llm_canon_integer(llm_canon_t *c, const llm_canon_parts_t *parts)
{
    size_t    i;
    unsigned  digit;
    double    d;
    int64_t   value;
    uint64_t  n, most;

    most = (uint64_t) INT64_MAX + parts->negative;

    for (n = 0, i = 0; i < parts->integer; i++) {
        digit = (unsigned) (parts->start[i] - '0');

        if (n > (most - digit) / 10) {
            return llm_canon_fail(c, LLM_REASON_NUMBER);
        }

        n = n * 10 + digit;
    }

    if (n < LLM_JSON_INT_SAFE) {
        return llm_canon_copy(c, parts->start - parts->negative,
                              parts->start + parts->integer);
    }

    d = (double) n;

    /* 2^63 is a double, and the least integer's magnitude */

    if (d >= 9223372036854775808.0) {

        if (n != (uint64_t) INT64_MAX + 1) {
            return llm_canon_fail(c, LLM_REASON_NUMBER);
        }

    } else {
        value = (int64_t) d;

        if ((uint64_t) value != n) {
            return llm_canon_fail(c, LLM_REASON_NUMBER);
        }
    }

    return llm_canon_write(c, parts->negative ? -d : d);
}


static int
llm_canon_real(llm_canon_t *c, const llm_canon_parts_t *parts)
{
    int            n, point;
    double         value;
    unsigned char  digits[LLM_CANON_DIGITS];

    n = llm_canon_short(parts, digits, &point);

    if (n == 0) {
        *c->o++ = '0';
        return 0;
    }

    if (n > 0) {

        if (parts->negative) {
            *c->o++ = '-';
        }

        c->o += llm_json_layout(digits, n, point, (char *) c->o);

        return llm_canon_reserve(c, (size_t) (c->last - c->p));
    }

    if (llm_canon_strtod(parts, &c->number, &value) != 0) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    if (!isfinite(value)) {
        return llm_canon_fail(c, LLM_REASON_NUMBER);
    }

    return llm_canon_write(c, value);
}


/*
 * The significant digits of a number that has so few that they are those of
 * the canonical form too: returns how many, or -1 when it is no such number.
 */

static int
llm_canon_short(const llm_canon_parts_t *parts, unsigned char *digits,
    int *point)
{
    int                   n;
    size_t                i;
    int64_t               zeros, where;
    const unsigned char  *p;

    n = 0;
    zeros = 0;
    where = (int64_t) parts->integer;

    for (p = parts->start, i = 0; i < parts->integer + parts->fraction; i++) {

        if (i == parts->integer) {
            p++;
        }

        if (*p++ == '0') {

            if (n == 0) {
                where--;

            } else {
                zeros++;
            }

            continue;
        }

        if (zeros > LLM_CANON_DIGITS - 1 - n) {
            return -1;
        }

        memset(digits + n, '0', (size_t) zeros);
        n += (int) zeros;
        zeros = 0;

        digits[n++] = p[-1];
    }

    where += parts->exponent;

    if (n && (where < -LLM_CANON_POINT || where > LLM_CANON_POINT)) {
        return -1;
    }

    *point = (int) where;

    return n;
}


/* written as an integer with an exponent: no decimal point is needed */

static int
llm_canon_strtod(const llm_canon_parts_t *parts, llm_buf_t *buf,
    double *value)
{
    int   n;
    char  text[LLM_JSON_NUMBER_LEN];

    n = snprintf(text, sizeof(text), "e%lld",
                 (long long) (parts->exponent - (int64_t) parts->fraction));

    buf->len = 0;

    if ((parts->negative && llm_buf_add(buf, "-", 1) != 0)
        || llm_buf_add(buf, parts->start, parts->integer) != 0
        || (parts->fraction
            && llm_buf_add(buf, parts->start + parts->integer + 1,
                           parts->fraction)
               != 0)
        || llm_buf_add(buf, text, (size_t) n + 1) != 0)
    {
        return -1;
    }

    *value = strtod((char *) buf->data, NULL);

    return 0;
}


int
llm_canon_double(llm_str_t text, llm_buf_t *buf, double *value)
{
    llm_canon_parts_t  parts;

    if (llm_canon_parse(text.data, text.data + text.len, &parts) == NULL) {
        return -1;
    }

    return llm_canon_strtod(&parts, buf, value);
}


static int
llm_canon_write(llm_canon_t *c, double value)
{
    c->number.len = 0;

    if (llm_json_canon_double(value, &c->number) != 0) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    memcpy(c->o, c->number.data, c->number.len);
    c->o += c->number.len;

    /* numbers may be longer now than they were */

    return llm_canon_reserve(c, (size_t) (c->last - c->p));
}


static int
llm_canon_copy(llm_canon_t *c, const unsigned char *p,
    const unsigned char *last)
{
    while (p < last) {
        *c->o++ = *p++;
    }

    return 0;
}
