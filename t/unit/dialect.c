#include <stdio.h>

#include "llm_dialect.h"
#include "tap.h"


typedef struct {
    const char     *path;
    const char     *args;
    llm_dialect_e   id;
    const char     *model;
    int             stateful;
    int             stream;
} route_case_t;

typedef struct {
    const char     *name;
    const char     *path;
    const char     *body;
    int             expected;
} ask_case_t;


static const route_case_t  route_cases[] = {

    { "/v1/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/v1/chat/completions/", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/openai/v1/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/api/v1/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/v1beta/openai/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/openai/deployments/gpt-4o/chat/completions", "api-version=1",
      LLM_DIALECT_CHAT, "gpt-4o", 0, 0 },
    { "/openai/deployments/files/chat/completions", "", LLM_DIALECT_CHAT,
      "files", 0, 0 },
    { "/my-files-app/v1/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/files/v1/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/v1/prefiles/chat/completions", "", LLM_DIALECT_CHAT, "", 0, 0 },
    { "/v1/xchat/completions", "", LLM_DIALECT_COMPLETIONS, "", 0, 0 },
    { "/v1/completions", "", LLM_DIALECT_COMPLETIONS, "", 0, 0 },
    { "/v1/fim/completions", "", LLM_DIALECT_COMPLETIONS, "", 0, 0 },
    { "/v1/engines/davinci/completions", "", LLM_DIALECT_COMPLETIONS,
      "davinci", 0, 0 },
    { "/v1/xcompletions", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v1/responses", "", LLM_DIALECT_RESPONSES, "", 0, 0 },
    { "/v1/embeddings", "", LLM_DIALECT_EMBEDDINGS, "", 0, 0 },
    { "/openai/deployments/ada/embeddings", "", LLM_DIALECT_EMBEDDINGS,
      "ada", 0, 0 },
    { "/v1/messages", "beta=true", LLM_DIALECT_ANTHROPIC, "", 0, 0 },
    { "/v1/messages/count_tokens", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v1/projects/p/locations/l/publishers/anthropic/models/claude"
      ":rawPredict", "", LLM_DIALECT_ANTHROPIC, "claude", 0, 0 },
    { "/v1/projects/p/locations/l/publishers/anthropic/models/claude"
      ":streamRawPredict", "", LLM_DIALECT_ANTHROPIC, "claude", 0, 1 },
    { "/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict",
      "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v1beta/models/gemini-2.0-flash:generateContent", "key=x",
      LLM_DIALECT_GEMINI, "gemini-2.0-flash", 0, 0 },
    { "/v1beta/models/gemini-2.0-flash:streamGenerateContent", "alt=sse",
      LLM_DIALECT_GEMINI, "gemini-2.0-flash", 0, 1 },
    { "/v1beta/models/files:generateContent", "", LLM_DIALECT_GEMINI,
      "files", 0, 0 },
    { "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
      "", LLM_DIALECT_GEMINI, "g", 0, 0 },
    { "/v1beta/tunedModels/mine:generateContent", "", LLM_DIALECT_GEMINI,
      "mine", 0, 0 },
    { ":generateContent", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v1beta/:generateContent", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v1beta/models/e:embedContent", "", LLM_DIALECT_GEMINI_EMBED, "e", 0,
      0 },
    { "/v1beta/models/e:batchEmbedContents", "", LLM_DIALECT_GEMINI_EMBED,
      "e", 0, 0 },
    { "/v1beta/models/g:countTokens", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v2/chat", "", LLM_DIALECT_COHERE_CHAT, "", 0, 0 },
    { "/cohere/v2/chat", "", LLM_DIALECT_COHERE_CHAT, "", 0, 0 },
    { "/v1/chat", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/v2/embed", "", LLM_DIALECT_COHERE_EMBED, "", 0, 0 },
    { "/v1/embed", "", LLM_DIALECT_COHERE_EMBED, "", 0, 0 },
    { "/v2/rerank", "", LLM_DIALECT_RERANK, "", 0, 0 },
    { "/v1/rerank", "", LLM_DIALECT_RERANK, "", 0, 0 },
    { "/rerank", "", LLM_DIALECT_RERANK, "", 0, 0 },
    { "/v1/reranking", "", LLM_DIALECT_RERANK, "", 0, 0 },
    { "/api/chat", "", LLM_DIALECT_OLLAMA_CHAT, "", 0, 0 },
    { "/ollama/api/generate", "", LLM_DIALECT_OLLAMA_GENERATE, "", 0, 0 },
    { "/api/embed", "", LLM_DIALECT_OLLAMA_EMBED, "", 0, 0 },
    { "/api/embeddings", "", LLM_DIALECT_OLLAMA_EMBED, "", 0, 0 },
    { "/v1/moderations", "", LLM_DIALECT_MODERATIONS, "", 0, 0 },
    { "/v1/tokenize", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/run/llama3:8b", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "", "", LLM_DIALECT_JSON, "", 0, 0 },

    { "/v1/chat/completions/chatcmpl-1", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/responses/resp_1", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/responses/resp_1/cancel", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/messages/batches", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/threads", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/threads/t_1/messages", "", LLM_DIALECT_ANTHROPIC, "", 1, 0 },
    { "/v1/threads/t_1/runs", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/threads/t_1/runs/r_1/submit_tool_outputs", "", LLM_DIALECT_JSON,
      "", 1, 0 },
    { "/openai/threads/t_1/messages", "api-version=1", LLM_DIALECT_ANTHROPIC,
      "", 1, 0 },
    { "/openai/Threads/t_1/messages", "", LLM_DIALECT_ANTHROPIC, "", 1, 0 },
    { "/v1/assistants", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/batches", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/files", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/uploads/u_1/parts", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/fine_tuning/jobs", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/fine-tunes", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/fine_tuning/models/files", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/realtime/sessions", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/vector_stores/vs_1/search", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/conversations", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/conversations/c_1/completions", "", LLM_DIALECT_COMPLETIONS, "", 1,
      0 },
    { "/v1/containers", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/evals", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/videos", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/agents/completions", "", LLM_DIALECT_COMPLETIONS, "", 1, 0 },
    { "/files/chat/completions", "", LLM_DIALECT_CHAT, "", 1, 0 },
    { "/v1beta/cachedContents", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1beta/tunedModels", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1beta/tunedModels/mine:transferOwnership", "", LLM_DIALECT_JSON, "",
      1, 0 },
    { "/upload/v1beta/files", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1beta/models/g:batchGenerateContent", "", LLM_DIALECT_JSON, "", 1,
      0 },
    { "/v1beta/models/veo:predictLongRunning", "", LLM_DIALECT_JSON, "", 1,
      0 },
    { "/api/pull", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/api/create", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/v1/create", "", LLM_DIALECT_JSON, "", 0, 0 },

    /* what is a version, and so the end of a prefix */

    { "/files/v0/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v9/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v10/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v19/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/V1/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v1beta/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v1p1beta1/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v1p10beta1/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v1aZ/x", "", LLM_DIALECT_JSON, "", 0, 0 },
    { "/files/v1p10beta12/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/vx/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v:/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v./x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/w1/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/1/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v1-x/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v1_x/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v1{/x", "", LLM_DIALECT_JSON, "", 1, 0 },
    { "/files/v1:/x", "", LLM_DIALECT_JSON, "", 1, 0 }
};

#define ROUTE_CASES  (sizeof(route_cases) / sizeof(route_cases[0]))


#define CHAT       "/v1/chat/completions"
#define RESPONSES  "/v1/responses"
#define MESSAGES   "/v1/messages"
#define GENERATE   "/v1beta/models/g:generateContent"


static const ask_case_t  tool_cases[] = {

    { "no tools", CHAT, "{}", 0 },
    { "an empty list", CHAT, "{\"tools\":[]}", 0 },
    { "null", CHAT, "{\"tools\":null}", 0 },
    { "a function", CHAT, "{\"tools\":[{\"type\":\"function\",\"function\":"
      "{\"name\":\"web_search\"}}]}", 0 },
    { "a custom tool", CHAT, "{\"tools\":[{\"type\":\"custom\"}]}", 0 },
    { "a function without its type", CHAT,
      "{\"tools\":[{\"function\":{\"name\":\"f\"}}]}", 0 },
    { "another type", CHAT, "{\"tools\":[{\"type\":\"function\"},"
      "{\"type\":\"browser_search\"}]}", 1 },
    { "a tool of no type", CHAT, "{\"tools\":[{\"googleSearch\":{}}]}", 1 },
    { "a tool that is no object", CHAT, "{\"tools\":[\"web_search\"]}", 1 },
    { "a tool outside a list", CHAT, "{\"tools\":{\"type\":\"mcp\"}}", 1 },
    { "web_search_options", CHAT, "{\"web_search_options\":{}}", 1 },
    { "web_search_options null", CHAT, "{\"web_search_options\":null}", 0 },
    { "search_parameters", CHAT, "{\"search_parameters\":{\"mode\":\"auto\"}}",
      1 },
    { "search_parameters off", CHAT,
      "{\"search_parameters\":{\"mode\":\"off\"}}", 0 },
    { "plugins", CHAT, "{\"plugins\":[{\"id\":\"web\"}]}", 1 },
    { "no plugins", CHAT, "{\"plugins\":[]}", 0 },
    { "plugins of no list", CHAT, "{\"plugins\":{\"id\":\"web\"}}", 1 },
    { "plugins of an empty object", CHAT, "{\"plugins\":{}}", 0 },
    { "data_sources", CHAT, "{\"data_sources\":[{}]}", 1 },
    { "dataSources", CHAT, "{\"dataSources\":[{}]}", 1 },
    { "enable_search", CHAT, "{\"enable_search\":true}", 1 },
    { "enable_search off", CHAT, "{\"enable_search\":false}", 0 },
    { "search_settings", CHAT, "{\"search_settings\":{}}", 1 },
    { "compound_custom", CHAT, "{\"compound_custom\":{}}", 1 },
    { "connectors", "/v2/chat", "{\"connectors\":[{\"id\":\"web-search\"}]}",
      1 },
    { "an online model", CHAT, "{\"model\":\"openai/gpt-4o:online\"}", 1 },
    { "another online model", CHAT, "{\"model\":\"pplx-7b-online\"}", 1 },
    { "an ordinary model", CHAT, "{\"model\":\"openai/gpt-4o:free\"}", 0 },
    { "a search model", CHAT, "{\"model\":\"gpt-4o-search-preview\"}", 1 },
    { "a dated search model", CHAT,
      "{\"model\":\"gpt-4o-mini-search-preview-2025-03-11\"}", 1 },
    { "a search API model", CHAT, "{\"model\":\"gpt-5-search-api\"}", 1 },
    { "a research model", RESPONSES, "{\"model\":\"o3-deep-research\"}", 1 },
    { "sonar alone", CHAT, "{\"model\":\"sonar\"}", 1 },
    { "deep-research first", CHAT, "{\"model\":\"deep-research-pro\"}", 1 },
    { "sonar", CHAT, "{\"model\":\"perplexity/sonar-pro\"}", 1 },
    { "sonar elsewhere", CHAT, "{\"model\":\"my-sonar\"}", 0 },
    { "compound", CHAT, "{\"model\":\"groq/compound\"}", 1 },
    { "compound-mini", CHAT, "{\"model\":\"groq/compound-mini\"}", 1 },
    { "compound-beta", CHAT, "{\"model\":\"compound-beta-mini\"}", 1 },
    { "compounds", CHAT, "{\"model\":\"compounds\"}", 0 },
    { "a model in the path",
      "/openai/deployments/gpt-4o-search-preview/chat/completions", "{}", 1 },

    { "Responses: client tools", RESPONSES, "{\"tools\":[{\"type\":"
      "\"function\"},{\"type\":\"custom\"},{\"type\":\"local_shell\"},"
      "{\"type\":\"apply_patch\"}]}", 0 },
    { "Responses: web_search", RESPONSES,
      "{\"tools\":[{\"type\":\"web_search_2025_08_26\"}]}", 1 },
    { "Responses: file_search", RESPONSES,
      "{\"tools\":[{\"type\":\"file_search\"}]}", 1 },
    { "Responses: code_interpreter", RESPONSES,
      "{\"tools\":[{\"type\":\"code_interpreter\"}]}", 1 },
    { "Responses: computer use", RESPONSES,
      "{\"tools\":[{\"type\":\"computer_use_preview\"}]}", 1 },
    { "Responses: MCP", RESPONSES, "{\"tools\":[{\"type\":\"mcp\"}]}", 1 },
    { "Responses: image generation", RESPONSES,
      "{\"tools\":[{\"type\":\"image_generation\"}]}", 1 },
    { "Responses: a shell in a container", RESPONSES,
      "{\"tools\":[{\"type\":\"shell\",\"environment\":{\"type\":"
      "\"container_auto\"}}]}", 1 },
    { "Responses: a local shell", RESPONSES,
      "{\"tools\":[{\"type\":\"shell\",\"environment\":{\"type\":"
      "\"local\"}}]}", 0 },
    { "Responses: tool search by the client", RESPONSES,
      "{\"tools\":[{\"type\":\"tool_search\",\"execution\":\"client\"}]}", 0 },
    { "Responses: tool search", RESPONSES,
      "{\"tools\":[{\"type\":\"tool_search\"}]}", 1 },
    { "Responses: a namespace of functions", RESPONSES,
      "{\"tools\":[{\"type\":\"namespace\",\"tools\":[{\"type\":"
      "\"function\"}]}]}", 0 },
    { "Responses: a namespace with a search", RESPONSES,
      "{\"tools\":[{\"type\":\"namespace\",\"tools\":[{\"type\":"
      "\"web_search\"}]}]}", 1 },

    { "Anthropic: client tools", MESSAGES, "{\"tools\":[{\"name\":\"f\"},"
      "{\"type\":\"custom\"},{\"type\":\"bash_20250124\"},"
      "{\"type\":\"text_editor_20250728\"},{\"type\":\"memory_20250818\"}]}",
      0 },
    { "Anthropic: web search", MESSAGES,
      "{\"tools\":[{\"type\":\"web_search_20250305\"}]}", 1 },
    { "Anthropic: web fetch", MESSAGES,
      "{\"tools\":[{\"type\":\"web_fetch_20250910\"}]}", 1 },
    { "Anthropic: code execution", MESSAGES,
      "{\"tools\":[{\"type\":\"code_execution_20250825\"}]}", 1 },
    { "Anthropic: computer use", MESSAGES,
      "{\"tools\":[{\"type\":\"computer_20250124\"}]}", 1 },
    { "Anthropic: an MCP toolset", MESSAGES,
      "{\"tools\":[{\"type\":\"mcp_toolset\"}]}", 1 },
    { "Anthropic: MCP servers", MESSAGES, "{\"mcp_servers\":[{}]}", 1 },
    { "Anthropic: a container", MESSAGES, "{\"container\":\"c_1\"}", 1 },

    { "Gemini: functions", GENERATE,
      "{\"tools\":[{\"functionDeclarations\":[{}]},"
      "{\"function_declarations\":[{}]}]}", 0 },
    { "Gemini: Google search", GENERATE,
      "{\"tools\":[{\"functionDeclarations\":[]},{\"googleSearch\":{}}]}", 1 },
    { "Gemini: the other spelling", GENERATE,
      "{\"tools\":[{\"google_search\":{}}]}", 1 },
    { "Gemini: search retrieval", GENERATE,
      "{\"tools\":[{\"googleSearchRetrieval\":{}}]}", 1 },
    { "Gemini: code execution", GENERATE,
      "{\"tools\":[{\"codeExecution\":{}}]}", 1 },
    { "Gemini: URL context", GENERATE,
      "{\"tools\":[{\"urlContext\":{}}]}", 1 },
    { "Gemini: tools without a list", GENERATE,
      "{\"tools\":{\"googleSearch\":{}}}", 1 },
    { "Gemini: null", GENERATE, "{\"tools\":[{\"googleSearch\":null}]}", 0 }
};

#define TOOL_CASES  (sizeof(tool_cases) / sizeof(tool_cases[0]))


/* a bit of llm_ask_t each: 's' stream, 'u' include_usage, 't' stateful, or a
   form */

static const ask_case_t  stream_cases[] = {
    { "absent", CHAT, "{}", 'j' },
    { "false", CHAT, "{\"stream\":false}", 'j' },
    { "null", CHAT, "{\"stream\":null}", 'j' },
    { "true", CHAT, "{\"stream\":true}", 's' },
    { "a number", CHAT, "{\"stream\":1}", 'o' },
    { "a string", CHAT, "{\"stream\":\"true\"}", 'o' },
    { "Ollama: absent", "/api/chat", "{}", 'n' },
    { "Ollama: null", "/api/chat", "{\"stream\":null}", 'n' },
    { "Ollama: true", "/api/generate", "{\"stream\":true}", 'n' },
    { "Ollama: false", "/api/generate", "{\"stream\":false}", 'j' },
    { "Ollama: embeddings", "/api/embed", "{}", 'j' },
    { "Gemini: no field of it", GENERATE, "{\"stream\":true}", 'j' },
    { "Gemini: the stream URL", "/v1beta/models/g:streamGenerateContent",
      "{\"stream\":false}", 'a' },
    { "the URL asks, whatever the body says",
      "/v1/publishers/anthropic/models/c:streamRawPredict",
      "{\"stream\":false}", 's' },
    { "and when it says nothing",
      "/v1/publishers/anthropic/models/c:streamRawPredict", "{}", 's' },
    { "any other", "/v1/other", "{\"stream\":true}", 's' }
};

#define STREAM_CASES  (sizeof(stream_cases) / sizeof(stream_cases[0]))


static const ask_case_t  state_cases[] = {
    { "nothing", RESPONSES, "{\"previous_response_id\":\"r\",\"store\":true}",
      0 },
    { "background", RESPONSES, "{\"background\":true}", 1 },
    { "background false", RESPONSES, "{\"background\":false}", 0 },
    { "a conversation", RESPONSES, "{\"conversation\":\"c_1\"}", 1 },
    { "a conversation object", RESPONSES, "{\"conversation\":{\"id\":\"c\"}}",
      1 },
    { "conversation null", RESPONSES, "{\"conversation\":null}", 0 },
    { "in another dialect", CHAT, "{\"conversation\":\"c\"}", 0 }
};

#define STATE_CASES  (sizeof(state_cases) / sizeof(state_cases[0]))


/* tenths */

static const ask_case_t  temperature_cases[] = {
    { "chat: default", CHAT, "{}", 10 },
    { "chat: null", CHAT, "{\"temperature\":null}", 10 },
    { "chat: a string", CHAT, "{\"temperature\":\"0.5\"}", 10 },
    { "chat: zero", CHAT, "{\"temperature\":0}", 0 },
    { "chat: an integer", CHAT, "{\"temperature\":2}", 20 },
    { "chat: a real", CHAT, "{\"temperature\":0.7}", 7 },
    { "chat: below zero", CHAT, "{\"temperature\":-1}", 0 },
    { "Responses", RESPONSES, "{}", 10 },
    { "completions", "/v1/completions", "{}", 10 },
    { "Anthropic", MESSAGES, "{}", 10 },
    { "Gemini: default", GENERATE, "{\"temperature\":0.1}", 10 },
    { "Gemini", GENERATE, "{\"generationConfig\":{\"temperature\":0.2}}", 2 },
    { "Gemini: the other spelling", GENERATE,
      "{\"generation_config\":{\"temperature\":0.4}}", 4 },
    { "Cohere", "/v2/chat", "{}", 3 },
    { "Cohere: given", "/v2/chat", "{\"temperature\":0.9}", 9 },
    { "Ollama: default", "/api/chat", "{\"temperature\":0.1}", 8 },
    { "Ollama", "/api/generate", "{\"options\":{\"temperature\":0}}", 0 },
    { "embeddings", "/v1/embeddings", "{}", -10 },
    { "rerank", "/v1/rerank", "{}", -10 },
    { "moderations", "/v1/moderations", "{}", -10 },
    { "any other", "/v1/other", "{}", -10 },
    { "any other: given", "/v1/other", "{\"temperature\":1.5}", 15 }
};

#define TEMPERATURE_CASES  \
    (sizeof(temperature_cases) / sizeof(temperature_cases[0]))


static llm_str_t
str(const char *text)
{
    llm_str_t  s;

    s.data = (const unsigned char *) text;
    s.len = strlen(text);

    return s;
}


static void
test_routes(void)
{
    size_t               i;
    llm_route_t          route;
    const route_case_t  *c;

    for (i = 0; i < ROUTE_CASES; i++) {
        c = &route_cases[i];

        llm_dialect_route(str(c->path), str(c->args), &route);

        is_int(route.dialect->id, c->id, "%s: dialect", c->path);
        is_str(route.model, c->model, "%s: model", c->path);
        is_int(route.stateful, c->stateful, "%s: %s", c->path,
               c->stateful ? "stateful" : "not stateful");
        is_int(route.stream, c->stream, "%s: %s", c->path,
               c->stream ? "a stream" : "no stream by its URL");
    }
}


static llm_ask_t
ask(const char *path, const char *args, const char *body, json_t **doc)
{
    llm_ask_t           ask;
    static llm_route_t  route;

    *doc = json_loads(body, 0, NULL);

    llm_dialect_route(str(path), str(args), &route);
    llm_dialect_ask(&route, *doc, &ask);

    return ask;
}


static void
test_asks(void)
{
    size_t              i;
    json_t             *doc;
    llm_ask_t           a;
    const ask_case_t   *c;

    for (i = 0; i < TOOL_CASES; i++) {
        c = &tool_cases[i];
        a = ask(c->path, "", c->body, &doc);
        ok(doc && a.hosted_tools == (unsigned) c->expected, "tools: %s: %s",
           c->name, c->expected ? "hosted" : "not hosted");
        json_decref(doc);
    }

    for (i = 0; i < STREAM_CASES; i++) {
        c = &stream_cases[i];
        a = ask(c->path, "", c->body, &doc);
        is_int(a.form, c->expected, "stream: %s: form", c->name);
        is_int(a.stream, c->expected != 'j' && c->expected != 'o',
               "stream: %s", c->name);
        json_decref(doc);
    }

    for (i = 0; i < STATE_CASES; i++) {
        c = &state_cases[i];
        a = ask(c->path, "", c->body, &doc);
        ok(doc && a.stateful == (unsigned) c->expected, "state: %s", c->name);
        json_decref(doc);
    }

    for (i = 0; i < TEMPERATURE_CASES; i++) {
        c = &temperature_cases[i];
        a = ask(c->path, "", c->body, &doc);
        is_int(a.temperature * 10 + (a.temperature < 0 ? -0.5 : 0.5),
               c->expected, "temperature: %s", c->name);
        json_decref(doc);
    }

    a = ask("/v1beta/models/g:streamGenerateContent", "key=k&alt=sse", "{}",
            &doc);
    is_int(a.form, 's', "Gemini: alt=sse asks for events");
    json_decref(doc);

    a = ask(GENERATE, "alt=sse", "{}", &doc);
    is_int(a.form, 'j', "not where nothing streams");
    json_decref(doc);
}


static void
test_models(void)
{
    json_t     *doc;
    llm_ask_t   a;

    a = ask(CHAT, "", "{\"model\":\"gpt-4o\"}", &doc);
    is_str(a.model, "gpt-4o", "the model is the body's");
    json_decref(doc);

    a = ask("/openai/deployments/mine/chat/completions", "",
            "{\"model\":\"gpt-4o\"}", &doc);
    is_str(a.model, "gpt-4o", "before the path's");
    json_decref(doc);

    a = ask("/openai/deployments/mine/chat/completions", "", "{}", &doc);
    is_str(a.model, "mine", "the path's where the body has none");
    json_decref(doc);

    a = ask("/openai/deployments/mine/chat/completions", "",
            "{\"model\":\"\"}", &doc);
    is_str(a.model, "mine", "or an empty one");
    json_decref(doc);

    a = ask(CHAT, "", "{\"model\":7}", &doc);
    is_str(a.model, "", "a number is none");
    json_decref(doc);

    a = ask("/v1beta/models/e:embedContent", "", "{\"model\":\"models/e\"}",
            &doc);
    is_str(a.model, "e", "Gemini's is the path's");
    json_decref(doc);

    a = ask("/any/thing", "", "{\"model\":\"m\"}", &doc);
    is_str(a.model, "m", "any other's too");
    json_decref(doc);
}


static void
test_usage_option(void)
{
    json_t     *doc;
    llm_ask_t   a;

    a = ask(CHAT, "", "{\"stream_options\":{\"include_usage\":true}}", &doc);
    is_int(a.include_usage, 1, "include_usage");
    json_decref(doc);

    a = ask(CHAT, "", "{\"stream_options\":{\"include_usage\":false}}", &doc);
    is_int(a.include_usage, 0, "include_usage false");
    json_decref(doc);

    a = ask(CHAT, "", "{\"stream_options\":null}", &doc);
    is_int(a.include_usage, 0, "stream_options null");
    json_decref(doc);
}


static llm_buf_t
uri(const char *path, const char *args)
{
    llm_buf_t    buf;
    llm_route_t  route;

    memset(&buf, 0, sizeof(buf));

    llm_dialect_route(str(path), str(args), &route);

    if (llm_dialect_key_uri(&route, str(path), str(args), &buf) != 0) {
        llm_buf_free(&buf);
    }

    return buf;
}


static void
uri_same(int same, const char *path, const char *args, const char *path2,
    const char *args2, const char *name)
{
    int        equal;
    llm_buf_t  one, two;

    one = uri(path, args);
    two = uri(path2, args2);

    equal = one.len && one.len == two.len
            && memcmp(one.data, two.data, one.len) == 0;

    ok(equal == same, "key: %s", name);

    llm_buf_free(&one);
    llm_buf_free(&two);
}


static void
test_key_uri(void)
{
    llm_buf_t  buf;

    static const char  stream[] = "/v1beta/models/g:streamGenerateContent";

    buf = uri("/v1/x", "a=1&key=secret&b=2");
    is_mem(buf.data, buf.len, "\0\0\0\0\0\0\0\5/v1/x&a=1&b=2", 21,
           "key: the bytes");
    llm_buf_free(&buf);

    uri_same(1, CHAT, "a=1", CHAT, "a=1", "equal paths and queries");
    uri_same(0, CHAT, "", "/v2/chat/completions", "", "another path");
    uri_same(0, CHAT, "a=1", CHAT, "a=2", "another query");
    uri_same(0, CHAT, "a=1&b=2", CHAT, "b=2&a=1", "another order");
    uri_same(0, CHAT, "a=1", CHAT, "", "no query");
    uri_same(0, "/a&b", "c", "/a", "b&c",
             "path and query do not run together");
    uri_same(0, "/a", "", "/a&b", "", "nor does an empty query");
    uri_same(1, CHAT, "key=one", CHAT, "key=two", "credentials do not count");
    uri_same(1, CHAT, "key=one&a=1&key=two", CHAT, "a=1", "none of them");
    uri_same(1, CHAT, "key=", CHAT, "", "nor an empty one");
    uri_same(0, CHAT, "KEY=one", CHAT, "KEY=two", "another name does");
    uri_same(0, CHAT, "%6bey=one", CHAT, "%6bey=two", "however it is escaped");
    uri_same(0, CHAT, "xkey=one", CHAT, "xkey=two", "or longer");
    uri_same(0, CHAT, "key", CHAT, "", "or without a value");

    uri_same(1, GENERATE, "", stream, "", "Gemini's two URLs are one");
    uri_same(1, GENERATE, "key=k", stream, "alt=sse&key=k", "alt=sse or not");
    uri_same(1, GENERATE, "alt=json", stream, "alt=json", "alt=json or not");
    uri_same(0, GENERATE, "alt=sse", GENERATE, "",
             "alt=sse counts where the URL does not stream");
    uri_same(0, GENERATE, "alt=media", GENERATE, "", "any other alt counts");
    uri_same(0, CHAT, "alt=sse", CHAT, "", "and so it does elsewhere");
    uri_same(0, GENERATE, "", "/v1beta/models/h:streamGenerateContent", "",
             "the model counts");
}


static void
test_names(void)
{
    int        i, k, same, known;
    llm_str_t  name, other;

    same = 0;
    known = 0;

    for (i = 0; i < LLM_DIALECTS; i++) {
        name = llm_dialect_name((llm_dialect_e) i);
        known += (name.len != 0
                  && llm_dialect_get((llm_dialect_e) i)->id
                     == (llm_dialect_e) i);

        for (k = 0; k < i; k++) {
            other = llm_dialect_name((llm_dialect_e) k);
            same += (name.len == other.len
                     && memcmp(name.data, other.data, name.len) == 0);
        }
    }

    is_int(known, LLM_DIALECTS, "every dialect stands at its place");
    is_int(same, 0, "no two have one name");
    is_str(llm_dialect_name(LLM_DIALECT_ANTHROPIC), "anthropic", "a name");
}


int
main(void)
{
    test_routes();
    test_asks();
    test_models();
    test_usage_option();
    test_key_uri();
    test_names();

    return tap_done();
}
