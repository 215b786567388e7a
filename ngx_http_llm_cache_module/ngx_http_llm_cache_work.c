#include "ngx_http_llm_cache.h"


/*
 * Reading a body that was not seen before takes about 1 ms per 512 KB on slow
 * machines.  More than that is read in a thread of nginx's pool, so that other
 * requests need not wait.
 */

#define NGX_HTTP_LLM_CACHE_LONG_WORK  (512 * 1024)

/* an exiting worker waits for timers, but not for threads; milliseconds */
#define NGX_HTTP_LLM_CACHE_WORK_TIME  60000


#if (NGX_THREADS)

static void ngx_http_llm_cache_thread(void *data, ngx_log_t *log);
static void ngx_http_llm_cache_thread_done(ngx_event_t *ev);


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

    if (ctx->observed) {
        ngx_http_llm_cache_observe_resume(r, ctx);
    }

    /* runs the phases; or, if the client has left, finalizes the request */

    r->write_event_handler(r);
    ngx_http_run_posted_requests(c);
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
