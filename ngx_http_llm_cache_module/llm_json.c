#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "llm_json.h"


#define LLM_BUF_MIN         256

/* significant digits that always tell one double from the next */
#define LLM_DOUBLE_DIGITS   17


#define llm_lit(out, s)     llm_buf_add(out, s, sizeof(s) - 1)


static int llm_json_deep(const unsigned char *data, size_t len);
static const unsigned char *llm_json_skip_string(const unsigned char *p,
    const unsigned char *last);
static llm_reason_e llm_json_error(const json_error_t *error);
static int llm_json_exact(const json_t *value, unsigned depth);
static int llm_json_value(const json_t *value, unsigned depth,
    llm_buf_t *out);
static int llm_json_array(const json_t *array, unsigned depth,
    llm_buf_t *out);
static int llm_json_object(const json_t *object, unsigned depth,
    llm_buf_t *out);
static int llm_json_compare(const void *one, const void *two);
static int llm_json_escape(unsigned char c, llm_buf_t *out);
static int llm_json_integer(json_int_t value, llm_buf_t *out);
static int llm_json_shortest(double value, unsigned char *digits,
    int *point);
static int llm_json_digits(double value, int n, unsigned char *digits,
    int *point);
static int llm_json_reads_as(const unsigned char *digits, int n, int point,
    double value);


/* the bytes that do not stand for themselves in a string */

static const unsigned char  llm_json_special[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ['"'] = 1,
    ['\\'] = 1
};


int
llm_buf_add(llm_buf_t *buf, const void *data, size_t len)
{
    size_t          size;
    unsigned char  *p;

    if (len > buf->size - buf->len) {

        if (len > SIZE_MAX / 2 - buf->len) {
            return -1;
        }

        size = buf->size ? buf->size : LLM_BUF_MIN;

        while (size < buf->len + len) {
            size *= 2;
        }

        p = realloc(buf->data, size);
        if (p == NULL) {
            return -1;
        }

        buf->data = p;
        buf->size = size;
    }

    if (len) {
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }

    return 0;
}


void
llm_buf_free(llm_buf_t *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof(llm_buf_t));
}


llm_reason_e
llm_json_load(const unsigned char *data, size_t len, json_t **doc)
{
    json_t        *value;
    json_error_t   error;

    *doc = NULL;

    /* the parser overlooks a NUL that follows a number or a literal */

    if (len == 0 || memchr(data, '\0', len)) {
        return LLM_REASON_JSON;
    }

    if (llm_json_deep(data, len)) {
        return LLM_REASON_DEPTH;
    }

    memset(&error, 0, sizeof(json_error_t));

    value = json_loadb((const char *) data, len,
                       JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, &error);

    if (value == NULL) {
        return llm_json_error(&error);
    }

    if (!json_is_object(value)) {
        json_decref(value);
        return LLM_REASON_JSON;
    }

    if (!llm_json_exact(value, 0)) {
        json_decref(value);
        return LLM_REASON_NUMBER;
    }

    *doc = value;

    return LLM_REASON_NONE;
}


/*
 * Looks at the text before the parser does, whose own limit is far higher.
 * Texts that are no JSON may be judged wrongly here: they are refused anyway.
 */

static int
llm_json_deep(const unsigned char *data, size_t len)
{
    unsigned              depth;
    const unsigned char  *p, *last;

    depth = 0;
    last = data + len;

    for (p = data; p < last; p++) {

        switch (*p) {

        case '"':
            p = llm_json_skip_string(p, last);
            break;

        case '{':
        case '[':
            if (++depth > LLM_JSON_MAX_DEPTH) {
                return 1;
            }
            break;

        case '}':
        case ']':
            if (depth) {
                depth--;
            }
            break;

        default:
            break;
        }
    }

    return 0;
}


/* from the opening quote to the closing one, or to the last byte */

static const unsigned char *
llm_json_skip_string(const unsigned char *p, const unsigned char *last)
{
    for (p++; p < last; p++) {

        if (!llm_json_special[*p]) {
            continue;
        }

        if (*p == '"') {
            return p;
        }

        if (*p == '\\') {
            p++;
        }
    }

    return last - 1;
}


static llm_reason_e
llm_json_error(const json_error_t *error)
{
    /* the parser says nothing when an allocation failed */

    if (error->text[0] == '\0') {
        return LLM_REASON_NO_MEMORY;
    }

    switch (json_error_code(error)) {

    case json_error_out_of_memory:
        return LLM_REASON_NO_MEMORY;

    case json_error_stack_overflow:
        return LLM_REASON_DEPTH;

    case json_error_duplicate_key:
        return LLM_REASON_DUPLICATE;

    case json_error_numeric_overflow:
        return LLM_REASON_NUMBER;

    default:
        return LLM_REASON_JSON;
    }
}


/* 1 when every integer is the double that other parsers make of it */

static int
llm_json_exact(const json_t *value, unsigned depth)
{
    void        *iter;
    double       d;
    size_t       i, n;
    json_t      *object;
    json_int_t   number;

    if (depth > LLM_JSON_MAX_DEPTH) {
        return 0;
    }

    switch (json_typeof(value)) {

    case JSON_INTEGER:
        number = json_integer_value(value);
        d = (double) number;

        /* 2^63 is out of range and cannot be converted back */

        return d < 9223372036854775808.0 && (json_int_t) d == number;

    case JSON_ARRAY:
        n = json_array_size(value);

        for (i = 0; i < n; i++) {
            if (!llm_json_exact(json_array_get(value, i), depth + 1)) {
                return 0;
            }
        }

        return 1;

    case JSON_OBJECT:
        object = (json_t *) value;

        for (iter = json_object_iter(object);
             iter;
             iter = json_object_iter_next(object, iter))
        {
            if (!llm_json_exact(json_object_iter_value(iter), depth + 1)) {
                return 0;
            }
        }

        return 1;

    default:
        return 1;
    }
}


int
llm_json_canon(const json_t *value, llm_buf_t *out)
{
    return llm_json_value(value, 0, out);
}


static int
llm_json_value(const json_t *value, unsigned depth, llm_buf_t *out)
{
    if (value == NULL || depth > LLM_JSON_MAX_DEPTH) {
        return -1;
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return llm_json_object(value, depth, out);

    case JSON_ARRAY:
        return llm_json_array(value, depth, out);

    case JSON_STRING:
        return llm_json_canon_string(json_string_value(value),
                                     json_string_length(value), out);

    case JSON_INTEGER:
        return llm_json_integer(json_integer_value(value), out);

    case JSON_REAL:
        return llm_json_canon_double(json_real_value(value), out);

    case JSON_TRUE:
        return llm_lit(out, "true");

    case JSON_FALSE:
        return llm_lit(out, "false");

    case JSON_NULL:
        return llm_lit(out, "null");
    }

    return -1;
}


static int
llm_json_array(const json_t *array, unsigned depth, llm_buf_t *out)
{
    size_t  i, n;

    if (llm_lit(out, "[") != 0) {
        return -1;
    }

    n = json_array_size(array);

    for (i = 0; i < n; i++) {

        if (i && llm_lit(out, ",") != 0) {
            return -1;
        }

        if (llm_json_value(json_array_get(array, i), depth + 1, out) != 0) {
            return -1;
        }
    }

    return llm_lit(out, "]");
}


static int
llm_json_object(const json_t *object, unsigned depth, llm_buf_t *out)
{
    int                 rc;
    size_t              i, n;
    llm_json_member_t  *members, *m;

    if (llm_json_members(object, &members, &n) != 0) {
        return -1;
    }

    rc = llm_lit(out, "{");

    for (i = 0; rc == 0 && i < n; i++) {
        m = &members[i];

        if ((i && llm_lit(out, ",") != 0)
            || llm_json_canon_string(m->name, m->len, out) != 0
            || llm_lit(out, ":") != 0
            || llm_json_value(m->value, depth + 1, out) != 0)
        {
            rc = -1;
        }
    }

    free(members);

    return rc ? -1 : llm_lit(out, "}");
}


int
llm_json_members(const json_t *object, llm_json_member_t **members,
    size_t *n)
{
    void               *iter;
    size_t              i, size;
    json_t             *o;
    llm_json_member_t  *m;

    *members = NULL;
    *n = 0;

    size = json_object_size(object);

    if (size == 0) {
        return 0;
    }

    m = calloc(size, sizeof(llm_json_member_t));
    if (m == NULL) {
        return -1;
    }

    o = (json_t *) object;
    i = 0;

    for (iter = json_object_iter(o);
         iter && i < size;
         iter = json_object_iter_next(o, iter))
    {
        /* the parser lets no NUL into a name */

        m[i].name = json_object_iter_key(iter);
        m[i].len = strlen(m[i].name);
        m[i].value = json_object_iter_value(iter);
        i++;
    }

    qsort(m, i, sizeof(llm_json_member_t), llm_json_compare);

    *members = m;
    *n = i;

    return 0;
}


/*
 * UTF-8 sorts as UTF-16 does but for one thing: U+E000..U+FFFF (lead bytes
 * EE and EF) come after the surrogates of what is beyond U+FFFF (F0 to F4).
 */

static int
llm_json_compare(const void *one, const void *two)
{
    unsigned                  a, b;
    size_t                    i, len;
    const llm_json_member_t  *x, *y;

    x = one;
    y = two;

    len = x->len < y->len ? x->len : y->len;

    for (i = 0; i < len; i++) {
        a = (unsigned char) x->name[i];
        b = (unsigned char) y->name[i];

        if (a == b) {
            continue;
        }

        if (a >= 0xee && b >= 0xee && (a >= 0xf0) != (b >= 0xf0)) {
            return a >= 0xf0 ? -1 : 1;
        }

        return a < b ? -1 : 1;
    }

    return (x->len > y->len) - (x->len < y->len);
}


int
llm_json_canon_string(const char *data, size_t len, llm_buf_t *out)
{
    const unsigned char  *p, *run, *last;

    if (llm_lit(out, "\"") != 0) {
        return -1;
    }

    p = (const unsigned char *) data;
    last = p + len;

    for (run = p; p < last; p++) {

        if (!llm_json_special[*p]) {
            continue;
        }

        if (llm_buf_add(out, run, (size_t) (p - run)) != 0
            || llm_json_escape(*p, out) != 0)
        {
            return -1;
        }

        run = p + 1;
    }

    if (llm_buf_add(out, run, (size_t) (p - run)) != 0) {
        return -1;
    }

    return llm_lit(out, "\"");
}


static int
llm_json_escape(unsigned char c, llm_buf_t *out)
{
    unsigned char             text[6];
    static const char         hex[] = "0123456789abcdef";

    text[0] = '\\';

    switch (c) {

    case '"':
    case '\\':
        text[1] = c;
        return llm_buf_add(out, text, 2);

    case '\b':
        return llm_lit(out, "\\b");

    case '\t':
        return llm_lit(out, "\\t");

    case '\n':
        return llm_lit(out, "\\n");

    case '\f':
        return llm_lit(out, "\\f");

    case '\r':
        return llm_lit(out, "\\r");

    default:
        text[1] = 'u';
        text[2] = '0';
        text[3] = '0';
        text[4] = (unsigned char) hex[c >> 4];
        text[5] = (unsigned char) hex[c & 0xf];
        return llm_buf_add(out, text, 6);
    }
}


static int
llm_json_integer(json_int_t value, llm_buf_t *out)
{
    int   n;
    char  text[LLM_JSON_NUMBER_LEN];

    if (value <= -LLM_JSON_INT_SAFE || value >= LLM_JSON_INT_SAFE) {
        return llm_json_canon_double((double) value, out);
    }

    n = snprintf(text, sizeof(text), "%lld", (long long) value);

    return n > 0 ? llm_buf_add(out, text, (size_t) n) : -1;
}


int
llm_json_canon_double(double value, llm_buf_t *out)
{
    int            n, point;
    char           text[LLM_JSON_NUMBER_LEN];
    size_t         len;
    unsigned char  digits[LLM_DOUBLE_DIGITS + 1];

    if (!isfinite(value)) {
        return -1;
    }

    if (value == 0) {
        return llm_lit(out, "0");
    }

    if (value < 0 && llm_lit(out, "-") != 0) {
        return -1;
    }

    n = llm_json_shortest(fabs(value), digits, &point);
    if (n < 0) {
        return -1;
    }

    len = llm_json_layout(digits, n, point, text);

    return llm_buf_add(out, text, len);
}


/*
 * The fewest digits that read back as the value, and of those the nearest to
 * it; "point" is how many of them stand before the decimal point.  Returns
 * the number of digits, or -1.
 */

static int
llm_json_shortest(double value, unsigned char *digits, int *point)
{
    int  i, n, exponent;

    /* up to 15 digits survive in every normal double */

    n = (value < 2.2250738585072014e-308) ? 1 : 15;

    for ( /* void */ ; n <= LLM_DOUBLE_DIGITS; n++) {

        if (llm_json_digits(value, n, digits, point) != 0) {
            return -1;
        }

        if (llm_json_reads_as(digits, n, *point, value)) {
            break;
        }

        /*
         * Below a power of two the doubles lie twice as dense, so the
         * nearest number of n digits may be another double while the next
         * one up is still this one.
         */

        if (frexp(value, &exponent) != 0.5) {
            continue;
        }

        for (i = n - 1; i > 0 && digits[i] == '9'; i--) { /* void */ }

        if (digits[i] == '9') {
            continue;
        }

        digits[i++]++;
        memset(&digits[i], '0', (size_t) (n - i));

        if (llm_json_reads_as(digits, n, *point, value)) {
            break;
        }
    }

    if (n > LLM_DOUBLE_DIGITS) {
        return -1;
    }

    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }

    return n;
}


/* the n digits nearest to the value, whatever the locale's decimal point */

static int
llm_json_digits(double value, int n, unsigned char *digits, int *point)
{
    int          i;
    char         text[LLM_JSON_NUMBER_LEN];
    const char  *p;

    i = snprintf(text, sizeof(text), "%.*e", n - 1, value);

    if (i < 0 || (size_t) i >= sizeof(text)) {
        return -1;
    }

    i = 0;

    for (p = text; *p && *p != 'e'; p++) {

        if (*p < '0' || *p > '9') {
            continue;
        }

        if (i == n) {
            return -1;
        }

        digits[i++] = (unsigned char) *p;
    }

    if (*p != 'e' || i != n) {
        return -1;
    }

    *point = atoi(p + 1) + 1;

    return 0;
}


/* writes the digits as an integer with an exponent: no decimal point needed */

static int
llm_json_reads_as(const unsigned char *digits, int n, int point,
    double value)
{
    char  text[LLM_JSON_NUMBER_LEN];

    (void) snprintf(text, sizeof(text), "%.*se%d", n, (const char *) digits,
                    point - n);

    return strtod(text, NULL) == value;
}


/* ECMA-262, Number::toString, with k, n as "n", "point" there */

size_t
llm_json_layout(const unsigned char *digits, int n, int point, char *text)
{
    int    exponent;
    char  *p;

    p = text;

    if (n <= point && point <= 21) {
        memcpy(p, digits, (size_t) n);
        p += n;
        memset(p, '0', (size_t) (point - n));
        p += point - n;

    } else if (0 < point && point <= 21) {
        memcpy(p, digits, (size_t) point);
        p += point;
        *p++ = '.';
        memcpy(p, digits + point, (size_t) (n - point));
        p += n - point;

    } else if (-6 < point && point <= 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t) -point);
        p += -point;
        memcpy(p, digits, (size_t) n);
        p += n;

    } else {
        *p++ = (char) digits[0];

        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t) (n - 1));
            p += n - 1;
        }

        exponent = point - 1;
        p += sprintf(p, "e%c%d", exponent < 0 ? '-' : '+', abs(exponent));
    }

    return (size_t) (p - text);
}
