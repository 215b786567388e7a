/*
 * A keyed fingerprint of bytes: AES-GMAC (NIST SP 800-38D) under a key that
 * nobody outside knows, so that nobody can aim collisions.  The nonce is
 * always the same, which makes it a universal hash and not a MAC: a
 * fingerprint must never be shown to anybody.
 */


#ifndef _LLM_FINGERPRINT_H_INCLUDED_
#define _LLM_FINGERPRINT_H_INCLUDED_


#include "llm_core.h"


#define LLM_FINGERPRINT_KEY  16
#define LLM_FINGERPRINT_LEN  16

/* the longest context */
#define LLM_FINGERPRINT_CONTEXT  120


typedef struct llm_fingerprint_s  llm_fingerprint_t;


/* fills LLM_FINGERPRINT_KEY bytes by chance; 0 or -1 */

int llm_fingerprint_new_key(unsigned char *key);

/* NULL on failure; one context serves one message at a time */

llm_fingerprint_t *llm_fingerprint_create(const unsigned char *key);

/*
 * Takes the fingerprint of two byte strings, so that no other two have the
 * same one by spelling: LLM_FINGERPRINT_LEN bytes.  0, or -1 also for a
 * context over its limit.
 */

int llm_fingerprint(llm_fingerprint_t *fp, llm_str_t context, llm_str_t data,
    unsigned char *out);

void llm_fingerprint_free(llm_fingerprint_t *fp);


#endif /* _LLM_FINGERPRINT_H_INCLUDED_ */
