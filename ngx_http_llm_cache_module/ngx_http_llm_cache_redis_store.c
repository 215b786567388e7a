#include "ngx_http_llm_cache_pack.h"
#include "ngx_http_llm_cache_purges.h"
#include "ngx_http_llm_cache_redis.h"


/* records that wait to be stored, and bytes of those sent in one round */
#define NGX_HTTP_LLM_CACHE_REDIS_JOBS    256
#define NGX_HTTP_LLM_CACHE_REDIS_ROUND   (128 * 1024)

/* what a record costs beside its bytes, in bytes of a round */
#define NGX_HTTP_LLM_CACHE_REDIS_EACH    1024

/* rounds of the event loop that a record waits to be packed */
#define NGX_HTTP_LLM_CACHE_REDIS_ROUNDS  64


typedef struct {
    ngx_http_llm_cache_redis_t  *redis;
    ngx_http_llm_cache_zone_t   *zone;
    u_char                       key[LLM_KEY_LEN];
    time_t                       stale;
    uint32_t                     stamp;
    ngx_uint_t                   epoch;      /* when it was sent */
    ngx_uint_t                   purges;     /* when it was noted */
    ngx_uint_t                   flags;
    ngx_http_llm_cache_redis_call_t  *call;
} ngx_http_llm_cache_redis_job_t;


/* this process's own */

typedef struct {
    ngx_event_t                      event;
    ngx_http_llm_cache_redis_job_t  *jobs;   /* a ring */
    ngx_uint_t                       first;
    ngx_uint_t                       n;
    ngx_uint_t                       rounds;
} ngx_http_llm_cache_redis_jobs_t;


static void ngx_http_llm_cache_redis_store_handler(ngx_event_t *ev);
static size_t ngx_http_llm_cache_redis_store(
    ngx_http_llm_cache_redis_job_t *job);
static u_char *ngx_http_llm_cache_redis_value(
    ngx_http_llm_cache_redis_job_t *job, ngx_http_llm_cache_hold_t *hold,
    llm_record_t *rec, llm_str_t *value);
static ngx_int_t ngx_http_llm_cache_redis_set(
    ngx_http_llm_cache_redis_job_t *job, llm_str_t *value, time_t expires);
static void ngx_http_llm_cache_redis_restamp(
    ngx_http_llm_cache_redis_job_t *job, uint32_t stamp, ngx_uint_t epoch);
static void ngx_http_llm_cache_redis_stored(void *data, llm_reply_t *reply);
static void ngx_http_llm_cache_redis_job_done(
    ngx_http_llm_cache_redis_job_t *job, ngx_uint_t stored);


static ngx_http_llm_cache_redis_jobs_t  ngx_http_llm_cache_redis_jobs;


void
ngx_http_llm_cache_redis_store_later(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone, const u_char *key, time_t stale,
    ngx_uint_t flags)
{
    ngx_http_llm_cache_redis_job_t   *job;
    ngx_http_llm_cache_redis_jobs_t  *jobs;

    jobs = &ngx_http_llm_cache_redis_jobs;

    if (jobs->jobs == NULL) {
        jobs->jobs = ngx_alloc(NGX_HTTP_LLM_CACHE_REDIS_JOBS
                               * sizeof(ngx_http_llm_cache_redis_job_t),
                               ngx_cycle->log);
        if (jobs->jobs == NULL) {
            return;
        }

        jobs->event.handler = ngx_http_llm_cache_redis_store_handler;
        jobs->event.log = ngx_cycle->log;
    }

    if (jobs->n == NGX_HTTP_LLM_CACHE_REDIS_JOBS) {
        ngx_http_llm_cache_redis_count(ngx_http_llm_cache_zone_redis(zone),
                                       dropped);

        if (flags & NGX_HTTP_LLM_CACHE_REDIS_LEASED) {
            ngx_http_llm_cache_redis_end_lease(redis, key, 0);
        }

        return;
    }

    job = &jobs->jobs[(jobs->first + jobs->n) % NGX_HTTP_LLM_CACHE_REDIS_JOBS];
    jobs->n++;

    job->redis = redis;
    job->zone = zone;
    job->stale = stale;
    job->flags = flags;
    job->purges = ngx_http_llm_cache_zone_purges(zone);
    ngx_memcpy(job->key, key, LLM_KEY_LEN);

    ngx_post_event(&jobs->event, &ngx_posted_next_events);
}


ngx_uint_t
ngx_http_llm_cache_redis_store_room(void)
{
    return ngx_http_llm_cache_redis_jobs.n < NGX_HTTP_LLM_CACHE_REDIS_JOBS;
}


void
ngx_http_llm_cache_redis_store_exit(void)
{
    ngx_http_llm_cache_redis_jobs_t  *jobs;

    jobs = &ngx_http_llm_cache_redis_jobs;

    if (jobs->event.posted) {
        ngx_delete_posted_event(&jobs->event);
    }

    if (jobs->jobs) {
        ngx_free(jobs->jobs);
    }

    ngx_memzero(jobs, sizeof(ngx_http_llm_cache_redis_jobs_t));
}


static void
ngx_http_llm_cache_redis_store_handler(ngx_event_t *ev)
{
    size_t                            done;
    ngx_http_llm_cache_redis_job_t   *job;
    ngx_http_llm_cache_redis_jobs_t  *jobs;

    jobs = &ngx_http_llm_cache_redis_jobs;

    /* what is about to be packed is stored packed */

    if (ngx_http_llm_cache_pack_busy()
        && jobs->rounds++ < NGX_HTTP_LLM_CACHE_REDIS_ROUNDS)
    {
        ngx_post_event(ev, &ngx_posted_next_events);
        return;
    }

    jobs->rounds = 0;

    done = 0;

    while (jobs->n && done < NGX_HTTP_LLM_CACHE_REDIS_ROUND) {

        job = &jobs->jobs[jobs->first];
        jobs->first = (jobs->first + 1) % NGX_HTTP_LLM_CACHE_REDIS_JOBS;
        jobs->n--;

        done += NGX_HTTP_LLM_CACHE_REDIS_EACH
                + ngx_http_llm_cache_redis_store(job);
    }

    if (jobs->n) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/* the length of the value */

static size_t
ngx_http_llm_cache_redis_store(ngx_http_llm_cache_redis_job_t *job)
{
    u_char                           *p;
    ngx_int_t                         rc;
    llm_str_t                         value;
    llm_record_t                      rec;
    ngx_http_llm_cache_hold_t         hold;
    ngx_http_llm_cache_redis_stat_t  *stat;

    stat = ngx_http_llm_cache_zone_redis(job->zone);

    if (ngx_http_llm_cache_zone_peek(job->zone, job->key, &hold) != NGX_OK) {
        ngx_http_llm_cache_redis_job_done(job, 0);
        return 0;
    }

    rc = NGX_ERROR;
    value.len = 0;

    p = ngx_http_llm_cache_redis_value(job, &hold, &rec, &value);

    if (p) {
        job->stamp = llm_redis_value_stamp(job->key, value);
        job->epoch = ngx_http_llm_cache_redis_epoch(ngx_current_msec);

        /* before anybody can tell of a change */

        ngx_http_llm_cache_zone_stamp(&hold, job->stamp,
                                      NGX_HTTP_LLM_CACHE_REDIS_OWN);

        rc = ngx_http_llm_cache_redis_set(job, &value,
                                          (time_t) rec.expires + job->stale
                                          - ngx_time());
        ngx_free(p);

        if (rc != NGX_OK) {
            ngx_http_llm_cache_zone_stamp(&hold, 0, 0);
        }
    }

    if (rc != NGX_OK) {
        ngx_http_llm_cache_redis_count(stat, store_errors);
        ngx_http_llm_cache_redis_job_done(job, 0);
    }

    ngx_http_llm_cache_zone_release(&hold);

    return value.len;
}


/* the value in memory that is to be freed, or NULL */

static u_char *
ngx_http_llm_cache_redis_value(ngx_http_llm_cache_redis_job_t *job,
    ngx_http_llm_cache_hold_t *hold, llm_record_t *rec, llm_str_t *value)
{
    size_t  len;
    u_char  *p, head[LLM_RECORD_HEAD];

    ngx_http_llm_cache_zone_read(hold->node, 0, head, LLM_RECORD_HEAD);

    if (llm_record_decode(head, rec) != 0
        || ngx_memcmp(rec->key, job->key, LLM_KEY_LEN) != 0)
    {
        return NULL;
    }

    len = (size_t) llm_record_len(rec);

    p = ngx_alloc(LLM_REDIS_VALUE_HEAD + len, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    ngx_http_llm_cache_zone_read(hold->node, 0, p + LLM_REDIS_VALUE_HEAD, len);

    if (llm_redis_value_close(job->key, p, len) != 0) {
        ngx_free(p);
        return NULL;
    }

    value->data = p;
    value->len = LLM_REDIS_VALUE_HEAD + len;

    return p;
}


static ngx_int_t
ngx_http_llm_cache_redis_set(ngx_http_llm_cache_redis_job_t *job,
    llm_str_t *value, time_t expires)
{
    u_char                           buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char                           seconds[NGX_TIME_T_LEN];
    llm_str_t                        words[6];
    ngx_uint_t                       n;
    ngx_http_llm_cache_redis_t      *redis;
    ngx_http_llm_cache_redis_job_t  *copy;

    redis = job->redis;

    if (expires <= 0) {
        return NGX_ERROR;
    }

    copy = ngx_alloc(sizeof(ngx_http_llm_cache_redis_job_t), ngx_cycle->log);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    *copy = *job;

    words[0] = ngx_http_llm_cache_redis_word("SET");
    words[1] = ngx_http_llm_cache_redis_key(redis, job->key, buf);
    words[2] = *value;
    words[3] = ngx_http_llm_cache_redis_word("EX");
    words[4].data = seconds;
    words[4].len = ngx_sprintf(seconds, "%T", expires) - seconds;

    n = 5;

    if (job->flags & NGX_HTTP_LLM_CACHE_REDIS_AGAIN) {
        words[n++] = ngx_http_llm_cache_redis_word("XX");
    }

    copy->call = ngx_http_llm_cache_redis_call(redis, words[1],
                                      NGX_HTTP_LLM_CACHE_REDIS_STORE, n,
                                      words,
                                      redis->timeout
                                      * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                      ngx_http_llm_cache_redis_stored, copy);

    if (copy->call == NULL) {
        ngx_free(copy);
        return NGX_BUSY;
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_redis_restamp(ngx_http_llm_cache_redis_job_t *job,
    uint32_t stamp, ngx_uint_t epoch)
{
    ngx_http_llm_cache_hold_t  hold;

    if (ngx_http_llm_cache_zone_peek(job->zone, job->key, &hold) != NGX_OK) {
        return;
    }

    if (hold.node->stamp == job->stamp) {
        ngx_http_llm_cache_zone_stamp(&hold, stamp, epoch);
    }

    ngx_http_llm_cache_zone_release(&hold);
}


void
ngx_http_llm_cache_redis_delete(ngx_http_llm_cache_redis_t *redis,
    const u_char *key)
{
    u_char     buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    llm_str_t  words[2];

    words[0] = ngx_http_llm_cache_redis_word("DEL");
    words[1] = ngx_http_llm_cache_redis_key(redis, key, buf);

    (void) ngx_http_llm_cache_redis_call(redis, words[1],
                                         NGX_HTTP_LLM_CACHE_REDIS_STORE, 2,
                                         words,
                                         redis->timeout
                                         * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                         NULL, NULL);

    ngx_http_llm_cache_redis_publish(redis, words[1]);
}


static void
ngx_http_llm_cache_redis_stored(void *data, llm_reply_t *reply)
{
    ngx_http_llm_cache_redis_job_t *job = data;

    u_char                            buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    ngx_http_llm_cache_redis_stat_t  *stat;

    stat = ngx_http_llm_cache_zone_redis(job->zone);

    if (llm_reply_is(reply, LLM_RESP_STATUS)) {

        ngx_http_llm_cache_redis_count(stat, stores);

        ngx_http_llm_cache_redis_publish(job->redis,
                   ngx_http_llm_cache_redis_key(job->redis, job->key, buf));

    } else if (!llm_reply_is(reply, LLM_RESP_NIL)) {
        ngx_http_llm_cache_redis_count(stat, store_errors);
    }

    if (llm_reply_is(reply, LLM_RESP_ERROR)) {

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "llm cache: Redis did not store an answer: \"%*s\"",
                      ngx_min(reply->str.len, 128), reply->str.data);
    }

    if (job->purges != ngx_http_llm_cache_zone_purges(job->zone)) {

        /* the purge may have passed by the value before it was there */

        ngx_http_llm_cache_redis_delete(job->redis, job->key);
    }

    /* it may be in the memory of this machine only */

    if (llm_reply_is(reply, LLM_RESP_ERROR)
        || !ngx_http_llm_cache_redis_went_out(job->call))
    {
        ngx_http_llm_cache_redis_restamp(job, 0, 0);

    } else if (llm_reply_is(reply, LLM_RESP_NIL)) {

        /* it was deleted there */

        ngx_http_llm_cache_redis_restamp(job, job->stamp,
                             ngx_http_llm_cache_redis_past(ngx_current_msec));

    } else {
        ngx_http_llm_cache_redis_restamp(job, job->stamp, job->epoch);
    }

    ngx_http_llm_cache_redis_job_done(job, llm_reply_is(reply,
                                                        LLM_RESP_STATUS));

    llm_reply_free(reply);
    ngx_free(job);
}


static void
ngx_http_llm_cache_redis_job_done(ngx_http_llm_cache_redis_job_t *job,
    ngx_uint_t stored)
{
    if (job->flags & NGX_HTTP_LLM_CACHE_REDIS_LEASED) {
        ngx_http_llm_cache_redis_end_lease(job->redis, job->key, stored);
    }
}


/*
 * Who looked for an answer just before it was stored is about to ask for the
 * lease, and must not get it.
 */

void
ngx_http_llm_cache_redis_end_lease(ngx_http_llm_cache_redis_t *redis,
    const u_char *key, ngx_uint_t stored)
{
    int         n;
    u_char      buf[NGX_HTTP_LLM_CACHE_REDIS_NAME];
    u_char      msec[NGX_INT_T_LEN];
    llm_str_t   words[6];

    words[1] = ngx_http_llm_cache_redis_lease_key(redis, key, buf);

    if (stored) {
        n = 6;
        words[0] = ngx_http_llm_cache_redis_word("SET");
        words[2] = ngx_http_llm_cache_redis_word("1");
        words[3] = ngx_http_llm_cache_redis_word("XX");
        words[4] = ngx_http_llm_cache_redis_word("PX");
        words[5].data = msec;
        words[5].len = ngx_sprintf(msec, "%M",
                                   ngx_min(redis->timeout
                                           + NGX_HTTP_LLM_CACHE_REDIS_STEP,
                                           redis->lease))
                       - msec;

    } else {
        n = 2;
        words[0] = ngx_http_llm_cache_redis_word("DEL");
    }

    (void) ngx_http_llm_cache_redis_call(redis, words[1],
                                         NGX_HTTP_LLM_CACHE_REDIS_STORE, n,
                                         words,
                                         redis->timeout
                                         * NGX_HTTP_LLM_CACHE_REDIS_PATIENCE,
                                         NULL, NULL);
}
