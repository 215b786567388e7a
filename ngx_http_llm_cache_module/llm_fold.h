/*
 * Letters without regard to case and accents, as an uncased BERT tokenizer
 * and a reader in a hurry see them.
 */


#ifndef _LLM_FOLD_H_INCLUDED_
#define _LLM_FOLD_H_INCLUDED_


#include "llm_core.h"


/* what a code point is to who looks for words */

typedef enum {
    LLM_CHAR_SPACE = 0,            /* and controls */
    LLM_CHAR_LETTER,
    LLM_CHAR_DIGIT,
    LLM_CHAR_IDEOGRAPH,            /* a word of its own */
    LLM_CHAR_PUNCT,                /* and symbols */
    LLM_CHAR_MARK                  /* an accent that follows its letter */
} llm_char_e;


/* the most bytes of a code point */
#define LLM_FOLD_UTF8  4


/*
 * The next code point of a text and its length in bytes, which is 1 with
 * U+FFFD where the bytes are no UTF-8; "len" is not 0.
 */

size_t llm_fold_next(const unsigned char *p, size_t len, uint32_t *code);

/* writes at most LLM_FOLD_UTF8 bytes: how many */

size_t llm_fold_put(uint32_t code, unsigned char *p);

/*
 * Lower case without accents (Unicode's simple lower case, then the canonical
 * decomposition without its marks) for the Latin, Greek and Cyrillic letters;
 * others as they are.
 */

uint32_t llm_fold(uint32_t code);

llm_char_e llm_fold_class(uint32_t code);


#endif /* _LLM_FOLD_H_INCLUDED_ */
