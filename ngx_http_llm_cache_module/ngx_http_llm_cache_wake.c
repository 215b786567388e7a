#include "ngx_http_llm_cache_wake.h"

#include <ngx_channel.h>
#include <ngx_event.h>


/* followers that are served in one go */
#define NGX_HTTP_LLM_CACHE_WAKE_STEP     64

/* ms between looks after leaders, and after flights that no pipe tells of */
#define NGX_HTTP_LLM_CACHE_WAKE_PERIOD   250
#define NGX_HTTP_LLM_CACHE_WAKE_FOREIGN  20

#define NGX_HTTP_LLM_CACHE_WORD_BITS     (8 * sizeof(ngx_atomic_uint_t))


/* those in this worker who follow one flight */

struct ngx_http_llm_cache_group_s {
    ngx_queue_t                  queue;
    ngx_http_llm_cache_hold_t    hold;       /* a follower's */
    ngx_queue_t                  waiters;
    ngx_uint_t                   n;          /* also those who are ready */
    ngx_atomic_uint_t            state;      /* as they were told */
    ngx_atomic_uint_t            len;
};


typedef struct {
    ngx_fd_t                     fd[2];
} ngx_http_llm_cache_pipe_t;


typedef struct {
    ngx_uint_t                   cycle;
    ngx_uint_t                   n;          /* pipes of this generation */
    ngx_http_llm_cache_pipe_t   *pipes;

    /* this worker's own */
    ngx_uint_t                   bit;
    ngx_uint_t                   poll;       /* no pipe tells it anything */
    ngx_queue_t                  groups;
    ngx_queue_t                  ready;
    ngx_event_t                  tell;
    ngx_event_t                  run;
    ngx_event_t                  timer;
    ngx_atomic_uint_t            marked[NGX_HTTP_LLM_CACHE_WATCH_WORDS];
} ngx_http_llm_cache_wake_t;


static void ngx_http_llm_cache_close_pipes(void *data);
static void ngx_http_llm_cache_pipe_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_tell_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_run_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_timer_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_look(void);
static ngx_http_llm_cache_group_t *ngx_http_llm_cache_find_group(
    ngx_http_llm_cache_hold_t *hold);


static ngx_http_llm_cache_wake_t  ngx_http_llm_cache_waker;


ngx_int_t
ngx_http_llm_cache_wake_init_module(ngx_cycle_t *cycle, ngx_uint_t needed)
{
    ngx_uint_t                  i, n;
    ngx_core_conf_t            *ccf;
    ngx_pool_cleanup_t         *cln;
    ngx_http_llm_cache_wake_t  *wake;

    wake = &ngx_http_llm_cache_waker;

    wake->cycle++;
    wake->n = 0;
    wake->pipes = NULL;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    n = ngx_min((ngx_uint_t) ccf->worker_processes, NGX_HTTP_LLM_CACHE_WATCH);

    wake->poll = (n > 1);

    if (!needed || n < 2
        || ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER)
    {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cycle->pool,
                               sizeof(ngx_array_t)
                               + n * sizeof(ngx_http_llm_cache_pipe_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    wake->pipes = (ngx_http_llm_cache_pipe_t *)
                  ((u_char *) cln->data + sizeof(ngx_array_t));

    ((ngx_array_t *) cln->data)->nelts = n;

    for (i = 0; i < n; i++) {
        wake->pipes[i].fd[0] = -1;
        wake->pipes[i].fd[1] = -1;
    }

    cln->handler = ngx_http_llm_cache_close_pipes;

    for (i = 0; i < n; i++) {

        if (pipe(wake->pipes[i].fd) == -1) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "pipe() failed, workers will find the answers that "
                          "others fetch a little later");
            return NGX_OK;
        }

        if (ngx_nonblocking(wake->pipes[i].fd[0]) == -1
            || ngx_nonblocking(wake->pipes[i].fd[1]) == -1
            || fcntl(wake->pipes[i].fd[0], F_SETFD, FD_CLOEXEC) == -1
            || fcntl(wake->pipes[i].fd[1], F_SETFD, FD_CLOEXEC) == -1)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "fcntl() of a pipe failed");
            return NGX_OK;
        }

        wake->n = i + 1;
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_close_pipes(void *data)
{
    ngx_array_t *a = data;

    ngx_uint_t                  i;
    ngx_http_llm_cache_pipe_t  *pipes;

    pipes = (ngx_http_llm_cache_pipe_t *) ((u_char *) data
                                           + sizeof(ngx_array_t));

    for (i = 0; i < 2 * a->nelts; i++) {
        if (pipes[i / 2].fd[i % 2] != -1) {
            (void) close(pipes[i / 2].fd[i % 2]);
        }
    }
}


void
ngx_http_llm_cache_wake_init_process(ngx_cycle_t *cycle)
{
    ngx_http_llm_cache_wake_t  *wake;

    wake = &ngx_http_llm_cache_waker;

    ngx_queue_init(&wake->groups);
    ngx_queue_init(&wake->ready);

    wake->bit = ngx_worker % NGX_HTTP_LLM_CACHE_WATCH;

    wake->tell.handler = ngx_http_llm_cache_tell_handler;
    wake->tell.log = cycle->log;
    wake->tell.data = wake;

    wake->run.handler = ngx_http_llm_cache_run_handler;
    wake->run.log = cycle->log;
    wake->run.data = wake;

    wake->timer.handler = ngx_http_llm_cache_timer_handler;
    wake->timer.log = cycle->log;
    wake->timer.data = wake;
    wake->timer.cancelable = 1;

    if (ngx_process != NGX_PROCESS_WORKER || ngx_worker >= wake->n) {
        return;
    }

    wake->poll = 0;

    if (ngx_add_channel_event(cycle, wake->pipes[ngx_worker].fd[0],
                              NGX_READ_EVENT, ngx_http_llm_cache_pipe_handler)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "llm cache: this worker is not told of flights");

        wake->poll = 1;
    }
}


ngx_uint_t
ngx_http_llm_cache_wake_cycle(void)
{
    return ngx_http_llm_cache_waker.cycle;
}


void
ngx_http_llm_cache_wake_watch(ngx_http_llm_cache_flight_t *flight)
{
    ngx_uint_t                  bit;
    ngx_http_llm_cache_wake_t  *wake;

    wake = &ngx_http_llm_cache_waker;
    bit = wake->bit;

    if (flight->cycle == wake->cycle) {
        flight->watch[bit / NGX_HTTP_LLM_CACHE_WORD_BITS]
            |= (ngx_atomic_uint_t) 1 << (bit % NGX_HTTP_LLM_CACHE_WORD_BITS);
    }

    ngx_memory_barrier();
}


void
ngx_http_llm_cache_wake(ngx_http_llm_cache_flight_t *flight)
{
    ngx_uint_t                  i;
    ngx_http_llm_cache_wake_t  *wake;

    wake = &ngx_http_llm_cache_waker;

    if (flight->cycle == wake->cycle) {
        for (i = 0; i < NGX_HTTP_LLM_CACHE_WATCH_WORDS; i++) {
            wake->marked[i] |= flight->watch[i];
        }
    }

    if (wake->tell.handler) {
        ngx_post_event(&wake->tell, &ngx_posted_events);
    }
}


static void
ngx_http_llm_cache_tell_handler(ngx_event_t *ev)
{
    u_char                      byte;
    ngx_uint_t                  i;
    ngx_atomic_uint_t          *word, mask;
    ngx_http_llm_cache_wake_t  *wake;

    wake = &ngx_http_llm_cache_waker;
    byte = 0;

    for (i = 0; i < wake->n; i++) {

        word = &wake->marked[i / NGX_HTTP_LLM_CACHE_WORD_BITS];
        mask = (ngx_atomic_uint_t) 1 << (i % NGX_HTTP_LLM_CACHE_WORD_BITS);

        if (!(*word & mask) || i == ngx_worker) {
            continue;
        }

        /* a pipe that is full tells enough */

        if (write(wake->pipes[i].fd[1], &byte, 1) == -1
            && ngx_errno != NGX_EAGAIN)
        {
            ngx_log_error(NGX_LOG_ERR, ev->log, ngx_errno,
                          "llm cache: write() to a worker's pipe failed");
        }
    }

    ngx_memzero(wake->marked, sizeof(wake->marked));

    ngx_http_llm_cache_look();
}


static void
ngx_http_llm_cache_pipe_handler(ngx_event_t *ev)
{
    ssize_t            n;
    u_char             buf[256];
    ngx_connection_t  *c;

    c = ev->data;

    do {
        n = read(c->fd, buf, sizeof(buf));
    } while (n == (ssize_t) sizeof(buf));

    ngx_http_llm_cache_look();
}


/* who follows a flight that has something new is ready to be served */

static void
ngx_http_llm_cache_look(void)
{
    ngx_queue_t                  *q;
    ngx_atomic_uint_t             len, state;
    ngx_http_llm_cache_wake_t    *wake;
    ngx_http_llm_cache_group_t   *group;
    ngx_http_llm_cache_flight_t  *flight;

    wake = &ngx_http_llm_cache_waker;

    for (q = ngx_queue_head(&wake->groups);
         q != ngx_queue_sentinel(&wake->groups);
         q = ngx_queue_next(q))
    {
        group = ngx_queue_data(q, ngx_http_llm_cache_group_t, queue);
        flight = group->hold.node->flight;

        state = flight->state;
        len = flight->len;

        if (state == group->state && len == group->len) {
            continue;
        }

        group->state = state;
        group->len = len;

        if (!ngx_queue_empty(&group->waiters)) {
            ngx_queue_add(&wake->ready, &group->waiters);
            ngx_queue_init(&group->waiters);
        }
    }

    if (!ngx_queue_empty(&wake->ready)) {
        ngx_post_event(&wake->run, &ngx_posted_events);
    }
}


static void
ngx_http_llm_cache_run_handler(ngx_event_t *ev)
{
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_http_llm_cache_wake_t    *wake;
    ngx_http_llm_cache_waiter_t  *waiter;

    wake = &ngx_http_llm_cache_waker;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_WAKE_STEP; i++) {

        if (ngx_queue_empty(&wake->ready)) {
            return;
        }

        q = ngx_queue_head(&wake->ready);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, ngx_http_llm_cache_waiter_t, queue);

        ngx_queue_insert_tail(&waiter->group->waiters, q);

        waiter->handler(waiter->data);
    }

    if (!ngx_queue_empty(&wake->ready)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static void
ngx_http_llm_cache_timer_handler(ngx_event_t *ev)
{
    ngx_pid_t                    there;
    ngx_msec_t                   next;
    ngx_queue_t                 *q;
    ngx_http_llm_cache_wake_t   *wake;
    ngx_http_llm_cache_group_t  *group;

    wake = &ngx_http_llm_cache_waker;

    if (ngx_queue_empty(&wake->groups)) {
        return;
    }

    there = ngx_pid;
    next = wake->poll ? NGX_HTTP_LLM_CACHE_WAKE_FOREIGN
                      : NGX_HTTP_LLM_CACHE_WAKE_PERIOD;

    for (q = ngx_queue_head(&wake->groups);
         q != ngx_queue_sentinel(&wake->groups);
         q = ngx_queue_next(q))
    {
        group = ngx_queue_data(q, ngx_http_llm_cache_group_t, queue);

        if (group->hold.node->flight->cycle != wake->cycle) {
            next = NGX_HTTP_LLM_CACHE_WAKE_FOREIGN;
        }

        /* most flights are of few processes */

        if (group->hold.node->flight->leader != there
            && !ngx_http_llm_cache_flight_orphaned(&group->hold))
        {
            there = group->hold.node->flight->leader;
        }
    }

    ngx_http_llm_cache_look();

    ngx_add_timer(ev, next);
}


ngx_int_t
ngx_http_llm_cache_wait(ngx_http_llm_cache_waiter_t *waiter,
    ngx_http_llm_cache_hold_t *hold)
{
    ngx_http_llm_cache_wake_t   *wake;
    ngx_http_llm_cache_group_t  *group;

    wake = &ngx_http_llm_cache_waker;

    group = ngx_http_llm_cache_find_group(hold);

    if (group == NULL) {

        group = ngx_alloc(sizeof(ngx_http_llm_cache_group_t), ngx_cycle->log);
        if (group == NULL) {
            return NGX_ERROR;
        }

        group->hold = *hold;
        group->n = 0;

        /* the first one looks by itself */

        group->state = hold->node->flight->state;
        group->len = hold->node->flight->len;

        ngx_queue_init(&group->waiters);
        ngx_queue_insert_tail(&wake->groups, &group->queue);

        if (hold->node->flight->cycle != wake->cycle
            && wake->timer.timer_set)
        {
            ngx_del_timer(&wake->timer);
        }
    }

    group->n++;

    waiter->group = group;
    ngx_queue_insert_tail(&group->waiters, &waiter->queue);

    if (!wake->timer.timer_set) {
        ngx_add_timer(&wake->timer, NGX_HTTP_LLM_CACHE_WAKE_FOREIGN);
    }

    return NGX_OK;
}


void
ngx_http_llm_cache_wait_end(ngx_http_llm_cache_waiter_t *waiter)
{
    ngx_http_llm_cache_group_t  *group;

    group = waiter->group;

    if (group == NULL) {
        return;
    }

    ngx_queue_remove(&waiter->queue);
    waiter->group = NULL;

    if (--group->n == 0) {
        ngx_queue_remove(&group->queue);
        ngx_free(group);
    }
}


static ngx_http_llm_cache_group_t *
ngx_http_llm_cache_find_group(ngx_http_llm_cache_hold_t *hold)
{
    ngx_queue_t                 *q;
    ngx_http_llm_cache_wake_t   *wake;
    ngx_http_llm_cache_group_t  *group;

    wake = &ngx_http_llm_cache_waker;

    for (q = ngx_queue_last(&wake->groups);
         q != ngx_queue_sentinel(&wake->groups);
         q = ngx_queue_prev(q))
    {
        group = ngx_queue_data(q, ngx_http_llm_cache_group_t, queue);

        if (group->hold.node == hold->node) {
            return group;
        }
    }

    return NULL;
}
