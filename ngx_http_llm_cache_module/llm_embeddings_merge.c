#include <stdio.h>

#include "llm_bytes.h"
#include "llm_embeddings_core.h"


/* what of a frame is filled in */

#define LLM_MERGE_PLACES  (LLM_EMBEDDINGS_LISTS + LLM_EMBEDDINGS_HOLES)

/* in a list */

enum {
    sw_comma = 0,
    sw_space,
    sw_before,
    sw_index,
    sw_after
};


static int llm_cut_copy(llm_embeddings_copy_pt copy, void *data,
    size_t start, size_t end, llm_buf_t *body);
static int llm_cut_list(const llm_reply_list_t *list, size_t i,
    llm_embeddings_copy_pt copy, void *data, llm_buf_t *body,
    llm_embeddings_list_t *place);
static int llm_table_sound(const llm_embeddings_table_t *table,
    size_t body_len);
static int llm_merge_frame(llm_embeddings_merge_t *merge,
    llm_embeddings_piece_t *piece);
static int llm_merge_list(llm_embeddings_merge_t *merge,
    llm_embeddings_piece_t *piece);


int
llm_embeddings_cut_compare(const llm_embeddings_cut_t *cut,
    const unsigned char *shape)
{
    return memcmp(cut->shape, shape, LLM_EMBEDDINGS_SHAPE);
}


int64_t
llm_embeddings_cut_tokens(const llm_embeddings_cut_t *cut)
{
    return cut->tokens;
}


int64_t
llm_embeddings_cut_cost(const llm_embeddings_cut_t *cut, size_t i)
{
    return cut->tokens < 0 ? -1 : (int64_t) cut->costs[i];
}


void
llm_embeddings_cut_element(const llm_embeddings_cut_t *cut, size_t i,
    unsigned list, llm_embeddings_list_t *place)
{
    unsigned  k;

    /* a table has only the lists that are there */

    for (k = 0; k < LLM_EMBEDDINGS_LISTS; k++) {

        if (cut->lists[k].elements && list-- == 0) {
            *place = cut->lists[k].elements[i];
            return;
        }
    }

    memset(place, 0, sizeof(llm_embeddings_list_t));
}


int
llm_embeddings_cut_one(const llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data, size_t i, llm_buf_t *body,
    llm_embeddings_table_t *table)
{
    int            n, hole, list;
    char           digits[24];
    size_t         at, next;
    unsigned       k;

    memset(table, 0, sizeof(llm_embeddings_table_t));

    memcpy(table->shape, cut->shape, LLM_EMBEDDINGS_SHAPE);
    memcpy(table->space, cut->space, LLM_EMBEDDINGS_SPACE);
    table->spaces = cut->spaces;

    n = snprintf(digits, sizeof(digits), "%u", cut->costs[i]);

    at = 0;

    for ( ;; ) {

        next = cut->len;
        hole = -1;
        list = -1;

        for (k = 0; k < LLM_EMBEDDINGS_LISTS; k++) {
            if (cut->lists[k].elements && cut->lists[k].list.start >= at
                && cut->lists[k].list.start < next)
            {
                next = cut->lists[k].list.start;
                list = (int) k;
            }
        }

        for (k = 0; k < cut->holes; k++) {
            if (cut->hole[k].start >= at && cut->hole[k].start < next) {
                next = cut->hole[k].start;
                hole = (int) k;
            }
        }

        if (llm_cut_copy(copy, data, at, next, body) != 0) {
            return -1;
        }

        if (hole >= 0) {
            table->hole[table->holes].start = body->len;

            if (llm_buf_add(body, digits, (size_t) n) != 0) {
                return -1;
            }

            table->hole[table->holes++].end = body->len;
            at = cut->hole[hole].end;

        } else if (list >= 0) {

            if (llm_cut_list(&cut->lists[list], i, copy, data, body,
                             &table->lists[table->n++])
                != 0)
            {
                return -1;
            }

            at = cut->lists[list].list.end;

        } else {
            return 0;
        }
    }
}


static int
llm_cut_copy(llm_embeddings_copy_pt copy, void *data, size_t start,
    size_t end, llm_buf_t *body)
{
    size_t         n;
    unsigned char  text[4096];

    while (start < end) {

        n = end - start < sizeof(text) ? end - start : sizeof(text);

        copy(data, start, text, n);

        if (llm_buf_add(body, text, n) != 0) {
            return -1;
        }

        start += n;
    }

    return 0;
}


static int
llm_cut_list(const llm_reply_list_t *list, size_t i,
    llm_embeddings_copy_pt copy, void *data, llm_buf_t *body,
    llm_embeddings_list_t *place)
{
    llm_range_t                   after;
    const llm_embeddings_list_t  *element;

    element = &list->elements[i];

    place->list.start = body->len;

    if (llm_cut_copy(copy, data, list->list.start, list->head, body) != 0) {
        return -1;
    }

    place->element.start = body->len;
    after = element->element;

    if (element->index.end) {

        if (llm_cut_copy(copy, data, after.start, element->index.start, body)
            != 0)
        {
            return -1;
        }

        place->index.start = body->len;

        if (llm_buf_add(body, "0", 1) != 0) {
            return -1;
        }

        place->index.end = body->len;
        after.start = element->index.end;
    }

    if (llm_cut_copy(copy, data, after.start, after.end, body) != 0) {
        return -1;
    }

    place->element.end = body->len;

    if (llm_cut_copy(copy, data, list->last, list->list.end, body) != 0) {
        return -1;
    }

    place->list.end = body->len;

    return 0;
}


void
llm_embeddings_encode(const llm_embeddings_table_t *table,
    unsigned char *bytes)
{
    unsigned        i;
    unsigned char  *p;

    memset(bytes, 0, LLM_EMBEDDINGS_TABLE);

    p = bytes;

    *p++ = (unsigned char) table->n;
    *p++ = (unsigned char) table->holes;
    *p++ = (unsigned char) table->spaces;

    memcpy(p, table->space, LLM_EMBEDDINGS_SPACE);
    p += LLM_EMBEDDINGS_SPACE;

    memcpy(p, table->shape, LLM_EMBEDDINGS_SHAPE);
    p += LLM_EMBEDDINGS_SHAPE;

    for (i = 0; i < table->n; i++, p += 24) {
        llm_bytes_put(p, 4, table->lists[i].list.start);
        llm_bytes_put(p + 4, 4, table->lists[i].list.end);
        llm_bytes_put(p + 8, 4, table->lists[i].element.start);
        llm_bytes_put(p + 12, 4, table->lists[i].element.end);
        llm_bytes_put(p + 16, 4, table->lists[i].index.start);
        llm_bytes_put(p + 20, 4, table->lists[i].index.end);
    }

    for (i = 0; i < table->holes; i++, p += 8) {
        llm_bytes_put(p, 4, table->hole[i].start);
        llm_bytes_put(p + 4, 4, table->hole[i].end);
    }
}


int
llm_embeddings_decode(const unsigned char *bytes, size_t body_len,
    llm_embeddings_table_t *table)
{
    unsigned              i;
    const unsigned char  *p;

    memset(table, 0, sizeof(llm_embeddings_table_t));

    p = bytes;

    if (p[0] == 0 || p[0] > LLM_EMBEDDINGS_LISTS
        || p[1] > LLM_EMBEDDINGS_HOLES || p[2] > LLM_EMBEDDINGS_SPACE)
    {
        return -1;
    }

    table->n = *p++;
    table->holes = *p++;
    table->spaces = *p++;

    memcpy(table->space, p, LLM_EMBEDDINGS_SPACE);
    p += LLM_EMBEDDINGS_SPACE;

    memcpy(table->shape, p, LLM_EMBEDDINGS_SHAPE);
    p += LLM_EMBEDDINGS_SHAPE;

    for (i = 0; i < table->n; i++, p += 24) {
        table->lists[i].list.start = (size_t) llm_bytes_get(p, 4);
        table->lists[i].list.end = (size_t) llm_bytes_get(p + 4, 4);
        table->lists[i].element.start = (size_t) llm_bytes_get(p + 8, 4);
        table->lists[i].element.end = (size_t) llm_bytes_get(p + 12, 4);
        table->lists[i].index.start = (size_t) llm_bytes_get(p + 16, 4);
        table->lists[i].index.end = (size_t) llm_bytes_get(p + 20, 4);
    }

    for (i = 0; i < table->holes; i++, p += 8) {
        table->hole[i].start = (size_t) llm_bytes_get(p, 4);
        table->hole[i].end = (size_t) llm_bytes_get(p + 4, 4);
    }

    return llm_table_sound(table, body_len) ? 0 : -1;
}


static int
llm_table_sound(const llm_embeddings_table_t *table, size_t body_len)
{
    unsigned                      i, k, n;
    llm_range_t                   ranges[LLM_MERGE_PLACES];
    const llm_embeddings_list_t  *list;

    n = 0;

    for (i = 0; i < table->n; i++) {
        list = &table->lists[i];

        if (list->list.start > list->element.start
            || list->element.start >= list->element.end
            || list->element.end > list->list.end
            || (list->index.end
                && (list->index.start < list->element.start
                    || list->index.start >= list->index.end
                    || list->index.end > list->element.end))
            || (list->index.end == 0 && list->index.start))
        {
            return 0;
        }

        ranges[n++] = list->list;
    }

    for (i = 0; i < table->holes; i++) {
        ranges[n++] = table->hole[i];
    }

    for (i = 0; i < n; i++) {

        if (ranges[i].start >= ranges[i].end || ranges[i].end > body_len) {
            return 0;
        }

        for (k = 0; k < i; k++) {
            if (ranges[i].start < ranges[k].end
                && ranges[k].start < ranges[i].end)
            {
                return 0;
            }
        }
    }

    return 1;
}


void
llm_embeddings_merge(llm_embeddings_merge_t *merge, llm_str_t body,
    const llm_embeddings_table_t *table, size_t n, int64_t tokens)
{
    memset(merge, 0, sizeof(llm_embeddings_merge_t));

    merge->body = body;
    merge->table = table;
    merge->n = n;
    merge->tokens = tokens;
    merge->list = table->n;
}


int
llm_embeddings_merge_next(llm_embeddings_merge_t *merge,
    llm_embeddings_piece_t *piece)
{
    do {
        memset(piece, 0, sizeof(llm_embeddings_piece_t));

        if (merge->list < merge->table->n) {

            if (llm_merge_list(merge, piece)) {
                return 1;
            }

        } else if (merge->at == merge->body.len) {
            return 0;

        } else if (llm_merge_frame(merge, piece)) {
            return 1;
        }

    } while (1);
}


/* up to the next place, or what fills it; 0 where a list begins */

static int
llm_merge_frame(llm_embeddings_merge_t *merge, llm_embeddings_piece_t *piece)
{
    size_t                         next;
    unsigned                       i, list;
    const llm_range_t             *hole;
    const llm_embeddings_table_t  *table;

    table = merge->table;
    next = merge->body.len;
    list = table->n;
    hole = NULL;

    for (i = 0; i < table->n; i++) {
        if (table->lists[i].list.start >= merge->at
            && table->lists[i].list.start < next)
        {
            next = table->lists[i].list.start;
            list = i;
        }
    }

    for (i = 0; i < table->holes; i++) {
        if (table->hole[i].start >= merge->at && table->hole[i].start < next) {
            next = table->hole[i].start;
            hole = &table->hole[i];
        }
    }

    if (next > merge->at) {
        piece->text.data = merge->body.data + merge->at;
        piece->text.len = next - merge->at;
        merge->at = next;
        return 1;
    }

    if (hole) {
        piece->text.data = merge->text;
        piece->text.len = (size_t) snprintf((char *) merge->text,
                                            sizeof(merge->text), "%lld",
                                            (long long) merge->tokens);
        merge->at = hole->end;
        return 1;
    }

    merge->list = list;
    merge->input = 0;
    merge->step = sw_space;

    return 0;
}


/* the next piece of the list; 0 where that is empty */

static int
llm_merge_list(llm_embeddings_merge_t *merge, llm_embeddings_piece_t *piece)
{
    const llm_embeddings_list_t  *list;

    list = &merge->table->lists[merge->list];

    piece->input = merge->input;
    piece->list = merge->list;

    switch (merge->step++) {

    case sw_comma:
        merge->text[0] = ',';
        piece->text.data = merge->text;
        piece->text.len = 1;
        return 1;

    case sw_space:

        /* as before the first one, or else as there was between two */

        piece->text.data = merge->body.data + list->list.start;
        piece->text.len = list->element.start - list->list.start;

        if (piece->text.len == 0 && merge->input) {
            piece->text.data = merge->table->space;
            piece->text.len = merge->table->spaces;
        }

        return piece->text.len != 0;

    case sw_before:
        return 1;

    case sw_index:

        if (list->index.end == 0) {
            break;
        }

        piece->text.data = merge->text;
        piece->text.len = (size_t) snprintf((char *) merge->text,
                                            sizeof(merge->text), "%zu",
                                            merge->input);
        return 1;

    default: /* sw_after */

        merge->step = sw_comma;
        merge->input++;

        if (merge->input == merge->n) {
            merge->at = list->element.end;
            merge->list = merge->table->n;
        }

        piece->after = 1;

        return list->index.end != 0;
    }

    return 0;
}
