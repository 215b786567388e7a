#include "ngx_http_llm_cache.h"


/* calls whose client has left and that nobody follows, in one worker */
#define NGX_HTTP_LLM_CACHE_ORPHANS  256

/* buffers that are looked at for one to be used again; sizes of new ones */
#define NGX_HTTP_LLM_CACHE_FREE_BUFS   8
#define NGX_HTTP_LLM_CACHE_COPY_ALIGN  256


static ngx_uint_t ngx_http_llm_cache_wanted(ngx_http_llm_cache_ctx_t *ctx);
static ngx_chain_t *ngx_http_llm_cache_copy(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b);
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


/* whether the answer is of use without its client */

static ngx_uint_t
ngx_http_llm_cache_wanted(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = ngx_http_llm_cache_leads(&ctx->writer);

    if (flight == NULL || flight->state >= NGX_HTTP_LLM_CACHE_STORED) {
        return 0;
    }

    return flight->followers
           || (ctx->conf->ignore_client_abort
               && (ctx->gone || ngx_http_llm_cache_may_orphan()));
}


ngx_uint_t
ngx_http_llm_cache_go_on(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->gone) {
        r->connection->error = 0;
        return 1;
    }

    if (!ngx_http_llm_cache_wanted(ctx)) {
        return 0;
    }

    ngx_http_llm_cache_orphan(ctx);

    /* else the end of a subrequest, as of "mirror", would be the request's */

    r->connection->error = 0;
    ngx_http_llm_cache_discard(ctx->busy);

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "llm cache: client left, the answer is fetched on");

    return 1;
}


ngx_int_t
ngx_http_llm_cache_go_down(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->recording || ctx->background) {
        return NGX_OK;
    }

    r->connection->error = 1;

    return NGX_ERROR;
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

        /* a redirected request would go on for nobody */

        if (!ctx->background) {
            ctx->request->connection->error = 1;
        }
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

    if ((wev->timedout || ngx_http_llm_cache_client_left(r))
        && ngx_http_llm_cache_go_on(r, ctx))
    {
        wev->timedout = 0;
        return;
    }

    /* to nginx nothing is pending: its own buffers have been emptied */

    if (r->postponed) {
        (void) ngx_http_output_filter(r, NULL);

        if (ctx->gone) {
            return;
        }
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
        return c->read->error || c->write->error;
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


/*
 * The client gets copies, so that neither the upstream's buffers nor the zone
 * wait for it; but not of more than an entry's size.
 */

ngx_int_t
ngx_http_llm_cache_lead_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in, ngx_chain_t **out)
{
    ngx_buf_t    *b;
    ngx_uint_t    taken;
    ngx_chain_t  *cl;

    *out = NULL;

    if (in == NULL) {
        return NGX_OK;
    }

    ngx_http_llm_cache_guard(r, ctx);

    if (ctx->gone && !ctx->background && !ngx_http_llm_cache_wanted(ctx)) {
        ngx_http_llm_cache_refuse(ctx, LLM_REASON_TRUNCATED);
        return ngx_http_llm_cache_go_down(r, ctx);
    }

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;

        taken = ctx->recording && ngx_http_llm_cache_record(r, ctx, b);

        if (ctx->gone) {
            b->pos = b->last;
            continue;
        }

        if (taken && ngx_buf_size(b)
            && ctx->lag <= ctx->conf->zone->max_entry)
        {
            cl = ngx_http_llm_cache_copy(r, ctx, b);

        } else {
            cl = ngx_alloc_chain_link(r->pool);
            if (cl) {
                cl->buf = b;
            }
        }

        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->next = NULL;
        *out = cl;
        out = &cl->next;
    }

    if (ctx->recording && ngx_http_llm_cache_streams(ctx)) {
        ngx_http_llm_cache_flight_publish(&ctx->writer);
    }

    return NGX_OK;
}


/* moves a buffer's bytes into one of our own */

static ngx_chain_t *
ngx_http_llm_cache_copy(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_buf_t *b)
{
    size_t        size;
    ngx_buf_t    *copy;
    ngx_uint_t    i;
    ngx_chain_t  *cl, **ll;

    size = b->last - b->pos;
    ll = &ctx->free;

    for (i = 0; *ll && i < NGX_HTTP_LLM_CACHE_FREE_BUFS; i++) {

        cl = *ll;

        if ((size_t) (cl->buf->end - cl->buf->start) >= size) {
            *ll = cl->next;
            goto found;
        }

        ll = &cl->next;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = ngx_create_temp_buf(r->pool,
                                 ngx_align(size,
                                           NGX_HTTP_LLM_CACHE_COPY_ALIGN));
    if (cl->buf == NULL) {
        return NULL;
    }

    cl->buf->tag = (ngx_buf_tag_t) &ngx_http_llm_cache_module;

found:

    copy = cl->buf;

    copy->pos = copy->start;
    copy->last = ngx_cpymem(copy->start, b->pos, size);
    copy->flush = b->flush;
    copy->last_buf = b->last_buf;
    copy->last_in_chain = b->last_in_chain;

    b->pos = b->last;
    ctx->lag += size;

    return cl;
}


/*
 * nginx starts send_timeout anew with each piece that the upstream sends, as
 * it takes these for sent.
 */

ngx_uint_t
ngx_http_llm_cache_lead_stalled(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;

    if (ctx->busy == NULL) {
        ctx->lag = 0;
    }

    if (ctx->busy == NULL || ctx->sent_at == 0 || c->sent != ctx->sent
        || c->write->delayed || c->data != r)
    {
        ctx->sent = c->sent;
        ctx->sent_at = ngx_current_msec;
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (ngx_current_msec - ctx->sent_at < clcf->send_timeout) {
        return 0;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT, "client timed out");

    c->timedout = 1;

    return 1;
}
