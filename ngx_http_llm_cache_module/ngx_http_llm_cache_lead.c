#include "ngx_http_llm_cache.h"


/* calls whose client has left and that nobody follows, in one worker */
#define NGX_HTTP_LLM_CACHE_ORPHANS  256


static void ngx_http_llm_cache_lead_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_lead_read(ngx_http_request_t *r);
static void ngx_http_llm_cache_lead_write(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_cache_client_left(ngx_http_request_t *r);


static ngx_uint_t  ngx_http_llm_cache_orphans;


void
ngx_http_llm_cache_lead(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->timer.data = r;
    ctx->timer.handler = ngx_http_llm_cache_lead_handler;
    ctx->timer.log = r->connection->log;

    /* when the content handler has begun, before any event of the client */

    ngx_post_event(&ctx->timer, &ngx_posted_events);
}


static void
ngx_http_llm_cache_lead_handler(ngx_event_t *ev)
{
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = ev->data;
    ctx = ngx_http_llm_cache_get_ctx(r);

    ngx_http_llm_cache_guard(r, ctx);
}


/*
 * nginx ends an upstream call when its client leaves.  The handlers that do
 * this are replaced by those that ask first whether the answer is wanted.
 */

void
ngx_http_llm_cache_guard(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    if (r->upstream == NULL || ctx->background
        || !ngx_http_llm_cache_leads(&ctx->writer))
    {
        return;
    }

    if (r->read_event_handler != ngx_http_llm_cache_lead_read) {
        ctx->read_handler = r->read_event_handler;
        r->read_event_handler = ngx_http_llm_cache_lead_read;
    }

    if (r->write_event_handler != ngx_http_llm_cache_lead_write) {
        ctx->write_handler = r->write_event_handler;
        r->write_event_handler = ngx_http_llm_cache_lead_write;
    }
}


/* whether the answer is fetched on without its client; if so, it has left */

ngx_uint_t
ngx_http_llm_cache_go_on(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = ngx_http_llm_cache_leads(&ctx->writer);

    if (ctx->gone) {
        return 1;
    }

    if (flight == NULL
        || flight->state >= NGX_HTTP_LLM_CACHE_STORED
        || (flight->followers == 0
            && !(ctx->conf->ignore_client_abort
                 && ngx_http_llm_cache_may_orphan())))
    {
        return 0;
    }

    ngx_http_llm_cache_orphan(ctx);

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "llm cache: client left, the answer is fetched on");

    return 1;
}


ngx_uint_t
ngx_http_llm_cache_may_orphan(void)
{
    return ngx_http_llm_cache_orphans < NGX_HTTP_LLM_CACHE_ORPHANS;
}


void
ngx_http_llm_cache_orphan(ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->gone = 1;
    ngx_http_llm_cache_orphans++;
}


void
ngx_http_llm_cache_lead_end(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->gone) {
        ctx->gone = 0;
        ngx_http_llm_cache_orphans--;
    }

    if (ctx->timer.posted) {
        ngx_delete_posted_event(&ctx->timer);
    }
}


static void
ngx_http_llm_cache_lead_read(ngx_http_request_t *r)
{
    ngx_event_t               *rev;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);
    rev = r->connection->read;

    if (ctx->read_handler == ngx_http_block_reading
        || !ngx_http_llm_cache_client_left(r)
        || !ngx_http_llm_cache_go_on(r, ctx))
    {
        ctx->read_handler(r);
        return;
    }

    if ((ngx_event_flags & NGX_USE_LEVEL_EVENT) && rev->active) {
        if (ngx_del_event(rev, NGX_READ_EVENT, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }
    }
}


static void
ngx_http_llm_cache_lead_write(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);
    wev = r->connection->write;

    if (ctx->gone) {
        wev->timedout = 0;
        return;
    }

    if (wev->timedout && ngx_http_llm_cache_go_on(r, ctx)) {
        wev->timedout = 0;
        return;
    }

    ctx->write_handler(r);
}


static ngx_uint_t
ngx_http_llm_cache_client_left(ngx_http_request_t *r)
{
    ssize_t            n;
    u_char             buf[1];
    ngx_connection_t  *c;

    c = r->connection;

    if (c->error) {
        return 1;
    }

#if (NGX_HTTP_V2)
    if (r->stream) {
        return 0;
    }
#endif

#ifdef NGX_HTTP_V3
    if (r->http_version == NGX_HTTP_VERSION_30) {
        return c->read->error;
    }
#endif

#ifdef NGX_HAVE_KQUEUE
    if (ngx_event_flags & NGX_USE_KQUEUE_EVENT) {
        return c->read->pending_eof;
    }
#endif

#if (NGX_HAVE_EPOLLRDHUP)
    if ((ngx_event_flags & NGX_USE_EPOLL_EVENT) && ngx_use_epoll_rdhup) {
        return c->read->pending_eof;
    }
#endif

    n = recv(c->fd, buf, 1, MSG_PEEK);

    return n == 0 || (n == -1 && ngx_socket_errno != NGX_EAGAIN);
}
