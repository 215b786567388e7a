#include "ngx_http_llm_cache.h"


/* flights that may fail before a follower goes upstream by itself */
#define NGX_HTTP_LLM_CACHE_TRIES    4

/* ms */
#define NGX_HTTP_LLM_CACHE_TAILING  60000


static void ngx_http_llm_cache_follow_end(ngx_http_llm_cache_ctx_t *ctx,
    ngx_int_t rc);
static ngx_int_t ngx_http_llm_cache_follow_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_follow_failed(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_flight_state_e state);
static ngx_int_t ngx_http_llm_cache_follow_whole(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_follow_sent(ngx_int_t rc);
static ngx_int_t ngx_http_llm_cache_follow_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_follow_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t end, ngx_uint_t last);
static void ngx_http_llm_cache_shared(ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_follow_handler(void *data);
static void ngx_http_llm_cache_follow_timeout(ngx_event_t *ev);
static void ngx_http_llm_cache_follow_write(ngx_http_request_t *r);
static void ngx_http_llm_cache_follow_done(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc);


ngx_int_t
ngx_http_llm_cache_follow(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_msec_t  waited;

    if (ctx->waiter.data == NULL) {
        ctx->waiter.data = r;
        ctx->waiter.handler = ngx_http_llm_cache_follow_handler;

        ctx->timer.data = r;
        ctx->timer.handler = ngx_http_llm_cache_follow_timeout;
        ctx->timer.log = r->connection->log;

        ctx->since = ngx_current_msec;
    }

    waited = ngx_current_msec - ctx->since;

    if (waited >= ctx->conf->lock_timeout
        || ngx_http_llm_cache_wait(&ctx->waiter, &ctx->hold) != NGX_OK)
    {
        ctx->alone = 1;
        ngx_http_llm_cache_zone_release(&ctx->hold);
        return NGX_DECLINED;
    }

    ctx->following = 1;
    ctx->tailing = 0;

    ngx_add_timer(&ctx->timer, ctx->conf->lock_timeout - waited);

    /* what came between joining and waiting */

    rc = ngx_http_llm_cache_follow_step(r, ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_llm_cache_follow_end(ctx, rc);
        return rc;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_llm_cache_follow_write;

    return NGX_AGAIN;
}


void
ngx_http_llm_cache_unfollow(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_wait_end(&ctx->waiter);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->following = 0;
}


/* a flight that failed is held until its successor is found */

static void
ngx_http_llm_cache_follow_end(ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_llm_cache_unfollow(ctx);

    if (rc != NGX_DECLINED) {
        return;
    }

    if (ctx->alone) {
        ngx_http_llm_cache_zone_release(&ctx->hold);
        return;
    }

    ctx->failed_hold = ctx->hold;
    ctx->hold.node = NULL;
}


/*
 * NGX_AGAIN: there is more to come; NGX_DECLINED: the request is to be decided
 * anew; else the response's code.
 */

static ngx_int_t
ngx_http_llm_cache_follow_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    size_t                              end;
    ngx_int_t                           rc;
    ngx_http_llm_cache_flight_t        *flight;
    ngx_http_llm_cache_flight_state_e   state;

    flight = ctx->hold.node->flight;

    /* the state first: the length of a complete answer does not change */

    state = flight->state;
    ngx_memory_barrier();
    end = flight->len;
    ngx_memory_barrier();

    switch (state) {

    case NGX_HTTP_LLM_CACHE_FILLING:

        if (!ctx->tailing) {
            rc = ngx_http_llm_cache_follow_head(r, ctx);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        return ngx_http_llm_cache_follow_body(r, ctx, end, 0);

    case NGX_HTTP_LLM_CACHE_STORED:
    case NGX_HTTP_LLM_CACHE_ENDED:

        if (!ctx->tailing) {
            return ngx_http_llm_cache_follow_whole(r, ctx);
        }

        /* the end tells what the answer would have cost */

        if (ngx_http_llm_cache_read_head(ctx) == NGX_OK) {
            ctx->prompt_tokens = ctx->record.prompt_tokens;
            ctx->completion_tokens = ctx->record.completion_tokens;
        }

        return ngx_http_llm_cache_follow_body(r, ctx, end, 1);

    case NGX_HTTP_LLM_CACHE_FAILED:
    case NGX_HTTP_LLM_CACHE_ALONE:

        return ngx_http_llm_cache_follow_failed(ctx, state);

    default: /* NGX_HTTP_LLM_CACHE_FLYING, NGX_HTTP_LLM_CACHE_CLOSING */
        return NGX_AGAIN;
    }
}


static ngx_int_t
ngx_http_llm_cache_follow_failed(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_flight_state_e state)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = ctx->hold.node->flight;

    if (ctx->tailing) {

        /* the client must see that this was not all */

        return NGX_ERROR;
    }

    if (flight->failure & ctx->conf->use_stale) {
        ctx->failed = 1;
    }

    if (flight->similar) {
        ctx->hint = flight->found;
        ctx->hinted = 1;
    }

    if (state == NGX_HTTP_LLM_CACHE_ALONE
        || ++ctx->failures >= NGX_HTTP_LLM_CACHE_TRIES)
    {
        ctx->alone = 1;
    }

    return NGX_DECLINED;
}


/* the answer is complete */

static ngx_int_t
ngx_http_llm_cache_follow_whole(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_open_record(r, ctx) != NGX_OK) {
        ctx->alone = 1;
        return NGX_DECLINED;
    }

    /* an error is tried once more, by one of those who got it */

    if (ctx->record.status != NGX_HTTP_OK && ++ctx->failures == 1) {
        return NGX_DECLINED;
    }

    /* the leader may have found it in another form than it asked for */

    if (!ngx_http_llm_cache_same_form(ctx)) {
        ctx->failures++;
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_make_body(r, ctx) != NGX_OK) {
        ctx->alone = 1;
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_shared(ctx);

    return ngx_http_llm_cache_follow_sent(ngx_http_llm_cache_replay(r, ctx));
}


/* what a slow client has not taken yet is left to nginx, as of any response */

static ngx_int_t
ngx_http_llm_cache_follow_sent(ngx_int_t rc)
{
    return rc == NGX_AGAIN ? NGX_OK : rc;
}


/* what is served from here is not to be recorded once more */

static void
ngx_http_llm_cache_shared(ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->status = NGX_HTTP_LLM_CACHE_SHARED;
    ctx->reason = LLM_REASON_NONE;
    ctx->may_store = 0;
}


/*
 * NGX_OK: the head has been sent, the body goes on from ctx->shown; NGX_AGAIN:
 * nothing is sent before the answer is complete.
 */

static ngx_int_t
ngx_http_llm_cache_follow_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_llm_cache_flight_t  *flight;

    /* a body that ends with the connection would not show that it was cut */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->http_version < NGX_HTTP_VERSION_11
        || (r->http_version == NGX_HTTP_VERSION_11
            && !clcf->chunked_transfer_encoding))
    {
        return NGX_AGAIN;
    }

    /* the leader may be writing the head anew: then it is read in the end */

    flight = ctx->hold.node->flight;
    rc = ngx_http_llm_cache_read_head(ctx);

    ngx_memory_barrier();

    if (flight->state != NGX_HTTP_LLM_CACHE_FILLING
        || (rc == NGX_OK && ctx->record.form == LLM_FORM_JSON))
    {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK || ngx_http_llm_cache_read_meta(r, ctx) != NGX_OK) {
        ctx->alone = 1;
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_shared(ctx);

    ctx->tailing = 1;

    ctx->shown = LLM_RECORD_HEAD + ctx->record.meta_len;
    ctx->cursor.chunk = ctx->hold.node->chunks;
    ctx->cursor.offset = 0;

    rc = ngx_http_llm_cache_replay_head(r, ctx, -1);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return NGX_ERROR;
    }

    /* the head does not wait for the first bytes of the body */

    if (flight->len <= ctx->shown
        && ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_follow_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t end, ngx_uint_t last)
{
    off_t         sent;
    ngx_int_t     rc;
    ngx_chain_t  *out;

    if (ngx_http_llm_cache_show(r, ctx, ctx->hold.node, end, last, &out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sent = r->connection->sent;

    if (out) {
        rc = ngx_http_llm_cache_send(r, ctx, out);

        if (rc == NGX_ERROR || last) {
            return ngx_http_llm_cache_follow_sent(rc);
        }
    }

    return ngx_http_llm_cache_send_wait(r, r->connection->sent != sent);
}


/* there is something new of the flight */

static void
ngx_http_llm_cache_follow_handler(void *data)
{
    ngx_http_request_t *r = data;

    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_llm_cache_ctx_t  *ctx;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);

    rc = ngx_http_llm_cache_follow_step(r, ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_llm_cache_follow_done(r, ctx, rc);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * In the middle of an answer the leader's own timeouts decide: the timer only
 * keeps a worker that is to exit from leaving the request behind.
 */

static void
ngx_http_llm_cache_follow_timeout(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx->tailing) {
        ngx_add_timer(ev, NGX_HTTP_LLM_CACHE_TAILING);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                  "llm cache: waited too long for another request's answer");

    ngx_http_llm_cache_flight_forsake(&ctx->hold);

    ctx->alone = 1;

    ngx_http_llm_cache_follow_done(r, ctx, NGX_DECLINED);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_llm_cache_follow_write(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (!ctx->tailing) {
        return;
    }

    rc = ngx_http_llm_cache_send_more(r);

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_follow_step(r, ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_llm_cache_follow_done(r, ctx, rc);
    }
}


/* the request follows no more: it is finalized, or goes on */

static void
ngx_http_llm_cache_follow_done(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_llm_cache_follow_end(ctx, rc);

    if (rc != NGX_DECLINED) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    ctx->status = NGX_HTTP_LLM_CACHE_NONE;
    ctx->again = 1;

    ngx_http_llm_cache_ready_phases(r);
    ngx_http_core_run_phases(r);
}
