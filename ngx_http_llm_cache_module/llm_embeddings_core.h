/*
 * An answer while it is cut, for the llm_embeddings*.c files alone.
 */


#ifndef _LLM_EMBEDDINGS_CORE_H_INCLUDED_
#define _LLM_EMBEDDINGS_CORE_H_INCLUDED_


#include "llm_embeddings.h"


/* groups in groups, and members that differ from answer to answer */

#define LLM_REPLY_DEPTH   8
#define LLM_REPLY_FREES   8


typedef struct {
    llm_range_t              list;
    llm_embeddings_list_t   *elements;   /* by their index; NULL: no list */
    size_t                   n;
    size_t                   head;       /* where the first one begins */
    llm_range_t              first;      /* between the first two of them */
    size_t                   last;       /* where the last one ends */

    /* the element that is read */
    size_t                   index;
    llm_range_t              digits;
    unsigned                 indexed:1;
    unsigned                 vectors:1;  /* it has some */

    llm_scan_type_e          type;       /* of all vectors */
    size_t                   dim;
} llm_reply_list_t;


struct llm_embeddings_cut_s {
    llm_scan_t               scan;
    size_t                   n;
    unsigned                 failed:1;

    size_t                   members[LLM_REPLY_DEPTH];   /* of open groups */
    unsigned                 depth;

    llm_reply_list_t         lists[LLM_EMBEDDINGS_LISTS];
    llm_range_t              hole[LLM_EMBEDDINGS_HOLES];
    unsigned                 holes;
    llm_range_t              free[LLM_REPLY_FREES];
    unsigned                 frees;

    int64_t                  tokens;
    uint32_t                *costs;
    size_t                   len;        /* of the answer */
    unsigned char            shape[LLM_EMBEDDINGS_SHAPE];
    unsigned char            space[LLM_EMBEDDINGS_SPACE];
    unsigned                 spaces;
};


#endif /* _LLM_EMBEDDINGS_CORE_H_INCLUDED_ */
