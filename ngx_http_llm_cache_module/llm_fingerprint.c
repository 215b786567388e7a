#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "llm_fingerprint.h"


struct llm_fingerprint_s {
    EVP_CIPHER_CTX       *ctx;
};


static int llm_fingerprint_add(llm_fingerprint_t *fp, llm_str_t data);


int
llm_fingerprint_new_key(unsigned char *key)
{
    return RAND_bytes(key, LLM_FINGERPRINT_KEY) == 1 ? 0 : -1;
}


llm_fingerprint_t *
llm_fingerprint_create(const unsigned char *key)
{
    llm_fingerprint_t  *fp;

    fp = malloc(sizeof(llm_fingerprint_t));
    if (fp == NULL) {
        return NULL;
    }

    fp->ctx = EVP_CIPHER_CTX_new();

    if (fp->ctx == NULL
        || EVP_EncryptInit_ex(fp->ctx, EVP_aes_128_gcm(), NULL, key, NULL)
           != 1)
    {
        llm_fingerprint_free(fp);
        return NULL;
    }

    return fp;
}


int
llm_fingerprint(llm_fingerprint_t *fp, llm_str_t context, llm_str_t data,
    unsigned char *out)
{
    int            i, n;
    uint64_t       len;
    llm_str_t      head;
    unsigned char  buf[8 + LLM_FINGERPRINT_CONTEXT];

    static const unsigned char  nonce[12];

    if (context.len > LLM_FINGERPRINT_CONTEXT) {
        return -1;
    }

    /* the context's length tells where it stops */

    for (len = context.len, i = 0; i < 8; i++) {
        buf[i] = (unsigned char) len;
        len >>= 8;
    }

    if (context.len) {
        memcpy(buf + 8, context.data, context.len);
    }

    head.data = buf;
    head.len = 8 + context.len;

    if (EVP_EncryptInit_ex(fp->ctx, NULL, NULL, NULL, nonce) != 1
        || llm_fingerprint_add(fp, head) != 0
        || llm_fingerprint_add(fp, data) != 0
        || EVP_EncryptFinal_ex(fp->ctx, out, &n) != 1)
    {
        return -1;
    }

    return EVP_CIPHER_CTX_ctrl(fp->ctx, EVP_CTRL_AEAD_GET_TAG,
                               LLM_FINGERPRINT_LEN, out)
           == 1 ? 0 : -1;
}


static int
llm_fingerprint_add(llm_fingerprint_t *fp, llm_str_t data)
{
    int  n;

    if (data.len == 0) {
        return 0;
    }

    if (data.len > INT_MAX) {
        return -1;
    }

    return EVP_EncryptUpdate(fp->ctx, NULL, &n, data.data, (int) data.len)
           == 1 ? 0 : -1;
}


void
llm_fingerprint_free(llm_fingerprint_t *fp)
{
    if (fp) {
        EVP_CIPHER_CTX_free(fp->ctx);
        free(fp);
    }
}
