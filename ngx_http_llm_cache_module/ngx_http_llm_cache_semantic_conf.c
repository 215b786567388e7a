#include "ngx_http_llm_cache.h"


/* of OpenAI's text-embedding-3-small */
#define NGX_HTTP_LLM_CACHE_EMBED_DIM      1536

#define NGX_HTTP_LLM_CACHE_EMBED_TIMEOUT  2000


static ngx_int_t ngx_http_llm_cache_semantic_number(ngx_str_t *value,
    double *threshold);
static char *ngx_http_llm_cache_semantic_param(
    ngx_http_llm_cache_semantic_conf_t *sc, ngx_str_t *value);
static char *ngx_http_llm_cache_semantic_guards(
    ngx_http_llm_cache_semantic_conf_t *sc, u_char *p, u_char *last);
static char *ngx_http_llm_cache_embed_location(ngx_conf_t *cf,
    ngx_http_llm_cache_semantic_conf_t *sc);
static char *ngx_http_llm_cache_semantic_defaults(
    ngx_http_llm_cache_semantic_conf_t *sc);
static char *ngx_http_llm_cache_semantic_load(ngx_conf_t *cf,
    ngx_http_llm_cache_semantic_conf_t *conf);
static void ngx_http_llm_cache_semantic_unload(void *data);
static char *ngx_http_llm_cache_semantic_list(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_http_llm_cache_semantic_conf_t *sc);


/* "off", or "on" with "threshold=" and "guards=" */

char *
ngx_http_llm_cache_semantic(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t                           *value;
    ngx_uint_t                           i;
    ngx_http_llm_cache_semantic_conf_t  *sc;

    sc = &lcf->semantic;

    if (sc->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        sc->enable = 1;

    } else if (ngx_strcmp(value[1].data, "off") == 0
               && cf->args->nelts == 2)
    {
        sc->enable = 0;

    } else {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_llm_cache_semantic_param(sc, &value[i]) != NGX_CONF_OK) {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_semantic_param(ngx_http_llm_cache_semantic_conf_t *sc,
    ngx_str_t *value)
{
    if (ngx_http_llm_cache_semantic_number(value, &sc->threshold) == NGX_OK) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "guards=", 7) == 0 && value->len > 7) {
        return ngx_http_llm_cache_semantic_guards(sc, value->data + 7,
                                                  value->data + value->len);
    }

    return NGX_CONF_ERROR;
}


/* "all", "none" and names, added in turn; "-name" takes one away */

static char *
ngx_http_llm_cache_semantic_guards(ngx_http_llm_cache_semantic_conf_t *sc,
    u_char *p, u_char *last)
{
    u_char     *end;
    unsigned    guard;
    llm_str_t   name;
    ngx_uint_t  minus;

    sc->guards_set = 1;
    sc->guards = *p == '-' ? LLM_GUARD_ALL : 0;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        minus = (*p == '-');

        name.data = p + minus;
        name.len = end - name.data;

        if (llm_str_eq(name, "all", 3)) {
            guard = LLM_GUARD_ALL;

        } else if (llm_str_eq(name, "none", 4) && !minus) {
            sc->guards = 0;
            continue;

        } else {
            guard = llm_guard_find(name);

            if (guard == 0) {
                return NGX_CONF_ERROR;
            }
        }

        sc->guards = minus ? sc->guards & ~guard : sc->guards | guard;
    }

    return NGX_CONF_OK;
}


/* "5%", and "threshold=" */

char *
ngx_http_llm_cache_semantic_verify(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_int_t                            n;
    ngx_str_t                           *value;
    ngx_http_llm_cache_semantic_conf_t  *sc;

    sc = &lcf->semantic;

    if (sc->verify != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = NGX_ERROR;

    if (value[1].len > 1 && value[1].data[value[1].len - 1] == '%') {
        n = ngx_atofp(value[1].data, value[1].len - 1, 2);
    }

    if (n == NGX_ERROR || n > 10000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in "
                           "\"llm_cache_semantic_verify\", it must be from "
                           "\"0%%\" to \"100%%\", with two decimals at most",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    sc->verify = n;

    if (cf->args->nelts == 3
        && ngx_http_llm_cache_semantic_number(&value[2],
                                              &sc->verify_threshold)
           != NGX_OK)
    {
        return ngx_http_llm_cache_invalid(cf, &value[2]);
    }

    return NGX_CONF_OK;
}


/* "threshold=N", above 0 and up to 1 */

static ngx_int_t
ngx_http_llm_cache_semantic_number(ngx_str_t *value, double *threshold)
{
    ngx_int_t  n;

    if (ngx_strncmp(value->data, "threshold=", 10) != 0) {
        return NGX_DECLINED;
    }

    n = ngx_atofp(value->data + 10, value->len - 10, 6);

    if (n == NGX_ERROR || n == 0 || n > 1000000) {
        return NGX_ERROR;
    }

    *threshold = (double) n / 1000000;

    return NGX_OK;
}


/* "lexical", "static DIR", or "/LOCATION" and its parameters */

char *
ngx_http_llm_cache_embed(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->semantic.dir.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].data[0] == '/') {
        return ngx_http_llm_cache_embed_location(cf, &lcf->semantic);
    }

    if (ngx_strcmp(value[1].data, "lexical") == 0 && cf->args->nelts == 2) {
        lcf->semantic.dir.data = (u_char *) "";
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "static") == 0 && cf->args->nelts == 3
        && value[2].len)
    {
        lcf->semantic.dir = value[2];

        return ngx_conf_full_name(cf->cycle, &lcf->semantic.dir, 1) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    return ngx_http_llm_cache_invalid(cf, &value[cf->args->nelts - 1]);
}


static char *
ngx_http_llm_cache_embed_location(ngx_conf_t *cf,
    ngx_http_llm_cache_semantic_conf_t *sc)
{
    ngx_int_t    n;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    value = cf->args->elts;

    sc->dir.data = (u_char *) "";
    sc->location = value[1];
    sc->location_dim = NGX_HTTP_LLM_CACHE_EMBED_DIM;
    sc->timeout = NGX_HTTP_LLM_CACHE_EMBED_TIMEOUT;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "model=", 6) == 0 && value[i].len > 6) {
            sc->model_name.data = value[i].data + 6;
            sc->model_name.len = value[i].len - 6;
            continue;
        }

        if (ngx_strncmp(value[i].data, "dimensions=", 11) == 0) {

            n = ngx_atoi(value[i].data + 11, value[i].len - 11);

            if (n >= 2 && n <= LLM_VECTOR_MAX) {
                sc->location_dim = n;
                continue;
            }
        }

        if (ngx_strncmp(value[i].data, "timeout=", 8) == 0) {

            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            n = ngx_parse_time(&s, 0);

            if (n != NGX_ERROR && n != 0) {
                sc->timeout = n;
                continue;
            }
        }

        return ngx_http_llm_cache_invalid(cf, &value[i]);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_llm_cache_semantic_merge(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev, ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_http_llm_cache_vectors_t        *vectors;
    ngx_http_llm_cache_semantic_conf_t  *sc, *psc;

    sc = &conf->semantic;
    psc = &prev->semantic;

    if (sc->enable == NGX_CONF_UNSET) {
        sc->threshold = psc->threshold;
        sc->guards = psc->guards;
        sc->guards_set = psc->guards_set;
    }

    if (sc->verify == NGX_CONF_UNSET) {
        sc->verify_threshold = psc->verify_threshold;
    }

    ngx_conf_merge_value(sc->enable, psc->enable, 0);
    ngx_conf_merge_value(sc->verify, psc->verify, 0);

    if (sc->dir.data == NULL) {
        sc->dir = psc->dir;
        sc->location = psc->location;
        sc->model_name = psc->model_name;
        sc->location_dim = psc->location_dim;
        sc->timeout = psc->timeout;
    }

    if (!ngx_http_llm_cache_serving(conf) || !sc->enable) {
        return NGX_CONF_OK;
    }

    if (sc->dir.len
        && ngx_http_llm_cache_semantic_load(cf, sc) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    vectors = &conf->zone->vectors;
    vectors->dim = ngx_max(vectors->dim, ngx_http_llm_cache_semantic_dim(sc));

    return ngx_http_llm_cache_semantic_defaults(sc) == NGX_CONF_OK
           ? ngx_http_llm_cache_semantic_list(cf, conf->zone, sc)
           : NGX_CONF_ERROR;
}


/* in effect here; children inherit only what was said */

static char *
ngx_http_llm_cache_semantic_defaults(ngx_http_llm_cache_semantic_conf_t *sc)
{
    llm_key_t  *key;

    sc->used_guards = sc->guards;

    if (!sc->guards_set) {
        sc->used_guards = LLM_GUARD_ALL;

        if (sc->model || sc->location.len) {
            sc->used_guards &= ~LLM_GUARD_WORDS;
        }
    }

    sc->used_threshold = sc->threshold;

    if (sc->threshold < 0) {
        sc->used_threshold = sc->model ? NGX_HTTP_LLM_CACHE_STATIC_THRESHOLD
                             : sc->location.len
                               ? NGX_HTTP_LLM_CACHE_API_THRESHOLD
                               : NGX_HTTP_LLM_CACHE_LEXICAL_THRESHOLD;
    }

    sc->used_verify_threshold = sc->verify_threshold;

    if (sc->verify_threshold < 0) {
        sc->used_verify_threshold = sc->model || sc->location.len
                                    ? NGX_HTTP_LLM_CACHE_VERIFY_THRESHOLD
                                    : NGX_HTTP_LLM_CACHE_VERIFY_LEXICAL;
    }

    key = llm_key_create();
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    llm_key_add(key, LLM_KEY_QUESTION, sc->dir.data, sc->dir.len);
    llm_key_add(key, LLM_KEY_QUESTION, sc->location.data, sc->location.len);
    llm_key_add(key, LLM_KEY_QUESTION, sc->model_name.data,
                sc->model_name.len);
    llm_key_add(key, LLM_KEY_QUESTION, &sc->location_dim,
                sizeof(sc->location_dim));

    return llm_key_final(key, sc->id) == 0 ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* what records of the zone may name */

static char *
ngx_http_llm_cache_semantic_list(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone, ngx_http_llm_cache_semantic_conf_t *sc)
{
    ngx_uint_t                      i;
    ngx_http_llm_cache_embedder_t  *embedder;

    if (zone->embedders == NULL) {
        zone->embedders = ngx_array_create(cf->pool, 2,
                                       sizeof(ngx_http_llm_cache_embedder_t));
        if (zone->embedders == NULL) {
            return NGX_CONF_ERROR;
        }

        zone->restored = ngx_http_llm_cache_semantic_restored;
    }

    embedder = zone->embedders->elts;

    for (i = 0; i < zone->embedders->nelts; i++) {
        if (ngx_memcmp(embedder[i].id, sc->id,
                       NGX_HTTP_LLM_CACHE_EMBEDDER_ID)
            == 0)
        {
            return NGX_CONF_OK;
        }
    }

    embedder = ngx_array_push(zone->embedders);
    if (embedder == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(embedder->id, sc->id, NGX_HTTP_LLM_CACHE_EMBEDDER_ID);
    embedder->model = sc->model;
    embedder->api = sc->location.len != 0;
    embedder->dim = ngx_http_llm_cache_semantic_dim(sc);

    return NGX_CONF_OK;
}


/* a model is opened once, however many locations name it */

static char *
ngx_http_llm_cache_semantic_load(ngx_conf_t *cf,
    ngx_http_llm_cache_semantic_conf_t *conf)
{
    char                             error[256];
    ngx_uint_t                       i;
    ngx_pool_cleanup_t              *cln;
    ngx_http_llm_cache_model_t      *model;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);
    model = mcf->models.elts;

    for (i = 0; i < mcf->models.nelts; i++) {
        if (model[i].dir.len == conf->dir.len
            && ngx_strncmp(model[i].dir.data, conf->dir.data, conf->dir.len)
               == 0)
        {
            conf->model = model[i].model;
            return NGX_CONF_OK;
        }
    }

    model = ngx_array_push(&mcf->models);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (model == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    model->dir = conf->dir;
    model->model = llm_static_open((char *) conf->dir.data, error,
                                   sizeof(error));

    if (model->model == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"llm_cache_embed\" cannot use the model \"%V\": %s",
                      &conf->dir, error);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_llm_cache_semantic_unload;
    cln->data = model->model;

    conf->model = model->model;

    return NGX_CONF_OK;
}


static void
ngx_http_llm_cache_semantic_unload(void *data)
{
    llm_static_close(data);
}


size_t
ngx_http_llm_cache_semantic_dim(ngx_http_llm_cache_semantic_conf_t *conf)
{
    if (conf->location.len) {
        return conf->location_dim;
    }

    return conf->model ? llm_static_dim(conf->model) : LLM_LEXICAL_DIM;
}
