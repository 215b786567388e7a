/*
 * The member names of the objects that a JSON scanner has open, as hashes: a
 * set that works as a stack, so that closing an object forgets its names.
 */


#ifndef _LLM_NAMES_H_INCLUDED_
#define _LLM_NAMES_H_INCLUDED_


#include "llm_core.h"


/* zero it to start */

typedef struct {
    uint64_t             *hashes;
    uint32_t             *slots;       /* 0: free, else an index + 1 */
    uint32_t              n;
    uint32_t              n_slots;
} llm_names_t;


#define LLM_NAMES_DUPLICATE  (-1)
#define LLM_NAMES_NOMEM      (-2)


/*
 * 0, or why not.  Names are told apart by their hash alone: two that collide
 * refuse a sound text, which costs a hit and nothing else.  More than a
 * million names at a time are refused as a duplicate would be.
 */

int llm_names_add(llm_names_t *names, uint64_t hash);

/* forgets all but the first n */

void llm_names_drop(llm_names_t *names, uint32_t n);
void llm_names_free(llm_names_t *names);


#endif /* _LLM_NAMES_H_INCLUDED_ */
