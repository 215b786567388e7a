#include "llm_doc.h"
#include "llm_sse.h"
#include "llm_text.h"


/* the work takes up to so much memory: for each byte, and besides */
#define LLM_TEXT_WORK  16
#define LLM_TEXT_ROOM  (256 * 1024)


/* where an answer, or an event of one, has text */

typedef struct {
    llm_dialect_e         id;
    const char           *path;        /* through all elements of arrays */
    const char           *type;        /* of the event; NULL: any */
    unsigned              first:1;     /* the path begins with choices, of
                                          which the first counts */
} llm_text_place_t;


typedef struct {
    const llm_dialect_t  *dialect;
    llm_arena_t           arena;
    llm_buf_t             raw;         /* as it is spelled in JSON: a pair of
                                          surrogates may stand in two events */
    unsigned              failed:1;
} llm_text_reader_t;


static int llm_text_json(llm_text_reader_t *reader, llm_str_t body);
static int llm_text_stream(llm_text_reader_t *reader, llm_str_t body,
    int cut);
static int llm_text_lines(llm_text_reader_t *reader, llm_str_t body, int cut);
static int llm_text_event(void *ctx, const llm_sse_event_t *event);
static int llm_text_object(llm_text_reader_t *reader, llm_str_t text);
static void llm_text_value(llm_text_reader_t *reader,
    const llm_value_t *value);
static void llm_text_walk(llm_text_reader_t *reader,
    const llm_value_t *value, const char *path, unsigned first);
static int llm_text_finish(llm_text_reader_t *reader, llm_text_t *text);
static void llm_text_cut(llm_text_t *text, const unsigned char *data,
    size_t len);


static const llm_text_place_t  llm_text_places[] = {

    { LLM_DIALECT_CHAT, "choices.message.content", NULL, 1 },
    { LLM_DIALECT_CHAT, "choices.message.content.text", NULL, 1 },
    { LLM_DIALECT_CHAT, "choices.message.refusal", NULL, 1 },
    { LLM_DIALECT_CHAT, "choices.delta.content", NULL, 1 },
    { LLM_DIALECT_CHAT, "choices.delta.content.text", NULL, 1 },
    { LLM_DIALECT_CHAT, "choices.delta.refusal", NULL, 1 },

    { LLM_DIALECT_COMPLETIONS, "choices.text", NULL, 1 },

    { LLM_DIALECT_RESPONSES, "output.content.text", NULL, 0 },
    { LLM_DIALECT_RESPONSES, "output.content.refusal", NULL, 0 },
    { LLM_DIALECT_RESPONSES, "delta", "response.output_text.delta", 0 },
    { LLM_DIALECT_RESPONSES, "delta", "response.refusal.delta", 0 },

    { LLM_DIALECT_ANTHROPIC, "content.text", NULL, 0 },
    { LLM_DIALECT_ANTHROPIC, "content_block.text", NULL, 0 },
    { LLM_DIALECT_ANTHROPIC, "delta.text", NULL, 0 },

    { LLM_DIALECT_GEMINI, "candidates.content.parts.text", NULL, 1 },

    { LLM_DIALECT_COHERE_CHAT, "message.content.text", NULL, 0 },
    { LLM_DIALECT_COHERE_CHAT, "delta.message.content.text", NULL, 0 },

    { LLM_DIALECT_OLLAMA_CHAT, "message.content", NULL, 0 },
    { LLM_DIALECT_OLLAMA_GENERATE, "response", NULL, 0 }
};

#define LLM_TEXT_PLACES                                                       \
    (sizeof(llm_text_places) / sizeof(llm_text_places[0]))


int
llm_text_read(const llm_dialect_t *dialect, llm_form_e form, llm_str_t body,
    int cut, llm_text_t *text)
{
    int                rc;
    llm_text_reader_t  reader;

    text->len = 0;
    text->cut = cut != 0;

    if (cut && form == LLM_FORM_JSON) {
        return 0;
    }

    memset(&reader, 0, sizeof(llm_text_reader_t));

    reader.dialect = dialect;
    reader.arena.max = body.len * LLM_TEXT_WORK + LLM_TEXT_ROOM;

    switch (form) {

    case LLM_FORM_JSON:
        rc = llm_text_json(&reader, body);
        break;

    case LLM_FORM_SSE:
        rc = llm_text_stream(&reader, body, cut);
        break;

    case LLM_FORM_NDJSON:
        rc = llm_text_lines(&reader, body, cut);
        break;

    default:
        rc = -1;
    }

    if (rc == 0) {
        rc = reader.failed ? -1 : llm_text_finish(&reader, text);
    }

    llm_arena_free(&reader.arena);
    llm_buf_free(&reader.raw);

    return rc;
}


/* one answer, or Gemini's array of what would be events */

static int
llm_text_json(llm_text_reader_t *reader, llm_str_t body)
{
    const llm_value_t  *doc, *item;

    doc = llm_doc_parse(&reader->arena, body);

    if (doc == NULL) {
        return -1;
    }

    if (!llm_doc_type(doc, LLM_SCAN_ARRAY)) {
        llm_text_value(reader, doc);
        return 0;
    }

    for (item = doc->first; item; item = item->next) {
        llm_text_value(reader, item);
    }

    return 0;
}


static int
llm_text_stream(llm_text_reader_t *reader, llm_str_t body, int cut)
{
    int        rc;
    llm_sse_t  sse;

    llm_sse_init(&sse, body.len + 1, llm_text_event, reader);

    rc = llm_sse_feed(&sse, body.data, body.len);

    if (rc == 0 && !cut) {
        rc = llm_sse_end(&sse);
    }

    llm_sse_free(&sse);

    return rc == 0 ? 0 : -1;
}


static int
llm_text_event(void *ctx, const llm_sse_event_t *event)
{
    return llm_text_object(ctx, event->data);
}


static int
llm_text_lines(llm_text_reader_t *reader, llm_str_t body, int cut)
{
    llm_str_t             line;
    const unsigned char  *p, *last, *lf;

    last = body.data + body.len;

    for (p = body.data; p < last; p = lf + 1) {

        lf = memchr(p, '\n', (size_t) (last - p));

        if (lf == NULL) {
            if (cut) {
                break;
            }

            lf = last;
        }

        line.data = p;
        line.len = (size_t) (lf - p);

        if (llm_text_object(reader, line) != 0) {
            return -1;
        }
    }

    return 0;
}


/* whatever is no object has no text: comments, "[DONE]", empty lines */

static int
llm_text_object(llm_text_reader_t *reader, llm_str_t text)
{
    while (text.len && (*text.data == ' ' || *text.data == '\t'
                        || *text.data == '\n'))
    {
        text.data++;
        text.len--;
    }

    if (text.len == 0 || *text.data != '{') {
        return 0;
    }

    llm_text_value(reader, llm_doc_parse(&reader->arena, text));

    return reader->failed || reader->arena.failed ? -1 : 0;
}


static void
llm_text_value(llm_text_reader_t *reader, const llm_value_t *value)
{
    size_t                   i;
    const llm_text_place_t  *place;

    for (i = 0; i < LLM_TEXT_PLACES; i++) {

        place = &llm_text_places[i];

        if (place->id == reader->dialect->id
            && (place->type == NULL
                || llm_doc_is(llm_doc_get(value, "type"), place->type)))
        {
            llm_text_walk(reader, value, place->path, place->first);
        }
    }
}


static void
llm_text_walk(llm_text_reader_t *reader, const llm_value_t *value,
    const char *path, unsigned first)
{
    size_t              place;
    llm_str_t           name, inner;
    const char         *dot;
    const llm_value_t  *item;

    if (llm_doc_type(value, LLM_SCAN_ARRAY)) {

        place = 0;

        for (item = value->first; item; item = item->next) {

            if (!first || llm_doc_index(llm_doc_get(item, "index"), place++)
                          == 0)
            {
                llm_text_walk(reader, item, path, 0);
            }
        }

        return;
    }

    if (*path == '\0') {

        if (llm_doc_type(value, LLM_SCAN_STRING)) {
            inner = llm_doc_inner(value);

            if (llm_buf_add(&reader->raw, inner.data, inner.len) != 0) {
                reader->failed = 1;
            }
        }

        return;
    }

    /* Gemini's thoughts are parts like others */

    if (!llm_doc_type(value, LLM_SCAN_OBJECT)
        || llm_doc_type(llm_doc_get(value, "thought"), LLM_SCAN_TRUE))
    {
        return;
    }

    dot = strchr(path, '.');

    name.data = (const unsigned char *) path;
    name.len = dot ? (size_t) (dot - path) : strlen(path);

    llm_text_walk(reader, llm_doc_find(value, name),
                  path + name.len + (dot != NULL), first);
}


static int
llm_text_finish(llm_text_reader_t *reader, llm_text_t *text)
{
    int             rc;
    size_t          i;
    llm_str_t       raw;
    llm_buf_t       decoded;

    raw.data = reader->raw.data;
    raw.len = reader->raw.len;

    if (raw.len == 0) {
        return 0;
    }

    memset(&decoded, 0, sizeof(llm_buf_t));

    rc = llm_doc_decode(raw, &decoded);

    if (rc == 0) {

        /* half a pair of surrogates is no character */

        for (i = 0; i + 2 < decoded.len; i++) {
            if (decoded.data[i] == 0xed && decoded.data[i + 1] >= 0xa0) {
                memcpy(decoded.data + i, "\xef\xbf\xbd", 3);
            }
        }

        llm_text_cut(text, decoded.data, decoded.len);

        rc = 1;
    }

    llm_buf_free(&decoded);

    return rc;
}


/* at the beginning of a character */

static void
llm_text_cut(llm_text_t *text, const unsigned char *data, size_t len)
{
    if (len > LLM_TEXT_MAX) {
        text->cut = 1;

        for (len = LLM_TEXT_MAX; len && (data[len] & 0xc0) == 0x80; len--) {
            /* void */
        }
    }

    memcpy(text->data, data, len);
    text->len = len;
}


void
llm_text_align(llm_text_t *a, llm_text_t *b)
{
    size_t       len;
    llm_text_t  *longer;

    longer = a->len > b->len ? a : b;
    len = a->len + b->len - longer->len;

    if (longer->len == len || !(longer == a ? b : a)->cut) {
        return;
    }

    while (len && (longer->data[len] & 0xc0) == 0x80) {
        len--;
    }

    longer->len = len;
    longer->cut = 1;
}
