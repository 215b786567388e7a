/*
 * All that the module needs of a request body, from one pass over its text:
 * no document is built.  Equal to llm_json_load(), llm_key_body() and SHA-256,
 * llm_dialect_ask(), llm_control_body() and llm_control_find().
 */


#ifndef _LLM_BODY_H_INCLUDED_
#define _LLM_BODY_H_INCLUDED_


#include <jansson.h>

#include "llm_control.h"
#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_key.h"
#include "llm_pos.h"
#include "llm_reason.h"


typedef struct {
    unsigned char         digest[LLM_KEY_LEN];  /* of the canonical body */
    llm_ask_t             ask;

    /* where body controls count, else as llm_control_init() leaves them */
    llm_control_t         control;
    llm_range_t           ranges[2];            /* as llm_control_find() */
    int                   n;

    json_t               *doc;    /* private: the few members that are asked
                                     for; owns the strings above */
} llm_body_t;


/*
 * Reads a body.  LLM_REASON_NONE, or LLM_REASON_JSON, _DUPLICATE, _NUMBER,
 * _DEPTH, _NO_MEMORY as llm_json_load() has them, which may name another of
 * several faults, or _BODY_SIZE for more than half a gigabyte.  Strings of
 * "ask" belong to the body or to the route.
 *
 * Nothing is kept between calls, so that threads may call it at once.  Work is
 * O(n log n) and memory a small multiple of the body whatever it holds.
 */

llm_reason_e llm_body_read(const unsigned char *data, size_t len,
    const llm_route_t *route, const llm_ignore_t *ignore, int strip_controls,
    llm_body_t *body);

/* also after a refusal, and twice */

void llm_body_free(llm_body_t *body);


#endif /* _LLM_BODY_H_INCLUDED_ */
