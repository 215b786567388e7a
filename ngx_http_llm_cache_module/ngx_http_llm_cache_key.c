#include "ngx_http_llm_cache.h"
#include "ngx_http_llm_cache_purges.h"
#include "llm_bytes.h"


static ngx_int_t ngx_http_llm_cache_key_whole(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind, llm_key_part_e part,
    const u_char *body, u_char *digest);
static ngx_int_t ngx_http_llm_cache_choose_variant(
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_observed_key_t *observed,
    u_char *digest);
static ngx_int_t ngx_http_llm_cache_key_scope(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind, u_char *digest);
static ngx_uint_t ngx_http_llm_cache_is_named(ngx_str_t *name,
    ngx_str_t *names);
static void ngx_http_llm_cache_key_args(llm_str_t args, llm_key_t *key);
static ngx_int_t ngx_http_llm_cache_key_certificate(ngx_http_request_t *r,
    llm_key_t *key);
static void ngx_http_llm_cache_split_uri(ngx_http_request_t *r,
    llm_str_t *path, llm_str_t *args);
static ngx_int_t ngx_http_llm_cache_key_namespace(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_key_t *key);
static void ngx_http_llm_cache_key_host(ngx_http_request_t *r,
    llm_key_t *key);
static ngx_int_t ngx_http_llm_cache_key_request(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_key_part_e part, const u_char *body,
    llm_key_t *key);
static ngx_int_t ngx_http_llm_cache_key_uri(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *buf);


/* what a caller is known by */

static ngx_str_t  ngx_http_llm_cache_credentials[] = {
    ngx_string("authorization"),
    ngx_string("x-api-key"),
    ngx_string("api-key"),
    ngx_string("x-goog-api-key"),

    /* Azure's API Management, Kong and APISIX, LiteLLM, Cloudflare's and
       Portkey's gateways, Helicone */

    ngx_string("ocp-apim-subscription-key"),
    ngx_string("apikey"),
    ngx_string("x-litellm-api-key"),
    ngx_string("cf-aig-authorization"),
    ngx_string("x-portkey-api-key"),
    ngx_string("x-portkey-virtual-key"),
    ngx_string("helicone-auth"),
    ngx_null_string
};


/*
 * What changes the answer besides the body.  Origin is among them because the
 * upstream's Access-Control-Allow-Origin, which a browser needs, may echo it.
 */

static ngx_str_t  ngx_http_llm_cache_varying[] = {
    ngx_string("anthropic-version"),
    ngx_string("anthropic-beta"),
    ngx_string("openai-organization"),
    ngx_string("openai-project"),
    ngx_string("openai-beta"),
    ngx_string("origin"),

    /* guardrails and deployments: Bedrock, Azure */

    ngx_string("x-amzn-bedrock-guardrailidentifier"),
    ngx_string("x-amzn-bedrock-guardrailversion"),
    ngx_string("x-amzn-bedrock-trace"),
    ngx_string("x-policy-id"),
    ngx_string("azureml-model-deployment"),
    ngx_string("x-ms-model-mesh-model-name"),

    /* whom a gateway asks, and how: Portkey, Helicone */

    ngx_string("x-portkey-provider"),
    ngx_string("x-portkey-config"),
    ngx_string("helicone-target-url"),
    ngx_null_string
};


/* and where nothing is known of the API: its form may depend on these */

static ngx_str_t  ngx_http_llm_cache_negotiating[] = {
    ngx_string("accept"),
    ngx_string("x-dashscope-sse"),
    ngx_null_string
};


ngx_int_t
ngx_http_llm_cache_make_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_cache_key_whole(r, ctx, ctx->conf->scope_kind,
                                      LLM_KEY_BODY, ctx->digest, ctx->key);

    if (rc == NGX_OK) {
        rc = ngx_http_llm_cache_choose_variant(ctx, NULL, ctx->key);
    }

    ctx->has_key = (rc == NGX_OK);

    return rc;
}


ngx_int_t
ngx_http_llm_cache_make_inputs_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, u_char *key)
{
    return ngx_http_llm_cache_key_whole(r, ctx, ctx->conf->scope_kind,
                                        LLM_KEY_BODY, NULL, key);
}


ngx_int_t
ngx_http_llm_cache_make_observed_key(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind,
    ngx_http_llm_cache_observed_key_t *key)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_cache_key_whole(r, ctx, scope_kind, LLM_KEY_BODY,
                                      ctx->digest, key->key);

    return rc == NGX_OK ? ngx_http_llm_cache_choose_variant(ctx, key, key->key)
                        : rc;
}


void
ngx_http_llm_cache_tag(ngx_http_llm_cache_ctx_t *ctx)
{
    if (ctx->tagged) {
        return;
    }

    ctx->tagged = 1;

    /* without memory for it the record is in no namespace, of no model */

    if (llm_record_tag(ngx_http_llm_cache_view(&ctx->ns), ctx->tags.ns) != 0) {
        ngx_memzero(ctx->tags.ns, LLM_TAG_LEN);
    }

    if (llm_record_tag(ngx_http_llm_cache_view(&ctx->model), ctx->tags.model)
        != 0)
    {
        ngx_memzero(ctx->tags.model, LLM_TAG_LEN);
    }
}


/* what has another embedder is another partition */

ngx_int_t
ngx_http_llm_cache_make_partition(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, const u_char *digest, u_char *partition)
{
    return ngx_http_llm_cache_key_whole(r, ctx, ctx->conf->scope_kind,
                                        LLM_KEY_QUESTION, digest, partition);
}


static ngx_int_t
ngx_http_llm_cache_key_whole(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind, llm_key_part_e part,
    const u_char *body, u_char *digest)
{
    u_char      scope[LLM_KEY_LEN], form;
    ngx_int_t   rc;
    llm_key_t  *key;

    if (part == LLM_KEY_BODY) {
        ctx->purges = ngx_http_llm_cache_zone_purges(ctx->conf->zone);
        ctx->tagged = 0;
    }

    if (ngx_http_llm_cache_key_scope(r, ctx, scope_kind, scope) != NGX_OK) {
        return NGX_ERROR;
    }

    key = llm_key_create();
    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_llm_cache_key_namespace(r, ctx, key);

    if (rc == NGX_OK) {
        form = ctx->ask.form;

        ngx_memcpy(ctx->tags.scope, scope, LLM_TAG_LEN);

        llm_key_add(key, LLM_KEY_SCOPE, scope, LLM_KEY_LEN);
        llm_key_add(key, LLM_KEY_DIALECT, ctx->route.dialect->name.data,
                    ctx->route.dialect->name.len);

        /* one answer serves all forms that can be made of it */

        if (!llm_convert_knows(ctx->route.dialect)) {
            llm_key_add(key, LLM_KEY_FORM, &form, 1);
        }

        rc = ngx_http_llm_cache_key_request(r, ctx, part, body, key);
    }

    if (rc != NGX_OK) {
        llm_key_free(key);
        return rc;
    }

    if (part == LLM_KEY_QUESTION) {
        llm_key_add(key, part, ctx->conf->semantic.id, LLM_KEY_LEN);
        llm_key_add(key, part, &ctx->variant, 1);
    }

    return llm_key_final(key, digest) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * The variants of an answer have keys of their own, but for the first, whose
 * record counts the turns.  Without randomness there is nothing to vary.
 */

static ngx_int_t
ngx_http_llm_cache_choose_variant(ngx_http_llm_cache_ctx_t *ctx,
    ngx_http_llm_cache_observed_key_t *observed, u_char *digest)
{
    llm_key_t                  *key;
    ngx_http_llm_cache_zone_t  *zone;

    zone = ctx->conf->zone;
    ctx->variant = 0;

    if (ctx->conf->variants == 1 || ctx->ask.temperature == 0) {
        return NGX_OK;
    }

    ctx->variant = (u_char)
                   (observed ? ngx_http_llm_cache_observed_turn(
                                             &zone->observed, observed->scope,
                                             digest, ctx->conf->variants)
                             : ngx_http_llm_cache_zone_turn(zone, digest,
                                                       ctx->conf->variants));

    if (ctx->variant == 0) {
        return NGX_OK;
    }

    key = llm_key_create();
    if (key == NULL) {
        return NGX_ERROR;
    }

    llm_key_add(key, LLM_KEY_VARIANT, digest, LLM_KEY_LEN);
    llm_key_add(key, LLM_KEY_VARIANT, &ctx->variant, 1);

    return llm_key_final(key, digest) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * Under its own key there is a record of which this request's form cannot be
 * made, nor the other way: it looks for one beside that very record, so that
 * whoever drops that one drops both.
 */

ngx_int_t
ngx_http_llm_cache_key_apart(ngx_http_llm_cache_ctx_t *ctx)
{
    u_char      told[13];
    llm_key_t  *key;

    key = llm_key_create();
    if (key == NULL) {
        return NGX_ERROR;
    }

    llm_bytes_put(told, 8, ctx->record.created);
    llm_bytes_put(told + 8, 4, ctx->record.body_len);
    told[12] = ctx->ask.form;

    llm_key_add(key, LLM_KEY_APART, ctx->key, LLM_KEY_LEN);
    llm_key_add(key, LLM_KEY_APART, told, sizeof(told));

    return llm_key_final(key, ctx->key) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * The scope is labelled by its kind, so that a string never equals a set of
 * credentials, nor a variable's value the keyword "shared".
 */

static ngx_int_t
ngx_http_llm_cache_key_scope(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t scope_kind, u_char *digest)
{
    u_char      kind;
    llm_str_t   path, args;
    ngx_str_t   value;
    llm_key_t  *key;

    ngx_str_null(&value);

    if (scope_kind == NGX_HTTP_LLM_CACHE_SCOPE_STRING
        && ngx_http_complex_value(r, ctx->conf->scope, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    key = llm_key_create();
    if (key == NULL) {
        return NGX_ERROR;
    }

    kind = (u_char) scope_kind;
    llm_key_add(key, LLM_KEY_SCOPE, &kind, 1);

    if (kind == NGX_HTTP_LLM_CACHE_SCOPE_CREDENTIALS) {
        ngx_http_llm_cache_key_headers(r, ngx_http_llm_cache_credentials, key);

        /* the client's own query: a rewrite may have taken the key out of it
           to send it in a header */

        ngx_http_llm_cache_split_uri(r, &path, &args);
        ngx_http_llm_cache_key_args(args, key);

        if (!r->valid_unparsed_uri) {
            ngx_http_llm_cache_key_args(ngx_http_llm_cache_view(&r->args),
                                        key);
        }

        if (ngx_http_llm_cache_key_certificate(r, key) != NGX_OK) {
            llm_key_free(key);
            return NGX_ERROR;
        }

    } else {
        llm_key_add(key, LLM_KEY_SCOPE, value.data, value.len);
    }

    return llm_key_final(key, digest) == 0 ? NGX_OK : NGX_ERROR;
}


/* the client's certificate, where it has shown one */

static ngx_int_t
ngx_http_llm_cache_key_certificate(ngx_http_request_t *r, llm_key_t *key)
{
#if (NGX_HTTP_SSL)

    X509          *certificate;
    u_char         digest[EVP_MAX_MD_SIZE];
    unsigned       n;
    ngx_int_t      rc;

    static const u_char  name[] = "?certificate";

    if (r->connection->ssl == NULL) {
        return NGX_OK;
    }

    certificate = SSL_get_peer_certificate(r->connection->ssl->connection);
    if (certificate == NULL) {
        return NGX_OK;
    }

    rc = NGX_ERROR;

    if (X509_digest(certificate, EVP_sha256(), digest, &n) == 1) {
        llm_key_add(key, LLM_KEY_HEADER, name, sizeof(name) - 1);
        llm_key_add(key, LLM_KEY_HEADER, digest, n);
        rc = NGX_OK;
    }

    X509_free(certificate);

    return rc;

#else

    return NGX_OK;

#endif
}


void
ngx_http_llm_cache_key_headers(ngx_http_request_t *r, ngx_str_t *names,
    llm_key_t *key)
{
    uint64_t                    sent;
    ngx_str_t                  *name;
    ngx_table_elt_t            *h;
    ngx_http_llm_cache_walk_t   walk;

    sent = ngx_http_llm_cache_header_names(&r->headers_in.headers);

    for (name = names; name->len; name++) {

        if (!(sent & ngx_http_llm_cache_header_bit(name))) {
            continue;
        }

        ngx_http_llm_cache_walk_headers(&walk, &r->headers_in.headers);

        while ((h = ngx_http_llm_cache_next_header(&walk, name)) != NULL) {

            if (h->value.len == 0) {
                continue;
            }

            llm_key_add(key, LLM_KEY_HEADER, name->data, name->len);
            llm_key_add(key, LLM_KEY_HEADER, h->value.data, h->value.len);
        }
    }
}


/* whose answers a credential gets is a matter of the scope */

ngx_uint_t
ngx_http_llm_cache_key_counts(ngx_http_llm_cache_ctx_t *ctx, ngx_str_t *name)
{
    static ngx_str_t  encoding[] = {
        ngx_string("accept-encoding"),
        ngx_null_string
    };

    if (ngx_http_llm_cache_is_named(name, encoding)
        || ngx_http_llm_cache_is_named(name, ngx_http_llm_cache_credentials))
    {
        return 1;
    }

    if (ctx->conf->key) {
        return 0;
    }

    return ngx_http_llm_cache_is_named(name, ngx_http_llm_cache_varying)
           || (ctx->route.dialect->id == LLM_DIALECT_JSON
               && ngx_http_llm_cache_is_named(name,
                                              ngx_http_llm_cache_negotiating));
}


static ngx_uint_t
ngx_http_llm_cache_is_named(ngx_str_t *name, ngx_str_t *names)
{
    for ( /* void */ ; names->len; names++) {

        if (names->len == name->len
            && ngx_strncasecmp(names->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Gemini's clients may send their credential as the query argument "key" */

static void
ngx_http_llm_cache_key_args(llm_str_t args, llm_key_t *key)
{
    u_char  *p, *end, *last;

    static const u_char  name[] = "?key";

    p = (u_char *) args.data;
    last = p + args.len;

    while (p < last) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (end - p > 4 && ngx_strncmp(p, "key=", 4) == 0) {
            llm_key_add(key, LLM_KEY_HEADER, name, sizeof(name) - 1);
            llm_key_add(key, LLM_KEY_HEADER, p + 4, end - p - 4);
        }

        p = end + 1;
    }
}


static ngx_int_t
ngx_http_llm_cache_key_namespace(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_key_t *key)
{
    u_char      kind;
    ngx_str_t   value;

    value = ctx->conf->default_ns;
    kind = 'd';

    if (ctx->conf->ns) {
        if (ngx_http_complex_value(r, ctx->conf->ns, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        kind = 'n';
    }

    ctx->ns = value;

    llm_key_add(key, LLM_KEY_NAMESPACE, &kind, 1);
    llm_key_add(key, LLM_KEY_NAMESPACE, value.data, value.len);
    llm_key_add(key, LLM_KEY_CLIENT_NAMESPACE, ctx->client_ns.data,
                ctx->client_ns.len);

    if (kind == 'd') {
        ngx_http_llm_cache_key_host(r, key);
    }

    return NGX_OK;
}


/*
 * One server may have many names, and an upstream for each.  A request line
 * may name another host than the header, and either may go upstream.
 */

static void
ngx_http_llm_cache_key_host(ngx_http_request_t *r, llm_key_t *key)
{
    ngx_str_t  *host, *server;

    server = &r->headers_in.server;

    llm_key_add(key, LLM_KEY_HOST, server->data, server->len);

    if (r->headers_in.host == NULL) {
        return;
    }

    host = &r->headers_in.host->value;

    if (host->len < server->len
        || ngx_strncasecmp(host->data, server->data, server->len) != 0
        || (host->len > server->len && host->data[server->len] != ':'))
    {
        llm_key_add(key, LLM_KEY_HOST, host->data, host->len);
    }
}


static ngx_int_t
ngx_http_llm_cache_key_request(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_key_part_e part, const u_char *body,
    llm_key_t *key)
{
    ngx_int_t   rc;
    ngx_str_t   value;
    llm_buf_t   buf;

    if (ctx->conf->key) {

        if (ngx_http_complex_value(r, ctx->conf->key, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0) {
            return NGX_DECLINED;
        }

        llm_key_add(key, LLM_KEY_CUSTOM, value.data, value.len);

        return NGX_OK;
    }

    ngx_memzero(&buf, sizeof(llm_buf_t));

    rc = ngx_http_llm_cache_key_uri(r, ctx, &buf);

    if (rc == NGX_OK) {
        llm_key_add(key, LLM_KEY_URI, buf.data, buf.len);
        ngx_http_llm_cache_key_headers(r, ngx_http_llm_cache_varying, key);

        if (ctx->route.dialect->id == LLM_DIALECT_JSON) {
            ngx_http_llm_cache_key_headers(r, ngx_http_llm_cache_negotiating,
                                           key);
        }

        if (body) {
            llm_key_add(key, part, body, LLM_KEY_LEN);
        }
    }

    llm_buf_free(&buf);

    return rc;
}


/*
 * As the client spelled it, which is what proxy_pass sends on; and, where it
 * was rewritten, as it stands now.  A namespace that the operator gave makes
 * rewritten URIs equal however they were spelled before.
 */

static ngx_int_t
ngx_http_llm_cache_key_uri(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *buf)
{
    llm_str_t  path, args;

    if (r->valid_unparsed_uri || ctx->conf->ns == NULL) {

        ngx_http_llm_cache_split_uri(r, &path, &args);

        if (llm_dialect_key_uri(&ctx->route, path, args, buf) != 0
            || llm_buf_add(buf, "\n", 1) != 0)
        {
            return NGX_ERROR;
        }
    }

    if (!r->valid_unparsed_uri
        && llm_dialect_key_uri(&ctx->route, ngx_http_llm_cache_view(&r->uri),
                               ngx_http_llm_cache_view(&r->args), buf)
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the URI as the client spelled it */

static void
ngx_http_llm_cache_split_uri(ngx_http_request_t *r, llm_str_t *path,
    llm_str_t *args)
{
    u_char  *p;

    *path = ngx_http_llm_cache_view(&r->unparsed_uri);

    args->data = NULL;
    args->len = 0;

    p = ngx_strlchr(r->unparsed_uri.data,
                    r->unparsed_uri.data + r->unparsed_uri.len, '?');
    if (p) {
        path->len = p - path->data;
        args->data = p + 1;
        args->len = r->unparsed_uri.len - path->len - 1;
    }
}
