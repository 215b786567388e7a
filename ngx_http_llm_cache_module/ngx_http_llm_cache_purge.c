#include "ngx_http_llm_cache_purge.h"
#include "ngx_http_llm_cache_state.h"

#include <openssl/rand.h>


/* what is looked at in one go: steps of a walk, entries of a semantic index */
#define NGX_HTTP_LLM_CACHE_PURGE_WALKS    8
#define NGX_HTTP_LLM_CACHE_PURGE_VECTORS  1024

/* ms until a zone is tried again whose index cannot be read, and how often */
#define NGX_HTTP_LLM_CACHE_PURGE_WAIT     10
#define NGX_HTTP_LLM_CACHE_PURGE_TRIES    100

/* forms of one record that may take the place of each other meanwhile */
#define NGX_HTTP_LLM_CACHE_PURGE_FORMS    4


static ngx_http_llm_cache_purge_job_t *ngx_http_llm_cache_purge_create(
    const llm_purge_t *what, ngx_uint_t nzones, ngx_uint_t nredis);
static void ngx_http_llm_cache_purge_handler(ngx_event_t *ev);
static void ngx_http_llm_cache_purge_free(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_zone(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_shards(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_one(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_walk(
    ngx_http_llm_cache_purge_job_t *job);
static void ngx_http_llm_cache_purge_held(ngx_http_llm_cache_purge_job_t *job,
    ngx_http_llm_cache_hold_t *hold);
static ngx_uint_t ngx_http_llm_cache_purge_matches(
    ngx_http_llm_cache_purge_job_t *job, ngx_http_llm_cache_hold_t *hold);
static void ngx_http_llm_cache_purge_add(ngx_http_llm_cache_purge_job_t *job,
    ngx_uint_t n);
static ngx_int_t ngx_http_llm_cache_purge_zone_end(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_redis(
    ngx_http_llm_cache_purge_job_t *job);
static void ngx_http_llm_cache_purge_redis_done(void *data, ngx_uint_t n,
    const char *error);
static ngx_int_t ngx_http_llm_cache_purge_answer(
    ngx_http_llm_cache_purge_job_t *job);
static ngx_int_t ngx_http_llm_cache_purge_vectors(
    ngx_http_llm_cache_purge_job_t *job);
static void ngx_http_llm_cache_purge_bury(void);
static void ngx_http_llm_cache_bury_handler(ngx_event_t *ev);


/* this process's own */

static ngx_queue_t   ngx_http_llm_cache_purge_jobs;
static ngx_uint_t    ngx_http_llm_cache_purge_n;
static ngx_array_t  *ngx_http_llm_cache_purge_zones;
static ngx_event_t   ngx_http_llm_cache_bury_event;

static ngx_connection_t  ngx_http_llm_cache_bury_dummy;


ngx_http_llm_cache_purge_job_t *
ngx_http_llm_cache_purge(ngx_http_llm_cache_main_conf_t *mcf,
    ngx_http_llm_cache_zone_t *zone, const llm_purge_t *what,
    ngx_uint_t dry_run,
    void (*handler)(ngx_http_llm_cache_purge_job_t *job), void *data)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_zone_t       **zones;
    ngx_http_llm_cache_redis_t      **redises;
    ngx_http_llm_cache_purge_job_t   *job;

    job = ngx_http_llm_cache_purge_create(what, mcf->zones.nelts,
                                          mcf->redises.nelts);
    if (job == NULL) {
        return NULL;
    }

    job->handler = handler;
    job->data = data;
    job->dry_run = dry_run != 0;

    if (RAND_bytes(job->what.id, LLM_PURGE_ID_LEN) != 1) {
        ngx_http_llm_cache_purge_free(job);
        return NULL;
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        if (zone == NULL || zones[i] == zone) {
            job->zones[job->nzones++] = zones[i];
        }
    }

    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {
        if (zone == NULL
            || ngx_http_llm_cache_redis_has_zone(redises[i], zone))
        {
            job->redis[job->nredis++] = redises[i];
        }
    }

    return job;
}


static ngx_http_llm_cache_purge_job_t *
ngx_http_llm_cache_purge_create(const llm_purge_t *what, ngx_uint_t nzones,
    ngx_uint_t nredis)
{
    ngx_http_llm_cache_purge_job_t  *job;

    if (ngx_http_llm_cache_purge_n == NGX_HTTP_LLM_CACHE_PURGE_JOBS) {
        return NULL;
    }

    job = ngx_calloc(sizeof(ngx_http_llm_cache_purge_job_t)
                     + (nzones + nredis) * sizeof(void *), ngx_cycle->log);
    if (job == NULL) {
        return NULL;
    }

    job->what = *what;
    job->zones = (ngx_http_llm_cache_zone_t **) (job + 1);
    job->redis = (ngx_http_llm_cache_redis_t **) (job->zones + nzones);
    job->step = ngx_http_llm_cache_purge_zone;

    job->event.data = job;
    job->event.handler = ngx_http_llm_cache_purge_handler;
    job->event.log = ngx_cycle->log;

    ngx_queue_insert_tail(&ngx_http_llm_cache_purge_jobs, &job->queue);
    ngx_http_llm_cache_purge_n++;

    ngx_add_timer(&job->event, 0);

    return job;
}


void
ngx_http_llm_cache_purge_forget(ngx_http_llm_cache_purge_job_t *job)
{
    if (job) {
        job->handler = NULL;
    }
}


/* each of this machine's workers is told: the first one does it */

void
ngx_http_llm_cache_purge_told(ngx_http_llm_cache_redis_t *redis,
    const llm_purge_t *what)
{
    ngx_http_llm_cache_purge_job_t  *job;

    job = ngx_http_llm_cache_purge_create(what, redis->zones.nelts, 0);

    if (job == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "llm cache: there are too many purges, one that another "
                      "machine asks for is not done here");
        return;
    }

    ngx_memcpy(job->zones, redis->zones.elts,
               redis->zones.nelts * sizeof(void *));

    job->nzones = redis->zones.nelts;
}


static void
ngx_http_llm_cache_purge_handler(ngx_event_t *ev)
{
    ngx_http_llm_cache_purge_job_t *job = ev->data;

    switch (job->step(job)) {

    case NGX_AGAIN:
        ngx_add_timer(ev, 1);
        return;

    case NGX_BUSY:
        ngx_add_timer(ev, NGX_HTTP_LLM_CACHE_PURGE_WAIT);
        return;

    case NGX_DONE:
        /* it is waited for */
        return;

    default: /* NGX_OK */
        ngx_http_llm_cache_purge_free(job);
    }
}


static void
ngx_http_llm_cache_purge_free(ngx_http_llm_cache_purge_job_t *job)
{
    if (job->event.timer_set) {
        ngx_del_timer(&job->event);
    }

    ngx_http_llm_cache_redis_purge_end(job->query);

    ngx_queue_remove(&job->queue);
    ngx_http_llm_cache_purge_n--;

    ngx_free(job);
}


/* begins with the next zone */

static ngx_int_t
ngx_http_llm_cache_purge_zone(ngx_http_llm_cache_purge_job_t *job)
{
    if (job->zone == job->nzones) {
        job->zone = 0;
        job->step = ngx_http_llm_cache_purge_redis;
        return job->step(job);
    }

    if (!job->dry_run
        && ngx_http_llm_cache_purge_begin(job->zones[job->zone], &job->what,
                                          &job->number)
           != NGX_OK)
    {
        job->zone++;
        return NGX_AGAIN;
    }

    job->shard = 0;
    job->tries = 0;
    ngx_memzero(&job->iter, sizeof(ngx_http_llm_cache_iter_t));

    job->step = ngx_http_llm_cache_purge_shards;

    return job->step(job);
}


static ngx_int_t
ngx_http_llm_cache_purge_shards(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_uint_t                   n;
    ngx_http_llm_cache_zone_t   *zone;
    ngx_http_llm_cache_shard_t  *shard;

    zone = job->zones[job->zone];

    for ( /* void */ ; job->shard < zone->n; job->shard++) {

        n = 0;
        shard = &zone->shards[job->shard];

        if (job->dry_run) {
            n = ngx_http_llm_cache_purge_count(shard, &job->what);

        } else if (ngx_http_llm_cache_purge_shard(shard, &job->what,
                                                  job->number, &n)
                   != NGX_OK)
        {
            (void) ngx_http_llm_cache_zone_bury(zone);
            return NGX_AGAIN;
        }

        ngx_http_llm_cache_purge_add(job, n);
    }

    if (job->what.by == 0) {
        ngx_http_llm_cache_purge_bury();
        job->step = ngx_http_llm_cache_purge_zone_end;

    } else if (job->what.by == LLM_PURGE_KEY) {
        job->step = ngx_http_llm_cache_purge_zone_end;

    } else if (job->what.by & LLM_PURGE_KEY) {
        job->step = ngx_http_llm_cache_purge_one;

    } else {
        job->step = ngx_http_llm_cache_purge_walk;
    }

    return job->step(job);
}


static ngx_int_t
ngx_http_llm_cache_purge_one(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_http_llm_cache_hold_t  hold;

    ngx_memzero(&hold, sizeof(ngx_http_llm_cache_hold_t));

    if (ngx_http_llm_cache_zone_look(job->zones[job->zone], job->what.key,
                                     &hold)
        == NGX_OK)
    {
        ngx_http_llm_cache_purge_held(job, &hold);
    }

    job->step = ngx_http_llm_cache_purge_zone_end;

    return job->step(job);
}


static ngx_int_t
ngx_http_llm_cache_purge_walk(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, n;
    ngx_http_llm_cache_zone_t  *zone;
    ngx_http_llm_cache_iter_t  *iter;

    iter = &job->iter;
    zone = job->zones[job->zone];

    for (n = 0; n < NGX_HTTP_LLM_CACHE_PURGE_WALKS; n++) {

        rc = ngx_http_llm_cache_zone_walk(zone, iter);

        if (rc == NGX_DONE) {
            job->step = ngx_http_llm_cache_purge_zone_end;
            return job->step(job);
        }

        if (rc == NGX_ERROR) {

            if (zone->shards[iter->shard].sh->broken) {

                /* it answers nothing, and will start empty */

                iter->shard++;
                iter->bucket = 0;
                continue;
            }

            if (job->tries++ < NGX_HTTP_LLM_CACHE_PURGE_TRIES) {
                return NGX_BUSY;
            }

            job->error = "the zone has no room to be looked through";
            job->step = ngx_http_llm_cache_purge_zone_end;
            return job->step(job);
        }

        for (i = 0; i < iter->n; i++) {
            ngx_http_llm_cache_purge_held(job, &iter->records[i].hold);
        }
    }

    return NGX_AGAIN;
}


/* a record, which is given back */

static void
ngx_http_llm_cache_purge_held(ngx_http_llm_cache_purge_job_t *job,
    ngx_http_llm_cache_hold_t *hold)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_PURGE_FORMS; i++) {

        if (!ngx_http_llm_cache_purge_matches(job, hold)) {
            break;
        }

        if (job->dry_run) {
            ngx_http_llm_cache_purge_add(job, 1);
            break;
        }

        rc = ngx_http_llm_cache_purge_remove(hold);

        if (rc == NGX_OK) {
            ngx_http_llm_cache_purge_add(job, 1);
        }

        if (rc != NGX_AGAIN) {
            return;
        }
    }

    ngx_http_llm_cache_zone_release(hold);
}


static ngx_uint_t
ngx_http_llm_cache_purge_matches(ngx_http_llm_cache_purge_job_t *job,
    ngx_http_llm_cache_hold_t *hold)
{
    u_char        head[LLM_RECORD_HEAD];
    llm_record_t  rec;

    ngx_http_llm_cache_zone_read(hold->node, 0, head, LLM_RECORD_HEAD);

    return llm_record_decode(head, &rec) == 0
           && llm_purge_match(&job->what, rec.key, &rec.tags, rec.created);
}


static void
ngx_http_llm_cache_purge_add(ngx_http_llm_cache_purge_job_t *job, ngx_uint_t n)
{
    job->purged += n;

    if (!job->dry_run) {
        ngx_http_llm_cache_count(&job->zones[job->zone]->stat->purged, n);
    }
}


/* what is gone does not come back from a file */

static ngx_int_t
ngx_http_llm_cache_purge_zone_end(ngx_http_llm_cache_purge_job_t *job)
{
    if (!job->dry_run
        && ngx_http_llm_cache_state_purged(job->zones[job->zone]) != NGX_OK)
    {
        job->error = "a state file still holds what is purged, see the log";
    }

    job->zone++;
    job->step = ngx_http_llm_cache_purge_zone;

    return job->step(job);
}


static ngx_int_t
ngx_http_llm_cache_purge_redis(ngx_http_llm_cache_purge_job_t *job)
{
    if (job->redises == job->nredis) {
        job->step = ngx_http_llm_cache_purge_answer;
        return job->step(job);
    }

    job->query = ngx_http_llm_cache_redis_purge(job->redis[job->redises],
                                          &job->what, job->dry_run,
                                          ngx_http_llm_cache_purge_redis_done,
                                                job);

    job->redises++;

    if (job->query == NULL) {
        job->redis_error = "no memory";
        return job->step(job);
    }

    return NGX_DONE;
}


static void
ngx_http_llm_cache_purge_redis_done(void *data, ngx_uint_t n,
    const char *error)
{
    ngx_http_llm_cache_purge_job_t *job = data;

    job->query = NULL;
    job->redis_purged += n;

    if (error) {
        job->redis_error = error;
    }

    ngx_add_timer(&job->event, 0);
}


static ngx_int_t
ngx_http_llm_cache_purge_answer(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "llm cache: %ui answers %s", job->purged,
                  job->dry_run ? "would be purged" : "purged");

    job->step = ngx_http_llm_cache_purge_vectors;

    if (job->handler) {
        job->handler(job);
    }

    return job->dry_run ? NGX_OK : NGX_AGAIN;
}


/* entries of the semantic index whose record is gone are dropped */

static ngx_int_t
ngx_http_llm_cache_purge_vectors(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_uint_t                   n;
    ngx_http_llm_cache_found_t   found;
    ngx_http_llm_cache_zone_t   *zone;

    for (n = 0; n < NGX_HTTP_LLM_CACHE_PURGE_VECTORS; n++) {

        if (job->zone == job->nzones) {
            return NGX_OK;
        }

        zone = job->zones[job->zone];

        if (zone->vectors.dim == 0 || job->vector == zone->vectors.n) {
            job->vector = 0;
            job->zone++;
            continue;
        }

        if (ngx_http_llm_cache_vectors_at(&zone->vectors, job->vector, &found)
            == NGX_OK
            && !ngx_http_llm_cache_zone_has(zone, found.key))
        {
            ngx_http_llm_cache_vectors_drop(&zone->vectors, &found);
        }

        job->vector++;
    }

    return NGX_AGAIN;
}


/* frees in the background what is dead already */

static void
ngx_http_llm_cache_purge_bury(void)
{
    if (!ngx_http_llm_cache_bury_event.timer_set) {
        ngx_add_timer(&ngx_http_llm_cache_bury_event, 1);
    }
}


static void
ngx_http_llm_cache_bury_handler(ngx_event_t *ev)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_zone_t  **zones;

    zones = ngx_http_llm_cache_purge_zones->elts;

    for (i = 0; i < ngx_http_llm_cache_purge_zones->nelts; i++) {

        if (ngx_http_llm_cache_zone_bury(zones[i])) {
            ngx_add_timer(ev, 1);
            return;
        }
    }
}


void
ngx_http_llm_cache_purge_init(ngx_http_llm_cache_main_conf_t *mcf)
{
    ngx_uint_t                    i;
    ngx_http_llm_cache_redis_t  **redises;

    if (ngx_http_llm_cache_purge_n == 0) {
        ngx_queue_init(&ngx_http_llm_cache_purge_jobs);
    }

    ngx_http_llm_cache_purge_zones = &mcf->zones;
    ngx_http_llm_cache_bury_dummy.fd = (ngx_socket_t) -1;

    ngx_http_llm_cache_bury_event.handler = ngx_http_llm_cache_bury_handler;
    ngx_http_llm_cache_bury_event.log = ngx_cycle->log;
    ngx_http_llm_cache_bury_event.data = &ngx_http_llm_cache_bury_dummy;
    ngx_http_llm_cache_bury_event.cancelable = 1;

    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {
        redises[i]->purge = ngx_http_llm_cache_purge_told;
    }

    /* who did it may be gone */

    ngx_http_llm_cache_purge_bury();
}


void
ngx_http_llm_cache_purge_exit(void)
{
    ngx_queue_t                     *q;
    ngx_http_llm_cache_purge_job_t  *job;

    while (ngx_http_llm_cache_purge_n) {
        q = ngx_queue_head(&ngx_http_llm_cache_purge_jobs);
        job = ngx_queue_data(q, ngx_http_llm_cache_purge_job_t, queue);
        ngx_http_llm_cache_purge_free(job);
    }
}
