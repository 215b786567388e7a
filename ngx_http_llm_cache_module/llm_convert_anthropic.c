/*
 * Anthropic Messages (docs.anthropic.com/en/api/messages-streaming).
 */


#include "llm_convert_core.h"


static llm_value_t *llm_anthropic_start(llm_conv_t *conv,
    const llm_value_t *event);
static int llm_anthropic_block(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event);
static int llm_anthropic_delta(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event);
static int llm_anthropic_citation(llm_conv_t *conv, llm_value_t *block,
    const llm_value_t *delta);
static int llm_anthropic_input(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event);
static int llm_anthropic_parsed(llm_conv_t *conv, llm_value_t *block,
    const llm_value_t *fragments);
static int llm_anthropic_message(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *event);
static int llm_anthropic_set(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *from, const char *const *skip);
static llm_value_t *llm_anthropic_find(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event);
static int llm_anthropic_head(llm_conv_t *conv);
static int llm_anthropic_content(llm_conv_t *conv, const llm_value_t *block,
    size_t at);
static void llm_anthropic_texts(llm_conv_t *conv, const llm_value_t *block,
    const char *text, size_t at);
static void llm_anthropic_text(llm_conv_t *conv, const llm_value_t *text,
    const char *type, const char *name, size_t at);
static int llm_anthropic_arguments(llm_conv_t *conv,
    const llm_value_t *input, size_t at);
static void llm_anthropic_end(llm_conv_t *conv);


/* while a stream is read, a block has these members more, whose names no
   provider can have spelled so */

#define LLM_ANTHROPIC_INDEX  "\"index"
#define LLM_ANTHROPIC_INPUT  "\"input"


llm_value_t *
llm_anthropic_json(llm_conv_t *conv)
{
    int                 rc;
    llm_value_t        *doc, *content;
    const llm_value_t  *event, *type;

    doc = NULL;
    content = NULL;
    rc = 0;

    for (event = conv->events->first; event && rc == 0; event = event->next) {

        type = llm_doc_get(event, "type");

        if (llm_doc_is(type, "message_start")) {

            if (doc) {
                return NULL;
            }

            doc = llm_anthropic_start(conv, event);
            content = llm_doc_get(doc, "content");
            rc = content ? 0 : -1;

        } else if (llm_doc_is(type, "content_block_start")) {
            rc = llm_anthropic_block(conv, content, event);

        } else if (llm_doc_is(type, "content_block_delta")) {
            rc = llm_anthropic_delta(conv, content, event);

        } else if (llm_doc_is(type, "content_block_stop")) {
            rc = llm_anthropic_input(conv, content, event);

        } else if (llm_doc_is(type, "message_delta")) {
            rc = llm_anthropic_message(conv, doc, event);

        } else if (!llm_doc_is(type, "message_stop")
                   && !llm_doc_is(type, "ping"))
        {
            return NULL;
        }
    }

    if (rc != 0 || content == NULL) {
        return NULL;
    }

    for (content = content->first; content; content = content->next) {

        if (llm_doc_get(content, LLM_ANTHROPIC_INPUT)) {
            return NULL;
        }

        llm_doc_remove(content, LLM_ANTHROPIC_INDEX);
    }

    return doc;
}


static llm_value_t *
llm_anthropic_start(llm_conv_t *conv, const llm_value_t *event)
{
    llm_value_t        *doc, *empty;
    const llm_value_t  *content;

    doc = llm_doc_copy(&conv->arena, llm_doc_get(event, "message"));
    content = llm_doc_get(doc, "content");

    if (!llm_doc_type(content, LLM_SCAN_ARRAY) || content->n) {
        return NULL;
    }

    empty = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);

    return llm_doc_set(&conv->arena, doc, "content", empty) ? doc : NULL;
}


static int
llm_anthropic_block(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event)
{
    llm_value_t        *block;
    const llm_value_t  *index;

    index = llm_doc_get(event, "index");
    block = llm_doc_copy(&conv->arena, llm_doc_get(event, "content_block"));

    if (content == NULL || !llm_doc_type(block, LLM_SCAN_OBJECT)
        || llm_doc_index(index, SIZE_MAX) != content->n)
    {
        return -1;
    }

    block = llm_doc_add(&conv->arena, content, NULL, block);

    return llm_doc_add(&conv->arena, block, LLM_ANTHROPIC_INDEX, index)
           ? 0 : -1;
}


static int
llm_anthropic_delta(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event)
{
    size_t              i;
    llm_value_t        *block, *old;
    const llm_value_t  *delta, *piece, *type;

    static const struct {
        const char  *type;
        const char  *from;
        const char  *to;
    } texts[] = {
        { "text_delta", "text", "text" },
        { "thinking_delta", "thinking", "thinking" },
        { "signature_delta", "signature", "signature" },
        { "input_json_delta", "partial_json", LLM_ANTHROPIC_INPUT }
    };

    block = llm_anthropic_find(conv, content, event);
    delta = llm_doc_get(event, "delta");
    type = llm_doc_get(delta, "type");

    if (block == NULL) {
        return -1;
    }

    if (llm_doc_is(type, "citations_delta")) {
        return llm_anthropic_citation(conv, block, delta);
    }

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (llm_doc_is(type, texts[i].type)) {
            break;
        }
    }

    if (i == sizeof(texts) / sizeof(texts[0]) || delta->n != 2) {
        return -1;
    }

    piece = llm_doc_get(delta, texts[i].from);

    if (!llm_doc_type(piece, LLM_SCAN_STRING)) {
        return -1;
    }

    old = llm_conv_get(conv, block, texts[i].to);

    if (old == NULL) {
        return llm_doc_add(&conv->arena, block, texts[i].to, piece) ? 0 : -1;
    }

    /* a signature comes whole */

    if (i == 2 && !llm_doc_silent(old)) {
        return -1;
    }

    llm_doc_join(&conv->arena, old, piece);

    return 0;
}


static int
llm_anthropic_citation(llm_conv_t *conv, llm_value_t *block,
    const llm_value_t *delta)
{
    llm_value_t        *citations, *empty;
    const llm_value_t  *citation;

    citation = llm_doc_get(delta, "citation");
    citations = llm_conv_get(conv, block, "citations");

    if (citation == NULL || delta->n != 2) {
        return -1;
    }

    if (citations == NULL || citations->text.data) {

        if (citations && citations->n) {
            return -1;
        }

        empty = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);
        citations = llm_doc_set(&conv->arena, block, "citations", empty);
    }

    return llm_doc_add(&conv->arena, citations, NULL, citation) ? 0 : -1;
}


/* the block has ended: its fragments of JSON are the input */

static int
llm_anthropic_input(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event)
{
    llm_value_t  *block, *fragments;

    block = llm_anthropic_find(conv, content, event);

    if (block == NULL) {
        return -1;
    }

    fragments = llm_doc_get(block, LLM_ANTHROPIC_INPUT);

    if (fragments == NULL) {
        return 0;
    }

    if (llm_anthropic_parsed(conv, block, fragments) != 0) {
        return -1;
    }

    llm_doc_remove(block, LLM_ANTHROPIC_INPUT);

    return 0;
}


static int
llm_anthropic_parsed(llm_conv_t *conv, llm_value_t *block,
    const llm_value_t *fragments)
{
    int             rc;
    llm_buf_t       spelled, buf;
    llm_str_t       text;
    llm_scan_t      scan;
    unsigned char  *copy;

    memset(&spelled, 0, sizeof(llm_buf_t));
    memset(&buf, 0, sizeof(llm_buf_t));

    rc = llm_doc_write(fragments, &spelled);

    if (rc == 0) {
        text.data = spelled.data + 1;
        text.len = spelled.len - 2;

        rc = llm_doc_decode(text, &buf);
    }

    if (rc != 0 || buf.len == 0) {
        llm_buf_free(&spelled);
        llm_buf_free(&buf);
        return rc;
    }

    /* a model may write anything */

    llm_scan_init(&scan, NULL, NULL);
    llm_scan_begin(&scan, NULL);

    rc = (llm_scan_feed(&scan, buf.data, buf.len) == LLM_SCAN_OK
          && llm_scan_end(&scan) == LLM_SCAN_OK) ? 0 : -1;

    llm_scan_free(&scan);

    copy = llm_arena_alloc(&conv->arena, buf.len);

    if (rc == 0 && copy) {
        memcpy(copy, buf.data, buf.len);

        text.data = copy;
        text.len = buf.len;

        if (llm_doc_set(&conv->arena, block, "input",
                        llm_doc_parse(&conv->arena, text)) == NULL)
        {
            rc = -1;
        }
    }

    llm_buf_free(&spelled);
    llm_buf_free(&buf);

    return rc;
}


static int
llm_anthropic_message(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *event)
{
    llm_value_t        *old, *usage;
    const llm_value_t  *from;

    static const char *const  own[] = { "type", "delta", "usage", NULL };

    if (doc == NULL
        || llm_anthropic_set(conv, doc, llm_doc_get(event, "delta"), NULL)
           != 0
        || llm_anthropic_set(conv, doc, event, own) != 0)
    {
        return -1;
    }

    from = llm_doc_get(event, "usage");

    if (llm_doc_silent(from)) {
        return 0;
    }

    old = llm_doc_get(doc, "usage");

    if (llm_doc_silent(old)) {
        return llm_doc_set(&conv->arena, doc, "usage", from) ? 0 : -1;
    }

    usage = llm_doc_copy(&conv->arena, old);

    if (llm_anthropic_set(conv, usage, from, NULL) != 0) {
        return -1;
    }

    return llm_doc_set(&conv->arena, doc, "usage", usage) ? 0 : -1;
}


/* what is told last counts, where it says something */

static int
llm_anthropic_set(llm_conv_t *conv, llm_value_t *doc,
    const llm_value_t *from, const char *const *skip)
{
    llm_value_t        *old;
    const llm_value_t  *member;

    if (!llm_doc_type(from, LLM_SCAN_OBJECT)
        || !llm_doc_type(doc, LLM_SCAN_OBJECT))
    {
        return -1;
    }

    for (member = from->first; member; member = member->next) {

        if (llm_conv_listed(member, skip)) {
            continue;
        }

        old = llm_conv_find(conv, doc, member->name);

        if (conv->failed) {
            return -1;
        }

        if (old == NULL) {
            if (llm_doc_add(&conv->arena, doc, NULL, member) == NULL) {
                return -1;
            }

        } else if (member->type != LLM_SCAN_NULL) {
            old->type = member->type;
            old->text = member->text;
            old->first = member->first;
            old->last = member->last;
            old->n = member->n;
            old->broken = member->broken;
        }
    }

    return 0;
}


static llm_value_t *
llm_anthropic_find(llm_conv_t *conv, llm_value_t *content,
    const llm_value_t *event)
{
    size_t        index;
    llm_value_t  *block;

    index = llm_doc_index(llm_doc_get(event, "index"), SIZE_MAX);
    block = content ? content->last : NULL;

    /* one block at a time */

    if (index != SIZE_MAX && block
        && llm_doc_index(llm_conv_get(conv, block, LLM_ANTHROPIC_INDEX),
                         SIZE_MAX)
           == index)
    {
        return block;
    }

    return NULL;
}


int
llm_anthropic_stream(llm_conv_t *conv)
{
    size_t              at;
    const llm_value_t  *content, *member, *usage;

    static const char *const  delta[] = { "stop_reason", "stop_sequence",
                                          "stop_details", "container", NULL };

    content = llm_doc_get(conv->doc, "content");
    usage = llm_doc_get(conv->doc, "usage");

    if (!llm_doc_type(content, LLM_SCAN_ARRAY)
        || llm_anthropic_head(conv) != 0)
    {
        return -1;
    }

    at = 0;

    for (content = content->first; content; content = content->next) {
        if (llm_anthropic_content(conv, content, at++) != 0) {
            return -1;
        }
    }

    llm_conv_typed(conv, "message_delta");
    llm_conv_put(conv, ",\"delta\":{");

    for (member = conv->doc->first; member; member = member->next) {
        if (llm_conv_listed(member, delta)) {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "},\"usage\":%v", usage);

    member = llm_doc_get(conv->doc, "context_management");

    if (member) {
        llm_conv_put(conv, ",\"context_management\":%v", member);
    }

    llm_anthropic_end(conv);

    llm_conv_typed(conv, "message_stop");
    llm_anthropic_end(conv);

    return 0;
}


/* the message before anything was said: a token is on its way */

static int
llm_anthropic_head(llm_conv_t *conv)
{
    const llm_value_t  *member, *usage;

    static const char *const  nulls[] = { "stop_reason", "stop_sequence",
                                          "stop_details", "container",
                                          "context_management", NULL };
    static const char *const  skip[] = { "output_tokens", NULL };

    usage = llm_doc_get(conv->doc, "usage");

    if (!llm_doc_type(llm_doc_get(usage, "output_tokens"), LLM_SCAN_NUMBER)) {
        return -1;
    }

    llm_conv_typed(conv, "message_start");
    llm_conv_put(conv, ",\"message\":{");

    for (member = conv->doc->first; member; member = member->next) {

        if (llm_str_eq(member->name, "content", 7)) {
            llm_conv_put(conv, "%,\"content\":[]");

        } else if (llm_conv_listed(member, nulls)) {
            llm_conv_put(conv, "%,\"%r\":null", &member->name);

        } else if (member == usage) {
            llm_conv_put(conv, "%,\"usage\":{");
            llm_conv_members(conv, usage, skip);
            llm_conv_put(conv, "%,\"output_tokens\":1}");

        } else {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
    llm_anthropic_end(conv);

    return 0;
}


static int
llm_anthropic_content(llm_conv_t *conv, const llm_value_t *block, size_t at)
{
    const char         *text;
    const llm_value_t  *type, *member, *input;

    if (!llm_doc_type(block, LLM_SCAN_OBJECT)) {
        return -1;
    }

    type = llm_doc_get(block, "type");
    text = llm_doc_is(type, "text") ? "text"
           : llm_doc_is(type, "thinking") ? "thinking" : "";

    input = llm_doc_get(block, "input");
    input = llm_doc_type(input, LLM_SCAN_OBJECT) && input->n ? input : NULL;

    llm_conv_typed(conv, "content_block_start");
    llm_conv_put(conv, ",\"index\":%u,\"content_block\":{", at);

    for (member = block->first; member; member = member->next) {

        if (*text && member->type == LLM_SCAN_STRING
            && (llm_str_eq(member->name, text, strlen(text))
                || llm_str_eq(member->name, "signature", 9)))
        {
            llm_conv_put(conv, "%,\"%r\":\"\"", &member->name);

        } else if (*text && member->type == LLM_SCAN_ARRAY
                   && llm_str_eq(member->name, "citations", 9))
        {
            llm_conv_put(conv, "%,\"citations\":[]");

        } else if (input && member == input) {
            llm_conv_put(conv, "%,\"input\":{}");

        } else {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }

    llm_conv_put(conv, "}");
    llm_anthropic_end(conv);

    llm_anthropic_texts(conv, block, text, at);

    if (input && llm_anthropic_arguments(conv, input, at) != 0) {
        return -1;
    }

    llm_conv_typed(conv, "content_block_stop");
    llm_conv_put(conv, ",\"index\":%u", at);
    llm_anthropic_end(conv);

    return 0;
}


/* what a text or a thought is made of */

static void
llm_anthropic_texts(llm_conv_t *conv, const llm_value_t *block,
    const char *text, size_t at)
{
    const llm_value_t  *citation, *signature;

    if (*text == '\0') {
        return;
    }

    llm_anthropic_text(conv, llm_doc_get(block, text),
                       strcmp(text, "text") == 0 ? "text_delta"
                                                 : "thinking_delta",
                       text, at);

    citation = llm_doc_get(block, "citations");
    citation = llm_doc_type(citation, LLM_SCAN_ARRAY) ? citation->first : NULL;

    for ( /* void */ ; citation; citation = citation->next) {
        llm_conv_typed(conv, "content_block_delta");
        llm_conv_put(conv, ",\"index\":%u,\"delta\":{\"type\":"
                     "\"citations_delta\",\"citation\":%v}", at, citation);
        llm_anthropic_end(conv);
    }

    signature = llm_doc_get(block, "signature");

    if (llm_doc_type(signature, LLM_SCAN_STRING)
        && !llm_doc_silent(signature))
    {
        llm_conv_typed(conv, "content_block_delta");
        llm_conv_put(conv, ",\"index\":%u,\"delta\":{\"type\":"
                     "\"signature_delta\",\"signature\":%v}", at, signature);
        llm_anthropic_end(conv);
    }
}


static void
llm_anthropic_text(llm_conv_t *conv, const llm_value_t *text,
    const char *type, const char *name, size_t at)
{
    llm_cut_t  cut;
    llm_str_t  piece;

    if (!llm_doc_type(text, LLM_SCAN_STRING)) {
        return;
    }

    llm_cut_init(&cut, llm_doc_inner(text));

    while (llm_cut_next(&cut, &piece)) {
        llm_conv_typed(conv, "content_block_delta");
        llm_conv_put(conv, ",\"index\":%u,\"delta\":{\"type\":\"%s\","
                     "\"%s\":%t}", at, type, name, &piece);
        llm_anthropic_end(conv);
    }
}


/* the input is told as pieces of its JSON */

static int
llm_anthropic_arguments(llm_conv_t *conv, const llm_value_t *input, size_t at)
{
    int        rc;
    llm_buf_t  text, spelled;
    llm_cut_t  cut;
    llm_str_t  inner, piece;

    memset(&text, 0, sizeof(llm_buf_t));
    memset(&spelled, 0, sizeof(llm_buf_t));

    rc = llm_doc_write(input, &text);

    if (rc == 0) {
        rc = llm_json_canon_string((const char *) text.data, text.len,
                                   &spelled);
    }

    if (rc == 0) {
        inner.data = spelled.data + 1;
        inner.len = spelled.len - 2;

        llm_cut_init(&cut, inner);

        while (llm_cut_next(&cut, &piece)) {
            llm_conv_typed(conv, "content_block_delta");
            llm_conv_put(conv, ",\"index\":%u,\"delta\":{\"type\":"
                         "\"input_json_delta\",\"partial_json\":%t}", at,
                         &piece);
            llm_anthropic_end(conv);
        }
    }

    llm_buf_free(&text);
    llm_buf_free(&spelled);

    return rc;
}


static void
llm_anthropic_end(llm_conv_t *conv)
{
    llm_conv_put(conv, "}");
    llm_conv_end(conv);
}
