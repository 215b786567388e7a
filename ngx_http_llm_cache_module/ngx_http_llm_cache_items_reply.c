#include "ngx_http_llm_cache_items.h"


/* of a block of the answer's bytes, with its head */
#define NGX_HTTP_LLM_CACHE_REPLY_BLOCK  (64 * 1024)

/* what storing an input takes besides its bytes, in us; bytes in one; and what
   is done in one round */
#define NGX_HTTP_LLM_CACHE_REPLY_EACH   2
#define NGX_HTTP_LLM_CACHE_REPLY_BYTES  1024
#define NGX_HTTP_LLM_CACHE_REPLY_WORK   800


static ngx_int_t ngx_http_llm_cache_reply_append(
    ngx_http_llm_cache_reply_t *reply, u_char *data, size_t len);
static ngx_int_t ngx_http_llm_cache_reply_store_one(
    ngx_http_llm_cache_reply_t *reply, ngx_uint_t i, llm_buf_t *body);
static ngx_int_t ngx_http_llm_cache_reply_write(
    ngx_http_llm_cache_reply_t *reply, llm_record_t *rec, u_char *table,
    llm_buf_t *body);
static void ngx_http_llm_cache_reply_handler(ngx_event_t *ev);


/* this process's own: bytes of all answers, and those to be stored */

static size_t       ngx_http_llm_cache_reply_bytes;
static ngx_queue_t  ngx_http_llm_cache_replies;
static ngx_event_t  ngx_http_llm_cache_reply_event;


ngx_http_llm_cache_reply_t *
ngx_http_llm_cache_reply_create(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t n, ngx_uint_t store)
{
    ngx_http_llm_cache_reply_t  *reply;

    reply = ngx_calloc(sizeof(ngx_http_llm_cache_reply_t), ngx_cycle->log);
    if (reply == NULL) {
        return NULL;
    }

    reply->zone = ctx->conf->zone;
    reply->redis = ctx->conf->redis;
    reply->stale = ngx_http_llm_cache_stale_time(ctx->conf);
    reply->n = n;
    reply->expected = r->headers_out.content_length_n;
    reply->fetched_at = ctx->fetched_at;
    reply->purges = ctx->purges;

    reply->record.prompt_tokens = -1;
    reply->record.completion_tokens = -1;
    reply->record.status = NGX_HTTP_OK;
    reply->record.form = LLM_FORM_JSON;
    reply->record.ask = ctx->ask.form;
    reply->record.dialect = (uint8_t) ctx->route.dialect->id;

    ngx_http_llm_cache_tag(ctx);
    reply->record.tags = ctx->tags;

    /* what is not to be stored has no lifetime */

    reply->record.expires = store ? ctx->lifetime : 0;

    reply->cut = llm_embeddings_cut_create(ctx->route.dialect, n);
    reply->keys = ngx_alloc(n * LLM_KEY_LEN, ngx_cycle->log);
    reply->weights = ngx_alloc(n * sizeof(uint32_t), ngx_cycle->log);

    if (reply->cut == NULL || reply->keys == NULL || reply->weights == NULL
        || ngx_http_llm_cache_write_meta(r, ctx, &reply->meta) != NGX_OK
        || reply->meta.len > UINT16_MAX - LLM_RECORD_META_HEAD
                             - LLM_EMBEDDINGS_TABLE)
    {
        ngx_http_llm_cache_reply_free(reply);
        return NULL;
    }

    return reply;
}


void
ngx_http_llm_cache_reply_free(ngx_http_llm_cache_reply_t *reply)
{
    ngx_http_llm_cache_chunk_t  *chunk;

    if (reply == NULL) {
        return;
    }

    if (ngx_http_llm_cache_leads(&reply->writer)) {
        ngx_http_llm_cache_flight_end(&reply->writer,
                                      reply->recorded
                                      ? NGX_HTTP_LLM_CACHE_ENDED
                                      : NGX_HTTP_LLM_CACHE_FAILED);
        ngx_http_llm_cache_zone_abandon(&reply->writer);
    }

    while (reply->chunks) {
        chunk = reply->chunks;
        reply->chunks = chunk->next;

        ngx_http_llm_cache_reply_bytes -= NGX_HTTP_LLM_CACHE_REPLY_BLOCK;
        ngx_free(chunk);
    }

    llm_embeddings_cut_free(reply->cut);
    llm_buf_free(&reply->meta);

    if (reply->keys) {
        ngx_free(reply->keys);
    }

    if (reply->weights) {
        ngx_free(reply->weights);
    }

    ngx_free(reply);
}


ngx_int_t
ngx_http_llm_cache_reply_take(ngx_http_llm_cache_reply_t *reply, ngx_buf_t *b)
{
    size_t  len;

    if (ngx_buf_size(b) == 0) {
        return NGX_OK;
    }

    if (!ngx_buf_in_memory(b)) {
        return NGX_DECLINED;
    }

    len = b->last - b->pos;

    if (llm_embeddings_cut_feed(reply->cut, b->pos, len) != 0) {
        return NGX_DECLINED;
    }

    return ngx_http_llm_cache_reply_append(reply, b->pos, len);
}


/* more than half of a zone could not be stored there anyway */

static ngx_int_t
ngx_http_llm_cache_reply_append(ngx_http_llm_cache_reply_t *reply,
    u_char *data, size_t len)
{
    size_t                       n;
    ngx_http_llm_cache_chunk_t  *chunk;

    while (len) {

        chunk = reply->last;

        if (chunk == NULL || chunk->len == chunk->size) {

            if (ngx_http_llm_cache_reply_bytes
                + NGX_HTTP_LLM_CACHE_REPLY_BLOCK
                > reply->zone->size / 2)
            {
                return NGX_DECLINED;
            }

            chunk = ngx_alloc(NGX_HTTP_LLM_CACHE_REPLY_BLOCK, ngx_cycle->log);
            if (chunk == NULL) {
                return NGX_DECLINED;
            }

            ngx_http_llm_cache_reply_bytes += NGX_HTTP_LLM_CACHE_REPLY_BLOCK;

            chunk->next = NULL;
            chunk->len = 0;
            chunk->size = NGX_HTTP_LLM_CACHE_REPLY_BLOCK
                          - sizeof(ngx_http_llm_cache_chunk_t);

            if (reply->last) {
                reply->last->next = chunk;

            } else {
                reply->chunks = chunk;
            }

            reply->last = chunk;
        }

        n = ngx_min(len, chunk->size - chunk->len);

        ngx_memcpy(chunk->data + chunk->len, data, n);

        chunk->len += n;
        reply->len += n;
        data += n;
        len -= n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_reply_end(ngx_http_llm_cache_reply_t *reply)
{
    if ((reply->expected >= 0 && reply->expected != (off_t) reply->len)
        || llm_embeddings_cut_end(reply->cut, ngx_http_llm_cache_reply_copy,
                                  reply, reply->weights)
           != 0)
    {
        return NGX_DECLINED;
    }

    reply->record.msec = (uint32_t) ngx_min(ngx_current_msec
                                            - reply->fetched_at, UINT32_MAX);
    reply->record.created = ngx_time();
    reply->record.expires += reply->record.created;

    return NGX_OK;
}


/* mostly forward: the elements stand in the order in which they came */

void
ngx_http_llm_cache_reply_copy(void *data, size_t offset, unsigned char *p,
    size_t len)
{
    ngx_http_llm_cache_reply_t *reply = data;

    size_t   n;
    u_char  *from;

    if (reply->cursor.chunk == NULL || offset < reply->cursor.offset) {
        reply->cursor.chunk = reply->chunks;
        reply->cursor.offset = 0;
    }

    while (len) {

        n = ngx_http_llm_cache_zone_piece(&reply->cursor, offset, offset + len,
                                          &from);
        if (n == 0) {
            ngx_memzero(p, len);
            return;
        }

        ngx_memcpy(p, from, n);

        p += n;
        offset += n;
        len -= n;
    }
}


ngx_uint_t
ngx_http_llm_cache_reply_stores(ngx_http_llm_cache_reply_t *reply)
{
    return reply->record.expires > reply->record.created;
}


ngx_int_t
ngx_http_llm_cache_reply_store(ngx_http_llm_cache_reply_t *reply)
{
    llm_buf_t   body;
    ngx_uint_t  work;

    if (!ngx_http_llm_cache_reply_stores(reply)) {
        return NGX_OK;
    }

    ngx_memzero(&body, sizeof(llm_buf_t));

    work = 0;

    while (reply->next < reply->n && work < NGX_HTTP_LLM_CACHE_REPLY_WORK) {

        if (reply->redis && !ngx_http_llm_cache_redis_store_room()) {
            break;
        }

        body.len = 0;

        if (ngx_http_llm_cache_reply_store_one(reply, reply->next, &body)
            != NGX_OK)
        {
            /* the others need not fit either */

            reply->next = reply->n;
            break;
        }

        reply->next++;

        work += NGX_HTTP_LLM_CACHE_REPLY_EACH
                + body.len / NGX_HTTP_LLM_CACHE_REPLY_BYTES;
    }

    llm_buf_free(&body);

    return reply->next == reply->n ? NGX_OK : NGX_AGAIN;
}


/* as if it had been asked for alone; NGX_DECLINED where there is no room */

static ngx_int_t
ngx_http_llm_cache_reply_store_one(ngx_http_llm_cache_reply_t *reply,
    ngx_uint_t i, llm_buf_t *body)
{
    size_t                    end;
    u_char                    bytes[LLM_EMBEDDINGS_TABLE];
    ngx_int_t                 rc;
    llm_record_t              rec;
    llm_embeddings_table_t    table;

    if (llm_embeddings_cut_one(reply->cut, ngx_http_llm_cache_reply_copy,
                               reply, i, body, &table)
        != 0)
    {
        return NGX_DECLINED;
    }

    if (body->len > reply->zone->max_entry) {
        return NGX_OK;
    }

    llm_embeddings_encode(&table, bytes);

    for (end = body->len; end && body->data[end - 1] != '}'; end--) {
        /* void */
    }

    rec = reply->record;

    ngx_memcpy(rec.key, reply->keys + i * LLM_KEY_LEN, LLM_KEY_LEN);

    rec.prompt_tokens = (int32_t) llm_embeddings_cut_cost(reply->cut, i);
    rec.has_usage = (rec.prompt_tokens >= 0);
    rec.body_len = (uint32_t) body->len;
    rec.mark = (uint32_t) (end - 1);
    rec.meta_len = (uint16_t) (LLM_RECORD_META_HEAD + LLM_EMBEDDINGS_TABLE
                               + reply->meta.len);

    rc = ngx_http_llm_cache_reply_write(reply, &rec, bytes, body);

    if (rc != NGX_OK) {
        return rc == NGX_ABORT ? NGX_OK : NGX_DECLINED;
    }

    ngx_http_llm_cache_account_stored(reply->zone, &rec);
    ngx_http_llm_cache_pack_later(reply->zone, &rec);

    if (reply->redis) {
        ngx_http_llm_cache_redis_store_later(reply->redis, reply->zone,
                                             rec.key, reply->stale, 0);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_reply_write(ngx_http_llm_cache_reply_t *reply,
    llm_record_t *rec, u_char *table, llm_buf_t *body)
{
    u_char                       head[LLM_RECORD_HEAD];
    u_char                       meta[LLM_RECORD_META_HEAD];
    ngx_http_llm_cache_writer_t  w;

    ngx_memzero(&w, sizeof(ngx_http_llm_cache_writer_t));

    llm_record_encode(rec, head);
    llm_record_meta_head(meta, LLM_META_INPUT, LLM_EMBEDDINGS_TABLE);

    if (ngx_http_llm_cache_zone_create(reply->zone, rec->key,
                                       LLM_RECORD_HEAD + rec->meta_len
                                       + body->len, &w)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* the upstream was asked before */
    w.purges = reply->purges;

    if (ngx_http_llm_cache_zone_append(&w, head, LLM_RECORD_HEAD) != NGX_OK
        || ngx_http_llm_cache_zone_append(&w, meta, LLM_RECORD_META_HEAD)
           != NGX_OK
        || ngx_http_llm_cache_zone_append(&w, table, LLM_EMBEDDINGS_TABLE)
           != NGX_OK
        || ngx_http_llm_cache_zone_append(&w, reply->meta.data,
                                          reply->meta.len)
           != NGX_OK
        || ngx_http_llm_cache_zone_append(&w, body->data, body->len)
           != NGX_OK)
    {
        ngx_http_llm_cache_zone_abandon(&w);
        return NGX_DECLINED;
    }

    return ngx_http_llm_cache_zone_commit(&w, rec,
                                          llm_evict_weight(rec->prompt_tokens,
                                                           -1, w.len));
}


void
ngx_http_llm_cache_reply_store_later(ngx_http_llm_cache_reply_t *reply)
{
    ngx_event_t  *ev;

    ev = &ngx_http_llm_cache_reply_event;

    if (ev->handler == NULL) {
        ngx_queue_init(&ngx_http_llm_cache_replies);

        ev->handler = ngx_http_llm_cache_reply_handler;
        ev->log = ngx_cycle->log;
    }

    ngx_queue_insert_tail(&ngx_http_llm_cache_replies, &reply->queue);

    ngx_post_event(ev, &ngx_posted_next_events);
}


static void
ngx_http_llm_cache_reply_handler(ngx_event_t *ev)
{
    ngx_queue_t                 *q;
    ngx_http_llm_cache_reply_t  *reply;

    q = ngx_queue_head(&ngx_http_llm_cache_replies);
    reply = ngx_queue_data(q, ngx_http_llm_cache_reply_t, queue);

    ngx_queue_remove(q);

    if (ngx_http_llm_cache_reply_store(reply) == NGX_AGAIN) {
        ngx_queue_insert_tail(&ngx_http_llm_cache_replies, q);

    } else {
        ngx_http_llm_cache_reply_free(reply);
    }

    if (!ngx_queue_empty(&ngx_http_llm_cache_replies)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


void
ngx_http_llm_cache_reply_exit(void)
{
    ngx_queue_t  *q;

    if (ngx_http_llm_cache_reply_event.handler == NULL) {
        return;
    }

    if (ngx_http_llm_cache_reply_event.posted) {
        ngx_delete_posted_event(&ngx_http_llm_cache_reply_event);
    }

    while (!ngx_queue_empty(&ngx_http_llm_cache_replies)) {
        q = ngx_queue_head(&ngx_http_llm_cache_replies);
        ngx_queue_remove(q);

        ngx_http_llm_cache_reply_free(
                        ngx_queue_data(q, ngx_http_llm_cache_reply_t, queue));
    }
}
