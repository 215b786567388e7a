#include "ngx_http_llm_cache_holds.h"


#if (NGX_HTTP_LLM_CACHE_HOLDS)

#include <time.h>


/* the bucket n counts holds of less than 2^n nanoseconds */
#define NGX_HTTP_LLM_CACHE_HOLD_BUCKETS  40


static uint64_t ngx_http_llm_cache_hold_clock(void);


static uint64_t    ngx_http_llm_cache_hold_start;
static ngx_uint_t  ngx_http_llm_cache_hold_times[
                                             NGX_HTTP_LLM_CACHE_HOLD_BUCKETS];


void
ngx_http_llm_cache_hold_begins(void)
{
    ngx_http_llm_cache_hold_start = ngx_http_llm_cache_hold_clock();
}


void
ngx_http_llm_cache_hold_ends(void)
{
    uint64_t    time;
    ngx_uint_t  n;

    time = ngx_http_llm_cache_hold_clock() - ngx_http_llm_cache_hold_start;

    for (n = 0; time && n < NGX_HTTP_LLM_CACHE_HOLD_BUCKETS - 1; n++) {
        time >>= 1;
    }

    ngx_http_llm_cache_hold_times[n]++;
}


void
ngx_http_llm_cache_log_holds(ngx_log_t *log)
{
    ngx_uint_t  n;

    for (n = 0; n < NGX_HTTP_LLM_CACHE_HOLD_BUCKETS; n++) {

        if (ngx_http_llm_cache_hold_times[n] == 0) {
            continue;
        }

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "llm cache: the lock was held for less than %uL ns "
                      "%ui times",
                      (uint64_t) 1 << n, ngx_http_llm_cache_hold_times[n]);
    }
}


static uint64_t
ngx_http_llm_cache_hold_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

#endif
