/*
 * Reads HTTP/1.x answers piece by piece: what a client of the tests and of
 * the benchmark has in common.
 */


#ifndef _ANSWER_H_INCLUDED_
#define _ANSWER_H_INCLUDED_


#include <stddef.h>


typedef enum {
    ANSWER_HEAD = 0,
    ANSWER_LENGTH,                 /* "left" bytes of body are to come */
    ANSWER_CLOSE,                  /* the body ends with the connection */
    ANSWER_SIZE,                   /* a chunk's size */
    ANSWER_CHUNK,
    ANSWER_CHUNK_END,
    ANSWER_TRAILER,
    ANSWER_WHOLE,
    ANSWER_BAD
} answer_state_e;


typedef struct {
    answer_state_e   state;
    int              status;
    char             cache[16];    /* X-LLM-Cache, or "-" */
    size_t           left;

    char            *line;         /* the head, then a line of the coding */
    size_t           line_len;
    size_t           line_size;

    char            *body;
    size_t           len;
    size_t           size;
} answer_t;


/* takes bytes until the answer is whole; the number of those it took */
size_t answer_feed(answer_t *a, const char *data, size_t len);

/* forgets the answer, to read another one; the memory stays */
void answer_reset(answer_t *a);
void answer_free(answer_t *a);


#endif /* _ANSWER_H_INCLUDED_ */
