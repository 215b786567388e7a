#include "ngx_http_llm_cache.h"


#define NGX_HTTP_LLM_CACHE_API_WORDS  3


static ngx_uint_t ngx_http_llm_cache_api_limited(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf);
static ngx_uint_t ngx_http_llm_cache_api_guarded(ngx_conf_t *cf,
    void **loc_conf);
static ngx_uint_t ngx_http_llm_cache_api_off(ngx_http_complex_value_t *realm);
static ngx_uint_t ngx_http_llm_cache_api_local(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);
static ngx_uint_t ngx_http_llm_cache_api_serves(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *cscf);
static ngx_uint_t ngx_http_llm_cache_api_loopback(struct sockaddr *sa);


char *
ngx_http_llm_cache_api_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t                       *value;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_llm_cache_api_t        *api;
    ngx_http_llm_cache_main_conf_t  *mcf;

    if (lcf->api) {
        return "is duplicate";
    }

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->named || clcf->name.len == 0 || clcf->name.data[0] != '/'
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        return "must stand in a location that a path begins";
    }

    lcf->api = NGX_HTTP_LLM_CACHE_API_READ;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "write=on") == 0) {
            lcf->api = NGX_HTTP_LLM_CACHE_API_WRITE;

        } else if (ngx_strcmp(value[1].data, "write=off") != 0) {
            return ngx_http_llm_cache_invalid(cf, &value[1]);
        }
    }

    clcf->handler = ngx_http_llm_cache_api_handler;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);

    api = ngx_array_push(&mcf->apis);
    if (api == NULL) {
        return NGX_CONF_ERROR;
    }

    api->location = clcf;
    api->server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    api->write = (lcf->api == NGX_HTTP_LLM_CACHE_API_WRITE);
    api->line = cf->conf_file->line;
    api->file = cf->conf_file->file.name;

    return NGX_CONF_OK;
}


/* "if" and "limit_except" in the location have a configuration of their own */

void
ngx_http_llm_cache_api_merge(ngx_conf_t *cf,
    ngx_http_llm_cache_loc_conf_t *prev, ngx_http_llm_cache_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (prev->api == 0 || !clcf->noname || clcf->handler) {
        return;
    }

    conf->api = prev->api;

    if (clcf->lmt_excpt) {
        clcf->handler = ngx_http_llm_cache_api_handler;
    }
}


void
ngx_http_llm_cache_api_check(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_llm_cache_api_t        *api;
    ngx_http_llm_cache_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_llm_cache_module);
    api = mcf->apis.elts;

    for (i = 0; i < mcf->apis.nelts; i++) {

        if (!api[i].write
            || ngx_http_llm_cache_api_limited(cf, api[i].location)
            || ngx_http_llm_cache_api_guarded(cf, api[i].location->loc_conf)
            || ngx_http_llm_cache_api_local(cf, api[i].server))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"llm_cache_api write=on\" lets everybody purge: use "
                      "\"allow\" and \"deny\", authentication, or a listener "
                      "on a loopback address, in %V:%ui",
                      &api[i].file, api[i].line);
    }
}


/* whether "limit_except" guards what writes */

static ngx_uint_t
ngx_http_llm_cache_api_limited(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf)
{
    ngx_uint_t  methods;

    methods = NGX_HTTP_POST|NGX_HTTP_DELETE;

    return (clcf->limit_except & methods) == methods
           && ngx_http_llm_cache_api_guarded(cf, clcf->limit_except_loc_conf);
}


/*
 * Whether a module that guards locations is configured there.  Their
 * configurations are their own, but begin with what is empty without a rule.
 */

static ngx_uint_t
ngx_http_llm_cache_api_guarded(ngx_conf_t *cf, void **loc_conf)
{
    void              **words;
    ngx_uint_t          i, j, k;
    ngx_module_t       *module;
    ngx_http_module_t  *ctx;

    static const struct {
        const char     *module;
        ngx_uint_t      words;
        ngx_uint_t      realm;      /* the first is one, which may be "off" */
    } guards[] = {
        { "ngx_http_access_module", NGX_HTTP_LLM_CACHE_API_WORDS, 0 },
        { "ngx_http_auth_basic_module", 1, 1 },
        { "ngx_http_auth_request_module", 1, 0 },
        { "ngx_http_auth_jwt_module", 1, 0 }
    };

    for (i = 0; cf->cycle->modules[i]; i++) {

        module = cf->cycle->modules[i];
        ctx = module->ctx;

        if (module->type != NGX_HTTP_MODULE
            || ctx->create_loc_conf == NULL || module->name == NULL)
        {
            continue;
        }

        for (j = 0; j < sizeof(guards) / sizeof(guards[0]); j++) {

            if (ngx_strcmp(module->name, guards[j].module) != 0) {
                continue;
            }

            words = loc_conf[module->ctx_index];

            if (guards[j].realm && ngx_http_llm_cache_api_off(words[0])) {
                continue;
            }

            for (k = 0; k < guards[j].words; k++) {
                if (words[k]) {
                    return 1;
                }
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_cache_api_off(ngx_http_complex_value_t *realm)
{
    return realm && realm->lengths == NULL && realm->value.len == 3
           && ngx_strncmp(realm->value.data, "off", 3) == 0;
}


/* whether the server is reached from this machine only */

static ngx_uint_t
ngx_http_llm_cache_api_local(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                  p, a;
    ngx_http_conf_port_t       *port;
    ngx_http_conf_addr_t       *addr;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL) {
        return 0;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {

        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {
            if (ngx_http_llm_cache_api_serves(&addr[a], cscf)
                && !ngx_http_llm_cache_api_loopback(addr[a].opt.sockaddr))
            {
                return 0;
            }
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_llm_cache_api_serves(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t  **servers;

    servers = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        if (servers[i] == cscf) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_cache_api_loopback(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;

    default:
        return 0;
    }
}
