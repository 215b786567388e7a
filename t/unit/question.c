#include <stdlib.h>

#include "llm_body.h"
#include "llm_question.h"
#include "tap.h"


static llm_str_t
str(const char *s)
{
    llm_str_t  v;

    v.data = (const unsigned char *) s;
    v.len = strlen(s);

    return v;
}


static int
ask(const char *path, const char *body, llm_question_t *q)
{
    llm_route_t  route;

    llm_dialect_route(str(path), str(""), &route);

    return llm_question_read((const unsigned char *) body, strlen(body),
                             route.dialect, NULL, 1, q);
}


static void
asks(const char *path, const char *body, const char *text)
{
    int                    rc;
    static llm_question_t  q;

    rc = ask(path, body, &q);

    if (!ok(rc == 1 && q.len == strlen(text)
            && memcmp(q.text, text, q.len) == 0, "%s %s", path, body))
    {
        printf("#   %d: %.*s\n", rc, rc == 1 ? (int) q.len : 0, q.text);
    }
}


static void
does_not(const char *path, const char *body)
{
    static llm_question_t  q;

    is_int(ask(path, body, &q), 0, "no question: %s %s", path, body);
}


/* 1: one partition, 0: two, -1: not a question */

static int
same(const char *path, const char *one, const char *two)
{
    static llm_question_t  a, b;

    if (ask(path, one, &a) != 1 || ask(path, two, &b) != 1) {
        return -1;
    }

    return memcmp(a.partition, b.partition, LLM_KEY_LEN) == 0;
}


static void
questions(void)
{
    asks("/v1/chat/completions",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
         "\"s\"},{\"role\":\"user\",\"content\":\"h\\u00e9 \\\"x\\\"\"}]}",
         "h\xc3\xa9 \"x\"");
    asks("/v1/chat/completions",
         "{\"messages\":[{\"content\":[{\"text\":\"a\",\"type\":\"text\"},"
         "{\"type\":\"text\",\"text\":\"b\"}],\"role\":\"user\"}],"
         "\"tool_choice\":\"auto\"}", "b");
    asks("/v1/chat/completions",
         "{\"messages\":[{\"content\":[{\"text\":\"a\",\"type\":\"text\"}],"
         "\"role\":\"user\"}]}", "a");
    asks("/v1/responses", "{\"input\":\"hi\"}", "hi");
    asks("/v1/responses",
         "{\"input\":[{\"content\":[{\"text\":\"hi\",\"type\":\"input_text\"}]"
         ",\"role\":\"user\",\"type\":\"message\"}]}", "hi");
    asks("/v1/responses",
         "{\"input\":[{\"content\":[{\"text\":\"a\",\"type\":\"input_text\"},"
         "{\"text\":\"b\",\"type\":\"input_text\"}],\"role\":\"user\"}]}",
         "b");
    asks("/v1/messages",
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
         "\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}}]}],"
         "\"tool_choice\":{\"type\":\"auto\"}}", "a");
    asks("/v1beta/models/m:generateContent",
         "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}", "a");
    asks("/v2/chat",
         "{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
         "\"role\":\"user\"}],\"tool_choice\":\"NONE\"}", "a");
    asks("/api/chat",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":[]}"
         "]}", "a");
    asks("/api/generate", "{\"prompt\":\"a\",\"system\":\"s\"}", "a");
}


static void
others(void)
{
    size_t       i;
    const char  *chat = "/v1/chat/completions";

    static const char *const  bodies[] = {
        "{\"messages\":[]}",
        "{\"messages\":\"a\"}",
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
            "{\"role\":\"tool\",\"content\":\"a\"}]}",
        "{\"messages\":[{\"content\":\"a\"}]}",
        "{\"messages\":[{\"role\":\"user\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":null}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
            "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{}}]}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
            "\"input_audio\",\"input_audio\":{}},{\"type\":\"text\","
            "\"text\":\"a\"}]}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"audio\":{}}]}",
        "{\"tool_choice\":\"required\",\"messages\":[{\"role\":\"user\","
            "\"content\":\"a\"}]}",
        "{\"tool_choice\":{\"type\":\"function\"},\"messages\":[{\"role\":"
            "\"user\",\"content\":\"a\"}]}",
        "{\"function_call\":{\"name\":\"f\"},\"messages\":[{\"role\":"
            "\"user\",\"content\":\"a\"}]}"
    };

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        does_not(chat, bodies[i]);
    }

    does_not("/v1/completions", "{\"prompt\":\"a\"}");
    does_not("/v1/embeddings", "{\"input\":\"a\"}");
    does_not("/v1/responses", "{\"input\":[{\"type\":\"function_call_output\""
             ",\"output\":\"a\"}]}");
    does_not("/v1/messages", "{\"messages\":[{\"role\":\"user\",\"content\":["
             "{\"type\":\"tool_result\",\"content\":\"a\"}]}]}");
    does_not("/v1/messages", "{\"tool_choice\":{\"type\":\"any\"},"
             "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
    does_not("/v1beta/models/m:generateContent",
             "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]}"
             "]}");
    does_not("/v1beta/models/m:generateContent",
             "{\"contents\":[{\"parts\":[{\"text\":\"a\"},{\"inlineData\":{}}"
             "]}]}");
    does_not("/v1beta/models/m:generateContent",
             "{\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}},"
             "\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}");
    does_not("/api/chat", "{\"messages\":[{\"role\":\"user\",\"content\":"
             "\"a\",\"images\":[\"x\"]}]}");
    does_not("/api/generate", "{\"prompt\":\"a\",\"raw\":true}");
    does_not("/api/generate", "{\"prompt\":\"a\",\"images\":[\"x\"]}");
}


static void
partitions(void)
{
    size_t       i;
    const char  *chat = "/v1/chat/completions";

    static const char  first[] =
        "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":"
        "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"}]"
        "}";

    static const char *const  differ[] = {
        "{\"model\":\"n\",\"temperature\":0,\"messages\":[{\"role\":"
            "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "\"b\"}]}",
        "{\"model\":\"m\",\"temperature\":1,\"messages\":[{\"role\":"
            "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "\"b\"}]}",
        "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":"
            "\"system\",\"content\":\"t\"},{\"role\":\"user\",\"content\":"
            "\"b\"}]}",
        "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":"
            "\"user\",\"content\":\"b\"}]}",
        "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":"
            "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\","
            "\"text\":\"a\"}]}]}",
        "{\"model\":\"m\",\"temperature\":0,\"new\":1,\"messages\":[{"
            "\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
            "\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":"
            "\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "\"a\",\"name\":\"x\"}]}"
    };

    for (i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
        is_int(same(chat, first, differ[i]), 0, "not that of %s", differ[i]);
    }

    is_int(same(chat, first,
                "{\"user\":\"u\",\"stream\":true,\"temperature\":0.0,"
                "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
                "{\"content\":[{\"type\":\"text\",\"text\":\"b\"}],"
                "\"role\":\"user\"}],\"model\":\"m\",\"cache\":{\"ttl\":1}}"),
           1, "that of an equal request with another question");
}


int
main(void)
{
    char                  *body;
    static llm_question_t  q;

    questions();
    others();
    partitions();

    body = malloc(LLM_QUESTION_BODY + 8192);

    if (body) {
        sprintf(body, "{\"prompt\":\"%0*d\"}", LLM_QUESTION_MAX, 1);
        is_int(ask("/api/generate", body, &q), 1, "the longest question");
        is_int(q.len, LLM_QUESTION_MAX, "all of it");
        sprintf(body, "{\"prompt\":\"%0*d\"}", LLM_QUESTION_MAX + 1, 1);
        is_int(ask("/api/generate", body, &q), 0, "one that is longer");
        sprintf(body, "{\"prompt\":\"a\",\"system\":\"%0*d\"}",
                LLM_QUESTION_BODY, 1);
        is_int(ask("/api/generate", body, &q), 0, "a body that is too long");
        free(body);
    }

    is_int(ask("/api/generate", "{\"prompt\":", &q), -1, "a broken body");

    return done();
}
