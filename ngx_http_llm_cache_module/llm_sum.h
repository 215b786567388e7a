/*
 * A checksum over bytes that are kept outside of the zone: AES-GMAC under a
 * known key, as fast as memory.  It finds damage, not forgery.
 */


#ifndef _LLM_SUM_H_INCLUDED_
#define _LLM_SUM_H_INCLUDED_


#include "llm_core.h"


#define LLM_SUM_LEN  16


typedef struct llm_sum_s  llm_sum_t;


/* NULL when memory ran out */

llm_sum_t *llm_sum_create(void);
void llm_sum_free(llm_sum_t *sum);

/* 0, or -1 when memory ran out; nothing follows the end */

int llm_sum_add(llm_sum_t *sum, const unsigned char *p, size_t len);
int llm_sum_end(llm_sum_t *sum, unsigned char *out);


#endif /* _LLM_SUM_H_INCLUDED_ */
