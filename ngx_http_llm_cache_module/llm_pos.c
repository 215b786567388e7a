#include <stdlib.h>

#include "llm_pos.h"


#define LLM_POS_BIT(id)      (1u << LLM_DIALECT_##id)

#define llm_text_is(text, s)  llm_str_eq(text, s, sizeof(s) - 1)


static int llm_pos_builtin(llm_dialect_e id, llm_str_t name, json_type type,
    int strip_controls);
static int llm_pos_responses_input(const llm_pos_traits_t *item);
static int llm_pos_cohere_message(const llm_pos_traits_t *message);
static int llm_pos_tool_result(const llm_pos_traits_t *part);
static int llm_paths_push(llm_paths_t *paths, llm_str_t path);


static const llm_pos_step_t  llm_pos_steps[] = {

    { LLM_POS_BIT(CHAT)|LLM_POS_BIT(ANTHROPIC)|LLM_POS_BIT(COHERE_CHAT),
      LLM_POS_TOP, llm_string("messages"), LLM_POS_MESSAGES, NULL },

    { LLM_POS_BIT(RESPONSES),
      LLM_POS_TOP, llm_string("input"), LLM_POS_MESSAGES, NULL },

    { LLM_POS_BIT(ANTHROPIC),
      LLM_POS_TOP, llm_string("system"), LLM_POS_CONTENT, NULL },

    { LLM_POS_BIT(ANTHROPIC),
      LLM_POS_TOP, llm_string("tools"), LLM_POS_TOOLS, NULL },

    { LLM_POS_BIT(CHAT)|LLM_POS_BIT(ANTHROPIC),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT, NULL },

    { LLM_POS_BIT(RESPONSES),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT,
      llm_pos_responses_input },

    { LLM_POS_BIT(COHERE_CHAT),
      LLM_POS_MESSAGE, llm_string("content"), LLM_POS_CONTENT,
      llm_pos_cohere_message },

    { LLM_POS_BIT(ANTHROPIC),
      LLM_POS_PART, llm_string("content"), LLM_POS_RESULT,
      llm_pos_tool_result },

    { 0, LLM_POS_NONE, llm_null_string, LLM_POS_NONE, NULL }
};


/* of the APIs that are known: to others they may be anything */

static const llm_str_t  llm_pos_fields[] = {
    llm_string("stream_options"),
    llm_string("user"),
    llm_string("metadata"),
    llm_string("safety_identifier"),
    llm_string("prompt_cache_key"),
    llm_string("prompt_cache_retention"),
    llm_null_string
};


const llm_pos_step_t *
llm_pos_step(llm_dialect_e id, llm_pos_e from, llm_str_t name)
{
    unsigned               bit;
    const llm_pos_step_t  *step;

    if (from == LLM_POS_NONE) {
        return NULL;
    }

    bit = 1u << id;

    for (step = llm_pos_steps; step->dialects; step++) {

        if ((step->dialects & bit)
            && step->from == from
            && llm_str_eq(step->name, (const char *) name.data, name.len))
        {
            return step;
        }
    }

    return NULL;
}


llm_pos_e
llm_pos_element(llm_pos_e pos)
{
    switch (pos) {

    case LLM_POS_MESSAGES:
        return LLM_POS_MESSAGE;

    case LLM_POS_CONTENT:
        return LLM_POS_PART;

    case LLM_POS_RESULT:
        return LLM_POS_RESULT_PART;

    case LLM_POS_TOOLS:
        return LLM_POS_TOOL;

    default:
        return LLM_POS_NONE;
    }
}


int
llm_pos_dropped(llm_dialect_e id, llm_pos_e pos, llm_str_t name,
    json_type type, int strip_controls)
{
    if (pos == LLM_POS_TOP && llm_pos_builtin(id, name, type, strip_controls))
    {
        return 1;
    }

    if (id != LLM_DIALECT_ANTHROPIC) {
        return 0;
    }

    switch (pos) {

    case LLM_POS_TOOL:

        /* how its input is streamed, where it is */

        if ((type == JSON_TRUE || type == JSON_FALSE)
            && llm_text_is(name, "eager_input_streaming"))
        {
            return 1;
        }

        /* fall through */

    case LLM_POS_TOP:
    case LLM_POS_PART:
    case LLM_POS_RESULT_PART:
        return (type == JSON_OBJECT || type == JSON_NULL)
               && llm_text_is(name, "cache_control");

    default:
        return 0;
    }
}


static int
llm_pos_builtin(llm_dialect_e id, llm_str_t name, json_type type,
    int strip_controls)
{
    const llm_str_t  *field;

    if (type == JSON_NULL) {
        return 1;
    }

    /* another type is true to some providers and not to others */

    if (llm_text_is(name, "stream")) {
        return type == JSON_TRUE || type == JSON_FALSE;
    }

    for (field = llm_pos_fields;
         id != LLM_DIALECT_JSON && field->len;
         field++)
    {
        if (llm_str_eq(*field, (const char *) name.data, name.len)) {
            return 1;
        }
    }

    if (!strip_controls) {
        return 0;
    }

    return ((type == JSON_TRUE || type == JSON_FALSE)
            && llm_text_is(name, "caching"))
           || (type == JSON_OBJECT && llm_text_is(name, "cache"));
}


llm_str_t
llm_pos_plain(llm_dialect_e id)
{
    static const llm_str_t  text = llm_string("text");
    static const llm_str_t  input = llm_string("input_text");

    return id == LLM_DIALECT_RESPONSES ? input : text;
}


/* an assistant's text is spelled otherwise there, and items are no messages */

static int
llm_pos_responses_input(const llm_pos_traits_t *item)
{
    if (item->has_type && !llm_text_is(item->type, "message")) {
        return 0;
    }

    return llm_text_is(item->role, "user")
           || llm_text_is(item->role, "system")
           || llm_text_is(item->role, "developer");
}


/* a tool's text parts are documents there, its string is an object */

static int
llm_pos_cohere_message(const llm_pos_traits_t *message)
{
    return llm_text_is(message->role, "user")
           || llm_text_is(message->role, "system")
           || llm_text_is(message->role, "assistant");
}


static int
llm_pos_tool_result(const llm_pos_traits_t *part)
{
    return llm_text_is(part->type, "tool_result");
}


int
llm_paths_init(llm_paths_t *paths, const llm_ignore_t *ignore,
    llm_range_t *slice)
{
    size_t  i;

    for (i = 0; ignore && i < ignore->n; i++) {
        if (ignore->paths[i].len
            && llm_paths_push(paths, ignore->paths[i]) != 0)
        {
            return -1;
        }
    }

    slice->start = 0;
    slice->end = paths->n;

    return 0;
}


int
llm_paths_end(const llm_paths_t *paths, llm_range_t slice, llm_str_t name)
{
    size_t  i;

    for (i = slice.start; i < slice.end; i++) {
        if (llm_str_eq(paths->active[i], (const char *) name.data, name.len)) {
            return 1;
        }
    }

    return 0;
}


int
llm_paths_enter(llm_paths_t *paths, llm_range_t slice, llm_str_t name,
    llm_range_t *below)
{
    size_t     i;
    llm_str_t  path;

    below->start = paths->n;
    below->end = paths->n;

    for (i = slice.start; i < slice.end; i++) {
        path = paths->active[i];

        if (path.len <= name.len
            || path.data[name.len] != '.'
            || (name.len && memcmp(path.data, name.data, name.len) != 0))
        {
            continue;
        }

        path.data += name.len + 1;
        path.len -= name.len + 1;

        if (path.len && llm_paths_push(paths, path) != 0) {
            return -1;
        }
    }

    below->end = paths->n;

    return 0;
}


void
llm_paths_leave(llm_paths_t *paths, llm_range_t below)
{
    paths->n = below.start;
}


void
llm_paths_free(llm_paths_t *paths)
{
    free(paths->active);
    memset(paths, 0, sizeof(llm_paths_t));
}


static int
llm_paths_push(llm_paths_t *paths, llm_str_t path)
{
    size_t      size;
    llm_str_t  *p;

    if (paths->n == paths->size) {
        size = paths->size ? 2 * paths->size : 16;

        if (size > SIZE_MAX / 2 / sizeof(llm_str_t)) {
            return -1;
        }

        p = realloc(paths->active, size * sizeof(llm_str_t));
        if (p == NULL) {
            return -1;
        }

        paths->active = p;
        paths->size = size;
    }

    paths->active[paths->n++] = path;

    return 0;
}
