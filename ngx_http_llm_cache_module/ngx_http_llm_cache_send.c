#include "ngx_http_llm_cache.h"


/*
 * Sending an answer bit by bit, as it comes or is due, outside of a content
 * handler: what the client has not taken yet waits in nginx's filters.
 */


ngx_int_t
ngx_http_llm_cache_send(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_chain_t *out)
{
    ngx_int_t  rc;

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_llm_cache_module);

    return rc;
}


/* a client that takes nothing for too long is dropped */

ngx_int_t
ngx_http_llm_cache_send_wait(ngx_http_request_t *r, ngx_uint_t progress)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    wev = r->connection->write;

    if (r->buffered || r->connection->buffered) {

        if (!wev->delayed && (progress || !wev->timer_set)) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

    } else if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


ngx_int_t
ngx_http_llm_cache_send_more(ngx_http_request_t *r)
{
    off_t              sent;
    ngx_int_t          rc;
    ngx_event_t       *wev;
    ngx_connection_t  *c;

    c = r->connection;
    wev = c->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        return NGX_HTTP_REQUEST_TIME_OUT;
    }

    sent = c->sent;

    rc = ngx_http_output_filter(r, NULL);

    if (c->sent != sent && wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}
