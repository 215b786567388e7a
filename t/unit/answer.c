#include "answer_run.h"


/* tokens of -2 are not looked at */

typedef struct {
    const char     *name;
    llm_dialect_e   dialect;
    llm_form_e      form;
    llm_reason_e    reason;
    int64_t         prompt;
    int64_t         completion;
    const char     *body;
} answer_case_t;


#define stored(name, dialect, form, prompt, completion, body)                 \
    { name, LLM_DIALECT_##dialect, form, LLM_REASON_NONE, prompt, completion, \
      body }

#define refused(name, dialect, form, reason, body)                            \
    { name, LLM_DIALECT_##dialect, form, LLM_REASON_##reason, -2, -2, body }


static const answer_case_t  answer_cases[] = {

    /* chat completions */

    stored("chat", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\""))),
    stored("chat: white space around", CHAT, JSON, 9, 12,
           "\n\n " CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\"")) "\n"),
    stored("chat: length", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":\"Hi\"", "\"length\""))),
    stored("chat: tool calls", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":null,\"tool_calls\":[{\"id\":\"t\"}]",
                       "\"tool_calls\""))),
    stored("chat: a function call", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"function_call\":{\"name\":\"f\"}",
                       "\"function_call\""))),
    stored("chat: a refusal", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":null,\"refusal\":\"No\"", "\"stop\""))),
    stored("chat: reasoning alone", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"reasoning_content\":\"Hm\"", "\"length\""))),
    stored("chat: content parts", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":[{\"type\":\"text\"}]", "\"stop\""))),
    stored("chat: audio", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":null,\"audio\":{\"id\":\"a\"}",
                       "\"stop\""))),
    stored("chat: no error", CHAT, JSON, -1, -1,
           "{\"error\":null,\"choices\":["
           CHOICE("\"content\":\"Hi\"", "\"stop\"") "]}"),
    stored("chat: choices without an index", CHAT, JSON, -1, -1,
           "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":"
           "\"stop\"},{\"message\":{\"content\":\"b\"},\"finish_reason\":"
           "\"length\"}]}"),
    stored("chat: no tokens", CHAT, JSON, 0, 0,
           "{\"choices\":[" CHOICE("\"content\":\"Hi\"", "\"stop\"") "],"
           "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}"),
    stored("chat: tokens that are no numbers", CHAT, JSON, -1, -1,
           "{\"choices\":[" CHOICE("\"content\":\"Hi\"", "\"stop\"") "],"
           "\"usage\":{\"prompt_tokens\":\"9\",\"completion_tokens\":"
           "1000000000000000}}"),
    stored("chat: many tokens", CHAT, JSON, 999999999999999, -1,
           "{\"choices\":[" CHOICE("\"content\":\"Hi\"", "\"stop\"") "],"
           "\"usage\":{\"prompt_tokens\":999999999999999,"
           "\"completion_tokens\":-1}}"),
    stored("chat: escapes", CHAT, JSON, -1, -1,
           "{\"\\u0063hoices\":[{\"message\":{\"content\":\"\\ud83d\"},"
           "\"finish_reason\":\"\\u0073top\"}]}"),
    stored("chat: big numbers", CHAT, JSON, -1, -1,
           "{\"seed\":18446744073709551615,\"choices\":["
           CHOICE("\"content\":\"Hi\"", "\"stop\"") "],\"usage\":"
           "{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":"
           "1.5}}"),
    stored("chat: Together's word", CHAT, JSON, 9, 12,
           CHAT(CHOICE("\"content\":\"Hi\"", "\"eos\""))),
    stored("chat: an empty word is none yet", CHAT, SSE, -1, -1,
           CHUNK("\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"\"")
           STOP DONE),

    refused("chat: a filter", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"content_filter\""))),
    refused("chat: an unknown word", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"tired\""))),
    refused("chat: a word of another API", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"end_turn\""))),
    refused("chat: the word error", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"error\""))),
    refused("chat: another case", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"STOP\""))),
    refused("chat: a word that begins alike", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\\u0000\""))),
    refused("chat: a very long word", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"",
                        "\"stopstopstopstopstopstopstopstopstopstop"
                        "stopstopstopstopstopstopstopstopstopstop\""))),
    refused("chat: no word", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "null"))),
    refused("chat: no word of one choice", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\"")
                 ",{\"index\":1,\"message\":{\"content\":\"b\"}}")),
    refused("chat: a filter in one choice", CHAT, JSON, FINISH,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\"")
                 ",{\"index\":1,\"finish_reason\":\"content_filter\"}")),
    refused("chat: an error", CHAT, JSON, ERROR,
            "{\"error\":{\"message\":\"overloaded\",\"code\":429}}"),
    refused("chat: an error beside an answer", CHAT, JSON, ERROR,
            "{\"choices\":[" CHOICE("\"content\":\"Hi\"", "\"stop\"")
            "],\"error\":\"late\"}"),
    refused("chat: an error in a choice", CHAT, JSON, ERROR,
            "{\"choices\":[{\"message\":{\"content\":\"Hi\"},"
            "\"finish_reason\":\"stop\",\"error\":{\"code\":502}}]}"),
    refused("chat: an error in a choice and none beside", CHAT, JSON, ERROR,
            "{\"choices\":[{\"text\":\"Hi\",\"finish_reason\":\"stop\","
            "\"error\":{}}],\"error\":null,\"errors\":[],\"success\":true,"
            "\"object\":\"x\",\"type\":\"x\"}"),
    refused("chat: an error in a list", CHAT, JSON, ERROR,
            "[{\"error\":{\"code\":400}}]"),
    refused("chat: vLLM's error", CHAT, JSON, ERROR,
            "{\"object\":\"error\",\"message\":\"no\",\"code\":404}"),
    refused("chat: success false", CHAT, JSON, ERROR,
            "{\"success\":false,\"errors\":[]}"),
    refused("chat: errors", CHAT, JSON, ERROR,
            "{\"result\":null,\"errors\":[{\"code\":1}]}"),
    refused("chat: no content", CHAT, JSON, NO_OUTPUT,
            CHAT(CHOICE("\"content\":\"\"", "\"stop\""))),
    refused("chat: content null", CHAT, JSON, NO_OUTPUT,
            CHAT(CHOICE("\"content\":null,\"tool_calls\":[]", "\"stop\""))),
    refused("chat: no choices", CHAT, JSON, NO_OUTPUT, "{\"choices\":[]}"),
    refused("chat: an empty object", CHAT, JSON, NO_OUTPUT, "{}"),
    refused("chat: choices of a list", CHAT, JSON, NO_OUTPUT,
            "[" CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\"")) "]"),
    refused("chat: an empty body", CHAT, JSON, NO_OUTPUT, ""),
    refused("chat: blanks", CHAT, JSON, NO_OUTPUT, " \n"),
    refused("chat: HTML", CHAT, JSON, RESPONSE_JSON, "<html>"),
    refused("chat: cut", CHAT, JSON, INCOMPLETE, "{\"choices\":["),
    refused("chat: a duplicate member", CHAT, JSON, RESPONSE_JSON,
            "{\"choices\":[" CHOICE("\"content\":\"a\",\"content\":\"b\"",
                                    "\"stop\"") "]}"),
    refused("chat: trailing text", CHAT, JSON, RESPONSE_JSON,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\"")) "{}"),
    refused("chat: not UTF-8", CHAT, JSON, RESPONSE_JSON,
            CHAT(CHOICE("\"content\":\"\xff\"", "\"stop\""))),
    refused("chat: an index far out", CHAT, JSON, RESPONSE_JSON,
            "{\"choices\":[{\"index\":4096,\"finish_reason\":\"stop\"}]}"),
    refused("chat: an index below zero", CHAT, JSON, RESPONSE_JSON,
            "{\"choices\":[{\"index\":-1,\"finish_reason\":\"stop\"}]}"),
    stored("chat: an index of null", CHAT, JSON, -1, -1,
           "{\"choices\":[{\"index\":null,\"text\":\"a\",\"finish_reason\":"
           "\"stop\"}]}"),
    refused("chat: a choice that is no object", CHAT, JSON, RESPONSE_JSON,
            "{\"choices\":[\"Hi\"]}"),
    refused("chat: lines", CHAT, NDJSON, RESPONSE_TYPE, "{}\n"),
    refused("chat: an unknown form", CHAT, LLM_FORM_NONE, RESPONSE_TYPE,
            "{}"),

    /* chat completions, streamed */

    stored("stream", CHAT, SSE, -1, -1, TEXT TEXT STOP DONE),
    stored("stream: with usage", CHAT, SSE, 9, 12, TEXT STOP USAGE DONE),
    stored("stream: comments and pings", CHAT, SSE, -1, -1,
           ": OPENROUTER PROCESSING\n\n" TEXT ": keep-alive\n\n"
           "event: ping\ndata: not JSON\n\n" STOP DONE ": bye\n\n"),
    stored("stream: events that are no objects", CHAT, SSE, -1, -1,
           "data: 1\n\ndata: \"x\"\n\ndata: []\n\ndata:\n\ndata: null\n\n"
           TEXT STOP DONE),
    stored("stream: lone surrogates", CHAT, SSE, -1, -1,
           CHUNK("\"delta\":{\"content\":\"\\ud83d\"}")
           CHUNK("\"delta\":{\"content\":\"\\ude00\"}") STOP DONE),
    stored("stream: other names of pings", CHAT, SSE, -1, -1,
           "event: keepalive\ndata: x\n\nevent: keep-alive\ndata: x\n\n"
           "event: heartbeat\ndata: x\n\n" TEXT STOP DONE),
    stored("stream: blanks around [DONE]", CHAT, SSE, -1, -1,
           TEXT STOP "data:  \t[DONE] \t \n\n"),
    stored("stream: blank lines around [DONE]", CHAT, SSE, -1, -1,
           TEXT STOP "data:\ndata:[DONE]\ndata:\n\n"),
    stored("stream: two choices", CHAT, SSE, -1, -1,
           TEXT "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":"
           "\"b\"}}]}\n\n" STOP "data: {\"choices\":[{\"index\":1,"
           "\"finish_reason\":\"length\"}]}\n\n" DONE),
    stored("stream: an event after the finish", CHAT, SSE, -1, -1,
           TEXT STOP CHUNK("\"delta\":{},\"finish_reason\":null") DONE),
    stored("stream: tool calls", CHAT, SSE, -1, -1,
           CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0}]}")
           CHUNK("\"delta\":{},\"finish_reason\":\"tool_calls\"") DONE),
    stored("stream: Groq's usage", CHAT, SSE, 5, 6,
           TEXT "data: {\"choices\":[{\"index\":0,\"delta\":{},"
           "\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":"
           "{\"prompt_tokens\":5,\"completion_tokens\":6}}}\n\n" DONE),
    stored("stream: CR LF", CHAT, SSE, -1, -1,
           "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},"
           "\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n"),
    stored("stream: data in several lines", CHAT, SSE, -1, -1,
           "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"a\"},\n"
           "data:\"finish_reason\":\"stop\"}]}\n\n" DONE),
    stored("stream: completions", COMPLETIONS, SSE, -1, -1,
           "data: {\"choices\":[{\"text\":\"Hi\",\"index\":0,"
           "\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"text\":\"\","
           "\"index\":0,\"finish_reason\":\"stop\"}]}\n\n" DONE),

    refused("stream: no [DONE]", CHAT, SSE, INCOMPLETE, TEXT STOP),
    refused("stream: no finish", CHAT, SSE, INCOMPLETE, TEXT DONE),
    refused("stream: no finish of one choice", CHAT, SSE, INCOMPLETE,
            TEXT "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":"
            "\"b\"}}]}\n\n" STOP DONE),
    refused("stream: text after [DONE]", CHAT, SSE, INCOMPLETE,
            TEXT STOP DONE TEXT),
    refused("stream: half an event after [DONE]", CHAT, SSE, INCOMPLETE,
            TEXT STOP DONE "data: x"),
    refused("stream: a filter", CHAT, SSE, FINISH,
            TEXT CHUNK("\"finish_reason\":\"content_filter\"") DONE),
    refused("stream: a filter after the finish", CHAT, SSE, FINISH,
            TEXT STOP CHUNK("\"finish_reason\":\"content_filter\"") DONE),
    refused("stream: an error and no [DONE]", CHAT, SSE, ERROR,
            TEXT "data: {\"error\":{\"message\":\"x\"}}\n\n"),
    refused("stream: an error and a finish", CHAT, SSE, ERROR,
            TEXT "data: {\"error\":{\"code\":502},\"choices\":[{\"index\":0,"
            "\"finish_reason\":\"error\"}]}\n\n" DONE),
    refused("stream: an error event", CHAT, SSE, ERROR,
            TEXT "event: error\ndata: {\"message\":\"x\"}\n\n" STOP DONE),
    refused("stream: an error event without data", CHAT, SSE, ERROR,
            TEXT "event: error\n\n" STOP DONE),
    refused("stream: Groq's error", CHAT, SSE, ERROR,
            TEXT "data: {\"choices\":[],\"x_groq\":{\"error\":\"cut\"}}\n\n"
            STOP DONE),
    refused("stream: an error in a list", CHAT, SSE, ERROR,
            TEXT "data: [{\"error\":{\"code\":400}}]\n\n" STOP DONE),
    refused("stream: bad JSON", CHAT, SSE, RESPONSE_JSON,
            TEXT "data: {\"choices\":[\n\n" STOP DONE),
    refused("stream: no JSON", CHAT, SSE, RESPONSE_JSON,
            TEXT "data: hello\n\n" STOP DONE),
    refused("stream: no output", CHAT, SSE, NO_OUTPUT, STOP DONE),
    refused("stream: [DONE] alone", CHAT, SSE, NO_OUTPUT, DONE),
    refused("stream: nothing", CHAT, SSE, INCOMPLETE, ""),
    refused("stream: JSON in its place", CHAT, SSE, INCOMPLETE,
            CHAT(CHOICE("\"content\":\"Hi\"", "\"stop\""))),

    /* Responses */

    stored("responses", RESPONSES, JSON, 3, 4,
           RESPONSE("\"completed\"", MESSAGE)),
    stored("responses: a tool call", RESPONSES, JSON, 3, 4,
           RESPONSE("\"completed\"", "{\"type\":\"function_call\"}")),
    stored("responses: a refusal", RESPONSES, JSON, 3, 4,
           RESPONSE("\"completed\"", "{\"type\":\"message\",\"content\":"
                    "[{\"type\":\"refusal\",\"refusal\":\"No\"}]}")),
    stored("responses: a summary", RESPONSES, JSON, 3, 4,
           RESPONSE("\"completed\"", "{\"type\":\"reasoning\",\"summary\":"
                    "[{\"type\":\"summary_text\",\"text\":\"Hm\"}]}")),
    stored("responses: length", RESPONSES, JSON, -1, -1,
           "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
           "\"max_output_tokens\"},\"output\":[" MESSAGE "]}"),
    refused("responses: filtered", RESPONSES, JSON, FINISH,
            "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
            "\"content_filter\"},\"output\":[" MESSAGE "]}"),
    refused("responses: incomplete, why?", RESPONSES, JSON, FINISH,
            RESPONSE("\"incomplete\"", MESSAGE)),
    refused("responses: failed", RESPONSES, JSON, ERROR,
            "{\"status\":\"failed\",\"error\":null,\"output\":[" MESSAGE "]}"),
    refused("responses: cancelled", RESPONSES, JSON, ERROR,
            RESPONSE("\"cancelled\"", MESSAGE)),
    refused("responses: an error", RESPONSES, JSON, ERROR,
            "{\"status\":\"completed\",\"error\":{\"code\":\"x\"},"
            "\"output\":[" MESSAGE "]}"),
    refused("responses: queued", RESPONSES, JSON, INCOMPLETE,
            RESPONSE("\"queued\"", "")),
    refused("responses: in progress", RESPONSES, JSON, INCOMPLETE,
            RESPONSE("\"in_progress\"", MESSAGE)),
    refused("responses: no status", RESPONSES, JSON, FINISH,
            "{\"output\":[" MESSAGE "]}"),
    refused("responses: no output", RESPONSES, JSON, NO_OUTPUT,
            RESPONSE("\"completed\"", "")),
    refused("responses: an empty message", RESPONSES, JSON, NO_OUTPUT,
            RESPONSE("\"completed\"", "{\"type\":\"message\",\"content\":"
                     "[{\"type\":\"output_text\",\"text\":\"\"}]}")),

    stored("responses stream", RESPONSES, SSE, 3, 4,
           EVENT("response.created", ",\"response\":"
                 RESPONSE("\"in_progress\"", ""))
           EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")
           EVENT("response.completed", ",\"response\":"
                 RESPONSE("\"completed\"", MESSAGE))),
    stored("responses stream: [DONE] after it", RESPONSES, SSE, 3, 4,
           EVENT("response.completed", ",\"response\":"
                 RESPONSE("\"completed\"", MESSAGE)) DONE),
    stored("responses stream: length", RESPONSES, SSE, -1, -1,
           EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")
           EVENT("response.incomplete", ",\"response\":{\"status\":"
                 "\"incomplete\",\"incomplete_details\":{\"reason\":"
                 "\"max_output_tokens\"}}")),
    stored("responses stream: output in deltas only", RESPONSES, SSE, -1, -1,
           EVENT("response.output_item.done", ",\"item\":{\"type\":"
                 "\"function_call\"}")
           EVENT("response.completed", ",\"response\":{\"output\":[]}")),
    stored("responses stream: the type as a name", RESPONSES, SSE, -1, -1,
           "event: response.output_text.delta\ndata: {\"delta\":\"Hi\"}\n\n"
           "event: response.completed\ndata: {\"response\":{\"status\":"
           "\"completed\"}}\n\n"),
    refused("responses stream: filtered", RESPONSES, SSE, FINISH,
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")
            EVENT("response.incomplete", ",\"response\":{\"status\":"
                  "\"incomplete\",\"incomplete_details\":{\"reason\":"
                  "\"content_filter\"}}")),
    refused("responses stream: failed", RESPONSES, SSE, ERROR,
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")
            EVENT("response.failed", ",\"response\":{}")),
    refused("responses stream: an error", RESPONSES, SSE, ERROR,
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")
            "data: {\"type\":\"error\",\"message\":\"x\"}\n\n"),
    refused("responses stream: no end", RESPONSES, SSE, INCOMPLETE,
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")),
    refused("responses stream: [DONE] is no end", RESPONSES, SSE, INCOMPLETE,
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"") DONE),
    refused("responses stream: more after the end", RESPONSES, SSE,
            INCOMPLETE,
            EVENT("response.completed", ",\"response\":"
                  RESPONSE("\"completed\"", MESSAGE))
            EVENT("response.output_text.delta", ",\"delta\":\"Hi\"")),

    /* Anthropic */

    stored("anthropic", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "\"end_turn\"")),
    stored("anthropic: a stop sequence", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}",
                  "\"stop_sequence\"")),
    stored("anthropic: length", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "\"max_tokens\"")),
    stored("anthropic: the window", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}",
                  "\"model_context_window_exceeded\"")),
    stored("anthropic: a tool", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"tool_use\",\"input\":{}}", "\"tool_use\"")),
    stored("anthropic: thinking", ANTHROPIC, JSON, 37, 6,
           CLAUDE("{\"type\":\"thinking\",\"thinking\":\"Hm\"}",
                  "\"max_tokens\"")),
    refused("anthropic: a pause", ANTHROPIC, JSON, FINISH,
            CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "\"pause_turn\"")),
    refused("anthropic: a refusal", ANTHROPIC, JSON, FINISH,
            CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "\"refusal\"")),
    refused("anthropic: OpenAI's word", ANTHROPIC, JSON, FINISH,
            CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "\"stop\"")),
    refused("anthropic: no reason", ANTHROPIC, JSON, FINISH,
            CLAUDE("{\"type\":\"text\",\"text\":\"Hi\"}", "null")),
    refused("anthropic: no content", ANTHROPIC, JSON, NO_OUTPUT,
            CLAUDE("", "\"end_turn\"")),
    refused("anthropic: an empty block", ANTHROPIC, JSON, NO_OUTPUT,
            CLAUDE("{\"type\":\"text\",\"text\":\"\"}", "\"end_turn\"")),
    refused("anthropic: an error", ANTHROPIC, JSON, ERROR,
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"),
    refused("anthropic: an error by its type", ANTHROPIC, JSON, ERROR,
            "{\"type\":\"error\"}"),
    refused("anthropic: a number", ANTHROPIC, JSON, RESPONSE_JSON, "42"),

    stored("anthropic stream", ANTHROPIC, SSE, 25, 15,
           CLAUDE_START "event: ping\ndata: {\"type\": \"ping\"}\n\n"
           CLAUDE_BLOCK CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP),
    stored("anthropic stream: a tool", ANTHROPIC, SSE, 25, 15,
           CLAUDE_START
           EVENT("content_block_start", ",\"index\":0,\"content_block\":"
                 "{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}")
           CLAUDE_DELTA("\"tool_use\"") CLAUDE_STOP),
    stored("anthropic stream: the type counts, not the name", ANTHROPIC, SSE,
           25, 15,
           CLAUDE_START CLAUDE_BLOCK CLAUDE_DELTA("\"end_turn\"")
           "event: message_delta\ndata: {\"type\":\"message_stop\"}\n\n"),
    refused("anthropic stream: a name without its type", ANTHROPIC, SSE,
            INCOMPLETE,
            CLAUDE_START CLAUDE_BLOCK CLAUDE_DELTA("\"end_turn\"")
            "event: message_stop\ndata: {\"type\":\"message_delta\"}\n\n"),
    refused("anthropic stream: no reason", ANTHROPIC, SSE, INCOMPLETE,
            CLAUDE_START CLAUDE_BLOCK CLAUDE_STOP),
    refused("anthropic stream: no start", ANTHROPIC, SSE, INCOMPLETE,
            CLAUDE_BLOCK CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP),
    refused("anthropic stream: no stop", ANTHROPIC, SSE, INCOMPLETE,
            CLAUDE_START CLAUDE_BLOCK CLAUDE_DELTA("\"end_turn\"")),
    refused("anthropic stream: a pause", ANTHROPIC, SSE, FINISH,
            CLAUDE_START CLAUDE_BLOCK CLAUDE_DELTA("\"pause_turn\"")
            CLAUDE_STOP),
    refused("anthropic stream: an error", ANTHROPIC, SSE, ERROR,
            CLAUDE_START CLAUDE_BLOCK
            EVENT("error", ",\"error\":{\"type\":\"overloaded_error\"}")),
    refused("anthropic stream: an error without its name", ANTHROPIC, SSE,
            ERROR, CLAUDE_START CLAUDE_BLOCK
            "data: {\"type\":\"error\"}\n\n" CLAUDE_DELTA("\"end_turn\"")
            CLAUDE_STOP),
    refused("anthropic stream: no output", ANTHROPIC, SSE, NO_OUTPUT,
            CLAUDE_START CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP),

    /* Gemini */

    stored("gemini", GEMINI, JSON, 7, 108, GEMINI(G_TEXT, G_STOP)),
    stored("gemini: length", GEMINI, JSON, 7, 108,
           GEMINI(G_TEXT, ",\"finishReason\":\"MAX_TOKENS\"")),
    stored("gemini: a function call", GEMINI, JSON, 7, 108,
           GEMINI("{\"functionCall\":{\"name\":\"f\",\"args\":{}}}", G_STOP)),
    stored("gemini: an image", GEMINI, JSON, 7, 108,
           GEMINI("{\"inlineData\":{\"mimeType\":\"image/png\"}}", G_STOP)),
    stored("gemini: an array", GEMINI, JSON, 7, 108,
           "[" GEMINI(G_TEXT, "") ",\n" GEMINI(G_TEXT, G_STOP) "]"),
    refused("gemini: an array without a finish", GEMINI, JSON, FINISH,
            "[" GEMINI(G_TEXT, "") "," GEMINI(G_TEXT, "") "]"),
    refused("gemini: an array that does not close", GEMINI, JSON, INCOMPLETE,
            "[" GEMINI(G_TEXT, "") "," GEMINI(G_TEXT, G_STOP)),
    refused("gemini: an error in an array", GEMINI, JSON, ERROR,
            "[" GEMINI(G_TEXT, G_STOP) ",{\"error\":{\"code\":503}}]"),
    refused("gemini: an empty array", GEMINI, JSON, NO_OUTPUT, "[]"),
    refused("gemini: safety", GEMINI, JSON, FINISH,
            GEMINI(G_TEXT, ",\"finishReason\":\"SAFETY\"")),
    refused("gemini: other", GEMINI, JSON, FINISH,
            GEMINI(G_TEXT, ",\"finishReason\":\"OTHER\"")),
    refused("gemini: no reason", GEMINI, JSON, FINISH, GEMINI(G_TEXT, "")),
    refused("gemini: a blocked prompt", GEMINI, JSON, FINISH,
            "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}"),
    refused("gemini: feedback alone", GEMINI, JSON, NO_OUTPUT,
            "{\"promptFeedback\":{\"safetyRatings\":[]}}"),
    refused("gemini: no parts", GEMINI, JSON, NO_OUTPUT, GEMINI("", G_STOP)),
    refused("gemini: an error", GEMINI, JSON, ERROR,
            "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\"}}"),

    stored("gemini stream", GEMINI, SSE, 7, 108,
           "data: " GEMINI(G_TEXT, "") "\r\n\r\ndata: "
           GEMINI(G_TEXT, G_STOP) "\r\n\r\n"),
    refused("gemini stream: no finish", GEMINI, SSE, INCOMPLETE,
            "data: " GEMINI(G_TEXT, "") "\n\n"),
    refused("gemini stream: nothing", GEMINI, SSE, INCOMPLETE, ""),

    /* Cohere */

    stored("cohere", COHERE_CHAT, JSON, 66, 5,
           "{\"id\":\"c\",\"finish_reason\":\"COMPLETE\",\"message\":{"
           "\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
           "\"Hi\"}]},\"usage\":{\"tokens\":{\"input_tokens\":66,"
           "\"output_tokens\":5},\"billed_units\":{\"input_tokens\":1,"
           "\"output_tokens\":2}}}"),
    stored("cohere: billed units alone", COHERE_CHAT, JSON, 1, 2,
           "{\"finish_reason\":\"MAX_TOKENS\",\"message\":{\"content\":"
           "[{\"type\":\"text\",\"text\":\"Hi\"}]},\"usage\":{"
           "\"billed_units\":{\"input_tokens\":1,\"output_tokens\":2}}}"),
    stored("cohere: a tool", COHERE_CHAT, JSON, -1, -1,
           "{\"finish_reason\":\"TOOL_CALL\",\"message\":{\"tool_calls\":"
           "[{\"id\":\"t\"}]}}"),
    refused("cohere: a timeout", COHERE_CHAT, JSON, FINISH,
            "{\"finish_reason\":\"TIMEOUT\",\"message\":{\"content\":"
            "[{\"text\":\"Hi\"}]}}"),
    refused("cohere: a message alone", COHERE_CHAT, JSON, FINISH,
            "{\"message\":\"invalid request\"}"),

    stored("cohere stream", COHERE_CHAT, SSE, 66, 5,
           COHERE_START COHERE_TEXT COHERE_END("COMPLETE")),
    stored("cohere stream: a stop sequence", COHERE_CHAT, SSE, 66, 5,
           COHERE_START COHERE_TEXT COHERE_END("STOP_SEQUENCE") DONE),
    refused("cohere stream: an error", COHERE_CHAT, SSE, FINISH,
            COHERE_START COHERE_TEXT COHERE_END("ERROR")),
    refused("cohere stream: an error's text", COHERE_CHAT, SSE, ERROR,
            COHERE_START COHERE_TEXT
            EVENT("message-end", ",\"delta\":{\"error\":\"x\","
                  "\"finish_reason\":\"COMPLETE\"}")),
    refused("cohere stream: no end", COHERE_CHAT, SSE, INCOMPLETE,
            COHERE_START COHERE_TEXT),

    /* Ollama */

    stored("ollama", OLLAMA_CHAT, NDJSON, 26, 298,
           OLLAMA("Hi") OLLAMA("!") OLLAMA_STOP),
    stored("ollama: blank lines and CR LF", OLLAMA_CHAT, NDJSON, -1, -1,
           "\n{\"message\":{\"content\":\"Hi\"}}\r\n\r\n"
           "{\"done\":true,\"done_reason\":\"length\"}\r\n"),
    stored("ollama: thinking", OLLAMA_CHAT, NDJSON, 26, 298,
           "{\"message\":{\"thinking\":\"Hm\"},\"done\":false}\n"
           OLLAMA_STOP),
    stored("ollama: one object", OLLAMA_CHAT, JSON, 26, 298,
           "{\"message\":{\"content\":\"Hi\"},\"done_reason\":\"stop\","
           "\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}"),
    stored("ollama: generate", OLLAMA_GENERATE, NDJSON, -1, -1,
           "{\"response\":\"Hi\",\"done\":false}\n"
           "{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\"}\n"),
    refused("ollama: a load", OLLAMA_GENERATE, JSON, FINISH,
            "{\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}"),
    refused("ollama: no reason", OLLAMA_CHAT, NDJSON, INCOMPLETE,
            OLLAMA("Hi") OLLAMA_DONE("")),
    refused("ollama: not done", OLLAMA_CHAT, NDJSON, INCOMPLETE,
            OLLAMA("Hi")),
    refused("ollama: one object, not done", OLLAMA_CHAT, JSON, INCOMPLETE,
            "{\"message\":{\"content\":\"Hi\"},\"done_reason\":\"stop\","
            "\"done\":false}"),
    refused("ollama: a line after the last", OLLAMA_CHAT, NDJSON, INCOMPLETE,
            OLLAMA("Hi") OLLAMA_STOP OLLAMA("?")),
    { "ollama: what follows the last line is not read",
      LLM_DIALECT_OLLAMA_CHAT, NDJSON, LLM_REASON_INCOMPLETE, 26, 298,
      OLLAMA("Hi") OLLAMA_STOP " \t\r\n{\"eval_count\":1}\n" },
    stored("ollama: blanks after the last", OLLAMA_CHAT, NDJSON, 26, 298,
           OLLAMA("Hi") OLLAMA_STOP "\n \t\r\n\n"),
    refused("ollama: bad text after the last", OLLAMA_CHAT, NDJSON,
            INCOMPLETE, OLLAMA("Hi") OLLAMA_STOP "?"),
    refused("ollama: no line end", OLLAMA_CHAT, NDJSON, INCOMPLETE,
            OLLAMA("Hi") "{\"done\":true,\"done_reason\":\"stop\"}"),
    refused("ollama: an error", OLLAMA_CHAT, NDJSON, ERROR,
            OLLAMA("Hi") "{\"error\":\"out of memory\"}\n"),
    refused("ollama: two texts in a line", OLLAMA_CHAT, NDJSON,
            RESPONSE_JSON, "{}{}\n" OLLAMA_STOP),
    refused("ollama: half a text in a line", OLLAMA_CHAT, NDJSON,
            RESPONSE_JSON, "{\"message\":\n{}}\n" OLLAMA_STOP),
    refused("ollama: no output", OLLAMA_CHAT, NDJSON, NO_OUTPUT,
            OLLAMA("") OLLAMA_STOP),
    refused("ollama: events", OLLAMA_CHAT, SSE, RESPONSE_TYPE, TEXT),

    /* embeddings */

    stored("embeddings", EMBEDDINGS, JSON, 8, -1,
           "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\","
           "\"index\":0,\"embedding\":[0.1,-2e-3,5]}],\"usage\":"
           "{\"prompt_tokens\":8,\"total_tokens\":8}}"),
    stored("embeddings: base64", EMBEDDINGS, JSON, 4, -1,
           "{\"data\":[{\"embedding\":\"AACAPw==\"},{\"embedding\":\"AAAA\"}"
           "],\"usage\":{\"total_tokens\":4}}"),
    stored("embeddings: a list at the top", EMBEDDINGS, JSON, -1, -1,
           "[{\"index\":0,\"embedding\":[[0.1,0.2],[0.3,0.4]]}]"),
    stored("embeddings: Ollama", OLLAMA_EMBED, JSON, 8, -1,
           "{\"embeddings\":[[0.1],[0.2]],\"prompt_eval_count\":8}"),
    stored("embeddings: Ollama's old way", OLLAMA_EMBED, JSON, -1, -1,
           "{\"embedding\":[0.1]}"),
    stored("embeddings: Gemini", GEMINI_EMBED, JSON, -1, -1,
           "{\"embedding\":{\"values\":[0.1]}}"),
    stored("embeddings: Gemini's batch", GEMINI_EMBED, JSON, -1, -1,
           "{\"embeddings\":[{\"values\":[0.1]},{\"values\":[0.2]}]}"),
    stored("embeddings: Cohere", COHERE_EMBED, JSON, 2, -1,
           "{\"embeddings\":{\"float\":[[0.1],[0.2]],\"int8\":[[1],[2]],"
           "\"base64\":[\"AA==\"]},\"meta\":{\"billed_units\":"
           "{\"input_tokens\":2}}}"),
    stored("embeddings: Cohere, a type without any", COHERE_EMBED, JSON, -1,
           -1, "{\"embeddings\":{\"float\":[[0.1]],\"base64\":null,"
           "\"int8\":null}}"),
    refused("embeddings: Cohere, no base64", COHERE_EMBED, JSON, NO_OUTPUT,
            "{\"embeddings\":{\"base64\":[],\"float\":[[0.1]]}}"),
    refused("embeddings: Cohere, numbers for base64", COHERE_EMBED, JSON,
            NO_OUTPUT,
            "{\"embeddings\":{\"base64\":[[1]],\"float\":[[0.1]]}}"),
    stored("embeddings: no tokens", EMBEDDINGS, JSON, 0, -1,
           "{\"data\":[{\"embedding\":[1]}],\"usage\":{\"prompt_tokens\":0,"
           "\"total_tokens\":5}}"),
    stored("embeddings: Cohere v1", COHERE_EMBED, JSON, -1, -1,
           "{\"embeddings\":[[0.1]]}"),
    refused("embeddings: none", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[]}"),
    refused("embeddings: an empty one", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[0.1]},{\"embedding\":[]}]}"),
    refused("embeddings: an empty text", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[0.1]},{\"embedding\":\"\"}]}"),
    refused("embeddings: a missing one", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[0.1]},{\"index\":1}]}"),
    refused("embeddings: null for one", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[0.1]},null]}"),
    refused("embeddings: null for a number", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[0.1,null]}]}"),
    refused("embeddings: a number for one", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":7}]}"),
    refused("embeddings: a list of texts", EMBEDDINGS, JSON, NO_OUTPUT,
            "[\"sorry\"]"),
    refused("embeddings: an empty row", EMBEDDINGS, JSON, NO_OUTPUT,
            "{\"data\":[{\"embedding\":[[0.1],[]]}]}"),
    refused("embeddings: Gemini, empty", GEMINI_EMBED, JSON, NO_OUTPUT,
            "{\"embedding\":{}}"),
    refused("embeddings: Cohere, empty", COHERE_EMBED, JSON, NO_OUTPUT,
            "{\"embeddings\":{\"float\":[]}}"),
    refused("embeddings: Cohere, nothing", COHERE_EMBED, JSON, NO_OUTPUT,
            "{\"embeddings\":{}}"),
    refused("embeddings: an error", EMBEDDINGS, JSON, ERROR,
            "{\"error\":\"no model\"}"),
    refused("embeddings: events", EMBEDDINGS, SSE, RESPONSE_TYPE, DONE),

    /* rerank, moderations, others */

    stored("rerank", RERANK, JSON, -1, -1,
           "{\"results\":[{\"index\":0,\"relevance_score\":0.9}],\"meta\":"
           "{\"billed_units\":{\"search_units\":1}}}"),
    stored("rerank: Voyage", RERANK, JSON, 26, -1,
           "{\"object\":\"list\",\"data\":[{\"index\":0}],\"usage\":"
           "{\"total_tokens\":26}}"),
    stored("rerank: TEI", RERANK, JSON, -1, -1,
           "[{\"index\":1,\"score\":0.9}]"),
    refused("rerank: none", RERANK, JSON, NO_OUTPUT, "{\"results\":[]}"),
    refused("rerank: an empty list", RERANK, JSON, NO_OUTPUT, "[]"),
    refused("rerank: an error in a list", RERANK, JSON, ERROR,
            "[{\"error\":\"x\"}]"),
    refused("rerank: texts", RERANK, JSON, NO_OUTPUT, "[\"x\"]"),
    stored("moderations", MODERATIONS, JSON, -1, -1,
           "{\"id\":\"m\",\"results\":[{\"flagged\":false}]}"),
    refused("moderations: none", MODERATIONS, JSON, NO_OUTPUT,
            "{\"results\":[]}"),

    stored("other", JSON, JSON, 3, 4,
           "{\"input_tokens\":1,\"usage\":{\"input_tokens\":3,"
           "\"output_tokens\":4}}"),
    stored("other: a list", JSON, JSON, -1, -1, "[1]"),
    stored("other: no error", JSON, JSON, -1, -1, "{\"error\":false}"),
    refused("other: nothing in it", JSON, JSON, NO_OUTPUT, "{}"),
    refused("other: an empty list", JSON, JSON, NO_OUTPUT, "[]"),
    refused("other: null", JSON, JSON, NO_OUTPUT, "null"),
    refused("other: a text", JSON, JSON, NO_OUTPUT, "\"x\""),
    refused("other: an error", JSON, JSON, ERROR, "{\"error\":{}}"),
    refused("other: an error without words", JSON, JSON, ERROR,
            "{\"error\":\"\"}"),
    refused("other: an error in a list", JSON, JSON, ERROR,
            "[{\"error\":\"x\"}]"),
    refused("other: no JSON", JSON, JSON, RESPONSE_JSON, "hello"),
    stored("other: a stream", JSON, SSE, -1, -1,
           "data: {\"a\":1}\n\n" DONE),
    refused("other: a stream without [DONE]", JSON, SSE, INCOMPLETE,
            "data: {\"a\":1}\n\n"),
    refused("other: a stream of nothing", JSON, SSE, NO_OUTPUT, DONE),
    refused("other: an error in a stream", JSON, SSE, ERROR,
            "data: {\"a\":1}\n\ndata: {\"error\":\"x\"}\n\n" DONE),
    stored("other: lines", JSON, NDJSON, -1, -1,
           "{\"a\":1}\n{\"done\":true}\n"),
    refused("other: lines that are not done", JSON, NDJSON, INCOMPLETE,
            "{\"a\":1}\n")
};

#define ANSWER_CASES  (sizeof(answer_cases) / sizeof(answer_cases[0]))


static llm_reason_e
answer_of(const answer_case_t *c, llm_answer_info_t *info)
{
    size_t  len;

    len = strlen(c->body);

    return answer_run(c->dialect, c->form, &finish_default, ANSWER_MAX,
                      c->body, len, len, info);
}


static int
answer_same(const llm_answer_info_t *a, const llm_answer_info_t *b)
{
    return a->prompt_tokens == b->prompt_tokens
           && a->completion_tokens == b->completion_tokens
           && a->usage.start == b->usage.start
           && a->usage.end == b->usage.end
           && a->mark == b->mark
           && a->mark_empty == b->mark_empty
           && a->has_usage == b->has_usage;
}


static void
test_cases(void)
{
    size_t                i;
    llm_str_t             word;
    llm_reason_e          reason;
    llm_answer_info_t     info;
    const answer_case_t  *c;

    for (i = 0; i < ANSWER_CASES; i++) {
        c = &answer_cases[i];

        reason = answer_of(c, &info);
        word = llm_reason_word(reason);

        is_int(reason, c->reason, "%s: \"%.*s\"", c->name, (int) word.len,
               (const char *) word.data);

        if (c->prompt != -2) {
            is_int(info.prompt_tokens, c->prompt, "%s: prompt tokens",
                   c->name);
            is_int(info.completion_tokens, c->completion,
                   "%s: completion tokens", c->name);
            is_int(info.has_usage, (strstr(c->body, "\"usage")
                                    && !strstr(c->body, "x_groq"))
                                   || strstr(c->body, "\"meta\":{\"billed_"
                                             "units\":{\"input_tokens")
                                   || strstr(c->body, "eval_count"),
                   "%s: usage", c->name);
        }
    }
}


static void
test_cuts(void)
{
    int                   bad;
    size_t                i, cut, len;
    llm_reason_e          reason;
    llm_answer_info_t     info, whole;
    const answer_case_t  *c;

    for (i = 0; i < ANSWER_CASES; i++) {
        c = &answer_cases[i];

        answer_of(c, &whole);

        len = strlen(c->body);
        bad = 0;

        for (cut = 0; cut <= len; cut++) {
            reason = answer_run(c->dialect, c->form, &finish_default,
                                ANSWER_MAX, c->body, len,
                                cut == len ? SIZE_MAX : cut, &info);

            bad += (reason != c->reason || !answer_same(&info, &whole));
        }

        is_int(bad, 0, "%s: the same however it is cut", c->name);
    }
}


/* what stands after the end that counts: these bytes alone may be missing */

static size_t
answer_tail(const answer_case_t *c)
{
    size_t       len;
    const char  *p;

    len = strlen(c->body);

    if (c->form == LLM_FORM_JSON) {
        while (len && c->body[len - 1] == '\n') {
            len--;
        }
    }

    if (c->form == LLM_FORM_NDJSON) {
        while (len && strchr(" \t\r\n", c->body[len - 1])) {
            len--;
        }

        p = strchr(c->body + len, '\n');
        len = (size_t) (p + 1 - c->body);
    }

    p = strstr(c->body, ": bye\n\n");

    if (p) {
        len = (size_t) (p - c->body);
    }

    /* [DONE] says nothing to those that have an end of their own */

    if (c->dialect == LLM_DIALECT_RESPONSES
        || c->dialect == LLM_DIALECT_COHERE_CHAT)
    {
        p = strstr(c->body, DONE);

        if (p) {
            len = (size_t) (p - c->body);
        }
    }

    return len;
}


static void
test_prefixes(void)
{
    int                   bad;
    size_t                i, n, tail;
    llm_answer_info_t     info;
    const answer_case_t  *c;

    for (i = 0; i < ANSWER_CASES; i++) {
        c = &answer_cases[i];

        if (c->reason != LLM_REASON_NONE) {
            continue;
        }

        bad = 0;
        tail = answer_tail(c);

        for (n = 0; n < tail; n++) {
            bad += (answer_run(c->dialect, c->form, &finish_default,
                               ANSWER_MAX, c->body, n, n, &info)
                    == LLM_REASON_NONE);
        }

        is_int(bad, 0, "%s: never stored when it breaks off", c->name);
    }
}


int
main(void)
{
    test_cases();
    test_cuts();
    test_prefixes();

    return tap_done();
}
