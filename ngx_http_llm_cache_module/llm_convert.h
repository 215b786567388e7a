/*
 * Gives an answer in another form than it was recorded in: JSON as a stream,
 * a stream as JSON, one kind of stream as another.  Nothing is lost on the
 * way: what cannot be given in full is refused.
 */


#ifndef _LLM_CONVERT_H_INCLUDED_
#define _LLM_CONVERT_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_json.h"


typedef struct {
    const llm_dialect_t  *dialect;
    llm_form_e            form;            /* of the body */
    unsigned char         ask;             /* LLM_ASK_*: what is wanted */

    unsigned              include_usage:1; /* a stream with usage is wanted */
    unsigned              mark:1;          /* as llm_cache_mark has it */

    size_t                max;             /* bytes of the result */
} llm_convert_t;


/* whether one answer serves every form of the dialect's requests */

int llm_convert_knows(const llm_dialect_t *dialect);

/* the content type of a form, as the dialect's providers send it */

llm_str_t llm_convert_type(const llm_dialect_t *dialect, unsigned char ask);

/* the most working memory, in bytes, for a body of this length */

size_t llm_convert_work(size_t len);

/*
 * Appends the answer in the form that is wanted.  The body must be one that
 * llm_answer_end() found whole; others may give nonsense, but no harm.
 * Returns 0, or -1 when it cannot be given in full, would be too long, or
 * memory ran out.
 */

int llm_convert(const llm_convert_t *convert, llm_str_t body, llm_buf_t *out);


#endif /* _LLM_CONVERT_H_INCLUDED_ */
