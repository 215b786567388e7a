#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "llm_sum.h"


struct llm_sum_s {
    EVP_CIPHER_CTX  *ctx;
};


void
llm_sum_free(llm_sum_t *sum)
{
    if (sum) {
        EVP_CIPHER_CTX_free(sum->ctx);
        free(sum);
    }
}


llm_sum_t *
llm_sum_create(void)
{
    llm_sum_t  *sum;

    static const unsigned char  key[16], nonce[12];

    sum = malloc(sizeof(llm_sum_t));
    if (sum == NULL) {
        return NULL;
    }

    sum->ctx = EVP_CIPHER_CTX_new();

    if (sum->ctx == NULL
        || EVP_EncryptInit_ex(sum->ctx, EVP_aes_128_gcm(), NULL, key, nonce)
           != 1)
    {
        llm_sum_free(sum);
        return NULL;
    }

    return sum;
}


int
llm_sum_add(llm_sum_t *sum, const unsigned char *p, size_t len)
{
    int  n;

    if (len == 0) {
        return 0;
    }

    if (len > INT_MAX) {
        return -1;
    }

    return EVP_EncryptUpdate(sum->ctx, NULL, &n, p, (int) len) == 1 ? 0 : -1;
}


int
llm_sum_end(llm_sum_t *sum, unsigned char *out)
{
    int  n;

    if (EVP_EncryptFinal_ex(sum->ctx, out, &n) != 1
        || EVP_CIPHER_CTX_ctrl(sum->ctx, EVP_CTRL_AEAD_GET_TAG, LLM_SUM_LEN,
                               out)
           != 1)
    {
        return -1;
    }

    return 0;
}
