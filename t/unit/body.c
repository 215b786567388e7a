#include <stdlib.h>

#include "body_same.h"
#include "tap.h"


#define N(array)  (sizeof(array) / sizeof((array)[0]))

#define CHAT       "/v1/chat/completions"
#define RESPONSES  "/v1/responses"
#define ANTHROPIC  "/v1/messages"
#define COHERE     "/v2/chat"
#define GEMINI     "/v1beta/models/m:generateContent"
#define OLLAMA     "/api/chat"

#define TEXT       "{\"type\":\"text\",\"text\":\"t\"}"
#define INPUT      "{\"type\":\"input_text\",\"text\":\"t\"}"
#define PLAIN      "a longer text of plain letters, "

/* one after the other, without a blank */

#define RESULT(before, after)                                                 \
    "{\"messages\":[{\"role\":\"user\",\"content\":[{" before "\"content\":[" \
    "{\"type\":\"text\",\"text\":\"t\",\"cache_control\":{}}]" after "}]}]}"

#define ITEM(before, after)                                                   \
    "{\"input\":[{" before "\"content\":[" INPUT "]" after "}]}"

#define COHERE_MESSAGE(before, after)                                         \
    "{\"messages\":[{" before "\"content\":[" TEXT "]" after "}]}"


typedef struct {
    const char           *name;
    llm_reason_e          reason;
    const char           *text;
} refusal_t;


/* each with one fault, for which both ways have the same word */

static const refusal_t  refusals[] = {
    { "no text", LLM_REASON_JSON, "" },
    { "white space", LLM_REASON_JSON, " \n" },
    { "an array", LLM_REASON_JSON, "[{}]" },
    { "a string", LLM_REASON_JSON, "\"a\"" },
    { "an object that ends early", LLM_REASON_JSON, "{" },
    { "a name that ends early", LLM_REASON_JSON, "{\"a" },
    { "a name alone", LLM_REASON_JSON, "{\"a\"" },
    { "a colon alone", LLM_REASON_JSON, "{\"a\":" },
    { "a value without an end", LLM_REASON_JSON, "{\"a\":1" },
    { "a comma at the end", LLM_REASON_JSON, "{\"a\":1," },
    { "a comma before the brace", LLM_REASON_JSON, "{\"a\":1,}" },
    { "a comma before the bracket", LLM_REASON_JSON, "{\"a\":[1,]}" },
    { "an array that ends early", LLM_REASON_JSON, "{\"a\":[" },
    { "tools that end early", LLM_REASON_JSON, "{\"tools\":[" },
    { "a comma that ends the tools", LLM_REASON_JSON, "{\"tools\":[{}," },
    { "a bracket for a brace", LLM_REASON_JSON, "{\"a\":[1}}" },
    { "a name that is none", LLM_REASON_JSON, "{a:1}" },
    { "a literal cut short", LLM_REASON_JSON, "{\"a\":tru}" },
    { "a literal at the end", LLM_REASON_JSON, "{\"a\":nul" },
    { "a literal and more", LLM_REASON_JSON, "{\"a\":nulls}" },
    { "bytes that follow", LLM_REASON_JSON, "{}x" },
    { "a byte order mark", LLM_REASON_JSON, "\xef\xbb\xbf{}" },
    { "a minus alone", LLM_REASON_JSON, "{\"a\":-}" },
    { "a leading zero", LLM_REASON_JSON, "{\"a\":01}" },
    { "a plus", LLM_REASON_JSON, "{\"a\":+1}" },
    { "a point alone", LLM_REASON_JSON, "{\"a\":1.}" },
    { "a point first", LLM_REASON_JSON, "{\"a\":.5}" },
    { "an exponent alone", LLM_REASON_JSON, "{\"a\":1e+}" },
    { "a control character", LLM_REASON_JSON, "{\"a\":\"\x1f\"}" },
    { "an unknown escape", LLM_REASON_JSON, "{\"a\":\"\\x\"}" },
    { "an escape cut short", LLM_REASON_JSON, "{\"a\":\"\\u00\"}" },
    { "an escape at the end", LLM_REASON_JSON, "{\"a\":\"\\" },
    { "a lone high surrogate", LLM_REASON_JSON, "{\"a\":\"\\ud83d\"}" },
    { "a lone low surrogate", LLM_REASON_JSON, "{\"a\":\"\\ude00\"}" },
    { "two high surrogates", LLM_REASON_JSON, "{\"a\":\"\\ud83d\\ud83d\"}" },
    { "a NUL in a name", LLM_REASON_JSON, "{\"a\\u0000\":1}" },
    { "a name twice", LLM_REASON_DUPLICATE, "{\"a\":1,\"b\":2,\"a\":3}" },
    { "a name twice in a row", LLM_REASON_DUPLICATE, "{\"a\":1,\"a\":3}" },
    { "a name in two spellings", LLM_REASON_DUPLICATE,
      "{\"b\":1,\"\\u0062\":2}" },
    { "an ignored name twice", LLM_REASON_DUPLICATE,
      "{\"stream\":true,\"a\":1,\"stream\":true}" },
    { "a name twice in what is ignored", LLM_REASON_DUPLICATE,
      "{\"user\":{\"a\":1,\"a\":1}}" },
    { "three controls", LLM_REASON_DUPLICATE,
      "{\"caching\":true,\"cache\":{},\"caching\":true}" },
    { "2^53 + 1", LLM_REASON_NUMBER, "{\"a\":9007199254740993}" },
    { "2^63 - 1", LLM_REASON_NUMBER, "{\"a\":9223372036854775807}" },
    { "2^63", LLM_REASON_NUMBER, "{\"a\":9223372036854775808}" },
    { "-2^63 - 1", LLM_REASON_NUMBER, "{\"a\":-9223372036854775809}" },
    { "a long integer", LLM_REASON_NUMBER,
      "{\"a\":100000000000000000000000}" },
    { "a number that overflows", LLM_REASON_NUMBER, "{\"a\":1e400}" },
    { "one that overflows far", LLM_REASON_NUMBER,
      "{\"a\":-1e99999999999999999999}" }
};


/* read by every dialect, with and without controls and ignored fields */

static const char *const  texts[] = {
    "{}",
    " {\r\n\t} ",
    "{\"b\":{\"d\":1,\"c\":[{\"f\":1,\"e\":2}]},\"a\":[],\"\":null}",

    /* names whose order is not that of their bytes or of their text */

    "{\"\\n\":1,\"!\":2,\"\\u0001\":3,\"\\\"\":4,\"\\\\\":5,\"]\":6,\"#\":7}",
    "{\"\\t\":1,\"\\f\":2,\"\\r\":3,\"\\b\":4,\"\\u001f\":5,\"\\u001a\":6}",
    "{\"\xef\xbf\xbd\":1,\"\xf0\x9f\x98\x80\":2,\"\xee\x80\x80\":3}",
    "{\"\\uffff\":1,\"\\ud83d\\ude00\":2,\"\\ue000\":3,\"\\ud7ff\":4}",
    "{\" \":1,\"\\u001a\":2,\"\\u0019\":3,\"\\u0020x\":4}",
    "{\"aaaaaaaa\\n\":1,\"aaaaaaaa\\t\":2,\"aaaaaaaa\\u0001\":3,"
        "\"aaaaaaaa\\u0011\":4,\"aaaaaaaa\\u001f\":5,\"aaaaaaaa!\":6,"
        "\"aaaaaaaa\\\\\":7,\"aaaaaaaa\\\\n\":8,\"aaaaaaaa\\\\!\":9,"
        "\"aaaaaaaa\\\\u001!\":10,\"aaaaaaaa\\\\u001f\":11,"
        "\"aaaaaaaa\\\\\\\\\":12,\"aaaaaaaa\\\\\\n\":13,\"aaaaaaaa\":14}",
    "{\"aaaaaaa\xef\xbf\xbd\":1,\"aaaaaaa\xf0\x9f\x98\x80\":2,\"aaaaaaaa\":3,"
        "\"aaaaaaaaa\xf0\x9f\x98\x80\":4,\"aaaaaaaaa\xee\x80\x80\":5,"
        "\"aaaaaa\xee\x80\x80\":6,\"aaaaaa\xf0\x9f\x98\x80\":7,\"x\":8,"
        "\"aaaaaaaaa\\n\":9,\"aaaaaaa\xed\x9f\xbf\":10}",
    "{\"ab\":1,\"a\":2,\"abc\":3,\"\":4}",

    /* numbers */

    "{\"a\":[0,-0,0.0,-0.0,0e9,-0e99999999999,1,-1,10,1.0,1.50,100e-2]}",
    "{\"a\":[1e21,1e20,123456789012345680000,1e-6,1e-7,1.5e-7,0.000001]}",
    "{\"a\":[123456789012345,999999999999999,1234567890123456]}",
    "{\"a\":[9007199254740991,9007199254740992,-9007199254740992,1e15]}",
    "{\"a\":[-9223372036854775808,1152921504606846976,1e400e,1]}",
    "{\"a\":[-9223372036854775808,1152921504606846976]}",
    "{\"a\":[0.1234567890123456789,123456789012345.6,1234567890123456.7]}",
    "{\"a\":[5e-324,1e-400,-1e-400,2.2250738585072014e-308,1e-310]}",
    "{\"a\":[1.7976931348623157e308,1e300,1e-300,1e289,1e290,1e291]}",
    "{\"a\":[0.000000000000000000000000000012345,12345000000000000000.0]}",
    "{\"a\":[1000000000000000000000000000000.000000000000000000000001]}",
    "{\"a\":[9007199254740993.0,9007199254740993e0,1E+2,1E-0002]}",

    /* plain text parts */

    "{\"messages\":[{\"role\":\"user\",\"content\":[" TEXT "]}],\"z\":[1]}",
    "{\"messages\":[{\"role\":\"user\",\"content\":[" TEXT "," TEXT "]}]}",
    "{\"messages\":[{\"role\":\"user\",\"content\":[[" TEXT "]]}]}",
    "{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"t\","
        "\"x\":1}]},{\"content\":[{\"type\":\"text\",\"text\":1}]},"
        "{\"content\":[{\"type\":\"te\\u0078t\",\"te\\u0078t\":\"\\n\"}]}]}",
    "{\"messages\":[{\"content\":[" TEXT ",[]]},{\"content\":[\"t\"]},"
        "{\"content\":[]},[" TEXT "],{\"content\":\"t\"}]}",
    "{\"system\":[{\"type\":\"text\",\"cache_control\":{\"b\":1,\"a\":1},"
        "\"text\":\"t\"}],\"cache_control\":null,\"tools\":[{\"name\":\"f\","
        "\"cache_control\":{\"z\":1,\"y\":[{\"b\":1,\"a\":1}]}},1]}",
    "{\"input\":[{\"role\":\"user\",\"content\":[" TEXT "]},"
        "{\"role\":\"user\",\"content\":[" INPUT "]}]}",

    /* what tells the place of a member comes before or after it */

    RESULT("\"type\":\"tool_result\",", ""),
    RESULT("", ",\"type\":\"tool_result\""),
    RESULT("", ",\"type\":\"other\""),
    RESULT("\"role\":\"user\",", ",\"type\":\"tool_result\""),
    RESULT("\"x\":1,", ""),
    ITEM("\"role\":\"user\",", ""),
    ITEM("", ",\"role\":\"user\""),
    ITEM("", ",\"role\":\"assistant\""),
    ITEM("", ""),
    ITEM("\"role\":\"user\",", ",\"type\":\"message\""),
    ITEM("\"role\":\"user\",", ",\"type\":\"other\",\"x\":{\"b\":1,\"a\":2}"),
    ITEM("\"role\":\"user\",", ",\"type\":1"),
    ITEM("\"type\":\"message\",", ",\"role\":\"system\""),
    COHERE_MESSAGE("", ",\"role\":\"user\""),
    COHERE_MESSAGE("", ",\"role\":\"tool\""),
    COHERE_MESSAGE("\"type\":1,", ",\"role\":\"user\""),
    "{\"input\":[{\"type\":\"message\",\"content\":[{\"type\":"
        "\"input_text\",\"text\":\"t\",\"x\":1,\"b\":{\"d\":1,\"c\":2}}],"
        "\"role\":\"user\"},{\"b\":1,\"a\":2}],\"b\":1,\"a\":2}",

    "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
        "\"text\":\"t\",\"y\":1}]}]}",

    /* fields left out */

    "{\"a\":{\"b\":1,\"c\":{\"d\":1,\"e\":2}},\"x\":1,\"a.b\":1,\"y\":{}}",
    "{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"t\","
        "\"x\":{\"b\":1,\"a\":2}}],\"x\":1}],\"\\\"\":{\"z\":1,\"y\":2}}",
    "{\"user\":\"u\",\"metadata\":{\"b\":1,\"a\":2},\"n\":null,\"m\":0}",
    "{\"user\":1}",

    /* what the request asks for */

    "{\"model\":\"m\\u00e9\\n\\u0000\\\\\",\"stream\":true,\"temperature\":0.5,"
        "\"stream_options\":{\"include_usage\":true,\"x\":{\"include_usage\""
        ":false}}}",
    "{\"model\":\"\",\"stream\":null,\"temperature\":-1e-400}",
    "{\"model\":1,\"stream\":\"true\",\"temperature\":\"1\","
        "\"stream_options\":[true]}",
    "{\"model\":{\"a\":1},\"stream\":false,\"temperature\":2}",
    "{\"mod\\u0065l\":\"m\",\"generationConfig\":{\"temperature\":1.5},"
        "\"generation_config\":{\"temperature\":1.25},"
        "\"options\":{\"seed\":1,\"temperature\":12345678901234567e-16}}",
    "{\"generation_config\":{\"temperature\":3},\"options\":[1]}",
    "{\"conversation\":\"c\",\"background\":true}",
    "{\"conversation\":null,\"background\":false}",
    "{\"model\":\"perplexity/sonar-pro\"}",
    "{\"web_search_options\":{}}",
    "{\"search_parameters\":{\"mode\":\"off\",\"x\":[]}}",
    "{\"search_parameters\":{\"mode\":{\"mode\":\"off\"}}}",
    "{\"plugins\":[]}", "{\"plugins\":[0]}", "{\"plugins\":{}}",
    "{\"plugins\":{\"x\":[]}}", "{\"plugins\":false}",
    "{\"tools\":[]}", "{\"tools\":{}}", "{\"tools\":[[]]}",
    "{\"tools\":[1]}", "{\"tools\":\"x\"}", "{\"tools\":[{}]}",
    "{\"tools\":[{\"type\":\"function\"},{\"type\":\"cust\\u006fm\"}]}",
    "{\"tools\":[{\"type\":\"function\"},{\"type\":\"web_search\"}]}",
    "{\"tools\":[{\"function\":{\"name\":\"f\"}}]}",
    "{\"tools\":[{\"function\":[]}]}",
    "{\"tools\":[{\"type\":\"bash_2\"},{\"type\":\"bash_\"}]}",
    "{\"tools\":[{\"environment\":{\"x\":{\"type\":\"local\"}},"
        "\"type\":\"shell\"}]}",
    "{\"tools\":[{\"type\":\"shell\",\"environment\":{\"x\":\"}\\\"\","
        "\"y\":[1,{\"z\":2}],\"type\":\"local\"}}]}",
    "{\"tools\":[{\"type\":\"tool_search\",\"execution\":\"client\"}]}",
    "{\"tools\":[{\"type\":\"tool_search\",\"execution\":\"server\"}]}",
    "{\"tools\":[{\"tools\":[{\"type\":\"function\"}],\"type\":"
        "\"namespace\"}]}",
    "{\"tools\":[{\"tools\":[{\"type\":\"namespace\",\"tools\":[{\"type\":"
        "\"x\"}]}],\"type\":\"namespace\"}]}",
    "{\"tools\":[{\"tools\":[{\"type\":\"x\"}],\"type\":\"function\"}]}",
    "{\"tools\":[{\"type\":\"namespace\",\"tools\":{\"type\":\"x\"}}]}",
    "{\"tools\":[{\"functionDeclarations\":[]},{\"googleSearch\":null}]}",
    "{\"tools\":{\"googleSearch\":{}}}",
    "{\"tools\":[{\"googleSearch\":false}]}",

    /* controls, first, last, alone and between */

    "{\"caching\":true}", "{ \"caching\" : false }", "{\"cache\":{}}",
    "{ \"caching\" : true , \"cache\" : {} }",
    "{ \"caching\":true ,\n \"a\":1 , \"cache\":{ \"ttl\" : 9 } }",
    "{\"a\":1 ,\"b\":2, \"c\\u0061che\":{\"no-cache\":true}}",
    "{\"cache\":{},\"a\":1,\"caching\":false,\"b\":2}",
    "{\"cache\":true,\"caching\":{},\"a\":1}",
    "{\"cache\":{\"ttl\":1e400}}",
    "{\"cache\":{\"ttl\":59.5,\"s-maxage\":1e300,\"no-store\":true,"
        "\"use-cache\":false,\"namespace\":\"n\\u0000\\\"\"}}",
    "{\"cache\":{\"ttl\":\"1\",\"s-maxage\":-1,\"no-cache\":1,"
        "\"use-cache\":true,\"namespace\":[]}}",

    /* strings */

    "{\"a\":\"\\u0041\\u00e9\\u20ac\\uD83D\\uDE00\\/\\\"\\\\\\b\\f\\n\\r\\t\"}",
    "{\"a\":\"\\u0000\\u0001\\u001F\\u0022\\u005c\\u0008\\u000A\\u007f\"}",
    "{\"a\":\"\x7f\",\"b\":\"" PLAIN PLAIN "\\n" PLAIN "\xc3\xa9" PLAIN "\"}"
};


static const char *const  uris[] = {
    CHAT, RESPONSES, ANTHROPIC, COHERE, GEMINI, OLLAMA, "/v1/other"
};

static llm_str_t  paths[] = {
    llm_string("x"), llm_string("a.b"), llm_string("a.c.d"), llm_string(""),
    llm_string("messages.content.x"), llm_string("input.content.text"),
    llm_string("\".z")
};

static const llm_ignore_t  ignore = { paths, N(paths) };


/* NULL, or what differs for any of the first n dialects */

static const char *
differs_among(const char *text, size_t len, size_t n)
{
    size_t         i;
    json_t        *doc;
    const char    *what;
    llm_reason_e   reason;
    unsigned char *copy;

    copy = malloc(len + 1);
    if (copy == NULL) {
        return "no memory";
    }

    memcpy(copy, text, len);
    copy = realloc(copy, len ? len : 1);

    (void) llm_json_load(copy, len, &doc);

    what = NULL;

    for (i = 0; what == NULL && i < 4 * n; i++) {
        what = body_differs(doc, copy, len, uris[i / 4],
                            (i & 1) ? &ignore : NULL, (i & 2) != 0, &reason);
    }

    json_decref(doc);
    free(copy);

    return what;
}


static const char *
differs(const char *text, size_t len)
{
    return differs_among(text, len, N(uris));
}


static void
test_same(const char *name, const char *text, size_t len)
{
    const char  *what;

    what = differs(text, len);

    if (!ok(what == NULL, "%s", name)) {
        printf("#   differs in: %s\n", what);
    }
}


/* where the text is no fit name for a test */

static void
test_text(size_t i)
{
    const char  *what;

    what = differs(texts[i], strlen(texts[i]));

    if (!ok(what == NULL, "text %zu", i)) {
        printf("#   differs in: %s\n", what);
        tap_dump("text", texts[i], strlen(texts[i]));
    }
}


static void
test_refusals(void)
{
    size_t         i, len;
    json_t        *doc;
    llm_str_t      uri, args;
    llm_body_t     body;
    llm_route_t    route;
    llm_reason_e   one, two;

    memset(&args, 0, sizeof(llm_str_t));
    uri.data = (const unsigned char *) CHAT;
    uri.len = sizeof(CHAT) - 1;

    llm_dialect_route(uri, args, &route);

    for (i = 0; i < N(refusals); i++) {
        len = strlen(refusals[i].text);

        one = llm_body_read((const unsigned char *) refusals[i].text, len,
                            &route, NULL, 1, &body);
        llm_body_free(&body);

        two = llm_json_load((const unsigned char *) refusals[i].text, len,
                            &doc);
        json_decref(doc);

        ok(one == refusals[i].reason && two == one, "refused: %s",
               refusals[i].name);
    }
}


/* nested to this depth, objects whose members are out of order on the way */

static void
test_depth(unsigned depth)
{
    unsigned   i;
    llm_buf_t  text;

    static const char  open[] = "{\"b\":1,\"a\":[";

    memset(&text, 0, sizeof(llm_buf_t));

    for (i = 0; i < depth / 2; i++) {
        (void) llm_buf_add(&text, open, sizeof(open) - 1);
    }

    if (depth & 1) {
        (void) llm_buf_add(&text, "{}", 2);
    }

    for (i = 0; i < depth / 2; i++) {
        (void) llm_buf_add(&text, "]}", 2);
    }

    ok(differs((char *) text.data, text.len) == NULL, "%u levels", depth);

    llm_buf_free(&text);
}


/* an object of n members in no order at all, each with one of its own */

static void
test_members(uint32_t n, int duplicate)
{
    int        len;
    char       member[64];
    uint32_t   i, name;
    llm_buf_t  text;

    memset(&text, 0, sizeof(llm_buf_t));
    (void) llm_buf_add(&text, "{\"x\":1", 6);

    for (i = 0; i <= n; i++) {

        /* an odd factor: no two are alike, but for the one that is added */

        name = i < n ? i * 2654435761u : 0;

        if (i == n && !duplicate) {
            break;
        }

        len = snprintf(member, sizeof(member),
                       ",\"%s%x\":{\"b\":1.50,\"a\":%u}",
                       name & 64 ? "\\u000a" : "k", (unsigned) name,
                       (unsigned) i);
        (void) llm_buf_add(&text, member, (size_t) len);
    }

    (void) llm_buf_add(&text, "}", 1);

    ok(differs((char *) text.data, text.len) == NULL,
       "%u members%s", (unsigned) n, duplicate ? ", one twice" : "");

    llm_buf_free(&text);
}


/* numbers that come out longer than they went in */

static void
test_growth(void)
{
    int        i;
    llm_buf_t  text;

    memset(&text, 0, sizeof(llm_buf_t));
    (void) llm_buf_add(&text, "{\"b\":[0", 7);

    for (i = 0; i < 5000; i++) {
        (void) llm_buf_add(&text, ",9e20,-2e20", 11);
    }

    (void) llm_buf_add(&text, "],\"a\":1}", 8);

    test_same("numbers that grow", (char *) text.data, text.len);

    llm_buf_free(&text);
}


/* every sequence of bytes at every place of a string, among several others */

static void
test_utf8(void)
{
    int          len;
    char         text[128];
    size_t       i, k, n, bad;

    static const char *const  fillers[] = {
        "a", "\xc3\xa9", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
        "\xe0\xa4\xb9", "\xf3\xa0\x84\x80"
    };

    static const char *const  pieces[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x80", "\xc2\xc2",
        "\xdf\xbf", "\xdf\xbf\x80", "\xe0\x9f\xbf", "\xe0\xa0\x80", "\xe1",
        "\xe1\x80", "\xe1\x80\xc0", "\xe1\xbf\xbf", "\xe1\x80\x80\x80",
        "\xec\x80\x80", "\xed\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xef\xbf", "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\x1f", "\x7f", "\\n",
        "\\u00e9", "\\"
    };

    for (k = 0; k < N(fillers); k++) {
        bad = 0;

        for (i = 0; i < N(pieces); i++) {

            for (n = 0; n < 40; n++) {
                len = snprintf(text, sizeof(text), "{\"%.*s",
                               (int) (n & 7), "abcdefg");

                while ((size_t) len < n + 4) {
                    len += snprintf(text + len, sizeof(text) - (size_t) len,
                                    "%s", fillers[k]);
                }

                len += snprintf(text + len, sizeof(text) - (size_t) len,
                                "%s%s%s%s\":1}", pieces[i], fillers[k],
                                fillers[k],
                                (n & 1) ? "0123456789abcdefg" : "");

                bad += differs_among(text, (size_t) len, 1) != NULL;
            }
        }

        ok(bad == 0, "UTF-8 among others, %zu", k);
    }
}


int
main(void)
{
    size_t  i;

    test_refusals();

    for (i = 0; i < N(texts); i++) {
        test_text(i);
    }

    test_same("a NUL after a number", "{\"a\":1\0}", 8);
    test_same("a NUL after a literal", "{\"a\":true\0}", 11);
    test_same("a NUL in a string", "{\"a\":\"\0\"}", 9);
    test_same("a NUL at the end", "{}\0", 3);

    test_depth(LLM_JSON_MAX_DEPTH - 1);
    test_depth(LLM_JSON_MAX_DEPTH);
    test_depth(LLM_JSON_MAX_DEPTH + 1);

    test_members(8, 0);
    test_members(9, 0);
    test_members(9, 1);
    test_members(3000, 0);
    test_members(3000, 1);

    test_growth();
    test_utf8();

    return tap_done();
}
