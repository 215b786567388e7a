#include "ngx_http_llm_cache_redis.h"


#if (NGX_SSL)

static void ngx_http_llm_cache_redis_handshaked(ngx_connection_t *c);
static ngx_uint_t ngx_http_llm_cache_redis_verify(
    ngx_http_llm_cache_redis_conn_t *conn);
static ngx_uint_t ngx_http_llm_cache_redis_proves(X509 *cert,
    ngx_str_t *name);
static ngx_uint_t ngx_http_llm_cache_redis_is_address(ngx_str_t *name);


void
ngx_http_llm_cache_redis_handshake(ngx_http_llm_cache_redis_conn_t *conn)
{
    u_char            *name;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (ngx_ssl_create_connection(conn->redis->ssl, c, NGX_SSL_CLIENT)
        != NGX_OK)
    {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    if (conn->host.len && !ngx_http_llm_cache_redis_is_address(&conn->host)) {

        name = ngx_pnalloc(conn->pool, conn->host.len + 1);

        if (name == NULL) {
            ngx_http_llm_cache_redis_close(conn, 1);
            return;
        }

        (void) ngx_cpystrn(name, conn->host.data, conn->host.len + 1);

        if (SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0) {
            ngx_http_llm_cache_redis_close(conn, 1);
            return;
        }
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_llm_cache_redis_handshaked;
        return;
    }

    ngx_http_llm_cache_redis_handshaked(c);
}


static void
ngx_http_llm_cache_redis_handshaked(ngx_connection_t *c)
{
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = c->data;

    if (!c->ssl->handshaked || !ngx_http_llm_cache_redis_verify(conn)) {
        ngx_http_llm_cache_redis_close(conn, 1);
        return;
    }

    ngx_http_llm_cache_redis_greet(conn);
}


/* a node of a cluster may also prove to be a host that the URL names */

static ngx_uint_t
ngx_http_llm_cache_redis_verify(ngx_http_llm_cache_redis_conn_t *conn)
{
    long                         rc;
    X509                        *cert;
    size_t                       i;
    ngx_str_t                    name;
    ngx_uint_t                   proved;
    ngx_connection_t            *c;
    ngx_http_llm_cache_redis_t  *redis;

    c = conn->peer.connection;
    redis = conn->redis;

    if (!redis->verify) {
        return 1;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                      "llm cache: the certificate of %V is not trusted: "
                      "(%l:%s)", &conn->addr.name, rc,
                      X509_verify_cert_error_string(rc));
        return 0;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return 0;
    }

    proved = ngx_http_llm_cache_redis_proves(cert, &conn->host);

    if (redis->url.kind != LLM_REDIS_SINGLE) {

        for (i = 0; i < redis->url.n && !proved; i++) {
            name.data = (u_char *) redis->url.hosts[i].name.data;
            name.len = redis->url.hosts[i].name.len;

            proved = ngx_http_llm_cache_redis_proves(cert, &name);
        }
    }

    X509_free(cert);

    if (!proved) {
        ngx_log_error(NGX_LOG_ERR, &conn->log, 0,
                      "llm cache: the certificate of %V is not for \"%V\"",
                      &conn->addr.name, &conn->host);
    }

    return proved;
}


static ngx_uint_t
ngx_http_llm_cache_redis_proves(X509 *cert, ngx_str_t *name)
{
    u_char  text[NGX_SOCKADDR_STRLEN + 1];

    if (!ngx_http_llm_cache_redis_is_address(name)) {
        return name->len
               && X509_check_host(cert, (char *) name->data, name->len, 0,
                                  NULL)
                  == 1;
    }

    (void) ngx_cpystrn(text, name->data, ngx_min(name->len + 1, sizeof(text)));

    return X509_check_ip_asc(cert, (char *) text, 0) == 1;
}


static ngx_uint_t
ngx_http_llm_cache_redis_is_address(ngx_str_t *name)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];

    if (ngx_inet6_addr(name->data, name->len, addr) == NGX_OK) {
        return 1;
    }
#endif

    return ngx_inet_addr(name->data, name->len) != INADDR_NONE;
}

#endif
