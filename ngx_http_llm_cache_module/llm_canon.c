#include <stdlib.h>

#include "llm_canon.h"


#define LLM_CANON_MIN  64


static int llm_canon_literal(llm_canon_t *c, const char *word, size_t len);
static int llm_canon_array(llm_canon_t *c, const llm_canon_place_t *place);
static int llm_canon_elements(llm_canon_t *c,
    const llm_canon_place_t *inner, int tools, size_t *n);
static int llm_canon_object(llm_canon_t *c, const llm_canon_place_t *place);
static int llm_canon_open(llm_canon_t *c, llm_canon_frame_t *f);
static int llm_canon_close(llm_canon_t *c, llm_canon_frame_t *f);
static int llm_canon_member(llm_canon_t *c, llm_canon_frame_t *f);
static int llm_canon_pieces_of(llm_canon_t *c, llm_canon_frame_t *f);


/* skips white space; the next byte, or 0 at the end */

static inline unsigned char
llm_canon_skip(llm_canon_t *c)
{
    const unsigned char  *p;

    for (p = c->p; p < c->last; p++) {

        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') {
            c->p = p;
            return *p;
        }
    }

    c->p = p;

    return 0;
}


llm_reason_e
llm_canon_read(llm_canon_t *c, const llm_ignore_t *ignore)
{
    llm_canon_place_t  top;

    if ((size_t) (c->last - c->data) > LLM_CANON_MAX) {
        return LLM_REASON_BODY_SIZE;
    }

    c->p = c->data;

    top.pos = LLM_POS_TOP;
    top.watch = LLM_WATCH_TOP;

    if (llm_canon_reserve(c, (size_t) (c->last - c->data)) != 0
        || llm_paths_init(&c->paths, ignore, &top.ignore) != 0)
    {
        return LLM_REASON_NO_MEMORY;
    }

    if (llm_canon_skip(c) != '{') {
        return LLM_REASON_JSON;
    }

    if (llm_canon_object(c, &top) != 0) {
        return c->reason;
    }

    (void) llm_canon_skip(c);

    return c->p == c->last ? LLM_REASON_NONE : LLM_REASON_JSON;
}


void
llm_canon_free(llm_canon_t *c)
{
    free(c->out);
    free(c->members.elts);
    free(c->records.elts);
    free(c->pieces.elts);

    llm_paths_free(&c->paths);
    llm_buf_free(&c->name);
    llm_buf_free(&c->number);
}


int
llm_canon_reserve(llm_canon_t *c, size_t n)
{
    size_t          used, size;
    unsigned char  *p;

    used = (size_t) (c->o - c->out);
    n += used + LLM_CANON_SLACK;

    if (n <= c->size) {
        return 0;
    }

    size = c->size ? n + n / 2 : n;

    if (n > UINT32_MAX) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    p = realloc(c->out, size);
    if (p == NULL) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    c->out = p;
    c->o = p + used;
    c->size = size;

    return 0;
}


int
llm_canon_grow(llm_canon_t *c, llm_canon_array_t *array, size_t size)
{
    void      *p;
    uint32_t   n;

    if (array->n > UINT32_MAX / 4) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    n = array->n ? 2 * array->n : LLM_CANON_MIN;

    p = realloc(array->elts, n * size);
    if (p == NULL) {
        return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
    }

    array->elts = p;
    array->size = n;

    return 0;
}


int
llm_canon_value(llm_canon_t *c, const llm_canon_place_t *place)
{
    if (c->p == c->last) {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    switch (*c->p) {

    case '"':
        return llm_canon_string(c);

    case '{':
        return llm_canon_object(c, place);

    case '[':
        return llm_canon_array(c, place);

    case 't':
        return llm_canon_literal(c, "true", 4);

    case 'f':
        return llm_canon_literal(c, "false", 5);

    case 'n':
        return llm_canon_literal(c, "null", 4);

    default:
        return llm_canon_number(c);
    }
}


static int
llm_canon_literal(llm_canon_t *c, const char *word, size_t len)
{
    if ((size_t) (c->last - c->p) < len || memcmp(c->p, word, len) != 0) {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    memcpy(c->o, word, len);

    c->p += len;
    c->o += len;

    return 0;
}


static int
llm_canon_array(llm_canon_t *c, const llm_canon_place_t *place)
{
    int                tools;
    size_t             n;
    uint32_t           start, record;
    llm_canon_place_t  inner;

    if (++c->depth > LLM_JSON_MAX_DEPTH) {
        return llm_canon_fail(c, LLM_REASON_DEPTH);
    }

    tools = 0;

    if (place) {
        tools = (place->watch == LLM_WATCH_TOOLS);

        inner.pos = llm_pos_element(place->pos);
        inner.watch = tools ? LLM_WATCH_TOOL : LLM_WATCH_NONE;
        inner.ignore = place->ignore;
    }

    start = llm_canon_at(c);
    record = c->records.n;
    c->plain.end = c->plain.start;

    if (llm_canon_elements(c, place ? &inner : NULL, tools, &n) != 0) {
        return -1;
    }

    c->depth--;

    if (place && place->pos == LLM_POS_CONTENT
        && n == 1 && c->plain.start != c->plain.end)
    {
        memmove(c->out + start, c->out + c->plain.start,
                c->plain.end - c->plain.start);

        c->o = c->out + start + (c->plain.end - c->plain.start);
        c->records.n = record;
    }

    return 0;
}


static int
llm_canon_elements(llm_canon_t *c, const llm_canon_place_t *inner, int tools,
    size_t *n)
{
    unsigned char  b;
    llm_tool_t     none;

    *n = 0;
    *c->o++ = '[';
    c->p++;

    if (llm_canon_skip(c) == ']') {
        *c->o++ = ']';
        c->p++;
        return 0;
    }

    for ( ;; ) {

        if (tools && c->p < c->last && *c->p != '{') {
            memset(&none, 0, sizeof(llm_tool_t));
            c->hosted |= (llm_dialect_hosted_tool(c->dialect->tools, &none)
                          != 0);
        }

        if (llm_canon_value(c, inner) != 0) {
            return -1;
        }

        (*n)++;

        b = llm_canon_skip(c);

        if (b != ',' && b != ']') {
            return llm_canon_fail(c, LLM_REASON_JSON);
        }

        *c->o++ = b;
        c->p++;

        if (b == ']') {
            return 0;
        }

        (void) llm_canon_skip(c);
    }
}


static int
llm_canon_object(llm_canon_t *c, const llm_canon_place_t *place)
{
    llm_canon_frame_t  f;

    memset(&f, 0, sizeof(llm_canon_frame_t));

    f.place = place;

    if (llm_canon_open(c, &f) != 0) {
        return -1;
    }

    if (llm_canon_skip(c) == '}') {
        return llm_canon_close(c, &f);
    }

    for ( ;; ) {

        if (llm_canon_member(c, &f) != 0) {
            return -1;
        }

        switch (llm_canon_skip(c)) {

        case ',':
            f.comma = c->p;

            *c->o++ = ',';
            c->p++;

            if (f.control && !f.kept) {
                c->controls[c->n_controls - 1].end = (size_t) (c->p - c->data);
            }

            break;

        case '}':
            return llm_canon_close(c, &f);

        default:
            return llm_canon_fail(c, LLM_REASON_JSON);
        }
    }
}


static int
llm_canon_open(llm_canon_t *c, llm_canon_frame_t *f)
{
    llm_canon_record_t  *record;

    if (++c->depth > LLM_JSON_MAX_DEPTH) {
        return llm_canon_fail(c, LLM_REASON_DEPTH);
    }

    f->first = c->members.n;
    f->record = c->records.n;

    record = llm_canon_push(c, &c->records, sizeof(llm_canon_record_t));
    if (record == NULL) {
        return -1;
    }

    record->start = llm_canon_at(c);
    record->piece = LLM_CANON_AS_IS;

    *c->o++ = '{';
    c->p++;

    return 0;
}


static int
llm_canon_close(llm_canon_t *c, llm_canon_frame_t *f)
{
    llm_canon_record_t  *record;

    *c->o++ = '}';
    c->p++;

    if (f->place) {

        if (f->step && llm_canon_again(c, f) != 0) {
            return -1;
        }

        if (f->place->pos == LLM_POS_PART) {
            llm_canon_part(c, f);
        }

        if (f->place->watch == LLM_WATCH_TOOL) {
            llm_canon_tool(c, f);
        }
    }

    c->depth--;

    if (!f->unsorted && !f->partial && c->records.n == f->record + 1) {
        c->records.n = f->record;

    } else {

        if ((f->unsorted || f->partial) && llm_canon_pieces_of(c, f) != 0) {
            return -1;
        }

        record = llm_canon_records(c) + f->record;
        record->end = llm_canon_at(c);
        record->next = c->records.n;
    }

    if (c->depth) {
        c->members.n = f->first;
    }

    return 0;
}


static int
llm_canon_member(llm_canon_t *c, llm_canon_frame_t *f)
{
    int                  order;
    uint32_t             i;
    llm_canon_member_t  *m;

    if (llm_canon_skip(c) != '"') {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    f->member = c->p;
    i = c->members.n;

    m = llm_canon_push(c, &c->members, sizeof(llm_canon_member_t));
    if (m == NULL) {
        return -1;
    }

    m->start = llm_canon_at(c);
    m->record = c->records.n;
    m->dropped = 0;

    c->escaped = 0;
    c->nul = 0;

    if (llm_canon_string(c) != 0) {
        return -1;
    }

    m->name = (llm_canon_at(c) - m->start - 2) & 0x3fffffff;
    m->escaped = c->escaped;

    if (c->nul || llm_canon_skip(c) != ':') {
        return llm_canon_fail(c, LLM_REASON_JSON);
    }

    if (i > f->first && !f->unsorted) {
        order = llm_canon_compare(c, m - 1, m);

        if (order == 0) {
            return llm_canon_fail(c, LLM_REASON_DUPLICATE);
        }

        f->unsorted = (order > 0);
    }

    *c->o++ = ':';
    c->p++;

    (void) llm_canon_skip(c);

    if ((f->place ? llm_canon_special(c, f, i) : llm_canon_value(c, NULL))
        != 0)
    {
        return -1;
    }

    llm_canon_members(c)[i].end = llm_canon_at(c);

    return 0;
}


/* puts the members in order, and notes those that count */

static int
llm_canon_pieces_of(llm_canon_t *c, llm_canon_frame_t *f)
{
    uint32_t             i, n;
    llm_canon_piece_t   *piece;
    llm_canon_member_t  *m;
    llm_canon_record_t  *record;

    m = llm_canon_members(c) + f->first;
    n = c->members.n - f->first;

    if (f->unsorted) {

        if (llm_canon_sort(c, m, n) != 0) {
            return llm_canon_fail(c, LLM_REASON_NO_MEMORY);
        }

        for (i = 1; i < n; i++) {
            if (llm_canon_compare(c, &m[i - 1], &m[i]) == 0) {
                return llm_canon_fail(c, LLM_REASON_DUPLICATE);
            }
        }
    }

    record = llm_canon_records(c) + f->record;
    record->piece = c->pieces.n;
    record->n = 0;

    for (i = 0; i < n; i++) {

        if (m[i].dropped) {
            continue;
        }

        piece = llm_canon_push(c, &c->pieces, sizeof(llm_canon_piece_t));
        if (piece == NULL) {
            return -1;
        }

        piece->start = m[i].start;
        piece->end = m[i].end;
        piece->record = m[i].record;

        record->n++;
    }

    return 0;
}
