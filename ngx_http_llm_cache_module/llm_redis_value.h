/*
 * A record as a Redis value: a head that names the format, the key and the
 * length and has a checksum, then the record's bytes.  Whoever else writes
 * into the same Redis, and whatever becomes of the bytes: what is not exactly
 * as it was stored, under this key, is none.
 *
 *     0   4   "LLMV"
 *     4   2   version, little-endian like all integers
 *     6   2   0
 *     8   8   length of the record
 *    16  32   key
 *    48  16   checksum (llm_sum.h) of what stands before it and the record
 */


#ifndef _LLM_REDIS_VALUE_H_INCLUDED_
#define _LLM_REDIS_VALUE_H_INCLUDED_


#include "llm_key.h"
#include "llm_record.h"
#include "llm_sum.h"


#define LLM_REDIS_VALUE_VERSION  1
#define LLM_REDIS_VALUE_HEAD     64


/* fills the head before the len bytes of a record; 0, or -1: out of memory */

int llm_redis_value_close(const unsigned char *key, unsigned char *value,
    size_t len);

/* 0 with the record's head read, or -1 for what is no value of this key's */

int llm_redis_value_open(const unsigned char *key, llm_str_t value,
    llm_record_t *rec, llm_str_t *record);

/* tells values apart by their heads; 0 for what is none of this key's */

uint32_t llm_redis_value_stamp(const unsigned char *key, llm_str_t value);


#endif /* _LLM_REDIS_VALUE_H_INCLUDED_ */
