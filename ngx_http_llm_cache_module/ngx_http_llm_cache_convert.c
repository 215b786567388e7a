#include "ngx_http_llm_cache.h"


/*
 * Converting takes about 1 ms per 256 KB, and up to 3 ms for 128 KB of an odd
 * body.  So much is done at once, more by a thread; where there are no
 * threads, the request is a miss.
 */

#define NGX_HTTP_LLM_CACHE_CONVERT_NOW   (128 * 1024)

/* of the result: for each byte of the body, and besides */

#define NGX_HTTP_LLM_CACHE_CONVERT_TIMES  8
#define NGX_HTTP_LLM_CACHE_CONVERT_ROOM   (1024 * 1024)

/* the most that all conversions of a worker may take, whose results stay until
   their clients have them; beyond it, requests are misses */

#define NGX_HTTP_LLM_CACHE_CONVERT_MOST   (256 * 1024 * 1024)


struct ngx_http_llm_cache_conversion_s {
    llm_convert_t                how;
    llm_str_t                    body;
    llm_buf_t                    out;
    size_t                       memory;
    int                          rc;
};


static ngx_http_llm_cache_conversion_t *ngx_http_llm_cache_conversion(
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_take_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_conversion_t *conversion);
static void ngx_http_llm_cache_leave_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_conversion_t *conversion);
static ngx_int_t ngx_http_llm_cache_gather_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body);
static void ngx_http_llm_cache_convert_thread(void *data, ngx_log_t *log);
static void ngx_http_llm_cache_convert_cleanup(void *data);


static size_t  ngx_http_llm_cache_converting;


ngx_uint_t
ngx_http_llm_cache_same_form(ngx_http_llm_cache_ctx_t *ctx)
{
    llm_record_t  *rec;

    rec = &ctx->record;

    /* the upstream may have answered otherwise than it was asked */

    return rec->ask == ctx->ask.form
           || !llm_convert_knows(ctx->route.dialect)
           || rec->status != NGX_HTTP_OK
           || (rec->form == LLM_FORM_SSE && ctx->ask.form == LLM_ASK_SSE)
           || (rec->form == LLM_FORM_NDJSON
               && ctx->ask.form == LLM_ASK_NDJSON);
}


ngx_int_t
ngx_http_llm_cache_convert(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_conversion_t  *conversion;

    if (ctx->conversion
        || ctx->record.body_len <= NGX_HTTP_LLM_CACHE_CONVERT_NOW
        || ngx_http_llm_cache_same_form(ctx))
    {
        return NGX_OK;
    }

    conversion = ngx_http_llm_cache_conversion(r, ctx);

    if (conversion == NULL
        || ngx_http_llm_cache_post_task(r, ctx,
                                        ngx_http_llm_cache_convert_thread,
                                        conversion)
           != NGX_OK)
    {
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm cache: a thread converts an answer of %uz bytes",
                   conversion->body.len);

    ctx->conversion = conversion;
    ctx->again = 1;

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_llm_cache_make_other(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_conversion_t  *conversion;

    conversion = ctx->conversion;

    if (conversion == NULL) {

        if (ctx->record.body_len > NGX_HTTP_LLM_CACHE_CONVERT_NOW) {
            return NGX_ERROR;
        }

        conversion = ngx_http_llm_cache_conversion(r, ctx);
        if (conversion == NULL) {
            return NGX_ERROR;
        }

        ngx_http_llm_cache_convert_thread(conversion, r->connection->log);
    }

    ngx_http_llm_cache_leave_memory(r, ctx, conversion);

    if (conversion->rc != 0) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "llm cache: the answer has no other form");
        return NGX_ERROR;
    }

    if (ngx_http_llm_cache_add_buf(r, conversion->out.data,
                                   conversion->out.data + conversion->out.len,
                                   &ctx->out)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_http_llm_cache_end_chain(ctx->out);

    ctx->converted = 1;

    /* nothing is read from the zone any more */
    ngx_http_llm_cache_zone_release(&ctx->hold);

    return NGX_OK;
}


static ngx_http_llm_cache_conversion_t *
ngx_http_llm_cache_conversion(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_convert_t                    *how;
    llm_record_t                     *rec;
    ngx_pool_cleanup_t               *cln;
    ngx_http_llm_cache_conversion_t  *conversion;

    rec = &ctx->record;

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_llm_cache_conversion_t));
    if (cln == NULL) {
        return NULL;
    }

    conversion = cln->data;
    ngx_memzero(conversion, sizeof(ngx_http_llm_cache_conversion_t));

    cln->handler = ngx_http_llm_cache_convert_cleanup;

    how = &conversion->how;

    how->dialect = ctx->route.dialect;
    how->form = rec->form;
    how->ask = ctx->ask.form;
    how->include_usage = ctx->ask.include_usage;
    how->mark = ctx->conf->mark && ngx_http_llm_cache_stored(ctx);
    how->max = rec->body_len * NGX_HTTP_LLM_CACHE_CONVERT_TIMES
               + NGX_HTTP_LLM_CACHE_CONVERT_ROOM;

    conversion->body.len = rec->body_len;

    if (ngx_http_llm_cache_take_memory(r, conversion) != NGX_OK
        || ngx_http_llm_cache_gather_body(r, ctx, &conversion->body) != NGX_OK)
    {
        return NULL;
    }

    return conversion;
}


/* the body, the work, and the result, whose buffer doubles */

static ngx_int_t
ngx_http_llm_cache_take_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_conversion_t *conversion)
{
    size_t  most;

    most = conversion->body.len + llm_convert_work(conversion->body.len)
           + 2 * conversion->how.max;

    if (most > NGX_HTTP_LLM_CACHE_CONVERT_MOST
               - ngx_http_llm_cache_converting)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "llm cache: no memory to convert an answer of %uz "
                      "bytes, %uz are in use", conversion->body.len,
                      ngx_http_llm_cache_converting);
        return NGX_DECLINED;
    }

    conversion->memory = most;
    ngx_http_llm_cache_converting += most;

    return NGX_OK;
}


/* what is left is the result, and a body that was unpacked */

static void
ngx_http_llm_cache_leave_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_conversion_t *conversion)
{
    if (ctx->record.coding == LLM_CODING_IDENTITY && conversion->body.data) {
        (void) ngx_pfree(r->pool, (void *) conversion->body.data);
        conversion->body.data = NULL;
        conversion->body.len = 0;
    }

    if (conversion->rc != 0) {
        llm_buf_free(&conversion->out);
    }

    ngx_http_llm_cache_converting -= conversion->memory;
    conversion->memory = conversion->body.len + conversion->out.size;
    ngx_http_llm_cache_converting += conversion->memory;
}


/* the record's body in one piece, unpacked */

static ngx_int_t
ngx_http_llm_cache_gather_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body)
{
    u_char                       *p;
    ngx_http_llm_cache_chunk_t   *chunk;
    ngx_http_llm_cache_cursor_t   cursor;

    body->len = ctx->record.body_len;

    if (ctx->record.coding != LLM_CODING_IDENTITY) {

        if (ngx_http_llm_cache_open_packed(r, ctx, &cursor) != NGX_OK) {
            return NGX_ERROR;
        }

        chunk = cursor.chunk;
        body->data = chunk->data;

        return NGX_OK;
    }

    p = ngx_palloc(r->pool, body->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_llm_cache_zone_read(ctx->hold.node,
                                 LLM_RECORD_HEAD + ctx->record.meta_len, p,
                                 body->len);
    body->data = p;

    return NGX_OK;
}


/* what is converted and how is all that it knows */

static void
ngx_http_llm_cache_convert_thread(void *data, ngx_log_t *log)
{
    ngx_http_llm_cache_conversion_t *conversion = data;

    conversion->rc = llm_convert(&conversion->how, conversion->body,
                                 &conversion->out);
}


static void
ngx_http_llm_cache_convert_cleanup(void *data)
{
    ngx_http_llm_cache_conversion_t *conversion = data;

    ngx_http_llm_cache_converting -= conversion->memory;

    llm_buf_free(&conversion->out);
}
