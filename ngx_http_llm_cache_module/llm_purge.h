/*
 * What is to be purged: conditions, all of which a record must fulfil.  They
 * come as JSON from who purges, and as a message from other machines.
 */


#ifndef _LLM_PURGE_H_INCLUDED_
#define _LLM_PURGE_H_INCLUDED_


#include "llm_core.h"
#include "llm_key.h"
#include "llm_record.h"


#define LLM_PURGE_ID_LEN     16

/* bytes of a message */
#define LLM_PURGE_LEN        92

#define LLM_PURGE_ZONE_LEN   128
#define LLM_PURGE_ERROR_LEN  128

/* members of llm_purge_t.by */

#define LLM_PURGE_KEY        0x01
#define LLM_PURGE_NAMESPACE  0x02
#define LLM_PURGE_SCOPE      0x04
#define LLM_PURGE_MODEL      0x08
#define LLM_PURGE_AGE        0x10


typedef struct {
    unsigned char         id[LLM_PURGE_ID_LEN];  /* tells it from others */
    unsigned              by;                /* LLM_PURGE_*; 0: everything */
    unsigned char         key[LLM_KEY_LEN];
    llm_tags_t            tags;
    uint64_t              before;            /* created then, or earlier;
                                                seconds since the epoch */
} llm_purge_t;


typedef struct {
    llm_purge_t           purge;             /* its id is not set */
    int                   dry_run;
    char                  zone[LLM_PURGE_ZONE_LEN];   /* "": all of them */
    char                  error[LLM_PURGE_ERROR_LEN];
} llm_purge_request_t;


/* 1 where a record fulfils all conditions */

int llm_purge_match(const llm_purge_t *purge, const unsigned char *key,
    const llm_tags_t *tags, uint64_t created);

/*
 * Reads a request's JSON; "now" in seconds since the epoch.  0, or -1 with the
 * error, which holds no quote or control character.
 */

int llm_purge_read(llm_str_t body, uint64_t now, llm_purge_request_t *req);

/* so many bytes out of twice as many hex digits; 0 or -1 */

int llm_purge_hex(llm_str_t hex, unsigned char *bytes, size_t len);

/* a message of LLM_PURGE_LEN bytes; decode: 0, or -1 for what is none */

void llm_purge_encode(const llm_purge_t *purge, unsigned char *message);
int llm_purge_decode(llm_str_t message, llm_purge_t *purge);


#endif /* _LLM_PURGE_H_INCLUDED_ */
