/*
 * What a client says about caching its own call: Cache-Control, and the body
 * members "caching" and "cache" as LiteLLM's clients send them.
 */


#ifndef _LLM_CONTROL_H_INCLUDED_
#define _LLM_CONTROL_H_INCLUDED_


#include <jansson.h>

#include "llm_core.h"


#define LLM_CONTROL_UNSET  (-1)

/* longer times count as this (RFC 9111, 1.2.2): sums cannot overflow */
#define LLM_CONTROL_MAX    INT32_MAX


typedef struct {
    int64_t               ttl;             /* seconds, "cache.ttl" */
    int64_t               max_age;         /* seconds: max-age of a header,
                                              "cache.s-maxage" (the smaller
                                              one counts) */
    llm_str_t             ns;              /* belongs to the document; empty
                                              when not said */
    int                   use_cache;       /* -1 not said, 0, 1: "caching",
                                              "cache.use-cache" (0 wins) */
    double                threshold;       /* "cache.threshold", 0: not said
                                              (the larger one counts) */
    unsigned              no_semantic:1;   /* "cache.semantic" is false */
    unsigned              no_cache:1;
    unsigned              no_store:1;
    unsigned              only_if_cached:1;
} llm_control_t;


void llm_control_init(llm_control_t *control);

/* reads one Cache-Control value (RFC 9111, 5.2.1); unknown words are skipped;
   several values may be read into one control: the strictest counts */

void llm_control_header(llm_str_t value, llm_control_t *control);

/* reads "caching" and "cache" of a request; members of an unexpected type
   inside "cache" are skipped */

void llm_control_body(const json_t *doc, llm_control_t *control);

/*
 * Finds the text of the controls in a body that llm_json_load() accepted: at
 * most two ranges, ascending, each a member with one comma and the white
 * space between.  Only a boolean "caching" and an object "cache" at the top
 * level, however the names are escaped.  What is left is JSON again and every
 * other byte is untouched.  Returns the number of ranges, 0 to 2.
 */

int llm_control_find(const unsigned char *body, size_t len,
    llm_range_t *ranges);


#endif /* _LLM_CONTROL_H_INCLUDED_ */
