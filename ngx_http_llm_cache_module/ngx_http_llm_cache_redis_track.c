#include "ngx_http_llm_cache_redis.h"


/* ms between two looks whether the connection still works */
#define NGX_HTTP_LLM_CACHE_REDIS_PING      1000

/* ms until a lost connection is tried again */
#define NGX_HTTP_LLM_CACHE_REDIS_RETRY     100
#define NGX_HTTP_LLM_CACHE_REDIS_SLOWEST   2000

/* nginx's clock may be late by so many ms */
#define NGX_HTTP_LLM_CACHE_REDIS_LATE      20

/* keys that one message may name; with more of them all are suspect */
#define NGX_HTTP_LLM_CACHE_REDIS_KEYS      2048


/* a record in memory that is compared with what Redis has */

typedef struct {
    ngx_http_llm_cache_redis_t  *redis;
    ngx_http_llm_cache_zone_t   *zone;
    u_char                       key[LLM_KEY_LEN];
} ngx_http_llm_cache_redis_check_t;


static void ngx_http_llm_cache_redis_track_start(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_track_ready(
    ngx_http_llm_cache_redis_conn_t *conn);
static void ngx_http_llm_cache_redis_track_named(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_tracking(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_subscribe(
    ngx_http_llm_cache_redis_server_t *server);
static void ngx_http_llm_cache_redis_subscribed(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_listening(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_told(
    ngx_http_llm_cache_redis_server_t *server);
static void ngx_http_llm_cache_redis_untold(
    ngx_http_llm_cache_redis_server_t *server, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_track_closed(
    ngx_http_llm_cache_redis_conn_t *conn, ngx_uint_t failed);
static void ngx_http_llm_cache_redis_track_handler(ngx_event_t *ev);
static llm_str_t ngx_http_llm_cache_redis_channel(
    ngx_http_llm_cache_redis_t *redis, u_char *buf);
static void ngx_http_llm_cache_redis_message(
    ngx_http_llm_cache_redis_conn_t *conn, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_changed(
    ngx_http_llm_cache_redis_t *redis, llm_str_t name);
static void ngx_http_llm_cache_redis_check(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone, const u_char *key);
static void ngx_http_llm_cache_redis_checked(void *data, llm_reply_t *reply);


void
ngx_http_llm_cache_redis_track_init(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_http_llm_cache_redis_track_t  *track;

    track = &server->track;

    ngx_http_llm_cache_redis_conn_init(&track->conn, server->redis);

    track->conn.data = server;
    track->conn.start = ngx_http_llm_cache_redis_track_start;
    track->conn.ready = ngx_http_llm_cache_redis_track_ready;
    track->conn.closed = ngx_http_llm_cache_redis_track_closed;
    track->conn.message = ngx_http_llm_cache_redis_message;

    track->timer.data = server;
    track->timer.handler = ngx_http_llm_cache_redis_track_handler;
    track->timer.log = ngx_cycle->log;
    track->timer.cancelable = 1;
}


void
ngx_http_llm_cache_redis_track(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_http_llm_cache_redis_track_t  *track;

    track = &server->track;

    track->on = 1;

    if (track->conn.state == NGX_HTTP_LLM_CACHE_REDIS_IDLE) {
        track->backoff = NGX_HTTP_LLM_CACHE_REDIS_RETRY;
        ngx_post_event(&track->conn.flush, &ngx_posted_events);
    }
}


void
ngx_http_llm_cache_redis_untrack(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_http_llm_cache_redis_track_t  *track;

    track = &server->track;

    track->on = 0;

    ngx_http_llm_cache_redis_close(&track->conn, 0);

    if (track->timer.timer_set) {
        ngx_del_timer(&track->timer);
    }
}


static void
ngx_http_llm_cache_redis_track_start(ngx_http_llm_cache_redis_conn_t *conn)
{
    ngx_http_llm_cache_redis_start(conn->data, conn);
}


static ngx_msec_t
ngx_http_llm_cache_redis_patience(ngx_http_llm_cache_redis_server_t *server)
{
    return server->redis->timeout * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE;
}


static void
ngx_http_llm_cache_redis_track_ready(ngx_http_llm_cache_redis_conn_t *conn)
{
    llm_str_t                           words[2];
    ngx_http_llm_cache_redis_server_t  *server;

    server = conn->data;

    if (server->track.pubsub) {
        ngx_http_llm_cache_redis_subscribe(server);
        return;
    }

    words[0] = ngx_http_llm_cache_redis_word("CLIENT");
    words[1] = ngx_http_llm_cache_redis_word("ID");

    (void) ngx_http_llm_cache_redis_say(conn, 2, words,
                                    ngx_http_llm_cache_redis_patience(server),
                                        ngx_http_llm_cache_redis_track_named,
                                        server);
}


/* the connection is told by itself, as a subscriber of its own */

static void
ngx_http_llm_cache_redis_track_named(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    u_char                              id[NGX_INT64_LEN];
    llm_str_t                           words[8];
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;

    if (!llm_reply_is(reply, LLM_RESP_INTEGER)) {
        ngx_http_llm_cache_redis_untold(server, reply);
        return;
    }

    words[0] = ngx_http_llm_cache_redis_word("CLIENT");
    words[1] = ngx_http_llm_cache_redis_word("TRACKING");
    words[2] = ngx_http_llm_cache_redis_word("ON");
    words[3] = ngx_http_llm_cache_redis_word("REDIRECT");
    words[4].data = id;
    words[4].len = ngx_sprintf(id, "%L", (int64_t) reply->integer) - id;
    words[5] = ngx_http_llm_cache_redis_word("BCAST");
    words[6] = ngx_http_llm_cache_redis_word("PREFIX");
    words[7].data = server->redis->prefix.data;
    words[7].len = server->redis->prefix.len;

    (void) ngx_http_llm_cache_redis_say(&server->track.conn, 8, words,
                                    ngx_http_llm_cache_redis_patience(server),
                                        ngx_http_llm_cache_redis_tracking,
                                        server);

    llm_reply_free(reply);
}


static void
ngx_http_llm_cache_redis_tracking(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;

    if (!llm_reply_is(reply, LLM_RESP_STATUS)) {
        ngx_http_llm_cache_redis_untold(server, reply);
        return;
    }

    llm_reply_free(reply);

    ngx_http_llm_cache_redis_subscribe(server);
}


static void
ngx_http_llm_cache_redis_subscribe(ngx_http_llm_cache_redis_server_t *server)
{
    u_char     buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t  words[2];

    words[0] = ngx_http_llm_cache_redis_word("SUBSCRIBE");
    words[1] = server->track.pubsub
               ? ngx_http_llm_cache_redis_channel(server->redis, buf)
               : ngx_http_llm_cache_redis_word("__redis__:invalidate");

    (void) ngx_http_llm_cache_redis_say(&server->track.conn, 2, words,
                                    ngx_http_llm_cache_redis_patience(server),
                                        ngx_http_llm_cache_redis_subscribed,
                                        server);
}


static void
ngx_http_llm_cache_redis_subscribed(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    u_char                              buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t                           words[2];
    ngx_http_llm_cache_redis_track_t   *track;
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;
    track = &server->track;

    if (!llm_reply_is(reply, LLM_RESP_ARRAY)) {
        ngx_http_llm_cache_redis_untold(server, reply);
        return;
    }

    llm_reply_free(reply);

    ngx_http_llm_cache_redis_told(server);

    words[0] = ngx_http_llm_cache_redis_word("SUBSCRIBE");
    words[1] = ngx_http_llm_cache_redis_purge_channel(server->redis, buf);

    (void) ngx_http_llm_cache_redis_say(&track->conn, 2, words,
                                    ngx_http_llm_cache_redis_patience(server),
                                        ngx_http_llm_cache_redis_listening,
                                        server);

    track->backoff = NGX_HTTP_LLM_CACHE_REDIS_RETRY;

    ngx_add_timer(&track->timer, NGX_HTTP_LLM_CACHE_REDIS_PING);
}


static void
ngx_http_llm_cache_redis_listening(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_track_t   *track;
    ngx_http_llm_cache_redis_server_t  *server;

    server = cmd->data;
    track = &server->track;

    if (llm_reply_is(reply, LLM_RESP_ERROR) && !track->deaf) {
        track->deaf = 1;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "llm cache: Redis at %V does not tell of purges "
                      "(\"%*s\"): they reach here what is in Redis only",
                      &track->conn.addr.name, ngx_min(reply->str.len, 128),
                      reply->str.data);
    }

    llm_reply_free(reply);
}


/* what was read from now on is trusted, and nothing older */

static void
ngx_http_llm_cache_redis_told(ngx_http_llm_cache_redis_server_t *server)
{
    ngx_time_update();

    server->track.told = 1;
    server->track.since = ngx_http_llm_cache_redis_epoch(ngx_current_msec
                                             + NGX_HTTP_LLM_CACHE_REDIS_LATE);
}


/* the server does not want to tell of changes, or not in this way */

static void
ngx_http_llm_cache_redis_untold(ngx_http_llm_cache_redis_server_t *server,
    llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_track_t  *track;

    track = &server->track;

    if (reply && !track->pubsub) {
        track->pubsub = 1;
        ngx_http_llm_cache_redis_subscribe(server);

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "llm cache: Redis at %V does not track keys (\"%*s\"), "
                      "pub/sub takes the place of this",
                      &track->conn.addr.name, ngx_min(reply->str.len, 128),
                      reply->str.data);

    } else if (reply && !track->warned) {
        track->warned = 1;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "llm cache: Redis at %V does not tell of changes "
                      "(\"%*s\"), its answers are looked up every time",
                      &track->conn.addr.name, ngx_min(reply->str.len, 128),
                      reply->str.data);
    }

    llm_reply_free(reply);
}


/* from now on what came from this server has to be looked up again */

static void
ngx_http_llm_cache_redis_track_closed(ngx_http_llm_cache_redis_conn_t *conn,
    ngx_uint_t failed)
{
    ngx_http_llm_cache_redis_track_t   *track;
    ngx_http_llm_cache_redis_server_t  *server;

    server = conn->data;
    track = &server->track;

    track->told = 0;

    if (!track->on || ngx_exiting) {
        return;
    }

    /* another server may stand at the address the next time */

    track->pubsub = 0;

    if (track->timer.timer_set) {
        ngx_del_timer(&track->timer);
    }

    ngx_add_timer(&track->timer, track->backoff);

    track->backoff = ngx_min(track->backoff * 2,
                             NGX_HTTP_LLM_CACHE_REDIS_SLOWEST);
}


static void
ngx_http_llm_cache_redis_track_handler(ngx_event_t *ev)
{
    llm_str_t                           word;
    ngx_http_llm_cache_redis_track_t   *track;
    ngx_http_llm_cache_redis_server_t  *server;

    server = ev->data;
    track = &server->track;

    if (track->conn.state == NGX_HTTP_LLM_CACHE_REDIS_IDLE) {

        /* a server that is down is tried by its probe */

        if (!server->open) {
            ngx_post_event(&track->conn.flush, &ngx_posted_events);
        }

        return;
    }

    if (track->conn.state == NGX_HTTP_LLM_CACHE_REDIS_READY) {

        word = ngx_http_llm_cache_redis_word("PING");

        (void) ngx_http_llm_cache_redis_say(&track->conn, 1, &word,
                                    ngx_http_llm_cache_redis_patience(server),
                                            NULL, NULL);
    }

    ngx_add_timer(&track->timer, NGX_HTTP_LLM_CACHE_REDIS_PING);
}


ngx_uint_t
ngx_http_llm_cache_redis_trusts(ngx_http_llm_cache_redis_t *redis,
    ngx_uint_t epoch)
{
    ngx_uint_t                          i, told;
    ngx_http_llm_cache_redis_server_t  *server;

    told = 0;

    for (i = 0; i < redis->n; i++) {

        server = redis->servers[i];

        if (!server->master) {
            continue;
        }

        if (!server->track.told
            || !ngx_http_llm_cache_redis_later(epoch, server->track.since))
        {
            return 0;
        }

        told = 1;
    }

    return told;
}


ngx_atomic_t *
ngx_http_llm_cache_redis_changes(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    return &ngx_http_llm_cache_zone_redis(zone)
            ->changes[key[1] % NGX_HTTP_LLM_CACHE_REDIS_PARTS];
}


static llm_str_t
ngx_http_llm_cache_redis_channel(ngx_http_llm_cache_redis_t *redis,
    u_char *buf)
{
    llm_str_t  channel;

    channel.data = buf;
    channel.len = ngx_sprintf(buf, "%Vchanged", &redis->prefix) - buf;

    return channel;
}


llm_str_t
ngx_http_llm_cache_redis_purge_channel(ngx_http_llm_cache_redis_t *redis,
    u_char *buf)
{
    llm_str_t  channel;

    channel.data = buf;
    channel.len = ngx_sprintf(buf, "%Vpurge", &redis->prefix) - buf;

    return channel;
}


void
ngx_http_llm_cache_redis_publish(ngx_http_llm_cache_redis_t *redis,
    llm_str_t key)
{
    u_char      buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t   words[3];
    ngx_uint_t  i;

    for (i = 0; i < redis->n; i++) {

        if (!redis->servers[i]->master || !redis->servers[i]->track.pubsub) {
            continue;
        }

        words[0] = ngx_http_llm_cache_redis_word("PUBLISH");
        words[1] = ngx_http_llm_cache_redis_channel(redis, buf);
        words[2] = key;

        (void) ngx_http_llm_cache_redis_call(redis, key,
                                             NGX_HTTP_LLM_CACHE_REDIS_STORE,
                                             3, words,
                          ngx_http_llm_cache_redis_patience(redis->servers[i]),
                                             NULL, NULL);
        return;
    }
}


/* ["message", channel, keys or a key or, after a flush, nil] */

static void
ngx_http_llm_cache_redis_message(ngx_http_llm_cache_redis_conn_t *conn,
    llm_reply_t *reply)
{
    size_t                              i;
    u_char                              buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t                           name;
    llm_purge_t                         purge;
    llm_reply_t                        *what;
    ngx_http_llm_cache_redis_server_t  *server;

    name = ngx_http_llm_cache_redis_purge_channel(conn->redis, buf);
    server = conn->data;
    what = reply->elements[2];

    if (llm_str_eq(reply->elements[1]->str, (char *) name.data, name.len)) {

        if (conn->redis->purge && llm_purge_decode(what->str, &purge) == 0) {
            conn->redis->purge(conn->redis, &purge);
        }

        return;
    }

    switch (what->type) {

    case LLM_RESP_STRING:
        ngx_http_llm_cache_redis_changed(conn->redis, what->str);
        return;

    case LLM_RESP_ARRAY:

        if (what->n <= NGX_HTTP_LLM_CACHE_REDIS_KEYS) {

            for (i = 0; i < what->n; i++) {
                ngx_http_llm_cache_redis_changed(conn->redis,
                                                 what->elements[i]->str);
            }

            return;
        }

        break;

    default:
        break;
    }

    ngx_http_llm_cache_redis_told(server);
}


static void
ngx_http_llm_cache_redis_changed(ngx_http_llm_cache_redis_t *redis,
    llm_str_t name)
{
    u_char                       key[LLM_KEY_LEN];
    ngx_uint_t                   i;
    ngx_http_llm_cache_zone_t  **zones;

    if (ngx_http_llm_cache_redis_key_of(redis, name, key) != NGX_OK) {
        return;
    }

    ngx_http_llm_cache_redis_count(redis->stat, invalidations);

    zones = redis->zones.elts;

    for (i = 0; i < redis->zones.nelts; i++) {

        /* before the record is looked at: it may be about to be stored */

        (void) ngx_atomic_fetch_add(
                          ngx_http_llm_cache_redis_changes(zones[i], key), 1);

        if (ngx_http_llm_cache_zone_has(zones[i], key)) {
            ngx_http_llm_cache_redis_check(redis, zones[i], key);
        }
    }
}


/*
 * Who stored the record may be this machine, and another one may have done so
 * since: what is not the same in Redis now is dropped.
 */

static void
ngx_http_llm_cache_redis_check(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone, const u_char *key)
{
    u_char                             buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t                          words[4];
    ngx_http_llm_cache_redis_check_t  *check;

    check = ngx_alloc(sizeof(ngx_http_llm_cache_redis_check_t),
                      ngx_cycle->log);
    if (check == NULL) {
        ngx_http_llm_cache_zone_delete(zone, key);
        return;
    }

    check->redis = redis;
    check->zone = zone;
    ngx_memcpy(check->key, key, LLM_KEY_LEN);

    words[0] = ngx_http_llm_cache_redis_word("GETRANGE");
    words[1] = ngx_http_llm_cache_redis_key(redis, key, buf);
    words[2] = ngx_http_llm_cache_redis_word("0");
    words[3] = ngx_http_llm_cache_redis_word("63");

    if (ngx_http_llm_cache_redis_call(redis, words[1],
                                      NGX_HTTP_LLM_CACHE_REDIS_LOOKUP, 4,
                                      words, redis->timeout,
                                      ngx_http_llm_cache_redis_checked, check)
        == NULL)
    {
        ngx_http_llm_cache_redis_checked(check, NULL);
    }
}


static void
ngx_http_llm_cache_redis_checked(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_check_t *check = data;

    uint32_t  stamp;

    stamp = 0;

    if (llm_reply_is(reply, LLM_RESP_STRING)) {
        stamp = llm_redis_value_stamp(check->key, reply->str);
    }

    ngx_http_llm_cache_zone_delete_other(check->zone, check->key, stamp);

    llm_reply_free(reply);
    ngx_free(check);
}
