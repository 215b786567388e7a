/*
 * Cohere v2 chat (docs.cohere.com/v2/reference/chat-stream).
 */


#include "llm_convert_core.h"


static int llm_cohere_event(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *event);
static int llm_cohere_start(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *event, const llm_value_t *delta);
static int llm_cohere_stop(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *event, const llm_value_t *delta);
static int llm_cohere_merge(llm_conv_t *conv, llm_value_t *doc,
    const char *name, const llm_value_t *event, const llm_value_t *delta);
static int llm_cohere_item(llm_conv_t *conv, llm_value_t *doc,
    const char *name, const llm_value_t *event, const llm_value_t *delta);
static void llm_cohere_tidy(llm_value_t *message, const char *name);
static void llm_cohere_open(llm_conv_t *conv, const char *type, size_t at,
    const char *member);
static void llm_cohere_end(llm_conv_t *conv);
static void llm_cohere_close(llm_conv_t *conv, const char *type, size_t at);
static int llm_cohere_head(llm_conv_t *conv, const llm_value_t *message);
static int llm_cohere_content(llm_conv_t *conv, const llm_value_t *part,
    size_t at, const llm_value_t **logprobs);
static int llm_cohere_tokens(llm_conv_t *conv, llm_str_t text, size_t at,
    const llm_value_t **logprobs);
static void llm_cohere_piece(llm_conv_t *conv, const char *name, size_t at,
    const llm_str_t *piece, const llm_value_t *logprobs);
static void llm_cohere_plan(llm_conv_t *conv, const llm_value_t *plan);
static int llm_cohere_call(llm_conv_t *conv, const llm_value_t *call,
    size_t at);
static void llm_cohere_last(llm_conv_t *conv);
static void llm_cohere_list(llm_conv_t *conv, const char *name);


/* the events that tell a list's item */

typedef struct {
    const char           *type;
    const char           *list;
    unsigned              more;        /* of its last item */
} llm_cohere_event_t;


static const llm_rule_t  llm_cohere_function_rules[] = {
    { "arguments", LLM_MERGE_TEXT, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_cohere_item_rules[] = {
    { "text", LLM_MERGE_TEXT, NULL, NULL },
    { "thinking", LLM_MERGE_TEXT, NULL, NULL },
    { "function", LLM_MERGE_OBJECT, llm_cohere_function_rules, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_cohere_plan_rules[] = {
    { "tool_plan", LLM_MERGE_TEXT, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_cohere_event_t  llm_cohere_events[] = {
    { "content-start", "content", 0 },
    { "content-delta", "content", 1 },
    { "tool-call-start", "tool_calls", 0 },
    { "tool-call-delta", "tool_calls", 1 },
    { "citation-start", "citations", 0 }
};

#define LLM_COHERE_EVENTS                                                     \
    (sizeof(llm_cohere_events) / sizeof(llm_cohere_events[0]))


llm_value_t *
llm_cohere_json(llm_conv_t *conv)
{
    llm_value_t        *doc, *message;
    const llm_value_t  *event;

    doc = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);

    if (doc == NULL) {
        return NULL;
    }

    for (event = conv->events->first; event; event = event->next) {
        if (llm_cohere_event(conv, doc, event) != 0) {
            return NULL;
        }
    }

    message = llm_doc_get(doc, "message");

    /* what began empty and stayed so is left out of JSON */

    llm_cohere_tidy(message, "content");
    llm_cohere_tidy(message, "tool_plan");
    llm_cohere_tidy(message, "tool_calls");
    llm_cohere_tidy(message, "citations");

    return doc;
}


static int
llm_cohere_event(llm_conv_t *conv, llm_value_t *doc, const llm_value_t *event)
{
    size_t              i;
    const llm_value_t  *type, *delta, *message;

    type = llm_doc_get(event, "type");
    delta = llm_doc_get(event, "delta");
    message = llm_doc_get(delta, "message");

    if (llm_doc_is(type, "message-start")) {
        return llm_cohere_start(conv, doc, event, delta);
    }

    if (llm_doc_is(type, "message-end")) {
        return llm_cohere_stop(conv, doc, event, delta);
    }

    if (llm_doc_is(type, "tool-plan-delta")) {
        return llm_merge(conv, llm_conv_get(conv, doc, "message"), message,
                         llm_cohere_plan_rules);
    }

    if (llm_doc_is(type, "content-end") || llm_doc_is(type, "tool-call-end")
        || llm_doc_is(type, "citation-end"))
    {
        return 0;
    }

    for (i = 0; i < LLM_COHERE_EVENTS; i++) {

        if (!llm_doc_is(type, llm_cohere_events[i].type)) {
            continue;
        }

        return llm_cohere_events[i].more
               ? llm_cohere_merge(conv, doc, llm_cohere_events[i].list, event,
                                  delta)
               : llm_cohere_item(conv, doc, llm_cohere_events[i].list, event,
                                 delta);
    }

    return -1;
}


static int
llm_cohere_start(llm_conv_t *conv, llm_value_t *doc, const llm_value_t *event,
    const llm_value_t *delta)
{
    llm_value_t        *message;
    const llm_value_t  *member;

    message = llm_doc_copy(&conv->arena, llm_doc_get(delta, "message"));

    if (doc->n || !llm_doc_type(message, LLM_SCAN_OBJECT)) {
        return -1;
    }

    for (member = event->first; member; member = member->next) {

        if (!llm_str_eq(member->name, "type", 4)
            && !llm_str_eq(member->name, "delta", 5)
            && llm_doc_add(&conv->arena, doc, NULL, member) == NULL)
        {
            return -1;
        }
    }

    return llm_doc_get(doc, "message") == NULL
           && llm_doc_add(&conv->arena, doc, "message", message) ? 0 : -1;
}


static int
llm_cohere_stop(llm_conv_t *conv, llm_value_t *doc, const llm_value_t *event,
    const llm_value_t *delta)
{
    static const llm_rule_t  rules[] = {
        { "type", LLM_MERGE_DROP, NULL, NULL },
        { "delta", LLM_MERGE_DROP, NULL, NULL },
        { NULL, LLM_MERGE_SAME, NULL, NULL }
    };

    return llm_merge(conv, doc, event, rules) == 0
           && llm_merge(conv, doc, delta, NULL) == 0 ? 0 : -1;
}


/* a piece of the list's last item */

static int
llm_cohere_merge(llm_conv_t *conv, llm_value_t *doc, const char *name,
    const llm_value_t *event, const llm_value_t *delta)
{
    llm_value_t        *message, *list, *logprobs;
    const llm_value_t  *piece, *told;

    message = llm_doc_get(delta, "message");
    piece = llm_doc_get(message, name);
    list = llm_conv_get(conv, llm_conv_get(conv, doc, "message"), name);

    if (piece == NULL || message->n != 1) {
        return -1;
    }

    if (!llm_doc_type(list, LLM_SCAN_ARRAY) || list->last == NULL
        || llm_doc_index(llm_doc_get(event, "index"), list->n - 1)
           != list->n - 1
        || llm_merge(conv, list->last, piece, llm_cohere_item_rules)
           != 0)
    {
        return -1;
    }

    told = llm_doc_get(event, "logprobs");

    if (llm_doc_silent(told)) {
        return 0;
    }

    logprobs = llm_conv_get(conv, doc, "logprobs");

    if (logprobs == NULL) {
        logprobs = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);
        logprobs = llm_doc_add(&conv->arena, doc, "logprobs", logprobs);
    }

    return llm_doc_add(&conv->arena, logprobs, NULL, told) ? 0 : -1;
}


/* another item of a list */

static int
llm_cohere_item(llm_conv_t *conv, llm_value_t *doc, const char *name,
    const llm_value_t *event, const llm_value_t *delta)
{
    llm_value_t        *message, *list, *item;
    const llm_value_t  *told;

    message = llm_conv_get(conv, doc, "message");
    told = llm_doc_get(llm_doc_get(delta, "message"), name);
    list = llm_conv_get(conv, message, name);

    if (message == NULL || !llm_doc_type(told, LLM_SCAN_OBJECT)) {
        return -1;
    }

    if (list == NULL || list->text.data) {

        if (list && list->n) {
            return -1;
        }

        list = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);
        list = llm_doc_set(&conv->arena, message, name, list);

        if (list == NULL) {
            return -1;
        }
    }

    if (llm_doc_index(llm_doc_get(event, "index"), list->n) != list->n) {
        return -1;
    }

    item = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);
    item = llm_doc_add(&conv->arena, list, NULL, item);

    return item ? llm_merge(conv, item, told, llm_cohere_item_rules)
                : -1;
}


static void
llm_cohere_tidy(llm_value_t *message, const char *name)
{
    llm_value_t  *value;

    value = llm_doc_get(message, name);

    if (value && (llm_doc_silent(value)
                  || (value->type == LLM_SCAN_ARRAY && value->n == 0)))
    {
        llm_doc_remove(message, name);
    }
}


int
llm_cohere_stream(llm_conv_t *conv)
{
    size_t              at;
    const llm_value_t  *message, *item, *logprobs;

    message = llm_doc_get(conv->doc, "message");
    logprobs = llm_doc_get(conv->doc, "logprobs");

    if (!llm_doc_type(message, LLM_SCAN_OBJECT)
        || llm_doc_get(conv->doc, "type") || llm_doc_get(conv->doc, "delta")
        || (logprobs && logprobs->type != LLM_SCAN_NULL
            && logprobs->type != LLM_SCAN_ARRAY)
        || llm_cohere_head(conv, message) != 0)
    {
        return -1;
    }

    logprobs = logprobs ? logprobs->first : NULL;

    llm_cohere_plan(conv, llm_doc_get(message, "tool_plan"));

    item = llm_doc_get(message, "content");
    at = 0;

    for (item = item ? item->first : NULL; item; item = item->next) {
        if (llm_cohere_content(conv, item, at++, &logprobs) != 0) {
            return -1;
        }
    }

    if (logprobs) {
        return -1;
    }

    item = llm_doc_get(message, "tool_calls");
    at = 0;

    for (item = item ? item->first : NULL; item; item = item->next) {
        if (llm_cohere_call(conv, item, at++) != 0) {
            return -1;
        }
    }

    item = llm_doc_get(message, "citations");
    at = 0;

    for (item = item ? item->first : NULL; item; item = item->next) {
        llm_cohere_open(conv, "citation-start", at, "citations");
        llm_conv_put(conv, "%v}}", item);
        llm_cohere_end(conv);
        llm_cohere_close(conv, "citation-end", at++);
    }

    llm_cohere_last(conv);

    return 0;
}


static void
llm_cohere_open(llm_conv_t *conv, const char *type, size_t at,
    const char *member)
{
    llm_conv_typed(conv, type);
    llm_conv_put(conv, ",\"index\":%u,\"delta\":{\"message\":{\"%s\":", at,
                 member);
}


static void
llm_cohere_end(llm_conv_t *conv)
{
    llm_conv_put(conv, "}");
    llm_conv_end(conv);
}


static void
llm_cohere_close(llm_conv_t *conv, const char *type, size_t at)
{
    llm_conv_typed(conv, type);
    llm_conv_put(conv, ",\"index\":%u", at);
    llm_cohere_end(conv);
}


static int
llm_cohere_head(llm_conv_t *conv, const llm_value_t *message)
{
    const llm_value_t  *member;

    static const char *const  last[] = { "message", "finish_reason", "usage",
                                         "logprobs", "error", NULL };
    static const char *const  parts[] = { "content", "tool_plan",
                                          "tool_calls", "citations", NULL };

    for (member = message->first; member; member = member->next) {

        /* a content that is a string, say */

        if (llm_conv_listed(member, parts)
            && member->type != LLM_SCAN_NULL
            && member->type != (llm_str_eq(member->name, "tool_plan", 9)
                                ? LLM_SCAN_STRING : LLM_SCAN_ARRAY))
        {
            return -1;
        }
    }

    llm_conv_typed(conv, "message-start");
    llm_conv_members(conv, conv->doc, last);
    llm_conv_put(conv, ",\"delta\":{\"message\":{");
    llm_conv_members(conv, message, parts);
    llm_conv_put(conv, "%,\"content\":[],\"tool_plan\":\"\","
                 "\"tool_calls\":[],\"citations\":[]}}");
    llm_cohere_end(conv);

    return 0;
}


static int
llm_cohere_content(llm_conv_t *conv, const llm_value_t *part, size_t at,
    const llm_value_t **logprobs)
{
    llm_cut_t           cut;
    llm_str_t           piece;
    const char         *name;
    const llm_value_t  *text;

    const char  *skip[2] = { NULL, NULL };

    name = llm_doc_get(part, "thinking") ? "thinking" : "text";
    text = llm_doc_get(part, name);
    skip[0] = name;

    if (!llm_doc_type(text, LLM_SCAN_STRING)) {
        return -1;
    }

    llm_cohere_open(conv, "content-start", at, "content");
    llm_conv_put(conv, "{");
    llm_conv_members(conv, part, skip);
    llm_conv_put(conv, "%,\"%s\":\"\"}}}", name);
    llm_cohere_end(conv);

    if (*logprobs && strcmp(name, "text") == 0) {

        if (llm_cohere_tokens(conv, llm_doc_inner(text), at, logprobs) != 0) {
            return -1;
        }

    } else {
        llm_cut_init(&cut, llm_doc_inner(text));

        while (llm_cut_next(&cut, &piece)) {
            llm_cohere_piece(conv, name, at, &piece, NULL);
        }
    }

    llm_cohere_close(conv, "content-end", at);

    return 0;
}


/* where the tokens are told they are the pieces, and have to spell the text:
   what is left of them belongs to other texts */

static int
llm_cohere_tokens(llm_conv_t *conv, llm_str_t text, size_t at,
    const llm_value_t **logprobs)
{
    llm_str_t           piece;
    const llm_value_t  *value;

    while (text.len) {

        if (*logprobs == NULL) {
            return -1;
        }

        value = llm_doc_get(*logprobs, "text");

        if (!llm_doc_type(value, LLM_SCAN_STRING)) {
            return -1;
        }

        piece = llm_doc_inner(value);

        if (piece.len > text.len
            || memcmp(piece.data, text.data, piece.len) != 0)
        {
            return -1;
        }

        llm_cohere_piece(conv, "text", at, &piece, *logprobs);

        text.data += piece.len;
        text.len -= piece.len;

        *logprobs = (*logprobs)->next;
    }

    return 0;
}


static void
llm_cohere_piece(llm_conv_t *conv, const char *name, size_t at,
    const llm_str_t *piece, const llm_value_t *logprobs)
{
    llm_cohere_open(conv, "content-delta", at, "content");
    llm_conv_put(conv, "{\"%s\":%t}}}", name, piece);

    if (logprobs) {
        llm_conv_put(conv, ",\"logprobs\":%v", logprobs);
    }

    llm_cohere_end(conv);
}


static void
llm_cohere_plan(llm_conv_t *conv, const llm_value_t *plan)
{
    llm_cut_t  cut;
    llm_str_t  piece;

    if (!llm_doc_type(plan, LLM_SCAN_STRING)) {
        return;
    }

    llm_cut_init(&cut, llm_doc_inner(plan));

    while (llm_cut_next(&cut, &piece)) {
        llm_conv_typed(conv, "tool-plan-delta");
        llm_conv_put(conv, ",\"delta\":{\"message\":{\"tool_plan\":%t}}",
                     &piece);
        llm_cohere_end(conv);
    }
}


static int
llm_cohere_call(llm_conv_t *conv, const llm_value_t *call, size_t at)
{
    llm_cut_t           cut;
    llm_str_t           piece;
    const llm_value_t  *function, *arguments;

    static const char *const  outer[] = { "function", NULL };
    static const char *const  inner[] = { "arguments", NULL };

    function = llm_doc_get(call, "function");
    arguments = llm_doc_get(function, "arguments");

    if (!llm_doc_type(arguments, LLM_SCAN_STRING)) {
        return -1;
    }

    llm_cohere_open(conv, "tool-call-start", at, "tool_calls");
    llm_conv_put(conv, "{");
    llm_conv_members(conv, call, outer);
    llm_conv_put(conv, "%,\"function\":{");
    llm_conv_members(conv, function, inner);
    llm_conv_put(conv, "%,\"arguments\":\"\"}}}}");
    llm_cohere_end(conv);

    llm_cut_init(&cut, llm_doc_inner(arguments));

    while (llm_cut_next(&cut, &piece)) {
        llm_cohere_open(conv, "tool-call-delta", at, "tool_calls");
        llm_conv_put(conv, "{\"function\":{\"arguments\":%t}}}}", &piece);
        llm_cohere_end(conv);
    }

    llm_cohere_close(conv, "tool-call-end", at);

    return 0;
}


static void
llm_cohere_last(llm_conv_t *conv)
{
    llm_conv_typed(conv, "message-end");
    llm_conv_put(conv, ",\"delta\":{");
    llm_cohere_list(conv, "finish_reason");
    llm_cohere_list(conv, "usage");
    llm_cohere_list(conv, "error");
    llm_conv_put(conv, "}");
    llm_cohere_end(conv);
}


static void
llm_cohere_list(llm_conv_t *conv, const char *name)
{
    const llm_value_t  *value;

    value = llm_doc_get(conv->doc, name);

    if (value) {
        llm_conv_put(conv, "%,\"%s\":%v", name, value);
    }
}
