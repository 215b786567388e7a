#include "llm_scan.h"


#define LLM_SCAN_HASH_SEED   0xcbf29ce484222325ULL
#define LLM_SCAN_HASH_PRIME  0x100000001b3ULL
#define LLM_SCAN_DEPTH_MIX   0x9e3779b97f4a7c15ULL

#define llm_scan_ones        0x0101010101010101ULL
#define llm_scan_tops        0x8080808080808080ULL


enum {
    sw_value = 0,
    sw_first_value,
    sw_first_name,
    sw_name,
    sw_colon,
    sw_next,
    sw_done,
    sw_string,
    sw_escape,
    sw_hex,
    sw_utf8,
    sw_literal,
    sw_number
};


static const unsigned char *llm_scan_structure(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static const unsigned char *llm_scan_name(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_next(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_value(llm_scan_t *scan,
    const unsigned char *p);
static int llm_scan_type(llm_scan_t *scan, unsigned char c);
static const unsigned char *llm_scan_open(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_close(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_string(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static const unsigned char *llm_scan_plain(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *llm_scan_string_end(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_escape(llm_scan_t *scan,
    const unsigned char *p);
static const unsigned char *llm_scan_hex(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static void llm_scan_code(llm_scan_t *scan, uint32_t code);
static void llm_scan_surrogate(llm_scan_t *scan);
static const unsigned char *llm_scan_utf8(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static void llm_scan_put(llm_scan_t *scan, const unsigned char *p,
    size_t len);
static const unsigned char *llm_scan_literal(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static const unsigned char *llm_scan_number(llm_scan_t *scan,
    const unsigned char *p, const unsigned char *last);
static void llm_scan_scalar(llm_scan_t *scan, const unsigned char *end);
static int llm_scan_name_end(llm_scan_t *scan);


static inline size_t
llm_scan_at(const llm_scan_t *scan, const unsigned char *p)
{
    return scan->offset + (size_t) (p - scan->piece);
}


static inline const unsigned char *
llm_scan_fail(llm_scan_t *scan)
{
    scan->result = LLM_SCAN_INVALID;
    return NULL;
}


void
llm_scan_init(llm_scan_t *scan, llm_scan_handler_pt handler, void *ctx)
{
    memset(scan, 0, sizeof(llm_scan_t));

    scan->handler = handler;
    scan->ctx = ctx;
    scan->first_end = SIZE_MAX;
}


void
llm_scan_begin(llm_scan_t *scan, const llm_scan_node_t *root)
{
    llm_names_drop(&scan->names, 0);

    scan->root = root;
    scan->node = root;
    scan->state = sw_value;
    scan->depth = 0;
    scan->offset = 0;
    scan->high = 0;
    scan->result = LLM_SCAN_OK;
    scan->first_end = SIZE_MAX;
    scan->first_empty = 0;
    scan->first_cache = 0;
}


llm_scan_result_e
llm_scan_feed(llm_scan_t *scan, const unsigned char *data, size_t len)
{
    const unsigned char  *p, *last;

    if (scan->result != LLM_SCAN_OK) {
        return scan->result;
    }

    scan->piece = data;

    p = data;
    last = data + len;

    while (p < last) {

        switch (scan->state) {

        case sw_string:
            p = llm_scan_string(scan, p, last);
            break;

        case sw_escape:
            p = llm_scan_escape(scan, p);
            break;

        case sw_hex:
            p = llm_scan_hex(scan, p, last);
            break;

        case sw_utf8:
            p = llm_scan_utf8(scan, p, last);
            break;

        case sw_literal:
            p = llm_scan_literal(scan, p, last);
            break;

        case sw_number:
            p = llm_scan_number(scan, p, last);
            break;

        default:
            p = llm_scan_structure(scan, p, last);
            break;
        }

        if (p == NULL) {
            return scan->result;
        }
    }

    scan->offset += len;

    return LLM_SCAN_OK;
}


llm_scan_result_e
llm_scan_end(llm_scan_t *scan)
{
    if (scan->result != LLM_SCAN_OK) {
        return scan->result;
    }

    if (scan->depth == 0 && scan->state == sw_number
        && llm_number_whole(scan->number))
    {
        llm_scan_scalar(scan, scan->piece);
    }

    if (scan->state != sw_done) {
        scan->result = LLM_SCAN_INVALID;
    }

    return scan->result;
}


int
llm_scan_blank(const llm_scan_t *scan)
{
    return scan->result == LLM_SCAN_OK && scan->state == sw_value
           && scan->depth == 0;
}


void
llm_scan_free(llm_scan_t *scan)
{
    llm_names_free(&scan->names);
}


/* everything between the scalars */

static const unsigned char *
llm_scan_structure(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    unsigned char  c;

    do {
        c = *p;
    } while ((c == ' ' || c == '\n' || c == '\r' || c == '\t')
             && ++p < last);

    if (p == last) {
        return p;
    }

    switch (scan->state) {

    case sw_first_value:
        return c == ']' ? llm_scan_close(scan, p) : llm_scan_value(scan, p);

    case sw_value:
        return llm_scan_value(scan, p);

    case sw_first_name:
        return c == '}' ? llm_scan_close(scan, p) : llm_scan_name(scan, p);

    case sw_name:
        return llm_scan_name(scan, p);

    case sw_colon:
        scan->state = sw_value;
        return c == ':' ? p + 1 : llm_scan_fail(scan);

    case sw_next:
        return llm_scan_next(scan, p);

    default: /* sw_done */
        return llm_scan_fail(scan);
    }
}


static const unsigned char *
llm_scan_name(llm_scan_t *scan, const unsigned char *p)
{
    if (*p != '"') {
        return llm_scan_fail(scan);
    }

    scan->is_name = 1;
    scan->keep = 1;
    scan->hash = LLM_SCAN_HASH_SEED;
    scan->size = 0;
    scan->state = sw_string;

    return p + 1;
}


static const unsigned char *
llm_scan_next(llm_scan_t *scan, const unsigned char *p)
{
    unsigned  array;

    array = scan->frames[scan->depth - 1].array;

    if (*p == ',') {
        scan->state = array ? sw_value : sw_name;
        return p + 1;
    }

    if (*p == (array ? ']' : '}')) {
        return llm_scan_close(scan, p);
    }

    return llm_scan_fail(scan);
}


static const unsigned char *
llm_scan_value(llm_scan_t *scan, const unsigned char *p)
{
    llm_scan_frame_t  *frame;

    if (!llm_scan_type(scan, *p)) {
        return llm_scan_fail(scan);
    }

    if (scan->depth) {
        frame = &scan->frames[scan->depth - 1];

        if (frame->array) {
            scan->node = frame->node ? frame->node->items : NULL;
        }

        frame->count++;
        frame->kinds |= llm_scan_kind(scan->type);
    }

    if (scan->type == LLM_SCAN_OBJECT || scan->type == LLM_SCAN_ARRAY) {
        return llm_scan_open(scan, p);
    }

    scan->start = llm_scan_at(scan, p);
    scan->is_name = 0;
    scan->keep = scan->node && scan->node->role
                 && !(scan->node->role & LLM_SCAN_CONTAINERS);
    scan->size = 0;

    if (scan->type == LLM_SCAN_NUMBER && scan->keep) {
        llm_scan_put(scan, p, 1);
    }

    return p + 1;
}


/* what begins with this byte; 0 when nothing does */

static int
llm_scan_type(llm_scan_t *scan, unsigned char c)
{
    switch (c) {

    case '{':
        scan->type = LLM_SCAN_OBJECT;
        return 1;

    case '[':
        scan->type = LLM_SCAN_ARRAY;
        return 1;

    case '"':
        scan->type = LLM_SCAN_STRING;
        scan->state = sw_string;
        return 1;

    case 'n':
        scan->type = LLM_SCAN_NULL;
        scan->literal = "ull";
        break;

    case 't':
        scan->type = LLM_SCAN_TRUE;
        scan->literal = "rue";
        break;

    case 'f':
        scan->type = LLM_SCAN_FALSE;
        scan->literal = "alse";
        break;

    default:
        scan->type = LLM_SCAN_NUMBER;
        scan->state = sw_number;
        scan->number = llm_number_first(c);
        return scan->number != LLM_NUMBER_END;
    }

    scan->state = sw_literal;

    return 1;
}


static const unsigned char *
llm_scan_open(llm_scan_t *scan, const unsigned char *p)
{
    llm_scan_value_t   value;
    llm_scan_frame_t  *frame;

    if (scan->depth == LLM_JSON_MAX_DEPTH) {
        return llm_scan_fail(scan);
    }

    frame = &scan->frames[scan->depth++];

    frame->node = scan->node;
    frame->start = llm_scan_at(scan, p);
    frame->count = 0;
    frame->names = scan->names.n;
    frame->kinds = 0;
    frame->array = (*p == '[');

    scan->state = frame->array ? sw_first_value : sw_first_name;

    if (frame->node && frame->node->role) {
        memset(&value, 0, sizeof(llm_scan_value_t));

        value.role = frame->node->role;
        value.type = scan->type;
        value.open = 1;
        value.start = frame->start;
        value.end = frame->start + 1;

        if (scan->depth > 1) {
            value.position = frame[-1].count - 1;
        }

        scan->handler(scan->ctx, &value);
    }

    return p + 1;
}


static const unsigned char *
llm_scan_close(llm_scan_t *scan, const unsigned char *p)
{
    llm_scan_value_t   value;
    llm_scan_frame_t  *frame;

    frame = &scan->frames[--scan->depth];

    llm_names_drop(&scan->names, frame->names);

    scan->state = scan->depth ? sw_next : sw_done;

    if (scan->first_end == SIZE_MAX && !frame->array
        && (scan->depth == 0
            || (scan->depth == 1 && frame[-1].array && frame[-1].count == 1)))
    {
        scan->first_end = llm_scan_at(scan, p);
        scan->first_empty = (frame->count == 0);
    }

    if (frame->node && frame->node->role) {
        memset(&value, 0, sizeof(llm_scan_value_t));

        value.role = frame->node->role;
        value.type = frame->array ? LLM_SCAN_ARRAY : LLM_SCAN_OBJECT;
        value.size = frame->count;
        value.kinds = frame->kinds;
        value.start = frame->start;
        value.end = llm_scan_at(scan, p) + 1;

        if (scan->depth) {
            value.position = frame[-1].count - 1;
        }

        scan->handler(scan->ctx, &value);
    }

    return p + 1;
}


/* raw bytes of a string stand for themselves, whole characters or not */

static const unsigned char *
llm_scan_string(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    const unsigned char  *start;

    if (scan->high && *p != '\\') {
        llm_scan_surrogate(scan);
    }

    start = p;

    for ( ;; ) {
        p = llm_scan_plain(p, last);

        if (p == last || *p < 0x80) {
            break;
        }

        if (!llm_utf8_lead(&scan->utf8, *p++)) {
            return llm_scan_fail(scan);
        }

        scan->state = sw_utf8;

        p = llm_scan_utf8(scan, p, last);

        if (p == NULL) {
            return NULL;
        }

        if (scan->state == sw_utf8) {
            break;
        }
    }

    llm_scan_put(scan, start, (size_t) (p - start));

    if (p == last) {
        return p;
    }

    if (*p == '"') {
        return llm_scan_string_end(scan, p);
    }

    if (*p == '\\') {
        scan->state = sw_escape;
        return p + 1;
    }

    return llm_scan_fail(scan);
}


/* up to the first byte that is a quote, a backslash, a control or not ASCII;
   eight bytes at a time, which may stop early but never late */

static const unsigned char *
llm_scan_plain(const unsigned char *p, const unsigned char *last)
{
    uint64_t  w, quote, slash;

    while (last - p >= 8) {
        memcpy(&w, p, 8);

        quote = w ^ (llm_scan_ones * '"');
        slash = w ^ (llm_scan_ones * '\\');

        if ((((w - llm_scan_ones * 0x20) | (quote - llm_scan_ones)
              | (slash - llm_scan_ones) | w)
             & llm_scan_tops) != 0)
        {
            break;
        }

        p += 8;
    }

    while (p < last && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }

    return p;
}


static const unsigned char *
llm_scan_string_end(llm_scan_t *scan, const unsigned char *p)
{
    if (!scan->is_name) {
        llm_scan_scalar(scan, p + 1);
        return p + 1;
    }

    if (llm_scan_name_end(scan) != 0) {
        return NULL;
    }

    scan->state = sw_colon;

    return p + 1;
}


static const unsigned char *
llm_scan_escape(llm_scan_t *scan, const unsigned char *p)
{
    unsigned char  c;

    if (*p == 'u') {
        scan->code = 0;
        scan->digits = 0;
        scan->state = sw_hex;
        return p + 1;
    }

    switch (*p) {

    case '"':
    case '\\':
    case '/':
        c = *p;
        break;

    case 'b':
        c = '\b';
        break;

    case 'f':
        c = '\f';
        break;

    case 'n':
        c = '\n';
        break;

    case 'r':
        c = '\r';
        break;

    case 't':
        c = '\t';
        break;

    default:
        return llm_scan_fail(scan);
    }

    if (scan->high) {
        llm_scan_surrogate(scan);
    }

    llm_scan_put(scan, &c, 1);

    scan->state = sw_string;

    return p + 1;
}


static const unsigned char *
llm_scan_hex(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    unsigned char  c;

    while (p < last) {
        c = *p++;

        if (c >= '0' && c <= '9') {
            c = (unsigned char) (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            c = (unsigned char) ((c | 0x20) - 'a' + 10);

        } else {
            return llm_scan_fail(scan);
        }

        scan->code = (scan->code << 4) | c;

        if (++scan->digits == 4) {
            llm_scan_code(scan, scan->code);
            scan->state = sw_string;
            break;
        }
    }

    return p;
}


static void
llm_scan_code(llm_scan_t *scan, uint32_t code)
{
    unsigned char  text[4];

    if (scan->high && code >= 0xdc00 && code <= 0xdfff) {
        code = 0x10000 + ((scan->high - 0xd800) << 10) + (code - 0xdc00);
        scan->high = 0;

    } else if (scan->high) {
        llm_scan_surrogate(scan);
    }

    if (code >= 0xd800 && code <= 0xdbff) {
        scan->high = code;
        return;
    }

    llm_scan_put(scan, text, llm_utf8_encode(code, text));
}


/* the high surrogate that waited stays alone */

static void
llm_scan_surrogate(llm_scan_t *scan)
{
    size_t         n;
    unsigned char  text[4];

    n = llm_utf8_encode(scan->high, text);
    scan->high = 0;

    llm_scan_put(scan, text, n);
}


/* the bytes that follow a lead; llm_scan_string() puts those it reads in the
   same piece, the others are put here */

static const unsigned char *
llm_scan_utf8(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    int                   resumed;
    const unsigned char  *start;

    start = p;
    resumed = (p == scan->piece);

    while (p < last && scan->utf8.need) {

        if (!llm_utf8_next(&scan->utf8, *p++)) {
            return llm_scan_fail(scan);
        }
    }

    if (scan->utf8.need == 0) {
        scan->state = sw_string;
    }

    if (resumed) {
        llm_scan_put(scan, start, (size_t) (p - start));
    }

    return p;
}


static void
llm_scan_put(llm_scan_t *scan, const unsigned char *p, size_t len)
{
    size_t    i, n;
    uint64_t  hash;

    if (scan->keep && scan->size < LLM_SCAN_TEXT) {
        n = LLM_SCAN_TEXT - scan->size;
        memcpy(scan->text + scan->size, p, len < n ? len : n);
    }

    if (scan->is_name) {
        hash = scan->hash;

        for (i = 0; i < len; i++) {
            hash = (hash ^ p[i]) * LLM_SCAN_HASH_PRIME;
        }

        scan->hash = hash;
    }

    scan->size += len;
}


static const unsigned char *
llm_scan_literal(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    while (p < last) {

        if (*p++ != (unsigned char) *scan->literal++) {
            return llm_scan_fail(scan);
        }

        if (*scan->literal == '\0') {
            llm_scan_scalar(scan, p);
            break;
        }
    }

    return p;
}


static const unsigned char *
llm_scan_number(llm_scan_t *scan, const unsigned char *p,
    const unsigned char *last)
{
    llm_number_e          state, next;
    const unsigned char  *start;

    start = p;
    state = scan->number;

    while (p < last) {

        if (llm_number_digits(state)) {
            while (p < last && *p >= '0' && *p <= '9') {
                p++;
            }

            if (p == last) {
                break;
            }
        }

        next = llm_number_next(state, *p);

        if (next == LLM_NUMBER_END) {
            break;
        }

        state = next;
        p++;
    }

    scan->number = state;

    if (scan->keep) {
        llm_scan_put(scan, start, (size_t) (p - start));
    }

    if (p == last) {
        return p;
    }

    if (!llm_number_whole(state)) {
        return llm_scan_fail(scan);
    }

    llm_scan_scalar(scan, p);

    return p;
}


static void
llm_scan_scalar(llm_scan_t *scan, const unsigned char *end)
{
    llm_scan_value_t  value;

    scan->state = scan->depth ? sw_next : sw_done;

    if (!scan->keep) {
        return;
    }

    memset(&value, 0, sizeof(llm_scan_value_t));

    value.role = scan->node->role;
    value.type = scan->type;
    value.text.data = scan->text;
    value.text.len = scan->size < LLM_SCAN_TEXT ? scan->size : LLM_SCAN_TEXT;
    value.size = scan->size;
    value.start = scan->start;
    value.end = llm_scan_at(scan, end);

    if (scan->depth) {
        value.position = scan->frames[scan->depth - 1].count - 1;
    }

    scan->handler(scan->ctx, &value);
}


static int
llm_scan_name_end(llm_scan_t *scan)
{
    int                     rc;
    llm_scan_frame_t       *frame;
    const llm_scan_node_t  *node;

    frame = &scan->frames[scan->depth - 1];

    if (scan->size == 5 && memcmp(scan->text, "cache", 5) == 0
        && scan->first_end == SIZE_MAX
        && (scan->depth == 1
            || (scan->depth == 2 && frame[-1].array && frame[-1].count == 1)))
    {
        scan->first_cache = 1;
    }

    rc = llm_names_add(&scan->names,
                       scan->hash + scan->depth * LLM_SCAN_DEPTH_MIX);

    if (rc != 0) {
        scan->result = (rc == LLM_NAMES_NOMEM) ? LLM_SCAN_NO_MEMORY
                                               : LLM_SCAN_INVALID;
        return -1;
    }

    scan->node = NULL;

    if (frame->node == NULL || frame->node->members == NULL
        || scan->size > LLM_SCAN_TEXT)
    {
        return 0;
    }

    for (node = frame->node->members; node->name.len; node++) {

        if (node->name.len == scan->size
            && memcmp(node->name.data, scan->text, scan->size) == 0)
        {
            scan->node = node;
            break;
        }
    }

    return 0;
}
