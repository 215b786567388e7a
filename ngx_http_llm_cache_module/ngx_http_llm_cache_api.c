#include "ngx_http_llm_cache_api.h"


typedef struct {
    ngx_str_t                    path;
    ngx_uint_t                   methods;
    unsigned                     begins:1;   /* the path goes on */
    unsigned                     write:1;    /* it needs write=on */
    ngx_http_handler_pt          handler;
} ngx_http_llm_cache_api_route_t;


static ngx_int_t ngx_http_llm_cache_api_write(ngx_http_request_t *r,
    ngx_http_llm_cache_api_route_t *route);
static ngx_uint_t ngx_http_llm_cache_api_same_origin(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_api_get_root(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_api_get_status(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_api_get_metrics(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_cache_api_accepts(ngx_http_request_t *r,
    const char *type);
static ngx_int_t ngx_http_llm_cache_api_no_store(ngx_http_request_t *r);


static ngx_http_llm_cache_api_route_t  ngx_http_llm_cache_api_routes[] = {
    { ngx_string(""), NGX_HTTP_GET|NGX_HTTP_HEAD, 0, 0,
      ngx_http_llm_cache_api_get_root },
    { ngx_string("/status"), NGX_HTTP_GET|NGX_HTTP_HEAD, 0, 0,
      ngx_http_llm_cache_api_get_status },
    { ngx_string("/metrics"), NGX_HTTP_GET|NGX_HTTP_HEAD, 0, 0,
      ngx_http_llm_cache_api_get_metrics },
    { ngx_string("/keys/"), NGX_HTTP_GET|NGX_HTTP_HEAD, 1, 0,
      ngx_http_llm_cache_api_get_key },
    { ngx_string("/keys/"), NGX_HTTP_DELETE, 1, 1,
      ngx_http_llm_cache_api_delete_key },
    { ngx_string("/purge"), NGX_HTTP_POST, 0, 1,
      ngx_http_llm_cache_api_purge },
    { ngx_string("/report"), NGX_HTTP_POST, 0, 1,
      ngx_http_llm_cache_api_report },
    { ngx_null_string, 0, 0, 0, NULL }
};


ngx_int_t
ngx_http_llm_cache_api_handler(ngx_http_request_t *r)
{
    ngx_str_t                        path;
    ngx_uint_t                       known;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_llm_cache_api_route_t  *route;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    path.len = r->uri.len - ngx_min(clcf->name.len, r->uri.len);
    path.data = r->uri.data + (r->uri.len - path.len);

    /* the location may end with a slash, which is the path's first */

    if (clcf->name.data[clcf->name.len - 1] == '/') {
        path.len++;
        path.data--;
    }

    if (path.len == 1 && path.data[0] == '/') {
        path.len = 0;
    }

    known = 0;

    for (route = ngx_http_llm_cache_api_routes; route->handler; route++) {

        if (path.len < route->path.len
            || (path.len > route->path.len && !route->begins)
            || ngx_memcmp(route->path.data, path.data, route->path.len) != 0)
        {
            continue;
        }

        known = 1;

        if (r->method & route->methods) {
            return route->write ? ngx_http_llm_cache_api_write(r, route)
                                : route->handler(r);
        }
    }

    if (known) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_NOT_ALLOWED,
                                            "method not allowed");
    }

    return ngx_http_llm_cache_api_error(r, NGX_HTTP_NOT_FOUND,
                                        "no such endpoint");
}


static ngx_int_t
ngx_http_llm_cache_api_write(ngx_http_request_t *r,
    ngx_http_llm_cache_api_route_t *route)
{
    ngx_http_llm_cache_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_llm_cache_module);

    if (conf->api != NGX_HTTP_LLM_CACHE_API_WRITE) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_FORBIDDEN,
                                   "this llm_cache_api is without write=on");
    }

    if (!ngx_http_llm_cache_api_same_origin(r)) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_FORBIDDEN,
                                  "the request comes from another origin");
    }

    return route->handler(r);
}


/* a page of somebody else's must not purge by a visitor's browser */

static ngx_uint_t
ngx_http_llm_cache_api_same_origin(ngx_http_request_t *r)
{
    u_char           *p, *last;
    ngx_str_t         host;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("origin");

    h = ngx_http_llm_cache_find_header(r, &name);

    if (h == NULL) {
        return 1;
    }

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = r->headers_in.host->value;
    last = h->value.data + h->value.len;
    p = ngx_strlcasestrn(h->value.data, last, (u_char *) "://", 3 - 1);

    return p && (size_t) (last - p) == 3 + host.len
           && ngx_strncasecmp(p + 3, host.data, host.len) == 0;
}


static ngx_int_t
ngx_http_llm_cache_api_get_root(ngx_http_request_t *r)
{
    static ngx_str_t  name = ngx_string("Vary");
    static ngx_str_t  value = ngx_string("Accept");

    if (ngx_http_llm_cache_add_header(r, &name, &value) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_llm_cache_api_wants_page(r)
           ? ngx_http_llm_cache_api_page(r)
           : ngx_http_llm_cache_api_get_status(r);
}


static ngx_int_t
ngx_http_llm_cache_api_get_status(ngx_http_request_t *r)
{
    return ngx_http_llm_cache_api_send_json(r, NGX_HTTP_OK,
                                            ngx_http_llm_cache_api_status(r));
}


static ngx_int_t
ngx_http_llm_cache_api_get_metrics(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    llm_buf_t   buf;
    ngx_uint_t  openmetrics;

    static ngx_str_t  types[] = {
        ngx_string("text/plain; version=0.0.4; charset=utf-8"),
        ngx_string("application/openmetrics-text; version=1.0.0; "
                   "charset=utf-8")
    };

    ngx_memzero(&buf, sizeof(llm_buf_t));

    openmetrics = ngx_http_llm_cache_api_accepts(r,
                                             "application/openmetrics-text");

    if (ngx_http_llm_cache_api_metrics(r, openmetrics, &buf) != 0) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_llm_cache_api_send(r, NGX_HTTP_OK, &types[openmetrics],
                                         buf.data, buf.len);
    }

    llm_buf_free(&buf);

    return rc;
}


static ngx_uint_t
ngx_http_llm_cache_api_accepts(ngx_http_request_t *r, const char *type)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("accept");

    h = ngx_http_llm_cache_find_header(r, &name);

    return h && ngx_strcasestrn(h->value.data, (char *) type,
                                ngx_strlen(type) - 1)
                != NULL;
}


ngx_int_t
ngx_http_llm_cache_api_send_json(ngx_http_request_t *r, ngx_uint_t status,
    json_t *document)
{
    char       *text;
    ngx_int_t   rc;

    static ngx_str_t  type = ngx_string("application/json");

    text = document ? json_dumps(document,
                                 JSON_COMPACT|JSON_REAL_PRECISION(15))
                    : NULL;

    json_decref(document);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_llm_cache_api_send(r, status, &type, (u_char *) text,
                                     ngx_strlen(text));
    free(text);

    return rc;
}


ngx_int_t
ngx_http_llm_cache_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *message)
{
    return ngx_http_llm_cache_api_send_json(r, status,
                                            json_pack("{s:s}", "error",
                                                      message));
}


ngx_int_t
ngx_http_llm_cache_api_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, u_char *data, size_t len)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = (off_t) len;

    if (ngx_http_llm_cache_api_no_store(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, len + 1);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, data, len);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


ngx_http_llm_cache_redis_t *
ngx_http_llm_cache_api_redis(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_redis_t      **redises;
    ngx_http_llm_cache_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {
        if (ngx_http_llm_cache_redis_has_zone(redises[i], zone)) {
            return redises[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_llm_cache_api_no_store(ngx_http_request_t *r)
{
    static ngx_str_t  name = ngx_string("Cache-Control");
    static ngx_str_t  value = ngx_string("no-store");

    return ngx_http_llm_cache_add_header(r, &name, &value) ? NGX_OK
                                                           : NGX_ERROR;
}
