/*
 * Embeddings calls input by input: what a request asks for, a request for some
 * of it, an answer cut into answers to one input each, and these put together
 * to the answer of another call.
 *
 * Read: OpenAI's and Ollama's "input" (a string, strings, tokens, lists of
 * tokens), Cohere's "texts", Gemini's "requests".  Whatever is not understood
 * in full is not cut.
 *
 * https://platform.openai.com/docs/api-reference/embeddings
 * https://docs.cohere.com/reference/embed
 * https://ai.google.dev/api/embeddings
 * https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
 */


#ifndef _LLM_EMBEDDINGS_H_INCLUDED_
#define _LLM_EMBEDDINGS_H_INCLUDED_


#include "llm_core.h"
#include "llm_dialect.h"
#include "llm_json.h"
#include "llm_key.h"
#include "llm_pos.h"
#include "llm_scan.h"


/* inputs of one call */
#define LLM_EMBEDDINGS_MAX      2048

/* of an input; more is taken for this */
#define LLM_EMBEDDINGS_WEIGHT   (1u << 20)

/* lists of an answer that have an element for each input */
#define LLM_EMBEDDINGS_LISTS    7

/* places of an answer that tell the tokens */
#define LLM_EMBEDDINGS_HOLES    4

/* bytes of what is told once for all inputs */
#define LLM_EMBEDDINGS_FRAME    4096

#define LLM_EMBEDDINGS_SHAPE    16
#define LLM_EMBEDDINGS_SPACE    7

/* bytes of a table as it is stored */
#define LLM_EMBEDDINGS_TABLE                                                  \
    (2 + LLM_EMBEDDINGS_SHAPE + 1 + LLM_EMBEDDINGS_SPACE                      \
     + LLM_EMBEDDINGS_LISTS * 24 + LLM_EMBEDDINGS_HOLES * 8)


/* what a request asks for; zero it to start, llm_embeddings_free() to end */

typedef struct {
    size_t                n;           /* inputs, 1 to LLM_EMBEDDINGS_MAX */
    llm_range_t          *inputs;      /* as they are spelled */
    uint32_t             *weights;     /* in tokens, or in bytes of text */
    llm_range_t           value;       /* of the member that holds them */
} llm_embeddings_t;


/*
 * Reads a body that llm_body_read() accepted.  1, or 0 where it has no inputs
 * that can be told apart, or too many; -1 when memory ran out.
 */

int llm_embeddings_read(const llm_dialect_t *dialect, llm_str_t body,
    const llm_ignore_t *ignore, llm_embeddings_t *ask);

void llm_embeddings_free(llm_embeddings_t *ask);

/* SHA-256 of the canonical body without the inputs; 0, or -1 */

int llm_embeddings_rest(const llm_embeddings_t *ask,
    const llm_route_t *route, const llm_ignore_t *ignore, llm_str_t body,
    unsigned char *digest);

/*
 * The keys of all inputs, LLM_KEY_LEN bytes each: "base" is the key of what
 * does not stand in the body, "rest" that digest.  Nothing is kept between
 * calls, so that threads may call it at once.  0, or -1.
 */

int llm_embeddings_keys(const llm_embeddings_t *ask, llm_str_t body,
    const unsigned char *base, const unsigned char *rest,
    unsigned char *keys);

/* for each input the first one of the same key; 0, or -1 */

int llm_embeddings_distinct(const unsigned char *keys, size_t n,
    uint16_t *first);


/*
 * Where an answer to one input has what: offsets in its body.  Answers of the
 * same shape agree in all but the vectors, the tokens and what differs from
 * answer to answer (ids and durations): they can be put together.
 */

typedef struct {
    llm_range_t           list;        /* between its brackets */
    llm_range_t           element;
    llm_range_t           index;       /* in the element; empty: none */
} llm_embeddings_list_t;

typedef struct {
    unsigned              n;           /* lists; 0: it is none */
    unsigned              holes;
    unsigned char         shape[LLM_EMBEDDINGS_SHAPE];
    unsigned char         space[LLM_EMBEDDINGS_SPACE];  /* after a comma */
    unsigned              spaces;
    llm_embeddings_list_t lists[LLM_EMBEDDINGS_LISTS];
    llm_range_t           hole[LLM_EMBEDDINGS_HOLES];
} llm_embeddings_table_t;

/* LLM_EMBEDDINGS_TABLE bytes; decoding checks it against the body's length: 0,
   or -1 */

void llm_embeddings_encode(const llm_embeddings_table_t *table,
    unsigned char *bytes);
int llm_embeddings_decode(const unsigned char *bytes, size_t body_len,
    llm_embeddings_table_t *table);


/* an answer that is read as it comes */

typedef struct llm_embeddings_cut_s  llm_embeddings_cut_t;

/* copies bytes of the answer */

typedef void (*llm_embeddings_copy_pt)(void *data, size_t offset,
    unsigned char *p, size_t len);

/* the answer to so many inputs; NULL when memory ran out */

llm_embeddings_cut_t *llm_embeddings_cut_create(const llm_dialect_t *dialect,
    size_t n);
void llm_embeddings_cut_free(llm_embeddings_cut_t *cut);

/* the next bytes, cut anywhere: 0, or -1 where it is no such answer */

int llm_embeddings_cut_feed(llm_embeddings_cut_t *cut,
    const unsigned char *data, size_t len);

/*
 * The answer has come to its end, and can be read again: 0, or -1 where it is
 * not one with a vector for each input, all of one kind.
 *
 * The tokens are those of all inputs; each gets a part by its weight, which is
 * at most LLM_EMBEDDINGS_WEIGHT, so that all parts add up to what was told.
 * With tokens as weights, and where there is but one input, they are exact.
 */

int llm_embeddings_cut_end(llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data, const uint32_t *weights);

/* 0 where the answer is of this shape */

int llm_embeddings_cut_compare(const llm_embeddings_cut_t *cut,
    const unsigned char *shape);

/* the tokens of all inputs, or of one; -1: not told */

int64_t llm_embeddings_cut_tokens(const llm_embeddings_cut_t *cut);
int64_t llm_embeddings_cut_cost(const llm_embeddings_cut_t *cut, size_t i);

/* appends the answer to one input alone, and tells where it has what: 0, or -1
   when memory ran out */

int llm_embeddings_cut_one(const llm_embeddings_cut_t *cut,
    llm_embeddings_copy_pt copy, void *data, size_t i, llm_buf_t *body,
    llm_embeddings_table_t *table);

/* where the input's element of a list is in the answer */

void llm_embeddings_cut_element(const llm_embeddings_cut_t *cut, size_t i,
    unsigned list, llm_embeddings_list_t *place);


/*
 * Answers put together, a piece at a time: the frame is that of one of them,
 * whose body and table must outlive it.
 */

typedef struct {
    llm_str_t             text;        /* unless it is empty */
    size_t                input;       /* of whose element this is a part */
    unsigned              list;
    unsigned              after:1;     /* what follows the index, or else what
                                          goes before it */
} llm_embeddings_piece_t;

typedef struct {
    llm_str_t                      body;
    const llm_embeddings_table_t  *table;
    size_t                         n;
    int64_t                        tokens;
    size_t                         at;      /* of the body */
    unsigned                       list;    /* that it is in, or none */
    size_t                         input;
    unsigned                       step;
    unsigned char                  text[24];
} llm_embeddings_merge_t;

void llm_embeddings_merge(llm_embeddings_merge_t *merge, llm_str_t body,
    const llm_embeddings_table_t *table, size_t n, int64_t tokens);

/* 1 with the next piece, which is good until the next one; 0 at the end */

int llm_embeddings_merge_next(llm_embeddings_merge_t *merge,
    llm_embeddings_piece_t *piece);


/* a part of an element, as a piece names it */

static inline llm_range_t
llm_embeddings_part(const llm_embeddings_list_t *place, int after)
{
    llm_range_t  part;

    part = place->element;

    if (place->index.start == place->index.end) {
        part.start = after ? part.end : part.start;

    } else if (after) {
        part.start = place->index.end;

    } else {
        part.end = place->index.start;
    }

    return part;
}


#endif /* _LLM_EMBEDDINGS_H_INCLUDED_ */
