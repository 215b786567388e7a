/*
 * JSON documents that keep the spelling of what they were read from: a value
 * that is not changed is written as the bytes that it came as, numbers with
 * all their digits, strings with their escapes.  So texts that were cut into
 * pieces are joined, and cut, without being decoded; an escaped surrogate
 * pair that was split is whole again when its halves stand side by side.
 *
 * Everything lives in an arena and is freed with it.
 */


#ifndef _LLM_DOC_H_INCLUDED_
#define _LLM_DOC_H_INCLUDED_


#include "llm_core.h"
#include "llm_json.h"
#include "llm_scan.h"


typedef struct llm_arena_block_s  llm_arena_block_t;

/* zero it to start, llm_arena_free() to end */

typedef struct {
    llm_arena_block_t    *blocks;
    unsigned char        *free;
    size_t                left;
    size_t                used;        /* of all blocks */
    size_t                max;         /* the most that may be; 0: no limit */
    unsigned              failed:1;    /* some allocation was refused */
} llm_arena_t;


typedef struct llm_value_s  llm_value_t;

struct llm_value_s {
    llm_str_t             name;        /* as a member, as it is spelled */
    llm_str_t             text;        /* as it is spelled, with its quotes;
                                          NULL: it was made or changed */
    llm_value_t          *first;       /* of an object or array, or the pieces
                                          of a string that was joined */
    llm_value_t          *last;
    llm_value_t          *next;
    size_t                n;
    llm_scan_type_e       type;
    unsigned              broken:1;    /* spelled on several lines */
};


/* NULL when memory ran out or the limit is reached */

void *llm_arena_alloc(llm_arena_t *arena, size_t size);
void llm_arena_free(llm_arena_t *arena);


/*
 * The document of a text that llm_scan_* accepts, which must outlive it: NULL
 * when memory ran out, and for most texts that are no JSON.  Names of letters
 * that are spelled with escapes are refused, as names are compared as they
 * are spelled.
 */

llm_value_t *llm_doc_parse(llm_arena_t *arena, llm_str_t text);

/* a member; NULL when there is none, or when it is no object */

llm_value_t *llm_doc_get(const llm_value_t *object, const char *name);

llm_value_t *llm_doc_find(const llm_value_t *object, llm_str_t name);

/* whether a string, as it is spelled, is this one; 0 for NULL */

int llm_doc_is(const llm_value_t *value, const char *text);

/* whether it is absent, null, or an empty string */

int llm_doc_silent(const llm_value_t *value);

/* whether it is of this type; 0 for NULL */

int llm_doc_type(const llm_value_t *value, llm_scan_type_e type);

/* a small unsigned integer; "absent" where it is none */

size_t llm_doc_index(const llm_value_t *value, size_t absent);

/* what a string that was not changed is spelled as between its quotes */

llm_str_t llm_doc_inner(const llm_value_t *value);

/* whether both are spelled alike */

int llm_doc_same(const llm_value_t *one, const llm_value_t *two);


/*
 * Making and changing.  These return NULL, or do nothing, where they are given
 * a NULL.  Where memory ran out, or what is to be changed was not made but
 * read, arena->failed tells too.
 */

llm_value_t *llm_doc_new(llm_arena_t *arena, llm_scan_type_e type);

/* a value that is spelled so; the text must outlive it */

llm_value_t *llm_doc_spelled(llm_arena_t *arena, llm_scan_type_e type,
    llm_str_t text);

/* a copy that can be changed without the other; its values cannot */

llm_value_t *llm_doc_copy(llm_arena_t *arena, const llm_value_t *value);

/* the same, and its name is another; NULL keeps the name */

llm_value_t *llm_doc_renamed(llm_arena_t *arena, const llm_value_t *value,
    const char *name);

/* adds a copy of the value to an object (by name) or array (name NULL) that
   was made: the copy, which may be changed */

llm_value_t *llm_doc_add(llm_arena_t *arena, llm_value_t *parent,
    const char *name, const llm_value_t *value);

/* the same, in place of the member of that name if there is one */

llm_value_t *llm_doc_set(llm_arena_t *arena, llm_value_t *object,
    const char *name, const llm_value_t *value);

void llm_doc_remove(llm_value_t *object, const char *name);

/* appends the text of a string to a string that was made */

void llm_doc_join(llm_arena_t *arena, llm_value_t *string,
    const llm_value_t *piece);


/* appends the value to a buffer, on one line: 0, or -1 when memory ran out */

int llm_doc_write(const llm_value_t *value, llm_buf_t *out);

/*
 * Decodes what is spelled between quotes and appends it: 0, or -1 when memory
 * ran out or it is no such text.
 */

int llm_doc_decode(llm_str_t inner, llm_buf_t *out);


/* cuts the inside of a string into pieces as a model would stream it: some
   words each, never inside a character or an escape */

typedef struct {
    llm_str_t             rest;
    size_t                least;       /* bytes of a piece */
} llm_cut_t;

void llm_cut_init(llm_cut_t *cut, llm_str_t inner);

/* 1 with the next piece, 0 at the end */

int llm_cut_next(llm_cut_t *cut, llm_str_t *piece);


#endif /* _LLM_DOC_H_INCLUDED_ */
