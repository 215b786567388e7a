/*
 * The status page, and the policy under which a browser runs it.
 */


#include "ngx_http_llm_cache_api.h"
#include "ngx_http_llm_cache_page.h"

#include <openssl/evp.h>


static ngx_int_t ngx_http_llm_cache_page_digest(const char *open,
    const char *close, u_char *out);
static ngx_int_t ngx_http_llm_cache_page_quality(ngx_str_t *accept,
    const char *type);


/*
 * Nothing from anywhere but what is in the page itself, by its digest (see
 * https://www.w3.org/TR/CSP3/), and the counters.  The icon is an image in
 * the page: without one browsers ask the server for /favicon.ico.
 */

#define NGX_HTTP_LLM_CACHE_POLICY                                             \
    "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "     \
    "connect-src 'self'; img-src data:; base-uri 'none'; "                    \
    "form-action 'none'; frame-ancestors 'none'"

#define NGX_HTTP_LLM_CACHE_DIGEST  32


ngx_int_t
ngx_http_llm_cache_page_init(ngx_conf_t *cf)
{
    size_t                           size;
    u_char                           script[64], style[64];
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    if (mcf->apis.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_llm_cache_page_digest("<script>", "</script>", script)
        != NGX_OK
        || ngx_http_llm_cache_page_digest("<style>", "</style>", style)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the llm cache's status page cannot be digested");
        return NGX_ERROR;
    }

    size = sizeof(NGX_HTTP_LLM_CACHE_POLICY) + sizeof(script) + sizeof(style);

    mcf->page_policy.data = ngx_pnalloc(cf->pool, size);
    if (mcf->page_policy.data == NULL) {
        return NGX_ERROR;
    }

    mcf->page_policy.len = ngx_sprintf(mcf->page_policy.data,
                                       NGX_HTTP_LLM_CACHE_POLICY,
                                       script, style)
                           - mcf->page_policy.data;

    return NGX_OK;
}


/* of what stands in the page's one element of that kind, in base64 */

static ngx_int_t
ngx_http_llm_cache_page_digest(const char *open, const char *close,
    u_char *out)
{
    u_char       *begin, *end, *page, *last;
    u_char        digest[NGX_HTTP_LLM_CACHE_DIGEST];
    ngx_str_t     from, to;

    page = (u_char *) ngx_http_llm_cache_page;
    last = page + ngx_http_llm_cache_page_len;

    begin = ngx_strlcasestrn(page, last, (u_char *) open,
                             ngx_strlen(open) - 1);
    if (begin == NULL) {
        return NGX_ERROR;
    }

    begin += ngx_strlen(open);

    end = ngx_strlcasestrn(begin, last, (u_char *) close,
                           ngx_strlen(close) - 1);
    if (end == NULL
        || EVP_Digest(begin, end - begin, digest, NULL, EVP_sha256(), NULL)
           != 1)
    {
        return NGX_ERROR;
    }

    from.data = digest;
    from.len = sizeof(digest);
    to.data = out;

    ngx_encode_base64(&to, &from);
    out[to.len] = '\0';

    return NGX_OK;
}


/*
 * Who names neither HTML nor JSON, as "*" does not, gets JSON.  So does who
 * comes to an exact location: the page's numbers would be outside of it.
 */

ngx_uint_t
ngx_http_llm_cache_api_wants_page(ngx_http_request_t *r)
{
    ngx_table_elt_t           *h;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  name = ngx_string("accept");

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->exact_match) {
        return 0;
    }

    h = ngx_http_llm_cache_find_header(r, &name);

    return h && ngx_http_llm_cache_page_quality(&h->value, "text/html")
                > ngx_http_llm_cache_page_quality(&h->value,
                                                  "application/json");
}


/*
 * How much a type is wanted, in thousandths, 0 if it is not named: RFC 9110,
 * 12.5.1.
 */

static ngx_int_t
ngx_http_llm_cache_page_quality(ngx_str_t *accept, const char *type)
{
    size_t      len;
    u_char     *p, *last, *end, *q;
    ngx_int_t   quality;

    len = ngx_strlen(type);
    last = accept->data + accept->len;

    for (p = accept->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if ((size_t) (end - p) < len
            || ngx_strncasecmp(p, (u_char *) type, len) != 0)
        {
            continue;
        }

        p += len;

        if (p < end && *p != ';' && *p != ' ' && *p != '\t') {
            continue;
        }

        q = ngx_strlcasestrn(p, end, (u_char *) "q=", 1);

        if (q == NULL) {
            return 1000;
        }

        q += 2;

        for (p = q; p < end && (*p == '.' || (*p >= '0' && *p <= '9')); p++) {
            /* void */
        }

        quality = ngx_atofp(q, p - q, 3);

        return quality == NGX_ERROR ? 0 : quality;
    }

    return 0;
}


ngx_int_t
ngx_http_llm_cache_api_page(ngx_http_request_t *r)
{
    size_t                           i;
    ngx_http_llm_cache_main_conf_t  *mcf;

    static ngx_str_t  type = ngx_string("text/html; charset=utf-8");

    static ngx_str_t  headers[][2] = {
        { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") },
        { ngx_string("Referrer-Policy"), ngx_string("no-referrer") }
    };
    static ngx_str_t  policy = ngx_string("Content-Security-Policy");

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (ngx_http_llm_cache_add_header(r, &headers[i][0], &headers[i][1])
            == NULL)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ngx_http_llm_cache_add_header(r, &policy, &mcf->page_policy) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_llm_cache_api_send(r, NGX_HTTP_OK, &type,
                                       (u_char *) ngx_http_llm_cache_page,
                                       ngx_http_llm_cache_page_len);
}
