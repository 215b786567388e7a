/*
 * The state file: a zone's records as they outlive nginx.  A head, then for
 * each record what the zone knows about it and its bytes, then a tail that
 * tells how many there are, how long the file is, and its checksum.  Integers
 * are little-endian; nothing in it depends on how the zone was laid out.
 *
 * Writer and reader work on pieces of any length and keep no more than a
 * head's worth of bytes.  The checksum is that of llm_sum.h.
 */


#ifndef _LLM_STATE_H_INCLUDED_
#define _LLM_STATE_H_INCLUDED_


#include "llm_core.h"
#include "llm_key.h"
#include "llm_record.h"
#include "llm_sum.h"


#define LLM_STATE_VERSION  2

#define LLM_STATE_MAGIC    "LLMSTATE"
#define LLM_STATE_HEAD     24
#define LLM_STATE_ENTRY    80
#define LLM_STATE_TAIL     40
#define LLM_STATE_SUM      LLM_SUM_LEN


/* what a zone knows about a record */

typedef struct {
    unsigned char         key[LLM_KEY_LEN];

    uint64_t              created;           /* seconds since the epoch */
    uint64_t              expires;
    uint64_t              used;

    uint32_t              frequency;
    uint32_t              weight;
    uint32_t              asked;
    uint64_t              priority;          /* above the zone's age */

    uint32_t              len;               /* of the record's bytes */
} llm_state_entry_t;


typedef struct {
    llm_sum_t            *sum;
    uint64_t              count;
    uint64_t              length;
} llm_state_writer_t;


typedef enum {
    LLM_STATE_AGAIN = 0,                     /* the piece was read */
    LLM_STATE_RECORD,                        /* one begins: see entry */
    LLM_STATE_DATA,                          /* its next bytes: see data */
    LLM_STATE_DONE,                          /* complete, and as written */
    LLM_STATE_FOREIGN,                       /* not a state file */
    LLM_STATE_VERSION_OTHER,
    LLM_STATE_TORN,                          /* not as it was written */
    LLM_STATE_FAILED                         /* memory ran out */
} llm_state_e;


typedef struct {
    llm_state_entry_t     entry;
    llm_str_t             data;              /* valid until the next call */

    uint64_t              count;             /* of records so far */
    uint64_t              length;            /* of the file so far */

    llm_sum_t            *sum;
    uint32_t              left;              /* of the record */
    unsigned              at;                /* the part that is next */
    unsigned              n;                 /* bytes in buf */
    unsigned char         buf[LLM_STATE_ENTRY + LLM_RECORD_HEAD];
} llm_state_reader_t;


/*
 * The writer.  Begin, entry and end give bytes to be written, of the length
 * in the name of the constant; between an entry and the next one all of its
 * record's bytes pass through llm_state_data().  0, or -1 when memory ran out.
 */

int llm_state_begin(llm_state_writer_t *w, uint64_t now, unsigned char *head);
int llm_state_entry(llm_state_writer_t *w, const llm_state_entry_t *entry,
    unsigned char *head);
int llm_state_data(llm_state_writer_t *w, llm_str_t data);
int llm_state_end(llm_state_writer_t *w, unsigned char *tail);
void llm_state_writer_free(llm_state_writer_t *w);

/*
 * 1 where the entry and the head of its record go together, as the reader
 * demands it.
 */

int llm_state_sound(const llm_state_entry_t *entry,
    const unsigned char *record);


/*
 * The reader.  Takes bytes from the front of *piece, as many as it needs for
 * the next thing to tell; after LLM_STATE_DONE or a refusal there is nothing
 * more to be had.  Records are told before the checksum has been reached: who
 * must not see those of a damaged file reads it twice.
 */

int llm_state_reader_init(llm_state_reader_t *r);
llm_state_e llm_state_read(llm_state_reader_t *r, llm_str_t *piece);
void llm_state_reader_free(llm_state_reader_t *r);

/* 1 where a file that begins so is, or was to become, a state file */

int llm_state_ours(llm_str_t start);

/* why a file was refused: the rest of "the file ..." */

const char *llm_state_reason(llm_state_e state);


#endif /* _LLM_STATE_H_INCLUDED_ */
