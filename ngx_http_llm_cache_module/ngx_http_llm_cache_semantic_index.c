#include "ngx_http_llm_cache.h"


static ngx_http_llm_cache_embedder_t *ngx_http_llm_cache_embedder(
    ngx_http_llm_cache_zone_t *zone, llm_str_t id);
static ngx_int_t ngx_http_llm_cache_about_vector(
    ngx_http_llm_cache_zone_t *zone, ngx_http_llm_cache_embedder_t *embedder,
    ngx_http_llm_cache_about_t *about, float *vector);
static ngx_int_t ngx_http_llm_cache_read_node(ngx_http_llm_cache_node_t *node,
    llm_record_t *rec, llm_str_t *meta);
static void ngx_http_llm_cache_semantic_restore(
    ngx_http_llm_cache_zone_t *zone, llm_record_t *rec, llm_str_t meta);


/* the questions that records answer, and how the index comes to know them */

ngx_int_t
ngx_http_llm_cache_read_about(llm_str_t meta,
    ngx_http_llm_cache_about_t *about)
{
    size_t      pos;
    llm_str_t   value;
    llm_meta_e  tag;

    pos = 0;
    ngx_memzero(about, sizeof(ngx_http_llm_cache_about_t));

    while (llm_record_next_meta(meta, &pos, &tag, &value)) {

        switch (tag) {

        case LLM_META_PARTITION:
            about->partition = value;
            break;

        case LLM_META_QUESTION:
            about->question = value;
            break;

        case LLM_META_EMBEDDER:
            about->embedder = value;
            break;

        case LLM_META_VECTOR:
            about->vector = value;
            break;

        default:
            break;
        }
    }

    return about->partition.len == LLM_KEY_LEN && about->question.len
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_embed_text(ngx_http_llm_cache_zone_t *zone,
    llm_static_t *model, llm_str_t text, float *vector)
{
    int                                  rc;
    uint64_t                             start;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    stat = ngx_http_llm_cache_zone_semantic(zone);
    start = ngx_http_llm_cache_usec();

    rc = model ? llm_static_embed(model, text, vector)
               : llm_lexical_embed(&zone->vectors.sh->idf, text, vector);

    ngx_http_llm_cache_count(&stat->embed_usec,
                             ngx_http_llm_cache_usec() - start);
    ngx_http_llm_cache_semantic_count(stat, embeds);

    if (rc != 0) {
        ngx_http_llm_cache_semantic_count(stat, embed_errors);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


double
ngx_http_llm_cache_cosine(const float *a, const float *b, size_t dim)
{
    double  sum;
    size_t  i;

    sum = 0;

    for (i = 0; i < dim; i++) {
        sum += (double) a[i] * (double) b[i];
    }

    return sum;
}


/* adds the question to the meta part of the record that will answer it */

ngx_int_t
ngx_http_llm_cache_semantic_save(ngx_http_llm_cache_ctx_t *ctx,
    llm_buf_t *meta)
{
    int8_t                               packed[LLM_VECTOR_MAX];
    llm_str_t                            value[4];
    ngx_uint_t                           i, n;
    ngx_http_llm_cache_semantic_t       *s;
    ngx_http_llm_cache_semantic_conf_t  *sc;

    static const llm_meta_e  tags[] = {
        LLM_META_PARTITION, LLM_META_QUESTION, LLM_META_EMBEDDER,
        LLM_META_VECTOR
    };

    s = ctx->semantic;
    sc = &ctx->conf->semantic;

    if (s == NULL || !s->ready) {
        return NGX_OK;
    }

    value[0].data = s->partition;
    value[0].len = LLM_KEY_LEN;
    value[1].data = s->question.text;
    value[1].len = s->question.len;
    value[2].data = sc->id;
    value[2].len = NGX_HTTP_LLM_CACHE_EMBEDDER_ID;

    n = 3;

    if (sc->location.len) {

        /* what others give is made anew, an API is not asked again */

        (void) llm_vector_pack(s->vector, s->dim, packed);

        value[3].data = (u_char *) packed;
        value[3].len = s->dim;
        n = 4;
    }

    for (i = 0; i < n; i++) {
        if (llm_record_add_meta(meta, tags[i], value[i]) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the record has been stored */

void
ngx_http_llm_cache_semantic_stored(ngx_http_llm_cache_ctx_t *ctx)
{
    llm_str_t                       text;
    ngx_http_llm_cache_semantic_t  *s;
    ngx_http_llm_cache_vectors_t   *vectors;

    s = ctx->semantic;

    if (s == NULL || !s->ready) {
        return;
    }

    vectors = &ctx->conf->zone->vectors;

    text.data = s->question.text;
    text.len = s->question.len;

    llm_lexical_learn(&vectors->sh->idf, text);

    ngx_http_llm_cache_vectors_put(vectors, s->partition, ctx->key,
                                   s->vector, s->dim,
                                   (time_t) ctx->record.expires);
}


/*
 * The question's vector from the record that the key has, where only an API
 * could give it: an answer that takes the place of that record stays in the
 * index.
 */

void
ngx_http_llm_cache_semantic_reuse(ngx_http_llm_cache_ctx_t *ctx)
{
    llm_str_t                       meta;
    llm_record_t                    rec;
    ngx_http_llm_cache_hold_t       hold;
    ngx_http_llm_cache_about_t      about;
    ngx_http_llm_cache_semantic_t  *s;

    s = ctx->semantic;

    if (s == NULL || s->ready) {
        return;
    }

    ngx_memzero(&hold, sizeof(ngx_http_llm_cache_hold_t));

    if (ngx_http_llm_cache_zone_get(ctx->conf->zone, ctx->key,
                                    ngx_http_llm_cache_stale_time(ctx->conf),
                                    &hold)
        != NGX_OK)
    {
        return;
    }

    if (ngx_http_llm_cache_read_node(hold.node, &rec, &meta) == NGX_OK) {

        if (ngx_http_llm_cache_read_about(meta, &about) == NGX_OK
            && llm_str_eq(about.partition, (char *) s->partition, LLM_KEY_LEN)
            && llm_str_eq(about.question, (char *) s->question.text,
                          s->question.len)
            && about.vector.len == s->dim
            && llm_vector_unpack((int8_t *) about.vector.data, s->dim,
                                 s->vector)
               == 0)
        {
            s->ready = 1;
        }

        ngx_free((u_char *) meta.data);
    }

    ngx_http_llm_cache_zone_release(&hold);
}


/* a record came from elsewhere: the state file, or Redis */

void
ngx_http_llm_cache_semantic_restored(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    llm_str_t                  meta;
    llm_record_t               rec;
    ngx_http_llm_cache_hold_t  hold;

    if (zone->vectors.sh == NULL) {
        return;
    }

    ngx_memzero(&hold, sizeof(ngx_http_llm_cache_hold_t));

    if (ngx_http_llm_cache_zone_peek(zone, key, &hold) != NGX_OK) {
        return;
    }

    if (ngx_http_llm_cache_read_node(hold.node, &rec, &meta) == NGX_OK) {

        ngx_http_llm_cache_semantic_restore(zone, &rec, meta);

        ngx_free((u_char *) meta.data);
    }

    ngx_http_llm_cache_zone_release(&hold);
}


/* the record's head and a copy of its meta part, which the caller frees */

static ngx_int_t
ngx_http_llm_cache_read_node(ngx_http_llm_cache_node_t *node,
    llm_record_t *rec, llm_str_t *meta)
{
    u_char  *p, head[LLM_RECORD_HEAD];

    ngx_http_llm_cache_zone_read(node, 0, head, LLM_RECORD_HEAD);

    if (llm_record_decode(head, rec) != 0
        || ngx_memcmp(rec->key, node->key, LLM_KEY_LEN) != 0)
    {
        return NGX_DECLINED;
    }

    p = ngx_alloc(rec->meta_len + 1, ngx_cycle->log);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_llm_cache_zone_read(node, LLM_RECORD_HEAD, p, rec->meta_len);

    meta->data = p;
    meta->len = rec->meta_len;

    return NGX_OK;
}


static void
ngx_http_llm_cache_semantic_restore(ngx_http_llm_cache_zone_t *zone,
    llm_record_t *rec, llm_str_t meta)
{
    float                           vector[LLM_VECTOR_MAX];
    ngx_http_llm_cache_about_t      about;
    ngx_http_llm_cache_vectors_t   *vectors;
    ngx_http_llm_cache_embedder_t  *embedder;

    vectors = &zone->vectors;

    if (rec->barred) {
        (void) ngx_http_llm_cache_vectors_bar(vectors, rec->key);
        return;
    }

    if (rec->tools
        || ngx_http_llm_cache_read_about(meta, &about) != NGX_OK)
    {
        return;
    }

    embedder = ngx_http_llm_cache_embedder(zone, about.embedder);

    if (embedder == NULL
        || ngx_http_llm_cache_about_vector(zone, embedder, &about, vector)
           != NGX_OK)
    {
        return;
    }

    llm_lexical_learn(&vectors->sh->idf, about.question);

    ngx_http_llm_cache_vectors_put(vectors, about.partition.data, rec->key,
                                   vector, embedder->dim,
                                   (time_t) rec->expires);
}


/* NULL: no location that uses the zone has it any more */

static ngx_http_llm_cache_embedder_t *
ngx_http_llm_cache_embedder(ngx_http_llm_cache_zone_t *zone, llm_str_t id)
{
    ngx_uint_t                      i;
    ngx_http_llm_cache_embedder_t  *embedder;

    embedder = zone->embedders->elts;

    for (i = 0; i < zone->embedders->nelts; i++) {
        if (llm_str_eq(id, (char *) embedder[i].id,
                       NGX_HTTP_LLM_CACHE_EMBEDDER_ID))
        {
            return &embedder[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_llm_cache_about_vector(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_embedder_t *embedder,
    ngx_http_llm_cache_about_t *about, float *vector)
{
    if (!embedder->api) {
        return ngx_http_llm_cache_embed_text(zone, embedder->model,
                                             about->question, vector);
    }

    return about->vector.len == embedder->dim
           && llm_vector_unpack((int8_t *) about->vector.data, embedder->dim,
                                vector)
              == 0
           ? NGX_OK : NGX_DECLINED;
}


/*
 * The key's answer serves no other question any more: not what is in memory,
 * in Redis, nor what is stored under that key later.  1, or 0 where that was
 * so before.
 */

ngx_uint_t
ngx_http_llm_cache_semantic_bar(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    (void) ngx_http_llm_cache_zone_mark(zone, key, LLM_RECORD_AT_FLAGS,
                                        LLM_RECORD_BARRED);

    ngx_http_llm_cache_redis_store_again(zone, key);

    return ngx_http_llm_cache_vectors_bar(&zone->vectors, key);
}


ngx_int_t
ngx_http_llm_cache_semantic_report(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    if (zone->vectors.sh == NULL || !ngx_http_llm_cache_zone_has(zone, key)) {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_semantic_bar(zone, key)) {
        ngx_http_llm_cache_semantic_count(
                           ngx_http_llm_cache_zone_semantic(zone), reported);
    }

    return NGX_OK;
}
