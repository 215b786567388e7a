/*
 * What tokens cost, by the model's name.
 */


#ifndef _LLM_PRICE_H_INCLUDED_
#define _LLM_PRICE_H_INCLUDED_


#include "llm_core.h"


/* a million of any currency for a million tokens, at most */
#define LLM_PRICE_MAX  UINT64_C(1000000000000)


/* prices are millionths of a unit of currency, for a million tokens */

typedef struct {
    llm_str_t  glob;
    uint64_t   prompt;
    uint64_t   completion;
} llm_price_t;


/* a number with up to six decimals: 0, or -1 where it is none or too large */

int llm_price_parse(llm_str_t text, uint64_t *price);

/* whether all of the text is what the pattern of *, ? and bytes spells */

int llm_price_match(llm_str_t glob, llm_str_t text);

/* the first whose pattern the model matches, or NULL */

const llm_price_t *llm_price_find(const llm_price_t *prices, size_t n,
    llm_str_t model);

/* in billionths of a unit; negative numbers of tokens are none */

uint64_t llm_price_cost(const llm_price_t *price, int64_t prompt,
    int64_t completion);


#endif /* _LLM_PRICE_H_INCLUDED_ */
