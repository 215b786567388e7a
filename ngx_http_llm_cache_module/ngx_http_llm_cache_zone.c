#include "ngx_http_llm_cache_zone.h"

#include <signal.h>


#define NGX_HTTP_LLM_CACHE_LAYOUT      1

/* what one node of the index is expected to carry, to size the buckets */
#define NGX_HTTP_LLM_CACHE_MEAN_ENTRY  2048

#define NGX_HTTP_LLM_CACHE_MIN_CHUNK   64

/* the most chunks that are freed, and records evicted, under one lock */
#define NGX_HTTP_LLM_CACHE_FREE_STEP   16
#define NGX_HTTP_LLM_CACHE_EVICT_STEP  16

/* the most locks that are taken to make room for one chunk */
#define NGX_HTTP_LLM_CACHE_EVICT_MAX   256


/* what one worker holds; a page */

#define NGX_HTTP_LLM_CACHE_HELD                                               \
    ((4096 - 4 * sizeof(void *)) / sizeof(void *))

struct ngx_http_llm_cache_slot_s {
    ngx_http_llm_cache_slot_t   *next;
    ngx_pid_t                    pid;        /* 0: free */
    ngx_uint_t                   n;
    ngx_uint_t                   hint;
    ngx_http_llm_cache_node_t   *held[NGX_HTTP_LLM_CACHE_HELD];
};


struct ngx_http_llm_cache_sh_s {
    ngx_uint_t                   layout;
    ngx_uint_t                   mask;       /* number of buckets - 1 */
    ngx_http_llm_cache_node_t  **buckets;
    ngx_queue_t                  used;       /* most recently used first */
    ngx_queue_t                  garbage;    /* without references */
    ngx_http_llm_cache_slot_t   *slots;      /* grows only */

    ngx_uint_t                   generation; /* of the index */
    volatile ngx_uint_t          busy;       /* somebody is inside the lock */
    volatile ngx_uint_t          broken;     /* somebody died there */
    ngx_uint_t                   full;       /* warned about */
};


static ngx_int_t ngx_http_llm_cache_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_llm_cache_zone_format(
    ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_zone_lock(
    ngx_http_llm_cache_zone_t *zone);
static void ngx_http_llm_cache_zone_unlock(ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_zone_recover(
    ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_zone_hold(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t *node, ngx_http_llm_cache_hold_t *hold);
static ngx_http_llm_cache_slot_t *ngx_http_llm_cache_zone_slot(
    ngx_http_llm_cache_zone_t *zone);
static ngx_http_llm_cache_node_t **ngx_http_llm_cache_zone_find(
    ngx_http_llm_cache_zone_t *zone, const u_char *key);
static void ngx_http_llm_cache_zone_unlink(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t **link);
static void ngx_http_llm_cache_zone_unref(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t *node);
static void ngx_http_llm_cache_zone_expire(ngx_http_llm_cache_zone_t *zone);
static void ngx_http_llm_cache_zone_evict(ngx_http_llm_cache_zone_t *zone,
    ngx_queue_t *q);
static void *ngx_http_llm_cache_zone_alloc(ngx_http_llm_cache_zone_t *zone,
    size_t size, ngx_uint_t *again);
static ngx_uint_t ngx_http_llm_cache_zone_collect_step(
    ngx_http_llm_cache_zone_t *zone);
static void ngx_http_llm_cache_zone_collect(ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_zone_add_chunk(
    ngx_http_llm_cache_writer_t *w, ngx_http_llm_cache_chunk_t **link,
    size_t size);
static size_t ngx_http_llm_cache_zone_chunk_size(size_t left);
static void ngx_http_llm_cache_zone_trim(ngx_http_llm_cache_writer_t *w);
static void ngx_http_llm_cache_zone_full(ngx_http_llm_cache_zone_t *zone);


char *
ngx_http_llm_cache_zone_add(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone)
{
    zone->shm_zone = ngx_shared_memory_add(cf, &zone->name, zone->size,
                                           &ngx_http_llm_cache_module);
    if (zone->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (zone->shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate \"llm_cache_zone\" zone \"%V\"",
                           &zone->name);
        return NGX_CONF_ERROR;
    }

    zone->shm_zone->init = ngx_http_llm_cache_zone_init;
    zone->shm_zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_llm_cache_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_llm_cache_zone_t  *zone;

    zone = shm_zone->data;
    zone->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        zone->sh = zone->pool->data;

        if (zone->sh == NULL || zone->sh->layout != NGX_HTTP_LLM_CACHE_LAYOUT)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "llm_cache_zone \"%V\" holds the layout of another "
                          "version of the module; restart nginx, or give the "
                          "zone another name or size", &zone->name);
            return NGX_ERROR;
        }

        zone->sh->full = 0;

        return NGX_OK;
    }

    if (ngx_http_llm_cache_zone_format(zone) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_cache_zone \"%V\" is too small", &zone->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Lays out an empty pool.  Allocations in a pool just initialized are
 * deterministic, so that doing it again finds the index at the old address,
 * which other workers keep.
 */

static ngx_int_t
ngx_http_llm_cache_zone_format(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                n;
    ngx_http_llm_cache_sh_t  *sh;

    zone->pool->log_nomem = 0;

    sh = ngx_slab_calloc_locked(zone->pool, sizeof(ngx_http_llm_cache_sh_t));
    if (sh == NULL || (zone->sh && zone->sh != sh)) {
        return NGX_ERROR;
    }

    for (n = 64; n < zone->size / NGX_HTTP_LLM_CACHE_MEAN_ENTRY; n <<= 1) {
        /* void */
    }

    sh->buckets = ngx_slab_calloc_locked(zone->pool, n * sizeof(void *));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_CACHE_LAYOUT;
    sh->mask = n - 1;
    sh->generation = 1;

    ngx_queue_init(&sh->used);
    ngx_queue_init(&sh->garbage);

    zone->sh = sh;
    zone->pool->data = sh;

    return NGX_OK;
}


/* NGX_OK, the lock being held; or NGX_ERROR, where it is not */

static ngx_int_t
ngx_http_llm_cache_zone_lock(ngx_http_llm_cache_zone_t *zone)
{
    ngx_http_llm_cache_sh_t  *sh;

    sh = zone->sh;

    ngx_shmtx_lock(&zone->pool->mutex);

    if (sh->busy && !sh->broken) {
        sh->broken = 1;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "llm_cache_zone \"%V\": a worker died while it changed "
                      "the index, the zone will start empty", &zone->name);
    }

    sh->busy = 1;
    ngx_memory_barrier();

    if (sh->broken && ngx_http_llm_cache_zone_recover(zone) != NGX_OK) {
        ngx_http_llm_cache_zone_unlock(zone);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_zone_unlock(ngx_http_llm_cache_zone_t *zone)
{
    ngx_memory_barrier();
    zone->sh->busy = 0;

    ngx_shmtx_unlock(&zone->pool->mutex);
}


/*
 * The memory of a broken zone may be used again only when nobody reads from
 * it any more.
 */

static ngx_int_t
ngx_http_llm_cache_zone_recover(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                  generation;
    ngx_http_llm_cache_slot_t  *slot;

    for (slot = zone->sh->slots; slot; slot = slot->next) {
        if (slot->pid && slot->n) {
            return NGX_ERROR;
        }
    }

    generation = zone->sh->generation;

    ngx_slab_init(zone->pool);

    if (ngx_http_llm_cache_zone_format(zone) != NGX_OK) {
        zone->sh->broken = 1;
        return NGX_ERROR;
    }

    zone->sh->generation = generation + 1;
    zone->sh->busy = 1;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\" starts empty", &zone->name);

    return NGX_OK;
}


void
ngx_http_llm_cache_zone_reap(ngx_http_llm_cache_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t                  i, broken;
    ngx_http_llm_cache_slot_t  *slot;

    if (zone->sh == NULL) {
        return;
    }

    for (slot = zone->sh->slots; slot; slot = slot->next) {

        if (slot->pid == 0) {
            continue;
        }

        /* a process that has only just started holds nothing yet */

        if (slot->pid != ngx_pid
            && (kill(slot->pid, 0) == 0 || ngx_errno != ESRCH))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "llm_cache_zone \"%V\": giving back %ui records that "
                      "process %P had held", &zone->name, slot->n, slot->pid);

        broken = ngx_http_llm_cache_zone_lock(zone) != NGX_OK;

        for (i = 0; i < NGX_HTTP_LLM_CACHE_HELD; i++) {
            if (slot->held[i] && !broken) {
                ngx_http_llm_cache_zone_unref(zone, slot->held[i]);
            }

            slot->held[i] = NULL;
        }

        slot->n = 0;
        slot->pid = 0;

        if (!broken) {
            ngx_http_llm_cache_zone_unlock(zone);
        }
    }

    ngx_http_llm_cache_zone_collect(zone);
}


ngx_int_t
ngx_http_llm_cache_zone_get(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_hold_t *hold)
{
    time_t                      now;
    ngx_int_t                   rc;
    ngx_http_llm_cache_node_t  *node, **link;

    now = ngx_time();

    if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
        return NGX_DECLINED;
    }

    link = ngx_http_llm_cache_zone_find(zone, key);
    node = *link;

    if (node == NULL) {
        rc = NGX_DECLINED;

    } else if (now - (time_t) node->used >= zone->inactive) {
        ngx_http_llm_cache_zone_unlink(zone, link);
        rc = NGX_DECLINED;

    } else if ((time_t) node->expires <= now) {
        rc = NGX_BUSY;

    } else {

        if ((time_t) node->used != now) {
            node->used = (uint32_t) now;
            ngx_queue_remove(&node->queue);
            ngx_queue_insert_head(&zone->sh->used, &node->queue);
        }

        rc = ngx_http_llm_cache_zone_hold(zone, node, hold);
    }

    ngx_http_llm_cache_zone_unlock(zone);

    return rc;
}


void
ngx_http_llm_cache_zone_release(ngx_http_llm_cache_hold_t *hold)
{
    ngx_uint_t                  broken, garbage;
    ngx_http_llm_cache_slot_t  *slot;
    ngx_http_llm_cache_zone_t  *zone;

    if (hold->node == NULL) {
        return;
    }

    zone = hold->zone;
    slot = hold->slot;

    broken = ngx_http_llm_cache_zone_lock(zone) != NGX_OK;

    /* a zone cannot have been emptied while this worker held a record */

    slot->held[hold->index] = NULL;
    slot->hint = hold->index;
    slot->n--;

    garbage = 0;

    if (!broken) {
        ngx_http_llm_cache_zone_unref(zone, hold->node);
        garbage = !ngx_queue_empty(&zone->sh->garbage);
        ngx_http_llm_cache_zone_unlock(zone);
    }

    hold->node = NULL;

    if (garbage) {
        ngx_http_llm_cache_zone_collect(zone);
    }
}


/*
 * Adds a reference to a node and writes down in this worker's slot that it
 * holds it.  The reference comes first: making room for a slot may evict.
 */

static ngx_int_t
ngx_http_llm_cache_zone_hold(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t *node, ngx_http_llm_cache_hold_t *hold)
{
    ngx_uint_t                  i;
    ngx_http_llm_cache_slot_t  *slot;

    node->refs++;

    slot = ngx_http_llm_cache_zone_slot(zone);
    if (slot == NULL) {
        ngx_http_llm_cache_zone_unref(zone, node);
        return NGX_DECLINED;
    }

    i = slot->hint;

    while (slot->held[i]) {
        i = (i + 1) % NGX_HTTP_LLM_CACHE_HELD;
    }

    slot->held[i] = node;
    slot->hint = (i + 1) % NGX_HTTP_LLM_CACHE_HELD;
    slot->n++;

    hold->zone = zone;
    hold->node = node;
    hold->slot = slot;
    hold->index = i;

    return NGX_OK;
}


/* a slot of this worker with a free place */

static ngx_http_llm_cache_slot_t *
ngx_http_llm_cache_zone_slot(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                  again;
    ngx_http_llm_cache_sh_t    *sh;
    ngx_http_llm_cache_slot_t  *slot;

    sh = zone->sh;

    if (zone->slot
        && zone->generation == sh->generation
        && zone->slot->n < NGX_HTTP_LLM_CACHE_HELD)
    {
        return zone->slot;
    }

    for (slot = sh->slots; slot; slot = slot->next) {
        if (slot->pid == 0
            || (slot->pid == ngx_pid && slot->n < NGX_HTTP_LLM_CACHE_HELD))
        {
            goto found;
        }
    }

    slot = ngx_http_llm_cache_zone_alloc(zone,
                                         sizeof(ngx_http_llm_cache_slot_t),
                                         &again);
    if (slot == NULL) {
        return NULL;
    }

    ngx_memzero(slot, sizeof(ngx_http_llm_cache_slot_t));
    slot->next = sh->slots;
    sh->slots = slot;

found:

    slot->pid = ngx_pid;

    zone->slot = slot;
    zone->generation = sh->generation;

    return slot;
}


static ngx_http_llm_cache_node_t **
ngx_http_llm_cache_zone_find(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    uint64_t                     hash;
    ngx_http_llm_cache_node_t  **link;

    ngx_memcpy(&hash, key, sizeof(hash));

    link = &zone->sh->buckets[hash & zone->sh->mask];

    while (*link && ngx_memcmp((*link)->key, key, LLM_KEY_LEN) != 0) {
        link = &(*link)->next;
    }

    return link;
}


/* takes a node out of the index, and the index's reference from it */

static void
ngx_http_llm_cache_zone_unlink(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t **link)
{
    ngx_http_llm_cache_node_t  *node;

    node = *link;
    *link = node->next;

    ngx_queue_remove(&node->queue);

    ngx_http_llm_cache_zone_unref(zone, node);
}


static void
ngx_http_llm_cache_zone_unref(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_node_t *node)
{
    if (--node->refs == 0) {
        ngx_queue_insert_tail(&zone->sh->garbage, &node->queue);
    }
}


/* drops what was not used for long: a few at a time, from the cold end */

static void
ngx_http_llm_cache_zone_expire(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q;
    ngx_http_llm_cache_node_t  *node;

    for (i = 0; i < 2; i++) {

        if (ngx_queue_empty(&zone->sh->used)) {
            return;
        }

        q = ngx_queue_last(&zone->sh->used);
        node = ngx_queue_data(q, ngx_http_llm_cache_node_t, queue);

        if (ngx_time() - (time_t) node->used < zone->inactive) {
            return;
        }

        ngx_http_llm_cache_zone_evict(zone, q);
    }
}


static void
ngx_http_llm_cache_zone_evict(ngx_http_llm_cache_zone_t *zone, ngx_queue_t *q)
{
    ngx_http_llm_cache_node_t  *node;

    node = ngx_queue_data(q, ngx_http_llm_cache_node_t, queue);

    ngx_http_llm_cache_zone_unlink(zone,
                               ngx_http_llm_cache_zone_find(zone, node->key));
}


/*
 * Memory from the pool, made by collecting garbage and evicting where needed.
 * NULL: *again tells whether more of the same may help.
 */

static void *
ngx_http_llm_cache_zone_alloc(ngx_http_llm_cache_zone_t *zone, size_t size,
    ngx_uint_t *again)
{
    void                     *p;
    ngx_uint_t                i;
    ngx_http_llm_cache_sh_t  *sh;

    sh = zone->sh;
    *again = 0;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_EVICT_STEP; i++) {

        p = ngx_slab_alloc_locked(zone->pool, size);
        if (p) {
            return p;
        }

        if (ngx_http_llm_cache_zone_collect_step(zone)) {
            continue;
        }

        if (ngx_queue_empty(&sh->used)) {
            return NULL;
        }

        ngx_http_llm_cache_zone_evict(zone, ngx_queue_last(&sh->used));
    }

    *again = 1;

    return NULL;
}


/* frees a bounded part of the garbage; 0 when there is none */

static ngx_uint_t
ngx_http_llm_cache_zone_collect_step(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_chunk_t  *chunk;

    if (ngx_queue_empty(&zone->sh->garbage)) {
        return 0;
    }

    q = ngx_queue_head(&zone->sh->garbage);
    node = ngx_queue_data(q, ngx_http_llm_cache_node_t, queue);

    for (i = 0; i < NGX_HTTP_LLM_CACHE_FREE_STEP; i++) {

        chunk = node->chunks;

        if (chunk == NULL) {
            ngx_queue_remove(q);
            ngx_slab_free_locked(zone->pool, node);
            break;
        }

        node->chunks = chunk->next;
        ngx_slab_free_locked(zone->pool, chunk);
    }

    return 1;
}


static void
ngx_http_llm_cache_zone_collect(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t  i, more;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
            return;
        }

        more = ngx_http_llm_cache_zone_collect_step(zone);

        ngx_http_llm_cache_zone_unlock(zone);

        if (!more) {
            return;
        }
    }
}


ngx_int_t
ngx_http_llm_cache_zone_create(ngx_http_llm_cache_zone_t *zone,
    size_t expected, ngx_http_llm_cache_writer_t *w)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, again;
    ngx_http_llm_cache_node_t  *node;

    ngx_memzero(w, sizeof(ngx_http_llm_cache_writer_t));

    again = 1;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
            return NGX_DECLINED;
        }

        node = ngx_http_llm_cache_zone_alloc(zone,
                                             sizeof(ngx_http_llm_cache_node_t),
                                             &again);
        rc = NGX_DECLINED;

        if (node) {
            ngx_memzero(node, sizeof(ngx_http_llm_cache_node_t));

            rc = ngx_http_llm_cache_zone_hold(zone, node, &w->hold);
        }

        ngx_http_llm_cache_zone_unlock(zone);

        if (rc == NGX_OK) {
            w->last = &node->chunks;
            w->expected = expected;
            return NGX_OK;
        }
    }

    ngx_http_llm_cache_zone_full(zone);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_zone_append(ngx_http_llm_cache_writer_t *w,
    const u_char *data, size_t len)
{
    size_t                       n, left;
    ngx_http_llm_cache_chunk_t  *chunk;

    while (len) {

        chunk = *w->last;

        if (chunk && chunk->len == chunk->size) {
            w->last = &chunk->next;
            chunk = NULL;
        }

        if (chunk == NULL) {

            left = (w->expected > w->len) ? w->expected - w->len : 0;
            n = ngx_http_llm_cache_zone_chunk_size(left ? left : ngx_pagesize);

            if (ngx_http_llm_cache_zone_add_chunk(w, w->last, n) != NGX_OK) {
                return NGX_DECLINED;
            }

            chunk = *w->last;
        }

        n = ngx_min(len, chunk->size - chunk->len);

        ngx_memcpy(chunk->data + chunk->len, data, n);

        chunk->len += n;
        w->len += n;
        data += n;
        len -= n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_zone_add_chunk(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_chunk_t **link, size_t size)
{
    ngx_uint_t                   i, again;
    ngx_http_llm_cache_zone_t   *zone;
    ngx_http_llm_cache_chunk_t  *chunk;

    zone = w->hold.zone;
    again = 1;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
            return NGX_DECLINED;
        }

        chunk = ngx_http_llm_cache_zone_alloc(zone, size, &again);

        if (chunk) {
            chunk->next = NULL;
            chunk->size = size - sizeof(ngx_http_llm_cache_chunk_t);
            chunk->len = 0;

            /* linked under the lock: nothing is lost with this worker */
            *link = chunk;
        }

        ngx_http_llm_cache_zone_unlock(zone);

        if (chunk) {
            return NGX_OK;
        }
    }

    ngx_http_llm_cache_zone_full(zone);

    return NGX_DECLINED;
}


/*
 * The size class for the next chunk of what is left: the one that holds it,
 * or, where an eighth of that would be wasted, the next smaller one.
 */

static size_t
ngx_http_llm_cache_zone_chunk_size(size_t left)
{
    size_t  size, need;

    need = left + sizeof(ngx_http_llm_cache_chunk_t);
    size = ngx_pagesize;

    if (need >= size) {
        return size;
    }

    while (size / 2 >= need && size > NGX_HTTP_LLM_CACHE_MIN_CHUNK) {
        size /= 2;
    }

    if (size > NGX_HTTP_LLM_CACHE_MIN_CHUNK && size - need > size / 8) {
        size /= 2;
    }

    return size;
}


/* replaces a last chunk that is mostly empty by fitting ones */

static void
ngx_http_llm_cache_zone_trim(ngx_http_llm_cache_writer_t *w)
{
    u_char                       *p;
    size_t                        size, left;
    ngx_http_llm_cache_chunk_t   *old, *chunk, **link;

    old = *w->last;

    if (old == NULL) {
        return;
    }

    size = ngx_http_llm_cache_zone_chunk_size(old->len);

    if (size >= old->size + sizeof(ngx_http_llm_cache_chunk_t)) {
        return;
    }

    p = old->data;
    left = old->len;
    link = &old->next;

    /* the new chunks hang on the old one until they are complete */

    while (left) {
        size = ngx_http_llm_cache_zone_chunk_size(left);

        if (ngx_http_llm_cache_zone_add_chunk(w, link, size) != NGX_OK) {

            for (chunk = old->next; chunk; chunk = chunk->next) {
                chunk->len = 0;
            }

            return;
        }

        chunk = *link;
        chunk->len = ngx_min(left, chunk->size);
        ngx_memcpy(chunk->data, p, chunk->len);

        p += chunk->len;
        left -= chunk->len;
        link = &chunk->next;
    }

    if (ngx_http_llm_cache_zone_lock(w->hold.zone) != NGX_OK) {
        return;
    }

    *w->last = old->next;
    ngx_slab_free_locked(w->hold.zone->pool, old);

    ngx_http_llm_cache_zone_unlock(w->hold.zone);
}


void
ngx_http_llm_cache_zone_write(ngx_http_llm_cache_writer_t *w, size_t offset,
    const u_char *data, size_t len)
{
    size_t                       n;
    ngx_http_llm_cache_chunk_t  *chunk;

    for (chunk = w->hold.node->chunks; chunk && len; chunk = chunk->next) {

        if (offset >= chunk->len) {
            offset -= chunk->len;
            continue;
        }

        n = ngx_min(len, chunk->len - offset);

        ngx_memcpy(chunk->data + offset, data, n);

        data += n;
        len -= n;
        offset = 0;
    }
}


ngx_int_t
ngx_http_llm_cache_zone_commit(ngx_http_llm_cache_writer_t *w,
    const u_char *key, time_t created, time_t expires)
{
    ngx_http_llm_cache_zone_t   *zone;
    ngx_http_llm_cache_node_t   *node, **link;

    zone = w->hold.zone;
    node = w->hold.node;

    ngx_http_llm_cache_zone_trim(w);

    if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
        ngx_http_llm_cache_zone_abandon(w);
        return NGX_DECLINED;
    }

    link = ngx_http_llm_cache_zone_find(zone, key);

    if (*link) {
        ngx_http_llm_cache_zone_unlink(zone, link);
    }

    ngx_memcpy(node->key, key, LLM_KEY_LEN);
    node->created = (uint32_t) created;
    node->expires = (uint32_t) expires;
    node->used = (uint32_t) ngx_time();
    node->refs++;

    link = ngx_http_llm_cache_zone_find(zone, key);
    node->next = *link;
    *link = node;

    ngx_queue_insert_head(&zone->sh->used, &node->queue);

    ngx_http_llm_cache_zone_expire(zone);

    ngx_http_llm_cache_zone_unlock(zone);

    ngx_http_llm_cache_zone_release(&w->hold);

    return NGX_OK;
}


void
ngx_http_llm_cache_zone_abandon(ngx_http_llm_cache_writer_t *w)
{
    ngx_http_llm_cache_zone_release(&w->hold);
}


void
ngx_http_llm_cache_zone_delete(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    ngx_http_llm_cache_node_t  **link;

    if (ngx_http_llm_cache_zone_lock(zone) != NGX_OK) {
        return;
    }

    link = ngx_http_llm_cache_zone_find(zone, key);

    if (*link) {
        ngx_http_llm_cache_zone_unlink(zone, link);
    }

    ngx_http_llm_cache_zone_unlock(zone);
}


static void
ngx_http_llm_cache_zone_full(ngx_http_llm_cache_zone_t *zone)
{
    if (zone->sh->broken || zone->sh->full) {
        return;
    }

    zone->sh->full = 1;

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\" is full and nothing in it can be "
                  "evicted now: answers pass uncached, make it larger",
                  &zone->name);
}
