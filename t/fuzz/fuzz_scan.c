/*
 * The JSON scanner must agree with jansson on what is JSON, and tell the same
 * of a text however it is cut.
 */


#include <stdlib.h>

#include "llm_scan.h"


static const llm_scan_node_t  fuzz_root;

static const llm_scan_node_t  fuzz_members[] = {
    { llm_string("a"), 1, fuzz_members, &fuzz_root },
    { llm_string("b"), 2 | LLM_SCAN_CONTAINERS, NULL, &fuzz_root },
    { llm_string("cache"), 3, NULL, NULL },
    llm_scan_end_node
};

static const llm_scan_node_t  fuzz_root =
    { llm_null_string, 4, fuzz_members, &fuzz_root };


static void
fuzz_mix(uint64_t *hash, const void *data, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    p = data;

    for (i = 0; i < len; i++) {
        *hash = (*hash ^ p[i]) * 0x100000001b3ULL;
    }

    *hash = (*hash ^ len) * 0x9e3779b97f4a7c15ULL;
}


static void
fuzz_handler(void *ctx, const llm_scan_value_t *value)
{
    uint64_t  word;

    word = ((uint64_t) value->role << 32) | ((uint64_t) value->type << 16)
           | ((uint64_t) value->kinds << 1) | value->open;

    fuzz_mix(ctx, &word, sizeof(word));
    fuzz_mix(ctx, value->text.data, value->text.len);
    fuzz_mix(ctx, &value->size, sizeof(value->size));
    fuzz_mix(ctx, &value->position, sizeof(value->position));
}


static uint64_t
fuzz_run(const unsigned char *text, size_t len, size_t piece, int *valid)
{
    size_t              i, n;
    uint64_t            hash;
    llm_scan_t          scan;
    unsigned char      *copy;
    llm_scan_result_e   rc;

    hash = 0;

    llm_scan_init(&scan, fuzz_handler, &hash);
    llm_scan_begin(&scan, &fuzz_root);

    rc = LLM_SCAN_OK;

    for (i = 0; i < len && rc == LLM_SCAN_OK; i += n) {
        n = len - i < piece ? len - i : piece;

        copy = malloc(n);
        memcpy(copy, text + i, n);

        rc = llm_scan_feed(&scan, copy, n);

        free(copy);
    }

    if (rc == LLM_SCAN_OK) {
        rc = llm_scan_end(&scan);
    }

    if (scan.first_end != SIZE_MAX && text[scan.first_end] != '}') {
        abort();
    }

    fuzz_mix(&hash, &scan.first_end, sizeof(scan.first_end));
    hash = hash * 8 + scan.first_empty * 4 + scan.first_cache * 2;

    *valid = (rc == LLM_SCAN_OK);

    llm_scan_free(&scan);

    return hash * 2 + (uint64_t) *valid;
}


/* what the two may differ in */

static int
fuzz_excused(const unsigned char *text, size_t len, int valid,
    const json_error_t *error)
{
    size_t                 i;
    enum json_error_code   code;

    code = json_error_code(error);

    if (valid) {

        /* numbers that overflow, lone surrogates, NUL in a name */

        if (code == json_error_numeric_overflow
            || code == json_error_null_byte_in_key)
        {
            return 1;
        }

        for (i = 0; i + 3 < len; i++) {
            if (text[i] == '\\' && text[i + 1] == 'u'
                && (text[i + 2] | 0x20) == 'd')
            {
                return 1;
            }
        }

        return 0;
    }

    /* jansson takes a NUL between tokens for the end of the text */

    return memchr(text, '\0', len) != NULL;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int            valid, again;
    size_t         i, depth, deepest;
    json_t        *doc;
    uint64_t       whole;
    json_error_t   error;

    if (size < 1) {
        return 0;
    }

    whole = fuzz_run(data + 1, size - 1, size, &valid);

    if (fuzz_run(data + 1, size - 1, 1, &again) != whole
        || fuzz_run(data + 1, size - 1, (size_t) data[0] + 1, &again) != whole)
    {
        abort();
    }

    doc = json_loadb((const char *) data + 1, size - 1,
                     JSON_REJECT_DUPLICATES|JSON_DECODE_ANY
                     |JSON_DECODE_INT_AS_REAL|JSON_ALLOW_NUL, &error);

    /* brackets in strings make it look deeper than it is */

    depth = 0;
    deepest = 0;

    for (i = 1; i < size; i++) {
        depth += (data[i] == '[' || data[i] == '{');
        depth -= ((data[i] == ']' || data[i] == '}') && depth);
        deepest = depth > deepest ? depth : deepest;
    }

    if (valid != (doc != NULL) && deepest <= LLM_JSON_MAX_DEPTH
        && !fuzz_excused(data + 1, size - 1, valid, &error))
    {
        abort();
    }

    json_decref(doc);

    return 0;
}
