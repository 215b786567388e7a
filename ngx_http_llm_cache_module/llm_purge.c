#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "llm_bytes.h"
#include "llm_purge.h"


/* a message: magic, version, then the members in their order */

#define LLM_PURGE_MAGIC      0x504d4c4c   /* "LLMP" */
#define LLM_PURGE_VERSION    1

#define LLM_PURGE_AT_VER     4
#define LLM_PURGE_AT_BY      6
#define LLM_PURGE_AT_ID      8
#define LLM_PURGE_AT_KEY     24
#define LLM_PURGE_AT_TAGS    56
#define LLM_PURGE_AT_BEFORE  80
#define LLM_PURGE_AT_END     88

#define LLM_PURGE_ALL_BITS                                                    \
    (LLM_PURGE_KEY|LLM_PURGE_NAMESPACE|LLM_PURGE_SCOPE|LLM_PURGE_MODEL        \
     |LLM_PURGE_AGE)

/* seconds; more is longer ago than anything */
#define LLM_PURGE_LONGEST    ((uint64_t) 1 << 40)


typedef struct {
    const char   *name;
    int         (*read)(llm_purge_request_t *req, const json_t *value,
                        uint64_t now);
    const char   *expected;
} llm_purge_field_t;


static int llm_purge_read_key(llm_purge_request_t *req, const json_t *value,
    uint64_t now);
static int llm_purge_read_namespace(llm_purge_request_t *req,
    const json_t *value, uint64_t now);
static int llm_purge_read_model(llm_purge_request_t *req, const json_t *value,
    uint64_t now);
static int llm_purge_read_scope(llm_purge_request_t *req, const json_t *value,
    uint64_t now);
static int llm_purge_read_age(llm_purge_request_t *req, const json_t *value,
    uint64_t now);
static int llm_purge_read_all(llm_purge_request_t *req, const json_t *value,
    uint64_t now);
static int llm_purge_read_dry_run(llm_purge_request_t *req,
    const json_t *value, uint64_t now);
static int llm_purge_read_zone(llm_purge_request_t *req, const json_t *value,
    uint64_t now);


static const llm_purge_field_t  llm_purge_fields[] = {
    { "key", llm_purge_read_key, "64 hex digits" },
    { "namespace", llm_purge_read_namespace, "a string" },
    { "model", llm_purge_read_model, "a string that is not empty" },
    { "scope", llm_purge_read_scope, "16 hex digits" },
    { "older_than", llm_purge_read_age, "seconds, or a time like 12h" },
    { "all", llm_purge_read_all, "true" },
    { "dry_run", llm_purge_read_dry_run, "true or false" },
    { "zone", llm_purge_read_zone, "a zone's name" }
};

#define LLM_PURGE_FIELDS                                                      \
    (sizeof(llm_purge_fields) / sizeof(llm_purge_fields[0]))


int
llm_purge_match(const llm_purge_t *purge, const unsigned char *key,
    const llm_tags_t *tags, uint64_t created)
{
    unsigned  by;

    by = purge->by;

    return (!(by & LLM_PURGE_KEY)
            || memcmp(purge->key, key, LLM_KEY_LEN) == 0)
           && (!(by & LLM_PURGE_NAMESPACE)
               || memcmp(purge->tags.ns, tags->ns, LLM_TAG_LEN) == 0)
           && (!(by & LLM_PURGE_SCOPE)
               || memcmp(purge->tags.scope, tags->scope, LLM_TAG_LEN) == 0)
           && (!(by & LLM_PURGE_MODEL)
               || memcmp(purge->tags.model, tags->model, LLM_TAG_LEN) == 0)
           && (!(by & LLM_PURGE_AGE) || created <= purge->before);
}


int
llm_purge_hex(llm_str_t hex, unsigned char *bytes, size_t len)
{
    int            digit;
    size_t         i;
    unsigned char  c;

    if (hex.len != 2 * len) {
        return -1;
    }

    for (i = 0; i < hex.len; i++) {

        c = hex.data[i];

        if (c >= '0' && c <= '9') {
            digit = c - '0';

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (c | 0x20) - 'a' + 10;

        } else {
            return -1;
        }

        bytes[i / 2] = (unsigned char)
                       ((i % 2) ? bytes[i / 2] << 4 | digit : digit);
    }

    return 0;
}


static llm_str_t
llm_purge_string(const json_t *value)
{
    llm_str_t  s;

    s.data = (const unsigned char *) json_string_value(value);
    s.len = json_string_length(value);

    return s;
}


static int
llm_purge_read_key(llm_purge_request_t *req, const json_t *value, uint64_t now)
{
    (void) now;

    req->purge.by |= LLM_PURGE_KEY;

    return llm_purge_hex(llm_purge_string(value), req->purge.key,
                         LLM_KEY_LEN);
}


static int
llm_purge_read_namespace(llm_purge_request_t *req, const json_t *value,
    uint64_t now)
{
    (void) now;

    req->purge.by |= LLM_PURGE_NAMESPACE;

    return json_is_string(value)
           && llm_record_tag(llm_purge_string(value), req->purge.tags.ns) == 0
           ? 0 : -1;
}


static int
llm_purge_read_model(llm_purge_request_t *req, const json_t *value,
    uint64_t now)
{
    (void) now;

    req->purge.by |= LLM_PURGE_MODEL;

    return json_string_length(value)
           && llm_record_tag(llm_purge_string(value), req->purge.tags.model)
              == 0
           ? 0 : -1;
}


static int
llm_purge_read_scope(llm_purge_request_t *req, const json_t *value,
    uint64_t now)
{
    (void) now;

    req->purge.by |= LLM_PURGE_SCOPE;

    return llm_purge_hex(llm_purge_string(value), req->purge.tags.scope,
                         LLM_TAG_LEN);
}


/* the unit's seconds; 0 for what is none */

static uint64_t
llm_purge_unit(unsigned char c)
{
    switch (c) {

    case 's':
        return 1;

    case 'm':
        return 60;

    case 'h':
        return 3600;

    case 'd':
        return 86400;

    case 'w':
        return 7 * 86400;

    default:
        return 0;
    }
}


/* "90", "1h", "1d12h" */

static int
llm_purge_time(llm_str_t s, uint64_t *seconds)
{
    size_t         i;
    uint64_t       n, unit;
    unsigned       digits;

    n = 0;
    digits = 0;
    *seconds = 0;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] >= '0' && s.data[i] <= '9') {
            n = n * 10 + (uint64_t) (s.data[i] - '0');
            digits++;

        } else {
            unit = llm_purge_unit(s.data[i]);

            if (unit == 0 || digits == 0) {
                return -1;
            }

            *seconds += n * unit;
            n = 0;
            digits = 0;
        }

        if (digits > 10 || *seconds > LLM_PURGE_LONGEST) {
            return -1;
        }
    }

    *seconds += n;

    return s.len && (digits == 0 || digits == s.len) ? 0 : -1;
}


static int
llm_purge_read_age(llm_purge_request_t *req, const json_t *value, uint64_t now)
{
    uint64_t  seconds;

    req->purge.by |= LLM_PURGE_AGE;

    if (json_is_integer(value)) {

        if (json_integer_value(value) < 0) {
            return -1;
        }

        seconds = (uint64_t) json_integer_value(value);

    } else if (!json_is_string(value)
               || llm_purge_time(llm_purge_string(value), &seconds) != 0)
    {
        return -1;
    }

    req->purge.before = seconds > now ? 0 : now - seconds;

    return 0;
}


static int
llm_purge_read_all(llm_purge_request_t *req, const json_t *value, uint64_t now)
{
    (void) req;
    (void) now;

    return json_is_true(value) ? 0 : -1;
}


static int
llm_purge_read_dry_run(llm_purge_request_t *req, const json_t *value,
    uint64_t now)
{
    (void) now;

    req->dry_run = json_is_true(value);

    return json_is_boolean(value) ? 0 : -1;
}


static int
llm_purge_read_zone(llm_purge_request_t *req, const json_t *value,
    uint64_t now)
{
    size_t  len;

    (void) now;

    len = json_string_length(value);

    if (len == 0 || len >= LLM_PURGE_ZONE_LEN
        || memchr(json_string_value(value), '\0', len))
    {
        return -1;
    }

    memcpy(req->zone, json_string_value(value), len);

    return 0;
}


static const llm_purge_field_t *
llm_purge_field(const char *name)
{
    size_t  i;

    for (i = 0; i < LLM_PURGE_FIELDS; i++) {
        if (strcmp(llm_purge_fields[i].name, name) == 0) {
            return &llm_purge_fields[i];
        }
    }

    return NULL;
}


static int
llm_purge_read_fields(json_t *doc, uint64_t now, llm_purge_request_t *req)
{
    int                       conditions;
    json_t                   *value;
    const char               *name;
    const llm_purge_field_t  *field;

    conditions = 0;

    json_object_foreach(doc, name, value) {

        field = llm_purge_field(name);

        if (field == NULL) {
            (void) snprintf(req->error, sizeof(req->error),
                            "unknown member, known are key, namespace, "
                            "model, scope, older_than, all, dry_run, zone");
            return -1;
        }

        if (field->read(req, value, now) != 0) {
            (void) snprintf(req->error, sizeof(req->error),
                            "%s must be %s", field->name, field->expected);
            return -1;
        }

        conditions += field->read != llm_purge_read_dry_run
                      && field->read != llm_purge_read_zone;
    }

    if (conditions == 0) {
        (void) snprintf(req->error, sizeof(req->error),
                        "no condition: give key, namespace, model, scope, "
                        "older_than or all");
        return -1;
    }

    return 0;
}


int
llm_purge_read(llm_str_t body, uint64_t now, llm_purge_request_t *req)
{
    int           rc;
    json_t       *doc;
    json_error_t  error;

    memset(req, 0, sizeof(llm_purge_request_t));

    doc = json_loadb((const char *) body.data, body.len,
                     JSON_REJECT_DUPLICATES, &error);

    if (!json_is_object(doc)) {
        (void) snprintf(req->error, sizeof(req->error),
                        "the body must be a JSON object without duplicate "
                        "members");
        json_decref(doc);
        return -1;
    }

    rc = llm_purge_read_fields(doc, now, req);

    json_decref(doc);

    return rc;
}


void
llm_purge_encode(const llm_purge_t *purge, unsigned char *message)
{
    unsigned char  *p;

    memset(message, 0, LLM_PURGE_LEN);

    llm_bytes_put(message, 4, LLM_PURGE_MAGIC);
    llm_bytes_put(message + LLM_PURGE_AT_VER, 2, LLM_PURGE_VERSION);
    llm_bytes_put(message + LLM_PURGE_AT_BY, 1, purge->by);
    memcpy(message + LLM_PURGE_AT_ID, purge->id, LLM_PURGE_ID_LEN);
    memcpy(message + LLM_PURGE_AT_KEY, purge->key, LLM_KEY_LEN);

    p = message + LLM_PURGE_AT_TAGS;

    memcpy(p, purge->tags.ns, LLM_TAG_LEN);
    memcpy(p + LLM_TAG_LEN, purge->tags.scope, LLM_TAG_LEN);
    memcpy(p + 2 * LLM_TAG_LEN, purge->tags.model, LLM_TAG_LEN);

    llm_bytes_put(message + LLM_PURGE_AT_BEFORE, 8, purge->before);
    llm_bytes_put(message + LLM_PURGE_AT_END, 4, LLM_PURGE_MAGIC);
}


int
llm_purge_decode(llm_str_t message, llm_purge_t *purge)
{
    const unsigned char  *p;

    p = message.data;

    if (message.len != LLM_PURGE_LEN
        || llm_bytes_get(p, 4) != LLM_PURGE_MAGIC
        || llm_bytes_get(p + LLM_PURGE_AT_VER, 2) != LLM_PURGE_VERSION
        || llm_bytes_get(p + LLM_PURGE_AT_END, 4) != LLM_PURGE_MAGIC)
    {
        return -1;
    }

    memset(purge, 0, sizeof(llm_purge_t));

    purge->by = (unsigned) llm_bytes_get(p + LLM_PURGE_AT_BY, 1);

    if (purge->by & ~(unsigned) LLM_PURGE_ALL_BITS) {
        return -1;
    }

    memcpy(purge->id, p + LLM_PURGE_AT_ID, LLM_PURGE_ID_LEN);
    memcpy(purge->key, p + LLM_PURGE_AT_KEY, LLM_KEY_LEN);
    memcpy(purge->tags.ns, p + LLM_PURGE_AT_TAGS, LLM_TAG_LEN);
    memcpy(purge->tags.scope, p + LLM_PURGE_AT_TAGS + LLM_TAG_LEN,
           LLM_TAG_LEN);
    memcpy(purge->tags.model, p + LLM_PURGE_AT_TAGS + 2 * LLM_TAG_LEN,
           LLM_TAG_LEN);

    purge->before = llm_bytes_get(p + LLM_PURGE_AT_BEFORE, 8);

    return 0;
}
