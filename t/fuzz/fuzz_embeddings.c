/*
 * Any bytes as an embeddings request, as an answer, and as a stored table.
 *
 * What is read of a request is what a request for a part of it asks for.  An
 * answer that can be cut gives answers to one input that can be cut again, and
 * put together they are the answer: the same elements, tokens and shape.
 */


#include <stdlib.h>

#include "llm_body.h"
#include "llm_embeddings.h"


#define check(ok)  if (!(ok)) abort()


static const llm_dialect_e  dialects[] = {
    LLM_DIALECT_EMBEDDINGS,
    LLM_DIALECT_COHERE_EMBED,
    LLM_DIALECT_GEMINI_EMBED,
    LLM_DIALECT_OLLAMA_EMBED
};


static void
copy(void *data, size_t offset, unsigned char *p, size_t len)
{
    llm_str_t *text = data;

    check(offset <= text->len && len <= text->len - offset);
    memcpy(p, text->data + offset, len);
}


static void
add(llm_buf_t *buf, const void *data, size_t len)
{
    check(llm_buf_add(buf, data, len) == 0);
}


/* every second input: the same keys, in another body */

static void
ask(const llm_dialect_t *dialect, llm_str_t body)
{
    size_t            i, n;
    uint16_t         *first;
    llm_buf_t         part;
    llm_str_t         text;
    llm_body_t        read;
    llm_route_t       route;
    llm_ignore_t      ignore;
    unsigned char     rest[2][LLM_KEY_LEN], base[LLM_KEY_LEN], *keys, *other;
    llm_embeddings_t  whole, some;

    memset(&route, 0, sizeof(llm_route_t));
    memset(&ignore, 0, sizeof(llm_ignore_t));
    memset(&whole, 0, sizeof(llm_embeddings_t));
    memset(&some, 0, sizeof(llm_embeddings_t));
    memset(&part, 0, sizeof(llm_buf_t));
    memset(base, 1, LLM_KEY_LEN);

    route.dialect = dialect;

    if (llm_embeddings_read(dialect, body, NULL, &whole) != 1
        || llm_body_read(body.data, body.len, &route, &ignore, 0, &read)
           != LLM_REASON_NONE)
    {
        llm_embeddings_free(&whole);
        return;
    }

    llm_body_free(&read);

    check(whole.n >= 1 && whole.n <= LLM_EMBEDDINGS_MAX);
    check(whole.value.end <= body.len);

    keys = malloc(whole.n * LLM_KEY_LEN);
    other = malloc(whole.n * LLM_KEY_LEN);
    first = malloc(whole.n * sizeof(uint16_t));
    check(keys && other && first);

    check(llm_embeddings_rest(&whole, &route, &ignore, body, rest[0]) == 0);
    check(llm_embeddings_keys(&whole, body, base, rest[0], keys) == 0);
    check(llm_embeddings_distinct(keys, whole.n, first) == 0);

    add(&part, body.data, whole.value.start);

    for (i = 0, n = 0; i < whole.n; i += 2, n++) {
        check(whole.inputs[i].start >= whole.value.start
              && whole.inputs[i].end <= whole.value.end);
        check(first[i] <= i && first[first[i]] == first[i]);
        check(memcmp(keys + i * LLM_KEY_LEN, keys + first[i] * LLM_KEY_LEN,
                     LLM_KEY_LEN)
              == 0);

        add(&part, i ? "," : "[", 1);
        add(&part, body.data + whole.inputs[i].start,
            whole.inputs[i].end - whole.inputs[i].start);
    }

    add(&part, "]", 1);
    add(&part, body.data + whole.value.end, body.len - whole.value.end);

    text.data = part.data;
    text.len = part.len;

    check(llm_embeddings_read(dialect, text, NULL, &some) == 1);
    check(some.n == n);
    check(llm_embeddings_rest(&some, &route, &ignore, text, rest[1]) == 0);
    check(memcmp(rest[0], rest[1], LLM_KEY_LEN) == 0);
    check(llm_embeddings_keys(&some, text, base, rest[1], other) == 0);

    for (i = 0; i < n; i++) {
        check(memcmp(other + i * LLM_KEY_LEN, keys + 2 * i * LLM_KEY_LEN,
                     LLM_KEY_LEN)
              == 0);
    }

    llm_embeddings_free(&whole);
    llm_embeddings_free(&some);
    llm_buf_free(&part);
    free(keys);
    free(other);
    free(first);
}


static llm_embeddings_cut_t *
cut_of(const llm_dialect_t *dialect, llm_str_t *text, size_t n, size_t piece,
    const uint32_t *weights)
{
    size_t                 at, len;
    llm_embeddings_cut_t  *cut;

    cut = llm_embeddings_cut_create(dialect, n);
    check(cut);

    for (at = 0; at < text->len; at += len) {

        len = text->len - at < piece ? text->len - at : piece;

        if (llm_embeddings_cut_feed(cut, text->data + at, len) != 0) {
            break;
        }
    }

    if (llm_embeddings_cut_end(cut, copy, text, weights) == 0) {
        return cut;
    }

    llm_embeddings_cut_free(cut);

    return NULL;
}


static llm_str_t
part_of(const llm_embeddings_list_t *place, llm_str_t text, int after)
{
    llm_str_t    part;
    llm_range_t  range;

    range = llm_embeddings_part(place, after);
    check(range.start <= range.end && range.end <= text.len);

    part.data = text.data + range.start;
    part.len = range.end - range.start;

    return part;
}


static void
same(llm_str_t a, llm_str_t b)
{
    check(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
}


static void
reply(const llm_dialect_t *dialect, llm_str_t text, size_t n, size_t piece)
{
    size_t                   i;
    int64_t                  sum;
    uint32_t                 weights[8];
    unsigned                 k;
    unsigned char            bytes[LLM_EMBEDDINGS_TABLE];
    llm_buf_t                one[8], all;
    llm_str_t                body, part;
    llm_embeddings_cut_t    *cut, *again;
    llm_embeddings_list_t    place, other;
    llm_embeddings_merge_t   merge;
    llm_embeddings_piece_t   p;
    llm_embeddings_table_t   tables[8];

    for (i = 0; i < n; i++) {
        weights[i] = (uint32_t) (i * 3);
    }

    cut = cut_of(dialect, &text, n, piece, weights);
    again = cut_of(dialect, &text, n, text.len + 1, weights);
    check((cut == NULL) == (again == NULL));
    llm_embeddings_cut_free(again);

    if (cut == NULL) {
        return;
    }

    memset(one, 0, sizeof(one));
    memset(&all, 0, sizeof(llm_buf_t));

    for (i = 0, sum = 0; i < n; i++) {

        check(llm_embeddings_cut_one(cut, copy, &text, i, &one[i], &tables[i])
              == 0);

        llm_embeddings_encode(&tables[i], bytes);
        check(llm_embeddings_decode(bytes, one[i].len, &tables[i]) == 0);

        body.data = one[i].data;
        body.len = one[i].len;

        again = cut_of(dialect, &body, 1, piece, weights + (n > 1));
        check(again);
        check(llm_embeddings_cut_compare(again, tables[i].shape) == 0);
        check(llm_embeddings_cut_tokens(again)
              == llm_embeddings_cut_cost(cut, i));
        llm_embeddings_cut_free(again);

        sum += llm_embeddings_cut_cost(cut, i);
    }

    check(llm_embeddings_cut_tokens(cut) < 0
          || sum == llm_embeddings_cut_tokens(cut));

    body.data = one[n - 1].data;
    body.len = one[n - 1].len;

    llm_embeddings_merge(&merge, body, &tables[n - 1], n,
                         llm_embeddings_cut_tokens(cut));

    while (llm_embeddings_merge_next(&merge, &p)) {

        if (p.text.len == 0) {
            check(p.input < n && p.list < tables[p.input].n);
            body.data = one[p.input].data;
            body.len = one[p.input].len;
            p.text = part_of(&tables[p.input].lists[p.list], body, p.after);
        }

        add(&all, p.text.data, p.text.len);
    }

    body.data = all.data;
    body.len = all.len;

    again = cut_of(dialect, &body, n, piece, weights);
    check(again);
    check(llm_embeddings_cut_compare(again, tables[0].shape) == 0);
    check(llm_embeddings_cut_tokens(again) == llm_embeddings_cut_tokens(cut));

    for (i = 0; i < n; i++) {
        for (k = 0; k < tables[0].n; k++) {
            llm_embeddings_cut_element(cut, i, k, &place);
            llm_embeddings_cut_element(again, i, k, &other);

            part = part_of(&place, text, 0);
            same(part, part_of(&other, body, 0));
            part = part_of(&place, text, 1);
            same(part, part_of(&other, body, 1));
        }

        llm_buf_free(&one[i]);
    }

    llm_embeddings_cut_free(cut);
    llm_embeddings_cut_free(again);
    llm_buf_free(&all);
}


/* what stands in a zone or in Redis is not trusted */

static void
table(llm_str_t text)
{
    size_t                   n;
    llm_str_t                body;
    llm_embeddings_merge_t   merge;
    llm_embeddings_piece_t   piece;
    llm_embeddings_table_t   t;

    if (text.len < LLM_EMBEDDINGS_TABLE) {
        return;
    }

    body.data = text.data + LLM_EMBEDDINGS_TABLE;
    body.len = text.len - LLM_EMBEDDINGS_TABLE;

    if (llm_embeddings_decode(text.data, body.len, &t) != 0) {
        return;
    }

    llm_embeddings_merge(&merge, body, &t, 3, 7);

    for (n = 0; llm_embeddings_merge_next(&merge, &piece); n++) {

        if (piece.text.len == 0) {
            (void) part_of(&t.lists[piece.list], body, piece.after);
        }

        check(n < 1000);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llm_str_t             text;
    const llm_dialect_t  *dialect;

    if (size < 2) {
        return 0;
    }

    dialect = llm_dialect_get(dialects[data[0] & 3]);

    text.data = data + 2;
    text.len = size - 2;

    switch (data[0] >> 2 & 3) {

    case 0:
        ask(dialect, text);
        break;

    case 1:
        table(text);
        break;

    default:
        reply(dialect, text, 1 + (data[1] & 7), 1 + (data[1] >> 3));
    }

    return 0;
}
