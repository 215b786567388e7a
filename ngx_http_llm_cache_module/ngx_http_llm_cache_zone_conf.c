#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_state.h"


#define NGX_HTTP_LLM_CACHE_MIN_PAGES   64
#define NGX_HTTP_LLM_CACHE_MAX_SHARDS  64


static char *ngx_http_llm_cache_zone_param(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_str_t *value);
static char *ngx_http_llm_cache_zone_number(ngx_conf_t *cf, ngx_str_t *value,
    size_t len, ngx_int_t min, ngx_int_t max, ngx_uint_t *number);
static ngx_int_t ngx_http_llm_cache_zone_choice(
    ngx_http_llm_cache_zone_t *zone, ngx_str_t *value);
static char *ngx_http_llm_cache_check_zone(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone);


char *
ngx_http_llm_cache_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                       *rv;
    ngx_int_t                   rc;
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_llm_cache_zone_t  *zone;

    zone = ngx_http_llm_cache_new_zone(cf);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_http_llm_cache_state_param(cf, zone, &value[i]);

        if (rc == NGX_OK) {
            continue;
        }

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_llm_cache_zone_param(cf, zone, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (zone->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_zone\" must have \"zone=NAME:SIZE\"");
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_llm_cache_check_zone(cf, zone);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_llm_cache_zone_add(cf, zone);
}


static char *
ngx_http_llm_cache_zone_param(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone,
    ngx_str_t *value)
{
    off_t       offset;
    u_char     *p;
    ngx_str_t   s;

    if (ngx_strncmp(value->data, "zone=", 5) == 0) {

        zone->name.data = value->data + 5;

        p = (u_char *) ngx_strchr(zone->name.data, ':');
        if (p == NULL || p == zone->name.data) {
            return ngx_http_llm_cache_invalid(cf, value);
        }

        zone->name.len = p - zone->name.data;

        s.data = p + 1;
        s.len = value->data + value->len - s.data;

        /* unlike ngx_parse_size() this one knows gigabytes */

        offset = ngx_parse_offset(&s);
        if (offset == NGX_ERROR || offset == 0
            || offset != (off_t) (size_t) offset)
        {
            return ngx_http_llm_cache_invalid(cf, value);
        }

        zone->size = offset;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "inactive=", 9) == 0) {

        s.data = value->data + 9;
        s.len = value->len - 9;

        zone->inactive = ngx_parse_time(&s, 1);
        if (zone->inactive == (time_t) NGX_ERROR || zone->inactive == 0) {
            return ngx_http_llm_cache_invalid(cf, value);
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_llm_cache_zone_choice(zone, value) == NGX_OK) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "shards=", 7) == 0) {
        return ngx_http_llm_cache_zone_number(cf, value, 7, 1,
                                              NGX_HTTP_LLM_CACHE_MAX_SHARDS,
                                              &zone->n);
    }

    if (ngx_strncmp(value->data, "semantic=", 9) == 0) {
        return ngx_http_llm_cache_zone_number(cf, value, 9,
                                              NGX_HTTP_LLM_CACHE_VECTORS_MIN,
                                              NGX_HTTP_LLM_CACHE_VECTORS_MAX,
                                              &zone->vectors.n);
    }

    if (ngx_strncmp(value->data, "max_entry=", 10) == 0) {

        s.data = value->data + 10;
        s.len = value->len - 10;

        offset = ngx_parse_offset(&s);
        if (offset == NGX_ERROR || offset == 0
            || offset != (off_t) (size_t) offset)
        {
            return ngx_http_llm_cache_invalid(cf, value);
        }

        zone->max_entry = offset;

        return NGX_CONF_OK;
    }

    return ngx_http_llm_cache_invalid(cf, value);
}


/* the number behind the first "len" bytes */

static char *
ngx_http_llm_cache_zone_number(ngx_conf_t *cf, ngx_str_t *value, size_t len,
    ngx_int_t min, ngx_int_t max, ngx_uint_t *number)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data + len, value->len - len);

    if (n < min || n > max) {
        return ngx_http_llm_cache_invalid(cf, value);
    }

    *number = n;

    return NGX_CONF_OK;
}


/* parameters that take one word of a few */

static ngx_int_t
ngx_http_llm_cache_zone_choice(ngx_http_llm_cache_zone_t *zone,
    ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "evict=cost") == 0) {
        zone->lru = 0;

    } else if (ngx_strcmp(value->data, "evict=lru") == 0) {
        zone->lru = 1;

    } else if (ngx_strcmp(value->data, "compress=off") == 0) {
        zone->compress = 0;

    } else if (ngx_strcmp(value->data, "compress=on") == 0) {
        zone->compress = 1;

    } else {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static char *
ngx_http_llm_cache_check_zone(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone)
{
    size_t  min;

    min = zone->n * NGX_HTTP_LLM_CACHE_MIN_PAGES * ngx_pagesize;

    if (zone->size < min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_zone\" zone \"%V\" is too small, "
                           "it must have at least %uzk", &zone->name,
                           min / 1024);
        return NGX_CONF_ERROR;
    }

    if (zone->max_entry > NGX_MAX_INT32_VALUE / 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_zone\" max_entry %uz is too large, "
                           "it must be below 1g", zone->max_entry);
        return NGX_CONF_ERROR;
    }

    return ngx_http_llm_cache_state_check(cf, zone);
}
