#include <stdlib.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

#include "llm_resp.h"


/* words of one command */
#define LLM_RESP_ARGS  16

/* arrays in each other */
#define LLM_RESP_DEPTH  8

/* what a reply takes beside the strings in it */
#define LLM_RESP_SLACK  65536

/* bytes of the strings in one array, on average, when it is full */
#define LLM_RESP_EACH   256


/* hiredis 1 counts in another type, and reads RESP3 */

#if HIREDIS_MAJOR >= 1
typedef size_t  llm_resp_count_t;
#else
typedef int  llm_resp_count_t;
#endif


struct llm_resp_s {
    redisReader  *reader;
    size_t        max;
    size_t        elements;                  /* of the reply at hand */
    size_t        bytes;                     /* of its strings */
};


static void *llm_resp_string(const redisReadTask *task, char *str,
    size_t len);
static void *llm_resp_array(const redisReadTask *task, llm_resp_count_t n);
static void *llm_resp_integer(const redisReadTask *task, long long value);
static void *llm_resp_nil(const redisReadTask *task);
#if HIREDIS_MAJOR >= 1
static void *llm_resp_double(const redisReadTask *task, double value,
    char *str, size_t len);
static void *llm_resp_bool(const redisReadTask *task, int value);
#endif
static void llm_resp_free_object(void *object);


static redisReplyObjectFunctions  llm_resp_functions = {
    .createString = llm_resp_string,
    .createArray = llm_resp_array,
    .createInteger = llm_resp_integer,
    .createNil = llm_resp_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = llm_resp_double,
    .createBool = llm_resp_bool,
#endif
    .freeObject = llm_resp_free_object
};


llm_resp_t *
llm_resp_create(size_t max)
{
    llm_resp_t  *resp;

    resp = calloc(1, sizeof(llm_resp_t));
    if (resp == NULL) {
        return NULL;
    }

    resp->reader = redisReaderCreateWithFunctions(&llm_resp_functions);

    if (resp->reader == NULL) {
        free(resp);
        return NULL;
    }

    resp->reader->privdata = resp;
    resp->max = max;

    return resp;
}


void
llm_resp_free(llm_resp_t *resp)
{
    if (resp) {
        redisReaderFree(resp->reader);
        free(resp);
    }
}


int
llm_resp_feed(llm_resp_t *resp, const unsigned char *data, size_t len)
{
    return redisReaderFeed(resp->reader, (const char *) data, len) == REDIS_OK
           ? 0 : -1;
}


int
llm_resp_next(llm_resp_t *resp, llm_reply_t **reply)
{
    void  *object;

    object = NULL;

    if (redisReaderGetReply(resp->reader, &object) != REDIS_OK) {
        return -1;
    }

    if (object) {
        resp->elements = 0;
        resp->bytes = 0;
        *reply = object;
        return 1;
    }

    return resp->reader->len - resp->reader->pos > resp->max + LLM_RESP_SLACK
           ? -1 : 0;
}


/* a new reply, in its place in the array that it belongs to */

static llm_reply_t *
llm_resp_object(const redisReadTask *task, llm_resp_e type, size_t extra)
{
    llm_reply_t  *reply, *parent;

    reply = malloc(sizeof(llm_reply_t) + extra);
    if (reply == NULL) {
        return NULL;
    }

    memset(reply, 0, sizeof(llm_reply_t));
    reply->type = type;

    if (task->parent) {
        parent = task->parent->obj;
        parent->elements[task->idx] = reply;
    }

    return reply;
}


static void *
llm_resp_string(const redisReadTask *task, char *str, size_t len)
{
    llm_resp_t   *resp;
    llm_resp_e    type;
    llm_reply_t  *reply;

    resp = task->privdata;

    if (len > resp->max + LLM_RESP_SLACK
        || len > resp->max + LLM_RESP_ELEMENTS * LLM_RESP_EACH - resp->bytes)
    {
        return NULL;
    }

    resp->bytes += len;

    type = task->type == REDIS_REPLY_ERROR ? LLM_RESP_ERROR
           : task->type == REDIS_REPLY_STATUS ? LLM_RESP_STATUS
           : LLM_RESP_STRING;

    reply = llm_resp_object(task, type, len);
    if (reply == NULL) {
        return NULL;
    }

    if (len) {
        memcpy(reply + 1, str, len);
    }

    reply->str.data = (unsigned char *) (reply + 1);
    reply->str.len = len;

    return reply;
}


static void *
llm_resp_array(const redisReadTask *task, llm_resp_count_t n)
{
    int                   depth;
    llm_resp_t           *resp;
    llm_reply_t          *reply;
    const redisReadTask  *outer;

    resp = task->privdata;
    depth = 0;

    for (outer = task; outer && depth <= LLM_RESP_DEPTH; outer = outer->parent)
    {
        depth++;
    }

    if (depth > LLM_RESP_DEPTH
        || (long long) n < 0
        || (size_t) n > LLM_RESP_ELEMENTS - resp->elements)
    {
        return NULL;
    }

    resp->elements += (size_t) n;

    reply = llm_resp_object(task, LLM_RESP_ARRAY,
                            (size_t) n * sizeof(llm_reply_t *));
    if (reply == NULL) {
        return NULL;
    }

    reply->n = (size_t) n;
    reply->elements = (llm_reply_t **) (reply + 1);

    memset(reply->elements, 0, (size_t) n * sizeof(llm_reply_t *));

    return reply;
}


static void *
llm_resp_integer(const redisReadTask *task, long long value)
{
    llm_reply_t  *reply;

    reply = llm_resp_object(task, LLM_RESP_INTEGER, 0);

    if (reply) {
        reply->integer = value;
    }

    return reply;
}


static void *
llm_resp_nil(const redisReadTask *task)
{
    return llm_resp_object(task, LLM_RESP_NIL, 0);
}


#if HIREDIS_MAJOR >= 1

/* nobody has asked for RESP3: such a reply ends the connection */

static void *
llm_resp_double(const redisReadTask *task, double value, char *str,
    size_t len)
{
    (void) task;
    (void) value;
    (void) str;
    (void) len;

    return NULL;
}


static void *
llm_resp_bool(const redisReadTask *task, int value)
{
    (void) task;
    (void) value;

    return NULL;
}

#endif


static void
llm_resp_free_object(void *object)
{
    llm_reply_free(object);
}


/* hiredis nests no deeper than its own stack of a few levels */

void
llm_reply_free(llm_reply_t *reply)
{
    size_t  i;

    if (reply == NULL) {
        return;
    }

    for (i = 0; i < reply->n; i++) {
        llm_reply_free(reply->elements[i]);
    }

    free(reply);
}


unsigned char *
llm_resp_command(int argc, const llm_str_t *argv, size_t *len)
{
    int          i, n;
    char        *command;
    size_t       lengths[LLM_RESP_ARGS];
    const char  *words[LLM_RESP_ARGS];

    if (argc > LLM_RESP_ARGS) {
        return NULL;
    }

    for (i = 0; i < argc; i++) {
        words[i] = argv[i].len ? (const char *) argv[i].data : "";
        lengths[i] = argv[i].len;
    }

    command = NULL;

    n = redisFormatCommandArgv(&command, argc, words, lengths);
    if (n < 0) {
        return NULL;
    }

    *len = (size_t) n;

    return (unsigned char *) command;
}
