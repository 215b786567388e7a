#include "ngx_http_llm_cache_items.h"


/* what a piece takes, and an input that has to be unpacked, in us; and bytes
   that are unpacked in one */

#define NGX_HTTP_LLM_CACHE_SEND_PIECE     1
#define NGX_HTTP_LLM_CACHE_SEND_UNPACK    20
#define NGX_HTTP_LLM_CACHE_SEND_UNPACKED  1024


static ngx_int_t ngx_http_llm_cache_items_frame(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body);
static ngx_int_t ngx_http_llm_cache_items_frame_held(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body);
static ngx_int_t ngx_http_llm_cache_items_frame_new(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body);
static ngx_int_t ngx_http_llm_cache_items_mark(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body);
static off_t ngx_http_llm_cache_items_count(ngx_http_llm_cache_ctx_t *ctx,
    llm_str_t body);
static size_t ngx_http_llm_cache_items_new_len(
    ngx_http_llm_cache_items_t *items, ngx_uint_t asked);
static ngx_int_t ngx_http_llm_cache_items_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len);
static ngx_int_t ngx_http_llm_cache_items_copy_headers(
    ngx_http_request_t *r, ngx_http_request_t *sr);
static ngx_int_t ngx_http_llm_cache_items_copy_header(ngx_http_request_t *r,
    ngx_http_request_t *sr, ngx_table_elt_t *h);
static ngx_int_t ngx_http_llm_cache_items_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_items_round(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t **out, ngx_uint_t *last);
static ngx_int_t ngx_http_llm_cache_items_element(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_embeddings_piece_t *piece,
    ngx_uint_t *work, ngx_chain_t ***last);
static ngx_int_t ngx_http_llm_cache_items_open(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t i, ngx_uint_t *work);
static ngx_int_t ngx_http_llm_cache_items_add(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *p, size_t len,
    ngx_chain_t ***last);
static ngx_int_t ngx_http_llm_cache_items_wait(ngx_http_request_t *r);


/* all inputs are there: in memory, or in the subrequest's answer */

ngx_int_t
ngx_http_llm_cache_items_send(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    off_t                        len;
    ngx_int_t                    rc;
    llm_str_t                    body;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (ngx_http_llm_cache_items_frame(r, ctx, &body) != NGX_OK) {

        /* nothing has been sent: the upstream knows the answer, too */

        items->failed = items->fetch != NULL;
        ctx->status = NGX_HTTP_LLM_CACHE_MISS;

        return NGX_DECLINED;
    }

    ngx_http_llm_cache_zone_release(&ctx->failed_hold);

    ctx->may_store = 0;

    if (ngx_http_llm_cache_stored(ctx)) {
        ctx->reason = LLM_REASON_NONE;
    }

    len = ngx_http_llm_cache_items_count(ctx, body);

    llm_embeddings_merge(&items->merge, body, &items->table, items->n,
                         ctx->prompt_tokens);

    rc = ngx_http_llm_cache_items_head(r, ctx, len);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        items->handler = NULL;
        return rc;
    }

    items->handler = ngx_http_llm_cache_items_step;

    return NGX_OK;
}


/* the frame of the newest answer, with one vector in it */

static ngx_int_t
ngx_http_llm_cache_items_frame(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body)
{
    ngx_int_t  rc;

    rc = ctx->items->fetch && ctx->items->fetch->reply
         ? ngx_http_llm_cache_items_frame_new(r, ctx, body)
         : ngx_http_llm_cache_items_frame_held(r, ctx, body);

    return rc;
}


static ngx_int_t
ngx_http_llm_cache_items_frame_held(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body)
{
    u_char                       *p, *key, own[LLM_KEY_LEN];
    ngx_int_t                     rc;
    ngx_http_llm_cache_chunk_t   *chunk;
    ngx_http_llm_cache_item_t    *item;
    ngx_http_llm_cache_items_t   *items;

    items = ctx->items;
    item = &items->items[items->newest];
    key = items->keys + items->newest * LLM_KEY_LEN;

    if (ngx_http_llm_cache_item_read(item->hold.node, key, &ctx->record,
                                     &items->table)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* its head is that of the response */

    ngx_memcpy(own, ctx->key, LLM_KEY_LEN);
    ctx->hold = item->hold;

    rc = ngx_http_llm_cache_read_meta(r, ctx);

    ngx_memzero(&ctx->hold, sizeof(ngx_http_llm_cache_hold_t));
    ngx_memcpy(ctx->key, own, LLM_KEY_LEN);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    body->len = ctx->record.body_len;

    if (ctx->record.coding != LLM_CODING_IDENTITY) {

        if (ngx_http_llm_cache_unpack(item->hold.node, &ctx->record, r->pool,
                                      &chunk)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        body->data = chunk->data;

    } else {
        p = ngx_palloc(r->pool, body->len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_http_llm_cache_zone_read(item->hold.node,
                                     LLM_RECORD_HEAD + ctx->record.meta_len,
                                     p, body->len);
        body->data = p;
    }

    return ctx->conf->mark && ngx_http_llm_cache_stored(ctx)
           ? ngx_http_llm_cache_items_mark(r, ctx, body) : NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_items_frame_new(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body)
{
    u_char                      *p;
    ngx_int_t                    rc;
    llm_buf_t                    one;
    ngx_http_llm_cache_reply_t  *reply;

    reply = ctx->items->fetch->reply;
    rc = NGX_ERROR;

    ngx_memzero(&one, sizeof(llm_buf_t));

    if (llm_embeddings_cut_one(reply->cut, ngx_http_llm_cache_reply_copy,
                               reply, 0, &one, &ctx->items->table)
        == 0)
    {
        p = ngx_palloc(r->pool, one.len);

        if (p) {
            ngx_memcpy(p, one.data, one.len);

            body->data = p;
            body->len = one.len;

            rc = NGX_OK;
        }
    }

    llm_buf_free(&one);

    return rc;
}


/* llm_cache_mark: all else stands before the end of the object */

static ngx_int_t
ngx_http_llm_cache_items_mark(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t *body)
{
    u_char  *p, *marked;

    static ngx_str_t  member = ngx_string(",\"cache\":true");

    if (ctx->record.mark >= body->len) {
        return NGX_OK;
    }

    marked = ngx_palloc(r->pool, body->len + member.len);
    if (marked == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(marked, body->data, ctx->record.mark);
    p = ngx_cpymem(p, member.data, member.len);
    ngx_memcpy(p, body->data + ctx->record.mark,
               body->len - ctx->record.mark);

    body->data = marked;
    body->len += member.len;

    return NGX_OK;
}


/* the length of the answer, and what its inputs cost */

static off_t
ngx_http_llm_cache_items_count(ngx_http_llm_cache_ctx_t *ctx, llm_str_t body)
{
    off_t                        len;
    int64_t                      cost;
    ngx_uint_t                   i;
    llm_embeddings_merge_t       merge;
    llm_embeddings_piece_t       piece;
    ngx_http_llm_cache_item_t   *item;
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_reply_t  *reply;

    items = ctx->items;
    reply = items->fetch ? items->fetch->reply : NULL;

    len = 0;

    ctx->prompt_tokens = items->table.holes ? 0 : -1;
    ctx->completion_tokens = -1;
    ctx->saved_tokens = ctx->prompt_tokens;
    ctx->record.msec = reply ? reply->record.msec : 0;

    for (i = 0; i < items->n; i++) {

        item = &items->items[items->first[i]];

        if (reply && item->state != NGX_HTTP_LLM_CACHE_ITEM_FRESH) {
            cost = llm_embeddings_cut_cost(reply->cut, item->asked);
            len += ngx_http_llm_cache_items_new_len(items, item->asked);

        } else {
            cost = item->tokens;
            len += item->len;

            /* the answer is as old as the oldest of its parts */

            ctx->age = ngx_max(ctx->age, ngx_time() - (time_t) item->created);
            ctx->record.expires = ngx_min(ctx->record.expires, item->expires);

            if (reply == NULL) {
                ctx->record.msec = ngx_max(ctx->record.msec, item->msec);
            }
        }

        if (ctx->prompt_tokens >= 0) {
            ctx->prompt_tokens += cost;
        }
    }

    if (ctx->prompt_tokens >= 0) {
        ctx->saved_tokens = ctx->prompt_tokens
                            - (reply ? llm_embeddings_cut_tokens(reply->cut)
                                     : 0);
    }

    llm_embeddings_merge(&merge, body, &items->table, items->n,
                         ctx->prompt_tokens);

    while (llm_embeddings_merge_next(&merge, &piece)) {
        len += piece.text.len;
    }

    return len;
}


static size_t
ngx_http_llm_cache_items_new_len(ngx_http_llm_cache_items_t *items,
    ngx_uint_t asked)
{
    size_t                 len;
    unsigned               k;
    llm_embeddings_list_t  place;

    len = 0;

    for (k = 0; k < items->table.n; k++) {

        llm_embeddings_cut_element(items->fetch->reply->cut, asked, k, &place);

        len += place.element.end - place.element.start
               - (place.index.end - place.index.start);
    }

    return len;
}


static ngx_int_t
ngx_http_llm_cache_items_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len)
{
    ngx_http_request_t  *sr;

    if (ctx->items->fetch && ctx->items->fetch->reply) {

        sr = ctx->items->fetch->subrequest;

        r->headers_out.status = NGX_HTTP_OK;
        r->headers_out.content_length_n = len;
        r->headers_out.content_type = sr->headers_out.content_type;
        r->headers_out.content_type_len = sr->headers_out.content_type_len;
        r->headers_out.charset = sr->headers_out.charset;

        r->disable_not_modified = 1;

        return ngx_http_llm_cache_items_copy_headers(r, sr) == NGX_OK
               ? ngx_http_send_header(r) : NGX_ERROR;
    }

    ctx->packed = 0;
    ctx->converted = 0;

    return ngx_http_llm_cache_replay_head(r, ctx, len);
}


/* the client's own call: rate limits and all else are meant for it */

static ngx_int_t
ngx_http_llm_cache_items_copy_headers(ngx_http_request_t *r,
    ngx_http_request_t *sr)
{
    ngx_uint_t                  i;
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    /* of these nginx has fields of its own, or they tell of another body */

    static ngx_str_t  names[] = {
        ngx_string("content-length"),
        ngx_string("content-md5"),
        ngx_string("digest"),
        ngx_string("etag"),
        ngx_string("last-modified"),
        ngx_string("accept-ranges"),
        ngx_null_string
    };

    ngx_http_llm_cache_walk_headers(&walk, &sr->headers_out.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, NULL)) != NULL) {

        if (h->hash == 0) {
            continue;
        }

        for (i = 0; names[i].len; i++) {
            if (h->key.len == names[i].len
                && ngx_strncasecmp(h->key.data, names[i].data, h->key.len)
                   == 0)
            {
                break;
            }
        }

        if (names[i].len == 0
            && ngx_http_llm_cache_items_copy_header(r, sr, h) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* nginx adds or changes a header by the field that names it */

static ngx_int_t
ngx_http_llm_cache_items_copy_header(ngx_http_request_t *r,
    ngx_http_request_t *sr, ngx_table_elt_t *h)
{
    ngx_table_elt_t  *copy, **place;

    copy = ngx_http_llm_cache_add_header(r, &h->key, &h->value);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    if (h == sr->headers_out.date) {
        r->headers_out.date = copy;

    } else if (h == sr->headers_out.server) {
        r->headers_out.server = copy;

    } else if (h == sr->headers_out.expires) {
        r->headers_out.expires = copy;

    } else if (h->key.len == sizeof("cache-control") - 1
               && ngx_strncasecmp(h->key.data, (u_char *) "cache-control",
                                  h->key.len)
                  == 0)
    {
#if (nginx_version >= 1023000)
        place = &r->headers_out.cache_control;

        while (*place) {
            place = &(*place)->next;
        }
#else
        if (r->headers_out.cache_control.elts == NULL
            && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                              sizeof(ngx_table_elt_t *))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        place = ngx_array_push(&r->headers_out.cache_control);
        if (place == NULL) {
            return NGX_ERROR;
        }
#endif
        *place = copy;
    }

    return NGX_OK;
}


/* as much as a round may do; the next one begins when the client has it */

static ngx_int_t
ngx_http_llm_cache_items_step(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_uint_t                   last;
    ngx_chain_t                 *out;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (items->pool) {
        ngx_destroy_pool(items->pool);
        items->pool = NULL;
        items->opened = 0;
    }

    if (ngx_http_llm_cache_items_round(r, ctx, &out, &last) != NGX_OK) {
        items->handler = NULL;
        return NGX_ERROR;
    }

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_llm_cache_module);

    if (rc == NGX_ERROR || last) {
        items->handler = NULL;
        return rc == NGX_ERROR ? rc : NGX_OK;
    }

    if (r->buffered || r->connection->buffered) {
        items->waiting = 1;
        return ngx_http_llm_cache_items_wait(r);
    }

    ngx_http_llm_cache_items_later(items);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_llm_cache_items_drained(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_chain_t                 *out;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (r->connection->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");

        r->connection->timedout = 1;
        items->handler = NULL;

        return NGX_HTTP_REQUEST_TIME_OUT;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        items->handler = NULL;
        return NGX_ERROR;
    }

    out = NULL;

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_llm_cache_module);

    if (r->buffered || r->connection->buffered) {
        return ngx_http_llm_cache_items_wait(r);
    }

    if (ngx_http_llm_cache_items_wait(r) == NGX_ERROR) {
        return NGX_ERROR;
    }

    items->waiting = 0;
    items->handler = ngx_http_llm_cache_items_step;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_items_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    wev = r->connection->write;

    if (r->buffered || r->connection->buffered) {
        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

    } else if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_cache_items_round(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t **out, ngx_uint_t *last)
{
    u_char                      *p;
    ngx_uint_t                   work;
    ngx_chain_t                 *cl, **ll;
    llm_embeddings_piece_t       piece;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    *out = NULL;
    *last = 0;

    ll = out;
    work = 0;

    while (work < NGX_HTTP_LLM_CACHE_ITEM_WORK) {

        if (!llm_embeddings_merge_next(&items->merge, &piece)) {
            *last = 1;
            break;
        }

        if (piece.text.len == 0) {

            if (ngx_http_llm_cache_items_element(r, ctx, &piece, &work, &ll)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        p = (u_char *) piece.text.data;

        /* what was written for this piece only */

        if (p == items->merge.text) {
            p = ngx_pnalloc(r->pool, piece.text.len);
            if (p == NULL) {
                return NGX_ERROR;
            }

            ngx_memcpy(p, piece.text.data, piece.text.len);
        }

        if (ngx_http_llm_cache_items_add(r, ctx, p, piece.text.len, &ll)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        work += NGX_HTTP_LLM_CACHE_SEND_PIECE;
    }

    for (cl = *out; cl && cl->next; cl = cl->next) {
        /* void */
    }

    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf->flush = 1;
    cl->buf->last_buf = *last;
    cl->buf->last_in_chain = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_items_element(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_embeddings_piece_t *piece,
    ngx_uint_t *work, ngx_chain_t ***last)
{
    size_t                        n, start, end, shift;
    u_char                       *p;
    ngx_uint_t                    i;
    llm_range_t                   part;
    llm_embeddings_list_t         place;
    ngx_http_llm_cache_item_t    *item;
    ngx_http_llm_cache_items_t   *items;
    ngx_http_llm_cache_reply_t   *reply;
    ngx_http_llm_cache_cursor_t   begin, *cursor;

    items = ctx->items;
    i = items->first[piece->input];
    item = &items->items[i];
    reply = items->fetch ? items->fetch->reply : NULL;

    if (reply && item->state != NGX_HTTP_LLM_CACHE_ITEM_FRESH) {

        llm_embeddings_cut_element(reply->cut, item->asked, piece->list,
                                   &place);

        part = llm_embeddings_part(&place, piece->after);
        cursor = &reply->cursor;
        begin.chunk = reply->chunks;
        begin.offset = 0;
        shift = 0;

    } else {

        if (ngx_http_llm_cache_items_open(r, ctx, i, work) != NGX_OK) {
            return NGX_ERROR;
        }

        part = llm_embeddings_part(&items->place.lists[piece->list],
                                   piece->after);
        cursor = &items->cursor;
        begin = items->begin;
        shift = items->shift;
    }

    start = part.start + shift;
    end = part.end + shift;

    /* an input may stand there twice, and an answer in any order */

    if (cursor->chunk == NULL || start < cursor->offset) {
        *cursor = begin;
    }

    while (start < end) {

        n = ngx_http_llm_cache_zone_piece(cursor, start, end, &p);

        if (n == 0
            || ngx_http_llm_cache_items_add(r, ctx, p, n, last) != NGX_OK)
        {
            return NGX_ERROR;
        }

        *work += NGX_HTTP_LLM_CACHE_SEND_PIECE;
        start += n;
    }

    return NGX_OK;
}


/* an input's record, from its beginning */

static ngx_int_t
ngx_http_llm_cache_items_open(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t i, ngx_uint_t *work)
{
    llm_record_t                 rec;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_chunk_t  *chunk;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (items->opened == i + 1) {
        return NGX_OK;
    }

    items->opened = 0;
    node = items->items[i].hold.node;

    if (ngx_http_llm_cache_item_read(node, items->keys + i * LLM_KEY_LEN, &rec,
                                     &items->place)
        != NGX_OK
        || items->place.n != items->table.n)
    {
        return NGX_ERROR;
    }

    items->shift = LLM_RECORD_HEAD + rec.meta_len;
    items->begin.chunk = node->chunks;
    items->begin.offset = 0;

    if (rec.coding != LLM_CODING_IDENTITY) {

        if (items->pool == NULL) {
            items->pool = ngx_create_pool(ngx_pagesize, r->connection->log);
            if (items->pool == NULL) {
                return NGX_ERROR;
            }
        }

        if (ngx_http_llm_cache_unpack(node, &rec, items->pool, &chunk)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        items->begin.chunk = chunk;
        items->begin.offset = items->shift;

        *work += NGX_HTTP_LLM_CACHE_SEND_UNPACK
                 + rec.body_len / NGX_HTTP_LLM_CACHE_SEND_UNPACKED * 4;
    }

    items->cursor = items->begin;
    items->opened = i + 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_items_add(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *p, size_t len, ngx_chain_t ***last)
{
    ngx_chain_t  *cl;

    cl = ngx_http_llm_cache_free_buf(r, ctx, p, len);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    **last = cl;
    *last = &cl->next;

    return NGX_OK;
}
