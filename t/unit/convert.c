/*
 * Conversion between JSON and streams: what each dialect's answers become, and
 * what cannot be given.
 */


#include "convert_run.h"


#define CHAT_USAGE                                                            \
    "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,"                \
    "\"total_tokens\":21}"

#define CHUNKS(choices)                                                       \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7," \
    "\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[" choices      \
    "]}\n\n"

#define DELTA(index, delta)                                                   \
    CHUNKS("{\"index\":" index ",\"delta\":{" delta "},\"logprobs\":null,"    \
           "\"finish_reason\":null}")

#define FINISH(index, reason)                                                 \
    CHUNKS("{\"index\":" index ",\"delta\":{},\"logprobs\":null,"             \
           "\"finish_reason\":\"" reason "\"}")

#define CHAT_DONE                                                             \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7," \
    "\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[],"            \
    CHAT_USAGE "}\n\ndata: [DONE]\n\n"

#define CHAT_JSON(choices)                                                    \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":7,"             \
    "\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[" choices "]," \
    CHAT_USAGE "}"

#define CHAT_CHOICE(index, message, reason)                                   \
    "{\"index\":" index ",\"message\":{" message "},\"logprobs\":null,"       \
    "\"finish_reason\":\"" reason "\"}"


typedef struct {
    const char     *name;
    llm_dialect_e   dialect;
    llm_form_e      form;
    const char     *stream;
    const char     *json;              /* NULL: it cannot be converted */
    unsigned        flags;
} convert_case_t;


static const convert_case_t  streams[] = {

    { "chat: text, refusal, roles", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null")
      DELTA("0", "\"content\":\"Hel\"") ": a comment\n\n"
      DELTA("0", "\"content\":\"lo\\n\"")
      DELTA("0", "\"refusal\":\"No\"") FINISH("0", "stop") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":"
                            "\"Hello\\n\",\"refusal\":\"No\"", "stop")), 0 },

    { "chat: choices in any order", LLM_DIALECT_CHAT, SSE,
      DELTA("1", "\"role\":\"assistant\",\"content\":\"b\"")
      DELTA("0", "\"role\":\"assistant\",\"content\":\"a\"")
      DELTA("1", "\"content\":\"B\"") DELTA("0", "\"content\":\"A\"")
      FINISH("1", "length") FINISH("0", "stop") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":\"aA\"",
                            "stop") ","
                CHAT_CHOICE("1", "\"role\":\"assistant\",\"content\":\"bB\"",
                            "length")), 0 },

    { "chat: parallel tool calls, their fragments mixed", LLM_DIALECT_CHAT,
      SSE,
      DELTA("0", "\"role\":\"assistant\",\"content\":null")
      DELTA("0", "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":"
            "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]")
      DELTA("0", "\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"type\":"
            "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]")
      DELTA("0", "\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"
            "\"{\\\"y\\\"\"}},{\"index\":0,\"function\":{\"arguments\":"
            "\"{}\"}}]")
      DELTA("0", "\"tool_calls\":[{\"index\":1,\"id\":\"\",\"function\":{"
            "\"arguments\":\":1}\"}}]")
      FINISH("0", "tool_calls") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":null,"
                "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
                "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{"
                "\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":"
                "\"g\",\"arguments\":\"{\\\"y\\\":1}\"}}]", "tool_calls")),
      0 },

    { "chat: function_call, reasoning, annotations, details",
      LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"reasoning_content\":\"th\"")
      DELTA("0", "\"reasoning_content\":\"ink\",\"reasoning_details\":[{"
            "\"index\":0,\"type\":\"t\",\"text\":\"x\"}]")
      DELTA("0", "\"reasoning_details\":[{\"index\":0,\"type\":\"t\","
            "\"text\":\"y\",\"signature\":\"s\"}]")
      DELTA("0", "\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}")
      DELTA("0", "\"function_call\":{\"arguments\":\"{}\"}")
      DELTA("0", "\"annotations\":[{\"u\":1}]")
      DELTA("0", "\"annotations\":[{\"u\":2}],\"x_new\":{\"a\":[1]}")
      FINISH("0", "function_call") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":null,"
                "\"reasoning_content\":\"think\",\"reasoning_details\":[{"
                "\"index\":0,\"type\":\"t\",\"text\":\"xy\",\"signature\":"
                "\"s\"}],\"function_call\":{\"name\":\"f\",\"arguments\":"
                "\"{}\"},\"annotations\":[{\"u\":1},{\"u\":2}],\"x_new\":{"
                "\"a\":[1]}", "function_call")), 0 },

    { "chat: log probabilities", LLM_DIALECT_CHAT, SSE,
      CHUNKS("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
             "\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":"
             "-0.10000000000000000001}],\"refusal\":null}}")
      CHUNKS("{\"index\":0,\"delta\":{\"content\":\"b\"},\"logprobs\":{"
             "\"content\":[{\"token\":\"b\",\"logprob\":-1}],\"refusal\":"
             "null},\"finish_reason\":\"stop\"}") CHAT_DONE,
      CHAT_JSON("{\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"content\":\"ab\"},\"logprobs\":{\"content\":[{\"token\":"
                "\"a\",\"logprob\":-0.10000000000000000001},{\"token\":"
                "\"b\",\"logprob\":-1}],\"refusal\":null},"
                "\"finish_reason\":\"stop\"}"), 0 },

    { "chat: a surrogate pair in two events", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"role\":\"assistant\",\"content\":\"\\ud83d\"")
      DELTA("0", "\"content\":\"\\ude00\"") FINISH("0", "stop") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":"
                            "\"\xf0\x9f\x98\x80\"", "stop")), 0 },

    { "chat: Azure's first chunk says nothing", LLM_DIALECT_CHAT, SSE,
      "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
      "\"object\":\"\",\"prompt_filter_results\":[{\"p\":0}]}\n\n"
      DELTA("0", "\"role\":\"assistant\",\"content\":\"a\"")
      FINISH("0", "stop") CHAT_DONE,
      "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":7,"
      "\"model\":\"m\",\"service_tier\":\"default\",\"choices\":["
      CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":\"a\"", "stop")
      "]," CHAT_USAGE ",\"prompt_filter_results\":[{\"p\":0}]}", 0 },

    { "chat: usage of Groq's", LLM_DIALECT_CHAT, SSE,
      CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}")
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
      "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{"
      "\"id\":\"r\",\"usage\":{\"prompt_tokens\":1}}}\n\ndata: [DONE]\n\n",
      "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":"
      "0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"},"
      "\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\"},\"usage\":{"
      "\"prompt_tokens\":1}}", 0 },

    { "chat: usage of Groq's, told twice", LLM_DIALECT_CHAT, SSE,
      CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}")
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
      "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{"
      "\"id\":\"r\",\"usage\":{\"prompt_tokens\":1}}}\n\n"
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
      "[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
      "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":"
      "0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"},"
      "\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\"},\"usage\":{"
      "\"prompt_tokens\":1}}", 0 },

    { "chat: other figures of Groq's", LLM_DIALECT_CHAT, SSE,
      CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}")
      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
      "\"stop\"}],\"x_groq\":{\"usage\":{\"sram_cached_tokens\":1}}}\n\n"
      "data: [DONE]\n\n", NULL, 0 },

    { "chat: no usage where it is owed", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"role\":\"assistant\",\"content\":\"a\"")
      FINISH("0", "stop") "data: [DONE]\n\n", NULL, 0 },

    { "chat: an unknown text in pieces", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"content\":\"a\",\"song\":\"la\"")
      DELTA("0", "\"song\":\"li\"") FINISH("0", "stop") CHAT_DONE, NULL, 0 },

    { "chat: an unknown text in equal pieces", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"content\":\"a\",\"song\":\"la\"")
      DELTA("0", "\"song\":\"la\"") FINISH("0", "stop") CHAT_DONE, NULL, 0 },

    { "chat: an unknown list in equal pieces", LLM_DIALECT_CHAT, SSE,
      CHUNKS("{\"index\":0,\"delta\":{\"content\":\"a\"},\"token_ids\":"
             "[7]}")
      CHUNKS("{\"index\":0,\"delta\":{\"content\":\"a\"},\"token_ids\":"
             "[7]}") FINISH("0", "stop") CHAT_DONE, NULL, 0 },

    { "chat: content in equal parts", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"content\":[{\"text\":\"a\"}]")
      DELTA("0", "\"content\":[{\"text\":\"a\"}]")
      FINISH("0", "stop") CHAT_DONE, NULL, 0 },

    { "chat: Azure's filter results", LLM_DIALECT_CHAT, SSE,
      CHUNKS("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
             "\"\"},\"content_filter_results\":{}}")
      CHUNKS("{\"index\":0,\"delta\":{\"content\":\"a\"},"
             "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}")
      CHUNKS("{\"index\":0,\"delta\":{\"content\":\"b\"},"
             "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}")
      CHUNKS("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\","
             "\"content_filter_results\":{}}") CHAT_DONE,
      CHAT_JSON("{\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"content\":\"ab\"},\"finish_reason\":\"stop\","
                "\"content_filter_results\":{\"hate\":{\"filtered\":"
                "false}}}"), 0 },

    { "chat: a refusal beside empty contents", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"role\":\"assistant\",\"content\":\"\"")
      DELTA("0", "\"content\":\"\",\"refusal\":\"No\"")
      FINISH("0", "stop") CHAT_DONE,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":null,"
                            "\"refusal\":\"No\"", "stop")), 0 },

    { "chat: two calls under one index", LLM_DIALECT_CHAT, SSE,
      DELTA("0", "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{"
            "\"name\":\"f\",\"arguments\":\"{}\"}}]")
      DELTA("0", "\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{"
            "\"name\":\"f\",\"arguments\":\"{}\"}}]")
      FINISH("0", "tool_calls") CHAT_DONE, NULL, 0 },

    { "completions", LLM_DIALECT_COMPLETIONS, SSE,
      "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{"
      "\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":[\"a\"],"
      "\"text_offset\":[0]},\"finish_reason\":null}],\"obfuscation\":\"x\"}"
      "\n\n"
      "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{"
      "\"text\":\"b\",\"index\":0,\"logprobs\":{\"tokens\":[\"b\"],"
      "\"text_offset\":[1]},\"finish_reason\":\"stop\"}],\"usage\":{"
      "\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
      "{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"text\":"
      "\"ab\",\"index\":0,\"logprobs\":{\"tokens\":[\"a\",\"b\"],"
      "\"text_offset\":[0,1]},\"finish_reason\":\"stop\"}],\"usage\":{"
      "\"prompt_tokens\":1}}", 0 },

    { "Responses: the last event has it all", LLM_DIALECT_RESPONSES, SSE,
      EVENT("response.created", ",\"response\":{\"output\":[]}")
      EVENT("response.output_item.done", ",\"output_index\":0,\"item\":"
            MESSAGE)
      EVENT("response.completed", ",\"response\":"
            RESPONSE("\"completed\"", MESSAGE)),
      RESPONSE("\"completed\"", MESSAGE), 0 },

    { "Responses: items that only their events tell", LLM_DIALECT_RESPONSES,
      SSE,
      EVENT("response.output_item.done", ",\"output_index\":0,\"item\":"
            MESSAGE)
      EVENT("response.completed", ",\"response\":"
            RESPONSE("\"completed\"", "")),
      RESPONSE("\"completed\"", MESSAGE), 0 },

    { "Responses: an item that another event tells", LLM_DIALECT_RESPONSES,
      SSE,
      EVENT("response.completed", ",\"response\":"
            RESPONSE("\"completed\"", "") ",\"item\":" MESSAGE), NULL, 0 },

    { "Responses: an unknown event with an item", LLM_DIALECT_RESPONSES,
      SSE,
      "data: {\"output_index\":0,\"item\":" MESSAGE "}\n\n"
      EVENT("response.output_item.done", ",\"output_index\":0,\"item\":{"
            "\"type\":\"message\",\"content\":[]}")
      EVENT("response.completed", ",\"response\":"
            RESPONSE("\"completed\"", "")), NULL, 0 },

    { "Anthropic: thinking, text, citations, tools", LLM_DIALECT_ANTHROPIC,
      SSE,
      CLAUDE_START EVENT("ping", "")
      EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":"
            "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
      EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"
            "\"thinking_delta\",\"thinking\":\"Hm\"}")
      EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"
            "\"signature_delta\",\"signature\":\"Sig\"}")
      EVENT("content_block_stop", ",\"index\":0")
      EVENT("content_block_start", ",\"index\":1,\"content_block\":{\"type\":"
            "\"text\",\"text\":\"\"}")
      EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":"
            "\"citations_delta\",\"citation\":{\"c\":1}}")
      EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":"
            "\"text_delta\",\"text\":\"H\"}")
      EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":"
            "\"text_delta\",\"text\":\"i\"}")
      EVENT("content_block_stop", ",\"index\":1")
      EVENT("content_block_start", ",\"index\":2,\"content_block\":{\"type\":"
            "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
      EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":"
            "\"input_json_delta\",\"partial_json\":\"\"}")
      EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":"
            "\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": \\\"\\\\u00\""
            "}")
      EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":"
            "\"input_json_delta\",\"partial_json\":\"e9\\\\n\\\", "
            "\\\"b\\\":1.50}\"}")
      EVENT("content_block_stop", ",\"index\":2")
      EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\","
            "\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}")
      CLAUDE_STOP,
      "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":"
      "\"thinking\",\"thinking\":\"Hm\",\"signature\":\"Sig\"},{\"type\":"
      "\"text\",\"text\":\"Hi\",\"citations\":[{\"c\":1}]},{\"type\":"
      "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":\"\\u00e9"
      "\\n\",\"b\":1.5}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":"
      "null,\"usage\":{\"input_tokens\":25,\"output_tokens\":15}}", 0 },

    { "Anthropic: a tool's input that was cut off", LLM_DIALECT_ANTHROPIC,
      SSE,
      CLAUDE_START
      EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":"
            "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
      EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"
            "\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": \"}")
      EVENT("content_block_stop", ",\"index\":0")
      CLAUDE_DELTA("\"max_tokens\"") CLAUDE_STOP, NULL, 0 },

    { "Anthropic: an unknown delta", LLM_DIALECT_ANTHROPIC, SSE,
      CLAUDE_START
      EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":"
            "\"text\",\"text\":\"a\"}")
      EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":"
            "\"dance_delta\",\"dance\":\"x\"}")
      EVENT("content_block_stop", ",\"index\":0")
      CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP, NULL, 0 },

    { "Anthropic: what would be an error at the top", LLM_DIALECT_ANTHROPIC,
      SSE,
      EVENT("message_start", ",\"message\":{\"id\":\"m\",\"type\":"
            "\"message\",\"content\":[],\"error\":{\"x\":1}}")
      EVENT("content_block_start", ",\"index\":0,\"content_block\":{"
            "\"type\":\"text\",\"text\":\"a\"}")
      EVENT("content_block_stop", ",\"index\":0")
      CLAUDE_DELTA("\"end_turn\"") CLAUDE_STOP, NULL, 0 },

    { "Gemini: text, thoughts, signatures, calls", LLM_DIALECT_GEMINI, SSE,
      "data: " GEMINI("{\"text\":\"a\",\"thought\":true}", "") "\r\n\r\n"
      "data: " GEMINI("{\"text\":\"b\",\"thought\":true}", "") "\r\n\r\n"
      "data: " GEMINI("{\"text\":\"c\"}", "") "\r\n\r\n"
      "data: " GEMINI("{\"text\":\"d\"},{\"functionCall\":{\"name\":\"f\","
                      "\"args\":{\"x\":1.0}},\"thoughtSignature\":\"S\"}", "")
      "\r\n\r\n"
      "data: " GEMINI("{\"text\":\"\"}", G_STOP) "\r\n\r\n",
      GEMINI("{\"text\":\"ab\",\"thought\":true},{\"text\":\"cd\"},{"
             "\"functionCall\":{\"name\":\"f\",\"args\":{\"x\":1.0}},"
             "\"thoughtSignature\":\"S\"},{\"text\":\"\"}", G_STOP), 0 },

    { "Gemini: an array", LLM_DIALECT_GEMINI, JSON,
      "[" GEMINI(G_TEXT, "") "\n,\r\n" GEMINI("{\n  \"text\": \"!\"\n}",
      G_STOP) "\n]\n", GEMINI("{\"text\":\"Hi!\"}", G_STOP), 0 },

    { "Gemini: lines that end with CR", LLM_DIALECT_GEMINI, SSE,
      "data: " GEMINI(G_TEXT, "") "\r\rdata: " GEMINI(G_TEXT, G_STOP) "\r\r",
      GEMINI("{\"text\":\"HiHi\"}", G_STOP), 0 },

    { "Gemini: candidates without an index", LLM_DIALECT_GEMINI, SSE,
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":"
      "\"b\"}]},\"finishReason\":\"STOP\"}]}\n\n", NULL, 0 },

    { "Gemini: the first index is left out", LLM_DIALECT_GEMINI, SSE,
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},{"
      "\"content\":{\"parts\":[{\"text\":\"b\"}]},\"index\":1}]}\n\n"
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"B\"}]},"
      "\"finishReason\":\"STOP\",\"index\":1}]}\n\n"
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"A\"}]},"
      "\"finishReason\":\"STOP\"}]}\n\n",
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"aA\"}]},"
      "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":\"bB\"}"
      "]},\"finishReason\":\"STOP\",\"index\":1}]}", 0 },

    { "Gemini: the first index is left out, and comes last",
      LLM_DIALECT_GEMINI, SSE,
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},"
      "\"finishReason\":\"STOP\",\"index\":1}]}\n\n"
      "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"finishReason\":\"STOP\"}]}\n\n",
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":\"b\"}"
      "]},\"finishReason\":\"STOP\",\"index\":1}]}", 0 },

    { "Gemini: a call's arguments in pieces", LLM_DIALECT_GEMINI, SSE,
      "data: " GEMINI("{\"functionCall\":{\"name\":\"f\",\"willContinue\":"
                      "true}}", "") "\n\n"
      "data: " GEMINI("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":"
                      "\"$.a\",\"numberValue\":1}]}}", G_STOP) "\n\n", NULL,
      0 },

    { "Cohere: text, plan, tools, citations", LLM_DIALECT_COHERE_CHAT, SSE,
      EVENT("message-start", ",\"id\":\"c\",\"delta\":{\"message\":{\"role\":"
            "\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":"
            "[],\"citations\":[]}}")
      EVENT("tool-plan-delta", ",\"delta\":{\"message\":{\"tool_plan\":"
            "\"I \"}}")
      EVENT("tool-plan-delta", ",\"delta\":{\"message\":{\"tool_plan\":"
            "\"will\"}}")
      EVENT("content-start", ",\"index\":0,\"delta\":{\"message\":{"
            "\"content\":{\"type\":\"text\",\"text\":\"\"}}}")
      EVENT("content-delta", ",\"index\":0,\"delta\":{\"message\":{"
            "\"content\":{\"text\":\"H\"}}},\"logprobs\":{\"text\":\"H\"}")
      EVENT("content-delta", ",\"index\":0,\"delta\":{\"message\":{"
            "\"content\":{\"text\":\"i\"}}}")
      EVENT("content-end", ",\"index\":0")
      EVENT("tool-call-start", ",\"index\":0,\"delta\":{\"message\":{"
            "\"tool_calls\":{\"id\":\"t\",\"type\":\"function\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}")
      EVENT("tool-call-delta", ",\"index\":0,\"delta\":{\"message\":{"
            "\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}")
      EVENT("tool-call-end", ",\"index\":0")
      EVENT("citation-start", ",\"index\":0,\"delta\":{\"message\":{"
            "\"citations\":{\"start\":0,\"sources\":[{\"s\":1}]}}}")
      EVENT("citation-end", ",\"index\":0") COHERE_END("COMPLETE"),
      "{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"tool_plan\":"
      "\"I will\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],"
      "\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{"
      "\"name\":\"f\",\"arguments\":\"{}\"}}],\"citations\":[{\"start\":0,"
      "\"sources\":[{\"s\":1}]}]},\"logprobs\":[{\"text\":\"H\"}],"
      "\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{"
      "\"input_tokens\":3,\"output_tokens\":4},\"tokens\":{\"input_tokens\":"
      "66,\"output_tokens\":5}}}", 0 },

    { "Cohere: an unknown event", LLM_DIALECT_COHERE_CHAT, SSE,
      EVENT("message-start", ",\"id\":\"c\",\"delta\":{\"message\":{\"role\":"
            "\"assistant\"}}") COHERE_TEXT EVENT("song-start", ",\"index\":0")
      COHERE_END("COMPLETE"), NULL, 0 },

    { "Ollama: chat", LLM_DIALECT_OLLAMA_CHAT, NDJSON,
      "{\"model\":\"l\",\"created_at\":\"1\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"\",\"thinking\":\"t\"},\"done\":false}\n"
      "{\"model\":\"l\",\"created_at\":\"2\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"a\"},\"done\":false}\r\n"
      "{\"model\":\"l\",\"created_at\":\"3\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"b\",\"tool_calls\":[{\"function\":{"
      "\"name\":\"f\",\"arguments\":{}}}]},\"done\":false}\n"
      "{\"model\":\"l\",\"created_at\":\"4\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\",\"done\":"
      "true,\"total_duration\":9007199254740993}\n",
      "{\"model\":\"l\",\"created_at\":\"4\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"ab\",\"thinking\":\"t\",\"tool_calls\":[{"
      "\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":true,"
      "\"done_reason\":\"stop\",\"total_duration\":9007199254740993}", 0 },

    { "Ollama: generate", LLM_DIALECT_OLLAMA_GENERATE, NDJSON,
      "{\"model\":\"l\",\"response\":\"a\",\"done\":false}\n"
      "{\"model\":\"l\",\"response\":\"b\",\"done\":false}\n"
      "{\"model\":\"l\",\"response\":\"\",\"done\":true,\"done_reason\":"
      "\"stop\",\"context\":[1,2]}\n",
      "{\"model\":\"l\",\"response\":\"ab\",\"done\":true,\"done_reason\":"
      "\"stop\",\"context\":[1,2]}", 0 }
};

#define STREAMS  (sizeof(streams) / sizeof(streams[0]))


/* answers that go to a stream and come back as they were */

static const convert_case_t  answers[] = {

    { "chat", LLM_DIALECT_CHAT, SSE, NULL,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":\"One "
                "two three four five \\ud83d\\ude00 six\\nseven \\\"eight\\\""
                " nine\",\"refusal\":null,\"annotations\":[]", "stop")),
      ASKED },

    { "chat: all that a message may have", LLM_DIALECT_CHAT, SSE, NULL,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":null,"
                "\"reasoning_content\":\"I think so\",\"reasoning\":\"\","
                "\"refusal\":\"I can't\",\"annotations\":[{\"a\":1}],"
                "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
                "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"city\\\":"
                "\\\"Z\\\\u00fcrich and some more\\\"}\"}},{\"id\":\"b\","
                "\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":"
                "\"x\"}}],\"function_call\":{\"name\":\"h\",\"arguments\":"
                "\"{}\"},\"x_song\":[\"la\"]", "tool_calls") ","
                CHAT_CHOICE("1", "\"role\":\"assistant\",\"content\":\"\"",
                            "content_filter")), ASKED },

    { "chat: content in parts", LLM_DIALECT_CHAT, SSE, NULL,
      CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":[{"
                "\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
                "\"text\":\"t\"}]},{\"type\":\"text\",\"text\":\"a\"}]",
                "stop")), ASKED },

    { "chat: log probabilities", LLM_DIALECT_CHAT, SSE, NULL,
      "{\"id\":\"c\",\"x_list\":[1],\"choices\":[{\"index\":0,\"message\":{"
      "\"role\":\"assistant\",\"content\":\"ab\"},\"logprobs\":{\"content\":"
      "[{\"token\":\"a\",\"logprob\":-0.5},{\"token\":\"b\",\"logprob\":-1}"
      "],\"refusal\":null},\"finish_reason\":\"stop\",\"stop_reason\":7}],"
      CHAT_USAGE "}", ASKED },

    { "chat: log probabilities of other tokens", LLM_DIALECT_CHAT, SSE, NULL,
      "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
      "\"assistant\",\"content\":\"ab\"},\"logprobs\":{\"content\":[{"
      "\"token\":\"A\",\"logprob\":-0.5}]},\"finish_reason\":\"stop\"}],"
      CHAT_USAGE "}", ASKED },

    { "completions", LLM_DIALECT_COMPLETIONS, SSE, NULL,
      "{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"text\":"
      "\"some words that are long enough\",\"index\":0,\"logprobs\":{"
      "\"tokens\":[\"some\"]},\"finish_reason\":\"stop\"}],\"usage\":{"
      "\"prompt_tokens\":1}}", ASKED },

    { "Responses", LLM_DIALECT_RESPONSES, SSE, NULL,
      RESPONSE("\"completed\"", "{\"id\":\"r1\",\"type\":\"reasoning\","
               "\"summary\":[{\"type\":\"summary_text\",\"text\":\"I think"
               "\"}],\"encrypted_content\":\"E\"},{\"id\":\"f1\",\"type\":"
               "\"function_call\",\"status\":\"completed\",\"arguments\":"
               "\"{}\",\"call_id\":\"c\",\"name\":\"f\"},{\"id\":\"m1\","
               "\"type\":\"message\",\"status\":\"completed\",\"role\":"
               "\"assistant\",\"content\":[{\"type\":\"output_text\","
               "\"annotations\":[{\"a\":1}],\"logprobs\":[],\"text\":"
               "\"some words that are long enough\"},{\"type\":\"refusal\","
               "\"refusal\":\"no\"}]},{\"type\":\"song\",\"la\":[1]}"), 0 },

    { "Anthropic", LLM_DIALECT_ANTHROPIC, SSE, NULL,
      CLAUDE("{\"type\":\"thinking\",\"thinking\":\"some words that are long "
             "enough\",\"signature\":\"S\"},{\"type\":\"redacted_thinking\","
             "\"data\":\"D\"},{\"type\":\"text\",\"text\":\"Hi\","
             "\"citations\":[{\"c\":1},{\"c\":2}]},{\"type\":\"text\","
             "\"text\":\"a\",\"citations\":null},{\"type\":\"tool_use\","
             "\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":\"\\\"\\\\"
             "\\u00e9\\n some more of it\",\"b\":[1.50,{}]}},{\"type\":"
             "\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":{}}",
             "\"tool_use\""), 0 },

    { "Gemini", LLM_DIALECT_GEMINI, SSE, NULL,
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"thinking of "
      "some words\",\"thought\":true},{\"text\":\"some words that are long "
      "enough\"},{\"functionCall\":{\"name\":\"f\",\"args\":{\"x\":1}}},{"
      "\"text\":\"signed\",\"thoughtSignature\":\"S\"}],\"role\":\"model\"},"
      "\"finishReason\":\"STOP\",\"index\":0,\"safetyRatings\":[{\"s\":1}],"
      "\"avgLogprobs\":-0.1}],\"usageMetadata\":{\"promptTokenCount\":7},"
      "\"modelVersion\":\"g\",\"responseId\":\"r\",\"x_song\":{\"la\":1}}",
      0 },

    { "Gemini: candidates", LLM_DIALECT_GEMINI, SSE, NULL,
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"finishReason\":\"STOP\",\"index\":0},{\"content\":{\"parts\":[{"
      "\"text\":\"b\"}]},\"finishReason\":\"STOP\",\"index\":1}]}", 0 },

    { "Gemini: candidates, the first index is left out", LLM_DIALECT_GEMINI,
      SSE, NULL,
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
      "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":\"b\"}"
      "]},\"finishReason\":\"STOP\",\"index\":1}]}", 0 },

    { "Cohere", LLM_DIALECT_COHERE_CHAT, SSE, NULL,
      "{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"tool_plan\":"
      "\"I will do this and that\",\"content\":[{\"type\":\"thinking\","
      "\"thinking\":\"Hm\"},{\"type\":\"text\",\"text\":\"some words that "
      "are long enough\"}],\"tool_calls\":[{\"id\":\"t\",\"type\":"
      "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}],"
      "\"citations\":[{\"start\":0,\"sources\":[]}]},\"finish_reason\":"
      "\"TOOL_CALL\",\"usage\":{\"tokens\":{\"input_tokens\":1}}}", 0 },

    { "Cohere: log probabilities", LLM_DIALECT_COHERE_CHAT, SSE, NULL,
      "{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"content\":[{"
      "\"type\":\"thinking\",\"thinking\":\"Hm\"},{\"type\":\"text\","
      "\"text\":\"a b c\"}]},\"finish_reason\":\"COMPLETE\",\"usage\":{"
      "\"tokens\":{\"input_tokens\":1}},\"logprobs\":[{\"text\":\"a\","
      "\"logprobs\":[-1]},{\"text\":\" b\",\"logprobs\":[-0]},{\"text\":"
      "\" c\",\"logprobs\":[-2]}]}", 0 },

    { "Ollama: chat", LLM_DIALECT_OLLAMA_CHAT, NDJSON, NULL,
      "{\"model\":\"l\",\"created_at\":\"4\",\"message\":{\"role\":"
      "\"assistant\",\"content\":\"some words that are long enough\","
      "\"thinking\":\"Hm\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
      "\"arguments\":{\"x\":1}}}]},\"done\":true,\"done_reason\":\"stop\","
      "\"eval_count\":3}", 0 },

    { "Ollama: generate", LLM_DIALECT_OLLAMA_GENERATE, NDJSON, NULL,
      "{\"model\":\"l\",\"created_at\":\"4\",\"response\":\"some words that "
      "are long enough\",\"thinking\":\"Hm\",\"done\":true,\"done_reason\":"
      "\"stop\",\"context\":[1,2]}", 0 }
};

#define ANSWERS  (sizeof(answers) / sizeof(answers[0]))


static void
test_streams(void)
{
    char                  *json;
    size_t                 i;
    const convert_case_t  *c;

    for (i = 0; i < STREAMS; i++) {
        c = &streams[i];

        json = convert_run(c->dialect, LLM_ASK_JSON, c->flags, c->form,
                           c->stream);

        is_int(convert_gate(c->dialect, c->form == SSE ? LLM_ASK_SSE
                            : c->form == NDJSON ? LLM_ASK_NDJSON
                            : LLM_ASK_ARRAY, c->stream), LLM_REASON_NONE,
               "%s: would be stored", c->name);

        if (!ok(c->json ? convert_same(json, c->json) : json == NULL,
                "%s: stream to JSON", c->name))
        {
            printf("#   got: %s\n#   expected: %s\n", json ? json : "none",
                   c->json ? c->json : "none");
        }

        free(json);
    }
}


static void
test_answers(void)
{
    char                  *stream, *array, *json;
    size_t                 i;
    const convert_case_t  *c;

    for (i = 0; i < ANSWERS; i++) {
        c = &answers[i];

        stream = convert_around(c->dialect, convert_stream(c->dialect),
                                c->flags, c->json, c->name);

        if (c->dialect == LLM_DIALECT_GEMINI) {

            array = convert_around(c->dialect, LLM_ASK_ARRAY, 0, c->json,
                                   c->name);
            json = convert_run(c->dialect, LLM_ASK_ARRAY, 0, SSE, stream);
            ok(convert_same(array, json), "%s: SSE to an array", c->name);
            free(json);

            json = convert_run(c->dialect, LLM_ASK_SSE, 0, JSON, array);
            is_mem(json, json ? strlen(json) : 0, stream, strlen(stream),
                   "%s: an array to SSE", c->name);
            free(json);
            free(array);
        }

        free(stream);
    }
}


/* Groq's and Mistral's streams tell usage unasked, in the last chunk */

static void
test_unasked(void)
{
    char    *text;
    size_t   i;

    static const struct {
        const char  *member, *told;
    } cases[] = {
        { "\"x_groq\":{\"id\":\"r\"}", "}],\"x_groq\":{\"id\":\"r\","
          "\"usage\":{\"prompt_tokens\":1}}}\n\n" },
        { "\"x_groq\":{}", "}],\"x_groq\":{\"usage\":{\"prompt_tokens\":1}"
          "}}\n\n" },
        { "\"model\":\"mistral-small-latest\"",
          "}],\"usage\":{\"prompt_tokens\":1}}\n\n" },
        { "\"model\":\"ft:open-mistral-7b:x\"",
          "}],\"usage\":{\"prompt_tokens\":1}}\n\n" },
        { "\"model\":\"mistral\"", NULL },
        { "\"model\":\"gpt\"", NULL }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char  json[512];

        snprintf(json, sizeof(json), "{\"id\":\"c\",%s,\"choices\":[{"
                 "\"index\":0,\"message\":{\"role\":\"assistant\","
                 "\"content\":\"a\"},"
                 "\"finish_reason\":\"stop\"},{\"index\":1,\"message\":{"
                 "\"role\":\"assistant\",\"content\":\"b\"},"
                 "\"finish_reason\":\"stop\"}],\"usage\":{"
                 "\"prompt_tokens\":1}}", cases[i].member);

        text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, 0, JSON, json);
        ok(text && (cases[i].told
                    ? strstr(text, cases[i].told)
                      && strcmp(strstr(text, cases[i].told)
                                + strlen(cases[i].told),
                                "data: [DONE]\n\n") == 0
                    : strstr(text, "usage") == NULL),
           "%s: not asked for usage", cases[i].member);
        free(text);

        text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, ASKED, JSON, json);
        ok(text && strstr(text, ",\"choices\":[],\"usage\":{"
                          "\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n")
           && strstr(text, "usage") && (strstr(json, "model") == NULL
           || strstr(strstr(text, "usage") + 1, "usage") == NULL),
           "%s: asked for it", cases[i].member);
        free(text);

        free(convert_around(LLM_DIALECT_CHAT, LLM_ASK_SSE, ASKED, json,
                            cases[i].member));
    }
}


/* usage is told to who wants it, and the mark stands in the first event */

static void
test_wishes(void)
{
    char  *text;

    static const char  json[] =
        CHAT_JSON(CHAT_CHOICE("0", "\"role\":\"assistant\",\"content\":"
                              "\"Hi\"", "stop"));
    static const char  none[] =
        "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}";

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, 0, JSON, json);
    ok(text && strstr(text, "usage") == NULL, "no usage without a wish");
    ok(text && strncmp(text, "data: {\"id\":\"c\",\"object\":"
                       "\"chat.completion.chunk\",\"created\":7,", 60) == 0,
       "members stand where they stood");
    free(text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, ASKED, JSON, json);
    ok(text && strstr(text, "\"choices\":[]," CHAT_USAGE
                      "}\n\ndata: [DONE]\n\n"),
       "usage in an event of its own");
    free(text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, ASKED, JSON, none);
    ok(text == NULL, "usage is wished, and was not told");
    free(text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, MARK, JSON, json);
    ok(text && strstr(text, ",\"cache\":true}\n\n")
       == strstr(text, "\n\n") - strlen(",\"cache\":true}"),
       "the mark in the first event");
    free(text);

    text = convert_run(LLM_DIALECT_OLLAMA_CHAT, LLM_ASK_JSON, MARK, NDJSON,
                       streams[STREAMS - 2].stream);
    ok(text && strstr(text, ",\"cache\":true}")
       == text + strlen(text) - strlen(",\"cache\":true}"),
       "the mark at the end of JSON");
    free(text);

    ok(llm_convert_knows(llm_dialect_get(LLM_DIALECT_CHAT))
       && !llm_convert_knows(llm_dialect_get(LLM_DIALECT_EMBEDDINGS)),
       "the dialects with streams");
}


/* hostile texts are refused, or give something; they do no harm */

static void
test_limits(void)
{
    char           *text, *long_text;
    size_t          n;
    llm_buf_t       out;
    llm_str_t       body;
    llm_convert_t   convert;

    memset(&convert, 0, sizeof(llm_convert_t));
    memset(&out, 0, sizeof(llm_buf_t));

    convert.dialect = llm_dialect_get(LLM_DIALECT_OLLAMA_GENERATE);
    convert.form = JSON;
    convert.ask = LLM_ASK_NDJSON;
    convert.max = 4096;

    n = 3000;
    long_text = malloc(n + 64);
    memcpy(long_text, "{\"response\":\"", 13);
    memset(long_text + 13, 'x', n);
    memcpy(long_text + 13 + n, "\",\"done\":true}", 15);

    body.data = (unsigned char *) long_text;
    body.len = strlen(long_text);

    ok(llm_convert(&convert, body, &out) != 0, "a result that is too long");
    llm_buf_free(&out);

    convert.max = 1 << 20;
    ok(llm_convert(&convert, body, &out) == 0, "and one that is not");
    llm_buf_free(&out);
    free(long_text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, 0, JSON,
                       "{\"ch\\u006fices\":[]}");
    ok(text == NULL, "a name that is spelled oddly");
    free(text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, 0, JSON,
                       "{\"choices\":[{\"index\":0,\"message\":{\"content\":"
                       "\"a\",\"annotations\":{\"a\":1}},"
                       "\"finish_reason\":\"stop\"}]}");
    ok(text == NULL, "annotations that are no list");
    free(text);

    text = convert_run(LLM_DIALECT_RESPONSES, LLM_ASK_SSE, 0, JSON,
                       "{\"status\":\"completed\",\"output\":[{\"a\":1}],"
                       "\"delta\":\"x\"}");
    ok(text == NULL, "an answer in a member of an event");
    free(text);

    text = convert_run(LLM_DIALECT_ANTHROPIC, LLM_ASK_SSE, 0, JSON,
                       "{\"content\":[],\"stop_reason\":\"end_turn\","
                       "\"delta\":{\"text\":\"x\"}}");
    ok(text == NULL, "and of another API's");
    free(text);

    text = convert_run(LLM_DIALECT_CHAT, LLM_ASK_SSE, 0, JSON, "{\"a\":tru");
    ok(text == NULL, "half a text");
    free(text);

    text = convert_run(LLM_DIALECT_JSON, LLM_ASK_SSE, 0, JSON, "{}");
    ok(text == NULL, "a dialect without streams");
    free(text);
}


/* the work grows with the body, whatever it holds */

static char *
make_members(unsigned n, size_t text)
{
    char      *json, *p;
    unsigned   i;

    json = malloc(n * 12 + text + 64);
    p = json + sprintf(json, "{\"response\":\"");

    while (text-- > 0) {
        *p++ = text % 8 ? 'w' : ' ';
    }

    p += sprintf(p, "\",\"done\":true");

    for (i = 0; i < n; i++) {
        p += sprintf(p, ",\"m%u\":1", i);
    }

    sprintf(p, "}");

    return json;
}


static char *
make_choices(unsigned n, unsigned rounds)
{
    char      *stream, *p;
    unsigned   i;

    stream = malloc(n * rounds * 192 + 192);
    p = stream;

    for (i = 0; i < n * rounds; i++) {
        p += sprintf(p, "data: {\"id\":\"cmpl-0123456789abcdef\",\"object\":"
                     "\"text_completion\",\"model\":\"m\",\"choices\":[{"
                     "\"index\":%u,\"text\":\"a\",\"logprobs\":null,"
                     "\"finish_reason\":null}]}\n\n", i * 5 % n);
    }

    sprintf(p, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n");

    return stream;
}


static void
test_steps(void)
{
    char      *body, *text;
    size_t     i;

    static const struct {
        unsigned  members;
        size_t    text;
        int       rc;
    } cases[] = {
        { 10, 100000, 0 }, { 3000, 100, 0 }, { 3000, 50000, -1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        body = make_members(cases[i].members, cases[i].text);
        text = convert_run(LLM_DIALECT_OLLAMA_GENERATE, LLM_ASK_NDJSON, 0,
                           JSON, body);
        is_int(text ? 0 : -1, cases[i].rc, "%u members, %zu bytes of text",
               cases[i].members, cases[i].text);
        free(text);
        free(body);
    }

    for (i = 127; i < 3000; i += 2000) {
        body = make_choices((unsigned) i, 20);
        text = convert_run(LLM_DIALECT_COMPLETIONS, LLM_ASK_JSON, 0, SSE,
                           body);
        is_int(text ? 0 : -1, i == 127 ? 0 : -1, "%zu choices in turns", i);
        free(text);
        free(body);
    }
}


int
main(void)
{
    test_streams();
    test_answers();
    test_unasked();
    test_wishes();
    test_limits();
    test_steps();

    return done();
}
