/*
 * Reads a compressed answer as it passes: the codings gzip (RFC 1952) and
 * deflate (RFC 1950) of HTTP (RFC 9110, section 8.4.1).
 */


#ifndef _LLM_GUNZIP_H_INCLUDED_
#define _LLM_GUNZIP_H_INCLUDED_


#include "llm_core.h"


typedef struct llm_gunzip_s  llm_gunzip_t;

/* takes the next plain bytes: 0 to go on, or a number above 0 */
typedef int (*llm_gunzip_pt)(void *ctx, const unsigned char *data,
    size_t len);


/* whether this is the name of a coding that can be read */

int llm_gunzip_knows(llm_str_t coding);

/* NULL when memory ran out */

llm_gunzip_t *llm_gunzip_create(void);
void llm_gunzip_free(llm_gunzip_t *gunzip);

/*
 * The next packed bytes, cut anywhere; their plain ones go to the handler at
 * once, some kilobytes at a time.  0; -1 for damage, and for bytes after the
 * end; or what the handler returned.  After anything but 0 nothing more may be
 * fed.
 */

int llm_gunzip_feed(llm_gunzip_t *gunzip, const unsigned char *data,
    size_t len, llm_gunzip_pt handler, void *ctx);

/* whether the packed bytes came to their end, and were sound */

int llm_gunzip_ended(const llm_gunzip_t *gunzip);


#endif /* _LLM_GUNZIP_H_INCLUDED_ */
