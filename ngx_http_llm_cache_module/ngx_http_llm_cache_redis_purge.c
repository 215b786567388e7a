#include "ngx_http_llm_cache_redis_purge.h"


/* keys that a server is asked for at a time, and commands under way */
#define NGX_HTTP_LLM_CACHE_REDIS_SCAN     "512"
#define NGX_HTTP_LLM_CACHE_REDIS_PURGING  512

/* how often all is looked through while slots move, and how often what cannot
   be sent is tried again, after so many ms */
#define NGX_HTTP_LLM_CACHE_REDIS_SCANS    4
#define NGX_HTTP_LLM_CACHE_REDIS_RETRIES  20
#define NGX_HTTP_LLM_CACHE_REDIS_PAUSE    50

/* digits of a cursor */
#define NGX_HTTP_LLM_CACHE_REDIS_CURSOR   24

/* the value's head and the record's */
#define NGX_HTTP_LLM_CACHE_REDIS_HEADS                                        \
    (LLM_REDIS_VALUE_HEAD + LLM_RECORD_HEAD)


struct ngx_http_llm_cache_redis_purge_s {
    ngx_http_llm_cache_redis_t       *redis;
    llm_purge_t                       what;
    void                            (*handler)(void *data, ngx_uint_t n,
                                               const char *error);
    void                             *data;
    ngx_event_t                       event;
    ngx_uint_t                        n;         /* of values */
    const char                       *error;

    /* commands without a reply; whoever waits for one keeps the memory */
    ngx_uint_t                        pending;
    ngx_uint_t                        server;
    ngx_uint_t                        masters;   /* that were asked */
    ngx_uint_t                        scans;
    ngx_uint_t                        maps;
    ngx_uint_t                        retries;
    u_char                            cursor[NGX_HTTP_LLM_CACHE_REDIS_CURSOR];
    size_t                            cursor_len;
    llm_reply_t                      *keys;      /* of a SCAN */
    size_t                            next;      /* among them */
    unsigned                          dry_run:1;
    unsigned                          told:1;    /* the other machines are */
    unsigned                          key_done:1;
    unsigned                          more:1;    /* on this server */
    unsigned                          ended:1;
};


typedef struct {
    ngx_http_llm_cache_redis_purge_t *purge;
    u_char                            key[LLM_KEY_LEN];
} ngx_http_llm_cache_redis_victim_t;


static void ngx_http_llm_cache_redis_purge_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_llm_cache_redis_purge_step(
    ngx_http_llm_cache_redis_purge_t *purge);
static void ngx_http_llm_cache_redis_purge_finish(
    ngx_http_llm_cache_redis_purge_t *purge);
static ngx_int_t ngx_http_llm_cache_redis_purge_tell(
    ngx_http_llm_cache_redis_purge_t *purge);
static void ngx_http_llm_cache_redis_purge_heard(void *data,
    llm_reply_t *reply);
static ngx_int_t ngx_http_llm_cache_redis_purge_scan(
    ngx_http_llm_cache_redis_purge_t *purge);
static llm_str_t ngx_http_llm_cache_redis_pattern(
    ngx_http_llm_cache_redis_t *redis, u_char *buf);
static void ngx_http_llm_cache_redis_purge_scanned(
    ngx_http_llm_cache_redis_cmd_t *cmd, llm_reply_t *reply);
static ngx_int_t ngx_http_llm_cache_redis_purge_keys(
    ngx_http_llm_cache_redis_purge_t *purge);
static ngx_int_t ngx_http_llm_cache_redis_purge_look(
    ngx_http_llm_cache_redis_purge_t *purge, const u_char *key);
static void ngx_http_llm_cache_redis_purge_looked(void *data,
    llm_reply_t *reply);
static ngx_int_t ngx_http_llm_cache_redis_purge_ask(
    ngx_http_llm_cache_redis_victim_t *victim, int argc, llm_str_t *words,
    void (*handler)(void *data, llm_reply_t *reply));
static ngx_int_t ngx_http_llm_cache_redis_purge_delete(
    ngx_http_llm_cache_redis_victim_t *victim);
static void ngx_http_llm_cache_redis_purge_deleted(void *data,
    llm_reply_t *reply);
static void ngx_http_llm_cache_redis_purge_reply(
    ngx_http_llm_cache_redis_purge_t *purge, llm_reply_t *reply);


ngx_http_llm_cache_redis_purge_t *
ngx_http_llm_cache_redis_purge(ngx_http_llm_cache_redis_t *redis,
    const llm_purge_t *what, ngx_uint_t dry_run,
    void (*handler)(void *data, ngx_uint_t n, const char *error), void *data)
{
    ngx_http_llm_cache_redis_purge_t  *purge;

    purge = ngx_calloc(sizeof(ngx_http_llm_cache_redis_purge_t),
                       ngx_cycle->log);
    if (purge == NULL) {
        return NULL;
    }

    purge->redis = redis;
    purge->what = *what;
    purge->dry_run = dry_run != 0;
    purge->told = dry_run != 0;
    purge->handler = handler;
    purge->data = data;
    purge->cursor[0] = '0';
    purge->cursor_len = 1;
    purge->maps = redis->maps;

    purge->event.data = purge;
    purge->event.handler = ngx_http_llm_cache_redis_purge_handler;
    purge->event.log = ngx_cycle->log;

    ngx_add_timer(&purge->event, 0);

    return purge;
}


void
ngx_http_llm_cache_redis_purge_end(ngx_http_llm_cache_redis_purge_t *purge)
{
    if (purge == NULL) {
        return;
    }

    purge->ended = 1;

    if (purge->event.timer_set) {
        ngx_del_timer(&purge->event);
    }

    llm_reply_free(purge->keys);
    purge->keys = NULL;

    if (purge->pending == 0) {
        ngx_free(purge);
    }
}


static void
ngx_http_llm_cache_redis_purge_handler(ngx_event_t *ev)
{
    ngx_int_t                          rc;
    ngx_http_llm_cache_redis_purge_t  *purge;

    purge = ev->data;

    if (purge->pending) {
        return;
    }

    rc = purge->error ? NGX_DONE : ngx_http_llm_cache_redis_purge_step(purge);

    if (rc == NGX_BUSY) {

        if (purge->retries++ < NGX_HTTP_LLM_CACHE_REDIS_RETRIES) {
            ngx_add_timer(ev, NGX_HTTP_LLM_CACHE_REDIS_PAUSE);
            return;
        }

        purge->error = "unreachable";
        rc = NGX_DONE;
    }

    if (rc == NGX_DONE) {
        ngx_http_llm_cache_redis_purge_finish(purge);
    }
}


/*
 * NGX_OK: replies are waited for; NGX_BUSY: what is next cannot be sent now;
 * NGX_DONE: nothing is left to be done.
 */

static ngx_int_t
ngx_http_llm_cache_redis_purge_step(ngx_http_llm_cache_redis_purge_t *purge)
{
    ngx_int_t                           rc;
    ngx_http_llm_cache_redis_t         *redis;
    ngx_http_llm_cache_redis_server_t  *server;

    redis = purge->redis;

    if (!purge->told) {
        return ngx_http_llm_cache_redis_purge_tell(purge);
    }

    if (purge->what.by & LLM_PURGE_KEY) {

        if (purge->key_done) {
            return NGX_DONE;
        }

        rc = ngx_http_llm_cache_redis_purge_look(purge, purge->what.key);

        purge->key_done = (rc == NGX_OK);

        return rc;
    }

    if (purge->keys) {
        return ngx_http_llm_cache_redis_purge_keys(purge);
    }

    for ( /* void */ ; purge->server < redis->n; purge->server++) {

        server = redis->servers[purge->server];

        if (purge->more || server->master) {
            return ngx_http_llm_cache_redis_purge_scan(purge);
        }
    }

    if (purge->masters == 0) {
        return NGX_BUSY;
    }

    /* a key may have moved from a server to one that was through already */

    if (purge->maps != redis->maps) {

        if (++purge->scans == NGX_HTTP_LLM_CACHE_REDIS_SCANS) {
            purge->error = "slots of the cluster move";
            return NGX_DONE;
        }

        purge->maps = redis->maps;
        purge->server = 0;

        return ngx_http_llm_cache_redis_purge_step(purge);
    }

    return NGX_DONE;
}


static void
ngx_http_llm_cache_redis_purge_finish(ngx_http_llm_cache_redis_purge_t *purge)
{
    purge->handler(purge->data, purge->n, purge->error);

    ngx_http_llm_cache_redis_purge_end(purge);
}


/* by a message, as nobody is told of a key that Redis does not have */

static ngx_int_t
ngx_http_llm_cache_redis_purge_tell(ngx_http_llm_cache_redis_purge_t *purge)
{
    u_char                       buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char                       message[LLM_PURGE_LEN];
    llm_str_t                    words[3];
    ngx_http_llm_cache_redis_t  *redis;

    redis = purge->redis;

    llm_purge_encode(&purge->what, message);

    words[0] = ngx_http_llm_cache_redis_word("PUBLISH");
    words[1] = ngx_http_llm_cache_redis_purge_channel(redis, buf);
    words[2].data = message;
    words[2].len = LLM_PURGE_LEN;

    if (ngx_http_llm_cache_redis_call(redis, words[1],
                                      NGX_HTTP_LLM_CACHE_REDIS_STORE, 3,
                                      words,
                                      redis->timeout
                                      * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                      ngx_http_llm_cache_redis_purge_heard,
                                      purge)
        == NULL)
    {
        return NGX_BUSY;
    }

    purge->pending++;
    purge->told = 1;

    return NGX_OK;
}


static void
ngx_http_llm_cache_redis_purge_heard(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_purge_reply(data, reply);

    llm_reply_free(reply);
}


static ngx_int_t
ngx_http_llm_cache_redis_purge_scan(ngx_http_llm_cache_redis_purge_t *purge)
{
    u_char                              buf[2 * NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t                           words[6];
    ngx_http_llm_cache_redis_t         *redis;
    ngx_http_llm_cache_redis_server_t  *server;

    redis = purge->redis;
    server = redis->servers[purge->server];

    words[0] = ngx_http_llm_cache_redis_word("SCAN");
    words[1].data = purge->cursor;
    words[1].len = purge->cursor_len;
    words[2] = ngx_http_llm_cache_redis_word("MATCH");
    words[3] = ngx_http_llm_cache_redis_pattern(redis, buf);
    words[4] = ngx_http_llm_cache_redis_word("COUNT");
    words[5] = ngx_http_llm_cache_redis_word(NGX_HTTP_LLM_CACHE_REDIS_SCAN);

    if (server->open
        || ngx_http_llm_cache_redis_say(
                               &server->conns[NGX_HTTP_LLM_CACHE_REDIS_STORE],
                               6, words,
                               redis->connect_timeout + redis->timeout
                               * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                               ngx_http_llm_cache_redis_purge_scanned, purge)
           == NULL)
    {
        return NGX_BUSY;
    }

    purge->pending++;

    return NGX_OK;
}


/* the prefix, in which nothing is a wildcard, and then one for each digit */

static llm_str_t
ngx_http_llm_cache_redis_pattern(ngx_http_llm_cache_redis_t *redis,
    u_char *buf)
{
    u_char     c, *p;
    size_t     i;
    llm_str_t  pattern;

    p = buf;

    for (i = 0; i < redis->prefix.len; i++) {

        c = redis->prefix.data[i];

        if (ngx_strchr("*?[]\\", c)) {
            *p++ = '\\';
        }

        *p++ = c;
    }

    p = ngx_cpymem(p, "[0-9a-f]*", sizeof("[0-9a-f]*") - 1);

    pattern.data = buf;
    pattern.len = p - buf;

    return pattern;
}


/* [cursor, [name, ...]] */

static void
ngx_http_llm_cache_redis_purge_scanned(ngx_http_llm_cache_redis_cmd_t *cmd,
    llm_reply_t *reply)
{
    llm_str_t                          cursor;
    ngx_uint_t                         kept;
    ngx_http_llm_cache_redis_purge_t  *purge;

    kept = 0;
    purge = cmd->data;

    if (llm_reply_is(reply, LLM_RESP_ARRAY)) {

        if (reply->n != 2
            || reply->elements[0]->type != LLM_RESP_STRING
            || reply->elements[0]->str.len == 0
            || reply->elements[0]->str.len > NGX_HTTP_LLM_CACHE_REDIS_CURSOR
            || reply->elements[1]->type != LLM_RESP_ARRAY)
        {
            purge->error = "does not speak as Redis does";

        } else if (!purge->ended) {
            cursor = reply->elements[0]->str;

            ngx_memcpy(purge->cursor, cursor.data, cursor.len);
            purge->cursor_len = cursor.len;

            kept = 1;
            purge->keys = reply;
            purge->next = 0;
            purge->masters++;
            purge->more = !llm_str_eq(cursor, "0", 1);

            if (!purge->more) {
                purge->server++;
            }
        }
    }

    ngx_http_llm_cache_redis_purge_reply(purge, reply);

    if (!kept) {
        llm_reply_free(reply);
    }
}


static ngx_int_t
ngx_http_llm_cache_redis_purge_keys(ngx_http_llm_cache_redis_purge_t *purge)
{
    u_char        key[LLM_KEY_LEN];
    llm_reply_t  *names, *name;

    names = purge->keys->elements[1];

    while (purge->next < names->n
           && purge->pending < NGX_HTTP_LLM_CACHE_REDIS_PURGING)
    {
        name = names->elements[purge->next];

        if (name->type == LLM_RESP_STRING
            && ngx_http_llm_cache_redis_key_of(purge->redis, name->str, key)
               == NGX_OK
            && ngx_http_llm_cache_redis_purge_look(purge, key) != NGX_OK)
        {
            return purge->pending ? NGX_OK : NGX_BUSY;
        }

        purge->next++;
    }

    if (purge->next == names->n) {
        llm_reply_free(purge->keys);
        purge->keys = NULL;
    }

    return purge->pending ? NGX_OK
                          : ngx_http_llm_cache_redis_purge_step(purge);
}


/* deletes a key's value, or looks first whether it is to be deleted */

static ngx_int_t
ngx_http_llm_cache_redis_purge_look(ngx_http_llm_cache_redis_purge_t *purge,
    const u_char *key)
{
    u_char                             buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char                             last[NGX_INT_T_LEN];
    llm_str_t                          words[4];
    ngx_http_llm_cache_redis_victim_t  *victim;

    if (purge->dry_run && purge->what.by == 0) {
        purge->n++;
        return NGX_OK;
    }

    victim = ngx_alloc(sizeof(ngx_http_llm_cache_redis_victim_t),
                       ngx_cycle->log);
    if (victim == NULL) {
        return NGX_BUSY;
    }

    victim->purge = purge;
    ngx_memcpy(victim->key, key, LLM_KEY_LEN);

    if (!purge->dry_run && (purge->what.by & ~(unsigned) LLM_PURGE_KEY) == 0) {
        return ngx_http_llm_cache_redis_purge_delete(victim);
    }

    words[0] = ngx_http_llm_cache_redis_word("GETRANGE");
    words[1] = ngx_http_llm_cache_redis_key(purge->redis, key, buf);
    words[2] = ngx_http_llm_cache_redis_word("0");
    words[3].data = last;
    words[3].len = ngx_sprintf(last, "%d", NGX_HTTP_LLM_CACHE_REDIS_HEADS - 1)
                   - last;

    return ngx_http_llm_cache_redis_purge_ask(victim, 4, words,
                                       ngx_http_llm_cache_redis_purge_looked);
}


static void
ngx_http_llm_cache_redis_purge_looked(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_victim_t *victim = data;

    ngx_uint_t                         matches;
    llm_record_t                       rec;
    ngx_http_llm_cache_redis_purge_t  *purge;

    purge = victim->purge;

    matches = !purge->ended
              && llm_reply_is(reply, LLM_RESP_STRING)
              && reply->str.len == NGX_HTTP_LLM_CACHE_REDIS_HEADS
              && llm_record_decode(reply->str.data + LLM_REDIS_VALUE_HEAD,
                                   &rec)
                 == 0
              && ngx_memcmp(rec.key, victim->key, LLM_KEY_LEN) == 0
              && llm_purge_match(&purge->what, rec.key, &rec.tags,
                                 rec.created);

    if (matches && purge->dry_run) {
        purge->n++;

    } else if (matches) {

        if (ngx_http_llm_cache_redis_purge_delete(victim) != NGX_OK) {
            purge->error = "unreachable";
        }

        victim = NULL;
    }

    ngx_http_llm_cache_redis_purge_reply(purge, reply);

    llm_reply_free(reply);

    if (victim) {
        ngx_free(victim);
    }
}


/* sends a command about the victim, which is freed where that fails */

static ngx_int_t
ngx_http_llm_cache_redis_purge_ask(ngx_http_llm_cache_redis_victim_t *victim,
    int argc, llm_str_t *words,
    void (*handler)(void *data, llm_reply_t *reply))
{
    ngx_http_llm_cache_redis_t  *redis;

    redis = victim->purge->redis;

    if (ngx_http_llm_cache_redis_call(redis, words[1],
                                      NGX_HTTP_LLM_CACHE_REDIS_STORE, argc,
                                      words,
                                      redis->timeout
                                      * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                      handler, victim)
        == NULL)
    {
        ngx_free(victim);
        return NGX_BUSY;
    }

    victim->purge->pending++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_redis_purge_delete(
    ngx_http_llm_cache_redis_victim_t *victim)
{
    u_char     buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t  words[2];

    words[0] = ngx_http_llm_cache_redis_word("DEL");
    words[1] = ngx_http_llm_cache_redis_key(victim->purge->redis, victim->key,
                                            buf);

    return ngx_http_llm_cache_redis_purge_ask(victim, 2, words,
                                      ngx_http_llm_cache_redis_purge_deleted);
}


static void
ngx_http_llm_cache_redis_purge_deleted(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_victim_t *victim = data;

    u_char                             buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    ngx_http_llm_cache_redis_purge_t  *purge;

    purge = victim->purge;

    if (!purge->ended && llm_reply_is(reply, LLM_RESP_INTEGER)
        && reply->integer > 0)
    {
        purge->n++;

        ngx_http_llm_cache_redis_publish(purge->redis,
                   ngx_http_llm_cache_redis_key(purge->redis, victim->key,
                                                buf));
    }

    ngx_http_llm_cache_redis_purge_reply(purge, reply);

    llm_reply_free(reply);
    ngx_free(victim);
}


/* one less is waited for; the next step is not for here, as this may be the
   end of a connection */

static void
ngx_http_llm_cache_redis_purge_reply(ngx_http_llm_cache_redis_purge_t *purge,
    llm_reply_t *reply)
{
    purge->pending--;

    if (purge->ended) {

        if (purge->pending == 0) {
            ngx_free(purge);
        }

        return;
    }

    if (reply == NULL) {
        purge->error = "unreachable";

    } else if (reply->type == LLM_RESP_ERROR
               && !ngx_http_llm_cache_redis_foreign(reply))
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "llm cache: Redis does not purge: \"%*s\"",
                      ngx_min(reply->str.len, 128), reply->str.data);

        purge->error = "refused, see the log";

    } else {
        purge->retries = 0;
    }

    if (purge->pending == 0 && !purge->event.timer_set) {
        ngx_add_timer(&purge->event, 0);
    }
}
