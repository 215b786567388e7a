#include "ngx_http_llm_cache_vectors.h"


#define NGX_HTTP_LLM_CACHE_VECTORS_LAYOUT  2

/* what the sketches find, of which the vectors are compared */
#define NGX_HTTP_LLM_CACHE_CANDIDATES      256

/* entries that are looked at for one that has expired */
#define NGX_HTTP_LLM_CACHE_VECTORS_TRIES   16


extern ngx_module_t  ngx_http_llm_cache_module;


static size_t ngx_http_llm_cache_vectors_size(
    ngx_http_llm_cache_vectors_t *vectors);
static ngx_int_t ngx_http_llm_cache_vectors_init(ngx_shm_zone_t *shm_zone,
    void *data);
static uint64_t ngx_http_llm_cache_vectors_tag(const u_char *partition);
static ngx_int_t ngx_http_llm_cache_vectors_compare(
    ngx_http_llm_cache_vectors_sh_t *sh, ngx_uint_t i, uint64_t tag,
    const int8_t *packed, float scale, ngx_http_llm_cache_found_t *found);
static ngx_uint_t ngx_http_llm_cache_vectors_place(
    ngx_http_llm_cache_vectors_sh_t *sh, uint64_t tag, const u_char *key);
static ngx_uint_t ngx_http_llm_cache_vectors_next(
    ngx_http_llm_cache_vectors_sh_t *sh);


char *
ngx_http_llm_cache_vectors_add(ngx_conf_t *cf,
    ngx_http_llm_cache_vectors_t *vectors, ngx_str_t *zone)
{
    u_char          *p;
    ngx_shm_zone_t  *shm_zone;

    /* memory of another shape has another name: a reload may change it */

    p = ngx_pnalloc(cf->pool, zone->len + 2 * NGX_INT_T_LEN
                              + sizeof("#semantic:x"));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    vectors->name.data = p;
    vectors->name.len = ngx_sprintf(p, "%V#semantic:%uix%ui", zone,
                                    vectors->n, vectors->dim)
                        - p;

    shm_zone = ngx_shared_memory_add(cf, &vectors->name,
                                     ngx_http_llm_cache_vectors_size(vectors),
                                     &ngx_http_llm_cache_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_llm_cache_vectors_init;
    shm_zone->data = vectors;

    return NGX_CONF_OK;
}


/* with what the slab pool needs for its pages */

static size_t
ngx_http_llm_cache_vectors_size(ngx_http_llm_cache_vectors_t *vectors)
{
    size_t  size;

    size = sizeof(ngx_http_llm_cache_vectors_sh_t)
           + vectors->n * (sizeof(uint64_t) + sizeof(llm_vector_sketch_t)
                           + sizeof(ngx_http_llm_cache_vector_t)
                           + vectors->dim);

    return size + size / 64 + 16 * ngx_pagesize;
}


static ngx_int_t
ngx_http_llm_cache_vectors_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_llm_cache_vectors_t     *vectors;
    ngx_http_llm_cache_vectors_sh_t  *sh;

    vectors = shm_zone->data;
    vectors->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        vectors->sh = vectors->pool->data;

        if (vectors->sh == NULL
            || vectors->sh->layout != NGX_HTTP_LLM_CACHE_VECTORS_LAYOUT
            || vectors->sh->n != vectors->n
            || vectors->sh->dim != vectors->dim)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "shared memory \"%V\" holds the layout of another "
                          "version of the module; restart nginx",
                          &vectors->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    sh = ngx_slab_calloc(vectors->pool,
                         sizeof(ngx_http_llm_cache_vectors_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->tags = ngx_slab_calloc(vectors->pool, vectors->n * sizeof(uint64_t));
    sh->sketches = ngx_slab_calloc(vectors->pool,
                                   vectors->n * sizeof(llm_vector_sketch_t));
    sh->entries = ngx_slab_calloc(vectors->pool,
                                  vectors->n
                                  * sizeof(ngx_http_llm_cache_vector_t));
    sh->packed = ngx_slab_calloc(vectors->pool, vectors->n * vectors->dim);

    if (sh->tags == NULL || sh->sketches == NULL || sh->entries == NULL
        || sh->packed == NULL)
    {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_CACHE_VECTORS_LAYOUT;
    sh->n = vectors->n;
    sh->dim = vectors->dim;

    vectors->sh = sh;
    vectors->pool->data = sh;

    return NGX_OK;
}


/* not 0 */

static uint64_t
ngx_http_llm_cache_vectors_tag(const u_char *partition)
{
    uint64_t  tag;

    ngx_memcpy(&tag, partition, sizeof(tag));

    return tag ? tag : 1;
}


ngx_uint_t
ngx_http_llm_cache_vectors_find(ngx_http_llm_cache_vectors_t *vectors,
    const u_char *partition, const float *vector, ngx_uint_t dim,
    float similarity, ngx_http_llm_cache_found_t *found)
{
    float                             scale;
    size_t                            i, k, n, candidates;
    int8_t                            packed[LLM_VECTOR_MAX];
    uint64_t                          tag;
    llm_vector_hit_t                  hits[NGX_HTTP_LLM_CACHE_CANDIDATES];
    llm_vector_sketch_t               sketch;
    ngx_http_llm_cache_found_t        one;
    ngx_http_llm_cache_vectors_sh_t  *sh;

    sh = vectors->sh;
    tag = ngx_http_llm_cache_vectors_tag(partition);

    llm_vector_sketch(vector, dim, &sketch);

    ngx_memzero(packed, sh->dim);
    scale = llm_vector_pack(vector, dim, packed);

    candidates = llm_vector_scan(sh->tags, tag, sh->sketches, sh->n, &sketch,
                                 hits, NGX_HTTP_LLM_CACHE_CANDIDATES);
    n = 0;

    for (i = 0; i < candidates; i++) {

        if (ngx_http_llm_cache_vectors_compare(sh, hits[i].index, tag, packed,
                                               scale, &one)
            != NGX_OK
            || one.similarity < similarity
            || (n == NGX_HTTP_LLM_CACHE_FOUND
                && one.similarity <= found[n - 1].similarity))
        {
            continue;
        }

        if (n < NGX_HTTP_LLM_CACHE_FOUND) {
            n++;
        }

        for (k = n - 1;
             k > 0 && found[k - 1].similarity < one.similarity;
             k--)
        {
            found[k] = found[k - 1];
        }

        found[k] = one;
    }

    return n;
}


/* NGX_DECLINED where the entry is being written, or is another one now */

static ngx_int_t
ngx_http_llm_cache_vectors_compare(ngx_http_llm_cache_vectors_sh_t *sh,
    ngx_uint_t i, uint64_t tag, const int8_t *packed, float scale,
    ngx_http_llm_cache_found_t *found)
{
    int32_t                       dot;
    ngx_atomic_uint_t             version;
    ngx_http_llm_cache_vector_t  *entry;

    entry = &sh->entries[i];
    version = entry->version;

    if (version & 1) {
        return NGX_DECLINED;
    }

    ngx_memory_barrier();

    dot = llm_vector_dot(packed, sh->packed + i * sh->dim, sh->dim);

    found->similarity = (float) dot * scale * entry->scale;
    found->index = i;
    ngx_memcpy(found->key, entry->key, LLM_KEY_LEN);

    if (sh->tags[i] != tag || (time_t) entry->expires <= ngx_time()) {
        return NGX_DECLINED;
    }

    ngx_memory_barrier();

    return entry->version == version ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_llm_cache_vectors_put(ngx_http_llm_cache_vectors_t *vectors,
    const u_char *partition, const u_char *key, const float *vector,
    ngx_uint_t dim, time_t expires)
{
    float                             scale;
    int8_t                            packed[LLM_VECTOR_MAX];
    uint64_t                          tag;
    ngx_uint_t                        i;
    llm_vector_sketch_t               sketch;
    ngx_http_llm_cache_vector_t      *entry;
    ngx_http_llm_cache_vectors_sh_t  *sh;

    sh = vectors->sh;
    tag = ngx_http_llm_cache_vectors_tag(partition);

    llm_vector_sketch(vector, dim, &sketch);

    ngx_memzero(packed, sh->dim);
    scale = llm_vector_pack(vector, dim, packed);

    i = ngx_http_llm_cache_vectors_place(sh, tag, key);

    ngx_shmtx_lock(&vectors->pool->mutex);

    if (llm_bar_has(&sh->barred, key)) {
        ngx_shmtx_unlock(&vectors->pool->mutex);
        return;
    }

    /* another process may have taken the place meanwhile */

    if (i == sh->n || sh->tags[i] != tag) {
        i = ngx_http_llm_cache_vectors_next(sh);
    }

    entry = &sh->entries[i];

    /* odd already where a worker died here */

    entry->version |= 1;
    ngx_memory_barrier();

    ngx_memcpy(entry->key, key, LLM_KEY_LEN);
    entry->scale = scale;
    entry->expires = (uint32_t) expires;
    entry->stamp = ++sh->stamp;

    ngx_memcpy(sh->packed + i * sh->dim, packed, sh->dim);
    sh->sketches[i] = sketch;
    sh->tags[i] = tag;

    ngx_memory_barrier();
    entry->version++;

    ngx_shmtx_unlock(&vectors->pool->mutex);
}


/*
 * The key's own entry, or the partition's oldest when it has its share, or the
 * number of entries.  Without the lock: a wrong place only costs an entry.
 */

static ngx_uint_t
ngx_http_llm_cache_vectors_place(ngx_http_llm_cache_vectors_sh_t *sh,
    uint64_t tag, const u_char *key)
{
    uint32_t    age, oldest;
    ngx_uint_t  i, n, place;

    n = 0;
    oldest = 0;
    place = sh->n;

    for (i = 0; i < sh->n; i++) {

        if (sh->tags[i] != tag) {
            continue;
        }

        if (ngx_memcmp(sh->entries[i].key, key, LLM_KEY_LEN) == 0) {
            return i;
        }

        n++;
        age = sh->stamp - sh->entries[i].stamp;

        if (age >= oldest) {
            oldest = age;
            place = i;
        }
    }

    return n >= sh->n / 2 ? place : sh->n;
}


static ngx_uint_t
ngx_http_llm_cache_vectors_next(ngx_http_llm_cache_vectors_sh_t *sh)
{
    ngx_uint_t  i, k;

    for (k = 0; k < NGX_HTTP_LLM_CACHE_VECTORS_TRIES; k++) {

        i = (sh->hand + k) % sh->n;

        if (sh->tags[i] == 0 || (time_t) sh->entries[i].expires <= ngx_time())
        {
            break;
        }
    }

    if (k == NGX_HTTP_LLM_CACHE_VECTORS_TRIES) {
        k = 0;
    }

    i = (sh->hand + k) % sh->n;
    sh->hand = i + 1;

    return i;
}


ngx_int_t
ngx_http_llm_cache_vectors_at(ngx_http_llm_cache_vectors_t *vectors,
    ngx_uint_t index, ngx_http_llm_cache_found_t *found)
{
    if (vectors->sh->tags[index] == 0) {
        return NGX_DECLINED;
    }

    found->index = index;
    ngx_memcpy(found->key, vectors->sh->entries[index].key, LLM_KEY_LEN);

    return NGX_OK;
}


void
ngx_http_llm_cache_vectors_drop(ngx_http_llm_cache_vectors_t *vectors,
    ngx_http_llm_cache_found_t *found)
{
    ngx_http_llm_cache_vector_t      *entry;
    ngx_http_llm_cache_vectors_sh_t  *sh;

    sh = vectors->sh;
    entry = &sh->entries[found->index];

    ngx_shmtx_lock(&vectors->pool->mutex);

    if (ngx_memcmp(entry->key, found->key, LLM_KEY_LEN) == 0) {
        sh->tags[found->index] = 0;
    }

    ngx_shmtx_unlock(&vectors->pool->mutex);
}


ngx_uint_t
ngx_http_llm_cache_vectors_bar(ngx_http_llm_cache_vectors_t *vectors,
    const u_char *key)
{
    int  added;

    ngx_shmtx_lock(&vectors->pool->mutex);

    added = llm_bar_add(&vectors->sh->barred, key);

    ngx_shmtx_unlock(&vectors->pool->mutex);

    return added;
}


ngx_uint_t
ngx_http_llm_cache_vectors_barred(ngx_http_llm_cache_vectors_t *vectors,
    const u_char *key)
{
    return llm_bar_has(&vectors->sh->barred, key);
}
