/*
 * Three lines: a path, a query and a body.  What is told of them must lie
 * inside of them, and no two spellings of a path and a query may meet.
 */


#include <stdlib.h>

#include "llm_dialect.h"


static int
fuzz_line(const uint8_t **data, size_t *size, llm_str_t *line)
{
    const uint8_t  *lf;

    lf = memchr(*data, '\n', *size);
    if (lf == NULL) {
        return 0;
    }

    line->data = *data;
    line->len = (size_t) (lf - *data);

    *size -= line->len + 1;
    *data = lf + 1;

    return 1;
}


static void
fuzz_uri(const llm_route_t *route, llm_str_t path, llm_str_t args)
{
    size_t     i, n;
    llm_buf_t  buf;

    memset(&buf, 0, sizeof(buf));

    if (llm_dialect_key_uri(route, path, args, &buf) != 0) {
        abort();
    }

    if (buf.len < 8) {
        abort();
    }

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | buf.data[i];
    }

    /* the path, and an argument with its "&" at a time */

    if (8 + n > buf.len || buf.len > 8 + path.len + args.len + 1
        || (buf.len > 8 + n && buf.data[8 + n] != '&'))
    {
        abort();
    }

    if (n != path.len && (path.len - n != 6 || !route->stream)) {
        abort();
    }

    llm_buf_free(&buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t       *doc;
    llm_str_t     path, args;
    llm_ask_t     ask;
    llm_route_t   route;

    if (size == 0 || !fuzz_line(&data, &size, &path)
        || !fuzz_line(&data, &size, &args))
    {
        return 0;
    }

    llm_dialect_route(path, args, &route);

    if (route.dialect != llm_dialect_get(route.dialect->id)) {
        abort();
    }

    if (route.model.len
        && (route.model.data < path.data
            || route.model.data + route.model.len > path.data + path.len))
    {
        abort();
    }

    fuzz_uri(&route, path, args);

    doc = json_loadb((const char *) data, size, JSON_ALLOW_NUL, NULL);

    llm_dialect_ask(&route, doc, &ask);

    if ((ask.form != LLM_ASK_ODD
         && (ask.form != LLM_ASK_JSON) != ask.stream)
        || ask.temperature != ask.temperature)
    {
        abort();
    }

    json_decref(doc);

    return 0;
}
