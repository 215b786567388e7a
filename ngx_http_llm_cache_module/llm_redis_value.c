#include "llm_bytes.h"
#include "llm_redis_value.h"


#define LLM_REDIS_VALUE_MAGIC   0x564d4c4c   /* "LLMV" */

#define LLM_REDIS_VALUE_AT_VER  4
#define LLM_REDIS_VALUE_AT_LEN  8
#define LLM_REDIS_VALUE_AT_KEY  16
#define LLM_REDIS_VALUE_AT_SUM  48


static int
llm_redis_value_sum(const unsigned char *value, size_t len,
    unsigned char *out)
{
    int         rc;
    llm_sum_t  *sum;

    sum = llm_sum_create();
    if (sum == NULL) {
        return -1;
    }

    rc = 0;

    if (llm_sum_add(sum, value, LLM_REDIS_VALUE_AT_SUM) != 0
        || llm_sum_add(sum, value + LLM_REDIS_VALUE_HEAD, len) != 0
        || llm_sum_end(sum, out) != 0)
    {
        rc = -1;
    }

    llm_sum_free(sum);

    return rc;
}


int
llm_redis_value_close(const unsigned char *key, unsigned char *value,
    size_t len)
{
    memset(value, 0, LLM_REDIS_VALUE_HEAD);

    llm_bytes_put(value, 4, LLM_REDIS_VALUE_MAGIC);
    llm_bytes_put(value + LLM_REDIS_VALUE_AT_VER, 2,
                  LLM_REDIS_VALUE_VERSION);
    llm_bytes_put(value + LLM_REDIS_VALUE_AT_LEN, 8, len);
    memcpy(value + LLM_REDIS_VALUE_AT_KEY, key, LLM_KEY_LEN);

    return llm_redis_value_sum(value, len, value + LLM_REDIS_VALUE_AT_SUM);
}


static int
llm_redis_value_ours(const unsigned char *key, llm_str_t value)
{
    return value.len >= LLM_REDIS_VALUE_HEAD
           && llm_bytes_get(value.data, 4) == LLM_REDIS_VALUE_MAGIC
           && llm_bytes_get(value.data + LLM_REDIS_VALUE_AT_VER, 4)
              == LLM_REDIS_VALUE_VERSION
           && memcmp(value.data + LLM_REDIS_VALUE_AT_KEY, key, LLM_KEY_LEN)
              == 0;
}


int
llm_redis_value_open(const unsigned char *key, llm_str_t value,
    llm_record_t *rec, llm_str_t *record)
{
    size_t         len;
    unsigned char  sum[LLM_SUM_LEN];

    if (!llm_redis_value_ours(key, value)) {
        return -1;
    }

    len = value.len - LLM_REDIS_VALUE_HEAD;

    if (llm_bytes_get(value.data + LLM_REDIS_VALUE_AT_LEN, 8) != len
        || len < LLM_RECORD_HEAD
        || llm_redis_value_sum(value.data, len, sum) != 0
        || memcmp(sum, value.data + LLM_REDIS_VALUE_AT_SUM, LLM_SUM_LEN) != 0)
    {
        return -1;
    }

    record->data = value.data + LLM_REDIS_VALUE_HEAD;
    record->len = len;

    if (llm_record_decode(record->data, rec) != 0
        || memcmp(rec->key, key, LLM_KEY_LEN) != 0
        || llm_record_len(rec) != len)
    {
        return -1;
    }

    return 0;
}


uint32_t
llm_redis_value_stamp(const unsigned char *key, llm_str_t value)
{
    uint32_t  stamp;

    if (!llm_redis_value_ours(key, value)) {
        return 0;
    }

    stamp = (uint32_t)
            llm_bytes_get(value.data + LLM_REDIS_VALUE_AT_SUM, 4);

    return stamp ? stamp : 1;
}
