/*
 * Any bytes as what is to be purged: as a request, where what is accepted has
 * a condition or says "all", and as a message, which is written as it was
 * read.
 */


#include <stdlib.h>

#include "llm_purge.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               i;
    llm_str_t            body;
    llm_purge_t          purge, again;
    unsigned char        message[LLM_PURGE_LEN];
    llm_purge_request_t  req;

    body.data = data;
    body.len = size;

    if (llm_purge_read(body, 1700000000, &req) != 0) {

        if (req.error[0] == '\0') {
            abort();
        }

        for (i = 0; req.error[i]; i++) {
            if (req.error[i] < ' ' || req.error[i] == '"') {
                abort();
            }
        }

    } else if (req.error[0] != '\0' || req.purge.before > 1700000000) {
        abort();
    }

    if (llm_purge_decode(body, &purge) == 0) {

        llm_purge_encode(&purge, message);

        body.data = message;
        body.len = LLM_PURGE_LEN;

        if (llm_purge_decode(body, &again) != 0
            || memcmp(&purge, &again, sizeof(purge)) != 0)
        {
            abort();
        }
    }

    return 0;
}
