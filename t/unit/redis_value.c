#include "llm_redis_value.h"
#include "tap.h"


#define BODY  1000
#define META  40
#define LEN   (LLM_REDIS_VALUE_HEAD + LLM_RECORD_HEAD + META + BODY)


static unsigned char  key[LLM_KEY_LEN];
static unsigned char  value[LEN + 1];


static int
opens(const unsigned char *k, size_t len)
{
    int            rc;
    llm_str_t      s, record;
    llm_record_t   rec;
    unsigned char  copy[LEN + 1];

    memcpy(copy, value, sizeof(copy));
    s.data = copy;
    s.len = len;

    rc = llm_redis_value_open(k, s, &rec, &record);

    return rc == 0 && record.data == copy + LLM_REDIS_VALUE_HEAD
           && record.len == len - LLM_REDIS_VALUE_HEAD
           && rec.body_len == BODY;
}


static void
make(void)
{
    size_t        i;
    llm_record_t  rec;

    memset(key, 7, sizeof(key));
    memset(&rec, 0, sizeof(rec));
    memcpy(rec.key, key, sizeof(key));

    rec.created = 1700000000;
    rec.expires = 1700003600;
    rec.body_len = BODY;
    rec.meta_len = META;
    rec.mark = LLM_RECORD_NO_MARK;
    rec.status = 200;
    rec.form = LLM_FORM_JSON;

    llm_record_encode(&rec, value + LLM_REDIS_VALUE_HEAD);

    for (i = LLM_REDIS_VALUE_HEAD + LLM_RECORD_HEAD; i < LEN; i++) {
        value[i] = (unsigned char) (i * 31);
    }

    ok(llm_redis_value_close(key, value, LEN - LLM_REDIS_VALUE_HEAD) == 0,
       "a value is made");
}


int
main(void)
{
    int            wrong;
    size_t         i;
    uint32_t       stamp;
    llm_str_t      s;
    unsigned char  other[LLM_KEY_LEN];

    make();
    ok(opens(key, LEN), "and opened again");

    memcpy(other, key, sizeof(key));
    other[31] ^= 1;
    ok(!opens(other, LEN), "not under another key");

    for (wrong = 0, i = 0; i < LEN; i++) {
        wrong += opens(key, i);
    }

    ok(wrong == 0, "no part of it opens");
    ok(!opens(key, LEN + 1), "nor more than it");

    for (wrong = 0, i = 0; i < (size_t) LEN * 8; i++) {
        value[i / 8] ^= (unsigned char) (1 << (i % 8));
        wrong += opens(key, LEN);
        value[i / 8] ^= (unsigned char) (1 << (i % 8));
    }

    ok(wrong == 0, "nor with any bit of it changed");

    s.data = value;
    s.len = LLM_REDIS_VALUE_HEAD;
    stamp = llm_redis_value_stamp(key, s);

    ok(stamp != 0, "a stamp, of the head alone");
    ok(llm_redis_value_stamp(other, s) == 0, "none under another key");

    s.len--;
    ok(llm_redis_value_stamp(key, s) == 0, "none of less");

    value[LEN - 1] ^= 1;
    ok(llm_redis_value_close(key, value, LEN - LLM_REDIS_VALUE_HEAD) == 0,
       "another value");

    s.len++;
    ok(llm_redis_value_stamp(key, s) != stamp, "has another stamp");

    return tap_done();
}
