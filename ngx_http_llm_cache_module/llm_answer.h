/*
 * Reads an answer as it passes and tells in the end whether it is whole and
 * fit to be stored: the part of the write gate that knows the dialects.
 */


#ifndef _LLM_ANSWER_H_INCLUDED_
#define _LLM_ANSWER_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_reason.h"


/* finish reasons that may be stored: classes, and a provider's own words */

#define LLM_FINISH_STOP    0x01
#define LLM_FINISH_LENGTH  0x02
#define LLM_FINISH_TOOL    0x04
#define LLM_FINISH_FILTER  0x08

typedef struct {
    unsigned              classes;
    llm_str_t            *words;
    size_t                n;
} llm_finish_t;

/* the class that a word of llm_cache_finish names ("stop"...), or 0 */

unsigned llm_finish_class(llm_str_t word);

/* 1 when some dialect has this finish reason of its own, else 0 */

int llm_finish_known(llm_str_t word);


typedef struct llm_answer_s  llm_answer_t;


/*
 * What an answer told; offsets count from the body's first byte.  Where an
 * answer may not be stored, only the tokens mean something: what was told
 * until then.
 */

typedef struct {
    int64_t               prompt_tokens;       /* -1: not told */
    int64_t               completion_tokens;   /* -1: not told */

    /* an SSE event that holds usage and nothing else (OpenAI's
       include_usage), from its first byte to the next event's; empty: none */
    llm_range_t           usage;

    /* where llm_cache_mark puts its member: the offset of the "}" that closes
       the first JSON object, SIZE_MAX when there is none or when it already
       has a member "cache" */
    size_t                mark;

    unsigned              mark_empty:1;        /* "{}": no comma */
    unsigned              has_usage:1;         /* where it is looked for */
    unsigned              tools:1;             /* calls of tools */
} llm_answer_info_t;


/*
 * max: the most bytes that may have to be kept for parsing; an answer that
 * needs more ends as LLM_REASON_ENTRY_SIZE.  Only one event of an SSE stream
 * at a time is ever kept, and nothing of the other forms.  The finish set
 * must outlive the answer.  NULL when memory ran out.
 */

llm_answer_t *llm_answer_create(const llm_dialect_t *dialect,
    llm_form_e form, const llm_finish_t *finish, size_t max);

/* the next bytes of the body, cut anywhere; once it returns a reason other
   than LLM_REASON_NONE the answer cannot be stored and the rest need not be
   fed */

llm_reason_e llm_answer_feed(llm_answer_t *answer, const unsigned char *data,
    size_t len);

/* the body has ended: LLM_REASON_NONE and the info, or why it may not be
   stored */

llm_reason_e llm_answer_end(llm_answer_t *answer, llm_answer_info_t *info);

void llm_answer_free(llm_answer_t *answer);


#endif /* _LLM_ANSWER_H_INCLUDED_ */
