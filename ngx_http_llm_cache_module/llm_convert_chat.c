/*
 * OpenAI chat completions and completions
 * (platform.openai.com/docs/api-reference/chat), with what others add.
 */


#include "llm_convert_core.h"


/* what all chunks of a stream begin with */

typedef struct {
    llm_conv_t           *conv;
    llm_buf_t             head;
    unsigned              later:1;     /* the first chunk has been written */
    unsigned              unasked:1;   /* usage is told in any case */
} llm_chat_t;


/* one choice of a stream */

typedef struct {
    llm_chat_t           *chat;
    const llm_value_t    *choice;
    const llm_value_t    *message;
    llm_value_t           zero;
    const llm_value_t    *index;
    const llm_value_t    *logprobs;    /* still to be written */
    unsigned              last:1;
} llm_choice_t;


static llm_value_t *llm_chat_finish(llm_conv_t *conv, llm_value_t *doc);
static void llm_chat_message(llm_conv_t *conv, llm_value_t *choice);
static int llm_chat_run(llm_conv_t *conv,
    int (*handler)(llm_choice_t *choice));
static int llm_chat_choices(llm_chat_t *chat,
    int (*handler)(llm_choice_t *choice));
static int llm_chat_head(llm_chat_t *chat);
static void llm_chat_begin(llm_chat_t *chat);
static int llm_chat_choice(llm_choice_t *choice);
static void llm_chat_role(llm_choice_t *choice);
static void llm_chat_text(llm_choice_t *choice, const char *name);
static int llm_chat_tokens(llm_choice_t *choice, const llm_value_t *text);
static void llm_chat_token(llm_choice_t *choice, const llm_value_t *token);
static void llm_chat_tools(llm_choice_t *choice);
static void llm_chat_call(llm_choice_t *choice, const llm_value_t *call,
    size_t at);
static void llm_chat_function(llm_choice_t *choice);
static int llm_chat_unasked(const llm_value_t *doc);
static void llm_chat_usage(llm_chat_t *chat);
static int llm_completions_choice(llm_choice_t *choice);
static void llm_choice_begin(llm_choice_t *choice);
static void llm_choice_end(llm_choice_t *choice);
static void llm_choice_last(llm_choice_t *choice, const char *empty);


static const llm_rule_t  llm_chat_function_rules[] = {
    { "name", LLM_MERGE_SAME, NULL, NULL },
    { "arguments", LLM_MERGE_TEXT, NULL, NULL },
    { "input", LLM_MERGE_TEXT, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_chat_call_rules[] = {
    { "function", LLM_MERGE_OBJECT, llm_chat_function_rules, NULL },
    { "custom", LLM_MERGE_OBJECT, llm_chat_function_rules, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_chat_detail_rules[] = {
    { "text", LLM_MERGE_TEXT, NULL, NULL },
    { "summary", LLM_MERGE_TEXT, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_chat_delta_rules[] = {
    { "content", LLM_MERGE_TEXT, NULL, NULL },
    { "refusal", LLM_MERGE_TEXT, NULL, NULL },
    { "reasoning_content", LLM_MERGE_TEXT, NULL, NULL },
    { "reasoning", LLM_MERGE_TEXT, NULL, NULL },
    { "reasoning_details", LLM_MERGE_INDEXED, llm_chat_detail_rules, NULL },
    { "tool_calls", LLM_MERGE_INDEXED, llm_chat_call_rules, NULL },
    { "function_call", LLM_MERGE_OBJECT, llm_chat_function_rules, NULL },
    { "annotations", LLM_MERGE_APPEND, NULL, NULL },
    { "role", LLM_MERGE_SAME, NULL, NULL },
    { NULL, LLM_MERGE_ONCE, NULL, NULL }
};

static const llm_rule_t  llm_chat_logprobs_rules[] = {
    { "content", LLM_MERGE_APPEND, NULL, NULL },
    { "refusal", LLM_MERGE_APPEND, NULL, NULL },
    { "tokens", LLM_MERGE_APPEND, NULL, NULL },
    { "token_logprobs", LLM_MERGE_APPEND, NULL, NULL },
    { "top_logprobs", LLM_MERGE_APPEND, NULL, NULL },
    { "text_offset", LLM_MERGE_APPEND, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

static const llm_rule_t  llm_chat_choice_rules[] = {
    { "delta", LLM_MERGE_OBJECT, llm_chat_delta_rules, "message" },
    { "text", LLM_MERGE_TEXT, NULL, NULL },
    { "logprobs", LLM_MERGE_OBJECT, llm_chat_logprobs_rules, NULL },
    { "finish_reason", LLM_MERGE_SAME, NULL, NULL },
    { "native_finish_reason", LLM_MERGE_SAME, NULL, NULL },
    { NULL, LLM_MERGE_ONCE, NULL, NULL }
};

static const llm_rule_t  llm_chat_groq_rules[] = {
    { "usage", LLM_MERGE_LAST, NULL, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};

/* "obfuscation" is padding that hides how long the pieces of a stream are */

static const llm_rule_t  llm_chat_rules[] = {
    { "id", LLM_MERGE_SAME, NULL, NULL },
    { "object", LLM_MERGE_SAME, NULL, NULL },
    { "created", LLM_MERGE_FIRST, NULL, NULL },
    { "model", LLM_MERGE_SAME, NULL, NULL },
    { "service_tier", LLM_MERGE_LAST, NULL, NULL },
    { "choices", LLM_MERGE_INDEXED, llm_chat_choice_rules, NULL },
    { "usage", LLM_MERGE_LAST, NULL, NULL },
    { "obfuscation", LLM_MERGE_DROP, NULL, NULL },
    { "x_groq", LLM_MERGE_OBJECT, llm_chat_groq_rules, NULL },
    { NULL, LLM_MERGE_SAME, NULL, NULL }
};


llm_value_t *
llm_chat_json(llm_conv_t *conv)
{
    llm_value_t  *doc, *choice, *name;

    static const llm_str_t  whole = llm_string("\"chat.completion\"");

    doc = llm_completions_json(conv);

    if (doc == NULL) {
        return NULL;
    }

    if (llm_doc_is(llm_doc_get(doc, "object"), "chat.completion.chunk")) {
        name = llm_doc_spelled(&conv->arena, LLM_SCAN_STRING, whole);
        (void) llm_doc_set(&conv->arena, doc, "object", name);
    }

    choice = llm_doc_get(doc, "choices")->first;

    for ( /* void */ ; choice; choice = choice->next) {
        llm_chat_message(conv, choice);
    }

    return doc;
}


llm_value_t *
llm_completions_json(llm_conv_t *conv)
{
    llm_value_t        *doc;
    const llm_value_t  *event;

    doc = llm_doc_new(&conv->arena, LLM_SCAN_OBJECT);

    for (event = conv->events->first; event; event = event->next) {
        if (llm_merge(conv, doc, event, llm_chat_rules) != 0) {
            return NULL;
        }
    }

    return llm_chat_finish(conv, doc);
}


/* JSON always tells usage, a stream only where it was asked to, and of some
   servers not even then */

static llm_value_t *
llm_chat_finish(llm_conv_t *conv, llm_value_t *doc)
{
    llm_value_t  *choices, *groq, *usage;

    choices = llm_doc_get(doc, "choices");

    if (!llm_doc_type(choices, LLM_SCAN_ARRAY) || choices->n == 0) {
        return NULL;
    }

    llm_merge_sort(conv, choices, SIZE_MAX);

    groq = llm_doc_get(doc, "x_groq");
    usage = llm_doc_get(groq, "usage");

    /* it may have figures of another kind */

    if (llm_doc_get(usage, "prompt_tokens") == NULL) {
        usage = NULL;
    }

    if (usage && llm_doc_silent(llm_doc_get(doc, "usage"))) {
        (void) llm_doc_set(&conv->arena, doc, "usage", usage);
    }

    /* its JSON tells it once */

    if (usage && llm_doc_same(usage, llm_doc_get(doc, "usage"))) {
        llm_doc_remove(groq, "usage");
    }

    return llm_doc_silent(llm_doc_get(doc, "usage")) ? NULL : doc;
}


/* what every message has, though its deltas need not */

static void
llm_chat_message(llm_conv_t *conv, llm_value_t *choice)
{
    llm_value_t  *message, *call, *value;

    static const llm_str_t  assistant = llm_string("\"assistant\"");
    static const llm_str_t  null = llm_string("null");

    message = llm_doc_get(choice, "message");

    if (!llm_doc_type(message, LLM_SCAN_OBJECT)) {
        conv->failed = 1;
        return;
    }

    if (llm_doc_silent(llm_doc_get(message, "role"))) {
        value = llm_doc_spelled(&conv->arena, LLM_SCAN_STRING, assistant);
        (void) llm_doc_set(&conv->arena, message, "role", value);
    }

    /* a refusal's deltas begin with an empty content, its JSON has none */

    if (llm_doc_get(message, "content") == NULL
        || (!llm_doc_silent(llm_doc_get(message, "refusal"))
            && llm_doc_silent(llm_doc_get(message, "content"))))
    {
        value = llm_doc_spelled(&conv->arena, LLM_SCAN_NULL, null);
        (void) llm_doc_set(&conv->arena, message, "content", value);
    }

    value = llm_doc_get(message, "tool_calls");

    if (!llm_doc_type(value, LLM_SCAN_ARRAY)) {
        return;
    }

    llm_merge_sort(conv, value, SIZE_MAX);

    for (call = value->first; call; call = call->next) {
        llm_doc_remove(call, "index");
    }
}


int
llm_chat_stream(llm_conv_t *conv)
{
    return llm_chat_run(conv, llm_chat_choice);
}


/*
 * Whether it is an answer of a provider whose streams tell usage in the last
 * choice's last chunk, asked or not: Groq in a member of its own
 * (console.groq.com/docs/api-reference), and Mistral (docs.mistral.ai/api),
 * known by its models' names.
 */

static int
llm_chat_unasked(const llm_value_t *doc)
{
    llm_str_t            name;
    const llm_value_t   *groq, *model;
    const char *const   *prefix;

    static const char *const  mistral[] = {
        "mistral-", "ministral-", "magistral-", "codestral-", "devstral-",
        "pixtral-", "voxtral-", "open-mistral-", "open-mixtral-",
        "open-codestral-", NULL
    };

    if (llm_doc_silent(llm_doc_get(doc, "usage"))) {
        return 0;
    }

    groq = llm_doc_get(doc, "x_groq");

    if (groq) {
        return groq->type == LLM_SCAN_OBJECT
               && llm_doc_get(groq, "usage") == NULL;
    }

    model = llm_doc_get(doc, "model");

    if (!llm_doc_type(model, LLM_SCAN_STRING)) {
        return 0;
    }

    name = llm_doc_inner(model);

    if (name.len > 3 && memcmp(name.data, "ft:", 3) == 0) {
        name.data += 3;
        name.len -= 3;
    }

    for (prefix = mistral; *prefix; prefix++) {

        if (name.len > strlen(*prefix)
            && memcmp(name.data, *prefix, strlen(*prefix)) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* in a chunk that is open */

static void
llm_chat_usage(llm_chat_t *chat)
{
    llm_conv_t         *conv;
    const llm_value_t  *groq, *usage;

    conv = chat->conv;
    groq = llm_doc_get(conv->doc, "x_groq");
    usage = llm_doc_get(conv->doc, "usage");

    if (groq) {
        llm_conv_put(conv, ",\"x_groq\":{");
        llm_conv_members(conv, groq, NULL);
        llm_conv_put(conv, "%,\"usage\":%v}", usage);

    } else if (!conv->how->include_usage) {
        llm_conv_put(conv, ",\"usage\":%v", usage);
    }
}


int
llm_completions_stream(llm_conv_t *conv)
{
    return llm_chat_run(conv, llm_completions_choice);
}


static int
llm_chat_run(llm_conv_t *conv, int (*handler)(llm_choice_t *choice))
{
    int         rc;
    llm_chat_t  chat;

    memset(&chat, 0, sizeof(llm_chat_t));

    chat.conv = conv;
    chat.unasked = (handler == llm_chat_choice && llm_chat_unasked(conv->doc));

    rc = llm_chat_head(&chat);

    if (rc == 0) {
        rc = llm_chat_choices(&chat, handler);
    }

    llm_buf_free(&chat.head);

    return rc;
}


static int
llm_chat_choices(llm_chat_t *chat, int (*handler)(llm_choice_t *choice))
{
    llm_conv_t          *conv;
    llm_choice_t         choice;
    const llm_value_t   *value, *usage;

    static const llm_str_t  zero = llm_string("0");

    conv = chat->conv;
    value = llm_doc_get(conv->doc, "choices");

    if (!llm_doc_type(value, LLM_SCAN_ARRAY)
        || !llm_conv_ordered(value, SIZE_MAX))
    {
        return -1;
    }

    for (value = value->first; value; value = value->next) {

        memset(&choice, 0, sizeof(llm_choice_t));

        choice.chat = chat;
        choice.choice = value;
        choice.zero.type = LLM_SCAN_NUMBER;
        choice.zero.text = zero;
        choice.index = llm_doc_get(value, "index");
        choice.logprobs = llm_doc_get(value, "logprobs");
        choice.last = (value->next == NULL);

        if (choice.index == NULL) {
            choice.index = &choice.zero;
        }

        if (handler(&choice) != 0) {
            return -1;
        }
    }

    if (!conv->how->include_usage) {
        return 0;
    }

    usage = llm_doc_get(conv->doc, "usage");

    if (llm_doc_silent(usage)) {
        return -1;
    }

    llm_chat_begin(chat);
    llm_conv_put(conv, "%,\"choices\":[],\"usage\":%v}", usage);
    llm_conv_end(conv);

    return 0;
}


/* what is short is told in each chunk, what is long in the first */

static int
llm_chat_head(llm_chat_t *chat)
{
    llm_buf_t          *head;
    const llm_value_t  *member;

    static const char *const  skip[] = { "choices", "usage", NULL };

    head = &chat->head;

    for (member = chat->conv->doc->first; member; member = member->next) {

        if (llm_conv_listed(member, skip)
            || member->type == LLM_SCAN_OBJECT
            || member->type == LLM_SCAN_ARRAY)
        {
            continue;
        }

        if (llm_buf_add(head, head->len ? ",\"" : "\"", head->len ? 2 : 1)
            != 0
            || llm_buf_add(head, member->name.data, member->name.len) != 0
            || llm_buf_add(head, "\":", 2) != 0)
        {
            return -1;
        }

        if (llm_doc_is(member, "chat.completion")
            && llm_str_eq(member->name, "object", 6))
        {
            if (llm_buf_add(head, "\"chat.completion.chunk\"", 23) != 0) {
                return -1;
            }

        } else if (llm_doc_write(member, head) != 0) {
            return -1;
        }
    }

    return 0;
}


static void
llm_chat_begin(llm_chat_t *chat)
{
    llm_str_t           head;
    llm_conv_t         *conv;
    const llm_value_t  *member;

    static const char *const  skip[] = { "choices", "usage", NULL };

    conv = chat->conv;
    head.data = chat->head.data;
    head.len = chat->head.len;

    llm_conv_begin(conv, NULL);
    llm_conv_put(conv, "{%r", &head);

    if (chat->later) {
        return;
    }

    chat->later = 1;

    for (member = conv->doc->first; member; member = member->next) {

        if (!llm_conv_listed(member, skip)
            && (member->type == LLM_SCAN_OBJECT
                || member->type == LLM_SCAN_ARRAY))
        {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }
}


static int
llm_chat_choice(llm_choice_t *choice)
{
    const llm_value_t  *value;

    choice->message = llm_doc_get(choice->choice, "message");

    if (!llm_doc_type(choice->message, LLM_SCAN_OBJECT)
        || llm_doc_get(choice->choice, "delta"))
    {
        return -1;
    }

    llm_chat_role(choice);

    llm_chat_text(choice, "reasoning_content");
    llm_chat_text(choice, "reasoning");
    llm_chat_text(choice, "content");
    llm_chat_text(choice, "refusal");

    value = llm_doc_get(choice->message, "annotations");

    if (value && value->n) {

        if (value->type != LLM_SCAN_ARRAY) {
            return -1;
        }

        llm_choice_begin(choice);
        llm_conv_put(choice->chat->conv, "\"delta\":{\"annotations\":%v}",
                     value);
        llm_choice_end(choice);
    }

    llm_chat_tools(choice);
    llm_chat_function(choice);

    llm_choice_last(choice, "\"delta\":{}");

    return 0;
}


/* the first delta: all that does not come in pieces */

static void
llm_chat_role(llm_choice_t *choice)
{
    llm_conv_t         *conv;
    const llm_value_t  *member;

    static const char *const  texts[] = { "content", "reasoning_content",
                                          "reasoning", "refusal", NULL };
    static const char *const  lists[] = { "tool_calls", "function_call",
                                          "annotations", NULL };

    conv = choice->chat->conv;

    llm_choice_begin(choice);
    llm_conv_put(conv, "\"delta\":{");

    for (member = choice->message->first; member; member = member->next) {

        if (llm_conv_listed(member, lists) && member->n) {
            continue;
        }

        if (llm_conv_listed(member, texts) && member->type != LLM_SCAN_NULL) {

            if (llm_str_eq(member->name, "content", 7)
                && member->type == LLM_SCAN_STRING)
            {
                llm_conv_put(conv, "%,\"content\":\"\"");
            }

            continue;
        }

        llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
    }

    llm_conv_put(conv, "}");
    llm_choice_end(choice);
}


/* a text in pieces; anything else whole */

static void
llm_chat_text(llm_choice_t *choice, const char *name)
{
    llm_cut_t           cut;
    llm_str_t           piece;
    llm_conv_t         *conv;
    const llm_value_t  *text;

    conv = choice->chat->conv;
    text = llm_doc_get(choice->message, name);

    if (text == NULL || text->type == LLM_SCAN_NULL) {
        return;
    }

    if (text->type != LLM_SCAN_STRING) {
        llm_choice_begin(choice);
        llm_conv_put(conv, "\"delta\":{\"%s\":%v}", name, text);
        llm_choice_end(choice);
        return;
    }

    if (strcmp(name, "content") == 0 && llm_chat_tokens(choice, text)) {
        return;
    }

    /* an empty one is told too, unless the first delta has done so */

    if (text->text.len == 2 && strcmp(name, "content") != 0) {
        llm_choice_begin(choice);
        llm_conv_put(conv, "\"delta\":{\"%s\":\"\"}", name);
        llm_choice_end(choice);
    }

    llm_cut_init(&cut, llm_doc_inner(text));

    while (llm_cut_next(&cut, &piece)) {
        llm_choice_begin(choice);
        llm_conv_put(conv, "\"delta\":{\"%s\":%t}", name, &piece);
        llm_choice_end(choice);
    }
}


/* where the tokens are told, they are the pieces: 1, or 0 when they do not
   spell the text */

static int
llm_chat_tokens(llm_choice_t *choice, const llm_value_t *text)
{
    llm_str_t           rest, piece;
    const llm_value_t  *tokens, *token, *value;

    tokens = llm_doc_get(choice->logprobs, "content");

    if (!llm_doc_type(tokens, LLM_SCAN_ARRAY) || tokens->n == 0) {
        return 0;
    }

    value = llm_doc_get(choice->logprobs, "refusal");

    if (llm_doc_type(value, LLM_SCAN_ARRAY) && value->n) {
        return 0;
    }

    rest = llm_doc_inner(text);

    for (token = tokens->first; token; token = token->next) {

        value = llm_doc_get(token, "token");

        if (!llm_doc_type(value, LLM_SCAN_STRING)) {
            return 0;
        }

        piece = llm_doc_inner(value);

        if (piece.len > rest.len
            || memcmp(piece.data, rest.data, piece.len) != 0)
        {
            return 0;
        }

        rest.data += piece.len;
        rest.len -= piece.len;
    }

    if (rest.len) {
        return 0;
    }

    for (token = tokens->first; token; token = token->next) {
        llm_chat_token(choice, token);
    }

    choice->logprobs = NULL;

    return 1;
}


static void
llm_chat_token(llm_choice_t *choice, const llm_value_t *token)
{
    llm_conv_t         *conv;
    const llm_value_t  *logprobs;

    static const char *const  skip[] = { "content", NULL };

    conv = choice->chat->conv;
    logprobs = choice->logprobs;

    choice->logprobs = NULL;

    llm_choice_begin(choice);
    llm_conv_put(conv, "\"delta\":{\"content\":%v},"
                 "\"logprobs\":{\"content\":[%v]",
                 llm_doc_get(token, "token"), token);
    llm_conv_members(conv, logprobs, skip);
    llm_conv_put(conv, "}");
    llm_choice_end(choice);

    choice->logprobs = logprobs;
}


static void
llm_chat_tools(llm_choice_t *choice)
{
    size_t              at;
    const llm_value_t  *calls, *call;

    calls = llm_doc_get(choice->message, "tool_calls");

    if (calls == NULL || calls->n == 0) {
        return;
    }

    at = 0;

    for (call = calls->first; call; call = call->next) {

        if (call->type != LLM_SCAN_OBJECT) {
            choice->chat->conv->failed = 1;
            return;
        }

        llm_chat_call(choice, call, at++);
    }
}


/* whole, as not every client joins pieces of arguments */

static void
llm_chat_call(llm_choice_t *choice, const llm_value_t *call, size_t at)
{
    llm_conv_t  *conv;

    static const char *const  skip[] = { "index", NULL };

    conv = choice->chat->conv;

    llm_choice_begin(choice);
    llm_conv_put(conv, "\"delta\":{\"tool_calls\":[{\"index\":%u", at);
    llm_conv_members(conv, call, skip);
    llm_conv_put(conv, "}]}");
    llm_choice_end(choice);
}


/* what there was before tools */

static void
llm_chat_function(llm_choice_t *choice)
{
    const llm_value_t  *call;

    call = llm_doc_get(choice->message, "function_call");

    if (call && call->n) {
        llm_choice_begin(choice);
        llm_conv_put(choice->chat->conv, "\"delta\":{\"function_call\":%v}",
                     call);
        llm_choice_end(choice);
    }
}


static int
llm_completions_choice(llm_choice_t *choice)
{
    llm_cut_t           cut;
    llm_str_t           piece;
    const llm_value_t  *text;

    text = llm_doc_get(choice->choice, "text");

    if (!llm_doc_type(text, LLM_SCAN_STRING)) {
        return -1;
    }

    llm_cut_init(&cut, llm_doc_inner(text));

    while (llm_cut_next(&cut, &piece)) {
        llm_choice_begin(choice);
        llm_conv_put(choice->chat->conv, "\"text\":%t", &piece);
        llm_choice_end(choice);
    }

    llm_choice_last(choice, "\"text\":\"\"");

    return 0;
}


static void
llm_choice_begin(llm_choice_t *choice)
{
    llm_chat_begin(choice->chat);
    llm_conv_put(choice->chat->conv, "%,\"choices\":[{\"index\":%v,",
                 choice->index);
}


/* what is told of the tokens goes with the last chunk, unless it is nothing */

static void
llm_choice_end(llm_choice_t *choice)
{
    llm_conv_t  *conv;

    conv = choice->chat->conv;

    if (llm_doc_type(choice->logprobs, LLM_SCAN_NULL)) {
        llm_conv_put(conv, ",\"logprobs\":null");
    }

    llm_conv_put(conv, ",\"finish_reason\":null}]}");
    llm_conv_end(conv);
}


static void
llm_choice_last(llm_choice_t *choice, const char *empty)
{
    llm_conv_t  *conv;

    static const char *const  chat[] = { "index", "message", "logprobs",
                                         NULL };
    static const char *const  text[] = { "index", "text", "logprobs", NULL };

    conv = choice->chat->conv;

    llm_choice_begin(choice);
    llm_conv_put(conv, "%s", empty);

    if (choice->logprobs) {
        llm_conv_put(conv, ",\"logprobs\":%v", choice->logprobs);
    }

    llm_conv_members(conv, choice->choice, choice->message ? chat : text);
    llm_conv_put(conv, "}]");

    if (choice->last && choice->chat->unasked) {
        llm_chat_usage(choice->chat);
    }

    llm_conv_put(conv, "}");
    llm_conv_end(conv);
}
