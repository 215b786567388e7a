/*
 * The client's controls: any Cache-Control value, any text as a body.  What
 * is left of a body without its controls is the document without them.
 */


#include <stdio.h>
#include <stdlib.h>

#include "llm_control.h"
#include "llm_json.h"


#define CHECK(what)                                                           \
    if (!(what)) {                                                            \
        fprintf(stderr, "line %d: %s\n", __LINE__, #what);                    \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check_range(const llm_control_t *control)
{
    CHECK(control->ttl >= LLM_CONTROL_UNSET);
    CHECK(control->ttl <= LLM_CONTROL_MAX);
    CHECK(control->max_age >= LLM_CONTROL_UNSET);
    CHECK(control->max_age <= LLM_CONTROL_MAX);
    CHECK(control->use_cache >= LLM_CONTROL_UNSET && control->use_cache <= 1);
}


static int
same(const llm_control_t *a, const llm_control_t *b)
{
    return a->ttl == b->ttl
           && a->max_age == b->max_age
           && a->use_cache == b->use_cache
           && a->no_cache == b->no_cache
           && a->no_store == b->no_store
           && a->only_if_cached == b->only_if_cached;
}


/* one value with commas is as good as several values */

static void
check_header(const uint8_t *data, size_t size)
{
    llm_str_t       value, part;
    const uint8_t  *comma;
    llm_control_t   whole, parts;

    value.data = data;
    value.len = size;

    llm_control_init(&whole);
    llm_control_header(value, &whole);
    check_range(&whole);
    CHECK(whole.ttl == LLM_CONTROL_UNSET && whole.ns.len == 0);

    if (size == 0 || memchr(data, '"', size)) {
        return;
    }

    llm_control_init(&parts);
    part = value;

    for ( ;; ) {
        comma = part.len ? memchr(part.data, ',', part.len) : NULL;

        if (comma == NULL) {
            break;
        }

        part.len = (size_t) (comma - part.data);
        llm_control_header(part, &parts);

        part.data = comma + 1;
        part.len = (size_t) (data + size - part.data);
    }

    llm_control_header(part, &parts);
    CHECK(same(&whole, &parts));
}


static void
check_document(const uint8_t *data, size_t size, const llm_range_t *ranges,
    int n)
{
    int             i, found;
    size_t          last;
    json_t         *doc, *rest;
    llm_buf_t       left;
    llm_control_t   control;

    if (llm_json_load(data, size, &doc) != LLM_REASON_NONE) {
        return;
    }

    llm_control_init(&control);
    llm_control_body(doc, &control);
    check_range(&control);

    found = 0;

    if (json_is_boolean(json_object_get(doc, "caching"))) {
        json_object_del(doc, "caching");
        found++;
    }

    if (json_is_object(json_object_get(doc, "cache"))) {
        json_object_del(doc, "cache");
        found++;
    }

    CHECK(n == found);

    memset(&left, 0, sizeof(llm_buf_t));

    for (i = 0, last = 0; i < n; i++) {
        CHECK(llm_buf_add(&left, data + last, ranges[i].start - last) == 0);
        last = ranges[i].end;
    }

    CHECK(llm_buf_add(&left, data + last, size - last) == 0);
    CHECK(llm_json_load(left.data, left.len, &rest) == LLM_REASON_NONE);
    CHECK(json_equal(doc, rest));
    CHECK(llm_control_find(left.data, left.len, (llm_range_t [2]) {{ 0, 0 }})
          == 0);

    json_decref(rest);
    json_decref(doc);
    llm_buf_free(&left);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int          i, n;
    size_t       last;
    llm_range_t  ranges[2];

    check_header(data, size);

    n = llm_control_find(data, size, ranges);
    CHECK(n >= 0 && n <= 2);

    for (i = 0, last = 0; i < n; i++) {
        CHECK(ranges[i].start >= last && ranges[i].start < ranges[i].end);
        CHECK(ranges[i].end <= size);
        last = ranges[i].end;
    }

    check_document(data, size, ranges, n);

    return 0;
}
