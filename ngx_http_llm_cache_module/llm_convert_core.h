/*
 * What the llm_convert*.c files share, and nobody else includes.
 */


#ifndef _LLM_CONVERT_CORE_H_INCLUDED_
#define _LLM_CONVERT_CORE_H_INCLUDED_


#include "llm_convert.h"
#include "llm_doc.h"
#include "llm_sse.h"


typedef struct {
    const llm_convert_t  *how;
    llm_str_t             body;
    llm_arena_t           arena;
    llm_buf_t            *out;
    size_t                steps;       /* that may still be made */
    unsigned              failed:1;

    size_t                start;       /* of the result, in the buffer */
    size_t                written;     /* events */

    llm_value_t          *doc;         /* JSON that was read */
    llm_value_t          *events;      /* or an array of a stream's events */
} llm_conv_t;


/* how two values of one member become one */

typedef enum {
    LLM_MERGE_SAME = 0,     /* a value that says nothing gives way; others
                               must agree */
    LLM_MERGE_ONCE,         /* the same, and a text or list is told once: two
                               that are equal may be its pieces */
    LLM_MERGE_FIRST,        /* the first that says something */
    LLM_MERGE_LAST,         /* the last that is not null */
    LLM_MERGE_TEXT,         /* strings are joined */
    LLM_MERGE_APPEND,       /* arrays are joined */
    LLM_MERGE_OBJECT,       /* each member by its own rule */
    LLM_MERGE_INDEXED,      /* an array of objects with an "index" */
    LLM_MERGE_DROP
} llm_merge_e;


typedef struct llm_rule_s  llm_rule_t;

struct llm_rule_s {
    const char           *name;        /* NULL: the last one, for all others */
    llm_merge_e           how;
    const llm_rule_t     *members;     /* of the object or objects; NULL: all
                                          are LLM_MERGE_SAME */
    const char           *as;          /* its name in the result; NULL: the
                                          same */
};


/* merges the members of one object into another that was made; 0 or -1 */

int llm_merge(llm_conv_t *conv, llm_value_t *into, const llm_value_t *from,
    const llm_rule_t *rules);

/* puts objects in the order of their "index", which is "absent" where it is
   left out */

void llm_merge_sort(llm_conv_t *conv, llm_value_t *array, size_t absent);


/*
 * What is looked through again and again, as events or pieces of a text come,
 * is looked through by these.  They count steps, of which a body has so many
 * for each of its bytes; when they are used up the conversion fails.
 */

int llm_conv_spend(llm_conv_t *conv, size_t steps);

/* as llm_doc_find() and llm_doc_get() */

llm_value_t *llm_conv_find(llm_conv_t *conv, const llm_value_t *object,
    llm_str_t name);
llm_value_t *llm_conv_get(llm_conv_t *conv, const llm_value_t *object,
    const char *name);


/*
 * Writing.  Faults are kept in conv->failed.  The format knows
 *     %v  const llm_value_t *, written whole
 *     %t  llm_str_t *, the inside of a string, written with quotes
 *     %r  llm_str_t *, as it is
 *     %s  const char *, as it is
 *     %u  size_t
 *     %,  a comma, unless an object or array has just begun
 */

void llm_conv_put(llm_conv_t *conv, const char *fmt, ...);

/* the members of an object, but for those of these names; the list ends with
   NULL */

void llm_conv_members(llm_conv_t *conv, const llm_value_t *object,
    const char *const *skip);

/* around the JSON of each event; the name is that of an SSE event, or NULL */

void llm_conv_begin(llm_conv_t *conv, const char *name);
void llm_conv_end(llm_conv_t *conv);

/* an event whose "type" is its name, and the other members are these */

void llm_conv_typed(llm_conv_t *conv, const char *type);

/* whether things that are told apart by an "index" can be, which must be in
   order; one that is alone need not have it, the first of several has "first"
   where it is left out */

int llm_conv_ordered(const llm_value_t *array, size_t first);

int llm_conv_listed(const llm_value_t *member, const char *const *names);


/* JSON from conv->events: the document, or NULL */

typedef llm_value_t *(*llm_to_json_pt)(llm_conv_t *conv);

/* events from conv->doc: 0 or -1 */

typedef int (*llm_to_stream_pt)(llm_conv_t *conv);


llm_value_t *llm_chat_json(llm_conv_t *conv);
int llm_chat_stream(llm_conv_t *conv);
llm_value_t *llm_completions_json(llm_conv_t *conv);
int llm_completions_stream(llm_conv_t *conv);
llm_value_t *llm_responses_json(llm_conv_t *conv);
int llm_responses_stream(llm_conv_t *conv);
llm_value_t *llm_anthropic_json(llm_conv_t *conv);
int llm_anthropic_stream(llm_conv_t *conv);
llm_value_t *llm_gemini_json(llm_conv_t *conv);
int llm_gemini_stream(llm_conv_t *conv);
llm_value_t *llm_cohere_json(llm_conv_t *conv);
int llm_cohere_stream(llm_conv_t *conv);
llm_value_t *llm_ollama_json(llm_conv_t *conv);
int llm_ollama_stream(llm_conv_t *conv);


#endif /* _LLM_CONVERT_CORE_H_INCLUDED_ */
