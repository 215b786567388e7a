/*
 * The canonical body, from a document: the reference that llm_body, which
 * builds none, has to equal on every input.
 */


#ifndef _KEY_BODY_H_INCLUDED_
#define _KEY_BODY_H_INCLUDED_


#include <jansson.h>

#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_pos.h"


/*
 * Appends the canonical body: RFC 8785 without the built-in ignored fields
 * and those of "ignore" (may be NULL), and with the safe equivalences: a
 * string content as a single plain text part (a type and a text and nothing
 * else that counts), null as absent at the top level, no cache_control
 * markers where Anthropic's API takes them.  "caching" and "cache" are left
 * out only where strip_controls is set and they have a control's type.
 *
 * The document is not changed.  0, or -1 when memory ran out; the buffer may
 * then end in a part of the body.
 */

int key_body(const json_t *doc, const llm_dialect_t *dialect,
    const llm_ignore_t *ignore, int strip_controls, llm_buf_t *out);


#endif /* _KEY_BODY_H_INCLUDED_ */
