#include "ngx_http_llm_cache.h"


#define NGX_HTTP_LLM_CACHE_MEMO_USAGE      0x01
#define NGX_HTTP_LLM_CACHE_MEMO_TOOLS      0x02
#define NGX_HTTP_LLM_CACHE_MEMO_STATEFUL   0x04
#define NGX_HTTP_LLM_CACHE_MEMO_STREAM     0x08


static llm_reason_e ngx_http_llm_cache_text(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *text, ngx_uint_t *copied);
static ngx_int_t ngx_http_llm_cache_copy_body(ngx_http_request_t *r,
    u_char *p);
static ngx_int_t ngx_http_llm_cache_fingerprint(
    ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *body, u_char *fingerprint);
static ngx_int_t ngx_http_llm_cache_recall(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *fingerprint);
static void ngx_http_llm_cache_remember(ngx_http_llm_cache_ctx_t *ctx,
    u_char *fingerprint);
static void ngx_http_llm_cache_learn(ngx_http_llm_cache_work_t *work);
static llm_reason_e ngx_http_llm_cache_learnt(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work);
static llm_reason_e ngx_http_llm_cache_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work);
static ngx_int_t ngx_http_llm_cache_copy_string(ngx_pool_t *pool,
    ngx_str_t *dst, const u_char *data, size_t len);
static ngx_int_t ngx_http_llm_cache_strip(ngx_http_request_t *r,
    ngx_str_t *text, llm_body_t *body);
static ngx_int_t ngx_http_llm_cache_set_length(ngx_http_request_t *r,
    off_t len);


/*
 * Fills in the context what the body tells.  A location that the request was
 * redirected to reads it anew; the controls are gone from the body by then,
 * but not forgotten.
 */

ngx_int_t
ngx_http_llm_cache_read_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_llm_cache_work_t  work;

    if (ctx->work) {
        ctx->reason = ngx_http_llm_cache_learnt(r, ctx, ctx->work);
        ctx->work = NULL;
        return NGX_OK;
    }

    ngx_memzero(&work, sizeof(ngx_http_llm_cache_work_t));

    ctx->reason = ngx_http_llm_cache_text(r, ctx, &work.text, &work.copied);

    if (ctx->reason != LLM_REASON_NONE) {
        ngx_http_llm_cache_work_done(r, &work);
        return NGX_OK;
    }

    if (ngx_http_llm_cache_fingerprint(ctx, &work.text, work.fingerprint)
        == NGX_OK)
    {
        if (ngx_http_llm_cache_recall(r, ctx, work.fingerprint) == NGX_OK) {
            ngx_http_llm_cache_work_done(r, &work);
            return NGX_OK;
        }

        work.may_remember = 1;
    }

    work.route = &ctx->route;
    work.controls = ctx->conf->controls & NGX_HTTP_LLM_CACHE_CONTROL_BODY;
    work.handler = ngx_http_llm_cache_learn;

    if (ctx->conf->ignore) {
        work.ignore.paths = ctx->conf->ignore->elts;
        work.ignore.n = ctx->conf->ignore->nelts;
    }

    rc = ctx->observed ? ngx_http_llm_cache_post_aside(r, ctx, &work)
                       : ngx_http_llm_cache_post_work(r, ctx, &work);

    if (rc != NGX_DECLINED) {
        return NGX_AGAIN;
    }

    ngx_http_llm_cache_learn(&work);

    ctx->reason = ngx_http_llm_cache_learnt(r, ctx, &work);

    return NGX_OK;
}


/* what is observed may not be read when all of it is there: it was copied */

static llm_reason_e
ngx_http_llm_cache_text(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_str_t *text, ngx_uint_t *copied)
{
    *copied = 0;

    if (ctx->observed && ctx->observed->text.len) {
        text->data = ctx->observed->text.data;
        text->len = ctx->observed->text.len;

        return LLM_REASON_NONE;
    }

    return ctx->ready ? ngx_http_llm_cache_gather(r, ctx->conf->max_body,
                                                  text, copied)
                      : LLM_REASON_NO_BODY;
}


/* may run in a thread: the work is all that it knows */

static void
ngx_http_llm_cache_learn(ngx_http_llm_cache_work_t *work)
{
    work->reason = llm_body_read(work->text.data, work->text.len, work->route,
                                 &work->ignore, work->controls, &work->body);
}


static llm_reason_e
ngx_http_llm_cache_learnt(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    llm_reason_e  reason;

    reason = work->reason;

    if (reason == LLM_REASON_NONE) {
        reason = ngx_http_llm_cache_take(r, ctx, work);
    }

    if (reason == LLM_REASON_NONE && work->may_remember && work->body.n == 0) {
        ngx_http_llm_cache_remember(ctx, work->fingerprint);
    }

    ngx_http_llm_cache_work_done(r, work);

    return reason;
}


static llm_reason_e
ngx_http_llm_cache_take(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_work_t *work)
{
    llm_body_t  *body;

    body = &work->body;

    ngx_memcpy(ctx->digest, body->digest, LLM_KEY_LEN);

    ctx->ask = body->ask;

    /* it belongs to the body */
    ctx->ask.model.len = 0;

    if (ngx_http_llm_cache_copy_string(r->pool, &ctx->model,
                                       body->ask.model.data,
                                       body->ask.model.len)
        != NGX_OK)
    {
        return LLM_REASON_NO_MEMORY;
    }

    if (body->n == 0) {
        return LLM_REASON_NONE;
    }

    ctx->body_control = body->control;

    if (ngx_http_llm_cache_copy_string(r->pool, &ctx->client_ns,
                                       body->control.ns.data,
                                       body->control.ns.len)
        != NGX_OK)
    {
        return LLM_REASON_NO_MEMORY;
    }

    if (ctx->observed) {
        return LLM_REASON_NONE;
    }

    if (ngx_http_llm_cache_strip(r, &work->text, body) != NGX_OK) {
        return LLM_REASON_NO_MEMORY;
    }

    /* what goes upstream points into it */
    work->copied = 0;

    return LLM_REASON_NONE;
}


llm_reason_e
ngx_http_llm_cache_gather(ngx_http_request_t *r, size_t max, ngx_str_t *body,
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


/* of the body's bytes and of all else that decides what they tell */

static ngx_int_t
ngx_http_llm_cache_fingerprint(ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *body,
    u_char *fingerprint)
{
    u_char                     *p;
    u_char                      text[LLM_FINGERPRINT_CONTEXT];
    llm_str_t                   context;
    llm_route_t                *route;
    ngx_http_llm_cache_zone_t  *zone;

    zone = ctx->conf->zone;
    route = &ctx->route;

    if (route->model.len > NGX_HTTP_LLM_CACHE_MEMO_MODEL
        || ngx_http_llm_cache_zone_memo(zone) == NULL)
    {
        return NGX_ERROR;
    }

    p = text;

    *p++ = (u_char) route->dialect->id;
    *p++ = (u_char) (route->stream | route->sse << 1);
    *p++ = (u_char) (ctx->conf->controls & NGX_HTTP_LLM_CACHE_CONTROL_BODY);
    *p++ = (u_char) route->model.len;

    if (route->model.len) {
        p = ngx_cpymem(p, route->model.data, route->model.len);
    }

    if (ctx->conf->ignore) {
        p = ngx_cpymem(p, ctx->conf->ignore_id, LLM_KEY_LEN);
    }

    context.data = text;
    context.len = p - text;

    if (llm_fingerprint(zone->fingerprint, context,
                        ngx_http_llm_cache_view(body), fingerprint)
        != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_recall(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *fingerprint)
{
    llm_ask_t                        *ask;
    ngx_http_llm_cache_memo_value_t   value;

    if (ngx_http_llm_cache_memo_get(
                              ngx_http_llm_cache_zone_memo(ctx->conf->zone),
                              fingerprint, &value)
        != NGX_OK
        || ngx_http_llm_cache_copy_string(r->pool, &ctx->model, value.model,
                                          value.model_len)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(ctx->digest, value.digest, LLM_KEY_LEN);

    ask = &ctx->ask;

    ngx_memzero(ask, sizeof(llm_ask_t));

    ask->temperature = value.temperature;
    ask->form = value.form;
    ask->stream = (value.flags & NGX_HTTP_LLM_CACHE_MEMO_STREAM) != 0;
    ask->include_usage = (value.flags & NGX_HTTP_LLM_CACHE_MEMO_USAGE) != 0;
    ask->hosted_tools = (value.flags & NGX_HTTP_LLM_CACHE_MEMO_TOOLS) != 0;
    ask->stateful = (value.flags & NGX_HTTP_LLM_CACHE_MEMO_STATEFUL) != 0;

    return NGX_OK;
}


/* a body with controls is not remembered: they have to be cut out of it */

static void
ngx_http_llm_cache_remember(ngx_http_llm_cache_ctx_t *ctx,
    u_char *fingerprint)
{
    llm_ask_t                        *ask;
    ngx_http_llm_cache_memo_value_t   value;

    if (ctx->model.len > NGX_HTTP_LLM_CACHE_MEMO_MODEL) {
        return;
    }

    ngx_memzero(&value, sizeof(ngx_http_llm_cache_memo_value_t));
    ngx_memcpy(value.digest, ctx->digest, LLM_KEY_LEN);

    if (ctx->model.len) {
        value.model_len = (u_char) ctx->model.len;
        ngx_memcpy(value.model, ctx->model.data, ctx->model.len);
    }

    ask = &ctx->ask;

    value.temperature = ask->temperature;
    value.form = ask->form;
    value.flags = (u_char)
                  ((ask->stream ? NGX_HTTP_LLM_CACHE_MEMO_STREAM : 0)
                   | (ask->include_usage ? NGX_HTTP_LLM_CACHE_MEMO_USAGE : 0)
                   | (ask->hosted_tools ? NGX_HTTP_LLM_CACHE_MEMO_TOOLS : 0)
                   | (ask->stateful ? NGX_HTTP_LLM_CACHE_MEMO_STATEFUL : 0));

    ngx_http_llm_cache_memo_put(ngx_http_llm_cache_zone_memo(ctx->conf->zone),
                                fingerprint, &value);
}


static ngx_int_t
ngx_http_llm_cache_copy_string(ngx_pool_t *pool, ngx_str_t *dst,
    const u_char *data, size_t len)
{
    dst->len = 0;

    if (len == 0) {
        return NGX_OK;
    }

    dst->data = ngx_pnalloc(pool, len);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, data, len);
    dst->len = len;

    return NGX_OK;
}


/*
 * Takes the client's cache controls out of the body that goes upstream.  All
 * other bytes stay where they are: the new buffers point around the controls.
 */

static ngx_int_t
ngx_http_llm_cache_strip(ngx_http_request_t *r, ngx_str_t *text,
    llm_body_t *body)
{
    int            i;
    off_t          len;
    u_char        *p;
    llm_range_t   *range;
    ngx_chain_t   *bufs, **last;

    p = text->data;
    len = text->len;

    bufs = NULL;
    last = &bufs;

    for (i = 0; i < body->n; i++) {
        range = &body->ranges[i];

        last = ngx_http_llm_cache_add_buf(r, p, text->data + range->start,
                                          last);
        p = text->data + range->end;
        len -= range->end - range->start;
    }

    last = ngx_http_llm_cache_add_buf(r, p, text->data + text->len, last);

    if (last == NULL || ngx_http_llm_cache_set_length(r, len) != NGX_OK) {
        return NGX_ERROR;
    }

    r->request_body->bufs = bufs;

    return NGX_OK;
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


/* loads the request's document into ctx->doc, for variables that read it */

llm_reason_e
ngx_http_llm_cache_load(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_str_t     text;
    ngx_uint_t    copied;
    llm_reason_e  reason;

    if (ctx->doc) {
        return LLM_REASON_NONE;
    }

    reason = ngx_http_llm_cache_text(r, ctx, &text, &copied);

    if (reason == LLM_REASON_NONE) {
        reason = llm_json_load(text.data, text.len, &ctx->doc);
    }

    if (copied) {
        ngx_pfree(r->pool, text.data);
    }

    return reason;
}
