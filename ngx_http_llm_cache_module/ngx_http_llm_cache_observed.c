#include "ngx_http_llm_cache_observed.h"
#include "ngx_http_llm_cache_holds.h"
#include "llm_evict.h"

#include <signal.h>


#define NGX_HTTP_LLM_CACHE_OBSERVED_LAYOUT  1

/* bytes of the zone for which a store has one entry: twice as many as answers
   are expected to fit into the zone */
#define NGX_HTTP_LLM_CACHE_OBSERVED_SHARE   1024

/* of a key: by chance no two are equal */
#define NGX_HTTP_LLM_CACHE_OBSERVED_KEY     16

/* the most that are evicted, and dropped as inactive, in one go */
#define NGX_HTTP_LLM_CACHE_OBSERVED_EVICT   64
#define NGX_HTTP_LLM_CACHE_OBSERVED_SWEEP   2

#define NGX_HTTP_LLM_CACHE_OBSERVED_FREQUENCY  0xffffff


typedef enum {
    NGX_HTTP_LLM_CACHE_OBSERVED_FREE = 0,
    NGX_HTTP_LLM_CACHE_OBSERVED_HELD,        /* the zone would have it */
    NGX_HTTP_LLM_CACHE_OBSERVED_GONE         /* evicted, or not there yet */
} ngx_http_llm_cache_observed_state_e;


typedef struct ngx_http_llm_cache_observed_entry_s
    ngx_http_llm_cache_observed_entry_t;

struct ngx_http_llm_cache_observed_entry_s {
    u_char                       key[NGX_HTTP_LLM_CACHE_OBSERVED_KEY];
    ngx_http_llm_cache_observed_entry_t  *next;   /* in the bucket, or free */

    union {
        ngx_rbtree_node_t        rank;       /* of what is held */
        ngx_queue_t              queue;      /* of what is gone */
    } u;

    ngx_http_llm_cache_observed_answer_t  answer;  /* size 0: none yet */

    uint32_t                     used;
    unsigned                     frequency:24;
    unsigned                     turns:8;
    uint32_t                     flight;     /* its number; 0: none */
    int32_t                      pid;        /* of who flies */
    uint32_t                     since;      /* milliseconds, cut off */
    u_char                       kind;
    u_char                       scope;
    u_char                       state;
    u_char                       asked;      /* for, since it was ranked */
};


_Static_assert(sizeof(ngx_http_llm_cache_observed_entry_t) <= 128,
               "the entry has grown");


typedef struct {
    ngx_rbtree_t                 ranks;      /* lowest priority first */
    ngx_rbtree_node_t            sentinel;
    uint64_t                     age;
    ngx_queue_t                  gone;       /* oldest first */
    ngx_http_llm_cache_observed_gauges_t  gauges;
} ngx_http_llm_cache_observed_store_t;


struct ngx_http_llm_cache_observed_sh_s {
    ngx_uint_t                   layout;
    ngx_uint_t                   n;
    ngx_uint_t                   mask;       /* number of buckets - 1 */
    ngx_uint_t                   taken;      /* entries, ever */
    uint32_t                     flights;    /* number of the last one */
    volatile ngx_uint_t          busy;       /* somebody is inside the lock */
    ngx_http_llm_cache_observed_entry_t  **buckets;
    ngx_http_llm_cache_observed_entry_t   *entries;
    ngx_http_llm_cache_observed_entry_t   *free;

    ngx_http_llm_cache_observed_store_t
        stores[NGX_HTTP_LLM_CACHE_OBSERVED_MAX];
};


extern ngx_module_t  ngx_http_llm_cache_module;


static ngx_int_t ngx_http_llm_cache_observed_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_llm_cache_observed_clear(
    ngx_http_llm_cache_observed_sh_t *sh);
static void ngx_http_llm_cache_observed_lock(
    ngx_http_llm_cache_observed_t *observed);
static void ngx_http_llm_cache_observed_unlock(
    ngx_http_llm_cache_observed_t *observed);
static ngx_http_llm_cache_observed_entry_t **ngx_http_llm_cache_observed_link(
    ngx_http_llm_cache_observed_sh_t *sh,
    ngx_http_llm_cache_observed_scope_e scope, const u_char *key);
static ngx_http_llm_cache_observed_entry_t *ngx_http_llm_cache_observed_find(
    ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key);
static ngx_http_llm_cache_observed_entry_t *ngx_http_llm_cache_observed_make(
    ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key);
static ngx_http_llm_cache_observed_entry_t *ngx_http_llm_cache_observed_room(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope);
static void ngx_http_llm_cache_observed_rank(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry);
static void ngx_http_llm_cache_observed_unhold(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry);
static void ngx_http_llm_cache_observed_drop(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry);
static ngx_http_llm_cache_observed_entry_t *ngx_http_llm_cache_observed_lowest(
    ngx_http_llm_cache_observed_store_t *store);
static void ngx_http_llm_cache_observed_evict(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope);
static ngx_uint_t ngx_http_llm_cache_observed_flown(
    ngx_http_llm_cache_observed_entry_t *entry, ngx_uint_t kind,
    ngx_msec_t timeout);


char *
ngx_http_llm_cache_observed_add(ngx_conf_t *cf,
    ngx_http_llm_cache_observed_t *observed, ngx_str_t *zone, size_t size)
{
    u_char          *p;
    size_t           memory;
    ngx_shm_zone_t  *shm_zone;

    observed->n = NGX_HTTP_LLM_CACHE_OBSERVED_MAX
                  * (size / NGX_HTTP_LLM_CACHE_OBSERVED_SHARE);

    p = ngx_pnalloc(cf->pool, zone->len + sizeof("#observed"));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    observed->name.data = p;
    observed->name.len = ngx_sprintf(p, "%V#observed", zone) - p;

    /* up to one bucket for each entry; and the slab pool's own pages */

    memory = sizeof(ngx_http_llm_cache_observed_sh_t)
             + observed->n * (sizeof(ngx_http_llm_cache_observed_entry_t)
                              + sizeof(void *));
    memory += memory / 64 + 16 * ngx_pagesize;

    shm_zone = ngx_shared_memory_add(cf, &observed->name, memory,
                                     &ngx_http_llm_cache_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_llm_cache_observed_init;
    shm_zone->data = observed;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_llm_cache_observed_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_uint_t                         buckets;
    ngx_http_llm_cache_observed_t     *observed;
    ngx_http_llm_cache_observed_sh_t  *sh;

    observed = shm_zone->data;
    observed->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        observed->sh = observed->pool->data;

        if (observed->sh == NULL
            || observed->sh->layout != NGX_HTTP_LLM_CACHE_OBSERVED_LAYOUT
            || observed->sh->n != observed->n)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "shared memory \"%V\" holds the layout of another "
                          "version of the module; restart nginx",
                          &observed->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    for (buckets = 1; 2 * buckets <= observed->n; buckets *= 2) { /* void */ }

    sh = ngx_slab_calloc(observed->pool,
                         sizeof(ngx_http_llm_cache_observed_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->buckets = ngx_slab_alloc(observed->pool, buckets * sizeof(void *));

    /* pages that no entry was taken from are never touched */

    sh->entries = ngx_slab_alloc(observed->pool, observed->n
                             * sizeof(ngx_http_llm_cache_observed_entry_t));

    if (sh->buckets == NULL || sh->entries == NULL) {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_CACHE_OBSERVED_LAYOUT;
    sh->n = observed->n;
    sh->mask = buckets - 1;

    ngx_http_llm_cache_observed_clear(sh);

    observed->sh = sh;
    observed->pool->data = sh;

    return NGX_OK;
}


/* the numbers of flights go on: nobody takes back another one's */

static void
ngx_http_llm_cache_observed_clear(ngx_http_llm_cache_observed_sh_t *sh)
{
    ngx_uint_t                            i;
    ngx_http_llm_cache_observed_store_t  *store;

    ngx_memzero(sh->buckets, (sh->mask + 1) * sizeof(void *));

    sh->taken = 0;
    sh->free = NULL;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX; i++) {

        store = &sh->stores[i];

        ngx_memzero(store, sizeof(ngx_http_llm_cache_observed_store_t));

        ngx_rbtree_init(&store->ranks, &store->sentinel,
                        ngx_rbtree_insert_value);
        ngx_queue_init(&store->gone);
    }
}


static void
ngx_http_llm_cache_observed_lock(ngx_http_llm_cache_observed_t *observed)
{
    ngx_http_llm_cache_observed_sh_t  *sh;

    sh = observed->sh;

    ngx_shmtx_lock(&observed->pool->mutex);
    ngx_http_llm_cache_hold_begins();

    if (sh->busy) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "shared memory \"%V\": a worker died while it changed "
                      "it, it starts empty", &observed->name);

        ngx_http_llm_cache_observed_clear(sh);
    }

    sh->busy = 1;
    ngx_memory_barrier();
}


static void
ngx_http_llm_cache_observed_unlock(ngx_http_llm_cache_observed_t *observed)
{
    ngx_memory_barrier();
    observed->sh->busy = 0;

    ngx_http_llm_cache_hold_ends();
    ngx_shmtx_unlock(&observed->pool->mutex);
}


ngx_int_t
ngx_http_llm_cache_observed_get(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key,
    ngx_http_llm_cache_observed_answer_t *answer)
{
    ngx_int_t                             rc;
    ngx_http_llm_cache_observed_entry_t  *entry;

    ngx_http_llm_cache_observed_lock(observed);

    rc = NGX_DECLINED;
    entry = ngx_http_llm_cache_observed_find(observed, key);

    if (entry && entry->answer.size) {

        *answer = entry->answer;

        if ((time_t) entry->answer.expires <= ngx_time()) {

            /* nobody can tell an answer that was evicted from none */

            if (entry->state == NGX_HTTP_LLM_CACHE_OBSERVED_HELD) {
                rc = NGX_BUSY;
            }

        } else if (entry->state == NGX_HTTP_LLM_CACHE_OBSERVED_HELD) {
            rc = NGX_OK;

        } else {
            rc = NGX_ABORT;
        }
    }

    ngx_http_llm_cache_observed_unlock(observed);

    return rc;
}


void
ngx_http_llm_cache_observed_hit(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key)
{
    ngx_http_llm_cache_observed_entry_t  *entry;

    ngx_http_llm_cache_observed_lock(observed);

    entry = ngx_http_llm_cache_observed_find(observed, key);

    if (entry) {
        entry->used = (uint32_t) ngx_time();
        entry->asked = 1;

        if (entry->frequency < NGX_HTTP_LLM_CACHE_OBSERVED_FREQUENCY) {
            entry->frequency++;
        }
    }

    ngx_http_llm_cache_observed_unlock(observed);
}


ngx_uint_t
ngx_http_llm_cache_observed_turn(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope, const u_char *key,
    ngx_uint_t n)
{
    ngx_uint_t                            turn;
    ngx_http_llm_cache_observed_entry_t  *entry;

    ngx_http_llm_cache_observed_lock(observed);

    entry = *ngx_http_llm_cache_observed_link(observed->sh, scope, key);
    turn = 0;

    if (entry && entry->state == NGX_HTTP_LLM_CACHE_OBSERVED_HELD) {
        turn = (entry->turns + 1) % n;
        entry->turns = (unsigned) turn & 0xff;
    }

    ngx_http_llm_cache_observed_unlock(observed);

    return turn;
}


ngx_int_t
ngx_http_llm_cache_observed_fly(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_key_t *key, ngx_uint_t kind,
    ngx_msec_t timeout)
{
    ngx_http_llm_cache_observed_sh_t     *sh;
    ngx_http_llm_cache_observed_entry_t  *entry;

    ngx_http_llm_cache_observed_lock(observed);

    sh = observed->sh;
    entry = ngx_http_llm_cache_observed_make(observed, key);

    if (ngx_http_llm_cache_observed_flown(entry, kind, timeout)) {
        ngx_http_llm_cache_observed_unlock(observed);
        return NGX_BUSY;
    }

    if (++sh->flights == 0) {
        sh->flights = 1;
    }

    entry->flight = sh->flights;
    entry->pid = (int32_t) ngx_pid;
    entry->since = (uint32_t) ngx_current_msec;
    entry->kind = (u_char) kind;

    key->flight = entry->flight;

    ngx_http_llm_cache_observed_unlock(observed);

    return NGX_OK;
}


/* ngx_current_msec is that of a clock that all processes share */

static ngx_uint_t
ngx_http_llm_cache_observed_flown(ngx_http_llm_cache_observed_entry_t *entry,
    ngx_uint_t kind, ngx_msec_t timeout)
{
    uint32_t  age;

    if (entry->flight == 0 || entry->kind != kind) {
        return 0;
    }

    age = (uint32_t) ngx_current_msec - entry->since;

    /* the clocks of two workers may stand a little apart */

    if ((int32_t) age > 0 && age >= timeout) {
        return 0;
    }

    return kill(entry->pid, 0) == 0 || ngx_errno != ESRCH;
}


ngx_uint_t
ngx_http_llm_cache_observed_flies(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key, ngx_uint_t kind,
    ngx_msec_t timeout)
{
    ngx_uint_t                            flies;
    ngx_http_llm_cache_observed_entry_t  *entry;

    ngx_http_llm_cache_observed_lock(observed);

    entry = *ngx_http_llm_cache_observed_link(observed->sh, key->scope,
                                              key->key);

    flies = entry
            && ngx_http_llm_cache_observed_flown(entry, kind, timeout);

    ngx_http_llm_cache_observed_unlock(observed);

    return flies;
}


void
ngx_http_llm_cache_observed_land(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_key_t *key)
{
    ngx_http_llm_cache_observed_entry_t  *entry;

    if (key->flight == 0) {
        return;
    }

    ngx_http_llm_cache_observed_lock(observed);

    entry = *ngx_http_llm_cache_observed_link(observed->sh, key->scope,
                                              key->key);

    if (entry && entry->flight == key->flight) {
        entry->flight = 0;

        if (entry->answer.size == 0) {
            ngx_http_llm_cache_observed_drop(observed, entry);
        }
    }

    key->flight = 0;

    ngx_http_llm_cache_observed_unlock(observed);
}


ngx_int_t
ngx_http_llm_cache_observed_put(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key,
    const ngx_http_llm_cache_observed_answer_t *answer)
{
    ngx_uint_t                            i;
    ngx_http_llm_cache_observed_entry_t  *entry, *old;
    ngx_http_llm_cache_observed_store_t  *store;

    if (answer->size > observed->capacity) {
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_observed_lock(observed);

    store = &observed->sh->stores[key->scope];

    for (i = 0; i < NGX_HTTP_LLM_CACHE_OBSERVED_SWEEP; i++) {

        old = ngx_http_llm_cache_observed_lowest(store);

        if (old && ngx_time() - (time_t) old->used >= observed->inactive) {
            ngx_http_llm_cache_observed_drop(observed, old);
        }
    }

    entry = ngx_http_llm_cache_observed_make(observed, key);

    ngx_http_llm_cache_observed_unhold(observed, entry);

    entry->state = NGX_HTTP_LLM_CACHE_OBSERVED_HELD;
    entry->answer = *answer;
    entry->used = (uint32_t) ngx_time();
    entry->frequency = 1;

    store->gauges.entries++;
    store->gauges.bytes += answer->size;

    ngx_http_llm_cache_observed_rank(observed, entry);

    for (i = 0;
         store->gauges.bytes > observed->capacity
         && i < NGX_HTTP_LLM_CACHE_OBSERVED_EVICT;
         i++)
    {
        ngx_http_llm_cache_observed_evict(observed, key->scope);
    }

    ngx_http_llm_cache_observed_unlock(observed);

    return NGX_OK;
}


void
ngx_http_llm_cache_observed_gauges(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope,
    ngx_http_llm_cache_observed_gauges_t *gauges)
{
    ngx_memzero(gauges, sizeof(ngx_http_llm_cache_observed_gauges_t));

    if (observed->used) {
        ngx_http_llm_cache_observed_lock(observed);
        *gauges = observed->sh->stores[scope].gauges;
        ngx_http_llm_cache_observed_unlock(observed);
    }
}


/* under the lock from here on */

static ngx_http_llm_cache_observed_entry_t **
ngx_http_llm_cache_observed_link(ngx_http_llm_cache_observed_sh_t *sh,
    ngx_http_llm_cache_observed_scope_e scope, const u_char *key)
{
    uint64_t                               hash;
    ngx_http_llm_cache_observed_entry_t  **link;

    ngx_memcpy(&hash, key, sizeof(hash));

    /* the stores know of the same keys: they do not share buckets */

    link = &sh->buckets[(hash + (uint64_t) scope) & sh->mask];

    while (*link
           && ((*link)->scope != (u_char) scope
               || ngx_memcmp((*link)->key, key,
                             NGX_HTTP_LLM_CACHE_OBSERVED_KEY)
                  != 0))
    {
        link = &(*link)->next;
    }

    return link;
}


/* what was not asked for within "inactive" is not there any more */

static ngx_http_llm_cache_observed_entry_t *
ngx_http_llm_cache_observed_find(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key)
{
    ngx_http_llm_cache_observed_entry_t  *entry;

    entry = *ngx_http_llm_cache_observed_link(observed->sh, key->scope,
                                              key->key);

    if (entry && entry->answer.size
        && ngx_time() - (time_t) entry->used >= observed->inactive)
    {
        ngx_http_llm_cache_observed_drop(observed, entry);
        return NULL;
    }

    return entry;
}


/* the key's entry, or a new one, without an answer */

static ngx_http_llm_cache_observed_entry_t *
ngx_http_llm_cache_observed_make(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key)
{
    ngx_http_llm_cache_observed_sh_t      *sh;
    ngx_http_llm_cache_observed_entry_t   *entry, **link;

    sh = observed->sh;
    entry = *ngx_http_llm_cache_observed_link(sh, key->scope, key->key);

    if (entry) {
        return entry;
    }

    entry = ngx_http_llm_cache_observed_room(observed, key->scope);

    /* making room may have changed the bucket */

    link = ngx_http_llm_cache_observed_link(sh, key->scope, key->key);

    ngx_memzero(entry, sizeof(ngx_http_llm_cache_observed_entry_t));

    ngx_memcpy(entry->key, key->key, NGX_HTTP_LLM_CACHE_OBSERVED_KEY);

    entry->scope = (u_char) key->scope;
    entry->state = NGX_HTTP_LLM_CACHE_OBSERVED_GONE;
    entry->used = (uint32_t) ngx_time();
    *link = entry;

    ngx_queue_insert_tail(&sh->stores[key->scope].gone, &entry->u.queue);

    return entry;
}


/*
 * An entry that is free: one that was never taken, or what has been gone for
 * longest, of this store rather than of another, or what is held but worth
 * least.
 */

static ngx_http_llm_cache_observed_entry_t *
ngx_http_llm_cache_observed_room(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope)
{
    ngx_uint_t                            i;
    ngx_http_llm_cache_observed_sh_t     *sh;
    ngx_http_llm_cache_observed_entry_t  *entry;
    ngx_http_llm_cache_observed_store_t  *store;

    sh = observed->sh;

    if (sh->free == NULL && sh->taken < sh->n) {
        return &sh->entries[sh->taken++];
    }

    for (i = 0;
         sh->free == NULL && i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX;
         i++)
    {
        store = &sh->stores[(scope + i) % NGX_HTTP_LLM_CACHE_OBSERVED_MAX];

        if (!ngx_queue_empty(&store->gone)) {
            entry = ngx_queue_data(ngx_queue_head(&store->gone),
                                   ngx_http_llm_cache_observed_entry_t,
                                   u.queue);
            ngx_http_llm_cache_observed_drop(observed, entry);
        }
    }

    for (i = 0;
         sh->free == NULL && i < NGX_HTTP_LLM_CACHE_OBSERVED_MAX;
         i++)
    {
        store = &sh->stores[(scope + i) % NGX_HTTP_LLM_CACHE_OBSERVED_MAX];
        entry = ngx_http_llm_cache_observed_lowest(store);

        if (entry) {
            ngx_http_llm_cache_count(
                        &(*observed->stat)->observed_evicted[entry->scope], 1);
            ngx_http_llm_cache_observed_drop(observed, entry);
        }
    }

    /* all entries are in one of these places, and there are some */

    entry = sh->free;
    sh->free = entry->next;

    return entry;
}


static void
ngx_http_llm_cache_observed_rank(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry)
{
    ngx_http_llm_cache_observed_store_t  *store;

    store = &observed->sh->stores[entry->scope];

    entry->asked = 0;

    if (observed->lru) {
        store->age = llm_evict_latest(store->age, (uint64_t) ngx_time());
        entry->u.rank.key = (ngx_rbtree_key_t) store->age;

    } else {
        entry->u.rank.key = (ngx_rbtree_key_t)
                            llm_evict_priority(store->age, entry->frequency,
                                               entry->answer.weight);
    }

    ngx_rbtree_insert(&store->ranks, &entry->u.rank);
}


/* takes an entry from among those that are held, or gone */

static void
ngx_http_llm_cache_observed_unhold(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry)
{
    ngx_http_llm_cache_observed_store_t  *store;

    store = &observed->sh->stores[entry->scope];

    if (entry->state == NGX_HTTP_LLM_CACHE_OBSERVED_HELD) {
        ngx_rbtree_delete(&store->ranks, &entry->u.rank);

        store->gauges.entries--;
        store->gauges.bytes -= entry->answer.size;

        return;
    }

    ngx_queue_remove(&entry->u.queue);

    if (entry->answer.size) {
        store->gauges.evicted_entries--;
        store->gauges.evicted_bytes -= entry->answer.size;
    }
}


static void
ngx_http_llm_cache_observed_drop(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_entry_t *entry)
{
    ngx_http_llm_cache_observed_sh_t      *sh;
    ngx_http_llm_cache_observed_entry_t  **link;

    sh = observed->sh;

    link = ngx_http_llm_cache_observed_link(sh, entry->scope, entry->key);
    *link = entry->next;

    ngx_http_llm_cache_observed_unhold(observed, entry);

    entry->state = NGX_HTTP_LLM_CACHE_OBSERVED_FREE;
    entry->next = sh->free;
    sh->free = entry;
}


static ngx_http_llm_cache_observed_entry_t *
ngx_http_llm_cache_observed_lowest(ngx_http_llm_cache_observed_store_t *store)
{
    ngx_rbtree_node_t  *rank;

    if (store->ranks.root == &store->sentinel) {
        return NULL;
    }

    rank = ngx_rbtree_min(store->ranks.root, &store->sentinel);

    return ngx_rbtree_data(rank, ngx_http_llm_cache_observed_entry_t, u.rank);
}


/* what has the lowest priority is gone; as in ngx_http_llm_cache_shard.c */

static void
ngx_http_llm_cache_observed_evict(ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope)
{
    ngx_uint_t                            i;
    ngx_http_llm_cache_observed_entry_t  *entry;
    ngx_http_llm_cache_observed_store_t  *store;

    store = &observed->sh->stores[scope];
    entry = ngx_http_llm_cache_observed_lowest(store);

    for (i = 0; entry && entry->asked && i < LLM_EVICT_CHANCES; i++) {

        ngx_rbtree_delete(&store->ranks, &entry->u.rank);
        ngx_http_llm_cache_observed_rank(observed, entry);

        entry = ngx_http_llm_cache_observed_lowest(store);
    }

    if (entry == NULL) {
        return;
    }

    if (!observed->lru) {
        store->age = entry->u.rank.key;
    }

    ngx_http_llm_cache_observed_unhold(observed, entry);

    entry->state = NGX_HTTP_LLM_CACHE_OBSERVED_GONE;
    ngx_queue_insert_tail(&store->gone, &entry->u.queue);

    store->gauges.evicted_entries++;
    store->gauges.evicted_bytes += entry->answer.size;

    ngx_http_llm_cache_count(&(*observed->stat)->observed_evicted[scope], 1);
}
