#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_vary.h"


/* longer answers to one input are not put together with others */
#define NGX_HTTP_LLM_CACHE_TABLE_MAX  (1024 * 1024)


static llm_reason_e ngx_http_llm_cache_write_head(
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta);
static void ngx_http_llm_cache_begin_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t meta_len);
static ngx_int_t ngx_http_llm_cache_reserve_table(
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta);
static llm_reason_e ngx_http_llm_cache_record_buf(
    ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b);
static ngx_uint_t ngx_http_llm_cache_whole(ngx_http_llm_cache_ctx_t *ctx,
    ngx_buf_t *b);
static ngx_uint_t ngx_http_llm_cache_broken_off(ngx_http_request_t *r,
    ngx_buf_t *b);
static ngx_uint_t ngx_http_llm_cache_share_on(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);
static ngx_uint_t ngx_http_llm_cache_may_exceed(
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_finish_record(ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_write_table(ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_copy_record(void *data, size_t offset,
    unsigned char *p, size_t len);
static void ngx_http_llm_cache_keep_inputs(ngx_http_llm_cache_ctx_t *ctx);
static llm_reason_e ngx_http_llm_cache_store_record(
    ngx_http_llm_cache_ctx_t *ctx, llm_answer_info_t *info);
static llm_reason_e ngx_http_llm_cache_complete(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info);


llm_reason_e
ngx_http_llm_cache_start_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_buf_t     meta;
    llm_reason_e  reason;

    ngx_memzero(&meta, sizeof(llm_buf_t));

    if (ngx_http_llm_cache_reserve_table(ctx, &meta) != NGX_OK
        || ngx_http_llm_cache_write_meta(r, ctx, &meta) != NGX_OK)
    {
        llm_buf_free(&meta);
        return LLM_REASON_NO_MEMORY;
    }

    if (!ctx->unstored) {
        ctx->answer = llm_answer_create(ctx->route.dialect, ctx->form,
                                        ctx->conf->finish,
                                        ctx->conf->zone->max_entry);
        if (ctx->answer == NULL) {
            llm_buf_free(&meta);
            return LLM_REASON_NO_MEMORY;
        }
    }

    ngx_http_llm_cache_begin_head(r, ctx, meta.len);

    reason = ctx->observed
             ? ngx_http_llm_cache_observe_start(r, ctx,
                                                LLM_RECORD_HEAD + meta.len)
             : ngx_http_llm_cache_write_head(ctx, &meta);

    llm_buf_free(&meta);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    ctx->received = 0;
    ctx->recording = 1;

    r->filter_need_in_memory = 1;

    return LLM_REASON_NONE;
}


static llm_reason_e
ngx_http_llm_cache_write_head(ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta)
{
    size_t     expected;
    u_char     head[LLM_RECORD_HEAD];
    ngx_int_t  rc;

    llm_record_encode(&ctx->record, head);

    expected = 0;

    if (ctx->expected >= 0) {
        expected = LLM_RECORD_HEAD + meta->len + (size_t) ctx->expected;
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ctx->writer.expected = expected;
        rc = NGX_OK;

    } else {
        rc = ngx_http_llm_cache_zone_create(ctx->conf->zone, ctx->key,
                                            expected, &ctx->writer);

        /* the upstream was asked before */
        ctx->writer.purges = ctx->purges;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_zone_append(&ctx->writer, head,
                                            LLM_RECORD_HEAD);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_zone_append(&ctx->writer, meta->data,
                                            meta->len);
    }

    return rc == NGX_OK ? LLM_REASON_NONE : LLM_REASON_ZONE_FULL;
}


/* followers read the head before all of it is known */

static void
ngx_http_llm_cache_begin_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, size_t meta_len)
{
    llm_record_t  *rec;

    rec = &ctx->record;

    ngx_memzero(rec, sizeof(llm_record_t));
    ngx_memcpy(rec->key, ctx->key, LLM_KEY_LEN);

    rec->created = ngx_time();
    rec->expires = rec->created;
    rec->prompt_tokens = -1;
    rec->completion_tokens = -1;
    rec->mark = LLM_RECORD_NO_MARK;
    rec->meta_len = (uint16_t) meta_len;
    rec->status = (uint16_t) r->headers_out.status;
    rec->form = (uint8_t) ctx->form;
    rec->ask = ctx->ask.form;
    rec->dialect = (uint8_t) ctx->route.dialect->id;
    rec->varies = ctx->varies;

    ngx_http_llm_cache_tag(ctx);
    rec->tags = ctx->tags;
}


/* of an answer to one input, in the first place; zeros until its end */

static ngx_int_t
ngx_http_llm_cache_reserve_table(ngx_http_llm_cache_ctx_t *ctx,
    llm_buf_t *meta)
{
    u_char     zeros[LLM_EMBEDDINGS_TABLE];
    llm_str_t  table;

    if (!ctx->one_input) {
        return NGX_OK;
    }

    ngx_memzero(zeros, LLM_EMBEDDINGS_TABLE);

    table.data = zeros;
    table.len = LLM_EMBEDDINGS_TABLE;

    if (!ctx->unstored) {
        ctx->cut = llm_embeddings_cut_create(ctx->route.dialect, 1);
    }

    return llm_record_add_meta(meta, LLM_META_INPUT, table) == 0 ? NGX_OK
                                                                 : NGX_ERROR;
}


ngx_int_t
ngx_http_llm_cache_write_meta(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta)
{
    u_char     *p;
    ngx_str_t   type;

    type = r->headers_out.content_type;

    /* nginx keeps the charset apart where it has parsed it */

    if (r->headers_out.content_type_len == type.len
        && r->headers_out.charset.len)
    {
        type.len += sizeof("; charset=") - 1 + r->headers_out.charset.len;
        type.data = ngx_pnalloc(r->pool, type.len);
        if (type.data == NULL) {
            return NGX_ERROR;
        }

        p = ngx_cpymem(type.data, r->headers_out.content_type.data,
                       r->headers_out.content_type.len);
        p = ngx_cpymem(p, "; charset=", sizeof("; charset=") - 1);
        ngx_memcpy(p, r->headers_out.charset.data,
                   r->headers_out.charset.len);
    }

    if (llm_record_add_meta(meta, LLM_META_CONTENT_TYPE,
                            ngx_http_llm_cache_view(&type))
        != 0
        || llm_record_add_meta(meta, LLM_META_MODEL,
                               ngx_http_llm_cache_view(&ctx->model))
           != 0
        || llm_record_add_meta(meta, LLM_META_NAMESPACE,
                               ngx_http_llm_cache_view(&ctx->ns))
           != 0)
    {
        return NGX_ERROR;
    }

    if (ngx_http_llm_cache_vary_save(r, ctx, meta) != NGX_OK
        || ngx_http_llm_cache_semantic_save(ctx, meta) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_llm_cache_save_headers(r, meta);
}


ngx_uint_t
ngx_http_llm_cache_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b)
{
    llm_reason_e  reason;

    reason = ngx_http_llm_cache_record_buf(ctx, b);

    if (reason == LLM_REASON_NONE && ngx_http_llm_cache_broken_off(r, b)) {
        reason = LLM_REASON_TRUNCATED;
    }

    if (reason != LLM_REASON_NONE) {
        ngx_http_llm_cache_refuse(ctx, reason);
        return 0;
    }

    if (ngx_http_llm_cache_whole(ctx, b)) {
        ngx_http_llm_cache_finish_record(ctx);
    }

    return 1;
}


/*
 * With all bytes of the length that was told there is nothing to wait for:
 * nginx may still wait for the upstream's close, and the client may leave
 * meanwhile.  To nginx the end of a subrequest is not the last buffer.
 */

static ngx_uint_t
ngx_http_llm_cache_whole(ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b)
{
    return b->last_buf || ctx->received == ctx->expected
           || (ctx->background && b->sync && b->last_in_chain);
}


/*
 * After the last bytes of an upstream that has failed nginx sends a flush.
 * Who follows cannot wait for the request's end, which a slow client puts off.
 */

static ngx_uint_t
ngx_http_llm_cache_broken_off(ngx_http_request_t *r, ngx_buf_t *b)
{
    return b->flush && !b->last_buf && ngx_buf_size(b) == 0
           && r->upstream && r->upstream->header_sent
           && r->upstream->cleanup == NULL;
}


static llm_reason_e
ngx_http_llm_cache_record_buf(ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b)
{
    size_t        len;
    llm_reason_e  reason;

    if (ngx_buf_size(b) == 0) {
        return LLM_REASON_NONE;
    }

    if (!ngx_buf_in_memory(b)) {
        return LLM_REASON_BODY_READ;
    }

    len = b->last - b->pos;

    ctx->received += len;

    if (ctx->received > (off_t) ctx->conf->zone->max_entry
        && !ngx_http_llm_cache_may_exceed(ctx))
    {
        return LLM_REASON_ENTRY_SIZE;
    }

    if (ctx->observed) {
        return ngx_http_llm_cache_observe_feed(ctx, b->pos, len);
    }

    if (ctx->cut && llm_embeddings_cut_feed(ctx->cut, b->pos, len) != 0) {
        llm_embeddings_cut_free(ctx->cut);
        ctx->cut = NULL;
    }

    if (ctx->answer) {
        reason = llm_answer_feed(ctx->answer, b->pos, len);

        if (reason != LLM_REASON_NONE
            && !ngx_http_llm_cache_share_on(ctx, reason))
        {
            return reason;
        }
    }

    if (ngx_http_llm_cache_zone_append(&ctx->writer, b->pos, len) != NGX_OK) {
        return LLM_REASON_ZONE_FULL;
    }

    return LLM_REASON_NONE;
}


/* an answer that will not be stored goes on for those who follow it */

static ngx_uint_t
ngx_http_llm_cache_share_on(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason)
{
    if (ngx_http_llm_cache_leads(&ctx->writer) == NULL
        || ngx_http_llm_cache_flight_close(&ctx->writer) == 0)
    {
        return 0;
    }

    ctx->unstored = 1;
    ctx->reason = reason;

    llm_answer_free(ctx->answer);
    ctx->answer = NULL;

    return 1;
}


/* an answer too large to be stored, up to a part of the zone */

static ngx_uint_t
ngx_http_llm_cache_may_exceed(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->form == LLM_FORM_JSON
        || ctx->received > (off_t) (ctx->conf->zone->shards[0].size / 4))
    {
        return 0;
    }

    return ctx->unstored
           || ngx_http_llm_cache_share_on(ctx, LLM_REASON_ENTRY_SIZE);
}


void
ngx_http_llm_cache_refuse(ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason)
{
    if (ctx->items
        && (reason == LLM_REASON_ENTRY_SIZE || reason == LLM_REASON_ZONE_FULL))
    {
        ngx_http_llm_cache_items_go_on(ctx);
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_end(&ctx->writer,
                                      reason == LLM_REASON_TRUNCATED
                                      ? NGX_HTTP_LLM_CACHE_FAILED
                                      : NGX_HTTP_LLM_CACHE_ALONE);
    }

    if (ctx->observed) {
        reason = ngx_http_llm_cache_observe_refused(ctx, reason);
    }

    ctx->reason = reason;
    ctx->recording = 0;
    ctx->may_store = 0;

    llm_answer_free(ctx->answer);
    ctx->answer = NULL;

    ngx_http_llm_cache_zone_abandon(&ctx->writer);
}


/* the response has come to its end: a few microseconds, whatever its size */

static void
ngx_http_llm_cache_finish_record(ngx_http_llm_cache_ctx_t *ctx)
{
    u_char             head[LLM_RECORD_HEAD];
    llm_reason_e       reason;
    llm_answer_info_t  info;

    reason = ngx_http_llm_cache_complete(ctx, &info);

    if (ctx->observed) {

        if (reason == LLM_REASON_NONE) {
            reason = ngx_http_llm_cache_observe_store(ctx, &info);
        }

        if (reason != LLM_REASON_NONE) {
            ngx_http_llm_cache_refuse(ctx, reason);
        }

        ctx->recording = 0;
        return;
    }

    llm_record_encode(&ctx->record, head);

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_closing(&ctx->writer);
    }

    ngx_http_llm_cache_zone_write(&ctx->writer, 0, head, LLM_RECORD_HEAD);

    if (reason == LLM_REASON_NONE && ctx->cut) {
        ngx_http_llm_cache_write_table(ctx);
    }

    if (ctx->items && ngx_http_llm_cache_items_stored(ctx->items)) {
        ngx_http_llm_cache_keep_inputs(ctx);
        return;
    }

    if (reason == LLM_REASON_NONE) {
        reason = ngx_http_llm_cache_store_record(ctx, &info);
    }

    if (reason != LLM_REASON_NONE) {

        /* what is whole is of use to those who wait for it */

        if (reason != LLM_REASON_TRUNCATED
            && ngx_http_llm_cache_leads(&ctx->writer))
        {
            ngx_http_llm_cache_flight_end(&ctx->writer,
                                          NGX_HTTP_LLM_CACHE_ENDED);
            ngx_http_llm_cache_zone_abandon(&ctx->writer);
        }

        ngx_http_llm_cache_refuse(ctx, reason);
    }

    ctx->recording = 0;
}


/* an answer to one input can be put together with others */

static void
ngx_http_llm_cache_write_table(ngx_http_llm_cache_ctx_t *ctx)
{
    u_char                  bytes[LLM_EMBEDDINGS_TABLE];
    uint32_t                weight;
    llm_buf_t               body;
    llm_embeddings_table_t  table;

    if (ctx->received > NGX_HTTP_LLM_CACHE_TABLE_MAX) {
        return;
    }

    ngx_memzero(&body, sizeof(llm_buf_t));

    weight = 1;

    if (llm_embeddings_cut_end(ctx->cut, ngx_http_llm_cache_copy_record, ctx,
                               &weight)
        == 0
        && llm_embeddings_cut_one(ctx->cut, ngx_http_llm_cache_copy_record,
                                  ctx, 0, &body, &table)
           == 0
        && (off_t) body.len == ctx->received)
    {
        llm_embeddings_encode(&table, bytes);

        ngx_http_llm_cache_zone_write(&ctx->writer,
                                      LLM_RECORD_HEAD + LLM_RECORD_META_HEAD,
                                      bytes, LLM_EMBEDDINGS_TABLE);
    }

    llm_buf_free(&body);
}


static void
ngx_http_llm_cache_copy_record(void *data, size_t offset, unsigned char *p,
    size_t len)
{
    ngx_http_llm_cache_ctx_t *ctx = data;

    ngx_http_llm_cache_zone_read(ctx->writer.hold.node,
                                 LLM_RECORD_HEAD + ctx->record.meta_len
                                 + offset, p, len);
}


/* the inputs are stored: the answer as a whole is for those who follow */

static void
ngx_http_llm_cache_keep_inputs(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_leads(&ctx->writer)
        && !ngx_http_llm_cache_items_storing(ctx))
    {
        ngx_http_llm_cache_flight_end(&ctx->writer, NGX_HTTP_LLM_CACHE_ENDED);
    }

    ngx_http_llm_cache_zone_abandon(&ctx->writer);

    ctx->reason = LLM_REASON_NONE;
    ctx->recording = 0;
}


static llm_reason_e
ngx_http_llm_cache_store_record(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info)
{
    ngx_int_t   rc;
    ngx_uint_t  flags;

    rc = ngx_http_llm_cache_zone_commit(&ctx->writer, &ctx->record,
                                        llm_evict_weight(info->prompt_tokens,
                                                     info->completion_tokens,
                                                         ctx->writer.len));
    if (rc != NGX_OK) {
        return rc == NGX_ABORT ? LLM_REASON_PURGED : LLM_REASON_ZONE_FULL;
    }

    ctx->stored = 1;

    ngx_http_llm_cache_account_stored(ctx->conf->zone, &ctx->record);

    ngx_http_llm_cache_pack_later(ctx->conf->zone, &ctx->record);

    if (!info->tools) {
        ngx_http_llm_cache_semantic_stored(ctx);
    }

    if (ctx->verify) {
        ngx_http_llm_cache_verify_stored(ctx);
    }

    if (ctx->conf->redis) {
        /* the lease ends when who waits for it finds the answer */

        flags = ctx->leased ? NGX_HTTP_LLM_CACHE_REDIS_LEASED : 0;

        ngx_http_llm_cache_redis_store_later(ctx->conf->redis,
                                    ctx->conf->zone, ctx->key,
                                    ngx_http_llm_cache_stale_time(ctx->conf),
                                             flags);
        ctx->leased = 0;
    }

    return LLM_REASON_NONE;
}


static llm_reason_e
ngx_http_llm_cache_complete(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info)
{
    llm_reason_e   reason;
    llm_record_t  *rec;

    ngx_memzero(info, sizeof(llm_answer_info_t));

    info->prompt_tokens = -1;
    info->completion_tokens = -1;
    info->mark = SIZE_MAX;

    if (ctx->expected >= 0 && ctx->received != ctx->expected) {
        reason = LLM_REASON_TRUNCATED;

    } else if (ctx->unstored) {
        reason = ctx->reason;

    } else {
        reason = llm_answer_end(ctx->answer, info);

        if (reason != LLM_REASON_NONE) {
            info->mark = SIZE_MAX;
            info->usage.start = 0;
            info->usage.end = 0;
        }
    }

    if (reason == LLM_REASON_NONE) {
        ctx->prompt_tokens = info->prompt_tokens;
        ctx->completion_tokens = info->completion_tokens;
    }

    rec = &ctx->record;

    rec->created = ngx_time();
    rec->expires = ngx_min(rec->created + (uint64_t) ctx->lifetime,
                           LLM_RECORD_LATEST);
    rec->prompt_tokens = (int32_t) ngx_min(info->prompt_tokens, INT32_MAX);
    rec->completion_tokens = (int32_t) ngx_min(info->completion_tokens,
                                               INT32_MAX);
    rec->body_len = (uint32_t) ctx->received;
    rec->msec = (uint32_t) ngx_min(ngx_current_msec - ctx->fetched_at,
                                   UINT32_MAX);
    rec->usage_start = (uint32_t) info->usage.start;
    rec->usage_end = (uint32_t) info->usage.end;
    rec->mark = (info->mark == SIZE_MAX) ? LLM_RECORD_NO_MARK
                                         : (uint32_t) info->mark;
    rec->mark_empty = info->mark_empty;
    rec->has_usage = info->has_usage;
    rec->usage_asked = ctx->ask.include_usage;
    rec->tools = info->tools;
    rec->barred = ctx->semantic
                  && ngx_http_llm_cache_vectors_barred(
                                       &ctx->conf->zone->vectors, ctx->key);
    rec->split = ctx->unfit;

    return reason;
}
