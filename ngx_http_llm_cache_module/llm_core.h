/*
 * The types that every llm_* file shares.  No nginx header may be included
 * from an llm_* file: they are built, tested and fuzzed without nginx.
 */


#ifndef _LLM_CORE_H_INCLUDED_
#define _LLM_CORE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>


/* a view of bytes that somebody else owns; never NUL-terminated */

typedef struct {
    size_t                len;
    const unsigned char  *data;
} llm_str_t;


#define llm_string(s)     { sizeof(s) - 1, (const unsigned char *) (s) }
#define llm_null_string   { 0, NULL }


/* a half-open range of byte offsets: [start, end) */

typedef struct {
    size_t                start;
    size_t                end;
} llm_range_t;


/* how a body is framed */

typedef enum {
    LLM_FORM_NONE = 0,
    LLM_FORM_JSON,
    LLM_FORM_SSE,
    LLM_FORM_NDJSON
} llm_form_e;


static inline int
llm_str_eq(llm_str_t a, const char *b, size_t len)
{
    return a.len == len && (len == 0 || memcmp(a.data, b, len) == 0);
}


#endif /* _LLM_CORE_H_INCLUDED_ */
