/*
 * Any bytes as an embeddings API's answer: a vector of length 1, or nothing.
 */


#include <math.h>
#include <stdlib.h>

#include "llm_embed_reply.h"


#define DIM  3


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int        i;
    float      vector[DIM];
    double     sum;
    llm_buf_t  buf;
    llm_str_t  text, model;

    if (llm_embed_reply(data, size, DIM, vector) == 0) {

        for (sum = 0, i = 0; i < DIM; i++) {
            sum += (double) vector[i] * (double) vector[i];
        }

        if (!(fabs(sum - 1) < 0.001)) {
            abort();
        }
    }

    text.data = data;
    text.len = size;
    model.data = data;
    model.len = 0;

    memset(&buf, 0, sizeof(llm_buf_t));

    if (llm_embed_request(text, model, &buf) == 0
        && (buf.len < 12 || buf.data[0] != '{'))
    {
        abort();
    }

    llm_buf_free(&buf);

    return 0;
}
