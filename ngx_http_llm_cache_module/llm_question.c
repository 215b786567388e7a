#include <strings.h>

#include <openssl/evp.h>

#include "llm_canon.h"
#include "llm_question.h"


/* takes the place of the question: no JSON value begins like this */
#define LLM_QUESTION_MARK  "?"

#define llm_text_is(text, s)  llm_str_eq(text, s, sizeof(s) - 1)


/* where a dialect's requests have their turns */

typedef struct {
    llm_dialect_e         id;
    const char           *turns;        /* at the top; NULL: only "prompt" */
    const char           *prompt;       /* a string there is a question too */
    const char           *content;      /* of a turn */
    const char           *part;         /* "type" of a part; NULL: no type */
    unsigned              no_role:1;    /* may be left out */
} llm_question_spec_t;


static const llm_question_spec_t *llm_question_spec(llm_dialect_e id);
static int llm_question_find(const llm_question_spec_t *spec, llm_str_t body,
    llm_str_t *text);
static int llm_question_top(llm_str_t name, llm_str_t value);
static int llm_question_free_choice(llm_str_t value);
static int llm_question_config(llm_str_t value);
static int llm_question_word(llm_str_t value);
static int llm_question_turn(const llm_question_spec_t *spec, llm_str_t turn,
    llm_str_t *text);
static int llm_question_known(const llm_question_spec_t *spec,
    llm_str_t name);
static int llm_question_content(const llm_question_spec_t *spec,
    llm_str_t content, llm_str_t *text);
static int llm_question_part(const llm_question_spec_t *spec, llm_str_t part,
    llm_str_t *text);
static int llm_question_take(llm_str_t body, llm_str_t text,
    llm_question_t *question);
static int llm_question_digest(llm_str_t body, llm_str_t text,
    unsigned char *digest);


static const llm_question_spec_t  llm_question_specs[] = {
    { LLM_DIALECT_CHAT, "messages", NULL, "content", "text", 0 },
    { LLM_DIALECT_RESPONSES, "input", "input", "content", "input_text", 0 },
    { LLM_DIALECT_ANTHROPIC, "messages", NULL, "content", "text", 0 },
    { LLM_DIALECT_GEMINI, "contents", NULL, "parts", NULL, 1 },
    { LLM_DIALECT_COHERE_CHAT, "messages", NULL, "content", "text", 0 },
    { LLM_DIALECT_OLLAMA_CHAT, "messages", NULL, "content", "text", 0 },
    { LLM_DIALECT_OLLAMA_GENERATE, NULL, "prompt", NULL, NULL, 0 }
};


int
llm_question_read(const unsigned char *data, size_t len,
    const llm_dialect_t *dialect, const llm_ignore_t *ignore,
    int strip_controls, llm_question_t *question)
{
    int                         rc;
    llm_buf_t                   buf;
    llm_str_t                   body, text;
    llm_canon_t                 c;
    const llm_question_spec_t  *spec;

    spec = llm_question_spec(dialect->id);

    if (spec == NULL || len == 0 || len > LLM_QUESTION_BODY) {
        return 0;
    }

    memset(&c, 0, sizeof(llm_canon_t));
    memset(&buf, 0, sizeof(llm_buf_t));

    c.data = data;
    c.last = data + len;
    c.dialect = dialect;
    c.strip_controls = strip_controls ? 1 : 0;

    rc = -1;

    if (llm_canon_read(&c, ignore) == LLM_REASON_NONE
        && llm_canon_text(&c, &buf) == 0)
    {
        body.data = buf.data;
        body.len = buf.len;
        text.data = body.data;
        text.len = 0;

        rc = llm_question_find(spec, body, &text);

        if (rc == 1) {
            rc = llm_question_take(body, text, question);
        }
    }

    llm_buf_free(&buf);
    llm_canon_free(&c);

    return rc;
}


static const llm_question_spec_t *
llm_question_spec(llm_dialect_e id)
{
    size_t  i;

    for (i = 0;
         i < sizeof(llm_question_specs) / sizeof(llm_question_specs[0]);
         i++)
    {
        if (llm_question_specs[i].id == id) {
            return &llm_question_specs[i];
        }
    }

    return NULL;
}


/* 1 with the question's string, quotes included, or 0 */

static int
llm_question_find(const llm_question_spec_t *spec, llm_str_t body,
    llm_str_t *text)
{
    int        found;
    llm_str_t  name, value, turn;

    found = 0;

    while (llm_canon_each(&body, &name, &value)) {

        if (!llm_question_top(name, value)) {
            return 0;
        }

        if (spec->prompt && *value.data == '"'
            && llm_str_eq(name, spec->prompt, strlen(spec->prompt)))
        {
            *text = value;
            found = 1;
            continue;
        }

        if (spec->turns == NULL
            || !llm_str_eq(name, spec->turns, strlen(spec->turns)))
        {
            continue;
        }

        turn.len = 0;

        while (llm_canon_item(&value, &turn)) { /* void */ }

        if (turn.len == 0 || !llm_question_turn(spec, turn, text)) {
            return 0;
        }

        found = 1;
    }

    return found;
}


/* 0 where a member of the body rules questions out */

static int
llm_question_top(llm_str_t name, llm_str_t value)
{
    if (llm_text_is(name, "tool_choice")
        || llm_text_is(name, "function_call"))
    {
        return llm_question_free_choice(value);
    }

    if (llm_text_is(name, "toolConfig") || llm_text_is(name, "tool_config")) {
        return llm_question_config(value);
    }

    /* Ollama's: pictures, and prompts that are a whole conversation */

    if (llm_text_is(name, "images")) {
        return value.len == 2;
    }

    if (llm_text_is(name, "raw")) {
        return *value.data == 'f';
    }

    return 1;
}


/* whether the model may answer without a tool */

static int
llm_question_free_choice(llm_str_t value)
{
    if (*value.data == '"') {
        return llm_question_word(llm_canon_bare(value));
    }

    return *value.data == '{'
           && llm_question_word(llm_canon_inner(value, "type"));
}


static int
llm_question_config(llm_str_t value)
{
    llm_str_t  name, inner, mode;

    while (llm_canon_each(&value, &name, &inner)) {

        if (!llm_text_is(name, "functionCallingConfig")
            && !llm_text_is(name, "function_calling_config"))
        {
            continue;
        }

        mode = llm_canon_inner(inner, "mode");

        if (!llm_question_word(mode)) {
            return 0;
        }
    }

    return 1;
}


static int
llm_question_word(llm_str_t value)
{
    return value.len == 4
           && (strncasecmp((const char *) value.data, "auto", 4) == 0
               || strncasecmp((const char *) value.data, "none", 4) == 0);
}


/* a turn of the user's that says something and nothing else */

static int
llm_question_turn(const llm_question_spec_t *spec, llm_str_t turn,
    llm_str_t *text)
{
    int        role, found;
    llm_str_t  name, value;

    role = spec->no_role;
    found = 0;

    while (llm_canon_each(&turn, &name, &value)) {

        if (llm_str_eq(name, spec->content, strlen(spec->content))) {

            found = llm_question_content(spec, value, text);

            if (!found) {
                return 0;
            }

        } else if (llm_text_is(name, "role")) {

            role = llm_text_is(llm_canon_bare(value), "user");

            if (!role) {
                return 0;
            }

        } else if (llm_text_is(name, "images")) {

            if (value.len != 2) {
                return 0;
            }

        } else if (llm_text_is(name, "type")) {

            if (!llm_text_is(llm_canon_bare(value), "message")) {
                return 0;
            }

        } else if (!llm_question_known(spec, name)) {
            return 0;
        }
    }

    return role && found;
}


/* what a message may have besides, and which adds nothing to what it says */

static int
llm_question_known(const llm_question_spec_t *spec, llm_str_t name)
{
    return llm_text_is(name, "name")
           || (spec->id == LLM_DIALECT_RESPONSES
               && (llm_text_is(name, "id") || llm_text_is(name, "status")));
}


static int
llm_question_content(const llm_question_spec_t *spec, llm_str_t content,
    llm_str_t *text)
{
    int        found;
    llm_str_t  part;

    if (*content.data == '"') {
        *text = content;
        return spec->part != NULL;
    }

    found = 0;

    while (llm_canon_item(&content, &part)) {

        if (!llm_question_part(spec, part, text)) {
            return 0;
        }

        found = 1;
    }

    return found;
}


static int
llm_question_part(const llm_question_spec_t *spec, llm_str_t part,
    llm_str_t *text)
{
    int        type, found;
    llm_str_t  name, value;

    type = (spec->part == NULL);
    found = 0;

    while (llm_canon_each(&part, &name, &value)) {

        if (llm_text_is(name, "text") && *value.data == '"') {
            *text = value;
            found = 1;

        } else if (spec->part && llm_text_is(name, "type")) {
            type = llm_str_eq(llm_canon_bare(value), spec->part,
                              strlen(spec->part));

        } else {
            return 0;
        }
    }

    return type && found;
}


static int
llm_question_take(llm_str_t body, llm_str_t text, llm_question_t *question)
{
    int        rc;
    llm_buf_t  buf;

    /* an escape has at most six bytes for one */

    if (text.len <= 2 || text.len > 6 * LLM_QUESTION_MAX + 2) {
        return 0;
    }

    memset(&buf, 0, sizeof(llm_buf_t));

    rc = llm_canon_decode(llm_canon_bare(text), &buf);

    if (rc == 0 && buf.len <= LLM_QUESTION_MAX) {

        memcpy(question->text, buf.data, buf.len);
        question->len = buf.len;

        rc = llm_question_digest(body, text, question->partition) == 0 ? 1
                                                                       : -1;
    }

    llm_buf_free(&buf);

    return rc;
}


static int
llm_question_digest(llm_str_t body, llm_str_t text, unsigned char *digest)
{
    int                   rc;
    EVP_MD_CTX           *md;
    const unsigned char  *after;

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return -1;
    }

    after = text.data + text.len;

    rc = EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1
         && EVP_DigestUpdate(md, body.data,
                             (size_t) (text.data - body.data)) == 1
         && EVP_DigestUpdate(md, LLM_QUESTION_MARK, 1) == 1
         && EVP_DigestUpdate(md, after,
                             (size_t) (body.data + body.len - after)) == 1
         && EVP_DigestFinal_ex(md, digest, NULL) == 1;

    EVP_MD_CTX_free(md);

    return rc ? 0 : -1;
}
