/*
 * The text of a stored answer, whatever its form: what of two answers is
 * compared to tell whether they say the same.
 */


#ifndef _LLM_TEXT_H_INCLUDED_
#define _LLM_TEXT_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"


/* of a body, what is looked at; of its text, what is kept */
#define LLM_TEXT_BODY  (64 * 1024)
#define LLM_TEXT_MAX   4096


typedef struct {
    unsigned char         data[LLM_TEXT_MAX];    /* UTF-8 */
    size_t                len;
    unsigned              cut:1;                 /* the answer goes on */
} llm_text_t;


/*
 * Reads the text of the first choice: no reasoning, no calls of tools.  The
 * body is one that llm_answer_end() found whole, or its first LLM_TEXT_BODY
 * bytes where "cut"; others may give nonsense, but no harm.  JSON that was
 * cut has no text.
 *
 * 1: there is text; 0: there is none, or the dialect has none; -1: memory
 * ran out, or it is no such body.
 */

int llm_text_read(const llm_dialect_t *dialect, llm_form_e form,
    llm_str_t body, int cut, llm_text_t *text);

/* takes two texts to the length of the one that was cut, where one was */

void llm_text_align(llm_text_t *a, llm_text_t *b);


#endif /* _LLM_TEXT_H_INCLUDED_ */
