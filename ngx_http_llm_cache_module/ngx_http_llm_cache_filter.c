#include "ngx_http_llm_cache.h"


static ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_filter_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static llm_reason_e ngx_http_llm_cache_gate(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_decide_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason);
static llm_form_e ngx_http_llm_cache_shared_form(ngx_http_request_t *r,
    llm_reason_e reason);
static llm_form_e ngx_http_llm_cache_response_form(ngx_http_request_t *r);
static llm_reason_e ngx_http_llm_cache_response_control(
    ngx_http_request_t *r);
static time_t ngx_http_llm_cache_lifetime(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static llm_reason_e ngx_http_llm_cache_start(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_write_meta(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta);
static ngx_int_t ngx_http_llm_cache_lead_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_llm_cache_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in, ngx_chain_t **rest);
static ngx_uint_t ngx_http_llm_cache_whole(ngx_http_llm_cache_ctx_t *ctx,
    ngx_buf_t *b);
static ngx_uint_t ngx_http_llm_cache_share_on(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);
static ngx_uint_t ngx_http_llm_cache_may_exceed(
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_refuse(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);
static llm_reason_e ngx_http_llm_cache_record_buf(
    ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b);
static void ngx_http_llm_cache_stop(ngx_http_llm_cache_ctx_t *ctx,
    llm_reason_e reason);
static void ngx_http_llm_cache_finish_record(ngx_http_llm_cache_ctx_t *ctx);
static llm_reason_e ngx_http_llm_cache_complete(ngx_http_llm_cache_ctx_t *ctx,
    llm_answer_info_t *info);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_llm_cache_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_llm_cache_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_llm_cache_body_filter;

    return NGX_OK;
}


/* of main requests, and of those that refresh an answer in the background */

static ngx_http_llm_cache_ctx_t *
ngx_http_llm_cache_filter_ctx(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    if (r != r->main && !r->background) {
        return NULL;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    return ctx && ctx->conf ? ctx : NULL;
}


static ngx_int_t
ngx_http_llm_cache_header_filter(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    if (ngx_http_llm_cache_embed_of(r)) {
        r->filter_need_in_memory = 1;
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_filter_ctx(r);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ngx_http_llm_cache_restore_encodings(ctx);

    if (!ctx->gone && ngx_http_llm_cache_fall_back(r, ctx) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ctx->may_store) {
        ngx_http_llm_cache_decide_head(r, ctx,
                                       ngx_http_llm_cache_gate(r, ctx));
    }

    if (ctx->gone) {
        return ctx->recording || ctx->background ? NGX_OK : NGX_ERROR;
    }

    if (ctx->conf->headers
        && ctx->status != NGX_HTTP_LLM_CACHE_NONE
        && ngx_http_llm_cache_add_headers(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/*
 * A leader's answer that may not be stored is shared with those who follow by
 * now, where it can be.
 */

static void
ngx_http_llm_cache_decide_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason)
{
    ngx_http_llm_cache_writer_t  *w;

    w = &ctx->writer;

    if (ngx_http_llm_cache_leads(w) == NULL) {
        ngx_http_llm_cache_stop(ctx, reason);
        return;
    }

    if (reason != LLM_REASON_NONE) {

        ctx->form = ngx_http_llm_cache_shared_form(r, reason);

        if (ngx_http_llm_cache_flight_close(w) == 0
            || ctx->form == LLM_FORM_NONE)
        {
            ngx_http_llm_cache_stop(ctx, reason);
            return;
        }

        ctx->unstored = 1;
        ctx->expected = r->headers_out.content_length_n;

        if (ctx->expected > (off_t) ctx->conf->zone->max_entry
            || ngx_http_llm_cache_start(r, ctx) != LLM_REASON_NONE)
        {
            ngx_http_llm_cache_stop(ctx, reason);
            return;
        }

        ctx->reason = reason;
    }

    /* who follows an error waits for its end */

    if (r->headers_out.status == NGX_HTTP_OK) {
        ngx_http_llm_cache_flight_publish(w);
    }

    ctx->shown = w->len;
    ctx->cursor.chunk = NULL;

    /* the zone is buffer enough; the client's pace must not be the others' */

    if (r->upstream && !ctx->background && !r->upstream->store
#if (NGX_HTTP_CACHE)
        && !r->upstream->cacheable
#endif
        )
    {
        r->upstream->buffering = 0;
    }
}


static llm_form_e
ngx_http_llm_cache_shared_form(ngx_http_request_t *r, llm_reason_e reason)
{
    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        return LLM_FORM_NONE;
    }

    if (r->headers_out.status >= NGX_HTTP_BAD_REQUEST) {
        return LLM_FORM_JSON;
    }

    switch (reason) {

    case LLM_REASON_UPSTREAM_NO_STORE:
    case LLM_REASON_UPSTREAM_PRIVATE:
    case LLM_REASON_NOT_VALID:
    case LLM_REASON_REDIRECTED:
        return r->headers_out.status == NGX_HTTP_OK
               ? ngx_http_llm_cache_response_form(r) : LLM_FORM_NONE;

    default:
        return LLM_FORM_NONE;
    }
}


/* the part of the write gate that the response's head decides */

static llm_reason_e
ngx_http_llm_cache_gate(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    llm_reason_e  reason;

    if (r->error_page
        || ctx->conf != ngx_http_get_module_loc_conf(r,
                                                   ngx_http_llm_cache_module))
    {
        return LLM_REASON_REDIRECTED;
    }

    if (r->headers_out.status != NGX_HTTP_OK) {
        return LLM_REASON_STATUS;
    }

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        return LLM_REASON_RESPONSE_ENCODING;
    }

    ctx->form = ngx_http_llm_cache_response_form(r);

    if (ctx->form == LLM_FORM_NONE) {
        return LLM_REASON_RESPONSE_TYPE;
    }

    reason = ngx_http_llm_cache_response_control(r);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    ctx->lifetime = ngx_http_llm_cache_lifetime(r, ctx);

    if (ctx->lifetime <= 0) {
        return LLM_REASON_NOT_VALID;
    }

    ctx->expected = r->headers_out.content_length_n;

    if (ctx->expected > (off_t) ctx->conf->zone->max_entry) {
        return LLM_REASON_ENTRY_SIZE;
    }

    return ngx_http_llm_cache_start(r, ctx);
}


static llm_form_e
ngx_http_llm_cache_response_form(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;
    ngx_uint_t  i;

    static struct {
        ngx_str_t   type;
        llm_form_e  form;
    } forms[] = {
        { ngx_string("application/json"), LLM_FORM_JSON },
        { ngx_string("text/event-stream"), LLM_FORM_SSE },
        { ngx_string("application/x-ndjson"), LLM_FORM_NDJSON },
        { ngx_string("application/ndjson"), LLM_FORM_NDJSON },
        { ngx_string("application/jsonl"), LLM_FORM_NDJSON }
    };

    type = &r->headers_out.content_type;

    for (len = 0; len < type->len; len++) {
        if (type->data[len] == ';' || type->data[len] == ' ') {
            break;
        }
    }

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].type.len == len
            && ngx_strncasecmp(forms[i].type.data, type->data, len) == 0)
        {
            return forms[i].form;
        }
    }

    return LLM_FORM_NONE;
}


static ngx_uint_t
ngx_http_llm_cache_has_token(ngx_str_t *value, char *token, size_t len)
{
    u_char  *p, *end, *last;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if ((size_t) (end - p) >= len
            && ngx_strncasecmp(p, (u_char *) token, len) == 0
            && (p + len == end || p[len] == ' ' || p[len] == '\t'
                || p[len] == '='))
        {
            return 1;
        }

        p = end + 1;
    }

    return 0;
}


/* Cache-Control of the upstream: no-store and private are obeyed */

static llm_reason_e
ngx_http_llm_cache_response_control(ngx_http_request_t *r)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    static ngx_str_t  name = ngx_string("cache-control");

    ngx_http_llm_cache_walk_headers(&walk, &r->headers_out.headers);

    while ((h = ngx_http_llm_cache_next_header(&walk, &name)) != NULL) {

        if (h->hash == 0) {
            continue;
        }

        if (ngx_http_llm_cache_has_token(&h->value, "no-store", 8)) {
            return LLM_REASON_UPSTREAM_NO_STORE;
        }

        if (ngx_http_llm_cache_has_token(&h->value, "private", 7)) {
            return LLM_REASON_UPSTREAM_PRIVATE;
        }
    }

    return LLM_REASON_NONE;
}


/* in seconds; what the client wishes may only be shorter */

static time_t
ngx_http_llm_cache_lifetime(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    time_t     time;
    ngx_str_t  value;

    time = ctx->conf->valid_time;

    if (ctx->conf->valid) {

        if (ngx_http_complex_value(r, ctx->conf->valid, &value) != NGX_OK) {
            return 0;
        }

        if (value.len == 0) {
            return 0;
        }

        time = ngx_parse_time(&value, 1);

        if (time == (time_t) NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "invalid value \"%V\" of \"llm_cache_valid\", "
                          "the answer is not stored", &value);
            return 0;
        }
    }

    if (ctx->control.ttl != LLM_CONTROL_UNSET && ctx->control.ttl < time) {
        time = (time_t) ctx->control.ttl;
    }

    return time;
}


static llm_reason_e
ngx_http_llm_cache_start(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx)
{
    size_t      expected;
    ngx_int_t   rc;
    llm_buf_t   meta;
    u_char      head[LLM_RECORD_HEAD];

    ngx_memzero(&meta, sizeof(llm_buf_t));

    if (ngx_http_llm_cache_write_meta(r, ctx, &meta) != NGX_OK) {
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

    /* followers read the head before all of it is known */

    ngx_memzero(&ctx->record, sizeof(llm_record_t));
    ngx_memcpy(ctx->record.key, ctx->key, LLM_KEY_LEN);

    ctx->record.created = ngx_time();
    ctx->record.expires = ctx->record.created;
    ctx->record.prompt_tokens = -1;
    ctx->record.completion_tokens = -1;
    ctx->record.mark = LLM_RECORD_NO_MARK;
    ctx->record.meta_len = (uint16_t) meta.len;
    ctx->record.status = (uint16_t) r->headers_out.status;
    ctx->record.form = (uint8_t) ctx->form;

    llm_record_encode(&ctx->record, head);

    expected = 0;

    if (ctx->expected >= 0) {
        expected = LLM_RECORD_HEAD + meta.len + (size_t) ctx->expected;
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ctx->writer.expected = expected;
        rc = NGX_OK;

    } else {
        rc = ngx_http_llm_cache_zone_create(ctx->conf->zone, ctx->key,
                                            expected, &ctx->writer);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_zone_append(&ctx->writer, head,
                                            LLM_RECORD_HEAD);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_zone_append(&ctx->writer, meta.data, meta.len);
    }

    llm_buf_free(&meta);

    if (rc != NGX_OK) {
        return LLM_REASON_ZONE_FULL;
    }

    ctx->received = 0;
    ctx->recording = 1;

    r->filter_need_in_memory = 1;

    return LLM_REASON_NONE;
}


static ngx_int_t
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
           != 0)
    {
        return NGX_ERROR;
    }

    if (ngx_http_llm_cache_semantic_save(ctx, meta) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_llm_cache_save_headers(r, meta);
}


static ngx_int_t
ngx_http_llm_cache_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t                     *cl;
    ngx_http_llm_cache_ctx_t        *ctx;
    ngx_http_llm_cache_embedding_t  *embedding;

    embedding = ngx_http_llm_cache_embed_of(r);

    if (embedding) {
        ngx_http_llm_cache_embed_take(r, embedding, in);
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_filter_ctx(r);

    if (ctx == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->replaced) {
        ngx_http_llm_cache_discard(in);

        if (in) {
            in = ctx->out;
            ctx->out = NULL;
        }

        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->gone && (in == NULL || !ctx->recording)) {
        ngx_http_llm_cache_discard(in);
        return in && !ctx->background ? NGX_ERROR : NGX_OK;
    }

    if (in == NULL || !ctx->recording) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        return ngx_http_llm_cache_lead_body(r, ctx, in);
    }

    /* who has the answer may ask again at once, of another worker too */

    for (cl = in; cl && ctx->recording; cl = cl->next) {

        ngx_http_llm_cache_stop(ctx,
                               ngx_http_llm_cache_record_buf(ctx, cl->buf));

        if (ngx_http_llm_cache_whole(ctx, cl->buf)) {
            ngx_http_llm_cache_finish_record(ctx);
        }
    }

    return ngx_http_next_body_filter(r, in);
}


/*
 * What a leader's client gets points into the zone, so that the upstream need
 * not wait for that client while others follow.  A filter that changes bytes
 * where they stand gets those of the upstream.
 */

static ngx_int_t
ngx_http_llm_cache_lead_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_uint_t    last;
    ngx_chain_t  *out, *rest, **ll;

    ngx_http_llm_cache_guard(r, ctx);

    if (ngx_http_llm_cache_take(r, ctx, in, &rest) != NGX_OK) {
        return NGX_ERROR;
    }

    last = 0;

    for ( /* void */ ; in; in = in->next) {
        last |= in->buf->last_buf;
    }

    if (ctx->gone) {
        ngx_http_llm_cache_discard(rest);
        return last && !ctx->background ? NGX_ERROR : NGX_OK;
    }

    if (ngx_http_llm_cache_show(r, ctx, ctx->writer.hold.node,
                                ctx->writer.len, last && rest == NULL, &out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (ll = &out; *ll; ll = &(*ll)->next) { /* void */ }

    *ll = rest;

    rc = ngx_http_next_body_filter(r, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_llm_cache_module);

    if (rc == NGX_ERROR && !last && ctx->recording
        && ngx_http_llm_cache_go_on(r, ctx))
    {
        return NGX_OK;
    }

    return rc;
}


/* records what it can; the rest is for the next filter as it is */

static ngx_int_t
ngx_http_llm_cache_take(ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx,
    ngx_chain_t *in, ngx_chain_t **rest)
{
    size_t        before;
    ngx_buf_t    *b;
    ngx_uint_t    whole, direct;
    ngx_chain_t  *cl, **ll;

    *rest = NULL;
    ll = rest;
    whole = 0;
    direct = r->filter_need_temporary && !ctx->gone;

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;

        if (ctx->recording) {
            before = ctx->writer.len;

            ngx_http_llm_cache_refuse(ctx,
                                      ngx_http_llm_cache_record_buf(ctx, b));

            if (direct) {
                ctx->shown = ctx->writer.len;
            } else {
                b->pos += ctx->writer.len - before;
            }

            whole |= ngx_http_llm_cache_whole(ctx, b);
        }

        if (*rest == NULL && ngx_buf_size(b) == 0 && !ngx_buf_special(b)
            && !direct)
        {
            continue;
        }

        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = b;
        cl->next = NULL;

        *ll = cl;
        ll = &cl->next;
    }

    if (whole && ctx->recording) {
        ctx->writer.shown = ctx->busy != NULL;
        ngx_http_llm_cache_finish_record(ctx);
        ctx->cursor.chunk = NULL;

    } else if (ctx->recording && ctx->record.status == NGX_HTTP_OK) {
        ngx_http_llm_cache_flight_publish(&ctx->writer);
    }

    return NGX_OK;
}


/*
 * With all bytes of the length that was told there is nothing to wait for:
 * nginx may still wait for the upstream's close, and the client may leave
 * meanwhile.  To nginx the end of a subrequest is not the last buffer.
 */

static ngx_uint_t
ngx_http_llm_cache_whole(ngx_http_llm_cache_ctx_t *ctx, ngx_buf_t *b)
{
    return ctx->recording
           && (b->last_buf || ctx->received == ctx->expected
               || (ctx->background && b->sync && b->last_in_chain));
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


/* LLM_REASON_NONE leaves the recording as it is */

static void
ngx_http_llm_cache_stop(ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason)
{
    if (reason == LLM_REASON_NONE) {
        return;
    }

    ngx_http_llm_cache_refuse(ctx, reason);

    ngx_http_llm_cache_zone_abandon(&ctx->writer);
}


/* as above; what a leader's client is being sent stays */

static void
ngx_http_llm_cache_refuse(ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason)
{
    if (reason == LLM_REASON_NONE) {
        return;
    }

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_end(&ctx->writer,
                                      reason == LLM_REASON_TRUNCATED
                                      ? NGX_HTTP_LLM_CACHE_FAILED
                                      : NGX_HTTP_LLM_CACHE_ALONE);
    }

    ctx->reason = reason;
    ctx->recording = 0;
    ctx->may_store = 0;

    llm_answer_free(ctx->answer);
    ctx->answer = NULL;
}


/* the response has come to its end: a few microseconds, whatever its size */

static void
ngx_http_llm_cache_finish_record(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t         leads;
    u_char             head[LLM_RECORD_HEAD];
    llm_reason_e       reason;
    llm_answer_info_t  info;

    leads = ngx_http_llm_cache_leads(&ctx->writer) != NULL;
    reason = ngx_http_llm_cache_complete(ctx, &info);

    llm_record_encode(&ctx->record, head);

    ngx_http_llm_cache_zone_write(&ctx->writer, 0, head, LLM_RECORD_HEAD);

    if (reason == LLM_REASON_NONE) {

        if (ngx_http_llm_cache_zone_commit(&ctx->writer, ctx->key,
                                           ctx->record.created,
                                           ctx->record.expires,
                                           llm_evict_weight(
                                               info.prompt_tokens,
                                               info.completion_tokens,
                                               ctx->writer.len))
            == NGX_OK)
        {
            ngx_http_llm_cache_pack_later(ctx->conf->zone, &ctx->record);

            if (!info.tools) {
                ngx_http_llm_cache_semantic_stored(ctx);
            }

        } else {
            reason = LLM_REASON_ZONE_FULL;
        }

    } else if (leads && reason != LLM_REASON_TRUNCATED) {

        ngx_http_llm_cache_flight_end(&ctx->writer, NGX_HTTP_LLM_CACHE_ENDED);

        ctx->reason = reason;
        ctx->recording = 0;
        ctx->may_store = 0;

        llm_answer_free(ctx->answer);
        ctx->answer = NULL;

        return;
    }

    if (leads) {
        ngx_http_llm_cache_refuse(ctx, reason);

    } else {
        ngx_http_llm_cache_stop(ctx, reason);
    }

    ctx->recording = 0;
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
    rec->expires = rec->created + ctx->lifetime;
    rec->prompt_tokens = (int32_t) ngx_min(info->prompt_tokens, INT32_MAX);
    rec->completion_tokens = (int32_t) ngx_min(info->completion_tokens,
                                               INT32_MAX);
    rec->body_len = (uint32_t) ctx->received;
    rec->usage_start = (uint32_t) info->usage.start;
    rec->usage_end = (uint32_t) info->usage.end;
    rec->mark = (info->mark == SIZE_MAX) ? LLM_RECORD_NO_MARK
                                         : (uint32_t) info->mark;
    rec->mark_empty = info->mark_empty;
    rec->has_usage = info->has_usage;
    rec->usage_asked = ctx->ask.include_usage;

    return reason;
}
