#include "ngx_http_llm_cache_redis_stat.h"


#define NGX_HTTP_LLM_CACHE_REDIS_COUNTER(name, help)                          \
    { ngx_string(#name), offsetof(ngx_http_llm_cache_redis_stat_t, name),     \
      help }


const ngx_http_llm_cache_redis_counter_t
    ngx_http_llm_cache_redis_counters[] =
{
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(lookups,
        "Keys looked up."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(hits,
        "Keys found."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(misses,
        "Keys not found."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(errors,
        "Keys of which Redis told nothing."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(timeouts,
        "Keys of which Redis told nothing in time."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(skipped,
        "Requests for which Redis was not asked, as it did not answer."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(damaged,
        "Values that were no records."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(stores,
        "Values stored."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(store_errors,
        "Values that could not be stored."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(dropped,
        "Values not stored as the queue was full."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(invalidations,
        "Changes that Redis told of."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(unverified,
        "Records not served as Redis could not vouch for them."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(connections,
        "Connections begun."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(failures,
        "Connections that failed."),
    NGX_HTTP_LLM_CACHE_REDIS_COUNTER(opened,
        "Times that the breaker opened."),
    { ngx_null_string, 0, NULL }
};
