/*
 * An embedding of a text's spelling: words, pairs of neighbours and the
 * trigrams inside of words are hashed to the coordinates of a vector.  It sees
 * texts that are spelt, punctuated or ordered otherwise.  It knows no
 * language: synonyms are different words to it.
 */


#ifndef _LLM_EMBED_LEXICAL_H_INCLUDED_
#define _LLM_EMBED_LEXICAL_H_INCLUDED_


#include "llm_core.h"


#define LLM_LEXICAL_DIM      512
#define LLM_LEXICAL_BUCKETS  8192

/*
 * In how many texts the words of a bucket were: rare words weigh more.  Kept
 * by the caller, zeroed to start; several processes may use one at a time,
 * which at worst miscounts.
 */

typedef struct {
    uint32_t              texts;
    uint32_t              buckets[LLM_LEXICAL_BUCKETS];
} llm_lexical_idf_t;


/* counts the words of a text */

void llm_lexical_learn(llm_lexical_idf_t *idf, llm_str_t text);

/*
 * Writes LLM_LEXICAL_DIM coordinates of length 1.  The same text and the same
 * statistics (NULL: none) give the same vector.  0, or -1 where the text has
 * no word.
 */

int llm_lexical_embed(const llm_lexical_idf_t *idf, llm_str_t text,
    float *vector);


#endif /* _LLM_EMBED_LEXICAL_H_INCLUDED_ */
