#include "ngx_http_llm_cache.h"


static ngx_int_t ngx_http_llm_cache_resume(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_begin(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_body_handler(ngx_http_request_t *r);
static llm_reason_e ngx_http_llm_cache_preflight(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_cache_is_json(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_cache_is_h2c(ngx_str_t *upgrade);
static ngx_int_t ngx_http_llm_cache_decide(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_decided(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc);
static ngx_uint_t ngx_http_llm_cache_opted_in(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_lookup(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_answered(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_similar(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_serve(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_stand_apart(
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_forward(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_timed_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_find_similar(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_lookup_failed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);


ngx_int_t
ngx_http_llm_cache_handler(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t       *ctx;
    ngx_http_llm_cache_loc_conf_t  *conf;

    if (r != r->main) {
        return r->background ? ngx_http_llm_cache_refresh_handler(r)
                             : NGX_DECLINED;
    }

    if (r->post_action) {
        ngx_http_llm_cache_leave(ngx_http_llm_cache_get_ctx(r));
        return NGX_DECLINED;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    /* "on" for a whole server is not meant for the cache's own API */

    if (conf->enable == NGX_HTTP_LLM_CACHE_OFF || conf->api) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_llm_cache_create_ctx(r->pool);
        if (ctx == NULL) {
            return NGX_DECLINED;
        }

        ngx_http_llm_cache_set_ctx(r, ctx);

    } else if (ctx->observed && ctx->working) {
        /* a thread has the body, the request does not wait for it */
        return NGX_DECLINED;

    } else if (ctx->reading) {
        /* the body could not be read: this is where the error's page is */
        return NGX_DECLINED;

    } else if (ctx->working || ctx->following || ctx->querying || ctx->pacing
               || ctx->embedding || ctx->batching)
    {
        return NGX_DONE;

    } else if (ctx->conf == conf && ctx->uri == r->uri.data) {
        return ngx_http_llm_cache_resume(r, ctx);

    } else if (r->error_page && ctx->has_key) {
        /* what comes of it is the first request's answer */
        return NGX_DECLINED;

    } else {
        /* redirected: it is decided anew in each location, for each URI */
        ngx_http_llm_cache_reset_ctx(ctx);
    }

    ctx->conf = conf;
    ctx->uri = r->uri.data;

    return ngx_http_llm_cache_begin(r, ctx);
}


/* the phases run again */

static ngx_int_t
ngx_http_llm_cache_resume(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->observed) {
        return NGX_DECLINED;
    }

    if (ctx->embedded) {
        ctx->embedded = 0;
        return ngx_http_llm_cache_decided(r, ctx,
                                         ngx_http_llm_cache_similar(r, ctx));
    }

    if (ctx->again) {
        ctx->again = 0;
        return ngx_http_llm_cache_decided(r, ctx,
                                         ngx_http_llm_cache_lookup(r, ctx));
    }

    if (ctx->answered) {
        ctx->answered = 0;
        return ngx_http_llm_cache_decided(r, ctx,
                                        ngx_http_llm_cache_answered(r, ctx));
    }

    if (ctx->ready && ctx->status == NGX_HTTP_LLM_CACHE_NONE) {
        return ngx_http_llm_cache_decide(r, ctx);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_cache_begin(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->reason = ngx_http_llm_cache_preflight(r, ctx);

    if (ctx->conf->enable == NGX_HTTP_LLM_CACHE_OBSERVE) {
        ngx_http_llm_cache_observe(r, ctx);
        return NGX_DECLINED;
    }

    if (ctx->reason != LLM_REASON_NONE) {
        ctx->status = NGX_HTTP_LLM_CACHE_BYPASS;
        return NGX_DECLINED;
    }

    if (ctx->ready) {
        return ngx_http_llm_cache_decide(r, ctx);
    }

    ctx->reading = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_llm_cache_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_llm_cache_body_handler(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    ctx->reading = 0;
    ctx->ready = 1;

    r->preserve_body = 1;

    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}


/* what can be told before the body is read */

static llm_reason_e
ngx_http_llm_cache_preflight(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    static ngx_str_t  content_encoding = ngx_string("content-encoding");

    llm_dialect_route(ngx_http_llm_cache_view(&r->uri),
                      ngx_http_llm_cache_view(&r->args), &ctx->route);

    if (r->method != NGX_HTTP_POST) {
        return LLM_REASON_METHOD;
    }

    if (ctx->route.stateful) {
        return LLM_REASON_STATEFUL;
    }

    if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) {
        return LLM_REASON_NO_BODY;
    }

    if (r->headers_in.content_length_n > (off_t) ctx->conf->max_body) {
        return LLM_REASON_BODY_SIZE;
    }

    if (!ngx_http_llm_cache_is_json(r)) {
        return LLM_REASON_CONTENT_TYPE;
    }

    if (ngx_http_llm_cache_find_header(r, &content_encoding)) {
        return LLM_REASON_REQUEST_ENCODING;
    }

    if (r->headers_in.range) {
        return LLM_REASON_RANGE;
    }

    if (r->headers_in.upgrade
        && !ngx_http_llm_cache_is_h2c(&r->headers_in.upgrade->value))
    {
        return LLM_REASON_UPGRADE;
    }

    return LLM_REASON_NONE;
}


/* application/json, application/SOMETHING+json, with or without parameters */

static ngx_uint_t
ngx_http_llm_cache_is_json(ngx_http_request_t *r)
{
    u_char     *p, *last, *end;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    p = type->data;
    end = p + type->len;

    last = ngx_strlchr(p, end, ';');
    if (last == NULL) {
        last = end;
    }

    if (!ngx_http_llm_cache_is_utf8(last, end)) {
        return 0;
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if (last - p < (ssize_t) sizeof("application/json") - 1
        || ngx_strncasecmp(p, (u_char *) "application/", 12) != 0)
    {
        return 0;
    }

    return (last[-5] == '/' || last[-5] == '+')
           && ngx_strncasecmp(last - 4, (u_char *) "json", 4) == 0;
}


/* what asks for HTTP/2 is answered in HTTP/1.1 where that is not to be had */

static ngx_uint_t
ngx_http_llm_cache_is_h2c(ngx_str_t *upgrade)
{
    return upgrade->len == 3
           && ngx_strncasecmp(upgrade->data, (u_char *) "h2c", 3) == 0;
}


ngx_table_elt_t *
ngx_http_llm_cache_find_header(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_in.headers);

    do {
        h = ngx_http_llm_cache_next_header(&walk, name);
    } while (h && h->value.len == 0);

    return h;
}


/* the body is here; NGX_DECLINED: the request goes on */

static ngx_int_t
ngx_http_llm_cache_decide(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_read_body(r, ctx) == NGX_AGAIN) {
        return NGX_DONE;
    }

    ctx->status = NGX_HTTP_LLM_CACHE_BYPASS;

    if (ctx->reason == LLM_REASON_NONE) {
        ngx_http_llm_cache_read_controls(r, ctx);

        ctx->reason = ngx_http_llm_cache_eligible(r, ctx);
    }

    if (ctx->reason == LLM_REASON_NONE) {

        switch (ngx_http_llm_cache_make_key(r, ctx)) {

        case NGX_OK:

            if (ngx_http_llm_cache_items_begin(r, ctx) == NGX_AGAIN) {
                return NGX_DONE;
            }

            return ngx_http_llm_cache_decided(r, ctx,
                                         ngx_http_llm_cache_lookup(r, ctx));

        case NGX_DECLINED:
            ctx->reason = LLM_REASON_KEY;
            break;

        default:
            ctx->reason = LLM_REASON_NO_MEMORY;
        }
    }

    return ngx_http_llm_cache_decided(r, ctx, NGX_DECLINED);
}


static ngx_int_t
ngx_http_llm_cache_decided(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_int_t rc)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm cache: status %V, reason %d, rc %i",
                   ngx_http_llm_cache_status_word(ctx->status),
                   (int) ctx->reason, rc);

    /* for as long as the upstream takes nobody needs the document */

    if (rc != NGX_DECLINED
        && !ctx->following && !ctx->working && !ctx->pacing && !ctx->batching
        && (ngx_http_llm_cache_stored(ctx)
            || ctx->status == NGX_HTTP_LLM_CACHE_SHARED))
    {
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    json_decref(ctx->doc);
    ctx->doc = NULL;

    return rc;
}


void
ngx_http_llm_cache_read_controls(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    static ngx_str_t  name = ngx_string("cache-control");

    ctx->control = ctx->body_control;

    if (!(ctx->conf->controls & NGX_HTTP_LLM_CACHE_CONTROL_HEADER)
        || ctx->route.dialect->ignore_header_controls)
    {
        return;
    }

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_in.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, &name)) != NULL) {
        llm_control_header(ngx_http_llm_cache_view(&h->value), &ctx->control);
    }
}


static ngx_uint_t
ngx_http_llm_cache_opted_in(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("x-llm-cache");

    if (ctx->control.use_cache == 1) {
        return 1;
    }

    if (!(ctx->conf->controls & NGX_HTTP_LLM_CACHE_CONTROL_HEADER)) {
        return 0;
    }

    h = ngx_http_llm_cache_find_header(r, &name);

    return h && h->value.len == 2
           && ngx_strncasecmp(h->value.data, (u_char *) "on", 2) == 0;
}


llm_reason_e
ngx_http_llm_cache_eligible(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->control.use_cache == 0) {
        return LLM_REASON_CLIENT;
    }

    if (ctx->conf->enable == NGX_HTTP_LLM_CACHE_OPT_IN
        && !ngx_http_llm_cache_opted_in(r, ctx))
    {
        return LLM_REASON_OPT_IN;
    }

    if (ctx->ask.stateful) {
        return LLM_REASON_STATEFUL;
    }

    if (ctx->ask.hosted_tools && !ctx->conf->hosted_tools) {
        return LLM_REASON_HOSTED_TOOLS;
    }

    if (ctx->conf->max_temperature >= 0
        && ctx->ask.temperature * 1000000 > ctx->conf->max_temperature + 0.5)
    {
        return LLM_REASON_TEMPERATURE;
    }

    return LLM_REASON_NONE;
}


/*
 * NGX_DECLINED: the request goes upstream; NGX_AGAIN: it follows another one
 * or waits for Redis; NGX_DONE: it waits for its question's vector; else the
 * response's code, where the status tells that it was served from the cache.
 */

static ngx_int_t
ngx_http_llm_cache_lookup(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  unfit;

    ngx_http_llm_cache_prepare_store(r, ctx);
    ngx_http_llm_cache_items_learnt(r, ctx);

    if (!ngx_http_llm_cache_wants_fresh(r, ctx)) {

        rc = ngx_http_llm_cache_items_lookup(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (ctx->items && ngx_http_llm_cache_items_failed(ctx->items)) {
            return ngx_http_llm_cache_lookup_failed(r, ctx);
        }

        if (ctx->items && ngx_http_llm_cache_leads(&ctx->writer)) {
            return ngx_http_llm_cache_forward(r, ctx);
        }

        unfit = 0;

        do {
            rc = ctx->conversion ? NGX_OK
                                 : ngx_http_llm_cache_timed_find(r, ctx);

            if (rc == NGX_OK) {
                rc = ngx_http_llm_cache_serve(r, ctx);
                if (rc != NGX_DECLINED) {
                    return rc;
                }

                if (ngx_http_llm_cache_stand_apart(ctx) == NGX_OK) {
                    rc = NGX_AGAIN;
                    continue;
                }

                unfit = 1;

                if (!ngx_http_llm_cache_leads(&ctx->writer)) {
                    rc = ngx_http_llm_cache_enter(r, ctx, 1);
                }
            }

            if (rc == NGX_AGAIN) {
                ctx->status = NGX_HTTP_LLM_CACHE_MISS;

                rc = ngx_http_llm_cache_follow(r, ctx);
                if (rc != NGX_DECLINED) {
                    return rc;
                }

                /* that flight has failed, or was not to be waited for */

                rc = NGX_AGAIN;
            }

        } while (rc == NGX_AGAIN);

        if (unfit) {
            return ngx_http_llm_cache_forward(r, ctx);
        }

        rc = ngx_http_llm_cache_redis_ask(r, ctx);

        return rc == NGX_DECLINED ? ngx_http_llm_cache_similar(r, ctx) : rc;
    }

    return ngx_http_llm_cache_forward(r, ctx);
}


/* what was asked of the upstream was answered amiss: it is asked as the client
   did, and the answer is the client's alone */

static ngx_int_t
ngx_http_llm_cache_lookup_failed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_end(&ctx->writer, NGX_HTTP_LLM_CACHE_ALONE);
        ngx_http_llm_cache_zone_abandon(&ctx->writer);
    }

    ctx->status = NGX_HTTP_LLM_CACHE_MISS;
    ctx->may_store = 0;
    ctx->reason = LLM_REASON_INPUTS;

    return ngx_http_llm_cache_forward(r, ctx);
}


ngx_uint_t
ngx_http_llm_cache_wants_fresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->control.no_cache || ctx->control.max_age == 0) {
        ctx->by_request = 1;
        ctx->reason = LLM_REASON_CLIENT;
        ctx->bypass = LLM_REASON_CLIENT;
        return 1;
    }

    if (ngx_http_test_predicates(r, ctx->conf->bypass) != NGX_OK) {
        ctx->reason = LLM_REASON_OPERATOR;
        ctx->bypass = LLM_REASON_OPERATOR;
        return 1;
    }

    return 0;
}


/* Redis was asked: as above */

static ngx_int_t
ngx_http_llm_cache_answered(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->hold.node == NULL) {
        return ngx_http_llm_cache_similar(r, ctx);
    }

    if (ngx_http_llm_cache_open_record(r, ctx) == NGX_OK) {

        ctx->status = NGX_HTTP_LLM_CACHE_HIT;
        ctx->from_redis = 1;

        rc = ngx_http_llm_cache_serve(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (ngx_http_llm_cache_stand_apart(ctx) == NGX_OK) {
            return ngx_http_llm_cache_lookup(r, ctx);
        }
    }

    ngx_http_llm_cache_zone_release(&ctx->hold);

    return ngx_http_llm_cache_forward(r, ctx);
}


/*
 * As above, where nothing serves that has the request's own key; called again
 * when the question has been embedded.
 */

static ngx_int_t
ngx_http_llm_cache_similar(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ctx->by_request) {

        rc = ngx_http_llm_cache_find_similar(r, ctx);

        if (rc == NGX_OK) {
            rc = ngx_http_llm_cache_serve(r, ctx);
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_http_llm_cache_forward(r, ctx);
}


/*
 * Sends the record that is held.  NGX_DECLINED: it cannot be given; NGX_AGAIN:
 * it is sent later; else the response's code.
 */

static ngx_int_t
ngx_http_llm_cache_serve(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->reason = LLM_REASON_NONE;
    ctx->may_store = 0;

    if (ngx_http_llm_cache_convert(r, ctx) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (ngx_http_llm_cache_make_body(r, ctx) == NGX_OK) {

        if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
            ngx_http_llm_cache_semantic_served(ctx);

        } else if (ngx_http_llm_cache_leads(&ctx->writer)) {
            ngx_http_llm_cache_refresh(r, ctx);
        }

        ngx_http_llm_cache_zone_release(&ctx->failed_hold);

        return ngx_http_llm_cache_replay(r, ctx);
    }

    ngx_http_llm_cache_zone_release(&ctx->hold);

    if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
        ngx_http_llm_cache_semantic_undo(ctx);
        ctx->control.no_semantic = 1;

    } else {
        ctx->unfit = !ngx_http_llm_cache_same_form(ctx);
    }

    ctx->conversion = NULL;
    ctx->from_redis = 0;
    ctx->status = NGX_HTTP_LLM_CACHE_MISS;
    ngx_http_llm_cache_prepare_store(r, ctx);

    return NGX_DECLINED;
}


/* where both forms would go on taking each other's place under one key */

static ngx_int_t
ngx_http_llm_cache_stand_apart(ngx_http_llm_cache_ctx_t *ctx)
{
    if (!ctx->unfit || !ctx->record.split || ctx->apart) {
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_redis_end(ctx);
    ngx_http_llm_cache_zone_abandon(&ctx->writer);
    ngx_http_llm_cache_zone_release(&ctx->failed_hold);

    if (ngx_http_llm_cache_key_apart(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    ctx->unfit = 0;
    ctx->apart = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_forward(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->control.only_if_cached) {
        ctx->only_if_cached = 1;
        ctx->may_store = 0;
        return NGX_HTTP_GATEWAY_TIME_OUT;
    }

    ctx->fetched_at = ngx_current_msec;

    if (ctx->may_store) {
        ngx_http_llm_cache_semantic_ask(r, ctx);
        ngx_http_llm_cache_semantic_reuse(ctx);
    }

    if (ctx->may_store
        && ngx_http_llm_cache_hide_encodings(r, ctx) != NGX_OK)
    {
        ngx_http_llm_cache_refuse(ctx, LLM_REASON_NO_MEMORY);
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {

        if (ctx->failures) {
            ngx_http_llm_cache_flight_taken_over(&ctx->writer);
        }

        ngx_http_llm_cache_lead(r, ctx);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_cache_timed_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    uint64_t   start;
    ngx_int_t  rc;

    start = ngx_http_llm_cache_usec();
    rc = ngx_http_llm_cache_find(r, ctx);

    ngx_http_llm_cache_stat_observe(ctx->conf->zone->stat,
                                    NGX_HTTP_LLM_CACHE_LOOKUP_MEMORY,
                                    ngx_http_llm_cache_usec() - start);

    return rc;
}


/*
 * NGX_OK: a record that serves this client is held; NGX_AGAIN: a flight is;
 * else the request may lead one now.
 */

static ngx_int_t
ngx_http_llm_cache_find(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->failed) {
        ctx->failed = 0;

        if (ngx_http_llm_cache_find_stale(r, ctx) == NGX_OK) {
            return NGX_OK;
        }
    }

    if (ctx->hinted) {
        ctx->hinted = 0;

        if (ngx_http_llm_cache_semantic_take(r, ctx, &ctx->hint) == NGX_OK) {
            return NGX_OK;
        }
    }

    rc = ngx_http_llm_cache_enter(r, ctx, 0);

    if (rc == NGX_OK && !ngx_http_llm_cache_redis_verified(ctx, &ctx->hold)) {
        ngx_http_llm_cache_zone_release(&ctx->hold);
        ngx_http_llm_cache_zone_abandon(&ctx->writer);
        ngx_http_llm_cache_redis_drop(ctx, ctx->key);

        rc = ngx_http_llm_cache_enter(r, ctx, 0);
    }

    if (rc == NGX_OK) {

        if (ngx_http_llm_cache_open_record(r, ctx) == NGX_OK
            && ngx_http_llm_cache_serves(ctx))
        {
            ctx->status = ngx_http_llm_cache_fresh(ctx)
                          ? NGX_HTTP_LLM_CACHE_HIT
                          : NGX_HTTP_LLM_CACHE_UPDATING;
            return NGX_OK;
        }

        ngx_http_llm_cache_zone_release(&ctx->hold);

        /* others may be waiting for one that serves, or will be */

        if (ctx->status != NGX_HTTP_LLM_CACHE_EXPIRED) {
            ctx->status = NGX_HTTP_LLM_CACHE_MISS;
        }

        return ngx_http_llm_cache_leads(&ctx->writer)
               ? NGX_DECLINED : ngx_http_llm_cache_enter(r, ctx, 1);
    }

    if (rc != NGX_AGAIN) {
        ctx->status = (rc == NGX_BUSY) ? NGX_HTTP_LLM_CACHE_EXPIRED
                                       : NGX_HTTP_LLM_CACHE_MISS;
    }

    return rc;
}


/*
 * NGX_OK: as above, a record that answers a question of the same meaning;
 * NGX_DONE: the question is being embedded; NGX_DECLINED: there is none.
 */

static ngx_int_t
ngx_http_llm_cache_find_similar(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    uint64_t   start;
    ngx_int_t  rc;

    ngx_http_llm_cache_semantic_ask(r, ctx);

    if (ctx->semantic && !ctx->semantic->ready && !ctx->semantic->tried) {

        ctx->semantic->tried = 1;

        if (ngx_http_llm_cache_embed_ask(r, ctx) == NGX_AGAIN) {
            return NGX_DONE;
        }
    }

    if (ctx->semantic == NULL) {
        return NGX_DECLINED;
    }

    start = ngx_http_llm_cache_usec();
    rc = ngx_http_llm_cache_semantic_find(r, ctx);

    ngx_http_llm_cache_stat_observe(ctx->conf->zone->stat,
                                    NGX_HTTP_LLM_CACHE_LOOKUP_SEMANTIC,
                                    ngx_http_llm_cache_usec() - start);

    return rc;
}


/* looks into the zone, and takes part in a flight where it may */

ngx_int_t
ngx_http_llm_cache_enter(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_uint_t fetch)
{
    ngx_int_t                       rc;
    ngx_http_llm_cache_wish_t       wish;
    ngx_http_llm_cache_loc_conf_t  *conf;

    conf = ctx->conf;

    wish.key = ctx->key;
    wish.after = ctx->failed_hold.node;
    wish.kind = ctx->ask.form << 1
                | (ctx->ask.stream && ctx->ask.include_usage);
    wish.stale = 0;
    wish.fetch = fetch;
    wish.follow = conf->lock;
    wish.lead = ctx->may_store;

    if (conf->use_stale & NGX_HTTP_UPSTREAM_FT_UPDATING) {
        wish.stale = conf->stale;
    }

    /* the end of a body must not wait for the connection's */

    wish.refresh = conf->background_update && ctx->may_store
                   && r->http_version >= NGX_HTTP_VERSION_11
                   && ngx_http_llm_cache_may_orphan();

    if (ctx->alone || ctx->control.only_if_cached
        || (!conf->lock && !conf->ignore_client_abort && !wish.stale))
    {
        rc = fetch ? NGX_DECLINED
                   : ngx_http_llm_cache_zone_get(conf->zone, ctx->key, 0,
                                                 &ctx->hold);
    } else {
        rc = ngx_http_llm_cache_flight_enter(conf->zone, &wish, &ctx->hold,
                                             &ctx->writer);

        if (ngx_http_llm_cache_leads(&ctx->writer)) {
            ngx_http_llm_cache_tag(ctx);
            ngx_http_llm_cache_flight_tag(&ctx->writer, &ctx->tags);
        }
    }

    ngx_http_llm_cache_zone_release(&ctx->failed_hold);

    return rc;
}


ngx_uint_t
ngx_http_llm_cache_serves(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->control.max_age != LLM_CONTROL_UNSET
        && ctx->age > ctx->control.max_age)
    {
        ctx->status = NGX_HTTP_LLM_CACHE_EXPIRED;
        ctx->by_request = 1;
        ctx->reason = LLM_REASON_CLIENT;
        return 0;
    }

    if (ngx_http_llm_cache_same_form(ctx)
        && ctx->ask.include_usage
        && ctx->ask.stream
        && !ctx->record.has_usage
        && !ctx->record.usage_asked)
    {
        return 0;
    }

    return 1;
}


void
ngx_http_llm_cache_prepare_store(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->may_store = 0;

    if (ctx->control.no_store) {
        ctx->reason = LLM_REASON_CLIENT_NO_STORE;
        return;
    }

    if (ngx_http_test_predicates(r, ctx->conf->no_store) != NGX_OK) {
        ctx->reason = LLM_REASON_OPERATOR_NO_STORE;
        return;
    }

    ctx->may_store = 1;
}
