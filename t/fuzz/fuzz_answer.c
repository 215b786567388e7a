/*
 * An answer must be judged alike however it is cut, and what is told of one
 * that may be stored must hold.  The first byte names the dialect, the second
 * the form, the third the size of the pieces.
 */


#include <stdio.h>
#include <stdlib.h>

#include "llm_answer.h"


static llm_reason_e
fuzz_run(const llm_dialect_t *dialect, llm_form_e form,
    const unsigned char *body, size_t len, size_t piece,
    llm_answer_info_t *info)
{
    size_t          i, n;
    llm_reason_e    reason;
    llm_answer_t   *answer;
    unsigned char  *copy;

    static const llm_finish_t  finish =
        { LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL, NULL, 0 };

    answer = llm_answer_create(dialect, form, &finish, 4096);
    if (answer == NULL) {
        abort();
    }

    reason = LLM_REASON_NONE;

    for (i = 0; i < len && reason == LLM_REASON_NONE; i += n) {
        n = len - i < piece ? len - i : piece;

        copy = malloc(n);
        memcpy(copy, body + i, n);

        reason = llm_answer_feed(answer, copy, n);

        free(copy);
    }

    reason = llm_answer_end(answer, info);

    llm_answer_free(answer);

    return reason;
}


/* the member that llm_cache_mark adds leaves the object an object */

static void
fuzz_mark(llm_form_e form, const unsigned char *body, size_t len,
    const llm_answer_info_t *info)
{
    int          n;
    char        *text;
    size_t       start, end;
    json_t      *doc;
    const char  *member;

    if (info->mark >= len || body[info->mark] != '}') {
        abort();
    }

    member = info->mark_empty ? "\"cache\":true" : ",\"cache\":true";

    start = 0;
    end = len;

    if (form != LLM_FORM_JSON) {
        start = info->mark;
        end = info->mark;

        while (start && body[start - 1] != '\n' && body[start - 1] != '\r') {
            start--;
        }

        while (end < len && body[end] != '\n' && body[end] != '\r') {
            end++;
        }

        if (form == LLM_FORM_SSE) {
            while (body[start] != ':') {
                start++;
            }

            start++;
        }
    }

    text = malloc(end - start + 32);

    memcpy(text, body + start, info->mark - start);
    n = (int) (info->mark - start);
    n += sprintf(text + n, "%s", member);
    memcpy(text + n, body + info->mark, end - info->mark);

    doc = json_loadb(text, (size_t) n + end - info->mark,
                     JSON_REJECT_DUPLICATES|JSON_DECODE_INT_AS_REAL
                     |JSON_ALLOW_NUL, NULL);

    /* jansson refuses lone surrogates and large exponents */

    if (doc == NULL && memchr(text, '\\', (size_t) n) == NULL
        && memchr(text, 'e', (size_t) n) == NULL
        && memchr(body + info->mark, '\\', end - info->mark) == NULL)
    {
        abort();
    }

    if (json_is_array(doc)
        && !json_is_true(json_object_get(json_array_get(doc, 0), "cache")))
    {
        abort();
    }

    if (json_is_object(doc) && !json_is_true(json_object_get(doc, "cache"))) {
        abort();
    }

    json_decref(doc);
    free(text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 len;
    llm_form_e             form;
    llm_reason_e           reason;
    llm_answer_info_t      info, again;
    const unsigned char   *body;
    const llm_dialect_t   *dialect;

    if (size < 3) {
        return 0;
    }

    dialect = llm_dialect_get((llm_dialect_e) (data[0] % LLM_DIALECTS));
    form = (llm_form_e) (LLM_FORM_JSON + data[1] % 3);

    body = data + 3;
    len = size - 3;

    reason = fuzz_run(dialect, form, body, len, size, &info);

    if (fuzz_run(dialect, form, body, len, 1, &again) != reason
        || memcmp(&info.usage, &again.usage, sizeof(info.usage)) != 0
        || info.mark != again.mark
        || info.prompt_tokens != again.prompt_tokens
        || info.completion_tokens != again.completion_tokens
        || fuzz_run(dialect, form, body, len, (size_t) data[2] + 1, &again)
           != reason)
    {
        abort();
    }

    if (reason != LLM_REASON_NONE) {
        return 0;
    }

    if (info.prompt_tokens < -1 || info.completion_tokens < -1
        || info.usage.start > info.usage.end || info.usage.end > len)
    {
        abort();
    }

    if (info.mark != SIZE_MAX) {
        fuzz_mark(form, body, len, &info);
    }

    return 0;
}
