#include "ngx_http_llm_cache.h"


/*
 * Reading a body that was not seen before takes about 1 ms per 512 KB on slow
 * machines.  More than that is read in a thread of nginx's pool, so that other
 * requests need not wait.
 */

#define NGX_HTTP_LLM_CACHE_LONG_WORK  (512 * 1024)

/* an exiting worker waits for timers, but not for threads; milliseconds */
#define NGX_HTTP_LLM_CACHE_WORK_TIME  60000

/* bodies that threads read whose requests do not wait, of one worker */
#define NGX_HTTP_LLM_CACHE_ASIDES     32


#if (NGX_THREADS)

/* all of it in a pool of its own */

struct ngx_http_llm_cache_aside_s {
    ngx_http_llm_cache_work_t    work;
    llm_route_t                  route;
    llm_buf_t                    text;
    ngx_pool_t                  *pool;
    ngx_http_llm_cache_ctx_t    *ctx;        /* NULL: the request has ended */
};


static void ngx_http_llm_cache_thread(void *data, ngx_log_t *log);
static void ngx_http_llm_cache_thread_done(ngx_event_t *ev);
static ngx_int_t ngx_http_llm_cache_fill_aside(
    ngx_http_llm_cache_aside_t *aside, ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_work_t *work);
static void ngx_http_llm_cache_aside_done(ngx_event_t *ev);
static void ngx_http_llm_cache_free_aside(ngx_http_llm_cache_aside_t *aside);


static ngx_uint_t  ngx_http_llm_cache_asides;


char *
ngx_http_llm_cache_use_threads(ngx_conf_t *cf)
{
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    mcf->thread_pool = ngx_thread_pool_add(cf, NULL);

    return mcf->thread_pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * NGX_OK: the work has been posted, and the request waits for it; else it is
 * still to be done.
 */

ngx_int_t
ngx_http_llm_cache_post_work(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    ngx_http_llm_cache_work_t  *copy;

    if (work->text.len <= NGX_HTTP_LLM_CACHE_LONG_WORK) {
        return NGX_DECLINED;
    }

    copy = ngx_palloc(r->pool, sizeof(ngx_http_llm_cache_work_t));
    if (copy == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(copy, work, sizeof(ngx_http_llm_cache_work_t));

    if (ngx_http_llm_cache_post_task(r, ctx, ngx_http_llm_cache_thread, copy)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm cache: a thread reads a body of %uz bytes",
                   work->text.len);

    ctx->work = copy;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_post_task(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, void (*handler)(void *data, ngx_log_t *log),
    void *data)
{
    ngx_thread_task_t               *task;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);

    if (mcf->thread_pool == NULL) {
        return NGX_DECLINED;
    }

    task = ngx_thread_task_alloc(r->pool, 0);
    if (task == NULL) {
        return NGX_DECLINED;
    }

    task->ctx = data;
    task->handler = handler;
    task->event.data = r;
    task->event.log = r->connection->log;
    task->event.handler = ngx_http_llm_cache_thread_done;

    if (ngx_thread_task_post(mcf->thread_pool, task) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_add_timer(&task->event, NGX_HTTP_LLM_CACHE_WORK_TIME);

    ctx->working = 1;

    /* the request must not be freed before the thread is done with it */
    r->main->blocked++;

    return NGX_OK;
}


static void
ngx_http_llm_cache_thread(void *data, ngx_log_t *log)
{
    ngx_http_llm_cache_work_t *work = data;

    work->handler(work);
}


static void
ngx_http_llm_cache_thread_done(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_llm_cache_ctx_t  *ctx;

    if (ev->timedout) {
        ev->timedout = 0;
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_llm_cache_get_ctx(r);
    ctx->working = 0;

    r->main->blocked--;

    /* runs the phases; or, if the client has left, finalizes the request */

    r->write_event_handler(r);
    ngx_http_run_posted_requests(c);
}


ngx_int_t
ngx_http_llm_cache_post_aside(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    ngx_pool_t                      *pool;
    ngx_thread_task_t               *task;
    ngx_http_llm_cache_aside_t      *aside;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);

    if (mcf->thread_pool == NULL
        || work->text.len <= NGX_HTTP_LLM_CACHE_LONG_WORK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_asides == NGX_HTTP_LLM_CACHE_ASIDES) {
        goto busy;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        goto busy;
    }

    ngx_http_llm_cache_asides++;

    /* the pool's end is that of all */

    task = ngx_thread_task_alloc(pool, sizeof(ngx_http_llm_cache_aside_t));
    if (task == NULL) {
        ngx_http_llm_cache_asides--;
        ngx_destroy_pool(pool);
        goto busy;
    }

    aside = task->ctx;
    aside->pool = pool;

    task->handler = ngx_http_llm_cache_thread;
    task->event.data = aside;
    task->event.log = ngx_cycle->log;
    task->event.handler = ngx_http_llm_cache_aside_done;

    if (ngx_http_llm_cache_fill_aside(aside, ctx, work) != NGX_OK
        || ngx_thread_task_post(mcf->thread_pool, task) != NGX_OK)
    {
        ngx_http_llm_cache_free_aside(aside);
        goto busy;
    }

    ngx_add_timer(&task->event, NGX_HTTP_LLM_CACHE_WORK_TIME);

    ctx->working = 1;
    ctx->observed->aside = aside;

    ngx_http_llm_cache_work_done(r, work);

    return NGX_OK;

busy:

    ngx_http_llm_cache_work_done(r, work);

    return NGX_BUSY;
}


/* nothing in there is the request's */

static ngx_int_t
ngx_http_llm_cache_fill_aside(ngx_http_llm_cache_aside_t *aside,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    size_t   len;
    u_char  *p;

    aside->ctx = ctx;
    aside->work = *work;
    aside->route = ctx->route;

    len = ctx->route.model.len;

    if (len) {
        p = ngx_pnalloc(aside->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, ctx->route.model.data, len);
        aside->route.model.data = p;
    }

    if (work->text.data == ctx->observed->text.data) {
        aside->text = ctx->observed->text;
        ngx_memzero(&ctx->observed->text, sizeof(llm_buf_t));

    } else if (llm_buf_add(&aside->text, work->text.data, work->text.len)
               != 0)
    {
        return NGX_ERROR;
    }

    aside->work.copied = 0;
    aside->work.route = &aside->route;
    aside->work.text.data = aside->text.data;

    return NGX_OK;
}


static void
ngx_http_llm_cache_aside_done(ngx_event_t *ev)
{
    ngx_http_request_t          *r;
    ngx_http_llm_cache_ctx_t    *ctx;
    ngx_http_llm_cache_aside_t  *aside;

    if (ev->timedout) {
        ev->timedout = 0;
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    aside = ev->data;
    ctx = aside->ctx;

    if (ctx) {
        r = ctx->request;

        ngx_http_set_log_request(r->connection->log, r);

        ngx_http_llm_cache_leave_aside(ctx);

        ctx->work = &aside->work;
        ngx_http_llm_cache_observe_resume(r, ctx);

    } else {
        llm_body_free(&aside->work.body);
    }

    ngx_http_llm_cache_free_aside(aside);
}


static void
ngx_http_llm_cache_free_aside(ngx_http_llm_cache_aside_t *aside)
{
    ngx_http_llm_cache_asides--;

    llm_buf_free(&aside->text);
    ngx_destroy_pool(aside->pool);
}


void
ngx_http_llm_cache_leave_aside(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->observed->aside) {
        ctx->observed->aside->ctx = NULL;
        ctx->observed->aside = NULL;
        ctx->working = 0;
    }
}

#else

char *
ngx_http_llm_cache_use_threads(ngx_conf_t *cf)
{
    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_llm_cache_post_work(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_post_task(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, void (*handler)(void *data, ngx_log_t *log),
    void *data)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_post_aside(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_work_t *work)
{
    return NGX_DECLINED;
}


void
ngx_http_llm_cache_leave_aside(ngx_http_llm_cache_ctx_t *ctx)
{
}

#endif


void
ngx_http_llm_cache_work_done(ngx_http_request_t *r,
    ngx_http_llm_cache_work_t *work)
{
    llm_body_free(&work->body);

    if (work->copied) {
        ngx_pfree(r->pool, work->text.data);
        work->copied = 0;
    }
}
