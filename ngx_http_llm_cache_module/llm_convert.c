#include <stdarg.h>
#include <stdio.h>

#include "llm_convert_core.h"


/* the work takes up to so much memory: for each byte, and besides */
#define LLM_CONVERT_WORK  16
#define LLM_CONVERT_ROOM  (1024 * 1024)

/* and so many steps, of some nanoseconds each */
#define LLM_CONVERT_STEPS  2
#define LLM_CONVERT_LEAST  (64 * 1024)


typedef struct {
    llm_dialect_e         id;
    llm_to_json_pt        json;
    llm_to_stream_pt      stream;
    const char           *end;         /* after the last event */
    const char *const    *parts;       /* members of events alone */
} llm_converter_t;


static const llm_converter_t *llm_converter(const llm_dialect_t *dialect);
static int llm_conv_run(llm_conv_t *conv, const llm_converter_t *converter);
static int llm_conv_read(llm_conv_t *conv);
static int llm_conv_event(void *ctx, const llm_sse_event_t *event);
static int llm_conv_lines(llm_conv_t *conv);
static int llm_conv_add(llm_conv_t *conv, llm_str_t text);
static int llm_conv_erroneous(const llm_value_t *doc);
static int llm_conv_says_error(const llm_value_t *word);
static int llm_conv_reframe(llm_conv_t *conv);
static int llm_conv_document(llm_conv_t *conv, llm_value_t *doc);
static void llm_conv_raw(llm_conv_t *conv, const void *data, size_t len);
static void llm_conv_number(llm_conv_t *conv, size_t n);
static int llm_conv_keepalive(llm_str_t name);


/* a document that has one of these says in it what would be lost inside of an
   event */

static const char *const  llm_no_parts[] = { NULL };
static const char *const  llm_responses_members[] = { "response", "item",
                                                      "delta", NULL };
static const char *const  llm_anthropic_members[] = { "message", "delta",
                                                      "content_block", NULL };
static const char *const  llm_cohere_members[] = { "delta", NULL };


static const llm_converter_t  llm_converters[] = {
    { LLM_DIALECT_CHAT, llm_chat_json, llm_chat_stream,
      "data: [DONE]\n\n", llm_no_parts },
    { LLM_DIALECT_COMPLETIONS, llm_completions_json, llm_completions_stream,
      "data: [DONE]\n\n", llm_no_parts },
    { LLM_DIALECT_RESPONSES, llm_responses_json, llm_responses_stream, "",
      llm_responses_members },
    { LLM_DIALECT_ANTHROPIC, llm_anthropic_json, llm_anthropic_stream, "",
      llm_anthropic_members },
    { LLM_DIALECT_GEMINI, llm_gemini_json, llm_gemini_stream, "",
      llm_no_parts },
    { LLM_DIALECT_COHERE_CHAT, llm_cohere_json, llm_cohere_stream, "",
      llm_cohere_members },
    { LLM_DIALECT_OLLAMA_CHAT, llm_ollama_json, llm_ollama_stream, "",
      llm_no_parts },
    { LLM_DIALECT_OLLAMA_GENERATE, llm_ollama_json, llm_ollama_stream, "",
      llm_no_parts }
};

#define LLM_CONVERTERS  (sizeof(llm_converters) / sizeof(llm_converters[0]))


static const llm_converter_t *
llm_converter(const llm_dialect_t *dialect)
{
    size_t  i;

    for (i = 0; i < LLM_CONVERTERS; i++) {
        if (llm_converters[i].id == dialect->id) {
            return &llm_converters[i];
        }
    }

    return NULL;
}


int
llm_convert_knows(const llm_dialect_t *dialect)
{
    return llm_converter(dialect) != NULL;
}


llm_str_t
llm_convert_type(const llm_dialect_t *dialect, unsigned char ask)
{
    static const llm_str_t  json = llm_string("application/json");
    static const llm_str_t  sse = llm_string("text/event-stream");
    static const llm_str_t  charset =
        llm_string("text/event-stream; charset=utf-8");
    static const llm_str_t  ndjson = llm_string("application/x-ndjson");

    switch (ask) {

    case LLM_ASK_SSE:
        return dialect->id == LLM_DIALECT_GEMINI ? sse : charset;

    case LLM_ASK_NDJSON:
        return ndjson;

    default: /* LLM_ASK_JSON, LLM_ASK_ARRAY */
        return json;
    }
}


size_t
llm_convert_work(size_t len)
{
    return len * LLM_CONVERT_WORK + LLM_CONVERT_ROOM;
}


int
llm_convert(const llm_convert_t *convert, llm_str_t body, llm_buf_t *out)
{
    int                     rc;
    llm_conv_t              conv;
    const llm_converter_t  *converter;

    converter = llm_converter(convert->dialect);

    if (converter == NULL
        || convert->ask == LLM_ASK_ODD
        || (convert->ask == LLM_ASK_ARRAY
            && converter->id != LLM_DIALECT_GEMINI)
        || (convert->ask == LLM_ASK_NDJSON
            && !convert->dialect->stream_default)
        || (convert->ask == LLM_ASK_SSE && convert->dialect->stream_default))
    {
        return -1;
    }

    memset(&conv, 0, sizeof(llm_conv_t));

    conv.how = convert;
    conv.body = body;
    conv.out = out;
    conv.start = out->len;
    conv.steps = body.len * LLM_CONVERT_STEPS + LLM_CONVERT_LEAST;
    conv.arena.max = llm_convert_work(body.len);

    rc = llm_conv_run(&conv, converter);

    if (conv.failed || conv.arena.failed) {
        rc = -1;
    }

    llm_arena_free(&conv.arena);

    return rc;
}


static int
llm_conv_run(llm_conv_t *conv, const llm_converter_t *converter)
{
    llm_value_t          *doc;
    const char *const    *part;
    const llm_convert_t  *how;

    how = conv->how;

    if (llm_conv_read(conv) != 0) {
        return -1;
    }

    if (how->ask == LLM_ASK_JSON) {
        doc = conv->doc ? conv->doc : converter->json(conv);

        return (conv->doc || !llm_conv_erroneous(doc))
               ? llm_conv_document(conv, doc) : -1;
    }

    if (conv->doc == NULL) {
        return llm_conv_reframe(conv);
    }

    for (part = converter->parts; *part; part++) {
        if (llm_doc_get(conv->doc, *part)) {
            return -1;
        }
    }

    if (converter->stream(conv) != 0) {
        return -1;
    }

    if (how->ask == LLM_ASK_ARRAY) {
        llm_conv_raw(conv, "\n]\n", 3);

    } else {
        llm_conv_raw(conv, converter->end, strlen(converter->end));
    }

    return conv->written ? 0 : -1;
}


/* conv->doc, or conv->events */

static int
llm_conv_read(llm_conv_t *conv)
{
    int           rc;
    llm_sse_t     sse;
    llm_value_t  *value;

    if (conv->how->form == LLM_FORM_JSON) {

        value = llm_doc_parse(&conv->arena, conv->body);

        if (llm_doc_type(value, LLM_SCAN_ARRAY)) {
            conv->events = value;

        } else if (llm_doc_type(value, LLM_SCAN_OBJECT)) {
            conv->doc = value;

        } else {
            return -1;
        }

        return 0;
    }

    conv->events = llm_doc_new(&conv->arena, LLM_SCAN_ARRAY);

    if (conv->events == NULL) {
        return -1;
    }

    if (conv->how->form == LLM_FORM_NDJSON) {
        return llm_conv_lines(conv);
    }

    llm_sse_init(&sse, conv->body.len + 1, llm_conv_event, conv);

    rc = llm_sse_feed(&sse, conv->body.data, conv->body.len);

    if (rc == 0) {
        rc = llm_sse_end(&sse);
    }

    llm_sse_free(&sse);

    return rc == 0 ? 0 : -1;
}


static int
llm_conv_event(void *ctx, const llm_sse_event_t *event)
{
    llm_str_t       data;
    llm_conv_t     *conv;
    unsigned char  *copy;

    conv = ctx;
    data = event->data;

    /* what the scanner has copied is gone when it is */

    if (event->data_start != SIZE_MAX) {
        data.data = conv->body.data + event->data_start;

    } else if (data.len) {
        copy = llm_arena_alloc(&conv->arena, data.len);
        if (copy == NULL) {
            return 1;
        }

        memcpy(copy, data.data, data.len);
        data.data = copy;
    }

    while (data.len && (*data.data == ' ' || *data.data == '\t'
                        || *data.data == '\n'))
    {
        data.data++;
        data.len--;
    }

    if (data.len == 0 || llm_conv_keepalive(event->name)
        || (data.len >= 6 && memcmp(data.data, "[DONE]", 6) == 0))
    {
        return 0;
    }

    return llm_conv_add(conv, data) == 0 ? 0 : 1;
}


static int
llm_conv_lines(llm_conv_t *conv)
{
    llm_str_t             line;
    const unsigned char  *p, *last, *lf;

    last = conv->body.data + conv->body.len;

    for (p = conv->body.data; p < last; p = lf + 1) {

        lf = memchr(p, '\n', (size_t) (last - p));
        lf = lf ? lf : last;

        line.data = p;
        line.len = (size_t) (lf - p);

        while (line.len && (*line.data == ' ' || *line.data == '\t'
                            || *line.data == '\r'))
        {
            line.data++;
            line.len--;
        }

        if (line.len && llm_conv_add(conv, line) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
llm_conv_add(llm_conv_t *conv, llm_str_t text)
{
    llm_value_t  *value;

    value = llm_doc_parse(&conv->arena, text);

    if (!llm_doc_type(value, LLM_SCAN_OBJECT)) {
        return -1;
    }

    return llm_doc_add(&conv->arena, conv->events, NULL, value) ? 0 : -1;
}


/*
 * Whether a document that was made is what the write gate takes for an error:
 * members of a part of an event may stand at the top of JSON.
 */

static int
llm_conv_erroneous(const llm_value_t *doc)
{
    const llm_value_t  *error, *errors;

    error = llm_doc_get(doc, "error");
    errors = llm_doc_get(doc, "errors");

    return (error && error->type != LLM_SCAN_NULL
            && error->type != LLM_SCAN_FALSE)
           || (errors && (errors->n || (errors->type == LLM_SCAN_STRING
                                        && !llm_doc_silent(errors))))
           || llm_doc_type(llm_doc_get(doc, "success"), LLM_SCAN_FALSE)
           || llm_conv_says_error(llm_doc_get(doc, "object"))
           || llm_conv_says_error(llm_doc_get(doc, "type"));
}


/* or might, as it is spelled with escapes */

static int
llm_conv_says_error(const llm_value_t *word)
{
    return llm_doc_type(word, LLM_SCAN_STRING)
           && (llm_doc_is(word, "error") || word->text.data == NULL
               || memchr(word->text.data, '\\', word->text.len));
}


/* the same events in another frame: Gemini's two kinds of stream */

static int
llm_conv_reframe(llm_conv_t *conv)
{
    const llm_value_t  *event;

    if (conv->how->dialect->id != LLM_DIALECT_GEMINI) {
        return -1;
    }

    for (event = conv->events->first; event; event = event->next) {
        llm_conv_begin(conv, NULL);
        llm_conv_put(conv, "%v", event);
        llm_conv_end(conv);
    }

    if (conv->how->ask == LLM_ASK_ARRAY) {
        llm_conv_raw(conv, "\n]\n", 3);
    }

    return conv->written ? 0 : -1;
}


static int
llm_conv_document(llm_conv_t *conv, llm_value_t *doc)
{
    if (!llm_doc_type(doc, LLM_SCAN_OBJECT)) {
        return -1;
    }

    llm_conv_put(conv, "{");
    llm_conv_members(conv, doc, NULL);

    if (conv->how->mark && llm_doc_get(doc, "cache") == NULL) {
        llm_conv_put(conv, "%,\"cache\":true");
    }

    llm_conv_put(conv, "}");

    return 0;
}


static void
llm_conv_raw(llm_conv_t *conv, const void *data, size_t len)
{
    if (conv->failed || len > conv->how->max
        || conv->out->len - conv->start > conv->how->max - len
        || llm_buf_add(conv->out, data, len) != 0)
    {
        conv->failed = 1;
    }
}


static void
llm_conv_number(llm_conv_t *conv, size_t n)
{
    int   len;
    char  text[24];

    len = snprintf(text, sizeof(text), "%zu", n);

    llm_conv_raw(conv, text, (size_t) len);
}


void
llm_conv_put(llm_conv_t *conv, const char *fmt, ...)
{
    va_list             args;
    llm_str_t          *str;
    const char         *p, *percent;
    const llm_value_t  *value;

    va_start(args, fmt);

    for (p = fmt; *p; p = percent + 2) {

        percent = strchr(p, '%');

        if (percent == NULL) {
            llm_conv_raw(conv, p, strlen(p));
            break;
        }

        llm_conv_raw(conv, p, (size_t) (percent - p));

        switch (percent[1]) {

        case 'v':
            value = va_arg(args, const llm_value_t *);

            if (conv->failed || value == NULL
                || llm_doc_write(value, conv->out) != 0)
            {
                conv->failed = 1;
            }

            llm_conv_raw(conv, "", 0);
            break;

        case 't':
            str = va_arg(args, llm_str_t *);
            llm_conv_raw(conv, "\"", 1);
            llm_conv_raw(conv, str->data, str->len);
            llm_conv_raw(conv, "\"", 1);
            break;

        case 'r':
            str = va_arg(args, llm_str_t *);
            llm_conv_raw(conv, str->data, str->len);
            break;

        case 's':
            p = va_arg(args, const char *);
            llm_conv_raw(conv, p, strlen(p));
            break;

        case 'u':
            llm_conv_number(conv, va_arg(args, size_t));
            break;

        default: /* ',' */
            if (!conv->failed && conv->out->len
                && conv->out->data[conv->out->len - 1] != '{'
                && conv->out->data[conv->out->len - 1] != '[')
            {
                llm_conv_raw(conv, ",", 1);
            }
        }
    }

    va_end(args);
}


void
llm_conv_members(llm_conv_t *conv, const llm_value_t *object,
    const char *const *skip)
{
    const llm_value_t  *member;

    if (llm_conv_spend(conv, object->n) != 0) {
        return;
    }

    for (member = object->first; member; member = member->next) {

        if (!llm_conv_listed(member, skip)) {
            llm_conv_put(conv, "%,\"%r\":%v", &member->name, member);
        }
    }
}


int
llm_conv_spend(llm_conv_t *conv, size_t steps)
{
    if (steps > conv->steps) {
        conv->steps = 0;
        conv->failed = 1;
        return -1;
    }

    conv->steps -= steps;

    return 0;
}


llm_value_t *
llm_conv_find(llm_conv_t *conv, const llm_value_t *object, llm_str_t name)
{
    if (object == NULL || object->type != LLM_SCAN_OBJECT
        || llm_conv_spend(conv, object->n) != 0)
    {
        return NULL;
    }

    return llm_doc_find(object, name);
}


llm_value_t *
llm_conv_get(llm_conv_t *conv, const llm_value_t *object, const char *name)
{
    llm_str_t  key;

    key.data = (const unsigned char *) name;
    key.len = strlen(name);

    return llm_conv_find(conv, object, key);
}


int
llm_conv_listed(const llm_value_t *member, const char *const *names)
{
    for ( /* void */ ; names && *names; names++) {

        if (llm_str_eq(member->name, *names, strlen(*names))) {
            return 1;
        }
    }

    return 0;
}


int
llm_conv_ordered(const llm_value_t *array, size_t first)
{
    size_t              absent, index, next;
    const llm_value_t  *item;

    next = 0;
    absent = (array->n == 1) ? 0 : first;

    for (item = array->first; item; item = item->next) {

        index = llm_doc_index(llm_doc_get(item, "index"), absent);

        if (index == SIZE_MAX || index < next) {
            return 0;
        }

        next = index + 1;
        absent = SIZE_MAX;
    }

    return 1;
}


void
llm_conv_begin(llm_conv_t *conv, const char *name)
{
    switch (conv->how->ask) {

    case LLM_ASK_SSE:
        if (name) {
            llm_conv_put(conv, "event: %s\n", name);
        }

        llm_conv_raw(conv, "data: ", 6);
        break;

    case LLM_ASK_ARRAY:
        llm_conv_put(conv, conv->written ? "\n,\r\n" : "[");
        break;

    default: /* LLM_ASK_NDJSON */
        break;
    }
}


void
llm_conv_end(llm_conv_t *conv)
{
    llm_value_t  *first;

    if (conv->how->mark && conv->written == 0 && !conv->failed) {

        first = conv->doc ? conv->doc : conv->events->first;

        if (llm_doc_get(first, "cache") == NULL) {
            conv->out->len--;
            llm_conv_put(conv, "%,\"cache\":true}");
        }
    }

    conv->written++;

    switch (conv->how->ask) {

    case LLM_ASK_SSE:
        llm_conv_raw(conv, "\n\n", 2);
        break;

    case LLM_ASK_NDJSON:
        llm_conv_raw(conv, "\n", 1);
        break;

    default: /* LLM_ASK_ARRAY */
        break;
    }
}


void
llm_conv_typed(llm_conv_t *conv, const char *type)
{
    llm_conv_begin(conv, type);
    llm_conv_put(conv, "{\"type\":\"%s\"", type);
}


/* what the SDKs skip unread */

static int
llm_conv_keepalive(llm_str_t name)
{
    return llm_str_eq(name, "ping", 4)
           || llm_str_eq(name, "keepalive", 9)
           || llm_str_eq(name, "keep-alive", 10)
           || llm_str_eq(name, "heartbeat", 9);
}
