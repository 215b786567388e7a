#include "ngx_http_llm_cache_api.h"
#include "ngx_http_llm_cache_semantic_report.h"


static void ngx_http_llm_cache_api_report_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_api_reported(ngx_http_request_t *r,
    llm_purge_request_t *req);


ngx_int_t
ngx_http_llm_cache_api_report(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_read_client_request_body(r,
                                          ngx_http_llm_cache_api_report_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/* it names a record as a purge does */

static void
ngx_http_llm_cache_api_report_body(ngx_http_request_t *r)
{
    ngx_int_t            rc;
    llm_purge_request_t  req;

    if (ngx_http_llm_cache_api_read(r, &req) != NGX_OK) {
        rc = ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST, req.error);

    } else if (req.purge.by != LLM_PURGE_KEY || req.dry_run) {
        rc = ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                 "a report has a key, and perhaps a zone");
    } else {
        rc = ngx_http_llm_cache_api_reported(r, &req);
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_int_t
ngx_http_llm_cache_api_reported(ngx_http_request_t *r,
    llm_purge_request_t *req)
{
    ngx_str_t                        name;
    ngx_uint_t                       i, reported;
    ngx_http_llm_cache_zone_t       *zone, **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    name.data = (u_char *) req->zone;
    name.len = ngx_strlen(req->zone);

    if (ngx_http_llm_cache_api_zone(r, &name, &zone) != NGX_OK) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "there is no zone of this name");
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;
    reported = 0;

    for (i = 0; i < mcf->zones.nelts; i++) {
        if (zone == NULL || zone == zones[i]) {
            reported |= ngx_http_llm_cache_semantic_report(zones[i],
                                                           req->purge.key)
                        == NGX_OK;
        }
    }

    if (!reported) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_NOT_FOUND,
                     "there is no answer of this key that served another "
                     "question");
    }

    return ngx_http_llm_cache_api_send_json(r, NGX_HTTP_OK,
                                            json_pack("{s:b}", "reported", 1));
}
