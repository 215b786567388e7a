/*
 * Wakes those who follow flights, in this worker and in others.  Each worker
 * has a pipe, made by the master before the fork, that the workers of its
 * generation write to.  After a reload two generations work on one zone, and
 * a worker may die: a timer looks after what no pipe tells.
 */


#ifndef _NGX_HTTP_LLM_CACHE_WAKE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_WAKE_H_INCLUDED_


#include "ngx_http_llm_cache_flight.h"


typedef struct ngx_http_llm_cache_group_s   ngx_http_llm_cache_group_t;
typedef struct ngx_http_llm_cache_waiter_s  ngx_http_llm_cache_waiter_t;

struct ngx_http_llm_cache_waiter_s {
    ngx_queue_t                  queue;      /* the group's, or the ready */
    ngx_http_llm_cache_group_t  *group;      /* NULL: it does not wait */
    void                       (*handler)(void *data);
    void                        *data;
};


/* NGX_OK; without pipes there is still the timer */
ngx_int_t ngx_http_llm_cache_wake_init_module(ngx_cycle_t *cycle,
    ngx_uint_t needed);
void ngx_http_llm_cache_wake_init_process(ngx_cycle_t *cycle);

/* tells the generations of workers apart */
ngx_uint_t ngx_http_llm_cache_wake_cycle(void);

/* this worker wants to be told of the flight */
void ngx_http_llm_cache_wake_watch(ngx_http_llm_cache_flight_t *flight);

/* tells all who watch, in the end of this round of the event loop */
void ngx_http_llm_cache_wake(ngx_http_llm_cache_flight_t *flight);

/*
 * Calls the waiter's handler whenever there is something new of the flight
 * that is held, until it is removed.  NGX_ERROR when memory ran out.
 */
ngx_int_t ngx_http_llm_cache_wait(ngx_http_llm_cache_waiter_t *waiter,
    ngx_http_llm_cache_hold_t *hold);
void ngx_http_llm_cache_wait_end(ngx_http_llm_cache_waiter_t *waiter);


#endif /* _NGX_HTTP_LLM_CACHE_WAKE_H_INCLUDED_ */
