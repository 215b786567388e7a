/*
 * The metrics of what llm_cache observe counts.
 */


#include "ngx_http_llm_cache_metrics.h"


static void ngx_http_llm_cache_metric_observed_requests(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_observed_tokens(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_observed_cost(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_observed_seconds(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_observed_room(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_observed_counter(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_ways(ngx_http_llm_cache_metrics_t *m,
    size_t offset, uint64_t unit, const char *label, const char *value);


#define NGX_HTTP_LLM_CACHE_IN_OBSERVED(member)                                \
    offsetof(ngx_http_llm_cache_observed_stat_t, member)


static const ngx_http_llm_cache_family_t
    ngx_http_llm_cache_observed_families[] =
{
    { "llm_cache_observed_requests", "counter",
      "Observed requests by what the cache would have done.",
      ngx_http_llm_cache_metric_observed_requests, 0 },

    { "llm_cache_observed_bypass", "counter",
      "Observed requests that would not have been looked up, by reason.",
      ngx_http_llm_cache_metric_reasons,
      NGX_HTTP_LLM_CACHE_STAT(observed_bypass) },

    { "llm_cache_observed_refused", "counter",
      "Observed answers that would not have been stored, by reason.",
      ngx_http_llm_cache_metric_reasons,
      NGX_HTTP_LLM_CACHE_STAT(observed_refused) },

    { "llm_cache_observed_saved_tokens", "counter",
      "Tokens that the cache would have saved.",
      ngx_http_llm_cache_metric_observed_tokens,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(saved) },

    { "llm_cache_observed_fetched_tokens", "counter",
      "Tokens of answers that would have been fetched and stored.",
      ngx_http_llm_cache_metric_observed_tokens,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(fetched) },

    { "llm_cache_observed_saved_cost", "counter",
      "What these saved tokens cost, by llm_cache_price.",
      ngx_http_llm_cache_metric_observed_cost,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(saved.cost) },

    { "llm_cache_observed_fetched_cost", "counter",
      "What these fetched tokens cost, by llm_cache_price.",
      ngx_http_llm_cache_metric_observed_cost,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(fetched.cost) },

    { "llm_cache_observed_saved_seconds", "counter",
      "Upstream time that the cache would have saved.",
      ngx_http_llm_cache_metric_observed_seconds,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(saved.msec) },

    { "llm_cache_observed_fetched_seconds", "counter",
      "Upstream time of answers that would have been fetched and stored.",
      ngx_http_llm_cache_metric_observed_seconds,
      NGX_HTTP_LLM_CACHE_IN_OBSERVED(fetched.msec) },

    { "llm_cache_observed_entries", "gauge",
      "Answers that the zone would hold, and evicted ones that are known of.",
      ngx_http_llm_cache_metric_observed_room, 0 },

    { "llm_cache_observed_memory_bytes", "gauge",
      "Memory that these answers would take.",
      ngx_http_llm_cache_metric_observed_room, 1 },

    { "llm_cache_observed_evictions", "counter",
      "Answers that the zone would have dropped to make room.",
      ngx_http_llm_cache_metric_observed_counter,
      NGX_HTTP_LLM_CACHE_STAT(observed_evicted) },

    { "llm_cache_observed_lost_hits", "counter",
      "Look-ups that a larger zone would have answered.",
      ngx_http_llm_cache_metric_observed_counter,
      NGX_HTTP_LLM_CACHE_STAT(observed_lost) }
};


void
ngx_http_llm_cache_metric_observed(ngx_http_llm_cache_metrics_t *m)
{
    ngx_uint_t  i;

    for (i = 0;
         i < sizeof(ngx_http_llm_cache_observed_families)
             / sizeof(ngx_http_llm_cache_observed_families[0]);
         i++)
    {
        ngx_http_llm_cache_metric_family(m,
                                    &ngx_http_llm_cache_observed_families[i]);
    }
}


/* a counter of each scope of each series that was observed */

static void
ngx_http_llm_cache_metric_ways(ngx_http_llm_cache_metrics_t *m,
    size_t offset, uint64_t unit, const char *label, const char *value)
{
    char                         *way;
    ngx_uint_t                    i, k;
    ngx_http_llm_cache_series_t  *series;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_SERIES; i++) {

        series = &m->zone->stat->series[i];

        if (!ngx_http_llm_cache_series_observed(series)) {
            continue;
        }

        for (k = 0; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {

            way = (char *) &series->observed[k];

            ngx_http_llm_cache_metric_sample(m, series,
                                       ngx_http_llm_cache_observed_scopes[k],
                                       label, value,
                                       *(ngx_atomic_t *) (way + offset),
                                       unit);
        }
    }
}


static void
ngx_http_llm_cache_metric_observed_requests(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t  i;

    static const ngx_uint_t  statuses[] = {
        NGX_HTTP_LLM_CACHE_HIT, NGX_HTTP_LLM_CACHE_MISS,
        NGX_HTTP_LLM_CACHE_BYPASS, NGX_HTTP_LLM_CACHE_EXPIRED,
        NGX_HTTP_LLM_CACHE_SHARED
    };

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        ngx_http_llm_cache_metric_ways(m,
                  NGX_HTTP_LLM_CACHE_IN_OBSERVED(requests)
                  + statuses[i] * sizeof(ngx_atomic_t), 1, "status",
                  (char *) ngx_http_llm_cache_status_word(statuses[i])->data);
    }
}


static void
ngx_http_llm_cache_metric_observed_tokens(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_ways(m,
                      data + offsetof(ngx_http_llm_cache_sum_t, prompt_tokens),
                      1, "kind", "prompt");
    ngx_http_llm_cache_metric_ways(m,
                  data + offsetof(ngx_http_llm_cache_sum_t, completion_tokens),
                  1, "kind", "completion");
}


static void
ngx_http_llm_cache_metric_observed_cost(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_ways(m, data, 1000000000, NULL, NULL);
}


static void
ngx_http_llm_cache_metric_observed_seconds(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_ways(m, data, 1000, NULL, NULL);
}


/* entries or bytes */

static void
ngx_http_llm_cache_metric_observed_room(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t                            k, evicted;
    ngx_http_llm_cache_observed_gauges_t  gauges;

    if (!m->zone->observed.used) {
        return;
    }

    for (k = 0; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {

        ngx_http_llm_cache_observed_gauges(&m->zone->observed, k, &gauges);

        for (evicted = 0; evicted < 2; evicted++) {

            ngx_http_llm_cache_metric_begin(m, "");
            ngx_http_llm_cache_metric_word(m, "scope",
                                       ngx_http_llm_cache_observed_scopes[k]);
            ngx_http_llm_cache_metric_word(m, "state",
                                           evicted ? "evicted" : "held");
            ngx_http_llm_cache_metric_end(m,
                  data ? evicted ? gauges.evicted_bytes : gauges.bytes
                       : evicted ? gauges.evicted_entries : gauges.entries, 1);
        }
    }
}


/* by scope */

static void
ngx_http_llm_cache_metric_observed_counter(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t     k;
    ngx_atomic_t  *counts;

    if (!m->zone->observed.used) {
        return;
    }

    counts = (ngx_atomic_t *) ((char *) m->zone->stat + data);

    for (k = 0; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {

        ngx_http_llm_cache_metric_begin(m, "_total");
        ngx_http_llm_cache_metric_word(m, "scope",
                                       ngx_http_llm_cache_observed_scopes[k]);
        ngx_http_llm_cache_metric_end(m, counts[k], 1);
    }
}
