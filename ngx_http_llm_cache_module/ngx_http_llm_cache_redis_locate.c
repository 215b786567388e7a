#include "ngx_http_llm_cache_redis.h"


static ngx_int_t ngx_http_llm_cache_redis_literal(
    ngx_http_llm_cache_redis_conn_t *conn, llm_str_t host, ngx_uint_t port);
static void ngx_http_llm_cache_redis_set_addr(
    ngx_http_llm_cache_redis_conn_t *conn, struct sockaddr *sa,
    socklen_t len, in_port_t port);
static void ngx_http_llm_cache_redis_resolved(ngx_resolver_ctx_t *ctx);


void
ngx_http_llm_cache_redis_locate(ngx_http_llm_cache_redis_conn_t *conn,
    llm_str_t host, ngx_uint_t port, ngx_addr_t *addr)
{
    ngx_str_t            name;
    ngx_resolver_ctx_t  *ctx;

    conn->state = NGX_HTTP_LLM_CACHE_REDIS_LOCATING;

    /* a server that is known to be down is not worth a line for each try */

    conn->log.log_level = conn->quiet
                          ? ngx_min(ngx_cycle->log->log_level, NGX_LOG_ALERT)
                          : ngx_cycle->log->log_level;

    if (host.len >= sizeof(conn->name)) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    if (host.len) {
        ngx_memmove(conn->name, host.data, host.len);
    }

    name.data = conn->name;
    name.len = host.len;

    conn->host = name;

    if (addr) {
        conn->addr = *addr;
        ngx_http_llm_cache_redis_connect(conn);
        return;
    }

    if (ngx_http_llm_cache_redis_literal(conn, host, port) == NGX_OK) {
        ngx_http_llm_cache_redis_connect(conn);
        return;
    }

    if (conn->redis->resolver == NULL || name.len == 0) {
        ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                      "llm cache: no resolver defined to resolve \"%V\"",
                      &name);
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    ctx = ngx_resolve_start(conn->redis->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    ctx->name = name;
    ctx->handler = ngx_http_llm_cache_redis_resolved;
    ctx->data = conn;
    ctx->timeout = conn->redis->resolver_timeout;
    ctx->cancelable = 1;

    conn->resolve = ctx;
    conn->port = (in_port_t) port;

    /* what is resolved later than that is known to the resolver next time */

    ngx_add_timer(&conn->timer, conn->redis->connect_timeout);

    if (ngx_resolve_name(ctx) != NGX_OK) {
        /* the context is freed */
        conn->resolve = NULL;
        ngx_http_llm_cache_redis_close(conn, 1);
    }
}


void
ngx_http_llm_cache_redis_locate_end(ngx_http_llm_cache_redis_conn_t *conn)
{
    if (conn->resolve) {
        ngx_resolve_name_done(conn->resolve);
        conn->resolve = NULL;
    }
}


static ngx_int_t
ngx_http_llm_cache_redis_literal(ngx_http_llm_cache_redis_conn_t *conn,
    llm_str_t host, ngx_uint_t port)
{
    in_addr_t            addr;
    struct sockaddr_in   sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  sin6;
#endif

    addr = ngx_inet_addr((u_char *) host.data, host.len);

    if (addr != INADDR_NONE) {
        ngx_memzero(&sin, sizeof(struct sockaddr_in));
        sin.sin_family = AF_INET;
        sin.sin_addr.s_addr = addr;

        ngx_http_llm_cache_redis_set_addr(conn, (struct sockaddr *) &sin,
                                          sizeof(struct sockaddr_in),
                                          (in_port_t) port);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));

    if (ngx_inet6_addr((u_char *) host.data, host.len,
                       sin6.sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6.sin6_family = AF_INET6;

        ngx_http_llm_cache_redis_set_addr(conn, (struct sockaddr *) &sin6,
                                          sizeof(struct sockaddr_in6),
                                          (in_port_t) port);
        return NGX_OK;
    }

#endif

    return NGX_DECLINED;
}


static void
ngx_http_llm_cache_redis_set_addr(ngx_http_llm_cache_redis_conn_t *conn,
    struct sockaddr *sa, socklen_t len, in_port_t port)
{
    ngx_memcpy(&conn->sockaddr, sa, len);

    ngx_inet_set_port(&conn->sockaddr.sockaddr, port);

    conn->addr.sockaddr = &conn->sockaddr.sockaddr;
    conn->addr.socklen = len;
    conn->addr.name.data = conn->text;
    conn->addr.name.len = ngx_sock_ntop(&conn->sockaddr.sockaddr, len,
                                        conn->text, NGX_SOCKADDR_STRLEN, 1);
}


static void
ngx_http_llm_cache_redis_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = ctx->data;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    if (ctx->state || ctx->naddrs == 0) {
        ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                      "llm cache: \"%V\" could not be resolved (%i: %s)",
                      &ctx->name, ctx->state,
                      ngx_resolver_strerror(ctx->state));

        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    i = ngx_random() % ctx->naddrs;

    ngx_http_llm_cache_redis_set_addr(conn, ctx->addrs[i].sockaddr,
                                      ctx->addrs[i].socklen, conn->port);

    ngx_http_llm_cache_redis_locate_end(conn);

    ngx_http_llm_cache_redis_connect(conn);
}
