/*
 * What is counted, in shared memory of its own: it survives a reload, and an
 * index that has to start empty.  There are no locks: a worker may be killed
 * at any instruction.
 */


#ifndef _NGX_HTTP_LLM_CACHE_STAT_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_STAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_reason.h"
#include "ngx_http_llm_cache_semantic_stat.h"


/* pairs of a location and a model that are told apart; the first is all
   others' */
#define NGX_HTTP_LLM_CACHE_SERIES    256

/* longer names are cut, or not told apart */
#define NGX_HTTP_LLM_CACHE_LABEL     96

#define NGX_HTTP_LLM_CACHE_BUCKETS   12

/* seconds of a period of the history, which is a day long */
#define NGX_HTTP_LLM_CACHE_PERIOD    300
#define NGX_HTTP_LLM_CACHE_PERIODS   288


typedef enum {
    NGX_HTTP_LLM_CACHE_NONE = 0,
    NGX_HTTP_LLM_CACHE_HIT,
    NGX_HTTP_LLM_CACHE_MISS,
    NGX_HTTP_LLM_CACHE_BYPASS,
    NGX_HTTP_LLM_CACHE_EXPIRED,
    NGX_HTTP_LLM_CACHE_STALE,
    NGX_HTTP_LLM_CACHE_UPDATING,
    NGX_HTTP_LLM_CACHE_SHARED,
    NGX_HTTP_LLM_CACHE_SEMANTIC,
    NGX_HTTP_LLM_CACHE_PARTIAL,
    NGX_HTTP_LLM_CACHE_STATUS_MAX
} ngx_http_llm_cache_status_e;


typedef enum {
    NGX_HTTP_LLM_CACHE_TIER_MEMORY = 0,
    NGX_HTTP_LLM_CACHE_TIER_REDIS,
    NGX_HTTP_LLM_CACHE_TIER_SEMANTIC,
    NGX_HTTP_LLM_CACHE_TIER_FLIGHT,
    NGX_HTTP_LLM_CACHE_TIER_MAX
} ngx_http_llm_cache_tier_e;


/* whose answers an observed request might share */

typedef enum {
    NGX_HTTP_LLM_CACHE_OBSERVED_LOCATION = 0,  /* as it is configured */
    NGX_HTTP_LLM_CACHE_OBSERVED_CREDENTIALS,
    NGX_HTTP_LLM_CACHE_OBSERVED_SHARED,
    NGX_HTTP_LLM_CACHE_OBSERVED_MAX
} ngx_http_llm_cache_observed_scope_e;


/* times are in microseconds, ages and lifetimes in seconds */

typedef enum {
    NGX_HTTP_LLM_CACHE_LOOKUP_MEMORY = 0,
    NGX_HTTP_LLM_CACHE_LOOKUP_REDIS,
    NGX_HTTP_LLM_CACHE_LOOKUP_SEMANTIC,
    NGX_HTTP_LLM_CACHE_UPSTREAM,
    NGX_HTTP_LLM_CACHE_AGE,
    NGX_HTTP_LLM_CACHE_LIFETIME,
    NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX
} ngx_http_llm_cache_histogram_e;


/* how many were in each bucket, not below it; the last has no bound */

typedef struct {
    ngx_atomic_t                 counts[NGX_HTTP_LLM_CACHE_BUCKETS + 1];
    ngx_atomic_t                 sum;
} ngx_http_llm_cache_histogram_t;


typedef struct {
    ngx_atomic_t                 prompt_tokens;
    ngx_atomic_t                 completion_tokens;
    ngx_atomic_t                 cost;       /* billionths */
    ngx_atomic_t                 msec;
} ngx_http_llm_cache_sum_t;


/* what llm_cache on would have given, within one scope */

typedef struct {
    ngx_atomic_t                 requests[NGX_HTTP_LLM_CACHE_STATUS_MAX];
    ngx_http_llm_cache_sum_t     saved;
    ngx_http_llm_cache_sum_t     fetched;
} ngx_http_llm_cache_observed_stat_t;


typedef struct {
    ngx_atomic_t                 id;         /* of its names; 0: free */
    ngx_atomic_t                 named;      /* they can be read */
    u_char                       location_len;
    u_char                       model_len;
    u_char                       location[NGX_HTTP_LLM_CACHE_LABEL];
    u_char                       model[NGX_HTTP_LLM_CACHE_LABEL];

    ngx_atomic_t                 requests[NGX_HTTP_LLM_CACHE_STATUS_MAX];
    ngx_http_llm_cache_sum_t     saved;
    ngx_http_llm_cache_sum_t     fetched;    /* and stored */

    ngx_http_llm_cache_observed_stat_t
                          observed[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];
} ngx_http_llm_cache_series_t;


typedef struct {
    ngx_atomic_t                 number;     /* of the period since 1970 */
    ngx_atomic_t                 requests;
    ngx_atomic_t                 hits;
    ngx_http_llm_cache_sum_t     saved;
} ngx_http_llm_cache_period_t;


typedef struct {
    ngx_uint_t                   layout;

    ngx_atomic_t                 stored;
    ngx_atomic_t                 evicted;    /* to make room */
    ngx_atomic_t                 inactive;   /* dropped unused */
    ngx_atomic_t                 purged;

    ngx_atomic_t                 flights;
    ngx_atomic_t                 followers;
    ngx_atomic_t                 takeovers;

    /* by tier; and whether they were converted into another form */
    ngx_atomic_t                 hits[NGX_HTTP_LLM_CACHE_TIER_MAX][2];

    ngx_atomic_t                 bypass[LLM_REASON_MAX];
    ngx_atomic_t                 refused[LLM_REASON_MAX];

    /* the same of what is observed; and what the zone would have evicted, and
       hits that it would have missed for that */
    ngx_atomic_t                 observed_bypass[LLM_REASON_MAX];
    ngx_atomic_t                 observed_refused[LLM_REASON_MAX];
    ngx_atomic_t          observed_evicted[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];
    ngx_atomic_t          observed_lost[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];

    ngx_http_llm_cache_semantic_stat_t  semantic;

    ngx_http_llm_cache_histogram_t
                          histograms[NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX];
    ngx_http_llm_cache_series_t  series[NGX_HTTP_LLM_CACHE_SERIES];
    ngx_http_llm_cache_period_t  periods[NGX_HTTP_LLM_CACHE_PERIODS];
} ngx_http_llm_cache_stat_t;


extern const char  *ngx_http_llm_cache_tiers[NGX_HTTP_LLM_CACHE_TIER_MAX];
extern const char
    *ngx_http_llm_cache_observed_scopes[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];

/* how many of a histogram's unit are a second */
extern const uint32_t
    ngx_http_llm_cache_histogram_units[NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX];

/* upper bounds of the buckets, in that unit */
extern const uint32_t
    ngx_http_llm_cache_bounds[NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX]
                             [NGX_HTTP_LLM_CACHE_BUCKETS];


/* shared memory for the zone of that name, *stat being set when it is there;
   NGX_CONF_OK or NGX_CONF_ERROR */
char *ngx_http_llm_cache_stat_add(ngx_conf_t *cf, ngx_str_t *zone,
    ngx_http_llm_cache_stat_t **stat);

/*
 * The series of a location and a model.  A model that has none yet gets one
 * only when told so, as clients choose the names; what has none counts as the
 * model "other", or as the first series.
 */
ngx_http_llm_cache_series_t *ngx_http_llm_cache_stat_series(
    ngx_http_llm_cache_stat_t *stat, ngx_str_t *location, ngx_str_t *model,
    ngx_uint_t create);

/* of now */
ngx_http_llm_cache_period_t *ngx_http_llm_cache_stat_period(
    ngx_http_llm_cache_stat_t *stat);

/* microseconds of a clock that only goes forward */
uint64_t ngx_http_llm_cache_usec(void);

void ngx_http_llm_cache_stat_observe(ngx_http_llm_cache_stat_t *stat,
    ngx_http_llm_cache_histogram_e histogram, uint64_t value);


/* whether it has a name and something was counted; of observed requests */
ngx_uint_t ngx_http_llm_cache_series_used(
    ngx_http_llm_cache_series_t *series);
ngx_uint_t ngx_http_llm_cache_series_observed(
    ngx_http_llm_cache_series_t *series);

void ngx_http_llm_cache_sum_add(ngx_http_llm_cache_sum_t *total,
    ngx_http_llm_cache_sum_t *sum);


static ngx_inline void
ngx_http_llm_cache_count(ngx_atomic_t *counter, uint64_t n)
{
    if (n) {
        (void) ngx_atomic_fetch_add(counter, (ngx_atomic_int_t) n);
    }
}


#endif /* _NGX_HTTP_LLM_CACHE_STAT_H_INCLUDED_ */
