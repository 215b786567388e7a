/*
 * The Redis protocol, RESP2, on top of hiredis's reader and formatter.  What
 * the reader builds replies with is ours: hiredis's own ends the process when
 * memory runs out, and believes any length that it is told.
 */


#ifndef _LLM_RESP_H_INCLUDED_
#define _LLM_RESP_H_INCLUDED_


#include "llm_core.h"


/* elements of all arrays in one reply */
#define LLM_RESP_ELEMENTS  65536


typedef enum {
    LLM_RESP_STRING = 0,
    LLM_RESP_STATUS,
    LLM_RESP_ERROR,
    LLM_RESP_INTEGER,
    LLM_RESP_NIL,
    LLM_RESP_ARRAY
} llm_resp_e;


typedef struct llm_reply_s  llm_reply_t;
typedef struct llm_resp_s   llm_resp_t;

struct llm_reply_s {
    llm_resp_e            type;
    long long             integer;
    llm_str_t             str;
    size_t                n;
    llm_reply_t         **elements;
};


/*
 * A reader of replies whose strings have at most "max" bytes, and little more
 * where there are several in one reply; NULL when memory ran out.
 */

llm_resp_t *llm_resp_create(size_t max);
void llm_resp_free(llm_resp_t *resp);

/* takes bytes in; 0, or -1 when memory ran out */

int llm_resp_feed(llm_resp_t *resp, const unsigned char *data, size_t len);

/* 1 with a reply to be freed, 0: there is none yet, -1: this is no RESP2 */

int llm_resp_next(llm_resp_t *resp, llm_reply_t **reply);
void llm_reply_free(llm_reply_t *reply);

/* the bytes of a command, to be freed by free(); NULL when memory ran out */

unsigned char *llm_resp_command(int argc, const llm_str_t *argv, size_t *len);


static inline int
llm_reply_is(const llm_reply_t *reply, llm_resp_e type)
{
    return reply && reply->type == type;
}


#endif /* _LLM_RESP_H_INCLUDED_ */
