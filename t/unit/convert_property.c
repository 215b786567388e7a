/*
 * Answers made at random: whatever they say must come through each conversion
 * and back.  SEED=n repeats one run.
 */


#include "convert_run.h"


#define ROUNDS  400


typedef struct {
    uint64_t      state;
    llm_buf_t     out;
} make_t;


static unsigned
make_number(make_t *make, unsigned below)
{
    /* Knuth's MMIX */

    make->state = make->state * 6364136223846793005u + 1442695040888963407u;

    return (unsigned) (make->state >> 33) % below;
}


static void
make_put(make_t *make, const char *text)
{
    (void) llm_buf_add(&make->out, text, strlen(text));
}


static char *
make_end(make_t *make)
{
    (void) llm_buf_add(&make->out, "", 1);

    return (char *) make->out.data;
}


/* one character of a string, however it may be spelled */

static const char *
make_character(make_t *make)
{
    static const char *const  characters[] = {
        "a", "b", "Z", "0", " ", " ", ".", ",", "}", "]", "{", ":",
        "\\\"", "\\\\", "\\n", "\\t", "\\/", "\\u0001", "\\u00e9",
        "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x98\x80", "\\ud83d\\ude00",
        "\\u2028", "data: ", "[DONE]", "event: "
    };

    return characters[make_number(make, sizeof(characters)
                                        / sizeof(characters[0]))];
}


static void
make_text(make_t *make, unsigned longest)
{
    unsigned  n;

    make_put(make, "\"");

    for (n = make_number(make, longest); n; n--) {
        make_put(make, make_character(make));
    }

    make_put(make, "\"");
}


/* any value at all */

static void
make_value(make_t *make, unsigned depth)
{
    unsigned  i, n;
    char      name[32];

    static const char *const  scalars[] = {
        "null", "true", "false", "0", "-1.5e3", "12345678901234567890",
        "0.10000000000000000001"
    };

    switch (make_number(make, depth ? 5 : 3)) {

    case 0:
    case 1:
        make_text(make, 12);
        break;

    case 2:
        make_put(make, scalars[make_number(make, 7)]);
        break;

    case 3:
        make_put(make, "[");

        for (i = 0, n = make_number(make, 4); i < n; i++) {
            make_put(make, i ? ", " : "");
            make_value(make, depth - 1);
        }

        make_put(make, "]");
        break;

    default:
        make_put(make, "{\n");

        for (i = 0, n = make_number(make, 4); i < n; i++) {
            sprintf(name, "%s \"n%u\" : ", i ? "," : "", i);
            make_put(make, name);
            make_value(make, depth - 1);
        }

        make_put(make, "}");
    }
}


/* ,"name":value perhaps */

static void
make_maybe(make_t *make, const char *name)
{
    if (make_number(make, 3) == 0) {
        make_put(make, ",\"");
        make_put(make, name);
        make_put(make, "\":");
        make_value(make, 3);
    }
}


static void
make_maybe_text(make_t *make, const char *name, unsigned longest)
{
    if (make_number(make, 2)) {
        make_put(make, ",\"");
        make_put(make, name);
        make_put(make, "\":");
        make_text(make, longest);
    }
}


static void
make_calls(make_t *make, const char *before)
{
    char      id[48];
    unsigned  i, n;

    n = make_number(make, 4);

    if (n == 0) {
        return;
    }

    make_put(make, ",\"tool_calls\":[");

    for (i = 0; i < n; i++) {
        sprintf(id, "%s{\"id\":\"call%u\",\"type\":\"function\"%s",
                i ? "," : "", i, before);
        make_put(make, id);
        make_put(make, ",\"function\":{\"name\":\"f\",\"arguments\":");
        make_text(make, 60);
        make_put(make, "}");
        make_maybe(make, "x_call");
        make_put(make, "}");
    }

    make_put(make, "]");
}


static void
make_chat(make_t *make)
{
    char      index[32];
    unsigned  i, n;

    make_put(make, "{\"id\":\"c\",\"object\":\"chat.completion\"");
    make_maybe(make, "system_fingerprint");
    make_maybe(make, "x_top");
    make_put(make, ",\"choices\":[");

    for (i = 0, n = 1 + make_number(make, 3); i < n; i++) {
        sprintf(index, "%s{\"index\":%u", i ? "," : "", i);
        make_put(make, index);
        make_put(make, ",\"message\":{\"role\":\"assistant\",\"content\":");

        if (make_number(make, 4)) {
            make_put(make, "\"x");
            make_put(make, make_character(make));
            make_put(make, "\"");

        } else {
            make_put(make, "null");
        }

        make_put(make, ",\"annotations\":[],\"reasoning\":");
        make_text(make, 200);
        make_maybe_text(make, "reasoning_content", 80);
        make_maybe_text(make, "refusal", 20);
        make_calls(make, "");
        make_maybe(make, "x_message");
        make_put(make, ",\"a\":\"b\"}");
        make_maybe(make, "x_choice");
        make_put(make, ",\"finish_reason\":\"stop\"}");
    }

    make_put(make, "],\"usage\":{\"prompt_tokens\":1}}");
}


static void
make_completions(make_t *make)
{
    make_put(make, "{\"id\":\"c\",\"object\":\"text_completion\"");
    make_maybe(make, "x_top");
    make_put(make, ",\"choices\":[{\"index\":0,\"text\":\"a\",");
    make_put(make, "\"finish_reason\":\"stop\"},{\"index\":1,\"text\":");
    make_text(make, 300);
    make_maybe(make, "x_choice");
    make_put(make, ",\"finish_reason\":\"length\"}],\"usage\":{\"u\":1}}");
}


static void
make_responses(make_t *make)
{
    make_put(make, "{\"id\":\"r\",\"status\":\"completed\"");
    make_maybe(make, "x_top");
    make_put(make, ",\"output\":[{\"id\":\"m\",\"type\":\"message\","
             "\"content\":[{\"type\":\"output_text\",\"text\":");
    make_text(make, 200);
    make_maybe(make, "annotations");
    make_put(make, "},{\"type\":\"refusal\",\"refusal\":\"no\"}]},{\"type\":"
             "\"function_call\",\"arguments\":");
    make_text(make, 100);
    make_maybe(make, "x_item");
    make_put(make, "},{\"type\":\"reasoning\",\"summary\":[{\"type\":"
             "\"summary_text\",\"text\":");
    make_text(make, 100);
    make_put(make, "}]}],\"usage\":{\"input_tokens\":1}}");
}


static void
make_anthropic(make_t *make)
{
    make_put(make, "{\"id\":\"m\",\"type\":\"message\"");
    make_maybe(make, "x_top");
    make_put(make, ",\"content\":[{\"type\":\"thinking\",\"thinking\":");
    make_text(make, 100);
    make_put(make, ",\"signature\":\"S\"},{\"type\":\"text\",\"text\":");
    make_text(make, 200);
    make_maybe(make, "x_block");
    make_put(make, "},{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{\"a\":");
    make_value(make, 4);
    make_put(make, ",\"b\":");
    make_value(make, 4);
    make_put(make, "}},{\"type\":\"x_result\",\"content\":");
    make_value(make, 4);
    make_put(make, "},{\"type\":\"text\",\"text\":\"a\"}],"
             "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":3");
    make_maybe(make, "x_usage");
    make_put(make, ",\"output_tokens\":7}}");
}


static void
make_gemini(make_t *make)
{
    make_put(make, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
    make_put(make, make_character(make));
    make_put(make, "\",\"thought\":true},{\"text\":\"x");
    make_put(make, make_character(make));
    make_put(make, " and some words more\"},{\"functionCall\":");
    make_value(make, 4);
    make_put(make, "},{\"text\":");
    make_text(make, 300);
    make_put(make, "}],\"role\":\"model\"},\"finishReason\":\"STOP\","
             "\"index\":0");
    make_maybe(make, "x_candidate");
    make_put(make, "}],\"usageMetadata\":{\"promptTokenCount\":1}");
    make_maybe(make, "x_top");
    make_put(make, "}");
}


static void
make_cohere(make_t *make)
{
    make_put(make, "{\"id\":\"c\"");
    make_maybe(make, "x_top");
    make_put(make, ",\"message\":{\"role\":\"assistant\"");
    make_calls(make, "");
    make_put(make, ",\"tool_plan\":\"I plan\",\"content\":[{\"type\":"
             "\"thinking\",\"thinking\":");
    make_text(make, 100);
    make_put(make, "},{\"type\":\"text\",\"text\":");
    make_text(make, 200);
    make_maybe(make, "x_content");
    make_put(make, "}],\"citations\":[{\"start\":0,\"sources\":");
    make_value(make, 4);
    make_put(make, "}]},\"finish_reason\":\"COMPLETE\",\"usage\":");
    make_put(make, "{\"tokens\":{\"input_tokens\":3}}}");
}


static void
make_ollama_chat(make_t *make)
{
    make_put(make, "{\"model\":\"m\",\"created_at\":\"now\"");
    make_maybe(make, "x_top");
    make_put(make, ",\"message\":{\"role\":\"assistant\",\"content\":");
    make_text(make, 200);
    make_put(make, ",\"thinking\":");
    make_text(make, 100);
    make_put(make, ",\"tool_calls\":[{\"function\":{\"name\":\"f\","
             "\"arguments\":");
    make_value(make, 4);
    make_put(make, "}}]},\"done\":true,\"done_reason\":\"stop\"}");
}


static void
make_ollama_generate(make_t *make)
{
    make_put(make, "{\"model\":\"m\",\"response\":\"a");
    make_put(make, make_character(make));
    make_put(make, "\"");
    make_maybe(make, "x_top");
    make_maybe_text(make, "thinking", 100);
    make_put(make, ",\"done\":true,\"done_reason\":\"stop\",\"context\":");
    make_value(make, 3);
    make_put(make, "}");
}


static const struct {
    const char     *name;
    llm_dialect_e   dialect;
    void          (*make)(make_t *make);
} makers[] = {
    { "chat", LLM_DIALECT_CHAT, make_chat },
    { "completions", LLM_DIALECT_COMPLETIONS, make_completions },
    { "Responses", LLM_DIALECT_RESPONSES, make_responses },
    { "Anthropic", LLM_DIALECT_ANTHROPIC, make_anthropic },
    { "Gemini", LLM_DIALECT_GEMINI, make_gemini },
    { "Cohere", LLM_DIALECT_COHERE_CHAT, make_cohere },
    { "Ollama chat", LLM_DIALECT_OLLAMA_CHAT, make_ollama_chat },
    { "Ollama generate", LLM_DIALECT_OLLAMA_GENERATE, make_ollama_generate }
};

#define MAKERS  (sizeof(makers) / sizeof(makers[0]))


/* JSON, stream, JSON, stream: the same documents and the same streams */

static int
around(llm_dialect_e dialect, const char *json)
{
    int            same;
    char          *stream, *back, *again;
    unsigned char  ask;

    ask = convert_stream(dialect);

    stream = convert_run(dialect, ask, ASKED, JSON, json);
    back = stream ? convert_run(dialect, LLM_ASK_JSON, 0, convert_form(ask),
                                stream) : NULL;
    again = back ? convert_run(dialect, ask, ASKED, JSON, back) : NULL;

    same = again && convert_same(json, back)
           && convert_gate(dialect, ask, stream)
              == convert_gate(dialect, LLM_ASK_JSON, json)
           && convert_gate(dialect, ask, again)
              == convert_gate(dialect, ask, stream);

    if (!same) {
        printf("#   json: %s\n#   stream: %s\n#   back: %s\n", json,
               stream ? stream : "none", back ? back : "none");
    }

    free(stream);
    free(back);
    free(again);

    return same;
}


static void
test_around(uint64_t seed)
{
    char      *json;
    size_t     i;
    make_t     make;
    unsigned   n, good;

    for (i = 0; i < MAKERS; i++) {

        good = 0;

        for (n = 0; n < ROUNDS && good == n; n++) {
            memset(&make, 0, sizeof(make_t));
            make.state = seed + n * 2654435761u + i;

            makers[i].make(&make);
            json = make_end(&make);

            good += (unsigned) around(makers[i].dialect, json);

            llm_buf_free(&make.out);
        }

        is_int(good, ROUNDS, "%s: all come back, seed %llu", makers[i].name,
               (unsigned long long) seed);
    }
}


/*
 * A chat stream whose texts are cut anywhere that JSON lets them be, between
 * the halves of a pair too, and whose choices take turns: what it says is
 * noted while it is made.
 */

#define TEXTS  6

typedef struct {
    llm_buf_t   texts[TEXTS];          /* content and two calls of each */
    make_t      stream;
} pieces_t;


static void
pieces_event(pieces_t *pieces, unsigned at, const char *piece)
{
    char  text[256];

    if (at % 3 == 0) {
        sprintf(text, "data: {\"id\":\"c\",\"object\":"
                "\"chat.completion.chunk\",\"choices\":[{\"index\":%u,"
                "\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}]}"
                "\r\n\r\n", at / 3, piece);

    } else {
        sprintf(text, "data: {\"id\":\"c\",\"choices\":[{\"index\":%u,"
                "\"delta\":{\"tool_calls\":[{\"index\":%u,\"function\":{"
                "\"arguments\":\"%s\"}}]}}]}\n\n", at / 3, at % 3 - 1,
                piece);
    }

    make_put(&pieces->stream, text);
}


static void
pieces_make(pieces_t *pieces)
{
    make_t      *make;
    unsigned     n, at;
    const char  *piece;

    make = &pieces->stream;

    for (n = TEXTS + make_number(make, 240); n; n--) {

        /* each text has a piece */

        at = n <= TEXTS ? n - 1 : make_number(make, TEXTS);
        piece = make_character(make);

        (void) llm_buf_add(&pieces->texts[at], piece, strlen(piece));

        if (strcmp(piece, "\\ud83d\\ude00") == 0) {
            pieces_event(pieces, at, "\\ud83d");
            pieces_event(pieces, at, "\\ude00");

        } else {
            pieces_event(pieces, at, piece);
        }
    }

    for (at = 0; at < 2; at++) {
        make_put(make, at ? "data: {\"choices\":[{\"index\":1,\"delta\":{},"
                            "\"finish_reason\":\"stop\"}]}\n\n"
                          : "data: {\"choices\":[{\"index\":0,\"delta\":{},"
                            "\"finish_reason\":\"length\"}]}\n\n");
    }

    make_put(make, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}"
             "\n\ndata: [DONE]\n\n");
}


static int
pieces_same(const char *json, pieces_t *pieces)
{
    int            same;
    json_t        *doc, *message, *value, *wanted;
    unsigned       at;
    llm_buf_t      text;

    doc = json_loads(json, 0, NULL);
    same = doc != NULL;

    for (at = 0; at < TEXTS && same; at++) {

        memset(&text, 0, sizeof(llm_buf_t));
        (void) llm_buf_add(&text, "\"", 1);
        (void) llm_buf_add(&text, pieces->texts[at].data,
                           pieces->texts[at].len);
        (void) llm_buf_add(&text, "\"", 1);

        wanted = json_loadb((char *) text.data, text.len, JSON_DECODE_ANY,
                            NULL);
        llm_buf_free(&text);

        message = json_object_get(json_array_get(json_object_get(doc,
                                  "choices"), at / 3), "message");

        value = at % 3 == 0 ? json_object_get(message, "content")
                : json_object_get(json_object_get(json_array_get(
                  json_object_get(message, "tool_calls"), at % 3 - 1),
                  "function"), "arguments");

        same = json_equal(value, wanted);

        json_decref(wanted);
    }

    json_decref(doc);

    return same;
}


static void
test_pieces(uint64_t seed)
{
    char      *stream, *json;
    pieces_t   pieces;
    unsigned   n, good, at;

    good = 0;

    for (n = 0; n < ROUNDS && good == n; n++) {

        memset(&pieces, 0, sizeof(pieces_t));
        pieces.stream.state = seed + n * 40503u;

        pieces_make(&pieces);
        stream = make_end(&pieces.stream);

        json = convert_run(LLM_DIALECT_CHAT, LLM_ASK_JSON, 0, SSE, stream);

        if (json && pieces_same(json, &pieces)
            && around(LLM_DIALECT_CHAT, json))
        {
            good++;

        } else {
            printf("#   stream: %s\n#   json: %s\n", stream,
                   json ? json : "none");
        }

        free(json);
        llm_buf_free(&pieces.stream.out);

        for (at = 0; at < TEXTS; at++) {
            llm_buf_free(&pieces.texts[at]);
        }
    }

    is_int(good, ROUNDS, "chat in pieces: all is there, seed %llu",
           (unsigned long long) seed);
}


int
main(void)
{
    uint64_t  seed;

    seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 20240229;

    test_around(seed);
    test_pieces(seed);

    return done();
}
