/*
 * The one pass over the text against the document: the same bodies are
 * refused, and of the others the same digest, the same request and the same
 * controls are told.  Input that begins with a NUL, which no body does, is
 * read as the choices of a writer of requests instead.
 */


#include <stdio.h>
#include <stdlib.h>

#include "../unit/body_same.h"


#define N(array)  (sizeof(array) / sizeof((array)[0]))

#define CHECK(what)                                                           \
    if (!(what)) {                                                            \
        fprintf(stderr, "line %d: %s\n", __LINE__, #what);                    \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


typedef struct {
    const uint8_t        *p;
    const uint8_t        *last;
    llm_buf_t             out;
} writer_t;


static const char *const  uris[] = {
    "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v2/chat",
    "/v1beta/models/m:generateContent", "/api/chat", "/other"
};

static llm_str_t  paths[] = {
    llm_string("x"), llm_string("a.b"), llm_string("a.c.d"),
    llm_string("messages.content.x"), llm_string("input.content.x"),
    llm_string("messages.role"), llm_string("messages.content.text"),
    llm_string("tools.function.x"), llm_string("\"."), llm_string("a.\"")
};

static const llm_ignore_t  ignore = { paths, N(paths) };


/* what a writer puts together; names come before values, then the rest */

#define NAMES  52

static const char *const  words[] = {
    "model", "messages", "input", "system", "content", "role", "type",
    "text", "cache_control", "tools", "function", "environment",
    "execution", "a", "b", "c", "d", "x", "a.b", "stream",
    "stream_options", "include_usage", "temperature", "options",
    "generationConfig", "caching", "cache", "no-cache", "no-store", "ttl",
    "s-maxage", "namespace", "use-cache", "plugins", "mode",
    "web_search_options", "container", "conversation", "background",
    "user", "functionDeclarations", "\xc3\xa9", "\\u00e9",
    "\\ud83d\\ude00", "\xef\xbf\xbd", "\\u0001", "\\n", "\\\"", "\\\"z",
    "\"", "", "c\\u0061che",

    "assistant", "tool", "input_text", "message", "tool_result", "shell",
    "local", "tool_search", "client", "web_search", "bash_2", "off",
    "te\\u0078t", "us\\u0065r", "\\/\\b\\f\\u001F\\u007f\\u0000",
    "\xf0\x9f\x98\x80 and more than sixteen bytes", "\\ud800",
    "\xd0\xba\xd1\x8d\xd1\x88 \xe7\xbc\x93\xe5\xad\x98\xe5\xb1\x82",
    "\xed\xa0\x80", "\xc0\x80"
};

static const char *const  scalars[] = {
    "null", "true", "false", "0", "-0", "1", "1.0", "0.70", "1e2", "1E-7",
    "123456789012345", "1234567890123456", "9007199254740992",
    "9007199254740993", "-9223372036854775808", "1e21", "1e400", "-1e-400",
    "0.1234567890123456789", "123456789012345.0", "5e-324", "01", "-"
};


static void
put(writer_t *w, const char *text)
{
    CHECK(llm_buf_add(&w->out, text, strlen(text)) == 0);
}


static unsigned
choice(writer_t *w, unsigned n)
{
    return w->p < w->last ? *w->p++ % n : 0;
}


static void
put_string(writer_t *w, unsigned n)
{
    put(w, "\"");
    put(w, words[choice(w, n)]);
    put(w, "\"");
}


static void
put_value(writer_t *w, unsigned depth, unsigned kind)
{
    unsigned  i, n;

    if (kind < 3 || depth > 12) {
        put_string(w, N(words));
        return;
    }

    if (kind < 6) {
        put(w, scalars[choice(w, N(scalars))]);
        return;
    }

    n = choice(w, 5);
    put(w, kind & 1 ? "[" : "{");

    for (i = 0; i < n; i++) {

        if (i) {
            put(w, choice(w, 8) ? "," : " ,\n ");
        }

        if (!(kind & 1)) {
            put_string(w, NAMES);
            put(w, ":");
        }

        put_value(w, depth + 1, choice(w, 12));
    }

    put(w, kind & 1 ? "]" : "}");
}


static void
check(const uint8_t *data, size_t size, unsigned options)
{
    size_t         i;
    json_t        *doc;
    uint8_t       *copy;
    const char    *what;
    llm_reason_e   reason;

    /* so that reading beyond the end is seen */

    copy = malloc(size + (size == 0));
    CHECK(copy != NULL);

    if (size) {
        memcpy(copy, data, size);
    }

    (void) llm_json_load(copy, size, &doc);

    for (i = 0; i < N(uris); i++) {
        what = body_differs(doc, copy, size, uris[i],
                            (options & 2) ? &ignore : NULL,
                            (int) (options & 1), &reason);
        if (what) {
            fprintf(stderr, "%s: %s\n", uris[i], what);
            abort();
        }
    }

    json_decref(doc);
    free(copy);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    writer_t  w;

    if (size < 2 || data[0] != '\0') {
        check(data, size, (unsigned) size);
        return 0;
    }

    memset(&w, 0, sizeof(writer_t));

    w.p = data + 2;
    w.last = data + size;

    put_value(&w, 0, 6);
    check(w.out.data, w.out.len, data[1]);

    llm_buf_free(&w.out);

    return 0;
}
