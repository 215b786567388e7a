#include "ngx_http_llm_cache_stat.h"


#define NGX_HTTP_LLM_CACHE_STAT_LAYOUT  4

/* places that are looked at for a series */
#define NGX_HTTP_LLM_CACHE_STAT_TRIES   16


extern ngx_module_t  ngx_http_llm_cache_module;


static ngx_int_t ngx_http_llm_cache_stat_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_llm_cache_stat_is_name(ngx_str_t *model);
static ngx_atomic_uint_t ngx_http_llm_cache_stat_id(ngx_str_t *location,
    ngx_str_t *model);
static ngx_http_llm_cache_series_t *ngx_http_llm_cache_stat_find(
    ngx_http_llm_cache_stat_t *stat, ngx_str_t *location, ngx_str_t *model,
    ngx_uint_t create);
static void ngx_http_llm_cache_stat_name(ngx_http_llm_cache_series_t *series,
    ngx_str_t *location, ngx_str_t *model);


static ngx_str_t  ngx_http_llm_cache_stat_other = ngx_string("other");


const char  *ngx_http_llm_cache_tiers[NGX_HTTP_LLM_CACHE_TIER_MAX] = {
    "memory", "redis", "semantic", "flight"
};


const char
    *ngx_http_llm_cache_observed_scopes[NGX_HTTP_LLM_CACHE_OBSERVED_MAX] =
{
    "location", "credentials", "shared"
};


const uint32_t
    ngx_http_llm_cache_histogram_units[NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX] =
{
    1000000, 1000000, 1000000, 1000000, 1, 1
};


const uint32_t
    ngx_http_llm_cache_bounds[NGX_HTTP_LLM_CACHE_HISTOGRAM_MAX]
                             [NGX_HTTP_LLM_CACHE_BUCKETS] =
{
    /* memory */
    { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 100000 },
    /* Redis */
    { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
      1000000 },
    /* semantic */
    { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
      1000000 },
    /* upstream */
    { 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
      30000000, 60000000, 120000000, 600000000 },
    /* age */
    { 1, 10, 60, 300, 900, 3600, 10800, 43200, 86400, 259200, 604800,
      2592000 },
    /* lifetime */
    { 1, 10, 60, 300, 900, 3600, 10800, 43200, 86400, 259200, 604800,
      2592000 }
};


char *
ngx_http_llm_cache_stat_add(ngx_conf_t *cf, ngx_str_t *zone,
    ngx_http_llm_cache_stat_t **stat)
{
    size_t           size;
    ngx_str_t        name;
    ngx_shm_zone_t  *shm_zone;

    name.len = zone->len + sizeof("#stat") - 1;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(ngx_cpymem(name.data, zone->data, zone->len), "#stat",
               sizeof("#stat") - 1);

    /* the allocator takes a part for itself */

    size = ngx_align(sizeof(ngx_http_llm_cache_stat_t), ngx_pagesize)
           + 16 * ngx_pagesize;

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_llm_cache_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_llm_cache_stat_init;
    shm_zone->data = stat;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_llm_cache_stat_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_stat_t  **stat;

    stat = shm_zone->data;
    pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        *stat = pool->data;

        if (*stat && (*stat)->layout == NGX_HTTP_LLM_CACHE_STAT_LAYOUT) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "shared memory \"%V\" holds the layout of another "
                      "version of the module; restart nginx",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    *stat = ngx_slab_calloc(pool, sizeof(ngx_http_llm_cache_stat_t));
    if (*stat == NULL) {
        return NGX_ERROR;
    }

    (*stat)->layout = NGX_HTTP_LLM_CACHE_STAT_LAYOUT;
    (*stat)->series[0].id = 1;

    ngx_http_llm_cache_stat_name(&(*stat)->series[0],
                                 &ngx_http_llm_cache_stat_other,
                                 &ngx_http_llm_cache_stat_other);

    pool->data = *stat;

    return NGX_OK;
}


ngx_http_llm_cache_series_t *
ngx_http_llm_cache_stat_series(ngx_http_llm_cache_stat_t *stat,
    ngx_str_t *location, ngx_str_t *model, ngx_uint_t create)
{
    ngx_str_t                     label;
    ngx_http_llm_cache_series_t  *series;

    label = *location;

    if (label.len > NGX_HTTP_LLM_CACHE_LABEL) {

        /* not within a character of UTF-8, whose other bytes are these */

        label.len = NGX_HTTP_LLM_CACHE_LABEL;

        while (label.len && (label.data[label.len] & 0xc0) == 0x80) {
            label.len--;
        }
    }

    series = NULL;

    if (ngx_http_llm_cache_stat_is_name(model)) {
        series = ngx_http_llm_cache_stat_find(stat, &label, model, create);
    }

    if (series == NULL) {
        series = ngx_http_llm_cache_stat_find(stat, &label,
                                              &ngx_http_llm_cache_stat_other,
                                              1);
    }

    return series ? series : &stat->series[0];
}


/* the name comes from a client: it must look like one of a model */

static ngx_uint_t
ngx_http_llm_cache_stat_is_name(ngx_str_t *model)
{
    u_char      c;
    ngx_uint_t  i;

    if (model->len == 0 || model->len > NGX_HTTP_LLM_CACHE_LABEL) {
        return 0;
    }

    for (i = 0; i < model->len; i++) {
        c = model->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || c == '.' || c == '-' || c == '_' || c == ':' || c == '/'
              || c == '@' || c == '+'))
        {
            return 0;
        }
    }

    return 1;
}


/* FNV-1a: who makes names collide only blurs his own counts */

static ngx_atomic_uint_t
ngx_http_llm_cache_stat_id(ngx_str_t *location, ngx_str_t *model)
{
    uint64_t    hash;
    ngx_uint_t  i;

    hash = UINT64_C(0xcbf29ce484222325);

    for (i = 0; i < location->len; i++) {
        hash = (hash ^ location->data[i]) * UINT64_C(0x100000001b3);
    }

    hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);

    for (i = 0; i < model->len; i++) {
        hash = (hash ^ model->data[i]) * UINT64_C(0x100000001b3);
    }

    hash ^= hash >> 32;

    return (ngx_atomic_uint_t) hash | 2;
}


static ngx_http_llm_cache_series_t *
ngx_http_llm_cache_stat_find(ngx_http_llm_cache_stat_t *stat,
    ngx_str_t *location, ngx_str_t *model, ngx_uint_t create)
{
    ngx_uint_t                    i;
    ngx_atomic_uint_t             id;
    ngx_http_llm_cache_series_t  *series;

    id = ngx_http_llm_cache_stat_id(location, model);

    for (i = 0; i < NGX_HTTP_LLM_CACHE_STAT_TRIES; i++) {

        series = &stat->series[1 + (id + i) % (NGX_HTTP_LLM_CACHE_SERIES - 1)];

        if (series->id == 0) {

            if (!create) {
                return NULL;
            }

            (void) ngx_atomic_cmp_set(&series->id, 0, id);
        }

        if (series->id == id) {

            /* who took the place may have died before it named it */

            if (!series->named) {
                ngx_http_llm_cache_stat_name(series, location, model);
            }

            return series;
        }
    }

    return NULL;
}


/* whoever does it at the same time writes the same */

static void
ngx_http_llm_cache_stat_name(ngx_http_llm_cache_series_t *series,
    ngx_str_t *location, ngx_str_t *model)
{
    series->location_len = (u_char) location->len;
    series->model_len = (u_char) model->len;

    ngx_memcpy(series->location, location->data, location->len);
    ngx_memcpy(series->model, model->data, model->len);

    ngx_memory_barrier();

    series->named = 1;
}


ngx_uint_t
ngx_http_llm_cache_series_used(ngx_http_llm_cache_series_t *series)
{
    ngx_uint_t  s;

    for (s = 0; series->named && s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
        if (series->requests[s]) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_cache_series_observed(ngx_http_llm_cache_series_t *series)
{
    ngx_uint_t                           s;
    ngx_http_llm_cache_observed_stat_t  *observed;

    observed = &series->observed[NGX_HTTP_LLM_CACHE_OBSERVED_LOCATION];

    for (s = 0; series->named && s < NGX_HTTP_LLM_CACHE_STATUS_MAX; s++) {
        if (observed->requests[s]) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_llm_cache_sum_add(ngx_http_llm_cache_sum_t *total,
    ngx_http_llm_cache_sum_t *sum)
{
    ngx_http_llm_cache_count(&total->prompt_tokens, sum->prompt_tokens);
    ngx_http_llm_cache_count(&total->completion_tokens,
                             sum->completion_tokens);
    ngx_http_llm_cache_count(&total->cost, sum->cost);
    ngx_http_llm_cache_count(&total->msec, sum->msec);
}


ngx_http_llm_cache_period_t *
ngx_http_llm_cache_stat_period(ngx_http_llm_cache_stat_t *stat)
{
    ngx_atomic_uint_t             old, number;
    ngx_http_llm_cache_period_t  *period;

    number = (ngx_atomic_uint_t) ngx_time() / NGX_HTTP_LLM_CACHE_PERIOD;
    period = &stat->periods[number % NGX_HTTP_LLM_CACHE_PERIODS];

    old = period->number;

    if (old < number && ngx_atomic_cmp_set(&period->number, old, number)) {

        /* what others count meanwhile is lost to the chart only */

        period->requests = 0;
        period->hits = 0;
        ngx_memzero((void *) &period->saved,
                    sizeof(ngx_http_llm_cache_sum_t));
    }

    return period;
}


uint64_t
ngx_http_llm_cache_usec(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


void
ngx_http_llm_cache_stat_observe(ngx_http_llm_cache_stat_t *stat,
    ngx_http_llm_cache_histogram_e histogram, uint64_t value)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_histogram_t  *h;

    h = &stat->histograms[histogram];

    for (i = 0; i < NGX_HTTP_LLM_CACHE_BUCKETS; i++) {
        if (value <= ngx_http_llm_cache_bounds[histogram][i]) {
            break;
        }
    }

    ngx_http_llm_cache_count(&h->counts[i], 1);
    ngx_http_llm_cache_count(&h->sum, value);
}
