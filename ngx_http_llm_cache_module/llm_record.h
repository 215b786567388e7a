/*
 * One stored answer as bytes: a fixed head, a list of tagged strings (the
 * meta part), the body.  The same form serves shared memory and whatever
 * else holds records; integers are little-endian.
 */


#ifndef _LLM_RECORD_H_INCLUDED_
#define _LLM_RECORD_H_INCLUDED_


#include "llm_codec.h"
#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_key.h"


#define LLM_RECORD_VERSION  7
#define LLM_RECORD_HEAD     124
#define LLM_RECORD_NO_MARK  UINT32_MAX

/* a byte of the head, and the bit of it that is rec->barred: it may be set in
   a record that others read */
#define LLM_RECORD_AT_FLAGS  7
#define LLM_RECORD_BARRED    0x10

/* bytes before a value of the meta part */
#define LLM_RECORD_META_HEAD  3

/* the latest end of a lifetime, in seconds since the epoch: who keeps records
   has 32 bits for it */
#define LLM_RECORD_LATEST    UINT32_MAX

#define LLM_TAG_LEN          8


/* what records can be told by without their key: short digests */

typedef struct {
    unsigned char         ns[LLM_TAG_LEN];
    unsigned char         scope[LLM_TAG_LEN];
    unsigned char         model[LLM_TAG_LEN];
} llm_tags_t;


typedef struct {
    unsigned char         key[LLM_KEY_LEN];  /* a record names its own key */

    uint64_t              created;           /* seconds since the epoch */
    uint64_t              expires;

    int32_t               prompt_tokens;     /* -1: not told */
    int32_t               completion_tokens;

    uint32_t              body_len;          /* before it was packed */
    uint32_t              usage_start;       /* in the body; empty: none */
    uint32_t              usage_end;
    uint32_t              mark;              /* in the body, or NO_MARK */

    uint16_t              meta_len;
    uint16_t              status;
    uint8_t               form;              /* llm_form_e */
    uint8_t               coding;            /* llm_coding_e */
    uint8_t               ask;               /* LLM_ASK_*: how it was asked
                                                for */
    uint8_t               dialect;           /* llm_dialect_e */

    llm_tags_t            tags;

    uint32_t              packed_len;        /* 0 where it is not packed */
    uint32_t              check;             /* llm_codec_check() of that */
    uint32_t              msec;              /* that the upstream took */

    unsigned              mark_empty:1;
    unsigned              has_usage:1;
    unsigned              usage_asked:1;     /* the request asked for it */
    unsigned              tools:1;           /* it calls some */
    unsigned              barred:1;          /* it answers no other question */
    unsigned              split:1;           /* it took the place of one of
                                                which its form could not be
                                                made */
    unsigned              varies:1;          /* it has an LLM_META_VARY */
} llm_record_t;


typedef enum {
    LLM_META_CONTENT_TYPE = 1,
    LLM_META_MODEL,
    LLM_META_HEADER_NAME,                    /* followed by its value */
    LLM_META_HEADER_VALUE,
    LLM_META_PARTITION,                      /* of the question */
    LLM_META_QUESTION,                       /* that it answers */
    LLM_META_EMBEDDER,                       /* of the question, */
    LLM_META_VECTOR,                         /* which gave it this one */
    LLM_META_INPUT,                          /* an answer to one input: where
                                                it has what; the first one */
    LLM_META_NAMESPACE,
    LLM_META_VARY                            /* a digest of LLM_KEY_LEN bytes
                                                of the request's headers of
                                                the names that follow it */
} llm_meta_e;


/* writes LLM_RECORD_HEAD bytes */

void llm_record_encode(const llm_record_t *rec, unsigned char *head);

/*
 * Reads LLM_RECORD_HEAD bytes.  0, or -1 for an unknown version or for
 * offsets that do not fit.
 */

int llm_record_decode(const unsigned char *head, llm_record_t *rec);

/* the tag of a name: the first bytes of its SHA-256; 0, or -1 on failure */

int llm_record_tag(llm_str_t name, unsigned char *tag);

/* of all its bytes, with a packed body where it has one */

uint64_t llm_record_len(const llm_record_t *rec);

/* what goes before a value of the meta part: LLM_RECORD_META_HEAD bytes */

void llm_record_meta_head(unsigned char *head, llm_meta_e tag, size_t len);

/* 0, or -1 when memory ran out or the meta part would exceed 64 KB */

int llm_record_add_meta(llm_buf_t *buf, llm_meta_e tag, llm_str_t value);

/*
 * Steps through a meta part.  Returns 1 with the next tag and value, moving
 * *pos on; 0 at the end or at damage.
 */

int llm_record_next_meta(llm_str_t meta, size_t *pos, llm_meta_e *tag,
    llm_str_t *value);


#endif /* _LLM_RECORD_H_INCLUDED_ */
