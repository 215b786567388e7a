#include "ngx_http_llm_cache.h"


static ngx_uint_t ngx_http_llm_cache_pace_due(ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_pace_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t due, ngx_chain_t **out);
static u_char *ngx_http_llm_cache_pace_event(ngx_http_llm_cache_ctx_t *ctx,
    u_char *p, u_char *last);
static ngx_int_t ngx_http_llm_cache_pace_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_pace_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_pace_write(ngx_http_request_t *r);
static void ngx_http_llm_cache_pace_done(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc);


ngx_uint_t
ngx_http_llm_cache_paces(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->conf->stream_rate == 0 || !ngx_http_llm_cache_stored(ctx)) {
        return 0;
    }

    return ngx_http_llm_cache_same_form(ctx)
           ? ctx->record.form != LLM_FORM_JSON
           : ctx->ask.form == LLM_ASK_SSE || ctx->ask.form == LLM_ASK_NDJSON;
}


/* the head has been sent */

ngx_int_t
ngx_http_llm_cache_pace(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->timer.data = r;
    ctx->timer.handler = ngx_http_llm_cache_pace_handler;
    ctx->timer.log = r->connection->log;

    ctx->since = ngx_current_msec;
    ctx->events = 0;
    ctx->empty_line = 0;
    ctx->paced_lines = ctx->converted ? ctx->ask.form == LLM_ASK_NDJSON
                                      : ctx->record.form == LLM_FORM_NDJSON;
    ctx->pacing = 1;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_llm_cache_pace_write;

    rc = ngx_http_llm_cache_pace_step(r, ctx);

    if (rc != NGX_AGAIN) {
        ctx->pacing = 0;
    }

    return rc;
}


/* events that may have been sent by now */

static ngx_uint_t
ngx_http_llm_cache_pace_due(ngx_http_llm_cache_ctx_t *ctx)
{
    return 1 + (ngx_uint_t) ((uint64_t) (ngx_current_msec - ctx->since)
                             * ctx->conf->stream_rate / 1000);
}


/* moves what is due from ctx->out to another chain */

static ngx_int_t
ngx_http_llm_cache_pace_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t due, ngx_chain_t **out)
{
    u_char       *p;
    ngx_buf_t    *b, *from;
    ngx_chain_t  *cl, **ll;

    b = NULL;
    ll = out;
    *out = NULL;

    while (ctx->out && ctx->events < due) {

        from = ctx->out->buf;

        cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        b = cl->buf;
        *b = *from;
        b->tag = (ngx_buf_tag_t) &ngx_http_llm_cache_module;

        p = from->pos;

        while (p < from->last && ctx->events < due) {
            p = ngx_http_llm_cache_pace_event(ctx, p, from->last);
        }

        b->start = b->pos;
        b->last = p;
        b->end = p;
        from->pos = p;

        if (p == from->last) {
            ctx->out = ctx->out->next;

        } else {
            b->last_buf = 0;
            b->last_in_chain = 0;
        }

        cl->next = NULL;
        *ll = cl;
        ll = &cl->next;
    }

    if (b) {
        b->flush = 1;
        b->last_in_chain = 1;
    }

    return NGX_OK;
}


/* the end of the event, or of the bytes; what was seen of it is kept */

static u_char *
ngx_http_llm_cache_pace_event(ngx_http_llm_cache_ctx_t *ctx, u_char *p,
    u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        switch (*p) {

        case '\n':

            if (ctx->empty_line || ctx->paced_lines) {
                ctx->empty_line = 0;
                ctx->events++;
                return p + 1;
            }

            ctx->empty_line = 1;
            break;

        case '\r':
            break;

        default:
            ctx->empty_line = 0;
        }
    }

    return p;
}


/* NGX_AGAIN: there is more to come; else the response's code */

static ngx_int_t
ngx_http_llm_cache_pace_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    off_t         sent;
    ngx_int_t     rc;
    ngx_chain_t  *out;

    sent = r->connection->sent;

    if (ngx_http_llm_cache_pace_take(r, ctx, ngx_http_llm_cache_pace_due(ctx),
                                     &out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (out) {
        rc = ngx_http_llm_cache_send(r, ctx, out);

        if (rc == NGX_ERROR) {
            return rc;
        }

        /* what the client has not taken yet is nginx's to send */

        if (ctx->out == NULL) {
            return NGX_OK;
        }
    }

    rc = ngx_http_llm_cache_send_wait(r, r->connection->sent != sent);

    /* a client that is slower than the rate sets its own */

    if (rc == NGX_AGAIN && !r->buffered && !r->connection->buffered) {
        ngx_add_timer(&ctx->timer, ngx_max(1000 / ctx->conf->stream_rate, 1));
    }

    return rc;
}


static void
ngx_http_llm_cache_pace_handler(ngx_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);

    rc = ngx_http_llm_cache_pace_step(r, ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_llm_cache_pace_done(r, ctx, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_llm_cache_pace_write(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    rc = ngx_http_llm_cache_send_more(r);

    if (rc == NGX_OK) {
        rc = ctx->timer.timer_set ? NGX_AGAIN
                                  : ngx_http_llm_cache_pace_step(r, ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_llm_cache_pace_done(r, ctx, rc);
    }
}


static void
ngx_http_llm_cache_pace_done(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc)
{
    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->pacing = 0;

    ngx_http_finalize_request(r, rc);
}
