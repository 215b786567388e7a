#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_vary.h"


static ngx_int_t ngx_http_llm_cache_set_headers(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_set_content_type(ngx_http_request_t *r,
    llm_str_t value);
static ngx_int_t ngx_http_llm_cache_set_coding(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_cache_accepts_gzip(ngx_http_request_t *r);
static ngx_chain_t **ngx_http_llm_cache_add_mark(ngx_http_request_t *r,
    ngx_uint_t empty, ngx_chain_t **last);
static ngx_chain_t **ngx_http_llm_cache_add_range(ngx_http_request_t *r,
    ngx_http_llm_cache_cursor_t *cursor, size_t start, size_t end,
    ngx_chain_t **last);


ngx_int_t
ngx_http_llm_cache_open_record(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_read_head(ctx) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "llm_cache_zone \"%V\" gave a record of another key",
                      &ctx->conf->zone->name);

        ngx_http_llm_cache_zone_delete(ctx->conf->zone, ctx->key);
        return NGX_DECLINED;
    }

    return ngx_http_llm_cache_read_meta(r, ctx);
}


ngx_int_t
ngx_http_llm_cache_read_head(ngx_http_llm_cache_ctx_t *ctx)
{
    u_char  head[LLM_RECORD_HEAD];

    ngx_http_llm_cache_zone_read(ctx->hold.node, 0, head, LLM_RECORD_HEAD);

    return llm_record_decode(head, &ctx->record) == 0
           && ngx_memcmp(ctx->record.key, ctx->key, LLM_KEY_LEN) == 0
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_read_meta(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_record_t  *rec;

    rec = &ctx->record;

    ctx->meta.len = rec->meta_len;
    ctx->meta.data = ngx_pnalloc(r->pool, rec->meta_len + 1);
    if (ctx->meta.data == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_zone_read(ctx->hold.node, LLM_RECORD_HEAD,
                                 ctx->meta.data, ctx->meta.len);

    if (rec->varies
        && !ngx_http_llm_cache_vary_same(r,
                                         ngx_http_llm_cache_view(&ctx->meta)))
    {
        return NGX_DECLINED;
    }

    ctx->form = rec->form;
    ctx->age = ngx_max(ngx_time() - (time_t) rec->created, 0);
    ctx->prompt_tokens = rec->prompt_tokens;
    ctx->completion_tokens = rec->completion_tokens;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_replay(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_cache_replay_head(r, ctx,
                                        ngx_http_llm_cache_length(ctx->out));

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_llm_cache_paces(ctx) ? ngx_http_llm_cache_pace(r, ctx)
                                         : ngx_http_output_filter(r, ctx->out);
}


ngx_int_t
ngx_http_llm_cache_replay_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len)
{
    return ngx_http_llm_cache_set_head(r, ctx, len) == NGX_OK
           ? ngx_http_send_header(r) : NGX_ERROR;
}


ngx_int_t
ngx_http_llm_cache_set_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, off_t len)
{
    r->headers_out.status = ctx->record.status;
    r->headers_out.content_length_n = len;

    r->disable_not_modified = 1;

    if (ngx_http_llm_cache_set_headers(r, ctx) != NGX_OK
        || ngx_http_llm_cache_set_coding(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_show(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_node_t *node, size_t end, ngx_uint_t last,
    ngx_chain_t **out)
{
    size_t        n;
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, **ll;

    *out = NULL;

    if (ctx->shown == end && !last) {
        return NGX_OK;
    }

    if (ctx->cursor.chunk == NULL) {
        ctx->cursor.chunk = node->chunks;
        ctx->cursor.offset = 0;
    }

    ll = out;

    do {
        n = 0;
        p = NULL;

        if (ctx->shown < end) {
            n = ngx_http_llm_cache_zone_piece(&ctx->cursor, ctx->shown, end,
                                              &p);
            if (n == 0) {
                return NGX_ERROR;
            }
        }

        cl = ngx_http_llm_cache_free_buf(r, ctx, p, n);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        ctx->shown += n;
        b = cl->buf;

        *ll = cl;
        ll = &cl->next;

    } while (ctx->shown < end);

    b->flush = 1;
    b->last_buf = last;
    b->last_in_chain = last;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_set_headers(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    size_t      pos;
    llm_str_t   meta, value;
    llm_meta_e  tag;
    ngx_str_t   header_name, header_value;

    pos = 0;
    meta = ngx_http_llm_cache_view(&ctx->meta);
    ngx_str_null(&header_name);

    while (llm_record_next_meta(meta, &pos, &tag, &value)) {

        switch (tag) {

        case LLM_META_CONTENT_TYPE:
            ngx_http_llm_cache_set_content_type(r, value);
            break;

        case LLM_META_HEADER_NAME:
            header_name.data = (u_char *) value.data;
            header_name.len = value.len;
            break;

        case LLM_META_HEADER_VALUE:
            header_value.data = (u_char *) value.data;
            header_value.len = value.len;

            if (ngx_http_llm_cache_add_header(r, &header_name, &header_value)
                == NULL)
            {
                return NGX_ERROR;
            }

            break;

        default:
            break;
        }
    }

    if (ctx->converted) {
        ngx_http_llm_cache_set_content_type(r,
                                   llm_convert_type(ctx->route.dialect,
                                                    ctx->ask.form));
    }

    return NGX_OK;
}


/*
 * Content-Encoding keeps nginx's gzip filter away from what is packed already.
 * Vary goes with every answer that may come in either form.
 */

static ngx_int_t
ngx_http_llm_cache_set_coding(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  encoding = ngx_string("Content-Encoding");
    static ngx_str_t  gzip = ngx_string("gzip");
    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  accept = ngx_string("Accept-Encoding");

    if (ctx->packed) {
        h = ngx_http_llm_cache_add_header(r, &encoding, &gzip);
        if (h == NULL) {
            return NGX_ERROR;
        }

        r->headers_out.content_encoding = h;
    }

    if (!ctx->conf->zone->compress
        && ctx->record.coding == LLM_CODING_IDENTITY)
    {
        return NGX_OK;
    }

#if (NGX_HTTP_GZIP)
    {
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->gzip_vary) {
        r->gzip_vary = 1;
        return NGX_OK;
    }
    }
#endif

    if (ngx_http_llm_cache_add_header(r, &vary, &accept) == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* content_type_len is without parameters, as gzip_types and others need it;
   by the charset nginx knows that the upstream has told one */

static void
ngx_http_llm_cache_set_content_type(ngx_http_request_t *r, llm_str_t value)
{
    size_t   len;
    u_char  *p, *last;

    r->headers_out.content_type.data = (u_char *) value.data;
    r->headers_out.content_type.len = value.len;

    for (len = 0; len < value.len; len++) {
        if (value.data[len] == ';' || value.data[len] == ' ') {
            break;
        }
    }

    r->headers_out.content_type_len = len;
    r->headers_out.content_type_lowcase = NULL;

    ngx_str_null(&r->headers_out.charset);

    last = (u_char *) value.data + value.len;
    p = ngx_strlcasestrn((u_char *) value.data + len, last,
                         (u_char *) "charset=", 8 - 1);
    if (p == NULL) {
        return;
    }

    p += 8;

    if (last - p > 1 && *p == '"' && last[-1] == '"') {
        p++;
        last--;
    }

    r->headers_out.charset.data = p;
    r->headers_out.charset.len = last - p;
}


/*
 * Makes ctx->out of the record's body, by reference: without a usage event
 * that this client did not ask for, and with the mark where the operator
 * wants it.  A packed body goes out as it is to who can read it, where nothing
 * in it has to change.
 */

ngx_int_t
ngx_http_llm_cache_make_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    size_t                        body, end;
    ngx_uint_t                    mark;
    ngx_chain_t                 **last;
    llm_range_t                   usage;
    llm_record_t                 *rec;
    ngx_http_llm_cache_cursor_t   cursor;

    ctx->packed = 0;
    ctx->converted = 0;

    if (!ngx_http_llm_cache_same_form(ctx)) {
        return ngx_http_llm_cache_make_other(r, ctx);
    }

    rec = &ctx->record;
    body = LLM_RECORD_HEAD + rec->meta_len;

    usage.start = rec->body_len;
    usage.end = rec->body_len;

    if (rec->usage_asked && !ctx->ask.include_usage
        && rec->usage_end > rec->usage_start)
    {
        usage.start = rec->usage_start;
        usage.end = rec->usage_end;
    }

    mark = ctx->conf->mark && ngx_http_llm_cache_stored(ctx)
           && rec->mark < usage.start;

    cursor.chunk = ctx->hold.node->chunks;
    cursor.offset = 0;

    if (rec->coding != LLM_CODING_IDENTITY) {

        if (!mark && usage.start == usage.end
            && !ngx_http_llm_cache_paces(ctx)
            && ngx_http_llm_cache_accepts_gzip(r))
        {
            ctx->packed = 1;
            usage.start = rec->packed_len;
            usage.end = rec->packed_len;
        }

        if (ngx_http_llm_cache_open_packed(r, ctx, &cursor) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->out = NULL;
    last = &ctx->out;
    end = body + (ctx->packed ? rec->packed_len : rec->body_len);

    if (mark) {

        last = ngx_http_llm_cache_add_range(r, &cursor, body,
                                            body + rec->mark, last);

        last = ngx_http_llm_cache_add_mark(r, rec->mark_empty, last);

        body += rec->mark;
        usage.start -= rec->mark;
        usage.end -= rec->mark;
    }

    last = ngx_http_llm_cache_add_range(r, &cursor, body, body + usage.start,
                                        last);

    last = ngx_http_llm_cache_add_range(r, &cursor, body + usage.end, end,
                                        last);

    if (last == NULL || ctx->out == NULL) {
        return NGX_ERROR;
    }

    ngx_http_llm_cache_end_chain(ctx->out);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_cache_accepts_gzip(ngx_http_request_t *r)
{
    llm_accept_t                accept;
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    static ngx_str_t  name = ngx_string("accept-encoding");

    llm_accept_init(&accept);

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_in.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, &name)) != NULL) {
        llm_accept_read(&accept, ngx_http_llm_cache_view(&h->value));
    }

    return llm_accept_gzip(&accept);
}


ngx_int_t
ngx_http_llm_cache_open_packed(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_cursor_t *cursor)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_chunk_t  *chunk;

    chunk = NULL;

    rc = ctx->packed
         ? ngx_http_llm_cache_check_packed(ctx->hold.node, &ctx->record)
         : ngx_http_llm_cache_unpack(ctx->hold.node, &ctx->record, r->pool,
                                     &chunk);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "llm_cache_zone \"%V\" gave a damaged record",
                      &ctx->conf->zone->name);

        ngx_http_llm_cache_zone_delete(ctx->conf->zone, ctx->key);
    }

    if (rc == NGX_OK && chunk) {
        cursor->chunk = chunk;
        cursor->offset = LLM_RECORD_HEAD + ctx->record.meta_len;

        /* nothing is read from the zone any more */
        ngx_http_llm_cache_zone_release(&ctx->hold);
    }

    return rc;
}


static ngx_chain_t **
ngx_http_llm_cache_add_mark(ngx_http_request_t *r, ngx_uint_t empty,
    ngx_chain_t **last)
{
    ngx_str_t  *mark;

    static ngx_str_t  member = ngx_string(",\"cache\":true");
    static ngx_str_t  only = ngx_string("\"cache\":true");

    if (last == NULL) {
        return NULL;
    }

    mark = empty ? &only : &member;

    return ngx_http_llm_cache_add_buf(r, mark->data, mark->data + mark->len,
                                      last);
}


/*
 * NULL when memory ran out, when the record is shorter than it says, or when
 * "last" is NULL, so that calls can follow each other.
 */

static ngx_chain_t **
ngx_http_llm_cache_add_range(ngx_http_request_t *r,
    ngx_http_llm_cache_cursor_t *cursor, size_t start, size_t end,
    ngx_chain_t **last)
{
    size_t   n;
    u_char  *p;

    while (last && start < end) {

        n = ngx_http_llm_cache_zone_piece(cursor, start, end, &p);

        if (n == 0) {
            return NULL;
        }

        last = ngx_http_llm_cache_add_buf(r, p, p + n, last);
        start += n;
    }

    return last;
}
