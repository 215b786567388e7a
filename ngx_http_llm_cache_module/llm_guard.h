/*
 * Guards: what two questions that look alike have to agree in before an
 * answer to one may serve the other.  The rules are for English; of other
 * languages they see numbers, quotes, code, names, words and their order.
 */


#ifndef _LLM_GUARD_H_INCLUDED_
#define _LLM_GUARD_H_INCLUDED_


#include "llm_core.h"


#define LLM_GUARD_LENGTH       0x0001   /* one is much longer */
#define LLM_GUARD_CODE         0x0002   /* code, formulas */
#define LLM_GUARD_QUOTE        0x0004   /* quoted strings */
#define LLM_GUARD_NUMBER       0x0008   /* numbers, in their order */
#define LLM_GUARD_DATE         0x0010   /* dates, days, past or future */
#define LLM_GUARD_UNIT         0x0020   /* units, currencies */
#define LLM_GUARD_NAME         0x0040   /* names, identifiers */
#define LLM_GUARD_NEGATION     0x0080   /* not, without, un- */
#define LLM_GUARD_COMPARATIVE  0x0100   /* more or less, and opposites */
#define LLM_GUARD_QUESTION     0x0200   /* who, when, how many, whether */
#define LLM_GUARD_DIRECTION    0x0400   /* A to B or B to A */
#define LLM_GUARD_WORDS        0x0800   /* any other word that says anything */

#define LLM_GUARD_ALL          0x0fff
#define LLM_GUARDS             12


typedef struct llm_guard_text_s  llm_guard_text_t;


/*
 * Makes sense of a text of at most 64 KB, which has to outlive the result.
 * NULL when memory ran out.  Not to be called by several threads at once.
 */

llm_guard_text_t *llm_guard_read(llm_str_t text);
void llm_guard_free(llm_guard_text_t *text);

/*
 * The first of the guards that two texts do not pass, or 0.  Which of the two
 * comes first does not decide whether they pass.
 */

unsigned llm_guard_check(const llm_guard_text_t *a, const llm_guard_text_t *b,
    unsigned guards);

/* a guard's name, and the other way round; 0 for no guard's */

const char *llm_guard_name(unsigned guard);
unsigned llm_guard_find(llm_str_t name);


#endif /* _LLM_GUARD_H_INCLUDED_ */
