/*
 * What of a request body counts for the key, and where: the places in which
 * the safe equivalences apply, the members that are left out, the operator's
 * ignore paths.  Shared by the two writers of the canonical body, the one
 * over documents (llm_key) and the one over text (llm_canon).
 */


#ifndef _LLM_POS_H_INCLUDED_
#define _LLM_POS_H_INCLUDED_


#include <jansson.h>

#include "llm_core.h"
#include "llm_dialect.h"


typedef enum {
    LLM_POS_NONE = 0,
    LLM_POS_TOP,
    LLM_POS_MESSAGES,        /* array of LLM_POS_MESSAGE */
    LLM_POS_MESSAGE,
    LLM_POS_CONTENT,         /* a string, or an array of LLM_POS_PART */
    LLM_POS_PART,
    LLM_POS_RESULT,          /* array of LLM_POS_RESULT_PART */
    LLM_POS_RESULT_PART,
    LLM_POS_TOOLS,           /* array of LLM_POS_TOOL */
    LLM_POS_TOOL
} llm_pos_e;


/* the members that tell one kind of object from another, where strings */

typedef struct {
    llm_str_t             type;
    llm_str_t             role;
    unsigned              has_type:1;    /* of whatever kind */
} llm_pos_traits_t;


typedef int (*llm_pos_test_pt)(const llm_pos_traits_t *traits);


/* an array that is a member of an object and leads to a place */

typedef struct {
    unsigned              dialects;      /* a bit for each id */
    llm_pos_e             from;
    llm_str_t             name;
    llm_pos_e             to;
    llm_pos_test_pt       test;          /* of the object; may be NULL */
} llm_pos_step_t;


/*
 * Fields left out of the key: "a", "a.b"; each element of an array on the way
 * is tried.  A member whose own name holds dots is matched as it is spelled.
 * Empty paths match nothing.
 */

typedef struct {
    llm_str_t            *paths;
    size_t                n;
} llm_ignore_t;


/*
 * A stack of what is still to be matched of the ignore paths: each level of
 * the body owns the slice above its parent's.
 */

typedef struct {
    llm_str_t            *active;
    size_t                n;
    size_t                size;
} llm_paths_t;


/* NULL where such a member leads nowhere */

const llm_pos_step_t *llm_pos_step(llm_dialect_e id, llm_pos_e from,
    llm_str_t name);

/* the place of an array's elements */

llm_pos_e llm_pos_element(llm_pos_e pos);

/* members that do not count wherever the operator says nothing; JSON_REAL
   stands for every number */

int llm_pos_dropped(llm_dialect_e id, llm_pos_e pos, llm_str_t name,
    json_type type, int strip_controls);

/* the "type" of a plain text part */

llm_str_t llm_pos_plain(llm_dialect_e id);


/* zero the stack to start; "ignore" may be NULL.  0, or -1: no memory */

int llm_paths_init(llm_paths_t *paths, const llm_ignore_t *ignore,
    llm_range_t *slice);

/* whether one of the slice's paths ends at this member */

int llm_paths_end(const llm_paths_t *paths, llm_range_t slice,
    llm_str_t name);

/* pushes what follows the name in the paths that lead through the member;
   0, or -1: no memory */

int llm_paths_enter(llm_paths_t *paths, llm_range_t slice, llm_str_t name,
    llm_range_t *below);
void llm_paths_leave(llm_paths_t *paths, llm_range_t below);
void llm_paths_free(llm_paths_t *paths);


#endif /* _LLM_POS_H_INCLUDED_ */
