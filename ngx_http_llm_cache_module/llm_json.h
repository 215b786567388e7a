/*
 * Strict JSON loading and RFC 8785 (JCS) writing over jansson documents.
 */


#ifndef _LLM_JSON_H_INCLUDED_
#define _LLM_JSON_H_INCLUDED_


#include <jansson.h>

#include "llm_core.h"
#include "llm_reason.h"


/* objects and arrays nested deeper than this are refused */
#define LLM_JSON_MAX_DEPTH  128

/* integers below 2^53 are doubles, and written as they stand */
#define LLM_JSON_INT_SAFE  9007199254740992LL

/* sign, 17 digits, 21 places, "0.00000" or an exponent, and some */
#define LLM_JSON_NUMBER_LEN  64


/* a growing byte buffer: zero it to start, llm_buf_free() to end */

typedef struct {
    unsigned char        *data;
    size_t                len;
    size_t                size;
} llm_buf_t;


/* 0, or -1 when memory ran out; the buffer then keeps what it had */

int llm_buf_add(llm_buf_t *buf, const void *data, size_t len);
void llm_buf_free(llm_buf_t *buf);


/*
 * Loads one JSON object.  Texts that two parsers could read differently are
 * refused: duplicate members, invalid UTF-8, lone surrogates, integers that a
 * double would change, numbers that overflow, trailing bytes, nesting over
 * the limit.  White space around the object is fine.
 *
 * Returns LLM_REASON_NONE and a document that the caller decrefs, or
 * LLM_REASON_JSON, _DUPLICATE, _NUMBER, _DEPTH or _NO_MEMORY.  The parser
 * itself may take an allocation that failed for a fault of the text.
 */

llm_reason_e llm_json_load(const unsigned char *data, size_t len,
    json_t **doc);


/*
 * Appends the value in RFC 8785 form: members sorted by UTF-16 code units,
 * numbers as ECMAScript writes doubles.  0, or -1 when memory ran out or the
 * value is none that llm_json_load() gives (not finite, nested too deep); the
 * buffer may then end in a part of the value.
 */

int llm_json_canon(const json_t *value, llm_buf_t *out);

/* the same for a string alone, its quotes included */

int llm_json_canon_string(const char *data, size_t len, llm_buf_t *out);

/* and for a number */

int llm_json_canon_double(double value, llm_buf_t *out);

/*
 * The number whose significant digits are these, "point" of them before the
 * decimal point: at most LLM_JSON_NUMBER_LEN bytes, of which it returns how
 * many.  The first and the last digit are not 0.
 */

size_t llm_json_layout(const unsigned char *digits, int n, int point,
    char *text);


/* a member of an object; belongs to the object */

typedef struct {
    const char           *name;
    size_t                len;
    const json_t         *value;
} llm_json_member_t;


/*
 * The members of an object in RFC 8785 order, in an array that the caller
 * frees; NULL when the object is empty.  0, or -1 when memory ran out.
 */

int llm_json_members(const json_t *object, llm_json_member_t **members,
    size_t *n);


#endif /* _LLM_JSON_H_INCLUDED_ */
