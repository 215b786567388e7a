#include <openssl/evp.h>

#include "llm_body.h"


llm_reason_e
llm_body_read(const unsigned char *data, size_t len, const llm_route_t *route,
    const llm_ignore_t *ignore, int controls, llm_body_t *body)
{
    llm_buf_t     text;
    llm_reason_e  reason;

    memset(body, 0, sizeof(llm_body_t));
    memset(&text, 0, sizeof(llm_buf_t));
    llm_control_init(&body->control);

    reason = llm_json_load(data, len, &body->doc);

    if (reason != LLM_REASON_NONE) {
        return reason;
    }

    if (llm_key_body(body->doc, route->dialect, ignore, controls, &text) != 0
        || EVP_Digest(text.data, text.len, body->digest, NULL, EVP_sha256(),
                      NULL)
           != 1)
    {
        reason = LLM_REASON_NO_MEMORY;
    }

    llm_buf_free(&text);

    llm_dialect_ask(route, body->doc, &body->ask);

    if (controls) {
        llm_control_body(body->doc, &body->control);
        body->n = llm_control_find(data, len, body->ranges);
    }

    return reason;
}


void
llm_body_free(llm_body_t *body)
{
    json_decref(body->doc);
    body->doc = NULL;
}
