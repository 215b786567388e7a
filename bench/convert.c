/*
 * How long a conversion takes.  Build and run:
 *
 *   cc -O2 -I ngx_http_llm_cache_module bench/convert.c \
 *       ngx_http_llm_cache_module/llm_*.c -ljansson -lcrypto -lz -lm \
 *       -o build/bench-convert && build/bench-convert
 */


#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "llm_convert.h"


#define ROUNDS  200


static const char  words[] = "The quick brown fox jumps over the lazy dog. ";


static void
add(llm_buf_t *buf, const char *text)
{
    if (llm_buf_add(buf, text, strlen(text)) != 0) {
        exit(1);
    }
}


/* a stream of so many chunks, as OpenAI sends them: 330 bytes each */

static void
make_stream(llm_buf_t *body, unsigned chunks)
{
    char      text[512];
    unsigned  i;

    for (i = 0; i < chunks; i++) {
        sprintf(text, "data: {\"id\":\"chatcmpl-abcdefghijklmnopqrstuvwxyz\","
                "\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":"
                "\"default\",\"system_fingerprint\":\"fp_44709d6fcb\","
                "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},"
                "\"logprobs\":null,\"finish_reason\":%s}],\"obfuscation\":"
                "\"Zb3q9TkLmPxw\"}\n\n",
                i + 1 == chunks ? "\"stop\"" : "null");
        add(body, text);
    }

    add(body, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
        "data: [DONE]\n\n");
}


static void
make_json(llm_buf_t *body, size_t size)
{
    size_t  i;

    add(body, "{\"id\":\"chatcmpl-abcdefghijklmnopqrstuvwxyz\",\"object\":"
        "\"chat.completion\",\"created\":1700000000,\"model\":"
        "\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{"
        "\"role\":\"assistant\",\"content\":\"");

    for (i = 0; i < size; i += sizeof(words) - 1) {
        add(body, words);
    }

    add(body, "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":"
        "1},\"service_tier\":\"default\",\"system_fingerprint\":"
        "\"fp_44709d6fcb\"}");
}


static void
measure(const char *name, llm_convert_t *convert, llm_buf_t *body)
{
    int              i;
    double           best, took;
    size_t           len;
    llm_buf_t        out;
    llm_str_t        text;
    struct timespec  begin, end;

    best = 1e9;
    len = 0;
    text.data = body->data;
    text.len = body->len;

    for (i = 0; i < ROUNDS; i++) {
        memset(&out, 0, sizeof(llm_buf_t));

        clock_gettime(CLOCK_MONOTONIC, &begin);

        if (llm_convert(convert, text, &out) != 0) {
            fprintf(stderr, "%s cannot be converted\n", name);
            exit(1);
        }

        clock_gettime(CLOCK_MONOTONIC, &end);

        len = out.len;
        llm_buf_free(&out);

        took = (double) (end.tv_sec - begin.tv_sec) * 1e6
               + (double) (end.tv_nsec - begin.tv_nsec) / 1e3;
        best = took < best ? took : best;
    }

    printf("%-16s %8zu bytes to %8zu bytes %8.0f us, %4.0f MB/s\n", name,
           body->len, len, best, (double) body->len / best);
    llm_buf_free(body);
}


int
main(void)
{
    unsigned       i;
    llm_buf_t      body;
    llm_convert_t  convert;

    static const unsigned  chunks[] = { 30, 348, 1000, 3000 };
    static const size_t    sizes[] = { 2000, 20000, 100000, 1000000 };

    memset(&convert, 0, sizeof(llm_convert_t));

    convert.dialect = llm_dialect_get(LLM_DIALECT_CHAT);
    convert.max = 64 * 1024 * 1024;

    for (i = 0; i < 4; i++) {
        memset(&body, 0, sizeof(llm_buf_t));
        make_stream(&body, chunks[i]);

        convert.form = LLM_FORM_SSE;
        convert.ask = LLM_ASK_JSON;
        measure("stream to JSON", &convert, &body);
    }

    for (i = 0; i < 4; i++) {
        memset(&body, 0, sizeof(llm_buf_t));
        make_json(&body, sizes[i]);

        convert.form = LLM_FORM_JSON;
        convert.ask = LLM_ASK_SSE;
        measure("JSON to stream", &convert, &body);
    }

    return 0;
}
