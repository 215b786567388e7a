#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "llm_key.h"


/* no part has this tag: what every key begins with */
#define LLM_KEY_VERSION_TAG  0


/* what is collected before it is digested: more than most keys need */
#define LLM_KEY_BUFFER       512


struct llm_key_s {
    EVP_MD_CTX           *md;
    int                   failed;
    size_t                len;
    unsigned char         buf[LLM_KEY_BUFFER];
};


static llm_key_t *llm_key_new(void);
static void llm_key_put(llm_key_t *key, const void *data, size_t len);
static void llm_key_flush(llm_key_t *key);


/* to make a context costs OpenSSL more than to digest a key: one is kept */

static llm_key_t  *llm_key_spare;


llm_key_t *
llm_key_create(void)
{
    llm_key_t            *key;
    const unsigned char   version = LLM_KEY_VERSION;

    key = llm_key_spare;
    llm_key_spare = NULL;

    if (key == NULL) {
        key = llm_key_new();
        if (key == NULL) {
            return NULL;
        }
    }

    key->len = 0;
    key->failed = EVP_DigestInit_ex(key->md, NULL, NULL) != 1;

    llm_key_add(key, (llm_key_part_e) LLM_KEY_VERSION_TAG, &version, 1);

    return key;
}


static llm_key_t *
llm_key_new(void)
{
    llm_key_t  *key;

    key = malloc(sizeof(llm_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->md = EVP_MD_CTX_new();

    if (key->md == NULL
        || EVP_DigestInit_ex(key->md, EVP_sha256(), NULL) != 1)
    {
        EVP_MD_CTX_free(key->md);
        free(key);
        return NULL;
    }

    return key;
}


int
llm_key_add(llm_key_t *key, llm_key_part_e part, const void *data,
    size_t len)
{
    int            i;
    uint64_t       n;
    unsigned char  head[9];

    head[0] = (unsigned char) part;

    for (n = len, i = 8; i > 0; i--) {
        head[i] = (unsigned char) n;
        n >>= 8;
    }

    llm_key_put(key, head, sizeof(head));
    llm_key_put(key, data, len);

    return key->failed ? -1 : 0;
}


static void
llm_key_put(llm_key_t *key, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }

    if (len > LLM_KEY_BUFFER - key->len) {
        llm_key_flush(key);
    }

    if (len <= LLM_KEY_BUFFER) {
        memcpy(key->buf + key->len, data, len);
        key->len += len;

    } else if (EVP_DigestUpdate(key->md, data, len) != 1) {
        key->failed = 1;
    }
}


static void
llm_key_flush(llm_key_t *key)
{
    if (EVP_DigestUpdate(key->md, key->buf, key->len) != 1) {
        key->failed = 1;
    }

    key->len = 0;
}


int
llm_key_final(llm_key_t *key, unsigned char *digest)
{
    int       rc;
    unsigned  len;

    len = 0;

    llm_key_flush(key);

    rc = (!key->failed
          && EVP_DigestFinal_ex(key->md, digest, &len) == 1
          && len == LLM_KEY_LEN)
         ? 0 : -1;

    llm_key_free(key);

    return rc;
}


void
llm_key_free(llm_key_t *key)
{
    if (key == NULL) {
        return;
    }

    if (llm_key_spare == NULL) {
        llm_key_spare = key;
        return;
    }

    EVP_MD_CTX_free(key->md);
    free(key);
}


void
llm_key_hex(const unsigned char *digest, unsigned char *hex)
{
    int                i;
    static const char  digits[] = "0123456789abcdef";

    for (i = 0; i < LLM_KEY_LEN; i++) {
        *hex++ = (unsigned char) digits[digest[i] >> 4];
        *hex++ = (unsigned char) digits[digest[i] & 0xf];
    }
}
