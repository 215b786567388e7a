#include "ngx_http_llm_cache_vary.h"


/* of the names of one answer; who names more is as good as "*" */
#define NGX_HTTP_LLM_CACHE_VARY_MAX  512


static ngx_int_t ngx_http_llm_cache_vary_names(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *names);
static ngx_int_t ngx_http_llm_cache_vary_add(ngx_http_llm_cache_ctx_t *ctx,
    u_char *text, size_t *len, ngx_str_t *value);
static ngx_uint_t ngx_http_llm_cache_vary_next(llm_str_t *list,
    ngx_str_t *name);
static ngx_int_t ngx_http_llm_cache_vary_digest(ngx_http_request_t *r,
    llm_str_t names, u_char *digest);


ngx_uint_t
ngx_http_llm_cache_vary_any(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_str_t  names;

    return ngx_http_llm_cache_vary_names(r, ctx, &names) != NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_vary_save(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta)
{
    u_char     value[LLM_KEY_LEN + NGX_HTTP_LLM_CACHE_VARY_MAX];
    llm_str_t  names;

    ctx->varies = 0;

    /* of what is "*" nothing is stored */

    if (ngx_http_llm_cache_vary_names(r, ctx, &names) != NGX_OK
        || names.len == 0)
    {
        return NGX_OK;
    }

    if (ngx_http_llm_cache_vary_digest(r, names, value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(value + LLM_KEY_LEN, names.data, names.len);

    names.data = value;
    names.len += LLM_KEY_LEN;

    ctx->varies = 1;

    return llm_record_add_meta(meta, LLM_META_VARY, names) == 0 ? NGX_OK
                                                                : NGX_ERROR;
}


ngx_uint_t
ngx_http_llm_cache_vary_same(ngx_http_request_t *r, llm_str_t meta)
{
    size_t      pos;
    u_char      digest[LLM_KEY_LEN];
    llm_str_t   value, names;
    llm_meta_e  tag;

    pos = 0;

    while (llm_record_next_meta(meta, &pos, &tag, &value)) {

        if (tag != LLM_META_VARY || value.len < LLM_KEY_LEN) {
            continue;
        }

        names.data = value.data + LLM_KEY_LEN;
        names.len = value.len - LLM_KEY_LEN;

        return ngx_http_llm_cache_vary_digest(r, names, digest) == NGX_OK
               && ngx_memcmp(digest, value.data, LLM_KEY_LEN) == 0;
    }

    return 0;
}


/*
 * The names of the upstream's Vary for which the key does not speak (RFC 9111,
 * section 4.1), each with a comma behind it, whether the client is told of it
 * or not.  NGX_DECLINED: no request can be known to be equal.
 */

static ngx_int_t
ngx_http_llm_cache_vary_names(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *names)
{
    ngx_list_t                 *headers;
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    static u_char     text[NGX_HTTP_LLM_CACHE_VARY_MAX];
    static ngx_str_t  vary = ngx_string("vary");

    names->data = text;
    names->len = 0;

    headers = r->upstream ? &r->upstream->headers_in.headers
                          : &r->headers_out.headers;

    ngx_http_llm_cache_walk_headers(&walk, headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, &vary)) != NULL) {

        if (h->hash
            && ngx_http_llm_cache_vary_add(ctx, text, &names->len, &h->value)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_vary_add(ngx_http_llm_cache_ctx_t *ctx, u_char *text,
    size_t *len, ngx_str_t *value)
{
    llm_str_t  list;
    ngx_str_t  name;

    list = ngx_http_llm_cache_view(value);

    while (ngx_http_llm_cache_vary_next(&list, &name)) {

        if (name.len == 1 && *name.data == '*') {
            return NGX_DECLINED;
        }

        if (ngx_http_llm_cache_key_counts(ctx, &name)) {
            continue;
        }

        if (name.len >= NGX_HTTP_LLM_CACHE_VARY_MAX - *len) {
            return NGX_DECLINED;
        }

        ngx_strlow(text + *len, name.data, name.len);
        *len += name.len;
        text[(*len)++] = ',';
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_cache_vary_next(llm_str_t *list, ngx_str_t *name)
{
    u_char  *p, *last, *end;

    p = (u_char *) list->data;
    last = p + list->len;

    while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) {
        p++;
    }

    end = ngx_strlchr(p, last, ',');
    if (end == NULL) {
        end = last;
    }

    list->data = end;
    list->len = last - end;

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    name->data = p;
    name->len = end - p;

    return name->len != 0;
}


static ngx_int_t
ngx_http_llm_cache_vary_digest(ngx_http_request_t *r, llm_str_t names,
    u_char *digest)
{
    ngx_str_t   name[2];
    llm_key_t  *key;

    key = llm_key_create();
    if (key == NULL) {
        return NGX_ERROR;
    }

    ngx_str_null(&name[1]);

    while (ngx_http_llm_cache_vary_next(&names, &name[0])) {
        llm_key_add(key, LLM_KEY_HEADER, name[0].data, name[0].len);
        ngx_http_llm_cache_key_headers(r, name, key);
    }

    return llm_key_final(key, digest) == 0 ? NGX_OK : NGX_ERROR;
}
