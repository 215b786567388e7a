#include "llm_dialect.h"


/* how a member must look to count */

typedef enum {
    LLM_GIVEN_AT_ALL = 0,           /* anything but null and false */
    LLM_GIVEN_FILLED                /* and not empty */
} llm_given_e;


typedef struct {
    const char           *name;
    llm_given_e           given;
} llm_tools_member_t;


static int llm_hosted_model(llm_str_t model);
static int llm_hosted_find(llm_str_t text, llm_str_t part);
static int llm_hosted_given(const json_t *value, llm_given_e given);
static int llm_hosted_tool(llm_tools_e kind, const json_t *tool);
static int llm_hosted_chat(const llm_tool_t *tool);
static int llm_hosted_responses(const llm_tool_t *tool);
static int llm_hosted_anthropic(llm_str_t type);
static int llm_hosted_nested(const json_t *tool);
static int llm_hosted_others(const json_t *tool);
static llm_str_t llm_hosted_text(const json_t *object, const char *name);
static int llm_hosted_word(llm_str_t text, const llm_str_t *words);


/*
 * Members of a request that make the provider search, fetch or run, whatever
 * the tools are.  Several providers extend one dialect, so that each member
 * counts in all of them: OpenAI, xAI, OpenRouter, Groq, Azure, Qwen, Cohere
 * and Anthropic in this order.
 */

static const llm_tools_member_t  llm_hosted_members[] = {
    { "web_search_options", LLM_GIVEN_AT_ALL },
    { "search_parameters", LLM_GIVEN_AT_ALL },
    { "plugins", LLM_GIVEN_FILLED },
    { "search_settings", LLM_GIVEN_AT_ALL },
    { "compound_custom", LLM_GIVEN_AT_ALL },
    { "data_sources", LLM_GIVEN_FILLED },
    { "dataSources", LLM_GIVEN_FILLED },
    { "enable_search", LLM_GIVEN_AT_ALL },
    { "connectors", LLM_GIVEN_FILLED },
    { "mcp_servers", LLM_GIVEN_FILLED },
    { "container", LLM_GIVEN_AT_ALL },
    { NULL, LLM_GIVEN_AT_ALL }
};


/* models that search or run tools by themselves */

static const llm_str_t  llm_hosted_parts[] = {
    llm_string("-search-preview"),
    llm_string("-search-api"),
    llm_string("deep-research"),
    llm_null_string
};

static const llm_str_t  llm_hosted_begins[] = {
    llm_string("sonar"),
    llm_string("compound-beta"),
    llm_null_string
};

static const llm_str_t  llm_hosted_names[] = {
    llm_string("compound"),
    llm_string("compound-mini"),
    llm_null_string
};

static const llm_str_t  llm_hosted_ends[] = {
    llm_string(":online"),
    llm_string("-online"),
    llm_null_string
};


/* types of tools that the client runs */

static const llm_str_t  llm_client_types[] = {
    llm_string("function"),
    llm_string("custom"),
    llm_null_string
};

static const llm_str_t  llm_client_responses[] = {
    llm_string("function"),
    llm_string("custom"),
    llm_string("local_shell"),
    llm_string("apply_patch"),
    llm_null_string
};

static const llm_str_t  llm_client_anthropic[] = {
    llm_string("bash_"),
    llm_string("text_editor_"),
    llm_string("memory_"),
    llm_null_string
};


int
llm_dialect_hosted(const llm_dialect_t *dialect, llm_str_t model,
    const json_t *doc)
{
    size_t                     i;
    const json_t              *value, *tools;
    const llm_tools_member_t  *member;

    if (llm_hosted_model(model)) {
        return 1;
    }

    for (member = llm_hosted_members; member->name; member++) {
        value = json_object_get(doc, member->name);

        if (llm_hosted_given(value, member->given)
            && !llm_str_eq(llm_hosted_text(value, "mode"), "off", 3))
        {
            return 1;
        }
    }

    tools = json_object_get(doc, "tools");

    if (json_is_object(tools)) {
        return llm_hosted_tool(dialect->tools, tools);
    }

    for (i = 0; i < json_array_size(tools); i++) {
        if (llm_hosted_tool(dialect->tools, json_array_get(tools, i))) {
            return 1;
        }
    }

    return 0;
}


/* a name may have its provider in front: "perplexity/sonar-pro" */

static int
llm_hosted_model(llm_str_t model)
{
    llm_str_t         base;
    const llm_str_t  *word;

    if (model.len == 0) {
        return 0;
    }

    for (word = llm_hosted_parts; word->len; word++) {
        if (llm_hosted_find(model, *word)) {
            return 1;
        }
    }

    for (word = llm_hosted_ends; word->len; word++) {
        if (model.len > word->len
            && memcmp(model.data + model.len - word->len, word->data,
                      word->len) == 0)
        {
            return 1;
        }
    }

    base.len = 0;

    while (base.len < model.len
           && model.data[model.len - base.len - 1] != '/')
    {
        base.len++;
    }

    base.data = model.data + (model.len - base.len);

    for (word = llm_hosted_begins; word->len; word++) {
        if (base.len >= word->len
            && memcmp(base.data, word->data, word->len) == 0)
        {
            return 1;
        }
    }

    return llm_hosted_word(base, llm_hosted_names);
}


static int
llm_hosted_find(llm_str_t text, llm_str_t part)
{
    size_t  i;

    for (i = 0; i + part.len <= text.len; i++) {
        if (memcmp(text.data + i, part.data, part.len) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
llm_hosted_given(const json_t *value, llm_given_e given)
{
    if (value == NULL || json_is_null(value) || json_is_false(value)) {
        return 0;
    }

    if (given == LLM_GIVEN_AT_ALL) {
        return 1;
    }

    return !(json_is_array(value) && json_array_size(value) == 0)
           && !(json_is_object(value) && json_object_size(value) == 0);
}


int
llm_dialect_hosted_member(llm_str_t name)
{
    const llm_tools_member_t  *member;

    for (member = llm_hosted_members; member->name; member++) {
        if (llm_str_eq(name, member->name, strlen(member->name))) {
            return 1;
        }
    }

    return 0;
}


static int
llm_hosted_tool(llm_tools_e kind, const json_t *tool)
{
    llm_tool_t  t;

    t.type = llm_hosted_text(tool, "type");
    t.environment = llm_hosted_text(json_object_get(tool, "environment"),
                                    "type");
    t.execution = llm_hosted_text(tool, "execution");
    t.function = json_is_object(json_object_get(tool, "function")) ? 1 : 0;
    t.nested = (kind == LLM_TOOLS_RESPONSES && llm_hosted_nested(tool)) ? 1
                                                                        : 0;
    t.others = (kind == LLM_TOOLS_GEMINI && llm_hosted_others(tool)) ? 1 : 0;

    return llm_dialect_hosted_tool(kind, &t);
}


/* a tool of no known kind counts as hosted */

int
llm_dialect_hosted_tool(llm_tools_e kind, const llm_tool_t *tool)
{
    switch (kind) {

    case LLM_TOOLS_RESPONSES:
        return llm_hosted_responses(tool);

    case LLM_TOOLS_ANTHROPIC:
        return llm_hosted_anthropic(tool->type);

    case LLM_TOOLS_GEMINI:
        return tool->others;

    default:
        return llm_hosted_chat(tool);
    }
}


static int
llm_hosted_chat(const llm_tool_t *tool)
{
    if (tool->type.len == 0) {
        return !tool->function;
    }

    return !llm_hosted_word(tool->type, llm_client_types);
}


static int
llm_hosted_responses(const llm_tool_t *tool)
{
    if (llm_str_eq(tool->type, "shell", 5)) {
        return !llm_str_eq(tool->environment, "local", 5);
    }

    if (llm_str_eq(tool->type, "tool_search", 11)) {
        return !llm_str_eq(tool->execution, "client", 6);
    }

    if (llm_str_eq(tool->type, "namespace", 9)) {
        return tool->nested;
    }

    return !llm_hosted_word(tool->type, llm_client_responses);
}


/* types with a date are Anthropic's own; a tool of the client needs none */

static int
llm_hosted_anthropic(llm_str_t type)
{
    const llm_str_t  *word;

    if (type.len == 0 || llm_str_eq(type, "custom", 6)) {
        return 0;
    }

    for (word = llm_client_anthropic; word->len; word++) {
        if (type.len > word->len
            && memcmp(type.data, word->data, word->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}


static int
llm_hosted_nested(const json_t *tool)
{
    size_t         i;
    const json_t  *tools;

    tools = json_object_get(tool, "tools");

    for (i = 0; i < json_array_size(tools); i++) {
        if (llm_hosted_tool(LLM_TOOLS_RESPONSES, json_array_get(tools, i))) {
            return 1;
        }
    }

    return 0;
}


static int
llm_hosted_others(const json_t *tool)
{
    void       *iter;
    json_t     *value, *members;
    llm_str_t   name;

    /* jansson's iterators want a document that could be changed */
    members = (json_t *) (uintptr_t) tool;

    for (iter = json_object_iter(members);
         iter;
         iter = json_object_iter_next(members, iter))
    {
        name.data = (const unsigned char *) json_object_iter_key(iter);
        name.len = strlen(json_object_iter_key(iter));
        value = json_object_iter_value(iter);

        if (llm_dialect_other_tool(name)
            && llm_hosted_given(value, LLM_GIVEN_AT_ALL))
        {
            return 1;
        }
    }

    return 0;
}


int
llm_dialect_other_tool(llm_str_t name)
{
    return !llm_str_eq(name, "functionDeclarations", 20)
           && !llm_str_eq(name, "function_declarations", 21);
}


static llm_str_t
llm_hosted_text(const json_t *object, const char *name)
{
    llm_str_t      text;
    const json_t  *value;

    value = json_object_get(object, name);

    text.data = (const unsigned char *) json_string_value(value);
    text.len = json_string_length(value);

    return text;
}


static int
llm_hosted_word(llm_str_t text, const llm_str_t *words)
{
    for ( /* void */ ; words->len; words++) {
        if (text.len == words->len
            && memcmp(text.data, words->data, words->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
