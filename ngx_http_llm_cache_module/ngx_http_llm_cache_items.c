#include "ngx_http_llm_cache_items.h"
#include "ngx_http_llm_cache_vary.h"


/* what looking for an input takes, in us */
#define NGX_HTTP_LLM_CACHE_ITEMS_FIND    2

/* and dropping one, from Redis too */
#define NGX_HTTP_LLM_CACHE_ITEMS_DROP    4

/* inputs that Redis is asked for at a time */
#define NGX_HTTP_LLM_CACHE_ITEMS_REDIS   32

/* ms: an exiting worker waits for timers, but not for posted events */
#define NGX_HTTP_LLM_CACHE_ITEMS_STAY    60000

/* seconds that a location whose answers were not understood goes without
   asking for equal inputs once */
#define NGX_HTTP_LLM_CACHE_ITEMS_WHOLE   60


static ngx_int_t ngx_http_llm_cache_items_run(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_items_write(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_cache_items_rest(
    ngx_http_llm_cache_items_t *items, ngx_uint_t i, ngx_uint_t work);
static ngx_int_t ngx_http_llm_cache_items_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_item_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t i);
static ngx_uint_t ngx_http_llm_cache_item_varies(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_item_t *item,
    llm_record_t *rec);
static void ngx_http_llm_cache_item_judge(ngx_http_llm_cache_ctx_t *ctx,
    ngx_uint_t i);
static ngx_int_t ngx_http_llm_cache_items_redis(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_items_redis_handler(
    ngx_http_llm_cache_redis_batch_t *batch);
static ngx_int_t ngx_http_llm_cache_items_decide(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_items_same_shape(
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_fly(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_fetched(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_fetch_failed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_drop(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_store(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);


/*
 * Looks the inputs up.  NGX_DECLINED: the call goes upstream as it came, or is
 * one that nothing was found of; NGX_AGAIN: the request waits; else the
 * response's code.
 */

ngx_int_t
ngx_http_llm_cache_items_lookup(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    /* a call that has followed another one looks for what that one got */

    if (items && items->failures != ctx->failures && !items->failed) {
        items->failures = ctx->failures;
        items->whole = 0;
    }

    if (items == NULL || items->whole) {
        return NGX_DECLINED;
    }

    ctx->status = NGX_HTTP_LLM_CACHE_MISS;

    ngx_http_llm_cache_items_release(items);

    items->next = 0;
    items->distinct = 0;
    items->stale = 0;
    items->handler = ngx_http_llm_cache_items_find;

    return ngx_http_llm_cache_items_run(r, ctx);
}


static ngx_int_t
ngx_http_llm_cache_items_run(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    do {
        rc = items->handler(r, ctx);
    } while (rc == NGX_OK && items->handler);

    if (rc == NGX_AGAIN && !ctx->following) {
        ctx->batching = 1;

        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_llm_cache_items_write;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_llm_cache_items_release(items);
        items->whole = 1;
    }

    return rc;
}


void
ngx_http_llm_cache_items_later(ngx_http_llm_cache_items_t *items)
{
    ngx_post_event(&items->event, &ngx_posted_next_events);
    ngx_add_timer(&items->event, NGX_HTTP_LLM_CACHE_ITEMS_STAY);
}


void
ngx_http_llm_cache_items_calm(ngx_http_llm_cache_items_t *items)
{
    ngx_event_t  *ev;

    ev = &items->event;

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    ev->timedout = 0;
}


void
ngx_http_llm_cache_items_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = ev->data;
    c = r->connection;
    ctx = ngx_http_llm_cache_get_ctx(r);

    ngx_http_set_log_request(c->log, r);

    ngx_http_llm_cache_items_calm(ctx->items);
    ngx_http_llm_cache_items_wake(r);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_llm_cache_items_wake(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);
    ctx->batching = 0;

    rc = ngx_http_llm_cache_items_run(r, ctx);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc != NGX_DECLINED) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    ctx->again = 1;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static void
ngx_http_llm_cache_items_write(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx->items->waiting) {
        ctx->items->handler = ngx_http_llm_cache_items_drained;
        ngx_http_llm_cache_items_wake(r);
    }
}


/* whether the input is one for the next round */

static ngx_uint_t
ngx_http_llm_cache_items_rest(ngx_http_llm_cache_items_t *items, ngx_uint_t i,
    ngx_uint_t work)
{
    if (work < NGX_HTTP_LLM_CACHE_ITEM_WORK) {
        return 0;
    }

    items->next = i;
    ngx_http_llm_cache_items_later(items);

    return 1;
}


/* in memory */

static ngx_int_t
ngx_http_llm_cache_items_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i, work;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    for (i = items->next, work = 0; i < items->n; i++) {

        if (ngx_http_llm_cache_items_rest(items, i, work)) {
            return NGX_AGAIN;
        }

        if (items->first[i] != i) {
            continue;
        }

        items->distinct++;
        work += NGX_HTTP_LLM_CACHE_ITEMS_FIND;

        ngx_http_llm_cache_item_find(r, ctx, i);
    }

    items->next = 0;
    items->handler = ngx_http_llm_cache_items_redis;

    return NGX_OK;
}


static void
ngx_http_llm_cache_item_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t i)
{
    u_char                     *key;
    ngx_http_llm_cache_item_t  *item;

    item = &ctx->items->items[i];
    key = ctx->items->keys + i * LLM_KEY_LEN;

    if (ngx_http_llm_cache_zone_get(ctx->conf->zone, key,
                                    ngx_http_llm_cache_stale_time(ctx->conf),
                                    &item->hold)
        != NGX_OK)
    {
        return;
    }

    if (!ngx_http_llm_cache_redis_verified(ctx, &item->hold)) {
        ngx_http_llm_cache_zone_release(&item->hold);
        ngx_http_llm_cache_redis_drop(ctx, key);
        return;
    }

    ngx_http_llm_cache_item_judge(ctx, i);
}


/* what is held may serve, may serve if the upstream fails, or does not */

static void
ngx_http_llm_cache_item_judge(ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t i)
{
    time_t                      now;
    unsigned                    k;
    llm_record_t                rec;
    llm_embeddings_list_t      *list;
    llm_embeddings_table_t      table;
    ngx_http_llm_cache_item_t  *item;

    item = &ctx->items->items[i];
    now = ngx_time();

    if (ngx_http_llm_cache_item_read(item->hold.node,
                                     ctx->items->keys + i * LLM_KEY_LEN, &rec,
                                     &table)
        != NGX_OK
        || rec.body_len > NGX_HTTP_LLM_CACHE_ITEM_MAX
        || (table.holes && rec.prompt_tokens < 0)
        || (ctx->control.max_age != LLM_CONTROL_UNSET
            && now - (time_t) rec.created > ctx->control.max_age)
        || (rec.coding != LLM_CODING_IDENTITY
            && ngx_http_llm_cache_check_packed(item->hold.node, &rec)
               != NGX_OK)
        || (rec.varies && ngx_http_llm_cache_item_varies(ctx, item, &rec)))
    {
        ngx_http_llm_cache_zone_release(&item->hold);
        return;
    }

    item->state = (time_t) rec.expires > now
                  ? NGX_HTTP_LLM_CACHE_ITEM_FRESH
                  : NGX_HTTP_LLM_CACHE_ITEM_STALE;
    item->tokens = rec.prompt_tokens;
    item->msec = rec.msec;
    item->created = (uint32_t) rec.created;
    item->expires = (uint32_t) rec.expires;
    item->len = 0;

    for (k = 0; k < table.n; k++) {
        list = &table.lists[k];

        item->len += list->element.end - list->element.start
                     - (list->index.end - list->index.start);
    }

    ngx_memcpy(item->shape, table.shape, LLM_EMBEDDINGS_SHAPE);
}


/* whether it was given to a request with other headers that matter */

static ngx_uint_t
ngx_http_llm_cache_item_varies(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_item_t *item, llm_record_t *rec)
{
    u_char      *p;
    llm_str_t    meta;
    ngx_uint_t   varies;

    p = ngx_alloc(rec->meta_len, ngx_cycle->log);
    if (p == NULL) {
        return 1;
    }

    ngx_http_llm_cache_zone_read(item->hold.node, LLM_RECORD_HEAD, p,
                                 rec->meta_len);
    meta.data = p;
    meta.len = rec->meta_len;

    varies = !ngx_http_llm_cache_vary_same(ctx->items->request, meta);

    ngx_free(p);

    return varies;
}


ngx_int_t
ngx_http_llm_cache_item_read(ngx_http_llm_cache_node_t *node,
    const u_char *key, llm_record_t *rec, llm_embeddings_table_t *table)
{
    size_t      pos;
    u_char      bytes[LLM_RECORD_HEAD + LLM_RECORD_META_HEAD
                      + LLM_EMBEDDINGS_TABLE];
    llm_str_t   meta, value;
    llm_meta_e  tag;

    ngx_http_llm_cache_zone_read(node, 0, bytes, sizeof(bytes));

    meta.data = bytes + LLM_RECORD_HEAD;
    meta.len = sizeof(bytes) - LLM_RECORD_HEAD;
    pos = 0;

    if (llm_record_decode(bytes, rec) != 0
        || ngx_memcmp(rec->key, key, LLM_KEY_LEN) != 0
        || rec->meta_len < meta.len
        || !llm_record_next_meta(meta, &pos, &tag, &value)
        || tag != LLM_META_INPUT || value.len != LLM_EMBEDDINGS_TABLE
        || llm_embeddings_decode(value.data, rec->body_len, table) != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* some at a time, as each answer is copied to memory */

static ngx_int_t
ngx_http_llm_cache_items_redis(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    u_char                       keys[NGX_HTTP_LLM_CACHE_ITEMS_REDIS
                                      * LLM_KEY_LEN];
    ngx_uint_t                   i, n;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;
    n = 0;

    for (i = items->next;
         i < items->n && n < NGX_HTTP_LLM_CACHE_ITEMS_REDIS;
         i++)
    {
        if (items->first[i] != i
            || items->items[i].state != NGX_HTTP_LLM_CACHE_ITEM_MISSING)
        {
            continue;
        }

        items->items[i].changes = *ngx_http_llm_cache_redis_changes(
                              ctx->conf->zone, items->keys + i * LLM_KEY_LEN);

        ngx_memcpy(keys + n++ * LLM_KEY_LEN, items->keys + i * LLM_KEY_LEN,
                   LLM_KEY_LEN);
    }

    if (n && ctx->conf->redis) {

        items->query = ngx_http_llm_cache_redis_get(ctx->conf->redis, n, keys,
                                       ngx_http_llm_cache_items_redis_handler,
                                                    r);
        if (items->query) {
            return NGX_AGAIN;
        }
    }

    items->handler = ngx_http_llm_cache_items_decide;

    return NGX_OK;
}


static void
ngx_http_llm_cache_items_redis_handler(
    ngx_http_llm_cache_redis_batch_t *batch)
{
    ngx_uint_t                        i, n;
    ngx_http_request_t               *r;
    ngx_http_llm_cache_ctx_t         *ctx;
    ngx_http_llm_cache_item_t        *item;
    ngx_http_llm_cache_items_t       *items;
    ngx_http_llm_cache_redis_item_t  *found;

    r = batch->data;
    ctx = ngx_http_llm_cache_get_ctx(r);
    items = ctx->items;

    items->query = NULL;

    ngx_http_llm_cache_redis_note(ctx, batch);

    /* it was asked for those that are missing, in their order */

    for (i = items->next, n = 0; n < batch->n; i++) {

        item = &items->items[i];

        if (items->first[i] != i
            || item->state != NGX_HTTP_LLM_CACHE_ITEM_MISSING)
        {
            continue;
        }

        found = &batch->items[n++];

        if (found->rc == NGX_OK
            && ngx_http_llm_cache_redis_fetch(ctx, found, item->changes,
                                              &item->hold)
               == NGX_OK)
        {
            ctx->from_redis = 1;
            ngx_http_llm_cache_item_judge(ctx, i);
        }
    }

    items->next = i;

    if (batch->timedout) {
        items->handler = ngx_http_llm_cache_items_decide;
    }

    /* the batch is in use until its handler is done */

    ngx_http_llm_cache_items_later(items);
}


static ngx_int_t
ngx_http_llm_cache_items_decide(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_item_t   *item;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    ngx_http_llm_cache_items_same_shape(ctx);

    items->fresh = 0;
    items->stale = 0;

    for (i = 0; i < items->n; i++) {

        if (items->first[i] != i) {
            continue;
        }

        item = &items->items[i];

        items->fresh += item->state == NGX_HTTP_LLM_CACHE_ITEM_FRESH;
        items->stale += item->state == NGX_HTTP_LLM_CACHE_ITEM_STALE;
    }

    items->missing = items->distinct - items->fresh - items->stale;

    if (items->fresh == items->distinct) {
        ctx->status = ctx->failures ? NGX_HTTP_LLM_CACHE_SHARED
                                    : NGX_HTTP_LLM_CACHE_HIT;
        items->handler = ngx_http_llm_cache_items_send;
        return NGX_OK;
    }

    if (items->fresh == 0 && items->stale) {
        ctx->status = NGX_HTTP_LLM_CACHE_EXPIRED;
    }

    /* equal ones are asked for once, where answers are known to be understood,
       or were not seen to be otherwise */

    if (ctx->control.only_if_cached
        || (items->fresh == 0 && items->missing
            && (items->distinct == items->n
                || ngx_time() < ctx->conf->whole_until)))
    {
        return NGX_DECLINED;
    }

    items->handler = ngx_http_llm_cache_items_fly;

    return NGX_OK;
}


/* of several shapes the newest counts */

static void
ngx_http_llm_cache_items_same_shape(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_item_t   *item, *newest;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;
    newest = NULL;

    for (i = 0; i < items->n; i++) {
        item = &items->items[i];

        if (item->hold.node
            && (newest == NULL || item->created > newest->created))
        {
            newest = item;
            items->newest = i;
        }
    }

    for (i = 0; i < items->n; i++) {
        item = &items->items[i];

        if (item->hold.node
            && ngx_memcmp(item->shape, newest->shape, LLM_EMBEDDINGS_SHAPE)
               != 0)
        {
            ngx_http_llm_cache_zone_release(&item->hold);
            item->state = NGX_HTTP_LLM_CACHE_ITEM_MISSING;
        }
    }
}


/* another request may be asking for the same; those who wait begin anew */

static ngx_int_t
ngx_http_llm_cache_items_fly(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (ngx_http_llm_cache_leads(&ctx->writer) == NULL
        && ngx_http_llm_cache_enter(r, ctx, 1) == NGX_AGAIN)
    {
        if (items->missing == 0
            && (ctx->conf->use_stale & NGX_HTTP_UPSTREAM_FT_UPDATING))
        {
            ngx_http_llm_cache_zone_release(&ctx->hold);

            ctx->status = NGX_HTTP_LLM_CACHE_UPDATING;
            items->handler = ngx_http_llm_cache_items_send;
            return NGX_OK;
        }

        ngx_http_llm_cache_items_release(items);

        rc = ngx_http_llm_cache_follow(r, ctx);

        if (rc != NGX_DECLINED) {
            items->handler = NULL;
            return rc;
        }

        items->next = 0;
        items->distinct = 0;
        items->handler = ngx_http_llm_cache_items_find;

        return NGX_OK;
    }

    rc = ngx_http_llm_cache_items_ask(r, ctx);

    if (rc == NGX_AGAIN) {
        items->handler = ngx_http_llm_cache_items_fetched;
    }

    return rc;
}


/* the subrequest has come to its end */

static ngx_int_t
ngx_http_llm_cache_items_fetched(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_fetch_t  *fetch;

    items = ctx->items;
    fetch = items->fetch;

    if (fetch->reply == NULL
        || (items->fresh
            && llm_embeddings_cut_compare(fetch->reply->cut,
                                       items->items[items->newest].shape)
               != 0))
    {
        return ngx_http_llm_cache_items_fetch_failed(r, ctx);
    }

    if (items->fresh) {
        ctx->status = NGX_HTTP_LLM_CACHE_PARTIAL;
    }

    items->handler = ngx_http_llm_cache_items_store;

    return NGX_OK;
}


/*
 * The upstream did not answer what it was asked, or not as before: its answer
 * to the whole call is its client's, and none of this is stored.
 */

static ngx_int_t
ngx_http_llm_cache_items_fetch_failed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   failure;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;
    failure = items->fetch->failure & ctx->conf->use_stale;

    if (failure && items->missing == 0) {

        if (ngx_http_llm_cache_leads(&ctx->writer)) {
            ngx_http_llm_cache_flight_fail(&ctx->writer, failure);
            ngx_http_llm_cache_zone_abandon(&ctx->writer);
        }

        ctx->status = NGX_HTTP_LLM_CACHE_STALE;
        ctx->may_store = 0;
        items->handler = ngx_http_llm_cache_items_send;

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "llm cache: the answer to a part of the inputs could not be "
                  "used, all of them are asked for");

    items->failed = 1;

    if (items->fetch->reply) {
        items->next = 0;
        items->handler = ngx_http_llm_cache_items_drop;

        return NGX_OK;
    }

    if (items->fresh == 0 && !failure) {
        ctx->conf->whole_until = ngx_time() + NGX_HTTP_LLM_CACHE_ITEMS_WHOLE;
    }

    return NGX_DECLINED;
}


/* vectors of another kind: what is there is of no use any more */

static ngx_int_t
ngx_http_llm_cache_items_drop(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    u_char                      *key;
    ngx_uint_t                   i, work;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    for (i = items->next, work = 0; i < items->n; i++) {

        if (ngx_http_llm_cache_items_rest(items, i, work)) {
            return NGX_AGAIN;
        }

        if (items->items[i].hold.node == NULL) {
            continue;
        }

        work += NGX_HTTP_LLM_CACHE_ITEMS_DROP;
        key = items->keys + i * LLM_KEY_LEN;

        ngx_http_llm_cache_zone_delete(ctx->conf->zone, key);

        if (ctx->conf->redis) {
            ngx_http_llm_cache_redis_delete(ctx->conf->redis, key);
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_cache_items_store(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (ngx_http_llm_cache_reply_store(items->fetch->reply) == NGX_AGAIN) {
        ngx_http_llm_cache_items_later(items);
        return NGX_AGAIN;
    }

    ctx->stored = ngx_http_llm_cache_reply_stores(items->fetch->reply);

    /* those who wait find all of it */

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_end(&ctx->writer,
                                      NGX_HTTP_LLM_CACHE_FAILED);
        ngx_http_llm_cache_zone_abandon(&ctx->writer);
    }

    items->handler = ngx_http_llm_cache_items_send;

    return NGX_OK;
}


/* the answer to a call that went upstream as it came */

void
ngx_http_llm_cache_items_expect(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_reply_t  *reply;

    items = ctx->items;

    if (items == NULL || ctx->form != LLM_FORM_JSON || items->reply) {
        return;
    }

    reply = ngx_http_llm_cache_reply_create(r, ctx, items->n, 1);
    if (reply == NULL) {
        return;
    }

    for (i = 0; i < items->n; i++) {
        reply->weights[i] = items->ask.weights[i];
    }

    ngx_memcpy(reply->keys, items->keys, items->n * LLM_KEY_LEN);

    items->reply = reply;
    r->filter_need_in_memory = 1;
}


ngx_uint_t
ngx_http_llm_cache_items_failed(ngx_http_llm_cache_items_t *items)
{
    return items->failed;
}


ngx_uint_t
ngx_http_llm_cache_items_stored(ngx_http_llm_cache_items_t *items)
{
    return items->stored;
}


/* in the same round in which its end has come, before it is stored */

ngx_uint_t
ngx_http_llm_cache_items_storing(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_reply_t  *reply;

    reply = ctx->items->storing;

    if (reply == NULL) {
        return 0;
    }

    ctx->items->storing = NULL;

    reply->recorded = 1;
    reply->writer = ctx->writer;
    ngx_memzero(&ctx->writer, sizeof(ngx_http_llm_cache_writer_t));

    return 1;
}


void
ngx_http_llm_cache_items_go_on(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_reply_t  *reply;

    reply = ctx->items->reply;

    if (reply && ngx_http_llm_cache_leads(&ctx->writer)) {
        reply->writer = ctx->writer;
        ngx_memzero(&ctx->writer, sizeof(ngx_http_llm_cache_writer_t));
    }
}


/* before the client has all of it, as it may ask again at once */

void
ngx_http_llm_cache_items_take(ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_buf_t                   *b;
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_reply_t  *reply;

    items = ctx->items;

    for ( /* void */ ; in && items->reply; in = in->next) {

        b = in->buf;
        reply = items->reply;

        if (ngx_http_llm_cache_reply_take(reply, b) != NGX_OK) {
            break;
        }

        if (!b->last_buf && (off_t) reply->len != reply->expected) {
            continue;
        }

        if (ngx_http_llm_cache_reply_end(reply) != NGX_OK) {
            break;
        }

        items->reply = NULL;
        items->stored = 1;
        ctx->stored = ngx_http_llm_cache_reply_stores(reply);

        /* it need not be recorded as a whole */

        ctx->prompt_tokens = llm_embeddings_cut_tokens(reply->cut);
        ctx->record.msec = reply->record.msec;

        if (!ctx->recording) {
            ctx->reason = LLM_REASON_NONE;
        }

        if (ngx_http_llm_cache_reply_store(reply) == NGX_AGAIN) {
            ngx_http_llm_cache_reply_store_later(reply);
            items->storing = reply;

        } else {
            ngx_http_llm_cache_reply_free(reply);
        }

        return;
    }

    if (in) {
        ngx_http_llm_cache_reply_free(items->reply);
        items->reply = NULL;
    }
}
