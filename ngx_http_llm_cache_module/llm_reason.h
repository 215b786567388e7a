/*
 * Why a request was not looked up or an answer was not stored: one fixed word
 * each, the values of $llm_cache_reason.  docs/directives.md lists them all.
 */


#ifndef _LLM_REASON_H_INCLUDED_
#define _LLM_REASON_H_INCLUDED_


#include "llm_core.h"


#define LLM_REASONS(_)                                                        \
    _(NONE, "")                                                               \
    /* the request is left alone */                                           \
    _(METHOD, "method")                                                       \
    _(CONTENT_TYPE, "content_type")                                           \
    _(REQUEST_ENCODING, "request_encoding")                                   \
    _(RANGE, "range")                                                         \
    _(UPGRADE, "upgrade")                                                     \
    _(NO_BODY, "no_body")                                                     \
    _(BODY_SIZE, "body_size")                                                 \
    _(BODY_READ, "body_read")                                                 \
    _(JSON, "json")                                                           \
    _(DUPLICATE, "duplicate")                                                 \
    _(NUMBER, "number")                                                       \
    _(DEPTH, "depth")                                                         \
    _(STATEFUL, "stateful")                                                   \
    _(HOSTED_TOOLS, "hosted_tools")                                           \
    _(TEMPERATURE, "temperature")                                             \
    _(OPT_IN, "opt_in")                                                       \
    _(KEY, "key")                                                             \
    _(NO_MEMORY, "no_memory")                                                 \
    _(UNREAD, "unread")                                                       \
    /* the request was not answered from the cache by request */              \
    _(VERIFY, "verify")                                                       \
    _(CLIENT, "client")                                                       \
    _(OPERATOR, "operator")                                                   \
    /* the answer was not stored */                                           \
    _(CLIENT_NO_STORE, "client_no_store")                                     \
    _(OPERATOR_NO_STORE, "operator_no_store")                                 \
    _(NOT_VALID, "not_valid")                                                 \
    _(STATUS, "status")                                                       \
    _(RESPONSE_TYPE, "response_type")                                         \
    _(RESPONSE_ENCODING, "response_encoding")                                 \
    _(UPSTREAM_NO_STORE, "upstream_no_store")                                 \
    _(UPSTREAM_PRIVATE, "upstream_private")                                   \
    _(TRUNCATED, "truncated")                                                 \
    _(INCOMPLETE, "incomplete")                                               \
    _(RESPONSE_JSON, "response_json")                                         \
    _(ERROR, "error")                                                         \
    _(NO_OUTPUT, "no_output")                                                 \
    _(FINISH, "finish")                                                       \
    _(ENTRY_SIZE, "entry_size")                                               \
    _(ZONE_FULL, "zone_full")                                                 \
    _(REDIRECTED, "redirected")                                               \
    _(INPUTS, "inputs")                                                       \
    _(PURGED, "purged")


typedef enum {
#define LLM_REASON_ENUM(name, word)  LLM_REASON_##name,
    LLM_REASONS(LLM_REASON_ENUM)
#undef LLM_REASON_ENUM
    LLM_REASON_MAX
} llm_reason_e;


/* the word for a reason; static storage */

llm_str_t llm_reason_word(llm_reason_e reason);


#endif /* _LLM_REASON_H_INCLUDED_ */
