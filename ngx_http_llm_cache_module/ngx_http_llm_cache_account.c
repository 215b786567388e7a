/*
 * What each request counts for, once, when it is logged.
 */


#include "ngx_http_llm_cache.h"


static ngx_http_llm_cache_series_t *ngx_http_llm_cache_series_of(
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t create);
static void ngx_http_llm_cache_account_observed(
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_account_way(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e scope,
    ngx_http_llm_cache_series_t *series);
static ngx_uint_t ngx_http_llm_cache_saves(ngx_http_llm_cache_ctx_t *ctx);
static uint64_t ngx_http_llm_cache_cost(ngx_http_llm_cache_ctx_t *ctx,
    int64_t prompt, int64_t completion);
static void ngx_http_llm_cache_account_reasons(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat);
static void ngx_http_llm_cache_account_hit(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat);
static void ngx_http_llm_cache_spent(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_savings_t *spent);
static void ngx_http_llm_cache_add_savings(ngx_http_llm_cache_sum_t *sum,
    ngx_http_llm_cache_savings_t *savings);


ngx_int_t
ngx_http_llm_cache_log_handler(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t      *ctx;
    ngx_http_llm_cache_stat_t     *stat;
    ngx_http_llm_cache_period_t   *period;
    ngx_http_llm_cache_series_t   *series;
    ngx_http_llm_cache_savings_t   spent, savings;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx && ctx->observed) {
        ngx_http_llm_cache_account_observed(ctx);
        return NGX_OK;
    }

    if (ctx == NULL || ctx->conf == NULL
        || ctx->status == NGX_HTTP_LLM_CACHE_NONE)
    {
        return NGX_OK;
    }

    stat = ctx->conf->zone->stat;

    series = ngx_http_llm_cache_series_of(ctx, ngx_http_llm_cache_saves(ctx)
                                               || ctx->stored);

    ngx_http_llm_cache_count(&series->requests[ctx->status], 1);

    period = ngx_http_llm_cache_stat_period(stat);
    ngx_http_llm_cache_count(&period->requests, 1);

    ngx_http_llm_cache_account_reasons(ctx, stat);

    ngx_http_llm_cache_savings(ctx, &savings);
    ngx_http_llm_cache_add_savings(&series->saved, &savings);
    ngx_http_llm_cache_add_savings(&period->saved, &savings);

    if (ngx_http_llm_cache_saves(ctx)) {
        ngx_http_llm_cache_count(&period->hits, 1);
        ngx_http_llm_cache_account_hit(ctx, stat);

    } else if (ctx->stored) {
        ngx_http_llm_cache_spent(ctx, &spent);
        ngx_http_llm_cache_add_savings(&series->fetched, &spent);
    }

    return NGX_OK;
}


static ngx_http_llm_cache_series_t *
ngx_http_llm_cache_series_of(ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t create)
{
    ngx_str_t  location;

    location = ctx->conf->default_ns;

    /* a server may have no name */

    if (location.data[0] == ' ') {
        location.data++;
        location.len--;
    }

    return ngx_http_llm_cache_stat_series(ctx->conf->zone->stat, &location,
                                          &ctx->model, create);
}


/* what the cache would have done, by each of the scopes */

static void
ngx_http_llm_cache_account_observed(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                    i, create;
    llm_reason_e                  bypass;
    ngx_http_llm_cache_stat_t    *stat;
    ngx_http_llm_cache_series_t  *series;

    stat = ctx->conf->zone->stat;
    create = ctx->observed->sound;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {
        create |= ctx->observed->ways[i].status == NGX_HTTP_LLM_CACHE_HIT;
    }

    series = ngx_http_llm_cache_series_of(ctx, create);

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {
        ngx_http_llm_cache_account_way(ctx, i, series);
    }

    if (ngx_http_llm_cache_observed_status(ctx, 0)
        == NGX_HTTP_LLM_CACHE_BYPASS)
    {
        bypass = ctx->bypass == LLM_REASON_NONE ? ctx->reason : ctx->bypass;
        ngx_http_llm_cache_count(&stat->observed_bypass[bypass], 1);
    }

    if (ctx->reason > LLM_REASON_OPERATOR) {
        ngx_http_llm_cache_count(&stat->observed_refused[ctx->reason], 1);
    }
}


static void
ngx_http_llm_cache_account_way(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_scope_e scope,
    ngx_http_llm_cache_series_t *series)
{
    ngx_http_llm_cache_status_e            status;
    ngx_http_llm_cache_savings_t           savings;
    ngx_http_llm_cache_observed_stat_t    *counts;
    ngx_http_llm_cache_observed_answer_t  *answer;

    counts = &series->observed[scope];
    status = ngx_http_llm_cache_observed_status(ctx, scope);

    ngx_http_llm_cache_count(&counts->requests[status], 1);

    if (status == NGX_HTTP_LLM_CACHE_HIT) {

        answer = &ctx->observed->ways[scope].answer;

        savings.prompt_tokens = ngx_max(answer->prompt_tokens, 0);
        savings.completion_tokens = ngx_max(answer->completion_tokens, 0);
        savings.cost = ngx_http_llm_cache_cost(ctx, savings.prompt_tokens,
                                               savings.completion_tokens);
        savings.msec = answer->msec;

        ngx_http_llm_cache_add_savings(&counts->saved, &savings);
        return;
    }

    if (!ctx->observed->sound) {
        return;
    }

    ngx_http_llm_cache_spent(ctx, &savings);

    if (status == NGX_HTTP_LLM_CACHE_SHARED) {
        ngx_http_llm_cache_add_savings(&counts->saved, &savings);

    } else if (ctx->observed->stores) {
        ngx_http_llm_cache_add_savings(&counts->fetched, &savings);
    }
}


/* whether there was no upstream call for this request */

static ngx_uint_t
ngx_http_llm_cache_saves(ngx_http_llm_cache_ctx_t *ctx)
{
    return ngx_http_llm_cache_stored(ctx)
           || ctx->status == NGX_HTTP_LLM_CACHE_SHARED;
}


void
ngx_http_llm_cache_savings(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_savings_t *savings)
{
    ngx_memzero(savings, sizeof(ngx_http_llm_cache_savings_t));

    if (ngx_http_llm_cache_saves(ctx)) {
        savings->prompt_tokens = ngx_max(ctx->prompt_tokens, 0);
        savings->completion_tokens = ngx_max(ctx->completion_tokens, 0);
        savings->msec = ctx->record.msec;

    } else {

        /* of embeddings that were asked for in part */

        savings->prompt_tokens = ngx_max(ctx->saved_tokens, 0);
    }

    savings->cost = ngx_http_llm_cache_cost(ctx, savings->prompt_tokens,
                                            savings->completion_tokens);
}


static uint64_t
ngx_http_llm_cache_cost(ngx_http_llm_cache_ctx_t *ctx, int64_t prompt,
    int64_t completion)
{
    const llm_price_t  *price;

    if (ctx->conf->prices == NULL) {
        return 0;
    }

    price = llm_price_find(ctx->conf->prices->elts, ctx->conf->prices->nelts,
                           ngx_http_llm_cache_view(&ctx->model));

    return price ? llm_price_cost(price, prompt, completion) : 0;
}


/* the reasons of an answer come after those of a request */

static void
ngx_http_llm_cache_account_reasons(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat)
{
    llm_reason_e  bypass;

    if (ctx->status == NGX_HTTP_LLM_CACHE_BYPASS) {

        bypass = ctx->bypass == LLM_REASON_NONE ? ctx->reason : ctx->bypass;
        ngx_http_llm_cache_count(&stat->bypass[bypass], 1);
    }

    if (ctx->reason > LLM_REASON_OPERATOR) {
        ngx_http_llm_cache_count(&stat->refused[ctx->reason], 1);
    }
}


static void
ngx_http_llm_cache_account_hit(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat)
{
    ngx_http_llm_cache_tier_e  tier;

    if (ctx->status == NGX_HTTP_LLM_CACHE_SHARED) {
        tier = NGX_HTTP_LLM_CACHE_TIER_FLIGHT;

    } else if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
        tier = NGX_HTTP_LLM_CACHE_TIER_SEMANTIC;

    } else {
        tier = ctx->from_redis ? NGX_HTTP_LLM_CACHE_TIER_REDIS
                               : NGX_HTTP_LLM_CACHE_TIER_MEMORY;
    }

    ngx_http_llm_cache_count(&stat->hits[tier][ctx->converted], 1);

    if (tier != NGX_HTTP_LLM_CACHE_TIER_FLIGHT) {
        ngx_http_llm_cache_stat_observe(stat, NGX_HTTP_LLM_CACHE_AGE,
                                        (uint64_t) ngx_max(ctx->age, 0));
    }
}


/* for an answer that was fetched */

static void
ngx_http_llm_cache_spent(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_savings_t *spent)
{
    spent->prompt_tokens = ngx_max(ctx->prompt_tokens, 0)
                           - ngx_max(ctx->saved_tokens, 0);
    spent->completion_tokens = ngx_max(ctx->completion_tokens, 0);
    spent->cost = ngx_http_llm_cache_cost(ctx, spent->prompt_tokens,
                                          spent->completion_tokens);
    spent->msec = ctx->record.msec;
}


void
ngx_http_llm_cache_account_stored(ngx_http_llm_cache_zone_t *zone,
    const llm_record_t *rec)
{
    ngx_http_llm_cache_count(&zone->stat->stored, 1);

    ngx_http_llm_cache_stat_observe(zone->stat, NGX_HTTP_LLM_CACHE_UPSTREAM,
                                    (uint64_t) rec->msec * 1000);
    ngx_http_llm_cache_stat_observe(zone->stat, NGX_HTTP_LLM_CACHE_LIFETIME,
                                    rec->expires - rec->created);
}


void
ngx_http_llm_cache_account_refreshed(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_savings_t  spent;

    ngx_http_llm_cache_spent(ctx, &spent);
    ngx_http_llm_cache_add_savings(
                           &ngx_http_llm_cache_series_of(ctx, 1)->fetched,
                           &spent);
}


static void
ngx_http_llm_cache_add_savings(ngx_http_llm_cache_sum_t *sum,
    ngx_http_llm_cache_savings_t *savings)
{
    ngx_http_llm_cache_count(&sum->prompt_tokens,
                             (uint64_t) savings->prompt_tokens);
    ngx_http_llm_cache_count(&sum->completion_tokens,
                             (uint64_t) savings->completion_tokens);
    ngx_http_llm_cache_count(&sum->cost, savings->cost);
    ngx_http_llm_cache_count(&sum->msec, savings->msec);
}


char *
ngx_http_llm_cache_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t    *value;
    llm_price_t  *price;

    if (lcf->prices == NULL) {
        lcf->prices = ngx_array_create(cf->pool, 8, sizeof(llm_price_t));
        if (lcf->prices == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    price = ngx_array_push(lcf->prices);
    if (price == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    price->glob = ngx_http_llm_cache_view(&value[1]);

    if (llm_price_parse(ngx_http_llm_cache_view(&value[2]), &price->prompt)
        != 0)
    {
        return ngx_http_llm_cache_invalid(cf, &value[2]);
    }

    if (llm_price_parse(ngx_http_llm_cache_view(&value[3]),
                        &price->completion)
        != 0)
    {
        return ngx_http_llm_cache_invalid(cf, &value[3]);
    }

    return NGX_CONF_OK;
}
