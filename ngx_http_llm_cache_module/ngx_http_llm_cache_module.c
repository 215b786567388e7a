#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_purge.h"
#include "ngx_http_llm_cache_holds.h"
#include "ngx_http_llm_cache_state.h"


static ngx_int_t ngx_http_llm_cache_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_llm_cache_init_observed(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_llm_cache_init_process(ngx_cycle_t *cycle);
static void ngx_http_llm_cache_exit_process(ngx_cycle_t *cycle);


static ngx_http_module_t  ngx_http_llm_cache_module_ctx = {
    ngx_http_llm_cache_add_variables,      /* preconfiguration */
    ngx_http_llm_cache_init,               /* postconfiguration */

    ngx_http_llm_cache_create_main_conf,   /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_llm_cache_create_loc_conf,    /* create location configuration */
    ngx_http_llm_cache_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_llm_cache_module = {
    NGX_MODULE_V1,
    &ngx_http_llm_cache_module_ctx,        /* module context */
    ngx_http_llm_cache_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_llm_cache_init_module,        /* init module */
    ngx_http_llm_cache_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_llm_cache_exit_process,       /* exit process */
    ngx_http_llm_cache_state_exit_master,  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_llm_cache_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_handler_pt             *h;
    ngx_http_core_main_conf_t       *cmcf;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    ngx_http_llm_cache_api_check(cf);

    if (ngx_http_llm_cache_page_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mcf->zones.nelts == 0 && mcf->implicit == NULL) {
        /* nothing is cached anywhere: no request will see the module */
        return NGX_OK;
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {

        if (zones[i]->vectors.dim
            && ngx_http_llm_cache_vectors_add(cf, &zones[i]->vectors,
                                              &zones[i]->name)
               != NGX_CONF_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_llm_cache_init_observed(cf, zones[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_llm_cache_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_llm_cache_log_handler;

    ngx_http_llm_cache_observe_init();

    return ngx_http_llm_cache_filter_init(cf);
}


static ngx_int_t
ngx_http_llm_cache_init_observed(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_http_llm_cache_observed_t  *observed;

    observed = &zone->observed;

    if (!observed->used) {
        return NGX_OK;
    }

    observed->inactive = zone->inactive;
    observed->lru = zone->lru;
    observed->stat = &zone->stat;

    return ngx_http_llm_cache_observed_add(cf, observed, &zone->name,
                                           zone->size)
           == NGX_CONF_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_cache_init_module(ngx_cycle_t *cycle)
{
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);

    if (ngx_http_llm_cache_wake_init_module(cycle, mcf && mcf->zones.nelts)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_llm_cache_state_init_module(cycle);
}


static ngx_int_t
ngx_http_llm_cache_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_redis_t     **redises;
    ngx_http_llm_cache_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);
    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_llm_cache_wake_init_process(cycle);

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        ngx_http_llm_cache_zone_reap(zones[i], 1, cycle->log);

        zones[i]->observed.capacity =
                                  ngx_http_llm_cache_zone_capacity(zones[i]);
    }

    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {
        if (ngx_http_llm_cache_redis_init(redises[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_http_llm_cache_purge_init(mcf);

    if (ngx_process == NGX_PROCESS_SINGLE) {
        ngx_http_llm_cache_state_init_single(cycle);
    }

    return NGX_OK;
}


static void
ngx_http_llm_cache_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_zone_t      **zones;
    ngx_http_llm_cache_redis_t     **redises;
    ngx_http_llm_cache_main_conf_t  *mcf;

    ngx_http_llm_cache_purge_exit();
    ngx_http_llm_cache_pack_exit();
    ngx_http_llm_cache_redis_store_exit();
    ngx_http_llm_cache_reply_exit();

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_llm_cache_module);
    if (mcf == NULL) {
        return;
    }

    redises = mcf->redises.elts;

    for (i = 0; i < mcf->redises.nelts; i++) {
        ngx_http_llm_cache_redis_exit(redises[i]);
    }

    zones = mcf->zones.elts;

    for (i = 0; i < mcf->zones.nelts; i++) {
        ngx_http_llm_cache_zone_close(zones[i]);
    }

    ngx_http_llm_cache_log_holds(cycle->log);
}
