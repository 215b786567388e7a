#include <stdlib.h>

#include <openssl/evp.h>

#include "llm_key.h"


/* no part has this tag: what every key begins with */
#define LLM_KEY_VERSION_TAG  0

#define LLM_KEY_BIT(id)      (1u << LLM_DIALECT_##id)


#define llm_lit(out, s)      llm_buf_add(out, s, sizeof(s) - 1)

#define llm_name_is(m, s)                                                     \
    ((m)->len == sizeof(s) - 1 && memcmp((m)->name, s, sizeof(s) - 1) == 0)


/* what is collected before it is digested: more than most keys need */
#define LLM_KEY_BUFFER       512


struct llm_key_s {
    EVP_MD_CTX           *md;
    int                   failed;
    size_t                len;
    unsigned char         buf[LLM_KEY_BUFFER];
};


/* the places in a body where the equivalences apply */

typedef enum {
    LLM_POS_NONE = 0,
    LLM_POS_TOP,
    LLM_POS_MESSAGES,        /* array of LLM_POS_MESSAGE */
    LLM_POS_MESSAGE,
    LLM_POS_CONTENT,         /* a string, or an array of LLM_POS_PART */
    LLM_POS_PART,
    LLM_POS_RESULT,          /* array of LLM_POS_RESULT_PART */
    LLM_POS_RESULT_PART,
    LLM_POS_TOOLS,           /* array of LLM_POS_TOOL */
    LLM_POS_TOOL
} llm_pos_e;


/* whether an object's member leads to a place, given its other members */

typedef int (*llm_key_test_pt)(const json_t *object);


typedef struct {
    unsigned              dialects;      /* LLM_KEY_BIT()s */
    llm_pos_e             from;
    llm_str_t             name;
    llm_pos_e             to;
    llm_key_test_pt       test;          /* may be NULL */
} llm_key_step_t;


/*
 * The walk.  "active" is a stack of what is still to be matched of the ignore
 * paths: each level of the document owns the slice above its parent's.
 */

typedef struct {
    const llm_dialect_t  *dialect;
    llm_buf_t            *out;
    llm_str_t            *active;
    size_t                n;
    size_t                size;
    unsigned              depth;
    unsigned              strip_controls:1;
} llm_key_walk_t;


typedef struct {
    size_t                start;         /* in the stack of ignore paths */
    size_t                end;
} llm_key_slice_t;


static llm_key_t *llm_key_new(void);
static void llm_key_put(llm_key_t *key, const void *data, size_t len);
static void llm_key_flush(llm_key_t *key);
static int llm_key_value(llm_key_walk_t *w, const json_t *value,
    llm_pos_e pos, llm_key_slice_t ignore);
static int llm_key_array(llm_key_walk_t *w, const json_t *array,
    llm_pos_e pos, llm_key_slice_t ignore);
static int llm_key_object(llm_key_walk_t *w, const json_t *object,
    llm_pos_e pos, llm_key_slice_t ignore);
static int llm_key_dropped(llm_key_walk_t *w, const llm_json_member_t *m,
    llm_pos_e pos);
static int llm_key_builtin(llm_key_walk_t *w, const llm_json_member_t *m);
static int llm_key_ignored(llm_key_walk_t *w, const llm_json_member_t *m,
    llm_key_slice_t ignore);
static int llm_key_descend(llm_key_walk_t *w, const llm_json_member_t *m,
    llm_key_slice_t ignore, llm_key_slice_t *below);
static int llm_key_push(llm_key_walk_t *w, llm_str_t path);
static llm_pos_e llm_key_step(llm_key_walk_t *w, const json_t *object,
    const llm_json_member_t *m, llm_pos_e pos);
static llm_pos_e llm_key_element(llm_pos_e pos);
static const json_t *llm_key_plain(llm_key_walk_t *w, const json_t *content,
    llm_key_slice_t ignore);
static int llm_key_member_is(const json_t *object, const char *name,
    const char *value);
static int llm_key_responses_input(const json_t *item);
static int llm_key_cohere_message(const json_t *message);
static int llm_key_tool_result(const json_t *part);


static const llm_key_step_t  llm_key_steps[] = {

    { LLM_KEY_BIT(CHAT)|LLM_KEY_BIT(ANTHROPIC)|LLM_KEY_BIT(COHERE_CHAT),
      LLM_POS_TOP, llm_string("messages"), LLM_POS_MESSAGES, NULL },

    { LLM_KEY_BIT(RESPONSES),
      LLM_POS_TOP, llm_string("input"), LLM_POS_MESSAGES, NULL },

    { LLM_KEY_BIT(ANTHROPIC),
      LLM_POS_TOP, llm_string("system"), LLM_POS_CONTENT, NULL },

    { LLM_KEY_BIT(ANTHROPIC),
      LLM_POS_TOP, llm_string("tools"), LLM_POS_TOOLS, NULL },

    { LLM_KEY_BIT(CHAT)|LLM_KEY_BIT(ANTHROPIC),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT, NULL },

    { LLM_KEY_BIT(RESPONSES),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT,
      llm_key_responses_input },

    { LLM_KEY_BIT(COHERE_CHAT),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT,
      llm_key_cohere_message },

    { LLM_KEY_BIT(ANTHROPIC),
      LLM_POS_PART, llm_string("content"), LLM_POS_RESULT,
      llm_key_tool_result },

    { 0, LLM_POS_NONE, llm_null_string, LLM_POS_NONE, NULL }
};


static const llm_str_t  llm_key_fields[] = {
    llm_string("stream"),
    llm_string("stream_options"),
    llm_string("user"),
    llm_string("metadata"),
    llm_string("safety_identifier"),
    llm_string("prompt_cache_key"),
    llm_string("prompt_cache_retention"),
    llm_null_string
};


/* to make a context costs OpenSSL more than to digest a key: one is kept */

static llm_key_t  *llm_key_spare;


llm_key_t *
llm_key_create(void)
{
    llm_key_t            *key;
    const unsigned char   version = LLM_KEY_VERSION;

    key = llm_key_spare;
    llm_key_spare = NULL;

    if (key == NULL) {
        key = llm_key_new();
        if (key == NULL) {
            return NULL;
        }
    }

    key->len = 0;
    key->failed = EVP_DigestInit_ex(key->md, NULL, NULL) != 1;

    llm_key_add(key, (llm_key_part_e) LLM_KEY_VERSION_TAG, &version, 1);

    return key;
}


static llm_key_t *
llm_key_new(void)
{
    llm_key_t  *key;

    key = malloc(sizeof(llm_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->md = EVP_MD_CTX_new();

    if (key->md == NULL
        || EVP_DigestInit_ex(key->md, EVP_sha256(), NULL) != 1)
    {
        EVP_MD_CTX_free(key->md);
        free(key);
        return NULL;
    }

    return key;
}


int
llm_key_add(llm_key_t *key, llm_key_part_e part, const void *data,
    size_t len)
{
    int            i;
    uint64_t       n;
    unsigned char  head[9];

    head[0] = (unsigned char) part;

    for (n = len, i = 8; i > 0; i--) {
        head[i] = (unsigned char) n;
        n >>= 8;
    }

    llm_key_put(key, head, sizeof(head));
    llm_key_put(key, data, len);

    return key->failed ? -1 : 0;
}


static void
llm_key_put(llm_key_t *key, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }

    if (len > LLM_KEY_BUFFER - key->len) {
        llm_key_flush(key);
    }

    if (len <= LLM_KEY_BUFFER) {
        memcpy(key->buf + key->len, data, len);
        key->len += len;

    } else if (EVP_DigestUpdate(key->md, data, len) != 1) {
        key->failed = 1;
    }
}


static void
llm_key_flush(llm_key_t *key)
{
    if (EVP_DigestUpdate(key->md, key->buf, key->len) != 1) {
        key->failed = 1;
    }

    key->len = 0;
}


int
llm_key_final(llm_key_t *key, unsigned char *digest)
{
    int       rc;
    unsigned  len;

    len = 0;

    llm_key_flush(key);

    rc = (!key->failed
          && EVP_DigestFinal_ex(key->md, digest, &len) == 1
          && len == LLM_KEY_LEN)
         ? 0 : -1;

    llm_key_free(key);

    return rc;
}


void
llm_key_free(llm_key_t *key)
{
    if (key == NULL) {
        return;
    }

    if (llm_key_spare == NULL) {
        llm_key_spare = key;
        return;
    }

    EVP_MD_CTX_free(key->md);
    free(key);
}


void
llm_key_hex(const unsigned char *digest, unsigned char *hex)
{
    int                i;
    static const char  digits[] = "0123456789abcdef";

    for (i = 0; i < LLM_KEY_LEN; i++) {
        *hex++ = (unsigned char) digits[digest[i] >> 4];
        *hex++ = (unsigned char) digits[digest[i] & 0xf];
    }
}


int
llm_key_body(const json_t *doc, const llm_dialect_t *dialect,
    const llm_ignore_t *ignore, int strip_controls, llm_buf_t *out)
{
    int              rc;
    size_t           i;
    llm_key_walk_t   w;
    llm_key_slice_t  slice;

    memset(&w, 0, sizeof(llm_key_walk_t));

    w.dialect = dialect;
    w.out = out;
    w.strip_controls = strip_controls ? 1 : 0;

    rc = 0;

    for (i = 0; ignore && rc == 0 && i < ignore->n; i++) {
        if (ignore->paths[i].len) {
            rc = llm_key_push(&w, ignore->paths[i]);
        }
    }

    if (rc == 0) {
        slice.start = 0;
        slice.end = w.n;

        rc = llm_key_value(&w, doc, LLM_POS_TOP, slice);
    }

    free(w.active);

    return rc;
}


static int
llm_key_value(llm_key_walk_t *w, const json_t *value, llm_pos_e pos,
    llm_key_slice_t ignore)
{
    int            rc;
    const json_t  *text;

    if (pos == LLM_POS_NONE && ignore.start == ignore.end) {
        return llm_json_canon(value, w->out);
    }

    if (w->depth > LLM_JSON_MAX_DEPTH) {
        return -1;
    }

    w->depth++;

    if (json_is_object(value)) {
        rc = llm_key_object(w, value, pos, ignore);

    } else if (json_is_array(value)) {
        text = NULL;

        if (pos == LLM_POS_CONTENT) {
            text = llm_key_plain(w, value, ignore);
        }

        rc = text ? llm_json_canon(text, w->out)
                  : llm_key_array(w, value, pos, ignore);

    } else {
        rc = llm_json_canon(value, w->out);
    }

    w->depth--;

    return rc;
}


static int
llm_key_array(llm_key_walk_t *w, const json_t *array, llm_pos_e pos,
    llm_key_slice_t ignore)
{
    size_t     i, n;
    llm_pos_e  inner;

    if (llm_lit(w->out, "[") != 0) {
        return -1;
    }

    n = json_array_size(array);
    inner = llm_key_element(pos);

    for (i = 0; i < n; i++) {

        if (i && llm_lit(w->out, ",") != 0) {
            return -1;
        }

        if (llm_key_value(w, json_array_get(array, i), inner, ignore) != 0) {
            return -1;
        }
    }

    return llm_lit(w->out, "]");
}


static int
llm_key_object(llm_key_walk_t *w, const json_t *object, llm_pos_e pos,
    llm_key_slice_t ignore)
{
    int                 rc, comma;
    size_t              i, n;
    llm_pos_e           inner;
    llm_key_slice_t     below;
    llm_json_member_t  *members, *m;

    if (llm_json_members(object, &members, &n) != 0) {
        return -1;
    }

    rc = llm_lit(w->out, "{");
    comma = 0;

    for (i = 0; rc == 0 && i < n; i++) {
        m = &members[i];

        if (llm_key_dropped(w, m, pos) || llm_key_ignored(w, m, ignore)) {
            continue;
        }

        inner = llm_key_step(w, object, m, pos);

        if ((comma && llm_lit(w->out, ",") != 0)
            || llm_json_canon_string(m->name, m->len, w->out) != 0
            || llm_lit(w->out, ":") != 0
            || llm_key_descend(w, m, ignore, &below) != 0
            || llm_key_value(w, m->value, inner, below) != 0)
        {
            rc = -1;
            break;
        }

        w->n = below.start;
        comma = 1;
    }

    free(members);

    return rc ? -1 : llm_lit(w->out, "}");
}


/* members that do not count wherever the operator says nothing */

static int
llm_key_dropped(llm_key_walk_t *w, const llm_json_member_t *m, llm_pos_e pos)
{
    if (pos == LLM_POS_TOP && llm_key_builtin(w, m)) {
        return 1;
    }

    if (w->dialect->id != LLM_DIALECT_ANTHROPIC) {
        return 0;
    }

    switch (pos) {

    case LLM_POS_TOP:
    case LLM_POS_PART:
    case LLM_POS_RESULT_PART:
    case LLM_POS_TOOL:
        return llm_name_is(m, "cache_control")
               && (json_is_object(m->value) || json_is_null(m->value));

    default:
        return 0;
    }
}


static int
llm_key_builtin(llm_key_walk_t *w, const llm_json_member_t *m)
{
    const llm_str_t  *field;

    if (json_is_null(m->value)) {
        return 1;
    }

    for (field = llm_key_fields; field->len; field++) {
        if (llm_str_eq(*field, m->name, m->len)) {
            return 1;
        }
    }

    if (!w->strip_controls) {
        return 0;
    }

    return (llm_name_is(m, "caching") && json_is_boolean(m->value))
           || (llm_name_is(m, "cache") && json_is_object(m->value));
}


/* whether an ignore path ends at this member */

static int
llm_key_ignored(llm_key_walk_t *w, const llm_json_member_t *m,
    llm_key_slice_t ignore)
{
    size_t  i;

    for (i = ignore.start; i < ignore.end; i++) {
        if (llm_str_eq(w->active[i], m->name, m->len)) {
            return 1;
        }
    }

    return 0;
}


/* pushes what follows the member's name in the paths that lead through it */

static int
llm_key_descend(llm_key_walk_t *w, const llm_json_member_t *m,
    llm_key_slice_t ignore, llm_key_slice_t *below)
{
    size_t     i;
    llm_str_t  path;

    below->start = w->n;
    below->end = w->n;

    if (!json_is_object(m->value) && !json_is_array(m->value)) {
        return 0;
    }

    for (i = ignore.start; i < ignore.end; i++) {
        path = w->active[i];

        if (path.len <= m->len
            || path.data[m->len] != '.'
            || memcmp(path.data, m->name, m->len) != 0)
        {
            continue;
        }

        path.data += m->len + 1;
        path.len -= m->len + 1;

        if (path.len && llm_key_push(w, path) != 0) {
            return -1;
        }
    }

    below->end = w->n;

    return 0;
}


static int
llm_key_push(llm_key_walk_t *w, llm_str_t path)
{
    size_t      size;
    llm_str_t  *p;

    if (w->n == w->size) {
        size = w->size ? 2 * w->size : 16;

        if (size > SIZE_MAX / 2 / sizeof(llm_str_t)) {
            return -1;
        }

        p = realloc(w->active, size * sizeof(llm_str_t));
        if (p == NULL) {
            return -1;
        }

        w->active = p;
        w->size = size;
    }

    w->active[w->n++] = path;

    return 0;
}


static llm_pos_e
llm_key_step(llm_key_walk_t *w, const json_t *object,
    const llm_json_member_t *m, llm_pos_e pos)
{
    unsigned               bit;
    const llm_key_step_t  *step;

    if (pos == LLM_POS_NONE) {
        return LLM_POS_NONE;
    }

    bit = 1u << w->dialect->id;

    for (step = llm_key_steps; step->dialects; step++) {

        if ((step->dialects & bit)
            && step->from == pos
            && llm_str_eq(step->name, m->name, m->len)
            && json_is_array(m->value))
        {
            return (step->test == NULL || step->test(object)) ? step->to
                                                              : LLM_POS_NONE;
        }
    }

    return LLM_POS_NONE;
}


static llm_pos_e
llm_key_element(llm_pos_e pos)
{
    switch (pos) {

    case LLM_POS_MESSAGES:
        return LLM_POS_MESSAGE;

    case LLM_POS_CONTENT:
        return LLM_POS_PART;

    case LLM_POS_RESULT:
        return LLM_POS_RESULT_PART;

    case LLM_POS_TOOLS:
        return LLM_POS_TOOL;

    default:
        return LLM_POS_NONE;
    }
}


/*
 * The text of a content that is one plain text part, else NULL.  Plain: of
 * the members that count, a type and a text and nothing else.
 */

static const json_t *
llm_key_plain(llm_key_walk_t *w, const json_t *content,
    llm_key_slice_t ignore)
{
    int                 counted;
    void               *iter;
    json_t             *part;
    const char         *type;
    const json_t       *text;
    llm_json_member_t   m;

    part = json_array_get(content, 0);

    if (json_array_size(content) != 1 || !json_is_object(part)) {
        return NULL;
    }

    type = w->dialect->id == LLM_DIALECT_RESPONSES ? "input_text" : "text";
    text = json_object_get(part, "text");

    if (!llm_key_member_is(part, "type", type) || !json_is_string(text)) {
        return NULL;
    }

    counted = 0;

    for (iter = json_object_iter(part);
         iter;
         iter = json_object_iter_next(part, iter))
    {
        m.name = json_object_iter_key(iter);
        m.len = strlen(m.name);
        m.value = json_object_iter_value(iter);

        if (llm_key_dropped(w, &m, LLM_POS_PART)) {
            continue;
        }

        if (llm_key_ignored(w, &m, ignore)) {

            if (llm_name_is(&m, "type") || llm_name_is(&m, "text")) {
                return NULL;
            }

            continue;
        }

        counted++;
    }

    return counted == 2 ? text : NULL;
}


static int
llm_key_member_is(const json_t *object, const char *name, const char *value)
{
    size_t         len;
    const json_t  *member;

    member = json_object_get(object, name);
    len = strlen(value);

    return json_is_string(member)
           && json_string_length(member) == len
           && memcmp(json_string_value(member), value, len) == 0;
}


/* an assistant's text is spelled otherwise there, and items are no messages */

static int
llm_key_responses_input(const json_t *item)
{
    if (json_object_get(item, "type")
        && !llm_key_member_is(item, "type", "message"))
    {
        return 0;
    }

    return llm_key_member_is(item, "role", "user")
           || llm_key_member_is(item, "role", "system")
           || llm_key_member_is(item, "role", "developer");
}


/* a tool's text parts are documents there, its string is an object */

static int
llm_key_cohere_message(const json_t *message)
{
    return llm_key_member_is(message, "role", "user")
           || llm_key_member_is(message, "role", "system")
           || llm_key_member_is(message, "role", "assistant");
}


static int
llm_key_tool_result(const json_t *part)
{
    return llm_key_member_is(part, "type", "tool_result");
}
