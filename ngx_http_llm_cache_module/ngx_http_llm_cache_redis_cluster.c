#include "ngx_http_llm_cache_redis.h"


/* ms between two looks at the map: by itself, and while a node is down */
#define NGX_HTTP_LLM_CACHE_REDIS_REMAP   10000
#define NGX_HTTP_LLM_CACHE_REDIS_FAILED  500


struct ngx_http_llm_cache_redis_call_s {
    ngx_http_llm_cache_redis_cmd_t      cmd;
    ngx_http_llm_cache_redis_t         *redis;
    ngx_http_llm_cache_redis_server_t  *server;
    ngx_uint_t                          which;
    ngx_uint_t                          moves;
    void                              (*handler)(void *data,
                                                 llm_reply_t *reply);
    void                               *data;
};


static ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_route(
    ngx_http_llm_cache_redis_t *redis, llm_str_t key);
static void ngx_http_llm_cache_redis_called(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static ngx_int_t ngx_http_llm_cache_redis_follow_move(
    ngx_http_llm_cache_redis_call_t *call, llm_reply_t *reply);
static ngx_http_llm_cache_redis_server_t *ngx_http_llm_cache_redis_any(
    ngx_http_llm_cache_redis_t *redis);
static void ngx_http_llm_cache_redis_mapped(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_read_map(
    ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_redis_server_t *from, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_read_range(
    ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_redis_server_t *from, llm_reply_t *range,
    long long *left);


/* NULL where it is known that nobody would answer */

static ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_route(ngx_http_llm_cache_redis_t *redis,
    llm_str_t key)
{
    ngx_uint_t                          index;
    ngx_http_llm_cache_redis_server_t  *server;

    if (redis->ended) {
        return NULL;
    }

    if (redis->url.kind != LLM_REDIS_CLUSTER) {
        server = redis->servers[0];

    } else {
        index = redis->slots[llm_redis_slot(key)];
        server = index ? redis->servers[index - 1]
                       : ngx_http_llm_cache_redis_any(redis);
    }

    return server && !server->open ? server : NULL;
}


/* while the map is not known, whoever answers tells where to go */

static ngx_http_llm_cache_redis_server_t *
ngx_http_llm_cache_redis_any(ngx_http_llm_cache_redis_t *redis)
{
    ngx_uint_t                          i, n;
    ngx_http_llm_cache_redis_server_t  *server;

    n = ngx_random() % redis->n;

    for (i = 0; i < redis->n; i++) {

        server = redis->servers[(n + i) % redis->n];

        if (!server->open) {
            return server;
        }
    }

    return NULL;
}


ngx_http_llm_cache_redis_call_t *
ngx_http_llm_cache_redis_call(ngx_http_llm_cache_redis_t *redis,
    llm_str_t key, ngx_uint_t which, int argc, const llm_str_t *argv,
    ngx_msec_t timeout, void (*handler)(void *data, llm_reply_t *reply),
    void *data)
{
    ngx_http_llm_cache_redis_cmd_t     *cmd;
    ngx_http_llm_cache_redis_call_t    *call;
    ngx_http_llm_cache_redis_server_t  *server;

    server = ngx_http_llm_cache_redis_route(redis, key);
    if (server == NULL) {
        return NULL;
    }

    cmd = ngx_http_llm_cache_redis_command(
                         sizeof(ngx_http_llm_cache_redis_call_t), argc, argv);
    if (cmd == NULL) {
        return NULL;
    }

    cmd->deadline = ngx_current_msec + timeout;
    cmd->handler = ngx_http_llm_cache_redis_called;

    call = (ngx_http_llm_cache_redis_call_t *) cmd;

    call->redis = redis;
    call->server = server;
    call->which = which;
    call->handler = handler;
    call->data = data;

    if (ngx_http_llm_cache_redis_send(server, which, cmd) != NGX_OK) {
        ngx_http_llm_cache_redis_cmd_free(cmd);
        return NULL;
    }

    return call;
}


ngx_uint_t
ngx_http_llm_cache_redis_went_out(ngx_http_llm_cache_redis_call_t *call)
{
    return call->cmd.buf.pos != call->cmd.buf.start;
}


void
ngx_http_llm_cache_redis_forget(ngx_http_llm_cache_redis_call_t *call)
{
    if (call) {
        call->handler = NULL;
    }
}


static void
ngx_http_llm_cache_redis_called(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_call_t  *call;

    call = (ngx_http_llm_cache_redis_call_t *) cmd;

    if (reply && reply->type != LLM_RESP_ERROR) {
        call->server->failures = 0;

        if (!call->server->open) {
            call->server->backoff = 0;
        }
    }

    if (llm_reply_is(reply, LLM_RESP_ERROR)
        && call->redis->url.kind == LLM_REDIS_CLUSTER
        && ngx_http_llm_cache_redis_follow_move(call, reply) == NGX_OK)
    {
        llm_reply_free(reply);

    } else if (call->handler) {
        call->handler(call->data, reply);

    } else {
        llm_reply_free(reply);
    }
}


/* NGX_OK: the command went on to another server */

static ngx_int_t
ngx_http_llm_cache_redis_follow_move(ngx_http_llm_cache_redis_call_t *call,
    llm_reply_t *reply)
{
    llm_str_t                           word;
    llm_redis_move_e                    kind;
    llm_redis_move_t                    move;
    ngx_http_llm_cache_redis_server_t  *server;

    kind = llm_redis_move(reply->str, &move);

    if (kind == LLM_REDIS_STAY) {
        if (reply->str.len > 11
            && ngx_memcmp(reply->str.data, "CLUSTERDOWN", 11) == 0)
        {
            ngx_http_llm_cache_redis_remap(call->redis,
                                           NGX_HTTP_LLM_CACHE_REDIS_FAILED);
        }

        return NGX_DECLINED;
    }

    if (move.host.len == 0) {
        move.host.data = call->server->host.data;
        move.host.len = call->server->host.len;
    }

    server = ngx_http_llm_cache_redis_server(call->redis, move.host,
                                             move.port);

    if (server == NULL
        || call->moves++ == NGX_HTTP_LLM_CACHE_REDIS_MOVES)
    {
        return NGX_DECLINED;
    }

    if (kind == LLM_REDIS_MOVED) {
        call->redis->slots[move.slot] = (uint16_t) (server->index + 1);
        call->redis->maps++;
        ngx_http_llm_cache_redis_remap(call->redis, 100);

    } else {
        word = ngx_http_llm_cache_redis_word("ASKING");

        if (server->open
            || ngx_http_llm_cache_redis_say(&server->conns[call->which], 1,
                                            &word,
                                            call->redis->timeout
                                        * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                            NULL, NULL)
               == NULL)
        {
            return NGX_DECLINED;
        }
    }

    call->server = server;

    return ngx_http_llm_cache_redis_send(server, call->which, &call->cmd);
}


void
ngx_http_llm_cache_redis_remap(ngx_http_llm_cache_redis_t *redis,
    ngx_msec_t delay)
{
    if (redis->refreshing) {
        return;
    }

    if (redis->refresh.timer_set) {

        if ((ngx_msec_int_t) (redis->refresh.timer.key - ngx_current_msec)
            <= (ngx_msec_int_t) delay)
        {
            return;
        }

        ngx_del_timer(&redis->refresh);
    }

    ngx_add_timer(&redis->refresh, delay);
}


void
ngx_http_llm_cache_redis_remap_handler(ngx_event_t *ev)
{
    llm_str_t                           words[2];
    ngx_http_llm_cache_redis_t         *redis;
    ngx_http_llm_cache_redis_server_t  *server;

    redis = ev->data;
    server = ngx_http_llm_cache_redis_any(redis);

    words[0] = ngx_http_llm_cache_redis_word("CLUSTER");
    words[1] = ngx_http_llm_cache_redis_word("SLOTS");

    if (server == NULL
        || ngx_http_llm_cache_redis_say(
                              &server->conns[NGX_HTTP_LLM_CACHE_REDIS_LOOKUP],
                              2, words,
                              redis->connect_timeout + redis->timeout,
                              ngx_http_llm_cache_redis_mapped, server)
           == NULL)
    {
        ngx_http_llm_cache_redis_remap(redis, NGX_HTTP_LLM_CACHE_REDIS_FAILED);
        return;
    }

    redis->refreshing = 1;
}


static void
ngx_http_llm_cache_redis_mapped(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_uint_t                          i;
    ngx_msec_t                          next;
    ngx_http_llm_cache_redis_t         *redis;
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;
    redis = server->redis;

    redis->refreshing = 0;
    next = NGX_HTTP_LLM_CACHE_REDIS_FAILED;

    if (llm_reply_is(reply, LLM_RESP_ARRAY) && reply->n) {

        server->failures = 0;
        ngx_http_llm_cache_redis_read_map(redis, server, reply);

        next = NGX_HTTP_LLM_CACHE_REDIS_REMAP;

        for (i = 0; i < redis->n; i++) {
            if (redis->servers[i]->master && redis->servers[i]->open) {
                next = NGX_HTTP_LLM_CACHE_REDIS_FAILED;
            }
        }
    }

    llm_reply_free(reply);

    if (!ngx_exiting) {
        ngx_http_llm_cache_redis_remap(redis, next);
    }
}


static void
ngx_http_llm_cache_redis_read_map(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_redis_server_t *from, llm_reply_t *reply)
{
    size_t                              k;
    uint32_t                            before;
    long long                           left;
    ngx_uint_t                          i;
    ngx_http_llm_cache_redis_server_t  *server;

    for (i = 0; i < redis->n; i++) {
        redis->servers[i]->master = 0;
    }

    before = ngx_crc32_long((u_char *) redis->slots,
                            LLM_REDIS_SLOTS * sizeof(uint16_t));

    ngx_memzero(redis->slots, LLM_REDIS_SLOTS * sizeof(uint16_t));

    /* no slot is named twice */

    left = LLM_REDIS_SLOTS;

    for (k = 0; k < reply->n; k++) {
        ngx_http_llm_cache_redis_read_range(redis, from, reply->elements[k],
                                            &left);
    }

    if (ngx_crc32_long((u_char *) redis->slots,
                       LLM_REDIS_SLOTS * sizeof(uint16_t))
        != before)
    {
        redis->maps++;
    }

    for (i = 0; i < redis->n; i++) {

        server = redis->servers[i];

        if (server->master) {
            ngx_http_llm_cache_redis_track(server);
            ngx_http_llm_cache_redis_probe(server);

        } else {
            ngx_http_llm_cache_redis_untrack(server);
        }
    }
}


/* [first, last, [host, port, ...] of the master, those of replicas] */

static void
ngx_http_llm_cache_redis_read_range(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_redis_server_t *from, llm_reply_t *range,
    long long *left)
{
    llm_str_t                           host;
    long long                           slot, last, port;
    llm_reply_t                        *node;
    ngx_http_llm_cache_redis_server_t  *server;

    if (range->type != LLM_RESP_ARRAY || range->n < 3
        || range->elements[0]->type != LLM_RESP_INTEGER
        || range->elements[1]->type != LLM_RESP_INTEGER
        || range->elements[2]->type != LLM_RESP_ARRAY)
    {
        return;
    }

    slot = range->elements[0]->integer;
    last = range->elements[1]->integer;
    node = range->elements[2];

    if (slot < 0 || last < slot || last >= LLM_REDIS_SLOTS
        || last - slot >= *left || node->n < 2
        || node->elements[1]->type != LLM_RESP_INTEGER)
    {
        return;
    }

    host = node->elements[0]->str;
    port = node->elements[1]->integer;

    if (host.len == 0) {
        host.data = from->host.data;
        host.len = from->host.len;
    }

    if (port < 1 || port > 65535) {
        return;
    }

    server = ngx_http_llm_cache_redis_server(redis, host, (ngx_uint_t) port);
    if (server == NULL) {
        return;
    }

    server->master = 1;
    *left -= last - slot + 1;

    for ( /* void */ ; slot <= last; slot++) {
        redis->slots[slot] = (uint16_t) (server->index + 1);
    }
}
