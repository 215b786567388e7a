#include "ngx_http_llm_cache_redis.h"


#define NGX_HTTP_LLM_CACHE_REDIS_PASSWORD  1024


static char *ngx_http_llm_cache_redis_url(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis, ngx_str_t *value);
static void ngx_http_llm_cache_redis_hide(ngx_http_llm_cache_redis_t *redis,
    ngx_str_t *value);
static char *ngx_http_llm_cache_redis_param(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis, ngx_str_t *value);
static char *ngx_http_llm_cache_redis_time(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_msec_t *msec);
static char *ngx_http_llm_cache_redis_check_conf(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis);
static ngx_uint_t ngx_http_llm_cache_redis_same(
    ngx_http_llm_cache_redis_t *a, ngx_http_llm_cache_redis_t *b);
static ngx_int_t ngx_http_llm_cache_redis_add_zone(
    ngx_http_llm_cache_redis_t *redis, ngx_http_llm_cache_zone_t *zone);
static ngx_int_t ngx_http_llm_cache_redis_resolve(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis);
static ngx_int_t ngx_http_llm_cache_redis_tls(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis);


static char *
ngx_http_llm_cache_redis_invalid(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"llm_cache_redis\"", value);

    return NGX_CONF_ERROR;
}


char *
ngx_http_llm_cache_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_llm_cache_redis_t  **field;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_llm_cache_redis_t  *redis;

    field = (ngx_http_llm_cache_redis_t **) ((char *) conf + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = NULL;
        return cf->args->nelts == 2 ? NGX_CONF_OK
               : ngx_http_llm_cache_redis_invalid(cf, &value[2]);
    }

    redis = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_cache_redis_t));
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    redis->args = *cf->args;
    redis->args.elts = ngx_palloc(cf->pool,
                                  cf->args->nelts * sizeof(ngx_str_t));

    if (redis->args.elts == NULL
        || ngx_array_init(&redis->zones, cf->pool, 1,
                          sizeof(ngx_http_llm_cache_zone_t *))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(redis->args.elts, value, cf->args->nelts * sizeof(ngx_str_t));

    ngx_str_set(&redis->prefix, "llm:");
    redis->connect_timeout = 100;
    redis->timeout = 50;
    redis->verify = NGX_CONF_UNSET;

    rv = ngx_http_llm_cache_redis_url(cf, redis, &value[1]);

    for (i = 2; rv == NGX_CONF_OK && i < cf->args->nelts; i++) {
        rv = ngx_http_llm_cache_redis_param(cf, redis, &value[i]);
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_llm_cache_redis_check_conf(cf, redis);
    }

    *field = redis;

    return rv;
}


static char *
ngx_http_llm_cache_redis_url(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis, ngx_str_t *value)
{
    u_char      *buf;
    llm_str_t    url;
    const char  *wrong;

    buf = ngx_pnalloc(cf->pool, value->len + 1);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    url.data = value->data;
    url.len = value->len;

    ngx_http_llm_cache_redis_hide(redis, value);

    wrong = llm_redis_url_parse(url, buf, &redis->url);

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"llm_cache_redis\": "
                           "the URL %s", &redis->name, wrong);
        return NGX_CONF_ERROR;
    }

    redis->password.data = (u_char *) redis->url.password.data;
    redis->password.len = redis->url.password.len;

    return NGX_CONF_OK;
}


/* the URL from its hosts on: what stands before may be a password */

static void
ngx_http_llm_cache_redis_hide(ngx_http_llm_cache_redis_t *redis,
    ngx_str_t *value)
{
    size_t  i;

    redis->name = *value;

    for (i = value->len; i > 0; i--) {
        if (value->data[i - 1] == '@') {
            redis->name.data = value->data + i - 1;
            redis->name.len = value->len - i + 1;
            return;
        }
    }
}


static char *
ngx_http_llm_cache_redis_param(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis, ngx_str_t *value)
{
    if (ngx_strncmp(value->data, "prefix=", 7) == 0) {

        redis->prefix.data = value->data + 7;
        redis->prefix.len = value->len - 7;

        /* braces would put all keys of a cluster on one node */

        if (redis->prefix.len == 0
            || redis->prefix.len > NGX_HTTP_LLM_CACHE_REDIS_PREFIX
            || ngx_strlchr(redis->prefix.data, value->data + value->len, '{'))
        {
            return ngx_http_llm_cache_redis_invalid(cf, value);
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "connect_timeout=", 16) == 0) {
        return ngx_http_llm_cache_redis_time(cf, value, 16,
                                             &redis->connect_timeout);
    }

    if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        return ngx_http_llm_cache_redis_time(cf, value, 8, &redis->timeout);
    }

    if (ngx_strncmp(value->data, "lease=", 6) == 0) {
        return ngx_http_llm_cache_redis_time(cf, value, 6, &redis->lease);
    }

    if (ngx_strncmp(value->data, "ca=", 3) == 0 && value->len > 3) {
        redis->ca.data = value->data + 3;
        redis->ca.len = value->len - 3;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "password_file=", 14) == 0
        && value->len > 14)
    {
        redis->password_file.data = value->data + 14;
        redis->password_file.len = value->len - 14;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "password=", 9) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"llm_cache_redis\" takes no \"password=\", "
                           "but one in the URL or \"password_file=\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value->data, "verify=on") == 0) {
        redis->verify = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "verify=off") == 0) {
        redis->verify = 0;
        return NGX_CONF_OK;
    }

    return ngx_http_llm_cache_redis_invalid(cf, value);
}


static char *
ngx_http_llm_cache_redis_time(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_msec_t *msec)
{
    ngx_int_t  n;
    ngx_str_t  s;

    s.data = value->data + skip;
    s.len = value->len - skip;

    n = ngx_parse_time(&s, 0);

    if (n == NGX_ERROR || n == 0 || n > 24 * 60 * 60 * 1000) {
        return ngx_http_llm_cache_redis_invalid(cf, value);
    }

    *msec = (ngx_msec_t) n;

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_cache_redis_check_conf(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis)
{
    char  *wrong;

    wrong = NULL;

    if (!redis->url.tls
        && (redis->ca.len || redis->verify != NGX_CONF_UNSET))
    {
        wrong = "\"ca\" and \"verify\" are for \"rediss\"";

    } else if (redis->verify == 0 && redis->ca.len) {
        wrong = "\"ca\" has no use with \"verify=off\"";

    } else if (redis->password_file.len && redis->password.len) {
        wrong = "there is a password in the URL and a \"password_file\"";

    } else if (redis->url.user.len && redis->password.len == 0
               && redis->password_file.len == 0)
    {
        wrong = "there is a user without a password";
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"llm_cache_redis\": %s",
                           &redis->name, wrong);
        return NGX_CONF_ERROR;
    }

    if (redis->verify == NGX_CONF_UNSET) {
        redis->verify = redis->url.tls;
    }

    return NGX_CONF_OK;
}


ngx_http_llm_cache_redis_t *
ngx_http_llm_cache_redis_use(ngx_conf_t *cf, ngx_array_t *all,
    ngx_http_llm_cache_redis_t *redis, ngx_resolver_t *resolver,
    ngx_msec_t resolver_timeout, ngx_http_llm_cache_zone_t *zone)
{
    ngx_str_t                    password;
    ngx_uint_t                   i;
    ngx_http_llm_cache_redis_t  **known, *copy;

    known = all->elts;

    for (i = 0; i < all->nelts; i++) {
        if (known[i]->resolver == resolver
            && ngx_http_llm_cache_redis_same(known[i], redis))
        {
            return ngx_http_llm_cache_redis_add_zone(known[i], zone) == NGX_OK
                   ? known[i] : NULL;
        }
    }

    /* a directive may be inherited by locations of several resolvers */

    copy = ngx_palloc(cf->pool, sizeof(ngx_http_llm_cache_redis_t));
    known = ngx_array_push(all);

    if (copy == NULL || known == NULL) {
        return NULL;
    }

    *copy = *redis;
    *known = copy;

    copy->resolver = resolver;
    copy->resolver_timeout = resolver_timeout;

    if (copy->password_file.len) {

        if (ngx_conf_full_name(cf->cycle, &copy->password_file, 1) != NGX_OK
            || ngx_http_llm_cache_redis_read_password(&copy->password_file,
                                                      &password,
                                                      NGX_LOG_EMERG, cf->log)
               != NGX_OK)
        {
            return NULL;
        }

        copy->password.len = password.len;
        copy->password.data = ngx_pstrdup(cf->pool, &password);
        ngx_free(password.data);

        if (copy->password.data == NULL) {
            return NULL;
        }
    }

    if (ngx_array_init(&copy->zones, cf->pool, 1,
                       sizeof(ngx_http_llm_cache_zone_t *))
        != NGX_OK
        || ngx_http_llm_cache_redis_add_zone(copy, zone) != NGX_OK
        || ngx_http_llm_cache_redis_resolve(cf, copy) != NGX_OK
        || ngx_http_llm_cache_redis_tls(cf, copy) != NGX_OK)
    {
        return NULL;
    }

    return copy;
}


static ngx_uint_t
ngx_http_llm_cache_redis_same(ngx_http_llm_cache_redis_t *a,
    ngx_http_llm_cache_redis_t *b)
{
    ngx_str_t   *x, *y;
    ngx_uint_t   i;

    if (a->args.nelts != b->args.nelts) {
        return 0;
    }

    x = a->args.elts;
    y = b->args.elts;

    for (i = 0; i < a->args.nelts; i++) {
        if (x[i].len != y[i].len
            || ngx_memcmp(x[i].data, y[i].data, x[i].len) != 0)
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_llm_cache_redis_has_zone(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t                   i;
    ngx_http_llm_cache_zone_t  **zones;

    zones = redis->zones.elts;

    for (i = 0; i < redis->zones.nelts; i++) {
        if (zones[i] == zone) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_llm_cache_redis_add_zone(ngx_http_llm_cache_redis_t *redis,
    ngx_http_llm_cache_zone_t *zone)
{
    ngx_http_llm_cache_zone_t  **zones;

    if (ngx_http_llm_cache_redis_has_zone(redis, zone)) {
        return NGX_OK;
    }

    zones = ngx_array_push(&redis->zones);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    *zones = zone;

    return NGX_OK;
}


/* names are resolved now, as in an upstream, unless there is a resolver */

static ngx_int_t
ngx_http_llm_cache_redis_resolve(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis)
{
    size_t             i, n;
    u_char            *p;
    ngx_url_t          u;
    llm_redis_host_t  *host;

    n = redis->url.path.len ? 1 : redis->url.n;

    for (i = 0; i < n; i++) {

        host = &redis->url.hosts[i];

        p = ngx_pnalloc(cf->pool, host->name.len + redis->url.path.len
                                  + sizeof("unix:[]:65535"));
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(&u, sizeof(ngx_url_t));
        u.url.data = p;

        if (redis->url.path.len) {
            p = ngx_sprintf(p, "unix:%*s", redis->url.path.len,
                            redis->url.path.data);

        } else if (memchr(host->name.data, ':', host->name.len)) {
            p = ngx_sprintf(p, "[%*s]:%ud", host->name.len, host->name.data,
                            host->port);

        } else {
            p = ngx_sprintf(p, "%*s:%ud", host->name.len, host->name.data,
                            host->port);
        }

        u.url.len = p - u.url.data;
        u.no_resolve = redis->resolver != NULL;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "invalid value \"%V\" in \"llm_cache_redis\": %s "
                          "in \"%V\"", &redis->name,
                          u.err ? u.err : "no memory", &u.url);
            return NGX_ERROR;
        }

        redis->addrs[i] = u.addrs;
        redis->naddrs[i] = u.naddrs;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_redis_tls(ngx_conf_t *cf,
    ngx_http_llm_cache_redis_t *redis)
{
    if (!redis->url.tls) {
        return NGX_OK;
    }

#if (NGX_SSL)
    {
    ngx_pool_cleanup_t  *cln;

    redis->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (redis->ssl == NULL) {
        return NGX_ERROR;
    }

    redis->ssl->log = cf->log;

    if (ngx_ssl_create(redis->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(redis->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = redis->ssl;

    if (redis->ca.len) {

        if (ngx_ssl_trusted_certificate(cf, redis->ssl, &redis->ca, 5)
            == NGX_OK)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "invalid value \"ca=%V\" in \"llm_cache_redis\"",
                      &redis->ca);
        return NGX_ERROR;
    }

    if (SSL_CTX_set_default_verify_paths(redis->ssl->ctx) != 1) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
    }

#else

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid value \"%V\" in \"llm_cache_redis\": this nginx "
                  "was built without TLS", &redis->name);
    return NGX_ERROR;

#endif
}


ngx_int_t
ngx_http_llm_cache_redis_read_password(ngx_str_t *file, ngx_str_t *password,
    ngx_uint_t level, ngx_log_t *log)
{
    u_char    *p, buf[NGX_HTTP_LLM_CACHE_REDIS_PASSWORD];
    ssize_t    n;
    ngx_fd_t   fd;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(level, log, ngx_errno,
                      "llm_cache_redis: " ngx_open_file_n " \"%V\" failed",
                      file);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf) - 1);

    (void) ngx_close_file(fd);

    p = n > 0 ? ngx_strlchr(buf, buf + n, LF) : NULL;

    if (p) {
        n = p - buf;
    }

    if (n > 0 && buf[n - 1] == CR) {
        n--;
    }

    if (n <= 0) {
        ngx_log_error(level, log, 0,
                      "llm_cache_redis: there is no password in \"%V\"", file);
        return NGX_ERROR;
    }

    p = ngx_alloc(n + 1, log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(p, buf, n) = '\0';
    ngx_explicit_memzero(buf, sizeof(buf));

    password->data = p;
    password->len = n;

    return NGX_OK;
}
