#include "ngx_http_llm_cache.h"


static void ngx_http_llm_cache_cleanup(void *data);
static ngx_int_t ngx_http_llm_cache_copy_body(ngx_http_request_t *r,
    u_char *p);
static ngx_int_t ngx_http_llm_cache_set_length(ngx_http_request_t *r,
    off_t len);


/*
 * Internal redirects and ngx_http_filter_finalize_request() forget the
 * contexts of modules: the request's cleanup list still has it.
 */

ngx_http_llm_cache_ctx_t *
ngx_http_llm_cache_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_cache_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_llm_cache_cleanup) {
            ctx = cln->data;
            ngx_http_set_ctx(r, ctx, ngx_http_llm_cache_module);
            return ctx;
        }
    }

    return NULL;
}


ngx_http_llm_cache_ctx_t *
ngx_http_llm_cache_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_llm_cache_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_llm_cache_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_llm_cache_ctx_t));

    ctx->age = -1;
    ctx->prompt_tokens = -1;
    ctx->completion_tokens = -1;

    llm_control_init(&ctx->control);

    cln->handler = ngx_http_llm_cache_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_llm_cache_module);

    return ctx;
}


static void
ngx_http_llm_cache_cleanup(void *data)
{
    ngx_http_llm_cache_ctx_t  *ctx = data;

    ngx_http_llm_cache_reset_ctx(ctx);

    json_decref(ctx->doc);
    ctx->doc = NULL;
}


/* forgets what was decided; what the client said in its request stays */

void
ngx_http_llm_cache_reset_ctx(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_restore_encodings(ctx);

    ngx_http_llm_cache_zone_release(&ctx->hold);
    ngx_http_llm_cache_zone_abandon(&ctx->writer);

    llm_answer_free(ctx->answer);
    ctx->answer = NULL;

    ctx->status = NGX_HTTP_LLM_CACHE_NONE;
    ctx->reason = LLM_REASON_NONE;
    ctx->has_key = 0;
    ctx->may_store = 0;
    ctx->recording = 0;
    ctx->by_request = 0;
    ctx->only_if_cached = 0;
}


/*
 * The request body in one piece: as it stands where it is one buffer in
 * memory, else a copy in the request's pool.
 */

llm_reason_e
ngx_http_llm_cache_body(ngx_http_request_t *r, size_t max, ngx_str_t *body,
    ngx_uint_t *copied)
{
    off_t         len;
    ngx_chain_t  *cl;

    *copied = 0;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return LLM_REASON_NO_BODY;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && !cl->buf->in_file) {
        body->data = cl->buf->pos;
        body->len = cl->buf->last - cl->buf->pos;

    } else {

        len = 0;

        for ( /* void */ ; cl; cl = cl->next) {
            len += ngx_buf_size(cl->buf);
        }

        if (len > (off_t) max) {
            return LLM_REASON_BODY_SIZE;
        }

        body->len = (size_t) len;
        body->data = ngx_palloc(r->pool, body->len + 1);
        if (body->data == NULL) {
            return LLM_REASON_NO_MEMORY;
        }

        *copied = 1;

        if (ngx_http_llm_cache_copy_body(r, body->data) != NGX_OK) {
            return LLM_REASON_BODY_READ;
        }
    }

    if (body->len == 0) {
        return LLM_REASON_NO_BODY;
    }

    if (body->len > max) {
        return LLM_REASON_BODY_SIZE;
    }

    return LLM_REASON_NONE;
}


static ngx_int_t
ngx_http_llm_cache_copy_body(ngx_http_request_t *r, u_char *p)
{
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        if (!b->in_file) {
            continue;
        }

        size = (size_t) (b->file_last - b->file_pos);

        n = ngx_read_file(b->file, p, size, b->file_pos);
        if (n == NGX_ERROR || (size_t) n != size) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* loads the request's document into ctx->doc, where it is not there yet */

llm_reason_e
ngx_http_llm_cache_load(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_str_t     body;
    ngx_uint_t    copied;
    llm_reason_e  reason;

    if (ctx->doc) {
        return LLM_REASON_NONE;
    }

    if (!ctx->ready) {
        return LLM_REASON_NO_BODY;
    }

    reason = ngx_http_llm_cache_body(r, ctx->conf->max_body, &body, &copied);

    if (reason == LLM_REASON_NONE) {
        reason = llm_json_load(body.data, body.len, &ctx->doc);
    }

    if (copied) {
        ngx_pfree(r->pool, body.data);
    }

    return reason;
}


/*
 * Takes the client's cache controls out of the body that goes upstream.  All
 * other bytes stay where they are: the new buffers point around the controls.
 */

ngx_int_t
ngx_http_llm_cache_strip(ngx_http_request_t *r, ngx_str_t *body,
    ngx_uint_t *stripped)
{
    int            i, n;
    off_t          len;
    u_char        *p;
    llm_range_t    ranges[2];
    ngx_chain_t   *bufs, **last;

    *stripped = 0;

    n = llm_control_find(body->data, body->len, ranges);

    if (n == 0) {
        return NGX_OK;
    }

    p = body->data;
    bufs = NULL;
    last = &bufs;

    len = body->len;

    for (i = 0; i < n; i++) {
        last = ngx_http_llm_cache_add_buf(r, p, body->data + ranges[i].start,
                                          last);
        p = body->data + ranges[i].end;
        len -= ranges[i].end - ranges[i].start;
    }

    last = ngx_http_llm_cache_add_buf(r, p, body->data + body->len, last);

    if (last == NULL || ngx_http_llm_cache_set_length(r, len) != NGX_OK) {
        return NGX_ERROR;
    }

    r->request_body->bufs = bufs;
    *stripped = 1;

    return NGX_OK;
}


ngx_chain_t **
ngx_http_llm_cache_add_buf(ngx_http_request_t *r, u_char *start, u_char *end,
    ngx_chain_t **last)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (last == NULL || start == end) {
        return last;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NULL;
    }

    b->start = start;
    b->pos = start;
    b->last = end;
    b->end = end;
    b->memory = 1;

    cl->buf = b;
    cl->next = NULL;

    *last = cl;

    return &cl->next;
}


static ngx_int_t
ngx_http_llm_cache_set_length(ngx_http_request_t *r, off_t len)
{
    ngx_table_elt_t  *h;

    h = r->headers_in.content_length;

    if (h) {
        h->value.data = ngx_pnalloc(r->pool, NGX_OFF_T_LEN + 1);
        if (h->value.data == NULL) {
            return NGX_ERROR;
        }

        h->value.len = ngx_sprintf(h->value.data, "%O", len) - h->value.data;
        h->value.data[h->value.len] = '\0';
    }

    r->headers_in.content_length_n = len;

    return NGX_OK;
}


/*
 * What is recorded must be readable to every client.  The upstream is told
 * that only the identity coding is accepted; gzip and other filters of nginx
 * must see what the client accepts again, so this is undone in the header
 * filter.
 */

ngx_int_t
ngx_http_llm_cache_hide_encodings(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_table_elt_t             *h;
    ngx_http_llm_cache_walk_t    walk;
    ngx_http_llm_cache_saved_t  *saved;

    static ngx_str_t  name = ngx_string("accept-encoding");

    if (ctx->saved.nelts) {
        return NGX_OK;
    }

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_in.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, &name)) != NULL) {

        if (ctx->saved.elts == NULL
            && ngx_array_init(&ctx->saved, r->pool, 1,
                              sizeof(ngx_http_llm_cache_saved_t))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        saved = ngx_array_push(&ctx->saved);
        if (saved == NULL) {
            return NGX_ERROR;
        }

        saved->header = h;
        saved->value = h->value;

        ngx_str_set(&h->value, "identity");
    }

    return NGX_OK;
}


void
ngx_http_llm_cache_restore_encodings(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_saved_t  *saved;

    saved = ctx->saved.elts;

    for (i = 0; i < ctx->saved.nelts; i++) {
        saved[i].header->value = saved[i].value;
    }

    ctx->saved.nelts = 0;
}
