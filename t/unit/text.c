/*
 * The text of answers in all their forms, and how similar the lexical embedder
 * finds answers that say the same.
 */


#include <stdio.h>
#include <stdlib.h>

#include "llm_embed_lexical.h"
#include "llm_text.h"
#include "tap.h"


/* of llm_cache_semantic_verify */
#define THRESHOLD  0.6


typedef struct {
    const char     *name;
    llm_dialect_e   dialect;
    llm_form_e      form;
    const char     *body;
    const char     *text;              /* NULL: it is no answer */
} text_case_t;


#define DELTA(delta)                                                          \
    "data: {\"choices\":[{\"index\":0,\"delta\":{" delta "}}]}\n\n"

static const text_case_t  cases[] = {

    { "chat", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
      "\"content\":\"a\\n\\u00e9\\\"\",\"reasoning_content\":\"no\","
      "\"refusal\":null}}]}", "a\n\xc3\xa9\"" },
    { "chat: parts", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"thinking\","
      "\"thinking\":[{\"text\":\"no\"}]},{\"type\":\"text\",\"text\":\"a\"},"
      "{\"type\":\"text\",\"text\":\"b\"}]}}]}", "ab" },
    { "chat: a refusal", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"No.\"}}]}",
      "No." },
    { "chat: the first choice", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"}},"
      "{\"index\":0,\"message\":{\"content\":\"a\"}}]}", "a" },
    { "chat: choices without numbers", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"message\":{\"content\":\"a\"}},"
      "{\"message\":{\"content\":\"b\"}}]}", "a" },
    { "chat: calls of tools", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"index\":0,\"message\":{\"content\":null,"
      "\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}]}", "" },
    { "chat stream", LLM_DIALECT_CHAT, LLM_FORM_SSE,
      ": hello\n\n" DELTA("\"role\":\"assistant\",\"content\":\"\"")
      DELTA("\"reasoning\":\"no\"") DELTA("\"content\":\"Hel\"")
      "event: ping\ndata:\n\n" DELTA("\"content\":\"lo\"")
      "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n"
      "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n", "Hello" },
    { "chat stream: a pair in two events", LLM_DIALECT_CHAT, LLM_FORM_SSE,
      DELTA("\"content\":\"\\ud83d\"") DELTA("\"content\":\"\\ude00\""),
      "\xf0\x9f\x98\x80" },
    { "chat stream: half a pair", LLM_DIALECT_CHAT, LLM_FORM_SSE,
      DELTA("\"content\":\"a\\ude00b\""), "a\xef\xbf\xbd" "b" },
    { "completions", LLM_DIALECT_COMPLETIONS, LLM_FORM_JSON,
      "{\"choices\":[{\"text\":\"a\",\"index\":0}]}", "a" },
    { "completions stream", LLM_DIALECT_COMPLETIONS, LLM_FORM_SSE,
      "data: {\"choices\":[{\"text\":\"a\",\"index\":0}]}\n\n"
      "data: {\"choices\":[{\"text\":\"b\",\"index\":0}]}\n\n", "ab" },
    { "responses", LLM_DIALECT_RESPONSES, LLM_FORM_JSON,
      "{\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":\"no\"}]},"
      "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":"
      "\"a\"},{\"type\":\"refusal\",\"refusal\":\"b\"}]}]}", "ab" },
    { "responses stream", LLM_DIALECT_RESPONSES, LLM_FORM_SSE,
      "data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"no\"}\n\n"
      "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
      "data: {\"type\":\"response.refusal.delta\",\"delta\":\"b\"}\n\n"
      "data: {\"type\":\"response.output_text.done\",\"text\":\"no\"}\n\n"
      "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{"
      "\"content\":[{\"text\":\"no\"}]}]}}\n\n", "ab" },
    { "anthropic", LLM_DIALECT_ANTHROPIC, LLM_FORM_JSON,
      "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"no\"},"
      "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"input\":"
      "{\"text\":\"no\"}},{\"type\":\"text\",\"text\":\"b\"}]}", "ab" },
    { "anthropic stream", LLM_DIALECT_ANTHROPIC, LLM_FORM_SSE,
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
      "\"content\":[{\"text\":\"no\"}]}}\n\n"
      "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":"
      "\"text\",\"text\":\"a\"}}\n\n"
      "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
      "\"thinking_delta\",\"thinking\":\"no\"}}\n\n"
      "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
      "\"text_delta\",\"text\":\"b\"}}\n\n", "ab" },
    { "gemini", LLM_DIALECT_GEMINI, LLM_FORM_JSON,
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"no\","
      "\"thought\":true},{\"text\":\"a\",\"thought\":false}]}},"
      "{\"index\":1,\"content\":{\"parts\":[{\"text\":\"no\"}]}}]}", "a" },
    { "gemini array", LLM_DIALECT_GEMINI, LLM_FORM_JSON,
      "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]},"
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}]",
      "ab" },
    { "gemini stream", LLM_DIALECT_GEMINI, LLM_FORM_SSE,
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}"
      "\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":"
      "\"b\"}]}}]}\r\n\r\n", "ab" },
    { "cohere", LLM_DIALECT_COHERE_CHAT, LLM_FORM_JSON,
      "{\"message\":{\"tool_plan\":\"no\",\"content\":[{\"type\":\"text\","
      "\"text\":\"a\"}]}}", "a" },
    { "cohere stream", LLM_DIALECT_COHERE_CHAT, LLM_FORM_SSE,
      "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":"
      "{\"text\":\"a\"}}}}\n\n"
      "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":"
      "{\"thinking\":\"no\"}}}}\n\n", "a" },
    { "ollama chat", LLM_DIALECT_OLLAMA_CHAT, LLM_FORM_NDJSON,
      "{\"message\":{\"content\":\"a\",\"thinking\":\"no\"},\"done\":false}\n"
      "\r\n {\"message\":{\"content\":\"b\"},\"done\":true}", "ab" },
    { "ollama generate", LLM_DIALECT_OLLAMA_GENERATE, LLM_FORM_JSON,
      "{\"response\":\"a\",\"done\":true}", "a" },

    { "vectors", LLM_DIALECT_EMBEDDINGS, LLM_FORM_JSON,
      "{\"data\":[{\"embedding\":[1]}],\"text\":\"no\"}", "" },
    { "text that is none", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[{\"message\":{\"content\":7}}]}", "" },
    { "a list of lists", LLM_DIALECT_CHAT, LLM_FORM_JSON,
      "{\"choices\":[[[{\"message\":{\"content\":\"a\"}}]]]}", "a" },
    { "no answer", LLM_DIALECT_CHAT, LLM_FORM_JSON, "\"choices\"", "" },
    { "half a document", LLM_DIALECT_CHAT, LLM_FORM_JSON, "{\"choices\":[",
      NULL },
    { "nothing", LLM_DIALECT_CHAT, LLM_FORM_JSON, "", NULL },
    { "no form", LLM_DIALECT_CHAT, LLM_FORM_NONE, "{}", NULL }
};


static llm_text_t  one, two;


static int
read_text(llm_dialect_e dialect, llm_form_e form, const char *body, int cut,
    llm_text_t *text)
{
    llm_str_t  view;

    view.data = (const unsigned char *) body;
    view.len = strlen(body);

    return llm_text_read(llm_dialect_get(dialect), form, view, cut, text);
}


static void
test_cases(void)
{
    int                 rc;
    size_t              i;
    const text_case_t  *c;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        c = &cases[i];
        rc = read_text(c->dialect, c->form, c->body, 0, &one);

        if (c->text == NULL) {
            is_int(rc, -1, "%s: refused", c->name);
            continue;
        }

        is_int(rc, *c->text != '\0', "%s: whether there is text", c->name);
        is_mem(one.data, one.len, c->text, strlen(c->text), "%s", c->name);
        is_int(one.cut, 0, "%s: all of it", c->name);
    }
}


static void
test_cut(void)
{
    size_t       i;
    static char  body[20000];

    is_int(read_text(LLM_DIALECT_CHAT, LLM_FORM_SSE,
                     DELTA("\"content\":\"a\"") "data: {\"choices\":[{\"ind",
                     1, &one),
           1, "a stream that was cut");
    is_mem(one.data, one.len, "a", 1, "what there is of it");
    is_int(one.cut, 1, "and it is known");

    is_int(read_text(LLM_DIALECT_OLLAMA_GENERATE, LLM_FORM_NDJSON,
                     "{\"response\":\"a\"}\n{\"respon", 1, &one),
           1, "lines that were cut");
    is_mem(one.data, one.len, "a", 1, "what there is of them");

    is_int(read_text(LLM_DIALECT_CHAT, LLM_FORM_JSON, "{\"choices\":[]}", 1,
                     &one),
           0, "JSON that was cut has none");

    /* 2 bytes a character, behind one of 1 byte */

    i = (size_t) sprintf(body, "{\"response\":\"x");

    while (i < sizeof(body) - 8) {
        memcpy(body + i, "\xc3\xa9", 2);
        i += 2;
    }

    memcpy(body + i, "\"}", 3);

    is_int(read_text(LLM_DIALECT_OLLAMA_GENERATE, LLM_FORM_JSON, body, 0,
                     &one),
           1, "a long text");
    is_int(one.len, LLM_TEXT_MAX - 1, "is cut between characters");
    is_int(one.data[one.len - 1], 0xa9, "behind a whole one");
    is_int(one.cut, 1, "and it is known");
}


static void
set(llm_text_t *text, const char *data, int cut)
{
    text->len = strlen(data);
    text->cut = cut != 0;
    memcpy(text->data, data, text->len);
}


static void
test_align(void)
{
    set(&one, "abcdef", 0);
    set(&two, "abc", 1);
    llm_text_align(&one, &two);
    is_mem(one.data, one.len, "abc", 3, "as long as what was cut");
    is_int(two.len, 3, "which stays");

    set(&one, "abc", 1);
    set(&two, "ab\xc3\xa9", 0);
    llm_text_align(&one, &two);
    is_mem(two.data, two.len, "ab", 2, "no half of a character");

    set(&one, "abcdef", 1);
    set(&two, "abc", 0);
    llm_text_align(&one, &two);
    is_int(one.len, 6, "one that is shorter by itself is not as long");

    set(&one, "abcdef", 0);
    set(&two, "abc", 0);
    llm_text_align(&one, &two);
    is_int(one.len, 6, "whole ones stay as they are");
}


static double
similarity(const json_t *object, const char *a, const char *b)
{
    float          v[2][LLM_LEXICAL_DIM];
    size_t         i;
    double         sum;
    llm_str_t      text;
    const json_t  *value;

    for (i = 0; i < 2; i++) {
        value = json_object_get(object, i ? b : a);
        text.data = (const unsigned char *) json_string_value(value);
        text.len = json_string_length(value);

        if (llm_lexical_embed(NULL, text, v[i]) != 0) {
            return -1;
        }
    }

    sum = 0;

    for (i = 0; i < LLM_LEXICAL_DIM; i++) {
        sum += (double) (v[0][i] * v[1][i]);
    }

    return sum;
}


/* what docs/how-it-works.md says of the threshold */

static void
test_threshold(void)
{
    char           path[1024];
    size_t         i, same, other;
    json_t        *pairs;
    const json_t  *one_pair;

    (void) snprintf(path, sizeof(path), "%s/answers.json",
                    getenv("TEST_PAIRS") ? getenv("TEST_PAIRS") : ".");

    pairs = json_load_file(path, 0, NULL);
    same = 0;
    other = 0;

    is_int(json_array_size(pairs), 24, "answers");

    for (i = 0; i < json_array_size(pairs); i++) {
        one_pair = json_array_get(pairs, i);

        same += similarity(one_pair, "a", "same") >= THRESHOLD;
        other += similarity(one_pair, "a", "other") < THRESHOLD;
    }

    is_int(same, 23, "those that say the same and are found to");
    is_int(other, 20, "those that say something else and are found to");

    json_decref(pairs);
}


int
main(void)
{
    test_cases();
    test_cut();
    test_align();
    test_threshold();

    return tap_done();
}
