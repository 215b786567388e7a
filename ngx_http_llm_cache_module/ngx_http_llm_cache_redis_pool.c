#include "ngx_http_llm_cache_redis.h"


/* failures of connections in a row that open the breaker */
#define NGX_HTTP_LLM_CACHE_REDIS_FAILURES  3

/* ms until a server that is down is tried again */
#define NGX_HTTP_LLM_CACHE_REDIS_BACKOFF   100
#define NGX_HTTP_LLM_CACHE_REDIS_LONGEST   2000


static ngx_int_t ngx_http_llm_cache_redis_init_cluster(
    ngx_http_llm_cache_redis_t *redis);
static ngx_int_t ngx_http_llm_cache_redis_init_single(
    ngx_http_llm_cache_redis_t *redis);
static ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_new_server(
    ngx_http_llm_cache_redis_t *redis, llm_str_t host, ngx_uint_t port);
static ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_add_server(
    ngx_http_llm_cache_redis_t *redis);
static ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_free_place(
    ngx_http_llm_cache_redis_t *redis);
static void ngx_http_llm_cache_redis_start_handler(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_closed(
    ngx_http_llm_cache_redis_conn_t *conn, ngx_uint_t failed);
static ngx_uint_t ngx_http_llm_cache_redis_used(
    ngx_http_llm_cache_redis_server_t *server);
static void ngx_http_llm_cache_redis_break(
    ngx_http_llm_cache_redis_server_t *server);
static ngx_str_t *ngx_http_llm_cache_redis_place(
    ngx_http_llm_cache_redis_server_t *server);
static void ngx_http_llm_cache_redis_probe_later(
    ngx_http_llm_cache_redis_server_t *server);
static void ngx_http_llm_cache_redis_probe_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_redis_probed(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_clear_server(
    ngx_http_llm_cache_redis_server_t *server);


ngx_int_t
ngx_http_llm_cache_redis_init(ngx_http_llm_cache_redis_t *redis)
{
    u_char                      *p;
    ngx_uint_t                   i;
    ngx_http_llm_cache_zone_t  **zones;

    zones = redis->zones.elts;
    redis->stat = ngx_http_llm_cache_zone_redis(zones[0]);
    redis->max_value = 0;

    for (i = 0; i < redis->zones.nelts; i++) {
        redis->max_value = ngx_max(redis->max_value, zones[i]->max_entry);
    }

    redis->max_value += LLM_REDIS_VALUE_HEAD + LLM_RECORD_HEAD + UINT16_MAX;

    ngx_queue_init(&redis->batches);

    p = ngx_alloc(redis->password.len + 1, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (redis->password.len) {
        ngx_memcpy(p, redis->password.data, redis->password.len);
    }

    p[redis->password.len] = '\0';
    redis->password.data = p;

    redis->servers = ngx_calloc(NGX_HTTP_LLM_CACHE_REDIS_SERVERS
                                * sizeof(ngx_http_llm_cache_redis_server_t *),
                                ngx_cycle->log);
    if (redis->servers == NULL) {
        return NGX_ERROR;
    }

    return redis->url.kind == LLM_REDIS_CLUSTER
           ? ngx_http_llm_cache_redis_init_cluster(redis)
           : ngx_http_llm_cache_redis_init_single(redis);
}


static ngx_int_t
ngx_http_llm_cache_redis_init_cluster(ngx_http_llm_cache_redis_t *redis)
{
    size_t                              i;
    ngx_http_llm_cache_redis_server_t  *server;

    redis->refresh.data = redis;
    redis->refresh.handler = ngx_http_llm_cache_redis_remap_handler;
    redis->refresh.log = ngx_cycle->log;
    redis->refresh.cancelable = 1;

    redis->slots = ngx_calloc(LLM_REDIS_SLOTS * sizeof(uint16_t),
                              ngx_cycle->log);
    if (redis->slots == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < redis->url.n; i++) {

        server = ngx_http_llm_cache_redis_new_server(redis,
                                                   redis->url.hosts[i].name,
                                                   redis->url.hosts[i].port);
        if (server == NULL) {
            return NGX_ERROR;
        }

        server->addrs = redis->addrs[i];
        server->naddrs = redis->naddrs[i];
    }

    ngx_http_llm_cache_redis_remap(redis, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_redis_init_single(ngx_http_llm_cache_redis_t *redis)
{
    llm_str_t                           none;
    ngx_http_llm_cache_redis_server_t  *server;

    if (redis->url.kind == LLM_REDIS_SENTINEL) {

        ngx_memzero(&none, sizeof(llm_str_t));

        ngx_http_llm_cache_redis_sentinel_init(redis);
        server = ngx_http_llm_cache_redis_new_server(redis, none, 0);

        if (server == NULL) {
            return NGX_ERROR;
        }

    } else {
        server = ngx_http_llm_cache_redis_new_server(redis,
                                                   redis->url.hosts[0].name,
                                                   redis->url.hosts[0].port);
        if (server == NULL) {
            return NGX_ERROR;
        }

        server->addrs = redis->addrs[0];
        server->naddrs = redis->naddrs[0];
    }

    server->master = 1;
    ngx_http_llm_cache_redis_track(server);

    /* the first look-up finds a connection */

    ngx_post_event(&server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP].flush,
                   &ngx_posted_events);

    return NGX_OK;
}


void
ngx_http_llm_cache_redis_exit(ngx_http_llm_cache_redis_t *redis)
{
    ngx_uint_t                         i;
    ngx_queue_t                       *q;
    ngx_http_llm_cache_redis_batch_t  *batch;

    if (redis->stat == NULL) {
        return;
    }

    if (redis->refresh.timer_set) {
        ngx_del_timer(&redis->refresh);
    }

    while (!ngx_queue_empty(&redis->batches)) {
        q = ngx_queue_head(&redis->batches);
        batch = ngx_queue_data(q, ngx_http_llm_cache_redis_batch_t, queue);
        ngx_http_llm_cache_redis_cancel(batch);
    }

    /* whose command ends now has no other one sent */

    redis->ended = 1;

    if (redis->sentinel.redis) {
        ngx_http_llm_cache_redis_close(&redis->sentinel, 0);
    }

    for (i = 0; i < redis->n; i++) {
        ngx_http_llm_cache_redis_clear_server(redis->servers[i]);
        ngx_free(redis->servers[i]);
    }

    redis->n = 0;
    ngx_free(redis->servers);

    if (redis->slots) {
        ngx_free(redis->slots);
        redis->slots = NULL;
    }

    ngx_explicit_memzero(redis->password.data, redis->password.len);
    ngx_free(redis->password.data);
    ngx_str_null(&redis->password);

    redis->stat = NULL;
}


static void
ngx_http_llm_cache_redis_clear_server(
    ngx_http_llm_cache_redis_server_t *server)
{
    ngx_uint_t  i;

    ngx_http_llm_cache_redis_untrack(server);

    for (i = 0; i < NGX_HTTP_LLM_CACHE_REDIS_CONNS; i++) {
        ngx_http_llm_cache_redis_close(&server->conns[i], 0);
    }

    if (server->probe.timer_set) {
        ngx_del_timer(&server->probe);
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_REDIS_CONNS; i++) {
        if (server->conns[i].flush.posted) {
            ngx_delete_posted_event(&server->conns[i].flush);
        }
    }
}


ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_server(ngx_http_llm_cache_redis_t *redis,
    llm_str_t host, ngx_uint_t port)
{
    ngx_uint_t                          i;
    ngx_http_llm_cache_redis_server_t  *server;

    for (i = 0; i < redis->n; i++) {

        server = redis->servers[i];

        if (server->port == port && server->host.len == host.len
            && ngx_memcmp(server->host.data, host.data, host.len) == 0)
        {
            return server;
        }
    }

    return ngx_http_llm_cache_redis_new_server(redis, host, port);
}


static ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_new_server(ngx_http_llm_cache_redis_t *redis,
    llm_str_t host, ngx_uint_t port)
{
    ngx_uint_t                          i;
    ngx_http_llm_cache_redis_conn_t    *conn;
    ngx_http_llm_cache_redis_server_t  *server;

    if (host.len >= NGX_HTTP_LLM_CACHE_REDIS_HOST) {
        return NULL;
    }

    server = redis->n < NGX_HTTP_LLM_CACHE_REDIS_SERVERS
             ? ngx_http_llm_cache_redis_add_server(redis)
             : ngx_http_llm_cache_redis_free_place(redis);

    if (server == NULL) {
        return NULL;
    }

    server->redis = redis;
    server->port = (in_port_t) port;
    server->host.data = server->name;
    server->host.len = host.len;

    if (host.len) {
        ngx_memcpy(server->name, host.data, host.len);
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_REDIS_CONNS; i++) {

        conn = &server->conns[i];

        ngx_http_llm_cache_redis_conn_init(conn, redis);

        conn->data = server;
        conn->start = ngx_http_llm_cache_redis_start_handler;
        conn->closed = ngx_http_llm_cache_redis_closed;
    }

    ngx_http_llm_cache_redis_track_init(server);

    server->probe.data = server;
    server->probe.handler = ngx_http_llm_cache_redis_probe_handler;
    server->probe.log = ngx_cycle->log;
    server->probe.cancelable = 1;

    return server;
}


static ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_add_server(ngx_http_llm_cache_redis_t *redis)
{
    ngx_http_llm_cache_redis_server_t  *server;

    server = ngx_calloc(sizeof(ngx_http_llm_cache_redis_server_t),
                        ngx_cycle->log);

    if (server) {
        server->index = redis->n;
        redis->servers[redis->n++] = server;
    }

    return server;
}


/* that of a server which nobody uses, zeroed but for its index; or NULL */

static ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_free_place(ngx_http_llm_cache_redis_t *redis)
{
    ngx_uint_t                          i, k, index, busy;
    ngx_http_llm_cache_redis_server_t  *server;

    for (i = redis->url.n; i < redis->n; i++) {

        server = redis->servers[i];

        /* a map that is being read has not named all masters yet */

        busy = server->master || server->track.on;

        for (k = 0; k < NGX_HTTP_LLM_CACHE_REDIS_CONNS; k++) {
            busy |= server->conns[k].n
                    || server->conns[k].state != NGX_HTTP_LLM_CACHE_REDIS_IDLE;
        }

        if (busy) {
            continue;
        }

        ngx_http_llm_cache_redis_clear_server(server);

        index = server->index;
        ngx_memzero(server, sizeof(ngx_http_llm_cache_redis_server_t));
        server->index = index;

        return server;
    }

    return NULL;
}


void
ngx_http_llm_cache_redis_start(ngx_http_llm_cache_redis_server_t *server,
    ngx_http_llm_cache_redis_conn_t *conn)
{
    llm_str_t    host;
    ngx_addr_t  *addr;

    conn->quiet = server->open
                  || server->track.backoff
                     > 2 * NGX_HTTP_LLM_CACHE_REDIS_BACKOFF;

    if (server->redis->url.kind == LLM_REDIS_SENTINEL) {
        conn->role = 1;
        conn->state = NGX_HTTP_LLM_CACHE_REDIS_LOCATING;
        ngx_http_llm_cache_redis_ask_sentinel(server->redis);
        return;
    }

    addr = server->naddrs ? &server->addrs[server->next % server->naddrs]
                          : NULL;

    host.data = server->host.data;
    host.len = server->host.len;

    ngx_http_llm_cache_redis_locate(conn, host, server->port, addr);
}


static void
ngx_http_llm_cache_redis_start_handler(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_http_llm_cache_redis_start(conn->data, conn);
}


static void
ngx_http_llm_cache_redis_closed(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_uint_t failed)
{
    ngx_http_llm_cache_redis_server_t  *server;

    server = conn->data;

    if (!failed) {
        return;
    }

    ngx_http_llm_cache_redis_count(server->redis->stat, failures);

    server->failures++;
    server->next++;

    if (server->redis->url.kind == LLM_REDIS_CLUSTER
        && ngx_http_llm_cache_redis_used(server))
    {
        ngx_http_llm_cache_redis_remap(server->redis, 100);
    }

    if (server->open) {
        ngx_http_llm_cache_redis_probe_later(server);

    } else if (server->failures >= NGX_HTTP_LLM_CACHE_REDIS_FAILURES) {
        ngx_http_llm_cache_redis_break(server);
    }
}


/* a node that the URL does not name, and that has no slots any more, may be
   gone for ever */

static ngx_uint_t
ngx_http_llm_cache_redis_used(ngx_http_llm_cache_redis_server_t *server)
{
    return server->master || server->index < server->redis->url.n;
}


/* from now on nobody waits for this server */

static void
ngx_http_llm_cache_redis_break(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_uint_t  i;

    server->open = 1;

    /* longer, where it has only ever answered probes since the last time */

    if (server->backoff == 0) {
        server->backoff = NGX_HTTP_LLM_CACHE_REDIS_BACKOFF;
    }

    ngx_http_llm_cache_redis_count(server->redis->stat, opened);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "llm cache: Redis at %V is left alone until it answers",
                  ngx_http_llm_cache_redis_place(server));

    for (i = 0; i < NGX_HTTP_LLM_CACHE_REDIS_CONNS; i++) {
        ngx_http_llm_cache_redis_close(&server->conns[i], 0);
    }

    ngx_http_llm_cache_redis_probe_later(server);
}


/* its address, or where that was never known what names it in the URL */

static ngx_str_t *
ngx_http_llm_cache_redis_place(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_str_t  *name;

    name = &server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP].addr.name;

    return name->len ? name
                     : server->host.len ? &server->host
                                        : &server->redis->name;
}


static void
ngx_http_llm_cache_redis_probe_later(
    ngx_http_llm_cache_redis_server_t *server)
{
    if (server->probe.timer_set || ngx_exiting
        || !ngx_http_llm_cache_redis_used(server))
    {
        return;
    }

    ngx_add_timer(&server->probe,
                  server->backoff + ngx_random() % (server->backoff / 4));

    server->backoff = ngx_min(server->backoff * 2,
                              NGX_HTTP_LLM_CACHE_REDIS_LONGEST);
}


void
ngx_http_llm_cache_redis_probe(ngx_http_llm_cache_redis_server_t *server)
{
    if (server->open
        && server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP].n == 0)
    {
        ngx_http_llm_cache_redis_probe_later(server);
    }
}


static void
ngx_http_llm_cache_redis_probe_handler(ngx_event_t *ev)
{
    llm_str_t                           word;
    ngx_http_llm_cache_redis_server_t  *server;

    server = ev->data;
    word = ngx_http_llm_cache_redis_word("PING");

    if (ngx_http_llm_cache_redis_say(
                             &server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP],
                             1, &word,
                             server->redis->connect_timeout
                             + server->redis->timeout,
                             ngx_http_llm_cache_redis_probed, server)
        == NULL)
    {
        ngx_http_llm_cache_redis_probe_later(server);
    }
}


static void
ngx_http_llm_cache_redis_probed(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_uint_t                          ok;
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;

    /* a user may not be allowed to say PING */

    ok = llm_reply_is(reply, LLM_RESP_STATUS)
         || (llm_reply_is(reply, LLM_RESP_ERROR) && reply->str.len >= 6
             && ngx_memcmp(reply->str.data, "NOPERM", 6) == 0);

    llm_reply_free(reply);

    if (!ok) {
        ngx_http_llm_cache_redis_probe_later(server);
        return;
    }

    server->open = 0;
    server->failures = 0;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "llm cache: Redis at %V answers again",
                  ngx_http_llm_cache_redis_place(server));

    if (server->master) {
        ngx_http_llm_cache_redis_track(server);
    }
}


ngx_int_t
ngx_http_llm_cache_redis_send(ngx_http_llm_cache_redis_server_t *server,
    ngx_uint_t which, ngx_http_llm_cache_redis_cmd_t *cmd)
{
    if (server->open) {
        return NGX_BUSY;
    }

    return ngx_http_llm_cache_redis_queue(&server->conns[which], cmd);
}


const char *
ngx_http_llm_cache_redis_state(ngx_http_llm_cache_redis_t *redis)
{
    ngx_uint_t                          i, known, told, ready;
    ngx_http_llm_cache_redis_server_t  *server;

    known = 0;
    told = 1;
    ready = 1;

    for (i = 0; i < redis->n; i++) {

        server = redis->servers[i];

        if (!server->master) {
            continue;
        }

        if (server->open) {
            return "open";
        }

        known = 1;
        told &= server->track.told;
        ready &= server->track.told
                 || server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP].state
                    == NGX_HTTP_LLM_CACHE_REDIS_READY;
    }

    return !known ? "connecting" : told ? "tracking"
                  : ready ? "ready" : "connecting";
}
