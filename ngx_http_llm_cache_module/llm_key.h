/*
 * The key: SHA-256 over a sequence of tagged, length-delimited parts, so that
 * no two different requests can be made to spell the same bytes.
 */


#ifndef _LLM_KEY_H_INCLUDED_
#define _LLM_KEY_H_INCLUDED_


#include "llm_core.h"


#define LLM_KEY_LEN      32
#define LLM_KEY_VERSION  1


/* the parts, mostly in the order in which they are added; tags are for ever */

typedef enum {
    LLM_KEY_NAMESPACE = 1,
    LLM_KEY_CLIENT_NAMESPACE,   /* "cache": {"namespace"}: inside the scope */
    LLM_KEY_SCOPE,
    LLM_KEY_DIALECT,
    LLM_KEY_FORM,
    LLM_KEY_URI,
    LLM_KEY_HEADER,             /* "name" then "value", one part each */
    LLM_KEY_BODY,
    LLM_KEY_CUSTOM,             /* llm_cache_key instead of URI..BODY */
    LLM_KEY_VARIANT,            /* the key, then the variant's number; these
                                   alone */
    LLM_KEY_QUESTION,           /* the partition instead of BODY; then the
                                   embedder and the variant */
    LLM_KEY_APART,              /* the key, then its record's time and length
                                   and the form; these alone */
    LLM_KEY_INPUT,              /* the key without BODY, the digests of the
                                   body without inputs and of one of them;
                                   these alone */
    LLM_KEY_HOST                /* after the namespace, unless the operator
                                   gave that: the host, and what the header
                                   says where that is another one */
} llm_key_part_e;


typedef struct llm_key_s  llm_key_t;


/*
 * NULL when memory ran out; the version is hashed in at once.  Keys are kept
 * for the next one, so that only one thread may make them.
 */

llm_key_t *llm_key_create(void);

/* 0, or -1 on failure, which llm_key_final() then reports again */

int llm_key_add(llm_key_t *key, llm_key_part_e part, const void *data,
    size_t len);

/* writes LLM_KEY_LEN bytes and frees the key; 0 or -1 */

int llm_key_final(llm_key_t *key, unsigned char *digest);
void llm_key_free(llm_key_t *key);


/* LLM_KEY_LEN bytes of digest as 64 lower-case hex digits */

void llm_key_hex(const unsigned char *digest, unsigned char *hex);


#endif /* _LLM_KEY_H_INCLUDED_ */
