#include "ngx_http_llm_cache.h"
#include "llm_embed_reply.h"


/* a longer answer of the embeddings API is none: 4096 numbers take less */
#define NGX_HTTP_LLM_CACHE_EMBED_MAX  (128 * 1024)


/* a text that is being embedded by a subrequest; of the request's pool */

struct ngx_http_llm_cache_embedding_s {
    ngx_http_request_t                *request;   /* NULL: nobody waits */
    ngx_http_request_t                *subrequest;
    ngx_http_llm_cache_embedded_pt     handler;
    void                              *data;
    ngx_http_llm_cache_semantic_stat_t *stat;
    uint64_t                           start;
    float                             *vector;
    size_t                             dim;
    ngx_event_t                        timer;
    size_t                             len;
    ngx_uint_t                         too_long;
    u_char                            *reply;
};


static ngx_int_t ngx_http_llm_cache_embed_prepare(ngx_http_request_t *sr,
    ngx_str_t *body);
static ngx_int_t ngx_http_llm_cache_embed_body(ngx_http_request_t *r,
    llm_str_t text, ngx_str_t *model, ngx_str_t *body);
static ngx_int_t ngx_http_llm_cache_embed_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static void ngx_http_llm_cache_embed_timeout(ngx_event_t *ev);
static void ngx_http_llm_cache_embed_finish(
    ngx_http_llm_cache_embedding_t *embedding, ngx_int_t rc);
static void ngx_http_llm_cache_embed_abort(ngx_http_request_t *sr);
static void ngx_http_llm_cache_embed_asked(ngx_http_request_t *r, void *data,
    ngx_int_t rc);


/*
 * Asks the location for the question's vector.  NGX_AGAIN: the phases run
 * again when it is there, or will not be; NGX_ERROR.
 */

ngx_int_t
ngx_http_llm_cache_embed_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_str_t  text;

    text.data = ctx->semantic->question.text;
    text.len = ctx->semantic->question.len;

    ctx->embedding = ngx_http_llm_cache_embed_start(r, ctx, text,
                                              ctx->semantic->vector,
                                              ngx_http_llm_cache_embed_asked,
                                              ctx);
    if (ctx->embedding == NULL) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


static void
ngx_http_llm_cache_embed_asked(ngx_http_request_t *r, void *data,
    ngx_int_t rc)
{
    ngx_http_llm_cache_ctx_t *ctx = data;

    ctx->semantic->ready = (rc == NGX_OK);
    ctx->embedding = NULL;
    ctx->embedded = 1;

    ngx_http_llm_cache_ready_phases(r);

    if (ngx_http_post_request(r, NULL) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "llm cache: no memory to go on with a request");
    }
}


/*
 * The subrequest is one in the background, so that a request that has waited
 * long enough can be answered before it ends, and needs not wait at all.
 */

ngx_http_llm_cache_embedding_t *
ngx_http_llm_cache_embed_start(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t text, float *vector,
    ngx_http_llm_cache_embedded_pt handler, void *data)
{
    ngx_str_t                            body;
    ngx_http_request_t                  *sr;
    ngx_http_llm_cache_ctx_t            *own;
    ngx_http_llm_cache_embedding_t      *embedding;
    ngx_http_llm_cache_semantic_conf_t  *sc;

    sc = &ctx->conf->semantic;

    embedding = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_cache_embedding_t));
    own = ngx_http_llm_cache_create_ctx(r->pool);

    if (embedding == NULL || own == NULL
        || ngx_http_llm_cache_embed_body(r, text, &sc->model_name, &body)
           != NGX_OK)
    {
        return NULL;
    }

    sr = ngx_http_llm_cache_background(r, &sc->location, NULL, 0, own,
                                       ngx_http_llm_cache_embed_done,
                                       embedding);
    if (sr == NULL) {
        return NULL;
    }

    own->embedding = embedding;

    embedding->subrequest = sr;
    embedding->vector = vector;
    embedding->dim = sc->location_dim;

    if (ngx_http_llm_cache_embed_prepare(sr, &body) != NGX_OK) {
        return NULL;
    }

    embedding->request = r;
    embedding->handler = handler;
    embedding->data = data;
    embedding->start = ngx_http_llm_cache_usec();
    embedding->stat = ngx_http_llm_cache_zone_semantic(ctx->conf->zone);

    ngx_http_llm_cache_semantic_count(embedding->stat, embeds);

    embedding->timer.data = embedding;
    embedding->timer.handler = ngx_http_llm_cache_embed_timeout;
    embedding->timer.log = r->connection->log;

    ngx_add_timer(&embedding->timer, sc->timeout);

    return embedding;
}


static ngx_int_t
ngx_http_llm_cache_embed_body(ngx_http_request_t *r, llm_str_t text,
    ngx_str_t *model, ngx_str_t *body)
{
    llm_buf_t  buf;
    ngx_int_t  rc;

    ngx_memzero(&buf, sizeof(llm_buf_t));

    rc = NGX_ERROR;

    if (llm_embed_request(text, ngx_http_llm_cache_view(model), &buf) == 0) {

        body->len = buf.len;
        body->data = ngx_pnalloc(r->pool, buf.len);

        if (body->data) {
            ngx_memcpy(body->data, buf.data, buf.len);
            rc = NGX_OK;
        }
    }

    llm_buf_free(&buf);

    return rc;
}


/* a request of our own: nothing of the client's headers goes there */

static ngx_int_t
ngx_http_llm_cache_embed_prepare(ngx_http_request_t *sr, ngx_str_t *body)
{
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_table_elt_t          *h;
    ngx_http_headers_in_t     in;
    ngx_http_request_body_t  *rb;

    static ngx_str_t  post = ngx_string("POST");

    sr->method = NGX_HTTP_POST;
    sr->method_name = post;

    in = sr->headers_in;

    ngx_memzero(&sr->headers_in, sizeof(ngx_http_headers_in_t));

    sr->headers_in.server = in.server;
    sr->headers_in.content_length_n = body->len;
    sr->headers_in.keep_alive_n = -1;

    b = ngx_calloc_buf(sr->pool);
    cl = ngx_alloc_chain_link(sr->pool);
    rb = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));

    if (b == NULL || cl == NULL || rb == NULL
        || ngx_list_init(&sr->headers_in.headers, sr->pool, 2,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_list_push(&sr->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "Content-Type");
    ngx_str_set(&h->value, "application/json");
    h->lowcase_key = (u_char *) "content-type";

    sr->headers_in.content_type = h;

    b->start = body->data;
    b->pos = body->data;
    b->last = body->data + body->len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;
    rb->buf = b;

    sr->request_body = rb;
    sr->preserve_body = 1;

    return ngx_http_llm_cache_own_variables(sr);
}


/* the embedding that a subrequest is for, or NULL */

ngx_http_llm_cache_embedding_t *
ngx_http_llm_cache_embed_of(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    if (r == r->main || !r->background) {
        return NULL;
    }

    ctx = ngx_http_llm_cache_get_ctx(r);

    return ctx && ctx->conf == NULL ? ctx->embedding : NULL;
}


/* keeps what the location answers; nothing of it goes to the client */

void
ngx_http_llm_cache_embed_take(ngx_http_request_t *r,
    ngx_http_llm_cache_embedding_t *embedding, ngx_chain_t *in)
{
    size_t        n;
    ngx_chain_t  *cl;

    if (embedding->reply == NULL) {
        embedding->reply = ngx_palloc(r->pool, NGX_HTTP_LLM_CACHE_EMBED_MAX);
    }

    for (cl = in; cl; cl = cl->next) {

        if (!ngx_buf_in_memory(cl->buf)) {
            continue;
        }

        n = cl->buf->last - cl->buf->pos;

        if (embedding->reply == NULL
            || n > NGX_HTTP_LLM_CACHE_EMBED_MAX - embedding->len)
        {
            embedding->too_long = 1;
            break;
        }

        ngx_memcpy(embedding->reply + embedding->len, cl->buf->pos, n);
        embedding->len += n;
    }

    ngx_http_llm_cache_discard(in);
}


static ngx_int_t
ngx_http_llm_cache_embed_done(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_llm_cache_embedding_t *embedding = data;

    if (embedding->request == NULL) {
        return NGX_OK;
    }

    if (rc == NGX_OK && sr->headers_out.status == NGX_HTTP_OK
        && embedding->reply && !embedding->too_long
        && llm_embed_reply(embedding->reply, embedding->len, embedding->dim,
                           embedding->vector)
           == 0)
    {
        ngx_http_llm_cache_embed_finish(embedding, NGX_OK);

    } else {
        ngx_log_error(NGX_LOG_WARN, sr->connection->log, 0,
                      "llm cache: \"%V\" gave no vector of %uz dimensions, "
                      "status %ui", &sr->uri, embedding->dim,
                      sr->headers_out.status);

        ngx_http_llm_cache_embed_finish(embedding, NGX_ERROR);
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_embed_timeout(ngx_event_t *ev)
{
    ngx_connection_t                *c;
    ngx_http_request_t              *sr;
    ngx_http_llm_cache_embedding_t  *embedding;

    embedding = ev->data;

    sr = embedding->subrequest;
    c = sr->connection;

    ngx_log_error(NGX_LOG_WARN, c->log, 0,
                  "llm cache: a text was not embedded in time");

    ngx_http_llm_cache_embed_finish(embedding, NGX_ERROR);

    /* this may be the end of the request, and of the embedding */
    ngx_http_llm_cache_embed_abort(sr);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_llm_cache_embed_finish(ngx_http_llm_cache_embedding_t *embedding,
    ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = embedding->request;

    embedding->request = NULL;

    if (embedding->timer.timer_set) {
        ngx_del_timer(&embedding->timer);
    }

    ngx_http_llm_cache_count(&embedding->stat->embed_usec,
                             ngx_http_llm_cache_usec() - embedding->start);

    if (rc != NGX_OK) {
        ngx_http_llm_cache_semantic_count(embedding->stat, embed_errors);
    }

    embedding->handler(r, embedding->data, rc);
}


/*
 * Nobody waits for the subrequest, but the connection would be kept for it.
 * Its upstream's cleanup ends it as it ends that of a request that is freed.
 */

static void
ngx_http_llm_cache_embed_abort(ngx_http_request_t *sr)
{
    ngx_http_cleanup_pt  *cleanup;

    if (sr->done || sr->main->blocked || sr->upstream == NULL
        || sr->upstream->cleanup == NULL)
    {
        return;
    }

    cleanup = sr->upstream->cleanup;

    sr->read_event_handler = ngx_http_request_empty_handler;
    sr->write_event_handler = ngx_http_request_empty_handler;

    (*cleanup)(sr);
}


/* the request goes away, or somewhere else */

void
ngx_http_llm_cache_embed_end(ngx_http_llm_cache_embedding_t *embedding)
{
    if (embedding == NULL || embedding->request == NULL) {
        return;
    }

    if (embedding->timer.timer_set) {
        ngx_del_timer(&embedding->timer);
    }

    embedding->request = NULL;
}
