#include <stdlib.h>

#include "llm_doc.h"


#define LLM_ARENA_BLOCK   (32 * 1024)

/* a text is cut into this many pieces at most, or a few more */
#define LLM_CUT_PIECES    512

/* and into pieces of this many bytes or more */
#define LLM_CUT_LEAST     16


struct llm_arena_block_s {
    llm_arena_block_t        *next;
    uint64_t                  data[];
};


typedef struct {
    llm_arena_t              *arena;
    const unsigned char      *p;
    const unsigned char      *last;
    size_t                    lines;
} llm_doc_parser_t;


static llm_value_t *llm_doc_value(llm_doc_parser_t *parser, unsigned depth);
static int llm_doc_members(llm_doc_parser_t *parser, llm_value_t *parent,
    unsigned depth);
static int llm_doc_name(llm_doc_parser_t *parser, llm_str_t *name);
static int llm_doc_string(llm_doc_parser_t *parser);
static int llm_doc_scalar(llm_doc_parser_t *parser, llm_value_t *value);
static void llm_doc_space(llm_doc_parser_t *parser);
static int llm_doc_odd_name(llm_str_t name);
static void llm_doc_append(llm_value_t *parent, llm_value_t *value);
static int llm_doc_hex(const unsigned char *p, uint32_t *code);
static size_t llm_cut_unit(llm_str_t text);
static int llm_cut_high(llm_str_t text);


void *
llm_arena_alloc(llm_arena_t *arena, size_t size)
{
    void               *p;
    size_t              room;
    llm_arena_block_t  *block;

    size = (size + 7) & ~(size_t) 7;

    if (size > arena->left) {
        room = size > LLM_ARENA_BLOCK ? size : LLM_ARENA_BLOCK;

        if (arena->max && room > arena->max - arena->used) {
            arena->failed = 1;
            return NULL;
        }

        block = malloc(sizeof(llm_arena_block_t) + room);
        if (block == NULL) {
            arena->failed = 1;
            return NULL;
        }

        block->next = arena->blocks;
        arena->blocks = block;
        arena->free = (unsigned char *) block->data;
        arena->left = room;
        arena->used += room;
    }

    p = arena->free;
    arena->free += size;
    arena->left -= size;

    return p;
}


void
llm_arena_free(llm_arena_t *arena)
{
    llm_arena_block_t  *block, *next;

    for (block = arena->blocks; block; block = next) {
        next = block->next;
        free(block);
    }

    memset(arena, 0, sizeof(llm_arena_t));
}


llm_value_t *
llm_doc_parse(llm_arena_t *arena, llm_str_t text)
{
    llm_value_t       *value;
    llm_doc_parser_t   parser;

    if (text.len == 0) {
        return NULL;
    }

    parser.arena = arena;
    parser.p = text.data;
    parser.last = text.data + text.len;
    parser.lines = 0;

    llm_doc_space(&parser);
    value = llm_doc_value(&parser, 0);
    llm_doc_space(&parser);

    return parser.p == parser.last ? value : NULL;
}


static llm_value_t *
llm_doc_value(llm_doc_parser_t *parser, unsigned depth)
{
    int                   rc;
    size_t                lines;
    llm_value_t          *value;
    const unsigned char  *start;

    if (parser->p == parser->last || depth > LLM_JSON_MAX_DEPTH) {
        return NULL;
    }

    value = llm_doc_new(parser->arena, LLM_SCAN_NULL);
    if (value == NULL) {
        return NULL;
    }

    start = parser->p;
    lines = parser->lines;

    switch (*start) {

    case '{':
        value->type = LLM_SCAN_OBJECT;
        rc = llm_doc_members(parser, value, depth);
        break;

    case '[':
        value->type = LLM_SCAN_ARRAY;
        rc = llm_doc_members(parser, value, depth);
        break;

    case '"':
        value->type = LLM_SCAN_STRING;
        rc = llm_doc_string(parser);
        break;

    default:
        rc = llm_doc_scalar(parser, value);
        break;
    }

    value->text.data = start;
    value->text.len = (size_t) (parser->p - start);
    value->broken = (parser->lines != lines);

    return rc == 0 ? value : NULL;
}


static int
llm_doc_members(llm_doc_parser_t *parser, llm_value_t *parent, unsigned depth)
{
    llm_str_t       name;
    llm_value_t    *value;
    unsigned char   close;

    close = (parent->type == LLM_SCAN_OBJECT) ? '}' : ']';
    name = parent->name;

    parser->p++;
    llm_doc_space(parser);

    if (parser->p < parser->last && *parser->p == close) {
        parser->p++;
        return 0;
    }

    for ( ;; ) {

        if (close == '}' && llm_doc_name(parser, &name) != 0) {
            return -1;
        }

        value = llm_doc_value(parser, depth + 1);
        if (value == NULL) {
            return -1;
        }

        value->name = name;
        llm_doc_append(parent, value);

        llm_doc_space(parser);

        if (parser->p == parser->last) {
            return -1;
        }

        if (*parser->p == close) {
            parser->p++;
            return 0;
        }

        if (*parser->p != ',') {
            return -1;
        }

        parser->p++;
        llm_doc_space(parser);
    }
}


static int
llm_doc_name(llm_doc_parser_t *parser, llm_str_t *name)
{
    const unsigned char  *start;

    if (parser->p == parser->last || *parser->p != '"') {
        return -1;
    }

    start = parser->p + 1;

    if (llm_doc_string(parser) != 0) {
        return -1;
    }

    name->data = start;
    name->len = (size_t) (parser->p - 1 - start);

    llm_doc_space(parser);

    if (parser->p == parser->last || *parser->p != ':'
        || llm_doc_odd_name(*name))
    {
        return -1;
    }

    parser->p++;
    llm_doc_space(parser);

    return 0;
}


static int
llm_doc_string(llm_doc_parser_t *parser)
{
    const unsigned char  *p, *last;

    last = parser->last;

    for (p = parser->p + 1; p < last; p++) {

        if (*p == '"') {
            parser->p = p + 1;
            return 0;
        }

        if (*p == '\\') {
            p++;

        } else if (*p < 0x20) {
            return -1;
        }
    }

    return -1;
}


static int
llm_doc_scalar(llm_doc_parser_t *parser, llm_value_t *value)
{
    size_t                i, len;
    const unsigned char  *p;

    static const struct {
        llm_str_t        word;
        llm_scan_type_e  type;
    } words[] = {
        { llm_string("null"), LLM_SCAN_NULL },
        { llm_string("true"), LLM_SCAN_TRUE },
        { llm_string("false"), LLM_SCAN_FALSE }
    };

    p = parser->p;

    while (p < parser->last
           && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
               || *p == '-' || *p == '+' || *p == '.' || *p == 'E'))
    {
        p++;
    }

    len = (size_t) (p - parser->p);

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].word.len == len
            && memcmp(words[i].word.data, parser->p, len) == 0)
        {
            value->type = words[i].type;
            parser->p = p;
            return 0;
        }
    }

    if (len == 0 || (*parser->p != '-'
                     && (*parser->p < '0' || *parser->p > '9')))
    {
        return -1;
    }

    value->type = LLM_SCAN_NUMBER;
    parser->p = p;

    return 0;
}


static void
llm_doc_space(llm_doc_parser_t *parser)
{
    for ( /* void */ ; parser->p < parser->last; parser->p++) {

        switch (*parser->p) {

        case '\n':
        case '\r':
            parser->lines++;
            break;

        case ' ':
        case '\t':
            break;

        default:
            return;
        }
    }
}


/* an escape in the place of a character that needs none */

static int
llm_doc_odd_name(llm_str_t name)
{
    uint32_t              code;
    const unsigned char  *p, *last;

    last = name.data + name.len;

    for (p = name.data; p < last; p++) {

        if (*p != '\\') {
            continue;
        }

        p++;

        if (*p == 'u' && (last - p < 5 || llm_doc_hex(p + 1, &code) != 0
                          || (code >= 0x20 && code < 0x7f)))
        {
            return 1;
        }
    }

    return 0;
}


static void
llm_doc_append(llm_value_t *parent, llm_value_t *value)
{
    value->next = NULL;

    if (parent->last) {
        parent->last->next = value;

    } else {
        parent->first = value;
    }

    parent->last = value;
    parent->n++;
}


llm_value_t *
llm_doc_get(const llm_value_t *object, const char *name)
{
    llm_str_t  key;

    key.data = (const unsigned char *) name;
    key.len = strlen(name);

    return llm_doc_find(object, key);
}


llm_value_t *
llm_doc_find(const llm_value_t *object, llm_str_t name)
{
    llm_value_t  *value;

    if (object == NULL || object->type != LLM_SCAN_OBJECT) {
        return NULL;
    }

    for (value = object->first; value; value = value->next) {
        if (value->name.len == name.len
            && memcmp(value->name.data, name.data, name.len) == 0)
        {
            return value;
        }
    }

    return NULL;
}


int
llm_doc_is(const llm_value_t *value, const char *text)
{
    size_t  len;

    if (!llm_doc_type(value, LLM_SCAN_STRING) || value->text.data == NULL) {
        return 0;
    }

    len = strlen(text);

    return value->text.len == len + 2
           && memcmp(value->text.data + 1, text, len) == 0;
}


int
llm_doc_silent(const llm_value_t *value)
{
    const llm_value_t  *piece;

    if (value == NULL || value->type == LLM_SCAN_NULL) {
        return 1;
    }

    if (value->type != LLM_SCAN_STRING || value->text.data) {
        return value->type == LLM_SCAN_STRING && value->text.len == 2;
    }

    for (piece = value->first; piece; piece = piece->next) {
        if (piece->text.len) {
            return 0;
        }
    }

    return 1;
}


int
llm_doc_type(const llm_value_t *value, llm_scan_type_e type)
{
    return value && value->type == type;
}


size_t
llm_doc_index(const llm_value_t *value, size_t absent)
{
    size_t  i, n;

    if (!llm_doc_type(value, LLM_SCAN_NUMBER) || value->text.len > 9) {
        return absent;
    }

    n = 0;

    for (i = 0; i < value->text.len; i++) {

        if (value->text.data[i] < '0' || value->text.data[i] > '9') {
            return absent;
        }

        n = n * 10 + (size_t) (value->text.data[i] - '0');
    }

    return n;
}


llm_str_t
llm_doc_inner(const llm_value_t *value)
{
    llm_str_t  inner;

    inner.data = value->text.data + 1;
    inner.len = value->text.len - 2;

    return inner;
}


int
llm_doc_same(const llm_value_t *one, const llm_value_t *two)
{
    return one->text.data && two->text.data && one->text.len == two->text.len
           && memcmp(one->text.data, two->text.data, one->text.len) == 0;
}


llm_value_t *
llm_doc_new(llm_arena_t *arena, llm_scan_type_e type)
{
    llm_value_t  *value;

    value = llm_arena_alloc(arena, sizeof(llm_value_t));
    if (value == NULL) {
        return NULL;
    }

    memset(value, 0, sizeof(llm_value_t));
    value->type = type;

    return value;
}


llm_value_t *
llm_doc_spelled(llm_arena_t *arena, llm_scan_type_e type, llm_str_t text)
{
    llm_value_t  *value;

    value = llm_doc_new(arena, type);

    if (value) {
        value->text = text;
    }

    return value;
}


llm_value_t *
llm_doc_copy(llm_arena_t *arena, const llm_value_t *value)
{
    llm_value_t        *copy;
    const llm_value_t  *child;

    if (value == NULL) {
        return NULL;
    }

    copy = llm_doc_new(arena, value->type);
    if (copy == NULL) {
        return NULL;
    }

    *copy = *value;
    copy->next = NULL;

    if (value->type != LLM_SCAN_OBJECT && value->type != LLM_SCAN_ARRAY) {
        return copy;
    }

    copy->text.data = NULL;
    copy->first = NULL;
    copy->last = NULL;
    copy->n = 0;

    for (child = value->first; child; child = child->next) {
        if (llm_doc_add(arena, copy, NULL, child) == NULL) {
            return NULL;
        }
    }

    return copy;
}


llm_value_t *
llm_doc_renamed(llm_arena_t *arena, const llm_value_t *value,
    const char *name)
{
    llm_value_t  *copy;

    if (value == NULL) {
        return NULL;
    }

    copy = llm_doc_new(arena, value->type);

    if (copy) {
        *copy = *value;
        copy->next = NULL;

        if (name) {
            copy->name.data = (const unsigned char *) name;
            copy->name.len = strlen(name);
        }
    }

    return copy;
}


llm_value_t *
llm_doc_add(llm_arena_t *arena, llm_value_t *parent, const char *name,
    const llm_value_t *value)
{
    llm_value_t  *copy;

    if (parent == NULL || parent->text.data) {
        arena->failed = 1;
        return NULL;
    }

    copy = llm_doc_renamed(arena, value, name);
    if (copy == NULL) {
        return NULL;
    }

    llm_doc_append(parent, copy);

    return copy;
}


llm_value_t *
llm_doc_set(llm_arena_t *arena, llm_value_t *object, const char *name,
    const llm_value_t *value)
{
    llm_value_t  *old, *next;

    old = llm_doc_get(object, name);

    if (old == NULL || value == NULL || object->text.data) {
        return llm_doc_add(arena, object, name, value);
    }

    next = old->next;

    *old = *value;

    old->name.data = (const unsigned char *) name;
    old->name.len = strlen(name);
    old->next = next;

    return old;
}


void
llm_doc_remove(llm_value_t *object, const char *name)
{
    llm_value_t  *value, *before;

    value = llm_doc_get(object, name);

    if (value == NULL) {
        return;
    }

    if (object->first == value) {
        object->first = value->next;
        before = NULL;

    } else {
        for (before = object->first;
             before->next != value;
             before = before->next)
        { /* void */ }

        before->next = value->next;
    }

    if (object->last == value) {
        object->last = before;
    }

    object->n--;
}


void
llm_doc_join(llm_arena_t *arena, llm_value_t *string,
    const llm_value_t *piece)
{
    llm_value_t  *copy;

    if (!llm_doc_type(string, LLM_SCAN_STRING)
        || !llm_doc_type(piece, LLM_SCAN_STRING)
        || piece->text.data == NULL)
    {
        arena->failed = 1;
        return;
    }

    if (string->text.data) {
        copy = llm_doc_spelled(arena, LLM_SCAN_STRING, llm_doc_inner(string));
        string->text.data = NULL;
        string->text.len = 0;

        if (copy) {
            llm_doc_append(string, copy);
        }
    }

    copy = llm_doc_spelled(arena, LLM_SCAN_STRING, llm_doc_inner(piece));

    if (copy) {
        llm_doc_append(string, copy);
    }
}


int
llm_doc_write(const llm_value_t *value, llm_buf_t *out)
{
    const char         *open, *close;
    const llm_value_t  *child;

    if (value->text.data && !value->broken) {
        return llm_buf_add(out, value->text.data, value->text.len);
    }

    open = (value->type == LLM_SCAN_OBJECT) ? "{"
           : (value->type == LLM_SCAN_ARRAY) ? "[" : "\"";
    close = (value->type == LLM_SCAN_OBJECT) ? "}"
            : (value->type == LLM_SCAN_ARRAY) ? "]" : "\"";

    if (llm_buf_add(out, open, 1) != 0) {
        return -1;
    }

    for (child = value->first; child; child = child->next) {

        if (value->type == LLM_SCAN_STRING) {
            if (llm_buf_add(out, child->text.data, child->text.len) != 0) {
                return -1;
            }

            continue;
        }

        if (child != value->first && llm_buf_add(out, ",", 1) != 0) {
            return -1;
        }

        if (value->type == LLM_SCAN_OBJECT
            && (llm_buf_add(out, "\"", 1) != 0
                || llm_buf_add(out, child->name.data, child->name.len) != 0
                || llm_buf_add(out, "\":", 2) != 0))
        {
            return -1;
        }

        if (llm_doc_write(child, out) != 0) {
            return -1;
        }
    }

    return llm_buf_add(out, close, 1);
}


int
llm_doc_decode(llm_str_t inner, llm_buf_t *out)
{
    uint32_t              code, low;
    unsigned char         c, utf8[4];
    const unsigned char  *p, *last, *run, *at;

    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    last = inner.data + inner.len;

    for (p = inner.data; p < last; /* void */) {

        run = memchr(p, '\\', (size_t) (last - p));
        run = run ? run : last;

        if (llm_buf_add(out, p, (size_t) (run - p)) != 0) {
            return -1;
        }

        p = run;

        if (p == last) {
            break;
        }

        if (last - p < 2) {
            return -1;
        }

        if (p[1] != 'u') {
            at = memchr(from, p[1], sizeof(from) - 1);
            if (at == NULL) {
                return -1;
            }

            c = (unsigned char) to[at - (const unsigned char *) from];

            if (llm_buf_add(out, &c, 1) != 0) {
                return -1;
            }

            p += 2;
            continue;
        }

        if (last - p < 6 || llm_doc_hex(p + 2, &code) != 0) {
            return -1;
        }

        p += 6;

        if (code >= 0xd800 && code < 0xdc00 && last - p >= 6
            && p[0] == '\\' && p[1] == 'u' && llm_doc_hex(p + 2, &low) == 0
            && low >= 0xdc00 && low < 0xe000)
        {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }

        if (llm_buf_add(out, utf8, llm_utf8_encode(code, utf8)) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
llm_doc_hex(const unsigned char *p, uint32_t *code)
{
    int            i;
    unsigned char  c;

    *code = 0;

    for (i = 0; i < 4; i++) {
        c = p[i] | 0x20;

        if (p[i] >= '0' && p[i] <= '9') {
            *code = *code * 16 + (uint32_t) (p[i] - '0');

        } else if (c >= 'a' && c <= 'f') {
            *code = *code * 16 + (uint32_t) (c - 'a' + 10);

        } else {
            return -1;
        }
    }

    return 0;
}


void
llm_cut_init(llm_cut_t *cut, llm_str_t inner)
{
    cut->rest = inner;
    cut->least = inner.len / LLM_CUT_PIECES;

    if (cut->least < LLM_CUT_LEAST) {
        cut->least = LLM_CUT_LEAST;
    }
}


int
llm_cut_next(llm_cut_t *cut, llm_str_t *piece)
{
    size_t     n;
    llm_str_t  rest;

    rest = cut->rest;

    while (rest.len) {

        n = rest.data - cut->rest.data;

        if (n >= 4 * cut->least || (n >= cut->least && rest.data[0] == ' ')) {
            break;
        }

        n = llm_cut_unit(rest);

        rest.data += n;
        rest.len -= n;
    }

    piece->data = cut->rest.data;
    piece->len = cut->rest.len - rest.len;

    cut->rest = rest;

    return piece->len != 0;
}


/* the bytes of one character, however it is spelled */

static size_t
llm_cut_unit(llm_str_t text)
{
    size_t         n;
    unsigned char  c;

    c = text.data[0];
    n = 1;

    if (c == '\\') {
        n = 2;

        if (text.len > 1 && text.data[1] == 'u') {
            n = llm_cut_high(text) ? 12 : 6;
        }

    } else if (c >= 0xc0) {
        n = (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;
    }

    return n < text.len ? n : text.len;
}


/* half of a surrogate pair whose other half follows */

static int
llm_cut_high(llm_str_t text)
{
    uint32_t              high, low;
    const unsigned char  *p;

    p = text.data;

    return text.len >= 12 && p[6] == '\\' && p[7] == 'u'
           && llm_doc_hex(p + 2, &high) == 0 && llm_doc_hex(p + 8, &low) == 0
           && high >= 0xd800 && high < 0xdc00
           && low >= 0xdc00 && low < 0xe000;
}
