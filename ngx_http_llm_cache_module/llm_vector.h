/*
 * Search among many vectors: a sketch of 256 bits finds candidates, of which
 * vectors in bytes tell the similarity.  Vectors have length 1, so that a dot
 * product is the cosine.
 */


#ifndef _LLM_VECTOR_H_INCLUDED_
#define _LLM_VECTOR_H_INCLUDED_


#include "llm_core.h"


/* the most coordinates of a vector */
#define LLM_VECTOR_MAX     4096

#define LLM_VECTOR_SKETCH  4                /* words of 64 bits */


typedef struct {
    uint64_t              bits[LLM_VECTOR_SKETCH];
} llm_vector_sketch_t;


typedef struct {
    uint32_t              index;
    uint32_t              distance;         /* bits that differ */
} llm_vector_hit_t;


/* how the loops are done; the first is what llm_vector_use() begins with */

typedef enum {
    LLM_VECTOR_BEST = 0,           /* of what this processor has */
    LLM_VECTOR_PORTABLE,
    LLM_VECTOR_SSE2,
    LLM_VECTOR_AVX2,
    LLM_VECTOR_NEON
} llm_vector_kind_e;

/* 0, or -1 where this processor has not got it: nothing is changed then.
   All kinds give the same numbers. */

int llm_vector_use(llm_vector_kind_e kind);


/* scales to length 1; 0, or -1 for a vector of no length or of no numbers */

int llm_vector_normalise(float *v, size_t dim);

/* in bytes, and what a byte stands for */

float llm_vector_pack(const float *v, size_t dim, int8_t *packed);

/* and back, of length 1: 0, or -1 for a vector of no length */

int llm_vector_unpack(const int8_t *packed, size_t dim, float *v);

/* the dot product of bytes */

int32_t llm_vector_dot(const int8_t *a, const int8_t *b, size_t dim);

/*
 * The signs of 256 sums of the coordinates, the same ones for every vector of
 * this dimension: how many bits of two sketches differ estimates the angle.
 */

void llm_vector_sketch(const float *v, size_t dim,
    llm_vector_sketch_t *sketch);

/*
 * The k nearest sketches among n, of those whose tag is "tag", in no order:
 * how many there are.  What ties with the last one may be left out.  Others
 * may write to the arrays meanwhile; what is found has to be looked at again.
 */

size_t llm_vector_scan(const uint64_t *tags, uint64_t tag,
    const llm_vector_sketch_t *sketches, size_t n,
    const llm_vector_sketch_t *sketch, llm_vector_hit_t *hits, size_t k);


#endif /* _LLM_VECTOR_H_INCLUDED_ */
