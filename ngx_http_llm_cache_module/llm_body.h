/*
 * What the module needs of a request's body: the digest of its canonical
 * form, what it asks for, and the client's cache controls.
 */


#ifndef _LLM_BODY_H_INCLUDED_
#define _LLM_BODY_H_INCLUDED_


#include "llm_control.h"
#include "llm_dialect.h"
#include "llm_key.h"


typedef struct {
    unsigned char         digest[LLM_KEY_LEN];
    llm_ask_t             ask;
    llm_control_t         control;
    llm_range_t           ranges[2];     /* the controls' text */
    int                   n;             /* of them */
    json_t               *doc;
} llm_body_t;


llm_reason_e llm_body_read(const unsigned char *data, size_t len,
    const llm_route_t *route, const llm_ignore_t *ignore, int controls,
    llm_body_t *body);
void llm_body_free(llm_body_t *body);


#endif /* _LLM_BODY_H_INCLUDED_ */
