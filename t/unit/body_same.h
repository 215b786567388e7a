/*
 * Compares the one pass over a body's text with what the document tells.
 */


#ifndef _BODY_SAME_H_INCLUDED_
#define _BODY_SAME_H_INCLUDED_


#include <openssl/evp.h>

#include "key_body.h"
#include "llm_body.h"


static inline int
body_same_text(llm_str_t a, llm_str_t b)
{
    return llm_str_eq(a, (const char *) b.data, b.len);
}


static inline const char *
body_differs_ask(const llm_ask_t *one, const llm_ask_t *two)
{
    return !body_same_text(one->model, two->model) ? "model"
           : one->temperature != two->temperature ? "temperature"
           : one->form != two->form ? "form"
           : one->stream != two->stream ? "stream"
           : one->include_usage != two->include_usage ? "include_usage"
           : one->hosted_tools != two->hosted_tools ? "hosted_tools"
           : one->stateful != two->stateful ? "stateful" : NULL;
}


static inline const char *
body_differs_control(const llm_control_t *one, const llm_control_t *two)
{
    return one->ttl != two->ttl ? "ttl"
           : one->max_age != two->max_age ? "max_age"
           : !body_same_text(one->ns, two->ns) ? "namespace"
           : one->use_cache != two->use_cache ? "use_cache"
           : one->no_cache != two->no_cache ? "no_cache"
           : one->no_semantic != two->no_semantic ? "no_semantic"
           : one->threshold < two->threshold
             || one->threshold > two->threshold ? "threshold"
           : one->no_store != two->no_store ? "no_store"
           : one->only_if_cached != two->only_if_cached ? "only_if_cached"
           : NULL;
}


/* the digest and the ranges of the controls; NULL, or what differs */

static inline const char *
body_differs_text(const llm_body_t *body, const json_t *doc,
    const unsigned char *data, size_t len, const llm_route_t *route,
    const llm_ignore_t *ignore, int strip)
{
    int            i, n;
    unsigned       size;
    llm_buf_t      text;
    llm_range_t    ranges[2];
    unsigned char  digest[EVP_MAX_MD_SIZE];

    memset(&text, 0, sizeof(llm_buf_t));

    if (key_body(doc, route->dialect, ignore, strip, &text) != 0
        || EVP_Digest(text.data, text.len, digest, &size, EVP_sha256(), NULL)
           != 1)
    {
        llm_buf_free(&text);
        return "no memory";
    }

    llm_buf_free(&text);

    if (memcmp(digest, body->digest, LLM_KEY_LEN) != 0) {
        return "digest";
    }

    n = strip ? llm_control_find(data, len, ranges) : 0;

    if (body->n != n) {
        return "number of controls";
    }

    for (i = 0; i < n; i++) {
        if (body->ranges[i].start != ranges[i].start
            || body->ranges[i].end != ranges[i].end)
        {
            return "range of a control";
        }
    }

    return NULL;
}


/*
 * Reads a body both ways: NULL, or what differs.  "doc" is what
 * llm_json_load() made of it, NULL where it refused; "reason" is set to that
 * of the one pass.
 */

static inline const char *
body_differs(const json_t *doc, const unsigned char *data, size_t len,
    const char *uri, const llm_ignore_t *ignore, int strip,
    llm_reason_e *reason)
{
    llm_ask_t      ask;
    llm_str_t      path, args;
    llm_body_t     body;
    const char    *what;
    llm_route_t    route;
    llm_control_t  control;

    memset(&args, 0, sizeof(llm_str_t));
    path.data = (const unsigned char *) uri;
    path.len = strlen(uri);

    llm_dialect_route(path, args, &route);

    *reason = llm_body_read(data, len, &route, ignore, strip, &body);

    if ((*reason == LLM_REASON_NONE) != (doc != NULL)) {
        llm_body_free(&body);
        return "refusal";
    }

    if (doc == NULL) {
        llm_body_free(&body);
        return NULL;
    }

    llm_dialect_ask(&route, doc, &ask);
    llm_control_init(&control);

    if (strip) {
        llm_control_body(doc, &control);
    }

    what = body_differs_text(&body, doc, data, len, &route, ignore, strip);
    what = what ? what : body_differs_ask(&body.ask, &ask);
    what = what ? what : body_differs_control(&body.control, &control);

    llm_body_free(&body);

    return what;
}


#endif /* _BODY_SAME_H_INCLUDED_ */
