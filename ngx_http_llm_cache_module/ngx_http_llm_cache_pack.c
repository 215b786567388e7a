#include "ngx_http_llm_cache_pack.h"
#include "llm_codec.h"
#include "llm_evict.h"

#include <ngx_event.h>


/* records that wait to be packed, at most */
#define NGX_HTTP_LLM_CACHE_PACK_QUEUE  1024

/* what a record costs beside its bytes, in bytes of a step */
#define NGX_HTTP_LLM_CACHE_PACK_EACH   1024


typedef struct {
    ngx_http_llm_cache_zone_t   *zone;
    u_char                       key[LLM_KEY_LEN];
} ngx_http_llm_cache_pack_job_t;


/* this process's own */

typedef struct {
    ngx_event_t                     event;
    llm_packer_t                   *packer;
    llm_unpacker_t                 *unpacker;

    ngx_http_llm_cache_pack_job_t  *jobs;    /* a ring */
    ngx_uint_t                      first;
    ngx_uint_t                      n;
    ngx_uint_t                      dropped;

    /* the record that is being packed, while "hold" holds one */
    ngx_http_llm_cache_zone_t      *zone;
    ngx_http_llm_cache_hold_t       hold;
    llm_record_t                    record;
    ngx_http_llm_cache_cursor_t     cursor;
    size_t                          done;    /* bytes of the body */
    u_char                         *out;
} ngx_http_llm_cache_pack_t;


static void ngx_http_llm_cache_pack_handler(ngx_event_t *ev);
static size_t ngx_http_llm_cache_pack_begin(void);
static size_t ngx_http_llm_cache_pack_step(size_t max);
static void ngx_http_llm_cache_pack_finish(void);
static ngx_int_t ngx_http_llm_cache_pack_store(
    ngx_http_llm_cache_writer_t *w, size_t packed);
static void ngx_http_llm_cache_pack_give_up(void);


static ngx_http_llm_cache_pack_t  ngx_http_llm_cache_pack;


void
ngx_http_llm_cache_pack_later(ngx_http_llm_cache_zone_t *zone,
    llm_record_t *rec)
{
    ngx_http_llm_cache_pack_t      *pack;
    ngx_http_llm_cache_pack_job_t  *job;

    pack = &ngx_http_llm_cache_pack;

    if (!zone->compress || llm_codec_worth(rec->body_len) == 0) {
        return;
    }

    if (pack->jobs == NULL) {
        pack->jobs = ngx_alloc(NGX_HTTP_LLM_CACHE_PACK_QUEUE
                               * sizeof(ngx_http_llm_cache_pack_job_t),
                               ngx_cycle->log);
        if (pack->jobs == NULL) {
            return;
        }

        pack->event.handler = ngx_http_llm_cache_pack_handler;
        pack->event.log = ngx_cycle->log;
    }

    if (pack->n == NGX_HTTP_LLM_CACHE_PACK_QUEUE) {
        pack->dropped++;

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "llm cache: %ui records are left unpacked",
                       pack->dropped);
        return;
    }

    job = &pack->jobs[(pack->first + pack->n) % NGX_HTTP_LLM_CACHE_PACK_QUEUE];
    pack->n++;

    job->zone = zone;
    ngx_memcpy(job->key, rec->key, LLM_KEY_LEN);

    /* in the event loop's next round; a worker may exit before */

    ngx_post_event(&pack->event, &ngx_posted_next_events);
}


ngx_uint_t
ngx_http_llm_cache_pack_busy(void)
{
    return ngx_http_llm_cache_pack.n || ngx_http_llm_cache_pack.hold.node;
}


static void
ngx_http_llm_cache_pack_handler(ngx_event_t *ev)
{
    size_t                      left, used;
    ngx_http_llm_cache_pack_t  *pack;

    pack = &ngx_http_llm_cache_pack;
    left = LLM_CODEC_STEP;

    while (pack->n || pack->hold.node) {

        if (left == 0) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        used = pack->hold.node ? ngx_http_llm_cache_pack_step(left)
                               : ngx_http_llm_cache_pack_begin();

        left -= ngx_min(used, left);
    }
}


/* takes the next record; what this cost, in bytes of a step */

static size_t
ngx_http_llm_cache_pack_begin(void)
{
    size_t                          size;
    u_char                          head[LLM_RECORD_HEAD];
    ngx_http_llm_cache_pack_t      *pack;
    ngx_http_llm_cache_pack_job_t  *job;

    pack = &ngx_http_llm_cache_pack;

    job = &pack->jobs[pack->first];
    pack->first = (pack->first + 1) % NGX_HTTP_LLM_CACHE_PACK_QUEUE;
    pack->n--;

    if (pack->packer == NULL) {
        pack->packer = llm_packer_create();
        if (pack->packer == NULL) {
            return NGX_HTTP_LLM_CACHE_PACK_EACH;
        }
    }

    if (ngx_http_llm_cache_zone_peek(job->zone, job->key, &pack->hold)
        != NGX_OK)
    {
        return NGX_HTTP_LLM_CACHE_PACK_EACH;
    }

    pack->zone = job->zone;
    pack->cursor.chunk = pack->hold.node->chunks;
    pack->cursor.offset = 0;
    pack->done = 0;

    ngx_http_llm_cache_zone_read(pack->hold.node, 0, head, LLM_RECORD_HEAD);

    /* another worker may have stored, and packed, a newer one */

    if (llm_record_decode(head, &pack->record) != 0
        || ngx_memcmp(pack->record.key, job->key, LLM_KEY_LEN) != 0
        || pack->record.coding != LLM_CODING_IDENTITY)
    {
        ngx_http_llm_cache_pack_give_up();
        return NGX_HTTP_LLM_CACHE_PACK_EACH;
    }

    size = llm_codec_worth(pack->record.body_len);

    pack->out = size ? ngx_alloc(size, ngx_cycle->log) : NULL;

    if (pack->out == NULL) {
        ngx_http_llm_cache_pack_give_up();
        return NGX_HTTP_LLM_CACHE_PACK_EACH;
    }

    llm_packer_start(pack->packer, pack->out, size);

    return NGX_HTTP_LLM_CACHE_PACK_EACH;
}


static size_t
ngx_http_llm_cache_pack_step(size_t max)
{
    size_t                      n, used, body, end;
    u_char                     *p;
    ngx_http_llm_cache_pack_t  *pack;

    pack = &ngx_http_llm_cache_pack;

    body = LLM_RECORD_HEAD + pack->record.meta_len;
    end = body + ngx_min(pack->done + max, pack->record.body_len);

    for (used = 0; body + pack->done < end; used += n) {

        n = ngx_http_llm_cache_zone_piece(&pack->cursor, body + pack->done,
                                          end, &p);

        if (n == 0 || llm_packer_feed(pack->packer, p, n) != 0) {
            ngx_http_llm_cache_pack_give_up();
            return max;
        }

        pack->done += n;
    }

    if (pack->done == pack->record.body_len) {
        ngx_http_llm_cache_pack_finish();
    }

    return used;
}


/* the whole body is packed: another record takes the place of the old one */

static void
ngx_http_llm_cache_pack_finish(void)
{
    size_t                        packed;
    int64_t                       completion;
    llm_record_t                 *rec;
    ngx_http_llm_cache_pack_t    *pack;
    ngx_http_llm_cache_writer_t   w;

    pack = &ngx_http_llm_cache_pack;
    rec = &pack->record;

    if (llm_packer_end(pack->packer, &packed) != 0) {
        ngx_http_llm_cache_pack_give_up();
        return;
    }

    if (ngx_http_llm_cache_zone_create(pack->zone, rec->key,
                                       LLM_RECORD_HEAD + rec->meta_len
                                       + packed,
                                       &w)
        != NGX_OK)
    {
        ngx_http_llm_cache_pack_give_up();
        return;
    }

    if (ngx_http_llm_cache_pack_store(&w, packed) != NGX_OK) {
        ngx_http_llm_cache_zone_abandon(&w);
        ngx_http_llm_cache_pack_give_up();
        return;
    }

    /* what the answer cost does not change with the room that it takes */

    completion = rec->completion_tokens;

    if (completion < 0 && rec->prompt_tokens < 0) {
        completion = rec->body_len / LLM_EVICT_TOKEN_BYTES;
    }

    if (ngx_http_llm_cache_zone_swap(&w, pack->hold.node,
                                     llm_evict_weight(rec->prompt_tokens,
                                                      completion, w.len))
        == NGX_OK)
    {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "llm cache: packed %uD bytes to %uz",
                       rec->body_len, packed);
    }

    ngx_http_llm_cache_pack_give_up();
}


static ngx_int_t
ngx_http_llm_cache_pack_store(ngx_http_llm_cache_writer_t *w, size_t packed)
{
    size_t                        n, at, end;
    u_char                       *p, head[LLM_RECORD_HEAD];
    ngx_http_llm_cache_pack_t    *pack;
    ngx_http_llm_cache_cursor_t   cursor;

    pack = &ngx_http_llm_cache_pack;

    pack->record.coding = LLM_CODING_GZIP;
    pack->record.packed_len = (uint32_t) packed;
    pack->record.check = llm_codec_check(0, pack->out, packed);

    llm_record_encode(&pack->record, head);

    if (ngx_http_llm_cache_zone_append(w, head, LLM_RECORD_HEAD) != NGX_OK) {
        return NGX_DECLINED;
    }

    cursor.chunk = pack->hold.node->chunks;
    cursor.offset = 0;

    end = LLM_RECORD_HEAD + pack->record.meta_len;

    for (at = LLM_RECORD_HEAD; at < end; at += n) {

        n = ngx_http_llm_cache_zone_piece(&cursor, at, end, &p);

        if (n == 0 || ngx_http_llm_cache_zone_append(w, p, n) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return ngx_http_llm_cache_zone_append(w, pack->out, packed);
}


/* ends with the record at hand, whatever became of it */

static void
ngx_http_llm_cache_pack_give_up(void)
{
    ngx_http_llm_cache_pack_t  *pack;

    pack = &ngx_http_llm_cache_pack;

    ngx_http_llm_cache_zone_release(&pack->hold);

    if (pack->out) {
        ngx_free(pack->out);
        pack->out = NULL;
    }
}


ngx_int_t
ngx_http_llm_cache_check_packed(ngx_http_llm_cache_node_t *node,
    llm_record_t *rec)
{
    size_t                        n, at, end;
    u_char                       *p;
    uint32_t                      check;
    ngx_http_llm_cache_cursor_t   cursor;

    cursor.chunk = node->chunks;
    cursor.offset = 0;

    check = 0;
    at = LLM_RECORD_HEAD + rec->meta_len;
    end = at + rec->packed_len;

    while (at < end) {

        n = ngx_http_llm_cache_zone_piece(&cursor, at, end, &p);
        if (n == 0) {
            return NGX_DECLINED;
        }

        check = llm_codec_check(check, p, n);
        at += n;
    }

    return check == rec->check ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_unpack(ngx_http_llm_cache_node_t *node, llm_record_t *rec,
    ngx_pool_t *pool, ngx_http_llm_cache_chunk_t **chunk)
{
    size_t                        n, at, end;
    u_char                       *p;
    llm_unpacker_t               *unpacker;
    ngx_http_llm_cache_chunk_t   *out;
    ngx_http_llm_cache_cursor_t   cursor;

    unpacker = ngx_http_llm_cache_pack.unpacker;

    if (unpacker == NULL) {
        unpacker = llm_unpacker_create();
        if (unpacker == NULL) {
            return NGX_ERROR;
        }

        ngx_http_llm_cache_pack.unpacker = unpacker;
    }

    out = ngx_palloc(pool, sizeof(ngx_http_llm_cache_chunk_t) + rec->body_len
                           + LLM_CODEC_SLACK);
    if (out == NULL) {
        return NGX_ERROR;
    }

    out->next = NULL;
    out->size = rec->body_len;
    out->len = rec->body_len;

    cursor.chunk = node->chunks;
    cursor.offset = 0;

    at = LLM_RECORD_HEAD + rec->meta_len;
    end = at + rec->packed_len;

    llm_unpacker_start(unpacker, rec->check, out->data, rec->body_len);

    while (at < end) {

        n = ngx_http_llm_cache_zone_piece(&cursor, at, end, &p);

        if (n == 0 || llm_unpacker_feed(unpacker, p, n) != 0) {
            return NGX_DECLINED;
        }

        at += n;
    }

    if (llm_unpacker_end(unpacker) != 0) {
        return NGX_DECLINED;
    }

    *chunk = out;

    return NGX_OK;
}


void
ngx_http_llm_cache_pack_exit(void)
{
    ngx_http_llm_cache_pack_t  *pack;

    pack = &ngx_http_llm_cache_pack;

    ngx_http_llm_cache_pack_give_up();

    if (pack->event.posted) {
        ngx_delete_posted_event(&pack->event);
    }

    llm_packer_free(pack->packer);
    llm_unpacker_free(pack->unpacker);

    if (pack->jobs) {
        ngx_free(pack->jobs);
    }

    ngx_memzero(pack, sizeof(ngx_http_llm_cache_pack_t));
}
