#include "ngx_http_llm_cache.h"


static void ngx_http_llm_cache_redis_wait(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_redis_answer(
    ngx_http_llm_cache_redis_batch_t *batch);
static ngx_int_t ngx_http_llm_cache_redis_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_redis_item_t *item);
static ngx_uint_t ngx_http_llm_cache_redis_fits(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_redis_item_t *item);
static ngx_int_t ngx_http_llm_cache_redis_hold(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_redis_item_t *item,
    ngx_atomic_uint_t changes, ngx_http_llm_cache_hold_t *hold);
static ngx_int_t ngx_http_llm_cache_redis_fill(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_redis_item_t *item,
    ngx_http_llm_cache_writer_t *w);
static ngx_int_t ngx_http_llm_cache_redis_lease(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_redis_leased(void *data, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_lease_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_redis_go_on(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);


ngx_uint_t
ngx_http_llm_cache_redis_verified(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_hold_t *hold)
{
    ngx_http_llm_cache_node_t  *node;

    node = hold->node;

    return ctx->conf->redis == NULL
           || node->stamp == 0
           || node->epoch == NGX_HTTP_LLM_CACHE_REDIS_OWN
           || ngx_http_llm_cache_redis_trusts(ctx->conf->redis, node->epoch);
}


void
ngx_http_llm_cache_redis_drop(ngx_http_llm_cache_ctx_t *ctx,
    const u_char *key)
{
    ngx_http_llm_cache_redis_count(
                   ngx_http_llm_cache_zone_redis(ctx->conf->zone), unverified);

    ngx_http_llm_cache_zone_delete(ctx->conf->zone, key);
}


ngx_int_t
ngx_http_llm_cache_redis_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_redis_stat_t  *stat;

    if (ctx->conf->redis == NULL || ctx->alone) {
        return NGX_DECLINED;
    }

    stat = ngx_http_llm_cache_zone_redis(ctx->conf->zone);

    ctx->changes = *ngx_http_llm_cache_redis_changes(ctx->conf->zone,
                                                     ctx->key);

    ctx->query = ngx_http_llm_cache_redis_get(ctx->conf->redis, 1, ctx->key,
                                              ngx_http_llm_cache_redis_answer,
                                              r);
    if (ctx->query == NULL) {
        ngx_http_llm_cache_redis_count(stat, skipped);
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_redis_wait(r, ctx);

    return NGX_AGAIN;
}


static void
ngx_http_llm_cache_redis_wait(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->querying = 1;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


void
ngx_http_llm_cache_redis_end(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->query) {
        ngx_http_llm_cache_redis_cancel(ctx->query);
        ctx->query = NULL;
    }

    if (ctx->querying && ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_llm_cache_redis_forget(ctx->leasing);
    ctx->leasing = NULL;
    ctx->lease_since = 0;
    ctx->lease_over = 0;

    ctx->querying = 0;
    ctx->answered = 0;
    ctx->from_redis = 0;

    ngx_http_llm_cache_redis_unlease(ctx);
}


static void
ngx_http_llm_cache_redis_answer(ngx_http_llm_cache_redis_batch_t *batch)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = batch->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);

    ctx->query = NULL;

    ngx_http_llm_cache_redis_note(ctx, batch);

    rc = batch->items[0].rc;

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_redis_take(r, ctx, &batch->items[0]);
    }

    if (rc == NGX_DECLINED
        && ngx_http_llm_cache_redis_lease(r, ctx) == NGX_AGAIN)
    {
        return;
    }

    ngx_http_llm_cache_redis_go_on(r, ctx);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_llm_cache_redis_note(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_batch_t *batch)
{
    ngx_uint_t                        i;
    ngx_msec_t                        msec;
    ngx_http_llm_cache_redis_stat_t  *stat;

    stat = ngx_http_llm_cache_zone_redis(ctx->conf->zone);
    msec = ngx_current_msec - batch->start;

    ctx->redis_msec += msec;

    ngx_http_llm_cache_stat_observe(ctx->conf->zone->stat,
                                    NGX_HTTP_LLM_CACHE_LOOKUP_REDIS,
                                    (uint64_t) msec * 1000);
    ctx->redis_asked = 1;

    (void) ngx_atomic_fetch_add(&stat->msec, (ngx_atomic_int_t) msec);

    if (batch->timedout) {
        ngx_http_llm_cache_redis_count(stat, timeouts);
    }

    for (i = 0; i < batch->n; i++) {

        ngx_http_llm_cache_redis_count(stat, lookups);

        switch (batch->items[i].rc) {

        case NGX_OK:
            ngx_http_llm_cache_redis_count(stat, hits);
            break;

        case NGX_DECLINED:
            ngx_http_llm_cache_redis_count(stat, misses);
            break;

        default: /* NGX_ERROR */
            ngx_http_llm_cache_redis_count(stat, errors);
        }
    }
}


/*
 * NGX_OK: the answer is in memory now, and is held; NGX_DECLINED: it is not
 * for this request; NGX_ERROR: there is no room for it.
 */

static ngx_int_t
ngx_http_llm_cache_redis_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_redis_item_t *item)
{
    ngx_int_t                      rc;
    ngx_uint_t                     leads;
    llm_record_t                  *rec;
    ngx_http_llm_cache_writer_t    other, *w;

    rec = &item->record;

    if (!ngx_http_llm_cache_redis_fits(ctx, item)) {
        return NGX_DECLINED;
    }

    ctx->record = *rec;
    ctx->age = ngx_max(ngx_time() - (time_t) rec->created, 0);

    leads = ngx_http_llm_cache_leads(&ctx->writer) != NULL;
    w = &ctx->writer;

    if ((time_t) rec->expires <= ngx_time()) {

        /* it may serve later, in place of an error */

        ctx->status = NGX_HTTP_LLM_CACHE_EXPIRED;

        ngx_memzero(&other, sizeof(ngx_http_llm_cache_writer_t));
        (void) ngx_http_llm_cache_redis_fill(ctx, item, &other);

        return NGX_DECLINED;
    }

    if (!ngx_http_llm_cache_serves(ctx)) {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_redis_fill(ctx, item, w) != NGX_OK) {

        if (leads) {
            ngx_http_llm_cache_flight_end(w, NGX_HTTP_LLM_CACHE_ALONE);
            ngx_http_llm_cache_zone_abandon(w);
        }

        return NGX_ERROR;
    }

    rc = ngx_http_llm_cache_redis_hold(ctx, item, ctx->changes, &ctx->hold);

    if (leads) {
        ngx_http_llm_cache_zone_abandon(w);
    }

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_llm_cache_redis_fetch(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_item_t *item, ngx_atomic_uint_t changes,
    ngx_http_llm_cache_hold_t *hold)
{
    ngx_http_llm_cache_writer_t  w;

    ngx_memzero(&w, sizeof(ngx_http_llm_cache_writer_t));

    if (!ngx_http_llm_cache_redis_fits(ctx, item)
        || ngx_http_llm_cache_redis_fill(ctx, item, &w) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_llm_cache_redis_hold(ctx, item, changes, hold);
}


/* whether it is of use, now or in place of an error */

static ngx_uint_t
ngx_http_llm_cache_redis_fits(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_item_t *item)
{
    llm_record_t  *rec;

    rec = &item->record;

    /* nobody's memory outlives Redis */

    if (item->left >= 0) {
        rec->expires = ngx_min(rec->expires,
                               (uint64_t) ngx_time() + item->left / 1000);
    }

    return rec->status == NGX_HTTP_OK
           && rec->body_len <= ctx->conf->zone->max_entry
           && (time_t) rec->expires + ngx_http_llm_cache_stale_time(ctx->conf)
              > ngx_time();
}


/* what has just been filled in */

static ngx_int_t
ngx_http_llm_cache_redis_hold(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_item_t *item, ngx_atomic_uint_t changes,
    ngx_http_llm_cache_hold_t *hold)
{
    ngx_http_llm_cache_zone_t  *zone;

    zone = ctx->conf->zone;

    if (ngx_http_llm_cache_zone_get(zone, item->key,
                                    ngx_http_llm_cache_stale_time(ctx->conf),
                                    hold)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (zone->restored) {
        zone->restored(zone, item->key);
    }

    /* a change that was told before the record was there */

    if (changes != *ngx_http_llm_cache_redis_changes(zone, item->key)) {
        ngx_http_llm_cache_zone_stamp(hold, item->stamp,
                             ngx_http_llm_cache_redis_past(ngx_current_msec));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_redis_fill(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_redis_item_t *item, ngx_http_llm_cache_writer_t *w)
{
    u_char         head[LLM_RECORD_HEAD];
    int64_t        completion;
    llm_record_t  *rec;

    rec = &item->record;

    llm_record_encode(rec, head);

    if (ngx_http_llm_cache_leads(w)) {
        w->expected = item->bytes.len;

    } else if (ngx_http_llm_cache_zone_create(ctx->conf->zone, item->key,
                                              item->bytes.len, w)
               == NGX_OK)
    {
        /* Redis was asked before */
        w->purges = ctx->purges;

    } else {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_zone_append(w, head, LLM_RECORD_HEAD) != NGX_OK
        || ngx_http_llm_cache_zone_append(w,
                                          item->bytes.data + LLM_RECORD_HEAD,
                                          item->bytes.len - LLM_RECORD_HEAD)
           != NGX_OK)
    {
        if (!ngx_http_llm_cache_leads(w)) {
            ngx_http_llm_cache_zone_abandon(w);
        }

        return NGX_DECLINED;
    }

    ngx_http_llm_cache_zone_stamp(&w->hold, item->stamp, item->batch->epoch);

    completion = rec->completion_tokens;

    if (completion < 0 && rec->prompt_tokens < 0) {
        completion = rec->body_len / LLM_EVICT_TOKEN_BYTES;
    }

    return ngx_http_llm_cache_zone_commit(w, rec,
                                          llm_evict_weight(rec->prompt_tokens,
                                                           completion,
                                                           w->len));
}


/*
 * NGX_AGAIN: another machine may be fetching the answer, which is waited for;
 * NGX_DECLINED: this request fetches it.
 */

static ngx_int_t
ngx_http_llm_cache_redis_lease(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    u_char                       buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char                       msec[NGX_INT_T_LEN];
    llm_str_t                    words[6];
    ngx_http_llm_cache_redis_t  *redis;

    redis = ctx->conf->redis;

    if (redis->lease == 0 || !ctx->may_store
        || ctx->control.only_if_cached || ctx->items
        || ngx_http_llm_cache_leads(&ctx->writer) == NULL)
    {
        return NGX_DECLINED;
    }

    if (ctx->lease_since == 0) {
        ctx->lease_since = ngx_current_msec;

    } else if (ngx_current_msec - ctx->lease_since >= redis->lease) {
        return NGX_DECLINED;
    }

    words[0] = ngx_http_llm_cache_redis_word("SET");
    words[1] = ngx_http_llm_cache_redis_lease_key(redis, ctx->key, buf);
    words[2] = ngx_http_llm_cache_redis_word("1");
    words[3] = ngx_http_llm_cache_redis_word("NX");
    words[4] = ngx_http_llm_cache_redis_word("PX");
    words[5].data = msec;
    words[5].len = ngx_sprintf(msec, "%M", redis->lease) - msec;

    ctx->leasing = ngx_http_llm_cache_redis_call(redis, words[1],
                                              NGX_HTTP_LLM_CACHE_REDIS_LOOKUP,
                                                 6, words, redis->timeout,
                                              ngx_http_llm_cache_redis_leased,
                                                 r);
    if (ctx->leasing == NULL) {
        return NGX_DECLINED;
    }

    ctx->timer.data = r;
    ctx->timer.handler = ngx_http_llm_cache_redis_lease_handler;
    ctx->timer.log = r->connection->log;

    ngx_add_timer(&ctx->timer, redis->timeout);

    ngx_http_llm_cache_redis_wait(r, ctx);

    return NGX_AGAIN;
}


static void
ngx_http_llm_cache_redis_leased(void *data, llm_reply_t *reply)
{
    ngx_http_request_t *r = data;

    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    ctx->leasing = NULL;

    /* what follows is for the timer: this may be the end of a connection */

    ngx_del_timer(&ctx->timer);

    if (llm_reply_is(reply, LLM_RESP_NIL)) {
        ngx_add_timer(&ctx->timer, NGX_HTTP_LLM_CACHE_REDIS_STEP);

    } else {
        ctx->leased = llm_reply_is(reply, LLM_RESP_STATUS);
        ctx->lease_over = 1;
        ngx_add_timer(&ctx->timer, 0);
    }

    llm_reply_free(reply);
}


static void
ngx_http_llm_cache_redis_lease_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx->leasing) {

        /* no reply in time */

        ngx_http_llm_cache_redis_forget(ctx->leasing);
        ctx->leasing = NULL;
        ctx->lease_over = 1;
    }

    if (ctx->lease_over
        || ngx_http_llm_cache_redis_ask(r, ctx) != NGX_AGAIN)
    {
        ngx_http_llm_cache_redis_go_on(r, ctx);
        ngx_http_run_posted_requests(c);
    }
}


void
ngx_http_llm_cache_redis_unlease(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->leased) {
        ctx->leased = 0;
        ngx_http_llm_cache_redis_end_lease(ctx->conf->redis, ctx->key, 0);
    }
}


/* the phases of the request run again */

static void
ngx_http_llm_cache_redis_go_on(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->querying = 0;
    ctx->answered = 1;

    ngx_http_llm_cache_ready_phases(r);
    ngx_http_core_run_phases(r);
}


void
ngx_http_llm_cache_redis_store_again(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_hold_t         hold;
    ngx_http_llm_cache_redis_t       *redis, **redises;
    ngx_http_llm_cache_main_conf_t   *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_llm_cache_module);
    redis = NULL;
    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {

        if (!ngx_http_llm_cache_redis_has_zone(redises[i], zone)) {
            continue;
        }

        if (redis) {
            /* which of them has it is not known */
            return;
        }

        redis = redises[i];
    }

    if (redis == NULL
        || ngx_http_llm_cache_zone_peek(zone, key, &hold) != NGX_OK)
    {
        return;
    }

    /* what Redis may have lost since is not brought back */

    if (hold.node->stamp
        && (hold.node->epoch == NGX_HTTP_LLM_CACHE_REDIS_OWN
            || ngx_http_llm_cache_redis_trusts(redis, hold.node->epoch)))
    {
        ngx_http_llm_cache_redis_store_later(redis, zone, key, 0,
                                             NGX_HTTP_LLM_CACHE_REDIS_AGAIN);
    }

    ngx_http_llm_cache_zone_release(&hold);
}
