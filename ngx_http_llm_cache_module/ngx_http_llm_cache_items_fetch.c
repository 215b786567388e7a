#include "ngx_http_llm_cache_items.h"


static ngx_int_t ngx_http_llm_cache_items_choose(
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_fetch_prepare(ngx_http_request_t *sr,
    ngx_http_llm_cache_items_t *items);
static ngx_int_t ngx_http_llm_cache_fetch_headers(ngx_http_request_t *sr,
    off_t len);
static ngx_table_elt_t *ngx_http_llm_cache_fetch_header(
    ngx_http_request_t *sr, ngx_table_elt_t *h);
static ngx_int_t ngx_http_llm_cache_fetch_captures(ngx_http_request_t *sr);
static ngx_chain_t *ngx_http_llm_cache_fetch_body(ngx_http_request_t *sr,
    ngx_http_llm_cache_items_t *items);
static void ngx_http_llm_cache_fetch_refuse(ngx_http_request_t *sr);
static ngx_int_t ngx_http_llm_cache_fetch_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);


/*
 * The subrequest is a copy of the request in the same location, with another
 * body.  It is one in the background: nothing of it is sent, and the request
 * decides what becomes of it.
 */

ngx_int_t
ngx_http_llm_cache_items_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_request_t          *sr;
    ngx_http_llm_cache_ctx_t    *own;
    ngx_http_llm_cache_items_t  *items;
    ngx_http_llm_cache_fetch_t  *fetch;

    items = ctx->items;

    if (ngx_http_llm_cache_items_choose(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    fetch = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_cache_fetch_t));
    own = ngx_http_llm_cache_create_ctx(r->pool);

    if (fetch == NULL || own == NULL) {
        return NGX_DECLINED;
    }

    sr = ngx_http_llm_cache_background(r, &r->uri, &r->args,
                                       NGX_HTTP_SUBREQUEST_CLONE, own,
                                       ngx_http_llm_cache_fetch_done, fetch);
    if (sr == NULL) {
        return NGX_DECLINED;
    }

    own->fetch = fetch;

    ctx->fetched_at = ngx_current_msec;

    fetch->request = r;
    fetch->subrequest = sr;
    items->fetch = fetch;

    if (ngx_http_llm_cache_fetch_prepare(sr, items) != NGX_OK) {

        fetch->bad = 1;
        sr->write_event_handler = ngx_http_llm_cache_fetch_refuse;
    }

    return NGX_AGAIN;
}


/*
 * What is missing, and what is too old.  An answer that would be too long is
 * not asked for: vectors are as long as those that are there.
 */

static ngx_int_t
ngx_http_llm_cache_items_choose(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_item_t   *item;
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;
    items->wanted = 0;

    for (i = 0; i < items->n; i++) {
        item = &items->items[i];

        if (items->first[i] == i
            && item->state != NGX_HTTP_LLM_CACHE_ITEM_FRESH)
        {
            item->asked = items->wanted++;
        }
    }

    if (items->fresh + items->stale
        && (uint64_t) items->items[items->newest].len * items->wanted
           > ctx->conf->zone->size / 2)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_fetch_prepare(ngx_http_request_t *sr,
    ngx_http_llm_cache_items_t *items)
{
    ngx_http_request_body_t  *rb;

    rb = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    rb->bufs = ngx_http_llm_cache_fetch_body(sr, items);

    if (rb->bufs == NULL) {
        return NGX_ERROR;
    }

    sr->request_body = rb;
    sr->preserve_body = 1;

    if (ngx_http_llm_cache_fetch_headers(sr,
                                       ngx_http_llm_cache_length(rb->bufs))
        != NGX_OK
        || ngx_http_llm_cache_own_variables(sr) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_llm_cache_fetch_captures(sr);
}


/* the client's headers, in a list of their own */

static ngx_int_t
ngx_http_llm_cache_fetch_headers(ngx_http_request_t *sr, off_t len)
{
    ngx_list_t                  list;
    ngx_table_elt_t            *h, length;
    ngx_http_llm_cache_walk_t   walk;

    list = sr->headers_in.headers;

    if (ngx_list_init(&sr->headers_in.headers, sr->pool, 20,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_llm_cache_walk_headers(&walk, &list);

    while ((h = ngx_http_llm_cache_next_header(&walk, NULL)) != NULL) {

        if (ngx_http_llm_cache_fetch_header(sr, h) == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(&length, sizeof(ngx_table_elt_t));

    /* the hash is what the proxy modules know the header by */

    length.lowcase_key = (u_char *) "content-length";
    length.hash = ngx_hash_key(length.lowcase_key,
                               sizeof("content-length") - 1);
    ngx_str_set(&length.key, "Content-Length");

    length.value.data = ngx_pnalloc(sr->pool, NGX_OFF_T_LEN + 1);
    if (length.value.data == NULL) {
        return NGX_ERROR;
    }

    length.value.len = ngx_sprintf(length.value.data, "%O%Z", len) - 1
                       - length.value.data;

    sr->headers_in.content_length = ngx_list_push(&sr->headers_in.headers);
    if (sr->headers_in.content_length == NULL) {
        return NGX_ERROR;
    }

    *sr->headers_in.content_length = length;

    sr->headers_in.content_length_n = len;
    sr->headers_in.chunked = 0;
    sr->headers_in.transfer_encoding = NULL;

    return NGX_OK;
}


/* the answer has to be readable; the body's length is added anew */

static ngx_table_elt_t *
ngx_http_llm_cache_fetch_header(ngx_http_request_t *sr, ngx_table_elt_t *h)
{
    ngx_table_elt_t  *copy;

    if ((h->key.len == 14
         && ngx_strncasecmp(h->key.data, (u_char *) "content-length", 14) == 0)
        || (h->key.len == 17
            && ngx_strncasecmp(h->key.data, (u_char *) "transfer-encoding", 17)
               == 0))
    {
        return h;
    }

    copy = ngx_list_push(&sr->headers_in.headers);
    if (copy == NULL) {
        return NULL;
    }

    *copy = *h;

    if (h->key.len == 15
        && ngx_strncasecmp(h->key.data, (u_char *) "accept-encoding", 15) == 0)
    {
        ngx_str_set(&copy->value, "identity");
    }

    return copy;
}


static ngx_int_t
ngx_http_llm_cache_fetch_captures(ngx_http_request_t *sr)
{
#if (NGX_PCRE)

    ngx_http_core_main_conf_t  *cmcf;

    if (sr->main->ncaptures) {

        cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

        sr->captures = ngx_palloc(sr->pool, cmcf->ncaptures * sizeof(int));
        if (sr->captures == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(sr->captures, sr->main->captures,
                   sr->main->ncaptures * sizeof(int));

        sr->ncaptures = sr->main->ncaptures;
        sr->captures_data = sr->main->captures_data;
    }

#endif

    return NGX_OK;
}


/* the client's own bytes, but for the inputs that are not wanted */

static ngx_chain_t *
ngx_http_llm_cache_fetch_body(ngx_http_request_t *sr,
    ngx_http_llm_cache_items_t *items)
{
    u_char        *text;
    ngx_uint_t     i, n;
    ngx_chain_t   *bufs, **last;
    llm_range_t   *input, *value;

    static u_char  signs[] = "[,]";

    bufs = NULL;
    last = &bufs;
    text = items->text.data;
    value = &items->ask.value;

    last = ngx_http_llm_cache_add_buf(sr, text, text + value->start, last);

    for (i = 0, n = 0; i < items->n; i++) {

        if (items->first[i] != i
            || items->items[i].state == NGX_HTTP_LLM_CACHE_ITEM_FRESH)
        {
            continue;
        }

        input = &items->ask.inputs[i];

        last = ngx_http_llm_cache_add_buf(sr, signs + (n != 0),
                                          signs + (n != 0) + 1, last);
        last = ngx_http_llm_cache_add_buf(sr, text + input->start,
                                          text + input->end, last);
        n++;
    }

    last = ngx_http_llm_cache_add_buf(sr, signs + 2, signs + 3, last);
    last = ngx_http_llm_cache_add_buf(sr, text + value->end,
                                      text + items->text.len, last);

    if (last == NULL) {
        return NULL;
    }

    ngx_http_llm_cache_end_chain(bufs);

    return bufs;
}


/* the subrequest that a request is, or NULL */

ngx_http_llm_cache_fetch_t *
ngx_http_llm_cache_fetch_of(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    if (r == r->main || !r->background) {
        return NULL;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    return ctx ? ctx->fetch : NULL;
}


/* a part of the body, none of which is sent */

void
ngx_http_llm_cache_fetch_take(ngx_http_llm_cache_fetch_t *fetch,
    ngx_chain_t *in)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = in; cl && fetch->reply && !fetch->bad; cl = cl->next) {

        b = cl->buf;

        if (ngx_http_llm_cache_reply_take(fetch->reply, b) != NGX_OK) {
            fetch->bad = 1;
        }

        /* as for all subrequests, the last buffer is not the response's */

        if (b->last_buf || (b->sync && b->last_in_chain)) {
            fetch->whole = 1;
        }
    }

    ngx_http_llm_cache_discard(in);
}


void
ngx_http_llm_cache_fetch_head(ngx_http_request_t *sr,
    ngx_http_llm_cache_fetch_t *fetch)
{
    ngx_uint_t                   i, n, store;
    llm_reason_e                 reason;
    ngx_http_llm_cache_ctx_t    *ctx;
    ngx_http_llm_cache_items_t  *items;

    sr->filter_need_in_memory = 1;

    if (fetch->request == NULL) {
        return;
    }

    ctx = ngx_http_llm_cache_get_ctx(fetch->request);
    items = ctx->items;

    reason = ngx_http_llm_cache_gate_head(sr, ctx);
    store = ctx->may_store && reason == LLM_REASON_NONE;

    fetch->failure = ngx_http_llm_cache_failure(sr);

    switch (reason) {

    case LLM_REASON_NONE:
        break;

    case LLM_REASON_UPSTREAM_NO_STORE:
    case LLM_REASON_UPSTREAM_PRIVATE:
    case LLM_REASON_NOT_VALID:
        ctx->reason = reason;
        break;

    default:
        fetch->bad = 1;
        return;
    }

    if (ctx->form == LLM_FORM_JSON) {
        fetch->reply = ngx_http_llm_cache_reply_create(sr, ctx, items->wanted,
                                                       store);
    }

    if (fetch->reply == NULL) {
        fetch->bad = 1;
        return;
    }

    for (i = 0, n = 0; i < items->n; i++) {

        if (items->first[i] == i
            && items->items[i].state != NGX_HTTP_LLM_CACHE_ITEM_FRESH)
        {
            fetch->reply->weights[n] = items->ask.weights[i];

            ngx_memcpy(fetch->reply->keys + n * LLM_KEY_LEN,
                       items->keys + i * LLM_KEY_LEN, LLM_KEY_LEN);
            n++;
        }
    }
}


/* it could not be made, but has begun */

static void
ngx_http_llm_cache_fetch_refuse(ngx_http_request_t *sr)
{
    ngx_http_finalize_request(sr, NGX_OK);
}


static ngx_int_t
ngx_http_llm_cache_fetch_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_llm_cache_fetch_t *fetch = data;

    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    r = fetch->request;

    /* an error's page is made first, which ends the subrequest once more */

    if (r == NULL || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    fetch->request = NULL;

    if (fetch->reply
        && (rc != NGX_OK || fetch->bad || !fetch->whole
            || ngx_http_llm_cache_reply_end(fetch->reply) != NGX_OK))
    {
        ngx_http_llm_cache_reply_free(fetch->reply);
        fetch->reply = NULL;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);
    ngx_http_llm_cache_items_later(ctx->items);

    return rc;
}


/* the request goes away, or somewhere else */

void
ngx_http_llm_cache_items_ask_end(ngx_http_llm_cache_items_t *items)
{
    ngx_http_llm_cache_fetch_t  *fetch;

    fetch = items->fetch;

    if (fetch == NULL) {
        return;
    }

    items->fetch = NULL;

    fetch->request = NULL;
    fetch->bad = 1;

    ngx_http_llm_cache_reply_free(fetch->reply);
    fetch->reply = NULL;
}
