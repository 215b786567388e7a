#include "ngx_http_llm_cache_items.h"
#include "ngx_http_llm_cache_vary.h"


static ngx_http_llm_cache_ctx_t *ngx_http_llm_cache_filter_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static llm_reason_e ngx_http_llm_cache_gate(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_decide_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason);
static void ngx_http_llm_cache_unbuffer(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static llm_form_e ngx_http_llm_cache_shared_form(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason);
static llm_form_e ngx_http_llm_cache_response_form(ngx_http_request_t *r);
static llm_reason_e ngx_http_llm_cache_response_control(
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx);
static llm_reason_e ngx_http_llm_cache_list_control(ngx_list_t *headers);
static time_t ngx_http_llm_cache_lifetime(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_pass_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_llm_cache_lead_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in);


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
    ngx_http_llm_cache_ctx_t    *ctx;
    ngx_http_llm_cache_fetch_t  *fetch;

    if (ngx_http_llm_cache_embed_of(r)) {
        r->filter_need_in_memory = 1;
        return NGX_OK;
    }

    fetch = ngx_http_llm_cache_fetch_of(r);

    if (fetch) {
        ngx_http_llm_cache_fetch_head(r, fetch);
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_filter_ctx(r);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ngx_http_llm_cache_restore_encodings(ctx);

    if (ctx->observed) {
        ngx_http_llm_cache_observe_head(ctx);
    }

    if (!ctx->gone && ngx_http_llm_cache_fall_back(r, ctx) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ctx->may_store) {
        ngx_http_llm_cache_decide_head(r, ctx,
                                       ngx_http_llm_cache_gate(r, ctx));
    }

    if (ctx->gone) {
        return ngx_http_llm_cache_go_down(r, ctx);
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

        if (reason != LLM_REASON_NONE) {
            ngx_http_llm_cache_refuse(ctx, reason);
        }

        return;
    }

    /* too long as a whole: who follows finds the inputs */

    if (reason == LLM_REASON_ENTRY_SIZE && ctx->items) {
        ngx_http_llm_cache_refuse(ctx, reason);
        return;
    }

    if (reason != LLM_REASON_NONE) {

        ctx->form = ngx_http_llm_cache_shared_form(r, ctx, reason);

        if (ngx_http_llm_cache_flight_close(w) == 0
            || ctx->form == LLM_FORM_NONE)
        {
            ngx_http_llm_cache_refuse(ctx, reason);
            return;
        }

        ctx->unstored = 1;
        ctx->expected = r->headers_out.content_length_n;

        if (ctx->expected > (off_t) ctx->conf->zone->max_entry
            || ngx_http_llm_cache_start_record(r, ctx) != LLM_REASON_NONE)
        {
            ngx_http_llm_cache_refuse(ctx, reason);
            return;
        }

        ctx->reason = reason;
    }

    if (ngx_http_llm_cache_streams(ctx)) {
        ngx_http_llm_cache_flight_publish(w);
    }

    ngx_http_llm_cache_unbuffer(r, ctx);
}


/*
 * The pace of the leader's client must not be that of its followers.  nginx
 * would hand on what it has buffered when that client is ready only, where it
 * does not buffer it hands on at once.  But then it cannot limit the rate.
 */

static void
ngx_http_llm_cache_unbuffer(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_upstream_t       *u;
    ngx_http_core_loc_conf_t  *clcf;

    u = r->upstream;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (u == NULL || ctx->background || u->store
        || u->conf->limit_rate || clcf->limit_rate || r->limit_rate)
    {
        return;
    }

#if (NGX_HTTP_CACHE)
    if (u->cacheable) {
        return;
    }
#endif

    u->buffering = 0;
}


static llm_form_e
ngx_http_llm_cache_shared_form(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_reason_e reason)
{
    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        return LLM_FORM_NONE;
    }

    switch (r->headers_out.status) {

    case NGX_HTTP_UNAUTHORIZED:
    case 402:
    case NGX_HTTP_FORBIDDEN:
    case 407:

        /* said of the leader's credentials, which may not be the others' */

        return ctx->conf->scope_kind == NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS
               ? LLM_FORM_JSON : LLM_FORM_NONE;
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

    reason = ngx_http_llm_cache_gate_head(r, ctx);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    ngx_http_llm_cache_items_expect(r, ctx);

    ctx->expected = r->headers_out.content_length_n;

    if (ctx->expected > (off_t) ctx->conf->zone->max_entry) {
        return LLM_REASON_ENTRY_SIZE;
    }

    return ngx_http_llm_cache_start_record(r, ctx);
}


llm_reason_e
ngx_http_llm_cache_gate_head(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
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
        && r->headers_out.content_encoding->value.len
        && !ngx_http_llm_cache_observe_unpacks(r, ctx))
    {
        return LLM_REASON_RESPONSE_ENCODING;
    }

    ctx->form = ngx_http_llm_cache_response_form(r);

    if (ctx->form == LLM_FORM_NONE) {
        return LLM_REASON_RESPONSE_TYPE;
    }

    reason = ngx_http_llm_cache_response_control(r, ctx);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    ctx->lifetime = ngx_http_llm_cache_lifetime(r, ctx);

    return ctx->lifetime > 0 ? LLM_REASON_NONE : LLM_REASON_NOT_VALID;
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


/*
 * Cache-Control of the upstream: no-store and private are obeyed, also where
 * proxy_hide_header keeps it from the client.
 */

static llm_reason_e
ngx_http_llm_cache_response_control(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_reason_e  reason;

    reason = ngx_http_llm_cache_list_control(&r->headers_out.headers);

    if (reason == LLM_REASON_NONE && r->upstream) {
        reason = ngx_http_llm_cache_list_control(
                                            &r->upstream->headers_in.headers);
    }

    if (reason == LLM_REASON_NONE && ngx_http_llm_cache_vary_any(r, ctx)) {
        reason = LLM_REASON_UPSTREAM_NO_STORE;
    }

    return reason;
}


static llm_reason_e
ngx_http_llm_cache_list_control(ngx_list_t *headers)
{
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    static ngx_str_t  name = ngx_string("cache-control");

    ngx_http_llm_cache_walk_headers(&walk, headers);

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


static ngx_int_t
ngx_http_llm_cache_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                        rc;
    ngx_http_llm_cache_ctx_t        *ctx;
    ngx_http_llm_cache_fetch_t      *fetch;
    ngx_http_llm_cache_embedding_t  *embedding;

    embedding = ngx_http_llm_cache_embed_of(r);

    if (embedding) {
        ngx_http_llm_cache_embed_take(r, embedding, in);
        return NGX_OK;
    }

    fetch = ngx_http_llm_cache_fetch_of(r);

    if (fetch) {
        ngx_http_llm_cache_fetch_take(fetch, in);
        return NGX_OK;
    }

    ctx = ngx_http_llm_cache_filter_ctx(r);

    if (ctx == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->items) {
        ngx_http_llm_cache_items_take(ctx, in);
    }

    rc = ngx_http_llm_cache_pass_body(r, ctx, in);

    if (ctx->verify) {
        ngx_http_llm_cache_verify(r, ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_cache_pass_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_chain_t  *cl;

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
        return ngx_http_llm_cache_go_down(r, ctx);
    }

    if (ctx->recording && ngx_http_llm_cache_leads(&ctx->writer)) {
        return ngx_http_llm_cache_lead_body(r, ctx, in);
    }

    /* who has the answer may ask again at once, of another worker too */

    for (cl = in; cl && ctx->recording; cl = cl->next) {
        (void) ngx_http_llm_cache_record(r, ctx, cl->buf);
    }

    return ngx_http_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_llm_cache_lead_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_chain_t  *out;

    if (ngx_http_llm_cache_lead_take(r, ctx, in, &out) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->gone) {
        return ngx_http_llm_cache_go_down(r, ctx);
    }

    rc = ngx_http_next_body_filter(r, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_llm_cache_module);

    if (ngx_http_llm_cache_lead_stalled(r, ctx)) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_ERROR && ngx_http_llm_cache_go_on(r, ctx)) {
        return NGX_OK;
    }

    return rc;
}
