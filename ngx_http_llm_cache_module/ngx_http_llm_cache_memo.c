#include "ngx_http_llm_cache_memo.h"


static ngx_http_llm_cache_memo_entry_t *ngx_http_llm_cache_memo_set(
    ngx_http_llm_cache_memo_t *memo, const u_char *fingerprint);
static ngx_http_llm_cache_memo_entry_t *ngx_http_llm_cache_memo_victim(
    ngx_http_llm_cache_memo_entry_t *set, const u_char *fingerprint);


size_t
ngx_http_llm_cache_memo_size(size_t max)
{
    size_t  n, set;

    set = NGX_HTTP_LLM_CACHE_MEMO_WAYS
          * sizeof(ngx_http_llm_cache_memo_entry_t);

    for (n = 1; 2 * n * set <= max; n *= 2) { /* void */ }

    return sizeof(ngx_http_llm_cache_memo_t) + n * set;
}


ngx_int_t
ngx_http_llm_cache_memo_init(ngx_http_llm_cache_memo_t *memo, size_t size)
{
    size_t  set;

    ngx_memzero(memo, size);

    set = NGX_HTTP_LLM_CACHE_MEMO_WAYS
          * sizeof(ngx_http_llm_cache_memo_entry_t);

    memo->mask = (size - sizeof(ngx_http_llm_cache_memo_t)) / set - 1;

    return llm_fingerprint_new_key(memo->key) == 0 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_llm_cache_memo_get(ngx_http_llm_cache_memo_t *memo,
    const u_char *fingerprint, ngx_http_llm_cache_memo_value_t *value)
{
    ngx_uint_t                        i;
    ngx_atomic_uint_t                 version;
    ngx_http_llm_cache_memo_entry_t  *entry;

    entry = ngx_http_llm_cache_memo_set(memo, fingerprint);

    for (i = 0; i < NGX_HTTP_LLM_CACHE_MEMO_WAYS; i++, entry++) {

        version = entry->version;

        if (version == 0 || version & 1) {
            continue;
        }

        ngx_memory_barrier();

        if (ngx_memcmp(entry->fingerprint, fingerprint, LLM_FINGERPRINT_LEN)
            != 0)
        {
            continue;
        }

        *value = entry->value;

        ngx_memory_barrier();

        if (entry->version != version) {
            continue;
        }

        if (entry->used != (uint32_t) ngx_time()) {
            entry->used = (uint32_t) ngx_time();
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


void
ngx_http_llm_cache_memo_put(ngx_http_llm_cache_memo_t *memo,
    const u_char *fingerprint, ngx_http_llm_cache_memo_value_t *value)
{
    ngx_atomic_uint_t                 version;
    ngx_http_llm_cache_memo_entry_t  *entry;

    entry = ngx_http_llm_cache_memo_victim(
                             ngx_http_llm_cache_memo_set(memo, fingerprint),
                             fingerprint);
    version = entry->version;

    if (version & 1 || !ngx_atomic_cmp_set(&entry->version, version,
                                           version + 1))
    {
        return;
    }

    ngx_memory_barrier();

    ngx_memcpy(entry->fingerprint, fingerprint, LLM_FINGERPRINT_LEN);
    entry->value = *value;
    entry->used = (uint32_t) ngx_time();

    ngx_memory_barrier();

    entry->version = version + 2;
}


static ngx_http_llm_cache_memo_entry_t *
ngx_http_llm_cache_memo_set(ngx_http_llm_cache_memo_t *memo,
    const u_char *fingerprint)
{
    uint64_t  hash;

    ngx_memcpy(&hash, fingerprint, sizeof(hash));

    return memo->sets[hash & memo->mask];
}


/* the entry of that fingerprint, else the one not used for longest */

static ngx_http_llm_cache_memo_entry_t *
ngx_http_llm_cache_memo_victim(ngx_http_llm_cache_memo_entry_t *set,
    const u_char *fingerprint)
{
    ngx_uint_t                        i;
    ngx_http_llm_cache_memo_entry_t  *victim;

    victim = set;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_MEMO_WAYS; i++) {

        if (ngx_memcmp(set[i].fingerprint, fingerprint, LLM_FINGERPRINT_LEN)
            == 0)
        {
            return &set[i];
        }

        if (set[i].used < victim->used || victim->version & 1) {
            victim = &set[i];
        }
    }

    return victim;
}
