#include <stdlib.h>

#include "llm_resp.h"
#include "tap.h"


static llm_reply_t *
read_reply(const char *bytes, size_t step, int *rc)
{
    size_t        n, left;
    llm_resp_t   *resp;
    llm_reply_t  *reply;

    reply = NULL;
    left = strlen(bytes);
    resp = llm_resp_create(1000);
    *rc = 0;

    while (left && *rc == 0) {
        n = left < step ? left : step;

        if (llm_resp_feed(resp, (const unsigned char *) bytes, n) != 0) {
            *rc = -1;
            break;
        }

        bytes += n;
        left -= n;

        *rc = llm_resp_next(resp, &reply);
    }

    llm_resp_free(resp);

    return *rc == 1 ? reply : NULL;
}


static int
type_of(const char *bytes, llm_resp_e type)
{
    int           rc, same;
    size_t        step;
    llm_reply_t  *reply;

    for (step = 1; step < 20; step += 6) {
        reply = read_reply(bytes, step, &rc);
        same = llm_reply_is(reply, type);
        llm_reply_free(reply);

        if (!same) {
            return 0;
        }
    }

    return 1;
}


static int
outcome(const char *bytes)
{
    int  rc;

    llm_reply_free(read_reply(bytes, 4096, &rc));

    return rc;
}


static void
replies(void)
{
    int           rc;
    llm_reply_t  *r;

    ok(type_of("+OK\r\n", LLM_RESP_STATUS), "a status");
    ok(type_of("-ERR no\r\n", LLM_RESP_ERROR), "an error");
    ok(type_of(":42\r\n", LLM_RESP_INTEGER), "a number");
    ok(type_of("$3\r\nabc\r\n", LLM_RESP_STRING), "a string");
    ok(type_of("$0\r\n\r\n", LLM_RESP_STRING), "an empty one");
    ok(type_of("$-1\r\n", LLM_RESP_NIL), "nil");
    ok(type_of("*0\r\n", LLM_RESP_ARRAY), "an empty array");
    ok(type_of("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", LLM_RESP_ARRAY),
       "an array in an array");

    r = read_reply("*3\r\n$7\r\nmessage\r\n:7\r\n$-1\r\n", 3, &rc);

    ok(r && r->n == 3 && llm_str_eq(r->elements[0]->str, "message", 7)
       && r->elements[1]->integer == 7
       && r->elements[2]->type == LLM_RESP_NIL,
       "its elements");

    llm_reply_free(r);
}


static void
refused(void)
{
    ok(outcome("HTTP/1.1 400 Bad Request\r\n") == -1, "HTTP");
    ok(outcome("*2000000000\r\n") == -1, "more elements than there may be");
    ok(outcome("*40000\r\n*40000\r\n") == -1, "and in two arrays");
    ok(outcome("$x\r\n") == -1, "no length");
    ok(outcome("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
               "*1\r\n:1\r\n")
       == -1,
       "nested too deep");
    ok(outcome("$99\r\nabc") == 0, "a part of a string");
}


static void
limit(void)
{
    int             rc;
    size_t          i;
    llm_resp_t     *resp;
    llm_reply_t    *reply;
    unsigned char   part[4096];

    memset(part, 'x', sizeof(part));
    resp = llm_resp_create(1000);
    rc = llm_resp_feed(resp, (const unsigned char *) "$500000000\r\n", 12);

    for (i = 0; i < 100 && rc == 0; i++) {
        rc = llm_resp_feed(resp, part, sizeof(part));

        if (rc == 0) {
            rc = llm_resp_next(resp, &reply);
        }
    }

    ok(rc == -1 && i < 30, "a string longer than it may be is given up");
    llm_resp_free(resp);
}


static void
limit_of_all(void)
{
    int             rc;
    size_t          i;
    llm_resp_t     *resp;
    llm_reply_t    *reply;
    unsigned char   part[60008];

    memcpy(part, "$60000\r\n", 8);
    memset(part + 8, 'x', 60000);
    resp = llm_resp_create(1000);
    rc = llm_resp_feed(resp, (const unsigned char *) "*60000\r\n", 8);

    for (i = 0; i < 1000 && rc == 0; i++) {
        rc = llm_resp_feed(resp, part, sizeof(part));

        if (rc == 0) {
            rc = llm_resp_feed(resp, (const unsigned char *) "\r\n", 2);
        }

        if (rc == 0) {
            rc = llm_resp_next(resp, &reply);
        }
    }

    ok(rc == -1 && i < 300, "many strings are given up too");
    llm_resp_free(resp);
}


static void
commands(void)
{
    size_t          len;
    llm_str_t       words[3];
    unsigned char  *bytes;

    static const char  expected[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\n"
                                    "\0\r\n\r\n";

    words[0].data = (const unsigned char *) "SET";
    words[0].len = 3;
    words[1].data = NULL;
    words[1].len = 0;
    words[2].data = (const unsigned char *) "\0\r\n";
    words[2].len = 3;

    bytes = llm_resp_command(3, words, &len);

    ok(bytes && len == sizeof(expected) - 1
       && memcmp(bytes, expected, len) == 0,
       "a command with any bytes");

    free(bytes);
}


int
main(void)
{
    replies();
    refused();
    limit();
    limit_of_all();
    commands();

    return tap_done();
}
