#include "ngx_http_llm_cache_api.h"
#include "ngx_http_llm_cache_purge.h"


/* bytes of a request's body: more than all conditions need */
#define NGX_HTTP_LLM_CACHE_API_BODY  16384


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_llm_cache_purge_job_t  *job;
} ngx_http_llm_cache_api_purge_t;


static void ngx_http_llm_cache_api_purge_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_api_start(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *zone, const llm_purge_t *what,
    ngx_uint_t dry_run);
static void ngx_http_llm_cache_api_purged(
    ngx_http_llm_cache_purge_job_t *job);
static json_t *ngx_http_llm_cache_api_purge_answer(
    ngx_http_llm_cache_purge_job_t *job);
static void ngx_http_llm_cache_api_purge_cleanup(void *data);


ngx_int_t
ngx_http_llm_cache_api_delete_key(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   name;
    llm_purge_t                 what;
    ngx_http_llm_cache_zone_t  *zone;

    ngx_memzero(&what, sizeof(llm_purge_t));

    what.by = LLM_PURGE_KEY;

    if (ngx_http_llm_cache_api_key(r, what.key) != NGX_OK) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "a key has 64 hex digits");
    }

    ngx_str_null(&name);
    (void) ngx_http_arg(r, (u_char *) "zone", 4, &name);

    if (ngx_http_llm_cache_api_zone(r, &name, &zone) != NGX_OK) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "there is no zone of this name");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_llm_cache_api_start(r, zone, &what, 0);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        return NGX_DONE;
    }

    return rc;
}


ngx_int_t
ngx_http_llm_cache_api_purge(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_llm_cache_api_purge_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_llm_cache_api_purge_body(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   name;
    llm_purge_request_t         req;
    ngx_http_llm_cache_zone_t  *zone;

    if (ngx_http_llm_cache_api_read(r, &req) != NGX_OK) {
        rc = ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST, req.error);

    } else {
        name.data = (u_char *) req.zone;
        name.len = ngx_strlen(req.zone);

        if (ngx_http_llm_cache_api_zone(r, &name, &zone) == NGX_OK) {
            rc = ngx_http_llm_cache_api_start(r, zone, &req.purge,
                                              req.dry_run);
        } else {
            rc = ngx_http_llm_cache_api_error(r, NGX_HTTP_BAD_REQUEST,
                                            "there is no zone of this name");
        }
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


ngx_int_t
ngx_http_llm_cache_api_read(ngx_http_request_t *r,
    llm_purge_request_t *req)
{
    llm_str_t     body;
    ngx_str_t     text;
    ngx_uint_t    copied;
    llm_reason_e  reason;

    /* what would be missed there may be a condition */

    if (r->args.len) {
        (void) ngx_snprintf((u_char *) req->error, LLM_PURGE_ERROR_LEN,
                            "what is meant stands in the body, "
                            "not in a query%Z");
        return NGX_DECLINED;
    }

    reason = ngx_http_llm_cache_gather(r, NGX_HTTP_LLM_CACHE_API_BODY, &text,
                                       &copied);

    if (reason == LLM_REASON_NONE) {

        body = ngx_http_llm_cache_view(&text);

        return llm_purge_read(body, (uint64_t) ngx_time(), req) == 0
               ? NGX_OK : NGX_DECLINED;
    }

    (void) ngx_snprintf((u_char *) req->error, LLM_PURGE_ERROR_LEN, "%s%Z",
                        reason == LLM_REASON_NO_BODY ? "there is no body"
                        : reason == LLM_REASON_BODY_SIZE
                          ? "the body is too large"
                          : "the body cannot be read");

    return NGX_DECLINED;
}


/* NGX_AGAIN: the request waits; else the response's code */

static ngx_int_t
ngx_http_llm_cache_api_start(ngx_http_request_t *r,
    ngx_http_llm_cache_zone_t *zone, const llm_purge_t *what,
    ngx_uint_t dry_run)
{
    ngx_http_cleanup_t              *cln;
    ngx_http_llm_cache_api_purge_t  *ctx;
    ngx_http_llm_cache_main_conf_t  *mcf;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_llm_cache_api_purge_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = cln->data;
    ctx->request = r;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_llm_cache_module);

    ctx->job = ngx_http_llm_cache_purge(mcf, zone, what, dry_run,
                                        ngx_http_llm_cache_api_purged, ctx);
    if (ctx->job == NULL) {
        return ngx_http_llm_cache_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "too many purges, or no memory");
    }

    /* who leaves does not stop it */

    cln->handler = ngx_http_llm_cache_api_purge_cleanup;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


static void
ngx_http_llm_cache_api_purged(ngx_http_llm_cache_purge_job_t *job)
{
    ngx_uint_t                       status;
    ngx_connection_t                *c;
    ngx_http_request_t              *r;
    ngx_http_llm_cache_api_purge_t  *ctx;

    ctx = job->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx->job = NULL;

    status = job->error ? NGX_HTTP_INTERNAL_SERVER_ERROR
             : job->redis_error ? NGX_HTTP_BAD_GATEWAY : NGX_HTTP_OK;

    ngx_http_finalize_request(r,
                              ngx_http_llm_cache_api_send_json(r, status,
                                   ngx_http_llm_cache_api_purge_answer(job)));
    ngx_http_run_posted_requests(c);
}


static json_t *
ngx_http_llm_cache_api_purge_answer(ngx_http_llm_cache_purge_job_t *job)
{
    json_t  *answer;

    answer = json_pack("{s:I, s:b}",
                       "purged", (json_int_t) job->purged,
                       "dry_run", (int) job->dry_run);

    if (answer == NULL) {
        return NULL;
    }

    if (job->redises) {
        (void) json_object_set_new(answer, "redis",
                         json_pack("{s:I, s:s}",
                                   "purged", (json_int_t) job->redis_purged,
                                   "state", job->redis_error
                                            ? job->redis_error : "ok"));
    }

    if (job->error) {
        (void) json_object_set_new(answer, "error", json_string(job->error));

    } else if (job->redis_error) {
        (void) json_object_set_new(answer, "error",
                                   json_string("Redis was not purged, or "
                                               "not all of it"));
    }

    return answer;
}


static void
ngx_http_llm_cache_api_purge_cleanup(void *data)
{
    ngx_http_llm_cache_api_purge_t *ctx = data;

    ngx_http_llm_cache_purge_forget(ctx->job);
}
