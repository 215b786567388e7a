/*
 * A bounded set of keys, of which the latest are kept: 4096, in sets of 8, of
 * which a ninth takes the place of the oldest.
 */


#ifndef _LLM_BAR_H_INCLUDED_
#define _LLM_BAR_H_INCLUDED_


#include "llm_core.h"
#include "llm_key.h"


#define LLM_BAR_SETS  512
#define LLM_BAR_WAYS  8


/*
 * Kept by the caller, zeroed to start.  One process may add at a time, others
 * may look meanwhile; one that dies in the middle does no harm.
 */

typedef struct {
    uint64_t              keys[LLM_BAR_SETS][LLM_BAR_WAYS];   /* 0: none */
    uint32_t              next[LLM_BAR_SETS];
} llm_bar_t;


/* 1, or 0 where the key was there */

int llm_bar_add(llm_bar_t *bar, const unsigned char *key);

/* 1 or 0: of 64 bits of the key, which are a digest's */

int llm_bar_has(const llm_bar_t *bar, const unsigned char *key);


#endif /* _LLM_BAR_H_INCLUDED_ */
