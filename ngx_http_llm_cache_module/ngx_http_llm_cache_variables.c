#include "ngx_http_llm_cache.h"


#define NGX_HTTP_LLM_CACHE_REDIS_VARS     "llm_cache_redis_"
#define NGX_HTTP_LLM_CACHE_SEMANTIC_VARS  "llm_cache_semantic_"


typedef enum {
    NGX_HTTP_LLM_CACHE_VAR_STATUS = 0,
    NGX_HTTP_LLM_CACHE_VAR_OBSERVED,
    NGX_HTTP_LLM_CACHE_VAR_REASON,
    NGX_HTTP_LLM_CACHE_VAR_KEY,
    NGX_HTTP_LLM_CACHE_VAR_TIER,
    NGX_HTTP_LLM_CACHE_VAR_AGE,
    NGX_HTTP_LLM_CACHE_VAR_TTL,
    NGX_HTTP_LLM_CACHE_VAR_SIMILARITY,
    NGX_HTTP_LLM_CACHE_VAR_MODEL,
    NGX_HTTP_LLM_CACHE_VAR_DIALECT,
    NGX_HTTP_LLM_CACHE_VAR_PROMPT_TOKENS,
    NGX_HTTP_LLM_CACHE_VAR_COMPLETION_TOKENS,
    NGX_HTTP_LLM_CACHE_VAR_SAVED_TOKENS,
    NGX_HTTP_LLM_CACHE_VAR_SAVED_COST,
    NGX_HTTP_LLM_CACHE_VAR_FLIGHTS,
    NGX_HTTP_LLM_CACHE_VAR_FOLLOWERS,
    NGX_HTTP_LLM_CACHE_VAR_TAKEOVERS,
    NGX_HTTP_LLM_CACHE_VAR_FLYING,
    NGX_HTTP_LLM_CACHE_VAR_FREE
} ngx_http_llm_cache_variable_e;


static ngx_int_t ngx_http_llm_cache_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_cache_cost_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_cache_zone_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_cache_redis_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_uint_t ngx_http_llm_cache_same(const ngx_str_t *a,
    const ngx_str_t *b);
static ngx_int_t ngx_http_llm_cache_redis_state_word(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_loc_conf_t *conf);
static ngx_int_t ngx_http_llm_cache_redis_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_llm_cache_set_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, llm_str_t text);
static ngx_int_t ngx_http_llm_cache_set_copy(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const u_char *data, size_t len);
static ngx_int_t ngx_http_llm_cache_request_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_cache_key_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_ctx_t *ctx);


static ngx_http_variable_t  ngx_http_llm_cache_vars[] = {

    { ngx_string("llm_cache_status"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_observed"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_OBSERVED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_reason"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_REASON, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_key"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_KEY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_tier"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_TIER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_similarity"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_SIMILARITY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_model"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_MODEL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_dialect"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_DIALECT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_age"), NULL, ngx_http_llm_cache_number_variable,
      NGX_HTTP_LLM_CACHE_VAR_AGE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_ttl"), NULL, ngx_http_llm_cache_number_variable,
      NGX_HTTP_LLM_CACHE_VAR_TTL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_prompt_tokens"), NULL,
      ngx_http_llm_cache_number_variable,
      NGX_HTTP_LLM_CACHE_VAR_PROMPT_TOKENS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_completion_tokens"), NULL,
      ngx_http_llm_cache_number_variable,
      NGX_HTTP_LLM_CACHE_VAR_COMPLETION_TOKENS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_saved_tokens"), NULL,
      ngx_http_llm_cache_number_variable,
      NGX_HTTP_LLM_CACHE_VAR_SAVED_TOKENS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_saved_cost"), NULL, ngx_http_llm_cache_variable,
      NGX_HTTP_LLM_CACHE_VAR_SAVED_COST, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_zone_flights"), NULL,
      ngx_http_llm_cache_zone_variable,
      NGX_HTTP_LLM_CACHE_VAR_FLIGHTS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_zone_followers"), NULL,
      ngx_http_llm_cache_zone_variable,
      NGX_HTTP_LLM_CACHE_VAR_FOLLOWERS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_zone_takeovers"), NULL,
      ngx_http_llm_cache_zone_variable,
      NGX_HTTP_LLM_CACHE_VAR_TAKEOVERS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_zone_flying"), NULL,
      ngx_http_llm_cache_zone_variable,
      NGX_HTTP_LLM_CACHE_VAR_FLYING, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cache_zone_free"), NULL,
      ngx_http_llm_cache_zone_variable,
      NGX_HTTP_LLM_CACHE_VAR_FREE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    /* one prefix instead of many names, which nginx's hash has no room for */

    { ngx_string(NGX_HTTP_LLM_CACHE_REDIS_VARS), NULL,
      ngx_http_llm_cache_redis_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string(NGX_HTTP_LLM_CACHE_SEMANTIC_VARS), NULL,
      ngx_http_llm_cache_semantic_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("llm_request_"), NULL, ngx_http_llm_cache_request_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_llm_cache_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_llm_cache_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    llm_str_t                  value;
    ngx_str_t                  text;
    ngx_http_llm_cache_ctx_t  *ctx;

    static const llm_str_t  memory = llm_string("memory");
    static const llm_str_t  redis = llm_string("redis");
    static const llm_str_t  semantic = llm_string("semantic");

    ctx = ngx_http_llm_cache_get_ctx(r->main);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    value.len = 0;
    value.data = NULL;

    switch (data) {

    case NGX_HTTP_LLM_CACHE_VAR_STATUS:
        value = ngx_http_llm_cache_view(
                               ngx_http_llm_cache_status_word(ctx->status));
        break;

    case NGX_HTTP_LLM_CACHE_VAR_OBSERVED:
        value = ngx_http_llm_cache_view(ngx_http_llm_cache_status_word(
                   ngx_http_llm_cache_observed_status(ctx,
                                     NGX_HTTP_LLM_CACHE_OBSERVED_LOCATION)));
        break;

    case NGX_HTTP_LLM_CACHE_VAR_REASON:
        value = llm_reason_word(ctx->reason);
        break;

    case NGX_HTTP_LLM_CACHE_VAR_KEY:
        return ngx_http_llm_cache_key_value(r, v, ctx);

    case NGX_HTTP_LLM_CACHE_VAR_TIER:
        if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
            value = semantic;

        } else if (ngx_http_llm_cache_stored(ctx)) {
            value = ctx->from_redis ? redis : memory;
        }

        break;

    case NGX_HTTP_LLM_CACHE_VAR_SIMILARITY:
        if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {

            if (ngx_http_llm_cache_similarity(r, ctx, &text) != NGX_OK) {
                return NGX_ERROR;
            }

            value = ngx_http_llm_cache_view(&text);
        }

        break;

    case NGX_HTTP_LLM_CACHE_VAR_MODEL:
        return ngx_http_llm_cache_set_text(r, v,
                                        ngx_http_llm_cache_view(&ctx->model));

    case NGX_HTTP_LLM_CACHE_VAR_DIALECT:
        value = ctx->route.dialect->name;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_SAVED_COST:
        return ngx_http_llm_cache_cost_value(r, v, ctx);
    }

    return ngx_http_llm_cache_set_value(r, v, value);
}


ngx_int_t
ngx_http_llm_cache_set_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, llm_str_t value)
{
    v->not_found = (value.len == 0);
    v->valid = !v->not_found;
    v->no_cacheable = 0;
    v->len = value.len;
    v->data = (u_char *) value.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_key_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_ctx_t *ctx)
{
    llm_str_t   value;
    u_char     *p;

    value.len = 0;
    value.data = NULL;

    if (ctx->has_key) {
        p = ngx_pnalloc(r->pool, 2 * LLM_KEY_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        llm_key_hex(ctx->key, p);

        value.len = 2 * LLM_KEY_LEN;
        value.data = p;
    }

    return ngx_http_llm_cache_set_value(r, v, value);
}


/* in units of currency, by llm_cache_price */

static ngx_int_t
ngx_http_llm_cache_cost_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_ctx_t *ctx)
{
    u_char                        *p;
    llm_str_t                      value;
    ngx_http_llm_cache_savings_t   savings;

    ngx_http_llm_cache_savings(ctx, &savings);

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 10);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%uL.%09uL", savings.cost / 1000000000,
                            savings.cost % 1000000000)
                - p;

    return ngx_http_llm_cache_set_value(r, v, value);
}


static ngx_int_t
ngx_http_llm_cache_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    int64_t                        n;
    ngx_uint_t                     hit;
    ngx_http_llm_cache_ctx_t      *ctx;
    ngx_http_llm_cache_savings_t   savings;

    ctx = ngx_http_llm_cache_get_ctx(r->main);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    hit = ngx_http_llm_cache_stored(ctx);
    n = -1;

    switch (data) {

    case NGX_HTTP_LLM_CACHE_VAR_AGE:
        n = hit ? ctx->age : -1;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_TTL:
        n = hit ? ngx_max((int64_t) ctx->record.expires - ngx_time(), 0) : -1;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_PROMPT_TOKENS:
        n = ctx->prompt_tokens;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_COMPLETION_TOKENS:
        n = ctx->completion_tokens;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_SAVED_TOKENS:
        ngx_http_llm_cache_savings(ctx, &savings);
        n = savings.prompt_tokens + savings.completion_tokens;
        break;
    }

    return ngx_http_llm_cache_set_number(r, v, n);
}


/* of the zone that this location uses */

static ngx_int_t
ngx_http_llm_cache_zone_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    int64_t                         n;
    ngx_http_llm_cache_stat_t      *stat;
    ngx_http_llm_cache_gauges_t     gauges;
    ngx_http_llm_cache_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    if (conf->zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    stat = conf->zone->stat;
    ngx_http_llm_cache_zone_gauges(conf->zone, &gauges);

    switch (data) {

    case NGX_HTTP_LLM_CACHE_VAR_FLIGHTS:
        n = (int64_t) stat->flights;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_FOLLOWERS:
        n = (int64_t) stat->followers;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_TAKEOVERS:
        n = (int64_t) stat->takeovers;
        break;

    case NGX_HTTP_LLM_CACHE_VAR_FLYING:
        n = gauges.flying;
        break;

    default: /* NGX_HTTP_LLM_CACHE_VAR_FREE */
        n = gauges.free;
    }

    return ngx_http_llm_cache_set_number(r, v, n);
}


/* what the zone that this location uses has counted of Redis, and more */

static ngx_int_t
ngx_http_llm_cache_redis_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                                  name;
    ngx_http_llm_cache_loc_conf_t             *conf;
    const ngx_http_llm_cache_redis_counter_t  *counter;

    static ngx_str_t  state = ngx_string("state");
    static ngx_str_t  time = ngx_string("time");

    name = *(ngx_str_t *) data;
    name.data += sizeof(NGX_HTTP_LLM_CACHE_REDIS_VARS) - 1;
    name.len -= sizeof(NGX_HTTP_LLM_CACHE_REDIS_VARS) - 1;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    if (ngx_http_llm_cache_same(&name, &time)) {
        return ngx_http_llm_cache_redis_time(r, v);
    }

    if (ngx_http_llm_cache_same(&name, &state)) {
        return ngx_http_llm_cache_redis_state_word(r, v, conf);
    }

    counter = conf->zone ? ngx_http_llm_cache_redis_counters : NULL;

    for ( /* void */ ; counter && counter->name.len; counter++) {
        if (ngx_http_llm_cache_same(&name, &counter->name)) {
            return ngx_http_llm_cache_set_number(r, v,
                       (int64_t) ngx_http_llm_cache_redis_counted(
                                     ngx_http_llm_cache_zone_redis(conf->zone),
                                     counter));
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_cache_same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* of this worker's connections */

static ngx_int_t
ngx_http_llm_cache_redis_state_word(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_loc_conf_t *conf)
{
    llm_str_t  value;

    if (conf->redis == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    value = ngx_http_llm_cache_redis_word(
                               ngx_http_llm_cache_redis_state(conf->redis));

    return ngx_http_llm_cache_set_value(r, v, value);
}


/* in seconds, that the request waited for Redis */

static ngx_int_t
ngx_http_llm_cache_redis_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    u_char                    *p;
    llm_str_t                  value;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r->main);

    if (ctx == NULL || !ctx->redis_asked) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%T.%03M", (time_t) ctx->redis_msec / 1000,
                            ctx->redis_msec % 1000)
                - p;

    return ngx_http_llm_cache_set_value(r, v, value);
}


ngx_int_t
ngx_http_llm_cache_set_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t n)
{
    u_char     *p;
    llm_str_t   value;

    value.len = 0;
    value.data = NULL;

    if (n >= 0) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(p, "%L", n) - p;
        value.data = p;
    }

    return ngx_http_llm_cache_set_value(r, v, value);
}


/* $llm_request_NAME: a top-level field of the body as canonical JSON */

static ngx_int_t
ngx_http_llm_cache_request_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t                  rc;
    ngx_str_t                  name;
    json_t                    *field;
    llm_buf_t                  buf;
    llm_str_t                  value;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r->main);

    if (ctx == NULL
        || ngx_http_llm_cache_load(r->main, ctx) != LLM_REASON_NONE)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    name = *(ngx_str_t *) data;
    name.data += sizeof("llm_request_") - 1;
    name.len -= sizeof("llm_request_") - 1;

    field = json_object_getn(ctx->doc, (char *) name.data, name.len);

    if (field == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (json_is_string(field)) {
        value.data = (u_char *) json_string_value(field);
        value.len = json_string_length(field);

        return ngx_http_llm_cache_set_text(r, v, value);
    }

    ngx_memzero(&buf, sizeof(llm_buf_t));

    rc = llm_json_canon(field, &buf) == 0
         ? ngx_http_llm_cache_set_copy(r, v, buf.data, buf.len) : NGX_ERROR;

    llm_buf_free(&buf);

    return rc;
}


/*
 * A client's string as it is, but for one that could end a line where the
 * value goes into a header: that is told as JSON, and so is one that begins as
 * such a JSON string does, so that no two strings are told alike.
 */

static ngx_int_t
ngx_http_llm_cache_set_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, llm_str_t text)
{
    size_t      i;
    ngx_int_t   rc;
    llm_buf_t   buf;

    for (i = 0; i < text.len && text.data[i] >= 0x20; i++) { /* void */ }

    if (i == text.len && (i == 0 || text.data[0] != '"')) {
        return ngx_http_llm_cache_set_copy(r, v, text.data, text.len);
    }

    ngx_memzero(&buf, sizeof(llm_buf_t));

    rc = llm_json_canon_string((char *) text.data, text.len, &buf) == 0
         ? ngx_http_llm_cache_set_copy(r, v, buf.data, buf.len) : NGX_ERROR;

    llm_buf_free(&buf);

    return rc;
}


/* the document may be gone before the value is */

static ngx_int_t
ngx_http_llm_cache_set_copy(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const u_char *data, size_t len)
{
    u_char     *p;
    llm_str_t   value;

    p = NULL;

    if (len) {
        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, data, len);
    }

    value.data = p;
    value.len = len;

    return ngx_http_llm_cache_set_value(r, v, value);
}
