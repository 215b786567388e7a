/*
 * The canonical form: whatever loads is written, reads back as the same
 * document, and does not depend on how the document was spelled.  The key's
 * body is compared with a slow one that edits a copy of the document.
 */


#include <stdio.h>
#include <stdlib.h>

#include "key_body.h"
#include "llm_key.h"


#define N(array)  (sizeof(array) / sizeof((array)[0]))

#define CHECK(what)                                                           \
    if (!(what)) {                                                            \
        fprintf(stderr, "line %d: %s\n", __LINE__, #what);                    \
        abort();                                                              \
    }


#define LOOSE  (JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL|JSON_DECODE_INT_AS_REAL)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const llm_dialect_e  dialects[] = {
    LLM_DIALECT_CHAT, LLM_DIALECT_RESPONSES, LLM_DIALECT_ANTHROPIC,
    LLM_DIALECT_COHERE_CHAT, LLM_DIALECT_JSON
};

static llm_str_t  paths[] = {
    llm_string("x"), llm_string("a.b"), llm_string("a.c.d"),
    llm_string("messages.name"), llm_string("messages.content.x"),
    llm_string("tools.function.x"), llm_string("input.content.x")
};

static const llm_ignore_t  ignore = { paths, N(paths) };

static const char *const  fields[] = {
    "stream", "stream_options", "user", "metadata", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention"
};


static json_t *
loose(const llm_buf_t *text)
{
    return json_loadb((const char *) text->data, text->len, LOOSE, NULL);
}


static int
same(const llm_buf_t *a, const llm_buf_t *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}


/* the same document, its members the other way round */

static json_t *
reversed(const json_t *value)
{
    void         *iter;
    size_t        i, n;
    json_t       *copy, *object;
    const char  **names;

    if (json_is_array(value)) {
        copy = json_array();

        for (i = 0; i < json_array_size(value); i++) {
            json_array_append_new(copy, reversed(json_array_get(value, i)));
        }

        return copy;
    }

    if (!json_is_object(value)) {
        return json_deep_copy(value);
    }

    object = (json_t *) value;
    copy = json_object();
    n = 0;
    names = calloc(json_object_size(value) + 1, sizeof(char *));
    CHECK(names != NULL);

    for (iter = json_object_iter(object);
         iter;
         iter = json_object_iter_next(object, iter))
    {
        names[n++] = json_object_iter_key(iter);
    }

    while (n > 0) {
        n--;
        json_object_set_new(copy, names[n],
                            reversed(json_object_get(value, names[n])));
    }

    free(names);

    return copy;
}


static json_t *
respelled(const json_t *doc)
{
    char    *text;
    json_t  *copy, *again;

    copy = reversed(doc);
    text = json_dumps(copy, JSON_ENSURE_ASCII|JSON_INDENT(3));
    json_decref(copy);
    CHECK(text != NULL);

    CHECK(llm_json_load((unsigned char *) text, strlen(text), &again)
          == LLM_REASON_NONE);
    free(text);

    return again;
}


/* the slow one */

static void
drop_null(json_t *object)
{
    void        *iter;
    const char  *name;

    iter = json_object_iter(object);

    while (iter) {
        name = json_object_iter_key(iter);
        iter = json_object_iter_next(object, iter);

        if (json_is_null(json_object_get(object, name))) {
            json_object_del(object, name);
        }
    }
}


static void
drop_path(json_t *value, const char *path)
{
    size_t       i, len;
    void        *iter, *next;
    const char  *name;

    for (i = 0; i < json_array_size(value); i++) {
        drop_path(json_array_get(value, i), path);
    }

    if (!json_is_object(value)) {
        return;
    }

    for (iter = json_object_iter(value); iter; iter = next) {
        next = json_object_iter_next(value, iter);
        name = json_object_iter_key(iter);
        len = strlen(name);

        if (strcmp(name, path) == 0) {
            json_object_del(value, name);

        } else if (strncmp(name, path, len) == 0 && path[len] == '.') {
            drop_path(json_object_iter_value(iter), path + len + 1);
        }
    }
}


static void
drop_marker(json_t *object)
{
    json_t  *marker;

    marker = json_object_get(object, "cache_control");

    if (json_is_object(marker) || json_is_null(marker)) {
        json_object_del(object, "cache_control");
    }
}


static int
is(const json_t *object, const char *name, const char *value)
{
    json_t  *string;

    string = json_object_get(object, name);

    return json_is_string(string)
           && json_string_length(string) == strlen(value)
           && strcmp(json_string_value(string), value) == 0;
}


static void
edit_content(json_t *holder, const char *name, llm_dialect_e id)
{
    size_t   i, k;
    json_t  *content, *part, *inner;

    content = json_object_get(holder, name);

    if (!json_is_array(content)) {
        return;
    }

    for (i = 0; id == LLM_DIALECT_ANTHROPIC && i < json_array_size(content);
         i++)
    {
        part = json_array_get(content, i);
        drop_marker(part);

        if (!is(part, "type", "tool_result")) {
            continue;
        }

        inner = json_object_get(part, "content");

        for (k = 0; k < json_array_size(inner); k++) {
            drop_marker(json_array_get(inner, k));
        }
    }

    part = json_array_get(content, 0);

    if (json_array_size(content) == 1
        && json_object_size(part) == 2
        && is(part, "type", id == LLM_DIALECT_RESPONSES ? "input_text"
                                                        : "text")
        && json_is_string(json_object_get(part, "text")))
    {
        json_object_set(holder, name, json_object_get(part, "text"));
    }
}


static int
has_content(const json_t *message, llm_dialect_e id)
{
    if (id == LLM_DIALECT_RESPONSES) {
        return (json_object_get(message, "type") == NULL
                || is(message, "type", "message"))
               && (is(message, "role", "user")
                   || is(message, "role", "system")
                   || is(message, "role", "developer"));
    }

    if (id == LLM_DIALECT_COHERE_CHAT) {
        return is(message, "role", "user")
               || is(message, "role", "system")
               || is(message, "role", "assistant");
    }

    return id != LLM_DIALECT_JSON;
}


static void
edit(json_t *doc, llm_dialect_e id, int strip)
{
    size_t   i;
    json_t  *list, *message;

    drop_null(doc);

    for (i = 0; i < N(fields); i++) {
        json_object_del(doc, fields[i]);
    }

    if (strip && json_is_boolean(json_object_get(doc, "caching"))) {
        json_object_del(doc, "caching");
    }

    if (strip && json_is_object(json_object_get(doc, "cache"))) {
        json_object_del(doc, "cache");
    }

    for (i = 0; i < N(paths); i++) {
        drop_path(doc, (const char *) paths[i].data);
    }

    if (id == LLM_DIALECT_ANTHROPIC) {
        drop_marker(doc);
        edit_content(doc, "system", id);
        list = json_object_get(doc, "tools");

        for (i = 0; i < json_array_size(list); i++) {
            drop_marker(json_array_get(list, i));
        }
    }

    list = json_object_get(doc, id == LLM_DIALECT_RESPONSES ? "input"
                                                            : "messages");

    for (i = 0; i < json_array_size(list); i++) {
        message = json_array_get(list, i);

        if (json_is_object(message) && has_content(message, id)) {
            edit_content(message, "content", id);
        }
    }
}


static void
check_body(const json_t *doc, const json_t *other, llm_dialect_e id,
    int strip)
{
    json_t         *copy;
    llm_buf_t       text, slow;
    llm_dialect_t   dialect;

    memset(&text, 0, sizeof(llm_buf_t));
    memset(&slow, 0, sizeof(llm_buf_t));
    memset(&dialect, 0, sizeof(llm_dialect_t));

    dialect.id = id;

    CHECK(key_body(doc, &dialect, &ignore, strip, &text) == 0);

    copy = json_deep_copy(doc);
    edit(copy, id, strip);
    CHECK(llm_json_canon(copy, &slow) == 0);
    json_decref(copy);
    CHECK(same(&text, &slow));

    slow.len = 0;
    CHECK(key_body(other, &dialect, &ignore, strip, &slow) == 0);
    CHECK(same(&text, &slow));

    /* what was left out once stays out */

    copy = loose(&text);
    CHECK(copy != NULL);
    slow.len = 0;
    CHECK(key_body(copy, &dialect, &ignore, strip, &slow) == 0);
    CHECK(same(&text, &slow));
    json_decref(copy);

    llm_buf_free(&text);
    llm_buf_free(&slow);
}


static void
check_canon(const json_t *doc, const json_t *other, const uint8_t *data,
    size_t size)
{
    json_t        *one, *two;
    llm_buf_t      text, again;
    llm_reason_e   reason;

    memset(&text, 0, sizeof(llm_buf_t));
    memset(&again, 0, sizeof(llm_buf_t));

    CHECK(llm_json_canon(doc, &text) == 0);
    CHECK(llm_json_canon(other, &again) == 0);
    CHECK(same(&text, &again));

    /* nothing is lost, and nothing is added */

    one = json_loadb((const char *) data, size, LOOSE, NULL);
    two = loose(&text);
    CHECK(one != NULL && two != NULL && json_equal(one, two));

    again.len = 0;
    CHECK(llm_json_canon(two, &again) == 0);
    CHECK(same(&text, &again));

    json_decref(one);
    json_decref(two);

    /* large doubles are written as integers, which are refused when read */

    reason = llm_json_load(text.data, text.len, &one);
    CHECK(reason == LLM_REASON_NONE || reason == LLM_REASON_NUMBER);

    if (reason == LLM_REASON_NONE) {
        again.len = 0;
        CHECK(llm_json_canon(one, &again) == 0);
        CHECK(same(&text, &again));
        json_decref(one);
    }

    llm_buf_free(&text);
    llm_buf_free(&again);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i;
    json_t        *doc, *other;
    llm_reason_e   reason;

    reason = llm_json_load(data, size, &doc);

    if (reason != LLM_REASON_NONE) {
        CHECK(doc == NULL && reason < LLM_REASON_MAX);
        return 0;
    }

    CHECK(json_is_object(doc));

    other = respelled(doc);
    check_canon(doc, other, data, size);

    for (i = 0; i < N(dialects); i++) {
        check_body(doc, other, dialects[i], (int) (size & 1));
    }

    json_decref(doc);
    json_decref(other);

    return 0;
}
