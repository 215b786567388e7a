/*
 * The wire formats of LLM APIs: which one a path speaks, and what its
 * requests say.  Table-driven: a new dialect is a new row and its tests.
 */


#ifndef _LLM_DIALECT_H_INCLUDED_
#define _LLM_DIALECT_H_INCLUDED_


#include <jansson.h>

#include "llm_core.h"
#include "llm_json.h"
#include "llm_reason.h"


typedef enum {
    LLM_DIALECT_CHAT = 0,          /* OpenAI chat completions */
    LLM_DIALECT_COMPLETIONS,       /* OpenAI completions */
    LLM_DIALECT_RESPONSES,         /* OpenAI Responses */
    LLM_DIALECT_EMBEDDINGS,        /* OpenAI embeddings */
    LLM_DIALECT_ANTHROPIC,         /* Anthropic Messages */
    LLM_DIALECT_GEMINI,            /* generateContent, streamGenerateContent */
    LLM_DIALECT_GEMINI_EMBED,      /* embedContent, batchEmbedContents */
    LLM_DIALECT_COHERE_CHAT,
    LLM_DIALECT_COHERE_EMBED,
    LLM_DIALECT_RERANK,            /* Cohere, Jina, Voyage, TEI */
    LLM_DIALECT_OLLAMA_CHAT,       /* /api/chat */
    LLM_DIALECT_OLLAMA_GENERATE,   /* /api/generate */
    LLM_DIALECT_OLLAMA_EMBED,      /* /api/embed, /api/embeddings */
    LLM_DIALECT_MODERATIONS,
    LLM_DIALECT_JSON               /* any other JSON POST */
} llm_dialect_e;

#define LLM_DIALECTS  (LLM_DIALECT_JSON + 1)


/* how a dialect's requests name provider-run tools */

typedef enum {
    LLM_TOOLS_CHAT = 0,            /* "tools" of type "function" are fine */
    LLM_TOOLS_RESPONSES,
    LLM_TOOLS_ANTHROPIC,
    LLM_TOOLS_GEMINI
} llm_tools_e;


typedef struct {
    llm_dialect_e         id;
    llm_str_t             name;         /* $llm_cache_dialect */

    double                temperature;  /* the API's default; < 0: none */

    /* the member that holds "temperature"; NULL: the top level */
    const char           *settings[2];

    llm_tools_e           tools;

    /* streams are NDJSON, and an absent "stream" asks for one (Ollama) */
    unsigned              stream_default:1;

    /* the URL alone decides, "stream" is an ordinary field (Gemini) */
    unsigned              stream_by_url:1;

    /* the SDK sends Cache-Control: no-cache by itself (Cohere) */
    unsigned              ignore_header_controls:1;
} llm_dialect_t;


/* how the answer to a request will be framed, where all goes well: a part of
   the key as long as every form has a record of its own */

#define LLM_ASK_JSON    'j'
#define LLM_ASK_ARRAY   'a'             /* Gemini's stream without alt=sse */
#define LLM_ASK_SSE     's'
#define LLM_ASK_NDJSON  'n'
#define LLM_ASK_ODD     'o'             /* "stream" is no boolean: whatever
                                           the provider makes of that */


/* what the URL tells */

typedef struct {
    const llm_dialect_t  *dialect;      /* never NULL */
    llm_str_t             model;        /* in the path (Gemini, Azure) */
    unsigned              stateful:1;   /* threads, batches, files, ...:
                                           never cached */
    unsigned              stream:1;     /* the URL alone asks for a stream */
    unsigned              sse:1;        /* and with alt=sse */
} llm_route_t;


/* what the body tells; strings belong to the document or to the route */

typedef struct {
    llm_str_t             model;
    double                temperature;  /* given, or the API's default;
                                           < 0: the API has none */
    unsigned char         form;         /* LLM_ASK_* */
    unsigned              stream:1;
    unsigned              include_usage:1;
    unsigned              hosted_tools:1;
    unsigned              stateful:1;   /* background, conversation */
} llm_ask_t;


/* path: decoded, without the query; the route's strings belong to it */

void llm_dialect_route(llm_str_t path, llm_str_t args, llm_route_t *route);

void llm_dialect_ask(const llm_route_t *route, const json_t *doc,
    llm_ask_t *ask);

/* 1 when the request or its model makes the provider run tools of its own */

int llm_dialect_hosted(const llm_dialect_t *dialect, llm_str_t model,
    const json_t *doc);

/* whether a member of this name at the top level may ask for such tools */

int llm_dialect_hosted_member(llm_str_t name);


/* what of a tool tells who runs it; strings are empty where they are none */

typedef struct {
    llm_str_t             type;
    llm_str_t             environment;  /* its type */
    llm_str_t             execution;
    unsigned              function:1;   /* has an object of this name */
    unsigned              nested:1;     /* one of its own tools is hosted */
    unsigned              others:1;     /* a member for which
                                           llm_dialect_other_tool() holds is
                                           neither null nor false */
} llm_tool_t;


/* 1 when the provider runs it */

int llm_dialect_hosted_tool(llm_tools_e kind, const llm_tool_t *tool);

/* whether a member of a Gemini tool names a tool of the provider's */

int llm_dialect_other_tool(llm_str_t name);

/*
 * Appends what of path and query counts for the key: everything, but for the
 * arguments that begin with exactly "key=" (a credential, the scope's part)
 * and, for Gemini, with the generate and stream URLs spelled as one and
 * without the "alt" that llm_ask_t.form tells.  The path's length goes first,
 * so that no other path and query can spell the same bytes.  0, or -1 when
 * memory ran out.
 */

int llm_dialect_key_uri(const llm_route_t *route, llm_str_t path,
    llm_str_t args, llm_buf_t *out);

const llm_dialect_t *llm_dialect_get(llm_dialect_e id);
llm_str_t llm_dialect_name(llm_dialect_e id);


#endif /* _LLM_DIALECT_H_INCLUDED_ */
