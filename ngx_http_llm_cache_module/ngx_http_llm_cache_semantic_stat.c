#include "ngx_http_llm_cache.h"


static ngx_int_t ngx_http_llm_cache_semantic_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    ngx_uint_t kind, size_t offset);
static ngx_int_t ngx_http_llm_cache_semantic_guard(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    llm_str_t name);
static ngx_atomic_uint_t ngx_http_llm_cache_semantic_all_refused(
    ngx_http_llm_cache_semantic_stat_t *stat);
static ngx_int_t ngx_http_llm_cache_semantic_fraction(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_atomic_uint_t n, ngx_atomic_uint_t of,
    char *fmt);


#define NGX_HTTP_LLM_CACHE_REFUSED  "llm_cache_semantic_refused_"

#define NGX_HTTP_LLM_CACHE_COUNT    0
#define NGX_HTTP_LLM_CACHE_SECONDS  1
#define NGX_HTTP_LLM_CACHE_RATE     2
#define NGX_HTTP_LLM_CACHE_SUM      3

#define ngx_http_llm_cache_semantic_at(name)                                  \
    offsetof(ngx_http_llm_cache_semantic_stat_t, name)


static struct {
    ngx_str_t   name;
    ngx_uint_t  kind;
    size_t      offset;
} ngx_http_llm_cache_semantic_values[] = {
    { ngx_string("llm_cache_semantic_lookups"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(lookups) },
    { ngx_string("llm_cache_semantic_hits"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(hits) },
    { ngx_string("llm_cache_semantic_refused"), NGX_HTTP_LLM_CACHE_SUM, 0 },
    { ngx_string("llm_cache_semantic_verified"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(verified) },
    { ngx_string("llm_cache_semantic_wrong"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(wrong) },
    { ngx_string("llm_cache_semantic_false_rate"), NGX_HTTP_LLM_CACHE_RATE,
      0 },
    { ngx_string("llm_cache_semantic_unmeasured"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(unmeasured) },
    { ngx_string("llm_cache_semantic_reported"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(reported) },
    { ngx_string("llm_cache_semantic_embeds"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(embeds) },
    { ngx_string("llm_cache_semantic_embed_errors"), NGX_HTTP_LLM_CACHE_COUNT,
      ngx_http_llm_cache_semantic_at(embed_errors) },
    { ngx_string("llm_cache_semantic_embed_time"), NGX_HTTP_LLM_CACHE_SECONDS,
      ngx_http_llm_cache_semantic_at(embed_usec) },
    { ngx_string("llm_cache_semantic_search_time"),
      NGX_HTTP_LLM_CACHE_SECONDS,
      ngx_http_llm_cache_semantic_at(search_usec) },
    { ngx_null_string, 0, 0 }
};


/* of the zone that this location uses */

ngx_int_t
ngx_http_llm_cache_semantic_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    llm_str_t                            name;
    ngx_str_t                           *known;
    ngx_uint_t                           i;
    ngx_http_llm_cache_loc_conf_t       *conf;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    name = ngx_http_llm_cache_view((ngx_str_t *) data);
    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    if (conf->zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    stat = ngx_http_llm_cache_zone_semantic(conf->zone);

    for (i = 0; ngx_http_llm_cache_semantic_values[i].name.len; i++) {

        known = &ngx_http_llm_cache_semantic_values[i].name;

        if (llm_str_eq(name, (char *) known->data, known->len)) {
            return ngx_http_llm_cache_semantic_value(r, v, stat,
                               ngx_http_llm_cache_semantic_values[i].kind,
                               ngx_http_llm_cache_semantic_values[i].offset);
        }
    }

    return ngx_http_llm_cache_semantic_guard(r, v, stat, name);
}


static ngx_int_t
ngx_http_llm_cache_semantic_value(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    ngx_uint_t kind, size_t offset)
{
    ngx_atomic_uint_t  n;

    n = *(ngx_atomic_t *) ((char *) stat + offset);

    switch (kind) {

    case NGX_HTTP_LLM_CACHE_SECONDS:
        return ngx_http_llm_cache_semantic_fraction(r, v, n, 1000000, "%.6f");

    case NGX_HTTP_LLM_CACHE_RATE:
        return ngx_http_llm_cache_semantic_fraction(r, v, stat->wrong,
                                                    stat->verified, "%.4f");

    case NGX_HTTP_LLM_CACHE_SUM:
        n = ngx_http_llm_cache_semantic_all_refused(stat);
        break;
    }

    return ngx_http_llm_cache_set_number(r, v, (int64_t) n);
}


static ngx_int_t
ngx_http_llm_cache_semantic_guard(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    llm_str_t name)
{
    size_t      len;
    unsigned    guard;
    ngx_uint_t  i;

    len = sizeof(NGX_HTTP_LLM_CACHE_REFUSED) - 1;

    if (name.len > len
        && ngx_memcmp(name.data, NGX_HTTP_LLM_CACHE_REFUSED, len) == 0)
    {
        name.data += len;
        name.len -= len;

        guard = llm_guard_find(name);

        for (i = 0; i < LLM_GUARDS; i++) {
            if (guard == 1u << i) {
                return ngx_http_llm_cache_set_number(r, v,
                                                (int64_t) stat->refused[i]);
            }
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static ngx_atomic_uint_t
ngx_http_llm_cache_semantic_all_refused(
    ngx_http_llm_cache_semantic_stat_t *stat)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  n;

    n = 0;

    for (i = 0; i < LLM_GUARDS; i++) {
        n += stat->refused[i];
    }

    return n;
}


/* none of nothing */

static ngx_int_t
ngx_http_llm_cache_semantic_fraction(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_atomic_uint_t n, ngx_atomic_uint_t of,
    char *fmt)
{
    u_char     *p;
    llm_str_t   value;

    value.len = 0;
    value.data = NULL;

    if (of) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 8);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(p, fmt, (double) n / (double) of) - p;
        value.data = p;
    }

    return ngx_http_llm_cache_set_value(r, v, value);
}
