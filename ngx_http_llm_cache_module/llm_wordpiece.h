/*
 * BERT's tokenizer, as the tokenizer.json of Hugging Face's tokenizers
 * describes it: BertNormalizer, BertPreTokenizer and WordPiece, all of either
 * the uncased or the cased kind.
 */


#ifndef _LLM_WORDPIECE_H_INCLUDED_
#define _LLM_WORDPIECE_H_INCLUDED_


#include <jansson.h>

#include "llm_core.h"


typedef struct llm_wordpiece_s  llm_wordpiece_t;


/*
 * Takes what it needs from the document.  NULL, with what is wrong with it in
 * *error: a constant.
 */

llm_wordpiece_t *llm_wordpiece_create(const json_t *doc, const char **error);
void llm_wordpiece_free(llm_wordpiece_t *wp);

/* one more than the largest id */

uint32_t llm_wordpiece_ids(const llm_wordpiece_t *wp);

/*
 * Writes the ids of at most "max" tokens, without special and unknown ones:
 * how many.  Letters lose their accents as llm_fold() has it.
 */

size_t llm_wordpiece_encode(const llm_wordpiece_t *wp, llm_str_t text,
    uint32_t *ids, size_t max);


#endif /* _LLM_WORDPIECE_H_INCLUDED_ */
