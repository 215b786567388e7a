#include <stdlib.h>

#include <openssl/evp.h>

#include "llm_body.h"
#include "llm_bytes.h"
#include "llm_embeddings.h"


/* what a value of a request is */

enum {
    LLM_ASK_INPUTS = 1,        /* the member that holds them */
    LLM_ASK_INPUT,
    LLM_ASK_OTHER              /* inputs of another kind, or that are one */
};


typedef struct {
    llm_embeddings_t         *ask;
    const llm_scan_node_t    *root;
    unsigned                  kinds;       /* of a list's elements */
    unsigned                  tokens:1;    /* one list of them is the input */
    unsigned                  found:1;
    unsigned                  unfit:1;
    unsigned                  failed:1;    /* memory ran out */
} llm_embeddings_reader_t;


static const llm_scan_node_t *llm_embeddings_root(
    const llm_dialect_t *dialect);
static int llm_embeddings_ignored(const llm_ignore_t *ignore,
    const llm_scan_node_t *root);
static void llm_embeddings_value(void *ctx, const llm_scan_value_t *value);
static void llm_embeddings_inputs(llm_embeddings_reader_t *reader,
    const llm_scan_value_t *value);
static void llm_embeddings_input(llm_embeddings_reader_t *reader,
    const llm_scan_value_t *value);
static int llm_embeddings_key(EVP_MD_CTX *md, const unsigned char **parts,
    unsigned char *key);


static const llm_scan_node_t  llm_ask_input =
    { llm_null_string, LLM_ASK_INPUT, NULL, NULL };

static const llm_scan_node_t  llm_ask_openai_members[] = {
    { llm_string("input"), LLM_ASK_INPUTS, NULL, &llm_ask_input },
    /* Jina: each vector depends on all inputs */
    { llm_string("late_chunking"), LLM_ASK_OTHER, NULL, NULL },
    llm_scan_end_node
};

static const llm_scan_node_t  llm_ask_openai =
    { llm_null_string, 0, llm_ask_openai_members, NULL };

static const llm_scan_node_t  llm_ask_cohere_members[] = {
    { llm_string("texts"), LLM_ASK_INPUTS, NULL, &llm_ask_input },
    { llm_string("images"), LLM_ASK_OTHER, NULL, NULL },
    { llm_string("inputs"), LLM_ASK_OTHER, NULL, NULL },
    llm_scan_end_node
};

static const llm_scan_node_t  llm_ask_cohere =
    { llm_null_string, 0, llm_ask_cohere_members, NULL };

static const llm_scan_node_t  llm_ask_gemini_members[] = {
    { llm_string("requests"), LLM_ASK_INPUTS, NULL, &llm_ask_input },
    llm_scan_end_node
};

static const llm_scan_node_t  llm_ask_gemini =
    { llm_null_string, 0, llm_ask_gemini_members, NULL };


int
llm_embeddings_read(const llm_dialect_t *dialect, llm_str_t body,
    const llm_ignore_t *ignore, llm_embeddings_t *ask)
{
    llm_scan_t                scan;
    llm_scan_result_e         result;
    llm_embeddings_reader_t   reader;

    memset(&reader, 0, sizeof(llm_embeddings_reader_t));

    reader.ask = ask;
    reader.root = llm_embeddings_root(dialect);

    if (reader.root == NULL || llm_embeddings_ignored(ignore, reader.root)) {
        return 0;
    }

    llm_scan_init(&scan, llm_embeddings_value, &reader);
    llm_scan_begin(&scan, reader.root);

    result = llm_scan_feed(&scan, body.data, body.len);

    if (result == LLM_SCAN_OK) {
        result = llm_scan_end(&scan);
    }

    llm_scan_free(&scan);

    if (result == LLM_SCAN_NO_MEMORY || reader.failed) {
        return -1;
    }

    return result == LLM_SCAN_OK && reader.found && !reader.unfit
           && ask->n > 0;
}


void
llm_embeddings_free(llm_embeddings_t *ask)
{
    free(ask->inputs);
    free(ask->weights);

    ask->inputs = NULL;
    ask->weights = NULL;
    ask->n = 0;
}


static const llm_scan_node_t *
llm_embeddings_root(const llm_dialect_t *dialect)
{
    switch (dialect->id) {

    case LLM_DIALECT_EMBEDDINGS:
    case LLM_DIALECT_OLLAMA_EMBED:
        return &llm_ask_openai;

    case LLM_DIALECT_COHERE_EMBED:
        return &llm_ask_cohere;

    case LLM_DIALECT_GEMINI_EMBED:
        return &llm_ask_gemini;

    default:
        return NULL;
    }
}


/* whether something of the inputs is left out of the key */

static int
llm_embeddings_ignored(const llm_ignore_t *ignore,
    const llm_scan_node_t *root)
{
    size_t     i, len;
    llm_str_t  path, name;

    name = root->members[0].name;

    for (i = 0; ignore && i < ignore->n; i++) {

        path = ignore->paths[i];

        for (len = 0; len < path.len && path.data[len] != '.'; len++) {
            /* void */
        }

        if (len == name.len && memcmp(path.data, name.data, len) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
llm_embeddings_value(void *ctx, const llm_scan_value_t *value)
{
    llm_embeddings_reader_t *reader = ctx;

    if (reader->unfit) {
        return;
    }

    switch (value->role) {

    case LLM_ASK_INPUTS:
        llm_embeddings_inputs(reader, value);
        break;

    case LLM_ASK_INPUT:
        llm_embeddings_input(reader, value);
        break;

    default: /* LLM_ASK_OTHER */
        if (value->type != LLM_SCAN_NULL && value->type != LLM_SCAN_FALSE) {
            reader->unfit = 1;
        }
    }
}


/* the member itself: a list where it opens and where it closes, or a string */

static void
llm_embeddings_inputs(llm_embeddings_reader_t *reader,
    const llm_scan_value_t *value)
{
    llm_embeddings_t  *ask;

    ask = reader->ask;

    if (value->type == LLM_SCAN_ARRAY && value->open) {
        return;
    }

    reader->found = 1;

    ask->value.start = value->start;
    ask->value.end = value->end;

    if (value->type == LLM_SCAN_STRING
        && reader->root == &llm_ask_openai)
    {
        llm_embeddings_input(reader, value);
        return;
    }

    if (value->type != LLM_SCAN_ARRAY) {
        reader->unfit = 1;
        return;
    }

    /* elements of two kinds are nothing that could be told apart */

    if (value->kinds == llm_scan_kind(LLM_SCAN_NUMBER)
        && reader->root == &llm_ask_openai)
    {
        ask->n = 0;
        reader->tokens = 1;
        llm_embeddings_input(reader, value);
        return;
    }

    if (reader->root == &llm_ask_gemini) {
        reader->unfit = value->kinds != llm_scan_kind(LLM_SCAN_OBJECT);

    } else {
        reader->unfit = value->kinds != llm_scan_kind(LLM_SCAN_STRING)
                        && (value->kinds != llm_scan_kind(LLM_SCAN_ARRAY)
                            || reader->root != &llm_ask_openai);
    }
}


static void
llm_embeddings_input(llm_embeddings_reader_t *reader,
    const llm_scan_value_t *value)
{
    size_t             weight;
    llm_embeddings_t  *ask;

    ask = reader->ask;

    if (value->open || (value->type == LLM_SCAN_NUMBER && ask->n)) {
        return;
    }

    /* tokens are numbers, and at least one */

    if (value->type == LLM_SCAN_ARRAY
        && value->kinds != llm_scan_kind(LLM_SCAN_NUMBER))
    {
        reader->unfit = 1;
        return;
    }

    if (ask->inputs == NULL) {
        ask->inputs = malloc(LLM_EMBEDDINGS_MAX * sizeof(llm_range_t));
        ask->weights = malloc(LLM_EMBEDDINGS_MAX * sizeof(uint32_t));

        if (ask->inputs == NULL || ask->weights == NULL) {
            reader->failed = 1;
            reader->unfit = 1;
            return;
        }
    }

    if (ask->n == LLM_EMBEDDINGS_MAX) {
        reader->unfit = 1;
        return;
    }

    /* bytes of a text, or tokens */

    weight = value->type == LLM_SCAN_OBJECT ? value->end - value->start
                                            : value->size;

    ask->inputs[ask->n].start = value->start;
    ask->inputs[ask->n].end = value->end;
    ask->weights[ask->n] = weight < LLM_EMBEDDINGS_WEIGHT
                           ? (uint32_t) weight : LLM_EMBEDDINGS_WEIGHT;
    ask->n++;
}


int
llm_embeddings_rest(const llm_embeddings_t *ask, const llm_route_t *route,
    const llm_ignore_t *ignore, llm_str_t body, unsigned char *digest)
{
    int         rc;
    llm_buf_t   text;
    llm_body_t  rest;

    memset(&text, 0, sizeof(llm_buf_t));

    rc = -1;

    if (llm_buf_add(&text, body.data, ask->value.start) == 0
        && llm_buf_add(&text, "0", 1) == 0
        && llm_buf_add(&text, body.data + ask->value.end,
                       body.len - ask->value.end)
           == 0)
    {
        if (llm_body_read(text.data, text.len, route, ignore, 0, &rest)
            == LLM_REASON_NONE)
        {
            memcpy(digest, rest.digest, LLM_KEY_LEN);
            rc = 0;
        }

        llm_body_free(&rest);
    }

    llm_buf_free(&text);

    return rc;
}


int
llm_embeddings_keys(const llm_embeddings_t *ask, llm_str_t body,
    const unsigned char *base, const unsigned char *rest, unsigned char *keys)
{
    int                   rc;
    size_t                i;
    llm_buf_t             text;
    llm_body_t            input;
    EVP_MD_CTX           *md;
    llm_route_t           route;
    llm_range_t           range;
    llm_ignore_t          ignore;
    const unsigned char  *parts[3];

    memset(&text, 0, sizeof(llm_buf_t));
    memset(&route, 0, sizeof(llm_route_t));
    memset(&ignore, 0, sizeof(llm_ignore_t));

    route.dialect = llm_dialect_get(LLM_DIALECT_JSON);

    md = EVP_MD_CTX_new();

    rc = (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1) ? 0 : -1;

    parts[0] = base;
    parts[1] = rest;
    parts[2] = input.digest;

    for (i = 0; i < ask->n && rc == 0; i++) {

        range = ask->inputs[i];
        text.len = 0;

        if (llm_buf_add(&text, "{\"i\":", 5) != 0
            || llm_buf_add(&text, body.data + range.start,
                           range.end - range.start)
               != 0
            || llm_buf_add(&text, "}", 1) != 0)
        {
            rc = -1;
            break;
        }

        rc = llm_body_read(text.data, text.len, &route, &ignore, 0, &input)
             == LLM_REASON_NONE
             ? llm_embeddings_key(md, parts, keys + i * LLM_KEY_LEN)
             : -1;

        llm_body_free(&input);
    }

    EVP_MD_CTX_free(md);
    llm_buf_free(&text);

    return rc;
}


/* parts as llm_key_add() delimits them; no thread but one may call that */

static int
llm_embeddings_key(EVP_MD_CTX *md, const unsigned char **parts,
    unsigned char *key)
{
    int            i;
    unsigned       len;
    unsigned char  text[3 * (9 + LLM_KEY_LEN)], *p;

    memset(text, 0, sizeof(text));

    for (i = 0, p = text; i < 3; i++, p += 9 + LLM_KEY_LEN) {
        p[0] = LLM_KEY_INPUT;
        p[8] = LLM_KEY_LEN;
        memcpy(p + 9, parts[i], LLM_KEY_LEN);
    }

    return EVP_DigestInit_ex(md, NULL, NULL) == 1
           && EVP_DigestUpdate(md, text, sizeof(text)) == 1
           && EVP_DigestFinal_ex(md, key, &len) == 1
           ? 0 : -1;
}


/* keys are digests: their first bytes are as good as any hash */

int
llm_embeddings_distinct(const unsigned char *keys, size_t n, uint16_t *first)
{
    size_t     i, slot;
    uint16_t  *slots;

    const size_t  mask = 2 * LLM_EMBEDDINGS_MAX - 1;

    slots = calloc(mask + 1, sizeof(uint16_t));
    if (slots == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {

        slot = (size_t) llm_bytes_get(keys + i * LLM_KEY_LEN, 4) & mask;

        while (slots[slot]
               && memcmp(keys + (slots[slot] - 1u) * LLM_KEY_LEN,
                         keys + i * LLM_KEY_LEN, LLM_KEY_LEN)
                  != 0)
        {
            slot = (slot + 1) & mask;
        }

        if (slots[slot] == 0) {
            slots[slot] = (uint16_t) (i + 1);
        }

        first[i] = (uint16_t) (slots[slot] - 1);
    }

    free(slots);

    return 0;
}
