/*
 * Scanner of server-sent events (HTML Living Standard, 9.2.6), fed by pieces
 * cut anywhere.  Where a piece is cut never changes what is told.
 */


#ifndef _LLM_SSE_H_INCLUDED_
#define _LLM_SSE_H_INCLUDED_


#include "llm_core.h"
#include "llm_json.h"


/*
 * One event; strings are valid during the call only.  An event with a name
 * and no data is told too, although a browser would drop it: the SDKs do not.
 */

typedef struct {
    llm_str_t             name;        /* "event:", or empty */
    llm_str_t             data;        /* "data:" lines joined by LF; a NULL
                                          pointer where there was none */

    /* the event's text in the stream: first byte of its first line up to
       the byte after its blank line */
    llm_range_t           range;

    /* where data's first byte stands in the stream, if it was a single
       "data:" line; else SIZE_MAX */
    size_t                data_start;
} llm_sse_event_t;


/* returns 0 to go on; anything else stops the scan and is returned */

typedef int (*llm_sse_handler_pt)(void *ctx, const llm_sse_event_t *event);


typedef struct {
    llm_sse_handler_pt    handler;
    void                 *ctx;
    size_t                max;         /* of one line, of one event's data */

    /* private */
    llm_buf_t             line;        /* begun by an earlier piece */
    llm_buf_t             name;
    llm_buf_t             data;
    llm_str_t             view;        /* the data while it is one line */
    size_t                offset;      /* of the next piece */
    size_t                start;       /* of the event */
    size_t                line_start;
    size_t                data_start;
    size_t                lines;       /* of data */
    unsigned              cr:1;        /* the line ended with a CR, which may
                                          be half of a CR LF */
    unsigned              crlf:1;      /* a CR LF was seen */
    unsigned              first:1;     /* past the first line */
    unsigned              fields:1;    /* the event has a field */
    unsigned              kept:1;      /* the view is in the data buffer */
} llm_sse_t;


#define LLM_SSE_NOMEM    (-1)
#define LLM_SSE_TOO_BIG  (-2)


void llm_sse_init(llm_sse_t *sse, size_t max, llm_sse_handler_pt handler,
    void *ctx);

/* 0, LLM_SSE_*, or what the handler returned: then no more may be fed */

int llm_sse_feed(llm_sse_t *sse, const unsigned char *data, size_t len);

/* the text has ended: tells an event whose blank line was a bare CR, unless
   lines ended with CR LF before, where half of the last one is missing */

int llm_sse_end(llm_sse_t *sse);

/* 1 when the text ended inside a line or an event, else 0 */

int llm_sse_pending(const llm_sse_t *sse);

void llm_sse_free(llm_sse_t *sse);


#endif /* _LLM_SSE_H_INCLUDED_ */
