/*
 * What embeddings APIs are asked and what they answer, in OpenAI's format:
 * https://platform.openai.com/docs/api-reference/embeddings
 */


#ifndef _LLM_EMBED_REPLY_H_INCLUDED_
#define _LLM_EMBED_REPLY_H_INCLUDED_


#include "llm_core.h"
#include "llm_json.h"


/* appends the request's body; an empty model is left out.  0, or -1 */

int llm_embed_request(llm_str_t text, llm_str_t model, llm_buf_t *out);

/*
 * Reads the one vector of an answer, scaled to length 1.  0, or -1 where the
 * answer is anything else than one vector of "dim" numbers.
 */

int llm_embed_reply(const unsigned char *data, size_t len, size_t dim,
    float *vector);


#endif /* _LLM_EMBED_REPLY_H_INCLUDED_ */
