/*
 * Ollama, chat and generate (docs.ollama.com/api): the lines of a stream are
 * answers whose texts follow each other, and the last one tells the rest.
 */


#include "llm_convert_core.h"


static void llm_ollama_pieces(llm_conv_t *conv, const llm_value_t *from,
    const char *name);
static void llm_ollama_list(llm_conv_t *conv, const llm_value_t *message,
    const char *name);
static void llm_ollama_begin(llm_conv_t *conv);
static void llm_ollama_message(llm_conv_t *conv);
static void llm_ollama_end(llm_conv_t *conv);
static void llm_ollama_last(llm_conv_t *conv, const llm_value_t *message);
static void llm_ollama_rest(llm_conv_t *conv, const llm_value_t *member);


static const llm_rule_t  llm_ollama_message_rules[] = {
    { "content", LLM_MERGE_TEXT, NULL, NULL },
    { "thinking", LLM_MERGE_TEXT, NULL, NULL },
    { "tool_calls", LLM_MERGE_APPEND, NULL, NULL },
    { "images", LLM_MERGE_APPEND, NULL, NULL },
    { "role", LLM_MERGE_SAME, NULL, NULL },
    { NULL, LLM_MERGE_ONCE, NULL, NULL }
};

static const llm_rule_t  llm_ollama_rules[] = {
    { "created_at", LLM_MERGE_LAST, NULL, NULL },
    { "message", LLM_MERGE_OBJECT, llm_ollama_message_rules, NULL },
    { "response", LLM_MERGE_TEXT, NULL, NULL },
    { "thinking", LLM_MERGE_TEXT, NULL, NULL },
    { "tool_calls", LLM_MERGE_APPEND, NULL, NULL },
    { "images", LLM_MERGE_APPEND, NULL, NULL },
    { "logprobs", LLM_MERGE_APPEND, NULL, NULL },
    { "done", LLM_MERGE_LAST, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};


llm_value_t *
llm_ollama_json(llm_conv_t *conv)
{
    llm_value_t        *doc;
    const llm_value_t  *event;

    doc = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);

    for (event = conv->events->first; event; event = event->next) {
        if (llm_merge(conv, doc, event, llm_ollama_rules) != 0) {
            return NULL;
        }
    }

    return doc;
}


int
llm_ollama_stream(llm_conv_t *conv)
{
    const llm_value_t  *message;

    message = llm_doc_get(conv->doc, "message");

    if (llm_doc_type(message, LLM_SCAN_OBJECT)) {
        llm_ollama_pieces(conv, message, "thinking");
        llm_ollama_pieces(conv, message, "content");
        llm_ollama_list(conv, message, "images");
        llm_ollama_list(conv, message, "tool_calls");

    } else {
        message = NULL;

        llm_ollama_pieces(conv, conv->doc, "thinking");
        llm_ollama_pieces(conv, conv->doc, "response");
        llm_ollama_list(conv, NULL, "images");
        llm_ollama_list(conv, NULL, "tool_calls");
    }

    llm_ollama_last(conv, message);

    return 0;
}


static void
llm_ollama_pieces(llm_conv_t *conv, const llm_value_t *from, const char *name)
{
    llm_cut_t           cut;
    llm_str_t           piece;
    const llm_value_t  *text;

    text = llm_doc_get(from, name);

    if (!llm_doc_type(text, LLM_SCAN_STRING)) {
        return;
    }

    llm_cut_init(&cut, llm_doc_inner(text));

    while (llm_cut_next(&cut, &piece)) {

        llm_ollama_begin(conv);

        if (from == conv->doc) {
            if (strcmp(name, "thinking") == 0) {
                llm_conv_put(conv, "%,\"response\":\"\"");
            }

            llm_conv_put(conv, "%,\"%s\":%t", name, &piece);

        } else {
            llm_ollama_message(conv);

            if (strcmp(name, "thinking") == 0) {
                llm_conv_put(conv, "%,\"content\":\"\"");
            }

            llm_conv_put(conv, "%,\"%s\":%t}", name, &piece);
        }

        llm_ollama_end(conv);
    }
}


static void
llm_ollama_list(llm_conv_t *conv, const llm_value_t *message,
    const char *name)
{
    const llm_value_t  *list;

    list = llm_doc_get(message ? message : conv->doc, name);

    if (!llm_doc_type(list, LLM_SCAN_ARRAY) || list->n == 0) {
        return;
    }

    llm_ollama_begin(conv);

    if (message) {
        llm_ollama_message(conv);
        llm_conv_put(conv, "%,\"content\":\"\",\"%s\":%v}", name, list);

    } else {
        llm_conv_put(conv, "%,\"response\":\"\",\"%s\":%v", name, list);
    }

    llm_ollama_end(conv);
}


static void
llm_ollama_begin(llm_conv_t *conv)
{
    const llm_value_t  *member;

    static const char *const  names[] = { "model", "created_at",
                                          "remote_model", "remote_host",
                                          NULL };

    if (llm_conv_spend(conv, conv->doc->n) != 0) {
        return;
    }

    llm_conv_begin(conv, NULL);
    llm_conv_put(conv, "{");

    for (member = conv->doc->first; member; member = member->next) {
        if (llm_conv_listed(member, names)) {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }
}


static void
llm_ollama_message(llm_conv_t *conv)
{
    const llm_value_t  *role;

    role = llm_conv_get(conv, llm_conv_get(conv, conv->doc, "message"),
                        "role");

    llm_conv_put(conv, "%,\"message\":{");

    if (role) {
        llm_conv_put(conv, "\"role\":%v", role);
    }
}


static void
llm_ollama_end(llm_conv_t *conv)
{
    llm_conv_put(conv, "%,\"done\":false}");
    llm_conv_end(conv);
}


/* what came in pieces is empty here, all the rest is told */

static void
llm_ollama_last(llm_conv_t *conv, const llm_value_t *message)
{
    const llm_value_t  *member;

    llm_conv_begin(conv, NULL);
    llm_conv_put(conv, "{");

    for (member = conv->doc->first; member; member = member->next) {

        if (message == NULL) {
            llm_ollama_rest(conv, member);

        } else if (member != message) {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);

        } else {
            llm_conv_put(conv, "%,\"message\":{");

            for (member = message->first; member; member = member->next) {
                llm_ollama_rest(conv, member);
            }

            llm_conv_put(conv, "}");
            member = message;
        }
    }

    llm_conv_put(conv, "}");
    llm_conv_end(conv);
}


static void
llm_ollama_rest(llm_conv_t *conv, const llm_value_t *member)
{
    static const char *const  texts[] = { "content", "response", NULL };
    static const char *const  thought[] = { "thinking", NULL };
    static const char *const  lists[] = { "images", "tool_calls", NULL };

    if (member->type == LLM_SCAN_STRING && llm_conv_listed(member, texts)) {
        llm_conv_put(conv, "%,\"%r\":\"\"", &member->name);

    } else if (!(member->type == LLM_SCAN_STRING && member->text.len > 2
                 && llm_conv_listed(member, thought))
               && !(member->type == LLM_SCAN_ARRAY && member->n
                    && llm_conv_listed(member, lists)))
    {
        llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
    }
}
