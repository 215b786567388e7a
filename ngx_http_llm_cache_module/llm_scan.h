/*
 * A strict push scanner of JSON text (RFC 8259), fed by pieces cut anywhere.
 * It builds no document: a static tree of nodes names the members that the
 * caller wants to see, everything else is only checked.
 *
 * Refused: invalid UTF-8, duplicate members of one object, nesting over
 * LLM_JSON_MAX_DEPTH.  Accepted, since a stream may split a pair between two
 * events: escapes of lone surrogates.
 */


#ifndef _LLM_SCAN_H_INCLUDED_
#define _LLM_SCAN_H_INCLUDED_


#include "llm_core.h"
#include "llm_json.h"
#include "llm_names.h"
#include "llm_number.h"
#include "llm_utf8.h"


/* decoded bytes of a string that a handler gets to see */
#define LLM_SCAN_TEXT  64


typedef enum {
    LLM_SCAN_NULL = 0,
    LLM_SCAN_FALSE,
    LLM_SCAN_TRUE,
    LLM_SCAN_NUMBER,
    LLM_SCAN_STRING,
    LLM_SCAN_OBJECT,
    LLM_SCAN_ARRAY
} llm_scan_type_e;


/* added to a role: only objects and arrays are told, no scalars */
#define LLM_SCAN_CONTAINERS  0x100


/* the bit of a type in llm_scan_value_t.kinds */

#define llm_scan_kind(type)  (1u << (type))


typedef struct llm_scan_node_s  llm_scan_node_t;

struct llm_scan_node_s {
    llm_str_t                name;     /* as a member; else empty */
    unsigned                 role;     /* 0: the value itself is not told */
    const llm_scan_node_t   *members;  /* of an object; ends with no name */
    const llm_scan_node_t   *items;    /* every element of an array */
};

#define llm_scan_end_node    { llm_null_string, 0, NULL, NULL }


typedef struct {
    unsigned                 role;
    llm_scan_type_e          type;

    /* an object or array is told twice: where it opens and where it closes */
    unsigned                 open:1;

    /* where it stands in the text; as it opens, its first byte */
    size_t                   start;
    size_t                   end;

    /* a string's or number's beginning; "size" is its whole decoded length,
       and at the close of an object or array the number of its values */
    llm_str_t                text;
    size_t                   size;

    /* at the close: which types the values had, and which place this one
       had in its own array or object (from 0) */
    unsigned                 kinds;
    size_t                   position;
} llm_scan_value_t;


typedef void (*llm_scan_handler_pt)(void *ctx, const llm_scan_value_t *value);


typedef enum {
    LLM_SCAN_OK = 0,
    LLM_SCAN_INVALID,
    LLM_SCAN_NO_MEMORY
} llm_scan_result_e;


typedef struct {
    const llm_scan_node_t   *node;
    size_t                   start;
    size_t                   count;
    uint32_t                 names;
    uint8_t                  kinds;
    uint8_t                  array;
} llm_scan_frame_t;


typedef struct {
    const llm_scan_node_t   *root;
    llm_scan_handler_pt      handler;
    void                    *ctx;

    /*
     * The first object: the text itself, or the first element where the text
     * is an array.  The offset of its closing brace, SIZE_MAX when there is
     * none (yet).
     */
    size_t                   first_end;
    unsigned                 first_empty:1;
    unsigned                 first_cache:1;     /* has a member "cache" */

    /* private */
    unsigned                 state;
    unsigned                 depth;
    size_t                   offset;            /* of this piece */
    size_t                   start;             /* of the scalar */
    const unsigned char     *piece;
    const llm_scan_node_t   *node;              /* of the next value */
    const char              *literal;           /* what is left of it */
    llm_scan_type_e          type;
    llm_scan_result_e        result;
    unsigned                 is_name:1;         /* the string is a name */
    unsigned                 keep:1;            /* its text is wanted */
    uint64_t                 hash;
    size_t                   size;
    uint32_t                 code;              /* of a \u escape */
    uint32_t                 high;              /* surrogate, waiting */
    unsigned                 digits;
    llm_number_e             number;
    llm_utf8_t               utf8;
    llm_names_t              names;             /* of the open objects */
    unsigned char            text[LLM_SCAN_TEXT];
    llm_scan_frame_t         frames[LLM_JSON_MAX_DEPTH];
} llm_scan_t;


/* zeroes the scanner; llm_scan_free() gives back what it comes to hold */

void llm_scan_init(llm_scan_t *scan, llm_scan_handler_pt handler, void *ctx);

/* begins a text; "root" may be NULL */

void llm_scan_begin(llm_scan_t *scan, const llm_scan_node_t *root);

/* white space around the text is fine; after any other result than
   LLM_SCAN_OK the next call must be llm_scan_begin() or llm_scan_free() */

llm_scan_result_e llm_scan_feed(llm_scan_t *scan, const unsigned char *data,
    size_t len);

/* ends the text: LLM_SCAN_INVALID when it was not whole */

llm_scan_result_e llm_scan_end(llm_scan_t *scan);

/* 1 when there was nothing but white space so far, else 0 */

int llm_scan_blank(const llm_scan_t *scan);

void llm_scan_free(llm_scan_t *scan);


#endif /* _LLM_SCAN_H_INCLUDED_ */
