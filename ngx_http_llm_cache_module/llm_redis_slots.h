/*
 * Where a Redis Cluster keeps a key: its hash slot, and the redirections that
 * a node answers with.  After the Redis Cluster specification.
 */


#ifndef _LLM_REDIS_SLOTS_H_INCLUDED_
#define _LLM_REDIS_SLOTS_H_INCLUDED_


#include "llm_core.h"


#define LLM_REDIS_SLOTS  16384


typedef enum {
    LLM_REDIS_STAY = 0,                      /* any other error */
    LLM_REDIS_MOVED,
    LLM_REDIS_ASK
} llm_redis_move_e;


typedef struct {
    unsigned              slot;
    llm_str_t             host;              /* empty: the one that said so */
    unsigned              port;
} llm_redis_move_t;


/* of the key, or of what its first pair of braces holds */

unsigned llm_redis_slot(llm_str_t key);

/* reads an error's text: "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT" */

llm_redis_move_e llm_redis_move(llm_str_t error, llm_redis_move_t *move);


#endif /* _LLM_REDIS_SLOTS_H_INCLUDED_ */
