#include "ngx_http_llm_cache_flight.h"
#include "ngx_http_llm_cache_shard.h"
#include "ngx_http_llm_cache_wake.h"

#include <signal.h>


static ngx_int_t ngx_http_llm_cache_flight_look(
    ngx_http_llm_cache_shard_t *shard, const ngx_http_llm_cache_wish_t *wish,
    ngx_http_llm_cache_hold_t *hold, ngx_http_llm_cache_writer_t *w,
    ngx_uint_t *again, ngx_uint_t *lost);
static ngx_http_llm_cache_flight_t *ngx_http_llm_cache_flight_next(
    ngx_http_llm_cache_shard_t *shard, const ngx_http_llm_cache_wish_t *wish);
static void ngx_http_llm_cache_flight_succeed(
    const ngx_http_llm_cache_wish_t *wish,
    ngx_http_llm_cache_flight_t *flight);
static ngx_uint_t ngx_http_llm_cache_flight_dead(
    ngx_http_llm_cache_flight_t *flight);
static void ngx_http_llm_cache_flight_lose(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight);
static ngx_http_llm_cache_flight_t **ngx_http_llm_cache_flight_bucket(
    ngx_http_llm_cache_shard_t *shard, const u_char *key);
static ngx_http_llm_cache_flight_t *ngx_http_llm_cache_flight_find(
    ngx_http_llm_cache_shard_t *shard, const u_char *key, ngx_uint_t kind);
static ngx_int_t ngx_http_llm_cache_flight_join(
    ngx_http_llm_cache_shard_t *shard, ngx_http_llm_cache_flight_t *flight,
    ngx_http_llm_cache_hold_t *hold);
static ngx_int_t ngx_http_llm_cache_flight_lead(
    ngx_http_llm_cache_shard_t *shard, const ngx_http_llm_cache_wish_t *wish,
    ngx_uint_t listed, ngx_http_llm_cache_writer_t *w, ngx_uint_t *again);
static void ngx_http_llm_cache_flight_unlist(
    ngx_http_llm_cache_shard_t *shard, ngx_http_llm_cache_flight_t *flight);


ngx_int_t
ngx_http_llm_cache_flight_enter(ngx_http_llm_cache_zone_t *zone,
    const ngx_http_llm_cache_wish_t *wish, ngx_http_llm_cache_hold_t *hold,
    ngx_http_llm_cache_writer_t *w)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i, again, lost;
    ngx_http_llm_cache_shard_t  *shard;

    shard = ngx_http_llm_cache_zone_shard(zone, wish->key);

    ngx_memzero(w, sizeof(ngx_http_llm_cache_writer_t));

    rc = NGX_DECLINED;
    again = 1;
    lost = 0;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            return NGX_DECLINED;
        }

        rc = ngx_http_llm_cache_flight_look(shard, wish, hold, w, &again,
                                            &lost);

        ngx_http_llm_cache_shard_unlock(shard);
    }

    if (lost) {
        ngx_http_llm_cache_zone_reap(zone, 0, ngx_cycle->log);
    }

    return rc;
}


/*
 * *again: there was no room to lead, which a further try may make; *lost: a
 * leader's process is gone.
 */

static ngx_int_t
ngx_http_llm_cache_flight_look(ngx_http_llm_cache_shard_t *shard,
    const ngx_http_llm_cache_wish_t *wish, ngx_http_llm_cache_hold_t *hold,
    ngx_http_llm_cache_writer_t *w, ngx_uint_t *again, ngx_uint_t *lost)
{
    ngx_int_t                     rc;
    ngx_http_llm_cache_flight_t  *flight;

    *again = 0;

    rc = wish->fetch ? NGX_DECLINED
                     : ngx_http_llm_cache_shard_get(shard, wish->key, 0, hold);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    flight = ngx_http_llm_cache_flight_next(shard, wish);

    if (flight && ngx_http_llm_cache_flight_dead(flight)) {
        ngx_http_llm_cache_flight_lose(shard, flight);
        flight = NULL;
        *lost = 1;
    }

    if (rc == NGX_BUSY && wish->stale && (flight || wish->refresh)
        && ngx_http_llm_cache_shard_get(shard, wish->key, wish->stale, hold)
           == NGX_OK)
    {
        if (flight == NULL) {
            (void) ngx_http_llm_cache_flight_lead(shard, wish, 1, w, again);
            *again = 0;
        }

        return NGX_OK;
    }

    if (flight && wish->follow) {

        if (ngx_http_llm_cache_flight_join(shard, flight, hold) != NGX_OK) {
            return rc;
        }

        ngx_http_llm_cache_flight_succeed(wish, flight);

        return NGX_AGAIN;
    }

    if (wish->lead) {
        (void) ngx_http_llm_cache_flight_lead(shard, wish, flight == NULL, w,
                                              again);
    }

    return rc;
}


static ngx_http_llm_cache_flight_t *
ngx_http_llm_cache_flight_next(ngx_http_llm_cache_shard_t *shard,
    const ngx_http_llm_cache_wish_t *wish)
{
    ngx_http_llm_cache_node_t  *node;

    node = wish->after ? wish->after->flight->successor : NULL;

    return node ? node->flight
                : ngx_http_llm_cache_flight_find(shard, wish->key, wish->kind);
}


static void
ngx_http_llm_cache_flight_succeed(const ngx_http_llm_cache_wish_t *wish,
    ngx_http_llm_cache_flight_t *flight)
{
    if (wish->after == NULL || wish->after->flight->successor) {
        return;
    }

    flight->parts++;
    flight->node->refs++;

    wish->after->flight->successor = flight->node;
}


static ngx_http_llm_cache_flight_t **
ngx_http_llm_cache_flight_bucket(ngx_http_llm_cache_shard_t *shard,
    const u_char *key)
{
    return &shard->sh->flights[key[0] % NGX_HTTP_LLM_CACHE_FLIGHTS];
}


static ngx_http_llm_cache_flight_t *
ngx_http_llm_cache_flight_find(ngx_http_llm_cache_shard_t *shard,
    const u_char *key, ngx_uint_t kind)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = *ngx_http_llm_cache_flight_bucket(shard, key);

    for ( /* void */ ; flight; flight = flight->next) {
        if (flight->kind == kind
            && ngx_memcmp(flight->node->key, key, LLM_KEY_LEN) == 0
            && !ngx_http_llm_cache_shard_purged(shard, flight->purges, key,
                                                &flight->tags,
                                                (uint64_t) ngx_time()))
        {
            return flight;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_llm_cache_flight_join(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight, ngx_http_llm_cache_hold_t *hold)
{
    /* making room for a slot may evict, but nothing that takes part */

    if (ngx_http_llm_cache_shard_hold(shard, flight->node, hold) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_shard_take_part(hold, NGX_HTTP_LLM_CACHE_FOLLOWER);

    flight->parts++;
    ngx_http_llm_cache_count(&shard->zone->stat->followers, 1);

    ngx_http_llm_cache_wake_watch(flight);

    (void) ngx_atomic_fetch_add(&flight->followers, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_flight_lead(ngx_http_llm_cache_shard_t *shard,
    const ngx_http_llm_cache_wish_t *wish, ngx_uint_t listed,
    ngx_http_llm_cache_writer_t *w, ngx_uint_t *again)
{
    ngx_http_llm_cache_node_t     *node;
    ngx_http_llm_cache_flight_t   *flight, **bucket;

    flight = ngx_http_llm_cache_shard_alloc(shard,
                                       sizeof(ngx_http_llm_cache_flight_t),
                                       again);
    if (flight == NULL) {
        return NGX_DECLINED;
    }

    node = ngx_http_llm_cache_shard_alloc(shard,
                                          sizeof(ngx_http_llm_cache_node_t),
                                          again);
    if (node == NULL) {
        ngx_slab_free_locked(shard->pool, flight);
        return NGX_DECLINED;
    }

    ngx_memzero(node, sizeof(ngx_http_llm_cache_node_t));
    ngx_memzero(flight, sizeof(ngx_http_llm_cache_flight_t));

    if (ngx_http_llm_cache_shard_hold(shard, node, &w->hold) != NGX_OK) {
        ngx_slab_free_locked(shard->pool, flight);
        return NGX_DECLINED;
    }

    ngx_memcpy(node->key, wish->key, LLM_KEY_LEN);
    node->flight = flight;

    flight->node = node;
    flight->leader = ngx_pid;
    flight->cycle = ngx_http_llm_cache_wake_cycle();
    flight->kind = (uint32_t) wish->kind;
    flight->state = NGX_HTTP_LLM_CACHE_FLYING;
    flight->parts = 1;
    flight->purges = ngx_http_llm_cache_zone_purges(shard->zone);

    if (listed) {
        flight->listed = 1;

        bucket = ngx_http_llm_cache_flight_bucket(shard, wish->key);
        flight->next = *bucket;
        *bucket = flight;
    }

    ngx_http_llm_cache_count(&shard->zone->stat->flights, 1);
    shard->sh->flying++;

    ngx_http_llm_cache_shard_take_part(&w->hold, NGX_HTTP_LLM_CACHE_LEADER);
    ngx_http_llm_cache_flight_succeed(wish, flight);

    w->last = &node->chunks;
    w->purges = flight->purges;

    return NGX_OK;
}


void
ngx_http_llm_cache_flight_tag(ngx_http_llm_cache_writer_t *w,
    const llm_tags_t *tags)
{
    ngx_http_llm_cache_shard_t  *shard;

    shard = w->hold.shard;

    if (ngx_http_llm_cache_shard_lock(shard) == NGX_OK) {
        w->hold.node->flight->tags = *tags;
        ngx_http_llm_cache_shard_unlock(shard);
    }
}


void
ngx_http_llm_cache_flight_taken_over(ngx_http_llm_cache_writer_t *w)
{
    ngx_http_llm_cache_count(&w->hold.shard->zone->stat->takeovers, 1);
}


static void
ngx_http_llm_cache_flight_unlist(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight)
{
    ngx_http_llm_cache_flight_t  **link;

    if (!flight->listed) {
        return;
    }

    link = ngx_http_llm_cache_flight_bucket(shard, flight->node->key);

    while (*link != flight) {
        link = &(*link)->next;
    }

    *link = flight->next;
    flight->listed = 0;
}


void
ngx_http_llm_cache_flight_publish(ngx_http_llm_cache_writer_t *w)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = w->hold.node->flight;

    /* the bytes before the length, the length before who is told of it */

    ngx_memory_barrier();

    flight->len = w->len;

    if (flight->state == NGX_HTTP_LLM_CACHE_FLYING) {
        ngx_memory_barrier();
        flight->state = NGX_HTTP_LLM_CACHE_FILLING;
    }

    ngx_memory_barrier();

    if (flight->followers) {
        ngx_http_llm_cache_wake(flight);
    }
}


ngx_uint_t
ngx_http_llm_cache_flight_close(ngx_http_llm_cache_writer_t *w)
{
    ngx_http_llm_cache_shard_t   *shard;
    ngx_http_llm_cache_flight_t  *flight;

    shard = w->hold.shard;
    flight = w->hold.node->flight;

    if (ngx_http_llm_cache_shard_lock(shard) == NGX_OK) {
        ngx_http_llm_cache_flight_unlist(shard, flight);
        ngx_http_llm_cache_shard_unlock(shard);
    }

    return flight->parts > 1;
}


void
ngx_http_llm_cache_flight_closing(ngx_http_llm_cache_writer_t *w)
{
    w->hold.node->flight->state = NGX_HTTP_LLM_CACHE_CLOSING;

    ngx_memory_barrier();
}


void
ngx_http_llm_cache_flight_forsake(ngx_http_llm_cache_hold_t *hold)
{
    if (ngx_http_llm_cache_shard_lock(hold->shard) == NGX_OK) {
        ngx_http_llm_cache_flight_unlist(hold->shard, hold->node->flight);
        ngx_http_llm_cache_shard_unlock(hold->shard);
    }
}


void
ngx_http_llm_cache_flight_broken(ngx_http_llm_cache_flight_t *flight)
{
    if (flight->state < NGX_HTTP_LLM_CACHE_STORED) {
        flight->state = NGX_HTTP_LLM_CACHE_FAILED;
        ngx_http_llm_cache_wake(flight);
    }
}


void
ngx_http_llm_cache_flight_end(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_flight_state_e state)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = w->hold.node->flight;

    (void) ngx_http_llm_cache_flight_close(w);

    ngx_memory_barrier();

    flight->len = w->len;

    ngx_memory_barrier();

    flight->state = state;

    ngx_http_llm_cache_wake(flight);
}


void
ngx_http_llm_cache_flight_fail(ngx_http_llm_cache_writer_t *w,
    ngx_uint_t failure)
{
    w->hold.node->flight->failure = (uint32_t) failure;

    ngx_http_llm_cache_flight_end(w, NGX_HTTP_LLM_CACHE_FAILED);
}


void
ngx_http_llm_cache_flight_similar(ngx_http_llm_cache_writer_t *w,
    const ngx_http_llm_cache_found_t *found)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = w->hold.node->flight;

    flight->found = *found;
    flight->similar = 1;

    ngx_http_llm_cache_flight_end(w, NGX_HTTP_LLM_CACHE_FAILED);
}


void
ngx_http_llm_cache_flight_stored(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight)
{
    ngx_http_llm_cache_flight_unlist(shard, flight);

    ngx_memory_barrier();

    flight->state = NGX_HTTP_LLM_CACHE_STORED;

    ngx_http_llm_cache_wake(flight);
}


static ngx_uint_t
ngx_http_llm_cache_flight_dead(ngx_http_llm_cache_flight_t *flight)
{
    return flight->state < NGX_HTTP_LLM_CACHE_STORED
           && flight->leader != ngx_pid
           && kill(flight->leader, 0) == -1
           && ngx_errno == ESRCH;
}


static void
ngx_http_llm_cache_flight_lose(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_flight_t *flight)
{
    if (flight->state >= NGX_HTTP_LLM_CACHE_STORED) {
        return;
    }

    ngx_http_llm_cache_flight_unlist(shard, flight);

    ngx_memory_barrier();

    flight->state = NGX_HTTP_LLM_CACHE_FAILED;

    ngx_http_llm_cache_wake(flight);
}


ngx_uint_t
ngx_http_llm_cache_flight_orphaned(ngx_http_llm_cache_hold_t *hold)
{
    ngx_http_llm_cache_shard_t   *shard;
    ngx_http_llm_cache_flight_t  *flight;

    shard = hold->shard;
    flight = hold->node->flight;

    if (!ngx_http_llm_cache_flight_dead(flight)) {
        return 0;
    }

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        ngx_http_llm_cache_flight_broken(flight);
        return 1;
    }

    ngx_http_llm_cache_flight_lose(shard, flight);

    ngx_http_llm_cache_shard_unlock(shard);

    ngx_http_llm_cache_zone_reap(shard->zone, 0, ngx_cycle->log);

    return 1;
}


void
ngx_http_llm_cache_flight_leave(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, ngx_uint_t part)
{
    ngx_http_llm_cache_flight_t  *flight;

    flight = node->flight;

    if (part == NGX_HTTP_LLM_CACHE_FOLLOWER) {
        (void) ngx_atomic_fetch_add(&flight->followers, -1);

    } else {
        ngx_http_llm_cache_flight_lose(shard, flight);
    }

    /* with the last one its successor loses a part, and so on */

    while (--flight->parts == 0) {

        ngx_http_llm_cache_flight_unlist(shard, flight);

        node->flight = NULL;
        node = flight->successor;

        shard->sh->flying--;
        ngx_slab_free_locked(shard->pool, flight);

        if (node == NULL) {
            return;
        }

        flight = node->flight;
        ngx_http_llm_cache_shard_unref(shard, node);
    }
}
