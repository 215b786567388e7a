#include "ngx_http_llm_cache_api.h"
#include "ngx_http_llm_cache_purges.h"


/* a key that is looked up in one Redis after the other */

typedef struct {
    ngx_http_request_t                *request;
    u_char                             key[LLM_KEY_LEN];
    ngx_http_llm_cache_zone_t         *zone;     /* NULL: any */
    ngx_uint_t                         next;     /* among all of them */
    ngx_uint_t                         silent;   /* those that do not answer */
    ngx_http_llm_cache_redis_batch_t  *batch;
} ngx_http_llm_cache_api_search_t;


static json_t *ngx_http_llm_cache_api_in_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *only, const u_char *key);
static json_t *ngx_http_llm_cache_api_record(
    ngx_http_llm_cache_hold_t *hold, const u_char *key);
static json_t *ngx_http_llm_cache_api_describe(const llm_record_t *rec,
    llm_str_t meta);
static json_t *ngx_http_llm_cache_api_string(llm_str_t s);
static json_t *ngx_http_llm_cache_api_tokens(int32_t n);
static ngx_int_t ngx_http_llm_cache_api_search(
    ngx_http_llm_cache_api_search_t *search);
static ngx_uint_t ngx_http_llm_cache_api_serves(
    ngx_http_llm_cache_redis_t *redis, ngx_http_llm_cache_zone_t *zone);
static void ngx_http_llm_cache_api_found(
    ngx_http_llm_cache_redis_batch_t *batch);
static void ngx_http_llm_cache_api_search_cleanup(void *data);


ngx_int_t
ngx_http_llm_cache_api_key(ngx_http_request_t *r, u_char *key)
{
    u_char     *p;
    llm_str_t   hex;

    p = r->uri.data + r->uri.len;

    while (p[-1] != '/') {
        p--;
    }

    hex.data = p;
    hex.len = r->uri.data + r->uri.len - p;

    return llm_purge_hex(hex, key, LLM_KEY_LEN) == 0 ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_api_zone(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_llm_cache_zone_t **zone)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    *zone = NULL;

    if (name->len == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        if (zones[i]->name.len == name->len
            && ngx_memcmp(zones[i]->name.data, name->data, name->len) == 0)
        {
            *zone = zones[i];
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_api_get_key(ngx_http_request_t *r)
{
    json_t                           *found;
    ngx_int_t                         rc;
    ngx_str_t                         name;
    ngx_http_cleanup_t               *cln;
    ngx_http_llm_cache_api_search_t  *search;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_llm_cache_api_search_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    search = cln->data;
    ngx_memzero(search, sizeof(ngx_http_llm_cache_api_search_t));

    cln->handler = ngx_http_llm_cache_api_search_cleanup;

    if (ngx_http_llm_cache_api_key(r, search->key) != NGX_OK) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "a key has 64 hex digits");
    }

    ngx_str_null(&name);
    (void) ngx_http_arg(r, (u_char *) "zone", 4, &name);

    if (ngx_http_llm_cache_api_zone(r, &name, &search->zone) != NGX_OK) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "there is no zone of this name");
    }

    found = ngx_http_llm_cache_api_in_memory(r, search->zone, search->key);

    if (found) {
        return ngx_http_llm_cache_api_send_json(r, NGX_HTTP_OK, found);
    }

    search->request = r;

    rc = ngx_http_llm_cache_api_search(search);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_request_empty_handler;
        return NGX_DONE;
    }

    return rc;
}


static json_t *
ngx_http_llm_cache_api_in_memory(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *only, const u_char *key)
{
    json_t                          *found;
    ngx_uint_t                       i;
    ngx_http_llm_cache_hold_t        hold;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {

        if ((only && zones[i] != only)
            || ngx_http_llm_cache_zone_look(zones[i], key, &hold) != NGX_OK)
        {
            continue;
        }

        found = ngx_http_llm_cache_api_record(&hold, key);

        if (found) {
            (void) json_object_set_new(found, "zone",
                                       json_stringn((char *)
                                                    zones[i]->name.data,
                                                    zones[i]->name.len));
        }

        ngx_http_llm_cache_zone_release(&hold);

        return found;
    }

    return NULL;
}


/* of a record in memory */

static json_t *
ngx_http_llm_cache_api_record(ngx_http_llm_cache_hold_t *hold,
    const u_char *key)
{
    u_char       *p, head[LLM_RECORD_HEAD];
    json_t       *found;
    llm_str_t     meta;
    llm_record_t  rec;

    ngx_http_llm_cache_zone_read(hold->node, 0, head, LLM_RECORD_HEAD);

    if (llm_record_decode(head, &rec) != 0
        || ngx_memcmp(rec.key, key, LLM_KEY_LEN) != 0)
    {
        return NULL;
    }

    p = ngx_alloc(rec.meta_len + 1, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    ngx_http_llm_cache_zone_read(hold->node, LLM_RECORD_HEAD, p,
                                 rec.meta_len);
    meta.data = p;
    meta.len = rec.meta_len;

    found = ngx_http_llm_cache_api_describe(&rec, meta);

    ngx_free(p);

    if (found) {
        (void) json_object_set_new(found, "hits",
                                   json_integer(hold->node->frequency
                                                ? hold->node->frequency - 1
                                                : 0));
        (void) json_object_set_new(found, "tier", json_string("memory"));
    }

    return found;
}


/* never what was asked or answered */

static json_t *
ngx_http_llm_cache_api_describe(const llm_record_t *rec, llm_str_t meta)
{
    size_t      pos;
    char        key[2 * LLM_KEY_LEN], scope[2 * LLM_TAG_LEN];
    time_t      now;
    llm_str_t   value, model, ns, dialect;
    llm_meta_e  tag;

    static const char  *forms[] = { "", "json", "sse", "ndjson" };

    pos = 0;
    now = ngx_time();
    ngx_memzero(&model, sizeof(llm_str_t));
    ngx_memzero(&ns, sizeof(llm_str_t));

    while (llm_record_next_meta(meta, &pos, &tag, &value)) {

        if (tag == LLM_META_MODEL) {
            model = value;

        } else if (tag == LLM_META_NAMESPACE) {
            ns = value;
        }
    }

    llm_key_hex(rec->key, (u_char *) key);
    ngx_hex_dump((u_char *) scope, (u_char *) rec->tags.scope, LLM_TAG_LEN);

    dialect = llm_dialect_name(rec->dialect);

    return json_pack("{s:s#, s:o, s:o, s:o, s:s#, s:s, s:i,"
                     " s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o}",
                     "key", key, (int) sizeof(key),
                     "model", ngx_http_llm_cache_api_string(model),
                     "dialect", ngx_http_llm_cache_api_string(dialect),
                     "namespace", ngx_http_llm_cache_api_string(ns),
                     "scope", scope, (int) sizeof(scope),
                     "form", forms[rec->form],
                     "status", (int) rec->status,
                     "created", (json_int_t) rec->created,
                     "expires", (json_int_t) rec->expires,
                     "age", (json_int_t) (now - (time_t) rec->created),
                     "ttl", (json_int_t) ((time_t) rec->expires - now),
                     "size", (json_int_t) llm_record_len(rec),
                     "body_size", (json_int_t) rec->body_len,
                     "compressed", rec->coding != LLM_CODING_IDENTITY,
                     "prompt_tokens",
                     ngx_http_llm_cache_api_tokens(rec->prompt_tokens),
                     "completion_tokens",
                     ngx_http_llm_cache_api_tokens(rec->completion_tokens));
}


/* null for what is no UTF-8 */

static json_t *
ngx_http_llm_cache_api_string(llm_str_t s)
{
    json_t  *value;

    value = json_stringn(s.data ? (const char *) s.data : "", s.len);

    return value ? value : json_null();
}


static json_t *
ngx_http_llm_cache_api_tokens(int32_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}


/* NGX_AGAIN: a reply is waited for; else the response's code */

static ngx_int_t
ngx_http_llm_cache_api_search(ngx_http_llm_cache_api_search_t *search)
{
    ngx_http_request_t               *r;
    ngx_http_llm_cache_redis_t      **redises;
    ngx_http_llm_cache_main_conf_t   *mcf;

    r = search->request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);
    redises = mcf->redises.elts;

    for ( /* void */ ; search->next < mcf->redises.nelts; search->next++) {

        if (!ngx_http_llm_cache_api_serves(redises[search->next],
                                           search->zone))
        {
            continue;
        }

        search->batch = ngx_http_llm_cache_redis_get(redises[search->next], 1,
                                                 search->key,
                                                 ngx_http_llm_cache_api_found,
                                                     search);
        if (search->batch) {
            search->next++;
            return NGX_AGAIN;
        }

        search->silent++;
    }

    if (search->silent) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_GATEWAY,
                             "not in memory, and Redis does not answer");
    }

    return ngx_http_llm_cache_api_error(r, NGX_HTTP_NOT_FOUND,
                                        "no answer is stored under this key");
}


static ngx_uint_t
ngx_http_llm_cache_api_serves(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_zone_t  **zones;

    zones = redis->zones.elts;

    for (i = 0; i < redis->zones.nelts; i++) {
        if (zone == NULL || zones[i] == zone) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_llm_cache_api_found(ngx_http_llm_cache_redis_batch_t *batch)
{
    json_t                           *found;
    llm_str_t                         meta;
    ngx_int_t                         rc;
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_llm_cache_redis_item_t  *item;
    ngx_http_llm_cache_api_search_t  *search;

    search = batch->data;
    item = &batch->items[0];
    r = search->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    search->batch = NULL;

    if (item->rc == NGX_OK) {

        meta.data = item->bytes.data + LLM_RECORD_HEAD;
        meta.len = item->record.meta_len;

        found = ngx_http_llm_cache_api_describe(&item->record, meta);

        if (found) {
            (void) json_object_set_new(found, "hits", json_null());
            (void) json_object_set_new(found, "tier", json_string("redis"));
        }

        rc = ngx_http_llm_cache_api_send_json(r, NGX_HTTP_OK, found);

    } else {
        search->silent += item->rc == NGX_ERROR;

        rc = ngx_http_llm_cache_api_search(search);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_llm_cache_api_search_cleanup(void *data)
{
    ngx_http_llm_cache_api_search_t *search = data;

    if (search->batch) {
        ngx_http_llm_cache_redis_cancel(search->batch);
        search->batch = NULL;
    }
}
