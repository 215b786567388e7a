/*
 * What each request counts for, once, when it is logged.
 */


#include "ngx_http_llm_cache.h"


static ngx_uint_t ngx_http_llm_cache_saves(ngx_http_llm_cache_ctx_t *ctx);
static uint64_t ngx_http_llm_cache_cost(ngx_http_llm_cache_ctx_t *ctx,
    int64_t prompt, int64_t completion);
static void ngx_http_llm_cache_account_reasons(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat);
static void ngx_http_llm_cache_account_hit(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_stat_t *stat);
static void ngx_http_llm_cache_account_fetched(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_series_t *series);
static void ngx_http_llm_cache_add_savings(ngx_http_llm_cache_sum_t *sum,
    ngx_http_llm_cache_savings_t *savings);


ngx_int_t
ngx_http_llm_cache_log_handler(ngx_http_request_t *r)
{
    ngx_str_t                      location;
    ngx_http_llm_cache_ctx_t      *ctx;
    ngx_http_llm_cache_stat_t     *stat;
    ngx_http_llm_cache_period_t   *period;
    ngx_http_llm_cache_series_t   *series;
    ngx_http_llm_cache_savings_t   savings;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx == NULL || ctx->conf == NULL
        || ctx->status == NGX_HTTP_LLM_CACHE_NONE)
    {
        return NGX_OK;
    }

    stat = ctx->conf->zone->stat;

    /* a server may have no name */

    location = ctx->conf->default_ns;

    if (location.data[0] == ' ') {
        location.data++;
        location.len--;
    }

    series = ngx_http_llm_cache_stat_series(stat, &location, &ctx->model,
                                            ngx_http_llm_cache_saves(ctx)
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
        ngx_http_llm_cache_account_fetched(ctx, series);
    }

    return NGX_OK;
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


static void
ngx_http_llm_cache_account_fetched(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_series_t *series)
{
    ngx_http_llm_cache_savings_t  spent;

    spent.prompt_tokens = ngx_max(ctx->prompt_tokens, 0)
                          - ngx_max(ctx->saved_tokens, 0);
    spent.completion_tokens = ngx_max(ctx->completion_tokens, 0);
    spent.cost = ngx_http_llm_cache_cost(ctx, spent.prompt_tokens,
                                         spent.completion_tokens);
    spent.msec = ctx->record.msec;

    ngx_http_llm_cache_add_savings(&series->fetched, &spent);
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
