#include "ngx_http_llm_cache.h"


#define NGX_HTTP_LLM_CACHE_ZONE_SIZE   (64 * 1024 * 1024)
#define NGX_HTTP_LLM_CACHE_MAX_ENTRY   (1024 * 1024)
#define NGX_HTTP_LLM_CACHE_INACTIVE    (24 * 60 * 60)

/* nginx's default of client_body_buffer_size, and ours where caching is on */
#define NGX_HTTP_LLM_CACHE_NGX_BUFFER  (2 * ngx_pagesize)
#define NGX_HTTP_LLM_CACHE_BUFFER      (1024 * 1024)

/*
 * The resolver of a location without one knows no name servers.  Angie's asks
 * those of /etc/resolv.conf: names are resolved at start all the same.
 */

#if (defined angie_version && angie_version >= 1012000)
#define ngx_http_llm_cache_has_resolver(r)  ((r)->resolv_conf.len == 0)
#else
#define ngx_http_llm_cache_has_resolver(r)  ((r)->connections.nelts != 0)
#endif


static char *ngx_http_llm_cache_turn_on(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf);
static ngx_str_t *ngx_http_llm_cache_place(ngx_conf_t *cf);
static void ngx_http_llm_cache_merge_flights(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev,
    ngx_http_llm_cache_loc_conf_t *conf);
static char *ngx_http_llm_cache_find_zone(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf);
static char *ngx_http_llm_cache_use_redis(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf);
static void ngx_http_llm_cache_body_buffer(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf);
static char *ngx_http_llm_cache_default_ns(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf);
static ngx_uint_t ngx_http_llm_cache_same_servers(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);


static llm_finish_t  ngx_http_llm_cache_default_finish = {
    LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL, NULL, 0
};


void *
ngx_http_llm_cache_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_cache_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->zones, cf->pool, 2,
                       sizeof(ngx_http_llm_cache_zone_t *))
        != NGX_OK
        || ngx_array_init(&mcf->models, cf->pool, 1,
                          sizeof(ngx_http_llm_cache_model_t))
           != NGX_OK
        || ngx_array_init(&mcf->redises, cf->pool, 1,
                          sizeof(ngx_http_llm_cache_redis_t *))
           != NGX_OK
        || ngx_array_init(&mcf->apis, cf->pool, 1,
                          sizeof(ngx_http_llm_cache_api_t))
           != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


void *
ngx_http_llm_cache_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_llm_cache_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_cache_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->zone_name = { 0, NULL };
     *     conf->zone = NULL;
     *     conf->valid = NULL;
     *     conf->key = NULL;
     *     conf->ns = NULL;
     *     conf->default_ns = { 0, NULL };
     *     conf->scope = NULL;
     *     conf->scope_kind = 0;
     *     conf->controls = 0;
     *     conf->finish = NULL;
     *     conf->use_stale = 0;
     *     conf->semantic = { 0 };
     *     conf->prices = NULL;
     *     conf->api = 0;
     */

    conf->enable = NGX_CONF_UNSET_UINT;
    conf->valid_time = NGX_CONF_UNSET;
    conf->ignore = NGX_CONF_UNSET_PTR;
    conf->bypass = NGX_CONF_UNSET_PTR;
    conf->no_store = NGX_CONF_UNSET_PTR;
    conf->max_temperature = NGX_CONF_UNSET;
    conf->max_body = NGX_CONF_UNSET_SIZE;
    conf->lock = NGX_CONF_UNSET;
    conf->lock_timeout = NGX_CONF_UNSET_MSEC;
    conf->stale = NGX_CONF_UNSET;
    conf->background_update = NGX_CONF_UNSET;
    conf->redis = NGX_CONF_UNSET_PTR;
    conf->variants = NGX_CONF_UNSET_UINT;
    conf->by_input = NGX_CONF_UNSET;
    conf->stream_rate = NGX_CONF_UNSET_UINT;
    conf->ignore_client_abort = NGX_CONF_UNSET;
    conf->hosted_tools = NGX_CONF_UNSET;
    conf->mark = NGX_CONF_UNSET;
    conf->headers = NGX_CONF_UNSET;
    conf->semantic.enable = NGX_CONF_UNSET;
    conf->semantic.threshold = -1;
    conf->semantic.verify = NGX_CONF_UNSET;
    conf->semantic.verify_threshold = -1;

    return conf;
}


char *
ngx_http_llm_cache_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_llm_cache_loc_conf_t *prev = parent;
    ngx_http_llm_cache_loc_conf_t *conf = child;

    if (conf->enable == NGX_CONF_UNSET_UINT) {
        conf->zone_name = prev->zone_name;
    }

    ngx_conf_merge_uint_value(conf->enable, prev->enable,
                              NGX_HTTP_LLM_CACHE_OFF);

    if (conf->valid == NULL && conf->valid_time == NGX_CONF_UNSET) {
        conf->valid = prev->valid;
    }

    ngx_conf_merge_value(conf->valid_time, prev->valid_time, 3600);

    if (conf->key == NULL) {
        conf->key = prev->key;
    }

    if (conf->ns == NULL) {
        conf->ns = prev->ns;
    }

    if (conf->scope_kind == 0) {
        conf->scope_kind = prev->scope_kind;
        conf->scope = prev->scope;
    }

    if (conf->scope_kind == 0) {
        conf->scope_kind = NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS;
    }

    if (conf->prices == NULL) {
        conf->prices = prev->prices;
    }

    if (conf->controls == 0) {
        conf->controls = prev->controls;
    }

    if (conf->controls == 0) {
        conf->controls = NGX_HTTP_LLM_CACHE_CONTROL_HEADER
                         |NGX_HTTP_LLM_CACHE_CONTROL_BODY;
    }

    if (conf->finish == NULL) {
        conf->finish = prev->finish ? prev->finish
                                    : &ngx_http_llm_cache_default_finish;
    }

    if (conf->ignore == NGX_CONF_UNSET_PTR) {
        ngx_memcpy(conf->ignore_id, prev->ignore_id, LLM_KEY_LEN);
    }

    ngx_conf_merge_ptr_value(conf->ignore, prev->ignore, NULL);
    ngx_conf_merge_ptr_value(conf->bypass, prev->bypass, NULL);
    ngx_conf_merge_ptr_value(conf->no_store, prev->no_store, NULL);
    ngx_conf_merge_value(conf->max_temperature, prev->max_temperature, -1);
    ngx_conf_merge_size_value(conf->max_body, prev->max_body, 8388608);
    ngx_conf_merge_value(conf->hosted_tools, prev->hosted_tools, 0);
    ngx_conf_merge_value(conf->mark, prev->mark, 0);
    ngx_conf_merge_value(conf->headers, prev->headers, 1);

    ngx_http_llm_cache_merge_flights(cf, prev, conf);
    ngx_http_llm_cache_api_merge(cf, prev, conf);

    if (conf->enable != NGX_HTTP_LLM_CACHE_OFF
        && ngx_http_llm_cache_turn_on(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_llm_cache_semantic_merge(cf, prev, conf);
}


static char *
ngx_http_llm_cache_turn_on(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf)
{
    if (ngx_http_llm_cache_default_ns(cf, conf) != NGX_CONF_OK
        || ngx_http_llm_cache_find_zone(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->enable == NGX_HTTP_LLM_CACHE_OBSERVE) {
        conf->zone->observed.used = 1;
        return NGX_CONF_OK;
    }

    ngx_http_llm_cache_body_buffer(cf, conf);

    return ngx_http_llm_cache_use_redis(cf, conf);
}


/* with what is known of the location: its zone, and a resolver */

static char *
ngx_http_llm_cache_use_redis(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_resolver_t                  *resolver;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_llm_cache_main_conf_t  *mcf;

    if (conf->redis == NULL) {
        return NGX_CONF_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    resolver = clcf->resolver;

    if (resolver && !ngx_http_llm_cache_has_resolver(resolver)) {
        resolver = NULL;
    }

    conf->redis = ngx_http_llm_cache_redis_use(cf, &mcf->redises, conf->redis,
                                               resolver,
                                               clcf->resolver_timeout,
                                               conf->zone);

    return conf->redis ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void
ngx_http_llm_cache_merge_flights(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev, ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_conf_merge_value(conf->lock, prev->lock, 1);
    ngx_conf_merge_msec_value(conf->lock_timeout, prev->lock_timeout, 60000);
    ngx_conf_merge_ptr_value(conf->redis, prev->redis, NULL);
    ngx_conf_merge_value(conf->ignore_client_abort,
                         prev->ignore_client_abort, 0);
    ngx_conf_merge_bitmask_value(conf->use_stale, prev->use_stale,
                                 NGX_CONF_BITMASK_SET);
    ngx_conf_merge_value(conf->stale, prev->stale, 86400);
    ngx_conf_merge_value(conf->background_update, prev->background_update, 0);
    ngx_conf_merge_uint_value(conf->variants, prev->variants, 1);
    ngx_conf_merge_value(conf->by_input, prev->by_input, 1);
    ngx_conf_merge_uint_value(conf->stream_rate, prev->stream_rate, 0);

    if (ngx_http_llm_cache_serving(conf)
        && conf->background_update
        && !(conf->use_stale & NGX_HTTP_UPSTREAM_FT_UPDATING))
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"llm_cache_background_update\" has no effect without "
                      "\"llm_cache_use_stale updating\" in %V",
                      ngx_http_llm_cache_place(cf));
    }
}


/* what is merged, for messages: the line is not known any more */

static ngx_str_t *
ngx_http_llm_cache_place(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_core_srv_conf_t  *cscf;

    static ngx_str_t  server = ngx_string("a server without a name");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.len) {
        return &clcf->name;
    }

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    return cscf->server_name.len ? &cscf->server_name : &server;
}


ngx_http_llm_cache_zone_t *
ngx_http_llm_cache_new_zone(ngx_conf_t *cf)
{
    ngx_http_llm_cache_zone_t       *zone, **z;
    ngx_http_llm_cache_main_conf_t  *mcf;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_cache_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->inactive = NGX_HTTP_LLM_CACHE_INACTIVE;
    zone->max_entry = NGX_HTTP_LLM_CACHE_MAX_ENTRY;
    zone->n = 1;
    zone->vectors.n = NGX_HTTP_LLM_CACHE_VECTORS;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    z = ngx_array_push(&mcf->zones);
    if (z == NULL) {
        return NULL;
    }

    *z = zone;

    return zone;
}


/*
 * The zone named; without a name the only zone that was declared, or an
 * implicit one.
 */

static char *
ngx_http_llm_cache_find_zone(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);
    zones = mcf->zones.elts;

    if (conf->zone_name.len) {

        for (i = 0; i < mcf->zones.nelts; i++) {
            if (zones[i]->name.len == conf->zone_name.len
                && ngx_strncmp(zones[i]->name.data, conf->zone_name.data,
                               conf->zone_name.len)
                   == 0)
            {
                conf->zone = zones[i];
                return NGX_CONF_OK;
            }
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"llm_cache\" names the unknown zone \"%V\" in %V, "
                      "declare it with \"llm_cache_zone\"", &conf->zone_name,
                      ngx_http_llm_cache_place(cf));
        return NGX_CONF_ERROR;
    }

    if (mcf->zones.nelts > 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"llm_cache\" must name a zone by \"zone=NAME\" in "
                      "%V, as several are declared",
                      ngx_http_llm_cache_place(cf));
        return NGX_CONF_ERROR;
    }

    if (mcf->zones.nelts == 1) {
        conf->zone = zones[0];
        return NGX_CONF_OK;
    }

    mcf->implicit = ngx_http_llm_cache_new_zone(cf);
    if (mcf->implicit == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&mcf->implicit->name, "llm_cache");
    mcf->implicit->size = NGX_HTTP_LLM_CACHE_ZONE_SIZE;

    conf->zone = mcf->implicit;

    return ngx_http_llm_cache_zone_add(cf, conf->zone);
}


/*
 * Prompts are larger than forms.  Where the operator has not chosen a size,
 * bodies stay in memory instead of being written to a temporary file and read
 * again.
 */

static void
ngx_http_llm_cache_body_buffer(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_body_buffer_size == NGX_HTTP_LLM_CACHE_NGX_BUFFER) {
        clcf->client_body_buffer_size = ngx_min(NGX_HTTP_LLM_CACHE_BUFFER,
                                                conf->max_body);
    }
}


/*
 * Server and location name.  What has no name of its own gets a number, so
 * that two servers of one name, or an "if" block and what surrounds it, with
 * their different upstreams, do not share answers.
 */

static char *
ngx_http_llm_cache_default_ns(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *conf)
{
    u_char                          *p;
    size_t                           len;
    ngx_uint_t                       same;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_core_srv_conf_t        *cscf;
    ngx_http_llm_cache_main_conf_t  *mcf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    if (clcf->noname) {
        mcf->nested++;
    }

    same = ngx_http_llm_cache_same_servers(cf, cscf);

    len = cscf->server_name.len + clcf->name.len + 2 * NGX_INT_T_LEN + 8;

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->default_ns.data = p;

    p = ngx_sprintf(p, "%V", &cscf->server_name);

    if (same) {
        p = ngx_sprintf(p, "#%ui", same);
    }

    p = ngx_sprintf(p, " %V", &clcf->name);

    if (clcf->noname) {
        p = ngx_sprintf(p, " if%ui", mcf->nested);
    }

    conf->default_ns.len = p - conf->default_ns.data;

    return NGX_CONF_OK;
}


/* how many servers of the same name stand before this one */

static ngx_uint_t
ngx_http_llm_cache_same_servers(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                   i, n;
    ngx_http_core_srv_conf_t   **servers;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    servers = cmcf->servers.elts;
    n = 0;

    for (i = 0; i < cmcf->servers.nelts; i++) {

        if (servers[i] == cscf) {
            break;
        }

        if (servers[i]->server_name.len == cscf->server_name.len
            && ngx_strncmp(servers[i]->server_name.data,
                           cscf->server_name.data, cscf->server_name.len)
               == 0)
        {
            n++;
        }
    }

    return n;
}
