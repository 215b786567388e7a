#include "ngx_http_llm_cache_flight.h"
#include "ngx_http_llm_cache_holds.h"
#include "ngx_http_llm_cache_shard.h"


/* what one node of the index is expected to carry, to size the buckets */
#define NGX_HTTP_LLM_CACHE_MEAN_ENTRY  2048

/* the memo's part of a zone */
#define NGX_HTTP_LLM_CACHE_MEMO_SHARE  32

/* the most chunks that are freed, and records evicted, under one lock */
#define NGX_HTTP_LLM_CACHE_FREE_STEP   16
#define NGX_HTTP_LLM_CACHE_EVICT_STEP  16


/* it fills a size class of the allocator: a byte more would double it */
_Static_assert(sizeof(ngx_http_llm_cache_node_t) <= 128,
               "the index entry has grown");


static ngx_int_t ngx_http_llm_cache_shard_recover(
    ngx_http_llm_cache_shard_t *shard);
static ngx_int_t ngx_http_llm_cache_shard_memo(
    ngx_http_llm_cache_shard_t *shard, ngx_http_llm_cache_sh_t *sh);
static ngx_http_llm_cache_slot_t *ngx_http_llm_cache_shard_slot(
    ngx_http_llm_cache_shard_t *shard, ngx_uint_t n, ngx_uint_t *again);
static void ngx_http_llm_cache_shard_put(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t **link, ngx_http_llm_cache_node_t *node);
static void ngx_http_llm_cache_shard_rank(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node);
static ngx_http_llm_cache_node_t *ngx_http_llm_cache_shard_lowest(
    ngx_http_llm_cache_shard_t *shard);
static ngx_uint_t ngx_http_llm_cache_shard_evict(
    ngx_http_llm_cache_shard_t *shard);


ngx_int_t
ngx_http_llm_cache_shard_lock(ngx_http_llm_cache_shard_t *shard)
{
    ngx_http_llm_cache_sh_t  *sh;

    sh = shard->sh;

    ngx_shmtx_lock(&shard->pool->mutex);
    ngx_http_llm_cache_hold_begins();

    if (sh->busy && !sh->broken) {
        sh->broken = 1;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "llm_cache_zone \"%V\": a worker died while it changed "
                      "the index, the zone will start empty", &shard->name);
    }

    sh->busy = 1;
    ngx_memory_barrier();

    if (sh->broken && ngx_http_llm_cache_shard_recover(shard) != NGX_OK) {
        ngx_http_llm_cache_shard_unlock(shard);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_llm_cache_shard_unlock(ngx_http_llm_cache_shard_t *shard)
{
    ngx_memory_barrier();
    shard->sh->busy = 0;

    ngx_http_llm_cache_hold_ends();
    ngx_shmtx_unlock(&shard->pool->mutex);
}


/*
 * The memory of a broken zone may be used again only when nobody reads from
 * it any more.  It stays broken to the end of this, whoever dies here.
 */

static ngx_int_t
ngx_http_llm_cache_shard_recover(ngx_http_llm_cache_shard_t *shard)
{
    ngx_http_llm_cache_sh_t    *sh;
    ngx_http_llm_cache_slot_t  *slot;

    sh = shard->sh;

    for (slot = sh->slots; slot; slot = slot->next) {
        if (slot->pid && slot->n) {
            return NGX_ERROR;
        }
    }

    ngx_slab_init(shard->pool);

    if (ngx_http_llm_cache_shard_format(shard) != NGX_OK) {
        return NGX_ERROR;
    }

    sh->generation++;
    sh->full = 0;

    /* purges passed by a broken shard: it forgets all of before the last */

    sh->purges.last = ngx_http_llm_cache_zone_purges(shard->zone);
    sh->purges.all = sh->purges.last;

    ngx_memory_barrier();
    sh->broken = 0;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\" starts empty", &shard->name);

    return NGX_OK;
}


/*
 * Lays out an empty pool, again with an empty index.  Allocations in a pool
 * just initialized are deterministic, so that doing it again finds everything
 * at the old address, which other workers keep.
 */

ngx_int_t
ngx_http_llm_cache_shard_format(ngx_http_llm_cache_shard_t *shard)
{
    size_t                    kept;
    ngx_uint_t                n;
    ngx_http_llm_cache_sh_t  *sh;

    shard->pool->log_nomem = 0;

    sh = ngx_slab_alloc_locked(shard->pool, sizeof(ngx_http_llm_cache_sh_t));
    if (sh == NULL || (shard->sh && shard->sh != sh)) {
        return NGX_ERROR;
    }

    kept = shard->sh ? offsetof(ngx_http_llm_cache_sh_t, buckets) : 0;

    ngx_memzero((u_char *) sh + kept, sizeof(ngx_http_llm_cache_sh_t) - kept);

    for (n = 64; n < shard->size / NGX_HTTP_LLM_CACHE_MEAN_ENTRY; n <<= 1) {
        /* void */
    }

    sh->buckets = ngx_slab_calloc_locked(shard->pool, n * sizeof(void *));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    if (shard == shard->zone->shards
        && ngx_http_llm_cache_shard_memo(shard, sh) != NGX_OK)
    {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_CACHE_LAYOUT;
    sh->shards = shard->zone->n;
    sh->mask = n - 1;

    if (shard->zone->lru) {
        sh->age = llm_evict_latest(0, (uint64_t) ngx_time());
    }

    ngx_rbtree_init(&sh->ranks, &sh->sentinel, ngx_rbtree_insert_value);

    for (n = 0; n < NGX_HTTP_LLM_CACHE_ERAS; n++) {
        sh->graves[n] = &sh->sentinel;
    }

    shard->sh = sh;
    shard->pool->data = sh;

    return NGX_OK;
}


/* it needs no lock, and goes on where the index starts empty */

static ngx_int_t
ngx_http_llm_cache_shard_memo(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_sh_t *sh)
{
    size_t                      size;
    ngx_http_llm_cache_memo_t  *memo;

    size = ngx_http_llm_cache_memo_size(shard->zone->size
                                        / NGX_HTTP_LLM_CACHE_MEMO_SHARE);

    memo = ngx_slab_alloc_locked(shard->pool, size);

    if (memo == NULL) {
        return NGX_ERROR;
    }

    if (sh->memo) {
        return sh->memo == memo ? NGX_OK : NGX_ERROR;
    }

    sh->memo = memo;

    return ngx_http_llm_cache_memo_init(memo, size);
}


/*
 * Adds a reference to a node and writes down in this worker's slot that it
 * holds it.  The reference comes first: making room for a slot may evict.
 */

ngx_int_t
ngx_http_llm_cache_shard_hold(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, ngx_http_llm_cache_hold_t *hold)
{
    ngx_uint_t                  i, again;
    ngx_http_llm_cache_slot_t  *slot;

    node->refs++;

    slot = ngx_http_llm_cache_shard_slot(shard, 1, &again);
    if (slot == NULL) {
        ngx_http_llm_cache_shard_unref(shard, node);
        return NGX_DECLINED;
    }

    i = slot->hint;

    while (slot->held[i]) {
        i = (i + 1) % NGX_HTTP_LLM_CACHE_HELD;
    }

    slot->held[i] = (uintptr_t) node;
    slot->hint = (i + 1) % NGX_HTTP_LLM_CACHE_HELD;
    slot->n++;

    hold->shard = shard;
    hold->node = node;
    hold->slot = slot;
    hold->index = i;
    hold->part = NGX_HTTP_LLM_CACHE_READER;

    return NGX_OK;
}


void
ngx_http_llm_cache_shard_take_part(ngx_http_llm_cache_hold_t *hold,
    ngx_uint_t part)
{
    hold->part = part;
    hold->slot->held[hold->index] |= part;
}


void
ngx_http_llm_cache_shard_drop(ngx_http_llm_cache_shard_t *shard,
    uintptr_t held)
{
    ngx_uint_t                  part;
    ngx_http_llm_cache_node_t  *node;

    part = held & (NGX_HTTP_LLM_CACHE_FOLLOWER|NGX_HTTP_LLM_CACHE_LEADER);
    node = (ngx_http_llm_cache_node_t *) (held - part);

    if (part) {
        ngx_http_llm_cache_flight_leave(shard, node, part);
    }

    ngx_http_llm_cache_shard_unref(shard, node);
}


void
ngx_http_llm_cache_shard_release(ngx_http_llm_cache_hold_t *hold)
{
    uintptr_t                    held;
    ngx_uint_t                   broken, garbage;
    ngx_http_llm_cache_slot_t   *slot;
    ngx_http_llm_cache_shard_t  *shard;

    shard = hold->shard;
    slot = hold->slot;

    broken = ngx_http_llm_cache_shard_lock(shard) != NGX_OK;

    /* a zone cannot have been emptied while this worker held a record */

    held = slot->held[hold->index];

    if (broken && (held & NGX_HTTP_LLM_CACHE_LEADER)) {
        ngx_http_llm_cache_flight_broken(hold->node->flight);
    }

    slot->held[hold->index] = 0;
    slot->hint = hold->index;
    slot->n--;

    garbage = 0;

    if (!broken) {
        ngx_http_llm_cache_shard_drop(shard, held);
        garbage = shard->sh->garbage != NULL;
        ngx_http_llm_cache_shard_unlock(shard);
    }

    hold->node = NULL;

    if (garbage) {
        ngx_http_llm_cache_shard_collect(shard);
    }
}


/* a slot of this worker with so many free places; as for memory */

static ngx_http_llm_cache_slot_t *
ngx_http_llm_cache_shard_slot(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t n, ngx_uint_t *again)
{
    ngx_http_llm_cache_sh_t    *sh;
    ngx_http_llm_cache_slot_t  *slot;

    sh = shard->sh;

    if (shard->slot
        && shard->generation == sh->generation
        && NGX_HTTP_LLM_CACHE_HELD - shard->slot->n >= n)
    {
        return shard->slot;
    }

    for (slot = sh->slots; slot; slot = slot->next) {
        if (slot->pid == 0
            || (slot->pid == ngx_pid
                && NGX_HTTP_LLM_CACHE_HELD - slot->n >= n))
        {
            goto found;
        }
    }

    slot = ngx_http_llm_cache_shard_alloc(shard,
                                         sizeof(ngx_http_llm_cache_slot_t),
                                         again);
    if (slot == NULL) {
        return NULL;
    }

    ngx_memzero(slot, sizeof(ngx_http_llm_cache_slot_t));
    slot->next = sh->slots;
    sh->slots = slot;

found:

    slot->pid = ngx_pid;

    shard->slot = slot;
    shard->generation = sh->generation;

    return slot;
}


ngx_int_t
ngx_http_llm_cache_shard_reserve(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t n, ngx_uint_t *again)
{
    return ngx_http_llm_cache_shard_slot(shard, n, again) ? NGX_OK
                                                          : NGX_DECLINED;
}


/* at most one node of the key is in the index, be it dead */

ngx_http_llm_cache_node_t **
ngx_http_llm_cache_shard_find(ngx_http_llm_cache_shard_t *shard,
    const u_char *key)
{
    ngx_http_llm_cache_node_t  **link;

    link = ngx_http_llm_cache_shard_locate(shard, key);

    if (*link && ngx_http_llm_cache_shard_dead(shard, *link)) {
        ngx_http_llm_cache_shard_unlink(shard, link);

        while (*link) {
            link = &(*link)->next;
        }
    }

    return link;
}


ngx_http_llm_cache_node_t **
ngx_http_llm_cache_shard_locate(ngx_http_llm_cache_shard_t *shard,
    const u_char *key)
{
    uint64_t                     hash;
    ngx_http_llm_cache_node_t  **link;

    ngx_memcpy(&hash, key, sizeof(hash));

    link = &shard->sh->buckets[hash & shard->sh->mask];

    while (*link && ngx_memcmp((*link)->key, key, LLM_KEY_LEN) != 0) {
        link = &(*link)->next;
    }

    return link;
}


ngx_int_t
ngx_http_llm_cache_shard_get(ngx_http_llm_cache_shard_t *shard,
    const u_char *key, time_t stale, ngx_http_llm_cache_hold_t *hold)
{
    time_t                       now;
    ngx_http_llm_cache_node_t   *node, **link;

    now = ngx_time();
    link = ngx_http_llm_cache_shard_find(shard, key);
    node = *link;

    if (node == NULL) {
        return NGX_DECLINED;
    }

    if (now - (time_t) node->used >= shard->zone->inactive) {
        ngx_http_llm_cache_count(&shard->zone->stat->inactive, 1);
        ngx_http_llm_cache_shard_unlink(shard, link);
        return NGX_DECLINED;
    }

    if ((time_t) node->expires + stale <= now) {
        return NGX_BUSY;
    }

    node->used = (uint32_t) now;

    if (node->frequency < NGX_HTTP_LLM_CACHE_FREQUENCY) {
        node->frequency++;
    }

    node->asked = 1;

    return ngx_http_llm_cache_shard_hold(shard, node, hold);
}


/* puts a node into the index, which owns one of its references */

void
ngx_http_llm_cache_shard_link(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node)
{
    ngx_http_llm_cache_node_t  **link;

    link = ngx_http_llm_cache_shard_find(shard, node->key);

    node->turns = 0;

    if (*link) {
        node->turns = (*link)->turns;
        ngx_http_llm_cache_shard_bar(node, *link);
        ngx_http_llm_cache_shard_unlink(shard, link);
    }

    ngx_http_llm_cache_shard_put(shard, link, node);

    node->frequency = 1;
    shard->sh->changes++;

    ngx_http_llm_cache_shard_rank(shard, node);
}


static void
ngx_http_llm_cache_shard_put(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t **link, ngx_http_llm_cache_node_t *node)
{
    node->next = *link;
    *link = node;

    node->refs++;
    node->rank.data = (u_char) shard->sh->era;

    shard->sh->nodes++;
}


/*
 * Ranks a node as it was in the zone that it comes from.  What that zone said
 * is believed as far as the node could have got there.
 */

ngx_int_t
ngx_http_llm_cache_shard_restore(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, uint64_t priority)
{
    uint64_t                     most;
    ngx_http_llm_cache_sh_t     *sh;
    ngx_http_llm_cache_node_t  **link;

    sh = shard->sh;
    link = ngx_http_llm_cache_shard_find(shard, node->key);

    if (*link) {
        return NGX_DECLINED;
    }

    if (shard->zone->lru) {
        node->rank.key = (ngx_rbtree_key_t) llm_evict_used(sh->age,
                                                           node->used);

    } else {
        most = llm_evict_priority(0, node->frequency, node->weight);
        node->rank.key = (ngx_rbtree_key_t)
                         (sh->age + ngx_min(most, priority));
    }

    ngx_rbtree_insert(&sh->ranks, &node->rank);
    ngx_http_llm_cache_shard_put(shard, link, node);

    sh->changes++;

    return NGX_OK;
}


/*
 * Puts a node in the place of an older one of its key.  Under evict=cost it is
 * ranked anew, as it takes less room; under evict=lru it was not used by this.
 */

void
ngx_http_llm_cache_shard_swap(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *old, ngx_http_llm_cache_node_t *node)
{
    ngx_rbtree_key_t             rank;
    ngx_http_llm_cache_node_t  **link;

    rank = old->rank.key;
    link = ngx_http_llm_cache_shard_locate(shard, node->key);

    ngx_http_llm_cache_shard_unlink(shard, link);
    ngx_http_llm_cache_shard_put(shard, link, node);

    if (shard->zone->lru) {
        node->rank.key = rank;
        ngx_rbtree_insert(&shard->sh->ranks, &node->rank);

    } else {
        ngx_http_llm_cache_shard_rank(shard, node);
    }
}


void
ngx_http_llm_cache_shard_bar(ngx_http_llm_cache_node_t *node,
    ngx_http_llm_cache_node_t *old)
{
    node->chunks->data[LLM_RECORD_AT_FLAGS] |=
                  old->chunks->data[LLM_RECORD_AT_FLAGS] & LLM_RECORD_BARRED;
}


/* takes a node out of the index, and the index's reference from it */

void
ngx_http_llm_cache_shard_unlink(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t **link)
{
    ngx_http_llm_cache_node_t  *node;

    node = *link;
    *link = node->next;

    if (ngx_http_llm_cache_shard_dead(shard, node)) {
        ngx_http_llm_cache_shard_exhume(shard, node);

    } else {
        ngx_rbtree_delete(&shard->sh->ranks, &node->rank);
        shard->sh->nodes--;
    }

    shard->sh->changes++;

    ngx_http_llm_cache_shard_unref(shard, node);
}


void
ngx_http_llm_cache_shard_unref(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node)
{
    if (--node->refs == 0) {
        node->next = shard->sh->garbage;
        shard->sh->garbage = node;
    }
}


static void
ngx_http_llm_cache_shard_rank(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node)
{
    ngx_http_llm_cache_sh_t  *sh;

    sh = shard->sh;

    node->asked = 0;

    if (shard->zone->lru) {
        sh->age = llm_evict_latest(sh->age, (uint64_t) ngx_time());
        node->rank.key = (ngx_rbtree_key_t) sh->age;

    } else {
        node->rank.key = (ngx_rbtree_key_t)
                         llm_evict_priority(sh->age, node->frequency,
                                            node->weight);
    }

    ngx_rbtree_insert(&sh->ranks, &node->rank);
}


static ngx_http_llm_cache_node_t *
ngx_http_llm_cache_shard_lowest(ngx_http_llm_cache_shard_t *shard)
{
    ngx_rbtree_node_t  *rank;

    if (shard->sh->ranks.root == &shard->sh->sentinel) {
        return NULL;
    }

    rank = ngx_rbtree_min(shard->sh->ranks.root, &shard->sh->sentinel);

    return ngx_rbtree_data(rank, ngx_http_llm_cache_node_t, rank);
}


/* drops the dead and what was not used for long: a few at a time */

void
ngx_http_llm_cache_shard_expire(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t                  i;
    ngx_http_llm_cache_node_t  *node;

    (void) ngx_http_llm_cache_shard_bury(shard, 2);

    for (i = 0; i < 2; i++) {

        node = ngx_http_llm_cache_shard_lowest(shard);

        if (node == NULL
            || ngx_time() - (time_t) node->used < shard->zone->inactive)
        {
            return;
        }

        ngx_http_llm_cache_count(&shard->zone->stat->inactive, 1);
        ngx_http_llm_cache_shard_unlink(shard,
                         ngx_http_llm_cache_shard_locate(shard, node->key));
    }
}


/*
 * Drops a dead record, or evicts the one of the lowest priority.  A hit only
 * counts: what was asked for since it was ranked is ranked anew here, a few at
 * a time.  0 when there is nothing to evict.
 */

static ngx_uint_t
ngx_http_llm_cache_shard_evict(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t                  i;
    ngx_http_llm_cache_node_t  *node;

    if (ngx_http_llm_cache_shard_bury(shard, 1)) {
        return 1;
    }

    node = ngx_http_llm_cache_shard_lowest(shard);

    for (i = 0; node && node->asked && i < LLM_EVICT_CHANCES; i++) {

        ngx_rbtree_delete(&shard->sh->ranks, &node->rank);
        ngx_http_llm_cache_shard_rank(shard, node);

        node = ngx_http_llm_cache_shard_lowest(shard);
    }

    if (node == NULL) {
        return 0;
    }

    if (!shard->zone->lru) {
        shard->sh->age = node->rank.key;
    }

    ngx_http_llm_cache_count(&shard->zone->stat->evicted, 1);

    ngx_http_llm_cache_shard_unlink(shard,
                         ngx_http_llm_cache_shard_locate(shard, node->key));

    return 1;
}


/*
 * Memory from the pool, made by collecting garbage and evicting where needed.
 * NULL: *again tells whether more of the same may help.
 */

void *
ngx_http_llm_cache_shard_alloc(ngx_http_llm_cache_shard_t *shard, size_t size,
    ngx_uint_t *again)
{
    void        *p;
    ngx_uint_t   i;

    *again = 0;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_EVICT_STEP; i++) {

        p = ngx_slab_alloc_locked(shard->pool, size);
        if (p) {
            return p;
        }

        if (!ngx_http_llm_cache_shard_collect_step(shard)
            && !ngx_http_llm_cache_shard_evict(shard))
        {
            return NULL;
        }
    }

    *again = 1;

    return NULL;
}


ngx_uint_t
ngx_http_llm_cache_shard_collect_step(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_chunk_t  *chunk;

    node = shard->sh->garbage;

    if (node == NULL) {
        return 0;
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_FREE_STEP; i++) {

        chunk = node->chunks;

        if (chunk == NULL) {
            shard->sh->garbage = node->next;
            ngx_slab_free_locked(shard->pool, node);
            break;
        }

        node->chunks = chunk->next;
        ngx_slab_free_locked(shard->pool, chunk);
    }

    return 1;
}


void
ngx_http_llm_cache_shard_collect(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t  i, more;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            return;
        }

        more = ngx_http_llm_cache_shard_collect_step(shard);

        ngx_http_llm_cache_shard_unlock(shard);

        if (!more) {
            return;
        }
    }
}


void
ngx_http_llm_cache_shard_full(ngx_http_llm_cache_shard_t *shard)
{
    if (shard->sh->broken || shard->sh->full) {
        return;
    }

    shard->sh->full = 1;

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "llm_cache_zone \"%V\" is full and nothing in it can be "
                  "evicted now: answers pass uncached, make it larger",
                  &shard->name);
}
