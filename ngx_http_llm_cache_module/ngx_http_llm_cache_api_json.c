#include "ngx_http_llm_cache_api.h"


static json_t *ngx_http_llm_cache_json_zone(ngx_http_llm_cache_zone_t *zone);
static void ngx_http_llm_cache_json_totals(json_t *object,
    ngx_http_llm_cache_stat_t *stat);
static json_t *ngx_http_llm_cache_json_requests(ngx_atomic_t *requests);
static json_t *ngx_http_llm_cache_json_sum(ngx_http_llm_cache_sum_t *sum);
static json_t *ngx_http_llm_cache_json_hits(ngx_http_llm_cache_stat_t *stat);
static json_t *ngx_http_llm_cache_json_reasons(ngx_atomic_t *reasons);
static json_t *ngx_http_llm_cache_json_series(
    ngx_http_llm_cache_stat_t *stat);
static json_t *ngx_http_llm_cache_json_history(
    ngx_http_llm_cache_stat_t *stat);
static json_t *ngx_http_llm_cache_json_histograms(
    ngx_http_llm_cache_stat_t *stat);
static json_t *ngx_http_llm_cache_json_histogram(
    ngx_http_llm_cache_stat_t *stat, ngx_http_llm_cache_histogram_e h);
static json_t *ngx_http_llm_cache_json_observed(
    ngx_http_llm_cache_zone_t *zone);
static json_t *ngx_http_llm_cache_json_ways(
    ngx_http_llm_cache_observed_stat_t *observed);
static void ngx_http_llm_cache_json_room(json_t *object,
    ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_observed_scope_e scope);
static json_t *ngx_http_llm_cache_json_semantic(
    ngx_http_llm_cache_zone_t *zone);
static json_t *ngx_http_llm_cache_json_redis(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *zone);
static json_t *ngx_http_llm_cache_json_string(const u_char *data, size_t len);


static const char  *ngx_http_llm_cache_histogram_names[] = {
    "memory_lookup_seconds", "redis_lookup_seconds", "semantic_lookup_seconds",
    "upstream_seconds", "age_seconds", "lifetime_seconds"
};


json_t *
ngx_http_llm_cache_api_status(ngx_http_request_t *r)
{
    json_t                          *document, *list, *zone;
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    list = json_array();

    for (i = 0; i < mcf->zones.nelts; i++) {

        zone = ngx_http_llm_cache_json_zone(zones[i]);

        json_object_set_new(zone, "observed",
                            ngx_http_llm_cache_json_observed(zones[i]));
        json_object_set_new(zone, "redis",
                            ngx_http_llm_cache_json_redis(r, zones[i]));
        json_object_set_new(zone, "semantic",
                            ngx_http_llm_cache_json_semantic(zones[i]));
        json_array_append_new(list, zone);
    }

    document = json_pack("{s:s, s:s, s:I, s:o}",
                         "version", NGX_HTTP_LLM_CACHE_VERSION,
                         "nginx", NGINX_VERSION,
                         "time", (json_int_t) ngx_time(),
                         "zones", list);

    return document;
}


static json_t *
ngx_http_llm_cache_json_zone(ngx_http_llm_cache_zone_t *zone)
{
    json_t                       *object;
    ngx_http_llm_cache_stat_t    *stat;
    ngx_http_llm_cache_gauges_t   gauges;

    stat = zone->stat;
    ngx_http_llm_cache_zone_gauges(zone, &gauges);

    object = json_pack("{s:o, s:I, s:{s:I, s:I}, s:{s:I, s:I}, s:I, s:I,"
                       " s:{s:I, s:I, s:I, s:I}}",
                       "name", ngx_http_llm_cache_json_string(zone->name.data,
                                                              zone->name.len),
                       "entries", (json_int_t) gauges.entries,
                       "memory_bytes",
                           "used", (json_int_t) (gauges.size - gauges.free),
                           "free", (json_int_t) gauges.free,
                       "evictions",
                           "room", (json_int_t) stat->evicted,
                           "inactive", (json_int_t) stat->inactive,
                       "purged", (json_int_t) stat->purged,
                       "stored", (json_int_t) stat->stored,
                       "flights",
                           "now", (json_int_t) gauges.flying,
                           "total", (json_int_t) stat->flights,
                           "followers", (json_int_t) stat->followers,
                           "takeovers", (json_int_t) stat->takeovers);

    ngx_http_llm_cache_json_totals(object, stat);

    json_object_set_new(object, "hits", ngx_http_llm_cache_json_hits(stat));
    json_object_set_new(object, "bypass",
                        ngx_http_llm_cache_json_reasons(stat->bypass));
    json_object_set_new(object, "refused",
                        ngx_http_llm_cache_json_reasons(stat->refused));
    json_object_set_new(object, "series",
                        ngx_http_llm_cache_json_series(stat));
    json_object_set_new(object, "histograms",
                        ngx_http_llm_cache_json_histograms(stat));
    json_object_set_new(object, "history",
                        ngx_http_llm_cache_json_history(stat));

    return object;
}


/* what is counted by series, as a whole */

static void
ngx_http_llm_cache_json_totals(json_t *object,
    ngx_http_llm_cache_stat_t *stat)
{
    ngx_uint_t                    i, s;
    ngx_http_llm_cache_series_t  *series, total;

    ngx_memzero(&total, sizeof(ngx_http_llm_cache_series_t));

    for (i = 0; i < NGX_HTTP_LLM_CACHE_SERIES; i++) {

        series = &stat->series[i];

        for (s = 0; s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
            total.requests[s] += series->requests[s];
        }

        ngx_http_llm_cache_sum_add(&total.saved, &series->saved);
        ngx_http_llm_cache_sum_add(&total.fetched, &series->fetched);
    }

    json_object_set_new(object, "requests",
                        ngx_http_llm_cache_json_requests(total.requests));
    json_object_set_new(object, "saved",
                        ngx_http_llm_cache_json_sum(&total.saved));
    json_object_set_new(object, "fetched",
                        ngx_http_llm_cache_json_sum(&total.fetched));
}


static json_t *
ngx_http_llm_cache_json_requests(ngx_atomic_t *requests)
{
    json_t      *object;
    ngx_str_t   *word;
    ngx_uint_t   s;

    object = json_object();

    for (s = NGX_HTTP_LLM_CACHE_HIT; s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
        word = ngx_http_llm_cache_status_word(s);

        json_object_setn_new(object, (char *) word->data, word->len,
                             json_integer((json_int_t) requests[s]));
    }

    return object;
}


static json_t *
ngx_http_llm_cache_json_sum(ngx_http_llm_cache_sum_t *sum)
{
    return json_pack("{s:I, s:I, s:f, s:f}",
                     "prompt_tokens", (json_int_t) sum->prompt_tokens,
                     "completion_tokens", (json_int_t) sum->completion_tokens,
                     "cost", (double) sum->cost / 1e9,
                     "seconds", (double) sum->msec / 1e3);
}


static json_t *
ngx_http_llm_cache_json_hits(ngx_http_llm_cache_stat_t *stat)
{
    json_t      *object;
    ngx_uint_t   tier;

    object = json_object();

    for (tier = 0; tier < NGX_HTTP_LLM_CACHE_TIER_MAX; tier++) {
        json_object_set_new(object, ngx_http_llm_cache_tiers[tier],
                            json_pack("{s:I, s:I}", "same",
                                      (json_int_t) stat->hits[tier][0],
                                      "converted",
                                      (json_int_t) stat->hits[tier][1]));
    }

    return object;
}


/* those that there were */

static json_t *
ngx_http_llm_cache_json_reasons(ngx_atomic_t *reasons)
{
    json_t      *object;
    llm_str_t    word;
    ngx_uint_t   i;

    object = json_object();

    for (i = 0; i < LLM_REASON_MAX; i++) {
        if (reasons[i]) {
            word = llm_reason_word(i);

            json_object_setn_new(object, (char *) word.data, word.len,
                                 json_integer((json_int_t) reasons[i]));
        }
    }

    return object;
}


static json_t *
ngx_http_llm_cache_json_series(ngx_http_llm_cache_stat_t *stat)
{
    json_t                       *list;
    ngx_uint_t                    i, observed;
    ngx_http_llm_cache_series_t  *series;

    list = json_array();

    for (i = 0; i < NGX_HTTP_LLM_CACHE_SERIES; i++) {

        series = &stat->series[i];
        observed = ngx_http_llm_cache_series_observed(series);

        if (!observed && !ngx_http_llm_cache_series_used(series)) {
            continue;
        }

        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
                  "location",
                  ngx_http_llm_cache_json_string(series->location,
                                                 series->location_len),
                  "model",
                  ngx_http_llm_cache_json_string(series->model,
                                                 series->model_len),
                  "requests",
                  ngx_http_llm_cache_json_requests(series->requests),
                  "saved", ngx_http_llm_cache_json_sum(&series->saved),
                  "fetched", ngx_http_llm_cache_json_sum(&series->fetched),
                  "observed",
                  observed ? ngx_http_llm_cache_json_ways(series->observed)
                           : json_null()));
    }

    return list;
}


/* the periods of the last day in which there was something, oldest first */

static json_t *
ngx_http_llm_cache_json_history(ngx_http_llm_cache_stat_t *stat)
{
    json_t                       *list;
    ngx_uint_t                    i, now, number;
    ngx_http_llm_cache_period_t  *period;

    list = json_array();
    now = (ngx_uint_t) ngx_time() / NGX_HTTP_LLM_CACHE_PERIOD;

    for (i = NGX_HTTP_LLM_CACHE_PERIODS; i > 0; i--) {

        number = now - i + 1;
        period = &stat->periods[number % NGX_HTTP_LLM_CACHE_PERIODS];

        if (period->number != number) {
            continue;
        }

        json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:o}",
                         "time",
                         (json_int_t) number * NGX_HTTP_LLM_CACHE_PERIOD,
                         "requests", (json_int_t) period->requests,
                         "hits", (json_int_t) period->hits,
                         "saved",
                         ngx_http_llm_cache_json_sum(&period->saved)));
    }

    return list;
}


static json_t *
ngx_http_llm_cache_json_histograms(ngx_http_llm_cache_stat_t *stat)
{
    json_t      *object;
    ngx_uint_t   h;

    object = json_object();

    for (h = 0; h < NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX; h++) {
        json_object_set_new(object, ngx_http_llm_cache_histogram_names[h],
                            ngx_http_llm_cache_json_histogram(stat, h));
    }

    return object;
}


/* buckets are [upper bound, number in it and below], as in the metrics */

static json_t *
ngx_http_llm_cache_json_histogram(ngx_http_llm_cache_stat_t *stat,
    ngx_http_llm_cache_histogram_e h)
{
    double                           unit;
    json_t                          *buckets;
    uint64_t                         n;
    ngx_uint_t                       i;
    ngx_http_llm_cache_histogram_t  *histogram;

    histogram = &stat->histograms[h];
    unit = ngx_http_llm_cache_histogram_units[h];

    buckets = json_array();
    n = 0;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_BUCKETS; i++) {

        n += histogram->counts[i];

        json_array_append_new(buckets,
                          json_pack("[f, I]",
                                    ngx_http_llm_cache_bounds[h][i] / unit,
                                    (json_int_t) n));
    }

    n += histogram->counts[i];

    return json_pack("{s:I, s:f, s:o}",
                     "count", (json_int_t) n,
                     "sum", (double) histogram->sum / unit,
                     "buckets", buckets);
}


/* null where nothing of the zone is or was observed */

static json_t *
ngx_http_llm_cache_json_observed(ngx_http_llm_cache_zone_t *zone)
{
    json_t                              *object, *scopes;
    ngx_uint_t                           i, k, s, used;
    ngx_http_llm_cache_stat_t           *stat;
    ngx_http_llm_cache_observed_stat_t  *one, *all;
    ngx_http_llm_cache_observed_stat_t
                                  total[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];

    stat = zone->stat;
    used = zone->observed.used;

    ngx_memzero(total, sizeof(total));

    for (i = 0; i < NGX_HTTP_LLM_CACHE_SERIES; i++) {

        used |= ngx_http_llm_cache_series_observed(&stat->series[i]);

        for (k = 0; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {

            one = &stat->series[i].observed[k];
            all = &total[k];

            for (s = 0; s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
                all->requests[s] += one->requests[s];
            }

            ngx_http_llm_cache_sum_add(&all->saved, &one->saved);
            ngx_http_llm_cache_sum_add(&all->fetched, &one->fetched);
        }
    }

    if (!used) {
        return json_null();
    }

    object = ngx_http_llm_cache_json_ways(total);
    scopes = json_object_get(object, "scopes");

    json_object_set_new(object, "bypass",
                     ngx_http_llm_cache_json_reasons(stat->observed_bypass));
    json_object_set_new(object, "refused",
                     ngx_http_llm_cache_json_reasons(stat->observed_refused));
    json_object_set_new(object, "capacity_bytes",
                        json_integer((json_int_t) zone->observed.capacity));

    ngx_http_llm_cache_json_room(object, zone,
                                 NGX_HTTP_LLM_CACHE_OBSERVED_LOCATION);

    for (k = 1; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {
        ngx_http_llm_cache_json_room(
                   json_object_get(scopes,
                                   ngx_http_llm_cache_observed_scopes[k]),
                   zone, k);
    }

    return object;
}


/* by the location's scope, and in "scopes" by others */

static json_t *
ngx_http_llm_cache_json_ways(ngx_http_llm_cache_observed_stat_t *observed)
{
    json_t      *way, *object, *scopes;
    ngx_uint_t   k;

    object = NULL;
    scopes = json_object();

    for (k = 0; k < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; k++) {

        way = json_pack("{s:o, s:o, s:o}",
                        "requests",
                        ngx_http_llm_cache_json_requests(observed[k].requests),
                        "saved",
                        ngx_http_llm_cache_json_sum(&observed[k].saved),
                        "fetched",
                        ngx_http_llm_cache_json_sum(&observed[k].fetched));

        if (k == NGX_HTTP_LLM_CACHE_OBSERVED_LOCATION) {
            object = way;

        } else {
            json_object_set_new(scopes, ngx_http_llm_cache_observed_scopes[k],
                                way);
        }
    }

    json_object_set_new(object, "scopes", scopes);

    return object;
}


static void
ngx_http_llm_cache_json_room(json_t *object, ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_observed_scope_e scope)
{
    ngx_http_llm_cache_observed_gauges_t  gauges;

    ngx_http_llm_cache_observed_gauges(&zone->observed, scope, &gauges);

    json_object_set_new(object, "entries",
                  json_pack("{s:I, s:I}",
                            "held", (json_int_t) gauges.entries,
                            "evicted", (json_int_t) gauges.evicted_entries));
    json_object_set_new(object, "memory_bytes",
                  json_pack("{s:I, s:I}",
                            "held", (json_int_t) gauges.bytes,
                            "evicted", (json_int_t) gauges.evicted_bytes));
    json_object_set_new(object, "evictions",
                  json_integer((json_int_t)
                               zone->stat->observed_evicted[scope]));
    json_object_set_new(object, "lost_hits",
                  json_integer((json_int_t)
                               zone->stat->observed_lost[scope]));
}


/* null where the zone has no Redis */

static json_t *
ngx_http_llm_cache_json_redis(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *zone)
{
    json_t                                    *object;
    ngx_http_llm_cache_redis_t                *redis;
    const ngx_http_llm_cache_redis_counter_t  *counter;

    redis = ngx_http_llm_cache_api_redis(r, zone);

    if (redis == NULL) {
        return json_null();
    }

    object = json_object();

    json_object_set_new(object, "state",
                        json_string(ngx_http_llm_cache_redis_state(redis)));

    counter = ngx_http_llm_cache_redis_counters;

    for ( /* void */ ; counter->name.len; counter++) {
        json_object_setn_new(object, (char *) counter->name.data,
                             counter->name.len,
                             json_integer((json_int_t)
                                 ngx_http_llm_cache_redis_counted(
                                          ngx_http_llm_cache_zone_redis(zone),
                                          counter)));
    }

    return object;
}


/* null where no location of the zone compares questions */

static json_t *
ngx_http_llm_cache_json_semantic(ngx_http_llm_cache_zone_t *zone)
{
    json_t                                       *object, *guards;
    ngx_uint_t                                    i;
    ngx_atomic_uint_t                             n;
    ngx_http_llm_cache_semantic_stat_t           *stat;
    const ngx_http_llm_cache_semantic_counter_t  *counter;

    if (zone->vectors.sh == NULL) {
        return json_null();
    }

    stat = ngx_http_llm_cache_zone_semantic(zone);
    object = json_object();
    guards = json_object();

    counter = ngx_http_llm_cache_semantic_counters;

    for ( /* void */ ; counter->name.len; counter++) {

        n = ngx_http_llm_cache_semantic_counted(stat, counter);

        json_object_setn_new(object, (char *) counter->name.data,
                             counter->name.len,
                             counter->per == 1
                             ? json_integer((json_int_t) n)
                             : json_real((double) n
                                         / (double) counter->per));
    }

    json_object_set_new(object, "false_rate",
                        stat->verified ? json_real((double) stat->wrong
                                                   / (double) stat->verified)
                                       : json_null());

    for (i = 0; i < LLM_GUARDS; i++) {
        json_object_set_new(guards, llm_guard_name(1u << i),
                            json_integer((json_int_t) stat->refused[i]));
    }

    json_object_set_new(object, "refused", guards);

    return object;
}


/* names of a configuration may be any bytes */

static json_t *
ngx_http_llm_cache_json_string(const u_char *data, size_t len)
{
    json_t  *string;

    string = json_stringn((char *) data, len);

    return string ? string : json_string("?");
}
