/*
 * The counters in the text formats of Prometheus and OpenMetrics, see
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://prometheus.io/docs/specs/om/open_metrics_spec/
 */


#include "ngx_http_llm_cache_metrics.h"
#include "llm_utf8.h"


static void ngx_http_llm_cache_metric_requests(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_hits(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_counter(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_tokens(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_cost(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_seconds(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_gauge(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_memory(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_evictions(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_lookup(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_histogram_of(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_redis_up(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_redis_counter(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);
static void ngx_http_llm_cache_metric_guards(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);
static void ngx_http_llm_cache_metric_semantic_counter(
    ngx_http_llm_cache_metrics_t *m, uintptr_t data);

static void ngx_http_llm_cache_metric_redis(ngx_http_llm_cache_metrics_t *m);
static void ngx_http_llm_cache_metric_semantic(
    ngx_http_llm_cache_metrics_t *m);
static void ngx_http_llm_cache_metric_named(ngx_http_llm_cache_metrics_t *m,
    const char *prefix, const ngx_str_t *name,
    ngx_http_llm_cache_family_t *family);
static void ngx_http_llm_cache_metric_series(ngx_http_llm_cache_metrics_t *m,
    size_t offset, uint64_t unit, const char *label, const char *value);
static void ngx_http_llm_cache_metric_histogram(
    ngx_http_llm_cache_metrics_t *m, ngx_http_llm_cache_histogram_e h,
    const char *tier);

static ngx_uint_t ngx_http_llm_cache_metric_is_utf8(const u_char *data,
    size_t len);
static void ngx_http_llm_cache_metric_escaped(
    ngx_http_llm_cache_metrics_t *m, const u_char *data, size_t len);
static u_char *ngx_http_llm_cache_metric_number(u_char *p, uint64_t n,
    uint64_t unit);
static void ngx_http_llm_cache_metric_text(ngx_http_llm_cache_metrics_t *m,
    const char *text);
static void ngx_http_llm_cache_metric_add(ngx_http_llm_cache_metrics_t *m,
    const void *data, size_t len);


#define NGX_HTTP_LLM_CACHE_IN_SERIES(member)                                  \
    offsetof(ngx_http_llm_cache_series_t, member)


static const ngx_http_llm_cache_family_t  ngx_http_llm_cache_families[] = {

    { "llm_cache_requests", "counter",
      "Requests by what the cache did, the values of $llm_cache_status.",
      ngx_http_llm_cache_metric_requests, 0 },

    { "llm_cache_hits", "counter",
      "Answers from the cache by tier, and whether they were converted.",
      ngx_http_llm_cache_metric_hits, 0 },

    { "llm_cache_bypass", "counter",
      "Requests that were not looked up, by reason.",
      ngx_http_llm_cache_metric_reasons, NGX_HTTP_LLM_CACHE_STAT(bypass) },

    { "llm_cache_refused", "counter",
      "Answers that were not stored, by reason.",
      ngx_http_llm_cache_metric_reasons, NGX_HTTP_LLM_CACHE_STAT(refused) },

    { "llm_cache_stored", "counter",
      "Answers that were stored, by background refreshes too.",
      ngx_http_llm_cache_metric_counter, NGX_HTTP_LLM_CACHE_STAT(stored) },

    { "llm_cache_saved_tokens", "counter",
      "Tokens of answers from the cache.",
      ngx_http_llm_cache_metric_tokens, NGX_HTTP_LLM_CACHE_IN_SERIES(saved) },

    { "llm_cache_fetched_tokens", "counter",
      "Tokens of answers that were fetched and stored.",
      ngx_http_llm_cache_metric_tokens,
      NGX_HTTP_LLM_CACHE_IN_SERIES(fetched) },

    { "llm_cache_saved_cost", "counter",
      "What the saved tokens would have cost, by llm_cache_price.",
      ngx_http_llm_cache_metric_cost,
      NGX_HTTP_LLM_CACHE_IN_SERIES(saved.cost) },

    { "llm_cache_fetched_cost", "counter",
      "What the fetched tokens cost, by llm_cache_price.",
      ngx_http_llm_cache_metric_cost,
      NGX_HTTP_LLM_CACHE_IN_SERIES(fetched.cost) },

    { "llm_cache_saved_seconds", "counter",
      "Upstream time of answers from the cache.",
      ngx_http_llm_cache_metric_seconds,
      NGX_HTTP_LLM_CACHE_IN_SERIES(saved.msec) },

    { "llm_cache_fetched_seconds", "counter",
      "Upstream time of answers that were fetched and stored.",
      ngx_http_llm_cache_metric_seconds,
      NGX_HTTP_LLM_CACHE_IN_SERIES(fetched.msec) },

    { "llm_cache_entries", "gauge",
      "Answers in the zone.",
      ngx_http_llm_cache_metric_gauge,
      offsetof(ngx_http_llm_cache_gauges_t, entries) },

    { "llm_cache_memory_bytes", "gauge",
      "Pages of the zone, used and free.",
      ngx_http_llm_cache_metric_memory, 0 },

    { "llm_cache_evictions", "counter",
      "Answers dropped to make room, or unused for too long.",
      ngx_http_llm_cache_metric_evictions, 0 },

    { "llm_cache_purged", "counter",
      "Answers purged from the zone.",
      ngx_http_llm_cache_metric_counter, NGX_HTTP_LLM_CACHE_STAT(purged) },

    { "llm_cache_flights", "gauge",
      "Upstream calls in progress that others may follow.",
      ngx_http_llm_cache_metric_gauge,
      offsetof(ngx_http_llm_cache_gauges_t, flying) },

    { "llm_cache_flights_started", "counter",
      "Upstream calls that others could follow.",
      ngx_http_llm_cache_metric_counter, NGX_HTTP_LLM_CACHE_STAT(flights) },

    { "llm_cache_followers", "counter",
      "Requests that followed another one's upstream call.",
      ngx_http_llm_cache_metric_counter, NGX_HTTP_LLM_CACHE_STAT(followers) },

    { "llm_cache_takeovers", "counter",
      "Flights that a follower led on after they had failed.",
      ngx_http_llm_cache_metric_counter, NGX_HTTP_LLM_CACHE_STAT(takeovers) },

    { "llm_cache_lookup_seconds", "histogram",
      "Time that a look-up took.",
      ngx_http_llm_cache_metric_lookup, 0 },

    { "llm_cache_upstream_seconds", "histogram",
      "Upstream time of answers that were stored.",
      ngx_http_llm_cache_metric_histogram_of, NGX_HTTP_LLM_CACHE_UPSTREAM },

    { "llm_cache_age_seconds", "histogram",
      "Age of answers when they were served.",
      ngx_http_llm_cache_metric_histogram_of, NGX_HTTP_LLM_CACHE_AGE },

    { "llm_cache_lifetime_seconds", "histogram",
      "Lifetime of answers when they were stored.",
      ngx_http_llm_cache_metric_histogram_of, NGX_HTTP_LLM_CACHE_LIFETIME },

    { "llm_cache_redis_up", "gauge",
      "Whether the worker that answers can ask Redis.",
      ngx_http_llm_cache_metric_redis_up, 0 },

    { "llm_cache_semantic_refused", "counter",
      "Answers that a guard refused.",
      ngx_http_llm_cache_metric_guards, 0 }
};


int
ngx_http_llm_cache_api_metrics(ngx_http_request_t *r, ngx_uint_t openmetrics,
    llm_buf_t *out)
{
    ngx_uint_t                    i;
    ngx_http_llm_cache_metrics_t  m;

    ngx_memzero(&m, sizeof(ngx_http_llm_cache_metrics_t));

    m.request = r;
    m.buf = out;
    m.openmetrics = openmetrics;

    for (i = 0;
         i < sizeof(ngx_http_llm_cache_families)
             / sizeof(ngx_http_llm_cache_families[0]);
         i++)
    {
        ngx_http_llm_cache_metric_family(&m, &ngx_http_llm_cache_families[i]);
    }

    ngx_http_llm_cache_metric_observed(&m);
    ngx_http_llm_cache_metric_redis(&m);
    ngx_http_llm_cache_metric_semantic(&m);

    if (openmetrics) {
        ngx_http_llm_cache_metric_text(&m, "# EOF\n");
    }

    return m.failed ? -1 : 0;
}


void
ngx_http_llm_cache_metric_family(ngx_http_llm_cache_metrics_t *m,
    const ngx_http_llm_cache_family_t *family)
{
    ngx_uint_t                       i;
    const char                      *suffix;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    m->name = family->name;

    /* in OpenMetrics a counter's family has a name without the suffix */

    suffix = !m->openmetrics && ngx_strcmp(family->type, "counter") == 0
             ? "_total " : " ";

    ngx_http_llm_cache_metric_text(m, "# HELP ");
    ngx_http_llm_cache_metric_text(m, m->name);
    ngx_http_llm_cache_metric_text(m, suffix);
    ngx_http_llm_cache_metric_text(m, family->help);
    ngx_http_llm_cache_metric_text(m, "\n# TYPE ");
    ngx_http_llm_cache_metric_text(m, m->name);
    ngx_http_llm_cache_metric_text(m, suffix);
    ngx_http_llm_cache_metric_text(m, family->type);
    ngx_http_llm_cache_metric_text(m, "\n");

    mcf = ngx_http_get_module_main_conf(m->request, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        m->zone = zones[i];
        family->handler(m, family->data);
    }
}


static void
ngx_http_llm_cache_metric_requests(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t  s;

    for (s = NGX_HTTP_LLM_CACHE_HIT; s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
        ngx_http_llm_cache_metric_series(m,
                     NGX_HTTP_LLM_CACHE_IN_SERIES(requests)
                     + s * sizeof(ngx_atomic_t), 1, "status",
                     (char *) ngx_http_llm_cache_status_word(s)->data);
    }
}


static void
ngx_http_llm_cache_metric_hits(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t  tier, converted;

    for (tier = 0; tier < NGX_HTTP_LLM_CACHE_TIER_MAX; tier++) {
        for (converted = 0; converted < 2; converted++) {

            ngx_http_llm_cache_metric_begin(m, "_total");
            ngx_http_llm_cache_metric_word(m, "tier",
                                           ngx_http_llm_cache_tiers[tier]);
            ngx_http_llm_cache_metric_word(m, "kind", converted ? "converted"
                                                                : "same");
            ngx_http_llm_cache_metric_end(m,
                                    m->zone->stat->hits[tier][converted], 1);
        }
    }
}


void
ngx_http_llm_cache_metric_reasons(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    llm_str_t      word;
    ngx_uint_t     i;
    ngx_atomic_t  *reasons;

    reasons = (ngx_atomic_t *) ((char *) m->zone->stat + data);

    for (i = 0; i < LLM_REASON_MAX; i++) {

        if (reasons[i]) {
            word = llm_reason_word(i);

            ngx_http_llm_cache_metric_begin(m, "_total");
            ngx_http_llm_cache_metric_label(m, "reason", word.data, word.len);
            ngx_http_llm_cache_metric_end(m, reasons[i], 1);
        }
    }
}


static void
ngx_http_llm_cache_metric_counter(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_begin(m, "_total");
    ngx_http_llm_cache_metric_end(m, *(ngx_atomic_t *)
                                     ((char *) m->zone->stat + data), 1);
}


static void
ngx_http_llm_cache_metric_tokens(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_series(m,
                      data + offsetof(ngx_http_llm_cache_sum_t, prompt_tokens),
                      1, "kind", "prompt");
    ngx_http_llm_cache_metric_series(m,
                  data + offsetof(ngx_http_llm_cache_sum_t, completion_tokens),
                  1, "kind", "completion");
}


/* billionths of a unit of currency */

static void
ngx_http_llm_cache_metric_cost(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_series(m, data, 1000000000, NULL, NULL);
}


/* thousandths of a second */

static void
ngx_http_llm_cache_metric_seconds(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_series(m, data, 1000, NULL, NULL);
}


/* a counter of each series */

static void
ngx_http_llm_cache_metric_series(ngx_http_llm_cache_metrics_t *m,
    size_t offset, uint64_t unit, const char *label, const char *value)
{
    ngx_uint_t                    i;
    ngx_http_llm_cache_series_t  *series;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_SERIES; i++) {

        series = &m->zone->stat->series[i];

        if (ngx_http_llm_cache_series_used(series)) {
            ngx_http_llm_cache_metric_sample(m, series, NULL, label, value,
                               *(ngx_atomic_t *) ((char *) series + offset),
                               unit);
        }
    }
}


void
ngx_http_llm_cache_metric_sample(ngx_http_llm_cache_metrics_t *m,
    ngx_http_llm_cache_series_t *series, const char *scope, const char *label,
    const char *value, ngx_atomic_uint_t n, uint64_t unit)
{
    ngx_http_llm_cache_metric_begin(m, "_total");
    ngx_http_llm_cache_metric_label(m, "location", series->location,
                                    series->location_len);
    ngx_http_llm_cache_metric_label(m, "model", series->model,
                                    series->model_len);
    ngx_http_llm_cache_metric_word(m, "scope", scope);
    ngx_http_llm_cache_metric_word(m, label, value);
    ngx_http_llm_cache_metric_end(m, n, unit);
}


/* a gauge of the zone */

static void
ngx_http_llm_cache_metric_gauge(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_gauges_t  gauges;

    ngx_http_llm_cache_zone_gauges(m->zone, &gauges);

    ngx_http_llm_cache_metric_begin(m, "");
    ngx_http_llm_cache_metric_end(m, *(ngx_uint_t *)
                                     ((char *) &gauges + data), 1);
}


static void
ngx_http_llm_cache_metric_memory(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_gauges_t  gauges;

    ngx_http_llm_cache_zone_gauges(m->zone, &gauges);

    ngx_http_llm_cache_metric_begin(m, "");
    ngx_http_llm_cache_metric_word(m, "state", "used");
    ngx_http_llm_cache_metric_end(m, gauges.size - gauges.free, 1);

    ngx_http_llm_cache_metric_begin(m, "");
    ngx_http_llm_cache_metric_word(m, "state", "free");
    ngx_http_llm_cache_metric_end(m, gauges.free, 1);
}


static void
ngx_http_llm_cache_metric_evictions(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_begin(m, "_total");
    ngx_http_llm_cache_metric_word(m, "reason", "room");
    ngx_http_llm_cache_metric_end(m, m->zone->stat->evicted, 1);

    ngx_http_llm_cache_metric_begin(m, "_total");
    ngx_http_llm_cache_metric_word(m, "reason", "inactive");
    ngx_http_llm_cache_metric_end(m, m->zone->stat->inactive, 1);
}


static void
ngx_http_llm_cache_metric_lookup(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_histogram(m, NGX_HTTP_LLM_CACHE_LOOKUP_MEMORY,
                                        "memory");
    ngx_http_llm_cache_metric_histogram(m, NGX_HTTP_LLM_CACHE_LOOKUP_REDIS,
                                        "redis");
    ngx_http_llm_cache_metric_histogram(m, NGX_HTTP_LLM_CACHE_LOOKUP_SEMANTIC,
                                        "semantic");
}


static void
ngx_http_llm_cache_metric_histogram_of(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_http_llm_cache_metric_histogram(m, data, NULL);
}


static void
ngx_http_llm_cache_metric_histogram(ngx_http_llm_cache_metrics_t *m,
    ngx_http_llm_cache_histogram_e h, const char *tier)
{
    u_char                          *last, bound[NGX_INT64_LEN + 10];
    uint64_t                         n, unit;
    ngx_uint_t                       i;
    ngx_http_llm_cache_histogram_t  *histogram;

    histogram = &m->zone->stat->histograms[h];
    unit = ngx_http_llm_cache_histogram_units[h];
    n = 0;

    for (i = 0; i <= NGX_HTTP_LLM_CACHE_BUCKETS; i++) {

        n += histogram->counts[i];

        last = i < NGX_HTTP_LLM_CACHE_BUCKETS
               ? ngx_http_llm_cache_metric_number(bound,
                                        ngx_http_llm_cache_bounds[h][i], unit)
               : ngx_cpymem(bound, "+Inf", sizeof("+Inf") - 1);

        ngx_http_llm_cache_metric_begin(m, "_bucket");
        ngx_http_llm_cache_metric_word(m, "tier", tier);
        ngx_http_llm_cache_metric_label(m, "le", bound, last - bound);
        ngx_http_llm_cache_metric_end(m, n, 1);
    }

    ngx_http_llm_cache_metric_begin(m, "_sum");
    ngx_http_llm_cache_metric_word(m, "tier", tier);
    ngx_http_llm_cache_metric_end(m, histogram->sum, unit);

    ngx_http_llm_cache_metric_begin(m, "_count");
    ngx_http_llm_cache_metric_word(m, "tier", tier);
    ngx_http_llm_cache_metric_end(m, n, 1);
}


static void
ngx_http_llm_cache_metric_redis_up(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    const char                  *state;
    ngx_http_llm_cache_redis_t  *redis;

    redis = ngx_http_llm_cache_api_redis(m->request, m->zone);

    if (redis) {
        state = ngx_http_llm_cache_redis_state(redis);

        ngx_http_llm_cache_metric_begin(m, "");
        ngx_http_llm_cache_metric_end(m, ngx_strcmp(state, "tracking") == 0
                                         || ngx_strcmp(state, "ready") == 0,
                                      1);
    }
}


/* what is counted of Redis, a family each */

static void
ngx_http_llm_cache_metric_redis(ngx_http_llm_cache_metrics_t *m)
{
    ngx_http_llm_cache_family_t                family;
    const ngx_http_llm_cache_redis_counter_t  *counter;

    counter = ngx_http_llm_cache_redis_counters;

    for ( /* void */ ; counter->name.len; counter++) {

        family.help = counter->help;
        family.handler = ngx_http_llm_cache_metric_redis_counter;
        family.data = (uintptr_t) counter;

        ngx_http_llm_cache_metric_named(m, "llm_cache_redis_", &counter->name,
                                        &family);
    }
}


/* and of the semantic tier */

static void
ngx_http_llm_cache_metric_semantic(ngx_http_llm_cache_metrics_t *m)
{
    ngx_http_llm_cache_family_t                   family;
    const ngx_http_llm_cache_semantic_counter_t  *counter;

    counter = ngx_http_llm_cache_semantic_counters;

    for ( /* void */ ; counter->name.len; counter++) {

        family.help = counter->help;
        family.handler = ngx_http_llm_cache_metric_semantic_counter;
        family.data = (uintptr_t) counter;

        ngx_http_llm_cache_metric_named(m, "llm_cache_semantic_",
                                        &counter->name, &family);
    }
}


static void
ngx_http_llm_cache_metric_named(ngx_http_llm_cache_metrics_t *m,
    const char *prefix, const ngx_str_t *name,
    ngx_http_llm_cache_family_t *family)
{
    u_char  *p;

    p = ngx_pnalloc(m->request->pool, ngx_strlen(prefix) + name->len + 1);
    if (p == NULL) {
        m->failed = 1;
        return;
    }

    *ngx_sprintf(p, "%s%V", prefix, name) = '\0';

    family->name = (char *) p;
    family->type = "counter";

    ngx_http_llm_cache_metric_family(m, family);
}


static void
ngx_http_llm_cache_metric_semantic_counter(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    const ngx_http_llm_cache_semantic_counter_t  *counter;

    counter = (const ngx_http_llm_cache_semantic_counter_t *) data;

    if (m->zone->vectors.sh) {
        ngx_http_llm_cache_metric_begin(m, "_total");
        ngx_http_llm_cache_metric_end(m, ngx_http_llm_cache_semantic_counted(
                                   ngx_http_llm_cache_zone_semantic(m->zone),
                                   counter),
                                      counter->per);
    }
}


static void
ngx_http_llm_cache_metric_guards(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    ngx_uint_t                           i;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    stat = ngx_http_llm_cache_zone_semantic(m->zone);

    for (i = 0; m->zone->vectors.sh && i < LLM_GUARDS; i++) {
        ngx_http_llm_cache_metric_begin(m, "_total");
        ngx_http_llm_cache_metric_word(m, "guard", llm_guard_name(1u << i));
        ngx_http_llm_cache_metric_end(m, stat->refused[i], 1);
    }
}


static void
ngx_http_llm_cache_metric_redis_counter(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data)
{
    const ngx_http_llm_cache_redis_counter_t  *counter;

    counter = (const ngx_http_llm_cache_redis_counter_t *) data;

    if (ngx_http_llm_cache_api_redis(m->request, m->zone)) {
        ngx_http_llm_cache_metric_begin(m, "_total");
        ngx_http_llm_cache_metric_end(m, ngx_http_llm_cache_redis_counted(
                                      ngx_http_llm_cache_zone_redis(m->zone),
                                      counter),
                                      1);
    }
}


void
ngx_http_llm_cache_metric_begin(ngx_http_llm_cache_metrics_t *m,
    const char *suffix)
{
    ngx_http_llm_cache_metric_text(m, m->name);
    ngx_http_llm_cache_metric_text(m, suffix);
    ngx_http_llm_cache_metric_text(m, "{zone=\"");
    ngx_http_llm_cache_metric_escaped(m, m->zone->name.data,
                                      m->zone->name.len);
    ngx_http_llm_cache_metric_text(m, "\"");
}


void
ngx_http_llm_cache_metric_label(ngx_http_llm_cache_metrics_t *m,
    const char *name, const u_char *data, size_t len)
{
    ngx_http_llm_cache_metric_text(m, ",");
    ngx_http_llm_cache_metric_text(m, name);
    ngx_http_llm_cache_metric_text(m, "=\"");
    ngx_http_llm_cache_metric_escaped(m, data, len);
    ngx_http_llm_cache_metric_text(m, "\"");
}


void
ngx_http_llm_cache_metric_word(ngx_http_llm_cache_metrics_t *m,
    const char *name, const char *word)
{
    if (word) {
        ngx_http_llm_cache_metric_label(m, name, (const u_char *) word,
                                        ngx_strlen(word));
    }
}


static ngx_uint_t
ngx_http_llm_cache_metric_is_utf8(const u_char *data, size_t len)
{
    size_t      i;
    llm_utf8_t  utf8;

    utf8.need = 0;

    for (i = 0; i < len; i++) {
        if (utf8.need ? !llm_utf8_next(&utf8, data[i])
                      : data[i] >= 0x80 && !llm_utf8_lead(&utf8, data[i]))
        {
            return 0;
        }
    }

    return utf8.need == 0;
}


/* one label that is no UTF-8 makes the whole text unreadable for a scraper */

static void
ngx_http_llm_cache_metric_escaped(ngx_http_llm_cache_metrics_t *m,
    const u_char *data, size_t len)
{
    size_t  i;

    if (!ngx_http_llm_cache_metric_is_utf8(data, len)) {
        ngx_http_llm_cache_metric_text(m, "?");
        return;
    }

    for (i = 0; i < len; i++) {

        switch (data[i]) {

        case '\\':
            ngx_http_llm_cache_metric_text(m, "\\\\");
            break;

        case '"':
            ngx_http_llm_cache_metric_text(m, "\\\"");
            break;

        case '\n':
            ngx_http_llm_cache_metric_text(m, "\\n");
            break;

        default:
            ngx_http_llm_cache_metric_add(m, &data[i], 1);
        }
    }
}


void
ngx_http_llm_cache_metric_end(ngx_http_llm_cache_metrics_t *m, uint64_t n,
    uint64_t unit)
{
    u_char  *last, value[NGX_INT64_LEN + 10];

    last = ngx_http_llm_cache_metric_number(value, n, unit);

    ngx_http_llm_cache_metric_text(m, "} ");
    ngx_http_llm_cache_metric_add(m, value, last - value);
    ngx_http_llm_cache_metric_text(m, "\n");
}


static u_char *
ngx_http_llm_cache_metric_number(u_char *p, uint64_t n, uint64_t unit)
{
    uint64_t  rest;

    p = ngx_sprintf(p, "%uL", n / unit);
    rest = n % unit;

    if (rest == 0) {
        return p;
    }

    p = ngx_sprintf(p, ".%09uL", rest * (1000000000 / unit));

    while (p[-1] == '0') {
        p--;
    }

    return p;
}


static void
ngx_http_llm_cache_metric_text(ngx_http_llm_cache_metrics_t *m,
    const char *text)
{
    ngx_http_llm_cache_metric_add(m, text, ngx_strlen(text));
}


static void
ngx_http_llm_cache_metric_add(ngx_http_llm_cache_metrics_t *m,
    const void *data, size_t len)
{
    if (llm_buf_add(m->buf, data, len) != 0) {
        m->failed = 1;
    }
}
