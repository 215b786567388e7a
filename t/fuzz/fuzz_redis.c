/*
 * Arbitrary bytes as what comes from outside of the Redis tier: the first one
 * says whether the rest is a URL, the text of a redirection, a value, or a
 * server's replies, which are read alike however they are cut.
 */


#include <stdlib.h>

#include "llm_redis_slots.h"
#include "llm_redis_url.h"
#include "llm_redis_value.h"
#include "llm_resp.h"


int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);


static void
fuzz_inside(llm_str_t part, const unsigned char *data, size_t size)
{
    if (part.len && (part.data < data || part.data + part.len > data + size)) {
        abort();
    }
}


static void
fuzz_url(llm_str_t text)
{
    size_t            i;
    unsigned char    *buf;
    llm_redis_url_t   url;

    buf = malloc(text.len + 1);

    if (buf && llm_redis_url_parse(text, buf, &url) == NULL) {

        if ((url.n == 0) == (url.path.len == 0)) {
            abort();
        }

        for (i = 0; i < url.n; i++) {
            fuzz_inside(url.hosts[i].name, text.data, text.len);

            if (url.hosts[i].port == 0 || url.hosts[i].port > 65535) {
                abort();
            }
        }

        fuzz_inside(url.user, buf, text.len);
        fuzz_inside(url.password, buf, text.len);
        fuzz_inside(url.path, buf, text.len);
        fuzz_inside(url.master, buf, text.len);
    }

    free(buf);
}


static void
fuzz_move(llm_str_t text)
{
    llm_redis_move_t  move;

    if (llm_redis_move(text, &move) != LLM_REDIS_STAY) {

        fuzz_inside(move.host, text.data, text.len);

        if (move.slot >= LLM_REDIS_SLOTS || move.port == 0
            || move.port > 65535)
        {
            abort();
        }
    }

    if (llm_redis_slot(text) >= LLM_REDIS_SLOTS) {
        abort();
    }
}


/* the bytes as they are, and as a value that is made of them */

static void
fuzz_value(llm_str_t text)
{
    llm_str_t             value, record;
    llm_record_t          rec;
    unsigned char        *made;
    const unsigned char  *key;

    if (text.len < LLM_KEY_LEN) {
        return;
    }

    key = text.data;
    value.data = text.data + LLM_KEY_LEN;
    value.len = text.len - LLM_KEY_LEN;

    (void) llm_redis_value_open(key, value, &rec, &record);
    (void) llm_redis_value_stamp(key, value);

    made = malloc(LLM_REDIS_VALUE_HEAD + value.len);

    if (made == NULL) {
        return;
    }

    if (value.len) {
        memcpy(made + LLM_REDIS_VALUE_HEAD, value.data, value.len);
    }

    if (llm_redis_value_close(key, made, value.len) == 0) {

        record.len = value.len;
        value.data = made;
        value.len += LLM_REDIS_VALUE_HEAD;

        if (llm_redis_value_open(key, value, &rec, &record) == 0
            && (llm_record_len(&rec) != record.len
                || memcmp(rec.key, key, LLM_KEY_LEN) != 0))
        {
            abort();
        }

        if (llm_redis_value_stamp(key, value) == 0) {
            abort();
        }
    }

    free(made);
}


static unsigned
fuzz_weigh(const llm_reply_t *reply)
{
    size_t    i;
    unsigned  sum;

    sum = (unsigned) reply->type + 1;
    sum = sum * 31 + (unsigned) reply->integer;

    for (i = 0; i < reply->str.len; i++) {
        sum = sum * 31 + reply->str.data[i];
    }

    for (i = 0; i < reply->n; i++) {
        sum = sum * 31 + fuzz_weigh(reply->elements[i]);
    }

    return sum;
}


static unsigned
fuzz_replies(llm_str_t text, size_t step)
{
    int           rc;
    size_t        n;
    unsigned      sum;
    llm_resp_t   *resp;
    llm_reply_t  *reply;

    resp = llm_resp_create(65536);
    sum = 0;
    rc = 0;

    while (resp && text.len && rc == 0) {

        n = text.len < step ? text.len : step;

        if (llm_resp_feed(resp, text.data, n) != 0) {
            break;
        }

        text.data += n;
        text.len -= n;

        while ((rc = llm_resp_next(resp, &reply)) == 1) {
            sum = sum * 31 + fuzz_weigh(reply);
            llm_reply_free(reply);
        }
    }

    llm_resp_free(resp);

    return sum;
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    llm_str_t  text;

    if (size == 0) {
        return 0;
    }

    text.data = data + 1;
    text.len = size - 1;

    switch (data[0] % 4) {

    case 0:
        fuzz_url(text);
        break;

    case 1:
        fuzz_move(text);
        break;

    case 2:
        fuzz_value(text);
        break;

    default:
        if (fuzz_replies(text, 1) != fuzz_replies(text, 4096)) {
            abort();
        }
    }

    return 0;
}
