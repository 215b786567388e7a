#include "ngx_http_llm_cache.h"


/* what a subrequest in the background ends with */

typedef struct {
    ngx_http_post_subrequest_t         post;
    ngx_http_llm_cache_background_pt   handler;
    void                              *data;
} ngx_http_llm_cache_background_t;


static void ngx_http_llm_cache_cleanup(void *data);
static ngx_int_t ngx_http_llm_cache_background_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_uint_t ngx_http_llm_cache_tells_of_request(ngx_str_t *variable);


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

        ctx = cln->data;

        if (cln->handler == ngx_http_llm_cache_cleanup && ctx->request == r) {
            ngx_http_set_ctx(r, ctx, ngx_http_llm_cache_module);
            return ctx;
        }
    }

    return NULL;
}


ngx_http_llm_cache_ctx_t *
ngx_http_llm_cache_create_ctx(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_llm_cache_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_llm_cache_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_llm_cache_ctx_t));

    ctx->age = -1;
    ctx->prompt_tokens = -1;
    ctx->completion_tokens = -1;
    ctx->saved_tokens = -1;

    llm_control_init(&ctx->body_control);

    cln->handler = ngx_http_llm_cache_cleanup;

    return ctx;
}


void
ngx_http_llm_cache_set_ctx(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->request = r;

    ngx_http_set_ctx(r, ctx, ngx_http_llm_cache_module);
}


static void
ngx_http_llm_cache_cleanup(void *data)
{
    ngx_http_llm_cache_ctx_t  *ctx = data;

    ngx_http_llm_cache_reset_ctx(ctx);

    json_decref(ctx->doc);
    ctx->doc = NULL;

    if (ctx->work) {
        llm_body_free(&ctx->work->body);
    }
}


/* forgets what was decided; what the client said in its request stays */

void
ngx_http_llm_cache_reset_ctx(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_restore_encodings(ctx);

    /* a subrequest's own context has it too, and does not wait */

    if (ctx->conf) {
        ngx_http_llm_cache_embed_end(ctx->embedding);
        ngx_http_llm_cache_verify_end(ctx);
    }

    ctx->embedding = NULL;

    ngx_http_llm_cache_unfollow(ctx);
    ngx_http_llm_cache_redis_end(ctx);
    ngx_http_llm_cache_lead_end(ctx);
    ngx_http_llm_cache_observe_end(ctx);

    ngx_http_llm_cache_zone_release(&ctx->hold);
    ngx_http_llm_cache_zone_release(&ctx->failed_hold);
    ngx_http_llm_cache_zone_abandon(&ctx->writer);

    llm_answer_free(ctx->answer);
    ctx->answer = NULL;

    llm_embeddings_cut_free(ctx->cut);
    ctx->cut = NULL;

    ngx_http_llm_cache_items_end(ctx->items);
    ctx->items = NULL;

    ctx->conversion = NULL;

    ctx->status = NGX_HTTP_LLM_CACHE_NONE;
    ctx->reason = LLM_REASON_NONE;
    ctx->bypass = LLM_REASON_NONE;
    ctx->stored = 0;
    ctx->has_key = 0;
    ctx->one_input = 0;
    ctx->batching = 0;
    ctx->saved_tokens = -1;
    ctx->may_store = 0;
    ctx->recording = 0;
    ctx->unstored = 0;
    ctx->alone = 0;
    ctx->unfit = 0;
    ctx->apart = 0;
    ctx->again = 0;
    ctx->failed = 0;
    ctx->failures = 0;
    ctx->waiter.data = NULL;
    ctx->by_request = 0;
    ctx->only_if_cached = 0;
    ctx->asked = 0;
    ctx->embedded = 0;
    ctx->hinted = 0;
    ctx->semantic = NULL;
}


void
ngx_http_llm_cache_leave(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx == NULL) {
        return;
    }

    ngx_http_llm_cache_embed_end(ctx->embedding);
    ngx_http_llm_cache_unfollow(ctx);

    if (ctx->querying) {
        ngx_http_llm_cache_redis_end(ctx);
    }

    if (ctx->items) {
        ngx_http_llm_cache_items_leave(ctx->items);
    }

    ctx->recording = 0;
    ngx_http_llm_cache_zone_abandon(&ctx->writer);
}


void
ngx_http_llm_cache_ready_phases(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;
}


ngx_http_request_t *
ngx_http_llm_cache_background(ngx_http_request_t *r, ngx_str_t *uri,
    ngx_str_t *args, ngx_uint_t flags, ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_background_pt handler, void *data)
{
    ngx_http_request_t               *sr;
    ngx_http_llm_cache_background_t  *b;

    b = ngx_palloc(r->pool, sizeof(ngx_http_llm_cache_background_t));
    if (b == NULL) {
        return NULL;
    }

    b->post.handler = ngx_http_llm_cache_background_done;
    b->post.data = b;
    b->handler = handler;
    b->data = data;

    if (ngx_http_subrequest(r, uri, args, &sr, &b->post,
                            flags|NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NULL;
    }

    ngx_http_llm_cache_set_ctx(sr, ctx);

    return sr;
}


/*
 * What the subrequest sets must not change the request's variables, and those
 * that tell of a request's head and body have other values here.
 */

ngx_int_t
ngx_http_llm_cache_own_variables(ngx_http_request_t *sr)
{
    size_t                      n;
    ngx_uint_t                  i;
    ngx_http_variable_t        *vars;
    ngx_http_variable_value_t  *values;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);
    vars = cmcf->variables.elts;
    n = cmcf->variables.nelts;

    values = ngx_palloc(sr->pool, n * sizeof(ngx_http_variable_value_t) + 1);
    if (values == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(values, sr->variables, n * sizeof(ngx_http_variable_value_t));

    for (i = 0; i < n; i++) {
        if (ngx_http_llm_cache_tells_of_request(&vars[i].name)) {
            values[i].valid = 0;
            values[i].not_found = 0;
        }
    }

    sr->variables = values;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_cache_tells_of_request(ngx_str_t *variable)
{
    ngx_str_t  *name;

    static ngx_str_t  names[] = {
        ngx_string("content_length"),
        ngx_string("content_type"),
        ngx_string("request_body"),
        ngx_string("request_body_file"),
        ngx_string("request_method"),
        ngx_string("proxy_add_x_forwarded_for"),
        ngx_null_string
    };

    if ((variable->len > 5 && ngx_strncmp(variable->data, "http_", 5) == 0)
        || (variable->len > 7
            && ngx_strncmp(variable->data, "cookie_", 7) == 0))
    {
        return 1;
    }

    for (name = names; name->len; name++) {
        if (variable->len == name->len
            && ngx_strncmp(variable->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* to nginx an error would be the end of the request itself, whose client may
   not have all of its answer yet */

static ngx_int_t
ngx_http_llm_cache_background_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_llm_cache_background_t *b = data;

    rc = b->handler(sr, b->data, rc);

    return rc == NGX_ERROR ? NGX_OK : rc;
}


ngx_chain_t *
ngx_http_llm_cache_free_buf(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *p, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (cl == NULL) {
        return NULL;
    }

    cl->next = NULL;
    b = cl->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->tag = (ngx_buf_tag_t) &ngx_http_llm_cache_module;

    if (len) {
        b->start = p;
        b->pos = p;
        b->last = p + len;
        b->end = p + len;
        b->memory = 1;
    }

    return cl;
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


off_t
ngx_http_llm_cache_length(ngx_chain_t *cl)
{
    off_t  len;

    for (len = 0; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    return len;
}


void
ngx_http_llm_cache_end_chain(ngx_chain_t *cl)
{
    while (cl->next) {
        cl = cl->next;
    }

    cl->buf->last_buf = 1;
    cl->buf->last_in_chain = 1;
}


void
ngx_http_llm_cache_discard(ngx_chain_t *cl)
{
    for ( /* void */ ; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }
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
