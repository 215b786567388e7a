/*
 * Converts answers for the tests, and compares them as documents.
 */


#ifndef _CONVERT_RUN_H_INCLUDED_
#define _CONVERT_RUN_H_INCLUDED_


#include <jansson.h>

#include "answer_run.h"
#include "llm_convert.h"


#define ASKED  1        /* include_usage */
#define MARK   2


/* NULL when it cannot be converted; else a string to be freed */

static inline char *
convert_run(llm_dialect_e dialect, unsigned char ask, unsigned flags,
    llm_form_e form, const char *body)
{
    int            rc;
    llm_buf_t      out;
    llm_str_t      text;
    llm_convert_t  convert;
    unsigned char  *copy;

    memset(&out, 0, sizeof(llm_buf_t));
    memset(&convert, 0, sizeof(llm_convert_t));

    convert.dialect = llm_dialect_get(dialect);
    convert.form = form;
    convert.ask = ask;
    convert.include_usage = (flags & ASKED) != 0;
    convert.mark = (flags & MARK) != 0;
    convert.max = 4 * 1024 * 1024;

    /* in memory that ends where the body does */

    text.len = strlen(body);
    copy = malloc(text.len);
    memcpy(copy, body, text.len);
    text.data = copy;

    rc = llm_convert(&convert, text, &out);

    free(copy);

    if (rc != 0 || llm_buf_add(&out, "", 1) != 0) {
        llm_buf_free(&out);
        return NULL;
    }

    return (char *) out.data;
}


/* whether two JSON texts say the same; a number is the double it spells */

static inline int
convert_same(const char *one, const char *two)
{
    int      same;
    size_t   flags;
    json_t  *a, *b;

    if (one == NULL || two == NULL) {
        return 0;
    }

    flags = JSON_REJECT_DUPLICATES|JSON_DECODE_INT_AS_REAL|JSON_ALLOW_NUL;

    a = json_loads(one, flags, NULL);
    b = json_loads(two, flags, NULL);

    same = a && b && json_equal(a, b);

    json_decref(a);
    json_decref(b);

    return same;
}


/* what the write gate says of it */

static inline llm_reason_e
convert_gate(llm_dialect_e dialect, unsigned char ask, const char *body)
{
    llm_form_e         form;
    llm_answer_info_t  info;

    static const llm_finish_t  all =
        { LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL
          |LLM_FINISH_FILTER, NULL, 0 };

    form = ask == LLM_ASK_SSE ? SSE : ask == LLM_ASK_NDJSON ? NDJSON : JSON;

    return answer_run(dialect, form, &all, 1 << 24, body, strlen(body),
                      strlen(body), &info);
}


/* the form in which the dialect streams */

static inline unsigned char
convert_stream(llm_dialect_e dialect)
{
    return dialect == LLM_DIALECT_OLLAMA_CHAT
           || dialect == LLM_DIALECT_OLLAMA_GENERATE ? LLM_ASK_NDJSON
                                                     : LLM_ASK_SSE;
}


static inline llm_form_e
convert_form(unsigned char ask)
{
    return ask == LLM_ASK_SSE ? SSE : ask == LLM_ASK_NDJSON ? NDJSON : JSON;
}


/* JSON to a stream and back: the same, and both would be stored */

static inline char *
convert_around(llm_dialect_e dialect, unsigned char ask, unsigned flags,
    const char *json, const char *name)
{
    int    rc;
    char  *stream, *back;

    stream = convert_run(dialect, ask, flags, JSON, json);
    back = stream ? convert_run(dialect, LLM_ASK_JSON, flags,
                                convert_form(ask), stream)
                  : NULL;

    rc = back && convert_same(json, back)
         && convert_gate(dialect, ask, stream) == LLM_REASON_NONE;

    if (!ok(rc, "%s: JSON, stream, JSON", name)) {
        printf("#   json: %s\n#   stream: %.3000s\n#   back: %s\n", json,
               stream ? stream : "none", back ? back : "none");
    }

    free(back);

    return stream;
}


#endif /* _CONVERT_RUN_H_INCLUDED_ */
