/*
 * What of a chat request may be compared by its meaning: the text of the last
 * message where the user wrote it.  Everything else has to be equal.
 */


#ifndef _LLM_QUESTION_H_INCLUDED_
#define _LLM_QUESTION_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_key.h"
#include "llm_pos.h"


/* longer bodies and questions are compared by their bytes only */
#define LLM_QUESTION_BODY  (256 * 1024)
#define LLM_QUESTION_MAX   4096


typedef struct {
    /*
     * SHA-256 of the canonical body with a byte that no JSON text has there in
     * place of the question: requests of one partition and of the same
     * question have the same canonical body.
     */
    unsigned char         partition[LLM_KEY_LEN];

    unsigned char         text[LLM_QUESTION_MAX];    /* UTF-8 */
    size_t                len;
} llm_question_t;


/*
 * Reads a body that llm_body_read() accepted with the same dialect, ignored
 * fields and strip_controls.
 *
 * 1: there is a question.  0: there is none that may be compared: the dialect
 * has no chat; the last message is not the user's; it holds anything besides
 * text (of several parts of text the last is the question, the others have to
 * be equal); a tool has to be called; the text or the body is too long.
 * -1: memory ran out, or the body is not one that llm_body_read() accepts.
 */

int llm_question_read(const unsigned char *data, size_t len,
    const llm_dialect_t *dialect, const llm_ignore_t *ignore,
    int strip_controls, llm_question_t *question);


#endif /* _LLM_QUESTION_H_INCLUDED_ */
