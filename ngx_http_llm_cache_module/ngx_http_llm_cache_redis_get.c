#include "ngx_http_llm_cache_redis.h"


static ngx_int_t ngx_http_llm_cache_redis_get_item(
    ngx_http_llm_cache_redis_item_t *item);
static void ngx_http_llm_cache_redis_got(void *data, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_got_pttl(void *data, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_refused(
    ngx_http_llm_cache_redis_t *redis, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_one_less(
    ngx_http_llm_cache_redis_batch_t *batch);
static void ngx_http_llm_cache_redis_get_timeout(ngx_event_t *ev);
static void ngx_http_llm_cache_redis_get_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_redis_judge(
    ngx_http_llm_cache_redis_item_t *item);


llm_str_t
ngx_http_llm_cache_redis_key(ngx_http_llm_cache_redis_t *redis,
    const u_char *key, u_char *buf)
{
    llm_str_t  name;

    ngx_memcpy(buf, redis->prefix.data, redis->prefix.len);
    llm_key_hex(key, buf + redis->prefix.len);

    name.data = buf;
    name.len = redis->prefix.len + 2 * LLM_KEY_LEN;

    return name;
}


ngx_int_t
ngx_http_llm_cache_redis_key_of(ngx_http_llm_cache_redis_t *redis,
    llm_str_t name, u_char *key)
{
    size_t  len;

    len = redis->prefix.len;

    if (name.len != len + 2 * LLM_KEY_LEN
        || ngx_memcmp(name.data, redis->prefix.data, len) != 0)
    {
        return NGX_DECLINED;
    }

    name.data += len;
    name.len -= len;

    return llm_purge_hex(name, key, LLM_KEY_LEN) == 0 ? NGX_OK : NGX_DECLINED;
}


llm_str_t
ngx_http_llm_cache_redis_lease_key(ngx_http_llm_cache_redis_t *redis,
    const u_char *key, u_char *buf)
{
    llm_str_t  name;

    name = ngx_http_llm_cache_redis_key(redis, key, buf);

    ngx_memcpy(buf + name.len, ":lease", sizeof(":lease") - 1);
    name.len += sizeof(":lease") - 1;

    return name;
}


ngx_http_llm_cache_redis_batch_t *
ngx_http_llm_cache_redis_get(ngx_http_llm_cache_redis_t *redis, ngx_uint_t n,
    const u_char *keys,
    void (*handler)(ngx_http_llm_cache_redis_batch_t *batch), void *data)
{
    ngx_uint_t                         i, sent;
    ngx_http_llm_cache_redis_item_t   *item;
    ngx_http_llm_cache_redis_batch_t  *batch;

    batch = ngx_calloc(sizeof(ngx_http_llm_cache_redis_batch_t)
                       + n * sizeof(ngx_http_llm_cache_redis_item_t),
                       ngx_cycle->log);
    if (batch == NULL) {
        return NULL;
    }

    batch->redis = redis;
    batch->handler = handler;
    batch->data = data;
    batch->epoch = ngx_http_llm_cache_redis_epoch(ngx_current_msec);
    batch->start = ngx_current_msec;
    batch->n = n;

    batch->timer.data = batch;
    batch->timer.handler = ngx_http_llm_cache_redis_get_timeout;
    batch->timer.log = ngx_cycle->log;

    batch->event.data = batch;
    batch->event.handler = ngx_http_llm_cache_redis_get_handler;
    batch->event.log = ngx_cycle->log;

    ngx_queue_insert_tail(&redis->batches, &batch->queue);

    sent = 0;

    for (i = 0; i < n; i++) {

        item = &batch->items[i];

        item->batch = batch;
        ngx_memcpy(item->key, keys + i * LLM_KEY_LEN, LLM_KEY_LEN);

        if (ngx_http_llm_cache_redis_get_item(item) == NGX_OK) {
            sent++;
        }
    }

    if (sent == 0) {
        ngx_http_llm_cache_redis_cancel(batch);
        return NULL;
    }

    ngx_add_timer(&batch->timer, redis->timeout);

    return batch;
}


static ngx_int_t
ngx_http_llm_cache_redis_get_item(ngx_http_llm_cache_redis_item_t *item)
{
    u_char                       buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char                       last[NGX_SIZE_T_LEN];
    llm_str_t                    words[4];
    ngx_http_llm_cache_redis_t  *redis;

    redis = item->batch->redis;

    /* no more than is of use: another machine may store longer ones */

    words[0] = ngx_http_llm_cache_redis_word("GETRANGE");
    words[1] = ngx_http_llm_cache_redis_key(redis, item->key, buf);
    words[2] = ngx_http_llm_cache_redis_word("0");
    words[3].data = last;
    words[3].len = ngx_sprintf(last, "%uz", redis->max_value) - last;

    item->get = ngx_http_llm_cache_redis_call(redis, words[1],
                                              NGX_HTTP_LLM_CACHE_REDIS_LOOKUP,
                                              4, words, redis->timeout,
                                              ngx_http_llm_cache_redis_got,
                                              item);
    if (item->get == NULL) {
        return NGX_BUSY;
    }

    item->batch->left++;

    words[0] = ngx_http_llm_cache_redis_word("PTTL");

    item->pttl = ngx_http_llm_cache_redis_call(redis, words[1],
                                              NGX_HTTP_LLM_CACHE_REDIS_LOOKUP,
                                               2, words, redis->timeout,
                                            ngx_http_llm_cache_redis_got_pttl,
                                               item);
    if (item->pttl) {
        item->batch->left++;

    } else {
        item->left = -2;
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_redis_got(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_item_t *item = data;

    item->get = NULL;
    item->reply = reply;

    ngx_http_llm_cache_redis_refused(item->batch->redis, reply);

    ngx_http_llm_cache_redis_one_less(item->batch);
}


static void
ngx_http_llm_cache_redis_got_pttl(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_item_t *item = data;

    item->pttl = NULL;
    item->left = llm_reply_is(reply, LLM_RESP_INTEGER) ? reply->integer : -2;

    ngx_http_llm_cache_redis_refused(item->batch->redis, reply);

    llm_reply_free(reply);

    ngx_http_llm_cache_redis_one_less(item->batch);
}


/* says once what is of no use each time */

static void
ngx_http_llm_cache_redis_refused(ngx_http_llm_cache_redis_t *redis,
    llm_reply_t *reply)
{
    if (redis->refused || !llm_reply_is(reply, LLM_RESP_ERROR)
        || ngx_http_llm_cache_redis_foreign(reply))
    {
        return;
    }

    redis->refused = 1;

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "llm cache: Redis did not look up an answer: \"%*s\"",
                  ngx_min(reply->str.len, 128), reply->str.data);
}


static void
ngx_http_llm_cache_redis_one_less(ngx_http_llm_cache_redis_batch_t *batch)
{
    if (--batch->left == 0) {
        ngx_post_event(&batch->event, &ngx_posted_events);
    }
}


static void
ngx_http_llm_cache_redis_get_timeout(ngx_event_t *ev)
{
    ngx_http_llm_cache_redis_batch_t  *batch;

    batch = ev->data;

    if (!batch->event.posted) {
        batch->timedout = 1;
        ngx_http_llm_cache_redis_get_handler(&batch->event);
    }
}


static void
ngx_http_llm_cache_redis_get_handler(ngx_event_t *ev)
{
    ngx_uint_t                         i;
    ngx_http_llm_cache_redis_batch_t  *batch;

    batch = ev->data;

    for (i = 0; i < batch->n; i++) {
        ngx_http_llm_cache_redis_judge(&batch->items[i]);
    }

    batch->handler(batch);

    ngx_http_llm_cache_redis_cancel(batch);
}


ngx_uint_t
ngx_http_llm_cache_redis_foreign(llm_reply_t *reply)
{
    return reply->str.len >= 9
           && ngx_memcmp(reply->str.data, "WRONGTYPE", 9) == 0;
}


static void
ngx_http_llm_cache_redis_judge(ngx_http_llm_cache_redis_item_t *item)
{
    llm_reply_t                 *reply;
    ngx_http_llm_cache_redis_t  *redis;

    reply = item->reply;
    redis = item->batch->redis;

    item->rc = NGX_ERROR;

    /* none, one that is too long, and one of another type, a foreign one */

    if ((llm_reply_is(reply, LLM_RESP_STRING)
         && (reply->str.len == 0 || reply->str.len > redis->max_value))
        || (llm_reply_is(reply, LLM_RESP_ERROR)
            && ngx_http_llm_cache_redis_foreign(reply)))
    {
        item->rc = NGX_DECLINED;
        return;
    }

    if (!llm_reply_is(reply, LLM_RESP_STRING) || item->pttl
        || item->left == -2)
    {
        return;
    }

    if (llm_redis_value_open(item->key, reply->str, &item->record,
                             &item->bytes)
        != 0)
    {
        ngx_http_llm_cache_redis_count(redis->stat, damaged);
        item->rc = NGX_DECLINED;
        return;
    }

    item->stamp = llm_redis_value_stamp(item->key, reply->str);
    item->rc = NGX_OK;
}


void
ngx_http_llm_cache_redis_cancel(ngx_http_llm_cache_redis_batch_t *batch)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_redis_item_t  *item;

    for (i = 0; i < batch->n; i++) {

        item = &batch->items[i];

        ngx_http_llm_cache_redis_forget(item->get);
        ngx_http_llm_cache_redis_forget(item->pttl);

        llm_reply_free(item->reply);
    }

    if (batch->timer.timer_set) {
        ngx_del_timer(&batch->timer);
    }

    if (batch->event.posted) {
        ngx_delete_posted_event(&batch->event);
    }

    ngx_queue_remove(&batch->queue);
    ngx_free(batch);
}
