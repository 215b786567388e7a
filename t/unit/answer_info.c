#include "answer_run.h"


static void
test_mark_is(llm_dialect_e dialect, llm_form_e form, const char *body,
    const char *before, int empty, const char *name)
{
    size_t              len, expected;
    const char         *p;
    llm_answer_info_t   info;

    len = strlen(body);
    expected = SIZE_MAX;

    if (before) {
        p = strstr(body, before);
        expected = p ? (size_t) (p - body) + strlen(before) : 0;
    }

    if (answer_run(dialect, form, &finish_default, ANSWER_MAX, body, len, len,
                   &info)
        != LLM_REASON_NONE)
    {
        ok(0, "mark: %s: not stored", name);
        return;
    }

    is_int(info.mark, expected, "mark: %s", name);
    is_int(info.mark_empty, empty, "mark: %s: comma", name);
}


/* where the member goes: behind the first occurrence of this text */

static void
test_marks(void)
{
    test_mark_is(LLM_DIALECT_JSON, JSON, " {\"a\":{\"b\":1}} ",
                 "{\"a\":{\"b\":1}", 0, "an object");
    test_mark_is(LLM_DIALECT_JSON, JSON, "[{\"a\":1},{\"b\":2}]",
                 "[{\"a\":1", 0, "the first element");
    test_mark_is(LLM_DIALECT_JSON, JSON, "[{ },{\"b\":2}]", "[{ ", 1,
                 "an empty one");
    test_mark_is(LLM_DIALECT_JSON, JSON, "[1,{\"b\":2}]", NULL, 0,
                 "no object comes first");
    test_mark_is(LLM_DIALECT_JSON, JSON, "{\"a\":1,\"cache\":null}", NULL, 0,
                 "a member \"cache\" is there");
    test_mark_is(LLM_DIALECT_JSON, JSON, "{\"a\":{\"cache\":true}}",
                 "{\"a\":{\"cache\":true}", 0, "one further down");
    test_mark_is(LLM_DIALECT_CHAT, JSON,
                 CHAT(CHOICE("\"content\":\"}\"", "\"stop\"")),
                 "\"completion_tokens\":12}", 0, "chat");
    test_mark_is(LLM_DIALECT_GEMINI, JSON,
                 "[" GEMINI(G_TEXT, G_STOP) "," GEMINI(G_TEXT, "") "]",
                 "\"thoughtsTokenCount\":100}", 0, "Gemini's array");

    test_mark_is(LLM_DIALECT_JSON, SSE,
                 ": x\n\ndata: {\"a\":1}\n\ndata: {\"b\":1}\n\n" DONE,
                 "{\"a\":1", 0, "the first event");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "data:{\"a\":1}\r\n\r\ndata: {\"b\":1}\r\n\r\n" DONE,
                 "{\"a\":1", 0, "no space, CR LF");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "\xef\xbb\xbf" "event: x\ndata:   {}  \n\ndata: {\"b\":1}\n\n"
                 DONE,
                 "{", 1, "an empty event after a byte order mark");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "data: 1\n\nevent: ping\ndata: {\"p\":1}\n\n"
                 "data: {\"a\":1}\n\n" DONE,
                 "data: {\"a\":1", 0, "the first object that is no ping");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "data: {\"a\":1,\"cache\":1}\n\ndata: {\"b\":1}\n\n" DONE,
                 NULL, 0, "the first event has \"cache\"");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "data: {\"a\":1}\n\ndata: {\"cache\":1}\n\n" DONE,
                 "{\"a\":1", 0, "a later event has \"cache\"");
    test_mark_is(LLM_DIALECT_JSON, SSE,
                 "data: {\"a\":\ndata: 1}\n\ndata: {\"b\":1}\n\n" DONE,
                 NULL, 0, "the first event is in two lines");

    test_mark_is(LLM_DIALECT_OLLAMA_CHAT, NDJSON,
                 "\n " OLLAMA("Hi") OLLAMA_STOP, "\"done\":false", 0,
                 "the first line");
    test_mark_is(LLM_DIALECT_JSON, NDJSON,
                 "1\n{\"cache\":1}\n{\"done\":true}\n", NULL, 0,
                 "the first line has \"cache\"");
    test_mark_is(LLM_DIALECT_JSON, NDJSON,
                 "{\"a\":1}\r\n{\"cache\":1}\n{\"done\":true}\n", "{\"a\":1",
                 0, "a later line has \"cache\"");
}


static void
test_usage_is(llm_dialect_e dialect, const char *body, const char *event,
    const char *name)
{
    size_t              len;
    const char         *p;
    llm_answer_info_t   info;

    len = strlen(body);

    if (answer_run(dialect, SSE, &finish_default, ANSWER_MAX, body, len, len,
                   &info)
        != LLM_REASON_NONE)
    {
        ok(0, "usage: %s: not stored", name);
        return;
    }

    p = event ? strstr(body, event) : body;

    is_int(info.usage.start, p - body, "usage: %s: start", name);
    is_int(info.usage.end, p - body + (event ? strlen(event) : 0),
           "usage: %s: end", name);
}


static void
test_usage(void)
{
    test_usage_is(LLM_DIALECT_CHAT, TEXT STOP USAGE DONE, USAGE, "its event");
    test_usage_is(LLM_DIALECT_CHAT, TEXT STOP DONE, NULL, "no such event");
    test_usage_is(LLM_DIALECT_CHAT,
                  ": a\n\n" TEXT STOP
                  ": b\ndata: {\"usage\":{},\"choices\":[]}\r\n\r\n" DONE,
                  ": b\ndata: {\"usage\":{},\"choices\":[]}\r\n\r\n",
                  "a comment belongs to it");
    test_usage_is(LLM_DIALECT_CHAT,
                  TEXT "data: {\"choices\":[{\"index\":0,\"delta\":{},"
                  "\"finish_reason\":\"stop\"}],\"usage\":{}}\n\n" DONE,
                  NULL, "an event with a choice");
    test_usage_is(LLM_DIALECT_CHAT,
                  "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n"
                  "data: {\"choices\":[],\"usage\":null}\n\n" TEXT STOP DONE,
                  NULL, "events without usage");
    test_usage_is(LLM_DIALECT_CHAT,
                  TEXT STOP "data: {\"choices\":[]}\n\n"
                  "data: {\"usage\":{}}\n\n" DONE,
                  NULL, "an event without choices");
    test_usage_is(LLM_DIALECT_COMPLETIONS, TEXT STOP USAGE DONE, USAGE,
                  "completions");
    test_usage_is(LLM_DIALECT_GEMINI,
                  "data: " GEMINI(G_TEXT, G_STOP) "\n\n"
                  "data: {\"candidates\":[],\"usageMetadata\":{}}\n\n",
                  NULL, "not OpenAI's");
}


static void
finish_is(llm_reason_e expected, llm_dialect_e dialect, unsigned classes,
    const char *word, const char *body, const char *name)
{
    llm_str_t          words[2];
    llm_finish_t       finish;
    llm_answer_info_t  info;

    words[0].data = (const unsigned char *) "something";
    words[0].len = 9;
    words[1].data = (const unsigned char *) word;
    words[1].len = strlen(word);

    finish.classes = classes;
    finish.words = words;
    finish.n = 2;

    is_int(answer_run(dialect, body[0] == '{' ? JSON : SSE, &finish,
                      ANSWER_MAX, body, strlen(body), strlen(body), &info),
           expected, "finish: %s", name);
}


static void
test_finish(void)
{
    llm_str_t          word;
    llm_answer_info_t  info;

    static const char  stop[] = CHAT(CHOICE("\"content\":\"a\"", "\"stop\""));
    static const char  filter[] = CHAT(CHOICE("\"content\":\"a\"",
                                              "\"content_filter\""));
    static const char  forced[] = CHAT(CHOICE("\"tool_calls\":[{}]",
                                              "\"stop\""));
    static const char  calls[] = GEMINI("{\"functionCall\":{\"name\":\"f\"}}",
                                        G_STOP);
    static const char  blocked[] =
        "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}";

    finish_is(LLM_REASON_NONE, LLM_DIALECT_CHAT, LLM_FINISH_STOP, "", stop,
              "stop");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_CHAT, LLM_FINISH_LENGTH, "",
              stop, "not stop");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_CHAT, LLM_FINISH_FILTER, "",
              filter, "filter");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_CHAT, 0, "content_filter", filter,
              "a provider's own word");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_CHAT, 0, "content_filter",
              CHAT(CHOICE("\"content\":\"a\"", "\"something\"")),
              "another word of the list");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_CHAT, 0, "content_filte", filter,
              "not a shorter one");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_ANTHROPIC, 0, "pause_turn",
              CLAUDE("{\"type\":\"text\",\"text\":\"a\"}", "\"pause_turn\""),
              "a word of no class");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_ANTHROPIC,
              LLM_FINISH_STOP|LLM_FINISH_LENGTH|LLM_FINISH_TOOL
              |LLM_FINISH_FILTER, "",
              CLAUDE("{\"type\":\"text\",\"text\":\"a\"}", "\"pause_turn\""),
              "which no class brings in");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_CHAT, LLM_FINISH_STOP, "",
              forced, "stop with a tool call is a tool call");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_CHAT, LLM_FINISH_TOOL, "", forced,
              "and stored as one");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_GEMINI, LLM_FINISH_STOP, "",
              calls, "so it is with Gemini");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_GEMINI, 0, "STOP", calls,
              "unless the word itself is named");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_RESPONSES, LLM_FINISH_STOP, "",
              RESPONSE("\"completed\"", "{\"type\":\"function_call\"}"),
              "and with Responses");
    finish_is(LLM_REASON_NONE, LLM_DIALECT_RESPONSES, LLM_FINISH_STOP, "",
              RESPONSE("\"completed\"", "{\"type\":\"web_search_call\"},"
                       MESSAGE),
              "but not for what the provider ran");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_ANTHROPIC, LLM_FINISH_STOP, "",
              CLAUDE_START
              EVENT("content_block_start", ",\"content_block\":{\"type\":"
                    "\"tool_use\"}")
              CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP,
              "the call may come in an earlier event");
    finish_is(LLM_REASON_FINISH, LLM_DIALECT_CHAT, LLM_FINISH_STOP, "",
              "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},"
              "\"finish_reason\":\"stop\"},{\"index\":1,\"message\":"
              "{\"tool_calls\":[{}]},\"finish_reason\":\"stop\"}]}",
              "each choice by itself");
    finish_is(LLM_REASON_NO_OUTPUT, LLM_DIALECT_GEMINI, LLM_FINISH_FILTER, "",
              blocked, "a blocked prompt has no output");

    is_int(answer_run(LLM_DIALECT_CHAT, JSON, NULL, ANSWER_MAX, stop,
                      strlen(stop), 0, &info),
           LLM_REASON_NONE, "finish: without a set, stop");
    is_int(answer_run(LLM_DIALECT_CHAT, JSON, NULL, ANSWER_MAX, filter,
                      strlen(filter), 0, &info),
           LLM_REASON_FINISH, "finish: without a set, no filter");

#define finish_word(text)                                                     \
    (word.data = (const unsigned char *) text, word.len = strlen(text), word)

    is_int(llm_finish_class(finish_word("stop")), LLM_FINISH_STOP, "stop");
    is_int(llm_finish_class(finish_word("length")), LLM_FINISH_LENGTH,
           "length");
    is_int(llm_finish_class(finish_word("tool")), LLM_FINISH_TOOL, "tool");
    is_int(llm_finish_class(finish_word("filter")), LLM_FINISH_FILTER,
           "filter");
    is_int(llm_finish_class(finish_word("end_turn")), 0, "no class");

    ok(llm_finish_known(finish_word("end_turn")), "end_turn is known");
    ok(llm_finish_known(finish_word("MAX_TOKENS")), "MAX_TOKENS is known");
    ok(llm_finish_known(finish_word("pause_turn")), "pause_turn is known");
    ok(llm_finish_known(finish_word("completed")), "completed is known");
    ok(!llm_finish_known(finish_word("end_tur")), "end_tur is not");
    ok(!llm_finish_known(finish_word("")), "nor is nothing");
}


/* every word of every API, in the class that its documentation puts it */

typedef struct {
    llm_dialect_e   dialect;
    const char     *format;
    unsigned        class;
    const char     *words[12];
} word_case_t;


static const word_case_t  word_cases[] = {

#define WORDS(dialect, format, class, ...)                                    \
    { LLM_DIALECT_##dialect, format, class, { __VA_ARGS__, NULL } }

#define OPENAI     "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"%s\"}]}"
#define ANTHROPIC  "{\"content\":[{\"text\":\"a\"}],\"stop_reason\":\"%s\"}"
#define CANDIDATE                                                             \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"           \
    "\"finishReason\":\"%s\"}]}"
#define COHERE                                                                \
    "{\"message\":{\"content\":[{\"text\":\"a\"}]},\"finish_reason\":\"%s\"}"
#define OLLAMA_ONE                                                            \
    "{\"response\":\"a\",\"done\":true,\"done_reason\":\"%s\"}"
#define STATUS                                                                \
    "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"%s\"},"  \
    "\"output\":[" MESSAGE "]}"

    WORDS(CHAT, OPENAI, LLM_FINISH_STOP, "stop", "eos", "eos_token",
          "stop_sequence"),
    WORDS(CHAT, OPENAI, LLM_FINISH_LENGTH, "length", "model_length"),
    WORDS(CHAT, OPENAI, LLM_FINISH_TOOL, "tool_calls", "function_call"),
    WORDS(CHAT, OPENAI, LLM_FINISH_FILTER, "content_filter"),
    WORDS(CHAT, OPENAI, 0, "error", "abort", "insufficient_system_resource"),
    WORDS(RESPONSES, STATUS, LLM_FINISH_LENGTH, "max_output_tokens"),
    WORDS(RESPONSES, STATUS, LLM_FINISH_FILTER, "content_filter"),
    WORDS(ANTHROPIC, ANTHROPIC, LLM_FINISH_STOP, "end_turn",
          "stop_sequence"),
    WORDS(ANTHROPIC, ANTHROPIC, LLM_FINISH_LENGTH, "max_tokens",
          "model_context_window_exceeded"),
    WORDS(ANTHROPIC, ANTHROPIC, LLM_FINISH_TOOL, "tool_use"),
    WORDS(ANTHROPIC, ANTHROPIC, LLM_FINISH_FILTER, "refusal"),
    WORDS(ANTHROPIC, ANTHROPIC, 0, "pause_turn", "compaction"),
    WORDS(GEMINI, CANDIDATE, LLM_FINISH_STOP, "STOP"),
    WORDS(GEMINI, CANDIDATE, LLM_FINISH_LENGTH, "MAX_TOKENS"),
    WORDS(GEMINI, CANDIDATE, LLM_FINISH_FILTER, "SAFETY", "RECITATION",
          "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
          "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR",
          "JAILBREAK"),
    WORDS(GEMINI, CANDIDATE, 0, "LANGUAGE", "OTHER",
          "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
          "TOO_MANY_TOOL_CALLS", "NO_IMAGE", "IMAGE_OTHER"),
    WORDS(COHERE_CHAT, COHERE, LLM_FINISH_STOP, "COMPLETE", "STOP_SEQUENCE"),
    WORDS(COHERE_CHAT, COHERE, LLM_FINISH_LENGTH, "MAX_TOKENS"),
    WORDS(COHERE_CHAT, COHERE, LLM_FINISH_TOOL, "TOOL_CALL"),
    WORDS(COHERE_CHAT, COHERE, 0, "ERROR", "TIMEOUT"),
    WORDS(OLLAMA_GENERATE, OLLAMA_ONE, LLM_FINISH_STOP, "stop"),
    WORDS(OLLAMA_GENERATE, OLLAMA_ONE, LLM_FINISH_LENGTH, "length"),
    WORDS(OLLAMA_GENERATE, OLLAMA_ONE, 0, "load", "unload")
};

#define WORD_CASES  (sizeof(word_cases) / sizeof(word_cases[0]))


static void
test_words(void)
{
    int                 i, len, known, right, wrong;
    char                body[512];
    size_t              k;
    unsigned            class;
    llm_str_t           word;
    llm_finish_t        finish;
    llm_reason_e        reason;
    llm_answer_info_t   info;
    const word_case_t  *c;

    finish.words = NULL;
    finish.n = 0;

    for (k = 0; k < WORD_CASES; k++) {
        c = &word_cases[k];

        known = 0;
        right = 0;
        wrong = 0;

        for (i = 0; c->words[i]; i++) {
            word.data = (const unsigned char *) c->words[i];
            word.len = strlen(c->words[i]);

            known += llm_finish_known(word);

            len = snprintf(body, sizeof(body), c->format, c->words[i]);

            for (class = 1; class <= LLM_FINISH_FILTER; class <<= 1) {
                finish.classes = class;

                reason = answer_run(c->dialect, JSON, &finish, ANSWER_MAX,
                                    body, (size_t) len, (size_t) len, &info);

                right += (class == c->class && reason == LLM_REASON_NONE);
                wrong += (class != c->class && reason != LLM_REASON_FINISH);
            }
        }

        is_int(known, i, "words: %s ...: known", c->words[0]);
        is_int(right, c->class ? i : 0, "words: %s ...: in their class",
               c->words[0]);
        is_int(wrong, 0, "words: %s ...: in no other", c->words[0]);
    }
}


static void
test_max(void)
{
    char               *body;
    size_t              n;
    llm_answer_info_t   info;

    static const char  head[] = "data: {\"choices\":[{\"delta\":{\"content\":"
                                "\"";
    static const char  tail[] = "\"},\"finish_reason\":\"stop\"}]}\n\n" DONE;

    n = sizeof(head) - 1 + 10000 + sizeof(tail) - 1;

    body = malloc(n);
    memset(body, 'x', n);
    memcpy(body, head, sizeof(head) - 1);
    memcpy(body + n - (sizeof(tail) - 1), tail, sizeof(tail) - 1);

    is_int(answer_run(LLM_DIALECT_CHAT, SSE, &finish_default, 20000, body, n,
                      SIZE_MAX, &info),
           LLM_REASON_NONE, "max: an event below it");
    is_int(answer_run(LLM_DIALECT_CHAT, SSE, &finish_default, 9000, body, n,
                      SIZE_MAX, &info),
           LLM_REASON_ENTRY_SIZE, "max: an event above it");
    is_int(answer_run(LLM_DIALECT_CHAT, SSE, &finish_default, 9000, body, n,
                      n, &info),
           LLM_REASON_ENTRY_SIZE, "max: in one piece");

    free(body);
}


/* many choices, and a member of every kind that is looked for */

static void
test_choices(void)
{
    char               *body;
    size_t              len, i;
    llm_answer_info_t   info;

    body = malloc(4096 * 80 + 64);

    len = (size_t) sprintf(body, "{\"choices\":[");

    for (i = 0; i < 4096; i++) {
        len += (size_t) sprintf(body + len, "%s{\"index\":%zu,\"text\":\"a\","
                                "\"finish_reason\":\"stop\"}", i ? "," : "",
                                4095 - i);
    }

    len += (size_t) sprintf(body + len, "]}");

    is_int(answer_run(LLM_DIALECT_COMPLETIONS, JSON, &finish_default,
                      ANSWER_MAX, body, len, len, &info),
           LLM_REASON_NONE, "4096 choices");

    len -= 2;
    len += (size_t) sprintf(body + len, ",{\"text\":\"a\",\"finish_reason\":"
                            "\"stop\"}]}");

    is_int(answer_run(LLM_DIALECT_COMPLETIONS, JSON, &finish_default,
                      ANSWER_MAX, body, len, len, &info),
           LLM_REASON_RESPONSE_JSON, "one more");

    free(body);
}


int
main(void)
{
    test_marks();
    test_usage();
    test_finish();
    test_words();
    test_max();
    test_choices();

    llm_answer_free(NULL);

    return tap_done();
}
