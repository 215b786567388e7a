#include <strings.h>

#include "llm_dialect.h"


/* what a row of the path table means besides its dialect */

#define LLM_PATH_STREAM     0x01
#define LLM_PATH_ANTHROPIC  0x02    /* only below publishers/anthropic */


typedef struct {
    llm_str_t             suffix;
    llm_dialect_e         id;
    unsigned              flags;
} llm_dialect_path_t;


static int llm_path_ends(llm_str_t path, llm_str_t suffix);
static int llm_path_next(llm_str_t *path, llm_str_t *segment);
static int llm_path_stateful(llm_str_t path, llm_dialect_e id);
static int llm_path_version(llm_str_t segment);
static int llm_path_is(llm_str_t segment, const llm_str_t *words);
static int llm_path_anthropic(llm_str_t path);
static llm_str_t llm_path_model(llm_str_t path, llm_str_t suffix);
static int llm_args_next(llm_str_t *args, llm_str_t *arg);
static int llm_args_alt(const llm_route_t *route, llm_str_t args);
static double llm_ask_temperature(const llm_dialect_t *dialect,
    const json_t *doc);
static unsigned char llm_ask_form(const llm_route_t *route, int stream);


/* by their ids; all of the documented default temperatures */

static const llm_dialect_t  llm_dialects[] = {

    { LLM_DIALECT_CHAT, llm_string("openai_chat"),
      1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_COMPLETIONS, llm_string("openai_completions"),
      1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_RESPONSES, llm_string("openai_responses"),
      1.0, { NULL, NULL }, LLM_TOOLS_RESPONSES, 0, 0, 0 },

    { LLM_DIALECT_EMBEDDINGS, llm_string("openai_embeddings"),
      -1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_ANTHROPIC, llm_string("anthropic"),
      1.0, { NULL, NULL }, LLM_TOOLS_ANTHROPIC, 0, 0, 0 },

    { LLM_DIALECT_GEMINI, llm_string("gemini"),
      1.0, { "generationConfig", "generation_config" }, LLM_TOOLS_GEMINI,
      0, 1, 0 },

    { LLM_DIALECT_GEMINI_EMBED, llm_string("gemini_embeddings"),
      -1.0, { NULL, NULL }, LLM_TOOLS_GEMINI, 0, 1, 0 },

    { LLM_DIALECT_COHERE_CHAT, llm_string("cohere_chat"),
      0.3, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 1 },

    { LLM_DIALECT_COHERE_EMBED, llm_string("cohere_embeddings"),
      -1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_RERANK, llm_string("rerank"),
      -1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_OLLAMA_CHAT, llm_string("ollama_chat"),
      0.8, { "options", NULL }, LLM_TOOLS_CHAT, 1, 0, 0 },

    { LLM_DIALECT_OLLAMA_GENERATE, llm_string("ollama_generate"),
      0.8, { "options", NULL }, LLM_TOOLS_CHAT, 1, 0, 0 },

    { LLM_DIALECT_OLLAMA_EMBED, llm_string("ollama_embeddings"),
      -1.0, { "options", NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_MODERATIONS, llm_string("moderations"),
      -1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 },

    { LLM_DIALECT_JSON, llm_string("json"),
      -1.0, { NULL, NULL }, LLM_TOOLS_CHAT, 0, 0, 0 }
};


/* what a path ends in; the first row that fits counts */

static const llm_dialect_path_t  llm_dialect_paths[] = {
    { llm_string("/chat/completions"), LLM_DIALECT_CHAT, 0 },
    { llm_string("/completions"), LLM_DIALECT_COMPLETIONS, 0 },
    { llm_string("/responses"), LLM_DIALECT_RESPONSES, 0 },
    { llm_string("/api/embeddings"), LLM_DIALECT_OLLAMA_EMBED, 0 },
    { llm_string("/embeddings"), LLM_DIALECT_EMBEDDINGS, 0 },
    { llm_string("/messages"), LLM_DIALECT_ANTHROPIC, 0 },
    { llm_string(":rawPredict"), LLM_DIALECT_ANTHROPIC, LLM_PATH_ANTHROPIC },
    { llm_string(":streamRawPredict"), LLM_DIALECT_ANTHROPIC,
      LLM_PATH_ANTHROPIC|LLM_PATH_STREAM },
    { llm_string(":generateContent"), LLM_DIALECT_GEMINI, 0 },
    { llm_string(":streamGenerateContent"), LLM_DIALECT_GEMINI,
      LLM_PATH_STREAM },
    { llm_string(":embedContent"), LLM_DIALECT_GEMINI_EMBED, 0 },
    { llm_string(":batchEmbedContents"), LLM_DIALECT_GEMINI_EMBED, 0 },
    { llm_string("/v2/chat"), LLM_DIALECT_COHERE_CHAT, 0 },
    { llm_string("/v2/embed"), LLM_DIALECT_COHERE_EMBED, 0 },
    { llm_string("/v1/embed"), LLM_DIALECT_COHERE_EMBED, 0 },
    { llm_string("/rerank"), LLM_DIALECT_RERANK, 0 },
    { llm_string("/reranking"), LLM_DIALECT_RERANK, 0 },
    { llm_string("/api/chat"), LLM_DIALECT_OLLAMA_CHAT, 0 },
    { llm_string("/api/generate"), LLM_DIALECT_OLLAMA_GENERATE, 0 },
    { llm_string("/api/embed"), LLM_DIALECT_OLLAMA_EMBED, 0 },
    { llm_string("/moderations"), LLM_DIALECT_MODERATIONS, 0 },
    { llm_null_string, LLM_DIALECT_JSON, 0 }
};


/*
 * Whole segments of the API's part of a path that name something which is
 * kept, changed or run by the provider.  A wrong guess here only costs hits.
 */

static const llm_str_t  llm_stateful_words[] = {
    llm_string("agents"),
    llm_string("assistants"),
    llm_string("async"),
    llm_string("async-invoke"),
    llm_string("batch"),
    llm_string("batches"),
    llm_string("batchPredictionJobs"),
    llm_string("cachedContents"),
    llm_string("chatkit"),
    llm_string("containers"),
    llm_string("conversations"),
    llm_string("corpora"),
    llm_string("datasets"),
    llm_string("embed-jobs"),
    llm_string("evals"),
    llm_string("files"),
    llm_string("fileSearchStores"),
    llm_string("fine-tunes"),
    llm_string("fine-tuning"),
    llm_string("fine_tunes"),
    llm_string("fine_tuning"),
    llm_string("finetuning"),
    llm_string("interactions"),
    llm_string("jobs"),
    llm_string("libraries"),
    llm_string("memory_stores"),
    llm_string("operations"),
    llm_string("organization"),
    llm_string("ragCorpora"),
    llm_string("realtime"),
    llm_string("runs"),
    llm_string("sessions"),
    llm_string("skills"),
    llm_string("threads"),
    llm_string("tuningJobs"),
    llm_string("uploads"),
    llm_string("vaults"),
    llm_string("vector_stores"),
    llm_string("videos"),
    llm_string("workflows"),
    llm_null_string
};


/* what follows one of these is a stored object or an act upon it */

static const llm_str_t  llm_stateful_parents[] = {
    llm_string("completions"),
    llm_string("responses"),
    llm_null_string
};


/* Ollama's management calls, below "api" */

static const llm_str_t  llm_stateful_acts[] = {
    llm_string("blobs"),
    llm_string("copy"),
    llm_string("create"),
    llm_string("delete"),
    llm_string("pull"),
    llm_string("push"),
    llm_null_string
};


/* Google's actions that start, change or ask after something */

static const llm_str_t  llm_stateful_actions[] = {
    llm_string(":asyncBatchEmbedContent"),
    llm_string(":batchGenerateContent"),
    llm_string(":bidiGenerateContent"),
    llm_string(":cancel"),
    llm_string(":fetchPredictOperation"),
    llm_string(":importFile"),
    llm_string(":predictLongRunning"),
    llm_string(":query"),
    llm_string(":register"),
    llm_string(":streamQuery"),
    llm_string(":transferOwnership"),
    llm_string(":uploadToFileSearchStore"),
    llm_null_string
};


/* the segment after one of these is somebody's name for a model */

static const llm_str_t  llm_model_parents[] = {
    llm_string("deployments"),
    llm_string("engines"),
    llm_string("model"),
    llm_string("models"),
    llm_null_string
};


void
llm_dialect_route(llm_str_t path, llm_str_t args, llm_route_t *route)
{
    llm_str_t                  arg;
    const llm_dialect_path_t  *row;

    memset(route, 0, sizeof(llm_route_t));

    while (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }

    for (row = llm_dialect_paths; row->suffix.len; row++) {

        if (llm_path_ends(path, row->suffix)
            && (!(row->flags & LLM_PATH_ANTHROPIC)
                || llm_path_anthropic(path)))
        {
            break;
        }
    }

    route->dialect = &llm_dialects[row->id];
    route->stream = (row->flags & LLM_PATH_STREAM) ? 1 : 0;
    route->model = llm_path_model(path, row->suffix);
    route->stateful = llm_path_stateful(path, row->id) ? 1 : 0;

    if (row->id == LLM_DIALECT_GEMINI && route->stream) {

        while (llm_args_next(&args, &arg)) {
            if (llm_str_eq(arg, "alt=sse", 7)) {
                route->sse = 1;
            }
        }
    }
}


/* a suffix with a slash is whole segments, one with a colon an action */

static int
llm_path_ends(llm_str_t path, llm_str_t suffix)
{
    if (path.len < suffix.len
        || memcmp(path.data + path.len - suffix.len, suffix.data, suffix.len)
           != 0)
    {
        return 0;
    }

    return suffix.data[0] == '/'
           || (path.len > suffix.len
               && path.data[path.len - suffix.len - 1] != '/');
}


static int
llm_path_next(llm_str_t *path, llm_str_t *segment)
{
    const unsigned char  *p, *last;

    p = path->data;
    last = p + path->len;

    while (p < last && *p == '/') {
        p++;
    }

    segment->data = p;

    while (p < last && *p != '/') {
        p++;
    }

    segment->len = (size_t) (p - segment->data);

    path->data = p;
    path->len = (size_t) (last - p);

    return segment->len != 0;
}


/*
 * Words count in what follows the first version segment, so that a proxy's
 * prefix may be called anything; where there is no version, they count in
 * the whole path.  Names of models never count.
 */

static int
llm_path_stateful(llm_str_t path, llm_dialect_e id)
{
    llm_str_t        rest, segment, parent;
    const llm_str_t *word;

    static const llm_str_t  api[] = { llm_string("api"), llm_null_string };
    static const llm_str_t  tuned[] = { llm_string("tunedModels"),
                                        llm_null_string };

    for (word = llm_stateful_actions; word->len; word++) {
        if (llm_path_ends(path, *word)) {
            return 1;
        }
    }

    rest = path;

    do {
        if (!llm_path_next(&rest, &segment)) {
            rest = path;
            break;
        }
    } while (!llm_path_version(segment));

    parent.data = NULL;
    parent.len = 0;

    while (llm_path_next(&rest, &segment)) {

        if (llm_path_is(parent, llm_stateful_parents)
            || (llm_path_is(parent, api)
                && llm_path_is(segment, llm_stateful_acts))
            || (llm_path_is(segment, tuned) && id != LLM_DIALECT_GEMINI
                && id != LLM_DIALECT_GEMINI_EMBED))
        {
            return 1;
        }

        if (llm_path_is(segment, llm_stateful_words)
            && !llm_path_is(parent, llm_model_parents))
        {
            return 1;
        }

        parent = segment;
    }

    return 0;
}


/* v1, v2, v1beta, v1beta1, v1p1beta1, ... */

static int
llm_path_version(llm_str_t segment)
{
    size_t         i;
    unsigned char  c;

    if (segment.len < 2 || segment.len > 10
        || (segment.data[0] | 0x20) != 'v'
        || segment.data[1] < '0' || segment.data[1] > '9')
    {
        return 0;
    }

    for (i = 2; i < segment.len; i++) {
        c = segment.data[i];

        if (!((c >= '0' && c <= '9')
              || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')))
        {
            return 0;
        }
    }

    return 1;
}


/* without regard to case, which some gateways do not look at either */

static int
llm_path_is(llm_str_t segment, const llm_str_t *words)
{
    for ( /* void */ ; words->len; words++) {

        if (segment.len == words->len
            && strncasecmp((const char *) segment.data,
                           (const char *) words->data, words->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
llm_path_anthropic(llm_str_t path)
{
    llm_str_t  segment, parent;

    parent.data = NULL;
    parent.len = 0;

    while (llm_path_next(&path, &segment)) {

        if (llm_str_eq(parent, "publishers", 10)
            && llm_str_eq(segment, "anthropic", 9))
        {
            return 1;
        }

        parent = segment;
    }

    return 0;
}


static llm_str_t
llm_path_model(llm_str_t path, llm_str_t suffix)
{
    llm_str_t  segment, parent, model;

    model.data = NULL;
    model.len = 0;

    parent = model;

    while (llm_path_next(&path, &segment)) {

        if (llm_str_eq(parent, "deployments", 11)
            || llm_str_eq(parent, "engines", 7))
        {
            model = segment;
        }

        parent = segment;
    }

    /* parent is the last segment now */

    if (suffix.len && suffix.data[0] == ':') {
        model = parent;
        model.len -= suffix.len;
    }

    return model;
}


void
llm_dialect_ask(const llm_route_t *route, const json_t *doc, llm_ask_t *ask)
{
    const json_t         *value;
    const llm_dialect_t  *dialect;

    memset(ask, 0, sizeof(llm_ask_t));

    dialect = route->dialect;

    value = json_object_get(doc, "model");

    if (json_is_string(value) && json_string_length(value)
        && !(dialect->stream_by_url && route->model.len))
    {
        ask->model.data = (const unsigned char *) json_string_value(value);
        ask->model.len = json_string_length(value);

    } else {
        ask->model = route->model;
    }

    value = json_object_get(doc, "stream");

    ask->stream = route->stream;

    if (!dialect->stream_by_url) {

        if (value == NULL || json_is_null(value)) {
            ask->stream |= dialect->stream_default;

        } else {
            ask->stream |= json_is_true(value) ? 1 : 0;
        }
    }

    ask->form = llm_ask_form(route, ask->stream);

    if (!dialect->stream_by_url && value && !json_is_null(value)
        && !json_is_boolean(value))
    {
        ask->form = LLM_ASK_ODD;
    }

    value = json_object_get(json_object_get(doc, "stream_options"),
                            "include_usage");

    ask->include_usage = json_is_true(value) ? 1 : 0;
    ask->temperature = llm_ask_temperature(dialect, doc);
    ask->hosted_tools = llm_dialect_hosted(dialect, ask->model, doc) ? 1 : 0;

    if (dialect->id == LLM_DIALECT_RESPONSES) {
        value = json_object_get(doc, "conversation");

        ask->stateful = json_is_true(json_object_get(doc, "background"))
                        || (value && !json_is_null(value));
    }
}


static unsigned char
llm_ask_form(const llm_route_t *route, int stream)
{
    if (!stream) {
        return LLM_ASK_JSON;
    }

    if (route->dialect->id == LLM_DIALECT_GEMINI && !route->sse) {
        return LLM_ASK_ARRAY;
    }

    return route->dialect->stream_default ? LLM_ASK_NDJSON : LLM_ASK_SSE;
}


static double
llm_ask_temperature(const llm_dialect_t *dialect, const json_t *doc)
{
    double         number;
    unsigned       i;
    const json_t  *value;

    value = NULL;

    if (dialect->settings[0] == NULL) {
        value = json_object_get(doc, "temperature");
    }

    for (i = 0; i < 2 && dialect->settings[i]; i++) {

        if (!json_is_number(value)) {
            value = json_object_get(json_object_get(doc, dialect->settings[i]),
                                    "temperature");
        }
    }

    if (!json_is_number(value)) {
        return dialect->temperature;
    }

    number = json_number_value(value);

    return number > 0 ? number : 0;
}


int
llm_dialect_key_uri(const llm_route_t *route, llm_str_t path, llm_str_t args,
    llm_buf_t *out)
{
    int            alt;
    size_t         i, n, start;
    llm_str_t      arg;
    unsigned char  len[8];

    static const llm_str_t  generate = llm_string(":generateContent");
    static const llm_str_t  stream = llm_string(":streamGenerateContent");

    start = out->len;
    memset(len, 0, sizeof(len));

    if (llm_buf_add(out, len, sizeof(len)) != 0) {
        return -1;
    }

    if (route->dialect->id == LLM_DIALECT_GEMINI
        && llm_path_ends(path, stream))
    {
        path.len -= stream.len;

        if (llm_buf_add(out, path.data, path.len) != 0
            || llm_buf_add(out, generate.data, generate.len) != 0)
        {
            return -1;
        }

    } else if (llm_buf_add(out, path.data, path.len) != 0) {
        return -1;
    }

    n = out->len - start - sizeof(len);

    for (i = sizeof(len); i; i--, n >>= 8) {
        out->data[start + i - 1] = (unsigned char) n;
    }

    alt = llm_args_alt(route, args);

    while (llm_args_next(&args, &arg)) {

        if ((arg.len >= 4 && memcmp(arg.data, "key=", 4) == 0)
            || (alt && arg.len >= 4 && memcmp(arg.data, "alt=", 4) == 0))
        {
            continue;
        }

        if (llm_buf_add(out, "&", 1) != 0
            || llm_buf_add(out, arg.data, arg.len) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* whether there is one "alt", which says no more than llm_ask_t.form does */

static int
llm_args_alt(const llm_route_t *route, llm_str_t args)
{
    int        n, known;
    llm_str_t  arg;

    if (route->dialect->id != LLM_DIALECT_GEMINI) {
        return 0;
    }

    n = 0;
    known = 0;

    while (llm_args_next(&args, &arg)) {

        if (arg.len < 4 || memcmp(arg.data, "alt=", 4) != 0) {
            continue;
        }

        n++;
        known = llm_str_eq(arg, "alt=json", 8)
                || (route->stream && llm_str_eq(arg, "alt=sse", 7));
    }

    return n == 1 && known;
}


static int
llm_args_next(llm_str_t *args, llm_str_t *arg)
{
    const unsigned char  *p;

    if (args->len == 0) {
        return 0;
    }

    p = memchr(args->data, '&', args->len);

    arg->data = args->data;
    arg->len = p ? (size_t) (p - args->data) : args->len;

    args->data += arg->len + (p ? 1 : 0);
    args->len -= arg->len + (p ? 1 : 0);

    return 1;
}


const llm_dialect_t *
llm_dialect_get(llm_dialect_e id)
{
    return &llm_dialects[id];
}


llm_str_t
llm_dialect_name(llm_dialect_e id)
{
    return llm_dialects[id].name;
}
