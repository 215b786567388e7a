#include "ngx_http_llm_cache.h"


#define NGX_HTTP_LLM_CACHE_LOC_CONF                                           \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF)


static char *ngx_http_llm_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_valid(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_key_ignore(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_ignore_id(
    ngx_http_llm_cache_loc_conf_t *lcf);
static char *ngx_http_llm_cache_controls(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_max_temperature(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_llm_cache_max_body(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_finish(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_lock_timeout(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_llm_cache_stream_rate(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_llm_cache_variants(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_use_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_llm_cache_complex(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv);


static ngx_conf_bitmask_t  ngx_http_llm_cache_failures[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("updating"), NGX_HTTP_UPSTREAM_FT_UPDATING },
    { ngx_string("http_403"), NGX_HTTP_UPSTREAM_FT_HTTP_403 },
    { ngx_string("http_404"), NGX_HTTP_UPSTREAM_FT_HTTP_404 },
    { ngx_string("http_429"), NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { ngx_string("http_500"), NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { ngx_string("http_502"), NGX_HTTP_UPSTREAM_FT_HTTP_502 },
    { ngx_string("http_503"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("http_504"), NGX_HTTP_UPSTREAM_FT_HTTP_504 },
    { ngx_string("http_529"), NGX_HTTP_LLM_CACHE_FT_HTTP_529 },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


ngx_command_t  ngx_http_llm_cache_commands[] = {

    { ngx_string("llm_cache"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_cache,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_llm_cache_zone_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_valid"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_valid,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_semantic"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_llm_cache_semantic,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_semantic_verify"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_cache_semantic_verify,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_embed"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1234,
      ngx_http_llm_cache_embed,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_key"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, key),
      NULL },

    { ngx_string("llm_cache_key_ignore"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_llm_cache_key_ignore,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_scope"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_scope,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_namespace"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, ns),
      NULL },

    { ngx_string("llm_cache_bypass"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, bypass),
      NULL },

    { ngx_string("llm_cache_no_store"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, no_store),
      NULL },

    { ngx_string("llm_cache_controls"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_cache_controls,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_max_temperature"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_max_temperature,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_max_body"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_max_body,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_finish"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_llm_cache_finish,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_lock"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, lock),
      NULL },

    { ngx_string("llm_cache_lock_timeout"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_lock_timeout,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, lock_timeout),
      NULL },

    { ngx_string("llm_cache_use_stale"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_llm_cache_use_stale,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, use_stale),
      &ngx_http_llm_cache_failures },

    { ngx_string("llm_cache_stale"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_stale,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, stale),
      NULL },

    { ngx_string("llm_cache_stream_rate"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_stream_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_embeddings"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_embeddings,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_variants"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_cache_variants,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_background_update"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, background_update),
      NULL },

    { ngx_string("llm_cache_redis"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_llm_cache_redis_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, redis),
      NULL },

    { ngx_string("llm_cache_ignore_client_abort"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, ignore_client_abort),
      NULL },

    { ngx_string("llm_cache_hosted_tools"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, hosted_tools),
      NULL },

    { ngx_string("llm_cache_mark"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, mark),
      NULL },

    { ngx_string("llm_cache_headers"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_cache_loc_conf_t, headers),
      NULL },

    { ngx_string("llm_cache_price"),
      NGX_HTTP_LLM_CACHE_LOC_CONF|NGX_CONF_TAKE3,
      ngx_http_llm_cache_price,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_cache_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_llm_cache_api_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static char *
ngx_http_llm_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->enable != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        lcf->enable = NGX_HTTP_LLM_CACHE_ON;

    } else if (ngx_strcmp(value[1].data, "opt_in") == 0) {
        lcf->enable = NGX_HTTP_LLM_CACHE_OPT_IN;

    } else if (ngx_strcmp(value[1].data, "observe") == 0) {
        lcf->enable = NGX_HTTP_LLM_CACHE_OBSERVE;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->enable = NGX_HTTP_LLM_CACHE_OFF;

    } else {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "zone=", 5) != 0 || value[2].len == 5
            || lcf->enable == NGX_HTTP_LLM_CACHE_OFF)
        {
            return ngx_http_llm_cache_invalid(cf, &value[2]);
        }

        lcf->zone_name.data = value[2].data + 5;
        lcf->zone_name.len = value[2].len - 5;
    }

    return lcf->enable == NGX_HTTP_LLM_CACHE_OFF
           ? NGX_CONF_OK : ngx_http_llm_cache_use_threads(cf);
}


static char *
ngx_http_llm_cache_valid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->valid || lcf->valid_time != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_script_variables_count(&value[1])) {
        return ngx_http_llm_cache_complex(cf, &value[1], &lcf->valid);
    }

    lcf->valid_time = ngx_parse_time(&value[1], 1);
    if (lcf->valid_time == (time_t) NGX_ERROR) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_scope(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->scope_kind) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    if (ngx_strcmp(value[1].data, "credentials") == 0) {
        lcf->scope_kind = NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "shared") == 0) {
        lcf->scope_kind = NGX_HTTP_LLM_CACHE_SCOPE_SHARED;
        return NGX_CONF_OK;
    }

    lcf->scope_kind = NGX_HTTP_LLM_CACHE_SCOPE_STRING;

    return ngx_http_llm_cache_complex(cf, &value[1], &lcf->scope);
}


static char *
ngx_http_llm_cache_key_ignore(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    u_char      *p;
    llm_str_t   *path;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (lcf->ignore == NGX_CONF_UNSET_PTR) {
        lcf->ignore = ngx_array_create(cf->pool, 4, sizeof(llm_str_t));
        if (lcf->ignore == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        p = value[i].data;

        if (value[i].len == 0
            || p[0] == '.' || p[value[i].len - 1] == '.'
            || ngx_strstr(p, "..") != NULL)
        {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }

        path = ngx_array_push(lcf->ignore);
        if (path == NULL) {
            return NGX_CONF_ERROR;
        }

        *path = ngx_http_llm_cache_view(&value[i]);
    }

    return ngx_http_llm_cache_ignore_id(lcf);
}


/* what tells this list from any other one */

static char *
ngx_http_llm_cache_ignore_id(ngx_http_llm_cache_loc_conf_t *lcf)
{
    llm_key_t   *id;
    llm_str_t   *path;
    ngx_uint_t   i;

    id = llm_key_create();
    if (id == NULL) {
        return NGX_CONF_ERROR;
    }

    path = lcf->ignore->elts;

    for (i = 0; i < lcf->ignore->nelts; i++) {
        llm_key_add(id, LLM_KEY_CUSTOM, path[i].data, path[i].len);
    }

    return llm_key_final(id, lcf->ignore_id) == 0 ? NGX_CONF_OK
                                                  : NGX_CONF_ERROR;
}


static char *
ngx_http_llm_cache_controls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, control;

    if (lcf->controls) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "header") == 0) {
            control = NGX_HTTP_LLM_CACHE_CONTROL_HEADER;

        } else if (ngx_strcmp(value[i].data, "body") == 0) {
            control = NGX_HTTP_LLM_CACHE_CONTROL_BODY;

        } else if (ngx_strcmp(value[i].data, "off") == 0
                   && cf->args->nelts == 2)
        {
            control = NGX_HTTP_LLM_CACHE_CONTROL_OFF;

        } else {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }

        if (lcf->controls & control) {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }

        lcf->controls |= control;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_max_temperature(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    if (lcf->max_temperature != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    lcf->max_temperature = ngx_atofp(value[1].data, value[1].len, 6);
    if (lcf->max_temperature == NGX_ERROR) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_max_body(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (lcf->max_body != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);
    if (size == NGX_ERROR || size == 0) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    lcf->max_body = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_finish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    unsigned       class;
    llm_str_t     *words, word;
    ngx_str_t     *value;
    ngx_uint_t     i;

    if (lcf->finish) {
        return "is duplicate";
    }

    lcf->finish = ngx_pcalloc(cf->pool, sizeof(llm_finish_t));
    words = ngx_pcalloc(cf->pool, cf->args->nelts * sizeof(llm_str_t));

    if (lcf->finish == NULL || words == NULL) {
        return NGX_CONF_ERROR;
    }

    lcf->finish->words = words;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        word = ngx_http_llm_cache_view(&value[i]);
        class = llm_finish_class(word);

        if (class) {
            lcf->finish->classes |= class;

        } else if (llm_finish_known(word)) {
            words[lcf->finish->n++] = word;

        } else {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_lock_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_parse_time(&value[1], 0) == NGX_ERROR
           ? ngx_http_llm_cache_invalid(cf, &value[1])
           : ngx_conf_set_msec_slot(cf, cmd, conf);
}


static char *
ngx_http_llm_cache_use_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_str_t           *value;
    ngx_uint_t           i, n;
    ngx_conf_bitmask_t  *mask;

    if (lcf->use_stale) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = cf->args->nelts;

    for (i = 1; i < n; i++) {

        for (mask = cmd->post; mask->name.len; mask++) {
            if (mask->name.len == value[i].len
                && ngx_strcasecmp(mask->name.data, value[i].data) == 0)
            {
                break;
            }
        }

        if (mask->name.len == 0
            || (mask->mask == NGX_HTTP_UPSTREAM_FT_OFF && n > 2))
        {
            return ngx_http_llm_cache_invalid(cf, &value[i]);
        }
    }

    return ngx_conf_set_bitmask_slot(cf, cmd, conf);
}


static char *
ngx_http_llm_cache_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_parse_time(&value[1], 1) == NGX_ERROR
           ? ngx_http_llm_cache_invalid(cf, &value[1])
           : ngx_conf_set_sec_slot(cf, cmd, conf);
}


static char *
ngx_http_llm_cache_complex(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv)
{
    ngx_http_compile_complex_value_t  ccv;

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = *cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_llm_cache_invalid(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_str_t  *name;

    name = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in \"%V\"",
                       value, name);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_llm_cache_stream_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_int_t   rate;
    ngx_str_t  *value;

    if (lcf->stream_rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->stream_rate = 0;
        return NGX_CONF_OK;
    }

    rate = ngx_atoi(value[1].data, value[1].len);

    if (rate < 1 || rate > NGX_HTTP_LLM_CACHE_MAX_RATE) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    lcf->stream_rate = (ngx_uint_t) rate;

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_variants(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_cache_loc_conf_t *lcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (lcf->variants != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > NGX_HTTP_LLM_CACHE_MAX_VARIANTS) {
        return ngx_http_llm_cache_invalid(cf, &value[1]);
    }

    lcf->variants = (ngx_uint_t) n;

    return NGX_CONF_OK;
}
