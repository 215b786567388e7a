#include <stdlib.h>

#include "key_body.h"
#include "llm_key.h"
#include "tap.h"


#define N(array)  (sizeof(array) / sizeof((array)[0]))


typedef struct {
    const char           *name;
    llm_dialect_e         dialect;
    int                   strip;
    const char           *ignore;        /* separated by spaces, or NULL */
    int                   equal;
    const char           *one;
    const char           *two;
} pair_case_t;


/*
 * SHA-256 of 00 0000000000000001 01, and of that before 01 0000000000000002
 * "ns" 08 0000000000000002 "{}", by another program.
 */

#define EMPTY_KEY                                                             \
    "761ed03de062527aa7a8435dd6d9546d"                                        \
    "8c5f0cdd2497a77e75ee234985947b3e"

#define TWO_PARTS_KEY                                                         \
    "5937d268e3098bae660fb8a40a84bc3b"                                        \
    "a9fecce8f69bc091a56ba098ce22cb42"


/* SHA-256 of 00 0000000000000001 01 08 0000000000011170 and 70000 NULs */

#define LONG_PART_KEY                                                         \
    "3558045d86b83dbbbad1b0ff39da7353"                                        \
    "d9db0641976ddecfa0f6162faf4361a2"


#define SAME       1
#define DIFFER     0
#define CHAT       LLM_DIALECT_CHAT
#define RESPONSES  LLM_DIALECT_RESPONSES
#define ANTHROPIC  LLM_DIALECT_ANTHROPIC
#define COHERE     LLM_DIALECT_COHERE_CHAT
#define OLLAMA     LLM_DIALECT_OLLAMA_CHAT
#define GEMINI     LLM_DIALECT_GEMINI
#define ANY        LLM_DIALECT_JSON

/* a request with one message, of this role, whose content is this text */

#define MESSAGE(role, content)                                                \
    "{\"messages\":[{\"role\":\"" role "\",\"content\":" content "}]}"

#define USER(content)  MESSAGE("user", content)

#define INPUT(role, content)                                                  \
    "{\"input\":[{\"role\":\"" role "\",\"content\":" content "}]}"

#define TEXT(text)  "{\"type\":\"text\",\"text\":" text "}"

#define MARKER  "\"cache_control\":{\"type\":\"ephemeral\"}"

#define RESULT(content)                                                       \
    USER("[{\"type\":\"tool_result\",\"tool_use_id\":\"t\","                  \
         "\"content\":" content "}]")


static const pair_case_t  pairs[] = {

    /* the same document in another spelling */

    { "members in another order", CHAT, 1, NULL, SAME,
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
      "{\"messages\":[{\"content\":\"x\",\"role\":\"user\"}],"
      "\"model\":\"m\"}" },
    { "white space", CHAT, 1, NULL, SAME,
      "{\"model\":\"m\",\"n\":[1,2]}",
      " {\n \"model\" : \"m\" , \"n\" : [ 1 , 2 ] }\r\n" },
    { "1 and 1.0", CHAT, 1, NULL, SAME,
      "{\"temperature\":1}", "{\"temperature\":1.0}" },
    { "an escaped letter", CHAT, 1, NULL, SAME,
      USER("\"A\""), USER("\"\\u0041\"") },
    { "an escaped name", CHAT, 1, NULL, SAME,
      "{\"model\":\"m\"}", "{\"mod\\u0065l\":\"m\"}" },

    /* what always counts */

    { "another model", CHAT, 1, NULL, DIFFER,
      "{\"model\":\"a\"}", "{\"model\":\"b\"}" },
    { "another message", CHAT, 1, NULL, DIFFER,
      USER("\"a\""), USER("\"b\"") },
    { "letters of another case", CHAT, 1, NULL, DIFFER,
      USER("\"a\""), USER("\"A\"") },
    { "a trailing space", CHAT, 1, NULL, DIFFER,
      USER("\"a\""), USER("\"a \"") },
    { "another role", CHAT, 1, NULL, DIFFER,
      MESSAGE("user", "\"a\""), MESSAGE("system", "\"a\"") },
    { "another temperature", CHAT, 1, NULL, DIFFER,
      "{\"temperature\":0}", "{\"temperature\":1}" },
    { "a seed", CHAT, 1, NULL, DIFFER, "{\"seed\":1}", "{}" },
    { "a top_k", CHAT, 1, NULL, DIFFER, "{\"top_k\":1}", "{\"top_k\":2}" },
    { "an unknown field", CHAT, 1, NULL, DIFFER, "{\"x_new\":0}", "{}" },
    { "an unknown field that is false", CHAT, 1, NULL, DIFFER,
      "{\"x_new\":false}", "{}" },
    { "1 and \"1\"", CHAT, 1, NULL, DIFFER, "{\"n\":1}", "{\"n\":\"1\"}" },
    { "0 and false", CHAT, 1, NULL, DIFFER, "{\"n\":0}", "{\"n\":false}" },
    { "an empty array and an empty object", CHAT, 1, NULL, DIFFER,
      "{\"n\":[]}", "{\"n\":{}}" },
    { "elements in another order", CHAT, 1, NULL, DIFFER,
      "{\"n\":[1,2]}", "{\"n\":[2,1]}" },
    { "a text that looks like JSON", CHAT, 1, NULL, DIFFER,
      "{\"a\":\"b\\\",\\\"c\\\":\\\"d\"}", "{\"a\":\"b\",\"c\":\"d\"}" },
    { "tools", CHAT, 1, NULL, DIFFER,
      "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
      "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}" },

    /* the fields that never count, at the top level alone */

    { "stream", CHAT, 1, NULL, SAME, "{\"stream\":true}", "{}" },
    { "stream_options", CHAT, 1, NULL, SAME,
      "{\"stream_options\":{\"include_usage\":true}}", "{}" },
    { "user", CHAT, 1, NULL, SAME, "{\"user\":\"a\"}", "{\"user\":\"b\"}" },
    { "metadata", ANTHROPIC, 1, NULL, SAME,
      "{\"metadata\":{\"user_id\":\"a\"}}", "{}" },
    { "safety_identifier", CHAT, 1, NULL, SAME,
      "{\"safety_identifier\":\"a\"}", "{}" },
    { "prompt_cache_key", CHAT, 1, NULL, SAME,
      "{\"prompt_cache_key\":\"a\"}", "{}" },
    { "prompt_cache_retention", CHAT, 1, NULL, SAME,
      "{\"prompt_cache_retention\":\"24h\"}", "{}" },
    { "a name that begins as one of them", CHAT, 1, NULL, DIFFER,
      "{\"streams\":true}", "{}" },
    { "the beginning of one of them", CHAT, 1, NULL, DIFFER,
      "{\"strea\":true}", "{}" },
    { "user further in", CHAT, 1, NULL, DIFFER,
      "{\"a\":{\"user\":\"a\"}}", "{\"a\":{}}" },
    { "metadata in a message", CHAT, 1, NULL, DIFFER,
      "{\"messages\":[{\"metadata\":1}]}", "{\"messages\":[{}]}" },
    { "stream in a tool", CHAT, 1, NULL, DIFFER,
      "{\"tools\":[{\"stream\":true}]}", "{\"tools\":[{}]}" },

    /* null */

    { "null at the top level", CHAT, 1, NULL, SAME,
      "{\"seed\":null,\"n\":1}", "{\"n\":1}" },
    { "null in any dialect", ANY, 1, NULL, SAME, "{\"x\":null}", "{}" },
    { "null further in", CHAT, 1, NULL, DIFFER,
      "{\"a\":{\"b\":null}}", "{\"a\":{}}" },
    { "null in a message", CHAT, 1, NULL, DIFFER,
      "{\"messages\":[{\"content\":null}]}", "{\"messages\":[{}]}" },
    { "null in an array", CHAT, 1, NULL, DIFFER,
      "{\"a\":[null]}", "{\"a\":[]}" },
    { "null and false", CHAT, 1, NULL, DIFFER,
      "{\"a\":null}", "{\"a\":false}" },

    /* the client's controls */

    { "caching", CHAT, 1, NULL, SAME, "{\"caching\":true}", "{}" },
    { "caching: false", CHAT, 1, NULL, SAME, "{\"caching\":false}", "{}" },
    { "cache", CHAT, 1, NULL, SAME, "{\"cache\":{\"ttl\":1}}", "{}" },
    { "caching, where controls are off", CHAT, 0, NULL, DIFFER,
      "{\"caching\":true}", "{}" },
    { "cache, where controls are off", CHAT, 0, NULL, DIFFER,
      "{\"cache\":{\"ttl\":1}}", "{}" },
    { "caching of another type", CHAT, 1, NULL, DIFFER,
      "{\"caching\":1}", "{}" },
    { "caching that is an object", CHAT, 1, NULL, DIFFER,
      "{\"caching\":{}}", "{}" },
    { "cache of another type", CHAT, 1, NULL, DIFFER,
      "{\"cache\":true}", "{}" },
    { "cache that is an array", CHAT, 1, NULL, DIFFER,
      "{\"cache\":[]}", "{}" },
    { "cache that is null", CHAT, 1, NULL, SAME, "{\"cache\":null}", "{}" },
    { "cache further in", CHAT, 1, NULL, DIFFER,
      "{\"a\":{\"cache\":{}}}", "{\"a\":{}}" },

    /* what the operator ignores */

    { "an ignored field", CHAT, 1, "seed", SAME, "{\"seed\":1}", "{}" },
    { "another field", CHAT, 1, "seed", DIFFER, "{\"seeds\":1}", "{}" },
    { "an ignored field stays one at the top", CHAT, 1, "seed", DIFFER,
      "{\"a\":{\"seed\":1}}", "{\"a\":{}}" },
    { "two ignored fields", CHAT, 1, "seed n", SAME,
      "{\"seed\":1,\"n\":1}", "{}" },
    { "a dotted path", CHAT, 1, "a.b", SAME,
      "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":2}}" },
    { "what lies beside it", CHAT, 1, "a.b", DIFFER,
      "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}" },
    { "what it leads to elsewhere", CHAT, 1, "a.b", DIFFER,
      "{\"b\":1}", "{}" },
    { "the object that it leads through", CHAT, 1, "a.b", DIFFER,
      "{\"a\":{\"b\":1}}", "{}" },
    { "a longer path", CHAT, 1, "a.b.c.d", SAME,
      "{\"a\":{\"b\":{\"c\":{\"d\":1}}}}", "{\"a\":{\"b\":{\"c\":{}}}}" },
    { "paths with a common beginning", CHAT, 1, "a.b a.c a.d.e", SAME,
      "{\"a\":{\"b\":1,\"c\":1,\"d\":{\"e\":1}}}", "{\"a\":{\"d\":{}}}" },
    { "paths after one that was left", CHAT, 1, "a.x b.x", DIFFER,
      "{\"a\":{\"y\":1},\"c\":{\"x\":1}}", "{\"a\":{\"y\":1},\"c\":{}}" },
    { "a path through an array", CHAT, 1, "messages.name", SAME,
      "{\"messages\":[{\"name\":\"a\",\"role\":\"user\"},{\"name\":\"b\"}]}",
      "{\"messages\":[{\"role\":\"user\"},{}]}" },
    { "a path through two arrays", CHAT, 1, "a.b", SAME,
      "{\"a\":[[{\"b\":1}]]}", "{\"a\":[[{}]]}" },
    { "a path to no object", CHAT, 1, "a.b", DIFFER,
      "{\"a\":\"b\"}", "{}" },
    { "a path with a dot at its end", CHAT, 1, "a.", DIFFER,
      "{\"a\":{\"b\":1}}", "{\"a\":{}}" },
    { "a name that is empty behind it", CHAT, 1, "a.", DIFFER,
      "{\"a\":{\"\":1}}", "{\"a\":{}}" },
    { "a path that begins as a name", CHAT, 1, "axb", DIFFER,
      "{\"a\":{\"b\":1}}", "{\"a\":{}}" },
    { "a name that holds a dot", CHAT, 1, "a.b", SAME, "{\"a.b\":1}", "{}" },
    { "a path below such a name", CHAT, 1, "a.b.c", SAME,
      "{\"a.b\":{\"c\":1}}", "{\"a.b\":{}}" },
    { "no path at all", CHAT, 1, "", DIFFER, "{\"\":1}", "{}" },

    /* a string content and a single plain text part */

    { "content of a user", CHAT, 1, NULL, SAME,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "content in any order and spelling", CHAT, 1, NULL, SAME,
      USER("\"x\""),
      USER("[ {\"text\":\"\\u0078\",\"typ\\u0065\":\"text\"} ]") },
    { "content of a system message", CHAT, 1, NULL, SAME,
      MESSAGE("system", "\"x\""), MESSAGE("system", "[" TEXT("\"x\"") "]") },
    { "content of an assistant", CHAT, 1, NULL, SAME,
      MESSAGE("assistant", "\"x\""),
      MESSAGE("assistant", "[" TEXT("\"x\"") "]") },
    { "content of a tool", CHAT, 1, NULL, SAME,
      MESSAGE("tool", "\"x\""), MESSAGE("tool", "[" TEXT("\"x\"") "]") },
    { "content in a later message", CHAT, 1, NULL, SAME,
      "{\"messages\":[{\"content\":\"a\"},{\"content\":\"x\"}]}",
      "{\"messages\":[{\"content\":[" TEXT("\"a\"") "]},"
      "{\"content\":[" TEXT("\"x\"") "]}]}" },
    { "content of another text", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[" TEXT("\"y\"") "]") },
    { "two parts", CHAT, 1, NULL, DIFFER,
      USER("\"xy\""), USER("[" TEXT("\"x\"") "," TEXT("\"y\"") "]") },
    { "two parts and the first of them", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[" TEXT("\"x\"") "," TEXT("\"y\"") "]") },
    { "no part", CHAT, 1, NULL, DIFFER, USER("\"\""), USER("[]") },
    { "a part that is a string", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[\"x\"]") },
    { "a part that is no text", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":\"refusal\",\"text\":\"x\"}]") },
    { "a part without a type", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"text\":\"x\"}]") },
    { "a part whose type is null", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":null,\"text\":\"x\"}]") },
    { "a part whose text is null", CHAT, 1, NULL, DIFFER,
      USER("null"), USER("[" TEXT("null") "]") },
    { "a part whose text is an object", CHAT, 1, NULL, DIFFER,
      USER("{}"), USER("[" TEXT("{}") "]") },
    { "a part with one member more", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":\"text\",\"text\":\"x\",\"a\":1}]") },
    { "a part with one member more that is null", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":\"text\",\"text\":\"x\",\"a\":null}]") },
    { "a part in no array", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER(TEXT("\"x\"")) },
    { "a part of another spelling of its type", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":\"text\\u0000\",\"text\":\"x\"}]") },
    { "Responses' part in a chat", CHAT, 1, NULL, DIFFER,
      USER("\"x\""), USER("[{\"type\":\"input_text\",\"text\":\"x\"}]") },
    { "cache_control in a chat", CHAT, 1, NULL, DIFFER,
      USER("\"x\""),
      USER("[{\"type\":\"text\",\"text\":\"x\"," MARKER "}]") },
    { "content elsewhere", CHAT, 1, NULL, DIFFER,
      "{\"content\":\"x\"}", "{\"content\":[" TEXT("\"x\"") "]}" },
    { "content further in", CHAT, 1, NULL, DIFFER,
      "{\"messages\":[{\"a\":{\"content\":\"x\"}}]}",
      "{\"messages\":[{\"a\":{\"content\":[" TEXT("\"x\"") "]}}]}" },
    { "content in messages that are no array", CHAT, 1, NULL, DIFFER,
      "{\"messages\":{\"content\":\"x\"}}",
      "{\"messages\":{\"content\":[" TEXT("\"x\"") "]}}" },
    { "content in an array of messages too many", CHAT, 1, NULL, DIFFER,
      "{\"messages\":[[{\"content\":\"x\"}]]}",
      "{\"messages\":[[{\"content\":[" TEXT("\"x\"") "]}]]}" },
    { "an ignored member in a part", CHAT, 1, "messages.content.a", SAME,
      USER("\"x\""), USER("[{\"type\":\"text\",\"text\":\"x\",\"a\":1}]") },
    { "an ignored type in a part", CHAT, 1, "messages.content.type", DIFFER,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "an ignored type beside another member", CHAT, 1,
      "messages.content.type", DIFFER,
      USER("\"x\""), USER("[{\"type\":\"text\",\"text\":\"x\",\"a\":1}]") },
    { "an ignored text in a part", CHAT, 1, "messages.content.text", SAME,
      USER("[" TEXT("\"x\"") "]"), USER("[" TEXT("\"y\"") "]") },
    { "an ignored content", CHAT, 1, "messages.content", SAME,
      USER("\"x\""), USER("[" TEXT("\"y\"") "]") },

    { "content in an unknown API", ANY, 1, NULL, DIFFER,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "content in Ollama's", OLLAMA, 1, NULL, DIFFER,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "Gemini's parts", GEMINI, 1, NULL, DIFFER,
      "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}",
      "{\"contents\":[{\"parts\":\"x\"}]}" },

    { "Cohere: content of a user", COHERE, 1, NULL, SAME,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "Cohere: content of an assistant", COHERE, 1, NULL, SAME,
      MESSAGE("assistant", "\"x\""),
      MESSAGE("assistant", "[" TEXT("\"x\"") "]") },
    { "Cohere: content of a tool", COHERE, 1, NULL, DIFFER,
      MESSAGE("tool", "\"x\""), MESSAGE("tool", "[" TEXT("\"x\"") "]") },

    { "Responses: content of a user", RESPONSES, 1, NULL, SAME,
      INPUT("user", "\"x\""),
      INPUT("user", "[{\"type\":\"input_text\",\"text\":\"x\"}]") },
    { "Responses: content of a developer", RESPONSES, 1, NULL, SAME,
      INPUT("developer", "\"x\""),
      INPUT("developer", "[{\"type\":\"input_text\",\"text\":\"x\"}]") },
    { "Responses: content of a message by type", RESPONSES, 1, NULL, SAME,
      "{\"input\":[{\"type\":\"message\",\"role\":\"user\","
      "\"content\":\"x\"}]}",
      "{\"input\":[{\"type\":\"message\",\"role\":\"user\","
      "\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}]}" },
    { "Responses: the type of an item", RESPONSES, 1, NULL, DIFFER,
      INPUT("user", "\"x\""),
      "{\"input\":[{\"type\":\"message\",\"role\":\"user\","
      "\"content\":\"x\"}]}" },
    { "Responses: an item of another type", RESPONSES, 1, NULL, DIFFER,
      "{\"input\":[{\"type\":\"x\",\"role\":\"user\",\"content\":\"x\"}]}",
      "{\"input\":[{\"type\":\"x\",\"role\":\"user\","
      "\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}]}" },
    { "Responses: content of an assistant", RESPONSES, 1, NULL, DIFFER,
      INPUT("assistant", "\"x\""),
      INPUT("assistant", "[{\"type\":\"input_text\",\"text\":\"x\"}]") },
    { "Responses: an assistant's own spelling", RESPONSES, 1, NULL, DIFFER,
      INPUT("assistant", "\"x\""),
      INPUT("assistant", "[{\"type\":\"output_text\",\"text\":\"x\"}]") },
    { "Responses: a chat's part", RESPONSES, 1, NULL, DIFFER,
      INPUT("user", "\"x\""), INPUT("user", "[" TEXT("\"x\"") "]") },
    { "Responses: an input string", RESPONSES, 1, NULL, DIFFER,
      "{\"input\":\"x\"}", INPUT("user", "\"x\"") },

    { "Anthropic: content", ANTHROPIC, 1, NULL, SAME,
      USER("\"x\""), USER("[" TEXT("\"x\"") "]") },
    { "Anthropic: system", ANTHROPIC, 1, NULL, SAME,
      "{\"system\":\"x\"}", "{\"system\":[" TEXT("\"x\"") "]}" },
    { "Anthropic: a part with citations", ANTHROPIC, 1, NULL, DIFFER,
      USER("\"x\""),
      USER("[{\"type\":\"text\",\"text\":\"x\",\"citations\":[]}]") },
    { "Anthropic: a tool's result", ANTHROPIC, 1, NULL, DIFFER,
      RESULT("\"x\""), RESULT("[" TEXT("\"x\"") "]") },
    { "system in a chat", CHAT, 1, NULL, DIFFER,
      "{\"system\":\"x\"}", "{\"system\":[" TEXT("\"x\"") "]}" },

    /* cache_control */

    { "a marker at the top level", ANTHROPIC, 1, NULL, SAME,
      "{" MARKER "}", "{}" },
    { "a marker in the system", ANTHROPIC, 1, NULL, SAME,
      "{\"system\":[{\"type\":\"text\",\"text\":\"x\"," MARKER "}]}",
      "{\"system\":\"x\"}" },
    { "a marker in a part", ANTHROPIC, 1, NULL, SAME,
      USER("[{\"type\":\"text\",\"text\":\"x\"," MARKER "}]"),
      USER("\"x\"") },
    { "a marker in the second of two parts", ANTHROPIC, 1, NULL, SAME,
      USER("[" TEXT("\"x\"") ","
           "{\"type\":\"text\",\"text\":\"y\"," MARKER "}]"),
      USER("[" TEXT("\"x\"") "," TEXT("\"y\"") "]") },
    { "a marker that moves", ANTHROPIC, 1, NULL, SAME,
      USER("[" TEXT("\"x\"") ","
           "{\"type\":\"text\",\"text\":\"y\"," MARKER "}]"),
      USER("[{\"type\":\"text\",\"text\":\"x\"," MARKER "},"
           TEXT("\"y\"") "]") },
    { "a marker that is null", ANTHROPIC, 1, NULL, SAME,
      USER("[{\"type\":\"text\",\"text\":\"x\",\"cache_control\":null}]"),
      USER("\"x\"") },
    { "a marker of another type", ANTHROPIC, 1, NULL, DIFFER,
      USER("[{\"type\":\"image\",\"cache_control\":\"x\"}]"),
      USER("[{\"type\":\"image\"}]") },
    { "a marker in an image", ANTHROPIC, 1, NULL, SAME,
      USER("[{\"type\":\"image\",\"source\":{}," MARKER "}]"),
      USER("[{\"type\":\"image\",\"source\":{}}]") },
    { "a marker in a tool", ANTHROPIC, 1, NULL, SAME,
      "{\"tools\":[{\"name\":\"f\"," MARKER "}]}",
      "{\"tools\":[{\"name\":\"f\"}]}" },
    { "a marker in a tool's result", ANTHROPIC, 1, NULL, SAME,
      USER("[{\"type\":\"tool_result\",\"content\":\"x\"," MARKER "}]"),
      USER("[{\"type\":\"tool_result\",\"content\":\"x\"}]") },
    { "a marker inside a tool's result", ANTHROPIC, 1, NULL, SAME,
      RESULT("[{\"type\":\"text\",\"text\":\"x\"," MARKER "}]"),
      RESULT("[" TEXT("\"x\"") "]") },
    { "a marker inside what is no tool's result", ANTHROPIC, 1, NULL, DIFFER,
      USER("[{\"type\":\"x\",\"content\":[{\"type\":\"text\"," MARKER "}]}]"),
      USER("[{\"type\":\"x\",\"content\":[{\"type\":\"text\"}]}]") },
    { "a marker deeper in a tool's result", ANTHROPIC, 1, NULL, DIFFER,
      RESULT("[{\"type\":\"tool_result\",\"content\":[{" MARKER "}]}]"),
      RESULT("[{\"type\":\"tool_result\",\"content\":[{}]}]") },
    { "a marker in a tool's input", ANTHROPIC, 1, NULL, DIFFER,
      USER("[{\"type\":\"tool_use\",\"input\":{" MARKER "}}]"),
      USER("[{\"type\":\"tool_use\",\"input\":{}}]") },
    { "a marker in a tool's schema", ANTHROPIC, 1, NULL, DIFFER,
      "{\"tools\":[{\"input_schema\":{\"properties\":{" MARKER "}}}]}",
      "{\"tools\":[{\"input_schema\":{\"properties\":{}}}]}" },
    { "a marker in a schema", ANTHROPIC, 1, NULL, DIFFER,
      "{\"tools\":[{\"input_schema\":{" MARKER "}}]}",
      "{\"tools\":[{\"input_schema\":{}}]}" },
    { "a marker in a message", ANTHROPIC, 1, NULL, DIFFER,
      "{\"messages\":[{" MARKER "}]}", "{\"messages\":[{}]}" },
    { "a marker in a source", ANTHROPIC, 1, NULL, DIFFER,
      USER("[{\"type\":\"document\",\"source\":{" MARKER "}}]"),
      USER("[{\"type\":\"document\",\"source\":{}}]") },
    { "a marker in a chat's tool", CHAT, 1, NULL, DIFFER,
      "{\"tools\":[{" MARKER "}]}", "{\"tools\":[{}]}" },
    { "a marker at a chat's top level", CHAT, 1, NULL, DIFFER,
      "{" MARKER "}", "{}" }
};


/* the canonical text of a body; empty on failure */

static void
body(const char *text, llm_dialect_e id, const char *paths, int strip,
    llm_buf_t *out)
{
    int            rc;
    json_t        *doc, *before;
    const char    *p;
    llm_str_t      list[8];
    llm_ignore_t   ignore;
    llm_dialect_t  dialect;

    memset(out, 0, sizeof(llm_buf_t));
    memset(&dialect, 0, sizeof(llm_dialect_t));
    memset(&ignore, 0, sizeof(llm_ignore_t));

    dialect.id = id;
    ignore.paths = list;

    for (p = paths; p && ignore.n < N(list); ignore.n++) {
        list[ignore.n].data = (const unsigned char *) p;
        list[ignore.n].len = strcspn(p, " ");
        p += list[ignore.n].len;
        p = *p ? p + 1 : NULL;
    }

    if (llm_json_load((const unsigned char *) text, strlen(text), &doc)
        != LLM_REASON_NONE)
    {
        printf("# does not load: %s\n", text);
        return;
    }

    before = json_deep_copy(doc);

    rc = key_body(doc, &dialect, paths ? &ignore : NULL, strip, out);

    if (rc != 0 || !json_equal(doc, before)) {
        printf("# failed, or changed the document: %s\n", text);
        llm_buf_free(out);
    }

    json_decref(before);
    json_decref(doc);
}


static void
test_pairs(void)
{
    int                 equal;
    size_t              i;
    llm_buf_t           one, two;
    const pair_case_t  *c;

    for (i = 0; i < N(pairs); i++) {
        c = &pairs[i];

        body(c->one, c->dialect, c->ignore, c->strip, &one);
        body(c->two, c->dialect, c->ignore, c->strip, &two);

        equal = one.len == two.len
                && one.len
                && memcmp(one.data, two.data, one.len) == 0;

        if (!ok(one.len && two.len && equal == c->equal, "%s: %s",
                c->equal ? "equal" : "different", c->name))
        {
            tap_dump("one", one.data, one.len);
            tap_dump("two", two.data, two.len);
        }

        llm_buf_free(&one);
        llm_buf_free(&two);
    }
}


static void
test_text(void)
{
    llm_buf_t  out;

    body("{\"stream\":true,\"model\":\"m\",\"a\":null,\"caching\":true,"
         "\"messages\":[{\"role\":\"user\",\"content\":"
         "[{\"type\":\"text\",\"text\":\"x\"}]}],\"temperature\":0.50}",
         CHAT, NULL, 1, &out);
    is_str(out, "{\"messages\":[{\"content\":\"x\",\"role\":\"user\"}],"
                "\"model\":\"m\",\"temperature\":0.5}", "the text of a chat");
    llm_buf_free(&out);

    body("{\"stream\":true}", CHAT, NULL, 1, &out);
    is_str(out, "{}", "the text of nothing");
    llm_buf_free(&out);

    body("{\"a\":1,\"b\":2,\"c\":3}", CHAT, "a c", 1, &out);
    is_str(out, "{\"b\":2}", "no comma is left over");
    llm_buf_free(&out);
}


/* many paths: the stack of what is still to match grows */

static void
test_many_paths(void)
{
    size_t         i, n;
    char           text[64][16];
    json_t        *doc;
    llm_str_t      list[64];
    llm_buf_t      out;
    llm_ignore_t   ignore;
    llm_dialect_t  dialect;

    for (i = 0; i < N(list); i++) {
        n = (size_t) snprintf(text[i], sizeof(text[i]), "a.b.c.f%zu", i);
        list[i].data = (unsigned char *) text[i];
        list[i].len = n;
    }

    ignore.paths = list;
    ignore.n = N(list);

    memset(&out, 0, sizeof(llm_buf_t));
    memset(&dialect, 0, sizeof(llm_dialect_t));

    doc = json_loads("{\"a\":[{\"b\":{\"c\":{\"f0\":1,\"f63\":1,\"f64\":1}}},"
                     "{\"b\":{\"c\":{\"f31\":1,\"g\":{\"f1\":1}}}}]}", 0,
                     NULL);

    is_int(key_body(doc, &dialect, &ignore, 1, &out), 0, "many paths");
    is_str(out, "{\"a\":[{\"b\":{\"c\":{\"f64\":1}}},"
                "{\"b\":{\"c\":{\"g\":{\"f1\":1}}}}]}",
           "many paths: all of them count");

    llm_buf_free(&out);
    json_decref(doc);
}


static void
hex_of(llm_key_t *key, unsigned char *hex)
{
    unsigned char  digest[LLM_KEY_LEN];

    memset(hex, '-', 2 * LLM_KEY_LEN);

    if (key && llm_key_final(key, digest) == 0) {
        llm_key_hex(digest, hex);
    }
}


static void
test_digest(void)
{
    void           *zeros;
    llm_key_t      *key;
    unsigned char   hex[2 * LLM_KEY_LEN], other[2 * LLM_KEY_LEN];
    unsigned char   digest[LLM_KEY_LEN];

    memset(digest, 0, sizeof(digest));
    digest[0] = 0x01;
    digest[1] = 0xaf;
    digest[31] = 0xf0;
    llm_key_hex(digest, hex);
    is_mem(hex, sizeof(hex), "01af0000000000000000000000000000"
           "000000000000000000000000000000f0", 64, "hex digits");

    /* the digest is for ever: records outlive the program that wrote them */

    key = llm_key_create();
    hex_of(key, hex);
    is_mem(hex, sizeof(hex), EMPTY_KEY, 64, "the digest of no part");

    key = llm_key_create();
    is_int(llm_key_add(key, LLM_KEY_NAMESPACE, "ns", 2), 0, "a part");
    is_int(llm_key_add(key, LLM_KEY_BODY, "{}", 2), 0, "another one");
    hex_of(key, hex);
    is_mem(hex, sizeof(hex), TWO_PARTS_KEY, 64, "the digest of two parts");

    zeros = calloc(1, 70000);
    key = llm_key_create();
    is_int(zeros ? llm_key_add(key, LLM_KEY_BODY, zeros, 70000) : -1, 0,
           "a long part");
    hex_of(key, other);
    is_mem(other, sizeof(other), LONG_PART_KEY, 64,
           "the digest of a long part");
    free(zeros);

    key = llm_key_create();
    (void) llm_key_add(key, LLM_KEY_NAMESPACE, "ns{", 3);
    (void) llm_key_add(key, LLM_KEY_BODY, "}", 1);
    hex_of(key, other);
    ok(memcmp(hex, other, sizeof(hex)) != 0, "parts cannot lend each other");

    key = llm_key_create();
    (void) llm_key_add(key, LLM_KEY_NAMESPACE, "ns", 2);
    (void) llm_key_add(key, LLM_KEY_CUSTOM, "{}", 2);
    hex_of(key, other);
    ok(memcmp(hex, other, sizeof(hex)) != 0, "parts tell what they are");

    key = llm_key_create();
    (void) llm_key_add(key, LLM_KEY_NAMESPACE, "ns", 2);
    (void) llm_key_add(key, LLM_KEY_SCOPE, NULL, 0);
    (void) llm_key_add(key, LLM_KEY_BODY, "{}", 2);
    hex_of(key, other);
    ok(memcmp(hex, other, sizeof(hex)) != 0, "an empty part is a part");

    key = llm_key_create();
    (void) llm_key_add(key, LLM_KEY_NAMESPACE,
                       "ns\x08\0\0\0\0\0\0\0\x02{}", 13);
    hex_of(key, other);
    ok(memcmp(hex, other, sizeof(hex)) != 0,
       "a part that spells another is not that part");

    key = llm_key_create();
    ok(key != NULL, "a key that is thrown away");
    llm_key_free(key);
    llm_key_free(NULL);
}


int
main(void)
{
    test_pairs();
    test_text();
    test_many_paths();
    test_digest();

    return done();
}
