/*
 * Jobs that purge zones and the Redis behind them, in steps that take less
 * than a millisecond of the event loop each.
 */


#ifndef _NGX_HTTP_LLM_CACHE_PURGE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_PURGE_H_INCLUDED_


#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_purges.h"
#include "ngx_http_llm_cache_redis_purge.h"
#include "ngx_http_llm_cache_walk.h"


/* of one worker at a time */
#define NGX_HTTP_LLM_CACHE_PURGE_JOBS  64


typedef struct ngx_http_llm_cache_purge_job_s
    ngx_http_llm_cache_purge_job_t;

struct ngx_http_llm_cache_purge_job_s {
    llm_purge_t                   what;
    void                        (*handler)(
                                      ngx_http_llm_cache_purge_job_t *job);
    void                         *data;

    /* what became of it */
    ngx_uint_t                    purged;    /* records in memory */
    ngx_uint_t                    redis_purged;
    ngx_uint_t                    redises;   /* that were asked */
    const char                   *redis_error;  /* NULL: none */
    const char                   *error;     /* likewise, of the zones */

    /* the step that is next */
    ngx_int_t                   (*step)(ngx_http_llm_cache_purge_job_t *job);
    ngx_queue_t                   queue;
    ngx_event_t                   event;
    ngx_uint_t                    tries;
    ngx_uint_t                    number;
    ngx_uint_t                    shard;
    ngx_uint_t                    vector;
    ngx_http_llm_cache_iter_t     iter;
    ngx_http_llm_cache_redis_purge_t  *query;

    ngx_http_llm_cache_zone_t   **zones;     /* of the configuration */
    ngx_uint_t                    nzones;
    ngx_uint_t                    zone;
    ngx_http_llm_cache_redis_t  **redis;
    ngx_uint_t                    nredis;
    unsigned                      dry_run:1;
};


/*
 * Begins to purge a zone, or all for NULL, and the Redis of each; or to count
 * what would go.  The handler is called once, from the event loop, and must
 * not keep the job.  NULL: there are too many jobs, or no memory.
 */
ngx_http_llm_cache_purge_job_t *ngx_http_llm_cache_purge(
    ngx_http_llm_cache_main_conf_t *mcf, ngx_http_llm_cache_zone_t *zone,
    const llm_purge_t *what, ngx_uint_t dry_run,
    void (*handler)(ngx_http_llm_cache_purge_job_t *job), void *data);

/* the job goes on, but tells nobody */
void ngx_http_llm_cache_purge_forget(ngx_http_llm_cache_purge_job_t *job);

/* purges what another machine has, the zones that share the Redis */
void ngx_http_llm_cache_purge_told(ngx_http_llm_cache_redis_t *redis,
    const llm_purge_t *what);

/* nginx's hooks */
void ngx_http_llm_cache_purge_init(ngx_http_llm_cache_main_conf_t *mcf);
void ngx_http_llm_cache_purge_exit(void);


#endif /* _NGX_HTTP_LLM_CACHE_PURGE_H_INCLUDED_ */
