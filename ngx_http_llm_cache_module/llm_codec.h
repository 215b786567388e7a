/*
 * Stored bodies, packed as gzip: written in steps, so that nobody waits for
 * it, and read back either by the client itself or by an unpacker that trusts
 * nothing it finds.
 */


#ifndef _LLM_CODEC_H_INCLUDED_
#define _LLM_CODEC_H_INCLUDED_


#include "llm_core.h"


typedef enum {
    LLM_CODING_IDENTITY = 0,
    LLM_CODING_GZIP
} llm_coding_e;


/*
 * Bodies outside of these bounds stay as they are.  Shorter ones save little
 * and make a hit slower by a third for who cannot read gzip.  The upper ones
 * keep the unpacking of any body below a millisecond.
 */

#define LLM_CODEC_MIN_BODY    2048
#define LLM_CODEC_MAX_BODY    (2 * 1024 * 1024)
#define LLM_CODEC_MAX_PACKED  (128 * 1024)

/* a step of packing: no more than this is fed in one go */
#define LLM_CODEC_STEP        (16 * 1024)

/* room that an unpacker needs behind the body, to read without looking out */
#define LLM_CODEC_SLACK       320


typedef struct llm_packer_s    llm_packer_t;
typedef struct llm_unpacker_s  llm_unpacker_t;


/* the most bytes that a body may take packed, to be worth it; 0: none */

size_t llm_codec_worth(size_t len);

/* a checksum over packed bytes that follow those of "check", first 0 */

uint32_t llm_codec_check(uint32_t check, const unsigned char *data,
    size_t len);


/* may be used for one body after another; NULL when memory ran out */

llm_packer_t *llm_packer_create(void);
void llm_packer_free(llm_packer_t *packer);

/*
 * Packs a body into the caller's "out" of "size" bytes, which must stay until
 * the end.  Starting forgets an unfinished body.
 */

void llm_packer_start(llm_packer_t *packer, unsigned char *out, size_t size);

/* 0, or -1 when the packed body does not fit: the body is then given up */

int llm_packer_feed(llm_packer_t *packer, const unsigned char *data,
    size_t len);

/* 0 with the number of bytes in "out", or -1 as above */

int llm_packer_end(llm_packer_t *packer, size_t *packed);


llm_unpacker_t *llm_unpacker_create(void);
void llm_unpacker_free(llm_unpacker_t *unpacker);

/*
 * Unpacks a body of exactly "len" bytes, whose packed bytes have the checksum
 * "check", into the caller's "out" of len + LLM_CODEC_SLACK bytes.
 */

void llm_unpacker_start(llm_unpacker_t *unpacker, uint32_t check,
    unsigned char *out, size_t len);

/* 0, or -1 for what is damaged: "out" then holds nothing of use */

int llm_unpacker_feed(llm_unpacker_t *unpacker, const unsigned char *data,
    size_t len);
int llm_unpacker_end(llm_unpacker_t *unpacker);


/* what a client says of a coding: -1 nothing, 0 that it is not welcome, 1 */

typedef struct {
    int  gzip;
    int  any;
} llm_accept_t;

/* reads one Accept-Encoding header; further ones add to it */

void llm_accept_init(llm_accept_t *accept);
void llm_accept_read(llm_accept_t *accept, llm_str_t value);
int llm_accept_gzip(const llm_accept_t *accept);


#endif /* _LLM_CODEC_H_INCLUDED_ */
