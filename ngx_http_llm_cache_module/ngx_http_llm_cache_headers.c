#include "ngx_http_llm_cache.h"


static int64_t ngx_http_llm_cache_saved(ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_number(ngx_http_request_t *r,
    int64_t number, ngx_str_t *value);
static ngx_int_t ngx_http_llm_cache_add_age(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_write_status(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *status, ngx_str_t *key);
static u_char *ngx_http_llm_cache_write_forward(u_char *p,
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_save_list(ngx_http_request_t *r,
    llm_buf_t *meta, ngx_str_t *name);
static void ngx_http_llm_cache_drop_headers(ngx_http_request_t *r,
    ngx_str_t *name);


static ngx_str_t  ngx_http_llm_cache_words[] = {
    ngx_null_string,
    ngx_string("HIT"),
    ngx_string("MISS"),
    ngx_string("BYPASS"),
    ngx_string("EXPIRED"),
    ngx_string("STALE"),
    ngx_string("UPDATING"),
    ngx_string("SHARED"),
    ngx_string("SEMANTIC"),
    ngx_string("PARTIAL")
};


/*
 * The upstream's headers that a hit repeats.  All others belong to one
 * exchange or to one account: cookies, rate limits, dates, connection.
 */

static ngx_str_t  ngx_http_llm_cache_kept[] = {
    ngx_string("content-language"),
    ngx_string("x-request-id"),
    ngx_string("request-id"),
    ngx_string("openai-version"),
    ngx_string("openai-model"),
    ngx_string("access-control-allow-origin"),
    ngx_string("access-control-allow-credentials"),
    ngx_string("access-control-expose-headers"),
    ngx_null_string
};


/* and, of an error, what those who waited for the same answer get too */

static ngx_str_t  ngx_http_llm_cache_kept_of_errors[] = {
    ngx_string("retry-after"),
    ngx_string("retry-after-ms"),
    ngx_string("x-should-retry"),
    ngx_string("www-authenticate"),
    ngx_null_string
};


ngx_str_t *
ngx_http_llm_cache_status_word(ngx_http_llm_cache_status_e status)
{
    return &ngx_http_llm_cache_words[status];
}


ngx_table_elt_t *
ngx_http_llm_cache_add_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = *name;
    h->value = *value;

    return h;
}


/*
 * Which names a list may hold: a bit for a length and a first letter, which
 * spares most walks through the list.
 */

uint64_t
ngx_http_llm_cache_header_names(ngx_list_t *headers)
{
    uint64_t                    names;
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    names = 0;

    ngx_http_llm_cache_walk_headers(&walk, headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, NULL)) != NULL) {
        names |= ngx_http_llm_cache_header_bit(&h->key);
    }

    return names;
}


void
ngx_http_llm_cache_walk_headers(ngx_http_llm_cache_walk_t *walk,
    ngx_list_t *headers)
{
    walk->part = &headers->part;
    walk->i = 0;
}


ngx_table_elt_t *
ngx_http_llm_cache_next_header(ngx_http_llm_cache_walk_t *walk,
    ngx_str_t *name)
{
    ngx_table_elt_t  *h;

    while (walk->part) {

        if (walk->i == walk->part->nelts) {
            walk->part = walk->part->next;
            walk->i = 0;
            continue;
        }

        h = walk->part->elts;
        h += walk->i++;

        if (name == NULL
            || (h->key.len == name->len
                && ngx_strncasecmp(h->key.data, name->data, name->len) == 0))
        {
            return h;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_llm_cache_is_utf8(u_char *p, u_char *last)
{
    u_char  *end, *next;

    while (p < last) {

        next = ngx_strlchr(++p, last, ';');
        if (next == NULL) {
            next = last;
        }

        end = next;

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (end - p >= 8 && ngx_strncasecmp(p, (u_char *) "charset=", 8) == 0)
        {
            for (p += 8; p < end && *p == '"'; p++) { /* void */ }

            while (end > p
                   && (end[-1] == '"' || end[-1] == ' ' || end[-1] == '\t'))
            {
                end--;
            }

            if ((end - p != 5
                 || ngx_strncasecmp(p, (u_char *) "utf-8", 5) != 0)
                && (end - p != 4
                    || ngx_strncasecmp(p, (u_char *) "utf8", 4) != 0))
            {
                return 0;
            }
        }

        p = next;
    }

    return 1;
}


/* the module's own response headers; Cache-Status is of RFC 9211 */

ngx_int_t
ngx_http_llm_cache_add_headers(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_str_t  key, status, similarity, saved;

    static ngx_str_t  status_name = ngx_string("X-LLM-Cache");
    static ngx_str_t  key_name = ngx_string("X-LLM-Cache-Key");
    static ngx_str_t  similarity_name = ngx_string("X-LLM-Cache-Similarity");
    static ngx_str_t  saved_name = ngx_string("X-LLM-Cache-Saved-Tokens");
    static ngx_str_t  cache_status_name = ngx_string("Cache-Status");

    if (!ngx_http_llm_cache_stored(ctx)
        && ctx->status != NGX_HTTP_LLM_CACHE_SHARED)
    {
        /* another cache of this kind may stand behind this one */

        ngx_http_llm_cache_drop_headers(r, &status_name);
        ngx_http_llm_cache_drop_headers(r, &key_name);
        ngx_http_llm_cache_drop_headers(r, &similarity_name);
        ngx_http_llm_cache_drop_headers(r, &saved_name);
    }

    if (ngx_http_llm_cache_write_status(r, ctx, &status, &key) != NGX_OK
        || ngx_http_llm_cache_add_header(r, &status_name,
                                  ngx_http_llm_cache_status_word(ctx->status))
           == NULL
        || (ctx->has_key
            && ngx_http_llm_cache_add_header(r, &key_name, &key) == NULL)
        || (ngx_http_llm_cache_stored(ctx)
            && ngx_http_llm_cache_add_age(r, ctx) != NGX_OK)
        || (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC
            && (ngx_http_llm_cache_similarity(r, ctx, &similarity) != NGX_OK
                || ngx_http_llm_cache_add_header(r, &similarity_name,
                                                 &similarity)
                   == NULL))
        || (ngx_http_llm_cache_saved(ctx) >= 0
            && (ngx_http_llm_cache_number(r, ngx_http_llm_cache_saved(ctx),
                                          &saved)
                != NGX_OK
                || ngx_http_llm_cache_add_header(r, &saved_name, &saved)
                   == NULL))
        || ngx_http_llm_cache_add_header(r, &cache_status_name, &status)
           == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* of embeddings: what the provider did not bill, -1 where that is not told */

static int64_t
ngx_http_llm_cache_saved(ngx_http_llm_cache_ctx_t *ctx)
{
    return ctx->one_input && ngx_http_llm_cache_stored(ctx)
           ? ctx->prompt_tokens : ctx->saved_tokens;
}


static ngx_int_t
ngx_http_llm_cache_number(ngx_http_request_t *r, int64_t number,
    ngx_str_t *value)
{
    value->data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%L", number) - value->data;

    return NGX_OK;
}


/* of a semantic hit, in three digits */

ngx_int_t
ngx_http_llm_cache_similarity(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *value)
{
    value->data = ngx_pnalloc(r->pool, sizeof("0.000"));
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%.3f", ctx->semantic->similarity)
                 - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_add_age(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_str_t  value;

    static ngx_str_t  name = ngx_string("Age");

    value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%T", ctx->age) - value.data;

    return ngx_http_llm_cache_add_header(r, &name, &value) ? NGX_OK
                                                           : NGX_ERROR;
}


/* the value of Cache-Status, and the key where it stands in that */

static ngx_int_t
ngx_http_llm_cache_write_status(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *status, ngx_str_t *key)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, sizeof("llm-cache; fwd=uri-miss; fwd-status=; "
                                    "ttl=; key=\"\"; detail=\"\"")
                             + 2 * LLM_KEY_LEN + NGX_TIME_T_LEN
                             + NGX_INT_T_LEN + 32);
    if (p == NULL) {
        return NGX_ERROR;
    }

    status->data = p;

    if (ngx_http_llm_cache_stored(ctx)) {
        p = ngx_cpymem(p, "llm-cache; hit; ttl=",
                       sizeof("llm-cache; hit; ttl=") - 1);
        p = ngx_sprintf(p, "%T", (time_t) ctx->record.expires - ngx_time());

        if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
            p = ngx_cpymem(p, "; detail=\"semantic\"",
                           sizeof("; detail=\"semantic\"") - 1);

        } else if (ctx->status != NGX_HTTP_LLM_CACHE_HIT) {
            p = ngx_cpymem(p, "; detail=\"stale\"",
                           sizeof("; detail=\"stale\"") - 1);
        }

    } else {
        p = ngx_http_llm_cache_write_forward(p, r, ctx);
    }

    ngx_str_null(key);

    if (ctx->has_key) {
        p = ngx_cpymem(p, "; key=\"", sizeof("; key=\"") - 1);

        key->data = p;
        key->len = 2 * LLM_KEY_LEN;

        llm_key_hex(ctx->key, p);
        p += key->len;

        *p++ = '"';
    }

    status->len = p - status->data;

    return NGX_OK;
}


static u_char *
ngx_http_llm_cache_write_forward(u_char *p, ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    char        *fwd;
    llm_str_t    word;
    ngx_uint_t   explain;

    if (ctx->only_if_cached) {
        return ngx_cpymem(p, "llm-cache; detail=\"only-if-cached\"",
                          sizeof("llm-cache; detail=\"only-if-cached\"") - 1);
    }

    explain = 0;

    if (ctx->status == NGX_HTTP_LLM_CACHE_SHARED) {
        return ngx_sprintf(p, "llm-cache; fwd=%s; collapsed",
                           ctx->by_request ? "request" : "uri-miss");
    }

    if (ctx->by_request) {
        fwd = "request";

    } else if (ctx->status == NGX_HTTP_LLM_CACHE_MISS) {
        fwd = "uri-miss";

    } else if (ctx->status == NGX_HTTP_LLM_CACHE_PARTIAL) {
        fwd = "partial";

    } else if (ctx->status == NGX_HTTP_LLM_CACHE_EXPIRED) {
        fwd = "stale";

    } else if (ctx->reason == LLM_REASON_METHOD) {
        fwd = "method";

    } else if (ctx->reason == LLM_REASON_CLIENT) {
        fwd = "request";

    } else {
        fwd = "bypass";
        explain = ctx->reason != LLM_REASON_OPERATOR;
    }

    p = ngx_sprintf(p, "llm-cache; fwd=%s", fwd);

    if (r->upstream && r->upstream->headers_in.status_n) {
        p = ngx_sprintf(p, "; fwd-status=%ui",
                        r->upstream->headers_in.status_n);
    }

    if (explain || ctx->verify) {
        word = llm_reason_word(ctx->verify ? LLM_REASON_VERIFY : ctx->reason);
        p = ngx_sprintf(p, "; detail=\"%*s\"", word.len, word.data);
    }

    return p;
}


static void
ngx_http_llm_cache_drop_headers(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_out.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, name)) != NULL) {
        h->hash = 0;
    }
}


/* adds to a record's meta part what a hit will repeat */

ngx_int_t
ngx_http_llm_cache_save_headers(ngx_http_request_t *r, llm_buf_t *meta)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_cache_save_list(r, meta, ngx_http_llm_cache_kept);

    if (rc == NGX_OK && r->headers_out.status >= NGX_HTTP_BAD_REQUEST) {
        rc = ngx_http_llm_cache_save_list(r, meta,
                                          ngx_http_llm_cache_kept_of_errors);
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_cache_save_list(ngx_http_request_t *r, llm_buf_t *meta,
    ngx_str_t *name)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    for ( /* void */ ; name->len; name++) {

        ngx_http_llm_cache_walk_headers(&walk, &r->headers_out.headers);

        while ((h = ngx_http_llm_cache_next_header(&walk, name)) != NULL) {

            if (h->hash == 0) {
                continue;
            }

            if (llm_record_add_meta(meta, LLM_META_HEADER_NAME,
                                    ngx_http_llm_cache_view(&h->key))
                != 0
                || llm_record_add_meta(meta, LLM_META_HEADER_VALUE,
                                       ngx_http_llm_cache_view(&h->value))
                   != 0)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}
