/*
 * llm_cache observe: what the cache would have done for a request, which goes
 * its way as without the module.  The body is copied while nginx reads it for
 * the content handler, the answer is read while it passes, and neither waits.
 */


#include "ngx_http_llm_cache.h"


static ngx_int_t ngx_http_llm_cache_observe_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_llm_cache_observe_collect(
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in, ngx_uint_t *last);
static void ngx_http_llm_cache_observe_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_observe_look(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static llm_reason_e ngx_http_llm_cache_observe_keys(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_observe_find(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e i);
static ngx_http_llm_cache_status_e ngx_http_llm_cache_observe_serves(
    ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_answer_t *answer);
static void ngx_http_llm_cache_observe_fly(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e i);
static int ngx_http_llm_cache_observe_take(void *data, const u_char *p,
    size_t len);
static void ngx_http_llm_cache_observe_land(ngx_http_llm_cache_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_cache_observe_kind(
    ngx_http_llm_cache_ctx_t *ctx);


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


void
ngx_http_llm_cache_observe_init(void)
{
    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_llm_cache_observe_filter;
}


/* nobody else is asked to read the body: it may be somebody's to decide how */

void
ngx_http_llm_cache_observe(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                         i;
    ngx_http_llm_cache_observation_t  *ob;

    ob = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_cache_observation_t));
    if (ob == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {
        ob->ways[i].status = NGX_HTTP_LLM_CACHE_BYPASS;
        ob->ways[i].key.scope = i;
    }

    ctx->observed = ob;

    if (ctx->reason != LLM_REASON_NONE) {
        return;
    }

    ctx->reason = LLM_REASON_UNREAD;

    if (r->request_body == NULL) {
        ob->collecting = 1;

    } else if (r->request_body->last_saved && !r->request_body_no_buffering) {
        ngx_http_llm_cache_observe_body(r, ctx);
    }
}


static ngx_int_t
ngx_http_llm_cache_observe_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                  rc;
    ngx_uint_t                 last;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx == NULL || ctx->observed == NULL || !ctx->observed->collecting) {
        return ngx_http_next_request_body_filter(r, in);
    }

    last = 0;

    if (ngx_http_llm_cache_observe_collect(ctx, in, &last) != NGX_OK) {
        ctx->observed->collecting = 0;
        llm_buf_free(&ctx->observed->text);
        last = 0;
    }

    rc = ngx_http_next_request_body_filter(r, in);

    if (rc == NGX_OK && last) {
        ngx_http_llm_cache_observe_body(r, ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_cache_observe_collect(ngx_http_llm_cache_ctx_t *ctx,
    ngx_chain_t *in, ngx_uint_t *last)
{
    size_t                             len;
    ngx_http_llm_cache_observation_t  *ob;

    ob = ctx->observed;

    for ( /* void */ ; in; in = in->next) {

        if (ngx_buf_in_memory(in->buf)) {

            len = in->buf->last - in->buf->pos;

            if (len > ctx->conf->max_body - ob->text.len) {
                ctx->reason = LLM_REASON_BODY_SIZE;
                return NGX_DECLINED;
            }

            if (len && llm_buf_add(&ob->text, in->buf->pos, len) != 0) {
                ctx->reason = LLM_REASON_NO_MEMORY;
                return NGX_DECLINED;
            }
        }

        *last |= in->buf->last_buf;
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_observe_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->observed->collecting = 0;
    ctx->fetched_at = ngx_current_msec;

    /* variables of the log may need it */

    if (!r->request_body_no_buffering) {
        r->preserve_body = 1;
        ctx->ready = 1;
    }

    if (ngx_http_llm_cache_read_body(r, ctx) == NGX_AGAIN) {
        ctx->reason = LLM_REASON_UNREAD;
        return;
    }

    ngx_http_llm_cache_observe_look(r, ctx);
}


/* a thread has read the body */

void
ngx_http_llm_cache_observe_resume(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    (void) ngx_http_llm_cache_read_body(r, ctx);

    if (ctx->observed->late) {
        ctx->reason = LLM_REASON_UNREAD;
        return;
    }

    ngx_http_llm_cache_observe_look(r, ctx);
}


/* what the cache would have found */

static void
ngx_http_llm_cache_observe_look(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                         i, read;
    ngx_http_llm_cache_observation_t  *ob;

    ob = ctx->observed;
    ob->looked = 1;

    if (ctx->reason == LLM_REASON_NONE) {
        ngx_http_llm_cache_read_controls(r, ctx);
        ctx->reason = ngx_http_llm_cache_eligible(r, ctx);
    }

    if (ctx->reason == LLM_REASON_NONE) {
        ctx->reason = ngx_http_llm_cache_observe_keys(r, ctx);
    }

    llm_buf_free(&ob->text);

    json_decref(ctx->doc);
    ctx->doc = NULL;

    if (ctx->reason != LLM_REASON_NONE) {
        return;
    }

    ngx_http_llm_cache_prepare_store(r, ctx);

    ob->stores = ctx->may_store;

    if (ngx_http_llm_cache_wants_fresh(r, ctx)) {
        return;
    }

    read = 0;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {
        ngx_http_llm_cache_observe_find(ctx, i);

        read |= ob->ways[i].status == NGX_HTTP_LLM_CACHE_SHARED
                || (ob->stores
                    && ob->ways[i].status != NGX_HTTP_LLM_CACHE_HIT);
    }

    if (ob->ways[0].status == NGX_HTTP_LLM_CACHE_HIT) {
        ctx->reason = LLM_REASON_NONE;
        ctx->prompt_tokens = ob->ways[0].answer.prompt_tokens;
        ctx->completion_tokens = ob->ways[0].answer.completion_tokens;
    }

    /* the upstream would not have been asked */

    if (ctx->control.only_if_cached) {
        ob->stores = 0;
        read = 0;
    }

    ctx->may_store = read;
}


static llm_reason_e
ngx_http_llm_cache_observe_keys(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  i, kind;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {

        kind = i == NGX_HTTP_LLM_CACHE_OBSERVED_CREDENTIALS
               ? NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS
               : i == NGX_HTTP_LLM_CACHE_OBSERVED_SHARED
                 ? NGX_HTTP_LLM_CACHE_SCOPE_SHARED
                 : ctx->conf->scope_kind;

        rc = ngx_http_llm_cache_make_observed_key(r, ctx, kind,
                                                  &ctx->observed->ways[i].key);
        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? LLM_REASON_KEY : LLM_REASON_NO_MEMORY;
        }
    }

    ngx_memcpy(ctx->key, ctx->observed->ways[0].key.key, LLM_KEY_LEN);
    ctx->has_key = 1;

    return LLM_REASON_NONE;
}


/* as ngx_http_llm_cache_find() */

static void
ngx_http_llm_cache_observe_find(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e i)
{
    ngx_int_t                            rc;
    ngx_http_llm_cache_observed_t       *observed;
    ngx_http_llm_cache_observed_way_t   *way;

    way = &ctx->observed->ways[i];
    observed = &ctx->conf->zone->observed;

    rc = ngx_http_llm_cache_observed_get(observed, &way->key, &way->answer);

    way->status = rc == NGX_BUSY ? NGX_HTTP_LLM_CACHE_EXPIRED
                                 : NGX_HTTP_LLM_CACHE_MISS;

    if (rc == NGX_ABORT) {
        ngx_http_llm_cache_count(&ctx->conf->zone->stat->observed_lost[i], 1);
    }

    if (rc == NGX_OK) {
        ngx_http_llm_cache_observed_hit(observed, &way->key);

        way->status = ngx_http_llm_cache_observe_serves(ctx, &way->answer);

        if (way->status == NGX_HTTP_LLM_CACHE_HIT) {
            return;
        }

        if (way->status == NGX_HTTP_LLM_CACHE_EXPIRED && i == 0) {
            ctx->reason = LLM_REASON_CLIENT;
        }
    }

    if (ctx->conf->lock && !ctx->control.only_if_cached) {
        ngx_http_llm_cache_observe_fly(ctx, i);
    }
}


/*
 * As ngx_http_llm_cache_serves().  What cannot be converted for other reasons
 * than usage that is owed is not known without the body.
 */

static ngx_http_llm_cache_status_e
ngx_http_llm_cache_observe_serves(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_answer_t *answer)
{
    ngx_uint_t  wants_usage;

    if (ctx->control.max_age != LLM_CONTROL_UNSET
        && ngx_time() - (time_t) answer->created > ctx->control.max_age)
    {
        return NGX_HTTP_LLM_CACHE_EXPIRED;
    }

    wants_usage = ctx->ask.stream && ctx->ask.include_usage;

    ctx->record.ask = answer->ask;
    ctx->record.form = answer->form;
    ctx->record.status = NGX_HTTP_OK;

    if (ngx_http_llm_cache_same_form(ctx)) {
        return wants_usage && !answer->has_usage && !answer->usage_asked
               ? NGX_HTTP_LLM_CACHE_MISS : NGX_HTTP_LLM_CACHE_HIT;
    }

    if (ctx->route.dialect->id == LLM_DIALECT_CHAT
        || ctx->route.dialect->id == LLM_DIALECT_COMPLETIONS)
    {
        wants_usage |= ctx->ask.form == LLM_ASK_JSON;
    }

    return wants_usage && !answer->has_usage ? NGX_HTTP_LLM_CACHE_MISS
                                             : NGX_HTTP_LLM_CACHE_HIT;
}


/* an equal request may be under way, which this one could have followed */

static void
ngx_http_llm_cache_observe_fly(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e i)
{
    ngx_uint_t                          kind, flies;
    ngx_http_llm_cache_loc_conf_t      *conf;
    ngx_http_llm_cache_observed_way_t  *way;

    conf = ctx->conf;
    way = &ctx->observed->ways[i];
    kind = ngx_http_llm_cache_observe_kind(ctx);

    if (ctx->observed->stores) {
        flies = ngx_http_llm_cache_observed_fly(&conf->zone->observed,
                                                &way->key, kind,
                                                conf->lock_timeout)
                == NGX_BUSY;
    } else {
        flies = ngx_http_llm_cache_observed_flies(&conf->zone->observed,
                                                  &way->key, kind,
                                                  conf->lock_timeout);
    }

    if (flies) {
        way->status = NGX_HTTP_LLM_CACHE_SHARED;
    }
}


/* of a flight, as in ngx_http_llm_cache_enter() */

static ngx_uint_t
ngx_http_llm_cache_observe_kind(ngx_http_llm_cache_ctx_t *ctx)
{
    return (ngx_uint_t) ctx->ask.form << 1
           | (ctx->ask.stream && ctx->ask.include_usage);
}


void
ngx_http_llm_cache_observe_head(ngx_http_llm_cache_ctx_t *ctx)
{
    if (!ctx->observed->looked) {
        ctx->observed->late = 1;
        ctx->observed->collecting = 0;
    }
}


/*
 * Whether the answer is compressed only because the client's Accept-Encoding,
 * which "on" hides, was seen upstream; and can be read.
 */

ngx_uint_t
ngx_http_llm_cache_observe_unpacks(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    static ngx_str_t  name = ngx_string("accept-encoding");

    return ctx->observed
           && ngx_http_llm_cache_find_header(r, &name)
           && llm_gunzip_knows(ngx_http_llm_cache_view(
                                  &r->headers_out.content_encoding->value));
}


llm_reason_e
ngx_http_llm_cache_observe_start(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t head)
{
    ngx_http_llm_cache_observation_t  *ob;

    ob = ctx->observed;
    ob->size = head;

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        ob->gunzip = llm_gunzip_create();

        if (ob->gunzip == NULL) {
            return LLM_REASON_NO_MEMORY;
        }
    }

    return LLM_REASON_NONE;
}


llm_reason_e
ngx_http_llm_cache_observe_feed(ngx_http_llm_cache_ctx_t *ctx, u_char *p,
    size_t len)
{
    int            rc;
    llm_gunzip_t  *gunzip;

    gunzip = ctx->observed->gunzip;

    rc = gunzip ? llm_gunzip_feed(gunzip, p, len,
                                  ngx_http_llm_cache_observe_take, ctx)
                : ngx_http_llm_cache_observe_take(ctx, p, len);

    return rc < 0 ? LLM_REASON_RESPONSE_ENCODING : (llm_reason_e) rc;
}


static int
ngx_http_llm_cache_observe_take(void *data, const u_char *p, size_t len)
{
    ngx_http_llm_cache_ctx_t *ctx = data;

    ctx->observed->body_len += len;

    if (ctx->observed->body_len > ctx->conf->zone->max_entry) {
        return LLM_REASON_ENTRY_SIZE;
    }

    return llm_answer_feed(ctx->answer, p, len);
}


/* the answer has passed, and passed the gate */

llm_reason_e
ngx_http_llm_cache_observe_store(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info)
{
    size_t                                 len, size;
    ngx_uint_t                             i;
    ngx_http_llm_cache_observed_t         *observed;
    ngx_http_llm_cache_observation_t      *ob;
    ngx_http_llm_cache_observed_way_t     *way;
    ngx_http_llm_cache_observed_answer_t   answer, other;

    ob = ctx->observed;
    observed = &ctx->conf->zone->observed;

    if (ob->gunzip && !llm_gunzip_ended(ob->gunzip)) {
        return LLM_REASON_TRUNCATED;
    }

    len = ob->size + ob->body_len;
    size = ngx_http_llm_cache_zone_footprint(len);

    if (size > observed->capacity) {
        return LLM_REASON_ZONE_FULL;
    }

    answer.size = (uint32_t) size;
    answer.prompt_tokens = ctx->record.prompt_tokens;
    answer.completion_tokens = ctx->record.completion_tokens;
    answer.msec = ctx->record.msec;
    answer.created = (uint32_t) ctx->record.created;
    answer.expires = (uint32_t) ctx->record.expires;
    answer.weight = llm_evict_weight(info->prompt_tokens,
                                     info->completion_tokens, len);
    answer.form = ctx->record.form;
    answer.ask = ctx->record.ask;
    answer.has_usage = ctx->record.has_usage;
    answer.usage_asked = ctx->record.usage_asked;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {

        way = &ob->ways[i];

        if (way->status == NGX_HTTP_LLM_CACHE_SHARED) {

            if (ngx_http_llm_cache_observed_get(observed, &way->key, &other)
                == NGX_OK
                || ngx_http_llm_cache_observed_flies(observed, &way->key,
                                          ngx_http_llm_cache_observe_kind(ctx),
                                          NGX_MAX_INT32_VALUE))
            {
                continue;
            }

            /* who was fetching it has failed: this one would have gone on */

            way->status = NGX_HTTP_LLM_CACHE_MISS;
        }

        if (ob->stores && way->status != NGX_HTTP_LLM_CACHE_HIT) {
            (void) ngx_http_llm_cache_observed_put(observed, &way->key,
                                                   &answer);
        }
    }

    ob->sound = 1;

    ngx_http_llm_cache_observe_land(ctx);

    return LLM_REASON_NONE;
}


/* why the request or the answer is told to be left alone, after a refusal */

llm_reason_e
ngx_http_llm_cache_observe_refused(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason)
{
    ngx_http_llm_cache_observe_land(ctx);

    return ctx->observed->stores
           && ctx->observed->ways[0].status != NGX_HTTP_LLM_CACHE_HIT
           ? reason : ctx->reason;
}


static void
ngx_http_llm_cache_observe_land(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {
        ngx_http_llm_cache_observed_land(&ctx->conf->zone->observed,
                                         &ctx->observed->ways[i].key);
    }
}


void
ngx_http_llm_cache_observe_end(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_observation_t  *ob;

    ob = ctx->observed;

    if (ob == NULL) {
        return;
    }

    ngx_http_llm_cache_observe_land(ctx);
    ngx_http_llm_cache_leave_aside(ctx);

    llm_buf_free(&ob->text);

    llm_gunzip_free(ob->gunzip);
    ob->gunzip = NULL;

    ctx->observed = NULL;
}


/* SHARED only with an answer of its own that is worth sharing */

ngx_http_llm_cache_status_e
ngx_http_llm_cache_observed_status(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e scope)
{
    ngx_http_llm_cache_status_e  status;

    if (ctx->observed == NULL) {
        return NGX_HTTP_LLM_CACHE_NONE;
    }

    status = ctx->observed->ways[scope].status;

    return status == NGX_HTTP_LLM_CACHE_SHARED && !ctx->observed->sound
           ? NGX_HTTP_LLM_CACHE_MISS : status;
}
