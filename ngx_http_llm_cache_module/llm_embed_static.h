/*
 * Static embeddings: a text's vector is the mean of its tokens'.  Reads the
 * directories that Model2Vec writes (minishlab/potion-*), with BERT's
 * tokenizer.
 */


#ifndef _LLM_EMBED_STATIC_H_INCLUDED_
#define _LLM_EMBED_STATIC_H_INCLUDED_


#include "llm_core.h"


/* tokens of a text that count, as in Model2Vec */
#define LLM_STATIC_TOKENS  512


typedef struct llm_static_s  llm_static_t;


/*
 * Opens a directory with tokenizer.json, model.safetensors and, where there is
 * one, config.json:
 *
 * - "embeddings", a matrix of F32, F16 or I8 with a row for each token;
 * - "weights", F64, F32 or F16: what each token weighs, where there is such;
 * - "mapping", I64 or I32: the row of each token, where there is such;
 * - "normalize" of config.json has to be a boolean.  Vectors have length 1
 *   either way, since only their angles are compared.
 *
 * The matrix is mapped, not read: all processes share it.  The files must not
 * be changed in place while they are used; to replace them is fine.  NULL,
 * with why in "error".
 */

llm_static_t *llm_static_open(const char *dir, char *error, size_t size);
void llm_static_close(llm_static_t *model);

size_t llm_static_dim(const llm_static_t *model);

/*
 * Writes llm_static_dim() coordinates of length 1: 0, or -1 where the model
 * knows none of the text's words.
 */

int llm_static_embed(const llm_static_t *model, llm_str_t text,
    float *vector);


#endif /* _LLM_EMBED_STATIC_H_INCLUDED_ */
