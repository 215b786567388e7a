/*
 * What the nginx parts of the module share: configuration, the request's
 * context, and the calls between the files.
 */


#ifndef _NGX_HTTP_LLM_CACHE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "llm_answer.h"
#include "llm_body.h"
#include "llm_control.h"
#include "llm_convert.h"
#include "llm_dialect.h"
#include "llm_embeddings.h"
#include "llm_evict.h"
#include "llm_fingerprint.h"
#include "llm_gunzip.h"
#include "llm_key.h"
#include "llm_reason.h"
#include "llm_price.h"
#include "llm_record.h"
#include "ngx_http_llm_cache_pack.h"
#include "ngx_http_llm_cache_redis.h"
#include "ngx_http_llm_cache_semantic.h"
#include "ngx_http_llm_cache_semantic_report.h"
#include "ngx_http_llm_cache_stat.h"
#include "ngx_http_llm_cache_wake.h"
#include "ngx_http_llm_cache_zone.h"


#define NGX_HTTP_LLM_CACHE_VERSION          "0.1.0"

#define NGX_HTTP_LLM_CACHE_OFF              0
#define NGX_HTTP_LLM_CACHE_ON               1
#define NGX_HTTP_LLM_CACHE_OPT_IN           2
#define NGX_HTTP_LLM_CACHE_OBSERVE          3

#define NGX_HTTP_LLM_CACHE_API_READ         1
#define NGX_HTTP_LLM_CACHE_API_WRITE        2

#define NGX_HTTP_LLM_CACHE_CONTROL_OFF      0x01
#define NGX_HTTP_LLM_CACHE_CONTROL_HEADER   0x02
#define NGX_HTTP_LLM_CACHE_CONTROL_BODY     0x04

/* beside nginx's own NGX_HTTP_UPSTREAM_FT_...: a provider is overloaded */
#define NGX_HTTP_LLM_CACHE_FT_HTTP_529      0x01000000

#define NGX_HTTP_LLM_CACHE_MAX_VARIANTS     100

/* events per second */
#define NGX_HTTP_LLM_CACHE_MAX_RATE         1000000

#define NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS  1
#define NGX_HTTP_LLM_CACHE_SCOPE_SHARED       2
#define NGX_HTTP_LLM_CACHE_SCOPE_STRING       3


/* by default; see docs/how-it-works.md */

#define NGX_HTTP_LLM_CACHE_LEXICAL_THRESHOLD  0.5
#define NGX_HTTP_LLM_CACHE_STATIC_THRESHOLD   0.96
#define NGX_HTTP_LLM_CACHE_API_THRESHOLD      0.97

/* of two answers, by the lexical embedder and by others */

#define NGX_HTTP_LLM_CACHE_VERIFY_LEXICAL     0.6
#define NGX_HTTP_LLM_CACHE_VERIFY_THRESHOLD   0.88


typedef struct {
    ngx_str_t                    dir;
    llm_static_t                *model;
} ngx_http_llm_cache_model_t;


/* where an llm_cache_api stands */

typedef struct {
    ngx_http_core_loc_conf_t    *location;
    ngx_http_core_srv_conf_t    *server;
    ngx_uint_t                   write;
    ngx_str_t                    file;
    ngx_uint_t                   line;
} ngx_http_llm_cache_api_t;


typedef struct {
    ngx_array_t                  zones;      /* of zone_t * */
    ngx_array_t                  models;     /* of model_t */
    ngx_http_llm_cache_zone_t   *implicit;
    ngx_array_t                  redises;    /* of redis_t * */
    ngx_array_t                  apis;       /* of api_t */
    ngx_str_t                    page_policy;
    ngx_uint_t                   nested;     /* "if" blocks seen so far */
#if (NGX_THREADS)
    ngx_thread_pool_t           *thread_pool;
#endif
} ngx_http_llm_cache_main_conf_t;


typedef struct {
    ngx_uint_t                   enable;
    ngx_str_t                    zone_name;
    ngx_http_llm_cache_zone_t   *zone;

    ngx_http_complex_value_t    *valid;      /* NULL: valid_time */
    time_t                       valid_time;

    ngx_http_complex_value_t    *key;
    ngx_http_complex_value_t    *ns;
    ngx_str_t                    default_ns;

    ngx_uint_t                   scope_kind;
    ngx_http_complex_value_t    *scope;

    ngx_array_t                 *ignore;     /* of llm_str_t */
    u_char                       ignore_id[LLM_KEY_LEN];  /* its digest */
    ngx_array_t                 *bypass;
    ngx_array_t                 *no_store;
    ngx_uint_t                   controls;
    ngx_int_t                    max_temperature;  /* millionths, -1: none */
    size_t                       max_body;
    llm_finish_t                *finish;
    ngx_flag_t                   lock;
    ngx_msec_t                   lock_timeout;
    ngx_uint_t                   use_stale;  /* NGX_HTTP_UPSTREAM_FT_... */
    time_t                       stale;
    ngx_flag_t                   background_update;
    ngx_http_llm_cache_redis_t  *redis;
    ngx_flag_t                   ignore_client_abort;
    ngx_flag_t                   hosted_tools;
    ngx_flag_t                   mark;
    ngx_uint_t                   variants;   /* answers of one key */
    ngx_flag_t                   by_input;   /* embeddings are kept so */
    time_t                       whole_until;  /* in this process: answers to
                                                embeddings calls are odd */
    ngx_uint_t                   stream_rate;  /* events per second, 0: none */
    ngx_flag_t                   headers;
    ngx_http_llm_cache_semantic_conf_t  semantic;
    ngx_array_t                 *prices;     /* of llm_price_t */
    ngx_uint_t                   api;        /* 0: it has none */
} ngx_http_llm_cache_loc_conf_t;


typedef struct {
    ngx_table_elt_t             *header;
    ngx_str_t                    value;
} ngx_http_llm_cache_saved_t;


/* see ngx_http_llm_cache_items.h */

typedef struct ngx_http_llm_cache_items_s  ngx_http_llm_cache_items_t;
typedef struct ngx_http_llm_cache_fetch_s  ngx_http_llm_cache_fetch_t;


/* a body to be read, perhaps by a thread */

typedef struct ngx_http_llm_cache_work_s  ngx_http_llm_cache_work_t;

typedef struct ngx_http_llm_cache_aside_s  ngx_http_llm_cache_aside_t;

/* what the cache would have done for a request, within one scope */

typedef struct {
    ngx_http_llm_cache_status_e  status;
    ngx_http_llm_cache_observed_key_t     key;
    ngx_http_llm_cache_observed_answer_t  answer;  /* of a hit */
} ngx_http_llm_cache_observed_way_t;


typedef struct {
    ngx_http_llm_cache_observed_way_t  ways[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];

    llm_buf_t                    text;       /* of the body, as it comes */
    ngx_http_llm_cache_aside_t  *aside;      /* what a thread reads */
    llm_gunzip_t                *gunzip;     /* of a compressed answer */
    size_t                       size;       /* of the record, but its body */
    size_t                       body_len;

    unsigned                     collecting:1;  /* the body */
    unsigned                     looked:1;
    unsigned                     late:1;     /* the answer was faster */
    unsigned                     stores:1;   /* what was not there */
    unsigned                     sound:1;    /* the answer passed the gate */
} ngx_http_llm_cache_observation_t;


/* see ngx_http_llm_cache_convert.c */

typedef struct ngx_http_llm_cache_conversion_s
    ngx_http_llm_cache_conversion_t;

struct ngx_http_llm_cache_work_s {
    void                       (*handler)(ngx_http_llm_cache_work_t *work);

    ngx_str_t                    text;
    ngx_uint_t                   copied;     /* the text is, to be freed */
    u_char                       fingerprint[LLM_FINGERPRINT_LEN];
    ngx_uint_t                   may_remember;

    const llm_route_t           *route;
    llm_ignore_t                 ignore;
    int                          controls;

    llm_reason_e                 reason;     /* the outcome */
    llm_body_t                   body;
};


typedef struct {
    ngx_http_request_t          *request;

    /* of the location that decided about the request */
    ngx_http_llm_cache_loc_conf_t  *conf;
    u_char                      *uri;        /* where it stood then */

    ngx_http_llm_cache_status_e  status;
    llm_reason_e                 reason;
    llm_reason_e                 bypass;     /* why it was not looked up */

    llm_route_t                  route;
    llm_ask_t                    ask;
    u_char                       digest[LLM_KEY_LEN];  /* of the body */
    llm_control_t                body_control;
    llm_control_t                control;    /* the headers' too */
    ngx_str_t                    client_ns;
    ngx_str_t                    model;
    json_t                      *doc;        /* loaded on demand */
    ngx_http_llm_cache_work_t   *work;       /* what a thread reads, or has */

    ngx_http_llm_cache_observation_t  *observed;  /* NULL: it is not */

    u_char                       key[LLM_KEY_LEN];
    u_char                       variant;    /* that the key is of */
    ngx_str_t                    ns;         /* its namespace */
    llm_tags_t                   tags;       /* of what the key is of */
    ngx_uint_t                   purges;     /* of the zone, until then */
    ngx_http_llm_cache_semantic_t  *semantic; /* NULL: no question */
    ngx_http_llm_cache_embedding_t *embedding; /* that it waits for */
    ngx_http_llm_cache_verify_t *verify;     /* NULL: nothing is verified */
    ngx_http_llm_cache_found_t   hint;

    /* a hit */
    ngx_http_llm_cache_hold_t    hold;
    llm_record_t                 record;
    ngx_str_t                    meta;
    ngx_chain_t                 *out;
    time_t                       age;
    ngx_http_llm_cache_conversion_t  *conversion;  /* by a thread */

    /* a flight that is followed, or led */
    ngx_http_llm_cache_waiter_t  waiter;
    ngx_http_llm_cache_hold_t    failed_hold;  /* of the one before */
    ngx_event_t                  timer;
    ngx_msec_t                   since;
    ngx_uint_t                   failures;
    ngx_http_event_handler_pt    read_handler;
    ngx_http_event_handler_pt    write_handler;

    /* what Redis is asked */
    ngx_http_llm_cache_redis_batch_t  *query;
    ngx_http_llm_cache_redis_call_t   *leasing;
    ngx_msec_t                   lease_since;
    ngx_msec_t                   redis_msec; /* that it took */
    ngx_atomic_uint_t            changes;    /* until it was asked */

    /* a record that is sent while it grows */
    size_t                       shown;
    ngx_http_llm_cache_cursor_t  cursor;

    /* what the client of a flight has not been sent yet */
    ngx_chain_t                 *free;
    ngx_chain_t                 *busy;
    size_t                       lag;
    off_t                        sent;       /* until then */
    ngx_msec_t                   sent_at;

    /* a stream that is paced */
    ngx_uint_t                   events;     /* sent */

    /* an answer being recorded, or the one that was served */
    ngx_http_llm_cache_writer_t  writer;
    llm_answer_t                *answer;
    llm_form_e                   form;
    off_t                        received;
    off_t                        expected;   /* -1: not told */
    time_t                       lifetime;
    ngx_msec_t                   fetched_at; /* it was asked for then */
    int64_t                      prompt_tokens;
    int64_t                      completion_tokens;
    int64_t                      saved_tokens; /* -1: not known */

    /* embeddings by their inputs: of a call for several, and of the subrequest
       for some of them; where it is but one, to see where its answer has it */
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_fetch_t  *fetch;
    llm_embeddings_cut_t        *cut;

    /* request headers that the upstream gets changed */
    ngx_array_t                  saved;

    unsigned                     reading:1;  /* the body is being read */
    unsigned                     ready:1;    /* the body has been read */
    unsigned                     working:1;  /* a thread makes sense of it */
    unsigned                     has_key:1;
    unsigned                     tagged:1;   /* the tags are complete */
    unsigned                     may_store:1;
    unsigned                     recording:1;
    unsigned                     stored:1;
    unsigned                     unstored:1; /* for its followers only */
    unsigned                     packed:1;   /* a hit goes out as gzip */
    unsigned                     converted:1;  /* or in another form */
    unsigned                     one_input:1;
    unsigned                     batching:1; /* some is to come */
    unsigned                     pacing:1;   /* or at a certain rate */
    unsigned                     paced_lines:1;  /* its events are lines */
    unsigned                     empty_line:1;  /* is what follows a line */
    unsigned                     following:1;
    unsigned                     tailing:1;  /* the head has been sent */
    unsigned                     alone:1;    /* it takes part in no flight */
    unsigned                     asked:1;    /* for its question */
    unsigned                     hinted:1;   /* at what answers it too */
    unsigned                     embedded:1; /* or it is not to be had */
    unsigned                     again:1;    /* to be looked up anew */
    unsigned                     unfit:1;    /* of what was found nothing in
                                                this form can be made */
    unsigned                     apart:1;    /* it has a key beside that one */
    unsigned                     failed:1;   /* the flight did, and how it did
                                                allows for a stale answer */
    unsigned                     querying:1; /* Redis */
    unsigned                     answered:1; /* by Redis */
    unsigned                     redis_asked:1;
    unsigned                     from_redis:1;
    unsigned                     leased:1;   /* other machines wait */
    unsigned                     lease_over:1;
    unsigned                     gone:1;     /* no client is there any more */
    unsigned                     background:1;  /* none ever was */
    unsigned                     replaced:1; /* by a stale answer */
    unsigned                     by_request:1;  /* fwd=request */
    unsigned                     only_if_cached:1;
    unsigned                     varies:1;   /* the answer, by headers that
                                                do not count for the key */
} ngx_http_llm_cache_ctx_t;


typedef struct {
    ngx_list_part_t             *part;
    ngx_uint_t                   i;
} ngx_http_llm_cache_walk_t;


/* ngx_http_llm_cache_handler.c */

ngx_int_t ngx_http_llm_cache_handler(ngx_http_request_t *r);

/* the first header of that lower-case name that is not empty */
ngx_table_elt_t *ngx_http_llm_cache_find_header(ngx_http_request_t *r,
    ngx_str_t *name);

/* whether the record that is held is what this client asked for */
ngx_uint_t ngx_http_llm_cache_serves(ngx_http_llm_cache_ctx_t *ctx);

/* NGX_AGAIN: a flight is held; else the request may lead one now; as "find",
   where "fetch" tells that no record serves */
ngx_int_t ngx_http_llm_cache_enter(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t fetch);
/* the client's wishes, in the body and where they count in the headers */
void ngx_http_llm_cache_read_controls(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* whether the request may be answered from the cache, or its answer stored */
llm_reason_e ngx_http_llm_cache_eligible(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* whether the answer, once it comes, may be stored */
void ngx_http_llm_cache_prepare_store(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* whether the client or the operator wants no stored answer */
ngx_uint_t ngx_http_llm_cache_wants_fresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_observe.c */

void ngx_http_llm_cache_observe_init(void);
/* the request goes on; what can be told without its body has been */
void ngx_http_llm_cache_observe(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_observe_resume(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* the response begins */
void ngx_http_llm_cache_observe_head(ngx_http_llm_cache_ctx_t *ctx);
ngx_uint_t ngx_http_llm_cache_observe_unpacks(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* a record would begin with a head and a meta part of so many bytes */
llm_reason_e ngx_http_llm_cache_observe_start(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t head);
llm_reason_e ngx_http_llm_cache_observe_feed(ngx_http_llm_cache_ctx_t *ctx,
    u_char *p, size_t len);
llm_reason_e ngx_http_llm_cache_observe_store(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info);
llm_reason_e ngx_http_llm_cache_observe_refused(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);
void ngx_http_llm_cache_observe_end(ngx_http_llm_cache_ctx_t *ctx);
/* NONE where the request is not observed */
ngx_http_llm_cache_status_e ngx_http_llm_cache_observed_status(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_observed_scope_e scope);

/* ngx_http_llm_cache_request.c */

ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_get_ctx(ngx_http_request_t *r);
ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_create_ctx(ngx_pool_t *pool);
void ngx_http_llm_cache_set_ctx(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_reset_ctx(ngx_http_llm_cache_ctx_t *ctx);
/* the client has its answer, or has left: nothing is waited for any more, and
   what was decided stays */
void ngx_http_llm_cache_leave(ngx_http_llm_cache_ctx_t *ctx);
/* the request waits no more: its events run the phases */
void ngx_http_llm_cache_ready_phases(ngx_http_request_t *r);

/* a subrequest has ended; the code is its own, which may be an error */
typedef ngx_int_t (*ngx_http_llm_cache_background_pt)(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);

/*
 * A subrequest in the background, with a context of its own: an error of it
 * does not end the request.  NULL: it cannot be had.
 */
ngx_http_request_t *ngx_http_llm_cache_background(ngx_http_request_t *r,
    ngx_str_t *uri, ngx_str_t *args, ngx_uint_t flags,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_background_pt handler,
    void *data);
/* a subrequest with a head and a body of its own has its own variables, too */
ngx_int_t ngx_http_llm_cache_own_variables(ngx_http_request_t *sr);

/* one of the buffers of ctx->free, which get there when they are sent, for
   bytes that stay where they are; NULL when memory ran out */
ngx_chain_t *ngx_http_llm_cache_free_buf(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *p, size_t len);
/* adds a read-only buffer to a chain: the new end of the chain, or NULL when
   memory ran out; nginx takes an empty buffer for a bug, so none is added */
ngx_chain_t **ngx_http_llm_cache_add_buf(ngx_http_request_t *r,
    u_char *start, u_char *end, ngx_chain_t **last);

off_t ngx_http_llm_cache_length(ngx_chain_t *cl);
/* makes its last buffer the response's */
void ngx_http_llm_cache_end_chain(ngx_chain_t *cl);
/* takes all buffers as sent */
void ngx_http_llm_cache_discard(ngx_chain_t *cl);

ngx_int_t ngx_http_llm_cache_hide_encodings(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_restore_encodings(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_body.c */

/* NGX_OK: done, ctx->reason tells why not; NGX_AGAIN: to be called again when
   the phases run the next time */
ngx_int_t ngx_http_llm_cache_read_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
llm_reason_e ngx_http_llm_cache_load(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/*
 * The request body in one piece: as it stands where it is one buffer in
 * memory, else a copy in the request's pool.
 */
llm_reason_e ngx_http_llm_cache_gather(ngx_http_request_t *r, size_t max,
    ngx_str_t *body, ngx_uint_t *copied);

/* ngx_http_llm_cache_work.c */

/*
 * Has workers start nginx's thread pool "default".  While directives are read:
 * Angie finishes http{} only after the core has looked at its pools.
 */
char *ngx_http_llm_cache_use_threads(ngx_conf_t *cf);

/* NGX_OK: a thread does a copy of the work; NGX_DECLINED: do it yourself */
ngx_int_t ngx_http_llm_cache_post_work(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work);
/* NGX_OK: a thread calls the handler with this data of the request's; the
   phases run when it is done */
ngx_int_t ngx_http_llm_cache_post_task(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, void (*handler)(void *data, ngx_log_t *log),
    void *data);
/*
 * The same of what is observed: the request does not wait, and may end before.
 * NGX_BUSY: it is not done at all.
 */
ngx_int_t ngx_http_llm_cache_post_aside(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work);
/* the request ends */
void ngx_http_llm_cache_leave_aside(ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_work_done(ngx_http_request_t *r,
    ngx_http_llm_cache_work_t *work);

/* ngx_http_llm_cache_key.c */

/* NGX_OK, NGX_DECLINED for an empty llm_cache_key, NGX_ERROR */
ngx_int_t ngx_http_llm_cache_make_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* the same within a scope of that kind, for what is observed */
ngx_int_t ngx_http_llm_cache_make_observed_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind,
    ngx_http_llm_cache_observed_key_t *key);
/* the key becomes one beside that of the record that was found */
ngx_int_t ngx_http_llm_cache_key_apart(ngx_http_llm_cache_ctx_t *ctx);
/* the same without the body */
ngx_int_t ngx_http_llm_cache_make_inputs_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *key);
/* the same without the question, of whose body this is the digest */
ngx_int_t ngx_http_llm_cache_make_partition(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, const u_char *digest, u_char *partition);

/* completes ctx->tags */
void ngx_http_llm_cache_tag(ngx_http_llm_cache_ctx_t *ctx);
/* adds the request's headers of these names, each as often as it was sent */
void ngx_http_llm_cache_key_headers(ngx_http_request_t *r, ngx_str_t *names,
    llm_key_t *key);
/* whether requests of one key agree in that header, or need not */
ngx_uint_t ngx_http_llm_cache_key_counts(ngx_http_llm_cache_ctx_t *ctx,
    ngx_str_t *name);

/* ngx_http_llm_cache_embed.c */

/* the vector is there, or, for any other code than NGX_OK, is not to be had */
typedef void (*ngx_http_llm_cache_embedded_pt)(ngx_http_request_t *r,
    void *data, ngx_int_t rc);

ngx_int_t ngx_http_llm_cache_embed_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* asks for a text's vector; NULL when memory ran out.  The handler is called
   once, within the location's timeout, unless the embedding is ended */
ngx_http_llm_cache_embedding_t *ngx_http_llm_cache_embed_start(
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx, llm_str_t text,
    float *vector, ngx_http_llm_cache_embedded_pt handler, void *data);
ngx_http_llm_cache_embedding_t *ngx_http_llm_cache_embed_of(
    ngx_http_request_t *r);
void ngx_http_llm_cache_embed_take(ngx_http_request_t *r,
    ngx_http_llm_cache_embedding_t *embedding, ngx_chain_t *in);
void ngx_http_llm_cache_embed_end(ngx_http_llm_cache_embedding_t *embedding);

/* ngx_http_llm_cache_semantic_conf.c */

/* when the location's zone is known, where it has one */
char *ngx_http_llm_cache_semantic_merge(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev,
    ngx_http_llm_cache_loc_conf_t *conf);

/* ngx_http_llm_cache_semantic.c */

void ngx_http_llm_cache_semantic_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_semantic_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_semantic_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_found_t *found);
void ngx_http_llm_cache_semantic_undo(ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_semantic_served(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_semantic_index.c */

/* the vector of a text by the zone's lexical embedder or a model: NGX_OK, or
   NGX_DECLINED where there is nothing to be seen in it */
ngx_int_t ngx_http_llm_cache_embed_text(ngx_http_llm_cache_zone_t *zone,
    llm_static_t *model, llm_str_t text, float *vector);
double ngx_http_llm_cache_cosine(const float *a, const float *b, size_t dim);
/* NGX_OK, or NGX_DECLINED: the record answers no question */
ngx_int_t ngx_http_llm_cache_read_about(llm_str_t meta,
    ngx_http_llm_cache_about_t *about);
ngx_int_t ngx_http_llm_cache_semantic_save(ngx_http_llm_cache_ctx_t *ctx,
    llm_buf_t *meta);
void ngx_http_llm_cache_semantic_stored(ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_semantic_reuse(ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_semantic_restored(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);
ngx_uint_t ngx_http_llm_cache_semantic_bar(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);

/* ngx_http_llm_cache_semantic_stat.c */

/* $llm_cache_semantic_NAME */
ngx_int_t ngx_http_llm_cache_semantic_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

/* ngx_http_llm_cache_verify.c */

/* NGX_OK: the semantic hit that is held goes upstream instead */
ngx_int_t ngx_http_llm_cache_verify_begin(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* the fresh answer has been stored */
void ngx_http_llm_cache_verify_stored(ngx_http_llm_cache_ctx_t *ctx);
/* compares it with the other one, when the client has been sent it */
void ngx_http_llm_cache_verify(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* NGX_OK: the upstream failed, and the semantic hit is held after all */
ngx_int_t ngx_http_llm_cache_verify_fall_back(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_verify_end(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_filter.c */

ngx_int_t ngx_http_llm_cache_filter_init(ngx_conf_t *cf);

/* what the head of the response at hand decides; with ctx->form and, where it
   is to be stored, ctx->lifetime */
llm_reason_e ngx_http_llm_cache_gate_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_items_read.c */

char *ngx_http_llm_cache_embeddings(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* NGX_AGAIN: a thread reads the inputs of a call, and the phases run again;
   else it has been done, and ctx->items tells them where there are some */
ngx_int_t ngx_http_llm_cache_items_begin(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_items_learnt(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_items_end(ngx_http_llm_cache_items_t *items);
/* waits for nothing; what was read stays */
void ngx_http_llm_cache_items_leave(ngx_http_llm_cache_items_t *items);

/* ngx_http_llm_cache_items.c */

/*
 * Serves a call whose inputs are there, or some of them.  NGX_DECLINED: it
 * goes on as it came; NGX_AGAIN: the request waits; else the response's code.
 */
ngx_int_t ngx_http_llm_cache_items_lookup(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* whether it goes on as its client's alone */
ngx_uint_t ngx_http_llm_cache_items_failed(ngx_http_llm_cache_items_t *items);
/* the answer to a call that went upstream as it came is stored by inputs */
void ngx_http_llm_cache_items_expect(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_items_take(ngx_http_llm_cache_ctx_t *ctx,
    ngx_chain_t *in);
/* it will not be recorded as a whole, but who follows finds the inputs */
void ngx_http_llm_cache_items_go_on(ngx_http_llm_cache_ctx_t *ctx);
/* it is being stored: who follows waits for that */
ngx_uint_t ngx_http_llm_cache_items_storing(ngx_http_llm_cache_ctx_t *ctx);
/* whether it has been stored */
ngx_uint_t ngx_http_llm_cache_items_stored(ngx_http_llm_cache_items_t *items);

/* ngx_http_llm_cache_items_reply.c */

void ngx_http_llm_cache_reply_exit(void);

/* ngx_http_llm_cache_record.c */

/* what a record tells beside its body */
ngx_int_t ngx_http_llm_cache_write_meta(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta);

/* begins to record the response at hand */
llm_reason_e ngx_http_llm_cache_start_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* records a buffer; 0: the answer cannot be recorded, or broke off */
ngx_uint_t ngx_http_llm_cache_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b);
/* ends the recording */
void ngx_http_llm_cache_refuse(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);

/* ngx_http_llm_cache_headers.c */

ngx_int_t ngx_http_llm_cache_add_headers(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_similarity(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *value);
ngx_table_elt_t *ngx_http_llm_cache_add_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);

/* what ngx_http_llm_cache_header_bit() tells of all headers' names */
uint64_t ngx_http_llm_cache_header_names(ngx_list_t *headers);

/* steps through the headers of that lower-case name, or all for NULL */
void ngx_http_llm_cache_walk_headers(ngx_http_llm_cache_walk_t *walk,
    ngx_list_t *headers);
ngx_table_elt_t *ngx_http_llm_cache_next_header(
    ngx_http_llm_cache_walk_t *walk, ngx_str_t *name);

/* whether the parameters of a Content-Type, from their first semicolon on,
   name no other charset: the bytes would be another text to who obeys that */
ngx_uint_t ngx_http_llm_cache_is_utf8(u_char *p, u_char *last);
ngx_int_t ngx_http_llm_cache_save_headers(ngx_http_request_t *r,
    llm_buf_t *meta);
ngx_str_t *ngx_http_llm_cache_status_word(ngx_http_llm_cache_status_e status);

/* ngx_http_llm_cache_replay.c */

/* NGX_OK: the record held is known; NGX_DECLINED: it is unusable */
ngx_int_t ngx_http_llm_cache_open_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* checks a packed body and, where it has to be unpacked, moves the cursor to
   the unpacked one; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_llm_cache_open_packed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_cursor_t *cursor);
/* its two parts; NGX_DECLINED: it is no record of ctx->key, or no memory */
ngx_int_t ngx_http_llm_cache_read_head(ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_read_meta(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* NGX_OK, or NGX_ERROR for a record that cannot be sent */
ngx_int_t ngx_http_llm_cache_make_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_replay(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* makes the response's head the record's, -1 for a body of unknown length */
ngx_int_t ngx_http_llm_cache_set_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len);
/* and sends it */
ngx_int_t ngx_http_llm_cache_replay_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len);
/* buffers for the node's bytes from ctx->shown on, NULL where there are none;
   NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_llm_cache_show(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_node_t *node,
    size_t end, ngx_uint_t last, ngx_chain_t **out);

/* ngx_http_llm_cache_convert.c */

/* whether the record that is held is in the form that was asked for */
ngx_uint_t ngx_http_llm_cache_same_form(ngx_http_llm_cache_ctx_t *ctx);
/* NGX_AGAIN: a thread makes the other form of the record that is held, and the
   phases run again; NGX_OK: there is nothing to wait for */
ngx_int_t ngx_http_llm_cache_convert(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* makes ctx->out of it; NGX_ERROR: it cannot be given */
ngx_int_t ngx_http_llm_cache_make_other(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_send.c */

/* sends buffers of ctx->free: what the filters say */
ngx_int_t ngx_http_llm_cache_send(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *out);
/* NGX_AGAIN: the write handler is called when the client takes more, which it
   has done meanwhile or not; NGX_ERROR */
ngx_int_t ngx_http_llm_cache_send_wait(ngx_http_request_t *r,
    ngx_uint_t progress);
/* in a write handler, what waits: NGX_OK, or the code of the response's end */
ngx_int_t ngx_http_llm_cache_send_more(ngx_http_request_t *r);

/* ngx_http_llm_cache_pace.c */

/* whether ctx->out is sent at a certain rate */
ngx_uint_t ngx_http_llm_cache_paces(ngx_http_llm_cache_ctx_t *ctx);
/* sends it, when the head has been sent: NGX_AGAIN, the request waits; else
   the response's code */
ngx_int_t ngx_http_llm_cache_pace(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_follow.c */

/*
 * Follows the flight that is held.  NGX_AGAIN: the request waits;
 * NGX_DECLINED: it goes upstream by itself; else the response's code.
 */
ngx_int_t ngx_http_llm_cache_follow(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_unfollow(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_lead.c */

void ngx_http_llm_cache_lead(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_guard(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* records a piece of the answer; *out is what its client is to be sent */
ngx_int_t ngx_http_llm_cache_lead_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in, ngx_chain_t **out);
/* whether the client has taken nothing for too long */
ngx_uint_t ngx_http_llm_cache_lead_stalled(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* the client has left; whether the answer is fetched on without it */
ngx_uint_t ngx_http_llm_cache_go_on(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* what a filter returns then: NGX_ERROR when the answer has been fetched */
ngx_int_t ngx_http_llm_cache_go_down(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_lead_end(ngx_http_llm_cache_ctx_t *ctx);

/* whether one more answer may be fetched for nobody */
ngx_uint_t ngx_http_llm_cache_may_orphan(void);
void ngx_http_llm_cache_orphan(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_stale.c */

/* in which of the ways of llm_cache_use_stale the response at hand failed */
ngx_uint_t ngx_http_llm_cache_failure(ngx_http_request_t *r);

/*
 * In a header filter: NGX_OK, a stale answer takes the place of the response;
 * NGX_DECLINED: it stays; NGX_ERROR.
 */
ngx_int_t ngx_http_llm_cache_fall_back(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* NGX_OK: a record is held whose answer serves, fresh or stale */
ngx_int_t ngx_http_llm_cache_find_stale(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* fetches an answer in the background, if it can; the flight is given away */
void ngx_http_llm_cache_refresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* that request's way through the phases */
ngx_int_t ngx_http_llm_cache_refresh_handler(ngx_http_request_t *r);

/* ngx_http_llm_cache_redis_tier.c */

/* whether the record that is held may be served without asking Redis */
ngx_uint_t ngx_http_llm_cache_redis_verified(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_hold_t *hold);
/* drops it where it may not */
void ngx_http_llm_cache_redis_drop(ngx_http_llm_cache_ctx_t *ctx,
    const u_char *key);

/*
 * Looks the key up in Redis.  NGX_AGAIN: the request waits, and its phases run
 * again with ctx->answered, the record being held where there is one;
 * NGX_DECLINED: Redis cannot be asked.
 */
ngx_int_t ngx_http_llm_cache_redis_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_redis_end(ngx_http_llm_cache_ctx_t *ctx);

/* counts what came of a look-up */
void ngx_http_llm_cache_redis_note(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_batch_t *batch);
/* takes what was found over into memory: NGX_OK, and it is held */
ngx_int_t ngx_http_llm_cache_redis_fetch(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_item_t *item, ngx_atomic_uint_t changes,
    ngx_http_llm_cache_hold_t *hold);

/* a record that was changed in memory, where Redis has it: it is stored there
   anew, without its time of llm_cache_stale */
void ngx_http_llm_cache_redis_store_again(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);

/* other machines need not wait for this answer any more */
void ngx_http_llm_cache_redis_unlease(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_variables.c */

ngx_int_t ngx_http_llm_cache_add_variables(ngx_conf_t *cf);
/* no value for an empty text, and for a negative number */
ngx_int_t ngx_http_llm_cache_set_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, llm_str_t value);
ngx_int_t ngx_http_llm_cache_set_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t n);

/* ngx_http_llm_cache_conf.c */

void *ngx_http_llm_cache_create_main_conf(ngx_conf_t *cf);
void *ngx_http_llm_cache_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_llm_cache_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* a zone with the defaults, NULL when memory ran out */
ngx_http_llm_cache_zone_t *ngx_http_llm_cache_new_zone(ngx_conf_t *cf);

/* ngx_http_llm_cache_account.c */

/* what this request did not cost, as far as it is known */

typedef struct {
    int64_t                      prompt_tokens;
    int64_t                      completion_tokens;
    uint64_t                     cost;       /* billionths */
    uint64_t                     msec;       /* of the upstream */
} ngx_http_llm_cache_savings_t;

void ngx_http_llm_cache_savings(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_savings_t *savings);
/* an answer was stored, in the background too */
void ngx_http_llm_cache_account_stored(ngx_http_llm_cache_zone_t *zone,
    const llm_record_t *rec);
/* what was fetched for that, which no request is logged for */
void ngx_http_llm_cache_account_refreshed(ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_log_handler(ngx_http_request_t *r);
char *ngx_http_llm_cache_price(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_llm_cache_api.c */

ngx_int_t ngx_http_llm_cache_api_handler(ngx_http_request_t *r);

/* ngx_http_llm_cache_api_conf.c */

char *ngx_http_llm_cache_api_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* "if" and "limit_except" in its location */
void ngx_http_llm_cache_api_merge(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev, ngx_http_llm_cache_loc_conf_t *conf);
/* warns of those that let everybody purge */
void ngx_http_llm_cache_api_check(ngx_conf_t *cf);

/* ngx_http_llm_cache_api_page.c */

/* the policy of the status page: NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_llm_cache_page_init(ngx_conf_t *cf);

/* ngx_http_llm_cache_zone_conf.c */

char *ngx_http_llm_cache_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_llm_cache_directives.c */

extern ngx_command_t  ngx_http_llm_cache_commands[];

/* says that the directive has an invalid value: NGX_CONF_ERROR */
char *ngx_http_llm_cache_invalid(ngx_conf_t *cf, ngx_str_t *value);


static ngx_inline uint64_t
ngx_http_llm_cache_header_bit(ngx_str_t *name)
{
    /* letters of both cases agree in their low five bits */

    return name->len
           ? (uint64_t) 1 << ((name->len * 5 + name->data[0]) % 32
                              + (name->data[0] & 1) * 32)
           : 0;
}


/* whether the answer came out of the store */

static ngx_inline ngx_uint_t
ngx_http_llm_cache_stored(ngx_http_llm_cache_ctx_t *ctx)
{
    return ctx->status == NGX_HTTP_LLM_CACHE_HIT
           || ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC
           || ctx->status == NGX_HTTP_LLM_CACHE_STALE
           || ctx->status == NGX_HTTP_LLM_CACHE_UPDATING;
}


static ngx_inline ngx_uint_t
ngx_http_llm_cache_fresh(ngx_http_llm_cache_ctx_t *ctx)
{
    return (time_t) ctx->record.expires > ngx_time();
}


/* whether followers get the answer as it comes; else they wait for its end */

static ngx_inline ngx_uint_t
ngx_http_llm_cache_streams(ngx_http_llm_cache_ctx_t *ctx)
{
    return ctx->record.form != LLM_FORM_JSON
           && ctx->record.status == NGX_HTTP_OK;
}


/* whether the location serves from the cache, to some at least */

static ngx_inline ngx_uint_t
ngx_http_llm_cache_serving(ngx_http_llm_cache_loc_conf_t *conf)
{
    return conf->enable == NGX_HTTP_LLM_CACHE_ON
           || conf->enable == NGX_HTTP_LLM_CACHE_OPT_IN;
}


/* how long past its lifetime an answer may be of use */

static ngx_inline time_t
ngx_http_llm_cache_stale_time(ngx_http_llm_cache_loc_conf_t *conf)
{
    return (conf->use_stale & ~NGX_CONF_BITMASK_SET
            & ~NGX_HTTP_UPSTREAM_FT_OFF)
           ? conf->stale : 0;
}


static ngx_inline llm_str_t
ngx_http_llm_cache_view(ngx_str_t *s)
{
    llm_str_t  view;

    view.len = s->len;
    view.data = s->data;

    return view;
}


#endif /* _NGX_HTTP_LLM_CACHE_H_INCLUDED_ */
