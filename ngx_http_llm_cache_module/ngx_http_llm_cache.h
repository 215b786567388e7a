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
#include "llm_dialect.h"
#include "llm_evict.h"
#include "llm_fingerprint.h"
#include "llm_key.h"
#include "llm_reason.h"
#include "llm_record.h"
#include "ngx_http_llm_cache_pack.h"
#include "ngx_http_llm_cache_wake.h"
#include "ngx_http_llm_cache_zone.h"


#define NGX_HTTP_LLM_CACHE_OFF              0
#define NGX_HTTP_LLM_CACHE_ON               1
#define NGX_HTTP_LLM_CACHE_OPT_IN           2

#define NGX_HTTP_LLM_CACHE_CONTROL_OFF      0x01
#define NGX_HTTP_LLM_CACHE_CONTROL_HEADER   0x02
#define NGX_HTTP_LLM_CACHE_CONTROL_BODY     0x04

#define NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS  1
#define NGX_HTTP_LLM_CACHE_SCOPE_SHARED       2
#define NGX_HTTP_LLM_CACHE_SCOPE_STRING       3


typedef struct {
    ngx_array_t                  zones;      /* of zone_t * */
    ngx_http_llm_cache_zone_t   *implicit;
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
    ngx_flag_t                   ignore_client_abort;
    ngx_flag_t                   hosted_tools;
    ngx_flag_t                   mark;
    ngx_flag_t                   headers;
} ngx_http_llm_cache_loc_conf_t;


typedef enum {
    NGX_HTTP_LLM_CACHE_NONE = 0,
    NGX_HTTP_LLM_CACHE_HIT,
    NGX_HTTP_LLM_CACHE_MISS,
    NGX_HTTP_LLM_CACHE_BYPASS,
    NGX_HTTP_LLM_CACHE_EXPIRED,
    NGX_HTTP_LLM_CACHE_SHARED
} ngx_http_llm_cache_status_e;


typedef struct {
    ngx_table_elt_t             *header;
    ngx_str_t                    value;
} ngx_http_llm_cache_saved_t;


/* a body to be read, perhaps by a thread */

typedef struct ngx_http_llm_cache_work_s  ngx_http_llm_cache_work_t;

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
    /* of the location that decided about the request */
    ngx_http_llm_cache_loc_conf_t  *conf;
    u_char                      *uri;        /* where it stood then */

    ngx_http_llm_cache_status_e  status;
    llm_reason_e                 reason;

    llm_route_t                  route;
    llm_ask_t                    ask;
    u_char                       digest[LLM_KEY_LEN];  /* of the body */
    llm_control_t                body_control;
    llm_control_t                control;    /* the headers' too */
    ngx_str_t                    client_ns;
    ngx_str_t                    model;
    json_t                      *doc;        /* loaded on demand */
    ngx_http_llm_cache_work_t   *work;       /* what a thread reads, or has */

    u_char                       key[LLM_KEY_LEN];

    /* a hit */
    ngx_http_llm_cache_hold_t    hold;
    llm_record_t                 record;
    ngx_str_t                    meta;
    ngx_chain_t                 *out;
    time_t                       age;

    /* a flight that is followed, or led */
    ngx_http_llm_cache_waiter_t  waiter;
    ngx_event_t                  timer;
    ngx_msec_t                   since;
    ngx_uint_t                   failures;
    ngx_http_event_handler_pt    read_handler;
    ngx_http_event_handler_pt    write_handler;

    /* a record that is sent while it grows */
    size_t                       shown;
    ngx_http_llm_cache_cursor_t  cursor;
    ngx_chain_t                 *free;
    ngx_chain_t                 *busy;

    /* an answer being recorded, or the one that was served */
    ngx_http_llm_cache_writer_t  writer;
    llm_answer_t                *answer;
    llm_form_e                   form;
    off_t                        received;
    off_t                        expected;   /* -1: not told */
    time_t                       lifetime;
    int64_t                      prompt_tokens;
    int64_t                      completion_tokens;

    /* request headers that the upstream gets changed */
    ngx_array_t                  saved;

    unsigned                     reading:1;  /* the body is being read */
    unsigned                     ready:1;    /* the body has been read */
    unsigned                     working:1;  /* a thread makes sense of it */
    unsigned                     has_key:1;
    unsigned                     may_store:1;
    unsigned                     recording:1;
    unsigned                     unstored:1; /* for its followers only */
    unsigned                     packed:1;   /* a hit goes out as gzip */
    unsigned                     following:1;
    unsigned                     tailing:1;  /* the head has been sent */
    unsigned                     alone:1;    /* it takes part in no flight */
    unsigned                     again:1;    /* to be looked up anew */
    unsigned                     gone:1;     /* the client has left */
    unsigned                     by_request:1;  /* fwd=request */
    unsigned                     only_if_cached:1;
} ngx_http_llm_cache_ctx_t;


typedef struct {
    ngx_list_part_t             *part;
    ngx_uint_t                   i;
} ngx_http_llm_cache_walk_t;


/* ngx_http_llm_cache_handler.c */

ngx_int_t ngx_http_llm_cache_handler(ngx_http_request_t *r);

/* ngx_http_llm_cache_request.c */

ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_get_ctx(ngx_http_request_t *r);
ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_create_ctx(
    ngx_http_request_t *r);
void ngx_http_llm_cache_reset_ctx(ngx_http_llm_cache_ctx_t *ctx);
/* adds a read-only buffer to a chain: the new end of the chain, or NULL when
   memory ran out; nginx takes an empty buffer for a bug, so none is added */
ngx_chain_t **ngx_http_llm_cache_add_buf(ngx_http_request_t *r,
    u_char *start, u_char *end, ngx_chain_t **last);

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

/* ngx_http_llm_cache_work.c */

/* NGX_OK: a thread does a copy of the work; NGX_DECLINED: do it yourself */
ngx_int_t ngx_http_llm_cache_post_work(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work);
void ngx_http_llm_cache_work_done(ngx_http_request_t *r,
    ngx_http_llm_cache_work_t *work);

/* ngx_http_llm_cache_key.c */

/* NGX_OK, NGX_DECLINED for an empty llm_cache_key, NGX_ERROR */
ngx_int_t ngx_http_llm_cache_make_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_filter.c */

ngx_int_t ngx_http_llm_cache_filter_init(ngx_conf_t *cf);

/* ngx_http_llm_cache_headers.c */

ngx_int_t ngx_http_llm_cache_add_headers(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_table_elt_t *ngx_http_llm_cache_add_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);

/* what ngx_http_llm_cache_header_bit() tells of all headers' names */
uint64_t ngx_http_llm_cache_header_names(ngx_list_t *headers);

/* steps through the headers of that lower-case name, or all for NULL */
void ngx_http_llm_cache_walk_headers(ngx_http_llm_cache_walk_t *walk,
    ngx_list_t *headers);
ngx_table_elt_t *ngx_http_llm_cache_next_header(
    ngx_http_llm_cache_walk_t *walk, ngx_str_t *name);
ngx_int_t ngx_http_llm_cache_save_headers(ngx_http_request_t *r,
    llm_buf_t *meta);
ngx_str_t *ngx_http_llm_cache_status_word(ngx_http_llm_cache_status_e status);

/* ngx_http_llm_cache_replay.c */

/* NGX_OK: the record held is known; NGX_DECLINED: it is unusable */
ngx_int_t ngx_http_llm_cache_open_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
/* NGX_OK, or NGX_ERROR for a record that cannot be sent */
ngx_int_t ngx_http_llm_cache_make_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_int_t ngx_http_llm_cache_replay(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* sends the head of the record, -1 for a body of unknown length */
ngx_int_t ngx_http_llm_cache_replay_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len);
/* buffers for the node's bytes from ctx->shown on, NULL where there are none;
   NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_llm_cache_show(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_node_t *node,
    size_t end, ngx_uint_t last, ngx_chain_t **out);

/* ngx_http_llm_cache_follow.c */

/*
 * Follows the flight that is held.  NGX_AGAIN: the request waits; NGX_DECLINED:
 * it goes upstream by itself; else the response's code.
 */
ngx_int_t ngx_http_llm_cache_follow(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_unfollow(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_lead.c */

void ngx_http_llm_cache_lead(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_guard(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
ngx_uint_t ngx_http_llm_cache_go_on(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
void ngx_http_llm_cache_lead_end(ngx_http_llm_cache_ctx_t *ctx);

/* ngx_http_llm_cache_variables.c */

ngx_int_t ngx_http_llm_cache_add_variables(ngx_conf_t *cf);

/* ngx_http_llm_cache_conf.c */

void *ngx_http_llm_cache_create_main_conf(ngx_conf_t *cf);
void *ngx_http_llm_cache_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_llm_cache_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* a zone with the defaults, NULL when memory ran out */
ngx_http_llm_cache_zone_t *ngx_http_llm_cache_new_zone(ngx_conf_t *cf);

/* ngx_http_llm_cache_directives.c */

extern ngx_command_t  ngx_http_llm_cache_commands[];


static ngx_inline uint64_t
ngx_http_llm_cache_header_bit(ngx_str_t *name)
{
    /* letters of both cases agree in their low five bits */

    return name->len
           ? (uint64_t) 1 << ((name->len * 5 + name->data[0]) % 32
                              + (name->data[0] & 1) * 32)
           : 0;
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
