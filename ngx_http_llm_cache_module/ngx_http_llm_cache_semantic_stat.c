#include "ngx_http_llm_cache.h"


static ngx_int_t ngx_http_llm_cache_semantic_guard(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    llm_str_t name);
static ngx_int_t ngx_http_llm_cache_semantic_fraction(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_atomic_uint_t n, ngx_atomic_uint_t of,
    char *fmt);


#define NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(name, help)                       \
    { ngx_string(#name), offsetof(ngx_http_llm_cache_semantic_stat_t, name),  \
      1, help }

#define NGX_HTTP_LLM_CACHE_SEMANTIC_TIMER(name, counter, help)                \
    { ngx_string(#name),                                                      \
      offsetof(ngx_http_llm_cache_semantic_stat_t, counter), 1000000, help }


const ngx_http_llm_cache_semantic_counter_t
    ngx_http_llm_cache_semantic_counters[] =
{
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(lookups,
        "Questions looked for."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(hits,
        "Answers to other questions served."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(verified,
        "Hits that went upstream, both answers being compared."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(wrong,
        "Of these, hits that would have been wrong."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(unmeasured,
        "Hits that went upstream, and could not be compared."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(reported,
        "Bad hits reported."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(embeds,
        "Texts embedded."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_COUNTER(embed_errors,
        "Texts that could not be embedded."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_TIMER(embed_seconds, embed_usec,
        "Time that embedding took."),
    NGX_HTTP_LLM_CACHE_SEMANTIC_TIMER(search_seconds, search_usec,
        "Time that searching took."),
    { ngx_null_string, 0, 0, NULL }
};


/* of the zone that this location uses */

ngx_int_t
ngx_http_llm_cache_semantic_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    llm_str_t                                     name;
    ngx_atomic_uint_t                             n;
    ngx_http_llm_cache_loc_conf_t                *conf;
    ngx_http_llm_cache_semantic_stat_t           *stat;
    const ngx_http_llm_cache_semantic_counter_t  *counter;

    name = ngx_http_llm_cache_view((ngx_str_t *) data);
    name.data += sizeof("llm_cache_semantic_") - 1;
    name.len -= sizeof("llm_cache_semantic_") - 1;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    if (conf->zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    stat = ngx_http_llm_cache_zone_semantic(conf->zone);

    if (llm_str_eq(name, "false_rate", 10)) {
        return ngx_http_llm_cache_semantic_fraction(r, v, stat->wrong,
                                                    stat->verified, "%.4f");
    }

    counter = ngx_http_llm_cache_semantic_counters;

    for ( /* void */ ; counter->name.len; counter++) {

        if (!llm_str_eq(name, (char *) counter->name.data,
                        counter->name.len))
        {
            continue;
        }

        n = ngx_http_llm_cache_semantic_counted(stat, counter);

        return counter->per == 1
               ? ngx_http_llm_cache_set_number(r, v, (int64_t) n)
               : ngx_http_llm_cache_semantic_fraction(r, v, n, counter->per,
                                                      "%.6f");
    }

    return ngx_http_llm_cache_semantic_guard(r, v, stat, name);
}


/* "refused": by any of them; or "refused_NAME" */

static ngx_int_t
ngx_http_llm_cache_semantic_guard(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_http_llm_cache_semantic_stat_t *stat,
    llm_str_t name)
{
    unsigned           guards;
    ngx_uint_t         i;
    ngx_atomic_uint_t  n;

    guards = 0;

    if (llm_str_eq(name, "refused", 7)) {
        guards = LLM_GUARD_ALL;

    } else if (name.len > 8 && ngx_memcmp(name.data, "refused_", 8) == 0) {
        name.data += 8;
        name.len -= 8;
        guards = llm_guard_find(name);
    }

    if (guards == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    n = 0;

    for (i = 0; i < LLM_GUARDS; i++) {
        if (guards & (1u << i)) {
            n += stat->refused[i];
        }
    }

    return ngx_http_llm_cache_set_number(r, v, (int64_t) n);
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
