/*
 * Two bodies with a NUL between them: where both have the same partition and
 * the same question, they have the same canonical body, so that nothing is
 * compared by its meaning but the question; and the other way round.
 */


#include <stdlib.h>

#include "llm_body.h"
#include "llm_question.h"


#define CHECK(what)                                                           \
    if (!(what)) {                                                            \
        abort();                                                              \
    }


static const llm_dialect_e  dialects[] = {
    LLM_DIALECT_CHAT, LLM_DIALECT_RESPONSES, LLM_DIALECT_ANTHROPIC,
    LLM_DIALECT_GEMINI, LLM_DIALECT_COHERE_CHAT, LLM_DIALECT_OLLAMA_CHAT,
    LLM_DIALECT_OLLAMA_GENERATE
};


static int
fuzz_digest(const uint8_t *data, size_t len, const llm_dialect_t *dialect,
    unsigned char *digest)
{
    llm_body_t    body;
    llm_route_t   route;
    llm_reason_e  reason;

    memset(&route, 0, sizeof(llm_route_t));
    route.dialect = dialect;

    reason = llm_body_read(data, len, &route, NULL, 1, &body);

    memcpy(digest, body.digest, LLM_KEY_LEN);
    llm_body_free(&body);

    return reason == LLM_REASON_NONE;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                    one, two, both;
    size_t                 i, len;
    const uint8_t         *nul;
    unsigned char          a_digest[LLM_KEY_LEN], b_digest[LLM_KEY_LEN];
    const llm_dialect_t   *dialect;
    static llm_question_t  a, b;

    nul = size ? memchr(data, '\0', size) : NULL;
    len = nul ? (size_t) (nul - data) : size;

    for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {

        dialect = llm_dialect_get(dialects[i]);

        one = llm_question_read(data, len, dialect, NULL, 1, &a);

        CHECK(len == 0 || len > LLM_QUESTION_BODY
              || (one >= 0) == fuzz_digest(data, len, dialect, a_digest));

        if (one != 1 || nul == NULL) {
            continue;
        }

        CHECK(a.len > 0 && a.len <= LLM_QUESTION_MAX);

        two = llm_question_read(nul + 1, size - len - 1, dialect, NULL, 1,
                                &b);

        if (two != 1) {
            continue;
        }

        CHECK(fuzz_digest(nul + 1, size - len - 1, dialect, b_digest));

        both = memcmp(a.partition, b.partition, LLM_KEY_LEN) == 0
               && a.len == b.len && memcmp(a.text, b.text, a.len) == 0;

        CHECK(both == (memcmp(a_digest, b_digest, LLM_KEY_LEN) == 0));
    }

    return 0;
}
