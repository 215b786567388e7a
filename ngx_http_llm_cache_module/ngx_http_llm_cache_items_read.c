#include "ngx_http_llm_cache_items.h"


/* requests up to that are read at once, with so many inputs; others by a
   thread: an input takes about 2 us */

#define NGX_HTTP_LLM_CACHE_ITEMS_NOW     256
#define NGX_HTTP_LLM_CACHE_ITEMS_LENGTH  (64 * 1024)


static ngx_uint_t ngx_http_llm_cache_items_fit(
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_http_llm_cache_items_t *ngx_http_llm_cache_items_create(
    ngx_http_request_t *r, ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_items_cleanup(void *data);
static void ngx_http_llm_cache_items_ignore(ngx_http_llm_cache_ctx_t *ctx,
    llm_ignore_t *ignore);
static void ngx_http_llm_cache_items_read(ngx_http_llm_cache_items_t *items,
    ngx_http_llm_cache_ctx_t *ctx);
static void ngx_http_llm_cache_items_learn(void *data, ngx_log_t *log);


/* "item" or "whole" */

char *
ngx_http_llm_cache_embeddings(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->by_input != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "item") == 0) {
        lcf->by_input = 1;

    } else if (ngx_strcmp(value[1].data, "whole") == 0) {
        lcf->by_input = 0;

    } else {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    return NGX_CONF_OK;
}


/* an operator's key names a call, and variants are of calls */

static ngx_uint_t
ngx_http_llm_cache_items_fit(ngx_http_llm_cache_ctx_t *ctx)
{
    switch (ctx->route.dialect->id) {

    case LLM_DIALECT_EMBEDDINGS:
    case LLM_DIALECT_GEMINI_EMBED:
    case LLM_DIALECT_COHERE_EMBED:
    case LLM_DIALECT_OLLAMA_EMBED:
        return ctx->conf->by_input && ctx->conf->key == NULL
               && ctx->conf->variants == 1;

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_llm_cache_items_begin(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_items_t  *items;

    ctx->items = NULL;
    ctx->one_input = 0;

    if (!ngx_http_llm_cache_items_fit(ctx)) {
        return NGX_OK;
    }

    items = ngx_http_llm_cache_items_create(r, ctx);

    if (items == NULL) {
        return NGX_OK;
    }

    ctx->items = items;

    if (items->text.len <= NGX_HTTP_LLM_CACHE_ITEMS_LENGTH) {
        ngx_http_llm_cache_items_read(items, ctx);

        if (items->rc != 1) {
            ctx->items = NULL;
            return NGX_OK;
        }
    }

    if (items->text.len > NGX_HTTP_LLM_CACHE_ITEMS_LENGTH
        || items->ask.n > NGX_HTTP_LLM_CACHE_ITEMS_NOW)
    {
        if (ngx_http_llm_cache_post_task(r, ctx,
                                         ngx_http_llm_cache_items_learn, items)
            == NGX_OK)
        {
            ctx->again = 1;
            return NGX_AGAIN;
        }
    }

    ngx_http_llm_cache_items_learn(items, r->connection->log);

    return NGX_OK;
}


static ngx_http_llm_cache_items_t *
ngx_http_llm_cache_items_create(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_str_t                    text;
    ngx_uint_t                   copied;
    ngx_pool_cleanup_t          *cln;
    ngx_http_llm_cache_items_t  *items;

    if (ngx_http_llm_cache_gather(r, ctx->conf->max_body, &text, &copied)
        != LLM_REASON_NONE)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_llm_cache_items_t));
    if (cln == NULL) {
        return NULL;
    }

    items = cln->data;
    ngx_memzero(items, sizeof(ngx_http_llm_cache_items_t));

    cln->handler = ngx_http_llm_cache_items_cleanup;

    items->request = r;
    items->text = text;
    items->ctx = ctx;

    items->event.data = r;
    items->event.handler = ngx_http_llm_cache_items_handler;
    items->event.log = r->connection->log;

    if (ngx_http_llm_cache_make_inputs_key(r, ctx, items->base) != NGX_OK) {
        return NULL;
    }

    return items;
}


static void
ngx_http_llm_cache_items_cleanup(void *data)
{
    ngx_http_llm_cache_items_t *items = data;

    ngx_http_llm_cache_items_end(items);

    llm_embeddings_free(&items->ask);

    if (items->keys) {
        ngx_free(items->keys);
        items->keys = NULL;
    }
}


/* the request goes away, or somewhere else */

void
ngx_http_llm_cache_items_end(ngx_http_llm_cache_items_t *items)
{
    if (items == NULL) {
        return;
    }

    ngx_http_llm_cache_items_leave(items);
    ngx_http_llm_cache_items_ask_end(items);
    ngx_http_llm_cache_items_release(items);

    ngx_http_llm_cache_reply_free(items->reply);
    items->reply = NULL;

    if (items->pool) {
        ngx_destroy_pool(items->pool);
        items->pool = NULL;
    }
}


void
ngx_http_llm_cache_items_leave(ngx_http_llm_cache_items_t *items)
{
    ngx_http_llm_cache_items_calm(items);

    if (items->query) {
        ngx_http_llm_cache_redis_cancel(items->query);
        items->query = NULL;
    }

    if (items->fetch) {
        items->fetch->request = NULL;
    }
}


void
ngx_http_llm_cache_items_release(ngx_http_llm_cache_items_t *items)
{
    ngx_uint_t  i;

    for (i = 0; items->items && i < items->n; i++) {
        ngx_http_llm_cache_zone_release(&items->items[i].hold);
        items->items[i].state = NGX_HTTP_LLM_CACHE_ITEM_MISSING;
    }
}


static void
ngx_http_llm_cache_items_ignore(ngx_http_llm_cache_ctx_t *ctx,
    llm_ignore_t *ignore)
{
    ngx_memzero(ignore, sizeof(llm_ignore_t));

    if (ctx->conf->ignore) {
        ignore->paths = ctx->conf->ignore->elts;
        ignore->n = ctx->conf->ignore->nelts;
    }
}


static void
ngx_http_llm_cache_items_read(ngx_http_llm_cache_items_t *items,
    ngx_http_llm_cache_ctx_t *ctx)
{
    llm_ignore_t  ignore;

    ngx_http_llm_cache_items_ignore(ctx, &ignore);

    items->rc = llm_embeddings_read(ctx->route.dialect,
                                    ngx_http_llm_cache_view(&items->text),
                                    &ignore, &items->ask);
    items->read = 1;
}


/* may run in a thread: nothing of the request's changes meanwhile */

static void
ngx_http_llm_cache_items_learn(void *data, ngx_log_t *log)
{
    ngx_http_llm_cache_items_t *items = data;

    u_char                     rest[LLM_KEY_LEN];
    llm_str_t                  text;
    llm_ignore_t               ignore;
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = items->ctx;
    text = ngx_http_llm_cache_view(&items->text);

    if (!items->read) {
        ngx_http_llm_cache_items_read(items, ctx);
    }

    if (items->rc != 1) {
        return;
    }

    ngx_http_llm_cache_items_ignore(ctx, &ignore);

    items->n = items->ask.n;
    items->keys = ngx_alloc(items->n * (LLM_KEY_LEN + sizeof(uint16_t)), log);

    if (items->keys == NULL) {
        items->rc = -1;
        return;
    }

    items->first = (uint16_t *) (items->keys + items->n * LLM_KEY_LEN);

    if (llm_embeddings_rest(&items->ask, &ctx->route, &ignore, text, rest)
        != 0
        || llm_embeddings_keys(&items->ask, text, items->base, rest,
                               items->keys)
           != 0
        || llm_embeddings_distinct(items->keys, items->n, items->first) != 0)
    {
        items->rc = -1;
    }
}


/* one input has a record as any other answer, under a key that it has in all
   calls */

void
ngx_http_llm_cache_items_learnt(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_items_t  *items;

    items = ctx->items;

    if (items == NULL || items->items) {
        return;
    }

    if (items->rc == 1 && items->n == 1) {
        ngx_memcpy(ctx->key, items->keys, LLM_KEY_LEN);
        ctx->one_input = 1;

    } else if (items->rc == 1) {
        items->items = ngx_pcalloc(r->pool, items->n
                                         * sizeof(ngx_http_llm_cache_item_t));
        if (items->items) {
            return;
        }
    }

    ctx->items = NULL;
}
