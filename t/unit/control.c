#include <stdlib.h>

#include "llm_control.h"
#include "llm_json.h"
#include "tap.h"


#define N(array)  (sizeof(array) / sizeof((array)[0]))

#define UNSET     LLM_CONTROL_UNSET


typedef struct {
    const char           *value;
    int64_t               max_age;
    int                   no_cache;
    int                   no_store;
    int                   only_if_cached;
} header_case_t;


typedef struct {
    const char           *body;
    int64_t               ttl;
    int64_t               max_age;
    const char           *ns;
    int                   use_cache;
    int                   no_cache;
    int                   no_store;
} body_case_t;


typedef struct {
    const char           *name;
    const char           *body;
    int                   n;
    const char           *left;
} find_case_t;


static const header_case_t  headers[] = {
    { "", UNSET, 0, 0, 0 },
    { "no-cache", UNSET, 1, 0, 0 },
    { "no-store", UNSET, 0, 1, 0 },
    { "only-if-cached", UNSET, 0, 0, 1 },
    { "No-Cache", UNSET, 1, 0, 0 },
    { "NO-STORE", UNSET, 0, 1, 0 },
    { "no-cache, no-store", UNSET, 1, 1, 0 },
    { "no-cache,no-store,only-if-cached", UNSET, 1, 1, 1 },
    { " \t no-cache \t , ,, no-store \t ", UNSET, 1, 1, 0 },
    { ",", UNSET, 0, 0, 0 },
    { "no-cache=\"x, y\"", UNSET, 1, 0, 0 },
    { "no-transform", UNSET, 0, 0, 0 },
    { "no-cachex", UNSET, 0, 0, 0 },
    { "xno-cache", UNSET, 0, 0, 0 },
    { "no-cach", UNSET, 0, 0, 0 },
    { "no cache", UNSET, 0, 0, 0 },
    { "no-cache no-store", UNSET, 0, 0, 0 },
    { "x=\"no-cache\"", UNSET, 0, 0, 0 },
    { "x=\"a, no-cache, b\", no-store", UNSET, 0, 1, 0 },
    { "x=\"a\\\", no-cache\", no-store", UNSET, 0, 1, 0 },
    { "x=\"a\\\\\", no-store", UNSET, 0, 1, 0 },
    { "x=\"never closed, no-store", UNSET, 0, 0, 0 },
    { "x=\"ends in a backslash\\", UNSET, 0, 0, 0 },

    { "max-age=0", 0, 0, 0, 0 },
    { "max-age=5", 5, 0, 0, 0 },
    { "Max-Age=5", 5, 0, 0, 0 },
    { "max-age=\"5\"", 5, 0, 0, 0 },
    { "max-age = 5", 5, 0, 0, 0 },
    { "max-age=005", 5, 0, 0, 0 },
    { "no-store,max-age=60", 60, 0, 1, 0 },
    { "max-age=60, max-age=5", 5, 0, 0, 0 },
    { "max-age=5, max-age=60", 5, 0, 0, 0 },
    { "max-age", 0, 0, 0, 0 },
    { "max-age=", 0, 0, 0, 0 },
    { "max-age=\"\"", 0, 0, 0, 0 },
    { "max-age=\"", 0, 0, 0, 0 },
    { "max-age=\"5", 0, 0, 0, 0 },
    { "max-age=5\"", 0, 0, 0, 0 },
    { "max-age=\"55", 0, 0, 0, 0 },
    { "max-age=\"5\"5", 0, 0, 0, 0 },
    { "max-age=x", 0, 0, 0, 0 },
    { "max-age=5x", 0, 0, 0, 0 },
    { "max-age=-5", 0, 0, 0, 0 },
    { "max-age=+5", 0, 0, 0, 0 },
    { "max-age=5.5", 0, 0, 0, 0 },
    { "max-age=5 5", 0, 0, 0, 0 },
    { "max-age=2147483646", 2147483646, 0, 0, 0 },
    { "max-age=2147483647", LLM_CONTROL_MAX, 0, 0, 0 },
    { "max-age=2147483648", LLM_CONTROL_MAX, 0, 0, 0 },
    { "max-age=99999999999999999999999999999", LLM_CONTROL_MAX, 0, 0, 0 },
    { "max-age=99999999999999999999999999999x", 0, 0, 0, 0 },
    { "s-maxage=5", UNSET, 0, 0, 0 },
    { "max-stale=5", UNSET, 0, 0, 0 },
    { "min-fresh=5", UNSET, 0, 0, 0 }
};


#define CACHE(members)  "{\"cache\":{" members "}}"

static const body_case_t  bodies[] = {
    { "{}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"caching\":true}", UNSET, UNSET, "", 1, 0, 0 },
    { "{\"caching\":false}", UNSET, UNSET, "", 0, 0, 0 },
    { "{\"caching\":1}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"caching\":\"true\"}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"caching\":null}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"a\":{\"caching\":true}}", UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE(""), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"use-cache\":true"), UNSET, UNSET, "", 1, 0, 0 },
    { CACHE("\"use-cache\":false"), UNSET, UNSET, "", 0, 0, 0 },
    { CACHE("\"use-cache\":1"), UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"caching\":true,\"cache\":{\"use-cache\":false}}",
      UNSET, UNSET, "", 0, 0, 0 },
    { "{\"caching\":false,\"cache\":{\"use-cache\":true}}",
      UNSET, UNSET, "", 0, 0, 0 },
    { "{\"caching\":true,\"cache\":{\"use-cache\":true}}",
      UNSET, UNSET, "", 1, 0, 0 },
    { CACHE("\"no-cache\":true"), UNSET, UNSET, "", UNSET, 1, 0 },
    { CACHE("\"no-cache\":false"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"no-cache\":\"true\""), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"no-store\":true"), UNSET, UNSET, "", UNSET, 0, 1 },
    { CACHE("\"no-store\":1"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":60"), 60, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":0"), 0, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":-1"), 0, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":-0.5"), 0, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":0.9"), 0, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":60.0"), 60, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":60.9"), 60, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":6e1"), 60, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":4611686018427387904"),
      LLM_CONTROL_MAX, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":1e300"), LLM_CONTROL_MAX, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":-1e300"), 0, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":\"60\""), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":null"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":[]"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"s-maxage\":60"), UNSET, 60, "", UNSET, 0, 0 },
    { CACHE("\"s-maxage\":0"), UNSET, 0, "", UNSET, 0, 0 },
    { CACHE("\"s-maxage\":2.5"), UNSET, 2, "", UNSET, 0, 0 },
    { CACHE("\"s-maxage\":\"60\""), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"namespace\":\"n\""), UNSET, UNSET, "n", UNSET, 0, 0 },
    { CACHE("\"namespace\":\"\""), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"namespace\":1"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"unknown\":true"), UNSET, UNSET, "", UNSET, 0, 0 },
    { CACHE("\"ttl\":1,\"s-maxage\":2,\"namespace\":\"n\","
            "\"no-cache\":true,\"no-store\":true,\"use-cache\":true"),
      1, 2, "n", 1, 1, 1 },
    { "{\"cache\":true}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"cache\":[{\"ttl\":1}]}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"cache\":\"no-cache\"}", UNSET, UNSET, "", UNSET, 0, 0 },
    { "{\"a\":{\"cache\":{\"ttl\":1}}}", UNSET, UNSET, "", UNSET, 0, 0 }
};


static const find_case_t  finds[] = {
    { "nothing", "{}", 0, "{}" },
    { "no control", "{\"a\":1}", 0, "{\"a\":1}" },
    { "alone", "{\"caching\":true}", 1, "{}" },
    { "false", "{\"caching\":false}", 1, "{}" },
    { "an object alone", "{\"cache\":{}}", 1, "{}" },
    { "alone in white space", " { \"caching\" : true } ", 1, " {  } " },

    { "the first", "{\"caching\":true,\"a\":1}", 1, "{\"a\":1}" },
    { "the last", "{\"a\":1,\"caching\":true}", 1, "{\"a\":1}" },
    { "in the middle", "{\"a\":1,\"caching\":true,\"b\":2}", 1,
      "{\"a\":1,\"b\":2}" },
    { "the first, with white space", "{ \"caching\" : true , \"a\" : 1 }", 1,
      "{  \"a\" : 1 }" },
    { "the last, with white space", "{ \"a\" : 1 , \"caching\" : true }", 1,
      "{ \"a\" : 1  }" },
    { "in the middle, with white space",
      "{\"a\": 1, \"caching\": true, \"b\": 2}", 1, "{\"a\": 1, \"b\": 2}" },
    { "indented",
      "{\n  \"a\": 1,\n  \"cache\": {\n    \"ttl\": 1\n  },\n  \"b\": 2\n}\n",
      1, "{\n  \"a\": 1,\n  \"b\": 2\n}\n" },

    { "both alone", "{\"caching\":true,\"cache\":{}}", 2, "{}" },
    { "both alone, the other way", "{\"cache\":{},\"caching\":true}", 2,
      "{}" },
    { "both first", "{\"caching\":true,\"cache\":{},\"a\":1}", 2,
      "{\"a\":1}" },
    { "both last", "{\"a\":1,\"caching\":true,\"cache\":{}}", 2,
      "{\"a\":1}" },
    { "both in the middle", "{\"a\":1,\"caching\":true,\"cache\":{},\"b\":2}",
      2, "{\"a\":1,\"b\":2}" },
    { "first and last", "{\"caching\":true,\"a\":1,\"cache\":{}}", 2,
      "{\"a\":1}" },
    { "first and middle", "{\"cache\":{},\"a\":1,\"caching\":true,\"b\":2}",
      2, "{\"a\":1,\"b\":2}" },
    { "two middles",
      "{\"a\":1,\"caching\":true,\"b\":2,\"cache\":{},\"c\":3}", 2,
      "{\"a\":1,\"b\":2,\"c\":3}" },

    { "an escaped name", "{\"\\u0063ache\":{},\"a\":1}", 1, "{\"a\":1}" },
    { "a name all escaped",
      "{\"\\u0063\\u0061\\u0063\\u0068\\u0069\\u006e\\u0067\":true}", 1,
      "{}" },
    { "escapes in upper case", "{\"cachi\\u006E\\u0067\":true}", 1, "{}" },
    { "another escaped name", "{\"\\u0064ache\":{}}", 0,
      "{\"\\u0064ache\":{}}" },
    { "an escape of another plane", "{\"\\u0163ache\":{}}", 0,
      "{\"\\u0163ache\":{}}" },
    { "a backspace", "{\"\\bcache\":{}}", 0, "{\"\\bcache\":{}}" },
    { "a shorter name", "{\"cach\":{}}", 0, "{\"cach\":{}}" },
    { "a longer name", "{\"caches\":{}}", 0, "{\"caches\":{}}" },
    { "a longer name, escaped", "{\"cache\\u0073\":{}}", 0,
      "{\"cache\\u0073\":{}}" },
    { "a name in upper case", "{\"Cache\":{}}", 0, "{\"Cache\":{}}" },
    { "an empty name", "{\"\":{}}", 0, "{\"\":{}}" },

    { "caching with an object", "{\"caching\":{}}", 0, "{\"caching\":{}}" },
    { "caching with null", "{\"caching\":null}", 0, "{\"caching\":null}" },
    { "caching with a string", "{\"caching\":\"true\"}", 0,
      "{\"caching\":\"true\"}" },
    { "caching with a number", "{\"caching\":1}", 0, "{\"caching\":1}" },
    { "cache with a boolean", "{\"cache\":true}", 0, "{\"cache\":true}" },
    { "cache with an array", "{\"cache\":[]}", 0, "{\"cache\":[]}" },

    { "further in", "{\"a\":{\"caching\":true,\"cache\":{}}}", 0,
      "{\"a\":{\"caching\":true,\"cache\":{}}}" },
    { "in an array", "{\"a\":[{\"caching\":true}]}", 0,
      "{\"a\":[{\"caching\":true}]}" },
    { "in a string", "{\"a\":\",\\\"caching\\\":true,\"}", 0,
      "{\"a\":\",\\\"caching\\\":true,\"}" },
    { "in its own value",
      "{\"cache\":{\"cache\":{},\"caching\":true},\"a\":1}", 1,
      "{\"a\":1}" },
    { "behind every kind of value",
      "{\"a\":\"}\\\\\",\"b\":[\"]\",[{}]],\"c\":{\"x\":\"{\\\"\"},"
      "\"d\":-1.5e+3,\"e\":null,\"f\":true,\"caching\":true}", 1,
      "{\"a\":\"}\\\\\",\"b\":[\"]\",[{}]],\"c\":{\"x\":\"{\\\"\"},"
      "\"d\":-1.5e+3,\"e\":null,\"f\":true}" },
    { "a number before a line feed", "{\"a\":1\n,\"caching\":true\r\n}", 1,
      "{\"a\":1\n\r\n}" },
    { "with brackets in its strings",
      "{\"cache\":{\"namespace\":\"}]\\\"}\"},\"a\":1}", 1, "{\"a\":1}" }
};


/* no JSON: nothing may be found, and nothing read out of bounds */

static const char *const  broken[] = {
    "", " ", "{", "[", "\"", "x", "{\"", "{\"a", "{\"a\\", "{\"a\"",
    "{\"a\":", "{\"a\": ", "{\"a\":1", "{\"a\":\"", "{\"a\":\"\\",
    "{\"a\":{", "{\"a\":{\"", "{\"a\":[\"x\\", "{\"a\":1 1}", "{\"a\":,}",
    "{\"caching\":true", "{\"caching\":true,", "{\"cache\":{}",
    "{\"cache\":{}]", "{\"\\u00", "{\"\\u0063\":{", "[\"caching\",true]",
    "{\"caching\":true,\"cache\":{},\"caching\":true}", "{a:1}", "{:}",
    "{\"a\":]}", "{\"caching\":true,\"a\":}", "\xef\xbb\xbf{\"caching\":true}"
};


/* a copy in memory of its own, so that a sanitizer sees every byte beyond */

static unsigned char *
copy(const char *text, size_t len)
{
    unsigned char  *p;

    p = malloc(len ? len : 1);
    if (p == NULL) {
        abort();
    }

    memcpy(p, text, len);

    return p;
}


static void
test_headers(void)
{
    size_t                i;
    llm_str_t             value;
    unsigned char        *text;
    llm_control_t         control;
    const header_case_t  *c;

    for (i = 0; i < N(headers); i++) {
        c = &headers[i];

        value.len = strlen(c->value);
        text = copy(c->value, value.len);
        value.data = text;

        llm_control_init(&control);
        llm_control_header(value, &control);

        is_int(control.max_age, c->max_age, "header: %s: max-age", c->value);
        is_int(control.no_cache, c->no_cache, "header: %s: no-cache",
               c->value);
        is_int(control.no_store, c->no_store, "header: %s: no-store",
               c->value);
        is_int(control.only_if_cached, c->only_if_cached,
               "header: %s: only-if-cached", c->value);
        ok(control.ttl == UNSET && control.use_cache == UNSET
           && control.ns.len == 0, "header: %s: nothing else", c->value);

        free(text);
    }
}


static void
test_strictest(void)
{
    json_t         *doc;
    llm_str_t       five = llm_string("max-age=5");
    llm_str_t       store = llm_string("no-store");
    llm_str_t       none = llm_null_string;
    llm_control_t   control;

    llm_control_init(&control);
    llm_control_header(five, &control);
    llm_control_header(store, &control);
    llm_control_header(none, &control);

    ok(control.max_age == 5 && control.no_store,
       "two headers: both of them count");

    doc = json_loads("{\"cache\":{\"s-maxage\":60}}", 0, NULL);
    llm_control_body(doc, &control);
    is_int(control.max_age, 5, "a body does not loosen a header");
    json_decref(doc);

    doc = json_loads("{\"cache\":{\"s-maxage\":2,\"no-store\":false}}", 0,
                     NULL);
    llm_control_body(doc, &control);
    is_int(control.max_age, 2, "it may tighten it");
    is_int(control.no_store, 1, "a body takes nothing back");
    json_decref(doc);

    control.use_cache = 0;

    doc = json_loads("{\"caching\":true,\"cache\":{\"use-cache\":true}}", 0,
                     NULL);
    llm_control_body(doc, &control);
    is_int(control.use_cache, 0, "what said no stays");
    json_decref(doc);
}


static void
test_bodies(void)
{
    size_t              i;
    json_t             *doc;
    llm_control_t       control;
    const body_case_t  *c;

    for (i = 0; i < N(bodies); i++) {
        c = &bodies[i];

        doc = json_loads(c->body, 0, NULL);

        llm_control_init(&control);
        llm_control_body(doc, &control);

        is_int(control.ttl, c->ttl, "body: %s: ttl", c->body);
        is_int(control.max_age, c->max_age, "body: %s: max_age", c->body);
        is_str(control.ns, c->ns, "body: %s: namespace", c->body);
        is_int(control.use_cache, c->use_cache, "body: %s: use_cache",
               c->body);
        is_int(control.no_cache, c->no_cache, "body: %s: no_cache", c->body);
        is_int(control.no_store, c->no_store, "body: %s: no_store", c->body);
        is_int(control.only_if_cached, 0, "body: %s: only_if_cached",
               c->body);

        json_decref(doc);
    }
}


static void
test_find(void)
{
    int                 i, n;
    size_t              k, len, last;
    json_t             *doc;
    llm_buf_t           left;
    llm_range_t         ranges[2];
    unsigned char      *body;
    const find_case_t  *c;

    for (k = 0; k < N(finds); k++) {
        c = &finds[k];

        len = strlen(c->body);
        body = copy(c->body, len);
        memset(&left, 0, sizeof(llm_buf_t));

        n = llm_control_find(body, len, ranges);
        is_int(n, c->n, "find: %s: how many", c->name);

        for (i = 0, last = 0; i < n; i++) {
            (void) llm_buf_add(&left, body + last, ranges[i].start - last);
            last = ranges[i].end;
        }

        (void) llm_buf_add(&left, body + last, len - last);
        is_str(left, c->left, "find: %s: what is left", c->name);

        is_int(llm_json_load(left.data, left.len, &doc), LLM_REASON_NONE,
               "find: %s: which is JSON", c->name);

        json_decref(doc);
        llm_buf_free(&left);
        free(body);
    }
}


static void
test_broken(void)
{
    size_t          i, k, len;
    llm_range_t     ranges[2];
    unsigned char  *body;
    const char     *whole;

    for (i = 0; i < N(broken); i++) {
        len = strlen(broken[i]);
        body = copy(broken[i], len);

        is_int(llm_control_find(body, len, ranges), 0, "find: broken: %s",
               broken[i]);
        free(body);
    }

    is_int(llm_control_find(NULL, 0, ranges), 0, "find: no text");

    /* cut anywhere: nothing to find before the closing brace */

    whole = "{\"a\\u0041\":[1,{\"b\":\"\\\"\"}],\"\\u0063ache\":{\"ttl\":1},"
            "\"caching\":true , \"z\":null}";
    k = 0;

    for (len = 0; len < strlen(whole); len++) {
        body = copy(whole, len);
        k += (size_t) llm_control_find(body, len, ranges);
        free(body);
    }

    is_int(k, 0, "find: nothing in a body that was cut");

    body = copy(whole, len);
    is_int(llm_control_find(body, len, ranges), 2, "find: two in the whole");
    free(body);
}


static void
test_semantic(void)
{
    size_t         i;
    json_t        *doc;
    llm_control_t  control;

    static const struct {
        const char  *body;
        int          no_semantic;
        double       threshold;
    } cases[] = {
        { "{\"cache\":{\"semantic\":false}}", 1, 0 },
        { "{\"cache\":{\"semantic\":true}}", 0, 0 },
        { "{\"cache\":{\"semantic\":0}}", 0, 0 },
        { "{\"cache\":{\"threshold\":0.75}}", 0, 0.75 },
        { "{\"cache\":{\"threshold\":1}}", 0, 1 },
        { "{\"cache\":{\"threshold\":-1}}", 0, 0 },
        { "{\"cache\":{\"threshold\":\"1\"}}", 0, 0 },
        { "{\"semantic\":false,\"threshold\":1}", 0, 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        doc = json_loads(cases[i].body, 0, NULL);

        llm_control_init(&control);
        llm_control_body(doc, &control);

        ok((int) control.no_semantic == cases[i].no_semantic
           && control.threshold >= cases[i].threshold
           && control.threshold <= cases[i].threshold,
           "semantic: %s", cases[i].body);

        json_decref(doc);
    }
}


int
main(void)
{
    test_semantic();
    test_headers();
    test_strictest();
    test_bodies();
    test_find();
    test_broken();

    return done();
}
