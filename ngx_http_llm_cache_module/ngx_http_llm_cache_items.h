/*
 * Embeddings by their inputs: a call for several inputs is looked up input by
 * input, and what is missing is asked for by a subrequest.
 */


#ifndef _NGX_HTTP_LLM_CACHE_ITEMS_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_ITEMS_H_INCLUDED_


#include "ngx_http_llm_cache.h"


/* a vector and its frame are no longer than that, or are not put together */
#define NGX_HTTP_LLM_CACHE_ITEM_MAX   (1024 * 1024)

/* what one round of the event loop may do: about 1 us each */
#define NGX_HTTP_LLM_CACHE_ITEM_WORK  512


/*
 * An answer to several inputs, as it comes: its bytes in memory of this
 * process, and where each vector stands.  It is stored input by input, and may
 * outlive its request.
 */

typedef struct {
    ngx_queue_t                  queue;
    ngx_http_llm_cache_zone_t   *zone;
    ngx_http_llm_cache_redis_t  *redis;
    time_t                       stale;

    llm_embeddings_cut_t        *cut;
    ngx_http_llm_cache_chunk_t  *chunks;
    ngx_http_llm_cache_chunk_t  *last;
    ngx_http_llm_cache_cursor_t  cursor;
    size_t                       len;
    off_t                        expected;   /* -1: not told */
    ngx_msec_t                   fetched_at;

    ngx_uint_t                   n;          /* inputs */
    u_char                      *keys;
    uint32_t                    *weights;
    llm_buf_t                    meta;       /* without the table */
    llm_record_t                 record;     /* what all have in common */
    ngx_uint_t                   purges;     /* of the zone, until then */
    ngx_uint_t                   next;       /* the first one not stored */

    /* a flight whose followers wait until the inputs are stored: they have the
       whole answer then, where it was recorded, or else look for the inputs */
    ngx_http_llm_cache_writer_t  writer;
    unsigned                     recorded:1;
} ngx_http_llm_cache_reply_t;


typedef enum {
    NGX_HTTP_LLM_CACHE_ITEM_MISSING = 0,
    NGX_HTTP_LLM_CACHE_ITEM_STALE,
    NGX_HTTP_LLM_CACHE_ITEM_FRESH
} ngx_http_llm_cache_item_e;


/* one input; that of the first of equal ones counts */

typedef struct {
    ngx_http_llm_cache_hold_t    hold;
    ngx_http_llm_cache_item_e    state;
    ngx_uint_t                   asked;      /* its place in the subrequest */
    ngx_atomic_uint_t            changes;    /* until Redis was asked */
    size_t                       len;        /* of its elements, without their
                                                indexes */
    int32_t                      tokens;
    uint32_t                     msec;       /* that its call took */
    uint32_t                     created;
    uint32_t                     expires;
    u_char                       shape[LLM_EMBEDDINGS_SHAPE];
} ngx_http_llm_cache_item_t;


/* the subrequest, and what it got; of the request's pool */

struct ngx_http_llm_cache_fetch_s {
    ngx_http_request_t          *request;    /* NULL: nobody waits */
    ngx_http_request_t          *subrequest;
    ngx_http_llm_cache_reply_t  *reply;
    ngx_uint_t                   failure;    /* NGX_HTTP_UPSTREAM_FT_... */
    unsigned                     bad:1;
    unsigned                     whole:1;    /* its end has come */
};


typedef ngx_int_t (*ngx_http_llm_cache_items_pt)(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);


struct ngx_http_llm_cache_items_s {
    ngx_http_request_t          *request;
    ngx_http_llm_cache_ctx_t    *ctx;
    ngx_http_llm_cache_items_pt  handler;    /* what is to be done next */
    ngx_event_t                  event;

    llm_embeddings_t             ask;
    ngx_str_t                    text;       /* of the request's body */
    u_char                       base[LLM_KEY_LEN];
    u_char                      *keys;
    uint16_t                    *first;      /* of the inputs equal to it */
    ngx_http_llm_cache_item_t   *items;
    ngx_uint_t                   n;

    ngx_uint_t                   next;       /* input */
    ngx_uint_t                   failures;   /* of flights, when it began */
    ngx_uint_t                   distinct;
    ngx_uint_t                   fresh;
    ngx_uint_t                   stale;
    ngx_uint_t                   missing;
    ngx_http_llm_cache_redis_batch_t  *query;

    ngx_uint_t                   newest;     /* whose frame is that of all */
    ngx_uint_t                   wanted;     /* that are asked for */
    ngx_http_llm_cache_fetch_t  *fetch;
    ngx_http_llm_cache_reply_t  *reply;      /* to the call as it came */
    ngx_http_llm_cache_reply_t  *storing;    /* the same, when it has ended */

    /* the answer that is put together */
    llm_embeddings_table_t       table;
    llm_embeddings_merge_t       merge;
    llm_embeddings_table_t       place;      /* of one input's own record */
    ngx_http_llm_cache_cursor_t  cursor;
    ngx_http_llm_cache_cursor_t  begin;      /* where it may go back to */
    size_t                       shift;      /* of the body in it */
    ngx_uint_t                   opened;     /* that input, and 1 */
    ngx_pool_t                  *pool;       /* of what is unpacked */

    int                          rc;         /* of reading the request */
    unsigned                     read:1;
    unsigned                     whole:1;    /* it goes upstream as it came */
    unsigned                     failed:1;   /* and nothing is stored */
    unsigned                     stored:1;   /* the inputs are */
    unsigned                     waiting:1;  /* for the client to read */
};


/* ngx_http_llm_cache_items_reply.c */

/* begins to read the answer at hand; NULL where it cannot be */
ngx_http_llm_cache_reply_t *ngx_http_llm_cache_reply_create(
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t n,
    ngx_uint_t store);
void ngx_http_llm_cache_reply_free(ngx_http_llm_cache_reply_t *reply);

/* NGX_OK, or NGX_DECLINED where it cannot be taken apart */
ngx_int_t ngx_http_llm_cache_reply_take(ngx_http_llm_cache_reply_t *reply,
    ngx_buf_t *b);
/* the same when all of it has come */
ngx_int_t ngx_http_llm_cache_reply_end(ngx_http_llm_cache_reply_t *reply);

/* whether it may be stored, when all of it has come */
ngx_uint_t ngx_http_llm_cache_reply_stores(
    ngx_http_llm_cache_reply_t *reply);
/* stores as much as one round may: NGX_OK, or NGX_AGAIN where there is more */
ngx_int_t ngx_http_llm_cache_reply_store(ngx_http_llm_cache_reply_t *reply);
/* stores it in the rounds to come, and frees it */
void ngx_http_llm_cache_reply_store_later(ngx_http_llm_cache_reply_t *reply);

/* what llm_embeddings_*() read the answer by */
void ngx_http_llm_cache_reply_copy(void *data, size_t offset,
    unsigned char *p, size_t len);

/* ngx_http_llm_cache_items_fetch.c */

/* NGX_AGAIN: a subrequest asks for what is wanted; NGX_DECLINED: none can */
ngx_int_t ngx_http_llm_cache_items_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_items_ask_end(ngx_http_llm_cache_items_t *items);

/* what a subrequest for inputs is, or NULL */
ngx_http_llm_cache_fetch_t *ngx_http_llm_cache_fetch_of(
    ngx_http_request_t *r);
void ngx_http_llm_cache_fetch_head(ngx_http_request_t *r,
    ngx_http_llm_cache_fetch_t *fetch);
void ngx_http_llm_cache_fetch_take(ngx_http_llm_cache_fetch_t *fetch,
    ngx_chain_t *in);

/* ngx_http_llm_cache_items_send.c */

/* sends what is there of all inputs, in as many rounds as it takes */
ngx_int_t ngx_http_llm_cache_items_send(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* the client may read on; as the handlers */
ngx_int_t ngx_http_llm_cache_items_drained(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_items_read.c */

/* holds none of them any more */
void ngx_http_llm_cache_items_release(ngx_http_llm_cache_items_t *items);

/* ngx_http_llm_cache_items.c */

/* of the event that later() posts */
void ngx_http_llm_cache_items_handler(ngx_event_t *ev);
/* goes on with what is to be done next */
void ngx_http_llm_cache_items_wake(ngx_http_request_t *r);
/* the same in a round to come */
void ngx_http_llm_cache_items_later(ngx_http_llm_cache_items_t *items);
/* or not any more */
void ngx_http_llm_cache_items_calm(ngx_http_llm_cache_items_t *items);

/* reads a held record's head and table: NGX_OK, or NGX_DECLINED where it is
   none of an input */
ngx_int_t ngx_http_llm_cache_item_read(ngx_http_llm_cache_node_t *node,
    const u_char *key, llm_record_t *rec, llm_embeddings_table_t *table);


#endif /* _NGX_HTTP_LLM_CACHE_ITEMS_H_INCLUDED_ */
