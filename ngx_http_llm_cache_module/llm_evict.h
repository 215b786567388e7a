/*
 * Which record to give up when memory is short: GreedyDual-Size-Frequency
 * (Cherkasova, 1998).  A record's priority is what it saves per byte times
 * how often it was asked for, on top of an age that rises with what was
 * evicted.  The record of the lowest priority goes first.
 */


#ifndef _LLM_EVICT_H_INCLUDED_
#define _LLM_EVICT_H_INCLUDED_


#include "llm_core.h"


/* how many prompt tokens cost as much as one completion token does */
#define LLM_EVICT_COMPLETION  4

/* bytes of an answer per completion token, where usage is not told */
#define LLM_EVICT_TOKEN_BYTES  8


/* what was asked for since it got its priority is given another one when its
   turn to go comes: at most so many before one has to go */
#define LLM_EVICT_CHANCES  8


/* cost per byte in fixed point; tokens: -1 where they are not told */

uint32_t llm_evict_weight(int64_t prompt_tokens, int64_t completion_tokens,
    size_t size);

/* age: the priority of what was evicted last */

uint64_t llm_evict_priority(uint64_t age, uint32_t frequency,
    uint32_t weight);

/*
 * Where the time of the last use counts alone: the priority of what is used
 * now, which is above that of all before, and above those that the other
 * policy gave.  age: the last such priority; now: seconds since the epoch.
 */

uint64_t llm_evict_latest(uint64_t age, uint64_t now);

/* the same of what was last used in another process */

uint64_t llm_evict_used(uint64_t age, uint64_t used);


#endif /* _LLM_EVICT_H_INCLUDED_ */
