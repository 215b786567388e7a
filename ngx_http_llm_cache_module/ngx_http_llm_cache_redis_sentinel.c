#include "ngx_http_llm_cache_redis.h"


static void ngx_http_llm_cache_redis_sentinel_start(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_sentinel_closed(
    ngx_http_llm_cache_redis_conn_t *conn, ngx_uint_t failed);
static void ngx_http_llm_cache_redis_sentinel_said(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_located(
    ngx_http_llm_cache_redis_t *redis, llm_str_t host, ngx_uint_t port);


void
ngx_http_llm_cache_redis_sentinel_init(ngx_http_llm_cache_redis_t *redis)
{
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = &redis->sentinel;

    ngx_http_llm_cache_redis_conn_init(conn, redis);

    conn->plain = 1;
    conn->start = ngx_http_llm_cache_redis_sentinel_start;
    conn->closed = ngx_http_llm_cache_redis_sentinel_closed;
}


void
ngx_http_llm_cache_redis_ask_sentinel(ngx_http_llm_cache_redis_t *redis)
{
    llm_str_t                         words[3];
    ngx_http_llm_cache_redis_conn_t  *conn;

    conn = &redis->sentinel;

    if (conn->n) {
        return;
    }

    words[0] = ngx_http_llm_cache_redis_word("SENTINEL");
    words[1] = ngx_http_llm_cache_redis_word("get-master-addr-by-name");
    words[2] = redis->url.master;

    if (ngx_http_llm_cache_redis_say(conn, 3, words,
                                     redis->connect_timeout + redis->timeout,
                                     ngx_http_llm_cache_redis_sentinel_said,
                                     redis)
        == NULL)
    {
        ngx_memzero(words, sizeof(words));
        ngx_http_llm_cache_redis_located(redis, words[0], 0);
    }
}


static void
ngx_http_llm_cache_redis_sentinel_start(ngx_http_llm_cache_redis_conn_t *conn)
{
    size_t                       i;
    ngx_http_llm_cache_redis_t  *redis;

    redis = conn->redis;
    i = redis->asked % redis->url.n;

    conn->quiet = redis->servers[0]->open;

    ngx_http_llm_cache_redis_locate(conn, redis->url.hosts[i].name,
                                    redis->url.hosts[i].port,
                                    redis->naddrs[i] ? redis->addrs[i]
                                                     : NULL);
}


static void
ngx_http_llm_cache_redis_sentinel_closed(
    ngx_http_llm_cache_redis_conn_t *conn, ngx_uint_t failed)
{
    if (failed) {
        conn->redis->asked++;
    }
}


static void
ngx_http_llm_cache_redis_sentinel_said(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_int_t                    port;
    llm_str_t                    host;
    ngx_http_llm_cache_redis_t  *redis;

    redis = cmd->data;
    port = NGX_ERROR;
    ngx_memzero(&host, sizeof(llm_str_t));

    if (llm_reply_is(reply, LLM_RESP_ARRAY) && reply->n == 2) {
        host = reply->elements[0]->str;
        port = ngx_atoi((u_char *) reply->elements[1]->str.data,
                        reply->elements[1]->str.len);
    }

    if (port < 1 || port > 65535) {
        host.len = 0;
        port = 0;

        /* the next one, the next time */

        if (reply) {
            ngx_http_llm_cache_redis_close(&redis->sentinel, 1);
        }
    }

    ngx_http_llm_cache_redis_located(redis, host, port);

    llm_reply_free(reply);
}


/* all connections that wait for the master's address have it now */

static void
ngx_http_llm_cache_redis_located(ngx_http_llm_cache_redis_t *redis,
    llm_str_t host, ngx_uint_t port)
{
    ngx_uint_t                          i;
    ngx_http_llm_cache_redis_conn_t    *conn;
    ngx_http_llm_cache_redis_server_t  *server;

    server = redis->servers[0];

    for (i = 0; i <= NGX_HTTP_LLM_CACHE_REDIS_CONNS; i++) {

        conn = i < NGX_HTTP_LLM_CACHE_REDIS_CONNS ? &server->conns[i]
                                                  : &server->track.conn;

        if (conn->state != NGX_HTTP_LLM_CACHE_REDIS_LOCATING
            || conn->resolve)
        {
            continue;
        }

        if (host.len) {
            ngx_http_llm_cache_redis_locate(conn, host, port, NULL);

        } else {
            ngx_http_llm_cache_redis_close(conn, 1);
        }
    }
}
