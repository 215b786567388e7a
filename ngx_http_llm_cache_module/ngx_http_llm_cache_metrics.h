/*
 * What writes metrics: families of them, and the samples of each zone.
 */


#ifndef _NGX_HTTP_LLM_CACHE_METRICS_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_METRICS_H_INCLUDED_


#include "ngx_http_llm_cache_api.h"


typedef struct ngx_http_llm_cache_metrics_s  ngx_http_llm_cache_metrics_t;

struct ngx_http_llm_cache_metrics_s {
    ngx_http_request_t          *request;
    llm_buf_t                   *buf;
    ngx_uint_t                   openmetrics;
    ngx_uint_t                   failed;     /* memory ran out */

    const char                  *name;       /* of the family at hand */
    ngx_http_llm_cache_zone_t   *zone;
};


typedef struct {
    const char                  *name;       /* without "_total" */
    const char                  *type;
    const char                  *help;
    void                       (*handler)(ngx_http_llm_cache_metrics_t *m,
                                          uintptr_t data);
    uintptr_t                    data;       /* what is told of a zone */
} ngx_http_llm_cache_family_t;


#define NGX_HTTP_LLM_CACHE_STAT(member)                                       \
    offsetof(ngx_http_llm_cache_stat_t, member)


/* a family with the samples of all zones */
void ngx_http_llm_cache_metric_family(ngx_http_llm_cache_metrics_t *m,
    const ngx_http_llm_cache_family_t *family);

/* those reasons that there were; data: where in the zone's counters */
void ngx_http_llm_cache_metric_reasons(ngx_http_llm_cache_metrics_t *m,
    uintptr_t data);

/* a sample of a series; no label for NULL */
void ngx_http_llm_cache_metric_sample(ngx_http_llm_cache_metrics_t *m,
    ngx_http_llm_cache_series_t *series, const char *scope, const char *label,
    const char *value, ngx_atomic_uint_t n, uint64_t unit);

/* a sample of the zone at hand: its labels, and its value, n parts of a unit
   of so many; no label for a word that is NULL */
void ngx_http_llm_cache_metric_begin(ngx_http_llm_cache_metrics_t *m,
    const char *suffix);
void ngx_http_llm_cache_metric_label(ngx_http_llm_cache_metrics_t *m,
    const char *name, const u_char *data, size_t len);
void ngx_http_llm_cache_metric_word(ngx_http_llm_cache_metrics_t *m,
    const char *name, const char *word);
void ngx_http_llm_cache_metric_end(ngx_http_llm_cache_metrics_t *m,
    uint64_t n, uint64_t unit);

/* ngx_http_llm_cache_api_observed.c */

/* the families of what is observed */
void ngx_http_llm_cache_metric_observed(ngx_http_llm_cache_metrics_t *m);


#endif /* _NGX_HTTP_LLM_CACHE_METRICS_H_INCLUDED_ */
