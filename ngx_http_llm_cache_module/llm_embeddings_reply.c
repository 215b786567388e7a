#include <stdlib.h>

#include <openssl/evp.h>

#include "llm_bytes.h"
#include "llm_embeddings_core.h"


/* what a value of an answer is; lists are numbered on top */

enum {
    LLM_REPLY_GROUP = 1,       /* an object all of whose members are known */
    LLM_REPLY_KNOWN,           /* the same for all answers of a shape */
    LLM_REPLY_FREE,            /* another one in each answer */
    LLM_REPLY_TOKENS,
    LLM_REPLY_NONE,            /* null, zero, false or empty */
    LLM_REPLY_LIST,
    LLM_REPLY_ELEMENT,
    LLM_REPLY_VECTOR,          /* in an element, or the element itself */
    LLM_REPLY_INDEX
};

#define LLM_REPLY_ROLES   0x0f
#define LLM_REPLY_SHIFT   12
#define LLM_REPLY_BARE    0x10   /* an element that is a vector */
#define LLM_REPLY_TEXT    0x20   /* or a text */


static const llm_scan_node_t *llm_reply_root(const llm_dialect_t *dialect);
static void llm_reply_value(void *ctx, const llm_scan_value_t *value);
static int llm_reply_group(llm_embeddings_cut_t *cut,
    const llm_scan_value_t *value);
static int llm_reply_free(llm_embeddings_cut_t *cut,
    const llm_scan_value_t *value);
static int llm_reply_tokens(llm_embeddings_cut_t *cut,
    const llm_scan_value_t *value);
static int llm_reply_number(llm_str_t text, int64_t *number);
static int llm_reply_none(const llm_scan_value_t *value);
static int llm_reply_list(llm_embeddings_cut_t *cut, llm_reply_list_t *list,
    const llm_scan_value_t *value);
static int llm_reply_element(llm_embeddings_cut_t *cut,
    llm_reply_list_t *list, const llm_scan_value_t *value);
static int llm_reply_vector(llm_reply_list_t *list,
    const llm_scan_value_t *value);
static int llm_reply_index(llm_reply_list_t *list,
    const llm_scan_value_t *value);
static int llm_reply_complete(llm_embeddings_cut_t *cut);
static void llm_reply_share(llm_embeddings_cut_t *cut,
    const uint32_t *weights);
static int llm_reply_shape(llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data);
static int llm_reply_digest(llm_embeddings_cut_t *cut, EVP_MD_CTX *md,
    llm_embeddings_copy_pt copy, void *data);
static void llm_reply_space(llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data);


#define llm_reply_node(name, role, members, items)                            \
    { llm_string(name), role, members, items }

#define llm_reply_of(role, list)                                              \
    ((role) | (list) << LLM_REPLY_SHIFT)


/* OpenAI's, with what others are known to add */

static const llm_scan_node_t  llm_reply_details[] = {
    llm_reply_node("cached_tokens", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("audio_tokens", LLM_REPLY_NONE, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_openai_usage[] = {
    llm_reply_node("prompt_tokens", LLM_REPLY_TOKENS, NULL, NULL),
    llm_reply_node("total_tokens", LLM_REPLY_TOKENS, NULL, NULL),
    llm_reply_node("completion_tokens", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("prompt_tokens_details", LLM_REPLY_GROUP,
                   llm_reply_details, NULL),
    llm_reply_node("prompt_audio_seconds", LLM_REPLY_NONE, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_openai_element_members[] = {
    llm_reply_node("index", llm_reply_of(LLM_REPLY_INDEX, 0), NULL, NULL),
    llm_reply_node("embedding", llm_reply_of(LLM_REPLY_VECTOR, 0), NULL,
                   NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_openai_element =
    { llm_null_string, llm_reply_of(LLM_REPLY_ELEMENT, 0),
      llm_reply_openai_element_members, NULL };

static const llm_scan_node_t  llm_reply_openai_members[] = {
    llm_reply_node("object", LLM_REPLY_KNOWN, NULL, NULL),
    llm_reply_node("data", llm_reply_of(LLM_REPLY_LIST, 0), NULL,
                   &llm_reply_openai_element),
    llm_reply_node("model", LLM_REPLY_KNOWN, NULL, NULL),
    llm_reply_node("usage", LLM_REPLY_GROUP, llm_reply_openai_usage, NULL),
    llm_reply_node("id", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("created", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("provider", LLM_REPLY_KNOWN, NULL, NULL),
    llm_reply_node("error", LLM_REPLY_NONE, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_openai =
    { llm_null_string, LLM_REPLY_GROUP, llm_reply_openai_members, NULL };


/* Cohere's v2: a list for each type, and the texts once more */

#define llm_reply_cohere_vectors(number)                                      \
    { llm_null_string,                                                        \
      llm_reply_of(LLM_REPLY_ELEMENT | LLM_REPLY_BARE, number), NULL, NULL }

static const llm_scan_node_t  llm_reply_cohere_elements[] = {
    llm_reply_cohere_vectors(0),
    llm_reply_cohere_vectors(1),
    llm_reply_cohere_vectors(2),
    llm_reply_cohere_vectors(3),
    llm_reply_cohere_vectors(4),
    llm_reply_cohere_vectors(5),
    { llm_null_string, llm_reply_of(LLM_REPLY_ELEMENT | LLM_REPLY_TEXT, 6),
      NULL, NULL }
};

static const llm_scan_node_t  llm_reply_cohere_types[] = {
    llm_reply_node("float", llm_reply_of(LLM_REPLY_LIST, 0), NULL,
                   &llm_reply_cohere_elements[0]),
    llm_reply_node("int8", llm_reply_of(LLM_REPLY_LIST, 1), NULL,
                   &llm_reply_cohere_elements[1]),
    llm_reply_node("uint8", llm_reply_of(LLM_REPLY_LIST, 2), NULL,
                   &llm_reply_cohere_elements[2]),
    llm_reply_node("binary", llm_reply_of(LLM_REPLY_LIST, 3), NULL,
                   &llm_reply_cohere_elements[3]),
    llm_reply_node("ubinary", llm_reply_of(LLM_REPLY_LIST, 4), NULL,
                   &llm_reply_cohere_elements[4]),
    llm_reply_node("base64", llm_reply_of(LLM_REPLY_LIST, 5), NULL,
                   &llm_reply_cohere_elements[5]),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_cohere_units[] = {
    llm_reply_node("input_tokens", LLM_REPLY_TOKENS, NULL, NULL),
    llm_reply_node("output_tokens", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("image_tokens", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("images", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("search_units", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("classifications", LLM_REPLY_NONE, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_cohere_meta[] = {
    llm_reply_node("api_version", LLM_REPLY_KNOWN, NULL, NULL),
    llm_reply_node("billed_units", LLM_REPLY_GROUP, llm_reply_cohere_units,
                   NULL),
    llm_reply_node("tokens", LLM_REPLY_GROUP, llm_reply_cohere_units, NULL),
    llm_reply_node("warnings", LLM_REPLY_KNOWN, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_cohere_members[] = {
    llm_reply_node("id", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("embeddings", LLM_REPLY_GROUP, llm_reply_cohere_types,
                   NULL),
    llm_reply_node("texts", llm_reply_of(LLM_REPLY_LIST, 6), NULL,
                   &llm_reply_cohere_elements[6]),
    llm_reply_node("images", LLM_REPLY_NONE, NULL, NULL),
    llm_reply_node("meta", LLM_REPLY_GROUP, llm_reply_cohere_meta, NULL),
    llm_reply_node("response_type", LLM_REPLY_KNOWN, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_cohere =
    { llm_null_string, LLM_REPLY_GROUP, llm_reply_cohere_members, NULL };


/* Gemini's batches */

static const llm_scan_node_t  llm_reply_gemini_element_members[] = {
    llm_reply_node("values", llm_reply_of(LLM_REPLY_VECTOR, 0), NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_gemini_element =
    { llm_null_string, llm_reply_of(LLM_REPLY_ELEMENT, 0),
      llm_reply_gemini_element_members, NULL };

static const llm_scan_node_t  llm_reply_gemini_usage[] = {
    llm_reply_node("promptTokenCount", LLM_REPLY_TOKENS, NULL, NULL),
    llm_reply_node("totalTokenCount", LLM_REPLY_TOKENS, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_gemini_members[] = {
    llm_reply_node("embeddings", llm_reply_of(LLM_REPLY_LIST, 0), NULL,
                   &llm_reply_gemini_element),
    llm_reply_node("usageMetadata", LLM_REPLY_GROUP, llm_reply_gemini_usage,
                   NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_gemini =
    { llm_null_string, LLM_REPLY_GROUP, llm_reply_gemini_members, NULL };


/* Ollama's */

static const llm_scan_node_t  llm_reply_ollama_members[] = {
    llm_reply_node("model", LLM_REPLY_KNOWN, NULL, NULL),
    llm_reply_node("embeddings", llm_reply_of(LLM_REPLY_LIST, 0), NULL,
                   &llm_reply_cohere_elements[0]),
    llm_reply_node("total_duration", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("load_duration", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("created_at", LLM_REPLY_FREE, NULL, NULL),
    llm_reply_node("prompt_eval_count", LLM_REPLY_TOKENS, NULL, NULL),
    llm_scan_end_node
};

static const llm_scan_node_t  llm_reply_ollama =
    { llm_null_string, LLM_REPLY_GROUP, llm_reply_ollama_members, NULL };


static const llm_scan_node_t *
llm_reply_root(const llm_dialect_t *dialect)
{
    switch (dialect->id) {

    case LLM_DIALECT_EMBEDDINGS:
        return &llm_reply_openai;

    case LLM_DIALECT_COHERE_EMBED:
        return &llm_reply_cohere;

    case LLM_DIALECT_GEMINI_EMBED:
        return &llm_reply_gemini;

    case LLM_DIALECT_OLLAMA_EMBED:
        return &llm_reply_ollama;

    default:
        return NULL;
    }
}


llm_embeddings_cut_t *
llm_embeddings_cut_create(const llm_dialect_t *dialect, size_t n)
{
    const llm_scan_node_t  *root;
    llm_embeddings_cut_t   *cut;

    root = llm_reply_root(dialect);

    if (root == NULL || n == 0 || n > LLM_EMBEDDINGS_MAX) {
        return NULL;
    }

    cut = calloc(1, sizeof(llm_embeddings_cut_t));
    if (cut == NULL) {
        return NULL;
    }

    cut->n = n;
    cut->tokens = -1;

    llm_scan_init(&cut->scan, llm_reply_value, cut);
    llm_scan_begin(&cut->scan, root);

    return cut;
}


void
llm_embeddings_cut_free(llm_embeddings_cut_t *cut)
{
    int  i;

    if (cut == NULL) {
        return;
    }

    for (i = 0; i < LLM_EMBEDDINGS_LISTS; i++) {
        free(cut->lists[i].elements);
    }

    llm_scan_free(&cut->scan);
    free(cut->costs);
    free(cut);
}


int
llm_embeddings_cut_feed(llm_embeddings_cut_t *cut, const unsigned char *data,
    size_t len)
{
    if (cut->failed) {
        return -1;
    }

    /* offsets of a table have 32 bits */

    if (len > UINT32_MAX - cut->len
        || llm_scan_feed(&cut->scan, data, len) != LLM_SCAN_OK)
    {
        cut->failed = 1;
    }

    cut->len += len;

    return cut->failed ? -1 : 0;
}


static void
llm_reply_value(void *ctx, const llm_scan_value_t *value)
{
    int                    rc;
    unsigned               role;
    llm_reply_list_t      *list;
    llm_embeddings_cut_t  *cut = ctx;

    if (cut->failed) {
        return;
    }

    role = value->role & LLM_REPLY_ROLES;
    list = &cut->lists[value->role >> LLM_REPLY_SHIFT];

    /* members of groups: a container counts as it opens */

    if (cut->depth && role < LLM_REPLY_ELEMENT
        && (value->open || value->type < LLM_SCAN_OBJECT))
    {
        cut->members[cut->depth - 1]++;
    }

    switch (role) {

    case LLM_REPLY_GROUP:
        rc = llm_reply_group(cut, value);
        break;

    case LLM_REPLY_FREE:
        rc = llm_reply_free(cut, value);
        break;

    case LLM_REPLY_TOKENS:
        rc = llm_reply_tokens(cut, value);
        break;

    case LLM_REPLY_NONE:
        rc = llm_reply_none(value);
        break;

    case LLM_REPLY_LIST:
        rc = llm_reply_list(cut, list, value);
        break;

    case LLM_REPLY_ELEMENT:
        rc = llm_reply_element(cut, list, value);
        break;

    case LLM_REPLY_VECTOR:
        rc = llm_reply_vector(list, value);
        break;

    case LLM_REPLY_INDEX:
        rc = llm_reply_index(list, value);
        break;

    default: /* LLM_REPLY_KNOWN */
        rc = 0;
    }

    if (rc != 0) {
        cut->failed = 1;
    }
}


/* what is not known may belong to one of the inputs, or cost something */

static int
llm_reply_group(llm_embeddings_cut_t *cut, const llm_scan_value_t *value)
{
    if (value->type == LLM_SCAN_NULL) {
        return cut->depth ? 0 : -1;
    }

    if (value->type != LLM_SCAN_OBJECT) {
        return -1;
    }

    if (value->open) {

        if (cut->depth == LLM_REPLY_DEPTH) {
            return -1;
        }

        cut->members[cut->depth++] = 0;

        return 0;
    }

    return cut->members[--cut->depth] == value->size ? 0 : -1;
}


static int
llm_reply_free(llm_embeddings_cut_t *cut, const llm_scan_value_t *value)
{
    if (value->type >= LLM_SCAN_OBJECT || cut->frees == LLM_REPLY_FREES) {
        return -1;
    }

    cut->free[cut->frees].start = value->start;
    cut->free[cut->frees].end = value->end;
    cut->frees++;

    return 0;
}


static int
llm_reply_tokens(llm_embeddings_cut_t *cut, const llm_scan_value_t *value)
{
    int64_t  tokens;

    tokens = 0;

    if (value->type != LLM_SCAN_NUMBER
        || llm_reply_number(value->text, &tokens) != 0
        || (cut->tokens >= 0 && cut->tokens != tokens)
        || cut->holes == LLM_EMBEDDINGS_HOLES)
    {
        return -1;
    }

    cut->tokens = tokens;

    cut->hole[cut->holes].start = value->start;
    cut->hole[cut->holes].end = value->end;
    cut->holes++;

    return 0;
}


/* plain digits below 2^31 */

static int
llm_reply_number(llm_str_t text, int64_t *number)
{
    size_t  i;

    *number = 0;

    if (text.len == 0 || text.len > 10) {
        return -1;
    }

    for (i = 0; i < text.len; i++) {

        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }

        *number = *number * 10 + (text.data[i] - '0');
    }

    return *number <= INT32_MAX ? 0 : -1;
}


static int
llm_reply_none(const llm_scan_value_t *value)
{
    size_t  i;

    switch (value->type) {

    case LLM_SCAN_NULL:
    case LLM_SCAN_FALSE:
        return 0;

    case LLM_SCAN_NUMBER:

        for (i = 0; i < value->text.len; i++) {
            if (value->text.data[i] != '0' && value->text.data[i] != '.') {
                return -1;
            }
        }

        return value->size == value->text.len ? 0 : -1;

    case LLM_SCAN_OBJECT:
    case LLM_SCAN_ARRAY:
        return value->open || value->size == 0 ? 0 : -1;

    default:
        return -1;
    }
}


static int
llm_reply_list(llm_embeddings_cut_t *cut, llm_reply_list_t *list,
    const llm_scan_value_t *value)
{
    if (value->type == LLM_SCAN_NULL) {
        return 0;
    }

    if (value->type != LLM_SCAN_ARRAY) {
        return -1;
    }

    if (value->open) {

        list->elements = calloc(cut->n, sizeof(llm_embeddings_list_t));
        if (list->elements == NULL) {
            return -1;
        }

        list->list.start = value->end;

        return 0;
    }

    list->list.end = value->end - 1;

    return list->n == cut->n ? 0 : -1;
}


static int
llm_reply_element(llm_embeddings_cut_t *cut, llm_reply_list_t *list,
    const llm_scan_value_t *value)
{
    int                     by_index;
    llm_embeddings_list_t  *element;

    if (value->open) {
        list->indexed = 0;
        list->vectors = 0;
        return 0;
    }

    if ((value->role & LLM_REPLY_BARE)
        && llm_reply_vector(list, value) != 0)
    {
        return -1;
    }

    /* objects have a vector inside; the only others are Cohere's texts */

    by_index = cut->scan.root == &llm_reply_openai;

    if (list->n == cut->n
        || (by_index && !list->indexed)
        || (value->type == LLM_SCAN_OBJECT ? !list->vectors
            : !(value->role & (LLM_REPLY_BARE | LLM_REPLY_TEXT))
              || ((value->role & LLM_REPLY_TEXT)
                  && value->type != LLM_SCAN_STRING)))
    {
        return -1;
    }

    if (!by_index) {
        list->index = list->n;
        list->digits.start = 0;
        list->digits.end = 0;
    }

    if (list->index >= cut->n
        || list->elements[list->index].element.end != 0)
    {
        return -1;
    }

    element = &list->elements[list->index];

    element->element.start = value->start;
    element->element.end = value->end;
    element->index = list->digits;

    if (list->n == 0) {
        list->head = value->start;
    }

    if (list->n == 1) {
        list->first.start = list->last;
        list->first.end = value->start;
    }

    list->last = value->end;
    list->n++;

    return 0;
}


/* numbers, or base64 */

static int
llm_reply_vector(llm_reply_list_t *list, const llm_scan_value_t *value)
{
    if (value->open) {
        return 0;
    }

    if (value->size == 0
        || (value->type == LLM_SCAN_ARRAY
            ? value->kinds != llm_scan_kind(LLM_SCAN_NUMBER)
            : value->type != LLM_SCAN_STRING))
    {
        return -1;
    }

    if (list->dim == 0) {
        list->dim = value->size;
        list->type = value->type;
    }

    list->vectors = 1;

    return list->dim == value->size && list->type == value->type ? 0 : -1;
}


static int
llm_reply_index(llm_reply_list_t *list, const llm_scan_value_t *value)
{
    int64_t  number;

    number = 0;

    if (value->type != LLM_SCAN_NUMBER
        || llm_reply_number(value->text, &number) != 0)
    {
        return -1;
    }

    list->index = (size_t) number;
    list->digits.start = value->start;
    list->digits.end = value->end;
    list->indexed = 1;

    return 0;
}


int
llm_embeddings_cut_end(llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data, const uint32_t *weights)
{
    if (cut->failed || llm_scan_end(&cut->scan) != LLM_SCAN_OK
        || cut->failed || !llm_reply_complete(cut))
    {
        cut->failed = 1;
        return -1;
    }

    cut->costs = malloc(cut->n * sizeof(uint32_t));

    if (cut->costs == NULL || llm_reply_shape(cut, copy, data) != 0) {
        cut->failed = 1;
        return -1;
    }

    llm_reply_share(cut, weights);
    llm_reply_space(cut, copy, data);

    return 0;
}


/* at least one list of vectors, and not too much around the lists */

static int
llm_reply_complete(llm_embeddings_cut_t *cut)
{
    int                i, vectors;
    size_t             frame;
    llm_reply_list_t  *list;

    frame = cut->len;
    vectors = 0;

    for (i = 0; i < LLM_EMBEDDINGS_LISTS; i++) {
        list = &cut->lists[i];

        if (list->elements == NULL) {
            continue;
        }

        vectors |= list->dim != 0;

        frame -= list->list.end - list->list.start;
        frame += list->head - list->list.start;
        frame += list->list.end - list->last;
    }

    return vectors && frame <= LLM_EMBEDDINGS_FRAME;
}


/*
 * Tokens beyond the weights are some of each input.  Where there are fewer,
 * an input has at least one, and of the others as many as by its weight.
 */

static void
llm_reply_share(llm_embeddings_cut_t *cut, const uint32_t *weights)
{
    int       by_weight;
    size_t    i;
    uint64_t  all, sum, rest, seen, before, now;

    all = cut->tokens > 0 ? (uint64_t) cut->tokens : 0;

    for (i = 0, sum = 0; i < cut->n; i++) {
        sum += weights[i];
    }

    by_weight = all < sum;

    rest = !by_weight ? all - sum : all >= cut->n ? all - cut->n : all;

    for (i = 0, seen = 0, now = 0; i < cut->n; i++) {

        seen += weights[i];
        before = now;

        now = by_weight ? rest * seen / sum : rest * (i + 1) / cut->n;

        cut->costs[i] = (uint32_t) (now - before);
        cut->costs[i] += !by_weight ? weights[i] : all >= cut->n;
    }
}


static int
llm_reply_shape(llm_embeddings_cut_t *cut, llm_embeddings_copy_pt copy,
    void *data)
{
    int             rc;
    unsigned        len;
    EVP_MD_CTX     *md;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    md = EVP_MD_CTX_new();

    rc = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1
         && llm_reply_digest(cut, md, copy, data) == 0
         && EVP_DigestFinal_ex(md, digest, &len) == 1
         ? 0 : -1;

    EVP_MD_CTX_free(md);

    if (rc == 0) {
        memcpy(cut->shape, digest, LLM_EMBEDDINGS_SHAPE);
    }

    return rc;
}


/* all that is neither in a list nor differs; and what the vectors are like */

static int
llm_reply_digest(llm_embeddings_cut_t *cut, EVP_MD_CTX *md,
    llm_embeddings_copy_pt copy, void *data)
{
    size_t         at, next, end;
    unsigned       i;
    llm_range_t    gap[LLM_EMBEDDINGS_LISTS + LLM_EMBEDDINGS_HOLES
                       + LLM_REPLY_FREES];
    unsigned       gaps, best;
    unsigned char  text[LLM_EMBEDDINGS_FRAME], word[18];

    gaps = 0;

    for (i = 0; i < LLM_EMBEDDINGS_LISTS; i++) {
        if (cut->lists[i].elements == NULL) {
            continue;
        }

        gap[gaps++] = cut->lists[i].list;

        word[0] = (unsigned char) i;
        word[1] = (unsigned char) cut->lists[i].type;
        llm_bytes_put(word + 2, 8, cut->lists[i].dim);
        llm_bytes_put(word + 10, 8, cut->lists[i].elements[0].index.end != 0);

        if (EVP_DigestUpdate(md, word, sizeof(word)) != 1) {
            return -1;
        }
    }

    for (i = 0; i < cut->holes; i++) {
        gap[gaps++] = cut->hole[i];
    }

    for (i = 0; i < cut->frees; i++) {
        gap[gaps++] = cut->free[i];
    }

    for (at = 0; at < cut->len; at = end) {

        next = cut->len;
        end = cut->len;

        for (best = 0; best < gaps; best++) {
            if (gap[best].start >= at && gap[best].start < next) {
                next = gap[best].start;
                end = gap[best].end;
            }
        }

        if (next - at > sizeof(text)) {
            return -1;
        }

        copy(data, at, text, next - at);

        /* a zero byte tells where there was a gap */

        if (EVP_DigestUpdate(md, text, next - at) != 1
            || EVP_DigestUpdate(md, "", 1) != 1)
        {
            return -1;
        }

        /* an empty list is no step forward, but has been passed */

        if (end == at) {
            return -1;
        }
    }

    return 0;
}


/* a comma, and the white space after it */

static void
llm_reply_space(llm_embeddings_cut_t *cut, llm_embeddings_copy_pt copy,
    void *data)
{
    int            i;
    size_t         len;
    llm_range_t    first;
    unsigned char  text[LLM_EMBEDDINGS_SPACE + 1];

    for (i = 0; i < LLM_EMBEDDINGS_LISTS; i++) {

        first = cut->lists[i].first;
        len = first.end - first.start;

        if (len == 0 || len > sizeof(text)) {
            continue;
        }

        copy(data, first.start, text, len);

        if (text[0] == ',') {
            memcpy(cut->space, text + 1, len - 1);
            cut->spaces = (unsigned) (len - 1);
            return;
        }
    }
}
